"""Manifests as `kubectl apply -k` would send them, and what is known of the custom resources among them."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import yaml

DEPLOY = Path(__file__).parents[1] / "deploy"
SETS = {
    "gpu": ("overlays/gpu",),
    "cpu": ("overlays/cpu",),
    "split": ("overlays/split",),
    "gpu-all": ("overlays/gpu", "monitoring", "autoscaling", "weights-volume"),
    "split-all": (
        "overlays/split", "monitoring", "monitoring-split", "autoscaling-split", "weights-volume",
    ),
}  # fmt: skip
"""Overlays, alone and with all the components made for them."""
SINGLE = ("serverless/knative.yaml", "serverless/kserve.yaml", "components/weights-volume/fetch.yaml")

Manifest = dict[str, Any]


@cache
def _rendered(name: str) -> str:
    overlay, *components = SETS[name]
    with TemporaryDirectory(prefix=".rendered-", dir=DEPLOY.parent) as folder:  # kustomize wants relative paths
        kustomization = {
            "apiVersion": "kustomize.config.k8s.io/v1beta1",
            "kind": "Kustomization",
            "resources": [os.path.relpath(DEPLOY / overlay, folder)],
            "components": [os.path.relpath(DEPLOY / "components" / one, folder) for one in components],
        }
        Path(folder, "kustomization.yaml").write_text(yaml.safe_dump(kustomization))
        kubectl = Path(sys.executable).with_name("kubectl")  # of the environment; it comes with the extra dev
        done = subprocess.run([kubectl, "kustomize", folder], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def manifests(name: str) -> list[Manifest]:
    """The objects of one of `SETS`, or of a file of `SINGLE`."""
    text = (DEPLOY / name).read_text() if name in SINGLE else _rendered(name)
    return [one for one in yaml.safe_load_all(text) if one]


def only(name: str, kind: str, called: str) -> Manifest:
    (found,) = [one for one in manifests(name) if (one["kind"], one["metadata"]["name"]) == (kind, called)]
    return found


def pods(name: str) -> Iterator[tuple[Manifest, Manifest]]:
    """Every pod that would run, as a Pod of its own, and the object that it comes from."""
    for one in manifests(name):
        spec = one.get("spec", {})
        labels = spec.get("template", {}).get("metadata", {}).get("labels", {})
        if one["kind"] == "InferenceService":
            own = {"minReplicas", "maxReplicas", "scaleMetric", "scaleTarget", "timeout"}
            pod = {key: value for key, value in spec["predictor"].items() if key not in own}
        elif one["apiVersion"].startswith("serving.knative.dev/"):
            own = {"containerConcurrency", "timeoutSeconds"}
            pod = {key: value for key, value in spec["template"]["spec"].items() if key not in own}
        elif "template" in spec:
            pod = spec["template"]["spec"]
        else:
            continue
        meta = {"name": one["metadata"]["name"], "labels": labels}
        yield {"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": pod}, one


def environment(name: str, pod: Manifest) -> dict[str, str]:
    """The variables of the pod's container that the manifests give values for."""
    (container,) = pod["spec"]["containers"]
    variables: dict[str, str] = {}
    for source in container.get("envFrom", ()):
        variables |= only(name, "ConfigMap", source["configMapRef"]["name"])["data"]
    return variables | {one["name"]: one["value"] for one in container.get("env", ()) if "value" in one}


def _object(required: tuple[str, ...] = (), **properties: Any) -> dict[str, Any]:
    return {"type": "object", "required": list(required), "properties": properties, "additionalProperties": False}


_TEXT, _COUNT, _ANY = {"type": "string"}, {"type": "integer", "minimum": 0}, {"type": "object"}
_LIST = {"type": "array", "minItems": 1}
_TRIGGER = _object(
    ("type", "metadata"), type={"enum": ["prometheus", "cpu"]}, name=_TEXT,
    metricType={"enum": ["AverageValue", "Value", "Utilization"]},
    metadata={"type": "object", "additionalProperties": _TEXT},
)  # fmt: skip
CUSTOM = {
    "monitoring.coreos.com/v1 ServiceMonitor": _object(
        ("selector", "endpoints"), selector=_object(matchLabels=_ANY), endpoints={**_LIST, "items": _object(
            port=_TEXT, path=_TEXT, interval={"type": "string", "pattern": "^[0-9]+s$"}, authorization=_ANY,
        )},
    ),
    "monitoring.coreos.com/v1 PrometheusRule": _object(("groups",), groups={**_LIST, "items": _object(
        ("name", "rules"), name=_TEXT, rules={**_LIST, "items": _object(
            ("expr",), record=_TEXT, alert=_TEXT, expr=_TEXT, labels=_ANY, annotations=_ANY,
            **{"for": {"type": "string", "pattern": "^[0-9]+m$"}},
        )},
    )}),
    "keda.sh/v1alpha1 ScaledObject": _object(
        ("scaleTargetRef", "triggers"),
        scaleTargetRef=_object(("name",), apiVersion=_TEXT, kind=_TEXT, name=_TEXT),
        pollingInterval=_COUNT, cooldownPeriod=_COUNT, minReplicaCount=_COUNT, maxReplicaCount=_COUNT,
        fallback=_object(("failureThreshold", "replicas"), failureThreshold=_COUNT, replicas=_COUNT),
        advanced=_object(horizontalPodAutoscalerConfig=_object(behavior=_ANY)),
        triggers={**_LIST, "items": _TRIGGER},
    ),
    "serving.knative.dev/v1 Service": _object(("template",), template=_object(
        metadata=_object(annotations={"type": "object", "additionalProperties": _TEXT}), spec=_ANY,
    )),
    "serving.kserve.io/v1beta1 InferenceService": _object(("predictor",), predictor=_ANY),
}  # fmt: skip
"""The fields of these resources that this project uses, written down by hand from their references: their full schemas
come with their operators, not with Kubernetes."""
