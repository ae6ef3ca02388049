"""Counts findings, so that a defect on every frame is one finding and not a million.

Decides what is the same finding again: same rule, place and values on the same connection. Bounded: on one connection
no more than `VALUES_KEPT` values of a rule at one place are told apart, and no more than `PLACES_KEPT` findings of a
rule; what differs beyond that is counted together.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable
from dataclasses import replace
from typing import NamedTuple

from ocpp_proxy.core.finding import SEVERITIES, Finding

VALUES_KEPT = 100
PLACES_KEPT = 1000
OTHER_VALUES = "The same with other values"


class Found(NamedTuple):
    """A finding on its way into the book. `variant` stands for its message where the message names a detail that
    differs each time, such as a message id."""

    finding: Finding
    variant: str | None = None

    @property
    def key(self) -> Hashable:
        finding = self.finding
        return finding.key if self.variant is None else (
            finding.rule, finding.at_fault, finding.pointer, finding.connector, finding.transaction, self.variant
        )


class _Page:
    """The findings of one connection, and how many of each rule, and of each rule at each place, there are."""

    __slots__ = ("findings", "places", "rules")

    def __init__(self) -> None:
        self.findings: dict[Hashable, Finding] = {}
        self.places: Counter[tuple[str, str | None]] = Counter()
        self.rules: Counter[str] = Counter()


class FindingBook:
    """All findings, by connection."""

    def __init__(self) -> None:
        self._pages: dict[str, _Page] = {}

    def enter(self, found: Found) -> tuple[Finding, bool]:
        """The finding as it stands in the book, and whether it is new there."""
        page = self._pages.setdefault(found.finding.connection, _Page())
        known = page.findings.get(found.key)
        if known is None and (folded := _folded(page, found.finding)) is not None:
            found = folded
            known = page.findings.get(found.key)
        finding = found.finding
        if known is None:
            page.findings[found.key] = finding
            page.places[finding.rule, finding.pointer] += 1
            page.rules[finding.rule] += 1
            return finding, True
        known.repeat(finding)
        _aggravate(known, finding)
        return known, False

    def forget(self, connection: str) -> None:
        """Drop the connection's findings; whoever needs them has heard of them."""
        self._pages.pop(connection, None)

    def findings(self) -> list[Finding]:
        """By connection in the order of their numbers, then first frame, rule and pointer."""
        return sorted((finding for page in self._pages.values() for finding in page.findings.values()), key=_order)

    def counts(self) -> Counter[str]:
        """How many findings of each severity there are."""
        return Counter(finding.severity for page in self._pages.values() for finding in page.findings.values())


def _folded(page: _Page, finding: Finding) -> Found | None:
    """The finding without what tells it apart from too many others, None while there is room."""
    if page.rules[finding.rule] >= PLACES_KEPT:
        pointer = None
    elif page.places[finding.rule, finding.pointer] >= VALUES_KEPT:
        pointer = finding.pointer
    else:
        return None
    return Found(replace(finding, pointer=pointer, connector=None, transaction=None, seen=None, expected=None,
                         message=OTHER_VALUES))


def _aggravate(known: Finding, again: Finding) -> None:
    """A repetition may be graver, by what has become known of the station since."""
    if SEVERITIES.index(again.severity) < SEVERITIES.index(known.severity):
        known.severity, known.axis, known.references = again.severity, again.axis, again.references


def _order(finding: Finding) -> tuple[object, ...]:
    connection = finding.connection
    first = finding.frames[0] if finding.frames else max((seq for _, seq in finding.evidence), default=0)
    return (len(connection), connection, first, finding.rule, finding.pointer or "", finding.message,
            repr(finding.seen))
