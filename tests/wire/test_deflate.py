"""Offers and choices of permessage-deflate."""

from __future__ import annotations

import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.exceptions import NegotiationError
from websockets.frames import Frame, Opcode

from ocpp_proxy.wire.deflate import Chosen, carried, chosen


@pytest.mark.parametrize(
    ("offer", "kept", "struck"),
    [
        ("permessage-deflate", "permessage-deflate", ()),
        ('permessage-deflate; server_max_window_bits="10"', 'permessage-deflate; server_max_window_bits="10"', ()),
        ("permessage-deflate;client_max_window_bits=8", "permessage-deflate;client_max_window_bits=8", ()),
        ("permessage-deflate; server_max_window_bits", None, ("permessage-deflate; server_max_window_bits",)),
        ("permessage-deflate; server_no_context_takeover=1", None,
         ("permessage-deflate; server_no_context_takeover=1",)),
        ("permessage-deflate; client_max_window_bits; client_max_window_bits", None,
         ("permessage-deflate; client_max_window_bits; client_max_window_bits",)),
        ("x, permessage-deflate, y; z=1", "permessage-deflate", ("x", "y; z=1")),
        ("", None, ("",)),
    ],
)  # fmt: skip
def test_offers(offer: str, kept: str | None, struck: tuple[str, ...]) -> None:
    assert carried(offer) == (kept, struck)


@given(st.text(st.characters(max_codepoint=255)))
def test_no_offer_raises(offer: str) -> None:
    carried(offer)


def test_choices() -> None:
    assert chosen([], True) is None
    assert chosen([], False) is None
    assert chosen(["permessage-deflate"], True) == Chosen(15, 15, False, False)
    everything = (
        "permessage-deflate; client_no_context_takeover; server_max_window_bits=12; client_max_window_bits=9;"
        "server_no_context_takeover"
    )
    assert chosen([everything], True) == Chosen(9, 12, True, True)


@pytest.mark.parametrize(
    "values",
    [
        ["x"],
        ["permessage-deflate", "permessage-deflate"],
        ["permessage-deflate; server_max_window_bits=99"],
        ["=", "x"],
    ],
)
def test_choices_that_cannot_be_read(values: list[str]) -> None:
    with pytest.raises(NegotiationError):
        chosen(values, True)


def test_a_choice_without_an_offer() -> None:
    with pytest.raises(NegotiationError, match="permessage-deflate"):
        chosen(["permessage-deflate"], False)


def packed(bits: int) -> bytes:
    stream = zlib.compressobj(wbits=-bits)
    return (stream.compress(b"abc" * 100) + stream.flush(zlib.Z_SYNC_FLUSH))[:-4]


@pytest.mark.parametrize("bits", [8, 9, 15])
@pytest.mark.parametrize("afresh", [True, False])
def test_each_side_is_read_by_its_own_parameters(bits: int, afresh: bool) -> None:
    one = Chosen(bits, 15, afresh, False).reader(True)
    other = Chosen(15, bits, False, afresh).reader(False)
    for reader in (one, other):
        frame = Frame(Opcode.TEXT, packed(max(bits, 9)), True, True)
        assert reader.decode(frame).data == b"abc" * 100
        assert (reader.remote_max_window_bits, reader.remote_no_context_takeover) == (bits, afresh)
