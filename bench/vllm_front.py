"""Read pages through vLLM's real front end without a GPU, and watch the recogniser live through its faults.

    scripts/vllm-front 10 page.png              # 10: vLLM 0.10.2, 33: vLLM 0.33.0
    scripts/vllm-front 33 --gateway http://127.0.0.1:8081 page.png      # through a gateway that uses port 8118

The kit with the fake executor is not part of this project; `--kit` or VLLM_KIT names its folder. It is installed into
`--folder` on first use (about a minute, 1.9 GB). The exit status is 1 when something came out otherwise than it should.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anyio
import httpx
from PIL import Image

from gateway.document import AS_THE_TASK_DOES, Recognition, Sampling, Task
from gateway.errors import BackendError, RegionFailed
from gateway.turns import Party
from gateway.vlm.client import Recognizer
from gateway.vlm.monitor import Monitor

MODEL = "PaddleOCR-VL-1.5-0.9B"
BANDS = 12
ROOT = Path(__file__).resolve().parents[1]


def say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


class Verdict:
    """Says what came out and remembers whether all was well."""

    fine = True

    def __call__(self, what: str, fine: bool, seen: object) -> None:
        self.fine &= fine
        say(f"{'ok  ' if fine else 'FAIL'} {what}: {seen}")


class Front:
    """The server process; its engine's script and step log are files."""

    def __init__(self, args: argparse.Namespace) -> None:
        self.python, self.model_dir = installed(args)
        self.args, self.url = args, f"http://127.0.0.1:{args.port}/v1"
        self.folder = Path(args.folder) / f"run{args.version}"
        self.folder.mkdir(exist_ok=True)
        self.control, self.steps = self.folder / "control.json", self.folder / "steps.jsonl"
        self.steps.unlink(missing_ok=True)
        self.process: subprocess.Popen[bytes] | None = None

    def start(self, *flags: str, cache_gb: int = 0) -> None:
        command = [self.python, f"{self.args.kit}/vllm_front.py", "--model-dir", self.model_dir]
        command += ["--port", str(self.args.port), "--ctl", str(self.control), "--log", str(self.steps)]
        with open(self.folder / "server.log", "ab") as log:
            rest = ["--", "--mm-processor-cache-gb", str(cache_gb), *flags]
            self.process = subprocess.Popen(command + rest, stdout=log, stderr=log, start_new_session=True)

    def restart(self, *flags: str, cache_gb: int = 0) -> None:
        self.kill()
        self.start(*flags, cache_gb=cache_gb)

    def script(self, **keys: Any) -> None:
        """Change what the engine does; see the kit's executor for the keys."""
        fresh = self.control.with_suffix(".new")
        fresh.write_text(json.dumps({**json.loads(self.control.read_text()), **keys}))
        fresh.replace(self.control)

    def events(self, kind: str) -> list[dict[str, Any]]:
        """What the engine logged: `new` and `gone` requests."""
        lines = self.steps.read_text().splitlines() if self.steps.exists() else []
        return [event for event in map(json.loads, lines) if event["event"] == kind]

    async def ended(self, limit: float) -> int | None:
        """The exit status, None if it still runs after `limit` seconds."""
        assert self.process
        await until(lambda: self.process is None or self.process.poll() is not None, limit)
        return self.process.returncode

    def kill(self) -> None:
        """End the whole process group: the engine is a process of its own."""
        if self.process:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()


def installed(args: argparse.Namespace) -> tuple[str, str]:
    """The interpreter and the model folder, made on first use."""
    folder = Path(args.folder)
    folder.mkdir(parents=True, exist_ok=True)
    python, model_dir = str(folder / f"v{args.version}/bin/python"), str(folder / f"m{args.version}")
    if not Path(python).exists():
        subprocess.run([f"{args.kit}/install.sh", args.version, folder / f"v{args.version}"], check=True)
    if not Path(model_dir).exists():
        arch = {"10": "qwen2_vl", "33": "paddleocr_vl"}[args.version]
        subprocess.run([python, f"{args.kit}/make_model.py", "--arch", arch, "--out", model_dir], check=True)
    return python, model_dir


def jpeg(image: Image.Image) -> bytes:
    file = io.BytesIO()
    image.convert("RGB").save(file, "JPEG", quality=90)
    return file.getvalue()


OVER_WINDOW = jpeg(Image.linear_gradient("L").resize((6000, 4000)))
OVER = Sampling(max_pixels=30_000_000)
"""A picture that has more tokens than the server's window, where requests may set their pixels."""


def bands(file: str) -> list[bytes]:
    """A page cut into bands, as a stand-in for regions."""
    page = Image.open(file)
    height = page.height / BANDS
    return [jpeg(page.crop((0, int(i * height), page.width, int((i + 1) * height)))) for i in range(BANDS)]


