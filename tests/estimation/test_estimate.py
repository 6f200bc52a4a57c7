"""Estimates from real stores: what they cover, what leaves the frame, and odd reviewers."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest

from auditor.core.errors import DataError
from auditor.estimation.documents import estimate_document
from auditor.estimation.estimate import estimate
from auditor.estimation.expectation import expect
from auditor.estimation.probability import write_probabilities
from auditor.estimation.reliability_plot import reliability_svg
from auditor.estimation.sentences import estimate_lines
from auditor.estimation.state import ReviewState, margins, read_state
from auditor.estimation.uniform import uniform_part
from auditor.runs import layout
from auditor.runs.tables import read_table
from auditor.stats.sampling import audit_probabilities, draw_audit
from auditor.stats.totals import interval_words, number_words
from tests.estimation.conftest import Case, Opened, event, make_case, perfect, review


def test_a_full_audit_stream_gives_the_total(case: Case, opened: Opened) -> None:
    store = opened(case, 400)
    drawn = store.audit_stream()
    assert drawn.design == "importance"
    assert len(drawn.item_ids) == 400
    review(store, case, "ann", perfect, store.progress().audit_total)
    found = estimate(read_state(case.run, store))
    assert (found.state.planned, found.state.judged) == (400, 400)
    assert found.strict is not None
    assert found.lenient is not None
    e = found.strict.total.estimate
    truth = int(case.wrong.sum())
    assert e.low <= truth <= e.high
    assert e.high - e.low < truth
    assert found.lenient.total == found.strict.total  # nobody was in doubt
    for beside in (found.strict.uniform, found.strict.stratified):
        assert beside is not None
        assert beside.estimate.low <= truth <= beside.estimate.high
    assert found.calibration is not None
    assert found.calibration.p_wrong.sum() == pytest.approx(e.value, rel=0.02)
    assert 0 <= found.calibration.brier < 0.08
    assert sum(b.n for b in found.calibration.bins) == len(found.state.draws)
    classes = [p for p in found.classes if p.estimate is not None]
    assert classes
    for part in classes:
        assert part.draws >= 30
        mine = int((case.wrong & (case.run.scores["given"] == part.given)).sum())
        assert part.estimate.low <= mine <= part.estimate.high
    assert "not corrected for reviewer error" in "\n".join(estimate_lines(found))
    html = found._repr_html_()
    assert html.count('class="bar"') == 2
    assert all(
        number_words(t.total) in html and number_words(t.total) in repr(found) for t in (found.strict, found.lenient)
    )
    assert all(interval_words(part.estimate) in html for part in classes)
    assert len(html) < 20_000
    assert len(repr(found).split("\n")) == 3


def test_only_the_judged_beginning_of_the_stream_is_used(case: Case, opened: Opened) -> None:
    store = opened(case, 200)
    stream = store.audit_stream()
    # Judge the last drawn item and none before it: a later verdict is not a random one.
    row = case.run.scores.set_index("id").loc[stream.item_ids[-1]]
    store.submit("ann", [event(stream.item_ids[-1], row["given"], row["suggested"], "given")])
    state = read_state(case.run, store)
    assert state.judged >= 1
    assert len(state.draws) == 0
    found = estimate(state)
    assert found.strict is None
    assert any("no estimate yet" in note for note in found.notes)
    assert estimate_document(found)["strict"] is None


def test_the_ranked_list_leaves_the_frame_and_is_counted_exactly(case: Case, opened: Opened) -> None:
    store = opened(case, 600, audit_share=0.0)
    review(store, case, "ann", perfect, 100)  # the top of the list, drawn or not
    drawn = set(store.audit_stream().item_ids)
    top = case.run.findings["id"].iloc[:100]
    assert drawn & set(top)
    state = read_state(case.run, store)
    assert state.known.sum() == 100
    assert set(state.ids[state.known]) == set(top)
    rest = [i for i in dict.fromkeys(store.audit_stream().item_ids) if i not in set(top)]
    scores = case.run.scores.set_index("id")
    place = {item: k for k, item in enumerate(case.run.scores["id"])}
    store.submit(
        "ann",
        [
            event(
                i,
                scores.loc[i, "given"],
                scores.loc[i, "suggested"],
                perfect(0, bool(case.wrong[place[i]]), bool(case.suggestion_right[place[i]])),
            )
            for i in rest
        ],
    )
    state = read_state(case.run, store)
    assert set(top) <= set(state.ids[state.known])
    assert not np.isin(state.draws, np.flatnonzero(state.known)).any()
    assert state.sample.n_items == len(state.frame) == len(state) - state.known.sum()
    found = estimate(state)
    truth = int(case.wrong.sum())
    assert found.strict is not None
    assert found.strict.total.estimate.low <= truth <= found.strict.total.estimate.high
    assert found.strict.total.found >= case.wrong[state.known].sum()


def test_probabilities_of_the_shrunk_frame_sum_to_one(case: Case, opened: Opened) -> None:
    store = opened(case, 100, audit_share=0.0)
    review(store, case, "ann", perfect, 60)
    state = read_state(case.run, store)
    assert state.frame_probability is not None
    assert state.frame_probability.sum() == pytest.approx(1)
    np.testing.assert_allclose(state.frame_probability[state.draws], state.probability)
    assert state.least == pytest.approx(state.frame_probability[state.in_frame].min())


def test_a_sample_is_continued_with_the_same_draws_and_new_leaves_out_what_is_judged(
    case: Case, opened: Opened
) -> None:
    store = opened(case, 100)
    first = store.audit_stream().item_ids.tolist()
    review(store, case, "ann", perfect, 40)
    ids = case.run.scores["id"].tolist()
    margin = margins(case.run)
    longer = store.draw_audit(ids, margin, 250, seed=99)
    assert longer.item_ids.tolist()[:100] == first
    assert longer.seed == 0
    assert len(longer.outside) == 0
    assert store.draw_audit(ids, margin, 50).item_ids.tolist() == longer.item_ids.tolist()
    with pytest.raises(DataError, match="cannot be continued"):
        store.draw_audit(ids, margin + np.linspace(0, 1, len(margin)), 300)
    judged = store.progress().judged
    anew = store.draw_audit(ids, margin, 80, seed=1, anew=True)
    assert len(anew.outside) == judged
    assert not set(anew.outside) & set(anew.item_ids)
    assert store.progress().audit_done == 0
    # The queue serves the new stream to who had come to the end of the old one.
    assert {i.item_id for i in store.next_batch("ann", 20)} <= set(anew.item_ids) | set(longer.item_ids)


def test_the_stream_drawn_at_loading_is_used_too(case: Case, opened: Opened) -> None:
    store = opened(case, None)
    assert store.audit_stream().design == "strata"
    review(store, case, "ann", perfect, store.progress().audit_total)
    found = estimate(read_state(case.run, store))
    truth = int(case.wrong.sum())
    assert found.strict is not None
    assert found.strict.total.estimate.low <= truth <= found.strict.total.estimate.high
    assert found.state.design == "strata"


def _simulated(state: ReviewState, case: Case, margin: np.ndarray, draws: int, seed: int) -> ReviewState:
    """The state after a perfect review of another draw, without the detour through a store."""
    rng = np.random.default_rng(seed)
    p = audit_probabilities(margin)
    at = draw_audit(p, draws, rng).positions
    codes = np.full(len(p), -1, np.int8)
    codes[at] = case.wrong[at]
    everyone = np.ones(len(p), bool)
    return replace(
        state,
        design="importance",
        draws=at,
        probability=p[at],
        coins=rng.random(draws),
        outcome=codes,
        first=codes,
        in_frame=everyone,
        known=~everyone,
        frame_probability=p,
        least=float(p.min()),
        planned=draws,
        judged=draws,
    )


@pytest.fixture(scope="module")
def simulate(case: Case, tmp_path_factory: pytest.TempPathFactory):
    from auditor.review.store import VerdictStore

    with VerdictStore.open(tmp_path_factory.mktemp("simulate") / "s.sqlite") as store:
        state = read_state(case.run, store)
    margin = margins(case.run)
    return lambda draws, seed: _simulated(state, case, margin, draws, seed)


def test_the_uniform_part_is_uniform(case: Case, simulate) -> None:
    pool = np.ones(len(case.wrong), bool)
    kept, share = [], []
    for seed in range(300):
        part = uniform_part(simulate(300, seed), pool)
        kept += part.draws.tolist()
        share.append(len(part.draws) / 300)
    assert np.mean(share) == pytest.approx(part.rate, rel=0.05)
    assert part.rate > 0.3  # never less than the uniform share of the draw
    # The top tenth of the ranking, drawn several times as often, is a tenth of the uniform part.
    top = np.mean(np.array(kept) < len(pool) / 10)
    assert top == pytest.approx(0.1, abs=4 * math.sqrt(0.09 / len(kept)))


def test_expected_width_is_what_comes(case: Case, simulate) -> None:
    widths = []
    for seed in range(40):
        total = estimate(simulate(300, seed)).strict
        assert total is not None
        widths.append((total.total.estimate.high - total.total.estimate.low) / 2)
    said = expect(margins(case.run), 300, 0.9)
    # This model is better than it says: the interval is narrower than announced.
    assert 0.1 < np.mean(widths) / said.half_width < 1
    assert said.half_width < said.uniform_half_width
    assert said.candidates_needed == 29
    assert said.budget_needed is not None


@pytest.mark.parametrize("replays", [60, pytest.param(300, marks=pytest.mark.slow)])
@pytest.mark.parametrize("draws", [100, 300])
def test_the_interval_covers(case: Case, simulate, draws: int, replays: int) -> None:
    truth, inside = int(case.wrong.sum()), 0
    for seed in range(replays):
        total = estimate(simulate(draws, seed)).strict
        assert total is not None
        inside += total.total.estimate.low <= truth <= total.total.estimate.high
    # 95 % less three Monte-Carlo errors.
    assert inside / replays >= 0.95 - 3 * math.sqrt(0.95 * 0.05 / replays)


def test_probabilities_are_written(tmp_path: Path, opened: Opened) -> None:
    case = make_case(tmp_path / "run", 800)
    store = opened(case, 150)
    review(store, case, "ann", perfect, store.progress().audit_total)
    state = read_state(case.run, store)
    found = estimate(state)
    assert found.calibration is not None
    write_probabilities(case.run, state, found.calibration)
    table = read_table(case.run.path / layout.P_WRONG)
    assert table["p_wrong"].between(0, 1).all()
    assert table["verdict"].notna().sum() == state.reviewed.sum()
    assert table["p_wrong"][case.wrong].mean() > 5 * table["p_wrong"][~case.wrong].mean()


def test_a_changed_run_is_refused(case: Case, opened: Opened, tmp_path: Path) -> None:
    store = opened(case, 50)
    other = make_case(tmp_path / "run", seed=5)
    assert other.run.id == case.run.id
    with pytest.raises(DataError, match="changed"):
        read_state(other.run, store)


def test_the_reliability_plot_says_what_it_shows(case: Case, opened: Opened) -> None:
    store = opened(case, 300)
    review(store, case, "ann", perfect, store.progress().audit_total)
    calibration = estimate(read_state(case.run, store)).calibration
    assert calibration is not None
    root = ElementTree.fromstring(reliability_svg(calibration.bins))
    svg = "{http://www.w3.org/2000/svg}"
    marks = [m for g in root.iter(f"{svg}g") if g.get("id") == "bins" for m in g.iter(f"{svg}use")]
    assert len(marks) == len(calibration.bins) == 10
    # More suspicious stands further right, and there more was found.
    at = [(float(m.attrib["x"]), -float(m.attrib["y"])) for m in marks]
    assert at == sorted(at)
    title = root.findtext(f"{svg}title")
    assert title is not None
    assert f"of {calibration.bins[0].n}" in title
