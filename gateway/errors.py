"""Everything that can go wrong, as one tree. Words only: `api.problems` knows the HTTP statuses.

Two families matter to the stages. `BackendError` is the infrastructure's: retried within the deadline, then the
request's end. `RegionFailed` is the content's: it becomes a value in the result and the page lives.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


class GatewayError(Exception):
    """A failure with a stable `code` for programs and a `detail` for people."""

    code = "internal_error"

    def __init__(self, detail: str, *, code: str | None = None) -> None:
        super().__init__(detail)
        self.detail = detail
        if code is not None:
            self.code = code

    def __reduce__(self) -> tuple[object, ...]:  # keyword-only `code` would be lost on the way out of a worker process
        return (_rebuild, (type(self), self.detail, self.__dict__))


def _rebuild(cls: type[GatewayError], detail: str, state: dict[str, object]) -> GatewayError:
    error = cls(detail)
    error.__dict__.update(state)
    return error


class BadDocument(GatewayError):
    """The bytes are no readable document."""

    code = "corrupt_document"


class InvalidBase64(BadDocument):
    code = "invalid_base64"


class EncryptedDocument(BadDocument):
    code = "encrypted_document"


class EmptyDocument(BadDocument):
    code = "empty_document"


class TooLarge(GatewayError):
    """A limit in the settings: bytes, pixels or pages."""

    code = "body_too_large"


class TooManyPixels(TooLarge):
    code = "too_many_pixels"


class TooManyPages(TooLarge):
    code = "too_many_pages"


class Unsupported(GatewayError):
    """No signature that we know."""

    code = "unsupported_document"


class UnsupportedContentType(Unsupported):
    code = "unsupported_content_type"


class InvalidRequest(GatewayError):
    """Malformed JSON or multipart, or a wrong, missing or unknown option; `detail` names it."""

    code = "invalid_request"


class BodyTooSlow(GatewayError):
    """The caller's own body did not arrive in time."""

    code = "request_timeout"


class Unauthorized(GatewayError):
    code = "unauthorized"


class NotAcceptable(GatewayError):
    code = "not_acceptable"


class FetchRefused(GatewayError):
    """The URL points where the service must not go."""

    code = "fetch_refused"


class FetchFailed(GatewayError):
    """The URL or the object store did not give the document."""

    code = "fetch_failed"


class DeadlineExceeded(GatewayError):
    code = "deadline_exceeded"


class Busy(GatewayError):
    """Not now; `retry_after` seconds is when it is worth asking again."""

    code = "overloaded"

    def __init__(self, detail: str, *, code: str | None = None, retry_after: float = 1.0) -> None:
        super().__init__(detail, code=code)
        self.retry_after = retry_after


class Overloaded(Busy):
    """The queue is full."""


class ShuttingDown(Busy):
    code = "shutting_down"


class BackendError(Busy):
    """The backend could not be asked: refused, reset, timed out, 429 or 5xx, for longer than we may wait."""

    code = "backend_unavailable"


class BackendStarting(BackendError):
    code = "backend_starting"


class LayoutUnavailable(Busy):
    """No layout detector: it could not be loaded, or it died."""

    code = "layout_unavailable"


class LayoutFailed(GatewayError):
    """The layout detector failed on this one page."""

    code = "layout_failed"


class RegionFailed(GatewayError):
    """This one crop could not be read; the rest of the page can."""

    code = "recognition_failed"


@contextmanager
def one_error() -> Iterator[None]:
    """Turns the exception group of a task group back into one error: siblings mostly fail for one cause.

    A group of several that are not all `GatewayError`s leaves as it is: that is a defect, and all of it is wanted.
    """
    try:
        yield
    except BaseExceptionGroup as group:
        leaves = tuple(_leaves(group))
        if len(leaves) == 1 or all(isinstance(leaf, GatewayError) for leaf in leaves):
            raise leaves[0] from leaves[0].__cause__
        raise


def _leaves(group: BaseExceptionGroup[BaseException]) -> Iterator[BaseException]:
    for error in group.exceptions:
        if isinstance(error, BaseExceptionGroup):
            yield from _leaves(error)
        else:
            yield error
