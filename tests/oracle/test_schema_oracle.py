"""Schema verdicts against a second opinion: the same breaches at the same places, but for what is explained here."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from functools import cache
from pathlib import Path
from random import Random
from typing import Any

import pytest
from oracle_frames import TIMES, WRONG_TIMES, Maker, put, text_of
from oracle_verdicts import FOLDERS, Broken, Message, broken, loads, messages, schema

from ocpp_proxy.core.reader import read
from ocpp_proxy.core.schema import Schemas
from ocpp_proxy.files.schemas import load_schema

CORPUS = os.environ.get("OCPP_CORPUS")
DOCS = Path(__file__).parents[2] / "docs" / "schemas.md"
MUTANTS = 10_000
SEED = 20261121
MESSAGES = messages()
SCHEMAS = Schemas(load_schema)


@dataclass(frozen=True)
class Difference:
    """A breach that one of the two did not tell of. `agreed`: those that both told of; `value`: what stands there."""

    message: Message
    teller: str
    breach: Broken
    agreed: frozenset[Broken]
    value: Any

    def __str__(self) -> str:
        version, _, _, file = self.message
        return f"{version} {file}: {self.teller} alone says {self.breach} of {self.value!r:.80}"


def _is_iso_8601(it: Difference) -> bool:
    text = str(it.value).upper().replace("T24:00", "T00:00").replace(":60", ":59")
    try:
        return "T" in text and bool(datetime.fromisoformat(text))
    except ValueError:
        return False


def _is_whole(value: Decimal) -> bool:
    return value == value.to_integral_value()


def _told_of_type(it: Difference, pointer: str) -> bool:
    return Broken(pointer, "schema-type") in it.agreed


@dataclass(frozen=True)
class Explained:
    """A kind of difference that is meant: whose verdict it is, what it is about, and why ours is as it is."""

    teller: str
    rule: str
    reason: str
    is_it: Callable[[Difference], bool]

    def covers(self, it: Difference) -> bool:
        return (it.teller, it.breach.rule) == (self.teller, self.rule) and self.is_it(it)


EXPLAINED = {
    "iso-8601": Explained(
        "oracle", "schema-format",
        "1.6 asks for ISO 8601 (section 3.15), of which the oracle's RFC 3339 is a part",
        lambda it: it.message.version == "1.6" and _is_iso_8601(it),
    ),
    "drive-letter": Explained(
        "ours", "schema-format",
        "by its grammar C: is a URI with the scheme C; what was meant is a drive, which no station can reach",
        lambda it: str(it.value)[1:2] == ":",
    ),
    "whole-number-with-point": Explained(
        "oracle", "schema-type",
        "1.0 is no integer by draft-04, which the core files of 1.6 name, but by draft-06: one answer for all versions",
        lambda it: it.message.version == "1.6" and isinstance(it.value, Decimal) and _is_whole(it.value),
    ),
    "word-of-wrong-type": Explained(
        "oracle", "schema-enum",
        "what is no string is in no list of words either: told once, by its type",
        lambda it: _told_of_type(it, it.breach.pointer),
    ),
    "fields-of-a-word": Explained(
        "oracle", "schema-additional",
        "the files forbid further fields in words too; an object there is told of once, by its type",
        lambda it: _told_of_type(it, it.breach.pointer.rpartition("/")[0]),
    ),
}  # fmt: skip


def differences(message: Message, text: str, schemas: Schemas = SCHEMAS) -> Iterator[Difference]:
    """Where the two disagree about a payload that comes in as this text."""
    payload = read(f'[3,"1",{text}]'.encode()).payload  # type: ignore[attr-defined]
    told = schemas.check(message.version, message.action, message.part, payload)  # type: ignore[arg-type]
    ours = {Broken(error.pointer, error.rule) for error in told}
    read_again = loads(text)
    oracles = broken(message, read_again)
    if ours == oracles:
        return
    agreed = frozenset(ours & oracles)
    for teller, alone in (("ours", ours - oracles), ("oracle", oracles - ours)):
        for breach in alone:
            yield Difference(message, teller, breach, agreed, _value(read_again, breach.pointer))


def _value(document: Any, pointer: str) -> Any:
    for step in pointer.split("/")[1:]:
        step = step.replace("~1", "/").replace("~0", "~")
        document = document[int(step)] if isinstance(document, list) else document.get(step)
    return document


def explained(found: Iterable[Difference]) -> Counter[str]:
    """How often each kind explains a difference. Fails for what none explains."""
    kinds: Counter[str] = Counter()
    strange = []
    for it in found:
        fitting = [name for name, kind in EXPLAINED.items() if kind.covers(it)]
        kinds.update(fitting)
        if not fitting:
            strange.append(str(it))
    assert not strange, "\n".join(strange[:20])
    return kinds


@dataclass(frozen=True)
class Mutant:
    message: Message
    changes: str
    valid: str
    text: str


@cache
def mutants() -> list[Mutant]:
    made = []
    for number, message in enumerate(MESSAGES):
        random = Random(f"{SEED} {number}")
        maker = Maker(schema(message), random)
        for _ in range(len(range(number, MUTANTS, len(MESSAGES)))):
            payload = maker.payload()
            changes, changed = maker.mutant(payload)
            made.append(Mutant(message, changes, text_of(payload), text_of(changed)))
    return made


def test_every_message_of_every_version_is_asked_about() -> None:
    assert Counter(message.version for message in MESSAGES) == {"1.6": 78, "2.0.1": 128, "2.1": 181}
    assert {one.message for one in mutants()} == set(MESSAGES)
    assert len(mutants()) == MUTANTS
    for message in MESSAGES:
        assert list(differences(message, '"text"')) == []
        assert broken(message, "text")


def test_what_is_made_valid_is_valid_to_both() -> None:
    for one in mutants():
        assert broken(one.message, loads(one.valid)) == set(), (one.message, one.valid)
        assert list(differences(one.message, one.valid)) == []


def test_verdicts_on_broken_payloads_are_the_oracles_but_for_what_is_explained() -> None:
    kinds = explained(it for one in mutants() for it in differences(one.message, one.text))
    assert kinds.keys() == EXPLAINED.keys()  # no explanation without a use
    told = DOCS.read_text(encoding="utf-8")
    assert all(kind.reason and f"| `{name}` |" in told for name, kind in EXPLAINED.items())


def test_the_broken_payloads_are_of_every_kind() -> None:
    found = [broken(one.message, loads(one.text)) for one in mutants()]
    rules = Counter(rule for breaches in found for rule in {breach.rule for breach in breaches})
    del rules["schema-multiple-of"]  # of few fields; the next test is theirs
    assert len(rules) == 7
    assert min(rules.values()) > 200, rules
    assert MUTANTS / 20 < sum(not breaches for breaches in found) < MUTANTS / 3  # what looks odd and is legal
    changes = Counter(change for one in mutants() for change in one.changes.split("+"))
    assert min(changes.values()) > 15, changes
    assert len(changes) == 17


def test_tenths_are_judged_alike() -> None:
    random = Random(SEED)
    numbers = [Decimal(random.randint(-99, 999_999)).scaleb(-random.randint(0, 3)) for _ in range(1000)]
    verdicts = Counter(
        (bool(broken(message, loads(text))), bool(list(differences(message, text))))
        for message, texts in _with_limits(numbers) for text in texts
    )  # fmt: skip
    assert verdicts.keys() == {(False, False), (True, False)}
    assert min(verdicts.values()) > 500


def _with_limits(numbers: list[Decimal]) -> Iterator[tuple[Message, list[str]]]:
    """Every message with fields in tenths, and a text for each number put into one of them."""
    for message in MESSAGES:
        if "multipleOf" not in str(schema(message)):
            continue
        maker = Maker(schema(message), Random(SEED))
        for _ in range(20):
            payload = maker.payload()
            places = [site.path for site in maker.sites(payload) if "multipleOf" in site.schema]
            if places:
                yield message, [text_of(put(payload, place, number)) for number in numbers[:100] for place in places]


@pytest.mark.parametrize("version", FOLDERS)
def test_broken_dates_are_refused_alike(version: str) -> None:
    message = next(one for one in MESSAGES if (one.version, one.action, one.part) == (version, "Heartbeat", "response"))
    random = Random(SEED)
    texts = TIMES + WRONG_TIMES
    for time in TIMES * 500:
        at = random.randrange(len(time))
        texts.append(time[:at] + random.choice(("", *"0123459:-+.,TZtz ")) + time[at + random.randint(0, 1) :])
    kinds = explained(
        it for text in texts for it in differences(message, json.dumps({"currentTime": text}, ensure_ascii=False))
    )
    assert kinds.keys() == ({"iso-8601"} if version == "1.6" else set())


def test_a_difference_is_noticed() -> None:
    def uncorrected(version: Any, name: str) -> Any:
        return schema(next(one for one in MESSAGES if (one.version, one.file) == (version, name)), corrected=False)

    stop = next(one for one in MESSAGES if (one.version, one.file) == ("1.6", "StopTransaction"))
    time = '"timestamp":"2026-11-21T09:00:00Z"'
    for sampled, teller in (('{"value":"50","unit":"Hertz"}', "ours"), ("", "oracle")):
        text = f'{{"transactionId":1,"meterStop":1,{time},"transactionData":[{{{time},"sampledValue":[{sampled}]}}]}}'
        assert list(differences(stop, text)) == []
        found = list(differences(stop, text, Schemas(uncorrected)))
        assert [it.teller for it in found] == [teller]
        with pytest.raises(AssertionError, match="alone says"):
            explained(found)


@pytest.mark.corpus
@pytest.mark.skipif(CORPUS is None, reason="OCPP_CORPUS does not name the reference corpus")
def test_verdicts_on_real_payloads_are_the_oracles() -> None:
    asked = list(_real_payloads(Path(str(CORPUS), "frames.jsonl")))
    assert len(asked) > 700
    explained(it for message, text in asked for it in differences(message, text))


def _real_payloads(path: Path) -> Iterator[tuple[Message, str]]:
    """Each payload that can be read, with the message that it is; an answer to an unknown Call may be any response."""
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    actions: dict[tuple[str, str], str] = {}
    for row in rows:
        version = row["version"] if row["version"] in FOLDERS else "1.6"
        try:
            frame = loads(row["raw"] or _bare(row))
        except ValueError:
            continue  # cut off; the reader's tests say what becomes of these
        if type(frame) is not list or len(frame) < 3 or frame[0] not in (2, 3):
            continue
        if frame[0] == 2:
            actions[row["session"], frame[1]] = frame[2]
        part, action = ("request", frame[2]) if frame[0] == 2 else ("response", actions.get((row["session"], frame[1])))
        if row.get("payload_only"):
            action = row["action"]
        for message in MESSAGES:
            if (message.version, message.part) == (version, part) and action in (None, message.action):
                yield message, text_of(frame[-1])


def _bare(row: dict[str, Any]) -> str:
    """A frame around the payload, where the log shows only that; "" where it shows less."""
    if not row.get("payload_only") or "action" not in row:
        return ""
    if row["kind"] == "request":
        return f'[2,"{row["id"]}","{row["action"]}",{row["logline"]}]'
    return f'[3,"{row["action"]}",{row["logline"]}]'
