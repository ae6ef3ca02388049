"""Single keys of the terminal that the relay was started in: `p` is the panic key.

Decides when the keyboard may be read: never from the background, where reading would stop the whole process. Ctrl-C and
Ctrl-Z stay what they are. Refuses to know what a key does. Not on Windows, whose terminals know no such mode.

Source: POSIX.1-2017, General Terminal Interface, sections 11.1.4 (terminal access control) and 11.1.7.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any

if sys.platform != "win32":
    import termios
    import tty


@contextmanager
def keys(does: Mapping[str, Callable[[], None]]) -> Iterator[bool]:
    """While the block runs, these keys do that; gives whether there is a keyboard to press them on, which is left alone
    where there are no keys. To be entered within a running loop."""
    keyboard = _Keyboard(does) if does and sys.platform != "win32" and _is_ours(sys.stdin) else None
    if keyboard is not None:
        keyboard.listen()
    try:
        yield keyboard is not None
    finally:
        if keyboard is not None:
            keyboard.leave()


class _Keyboard:
    def __init__(self, does: Mapping[str, Callable[[], None]]) -> None:
        self._does = does
        self._loop = asyncio.get_running_loop()
        self._fd = sys.stdin.fileno()
        self._as_it_was: list[Any] | None = None
        self._listens = False

    def listen(self) -> None:
        """Take over, and again whenever the process comes back to the foreground."""
        with suppress(NotImplementedError):
            self._loop.add_signal_handler(signal.SIGCONT, self._back)
        self._take()

    def leave(self) -> None:
        """The terminal is as it was before."""
        with suppress(NotImplementedError):
            self._loop.remove_signal_handler(signal.SIGCONT)
        self._let_go()
        if self._as_it_was is not None and _in_front(self._fd):
            with suppress(termios.error):
                termios.tcsetattr(self._fd, termios.TCSADRAIN, self._as_it_was)

    def _take(self) -> None:
        if self._listens or not _in_front(self._fd):
            return
        try:
            self._as_it_was = self._as_it_was or termios.tcgetattr(self._fd)
            tty.setcbreak(self._fd)
            self._loop.add_reader(self._fd, self._pressed)
        except (OSError, termios.error):  # a terminal that is gone
            return
        self._listens = True

    def _let_go(self) -> None:
        if self._listens:
            self._loop.remove_reader(self._fd)
            self._listens = False

    def _back(self) -> None:
        self._let_go()
        self._take()

    def _pressed(self) -> None:
        if not _in_front(self._fd):
            self._let_go()
            return
        try:
            pressed = os.read(self._fd, 64)
        except OSError:
            pressed = b""
        if not pressed:
            self._let_go()
        for key in pressed.decode(errors="replace"):
            if (do := self._does.get(key.lower())) is not None:
                do()


def _is_ours(stream: Any) -> bool:
    try:
        return bool(stream.isatty()) and _in_front(stream.fileno())
    except (AttributeError, ValueError, OSError):  # there is none, or it was closed
        return False


def _in_front(fd: int) -> bool:
    try:
        return os.tcgetpgrp(fd) == os.getpgrp()
    except OSError:
        return False
