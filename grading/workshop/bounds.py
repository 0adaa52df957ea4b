"""How much memory and how many processes a seat may have, by the system's control groups.

As root, a seat's processes stand in a group of their own, in version 2 of control groups or in
version 1. Where the system lends none (in many containers), or without root, each process of a seat
has a limit on its own data instead, and a seat with a user of its own one on its processes.
"""

import os
import resource
import signal
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

_CGROUPS = Path("/sys/fs/cgroup")
# For each version: the folder of a controller, and the file that takes its limit.
_MEMORY = {2: ("", "memory.max"), 1: ("memory", "memory.limit_in_bytes")}
_PROCESSES = {2: ("", "pids.max"), 1: ("pids", "pids.max")}


@dataclass(frozen=True)
class Bounds:
    """memory: bytes; processes: with threads; own_user: whether each seat has a user of its own."""

    memory: int
    processes: int
    own_user: bool

    def sentence(self) -> str:
        """What holds for a seat on this machine."""
        memory, whole = f"{self.memory / 2**30:g} GB", _version() if self.own_user else 0
        if whole:
            return (
                f"A seat has at most {memory} of memory and {self.processes} processes and threads."
            )
        if self.own_user:
            return (
                f"A process in a seat has at most {memory} of memory, but a seat may have many"
                f" processes: up to {self.processes}."
            )
        return (
            f"A process in a seat has at most {memory} of memory, but a seat may have many"
            " processes."
        )

    def enter(self, seat: str) -> Callable[[], None]:
        """What a seat's first process does, still as root, so that the bounds hold for it and for
        all that it starts."""
        if not self.own_user:
            return self._limit_process
        groups = [folder / "cgroup.procs" for folder in self._made(seat)]
        return lambda: _move_into(groups) if groups else self._limit_user()

    def leave(self, seat: str) -> None:
        """End what a seat has left running, and take its groups away."""
        for folder in self._folders(seat) if self.own_user else []:
            with suppress(OSError):  # while one is still ending the group stays, and is used again
                for pid in (folder / "cgroup.procs").read_text().split():
                    with suppress(ProcessLookupError):
                        os.kill(int(pid), signal.SIGKILL)
                folder.rmdir()

    def _made(self, seat: str) -> list[Path]:
        folders = self._folders(seat)
        for folder in folders:
            folder.mkdir(parents=True, exist_ok=True)
        version = _version()
        if version:
            for (controller, file), value in (
                (_MEMORY[version], self.memory),
                (_PROCESSES[version], self.processes),
            ):
                (_CGROUPS / controller / seat / file).write_text(str(value))
        return folders

    def _folders(self, seat: str) -> list[Path]:
        version = _version()
        if not version:
            return []
        return sorted({_CGROUPS / kind[version][0] / seat for kind in (_MEMORY, _PROCESSES)})

    def _limit_user(self) -> None:
        self._limit_process()
        resource.setrlimit(resource.RLIMIT_NPROC, (self.processes, self.processes))

    def _limit_process(self) -> None:
        # Of data, and not of addresses, of which CUDA takes many that it never fills.
        resource.setrlimit(resource.RLIMIT_DATA, (self.memory, self.memory))


def _version() -> int:
    """The version of control groups in which a group can be made here; 0: in none."""
    if not os.access(_CGROUPS, os.W_OK):
        return 0
    with suppress(OSError):
        # What the root has switched on for the groups in it.
        lent = (_CGROUPS / "cgroup.subtree_control").read_text().split()
        return 2 if {"memory", "pids"} <= set(lent) else 0
    controllers = [_CGROUPS / kind[1][0] for kind in (_MEMORY, _PROCESSES)]
    return 1 if all(os.access(one / "cgroup.procs", os.W_OK) for one in controllers) else 0


def _move_into(groups: list[Path]) -> None:
    for file in groups:
        file.write_text(str(os.getpid()))
