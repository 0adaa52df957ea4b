"""What a student wrote, made harmless for the browser of the person who looks at it.

nbgrader's formgrader and feedback pages put a notebook's Markdown into the page as HTML. So an
answer keeps its Markdown and formulas and loses its HTML, pictures are kept if that is what they
are, and outputs are plain text and pictures only (`grading.session` sees to those).
"""

import base64
import re
from collections.abc import Mapping
from typing import Any

# What begins a tag or a comment in HTML; a bare `a < b` does not.
_TAG = re.compile(r"<(?=[A-Za-z/!?])")
_BEGINNINGS = {"image/png": b"\x89PNG\r\n\x1a\n", "image/jpeg": b"\xff\xd8\xff"}


def markdown(source: str) -> str:
    """Markdown without HTML; what would have been HTML is shown as text."""
    return _TAG.sub("&lt;", source)


def verbatim(source: str) -> str:
    """Markdown that shows the text as it is."""
    return "\n".join(f"    {line}" for line in source.splitlines())


def image(data: Mapping[Any, Any], kind: str) -> str | None:
    """The picture of this MIME type in a bundle, in base64; None if it is not one."""
    text = data.get(kind)
    try:
        raw = base64.b64decode("".join(text.split()), validate=True) if type(text) is str else b""
    except ValueError:
        return None
    return base64.b64encode(raw).decode() if raw.startswith(_BEGINNINGS[kind]) else None


def attachments(given: Mapping[str, Any]) -> dict[str, dict[str, str]]:
    """The pictures that are attached to a cell, by their names."""
    found = {}
    for name, bundle in given.items():
        if isinstance(bundle, dict) and re.fullmatch(r"[\w. -]{1,100}", name):
            kept = {kind: shown for kind in _BEGINNINGS if (shown := image(bundle, kind))}
            if kept:
                found[name] = kept
    return found
