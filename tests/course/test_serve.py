"""`make lab`'s server: quiet, safe to stop, and a start page that opens the lab in a browser."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from grading.course.release import release
from tests.needs import needs
from tests.tiny_course import LAB, points_of, write_source

SERVE = """
import sys
from pathlib import Path
from grading.answer.progress import Standing
from grading.course.workspace import serve
standing = [Standing("01_tiny", "double", 2.0, 1.5), Standing("01_tiny", "guess", 1.0, None)]
sys.exit(serve(Path(sys.argv[1]), sys.argv[2:], lambda: standing))
"""

FLAGS = (
    "--headless=new --no-sandbox --disable-gpu --disable-background-networking"
    " --disable-component-update --disable-sync --no-first-run --window-size=1400,1000"
)

# Its fixtures are dear: one worker of pytest-xdist has them all.
pytestmark = pytest.mark.xdist_group("serve")


@dataclass
class Served:
    root: Path
    process: subprocess.Popen[bytes]
    url: str

    def output(self) -> str:
        return (self.root / "output").read_text(encoding="utf-8")

    def get(self, path: str, post: bytes | None = None) -> str:
        base, token = self.url.split("/lab/tree/start.md?token=")
        headers = {"Authorization": f"token {token}", "Content-Type": "application/json"}
        request = urllib.request.Request(base + path, post, headers)
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.read().decode()


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    root = tmp_path_factory.mktemp("served")
    write_source(root)
    release(root, None, points_of)
    shutil.copy(root / "labs" / f"{LAB}.ipynb", root / "labs" / "02_broken.ipynb")
    (root / "my_labs").mkdir()
    (root / "my_labs" / "02_broken.ipynb").write_text("{")
    command = [sys.executable, "-c", SERVE, str(root), "--no-browser", "--ServerApp.port=0"]
    terminal, stdin = os.openpty()  # Jupyter listens for Ctrl-C where there is a terminal
    with (root / "output").open("wb") as output:
        process = subprocess.Popen(command, stdin=stdin, stdout=output, stderr=output, cwd=root)
    try:
        yield Served(root, process, _url(process, root / "output"))
    finally:
        process.kill()
        process.wait()
        os.close(terminal)
        os.close(stdin)


def _url(process: subprocess.Popen[bytes], output: Path) -> str:
    for _ in range(600):
        found = re.search(r"http://127\.0\.0\.1:\S+", output.read_text(encoding="utf-8"))
        if found:
            return found.group(0)
        assert process.poll() is None, output.read_text(encoding="utf-8")
        time.sleep(0.1)
    raise AssertionError(f"no address within a minute: {output.read_text(encoding='utf-8')}")


def test_the_server_opens_on_the_working_copy(served: Served) -> None:
    listed = json.loads(served.get("/api/contents"))["content"]
    names = {entry["name"] for entry in listed}
    assert names == {f"{LAB}.ipynb", "02_broken.ipynb", "join.ipynb", "start.md"}
    assert served.output().startswith("New in my_labs: 01_tiny.\n")
    assert "my_labs/02_broken.ipynb cannot be read" in served.output()
    assert not re.search("WARN|ERROR|Traceback", served.output())
    assert "[Go on with lab 01 · Tiny →](01_tiny.ipynb)" in served.get("/files/start.md")


def test_what_is_for_instructors_and_what_asks_the_network_is_off(served: Served) -> None:
    page = served.get("/lab")
    config = json.loads(re.findall(r'id="jupyter-config-data"[^>]*>(.*?)</script>', page, re.S)[0])
    disabled = set(config["disabledExtensions"])
    assert {"@jupyter/nbgrader", "@jupyterlab/extensionmanager-extension"} <= disabled
    assert config["news"] == {"disabled": True}
    name = "@jupyterlab/apputils-extension:notification"
    settings = json.loads(served.get(f"/lab/api/settings/{name}"))["schema"]["properties"]
    assert settings["checkForUpdates"]["default"] is False
    assert settings["fetchNews"]["default"] == "false"


@needs("chromium")
def test_the_start_page_opens_the_lab_without_a_console_error(served: Served) -> None:
    from selenium import webdriver
    from selenium.webdriver.common.by import By
    from selenium.webdriver.support.ui import WebDriverWait

    options = webdriver.ChromeOptions()
    for flag in FLAGS.split():
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options=options)
    try:
        wait = WebDriverWait(driver, 90)
        driver.get(served.url)
        wait.until(lambda d: d.find_elements(By.PARTIAL_LINK_TEXT, "lab 01"))[0].click()
        wait.until(lambda d: d.find_elements(By.CSS_SELECTOR, ".jp-Notebook .jp-CodeCell"))
        wait.until(lambda d: "| Idle" in d.find_element(By.ID, "jp-bottom-panel").text)
        said = [entry for entry in driver.get_log("browser") if entry["level"] == "SEVERE"]
        assert said == []
        assert driver.find_elements(By.CSS_SELECTOR, ".jp-toast, .Toastify__toast") == []
    finally:
        driver.quit()


def test_ctrl_c_stops_it_and_its_kernels_without_a_question(served: Served) -> None:
    served.get("/api/kernels", b"{}")
    kernels = _children(served.process.pid)
    assert kernels
    os.kill(served.process.pid, signal.SIGINT)
    assert served.process.wait(timeout=60) == 0
    assert [pid for pid in kernels if _lives(pid)] == []


def _children(pid: int) -> list[int]:
    command = ["ps", "-o", "pid=", "--ppid", str(pid)]
    listed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return [int(word) for word in listed.split()]


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
