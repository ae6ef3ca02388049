"""The doctor as people call it: text, JSON, exit codes, and no secret anywhere."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from ocpp_proxy.__main__ import main

DOCTOR = [sys.executable, "-m", "ocpp_proxy", "doctor"]
CANARY = "canary-Pa55word-4711"
NAMES = ["dns", "tcp", "tls", "upgrade", "subprotocol", "auth", "compression", "ping", "clock", "listen"]


@contextmanager
def csms() -> Iterator[str]:
    """The URL of a simulated CSMS."""
    with subprocess.Popen([sys.executable, "-m", "ocpp_proxy", "sim", "csms", "--listen", "127.0.0.1:0"], text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stderr is not None
        try:
            yield process.stderr.readline().split()[-1]
        finally:
            process.terminate()
            assert process.stdout is not None
            assert process.stdout.read() == ""  # no OCPP frame came


@contextmanager
def answering(answer: bytes) -> Iterator[int]:
    """A port on which every connection that says something is answered so."""

    def serve() -> None:
        while True:
            try:
                sock, _ = listener.accept()
            except OSError:
                return
            with sock:
                if sock.recv(65536):
                    sock.sendall(answer)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve)
        thread.start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)
        thread.join()


def doctor(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*DOCTOR, *arguments, "--listen", "127.0.0.1:0"], capture_output=True, text=True,
                          encoding="utf-8", timeout=60, env={**os.environ, **environment}, check=False)


def test_text() -> None:
    with csms() as url:
        done = doctor(url)
    assert (done.returncode, done.stderr) == (0, "")
    first, *lines = done.stdout.splitlines()
    assert first.startswith(f"Asking {url} as doctor-")
    assert first.endswith(", a made-up identity.")
    assert [line.split()[1] for line in lines if line[:1] in ("✓", "✗", "–")] == [
        *NAMES[:4], *["subprotocol"] * 3, *NAMES[5:]]
    assert lines[-1] == "Nothing is wrong, as far as could be tried."
    assert "\x1b" not in done.stdout


def test_json() -> None:
    with csms() as url:
        done = doctor(url, "--id", "CP1", "--format", "json", FORCE_COLOR="1")
    assert done.returncode == 0
    assert done.stderr == "ocpp-proxy: asking as the real station CP1: many CSMSs drop its live connection for that\n"
    assert done.stdout.count("\n") == 1
    report = json.loads(done.stdout)
    assert list(report) == ["version", "url", "steps"]
    assert (report["version"], report["url"]) == (1, url)
    assert {tuple(step) for step in report["steps"]} == {("step", "ok", "seen", "remedy")}
    assert list(dict.fromkeys(step["step"] for step in report["steps"])) == NAMES


def test_a_step_that_is_not_ok_is_exit_code_1() -> None:
    with answering(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n") as port:
        done = doctor(f"ws://127.0.0.1:{port}/ocpp", "--id", "CP1")
        assert done.returncode == 1
        assert "✗ upgrade     answers 404 Not Found for /ocpp/CP1\n              → either the CSMS" in done.stdout
        assert done.stdout.endswith("\nTo be mended: upgrade.\n")
        assert doctor(f"ws://127.0.0.1:{port}/ocpp").returncode == 0


@pytest.mark.parametrize("password", [CANARY, "0123456789abcdef0123456789abcdef01234567"])
@pytest.mark.parametrize("form", ["text", "json"])
def test_no_secret_is_shown(tmp_path: Path, password: str, form: str) -> None:
    file = tmp_path / "password"
    file.write_text(f"{password}\nsecond line\n")
    secret = f"{password} /?token={CANARY} ({CANARY}) \\x1b[31m".encode()
    answer = b"HTTP/1.1 401 " + secret + b"\r\nWWW-Authenticate: Basic " + secret + b"\r\n"
    answer += b"Content-Type: text/plain\r\nContent-Length: " + str(len(secret)).encode() + b"\r\n\r\n" + secret
    for reply in (answer, secret, secret + b"\r\n", b"HTTP/1.1 302 Go\r\nLocation: ws://u:" + secret + b"@h\r\n\r\n"):
        with answering(reply) as port:
            done = doctor(f"ws://127.0.0.1:{port}/?token={CANARY}", "--id", "CP1", "--password-file", str(file),
                          "--format", form, "--timeout", "2")
        assert done.returncode == 1, done.stderr
        assert password not in done.stdout + done.stderr
        assert CANARY not in done.stdout + done.stderr
        assert "Traceback" not in done.stderr
        assert "\x1b" not in done.stdout


@pytest.mark.parametrize(("arguments", "words"), [
    (["http://c"], "URL http://c: expected ws:// or wss://"),
    (["ws://u:canary@c"], "URL: no user or password in the URL: name them with --user and --password-file"),
    (["ws://c", "--id", ""], "--id is empty"),
    (["ws://c", "--user", "me"], "--user needs --password-file"),
    (["ws://c", "--password-file", "{file}"], "--password-file needs --user or --id"),
    (["ws://c", "--id", "a:b", "--password-file", "{file}"], "holds no colon"),
    (["ws://c", "--id", "CP1", "--password-file", "{file}.not"], "cannot be read: No such file"),
    (["ws://c", "--id", "CP1", "--password-file", os.devnull], "expected the password on the first line"),
    (["ws://c", "--insecure"], "--upstream-insecure needs a wss:// URL"),
    (["wss://c", "--insecure", "--upstream-ca", "{file}"], "--upstream-ca excludes --upstream-insecure"),
    (["ws://c", "--listen", "9000"], "--listen 9000: expected HOST:PORT"),
    (["ws://c", "--id", "CP\n1"], "--id: expected text"),
    (["ws://c", "--id", "CP\udcff"], "--id: expected text"),
    (["wss://c", "--upstream-sni", "."], "--upstream-sni '.': expected a host name"),
    (["wss://c", "--upstream-sni", "x" * 70], "expected a host name"),
    (["ws://c", "--timeout", "0"], "--timeout 0: expected seconds"),
    (["ws://c", "--timeout", "nan"], "--timeout nan: expected seconds"),
    (["ws://c", "--timeout", "soon"], "'soon' is not a valid float"),
    ([], "Missing argument 'URL'"),
])
def test_wrong_usage(tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], words: str) -> None:
    file = tmp_path / "password"
    file.write_text(f"{CANARY}\n")
    assert main(["doctor", *(one.replace("{file}", str(file)) for one in arguments)]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert words in err
    assert "canary" not in err


@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
@pytest.mark.parametrize("form", ["text", "json"])
def test_ctrl_c(form: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(30)
        url = f"ws://127.0.0.1:{listener.getsockname()[1]}"
        with subprocess.Popen([*DOCTOR, url, "--format", form], text=True, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE) as process:
            listener.accept()[0].close()  # the step tcp
            with listener.accept()[0] as asked:
                asked.recv(65536)
                process.send_signal(signal.SIGINT)
                out, err = process.communicate(timeout=30)
    assert process.returncode == 130
    assert err.strip() == ""
    assert (out == "") is (form == "json")


@pytest.mark.skipif(sys.platform == "win32", reason="terminals of POSIX")
@pytest.mark.parametrize("plain", [False, True])
def test_on_a_terminal(plain: bool) -> None:
    """Colours, unless NO_COLOR; what is waited for is shown, and taken back."""
    import pty

    environment = {**os.environ, "TERM": "xterm-256color", "COLUMNS": "100", **({"NO_COLOR": "1"} if plain else {})}
    if not plain:
        environment.pop("NO_COLOR", None)
    ours, theirs = pty.openpty()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"ws://127.0.0.1:{listener.getsockname()[1]}"
        command = [*DOCTOR, url, "--timeout", "2"]
        with subprocess.Popen(command, stdout=theirs, stderr=theirs, env=environment) as process:
            os.close(theirs)
            shown = b""
            try:
                while chunk := os.read(ours, 4096):
                    shown += chunk
            except OSError:  # so a terminal ends on Linux
                pass
    os.close(ours)
    text = shown.decode()
    assert process.returncode == 1
    assert "  … upgrade: asking as doctor-" in text
    assert ("\x1b[31m" in text) is not plain
    assert "no answer to the upgrade request within 2 s" in text
