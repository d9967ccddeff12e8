"""Every setting, from the environment. The only module that reads it; `docs/settings.md` lists the same table."""

from __future__ import annotations

import os
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, SecretStr, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from gateway.traces import Sampler

Words = Annotated[tuple[str, ...], NoDecode]
"""Comma-separated in the environment; blanks are trimmed."""


class Settings(BaseSettings):
    """Names are the environment variables in lower case; defaults are those of the contract."""

    model_config = SettingsConfigDict(frozen=True, env_ignore_empty=True, extra="ignore")

    gateway_host: str = Field("0.0.0.0", description="Address the gateway listens on")
    gateway_port: int = Field(8081, ge=1, le=65535, description="Port the gateway listens on")
    gateway_api_keys: Annotated[tuple[SecretStr, ...], NoDecode] = Field(
        (), description="Keys that callers must show (comma-separated; `Authorization: Bearer` or `X-API-Key`)"
    )
    gateway_api_keys_file: str = Field("", description="A file of further keys, one a line, such as a mounted secret")

    genai_backend: Literal["paddlex", "vllm", "cpu", "external"] = Field(
        "paddlex", description="What the entrypoint starts beside the gateway; `external` starts nothing"
    )
    genai_port: int = Field(8118, ge=1, le=65535, description="Loopback port of the backend")
    supervisor_server_url: str = Field(
        "", description="Control socket of supervisord, which sets this; a hung backend beside is restarted through it"
    )
    vlm_urls: Words = Field((), description="OpenAI base URLs (comma-separated); empty: the backend on `GENAI_PORT`")
    vlm_model_name: str = Field("PaddleOCR-VL-1.5-0.9B", description="Served model name")
    vlm_model_dir: str = Field("", description="Local weights of the VLM, for closed networks")
    vlm_max_in_flight: int | None = Field(
        None, ge=1, description="Regions in flight for each backend; empty: as many as keep it busy"
    )
    vlm_hung_s: float = Field(
        60,
        gt=0,
        description="Seconds without a token for any region in flight, and without any in the backend's own count, "
        "after which it is hung; after half as many more it is restarted, if it is the one beside",
    )

    layout_detector: Literal["auto", "paddlex", "cpu", "whole-page"] = Field(
        "auto", description="Who finds the regions; `auto` takes the best that is installed"
    )
    layout_model_name: str = Field(
        "PP-DocLayoutV3",
        description="Layout model of the `paddlex` detector; by default `PP-DocLayoutV2` where the VLM is "
        "PaddleOCR-VL-0.9B",
    )
    layout_model_dir: str = Field("", description="Local folder of the layout model")
    layout_engine: str = Field("onnxruntime", description="PaddleX engine of the layout model")
    doc_preparation: Annotated[tuple[Literal["orientation", "unwarping"], ...], NoDecode] = Field(
        (), description="PaddleX models loaded for callers who want pages upright or flat: `orientation`, `unwarping`"
    )
    doc_orientation_model_dir: str = Field("", description="Local folder of PP-LCNet_x1_0_doc_ori")
    doc_unwarping_model_dir: str = Field("", description="Local folder of UVDoc")
    layout_device: str = Field("", description="Device of the layout model, such as `gpu:0`; empty: the best")

    max_body_mb: int = Field(100, ge=1, description="Largest document, in MiB")
    max_pages: int = Field(1000, ge=1, description="Most pages read of one document")
    max_pixels: int = Field(100_000_000, ge=1, description="Most pixels of one page")

    max_queued_requests: int = Field(256, ge=1, description="Requests in the house at once; more are answered 429")
    max_queued_mb: int = Field(
        1024,
        ge=1,
        description="Memory for documents in the house at once, in MiB; each is held twice while it is read; more are "
        "answered 429",
    )
    memory_reserve_mb: int = Field(
        256, ge=0, description="Requests are answered 429 while less memory than this is free, in MiB; `0`: never"
    )
    request_timeout_s: float = Field(300, gt=0, description="Seconds a request may take")
    health_grace_s: float = Field(600, ge=0, description="Seconds `/health` stays 200 while the backend is away")
    drain_s: float = Field(60, ge=0, description="Seconds that running requests get after SIGTERM")

    cache_mb: int = Field(64, ge=0, description="MiB of answers kept for equal crops; `0`: off")

    pdf_dpi: int = Field(200, ge=72, le=600, description="Resolution PDF pages are rendered at")
    paddlex_visualize: bool = Field(
        True, description="Pictures of pages in PaddleX's API for callers who do not say `visualize`"
    )
    page: bool = Field(True, description="The page for people at `/`; `off`: 404")
    log_format: Literal["auto", "json", "text"] = Field("auto", description="`auto`: text on a terminal, else JSON")
    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="Least severe line logged")
    otel_exporter_otlp_endpoint: str = Field(
        "",
        description="Collector that takes traces, such as `http://collector:4318` (OTLP over HTTP); empty: no traces",
    )
    otel_service_name: str = Field("paddleocr-vl-service", description="Name of the service in its traces")
    otel_traces_sampler: Sampler = Field(
        "parentbased_traceidratio",
        description="Which requests are traced: `always_on`, `always_off`, `traceidratio`, or as their caller's trace "
        "says and these for the others: `parentbased_always_on`, `parentbased_always_off`, `parentbased_traceidratio`",
    )
    otel_traces_sampler_arg: float = Field(0.1, ge=0, le=1, description="The part that `traceidratio` takes")

    fetch_allow_hosts: Words = Field((), description="Private hosts, addresses or networks that URL input may reach")
    s3_endpoint_url: str = Field("", description="Object store for `s3://` input; the usual `AWS_*` give the rest")
    s3_allow_buckets: Words = Field(
        (), description="Buckets that callers may read (comma-separated); empty: all that the credentials open"
    )
    aws_access_key_id: SecretStr | None = Field(None, description="Object store credentials")
    aws_secret_access_key: SecretStr | None = Field(None, description="Object store credentials")
    aws_session_token: SecretStr | None = Field(None, description="Object store credentials")
    aws_region: str = Field("us-east-1", description="Object store region")

    @field_validator("gateway_api_keys", "vlm_urls", "fetch_allow_hosts", "doc_preparation", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        return tuple(word for part in value.split(",") if (word := part.strip())) if isinstance(value, str) else value

    @field_validator("gateway_api_keys_file")
    @classmethod
    def _holds_keys(cls, path: str) -> str:
        if path and not _keys_in(path):  # a service that should have keys must not be open to all
            raise ValueError("the file holds no key")
        return path

    @field_validator("otel_exporter_otlp_endpoint")
    @classmethod
    def _can_be_sent_to(cls, endpoint: str) -> str:
        if endpoint and not endpoint.startswith(("http://", "https://")):
            raise ValueError("an http:// or https:// URL is wanted, such as http://collector:4318")
        if endpoint and not _installed("opentelemetry.exporter.otlp.proto.http.trace_exporter"):
            raise ValueError("OpenTelemetry is not installed: scripts/install.sh otel, or pip install '.[otel]'")
        return endpoint

    @property
    def api_keys(self) -> tuple[str, ...]:
        """Those of the variable and those of the file."""
        own = tuple(key.get_secret_value() for key in self.gateway_api_keys)
        return own + (_keys_in(self.gateway_api_keys_file) if self.gateway_api_keys_file else ())

    @model_validator(mode="before")
    @classmethod
    def _name_the_cpu_backend(cls, given: dict[str, Any]) -> dict[str, Any]:
        """Answers of the embedded recogniser do not claim to be the VLM's."""
        return {"vlm_model_name": "rapidocr-tesseract"} | given if given.get("genai_backend") == "cpu" else given

    @model_validator(mode="before")
    @classmethod
    def _go_by_the_version(cls, given: dict[str, Any]) -> dict[str, Any]:
        """The VLM's name says which of PaddleX's pipelines this is, and that has its layout model."""
        first = given.get("vlm_model_name") == "PaddleOCR-VL-0.9B"
        return {"layout_model_name": "PP-DocLayoutV2"} | given if first else given

    def shown(self) -> dict[str, str]:
        """Every setting in force by its variable's name, secrets hidden."""
        return {name.upper(): _shown(getattr(self, name)) for name in type(self).model_fields}

    @property
    def backends(self) -> tuple[str, ...]:
        """OpenAI base URLs, without a trailing slash."""
        urls = self.vlm_urls or (f"http://127.0.0.1:{self.genai_port}/v1",)
        return tuple(url.rstrip("/") for url in urls)


def _keys_in(path: str) -> tuple[str, ...]:
    try:
        return tuple(key for line in Path(path).read_text().splitlines() if (key := line.strip()))
    except (OSError, UnicodeDecodeError) as exc:
        raise ValueError("the file cannot be read") from exc


def _installed(module: str) -> bool:
    try:
        import_module(module)
    except ImportError:
        return False
    return True


def _shown(value: object) -> str:
    if isinstance(value, tuple):
        return ",".join(_shown(item) for item in value)
    return "" if value is None else str(value)


def keep_libraries_quiet() -> None:
    """onnxruntime is not to write telemetry nor to send it; it reads this when it is first imported."""
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
