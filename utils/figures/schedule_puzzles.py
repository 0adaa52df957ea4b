"""Figures of lab 18: a puzzle's board with what is placed on it, and par of all levels."""

import html
from collections.abc import Mapping
from typing import Any

import matplotlib.pyplot as plt
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from utils import plots
from utils.pipeline import pictures
from utils.pipeline.puzzles import Puzzle, Tiles
from utils.pipeline.schedules import Action, Schedule, ScheduleError

__all__ = ["board", "idle_at_par", "pars", "play", "show"]


def show(puzzle: Puzzle, answer: object) -> None:
    """Say how an answer stands to par, or what is wrong with it, and draw what of it can run.

    answer: as `Puzzle.schedule` takes it; None raises NotImplementedError.
    """
    try:
        schedule = puzzle.schedule(answer)
    except ScheduleError as error:
        print(f"{puzzle.title}: {error}")
        return
    wrong = puzzle.problems(schedule)
    timeline = puzzle.timeline(schedule)
    for problem in wrong[:2]:
        print(problem)
    print(f"{puzzle.title}: {puzzle.said(timeline) if not wrong else 'cannot run as it stands'}")
    plots.show(board(puzzle, schedule), alt=_alt(puzzle, schedule))


def board(puzzle: Puzzle, schedule: Schedule) -> Figure:
    """The board: a row for each rank, par as a dashed line, beside each row what the rank holds."""
    timeline = puzzle.timeline(schedule)
    fig, ax = plt.subplots(figsize=(9, 0.42 * puzzle.ranks + 1.1))
    until = max(timeline.end, puzzle.par) * 1.01
    pictures.draw(ax, timeline, until=until, legend=bool(timeline.work))
    ax.xaxis.set_major_locator(MaxNLocator("auto", integer=True))
    if not puzzle.rows:
        ax.axvline(puzzle.par, color=plots.INK, linestyle=(0, (4, 3)), linewidth=1.5, zorder=4)
        ax.set_title("dashed: par", fontsize=10)
    peaks = timeline.peak_stash()
    for rank, (peak, most) in enumerate(zip(peaks, puzzle.limits, strict=True)):
        over = " too many" if peak > most else ""
        held = f"held {peak} of {most}{over}" if puzzle.limited else f"held {peak}"
        ax.text(1.01, rank, held, transform=ax.get_yaxis_transform(), va="center", fontsize=10)
    return fig


def _html(puzzle: Puzzle, schedule: Schedule) -> str:
    """The board as an HTML image, closed."""
    fig = board(puzzle, schedule)
    try:
        return plots.bundle(fig, alt=_alt(puzzle, schedule))["text/html"]
    finally:
        plt.close(fig)


def _alt(puzzle: Puzzle, schedule: Schedule) -> str:
    timeline = puzzle.timeline(schedule)
    placed = f"{len(timeline.work)} of {sum(map(len, puzzle.actions))} actions run"
    return f"{puzzle.title}: {placed}; {puzzle.said(timeline)}."


def pars(puzzles: Mapping[int, Puzzle]) -> Figure:
    """The share of idle time at par, a bar for each level."""
    fig, ax = plt.subplots(figsize=(7, 3.4))
    for row, puzzle in enumerate(puzzles.values()):
        idle = idle_at_par(puzzle)
        ax.barh(row, idle, color=plots.SKY, edgecolor=plots.INK)
        ax.text(idle, row, f"  {idle:.0%}", va="center")
    names = [f"{level}  {puzzle.title}" for level, puzzle in puzzles.items()]
    ax.set_yticks(range(len(names)), names)
    ax.set(ylim=(len(names) - 0.5, -0.5), xlim=(0, 0.55), xlabel="idle at par (share of all time)")
    return fig


def idle_at_par(puzzle: Puzzle) -> float:
    """The share of all ranks' time that is idle where the puzzle takes par."""
    stages = zip(puzzle.forward, puzzle.backward, strict=True)
    work = puzzle.microbatches * sum(forward + backward for forward, backward in stages)
    return 1 - work / (puzzle.ranks * puzzle.par)


def play(puzzle: Puzzle, answer: object = None) -> None:
    """Show a puzzle's tiles to click, with the schedule as text below; else the text alone.

    answer: a schedule to begin with.
    """
    tiles = Tiles(puzzle, answer)
    if somebody_clicks():
        from IPython.display import display

        display(_widget(tiles))
    else:
        print(f"{puzzle.title}: {tiles.said()}")
        print(tiles.text.strip() or "Open this notebook in JupyterLab to place by clicking.")


def somebody_clicks() -> bool:
    """Whether the cell was started in a notebook's page: its request then names the cell, as that
    of a program that only runs notebooks does not."""
    if not plots.in_notebook():
        return False
    from IPython.core.getipython import get_ipython

    shell: Any = get_ipython()
    return "cellId" in shell.kernel.get_parent("shell").get("metadata", {})


def _widget(tiles: Tiles) -> Any:
    """The tiles of each rank beside its name, the picture above, and the text below."""
    import ipywidgets

    picture, says = ipywidgets.HTML(), ipywidgets.HTML()
    trays = [ipywidgets.HBox(layout={"flex_flow": "row wrap"}) for _ in tiles.rows]
    names = [ipywidgets.Label(f"rank {rank}") for rank in range(len(trays))]
    back = ipywidgets.Button(description="take back", tooltip="Undo the last move")
    text = ipywidgets.Textarea(
        description="as text", disabled=True, rows=len(trays), layout={"width": "95%"}
    )

    def tile(rank: int, action: Action) -> Any:
        name = f"{action[0]}{action[1]}"
        button = ipywidgets.Button(
            description=name, tooltip=f"Place {name} on rank {rank}", layout={"width": "3.6em"}
        )
        button.style.button_color, button.style.text_color, _ = pictures.LOOKS[action[0][-1]]
        button.on_click(lambda _: update(tiles.place(rank, action)))
        return button

    every = [
        {action: tile(rank, action) for action in actions}
        for rank, actions in enumerate(tiles.puzzle.actions)
    ]

    def update(refused: str = "") -> None:
        said = html.escape(f"Not now: {refused}" if refused else tiles.said())
        says.value = f'<div role="status">{said}</div>'
        if refused:
            return
        for rank, (tray, name, mine) in enumerate(zip(trays, names, every, strict=True)):
            tray.children = [name, *(mine[action] for action in tiles.left(rank))]
        picture.value = _html(tiles.puzzle, tiles.rows)
        text.value = tiles.text

    def undo(_: Any) -> None:
        tiles.take_back()
        update()

    back.on_click(undo)
    update()
    return ipywidgets.VBox([picture, *trays, says, back, text])
