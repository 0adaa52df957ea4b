"""The working copy: filled and never overwritten; answers carried into a lab's new version."""

import re
import shutil
from collections.abc import Callable
from pathlib import Path

import nbformat
import pytest
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_markdown_cell

from grading.answer.progress import Standing
from grading.course import workspace
from grading.course.files import CourseError
from grading.course.outline import outline
from grading.course.release import release
from grading.course.start_page import start_page
from grading.course.workspace import Filled, copies, update
from tests.tiny_course import LAB, SOURCE, in_japanese, points_of, write_source

ANSWER = "def double(x: float) -> float:\n    return 2 * x"
Say = pytest.CaptureFixture[str]

# Its fixtures are dear: one worker of pytest-xdist has them all.
pytestmark = pytest.mark.xdist_group("workspace")


@pytest.fixture(scope="session")
def pristine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("pristine")
    write_source(root)
    release(root, None, points_of)
    return root


@pytest.fixture
def course(pristine: Path, tmp_path: Path) -> Path:
    """A released course whose working copy is filled."""
    root = shutil.copytree(pristine, tmp_path / "course")
    assert fill(root).new == [LAB]
    return root


def fill(root: Path) -> Filled:
    (copy,) = copies(root)
    return workspace.fill(copy)


def mine(root: Path, language: str = "") -> Path:
    return root / "my_labs" / language / f"{LAB}.ipynb"


def read(file: Path) -> NotebookNode:
    nb = nbformat.read(file, as_version=4)
    nbformat.validate(nb)
    return nb


def cell(nb: NotebookNode, name: str) -> NotebookNode:
    """The cell with this id, or whose text begins so."""
    return next(each for each in nb.cells if each.id == name or each.source.startswith(name))


def work(root: Path, change: Callable[[NotebookNode], None], language: str = "") -> None:
    """What the learner does to the notebook."""
    nb = read(mine(root, language))
    change(nb)
    nbformat.write(nb, mine(root, language))


def upstream(root: Path, *replacements: tuple[str, str]) -> None:
    source = SOURCE
    for old, new in replacements:
        assert old in source
        source = source.replace(old, new)
    write_source(root, source)
    release(root, None, points_of)


def answer(nb: NotebookNode) -> None:
    cell(nb, "double_code").source = ANSWER


def old_notebooks(root: Path) -> list[Path]:
    return sorted((root / "my_labs" / "old").glob("*"))


def test_filling_copies_what_is_new_and_overwrites_nothing(course: Path) -> None:
    assert mine(course).read_bytes() == (course / "labs" / f"{LAB}.ipynb").read_bytes()
    work(course, answer)
    before = mine(course).read_bytes()
    filled = fill(course)
    assert (filled.new, filled.newer, filled.faults, filled.sentences()) == ([], [], [], [])
    assert mine(course).read_bytes() == before


def test_filling_tells_of_a_newer_version_and_leaves_it_to_update(course: Path) -> None:
    work(course, answer)
    before = mine(course).read_bytes()
    upstream(course, ("Doubling", "Twice as much"))
    (said,) = fill(course).sentences()
    assert LAB in said
    assert "`make update`" in said
    assert mine(course).read_bytes() == before


def test_update_without_a_newer_version_changes_nothing(course: Path, capsys: Say) -> None:
    work(course, answer)
    before = mine(course).read_bytes()
    assert update(course) == 0
    assert "newest version" in capsys.readouterr().out
    assert mine(course).read_bytes() == before
    assert old_notebooks(course) == []


def test_update_carries_answers_into_the_new_version_and_keeps_the_old(
    course: Path, capsys: Say
) -> None:
    work(course, answer)
    before = mine(course).read_bytes()
    upstream(course, ("Doubling", "Twice as much"), ('"yes" or "no"', '"yes", "no" or "maybe"'))
    assert update(course, "01") == 0
    nb = read(mine(course))
    assert cell(nb, "double_code").source == ANSWER
    assert cell(nb, "## Twice")
    assert "maybe" in cell(nb, "guess_code").source  # untouched, so the new stub
    (kept,) = old_notebooks(course)
    assert kept.read_bytes() == before
    assert re.fullmatch(rf"{LAB}\.\d{{4}}-\d\d-\d\d_\d\d-\d\d-\d\d\.ipynb", kept.name)
    said = capsys.readouterr().out
    assert "Carried over: `double_code`." in said
    assert kept.name in said
    assert "guess" not in said
    assert fill(course).newer == []


