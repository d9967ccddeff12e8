"""What is counted, by the names of `/metrics`."""

from __future__ import annotations

from prometheus_client import Counter, Gauge

REQUESTS = Counter("gateway_http_requests_total", "Requests answered", ["method", "status"])
ADMITTED = Gauge("gateway_requests_admitted", "Requests being served now")
PAGES = Counter("gateway_pages_total", "Pages read to their end")
REGIONS = Counter("gateway_regions_total", "Regions of pages read, by what came of them", ["outcome"])
RUNAWAYS = Counter("gateway_runaways_total", "Answers stopped as they ran away, by the second reading", ["outcome"])
CACHE = Counter(
    "gateway_cache_answers_total", "Crops by whether an equal one was known: hit, shared, miss", ["outcome"]
)
CACHE_BYTES = Gauge("gateway_cache_bytes", "Size of the answers kept for equal crops")
STAGE_SECONDS = Counter("gateway_stage_seconds_total", "Time pages spent in each stage, in seconds", ["stage"])
BACKEND_READY = Gauge("gateway_backend_ready", "1 while a backend is ready")

METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


def method(name: str) -> str:
    """An HTTP method as a label value; callers may not make up new ones."""
    return name if name in METHODS else "other"
