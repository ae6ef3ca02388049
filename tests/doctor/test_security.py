"""TLS: certificates, versions, and the four suites that OCPP demands."""

from __future__ import annotations

import socket
import ssl
from typing import Any

import pytest
from doctor_csms import LOOPS, Csms, Found, examined, listening, run, says, switching
from tls_fixtures import Certificates, any_context, server_hello

from ocpp_proxy.core.errors import BadInput
from ocpp_proxy.doctor import security
from ocpp_proxy.doctor.case import Case
from ocpp_proxy.wire.tls import OCPP_SUITES
from ocpp_proxy.wire.upstream import Upstream

SERVER = ssl.PROTOCOL_TLS_SERVER
V1_1, V1_2, V1_3 = ssl.TLSVersion.TLSv1_1, ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3
BEHIND = ("upgrade", "subprotocol", "auth", "compression", "ping", "clock")
every_loop = pytest.mark.parametrize("loop", LOOPS)


async def secured(context: ssl.SSLContext, host: str = "localhost", **how: Any) -> Found:
    """An examination of a good CSMS behind this TLS."""
    async with listening(Csms(switching), context) as port:
        return await examined(f"wss://{host}:{port}/ocpp", **how)


def suites(found: Found) -> dict[str, bool | None]:
    """What is said of each of the four."""
    return {suite: step.ok for step in found.all("tls") for suite in OCPP_SUITES if suite in step.seen}


@every_loop
def test_all_is_well(certificates: Certificates, loop: str) -> None:
    context = any_context(SERVER, certificates["complete"])
    context.load_cert_chain(certificates["rsa"])
    found = run(secured(context, ca=(certificates["ca"],)), loop)
    assert found.wrong == []
    agreed, certificate, *_ = found.all("tls")
    assert agreed.seen.startswith("TLSv1.3 with TLS_")
    assert "certificate for localhost, issued by CN=" in certificate.seen
    assert "good for localhost" in certificate.seen
    assert suites(found) == dict.fromkeys(OCPP_SUITES, True)
    assert found.one("ping").ok is True


def test_a_chain_and_an_end_that_is_near(certificates: Certificates) -> None:
    found = run(secured(any_context(SERVER, certificates["complete"]), ca=(certificates["ca"],)))
    assert "(in 29 days: to be renewed soon); 2 certificates sent" in found.all("tls")[1].seen


def test_one_authority_of_several(certificates: Certificates) -> None:
    files = (certificates["other-ca"], certificates["ca"])
    found = run(secured(any_context(SERVER, certificates["good"]), ca=files))
    assert found.wrong == []
    assert "other-ca.pem and " in found.all("tls")[1].seen


@every_loop
@pytest.mark.parametrize(("shown", "host", "words"), [
    ("expired", "localhost", ("certificate expired (on 20", "operator has to renew it")),
    ("not-yet", "localhost", ("not valid yet (from 20", "set this machine's clock")),
    ("self-signed", "localhost", ("(CN=localhost, O=Test) is self-signed", "--upstream-ca")),
    ("elsewhere", "localhost", ("is for csms.example, *.eu.example, not for localhost", "--upstream-sni")),
    ("good", "127.0.0.1", ("is for localhost, not for 127.0.0.1", "--upstream-sni")),
    ("incomplete", "localhost", ("issued by CN=Intermediate, O=Test, which is not trusted", "intermediate")),
    ("for-clients", "localhost", ("may not be used by TLS servers", "serverAuth")),
])
def test_certificates_that_are_refused(
    certificates: Certificates, shown: str, host: str, words: tuple[str, ...], loop: str
) -> None:
    found = run(secured(any_context(SERVER, certificates[shown]), host, ca=(certificates["ca"],)), loop)
    found.refused("tls", *words)
    assert found.wrong == ["tls"]
    assert len(suites(found)) == 4
    found.not_tried(*BEHIND)


def test_the_system_does_not_know_the_authority(certificates: Certificates) -> None:
    found = run(secured(any_context(SERVER, certificates["chain-to-root"])))
    found.refused("tls", "CN=CA, O=Test", "--upstream-ca")


def test_another_server_name(certificates: Certificates) -> None:
    found = run(secured(any_context(SERVER, certificates["elsewhere"]), ca=(certificates["ca"],), sni="csms.example"))
    assert found.wrong == []


