"""Runs the steps, each in a process of its own with a limit of time, until the budget is over."""

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from grading.course.files import CourseError, labs_in
from grading.course.gpu import report
from grading.course.gpu.report import Report, Tried
from grading.course.gpu.steps import LOOK, Step, steps
from utils.device import usable_cores

LEAST = 5.0  # seconds of the budget without which no step is begun: an import takes as long
OVER = "the budget was over"
_LOOK_EVERY = 0.05


def run(
    root: Path,
    minutes: float,
    *,
    scale: str = "",
    only: Sequence[str] = (),
    out: Path | None = None,
) -> int:
    """Try everything within so many minutes and write `out`/report.json and report.md; exit code.

    scale: of the labs; default: gpu where there is one, else smoke. only: steps whose names begin
    with one of these. out: default build/gpu.
    """
    if minutes <= 0:
        raise CourseError("--minutes should be more than 0.")
    deadline = time.monotonic() + 60 * minutes
    trying = Trying(root, out or root / "build" / "gpu", deadline, report.new(root, minutes))
    with _asked_to_stop(trying):
        try:
            chosen = trying.chosen(scale, only)
            trying.all_of(chosen, at_once=max(1, min(4, usable_cores() // 4)))
            trying.report.ended = "by its budget" if trying.short_of_time() else "in time"
        except KeyboardInterrupt:
            trying.report.ended = "by an interrupt"
        finally:
            trying.write()
    print(f"{trying.out / 'report.md'} has the whole report.", flush=True)
    if trying.report.ended == "by an interrupt":
        return 130
    return 1 if trying.report.failed else 0


@dataclass
class _Running:
    step: Step
    tried: Tried
    process: subprocess.Popen[bytes]
    folder: tempfile.TemporaryDirectory[str]
    start: float
    until: float


class Trying:
    """The steps under way, and the report that grows. deadline: by `time.monotonic`."""

    def __init__(self, root: Path, out: Path, deadline: float, report: Report) -> None:
        self.root, self.out, self.deadline, self.report = root, out.resolve(), deadline, report
        self.asked_to_stop = False
        self._running: list[_Running] = []

    def chosen(self, scale: str, only: Sequence[str]) -> list[Step]:
        """Look at the machine, and say which steps are wanted on it; none where that failed.

        Raises CourseError where none has the name that is asked for."""
        self.all_of([LOOK], at_once=1)
        if not self.report.steps[0].figures:
            return []
        looked, minutes = self.report.steps.pop(), self.report.minutes
        self.report.machine = looked.figures
        self.report.scale = scale or ("gpu" if looked.figures["gpus"] else "smoke")
        labs = labs_in(self.root / "solutions", ".py")
        wanted = steps(looked.figures, labs, self.report.scale, 60 * minutes)
        found = [one for one in wanted if not only or one.name.startswith(tuple(only))]
        if not found:
            names = ", ".join(one.name for one in wanted)
            raise CourseError(f"No step begins with {' or '.join(only)}; there are: {names}.")
        return found

    def all_of(self, wanted: Sequence[Step], at_once: int) -> None:
        """at_once: how many that do not measure may run beside each other."""
        waiting = [(step, Tried(step.name, step.kind, "not begun")) for step in wanted]
        self.report.steps += [tried for _, tried in waiting]
        self.report.at_once = at_once
        try:
            while waiting or self._running:
                if self.asked_to_stop:
                    raise KeyboardInterrupt
                while waiting and self._room(waiting[0][0], at_once):
                    self._begin(*waiting.pop(0), at_once)
                for one in list(self._running):
                    self._look_at(one)
                if waiting and not self._running and self._left() < LEAST:
                    break
                time.sleep(_LOOK_EVERY)
        finally:
            for one in list(self._running):
                self._end(one, "interrupted", "")
        for _, tried in waiting:
            tried.cause = OVER

    def write(self) -> None:
        report.write(self.report, self.out)

    def short_of_time(self) -> bool:
        return any(one.cause.startswith(OVER) for one in self.report.steps)

    def _left(self) -> float:
        return self.deadline - time.monotonic()

    def _room(self, step: Step, at_once: int) -> bool:
        if self._left() < LEAST:
            return False
        most = 1 if step.alone or any(one.step.alone for one in self._running) else at_once
        return len(self._running) < most

    def _begin(self, step: Step, tried: Tried, at_once: int) -> None:
        tried.state = "running"
        self.write()
        told, log = self._file(step, "json"), self._file(step, "log")
        told.parent.mkdir(parents=True, exist_ok=True)
        told.unlink(missing_ok=True)
        folder = tempfile.TemporaryDirectory()
        command = [sys.executable, "-m", "grading.course.gpu", step.kind, str(told)]
        with log.open("wb") as words:
            process = subprocess.Popen(
                [*command, json.dumps(step.given)],
                stdin=subprocess.DEVNULL,
                stdout=words,
                stderr=subprocess.STDOUT,
                env=self._environment(1 if step.alone else at_once),
                cwd=folder.name,  # a lab may leave files
                start_new_session=True,
            )
        now = time.monotonic()
        until = now + min(step.limit, self._left())
        self._running.append(_Running(step, tried, process, folder, now, until))

    def _environment(self, at_once: int) -> dict[str, str]:
        path = os.pathsep.join(filter(None, [str(self.root), os.environ.get("PYTHONPATH", "")]))
        own = {"PYTHONPATH": path, "PYTHONUNBUFFERED": "1", "MPLBACKEND": "Agg"}
        own["LAB_PROGRESS"] = str(self.out / "progress.jsonl")
        if at_once > 1:
            own["OMP_NUM_THREADS"] = str(max(1, usable_cores() // at_once))
        return os.environ | own

    def _file(self, step: Step, ending: str) -> Path:
        return self.out / "steps" / f"{step.name.replace(',', '').replace(' ', '_')}.{ending}"

    def _look_at(self, one: _Running) -> None:
        code = one.process.poll()
        if code is not None:
            self._end(one, *_outcome(code))
        elif time.monotonic() >= one.until:
            mine = f"its {one.step.limit:g} s were over"
            self._end(one, "stopped", OVER if self._left() <= 0 else mine)

    def _end(self, one: _Running, state: str, cause: str) -> None:
        """Take a step off the list, with its processes and all that it told."""
        self._running.remove(one)
        with suppress(ProcessLookupError):
            os.killpg(one.process.pid, signal.SIGKILL)
        one.process.wait()
        one.folder.cleanup()
        tried, told = one.tried, _told(self._file(one.step, "json"))
        tried.state, tried.seconds = state, round(time.monotonic() - one.start, 1)
        tried.figures = told.get("figures", {})
        failures = tried.figures.get("failures", [])
        tried.cause = told.get("error") or cause or (failures[0] if failures else "")
        if state == "stopped" and "at" in tried.figures:
            tried.cause += f" at {tried.figures['at']}"
        if state == "done" and failures:
            tried.state = "failed"
        self.write()
        if one.step is not LOOK or state != "done":
            print(report.line(tried), flush=True)


def _outcome(code: int) -> tuple[str, str]:
    """State and cause of a step that ended by itself."""
    if code == 0:
        return "done", ""
    if code < 0:
        return "failed", f"its process was ended by {signal.Signals(-code).name}"
    return "failed", f"its process ended with {code}"


def _told(file: Path) -> dict[str, Any]:
    with suppress(OSError, ValueError):
        return json.loads(file.read_bytes())
    return {}


@contextmanager
def _asked_to_stop(trying: Trying) -> Iterator[None]:
    """Ctrl-C, and a batch system's word that the time is over, are heeded between two looks: never
    while a report is written or a process begun."""

    def stop(number: int, frame: object) -> None:
        trying.asked_to_stop = True

    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
