"""The card of labels that are no classes: tags ticked by keys, numbers typed, and what is stored then."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from selenium.webdriver import ActionChains, Chrome, Keys

import auditor
from auditor.review.store import VerdictStore
from tests.browser.page import CardPage
from tests.browser.server import ReviewServer

N = 60
#: With Shift, to the last token of three.
ARROWS = "arrows"


def _run(kind: str, folder: Path) -> Path:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(N, 2))
    frame = pd.DataFrame(x, columns=["a", "b"])
    if kind == "multilabel":
        frame["label"] = [("sea;sun" if a > 0 else "sea") if b > 0 else "(no tags)" for a, b in x]
    elif kind == "tokens":
        words = [["Ann" if a > 0 else "Rome", f"{k}", "Oslo"] for k, a in enumerate(x[:, 0])]
        frame = pd.DataFrame({"tokens": words, "label": [["PER" if a > 0 else "LOC", "O", "LOC"] for a in x[:, 0]]})
    elif kind == "ordinal":
        frame["label"] = np.digitize(x[:, 0], [-0.5, 0.5])
    else:
        frame["label"] = (40 + 10 * x[:, 0]).round(1)
    run = auditor.find_errors(
        frame, label="label", kind=kind, budget="smoke", folds=2, workers=1, progress=False, out=folder / kind
    )
    return run.path


def _said(run: Path) -> dict[str, str]:
    with VerdictStore.open(run) as store:
        votes = store.votes()
    return dict(zip(votes.item_ids[votes.items].tolist(), votes.verdicts.tolist(), strict=True))


def _keys(page: CardPage, *keys: str) -> None:
    if keys == (ARROWS,):
        chain = ActionChains(page.browser).key_down(Keys.SHIFT).send_keys(Keys.ARROW_RIGHT, Keys.ARROW_RIGHT)
        chain.key_up(Keys.SHIFT).perform()
        return
    ActionChains(page.browser).send_keys(*keys).perform()


@pytest.mark.parametrize("kind", ["multilabel", "regression", "ordinal", "tokens"])
def test_the_right_label_is_given_by_keys(
    kind: str, tmp_path: Path, serve: Callable[..., ReviewServer], open_browser: Callable[..., Chrome]
) -> None:
    run = _run(kind, tmp_path)
    server = serve(run)
    page = CardPage(open_browser(), server.url, "ann")
    page.wait(page.item, "an item")
    judged: dict[str, str] = {}

    def judge(verdict: Callable[[str], str], *keys: str) -> None:
        item, given = page.item(), page.given()
        assert item is not None
        judged[item] = verdict(given)
        for key in keys:
            _keys(page, key)
        page.wait(lambda: page.item() != item, "the next item")

    judge(lambda _: "given", "g")
    if kind == "multilabel":
        flipped = {"sea;sun": "other:sea", "sea": "other:sea;sun", "(no tags)": "other:sun"}
        with VerdictStore.open(run) as store:
            suggested = {item.item_id: item.suggested for item in store.at(list(range(1, N + 1)))}
        judge(flipped.__getitem__, "e", "2", Keys.ENTER)
        judge(lambda _: "unsure", "e", "1", "b", "n", Keys.ESCAPE, "u")
        for item, verdict in judged.items():
            if verdict == f"other:{suggested[item]}":
                judged[item] = "suggested"
    elif kind == "tokens":
        with VerdictStore.open(run) as store:
            suggested = {item.item_id: item.suggested for item in store.at(list(range(1, N + 1)))}
        # The tags are O, LOC and PER, in this order; the first key goes to the first token, whatever is taken at first.
        left = [Keys.ARROW_LEFT] * 3
        judge(lambda _: "other:PER O PER", "e", *left, "3", Keys.ARROW_RIGHT, Keys.ARROW_RIGHT, "3", Keys.ENTER)
        judge(lambda _: "other:O O O", "e", *left, ARROWS, "1", Keys.ENTER)
        judge(lambda _: "unsure", "e", "3", Keys.ESCAPE, "u")
        for item, verdict in judged.items():
            if verdict == f"other:{suggested[item]}":
                judged[item] = "suggested"
    elif kind == "ordinal":
        with VerdictStore.open(run) as store:
            suggested = {item.item_id: item.suggested for item in store.at(list(range(1, N + 1)))}
        judge(lambda given: "given" if given == "2" else "other:2", "e", "2")
        judge(lambda _: "unsure", "e", "b", "n", Keys.ESCAPE, "u")
        for item, verdict in judged.items():
            if verdict == f"other:{suggested[item]}":
                judged[item] = "suggested"
    else:
        judge(lambda _: "other:-17.5", "e", "-", "1", "7", ",", "5", "0", Keys.ENTER)
        judge(lambda _: "unsure", "e", "9", Keys.ESCAPE, "u")
    page.wait_saved(len(judged))
    assert _said(run) == judged
    _keys(page, "z")
    page.wait(lambda: len(_said(run)) == len(judged) - 1, "the last verdict is taken back")
    body = page.browser.find_element("tag name", "body")
    assert "Map" not in body.text
    for name in ("overview", "mine", "export", "disagreements", "quality"):
        page.browser.get(f"{server.url}/{name}?reviewer=ann")
        page.wait(lambda: "auditor" in page.browser.find_element("tag name", "body").text, name)
        page.wait(lambda: "cannot be shown" not in page.browser.find_element("tag name", "body").text, name, 5)
