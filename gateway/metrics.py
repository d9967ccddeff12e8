"""What is counted, by the names of `/metrics`.

Labels take their values from the code and the settings, never from a caller, a model or a backend: the functions here
bound what could be anything. Series of known labels are made at once, so that a rate begins at 0; gauges that mirror
what others hold are set by `gateway.api.figures` when somebody looks.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final, Literal
from urllib.parse import urlsplit, urlunsplit

from prometheus_client import Counter, Gauge, Histogram, disable_created_metrics

from gateway import __version__
from gateway.document import CLASSES, Kind, Task
from gateway.errors import GatewayError

Dialect = Literal["ocr", "paddlex", "openai", "page", "operations", "other"]
Queue = Literal["page", "decoder", "layout", "seat"]
Stage = Literal["decode", "preparation", "layout", "recognition", "assembly", "crop", "region"]

SECONDS: Final = (
    *(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5),
    *(1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0),
)
"""Upper bounds of what a histogram tells apart."""

_PATHS: Final[dict[str, Dialect]] = {
    "/ocr": "ocr",
    **dict.fromkeys(("/layout-parsing", "/restructure-pages"), "paddlex"),
    **dict.fromkeys(("/v1/chat/completions", "/v1/models"), "openai"),
    "/": "page",
    **dict.fromkeys(("/metrics", "/docs", "/openapi.json"), "operations"),
}
_FOLDERS: Final[dict[str, Dialect]] = {"page": "page", "health": "operations", "docs": "operations"}
_LABELS: Final = frozenset({*CLASSES, *(task.value for task in Task)})


def dialect(path: str) -> Dialect:
    """What a request wants, by its path."""
    return _PATHS.get(path) or _FOLDERS.get(path.split("/", 2)[1] if "/" in path else "", "other")


def label(name: str) -> str:
    """A region's label as a label value; a layout model may have classes of its own."""
    return name if name in _LABELS else "other"


def backend(url: str) -> str:
    """A backend's URL as a label value: without credentials and query."""
    parts = urlsplit(url)
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))


@contextmanager
def outcome(counter: Counter, good: str) -> Iterator[None]:
    """Counts the block by how it ends: `good`, the code of a `GatewayError`, or `cancelled`."""
    word = "cancelled"
    try:
        yield
        word = good
    except GatewayError as error:
        word = error.code
        raise
    finally:
        counter.labels(word).inc()


disable_created_metrics()  # type: ignore[no-untyped-call]
BUILD = Gauge("gateway_build_info", "1, for the version that runs", ["version"])
BUILD.labels(__version__).set(1)

# ---- requests
REQUESTS = Counter("gateway_http_requests_total", "Requests answered; 499: the caller left", ["dialect", "status"])
REQUEST_SECONDS = Histogram(
    "gateway_http_request_duration_seconds", "Time from a request's head to its last byte", ["dialect"], buckets=SECONDS
)
RESPONSE_BYTES = Counter("gateway_response_bytes_total", "Bytes of answers", ["dialect"])
DOCUMENT_BYTES = Counter("gateway_document_bytes_total", "Bytes of bodies received and of documents fetched")
DOCUMENTS = Counter("gateway_documents_total", "Documents opened, by kind", ["kind"])
ERRORS = Counter("gateway_errors_total", "Errors told to callers, by code", ["code"])
FETCHES = Counter("gateway_fetches_total", "Documents fetched from a URL or the object store, or why not", ["outcome"])
FETCH_SECONDS = Histogram("gateway_fetch_duration_seconds", "Time a fetch took", buckets=SECONDS)
READY = Gauge("gateway_ready", "1 while a request would be served")
ADMITTED = Gauge("gateway_requests_admitted", "Requests being served now")
ADMITTED_LIMIT = Gauge("gateway_requests_limit", "Requests that may be served at once (MAX_QUEUED_REQUESTS)")
HELD_BYTES = Gauge("gateway_documents_held_bytes", "Bytes of documents in the house")
HELD_LIMIT_BYTES = Gauge("gateway_documents_limit_bytes", "Bytes of documents that may be (MAX_QUEUED_MB)")

# ---- stages and queues
STAGE_SECONDS = Histogram("gateway_stage_duration_seconds", "Time in a stage", ["stage"], buckets=SECONDS)
QUEUE_SECONDS = Histogram("gateway_queue_wait_seconds", "Time until there was a place", ["queue"], buckets=SECONDS)
QUEUE_WAITING = Gauge("gateway_queue_waiting", "Those who wait for a place", ["queue"])
QUEUE_HELD = Gauge("gateway_queue_places_held", "Places taken", ["queue"])
QUEUE_LIMIT = Gauge("gateway_queue_places_limit", "Places there are", ["queue"])

