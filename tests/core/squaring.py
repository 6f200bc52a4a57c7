"""Work for processes, in a module of its own: each worker imports it, and needs neither pytest nor NumPy for it."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from typing import Any

from auditor.core.errors import LabelError


class Job:
    """Squares numbers; what `mode` says happens at the start or at task 3."""

    def __init__(self, mode: str = "", ballast: bytes = b"") -> None:
        self.mode = mode
        if mode == "refuse":
            raise LabelError("the label is odd.", "Make it even.")
        if mode == "dies at its start":
            os.kill(os.getpid(), signal.SIGKILL)

    def __call__(self, task: int, send: Callable[[Any], None]) -> tuple[int, int]:
        if task == 3 and self.mode == "bug":
            raise ZeroDivisionError("a bug")
        if task == 3 and self.mode == "killed":
            os.kill(os.getpid(), signal.SIGKILL)
        if task == 3 and self.mode == "exit":
            os._exit(7)
        send(("seen", task))
        return task**2, os.getpid()
