"""What a sandbox uses, read from outside in its own /proc, which shows its processes and no other.

Memory is what its processes hold for themselves or share among themselves, with their page tables
and the most that their sockets can hold; files and libraries that the system can drop again do not
count. Pages that a fork still shares with its parent are counted once for each at first, and
exactly (which is slower) when that sum is over the limit.
"""

import os
from contextlib import suppress
from dataclasses import dataclass

TICKS = os.sysconf("SC_CLK_TCK")
_SMALLEST_FILE = 4096  # what a file counts at least: an empty one takes memory too
_SOCKET = 2 * 212_992  # what a socket's buffer holds at most (net.core.wmem_max, which is doubled)
_OWN = ("VmPTE", "VmSwap")  # in a process's status: what no other process shares


@dataclass(frozen=True)
class Used:
    memory: int  # bytes
    processes: int  # with threads
    cpu_seconds: float
    waiting: bool  # none of its processes computes, or would if it had a processor
    disk: int  # bytes; the number of files where that is more


class Usage:
    """root: a descriptor of the sandbox's root folder; kept open by the caller."""

    def __init__(self, root: int) -> None:
        folder = os.O_RDONLY | os.O_DIRECTORY
        self._proc = os.open("proc", folder, dir_fd=root)
        self._written = [os.open(each, folder, dir_fd=root) for each in ("sandbox", "dev/shm")]
        self._ticks: dict[tuple[str, str], int] = {}

    def close(self) -> None:
        for descriptor in (self._proc, *self._written):
            os.close(descriptor)

    def read(self, memory_limit: int) -> Used:
        memory, processes, before = self._sockets() * _SOCKET, 0, sum(self._ticks.values())
        states = set[str]()
        pids = [name for name in os.listdir(self._proc) if name.isdigit()]
        for pid in pids:
            with suppress(FileNotFoundError, ProcessLookupError):  # it has just ended
                status = _fields(self._read(f"{pid}/status"))
                memory += sum(status.get(name, 0) for name in ("RssAnon", "RssShmem", *_OWN))
                processes += status["Threads"]
                states.add(self._count_ticks(pid))
        if memory > memory_limit:
            memory = self._sockets() * _SOCKET + self._shared_once(pids)
        ticks = sum(self._ticks.values())
        waiting = ticks == before and not states & {"R", "D"}
        return Used(memory, processes, ticks / TICKS, waiting, self._disk())

    def _count_ticks(self, pid: str) -> str:
        """Note the time of a process; returns its state."""
        # The name, in parentheses, may hold anything; after it, from the state on (proc(5)):
        # 11 and 12 are user and system time, 19 is when it started.
        values = self._read(f"{pid}/stat").rpartition(")")[2].split()
        self._ticks[pid, values[19]] = int(values[11]) + int(values[12])
        return values[0]

    def _shared_once(self, pids: list[str]) -> int:
        memory = 0
        for pid in pids:
            with suppress(FileNotFoundError, ProcessLookupError):
                found = _fields(self._read(f"{pid}/smaps_rollup") + self._read(f"{pid}/status"))
                memory += sum(found.get(name, 0) for name in ("Pss_Anon", "Pss_Shmem", *_OWN))
        return memory

    def _sockets(self) -> int:
        with suppress(FileNotFoundError, ProcessLookupError):  # the sandbox ends
            return int(self._read("1/net/sockstat").split()[2])  # sockets: used N
        return 0

    def _disk(self) -> int:
        most = 0
        for descriptor in self._written:
            found = os.fstatvfs(descriptor)
            used = (found.f_blocks - found.f_bfree) * found.f_frsize
            most = max(most, used, (found.f_files - found.f_ffree) * _SMALLEST_FILE)
        return most

    def _read(self, path: str) -> str:
        with os.fdopen(os.open(path, os.O_RDONLY, dir_fd=self._proc), "rb") as file:
            return file.read().decode(errors="replace")


def _fields(text: str) -> dict[str, int]:
    """The numbers in a file of `Name:  number kB` lines; sizes in bytes."""
    found = {}
    for line in text.splitlines():
        name, _, value = line.partition(":")
        words = value.split()
        if words and words[0].isdigit():
            found[name] = int(words[0]) * (1024 if words[-1] == "kB" else 1)
    return found
