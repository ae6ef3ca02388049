"""The simulators as people start them: separate processes that find each other by the ready line."""

import asyncio
import json
import signal
import subprocess
import sys
from contextlib import asynccontextmanager, contextmanager

import pytest
from click.testing import CliRunner
from websockets.asyncio.server import serve

from ocpp_proxy.__main__ import main
from ocpp_proxy.cli.sim import command
from ocpp_proxy.sim.behaviours import STATION_BEHAVIOURS
from ocpp_proxy.sim.csms_behaviours import CSMS_BEHAVIOURS

SIM = [sys.executable, "-m", "ocpp_proxy", "sim"]
unix = pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")


@contextmanager
def csms(*options):
    """(the process, the URL it says it listens on)."""
    with subprocess.Popen([*SIM, "csms", "--listen", "127.0.0.1:0", *options], text=True, encoding="utf-8",
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        line = process.stderr.readline()
        try:
            assert line.startswith("listening on ws://127.0.0.1:"), line
            yield process, line.split()[-1]
        finally:
            process.kill()


def station(*arguments):
    return subprocess.run([*SIM, "station", *arguments], capture_output=True, text=True, encoding="utf-8", timeout=60,
                          check=False)


def actions(output):
    """What was sent, of the lines a station prints."""
    frames = [json.loads(line.partition(" ")[2]) for line in output.splitlines() if line.startswith("→")]
    return [frame[2] for frame in frames if frame[0] == 2]


@pytest.mark.parametrize("version", ["1.6", "2.0.1", "2.1"])
def test_a_station_finds_a_csms_charges_and_leaves(version):
    with csms("--scale", "200") as (_, url):
        done = station(url, "--id", "CP7", "--ocpp-version", version, "--scale", "200", "--sessions", "2",
                       "--session-length", "70")
    assert (done.returncode, done.stderr) == (0, "")
    told = actions(done.stdout)
    assert told[0] == "BootNotification"
    if version == "1.6":
        assert told.count("StartTransaction") == told.count("StopTransaction") == 2
    else:
        assert told.count("TransactionEvent") == 8


def test_the_wallbox_is_one_option_away():
    with csms("--behaviour", "trigger-after-boot", "--scale", "200") as (_, url):
        done = station(url, "--behaviour", "wallbox-cpb1", "--scale", "200", "--sessions", "1")
    assert done.returncode == 0
    assert "CPB1-S-2-4" in done.stdout
    assert '{"status":"NotImplemented"}' in done.stdout


def test_a_duration_ends_a_station():
    with csms() as (_, url):
        done = station(url, "--duration", "1")
    assert (done.returncode, done.stderr) == (0, "")
    assert actions(done.stdout) == ["BootNotification", *["StatusNotification"] * 3]


@unix
@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGTERM])
def test_a_csms_is_interrupted_without_a_word(stop):
    with csms() as (process, _):
        process.send_signal(stop)
        out, err = process.communicate(timeout=20)
        assert (process.returncode, out, err) == (130, "", "")


@unix
def test_a_station_is_interrupted_without_a_word():
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "encoding": "utf-8"}
    with csms() as (_, url), subprocess.Popen([*SIM, "station", url], **pipes) as process:
        assert "BootNotification" in process.stdout.readline()
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=20)
        assert (process.returncode, err) == (130, "")


def test_a_csms_asks_what_it_is_told_to():
    with csms("--scale", "200", "--after-boot", 'GetConfiguration {"key":["HeartbeatInterval"]}',
              "--after-boot", "ClearCache") as (_, url):
        done = station(url, "--duration", "2")
    asked = [json.loads(line.partition(" ")[2])[2:] for line in done.stdout.splitlines() if line.startswith("← [2")]
    assert asked == [["GetConfiguration", {"key": ["HeartbeatInterval"]}], ["ClearCache", {}]]


