"""Figures of lab 21: tracks and drives on them, what a car sees, and runs with many seeds."""

import base64
import html
from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import ArrayLike, NDArray

from utils import plots
from utils.driving import ANGLES, DRIVE, HALF_WIDTH, REACH, STEP, Track, World

__all__ = ["estimates", "film", "learning", "order", "paths", "runs", "senses", "tracks"]

ROAD, LINE = "#d9d9d9", "#ffffff"
FASTER = 3  # times as fast as it is, a film is shown


def tracks(shown: Sequence[Track]) -> Figure:
    """Tracks side by side, on one scale."""
    fig, axes = plt.subplots(
        1, len(shown), figsize=(2.4 * len(shown), 2.8), sharex=True, sharey=True
    )
    for ax, track in zip(np.atleast_1d(axes), shown, strict=True):
        _road(ax, track)
        ax.set_title(f"{track.lap:.0f} m a lap", fontsize=10)
    return fig


def senses(world: World) -> Figure:
    """The first car of a world on its track, with its seven sensors."""
    fig, ax = plt.subplots(figsize=(7.2, 4.6))
    _road(ax, world.tracks[0])
    place, distances = world.place[0], world.distances()[0]
    for angle, distance in zip(ANGLES, distances, strict=True):
        way = world.heading[0] + np.radians(angle)
        end = place + distance * np.array([np.cos(way), np.sin(way)])
        ax.plot(*np.stack([place, end]).T, color=plots.BLUE, linewidth=1.2, linestyle="-")
        sees = f"{distance:.1f}" if distance < REACH else f"{REACH:g} or more"
        ax.annotate(sees, end, fontsize=9, ha="center", va="center", bbox={**_HALO})
    ax.plot(*place, marker="o", markersize=9, color=plots.VERMILLION, zorder=5)
    return fig


_HALO = {"facecolor": "white", "edgecolor": "none", "alpha": 0.8, "boxstyle": "round,pad=0.1"}


def paths(track: Track, drives: Mapping[str, NDArray[np.floating]]) -> Figure:
    """Drives on a track, each by its name, with a cross where one ends off the road.

    drives: name → (T, 2) places in metres, as `driving.path` has them.
    """
    fig, ax = plt.subplots(figsize=(7.5, 4.6))
    _road(ax, track)
    for name, places in drives.items():
        number = _look(name)
        crashed = len(places) <= DRIVE
        label = f"{name}: off the road after {STEP * len(places):.0f} s" if crashed else name
        look = {
            "color": plots.CURVE_COLOURS[number],
            "linestyle": plots.CURVE_DASHES[number],
            "marker": plots.CURVE_MARKERS[number],
        }
        ax.plot(*places.T, markevery=15, markersize=5, label=label, **look)
        if crashed:
            ax.plot(*places[-1], marker="X", markersize=12, color=plots.INK, zorder=6)
    ax.plot(*next(iter(drives.values()))[0], marker="*", markersize=14, color=plots.INK, zorder=6)
    ax.legend(loc="upper left", bbox_to_anchor=(1.02, 1.0), borderaxespad=0)
    return fig


def film(track: Track, drives: Mapping[str, NDArray[np.floating]], *, alt: str) -> None:
    """Show drives as a picture, and below it, folded up, as a film of some seconds.

    drives: as in `paths`; a car is a disc with the first letter of its name. The film is an SVG
    picture that moves: it needs no JavaScript, and no network. alt: what the picture shows.
    """
    fig = paths(track, drives)
    if not plots.in_notebook():
        plots.show(fig, alt=alt)
        return
    from IPython.display import display

    still = plots.bundle(fig, alt=alt)
    plt.close(fig)
    data = base64.b64encode(_moving(track, drives).encode()).decode()
    listed = ", ".join(f"{name[0].upper()} is {name}" for name in drives)
    moving = (
        f"<details><summary>Film: {FASTER} times as fast as it is; {html.escape(listed)}."
        " Fold it up to end it.</summary>"
        f'<img alt="{html.escape(alt)}" width="614" src="data:image/svg+xml;base64,{data}">'
        "</details>"
    )
    display({**still, "text/html": still["text/html"] + moving}, raw=True)


def _look(name: str) -> int:
    """Which of the course's looks a driver has: the same in every picture."""
    return {"die": 0, "rule": 1}.get(name, 2)


def _moving(track: Track, drives: Mapping[str, NDArray[np.floating]]) -> str:
    """The film as the text of an SVG picture, in decimetres."""
    line = track.centre
    low, high = line.min(axis=0) - 2 * HALF_WIDTH, line.max(axis=0) + 2 * HALF_WIDTH
    flip = np.array([10, -10])  # upwards is less in an SVG picture
    points = " ".join(f"{x:.0f},{y:.0f}" for x, y in line * flip)
    road = "".join(
        f'<polygon points="{points}" fill="none" stroke="{colour}" stroke-width="{width}" {more}/>'
        for colour, width, more in (
            (ROAD, 20 * HALF_WIDTH, 'stroke-linejoin="round"'),
            (LINE, 2, 'stroke-dasharray="10 10"'),
        )
    )
    cars = "".join(
        _car(name, places * flip, plots.CURVE_COLOURS[_look(name)])
        for name, places in drives.items()
    )
    box = " ".join(f"{10 * n:.0f}" for n in (low[0], -high[1], *(high - low)))
    return f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="{box}">{road}{cars}</svg>'


