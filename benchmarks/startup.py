"""Start-up: processor seconds of `import auditor` and of ``auditor --help``, beside an empty Python.

    python benchmarks/startup.py [--repeats 10]

Processor time of the child process, the least of the repeats: on an idle machine its wall time, on a loaded one still
the same. What start-up imports is a test (`tests/test_house.py`); how long it takes depends on the machine.
"""

from __future__ import annotations

import argparse
import os
import platform
import subprocess
import sys

COMMANDS = {
    "python -c pass": ["-c", "pass"],
    "import auditor": ["-c", "import auditor"],
    "auditor --help": ["-m", "auditor", "--help"],
}


def cpu_seconds(arguments: list[str], repeats: int) -> float:
    """Least user and system time of ``python *arguments``."""
    spent = []
    for _ in range(repeats):
        before = os.times()
        subprocess.run([sys.executable, *arguments], check=True, capture_output=True)
        after = os.times()
        spent.append(after.children_user + after.children_system - before.children_user - before.children_system)
    return min(spent)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=10)
    repeats = parser.parse_args().repeats
    print(f"Python {platform.python_version()}, {os.cpu_count()} cores, {platform.machine()}, least of {repeats}")
    for name, arguments in COMMANDS.items():
        print(f"{name:16} {cpu_seconds(arguments, repeats):.2f} s")


if __name__ == "__main__":
    main()
