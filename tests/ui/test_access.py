"""Who gets in: binding, host names, logins, allow-lists; the same for every route."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from starlette.testclient import TestClient
from starlette.websockets import WebSocketDisconnect

from auditor.core.errors import UsageError
from auditor.ui.access import AccessGuard, check_binding, is_allowed, is_loopback, session_key
from auditor.ui.config import ReviewConfig, config_from_environ, configure, current_config
from auditor.ui.server import lifespan, middleware, routes, serve
from auditor.ui.workspace import Workspace

LOCAL = ("127.0.0.1", 50000)
STRANGER = ("192.0.2.7", 50000)


def _client(peer: tuple[str, int], host: str = "localhost", login: bool = False) -> TestClient:
    app = Starlette(routes=routes(), middleware=[Middleware(AccessGuard, login=lambda: login)])
    return TestClient(app, base_url=f"http://{host}", client=peer)


def _opened(client: TestClient) -> TestClient:
    """Having opened the address that is printed at the start."""
    client.get("/", params={"token": current_config().token})
    return client


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
        streamlit_config.set_option("server.headless", True)
        asyncio.run(_start())
        # Else Streamlit stops the server for a whole collection after each verdict.
        assert streamlit_config.get_option("runner.postScriptGC") is False
    finally:
        streamlit_config.set_option("server.address", before)


def test_strangers_and_foreign_host_names_get_nothing(ws: Workspace) -> None:
    path = _picture(ws)
    for address in (path, "/auditor/why?item=digit-0000"):
        assert _opened(_client(LOCAL)).get(address).status_code == 200
        assert _opened(_client(LOCAL, host="127.0.0.1")).get(address).status_code == 200
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
    guarded = ("/media/x", "/_stcore/upload_file/x", "/_stcore/metrics", "/_stcore/agent/mcp", "/base/_stcore/metrics")
    for address in (path, "/auditor/why?item=digit-0000", *guarded):
        assert stranger.get(address).status_code == 403
    assert stranger.get("/").status_code == 404  # Streamlit's own page, with the login button, is not guarded

    def cookie(secret: str, **user: object) -> dict[str, str]:
        value = create_signed_value(secret, USER_COOKIE_NAME, json.dumps(user))
        return {f"auditor_80{USER_COOKIE_NAME}": value.decode() if isinstance(value, bytes) else value}

    def get(cookies: dict[str, str]) -> int:
        return int(
            stranger.get(path, headers={"Cookie": "; ".join(f"{k}={v}" for k, v in cookies.items())}).status_code
        )

    assert get(cookie("a secret for the test", is_logged_in=True, email="ann@example.org")) == 200
    assert get(cookie("another secret", is_logged_in=True, email="ann@example.org")) == 403
    assert get(cookie("a secret for the test", is_logged_in=False)) == 403
    assert get({f"auditor_80{USER_COOKIE_NAME}": json.dumps({"is_logged_in": True})}) == 403
    neighbour = cookie("a secret for the test", is_logged_in=True, email="ann@example.org")
    assert get({name.replace("80", "8502"): value for name, value in neighbour.items()}) == 403
    configure(ReviewConfig(run=str(ws.run.path), reviewer="ann", allowed=("@example.com",)))
    assert get(cookie("a secret for the test", is_logged_in=True, email="ann@example.org")) == 403
    assert get(cookie("a secret for the test", is_logged_in=True, email="ann@example.com")) == 200


@pytest.mark.parametrize(
    "path", ["/", "/review?reviewer=ann", "/_stcore/metrics", "/_stcore/host-config", "/static/x.js"]
)
def test_another_user_of_the_machine_needs_the_token(ws: Workspace, path: str) -> None:
    assert _client(LOCAL).get(path).status_code == 403
    assert "address that was printed" in _client(LOCAL).get(path).text
    token = current_config().token
    for forged in ("", "x", "é", token[:-1]):
        client = _client(LOCAL)
        assert client.get(path, params={"token": forged}).status_code == 403
        assert not client.cookies
        assert client.get(path, headers={"Cookie": f"auditor_review_80={quote(forged)}"}).status_code == 403
    assert _client(LOCAL).get(path, params={"token": session_key()}).status_code == 403
    assert _client(LOCAL).get(path, headers={"Cookie": f"auditor_review_80={token}"}).status_code == 403
    with (
        pytest.raises(WebSocketDisconnect),
        _client(LOCAL).websocket_connect("ws://localhost/_stcore/stream", headers=OWN),
    ):
        pass
    assert _client(LOCAL).get("/_stcore/health").status_code == 404  # let through; here is no Streamlit


def test_the_token_leaves_the_address_and_the_page_outlives_a_restart(ws: Workspace) -> None:
    client, token = _client(LOCAL), current_config().token
    answer = client.get(f"/review?reviewer=ann&token={token}", follow_redirects=False)
    assert (answer.status_code, answer.headers["location"]) == (303, "http://localhost/review?reviewer=ann")
    assert {"httponly", "samesite=lax"} <= set(answer.headers["set-cookie"].lower().replace(";", "").split())
    assert token not in answer.headers["set-cookie"]
    assert client.get(_picture(ws)).status_code == 200
    assert client.get(f"/?token={token}", follow_redirects=False).status_code == 303  # the token leaves it again
    session_key.cache_clear()  # the server is started again, with another token
    configure(replace(current_config(), token="another"))
    assert client.get(_picture(ws)).status_code == 200
    assert _client(LOCAL).get("/", params={"token": token}).status_code == 403


def test_the_key_of_sessions_is_for_one_user(tmp_path: Path) -> None:
    path, key = tmp_path / "cache" / "review-session-key", session_key()
    assert path.read_text() == key
    assert path.stat().st_mode & 0o077 == 0
    for spoil in (lambda: path.chmod(0o644), lambda: path.write_text(""), lambda: path.write_bytes(b"\xff" * len(key))):
        spoil()  # others could read it, a write was cut short, it is no text
        session_key.cache_clear()
        assert session_key() != key
        assert len(session_key()) == len(key)


@pytest.mark.parametrize(
    "name", ["_streamlit_user", "_streamlit_user_tokens", "_streamlit_user_1", "_streamlit_session"]
)
def test_a_login_at_another_port_of_the_host_is_neither_read_nor_overwritten(name: str) -> None:
    seen: list[dict[str, str]] = []

    def logs_in(request: Request) -> PlainTextResponse:
        seen.append(dict(request.cookies))
        answer = PlainTextResponse("in")
        answer.set_cookie(name, f"of-{request.url.port}", httponly=True)
        answer.set_cookie("_streamlit_xsrf", "shared")  # the page reads it under this name
        return answer

    app = Starlette(routes=[Route("/", logs_in)], middleware=[Middleware(AccessGuard, login=lambda: True)])
    client = TestClient(app, base_url="http://localhost:8501")
    client.cookies.set(name, "anothers")
    for port in (8501, 8502, 8501, 8502):
        answer = client.get(f"http://localhost:{port}/")
        assert "HttpOnly" in answer.headers["set-cookie"]
    assert [cookies.get(name) for cookies in seen] == [None, None, "of-8501", "of-8502"]
    assert seen[-1]["_streamlit_xsrf"] == "shared"
    assert client.cookies[name] == "anothers"


#: Of the page at the base address of the test client.
OWN = {"origin": "http://localhost"}


@pytest.mark.parametrize(
    "origin",
    [
        "http://localhost:8502",
        "http://127.0.0.1",
        "https://evil.example",
        "null",
        "http://localhost.evil.example",
        "http://[",
        "http://localhost:port",
        "",
        None,
    ],
)
def test_only_the_own_page_opens_the_websocket_and_changes_anything(ws: Workspace, origin: str | None) -> None:
    headers = {} if origin is None else {"origin": origin}
    for login in (False, True):
        client = _opened(_client(LOCAL, login=login))
        with (
            pytest.raises(WebSocketDisconnect) as refused,
            client.websocket_connect("ws://localhost/_stcore/stream", headers=headers),
        ):
            pass
        assert refused.value.code == 4403
        with (
            pytest.raises(WebSocketDisconnect) as passed,
            client.websocket_connect("ws://localhost/_stcore/stream", headers=OWN),
        ):
            pass
        assert passed.value.code != 4403  # let through; here is no Streamlit
    client = _opened(_client(LOCAL))
    assert client.put("/x", headers=OWN).status_code == 404
    if origin is not None:
        assert client.put("/x", headers=headers).status_code == 403


def test_behind_a_proxy_the_own_page_is_that_of_the_login(ws: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("auditor.ui.access._login_address", lambda: "https://review.example.org/oauth2callback")
    client = _client(STRANGER, host="backend:8501", login=True)
    assert client.put("/x", headers={"origin": "https://review.example.org"}).status_code == 404
    assert client.put("/x", headers={"origin": "https://review.example.org:8443"}).status_code == 403


@pytest.mark.parametrize("path", ["/", "/auditor/why?item=digit-0000", "/nowhere"])
def test_no_page_frames_the_app_and_it_asks_no_other_host(ws: Workspace, path: str) -> None:
    for client in (_client(LOCAL), _opened(_client(LOCAL))):
        headers = client.get(path).headers
        assert "frame-ancestors 'self'" in headers["content-security-policy"]
        assert "http" not in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff"


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
