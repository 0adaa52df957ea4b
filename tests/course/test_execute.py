"""Labs through papermill: full marks, "not done", and everything that can go wrong on the way."""

import shutil
from pathlib import Path

import nbformat
import pytest

from grading.course import execute as executing
from grading.course.execute import Execution, execute, execute_all, executed
from grading.course.files import CourseError
from grading.course.release import release
from grading.course.source import read
from tests.tiny_course import LAB, SOURCE, points_of, write_source

Say = pytest.CaptureFixture[str]


def run(root: Path, source: str = SOURCE, time_limit: float = 60, **options: object) -> Execution:
    """Execute a source's notebook, solutions in."""
    notebook = read(write_source(root, source))
    return execute(
        notebook,
        root / "executed.ipynb",
        scale="smoke",
        time_limit=time_limit,
        cwd=root,
        **options,  # type: ignore[arg-type]
    )


@pytest.fixture(scope="session")
def released(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("released")
    write_source(root)
    release(root, None, points_of)
    return root


@pytest.fixture
def course(released: Path, tmp_path: Path) -> Path:
    return shutil.copytree(released, tmp_path / "course")


def test_a_right_solution_gets_its_points_and_headlines(tmp_path: Path) -> None:
    done = run(tmp_path)
    assert done.error == done.stderr == ""
    assert (done.score, done.points) == (3, 3)
    assert set(done.results) == {"double", "guess"}  # `why` is graded by a person
    assert done.headlines == ["scale smoke"]
    assert done.seconds > 0
    executed = nbformat.read(tmp_path / "executed.ipynb", as_version=4)
    assert any(cell.get("outputs") for cell in executed.cells)


def test_a_cell_that_raises_is_named_and_the_points_before_it_stand(tmp_path: Path) -> None:
    failed = run(tmp_path, SOURCE.replace("knob = 3", "knob = 3\nknob / 0"))
    assert failed.error == "cell 7 (knob = 3) raised ZeroDivisionError: division by zero."
    assert failed.results["guess"] is None
    assert failed.score == 2


def test_a_cell_that_hangs_is_named_with_the_limit(tmp_path: Path) -> None:
    source = SOURCE.replace("knob = 3", "import time\nwhile True: time.sleep(0.1)")
    hung = run(tmp_path, source, time_limit=8)
    assert hung.error == (
        "cell 7 (import time) was still running when the notebook's 8 s were over."
    )
    assert hung.seconds < 60
    assert hung.score == 2


def test_the_limit_is_for_the_whole_notebook(tmp_path: Path) -> None:
    slow = SOURCE.replace("knob = 3", "import time\ntime.sleep(6)")
    slow = slow.replace('print("scale", scale)', "time.sleep(7)  # the second")
    assert run(tmp_path, slow, time_limit=11).error.startswith("cell 8 (time.sleep(7)")


def test_the_kernel_s_sockets_are_no_ports_that_another_process_could_take(tmp_path: Path) -> None:
    transport = "import ipykernel, json\njson.loads(ipykernel.get_connection_info())['transport']"
    assert run(tmp_path, SOURCE.replace('print("scale", scale)', transport)).headlines == ["'ipc'"]


def test_a_dead_kernel_is_named(tmp_path: Path) -> None:
    dead = run(tmp_path, SOURCE.replace("knob = 3", "import os; os._exit(3)"))
    assert (
        dead.error
        == "cell 7 (import os; os._exit(3)) ended the kernel (out of memory, or an exit)."
    )


def test_stderr_of_cells_and_of_the_kernel_is_kept(tmp_path: Path) -> None:
    source = SOURCE.replace(
        "knob = 3",
        "import os, sys\nprint('from a cell', file=sys.stderr)\n"
        "os.write(sys.__stderr__.fileno(), b'from the kernel\\n')",
    )
    noisy = run(tmp_path, source)
    assert "from a cell" in noisy.stderr
    assert "from the kernel" in noisy.stderr
    assert noisy.score == 3


def test_the_kernel_has_its_folder_environment_and_parameters(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NBGRADER_EXECUTION", "autograde")
    monkeypatch.setenv("LAB_DATA", "some/where")
    ask = "import os\nprint(os.getcwd())\nprint(size, [os.environ.get(n) for n in NAMES])"
    source = SOURCE.replace('print("scale", scale)', ask).replace(
        'scale = ""', 'scale = ""\nsize = 1'
    )
    names = 'NAMES = ["LAB_PROGRESS", "NBGRADER_EXECUTION", "LAB_DATA"]'
    seen = run(
        tmp_path,
        source.replace("knob = 3", names),
        parameters={"size": 7},
        environment={"LAB_PROGRESS": "x"},
    )
    data = str(Path("some/where").absolute())
    assert seen.headlines == [str(tmp_path), f"7 {['x', None, data]}"]


def test_all_is_well(course: Path, capsys: Say) -> None:
    assert execute_all(course, points_of=points_of) == 0
    out, err = capsys.readouterr()
    assert "3 of 3" in out
    assert "2 of 2 not done" in out
    assert "    scale smoke\n" in out
    assert err == ""
    names = sorted(path.name for path in (course / "build" / "executed").glob("*.ipynb"))
    assert names == [f"{LAB}.ipynb", f"{LAB}.untouched.ipynb"]


def test_a_solution_that_loses_a_point_fails(course: Path, capsys: Say) -> None:
    write_source(course, SOURCE.replace("return x + x", "return x + 1"))
    assert execute_all(course, "1", points_of=points_of) == 1
    assert (
        "solutions/01_tiny.py: the check of double says failed (0 of 2 points), not passed."
        in capsys.readouterr().err
    )


def test_an_untouched_notebook_that_breaks_or_scores_fails(course: Path, capsys: Say) -> None:
    notebook = course / "labs" / f"{LAB}.ipynb"
    text = notebook.read_text()
    given = text.replace(r"guess = None", r"guess = \"yes\"").replace("knob = 3", "double(3)")
    notebook.write_text(given)
    assert execute_all(course, points_of=points_of) == 1
    err = capsys.readouterr().err
    assert (
        "labs/01_tiny.ipynb: cell 7 (double(3)) raised NotImplementedError: your code here." in err
    )
    notebook.write_text(given.replace("double(3)", "knob = 3"))
    assert execute_all(course, points_of=points_of) == 1
    assert (
        "the check of guess says passed (1 of 1 points), not not done." in capsys.readouterr().err
    )


def test_a_section_that_a_later_one_breaks_is_found_out(course: Path, capsys: Say) -> None:
    source = SOURCE.replace(
        "# ## Doubling", "# ## Halving\n\n# %%\n1 / knob\n\n# %% [markdown]\n# ## On"
    )
    source = source.replace("# %%\nfrom IPython", "# %%\nknob = 1\n\n# %%\nfrom IPython")
    write_source(course, source)
    release(course, None, points_of)
    assert execute_all(course, again=True, points_of=points_of) == 0
    write_source(course, source.replace("knob = 3", "knob = 0"))
    release(course, None, points_of)
    assert execute_all(course, points_of=points_of) == 0
    assert execute_all(course, again=True, points_of=points_of) == 1
    err = capsys.readouterr().err
    assert "(1 / knob) raised ZeroDivisionError" in err


def test_a_check_without_a_result_fails(course: Path, capsys: Say) -> None:
    write_source(course, SOURCE.replace("    display({", "    dict({"))
    assert execute_all(course, points_of=points_of) == 1
    assert "solutions/01_tiny.py: the check of double gave no result." in capsys.readouterr().err


def test_what_cannot_be_executed_is_one_sentence(course: Path, capsys: Say) -> None:
    assert execute_all(course, "99", points_of=points_of) == 2
    assert capsys.readouterr().err == 'There is no lab "99": the labs are 01_tiny.\n'
    assert execute_all(course, scale="huge", points_of=points_of) == 2
    assert capsys.readouterr().err.startswith('There is no scale "huge": choose smoke,')
    write_source(course, SOURCE.replace("    ### END SOLUTION\n", ""))
    assert execute_all(course, points_of=points_of) == 1
    assert "unclosed solution region" in capsys.readouterr().err
    (course / "labs" / f"{LAB}.ipynb").unlink()
    assert execute_all(course, points_of=points_of) == 1
    assert capsys.readouterr().err == "labs/01_tiny.ipynb is not there: run `make release`.\n"


def test_executing_nothing_is_a_failure(tmp_path: Path, capsys: Say) -> None:
    assert execute_all(tmp_path) == 2
    assert capsys.readouterr().err == "There is no lab to execute.\n"


def test_every_scale_has_a_limit() -> None:
    assert set(executing.TIME_LIMITS) == {"smoke", "cpu", "gpu", "multi"}


def test_what_has_run_is_run_again_only_after_a_change(course: Path, tmp_path: Path) -> None:
    runs = tmp_path / "runs"
    counted = SOURCE.replace("knob = 3", f"print('x', file=open({str(runs)!r}, 'a'))")
    write_source(course, counted)
    for source, times in ((counted, 1), (counted, 1), (f"{counted}# changed\n", 2)):
        write_source(course, source)
        cells = executed(course, LAB, points_of).cells
        assert any(cell.get("outputs") for cell in cells)
        assert len(runs.read_text().split()) == times
    release(course, None, points_of)
    assert execute_all(course, points_of=points_of) == 0  # the solution and the untouched lab
    executed(course, LAB, points_of)
    assert len(runs.read_text().split()) == 4


def test_a_lab_that_fails_is_not_taken_for_one_that_has_run(course: Path) -> None:
    write_source(course, SOURCE.replace("return x + x", "return x + 1"))
    for _ in range(2):
        with pytest.raises(CourseError, match=r"01_tiny\.py: the check of double says failed"):
            executed(course, LAB, points_of)
