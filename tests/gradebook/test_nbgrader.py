"""Our marks in nbgrader: gradebook, export, feedback and formgrader, and stock nbgrader beside."""

import csv
import fcntl
import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import nbformat
import pytest
from hypothesis import given
from hypothesis import strategies as st
from nbgrader.api import Gradebook
from selenium.webdriver.common.by import By

from grading.__main__ import main
from grading.gradebook import record
from tests import postgres
from tests.browser import chromium, wait
from tests.graded_course import (
    LAB,
    MAX_SCORE,
    PARTLY,
    RIGHT,
    answered,
    hand_in,
    make_course,
    released,
    write,
)
from tests.needs import needs

SCRIPT = "document.title = 'owned'"
EVIL = f"""<script>{SCRIPT}</script> <img src=x onerror="{SCRIPT}"> <svg onload="{SCRIPT}">
[link](javascript:{SCRIPT}) <a href="javascript:{SCRIPT}">link</a> <iframe></iframe>

```mermaid
</pre><script>{SCRIPT}</script>
```
![picture](attachment:x.png) ![other](https://example.invalid/x.png)
"""
EVIL_CODE = f"""
from IPython.display import HTML, Javascript, display
display(HTML('''{EVIL}'''), Javascript({SCRIPT!r}))
display({{"text/latex": '''{EVIL}''', "image/svg+xml": '''{EVIL}''', "text/markdown": '''{EVIL}''',
         "image/png": '''{EVIL}''', "text/plain": '''{EVIL}'''}}, raw=True)
print('''{EVIL}''')
raise ValueError('''{EVIL}''')
"""
SCORES = {"anna": 5.0, "ben": 1.5, "cleo": 0.0, "dora": 0.0, "evil": 5.0}


def evil_notebook(root: Path) -> dict[str, Any]:
    notebook = answered(released(root), {**RIGHT, "why": EVIL})
    about = {
        "grade_id": f'"><script>{SCRIPT}</script>',
        "grade": True,
        "points": 1,
        "solution": True,
        "locked": False,
        "schema_version": 3,
        "task": False,
    }
    more = [
        {"cell_type": "raw", "metadata": {"raw_mimetype": "text/html"}, "source": EVIL},
        {
            "cell_type": "markdown",
            "metadata": {"nbgrader": about},
            "source": EVIL,
            "attachments": {"x.png": {"image/png": f'"><script>{SCRIPT}</script>'}},
        },
        {
            "cell_type": "code",
            "metadata": {"tags": [EVIL]},
            "source": EVIL_CODE,
            "outputs": [],
            "execution_count": EVIL,
        },
    ]
    notebook["cells"] += [{"id": f"<{EVIL}>{number}", **cell} for number, cell in enumerate(more)]
    notebook["metadata"] |= {
        "title": EVIL,
        "widgets": {
            "application/vnd.jupyter.widget-state+json": {
                "x": f"</script><script>{SCRIPT}</script>"
            },
        },
    }
    return notebook


