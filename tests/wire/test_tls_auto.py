"""The CA of one's own: made once, kept private, and believed by stations of every kind."""

from __future__ import annotations

import os
import re
import ssl
import stat
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from tls_fixtures import LOOPS, any_context, make, meet_station, run, speaks_tls

from ocpp_proxy.clock import now
from ocpp_proxy.core.errors import BadInput
from ocpp_proxy.core.instant import Instant
from ocpp_proxy.wire.tls_auto import AutoTls, auto_context, data_folder

V1_2, V1_3 = ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3
CLIENT = ssl.PROTOCOL_TLS_CLIENT
NAMES = ("proxy.example", "192.0.2.9", "2001:db8::9")

posix_only = pytest.mark.skipif(os.name != "posix", reason="file modes say nothing on this platform")


@pytest.fixture(scope="module")
def auto(tmp_path_factory: pytest.TempPathFactory) -> AutoTls:
    return auto_context(NAMES, folder=tmp_path_factory.mktemp("data") / "tls")


def leaves(folder: Path) -> dict[str, x509.Certificate]:
    return {
        file.name.partition("-")[0]: x509.load_pem_x509_certificate(file.read_bytes())
        for file in folder.glob("*-????????????????.pem")
    }


# -- with stations


@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize("host", [*NAMES, "localhost", "127.0.0.1", "::1"])
def test_a_station_that_trusts_the_ca(auto: AutoTls, loop: str, host: str) -> None:
    station = any_context(CLIENT, ca=auto.ca)
    station.verify_flags |= ssl.VERIFY_X509_STRICT
    met = run(loop, meet_station(auto.context, speaks_tls(station, host)))
    assert met.trouble is None
    assert met.peer[0] == "TLSv1.3"


@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize(
    "suite",
    [
        "ECDHE-ECDSA-AES128-GCM-SHA256", "ECDHE-ECDSA-AES256-GCM-SHA384", "AES128-GCM-SHA256", "AES256-GCM-SHA384",
        "ECDHE-RSA-AES128-GCM-SHA256",
    ],
)
def test_each_suite_finds_a_certificate(auto: AutoTls, loop: str, suite: str) -> None:
    station = any_context(CLIENT, ca=auto.ca, ciphers=suite, versions=(V1_2, V1_2))
    met = run(loop, meet_station(auto.context, speaks_tls(station, NAMES[0])))
    assert met.peer == ("TLSv1.2", suite)


def test_a_station_that_dials_another_name_or_does_not_trust_the_ca(auto: AutoTls, tmp_path: Path) -> None:
    elsewhere = speaks_tls(any_context(CLIENT, ca=auto.ca), "other.example")
    assert isinstance(run("asyncio", meet_station(auto.context, elsewhere)).peer, ssl.SSLCertVerificationError)
    stranger = tmp_path / "stranger.pem"
    stranger.write_bytes(make("Stranger", ca=True).pem)
    distrustful = speaks_tls(any_context(CLIENT, ca=stranger), NAMES[0])
    assert isinstance(run("asyncio", meet_station(auto.context, distrustful)).peer, ssl.SSLCertVerificationError)


def test_mutual_tls_and_minimum_hold_here_too(tmp_path: Path) -> None:
    authority = make("CA", ca=True)
    ca, shown = tmp_path / "ca.pem", tmp_path / "station.pem"
    ca.write_bytes(authority.pem)
    pair = make("CP001", authority, names=())
    shown.write_bytes(pair.key_pem + pair.pem)
    auto = auto_context(NAMES, ca, "1.3", folder=tmp_path / "tls")
    known, unknown = any_context(CLIENT, shown, auto.ca), any_context(CLIENT, ca=auto.ca)
    old = any_context(CLIENT, shown, auto.ca, versions=(V1_2, V1_2))
    assert run("asyncio", meet_station(auto.context, speaks_tls(known, NAMES[0]))).trouble is None
    assert run("asyncio", meet_station(auto.context, speaks_tls(unknown, NAMES[0]))).trouble is not None
    assert run("asyncio", meet_station(auto.context, speaks_tls(old, NAMES[0]))).trouble is not None


# -- what the certificates say


def test_what_stands_in_the_certificates(auto: AutoTls) -> None:
    ca = x509.load_pem_x509_certificate(auto.ca.read_bytes())
    assert ca.extensions.get_extension_for_class(x509.BasicConstraints).value == x509.BasicConstraints(True, 0)
    assert timedelta(days=3650) < ca.not_valid_after_utc - ca.not_valid_before_utc < timedelta(days=3660)

    both = leaves(auto.ca.parent)
    assert {kind: type(leaf.public_key()) for kind, leaf in both.items()}.keys() == {"ecdsa", "rsa"}
    assert isinstance(both["ecdsa"].public_key(), ec.EllipticCurvePublicKey)
    assert isinstance(both["rsa"].public_key(), rsa.RSAPublicKey)
    assert both["rsa"].public_key().key_size == 2048
    for leaf in both.values():
        assert _attribute(leaf, NameOID.COMMON_NAME) == "proxy.example"
        assert _attribute(leaf, NameOID.ORGANIZATION_NAME) == "ocpp-proxy"
        assert leaf.serial_number > 2**64
        assert leaf.not_valid_after_utc - leaf.not_valid_before_utc <= timedelta(days=397)
        before_s = now().utc_us / 1e6 - leaf.not_valid_before_utc.timestamp()
        assert 3600 <= before_s < 3660
        names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        assert names.get_values_for_type(x509.DNSName)[0] == "proxy.example"
        assert [str(ip) for ip in names.get_values_for_type(x509.IPAddress)][:2] == ["192.0.2.9", "2001:db8::9"]
        purpose = leaf.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
        assert list(purpose) == [ExtendedKeyUsageOID.SERVER_AUTH]
    assert both["rsa"].serial_number != both["ecdsa"].serial_number
    assert auto.names[:3] == NAMES


