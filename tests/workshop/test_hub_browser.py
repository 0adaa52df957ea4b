"""Two learners in two browsers, each in a seat of one hub, from the sign-in page to their marks."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from selenium.webdriver.chrome.webdriver import WebDriver
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from tests.browser import JupyterLab, barriers, chromium, wait
from tests.needs import needs
from tests.workshop.classroom import ROOT
from tests.workshop.seats import PASSWORD, Hub, open_python, served

pytestmark = [needs("chromium"), needs("bwrap")]

LAB, CHECK, ANSWER = "01_perceptron", 'check("perceptron_update")', "def perceptron_update("
RIGHT = """\
def perceptron_update(w, b, x, y, lr):
    if (w @ x + b >= 0) == (y == 1):
        return w, b
    return w + lr * y * x, b + lr * y"""
FORGOTTEN = RIGHT.replace(" * y", "")


def signed_in(driver: WebDriver, hub: Hub, name: str) -> JupyterLab:
    lab = JupyterLab(driver, hub.home)
    lab.find(By.ID, "username").send_keys(name)
    lab.find(By.ID, "code").send_keys(hub.code)
    assert barriers(driver) == []
    lab.find(By.ID, "password").send_keys(PASSWORD, Keys.ENTER)
    return lab


def state(hub: Hub, name: str) -> str:
    rows = [row for row in hub.rows() if row["learner"] == name]
    return rows[0]["state"] if rows else ""


def test_two_learners_sign_in_answer_hand_in_and_get_their_marks(tmp_path: Path) -> None:
    root_can = os.geteuid() != 0 or open_python() is not None
    if not root_can:
        pytest.skip("The tests run as root, and no Python is here that another user can run")
    with (
        served(python=open_python()) as hub,
        chromium(tmp_path / "anna") as first,
        chromium(tmp_path / "ben") as second,
    ):
        for driver in (first, second):
            driver.set_window_size(1600, 1000)
        labs = {"Anna": signed_in(first, hub, "Anna"), "Ben": signed_in(second, hub, "Ben")}
        for name, lab in labs.items():
            lab.open("lab 01")
            lab.write("scale = ", 'scale = ""\nfrom grading.check import hand_in')
            assert f"as {name}, as P2P_BOARD says" in lab.run("scale = ") + lab.run("import math")
            lab.write(ANSWER, FORGOTTEN)
            lab.run(ANSWER)
            assert "not right yet" in lab.run(CHECK)
            wait(lambda name=name: state(hub, name) == "tried", f"{name} is not shown")
        labs["Ben"].write(ANSWER, RIGHT)
        labs["Ben"].run(ANSWER)
        labs["Ben"].run(CHECK)
        wait(lambda: state(hub, "Ben") == "done", "the right answer is not shown")
        for lab in labs.values():
            lab.write("progress()", "hand_in()")
            assert "Handed in: 01_perceptron.ipynb, saved just now" in lab.run("hand_in()")
            assert lab.console_errors() == []
        for driver in (first, second):
            driver.get(f"{hub.home}/hub/home")
            assert driver.find_element(By.TAG_NAME, "h1").text == "Your seat"
            assert barriers(driver) == []
        first.get(hub.page)
        first.find_element(By.ID, "view").send_keys(Keys.ENTER)
        shown = first.find_element(By.ID, "seats")
        wait(shown.is_displayed, "the projector view does not say where to sign in")
        assert f"Open {hub.home} in a browser" in shown.text
        assert hub.code in shown.text
        course = tmp_path / "course"
        for folder in ("solutions", "grading/checks"):
            (course / folder).mkdir(parents=True)
            shutil.copy(ROOT / folder / f"{LAB}.py", course / folder)
        place = [hub.folder / "submissions", "--results", tmp_path / "results"]
        grading("release", "--course", course)
        grading("autograde", "01", *place, "--course", course)
        grading("record", "01", *place, "--course", course)
    marks = {
        name: json.loads((tmp_path / "results" / name / f"{LAB}.json").read_bytes())["score"]
        for name in labs
    }
    assert marks["Ben"] > 0
    assert marks["Anna"] < marks["Ben"]


def grading(*arguments: object) -> None:
    command = [sys.executable, "-m", "grading", *map(str, arguments)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
