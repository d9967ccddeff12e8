"""`images=overlay` of `/ocr`."""

from __future__ import annotations

import base64
import io

import documents
from PIL import Image
from running import gateway, lines
from vlm_standin import Standin


async def test_every_page_comes_with_what_was_found_drawn_on_it() -> None:
    """A PNG of the page's size under the page's images, whole or streamed; without the option there is none."""
    async with Standin() as vlm, gateway(vlm.url) as running:
        document = documents.tiff(["a", "b"])
        whole = (await running.ocr(document, images="overlay")).json()["pages"]
        streamed = lines(await running.ocr(document, {"accept": "application/x-ndjson"}, images="overlay"))
        plain = (await running.ocr(document)).json()["pages"]
    assert [list(page["images"]) for page in whole] == [["imgs/overlay_page_1.png"], ["imgs/overlay_page_2.png"]]
    assert [page["images"] for page in streamed[:2]] == [page["images"] for page in whole]
    assert [page["images"] for page in plain] == [{}, {}]
    picture = Image.open(io.BytesIO(base64.b64decode(whole[0]["images"]["imgs/overlay_page_1.png"])))
    assert (picture.format, picture.size) == ("PNG", (400, 200))
    colours = picture.convert("RGB").getcolors(1 << 20)
    assert colours is not None and any(max(colour) - min(colour) > 60 for _, colour in colours)
