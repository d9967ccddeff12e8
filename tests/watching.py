"""What the rules and the dashboard ask Prometheus for."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import promql_parser as promql
import yaml

COMPONENTS = Path(__file__).parents[1] / "deploy" / "components"
DASHBOARD = COMPONENTS / "monitoring" / "dashboard.json"
RULES = ("monitoring", "monitoring-split")
OF_TARGETS = {"namespace", "job", "instance", "pod"}
"""Labels that Prometheus itself adds."""


@dataclass(frozen=True)
class Selector:
    """One metric that is asked for: label matchers (label, how, value), and the labels that the answer is by."""

    metric: str
    matchers: tuple[tuple[str, str, str], ...]
    by: frozenset[str]

    @property
    def labels(self) -> set[str]:
        """All that are not the target's."""
        return {label for label, _, _ in self.matchers} | self.by - OF_TARGETS


def rules(component: str) -> dict[str, Any]:
    """The rules of a component, as Prometheus without the operator takes them."""
    spec: dict[str, Any] = yaml.safe_load((COMPONENTS / component / "rules.yaml").read_text())["spec"]
    return spec


def each_rule() -> Iterator[dict[str, Any]]:
    for component in RULES:
        for group in rules(component)["groups"]:
            yield from group["rules"]


def panels() -> Iterator[dict[str, Any]]:
    """Those of the dashboard that ask for something."""
    yield from (panel for panel in json.loads(DASHBOARD.read_text())["panels"] if panel["type"] != "row")


def queries() -> Iterator[str]:
    """Every expression, with Grafana's variables filled in."""
    yield from (rule["expr"] for rule in each_rule())
    for panel in panels():
        for target in panel["targets"]:
            yield target["expr"].replace("$__rate_interval", "5m").replace("$job", ".*").replace("$instance", ".*")


def selectors(expression: str) -> list[Selector]:
    """What an expression asks for. Raises `ValueError` for one that is no PromQL."""
    found: list[Selector] = []
    _collect(promql.parse(expression), frozenset(), found)
    return found


_HOW = {"Equal": "=", "NotEqual": "!=", "Re": "=~", "NotRe": "!~"}


def _collect(expression: Any, by: frozenset[str], found: list[Selector]) -> None:
    if isinstance(expression, promql.VectorSelector):
        matchers = tuple((one.name, _HOW[str(one.op).split(".")[1]], one.value) for one in expression.matchers.matchers)
        kept = tuple(one for one in matchers if one[0] not in OF_TARGETS)
        found.append(Selector(expression.name, kept, by))
        return
    if isinstance(expression, promql.AggregateExpr) and expression.modifier is not None:
        by = frozenset(expression.modifier.labels)
    for name in ("vector_selector", "expr", "lhs", "rhs"):
        if (child := getattr(expression, name, None)) is not None:
            _collect(child, by, found)
    for argument in getattr(expression, "args", ()):
        _collect(argument, by, found)