def test_an_untouched_notebook_becomes_the_new_version(course: Path, capsys: Say) -> None:
    upstream(course, ("Doubling", "Twice as much"))
    update(course)
    assert mine(course).read_bytes() == (course / "labs" / f"{LAB}.ipynb").read_bytes()
    assert "nothing was written yet" in capsys.readouterr().out


def test_running_cells_is_no_edit(course: Path) -> None:
    def run(nb: NotebookNode) -> None:
        for each in nb.cells:
            if each.cell_type == "code":
                each.execution_count = 1
                each.outputs = [nbformat.v4.new_output("stream", text="ran")]
        nb.metadata.language_info.version = "3.13"

    work(course, run)
    upstream(course, ("Doubling", "Twice as much"))
    update(course)
    assert mine(course).read_bytes() == (course / "labs" / f"{LAB}.ipynb").read_bytes()


def test_a_task_that_changed_too_is_pointed_out(course: Path, capsys: Say) -> None:
    work(course, answer)
    upstream(course, ("Twice x.", "Twice x, as a float."))
    update(course)
    assert cell(read(mine(course)), "double_code").source == ANSWER
    assert "task has changed too: compare your `double_code`" in capsys.readouterr().out


def test_an_answer_without_a_place_stays_in_the_old_notebook(course: Path, capsys: Say) -> None:
    def both(nb: NotebookNode) -> None:
        answer(nb)
        cell(nb, "why").source = "Because it is added to itself."

    work(course, both)
    upstream(course, ("double_code", "double_function_code"))
    update(course)
    nb = read(mine(course))
    assert cell(nb, "why").source == "Because it is added to itself."
    assert "raise NotImplementedError" in cell(nb, "double_function_code").source
    assert ANSWER in [each.source for each in read(old_notebooks(course)[0]).cells]
    said = capsys.readouterr().out
    assert "No place any more, kept in the old notebook: `double_code`." in said
    assert "Carried over: `why`." in said


def test_own_cells_keep_their_neighbours(course: Path, capsys: Say) -> None:
    def add(nb: NotebookNode) -> None:
        at = nb.cells.index(cell(nb, "double"))
        nb.cells[at + 1 : at + 1] = [new_code_cell("double(21)"), new_markdown_cell("A note.")]
        nb.cells.insert(0, new_markdown_cell("My copy."))

    work(course, add)
    upstream(course, ("Doubling", "Twice as much"), ("# %%\nknob = 3", "# %%\nhandle = 3"))
    update(course)
    sources = [each.source for each in read(mine(course)).cells]
    assert sources[0] == "My copy."
    at = sources.index('check("double")')
    assert sources[at + 1 : at + 4] == ["double(21)", "A note.", "handle = 3"]
    assert "Carried over: 3 own cells." in capsys.readouterr().out


def test_an_edited_cell_is_kept_where_the_lab_still_has_it(course: Path, capsys: Say) -> None:
    def turn(nb: NotebookNode) -> None:
        cell(nb, "knob").source = "knob = 30"
        cell(nb, "## Doubling").source = "## Doubling, as I see it"

    work(course, turn)
    upstream(course, ("Doubling", "Twice as much"))
    update(course)
    sources = [each.source for each in read(mine(course)).cells]
    assert "knob = 30" in sources
    assert "knob = 3" not in sources
    assert "## Twice as much" in sources
    said = capsys.readouterr().out
    assert "Carried over: a cell of your own." in said
    assert "No place any more, kept in the old notebook: the cell that begins `## Doub" in said


def test_of_copies_of_an_answer_the_last_counts(course: Path) -> None:
    def copy(nb: NotebookNode) -> None:
        answer(nb)
        source = "def double(x):\n    return x * 2  # first try"
        first = NotebookNode({**cell(nb, "double_code"), "id": "first", "source": source})
        nb.cells.insert(nb.cells.index(cell(nb, "double_code")), first)

    work(course, copy)
    upstream(course, ("Doubling", "Twice as much"))
    update(course)
    nb = read(mine(course))
    assert cell(nb, "double_code").source == ANSWER
    tried = cell(nb, "def double(x):\n    return x * 2")
    assert "nbgrader" not in tried.metadata
    assert nb.cells.index(tried) < nb.cells.index(cell(nb, "double_code"))


