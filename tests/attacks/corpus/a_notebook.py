"""Attacks on the notebook's file: its metadata, its cells, what lies beside it or in its place."""

import copy
import json
import os
import shutil
from pathlib import Path
from typing import Any

from tests.attacks import FIND, FOUND, Attack, Notebook, Victim, returning

ONES = returning("1.0")


def graded(notebook: Notebook) -> list[dict[str, Any]]:
    """The check cells."""
    return [cell for cell in notebook["cells"] if cell["metadata"].get("nbgrader", {}).get("grade")]


def skip_execution(notebook: Notebook) -> None:
    for cell in graded(notebook):
        cell["metadata"]["tags"] = ["skip-execution", "otter_ignore"]


def more_points(notebook: Notebook) -> None:
    for cell in graded(notebook):
        cell["metadata"]["nbgrader"]["points"] = 1000


def no_points(notebook: Notebook) -> None:
    for cell in graded(notebook):
        cell["metadata"]["nbgrader"]["points"] = float("nan")


def other_checks(notebook: Notebook) -> None:
    for cell in graded(notebook):
        cell["metadata"]["nbgrader"] |= {"locked": False, "checksum": "0" * 32}
        cell["metadata"] |= {"editable": True, "deletable": True}
        cell["source"] = "pass"


def no_checks(notebook: Notebook) -> None:
    ids = {cell["metadata"]["nbgrader"]["grade_id"] for cell in graded(notebook)}
    notebook["cells"] = [
        cell
        for cell in notebook["cells"]
        if cell["metadata"].get("nbgrader", {}).get("grade_id") not in ids
    ]


def checks_as_text(notebook: Notebook) -> None:
    for cell in graded(notebook):
        cell["cell_type"] = "raw"
        for key in ("outputs", "execution_count"):
            del cell[key]


def easier_twins(notebook: Notebook) -> None:
    """A second cell with each check's id, which nbgrader's deduplication would prefer."""
    for cell in graded(notebook):
        twin = copy.deepcopy(cell)
        twin["id"], twin["source"] = f"{cell['id']}-twin", "None"
        twin["metadata"]["nbgrader"] |= {"locked": False}
        notebook["cells"].append(twin)


def ids_on_answers(notebook: Notebook) -> None:
    """The check's id on a cell that cannot fail, and none on the check."""
    for cell in graded(notebook):
        about = cell["metadata"].pop("nbgrader")
        answer = copy.deepcopy(cell)
        answer["source"], answer["id"] = "", f"{cell['id']}-answer"
        answer["metadata"]["nbgrader"] = about | {"solution": True, "locked": False}
        notebook["cells"].append(answer)


def manually_graded(notebook: Notebook) -> None:
    for cell in graded(notebook):
        cell["metadata"]["nbgrader"] |= {"solution": True, "locked": False, "schema_version": 1}


def other_kernel(notebook: Notebook) -> None:
    argv = ["/bin/sh", "-c", "touch @COURSE@/owned-other_kernel"]
    notebook["metadata"]["kernelspec"] = {
        "name": "evil", "display_name": "evil", "language": "python", "argv": argv,
        "metadata": {"kernel_provisioner": {"provisioner_name": "local-provisioner"}},
    }


def ready_outputs(notebook: Notebook) -> None:
    """Outputs that say full marks, as nbgrader reads them and as this course's check displays."""
    for cell in graded(notebook):
        about = cell["metadata"]["nbgrader"]
        result = {
            "lab": "01_attacked", "exercise": about["grade_id"], "score": about["points"],
            "points": about["points"], "status": "passed",
        }
        text = {"text/plain": str(float(about["points"]))}
        cell["execution_count"] = 1
        cell["outputs"] = [
            {"output_type": "execute_result", "execution_count": 1, "data": text, "metadata": {}},
            {"output_type": "display_data", "data": text, "metadata": {"grading": result}},
        ]


