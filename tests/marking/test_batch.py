"""Grading a class: killed, resumed, out of disk, on dying workers, on a cluster."""

import errno
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from grading import sandbox
from grading.__main__ import main
from grading.course.files import CourseError
from grading.marking import batch, executors, kernels
from grading.marking.autograde import summary
from grading.marking.batch import Tally, autograde
from grading.marking.handed_in import HandedIn, handed_in
from grading.marking.job import Job, Setting, course_secret
from grading.marking.results import Results
from tests.graded_course import CHECKS, LAB, PARTLY, RIGHT, hand_in, make_course, write

TRUST = "--trust-submissions"
SCORES = {"anna": 5.0, "ben": 1.5, "cleo": 0.0}


@pytest.fixture(scope="module")
def course(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A course with three submissions; tests that change it take a copy."""
    root = make_course(tmp_path_factory.mktemp("course"))
    for student, answers in zip(SCORES, (RIGHT, PARTLY, {}), strict=True):
        hand_in(root, student, answers)
    return root


def command(course: Path, results: Path, *more: str) -> list[str]:
    return [
        "autograde",
        "1",
        str(course / "handed_in"),
        "--results",
        str(results),
        "--course",
        str(course),
        *more,
    ]


def results_in(folder: Path) -> dict[str, dict[str, Any]]:
    files = folder.glob(f"*/{LAB}.json")
    return {file.parent.name: json.loads(file.read_bytes()) for file in files}


def kept(folder: Path, setting: Setting) -> Results:
    return Results(folder, LAB, setting.secret)


def scores(results: Mapping[str, Mapping[str, Any]]) -> dict[str, float]:
    return {student: one["score"] for student, one in results.items()}


# Through the command


def test_a_class_is_graded_and_then_kept(
    course: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(command(course, tmp_path, TRUST, "--jobs", "2")) == 0
    found = results_in(tmp_path)
    assert scores(found) == SCORES
    assert {one["isolation"] for one in found.values()} == {kernels.TRUSTED}
    said = capsys.readouterr().out
    assert "3 graded, 0 kept" in said
    assert re.search(r"double +1\.17 of 2 +1 +1\n", said)
    assert re.search(r"together +2\.17 of 5 +1 +1\n", said)
    assert f"isolation of 3: {kernels.TRUSTED}" in said
    written = {file: file.stat().st_mtime_ns for file in tmp_path.rglob("*.json")}
    assert main(command(course, tmp_path, TRUST)) == 0
    assert "0 graded, 3 kept" in capsys.readouterr().out
    assert {file: file.stat().st_mtime_ns for file in tmp_path.rglob("*.json")} == written
    assert main(["report", "1", "--results", str(tmp_path), "--course", str(course)]) == 0


def test_without_a_sandbox_it_says_what_to_do(
    course: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    problem = sandbox.Problem("The sandbox needs bubblewrap: `apt install bubblewrap`.")
    monkeypatch.setattr(sandbox, "probe", lambda: problem)
    assert main(command(course, tmp_path)) == 2
    assert results_in(tmp_path) == {}
    said = capsys.readouterr().err
    assert said.startswith(str(problem))
    assert TRUST in said
    assert said.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("7", "."), 'There is no lab "7"'),
        (("1", "nowhere"), "There is nothing to grade: no nowhere/<student>/01_small.ipynb."),
        (("1", ".", "--scheduler", "tcp://127.0.0.1:9"), "There is nothing to grade"),
    ],
)
def test_wrong_arguments_get_a_sentence(
    course: Path, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], said: str
) -> None:
    options = ["--results", "unused", "--course", str(course), TRUST]
    assert main(["autograde", *arguments, *options]) == 2
    assert said in capsys.readouterr().err


def test_no_scheduler_is_told(
    course: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(executors, "SECONDS", 0.5)
    assert main(command(course, tmp_path, TRUST, "--scheduler", "tcp://127.0.0.1:9")) == 2
    assert "No Dask scheduler answers at tcp://127.0.0.1:9" in capsys.readouterr().err


def test_killed_at_once_it_goes_on_where_it_was(course: Path, tmp_path: Path) -> None:
    """kill -9 as soon as there is a result: its workers end, and no file is half written."""
    run = [sys.executable, "-m", "grading", *command(course, tmp_path, TRUST, "--jobs", "1")]
    first = subprocess.Popen(run, stdout=subprocess.DEVNULL)
    wait_until(lambda: bool(results_in(tmp_path)))
    workers = children(first.pid)
    assert workers
    first.send_signal(signal.SIGKILL)
    first.wait()
    before = {file: file.stat().st_mtime_ns for file in tmp_path.rglob("*.json")}
    wait_until(lambda: not any(Path(f"/proc/{worker}").exists() for worker in workers))
    second = subprocess.run(run, capture_output=True, text=True, check=True)
    assert f"{3 - len(before)} graded, {len(before)} kept" in second.stdout
    assert scores(results_in(tmp_path)) == SCORES
    assert {file: file.stat().st_mtime_ns for file in before} == before
    assert [file.name for file in tmp_path.rglob("*") if file.is_file()] == [f"{LAB}.json"] * 3


def test_interrupted_it_says_what_is_kept(course: Path, tmp_path: Path) -> None:
    run = [sys.executable, "-m", "grading", *command(course, tmp_path, TRUST, "--jobs", "1")]
    first = subprocess.Popen(
        run,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        # A shell's background job, as a run of the tests may be, would ignore it.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    wait_until(lambda: bool(results_in(tmp_path)))
    first.send_signal(signal.SIGINT)
    said, _ = first.communicate(timeout=120)
    assert first.returncode == 130, said
    assert re.search(r"Stopped: [12] of 3 have a result, which is kept. Give the same", said), said
    assert "Traceback" not in said


def children(pid: int) -> list[str]:
    return Path(f"/proc/{pid}/task/{pid}/children").read_text().split()


def wait_until(condition: Callable[[], bool], seconds: float = 120) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come about"
        time.sleep(0.05)


def test_a_submission_that_kills_its_worker_harms_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(batch, "TRIES", 2)
    root = make_course(tmp_path / "course")
    part = '    with part("the word"'
    kills = "    if student['guess'] == 'kill':\n        import os; os._exit(1)\n"
    assert part in CHECKS
    write(root / "grading" / "checks" / f"{LAB}.py", CHECKS.replace(part, kills + part))
    hand_in(root, "anna", {"guess_code": "guess = 'kill'"})
    hand_in(root, "ben", RIGHT)
    hand_in(root, "cleo", RIGHT)
    assert main(command(root, tmp_path / "results", TRUST, "--jobs", "2")) == 1
    assert scores(results_in(tmp_path / "results")) == {"ben": 5, "cleo": 5}
    assert "anna: the worker died 2 times" in capsys.readouterr().out


# With a quick grader


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Grading that runs nothing; who was graded."""
    graded: list[str] = []

    def grade(job: Job) -> dict[str, Any]:
        graded.append(job.student)
        rows = [{"name": "double", "score": 1.0, "max_score": 2.0, "status": "partial"}]
        return {
            "student": job.student,
            "lab": LAB,
            "status": "graded",
            "score": 1.0,
            "max_score": 2.0,
            "notes": [],
            "exercises": rows,
            "isolation": "-",
            "starved": False,
            "versions": {},
            "inputs": job.inputs,
        }

    monkeypatch.setattr(batch, "grade", grade)
    return graded


THREADS = partial(ThreadPoolExecutor, 2)


@pytest.fixture
def setting(course: Path) -> Setting:
    released = (course / "labs" / f"{LAB}.ipynb").read_bytes()
    checks = str(course / "grading" / "checks")
    return Setting(LAB, released, {}, checks, b"secret", kernels.TRUSTED)


@pytest.fixture
def class_of_nine(tmp_path: Path) -> Path:
    for number in range(9):
        write(tmp_path / "nine" / f"student{number}" / f"{LAB}.ipynb", f"{number}")
    return tmp_path / "nine"


def run(folder: Path, setting: Setting, results: Path, make: Any = THREADS) -> Tally:
    return autograde(handed_in(folder, LAB).submissions, setting, kept(results, setting), make, 4)


def test_only_what_changed_is_graded_again(
    class_of_nine: Path, setting: Setting, tmp_path: Path, quick: list[str]
) -> None:
    run(class_of_nine, setting, tmp_path / "results")
    assert len(quick) == 9
    write(class_of_nine / "student3" / f"{LAB}.ipynb", "another")
    tally = run(class_of_nine, setting, tmp_path / "results")
    assert (quick[9:], len(tally.kept)) == (["student3"], 8)
    for other in (
        {"secret": b"other"},
        {"isolation": "x"},
        {"released": b"{}"},
        {"scale": "cpu"},
    ):
        changed = Setting(**{**vars(setting), **other})
        assert run(class_of_nine, changed, tmp_path / "results").kept == []


def test_what_met_a_limit_while_the_machine_was_overloaded_is_run_again_alone(
    class_of_nine: Path,
    setting: Setting,
    tmp_path: Path,
    quick: list[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    usual, hurried = batch.grade, {"student3": 0.0, "student4": 2.0}

    def grade(job: Job) -> dict[str, Any]:
        result = usual(job)
        first = quick.count(job.student) == 1 and job.student in hurried
        return {**result, "starved": first, "score": hurried[job.student] if first else 1.0}

    monkeypatch.setattr(batch, "grade", grade)
    tally = run(class_of_nine, setting, tmp_path / "results")
    assert quick[9:] == ["student3", "student4"]
    assert [one["score"] for one in tally.results][3:5] == [1.0, 2.0]
    assert [one["student"] for one in tally.results if one["notes"]] == list(hurried)
    assert any("student3: It met a limit" in line for line in batch.attention(tally.results))
    assert scores(results_in(tmp_path / "results"))["student4"] == 2.0
    assert run(class_of_nine, setting, tmp_path / "results").graded == []
    assert len(quick) == 11


def test_workers_are_started_only_where_there_is_something_to_grade(
    class_of_nine: Path, setting: Setting, tmp_path: Path, quick: list[str]
) -> None:
    started = list[str]()

    def make() -> Any:
        started.append("workers")
        return THREADS()

    for _ in range(2):
        assert len(run(class_of_nine, setting, tmp_path / "results", make).results) == 9
        assert (started, len(quick)) == (["workers"], 9)


def test_a_damaged_result_is_made_again(
    class_of_nine: Path, setting: Setting, tmp_path: Path, quick: list[str]
) -> None:
    results = tmp_path / "results"
    run(class_of_nine, setting, results)
    write(results / "student1" / f"{LAB}.json", '{"inputs": ')
    write(results / "student2" / f"{LAB}.json", "[]")
    run(class_of_nine, setting, results)
    assert sorted(quick[9:]) == ["student1", "student2"]
    assert len(results_in(results)) == 9


def test_a_full_disk_stops_with_a_sentence_and_loses_nothing(
    class_of_nine: Path,
    setting: Setting,
    tmp_path: Path,
    quick: list[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    written, fsync = [], os.fsync

    def full(handle: int) -> None:
        if len(written) == 4:  # the first tries whether there can be results at all
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        written.append(handle)
        fsync(handle)

    results = tmp_path / "results"
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(CourseError, match=r"No space left on device.*same command"):
            run(class_of_nine, setting, results)
    assert len(results_in(results)) == 3
    assert len([file for file in results.rglob("*") if file.is_file()]) == 3
    assert len(run(class_of_nine, setting, results).kept) == 3
    assert len(results_in(results)) == 9


def test_no_more_than_asked_for_are_in_memory(
    class_of_nine: Path, setting: Setting, tmp_path: Path, quick: list[str]
) -> None:
    most = 0

    class Slow(ThreadPoolExecutor):
        def submit(self, fn: Any, /, *args: Any, **kwargs: Any) -> Any:
            nonlocal most
            most = max(most, 1 + sum(not one.done() for one in given))
            given.append(super().submit(fn, *args, **kwargs))
            return given[-1]

    given: list[Future[Any]] = []
    autograde(
        handed_in(class_of_nine, LAB).submissions,
        setting,
        kept(tmp_path, setting),
        lambda: Slow(1),
        3,
    )
    assert most <= 3


def test_a_pool_that_breaks_again_and_again_costs_only_who_breaks_it(
    class_of_nine: Path, setting: Setting, tmp_path: Path, quick: list[str]
) -> None:
    class Breaking(ThreadPoolExecutor):
        """Ends for good at student4, whatever else is in flight."""

        broken = False

        def submit(self, fn: Any, /, *args: Any, **kwargs: Any) -> Any:
            self.broken = self.broken or args[0].student == "student4"
            if self.broken:
                future: Future[Any] = Future()
                future.set_exception(BrokenProcessPool("a process died"))
                return future
            return super().submit(fn, *args, **kwargs)

    tally = run(class_of_nine, setting, tmp_path / "results", lambda: Breaking(2))
    assert list(tally.failed) == ["student4"]
    assert len(results_in(tmp_path / "results")) == 8


def test_a_worker_with_other_software_gives_no_result(
    class_of_nine: Path, setting: Setting, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def grade(job: Job) -> dict[str, Any]:
        return {"inputs": {**job.inputs, "run": "another"}, "versions": {"torch": "1.0"}}

    monkeypatch.setattr(batch, "grade", grade)
    tally = run(class_of_nine, setting, tmp_path / "results")
    assert len(tally.failed) == 9
    assert "install the same there" in tally.failed["student0"]
    assert results_in(tmp_path / "results") == {}


def test_a_machine_that_gives_no_kernel_is_reported_not_graded(
    class_of_nine: Path, setting: Setting, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def grade(job: Job) -> dict[str, Any]:
        raise kernels.NoSession("no room")

    monkeypatch.setattr(batch, "grade", grade)
    tally = run(class_of_nine, setting, tmp_path / "results")
    assert tally.failed["student0"] == "grading it failed: NoSession: no room"


# What is handed in, and the secret


def test_links_to_what_is_not_the_students_own_are_not_followed(tmp_path: Path) -> None:
    other = write(tmp_path / "other" / LAB / f"{LAB}.ipynb", "another's")
    folder = tmp_path / "handed_in"
    for student in ("file", "folder", "nested", "nowhere", "pipe"):
        (folder / student).mkdir(parents=True)
    (folder / "file" / f"{LAB}.ipynb").symlink_to(other)
    (folder / "folder" / f"{LAB}.ipynb").mkdir()
    (folder / "nested" / LAB).symlink_to(other.parent)
    (folder / "nowhere" / f"{LAB}.ipynb").symlink_to(tmp_path / "nothing")
    os.mkfifo(folder / "pipe" / f"{LAB}.ipynb")
    found = {one.student: one.content() for one in handed_in(folder, LAB).submissions}
    assert found == dict.fromkeys(("file", "folder", "nested", "nowhere", "pipe"), b"")


def test_nbgraders_own_folders_are_found(tmp_path: Path) -> None:
    write(tmp_path / "anna" / LAB / f"{LAB}.ipynb", "nested")
    write(tmp_path / "ben" / f"{LAB}.ipynb", "flat")
    found = {one.student: one.content() for one in handed_in(tmp_path, LAB).submissions}
    assert found == {"anna": b"nested", "ben": b"flat"}


@pytest.mark.parametrize(
    "name",
    [
        "<img src=x>",
        "*",
        "[a]nna",
        "anna ",
        "..foo",
        "=SUM(1)",
        "-rf",
        "a\x9bb",
        "a\u202eb",
        "\udcff",
        "@risk",
        "a" * 150,
        "anna.",
        "a&b",
    ],
)
def test_a_name_that_is_not_fit_costs_nobody_else(tmp_path: Path, name: str) -> None:
    write(tmp_path / "ben" / f"{LAB}.ipynb", "his")
    write(tmp_path / name / f"{LAB}.ipynb", "theirs")
    pile = handed_in(tmp_path, LAB)
    assert [one.student for one in pile.submissions] == ["ben"]
    assert "not fit" in pile.passed_over[name]


@pytest.mark.parametrize(
    "name", ["anna", "夏目 漱石", "O'Brien, J", "a.b_c-d+e@f", "José (2)", "1"]
)
def test_names_of_people_are_fit(tmp_path: Path, name: str) -> None:
    write(tmp_path / name / f"{LAB}.ipynb", "")
    assert [one.student for one in handed_in(tmp_path, LAB).submissions] == [name]


def test_nobody_is_passed_over_in_silence(tmp_path: Path) -> None:
    named = json.dumps({"cells": [], "metadata": {"lab": {"name": LAB}}})
    for place, text in {
        "anna": f"{LAB} (1).ipynb",
        "bea": f"{LAB.upper()}.ipynb",
        "carl": "deep/er/work.ipynb",
    }.items():
        write(tmp_path / place / text, named if place == "carl" else "{}")
    write(tmp_path / "dora" / "a.ipynb", named)
    write(tmp_path / "dora" / "b.ipynb", named)
    write(tmp_path / "emil" / "essay.ipynb", "{}")
    write(tmp_path / "fred" / "notes.txt", "")
    write(tmp_path / "gina" / ".ipynb_checkpoints" / f"{LAB}-checkpoint.ipynb", named)
    write(tmp_path / f"{LAB}.ipynb", named)
    write(tmp_path / ".git" / "config", "")
    (tmp_path / "hugo").mkdir()
    pile = handed_in(tmp_path, LAB)
    notes = {one.student: one.note for one in pile.submissions}
    assert set(notes) == {"anna", "bea", "carl"}
    assert f"There is no {LAB}.ipynb: {LAB} (1).ipynb was graded" in notes["anna"]
    assert set(pile.passed_over) == {"dora", "emil", "fred", "gina", "hugo", f"{LAB}.ipynb"}
    assert "several that may be it: a.ipynb, b.ipynb" in pile.passed_over["dora"]
    assert "none that is it: essay.ipynb" in pile.passed_over["emil"]
    assert "holds no notebook" in pile.passed_over["fred"]
    assert "is empty" in pile.passed_over["hugo"]
    assert "is no folder" in pile.passed_over[f"{LAB}.ipynb"]


def test_a_notebook_that_is_swapped_for_a_link_is_not_followed(tmp_path: Path) -> None:
    own = write(tmp_path / "anna" / f"{LAB}.ipynb", "own")
    secret = write(tmp_path / "ben" / f"{LAB}.ipynb", "secret")
    one = HandedIn("anna", own.parent, own)
    over = threading.Event()

    def swap() -> None:
        while not over.is_set():
            for made in (
                lambda: os.symlink(secret, f"{own}~"),
                lambda: write(Path(f"{own}~"), "own"),
            ):
                made()
                os.replace(f"{own}~", own)

    swapping = threading.Thread(target=swap)
    swapping.start()
    read = {one.content() for _ in range(3000)}
    over.set()
    swapping.join()
    assert read <= {b"own", b""}


def test_a_class_with_a_folder_that_gives_none_says_so_in_the_exit_code(
    course: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    copy = tmp_path / "course"
    shutil.copytree(course, copy)
    (copy / "handed_in" / "dora").mkdir()
    assert main(command(copy, tmp_path / "results", TRUST)) == 1
    said = capsys.readouterr().out
    assert "'dora': it is empty" in said
    assert set(results_in(tmp_path / "results")) == set(SCORES)


# Results that are not this course's own


def test_a_changed_or_anothers_result_is_not_taken(course: Path, tmp_path: Path) -> None:
    assert main(command(course, tmp_path, TRUST)) == 0
    theirs = Results(tmp_path, LAB, course_secret(course))
    file = theirs.file("cleo")
    changed = json.loads(file.read_bytes())
    changed["score"] = changed["exercises"][0]["score"] = 5.0
    file.write_text(json.dumps(changed))
    assert theirs.read("cleo") is None
    assert "was changed" in theirs.refused["cleo"]
    file.write_bytes(theirs.file("anna").read_bytes())
    assert theirs.read("cleo") is None
    assert "that of 'anna'" in theirs.refused["cleo"]
    file.write_text("[" * 100_000)
    assert theirs.read("cleo") is None
    assert "damaged" in theirs.refused["cleo"]
    unsigned = {k: v for k, v in changed.items() if k != "signature"}
    file.write_text(json.dumps(unsigned))
    assert theirs.read("cleo") is None
    assert [one["student"] for one in theirs.all()] == ["anna", "ben"]
    assert main(command(course, tmp_path, TRUST)) == 0
    assert theirs.read("cleo") is not None


def test_results_are_their_owners_only(course: Path, tmp_path: Path) -> None:
    assert main(command(course, tmp_path / "results", TRUST)) == 0
    file = tmp_path / "results" / "anna" / f"{LAB}.json"
    assert file.stat().st_mode & 0o077 == 0
    assert file.parent.stat().st_mode & 0o077 == 0


def test_the_secret_is_made_once_and_is_nobody_elses(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        found = set(pool.map(course_secret, [tmp_path] * 8))
    assert len(found) == 1
    assert len(found.pop()) == 64
    folder = tmp_path / "course"
    assert [file.name for file in folder.iterdir()] == ["secret"]
    assert (folder / "secret").stat().st_mode & 0o077 == 0


# A cluster


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[tuple[str, list[subprocess.Popen[bytes]]]]:
    """A Dask scheduler and two workers, each a process of its own."""
    dask = [sys.executable, "-m", "distributed.cli.dask_scheduler"]
    options = ["--host", "127.0.0.1", "--no-dashboard"]
    file = tmp_path / "scheduler.json"
    started = [start([*dask, *options, "--port", "0", "--scheduler-file", str(file)], tmp_path)]
    try:
        wait_until(file.exists)
        address = json.loads(file.read_text())["address"]
        worker = [
            sys.executable,
            "-m",
            "distributed.cli.dask_worker",
            address,
            *options,
            "--nthreads",
            "1",
            "--local-directory",
            str(tmp_path),
        ]
        started += [start([*worker, "--no-nanny"], tmp_path) for _ in range(2)]
        yield address, started[1:]
    finally:
        for process in started:
            process.kill()
            process.wait()


def start(command: list[str], folder: Path) -> subprocess.Popen[bytes]:
    with open(folder / "dask.log", "ab") as log:
        return subprocess.Popen(command, stdout=log, stderr=log)


def test_a_cluster_grades_the_class_though_a_worker_is_killed(
    tmp_path: Path, cluster: tuple[str, list[subprocess.Popen[bytes]]]
) -> None:
    root, results = make_course(tmp_path / "course"), tmp_path / "results"
    for number in range(6):
        hand_in(root, f"student{number}", RIGHT if number % 2 else PARTLY)
    address, workers = cluster
    run = [sys.executable, "-m", "grading", *command(root, results, TRUST, "--scheduler", address)]
    grading = subprocess.Popen(run, stdout=subprocess.PIPE, text=True)
    wait_until(lambda: bool(results_in(results)))
    workers[0].kill()
    said, _ = grading.communicate(timeout=300)
    assert grading.returncode == 0, said
    expected = {f"student{number}": 5.0 if number % 2 else 1.5 for number in range(6)}
    assert scores(results_in(results)) == expected
    assert "6 graded, 0 kept" in said


def test_what_keeps_several_from_being_graded_is_told_once() -> None:
    why = "grading it failed: ImportError: no such check"
    lines = list(summary(LAB, Tally(failed={"ben": why, "anna": why, "zoe": "the worker died"})))
    assert lines[-2:] == [f"  anna, ben: {why}", "  zoe: the worker died"]
