"""Networks of torchvision and timm with the weights of a file."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

torch = pytest.importorskip("torch")
models = pytest.importorskip("torchvision.models")

from auditor.core.errors import MissingExtraError, UnknownNameError, UsageError  # noqa: E402
from auditor.core.hashing import hash_file  # noqa: E402
from auditor.models.libraries import library_input, timm_network, torchvision_network  # noqa: E402
from auditor.models.weights import open_weights  # noqa: E402
from auditor.train.networks import open_network  # noqa: E402

NAME = "shufflenet_v2_x0_5"


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("weights") / "net.pth"
    torch.save(torchvision_network(4, variant=NAME).state_dict(), path)
    return path


def test_a_file_of_torchvision_predicts_as_it_does_there(file: Path) -> None:
    theirs = models.get_model(NAME, weights=None, num_classes=4).eval()
    theirs.load_state_dict(torch.load(file, weights_only=True))
    network = open_network(f"torchvision:{NAME}@{file}?mean=imagenet&std=imagenet&size=64")
    assert network.n_classes == 4
    images = network.images(np.random.default_rng(0).integers(0, 256, (2, 64, 64, 3), dtype=np.uint8))
    with torch.no_grad():
        assert torch.allclose(network.logits(images), theirs(images), atol=1e-5)


def test_torchvisions_own_weights_are_told_by_their_hash(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UsageError, match="mean, std, size"):  # of another training: nobody says how its images look
        open_weights(f"torchvision:{NAME}@{file}")
    url = f"https://download.pytorch.org/models/net-{hash_file(file).removeprefix('sha256:')[:8]}.pth"
    preset = SimpleNamespace(mean=[0.5, 0.4, 0.3], std=[0.2, 0.2, 0.1], crop_size=[224])
    listed = [SimpleNamespace(url="https://x/net-00000000.pth"), SimpleNamespace(url=url, transforms=lambda: preset)]
    monkeypatch.setattr(models, "get_model_weights", lambda name: listed)
    weights = open_weights(f"torchvision:{NAME}@{file}")
    assert (weights.mean, weights.std, weights.size, weights.source) == ((0.5, 0.4, 0.3), (0.2, 0.2, 0.1), 224, url)


def test_what_the_libraries_do_not_know(file: Path) -> None:
    with pytest.raises(UnknownNameError, match="resnet18"):
        open_weights(f"torchvision:resnet19@{file}")
    with pytest.raises(UsageError, match="names no network"):
        library_input("torchvision", hash_file(file))
    try:
        import timm  # noqa: F401
    except ImportError:
        with pytest.raises(MissingExtraError, match=r"auditor\[timm\]"):
            timm_network(4, variant="resnet18")
        with pytest.raises(MissingExtraError, match=r"auditor\[timm\]"):
            open_weights(f"timm:resnet18@{file}")
    else:
        with pytest.raises(UnknownNameError):
            timm_network(4, variant="no_such_network")
