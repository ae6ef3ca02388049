"""The gate: what is recorded, and what is analysed."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from ocpp_proxy.core import gate
from ocpp_proxy.core.frame import Call, Malformed
from ocpp_proxy.core.gate import admit
from ocpp_proxy.core.reader import read
from ocpp_proxy.core.record import Mask

SECRET = b'[2,"1","ChangeConfiguration",{"key":"AuthorizationKey","value":"hunter2"}]'
MASKED = SECRET.replace(b"hunter2", b"*******")


def test_what_is_analysed_was_read_from_what_is_recorded() -> None:
    admitted = admit(SECRET, binary=False, keep_secrets=False)
    assert (admitted.data, admitted.masked) == (MASKED, (Mask("/3/value", 7, "text"),))
    assert isinstance(admitted.frame, Call)
    assert admitted.frame.payload == {"key": "AuthorizationKey", "value": "*******"}
    assert admitted.frame == read(MASKED)


def test_secrets_are_kept_when_asked_for() -> None:
    admitted = admit(SECRET, binary=False, keep_secrets=True)
    assert (admitted.data, admitted.masked) == (SECRET, ())
    assert admitted.frame == read(SECRET)


def test_the_same_bytes_go_through_where_there_is_no_secret() -> None:
    raw = b'[2,"1","Heartbeat",{}]'
    admitted = admit(raw, binary=True, keep_secrets=False)
    assert admitted.data is raw
    assert admitted.frame == read(raw, binary=True)


@given(st.binary(max_size=200), st.booleans(), st.booleans())
def test_no_bytes_raise(raw: bytes, binary: bool, keep_secrets: bool) -> None:
    admitted = admit(raw, binary=binary, keep_secrets=keep_secrets)
    assert admitted.frame.raw == admitted.data
    assert admitted.frame.defects or not isinstance(admitted.frame, Malformed)
    assert admitted.masked or admitted.data == raw


def test_the_gate_masks_handshakes_and_fragments_too() -> None:
    assert gate.mask_headers([("Cookie", "x")]) == (("Cookie", {"masked": 1, "form": "text"}),)
    assert gate.mask_target("/CP1?token=x") == "/CP1?token=*"
    assert gate.PartMasker().mask(b'[2,"1","SetVariables",{"a":"b"}') == b'[2,"1","SetVariables",{"*":"*"}'
