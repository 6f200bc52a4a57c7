"""Outcomes as JUnit XML, which CI systems show as test cases."""

from __future__ import annotations

import re
from xml.etree import ElementTree

from auditor.policy.outcomes import GateResult

__all__ = ["junit_xml"]

#: Characters that XML 1.0 does not allow; names in the data may hold them.
_FORBIDDEN = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def junit_xml(result: GateResult) -> bytes:
    """One test case per limit; a broken one is a failure, one that could not be measured an error."""
    failures = sum(o.status == "failed" for o in result.outcomes)
    errors = sum(o.status == "not measured" for o in result.outcomes)
    counts = {"tests": str(len(result.outcomes)), "failures": str(failures), "errors": str(errors)}
    suites = ElementTree.Element("testsuites", {"name": "auditor check", **counts})
    suite = ElementTree.SubElement(suites, "testsuite", {"name": _clean(f"auditor check {result.data}"), **counts})
    for outcome in result.outcomes:
        case = ElementTree.SubElement(suite, "testcase", {"classname": "auditor.check", "name": outcome.name})
        if outcome.status == "passed":
            ElementTree.SubElement(case, "system-out").text = _clean(outcome.words)
            continue
        kind = "failure" if outcome.status == "failed" else "error"
        told = ElementTree.SubElement(case, kind, {"message": _clean(outcome.words), "type": outcome.status})
        told.text = _clean("\n".join(c.message for c in outcome.concerns))
    ElementTree.indent(suites)
    return ElementTree.tostring(suites, encoding="utf-8", xml_declaration=True) + b"\n"


def _clean(text: str) -> str:
    return _FORBIDDEN.sub("�", text)
