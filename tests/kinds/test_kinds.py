"""What holds for every label kind."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import average_precision_score

from auditor.core.errors import UnknownNameError, UsageError
from auditor.kinds.base import LabelKind
from auditor.kinds.registry import KINDS, flag_kind
from tests.conftest import ROOT
from tests.kinds.cases import CASES, Case
from tests.running import call


@pytest.fixture(params=sorted(CASES), scope="module")
def kind(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture(scope="module")
def case(kind: str) -> Case:
    return CASES[kind]()


def test_every_kind_has_a_case_a_section_and_codes_of_its_own() -> None:
    assert sorted(CASES) == sorted(KINDS)
    page = (ROOT / "docs" / "label-kinds.md").read_text()
    codes = []
    for name in KINDS:
        asked = KINDS.load(name)()
        assert isinstance(asked, LabelKind)
        assert asked.name == name
        assert f"\n## {name}\n" in page
        assert [code for code in asked.codes if f"| `{code}` |" not in page] == []
        codes += asked.codes
    assert len(set(codes)) == len(codes)


def test_wrong_cells_score_higher_and_are_flagged(kind: str, case: Case) -> None:
    flags = flag_kind(kind, **case.inputs)
    assert flags.scores.shape == flags.shape == case.wrong.shape
    assert np.isfinite(flags.scores).all()
    assert average_precision_score(case.wrong.ravel(), flags.scores.ravel()) > 0.7
    assert case.wrong[tuple(flags.flagged.T)].mean() > 0.5
    ranked = flags.scores[tuple(flags.flagged.T)]
    assert (np.diff(ranked) <= 1e-12).all(), "most suspicious first"
    assert (flags.given != flags.suggested).all()
    assert set(flags.codes) <= set(KINDS.load(kind).codes)
    assert len(flags.to_frame()) == len(flags.flagged) == sum(flags.counts.values())


def test_permuting_the_items_permutes_the_answer(kind: str, case: Case) -> None:
    order = np.random.default_rng(1).permutation(len(case.wrong))
    permuted = {name: value[order] if name in case.rows else value for name, value in case.inputs.items()}
    if not case.rows:
        pytest.skip("the order of the rows belongs to the input")
    plain, other = flag_kind(kind, **case.inputs), flag_kind(kind, **permuted)
    np.testing.assert_allclose(other.scores, plain.scores[order], rtol=1e-6, atol=1e-9)
    assert {(order[cell[0]], *cell[1:]) for cell in other.flagged.tolist()} == set(map(tuple, plain.flagged.tolist()))


def test_files_are_answered_as_arrays_are(kind: str, case: Case, tmp_path: Path) -> None:
    flags = flag_kind(kind, **case.inputs)
    options: list[str] = []
    for name, value in case.inputs.items():
        path = tmp_path / f"{name}.npy"
        if isinstance(value, np.ndarray):
            np.save(path, value)
        else:
            path = path.with_suffix(".json")
            path.write_text(json.dumps(value))
        options += [f"--{name.replace('_', '-')}", str(path)]
    scores, table = tmp_path / "s.npy", tmp_path / "flagged.csv"
    done = call("flag", "--kind", kind, *options, "--scores", scores, "--out", table, "--json")
    document = done.document
    assert np.array_equal(np.load(scores), flags.scores if flags.saved is None else flags.saved)
    assert {name: document[name] for name in flags.document()} == flags.document()
    assert len(table.read_text().splitlines()) == 1 + document["n_flagged"]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"labels": [[1]], "offsets": [0]}, "takes no --offsets"),
        ({"labels": [[1]]}, "needs --pred-probs"),
        ({"pred_probs": None, "labels": None}, "needs --pred-probs and --labels"),
    ],
)
def test_a_kind_names_what_it_takes(given: dict, message: str) -> None:
    with pytest.raises(UsageError, match=message) as raised:
        flag_kind("multilabel", **given)
    assert raised.value.way_out == "It takes --pred-probs, --labels."


@pytest.mark.parametrize(
    "options",
    [["--kind", "multilabel", "--rule", "paper"], ["--kind", "multilabel", "--threads", "1"], ["--offsets", "o.npy"]],
)
def test_options_of_single_labels_and_of_kinds_are_kept_apart(options: list[str]) -> None:
    done = call("flag", "--pred-probs", "p.npy", "--labels", "y.npy", *options, check=2)
    assert "with --kind" in done.stderr


def test_an_unknown_kind_suggests_the_nearest() -> None:
    with pytest.raises(UnknownNameError) as raised:
        flag_kind("multi-label")
    assert raised.value.suggestions == ("multilabel",)


def test_the_examples_of_the_page_run() -> None:
    page = (ROOT / "docs" / "label-kinds.md").read_text()
    blocks = [
        block for block in re.findall(r"^```python\n(.*?)^```", page, re.MULTILINE | re.DOTALL) if "import" in block
    ]
    assert len(blocks) >= len(list(KINDS))
    for block in blocks:
        exec(compile(block, "label-kinds.md", "exec"), {})
