"""What a command costs: its time, the time of its processes on the CPUs, and their memory."""

import os
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from resource import RUSAGE_CHILDREN, getrusage

SAMPLE_SECONDS = 0.25


@dataclass
class Cost:
    """What one command took. done: when each of its results was there, in seconds."""

    seconds: float = 0.0
    done: list[float] = field(default_factory=list)
    cpu_seconds: float = 0.0
    peak: int = 0  # bytes, of all its processes together
    hidden: bool = False  # whether the memory of some processes could not be read


def measure(
    command: list[str], folder: Path, group: "ControlGroup | None", results: Path, pattern: str
) -> Cost:
    """Run a command in a folder and watch its processes.

    results, pattern: the files that it writes, one for each result. Raises SystemExit if it fails.
    """
    cost, ended = Cost(), threading.Event()
    before, began = cpu_seconds(group), time.time()
    joined = [*group.joined, *command] if group else command
    with (
        tempfile.TemporaryFile("w+") as log,
        subprocess.Popen(joined, cwd=folder, stdout=log, stderr=log) as process,
    ):
        watch = threading.Thread(target=watch_memory, args=(process.pid, cost, ended))
        watch.start()
        process.wait()
        cost.seconds = time.time() - began
        ended.set()
        watch.join()
        if process.returncode != 0:
            log.seek(0)
            raise SystemExit(f"{' '.join(command)} failed:\n{log.read()}")
    cost.done = sorted(file.stat().st_mtime - began for file in results.glob(pattern))
    cost.cpu_seconds = cpu_seconds(group) - before
    return cost


@dataclass
class ControlGroup:
    """A control group of the benchmark's own, which counts the time of all that ever ran in it.

    usage: its file that counts, whose first number is the time; unit: of that, in seconds.
    """

    folder: Path
    usage: str
    unit: float

    @property
    def joined(self) -> list[str]:
        """What goes before a command to run it in the group."""
        return ["sh", "-c", 'echo $$ > "$0" && exec "$@"', str(self.folder / "cgroup.procs")]

    def seconds(self) -> float:
        words = (self.folder / self.usage).read_text().split()
        return self.unit * next(int(word) for word in words if word.isdigit())


@contextmanager
def control_group() -> Iterator[ControlGroup | None]:
    """A new control group, of version 1 or 2; None where this user may make none."""
    groups = [line.split(":", 2) for line in Path("/proc/self/cgroup").read_text().splitlines()]
    for _, controllers, path in groups:
        version_1 = "cpuacct" in controllers.split(",")
        if controllers and not version_1:
            continue
        parent = Path("/sys/fs/cgroup", "cpuacct" if version_1 else "", path.lstrip("/"))
        folder = parent / f"benchmark-{os.getpid()}"
        usage = ("cpuacct.usage", 1e-9) if version_1 else ("cpu.stat", 1e-6)
        with suppress(OSError):
            if (parent / "cgroup.procs").exists():
                folder.mkdir()
                break
    else:
        yield None
        return
    try:
        yield ControlGroup(folder, *usage)
    finally:
        while (folder / "cgroup.procs").read_text():  # what was killed takes a moment to end
            time.sleep(0.1)
        folder.rmdir()


def cpu_seconds(group: ControlGroup | None) -> float:
    if group:
        return group.seconds()
    used = getrusage(RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def watch_memory(pid: int, cost: Cost, ended: threading.Event) -> None:
    """Note the most memory that a process and its descendants have at a time (PSS)."""
    while not ended.wait(SAMPLE_SECONDS):
        total = 0
        for each in family(pid):
            try:
                rollup = Path(f"/proc/{each}/smaps_rollup").read_text()
                total += int(rollup.partition("\nPss:")[2].split()[0]) * 1024
            except PermissionError:
                cost.hidden = True
            except (OSError, IndexError):
                pass  # it has just ended
        cost.peak = max(cost.peak, total)


def family(pid: int) -> list[int]:
    """A process and its descendants."""
    children: dict[int, list[int]] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):  # it has just ended
            parent = int(stat.read_text().rpartition(")")[2].split()[1])
            children.setdefault(parent, []).append(int(stat.parent.name))
    found = [pid]
    for each in found:
        found += children.get(each, [])
    return found
