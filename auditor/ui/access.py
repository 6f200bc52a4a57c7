"""Who may see the app. The same rules for `app.py` and ``auditor review``, and for every route."""

from __future__ import annotations

import hmac
import ipaddress
import json
import os
import re
import secrets
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from auditor.core.config import load_settings
from auditor.core.errors import UsageError
from auditor.core.machine import is_private
from auditor.ui.config import current_config

if TYPE_CHECKING:
    from starlette.requests import HTTPConnection
    from starlette.responses import Response
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

#: Paths that show data, or what the server does. The rest must answer before a login: it is the login page.
_GUARDED: Final = re.compile(r"/(auditor|media|_stcore/(upload_file|metrics|agent|script-health-check))(/|$)")
#: Says that the server is up, and nothing else.
_HEALTH: Final = "/_stcore/health"
#: No page of another origin may frame the app, and the app asks no other host for anything.
_HEADERS: Final = {
    "Content-Security-Policy": "default-src 'self' 'unsafe-inline' 'unsafe-eval' data: blob:; object-src 'none'; "
    "base-uri 'self'; frame-ancestors 'self'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
}
_RAW_HEADERS: Final = [(name.lower().encode(), value.encode()) for name, value in _HEADERS.items()]
#: Streamlit lets pages of any port of this machine read some answers.
_REPLACED: Final = {*(name for name, _ in _RAW_HEADERS), b"access-control-allow-origin"}
_NEEDS_TOKEN: Final = "Open the address that was printed when the review app was started: it holds the server's token."


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


def write_private(path: Path, text: str) -> None:
    """Write a file that only this user can read."""
    path.unlink(missing_ok=True)
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as handle:
        handle.write(text)


@cache
def session_key() -> str:
    """What a browser keeps once it has shown the token. It lies in the cache, for this user alone, so that an open page
    goes on when the server is started again; where that cannot be, it lives as long as the server."""
    path, key = load_settings().cache_dir / "review-session-key", secrets.token_urlsafe(32)
    try:
        if path.is_file() and is_private(path.lstat()) and len(kept := path.read_text(encoding="utf-8")) == len(key):
            return kept
        path.parent.mkdir(parents=True, exist_ok=True)
        write_private(path, key)
    except (OSError, UnicodeDecodeError):
        return key
    return key


def _same(given: str | None, wanted: str) -> bool:
    return given is not None and hmac.compare_digest(given.encode(), wanted.encode())


def _login_address() -> str:
    """The login's ``redirect_uri``: where people reach a server behind a proxy, whatever host it hands on."""
    from streamlit.runtime.secrets import secrets_singleton

    return str(secrets_singleton["auth"].get("redirect_uri", "")) if has_login() else ""


class AccessGuard:
    """ASGI middleware: the access check in front of every route, Streamlit's and ours.

    With a login, guarded paths need it. Without one, only this machine is served, by a name that means it (a page of
    another site that makes the browser ask this server under its own name, by DNS rebinding, is refused), and only to
    who has the token of the address that was printed at the start: other users of the machine do not.
    Whatever changes something or opens the WebSocket must come from the app's own page.
    """

    def __init__(self, app: ASGIApp, login: Callable[[], bool] = has_login) -> None:
        self.app = app
        self.login = login

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self.app(scope, receive, send)
            return
        from starlette.requests import HTTPConnection
        from starlette.responses import PlainTextResponse

        port = _port(HTTPConnection(scope))
        scope = {**scope, "headers": [_received(pair, port) for pair in scope["headers"]]}

        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = [_sent(pair, port) for pair in message["headers"] if pair[0].lower() not in _REPLACED]
                message = {**message, "headers": [*headers, *_RAW_HEADERS]}
            await send(message)

        answer = self._answer(HTTPConnection(scope))
        if answer is None:
            await self.app(scope, receive, send_guarded)
        elif not isinstance(answer, str):
            await answer(scope, receive, send_guarded)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 4403, "reason": answer})
        else:
            await PlainTextResponse(answer, status_code=403)(scope, receive, send_guarded)

    def _answer(self, connection: HTTPConnection) -> str | Response | None:
        """None to let it through, else why not, or the way to the page for who shows the token."""
        config, login = current_config(), self.login()
        client = connection.client.host if connection.client else None
        path, host = connection.scope["path"], _host(f"//{connection.headers.get('host', '')}")
        if not login and not config.insecure:
            if not is_loopback(client):
                return "this review app serves its own machine only"
            if not is_loopback(host[0]):
                return "unknown host name"
        if not _is_own(connection):
            return "not from this app's own page"
        if login:
            if not _GUARDED.search(path):
                return None
            user = user_of(connection)
            return None if user is not None and is_allowed(user, config.allowed) else "log in first"
        if config.insecure or path == _HEALTH:
            return None
        cookie = f"auditor_review_{_port(connection)}"
        if connection.scope["type"] == "http" and _same(connection.query_params.get("token"), config.token):
            return _without_token(connection, cookie)
        return None if _same(connection.cookies.get(cookie), session_key()) else _NEEDS_TOKEN


def _without_token(connection: HTTPConnection, cookie: str) -> Response:
    """To the same address without the token, which the cookie stands for from now on."""
    from starlette.responses import RedirectResponse

    answer = RedirectResponse(connection.url.remove_query_params("token"), status_code=303)
    answer.set_cookie(cookie, session_key(), httponly=True, samesite="lax", secure=connection.url.scheme == "https")
    return answer


#: Streamlit's cookies of a login, whole or in pieces, and of one that is under way.
_LOGIN_COOKIE: Final = re.compile(rb"_streamlit_(user|session)")


def _port(connection: HTTPConnection) -> int:
    """Where the browser found this server. It sends the cookies of a host to all ports of it, so theirs have it in
    their names: a login at one server would end those at its neighbours."""
    return _host(f"//{connection.headers.get('host', '')}")[1] or 80


def _received(header: tuple[bytes, bytes], port: int) -> tuple[bytes, bytes]:
    """A header of a request, in which Streamlit finds the login cookies of this port and of no other."""
    if header[0] != b"cookie":
        return header
    cookies = [cookie.strip() for cookie in header[1].split(b";")]
    own = b"auditor_%d" % port
    return b"cookie", b"; ".join(
        cookie.removeprefix(own) if _LOGIN_COOKIE.match(cookie, len(own)) and cookie.startswith(own) else cookie
        for cookie in cookies
        if not _LOGIN_COOKIE.match(cookie)
    )


def _sent(header: tuple[bytes, bytes], port: int) -> tuple[bytes, bytes]:
    """A header of an answer, in which a login cookie is named after the port."""
    named = header[0].lower() == b"set-cookie" and _LOGIN_COOKIE.match(header[1])
    return (header[0], b"auditor_%d" % port + header[1]) if named else header


def _host(address: str) -> tuple[str | None, int | None]:
    """Host name and port of an address; neither where it is malformed."""
    try:
        parts = urlsplit(address)
        return parts.hostname, parts.port
    except ValueError:
        return None, None


def _is_own(connection: HTTPConnection) -> bool:
    """Whether a request that could do something comes from a page of exactly this host and port."""
    origin = connection.headers.get("origin")
    if connection.scope["type"] == "http" and (origin is None or connection.scope["method"] in ("GET", "HEAD")):
        return True
    asking = _host(origin or "")
    return asking[0] is not None and asking in (
        _host(f"//{connection.headers.get('host', '')}"),
        _host(_login_address()),
    )
