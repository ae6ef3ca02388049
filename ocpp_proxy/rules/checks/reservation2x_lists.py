"""The local authorisation list of 2.x, by the version and the number of entries that the station tells.

Source: OCPP 2.0.1 and 2.1 Part 2 D01.FR.04, D01.FR.10, D01.FR.19, D02.FR.01 to .03, and the variables of
LocalAuthListCtrlr.
"""

from __future__ import annotations

from collections.abc import Iterator

from ocpp_proxy.core.payload import member, objects, text
from ocpp_proxy.core.station.settings import variable_name
from ocpp_proxy.rules.checks.lists16 import READ, SEND, enabled, local_list, mismatch, read_back, version_in
from ocpp_proxy.rules.checks.remote16_state import all_seen
from ocpp_proxy.rules.now import Hit, Now
from ocpp_proxy.rules.occasions import answer, check

ENTRIES = "LocalAuthListCtrlr.Entries"


@check("list201", answer(SEND, by="csms"))
def sent(now: Now) -> Iterator[Hit]:
    yield from mismatch(now)


@check("list201", answer(READ, by="csms"))
def version_told(now: Now) -> Iterator[Hit]:
    found, on = version_in(now, now.response), enabled(now)
    if found is None:
        return
    if on is False:
        if found != 0:
            yield now.hit(f"GetLocalListVersion was answered with {found}, and the local list is switched off",
                          "/versionNumber", seen=found, expected=0)
        return
    other = read_back(now)
    if other is None or (found == 0 and on is None):
        return  # the list may be switched off
    emptied = found == 0 and local_list(now).emptied is not None
    yield now.hit(f"GetLocalListVersion was answered with {found}, and the list has to have version {other.wanted}",
                  "/versionNumber", seen=found, expected=other.wanted, also=[other.ref],
                  case="emptied" if emptied else "booted" if other.booted else None)


@check("list201", answer("GetVariables", by="csms"))
def entries_told(now: Now) -> Iterator[Hit] | None:
    book = local_list(now)
    certain = book.emptied is not None and book.version is not None and all_seen(now, book.time)
    return _not_empty(now) if certain else None


def _not_empty(now: Now) -> Iterator[Hit]:
    for place, entry in objects(now.response, "getVariableResult"):
        value = text(entry, "attributeValue")
        if (text(entry, "attributeStatus") == "Accepted" and text(entry, "attributeType") in (None, "Actual")
                and variable_name(member(entry, "component"), member(entry, "variable")) == ENTRIES
                and value is not None and value.strip().isdigit() and int(value[:12]) > 0):
            yield now.hit("The local list has entries, and the last full list that was accepted had none",
                          f"/getVariableResult/{place}/attributeValue", seen=value[:12], expected="0",
                          also=[local_list(now).emptied])
