"""The catalogue as a page of the documentation: which rule answers for which row, and what no recording can show."""

from __future__ import annotations

from collections.abc import Iterator

from ocpp_proxy.files.catalogue import Catalogue, Row

HEAD = """# The catalogue

What a recording of OCPP traffic might be judged by was collected first, row by row, and then made into rules. Each row
has a rule of its name, or one that answers for it under another name, or the reason why what passes the proxy cannot
show it. `ocpp-proxy rules explain RULE` tells more of each.

This page is what `ocpp-proxy rules list --coverage --format markdown` prints."""


def lines(catalogue: Catalogue) -> Iterator[str]:
    yield from HEAD.splitlines()
    yield ""
    yield "| section | rows | working | not observable |"
    yield "|---|---|---|---|"
    for section in catalogue.sections:
        yield (f"| {section.number} {section.title} | {len(section.rows)} | {section.working} | "
               f"{section.not_observable} |")
    for section in catalogue.sections:
        yield ""
        yield f"## {section.number} {section.title}"
        yield ""
        yield "| row | rule |"
        yield "|---|---|"
        yield from (f"| {row.id} | {_answer(row)} |" for row in section.rows)


def _answer(row: Row) -> str:
    if row.reason is not None:
        return f"not observable: {row.reason}"
    return ", ".join(f"`{rule}`" for rule in row.rules)
