"""Every way TLS fails, produced with real sockets on both event loops."""

from __future__ import annotations

import re
import ssl
from base64 import b64encode
from pathlib import Path

import pytest
from tls_fixtures import (
    LOOPS,
    Certificates,
    Peer,
    any_context,
    client_hello,
    hangs_up,
    hears_then,
    meet_csms,
    meet_station,
    run,
    says,
    sends_alert,
    server_hello,
    shakes_hands_in_silence,
    speaks_tls,
)

from ocpp_proxy.wire import tls_trouble
from ocpp_proxy.wire.client_hello import ClientHello, read_client_hello
from ocpp_proxy.wire.tls import csms_context, station_context
from ocpp_proxy.wire.tls_trouble import explain, explain_hello, explain_silence

V1_0, V1_1, V1_2, V1_3 = ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1, ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3
SERVER, CLIENT = ssl.PROTOCOL_TLS_SERVER, ssl.PROTOCOL_TLS_CLIENT
ECDHE_RSA = "ECDHE-RSA-AES128-GCM-SHA256"

every_loop = pytest.mark.parametrize("loop", LOOPS)
both_versions = pytest.mark.parametrize("version", [V1_2, V1_3], ids=["tls1.2", "tls1.3"])


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return Certificates(tmp_path_factory.mktemp("certificates"))


def only(context: ssl.SSLContext, version: ssl.TLSVersion) -> ssl.SSLContext:
    context.maximum_version = version
    return context


def told(trouble: BaseException | None, leg: str, *words: str) -> None:
    assert trouble is not None
    sentence = explain(trouble, leg)
    assert "\n" not in sentence
    assert not sentence.endswith(".")
    assert [word for word in words if word not in sentence] == [], sentence


# -- the station's leg


@every_loop
@both_versions
@pytest.mark.parametrize(
    ("ours", "trusts", "words"),
    [
        ("good", "other-ca", ("does not trust the authority", "install that CA", "--tls-auto", "intermediate")),
        ("incomplete", "ca", ("does not trust the authority", "append the missing intermediate")),
        ("elsewhere", "ca", ("rejects our certificate", "--advertise")),
        ("expired", "ca", ("expired", "renew it", "clock")),
    ],
)
def test_station_refuses_our_certificate(
    certificates: Certificates, loop: str, version: ssl.TLSVersion, ours: str, trusts: str, words: tuple[str, ...]
) -> None:
    context = only(station_context(certificates[ours]), version)
    station = speaks_tls(any_context(CLIENT, ca=certificates[trusts]))
    told(run(loop, meet_station(context, station)).trouble, "station", *words)


@every_loop
@both_versions
@pytest.mark.parametrize(
    ("shown", "words"),
    [
        (None, ("showed no certificate", "--tls-client-ca")),
        ("foreign-station", ("does not come from an authority in the file of --tls-client-ca",)),
        ("self-signed-station", ("self-signed", "--tls-client-ca")),
        ("expired-station", ("certificate expired", "renew it")),
        ("not-yet-station", ("not valid yet", "clock")),
        ("for-servers", ("may not be used by TLS clients", "clientAuth")),
        ("weak-station", ("too small a key", "--tls-min 1.0")),
    ],
)
def test_station_shows_no_good_certificate(
    certificates: Certificates, loop: str, version: ssl.TLSVersion, shown: str | None, words: tuple[str, ...]
) -> None:
    context = only(station_context(certificates["good"], client_ca=certificates["ca"]), version)
    station = speaks_tls(any_context(CLIENT, certificates[shown] if shown else None))
    told(run(loop, meet_station(context, station)).trouble, "station", *words)


def test_station_knows_only_rsa(certificates: Certificates) -> None:
    station = any_context(CLIENT, ciphers=ECDHE_RSA, versions=(V1_2, V1_2))
    hello = read_client_hello(client_hello(ciphers=ECDHE_RSA, versions=(V1_2, V1_2)))
    trouble = run("asyncio", meet_station(station_context(certificates["good"]), speaks_tls(station))).trouble
    told(trouble, "station", "no cipher suite in common", "needs an RSA certificate", "--tls-auto")
    asked = f" (it offers TLS 1.2 with {ECDHE_RSA}, and asks for host localhost)"
    assert explain(trouble, "station", hello).endswith(asked)


@every_loop
def test_station_is_too_old(certificates: Certificates, loop: str) -> None:
    old = {"versions": (V1_0, V1_1)}
    trouble = run(
        loop, meet_station(station_context(certificates["rsa"]), speaks_tls(any_context(CLIENT, **old)))
    ).trouble
    told(trouble, "station", "older than we accept", "--tls-min 1.0")
    hello = read_client_hello(client_hello(host="192.0.2.1", **old))
    assert explain(trouble, "station", hello).endswith("(it offers TLS 1.1)")


