"""Reports on a class, and judging its kept values again."""

import csv
import json
import re
import shutil
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from grading.__main__ import main
from grading.gradebook.report import gradescope, misunderstandings
from grading.marking.job import course_secret
from grading.marking.results import Results
from tests.graded_course import CHECKS, LAB, PARTLY, RIGHT, hand_in, make_course, write

SCORES = {"anna": 5.0, "ben": 1.5, "cleo": 0.0, "dora": 0.0}
EVIL = "<script>alert('&')</script>"


@pytest.fixture(scope="module")
def class_of_four(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = make_course(tmp_path_factory.mktemp("report"))
    for student, answers in (("anna", RIGHT), ("ben", PARTLY), ("cleo", {})):
        hand_in(root, student, answers)
    write(root / "handed_in" / "dora" / f"{LAB}.ipynb", "")
    assert run(root, "autograde", str(root / "handed_in"), "--trust-submissions") == 0
    return root


@pytest.fixture
def graded(class_of_four: Path, tmp_path: Path) -> Path:
    """A copy of the results, beside the course that they are of."""
    for file in (class_of_four / "results").rglob(f"{LAB}.json"):
        write(tmp_path / "results" / file.parent.name / file.name, file.read_text())
    (tmp_path / "labs").symlink_to(class_of_four / "labs")
    (tmp_path / "solutions").symlink_to(class_of_four / "solutions")
    (tmp_path / "course").symlink_to(class_of_four / "course")
    write(tmp_path / "grading" / "checks" / f"{LAB}.py", CHECKS)
    return tmp_path


def run(root: Path, command: str, *more: str) -> int:
    options = ["--results", str(root / "results"), "--course", str(root)]
    return main([command, "1", *more, *options])


def result(root: Path, student: str) -> dict[str, Any]:
    return json.loads((root / "results" / student / f"{LAB}.json").read_bytes())


def change_checks(root: Path, old: str, new: str) -> None:
    assert old in CHECKS
    write(root / "grading" / "checks" / f"{LAB}.py", CHECKS.replace(old, new))


def test_a_check_that_breaks_changes_no_mark_and_is_named(
    graded: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = {student: result(graded, student) for student in SCORES}
    change_checks(
        graded, "expect.close(student.average(values)", "expct.close(student.average(values)"
    )
    assert run(graded, "rejudge") == 2
    said = capsys.readouterr().err
    assert "The check average broke: NameError: name 'expct' is not defined" in said
    assert "mend the check" in said
    assert {student: result(graded, student) for student in SCORES} == before


def test_a_class_whose_check_is_broken_is_told_so(
    class_of_four: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = tmp_path / "broken"
    shutil.copytree(class_of_four, root, symlinks=True)
    shutil.rmtree(root / "results")
    change_checks(
        root, "expect.close(student.average(values)", "expct.close(student.average(values)"
    )
    assert run(root, "autograde", str(root / "handed_in"), "--trust-submissions") == 1
    said = capsys.readouterr().out
    assert "anna: a person must judge average; its check broke: NameError" in said
    rows = {one["name"]: one for one in result(root, "anna")["exercises"]}
    assert rows["average"]["status"] == "not judged"
    assert rows["double"]["status"] == "passed"


# The table and Gradescope's form


def test_the_table_has_a_line_a_student(graded: Path) -> None:
    assert run(graded, "report") == 0
    rows = list(
        csv.DictReader((graded / "results" / "report" / f"{LAB}.csv").open(encoding="utf-8-sig"))
    )
    assert {row["student"]: float(row["score"]) for row in rows} == SCORES
    assert [row["double"] for row in rows] == ["2.0", "1.5", "0", "0.0"]
    assert rows[3]["status"] == "unreadable"
    assert "empty" in rows[3]["notes"]


def test_gradescope_gets_a_file_for_each_student(graded: Path) -> None:
    assert run(graded, "report") == 0
    folder = graded / "results" / "report" / LAB
    found = {one: json.loads((folder / one / "results.json").read_bytes()) for one in SCORES}
    assert {student: one["score"] for student, one in found.items()} == SCORES
    double = found["ben"]["tests"][0]
    assert double["name"] == "double"
    assert (double["score"], double["max_score"], double["status"]) == (1.5, 2, "failed")
    assert "opposite sign" in double["output"]
    assert sum(one["score"] for one in found["ben"]["tests"]) == found["ben"]["score"]
    assert isinstance(found["ben"]["execution_time"], int)


def test_without_results_it_says_what_to_run(
    graded: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for command in ("report", "rejudge"):
        assert main([command, "1", "--results", "none", "--course", str(graded)]) == 2
        assert "run `python -m grading autograde` first" in capsys.readouterr().err


# What the class misunderstood


def faulty(student: str, *faults: dict[str, str]) -> dict[str, Any]:
    exercise = {"name": "double", "faults": list(faults)}
    return {"student": student, "exercises": [exercise]}


def fault(message: str, diagnosis: str = "", kind: str = "value", part: str = "") -> dict[str, str]:
    return {"message": message, "diagnosis": diagnosis, "kind": kind, "part": part}


def test_misunderstandings_are_counted_by_diagnosis_and_student() -> None:
    results = [
        faulty("a", fault("wrong by 3", "the sum"), fault("wrong by 4", "the sum")),
        faulty("b", fault("wrong by 5", "the sum"), fault("not written", kind="not done")),
        faulty("c", fault("`f` raised KeyError in line 3 of its cell:  x[7]", kind="exception")),
        faulty("d", fault("`f` raised KeyError in line 9 of its cell:  y[0]", kind="exception")),
        faulty("e", fault("has the wrong shape")),
    ]
    found = [(one.said, one.students) for one in misunderstandings(results, "double")]
    assert found == [
        ("`f` raised KeyError.", ["c", "d"]),
        ("the sum", ["a", "b"]),
        ("has the wrong shape", ["e"]),
    ]
    assert misunderstandings(results, "guess") == []


class Page(HTMLParser):
    """The text of a page, and whatever in it could run or call another machine."""

    VOID = ("meta", "link", "br", "rect", "line")

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open, self.words, self.alive = list[str](), list[str](), list[str]()
        self.feed(text)
        self.close()
        assert self.open == [], "tags that nobody closed"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in self.VOID:
            self.open.append(tag)
        if tag in ("script", "img", "iframe", "object", "link", "form"):
            self.alive.append(tag)
        self.alive += [
            name for name, _ in attrs if name.startswith("on") or name in ("src", "href")
        ]

    def handle_endtag(self, tag: str) -> None:
        if tag not in self.VOID:
            assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())


def page_of(root: Path) -> Page:
    assert run(root, "report") == 0
    return Page((root / "results" / "report" / f"{LAB}.html").read_text(encoding="utf-8"))


def test_the_page_tells_what_the_class_misunderstood(graded: Path) -> None:
    page = page_of(graded)
    assert "4 submissions, 1.6 of 5 points on average." in page.text
    assert "1 full marks 1 some marks 1 not done 1 unreadable file" in page.text
    assert "That is their sum. in: the mean of three numbers" in page.text
    assert "dora The file is empty" in page.text
    assert page.alive == []


def test_nothing_in_the_page_runs_or_calls(graded: Path) -> None:
    text = (graded / "results" / "ben" / f"{LAB}.json").read_text()
    text = text.replace("That is their sum.", EVIL).replace("the mean of three numbers", EVIL)
    hostile = {**json.loads(text), "student": "evil", "notes": [EVIL]}
    hostile.pop("signature")
    Results(graded / "results", LAB, course_secret(graded)).write("evil", hostile)
    page = page_of(graded)
    assert page.alive == []
    assert page.text.count(EVIL) == 3


def test_no_colour_says_what_no_word_says(graded: Path) -> None:
    """Every colour of a bar is in the key beside it, with its number and its words."""
    assert run(graded, "report") == 0
    text = (graded / "results" / "report" / f"{LAB}.html").read_text()
    bars = re.findall(r'<div class="bar".*?</div></div><div class="key">.*?</div>', text)
    assert len(bars) == 3
    for bar in bars:
        in_bar = re.findall(r'style="flex:(\d+);background:(#\w+)"', bar)
        key = re.findall(r'<i style="background:(#\w+)"></i> (\d+) \w', bar)
        assert [(colour, count) for count, colour in in_bar] == key


def test_gradescopes_form_of_an_unreadable_file_has_the_reason(graded: Path) -> None:
    one = json.loads(gradescope(result(graded, "dora")))
    assert one["score"] == 0
    assert "The file is empty" in one["output"]


# Judging again


def test_a_changed_check_is_applied_without_running(
    graded: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    change_checks(
        graded, 'expect.equal(student["guess"], "yes"', 'expect.equal(student["guess"], "no"'
    )
    assert run(graded, "rejudge") == 0
    assert {one: result(graded, one)["score"] for one in SCORES} == {
        "anna": 4,
        "ben": 2.5,
        "cleo": 0,
        "dora": 0,
    }
    said = capsys.readouterr().out
    assert "4 judged again, 2 with other marks" in said
    assert "  anna: 5 -> 4\n" in said


def test_changed_points_reach_the_unreadable_too(graded: Path) -> None:
    change_checks(graded, '"guess", points=1)', '"guess", points=4)')
    assert run(graded, "rejudge") == 0
    assert result(graded, "dora")["max_score"] == result(graded, "anna")["max_score"] == 8


def test_what_must_run_again_is_named_and_autograde_runs_only_that(
    graded: Path, capsys: pytest.CaptureFixture[str], class_of_four: Path
) -> None:
    """The mean of other numbers is asked of whoever got as far as being asked for one."""
    change_checks(graded, "rng.uniform(1, 9, size=3)", "rng.uniform(2, 9, size=3)")
    before = result(graded, "anna")
    assert run(graded, "rejudge") == 1
    said = capsys.readouterr().out
    named = said.partition("to be run again")[2].split()
    assert [name for name in named if name in SCORES] == ["anna", "ben", "cleo"]
    assert result(graded, "anna") == before
    submissions = str(class_of_four / "handed_in")
    assert run(graded, "autograde", submissions, "--trust-submissions") == 0
    assert "3 graded, 1 kept" in capsys.readouterr().out
    assert {one: result(graded, one)["score"] for one in SCORES} == SCORES


def test_another_courses_results_are_refused(
    graded: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (graded / "course").unlink()
    write(graded / "course" / "secret", "another")
    assert run(graded, "rejudge") == 2
    assert "another course's secret" in capsys.readouterr().err
