"""What was done to a page before it was read, for people to look at."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageDraw

from gateway.document import Pixels, Preparation
from gateway.regions.lettering import font_of

_CAPTION = 25
"""Pixels under the pictures, as in PaddleX's; pages that are large get more."""


def prepared(given: Pixels, page: Pixels, done: Preparation) -> Pixels:
    """The page as it came, turned upright and as it was read, side by side, each with its name below."""
    turned = np.rot90(given, (done.angle or 0) // 90)
    parts = {
        "Original Image": given,
        f"Rotated Image ({done.angle is not None}, {-1 if done.angle is None else done.angle})": turned,
        f"Unwarping Image ({done.unwarped})": page,
    }
    height = max(part.shape[0] for part in parts.values())
    caption = max(_CAPTION, height // 50)
    sheet = Image.new("RGB", (sum(part.shape[1] for part in parts.values()), height + caption), "white")
    draw = ImageDraw.Draw(sheet)
    left = 0
    for name, part in parts.items():
        sheet.paste(Image.fromarray(np.ascontiguousarray(part)), (left, 0))
        size = 0.7 * caption
        size = min(size, size * (part.shape[1] - 10) / font_of(size).getlength(name))
        draw.text((left + 5, height + caption // 2), name, "black", font_of(max(4.0, size)), anchor="lm")
        left += part.shape[1]
    return np.asarray(sheet)