def test_a_long_name_still_makes_a_certificate(tmp_path: Path) -> None:
    name = ".".join(["a" * 60, "b" * 60, "example"])
    auto = auto_context([name], folder=tmp_path / "tls")
    met = run("asyncio", meet_station(auto.context, speaks_tls(any_context(CLIENT, ca=auto.ca), name)))
    assert met.trouble is None


def _attribute(leaf: x509.Certificate, oid: x509.ObjectIdentifier) -> str:
    [attribute] = leaf.subject.get_attributes_for_oid(oid)
    return str(attribute.value)


# -- what is kept


def contents(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in folder.iterdir()}


def test_made_once(tmp_path: Path) -> None:
    folder = tmp_path / "share" / "tls"
    auto_context(NAMES, folder=folder)
    made = contents(folder)
    assert len(made) == 4
    assert list(folder.parent.iterdir()) == [folder]
    auto_context(NAMES, folder=folder)
    assert contents(folder) == made


def test_other_names_get_other_certificates_of_the_same_ca(tmp_path: Path) -> None:
    folder = tmp_path / "tls"
    auto_context(NAMES, folder=folder)
    first = contents(folder)
    auto_context(["other.example"], folder=folder)
    second = contents(folder)
    assert len(second) == 6
    assert first.items() <= second.items()


def test_renewed_when_it_runs_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "tls"
    auto_context(["gone.example"], folder=folder)
    auto_context(NAMES, folder=folder)
    first = contents(folder)
    _later(monkeypatch, days=360)
    auto_context(NAMES, folder=folder)
    assert contents(folder) == first
    _later(monkeypatch, days=370)
    auto_context(NAMES, folder=folder)
    renewed = contents(folder)
    assert len(renewed) == 4  # those for gone.example are cleared away
    assert {name for name in renewed if renewed[name] == first.get(name)} == {"ca.pem", "ca-key.pem"}
    assert renewed.keys() <= first.keys()


