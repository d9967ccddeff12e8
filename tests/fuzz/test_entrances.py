"""Every entrance under what nobody would write by hand; findings of longer runs stand here as seeds."""

from __future__ import annotations

import os
import random
import re
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import anyio
import pytest
from fuzz.entrances import CONTENT_TYPES, decoded, mutations, seeds, submitted, told
from hypothesis import example, given, settings
from hypothesis import strategies as st
from running import gateway
from serving import serving
from vlm_standin import Standin

from gateway.intake.pages import Decoder

texts = st.text(st.characters(codec=None, exclude_categories=()), max_size=200)
names = texts | st.sampled_from(["image", "url", "pages"])
json_like = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(names, inner),
    max_leaves=8,
)


@settings(max_examples=300, deadline=None)
@example("\ud800")
@example("http://127.0.0.1/\ud800")
@example("[::1")
@example("//\\")
@given(texts)
def test_any_text_is_taken_or_refused(text: str) -> None:
    """No text at any door ends in anything but a result or an error with a status."""
    told(text)


@settings(max_examples=150, deadline=None)
@example(
    b"multipart/form-data; boundary=B; charset=undefined", b'--B\r\nContent-Disposition: form-data; name="a"\r\n\r\n'
)
@example(b"multipart/form-data; boundary=" + b"B" * 10_000, b"--B\r\n")
@given(st.sampled_from(CONTENT_TYPES) | st.binary(max_size=60), st.binary(max_size=300))
def test_any_body_is_taken_or_refused(content_type: bytes, body: bytes) -> None:
    """No body of any type ends in anything but a submission or an error with a status."""
    submitted(content_type, body)


@settings(max_examples=150, deadline=None)
@example({"url": "http://127.0.0.1/\ud800"})
@example({"\ud800": 1})
@given(json_like)
def test_any_json_is_taken_or_refused(value: object) -> None:
    """Any value may be a body, half surrogate pairs and numbers that are none included."""
    import json

    submitted(b"application/json", json.dumps(value).encode())


async def test_broken_documents_of_every_format_are_drawn_or_refused(figures: Callable[[str], None]) -> None:
    """Whatever is broken in a file costs that file; the decoder's processes answer the next one."""
    ends: Counter[str] = Counter()
    async with Decoder(workers=2, max_pixels=10_000_000, page_timeout_s=10) as decoder:
        for name, data in seeds().items():
            broken = mutations(data, random.Random(name))
            for _ in range(60):
                ends[await decoded(decoder, next(broken))] += 1
        for data in seeds().values():
            await decoded(decoder, data)
    figures(f"{sum(ends.values())} broken documents: {dict(ends)}")
    assert set(ends) > {"drawn", "corrupt_document"}


async def test_broken_http_never_ends_in_500(figures: Callable[[str], None]) -> None:
    """Requests broken anywhere are answered below 500 or cut off, and the next one is served."""
    whole = (
        b"POST /ocr?pages=1 HTTP/1.1\r\nHost: a\r\nContent-Type: image/png\r\nX-Request-ID: a\r\nAccept: */*\r\n"
        b"Content-Length: 9\r\n\r\nnot a PNG",
        b"POST /ocr HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nnot a PNG\r\n0\r\n\r\n",
        b"GET /health?a=b HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
        b"POST /ocr HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n"
        b'Content-Length: 17\r\n\r\n{"image": "AAAA"}',
    )
    ends: Counter[str] = Counter()
    async with Standin() as vlm, gateway(vlm.url) as running:
        for seed, request in enumerate(whole):
            broken = mutations(request, random.Random(seed))
            for _ in range(60):
                async with await anyio.connect_tcp("127.0.0.1", running.port) as stream:
                    try:
                        await stream.send(next(broken))
                        with anyio.move_on_after(0.1):
                            got = await stream.receive()
                            ends[got.split(b" ")[1].decode()] += 1
                    except (anyio.EndOfStream, anyio.BrokenResourceError):
                        ends["closed"] += 1
        assert (await running.http.get("/health")).status_code == 200
    figures(f"{sum(ends.values())} broken requests: {dict(ends)}")
    assert "500" not in ends


async def test_inputs_that_follow_the_code_are_taken_or_refused(figures: Callable[[str], None], tmp_path: Path) -> None:
    """atheris finds no document, body or text that ends in anything but a result or an error with a status, that takes
    20 seconds, or that takes 2 GiB."""
    pytest.importorskip("atheris")  # there are no wheels for other processors
    root = Path(__file__).parents[2]
    command = [sys.executable, "-m", "fuzz.guided", str(tmp_path / "corpus"), "-runs=10000", "-seed=1"]
    paths = {"PYTHONPATH": f"{root / 'tests'}:{root}"}
    done = await anyio.run_process(command, check=False, cwd=tmp_path, env={**os.environ, **paths})
    said = done.stderr.decode()
    assert done.returncode == 0, said[-4000:]
    memory, runs = re.search(r"peak_rss_mb: *(\d+)", said), re.search(r"Done (\d+) runs", said)
    assert memory and runs and int(runs[1]) == 10_000
    figures(f"atheris: {runs[1]} inputs, {memory[1]} MiB")


@pytest.mark.timeout(180)
async def test_the_service_keeps_to_its_description(figures: Callable[[str], None]) -> None:
    """Schemathesis finds no answer that `/openapi.json` does not describe, and none of 500."""
    pytest.importorskip("schemathesis")
    checks = "status_code_conformance,content_type_conformance,response_schema_conformance"
    options = ["--seed", "1", "--max-examples", "10", "--checks", checks, "--continue-on-failure", "--no-color"]
    command = [sys.executable, "-m", "schemathesis.cli", "run", *options]
    async with Standin() as vlm, serving(vlm.url) as running:
        vlm.streams = False
        done = await anyio.run_process([*command, f"{running.http.base_url}/openapi.json"], check=False)
        counted = (await running.http.get("/metrics")).text
    output = done.stdout.decode()
    figures("schemathesis: " + ", ".join(re.findall(r"\d+ generated.*", output)))
    assert done.returncode == 0, output[-4000:]
    assert 'status="500"' not in counted
