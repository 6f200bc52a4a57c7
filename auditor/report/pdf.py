"""A report page as PDF, printed by an installed Chromium."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Final

from auditor.core.errors import ResourceError
from auditor.core.files import atomic_path
from auditor.core.machine import is_superuser

_BROWSERS: Final = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome", "msedge")
_FLAGS: Final = (
    *("--headless=new", "--disable-gpu", "--disable-dev-shm-usage", "--no-pdf-header-footer"),
    "--virtual-time-budget=4000",
)
#: Seconds a print may take.
PATIENCE: Final = 120


def print_pdf(html: str, target: Path) -> None:
    """Print a self-contained page.

    Raises
    ------
    ResourceError
        If there is no browser, or it does not print.
    """
    browser = next((path for name in _BROWSERS if (path := shutil.which(name))), None)
    if browser is None:
        raise ResourceError(
            "a PDF is printed by Chromium or Chrome, and none is installed.",
            "Install one, or make --format html and print it from any browser.",
        )
    with tempfile.TemporaryDirectory(prefix="auditor-print-") as folder, atomic_path(target) as temporary:
        page, printed = Path(folder) / "page.html", Path(folder) / "page.pdf"
        page.write_text(html, encoding="utf-8")
        places = [f"--user-data-dir={Path(folder) / 'profile'}", f"--print-to-pdf={printed}", page.as_uri()]
        try:
            done = subprocess.run(
                [browser, *_FLAGS, *_no_sandbox(), *places], capture_output=True, timeout=PATIENCE, check=False
            )
        except subprocess.TimeoutExpired as error:
            raise ResourceError(f"{browser!r} did not print the page in {PATIENCE} s.", "Use --format html.") from error
        if not printed.is_file() or printed.read_bytes()[:5] != b"%PDF-":
            why = done.stderr.decode(errors="replace").strip().splitlines()
            raise ResourceError(
                f"{browser!r} printed nothing: {why[-1] if why else f'exit {done.returncode}'}.", "Use --format html."
            )
        shutil.copyfile(printed, temporary)


def _no_sandbox() -> list[str]:
    """Chromium refuses to start as root with its sandbox, and only there goes without."""
    return ["--no-sandbox"] if is_superuser() else []
