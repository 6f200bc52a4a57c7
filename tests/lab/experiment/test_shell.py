"""The shell every experiment runs in: its plan first, its conditions, its manifest last, its pages again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from auditor.core.errors import MissingExtraError, UnknownNameError, UnreadableError, UsageError
from auditor.core.files import read_json
from auditor.core.hashing import hash_bytes
from auditor.lab.cifake.grid.experiment import GridExperiment
from auditor.lab.experiment.shell import FITS, MANIFEST, PLAN, RESULTS, Experiment, ExperimentOptions, Workplace
from auditor.lab.prune.experiment import PruneExperiment
from auditor.lab.search.experiment import SearchExperiment


class Tossing(Experiment):
    """Heads of a coin."""

    schema = "test.coin/1"
    expectation = "More heads than tails."
    control = "A fair coin."

    def __init__(self, broken: Exception | None = None) -> None:
        self.options, self.broken = ExperimentOptions(budget="smoke", seeds=2), broken

    def measure(self, at: Workplace) -> dict[str, Any]:
        assert read_json(at.folder / PLAN)["expectation"] == self.expectation, "written before anything is measured"
        assert not (at.folder / MANIFEST).exists()
        if self.broken:
            raise self.broken
        (at.folder / "log.txt").write_text("h t")
        return {"heads": 3, "machine": {"cpu": "coin"}}

    @classmethod
    def render(cls, document: Mapping[str, Any]) -> dict[str, str]:
        return {"results.md": f"{document['heads']} heads\n"}

    @classmethod
    def files(cls, document: Mapping[str, Any]) -> list[str]:
        return ["log.txt"]


def test_a_report_has_its_plan_its_conditions_and_a_manifest_of_all_files(tmp_path: Path) -> None:
    document = Tossing().run(Workplace(tmp_path, command="toss"))
    assert document == read_json(tmp_path / RESULTS)
    told = {key: document[key] for key in ("schema", "expectation", "control", "budget", "seeds", "command", "heads")}
    assert told == {
        "schema": "test.coin/1",
        "expectation": "More heads than tails.",
        "control": "A fair coin.",
        "budget": "smoke",
        "seeds": 2,
        "command": "toss",
        "heads": 3,
    }
    assert document["reproduction"] == "not a reproduction"
    assert document["machine"] == {"cpu": "coin"}, "what is measured stands in the place of a condition"
    manifest = read_json(tmp_path / MANIFEST)
    assert (manifest["schema"], manifest["result"]) == ("test.coin-folder/1", "test.coin/1")
    assert set(manifest["files"]) == {RESULTS, PLAN, "results.md", "log.txt"}
    assert all(hash_bytes((tmp_path / name).read_bytes()) == digest for name, digest in manifest["files"].items())


@pytest.mark.parametrize("budget", ["cpu", "gpu10", "paper"])
def test_no_budget_class_alone_makes_a_reproduction(budget: str, tmp_path: Path) -> None:
    tossing = Tossing()
    tossing.options = replace(tossing.options, budget=budget)  # type: ignore[arg-type]
    assert tossing.run(Workplace(tmp_path))["reproduction"] == "not a reproduction"


def test_what_stops_in_the_middle_is_not_finished(tmp_path: Path) -> None:
    Tossing().run(Workplace(tmp_path))
    with pytest.raises(RuntimeError, match="it rolled away"):
        Tossing(RuntimeError("it rolled away")).run(Workplace(tmp_path))
    assert not (tmp_path / MANIFEST).exists()


@pytest.mark.parametrize(
    "refusal",
    [
        UsageError("no coin"),
        UnknownNameError("data set", "nope", ["cifar10"]),
        MissingExtraError("torch", "torch", "x"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_a_refused_call_leaves_a_finished_result_finished(refusal: UsageError, tmp_path: Path) -> None:
    Tossing().run(Workplace(tmp_path))
    before = {path: path.read_bytes() for path in tmp_path.iterdir() if path.name != ".lock"}
    with pytest.raises(type(refusal)):
        Tossing(refusal).run(Workplace(tmp_path))
    assert {path: path.read_bytes() for path in before} == before


def test_pages_are_written_again_from_the_results(tmp_path: Path) -> None:
    Tossing().run(Workplace(tmp_path))
    before = {name: (tmp_path / name).read_bytes() for name in (RESULTS, "results.md", MANIFEST)}
    (tmp_path / "results.md").write_text("spoilt")
    (tmp_path / MANIFEST).unlink()
    Tossing.rewrite(tmp_path)
    assert {name: (tmp_path / name).read_bytes() for name in before} == before
    with pytest.raises(UnreadableError, match=r"auditor\.prune/1"):
        PruneExperiment.rewrite(tmp_path)


def test_fits_lie_in_the_folder_unless_they_are_shared(tmp_path: Path) -> None:
    assert Workplace(tmp_path).fits == tmp_path / FITS
    assert Workplace(tmp_path, fits=tmp_path / "shared").fits == tmp_path / "shared"
    assert Workplace(tmp_path, workers=3).processes == 3
    assert Workplace(tmp_path).processes >= 1


def test_options_are_judged_once() -> None:
    with pytest.raises(UnknownNameError, match="budget class"):
        ExperimentOptions(budget="huge")  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="--seeds"):
        ExperimentOptions(seeds=0)


@pytest.mark.parametrize("kind", [PruneExperiment, SearchExperiment, GridExperiment])
def test_every_experiment_says_what_it_expects_and_what_stands_beside_it(kind: type[Experiment]) -> None:
    assert kind.schema.startswith("auditor.")
    assert len(kind.expectation.split()) > 5
    assert len(kind.control.split()) > 5
