"""What nbgrader does differently in this course; the generated course's own file calls `configure`.

The stock commands (`nbgrader generate_assignment`, `autograde`, `generate_feedback`, formgrader)
read this in `course`, and `make release` runs nbgrader with the same settings.
"""

import hashlib
import json
from typing import Any

from nbformat import NotebookNode
from nbgrader.converters import Autograde, GenerateAssignment
from nbgrader.preprocessors import (
    ClearSolutions,
    DeduplicateIds,
    Execute,
    NbGraderPreprocessor,
)
from traitlets.config import Config

COURSE_ID = "perceptron-to-pipeline"
# The body of an unwritten function: it stops the learner, and `check` knows it for "not done".
CODE_STUB = '# your code here\nraise NotImplementedError("your code here")'
# An unwritten value: the notebook must run on past it.
VALUE_STUB = "# your answer here"
TEXT_STUB = "*Your answer here.*"


class StubSolutions(ClearSolutions):
    """nbgrader's own, except that a region which is not indented leaves only a comment."""

    def _replace_solution_region(self, cell: NotebookNode, language: str) -> bool:
        replaced = super()._replace_solution_region(cell, language)
        if cell.cell_type == "code":
            source = f"\n{cell.source}".replace(f"\n{CODE_STUB}", f"\n{VALUE_STUB}")
            cell.source = source.removeprefix("\n")
        return replaced


class DropDoubles(DeduplicateIds):
    """nbgrader's own, except that a cell which is there twice is left without metadata: what it
    leaves otherwise it takes for an old format, later on, and stops the whole class."""

    def preprocess_cell(self, cell: NotebookNode, resources: Any, cell_index: int) -> Any:
        cell, resources = super().preprocess_cell(cell, resources, cell_index)
        if cell.metadata.get("nbgrader") == {}:
            del cell.metadata["nbgrader"]
        return cell, resources


class Fingerprint(NbGraderPreprocessor):
    """Writes into the released notebook which lab and release it is."""

    def preprocess(
        self, nb: NotebookNode, resources: dict[str, Any]
    ) -> tuple[NotebookNode, dict[str, Any]]:
        lab = resources["nbgrader"]["notebook"]
        nb.metadata["lab"] = {"name": lab, "release": fingerprint(nb)}
        return nb, resources


def fingerprint(nb: NotebookNode) -> str:
    """A digest of what the learner is given: each cell's type, source and metadata."""
    content = [[cell.cell_type, cell.source, cell.metadata] for cell in nb.cells]
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]


def configure(c: Config) -> None:
    """Put the course's settings into nbgrader's configuration."""
    c.CourseDirectory.course_id = COURSE_ID
    c.ClearSolutions.code_stub = {"python": CODE_STUB}
    c.ClearSolutions.text_stub = TEXT_STUB
    stock = GenerateAssignment().preprocessors
    ours = [StubSolutions if each is ClearSolutions else each for each in stock]
    c.GenerateAssignment.preprocessors = [*ours, Fingerprint]
    # Submissions run in the sandbox and are judged apart from their code: gradebook/execute.py.
    stock = Autograde().autograde_preprocessors
    ours = [
        "grading.gradebook.execute.SandboxedExecute" if each is Execute else each for each in stock
    ]
    c.Autograde.autograde_preprocessors = ours
    stock = Autograde().sanitize_preprocessors
    ours = [DropDoubles if each is DeduplicateIds else each for each in stock]
    c.Autograde.sanitize_preprocessors = ours
    c.HTMLExporter.sanitize_html = True
    c.GenerateFeedback.exporter_class = "grading.gradebook.feedback.FeedbackPage"
    c.Execute.timeout = 300  # for `nbgrader validate`: its 30 seconds a cell are too few to train
