"""Every message becomes a frame, exactly, and whatever is wrong with it is named."""

from __future__ import annotations

import inspect
import json
import os
import sys
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from core_texts import comparable, json_texts, reference
from hypothesis import given
from hypothesis import strategies as st

from ocpp_proxy.core.defects import DEFECTS, has_payload
from ocpp_proxy.core.frame import Call, CallError, CallResult, CallResultError, Frame, Malformed, Send
from ocpp_proxy.core.reader import read
from ocpp_proxy.core.redact import redact

MAIMED = ("truncated", "payload_only", "malformed", "paste_artifact", "redacted")
BIG = b'[2,"1","DataTransfer",{"vendorId":"v","data":"' + b"x" * 20_000_000 + b'"}]'


def codes(frame: Frame) -> list[str]:
    return [defect.code for defect in frame.defects]


@pytest.mark.parametrize(
    ("raw", "frame"),
    [
        (b'[2,"1","Heartbeat",{}]', Call(b"", (), "1", "Heartbeat", {})),
        (b'[3,"1",{"status":"Accepted"}]', CallResult(b"", (), "1", {"status": "Accepted"})),
        (b'[4,"1","InternalError","",{}]', CallError(b"", (), "1", "InternalError", "", {})),
        (b'[5,"1","FormatViolation","why",{"a":1}]', CallResultError(b"", (), "1", "FormatViolation", "why", {"a": 1})),
        (b'[6,"1","NotifyPeriodicEventStream",{"id":1}]', Send(b"", (), "1", "NotifyPeriodicEventStream", {"id": 1})),
        (b' [ 2 , "1" ,\t"A",\r\n{ } ] \n', Call(b"", (), "1", "A", {})),
        (b'[2,"' + b"x" * 36 + b'","A",{}]', Call(b"", (), "x" * 36, "A", {})),
        ('[2,"ü","Ä",{"a":"😀"}]'.encode(), Call(b"", (), "ü", "Ä", {"a": "😀"})),
        (rb'[2,"1","A",{"a":"\ud83d\ude00\/"}]', Call(b"", (), "1", "A", {"a": "😀/"})),
    ],
)
def test_sound_messages(raw: bytes, frame: Frame) -> None:
    seen = read(raw)
    assert seen.raw is raw
    seen.raw = b""
    assert seen == frame
    assert type(seen) is type(frame)


