"""Sends what waits, in the background, in order, again and again until the board has it."""

import sqlite3
import threading
import time

from grading.learner.outbox import Membership, Outbox
from grading.learner.wire import Refused, Unreachable, ask

_LONGEST = 15.0  # seconds between two tries
_UNKNOWN = 401  # the board does not know this token


def deliver(outbox: Outbox) -> None:
    """Send all that waits. Raises Unreachable, and Refused where it is worth trying again."""
    member = outbox.membership()
    if member is None or not member.active:
        return
    if member.state == "asked":
        try:
            admit(outbox, member)
        except Refused as error:
            if error.again:
                raise
            outbox.settle(member, "refused", f"You have not joined the board: {error}")
            return
    while batch := outbox.waiting():
        try:
            events = [event for _, event in batch]
            ask(member.address, "POST", "/api/events", token=member.token, body={"events": events})
        except Refused as error:
            if error.again:
                raise
            if error.status == _UNKNOWN:
                outbox.settle(member, "refused", str(error))
                return
            # Anything else would be refused again, and all that comes behind it would wait.
        outbox.done([number for number, _ in batch])


def admit(outbox: Outbox, member: Membership) -> None:
    """Join at the board. Raises Unreachable and Refused."""
    wanted = {"code": member.code, "name": member.name, "token": member.token}
    ask(member.address, "POST", "/api/join", body=wanted)
    outbox.settle(member, "joined")


class Sender:
    """One thread that delivers. It never prints, never raises, and ends with the kernel."""

    def __init__(self, outbox: Outbox) -> None:
        self.outbox = outbox
        self._wake = threading.Event()
        self._thread: threading.Thread | None = None

    def wake(self) -> None:
        """There is something to send."""
        self._wake.set()
        if self._thread is None or not self._thread.is_alive():
            self._thread = threading.Thread(target=self._run, daemon=True, name="workshop board")
            self._thread.start()

    def _run(self) -> None:
        delay = 0.0
        while True:
            if delay:
                time.sleep(delay)  # a board that is away is not asked at every check
            else:
                self._wake.wait()
            self._wake.clear()
            try:
                deliver(self.outbox)
                delay = 0.0
            except (Unreachable, Refused, sqlite3.Error, OSError):
                delay = min(max(1.0, delay * 2), _LONGEST)
