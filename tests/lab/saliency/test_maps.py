"""Maps of a network whose evidence is known: it sees red, and red is in the centre."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from PIL import Image  # noqa: E402
from torch import nn  # noqa: E402

from auditor.lab.saliency.maps import StudiedImages, contact_sheet, measure_maps  # noqa: E402
from auditor.train.kept import KeptNetwork  # noqa: E402


def _sees_red() -> KeptNetwork:
    """Class 1 by the mean of red, class 0 by that of green."""
    colours, sums = nn.Conv2d(3, 2, 3, padding=1, bias=False), nn.Linear(2, 2, bias=False)
    with torch.no_grad():
        colours.weight.zero_()
        colours.weight[0, 1, 1, 1] = colours.weight[1, 0, 1, 1] = 1.0
        sums.weight.copy_(40 * torch.eye(2))
    model = nn.Sequential(colours, nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), sums).eval()
    return KeptNetwork("made", model, torch.zeros(1, 3, 1, 1), torch.ones(1, 3, 1, 1), (32, 32), 2)


@pytest.fixture
def images() -> StudiedImages:
    """24 images with a square in the centre, red where the object is 1, green where it is 0; three labels are wrong."""
    objects = np.arange(24) % 2
    pixels = np.zeros((24, 32, 32, 3), np.uint8)
    pixels[objects == 1, 12:20, 12:20, 0] = 255
    pixels[objects == 0, 12:20, 12:20, 1] = 255
    labels = objects.copy()
    labels[:3] = 1 - labels[:3]
    return StudiedImages(pixels, labels, objects, np.arange(24).astype(str), ("green", "red"), ("g", "r"))


def test_the_map_lies_where_the_evidence_is_and_its_control_does_not(images: StudiedImages) -> None:
    measured = measure_maps(_sees_red(), images, seed=0)
    assert measured["predicted"].tolist() == images.objects.tolist()
    groups = measured["groups"]
    assert {name: groups[name]["n"] for name in ("all", "right", "wrong", "green", "red")} == {
        "all": 24,
        "right": 21,
        "wrong": 3,
        "green": 11,
        "red": 13,
    }
    assert groups["red g"]["n"] == 2
    assert groups["all"]["centre_share"][0] > 0.9 > groups["all"]["control_centre_share"][0]
    assert groups["all"]["drop_centre_less_border"][0] > 0.3
    assert groups["all"]["deletion_less_control"][0] < -0.3


def test_the_sheet_shows_right_and_wrong_of_every_source(images: StudiedImages, tmp_path: Path) -> None:
    measured = measure_maps(_sees_red(), images, seed=0)
    rows = contact_sheet(measured, images, 0, tmp_path / "sheet.png")
    assert [row["group"] for row in rows] == ["green, right", "green, wrong", "red, right", "red, wrong"]
    assert sorted(rows[1]["ids"] + rows[3]["ids"]) == ["0", "1", "2"]
    assert len(rows[0]["ids"]) == 8
    assert rows == contact_sheet(measured, images, 0, tmp_path / "again.png")
    assert Image.open(tmp_path / "sheet.png").size[1] == 4 * (96 + 8)
