"""A result for people, for programs and for CI systems: lines, JSON, GitHub annotations, JUnit XML."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any, Final

from auditor.policy.result import GateResult
from auditor.report.rendering import render

SCHEMA: Final = "auditor.check/1"
#: Rows named per limit.
SHOWN: Final = 5
#: GitHub shows at most ten annotations of a kind per step; the rest is in the log.
MOST_ANNOTATIONS: Final = 10
#: Characters that XML 1.0 does not allow; names in the data may hold them.
_NOT_IN_XML: Final = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def check_document(result: GateResult) -> dict[str, Any]:
    """``auditor.check/1``."""
    fields = asdict(result)
    return {"schema": SCHEMA, "passed": result.passed, "outcomes": fields.pop("limits"), **fields}


def check_lines(result: GateResult) -> list[str]:
    """Every limit with what was found, then the first rows behind it."""
    return render("check.txt.jinja", result=result, most=SHOWN).rstrip("\n").split("\n")


def github_annotations(result: GateResult) -> Iterator[str]:
    """``::error`` per broken limit and for its first rows, one ``::notice`` when all hold."""
    for limit in result.limits:
        if limit.status == "passed":
            continue
        title = _property(f"auditor check: {limit.name}")
        yield f"::error title={title}::{_data(limit.words)}"
        for concern in limit.concerns[: MOST_ANNOTATIONS - 1]:
            file = f"file={_property(concern.path)}," if concern.path else ""
            yield f"::error {file}title={title}::{_data(concern.message)}"
    if result.passed:
        yield f"::notice title=auditor check::{_data(f'{result.data}: {result.what} pass')}"


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")


def junit_xml(result: GateResult) -> bytes:
    """One test case per limit; a broken one is a failure, one that could not be measured an error."""
    from junitparser import Error, Failure, JUnitXml, TestCase, TestSuite

    suite = TestSuite(_in_xml(f"auditor check {result.data}"))
    for limit in result.limits:
        case = TestCase(limit.name, classname="auditor.check")
        if limit.status == "passed":
            case.system_out = _in_xml(limit.words)
        else:
            kind = Failure if limit.status == "failed" else Error
            case.result = kind(_in_xml(limit.words), limit.status)
            case.result[0].text = _in_xml("\n".join(concern.message for concern in limit.concerns))
        suite.add_testcase(case)
    document = JUnitXml("auditor check")
    document.add_testsuite(suite)
    document.update_statistics()
    return document.tostring()


def _in_xml(text: str) -> str:
    return _NOT_IN_XML.sub("\ufffd", text)
