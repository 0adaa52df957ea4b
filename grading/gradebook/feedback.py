"""nbgrader's feedback page with a summary at its top that names the exercises."""

from pathlib import Path
from typing import Any

import nbgrader
from jinja2 import FileSystemLoader
from nbconvert.exporters import HTMLExporter
from nbformat import NotebookNode

from grading.answer.render import points
from grading.answer.say import say, speaking
from grading.course.languages.entries import languages
from grading.course.languages.speech import speech

_HERE = Path(__file__).parents[2]
_OURS = Path(__file__).parent / "feedback_template"
_STOCK = Path(nbgrader.__file__).parent / "server_extensions" / "formgrader" / "templates"


class FeedbackPage(HTMLExporter):
    """The exporter of `nbgrader generate_feedback`; its template extends nbgrader's own. It speaks
    the notebook's language."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(extra_loaders=[FileSystemLoader([_OURS, _STOCK])], **settings)

    def from_notebook_node(
        self, nb: NotebookNode, resources: dict[str, Any] | None = None, **more: Any
    ) -> tuple[str, dict[str, Any]]:
        language = nb.metadata.get("lab", {}).get("language", "")
        known = language if language in languages(_HERE) else ""
        with speaking(speech(_HERE, known)):
            said = {
                "points": points,
                "exercise": say("Exercise"),
                "score": say("Points"),
                "of": say("Of how many"),
                "written": say(", written"),
                "comment": say("Comment"),
                "late": say("Late submission"),
            }
            return super().from_notebook_node(nb, {**(resources or {}), "said": said}, **more)