def _car(name: str, places: NDArray[np.floating], colour: str) -> str:
    # A car that is off the road stands where it left it until the film begins again.
    whole = np.concatenate([places, np.repeat(places[-1:], DRIVE + 1 - len(places), axis=0)])
    values = ";".join(f"{x:.0f},{y:.0f}" for x, y in whole)
    return (
        f'<g><circle r="11" fill="{colour}" stroke="white" stroke-width="2"/>'
        '<text y="5" font-size="14" font-family="sans-serif" font-weight="bold" fill="white"'
        f' text-anchor="middle">{html.escape(name[0].upper())}</text>'
        f'<animateMotion dur="{DRIVE * STEP / FASTER:g}s" repeatCount="indefinite"'
        f' calcMode="linear" values="{values}"/></g>'
    )


def learning(
    curves: Mapping[str, Sequence[float]], lines: Mapping[str, float], xlabel: str = "updates"
) -> Figure:
    """Metres a car over updates, with a dashed line for each driver that does not learn.

    curves: name → metres, one number an update; lines: name → metres.
    """
    fig, ax = plt.subplots(figsize=(7.5, 3.6))
    for name, height in lines.items():
        ax.axhline(height, color=plots.INK, linewidth=1.2, linestyle=(0, (4, 3)))
        ax.annotate(
            name, (0.01, height), xycoords=ax.get_yaxis_transform(), va="bottom", fontsize=10
        )
    plots.curves(ax, {k: list(v) for k, v in curves.items()}, xlabel, "metres a car")
    ax.set_ylim(bottom=0)
    return fig


def estimates(by_name: Mapping[str, ArrayLike], mean: float) -> Figure:
    """How gradient estimates are spread: a histogram for each name, one below the other, and a line
    at the mean that both should have."""
    fig, axes = plt.subplots(len(by_name), 1, figsize=(7.2, 1.7 * len(by_name)), sharex=True)
    for number, (ax, (name, values)) in enumerate(zip(axes, by_name.items(), strict=True)):
        ax.hist(np.asarray(values), bins=40, range=(-3, 4), color=plots.CURVE_COLOURS[number])
        ax.axvline(mean, color=plots.INK, linewidth=1.5, linestyle=(0, (4, 3)))
        ax.set(title=name, yticks=[])
        ax.set_ylabel("batches")
    axes[-1].set_xlabel("estimate of the gradient")
    return fig


def runs(by_name: Mapping[str, ArrayLike], lines: Mapping[str, float]) -> Figure:
    """Runs that differ in their seed alone: a mark each, in rows; a vertical bar at each mean."""
    fig, ax = plt.subplots(figsize=(7.5, 0.75 * len(by_name) + 1.3))
    rng = np.random.default_rng(0)  # moves marks up and down, so that they do not cover each other
    for number, values in enumerate(by_name.values()):
        row = np.asarray(values, dtype=float)
        shaken = number + rng.uniform(-0.22, 0.22, len(row))
        colour, marker = plots.CURVE_COLOURS[number], plots.CURVE_MARKERS[number]
        ax.scatter(row, shaken, s=22, alpha=0.8, color=colour, marker=marker)
        ax.plot([row.mean()] * 2, [number - 0.38, number + 0.38], color=plots.INK, linestyle="-")
    for name, at in lines.items():
        ax.axvline(at, color=plots.INK, linewidth=1.2, linestyle=(0, (4, 3)))
        ax.annotate(name, (at, 1.01), xycoords=ax.get_xaxis_transform(), ha="center", fontsize=10)
    ax.set(
        yticks=range(len(by_name)), yticklabels=list(by_name), xlabel="metres a car on new tracks"
    )
    ax.set_ylim(len(by_name) - 0.4, -0.6)
    return fig


def order(shares: Mapping[int, float]) -> Figure:
    """How often the worse of two comes out ahead, by the number of runs of each."""
    fig, ax = plt.subplots(figsize=(6.4, 3.2))
    ax.bar([str(n) for n in shares], [100 * share for share in shares.values()], color=plots.BLUE)
    ax.set(xlabel="runs of each", ylabel="worse one ahead (%)", ylim=(0, 50))
    return fig


def _road(ax: Axes, track: Track) -> None:
    for edge in track.walls:
        ax.plot(*np.concatenate([edge, edge[:1]]).T, color=plots.GREY, linewidth=1, linestyle="-")
    left, right = (np.concatenate([edge, edge[:1]]) for edge in track.walls)
    ax.fill(*np.concatenate([left, right[::-1]]).T, color=ROAD, linewidth=0)
    ax.set_aspect("equal")
    ax.set(xlabel="metres", ylabel="metres")
    ax.label_outer()
    ax.grid(False)
