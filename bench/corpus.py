"""Documents to measure with: A4 pages at 200 dpi, no two alike in any band, kept in a folder between runs."""

from __future__ import annotations

import io
import random
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

A4 = (1654, 2339)
WORDS = ("layout", "region", "page", "server", "gateway", "token", "batch", "crop", "queue", "model", "order", "table")


def page(seed: int) -> Image.Image:
    """Sixty lines of words, each with a number of its own, so that no crop equals another."""
    chance = random.Random(seed)
    font = ImageFont.load_default(26)
    image = Image.new("RGB", A4, "white")
    draw = ImageDraw.Draw(image)
    for y in range(110, A4[1] - 110, 36):
        line = " ".join(chance.choice(WORDS) for _ in range(13)) + f" {chance.random():.6f}"
        draw.text((150, y), line, fill="black", font=font)
    return image


def pngs(folder: Path, count: int) -> list[Path]:
    """So many single pages."""
    paths = [folder / f"page-{seed:04}.png" for seed in range(count)]
    _make([(path, (seed,)) for seed, path in enumerate(paths) if not path.exists()])
    return paths


def pdf(folder: Path, pages: int, variant: int = 0) -> Path:
    """One PDF of so many scanned pages, other ones than those of `pngs` and of other variants.

    Up to a hundred pages are in colour (JPEG, 0.7 MB each), more are black and white (CCITT, 0.1 MB each).
    """
    path = folder / f"scan-{pages}-{variant}.pdf"
    first = 100_000 * (variant + 1) + 1000 * pages
    _make([(path, tuple(range(first, first + pages)))] if not path.exists() else [])
    return path


def _make(wanted: list[tuple[Path, tuple[int, ...]]]) -> None:
    with ProcessPoolExecutor() as pool:
        list(pool.map(_write, wanted, chunksize=8))


def _write(item: tuple[Path, tuple[int, ...]]) -> None:
    path, seeds = item
    path.parent.mkdir(parents=True, exist_ok=True)
    out = io.BytesIO()
    images = (page(seed).convert("1" if len(seeds) > 100 else "RGB") for seed in seeds)
    first = next(images)
    if path.suffix == ".png":
        first.save(out, "PNG", dpi=(200, 200))
    else:
        first.save(out, "PDF", save_all=True, append_images=images, resolution=200.0)
    partial = path.with_suffix(".part")
    partial.write_bytes(out.getvalue())
    partial.rename(path)
