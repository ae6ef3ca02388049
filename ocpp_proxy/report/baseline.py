"""Findings that are known and accepted, so that a check fails on new ones only.

Decides when a finding is one of those: same rule, station, side at fault and place, and no graver than it was. The file
is what `check --format json` wrote at an earlier time, one object a line; what else stands in it does not matter.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ocpp_proxy.core.errors import BadInput
from ocpp_proxy.core.finding import SEVERITIES, Finding
from ocpp_proxy.report.analysis import Analysis
from ocpp_proxy.report.grouping import place, rank

EXPECTED = "expected what `ocpp-proxy check --format json` writes, an object with findings a line"


@dataclass(frozen=True, slots=True)
class Baseline:
    """`known`: the gravest severity (0 is the worst) that was accepted of each."""

    path: str
    known: Mapping[Hashable, int]

    def accepts(self, finding: Finding) -> bool:
        accepted = self.known.get(_key(finding.rule, finding.station, finding.at_fault, finding.pointer))
        return accepted is not None and rank(finding) >= accepted


def read_baseline(path: Path) -> Baseline:
    """Raises BadInput with file and line."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise BadInput(f"cannot be read: {error.strerror}; {EXPECTED}", str(path)) from None
    except UnicodeDecodeError:
        raise BadInput(f"is not UTF-8 text; {EXPECTED}", str(path)) from None
    known: dict[Hashable, int] = {}
    for number, line in enumerate(lines, 1):
        if line.strip():
            for key, severity in _findings(line, str(path), number):
                known[key] = min(severity, known.get(key, severity))
    return Baseline(str(path), known)


def _findings(line: str, path: str, number: int) -> Iterable[tuple[Hashable, int]]:
    try:
        document = json.loads(line)
        findings = document["findings"]
        return [(_key(one["rule"], one["station"], one["at_fault"], one["pointer"]), SEVERITIES.index(one["severity"]))
                for one in findings]
    except (ValueError, KeyError, TypeError):
        raise BadInput(f"cannot be used as a baseline; {EXPECTED}", path, number) from None


def _key(rule: Any, station: Any, at_fault: Any, pointer: Any) -> Hashable:
    return str(rule), str(station), str(at_fault), place(pointer if isinstance(pointer, str) else None)


def apart(analysis: Analysis, baseline: Baseline) -> Analysis:
    """The same with the accepted findings taken out and counted by themselves."""
    new = [finding for finding in analysis.findings if not baseline.accepts(finding)]
    severities = Counter(finding.severity for finding in new)
    counts = dict(analysis.counts) | {severity: severities[severity] for severity in SEVERITIES}
    return replace(analysis, findings=new, counts=counts, accepted=len(analysis.findings) - len(new))
