"""A learner at work: the course as `make lab` serves it, in JupyterLab, in headless Chromium."""

import importlib.util
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from selenium import webdriver
from selenium.webdriver import ActionChains
from selenium.webdriver.chrome.webdriver import WebDriver
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.remote.webelement import WebElement

T = TypeVar("T")

ROOT = Path(__file__).parents[1]
PATIENCE = 240.0  # seconds: a limit, not an expectation; others may keep the machine busy

# Without a window, a sandbox of its own (root can have none) or anything that asks the network.
FLAGS = (
    "--headless=new --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-sync"
    " --disable-background-networking --disable-component-update --window-size=1400,1000"
)

CELLS = ".jp-NotebookPanel:not(.lm-mod-hidden) .jp-Cell"  # of the notebook that is on top
CODE_CELLS = """
    const cells = document.querySelectorAll(arguments[0] + ".jp-CodeCell");
    const text = (cell) =>
        [...cell.querySelectorAll(".cm-line")].map((line) => line.textContent).join("\\n");
    return [...cells].filter((cell) => text(cell).startsWith(arguments[1]));
"""


def wait(until: Callable[[], T], what: str) -> T:
    """What `until()` gives as soon as it is true; raises AssertionError after PATIENCE."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        if found := until():
            return found
        time.sleep(0.1)
    raise AssertionError(f"Waited {PATIENCE:g} seconds in vain: {what}.")


@contextmanager
def served(root: Path) -> Iterator[str]:
    """Serve a copy of the course, made in the folder `root`, as `make lab` does; its address."""
    for folder in ("grading", "labs", "locale", "utils"):
        shutil.copytree(ROOT / folder, root / folder, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "course.yml", root)
    # The copy keeps its own progress; PYTHONPATH, or the kernels would import the original.
    others = ("LAB_DATA", "LAB_LANG", "LAB_PROGRESS")
    mine = {k: v for k, v in os.environ.items() if k not in others}
    mine |= {"PYTHONPATH": str(root), "LAB_SCALE": "smoke"}
    command = [sys.executable, "-m", "grading", "lab", "--no-browser", "--ServerApp.port=0"]
    log = root / "server.log"
    with log.open("wb") as said:
        server = subprocess.Popen(command, cwd=root, env=mine, stdout=said, stderr=said)
    try:
        yield wait(lambda: _address(server, log), "the server gives no address")
    finally:
        _stop(server)


def _address(server: subprocess.Popen[bytes], log: Path) -> str:
    text = log.read_text(encoding="utf-8")
    assert server.poll() is None, f"The server did not start:\n{text}"
    found = re.search(r"http://127\.0\.0\.1:\S+", text)
    return found[0] if found else ""


def _stop(server: subprocess.Popen[bytes]) -> None:
    server.send_signal(signal.SIGINT)  # it ends its kernels; killed, it would leave them
    try:
        server.wait(PATIENCE)
    finally:
        server.kill()
        server.wait()


@contextmanager
def chromium(profile: Path) -> Iterator[WebDriver]:
    """A browser with a fresh profile in the folder `profile`."""
    options = webdriver.ChromeOptions()
    options.binary_location = shutil.which("chromium") or ""
    for flag in [*FLAGS.split(), f"--user-data-dir={profile}"]:
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    # Told no path, Selenium would look for a driver to download.
    driver = webdriver.Chrome(options, webdriver.ChromeService(shutil.which("chromedriver")))
    try:
        yield driver
    finally:
        driver.quit()


def in_colours(driver: WebDriver, scheme: str) -> None:
    """Let pages take the system for one that is "light" or "dark"."""
    features = [{"name": "prefers-color-scheme", "value": scheme}]
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})


def barriers(driver: WebDriver, within: str = "body") -> list[str]:
    """What axe calls serious or critical on the page, each with the first place of it.

    within: a selector, to leave out what is not ours.
    """
    package = importlib.util.find_spec("axe_playwright_python")
    assert package is not None
    assert package.origin is not None
    axe = Path(package.origin).with_name("axe.min.js").read_text(encoding="utf-8")
    driver.execute_script(axe)
    run = "axe.run(arguments[0]).then(arguments[arguments.length - 1])"
    found = driver.execute_async_script(run, within)
    return [
        f"{one['id']} ({one['impact']}): {one['nodes'][0]['html'][:200]}"
        for one in found["violations"]
        if one["impact"] in ("serious", "critical")
    ]


class JupyterLab:
    """JupyterLab in a browser, worked in with mouse and keyboard."""

    def __init__(self, driver: WebDriver, address: str) -> None:
        self.driver = driver
        driver.get(address)

    def open(self, link: str) -> None:
        """Click the link that has this text, and wait for its notebook and a kernel."""
        self.find(By.PARTIAL_LINK_TEXT, link).click()
        wait(lambda: "| Idle" in self._status(), "no kernel is ready")
        wait(self._is_whole, "not all cells are there")

    def find(self, by: str, value: str) -> WebElement:
        """The first such element, once there is one."""
        return wait(lambda: self.driver.find_elements(by, value), f"there is no {value}")[0]

    def cells(self, start: str = "") -> list[WebElement]:
        """The code cells whose text begins with `start`."""
        return self.driver.execute_script(CODE_CELLS, CELLS, start)

    def cell(self, start: str) -> WebElement:
        """The one code cell whose text begins with `start`, scrolled into view."""
        (cell,) = self.cells(start)
        self.driver.execute_script("arguments[0].scrollIntoView({block: 'center'})", cell)
        return cell

    def cells_above(self, start: str) -> list[WebElement]:
        """The code cells above the one whose text begins with `start`."""
        cells = self.cells()
        return cells[: cells.index(self.cell(start))]

    def write(self, start: str, text: str) -> None:
        """Put `text` in the place of all that is in the cell which begins with `start`."""
        self._click(self.cell(start))
        self._press(Keys.CONTROL, "a")
        self.driver.execute_cdp_cmd("Input.insertText", {"text": text})  # as pasting does
        wait(lambda: self.cells(text), f"no cell holds {text!r}")

    def run(self, start: str) -> str:
        """Run the cell that begins with `start` by Shift+Enter; returns the output it shows."""
        cell = self.cell(start)
        before = prompt(cell)
        self._click(cell)
        self._press(Keys.SHIFT, Keys.ENTER)
        wait(lambda: has_run(cell) and prompt(cell) != before, f"the cell {start!r} does not end")
        return self.cell(start).find_element(By.CLASS_NAME, "jp-Cell-outputArea").text

    def run_by_menu(self, item: str, cells: list[WebElement]) -> None:
        """Choose an item of the menu Run, and wait until these cells have run."""
        self.find(By.XPATH, "//li[contains(@class, 'lm-MenuBar-item')][.='Run']").click()
        label = f"//*[contains(@class, 'lm-Menu-itemLabel')][.='{item}']"
        self.find(By.XPATH, label).click()
        wait(lambda: self.faults() or all(map(has_run, cells)), f"{item!r} does not end")

    def faults(self) -> list[str]:
        """What the page shows of errors, warnings and notifications."""
        kinds = (
            "[data-mime-type='application/vnd.jupyter.error'],"
            " [data-mime-type='application/vnd.jupyter.stderr'],"
            " .jp-toast, .Toastify__toast, .jp-Dialog"
        )
        return self._texts(kinds, "textContent")

    def results(self) -> list[str]:
        """The text of every check's result."""
        return self._texts(".jp-OutputArea [role=status]", "textContent")

    def alternative_texts(self) -> list[str]:
        """Of every picture that a cell has drawn, an empty one where it has none."""
        return self._texts(".jp-OutputArea img", "alt")

    def console_errors(self) -> list[str]:
        """The errors in the browser's console since the last call."""
        log = self.driver.get_log("browser")
        return [entry["message"] for entry in log if entry["level"] == "SEVERE"]

    def _is_whole(self) -> bool:
        """Whether the page has as many cells as the status bar says, `Cell 1/80`."""
        count = re.search(r"Cell \d+/(\d+)", self._status())
        return count is not None and len(self._texts(CELLS, "class")) == int(count[1])

    def _status(self) -> str:
        return self.find(By.ID, "jp-bottom-panel").text

    def _texts(self, selector: str, of: str) -> list[str]:
        found = self.driver.find_elements(By.CSS_SELECTOR, selector)
        return [one.get_attribute(of) or "" for one in found]

    def _click(self, cell: WebElement) -> None:
        cell.find_element(By.CLASS_NAME, "cm-line").click()

    def _press(self, held: str, key: str) -> None:
        ActionChains(self.driver).key_down(held).send_keys(key).key_up(held).perform()


def prompt(cell: WebElement) -> str:
    """Such as `[3]:`, on the screen or off it."""
    return cell.find_element(By.CLASS_NAME, "jp-InputPrompt").get_attribute("textContent") or ""


def has_run(cell: WebElement) -> bool:
    return re.fullmatch(r"\[\d+\]:", prompt(cell)) is not None
