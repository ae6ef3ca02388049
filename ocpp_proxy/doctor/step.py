"""What is found out: one step with its verdict, and the names of the steps in the order in which they depend.

Decides how a result is written down, and what of the CSMS's words may be shown. Refuses to know how a step is done.

Source: INTERFACE, `doctor`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any, Literal, TypeAlias, get_args

from ocpp_proxy.core.credentials import mask_target

Name: TypeAlias = Literal[
    "dns", "tcp", "tls", "upgrade", "subprotocol", "auth", "compression", "ping", "clock", "listen"
]
NAMES: tuple[Name, ...] = get_args(Name)
_QUOTE_LIMIT = 120
_STARRED_MIN = 4  # shorter secrets would be given away by where the asterisks stand


@dataclass(frozen=True, slots=True)
class Step:
    """`ok` is None where there is nothing to be right or wrong: not tried, or not to be told from here; `seen` says
    why. `remedy` is there where `ok` is False, and only there."""

    name: Name
    ok: bool | None
    seen: str
    remedy: str | None = None

    def to_json(self) -> dict[str, Any]:
        return {"step": self.name, "ok": self.ok, "seen": self.seen, "remedy": self.remedy}


class Trouble(Exception):  # noqa: N818  # named for what it is to the user
    """A step did not work, so nothing behind it can be tried. `late`: it took longer than it may."""

    def __init__(self, name: Name, cause: str, remedy: str, *, late: bool = False) -> None:
        super().__init__(cause)
        self.name = name
        self.cause = cause
        self.remedy = remedy
        self.late = late

    @property
    def step(self) -> Step:
        return Step(self.name, False, self.cause, self.remedy)


def not_tried(name: Name, why: str) -> Step:
    return Step(name, None, f"not tried: {why}")


class Notes:
    """What has been found out so far; `tell` gets each step at once."""

    def __init__(self, tell: Callable[[Step], None]) -> None:
        self.steps: list[Step] = []
        self._tell = tell

    def add(self, *steps: Step) -> None:
        for step in steps:
            # Names in a certificate, too, are the other side's words.
            shown = replace(step, seen=_printable(step.seen), remedy=step.remedy and _printable(step.remedy))
            self.steps.append(shown)
            self._tell(shown)

    def fill(self, why: str, last: Name = "clock") -> None:
        """Up to `last`, what has not been come to is not tried."""
        there = {step.name for step in self.steps}
        self.add(*(not_tried(name, why) for name in NAMES[: NAMES.index(last) + 1] if name not in there))


def _printable(text: str) -> str:
    """Without anything that a terminal would obey in place of showing it."""
    return text if text.isprintable() else "".join(char if char.isprintable() else "�" for char in text)


class Quotes:
    """Words of the CSMS, which may hold what it was sent: without the secrets, on one line, and not too long."""

    def __init__(self, secrets: Iterable[str]) -> None:
        self._secrets = sorted((secret for secret in secrets if secret), key=len, reverse=True)

    def quote(self, text: str, limit: int = _QUOTE_LIMIT) -> str:
        """For a secret too short to be struck out unseen, nothing at all is quoted that holds it."""
        text = text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")  # as websockets leaves odd bytes
        for secret in self._secrets:
            if secret not in text:
                continue
            if len(secret) < _STARRED_MIN:
                return "…"
            text = text.replace(secret, "*" * len(secret))
        text = " ".join(mask_target(text).split())
        return text if len(text) <= limit else f"{text[: limit - 1]}…"
