"""Images on the device: resizing, shifting with reflection, mirroring, the order of batches."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from auditor.core.errors import DataError  # noqa: E402
from auditor.train.batches import ImageTensor, shuffled_batches  # noqa: E402


def _images(n: int = 12, height: int = 20, width: int = 24) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (n, height, width, 3), dtype=np.uint8)


def _tensor(features: np.ndarray) -> ImageTensor:
    return ImageTensor(features, "cpu", np.arange(len(features)))


def test_plain_images_are_normalised_channels_last() -> None:
    features = _images()
    images = _tensor(features)
    out = images.plain(torch.arange(12), (20, 24))
    expected = features.astype(np.float64)
    expected = (expected - expected.mean((0, 1, 2))) / expected.std((0, 1, 2))
    assert out.dtype == torch.float32
    assert out.is_contiguous(memory_format=torch.channels_last)
    assert np.allclose(out.numpy(), expected.transpose(0, 3, 1, 2), atol=1e-5)


def test_statistics_come_from_the_given_rows_only() -> None:
    features = _images()
    features[6:] = 255
    images = ImageTensor(features, "cpu", np.arange(6))
    assert torch.allclose(images.mean.flatten().double(), torch.tensor(features[:6].mean((0, 1, 2))))
    constant = ImageTensor(np.full((4, 8, 8, 3), 7, np.uint8), "cpu", np.arange(4))
    assert torch.isfinite(constant.plain(torch.arange(4), (8, 8))).all()


@pytest.mark.parametrize("mirror", [False, True])
def test_shift_and_mirror_equal_numpy(mirror: bool) -> None:
    features = _images()
    images = _tensor(features)
    shift = torch.tensor([[d, r] for d in (-2, 0, 2) for r in (-2, -1, 0, 2)])
    flips = torch.full((12,), mirror)
    out = images.augmented(torch.arange(12), (20, 24), shift, flips)
    padded = np.pad(features, ((0, 0), (2, 2), (2, 2), (0, 0)), mode="reflect")
    crops = np.stack([padded[i, 2 + d : 22 + d, 2 + r : 26 + r] for i, (d, r) in enumerate(shift.tolist())])
    if mirror:
        crops = crops[:, :, ::-1]
    expected = _tensor(features)._finish(torch.from_numpy(crops.copy()), (20, 24))
    assert torch.equal(out, expected)


def test_downsizing_is_antialiased() -> None:
    stripes = np.zeros((2, 32, 32, 3), np.uint8)
    stripes[:, :, ::2] = 255  # one pixel wide: averages to grey, while plain sampling would keep stripes
    images = ImageTensor(np.concatenate([stripes, _images(4, 32, 32)]), "cpu", np.arange(2, 6))
    small = images.plain(torch.arange(2), (16, 16))[:, :, 2:-2, 2:-2]
    raw = small * images.std + images.mean
    assert small.shape[-1] == 12
    assert (raw - 127.5).abs().max() < 10


def test_size_at_keeps_the_shape_and_the_least_side() -> None:
    images = _tensor(_images())
    assert images.size_at(0.5, 8) == (10, 12)
    assert images.size_at(0.5, 16) == (16, 19)
    assert images.size_at(1.0, 40) == (40, 48)
    assert images.plain(torch.arange(2), (40, 48)).shape == (2, 3, 40, 48)


def test_memory_map_is_read_in_place(tmp_path: Path) -> None:
    features = _images()
    np.save(tmp_path / "x.npy", features)
    mapped = np.load(tmp_path / "x.npy", mmap_mode="r")
    images = ImageTensor(mapped, "cpu", np.arange(12))
    assert torch.equal(images.plain(torch.arange(12), (20, 24)), _tensor(features).plain(torch.arange(12), (20, 24)))
    images.pixels[0] = 0  # copy on write: the file stays as it was
    assert np.array_equal(np.load(tmp_path / "x.npy"), features)


@pytest.mark.parametrize(
    "features", [np.zeros((3, 8, 8, 3), np.float32), np.zeros((3, 8, 8), np.uint8), np.zeros((3, 8, 8, 4), np.uint8)]
)
def test_other_arrays_are_refused(features: np.ndarray) -> None:
    with pytest.raises(DataError, match="uint8 images of shape"):
        ImageTensor(features, "cpu", np.arange(3))


def _epoch(epoch: int, seed: int = 1, n: int = 103, mirror: bool = True) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    parts = list(shuffled_batches(n, 10, seed, epoch, (2, 3), mirror, "cpu"))
    assert all(len(p) == 10 for p, _, _ in parts)
    return tuple(np.concatenate([part[i].numpy() for part in parts]) for i in range(3))  # type: ignore[return-value]


def test_epoch_order_is_a_function_of_seed_and_epoch() -> None:
    a, b, c, d = _epoch(0), _epoch(0), _epoch(1), _epoch(0, seed=2)
    assert all(np.array_equal(x, y) for x, y in zip(a, b, strict=True))
    assert not np.array_equal(a[0], c[0])
    assert not np.array_equal(a[0], d[0])
    assert len(np.unique(a[0])) == len(a[0]) == 100, "no item twice; the incomplete batch is dropped"
    assert set(a[1][:, 0]) == {-2, -1, 0, 1, 2}
    assert set(a[1][:, 1]) == {-3, -2, -1, 0, 1, 2, 3}


def test_mirroring_alternates() -> None:
    flips = []
    for epoch in range(3):
        positions, _, mirrored = _epoch(epoch, n=100)
        flips.append(mirrored[np.argsort(positions)])
    assert 30 < flips[0].sum() < 70
    assert np.array_equal(flips[0], ~flips[1])
    assert np.array_equal(flips[0], flips[2])
    assert not _epoch(1, mirror=False)[2].any()
