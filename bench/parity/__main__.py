"""The official server and this one side by side: the same documents, layout model and stand-in VLM.

    scripts/parity [KIT] --official VENV [--kinds V2,V3] [--documents 40] [--prepared 12] [--show 20]

KIT is the folder with the official server's kit (`run_peer.sh`, `vlm_standin.py`), VENV where its `install.sh` put it.
Prints what share of the blocks is equal, in label, order, box, content and outline, and the same of Markdown and of
everything else in an answer; then every difference. Ends with 1 below 99 % of the blocks. `--prepared` documents of
each kind are turned and flattened first.
"""

from __future__ import annotations

import argparse
import base64
import json
import sys
import tempfile
import urllib.error
import urllib.request
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import servers

from parity import compare, preparation
from parity.cases import ANSWERS, Case, cases
from parity.compare import Tally
from parity.layouts import Kind, build

ENOUGH = 0.99


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("kit", nargs="?", type=Path, default=servers.ROOT.parent / "shared" / "peer")
    parser.add_argument("--official", type=Path, required=True, help="virtual environment of the official server")
    parser.add_argument("--kinds", default="V2,V3")
    parser.add_argument("--documents", type=int, default=40, help="of each kind")
    parser.add_argument("--prepared", type=int, default=12, help="of each kind, turned and flattened first")
    parser.add_argument("--show", type=int, default=20, help="differences printed; all go into the log")
    parser.add_argument("--log", type=Path, default=Path("parity.log"))
    arguments = parser.parse_args()
    tally = Tally()
    with tempfile.TemporaryDirectory() as folder:
        for kind in arguments.kinds.split(","):
            side_by_side(kind, arguments, Path(folder), tally)
    arguments.log.write_text("\n".join(tally.differences) + "\n")
    report(tally, arguments.show)
    return 0 if tally.equal["block"] >= ENOUGH * tally.total["block"] > 0 else 1


def side_by_side(kind: Kind, arguments: argparse.Namespace, folder: Path, tally: Tally) -> None:
    """Ask both servers everything, one request at a time."""
    model = build(kind, folder / kind)
    answers = folder / "answers.json"
    answers.write_text(json.dumps(ANSWERS))
    spoken = ["--answers", str(answers), "--answer-key", "size", "--tokens", "1", "--prefill-ms", "0"]
    kit, venv = arguments.kit, arguments.official
    with (
        servers.official(kit, venv, model, folder / f"run{kind}", spoken, tuned=True) as peer,
        servers.gateway([peer[1]], model, folder / f"gateway{kind}.log", {}) as ours,
    ):
        ask_all(kind, cases(kind, arguments.documents), (peer[0], ours), tally)
    steps = preparation.build(folder / "steps")
    settings = {
        "DOC_PREPARATION": "orientation, unwarping",
        "DOC_ORIENTATION_MODEL_DIR": str(steps[0]),
        "DOC_UNWARPING_MODEL_DIR": str(steps[1]),
    }
    with (
        servers.official_preparing(kit, venv, model, steps, folder / f"preparing{kind}", spoken) as peer,
        servers.gateway([peer[1]], model, folder / f"preparing{kind}.log", settings) as ours,
    ):
        ask_all(kind, preparation.cases(kind, arguments.prepared), (peer[0], ours), tally)


def ask_all(kind: Kind, asked: Iterable[Case], pair: tuple[servers.Server, servers.Server], tally: Tally) -> None:
    roots = [server.url.rsplit("/", 1)[0] for server in pair]
    for case in asked:
        sys.stderr.write(f"{kind} {case.name} {case.fields}\n")
        ask(roots, f"{kind} {case.name} {case.fields}", case, tally)


def ask(roots: list[str], where: str, case: Case, tally: Tally) -> None:
    fields = {"file": base64.b64encode(case.document).decode(), **case.fields}
    theirs, ours = (posted(f"{root}/layout-parsing", fields) for root in roots)
    if not tally.count("status", theirs["errorCode"], ours["errorCode"], where) or theirs["errorCode"]:
        return
    results = [answer["result"]["layoutParsingResults"] for answer in (theirs, ours)]
    tally.count("dataInfo", theirs["result"]["dataInfo"], ours["result"]["dataInfo"], where)
    if case.stored is not None:  # both restructure what the official server answered
        kept = json.loads(json.dumps([{"prunedResult": page["prunedResult"]} for page in results[0]]))
        restructured = [posted(f"{root}/restructure-pages", {"pages": kept, **case.stored}) for root in roots]
        if tally.count("status", *(answer["errorCode"] for answer in restructured), f"{where}, restructured"):
            stored = [answer["result"]["layoutParsingResults"] for answer in restructured]
            compare.pages(tally, f"{where}, restructured {case.stored}", *stored)
    compare.pages(tally, where, *results)


def posted(url: str, fields: dict[str, Any]) -> dict[str, Any]:
    body = json.dumps(fields).encode()
    request = urllib.request.Request(url, body, {"content-type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=120) as answer:
            return dict(json.load(answer))
    except urllib.error.HTTPError as error:
        return dict(json.load(error))


def report(tally: Tally, show: int) -> None:
    say = sys.stdout.write
    for part, total in tally.total.items():
        say(f"{part:20} {tally.equal[part]:6} of {total:6} equal, {tally.equal[part] / total:8.3%}\n")
    for reason, times in tally.known.most_common():
        say(f"named: {reason}: {times}\n")
    unnamed = len(tally.differences) - tally.known.total()
    say(f"{len(tally.differences)} differences, {unnamed} without a name\n")
    say("\n".join(tally.differences[:show]) + "\n")


sys.exit(main())
