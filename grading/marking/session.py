"""A kernel in which one submission runs: cells go in, outputs come out, checks ask for values.

What isolates the kernel is the kernel's own affair (`grading.sandbox`); this module speaks to it
by Jupyter's protocol and believes nothing it says: what it sends is counted, a kernel that does
not answer in time is interrupted, then given up, and one that floods is given up.
"""

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Protocol

import zmq
from jupyter_client.blocking.client import BlockingKernelClient

from grading.marking.judge import NoSession, SessionLost
from grading.marking.pictures import image
from grading.marking.verdict import CellOutcome, plain
from grading.sandbox.inside.limits import with_starved

MAX_OUTPUT = 10 * 2**20  # bytes that one cell, or one call of a check, may print
KEPT_OUTPUT = 2**20  # bytes of a cell's output that feedback shows
MAX_MESSAGE = 32 * 2**20  # bytes; a longer one is not even received
GRACE = 3.0  # seconds that an interrupted kernel has to stop
START_SECONDS = 120.0  # that a kernel has to start, and then to import what answers requests
LATE = 5.0  # seconds without a message after half of a request's end: the other will not come

_LISTEN = "__import__('grading.answer.runner').answer.runner.listen()"
# What the student's process can send that is not a message: each is raised by some way to be none.
_NONSENSE = (
    ValueError,
    TypeError,
    KeyError,
    IndexError,
    AttributeError,
    OverflowError,
    RecursionError,
)


class Kernel(Protocol):
    """A running kernel: a client that is connected to it, and power over its process.

    isolation: what keeps it apart, in words; idle_seconds: how long its cells waited while nothing
    in it computed; starved_seconds: how long they would have computed, had there been a processor.
    """

    client: BlockingKernelClient

    @property
    def isolation(self) -> str: ...

    @property
    def idle_seconds(self) -> float: ...

    @property
    def starved_seconds(self) -> float: ...

    def interrupt(self) -> None: ...

    def alive(self) -> bool: ...

    def reason(self) -> str:
        """Why it ended, naming the limit that it met; empty if it simply died."""
        ...

    def close(self) -> None:
        """End it and everything that it started."""
        ...


@dataclass(frozen=True)
class Message:
    """One message of the kernel about one request, by Jupyter's protocol. size: bytes printed."""

    about: str
    kind: str
    content: dict[str, Any]
    size: int


class KernelSession:
    """A `grading.marking.judge.Session` over a Jupyter kernel."""

    def __init__(self, kernel: Kernel) -> None:
        """Raises NoSession, and ends the kernel, where it cannot be asked anything: nothing of the
        student's has run in it yet."""
        self.kernel, self.isolation = kernel, kernel.isolation
        if why := self._listen():
            self.close()
            raise NoSession(f"The kernel takes no requests: {why}")

    def execute(self, source: str, seconds: float) -> CellOutcome:
        start = time.monotonic()
        client = self.kernel.client
        request = client.execute(source, store_history=True, allow_stdin=False, stop_on_error=False)
        cell = _Cell()
        stopped = self._exchange(request, seconds, cell.take)
        spent = round(time.monotonic() - start, 3)
        status, why = ("interrupted", stopped) if stopped else (cell.status, cell.error)
        return CellOutcome(status, plain(why), tuple(cell.outputs()), spent)

    def answer(self, request: bytes, seconds: float) -> bytes:
        client, replies = self.kernel.client, list[Message]()
        message = client.session.msg("judge_request", {"request": request.decode("ascii")})
        client.shell_channel.send(message)
        stopped = self._exchange(
            message["header"]["msg_id"],
            seconds,
            lambda message: replies.append(message) if not message.size else None,
            "judge_reply",
        )
        if stopped:
            raise SessionLost(stopped)
        return _reply(next(one for one in replies if one.kind == "judge_reply").content)

    def _listen(self) -> str:
        """Let the kernel take requests; why it does not, or nothing."""
        sent, taken = (
            self.kernel.client.execute(_LISTEN, silent=True, allow_stdin=False),
            list[Message](),
        )
        try:
            stopped = self._exchange(sent, START_SECONDS, taken.append)
        except SessionLost as lost:
            return str(lost)
        said = next(one.content for one in taken if one.kind == "execute_reply")
        failed = said.get("status") != "ok"
        return stopped or f"{said.get('ename')}: {said.get('evalue')}" * failed

    @property
    def idle_seconds(self) -> float:
        return self.kernel.idle_seconds

    def close(self) -> None:
        self.kernel.close()

    def _exchange(
        self,
        request: str,
        seconds: float,
        take: Callable[[Message], None],
        reply: str = "execute_reply",
    ) -> str:
        """Take the messages about one request until it is done: `reply` came, and "idle".

        Returns why it was interrupted, or nothing. Raises SessionLost.
        """
        start, starved, stopped, printed = time.monotonic(), self.kernel.starved_seconds, "", 0
        heard = time.monotonic()
        pending = {reply, "idle"}
        while pending:
            message = None
            for message in self._messages():
                heard = time.monotonic()
                if message.about == request:
                    printed += message.size
                    pending -= {message.kind, str(message.content.get("execution_state"))}
                    take(message)
                    if _asks_to_exit(message):
                        raise SessionLost("It ended the notebook's process (`exit()` or `quit()`).")
            if printed > MAX_OUTPUT:
                # Whether it is still running by now is chance, so it is as if it had never run.
                raise SessionLost(f"It printed more than {MAX_OUTPUT / 2**20:g} MB, the limit.")
            if pending and message is None and not self.kernel.alive():
                raise SessionLost(self.kernel.reason() or "The notebook's process died.")
            if pending == {reply} and time.monotonic() > heard + LATE:
                raise SessionLost("The notebook's process did not answer.")
            if pending == {"idle"} and time.monotonic() > heard + LATE:
                # ZeroMQ drops the connection at a message that is too long, and what follows it.
                most = f"{MAX_OUTPUT / 2**20:g} MB"
                raise SessionLost(f"It printed more than {most} at once, or closed its output.")
            longest = with_starved(seconds, self.kernel.starved_seconds - starved)
            if pending and time.monotonic() > start + longest:
                if stopped:
                    raise SessionLost(stopped)
                stopped = f"It was stopped after {seconds:.3g} seconds, the limit."
                start = time.monotonic() + GRACE - longest
                self.kernel.interrupt()
        return stopped

    def _messages(self) -> Iterator[Message]:
        """What arrives on the shell and output channels next; may be nothing."""
        client, poller = self.kernel.client, zmq.Poller()
        for channel in (client.shell_channel, client.iopub_channel):
            poller.register(channel.socket, zmq.POLLIN)
        for socket, _ in poller.poll(200):
            frames = socket.recv_multipart()
            printed = socket is client.iopub_channel.socket
            size = sum(map(len, frames)) if printed else 0
            try:
                # The signature proves nothing: the student's process holds the key.
                _, (_, header, parent, _, content, *_) = client.session.feed_identities(frames)
                about, kind = json.loads(parent)["msg_id"], json.loads(header)["msg_type"]
                yield Message(str(about), str(kind), dict(json.loads(content)), size)
            except _NONSENSE:
                continue


