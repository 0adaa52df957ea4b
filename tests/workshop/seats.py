"""A hub as `python -m grading hub` serves it, and learners who use their seats over HTTP."""

import html
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import sysconfig
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import requests
import websocket

from tests.workshop.classroom import PATIENCE, ROOT, Board, wait

PASSWORD = "correct horse"
NOBODY = 65534


@cache
def open_python() -> Path | None:
    """A Python with the course's packages that every user can run; None where there is none.

    Ours, or one of the system's with the same version before our packages.
    """
    if _is_open(Path(sys.executable).resolve()) and _is_open(Path(sys.prefix)):
        return Path(sys.executable)
    version = f"python{sys.version_info[0]}.{sys.version_info[1]}"
    base = Path(shutil.which(version, path="/usr/local/bin:/usr/bin") or "/root")
    packages = Path(sysconfig.get_path("purelib"))
    if not (_is_open(base.resolve()) and _is_open(packages)):
        return None
    environment = Path(tempfile.mkdtemp(prefix="open-python-"))
    environment.chmod(0o755)
    (environment / "bin").mkdir()
    (environment / "bin" / "python").symlink_to(base.resolve())
    (environment / "pyvenv.cfg").write_text(f"home = {base.resolve().parent}\n")
    (environment / "lib" / version).mkdir(parents=True)
    (environment / "lib" / version / "site-packages").symlink_to(packages)
    for name in ("share", "etc"):
        (environment / name).symlink_to(Path(sys.prefix) / name)
    return environment / "bin" / "python"


def _is_open(path: Path) -> bool:
    return all(one.stat().st_mode & 0o001 for one in (path, *path.parents))


def three_free_ports() -> int:
    """The first of them."""
    for port in range(20_000 + os.getpid() % 10_000, 60_000, 3):
        try:
            for one in range(port, port + 3):
                with socket.socket() as taken:
                    taken.bind(("127.0.0.1", one))
        except OSError:
            continue
        return port
    raise AssertionError("no three ports are free")


