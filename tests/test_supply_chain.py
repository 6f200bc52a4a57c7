"""What is installed: under licences that users can live with, pinned with hashes for CI, listed by one command."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tomllib
from importlib.metadata import Distribution, PackageNotFoundError, distribution, version
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
#: The package is Apache-2.0; the LGPL is allowed for dynamic linking.
REFUSED = re.compile(
    r"\bA?GPL|Affero|(?<!Lesser )(?<!Library or Lesser )General Public License|non-?commercial|\bNC\b", re.I
)


def licence_of(package: Distribution) -> str:
    """What its metadata say: expression, classifiers, and the first line of the field."""
    meta = package.metadata
    classifiers = [c for c in meta.get_all("Classifier") or [] if c.startswith("License")]
    field = (meta.get("License") or "").strip().partition("\n")[0]
    return "; ".join(filter(None, [meta.get("License-Expression"), *classifiers, field]))


def installed_for_users() -> dict[str, Distribution]:
    """auditor with all extras and everything they need, as far as it is installed here."""
    waiting = [Requirement(line) for line in PROJECT["project"]["dependencies"]]
    for extra in PROJECT["project"]["optional-dependencies"].values():
        waiting += [Requirement(line) for line in extra]
    packages: dict[str, Distribution] = {}
    seen: set[tuple[str, str]] = set()
    while waiting:
        wanted = waiting.pop()
        name = canonicalize_name(wanted.name)
        for extra in ("", *sorted(wanted.extras)):
            if (name, extra) in seen or name == "auditor":
                continue
            seen.add((name, extra))
            try:
                package = packages.setdefault(name, distribution(name))
            except PackageNotFoundError:
                continue
            for line in package.requires or []:
                needed = Requirement(line)
                if needed.marker is None or needed.marker.evaluate({"extra": extra}):
                    waiting.append(needed)
    return packages


def test_no_package_of_users_is_under_a_licence_that_binds_them() -> None:
    packages = installed_for_users()
    assert {"numpy", "cleanlab", "streamlit", "torch", "loky", "sqlalchemy"} <= set(packages)
    refused = {n: licence_of(p) for n, p in packages.items() if REFUSED.search(licence_of(p))}
    assert refused == {}


@pytest.mark.parametrize(
    ("words", "bad"),
    [
        ("AGPL-3.0-only", True),
        ("GPL-3.0-or-later", True),
        ("License :: OSI Approved :: GNU General Public License v3 (GPLv3)", True),
        ("CC-BY-NC-4.0", True),
        ("License :: Free for non-commercial use", True),
        ("LGPL-3.0-only", False),
        ("GNU Lesser General Public License v3", False),
        ("MIT", False),
    ],
)
def test_licences_that_are_refused(words: str, bad: bool) -> None:
    assert bool(REFUSED.search(words)) == bad


def test_ci_installs_pinned_packages_with_hashes() -> None:
    lock = (ROOT / ".ci" / "requirements.txt").read_text().replace("\\\n", " ")
    entries = [line for line in lock.splitlines() if line and not line.startswith("#")]
    assert all("==" in entry and "--hash=sha256:" in entry for entry in entries)
    pinned: dict[str, list[str]] = {}
    for entry in entries:
        name, _, rest = entry.partition("==")
        pinned.setdefault(canonicalize_name(name.partition("[")[0]), []).append(re.split(r"[ ;]", rest)[0])
    groups = PROJECT["project"]["optional-dependencies"]
    wanted = [*PROJECT["project"]["dependencies"], *PROJECT["dependency-groups"]["dev"]]
    wanted += [
        line
        for extra in ("torch", "hf", "review", "ui", "report", "encoders", "scale", "sentences", "onnx", "docs")
        for line in groups[extra]
    ]
    for line in wanted:
        needed = Requirement(line)
        if needed.name != "auditor":
            versions = pinned[canonicalize_name(needed.name)]
            assert all(needed.specifier.contains(v) for v in versions), f"{line}: {versions}; run .ci/lock"


@pytest.mark.slow
def test_the_sbom_command_of_the_security_page_lists_the_environment(tmp_path: Path) -> None:
    (line,) = re.findall(r"`\.venv/bin/(cyclonedx-py environment .*?)`", (ROOT / "SECURITY.md").read_text())
    program, *arguments = line.replace(".venv", str(Path(sys.executable).parents[1])).split()
    subprocess.run([Path(sys.executable).parent / program, *arguments], cwd=tmp_path, check=True, capture_output=True)
    names = {part["name"] for part in json.loads((tmp_path / "sbom.json").read_text())["components"]}
    assert {"numpy", "torch", "auditor"} <= names


def test_cleanlab_is_of_the_apache_line() -> None:
    release = tuple(map(int, version("cleanlab").split(".")[:2]))
    assert release >= (2, 9)
