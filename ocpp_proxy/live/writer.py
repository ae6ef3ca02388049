"""Lines to a terminal, a pipe or a file, from a thread of their own.

Decides what happens when the reader of our output is slow, stuck or gone: a slow one gets everything a little later,
a stuck one misses lines and is told how many, and after a broken pipe nothing is written any more. The relay never
waits in any of these cases. Refuses to know what the lines say.

A terminal or pipe is written by descriptor, past Python's buffer: a thread stuck in that buffer would keep its lock,
and the interpreter could not end.

Source: own decision.
"""

from __future__ import annotations

import os
import select
import threading
from collections import deque
from typing import IO

LINES_KEPT = 10_000
# For outputs that cannot show them; as wide as what they replace, so that columns stay.
_PLAIN = str.maketrans({"→": ">", "←": "<", "✓": "+", "✗": "x", "·": "-", "…": "~", "─": "-", "└": "`", "●": "*",
                        "○": "o", "│": "|", "×": "x"})
_CHUNK_BYTES = 65_536


class Writer:
    """Takes text from one thread and writes it in another. Not for more than one producer."""

    def __init__(self, file: IO[str], encoding: str, lines_kept: int = LINES_KEPT) -> None:
        self.broken = False
        self.lines_dropped = 0
        self._file = file
        self._encoding = encoding
        self._fd = _descriptor(file)
        self._kept = lines_kept
        self._queue: deque[tuple[str, int]] = deque()
        self._work = threading.Event()
        self._closing = False
        self._lines_put = 0
        self._lines_done = 0  # written by the thread only: the difference is what waits
        self._missing = 0
        self._thread = threading.Thread(target=self._run, name="stream-view", daemon=True)
        self._thread.start()

    def put(self, text: str, lines: int) -> None:
        """Queue `text`, whole lines, or count it as not shown where too much waits already. Never blocks."""
        if self.broken or not lines:
            return
        if self._lines_put - self._lines_done >= self._kept:
            self._missing += lines
            self.lines_dropped += lines
            return
        self._tell_missing()
        self._push(text, lines)

    def close(self, timeout_s: float = 2.0) -> bool:
        """Write what waits, for at most `timeout_s` seconds. True if all of it was written."""
        self._tell_missing()
        self._closing = True
        self._work.set()
        self._thread.join(timeout_s)
        return not self._thread.is_alive() and not self.broken

    def _tell_missing(self) -> None:
        if self._missing:
            missing, self._missing = self._missing, 0
            self._push(f"… {missing:,} lines not shown: the output was too slow\n".replace(",", " "), 1)

    def _push(self, text: str, lines: int) -> None:
        self._lines_put += lines
        self._queue.append((text, lines))
        self._work.set()

    def _run(self) -> None:
        try:
            while True:
                self._work.wait()
                self._work.clear()
                closing = self._closing  # read before the queue, so that nothing put earlier is left behind
                self._drain()
                if closing:
                    return
        except (OSError, ValueError):  # EPIPE, EIO of a terminal that is gone; ValueError of a closed file
            self.broken = True
            self._queue.clear()

    def _drain(self) -> None:
        while self._queue:
            texts: list[str] = []
            size = lines = 0
            while self._queue and size < _CHUNK_BYTES:
                text, count = self._queue.popleft()
                texts.append(text)
                size += len(text)
                lines += count
            self._write("".join(texts))
            self._lines_done += lines

    def _write(self, text: str) -> None:
        try:
            data = text.encode(self._encoding)
        except UnicodeEncodeError:
            data = text.translate(_PLAIN).encode(self._encoding, "backslashreplace")
            text = data.decode(self._encoding)
        if self._fd is None:
            self._file.write(text)
            self._file.flush()
            return
        view = memoryview(data)
        while view:
            try:
                view = view[os.write(self._fd, view):]
            except BlockingIOError:  # someone made the terminal non-blocking
                select.select([], [self._fd], [])


def _descriptor(file: IO[str]) -> int | None:
    if os.name != "posix":  # a Windows console wants its text through Python's file
        return None
    try:
        file.flush()
        return file.fileno()
    except (OSError, ValueError, AttributeError):
        return None
