"""What the operations of every OCPP version share: simple answers, jobs in the background, certificates.

Decides how long a job takes and when it fails. Files are neither fetched nor sent: the statuses are told as if they
had been, or as if that had failed where the location names no way to do it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Final, Protocol

from ocpp_proxy.core.instant import Instant
from ocpp_proxy.sim.clock import ScaledClock
from ocpp_proxy.sim.endpoint import Payload, Reply

if TYPE_CHECKING:
    from ocpp_proxy.sim.station import SimulatedStation

PHASE_S = 20.0  # what each step of a download, an installation or an upload takes
SCHEMES: Final = ("http://", "https://", "ftp://", "ftps://", "sftp://")


class Worker(Protocol):
    """A station of any version. `jobs` holds, by action, what was last told of each job while it runs."""

    host: SimulatedStation
    clock: ScaledClock
    jobs: dict[str, Payload]


def status(value: str, then: Callable[[], object] | None = None) -> Reply:
    return Reply({"status": value}, then)


def seconds_until(clock: ScaledClock, text: str | None) -> float:
    """How long until that time; 0 if it has passed, was not given or cannot be read."""
    try:
        return max(0.0, Instant.parse(text or "").seconds_since(clock.now()))
    except ValueError:
        return 0.0


def reachable(location: str) -> bool:
    return location.lower().startswith(SCHEMES)


async def tell_job(station: Worker, action: str, statuses: Sequence[str], extra: Payload) -> None:
    """The statuses of a job in the background, one a phase."""
    for value in statuses:
        station.jobs[action] = {"status": value} | extra
        await station.host.say(action, station.jobs[action])
        await station.clock.sleep(PHASE_S)
    station.jobs.pop(action, None)


def upload(station: Worker, action: str, location: str, failed: str, extra: Payload) -> Callable[[], object]:
    """What follows a request for a file: its upload, or the failure of it."""
    outcome = "Uploaded" if reachable(location) else failed
    return lambda: station.host.spawn(tell_job(station, action, ["Uploading", outcome], extra), action)


def get_log(station: Worker, request: Payload) -> Reply:
    """GetLog, of 2.x and of the security extension of 1.6."""
    busy = "LogStatusNotification" in station.jobs
    name = f"{request['logType']}-{station.host.address.station_id}.log"[:255]
    return Reply({"status": "AcceptedCanceled" if busy else "Accepted", "filename": name}, upload(
        station, "LogStatusNotification", request["log"]["remoteLocation"], "UploadFailure",
        {"requestId": request["requestId"]}))


def signing_request(name: str) -> str:
    """The form of a certificate signing request, with nothing in it that could be signed."""
    body = hashlib.sha256(name.encode()).hexdigest()
    return f"-----BEGIN CERTIFICATE REQUEST-----\n{body}\n-----END CERTIFICATE REQUEST-----\n"


class Certificates:
    """The certificates a station was given, known by hashes that serve only to tell them apart."""

    def __init__(self) -> None:
        self._kept: list[tuple[str, Payload]] = []

    def install(self, kind: str, certificate: str) -> str:
        if "-----BEGIN CERTIFICATE-----" not in certificate:
            return "Rejected"
        digest = hashlib.sha256(certificate.encode()).hexdigest()
        self._kept.append((kind, {"hashAlgorithm": "SHA256", "issuerNameHash": digest, "issuerKeyHash": digest[::-1],
                                  "serialNumber": digest[:16]}))
        return "Accepted"

    def delete(self, hashes: Any) -> str:
        kept = [(kind, known) for kind, known in self._kept if known != hashes]
        found = len(kept) < len(self._kept)
        self._kept = kept
        return "Accepted" if found else "NotFound"

    def listed(self, kinds: Sequence[str] | None) -> list[tuple[str, Payload]]:
        """(kind, hashes) of those kinds; of all kinds for None."""
        return [(kind, hashes) for kind, hashes in self._kept if kinds is None or kind in kinds]
