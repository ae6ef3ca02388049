"""Talks to a running proxy's control API.

Decides how its refusals and its going away reach the command that asked. Refuses to find it (`discovery`) and to print.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

import httpx

from ocpp_proxy import __version__
from ocpp_proxy.capture.jsontext import dumps
from ocpp_proxy.control.discovery import Target
from ocpp_proxy.core.errors import BadInput

TIMEOUT_S = 20.0


class Gone(BadInput):  # named for what the user reads
    """The proxy does not answer. `asked`: the request had reached it, and may have been carried out."""

    def __init__(self, what: str, *, asked: bool) -> None:
        super().__init__(what)
        self.asked = asked


class Refused(Exception):  # noqa: N818  # as above
    """The proxy's own no; `why` as in its JSON."""

    def __init__(self, status: int, why: str, reason: str, errors: Sequence[Mapping[str, Any]]) -> None:
        super().__init__(reason)
        self.status = status
        self.why = why
        self.reason = reason
        self.errors = errors


class Client:
    """A context manager. No proxy of the environment is used: the token is for nobody else."""

    def __init__(self, target: Target) -> None:
        self.target = target
        self._http = httpx.Client(
            base_url=target.url, trust_env=False, timeout=TIMEOUT_S, follow_redirects=False,
            headers={"Authorization": f"Bearer {target.token}", "User-Agent": f"ocpp-proxy/{__version__}"},
        )

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self._http.close()

    def get(self, *path: str) -> Any:
        """The JSON there; the parts of `path` are quoted. Raises Gone and Refused, as all of these do."""
        return self._ask("GET", path, None, 0.0)

    def post(self, *path: str, body: Mapping[str, Any], longer_s: float = 0.0) -> Any:
        """`longer_s`: how much longer than usual the answer may take."""
        return self._ask("POST", path, body, longer_s)

    def delete(self, *path: str, body: Mapping[str, Any]) -> Any:
        return self._ask("DELETE", path, body, 0.0)

    def _ask(self, method: str, path: Sequence[str], body: Mapping[str, Any] | None, longer_s: float) -> Any:
        place = "/v1/" + "/".join(quote(part, safe="") for part in path)
        content = dumps(body).encode() if body is not None else None
        headers = {"Content-Type": "application/json"} if body is not None else {}
        try:
            answer = self._http.request(method, place, content=content, headers=headers,
                                        timeout=httpx.Timeout(TIMEOUT_S, read=TIMEOUT_S + longer_s))
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.UnsupportedProtocol, httpx.InvalidURL) as error:
            raise Gone(f"the proxy at {self.target.url} cannot be reached: {error}", asked=False) from None
        except httpx.HTTPError as error:
            raise Gone(f"the proxy at {self.target.url} went away before it answered ({type(error).__name__})",
                       asked=True) from None
        return self._read(answer)

    def _read(self, answer: httpx.Response) -> Any:
        try:
            said = answer.json()
            if answer.is_success:
                return said
            raise Refused(answer.status_code, str(said["why"]), str(said["reason"]), list(said.get("errors", ())))
        except (ValueError, KeyError, TypeError, AttributeError):
            if answer.is_server_error:  # cut off by the end of the run
                raise Gone(f"the proxy at {self.target.url} went away before it answered", asked=True) from None
            raise BadInput(f"{self.target.url} is no ocpp-proxy's control API (HTTP {answer.status_code})") from None