def test_authority_that_has_expired(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "tls"
    auto_context(NAMES, folder=folder)
    _later(monkeypatch, days=3649)
    auto_context(NAMES, folder=folder)  # with certificates that end with their authority
    _later(monkeypatch, days=3653)
    refused(folder, "the authority of --tls-auto cannot be used: it expired on 20")


def test_damaged_certificate_is_made_anew(tmp_path: Path) -> None:
    folder = tmp_path / "tls"
    auto_context(NAMES, folder=folder)
    for file in folder.glob("rsa-*.pem"):
        file.write_bytes(file.read_bytes()[:-100])
    auto = auto_context(NAMES, folder=folder)
    suite = "ECDHE-RSA-AES128-GCM-SHA256"
    station = any_context(CLIENT, ca=auto.ca, ciphers=suite, versions=(V1_2, V1_2))
    assert run("asyncio", meet_station(auto.context, speaks_tls(station, NAMES[0]))).peer == ("TLSv1.2", suite)


def _later(monkeypatch: pytest.MonkeyPatch, days: int) -> None:
    then = Instant(now().utc_us + days * 86_400_000_000)
    monkeypatch.setattr("ocpp_proxy.wire.tls_auto.now", lambda: then)


# -- who may read it


@posix_only
def test_nobody_else_can_read_the_keys(tmp_path: Path) -> None:
    umask = os.umask(0)
    try:
        auto = auto_context(NAMES, folder=tmp_path / "share" / "tls")
    finally:
        os.umask(umask)
    folder = auto.ca.parent
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    keys = [file for file in folder.iterdir() if b"PRIVATE KEY" in file.read_bytes()]
    assert len(keys) == 3
    assert {stat.S_IMODE(file.stat().st_mode) for file in keys} == {0o600}


@posix_only
def test_what_others_could_read_is_closed_and_said(tmp_path: Path) -> None:
    folder = tmp_path / "tls"
    auto_context(NAMES, folder=folder)
    folder.chmod(0o755)
    (folder / "ca-key.pem").chmod(0o644)
    warnings: list[str] = []
    auto_context(NAMES, folder=folder, warn=warnings.append)
    assert [warning.startswith(f"{folder}{file}: others could read it") for warning, file in zip(
        warnings, ["", "/ca-key.pem"], strict=True)] == [True, True]
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert stat.S_IMODE((folder / "ca-key.pem").stat().st_mode) == 0o600


# -- two at the same time


def test_processes_that_start_together_share_one_authority(tmp_path: Path) -> None:
    folder = tmp_path / "share" / "tls"
    script = (
        "import sys; from pathlib import Path; from ocpp_proxy.wire.tls_auto import auto_context\n"
        "print('ready', flush=True); sys.stdin.readline()\n"
        "print(auto_context(['proxy.example'], folder=Path(sys.argv[1])).ca.read_text())"
    )
    processes = [
        subprocess.Popen([sys.executable, "-c", script, str(folder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                         stderr=subprocess.PIPE, text=True)
        for _ in range(4)
    ]
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()
    told = [process.communicate(timeout=60) for process in processes]
    assert {(out.strip(), err) for out, err in told} == {((folder / "ca.pem").read_text().strip(), "")}
    assert len(contents(folder)) == 4
    assert list(folder.parent.iterdir()) == [folder]


def test_the_slower_one_takes_what_is_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from ocpp_proxy.wire import authority

    folder = tmp_path / "tls"
    make_authority = authority.make_authority

    def overtaken(*arguments: object) -> tuple[bytes, bytes]:
        monkeypatch.setattr(authority, "make_authority", make_authority)
        auto_context(NAMES, folder=folder)
        return make_authority(*arguments)

    monkeypatch.setattr(authority, "make_authority", overtaken)
    auto = auto_context(NAMES, folder=folder)
    assert list(tmp_path.iterdir()) == [folder]
    met = run("asyncio", meet_station(auto.context, speaks_tls(any_context(CLIENT, ca=auto.ca), NAMES[0])))
    assert met.trouble is None


# -- what cannot be used


def refused(folder: Path, says: str) -> None:
    with pytest.raises(BadInput, match=re.escape(says)) as caught:
        auto_context(NAMES, folder=folder)
    assert caught.value.file == str(folder)


def test_authority_that_is_not_whole(tmp_path: Path) -> None:
    folder = tmp_path / "tls"
    auto_context(NAMES, folder=folder)
    for leaf in folder.glob("*-????????????????.pem"):
        leaf.unlink()
    whole = contents(folder)
    anew = "remove this folder to make a new one"

    (folder / "ca-key.pem").write_bytes(make("other", key=rsa.generate_private_key(65537, 2048)).key_pem)
    refused(folder, f"cannot be used: the key belongs to another certificate; {anew}")
    (folder / "ca-key.pem").unlink()
    refused(folder, f"cannot be used: its key ca-key.pem is missing; {anew}")
    (folder / "ca-key.pem").write_bytes(b"")
    refused(folder, anew)
    (folder / "ca-key.pem").write_bytes(whole["ca-key.pem"])
    (folder / "ca.pem").write_bytes(b"hello")
    refused(folder, f"cannot be used: ca.pem holds no certificate; {anew}")


def test_no_place_to_keep_it(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    refused(tmp_path / "file" / "tls", f"--tls-auto cannot keep its authority there: File exists: {tmp_path / 'file'}")
    (tmp_path / "tls").mkdir()
    (tmp_path / "tls" / "something").write_bytes(b"")
    refused(tmp_path / "tls", "--tls-auto cannot keep its authority there: Directory not empty: ")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "tls"]


# -- where it is kept


@pytest.mark.skipif(sys.platform in ("win32", "darwin"), reason="XDG is not the custom there")
def test_data_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/engineer")
    monkeypatch.setenv("XDG_DATA_HOME", "/data")
    assert data_folder() == Path("/data/ocpp-proxy")
    for invalid in ("relative/path", ""):
        monkeypatch.setenv("XDG_DATA_HOME", invalid)
        assert data_folder() == Path("/home/engineer/.local/share/ocpp-proxy")


@pytest.mark.parametrize(
    ("platform", "folder"),
    [("darwin", "/home/e/Library/Application Support/ocpp-proxy"), ("win32", "/home/e/AppData/Local/ocpp-proxy")],
)
def test_data_folder_elsewhere(monkeypatch: pytest.MonkeyPatch, platform: str, folder: str) -> None:
    monkeypatch.setattr(sys, "platform", platform)
    monkeypatch.setenv("HOME", "/home/e")
    monkeypatch.delenv("LOCALAPPDATA", raising=False)
    assert data_folder().as_posix() == folder
    monkeypatch.setenv("LOCALAPPDATA", "/local")
    assert (data_folder().as_posix() == "/local/ocpp-proxy") == (platform == "win32")


def test_no_data_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    def homeless() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "home", homeless)
    monkeypatch.delenv("XDG_DATA_HOME", raising=False)
    with pytest.raises(BadInput, match="set HOME"):
        auto_context(NAMES)


@pytest.mark.skipif(sys.platform in ("win32", "darwin"), reason="XDG is not the custom there")
def test_kept_in_the_data_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    assert auto_context(NAMES).ca == tmp_path / "ocpp-proxy" / "tls" / "ca.pem"
