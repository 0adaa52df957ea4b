"""Every lab through papermill: solutions for full marks, untouched notebooks for "not done"."""

import hashlib
import os
import re
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import nbformat
import papermill
from nbclient.exceptions import CellTimeoutError, DeadKernelError
from nbformat import NotebookNode
from papermill.clientwrap import PapermillNotebookClient
from papermill.engines import Engine, papermill_engines
from papermill.exceptions import PapermillExecutionError
from traitlets.config import Config

from grading.course.files import CourseError, labs_in, select
from grading.course.release import PointsOf, points_of
from grading.course.source import read
from grading.sandbox.sockets import own_sockets

# Seconds that one notebook may take; at smoke scale one should take under 60 on two idle cores.
TIME_LIMITS = {"smoke": 300.0, "cpu": 1800.0, "gpu": 1800.0, "multi": 3600.0}
_KIT = Path(__file__).parents[2]  # whose `utils` and `grading` a lab imports
_ADDED_BY_PAPERMILL = {"injected-parameters", "papermill-error-cell-tag"}
_LIBRARIES = ("matplotlib", "numpy", "scikit-learn", "torch")
_OF_LABS = {"figures", "checks", "answers"}  # folders that have a module for each lab


@dataclass(frozen=True)
class Execution:
    """What running one notebook gave."""

    seconds: float
    results: dict[str, dict[str, Any] | None]  # check cell -> score, points, status; None: nothing
    headlines: list[str]  # what the cells tagged "headline" printed, by lines
    stderr: str  # of the cells, then of the kernel
    error: str  # one sentence: which cell failed and how; empty where none did

    @property
    def score(self) -> float:
        return sum(result["score"] for result in self.results.values() if result)

    @property
    def points(self) -> float:
        return sum(result["points"] for result in self.results.values() if result)


class _Engine(Engine):
    """papermill's, with a deadline, and the kernel's sockets, environment, folder and stderr."""

    @classmethod
    def execute_managed_notebook(cls, nb_man: Any, kernel_name: str, **kwargs: Any) -> NotebookNode:
        client = PapermillNotebookClient(
            nb_man,
            config=Config(KernelManager=kwargs["sockets"]),
            kernel_name=kernel_name,
            timeout_func=lambda cell: max(kwargs["deadline"] - time.monotonic(), 0.01),
            shutdown_kernel="immediate",
            extra_arguments=["--log-level=ERROR"],  # else it warns of its unencrypted loopback
        )
        return client.execute(**kwargs["kernel"])


papermill_engines.register("lab", _Engine)


def execute(
    notebook: NotebookNode,
    output: Path,
    *,
    scale: str,
    time_limit: float,
    cwd: Path,
    parameters: Mapping[str, Any] | None = None,
    environment: Mapping[str, str] | None = None,
) -> Execution:
    """Run a notebook in a kernel whose working folder is `cwd`; write it, executed, to `output`.

    time_limit: seconds for the whole notebook. environment: variables beside this process's own.
    A cell that fails, hangs or kills its kernel ends the run and is named in the result's `error`.
    """
    output.parent.mkdir(parents=True, exist_ok=True)
    nbformat.write(notebook, output)  # papermill reads its input from a file
    start, failure = time.monotonic(), ""
    bar = {"desc": output.stem, "leave": False, "disable": None}
    with (
        tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as kernel_stderr,
        own_sockets() as sockets,
    ):
        kernel = {"cwd": str(cwd), "env": _environment(environment), "stderr": kernel_stderr}
        try:
            papermill.execute_notebook(
                str(output),
                str(output),
                parameters={"scale": scale, **(parameters or {})},
                engine_name="lab",
                progress_bar=bar,  # type: ignore[arg-type]  # a dict is tqdm's arguments
                kernel=kernel,
                sockets=sockets,
                deadline=start + time_limit,
            )
        except PapermillExecutionError as error:
            failure = f"raised {error.ename}: {error.evalue}".splitlines()[0].rstrip(": ")
        except CellTimeoutError:
            failure = f"was still running when the notebook's {time_limit:g} s were over"
        except DeadKernelError:
            failure = "ended the kernel (out of memory, or an exit)"
        seconds = time.monotonic() - start
        kernel_stderr.seek(0)
        return _execution(output, seconds, failure, kernel_stderr.read())


