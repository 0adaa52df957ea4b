"""For tests of the sandbox: what code prints in one, and which processes it has."""

import os
import textwrap
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from queue import Empty

from grading.sandbox import SandboxKernel, launch

PATIENCE = 120.0
REAL_PRELOADED = launch.PRELOADED
Open = Callable[..., SandboxKernel]
Inside = Callable[[str], str]


@dataclass
class Answer:
    text: str
    error: str
    alive: bool

    def ok(self) -> str:
        assert self.alive, "the kernel ended"
        assert not self.error, self.error
        return self.text.strip()


def run(kernel: SandboxKernel, code: str) -> Answer:
    """Run one cell and wait for its end, or the kernel's."""
    request = kernel.client.execute(textwrap.dedent(code))
    text, error, deadline = "", "", time.monotonic() + PATIENCE
    while kernel.alive():
        assert time.monotonic() < deadline
        try:
            message = kernel.client.get_iopub_msg(timeout=0.1)
        except Empty:
            continue
        content = message["content"]
        if message["parent_header"].get("msg_id") == request:
            text += content.get("text", "") + content.get("data", {}).get("text/plain", "")
            if message["msg_type"] == "error":
                error = content["ename"] + ": " + "\n".join(content["traceback"])
            if content.get("execution_state") == "idle":
                return Answer(text, error, True)
    return Answer(text, error, False)


def until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.02)


NAMESPACE = "import os; print(os.readlink('/proc/self/ns/pid'))"


class Namespace:
    """A PID namespace, kept open: its number is not another sandbox's once its processes ended."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._file = os.open(f"/proc/{self.members()[0]}/ns/pid", os.O_RDONLY)

    def members(self) -> list[int]:
        """The processes of this machine that are in it."""
        return [int(entry.name) for entry in Path("/proc").glob("[0-9]*") if self._has(entry)]

    def _has(self, entry: Path) -> bool:
        try:
            return os.readlink(entry / "ns/pid") == self._name
        except (FileNotFoundError, PermissionError):
            return False

    def __enter__(self) -> "Namespace":
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._file)
