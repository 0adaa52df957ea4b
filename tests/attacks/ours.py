"""Attacks against `python -m grading autograde`, handed in together as one class."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nbgrader.api import Gradebook

from tests.attacks import LAB, Attack
from tests.attacks.outcome import Outcome
from tests.attacks.pages import live_scripts
from tests.attacks.victim import HONEST, World, hand_in, hand_in_honestly, our_course

ROOT = Path(__file__).parents[2]
REFUSED = ("folder_of_classmate",)  # named, and not graded at all
LIMITS = ("4", "3", "60")  # seconds that a cell may take here, an exercise, and a notebook


@dataclass(frozen=True)
class Graded:
    """What became of a class of attackers and a few honest people.

    results: the result files, by student; sizes: their bytes; harm: what was done to the world,
    by whom is not told; seconds: the whole command; said: what it printed.
    """

    results: dict[str, dict[str, Any]]
    sizes: dict[str, int]
    outcomes: dict[str, Outcome]
    harm: list[str]
    seconds: float
    status: int
    said: str

    @property
    def honest(self) -> list[dict[str, Any] | None]:
        return [self.results.get(name) for name in HONEST]


def attack_ours(world: World, attacks: Iterable[Attack], seconds: float, *options: str) -> Graded:
    """Grade the attacks in a new course of ours; at most `seconds` for all."""
    our_course(world)
    released = world.course / "labs" / f"{LAB}.ipynb"
    submissions = world.course / "submissions"
    for name in HONEST:
        hand_in_honestly(world, released, submissions / name / f"{LAB}.ipynb")
    names = []
    for attack in attacks:
        names.append(attack.name)
        file = submissions / attack.name / f"{LAB}.ipynb"
        hand_in(world, released, attack, file, submissions / HONEST[0] / f"{LAB}.ipynb")
    before, start = _files(world), time.monotonic()
    status, said = _autograde(world, submissions, seconds, options)
    spent = time.monotonic() - start
    time.sleep(max(0.0, 5.0 - spent))  # what outlives its notebook writes after four seconds
    changed = {name for name, _ in before.items() ^ _files(world).items()}
    harm = world.harm() + [f"changed {name}" for name in sorted(changed)]
    results = {}
    for name in (*HONEST, *names):
        file = world.course / "results" / name / f"{LAB}.json"
        if file.exists():
            results[name] = json.loads(file.read_text())
    sizes = {
        name: (world.course / "results" / name / f"{LAB}.json").stat().st_size for name in results
    }
    outcomes = {name: _outcome(world, results.get(name), f"'{name}': " in said) for name in names}
    return Graded(results, sizes, outcomes, harm, spent, status, said)


@dataclass(frozen=True)
class Recorded:
    """What became of the results in nbgrader's gradebook and on the pages people look at.

    scores: the gradebook's, by student; live: what would run in a browser, by page; said: what the
    commands printed that failed.
    """

    scores: dict[str, float]
    live: dict[str, list[str]]
    said: str


def record(world: World, seconds: float) -> Recorded:
    """Record the results that `attack_ours` left, and write the report and the feedback."""
    grading, said = [sys.executable, "-m", "grading"], ""
    where = ["--course", str(world.course), "--results", "results"]
    course = world.course / "course"
    for folder, command in (
        (world.course, [*grading, "record", LAB, "submissions", *where]),
        (world.course, [*grading, "report", LAB, *where]),
        (course, ["nbgrader", "generate_feedback", LAB]),
    ):
        done = subprocess.run(
            command,
            cwd=folder,
            env=world.environment(),
            timeout=seconds,
            check=False,
            capture_output=True,
            text=True,
            errors="replace",
        )
        said += f"{done.stdout}\n{done.stderr}" if done.returncode else ""
    with Gradebook(f"sqlite:///{course / 'gradebook.db'}") as gradebook:
        handed_in: list[Any] = gradebook.assignment_submissions(LAB)
        scores = {one.student_id: float(one.score) for one in handed_in}
    pages = [*course.glob("feedback/*/**/*.html"), *world.course.glob("results/report/*.html")]
    live = {f"{page.parts[-3]}/{page.name}": live_scripts(page.read_text()) for page in pages}
    return Recorded(scores, {page: found for page, found in live.items() if found}, said)


def _autograde(
    world: World, submissions: Path, seconds: float, options: Iterable[str]
) -> tuple[int, str]:
    command = [
        sys.executable,
        "-m",
        "tests.attacks.grade",
        *LIMITS,
        "autograde",
        LAB,
        str(submissions),
        "--course",
        str(world.course),
        "--results",
        str(world.course / "results"),
        "--jobs",
        "2",
        *options,
    ]
    environment = world.environment() | {"PYTHONPATH": str(ROOT)}
    with (world.folder / "said.txt").open("w+") as said:
        process = subprocess.Popen(
            command,
            cwd=world.course,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            status = process.wait(seconds)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, 9)
            status = process.wait()
        said.seek(0)
        return status, said.read()


def _outcome(world: World, result: dict[str, Any] | None, named: bool) -> Outcome:
    if result is None:
        return Outcome(None, note="refused by name" if named else "no result")
    read = world.read(json.dumps(result))
    return Outcome(
        result["score"], tuple(read), note="" if result["status"] == "graded" else result["status"]
    )


def _files(world: World) -> dict[str, str]:
    """What is in the course, but for what grading writes."""
    found = {}
    for path in sorted(world.course.rglob("*")):
        name = path.relative_to(world.course)
        if name.parts[0] == "results" or name.suffix == ".pyc" or not path.is_file():
            continue
        about = path.lstat()
        found[str(name)] = f"{about.st_size} {about.st_mtime_ns}"
    return found