@every_loop
@pytest.mark.parametrize(
    ("alert", "words"),
    [
        (40, ("nothing it can use", "--tls-min 1.0")),  # handshake_failure
        (42, ("rejects our certificate", "--advertise")),  # bad_certificate
        (43, ("our kind of certificate", "RSA")),  # unsupported_certificate
        (45, ("expired", "clock")),  # certificate_expired
        (46, ("rejects our certificate", "--advertise")),  # certificate_unknown
        (48, ("does not trust the authority", "--tls-auto")),  # unknown_ca
        (70, ("refuses the TLS version", "--tls-min 1.0")),  # protocol_version
        (71, ("nothing it can use", "--tls-min 1.0")),  # insufficient_security
        (80, ("TLS with the station failed: tlsv1 alert internal error",)),  # one without a sentence of its own
    ],
)
def test_station_sends_alert(
    certificates: Certificates, loop: str, alert: int, words: tuple[str, ...]
) -> None:
    met = run(loop, meet_station(station_context(certificates["good"]), sends_alert(alert)))
    told(met.trouble, "station", *words)


@every_loop
@pytest.mark.parametrize(
    ("station", "words"),
    [
        (says(b"GET /CP001 HTTP/1.1\r\nHost: proxy\r\n\r\n"), ("plain HTTP to the TLS port", "wss://")),
        (says(b"\x00\x01\x02 what is this?"), ("is not TLS", "port")),
        (hangs_up(), ("hung up", "CA", "--advertise")),
        (hangs_up(client_hello()[:40]), ("hung up", "CA", "--advertise")),
        (hangs_up(client_hello()), ("hung up", "CA", "--advertise")),
        (hangs_up(client_hello(), reset=True), ("hung up", "CA", "--advertise")),
        (says(client_hello()), ("did not finish the TLS handshake", "wss://")),
    ],
    ids=["http", "garbage", "nothing", "half-a-hello", "hello", "reset", "silent"],
)
def test_station_does_not_shake_hands(
    certificates: Certificates, loop: str, station: Peer, words: tuple[str, ...]
) -> None:
    met = run(loop, meet_station(station_context(certificates["good"]), station, timeout_s=0.3))
    told(met.trouble, "station", *words)


# -- the CSMS's leg


@every_loop
@both_versions
@pytest.mark.parametrize(
    ("shown", "words"),
    [
        ("self-signed", ("CN=localhost", "self-signed", "--upstream-ca", "--upstream-insecure")),
        ("incomplete", ("issued by CN=Intermediate, O=Test", "does not send its intermediate", "--upstream-ca")),
        ("expired", ("expired (on 20", "operator has to renew")),
        ("not-yet", ("not valid yet (from 20", "machine's clock")),
        ("elsewhere", ("is for csms.example, *.eu.example, not for localhost", "--upstream-sni")),
        ("for-clients", ("may not be used by TLS servers", "serverAuth")),
        ("weak", ("too small a key", "--upstream-insecure")),
    ],
)
def test_csms_certificate_is_refused(
    certificates: Certificates, loop: str, version: ssl.TLSVersion, shown: str, words: tuple[str, ...]
) -> None:
    context = only(csms_context(certificates["ca"]), version)
    met = run(loop, meet_csms(context, speaks_tls(any_context(SERVER, certificates[shown]))))
    told(met.trouble, "csms", *words)


@every_loop
def test_csms_certificate_comes_from_an_unknown_root(certificates: Certificates, loop: str) -> None:
    csms = speaks_tls(any_context(SERVER, certificates["chain-to-root"]))
    met = run(loop, meet_csms(csms_context(certificates["other-ca"]), csms))
    told(met.trouble, "csms", "issued by CN=CA, O=Test", "--upstream-ca")


@every_loop
def test_csms_certificate_has_another_address(certificates: Certificates, loop: str) -> None:
    csms = speaks_tls(any_context(SERVER, certificates["good"]))
    met = run(loop, meet_csms(csms_context(certificates["ca"]), csms, host="127.0.0.1"))
    told(met.trouble, "csms", "is for localhost, not for 127.0.0.1", "--upstream-sni")


