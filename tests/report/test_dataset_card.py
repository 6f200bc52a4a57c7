"""A corrected copy with its dataset card: what it says, what stays of a card that was there, what the Hub reads."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from auditor.core.config import Settings
from auditor.core.errors import UsageError
from auditor.data.open import open_dataset
from auditor.patch.applying import apply_patch, revert_patch
from auditor.patch.files import read_patch, write_patch
from auditor.patch.records import Patch
from auditor.report.dataset_card import write_card
from tests.patch.conftest import header_for, record_for
from tests.running import call


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(cache_dir=tmp_path / "cache", offline=True)


@pytest.fixture
def corrected(tmp_path: Path, settings: Settings) -> tuple[Patch, Path, str]:
    """A patch, the copy it made, and the data."""
    classes = ("cat", "dog", "h|o*rse")
    lines = [f"a text with the number {k} in it,{classes[k % 3]}" for k in range(9)]
    (tmp_path / "x.csv").write_text("text,label\n" + "\n".join(lines) + "\n")
    reference = f"csv://{tmp_path}/x.csv?text=text"
    data = open_dataset(reference, settings)
    said = ((0, "relabel", "dog"), (2, "multi", "cat", "h|o*rse"), (4, "drop"), (6, "relabel", "dog"))
    patch = Patch(header_for(data), tuple(record_for(data, row, op, *to) for row, op, *to in said))
    apply_patch(patch, reference, settings, tmp_path / "copy")
    return patch, tmp_path / "copy", reference


def test_the_card_says_what_was_changed_and_carries_the_patch(
    corrected: tuple[Patch, Path, str], settings: Settings, tmp_path: Path
) -> None:
    patch, copy, _ = corrected
    card, kept = write_card(patch, copy)
    text = card.read_text()
    _, front, body = text.split("---\n", 2)
    about = yaml.safe_load(front)
    assert about["pretty_name"] == f"{patch.header.name}, labels corrected"
    assert (about["size_categories"], about["license"]) == (["n<1K"], "unknown")
    assert f"{len(patch.records)} labels of" in body
    assert patch.header.fingerprint in body
    rows = [line for line in body.splitlines() if line.startswith("|")]
    assert len(rows) == 2 + len({(r.from_label, r.outcome) for r in patch.records})
    assert "h|o*rse" not in body, "names are text, no markup"
    assert read_patch(kept).digest == patch.digest
    # The copy is what it was: it opens, and the patch is taken back exactly.
    revert_patch(read_patch(kept), str(copy), settings, tmp_path / "back")
    assert (tmp_path / "back" / "x.csv").read_bytes() == Path(tmp_path / "x.csv").read_bytes()


def test_a_card_that_is_there_stays_and_ours_is_replaced(corrected: tuple[Patch, Path, str]) -> None:
    patch, copy, _ = corrected
    (copy / "README.md").write_text("---\nlicense: mit\n---\n# Pets\n\nMine.\n")
    card, _ = write_card(patch, copy)
    first = card.read_text()
    assert first.startswith("---\nlicense: mit\n---\n# Pets\n\nMine.\n\n")
    card.write_text(first + "\n## Thanks\n")
    write_card(patch, copy)
    assert card.read_text() == first + "\n## Thanks\n"
    assert card.read_text().count("## Corrected labels") == 1


def test_another_folder_or_patch_is_refused(corrected: tuple[Patch, Path, str], tmp_path: Path) -> None:
    patch, copy, _ = corrected
    with pytest.raises(UsageError, match="no corrected copy"):
        write_card(patch, tmp_path)
    with pytest.raises(UsageError, match="was not applied"):
        write_card(Patch(patch.header, patch.records[:1]), copy)
    assert not (copy / "README.md").exists()


def test_the_command(corrected: tuple[Patch, Path, str], tmp_path: Path) -> None:
    patch, copy, _ = corrected
    write_patch(patch, tmp_path / "a.labelpatch.jsonl")
    done = call("patch", "card", tmp_path / "a.labelpatch.jsonl", copy, "--json")
    assert json.loads(done.stdout)["schema"] == "auditor.patch-card/1"
    assert "hf upload" in done.stderr
    assert (copy / "README.md").is_file()
