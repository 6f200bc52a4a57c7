"""A report page as PDF, printed by an installed Chromium."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Final

from auditor.core.errors import ResourceError
from auditor.core.files import atomic_path

_BROWSERS: Final = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome", "msedge")
#: Seconds a print may take.
PATIENCE: Final = 120


def print_pdf(html: str, target: Path) -> None:
    """Print a self-contained page.

    Raises
    ------
    ResourceError
        If there is no browser, or it does not print.
    """
    browser = next((found for name in _BROWSERS if (found := shutil.which(name))), None)
    if browser is None:
        raise ResourceError(
            "a PDF is printed by Chromium or Chrome, and none is installed.",
            "Install one, or make --format html and print it from any browser.",
        )
    with tempfile.TemporaryDirectory(prefix="auditor-print-") as place, atomic_path(target) as temporary:
        page, printed = Path(place) / "page.html", Path(place) / "page.pdf"
        page.write_text(html, encoding="utf-8")
        command = [
            browser,
            "--headless=new",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-dev-shm-usage",
            f"--user-data-dir={Path(place) / 'profile'}",
            "--no-pdf-header-footer",
            "--virtual-time-budget=4000",
            f"--print-to-pdf={printed}",
            page.as_uri(),
        ]
        try:
            done = subprocess.run(command, capture_output=True, timeout=PATIENCE, check=False)
        except subprocess.TimeoutExpired as error:
            raise ResourceError(f"{browser!r} did not print the page in {PATIENCE} s.", "Use --format html.") from error
        if not printed.is_file() or printed.read_bytes()[:5] != b"%PDF-":
            why = done.stderr.decode(errors="replace").strip().splitlines()
            raise ResourceError(
                f"{browser!r} printed nothing: {why[-1] if why else f'exit {done.returncode}'}.", "Use --format html."
            )
        shutil.copyfile(printed, temporary)
