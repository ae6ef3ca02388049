"""SIGHUP: `run` as a process of its own, its configuration file changed under it while stations talk."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import ssl
import subprocess
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from tls_fixtures import Certificates, any_context
from websockets.asyncio.client import ClientConnection, connect
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import InvalidStatus

pytestmark = pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="Windows has no SIGHUP")
PATIENCE_S = 30
CALL = '[2,"1","Heartbeat",{}]'


@dataclass
class Relaying:
    """A started `run` in a folder with a configuration file."""

    process: asyncio.subprocess.Process
    folder: Path
    url: str

    def station(self, identity: str) -> connect:
        return connect(f"{self.url}/{identity}", subprotocols=["ocpp1.6"], proxy=None)  # type: ignore[list-item]

    async def reload(self, text: str | None, *until: str) -> str:
        """Put another file there, ask for it to be read, and wait for a notice that holds all of these words."""
        if text is None:
            (self.folder / "ocpp-proxy.toml").unlink()
        else:
            (self.folder / "ocpp-proxy.toml").write_text(text, encoding="utf-8")
        self.process.send_signal(signal.SIGHUP)
        return await self.says(*until)

    async def says(self, *words: str) -> str:
        assert self.process.stderr is not None
        said = []
        while True:
            line = (await asyncio.wait_for(self.process.stderr.readline(), PATIENCE_S)).decode()
            assert line, said
            said.append(line.rstrip("\n"))
            if all(word in line for word in words):
                return said[-1]

    async def end(self) -> tuple[str, list[dict[str, Any]]]:
        """What stood on stdout, and the lines of the capture."""
        self.process.send_signal(signal.SIGTERM)
        out, _ = await asyncio.wait_for(self.process.communicate(), PATIENCE_S)
        assert self.process.returncode == 0
        shown = subprocess.run(
            [sys.executable, "-m", "ocpp_proxy", "capture", "show", str(self.folder / "x.db"), "--format", "json"],
            capture_output=True, text=True, check=True)
        return (out or b"").decode(), [json.loads(line) for line in shown.stdout.splitlines()]


@contextlib.asynccontextmanager
async def relaying(folder: Path, text: str | None, *arguments: str) -> AsyncIterator[Relaying]:
    if text is not None:
        (folder / "ocpp-proxy.toml").write_text(text, encoding="utf-8")
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "ocpp_proxy", "run", "--listen", "127.0.0.1:0", "--capture", "x.db", *arguments,
        cwd=folder, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        env={**os.environ, "NO_COLOR": "1"})
    running = Relaying(process, folder, "")
    try:
        ready = await running.says("listening on ")
        running.url = ready.split()[2]
        yield running
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


@contextlib.asynccontextmanager
async def csms(name: str, context: ssl.SSLContext | None = None) -> AsyncIterator[str]:
    """Answers each CALL with its own name."""
    async def answer(connection: ServerConnection) -> None:
        async for message in connection:
            assert message == CALL
            await connection.send(f'[3,"1",{{"currentTime":"{name}"}}]')

    async with serve(answer, "127.0.0.1", 0, subprotocols=["ocpp1.6"], ssl=context) as server:  # type: ignore[list-item]
        port = server.sockets[0].getsockname()[1]
        yield f"ws://127.0.0.1:{port}/ocpp" if context is None else f"wss://localhost:{port}/ocpp"


async def who_answers(station: ClientConnection) -> str:
    await station.send(CALL)
    name: str = json.loads(await station.recv())[2]["currentTime"]
    return name


async def who_is_behind(proxy: Relaying, identity: str) -> str | int:
    """The CSMS that a new connection gets to, or the status it is refused with."""
    try:
        async with proxy.station(identity) as station:
            return await who_answers(station)
    except InvalidStatus as refused:
        return refused.response.status_code


def configured(upstream: str, *more: str) -> str:
    return "\n".join([f'[run]\nupstream = "{upstream}"', *more, ""])


def entry(identity: str, **options: str) -> str:
    return "\n".join([f'[[station]]\nid = "{identity}"', *(f'{key} = "{value}"' for key, value in options.items())])


def test_two_stations_to_two_csmss_by_identity_and_by_pattern(tmp_path: Path) -> None:
    async def story() -> None:
        async with csms("a") as a, csms("b") as b, csms("c") as c:
            text = configured(a, entry("CP*", upstream=b, name="All of them"), entry("CP1", upstream=c, name="Garage"))
            async with relaying(tmp_path, text) as proxy:
                assert [await who_is_behind(proxy, who) for who in ("X", "CP1", "CP2")] == ["a", "c", "b"]
                out, lines = await proxy.end()
        assert {line["station"] for line in lines if line["type"] == "opened"} == {"X", "CP1", "CP2"}
        for said in (" CP1(Garage) ● connected", " CP2(All_of_them) ", " X ● ", "CP1 Garage ", "CP2 All of them "):
            assert said in out, said

    asyncio.run(story())


def test_who_is_not_allowed_is_told_so_and_is_on_record(tmp_path: Path) -> None:
    async def story() -> None:
        async with csms("a") as a, relaying(tmp_path, None, "--upstream", a, "--allow", "CP1") as proxy:
            assert [await who_is_behind(proxy, who) for who in ("CP1", "CP2")] == ["a", 403]
            await proxy.says("'CP2' is not among the stations that may connect", "--allow")
            _, lines = await proxy.end()
        refused = [line for line in lines if line["type"] == "opened" and line["status"] == 403]
        assert [(line["station"], line["refused_by"], line["dial_ms"]) for line in refused] == [("CP2", "proxy", None)]

    asyncio.run(story())


def test_a_station_stays_with_its_csms_until_it_connects_again(tmp_path: Path) -> None:
    async def story() -> None:
        async with (
            csms("old") as old, csms("new") as new,
            relaying(tmp_path, configured(old, entry("CP1", name="Left"))) as proxy,
        ):
            async with proxy.station("CP1") as station:
                assert await who_answers(station) == "old"
                changed = configured(new, "allow = ['CP*']", entry("CP1", name="Right"), entry("CP2", upstream=old))
                said = await proxy.reload(changed, "was read again")
                assert "allow, upstream, [[station]] CP1, [[station]] CP2 changed" in said
                assert await who_answers(station) == "old"
                assert [await who_is_behind(proxy, who) for who in ("CP1", "CP2", "X")] == ["new", "old", 403]
                assert await who_answers(station) == "old"
            out, lines = await proxy.end()
        (act,) = [line for line in lines if line["type"] == "act"]
        assert {key: act[key] for key in ("act", "by", "file")} == {
            "act": "reload", "by": "SIGHUP", "file": "ocpp-proxy.toml"}
        assert act["summary"] == "allow, upstream, [[station]] CP1, [[station]] CP2 changed"
        assert "needs_restart" not in act
        assert out.index("CP1(Left) ● connected") < out.index("CP1(Right) ● connected")

    asyncio.run(story())


def test_an_entry_that_is_gone_leaves_the_default(tmp_path: Path) -> None:
    async def story() -> None:
        async with (
            csms("a") as a, csms("b") as b,
            relaying(tmp_path, configured(a, entry("CP1", upstream=b))) as proxy,
        ):
            assert await who_is_behind(proxy, "CP1") == "b"
            await proxy.reload(configured(a), "[[station]] CP1 changed")
            assert await who_is_behind(proxy, "CP1") == "a"
            await proxy.reload(configured(a), "nothing changed")

    asyncio.run(story())


def test_a_broken_file_changes_nothing(tmp_path: Path) -> None:
    async def story() -> None:
        async with csms("a") as a, csms("b") as b, relaying(tmp_path, configured(a, "allow = ['CP1']")) as proxy:
            for text, words in (
                ("[run\n", "ocpp-proxy.toml:1: is not TOML"),
                (configured(b, entry("C", upstraem=b)), "ocpp-proxy.toml:5: [[station]] has no key upstraem; known: "),
                (configured("http://b"), "ocpp-proxy.toml:2: [run] upstream http://b: expected ws:// or wss://"),
                (configured(b, 'view = "streem"'), "ocpp-proxy.toml:3: [run] view: 'streem' is not one of 'stream'"),
                (configured(b, entry("C", **{"upstream": "wss://c", "upstream-ca": "no.pem"})), "no.pem: No such"),
                ("[run]\nallow = 'CP2'\n", "ocpp-proxy.toml:1: [run] upstream is missing"),
                (None, "ocpp-proxy.toml: cannot be read: No such file"),
            ):
                assert words in await proxy.reload(text, "the relay goes on with the configuration that it had")
            assert [await who_is_behind(proxy, who) for who in ("CP1", "CP2")] == ["a", 403]
            _, lines = await proxy.end()
        assert [line for line in lines if line["type"] == "act"] == []

    asyncio.run(story())


def test_what_takes_a_restart_is_named_and_the_rest_is_done(tmp_path: Path) -> None:
    async def story() -> None:
        async with csms("a") as a, csms("b") as b, relaying(tmp_path, configured(a)) as proxy:
            changed = configured(b, 'view = "quiet"', "site = ['no-sim']", 'capture = "y.db"')
            await proxy.reload(changed, "was read again")
            assert "view, site differs" in await proxy.says("that takes a restart")  # the capture is the command line's
            assert await who_is_behind(proxy, "CP1") == "b"
            await proxy.reload(configured(b), "was read again", "nothing changed")
            _, lines = await proxy.end()
        assert [line.get("needs_restart") for line in lines if line["type"] == "act"] == [["view", "site"], None]
        assert not (tmp_path / "y.db").exists()

    asyncio.run(story())


def test_the_command_line_still_comes_first(tmp_path: Path) -> None:
    async def story() -> None:
        async with (
            csms("a") as a, csms("b") as b, csms("c") as c,
            relaying(tmp_path, configured(b), "--upstream", a) as proxy,
        ):
            changed = configured(c, "allow = 'CP*'", entry("CP1", upstream=b))
            await proxy.reload(changed, "allow, [[station]] CP1 changed")
            assert [await who_is_behind(proxy, who) for who in ("CP1", "CP2", "X")] == ["b", "a", 403]

    asyncio.run(story())


def test_without_a_file_there_is_nothing_to_read_until_there_is_one(tmp_path: Path) -> None:
    async def story() -> None:
        async with csms("a") as a, csms("b") as b, relaying(tmp_path, None, "--upstream", a) as proxy:
            async with proxy.station("CP1") as station:
                proxy.process.send_signal(signal.SIGHUP)
                await proxy.says("SIGHUP: there is no ocpp-proxy.toml in this folder and no --config")
                assert await who_answers(station) == "a"
                await proxy.reload(entry("CP1", upstream=b), "[[station]] CP1 changed")
                assert await who_answers(station) == "a"
            assert await who_is_behind(proxy, "CP1") == "b"
            await proxy.end()

    asyncio.run(story())


def test_a_wss_override_with_a_ca_of_its_own_comes_with_a_reload(tmp_path: Path) -> None:
    certificates = Certificates(tmp_path)
    theirs = any_context(ssl.PROTOCOL_TLS_SERVER, certificates["good"])

    async def story() -> None:
        async with csms("a") as a, csms("secure", theirs) as secure, relaying(tmp_path, configured(a)) as proxy:
            right, wrong = ({"upstream": secure, "upstream-ca": str(certificates[ca])} for ca in ("ca", "other-ca"))
            await proxy.reload(configured(a, entry("CP1", **right), entry("CP2", **wrong)), "was read again")
            assert [await who_is_behind(proxy, who) for who in ("CP1", "CP2", "CP3")] == ["secure", 502, "a"]

    asyncio.run(story())


def test_many_at_once_end_with_the_last_file(tmp_path: Path) -> None:
    async def story() -> None:
        async with csms("a") as a, relaying(tmp_path, configured(a)) as proxy:
            for number in range(20):
                (tmp_path / "ocpp-proxy.toml").write_text(configured(a, entry(f"CP{number}", name="x")))
                proxy.process.send_signal(signal.SIGHUP)
            await proxy.says("[[station]] CP19 changed")
            assert await who_is_behind(proxy, "CP1") == "a"

    asyncio.run(story())


def test_while_the_relay_stops_it_is_too_late(tmp_path: Path) -> None:
    """The station does not answer the close frame, so the stop takes its time."""
    async def story() -> None:
        async with csms("a") as a, relaying(tmp_path, configured(a)) as proxy:
            host, _, port = proxy.url.removeprefix("ws://").rpartition(":")
            reader, writer = await asyncio.open_connection(host, int(port))
            writer.write(b"GET /CP1 HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                         b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
                         b"Sec-WebSocket-Protocol: ocpp1.6\r\n\r\n")
            await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), PATIENCE_S)
            proxy.process.send_signal(signal.SIGTERM)
            assert (await asyncio.wait_for(reader.readexactly(1), PATIENCE_S)) == b"\x88"
            proxy.process.send_signal(signal.SIGHUP)
            _, lines = await proxy.end()
            writer.close()
        assert [line["type"] for line in lines if line["type"] in ("act", "closed", "gap")] == ["closed"]

    asyncio.run(story())


@pytest.mark.skipif(sys.platform == "win32", reason="there are no pseudo-terminals")
def test_the_relay_outlives_its_terminal(tmp_path: Path) -> None:
    async def story() -> None:
        leader, follower = os.openpty()
        async with csms("a") as a:
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-c", "import fcntl, sys, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0); "
                "from ocpp_proxy.__main__ import main; sys.exit(main(sys.argv[1:]))", "run", "--upstream", a,
                "--listen", "127.0.0.1:0", "--capture", "x.db", "--ready-file", "ready.json", "--allow", "CP1",
                cwd=tmp_path, stdin=follower, stdout=follower, stderr=follower, start_new_session=True)
            try:
                os.close(follower)
                while not (tmp_path / "ready.json").exists():
                    assert process.returncode is None
                    await asyncio.sleep(0.01)
                os.close(leader)  # what closing a terminal's window does: SIGHUP, and nobody to write to
                url = json.loads((tmp_path / "ready.json").read_text())["listen"]
                proxy = Relaying(process, tmp_path, url)
                assert [await who_is_behind(proxy, who) for who in ("CP1", "CP2", "CP1")] == ["a", 403, "a"]
                _, lines = await proxy.end()
            finally:
                if process.returncode is None:
                    process.kill()
                    await process.wait()
        assert sum(line["type"] == "frame" for line in lines) == 4

    asyncio.run(story())
