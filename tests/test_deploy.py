"""The container's files, read as hadolint and Docker read them. No image is built: no container engine is needed."""

from __future__ import annotations

import ast
import json
import re
import shlex
import shutil
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.conftest import ROOT

DEPLOY = ROOT / "docs" / "deploy"
DOCKERFILE = (DEPLOY / "Dockerfile").read_text()
COMPOSE = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
INSTALLING = (ROOT / "docs" / "installing.md").read_text()
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def instructions(text: str) -> list[tuple[str, str]]:
    """(INSTRUCTION, rest) of a Dockerfile, continued lines joined, without comments."""
    lines = [line for line in text.splitlines() if not line.lstrip().startswith("#")]
    joined = re.sub(r"\\\n\s*", "", "\n".join(lines))
    return [
        (head.upper(), rest.strip()) for head, _, rest in (line.partition(" ") for line in joined.splitlines() if line)
    ]


def broken_rules(text: str) -> set[str]:
    """The rules of hadolint that matter here, by its codes."""
    found, stages, home, user = set(), set(), "", "root"
    for head, rest in instructions(text):
        words = rest.split()
        if head == "FROM":
            image = words[0]
            stages |= {words[2]} if len(words) == 3 else set()
            found |= {"DL3006"} if ":" not in image and image not in stages else set()
            found |= {"DL3007"} if image.endswith(":latest") else set()
            home, user = "", "root"
        elif head == "WORKDIR":
            found |= set() if rest.startswith("/") else {"DL3000"}
            home = rest
        elif head == "USER":
            user = rest
        elif head == "COPY" and not home and not words[-1].startswith("/"):
            found.add("DL3045")
        elif head == "RUN":
            found |= _broken_by_run(rest)
        if head in ("ADD", "MAINTAINER"):
            found.add({"ADD": "DL3020", "MAINTAINER": "DL4000"}[head])
        if head in ("CMD", "ENTRYPOINT") and not rest.startswith("["):
            found.add("DL3025")
    found |= {"DL3002"} if user.split(":")[0] in ("root", "0") else set()
    return found | (set() if any(head == "HEALTHCHECK" for head, _ in instructions(text)) else {"DL3057"})


def _broken_by_run(rest: str) -> set[str]:
    found = {"DL3004"} if re.search(r"\bsudo\b", rest) else set()
    found |= {"DL4006"} if re.search(r"[^|]\|[^|]", rest) else set()
    for command in re.split(r"&&|;", rest):
        words = shlex.split(command)
        if words[:2] == ["pip", "install"]:
            found |= set() if "--no-cache-dir" in words else {"DL3042"}
            from_files = {"-r", "--requirement", "--no-index"} & set(words)
            named = [w for w in words[2:] if not w.startswith("-") and "==" not in w and "/" not in w]
            found |= {"DL3013"} if named and not from_files else set()
        if words[:2] == ["apt-get", "install"]:
            found |= {"DL3008"} if any("=" not in w and not w.startswith("-") for w in words[2:]) else set()
    return found


@pytest.mark.parametrize(
    ("bad", "code"),
    [
        ("FROM python", "DL3006"),
        ("FROM python:latest", "DL3007"),
        ("FROM python:3.12\nWORKDIR here", "DL3000"),
        ("FROM python:3.12\nCOPY a b", "DL3045"),
        ("FROM python:3.12\nRUN pip install --no-cache-dir numpy", "DL3013"),
        ("FROM python:3.12\nRUN pip install numpy==2.0", "DL3042"),
        ("FROM python:3.12\nRUN apt-get install -y git", "DL3008"),
        ("FROM python:3.12\nRUN curl x | sh", "DL4006"),
        ("FROM python:3.12\nRUN sudo ls", "DL3004"),
        ("FROM python:3.12\nADD a /b", "DL3020"),
        ("FROM python:3.12\nCMD auditor", "DL3025"),
        ("FROM python:3.12\nMAINTAINER me", "DL4000"),
        ("FROM python:3.12\nUSER root", "DL3002"),
        ("FROM python:3.12\nUSER me", "DL3057"),
    ],
)
def test_a_rule_that_is_broken_is_seen(bad: str, code: str) -> None:
    assert code in broken_rules(bad)


