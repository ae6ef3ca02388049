"""permessage-deflate between two ends that are not us: what is offered, what was chosen, how a message is read.

Decides which offers can be carried and how compressed messages are inflated for the record. Refuses to compress: a
frame is forwarded in the very bytes it came in, so both legs share one stream of compressed data, whatever its
window and context; a message that we would have to make ourselves goes uncompressed, which is always allowed.

Source: RFC 7692 sections 5 and 7.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from websockets.exceptions import InvalidHeader, NegotiationError
from websockets.extensions.permessage_deflate import PerMessageDeflate
from websockets.headers import build_extension, parse_extension
from websockets.typing import ExtensionHeader, ExtensionParameter

HEADER = "Sec-WebSocket-Extensions"
_NAME = "permessage-deflate"
_WINDOWS = frozenset(map(str, range(8, 16)))
# What values a parameter may have; in an offer, a client may announce the window without a size.
_VALUES: dict[str, frozenset[str | None]] = {
    "server_no_context_takeover": frozenset({None}),
    "client_no_context_takeover": frozenset({None}),
    "server_max_window_bits": _WINDOWS,
    "client_max_window_bits": _WINDOWS | {None},
}


@dataclass(frozen=True, slots=True)
class Chosen:
    """What the CSMS chose: window sizes in bits (8 to 15) and whether a side starts each message afresh."""

    station_window_bits: int
    csms_window_bits: int
    station_afresh: bool
    csms_afresh: bool

    def reader(self, sender_is_station: bool) -> PerMessageDeflate:
        """What inflates the messages of one side."""
        afresh = self.station_afresh if sender_is_station else self.csms_afresh
        bits = self.station_window_bits if sender_is_station else self.csms_window_bits
        # The other direction's half of the object is never used; without takeover it allocates nothing.
        return PerMessageDeflate(afresh, True, bits, 15)


def carried(value: str) -> tuple[str | None, tuple[str, ...]]:
    """Of one header's offers those that can be carried, and those that cannot: `(kept, struck)`.

    `kept` is `value` itself where nothing had to be struck, None where nothing is left.
    """
    try:
        offers = parse_extension(value)
    except InvalidHeader:
        return None, (value,)
    kept = [offer for offer in offers if _understood(offer)]
    if len(kept) == len(offers):
        return value, ()
    struck = tuple(build_extension([offer]) for offer in offers if not _understood(offer))
    return (build_extension(kept) if kept else None), struck


def chosen(values: Sequence[str], offered: bool) -> Chosen | None:
    """What the response's headers choose; None for no extension. Raises NegotiationError where we could not read the
    frames: an extension that was not offered, unknown parameters, more than one extension."""
    try:
        extensions = [extension for value in values for extension in parse_extension(value)]
    except InvalidHeader as error:
        raise NegotiationError(str(error)) from error
    if not extensions:
        return None
    if len(extensions) > 1 or not offered or not _understood(extensions[0]):
        raise NegotiationError(f"it chose {build_extension(extensions)}, which it was not offered")
    parameters = dict(extensions[0][1])
    return Chosen(
        station_window_bits=_bits(parameters, "client_max_window_bits"),
        csms_window_bits=_bits(parameters, "server_max_window_bits"),
        station_afresh="client_no_context_takeover" in parameters,
        csms_afresh="server_no_context_takeover" in parameters,
    )


def _bits(parameters: dict[str, str | None], name: str) -> int:
    return int(parameters.get(name) or 15)


def _understood(extension: ExtensionHeader) -> bool:
    name, parameters = extension
    names = [parameter for parameter, _ in parameters]
    return name == _NAME and len(names) == len(set(names)) and all(map(_allowed, parameters))


def _allowed(parameter: ExtensionParameter) -> bool:
    name, value = parameter
    return value in _VALUES.get(name, frozenset())
