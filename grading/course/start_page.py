"""The page on which JupyterLab opens: the next lab one click away, and the map of the course."""

import json
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from grading.answer.progress import Standing

# The first lab of each part, and the part's title.
_PARTS = {
    1: "Part I · A neuron, and how it learns",
    5: "Part II · Networks that see",
    9: "Part III · Networks that read and write",
    11: "Part IV · GPUs in a row",
}

_HELP = """\
## How to work here

- **Run** a cell with Shift+Enter, from the top down. Where a cell says `your code here`, write your
  own; the check below it answers at once, as often as you like.
- **Keep your work**: these notebooks are yours, in the folder `my_labs`. Nothing overwrites them,
  and nothing is sent anywhere.
- **Later**: `make lab` opens this page again, with your points as they then stand.
"""


def start_page(labs: Path, newer: Sequence[str], standings: Iterable[Standing]) -> str:
    """The page as Markdown.

    labs: the folder of notebooks; newer: names of labs that `make update` would renew.
    """
    files = sorted(labs.glob("[0-9][0-9]_*.ipynb"))
    points = {file.stem: (0.0, 0.0) for file in files}
    for one in standings:
        if one.lab in points:
            score, of = points[one.lab]
            points[one.lab] = score + (one.score or 0.0), of + one.points
    blocks = ["# Perceptron to Pipeline", "From one artificial neuron to a row of GPUs."]
    blocks += [_next(files, points)] if files else ["There are no labs here yet."]
    if newer:
        blocks.append(
            f"A newer version of {', '.join(newer)} is there: close this, and `make update` carries"
            " your answers over."
        )
    blocks += ["## The course", *_map(files, points), _HELP]
    return "\n\n".join(blocks)


def _next(files: Sequence[Path], points: dict[str, tuple[float, float]]) -> str:
    """A link to the first lab that is not finished; to the last one when all are."""
    open_ones = [file for file in files if points[file.stem][0] < points[file.stem][1]]
    # Without any points to be had nothing can be finished: begin at the beginning.
    file = open_ones[0] if open_ones else files[-1 if any(of for _, of in points.values()) else 0]
    begun = any(score for score, _ in points.values())
    word = "Go on with" if begun else "Begin with"
    return f"## [{word} lab {_title(file)} →]({file.name})\n\n{_first_paragraph(file)}"


def _map(files: Sequence[Path], points: dict[str, tuple[float, float]]) -> list[str]:
    blocks, rows = [], []
    for file in files:
        part = _PARTS.get(int(file.stem[:2]))
        if part or not rows:
            rows = ["| lab | | points |", "|:--|:--|--:|"]
            blocks += [f"### {part}"] if part else []
            blocks.append(rows)
        sentence = re.split(r"(?<=[.?])\s", _first_paragraph(file), maxsplit=1)[0]
        sentence = sentence.replace("|", r"\|")
        cells = (f"[{_title(file)}]({file.name})", _standing(points[file.stem]))
        title, standing = (cell.replace(" ", "\u00a0") for cell in cells)  # each on one line
        rows.append(f"| {title} | {sentence} | {standing} |")
    return [block if isinstance(block, str) else "\n".join(block) for block in blocks]


def _standing(points: tuple[float, float]) -> str:
    score, of = points
    return f"{score:g} of {of:g}" if of else "–"


def _title(file: Path) -> str:
    """`01 · The perceptron`, from the notebook's first heading."""
    heading = next((line for line in _opening(file) if line.startswith("# ")), file.stem[3:])
    bare = re.sub(r"^#*\s*(lab\s*)?(\d+\s*[·:.–—-]*\s*)?", "", heading, flags=re.IGNORECASE)
    return f"{file.stem[:2]} · {bare}"


def _first_paragraph(file: Path) -> str:
    """What the notebook says right under its title, on one line, without references."""
    lines = _opening(file)
    start = next((i for i, line in enumerate(lines) if line.startswith("# ")), -1) + 1
    paragraph = "\n".join(lines[start:]).strip().split("\n\n")[0]
    if not paragraph or paragraph[0] in "!<#|-":
        return ""  # a picture, a list: nothing that would stand on one line
    return re.sub(r"\s*\[\d+\]", "", " ".join(paragraph.split()))


def _opening(file: Path) -> list[str]:
    """The lines of the notebook's first Markdown cell."""
    cells = json.loads(file.read_text(encoding="utf-8"))["cells"]
    first = next((cell for cell in cells if cell["cell_type"] == "markdown"), {"source": ""})
    return "".join(first["source"]).splitlines()