def test_the_dockerfile_breaks_no_rule() -> None:
    assert broken_rules(DOCKERFILE) == set()


@pytest.mark.skipif(shutil.which("hadolint") is None, reason="hadolint is not installed")
def test_hadolint_finds_nothing() -> None:
    done = subprocess.run(["hadolint", DEPLOY / "Dockerfile"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_what_is_copied_into_the_image_is_there_and_not_ignored() -> None:
    ignored = (DEPLOY / "Dockerfile.dockerignore").read_text().splitlines()
    allowed = [line[1:] for line in ignored if line.startswith("!")]
    assert "*" in ignored
    copied = [rest.split() for head, rest in instructions(DOCKERFILE) if head == "COPY" and "--from" not in rest]
    sources = [source for words in copied for source in words[:-1]]
    assert {"auditor", "pyproject.toml"} <= set(sources)
    for source in sources:
        assert (ROOT / source).exists(), source
        assert any(Path(source).match(pattern) for pattern in allowed), source


def test_every_package_of_the_image_is_pinned_with_hashes_in_the_versions_of_ci() -> None:
    def pins(path: Path) -> dict[str, set[str]]:
        entries = path.read_text().replace("\\\n", " ").splitlines()
        found: dict[str, set[str]] = {}
        for entry in entries:
            if entry and not entry.startswith("#"):
                assert "--hash=sha256:" in entry, entry
                name, _, rest = entry.partition("==")
                found.setdefault(canonicalize_name(name.partition("[")[0]), set()).add(re.split(r"[ ;]", rest)[0])
        return found

    ci, image = pins(ROOT / ".ci" / "requirements.txt"), pins(DEPLOY / "requirements.txt")
    assert {name: versions for name, versions in image.items() if not versions <= ci.get(name, versions)} == {}
    assert pins(DEPLOY / "build-requirements.txt")["hatchling"] <= ci["hatchling"]
    extras = PROJECT["optional-dependencies"]
    wanted = [*PROJECT["dependencies"], *(line for extra in ("ui", "auth", "postgres") for line in extras[extra])]
    for line in wanted:
        needed = Requirement(line)
        if needed.name != "auditor":
            assert all(needed.specifier.contains(v) for v in image[canonicalize_name(needed.name)]), line
    assert "torch" not in image


def _health(service: dict[str, Any]) -> list[str]:
    return list(service["healthcheck"]["test"])


def test_the_services_are_healthy_private_and_unprivileged() -> None:
    services = COMPOSE["services"]
    reviewer, database = services["reviewer"], services["database"]
    assert all(_health(service)[0] in ("CMD", "CMD-SHELL") for service in services.values())
    assert reviewer["depends_on"]["database"]["condition"] == "service_healthy"
    assert not reviewer["user"].endswith(":-root}")
    assert reviewer["read_only"] is True
    assert reviewer["cap_drop"] == ["ALL"]
    assert all("no-new-privileges:true" in service["security_opt"] for service in services.values())
    assert re.search(r":\d+(\.\d+)+", database["image"]), "a version, not a moving tag"
    assert all(port.startswith("127.0.0.1:") for port in reviewer["ports"])
    assert "ports" not in database


def test_data_are_read_only_and_verdicts_outlive_the_containers() -> None:
    reviewer, database = (COMPOSE["services"][name] for name in ("reviewer", "database"))
    (data,) = [volume for volume in reviewer["volumes"] if "AUDITOR_DATA" in volume]
    assert data.endswith(":ro")
    named = {volume.partition(":")[0] for service in (reviewer, database) for volume in service["volumes"]}
    assert set(COMPOSE["volumes"]) <= named
    assert "verdicts:/var/lib/postgresql/data" in database["volumes"]


def test_no_password_stands_in_the_files() -> None:
    text = (DEPLOY / "compose.yaml").read_text()
    assert not re.search(r"^ *\w*(PASSWORD|SECRET|TOKEN)\w*: *[^/$\s]", text, re.MULTILINE)
    assert not re.search(r"//\w+:\w+@", text)
    used = {
        secret if isinstance(secret, str) else secret["source"]
        for s in COMPOSE["services"].values()
        for secret in s["secrets"]
    }
    assert used == set(COMPOSE["secrets"])


def test_the_page_names_every_variable_that_compose_reads() -> None:
    page = (DEPLOY / "README.md").read_text()
    variables = set(re.findall(r"\$\{(AUDITOR_\w+)", (DEPLOY / "compose.yaml").read_text()))
    assert len(variables) >= 5
    assert [name for name in sorted(variables - {"AUDITOR_OWNERS"}) if f"{name}=" not in page] == []


def test_both_health_checks_are_programs_that_run_and_ask_for_the_port_that_is_served() -> None:
    """What they ask for is answered: `tests/test_wheel.py`."""
    (check,) = [rest for head, rest in instructions(DOCKERFILE) if head == "HEALTHCHECK"]
    argv = json.loads(check[check.index("[") :])
    assert argv == _health(COMPOSE["services"]["reviewer"])[1:]
    ast.parse(argv[2])
    (port,) = [rest for head, rest in instructions(DOCKERFILE) if head == "EXPOSE"]
    assert f"127.0.0.1:{port}/_stcore/health" in argv[2]


def test_the_commands_are_ones_that_auditor_takes() -> None:
    import typer.main

    from auditor.cli.main import app

    options = {
        opt for p in typer.main.get_command(app).commands["review"].params for opt in (*p.opts, *p.secondary_opts)
    }  # type: ignore[attr-defined]
    (given,) = [json.loads(rest) for head, rest in instructions(DOCKERFILE) if head == "CMD"]
    for words in (given, COMPOSE["services"]["reviewer"]["command"]):
        assert words[0] == "review"
        assert {word for word in words if word.startswith("--")} <= options
    documented = re.search(r"auditor (review NAME .*)", (DEPLOY / "README.md").read_text())
    assert documented
    assert {word for word in documented[1].split() if word.startswith("--")} <= options


def test_pytorch_without_cuda_comes_from_one_index_in_versions_that_the_extra_allows() -> None:
    """The documented command; nothing is downloaded."""
    command = re.search(r"^pip install (torch torchvision) --index-url (\S+)$", INSTALLING, re.MULTILINE)
    block = re.search(r"```toml\n(.*?)```", INSTALLING, re.DOTALL)
    assert command
    assert block
    asked = tomllib.loads(block[1])["tool"]["uv"]
    (index,) = asked["index"]
    assert index["url"] == command[2]
    assert index["explicit"] is True, "nothing else comes from this index"
    assert {name for name, source in asked["sources"].items() if source["index"] == index["name"]} == set(
        command[1].split()
    )
    assert command[2] in (DEPLOY / "README.md").read_text()
    allowed = {r.name: r.specifier for r in map(Requirement, PROJECT["optional-dependencies"]["torch"])}
    assert set(command[1].split()) <= set(allowed)
    locked = dict(
        re.findall(r"^(torch|torchvision)==(\S+)", (ROOT / ".ci" / "requirements.txt").read_text(), re.MULTILINE)
    )
    for name, version in locked.items():
        assert allowed[name].contains(f"{version}+cpu"), "a build for the CPU satisfies the extra: pip keeps it"


def test_the_settings_of_the_image_are_those_of_auditor() -> None:
    set_there = {
        n for head, rest in instructions(DOCKERFILE) if head == "ENV" for n in re.findall(r"(AUDITOR_\w+)=", rest)
    }
    documented = set(re.findall(r"`(AUDITOR_\w+)`", (ROOT / "docs" / "cli.md").read_text()))
    assert set_there
    assert set_there <= documented


def test_every_extra_is_on_the_page_of_installing() -> None:
    table = INSTALLING.partition("| extra |")[2].partition("\n\n")[0]
    rows = {name for row in table.splitlines() for name in re.findall(r"`(\w+)`", row.split("|")[1] if row else "")}
    assert rows == set(PROJECT["optional-dependencies"]) - {"all"}