@every_loop
@both_versions
@pytest.mark.parametrize(
    ("shown", "reasons"),
    [
        (None, {V1_2: ("demands a client certificate", "--upstream-cert"),
                V1_3: ("demands a client certificate", "--upstream-cert")}),
        ("foreign-station", {V1_2: ("does not trust the authority", "--upstream-cert"),
                             V1_3: ("does not trust the authority", "--upstream-cert")}),
        ("expired-station", {V1_2: ("has expired", "renew"), V1_3: ("has expired", "renew")}),
    ],
)
def test_csms_refuses_our_client_certificate(
    certificates: Certificates,
    loop: str,
    version: ssl.TLSVersion,
    shown: str | None,
    reasons: dict[ssl.TLSVersion, tuple[str, ...]],
) -> None:
    context = only(csms_context(certificates["ca"], certificates[shown] if shown else None), version)
    demands = any_context(SERVER, certificates["good"], certificates["ca"])
    met = run(loop, meet_csms(context, speaks_tls(demands)))
    if version is V1_3 and isinstance(met.trouble, ConnectionResetError):
        # In TLS 1.3 the refusal comes after the handshake; what we sent meanwhile may have reset the connection.
        told(met.trouble, "csms", "demands a client certificate (--upstream-cert)")
    else:
        told(met.trouble, "csms", *reasons[version])


@every_loop
@both_versions
def test_csms_ends_the_connection_without_a_word(
    certificates: Certificates, loop: str, version: ssl.TLSVersion
) -> None:
    """As those do that run on an event loop: they send no alert, and in TLS 1.3 the handshake has ended for us."""
    demands = any_context(SERVER, certificates["good"], certificates["ca"])
    met = run(loop, meet_csms(only(csms_context(certificates["ca"]), version), shakes_hands_in_silence(demands)))
    assert met.trouble is not None
    if version is V1_2:
        told(met.trouble, "csms", "hung up", "--upstream-cert")
    else:
        assert met.tls is not None
        assert "--upstream-cert" in explain_silence(met.tls)


def test_silence_that_tls_has_no_part_in(certificates: Certificates) -> None:
    assert explain_silence(None) == ""
    context = only(csms_context(certificates["ca"]), V1_2)
    met = run("asyncio", meet_csms(context, speaks_tls(any_context(SERVER, certificates["good"]))))
    assert explain_silence(met.tls) == ""


@every_loop
@pytest.mark.parametrize(
    ("alert", "words"),
    [
        (40, ("refuses the handshake", "--upstream-cert", "--upstream-sni")),  # handshake_failure
        (42, ("rejects our client certificate", "--upstream-cert")),  # bad_certificate
        (43, ("cannot use our client certificate", "clientAuth")),  # unsupported_certificate
        (44, ("revoked", "ask its operator")),  # certificate_revoked
        (48, ("does not trust the authority", "--upstream-cert")),  # unknown_ca
        (49, ("does not let it in", "operator")),  # access_denied
        (70, ("share no TLS version", "--upstream-insecure")),  # protocol_version
        (112, ("does not know the host name", "--upstream-sni")),  # unrecognized_name
        (116, ("demands a client certificate", "--upstream-key")),  # certificate_required
    ],
)
def test_csms_sends_alert(certificates: Certificates, loop: str, alert: int, words: tuple[str, ...]) -> None:
    context = any_context(SERVER, certificates["good"])
    context.sni_callback = lambda *_: alert
    told(run(loop, meet_csms(csms_context(certificates["ca"]), speaks_tls(context))).trouble, "csms", *words)


@every_loop
def test_csms_speaks_other_versions_or_suites(certificates: Certificates, loop: str) -> None:
    old = any_context(SERVER, certificates["rsa"], versions=(V1_0, V1_1))
    met = run(loop, meet_csms(csms_context(certificates["ca"]), speaks_tls(old)))
    told(met.trouble, "csms", "share no TLS version", "--upstream-insecure")
    no_suite = any_context(SERVER, certificates["rsa"], ciphers="RSA-PSK-AES128-GCM-SHA256", versions=(V1_2, V1_2))
    met = run(loop, meet_csms(csms_context(certificates["ca"]), speaks_tls(no_suite)))
    told(met.trouble, "csms", "shares no cipher suite")


@every_loop
@pytest.mark.parametrize(
    ("csms", "words"),
    [
        (hears_then(b"HTTP/1.1 400 Bad Request\r\n\r\n"), ("is not TLS", "ws://")),
        (hears_then(b"SSH-2.0-OpenSSH_9.2\r\n"), ("is not TLS", "ws://")),
        (hears_then(server_hello(0x0301)), ("older than 1.2", "--upstream-insecure")),
        (hears_then(server_hello(0x0303)), ("too old to renegotiate", "--upstream-insecure")),
        (hears_then(b""), ("hung up", "ws://", "--upstream-cert", "--upstream-sni", "firewall")),
        (hears_then(b"", reset=True), ("hung up", "ws://", "--upstream-cert", "--upstream-sni", "firewall")),
        (says(b""), ("did not finish the TLS handshake in time",)),
    ],
    ids=["http", "ssh", "tls1.0", "no-renegotiation-info", "hangs-up", "reset", "silent"],
)
def test_csms_does_not_shake_hands(
    certificates: Certificates, loop: str, csms: Peer, words: tuple[str, ...]
) -> None:
    met = run(loop, meet_csms(csms_context(certificates["ca"]), csms, timeout_s=0.3))
    told(met.trouble, "csms", *words)


