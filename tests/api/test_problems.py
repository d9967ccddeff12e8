"""Every error has a status, and the tree of errors and the table of statuses agree."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from gateway import errors
from gateway.api import problems


def family(cls: type[errors.GatewayError]) -> Iterator[type[errors.GatewayError]]:
    yield cls
    for child in cls.__subclasses__():
        yield from family(child)


CONTRACT = {
    400: {"invalid_base64", "corrupt_document", "encrypted_document", "empty_document"},
    401: {"unauthorized"},
    403: {"fetch_refused"},
    406: {"not_acceptable"},
    413: {"body_too_large", "too_many_pixels", "too_many_pages"},
    415: {"unsupported_document", "unsupported_content_type"},
    422: {"invalid_request"},
    429: {"overloaded"},
    502: {"fetch_failed"},
    503: {"backend_starting", "backend_unavailable", "shutting_down"},
    504: {"deadline_exceeded"},
}


@pytest.mark.parametrize("status", CONTRACT)
def test_the_codes_of_the_contract_have_its_statuses(status: int) -> None:
    """A stable word keeps its status."""
    codes = {cls.code for cls in family(errors.GatewayError) if problems.status_of(cls("x")) == status}
    assert CONTRACT[status] <= codes


def test_a_problem_says_when_to_come_back() -> None:
    """`Retry-After` is whole seconds, one at least."""
    for seconds, header in ((0.2, "1"), (7.1, "8")):
        answer = problems.of_error(errors.Overloaded("full", retry_after=seconds), "id")
        assert answer.headers["Retry-After"] == header


def test_a_problem_has_the_members_of_rfc_9457_and_ours() -> None:
    """Programs read `code`, people `detail`, and `error` repeats it for older callers."""
    answer = problems.of_error(errors.EmptyDocument("Nothing there."), "id-1")
    body = json.loads(bytes(answer.body))
    assert answer.media_type == "application/problem+json"
    assert body == {
        "type": "urn:paddleocr-vl-service:problem:empty_document",
        "title": "Unreadable document",
        "status": 400,
        "detail": "Nothing there.",
        "code": "empty_document",
        "request_id": "id-1",
        "error": "Nothing there.",
    }