def test_a_notebook_that_lost_its_cell_ids_keeps_its_answers(course: Path, capsys: Say) -> None:
    def lose(nb: NotebookNode) -> None:
        answer(nb)
        nb.nbformat_minor = 4
        for each in nb.cells:
            del each["id"]

    work(course, lose)
    upstream(course, ("Doubling", "Twice as much"))
    update(course)
    nb = read(mine(course))
    assert cell(nb, "double_code").source == ANSWER
    assert len(nb.cells) == len(read(course / "labs" / f"{LAB}.ipynb").cells)
    assert "has lost its cell ids" in capsys.readouterr().out


@pytest.mark.parametrize("recognised", [True, False])
def test_a_notebook_that_lost_its_metadata_is_read_by_the_names_it_defines(
    course: Path, capsys: Say, recognised: bool
) -> None:
    def lose(nb: NotebookNode) -> None:
        answer(nb)
        if not recognised:
            cell(nb, "double_code").source = "something = 1"
        for each in nb.cells:
            each.metadata = NotebookNode()

    work(course, lose)
    upstream(course, ("Doubling", "Twice as much"))
    update(course)
    said = capsys.readouterr().out
    assert "nothing was written yet" not in said
    if recognised:
        assert cell(read(mine(course)), "double_code").source == ANSWER
        assert "`double_code`" in said
    else:
        assert "`double_code` (the notebook has lost nbgrader's metadata)" in said


def test_every_update_keeps_its_own_old_file(course: Path) -> None:
    for title in ("Once", "Twice", "Thrice"):
        upstream(course, ("Doubling", title))
        update(course)
    assert len(old_notebooks(course)) == 3


BROKEN = {
    "empty": "",
    "no JSON": '{"cells": [',
    "no notebook": "[1, 2]",
    "cells that are none": '{"cells": [1], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}',
    "merge conflict": "<<<<<<< HEAD\n{}\n=======\n{}\n>>>>>>> theirs\n",
    "no text": "\udcff\udcfe",
}


@pytest.mark.parametrize("content", BROKEN.values(), ids=BROKEN)
def test_a_broken_notebook_is_never_touched(course: Path, capsys: Say, content: str) -> None:
    broken = content.encode(errors="surrogateescape")
    mine(course).write_bytes(broken)
    upstream(course, ("Doubling", "Twice as much"))
    assert update(course) == 1
    said = capsys.readouterr().err.strip()
    assert re.fullmatch(rf"my_labs/{LAB}\.ipynb cannot be read .* was left as it is: .*\.", said)
    assert mine(course).read_bytes() == broken
    assert old_notebooks(course) == []
    fill(course)
    assert mine(course).read_bytes() == broken


def test_filling_reports_a_broken_notebook(course: Path) -> None:
    mine(course).write_text("{")
    (said,) = fill(course).sentences()
    assert f"my_labs/{LAB}.ipynb cannot be read" in said


def test_update_of_what_is_not_there(course: Path, capsys: Say) -> None:
    mine(course).unlink()
    assert update(course, LAB) == 0
    assert "`make lab`" in capsys.readouterr().out
    assert update(course, "77") == 1
    assert 'no lab "77": the labs are 01_tiny' in capsys.readouterr().err


def standing(score: float | None) -> list[Standing]:
    return [Standing(LAB, "double", 2.0, score), Standing(LAB, "guess", 1.0, None)]


def test_the_start_page_opens_the_next_lab_and_shows_the_standing(course: Path) -> None:
    labs, listed = course / "labs", outline(course)
    page = start_page(listed, labs, [], standing(None)).replace("\u00a0", " ")
    assert "[Begin with lab 01 · Tiny →](01_tiny.ipynb)" in page
    assert "| [01 · Tiny](01_tiny.ipynb) | You double a number. | ●○○ | 1 | 0 of 3 |" in page
    assert "| 02 · Later | You add. | ●●○ | 2 | to come |" in page
    assert "Part I · Beginnings" in page
    assert "[Go on with lab 01 · Tiny →]" in start_page(listed, labs, [], standing(1.5))
    shutil.copy(labs / f"{LAB}.ipynb", labs / "02_later.ipynb")
    both = [*standing(2.0), Standing("02_later", "x", 1.0, None)]
    assert "[Go on with lab 01" in start_page(listed, labs, [], both)
    done = [Standing(LAB, "double", 2.0, 2.0), Standing("02_later", "x", 1.0, None)]
    assert "(02_later.ipynb)\n" in start_page(listed, labs, [], done)


