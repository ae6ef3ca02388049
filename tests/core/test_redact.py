"""No secret passes the gate, wherever it stands and however it is written; everything else does, untouched."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any

import pytest
from core_secret_places import PLACES, PLAIN_SECRETS, SECRETS, TEXT_PLACES, leaks, spelled
from core_texts import json_texts
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from ocpp_proxy.core.record import Mask
from ocpp_proxy.core.redact import may_hold_secret, redact

SLOW = settings(suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large], deadline=None)


@pytest.mark.parametrize(
    ("raw", "data", "masks"),
    [
        ('[2,"1","ChangeConfiguration",{"key":"AuthorizationKey","value":"0123456789abcdef"}]',
         '[2,"1","ChangeConfiguration",{"key":"AuthorizationKey","value":"****************"}]',
         [Mask("/3/value", 16, "hex")]),
        ('[2, "1", "ChangeConfiguration", {"value": "s\\u0065cr\\u00e9t", "KEY" : "authorization\\u004bey"}]',
         '[2, "1", "ChangeConfiguration", {"value": "******", "KEY" : "authorization\\u004bey"}]',
         [Mask("/3/value", 6, "text")]),
        ('[2,"1","ChangeConfiguration",{"key":"AuthorizationKey","value":"a\\ud83d\\ude00é"}]',
         '[2,"1","ChangeConfiguration",{"key":"AuthorizationKey","value":"***"}]',
         [Mask("/3/value", 3, "text")]),
        ('[2,"1","ChangeConfiguration",{"value":"first","key":"AuthorizationKey","value":"second"}]',
         '[2,"1","ChangeConfiguration",{"value":"*****","key":"AuthorizationKey","value":"******"}]',
         [Mask("/3/value", 5, "text"), Mask("/3/value", 6, "text")]),
        ('[2,"1","ChangeConfiguration",{"key":"AuthorizationKey","value":12345.67e8}]',
         '[2,"1","ChangeConfiguration",{"key":"AuthorizationKey","value":99999.99e9}]',
         [Mask("/3/value", 10, "text")]),
        ('[2,"1","ChangeConfiguration",{"key":"AuthorizationKey","value":""}]',
         '[2,"1","ChangeConfiguration",{"key":"AuthorizationKey","value":""}]', []),
        ('[3,"1",{"configurationKey":[{"key":"HeartbeatInterval","readonly":false,"value":"300"},'
         '{"key":"AuthorizationKey","readonly":false,"value":"xyz"}],"unknownKey":["AuthorizationKey"]}]',
         '[3,"1",{"configurationKey":[{"key":"HeartbeatInterval","readonly":false,"value":"300"},'
         '{"key":"AuthorizationKey","readonly":false,"value":"***"}],"unknownKey":["AuthorizationKey"]}]',
         [Mask("/2/configurationKey/1/value", 3, "text")]),
        ('[2,"1","SetVariables",{"setVariableData":[{"attributeType":"Target","attributeValue":"S","component":'
         '{"name":"SecurityCtrlr","instance":"I"},"variable":{"name":"BasicAuthPassword"}}]}]',
         '[2,"1","SetVariables",{"setVariableData":[{"attributeType":"Target","attributeValue":"*","component":'
         '{"name":"SecurityCtrlr","instance":"I"},"variable":{"name":"BasicAuthPassword"}}]}]',
         [Mask("/3/setVariableData/0/attributeValue", 1, "text")]),
        ('[2,"1","UpdateFirmware",{"location":"ftp:\\/\\/user:p@ss@host\\/x?token=abc","retrieveDate":"x"}]',
         '[2,"1","UpdateFirmware",{"location":"ftp:\\/\\/user:****@host\\/x?token=***","retrieveDate":"x"}]',
         [Mask("/3/location", 4, "text"), Mask("/3/location", 3, "text")]),
        ('[2,"1","DataTransfer",{"data":"{\\"key\\":\\"AuthorizationKey\\",\\"value\\":\\"S\\\\u0041\\",\\"n\\":1}"}]',
         '[2,"1","DataTransfer",{"data":"{\\"key\\":\\"AuthorizationKey\\",\\"value\\":\\"**\\",\\"n\\":9}"}]',
         [Mask("/3/data", 2, "text"), Mask("/3/data", 1, "text")]),
        ('\ufeff[2,"1","ChangeConfiguration",{"key":"AuthorizationKey","value":"S"}]\0',
         '\ufeff[2,"1","ChangeConfiguration",{"key":"AuthorizationKey","value":"*"}]\0',
         [Mask("/3/value", 1, "text")]),
        ('[2,"1","ChangeConfiguration",{"key":"AuthorizationKey","value":"SECRET"',
         '[2,"1","ChangeConfiguration",{"key":"AuthorizationKey","value":"******"', [Mask(None, 6, "text")]),
        ('[2,"1","A",{}]{"password":"SECRET"}', '[2,"1","A",{}]{"password":"******"}', [Mask(None, 6, "text")]),
    ],
)  # fmt: skip
def test_secrets_are_masked_in_place(raw: str, data: str, masks: list[Mask]) -> None:
    assert redact(raw.encode()) == (data.encode(), tuple(masks))


@pytest.mark.parametrize(
    "raw",
    [
        b'[2,"1","Heartbeat",{}]',
        b'[2,"1","Authorize",{"idTag":"04AABBCC"}]',
        b'[2,"1","TransactionEvent",{"idToken":{"idToken":"04AABB","type":"ISO14443"},"groupIdToken":{"idToken":"x"}}]',
        b'[2,"1","ChangeConfiguration",{"key":"HeartbeatInterval","value":"300"}]',
        b'[2,"1","GetConfiguration",{"key":["AuthorizationKey"]}]',
        b'[2,"1","UpdateFirmware",{"location":"http://host:8080/fw@1.bin","retrieveDate":"2026-11-21T09:00:00Z"}]',
        b'[2,"1","SecurityEventNotification",{"type":"InvalidCsmsCertificate","techInfo":"a\\u0020b"}]',
        b'[3,"1",{"getVariableResult":[{"attributeStatus":"Rejected","component":{"name":"SecurityCtrlr"},'
        b'"variable":{"name":"BasicAuthPassword"}}]}]',
        b'[2,"1","InstallCertificate",{"certificate":"-----BEGIN CERTIFICATE-----\\nAAAA\\n-----END CERT"}]',
        b'[2,"1","BootNotification",{"chargePointVendor":"M\xfcller","x":"a/b',
        b"\x00\xff\xfe",
        b"",
    ],
)
def test_what_holds_no_secret_stays_the_very_same(raw: bytes) -> None:
    data, masked = redact(raw)
    assert data is raw
    assert masked == ()


def test_the_cheap_question_lets_ordinary_traffic_pass() -> None:
    for raw in (
        b'[2,"1","MeterValues",{"connectorId":1,"meterValue":[{"timestamp":"2026-11-21T09:00:00Z","sampledValue":'
        b'[{"value":"1","measurand":"Energy.Active.Import.Register","unit":"kWh","context":"Sample.Periodic"}]}]}]',
        b'[3,"1",{"currentTime":"2026-11-21T09:00:00Z","interval":300,"status":"Accepted"}]',
        b'[2,"1","TransactionEvent",{"idToken":{"idToken":"04AABB","type":"ISO14443"}}]',
        b'[2,"1","ChangeConfiguration",{"key":"HeartbeatInterval","value":"300"}]',
        b'[2,"1","StatusNotification",{"info":"\\u00e9\\n \\"x\\"","errorCode":"NoError"}]',
    ):
        assert not may_hold_secret(raw)


ALL_PLACES = [*PLACES.items(), *TEXT_PLACES.items()]


@pytest.mark.parametrize(("place", "message"), ALL_PLACES, ids=[place for place, _ in ALL_PLACES])
@given(st.data())
@SLOW
def test_no_secret_passes(place: str, message: Any, data: st.DataObject) -> None:
    # Where the secret's own text is not decoded by `leaks` either, it has to be one that needs no escapes.
    in_text = place in TEXT_PLACES or "in strings" in place or "broken" in place
    secret = data.draw(PLAIN_SECRETS if in_text else SECRETS)
    raw = data.draw(spelled(message(secret))).encode()
    assert leaks(secret, raw)
    masked, masks = redact(raw)
    assert not leaks(secret, masked)
    assert masks
    assert all(mask.pointer is not None and mask.length > 0 for mask in masks)
    kept = json.loads(masked)
    assert kept[:2] == json.loads(raw)[:2]
    assert redact(masked)[0] == masked


@pytest.mark.parametrize(("place", "message"), PLACES.items(), ids=PLACES)
def test_only_the_secret_is_touched(place: str, message: Any) -> None:
    secret = "Xk7" * 7
    raw = json.dumps(message(secret))
    masked = redact(raw.encode())[0].decode()
    if place == "signed":
        assert re.sub(r"\*+", "", masked) == re.sub('"payload": "[^"]*"', '"payload": ""', raw)
    elif not place.startswith(("broken", "private")):
        untouched = raw.replace(secret, "*" * len(secret))
        assert sum(one != other for one, other in zip(masked, untouched, strict=True)) <= 6  # as flags do


@pytest.mark.parametrize(("place", "message"), ALL_PLACES, ids=[place for place, _ in ALL_PLACES])
@given(st.data())
@SLOW
def test_no_secret_passes_in_a_broken_message(place: str, message: Any, data: st.DataObject) -> None:
    secret = data.draw(PLAIN_SECRETS)
    raw = data.draw(spelled(message(secret), plain=True))
    if place == "signed":  # no pattern finds what is encoded and broken
        return
    after = max(raw.rfind(secret), *(raw.lower().rfind(name) + len(name) for name in NAMES))
    noises = ["", "}", "\0", "]]", "x", "\ufeff", ":", "NaN,"]
    noise = data.draw(st.sampled_from(noises if "URL" in place else [*noises, '"']))  # a URL may well end so
    at = data.draw(st.integers(after, len(raw)))
    broken = (raw[:at] + noise).encode()
    masked, masks = redact(broken)
    assert not leaks(secret, masked), (broken, masked)
    assert masks or not leaks(secret, broken)


NAMES = ("authorizationkey", "wifi_password", "basicauthpassword", "password", "setpassword", "clientsecret", "simpin",
         "private key-----", "://")  # fmt: skip


@given(st.one_of(st.binary(max_size=100), json_texts().map(str.encode)))
@example(b'{"password":')
@example(b"\\u0070assword")
def test_no_bytes_raise(noise: bytes) -> None:
    for raw in (noise, b'[2,"1","SetPassword",{"password":' + noise + b'}]', b'"://' + noise + b'@password"'):
        masked, masks = redact(raw)
        assert bool(masks) or masked == raw


def test_a_huge_message_is_masked_in_bounded_time() -> None:
    many = b'[2,"1","DataTransfer",{"password":"SECRET12","data":[' + b'"x",' * 500_000 + b'"SECRET12"]}]'
    masked, masks = redact(many)
    assert (b"SECRET12" in masked, len(masks), len(masked)) == (False, 1, len(many))
    assert masked.startswith(b'[2,"1","DataTransfer",')
    one = b'[2,"1","DataTransfer",{"password":"' + b"x" * 20_000_000 + b'"}]'
    masked, masks = redact(one)
    assert masks == (Mask("/3/password", 20_000_000, "text"),)


@pytest.mark.corpus
def test_the_corpus_keeps_its_shape() -> None:
    folder = os.environ.get("OCPP_CORPUS")
    if not folder:
        pytest.skip("OCPP_CORPUS does not name the reference corpus")
    touched = total = 0
    with Path(folder, "frames.jsonl").open(encoding="utf-8") as lines:
        for line in lines:
            raw = (json.loads(line)["raw"] or "").encode()
            masked, masks = redact(raw)
            total += 1
            touched += bool(masks)
            assert bool(masks) is (masked != raw)
    assert touched < total / 20
