"""The CSMS's base URL, what a target becomes there, who a station is."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ocpp_proxy.core.errors import BadInput
from ocpp_proxy.wire.upstream import Upstream, basic_user, identity, origin_form


@pytest.mark.parametrize(
    ("url", "secure", "host", "port", "authority"),
    [
        ("ws://c", False, "c", 80, "c"),
        ("ws://C.Example:80/x", False, "c.example", 80, "c.example"),
        ("wss://c/", True, "c", 443, "c"),
        ("wss://c:80", True, "c", 80, "c:80"),
        ("WS://[::1]:9000/ocpp", False, "::1", 9000, "[::1]:9000"),
        ("wss://[2001:db8::1]/", True, "2001:db8::1", 443, "[2001:db8::1]"),
    ],
)
def test_bases(url: str, secure: bool, host: str, port: int, authority: str) -> None:
    one = Upstream.parse(url)
    assert (one.secure, one.host, one.port, one.authority) == (secure, host, port, authority)


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("http://c/", "ws://"),
        ("c:9000", "ws://"),
        ("", "ws://"),
        ("ws://user:secret@c/", "no user or password"),
        ("ws://user@c/", "no user or password"),
        ("http://user:secret@c/", "no user or password"),
        ("user:secret@c", "no user or password"),
        ("ws://user:se cret@c/", "no user or password"),
        ("ws://user:secret/ly@c/", "no user or password"),
        ("ws:///ocpp", "host"),
        ("ws://c:0/", "host"),
        ("ws://c:99999/", "[Pp]ort"),
        ("ws://{station}.c/", "host"),
        ("ws://c/#x", "fragment"),
        ("ws://c/?token=secret#x", "fragment"),
        ("ws://c/a b", "percent-encode"),
        ("ws://cäfe/", "percent-encode"),
    ],
)
def test_bases_that_cannot_be_used(url: str, words: str) -> None:
    with pytest.raises(BadInput, match=words) as raised:
        Upstream.parse(url)
    assert "secret" not in str(raised.value)


@pytest.mark.parametrize(
    ("base", "target", "station", "joined"),
    [
        ("ws://c", "/CP1", "", "/CP1"),
        ("ws://c/ocpp//", "/CP1", "", "/ocpp/CP1"),
        ("ws://c/ocpp", "CP1", "", "/ocpp/CP1"),
        ("ws://c/ocpp?", "/CP1?a", "", "/ocpp/CP1?&a"),
        ("ws://c/ocpp?k=v", "/CP1?a=b&c", "", "/ocpp/CP1?k=v&a=b&c"),
        ("ws://c/ocpp?k=v", "/CP1?", "", "/ocpp/CP1?k=v"),
        ("ws://c/{station}", "/x/CP%201?y", "CP%201", "/CP%201"),
        ("ws://c/a/{station}/b?id={station}", "/", "CP 1/ü", "/a/CP%201%2F%C3%BC/b?id=CP%201%2F%C3%BC"),
        ("ws://c?id={station}", "/", "CP1", "/?id=CP1"),
    ],
)
def test_targets(base: str, target: str, station: str, joined: str) -> None:
    assert Upstream.parse(base).target(target, station) == joined


@given(st.text(st.characters(min_codepoint=33, max_codepoint=126, exclude_characters="?#"), min_size=1))
def test_nothing_of_a_path_is_changed(path: str) -> None:
    assert Upstream.parse("ws://c/base").target("/" + path, "") == "/base/" + path


@pytest.mark.parametrize(
    ("target", "reduced"),
    [
        ("/a?b", "/a?b"), ("http://h/a?b", "/a?b"), ("http://h", "/"), ("http://h?b", "/?b"), ("wss://h:1//a", "//a"),
        ("*", "*"), ("//h/a", "//h/a"),
    ],
)  # fmt: skip
def test_absolute_targets(target: str, reduced: str) -> None:
    assert origin_form(target) == reduced


def basic(credentials: bytes) -> str:
    return "Basic " + base64.b64encode(credentials).decode()


@pytest.mark.parametrize(
    ("target", "authorization", "who"),
    [
        ("/ocpp/CP1", basic(b"other:pw"), "CP1"),
        ("/ocpp/CP1///?x=/y", None, "CP1"),
        ("/a%2Fb", None, "a%2Fb"),
        ("/?CP1", basic(b"CP2:p:w"), "CP2"),
        ("/", basic(b"CP2"), "192.0.2.7"),
        ("/", basic(b":pw"), "192.0.2.7"),
        ("/", "Basic %%%", "192.0.2.7"),
        ("/", "Bearer Q1AyOnB3", "192.0.2.7"),
        ("/", "bAsIc  Q1AyOnB3", "CP2"),
        ("/", None, "192.0.2.7"),
    ],
)
def test_identities(target: str, authorization: str | None, who: str) -> None:
    assert identity(target, authorization, "192.0.2.7") == who


@given(st.text())
def test_no_authorization_raises(value: str) -> None:
    basic_user(value)
    basic_user("Basic " + value)