def test_the_start_page_tells_of_newer_versions(course: Path) -> None:
    listed = outline(course)
    assert "`make update`" in start_page(listed, course / "labs", [LAB], [])
    assert "`make update`" not in start_page(listed, course / "labs", [], [])


# Another language.


@pytest.fixture
def japanese(course: Path) -> Path:
    """The course in Japanese, too, but for its second lab."""
    in_japanese(course)
    release(course, None, points_of)
    shutil.copy(course / "labs" / f"{LAB}.ipynb", course / "labs" / "02_later.ipynb")
    workspace.prepare(course, standing(1.5))
    return course


def page(root: Path, language: str = "") -> str:
    text = (root / "my_labs" / language / "start.md").read_text(encoding="utf-8")
    return text.replace("\u00a0", " ")


def test_a_finished_language_has_its_own_folder_and_the_start_pages_link_each_other(
    japanese: Path,
) -> None:
    for language in ("", "ja"):
        released = japanese / "labs" / language / f"{LAB}.ipynb"
        assert mine(japanese, language).read_bytes() == released.read_bytes()
    assert "数を倍にします。" in mine(japanese, "ja").read_text(encoding="utf-8")
    assert "[日本語](ja/start.md)" in page(japanese)
    assert "[English](../start.md)" in page(japanese, "ja")
    assert "[Go on with lab 01 · Tiny →](01_tiny.ipynb)" in page(japanese)
    assert "[ラボ01 · Tinyを続ける →](01_tiny.ipynb)" in page(japanese, "ja")
    assert "1.5 of 3" in page(japanese)
    assert "3点中1.5点" in page(japanese, "ja")
    join = nbformat.read(japanese / "my_labs" / "ja" / "join.ipynb", as_version=4)
    assert join.cells[0].source.startswith("# ワークショップに参加")
    assert join.cells[1].source.endswith("join()")


def test_a_lab_that_is_not_translated_comes_in_the_original_and_the_page_says_so(
    japanese: Path,
) -> None:
    english = japanese / "labs" / "02_later.ipynb"
    assert (japanese / "my_labs" / "ja" / "02_later.ipynb").read_bytes() == english.read_bytes()
    assert "（英語のまま）：02_later" in page(japanese, "ja")
    assert "translated" not in page(japanese)


def test_update_carries_answers_over_in_each_language(japanese: Path, capsys: Say) -> None:
    for language in ("", "ja"):
        work(japanese, answer, language)
    source = SOURCE.replace("Doubling", "Twice as much")
    write_source(japanese, source)
    in_japanese(japanese)
    release(japanese, [LAB], points_of)
    workspace.prepare(japanese, [])
    assert "`make update`" in page(japanese, "ja")
    assert update(japanese, LAB) == 0
    for language in ("", "ja"):
        nb = read(mine(japanese, language))
        assert cell(nb, "double_code").source == ANSWER
        assert cell(nb, "## Twice as much")
        assert len(list((mine(japanese, language).parent / "old").iterdir())) == 1
    said = capsys.readouterr().out
    assert "the old notebook is my_labs/ja/old/01_tiny." in said
    assert update(japanese) == 0
    assert (
        f"In my_labs/ja you have the newest version of {LAB}, 02_later." in capsys.readouterr().out
    )


def test_an_unfinished_language_is_there_for_who_asks_for_it(
    course: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    in_japanese(course, finished=False)
    assert [copy.name for copy in copies(course)] == [""]
    assert workspace.start(course) == "start.md"
    monkeypatch.setenv("LAB_LANG", "ja")
    assert [copy.name for copy in copies(course)] == ["", "ja"]
    assert workspace.start(course) == "ja/start.md"
    monkeypatch.setenv("LAB_LANG", "en")
    assert workspace.start(course) == "start.md"
    monkeypatch.setenv("LAB_LANG", "fr")
    with pytest.raises(CourseError, match=r"LAB_LANG is 'fr', and the course has en, ja"):
        workspace.prepare(course, [])
    with pytest.raises(CourseError, match=r"LAB_LANG is 'fr'"):
        release(course, None, points_of)