def execute_all(
    root: Path,
    only: str | None = None,
    scale: str = "smoke",
    again: bool = False,
    points_of: PointsOf = points_of,
) -> int:
    """Execute the labs and print a table of time and points; the exit code, 0 if all went well.

    Every solution must get full marks from all of its lab's checks; every untouched notebook must
    run to its end with each check saying "not done". `only` is a lab's number or name. again: every
    section is run once more after the last, as learners do who go back.
    """
    try:
        labs = select(labs_in(root / "solutions", ".py"), only)
        if not labs:
            raise CourseError("There is no lab to execute.")
        if scale not in TIME_LIMITS:
            raise CourseError(f'There is no scale "{scale}": choose {", ".join(TIME_LIMITS)}.')
    except CourseError as error:
        print(error, file=sys.stderr)
        return 2
    print(f"{'scale ' + scale:<22}{'solution':>19}{'untouched notebook':>31}", flush=True)
    problems = [
        problem for lab in labs for problem in _execute_lab(root, lab, scale, again, points_of)
    ]
    print("The executed notebooks are in build/executed.", flush=True)
    for problem in problems:
        print(problem, file=sys.stderr)
    return 1 if problems else 0


def executed(
    root: Path, lab: str, points_of: PointsOf = points_of, scale: str = "smoke"
) -> NotebookNode:
    """A lab's solution as it ran: as build/executed has it, where nothing that its outputs come
    from has changed since, or else run now.

    Raises CourseError if a cell fails or a check gives less than full marks.
    """
    output = root / "build" / "executed" / f"{lab}.ipynb"
    source = root / "solutions" / f"{lab}.py"
    digest = _digest(source, scale)
    if not _has_run(output, digest):
        done = _execute_aside(read(source, points_of(lab)), output, scale)
        problems = [f"{source.name}: {problem}" for problem in _problems(done, "passed")]
        if problems:
            raise CourseError("\n".join(problems))
        _note(output, digest)
    return nbformat.read(output, as_version=4)


def _digest(source: Path, scale: str) -> str:
    """Of all that a lab's outputs come from: its source, the scale, `utils`, its checks, and the
    libraries that compute and draw.

    What belongs to another lab alone (its figures, its checks) is left out.
    """
    kit, lab = _KIT / "grading", source.stem
    others = {name for one in labs_in(kit / "checks", ".py") for name in (one, one[3:])}
    modules = [
        file
        for folder in (_KIT / "utils", kit / "answer", kit / "checks")
        for file in sorted(folder.rglob("*.py"))
        if file.stem not in others - {lab, lab[3:]} or file.parent.name not in _OF_LABS
    ]
    digest = hashlib.sha256(repr([scale, *map(version, _LIBRARIES)]).encode())
    for file in (source, kit / "check.py", *modules):
        digest.update(file.read_bytes() + b"\0")
    return digest.hexdigest()


def _has_run(output: Path, digest: str) -> bool:
    record = output.with_suffix(".digest")
    return output.exists() and record.exists() and record.read_text("utf-8") == digest


def _note(output: Path, digest: str) -> None:
    """Record from what an executed notebook came, all having gone well."""
    output.with_suffix(".digest").write_text(digest, "utf-8")


def _execute_lab(
    root: Path, lab: str, scale: str, again: bool, points_of: PointsOf
) -> Iterator[str]:
    """Execute one lab both ways and print its row; yields the problems, a sentence each."""
    source, given = root / "solutions" / f"{lab}.py", root / "labs" / f"{lab}.ipynb"
    if not given.exists():
        yield f"labs/{lab}.ipynb is not there: run `make release`."
        return
    try:
        notebooks = [read(source, points_of(lab)), nbformat.read(given, as_version=4)]
    except CourseError as error:
        yield str(error)
        return
    digest = _digest(source, scale)
    for notebook in notebooks if again else ():
        notebook.cells += list(sections_again(notebook))
    solution, untouched = (
        _execute_aside(notebook, root / "build" / "executed" / f"{lab}{kind}.ipynb", scale)
        for notebook, kind in zip(notebooks, ("", ".untouched"), strict=True)
    )
    not_done = sum(_status(result) == "not done" for result in untouched.results.values())
    print(
        f"{lab:<22}{solution.score:>5g} of {solution.points:<3g}{solution.seconds:>6.1f} s"
        f"{not_done:>9} of {len(untouched.results)} not done{untouched.seconds:>8.1f} s"
    )
    print("".join(f"    {line}\n" for line in solution.headlines), end="", flush=True)
    if not again and not any(_problems(solution, "passed")):
        _note(root / "build" / "executed" / f"{lab}.ipynb", digest)
    for name, execution, wanted in (
        (f"solutions/{lab}.py", solution, "passed"),
        (f"labs/{lab}.ipynb", untouched, "not done"),
    ):
        yield from (f"{name}: {problem}" for problem in _problems(execution, wanted))
        if execution.stderr:
            print(f"    {name} wrote to stderr:\n{_indented(execution.stderr)}", flush=True)


