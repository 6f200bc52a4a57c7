"""Who may see the app. The same rules for `app.py` and ``auditor review``, and for every route."""

from __future__ import annotations

import ipaddress
import json
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Final

from auditor.core.errors import UsageError
from auditor.ui.config import current_config

if TYPE_CHECKING:
    from starlette.requests import HTTPConnection
    from starlette.types import ASGIApp, Receive, Scope, Send

#: Paths that show data. The rest of Streamlit's routes must answer before a login: they are the login page.
GUARDED: Final = ("/auditor/", "/media/", "/_stcore/upload_file")


def is_loopback(host: str | None) -> bool:
    """Whether a host name or address means this machine only."""
    if host is None:
        return False
    name = host.strip().lower().removeprefix("[").removesuffix("]")
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        address = ipaddress.ip_address(name)
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None)
    return bool(address.is_loopback or (mapped is not None and mapped.is_loopback))


def check_binding(address: str | None, login: bool, insecure: bool) -> None:
    """Refuse to serve other machines without a login.

    Parameters
    ----------
    address : str or None
        What the server binds to; None = every interface.
    login : bool
        Whether a login is configured.
    insecure : bool
        Whether that was asked for.

    Raises
    ------
    UsageError
        If strangers could reach the app.
    """
    if is_loopback(address) or login or insecure:
        return
    raise UsageError(
        f"the review app would listen on {address or 'every network interface'!r} without a login: anybody who reaches "
        "this machine could see the data and give verdicts.",
        "Use --host 127.0.0.1 (default), configure a login ([auth] in .streamlit/secrets.toml, see docs/reviewer.md), "
        "or say --insecure.",
    )


def has_login() -> bool:
    """Whether OpenID Connect is configured (``[auth]`` in Streamlit's secrets)."""
    from streamlit.runtime.secrets import secrets_singleton

    return secrets_singleton.load_if_toml_exists() and "auth" in secrets_singleton


def is_allowed(user: dict[str, Any], allowed: Sequence[str]) -> bool:
    """Whether a logged-in user is on the list; an empty list lets everybody in whom the provider lets in."""
    if not allowed:
        return True
    mail = str(user.get("email") or "").lower()
    # Providers may hand out addresses they have not checked; those prove nothing.
    if not mail or user.get("email_verified") is False:
        return False
    return mail in allowed or any(mail.endswith(entry) for entry in allowed if entry.startswith("@"))


def user_of(connection: HTTPConnection) -> dict[str, Any] | None:
    """The logged-in user of a request, by Streamlit's signed cookie; None without one."""
    # Streamlit has no public way to ask this outside of a script; tests/ui/test_access.py notices a change.
    from streamlit.web.server.starlette import starlette_websocket as cookies
    from streamlit.web.server.starlette.starlette_server_config import USER_COOKIE_NAME

    decoded = cookies._get_signed_cookie_with_chunks(dict(connection.cookies), USER_COOKIE_NAME)
    try:
        user = json.loads(decoded or "null")
    except ValueError:
        return None
    return user if isinstance(user, dict) and user.get("is_logged_in") else None


class AccessGuard:
    """ASGI middleware: the access check in front of every route, Streamlit's and ours.

    With a login, guarded paths need it. Without one, only this machine is served, by a name that means it: a page of
    another site that makes the browser ask this server under its own name (DNS rebinding) is refused.
    """

    def __init__(self, app: ASGIApp, login: Callable[[], bool] = has_login) -> None:
        self.app = app
        self.login = login

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self.app(scope, receive, send)
            return
        from starlette.requests import HTTPConnection

        reason = self._refusal(HTTPConnection(scope))
        if reason is None:
            await self.app(scope, receive, send)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 4403, "reason": reason})
        else:
            from starlette.responses import PlainTextResponse

            await PlainTextResponse(reason, status_code=403)(scope, receive, send)

    def _refusal(self, connection: HTTPConnection) -> str | None:
        config = current_config()
        if self.login():
            if not connection.url.path.startswith(GUARDED):
                return None
            user = user_of(connection)
            return None if user is not None and is_allowed(user, config.allowed) else "log in first"
        if config.insecure:
            return None
        client = connection.client.host if connection.client else None
        if not is_loopback(client):
            return "this review app serves its own machine only"
        return None if is_loopback(connection.url.hostname) else "unknown host name"
