"""The contexts: what they agree on with real peers, what they trust, and what is said about unusable files."""

from __future__ import annotations

import ssl
from pathlib import Path

import pytest
from tls_fixtures import LOOPS, Certificates, any_context, client_hello, meet_csms, meet_station, run, speaks_tls

from ocpp_proxy.core.errors import BadInput
from ocpp_proxy.wire.client_hello import read_client_hello
from ocpp_proxy.wire.tls import csms_context, describe, describe_offer, describe_refused, station_context

V1_0, V1_1, V1_2, V1_3 = ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1, ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3
SERVER, CLIENT = ssl.PROTOCOL_TLS_SERVER, ssl.PROTOCOL_TLS_CLIENT

every_loop = pytest.mark.parametrize("loop", LOOPS)


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return Certificates(tmp_path_factory.mktemp("certificates"))


# -- what is agreed


@every_loop
@pytest.mark.parametrize(
    ("cert", "suite"),
    [
        ("good", "ECDHE-ECDSA-AES128-GCM-SHA256"),
        ("good", "ECDHE-ECDSA-AES256-GCM-SHA384"),
        ("rsa", "AES128-GCM-SHA256"),
        ("rsa", "AES256-GCM-SHA384"),
        ("rsa", "AES128-SHA"),  # what legacy hardware has
    ],
)
def test_suites_that_ocpp_demands(certificates: Certificates, loop: str, cert: str, suite: str) -> None:
    station = any_context(CLIENT, ca=certificates["ca"], ciphers=suite, versions=(V1_2, V1_2))
    met = run(loop, meet_station(station_context(certificates[cert]), speaks_tls(station)))
    assert met.trouble is None
    assert met.peer == ("TLSv1.2", suite)


@pytest.mark.parametrize(("version", "minimum", "name"), [(V1_0, "1.0", "TLSv1"), (V1_1, "1.1", "TLSv1.1")])
def test_old_versions_only_on_demand_and_with_a_warning(
    certificates: Certificates, version: ssl.TLSVersion, minimum: str, name: str
) -> None:
    old = any_context(CLIENT, ca=certificates["ca"], versions=(version, version))
    warnings: list[str] = []
    context = station_context(certificates["rsa"], minimum=minimum, warn=warnings.append)
    met = run("asyncio", meet_station(context, speaks_tls(old)))
    assert (met.trouble, met.peer[0]) == (None, name)
    assert [f"--tls-min {minimum}" in warning for warning in warnings] == [True]
    assert run("asyncio", meet_station(station_context(certificates["rsa"]), speaks_tls(old))).trouble is not None

    old_csms = speaks_tls(any_context(SERVER, certificates["rsa"], versions=(version, version)))
    assert run("asyncio", meet_csms(csms_context(certificates["ca"]), old_csms)).trouble is not None
    assert run("asyncio", meet_csms(csms_context(insecure=True), old_csms)).trouble is None


def test_minimum_holds(certificates: Certificates) -> None:
    station = speaks_tls(any_context(CLIENT, versions=(V1_2, V1_2)))
    context = station_context(certificates["good"], minimum="1.3")
    assert run("asyncio", meet_station(context, station)).trouble is not None
    with pytest.raises(BadInput, match=r"--tls-min 1.4: expected one of 1.0, 1.1, 1.2, 1.3"):
        station_context(certificates["good"], minimum="1.4")


@every_loop
def test_mutual_tls_on_both_legs(certificates: Certificates, loop: str) -> None:
    context = station_context(certificates["good"], client_ca=certificates["ca"])
    station = speaks_tls(any_context(CLIENT, certificates["station"], certificates["ca"]), host="localhost")
    met = run(loop, meet_station(context, station))
    assert met.trouble is None
    assert describe(met.tls) == {
        "version": "TLSv1.3",
        "cipher": "TLS_AES_256_GCM_SHA384",
        "alpn": None,
        "server_name": "localhost",
        "certificate": {
            "subject": "CN=CP001, O=Test",
            "issuer": "CN=CA, O=Test",
            "not_before": _rfc3339(certificates.pair("station").certificate.not_valid_before_utc),
            "not_after": _rfc3339(certificates.pair("station").certificate.not_valid_after_utc),
            "names": [],
            "serial": f"{certificates.pair('station').certificate.serial_number:X}",
            "key": {"kind": "EC", "bits": 256},
        },
        "compression": None,
    }

    demanding = any_context(SERVER, certificates["good"], certificates["ca"])
    met = run(loop, meet_csms(csms_context(certificates["ca"], certificates["station"]), speaks_tls(demanding)))
    assert met.trouble is None
    assert describe(met.tls)["certificate"]["names"] == ["localhost"]
    assert describe(met.tls)["server_name"] == "localhost"


def test_station_without_name_and_certificate(certificates: Certificates) -> None:
    station = speaks_tls(any_context(CLIENT), host=None)
    met = run("asyncio", meet_station(station_context(certificates["good"]), station))
    assert (describe(met.tls)["server_name"], describe(met.tls)["certificate"]) == (None, None)


@every_loop
@pytest.mark.parametrize("shown", ["self-signed", "expired", "elsewhere", "weak"])
def test_insecure_accepts_and_still_describes(certificates: Certificates, loop: str, shown: str) -> None:
    warnings: list[str] = []
    context = csms_context(insecure=True, warn=warnings.append)
    met = run(loop, meet_csms(context, speaks_tls(any_context(SERVER, certificates[shown]))))
    assert met.trouble is None
    assert describe(met.tls)["certificate"]["subject"].startswith("CN=")
    assert "--upstream-insecure" in warnings[0]


@pytest.mark.parametrize("trusted", ["intermediate", "incomplete"])
def test_what_the_user_names_is_trusted_though_no_root(certificates: Certificates, trusted: str) -> None:
    csms = speaks_tls(any_context(SERVER, certificates["incomplete"]))
    assert run("asyncio", meet_csms(csms_context(certificates[trusted]), csms)).trouble is None


def test_own_authority_replaces_those_of_the_system(
    certificates: Certificates, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificates["ca"]))
    csms = speaks_tls(any_context(SERVER, certificates["good"]))
    assert run("asyncio", meet_csms(csms_context(), csms)).trouble is None
    assert run("asyncio", meet_csms(csms_context(certificates["other-ca"]), csms)).trouble is not None


def _rfc3339(moment: object) -> str:
    return f"{moment:%Y-%m-%dT%H:%M:%SZ}"


# -- the options


def test_options_that_contradict(certificates: Certificates, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="--upstream-ca excludes --upstream-insecure"):
        csms_context(certificates["ca"], insecure=True)
    with pytest.raises(BadInput, match="--upstream-cert"):
        csms_context(key=certificates["station"])


def test_what_a_station_offers_is_described() -> None:
    hello = read_client_hello(client_hello(ciphers="ECDHE-RSA-AES128-GCM-SHA256", versions=(V1_2, V1_2)))
    assert describe_offer(hello) == {"offered": {"versions": ["TLS 1.2"], "suites": ["c02f"], "compressions": []}}
    assert describe_offer(None) == {}


def test_a_certificate_that_we_refuse_is_described(certificates: Certificates) -> None:
    met = run("asyncio", meet_csms(csms_context(certificates["ca"]),
                                   speaks_tls(any_context(SERVER, certificates["elsewhere"]))))
    described = describe_refused(met.trouble, "localhost")
    assert described is not None
    assert (described["version"], described["server_name"]) == (None, "localhost")
    assert described["certificate"]["names"] == ["csms.example", "*.eu.example"]
    assert describe_refused(OSError(), "localhost") is None