# ---- what was read
PAGES = Counter("gateway_pages_total", "Pages read to their end, complete or partial", ["outcome"])
REGIONS = Counter("gateway_regions_total", "Regions of pages read, by what came of them", ["label", "outcome"])
CACHE = Counter(
    "gateway_cache_answers_total", "Crops by whether an equal one was known: hit, shared, miss", ["outcome"]
)
CACHE_BYTES = Gauge("gateway_cache_bytes", "Size of the answers kept for equal crops")

# ---- backends
BACKEND_REQUESTS = Counter(
    "gateway_backend_requests_total", "Requests to a backend, by what came of them", ["backend", "outcome"]
)
BACKEND_SECONDS = Histogram(
    "gateway_backend_request_duration_seconds", "Time to the end of an answer", ["backend"], buckets=SECONDS
)
FIRST_TOKEN_SECONDS = Histogram(
    "gateway_backend_first_token_seconds", "Time to the first token of a streamed answer", ["backend"], buckets=SECONDS
)
TOKENS = Counter("gateway_tokens_total", "Tokens of the answers, of the prompt and of the completion", ["kind"])
RETRIES = Counter("gateway_retries_total", "Crops asked for again, by the setback before", ["setback"])
RUNAWAYS = Counter("gateway_runaways_total", "Answers stopped as they ran away, by the second reading", ["outcome"])
BACKEND_READY = Gauge("gateway_backend_ready", "1 while a backend is ready", ["backend"])
BACKEND_STATE = Gauge("gateway_backend_state", "1 for the state that a backend is in", ["backend", "state"])
BACKEND_IN_FLIGHT = Gauge("gateway_backend_in_flight", "Requests in flight at a backend", ["backend"])
BACKEND_LIMIT = Gauge("gateway_backend_in_flight_limit", "Requests that a backend gets at once", ["backend"])
RESTARTS = Counter("gateway_backend_restarts_total", "Hung backends that supervisord was asked to restart", ["outcome"])

# ---- processes
DECODER_STARTS = Counter("gateway_decoder_starts_total", "Decoder processes started")
DECODER_DEATHS = Counter("gateway_decoder_deaths_total", "Decoder processes that ended in a call, by cause", ["cause"])
DECODERS = Gauge("gateway_decoder_processes", "Decoder processes alive")
DECODER_BYTES = Gauge("gateway_decoder_resident_memory_bytes", "Memory of the decoder processes, pages shared included")
MEMORY_BYTES = Gauge("gateway_memory_available_bytes", "Memory to be had before the container's or machine's limit")
MEMORY_RESERVE_BYTES = Gauge("gateway_memory_reserve_bytes", "With less than this nobody is let in (MEMORY_RESERVE_MB)")

# ---- series made once, for where it is hot and for rates that begin at 0
STAGES: Final[dict[Stage, Histogram]] = {
    stage: STAGE_SECONDS.labels(stage)
    for stage in ("decode", "preparation", "layout", "recognition", "assembly", "crop", "region")
}
QUEUES: Final[dict[Queue, Histogram]] = {
    queue: QUEUE_SECONDS.labels(queue) for queue in ("page", "decoder", "layout", "seat")
}
PROMPT_TOKENS: Final = TOKENS.labels("prompt")
COMPLETION_TOKENS: Final = TOKENS.labels("completion")
_AT_ONCE: Final[tuple[tuple[Counter, tuple[str, ...]], ...]] = (
    (CACHE, ("hit", "shared", "miss")),
    (DECODER_DEATHS, ("timeout", "crash", "cancelled")),
    (DOCUMENTS, tuple(kind.value for kind in Kind)),
    (ERRORS, ("overloaded", "backend_starting", "backend_unavailable", "deadline_exceeded", "internal_error")),
    (FETCHES, ("fetched", "fetch_refused", "fetch_failed")),
    (PAGES, ("complete", "partial")),
    (RESTARTS, ("asked", "failed")),
    (RETRIES, ("away", "refused", "broke", "timed_out", "garbled")),
    (RUNAWAYS, ("mended", "trimmed")),
)
for _counter, _values in _AT_ONCE:
    for _value in _values:
        _counter.labels(_value)
