"""The page for people, as it is served; `test_page_in_a_browser` uses it."""

from __future__ import annotations

import base64
import io
import re
from pathlib import Path

import documents
import httpx
from PIL import Image
from running import gateway as running_gateway
from vlm_standin import Standin

import gateway.api.page

FILES = Path(gateway.api.page.__file__).parent


async def test_the_page_loads_nothing_from_elsewhere() -> None:
    """Every file that the page names is served, with a policy that lets nothing else in."""
    async with Standin() as vlm, running_gateway(vlm.url) as running:
        index = await running.http.get("/")
        named = set(re.findall(r'(?:src|href)="(/page/[^"]+)"', index.text))
        named |= {path for file in FILES.glob("*.js") for path in re.findall(r'from "([^"]+)"', file.read_text())}
        answers = {path: await running.http.get(path) for path in named}
    assert index.headers["content-type"] == "text/html; charset=utf-8"
    assert {path.rpartition("/")[2] for path in named} | {"index.html", "__init__.py"} == {
        file.name for file in FILES.iterdir() if file.is_file()
    }
    for answer in (index, *answers.values()):
        assert answer.status_code == 200
        policy = answer.headers["content-security-policy"]
        assert "default-src 'none'" in policy and "unsafe" not in policy and "http" not in policy
    text = "".join(file.read_text() for file in FILES.iterdir() if file.is_file())
    assert set(re.findall(r"https?://[^\s\"')]+", text)) <= {
        "http://www.w3.org/2000/svg",
        "http://www.w3.org/1998/Math/MathML",
    }


def test_no_html_is_made_of_strings() -> None:
    """What documents say gets into the page as text, but for tables, which are parsed apart and rebuilt."""
    text = "".join(file.read_text() for file in FILES.glob("*.js"))
    assert re.findall(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(", text) == []
    assert text.count("createHTML(") == text.count("DOMParser()") == 1


async def test_the_page_can_be_turned_off() -> None:
    """Then there is nothing at its paths; the rest goes on."""
    async with Standin() as vlm, running_gateway(vlm.url, page="off") as running:
        statuses = [(await running.http.get(path)).status_code for path in ("/", "/page/app.js", "/health")]
    assert statuses == [404, 404, 200]


async def test_the_page_wants_a_key_where_all_do() -> None:
    """With keys configured it is no way around them."""
    async with Standin() as vlm, running_gateway(vlm.url, gateway_api_keys="sesame") as running:
        for path in ("/", "/page/app.js"):
            assert (await running.http.get(path)).status_code == 401
            answer = await running.http.get(path, headers={"X-API-Key": "sesame"})
            assert answer.status_code == httpx.codes.OK


async def test_images_page_shows_every_page_beside_its_pictures() -> None:
    """`images=page`, which the page asks for, gives each page as a JPEG no side of which is over 1600 pixels."""
    async with Standin() as vlm, running_gateway(vlm.url) as running:
        (page,) = (await running.ocr(documents.png("a", (3200, 800)), images="page")).json()["pages"]
    assert list(page["images"]) == ["imgs/page_1.jpg"]
    picture = Image.open(io.BytesIO(base64.b64decode(page["images"]["imgs/page_1.jpg"])))
    assert (picture.format, picture.size) == ("JPEG", (1600, 400))
