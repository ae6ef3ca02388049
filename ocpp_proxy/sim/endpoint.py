"""One end of an OCPP-J connection, for either side.

Decides how CALLs go out one at a time, how they are answered, and what happens to frames that cannot be read. It is
the `ocpp` package's ChargePoint with payloads as they stand on the wire: the package's change of spelling and back
loses names such as ocppCSMSURL. Refuses to know what any action means.

Source: OCPP-J 1.6 section 4; OCPP 2.0.1 and 2.1 Part 4 section 4.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias, TypeVar
from uuid import UUID

from ocpp.charge_point import ChargePoint
from ocpp.exceptions import InternalError, OCPPError, PropertyConstraintViolationError
from ocpp.exceptions import NotImplementedError as UnknownActionError
from ocpp.messages import Call, CallError, CallResult, unpack, validate_payload
from websockets.exceptions import ConnectionClosed

from ocpp_proxy.core.frame import Version
from ocpp_proxy.core.vocabulary import ACTIONS

T = TypeVar("T")
Payload: TypeAlias = dict[str, Any]
Observer: TypeAlias = Callable[[Literal["sent", "received"], str], None]

# Handed to the libraries beneath, which would print tracebacks for a peer's every mistake.
MUTE = logging.Logger("simulator", logging.CRITICAL + 1)

TIMED_OUT = "timed out"
CONNECTION_LOST = "connection lost"


@dataclass(frozen=True, slots=True)
class Reply:
    """The answer to a CALL; `then` runs once it has been sent. `payload` None leaves the CALL unanswered."""

    payload: Payload | None = field(default_factory=dict)
    then: Callable[[], object] | None = None


Handle: TypeAlias = Callable[[str, Payload], Awaitable[Reply]]


class CallFailed(Exception):  # noqa: N818 # named for what happened: often no error of anybody
    """No CALLRESULT came: `code` is the CALLERROR's, or TIMED_OUT, or CONNECTION_LOST."""

    def __init__(self, action: str, code: str, description: str = "") -> None:
        super().__init__(f"{action}: {code}" + (f" ({description})" if description else ""))
        self.action = action
        self.code = code
        self.description = description


def dig(payload: Any, kind: type[T], *path: str) -> T | None:
    """What lies at `path` of a payload that nobody has checked; None unless it is there and of that kind."""
    for key in path:
        payload = payload.get(key) if isinstance(payload, dict) else None
    return payload if isinstance(payload, kind) else None


class Endpoint(ChargePoint):  # type: ignore[misc] # the package has no type information
    """`handle` answers what the peer asks; it must not make CALLs itself, but in what its Reply starts."""

    def __init__(
        self, name: str, version: Version, connection: Any, handle: Handle, *,
        new_id: Callable[[], UUID], observe: Observer | None = None, timeout_s: float = 30.0,
    ) -> None:
        super().__init__(name, connection, response_timeout=timeout_s, logger=MUTE)
        self._ocpp_version = version
        self._unique_id_generator = new_id
        self._handle = handle
        self._observe = observe
        self._open_id: str | None = None
        self._closed = False

    async def call(self, action: str, payload: Payload) -> Payload:
        """Send a CALL when the one before it is done; its response. Raises CallFailed, and OCPPError for a
        payload of ours that breaks its schema. A response that breaks its schema is returned as far as it is one."""
        async with self._call_lock:
            if self._closed:
                raise CallFailed(action, CONNECTION_LOST)
            call = Call(str(self._unique_id_generator()), action, payload)
            await validate_payload(call, self._ocpp_version)
            self._open_id = call.unique_id
            try:
                await self._send(call.to_json())
                answer = await self._get_specific_response(call.unique_id, self._response_timeout)
            except TimeoutError:
                raise CallFailed(action, TIMED_OUT) from None
            except ConnectionClosed:
                raise CallFailed(action, CONNECTION_LOST) from None
            finally:
                self._open_id = None
        if isinstance(answer, CallError):
            raise CallFailed(action, str(answer.error_code), str(answer.error_description))
        return answer.payload if isinstance(answer.payload, dict) else {}

    async def _get_specific_response(self, unique_id: str, timeout: float) -> CallResult | CallError:  # noqa: ASYNC109
        """The package's own would wait with wait_for, which before Python 3.12 can lose a cancellation."""
        async with asyncio.timeout(timeout):
            while True:
                answer = await self._response_queue.get()
                if answer.unique_id == unique_id:
                    return answer

    async def send(self, action: str, payload: Payload) -> None:
        """A SEND of OCPP 2.1: no answer, any time."""
        await self._send(json.dumps([6, str(self._unique_id_generator()), action, payload], separators=(",", ":")))

    async def quiet(self) -> None:
        """Wait until no CALL of ours is open."""
        async with self._call_lock:
            return

    async def serve(self) -> None:
        """Read until the connection is closed; then every open CALL has failed."""
        try:
            async for raw in self._connection:
                if self._observe:
                    self._observe("received", raw if isinstance(raw, str) else raw.decode("utf-8", "replace"))
                await self.route_message(raw)
        except ConnectionClosed:
            pass
        finally:
            self._closed = True
            if self._open_id is not None:
                self._response_queue.put_nowait(CallError(self._open_id, CONNECTION_LOST, "", {}))

    async def route_message(self, raw: str | bytes) -> None:
        try:
            message = unpack(raw)
        except Exception:  # the package lets several kinds through; a frame that cannot be read has no answer
            await self._take_send(raw)
            return
        if not isinstance(message, Call):
            if message.unique_id == self._open_id:
                self._response_queue.put_nowait(message)
            return
        try:
            await self._handle_call(message)
        except OCPPError as error:
            await self._refuse(message, error)
        except ConnectionClosed:
            raise
        except Exception as error:  # a request that we did not think of must not end the connection
            await self._refuse(message, InternalError(f"{type(error).__name__}: {error}"))

    async def _handle_call(self, message: Call) -> None:
        if not isinstance(message.unique_id, str) or not isinstance(message.action, str):
            raise PropertyConstraintViolationError("message id and action are strings")
        if message.action not in ACTIONS[self._ocpp_version]:  # before the package makes a file name of it
            raise UnknownActionError(f"{message.action} is no action of OCPP {self._ocpp_version}"[:255])
        if message.payload is None:
            message.payload = {}
        await validate_payload(message, self._ocpp_version)
        reply = await self._handle(message.action, message.payload)
        if reply.payload is None:
            return
        result = CallResult(message.unique_id, reply.payload, message.action)
        try:
            await validate_payload(result, self._ocpp_version)
        except OCPPError as error:
            raise ValueError(f"the answer breaks its schema: {error.details}") from error
        await self._send(result.to_json())
        if reply.then is not None:
            reply.then()

    async def _refuse(self, message: Call, error: OCPPError) -> None:
        code = "FormationViolation" if self._ocpp_version == "1.6" and error.code == "FormatViolation" else error.code
        description = str(error.details.get("cause") or error.description)[:255]
        await self._send(CallError(str(message.unique_id)[:36], code, description, {}).to_json())

    async def _take_send(self, raw: str | bytes) -> None:
        """A SEND, if `raw` is one; anything else that the package could not read is passed over in silence."""
        try:
            kind, _, action, payload = json.loads(raw)
        except (ValueError, TypeError, RecursionError):
            return
        if kind == 6 and self._ocpp_version == "2.1" and isinstance(action, str) and isinstance(payload, dict):
            await self._handle(action, payload)

    async def _send(self, message: str) -> None:
        if self._observe:
            self._observe("sent", message)
        await self._connection.send(message)