def test_insecure(certificates: Certificates) -> None:
    found = run(secured(any_context(SERVER, certificates["expired"]), insecure=True))
    assert found.wrong == []
    assert found.all("tls")[1].ok is None
    assert "not checked (--upstream-insecure)" in found.all("tls")[1].seen
    old = any_context(SERVER, certificates["rsa"], versions=(V1_1, V1_1))
    found = run(secured(old, insecure=True))
    assert "TLSv1.1" in found.all("tls")[0].seen
    assert "older than OCPP allows" in found.all("tls")[0].seen
    assert found.all("tls")[0].ok is False


# -- suites


@every_loop
def test_only_suites_with_ecdsa(certificates: Certificates, loop: str) -> None:
    found = run(secured(any_context(SERVER, certificates["good"]), ca=(certificates["ca"],)), loop)
    assert found.wrong == []
    assert suites(found) == {suite: True if "ECDSA" in suite else None for suite in OCPP_SUITES}
    assert "only suites with RSA cannot connect" in found.all("tls")[-1].seen


@pytest.mark.parametrize("how", [
    {"ciphers": "ECDHE-RSA-AES128-GCM-SHA256"},
    {"versions": (V1_3, V1_3)},
], ids=["others", "only-tls-1.3"])
def test_none_of_the_four(certificates: Certificates, how: dict[str, Any]) -> None:
    found = run(secured(any_context(SERVER, certificates["rsa"], **how), ca=(certificates["ca"],)))
    assert suites(found) == dict.fromkeys(OCPP_SUITES, False)
    assert found.wrong == ["tls"] * 4
    assert "an ECDSA certificate" in str(found.all("tls")[-4].remedy)
    assert found.one("ping").ok is True


@every_loop
def test_a_client_certificate_is_demanded(certificates: Certificates, loop: str) -> None:
    demands = any_context(SERVER, certificates["good"], certificates["ca"], versions=(V1_2, V1_2))
    found = run(secured(demands, ca=(certificates["ca"],)), loop)
    assert found.wrong[0] == "tls"
    assert "--upstream-cert" in str(next(step for step in found.steps if step.ok is False).remedy)
    found.not_tried(*BEHIND)
    found = run(secured(demands, ca=(certificates["ca"],), cert=certificates["station"]), loop)
    assert found.wrong == []


def test_a_client_certificate_is_demanded_in_tls_1_3(certificates: Certificates) -> None:
    """There the handshake is over for us before the CSMS has looked."""
    demands = any_context(SERVER, certificates["good"], certificates["ca"])
    found = run(secured(demands, ca=(certificates["ca"],)))
    assert "client certificate" in str([step for step in found.steps if step.ok is False])
    found.not_tried(*BEHIND[1:])


# -- no end of it


def test_a_handshake_that_never_ends() -> None:
    async def main() -> None:
        async with listening(says(server_hello(0x0303)[:20], end=False)) as port:
            found = await examined(f"wss://127.0.0.1:{port}", timeout_s=0.3)
        found.refused("tls", "did not finish the TLS handshake within 0.3 s", "check that the port speaks TLS")
        found.not_tried(*BEHIND)

    run(main())


def test_after_a_suite_that_takes_too_long_no_other_is_tried() -> None:
    async def main() -> None:
        async with listening(says(b"", end=False)) as port:
            case = Case(Upstream.parse(f"wss://127.0.0.1:{port}"), timeout_s=0.2)
            steps = await security.suites(case, (socket.AF_INET, ("127.0.0.1", port)), lambda _: None)
        assert [step.ok for step in steps] == [None] * 4
        assert "not to be told: the CSMS took the connection and did not finish" in steps[0].seen
        assert [step.seen.endswith("not tried, like the one before") for step in steps] == [False, True, True, True]

    run(main())


def test_files_that_cannot_be_used(certificates: Certificates) -> None:
    with pytest.raises(BadInput, match="expected a PEM file"):
        run(examined("wss://127.0.0.1:1", ca=(certificates.folder / "missing.pem",)))
    with pytest.raises(BadInput, match="--upstream-ca needs a wss:// URL"):
        run(examined("ws://127.0.0.1:1", ca=(certificates["ca"],)))
