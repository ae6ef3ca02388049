"""The catalogue as a page of the documentation: which rule answers for which row, and what no recording can show."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from ocpp_proxy.files.catalogue import Catalogue, Row

HEAD = """# The catalogue

What a recording of OCPP traffic might be judged by was collected first, row by row, and then made into rules. Each row
has a rule of its name, or one that answers for it under another name, or the reason why what passes the proxy cannot
show it. `ocpp-proxy rules explain RULE` tells more of each.

This page is what `ocpp-proxy rules list --coverage --format markdown` prints."""

RENAMED = """## Rows whose rule bears another name

What JSON schemas check has the ids that findings of schemas have always had; [schemas.md](schemas.md) tells how they
are told apart. `trigger-message-not-implemented` and `boot-missing-iccid` are the two rules that this program began
with."""

BEYOND = """## Rules beyond the catalogue

What captures and reports need besides, and what profiles wish for."""


def lines(catalogue: Catalogue) -> Iterator[str]:
    yield from HEAD.splitlines()
    yield ""
    yield "| section | rows | working | not observable |"
    yield "|---|---|---|---|"
    for section in catalogue.sections:
        yield (f"| {section.number} {section.title} | {len(section.rows)} | {section.working} | "
               f"{section.not_observable} |")
    rows = list(catalogue.rows())
    yield (f"| in all | {len(rows)} | {sum(section.working for section in catalogue.sections)} | "
           f"{sum(section.not_observable for section in catalogue.sections)} |")
    yield ""
    yield from RENAMED.splitlines()
    yield ""
    yield from _table(row for row in rows if row.rules and row.rules != (row.id,))
    for section in catalogue.sections:
        yield ""
        yield f"## {section.number} {section.title}"
        yield ""
        yield from _table(section.rows)
    yield ""
    yield from BEYOND.splitlines()
    yield ""
    yield "| rule | |"
    yield "|---|---|"
    yield from (f"| `{rule.id}` | {rule.title} |" for rule in catalogue.beyond)


def _table(rows: Iterable[Row]) -> Iterator[str]:
    yield "| row | rule |"
    yield "|---|---|"
    yield from (f"| {row.id} | {_answer(row)} |" for row in rows)


def _answer(row: Row) -> str:
    if row.reason is not None:
        return f"not observable: {row.reason}"
    return ", ".join(f"`{rule}`" for rule in row.rules)
