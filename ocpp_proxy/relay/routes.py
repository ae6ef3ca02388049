"""Which CSMS a station is for, whether it may connect at all, and what people call it.

Decides by the identity alone: the entry that spells it exactly counts, else the first pattern that matches, and that
for each question by itself, so that an entry which only names a station leaves its way as it is. Refuses to read files,
to connect and to remember who did: a changed choice is another `Routes`.

Patterns know `*` (any number of characters, none too) and `?` (exactly one), nothing else; upper and lower case differ.
"""

from __future__ import annotations

import re
import ssl
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from fnmatch import translate
from functools import lru_cache
from types import MappingProxyType
from typing import Generic, TypeVar

from ocpp_proxy.relay.settings import RelaySettings
from ocpp_proxy.wire.tls import csms_context
from ocpp_proxy.wire.upstream import Upstream

Value = TypeVar("Value")
_NONE: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Route:
    """How a station's CSMS is dialled. `tls`: None for ws://; `server_name` to ask for in place of the URL's host;
    `timeout_s` covers DNS, TCP, TLS and the upgrade."""

    upstream: Upstream
    tls: ssl.SSLContext | None = field(default=None, compare=False)
    server_name: str | None = None
    timeout_s: float = 10.0


class ByIdentity(Generic[Value]):
    """Values for identities and patterns, the patterns in the order that they are tried in."""

    def __init__(self, values: Mapping[str, Value]) -> None:
        self._exact = dict(values)
        self._patterns = [(_compiled(key), value) for key, value in values.items() if is_pattern(key)]

    def find(self, identity: str) -> Value | None:
        """None where nothing matches."""
        if identity in self._exact:
            return self._exact[identity]
        return next((value for pattern, value in self._patterns if pattern.match(identity)), None)


class Routes:
    """`overrides` and `names` by identity or pattern; `allow`: who may connect, None for everybody."""

    def __init__(
        self,
        default: Route,
        overrides: Mapping[str, Route] = MappingProxyType({}),
        names: Mapping[str, str] = _NONE,
        allow: Iterable[str] | None = None,
    ) -> None:
        self.default = default
        self._overrides = ByIdentity(overrides)
        self._names = ByIdentity(names)
        self._allowed = None if allow is None else ByIdentity(dict.fromkeys(allow, True))

    @classmethod
    def single(cls, settings: RelaySettings) -> Routes:
        """Everybody to the one CSMS of the settings. Raises BadInput for a URL that cannot be used."""
        upstream = Upstream.parse(settings.upstream)
        tls = (settings.csms_tls or csms_context()) if upstream.secure else None
        return cls(Route(upstream, tls, settings.csms_server_name, settings.upstream_timeout_s))

    def route(self, identity: str) -> Route | None:
        """Where this station's CSMS is; None: it may not connect."""
        if self._allowed is not None and self._allowed.find(identity) is None:
            return None
        return self._overrides.find(identity) or self.default

    def name(self, identity: str) -> str | None:
        """What people call this station, None where nobody said."""
        return self._names.find(identity)


def is_pattern(text: str) -> bool:
    return "*" in text or "?" in text


def fits(pattern: str, identity: str) -> bool:
    return _compiled(pattern).match(identity) is not None


@lru_cache(maxsize=256)
def _compiled(pattern: str) -> re.Pattern[str]:
    # The library's expressions go back over nothing, so the time they take stays small whatever a peer calls itself.
    return re.compile(translate(pattern.replace("[", "[[]")))