async def read_all(
    recognizer: Recognizer, crops: list[bytes], sampling: Sampling = AS_THE_TASK_DOES
) -> list[Recognition | Exception]:
    """Read crops at once, tables in turn with text; failures are results too."""
    results: list[Recognition | Exception] = [RuntimeError("not read")] * len(crops)

    async def read(index: int) -> None:
        try:
            task = Task.TABLE if index % 3 == 0 else Task.OCR
            results[index] = await recognizer.read(lambda: crops[index], task, sampling=sampling)
        except (BackendError, RegionFailed) as exc:
            results[index] = exc

    async with anyio.create_task_group() as tasks:
        for index in range(len(crops)):
            tasks.start_soon(read, index)
    return results


async def until(true: Callable[[], bool], limit: float) -> bool:
    with anyio.move_on_after(limit):
        while not true():  # noqa: ASYNC110 (what is waited for is in other processes)
            await anyio.sleep(0.05)
    return true()


async def becomes(monitor: Monitor, status: str, limit: float) -> bool:
    return await until(lambda: monitor.states[0].status == status, limit)


async def check_pages(recognizer: Recognizer, monitor: Monitor, files: list[str], verdict: Verdict) -> None:
    for file in files:
        began = time.monotonic()
        read = [r for r in await read_all(recognizer, bands(file)) if isinstance(r, Recognition)]
        tokens = sum(r.prompt_tokens for r in read), sum(r.completion_tokens for r in read)
        seen = f"{len(read)} of {BANDS} regions, {tokens[0]} + {tokens[1]} tokens, {time.monotonic() - began:.2f} s"
        verdict(Path(file).name, len(read) == BANDS and len({r.text for r in read}) > 1, seen)
        say(f"     {read[0].text[:70] if read else ''}")
    say(f"     mm_processor_kwargs {'taken' if monitor.backends[0].takes_pixels else 'refused, left out'}")


async def check_priority(recognizer: Recognizer, monitor: Monitor, crop: bytes, verdict: Verdict) -> None:
    """A document that may wait is read whether or not the server schedules by priority."""
    try:
        read = await recognizer.read(lambda: crop, Task.OCR, party=Party(1))
        taken = "taken" if monitor.backends[0].takes_priority else "refused, left out"
        verdict("a crop of a batch", bool(read.text), f"read, priority {taken}")
    except (BackendError, RegionFailed) as exc:
        verdict("a crop of a batch", False, exc)


async def check_crops(recognizer: Recognizer, verdict: Verdict) -> None:
    """Crops that vLLM refuses are the region's failure, and the next one is read."""
    page = Image.effect_noise((1200, 900), 60)
    cases = {
        "truncated JPEG": jpeg(page)[:3000],
        "no picture at all": b"hello world",
        "aspect 1:250": jpeg(Image.new("RGB", (2500, 10))),
    }
    for name, crop in cases.items():
        (result,) = await read_all(recognizer, [crop])
        verdict(name, isinstance(result, RegionFailed), f"{getattr(result, 'code', '')} {result}")
    (result,) = await read_all(recognizer, [jpeg(page)])
    verdict("the next crop", isinstance(result, Recognition), result)


async def check_limits(front: Front, recognizer: Recognizer, verdict: Verdict) -> None:
    """What is longer than may be is marked, halved, or the region's failure; the engine lives on."""
    front.script(eos=False)
    (cut,) = await read_all(recognizer, [jpeg(Image.new("RGB", (900, 300)))], Sampling(max_tokens=20))
    verdict("finish_reason length", isinstance(cut, Recognition) and cut.cut, cut)
    front.script(eos=True)
    (halved,) = await read_all(recognizer, [OVER_WINDOW], OVER)
    verdict("a picture over the window", isinstance(halved, Recognition), halved)
    (result,) = await read_all(recognizer, [jpeg(Image.new("RGB", (800, 300)))], Sampling(max_tokens=16384))
    verdict("more tokens than the window has", isinstance(result, Recognition | RegionFailed), result)


async def check_idle(recognizer: Recognizer, crops: list[bytes], verdict: Verdict) -> None:
    """vLLM closes idle connections after 5.0 s; no request meets that moment."""
    for pause in (2.9, 4.95, 5.0, 5.05):
        failed = failures(await read_all(recognizer, crops))
        await anyio.sleep(pause)
        failed += failures(await read_all(recognizer, crops))
        verdict(f"reads {pause} s apart", not failed, failed or "read")


async def check_addresses(front: Front, crop: bytes, verdict: Verdict) -> None:
    """A wrong model or path is the operator's to mend, and said so."""
    for what, url, model in (
        ("a model that is not served", front.url, "other"),
        ("a path that is not OpenAI's", front.url.replace("/v1", "/v2/v1"), MODEL),
    ):
        async with Monitor([url], model) as monitor, Recognizer(monitor, patience=2.0) as recognizer:
            (result,) = await read_all(recognizer, [crop])
        verdict(what, isinstance(result, BackendError), result)


