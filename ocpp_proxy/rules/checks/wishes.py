"""What became of the wishes of the profiles in force.

Decides whether what was seen fulfils a wish, and names the profile and its reason where it does not. Refuses to take a
wish for a duty: everything here is compatibility. What was not seen is not judged.

Source: the profiles (`ocpp_proxy.rules.wishes`); OCPP 1.6 edition 2 sections 6.3, 7.31 and chapter 9.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

from ocpp_proxy.core.frame import Call, Send
from ocpp_proxy.core.payload import integer, items, member, numeral, objects, text
from ocpp_proxy.core.station.settings import variable_name
from ocpp_proxy.core.station.transactions import Transaction
from ocpp_proxy.rules.checks import boot16_book as boots
from ocpp_proxy.rules.expect import ABSENT, lookup, state_of, tokens_of
from ocpp_proxy.rules.now import Deadline, Hit, Now
from ocpp_proxy.rules.occasions import OPENED, answer, call, check
from ocpp_proxy.rules.wishes import Wanted, Wish

NO_WISH = "no profile in force wishes for it"
LONGEST = 60  # characters of a value that are shown


def _wished(wish: Wish | Wanted) -> str:
    return f"profile {wish.profile} wishes for"


def _why(wish: Wish | Wanted) -> str:
    return f": {wish.why}" if wish.why else ""


# Fields of BootNotification

# What 1.6 and 2.x call otherwise, where it stands in 2.x, and what may stand for it in 1.6.
NAMES_2X: Mapping[str, str] = {
    "chargePointVendor": "vendorName", "chargePointModel": "model", "chargePointSerialNumber": "serialNumber",
}  # fmt: skip
NAMES_16: Mapping[str, str] = {new: old for old, new in NAMES_2X.items()}
PLACES_2X: Mapping[str, str] = {
    "vendorName": "/chargingStation", "model": "/chargingStation", "serialNumber": "/chargingStation",
    "firmwareVersion": "/chargingStation", "iccid": "/chargingStation/modem", "imsi": "/chargingStation/modem",
    "reason": "",
}  # fmt: skip
INSTEAD_16: Mapping[str, str] = {"chargePointSerialNumber": "chargeBoxSerialNumber"}


@check("wish-boot-field", call("BootNotification"))
def boot_field(now: Now) -> Iterator[Hit]:
    if not now.wishes.boot_fields:
        yield from now.unknown(NO_WISH)
    for wish in now.wishes.boot_fields:
        pointer = _pointer(now, wish.name)
        if pointer is None or now.injected or not isinstance(now.request, dict):
            continue
        value = lookup(now.request, tokens_of(pointer))
        state = state_of(value)
        if state != "present":
            name = pointer.rpartition("/")[2]
            yield now.hit(f"BootNotification has no {name} (field {state}), which {_wished(wish)}{_why(wish)}", pointer,
                          seen=None if value is ABSENT else value, expected="a text that is not blank")


def _pointer(now: Now, name: str) -> str | None:
    """Where the field stands, None where the version has none such, or there is no modem to have it."""
    if now.version == "1.6":
        name = NAMES_16.get(name, name)
        other = INSTEAD_16.get(name)
        instead = other is not None and state_of(member(now.request, other)) == "present"
        return f"/{other if instead else name}"
    name = NAMES_2X.get(name, name)
    place = PLACES_2X.get(name)
    modem = place == "/chargingStation/modem"
    if place is None or (modem and member(now.request, "chargingStation", "modem") is None):
        return None
    return f"{place}/{name}"


# Settings


class Told(NamedTuple):
    """A setting's value as told. `set_by_call`: the CALL has set it, and the pointer leads into that."""

    name: str
    value: str
    pointer: str
    set_by_call: bool = False


TELLING = (answer("GetConfiguration", "ChangeConfiguration", "GetVariables", "SetVariables", by="csms")
           + call("NotifyReport"))  # fmt: skip
TAKEN = ("Accepted", "RebootRequired")


def told(now: Now) -> Iterator[Told]:
    """The settings that have just been told, or set."""
    if isinstance(now.frame, (Call, Send)):
        yield from _reported(now.request)
    elif now.action == "GetConfiguration":
        for place, entry in objects(now.response, "configurationKey"):
            yield from _told(text(entry, "key"), text(entry, "value"), f"/configurationKey/{place}/value")
    elif now.action == "ChangeConfiguration":
        if now.status in TAKEN:
            yield from _told(text(now.request, "key"), text(now.request, "value"), "/value", set_by_call=True)
    elif now.action == "GetVariables":
        for place, entry in objects(now.response, "getVariableResult"):
            if text(entry, "attributeStatus") == "Accepted" and _actual(entry, "attributeType"):
                yield from _told(_name(entry), text(entry, "attributeValue"),
                                 f"/getVariableResult/{place}/attributeValue")
    else:
        yield from _set(now)


def _told(name: str | None, value: str | None, pointer: str, *, set_by_call: bool = False) -> Iterator[Told]:
    if name is not None and value is not None:
        yield Told(name, value, pointer, set_by_call)


def _name(entry: Any) -> str | None:
    return variable_name(member(entry, "component"), member(entry, "variable"))


