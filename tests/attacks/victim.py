"""What is attacked: a course with secrets planted in it, a home, a process and a service.

Everything is in a temporary folder, and everything harmful that an attack can do to it is seen by
`World.harm`. The secrets are random words of one form, so that a leak is told by reading, and no
attack prints anything else that it finds on the machine.
"""

import json
import os
import re
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import sysconfig
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jupytext
from nbgrader.api import Gradebook

from grading.course import nbgrader_config, release
from tests.attacks import LAB, MAX_SCORE, Attack, Notebook, Victim

SOURCES = Path(__file__).parent / "lab"
POINTS = {"center": 2.0, "slope": 2.0, "averager": 2.0, "codeword": 1.0}
HONEST = ("000_honest", "mmm_honest", "zzz_honest")  # first, in the middle and last
SECRET = re.compile(r"canary-([a-z]+)-[0-9a-f]{16}")
_SECRETS = (
    "solution",
    "checks",
    "codeword",
    "classmate",
    "gradebook",
    "key",
    "environment",
    "file",
    "service",
    "course",
    "left",
)
assert sum(POINTS.values()) == MAX_SCORE


class World:
    """A folder with a course, an instructor's home, a process and a service, to be attacked."""

    def __init__(self, folder: Path, planted: Mapping[str, str] | None = None) -> None:
        self.folder, self.course, self.home = folder, folder / "course", folder / "home"
        self.name = secrets.token_hex(8)
        self.secrets = planted or {
            name: f"canary-{name}-{secrets.token_hex(8)}" for name in _SECRETS
        }
        (self.home / ".ssh").mkdir(parents=True)
        (self.home / ".ssh" / "id_ed25519").write_text(self.secrets["key"])
        (self.home / ".netrc").write_text(self.secrets["key"])
        self.course.mkdir(exist_ok=True)
        self.canary = self.course / "canary.txt"
        self.canary.write_text(self.secrets["file"])
        self.process = subprocess.Popen(
            ["sleep", "3600"], env={"GRADER_TOKEN": self.secrets["environment"]}
        )
        self.service = Service(folder / "service", self.secrets["service"])

    def close(self) -> None:
        """End what was started here, by attacks too, and remove what they left behind."""
        self.process.kill()
        self.process.wait()
        self.service.close()
        for pid in self._survivors():
            os.kill(pid, signal.SIGKILL)
        for left in self._left():
            left.unlink()

    def fill(self, text: str) -> str:
        """The text of a lab or an attack with the true values in the places of its @NAMES@."""
        known = {name.upper(): secret for name, secret in self.secrets.items()} | {
            "COURSE": str(self.course),
            "HOME": str(self.home),
            "PID": str(self.process.pid),
            "HOST": self.service.host,
            "PORT": str(self.service.port),
            "SOCKET": str(self.service.path),
            "WORLD": self.name,
        }
        return re.sub("@([A-Z]+)@", lambda found: known.get(found[1], found[0]), text)

    def environment(self) -> dict[str, str]:
        """The environment of a grader's command: the instructor's, with a secret in it."""
        path = os.pathsep.join([sysconfig.get_path("scripts"), "/usr/bin", "/bin"])
        return {
            "PATH": path,
            "HOME": str(self.home),
            "LANG": "C.UTF-8",
            "OMP_NUM_THREADS": "1",
            "GRADER_TOKEN": self.secrets["environment"],
        }

    def harm(self) -> list[str]:
        """What was done to the world that nobody who hands in a notebook should be able to do."""
        found = [f"wrote {path.name}" for path in self.folder.rglob("owned-*")]
        for folder in (Path("/tmp"), Path("/dev/shm"), Path("/etc"), Path("/")):
            found += [f"wrote {path}" for path in folder.glob("owned-*")]
        if self.canary.read_text() != self.secrets["file"]:
            found.append(f"changed {self.canary.name}")
        for path in self.course.glob("sub*/*_honest/**/*.ipynb"):
            if "owned-" in path.read_text():
                found.append("changed a classmate's notebook")
        if self.process.poll() is not None:
            found.append("killed a process")
        found += [f"reached a service by {way}" for way in self.service.reached]
        for left in self._left():
            found.append(f"left a word in {'~' if left.parent == self.home else left.parent}")
        found += ["left a process running" for _ in self._survivors()]
        return list(dict.fromkeys(found))

    def _left(self) -> list[Path]:
        """Words that an attack left for the next one, in places that all share."""
        folders = ("/tmp", "/var/tmp", "/dev/shm", "/run", str(self.home))
        places = [Path(folder, f"left-by-{self.name}") for folder in folders]
        return [place for place in places if place.exists()]

    def _survivors(self) -> list[int]:
        """Processes of attacks that are still alive, by two words on their command lines."""
        found, course = [], str(self.course).encode()
        for entry in Path("/proc").glob("[0-9]*/cmdline"):
            try:
                line = entry.read_bytes()
            except OSError:  # it has just ended
                continue
            if b"\0attack-daemon\0" in line and course in line:
                found.append(int(entry.parent.name))
        return found

    def read(self, text: str) -> list[str]:
        """Names of the secrets that the text holds."""
        return sorted(name for name, secret in self.secrets.items() if secret in text)