def strange_metadata(notebook: Notebook) -> None:
    """Attachments, widget state and metadata of every kind that some reader might run."""
    notebook["metadata"] |= {
        "widgets": {"application/vnd.jupyter.widget-state+json": {"state": {"x": 1}}},
        "papermill": {"parameters": {"scale": "x"}}, "jupytext": {"text_representation": "x"},
        "lab": {"name": "01_attacked", "release": "../../solutions"}, "language_info": None,
    }
    for cell in notebook["cells"]:
        cell["metadata"] |= {"trusted": True, "tags": "ungraded", "attachments": ["x"]}


def strange_cells(notebook: Notebook) -> None:
    """Cells that are none, with sources and ids of every wrong kind."""
    notebook["cells"] += [
        None, 3, [], {}, {"cell_type": "code"}, {"cell_type": "code", "source": {"a": 1}},
        {"cell_type": "code", "source": ["x = 1\n", 2], "metadata": []},
        {"cell_type": "code", "source": "x = 1", "metadata": {"nbgrader": {"grade_id": [1]}}},
        {"cell_type": ["code"], "source": "x = 1", "id": {"a": 1}, "metadata": {"tags": 7}},
        {"cell_type": "code", "source": "y = 1", "id": ["center"], "metadata": {"nbgrader": 1}},
    ]


def lone_surrogate(notebook: Notebook) -> None:
    """Half a character, which JSON can hold and UTF-8 cannot."""
    notebook["cells"].append(
        {"cell_type": "code", "id": "half", "metadata": {}, "outputs": [], "execution_count": None,
         "source": "text = '\ud800'"}
    )


def many_cells(notebook: Notebook) -> None:
    cell = {"cell_type": "code", "metadata": {}, "outputs": [], "execution_count": None}
    notebook["cells"] += [cell | {"id": f"c{i}", "source": "x = 1"} for i in range(20_000)]


def deep_json(path: Path, _: Victim) -> None:
    path.write_text('{"cells": [' * 200_000)


def long_number(path: Path, _: Victim) -> None:
    notebook = json.loads(path.read_text())
    text = json.dumps(notebook | {"nbformat_minor": "@"}).replace('"@"', "9" * 1_000_000)
    path.write_text(text)


def truncated(path: Path, _: Victim) -> None:
    path.write_bytes(path.read_bytes()[:-40])


def link_to_classmate(path: Path, victim: Victim) -> None:
    path.unlink()
    path.symlink_to(victim.classmate)


def link_to_solution(path: Path, victim: Victim) -> None:
    path.unlink()
    path.symlink_to(victim.solution)


def folder_of_classmate(path: Path, victim: Victim) -> None:
    shutil.rmtree(path.parent)
    path.parent.symlink_to(victim.classmate.parent)


def link_to_zeros(path: Path, _: Victim) -> None:
    path.unlink()
    path.symlink_to("/dev/zero")


def pipe(path: Path, _: Victim) -> None:
    path.unlink()
    os.mkfifo(path)


def huge(path: Path, _: Victim) -> None:
    os.truncate(path, 2**42)  # takes no room on the disk


def folder(path: Path, _: Victim) -> None:
    path.unlink()
    path.mkdir()


UNSAFE = "not run: stock nbgrader would read it without end"