def _actual(entry: Any, key: str) -> bool:
    return text(entry, key) in (None, "Actual")


def _set(now: Now) -> Iterator[Told]:
    taken = {_name(one) for _, one in objects(now.response, "setVariableResult")
             if text(one, "attributeStatus") in TAKEN and _actual(one, "attributeType")}
    for place, entry in objects(now.request, "setVariableData"):
        if _actual(entry, "attributeType") and _name(entry) in taken:
            yield from _told(_name(entry), text(entry, "attributeValue"), f"/setVariableData/{place}/attributeValue",
                             set_by_call=True)


def _reported(request: Any) -> Iterator[Told]:
    for place, entry in objects(request, "reportData"):
        for number, one in objects(entry, "variableAttribute"):
            if _actual(one, "type"):
                yield from _told(_name(entry), text(one, "value"),
                                 f"/reportData/{place}/variableAttribute/{number}/value")


@check("wish-setting", TELLING)
def setting(now: Now) -> Iterator[Hit]:
    if not now.wishes.settings:
        yield from now.unknown(NO_WISH)
        return
    wanted = [(wish.name.casefold(), wish) for wish in now.wishes.settings]
    for one in told(now):
        for name, wish in wanted:
            if name == one.name.casefold() and (lack := lacking(wish, one.value)) is not None:
                shown = one.value[:LONGEST] or "empty"
                yield now.hit(f"{wish.name} is {shown}, and {_wished(wish)} {lack}{_why(wish)}", one.pointer,
                              seen=one.value[:LONGEST], expected=lack, call=one.set_by_call)


def lacking(wish: Wanted, value: str) -> str | None:
    """What the value should be, in words; None where it is."""
    number = numeral(value)
    if wish.one_of and not any(_alike(value, one) for one in wish.one_of):
        return " or ".join(wish.one_of)
    low = wish.at_least is not None and (number is None or number < numeral(wish.at_least))  # type: ignore[operator]
    high = wish.at_most is not None and (number is None or number > numeral(wish.at_most))  # type: ignore[operator]
    if low or high:
        bounds = (("at least", wish.at_least), ("at most", wish.at_most))
        return " and ".join(f"{words} {bound:g}" for words, bound in bounds if bound is not None)
    named = {word.strip().casefold() for word in value.split(",")}
    missing = [one for one in wish.contains if one.casefold() not in named]
    return f"{' and '.join(missing)} among its members" if missing else None


def _alike(value: str, wanted: str) -> bool:
    left, right = numeral(value), numeral(wanted)
    if left is not None and right is not None:
        return left == right
    return value.strip().casefold() == wanted.casefold()


@check("wish-feature-profile", answer("GetConfiguration", by="csms"))
def feature_profile(now: Now) -> Iterator[Hit]:
    if not now.wishes.feature_profiles:
        yield from now.unknown(NO_WISH)
        return
    claimed = [one for one in told(now) if one.name.casefold() == "supportedfeatureprofiles"]
    if not claimed:
        yield from now.unknown("SupportedFeatureProfiles was not seen")
    for one in claimed:
        named = {word.strip().casefold() for word in one.value.split(",")}
        for wish in now.wishes.feature_profiles:
            if wish.name.casefold() not in named:
                yield now.hit(f"SupportedFeatureProfiles does not name {wish.name}, which {_wished(wish)}{_why(wish)}",
                              one.pointer, seen=one.value[:LONGEST], expected=wish.name)


# Heartbeats

INTERVALS = ("heartbeatinterval", "ocppcommctrlr.heartbeatinterval")
SHARE, SLACK_S = 1.1, 10.0  # a silence may last so much longer


@check("wish-heartbeat", answer("BootNotification"))
def heartbeat_given(now: Now) -> Iterator[Hit]:
    if not now.wishes.heartbeat:
        yield from now.unknown(NO_WISH)
        return
    interval = integer(now.response, "interval")
    if now.status == "Accepted" and interval is not None and interval > 0:
        yield from _too_long(now, "The answer to BootNotification", Told("", str(interval), "/interval"))


@check("wish-heartbeat", TELLING)
def heartbeat_told(now: Now) -> Iterator[Hit]:
    for one in told(now) if now.wishes.heartbeat else ():
        if one.name.casefold() in INTERVALS:
            yield from _too_long(now, "HeartbeatInterval", one)


def _too_long(now: Now, what: str, one: Told) -> Iterator[Hit]:
    seconds = numeral(one.value)
    for wish in now.wishes.heartbeat:
        if seconds is not None and wish.limit is not None and not 0 < seconds <= wish.limit:
            yield now.hit(f"{what} says {one.value[:LONGEST]} s, and {_wished(wish)} {wish.limit:g} s at most"
                          f"{_why(wish)}", one.pointer, seen=one.value[:LONGEST],
                          expected=f"at most {wish.limit:g}", call=one.set_by_call)


@dataclass(slots=True)
class Silence:
    """When the last silence that was told of began."""

    since: float | None = None


@check("wish-heartbeat", OPENED)
def to_be_heard(now: Now) -> None:
    if (wish := _shortest(now)) is not None:
        now.later(_patience_s(now, wish), not_heard, key=now.connection)


