"""The commands as a user gives them: verdicts, benchmark, report; on files, and from a reviewed run."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from auditor.patch.rules import open_store
from auditor.runs.run import open_run
from tests.conftest import DigitsRun
from tests.e2e.conftest import Cli


def test_files_to_result_and_reports(cli: Cli, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    labels = np.arange(60) % 3
    np.save(tmp_path / "labels.npy", labels)
    items = [
        {
            "id": k,
            "url": "",
            "given_original_label": int(labels[k]),
            "given_original_label_name": f"c{labels[k]}",
            "our_guessed_label": int((labels[k] + 1) % 3),
            "our_guessed_label_name": f"c{(labels[k] + 1) % 3}",
            "mturk": {"given": 5 * (k % 2), "guessed": 5 - 5 * (k % 2), "both": 0, "neither": 0},
        }
        for k in range(0, 60, 5)
    ]
    (tmp_path / "mturk.json").write_text(json.dumps(items))
    (tmp_path / "p").mkdir()
    for name, share in (("strong", 0.9), ("weak", 0.6)):
        np.save(tmp_path / "p" / f"{name}.npy", np.where(rng.random(60) < share, labels, (labels + 1) % 3))
    counted = json.loads(cli("verdicts", "mturk.json", "--labels", "labels.npy", "--json").stdout)
    assert (counted["counts"]["checked"], counted["n_correctable"], counted["n_pruned"]) == (12, 6, 60)
    alone = json.loads(cli("benchmark", "--labels", "labels.npy", "--verdicts", "mturk.json", "--json").stdout)
    assert (alone["n_benign"], alone["models"]) == (54, [])
    unplaced = json.loads(cli("benchmark", "--verdicts", "mturk.json", "--json").stdout)
    assert (unplaced["counts"]["correctable"], unplaced["n_benign"]) == (6, None)
    given = ("benchmark", "--predictions", "p", "--labels", "labels.npy", "--verdicts", "mturk.json", "--draws", "200")
    done = cli(*given, "--out", "bench", "--json").document
    again = cli(*given, "--out", "bench", "--json").document
    assert {k: v for k, v in done.items() if k != "conditions"} == {k: v for k, v in again.items() if k != "conditions"}
    assert [m["name"] for m in done["models"]] == ["strong", "weak"]
    assert done["headline"]
    for form, begin in (("html", "<!doctype html>"), ("md", "# Corrected benchmark"), ("json", "{")):
        cli("report", "bench", "--format", form)
        assert (tmp_path / "bench" / f"report.{form}").read_text().startswith(begin)
    assert cli("report", "bench", "--format", "md", "--out", "-").stdout.startswith("# Corrected benchmark")
    assert "unknown --format" in cli("report", "bench", "--format", "doc", check=2).stderr
    (tmp_path / "bench" / "benchmark.json").write_text("{}")
    assert "was changed" in cli("report", "bench", check=3).stderr


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("--predictions", "p"), 2, "says which labels are wrong"),
        (("--verdicts", "v.json", "--labels", "none.npy"), 3, "v.json"),
        (("--train", "resnet18", "--verdicts", "v.json"), 2, "--train needs the data set"),
    ],
)
def test_calls_that_cannot_work(arguments: tuple[str, ...], code: int, message: str, cli: Cli) -> None:
    assert message in cli("benchmark", *arguments, check=code).stderr


def test_a_reviewed_run_with_an_audit_stream(digits_run: DigitsRun, cli: Cli, tmp_path: Path) -> None:
    """Verdicts of a run, its random draws, its report, and predictions named by the run's own ids."""
    run = open_run(digits_run.path)
    cli("sample", digits_run.path, "--budget", "60")
    with open_store(run.path) as store:
        stream = store.audit_stream()
        flagged = run.findings["id"].tolist()[:8]
        for position, item in enumerate(dict.fromkeys([*stream.item_ids.tolist(), *flagged])):
            verdict = "suggested" if item in flagged else "given"
            event = {"uuid": f"{position:032x}", "item_id": item, "verdict": verdict}
            shown = run.scores.set_index("id").loc[item]
            event |= {"shown_label": shown["given"], "shown_suggested": shown["suggested"]}
            assert not store.submit("ann", [event]).refused
    items = run.items.sort_values("index")
    folder = tmp_path / "p"
    folder.mkdir()
    truth = items["given"].to_numpy()
    best = pd.Series(np.array(run.class_names)[run.pred_probs.argmax(axis=1)], index=run.ids)
    for name, values in (("same", truth), ("model", best.reindex(items["id"]).fillna("0").to_numpy())):
        pd.DataFrame({"id": items["id"], "prediction": values}).sample(frac=1, random_state=0).to_csv(
            folder / f"{name}.csv", index=False
        )
    done = json.loads(
        cli("benchmark", "--run", digits_run.path, "--predictions", folder, "--draws", "200", "--json").stdout
    )
    found = {m["name"]: m for m in done["models"]}
    assert done["agreement"] == 1
    assert done["n_correctable"] == len(flagged)
    assert found["same"]["full_original"] == 1.0
    assert found["same"]["correctable_corrected"] == 0.0
    assert done["audit"]["applicable"]
    assert done["audit"]["draws"] == 60
    assert (run.path / "benchmark" / "report.html").is_file()
    cli("report", digits_run.path, "--format", "md")
    assert (run.path / "report.md").read_text().startswith("# Label errors in digits")
