"""A result for people, for programs and for CI systems: lines, Markdown, JSON, GitHub annotations, JUnit XML."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

from auditor.core.errors import UnreadableError
from auditor.core.escaping import github_command, xml_text
from auditor.core.reading import reading
from auditor.policy.result import GateResult
from auditor.report.rendering import render

SCHEMA: Final = "auditor.check/1"
#: Rows named per limit.
SHOWN: Final = 5
_NAME: Final = "auditor check"
_SUMMARY: Final = f"## {_NAME}: "
#: GitHub shows at most ten annotations of a kind per step; the rest is in the log.
MOST_ANNOTATIONS: Final = 10


def check_document(result: GateResult) -> dict[str, Any]:
    """``auditor.check/1``."""
    fields = asdict(result)
    return {"schema": SCHEMA, "passed": result.passed, "outcomes": fields.pop("limits"), **fields}


def check_lines(result: GateResult) -> list[str]:
    """Every limit with what was found, then the first rows behind it."""
    return render("check.txt.jinja", result=result, most=SHOWN).rstrip("\n").split("\n")


def check_markdown(result: GateResult) -> str:
    """The same as a page: the outcome, a table of the limits with what was found, then the first rows behind them.

    What the gate says of a share of wrong labels holds its interval.
    """
    return render("check.md.jinja", result=result, most=SHOWN)


def is_summary(path: Path) -> bool:
    """Whether `check_markdown` wrote the file."""
    with (
        suppress(UnreadableError, UnicodeDecodeError),
        reading(path, "Markdown"),
        open(path, encoding="utf-8") as handle,
    ):
        return handle.read(len(_SUMMARY)) == _SUMMARY
    return False


def github_annotations(result: GateResult) -> Iterator[str]:
    """``::error`` per broken limit and for its first rows, one ``::notice`` when all hold."""
    for limit in result.limits:
        if limit.status == "passed":
            continue
        title = f"auditor check: {limit.name}"
        yield github_command("error", limit.words, title=title)
        for concern in limit.concerns[: MOST_ANNOTATIONS - 1]:
            yield github_command("error", concern.message, file=concern.path or "", title=title)
    if result.passed:
        yield github_command("notice", f"{result.data}: {result.what} pass", title="auditor check")


def junit_xml(result: GateResult) -> bytes:
    """One test case per limit; a broken one is a failure, one that could not be measured an error."""
    from junitparser import Error, Failure, JUnitXml, TestCase, TestSuite

    suite = TestSuite(xml_text(f"auditor check {result.data}"))
    for limit in result.limits:
        case = TestCase(xml_text(limit.name), classname="auditor.check")
        if limit.status == "passed":
            case.system_out = xml_text(limit.words)
        else:
            kind = Failure if limit.status == "failed" else Error
            case.result = kind(xml_text(limit.words), limit.status)
            case.result[0].text = xml_text("\n".join(concern.message for concern in limit.concerns))
        suite.add_testcase(case)
    document = JUnitXml(_NAME)
    document.add_testsuite(suite)
    document.update_statistics()
    return document.tostring()


def is_junit(path: Path) -> bool:
    """Whether `junit_xml` wrote the file."""
    from junitparser import JUnitXml

    with suppress(UnreadableError), reading(path, "JUnit XML"):
        return bool(JUnitXml.fromfile(str(path)).name == _NAME)
    return False
