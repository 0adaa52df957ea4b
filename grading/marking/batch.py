"""Grading many submissions: parallel, resumable, one atomic result file each.

    SUBMISSIONS/<student>/NN_name.ipynb  ->  DIR/<student>/NN_name.json

A result whose inputs still hold (same notebook, release, checks, secret, isolation, versions) is
kept, so that a run which was killed goes on where it was. It is written against
`concurrent.futures.Executor`: processes of this machine, or Dask's executor for a cluster.
"""

from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, Executor, Future, wait
from contextlib import AbstractContextManager, closing
from dataclasses import dataclass, field
from itertools import chain, islice
from typing import Any

from tqdm import tqdm

from grading.marking.handed_in import HandedIn
from grading.marking.job import Job, Setting, grade
from grading.marking.results import Results

TRIES = 3  # of a submission whose worker died, as a machine's may; then it is reported, not graded

MakeExecutor = Callable[[], AbstractContextManager[Executor]]

_FAILED = "The cell of this answer failed"
Graded = dict[str, Any] | str  # a result, or why there is none


@dataclass
class Tally:
    """How a run went: results without their long parts, and why some are missing, by student."""

    graded: list[dict[str, Any]] = field(default_factory=list)
    kept: list[dict[str, Any]] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)

    def replace(self, result: dict[str, Any]) -> None:
        """Put a result in the place of the student's earlier one."""
        for ones in (self.graded, self.kept):
            ones[:] = [result if one["student"] == result["student"] else one for one in ones]

    @property
    def results(self) -> list[dict[str, Any]]:
        return sorted([*self.graded, *self.kept], key=lambda one: one["student"])


def autograde(
    submissions: Sequence[HandedIn],
    setting: Setting,
    results: Results,
    make_executor: MakeExecutor,
    in_flight: int,
) -> Tally:
    """Grade what has no result yet. Killed and called again, it goes on.

    in_flight: the most submissions that are given to the executor at a time. Raises CourseError
    where the results cannot be written.
    """
    results.require_writable()
    tally = Tally()
    with tqdm(total=len(submissions), unit="submission", disable=None) as bar:

        def jobs() -> Iterator[Job]:
            for one in submissions:
                job = Job(one.student, one.content(), setting, one.note)
                kept = results.read(one.student)
                if kept is None or kept["inputs"] != job.inputs:
                    yield job
                else:
                    tally.kept.append(_brief(kept))
                    bar.update()

        with closing(_graded(jobs(), make_executor, in_flight)) as outcomes:  # also on an error
            for job, outcome in outcomes:
                if isinstance(outcome, str):
                    tally.failed[job.student] = outcome
                else:
                    results.write(job.student, outcome)
                    tally.graded.append(_brief(outcome))
                bar.update()
    _run_alone(submissions, setting, results, make_executor, tally)
    return tally


def _run_alone(
    submissions: Iterable[HandedIn],
    setting: Setting,
    results: Results,
    make_executor: MakeExecutor,
    tally: Tally,
) -> None:
    """What met a limit of time on an overloaded machine is run again, one at a time, before it
    loses anything: the better counts."""
    starved = {one["student"] for one in tally.results if one["starved"]}
    jobs = (
        Job(one.student, one.content(), setting, one.note)
        for one in submissions
        if one.student in starved
    )
    with closing(_graded(jobs, make_executor, 1)) as outcomes:
        for job, outcome in outcomes:
            first = results.read(job.student)
            if first is None or isinstance(outcome, str):
                continue  # it stays starved: the next run tries again
            better = max(first, outcome, key=lambda one: one["score"])
            note = (
                "It met a limit of time on an overloaded machine, and was run again alone:"
                f" {first['score']:g} points, then {outcome['score']:g}."
            )
            final = {**better, "starved": False, "notes": [*better["notes"], note]}
            results.write(job.student, final)
            tally.replace(_brief(final))


def _brief(result: dict[str, Any]) -> dict[str, Any]:
    """What the summary wants of a result; the rest is long, and in its file."""
    return {key: value for key, value in result.items() if key not in ("cells", "transcripts")}


def _graded(
    jobs: Iterator[Job], make_executor: MakeExecutor, in_flight: int
) -> Generator[tuple[Job, Graded]]:
    """Each job with its outcome, as they come in.

    A worker that dies takes its pool with it: the jobs that were in flight are tried again by
    themselves afterwards, so that one which kills its worker harms no other.
    """
    lost: list[Job] = []
    yield from _in_parallel(jobs, make_executor, in_flight, lost)
    for job in lost:
        for _ in range(TRIES):
            again: list[Job] = []
            yield from _in_parallel(iter([job]), make_executor, 1, again)
            if not again:
                break
        else:
            yield job, f"the worker died {TRIES} times while grading it"


def _in_parallel(
    jobs: Iterator[Job], make_executor: MakeExecutor, in_flight: int, lost: list[Job]
) -> Iterator[tuple[Job, Graded]]:
    """Each job with its outcome, but for those that were in flight when a worker died: `lost`."""
    first = next(jobs, None)
    if first is None:
        return  # without starting workers for nothing
    jobs, more = chain([first], jobs), True
    while more:
        held: dict[str, Job] = {}
        running: dict[Future[dict[str, Any]], Job] = {}
        try:
            with make_executor() as executor:
                while more or running:
                    # A bounded number at a time: each job holds its notebook in memory.
                    for job in islice(jobs, in_flight - len(running)):
                        held[job.student] = job
                        running[executor.submit(grade, job)] = job
                    more = len(running) == in_flight
                    for future in wait(running, return_when=FIRST_COMPLETED).done:
                        error = future.exception()
                        if isinstance(error, BrokenExecutor):
                            raise error
                        job = running.pop(future)
                        del held[job.student]
                        yield job, _checked(job, future.result()) if error is None else _why(error)
        except BrokenExecutor:
            lost += held.values()
            more = True


def _checked(job: Job, result: dict[str, Any]) -> Graded:
    """A result, unless its worker worked with something else than this machine has."""
    if result["inputs"] == job.inputs:
        return result
    return (
        f"its worker has another installation of the course ({result['versions']}) or other checks:"
        " install the same there"
    )


def _why(error: BaseException) -> str:
    """What kept a submission from being graded: a fault of ours or of a machine, never its own."""
    return f"grading it failed: {type(error).__name__}: {error}"


def not_judged(result: dict[str, Any]) -> dict[str, str]:
    """The exercises of a result that a person must judge, and what made their checks fail."""
    rows = [one for one in result["exercises"] if one["status"] == "not judged"]
    return {one["name"]: one["broke"] or "it met its limit of time" for one in rows}


def attention(results: Iterable[dict[str, Any]]) -> Iterator[str]:
    """What the instructor should look at."""
    for result in results:
        if result["status"] == "unreadable":
            yield f"{result['student']}: unreadable: {result['notes'][0]}"
            continue
        for name, broke in not_judged(result).items():
            yield f"{result['student']}: a person must judge {name}; its check broke: {broke}"
        for one in result["exercises"]:
            said = [fault["message"] for fault in one.get("faults", ())]
            yield from (
                f"{result['student']}: {one['name']}: {why}" for why in said if _FAILED in why
            )
        yield from (f"{result['student']}: {note}" for note in result["notes"])
