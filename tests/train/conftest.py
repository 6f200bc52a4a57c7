"""A small piece of the real CIFAR-10, decoded once."""

from __future__ import annotations

import io
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from auditor.train.base import TrainingData

# Worker processes unpickle trainers by module name, so the cases must be importable as a plain module.
sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture(scope="session")
def cifar_piece(data_dir: Path) -> TrainingData:
    """The first 1,200 test images of CIFAR-10 with their labels."""
    import pyarrow.parquet as pq

    path = data_dir / "cifar10" / "test-00000-of-00001.parquet"
    batch = next(pq.ParquetFile(path).iter_batches(1200, columns=["img", "label"]))
    rows = batch.to_pydict()
    images = np.stack([np.asarray(Image.open(io.BytesIO(row["bytes"])).convert("RGB")) for row in rows["img"]])
    return TrainingData("image", images, np.array(rows["label"], dtype=np.int64), 10)
