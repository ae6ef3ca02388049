"""Takes card numbers and other tokens out of what is sent to strangers.

Decides what stands in their place: the same token is always the same name, so that one still sees who is who. Secrets
are masked in captures already. Refuses to know what is quoted where.

A token is what a message calls so (idTag, parentIdTag, idToken). Once it is known, it is also taken out of sentences
and of other fields, unless it is so short that it might be anything.
"""

from __future__ import annotations

import re

from ocpp_proxy.core.record import FrameRecord

SHORTEST_ANYWHERE = 4  # characters; "1" or "TAG" may stand in any sentence
_NAMED = re.compile(r'("(?:idTag|parentIdTag|idToken)"\s*:\s*")((?:[^"\\]|\\.)*)(")')


class Tokens:
    """The tokens of a capture, in the order in which they came."""

    def __init__(self) -> None:
        self._names: dict[str, str] = {}
        self._anywhere: re.Pattern[str] | None = None

    def learn(self, frame: FrameRecord) -> None:
        """Take the tokens from a frame."""
        if b'"id' in frame.data or b'"parentIdTag' in frame.data:
            for match in _NAMED.finditer(frame.data.decode(errors="replace")):
                self._name(match[2])

    def masked(self, text: str) -> str:
        """The text with every token replaced."""
        text = _NAMED.sub(lambda match: f"{match[1]}{self._name(match[2])}{match[3]}", text)
        pattern = self._pattern()
        return text if pattern is None else pattern.sub(lambda match: self._names[match[0].casefold()], text)

    def _name(self, token: str) -> str:
        if not token or token in self._names.values():
            return token
        key = token.casefold()
        if key not in self._names:
            self._names[key] = f"<token {len(self._names) + 1}>"
            self._anywhere = None
        return self._names[key]

    def _pattern(self) -> re.Pattern[str] | None:
        known = sorted((key for key in self._names if len(key) >= SHORTEST_ANYWHERE), key=len, reverse=True)
        if self._anywhere is None and known:
            words = "|".join(map(re.escape, known))
            self._anywhere = re.compile(rf"(?<![\w-])(?:{words})(?![\w-])", re.IGNORECASE)
        return self._anywhere
