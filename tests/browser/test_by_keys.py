"""Review, settle, export: the whole loop by keys alone, as somebody works who has no mouse."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from selenium.webdriver import ActionChains, Chrome, Keys
from selenium.webdriver.common.by import By

from auditor.patch.files import read_patch
from auditor.review.store import VerdictStore
from auditor.ui.workspace import take_in
from tests.browser.page import CardPage
from tests.browser.server import TOKEN, ReviewServer
from tests.conftest import DigitsRun

#: What has the focus, in whatever shadow root it is, in words; nothing where no key does anything there.
FOCUSED = """
let node = document.activeElement;
while (node?.shadowRoot?.activeElement) node = node.shadowRoot.activeElement;
if (!node?.matches('h1, button, a, input, select, [role=dialog], [role=button], [role=tab], [role=radio]')) return '';
return `${node.getAttribute('aria-label') ?? ''} ${node.textContent}`.trim();
"""


def _press(browser: Chrome, *keys: str) -> None:
    ActionChains(browser).send_keys(*keys).perform()


def _enter(browser: Chrome, words: str, most: int) -> None:
    """Press Tab at most so often until something that ends in `words` has the focus, then Enter."""
    seen = []
    for _ in range(most):
        _press(browser, Keys.TAB)
        seen.append(browser.execute_script(FOCUSED))
        if words in seen[-1]:
            _press(browser, Keys.ENTER)
            return
    raise AssertionError(f"{words!r} is not reached by Tab: {[text[:40] for text in seen]}")


def _open(server: ReviewServer) -> int:
    with VerdictStore.open(server.run) as store:
        return store.progress().disagreements


def test_review_settle_and_export(
    digits_run: DigitsRun, serve: Callable[..., ReviewServer], open_browser: Callable[..., Chrome], tmp_path: Path
) -> None:
    # Without the random sample, of which everybody gets other items first.
    take_in(str(digits_run.path), None, [("reviewers_per_item", 2), ("audit_size", 0)])
    server, browser = serve(digits_run.path), open_browser()
    focused = lambda: str(browser.execute_script(FOCUSED))  # noqa: E731
    says = lambda words: words in browser.find_element(By.TAG_NAME, "body").text  # noqa: E731
    browser.execute_cdp_cmd("Browser.setDownloadBehavior", {"behavior": "allow", "downloadPath": str(tmp_path)})
    browser.get(f"{server.url}/review?token={TOKEN}")
    page = CardPage.__new__(CardPage)
    page.browser = browser
    judged: dict[str, set[str]] = {}
    for name, key in (("Ann", "g"), ("Ben", "n")):
        page.wait(lambda: focused() == "Name", "the field for the name has the focus")
        _press(browser, name, Keys.ENTER)
        page.wait(lambda: page.item() is not None, "the card")
        judged[name] = set()
        for count in (1, 2):
            judged[name].add(str(page.item()))
            page.press(key)
            page.wait_saved(count)
        if name == "Ann":
            _enter(browser, "Ann", most=40)
            page.wait(lambda: focused().startswith("Ann "), "what has opened has the focus")
            _press(browser, Keys.ESCAPE)
            page.wait(lambda: focused().startswith("Ann"), "what had opened it has the focus again")
            _press(browser, Keys.ENTER)
            page.wait(lambda: "Change name" in focused(), "it opens again")
            _enter(browser, "Change name", most=1)
    assert judged["Ann"] == judged["Ben"]  # each item goes to two people
    _enter(browser, "Disagreements", most=40)
    page.wait(lambda: page.item() in judged["Ann"], "the first disagreement")
    assert "Ann" in page.ask("return card.querySelector('.votes').textContent")
    assert focused() == "Disagreements"  # the heading and not the link, which Enter would follow once more
    for left in (1, 0):
        page.press(Keys.ENTER if left else "n")
        page.wait(lambda left=left: _open(server) == left, "it is settled")
    _enter(browser, "Export", most=40)
    page.wait(lambda: says("1 record "), "the patch")
    _enter(browser, "Download the patch", most=20)
    page.wait(lambda: list(tmp_path.glob("*.labelpatch.jsonl")), "the file", 30)
    (record,) = read_patch(next(iter(tmp_path.glob("*.labelpatch.jsonl")))).records
    with VerdictStore.open(server.run) as store:
        states = [state for item in sorted(judged["Ann"]) if (state := store.state(item)) is not None]
    assert record.op == "drop"
    assert record.id in {state.item.content_hash for state in states}
    assert server.tracebacks() == []
