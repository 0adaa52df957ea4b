"""nbgrader's feedback page with a summary at its top that names the exercises."""

from pathlib import Path
from typing import Any

import nbgrader
from jinja2 import FileSystemLoader
from nbconvert.exporters import HTMLExporter

_OURS = Path(__file__).parent / "feedback_template"
_STOCK = Path(nbgrader.__file__).parent / "server_extensions" / "formgrader" / "templates"


class FeedbackPage(HTMLExporter):
    """The exporter of `nbgrader generate_feedback`; its template extends nbgrader's own."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(extra_loaders=[FileSystemLoader([_OURS, _STOCK])], **settings)
