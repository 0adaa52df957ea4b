"""The instructor's guide: its own commands, from an empty folder to feedback, on a small lab."""

import csv
import json
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.graded_course import CHECKS, LAB, PARTLY, RIGHT, SOURCE, bash, hand_in, write
from tests.needs import needs

ROOT = Path(__file__).parents[2]
GUIDE = (ROOT / "docs" / "grading.md").read_text(encoding="utf-8")
EXAMPLE = "01_perceptron"  # the guide's lab
SCORES = {"anna": 5.0, "ben": 1.5, "dora": 0.0}


def commands() -> list[str]:
    return re.findall(r"```sh\n(.*?)```", GUIDE, re.DOTALL)


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A folder with the source of one small lab and its checks, and nothing made from them."""
    write(tmp_path / "solutions" / f"{LAB}.py", SOURCE)
    write(tmp_path / "grading" / "checks" / f"{LAB}.py", CHECKS)
    return tmp_path


def run(place: Path, script: str) -> str:
    """Run commands of the guide as bash does, on the course in `place`; what they said."""
    script = re.sub(r"(python -m grading \w+)", r"\1 --course .", script.replace(EXAMPLE, LAB))
    return bash(place, script)


@needs("bwrap")
def test_the_guides_commands_lead_to_marks_and_feedback(place: Path) -> None:
    release, *rest = commands()
    run(place, release)
    for student, answers in (("anna", RIGHT), ("ben", PARTLY)):
        hand_in(place, student, answers)
    write(place / "handed_in" / "dora" / f"{LAB}.ipynb", "nothing")
    with zipfile.ZipFile(place / "submissions.zip", "w") as whole:
        for student in SCORES:
            inside = f"{student.title()} Muster_1234567_assignsubmission_file_/{LAB}.ipynb"
            whole.write(place / "handed_in" / student / f"{LAB}.ipynb", inside)
    lines = [f"{one},{one.title()},Muster,{one}@example.org" for one in SCORES]
    write(place / "students.csv", "\n".join(["id,first_name,last_name,email", *lines]))
    said = run(place, "\n".join(rest))
    assert "3 of 3 students are there" in said
    assert "3 graded, 0 kept from before" in said
    assert "3 judged again, 0 with other marks" in said
    assert "0 graded, 3 kept from before" in said
    assert "0 recorded, 3 were already" in said
    rows = list(csv.DictReader((place / "grades.csv").open()))
    assert {row["student_id"]: float(row["score"]) for row in rows} == SCORES
    assert {row["email"] for row in rows} == {f"{one}@example.org" for one in SCORES}
    table = csv.DictReader((place / "grades_moodle.csv").open(encoding="utf-8-sig"))
    assert {row["Username"]: float(row[LAB]) for row in table} == SCORES
    assert {row["duedate"] for row in rows} == {"2026-03-01 12:00:00"}
    pages = (place / "course" / "feedback").rglob("*.html")
    assert {page.parts[-3] for page in pages} == set(SCORES)
    report = place / "results" / "report"
    assert "That is their sum." in (report / f"{LAB}.html").read_text()
    found = {one: json.loads((report / LAB / one / "results.json").read_bytes()) for one in SCORES}
    assert {one: result["score"] for one, result in found.items()} == SCORES


def test_the_guide_names_every_option_of_its_commands() -> None:
    for command in (
        "collect",
        "autograde",
        "record",
        "export",
        "report",
        "rejudge",
        "gradescope",
    ):
        shown = subprocess.run(
            [sys.executable, "-m", "grading", command, "--help"],
            capture_output=True,
            text=True,
            check=True,
        )
        for option in set(re.findall(r"--[a-z][a-z-]+", shown.stdout)) - {"--help"}:
            assert option in GUIDE, f"{command} {option}"


def test_every_key_of_a_result_is_described(place: Path) -> None:
    run(place, commands()[0])
    hand_in(place, "ben", {**PARTLY, "guess_code": "print(1)"})
    run(place, "python -m grading autograde 1 handed_in --results results --trust-submissions")
    result = json.loads((place / "results" / "ben" / f"{LAB}.json").read_bytes())
    described = set(re.findall(r"`(\w+)`", (ROOT / "docs" / "results.md").read_text("utf-8")))
    cell = next(iter(result["cells"].values()))
    transcript = next(iter(result["transcripts"].values()))
    exercise = result["exercises"][0]
    for part in (result, exercise, exercise["faults"][0], cell, transcript[0], result["inputs"]):
        assert set(part) <= described, set(part) - described
