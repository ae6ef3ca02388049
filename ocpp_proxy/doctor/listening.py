"""The side to the station: whether `run` could listen there, and what to type into the charger then.

Decides which of this machine's addresses a place to listen stands for. Refuses to know whether a firewall lets the
station through: that can be seen from the station's side only.

Source: OCPP-J 1.6 section 3.1.1 (the identity is the last part of the URL).
"""

from __future__ import annotations

import ipaddress

from ocpp_proxy.core.errors import BadInput
from ocpp_proxy.core.gate import mask_target
from ocpp_proxy.doctor.case import Case
from ocpp_proxy.doctor.step import Step
from ocpp_proxy.relay.settings import parse_listen
from ocpp_proxy.relay.sockets import listen
from ocpp_proxy.wire.own_names import own_addresses
from ocpp_proxy.wire.upstream import PLACEHOLDER

_IN_USE = "in use"


def places(case: Case) -> list[Step]:
    return [_place(case, text) for text in case.places]


def _place(case: Case, text: str) -> Step:
    host, port = parse_listen(text)
    try:
        sockets = listen(host, port)
    except BadInput as error:
        reason = error.what.removeprefix(f"--listen {host}:{port}: ")
        if _IN_USE in reason and not case.listen:
            return Step("listen", None, f"{text}, where run listens unless told otherwise, is in use: by a running "
                                        f"ocpp-proxy, or else name another with --listen. {_typed(case, host, port)}")
        return Step("listen", False, f"{text}: {reason}", _remedy(reason, port))
    bound = sockets[0].getsockname()[1]
    for sock in sockets:
        sock.close()
    if port == 0:
        return Step("listen", True, f"{text} takes a free port at each start, so the station has to be told anew each "
                                    f"time. {_typed(case, host, bound)}")
    return Step("listen", True, f"{text} is free. {_typed(case, host, port)}")


def _typed(case: Case, host: str, port: int) -> str:
    reachable = addresses(host)
    urls = [f"ws://{f'[{one}]' if ':' in one else one}:{port}" for one in reachable]
    if not urls:
        return "This machine has no address there that a station could reach: plug in the network first"
    alone = all(ipaddress.ip_address(one.partition("%")[0]).is_loopback for one in reachable if _is_address(one))
    here = " (stations on this machine only: another needs --listen 0.0.0.0:PORT)" if alone else ""
    behind = f"/{case.identity}" if case.identity else "a slash and its identity"
    return (f"Type {' or '.join(urls)} into the charger{here}, or wss:// with --tls-auto or --tls-cert. Most put "
            f"{behind} behind that by themselves; where yours does not, type it too. {_path(case)}")


def _path(case: Case) -> str:
    base = mask_target(case.upstream.url)
    if PLACEHOLDER in base:
        return f"run --upstream {base} puts the identity into that URL"
    path = case.upstream.path.rstrip("/")
    if path:
        return f"Leave {path} out: run --upstream {base} puts it before the path that the station asks for"
    return f"run --upstream {base} passes on whatever path the station asks for"


def addresses(host: str) -> list[str]:
    """What a station can reach somebody by who listens at this host, best first."""
    if host not in ("", "0.0.0.0", "::"):  # noqa: S104  # compared with, not listened on
        return [host]
    versions = {"": (4, 6), "0.0.0.0": (4,), "::": (6,)}[host]  # noqa: S104
    return [one for one in own_addresses() if ipaddress.ip_address(one.partition("%")[0]).version in versions]


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return False
    return True


def _remedy(reason: str, port: int) -> str:
    if _IN_USE in reason:
        return "if that is ocpp-proxy itself, all is well; else end the other program, or name another port"
    if "ermission" in reason:
        return f"ports below 1024 belong to the administrator here: name another, such as {port + 9000}"
    return "name an address of this machine, or 0.0.0.0 for all of them"