@pytest.mark.parametrize(
    ("raw", "kind", "defects"),
    [
        (b"", Malformed, [("not-json", 0, None)]),
        (b"hello", Malformed, [("not-json", 0, None)]),
        (b"{}", Malformed, [("not-array", None, None)]),
        (b'"[2]"', Malformed, [("not-array", None, None)]),
        (b"[]", Malformed, [("arity", None, None)]),
        (b"[2]", Malformed, [("arity", None, None)]),
        (b'[2,"1"]', Call, [("arity", None, None)]),
        (b'[2,"1","A"]', Call, [("arity", None, None)]),
        (b'[2,"1","A",{},1]', Call, [("arity", None, None)]),
        (b'[3,"1",{},{}]', CallResult, [("arity", None, None)]),
        (b'[4,"1","E","d"]', CallError, [("arity", None, None)]),
        (b'["2","1","A",{}]', Call, [("type-id-not-integer", 1, "/0")]),
        (b'[2.0,"1","A",{}]', Call, [("type-id-not-integer", 1, "/0")]),
        (b'[2e0,"1","A",{}]', Call, [("type-id-not-integer", 1, "/0")]),
        (b'[2.5,"1","A",{}]', Malformed, [("type-id-not-integer", 1, "/0")]),
        (b'[1E999999999,"1","A",{}]', Malformed, [("type-id-not-integer", 1, "/0")]),
        (b'[true,"1","A",{}]', Malformed, [("type-id-not-integer", 1, "/0")]),
        (b'[null,"1","A",{}]', Malformed, [("type-id-not-integer", 1, "/0")]),
        (b'[7,"1",{}]', Malformed, [("type-unknown", 1, "/0")]),
        (b'[1,"1",{}]', Malformed, [("type-unknown", 1, "/0")]),
        (b'[2,1,"A",{}]', Call, [("id-not-string", 3, "/1")]),
        (b'[2,null,"A",{}]', Malformed, [("id-not-string", 3, "/1")]),
        (b'[2,["1"],"A",{}]', Malformed, [("id-not-string", 3, "/1")]),
        (b'[2,"","A",{}]', Call, [("id-empty", 3, "/1")]),
        (b'[2,"' + b"x" * 37 + b'","A",{}]', Call, [("id-too-long", 3, "/1")]),
        (b'[2,"1",5,{}]', Call, [("action-not-string", 7, "/2")]),
        (b'[2,"1","A",null]', Call, [("payload-null", 11, "/3")]),
        (b'[3,"1",[]]', CallResult, [("payload-not-object", 7, "/2")]),
        (b'[3,"1","x"]', CallResult, [("payload-not-object", 7, "/2")]),
        (b'[4,"1",5,"",{}]', CallError, [("error-code-not-string", 7, "/2")]),
        (b'[4,"1","E",null,{}]', CallError, [("error-description-not-string", 11, "/3")]),
        (b'[4,"1","E","",null]', CallError, [("error-details-not-object", 14, "/4")]),
        (b'[4,"1","E","","text"]', CallError, [("error-details-not-object", 14, "/4")]),
        (b'\xef\xbb\xbf[2,"1","A",{}]', Call, [("bom", 0, None)]),
        (b'[2,"1","A",{}]\x00\x00', Call, [("nul", 14, None)]),
        (b'\x00[2,"1","A",{}]', Call, [("nul", 0, None)]),
        (b'[2,"1","A",{}]garbage', Call, [("trailing-data", 14, None)]),
        (b'[2,"1","A",{}][3,"2",{}]', Call, [("trailing-data", 14, None)]),
        (b'OCPP: [2,"1","A",{}]', Call, [("leading-data", 0, None)]),
        (b'[2,"1","A",{"a":NaN}]', Call, [("nan", 16, "/3/a")]),
        (b'[2,"1","A",{"a":-Infinity}]', Call, [("nan", 16, "/3/a")]),
        (b'[2,"1","A",{"a":[1,-nan]}]', Call, [("nan", 19, "/3/a/1")]),
        (b'[2,"1","A",{"a":inf}]', Call, [("nan", 16, "/3/a")]),
        (b'[2,"1","A",{"a":1,"b":2,"a":3}]', Call, [("duplicate-key", 24, "/3/a")]),
        (b'[2,"1","A",{"a/b":{"~":1,"\\u007e":2}}]', Call, [("duplicate-key", 25, "/3/a~1b/~0")]),
        (b'[2,"1","A",{"a":"\\ud800"}]', Call, [("lone-surrogate", 16, "/3/a")]),
        (b'[2,"1","A",{"a":"M\xfcller"}]', Call, [("not-utf8", 18, None)]),
        (b'[2,"1","A",{"a":"\xed\xa0\x80"}]', Call, [("not-utf8", 17, None)]),
        (b'[2,"1","A",{"a":"x\x00y"}]', Call, [("nul", 18, "/3/a")]),
        (b'[2,"1","A",{"a":"x\ny"}]', Call, [("control-character", 18, "/3/a")]),
        (b'[2,"1","A",{"a":1e99999999999999999999}]', Call, [("number-range", 16, "/3/a")]),
        (b'[2,"1","A",' + b"[" * 2000 + b"]" * 2000 + b"]", Call, [("too-deep", 264, None)]),
        (b'[2,"1","A",{"a":01}]', Call, [("not-json", 17, None)]),
        (b"[2,\"1\",\"A\",{'a':1}]", Call, [("not-json", 12, None)]),
        (b'[2,"1","A",{"a":1,}]', Call, [("not-json", 18, None)]),
        (b'[2,"1","A",{"a":"\\x"}]', Call, [("not-json", 17, None)]),
        ('[2,"1","A",{"é":"\\x"}]'.encode(), Call, [("not-json", 18, None)]),
        (b'[2,"1","A",{"a":', Call, [("not-json", 16, None)]),
        (b'[2,"1","A",', Call, [("not-json", 11, None)]),
        (b'[2,"1",', Call, [("not-json", 7, None)]),
        (b'[2,"1', Malformed, [("not-json", 3, None)]),
        (b"[2,", Malformed, [("not-json", 3, None)]),
        (b'[2 "1"]', Malformed, [("not-json", 3, None)]),
        (b'[4,"1","E","d",{"a":', CallError, [("not-json", 20, None)]),
        (b'\xef\xbb\xbf[2,1,"A",{"a":NaN}', Call,
         [("bom", 0, None), ("nan", 17, "/3/a"), ("not-json", 21, None), ("id-not-string", 6, "/1")]),
    ],
)  # fmt: skip
def test_defects_are_named_with_their_place(
    raw: bytes, kind: type[Frame], defects: list[tuple[str, int | None, str | None]]
) -> None:
    frame = read(raw)
    assert type(frame) is kind
    assert [(defect.code, defect.position, defect.pointer) for defect in frame.defects] == defects
    assert all(defect.message and defect.code in DEFECTS for defect in frame.defects)
    assert frame.raw == raw


