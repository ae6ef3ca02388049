"""ocpp-proxy.toml: what is accepted, and that each mistake names its line and what is allowed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ocpp_proxy import config
from ocpp_proxy.core.errors import BadInput

ALLOWED: dict[str, Any] = {
    "run": frozenset({"upstream", "upstream-timeout", "listen"}),
    "capture": {"export": frozenset({"to"})},
}


def written(folder: Path, text: str) -> Path:
    file = folder / "ocpp-proxy.toml"
    file.write_text(text, encoding="utf-8")
    return file


def test_options_are_known_by_their_own_names(tmp_path: Path) -> None:
    file = written(tmp_path, '[run]\nupstream = "ws://c"\nupstream_timeout = 3\nlisten = ["127.0.0.1:0"]\n'
                             '[capture.export]\nto = "jsonl"\n')
    assert config.load(file, ALLOWED).options == {
        "run": {"upstream": "ws://c", "upstream-timeout": 3, "listen": ["127.0.0.1:0"]},
        "capture": {"export": {"to": "jsonl"}},
    }


@pytest.mark.parametrize(("text", "line", "said"), [
    ("[run]\nupstraem = 1\n", 2, "[run] has no option upstraem; known: listen, upstream, upstream-timeout"),
    ("\n[rum]\nx = 1\n", 2, "there is no command rum; known: capture, run"),
    ("[capture.exprot]\n", 1, "there is no command capture.exprot; known: export"),
    ("run = 3\n", 1, "run has to be a table: [run]"),
    ('[run]\nupstream = "a\n', 2, "is not TOML"),
])
def test_a_mistake_names_its_line_and_what_is_allowed(tmp_path: Path, text: str, line: int, said: str) -> None:
    with pytest.raises(BadInput) as raised:
        config.load(written(tmp_path, text), ALLOWED)
    assert raised.value.line == line
    assert said in raised.value.what


def test_an_unreadable_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"none\.toml: cannot be read: No such file"):
        config.load(tmp_path / "none.toml", ALLOWED)
    file = tmp_path / "marked.toml"
    file.write_bytes(b'\xef\xbb\xbf[run]\r\nupstream = "ws://c"\r\n')
    assert config.load(file, ALLOWED).options == {"run": {"upstream": "ws://c"}}
    file = tmp_path / "latin.toml"
    file.write_bytes(b'[run]\nupstream = "\xe9"\n')
    with pytest.raises(BadInput, match="is not UTF-8"):
        config.load(file, ALLOWED)


def test_a_mistake_is_looked_for_in_its_own_table(tmp_path: Path) -> None:
    text = '[[station]]\nid = "A"\nupstream = "ws://c"\n\n[run]\nupstream = "ws://c"\nlisten.x = 1\n'
    with pytest.raises(BadInput) as raised:
        config.load(written(tmp_path, text), ALLOWED)
    assert (raised.value.line, raised.value.what) == (7, "[run] listen: expected a value, or a list of values")
    text = '[run]\nupstream-timeout = 1\nupstream_timeout = 2\n'
    with pytest.raises(BadInput, match=r"3: \[run\] says upstream-timeout twice"):
        config.load(written(tmp_path, text), ALLOWED)


def test_where_an_option_stands(tmp_path: Path) -> None:
    read = config.load(written(tmp_path, '[[station]]\nid = "A"\nname = "x"\n[run]\nupstream_timeout = 3\n'), ALLOWED)
    assert read.line("run", "upstream-timeout") == 5
    assert read.line("run", "listen") == 4
    assert read.line("station", 0, "name") == 3
    assert read.line("check", "rules") is None
