"""How the station is configured, as far as it was told."""

import pytest
from core_station import Taught

from ocpp_proxy.core.session import Session
from ocpp_proxy.core.station.settings import LONGEST_VALUE, SETTINGS_KEPT, variable_name


def entry(key, value, readonly=False):
    return {"key": key, "readonly": readonly, "value": value}


def variable(component, name, **more):
    return {"component": {"name": component}, "variable": {"name": name}} | more


def test_keys_are_found_whatever_their_case():
    taught = Taught()
    taught.asked("GetConfiguration", {}, {"configurationKey": [
        entry("HeartbeatInterval", "60", True), entry("AuthorizeRemoteTxRequests", " TRUE "),
        entry("MeterValuesSampledData", "Voltage, SoC ,"), {"key": "Empty", "readonly": False}]})
    settings = taught.session.settings
    assert (settings.integer("heartbeatinterval"), settings.flag("AUTHORIZEREMOTETXREQUESTS")) == (60, True)
    assert settings.words("MeterValuesSampledData") == ["Voltage", "SoC"]
    assert settings.find("HeartbeatInterval").readonly is True
    assert (settings.value("Empty"), settings.find("Empty").readonly) == (None, False)
    assert settings.listed == 2.0
    assert (settings.value("Unheard"), settings.integer("Unheard"), settings.flag("Unheard")) == (None, None, None)


def test_a_change_counts_once_it_is_accepted_and_after_a_reboot_once_it_is_read():
    taught = Taught()
    for status, value in (("Rejected", "1"), ("Accepted", "2"), ("NotSupported", "3")):
        taught.asked("ChangeConfiguration", {"key": "HeartbeatInterval", "value": value}, {"status": status})
    assert taught.session.settings.value("HeartbeatInterval") == "2"
    taught.asked("ChangeConfiguration", {"key": "HeartbeatInterval", "value": "9"}, {"status": "RebootRequired"})
    assert taught.session.settings.value("HeartbeatInterval") is None


@pytest.mark.parametrize(("response", "known"), [
    ({"status": "Accepted", "interval": 300}, "300"), ({"status": "Pending", "interval": 300}, None),
    ({"status": "Accepted", "interval": 0}, None)])
def test_the_answer_to_a_boot_sets_the_heartbeats(response, known):
    for version, name in (("1.6", "HeartbeatInterval"), ("2.0.1", "OCPPCommCtrlr.HeartbeatInterval")):
        taught = Taught(version)
        taught.exchange("BootNotification", {}, response)
        assert taught.session.settings.value(name) == known


def test_variables_come_from_answers_changes_and_reports():
    taught = Taught("2.0.1")
    read = [variable("TxCtrlr", "TxStartPoint", attributeStatus="Accepted", attributeValue="PowerPathClosed"),
            variable("TxCtrlr", "Nonsense", attributeStatus="UnknownVariable"),
            variable("TxCtrlr", "TxStopPoint", attributeStatus="Accepted", attributeType="MaxSet", attributeValue="x")]
    taught.asked("GetVariables", {}, {"getVariableResult": read})
    wanted = [variable("A", "B", attributeValue="1"), variable("C", "D", attributeValue="2")]
    taught.asked("SetVariables", {"setVariableData": wanted}, {"setVariableResult": [
        variable("C", "D", attributeStatus="Accepted"), variable("A", "B", attributeStatus="RebootRequired")]})
    taught.call("NotifyReport", {"reportData": [
        variable("EVSE", "Power", variableAttribute=[{"value": "11000", "mutability": "ReadOnly"}]) | {
            "component": {"name": "EVSE", "evse": {"id": 2, "connectorId": 1}}}]})
    settings = taught.session.settings
    assert settings.value("TxCtrlr.TxStartPoint") == "PowerPathClosed"
    assert settings.find("TxCtrlr.Nonsense") is None
    assert settings.find("TxCtrlr.TxStopPoint") is None
    assert (settings.value("C.D"), settings.value("A.B"), settings.find("A.B").by) == ("2", None, "SetVariables")
    assert (settings.value("EVSE#2/1.Power"), settings.find("evse#2/1.power").readonly) == ("11000", True)


def test_an_instance_is_part_of_a_variables_name():
    assert variable_name({"name": "A", "instance": "x"}, {"name": "B", "instance": "y"}) == "A[x].B[y]"
    assert variable_name({"name": "A", "evse": {"id": 3}}, {"name": "B"}) == "A#3.B"
    assert variable_name({"name": "A"}, {}) is None
    assert variable_name(None, "x") is None


def test_so_many_are_kept_and_no_more_of_a_value():
    taught = Taught(session=Session("S"))
    for start in range(0, SETTINGS_KEPT + 100, 100):
        taught.asked("GetConfiguration", {}, {"configurationKey": [
            entry(f"k{start + number}", "v" * 5000) for number in range(100)]})
    assert len(taught.session.settings.known) == SETTINGS_KEPT
    assert taught.session.settings.value("k0") is None
    assert len(taught.session.settings.value(f"k{SETTINGS_KEPT}")) == LONGEST_VALUE
