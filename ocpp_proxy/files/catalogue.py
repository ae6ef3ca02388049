"""Reads the catalogue that the rules are measured by, and says how far they cover it.

Decides which rule answers for which row: the one of its name, and those that say so. Refuses to know what the rows are
about; the reasons why some cannot be seen stand beside them in rules/catalogue.yaml.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from ocpp_proxy.core.errors import BadInput
from ocpp_proxy.files.rules import CATALOGUE, bundled_folder
from ocpp_proxy.files.yaml import parse
from ocpp_proxy.rules.model import Rule


@dataclass(frozen=True, slots=True)
class Row:
    """`rules`: ids of those that answer for it; `reason`: why none can, None where one does or where nobody knows."""

    id: str
    rules: tuple[str, ...]
    reason: str | None

    @property
    def accounted_for(self) -> bool:
        return bool(self.rules) is not (self.reason is not None)


@dataclass(frozen=True, slots=True)
class Section:
    number: str
    title: str
    rows: tuple[Row, ...]

    @property
    def working(self) -> int:
        return sum(bool(row.rules) for row in self.rows)

    @property
    def not_observable(self) -> int:
        return sum(row.reason is not None for row in self.rows)


@dataclass(frozen=True, slots=True)
class Catalogue:
    """`beyond`: the rules that answer for none of the rows."""

    sections: tuple[Section, ...]
    beyond: tuple[Rule, ...]

    def rows(self) -> Iterator[Row]:
        return (row for section in self.sections for row in section.rows)

    @property
    def unaccounted_for(self) -> list[str]:
        """The rows without a rule and without a reason, or with both."""
        return [row.id for row in self.rows() if not row.accounted_for]


def load_catalogue(rules: Iterable[Rule]) -> Catalogue:
    """The catalogue, and what these rules make of it. Raises BadInput for a row that a rule claims and there is not."""
    path = bundled_folder() / CATALOGUE
    document = parse(path.read_text(encoding="utf-8"), str(path)).value
    claims: dict[str, list[str]] = {}
    rules = tuple(rules)
    known = {row for section in document["sections"] for row in section["rows"]}
    for rule in rules:
        for row in dict.fromkeys((*((rule.id,) if rule.id in known else ()), *rule.catalogue)):
            if row not in known:
                raise BadInput(f"rule {rule.id} answers for {row}, which is no row of the catalogue", rule.source)
            claims.setdefault(row, []).append(rule.id)
    reasons = document["not_observable"]
    answering = {rule_id for ids in claims.values() for rule_id in ids}
    return Catalogue(tuple(
        Section(entry["section"], entry["title"], tuple(
            Row(row, tuple(sorted(claims.get(row, ()))), reasons.get(row)) for row in entry["rows"]
        ))
        for entry in document["sections"]
    ), tuple(rule for rule in rules if rule.id not in answering))  # fmt: skip
