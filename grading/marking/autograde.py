"""`python -m grading autograde`: grade every submission of a lab, and say how it went."""

import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from grading.marking import executors, kernels
from grading.marking.batch import Tally, attention, autograde, not_judged
from grading.marking.handed_in import Pile, handed_in
from grading.marking.job import setting_of
from grading.marking.results import Results

AT_A_TIME = 256  # submissions that a cluster is given, if nobody says how many


def run(
    root: Path,
    lab: str,
    submissions: Path,
    results: Path,
    *,
    jobs: int | None = None,
    scheduler: str | None = None,
    trust: bool = False,
    gpu: bool = False,
    all_cells: bool = False,
) -> int:
    """Grade the submissions of a lab; 0 if each has a result, 130 if it was interrupted.

    Raises CourseError.
    """
    isolation = kernels.TRUSTED if trust else kernels.isolation()
    setting = setting_of(root, lab, isolation, gpu=gpu, all_cells=all_cells)
    if setting.lacks:
        print(setting.lacks)
    pile = handed_in(submissions, setting.lab)
    work = pile.submissions
    if scheduler is not None:
        make, in_flight = partial(executors.dask, scheduler), jobs or AT_A_TIME
    else:
        count = jobs or len(os.sched_getaffinity(0))
        # One more for each process, so that none waits for this one.
        lend = partial(kernels.lend, isolation, gpu, setting.usual_code())
        imports = kernels.large_imports(setting.checks_file.read_text(encoding="utf-8"))
        make = partial(executors.processes, min(count, len(work)), lend, imports)
        in_flight = 2 * count
    store = Results(results, setting.lab, setting.secret)
    try:
        tally = autograde(work, setting, store, make, in_flight)
    except KeyboardInterrupt:
        kept = sum(store.file(one.student).exists() for one in work)
        print(f"\nStopped: {kept} of {len(work)} have a result, which is kept. ", end="")
        print("Give the same command again for the others.")
        return 130
    print("\n".join([*summary(setting.lab, tally), *passed_over(pile)]))
    unjudged = any(not_judged(one) for one in tally.results)
    return 1 if tally.failed or pile.passed_over or unjudged else 0


def passed_over(pile: Pile) -> Iterator[str]:
    """The folders without a submission, and why."""
    if pile.passed_over:
        yield "not graded, as there is no notebook to grade:"
        yield from (f"  {name!a}: {why}" for name, why in pile.passed_over.items())


def summary(lab: str, tally: Tally) -> Iterator[str]:
    """The run in a few lines: the exercises, what wants a look, and the isolation."""
    results = tally.results
    yield f"{lab}: {len(tally.graded)} graded, {len(tally.kept)} kept from before"
    yield from _table(results)
    looks = list(attention(results))
    if looks:
        yield "to look at:"
        yield from (f"  {line}" for line in looks)
    if tally.failed:
        yield "not graded; give the same command again for them:"
        yield from (f"  {', '.join(ones)}: {why}" for why, ones in _by_reason(tally.failed))
    for isolation, count in Counter(one["isolation"] for one in results).items():
        yield f"isolation of {count}: {isolation}"


def _by_reason(failed: Mapping[str, str]) -> Iterable[tuple[str, list[str]]]:
    """Each reason once, with its students: a check that is broken keeps all from being graded."""
    reasons: dict[str, list[str]] = {}
    for student, why in sorted(failed.items()):
        reasons.setdefault(why, []).append(student)
    return reasons.items()


def _table(results: list[dict[str, Any]]) -> Iterator[str]:
    rows: dict[str, list[dict[str, Any]]] = {}
    for result in results:
        for one in [*result["exercises"], {**result, "name": "together"}]:
            rows.setdefault(one["name"], []).append(one)
    if rows:
        yield f"  {'exercise':<24}{'mean':>14}{'full marks':>13}{'no marks':>11}"
    for name, ones in rows.items():
        scores, most = [one["score"] for one in ones], ones[0]["max_score"]
        mean = f"{sum(scores) / len(scores):.2f} of {most:g}"
        full, none = sum(score >= most for score in scores), sum(score == 0 for score in scores)
        yield f"  {name:<24}{mean:>14}{full:>13}{none:>11}"