def test_a_csms_prints_every_frame_with_its_station():
    with csms() as (process, url):
        station(url, "--id", "CP7", "--duration", "1")
        process.terminate()
        lines = process.stdout.read().splitlines()
    assert lines[0].startswith('CP7 ← [2,"')
    assert lines[1].startswith('CP7 → [3,"')


def test_nobody_there_is_one_line_and_exit_1():
    done = station("ws://127.0.0.1:1/ocpp")
    assert done.returncode == 1
    assert done.stderr == "ocpp-proxy: cannot connect to 127.0.0.1:1: Connection refused\n"


def test_retry_outlasts_a_csms_that_is_not_there():
    done = station("ws://127.0.0.1:1/ocpp", "--retry", "--duration", "1")
    assert (done.returncode, done.stderr) == (0, "")


@asynccontextmanager
async def strict_csms(seen):
    async def accept(connection):
        seen.append(connection.request)
        await connection.wait_closed()

    async with serve(accept, "127.0.0.1", 0, subprotocols=["ocpp1.6"]) as server:
        yield f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/a/b"


@pytest.mark.parametrize(("user", "header"), [([], "Q1A3OmdlaGVpbQ=="), (["--user", "me"], "bWU6Z2VoZWlt")])
def test_a_password_comes_from_its_file(tmp_path, user, header):
    file = tmp_path / "password"
    file.write_text("geheim\nsecond line\n")

    async def story():
        seen = []
        async with strict_csms(seen) as url:
            process = await asyncio.create_subprocess_exec(
                *SIM, "station", url, "--id", "CP7", "--password-file", str(file), "--duration", "1", *user,
                stdout=subprocess.PIPE)
            await process.communicate()
        assert seen[0].path == "/a/b/CP7"
        assert seen[0].headers["Authorization"] == f"Basic {header}"

    asyncio.run(story())


@pytest.mark.parametrize(("arguments", "says"), [
    (["station", "ws://x", "--behaviour", "perfect"], "'conformant', 'secured', 'wallbox-cpb1'"),
    (["station", "ws://x", "--behaviour", "wallbox-cpb1", "--ocpp-version", "2.1"], "speaks OCPP 1.6, not 2.1"),
    (["station", "http://x"], "begins with ws:// or wss://"),
    (["station", "ws://x", "--user", "me"], "--user needs --password-file"),
    (["station", "ws://x", "--scale", "0"], "not in the range"),
    (["csms", "--behaviour", "perfect"], "'accepting', 'pending-first'"),
    (["csms", "--listen", "9100"], "expected HOST:PORT"),
    (["csms", "--listen", "127.0.0.1:99999"], "expected HOST:PORT"),
    (["csms", "--listen", "192.0.2.1:0"], "cannot listen on 192.0.2.1:0"),
    (["csms", "--after-boot", "ClearCache {"], "no JSON"),
    (["csms", "--after-boot", "ClearCache []"], "no JSON object"),
    (["csms", "--after-boot", "ClearCash {}"], "ClearCash"),
])
def test_wrong_usage_is_exit_2_and_says_what_was_expected(arguments, says, capsys):
    assert main(["sim", *arguments]) == 2
    assert says in capsys.readouterr().err


def test_an_empty_password_file_is_refused(tmp_path, capsys):
    file = tmp_path / "password"
    file.touch()
    assert main(["sim", "station", "ws://127.0.0.1:1", "--password-file", str(file)]) == 2
    assert capsys.readouterr().err == f"ocpp-proxy: {file}:1: expected the password on the first line\n"


@pytest.mark.parametrize(("which", "behaviours"), [("station", STATION_BEHAVIOURS), ("csms", CSMS_BEHAVIOURS)])
def test_help_names_every_behaviour_and_shows_an_example(which, behaviours):
    shown = CliRunner().invoke(command, [which, "--help"], terminal_width=80).output
    for name in behaviours:
        assert f"\n    {name} " in shown
    assert f"ocpp-proxy sim {which}" in shown.partition("Example")[2]
    assert max(map(len, shown.splitlines())) <= 80
