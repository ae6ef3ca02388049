"""The entries of stations, and where things stand in a TOML file."""

from __future__ import annotations

import tomllib

import pytest

from ocpp_proxy.core.errors import BadInput
from ocpp_proxy.files.stations import StationEntry, read_stations
from ocpp_proxy.files.toml_lines import TomlLines

TEXT = """\
# [[station]]
top.level = 1

[run] # a comment
"up\\tstream" = 1
listen = [
  "127.0.0.1:0",
]
[ sim . station ]
seed = 1
[[station]]
id = "A"   # [x]
[["station"]]
id="B"
'name' = "x"
[station.inner]
key = 1
"""


@pytest.mark.parametrize(("path", "line"), [
    (("top",), 2), (("top", "level"), 2), (("run",), 4), (("run", "listen"), 6), (("run", "nothing"), 4),
    (("sim",), 9), (("sim", "station", "seed"), 10), (("station",), 11), (("station", 0), 11),
    (("station", 0, "id"), 12), (("station", 1), 13), (("station", 1, "id"), 14), (("station", 1, "name"), 15),
    (("station", 2), 11), (("other", "key"), None), ((), None),
])  # fmt: skip
def test_lines(path: tuple[str | int, ...], line: int | None) -> None:
    assert TomlLines(TEXT).find(*path) == line


def test_windows_line_ends_count_once() -> None:
    assert TomlLines(TEXT.replace("\n", "\r\n")).find("station", 1, "name") == 15


def read(text: str) -> tuple[StationEntry, ...]:
    return read_stations(tomllib.loads(text)["station"], "f.toml", TomlLines(text))


def test_entries_keep_their_order_and_runs_own_names() -> None:
    first, second = read('[[station]]\nid = "B*"\nupstream_sni = "x"\nupstream-insecure = false\n'
                         '[[station]]\nid = "A"\nname = "Garage"\nupstream-timeout = 1\n')
    assert first == StationEntry("B*", None, {"upstream-sni": "x", "upstream-insecure": False}, 1)
    assert second == StationEntry("A", "Garage", {"upstream-timeout": 1})
    assert (first.line, second.line) == (1, 5)


def test_another_spelling_of_the_same_table_is_read_too() -> None:
    assert [entry.id for entry in read('station = [{id = "A", name = "x"}, {id = "B", name = "y"}]\n')] == ["A", "B"]
    with pytest.raises(BadInput, match=r"f\.toml:1: \[\[station\]\] nam: |f\.toml:1: .*no key nam; known: id, name"):
        read('station = [{id = "A", nam = "x"}]\n')


@pytest.mark.parametrize("value", ["true", '"5"', "-1", "nan", "inf", "[1]"])
def test_seconds_are_a_number_above_0(value: str) -> None:
    with pytest.raises(BadInput, match=r"f\.toml:3: .*expected a number of seconds above 0"):
        read(f'[[station]]\nid = "A"\nupstream-timeout = {value}\n')
