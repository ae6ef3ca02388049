"""`ocpp-proxy capture`: looks into captures and converts them."""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any, get_args

import click

from ocpp_proxy.capture import Capture, open_capture
from ocpp_proxy.capture.convert import EXPORTS, Progress, export_file, import_file
from ocpp_proxy.capture.jsonl import encode, short
from ocpp_proxy.capture.jsontext import dumps
from ocpp_proxy.capture.search import search as search_frames
from ocpp_proxy.capture.select import Selection
from ocpp_proxy.capture.summary import Summary, summarise
from ocpp_proxy.cli.recordline import RecordLines
from ocpp_proxy.core.errors import BadInput
from ocpp_proxy.core.frame import Sender
from ocpp_proxy.core.instant import Instant
from ocpp_proxy.core.record import Record
from ocpp_proxy.live.safe import safe

SUFFIXES = (".db", ".jsonl", ".ndjson")
PROGRESS_INTERVAL_S = 0.2
FILE = click.Path(path_type=Path)

Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]


@click.group(epilog="""\b
Examples:
  ocpp-proxy capture list
  ocpp-proxy capture show captures/2026-11-21T090000Z.db --station CP001
  ocpp-proxy capture search field.db Rejected --action StartTransaction
  ocpp-proxy capture export field.db --to jsonl --output field.jsonl
  ocpp-proxy capture import field.jsonl --output field.db
""")
def command() -> None:
    """Look into captures, search, export and import them.

    A capture is what `run` and `demo` record (.db), or its JSONL form, which can also be written by hand.
    """


def moment(text: str) -> Instant:
    """The type of --from and --to."""
    try:
        return Instant.parse(text)
    except (ValueError, OverflowError):
        raise click.BadParameter(f"{text!r} is no time; expected e.g. 2026-11-21T09:00 or 2026-11-21T10:00:30+01:00 "
                                 "(UTC without an offset)") from None


def _selection_options(function: Callable[..., Any]) -> Callable[..., Any]:
    options: list[Decorator] = [
        click.option("--station", metavar="ID", help="Only this station's connections."),
        click.option("--connection", metavar="C", help="Only this connection, e.g. c1."),
        click.option("--sender", type=click.Choice(get_args(Sender)), help="Only the frames that it sent."),
        click.option("--from", "since", type=moment, metavar="TIME", help="From this time on (ISO 8601)."),
        click.option("--to", "until", type=moment, metavar="TIME", help="Up to this time."),
        click.option("--limit", type=click.IntRange(min=1), metavar="N", help="At most so many."),
        click.option("--format", "form", type=click.Choice(["text", "json"]), default="text", show_default=True,
                     help="json: the capture's lines."),
    ]
    for option in reversed(options):
        function = option(function)
    return function


@command.command("list", epilog="""\b
Example:
  ocpp-proxy capture list captures --format json
""")
@click.argument("folder", type=FILE, default=Path("captures"))
@click.option("--format", "form", type=click.Choice(["text", "json"]), default="text", show_default=True,
              help="json: an object a capture.")
def list_(folder: Path, form: str) -> None:
    """The captures in FOLDER (default: captures), with what they hold. FOLDER may also be one capture."""
    if not folder.exists():
        raise BadInput("is not there; expected a folder with captures", str(folder))
    files = [folder] if folder.is_file() else sorted(
        file for file in folder.iterdir() if file.suffix in SUFFIXES and not file.name.startswith("."))
    if not files:
        click.echo(f"no captures in {folder}", err=True)
    for file in files:
        try:
            with _opened(file) as capture:
                size_bytes = sum(part.stat().st_size for part in _parts(file))
                click.echo(_FORMS[form](capture, summarise(capture), size_bytes))
        except BadInput as error:  # one file does not hide the others
            click.echo(f"ocpp-proxy: {error}", err=True)


def _parts(file: Path) -> list[Path]:
    log = file.with_name(file.name + "-wal")
    return [file, log] if log.exists() else [file]


def _summary_json(capture: Capture, summary: Summary, size_bytes: int) -> str:
    return dumps({
        "capture": str(capture.path), "kind": capture.kind, "tool": capture.header.tool,
        "time_scale": short(capture.header.time_scale), "stations": summary.stations,
        "connections": summary.connections,
        "frames": summary.frames, "findings": summary.findings, "gaps": summary.gaps, "lost": summary.lost,
        "first": summary.first and summary.first.isoformat(), "last": summary.last and summary.last.isoformat(),
        "size_bytes": size_bytes,
    })


