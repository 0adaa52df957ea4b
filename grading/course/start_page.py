"""The page on which JupyterLab opens: the next lab one click away, and the map of the course."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from grading.answer.progress import Standing
from grading.answer.say import say
from grading.course.outline import Lab, Outline

_LEVELS = {1: "●○○", 2: "●●○", 3: "●●●"}


def start_page(
    course: Outline,
    labs: Path,
    newer: Sequence[str],
    standings: Iterable[Standing],
    *,
    elsewhere: Mapping[str, str] | None = None,
    original: Sequence[str] = (),
) -> str:
    """The page as Markdown, in the language that is spoken (`answer.say`).

    labs: the folder of notebooks; newer: names of labs that `make update` would renew; elsewhere:
    the page in other languages, by their names for themselves; original: names of labs that are not
    translated yet.
    """
    there = [lab for lab in course if (labs / f"{lab.name}.ipynb").exists()]
    points = {lab.name: (0.0, 0.0) for lab in there}
    for one in standings:
        if one.lab in points:
            score, of = points[one.lab]
            points[one.lab] = score + (one.score or 0.0), of + one.points
    blocks = [f"# {say(course.title)}"]
    if elsewhere:
        blocks.append(" · ".join(f"[{title}]({page})" for title, page in elsewhere.items()))
    blocks.append(say(course.promise))
    blocks += [_next(there, points)] if there else [say("There are no labs here yet.")]
    if newer:
        blocks.append(
            say(
                f"A newer version of {', '.join(newer)} is there: close this, and `make update`"
                " carries your answers over."
            )
        )
    if original:
        blocks.append(say(f"Not translated yet, and here in English: {', '.join(original)}."))
    blocks += [f"## {say('The course')}", *_map(course, points), _help()]
    return "\n\n".join(blocks)


def _help() -> str:
    items = [
        say(
            "**Run** a cell with Shift+Enter, from the top down. Where a cell says"
            " `your code here`, write your own; the check below it answers at once, as often as you"
            " like."
        ),
        say(
            "**Keep your work**: these notebooks are yours, in the folder `my_labs`. Nothing"
            " overwrites them, and nothing is sent anywhere, unless you join the board of a"
            " workshop."
        ),
        say(
            "**In a workshop**: [join its board](join.ipynb), once for all labs; there you see what"
            " is sent."
        ),
        say(
            "**Later**: `make lab`, or signing in where you have a seat, opens this page again,"
            " with your points as they then stand."
        ),
    ]
    return "\n".join([f"## {say('How to work here')}\n", *(f"- {item}" for item in items), ""])


def _next(there: Sequence[Lab], points: dict[str, tuple[float, float]]) -> str:
    """A link to the first lab that is not finished; to the last one when all are."""
    open_ones = [lab for lab in there if points[lab.name][0] < points[lab.name][1]]
    # Without any points to be had nothing can be finished: begin at the beginning.
    lab = open_ones[0] if open_ones else there[-1 if any(of for _, of in points.values()) else 0]
    begun = any(score for score, _ in points.values())
    title = _title(lab)
    invitation = say(f"Go on with lab {title}") if begun else say(f"Begin with lab {title}")
    return f"## [{invitation} →]({lab.name}.ipynb)\n\n{say(lab.promise)}"


def _map(course: Outline, points: dict[str, tuple[float, float]]) -> Iterable[str]:
    for part in course.parts:
        yield f"### {say(f'Part {part.number}')} · {say(part.title)}"
        rows = [say("| lab | | level | minutes | points |"), "|:--|:--|:--|--:|--:|"]
        for lab in part.labs:
            here = lab.name in points
            title = f"[{_title(lab)}]({lab.name}.ipynb)" if here else _title(lab)
            standing = _standing(points[lab.name]) if here else say("to come")
            row = (title, say(lab.promise), _LEVELS[lab.level], str(lab.minutes), standing)
            rows.append(f"| {' | '.join(_on_one_line(cell, lab) for cell in row)} |")
        yield "\n".join(rows)


def _on_one_line(cell: str, lab: Lab) -> str:
    """Without a break, but for the promise; a bar would end the cell."""
    return (cell if cell == say(lab.promise) else cell.replace(" ", "\u00a0")).replace("|", r"\|")


def _standing(points: tuple[float, float]) -> str:
    score, of = points
    return say(f"{score:g} of {of:g}") if of else "–"


def _title(lab: Lab) -> str:
    return f"{lab.number} · {say(lab.title)}"
