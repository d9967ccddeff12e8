"""The documents tell the truth where a machine can say so."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

import pytest
from opentelemetry.sdk import environment_variables
from prometheus_client.metrics import MetricWrapperBase

from gateway import metrics
from gateway.api.health import Readiness, Status
from gateway.api.problems import HTTP_CODES
from gateway.errors import GatewayError
from gateway.settings import Settings
from gateway.tally import Tally
from gateway.vlm import backends

ROOT = Path(__file__).parent.parent
DOCUMENTS = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("deploy/*.md")])


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_links_lead_somewhere(document: Path) -> None:
    """A relative link names a file of the project."""
    links = re.findall(r"\]\(((?!https?:|#)[^)#]+)", document.read_text())
    assert [link for link in links if not (document.parent / link).exists()] == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_commands_of_the_project_exist(document: Path) -> None:
    """Where a document names a script of ours, it is there."""
    named = set(re.findall(r"(?:\./)?((?:scripts|docker|bench)/[\w.-]+)", document.read_text()))
    assert sorted(name for name in named if not (ROOT / name).exists()) == []


def test_the_variables_of_the_entrypoint_are_documented() -> None:
    """What `entrypoint.sh` says it reads is in docs/operations.md, with the same defaults."""
    text = (ROOT / "docs/operations.md").read_text()
    named = re.findall(r"^#   ([A-Z_]+)  ", (ROOT / "entrypoint.sh").read_text(), re.MULTILINE)
    assert named
    assert [name for name in named if f"| `{name}` |" not in text] == []


def test_every_metric_is_documented_with_its_labels() -> None:
    """docs/operations.md and the code have the same metrics, and the words that labels take are explained."""
    text = (ROOT / "docs/operations.md").read_text()
    rows = re.findall(r"^\| `(gateway_\w+)` \| (.*?) ?\| (.+) \|$", text, re.MULTILINE)
    families = [one for one in vars(metrics).values() if isinstance(one, MetricWrapperBase)]
    assert {name: re.findall(r"`(\w+)`", labels) for name, labels, _ in rows} == {
        f"{one._name}_total" if isinstance(one, metrics.Counter) else one._name: list(one._labelnames)
        for one in families
    }
    said = {name: set(re.findall(r"`(\w+)`", meaning)) for name, _, meaning in rows}
    assert {*get_args(metrics.Stage)} <= said["gateway_stage_duration_seconds"]
    assert {*get_args(metrics.Queue)} <= said["gateway_queue_wait_seconds"]
    assert {*get_args(metrics.Dialect)} <= set(re.findall(r"`(\w+)`", text[text.index("`dialect` is") :]))


def test_every_field_of_the_summary_line_is_documented() -> None:
    """docs/operations.md explains what a request is summed up with, its stages and its queues."""
    text = (ROOT / "docs/operations.md").read_text()
    table = text[text.index("| field | is |") : text.index("A region that cannot be read")]
    stages = {*get_args(metrics.Stage)} - {"crop", "region"} | {"intake"}
    tally = Tally(size=1, stages=dict.fromkeys(stages, 1.0), waits=dict.fromkeys(get_args(metrics.Queue), 1.0))
    fields = {*tally.told(), "method", "path", "dialect", "status", "ms", "outcome", "error"}
    named = {
        field for row in re.findall(r"^\| (`.+?`) \|", table, re.MULTILINE) for field in re.findall(r"`(\w+)`", row)
    }
    assert named == fields


def variables(text: str) -> set[str]:
    """Environment variables that a document names in code."""
    return {
        name
        for code in re.findall(r"`([^`\n]+)`", text)
        for name in re.findall(r"\b[A-Z][A-Z0-9]*_[A-Z0-9_]*[A-Z0-9]\b", code)
    }


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_variables_that_documents_name_exist(document: Path) -> None:
    """A variable in a document is read by the gateway, a script or an image of ours, or known from a library."""
    sources = [ROOT / "entrypoint.sh", *ROOT.glob("scripts/*"), *ROOT.glob("docker/*"), *ROOT.glob("bench/**/*.py")]
    read = [path.read_text() for path in sources if path.is_file()]
    ours = " ".join([*read, *Settings().shown(), *vars(environment_variables)])
    text = document.read_text()
    unknown = {name for name in variables(text) if not re.search(rf"\b{name}\b", ours)}
    assert unknown <= {"VLLM_PORT", "METRICS_KEY"}


def test_both_readmes_tell_the_same_settings() -> None:
    """A row of the Russian README has the default of the English one, or of docs/operations.md."""
    row = re.compile(r"^\| `([A-Z0-9_]+)` \| (?:`([^`]*)`)? *\|", re.MULTILINE)
    english = dict(row.findall((ROOT / "README.md").read_text()))
    english |= dict(row.findall((ROOT / "docs/operations.md").read_text()))
    russian = dict(row.findall((ROOT / "README.ru.md").read_text()))
    assert len(russian) > 9
    assert russian.items() <= english.items()


def test_both_readmes_show_the_same_paths_and_requests() -> None:
    """What can be asked, and how, does not depend on the reader's language."""
    english, russian = ((ROOT / name).read_text() for name in ("README.md", "README.ru.md"))
    for form in (r"^\| `(GET [^`]+)`", r"^(curl .*?localhost:8081/ocr\S*)"):
        assert re.findall(form, english, re.MULTILINE) == re.findall(form, russian, re.MULTILINE) != []


def test_the_form_is_the_same_in_both_languages() -> None:
    """docs/ML_INFERENCE_CONFIG.md gives Russian and English readers the same values."""
    _, russian, english = re.split(
        r"^## (?:По-русски|In English)$", (ROOT / "docs/ML_INFERENCE_CONFIG.md").read_text(), flags=re.MULTILINE
    )
    assert re.findall(r"`[^`\n]+`", russian) == re.findall(r"`[^`\n]+`", english) != []
    assert f"| `{Settings().gateway_port}`, HTTP |" in english


def test_the_states_that_documents_name_exist() -> None:
    """Every word of health, and every code of an error, is one that the service says; every state is explained."""
    states = {*get_args(Status), *get_args(Readiness), *get_args(backends.Status)}
    codes = {error.code for error in descendants(GatewayError)} | set(HTTP_CODES.values())
    runbook, form = ((ROOT / "docs" / name).read_text() for name in ("runbook.md", "ML_INFERENCE_CONFIG.md"))
    assert set(re.findall(r"\b[45]\d\d `(\w+)`", runbook)) <= codes | states
    assert set(re.findall(r"^\| `/health\S*` (?:\d+ )?`(\w+)`", form, re.MULTILINE)) <= states
    assert {*get_args(Status), "hung", "draining", "full"} == set(
        re.findall(r"^\| `/health\S*` (?:\d+ )?`(\w+)`", form, re.MULTILINE)
    )


def descendants(kind: type[GatewayError]) -> Iterator[type[GatewayError]]:
    for one in kind.__subclasses__():
        yield one
        yield from descendants(one)