@pytest.mark.parametrize(
    "raw",
    [
        b'[2,"17","StatusNotification",{"connectorId":1',
        b'[2,"17","StatusNotification",{"connectorId":1}',
        b'\xef\xbb\xbf[2,"17","StatusNotification",{]',
        b'\x00\x00[2,"17","StatusNotification",{"connectorId":NaN}]\x00',
        b'xx[2,"17","StatusNotification",]',
        b'["2","17","StatusNotification",{"a":"\xff"}]',
        b'[2,17,"StatusNotification"]',
        b'[2.0,"17","StatusNotification",null]',
    ],
)
def test_a_defective_call_keeps_what_pairs_it_with_its_answer(raw: bytes) -> None:
    frame = read(raw)
    assert isinstance(frame, Call)
    assert (frame.message_id, frame.action) == ("17", "StatusNotification")
    assert frame.defects


def test_binary_is_a_defect_of_its_own() -> None:
    sound = read(b'[2,"1","A",{}]', binary=True)
    assert (type(sound), codes(sound)) == (Call, ["binary-opcode"])
    broken = read(b"\x00\x01", binary=True)
    assert (type(broken), codes(broken)) == (Malformed, ["binary-opcode", "nul", "not-json"])


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("0.1", 0.1), ("1.0", 1.0), ("16.50", Decimal("16.50")),
        ("0.30000000000000001", Decimal("0.30000000000000001")),
        ("1e400", Decimal("1e400")), ("1E5", Decimal("1E5")), ("-0.0", -0.0), ("-0", 0),
        ("123456789012345678901234567890", 123456789012345678901234567890), ("18446744073709551615", 2**64 - 1),
        ("9" * 5000, Decimal("9" * 5000)), ("NaN", None), ("1e-99999999999999999999", None),
    ],
)  # fmt: skip
@pytest.mark.parametrize("form", ['[2,"1","A",{"a":%s}]', '[2, "1", "A", {"a" :%s }]', '[2,"\\u0031","A",{"a":%s}]'])
def test_numbers_are_exact_whatever_way_they_are_read(text: str, value: Any, form: str) -> None:
    frame = read((form % text).encode())
    assert isinstance(frame, Call)
    seen = frame.payload["a"]
    assert (type(seen), str(seen)) == (type(value), str(value))


@given(json_texts())
def test_reading_equals_the_exact_one(text: str) -> None:
    frame = read(f'[2,"1","A",{{"a":{text}}}]'.encode())
    assert isinstance(frame, Call)
    assert comparable(frame.payload["a"]) == reference(text)
    assert frame.defects == ()


@given(json_texts(), json_texts(), st.sampled_from([",", " , "]), st.sampled_from(["k", "\\u006b"]))
def test_no_duplicate_key_is_missed(one: str, other: str, comma: str, again: str) -> None:
    frame = read(f'[2,"1","A",{{"k":{one}{comma}"{again}":{other}}}]'.encode())
    assert isinstance(frame, Call)
    assert codes(frame) == ["duplicate-key"]
    assert comparable(frame.payload["k"]) == reference(other)


