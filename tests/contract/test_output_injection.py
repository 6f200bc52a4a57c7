"""Output injection, from end to end: hostile names through every command that shows some of them."""

from __future__ import annotations

import csv
import io
import json
import random
import re
from pathlib import Path
from xml.etree import ElementTree

import pandas as pd
import pytest
from markdown_it import MarkdownIt

from auditor.patch.convert.table import COLUMNS
from auditor.review.store import VerdictStore
from auditor.runs.run import open_run
from tests.running import Done, call

CLASSES = [
    "=cmd|' /C calc'!A0",
    "a\n::error file=pwn.py,line=1::FORGED\n::stop-commands::tok\n::add-mask::pass",
    "\x1b]0;TITLE\x07\x1b[2J\x1b[31mESC ##[warning]FORGED",
    "**b** [x](javascript:alert(1)) | ![p](https://elsewhere.example/p.png)",
    "<script>alert(1)</script><img src=x onerror=alert(2)>",
]
IDS = [
    '=HYPERLINK("http://x")',
    "@SUM(1)",
    "x\n::warning::FORGED",
    "\x1b[31mID",
    "../../etc/passwd",
    "<b>id</b>",
    "plain",
]
WORDS = ["apple pear plum", "car bus train", "red blue green", "dog cat cow", "one two three"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data set whose every name is hostile, with copies in conflict, its finished run, and a policy."""
    folder, draw = tmp_path_factory.mktemp("hostile"), random.Random(0)
    rows = []
    for i in range(200):
        kind = i % 5
        label = CLASSES[kind if i % 13 else (kind + 1) % 5]
        text = " ".join(draw.choices(WORDS[kind].split(), k=5)) + f" w{i} <i>"
        rows.append((f"{IDS[i % 7]}-{i}", text, label, "test" if i % 3 == 0 else "train"))
    rows += [(f"dup\n::error::FORGED-{i}", rows[i][1], CLASSES[(i + 2) % 5], "val") for i in range(3)]
    pd.DataFrame(rows, columns=["id", "text", "label", "split"]).to_parquet(folder / "data.parquet")
    (folder / "auditor.toml").write_text("[check]\nmax_label_conflicts = 0\nmax_new_duplicate_leaks = 0\n")
    _checked(call("find-errors", _reference(folder), "--model", "tfidf", "--out", "run", "--json", cwd=folder))
    return folder


def _reference(folder: Path) -> str:
    return f"parquet://{folder / 'data.parquet'}?text=text&label=label&id=id&split_column=split"


def _checked(done: Done) -> Done:
    """Nothing printed is a control character or a command of a CI system."""
    for line in (*done.stdout.split("\n"), *done.stderr.split("\n")):
        assert line.isprintable(), repr(line)
        assert not re.match(r"\s*::", line), line
        assert not re.search(r"##\w*\[|::(error|warning|add-mask|stop-commands)\b", line), line
    return done


def test_messages_tables_and_documents(folder: Path) -> None:
    run = open_run(folder / "run")
    suspects = run.findings["id"].tolist()
    assert len(suspects) > 5
    _checked(call("show", "run", cwd=folder))
    shown = [
        _checked(call("show", "run", "--item", item, "--json", cwd=folder)).document["id"] for item in suspects[:4]
    ]
    assert shown == suspects[:4]
    _checked(call("quality", _reference(folder), cwd=folder))
    for wrong in ("\x1b[2J\n::error::x", "##[error]x"):
        for arguments in (["show", wrong], ["show", "run", "--item", wrong], ["flag", f"--{wrong}"], [wrong]):
            assert _checked(call(*arguments, cwd=folder, check=None)).returncode in (2, 3)


def test_a_gate_speaks_to_github_by_its_own_commands_alone(folder: Path) -> None:
    done = call("check", _reference(folder), "--junit", "j.xml", cwd=folder, check=1, GITHUB_ACTIONS="true")
    told = [line for line in done.stdout.splitlines() if line]
    assert told
    assert all(re.match("::error (file=[^,:]*,)?title=auditor check%3A ", line) for line in told)
    _checked(Done(1, "", done.stderr))
    root = ElementTree.parse(folder / "j.xml").getroot()
    assert "FORGED" in ElementTree.tostring(root, encoding="unicode")


def test_tables_for_spreadsheets(folder: Path) -> None:
    printed = _checked(call("flag", "run", "--out", "flagged.csv", cwd=folder)).stdout
    written = (folder / "flagged.csv").read_bytes().decode()
    for text in (printed, written):
        rows = list(csv.reader(io.StringIO(text, newline="")))
        assert len(rows) > 5
        assert not [cell for row in rows for cell in row if cell.startswith(("=", "+", "@", "\t"))]
    assert {row["id"].removeprefix("'") for row in csv.DictReader(io.StringIO(written, newline=""))} <= set(
        open_run(folder / "run").items["id"]
    )


def test_a_patch_goes_through_csv_and_comes_back_exactly(folder: Path) -> None:
    run = open_run(folder / "run")
    with VerdictStore.open(folder / "store.sqlite") as store:
        store.load_run(run)
        items = store.page(limit=40).items
        events = [
            {
                "uuid": f"00000000-{k:04}",
                "item_id": i.item_id,
                "verdict": f"other:{CLASSES[0]}" if i.suggested != CLASSES[0] != i.given else "suggested",
                "shown_label": i.given,
                "shown_suggested": i.suggested,
            }
            for k, i in enumerate(items)
            if i.suggested is not None
        ]
        assert not store.submit("=ann", events).refused
    call("patch", "create", "run", "--store", "store.sqlite", "--out", "a.labelpatch.jsonl", cwd=folder)
    data = ["--data", f"{_reference(folder)}&split=test"]
    _checked(call("patch", "convert", "a.labelpatch.jsonl", "x.csv", "--to", "csv", *data, cwd=folder))
    rows = list(csv.reader(io.StringIO((folder / "x.csv").read_bytes().decode(), newline="")))
    assert rows[0] == list(COLUMNS)
    assert not [cell for row in rows for cell in row if cell.startswith(("=", "+", "@"))]
    _checked(call("patch", "convert", "x.csv", "b.labelpatch.jsonl", "--from", "csv", *data, cwd=folder))
    first, second = (
        [{k: v for k, v in json.loads(line).items() if k not in ("created", "command")} for line in path.open()][1:]
        for path in (folder / "a.labelpatch.jsonl", folder / "b.labelpatch.jsonl")
    )
    assert [(r["id"], r.get("from"), r.get("to")) for r in first] == [
        (r["id"], r.get("from"), r.get("to")) for r in second
    ]
    assert CLASSES[0] in [r.get("to") for r in first]
    _checked(call("patch", "apply", "a.labelpatch.jsonl", _reference(folder), "--mapping", "m.csv", cwd=folder))
    assert not re.search(r"(?m)(^|,)\"?[=@]", (folder / "m.csv").read_text())
    _checked(call("patch", "apply", "a.labelpatch.jsonl", _reference(folder), "--out", "copy", cwd=folder))
    assert set(pd.read_parquet(folder / "copy" / "data.parquet")["label"]) <= set(CLASSES)


@pytest.mark.parametrize("form", ["md", "html", "json"])
def test_reports(folder: Path, form: str) -> None:
    text = _checked(call("report", "run", "--format", form, "--out", "-", cwd=folder)).stdout
    page = MarkdownIt("commonmark", {"html": True}).enable("table").render(text) if form == "md" else text
    if form != "json":
        assert not re.search(r"<(script|img src=x|i>|b>id)", page)
        assert not re.search(r"(href|src)=.?(javascript|https?):", page)
