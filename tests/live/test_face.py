from __future__ import annotations

import os
from pathlib import Path

import pytest
from live_screen import console_of
from live_story import Story, day
from rich.console import Console

from ocpp_proxy.live.face import Face


def test_the_stream_and_then_the_summary() -> None:
    console = console_of(80)
    face = Face("stream", Path("day.db"), console)
    for batch in day():
        face.show(batch)
    face.close()
    text = console.file.getvalue()  # type: ignore[attr-defined]
    assert 0 < text.index("→ csms BootNotification") < text.index("── Summary") < text.index("ocpp-proxy check day.db")
    face.close()
    assert console.file.getvalue() == text  # type: ignore[attr-defined]


def test_time_alone_reaches_the_stream() -> None:
    console = console_of(80)
    face = Face("stream", Path("day.db"), console)
    cp = Story()
    face.show(cp.call("csms", "ClearCache"))
    face.tick(cp.wait(31_000).now)
    face.close(summary=False)
    text = console.file.getvalue()  # type: ignore[attr-defined]
    assert "UNANSWERED" in text
    assert "Summary" not in text


def test_quiet_is_quiet() -> None:
    console = console_of(80)
    face = Face("quiet", Path("day.db"), console)
    face.show(day()[0])
    face.tick(Story().now)
    face.close()
    assert console.file.getvalue() == ""  # type: ignore[attr-defined]


@pytest.mark.skipif(os.name != "posix", reason="pipes by descriptor are for POSIX")
def test_a_reader_that_is_gone_gets_no_summary_and_breaks_nothing() -> None:
    read, write = os.pipe()
    os.close(read)
    with os.fdopen(write, "w", encoding="utf-8") as file:
        face = Face("stream", Path("day.db"), Console(file=file))
        for batch in day():
            face.show(batch)
        face.close()
