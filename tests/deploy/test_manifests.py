"""What is deployed is valid, hardened, and names what the code has."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import jsonschema
import kubernetes_validate
import prometheus_client
import pytest
import yaml
from rendering import CUSTOM, DEPLOY, SETS, SINGLE, Manifest, environment, manifests, only, pods
from running import gateway
from vlm_standin import Standin

from gateway import metrics
from gateway.settings import Settings

ROOT = DEPLOY.parent
ALL = [*SETS, *SINGLE]
EVERY_POD = [
    pytest.param(name, pod, owner, id=f"{Path(name).stem}-{pod['metadata']['name']}")
    for name in ALL
    for pod, owner in pods(name)
]
SERVICE_PODS = [one for one in EVERY_POD if "vllm" not in one.id and "fetch" not in one.id]
OLDEST, NEWEST = "1.28", "1.37"
OF_OTHERS = {"HF_HUB_OFFLINE", "VLLM_NO_USAGE_STATS", "DO_NOT_TRACK"}


def container(pod: Manifest) -> Manifest:
    (one,) = pod["spec"]["containers"]
    return one


def probes(pod: Manifest) -> dict[str, Manifest]:
    return {key: value for key, value in container(pod).items() if key.endswith("Probe")}


def fits(selector: Manifest, labels: dict[str, str]) -> bool:
    wanted = selector.get("matchLabels", selector)
    return bool(wanted) and wanted.items() <= labels.items()


@pytest.mark.parametrize("version", [OLDEST, NEWEST])
@pytest.mark.parametrize("name", ALL)
def test_manifests_fit_the_schemas_of_kubernetes(name: str, version: str) -> None:
    """Every object of Kubernetes' own is valid, without a field too many; the rest fits what is known of its fields."""
    for one in manifests(name):
        custom = CUSTOM.get(f"{one['apiVersion']} {one['kind']}")
        if custom is None:
            kubernetes_validate.validate(one, version, strict=True)
        else:
            jsonschema.validate(one["spec"], custom)


