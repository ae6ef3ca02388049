"""What only shows with the version and the sender."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ocpp_proxy.core.defects import DEFECTS
from ocpp_proxy.core.frame import Side, Version
from ocpp_proxy.core.reader import read
from ocpp_proxy.core.regularity import irregularities
from ocpp_proxy.core.vocabulary import ACTIONS, VERSIONS


@pytest.mark.parametrize(
    ("raw", "version", "sender", "codes", "words"),
    [
        (b'[2,"1","Heartbeat",{}]', "1.6", "station", [], ""),
        (b'[2,"1","Heartbeat",{}]', "1.6", "csms", ["action-direction"], "sent by the station, not by the csms"),
        (b'[2,"1","Reset",{}]', "2.1", "station", ["action-direction"], "sent by the csms"),
        (b'[2,"1","DataTransfer",{}]', "2.0.1", "csms", [], ""),
        (b'[2,"1","DataTransfer",{}]', "2.0.1", "station", [], ""),
        (b'[2,"1","heartbeat",{}]', "1.6", "station", ["action-case"], 'spelled "Heartbeat"'),
        (b'[2,"1","BootNotificationRequest",{}]', "2.0.1", "station", ["action-case"], 'spelled "BootNotification"'),
        (b'[2,"1","BootNotification.req",{}]', "1.6", "station", ["action-case"], 'spelled "BootNotification"'),
        (b'[2,"1","CustomOperation",{}]', "1.6", "station", ["action-unknown"], "CustomOperation"),
        (b'[2,"1","StatusNotificaton",{}]', "1.6", "station", ["action-unknown"], "did you mean StatusNotification?"),
        (b'[2,"1","StartTransaction",{}]', "2.0.1", "station", ["action-unknown"], "action of OCPP 1.6"),
        (b'[2,"1","SetVariables",{}]', "1.6", "csms", ["action-unknown"], "action of OCPP 2.0.1 and 2.1"),
        (b'[2,"1","",{}]', "1.6", "station", ["action-unknown"], "no action"),
        (b'[2,"1"]', "1.6", "station", [], ""),
        (b'[2,"1",5,{}]', "1.6", "station", [], ""),
        (b'[2,"1","BootNotification-Signed",{}]', "2.0.1", "station", [], ""),
        (b'[2,"1","BootNotification-Signed",{}]', "2.0.1", "csms", ["action-direction"], ""),
        (b'[2,"1","BootNotification-Signed",{}]', "1.6", "station", ["action-unknown"], ""),
        (b'[6,"1","NotifyPeriodicEventStream",{}]', "2.1", "station", [], ""),
        (b'[6,"1","NotifyPeriodicEventStream",{}]', "2.1", "csms", ["action-direction"], ""),
        (b'[2,"1","NotifyPeriodicEventStream",{}]', "2.1", "station", ["type-direction"], "type 6 (SEND)"),
        (b'[6,"1","Heartbeat",{}]', "2.1", "station", ["type-direction"], "type 2 (CALL)"),
        (b'[6,"1","Heartbeat",{}]', "2.0.1", "station", ["type-not-in-version"], "not in OCPP 2.0.1"),
        (b'[5,"1","FormatViolation","",{}]', "2.1", "station", [], ""),
        (b'[5,"1","FormatViolation","",{}]', "1.6", "station", ["type-not-in-version"], "not in OCPP 1.6"),
        (b'[4,"1","NotImplemented","",{}]', "1.6", "csms", [], ""),
        (b'[4,"1","OccurenceConstraintViolation","",{}]', "2.1", "csms", [], ""),
        (b'[4,"1","OccurrenceConstraintViolation","",{}]', "1.6", "csms", [], ""),
        (b'[4,"1","notimplemented","",{}]', "1.6", "csms", ["error-code-unknown"], "did you mean NotImplemented?"),
        (b'[4,"1","Timeout","",{}]', "2.0.1", "csms", ["error-code-unknown"], "Timeout"),
        (b'[4,"1","RpcFrameworkError","",{}]', "1.6", "csms", ["error-code-unknown"], ""),
        (b'[4,"1"]', "1.6", "csms", [], ""),
        (b'[4,"1","GenericError","' + b"x" * 256 + b'",{}]', "1.6", "csms", [], ""),
        (b'[4,"1","GenericError","' + b"x" * 256 + b'",{}]', "2.0.1", "csms", ["error-description-too-long"], "256"),
        (b'[4,"1","GenericError","' + b"x" * 255 + b'",{}]', "2.0.1", "csms", [], ""),
        (b'[3,"1",{}]', "1.6", "csms", [], ""),
        (b"rubbish", "1.6", "csms", [], ""),
    ],
)
def test_irregularities(raw: bytes, version: Version, sender: Side, codes: list[str], words: str) -> None:
    found = irregularities(read(raw), version, sender)
    assert [defect.code for defect in found] == codes
    assert all(words in defect.message and defect.code in DEFECTS for defect in found)


@pytest.mark.parametrize("version", VERSIONS)
def test_every_action_is_regular_from_its_caller_only(version: Version) -> None:
    sides: tuple[Side, Side] = ("station", "csms")
    for action in ACTIONS[version].values():
        type_id = 6 if action.kind == "send" else 2
        frame = read(f'[{type_id},"1","{action.name}",{{}}]'.encode())
        for sender in sides:
            assert bool(irregularities(frame, version, sender)) is (sender not in action.callers)


@given(st.binary(max_size=100), st.sampled_from(VERSIONS), st.sampled_from(["station", "csms"]))
def test_nothing_raises(noise: bytes, version: Version, sender: Side) -> None:
    irregularities(read(noise), version, sender)
    for head in (b'[2,"1",', b'[4,"1",', b'[5,"1",', b'[6,"1",'):
        irregularities(read(head + noise), version, sender)
        irregularities(read(head + b'"' + noise + b'","",{}]'), version, sender)
