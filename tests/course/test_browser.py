"""The labs in JupyterLab, in a browser: found by a click, run, answered, and told at once."""

import re
from collections.abc import Iterator

import jupytext
import nbformat
import pytest
from selenium.webdriver.chrome.webdriver import WebDriver
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from grading.course.source import BEGIN, END
from tests.browser import JupyterLab, chromium, served
from tests.labs import ROOT
from tests.needs import needs

pytestmark = needs("chromium")

CHECK = 'check("perceptron_update")'
PARAMETERS = "scale = "
STEPPER = """\
from IPython.display import HTML
from utils.pipeline import pictures, schedules
timeline = schedules.simulate(schedules.parse("F0 B0\\nF0 B0"))
HTML(pictures.stepper(timeline, alt="Two ranks."))"""
ANSWER = "def perceptron_update("
RIGHT = """\
def perceptron_update(w, b, x, y, lr):
    if (w @ x + b >= 0) == (y == 1):
        return w, b
    return w + lr * y * x, b + lr * y"""
LABEL_FORGOTTEN = RIGHT.replace(" * y", "")
SENTENCE = re.compile(r"[A-Za-z]{2,},?(?: [a-z]{2,},?){2,}")  # three words of English, or more
PROGRESS = "from grading.check import progress; progress()"


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[WebDriver, str]]:
    """A browser, and the address of a course not yet begun."""
    folder = tmp_path_factory.mktemp("browser")
    with served(folder / "course") as address, chromium(folder / "profile") as driver:
        yield driver, address


@pytest.fixture
def lab(browser: tuple[WebDriver, str]) -> Iterator[JupyterLab]:
    """JupyterLab at the start page; its console stays without errors."""
    driver, address = browser
    lab = JupyterLab(driver, f"{address}&reset")  # else it brings back what a test before has open
    yield lab
    assert lab.console_errors() == []


def test_lab_01_is_one_click_away_and_says_what_is_wrong_and_what_is_right(lab: JupyterLab) -> None:
    lab.open("lab 01")
    assert "The perceptron" in lab.find(By.CSS_SELECTOR, ".jp-Notebook h1").text
    lab.cell(CHECK).click()
    lab.run_by_menu("Run All Above Selected Cell", lab.cells_above(CHECK))
    assert lab.faults() == []
    untouched = lab.run(CHECK)
    assert untouched.startswith("perceptron_update   0 of 2 points   not done yet")

    lab.write(ANSWER, LABEL_FORGOTTEN)
    lab.run(ANSWER)
    wrong = lab.run(CHECK)
    assert wrong.startswith("perceptron_update   0 of 2 points   not right yet")
    assert re.search(r"failed\s*a mistake moves the line\n", wrong)
    assert re.search(r"\nFor w = \[.*\nexpected +w = .*\s+yours +w = ", wrong)
    assert "That is w + lr·x: the label y is missing from the step." in wrong
    assert "This counts once something above it is right." in wrong

    lab.write(ANSWER, RIGHT)
    lab.run(ANSWER)
    right = lab.run(CHECK)
    assert right.startswith("perceptron_update   2 of 2 points   passed")
    assert "failed" not in right
    assert re.search(r"perceptron_update +2 of 2\n", lab.run("progress()"))


def answers(lab: str, language: str) -> Iterator[tuple[str, str, str]]:
    """For each answer of a lab its exercise, how its released cell begins, and what to write."""
    released = nbformat.read(ROOT / "labs" / language / f"{lab}.ipynb", as_version=4)
    stubs = {cell.id: cell.source for cell in released.cells}
    for cell in jupytext.read(ROOT / "solutions" / f"{lab}.py").cells:
        about = cell.metadata.get("nbgrader", {})
        if about.get("solution"):
            name, lines = about["grade_id"], cell.source.splitlines()
            written = [line for line in lines if BEGIN not in line and END not in line]
            start, bracket, _ = stubs[name].splitlines()[0].partition("(")
            yield name.removesuffix("_code"), start + bracket, "\n".join(written)


def test_lab_01_in_japanese_from_the_first_cell_to_full_marks(
    lab: JupyterLab, browser: tuple[WebDriver, str]
) -> None:
    lab.find(By.PARTIAL_LINK_TEXT, "日本語").click()
    lab.open("ラボ01")
    assert "パーセプトロン" in lab.find(By.CSS_SELECTOR, ".jp-Notebook h1").text
    lab.run_by_menu("Run All Cells", lab.cells())
    assert lab.faults() == []
    untouched = lab.results()
    assert untouched
    assert [one for one in untouched if "まだです" not in one] == []

    lab.write(ANSWER, LABEL_FORGOTTEN)
    lab.run(ANSWER)
    wrong = lab.run(CHECK)
    assert "2点中0点" in wrong
    assert "更新の式にラベルyがありません。" in wrong
    told = [*untouched, wrong]
    for exercise, start, answer in answers("01_perceptron", "ja"):
        lab.write(start, answer)
        lab.run(start)
        told.append(lab.run(f'check("{exercise}")'))
        assert "合格" in told[-1]
    assert [line for one in told for line in one.splitlines() if SENTENCE.search(line)] == []
    assert re.search(r"パーセプトロン +10点中 +10点", lab.run("progress()"))

    lab = JupyterLab(browser[0], f"{browser[1]}&reset")
    lab.open("lab 01")
    lab.write(PARAMETERS, PROGRESS)
    assert re.search(r"The perceptron +10 of 10 points", lab.run(PROGRESS))


def test_lab_02_untouched_says_so_at_each_check_and_describes_its_pictures(lab: JupyterLab) -> None:
    lab.open("02 ·")
    lab.run_by_menu("Run All Cells", lab.cells())
    assert lab.faults() == []
    results = lab.results()
    assert len(results) == len(lab.cells("check("))
    assert [one for one in results if "not done yet" not in one] == []
    descriptions = lab.alternative_texts()
    assert descriptions
    assert "" not in descriptions


def test_a_schedule_is_stepped_through_by_the_arrow_keys(lab: JupyterLab) -> None:
    lab.open("lab 01")  # any would do; its kernel may be there already
    lab.write(PARAMETERS, STEPPER)
    lab.run(STEPPER)
    said = lab.find(By.CSS_SELECTOR, ".stepper output")
    assert said.text.startswith("At 6:")
    lab.find(By.CSS_SELECTOR, ".stepper input").send_keys(Keys.ARROW_LEFT)
    assert said.text.startswith("At 4:")
