"""From options and `[[station]]` entries to `Routes`: the CSMS of each station, with its TLS.

Decides what an entry takes over from the options of `run`: one with an upstream of its own nothing but the timeout; one
without speaks to the default upstream, with its own words in place of those of `run`. Each mistake is told with the
place that it was made in. Refuses to know when that happens: at the start, or for a reload.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Any

import click

from ocpp_proxy.cli.configured import Place, place
from ocpp_proxy.config import Configuration
from ocpp_proxy.core.errors import BadInput
from ocpp_proxy.core.gate import mask_target
from ocpp_proxy.files.stations import StationEntry
from ocpp_proxy.relay.routes import Route, Routes, is_pattern
from ocpp_proxy.wire.tls import csms_context
from ocpp_proxy.wire.upstream import Upstream, as_segment

_TLS = ("upstream-ca", "upstream-cert", "upstream-key", "upstream-insecure", "upstream-sni")
ROUTING = frozenset({"upstream", "upstream-timeout", "allow", *_TLS})  # the options of `run` that a reload can change


def build_routes(
    ctx: click.Context, options: Mapping[str, Any], configuration: Configuration | None, warn: Callable[[str], None]
) -> Routes:
    """`options` by parameter, as `run` got them; `ctx` knows where from. `warn` hears of what works but may not be
    meant. Raises BadInput."""
    return _Builder(ctx, options, configuration, warn).build()


class _Builder:
    def __init__(
        self, ctx: click.Context, options: Mapping[str, Any], configuration: Configuration | None,
        warn: Callable[[str], None],
    ) -> None:  # fmt: skip
        self._ctx = ctx
        self._said = {name: options[name.replace("-", "_")] for name in ROUTING}
        self._configuration = configuration
        self._stations = configuration.stations if configuration is not None else ()
        self._warn = warn
        self._contexts: dict[tuple[Any, ...], ssl.SSLContext] = {}

    def build(self) -> Routes:
        default = self._route(self._said, self._at_option, "")
        overrides = {}
        for index, entry in enumerate(self._stations):
            self._look_at(entry.id, f"[[station]] {entry.id}")
            if entry.options:
                overrides[entry.id] = self._override(entry, partial(self._at_key, index))
        names = {entry.id: entry.name for entry in self._stations if entry.name is not None}
        routes = Routes(default, overrides, names, self._allow())
        for entry in self._stations:
            if not is_pattern(entry.id) and routes.route(entry.id) is None:
                self._warn(f"[[station]] {entry.id}: it may not connect, allow does not name it")
        return routes

    def _override(self, entry: StationEntry, at: Callable[[str], Place]) -> Route:
        if "upstream" in entry.options:
            nothing = dict.fromkeys(_TLS)
            said = {**nothing, "upstream-timeout": self._said["upstream-timeout"], **entry.options}
        else:
            said = {**self._said, **entry.options}
        return self._route(said, at, f"[[station]] {entry.id}")

    def _route(self, said: Mapping[str, Any], at: Callable[[str], Place], entry: str) -> Route:
        """`at` says where an option stands; `entry` is empty for the default."""
        where = at("upstream")
        known_as = f"{entry} upstream" if entry else _known_as("upstream", where)
        with _told_at(where):
            upstream = Upstream.parse(said["upstream"], known_as)
        tls, named = None, [name for name in _TLS if said[name]]
        if upstream.secure:
            with _told_at(at(named[0]) if named else where, entry):
                tls = self._context(said)
            with _told_at(at("upstream-sni") if said["upstream-sni"] else where):
                _try_name(tls, said["upstream-sni"] or upstream.host)
        elif named:
            with _told_at(at(named[0])):
                shown = mask_target(said["upstream"])
                raise BadInput(f"--{named[0]} needs a wss:// upstream; {known_as} is {shown}")
        return Route(upstream, tls, said["upstream-sni"], said["upstream-timeout"])

    def _context(self, said: Mapping[str, Any]) -> ssl.SSLContext:
        """One for all who want the same."""
        ca, cert, key, insecure, _ = wanted = tuple(said[name] for name in _TLS)
        made = self._contexts.get(wanted[:-1])
        if made is None:
            made = self._contexts[wanted[:-1]] = csms_context(ca, cert, key, bool(insecure), warn=self._warn)
        return made

    def _allow(self) -> tuple[str, ...] | None:
        allowed: tuple[str, ...] = self._said["allow"]
        where = self._at_option("allow")
        if self._configuration is not None and where.file and not allowed:
            if "allow" not in self._configuration.options.get("run", {}):
                return None
            raise BadInput("[run] allow lets nobody connect: expected identities or patterns such as \"DEPOT-*\"; "
                           "without it all may", where.file, where.line)
        for identity in allowed:
            if not identity.strip():
                raise BadInput(f"{_known_as('allow', where)}: an identity is not empty", where.file, where.line)
            self._look_at(identity, _known_as("allow", where))
        return allowed or None

    def _look_at(self, identity: str, where: str) -> None:
        """Identities are compared as they are sent, and a path has no room for some characters."""
        spelt = "?".join(as_segment(part) for part in identity.split("?"))
        if spelt != identity:
            self._warn(f"{where}: {identity!r} is compared with what stations send; in a path that would be {spelt!r}")

    def _at_option(self, option: str) -> Place:
        return place(self._ctx, option, self._configuration)

    def _at_key(self, index: int, key: str) -> Place:
        assert self._configuration is not None
        return Place(self._configuration.file, self._configuration.line("station", index, key))


def _try_name(context: ssl.SSLContext, name: str) -> None:
    """A name that TLS cannot ask for would else be found out with the first station."""
    try:
        context.wrap_bio(ssl.MemoryBIO(), ssl.MemoryBIO(), server_hostname=name)
    except ValueError as error:  # a UnicodeError is one
        raise BadInput(f"TLS cannot ask for the host {name!r}: expected a name such as csms.example.com") from error


def _known_as(option: str, where: Place) -> str:
    return f"--{option}" if where.file is None else f"[run] {option}"


@contextmanager
def _told_at(where: Place, entry: str = "") -> Iterator[None]:
    """Mistakes in what was said there. An error with a file of its own keeps that, and an entry is named besides."""
    try:
        yield
    except BadInput as error:
        if where.file is None or (error.file is not None and not entry):
            raise
        if error.file is None:
            raise BadInput(error.what, where.file, where.line) from error
        said = where.file if where.line is None else f"{where.file}:{where.line}"
        raise BadInput(f"{error.what} ({entry}, {said})", error.file, error.line) from error
