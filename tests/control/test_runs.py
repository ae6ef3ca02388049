"""Where runs leave word, and how it is found again."""

from __future__ import annotations

import asyncio
import json
import os
import stat
import subprocess
import sys
from pathlib import Path, PurePosixPath, PureWindowsPath

import pytest
from control_parts import served

from ocpp_proxy.control.discovery import TOKEN, find
from ocpp_proxy.control.runs import Word, is_alive, read_run, running, runtime_folder
from ocpp_proxy.core.errors import BadInput

HOME = PurePosixPath("/home/eve")
READY = {"listen": "ws://127.0.0.1:9000", "control": "http://127.0.0.1:1", "token_file": None, "capture": "x.db",
         "view": "quiet", "pid": os.getpid()}


@pytest.mark.parametrize(("environment", "platform", "folder"), [
    ({"XDG_RUNTIME_DIR": "/run/user/7"}, "linux", "/run/user/7/ocpp-proxy"),
    ({"XDG_RUNTIME_DIR": "relative"}, "linux", "/home/eve/.local/state/ocpp-proxy/run"),
    ({"XDG_STATE_HOME": "/state"}, "linux", "/state/ocpp-proxy/run"),
    ({}, "linux", "/home/eve/.local/state/ocpp-proxy/run"),
    ({"XDG_RUNTIME_DIR": "/run/user/7"}, "darwin", "/home/eve/Library/Application Support/ocpp-proxy/run"),
])
def test_the_folder_is_the_platforms_own(environment: dict[str, str], platform: str, folder: str) -> None:
    assert runtime_folder(environment, HOME, platform) == Path(folder)


def test_windows_keeps_it_with_the_users_data() -> None:
    folder = runtime_folder({"LOCALAPPDATA": "L"}, PureWindowsPath("C:/Users/eve"), "win32")
    assert folder == Path("L") / "ocpp-proxy" / "run"


def test_without_a_home_there_is_no_place() -> None:
    with pytest.raises(BadInput, match="--no-control"):
        runtime_folder({}, None, "linux")


def test_word_is_left_for_this_user_alone_and_removed(tmp_path: Path) -> None:
    folder = tmp_path / "deep" / "run"
    before = os.umask(0)
    try:
        word = Word(folder)
        word.publish({**READY, "token_file": str(word.token_file)}, "2026-11-21T09:00:00Z")
    finally:
        os.umask(before)
    assert {stat.S_IMODE(file.stat().st_mode) for file in folder.iterdir()} == {0o600}
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    [run] = running(folder)
    assert (run.control, run.pid, run.started, run.token()) == (
        "http://127.0.0.1:1", os.getpid(), "2026-11-21T09:00:00Z", word.token)
    word.remove()
    assert list(folder.iterdir()) == []


def test_an_open_folder_is_closed_and_a_strange_one_refused(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    folder.mkdir(mode=0o777)
    Word(folder).remove()
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    (tmp_path / "link").symlink_to(folder)
    with pytest.raises(BadInput, match="folder of your own"):
        Word(tmp_path / "link")
    (tmp_path / "file").touch()
    with pytest.raises(BadInput, match="--no-control"):
        Word(tmp_path / "file" / "run")


def ended() -> int:
    """The id of a process that is gone."""
    done = subprocess.Popen([sys.executable, "-c", ""])
    done.wait()
    return done.pid


def left_behind(folder: Path, pid: int, **more: object) -> Path:
    folder.mkdir(exist_ok=True)
    file = folder / f"{pid}-0badcafe.json"
    file.with_suffix(".token").write_text("t\n")
    file.write_text(json.dumps({**READY, "pid": pid, "token_file": str(file.with_suffix(".token")), **more}))
    return file


def test_what_a_killed_run_has_left_is_cleared_away(tmp_path: Path) -> None:
    pid = ended()
    assert not is_alive(pid)
    left_behind(tmp_path / "run", pid)
    (tmp_path / "run" / "notes.txt").touch()
    assert running(tmp_path / "run") == []
    assert [file.name for file in (tmp_path / "run").iterdir()] == ["notes.txt"]


def test_one_whose_process_id_somebody_else_has_now_is_cleared_too(tmp_path: Path) -> None:
    file = left_behind(tmp_path / "run", os.getpid())
    with pytest.raises(BadInput, match="no ocpp-proxy of yours is running"):
        find(None, {}, tmp_path / "run")
    assert not file.exists()


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '{"listen":"x"}', '{"listen":1,"control":2,"token_file":3}'])
def test_what_is_no_ready_file_is_said_to_be_none(tmp_path: Path, text: str) -> None:
    file = tmp_path / "ready.json"
    file.write_text(text)
    assert read_run(file) is None
    with pytest.raises(BadInput, match="no ready file"):
        find(str(file), {}, tmp_path / "run")


@pytest.mark.parametrize(("ready", "says"), [
    ({"control": None}, "--no-control"), ({"token_file": None}, "cannot be read"),
    ({"token_file": "nowhere"}, "nowhere: cannot be read"),
])
def test_a_ready_file_that_leads_nowhere_says_why(tmp_path: Path, ready: dict[str, object], says: str) -> None:
    file = tmp_path / "ready.json"
    file.write_text(json.dumps({**READY, **ready}))
    with pytest.raises(BadInput, match=says):
        find(str(file), {}, tmp_path / "run")


def test_an_ended_run_is_named_by_its_process(tmp_path: Path) -> None:
    pid = ended()
    with pytest.raises(BadInput, match=f"process {pid}.*not running any more"):
        find(str(left_behind(tmp_path / "run", pid)), {}, tmp_path / "run")


def test_a_url_wants_its_token(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=TOKEN):
        find("http://127.0.0.1:1", {}, tmp_path / "run")
    assert find("http://127.0.0.1:1/", {TOKEN: "t"}, tmp_path / "run").token == "t"
    left_behind(tmp_path / "run", os.getpid())
    target = find("http://127.0.0.1:1", {}, tmp_path / "run")
    assert (target.token, target.pid) == ("t", os.getpid())


def test_one_run_is_found_and_of_two_one_has_to_be_named(tmp_path: Path) -> None:
    async def story() -> None:
        async with served(tmp_path) as one, served(tmp_path) as two:
            folder = tmp_path / "run"
            one.api.publish({**READY, "control": one.api.url, "token_file": str(one.api.token_file)}, "2026-11-21T09")
            assert (await asyncio.to_thread(find, None, {}, folder)).url == one.api.url
            two.api.publish({**READY, "control": two.api.url, "token_file": str(two.api.token_file)}, "2026-11-21T10")
            with pytest.raises(BadInput) as caught:
                await asyncio.to_thread(find, None, {}, folder)
            head, first, second = str(caught.value).splitlines()
            assert head == "2 are running; name one of them:"
            assert first == f"  --proxy {one.api.url}  ws://127.0.0.1:9000  x.db  since 2026-11-21T09"
            assert two.api.url in second
            target = find(two.api.url, {}, folder)
            assert target.token != one.api.token_file.read_text().strip()

    asyncio.run(story())
