"""What all tests share: in CI nothing may be skipped but what needs the reference corpus, and examples are the same
each time, so that a run fails for what was changed."""

from __future__ import annotations

import os
import signal

import pytest
from hypothesis import settings

# No test fails by the clock.
settings.register_profile("here", deadline=None)
settings.register_profile("ci", deadline=None, derandomize=True)
settings.load_profile("ci" if os.environ.get("CI") else "here")


if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:  # in the background; what tests start would inherit it
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True, scope="session")
def _own_runtime_folder(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Runs leave word of themselves where only these tests look."""
    os.environ["XDG_RUNTIME_DIR"] = str(tmp_path_factory.mktemp("runtime"))


CORPUS_REASON = "OCPP_CORPUS"


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    for place, reason in _unwanted_skips(terminalreporter):
        terminalreporter.write_line(f"not allowed to be skipped here: {place}: {reason}", red=True)


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if session.exitstatus == pytest.ExitCode.OK and reporter and list(_unwanted_skips(reporter)):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def _unwanted_skips(reporter: pytest.TerminalReporter) -> list[tuple[str, str]]:
    if not os.environ.get("OCPP_PROXY_NO_SKIPS"):
        return []
    skips = [(f"{report.longrepr[0]}:{report.longrepr[1]}", str(report.longrepr[2]))
             for report in reporter.stats.get("skipped", []) if isinstance(report.longrepr, tuple)]
    return [(place, reason) for place, reason in skips if CORPUS_REASON not in reason]
