"""The autograder for Gradescope, run as Gradescope runs it: in a container without namespaces.

The container is bubblewrap's: this machine's files, read-only, with an /autograder of its own and
with no bubblewrap to be found, so that submissions run as a second user.
"""

import json
import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbformat
import pytest

from grading.__main__ import main
from grading.marking import kernels
from tests.graded_course import LAB, PARTLY, RIGHT, answered, make_course, released, write
from tests.needs import needs

SPY = """
import json, os, pathlib, subprocess

subprocess.Popen(["sleep", "600"], start_new_session=True)
seen = []
for place in ("/autograder", "/tmp"):
    for folder, _, files in os.walk(place):
        for name in files:
            try:
                seen.append([f"{folder}/{name}", pathlib.Path(folder, name).read_text("latin-1")])
            except OSError:
                pass
for name in ("results/results.json", "submission/more.txt", "run_autograder"):
    try:
        pathlib.Path("/autograder", name).write_text("owned")
        seen.append([name, "written"])
    except OSError:
        pass
environment = dict(os.environ) | {"uid": os.getuid(), "groups": os.getgroups()}
for process in pathlib.Path("/proc").glob("[0-9]*/environ"):
    try:
        environment[str(process)] = process.read_text()
    except OSError:
        pass
pathlib.Path("/tmp/found.json").write_text(json.dumps([seen, environment]))

def double(x):
    return 2 * x
"""


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The autograder of a small lab."""
    place = tmp_path_factory.mktemp("gradescope")
    root = make_course(place / "root")
    assert main(["gradescope", "1", "--course", str(root), "--to", str(place / "a.zip")]) == 0
    return place / "a.zip"


@pytest.fixture
def container(bundle: Path) -> Iterator[Path]:
    """A folder whose `autograder` is as Gradescope makes it, and with stand-ins for what setup.sh
    installs: an apt-get that does nothing, a Python whose installation is this one."""
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        for name in ("source", "submission", "results"):
            (place / "autograder" / name).mkdir(parents=True)
        with zipfile.ZipFile(bundle) as whole:
            whole.extractall(place / "autograder" / "source")
        source = place / "autograder" / "source"
        assert {one.name for one in source.iterdir()} == {"setup.sh", "run_autograder", "course"}
        (place / "autograder" / "submission_metadata.json").write_text('{"users": []}')
        (place / "tmp").mkdir()
        (place / "tmp").chmod(0o1777)
        for name, script in (
            ("apt-get", "exit 0"),
            ("python3.13", f"mkdir .venv && ln -s {sys.prefix}/* .venv"),
        ):
            write(place / "stand-ins" / name, f"#!/bin/sh\n{script}\n").chmod(0o755)
        for file in ("setup.sh", "run_autograder"):
            os.chmod(source / file, 0o755)
        shutil.copy(source / "run_autograder", place / "autograder")
        yield place


def inside(place: Path, command: str) -> str:
    """Run a command as root in the container; what it said."""
    options = ["--unshare-pid", "--die-with-parent", "--cap-add", "ALL"]
    for folder in Path("/").iterdir():
        if folder.is_symlink():
            options += ["--symlink", os.readlink(folder), str(folder)]
        elif folder.is_dir() and folder.name not in ("proc", "dev", "tmp", "autograder"):
            options += ["--ro-bind", str(folder), str(folder)]
    options += [part for folder in _shut_off() for part in _opened(folder)]
    options += ["--proc", "/proc", "--dev", "/dev", "--chdir", "/autograder"]
    options += ["--ro-bind", "/dev/null", str(shutil.which("bwrap"))]
    for name in ("tmp", "autograder", "stand-ins"):
        options += ["--bind", str(place / name), f"/{name}"]
    done = subprocess.run(
        ["bwrap", *options, "bash", "-c", command],
        env={"PATH": "/stand-ins:/usr/bin:/bin", "SECRET_OF_ROOT": "s3cret"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


def results(place: Path) -> dict[str, Any]:
    return json.loads((place / "autograder" / "results" / "results.json").read_bytes())


def hand_in(place: Path, notebook: dict[str, Any], name: str = f"{LAB}.ipynb") -> None:
    write(place / "autograder" / "submission" / name, nbformat.writes(nbformat.from_dict(notebook)))


def test_the_zip_has_no_other_labs_checks_and_no_leftovers(bundle: Path) -> None:
    with zipfile.ZipFile(bundle) as whole:
        names = whole.namelist()
        modes = {name: whole.getinfo(name).external_attr >> 16 for name in names}
    assert modes["setup.sh"] & modes["run_autograder"] & 0o111 == 0o111
    checks = [name for name in names if name.startswith("course/grading/checks/0")]
    assert checks == [f"course/grading/checks/{LAB}.py"]
    assert len(set(names)) == len(names)
    assert not [name for name in names if "__pycache__" in name or name.startswith("/")]
    assert "course/course/secret" in names


@needs("bwrap")
@needs("root")
def test_a_submission_is_graded_as_a_second_user_who_finds_nothing(container: Path) -> None:
    source = container / "autograder" / "source" / "course"
    notebook = answered(released(source), {**RIGHT, "double_code": SPY})
    hand_in(container, notebook)
    after = "code=$?; stat -c %u /proc/[0-9]* > /tmp/left; exit $code"
    said = inside(container, f"source/setup.sh && ./run_autograder; {after}")
    assert f"isolation: {kernels.SECOND_USER}" in said
    found = results(container)
    assert found["score"] == 5.0, found
    seen, environment = json.loads((container / "tmp" / "found.json").read_bytes())
    assert environment["uid"] not in (0, os.getuid())
    assert environment["groups"] == []
    assert "s3cret" not in json.dumps(environment)
    secret = (source / "course" / "secret").read_text()
    checks = (source / "grading" / "checks" / f"{LAB}.py").read_text()
    read = "".join(text for _, text in seen)
    assert "def checks(" in read  # it may read what a notebook imports, and so it did look
    assert secret not in read
    assert checks not in read
    closed = tuple(f"/autograder/{name}" for name in ("results", "submission", "source"))
    assert not [name for name, text in seen if text == "written" or name.startswith(closed)]
    assert str(environment["uid"]) not in (container / "tmp" / "left").read_text().split()


@needs("bwrap")
@needs("root")
def test_results_have_gradescopes_form_whatever_was_handed_in(container: Path) -> None:
    source = container / "autograder" / "source" / "course"
    hand_in(container, answered(released(source), PARTLY), f"{LAB} (1).ipynb")
    inside(container, "source/setup.sh && ./run_autograder")
    found = results(container)
    assert found["score"] == 1.5
    assert [one["max_score"] for one in found["tests"]] == [2.0, 1.0, 2.0]
    assert "01_small (1).ipynb was graded" in str(found["output"])
    for file in (container / "autograder" / "submission").iterdir():
        file.unlink()
    write(container / "autograder" / "submission" / "essay.txt", "Dear teacher")
    inside(container, "./run_autograder")
    found = results(container)
    assert (found["score"], found["tests"]) == (0, [])
    assert found["output"] == "Nothing was graded: it holds no notebook."


def _shut_off() -> list[Path]:
    """Folders on the way to this Python into which nobody but its owner may look, such as /root."""
    wanted = (
        Path(os.path.realpath(sys.executable)),
        Path(sys.prefix),
        Path(sysconfig.get_path("purelib")),
    )
    ways = [folder for path in wanted for folder in path.parents]
    return sorted({one for one in ways if not one.stat().st_mode & 0o001})


def _opened(folder: Path) -> list[str]:
    """Show of such a folder what lies on the way, to everybody."""
    base = Path(sys.base_prefix).resolve()
    show = [one for one in (base, Path(sys.prefix).resolve()) if one.is_relative_to(folder)]
    options = ["--perms", "0755", "--tmpfs", str(folder)]
    for path in show:
        between = [one for one in reversed(path.parents) if one.is_relative_to(folder)][1:]
        options += [part for one in between for part in ("--perms", "0755", "--dir", str(one))]
        options += ["--ro-bind", str(path), str(path)]
    return options
