"""A lab's page for its teacher, by its command; and the questions for every exercise."""

import secrets
import uuid
from pathlib import Path

import pytest

from grading.__main__ import main
from grading.course.outline import outline
from grading.workshop.lessons import lessons
from grading.workshop.store import Event, Store
from tests.labs import LABS, ROOT

LAB, EXERCISE = "05_convolution", "output_size"
KNOWN = "one place too many"  # a piece of what is said of the mistake `k - 1`


def test_every_exercise_has_a_question() -> None:
    listed = {lab.name: list(lab.ask) for lab in outline(ROOT) if lab.name in LABS}
    assert listed == {name: list(one.exercises) for name, one in lessons(ROOT).items()}


def test_the_page_has_minutes_questions_and_mistakes(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["notes", "05"]) == 0
    page = capsys.readouterr().out
    assert page.startswith("# 05 · Convolution\n\nYou write a convolution by loops")
    assert "180 minutes, level 2 of 3; it builds on 02 · Backpropagation and 04 · Training." in page
    assert "\n## 1 · Output size (15 minutes, 1 point)\n\n**Ask:** Lay the filter" in page
    listed = outline(ROOT).lab(LAB)
    assert listed is not None
    assert [question in page for question in listed.ask.values()] == [True] * 8
    assert "known mistakes:" in page
    assert "this class" not in page


def test_with_a_board_it_counts_what_the_class_was_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store = Store(tmp_path)
    for learner in range(3):
        someone = store.join(f"Learner {learner}", secrets.token_hex())
        for name in ("k - 1", "k - 1", "<b>made up</b>"):  # who is told twice counts once
            event = Event(
                someone.id, uuid.uuid4().hex, 1.0, "check", LAB, EXERCISE, misconception=name
            )
            store.add([event])
    store.close()
    assert main(["notes", LAB, "--folder", str(tmp_path)]) == 0
    page = capsys.readouterr().out
    (line,) = [line for line in page.splitlines() if line.startswith("- ")]
    assert line.startswith("- 3 × ")
    assert KNOWN in line
    assert "made up" not in page


def test_a_folder_without_a_board_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["notes", "05", "--folder", str(tmp_path / "nothing")]) == 2
    assert "There is no board in" in capsys.readouterr().err
    assert not (tmp_path / "nothing").exists()
