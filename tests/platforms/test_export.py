"""`export`: marks in the very files that Canvas and Moodle exported, and nothing else changed."""

import csv
import io
import shutil
from pathlib import Path
from typing import Any

import pytest

from grading.__main__ import main
from grading.gradebook import book
from tests.graded_course import write
from tests.platforms.test_roster import CANVAS_FILE, MOODLE_FILE

LAB = "01_perceptron"
COURSE = """\
title: A course
promise: A course.
languages: [{name: en, title: English, finished: true}]
parts:
  - title: A part
    labs:
      - name: 01_perceptron
        title: The perceptron
        promise: It is one.
        minutes: 1
        level: 1
        needs: []
"""
SETTINGS = "c = get_config()\nc.CourseDirectory.course_id = 'a course'\n"
STUDENTS = {  # id -> first and last name, address, number in Canvas; the mark
    "amuster": ("Anna", "Muster", "anna@example.org", "4711", 4.5),
    "jan@example.org": ("Jan Piet", "van der Berg", "jan@example.org", None, 3.0),
    "=evil": ("=1+1", "Evil", "ben@example.org", None, 1 / 3),
    "left": ("Lea", "Left", "lea@example.org", None, 2.0),
    "lazy": ("Lars", "Lazy", "lars@example.org", None, None),
}


@pytest.fixture(scope="module")
def course(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A course whose gradebook has marks for one lab of 5 points."""
    root = tmp_path_factory.mktemp("export") / "root"
    write(root / "labs" / f"{LAB}.ipynb", "{}")
    write(root / "course.yml", COURSE)
    write(root / "course" / "nbgrader_config.py", SETTINGS)
    with book.opened(book.settings(root / "course")) as gradebook:
        cell: dict[str, Any] = {"max_score": 5, "cell_type": "code"}
        gradebook.add_assignment(LAB)
        gradebook.add_notebook(LAB, LAB)
        gradebook.add_grade_cell("update", LAB, LAB, **cell)
        for student, (first, last, email, number, mark) in STUDENTS.items():
            about = {"first_name": first, "last_name": last, "email": email, "lms_user_id": number}
            gradebook.add_student(student, **about)
            if mark is not None:
                gradebook.add_submission(LAB, student)
                grade: Any = gradebook.find_grade("update", LAB, LAB, student)
                grade.auto_score, grade.needs_manual_grade = mark, student == "amuster"
        gradebook.db.commit()
    return root


@pytest.fixture
def place(course: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    shutil.copytree(course, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def export(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str]:
    code = main(["export", *arguments, "--course", "."])
    said = capsys.readouterr()
    return code, said.out + said.err


def test_the_file_of_canvas_is_filled_and_otherwise_the_same(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = b"\xef\xbb\xbf" + CANVAS_FILE.replace("\n", "\r\n").encode()
    (place / "exported.csv").write_bytes(before)
    code, said = export(capsys, "--canvas", "exported.csv")
    after = (place / "grades_canvas.csv").read_bytes()
    expected = before.replace(b'"B and A",,', b'"B and A",4.5,')
    expected = expected.replace(b"jan@example.org,A,,", b"jan@example.org,A,3,")
    assert after == expected
    assert (place / "exported.csv").read_bytes() == before
    assert f"{LAB} → The perceptron (901): 2 marks, 0 of them in the place of another" in said
    assert code == 1  # of two marks it is told that they have no place
    assert "Lea Left (left): 2, but no line there is theirs" in said
    assert "=1+1 (formula): not in the gradebook" in said
    assert "still to grade a part of:\n    amuster" in said
    assert "points there" not in said


def test_what_canvas_excused_stays_and_other_points_are_told(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = CANVAS_FILE.replace('"B and A",,', '"B and A",EX,').replace("5.00", "100.00")
    text = text.replace("jan@example.org,A,,", 'jan@example.org,A,"1,5",')
    (place / "exported.csv").write_text(text)
    _, said = export(capsys, "1", "--canvas", "exported.csv", "--to", "out.csv")
    rows = list(csv.reader(io.StringIO((place / "out.csv").read_text())))
    assert [row[5] for row in rows[3:5]] == ["EX", "3"]
    assert "Anna Muster (amuster): 4.5, but it is EX there" in said
    assert "1 of them in the place of another" in said
    assert "it has 100.00 points there and 5 here" in said


@pytest.mark.parametrize("wanted", ["901", "Sheet one (901)", "Sheet one"])
def test_a_column_of_another_name_is_chosen_by_title_or_number(
    place: Path, capsys: pytest.CaptureFixture[str], wanted: str
) -> None:
    text = CANVAS_FILE.replace("The perceptron (901)", "Sheet one (901)")
    (place / "exported.csv").write_text(text)
    code, said = export(capsys, "1", "--canvas", "exported.csv")
    assert code == 2
    assert "name one with --column. Its assignments: Sheet one (901)." in said
    assert not (place / "grades_canvas.csv").exists()
    _, said = export(capsys, "1", "--canvas", "exported.csv", "--column", wanted)
    assert "2 marks" in said


@pytest.mark.parametrize("title", ["Lab 1", "lab 01: The Perceptron", "01_perceptron", "01"])
def test_a_column_is_known_by_the_usual_names(
    place: Path, capsys: pytest.CaptureFixture[str], title: str
) -> None:
    (place / "exported.csv").write_text(CANVAS_FILE.replace("The perceptron", title))
    _, said = export(capsys, "--canvas", "exported.csv")
    assert "2 marks" in said


def test_moodles_worksheet_is_filled_and_otherwise_the_same(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    locked = MOODLE_FILE.replace("5.00,Yes,-,-,", "5.00,No,-,-,")
    (place / "worksheet.csv").write_text(locked)
    code, said = export(capsys, "1", "--moodle", "worksheet.csv")
    after = (place / "grades_moodle.csv").read_text()
    assert after == locked.replace("Submitted,,5.00", "Submitted,4.5,5.00")
    assert "0.33, but its grade cannot be changed there" in said
    assert code == 1


def test_without_a_file_there_is_a_line_for_each_student_and_no_formula(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, _ = export(capsys, "--moodle")
    assert code == 0
    text = (place / "grades_moodle.csv").read_text(encoding="utf-8-sig")
    rows = {row["Username"]: row for row in csv.DictReader(io.StringIO(text))}
    assert len(rows) == len(STUDENTS)
    assert list(rows["amuster"].values()) == [
        "amuster",
        "Anna",
        "Muster",
        "anna@example.org",
        "4.5",
    ]
    assert rows["'=evil"]["First name"] == "'=1+1"
    assert rows["'=evil"][LAB] == "0.33"
    assert rows["lazy"][LAB] == ""


@pytest.mark.parametrize(
    ("arguments", "fault"),
    [
        (["--canvas", "absent.csv"], "cannot be read"),
        (["--canvas", "other.csv"], "not a gradebook as Canvas exports it"),
        (["--moodle", "other.csv"], "switch Moodle to English"),
        (["1", "--canvas", "exported.csv", "--to", "exported.csv"], "write another one"),
        (["2", "--moodle"], "There is no lab"),
    ],
)
def test_what_cannot_be_filled_is_said_and_nothing_is_written(
    place: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], fault: str
) -> None:
    write(place / "other.csv", "Kennung;Bewertung\n1;2\n")
    write(place / "exported.csv", CANVAS_FILE)
    before = sorted(place.rglob("*"))
    code, said = export(capsys, *arguments)
    assert (code, fault in said) == (2, True), said
    assert sorted(place.rglob("*")) == before
    assert (place / "exported.csv").read_text() == CANVAS_FILE
