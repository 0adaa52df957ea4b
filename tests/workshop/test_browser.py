"""A class in a browser: a learner in JupyterLab, and the instructor's page, live."""

import re
import secrets
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
from selenium.webdriver.chrome.webdriver import WebDriver
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from grading.marking.handed_in import handed_in
from tests.browser import JupyterLab, barriers, chromium, in_colours, served
from tests.needs import needs
from tests.workshop.classroom import Board, Learner, opened, wait

pytestmark = needs("chromium")

LAB, EXERCISES = "05_convolution", ("output_size", "conv2d_loops", "im2col", "conv2d")
NASTY = '<img src=x onerror="document.title=1"><script>document.title=1</script>'
CHECK, ANSWER = 'check("perceptron_update")', "def perceptron_update("
FORGOTTEN = """\
def perceptron_update(w, b, x, y, lr):
    if (w @ x + b >= 0) == (y == 1):
        return w, b
    return w + lr * x, b + lr"""


@pytest.fixture
def board(tmp_path: Path) -> Iterator[Board]:
    with opened(tmp_path / "workshop") as board:
        yield board


@pytest.fixture
def driver(tmp_path: Path) -> Iterator[WebDriver]:
    with chromium(tmp_path / "profile") as driver:
        driver.set_window_size(1920, 1080)
        yield driver


def text(driver: WebDriver, place: str) -> str:
    return driver.find_element(By.ID, place).get_attribute("textContent") or ""


def cell(driver: WebDriver, learner: str, column: int) -> str:
    """What a screen reader says of a learner's exercise, counted from 1."""
    rows = driver.find_elements(By.CSS_SELECTOR, "#rows tr")
    found = [one for one in rows if one.find_element(By.TAG_NAME, "th").text.endswith(learner)]
    cells = found[0].find_elements(By.TAG_NAME, "td") if found else []
    return (cells[column - 1].get_attribute("textContent") or "") if cells else ""


def a_class(board: Board, count: int = 30) -> list[Learner]:
    """Learners who joined two hours ago and are at different exercises."""
    learners = [Learner(board, f"Learner {i:02}") for i in range(count)]
    for i, one in enumerate(learners):
        one.join()
        board.age(one, 7200)
        done = [
            {"kind": "check", "lab": LAB, "exercise": name, "points": 9, "ago": 3000 - 600 * k}
            for k, name in enumerate(EXERCISES[: i % 5])
        ]
        one.send({"kind": "open", "lab": LAB, "ago": 60 * i + 600}, *done)
        if i % 3 == 0:
            one.check(LAB, EXERCISES[min(i % 5, 3)], 0.0, "k - 1")
    return learners


def test_the_page_is_live_harmless_and_comes_back_by_itself(
    board: Board, driver: WebDriver
) -> None:
    learners = a_class(board)
    driver.get(board.page)
    wait(lambda: text(driver, "summary").startswith("30 joined"), "nobody is shown")
    assert board.key not in driver.current_url
    assert board.key not in driver.page_source
    assert "done" in cell(driver, "Learner 02", 1)
    assert "longer than it should take" in driver.page_source
    wait(lambda: "2 × k - 1" in text(driver, "why"), "no misconception is shown")
    assert "one place too many" in text(driver, "why")

    learners[4].check(LAB, EXERCISES[0], 0.0)
    learners[3].send({"kind": "hand", "text": NASTY})
    wait(lambda: NASTY in text(driver, "hands"), "the hand is not shown")
    assert driver.find_elements(By.CSS_SELECTOR, "#hands img, #hands script") == []
    driver.save_screenshot(str(board.folder / "named.png"))

    title = driver.title
    driver.find_element(By.CSS_SELECTOR, "#hands button").send_keys(Keys.ENTER)
    wait(lambda: text(driver, "hands-title") == "No hands up", "the hand stays up")
    assert driver.title == title

    driver.find_element(By.ID, "view").send_keys(Keys.ENTER)
    wait(lambda: "30 in this lab" in text(driver, "summary"), "the projector view does not come")
    assert text(driver, "code") == board.code
    assert not driver.find_element(By.ID, "rows").is_displayed()
    driver.find_element(By.ID, "view").send_keys(Keys.ENTER)

    board.kill()
    wait(lambda: "does not answer" in text(driver, "state"), "it is not noticed")
    board.start()
    wait(lambda: text(driver, "state") == "", "the page does not come back")
    learners[0].check(LAB, EXERCISES[3], 9.0)
    wait(lambda: "done" in cell(driver, "Learner 00", 4), "the page is not live again")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_no_page_has_a_barrier(board: Board, driver: WebDriver, scheme: str) -> None:
    learners = a_class(board)
    learners[3].send({"kind": "hand", "text": "I don't see why"})
    in_colours(driver, scheme)
    driver.get(board.page)
    wait(lambda: "2 × k - 1" in text(driver, "why"), "no misconception is shown")
    assert barriers(driver) == []
    driver.save_screenshot(str(board.folder / f"{scheme}.png"))
    driver.find_element(By.ID, "view").send_keys(Keys.ENTER)
    wait(lambda: "30 in this lab" in text(driver, "summary"), "the projector view does not come")
    driver.find_element(By.TAG_NAME, "summary").send_keys(Keys.ENTER)
    assert barriers(driver) == []
    driver.get(board.address)
    assert barriers(driver) == []
    driver.set_window_size(500, 900)
    assert barriers(driver) == []


