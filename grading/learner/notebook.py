"""The notebook that a learner hands in: found, saved, read; and the receipt for it."""

import json
import os
import re
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from grading.answer.progress import progress_file

MOST_BYTES = 20 * 2**20  # that the board takes
_PATIENCE = 5.0  # seconds that JupyterLab gets to save
# `make lab` lets a page see its JupyterLab; another front end has none, and nothing happens.
_SAVE = "globalThis.jupyterapp?.commands.execute('docmanager:save')"


class NotSaved(Exception):
    """The notebook's file cannot be handed in; the message says what to do."""


@dataclass(frozen=True)
class Saved:
    """A notebook as it lies on disk. note: how it got there."""

    lab: str
    file: Path
    content: bytes
    note: str


def saved(file: Path | None = None) -> Saved:
    """This notebook, saved if it can be, or the one in `file`. Raises NotSaved."""
    named = file or _own_file()
    if named is None:
        raise NotSaved('this notebook\'s file is not known here: name it, hand_in("NN_lab.ipynb").')
    fresh = file is None and _save(named)
    try:
        content, book = _read(named)
        cells = ["".join(cell["source"]).strip() for cell in book["cells"]]
    except OSError as error:
        raise NotSaved(f"{named} cannot be read ({error.strerror}).") from None
    except (ValueError, KeyError, TypeError):
        raise NotSaved(f"{named} is no notebook.") from None
    if len(content) > MOST_BYTES:
        raise NotSaved(
            f"{named.name} has {len(content) / 2**20:.0f} MB, and the board takes"
            f" {MOST_BYTES // 2**20}: clear the outputs of large cells, save, and hand in again."
        )
    if file is None and not fresh and _running_cell() not in cells:
        raise NotSaved("save it first (Ctrl+S), then run hand_in() again.")
    when = time.strftime("%H:%M:%S", time.localtime(named.stat().st_mtime))
    note = "saved just now" if fresh else f"as saved at {when} by this machine's clock"
    return Saved(_lab(book, named), named, content, note)


def keep_receipt(handed: Saved, receipt: dict[str, Any]) -> Path:
    """Write the receipt into the folder `receipts` beside the learner's progress."""
    folder = progress_file().parent / "receipts"
    folder.mkdir(parents=True, exist_ok=True)
    time_of = re.sub(r"\D+", "-", str(receipt.get("at", ""))).strip("-")
    place = folder / f"{handed.lab}.{time_of}.json"
    place.write_text(json.dumps(receipt, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return place


def _read(file: Path) -> tuple[bytes, Any]:
    """A notebook's bytes and what they say. Jupyter's server writes into the file that is there, so
    for a moment there may be half of it."""
    end = time.monotonic() + _PATIENCE
    while True:
        content = file.read_bytes()
        try:
            return content, json.loads(content)
        except ValueError:
            written = time.time() - file.stat().st_mtime
            if abs(written) > _PATIENCE or time.monotonic() > end:
                raise
        time.sleep(0.05)


def _lab(book: dict[str, Any], file: Path) -> str:
    """The name that release wrote into the notebook, or else its file's."""
    try:
        return str(book["metadata"]["lab"]["name"])
    except (KeyError, TypeError):
        return file.stem


def _own_file() -> Path | None:
    """The file of the notebook that runs here, as Jupyter's server or VS Code names it."""
    shell = _shell()
    named = shell.user_ns.get("__vsc_ipynb_file__") if shell else None
    place = Path(str(named or os.environ.get("JPY_SESSION_NAME", "")))
    return place if place.suffix == ".ipynb" and place.exists() else None


def _running_cell() -> str:
    shell = _shell()
    cells = shell.user_ns.get("In") if shell else None
    return str(cells[-1]).strip() if cells else ""


def _save(file: Path) -> bool:
    """Ask JupyterLab to save; whether the file was written."""
    from IPython.display import Javascript, display

    before = file.stat().st_mtime_ns
    shown = display(Javascript(_SAVE), display_id=True)
    end = time.monotonic() + _PATIENCE
    while time.monotonic() < end and file.stat().st_mtime_ns == before:
        time.sleep(0.05)
    if shown is not None:  # or the saved notebook would save again whenever it is opened
        shown.update({"text/plain": ""}, raw=True)
    return file.stat().st_mtime_ns != before


def _shell() -> Any:
    ipython = sys.modules.get("IPython")
    return ipython.get_ipython() if ipython is not None else None
