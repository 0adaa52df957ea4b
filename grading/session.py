"""A kernel in which one submission runs: cells go in, outputs come out, checks ask for values.

What isolates the kernel is the kernel's own affair (`grading.sandbox`); this module speaks to it
by Jupyter's protocol and believes nothing it says: what it sends is counted, and a kernel that does
not answer in time is interrupted, then given up.
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import zmq
from jupyter_client.blocking.client import BlockingKernelClient

from grading.judge import Outcome, SessionLost

MAX_OUTPUT = 10 * 2**20  # bytes that one cell, or one call of a check, may print
GRACE = 3.0  # seconds that an interrupted kernel has to stop

# What a student's cell may put into the instructor's browser: no HTML, no scripts, no widgets.
SAFE_TYPES = ("text/plain", "image/png", "image/jpeg")

_ASK = "__import__('grading.runner').runner.serve({text!r})"


class Kernel(Protocol):
    """A running kernel: a client that is connected to it, and power over its process."""

    client: BlockingKernelClient

    def interrupt(self) -> None: ...

    def alive(self) -> bool: ...

    def reason(self) -> str:
        """Why it ended, naming the limit that it met; empty if it simply died."""
        ...

    def close(self) -> None:
        """End it and everything that it started."""
        ...


@dataclass
class KernelSession:
    """A `grading.judge.Session` over a Jupyter kernel."""

    kernel: Kernel

    def execute(self, source: str, seconds: float) -> Outcome:
        start = time.monotonic()
        client = self.kernel.client
        request = client.execute(source, store_history=True, allow_stdin=False, stop_on_error=False)
        cell = _Cell()
        stopped = self._exchange(request, seconds, cell.take)
        spent = time.monotonic() - start
        if stopped is None:
            return Outcome(cell.status, cell.error, tuple(cell.outputs), spent)
        return Outcome("interrupted", stopped, tuple(cell.outputs), spent)

    def answer(self, request: bytes, seconds: float) -> bytes:
        expression = _ASK.format(text=request.decode("ascii"))
        sent = self.kernel.client.execute(
            "", silent=True, user_expressions={"reply": expression}, allow_stdin=False
        )
        replies: list[dict[str, Any]] = []
        stopped = self._exchange(sent, seconds, replies.append)
        if stopped is not None:
            raise SessionLost(stopped)
        for message in replies:
            if message["msg_type"] == "execute_reply":
                return _reply(message["content"])
        raise SessionLost("The notebook's process did not answer.")

    def close(self) -> None:
        self.kernel.close()

    def _exchange(
        self, request: str, seconds: float, take: Callable[[dict[str, Any]], None]
    ) -> str | None:
        """Take the messages about one request until it is done.

        Returns why it was interrupted, None if it was not. Raises SessionLost.
        """
        deadline, stopped, printed = time.monotonic() + seconds, None, 0
        pending = {"execute_reply", "idle"}
        while pending:
            for message, size in self._messages():
                if message["parent_header"].get("msg_id") != request:
                    continue
                printed += size
                pending -= {message["msg_type"], message["content"].get("execution_state")}
                if printed <= MAX_OUTPUT:
                    take(message)
            if pending and not self.kernel.alive():
                raise SessionLost(self.kernel.reason() or "The notebook's process died.")
            over = _over(seconds, printed, deadline) if pending else None
            if stopped is None and over is not None:
                stopped, deadline = over, time.monotonic() + GRACE
                self.kernel.interrupt()
            elif stopped is not None and time.monotonic() > deadline:
                raise SessionLost(stopped)
        return stopped

    def _messages(self) -> Iterator[tuple[dict[str, Any], int]]:
        """What arrives on the shell and output channels next, and the bytes of output it is."""
        client, poller = self.kernel.client, zmq.Poller()
        for channel in (client.shell_channel, client.iopub_channel):
            poller.register(channel.socket, zmq.POLLIN)
        for socket, _ in poller.poll(200):
            frames = socket.recv_multipart()
            try:
                message = client.session.deserialize(client.session.feed_identities(frames)[1])
            except (ValueError, TypeError, KeyError, RecursionError):
                continue  # not Jupyter's protocol: the student's process may send anything
            printed = socket is client.iopub_channel.socket
            yield message, sum(map(len, frames)) if printed else 0


def _over(seconds: float, printed: int, deadline: float) -> str | None:
    """The limit that is exceeded, in a sentence."""
    if time.monotonic() > deadline:
        return f"It was stopped after {seconds:.3g} seconds, the limit."
    if printed > MAX_OUTPUT:
        return f"It printed more than {MAX_OUTPUT / 2**20:g} MB, the limit."
    return None


class _Cell:
    """Collects the outputs of one cell, in nbformat's form."""

    def __init__(self) -> None:
        self.status, self.error = "ok", ""
        self.outputs: list[dict[str, Any]] = []

    def take(self, message: dict[str, Any]) -> None:
        kind, content = message["msg_type"], message["content"]
        if kind == "stream":
            self._stream(str(content.get("name")), str(content.get("text")))
        elif kind in ("display_data", "execute_result"):
            data = content.get("data")
            self._display(data if isinstance(data, dict) else {})
        elif kind == "error":
            self.status, name = "error", str(content.get("ename"))
            self.error = f"{name}: {content.get('evalue')}"
            trace = content.get("traceback")
            lines = [str(line) for line in trace] if isinstance(trace, list) else []
            self.outputs.append(
                {
                    "output_type": "error",
                    "ename": name,
                    "evalue": str(content.get("evalue")),
                    "traceback": lines,
                }
            )

    def _stream(self, name: str, text: str) -> None:
        name = name if name in ("stdout", "stderr") else "stdout"
        last = self.outputs[-1] if self.outputs else {}
        if last.get("output_type") == "stream" and last["name"] == name:
            last["text"] += text
        else:
            self.outputs.append({"output_type": "stream", "name": name, "text": text})

    def _display(self, data: dict[str, Any]) -> None:
        safe = {key: data[key] for key in SAFE_TYPES if isinstance(data.get(key), str)}
        if safe:
            self.outputs.append({"output_type": "display_data", "data": safe, "metadata": {}})


def _reply(content: dict[str, Any]) -> bytes:
    """The runner's reply out of an execute_reply, which may hold anything."""
    try:
        return content["user_expressions"]["reply"]["data"]["text/plain"].encode("ascii")
    except (KeyError, TypeError, AttributeError, UnicodeEncodeError):
        raise SessionLost("The reply of the notebook's process makes no sense.") from None
