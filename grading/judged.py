"""Our judge inside `nbgrader autograde`: a subclass of nbgrader's Execute.

nbgrader sanitises the submission as always and then calls this in place of its own Execute. It runs
the notebook and judges it (`grading.grade`), or takes a result that `python -m grading autograde`
made, and writes each verdict into its check cell as the outputs from which nbgrader reads marks: no
more than a display for full marks, a number for partial credit, an error for none. SaveAutoGrades,
late penalties, feedback, formgrader and exports go on from there, unchanged.
"""

import json
from pathlib import Path
from typing import Any

import nbformat
from nbformat import NotebookNode
from nbformat.v4 import new_output
from nbgrader.preprocessors import Execute
from traitlets import Unicode

from grading import exercise, kernels
from grading.batch import course_secret
from grading.grade import Job, grade
from grading.judge import Limits


class Judged(Execute):
    """Runs a submission in the sandbox and fills in what the judge says of it."""

    root = Unicode(
        str(Path(__file__).parents[1]), help="The course: the folder with labs/ and grading/."
    ).tag(config=True)
    results = Unicode(
        "", help="A folder of results of `python -m grading autograde` to take marks from."
    ).tag(config=True)
    isolation = Unicode("", help="How to isolate; empty: the sandbox.").tag(config=True)

    def preprocess(
        self, nb: NotebookNode, resources: dict[str, Any], retries: int | None = None
    ) -> tuple[NotebookNode, dict[str, Any]]:
        about = resources["nbgrader"]
        result = self._result(nb, about["student"], about["notebook"])
        verdicts = {one["name"]: one for one in result["exercises"]}
        for index, cell in enumerate(nb.cells):
            if cell.cell_type != "code":
                continue
            name = cell.metadata.get("nbgrader", {}).get("grade_id")
            if name in verdicts:
                cell.outputs = outputs(verdicts[name])
            else:
                ran = result["cells"].get(str(index), {})
                cell.outputs = [nbformat.from_dict(one) for one in ran.get("outputs", [])]
        return nb, resources

    def _result(self, nb: NotebookNode, student: str, lab: str) -> dict[str, Any]:
        if self.results:
            file = Path(self.results) / student / f"{lab}.json"
            return json.loads(file.read_bytes())
        root = Path(self.root)
        job = Job(
            student,
            lab,
            nbformat.writes(nb).encode(),
            (root / "labs" / f"{lab}.ipynb").read_bytes(),
            str(exercise.CHECKS),
            course_secret(root),
            self.isolation or kernels.isolation(),
            Limits(),
        )
        return grade(job)


def outputs(verdict: dict[str, Any]) -> list[NotebookNode]:
    """The outputs of a check cell from which nbgrader reads the verdict's score."""
    score, of, message = verdict["score"], verdict["max_score"], verdict["message"]
    title = f"{verdict['name']}: {score:g} of {of:g} points"
    text = "\n".join(filter(None, [title, message]))
    shown = new_output("display_data", {"text/plain": text})
    if score >= of:
        return [shown]
    if score > 0:
        return [
            shown,
            new_output("execute_result", {"text/plain": f"{score!r}"}, execution_count=1),
        ]
    return [new_output("error", ename="NoPoints", evalue=title, traceback=[text])]
