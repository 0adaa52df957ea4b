"""A picture of a training that is redrawn in its place while it goes on."""

import time
from typing import Protocol

import matplotlib.pyplot as plt
from matplotlib.figure import Figure

from utils import plots


class Drawn(Protocol):
    """What `Live` draws: a `History`, or another record of a training."""

    @property
    def alt(self) -> str: ...

    def draw(self, title: str = "") -> Figure: ...


class Live:
    """A picture of a training's curves that is redrawn in its place while it goes on.

    In a notebook: at most once in `interval` seconds, and never for more than a tenth of the time;
    what is left in the end is one picture with alternative text, also under papermill and on pages
    made from the notebook. In a script: `plots.show` at the end. One Live draws one training.
    """

    def __init__(self, title: str = "", *, interval: float = 1.0) -> None:
        self.title = title
        self.interval = interval  # seconds
        self._slot = plots.Slot()
        self._due = 0.0  # not to be redrawn before, on time.perf_counter's clock

    def update(self, history: Drawn) -> None:
        """Redraw, if it is a notebook's and it is time."""
        start = time.perf_counter()
        if start >= self._due and plots.in_notebook():
            self._display(history, sharpness=1)
            now = time.perf_counter()
            self._due = now + max(self.interval, 9 * (now - start))

    def finish(self, history: Drawn) -> None:
        """Draw the last picture, which stays."""
        if plots.in_notebook():
            self._display(history, sharpness=plots.SHARPNESS)
        else:
            plots.show(history.draw(self.title), alt=history.alt)

    def _display(self, history: Drawn, sharpness: int) -> None:
        fig = history.draw(self.title)
        shown = plots.bundle(fig, alt=history.alt, sharpness=sharpness)
        plt.close(fig)
        self._slot.show(shown)
