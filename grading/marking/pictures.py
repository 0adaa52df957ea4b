"""Pictures in a notebook: kept if that is what they are, whatever they are called."""

import base64
import re
from collections.abc import Mapping
from typing import Any

_BEGINNINGS = {"image/png": b"\x89PNG\r\n\x1a\n", "image/jpeg": b"\xff\xd8\xff"}


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
        if isinstance(bundle, Mapping) and re.fullmatch(r"[\w. -]{1,100}", name):
            kept = {kind: shown for kind in _BEGINNINGS if (shown := image(bundle, kind))}
            if kept:
                found[name] = kept
    return found
