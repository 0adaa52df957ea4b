"""Sweeps: every combination of some settings, as a queue that survives an interrupt."""

import json
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import product
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

from utils import plots
from utils.training.modes import in_sweep


def sweep(
    run: Callable[..., Mapping[str, float]],
    grid: Mapping[str, Sequence[Any]],
    table: str | Path,
) -> list[dict[str, Any]]:
    """Run every combination of the grid's settings, as a queue with a progress bar.

    run: called with one value of each setting by name; returns the run's results, numbers by name.
    grid: setting → its values (numbers or strings); the last setting changes fastest.
    table: a file of JSON lines, one for each finished run, appended when it finishes. A run that is
        in it is not run again, so an interrupted sweep goes on where it was. It cannot know that
        the code of `run` has changed: then delete the file.
    Returns settings, results and seconds of every run of the grid, in the grid's order.
    """
    path, names = Path(table), list(grid)
    _mend(path)
    done = {_key(row, names): row for row in read_table(path) if row.keys() >= set(names)}
    queue = [dict(zip(names, values, strict=True)) for values in product(*grid.values())]
    waiting = [settings for settings in queue if _key(settings, names) not in done]
    if len(waiting) < len(queue):
        print(f"{len(queue) - len(waiting)} of {len(queue)} runs are in {path.name} already.")
    token = in_sweep.set(True)
    try:
        for settings in bar(waiting):
            start = time.perf_counter()
            results = run(**settings)
            row = {**settings, **results, "seconds": round(time.perf_counter() - start, 3)}
            append_row(path, row)
            done[_key(settings, names)] = row
    finally:
        in_sweep.reset(token)
    return [done[_key(settings, names)] for settings in queue]


def bar(queue: Sequence[Any]) -> Iterable[Any]:
    """The queue, with a progress bar that says how many are done and how long the rest will take.

    In a notebook the bar is one output, redrawn in its place, also under papermill.
    """
    from tqdm import tqdm

    # Not to stderr: what is written there looks like a fault in a notebook.
    file = _Line() if plots.in_notebook() else sys.stdout
    return tqdm(queue, unit="run", ncols=80, file=file, disable=not queue)


class _Line:
    """A text file of which a notebook shows the last line that was written."""

    encoding = "utf-8"

    def __init__(self) -> None:
        self._slot = plots.Slot()

    def write(self, text: str) -> None:
        if text.strip():
            self._slot.show({"text/plain": text.strip()})

    def flush(self) -> None:
        """Nothing is held back."""


def read_table(path: str | Path) -> list[dict[str, Any]]:
    """The rows of a sweep's table; none if there is no such file.

    A last line that was cut short by an interrupt is left out. Raises ValueError for any other line
    that is not JSON.
    """
    path = Path(path)
    if not path.exists():
        return []
    lines = path.read_text(encoding="utf-8").split("\n")[:-1]  # a whole line ends in a newline
    try:
        return [json.loads(line) for line in lines]
    except json.JSONDecodeError as error:
        raise ValueError(f"{path} is not a table of runs ({error}): move it away.") from error


def append_row(path: str | Path, row: Mapping[str, Any]) -> None:
    """Add one line to a table of runs, and make the table and its folder if there is none yet."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(row) + "\n")


def heat_map(
    rows: Sequence[Mapping[str, Any]], x: str, y: str, value: str, *, floor: float | None = None
) -> Figure:
    """The results of a sweep as a grid of numbers on colour, light for large ones.

    x, y: the settings along the axes, in the order in which their values come up in rows; value:
    the result that is shown. A combination without a row is left empty.
    floor: values below it have its colour, so that one failed run does not make all others alike.
    """
    xs, ys = (list(dict.fromkeys(row[name] for row in rows)) for name in (x, y))
    cells = np.full((len(ys), len(xs)), np.nan)
    for row in rows:
        cells[ys.index(row[y]), xs.index(row[x])] = row[value]
    fig, ax = plt.subplots(figsize=(1.6 + 0.9 * len(xs), 1.2 + 0.5 * len(ys)))
    image = ax.imshow(cells, cmap="cividis", aspect="auto", origin="lower", vmin=floor)
    middle = sum(image.get_clim()) / 2
    for i, j in zip(*np.nonzero(np.isfinite(cells)), strict=True):
        ink = "white" if cells[i, j] < middle else "black"
        ax.text(j, i, f"{cells[i, j]:.3f}", ha="center", va="center", color=ink)
    ax.set_xticks(range(len(xs)), [f"{one:g}" if isinstance(one, float) else one for one in xs])
    ax.set_yticks(range(len(ys)), [f"{one:g}" if isinstance(one, float) else one for one in ys])
    ax.set(xlabel=x.replace("_", " "), ylabel=y.replace("_", " "))
    ax.grid(False)
    below = "neither" if floor is None else "min"
    fig.colorbar(image, label=value.replace("_", " "), extend=below)
    return fig


def _key(row: Mapping[str, Any], names: Sequence[str]) -> str:
    """The settings of a run as text: numbers as JSON writes them."""
    return json.dumps([row[name] for name in names])


def _mend(path: Path) -> None:
    """Take a last line off that was cut short, or the next run's would be added to it."""
    if path.exists():
        whole, newline, _ = path.read_text(encoding="utf-8").rpartition("\n")
        path.write_text(whole + newline, encoding="utf-8")