def test_csms_that_cannot_renegotiate_safely_is_insecure_but_dialled(certificates: Certificates) -> None:
    met = run("asyncio", meet_csms(csms_context(insecure=True), hears_then(server_hello(0x0303))))
    told(met.trouble, "csms", "hung up")  # it goes on from there, which this CSMS does not


def test_csms_has_weak_parameters(certificates: Certificates, tmp_path: Path) -> None:
    # The 1024-bit group of RFC 2409 section 6.2, as PKCS#3 has it: a sequence of prime and generator.
    prime = bytes.fromhex(
        "FFFFFFFFFFFFFFFFC90FDAA22168C234C4C6628B80DC1CD129024E088A67CC74020BBEA63B139B22514A08798E3404DDEF9519B3"
        "CD3A431B302B0A6DF25F14374FE1356D6D51C245E485B576625E7EC6F44C42E9A637ED6B0BFF5CB6F406B7EDEE386BFB5A899FA5"
        "AE9F24117C4B1FE649286651ECE65381FFFFFFFFFFFFFFFF"
    )
    group = b"\x30\x81\x87\x02\x81\x81\0" + prime + b"\x02\x01\x02"
    file = tmp_path / "dh.pem"
    file.write_text(f"-----BEGIN DH PARAMETERS-----\n{b64encode(group).decode()}\n-----END DH PARAMETERS-----\n")
    context = any_context(
        SERVER, certificates["rsa"], versions=(V1_2, V1_2), ciphers="DHE-RSA-AES128-GCM-SHA256:@SECLEVEL=0"
    )
    context.load_dh_params(file)
    met = run("asyncio", meet_csms(csms_context(certificates["ca"]), speaks_tls(context)))
    told(met.trouble, "csms", "Diffie-Hellman parameters are too small", "--upstream-insecure")
    assert run("asyncio", meet_csms(csms_context(insecure=True), speaks_tls(context))).trouble is None


# -- what is no failure of OpenSSL's


def test_what_the_station_asked_for_is_said_where_it_helps() -> None:
    hello = read_client_hello(client_hello(host="proxy.local"))
    asked = "(it offers TLS 1.3 and TLS 1.2, and asks for host proxy.local)"
    assert explain(ConnectionResetError(), "station", hello).endswith(asked)
    assert asked in explain(ValueError("odd"), "station", hello)
    assert "(it offers" not in explain(TimeoutError(), "station", hello)


@pytest.mark.parametrize("reason", tls_trouble._SAME)
def test_what_other_versions_of_openssl_call_it(reason: str) -> None:
    trouble = ssl.SSLError()
    trouble.reason = reason
    assert any(not explain(trouble, leg).startswith("TLS with") for leg in ("station", "csms"))


def test_a_long_list_of_suites_is_cut() -> None:
    hello = ClientHello(("TLS 1.2",), None, (0xC02B, 0xFEFE, *range(1, 9)))
    trouble = ssl.SSLError()
    trouble.reason = "NO_SHARED_CIPHER"
    sentence = explain(trouble, "station", hello)
    assert "with ECDHE-ECDSA-AES128-GCM-SHA256, 0xfefe, " in sentence
    assert sentence.endswith(" and 4 more)")


def test_unknown_trouble_keeps_its_own_words() -> None:
    assert explain(ValueError("odd"), "csms") == "TLS with the csms failed: odd"
    assert explain(RuntimeError(), "station") == "TLS with the station failed: RuntimeError"


def test_tls_on_the_plain_port() -> None:
    said = explain_hello(client_hello(host="proxy.local"))
    assert said.startswith("the station speaks TLS 1.3 to a port that speaks plain ws://")
    assert "(it asks for host proxy.local)" in said
    assert "--tls-auto" in said
    assert "(it asks" not in explain_hello(client_hello(host="192.0.2.1"))
    assert explain_hello(b"\x16\x03\x01").startswith("the station speaks TLS to a port")


def test_remedies_name_options_that_exist() -> None:
    from ocpp_proxy.cli.run import command as run_command  # the whole program, which the other tests do without

    folder = Path(tls_trouble.__file__).parent
    text = "".join((folder / f"{name}.py").read_text("utf-8") for name in ("tls", "tls_trouble", "tls_auto", "pem"))
    mentioned = set(re.findall(r"(?<![-\w])--[a-z][a-z-]+", text))
    assert {"--upstream-ca", "--tls-auto", "--advertise"} <= mentioned
    assert mentioned <= {option for parameter in run_command.params for option in parameter.opts}
