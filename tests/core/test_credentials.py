"""What a handshake gives away is masked, and what an engineer needs of it is kept."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from core_secret_places import PLAIN_SECRETS
from hypothesis import given
from hypothesis import strategies as st

from ocpp_proxy.core.credentials import mask_headers, mask_target


def basic(pair: bytes | str) -> str:
    return "Basic " + base64.b64encode(pair if isinstance(pair, bytes) else pair.encode()).decode()


@pytest.mark.parametrize(
    ("value", "kept"),
    [
        (basic("CP001:0123456789abcdef"), {"scheme": "Basic", "user": "CP001", "masked": 16, "form": "hex"}),
        (basic("CP001:hunter2"), {"scheme": "Basic", "user": "CP001", "masked": 7, "form": "text"}),
        (basic(b"CP001:\x00\x01\xff\xfe"), {"scheme": "Basic", "user": "CP001", "masked": 4, "form": "bytes"}),
        (basic("CP001:" + "0f" * 20), {"scheme": "Basic", "user": "CP001", "masked": 40, "form": "hex"}),
        (basic("a:b:c"), {"scheme": "Basic", "user": "a", "masked": 3, "form": "text"}),
        (basic("CP001:"), {"scheme": "Basic", "user": "CP001", "masked": 0, "form": "text"}),
        (basic(b"\xff:x"), {"scheme": "Basic", "user": "\\xff", "masked": 1, "form": "text"}),
        (basic("CP001:hunter").rstrip("="), {"scheme": "Basic", "user": "CP001", "masked": 6, "form": "text"}),
        (basic("nocolon"), {"scheme": "Basic", "user": None, "masked": 12, "form": "text"}),
        ("Basic !!!", {"scheme": "Basic", "user": None, "masked": 3, "form": "text"}),
        ("bASIC " + basic("u:p")[6:], {"scheme": "bASIC", "user": "u", "masked": 1, "form": "text"}),
        ("Bearer abc.def", {"scheme": "Bearer", "user": None, "masked": 7, "form": "text"}),
        ("Basic", {"scheme": None, "user": None, "masked": 5, "form": "text"}),
        ("my secret", {"scheme": None, "user": None, "masked": 9, "form": "text"}),
        ("", {"scheme": None, "user": None, "masked": 0, "form": "text"}),
    ],
)
def test_authorization(value: str, kept: dict[str, Any]) -> None:
    for name in ("Authorization", "authorization", "AUTHORIZATION", "Proxy-Authorization"):
        assert mask_headers([(name, value)]) == ((name, kept),)


@pytest.mark.parametrize(
    "name", ["Cookie", "Set-Cookie", "X-Api-Key", "X-Auth-Token", "X-Access-Token", "X-Client-Secret", "x-session-id"]
)
def test_other_secret_headers_keep_length_and_form(name: str) -> None:
    assert mask_headers([(name, "sid=12345")]) == ((name, {"masked": 9, "form": "text"}),)


def test_everything_else_stays_in_order_number_and_spelling() -> None:
    pairs = [
        ("Host", "csms:9000"), ("UPGRADE", "websocket"), ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="),
        ("Sec-WebSocket-Protocol", "ocpp1.6, ocpp2.0.1"), ("X-A", "1"), ("x-a", "2"), ("X-A", "1"),
        ("WWW-Authenticate", 'Basic realm="x"'), ("User-Agent", "Wall Box/4.3.6"), ("X-Empty", ""),
    ]  # fmt: skip
    assert mask_headers(pairs) == tuple(pairs)


def test_urls_in_headers() -> None:
    pairs = [("Location", "wss://user:pw@host/x?token=abc&a=1"), ("Referer", "/x?sig=abc")]
    assert mask_headers(pairs) == (("Location", "wss://user:**@host/x?token=***&a=1"), ("Referer", "/x?sig=***"))


@pytest.mark.parametrize(
    ("target", "masked"),
    [
        ("/ocpp/CP001", "/ocpp/CP001"),
        ("//CP%201?x=1", "//CP%201?x=1"),
        ("/CP1?token=abc&x=1&Password=p%40ss;key=1#f", "/CP1?token=***&x=1&Password=******;key=*#f"),
        ("/CP1?p%61ss=abc", "/CP1?p%61ss=***"),
        ("/CP1?token=", "/CP1?token="),
        ("/CP1?token", "/CP1?token"),
        ("/CP1?access_token=a=b", "/CP1?access_token=***"),
        ("wss://u:p@host/CP1?version=1.6", "wss://u:*@host/CP1?version=1.6"),
        ("", ""),
    ],
)
def test_target(target: str, masked: str) -> None:
    assert mask_target(target) == masked


@given(
    PLAIN_SECRETS,
    st.sampled_from(["Authorization", "proxy-AUTHORIZATION", "Cookie", "X-Api-Key", "Location"]),
    st.sampled_from(["Basic %s", "Basic x%s", "Bearer %s", "%s", "%s x", "user:%s", "https://u:%s@h", "/?token=%s"]),
)
def test_no_secret_passes(secret: str, name: str, form: str) -> None:
    if name == "Location" and "/" not in form:
        return
    shown = json.dumps(mask_headers([(name, form % secret)]))
    assert secret not in shown
    pair = base64.b64encode(f"user:{secret}".encode()).decode()
    shown = json.dumps(mask_headers([("Authorization", f"Basic {pair}"), ("Authorization", pair)]))
    assert secret not in shown
    assert pair not in shown


@given(st.lists(st.tuples(st.text(max_size=20), st.text(max_size=40))), st.text(max_size=60))
def test_nothing_raises(pairs: list[tuple[str, str]], target: str) -> None:
    assert [name for name, _ in mask_headers(pairs)] == [name for name, _ in pairs]
    assert len(mask_target(target)) == len(target)
    mask_headers([("Authorization", f"Basic {target}")])
