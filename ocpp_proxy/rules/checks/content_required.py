"""Required texts that are there and say nothing, which the JSON schemas let pass.

Left out are texts that may be empty by their meaning: values of settings and variables, texts of signed meter values,
EXI messages, customer information, answers that repeat what was asked, and tokens of type NoAuthorization.

Source: OCPP 1.6 edition 2 chapters 6 and 7; Improved security for OCPP 1.6-J edition 3 chapters 5 and 6; OCPP 2.0.1 and
2.1 Part 2 chapters 1 and 2 (cardinality 1..1); C02.FR.01 of both (NoAuthorization).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, NamedTuple, TypeAlias

from ocpp_proxy.core.frame import CallResult
from ocpp_proxy.rules.checks.content import payload
from ocpp_proxy.rules.expect import lookup, lookup_all, tokens_of
from ocpp_proxy.rules.now import Hit, Now
from ocpp_proxy.rules.occasions import answer, call, check

# What the bytes of a frame hold that has an empty or blank text. White space other than spaces may not stand in one.
_EMPTY, _BLANK = re.compile(rb'""'), re.compile(rb'"[ ]')
_BACKSLASH = 0x5C


class Required(NamedTuple):
    """Where a required text is. `empty`: what the bytes hold where it is empty or blank, but for escapes."""

    path: tuple[str, ...]
    empty: re.Pattern[bytes]

    @classmethod
    def of(cls, pointer: str) -> Required:
        path = tokens_of(pointer)
        before = rb"[\[,]" if path[-1] == "*" else rb'"%s"\s*:' % path[-1].encode()
        return cls(path, re.compile(before + rb'\s*"\s*"'))

    @property
    def name(self) -> str:
        return next(part for part in reversed(self.path) if part != "*")


Texts: TypeAlias = tuple[Required, ...]


def _table(lines: str) -> dict[str, Texts]:
    """A line an action: its name and the pointers to its required texts."""
    rows = (line.split() for line in lines.strip().splitlines())
    return {action: tuple(map(Required.of, pointers)) for action, *pointers in rows}


_CALLS_16 = _table("""
Authorize /idTag
BootNotification /chargePointVendor /chargePointModel
CertificateSigned /certificateChain
ChangeConfiguration /key
DataTransfer /vendorId
DeleteCertificate /certificateHashData/issuerNameHash /certificateHashData/issuerKeyHash
GetConfiguration /key/*
GetLog /log/remoteLocation
InstallCertificate /certificate
RemoteStartTransaction /idTag
ReserveNow /idTag
SecurityEventNotification /type
SendLocalList /localAuthorizationList/*/idTag
SignCertificate /csr
SignedUpdateFirmware /firmware/location /firmware/signingCertificate /firmware/signature
StartTransaction /idTag
""")
_ANSWERS_16 = _table("""
GetConfiguration /configurationKey/*/key
GetInstalledCertificateIds /certificateHashData/*/issuerNameHash /certificateHashData/*/issuerKeyHash
""")
_CALLS_2X = _table("""
Authorize /idToken/idToken
BootNotification /chargingStation/model /chargingStation/vendorName
CertificateSigned /certificateChain
ChangeTransactionTariff /transactionId /tariff/tariffId /tariff/currency
ClearedChargingLimit /chargingLimitSource
CostUpdated /transactionId
DataTransfer /vendorId
DeleteCertificate /certificateHashData/issuerNameHash /certificateHashData/issuerKeyHash
GetLog /log/remoteLocation
GetMonitoringReport /componentVariable/*/component/name /componentVariable/*/variable/name
GetReport /componentVariable/*/component/name /componentVariable/*/variable/name
GetVariables /getVariableData/*/component/name /getVariableData/*/variable/name
InstallCertificate /certificate
NotifyEvent /eventData/*/component/name /eventData/*/variable/name
NotifyMonitoringReport /monitor/*/component/name /monitor/*/variable/name
NotifyPriorityCharging /transactionId
NotifyReport /reportData/*/component/name /reportData/*/variable/name
PublishFirmware /location /checksum
RequestStartTransaction /idToken/idToken /groupIdToken/idToken
RequestStopTransaction /transactionId
ReserveNow /idToken/idToken /groupIdToken/idToken
SecurityEventNotification /type
SendLocalList /localAuthorizationList/*/idToken/idToken
SetDefaultTariff /tariff/tariffId /tariff/currency
SetDisplayMessage /message/message/content
SetNetworkProfile /connectionData/ocppCsmsUrl
SetVariableMonitoring /setMonitoringData/*/component/name /setMonitoringData/*/variable/name
SetVariables /setVariableData/*/component/name /setVariableData/*/variable/name
SignCertificate /csr
TransactionEvent /transactionInfo/transactionId /idToken/idToken
UnpublishFirmware /checksum
UpdateFirmware /firmware/location
UsePriorityCharging /transactionId
""")
_REASON = (Required.of("/statusInfo/reasonCode"),)
_ANSWERS_2X = {action: (*texts, *_REASON) for action, texts in _table("""
Authorize /idTokenInfo/groupIdToken/idToken
GetInstalledCertificateIds /certificateHashDataChain/*/certificateHashData/issuerNameHash
TransactionEvent /idTokenInfo/groupIdToken/idToken
""").items()}


_CALLED = tuple(_CALLS_16 | _CALLS_2X)


@check("schema-empty-string", call(*_CALLED), call(*_CALLED, by="csms"), answer(), answer(by="csms"))
def empty_text(now: Now) -> Iterator[Hit] | None:
    texts, frame = _texts(now), now.frame
    if not texts or frame is None:
        return None
    raw = frame.raw
    may_be = _EMPTY.search(raw) is not None or _BLANK.search(raw) is not None or frame.defects
    return _empty(now, texts, raw) if may_be else None


def _empty(now: Now, texts: Texts, raw: bytes) -> Iterator[Hit]:
    found, plain = payload(now), _BACKSLASH not in raw
    for one in texts:
        if plain and one.empty.search(raw) is None:
            continue
        for pointer, value in lookup_all(found, one.path):
            if isinstance(value, str) and not value.strip() and not _needs_no_token(found, pointer):
                state = "blank" if value else "empty"
                yield now.hit(f"The required {one.name} is {state}", pointer, seen=value, expected="a text")


def _texts(now: Now) -> Texts:
    answered = isinstance(now.frame, CallResult)
    if now.version == "1.6":
        return (_ANSWERS_16 if answered else _CALLS_16).get(now.action, ())
    return _ANSWERS_2X.get(now.action, _REASON) if answered else _CALLS_2X.get(now.action, ())


def _needs_no_token(found: Any, pointer: str) -> bool:
    """Whether it is the text of a token that stands for nobody."""
    if not pointer.endswith("/idToken"):
        return False
    kind = lookup(found, (*tokens_of(pointer)[:-1], "type"))
    return bool(kind == "NoAuthorization")
