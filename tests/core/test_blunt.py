"""Fragments: nothing secret goes on record in pieces, and nothing else is lost."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
from core_secret_places import PLACES, PLAIN_SECRETS, TEXT_PLACES, leaks, spelled
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ocpp_proxy.core.blunt import PartMasker, redact

# In these answers and fields the value may stand before anything that tells of it; fragments of them are not complete
# on record when they are masked as a whole message, so only what names the secret first is asked for here.
NAMED_LATER = {"response field", "error details", "any field", "named by message"}
ALL = [*PLACES.items(), *TEXT_PLACES.items()]


@pytest.mark.parametrize(("place", "message"), ALL, ids=[place for place, _ in ALL])
@given(st.data())
@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
def test_no_secret_passes_in_pieces(place: str, message: Any, data: st.DataObject) -> None:
    secret = data.draw(PLAIN_SECRETS)
    raw = data.draw(spelled(message(secret), plain=place in NAMED_LATER)).encode()
    cuts = sorted({0, len(raw), *data.draw(st.lists(st.integers(0, len(raw)), max_size=12))})
    parts = [raw[start:end] for start, end in pairwise(cuts)]
    shown = masked(*parts)
    assert [len(part) for part in shown] == [len(part) for part in parts]
    assert not leaks(secret, b"".join(shown)), (parts, shown)
    byte_by_byte = masked(*(raw[at : at + 1] for at in range(len(raw))))
    assert not leaks(secret, b"".join(byte_by_byte))


@pytest.mark.parametrize(
    "raw",
    [
        b'[2,"1","BootNotification",{"chargePointVendor":"Wall Box Chargers","chargePointModel":"CPB1"}]',
        b'[2,"1","MeterValues",{"connectorId":1,"meterValue":[{"timestamp":"2026-11-21T09:00:00Z"}]}]',
        b'[3,"1",{"currentTime":"2026-11-21T09:00:00Z"}]',
        b'[4,"1","NotImplemented","no idea",{}]',
        b'[6,"1","NotifyPeriodicEventStream",{"id":1}]',
        b'\xef\xbb\xbf [2,1,"Heartbeat",{}]',
        b"",
    ],
)
def test_harmless_messages_pass_in_pieces_untouched(raw: bytes) -> None:
    for size in (1, 7, 1000):
        assert b"".join(masked(*(raw[at : at + size] for at in range(0, len(raw), size)))) == raw


def test_the_head_stays_readable() -> None:
    masker = PartMasker()
    assert masker.mask(b'[2,"17","Change') == b'[2,"17","Change'
    assert masker.mask(b'Configuration",{"key":"Authori') == b'Configuration",{"***":"*******'
    assert masker.mask(b'zationKey","value":"x y"}]') == b'*********","*****":"* *"}]'


def masked(*parts: bytes) -> list[bytes]:
    masker = PartMasker()
    return [masker.mask(part) for part in parts]


def test_an_unknown_action_is_not_trusted() -> None:
    assert masked(b'[2,"1","SetStuff",{"a":"b"}]') == [b'[2,"1","SetStuff",{"*":"*"}]']
    short, long = b'{"a":"' + b"b" * 60, b"b" * 40
    assert masked(b'[2,"1",', short, long) == [b'[2,"1",', short, b"*" * 40]


def test_what_has_no_head_is_trusted_only_for_a_while() -> None:
    assert masked(b"x" * 255, b"xyz") == [b"x" * 255, b"***"]


@pytest.mark.parametrize(
    ("raw", "left"),
    [
        (b'[2,"1","ChangeConfiguration",{"key":"AuthorizationKey","value":"S \\" T","n":12',
         b'[2,"1","ChangeConfiguration",{"key":"AuthorizationKey","value":"******","n":99'),
        (b"[2,\"1\",\"A\",{'password':'SECRET'}]", b'[2,"1","A",{**********:********}]'),
        (b'{"password":SECRET,"a":true', b'{"password":******,"a":true'),
        (b'{"password":"SECRET', b'{"password":"******'),
        (b'{"a":"ftp://u:p@h"', b'{"a":"***********"'),
        (b'{"p\\u0061ssword":"SECRET"', b'{"p\\u0061ssword":"******"'),
        (b'p\0a\0s\0s\0w\0o\0r\0d\0"\0:\0"\0S\0E\0', b'*\0*\0*\0*\0*\0*\0*\0*\0"***"\0*\0*\0'),
    ],
)  # fmt: skip
def test_broken_messages_keep_their_structure_and_keys(raw: bytes, left: bytes) -> None:
    assert redact(raw)[0] == left


@given(st.lists(st.binary(max_size=40)))
def test_no_bytes_raise(parts: list[bytes]) -> None:
    masker = PartMasker()
    for part in parts:
        assert len(masker.mask(part)) == len(part)
    assert len(redact(b"password" + b"".join(parts))[0]) == len(b"password" + b"".join(parts))
