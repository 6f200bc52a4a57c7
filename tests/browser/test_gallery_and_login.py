"""Many verdicts by one click in the gallery, and a server behind a login."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.parse import urlsplit
from urllib.request import urlopen

from selenium.webdriver import ActionChains, Chrome, Keys
from selenium.webdriver.common.by import By

from auditor.review.readout import PageFilter
from auditor.review.store import VerdictStore
from auditor.ui.payload import picture_url
from tests.browser.page import GRID, CardPage
from tests.browser.server import TOKEN, ReviewServer


def _until(condition: Callable[[], Any], what: str, seconds: float = 240.0) -> Any:
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, what
        time.sleep(0.1)
    return found


def test_one_verdict_for_all_that_are_selected(
    run: Path, serve: Callable[..., ReviewServer], open_browser: Callable[..., Chrome]
) -> None:
    server, browser = serve(run), open_browser()
    browser.get(f"{server.url}/gallery?reviewer=ann&token={TOKEN}")
    _until(lambda: browser.execute_script(GRID + "return gallery?.querySelectorAll('.tile').length"), "items")
    tiles = browser.execute_script(GRID + "return [...gallery.querySelectorAll('.tile')]")
    ids = [tile.get_attribute("title") for tile in tiles]
    tiles[1].click()
    ActionChains(browser).key_down(Keys.SHIFT).click(tiles[4]).key_up(Keys.SHIFT).perform()
    tiles[2].click()  # not this one
    says = lambda of: browser.execute_script(GRID + f"return gallery.querySelector('{of}').textContent")  # noqa: E731
    assert says(".count") == "3 selected"
    buttons = browser.execute_script(GRID + "return [...gallery.querySelectorAll('.act')]")
    next(button for button in buttons if button.text == "other candidate is right").click()
    assert says(".count") == "0 selected"
    _until(lambda: says(".line") == "saved 3", "they are stored")
    with VerdictStore.open(run) as store:
        votes = store.votes()
        judged = store.page(PageFilter(reviewed=True)).items
    assert votes.verdicts.tolist() == ["suggested"] * 3
    assert {item.item_id for item in judged} == {ids[1], ids[3], ids[4]}
    assert server.tracebacks() == []


#: Everything the page has asked for, its icon included.
ASKED = """
const asked = performance.getEntriesByType('resource').map((entry) => entry.name);
return [...asked, ...[...document.querySelectorAll('link[href]')].map((link) => link.href)];
"""


def test_the_printed_address_opens_the_app_and_nothing_else_does(
    run: Path, serve: Callable[..., ReviewServer], open_browser: Callable[..., Chrome]
) -> None:
    server, browser = serve(run), open_browser()
    (address,) = re.findall(r"The review is open at (http\S+)", server.log.read_text())
    browser.get(f"http://127.0.0.1:{server.port}/review?reviewer=ann")
    assert "holds the server's token" in browser.find_element(By.TAG_NAME, "body").text
    browser.get(address)
    for page in ("Overview", "Review", "Gallery", "Export"):
        _until(lambda page=page: page in browser.find_element(By.TAG_NAME, "body").text, page)
    assert "token" not in browser.current_url
    page = CardPage(browser, f"http://127.0.0.1:{server.port}", "ann")
    page.press("g")
    page.wait_saved(1)
    asked = {urlsplit(name)._replace(path="", query="", fragment="").geturl() for name in browser.execute_script(ASKED)}
    own = f"http://127.0.0.1:{server.port}"
    assert own in asked
    assert {name for name in asked if not name.startswith(("data:", f"blob:{own}"))} == {own}
    # The tables' own download would write formulas.
    browser.get(f"{own}/quality?reviewer=ann")
    shown = (
        "return [...document.querySelectorAll('[aria-label^=\"Download as CSV\"]')].map((b) => b.offsetParent !== null)"
    )
    assert not any(_until(lambda: browser.execute_script(shown), "a table"))
    frame = f"data:text/html,<iframe src='{own}/review?reviewer=ann'></iframe>"
    browser.get(frame)
    browser.switch_to.frame(0)
    assert not browser.find_elements(By.CSS_SELECTOR, "#root")
    browser.switch_to.default_content()
    assert server.tracebacks() == []


def _status(address: str) -> int:
    try:
        with urlopen(address, timeout=10) as answer:
            return int(answer.status)
    except HTTPError as error:
        return error.code


def test_behind_a_login_nothing_is_shown_without_it(
    run: Path, tmp_path: Path, serve: Callable[..., ReviewServer], open_browser: Callable[..., Chrome], monkeypatch: Any
) -> None:
    """Streamlit's own server with ``[auth]``; the cookie is the one its OpenID callback would set."""
    from streamlit.web.server.starlette.starlette_app_utils import create_signed_value
    from streamlit.web.server.starlette.starlette_server_config import USER_COOKIE_NAME

    server = ReviewServer(run, home=tmp_path / "home")
    secret = "a long secret that only this test knows"
    (tmp_path / "home" / ".streamlit").mkdir(parents=True)
    (tmp_path / "home" / ".streamlit" / "secrets.toml").write_text(
        f'[auth]\nredirect_uri = "{server.url}/oauth2callback"\ncookie_secret = "{secret}"\nclient_id = "id"\n'
        'client_secret = "x"\nserver_metadata_url = "http://localhost:9/.well-known/openid-configuration"\n'
    )
    monkeypatch.setenv("AUDITOR_ALLOWED", "@example.org")
    browser = open_browser()
    try:
        server.start()
        with VerdictStore.open(run) as store:
            first = store.page().items[0]
        assert first.content_hash is not None
        routes = [picture_url(first.content_hash, 192), f"/auditor/why?item={first.item_id}", "/media/x.png"]
        routes += ["/_stcore/metrics", "/_stcore/agent/openapi.json"]
        assert [_status(server.url + route) for route in routes] == [403] * 5

        browser.get(f"{server.url}/review?reviewer=eve")
        body = browser.find_element(By.TAG_NAME, "body")
        _until(lambda: "Log in" in body.text, "the login page")
        assert first.given + "\n" not in body.text
        assert "labelled" not in body.text

        def log_in(mail: str) -> None:
            user = {"is_logged_in": True, "email": mail, "origin": server.url}
            value = create_signed_value(secret, USER_COOKIE_NAME, json.dumps(user))
            name = f"auditor_{server.port}{USER_COOKIE_NAME}"  # as the browser has it: apart from other ports' logins
            browser.add_cookie({"name": name, "value": value.decode() if isinstance(value, bytes) else value})

        log_in("eve@elsewhere.example")
        browser.get(f"{server.url}/review?reviewer=eve")
        _until(lambda: "may not review here" in browser.find_element(By.TAG_NAME, "body").text, "the list is asked")

        log_in("ann@example.org")
        page = CardPage(browser, server.url, "eve")  # the name in the address counts for nothing now
        page.wait(lambda: page.ask("return card.querySelector('figure.image img').naturalWidth > 0"), "a picture")
        page.press("g")
        page.wait_saved(1)
        with VerdictStore.open(run) as store:
            assert store.progress().by_reviewer == {"ann@example.org": 1}
        assert server.tracebacks() == []
    finally:
        browser.delete_all_cookies()
        server.kill()
