"""The page of flagged pictures."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from PIL import Image

from auditor.core.errors import UnreadableError
from auditor.kinds.base import KindFlags
from auditor.kinds.registry import flag_kind
from auditor.report import located
from auditor.report.located import write_page
from tests.kinds.cases import boxes
from tests.running import call


@pytest.fixture(scope="module")
def flags() -> KindFlags:
    inputs = boxes().inputs
    inputs["labels"]["categories"][0]["name"] = "<script>alert(1)</script>"
    return flag_kind("boxes", **inputs)


def test_every_shape_and_finding_is_on_the_page(flags: KindFlags, tmp_path: Path) -> None:
    assert flags.pictured is not None
    assert write_page(flags, tmp_path / "p.html") == len(flags.pictured) <= located.MOST_SHOWN
    page = (tmp_path / "p.html").read_text()
    shapes = [shape for picture in flags.pictured for shape in picture.shapes]
    assert page.count("<rect ") == len(shapes)
    assert page.count('<rect class="wrong"') == sum(s.given and s.finding is not None for s in shapes)
    assert page.count('<rect class="instead"') == sum(not s.given for s in shapes)
    assert page.count("<li>") == len(flags.flagged)
    assert "<script" not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    assert "<image " not in page


def test_pictures_lie_in_the_page_and_the_rest_is_counted(
    flags: KindFlags, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(located, "MOST_SHOWN", 3)
    for k in range(70):
        Image.new("L", (220, 220), k).save(tmp_path / f"{10 + k}.png")
    assert write_page(flags, tmp_path / "p.html", tmp_path) == 3
    page = (tmp_path / "p.html").read_text()
    assert len(re.findall(r'<image href="data:image/jpeg;base64,', page)) == 3
    assert "the 3 most suspicious pictures are shown" in page
    assert not re.search(r'(src|href)="(?!data:image/)', page)
    assert flags.pictured is not None
    (tmp_path / f"{next(iter(flags.pictured)).id}.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    with pytest.raises(UnreadableError, match="damaged"):
        write_page(flags, tmp_path / "q.html", tmp_path)
    assert not (tmp_path / "q.html").exists()


def test_the_command_writes_page_and_tasks(tmp_path: Path) -> None:
    inputs = boxes().inputs
    for row in inputs["labels"]["images"]:
        row["file_name"] = f"{row['id']}.png"
    options: list[str | Path] = ["flag", "--kind", "boxes"]
    for name, value in inputs.items():
        (tmp_path / f"{name}.json").write_text(json.dumps(value))
        options += [f"--{name}", tmp_path / f"{name}.json"]
    page, tasks = tmp_path / "p.html", tmp_path / "t.json"
    done = call(*options, "--report", page, "--tasks", tasks, "--image-prefix", "s3://b/", "--json")
    assert page.read_text().count('<div class="card">') == len(json.loads(tasks.read_text()))
    assert done.document["n_flagged"] == page.read_text().count("<li>")
    assert json.loads(tasks.read_text())[0]["data"]["image"].startswith("s3://b/")
    (tmp_path / "t.xml").write_text("mine")
    tasks.unlink()
    assert "t.xml" in call(*options, "--tasks", tasks, check=2).stderr
    assert "--images is for" in call(*options, "--images", tmp_path, check=2).stderr
    assert "--image-prefix is for" in call(*options, "--image-prefix", "x", check=2).stderr
    assert "--report goes" in call("flag", "--pred-probs", "p.npy", "--report", tmp_path / "r.html", check=2).stderr
