import pytest

from ocpp_proxy.sim import configuration
from ocpp_proxy.sim.configuration import Configuration

REQUIRED = """AuthorizeRemoteTxRequests ClockAlignedDataInterval ConnectionTimeOut ConnectorPhaseRotation
    GetConfigurationMaxKeys HeartbeatInterval LocalAuthorizeOffline LocalPreAuthorize MeterValuesAlignedData
    MeterValuesSampledData MeterValueSampleInterval NumberOfConnectors ResetRetries StopTransactionOnInvalidId
    StopTxnAlignedData StopTxnSampledData SupportedFeatureProfiles TransactionMessageAttempts
    TransactionMessageRetryInterval UnlockConnectorOnEVSideDisconnect"""


@pytest.fixture
def keys():
    return Configuration((*configuration.CORE, *configuration.OPTIONAL, *configuration.SECURITY))


def test_every_required_key_is_there(keys):
    assert {one["key"] for one in keys.report(None)["configurationKey"]} >= set(REQUIRED.split())


@pytest.mark.parametrize(("key", "value", "status"), [
    ("HeartbeatInterval", "60", "Accepted"),
    ("heartbeatinterval", "60", "Accepted"),
    ("HeartbeatInterval", "0", "Rejected"),
    ("HeartbeatInterval", "soon", "Rejected"),
    ("MeterValueSampleInterval", "-1", "Rejected"),
    ("NumberOfConnectors", "3", "Rejected"),
    ("LocalPreAuthorize", "TRUE", "Accepted"),
    ("LocalPreAuthorize", "1", "Rejected"),
    ("MeterValuesSampledData", "Voltage, Current.Import", "Accepted"),
    ("MeterValuesSampledData", "Voltage,SoC", "Rejected"),
    ("StopTxnAlignedData", "", "Accepted"),
    ("StopTxnAlignedData", "Voltage", "Rejected"),
    ("WebSocketPingInterval", "30", "RebootRequired"),
    ("WebSocketPingInterval", "-1", "Rejected"),
    ("NoSuchKey", "1", "NotSupported"),
])
def test_what_may_be_changed(keys, key, value, status):
    before = keys.text(key)
    assert keys.change(key, value) == status
    assert keys.text(key) == (value if status in ("Accepted", "RebootRequired") else before)


def test_a_report_of_some_keys_tells_the_unknown_ones(keys):
    assert keys.report(["heartbeatInterval", "Nonsense"]) == {
        "configurationKey": [{"key": "HeartbeatInterval", "readonly": False, "value": "300"}],
        "unknownKey": ["Nonsense"]}
    assert keys.report(["Nonsense"]) == {"configurationKey": [], "unknownKey": ["Nonsense"]}


def test_a_secret_is_never_listed(keys):
    assert keys.change("AuthorizationKey", "hunter2hunter2") == "RebootRequired"
    assert "hunter2" not in str(keys.report(None))


def test_values_read_as_what_they_are(keys):
    keys.put("MeterValuesSampledData", " Voltage , ,Current.Import")
    assert keys.listed("MeterValuesSampledData") == ["Voltage", "Current.Import"]
    assert (keys.number("ConnectionTimeOut"), keys.flag("LocalAuthorizeOffline")) == (60, True)
    assert (keys.text("Nonsense"), keys.number("Nonsense"), keys.flag("Nonsense")) == ("", 0, False)


def test_a_behaviour_cannot_set_a_key_that_is_not_there():
    with pytest.raises(ValueError, match="Typo"):
        Configuration(configuration.CORE, {"Typo": "1"})