def _summary_text(capture: Capture, summary: Summary, size_bytes: int) -> str:
    counts = [_counted(summary.connections, "connection"), _counted(summary.frames, "frame"),
              _counted(summary.findings, "finding")]
    if summary.gaps:
        counts.append(f"{_counted(summary.gaps, 'gap')} ({_counted(summary.lost, 'frame')} lost)")
    stations = ", ".join(safe(name) for name in summary.stations[:5])
    more = f" and {len(summary.stations) - 5} more" if len(summary.stations) > 5 else ""
    span = "empty"
    if summary.first is not None and summary.last is not None:
        first, last = (at.isoformat()[:19].split("T") for at in (summary.first, summary.last))
        span = f"{' '.join(first)} – {last[1] if first[0] == last[0] else ' '.join(last)} UTC"
    return "\n  ".join(filter(None, [
        f"{capture.path}  {_size(size_bytes)}", span, stations and f"stations: {stations}{more}", ", ".join(counts)]))


_FORMS: dict[str, Callable[[Capture, Summary, int], str]] = {"json": _summary_json, "text": _summary_text}


def _counted(count: int, what: str) -> str:
    return f"{count:,} {what}" + ("" if count == 1 else "s")


def _size(size_bytes: int) -> str:
    return f"{size_bytes / 1e6:.1f} MB" if size_bytes >= 1e5 else f"{size_bytes / 1e3:.1f} kB"


@command.command("show", epilog="""\b
Examples:
  ocpp-proxy capture show field.db --connection c1 --from 2026-11-21T09:00
  ocpp-proxy capture show field.db --sender csms --format json | head
""")
@click.argument("capture", type=FILE)
@_selection_options
def show(capture: Path, form: str, limit: int | None, **selection: Any) -> None:
    """The records of CAPTURE, one a line. Times are UTC."""
    with _opened(capture) as source:
        _write(islice(source.records(Selection(**selection)), limit), form)


@command.command("search", epilog="""\b
Examples:
  ocpp-proxy capture search field.db "CP001 Faulted"
  ocpp-proxy capture search field.db --action Reset --sender csms

\b
Words are found in any order and in any case, also as the beginning of a
longer one: `trigger` finds TriggerMessage.
""")
@click.argument("capture", type=FILE)
@click.argument("text", default="")
@click.option("--action", metavar="NAME", help="Only requests and answers of this action.")
@_selection_options
def search(capture: Path, text: str, action: str | None, form: str, limit: int | None, **selection: Any) -> None:
    """The frames of CAPTURE that hold every word of TEXT."""
    with _opened(capture) as source:
        found = islice(search_frames(source, text, Selection(**selection), action), limit)
        if not _write(found, form):
            click.echo("nothing found", err=True)


def _write(records: Iterable[Record], form: str) -> int:
    """How many records were written."""
    out = sys.stdout.buffer
    lines = RecordLines(shutil.get_terminal_size().columns if sys.stdout.isatty() else None)
    written = 0
    for written, record in enumerate(records, 1):  # noqa: B007 — counted for the caller
        shown = [encode(record)] if form == "json" else lines.of(record)
        out.write("".join(f"{line}\n" for line in shown).encode(errors="backslashreplace"))
    out.flush()
    return written


@command.command("export", epilog="""\b
Examples:
  ocpp-proxy capture export field.db --to jsonl --output field.jsonl
  ocpp-proxy capture export field.db --to jsonl | grep BootNotification
""")
@click.argument("capture", type=FILE)
@click.option("--to", "form", type=click.Choice(list(EXPORTS)), required=True, help="The format to write.")
@click.option("--output", type=FILE, metavar="FILE", help="A new file.  [default: stdout]")
def export(capture: Path, form: str, output: Path | None) -> None:
    """Write CAPTURE in another format."""
    with _opened(capture) as source, _progress("exported") as progress:
        if output is not None:
            export_file(source, form, output, progress)
        else:
            out = sys.stdout.buffer
            EXPORTS[form](source, out, progress)
            out.flush()


@command.command("import", epilog="""\b
Examples:
  ocpp-proxy capture import handwritten.jsonl --output field.db
  ocpp-proxy capture import field.db --output copy.db
""")
@click.argument("file", type=FILE)
@click.option("--output", type=FILE, required=True, metavar="CAPTURE",
              help="A new capture: lines if it ends in .jsonl, else a database.")
def import_(file: Path, output: Path) -> None:
    """Make a capture of FILE, which holds capture lines (JSONL) or is a capture itself."""
    with _opened(file) as source, _progress("imported") as progress:
        import_file(source, output, progress)


@contextmanager
def _opened(path: Path) -> Iterator[Capture]:
    """The capture, whose remarks are told at the end."""
    with open_capture(path) as capture:
        yield capture
        for remark in capture.remarks:
            click.echo(f"ocpp-proxy: {path}: {remark}", err=True)


@contextmanager
def _progress(done: str) -> Iterator[Progress]:
    """Tells on a terminal how many records are done."""
    if not sys.stderr.isatty():
        yield lambda _: None
        return
    told = [time.monotonic()]

    def tell(count: int) -> None:
        if time.monotonic() - told[0] > PROGRESS_INTERVAL_S:
            told[0] = time.monotonic()
            click.echo(f"\r{count:,} records {done}", nl=False, err=True)

    try:
        yield tell
    finally:
        click.echo("\r\x1b[K", nl=False, err=True)
