"""The words of the API: what it is asked with and what it answers, for checking and for its OpenAPI document.

Decides names, types and bounds. Refuses to know what is done (`acts_api`, `board_api`). Requests take no unknown field;
what is answered is built by others and described here.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from ocpp_proxy.core.finding import Axis, Severity
from ocpp_proxy.core.frame import Sender, Side
from ocpp_proxy.core.record import Origin
from ocpp_proxy.relay.acts import Came, FaultKind

WAIT_MOST_S = 600.0


def _whole(value: Any) -> Any:
    """JSON Schema counts 1.0 among the integers."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


Count = Annotated[int, Field(ge=1, le=1_000_000_000), BeforeValidator(_whole)]
CloseCode = Annotated[int, Field(ge=1000, le=4999), BeforeValidator(_whole)]
Seconds = Annotated[float, Field(ge=0, le=86_400 * 30)]
Name = Annotated[str, Field(min_length=1, max_length=255)]


class Asked(BaseModel):
    """A request's body."""

    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)


class By(Asked):
    """`by`: who asks, for the record."""

    by: str = Field("api", min_length=1, max_length=100)


class Inject(By):
    """A Call to be sent; the fields of `relay.acts.Injection`. `follow_s`: how long to listen for what the station or
    the CSMS sends after the answer."""

    action: Name
    payload: dict[str, Any] = Field(default_factory=dict)
    to: Side = "station"
    connection: Name | None = None
    timeout_s: Annotated[float, Field(gt=0, le=WAIT_MOST_S)] = 30.0
    wait_s: Annotated[float, Field(ge=0, le=WAIT_MOST_S)] = 10.0
    confirm: bool = False
    force: bool = False
    hasten: bool = False
    follow_s: Annotated[float, Field(ge=0, le=WAIT_MOST_S)] = 0.0


class Failure(Asked):
    """A CallError to answer with."""

    code: Name
    description: str = Field("", max_length=255)
    details: dict[str, Any] = Field(default_factory=dict)


class AddFault(By):
    """A fault to be put on live links; the fields of `relay.acts.FaultOrder`."""

    kind: FaultKind
    station: Name = "*"
    sender: Side | None = None
    action: Name | None = None
    part: Literal["call", "answer"] | None = None
    count: Count | None = None
    for_s: Annotated[float, Field(gt=0, le=86_400 * 30)] | None = None
    seconds: Seconds | None = None
    bytes_per_s: Count | None = None
    patch: Annotated[list[dict[str, Any]], Field(max_length=100)] | None = None
    result: dict[str, Any] | None = None
    error: Failure | None = None
    code: CloseCode = 1000
    reason: str = Field("", max_length=123)
    confirm: bool = False


class Note(By):
    """A remark into the capture; with a station, on its newest connection."""

    text: str = Field(min_length=1, max_length=4000)
    station: Name | None = None


class SchemaBreach(BaseModel):
    pointer: str
    message: str
    rule: str | None = None


class Refusal(BaseModel):
    """Every answer with a status of 400 and above. `why` is for programs; `needed`: what the body has to hold besides,
    where something dangerous is to be confirmed."""

    why: str
    reason: str
    errors: list[SchemaBreach] = []
    needed: dict[str, Any] | None = None


class Message(BaseModel):
    """A message that passed, masked; `data` is its text, cut where it is long."""

    station: str | None
    connection: str
    seq: int
    at: str
    sender: Sender
    to: Side
    origin: Origin
    type: str
    message_id: str | None
    action: str | None
    data: str
    size_bytes: int
    cut: bool
    held_ms: float | None
    latency_ms: float | None


class Messages(BaseModel):
    """Oldest first. `forgotten`: older ones that are in the capture only."""

    station: str
    messages: list[Message]
    forgotten: int


class OpenCall(BaseModel):
    caller: Side
    action: str
    message_id: str
    since: str
    injected: bool


class Link(BaseModel):
    connection: str
    since: str
    subprotocol: str | None
    station_address: str | None
    frames: int
    open_calls: list[OpenCall]


class Registration(BaseModel):
    status: str | None
    interval_s: int | None


class Device(BaseModel):
    vendor: str | None
    model: str | None
    serial: str | None
    firmware: str | None


class Connector(BaseModel):
    """`evse` is None in 1.6."""

    evse: int | None
    connector: int
    status: str
    error: str | None


class LastClosed(BaseModel):
    connection: str
    at: str
    by: Sender
    code: int
    reason: str


class Station(BaseModel):
    """`connection`, `since`: of the newest open connection; None stands for what was not seen."""

    station: str
    connected: bool
    connection: str | None
    version: str | None
    since: str | None
    last_heard: str | None
    frames: int
    open_calls: int
    connections: list[Link]
    connections_so_far: int
    refused_so_far: int
    last_closed: LastClosed | None
    registration: Registration | None
    device: Device | None
    connectors: list[Connector]


class Stations(BaseModel):
    stations: list[Station]


class Finding(BaseModel):
    """As `check --format json` has it."""

    rule: str
    severity: Severity
    axis: Axis
    at_fault: Sender
    station: str | None
    connection: str
    frames: list[int]
    frames_omitted: int
    evidence: list[tuple[str, int]]
    pointer: str | None
    connector: int | None
    transaction: int | str | None
    message: str
    seen: Any
    expected: Any
    count: int
    references: list[str]


class Findings(BaseModel):
    findings: list[Finding]


class Injected(BaseModel):
    """What came of it. `seq`: number of the injected frame; `followed`: messages after the answer."""

    outcome: Came
    connection: str | None
    message_id: str | None
    seq: int | None
    latency_ms: float | None
    held_ms: float
    response: Any
    error: dict[str, Any] | None
    followed: list[Message]


class Fault(BaseModel):
    """A fault in force; `order` as it was given, its payloads masked and its patch without values."""

    id: str
    order: dict[str, Any]
    since: str
    hits: int


class Faults(BaseModel):
    faults: list[Fault]


class Capture(BaseModel):
    """`frames`, `gaps`, `lost`: of this run so far."""

    path: str
    size_bytes: int
    frames: int
    gaps: int
    lost: int
    complete: bool


class Captures(BaseModel):
    captures: list[Capture]


class Run(BaseModel):
    """What is allowed, and where things are."""

    version: str
    pid: int
    started: str
    listen: list[str]
    capture: str
    injection_allowed: bool
    panicked: bool


class Health(BaseModel):
    """`recorded`: nothing is missing in the capture."""

    tool: Literal["ocpp-proxy"]
    version: str
    pid: int
    recorded: bool


class Done(BaseModel):
    done: Literal[True] = True
