"""scripts/push_to_artifact_registry.sh with a program in docker's place that writes down how it was called."""

import os
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "scripts" / "push_to_artifact_registry.sh"
SECRET = "s3cr3t-Of-The-Key"
DIGEST = "sha256:" + "ab" * 32
DOCKER = """#!/bin/bash
# Leaves in $RECORD: the words of every call, what it was given on stdin, its environment, and everybody's arguments.
echo "$*" >>"$RECORD/calls"
cat /proc/[0-9]*/cmdline 2>/dev/null | tr '\\0' ' ' >>"$RECORD/arguments"
case $1 in
  login) cat >"$RECORD/stdin"; env >"$RECORD/environment"; echo "$DOCKER_CONFIG" >"$RECORD/config"
         echo "{\\"auths\\": \\"$(base64 <"$RECORD/stdin")\\"}" >"$DOCKER_CONFIG/config.json" ;;
  context) echo "unix:///run/user/1000/docker.sock" ;;
esac
if [ -s "$RECORD/fail-$1" ]; then
  head -n 1 "$RECORD/fail-$1" >&2
  sed -i 1d "$RECORD/fail-$1"
  exit 1
fi
[ "$1" != push ] || { echo "1.4.0: digest: $DIGEST size: 4711"; echo "host=$DOCKER_HOST" >>"$RECORD/host"; }
"""


@dataclass
class Docker:
    """`fail` makes the next calls of a verb fail with these words, one after another."""

    folder: Path

    def fail(self, verb: str, *words: str) -> None:
        (self.folder / f"fail-{verb}").write_text("".join(f"{word}\n" for word in words))

    def told(self, name: str) -> str:
        path = self.folder / name
        return path.read_text() if path.exists() else ""

    @property
    def verbs(self) -> list[str]:
        return [call.split()[0] for call in self.told("calls").splitlines()]

    def push(self, *arguments: str, shell: tuple[str, ...] = (), **variables: str) -> subprocess.CompletedProcess[str]:
        environment = {
            "PATH": f"{self.folder}:{os.environ['PATH']}",
            "TMPDIR": str(self.folder),
            "RECORD": str(self.folder),
            "DIGEST": DIGEST,
            "REGISTRY_ENDPOINT": "registry.test:5000/team",
            "KEY_ID": "key-7",
            "KEY_SECRET": SECRET,
            "VERSION": "1.4.0",
            "RETRY_DELAY_S": "0",
            **variables,
        }
        command = [*shell, SCRIPT, *arguments]
        return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)


@pytest.fixture
def docker(tmp_path: Path) -> Docker:
    (tmp_path / "docker").write_text(DOCKER)
    (tmp_path / "docker").chmod(0o755)
    return Docker(tmp_path)


def test_logs_in_tags_pushes_and_prints_the_digest(docker):
    """The image goes to the registry under its version; stdout is what to deploy."""
    done = docker.push("built:here")
    assert (done.returncode, done.stdout) == (0, f"registry.test:5000/team/paddleocr-vl-service:1.4.0@{DIGEST}\n")
    assert docker.told("calls").splitlines() == [
        "image inspect built:here",
        "context inspect --format {{.Endpoints.docker.Host}}",
        "login registry.test:5000 --username key-7 --password-stdin",
        "tag built:here registry.test:5000/team/paddleocr-vl-service:1.4.0",
        "push registry.test:5000/team/paddleocr-vl-service:1.4.0",
    ]
    assert docker.told("host") == "host=unix:///run/user/1000/docker.sock\n"


@pytest.mark.parametrize("shell", [(), ("bash", "-x")], ids=["plain", "traced"])
def test_the_secret_is_told_to_docker_alone(docker, shell):
    """It arrives on stdin, and is in no output, argument, child's environment or file that stays."""
    done = docker.push(shell=shell)
    assert docker.told("stdin") == SECRET
    for place in (done.stdout, done.stderr, docker.told("arguments"), docker.told("environment")):
        assert SECRET not in place
    assert "key-7" in docker.told("arguments")  # so arguments were seen
    assert docker.told("config").strip()
    assert not Path(docker.told("config").strip()).exists()


