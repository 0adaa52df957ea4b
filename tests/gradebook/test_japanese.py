"""A class that works partly in Japanese: the same marks, messages in the notebook's language."""

import json
import os
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import Any

import nbformat
import pytest

from grading.__main__ import main
from grading.course import release
from tests.graded_course import (
    LAB,
    PARTLY,
    POINTS,
    RIGHT,
    answered,
    hand_in,
    make_course,
    released,
    write,
)

# The docstring of an answer and a comment of a cell that is run make the notebooks differ; of the
# checks' messages one is not translated.
TRANSLATED = {
    "You write two functions and guess a word, and say why.": "2個の関数を書き、単語を当てます。",
    "Twice x.": "xの2倍です。",
    "The mean of a list of numbers.": "数のリストの平均です。",
    "a positive number is doubled": "正の数が2倍になる",
    "the mean of three numbers": "3個の数の平均",
    "That is their sum.": "それは合計です。",
}
WRONG = {
    "double_code": "def double(x):\n    return x * x",
    "guess_code": "guess =",
    "average_code": "def average(values):\n    return 1 / 0",
}
CLASS = {"right": RIGHT, "partly": PARTLY, "wrong": WRONG}


@pytest.fixture(scope="module")
def course(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Each in English and in Japanese; and who claims a language that there is not."""
    root = make_course(tmp_path_factory.mktemp("japanese") / "root")
    entries = [f'msgid "{text}"\nmsgstr "{said}"\n' for text, said in TRANSLATED.items()]
    write(root / "locale" / "ja" / f"{LAB}.po", "\n".join(entries))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LAB_LANG", "ja")
        release.release(root, None, lambda lab: POINTS)
    for student, answers in CLASS.items():
        hand_in(root, student, answers)
        hand_in(root, f"{student}_ja", answers, "ja")
    notebook = answered(released(root), PARTLY)
    notebook["metadata"]["lab"]["language"] = "../ja"
    write(root / "handed_in" / "claims" / f"{LAB}.ipynb", json.dumps(notebook))
    assert run(root, "autograde", str(root / "handed_in"), "--trust-submissions") == 0
    return root


def run(root: Path, command: str, *more: str) -> int:
    options = ["--results", str(root / "results"), "--course", str(root)]
    return main([command, "1", *more, *options])


def result(root: Path, student: str) -> dict[str, Any]:
    return json.loads((root / "results" / student / f"{LAB}.json").read_bytes())


def without_messages(found: dict[str, Any]) -> list[dict[str, Any]]:
    left_out = ("message", "seconds")
    return [
        {key: value for key, value in one.items() if key not in left_out}
        for one in found["exercises"]
    ]


def message(found: dict[str, Any], exercise: str) -> str:
    return next(one["message"] for one in found["exercises"] if one["name"] == exercise)


@pytest.mark.parametrize("student", CLASS)
def test_a_notebook_in_japanese_gets_the_marks_of_one_in_english(
    course: Path, student: str
) -> None:
    english, japanese = result(course, student), result(course, f"{student}_ja")
    sources = [
        [cell["source"] for cell in released(course, language)["cells"]] for language in ("", "ja")
    ]
    assert sources[0] != sources[1]
    assert without_messages(japanese) == without_messages(english)
    # What ran, what the checks asked for, and what came back.
    same = ("digest", "transcripts", "notes", "score")
    assert [japanese[key] for key in same] == [english[key] for key in same]
    for which in ("checks", "run"):
        assert japanese["inputs"][which] == english["inputs"][which]
    assert (english["language"], japanese["language"]) == ("", "ja")


def test_the_class_has_all_kinds_of_marks(course: Path) -> None:
    assert [result(course, f"{one}_ja")["score"] for one in CLASS] == [5.0, 1.5, 0.0]


def test_messages_are_in_the_notebooks_language(course: Path) -> None:
    partly, wrong = result(course, "partly_ja"), result(course, "wrong_ja")
    average = message(partly, "average")
    assert average.startswith("3個の数の平均: ")
    assert average.endswith("それは合計です。")
    assert "平均" not in message(result(course, "partly"), "average")
    assert "正の数が2倍になる" in message(wrong, "double")
    assert not message(wrong, "guess").isascii()  # a message of the judge itself


def test_a_language_that_there_is_not_is_the_original(course: Path) -> None:
    claims, honest = result(course, "claims"), result(course, "partly")
    assert claims["language"] == ""
    assert [one["message"] for one in claims["exercises"]] == [
        one["message"] for one in honest["exercises"]
    ]


def test_judging_again_keeps_the_language(course: Path) -> None:
    before = [one["message"] for one in result(course, "partly_ja")["exercises"]]
    assert run(course, "rejudge") == 0
    assert [one["message"] for one in result(course, "partly_ja")["exercises"]] == before


def test_gradescope_is_told_in_the_notebooks_language_and_the_class_counted_as_one(
    course: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LAB_LANG", "ja")
    assert run(course, "report") == 0
    folder = course / "results" / "report"
    told = json.loads((folder / LAB / "partly_ja" / "results.json").read_bytes())
    assert "それは合計です。" in told["tests"][2]["output"]
    told = json.loads((folder / LAB / "partly" / "results.json").read_bytes())
    assert "That is their sum." in told["tests"][2]["output"]
    page = (folder / f"{LAB}.html").read_text(encoding="utf-8")
    assert page.count("それは合計です。") == 1
    assert "That is their sum." not in page


def test_the_feedback_page_is_in_the_notebooks_language(course: Path) -> None:
    assert run(course, "record", str(course / "handed_in")) == 0
    path = os.pathsep.join([sysconfig.get_path("scripts"), os.environ["PATH"]])
    subprocess.run(
        [sys.executable, "-m", "nbgrader", "generate_feedback", LAB, "--student", "partly_ja"],
        cwd=course / "course",
        env={**os.environ, "PATH": path},
        check=True,
    )
    file = course / "course" / "feedback" / "partly_ja" / LAB / f"{LAB}.html"
    page = file.read_text(encoding="utf-8")
    assert "6点中1.5点" in page
    assert "2点中1.5点" in page
    assert "それは合計です。" in page
    assert "<th>課題</th>" in page
    assert "2個の関数を書き、単語を当てます。" in page  # the course's own text, as it is
    assert " of " not in page[page.index("<h4>") : page.index('id="notebook"')]


def test_release_hands_out_what_lab_lang_names(course: Path) -> None:
    handed_out = nbformat.read(course / "course" / "release" / LAB / f"{LAB}.ipynb", as_version=4)
    assert handed_out.metadata.lab.language == "ja"
    assert "xの2倍です。" in handed_out.cells[3].source
