"""Grading many submissions: parallel, resumable, one atomic result file each.

    SUBMISSIONS/<student>/NN_name.ipynb  ->  DIR/<student>/NN_name.json

A result whose key still holds (same notebook, release, checks, secret, isolation, versions) is
kept, so that a run which was killed goes on where it was. It is written against
`concurrent.futures.Executor`: processes of this machine, or Dask's executor for a cluster.
"""

import json
import multiprocessing
import os
import secrets
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import (
    FIRST_COMPLETED,
    BrokenExecutor,
    Executor,
    Future,
    ProcessPoolExecutor,
    wait,
)
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tqdm import tqdm

from grading import exercise, kernels
from grading.course import CourseError, labs_in, select, write_atomically
from grading.grade import Job, grade
from grading.judge import Limits

TRIES = 3  # of a submission whose worker died, as a machine's may; then it is reported, not graded
MakeExecutor = Callable[[], AbstractContextManager[Executor]]


@dataclass
class Tally:
    """How a run went."""

    graded: list[dict[str, Any]]
    kept: list[dict[str, Any]]
    failed: dict[str, str]  # by student: why there is no result


def course_secret(root: Path) -> bytes:
    """The course's secret, from which the seeds of graded inputs are drawn; made on first use."""
    file = root / "course" / "secret"
    if not file.exists():
        file.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(file, secrets.token_hex(32).encode())
        file.chmod(0o600)
    return file.read_bytes()


def jobs(root: Path, lab: str, folder: Path, isolation: str, limits: Limits) -> Iterator[Job]:
    """A job for each submission of `lab` in `folder`, by student. CourseError if there is none."""
    (name,) = select(labs_in(root / "labs", ".ipynb"), lab)
    released = (root / "labs" / f"{name}.ipynb").read_bytes()
    secret, checks = course_secret(root), str(root / "grading" / "checks")
    files = sorted(folder.glob(f"*/{name}.ipynb"))
    if not files:
        raise CourseError(f"There is nothing to grade: no {folder}/<student>/{name}.ipynb.")
    for file in files:
        yield Job(file.parent.name, name, _bytes(file), released, checks, secret, isolation, limits)


def autograde(
    work: Iterable[Job], results: Path, make_executor: MakeExecutor, jobs_at_once: int
) -> Tally:
    """Grade what has no result yet; the results of all. Killed and called again, it goes on."""
    tally, todo = Tally([], [], {}), []
    for job in work:
        found = _kept(result_file(results, job), job.key)
        if found is None:
            todo.append(job)
        else:
            tally.kept.append(found)
    with tqdm(total=len(todo), unit="submission", disable=None) as bar:
        for job, result in _graded(todo, make_executor, jobs_at_once):
            if isinstance(result, dict):
                content = json.dumps(result, indent=1, ensure_ascii=False, allow_nan=False)
                write_atomically(result_file(results, job), content.encode("utf-8", "replace"))
                tally.graded.append(result)
            else:
                tally.failed[job.student] = result
            bar.update()
    return tally


def result_file(results: Path, job: Job) -> Path:
    return results / job.student / f"{job.lab}.json"


def processes(count: int) -> MakeExecutor:
    """An executor of `count` processes on this machine."""
    context = multiprocessing.get_context("spawn")
    return lambda: ProcessPoolExecutor(count, mp_context=context)


def dask(address: str) -> MakeExecutor:
    """An executor on the Dask cluster whose scheduler listens at `address`."""
    from distributed import Client

    def make() -> AbstractContextManager[Executor]:
        try:
            client = Client(address, timeout=20)
        except OSError as error:
            raise CourseError(f"No Dask scheduler answers at {address}: {error}.") from None
        return client.get_executor(pure=False)

    return make


def _graded(
    todo: Sequence[Job], make_executor: MakeExecutor, at_once: int
) -> Iterator[tuple[Job, dict[str, Any] | str]]:
    """Each job with its result, or with why there is none, as they come in."""
    waiting, tries = list(reversed(todo)), Counter[str]()
    while waiting:
        running: dict[Future[dict[str, Any]], Job] = {}
        try:
            with make_executor() as executor:
                while waiting or running:
                    # A bounded number in flight: each job holds its notebook in memory.
                    while waiting and len(running) < 2 * at_once:
                        job = waiting.pop()
                        running[executor.submit(grade, job)] = job
                    for future in wait(running, return_when=FIRST_COMPLETED).done:
                        error = future.exception()
                        if isinstance(error, BrokenExecutor):
                            raise error
                        job = running.pop(future)
                        yield job, future.result() if error is None else _why(error)
        except BrokenExecutor as error:
            # A worker died and took the pool with it: its jobs go into a new one, each with a
            # limited number of tries.
            for job in running.values():
                tries[job.student] += 1
                if tries[job.student] < TRIES:
                    waiting.append(job)
                else:
                    yield job, f"the worker died {TRIES} times while grading it ({error})"


def _why(error: BaseException) -> str:
    """What kept a submission from being graded: a fault of ours or of a machine, never its own."""
    return f"grading it failed with {type(error).__name__}: {error}"


def _kept(file: Path, key: str) -> dict[str, Any] | None:
    """The result that is there, if it is whole and was made from the same inputs."""
    try:
        result = json.loads(file.read_bytes())
    except (OSError, ValueError):
        return None
    return result if isinstance(result, dict) and result.get("key") == key else None


def _bytes(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError:
        return b""  # a link to nowhere, a folder: read as an empty file, which is its verdict


def summary(tally: Tally) -> str:
    """The run as a table: how many got how many points, and how it was isolated."""
    results = [*tally.graded, *tally.kept]
    lines = [f"{len(tally.graded)} graded, {len(tally.kept)} kept from before"]
    for result in sorted(results, key=lambda one: one["student"]):
        status = (
            "" if result["status"] == "graded" else f"   {result['status']}: {result['notes'][0]}"
        )
        score = f"{result['score']:g} of {result['max_score']:g}"
        lines.append(f"  {result['student']:<28} {score:>10}{status}")
    lines += [f"  {student:<28} not graded: {why}" for student, why in tally.failed.items()]
    for isolation, count in Counter(one["isolation"] for one in results).items():
        lines.append(f"isolation of {count}: {isolation}")
    return "\n".join(lines)


def run(
    root: Path,
    lab: str,
    folder: Path,
    results: Path,
    *,
    at_once: int | None,
    scheduler: str | None,
    trust: bool,
) -> int:
    """`python -m grading autograde`; 0 if every submission has a result."""
    isolation = kernels.TRUSTED if trust else kernels.isolation()
    count = at_once or len(os.sched_getaffinity(0))
    exercise.CHECKS = root / "grading" / "checks"
    work = jobs(root, lab, folder, isolation, Limits())
    make = dask(scheduler) if scheduler else processes(count)
    tally = autograde(work, results, make, count)
    print(summary(tally))
    return 1 if tally.failed else 0