def test_a_failure_that_may_pass_is_tried_again(docker):
    """Login and push are repeated after a fault of the network."""
    docker.fail("login", "dial tcp: i/o timeout")
    docker.fail("push", "received unexpected HTTP status: 502 Bad Gateway", "connection reset by peer")
    done = docker.push()
    assert done.returncode == 0
    assert [verb for verb in docker.verbs if verb in ("login", "push")] == ["login", "login", "push", "push", "push"]
    assert "(try 2 of 4); again in 0 s" in done.stderr


def test_tries_are_bounded(docker):
    """A registry that is not there ends the script with 1 after PUSH_ATTEMPTS tries, and names the endpoint."""
    docker.fail("login", *["dial tcp: no such host"] * 9)
    done = docker.push(PUSH_ATTEMPTS="3")
    assert (done.returncode, docker.verbs.count("login"), docker.verbs.count("push"), done.stdout) == (1, 3, 0, "")
    assert "is REGISTRY_ENDPOINT registry.test:5000/team right" in done.stderr


@pytest.mark.parametrize(
    ("verb", "words"), [("login", "401 Unauthorized"), ("push", "denied: requested access to the resource is denied")]
)
def test_a_refusal_is_not_repeated(docker, verb, words):
    """A wrong key or a missing right is told at once."""
    docker.fail(verb, words, words)
    done = docker.push()
    assert (done.returncode, docker.verbs.count(verb), done.stdout) == (1, 1, "")
    assert "was refused; look at KEY_ID, KEY_SECRET" in done.stderr


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("REGISTRY_ENDPOINT", ""),
        ("REGISTRY_ENDPOINT", "https://registry.test"),
        ("KEY_ID", ""),
        ("KEY_SECRET", ""),
        ("VERSION", ""),
        ("VERSION", "1.4 beta"),
        ("IMAGE_NAME", "Upper"),
        ("PUSH_ATTEMPTS", "0"),
        ("RETRY_DELAY_S", "soon"),
    ],
)
def test_a_wrong_variable_is_named(docker, name, value):
    """It ends the script with 2 before docker changes or sends anything, and its value is not repeated."""
    done = docker.push(**{name: value})
    assert done.returncode == 2
    assert re.search(rf"^push \| {name} is not ", done.stderr, re.MULTILINE)
    assert set(docker.verbs) <= {"image"}
    assert not value or value not in done.stderr


def test_all_that_is_wrong_is_told_at_once(docker):
    """Two mistakes and a missing image give three lines."""
    docker.fail("image", "Error: No such image: paddleocr-vl-service")
    done = docker.push(KEY_ID="", VERSION="")
    assert done.returncode == 2
    assert [line.split()[2] for line in done.stderr.splitlines()] == ["KEY_ID", "VERSION", "there"]
    assert "docker build -f docker/Dockerfile" in done.stderr


def test_without_docker_it_says_so(docker):
    """A machine without docker is told so, not that its image is missing."""
    (docker.folder / "docker").unlink()
    done = docker.push(PATH="/usr/bin:/bin") if not Path("/usr/bin/docker").exists() else None
    if done is None:
        pytest.skip("this machine has a docker of its own on the shortest PATH")
    assert (done.returncode, "docker is not on the PATH" in done.stderr) == (2, True)


def test_dry_run_shows_and_does_nothing(docker):
    """--dry-run prints the commands, runs none of them, needs no image and shows no secret."""
    done = docker.push("--dry-run", "built:here")
    assert (done.returncode, done.stdout, docker.verbs) == (0, "", [])
    assert "docker push registry.test:5000/team/paddleocr-vl-service:1.4.0" in done.stderr
    assert SECRET not in done.stderr
    assert docker.push("--dry-run", KEY_SECRET="").returncode == 2


def test_a_push_without_a_digest_is_no_success(docker):
    """What cannot be named for a deployment is not called pushed."""
    done = docker.push(DIGEST="none")
    assert (done.returncode, done.stdout) == (1, "")
    assert "told no digest" in done.stderr


def test_unknown_arguments_are_refused(docker):
    """A mistyped option does not push."""
    assert docker.push("--dryrun").returncode == 2
    assert docker.push("one", "two").returncode == 2
    assert docker.verbs == []