ATTACKS = [
    Attack("skip_execution_tag", "marks",
           "The check cells are tagged skip-execution (and otter_ignore): they never run.",
           tamper=skip_execution, source="otter preprocessor.py"),
    Attack("changed_points", "marks", "The metadata of each check says 1000 points.",
           answers=ONES, tamper=more_points),
    Attack("nan_points", "marks", "The metadata of each check says NaN points.",
           answers=ONES, tamper=no_points),
    Attack("changed_checks", "marks", "The check cells are unlocked and say `pass`.",
           tamper=other_checks),
    Attack("removed_checks", "marks", "The check cells are not there.", tamper=no_checks),
    Attack("checks_as_text", "marks", "The check cells are raw text, which does not run.",
           tamper=checks_as_text),
    Attack("duplicate_grade_ids", "marks",
           "Each check has a later, unlocked twin of the same grade id that cannot fail.",
           tamper=easier_twins),
    Attack("grade_ids_on_answers", "marks",
           "The grade id of each check is on an empty answer cell; the check has none.",
           tamper=ids_on_answers),
    Attack("manually_graded", "marks",
           "The checks pose as manually graded answers in nbgrader's old metadata.",
           tamper=manually_graded),
    Attack("changed_kernel", "escape",
           "The notebook names a kernel of its own, with a command line and a provisioner.",
           tamper=other_kernel),
    Attack("ready_outputs", "marks",
           "The check cells come with outputs that say full marks.", tamper=ready_outputs),
    Attack("strange_metadata", "denial",
           "Metadata of wrong types, tags that are a string, other tools' instructions.",
           tamper=strange_metadata),
    Attack("strange_cells", "denial", "Cells that are numbers, lists, or of no known type.",
           tamper=strange_cells),
    Attack("lone_surrogate", "denial",
           "The source of a cell holds half a character, which cannot be encoded.",
           tamper=lone_surrogate),
    Attack("many_cells", "denial", "20,000 cells.", tamper=many_cells,
           stock="not run: takes long and shows nothing"),
    Attack("deep_json", "denial", "A file of 200,000 nested lists.", replace=deep_json),
    Attack("long_number", "denial", "A number of a million digits in the file's JSON.",
           replace=long_number),
    Attack("truncated_file", "denial", "The file ends too early.", replace=truncated),
    Attack("link_to_classmate", "marks",
           "In the notebook's place there is a symbolic link to a classmate's.",
           replace=link_to_classmate),
    Attack("folder_of_classmate", "marks",
           "In the student's folder's place there is a link to a classmate's.",
           replace=folder_of_classmate),
    Attack("link_to_solution", "marks",
           "In the notebook's place there is a symbolic link to the instructor's.",
           replace=link_to_solution),
    Attack("link_to_zeros", "denial", "In the notebook's place there is a link to /dev/zero.",
           replace=link_to_zeros, stock=UNSAFE),
    Attack("pipe_as_notebook", "denial", "In the notebook's place there is a named pipe.",
           replace=pipe, stock=UNSAFE),
    Attack("huge_file", "denial", "The notebook's file has 4 TB, nearly all of it a hole.",
           replace=huge, stock="not run: stock nbgrader would copy it byte by byte"),
    Attack("folder_as_notebook", "denial", "In the notebook's place there is a folder.",
           replace=folder),
    Attack("shadowing_files", "marks",
           "A numpy.py and a grading package beside the notebook, whose comparisons say yes.",
           files={
               "numpy.py": (
                   "class Yes:\n"
                   "    def __getattr__(self, name):\n        return Yes()\n\n"
                   "    def __call__(self, *args, **kwargs):\n        return Yes()\n\n"
                   "    def __bool__(self):\n        return True\n\n"
                   "    def __iter__(self):\n        return iter((Yes(), Yes()))\n\n"
                   "    def __repr__(self):\n        return '2.0'\n\n"
                   "    __sub__ = __rsub__ = __mul__ = __rmul__ = __matmul__ = __truediv__ = "
                   "__abs__ = __neg__ = __call__\n\n"
                   "    def __float__(self):\n        return 2.0\n\n\n"
                   "def __getattr__(name):\n"
                   "    if name.startswith('__'):\n        raise AttributeError(name)\n"
                   "    return Yes()\n"
               ),
               "grading/__init__.py": "",
               "grading/check.py": "def checks(lab):\n    return lambda name: 2.0\n",
               "grading/answer/runner.py": "def listen():\n    return 'passed'\n",
               "sitecustomize.py": "open('@COURSE@/owned-shadowing_files', 'w').close()\n",
           }),
    Attack("own_file", "reading",
           "A cell reads the notebook that is being graded, hidden tests and all.",
           before=FIND + (
               "\nimport glob\n\nfor path in glob.glob('**/*.ipynb', recursive=True):\n"
               "    find_file(path)\n"
           ),
           answers=FOUND),
]