def _asks_to_exit(message: Message) -> bool:
    """IPython answers "ok" to exit() and dies a moment later, whatever is being run by then."""
    payload = message.content.get("payload")
    asked = [one.get("source") for one in payload if isinstance(one, dict)] if payload else []
    return message.kind == "execute_reply" and "ask_exit" in asked


def connect(manager: Any) -> BlockingKernelClient:
    """A client of a started kernel that receives no message longer than MAX_MESSAGE."""
    context = zmq.Context()
    context.setsockopt(zmq.MAXMSGSIZE, MAX_MESSAGE)
    client = BlockingKernelClient(context=context)
    client.load_connection_info(manager.get_connection_info())
    client.start_channels(stdin=False, control=False, hb=False)
    return client


def disconnect(client: BlockingKernelClient) -> None:
    """Let go of what `connect` gave."""
    client.stop_channels()
    client.context.destroy(linger=0)


class _Cell:
    """Collects the outputs of one cell, in nbformat's form."""

    def __init__(self) -> None:
        self.status, self.error, self.size = "ok", "", 0
        self.taken: list[dict[str, Any]] = []

    def take(self, message: Message) -> None:
        content = message.content
        if message.kind == "error":
            self.status = "error"
            self.error = f"{content.get('ename')}: {content.get('evalue')}"
        output = _output(message.kind, content)
        if output is not None and self.size <= KEPT_OUTPUT:
            self.size += message.size
            self.taken.append(output if self.size <= KEPT_OUTPUT else _stream("[and more]\n"))

    def outputs(self) -> Iterator[dict[str, Any]]:
        """What was taken, with the pieces of a stream put together."""
        pieces: list[str] = []
        for output, following in pairwise([*self.taken, {}]):
            if output["output_type"] != "stream":
                yield output
                continue
            pieces.append(output["text"])
            if following.get("name") != output["name"]:
                yield _stream("".join(pieces), output["name"])
                pieces.clear()


def _output(kind: str, content: dict[str, Any]) -> dict[str, Any] | None:
    """A message as an output of a notebook, if it is one and harmless in a browser."""
    if kind == "stream":
        name = "stderr" if content.get("name") == "stderr" else "stdout"
        return _stream(str(content.get("text")), name)
    if kind == "error":
        trace = content.get("traceback")
        lines = [str(line) for line in trace] if isinstance(trace, list) else []
        ename, evalue = str(content.get("ename")), str(content.get("evalue"))
        return {"output_type": "error", "ename": ename, "evalue": evalue, "traceback": lines}
    if kind in ("display_data", "execute_result"):
        data = content.get("data")
        data = data if isinstance(data, dict) else {}
        shown = {"text/plain": data["text/plain"]} if type(data.get("text/plain")) is str else {}
        shown |= {key: found for key in ("image/png", "image/jpeg") if (found := image(data, key))}
        return {"output_type": "display_data", "data": shown, "metadata": {}} if shown else None
    return None


def _stream(text: str, name: str = "stdout") -> dict[str, Any]:
    return {"output_type": "stream", "name": name, "text": text}


def _reply(content: dict[str, Any]) -> bytes:
    """The runner's reply out of a judge_reply, which may hold anything."""
    try:
        return content["reply"].encode("ascii")
    except (KeyError, TypeError, AttributeError, UnicodeEncodeError):
        raise SessionLost("The reply of the notebook's process makes no sense.") from None