@dataclass
class Hub(Board):
    """A hub's process, with its board. python: who runs it; user: under whom, as root."""

    port: int = field(default_factory=three_free_ports)
    python: Path = Path(sys.executable)
    user: int | None = None
    under = "/services/board"

    @property
    def home(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def code(self) -> str:
        return self._found(r"code (\w{3}-\w{3})")

    def start(self) -> None:
        place = ["--folder", str(self.folder), "--port", str(self.port), "--host", "127.0.0.1"]
        self.process = subprocess.Popen(
            [str(self.python), "-m", "grading", "hub", *place, *self.options],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            text=True,
            user=self.user,
            group=self.user,
            extra_groups=None if self.user is None else [],
            env=_environment(self.folder),
            start_new_session=True,
        )
        self._read_welcome()

    def close(self) -> None:
        """By Ctrl-C, which reaches every process of the terminal's group."""
        assert self.process is not None
        assert self.process.stdout is not None
        os.killpg(self.process.pid, signal.SIGINT)
        self.process.wait(PATIENCE)
        self.process.stdout.close()

    def seats(self) -> list[int]:
        """The processes that have this class's folder in their environment."""
        found = []
        for one in Path("/proc").iterdir():
            try:
                if (
                    one.name.isdigit()
                    and str(self.folder / "seats").encode() in (one / "environ").read_bytes()
                ):
                    found.append(int(one.name))
            except OSError:
                continue
        return found


def _environment(folder: Path) -> dict[str, str]:
    """Without what the tests set for their own process; with a home that whoever runs it has."""
    mine = ("LAB_PROGRESS", "LAB_DATA", "JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "IPYTHONDIR")
    kept = {name: value for name, value in os.environ.items() if name not in mine}
    return {**kept, "OMP_NUM_THREADS": "1", "HOME": str(folder), "PYTHONDONTWRITEBYTECODE": "1"}


@contextmanager
def served(*options: str, python: Path | None = None, user: int | None = None) -> Iterator[Hub]:
    """A hub in a folder that others can go through."""
    folder = Path(tempfile.mkdtemp(prefix="class-"))
    hub_made_users = os.geteuid() == 0 and user is None
    try:
        folder.chmod(0o711)
        if user is not None:
            os.chown(folder, user, user)
        hub = Hub(
            folder / "class", options=options, python=python or Path(sys.executable), user=user
        )
        hub.start()
        try:
            yield hub
        finally:
            hub.close()
    finally:
        for home in (folder / "class" / "seats").glob("p2p-*"):
            if hub_made_users:
                subprocess.run(["userdel", home.name], check=True)
        shutil.rmtree(folder)


@dataclass
class Visitor:
    """Somebody with a browser, but without a screen. user: the seat's name, once signed in."""

    hub: Hub
    name: str
    user: str = ""
    session: requests.Session = field(default_factory=requests.Session)
    _channels: websocket.WebSocket | None = None

    def sign_in(self, password: str = PASSWORD, code: str = "") -> str:
        """What the page says against it; "" for nothing."""
        login = f"{self.hub.home}/hub/login"
        form = self.session.get(login).text
        sent = {"username": self.name, "code": code or self.hub.code, "password": password}
        sent["_xsrf"] = _one(r'name="_xsrf" value="([^"]*)"', form)
        answer = self.session.post(login, data=sent)
        if found := re.search(r'role="alert">([^<]*)<', answer.text):
            return html.unescape(found[1])
        self.user = _one(r"/(p2p-\w+-\d+)", answer.url)
        return ""

    @property
    def seat(self) -> str:
        return f"{self.hub.home}/user/{self.user}"

    def open(self) -> None:
        """Wait for the seat, which signing in has started, and let it know this browser."""
        wait(self._is_open, f"the seat of {self.name} does not open")
        self._channels = None

    def _is_open(self) -> bool:
        time.sleep(0.2)  # a browser asks less often still
        answer = self.session.get(f"{self.seat}/lab/tree/start.md")
        return answer.ok and "/user/" in answer.url

    def get(self, path: str) -> requests.Response:
        return self.session.get(f"{self.seat}{path}")

    def run(self, code: str) -> str:
        """What a cell shows, in the kernel of this visitor's notebook."""
        channels = self._channels = self._channels or self._connected()
        header = {"msg_id": uuid.uuid4().hex, "msg_type": "execute_request", "version": "5.3"}
        header |= {"session": "tests", "username": "tests", "date": ""}
        content = {"code": code, "silent": False, "store_history": True, "allow_stdin": False}
        content |= {"user_expressions": {}, "stop_on_error": True}
        message = {"header": header, "parent_header": {}, "metadata": {}, "content": content}
        channels.send(json.dumps({**message, "channel": "shell", "buffers": []}))
        shown = ""
        while True:
            got = json.loads(channels.recv())
            if "restart" in got["content"].get("execution_state", ""):
                return "the kernel was ended"
            if got["parent_header"].get("msg_id") != header["msg_id"]:
                continue
            content = got["content"]
            shown += content.get("text", "") + content.get("data", {}).get("text/plain", "")
            shown += "\n".join(content.get("traceback", []))
            if content.get("execution_state") == "idle":
                return shown

    def _connected(self) -> websocket.WebSocket:
        wanted = {"path": "01_perceptron.ipynb", "name": "", "type": "notebook"}
        token = _one(r"(.*)", self.session.cookies.get("_xsrf", path=f"/user/{self.user}/") or "")
        made = self.session.post(
            f"{self.seat}/api/sessions",
            json={**wanted, "kernel": {"name": "python3"}},
            headers={"X-XSRFToken": token},
        )
        kernel = made.json()["kernel"]["id"]
        request = requests.Request("GET", f"{self.seat}/api/kernels/{kernel}")
        cookies = self.session.prepare_request(request).headers.get("Cookie")
        return websocket.create_connection(
            f"{self.seat}/api/kernels/{kernel}/channels".replace("http", "ws"),
            cookie=cookies,
            timeout=PATIENCE,
        )


def _one(pattern: str, text: str) -> Any:
    found = re.search(pattern, text)
    assert found, f"{pattern} is not in {text[:2000]}"
    return found[1]
