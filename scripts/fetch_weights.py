"""Fetches the weights through PaddleX, which knows the hubs and its models' names there."""

import argparse
import hashlib
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from pathlib import Path

from gateway.settings import Settings
from gateway.weights import layout_problems, vlm_problems

SUMS = "SHA256SUMS"


@dataclass(frozen=True)
class Model:
    """`variable` names its folder to the service; `problems` tells what is wrong with one; `formats` are PaddleX's."""

    name: str
    folder: str
    variable: str
    problems: Callable[[Path], list[str]]
    formats: tuple[str, ...] | None = None


def chosen(settings: Settings) -> tuple[Model, Model]:
    """The models of the environment's settings, with their names at the hubs."""
    vlm, layout, engine = settings.vlm_model_name, settings.layout_model_name, settings.layout_engine
    suffix, formats = ("_onnx", ("onnx",)) if engine == "onnxruntime" else ("", None)
    return (
        Model(vlm, vlm.removesuffix("-0.9B"), "VLM_MODEL_DIR", vlm_problems),
        Model(layout, layout + suffix, "LAYOUT_MODEL_DIR", partial(layout_problems, engine=engine), formats),
    )


def say(words: str) -> None:
    sys.stderr.write(f"fetch-weights | {words}\n")


def sums(folder: Path) -> str:
    """The lines of `sha256sum` for every file under `folder`."""
    lines = []
    for file in sorted(folder.rglob("*")):
        if file.is_file() and file.name != SUMS:
            with file.open("rb") as stream:
                digest = hashlib.file_digest(stream, "sha256").hexdigest()
            lines.append(f"{digest}  {file.relative_to(folder)}\n")
    return "".join(lines)


def fetch(model: Model, target: Path) -> None:
    """Download `model` to `target`. PaddleX raises anything."""
    from paddlex.inference.utils.official_models import official_models

    shutil.move(official_models.get_model_path(model.name, model_formats=model.formats), target)
    shutil.rmtree(target / ".cache", ignore_errors=True)  # a hub's notes about the download


def fetch_all(folder: Path, models: Sequence[Model]) -> list[str]:
    """Problems of what came; nothing when all is there."""
    problems = []
    for model in models:
        target = folder / model.folder
        say(f"{model.name}: {'already in' if target.exists() else 'fetching to'} {target}")
        if not target.exists():
            fetch(model, target)
        problems += model.problems(target)
    return problems


def verify(folder: Path) -> int:
    recorded = folder / SUMS
    if not recorded.is_file():
        say(f"no {SUMS} in {folder}: it was not made by scripts/fetch-weights, or not copied whole")
        return 1
    there = dict(reversed(line.split("  ", 1)) for line in sums(folder).splitlines())
    wrong = False
    for line in recorded.read_text().splitlines():
        digest, name = line.split("  ", 1)
        if there.get(name) != digest:
            wrong = True
            say(f"{name} {'is missing' if name not in there else 'differs'}")
    if not wrong:
        say(f"{folder} is as it was fetched")
    return int(wrong)


def main() -> int:
    parser = argparse.ArgumentParser(prog="scripts/fetch-weights")
    parser.add_argument("--verify", action="store_true", help="compare FOLDER with its sums; asks no hub")
    parser.add_argument("folder", type=Path)
    arguments = parser.parse_args()
    folder = arguments.folder.resolve()
    if arguments.verify:
        return verify(folder)
    if find_spec("paddlex") is None:
        say(f"{sys.executable} has no PaddleX: scripts/install.sh paddlex installs it, and the image has it")
        return 2
    folder.mkdir(parents=True, exist_ok=True)
    models = chosen(Settings())
    with tempfile.TemporaryDirectory(dir=folder, prefix=".fetching-") as scratch:
        # Read when PaddleX is imported; beside the target, so that gigabytes are not copied from another disk.
        os.environ |= {"PADDLE_PDX_CACHE_HOME": scratch, "TMPDIR": scratch}
        tempfile.tempdir = None
        try:
            problems = fetch_all(folder, models)
        except Exception as error:  # PaddleX and the hubs' libraries raise anything, bare Exception included
            say(f"could not fetch: {error}{f' ({error.__cause__})' if error.__cause__ else ''}")
            return 1
    for problem in problems:
        say(problem)
    if problems:
        return 1
    (folder / SUMS).write_text(sums(folder))
    say("all there; where it is used, set")
    for model in models:
        say(f"  {model.variable}={folder / model.folder}")
    say("  HF_HUB_OFFLINE=1")
    return 0


if __name__ == "__main__":
    sys.exit(main())