@pytest.fixture(scope="module")
def graded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A course with a graded class; tests that write take a copy."""
    root = make_course(tmp_path_factory.mktemp("nbgrader") / "root")
    for student, answers in (("anna", RIGHT), ("ben", PARTLY), ("cleo", {})):
        hand_in(root, student, answers)
    write(root / "handed_in" / "dora" / f"{LAB}.ipynb", "Dear teacher")
    write(root / "handed_in" / "evil" / f"{LAB}.ipynb", json.dumps(evil_notebook(root)))
    options = ["--results", str(root / "results"), "--course", str(root), "--trust-submissions"]
    assert main(["autograde", "1", str(root / "handed_in"), *options]) == 0
    return root


@pytest.fixture(scope="module")
def recorded(graded: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = shutil.copytree(graded, tmp_path_factory.mktemp("recorded") / "root")
    assert record_in(root) == 0
    return root


@pytest.fixture
def copy(recorded: Path, tmp_path: Path) -> Path:
    return shutil.copytree(recorded, tmp_path / "root")


def record_in(root: Path, *more: str) -> int:
    options = ["--results", str(root / "results"), "--course", str(root)]
    return main(["record", "1", str(root / "handed_in"), *options, *more])


def nbgrader(root: Path, *arguments: str) -> str:
    """Run an nbgrader command in the course's folder; what it said."""
    path = os.pathsep.join([sysconfig.get_path("scripts"), os.environ["PATH"]])
    done = subprocess.run(
        [sys.executable, "-m", "nbgrader", *arguments],
        cwd=root / "course",
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env={**os.environ, "PATH": path},
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


def gradebook(root: Path) -> Gradebook:
    return Gradebook(f"sqlite:///{root}/course/gradebook.db", "perceptron-to-pipeline")


def scores(root: Path) -> dict[str, float]:
    with gradebook(root) as found:
        return scores_in(found)


def scores_in(found: Any) -> dict[str, float]:
    return {one.student.id: one.score for one in found.assignment_submissions(LAB)}


def exported(root: Path) -> list[dict[str, str]]:
    nbgrader(root, "export", "--to", str(root / "grades.csv"))
    return list(csv.DictReader((root / "grades.csv").open()))


def feedback(root: Path, student: str) -> str:
    nbgrader(root, "generate_feedback", LAB, "--student", student, "--force")
    file = root / "course" / "feedback" / student / LAB / f"{LAB}.html"
    return file.read_text(encoding="utf-8")


# The same numbers everywhere


def test_gradebook_and_export_have_the_results_marks(recorded: Path) -> None:
    assert scores(recorded) == SCORES
    rows = exported(recorded)
    assert {row["student_id"]: float(row["score"]) for row in rows} == SCORES
    assert {float(row["max_score"]) for row in rows} == {MAX_SCORE + 1}  # 1 for the written answer


def test_honest_work_gets_the_same_marks_from_stock_nbgrader(graded: Path, tmp_path: Path) -> None:
    root = shutil.copytree(graded, tmp_path / "root")
    # There the checks run beside the student's code; this course's must be found by them.
    place = f"{root}/grading/checks"
    found = f"from grading.answer import exercise as e; e.CHECKS = type(e.CHECKS)('{place}')"
    for student in ("anna", "ben", "cleo"):
        text = (root / "handed_in" / student / f"{LAB}.ipynb").read_text()
        text = text.replace("check = checks(", f"{found}\\ncheck = checks(")
        write(root / "course" / "submitted" / student / LAB / f"{LAB}.ipynb", text)
    config = root / "course" / "nbgrader_config.py"
    config.write_text(config.read_text() + "del c.Autograde.autograde_preprocessors\n")
    nbgrader(root, "autograde", LAB)
    assert scores(root) == {student: SCORES[student] for student in ("anna", "ben", "cleo")}


@pytest.mark.parametrize(
    "isolation",
    [["--SandboxedExecute.trust_submissions=True"], pytest.param([], marks=needs("bwrap"))],
    ids=["trusted", "sandbox"],
)
def test_nbgraders_own_autograde_gives_our_marks(
    graded: Path, tmp_path: Path, isolation: list[str]
) -> None:
    root = shutil.copytree(graded, tmp_path / "root")
    for student in ("anna", "ben"):
        notebook = json.loads((root / "handed_in" / student / f"{LAB}.ipynb").read_text())
        if student == "anna":  # an answer that is there twice, at which stock nbgrader stops
            at = next(i for i, cell in enumerate(notebook["cells"]) if cell["id"] == "double_code")
            notebook["cells"].insert(at, {**notebook["cells"][at], "id": "a-copy"})
        file = root / "course" / "submitted" / student / LAB / f"{LAB}.ipynb"
        write(file, json.dumps(notebook))
    for source in (root / "solutions").glob("*"):
        source.unlink()
    said = nbgrader(root, "autograde", LAB, *isolation)
    assert f"no solutions/{LAB}.py: what builds on a wrong answer is not judged apart" in said
    assert scores(root) == {student: SCORES[student] for student in ("anna", "ben")}
    assert "It has exactly the opposite sign." in feedback(root, "ben")


def test_late_submissions_pay_their_penalty(graded: Path, tmp_path: Path) -> None:
    root = shutil.copytree(graded, tmp_path / "root")
    config = root / "course" / "nbgrader_config.py"
    config.write_text(config.read_text() + "c.LateSubmissionPlugin.penalty_method = 'zero'\n")
    with gradebook(root) as found:
        due: Any = "2026-03-01 12:00:00 UTC"
        found.update_or_create_assignment(LAB, duedate=due)
    for student, hour in (("anna", 11), ("evil", 13)):
        write(root / "handed_in" / student / "timestamp.txt", f"2026-03-01 {hour}:00:00 UTC")
    assert record_in(root) == 0
    found = {row["student_id"]: row for row in exported(root)}
    assert float(found["anna"]["score"]) == 5
    assert float(found["evil"]["score"]) == 0
    assert float(found["evil"]["raw_score"]) == float(found["evil"]["late_submission_penalty"]) == 5


# Again and again


def test_recording_again_keeps_a_persons_grades(
    copy: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with gradebook(copy) as found:
        why: Any = found.find_grade("why", LAB, LAB, "anna")
        assert why.needs_manual_grade
        why.manual_score, why.needs_manual_grade = 1, False
        found.db.commit()
    assert record_in(copy) == 0
    assert "0 recorded, 5 were already" in capsys.readouterr().out
    assert scores(copy) == {**SCORES, "anna": 6}
    with gradebook(copy) as found:
        why = found.find_grade("why", LAB, LAB, "anna")
        assert not why.needs_manual_grade


def by_hand(root: Path, student: str, cell: str, score: float) -> None:
    """A person marks a cell in the formgrader."""
    with gradebook(root) as found:
        grade: Any = found.find_grade(cell, LAB, LAB, student)
        grade.manual_score, grade.needs_manual_grade = score, False
        found.db.commit()


def waits_for_a_person(root: Path, student: str, cell: str) -> bool:
    with gradebook(root) as found:
        return bool(found.find_grade(cell, LAB, LAB, student).needs_manual_grade)


def grade_and_record(root: Path) -> None:
    options = ["--results", str(root / "results"), "--course", str(root), "--trust-submissions"]
    assert main(["autograde", "1", str(root / "handed_in"), *options]) == 0
    assert record_in(root) == 0


def test_judging_again_asks_no_person_again(copy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for student in ("anna", "ben"):
        by_hand(copy, student, "why", 1)
    checks = copy / "grading" / "checks" / f"{LAB}.py"
    checks.write_text(checks.read_text().replace('"guess"], "yes"', '"guess"], "no"'))
    options = ["--results", str(copy / "results"), "--course", str(copy)]
    assert main(["rejudge", "1", *options]) == 0
    assert record_in(copy) == 0
    said = capsys.readouterr().out
    assert "by hand" not in said
    assert scores(copy) == {**SCORES, "anna": 5, "ben": 3.5, "evil": 4}
    assert not waits_for_a_person(copy, "anna", "why")
    checks.write_text(checks.read_text() + "# a remark\n")
    assert main(["rejudge", "1", *options]) == 0
    assert record_in(copy) == 0
    assert "0 recorded, 5 were already" in capsys.readouterr().out


def test_a_mark_by_hand_for_an_answer_that_changed_is_told(
    copy: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    by_hand(copy, "ben", "why", 0)
    by_hand(copy, "ben", "double", 1)
    hand_in(copy, "ben", {**RIGHT, "why": "Another reason."})
    grade_and_record(copy)
    said = capsys.readouterr().out
    assert "marked by hand before they changed" in said
    assert "  ben: why, 0 by hand" in said
    assert "  ben: double, 1 by hand" in said
    assert waits_for_a_person(copy, "ben", "why")
    assert waits_for_a_person(copy, "ben", "double")


def test_only_what_changed_is_recorded_again(
    copy: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    hand_in(copy, "ben", RIGHT)
    hand_in(copy, "fritz", RIGHT)
    assert record_in(copy) == 1
    said = capsys.readouterr().out
    assert "ben: it has changed since it was graded" in said
    assert "fritz: it has no result" in said
    assert scores(copy) == SCORES
    options = ["--results", str(copy / "results"), "--course", str(copy), "--trust-submissions"]
    assert main(["autograde", "1", str(copy / "handed_in"), *options]) == 0
    assert record_in(copy) == 0
    assert "2 recorded, 4 were already" in capsys.readouterr().out
    assert scores(copy) == {**SCORES, "ben": 5, "fritz": 5}


def test_a_new_gradebook_is_filled_whole(copy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (copy / "course" / "gradebook.db").unlink()
    assert record_in(copy) == 0
    assert "5 recorded" in capsys.readouterr().out
    assert scores(copy) == SCORES


def test_two_cannot_record_at_once(copy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with open(copy / "course" / ".recording", "w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        assert record_in(copy) == 2
    assert "Another `record` writes" in capsys.readouterr().err


@pytest.mark.parametrize(
    "url", ["nonsense", "sqlite:////nowhere/at/all.db", "postgresql://127.0.0.1:9/x"]
)
def test_a_gradebook_that_cannot_be_opened_is_told(
    copy: Path, capsys: pytest.CaptureFixture[str], url: str
) -> None:
    assert record_in(copy, "--db", url) == 2
    said = capsys.readouterr().err
    assert said.startswith("The gradebook cannot be opened: ")
    assert said.count("\n") == 1


@needs("postgres")
def test_the_gradebook_can_be_postgresql(copy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with postgres.served() as server:
        assert record_in(copy, "--db", server.url()) == 0
        assert "5 recorded" in capsys.readouterr().out
        url = server.url().replace("postgresql:", "postgresql+psycopg:")
        with Gradebook(url, "perceptron-to-pipeline") as found:
            assert scores_in(found) == SCORES
        assert record_in(copy, "--db", server.url()) == 0
        assert "0 recorded, 5 were already" in capsys.readouterr().out


# What feedback and formgrader show


def test_feedback_says_why_marks_were_lost_and_no_more(copy: Path) -> None:
    shown = feedback(copy, "ben")
    assert "Test cell" not in shown
    summary = shown[shown.index('<div id="toc">') : shown.index('id="notebook"')]
    row = r"<code>(\w+)</code></a>(, written)?</td>\s*<td>(.*?)</td>\s*<td>(.*?)</td>"
    rows = re.findall(row, summary)
    assert rows == [
        ("double", "", "1.5", "2"),
        ("guess", "", "0", "1"),
        ("average", "", "0", "2"),
        ("why", ", written", "0", "1"),
    ]
    assert "1.5 of 2 points" in shown
    assert "That is their sum." in shown
    for hidden in ("rng", "expect", "known", "That is the square.", "secret"):
        assert hidden not in shown
    kept = (copy / "results" / "ben" / f"{LAB}.json").read_text()
    assert "reply" in kept
    assert "reply" not in shown


def test_feedback_on_an_unreadable_file_says_so(copy: Path) -> None:
    shown = feedback(copy, "dora")
    assert "The file is not a notebook: it is not JSON." in shown
    assert "Dear teacher" not in shown


@needs("chromium")
def test_no_script_of_a_student_runs_in_feedback(copy: Path, tmp_path: Path) -> None:
    feedback(copy, "evil")
    with chromium(tmp_path / "profile") as driver:
        page = copy / "course" / "feedback" / "evil" / LAB / f"{LAB}.html"
        driver.get(page.as_uri())
        assert driver.title == LAB
        assert "5 of 6 points" in driver.find_element(By.TAG_NAME, "h4").text
        assert_harmless(driver)


@needs("chromium")
def test_formgrader_shows_the_marks_and_runs_no_script(copy: Path, tmp_path: Path) -> None:
    with formgrader(copy) as address, chromium(tmp_path / "profile") as driver:
        driver.get(f"{address}/formgrader/?token=t")
        driver.get(f"{address}/formgrader/manage_submissions/{LAB}")
        rows = wait(lambda: rows_in(driver), "no rows")
        for student, score in SCORES.items():
            assert any(student in row and f"{score:g} / 6" in row for row in rows)
        with gradebook(copy) as found:
            number = found.find_submission_notebook(LAB, LAB, "evil").id
        driver.get(f"{address}/formgrader/submissions/{number}/")
        marks = wait(lambda: marks_in(driver), "no marks")
        assert marks == {"double": "2", "guess": "1", "average": "2", "why": ""}
        assert driver.title == LAB
        assert_harmless(driver)


@contextmanager
def formgrader(root: Path) -> Iterator[str]:
    """JupyterLab in the course's folder, which serves formgrader; its address."""
    log = root / "server.log"
    command = [
        sys.executable,
        "-m",
        "jupyterlab",
        "--no-browser",
        "--allow-root",
        "--ServerApp.token=t",
        "--ServerApp.port=0",
    ]
    with log.open("wb") as said:
        server = subprocess.Popen(command, cwd=root / "course", stdout=said, stderr=said)
    try:
        yield wait(lambda: address_in(log), "the server gives no address")
    finally:
        server.terminate()
        server.wait()


def address_in(log: Path) -> str:
    found = re.search(r"http://127\.0\.0\.1:\d+", log.read_text())
    return found[0] if found else ""


def rows_in(driver: Any) -> list[str]:
    """The lines of formgrader's table, once it has all of them."""
    rows = [row.text for row in driver.find_elements(By.CSS_SELECTOR, "tbody tr")]
    return rows if len(rows) == len(SCORES) else []


def marks_in(driver: Any) -> dict[str, str]:
    """What formgrader's fields for marks show, once it has filled them."""
    fields = driver.find_elements(By.CSS_SELECTOR, "input.score")
    found = {one.get_attribute("id"): one.get_attribute("placeholder") for one in fields}
    return found if found.get("double") else {}


def assert_harmless(driver: Any) -> None:
    """Nothing of the student's in the page runs, or would at a click, or calls another machine."""
    notebook = "#notebook-container, #notebook"
    for script in driver.find_elements(By.CSS_SELECTOR, f":is({notebook}) script"):
        assert "owned" not in script.get_attribute("textContent")
    for selector in ("iframe", "svg", "[onerror]", "[onload]", "a[href^='javascript']"):
        assert not driver.find_elements(By.CSS_SELECTOR, f":is({notebook}) {selector}")
    sources = [one.get_attribute("src") for one in driver.find_elements(By.CSS_SELECTOR, "img")]
    assert [source for source in sources if not source.startswith("data:image/")] == []


# The stand-in


CELLS = st.lists(
    st.fixed_dictionaries(
        {
            "cell_type": st.sampled_from(["code", "markdown", "raw", "odd"]),
            "source": st.text(max_size=20) | st.integers(),
            "metadata": st.sampled_from(
                [
                    {},
                    {"nbgrader": {"grade_id": "double_code"}},
                    {"nbgrader": {"grade_id": "double"}},
                    {"nbgrader": {"grade_id": "why", "solution": False}},
                    {"nbgrader": []},
                    {"nbgrader": {"grade_id": "own", "solution": True, "points": "x"}},
                ]
            ),
        }
    ),
    max_size=8,
)


@given(cells=CELLS)
def test_nbgrader_reads_a_stand_in_that_is_whole(cells: list[Any], graded: Path) -> None:
    original: Any = nbformat.from_dict(released(graded))
    made = record.stand_in(json.dumps({"cells": cells}).encode(), original)
    nbformat.validate(made)
    about = [cell.metadata.nbgrader for cell in made.cells if "nbgrader" in cell.metadata]
    names = [one.grade_id for one in about]
    assert len(set(names)) == len(names)
    assert {"double", "guess", "average", "why"} <= set(names)
    originals = {
        c.metadata.nbgrader.grade_id: c for c in original.cells if "nbgrader" in c.metadata
    }
    for cell in made.cells:
        if "nbgrader" in cell.metadata:
            own = originals[cell.metadata.nbgrader.grade_id]
            assert cell.metadata == own.metadata
            assert own.metadata.nbgrader.solution or cell.source == own.source