@pytest.mark.parametrize(("name", "pod", "owner"), EVERY_POD)
def test_pods_are_valid_and_hardened(name: str, pod: Manifest, owner: Manifest) -> None:
    """No root, no writable root, no capabilities, no token, no variables of other Services; limits on memory."""
    kubernetes_validate.validate(pod, NEWEST, strict=True)
    spec, one = pod["spec"], container(pod)
    assert spec["automountServiceAccountToken"] is False
    assert spec["enableServiceLinks"] is False
    assert (spec["securityContext"]["runAsNonRoot"], spec["securityContext"]["runAsUser"]) == (True, 10001)
    assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert one["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert {"memory"} <= set(one["resources"]["limits"])
    assert {"/tmp", "/home/gateway"} <= {mount["mountPath"] for mount in one["volumeMounts"]}
    assert {mount["name"] for mount in one["volumeMounts"]} == {volume["name"] for volume in spec["volumes"]}


def test_the_user_is_the_images() -> None:
    """Both images run as the user that the manifests name."""
    for dockerfile in ("Dockerfile", "Dockerfile.cpu"):
        assert "\nUSER 10001\n" in (ROOT / "docker" / dockerfile).read_text()


@pytest.mark.parametrize(("name", "pod", "owner"), SERVICE_PODS)
def test_probes_ask_the_gateway(name: str, pod: Manifest, owner: Manifest) -> None:
    """A pod has the gateway's port and no other, and its probes ask there."""
    ports = {port["name"]: port["containerPort"] for port in container(pod)["ports"]}
    assert set(ports.values()) == {Settings().gateway_port}
    assert {"readinessProbe", "livenessProbe"} <= set(probes(pod))
    for probe in probes(pod).values():
        assert ports.get(probe["httpGet"]["port"], probe["httpGet"]["port"]) == Settings().gateway_port


async def test_probes_ask_what_the_gateway_answers() -> None:
    """A fit gateway answers 200 at every path that a probe or Prometheus asks for."""
    paths = {probe["httpGet"]["path"] for one in SERVICE_PODS for probe in probes(one.values[1]).values()}
    paths |= {end["path"] for end in only("gpu-all", "ServiceMonitor", "paddleocr-vl")["spec"]["endpoints"]}
    async with Standin() as vlm, gateway(vlm.url) as running:
        for path in paths:
            assert (await running.http.get(path)).status_code == 200, path


@pytest.mark.parametrize(("name", "pod", "owner"), SERVICE_PODS)
def test_a_start_of_minutes_is_waited_for(name: str, pod: Manifest, owner: Manifest) -> None:
    """300 seconds pass before a pod that loads its models is given up, and none before the first look."""
    startup = probes(pod).get("startupProbe")
    if startup is None:  # Knative: its liveness begins as late
        assert probes(pod)["livenessProbe"]["initialDelaySeconds"] >= 300
        return
    assert "initialDelaySeconds" not in startup
    assert startup["failureThreshold"] * startup["periodSeconds"] >= 300


@pytest.mark.parametrize(("name", "pod", "owner"), SERVICE_PODS)
def test_a_pod_may_drain_before_it_is_killed(name: str, pod: Manifest, owner: Manifest) -> None:
    """The grace is longer than preStop, DRAIN_S and both stops of supervisord together."""
    drain = int(environment(name, pod)["DRAIN_S"])
    stops = 10 + int(re.findall(r"stopwaitsecs=(\d+)", (ROOT / "supervisord.conf").read_text())[0])
    grace = pod["spec"].get("terminationGracePeriodSeconds")
    if grace is None:  # Knative gives a pod as long as a request
        assert owner["spec"]["template"]["spec"]["timeoutSeconds"] > drain + stops
        return
    assert grace > int(container(pod)["lifecycle"]["preStop"]["exec"]["command"][1]) + drain + stops


@pytest.mark.parametrize(("name", "pod", "owner"), EVERY_POD)
def test_variables_are_known_and_accepted(
    name: str, pod: Manifest, owner: Manifest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every variable is one of the gateway's, the entrypoint's or a library's, and the settings take the values."""
    variables = environment(name, pod)
    rows = re.findall(r"^\| `([A-Z_]+)` \|", (ROOT / "docs" / "operations.md").read_text(), re.MULTILINE)
    named = {*variables, *(one["name"] for one in container(pod).get("env", ()))}
    assert named - set(Settings().shown()) - set(rows) - OF_OTHERS == set()
    for variable, value in variables.items():
        monkeypatch.setenv(variable, value)
    assert Settings().genai_backend == variables.get("GENAI_BACKEND", "paddlex")


@pytest.mark.parametrize(("name", "pod", "owner"), SERVICE_PODS)
def test_a_platforms_limit_on_a_request_comes_after_ours(name: str, pod: Manifest, owner: Manifest) -> None:
    """Where the platform cuts requests off, the gateway has said 504 before."""
    of_pod = owner["spec"].get("predictor", {}).get("timeout")
    limit = of_pod or owner["spec"].get("template", {}).get("spec", {}).get("timeoutSeconds")
    if limit:
        assert float(environment(name, pod)["REQUEST_TIMEOUT_S"]) < limit <= 600


@pytest.mark.parametrize("name", list(SETS))
def test_selectors_find_pods_and_ports(name: str) -> None:
    """Services, budgets, policies, monitors and affinities select something, and ports named are there."""
    labels = {pod["metadata"]["name"]: pod["metadata"]["labels"] for pod, _ in pods(name)}
    ports = {port["name"] for pod, _ in pods(name) for port in container(pod)["ports"]}
    for one in manifests(name):
        spec = one["spec"] if one["kind"] != "ConfigMap" else {}
        selector = spec.get("podSelector" if one["kind"] == "NetworkPolicy" else "selector", {})
        if one["kind"] in ("Service", "PodDisruptionBudget", "NetworkPolicy", "Deployment", "StatefulSet"):
            assert [pod for pod, its in labels.items() if fits(selector, its)] == [one["metadata"]["name"]]
        if one["kind"] == "Service":
            assert {port["targetPort"] for port in spec["ports"]} <= ports
        if one["kind"] == "ServiceMonitor":
            service = only(name, "Service", one["metadata"]["name"])
            assert fits(selector, service["metadata"]["labels"])
            assert {end["port"] for end in spec["endpoints"]} <= {port["name"] for port in service["spec"]["ports"]}
    for pod, _ in pods(name):
        for term in pod["spec"]["affinity"]["podAntiAffinity"]["preferredDuringSchedulingIgnoredDuringExecution"]:
            assert fits(term["podAffinityTerm"]["labelSelector"], pod["metadata"]["labels"])


def triggers(name: str) -> Iterator[tuple[Manifest, str]]:
    for one in manifests(name):
        if one["kind"] == "ScaledObject":
            for trigger in one["spec"]["triggers"]:
                if trigger["type"] == "prometheus":
                    yield one, trigger["metadata"]["query"]


@pytest.mark.parametrize("name", ["gpu-all", "split-all"])
def test_autoscaling_looks_at_metrics_that_are_there(name: str) -> None:
    """What is scaled exists, and its queries name our metrics, or vLLM's, of a Service that is scraped."""
    kinds = (one for one in vars(metrics).values() if isinstance(one, prometheus_client.metrics.MetricWrapperBase))
    ours = {family.name for kind in kinds for family in kind.collect()}
    scraped = {one["metadata"]["name"] for one in manifests(name) if one["kind"] == "ServiceMonitor"}
    assert list(triggers(name))
    for scaled, query in triggers(name):
        target = scaled["spec"]["scaleTargetRef"]
        only(name, target["kind"], target["name"])
        metric, job = re.fullmatch(r'sum\(([a-z_:]+)\{job="([a-z-]+)"\}\)', query).groups()
        assert metric in ours | {"vllm:num_requests_waiting", "vllm:num_requests_running"}
        assert job in scraped


def test_check_passes_in_a_pods_environment() -> None:
    """`python -m gateway check` is content with what the try-out's pod is given, and with the backend beside it."""
    ((pod, _),) = pods("cpu")
    with Standin() as vlm:
        vlm.model = "rapidocr-tesseract"
        variables = environment("cpu", pod) | {"GENAI_PORT": str(vlm.port), "PATH": os.environ["PATH"]}
        command = [sys.executable, "-m", "gateway", "check"]
        done = subprocess.run(command, env=variables, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout.splitlines()[-1]) == (0, "fit"), done.stdout + done.stderr


def test_the_gateways_know_every_vllm_that_may_be() -> None:
    """VLM_URLS names the pods of the StatefulSet, as many as autoscaling may start."""
    name = "split-all"
    stateful, service = only(name, "StatefulSet", "vllm"), only(name, "Service", "vllm")
    most = only(name, "ScaledObject", "vllm")["spec"]["maxReplicaCount"]
    (pod,) = [pod for pod, owner in pods(name) if owner["kind"] == "Deployment"]
    port = service["spec"]["ports"][0]["port"]
    assert environment(name, pod)["VLM_URLS"].split(",") == [
        f"http://vllm-{number}.{stateful['spec']['serviceName']}:{port}/v1" for number in range(most)
    ]
    assert service["spec"]["clusterIP"] == "None"
    (vllm,) = stateful["spec"]["template"]["spec"]["containers"]
    assert (vllm["ports"][0]["containerPort"], f"--port {port} " in vllm["args"][0]) == (port, True)
    assert port == Settings().genai_port
    assert {"name": "VLM_MODEL_NAME", "value": Settings().vlm_model_name} in vllm["env"]


def test_only_gateways_and_prometheus_reach_vllm() -> None:
    """vLLM has no key of its own, so the network keeps others away; the gateways are let through on both sides."""
    (rule,) = only("split", "NetworkPolicy", "vllm")["spec"]["ingress"]
    (pod,) = [pod for pod, owner in pods("split") if owner["kind"] == "Deployment"]
    (vllm,) = [pod for pod, owner in pods("split") if owner["kind"] == "StatefulSet"]
    sources = [one for one in rule["from"] if "namespaceSelector" not in one]
    assert [fits(one["podSelector"], pod["metadata"]["labels"]) for one in sources] == [True]
    egress = only("split", "NetworkPolicy", "paddleocr-vl")["spec"]["egress"]
    assert [
        rule["ports"]
        for rule in egress
        for to in rule["to"]
        if "podSelector" in to and fits(to["podSelector"], vllm["metadata"]["labels"])
    ] == [[{"port": 8118, "protocol": "TCP"}]]


@pytest.mark.parametrize("name", list(SETS))
def test_nothing_but_vllm_is_reached_at_a_private_address(name: str) -> None:
    """Documents are fetched from public addresses only, whatever the gateway itself would let through."""
    blocks = [
        to["ipBlock"]
        for one in manifests(name)
        if one["kind"] == "NetworkPolicy"
        for rule in one["spec"]["egress"]
        for to in rule["to"]
        if "ipBlock" in to
    ]
    assert blocks
    for block in blocks:
        assert {"10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "169.254.0.0/16"} <= set(block["except"])


def test_vllm_gets_the_options_of_the_entrypoint() -> None:
    """Both ways of starting vLLM set the same; only its share of the GPU differs."""
    heredoc = re.search(r"<<YAML\n(.*?)\nYAML", (ROOT / "entrypoint.sh").read_text(), re.DOTALL).group(1)
    of_entrypoint = yaml.safe_load(re.sub(r"\$\{\w+:-([^}]+)\}", r"\1", heredoc))
    options = yaml.safe_load((DEPLOY / "overlays/split/vllm-options.yaml").read_text())
    assert options.pop("gpu-memory-utilization") > of_entrypoint.pop("gpu-memory-utilization")
    assert options == of_entrypoint


def test_the_readme_names_what_there_is() -> None:
    """Every folder and file that deploy/README.md names exists, and every overlay and component is named."""
    text = (DEPLOY / "README.md").read_text()
    named = set(re.findall(r"(?:overlays|components|serverless)/[\w./-]*\w", text))
    assert [name for name in named if not (DEPLOY / name).exists()] == []
    there = {str(path.parent.relative_to(DEPLOY)) for path in DEPLOY.glob("*/*/kustomization.yaml")}
    assert there <= named
