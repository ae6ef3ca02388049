"""From `ocpp-proxy.toml` to routes: what an entry takes over, and that each mistake names file, line and remedy."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
import pytest
from tls_fixtures import Certificates

from ocpp_proxy.__main__ import main
from ocpp_proxy.cli import run
from ocpp_proxy.cli.app import app
from ocpp_proxy.cli.configured import defaults, read
from ocpp_proxy.cli.routing import build_routes
from ocpp_proxy.files.stations import KEYS
from ocpp_proxy.relay.routes import Route, Routes

RUN = '[run]\nupstream = "ws://c/ocpp"\n'


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def built(text: str, *arguments: str) -> tuple[Routes, list[str]]:
    """The routes, and what was warned of."""
    Path("ocpp-proxy.toml").write_text(text, encoding="utf-8")
    warned: list[str] = []
    root = click.Context(app, info_name="ocpp-proxy")
    configuration = read(root, Path("ocpp-proxy.toml"))
    root.default_map = defaults(root, configuration)
    ctx = run.command.make_context("run", list(arguments), parent=root)
    return build_routes(ctx, ctx.params, configuration, warned.append), warned


def route(routes: Routes, identity: str) -> Route:
    found = routes.route(identity)
    assert found is not None
    return found


def test_an_upstream_of_its_own_takes_nothing_over_but_the_timeout(folder: Path) -> None:
    certificates = Certificates(folder)
    text = (f'[run]\nupstream = "wss://c"\nupstream-ca = "{certificates["ca"]}"\nupstream-sni = "c.example"\n'
            'upstream-timeout = 3\n'
            '[[station]]\nid = "CP1"\nname = "Garage"\nupstream = "wss://d"\n'
            '[[station]]\nid = "CP2"\nupstream_timeout = 4\n'
            f'[[station]]\nid = "CP3"\nupstream-cert = "{certificates["station"]}"\n')
    routes, warned = built(text)
    default, own, slow, shown = (route(routes, who) for who in ("X", "CP1", "CP2", "CP3"))
    assert [one.upstream.host for one in (default, own, slow, shown)] == ["c", "d", "c", "c"]
    assert [one.server_name for one in (default, own, slow, shown)] == ["c.example", None, "c.example", "c.example"]
    assert [one.timeout_s for one in (default, own, slow, shown)] == [3, 3, 4, 3]
    assert slow.tls is default.tls  # one context for all who want the same
    assert len({id(one.tls) for one in (default, own, shown)}) == 3
    assert default.tls is not None
    assert shown.tls is not None
    assert own.tls is not None
    assert default.tls.get_ca_certs() == shown.tls.get_ca_certs() != own.tls.get_ca_certs()
    assert routes.name("CP1") == "Garage"
    assert warned == []


def test_the_command_line_says_the_default_upstream_and_an_entry_beats_it() -> None:
    text = RUN + 'allow = "CP*"\n[[station]]\nid = "CP1"\nupstream = "ws://d"\n'
    routes, _ = built(text, "--upstream", "ws://line")
    assert [route(routes, who).upstream.host for who in ("CP1", "CP2")] == ["d", "line"]
    assert routes.route("X") is None
    routes, _ = built(text, "--allow", "X", "--allow", "Y?")
    assert [who for who in ("CP1", "X", "Y", "Y1") if routes.route(who)] == ["X", "Y1"]


def test_what_works_but_may_not_be_meant_is_said() -> None:
    _, warned = built(RUN + 'allow = ["CP 1", "D*"]\n[[station]]\nid = "CP2"\nname = "Garage"\n')
    assert warned == [
        "[run] allow: 'CP 1' is compared with what stations send; in a path that would be 'CP%201'",
        "[[station]] CP2: it may not connect, allow does not name it",
    ]


MISTAKES: dict[str, tuple[str, int | None, str]] = {
    # what is in the file, the line to be named, words to be said
    "no list": ('station = 3\n', 1, "station has to be written with two brackets, once for each: [[station]]"),
    "one bracket": (RUN + '[station]\nid = "CP1"\n', 3, "[[station]]"),
    "unknown key": (RUN + '[[station]]\nid = "CP1"\nupstraem = "ws://d"\n', 5, "no key upstraem; known: id, name, up"),
    "no id": (RUN + '[[station]]\nname = "Garage"\n', 3, "[[station]] without id: expected an identity"),
    "empty id": (RUN + '[[station]]\nid = " "\n', 4, "[[station]] id: expected an identity"),
    "number for an id": (RUN + '[[station]]\nid = 7\n', 4, "[[station]] id: expected an identity"),
    "empty name": (RUN + '[[station]]\nid = "CP1"\nname = ""\n', 5, "[[station]] name: expected a text"),
    "text for a switch": (RUN + '[[station]]\nid="C"\nupstream-insecure = "yes"\n', 5, "expected true or false"),
    "no time": (RUN + '[[station]]\nid="C"\nupstream-timeout = 0\n', 5, "expected a number of seconds above 0"),
    "endless": (RUN + '[[station]]\nid="C"\nupstream-timeout = inf\n', 5, "expected a number of seconds above 0"),
    "only an id": (RUN + '[[station]]\nid = "CP1"\n', 3, "allow in [run]"),
    "said twice": (RUN + '[[station]]\nid="C"\nupstream_sni="a"\nupstream-sni="b"\n', 6, "says upstream-sni twice"),
    "same id": (RUN + '[[station]]\nid="C"\nname="a"\n[[station]]\nid="C"\nname="b"\n', 7, "stands in line 3 already"),
    "bad url": (RUN + '[[station]]\nid="C"\nname="x"\nupstream="http://d"\n', 6, "C upstream http://d: expected ws"),
    "tls for ws": (RUN + '[[station]]\nid="C"\nupstream="ws://d"\nupstream-ca="x"\n', 6, "--upstream-ca needs a wss://"),
    "tls for the default ws": (RUN + '[[station]]\nid="C"\nupstream_sni="x"\n', 5, "--upstream-sni needs a wss://"),
    "no name for tls": (RUN + '[[station]]\nid="C"\nupstream="wss://d"\nupstream-sni=".d"\n', 6, "cannot ask for"),
    "control in a name": (RUN + '[[station]]\nid="C"\nname="a\\u001b[2J"\n', 5, "without control characters"),
    "nul in a path": (RUN + '[[station]]\nid="C"\nupstream="wss://d"\nupstream-ca="a\\u0000"\n', 6, "path of a PEM"),
    "nul in run": (RUN + 'capture = "a\\u0000"\n', 3, "[run] capture: no text holds the character NUL"),
    "nobody": (RUN + 'allow = []\n', 3, "[run] allow lets nobody connect"),
    "nobody in it": (RUN + 'allow = ["CP1", ""]\n', 3, "an identity is not empty"),
    "bad default": ('[[station]]\nid="C"\nupstream="ws://d"\n[run]\nupstream = "x"\n', 5, "upstream x: expected ws"),
    "bad choice": (RUN + 'view = "streem"\n', 3, "[run] view: 'streem' is not one of 'stream', 'quiet'"),
    "table for a value": (RUN + '[run.listen]\nx = 1\n', 3, "[run] listen: expected a value, or a list of values"),
}


@pytest.mark.parametrize("sort", MISTAKES)
def test_a_mistake_names_its_line_and_what_is_allowed(sort: str, capsys: pytest.CaptureFixture[str]) -> None:
    text, line, words = MISTAKES[sort]
    Path("ocpp-proxy.toml").write_text(text, encoding="utf-8")
    assert main(["run", "--listen", "127.0.0.1:0"]) == 2
    said = capsys.readouterr().err
    assert said.startswith(f"ocpp-proxy: ocpp-proxy.toml:{line}: "), said
    assert words in said
    assert said.count("\n") == 1
    assert [file.name for file in Path().iterdir()] == ["ocpp-proxy.toml"]


@pytest.mark.parametrize(("options", "words"), [
    ({"upstream-ca": "none.pem"}, "none.pem: No such file"),
    ({"upstream-key": "key.pem"}, "key.pem: a key without its certificate"),
    ({"upstream-ca": "a.pem", "upstream-insecure": True}, "a.pem: trust this authority or trust everybody"),
])
def test_a_mistake_in_a_tls_file_names_both_files(
    options: dict[str, Any], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    said = "".join(f"{key} = {'true' if value is True else repr(value)}\n" for key, value in options.items())
    Path("ocpp-proxy.toml").write_text(f'{RUN}[[station]]\nid = "CP1"\nupstream = "wss://d"\n{said}', encoding="utf-8")
    assert main(["run", "--listen", "127.0.0.1:0"]) == 2
    error = capsys.readouterr().err
    assert words in error
    assert error.rstrip().endswith("([[station]] CP1, ocpp-proxy.toml:6)")


def test_mistakes_on_the_command_line_name_its_options(capsys: pytest.CaptureFixture[str]) -> None:
    Path("ocpp-proxy.toml").write_text(RUN, encoding="utf-8")
    for arguments, words in (
        (["--upstream", "x"], "ocpp-proxy: --upstream x: expected ws"),
        (["--allow", ""], "ocpp-proxy: --allow: an identity is not empty"),
        (["--upstream-ca", "x.pem"], "--upstream-ca needs a wss:// upstream; [run] upstream is ws://c/ocpp"),
    ):
        assert main(["run", *arguments]) == 2
        assert words in capsys.readouterr().err


def test_the_documentations_example_is_so(folder: Path) -> None:
    """docs/configuration.md: each station of the example gets where it says."""
    page = (Path(__file__).parents[2] / "docs" / "configuration.md").read_text(encoding="utf-8")
    example = page.partition("```toml\n")[2].partition("```")[0]
    Certificates(folder)["ca"].rename(folder / "other-ca.pem")
    routes, warned = built(example)
    hosts = {who: route(routes, who).upstream.host for who in ("CP001", "OLD-17", "DEPOT-7", "DEPOT-8")}
    assert hosts == {"CP001": "other.example.com", "OLD-17": "csms.example.com", "DEPOT-7": "10.0.0.5",
                     "DEPOT-8": "10.0.0.5"}
    assert [routes.name(who) for who in ("DEPOT-7", "DEPOT-8", "OLD-17")] == ["Depot, gate", "Depot", None]
    assert route(routes, "OLD-17").timeout_s == 30
    assert routes.route("X") is None
    assert warned == []
    for key in KEYS:
        assert f"`{key}`" in page
