"""Records to write into captures, made by hand and by Hypothesis."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

from ocpp_proxy.capture import Recorder
from ocpp_proxy.core.instant import Instant
from ocpp_proxy.core.record import CaptureHeader, Closed, Entry, FrameRecord, Gap, Mask, Opened

NINE = Instant.parse("2026-11-21T09:00:00Z")
HEARTBEAT = b'[2,"1","Heartbeat",{}]'
TOOL = "ocpp-proxy test"

MakeRecorder = Callable[..., Recorder]


def after(seconds: float) -> Instant:
    """So many seconds after nine, by both clocks."""
    return Instant(NINE.utc_us + int(seconds * 1e6), 1_000_000_000 + int(seconds * 1e9))


def opened(connection: str = "c1", station: str | None = "CP1", **more: Any) -> Opened:
    return Opened(connection=connection, at=after(0), station=station, target=f"/{station}", **more)


def frame(seq: int, data: bytes = HEARTBEAT, *, connection: str = "c1", **more: Any) -> FrameRecord:
    return FrameRecord(**{"connection": connection, "seq": seq, "at": after(seq), "sender": "station", "to": "csms",
                          "opcode": "text", "data": data, **more})


def closed(connection: str = "c1", **more: Any) -> Closed:
    return Closed(**{"connection": connection, "at": after(100), "by": "station", "code": 1000, **more})


def record_into(path: Path, *batches: list[Any], on_trouble: Any = lambda _: None) -> Path:
    """A capture with these batches in it, closed properly."""
    recorder = Recorder.create(path, TOOL, on_trouble=on_trouble)
    for batch in batches:
        assert recorder.write(batch)
    recorder.close()
    return path


# ---- whatever a capture may hold

anything = st.text(st.characters())  # lone surrogates and control characters included
numbers = st.one_of(
    st.integers(), st.integers(-(10**40), 10**40), st.floats(allow_nan=False, allow_infinity=False),
    st.sampled_from([Decimal("1E+400"), Decimal("0.1000000000000000000000001")]),
)
json_values = st.recursive(
    st.one_of(st.none(), st.booleans(), numbers, anything),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(anything, inner, max_size=3), max_leaves=8,
)
unknown_keys = st.dictionaries(anything.map(lambda name: f"x-{name}"), json_values, max_size=2)
instants = st.builds(Instant, st.integers(-62_135_596_800_000_000, 253_402_300_799_999_999),
                     st.none() | st.integers(-(2**63), 2**63 - 1))
payloads = st.binary() | anything.map(lambda text: text.encode(errors="surrogatepass"))
int64 = st.integers(-(2**63), 2**63 - 1)
counts = st.integers(0, 2**63 - 1)
lengths = st.floats(allow_nan=False, allow_infinity=False) | st.integers(0, 10**6)
sides = st.sampled_from(["station", "csms"])
senders = st.sampled_from(["station", "csms", "proxy"])
names = st.sampled_from(["c1", "c2", "1"]) | anything
headers = st.lists(st.tuples(anything, anything | st.dictionaries(anything, json_values, max_size=2)), max_size=3)
masks = st.builds(Mask, st.none() | anything, st.integers(), st.sampled_from(["text", "hex", "bytes"]), unknown_keys)

some_opened = st.builds(
    Opened, connection=names, at=instants, station=st.none() | anything, station_address=st.none() | anything,
    target=st.none() | anything, offered=st.lists(anything, max_size=3).map(tuple), subprotocol=st.none() | anything,
    extensions=st.none() | anything, status=st.none() | int64, refused_by=st.none() | senders,
    dial_ms=st.none() | lengths, station_headers=headers.map(tuple), csms_headers=headers.map(tuple),
    tls=st.dictionaries(anything, json_values, max_size=2), extra=unknown_keys,
)
some_frame = st.builds(
    FrameRecord, connection=names, seq=counts, at=instants, sender=senders, to=sides,
    opcode=st.sampled_from(["text", "binary", "ping", "pong"]), data=payloads,
    origin=st.sampled_from(["relayed", "injected", "modified", "withheld"]),
    fragments=st.none() | st.lists(counts, max_size=3).map(tuple), incomplete=st.booleans(),
    masked=st.lists(masks, max_size=2).map(tuple), held_ms=st.none() | lengths, original=st.none() | payloads,
    extra=unknown_keys,
)
some_gap = st.builds(Gap, connection=names, at=instants, first_seq=counts, lost=counts, reason=anything,
                     extra=unknown_keys)
some_closed = st.builds(
    Closed, connection=names, at=instants, by=senders, code=int64, reason=anything,
    echo=st.none() | st.tuples(st.integers(), anything), extra=unknown_keys,
)
_OWN_TYPES = ("capture", "opened", "frame", "gap", "closed")
some_entry = st.builds(
    Entry, type=st.sampled_from(["finding", "act", "note", "prompt", "script"]) | anything.filter(
        lambda kind: kind not in _OWN_TYPES),
    connection=st.none() | names, at=st.none() | instants, fields=unknown_keys,
)
some_record = st.one_of(some_opened, some_frame, some_gap, some_closed, some_entry)
some_header = st.builds(
    CaptureHeader, version=st.just(1), tool=anything,
    time_scale=st.floats(min_value=0, exclude_min=True, allow_infinity=False), extra=unknown_keys)

