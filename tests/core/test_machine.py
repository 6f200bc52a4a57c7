"""What is recorded beside numbers, and what workers are counted by."""

from __future__ import annotations

import json
import os
import platform
import sys

import numpy as np
import pytest

from auditor.core.machine import available_memory, conditions, cpu_count, describe_machine, package_versions


@pytest.mark.skipif(sys.platform != "linux", reason="affinity is Linux's")
def test_counts_the_processors_this_process_may_use() -> None:
    allowed = os.sched_getaffinity(0)
    assert cpu_count() == len(allowed)
    os.sched_setaffinity(0, {min(allowed)})
    try:
        assert cpu_count() == describe_machine()["cores"] == 1
    finally:
        os.sched_setaffinity(0, allowed)


def test_description_is_json_and_names_processor_memory_and_python() -> None:
    machine = describe_machine()
    assert json.loads(json.dumps(machine)) == machine
    assert machine["cpu"].strip()
    assert machine["python"] == platform.python_version()
    assert 0 < available_memory() < (machine["memory_gib"] + 0.1) * 2**30


def test_versions_are_those_installed_and_absent_packages_are_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("auditor.core.machine.TRACKED", ("numpy", "no-such-package-anywhere"))
    assert package_versions() == {"numpy": np.__version__}


def test_conditions_name_what_is_installed() -> None:
    machine, versions = describe_machine(), package_versions()
    line = f"{machine['cpu']}, {machine['cores']} cores; numpy {versions['numpy']}, auditor {versions['auditor']}"
    assert conditions("numpy", "no-such-package", "auditor") == line