def test_the_board_speaks_the_language_that_it_is_started_in(
    tmp_path: Path, driver: WebDriver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LAB_LANG", "ja")
    with opened(tmp_path / "workshop") as board:
        assert "ボードが開きました。" in board.said
        learners = a_class(board)
        learners[3].send({"kind": "hand", "text": "?"})
        driver.get(board.page)
        wait(lambda: "2 × " in text(driver, "why"), "no misconception is shown")
        assert text(driver, "summary").startswith("30人が参加 · 挙手1人 · ")
        assert "できた" in cell(driver, "Learner 01", 1)
        assert english(driver) == []
        driver.save_screenshot(str(board.folder / "ja.png"))
        driver.find_element(By.ID, "view").send_keys(Keys.ENTER)
        wait(
            lambda: "30人がこのラボ" in text(driver, "summary"), "the projector view does not come"
        )
        assert english(driver) == []
        assert barriers(driver) == []


def english(driver: WebDriver) -> list[str]:
    """What a page says in English words, but for code and names."""
    said = driver.execute_script(
        "const page = document.body.cloneNode(true);"
        "for (const one of page.querySelectorAll('script, code, option, tbody th')) one.remove();"
        "return page.textContent;"
    )
    return re.findall(r"[A-Za-z]{2,} [a-z]{2,}.*", said)


def test_without_its_key_the_page_shows_nothing(board: Board, driver: WebDriver) -> None:
    Learner(board, "Anna").join()
    driver.get(f"{board.address}/board#{secrets.token_urlsafe(24)}")
    wait(lambda: "for the instructor's page" in text(driver, "state"), "nothing is said")
    assert "Anna" not in driver.page_source


def test_a_learner_joins_by_the_form_of_the_start_page(
    board: Board, driver: WebDriver, tmp_path: Path
) -> None:
    with served(tmp_path / "course") as address:
        lab = JupyterLab(driver, f"{address}&reset")
        lab.open("join its board")
        assert "Your name" in lab.run("from grading.check import join")
        fields = driver.find_elements(By.CSS_SELECTOR, ".widget-text input")
        for field, said in zip(fields, (board.address, board.code, "Anna"), strict=True):
            field.send_keys(said)
        lab.find(By.XPATH, "//button[.='Join']").click()
        wait(lambda: "none of your code, values or output" in driver.page_source, "nothing is said")
        assert barriers(driver, ".jp-OutputArea-output") == []
        assert lab.console_errors() == []
    wait(lambda: "Anna" in [one["name"] for one in board.picture()["learners"]], "nobody joined")


def test_a_learner_joins_is_seen_and_hands_in(
    board: Board, driver: WebDriver, tmp_path: Path
) -> None:
    with served(tmp_path / "course") as address:
        lab = JupyterLab(driver, f"{address}&reset")
        lab.open("lab 01")
        said = f'join("{board.address}", "{board.code}", name="Anna")'
        lab.write("scale = ", f'scale = ""\nfrom grading.check import hand_in, join\n{said}')
        assert "none of your code, values or output" in lab.run("scale = ")
        lab.run("import math")
        lab.write(ANSWER, FORGOTTEN)
        lab.run(ANSWER)
        assert "not right yet" in lab.run(CHECK)
        wait(board.rows, "no check arrives")
        (row,) = board.rows()
        assert (row["exercise"], row["state"], row["attempts"]) == ("perceptron_update", "tried", 1)
        assert row["misconception"]

        lab.write("progress()", "hand_in()")
        said = lab.run("hand_in()")
        assert "Handed in: 01_perceptron.ipynb, saved just now" in said
        assert lab.console_errors() == []
    (one,) = handed_in(board.folder / "submissions", "01_perceptron").submissions
    assert one.student == "Anna"
    assert b"return w + lr * x, b + lr" in one.content()  # saved by hand_in, and by nobody before
    with sqlite3.connect(board.folder / "board.sqlite") as base:
        sent = " ".join(map(str, base.execute("SELECT * FROM events").fetchall()))
    assert "lr *" not in sent
