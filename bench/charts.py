"""Bars of measured rows as PNG files, one for each figure that has a chart in docs/performance.md."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from PIL import Image, ImageDraw, ImageFont

FIGURES = {
    "pages_s": ("performance-pages.png", "pages a second", 1.0),
    "cpu_page": ("performance-cpu.png", "CPU ms a page", 1000.0),
    "p95": ("performance-p95.png", "95 of 100 answers within so many ms", 1.0),
    "peak_mb": ("performance-memory.png", "memory at its peak, MB", 1.0),
}
_WIDTH, _BAR, _NAMES = 1000, 26, 420
_COLOURS = {"gateway": "#1f77b4", "official, default": "#bbbbbb", "official, tuned": "#ff7f0e"}


def draw(rows: Sequence[dict[str, Any]], folder: Path) -> None:
    """A file for every figure in `folder`; of rows measured again, the last counts."""
    folder.mkdir(parents=True, exist_ok=True)
    last = {(row["scenario"], row["seqs"], row["server"]): row for row in rows}
    for figure, (name, title, factor) in FIGURES.items():
        bars = [
            (f"{server}: {scenario} ({seqs} seqs)", row[figure] * factor, _COLOURS.get(server, "black"))
            for (scenario, seqs, server), row in sorted(last.items())
        ]
        _chart(title, bars).save(folder / name, optimize=True)


def _chart(title: str, bars: Sequence[tuple[str, float, str]]) -> Image.Image:
    font = ImageFont.load_default(15)
    image = Image.new("RGB", (_WIDTH, _BAR * (len(bars) + 2)), "white")
    pen = ImageDraw.Draw(image)
    pen.text((_NAMES, 6), title, "black", font)
    scale = (_WIDTH - _NAMES - 90) / max((value for _, value, _ in bars), default=1.0)
    for line, (label, value, colour) in enumerate(bars, 1):
        top = line * _BAR + 8
        pen.text((_NAMES - 10, top), label, "black", font, anchor="ra")
        end = _NAMES + max(1, round(value * scale))
        pen.rectangle((_NAMES, top, end, top + _BAR - 8), colour)
        pen.text((end + 8, top), f"{value:.2f}" if value < 10 else f"{value:.0f}", "black", font)
    return image
