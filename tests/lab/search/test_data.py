"""What a search may see."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from auditor.core.config import load_settings
from auditor.core.errors import UsageError
from auditor.core.progress import SilentProgress
from auditor.lab.search.data import open_search_data


def test_parts_come_from_the_train_split_alone(data_dir: Path, tmp_path: Path) -> None:
    whole = data_dir / "cifar10"
    (tmp_path / "cifar10").mkdir()
    for file in whole.glob("train-*"):
        (tmp_path / "cifar10" / file.name).symlink_to(file.resolve())
    for file in whole.glob("test-*"):  # opening it would fail
        (tmp_path / "cifar10" / file.name).write_bytes(b"not a table")
    settings = load_settings({"data_dir": tmp_path})
    found = open_search_data("cifar10", 40, 30, settings, SilentProgress())
    assert not np.intersect1d(found.train, found.validation).size
    assert np.bincount(found.data.labels[found.train]).tolist() == [4] * 10
    assert np.bincount(found.data.labels[found.validation]).tolist() == [3] * 10
    assert len(found.data) == len(set(found.ids.tolist())) == 70
    assert all(str(item).startswith("train/") for item in found.ids)
    more = open_search_data("cifar10", 60, 30, settings, SilentProgress())
    assert more.ids[more.validation].tolist() == found.ids[found.validation].tolist()  # not moved by the other number


def test_other_data_is_refused(tmp_path: Path) -> None:
    table = tmp_path / "t.csv"
    table.write_text("a,label,part\n" + "1,x,train\n2,y,train\n3,x,test\n" * 20)
    with pytest.raises(UsageError, match="images"):
        open_search_data(f"csv://{table}?label=label&split_column=part", 10, 10, load_settings(), SilentProgress())
