"""The patient scanner remembers where everything stood."""

from __future__ import annotations

import json

from core_texts import json_texts
from hypothesis import given

from ocpp_proxy.core.scan import escape, plain, scan, walk


def test_every_node_knows_its_place() -> None:
    text = '{"a": [1, "x\\u0041"], "b/c": {"~": null}}'
    found = scan(text)
    assert found.node is not None
    places = {pointer: text[node.start : node.end] for pointer, node in walk(found.node)}
    assert places == {
        "": text, "/a": '[1, "x\\u0041"]', "/a/0": "1", "/a/1": '"x\\u0041"',
        "/b~1c": '{"~": null}', "/b~1c/~0": "null",
    }  # fmt: skip
    assert (found.broken, found.defects, found.end) == (False, [], len(text))


def test_members_that_appear_twice_are_all_there() -> None:
    found = scan('{"a":1,"a":2}')
    assert found.node is not None
    assert [node.value for _, node in walk(found.node)][1:] == [1, 2]
    assert plain(found.node) == {"a": 2}


def test_what_was_read_before_an_error_is_kept() -> None:
    found = scan('[1,{"a":2},[3,')
    assert found.broken
    assert found.node is not None
    assert not found.node.whole
    assert [plain(node) for node in found.node.value] == [1, {"a": 2}]


@given(json_texts())
def test_it_reads_what_the_standard_library_reads(text: str) -> None:
    found = scan(text)
    assert found.node is not None
    assert (found.broken, found.defects) == (False, [])
    assert json.dumps(plain(found.node), default=float) == json.dumps(json.loads(text))


def test_escape() -> None:
    assert escape("a/b~c") == "a~1b~0c"
