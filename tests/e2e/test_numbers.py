"""From a real run and its review to the numbers, by the commands."""

from __future__ import annotations

import uuid

import pandas as pd
import pytest

pytest.importorskip("sqlalchemy")
pytest.importorskip("alembic")

import auditor
from auditor.review.store import VerdictStore
from tests.conftest import DigitsRun
from tests.e2e.conftest import Cli

#: Every 20th label counts as wrong in this play, and besides them those the model flags: any truth will do.
EVERY = 20


def _truth(run: auditor.Run) -> set[str]:
    scores = run.scores
    return set(scores["id"][scores["flagged"] | (scores["row"] % EVERY == 0)])


def _judge_all(run: auditor.Run, wrong: set[str], most: int) -> int:
    """Judge the next `most` items of the queue, streams mixed as they come."""
    done = 0
    with VerdictStore.open(run.path) as store:
        while done < most and (batch := store.next_batch("ann", min(50, most - done))):
            events = [
                {
                    "uuid": str(uuid.uuid4()),
                    "item_id": i.item_id,
                    "verdict": "neither" if i.item_id in wrong else "given",
                    "shown_label": i.given,
                    "shown_suggested": i.suggested,
                    "ms": 900,
                    "client_time": 1_700_000_000.0,
                }
                for i in batch
            ]
            assert not store.submit("ann", events).refused
            done += len(events)
    return done


def test_from_a_run_to_numbers(cli: Cli, digits_run: DigitsRun) -> None:
    run = auditor.open_run(digits_run.path)
    wrong = _truth(run)
    drawn = cli("sample", "run", "--budget", "400", "--target-precision", "0.9", "--json")
    sample = drawn.document
    assert sample["draws"] == 400
    assert sample["frame"] == 1797
    assert "within +-" in drawn.stderr
    assert cli("estimate", "run", "--json").document["strict"] is None  # nobody has judged anything
    assert "more uniform reviews needed" in cli("flag", "run", "--precision", "0.9").stderr

    assert _judge_all(run, wrong, 1000) > 250
    told = cli("estimate", "run", "--write", "--json")
    total = told.document["strict"]["total"]
    assert total["low"] <= len(wrong) <= total["high"] < 0.3 * 1797
    assert "not corrected for reviewer error" in told.stderr
    table = pd.read_parquet(run.path / "p_wrong.parquet")
    assert len(table) == 1797
    assert table["p_wrong"].between(0, 1).all()

    status = cli("status", "run", "--at-most", "1797", "--json").document
    flagged = set(run.findings["id"])
    remaining = status["remaining"]
    judged = set(table["id"][table["verdict"].notna()])
    assert remaining["low"] <= len(wrong - flagged - judged) <= remaining["high"]
    assert status["may_stop"] is True
    assert "the next" in cli("status", "run").stderr

    listed = cli("flag", "run", "--fdr", "0.2", "--json").document
    assert listed["schema"] == "auditor.flag-list/1"
    assert listed["n_flagged"] == len(listed["flagged"])
    assert listed["n_flagged"] > 0 or listed["more_uniform_reviews"] > 0


def test_wrong_calls(cli: Cli, digits_run: DigitsRun) -> None:
    assert "exclude each other" in cli("flag", "run", "--fdr", "0.1", "--precision", "0.9", check=2).stderr
    assert "need a reviewed run" in cli("flag", "--fdr", "0.1", check=2).stderr
    assert "between 0 and 1" in cli("flag", "run", "--fdr", "1.5", check=2).stderr
    # The stream drawn at loading is no basis for a list.
    refused = cli("flag", "run", "--fdr", "0.1", check=2)
    assert "drawn in strata" in refused.stderr
    assert "auditor sample" in refused.stderr


def test_nothing_to_calibrate_on(cli: Cli, digits_run: DigitsRun) -> None:
    assert "nothing was written" in cli("estimate", "run", "--write", check=3).stderr
    assert not (digits_run.path / "p_wrong.parquet").exists()
