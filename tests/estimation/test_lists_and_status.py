"""Flag lists, the stop rule, and reviewers as one does not wish them."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import sqlalchemy as sa

from auditor.core.errors import UsageError
from auditor.estimation.documents import estimate_document, list_document, status_document
from auditor.estimation.estimate import estimate
from auditor.estimation.flag_lists import flag_at_fdr, flag_at_precision
from auditor.estimation.reviewer_error import NOT_CORRECTED, ReviewerError, reviewer_error
from auditor.estimation.sentences import estimate_lines, status_lines
from auditor.estimation.state import ReviewState, draw_stream, read_state
from auditor.estimation.status import RemainingErrors, review_status
from auditor.review import audit_stream
from auditor.review.additions import set_fact
from auditor.review.loading import read_meta
from auditor.review.store import VerdictStore
from auditor.stats import sampling
from tests.estimation.conftest import Case, Opened, Reviewer, make_case, perfect, review
from tests.estimation.test_estimate import simulate

__all__ = ["simulate"]


def _reviewed(case: Case, store: VerdictStore, say: Reviewer = perfect) -> ReviewState:
    review(store, case, "ann", say, store.progress().audit_total)
    return read_state(case.run, store)


def test_lists_keep_their_promise(case: Case, opened: Opened) -> None:
    state = _reviewed(case, opened(case, 2400))
    found = flag_at_fdr(state, 0.1)
    assert len(found.positions) > 50
    assert "10%" in found.words()
    # Of the reviewed ones only the wrong stay on the list.
    assert state.wrong("strict")[found.positions[state.reviewed[found.positions]]].all()
    assert case.wrong[found.positions].mean() >= 0.8
    sure = flag_at_precision(state, 0.9, 0.95)
    assert len(sure.positions) > 0
    assert case.wrong[sure.positions].mean() >= 0.9
    assert "95% confidence" in sure.words()
    document = list_document(state, sure)
    assert document["n_flagged"] == len(document["flagged"]) == len(sure.positions)


def test_a_sample_for_a_target_precision_brings_a_list_within_reach(case: Case, opened: Opened) -> None:
    found = {}
    for target in (None, 0.9):
        store = opened(case, None)
        draw_stream(case.run, store, 300, 0, anew=False, target_precision=target)
        state = _reviewed(case, store)
        assert state.candidate_share == (0 if target is None else pytest.approx(0.26, abs=0.05))
        truth, total = int(case.wrong.sum()), estimate(state).strict
        assert total is not None
        assert total.total.estimate.low <= truth <= total.total.estimate.high
        found[target] = flag_at_precision(state, 0.9, 0.95)
    assert len(found[None].positions) == 0
    assert len(found[0.9].positions) > 100
    assert case.wrong[found[0.9].positions].mean() >= 0.9
    # A stream goes on as it began.
    draw_stream(case.run, store, 400, 0, anew=False)
    assert store.audit_stream().candidate_share == pytest.approx(0.26, abs=0.05)


def test_a_stream_of_an_earlier_version_goes_on_with_its_own_probabilities(
    case: Case, opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = opened(case, None)
    with monkeypatch.context() as earlier:
        earlier.setattr(sampling, "CANDIDATE_DOUBT", sampling.LEAST_DOUBT)
        draw_stream(case.run, store, 100, 0, anew=False)

    def forget(connection: sa.Connection) -> None:
        """Earlier versions wrote down no doubt about candidates."""
        described = dict(read_meta(connection)[audit_stream._KEY])
        del described["candidate_doubt"]
        set_fact(connection, audit_stream._KEY, described | {"digest": audit_stream.digest_of(described)})

    store.database.write(forget)
    before = store.audit_stream()
    assert before.candidate_doubt == sampling.LEAST_DOUBT
    draw_stream(case.run, store, 150, 0, anew=False)
    after = store.audit_stream()
    assert after.item_ids[:100].tolist() == before.item_ids.tolist()
    np.testing.assert_array_equal(after.probability[:100], before.probability)
    # Which recomputes every probability and compares it with the stored one.
    assert read_state(case.run, store).candidate_doubt == sampling.LEAST_DOUBT
    # A new one is drawn as today.
    draw_stream(case.run, store, 150, 0, anew=True)
    assert store.audit_stream().candidate_doubt == sampling.CANDIDATE_DOUBT


def test_realised_rates_over_replays(case: Case, simulate) -> None:
    shares, violated, replays = [], 0, 150
    for seed in range(replays):
        state = simulate(800, seed)
        listed = flag_at_fdr(state, 0.1).positions
        shares.append(1 - case.wrong[listed].mean() if len(listed) else 0.0)
        sure = flag_at_precision(state, 0.9, 0.95).positions
        violated += bool(len(sure) and case.wrong[sure].mean() < 0.9)
    assert np.mean(shares) <= 0.1 + 2 * np.std(shares) / math.sqrt(replays)
    assert violated / replays <= 0.05 + 2 * math.sqrt(0.05 * 0.95 / replays)


def test_too_few_reviews_give_an_empty_list_and_say_how_many_are_missing(case: Case, opened: Opened) -> None:
    state = _reviewed(case, opened(case, 12))
    for found in (flag_at_fdr(state, 0.05), flag_at_precision(state, 0.95, 0.95)):
        assert len(found.positions) == 0
        assert found.more_uniform > 0
        assert found.more_draws >= found.more_uniform
        assert "more uniform reviews needed" in found.words()
        assert repr(found) == f"FlagList of 0 items: {found.words()}"
    assert repr(state).endswith("3,000 items, 12 of 12 draws judged")
    assert repr(review_status(state)).split("\n  outside the list: ")[1].endswith(" wrong labels")


def test_a_stream_in_strata_is_refused_for_lists(case: Case, opened: Opened) -> None:
    state = _reviewed(case, opened(case, None))
    for select in (lambda: flag_at_fdr(state, 0.1), lambda: flag_at_precision(state, 0.9, 0.95)):
        with pytest.raises(UsageError, match="independent draws") as error:
            select()
        assert "auditor sample" in (error.value.way_out or "")
    assert not review_status(state).remaining.exact


@pytest.mark.parametrize("replays", [20, pytest.param(100, marks=pytest.mark.slow)])
def test_the_stop_rule_bounds_what_remains_at_every_look(case: Case, simulate, replays: int) -> None:
    flagged = case.run.scores["flagged"].to_numpy()
    missed = 0
    for seed in range(replays):
        outside = False
        for draws in (50, 100, 200, 400, 800):
            # The same draws, longer and longer: `draw_audit` goes on where it was.
            state = simulate(draws, seed)
            r = review_status(state).remaining
            left = int((case.wrong & ~flagged & ~state.reviewed).sum())
            outside |= not r.low <= left <= r.high
        missed += outside
    assert missed / replays <= 0.05 + 2 * math.sqrt(0.05 * 0.95 / replays)


def test_too_few_draws_give_limits_and_no_number_in_between() -> None:
    few = RemainingErrors(expected=812.4, low=1, high=9_000, pool=9_500, open=9_495, looked=5, found=1, exact=True)
    assert few.words() == "expected remaining unknown [1, 9,000]"
    assert replace(few, looked=30).words() == "expected remaining 812 [1, 9,000]"
    # A small pool that was looked at whole is known, however few its items.
    whole = RemainingErrors(expected=0.0, low=0, high=0, pool=5, open=0, looked=5, found=1, exact=True)
    assert whole.words() == "expected remaining 0 [0, 0]"


def test_status_counts_and_foretells(case: Case, opened: Opened) -> None:
    store = opened(case, 300)
    empty = review_status(read_state(case.run, store), at_most=0)
    assert empty.may_stop is False
    assert empty.next_expected is None
    assert "expected remaining unknown [0, " in "\n".join(status_lines(empty))
    state = _reviewed(case, store)
    status = review_status(state, at_most=len(case.wrong))
    assert status.may_stop is True
    assert status.flagged_open == int((state.flagged & ~state.reviewed).sum())
    following = np.flatnonzero(state.flagged & ~state.reviewed)[:100]
    assert status.next_expected == pytest.approx(case.wrong[following].sum(), abs=15)
    text = "\n".join(status_lines(status))
    assert "expected remaining" in text
    assert f"the next {status.next_items} items will find about" in text
    json.dumps(status_document(status), allow_nan=False)


# ---- a gallery of failure ---------------------------------------------------------------------------------------


def _noisy(share: float, seed: int) -> Reviewer:
    rng = np.random.default_rng(seed)

    def say(k: int, wrong: bool, suggestion_right: bool) -> str:
        return perfect(k, wrong != (rng.random() < share), True)

    return say


def test_a_noisy_pair_of_reviewers_is_corrected(case: Case, opened: Opened) -> None:
    store = opened(case, 1500, overlap=1.0)
    total = store.progress().audit_total
    for who, seed in (("ann", 1), ("bob", 2)):
        review(store, case, who, _noisy(0.1, seed), total)
    found = estimate(read_state(case.run, store))
    assert found.strict is not None
    error = found.strict.reviewer
    assert isinstance(error, ReviewerError)
    assert error.sensitivity.value == pytest.approx(0.9, abs=0.03)  # one draw of 1,500: the interval may just miss
    assert found.strict.corrected is not None
    truth, corrected = int(case.wrong.sum()), found.strict.corrected.estimate
    assert found.strict.total.estimate.low > truth  # mistakes on right labels look like errors
    assert corrected.low <= truth <= corrected.high
    assert "corrected for reviewer error" in "\n".join(estimate_lines(found))


def test_one_noisy_reviewer_is_said_not_to_be_corrected(case: Case, opened: Opened) -> None:
    state = _reviewed(case, opened(case, 200), _noisy(0.1, 3))
    found = estimate(state)
    assert found.strict is not None
    assert found.strict.corrected is None
    assert NOT_CORRECTED in "\n".join(estimate_lines(found))


def test_reviewers_who_guess_are_not_corrected(case: Case, opened: Opened) -> None:
    store = opened(case, 200, overlap=1.0)
    for who, seed in (("ann", 1), ("bob", 2)):
        review(store, case, who, _noisy(0.5, seed), store.progress().audit_total)
    found = estimate(read_state(case.run, store))
    assert found.strict is not None
    assert found.strict.corrected is None
    assert "guessing" in found.strict.reviewer_note


def test_controls_of_both_kinds_give_sensitivity_and_specificity(case: Case, opened: Opened) -> None:
    ids, suggested = case.run.scores["id"].to_numpy(), case.suggestion_right
    bad = np.flatnonzero(case.wrong & suggested)[:40]
    good = np.flatnonzero(~case.wrong)[-40:]
    controls = {ids[i]: "suggested" for i in bad} | {ids[i]: "given" for i in good}
    store = opened(case, 50, controls=controls)
    from tests.estimation.conftest import event

    rows = case.run.scores.set_index("id")
    store.submit(
        "ann",
        [
            event(i, rows.loc[i, "given"], rows.loc[i, "suggested"], "given" if k % 4 == 0 else verdict)
            for k, (i, verdict) in enumerate(controls.items())
        ],
    )
    error = reviewer_error(read_state(case.run, store), "strict")
    assert isinstance(error, ReviewerError)
    assert error.sensitivity.value == pytest.approx(0.75)
    assert error.specificity.value == 1.0
    assert "controls" in error.basis


def _sane(state: ReviewState) -> dict[str, object]:
    """Every number can be made, said and written, without a NaN, and stays inside what is possible."""
    found = estimate(state)
    document = estimate_document(found)
    json.dumps(document, allow_nan=False)
    assert "nan" not in "\n".join(estimate_lines(found)).lower()
    status = review_status(state, at_most=10)
    json.dumps(status_document(status), allow_nan=False)
    assert "nan" not in "\n".join(status_lines(status)).lower()
    for treated in (found.strict, found.lenient):
        if treated is not None:
            e = treated.total.estimate
            assert 0 <= e.low <= e.value <= e.high <= len(state)
    assert found.calibration is None or np.isfinite(found.calibration.p_wrong).all()
    for listed in (flag_at_fdr(state, 0.1), flag_at_precision(state, 0.9, 0.95)):
        json.dumps(list_document(state, listed), allow_nan=False)
        assert listed.words()
    return document


def test_no_verdicts_at_all(case: Case, opened: Opened) -> None:
    assert _sane(read_state(case.run, opened(case, 100)))["strict"] is None


def test_five_verdicts_only(case: Case, opened: Opened) -> None:
    store = opened(case, 300)
    review(store, case, "ann", perfect, 5)
    state = read_state(case.run, store)
    _sane(state)
    strict = estimate(state).strict
    assert strict is not None
    e = strict.total.estimate
    assert e.low <= case.wrong.sum() <= e.high
    assert e.high - e.low > 0.3 * len(state)  # five verdicts say next to nothing, and so does the interval
    assert "few surprises" in " ".join(strict.total.notes)
    # No single number is quoted, and nothing is foretold from five verdicts.
    assert f"between {e.low:,.0f} and {e.high:,.0f} of" in "\n".join(estimate_lines(estimate(state)))
    assert review_status(state).next_expected is None


def test_all_clean_data(tmp_path: Path, opened: Opened) -> None:
    case = make_case(tmp_path / "clean", 1500, rate=0.0)
    assert not case.wrong.any()
    state = _reviewed(case, opened(case, 300))
    _sane(state)
    strict = estimate(state).strict
    assert strict is not None
    assert strict.total.estimate.value == pytest.approx(0, abs=1)
    assert strict.total.estimate.low == 0
    assert 0 < strict.total.estimate.high < 0.1 * len(state)
    assert len(flag_at_precision(state, 0.9, 0.95).positions) == 0


def test_a_reviewer_who_always_says_given(case: Case, opened: Opened) -> None:
    state = _reviewed(case, opened(case, 300), lambda *_: "given")
    _sane(state)
    strict = estimate(state).strict
    assert strict is not None
    e = strict.total.estimate
    assert (e.low, e.value) == (0, 0)
    assert 0 < e.high < 0.1 * len(state)  # nothing found is not nothing there
    assert "few surprises" in " ".join(strict.total.notes)
    assert "not corrected for reviewer error" in "\n".join(estimate_lines(estimate(state)))
    listed = flag_at_precision(state, 0.9, 0.95)
    assert len(listed.positions) == 0
    assert listed.more_uniform > 0


@pytest.mark.parametrize("word", ["unsure", "bad_item"])
def test_a_reviewer_who_never_decides(case: Case, opened: Opened, word: str) -> None:
    state = _reviewed(case, opened(case, 100), lambda *_: word)
    _sane(state)
    found = estimate(state)
    assert found.strict is not None
    assert found.lenient is not None
    assert found.lenient.total.found == 0
    assert found.strict.total.found == (state.reviewed.sum() if word == "unsure" else 0)
    assert found.state.bad_items == (state.reviewed.sum() if word == "bad_item" else 0)


def test_a_class_that_is_all_wrong(tmp_path: Path, opened: Opened) -> None:
    case = make_case(tmp_path / "run", 1500)
    case.wrong[(case.run.scores["given"] == "class 2").to_numpy()] = True
    state = _reviewed(case, opened(case, 600))
    _sane(state)
    found = {p.given: p for p in estimate(state).classes}["class 2"]
    assert found.estimate is not None
    assert found.estimate.low <= found.items
    assert found.estimate.high == pytest.approx(found.items, abs=0.5)
    assert found.estimate.value > 0.8 * found.items


def test_everything_reviewed(tmp_path: Path, opened: Opened) -> None:
    case = make_case(tmp_path / "run", 120)
    store = opened(case, 5000)
    count: Callable[[], int] = lambda: store.progress().judged  # noqa: E731
    review(store, case, "ann", perfect, 1000)
    assert count() == 120
    state = read_state(case.run, store)
    _sane(state)
    strict = estimate(state).strict
    assert strict is not None
    e = strict.total.estimate
    assert (e.low, e.value, e.high) == pytest.approx((case.wrong.sum(),) * 3)
