"""Analyses as JUnit XML, which every CI shows.

Decides that a rule that was in force is a test case, of the capture's suite: it fails where it found something of the
severities asked for, and is skipped where it had nothing to judge, with the reason. Other findings are told in the
case's output.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from xml.etree import ElementTree

from ocpp_proxy.core.finding import Finding
from ocpp_proxy.report.analysis import Analysis
from ocpp_proxy.report.grouping import where

_FORBIDDEN = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")  # XML 1.0 section 2.2


def document(analyses: Sequence[Analysis], failing: Sequence[str]) -> str:
    """One `testsuites` element. `failing`: the severities that make a case fail."""
    root = ElementTree.Element("testsuites", name="ocpp-proxy check")
    for analysis in analyses:
        root.append(_suite(analysis, failing))
    for key in ("tests", "failures", "skipped"):
        root.set(key, str(sum(int(suite.get(key, "0")) for suite in root)))
    ElementTree.indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ElementTree.tostring(root, encoding="unicode")


def _suite(analysis: Analysis, failing: Sequence[str]) -> ElementTree.Element:
    suite = ElementTree.Element("testsuite", name=_clean(analysis.capture))
    if analysis.span is not None:
        suite.set("timestamp", analysis.span[0].isoformat()[:19])
    found: dict[str, list[Finding]] = {}
    for finding in analysis.findings:
        found.setdefault(finding.rule, []).append(finding)
    silent = {entry["rule"]: entry["reason"] for entry in analysis.skipped}
    for rule_id, rule in analysis.rules.items():
        suite.append(_case(rule_id, rule.title, found.get(rule_id, []), silent.get(rule_id), failing))
    suite.set("tests", str(len(suite)))
    suite.set("failures", str(len(suite.findall("testcase/failure"))))
    suite.set("skipped", str(len(suite.findall("testcase/skipped"))))
    return suite


def _case(
    rule_id: str, title: str, findings: list[Finding], reason: str | None, failing: Sequence[str]
) -> ElementTree.Element:
    case = ElementTree.Element("testcase", classname="ocpp-proxy.rules", name=f"{rule_id}: {title}")
    grave = [finding for finding in findings if finding.severity in failing]
    if grave:
        message = f"{_clean(grave[0].message)}{f' (and {len(grave) - 1} more)' if len(grave) > 1 else ''}"
        failure = ElementTree.SubElement(case, "failure", type=grave[0].severity, message=message)
        failure.text = "\n".join(map(_line, grave))
    if others := [finding for finding in findings if finding.severity not in failing]:
        ElementTree.SubElement(case, "system-out").text = "\n".join(map(_line, others))
    if not findings and reason is not None:
        ElementTree.SubElement(case, "skipped", message=_clean(reason))
    return case


def _line(finding: Finding) -> str:
    frames = ", ".join(f"#{seq}" for seq in finding.frames[:5])
    times = f" ({finding.count} times)" if finding.count > 1 else ""
    place = f"{finding.station or 'a station without a name'}, {finding.connection}{f' {frames}' if frames else ''}"
    said = f"{finding.message}{where(finding)}{times}"
    return _clean(f"{finding.severity}, at fault: {finding.at_fault}, {place}: {said}")


def _clean(text: str) -> str:
    """Without what XML has no room for."""
    return _FORBIDDEN.sub("\ufffd", text)
