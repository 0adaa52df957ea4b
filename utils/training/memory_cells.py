"""Which memory cell of a character network follows what: record, rank and show.

cells = record(model, ids)                       # (N, layers · units)
rank(cells, FEATURES["place in the line"](text))  # [(cell, correlation), …], closest first
show(text, cells[:, 17])
"""

import html
import sys
from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from utils import plots
from utils.training.text import CharLSTM, State

Array = NDArray[np.float64]

_CLOSES = {"(": ")", "[": "]", "{": "}", "“": "”", "「": "」", "『": "』", '"': '"'}


@torch.no_grad()
def record(model: CharLSTM, ids: Tensor) -> Array:
    """The cells c of all layers after each character: (N, layers · units), for ids: (N,)."""
    state: State | None = None
    cells = []
    for i in range(len(ids)):
        _, (h, c) = model(ids[i].view(1, 1), state)
        state = h, c
        cells.append(c.flatten())
    return torch.stack(cells).double().cpu().numpy()


def rank(cells: Array, feature: ArrayLike) -> list[tuple[int, float]]:
    """The cells by how closely they follow a feature: (cell, correlation), closest first.

    cells: (N, cells); feature: (N,). A cell that never changes is left out; all are, if the feature
    never changes.
    """
    wanted = np.asarray(feature, dtype=float)
    if wanted.shape != cells.shape[:1]:
        raise ValueError(
            f"The feature needs a number for each of {len(cells):,} characters, not {wanted.shape}."
        )
    c, f = cells - cells.mean(axis=0), wanted - wanted.mean()
    scale = np.sqrt((c**2).sum(axis=0) * (f**2).sum())
    correlation = np.divide(f @ c, scale, out=np.zeros_like(scale), where=scale > 0)
    order = np.argsort(-np.abs(correlation), kind="stable")
    return [(int(i), float(correlation[i])) for i in order if scale[i] > 0]


def place_in_line(text: str) -> Array:
    """For each character, how many came since the line began."""
    places, place = [], 0
    for character in text:
        places.append(place)
        place = 0 if character == "\n" else place + 1
    return np.array(places, dtype=float)


def depth(text: str) -> Array:
    """For each character, within how many open brackets or double quotes it stands."""
    open_ones: list[str] = []
    depths = []
    for character in text:
        if open_ones and character == open_ones[-1]:
            open_ones.pop()
        elif character in _CLOSES:
            open_ones.append(_CLOSES[character])
        depths.append(len(open_ones))
    return np.array(depths, dtype=float)


def _each(test: Callable[[str], bool]) -> Callable[[str], Array]:
    return lambda text: np.array([test(character) for character in text], dtype=float)


FEATURES: dict[str, Callable[[str], Array]] = {
    "place in the line": place_in_line,
    "inside quotes or brackets": lambda text: np.minimum(depth(text), 1),
    "in a word": _each(str.isalnum),
    "capital letter": _each(str.isupper),
    "blank space": _each(str.isspace),
}


def show(text: str, values: ArrayLike) -> None:
    """Show a text, each character on a ground that is the lighter the higher its value.

    values: (N,). Above their mean a character is underlined, too. In a script: the characters above
    it, in one line.
    """
    numbers = np.asarray(values, dtype=float)
    middle = float(numbers.mean())
    above = "".join(c if v > middle else "·" for c, v in zip(text, numbers, strict=True))
    plain = "above the mean: " + above.replace("\n", "⏎")
    if not plots.in_notebook():
        print(plain)
        return
    display = sys.modules["IPython"].display.display
    low, high = numbers.min(), numbers.max()
    shades = (numbers - low) / max(high - low, 1e-12)
    body = "".join(map(_character, text, shades, numbers > middle))
    style = "line-height: 1.7; white-space: pre-wrap; font-family: monospace"
    display({"text/html": f'<div style="{style}">{body}</div>', "text/plain": plain}, raw=True)


def _character(character: str, shade: float, above: bool) -> str:
    r, g, b = (round(255 * part) for part in plots.SIGNED(float(shade))[:3])
    ink = "black" if 0.3 * r + 0.59 * g + 0.11 * b > 120 else "white"
    line = "; text-decoration: underline" if above else ""
    shown = "⏎\n" if character == "\n" else html.escape(character)
    return f'<span style="background: rgb({r},{g},{b}); color: {ink}{line}">{shown}</span>'
