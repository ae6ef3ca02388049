"""The device model of a 2.x station, as its reports show it.

Keeps the names of the components and variables of the last full inventory that was seen from its first part to its
last, up to INVENTORY_KEPT variables, and the variables that are write-only. Refuses to know their values
(`core.station.settings`).

Source: OCPP 2.0.1 and 2.1 Part 2 B07 and B08.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from ocpp_proxy.core.payload import LONGEST_KEPT, flag, folded, integer, member, objects, text
from ocpp_proxy.core.station.settings import variable_name
from ocpp_proxy.rules.now import Now
from ocpp_proxy.rules.occasions import answer, call, learn

INVENTORY_KEPT = 3000
WRITE_ONLY_KEPT = 64

Variable = tuple[str, str]  # component and variable, folded, without instances and EVSEs

PRIORITY: Variable = ("ocppcommctrlr", "networkconfigurationpriority")
_WRITE_ONLY = frozenset(("securityctrlr.basicauthpassword",))  # in the document already


@dataclass(slots=True)
class Inventory:
    """`variables`: those of the last full inventory, None where none was seen whole. `asked`: the requestId of a full
    inventory that was asked for; `gathered`: what was seen of it so far, None once a part of it is missing; `next_seq`:
    the part that comes next. `write_only`: by variable_name, folded; `priorities`: the values that
    NetworkConfigurationPriority may have, as reported."""

    variables: frozenset[Variable] | None = None
    asked: int | None = None
    gathered: set[Variable] | None = None
    next_seq: int = 0
    write_only: set[str] = field(default_factory=lambda: set(_WRITE_ONLY))
    priorities: tuple[str, ...] | None = None

    @property
    def components(self) -> frozenset[str] | None:
        return frozenset(name for name, _ in self.variables) if self.variables is not None else None

    def goes_on(self, request: Any) -> bool:
        """Whether this is the next part of a full inventory of which none is missing so far."""
        return (self.gathered is not None and integer(request, "requestId") == self.asked
                and integer(request, "seqNo") == self.next_seq and len(self.gathered) <= INVENTORY_KEPT)


def variables(request: Any) -> Iterator[Variable]:
    for _, entry in objects(request, "reportData"):
        component, variable = folded(entry, "component", "name"), folded(entry, "variable", "name")
        if component is not None and variable is not None:
            yield component, variable


@learn(answer("GetBaseReport", by="csms"))
def asked(now: Now) -> None:
    if text(now.request, "reportBase") == "FullInventory" and now.status == "Accepted":
        book = now.session.book(Inventory)
        book.asked, book.gathered, book.next_seq = integer(now.request, "requestId"), set(), 0


@learn(call("NotifyReport"))
def reported(now: Now) -> None:
    book = now.session.book(Inventory)
    _attributes(book, now.request)
    if book.asked is None or integer(now.request, "requestId") != book.asked:
        return
    if book.gathered is not None and book.goes_on(now.request):
        book.gathered.update(variables(now.request))
    else:
        book.gathered = None
    book.next_seq += 1
    if flag(now.request, "tbc") is not True:
        whole = book.gathered is not None and now.link is not None and now.link.whole
        book.variables = frozenset(book.gathered or ()) if whole else None
        book.asked, book.gathered = None, None


def _attributes(book: Inventory, request: Any) -> None:
    for _, entry in objects(request, "reportData"):
        name = variable_name(member(entry, "component"), member(entry, "variable"))
        actual = [attribute for _, attribute in objects(entry, "variableAttribute")
                  if text(attribute, "type") in (None, "Actual")]
        write_only = bool(actual) and text(actual[0], "mutability") == "WriteOnly"
        if name is not None and write_only and len(book.write_only) < WRITE_ONLY_KEPT:
            book.write_only.add(name.casefold())
        if (folded(entry, "component", "name"), folded(entry, "variable", "name")) == PRIORITY:
            values = text(entry, "variableCharacteristics", "valuesList")
            if values is not None:
                book.priorities = tuple(one.strip() for one in values[:LONGEST_KEPT].split(",") if one.strip())
