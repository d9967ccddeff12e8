"""Alerts say what they are meant to, and rules and dashboard name what the code and vLLM have."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import watching
import yaml
from prometheus_client import REGISTRY
from rendering import DEPLOY, only
from watching import OF_TARGETS, RULES, Selector

from gateway import metrics

HERE = Path(__file__).parent
RECORDED = {rule["record"] for rule in watching.each_rule() if "record" in rule}
ALERTS = [rule for rule in watching.each_rule() if "alert" in rule]
MADE: dict[str, set[str]] = {"up": set()}
"""What Prometheus makes itself."""


def promtool() -> str:
    beside = Path(sys.executable).with_name("promtool")
    found = str(beside) if beside.exists() else shutil.which("promtool")
    return found or pytest.skip("promtool is not installed (scripts/install.sh dev gets it from Debian)")


@pytest.fixture(scope="module")
def rules(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the rules as Prometheus without the operator takes them, the dashboard's queries among them."""
    folder = tmp_path_factory.mktemp("rules")
    for name in RULES:
        (folder / f"{name}.yaml").write_text(yaml.safe_dump(watching.rules(name)))
    asked = [{"record": f"asked:{number}", "expr": query} for number, query in enumerate(watching.queries())]
    (folder / "queries.yaml").write_text(yaml.safe_dump({"groups": [{"name": "queries", "rules": asked}]}))
    return folder


def run(*command: str | Path) -> None:
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_prometheus_takes_the_rules_and_the_queries(rules: Path) -> None:
    """`promtool check rules` has nothing to say against a file of rules or a query of the dashboard."""
    run(promtool(), "check", "rules", *sorted(rules.glob("*.yaml")))


def test_alerts_come_when_they_should_and_only_then(rules: Path) -> None:
    """`promtool test rules` runs alerts.yaml, in which every alert comes at least once."""
    tests = yaml.safe_load((HERE / "alerts.yaml").read_text())
    expected = re.findall(r'alertname="(\w+)"', str(tests))
    assert set(expected) == {rule["alert"] for rule in ALERTS}
    shutil.copy(HERE / "alerts.yaml", rules / "tests.yml")
    run(promtool(), "test", "rules", rules / "tests.yml")


def ours() -> dict[str, set[str]]:
    """Every series that the gateway has, with its labels."""
    series = {}
    for family in vars(metrics).values():
        if isinstance(family, metrics.Counter | metrics.Gauge | metrics.Histogram):
            name, labels = family.describe()[0].name, set(family._labelnames)
            if isinstance(family, metrics.Counter):
                series[f"{name}_total"] = labels
            elif isinstance(family, metrics.Histogram):
                series |= {f"{name}_bucket": labels | {"le"}, f"{name}_sum": labels, f"{name}_count": labels}
            else:
                series[name] = labels
    return series


def of_vllm() -> dict[str, set[str]]:
    lines = (HERE / "vllm_series.txt").read_text().splitlines()[1:]
    return {name: set(labels) for name, *labels in map(str.split, lines)}


def of_recorded() -> dict[str, set[str]]:
    """A recorded series has the labels that its rule keeps."""
    rules = [rule for rule in watching.each_rule() if "record" in rule]
    return {rule["record"]: set().union(*(one.by for one in watching.selectors(rule["expr"]))) for rule in rules}


def of_process() -> dict[str, set[str]]:
    families = [family for family in REGISTRY.collect() if family.name.startswith("process_")]
    return {sample.name: set(sample.labels) for family in families for sample in family.samples}


@pytest.mark.parametrize("query", list(watching.queries()))
def test_every_query_names_series_and_labels_that_exist(query: str) -> None:
    """A metric that was renamed, or a label that it does not have, would show nothing and warn of nothing."""
    known = ours() | of_vllm() | of_recorded() | of_process() | MADE
    asked = watching.selectors(query)
    assert asked
    for one in asked:
        assert one.metric in known
        assert one.labels - OF_TARGETS <= known[one.metric], one.metric


def test_a_wrong_query_is_noticed() -> None:
    """What the other tests look at is really in the expression."""
    asked = watching.selectors('sum by (le, job) (rate(x_bucket{a="1", job="j"}[5m])) / on (job) max(y{b!~"2|3"})')
    assert asked == [
        Selector("x_bucket", (("a", "=", "1"),), frozenset({"le", "job"})),
        Selector("y", (("b", "!~", "2|3"),), frozenset()),
    ]
    with pytest.raises(ValueError, match="unclosed"):
        watching.selectors("sum(x")


def test_every_alert_tells_what_to_do() -> None:
    """It has a severity, a sentence, and a section of the runbook that is there; the runbook lists it."""
    text = (DEPLOY.parent / "docs" / "runbook.md").read_text()
    sections = {heading.lower().replace(" ", "-") for heading in re.findall(r"^## (.+)$", text, re.MULTILINE)}
    for rule in ALERTS:
        assert rule["labels"]["severity"] in ("warning", "critical")
        assert rule["annotations"]["summary"]
        document, section = rule["annotations"]["runbook"].split("#")
        assert (document, section in sections) == ("docs/runbook.md", True), rule["alert"]
    listed = dict(re.findall(r"^\| `(\w+)` \| .*\(#([a-z-]+)\) \|$", text, re.MULTILINE))
    assert listed == {rule["alert"]: rule["annotations"]["runbook"].split("#")[1] for rule in ALERTS}


def test_grafana_gets_the_dashboard() -> None:
    """It is in a ConfigMap that Grafana's sidecar looks for; no two panels have one number or one place."""
    config = only("gpu-all", "ConfigMap", "paddleocr-vl-dashboard")
    assert config["metadata"]["labels"]["grafana_dashboard"] == "1"
    assert config["data"] == {"paddleocr-vl.json": watching.DASHBOARD.read_text()}
    panels = list(watching.panels())
    assert len({panel["id"] for panel in panels}) == len({str(panel["gridPos"]) for panel in panels}) == len(panels)


def test_the_jobs_of_rules_are_scraped() -> None:
    """A ServiceMonitor's job is its Service's name, and the rules ask for those."""
    jobs = {job for rule in watching.each_rule() for job in re.findall(r'job="([^"]+)"', rule["expr"])}
    for job in jobs:
        only("split-all", "ServiceMonitor", job)
        only("split-all", "Service", job)
