"""Embedding in threads."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
import pytest

from auditor.core.progress import SilentProgress
from auditor.train.embeddings import CHUNK, embed
from auditor.train.encoders import Encode


@dataclass
class Watched:
    """Opens so slowly that threads which do not wait for each other are inside together."""

    kind: ClassVar[str] = "image"
    inside: int = 0
    most: int = 0
    opened: int = 0
    met: threading.Event = field(default_factory=threading.Event)

    def recipe(self) -> dict[str, Any]:
        return {"encoder": "watched"}

    def open(self, device: str) -> Encode:
        self.inside += 1
        self.opened += 1
        self.most = max(self.most, self.inside)
        self.met.wait(0.2)
        self.inside -= 1
        return lambda images: np.asarray(images, np.float32).reshape(len(images), -1)


@pytest.mark.parametrize("threads", [1, 2, 4])
def test_an_encoder_is_opened_by_one_thread_at_a_time(threads: int) -> None:
    """Libraries import their parts when first asked; two threads at once got half of one."""
    pytest.importorskip("torch")
    watched = Watched()
    images = np.arange(4 * CHUNK * 3, dtype=np.uint8).reshape(-1, 1, 1, 3)
    rows = embed(watched, images, None, "cpu", threads, SilentProgress(), "embeddings")
    assert watched.most == 1
    assert 1 <= watched.opened <= threads
    np.testing.assert_array_equal(rows, images.reshape(len(images), -1))
