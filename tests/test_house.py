"""The house keeps its shape: who may import whom, and what may be used where."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "gateway"

LAYERS = {
    "document": 0, "errors": 0, "settings": 0, "metrics": 0, "logs": 0, "turns": 0, "weights": 0, "hold": 0,
    "memory": 0, "threads": 0, "tally": 0, "traces": 0, "spans": 0,
    "intake": 1, "layout": 1, "vlm": 1, "regions": 1, "assemble": 1, "cpu_backend": 1, "listener": 1, "follow": 1,
    "pipeline": 2,
    "api": 3,
    "app": 4, "connection": 4, "serve": 4, "commands": 4, "__main__": 4,
}  # fmt: skip
ALONE = {"intake", "layout", "vlm", "regions", "assemble", "cpu_backend", "listener", "follow"}
HOMES = {
    "fastapi": {"api", "app"}, "starlette": {"api", "app"}, "uvicorn": {"connection", "serve", "commands"},
    "httpx": {"intake"}, "httptools": {"vlm"}, "boto3": {"intake"},
    "paddlex": {"layout"}, "rapidocr": {"layout", "cpu_backend"}, "rapid_layout": {"layout"},
    "opentelemetry": {"spans", "traces"},
    "docx": {"assemble"}, "latex2mathml": {"assemble"}, "mathml2omml": {"assemble"},
    "onnxruntime": {"layout", "cpu_backend"}, "cv2": {"layout", "cpu_backend"}, "torch": set(), "paddle": set(),
}  # fmt: skip


def modules() -> Iterator[tuple[str, Path, ast.Module]]:
    for path in sorted(PACKAGE.rglob("*.py")):
        room = path.relative_to(PACKAGE).with_suffix("").parts[0]
        if room != "__init__":
            yield room, path, ast.parse(path.read_text())


def imports(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            base = node.module or ""
            yield from ((f"{base}.{alias.name}" for alias in node.names) if base == "gateway" else (base,))


def test_every_room_has_a_layer() -> None:
    """A new room is a decision, written down here."""
    assert {room for room, _, _ in modules()} <= set(LAYERS)


def test_imports_point_down() -> None:
    """A room imports only from layers below its own, and rooms of layer 1 do not know each other."""
    wrong = []
    for room, path, tree in modules():
        for name in imports(tree):
            parts = name.split(".")
            if parts[0] != "gateway" or len(parts) < 2 or parts[1] in (room, "__version__"):
                continue
            if LAYERS[parts[1]] > LAYERS[room] or (room in ALONE and parts[1] in ALONE):
                wrong.append(f"{path.relative_to(ROOT)} imports {name}")
    assert wrong == []


def test_dependencies_stay_in_their_rooms() -> None:
    """The web framework stays in the web layer, model runtimes in the rooms that run models."""
    wrong = []
    for room, path, tree in modules():
        for name in imports(tree):
            home = HOMES.get(name.split(".")[0])
            if home is not None and room not in home:
                wrong.append(f"{path.relative_to(ROOT)} imports {name}")
    assert wrong == []


def test_only_settings_read_the_environment() -> None:
    """What the environment says is read in one place."""
    readers = {
        path.name
        for room, path, tree in modules()
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute | ast.Name)
        and (node.attr if isinstance(node, ast.Attribute) else node.id) in ("getenv", "environ")
        and room != "settings"
    }
    assert readers == set()


def test_the_gateway_starts_without_model_runtimes() -> None:
    """Importing everything that `serve` needs loads no model runtime, nor OpenTelemetry's SDK."""
    heavy = {"paddle", "paddlex", "torch", "onnxruntime", "cv2", "rapidocr", "opentelemetry.sdk"}
    code = (
        "import sys, gateway.app, gateway.serve, gateway.commands.serve, gateway.commands.parse;"
        f"print(sorted({heavy} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
