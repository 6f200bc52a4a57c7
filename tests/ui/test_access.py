"""Who gets in: binding, host names, logins, allow-lists; the same for every route."""

from __future__ import annotations

import json
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.testclient import TestClient

from auditor.core.errors import UsageError
from auditor.ui.access import AccessGuard, check_binding, is_allowed, is_loopback
from auditor.ui.config import ReviewConfig, config_from_environ, configure
from auditor.ui.server import lifespan, middleware, routes, serve
from auditor.ui.workspace import Workspace

LOCAL = ("127.0.0.1", 50000)
STRANGER = ("192.0.2.7", 50000)


def _client(peer: tuple[str, int], host: str = "localhost", login: bool = False) -> TestClient:
    app = Starlette(routes=routes(), middleware=[Middleware(AccessGuard, login=lambda: login)])
    return TestClient(app, base_url=f"http://{host}", client=peer)


def _picture(ws: Workspace) -> str:
    return f"/auditor/img/{ws.rows.facts(0)['content_hash'][7:]}.webp"


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("127.0.0.1", True),
        ("127.9.9.9", True),
        ("::1", True),
        ("[::1]", True),
        ("localhost", True),
        ("LOCALHOST", True),
        ("::ffff:127.0.0.1", True),
        ("0.0.0.0", False),
        ("::", False),
        ("", False),
        (None, False),
        ("10.0.0.1", False),
        ("localhost.example.org", False),
        ("127.0.0.1.example.org", False),
    ],
)
def test_is_loopback(name: str | None, expected: bool) -> None:
    assert is_loopback(name) is expected


@pytest.mark.parametrize("address", ["0.0.0.0", "::", "10.0.0.1", "", None])
def test_other_machines_need_a_login_or_insecure(address: str | None) -> None:
    with pytest.raises(UsageError, match="without a login"):
        check_binding(address, login=False, insecure=False)
    check_binding(address, login=True, insecure=False)
    check_binding(address, login=False, insecure=True)


async def _start() -> None:
    async with lifespan(None):
        pass


def test_both_entries_refuse(ws: Workspace, digits: Any) -> None:
    import asyncio

    from streamlit import config as streamlit_config

    with pytest.raises(UsageError, match="without a login"):  # the command
        serve(ReviewConfig(run=str(digits)), "0.0.0.0", 0, browser=False)
    before = streamlit_config.get_option("server.address")
    try:
        streamlit_config.set_option("server.address", None)  # app.py without its config.toml: every interface
        with pytest.raises(UsageError, match="without a login"):
            asyncio.run(_start())
        streamlit_config.set_option("server.address", "127.0.0.1")
        asyncio.run(_start())
        # Else Streamlit stops the server for a whole collection after each verdict.
        assert streamlit_config.get_option("runner.postScriptGC") is False
    finally:
        streamlit_config.set_option("server.address", before)


def test_strangers_and_foreign_host_names_get_nothing(ws: Workspace) -> None:
    path = _picture(ws)
    for address in (path, "/auditor/why?item=digit-0000"):
        assert _client(LOCAL).get(address).status_code == 200
        assert _client(LOCAL, host="127.0.0.1").get(address).status_code == 200
        assert _client(STRANGER).get(address).status_code == 403
        assert _client(LOCAL, host="rebound.example.org").get(address).status_code == 403
    assert _client(STRANGER).get("/").status_code == 403
    configure(ReviewConfig(run=str(ws.run.path), reviewer="ann", insecure=True))
    assert _client(STRANGER).get(path).status_code == 200


def test_with_a_login_every_data_route_needs_it(ws: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    from streamlit.web.server.starlette import starlette_websocket as cookies
    from streamlit.web.server.starlette.starlette_app_utils import create_signed_value
    from streamlit.web.server.starlette.starlette_server_config import USER_COOKIE_NAME

    monkeypatch.setattr(cookies, "get_cookie_secret", lambda: "a secret for the test")
    path, stranger = _picture(ws), _client(STRANGER, host="review.example.org", login=True)
    for address in (path, "/auditor/why?item=digit-0000", "/media/x", "/_stcore/upload_file/x"):
        assert stranger.get(address).status_code == 403
    assert stranger.get("/").status_code == 404  # Streamlit's own page, with the login button, is not guarded

    def cookie(secret: str, **user: object) -> dict[str, str]:
        value = create_signed_value(secret, USER_COOKIE_NAME, json.dumps(user))
        return {USER_COOKIE_NAME: value.decode() if isinstance(value, bytes) else value}

    def get(cookies: dict[str, str]) -> int:
        return int(
            stranger.get(path, headers={"Cookie": "; ".join(f"{k}={v}" for k, v in cookies.items())}).status_code
        )

    assert get(cookie("a secret for the test", is_logged_in=True, email="ann@example.org")) == 200
    assert get(cookie("another secret", is_logged_in=True, email="ann@example.org")) == 403
    assert get(cookie("a secret for the test", is_logged_in=False)) == 403
    assert get({USER_COOKIE_NAME: json.dumps({"is_logged_in": True})}) == 403
    configure(ReviewConfig(run=str(ws.run.path), reviewer="ann", allowed=("@example.com",)))
    assert get(cookie("a secret for the test", is_logged_in=True, email="ann@example.org")) == 403
    assert get(cookie("a secret for the test", is_logged_in=True, email="ann@example.com")) == 200


def test_the_list_of_who_may_log_in() -> None:
    assert is_allowed({}, ())
    assert is_allowed({"email": "Ann@Example.org"}, ("ann@example.org",))
    assert is_allowed({"email": "ann@example.org"}, ("@example.org",))
    assert not is_allowed({"email": "ann@example.org.evil"}, ("@example.org",))
    assert not is_allowed({"email": "ann@notexample.org"}, ("@example.org",))
    assert not is_allowed({"email": "ann@example.org", "email_verified": False}, ("ann@example.org",))
    assert not is_allowed({"name": "ann"}, ("ann@example.org",))
    found = config_from_environ({"AUDITOR_ALLOWED": "Ann@example.org, @lab.org", "AUDITOR_INSECURE": "1"})
    assert (found.allowed, found.insecure) == (("ann@example.org", "@lab.org"), True)


def test_the_app_has_the_guard() -> None:
    assert [m.cls for m in middleware()] == [AccessGuard]