class Service:
    """Listens where the instructor's own services do, and tells a secret to whoever connects."""

    def __init__(self, path: Path, secret: str) -> None:
        self.path, self.reached = path, list[str]()
        self._secret = secret.encode()
        self._open = [socket.create_server(("", 0)), socket.socket(socket.AF_UNIX)]
        self._open[1].bind(str(path))
        self._open[1].listen()
        if sys.platform == "linux":
            self._open.append(socket.socket(socket.AF_UNIX))
            self._open[2].bind(f"\0{path}")
            self._open[2].listen()
        self.port = self._open[0].getsockname()[1]
        self.host = _own_address()
        for way, listening in zip(("TCP", "a Unix socket", "a name"), self._open, strict=False):
            threading.Thread(target=self._serve, args=(way, listening), daemon=True).start()

    def _serve(self, way: str, listening: socket.socket) -> None:
        while True:
            try:
                client, _ = listening.accept()
            except OSError:  # closed
                return
            self.reached.append(way)
            with client:
                client.sendall(self._secret)

    def close(self) -> None:
        for listening in self._open:
            listening.shutdown(socket.SHUT_RDWR)
            listening.close()


def _own_address() -> str:
    """This machine's address on its network; the loopback's where it has none."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
        try:
            asking.connect(("192.0.2.1", 9))  # sends nothing
        except OSError:
            return "127.0.0.1"
        return asking.getsockname()[0]


def our_course(world: World) -> None:
    """Make `world.course` a course of this project's, released, with one tiny lab."""
    course = world.course
    _write(course / "solutions" / f"{LAB}.py", world.fill((SOURCES / "ours.py").read_text()))
    checks = course / "grading" / "checks" / f"{LAB}.py"
    _write(checks, world.fill((SOURCES / "checks.py").read_text()))
    _write(course / "course" / "secret", world.secrets["course"])
    release.release(course, None, lambda lab: POINTS)
    _plant_student(course / "course", world)


def stock_course(world: World) -> None:
    """Make `world.course` an nbgrader course in the usual style, with the same exercises."""
    notebook = jupytext.reads(world.fill((SOURCES / "stock.py").read_text()), fmt="py:percent")
    notebook.metadata = {"kernelspec": {"name": "python3", "display_name": "Python 3"}}
    for number, cell in enumerate(notebook.cells):
        about = cell.metadata.get("nbgrader")
        cell.id = about["grade_id"] if about else f"cell-{number}"
        if about:
            graded = about.get("grade", False)
            cell.metadata["nbgrader"] = {
                "grade": graded,
                "solution": not graded,
                "locked": graded,
                "task": False,
                "schema_version": 3,
                **about,
            }
        cell.metadata.pop("lines_to_next_cell", None)
    file = world.course / "source" / LAB / f"{LAB}.ipynb"
    _write(file, jupytext.writes(notebook, fmt="ipynb"))
    _write(world.course / "nbgrader_config.py", "c = get_config()\n")
    run(world, ["nbgrader", "generate_assignment", LAB, "--create"], 120).check_returncode()
    _plant_student(world.course, world)


def _plant_student(folder: Path, world: World) -> None:
    url = f"sqlite:///{folder / 'gradebook.db'}"
    with Gradebook(url, nbgrader_config.COURSE_ID) as gradebook:
        about: Any = {"last_name": world.secrets["gradebook"]}  # typed wrongly by nbgrader
        gradebook.add_student("someone", **about)


def run(world: World, command: Sequence[str], seconds: float) -> "subprocess.CompletedProcess[str]":
    """Run an instructor's command in the course."""
    return subprocess.run(
        command,
        cwd=world.course,
        env=world.environment(),
        timeout=seconds,
        check=False,
        capture_output=True,
        text=True,
        errors="replace",
        stdin=subprocess.DEVNULL,
    )


def hand_in(world: World, released: Path, attack: Attack, file: Path, classmate: Path) -> None:
    """Write an attack's notebook, and what lies beside it, to where submissions are collected."""
    notebook = json.loads(released.read_text())
    first = next(i for i, cell in enumerate(notebook["cells"]) if _answers(cell))
    for cell in notebook["cells"]:
        if _answers(cell) in attack.answers:
            cell["source"] = world.fill(attack.answers[_answers(cell)])
    if attack.after:
        notebook["cells"].append(_cell("after", world.fill(attack.after)))
    if attack.before:
        notebook["cells"].insert(first, _cell("before", world.fill(attack.before)))
    if attack.tamper:
        attack.tamper(notebook)
    _write(file, json.dumps(notebook))
    for name, text in attack.files.items():
        _write(file.parent / name, world.fill(text))
    if attack.replace:
        solution = next(world.course.glob(f"**/source/{LAB}/{LAB}.ipynb"))
        attack.replace(file, Victim(classmate, solution))


def hand_in_honestly(world: World, released: Path, file: Path) -> None:
    """Write the reference's notebook, with a secret that classmates should not read."""
    notebook = json.loads(released.read_text())
    solved = jupytext.reads(world.fill((SOURCES / "ours.py").read_text()), fmt="py:percent")
    answers = {
        one.metadata["nbgrader"]["grade_id"]: one.source
        for one in solved.cells
        if one.metadata.get("nbgrader", {}).get("solution")
    }
    for cell in notebook["cells"]:
        if name := _answers(cell):
            cell["source"] = f"# {world.secrets['classmate']}\n" + answers[f"{name}_code"]
    _write(file, json.dumps(notebook))


def _answers(cell: Mapping[str, Any]) -> str:
    """The exercise whose answer cell it is; empty for any other cell."""
    about = cell["metadata"].get("nbgrader", {})
    return about["grade_id"].removesuffix("_code") if about.get("solution") else ""


def _cell(name: str, source: str) -> Notebook:
    return {
        "cell_type": "code",
        "id": name,
        "metadata": {},
        "outputs": [],
        "execution_count": None,
        "source": source,
    }


def _write(file: Path, text: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text, encoding="utf-8")


def copy_course(world: World, target: Path) -> World:
    """Another world with a copy of this one's course and the same secrets."""
    shutil.copytree(world.course, target / "course")
    return World(target, world.secrets)
