"""What is a secret, by its name and by its place in a text."""

from __future__ import annotations

import time

import pytest

from ocpp_proxy.core.secrets import form_of, is_secret_name, is_secret_parameter, names_secret, secret_spans, starred


@pytest.mark.parametrize(
    "name",
    [
        "AuthorizationKey", "authorizationkey", "AUTHORIZATION_KEY", "Authorization Key", "BasicAuthPassword",
        "basicAuthPassword", "apnPassword", "password", "passwd", "WiFi-Passphrase", "pwd", "simPin", "clientSecret",
        "privateKey", "api_key", "VpnKey", "accessToken", "X-Auth-Token", "credentials", "preSharedKey", "psk",
    ],
)  # fmt: skip
def test_names_of_secrets(name: str) -> None:
    assert is_secret_name(name)
    assert names_secret(f'{{"{name}":"x"}}')


@pytest.mark.parametrize(
    "name",
    [
        "idToken", "idTokenInfo", "groupIdToken", "idTag", "key", "HeartbeatInterval", "AuthorizeRemoteTxRequests",
        "SecurityProfile", "AuthorizationCacheEnabled", "issuerKeyHash", "serialNumber", "value", "mapping", "CpoName",
        "AuthCtrlr", "certificate", "unknownKey", "configurationKey", "x" * 1000 + "password",
    ],
)  # fmt: skip
def test_names_of_no_secrets(name: str) -> None:
    assert not is_secret_name(name)


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("ftp://user:secret@host/path", "ftp://user:******@host/path"),
        ("ftp://user:se@cr@et@host/path", "ftp://user:********@host/path"),
        ("ftp://user:se/cr@et?@host/path", "ftp://user:*********@host/path"),
        ("ftp://user:pa ss@host", "ftp://user:*****@host"),
        ("ftp://token@host/x", "ftp://*****@host/x"),
        ("ftp://user:@host/x", "ftp://user:@host/x"),
        ("see http://a:80/b and ftp://u:p@h", "see http://a:80/b and ftp://u:*@h"),
        ("http://host:8080/CP@1/fw.bin", "http://host:8080/CP@1/fw.bin"),
        ("http://host/@scope/fw.bin", "http://host/@scope/fw.bin"),
        ("http://[2001:db8::1]:80/a@b", "http://[2001:db8::1]:80/a@b"),
        ("http://u:p@[2001:db8::1]:80/a", "http://u:*@[2001:db8::1]:80/a"),
        ("https://h/x?token=abc&a=1&X-Amz-Signature=ff&sig=1#f", "https://h/x?token=***&a=1&X-Amz-Signature=**&sig=*#f"),
        ("https://h/x?p%61ssword=abc", "https://h/x?p%61ssword=***"),
        ("a;key=5", "a;key=5"),
        ("user@host", "user@host"),
        ("password=abc, other=1", "password=***, other=1"),
        ('{"password" : "abc"', '{"password" : "***"'),
        ("AuthorizationKey: abc rejected", "AuthorizationKey: *** rejected"),
        ("-----BEGIN EC PRIVATE KEY-----\nAA\n-----END EC", "-----BEGIN EC PRIVATE KEY-----****-----END EC"),
        ("-----BEGIN PRIVATE KEY-----\nAAAA", "-----BEGIN PRIVATE KEY-----*****"),
        ("-----BEGIN CERTIFICATE-----\nAAAA", "-----BEGIN CERTIFICATE-----\nAAAA"),
        ("", ""),
    ],
)
def test_secrets_within_a_text(text: str, masked: str) -> None:
    assert starred(text, secret_spans(text)) == masked
    assert starred(masked, secret_spans(masked)) == masked


@pytest.mark.parametrize(
    ("name", "secret"),
    [("token", True), ("access_token", True), ("KEY", True), ("sig", True), ("s%69g", True), ("password", True),
     ("station", False), ("id", False), ("version", False), ("monkey", False)],
)  # fmt: skip
def test_names_of_query_parameters(name: str, secret: bool) -> None:
    assert is_secret_parameter(name) is secret


@pytest.mark.parametrize(
    ("secret", "form"),
    [("0123456789abcdef", "hex"), ("0123456789ABCDEF" * 2, "hex"), ("0123456789abcde", "text"), ("hunter2", "text"),
     ("x\x00y", "bytes"), ("0123", "text"), ("pässword", "text")],
)  # fmt: skip
def test_the_form_of_a_secret(secret: str, form: str) -> None:
    assert form_of(secret) == form


@pytest.mark.parametrize(
    "piece",
    ["a", "://", "password=", "?", "a=", "password ", " ", "://u:", "@", "PRIVATE KEY-----", '\\"', "-", "&token"],
)
def test_no_text_takes_long(piece: str) -> None:
    text = "password://" + piece * (1_000_000 // len(piece))
    started = time.process_time()
    secret_spans(text)
    assert time.process_time() - started < 10
