"""What a sandbox may use, and the sentence that says so when it is used up."""

from dataclasses import dataclass

KB, MB, GB = 2**10, 2**20, 2**30


@dataclass(frozen=True)
class Limits:
    """The most that one sandbox may use. Sizes in bytes, times in seconds.

    A limit kept by the system makes the student's own call fail, with an error that names it
    (file_size, open_files, disk, processes, and memory for one process). Past any of the others
    the sandbox is ended, and its `stopped_by` says which; a cell is interrupted first. Once
    one was interrupted, a sandbox with as many processes as it may have is ended, too.
    """

    memory: int = 4 * GB  # of all processes together
    processes: int = 256  # threads count too
    disk: int = 512 * MB  # all files in the working folder; as much again in /dev/shm
    file_size: int = 256 * MB
    open_files: int = 1024  # of one process
    output: int = 64 * MB  # everything that the kernel sends
    cpu_seconds: float = 1200  # of all processes together
    cell_seconds: float = 300  # of one cell, while it has a processor or wants none
    idle_seconds: float = 600  # in which a cell waits and nothing computes
    wall_seconds: float = 1800  # from start to end


@dataclass(frozen=True)
class LimitReached:
    """Why a sandbox was ended: the limit's name in Limits, and a sentence for people."""

    limit: str
    message: str


NAMED = {
    "memory": "memory, {amount} for all processes together",
    "processes": "processes and threads, {amount}",
    "disk": "the files of a submission, {amount} in all",
    "file_size": "the size of a file, {amount}",
    "open_files": "open files, {amount}",
    "output": "output, {amount} in all",
    "cpu_seconds": "processor time, {amount} in all",
    "cell_seconds": "the time of one cell, {amount}",
    "idle_seconds": "the time that cells wait without computing, {amount} in all",
    "wall_seconds": "the time of a whole notebook, {amount}",
}


def sentence(limit: str, value: float) -> str:
    """Says that the limit was reached, and what it is."""
    named = NAMED[limit].format(amount=_amount(limit, value))
    return f"The sandbox's limit on {named}, was reached."


def with_starved(seconds: float, starved: float) -> float:
    """A limit of time where the process had no processor for `starved` seconds of it: longer by
    these, and at most four times as long, as whatever looks like hunger may be a trick."""
    return seconds + min(max(starved, 0.0), 3 * seconds)


def reached(limits: Limits, limit: str) -> LimitReached:
    return LimitReached(limit, sentence(limit, getattr(limits, limit)))


def _amount(limit: str, value: float) -> str:
    if limit.endswith("seconds"):
        return f"{value:g} seconds"
    if limit in ("processes", "open_files"):
        return f"{value:g}"
    size, unit = next(((s, u) for s, u in ((GB, "GB"), (MB, "MB")) if value >= s), (KB, "KB"))
    return f"{value / size:.3g} {unit}"
