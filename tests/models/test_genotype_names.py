"""Genotype files as entries of a benchmark: names without paths, one file one network."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("torch")

from auditor.benchmark.training import make_entry, train_networks
from auditor.core.config import load_settings
from auditor.core.errors import UnreadableError, UsageError
from auditor.core.progress import SilentProgress
from auditor.models.eas import SMALL_DENSE, SMALL_PLAIN
from auditor.models.genotype import Genotype, file_hash, parse_genotype, read_genotype, write_genotype
from auditor.models.nasnet import NASNET_A
from auditor.models.proxyless_published import CIFAR
from auditor.models.registry import build_model, short_name
from auditor.train.final import FinalNetwork, slug

SMALL = NASNET_A.model_copy(update={"cells": 1, "filters": 2})
TREE = CIFAR.model_copy(update={"cells": CIFAR.cells[:3], "stem": 4, "end": 6})
CASES = {"nasnet": SMALL, "proxyless": TREE, "eas": SMALL_PLAIN, "eas-dense": SMALL_DENSE}


def _write(folder: Path, genotype: Genotype) -> Path:
    write_genotype(folder / "found.json", genotype, role="found")
    return folder / "found.json"


def test_names_are_readable_unique_and_without_paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    plain, dense = _write(tmp_path / "eas", SMALL_PLAIN), _write(tmp_path / "eas-dense", SMALL_DENSE)
    assert slug(f"eas:{plain}") == f"eas-found-{file_hash(plain)[:8]}"
    assert slug("eas:eas-dense/found.json") == f"eas-dense-found-{file_hash(dense)[:8]}"
    elsewhere = _write(tmp_path / "mine", SMALL_PLAIN)
    assert slug(f"eas:{elsewhere}") == f"eas-mine-found-{file_hash(plain)[:8]}"
    other = _write(tmp_path / "x" / "eas", SMALL_PLAIN.model_copy(update={"dropout": 0.5}))
    assert slug(f"eas:{other}") != slug(f"eas:{plain}")  # the same folder and file name, another network
    assert slug(f"rd:eas:{plain}@0.8") == f"rd-eas-found-{file_hash(plain)[:8]}-0.8"
    for name in ("resnet20", "vgg16_bn:w0.25", "eas:start-dense", "nasnet_a:n1-f8", "rd:resnet20@0.8"):
        assert short_name(name) == name
    recipe = FinalNetwork.of(f"eas:{plain}", "smoke", "cpu").recipe()
    assert str(tmp_path) not in str(recipe)
    assert recipe == FinalNetwork.of("eas:eas/found.json", "smoke", "cpu").recipe()  # wherever it is named from
    with pytest.raises(UnreadableError, match=r"none\.json"):
        make_entry("nasnet:none.json", "smoke", "cpu")


@pytest.mark.parametrize("case", list(CASES))
def test_a_file_is_the_network(case: str, tmp_path: Path) -> None:
    base = case.partition("-")[0]
    path = _write(tmp_path, CASES[case])
    assert read_genotype(path, base) == CASES[case]
    assert build_model(f"{base}:{path}", 3, 32, 0).genotype == CASES[case]
    other = "eas" if base != "eas" else "nasnet"
    with pytest.raises(UnreadableError, match="not of"):
        read_genotype(path, other)
    with pytest.raises(UnreadableError, match="no network"):
        parse_genotype({"system": base, "space": "unknown"}, "here")


def test_found_networks_are_trained_beside_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from PIL import Image

    from tests.lab.search.conftest import colours

    monkeypatch.chdir(tmp_path)
    for split, n in (("train", 40), ("test", 8)):
        images, labels = colours(n, 32, n)
        for number, (pixels, label) in enumerate(zip(images, labels, strict=True)):
            place = tmp_path / "data" / split / str(label)
            place.mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels).save(place / f"{number}.png")
    names = []
    for case, genotype in CASES.items():
        _write(tmp_path / case, genotype)
        names.append(f"{case.partition('-')[0]}:{case}/found.json")
    common = {"budget": "smoke", "device": "cpu", "workers": 1, "settings": load_settings(), "seeds": 1}
    manifest = train_networks("data", names, tmp_path / "out", progress=SilentProgress(), **common)
    stems = [f"{case}-found-{file_hash(f'{case}/found.json')[:8]}__seed0" for case in CASES]
    assert [row["file"] for row in manifest["networks"]] == [f"predictions/{stem}.npz" for stem in stems]
    assert all((tmp_path / "out" / row["file"]).is_file() for row in manifest["networks"])
    twice = ["eas:eas/found.json", f"eas:{tmp_path / 'eas' / 'found.json'}"]
    with pytest.raises(UsageError, match="same file name"):
        train_networks("data", twice, tmp_path / "out", progress=SilentProgress(), **common)
