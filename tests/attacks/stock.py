"""Attacks against stock `nbgrader autograde`, each in a fresh copy of a course of its own."""

import json
import re
import subprocess
from pathlib import Path

from nbgrader.api import Gradebook, MissingEntry

from grading.course import nbgrader_config
from tests.attacks import LAB, Attack
from tests.attacks.outcome import Outcome
from tests.attacks.pages import live_scripts
from tests.attacks.victim import World, copy_course, hand_in, hand_in_honestly, run, stock_course

SECONDS = 150.0


def template(folder: Path) -> World:
    """A stock course, to be copied for each attack."""
    world = World(folder)
    stock_course(world)
    return world


def attack_stock(source: World, attack: Attack, folder: Path) -> Outcome:
    """Hand the attack in to a copy of the course in `folder` and grade it."""
    world = copy_course(source, folder)
    try:
        released = world.course / "release" / LAB / f"{LAB}.ipynb"
        files = {
            name: world.course / "submitted" / name / LAB / f"{LAB}.ipynb"
            for name in (attack.name, "zzz_honest")
        }
        hand_in_honestly(world, released, files["zzz_honest"])
        hand_in(world, released, attack, files[attack.name], files["zzz_honest"])
        return _graded(world, attack)
    finally:
        world.close()


def _graded(world: World, attack: Attack) -> Outcome:
    note = ""
    try:
        done = run(world, ["nbgrader", "autograde", LAB, f"--student={attack.name}"], SECONDS)
        if done.returncode:
            note = "nbgrader fails"
    except subprocess.TimeoutExpired:
        note = f"nbgrader is not done after {SECONDS:g} seconds"
    harm = world.harm()
    if attack.gain == "browser":
        command = ["nbgrader", "generate_feedback", LAB, f"--student={attack.name}"]
        if run(world, command, SECONDS).returncode:
            note = note or "its feedback cannot be made"
        for page in (world.course / "feedback" / attack.name).rglob("*.html"):
            scripts = dict.fromkeys(live_scripts(page.read_text()))
            listed = ", ".join(f"`{script}`" for script in scripts)
            harm += [f"in the feedback page: {listed}"] if scripts else []
    read = world.read(_printed(world.course / "autograded" / attack.name / LAB / f"{LAB}.ipynb"))
    return Outcome(_score(world, attack.name), tuple(read), tuple(harm), note)


def _score(world: World, student: str) -> float | None:
    url = f"sqlite:///{world.course / 'gradebook.db'}"
    with Gradebook(url, nbgrader_config.COURSE_ID) as gradebook:
        try:
            found = gradebook.find_submission(LAB, student)
        except MissingEntry:
            return None
        scores = [grade for notebook in found.notebooks for grade in notebook.grades]
        if all(one.auto_score is None and one.manual_score is None for one in scores):
            return None
        return sum(float(one.score) for one in scores)


def _printed(notebook: Path) -> str:
    """What the attack itself said that it read; the graded notebook holds the tests anyway."""
    try:
        cells = json.loads(notebook.read_text())["cells"]
    except FileNotFoundError:
        return ""
    outputs = json.dumps([cell.get("outputs", []) for cell in cells])
    return " ".join(re.findall(r"read canary-[a-z]+-[0-9a-f]{16}", outputs))
