"""scripts/install.sh on a pip that only writes down what it is asked to install."""

import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


class Project:
    """A copy of what install.sh reads, beside an environment whose pip is a recorder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for name in ("pyproject.toml", "constraints.txt", "scripts/install.sh"):
            (folder / name).parent.mkdir(exist_ok=True)
            shutil.copy(ROOT / name, folder / name)
        (folder / ".venv" / "bin").mkdir(parents=True)
        self.calls = folder / "calls"
        self.program("python", "exit 0")
        self.program("pip", f'echo "$*" >>{self.calls}')
        self.program("promtool", "exit 0")

    def program(self, name: str, text: str) -> None:
        path = self.folder / ".venv" / "bin" / name
        path.write_text(f"#!/bin/sh\n{text}\n")
        path.chmod(0o755)

    def install(self, *extras: str) -> list[str]:
        """What pip was asked this time, a line a call; stdout must stay empty."""
        self.calls.write_text("")
        command = [self.folder / "scripts" / "install.sh", *extras]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, timeout=60, check=True)
        assert done.stdout == ""
        return self.calls.read_text().splitlines()


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path)


def test_installs_once(project):
    """A second run with the same extras, or fewer, asks pip for nothing."""
    assert any(f"--editable {project.folder}[dev,paddlex]" in call for call in project.install("paddlex", "dev"))
    assert project.install("dev", "paddlex") == []
    assert project.install("dev") == []


def test_new_extras_are_added_to_those_installed(project):
    """Another extra installs all of them together, so that their pins meet."""
    project.install("dev")
    assert any(call.endswith(f"--editable {project.folder}[dev,paddlex]") for call in project.install("paddlex"))


def test_changed_pins_install_again(project):
    """A line more in constraints.txt, and the same extras are installed anew."""
    project.install("dev")
    with (project.folder / "constraints.txt").open("a") as constraints:
        constraints.write("# changed\n")
    assert project.install("dev") != []


def test_a_failed_install_is_not_taken_for_done(project):
    """When pip fails, the script fails, and the next run installs."""
    project.program("pip", "exit 1")
    with pytest.raises(subprocess.CalledProcessError):
        project.install("dev")
    project.program("pip", f'echo "$*" >>{project.calls}')
    assert project.install("dev") != []


def test_one_opencv_has_the_last_word(project):
    """With PaddleX the headless contrib build is unpacked after everything else that brings a cv2."""
    assert project.install("cpu", "paddlex")[-1].endswith("--force-reinstall opencv-contrib-python-headless")
