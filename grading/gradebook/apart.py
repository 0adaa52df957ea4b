"""Rendering in a process of its own, with limits of time and memory.

What a student wrote may keep a renderer busy for hours, or take all memory. Here it costs that
student the rendering: the text is then shown as it is.
"""

import atexit
import multiprocessing
import resource
from typing import Any

from grading.gradebook import safe

SECONDS = 5.0  # for all of one student's text
_MEMORY = 2 * 2**30  # bytes
_START = 60.0  # seconds that the process has to import what it needs


class Renderer:
    """Makes the text of one student after another harmless, each within its own limits."""

    def __init__(self) -> None:
        self._process: Any = None
        self._connection: Any = None
        self._left = SECONDS
        atexit.register(self.close)

    def next_student(self) -> None:
        self._left = SECONDS

    def markdown(self, source: str, pictures: dict[str, dict[str, str]]) -> str:
        """As `safe.markdown`; verbatim where that met a limit."""
        if self._left <= 0:
            return safe.verbatim(source)
        connection = self._connected()
        try:
            connection.send((source, pictures))
            if connection.poll(self._left):
                seconds, made = connection.recv()
                self._left -= seconds
                return made
        except (EOFError, OSError):  # it died, as of too much memory
            pass
        self._left = 0.0
        self.close()
        return safe.verbatim(source)

    def close(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.join()
            self._process = self._connection = None

    def _connected(self) -> Any:
        if self._connection is None:
            context = multiprocessing.get_context("spawn")
            self._connection, theirs = context.Pipe()
            self._process = context.Process(target=_serve, args=(theirs,), daemon=True)
            self._process.start()
            theirs.close()
            if self._connection.poll(_START):
                self._connection.recv()  # it is ready
        return self._connection


def _serve(connection: Any) -> None:
    import time

    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))
    safe.markdown("*", {})
    connection.send("ready")
    while True:
        try:
            source, pictures = connection.recv()
        except EOFError:
            return
        start = time.monotonic()
        try:
            made = safe.markdown(source, pictures)
        except MemoryError:
            made = safe.verbatim(source)
        connection.send((time.monotonic() - start, made))
