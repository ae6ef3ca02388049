"""How simulated stations differ: one class a behaviour, each overriding what is different about it.

Decides traits (what a station says of itself) and replaces single operations. Refuses to know how a station lives
(`station`) and what the usual answers are (`operations16`, `operations2x`).
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import ClassVar, Final

from ocpp_proxy.core.errors import BadInput
from ocpp_proxy.core.frame import Version
from ocpp_proxy.sim import configuration, extras2x, extras16, operations2x, operations16
from ocpp_proxy.sim.configuration import Configuration
from ocpp_proxy.sim.endpoint import Payload, Reply
from ocpp_proxy.sim.operations2x import Operation2x
from ocpp_proxy.sim.operations16 import Operation16


class Conformant:
    """A station as the specifications want it; it has a modem and a SIM card."""

    name: ClassVar[str] = "conformant"
    versions: ClassVar[tuple[Version, ...]] = ("1.6", "2.0.1", "2.1")
    vendor = "Loopback Charging"
    model = "LC22-2"
    firmware = "2.3.1"
    next_firmware = "2.4.0"
    connectors = 2
    has_modem = True
    keeps_transactions = True
    vendor_error_code: str | None = "E-041"  # of every fault in 1.6; None where the vendor has none
    tells_security_events = False  # in 1.6, where they belong to an extension
    reboot_s = 15.0

    def serial(self, seed: int) -> str:
        return f"LC22-{random.Random(f'{seed}/serial').randrange(10**8):08d}"

    def modem(self, seed: int) -> Payload:
        """The SIM card's numbers; nothing where there is no card."""
        if not self.has_modem:
            return {}
        rng = random.Random(f"{seed}/modem")
        body = f"894450{rng.randrange(10**12):012d}"
        return {"iccid": body + _luhn(body), "imsi": f"23450{rng.randrange(10**10):010d}"}

    def configuration(self, connectors: int) -> Configuration:
        """The keys of an OCPP 1.6 station."""
        keys = (*configuration.CORE, *configuration.OPTIONAL, *configuration.LOCAL_LIST,
                *configuration.SMART_CHARGING, *configuration.RESERVATION)
        return Configuration(keys, {"NumberOfConnectors": str(connectors)})

    def operations16(self) -> Mapping[str, Operation16]:
        """What an OCPP 1.6 CSMS may ask, by action."""
        return operations16.OPERATIONS | extras16.EXTRAS

    def operations2x(self, version: Version) -> Mapping[str, Operation2x]:
        """What an OCPP 2.x CSMS may ask, by action."""
        usual = operations2x.OPERATIONS | extras2x.EXTRAS
        return usual | extras2x.STREAMS if version == "2.1" else usual


class Secured(Conformant):
    """A station of OCPP 1.6 with the whole security extension: signed firmware alone, security events."""

    name = "secured"
    versions = ("1.6",)
    tells_security_events = True

    def configuration(self, connectors: int) -> Configuration:
        keys = (*configuration.CORE, *configuration.OPTIONAL, *configuration.LOCAL_LIST,
                *configuration.SMART_CHARGING, *configuration.RESERVATION, *configuration.SECURITY)
        return Configuration(keys, {"NumberOfConnectors": str(connectors)})

    def operations16(self) -> Mapping[str, Operation16]:
        usual = super().operations16()
        kept = {action: operation for action, operation in usual.items() if action != "UpdateFirmware"}
        return kept | {"SignedUpdateFirmware": extras16.signed_update_firmware}


class WallboxCpb1(Conformant):
    """The Wallbox CPB1-S-2-4 of the commissioning sheet: no SIM card, 38 configuration keys, no TriggerMessage,
    and what happens while the link is down is lost."""

    name = "wallbox-cpb1"
    versions = ("1.6",)
    vendor = "Wall Box Chargers"
    model = "CPB1-S-2-4"
    firmware = "4.3.6"
    next_firmware = "4.3.7"
    connectors = 1
    has_modem = False
    vendor_error_code = None
    keeps_transactions = False

    def serial(self, seed: int) -> str:
        return f"{random.Random(f'{seed}/serial').randrange(10**5, 10**6)}"

    def configuration(self, connectors: int) -> Configuration:
        keys = (*configuration.CORE, *configuration.OPTIONAL, *configuration.COMFORT,
                *configuration.LOCAL_LIST, *configuration.SMART_CHARGING)
        return Configuration(keys, {
            "NumberOfConnectors": str(connectors),
            "ConnectorPhaseRotation": "0.RST,1.RST",
            "SupportedFeatureProfiles": "Core,FirmwareManagement,LocalAuthListManagement,SmartCharging",
        })

    def operations16(self) -> Mapping[str, Operation16]:
        usual = super().operations16()
        absent = {"ReserveNow", "CancelReservation", "ExtendedTriggerMessage", "GetLog", "CertificateSigned",
                  "InstallCertificate", "DeleteCertificate", "GetInstalledCertificateIds"}
        kept = {action: operation for action, operation in usual.items() if action not in absent}
        return kept | {"TriggerMessage": _not_implemented}


def _not_implemented(_station: object, _request: Payload) -> Reply:
    return Reply({"status": "NotImplemented"})


def _luhn(digits: str) -> str:
    """The check digit that ends an ICCID (ITU-T E.118, annex B)."""
    doubled = [int(digit) * (2 if place % 2 == 0 else 1) for place, digit in enumerate(reversed(digits))]
    return str(-sum(value // 10 + value % 10 for value in doubled) % 10)


STATION_BEHAVIOURS: Final[dict[str, type[Conformant]]] = {
    behaviour.name: behaviour for behaviour in (Conformant, Secured, WallboxCpb1)
}


def station_behaviour(name: str, version: Version) -> Conformant:
    """The behaviour of that name. Raises BadInput, naming the allowed ones."""
    behaviour = STATION_BEHAVIOURS.get(name)
    if behaviour is None:
        raise BadInput(f"no station behaviour {name!r}; there are {', '.join(STATION_BEHAVIOURS)}")
    if version not in behaviour.versions:
        raise BadInput(f"behaviour {name} speaks OCPP {', '.join(behaviour.versions)}, not {version}")
    return behaviour()
