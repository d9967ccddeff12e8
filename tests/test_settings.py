"""Settings come from the environment, and the README tells all of them."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest
from pydantic import ValidationError

from gateway.settings import Settings

README = Path(__file__).parent.parent / "README.md"


def test_lists_are_comma_separated_and_trimmed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Blanks and empty entries in a list mean nothing."""
    monkeypatch.setenv("VLM_URLS", " http://a/v1/ , ,http://b/v1")
    monkeypatch.setenv("GATEWAY_API_KEYS", "one, two")
    settings = Settings()
    assert settings.backends == ("http://a/v1", "http://b/v1")
    assert [key.get_secret_value() for key in settings.gateway_api_keys] == ["one", "two"]


def test_keys_come_from_a_file_too(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """One a line, beside those of the variable; a file without any, or none at all, does not open the service."""
    keys = tmp_path / "keys"
    keys.write_text(" two\n\nthree \n")
    monkeypatch.setenv("GATEWAY_API_KEYS", "one")
    monkeypatch.setenv("GATEWAY_API_KEYS_FILE", str(keys))
    assert Settings().api_keys == ("one", "two", "three")
    assert "two" not in repr(Settings()) + "".join(Settings().shown().values())
    for wrong in ("", "\xff"):
        keys.write_text(wrong, encoding="latin-1")
        with pytest.raises(ValidationError, match="gateway_api_keys_file"):
            Settings()
    keys.unlink()
    with pytest.raises(ValidationError, match="gateway_api_keys_file"):
        Settings()


def test_without_urls_the_backend_is_the_one_beside() -> None:
    """`VLM_URLS` defaults to `GENAI_PORT` on loopback."""
    assert Settings(genai_port=9000).backends == ("http://127.0.0.1:9000/v1",)


def test_the_cpu_backend_has_a_name_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """Answers of the embedded recogniser do not claim to be the VLM's."""
    monkeypatch.setenv("GENAI_BACKEND", "cpu")
    assert Settings().vlm_model_name == "rapidocr-tesseract"
    monkeypatch.setenv("VLM_MODEL_NAME", "mine")
    assert Settings().vlm_model_name == "mine"


def test_secrets_are_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    """`check` and tracebacks print settings; keys are not among the words."""
    monkeypatch.setenv("GATEWAY_API_KEYS", "hush-hush")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "hush-hush")
    settings = Settings()
    assert "hush" not in repr(settings) + "".join(settings.shown().values())


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("GATEWAY_PORT", "0"),
        ("MAX_PAGES", "many"),
        ("LAYOUT_DETECTOR", "best"),
        ("PDF_DPI", "10"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "collector:4317"),
        ("OTEL_TRACES_SAMPLER", "sometimes"),
        ("OTEL_TRACES_SAMPLER_ARG", "1.1"),
    ],
)
def test_a_wrong_value_names_its_setting(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    """A service with a wrong setting does not start, and says which."""
    monkeypatch.setenv(name, value)
    with pytest.raises(ValidationError, match=name.lower()):
        Settings()


def test_traces_want_their_packages(monkeypatch: pytest.MonkeyPatch) -> None:
    """An endpoint without OpenTelemetry being installed is a wrong setting, and says what to install."""
    assert Settings(otel_exporter_otlp_endpoint="http://collector:4318").otel_exporter_otlp_endpoint
    monkeypatch.setitem(sys.modules, "opentelemetry.exporter.otlp.proto.http.trace_exporter", None)
    with pytest.raises(ValidationError, match="scripts/install"):
        Settings(otel_exporter_otlp_endpoint="http://collector:4318")


def test_the_readme_lists_every_setting_with_its_default(monkeypatch: pytest.MonkeyPatch) -> None:
    """The table of settings and the code are the same."""
    rows = re.findall(r"^\| `([A-Z0-9_]+)` \| (?:`([^`]*)`)? *\| (.+?) \|$", README.read_text(), re.MULTILINE)
    table = {name: (default, meaning) for name, default, meaning in rows if name in Settings().shown()}
    code = {
        name: (value, Settings.model_fields[name.lower()].description) for name, value in Settings().shown().items()
    }
    assert table == code


def test_the_version_is_one_setting() -> None:
    """The VLM's name brings the layout model that PaddleX's pipeline of that version has, unless another is named."""
    versions = ("PaddleOCR-VL-0.9B", "PaddleOCR-VL-1.5-0.9B", "PaddleOCR-VL-1.6-0.9B")
    models = [Settings(vlm_model_name=version).layout_model_name for version in versions]
    assert models == ["PP-DocLayoutV2", "PP-DocLayoutV3", "PP-DocLayoutV3"]
    chosen = Settings(vlm_model_name=versions[0], layout_model_name="PP-DocLayoutV3")
    assert chosen.layout_model_name == "PP-DocLayoutV3"
