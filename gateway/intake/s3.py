"""Documents out of an S3-compatible object store, through boto3 in threads of its own."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Collection
from typing import Any

import anyio
import anyio.from_thread
import anyio.to_thread

from gateway.errors import FetchFailed, FetchRefused, InvalidRequest, TooLarge
from gateway.hold import take

CHUNK_BYTES = 256 << 10

# Stricter than boto3, which takes an ARN for a bucket and then asks a host that the ARN names.
_BUCKET = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{1,61}[A-Za-z0-9]")


class ObjectStore:
    """One endpoint and one set of credentials; without credentials boto3 looks for them in its usual places.

    `allow_buckets` are those that callers may name; none: all that the credentials open.
    `timeout_s` bounds one object as a whole. At most `threads` are read at once.
    """

    def __init__(
        self,
        *,
        endpoint_url: str = "",
        access_key_id: str | None = None,
        secret_access_key: str | None = None,
        session_token: str | None = None,
        region: str = "us-east-1",
        allow_buckets: Collection[str] = (),
        timeout_s: float = 60,
        threads: int = 8,
    ) -> None:
        self._session = {
            "endpoint_url": endpoint_url or None,
            "aws_access_key_id": access_key_id,
            "aws_secret_access_key": secret_access_key,
            "aws_session_token": session_token,
            "region_name": region,
        }
        self._allow_buckets = frozenset(allow_buckets)
        self._timeout_s = timeout_s
        self._threads = threads
        self._limiter = anyio.CapacityLimiter(threads)
        self._making = threading.Lock()
        self._client: Any = None

    async def get(self, bucket: str, key: str, max_bytes: int) -> bytes:
        """The whole object. Raises `InvalidRequest` for an impossible bucket, `FetchRefused` for one that is not
        allowed, `TooLarge`, `Overloaded` and `FetchFailed`.

        A cancelled call returns at once; its thread ends with the next piece that arrives, or in `timeout_s`.
        """
        if not _BUCKET.fullmatch(bucket):
            raise InvalidRequest("url: s3:// wants a bucket name and a key (s3://bucket/key)")
        if self._allow_buckets and bucket not in self._allow_buckets:
            raise FetchRefused("the bucket is none that callers may read")
        return await anyio.to_thread.run_sync(
            self._get, bucket, key, max_bytes, limiter=self._limiter, abandon_on_cancel=True
        )

    def _get(self, bucket: str, key: str, max_bytes: int) -> bytes:
        from boto3.exceptions import Boto3Error
        from botocore.exceptions import BotoCoreError, ClientError

        deadline = time.monotonic() + self._timeout_s
        try:
            answer = self._connected().get_object(Bucket=bucket, Key=key)
            with answer["Body"] as body:
                return _read(body, max_bytes, deadline)
        except ClientError as exc:
            status = exc.response.get("ResponseMetadata", {}).get("HTTPStatusCode")
            raise FetchFailed(_REASONS.get(status, f"the object store answered {status}")) from exc
        except (BotoCoreError, Boto3Error, OSError, ValueError) as exc:
            raise FetchFailed("the object store could not be read") from exc

    def _connected(self) -> Any:
        """Made when first needed: boto3 takes a quarter of a second and tens of megabytes that few services need."""
        import boto3
        from botocore.config import Config

        with self._making:
            if self._client is None:
                config = Config(
                    s3={"addressing_style": "path"},
                    connect_timeout=5,
                    read_timeout=min(15, self._timeout_s),
                    retries={"mode": "standard", "total_max_attempts": 3},
                    max_pool_connections=self._threads,
                    # other stores than Amazon's often do not know the newer checksums
                    request_checksum_calculation="when_required",
                    response_checksum_validation="when_required",
                )
                self._client = boto3.session.Session().client("s3", config=config, **self._session)
            return self._client


_REASONS = {
    401: "the object store refused access to the object",
    403: "the object store refused access to the object",
    404: "the object store has no such object",
}


def _read(body: Any, max_bytes: int, deadline: float) -> bytes:
    data = bytearray()
    while piece := body.read(CHUNK_BYTES):
        anyio.from_thread.check_cancelled()
        if time.monotonic() > deadline:
            raise FetchFailed("the object store took too long")
        data += piece
        if len(data) > max_bytes:
            raise TooLarge(f"the object is larger than the {max_bytes} bytes that are read")
        take(len(piece))
    return bytes(data)