def not_heard(now: Now, deadline: Deadline) -> Iterator[Hit]:
    link, wish, silence = now.link, _shortest(now), now.session.book(Silence)
    if link is None or wish is None:
        return
    patience_s, since = _patience_s(now, wish), link.heard.get("station", link.opened_time)
    left_s = since + patience_s - now.time
    now.later(left_s if left_s > 0.001 else patience_s, not_heard, key=link.connection, place=deadline.place)
    if left_s > 0.001 or since == silence.since or not link.whole:
        return
    silence.since = since
    place = replace(deadline.place, evidence=())
    yield now.hit(f"The station has sent nothing for {patience_s:g} s, and {_wished(wish)} a heartbeat every "
                  f"{wish.limit:g} s{_why(wish)}", place=place, frame=now.ref, by="station")


def _shortest(now: Now) -> Wish | None:
    return min((wish for wish in now.wishes.heartbeat if wish.limit), key=lambda wish: wish.limit or 0.0, default=None)


def _patience_s(now: Now, wish: Wish) -> float:
    return SHARE * (wish.limit or 0.0) + max(SLACK_S, now.bounds.interval_s)


# Measurands

DEFAULT = "Energy.Active.Import.Register"
TRANSACTIONS_KEPT = 64
MEASURANDS_KEPT = 64
FEW = 2  # of intervals that a transaction has to last, or else it may have had no time for samples


@dataclass(slots=True)
class Sampled:
    """What has been measured in a transaction. `while_running`: there were samples between its start and its end."""

    measurands: set[str] = field(default_factory=set)
    while_running: bool = False


@dataclass(slots=True)
class Samples:
    """By transaction, the TRANSACTIONS_KEPT begun last."""

    known: dict[Any, Sampled] = field(default_factory=dict)

    def of(self, transaction: Transaction) -> Sampled:
        key = transaction.start or transaction.id
        found = self.known.get(key)
        if found is None:
            found = self.known[key] = Sampled()
            if len(self.known) > TRANSACTIONS_KEPT:
                del self.known[next(iter(self.known))]
        return found


@check("wish-measurand", call("StopTransaction", "TransactionEvent"))
def measurand(now: Now) -> Iterator[Hit]:
    if not now.wishes.measurands:
        yield from now.unknown(NO_WISH)
        return
    transaction = transaction_of(now)
    if now.action == "TransactionEvent" and text(now.request, "eventType") != "Ended":
        if transaction is not None:
            note(now.session.book(Samples).of(transaction), items(now.request, "meterValue"), running=True)
        return
    if transaction is None or transaction.start is None or not _followed(now, transaction):
        yield from now.unknown("no transaction was seen from its start to its end")
        return
    sampled = now.session.book(Samples).of(transaction)
    note(sampled, items(now.request, "transactionData") or items(now.request, "meterValue"), running=False)
    if not sampled.while_running and not _long_enough(now, transaction):
        yield from now.unknown("no transaction with meter values was seen")
        return
    for wish in now.wishes.measurands:
        if wish.name not in sampled.measurands:
            yield now.hit(f"A transaction had no meter values of {wish.name}, which {_wished(wish)}{_why(wish)}",
                          expected=wish.name, also=[transaction.start], transaction=None)


@check("wish-measurand", call("MeterValues"))
def measured(now: Now) -> None:
    transaction = transaction_of(now) if now.wishes.measurands else None
    if transaction is not None and transaction.open:
        note(now.session.book(Samples).of(transaction), items(now.request, "meterValue"), running=True)


def transaction_of(now: Now) -> Transaction | None:
    """The transaction that a message is about; of MeterValues without an id the open one on the connector."""
    book, request = now.session.transactions, now.request
    if now.version != "1.6":
        return book.find(text(request, "transactionInfo", "transactionId"))
    found = book.find(integer(request, "transactionId"))
    return found if found is not None else book.on(integer(request, "connectorId"))


def note(sampled: Sampled, meter_values: Iterable[Any], *, running: bool) -> None:
    for value in meter_values:
        for _, one in objects(value, "sampledValue"):
            sampled.while_running = sampled.while_running or running
            if len(sampled.measurands) < MEASURANDS_KEPT:
                sampled.measurands.add((text(one, "measurand") or DEFAULT)[:LONGEST])


def _followed(now: Now, transaction: Transaction) -> bool:
    """Whether nothing of the transaction is missing, as far as is known."""
    start = transaction.start
    whole = now.link is not None and now.link.whole and not now.injected
    return whole and start is not None and (start.connection == now.connection or not boots.book(now).patchy)


def _long_enough(now: Now, transaction: Transaction) -> bool:
    """Whether a transaction without samples should have had some: the interval is known, and it lasted several."""
    key = "MeterValueSampleInterval" if now.version == "1.6" else "SampledDataCtrlr.TxUpdatedInterval"
    interval = now.session.settings.integer(key)
    if not interval or interval < 0 or now.session.links.offline_between(transaction.start_time, now.time):
        return False
    return now.time - transaction.start_time > FEW * interval