async def check_cancel(front: Front, recognizer: Recognizer, crops: list[bytes], verdict: Verdict) -> None:
    """Cancelled reads leave the engine long before their tokens are made."""
    front.script(tokens=3000, per_token_ms=5)
    new, gone = len(front.events("new")), len(front.events("gone"))
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(read_all, recognizer, crops)
        await until(lambda: len(front.events("new")) - new == len(crops), 20)
        tasks.cancel_scope.cancel()
    front.script(tokens=10, per_token_ms=2.5)
    await read_all(recognizer, crops[:1])  # the step after an abort tells the executor
    await until(lambda: len(front.events("gone")) - gone >= len(crops), 5)
    made = [event["tokens"] for event in front.events("gone")[gone:]][: len(crops)]
    verdict("cancelled reads leave the engine", len(made) == len(crops) and max(made) < 3000, f"after {made} tokens")
    front.script(tokens=60)


async def check_hang(
    front: Front, monitor: Monitor, recognizer: Recognizer, crops: list[bytes], verdict: Verdict
) -> None:
    """A hung engine is noticed although /health is 200, and its reads end with the backend's error."""
    front.script(mode="hang")
    began = time.monotonic()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(read_all, recognizer, crops)
        noticed = await becomes(monitor, "hung", 30)
        verdict("a hanging engine", noticed, f"{monitor.states[0].status} after {time.monotonic() - began:.1f} s")
        await until(lambda: monitor.backends[0].in_flight == 0, 5)
        verdict("its requests", monitor.backends[0].in_flight == 0, f"{monitor.backends[0].in_flight} in flight")
        front.script(mode="run")
        verdict("ready once it runs", await becomes(monitor, "ready", 20), monitor.states[0].status)
    verdict("reads after the hang", not failures(await read_all(recognizer, crops)), "read")
    front.script(tokens=2000, per_token_ms=5)
    new, results = len(front.events("new")), []

    async def read() -> None:
        results.extend(await read_all(recognizer, crops))

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(read)
        await until(lambda: len(front.events("new")) - new == len(crops), 20)
        front.script(mode="hang", tokens=10)
        verdict("a hang in the middle of answers", await becomes(monitor, "hung", 30), monitor.states[0].status)
        with anyio.move_on_after(60):
            await until(lambda: len(results) == len(crops), 60)
        front.script(mode="run")
        ended = sum(isinstance(result, BackendError) for result in results)
        verdict("its reads", ended == len(crops), f"{ended} of {len(crops)} told that the backend is away")
    verdict("ready once it runs again", await becomes(monitor, "ready", 20), monitor.states[0].status)


def failures(results: list[Recognition | Exception]) -> list[str]:
    return [f"{type(r).__name__} {r}" for r in results if isinstance(r, Exception)]


async def check_death(
    front: Front, monitor: Monitor, recognizer: Recognizer, crops: list[bytes], verdict: Verdict, how: str
) -> None:
    """The server dies with requests in flight and is started again: every crop is read all the same."""
    front.script(tokens=400, per_token_ms=5)
    new, results, seen = len(front.events("new")), [], []
    async with anyio.create_task_group() as tasks:

        async def read() -> None:
            results.extend(await read_all(recognizer, crops))

        tasks.start_soon(read)
        await until(lambda: len(front.events("new")) - new == len(crops), 20)
        if how == "SIGTERM":
            assert front.process
            front.process.send_signal(signal.SIGTERM)
        elif how == "engine killed":
            os.kill(front.events("init")[-1]["pid"], signal.SIGKILL)
        else:
            front.script(mode={"engine raises": "raise", "engine exits": "exit"}[how])
        await until(lambda: not monitor.ready, 20)
        seen.append(monitor.states[0].status)
        code = await front.ended(12)
        front.kill()
        front.start()
        await becomes(monitor, "ready", 120)
    failed = failures(results)
    verdict(f"{how} in flight, exit {code}, {seen[0]}, restarted", not failed, failed or f"{len(results)} read")


