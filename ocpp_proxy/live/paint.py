"""How a line gets its colours and keeps to its width.

Decides which style a kind of text has, whether there is colour at all (never in a pipe, never with NO_COLOR), and
where a line is cut. Refuses to know what the lines say (`lines`). Styles are turned into escape sequences once, by
rich; after that a line is put together without it, since rich takes a hundred microseconds a line.

Source: https://no-color.org
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeAlias

from rich.cells import chop_cells
from rich.color import ColorSystem
from rich.console import COLOR_SYSTEMS, Console
from rich.style import Style

from ocpp_proxy.live.safe import fit, width_of

# (style, text); a line is a list of them. "" is the terminal's own colour.
Segment: TypeAlias = tuple[str, str]
Line: TypeAlias = list[Segment]

STYLES = {
    "dim": "dim",
    "strong": "bold",
    "to-csms": "green",
    "to-station": "bright_blue",
    "good": "green",
    "slow": "yellow",
    "error": "bold red",
    "warning": "bold yellow",
    "info": "bold cyan",
    "mark": "bold magenta",
    "loud": "bold white on red",
    # Middle tones, which are seen on light and dark alike, and none that could be taken for a severity.
    "station0": "color(37)",
    "station1": "color(98)",
    "station2": "color(67)",
    "station3": "color(64)",
    "station4": "color(97)",
    "station5": "color(30)",
}
STATION_COLOURS = 6


class Painter:
    """Turns segments into the text for one console. `width` is None where lines have no limit (no terminal)."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self.terminal = console.is_terminal
        system = COLOR_SYSTEMS.get(console.color_system or "")
        coloured = self.terminal and not console.no_color and system is not None
        self._codes = {name: _around(style, system) for name, style in STYLES.items()} if coloured else {}
        self.width: int | None = None
        self.measure()

    def measure(self) -> None:
        """Look how wide the terminal is now."""
        self.width = max(self._console.width, 20) if self.terminal else None

    def line(self, segments: Iterable[Segment], *, cut: bool = True) -> str:
        """One line, cut to the width unless it has to be whole (to be copied), with its line end."""
        left = self.width if cut else None
        painted: list[str] = []
        for style, text in segments:
            if left is not None:
                cells = width_of(text)
                if cells > left:
                    text = fit(text, left)
                    cells = left
                left -= cells
            codes = self._codes.get(style)
            painted.append(f"{codes[0]}{text}{codes[1]}" if codes else text)
            if left == 0:
                break
        painted.append("\n")
        return "".join(painted)


def _around(style: str, system: ColorSystem | None) -> tuple[str, str]:
    before, _, after = Style.parse(style).render("\0", color_system=system).partition("\0")
    return before, after


def wrap(text: str, cells: int) -> list[str]:
    """`text` in lines of at most `cells` cells, broken between words where possible."""
    lines: list[str] = []
    line = ""
    for word in text.split():
        for part in chop_cells(word, cells) if width_of(word) > cells else [word]:
            if line and width_of(line) + 1 + width_of(part) > cells:
                lines.append(line)
                line = ""
            line = f"{line} {part}" if line else part
    if line:
        lines.append(line)
    return lines
