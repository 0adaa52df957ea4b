"""Our judge inside `nbgrader autograde`: a subclass of nbgrader's Execute, in its place.

nbgrader sanitises the submission as always and then calls this. It runs the notebook and judges it
(`grading.marking.job`), or takes a result that `python -m grading autograde` made, and writes each
verdict into its check cell as the outputs from which nbgrader reads marks: no more than a display
for full marks, a number for partial credit, an error for none. SaveAutoGrades, late penalties,
feedback, formgrader and exports go on from there, unchanged.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import nbformat
from nbformat import NotebookNode
from nbformat.v4 import new_output
from nbgrader.preprocessors import Execute
from traitlets import Bool, Unicode

from grading.answer.render import points
from grading.answer.say import say, speaking
from grading.course.files import CourseError
from grading.course.languages.entries import translated
from grading.course.languages.speech import speech
from grading.gradebook import safe
from grading.gradebook.apart import Renderer
from grading.marking import kernels, pictures
from grading.marking.job import Job, course_secret, grade, setting_of
from grading.marking.results import Results

_renderer = Renderer()


class SandboxedExecute(Execute):
    """Runs a submission in the sandbox and fills in what the judge says of it."""

    root: Any = Unicode(
        str(Path(__file__).parents[2]), help="The folder with labs/ and grading/checks/."
    ).tag(config=True)
    results: Any = Unicode(
        "", help="A folder of results of `python -m grading autograde` to take marks from."
    ).tag(config=True)
    all_cells: Any = Bool(False, help="Run those cells, too, that no answer stands on.").tag(
        config=True
    )
    trust_submissions: Any = Bool(False, help="Run them without any protection.").tag(config=True)

    def preprocess(
        self, nb: NotebookNode, resources: Any = None, km: object = None
    ) -> tuple[NotebookNode, Any]:
        about = resources["nbgrader"]
        root, lab = Path(self.root), about["notebook"]
        result = self._result(nb, about["student"], lab)
        files = {"": root / "labs" / f"{lab}.ipynb", **translated(root, lab)}
        released = {one: nbformat.read(file, as_version=4) for one, file in files.items()}
        language = result.get("language", "")
        with speaking(speech(root, language, lab)):
            fill_in(nb, result, released)
        return nb, resources

    def _result(self, nb: NotebookNode, student: str, lab: str) -> dict[str, Any]:
        if self.results:
            kept = Results(Path(self.results), lab, course_secret(Path(self.root)))
            result = kept.read(student)
            if result is None:
                why = kept.refused.get(
                    student, "it has no result: run `python -m grading autograde`"
                )
                raise CourseError(f"{student}: {why}.")
            return result
        isolation = kernels.TRUSTED if self.trust_submissions else kernels.isolation()
        setting = setting_of(Path(self.root), lab, isolation, all_cells=self.all_cells)
        if setting.lacks:
            self.log.warning(setting.lacks)
        return grade(Job(student, nbformat.writes(nb).encode(), setting))


def fill_in(
    nb: NotebookNode, result: Mapping[str, Any], released: Mapping[str, NotebookNode]
) -> None:
    """Put a result into its notebook, and make the notebook harmless in a browser.

    released: the lab as it was released, by language.
    """
    _renderer.next_student()
    verdicts = {one["name"]: one for one in result["exercises"]}
    own = {cell.source for one in released.values() for cell in one.cells}
    nb.metadata = released.get(result.get("language", ""), released[""]).metadata
    for index, cell in enumerate(nb.cells):
        cell.id = f"cell-{index}"
        if cell.cell_type == "code":
            cell.execution_count = None
            if cell.source not in own:
                cell.source = safe.code(cell.source)
            about = cell.metadata.get("nbgrader", {})
            name, ran = about.get("grade_id"), result["cells"].get(str(index))
            if about.get("grade") and not about.get("solution") and name not in verdicts:
                # nbgrader would give full marks to a check cell without outputs.
                message = f"The result says nothing of {name}: grade the submission again."
                raise CourseError(message)
            if name in verdicts:
                cell.outputs = marks(verdicts[name])
            else:
                cell.outputs = _shown(ran) if ran or not cell.source.strip() else [_not_run()]
            continue
        shown = pictures.attachments(cell.get("attachments", {}))
        cell.attachments = nbformat.from_dict(shown)
        if cell.cell_type == "raw":
            cell.cell_type, cell.source = "markdown", safe.verbatim(cell.source)
        elif cell.source not in own:
            cell.source = _renderer.markdown(cell.source, shown)


def marks(verdict: Mapping[str, Any]) -> list[NotebookNode]:
    """The outputs of a check cell from which nbgrader reads the verdict's score."""
    score, of, message = verdict["score"], verdict["max_score"], verdict["message"]
    title = f"{verdict['name']}: {points(score, of)}"
    text = "\n".join(filter(None, [title, message]))
    if score <= 0:
        return [new_output("error", ename="NoPoints", evalue=title, traceback=[text])]
    shown = new_output("display_data", {"text/plain": text})
    if score >= of:
        return [shown]
    return [shown, new_output("execute_result", {"text/plain": repr(score)})]


def _not_run() -> NotebookNode:
    """In the place of an output that the student's notebook had: it is the student's claim."""
    text = say("Not run for grading: no answer stands on it.")
    return new_output("stream", name="stdout", text=text)


def _shown(ran: Mapping[str, Any] | None) -> list[NotebookNode]:
    """What one of the student's cells put out, and why it was stopped, if it was."""
    if ran is None:
        return []
    outputs: list[Any] = [nbformat.from_dict(output) for output in ran["outputs"]]
    if ran["status"] in ("interrupted", "lost") or (ran["message"] and ran["status"] == "ok"):
        why = say(ran["message"])
        outputs.append(new_output("error", ename="Stopped", evalue=why, traceback=[why]))
    return outputs