async def direct(front: Front, files: list[str], verdict: Verdict) -> None:
    """The recogniser against the server, no gateway."""
    async with (
        Monitor([front.url], MODEL, hung_after=4.0) as monitor,
        Recognizer(monitor, patience=120.0) as recognizer,
        anyio.create_task_group() as tasks,
    ):
        tasks.start_soon(monitor.run)
        began = time.monotonic()
        verdict("while it starts", monitor.states[0].status == "starting", monitor.states[0].status)
        ready = await becomes(monitor, "ready", 120)
        verdict("ready", ready, f"after {time.monotonic() - began:.0f} s, {monitor.states[0]}")
        crops = bands(files[0])
        await check_pages(recognizer, monitor, files, verdict)
        await check_priority(recognizer, monitor, crops[0], verdict)
        await check_crops(recognizer, verdict)
        await check_limits(front, recognizer, verdict)
        await check_idle(recognizer, crops, verdict)
        await check_addresses(front, crops[0], verdict)
        await check_cancel(front, recognizer, crops, verdict)
        for how in ("engine raises", "engine exits", "engine killed", "SIGTERM"):
            await check_death(front, monitor, recognizer, crops, verdict, how)
        tasks.cancel_scope.cancel()
    async with (
        Monitor([front.url], MODEL, hung_after=4.0) as monitor,
        Recognizer(monitor, patience=2.0) as recognizer,
        anyio.create_task_group() as tasks,
    ):
        tasks.start_soon(monitor.run)
        await becomes(monitor, "ready", 120)
        await check_hang(front, monitor, recognizer, crops, verdict)
        tasks.cancel_scope.cancel()


async def guarded(front: Front, files: list[str], verdict: Verdict) -> None:
    """Against a server that wants a key."""
    async with (
        Monitor([front.url], MODEL) as monitor,
        Recognizer(monitor) as recognizer,
        anyio.create_task_group() as tasks,
    ):
        tasks.start_soon(monitor.run)
        await until_ready(monitor)
        (result,) = await read_all(recognizer, bands(files[0])[:1])
        verdict("a key that is not ours", isinstance(result, BackendError), result)
        tasks.cancel_scope.cancel()


async def with_its_cache(front: Front, files: list[str], verdict: Verdict) -> None:
    """0.10.2 stops for good when a refused picture comes again while its cache of pictures is on, /health stays 200:
    it has to be seen and handed on to be restarted. 0.33.0 goes on."""
    asked: list[str] = []

    async def restart(url: str) -> bool:
        asked.append(url)
        return True

    async with (
        Monitor([front.url], MODEL, hung_after=4.0, restart=restart, restart_after=2.0) as monitor,
        Recognizer(monitor, patience=2.0, request_limit=30.0) as recognizer,
        anyio.create_task_group() as tasks,
    ):
        tasks.start_soon(monitor.run)
        await until_ready(monitor)
        await check_priority(recognizer, monitor, bands(files[0])[0], verdict)
        for _ in range(2):
            await read_all(recognizer, [OVER_WINDOW], OVER)
        failed = failures(await read_all(recognizer, bands(files[0])))
        if failed:
            await until(lambda: bool(asked), 30)
        verdict("a refused picture again", not failed or asked == [front.url], failed[:1] or "read, and so are others")
        say(f"     {monitor.states[0].status}, restarts asked for: {len(asked)}")
        tasks.cancel_scope.cancel()


async def until_ready(monitor: Monitor) -> None:
    with anyio.fail_after(120):
        while not monitor.ready:
            await monitor.probe()
            await anyio.sleep(0.2)


async def sees_backend(http: httpx.AsyncClient) -> bool:
    try:
        return (await http.get("/health/vllm")).status_code == 200
    except httpx.ConnectError:
        return False


async def through_gateway(url: str, files: list[str], verdict: Verdict) -> None:
    """The pages through a gateway whose VLM_URLS name this server's port."""
    async with httpx.AsyncClient(base_url=url, timeout=300) as http:
        with anyio.fail_after(180):
            while not await sees_backend(http):  # noqa: ASYNC110 (what is waited for is in other processes)
                await anyio.sleep(0.5)
        for file in files:
            content = await anyio.Path(file).read_bytes()
            answer = await http.post("/ocr", content=content, headers={"accept": "text/markdown"})
            verdict(Path(file).name, answer.status_code == 200, answer.status_code)
            say(answer.text)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("version", choices=["10", "33"])
    parser.add_argument("pages", nargs="+", metavar="PAGE")
    parser.add_argument("--kit", default=os.environ.get("VLLM_KIT", str(ROOT / "../shared/vllm")))
    parser.add_argument("--folder", default=str(ROOT / "run/vllm"))
    parser.add_argument("--port", type=int, default=8118)
    parser.add_argument("--gateway", metavar="URL")
    args = parser.parse_args()
    verdict = Verdict()
    front = Front(args)
    try:
        front.start()
        if args.gateway:
            anyio.run(through_gateway, args.gateway, args.pages, verdict)
        else:
            anyio.run(direct, front, args.pages, verdict)
            front.restart("--api-key", "secret")
            anyio.run(guarded, front, args.pages, verdict)
            trusted = ["--trust-request-mm-kwargs"] if args.version == "33" else []
            front.restart(*trusted, "--scheduling-policy", "priority", cache_gb=4)
            anyio.run(with_its_cache, front, args.pages, verdict)
    finally:
        front.kill()
    return 0 if verdict.fine else 1


if __name__ == "__main__":
    sys.exit(main())