@given(st.one_of(
    st.binary(max_size=200),
    st.text(alphabet='[]{},:"\\ 0123456789.eE+-ntfaulsrNI\x00\ud800\ufeff').map(
        lambda text: text.encode(errors="surrogatepass")),
    st.tuples(json_texts(), st.integers(0, 60), st.binary(max_size=3)).map(
        lambda made: (sent := f'[2,"1","A",{made[0]}]'.encode())[: made[1]] + made[2] + sent[made[1] :]),
))  # fmt: skip
def test_no_bytes_raise(raw: bytes) -> None:
    for binary in (False, True):
        frame = read(raw, binary=binary)
        assert frame.raw == raw
        assert frame.defects or not isinstance(frame, Malformed)
        assert all(defect.code in DEFECTS for defect in frame.defects)
        assert all(0 <= (defect.position or 0) <= len(raw) for defect in frame.defects)
        has_payload(frame)


@pytest.mark.parametrize("levels", [253, 254, 255, 1023, 1024, 1025, 100_000])
def test_depth_is_limited_the_same_way_for_all(levels: int) -> None:
    compact = b'[2,"1","A",' + b'{"a":' * (levels - 1) + b"1" + b"}" * (levels - 1) + b"]"
    spelled = compact.replace(b'"1"', b'"\\u0031"')
    for raw in (compact, spelled):
        frame = read(raw)
        assert isinstance(frame, Call)
        assert codes(frame) == ([] if levels <= 254 else ["too-deep"])
        assert has_payload(frame) is (levels <= 254)


def test_brackets_in_strings_are_not_depth() -> None:
    raw = b'[2,"1","A",{"a":"' + b"[{" * 300 + b'\\"[["}]'
    assert read(raw).defects == ()


def test_a_defective_message_is_not_read_for_ever() -> None:
    frame = read(b'[2,"1","A",["' + "ä".encode() * 5_000_000 + b'",' + b"NaN," * 1_000_000 + b"1]]")
    assert isinstance(frame, Call)
    assert codes(frame) == ["nan"] * 100 + ["too-complex"]
    assert frame.defects[0].position == 10_000_015


def test_a_deep_message_does_not_break_a_deep_caller() -> None:
    raw = b'[2,"1","A",{"password":"x","b":' + b"[" * 250 + b"NaN" + b"]" * 250 + b"}]"

    def call_from(depth: int) -> None:
        if depth:
            call_from(depth - 1)
        else:
            assert read(raw).defects
            assert b'"x"' not in redact(raw)[0]

    deepest = sys.getrecursionlimit() - len(inspect.stack()) - 30
    for depth in range(deepest - 600, deepest, 10):
        call_from(depth)


def test_a_message_of_20_mib_is_read_whole() -> None:
    frame = read(BIG)
    assert isinstance(frame, Call)
    assert (len(frame.payload["data"]), frame.defects) == (20_000_000, ())


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (b'[2,"1","A",{}]', True), (b'[2,"1","A",null]', True), (b'[2,"1","A",{"a":NaN}]', True),
        (b'[3,"1",{}]', True), (b'[2,"1","A"]', False), (b'[2,"1","A",[]]', False), (b'[2,"1","A",{"a"', False),
        (b'[2,"1","A",{},]', False), (b'[4,"1","E","",{}]', False), (b"x", False),
    ],
)  # fmt: skip
def test_what_a_schema_can_be_asked_about(raw: bytes, expected: bool) -> None:
    assert has_payload(read(raw)) is expected


@pytest.mark.corpus
def test_the_corpus_is_read() -> None:
    folder = os.environ.get("OCPP_CORPUS")
    if not folder:
        pytest.skip("OCPP_CORPUS does not name the reference corpus")
    kinds: dict[str, int] = {}
    with Path(folder, "frames.jsonl").open(encoding="utf-8") as lines:
        for line in lines:
            entry = json.loads(line)
            if entry["raw"] is None:
                continue
            frame = read(entry["raw"].encode())
            kinds[type(frame).__name__] = kinds.get(type(frame).__name__, 0) + 1
            if isinstance(frame, Malformed) and not any(entry.get(flag) for flag in MAIMED):
                assert frame.defects[-1].code == "type-unknown", (entry["id"], frame.defects)
    assert kinds["Call"] > 300
    assert kinds["CallResult"] > 100
