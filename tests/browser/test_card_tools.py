"""What the card offers besides verdicts, on one server: comments, new classes, guidelines, own keys, a closer look."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from selenium.webdriver import Chrome

from auditor.review.store import VerdictStore
from tests.browser.page import CardPage
from tests.browser.server import ReviewServer

BOXES = """
const box = (name) => {
  const { left, top, width, height } = card.querySelector(name).getBoundingClientRect();
  return [left, top, width, height];
};
return ['.view', 'figcaption', '.given .verdict', '.suggested .verdict', '.more', '.verdicts', '.tools'].map(box);
"""


@pytest.fixture(scope="module")
def server(digits_source: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ReviewServer]:
    run = tmp_path_factory.mktemp("tools") / "run"
    shutil.copytree(digits_source / "run", run)
    started = ReviewServer(run).start()
    yield started
    started.kill()
    assert started.tracebacks() == []


def _press(page: CardPage, *keys: str) -> None:
    for key in keys:
        page.press(key)


def test_comments_discussions_and_new_classes_are_kept(
    server: ReviewServer, open_browser: Callable[..., Chrome]
) -> None:
    page = CardPage(open_browser(), server.url, "ann")
    first = page.item()
    _press(page, "m")
    page.press("g is no verdict here\ue007")  # a key in the comment judges nothing
    _press(page, "t")
    assert page.item() == first
    assert page.ask("return card.querySelectorAll('.tools [aria-pressed=true]').length") == 2
    _press(page, "/")
    page.press("hook")
    page.press("\ue007")  # once goes to the button, which says that the class is new
    assert page.item() == first
    page.press("\ue007")
    page.wait_saved(1)
    second = page.item()
    assert second != first
    _press(page, "/", "\ue00c")
    assert page.ask("return card.querySelectorAll('.extra input').length") == 0
    _press(page, "n", "z")  # the way back is as short as before
    page.wait_saved(1)
    assert page.item() == second
    with VerdictStore.open(server.run) as store:
        remarks, (said,) = store.remarks(), store.judged_by("ann")
        assert (said.item_id, said.verdict) == (first, "new:hook")
        assert remarks[str(first)].comments == {"ann": "g is no verdict here"}
        assert remarks[str(first)].discuss
        assert [item.item_id for item in store.discussed()] == [first]
        assert store.new_classes() == ["hook"]


def test_nothing_moves_and_pictures_can_be_looked_at_closely(
    server: ReviewServer, open_browser: Callable[..., Chrome]
) -> None:
    page = CardPage(open_browser(), server.url, "cara")
    page.wait(lambda: page.ask("return card.querySelector('.view img').naturalWidth > 0"), "a picture")
    before = page.ask(BOXES)
    left, width = before[0][0], before[0][2]
    column = page.ask("const s = card.querySelector('.stage').getBoundingClientRect(); return [s.left, s.width]")
    assert left == column[0]
    assert 0.57 < width / column[1] < 0.61  # three fifths, less half the gap
    page.press("+")
    assert page.ask("return card.querySelector('.view').classList.contains('zoomed')")
    page.ask("""card.querySelector('.view').dispatchEvent(new WheelEvent('wheel',
      { deltaY: -400, clientX: 300, clientY: 300, bubbles: true, cancelable: true }))""")
    scale = "return Number(/scale\\((.*)\\)/.exec(card.querySelector('.view img').style.transform)[1])"
    assert page.ask(scale) == pytest.approx(1.5 * 2.718281828**0.8, rel=1e-3)
    item = page.item()
    page.ask("""document.dispatchEvent(new KeyboardEvent('keydown', { key: 'ArrowRight', shiftKey: true }))""")
    assert page.item() == item  # it moves the picture
    page.burst("gnu", 120)
    page.wait_saved(3)
    page.wait(lambda: page.ask("return card.querySelector('.view img').naturalWidth > 0"), "a picture")
    assert page.ask(BOXES) == before
    assert page.ask("return card.querySelector('.view img').style.transform") == ""


def test_own_keys_guidelines_and_the_header(server: ReviewServer, open_browser: Callable[..., Chrome]) -> None:
    with VerdictStore.open(server.run) as store:
        exemplar = store.page(limit=1).items[0].item_id
        for name in store.class_names:
            store.write_guideline("owner", name, f"What looks like {name}.", [exemplar], 0)
    page = CardPage(open_browser(), server.url, "ben")
    page.press("l")  # this run has no embeddings, and says so
    page.wait(lambda: "kept no embeddings" in page.ask("return card.querySelector('.extra').textContent"), "a reason")
    page.press("l")
    assert page.ask("return card.querySelector('.extra').childNodes.length") == 0
    page.press("w")
    page.wait(lambda: "probability" in page.ask("return card.querySelector('.extra').textContent"), "reasons")
    page.press("k")
    page.wait(lambda: "What looks like" in page.ask("return card.querySelector('.drawer').textContent"), "guidelines")
    given = page.given()
    assert f"What looks like {given}." in page.ask("return card.querySelector('.drawer section').textContent")
    assert page.ask("return card.querySelectorAll('.drawer section img').length") > 0
    page.press("k")
    page.press("h")
    page.ask("card.querySelector('.help input[type=checkbox]').click()")
    assert page.ask("return card.querySelectorAll('.own-keys input').length") == 10
    page.ask(f"""const field = card.querySelector('.own-keys input[aria-label="key of {given}"]');
      field.value = 'q'; field.dispatchEvent(new Event('change'))""")
    page.press("\ue00c")
    page.wait(lambda: page.ask("return card.querySelectorAll('dialog').length") == 0, "the dialog is gone")
    item = page.item()
    page.press("q")
    page.wait_saved(1)
    page = CardPage(page.browser, server.url, "BEN")  # another visit, and another spelling
    page.wait(lambda: page.ask(f"return card.textContent.includes('{given}')"), "the card")
    keys = page.ask("return [...card.querySelectorAll('.more.fixed kbd')].map((node) => node.textContent)")
    assert "q" in keys
    with VerdictStore.open(server.run) as store:
        (said,) = store.judged_by("ben")
        assert (said.item_id, said.verdict) == (item, "given")
        assert store.preference("ben", "keys") == {"fixed": True, "own": {given: "q"}}
    page.wait(lambda: "count towards the estimate" in page.browser.find_element("tag name", "body").text, "the header")
    text = page.browser.find_element("tag name", "body").text
    assert f"auditor\n{server.run.name}" in text.replace(" ", "\n") or server.run.name in text
