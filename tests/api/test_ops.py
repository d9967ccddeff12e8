"""What probes and operators are told is true, at once, and as documented."""

from __future__ import annotations

import anyio
import documents
from openapi_spec_validator import validate
from running import gateway
from vlm_standin import Standin

from gateway.api import schemas
from gateway.api.problems import TITLES


async def test_health_follows_the_backend_through_its_life() -> None:
    """503 `starting`, 200 `ok`, 200 `degraded` within the grace, 200 `ok` again."""
    vlm = Standin()
    async with gateway(vlm.url, wait=False) as running:
        await running.service.monitor.probe()
        await running.service.layout.wait_ready()
        for path, word in (("/health", "starting"), ("/health/ready", "starting"), ("/health/vllm", "starting")):
            answer = await running.http.get(path)
            assert (answer.status_code, answer.json()["status"]) == (503, word), path
        async with vlm:
            await running.service.wait_until_ready(20)
            for path, word in (("/health", "ok"), ("/health/ready", "ready"), ("/health/vllm", "ready")):
                answer = await running.http.get(path)
                assert (answer.status_code, answer.json()["status"]) == (200, word), path
        away = await running.http.get("/health/vllm")
        assert (away.status_code, away.json()["status"]) == (503, "unreachable")
        assert away.json()["last_ready_at"] < away.json()["checked_at"]
        degraded = await running.http.get("/health")
        assert (degraded.status_code, degraded.json()["status"]) == (200, "degraded")
        assert (await running.http.get("/health/ready")).status_code == 503
        assert (await running.http.get("/health/live")).status_code == 200


async def test_health_satisfies_clients_of_the_official_server() -> None:
    """`errorCode` 0 and `Healthy` while requests are served, the envelope with 503 while not."""
    vlm = Standin()
    async with gateway(vlm.url, wait=False) as running:
        cold = (await running.http.get("/health")).json()
        async with vlm:
            await running.service.wait_until_ready(20)
            answer = await running.http.get("/health")
    assert (cold["errorCode"], cold["errorMsg"]) == (503, "starting")
    assert answer.json() == {
        "status": "ok",
        "logId": answer.headers["x-request-id"],
        "errorCode": 0,
        "errorMsg": "Healthy",
    }
    schemas.HealthShape.model_validate(answer.json())


async def test_a_backend_away_for_longer_than_the_grace_is_unavailable() -> None:
    """`/health` then tells the platform to restart the pod."""
    async with Standin() as vlm, gateway(vlm.url, health_grace_s=0) as running:
        vlm.health = 500
        answer = await running.http.get("/health/vllm")
        assert (answer.status_code, answer.json()["status"]) == (503, "unhealthy")
        answer = await running.http.get("/health")
        assert (answer.status_code, answer.json()["status"]) == (503, "unavailable")


async def test_health_answers_from_memory_while_the_backend_does_not_answer() -> None:
    """A backend whose `/health` hangs holds up nobody who asks ours."""
    async with Standin() as vlm, gateway(vlm.url) as running:
        vlm.health = None
        asked = vlm.health_asked
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(running.http.get, "/health/vllm")
            await vlm.until(lambda: vlm.health_asked > asked)
            for path in ("/health", "/health/live", "/health/ready"):
                assert (await running.http.get(path)).status_code == 200
            tasks.cancel_scope.cancel()


async def test_every_backend_has_an_entry_and_the_best_speaks_for_them() -> None:
    """One of two away: the service is ready, and the operator sees which one is not."""
    dead = Standin()
    async with Standin() as vlm, gateway(vlm.url, dead.url) as running:
        answer = (await running.http.get("/health/vllm")).json()
    shape = schemas.BackendsShape.model_validate(answer)
    assert (shape.status, shape.url, shape.model) == ("ready", vlm.url, "PaddleOCR-VL-1.5-0.9B")
    assert [backend.status for backend in shape.backends] == ["ready", "starting"]


async def test_concurrent_probes_are_one() -> None:
    """Many operators at once ask the backend once."""
    async with Standin() as vlm, gateway(vlm.url) as running:
        vlm.health = None
        asked = vlm.health_asked
        async with anyio.create_task_group() as tasks:
            for _ in range(10):
                tasks.start_soon(running.http.get, "/health/vllm")
            await vlm.until(lambda: vlm.health_asked > asked)
            await anyio.wait_all_tasks_blocked()
            assert vlm.health_asked == asked + 1
            tasks.cancel_scope.cancel()


async def test_metrics_count_what_was_served() -> None:
    """Requests, pages and regions move with a document."""
    async with Standin() as vlm, gateway(vlm.url) as running:

        async def value(name: str) -> float:
            text = (await running.http.get("/metrics")).text
            return sum(float(line.rsplit(" ", 1)[1]) for line in text.splitlines() if line.startswith(name))

        names = (
            'gateway_http_requests_total{dialect="ocr",status="200"}',
            'gateway_pages_total{outcome="complete"}',
            'gateway_regions_total{label="text",outcome="read"}',
        )
        before = [await value(name) for name in names]
        await running.ocr(documents.pdf(["a", "b"]))
        assert [await value(name) for name in names] == [before[0] + 1, before[1] + 2, before[2] + 2]
        assert await value(f'gateway_backend_ready{{backend="{vlm.url}"}}') == 1


async def test_the_description_is_valid_and_whole() -> None:
    """`/openapi.json` is OpenAPI, has all paths, the three kinds of body and every status of an error."""
    async with Standin() as vlm, gateway(vlm.url) as running:
        schema = (await running.http.get("/openapi.json")).json()
        assert (await running.http.get("/docs")).status_code == 200
    validate(schema)
    assert set(schema["paths"]) == {
        "/ocr",
        "/health",
        "/health/live",
        "/health/ready",
        "/health/vllm",
        "/metrics",
        "/layout-parsing",
        "/restructure-pages",
    }
    operation = schema["paths"]["/ocr"]["post"]
    assert {"multipart/form-data", "application/json", "application/pdf", "image/*"} <= set(
        operation["requestBody"]["content"]
    )
    assert {int(status) for status in operation["responses"]} == {200, *TITLES} - {404, 405}