def sections_again(notebook: NotebookNode) -> Iterator[NotebookNode]:
    """Copies of the code cells, the last section first: each then finds what all later ones left,
    and a name that a later one gave another meaning is found out."""
    sections: list[list[NotebookNode]] = [[]]
    for cell in notebook.cells:
        if cell.cell_type == "markdown" and re.search("^## ", cell.source, re.MULTILINE):
            sections.append([])
        elif cell.cell_type == "code" and "parameters" not in cell.metadata.get("tags", []):
            sections[-1].append(cell)
    for number, cell in enumerate(cell for section in reversed(sections) for cell in section):
        copied = deepcopy(cell)
        copied.id = f"again-{number}"
        yield copied


def _execute_aside(notebook: NotebookNode, output: Path, scale: str) -> Execution:
    """In an empty folder, and without a trace in the learner's standing."""
    progress = output.with_suffix(".progress.jsonl")
    progress.unlink(missing_ok=True)
    output.with_suffix(".digest").unlink(missing_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        return execute(
            notebook,
            output,
            scale=scale,
            time_limit=TIME_LIMITS[scale],
            cwd=Path(folder),
            environment={"LAB_PROGRESS": str(progress.resolve())},
        )


def _problems(execution: Execution, wanted: str) -> Iterator[str]:
    if execution.error:
        yield execution.error
    if not execution.results:
        yield "no check cell."
    for name, result in execution.results.items():
        if result is None and not execution.error:
            yield f"the check of {name} gave no result."
        elif result is not None and _status(result) != wanted:
            score = f"{result['score']:g} of {result['points']:g} points"
            yield f"the check of {name} says {_status(result)} ({score}), not {wanted}."


def _status(result: dict[str, Any] | None) -> str | None:
    return result["status"] if result else None


def _environment(added: Mapping[str, str] | None) -> dict[str, str]:
    environment = {**os.environ, **(added or {})}
    # Points are read from what a check displays; under nbgrader it answers in nbgrader's way.
    environment.pop("NBGRADER_EXECUTION", None)
    environment["PYDEVD_DISABLE_FILE_VALIDATION"] = "1"  # else Python 3.11 warns at every start
    if environment.get("LAB_DATA"):
        environment["LAB_DATA"] = os.path.abspath(environment["LAB_DATA"])
    return environment


def _execution(output: Path, seconds: float, failure: str, kernel_stderr: str) -> Execution:
    """Read an executed notebook."""
    cells = [
        cell
        for cell in nbformat.read(output, as_version=4).cells
        if not _ADDED_BY_PAPERMILL & set(cell.metadata.get("tags", []))
    ]
    results, headlines, stderr = {}, [], []
    for cell in cells:
        nbgrader, outputs = cell.metadata.get("nbgrader", {}), cell.get("outputs", [])
        if nbgrader.get("grade") and not nbgrader.get("solution"):
            results[nbgrader["grade_id"]] = _result(nbgrader["grade_id"], outputs)
        if "headline" in cell.metadata.get("tags", []):
            headlines += _printed(outputs).splitlines()
        stderr += [each.text for each in outputs if each.get("name") == "stderr"]
    error = f"{_last_begun(cells)} {failure}." if failure else ""
    return Execution(seconds, results, headlines, "".join([*stderr, kernel_stderr]).strip(), error)


def _result(name: str, outputs: list[NotebookNode]) -> dict[str, Any] | None:
    found = [each.get("metadata", {}).get("grading", {}) for each in outputs]
    return next((result for result in found if result.get("exercise") == name), None)


def _printed(outputs: list[NotebookNode]) -> str:
    texts = [
        each.text if each.output_type == "stream" else each.get("data", {}).get("text/plain", "")
        for each in outputs
        if each.get("name") != "stderr"
    ]
    return "\n".join(text.rstrip("\n") for text in texts if text)


def _last_begun(cells: list[NotebookNode]) -> str:
    """Where the run ended: `cell 7 (perceptron_update_code)`."""
    begun = [i for i, cell in enumerate(cells) if cell.metadata.papermill.start_time]
    if not begun:
        return "the kernel's start"
    cell = cells[begun[-1]]
    first = next((line for line in cell.source.splitlines() if line.strip()), "")
    label = cell.metadata.get("nbgrader", {}).get("grade_id") or first[:40]
    return f"cell {begun[-1] + 1} ({label})"


def _indented(text: str, most: int = 12) -> str:
    lines = re.sub(r"\x1b\[[0-9;]*m", "", text).splitlines()
    rest = [f"(and {len(lines) - most} more lines)"] if len(lines) > most else []
    return "\n".join(f"        {line}" for line in lines[:most] + rest)
