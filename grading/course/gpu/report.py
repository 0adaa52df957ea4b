"""What came of it: report.json for programs, report.md for people, docs/gpu.md for all machines."""

import dataclasses
import json
import subprocess
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from grading.course.files import CourseError, labs_in, write_atomically
from grading.course.gpu.steps import ways

FORMAT = 1


@dataclass
class Tried:
    """One step. state: not begun, running, done, failed, stopped (by a limit) or interrupted."""

    name: str
    kind: str
    state: str
    cause: str = ""
    seconds: float = 0.0
    figures: dict[str, Any] = field(default_factory=dict)


@dataclass
class Report:
    """One run of the command. ended: "not yet", "in time", "by its budget" or "by an interrupt"."""

    date: str
    commit: str
    minutes: float
    scale: str = ""
    at_once: int = 1
    ended: str = "not yet"
    machine: dict[str, Any] = field(default_factory=dict)
    steps: list[Tried] = field(default_factory=list)
    format: int = FORMAT

    @property
    def failed(self) -> list[Tried]:
        return [one for one in self.steps if one.state in ("failed", "stopped")]

    @property
    def gpus(self) -> list[dict[str, Any]]:
        return self.machine.get("gpus", [])

    def of(self, *kinds: str) -> list[Tried]:
        return [one for one in self.steps if one.kind in kinds]


def new(root: Path, minutes: float) -> Report:
    return Report(time.strftime("%Y-%m-%d %H:%M"), _commit(root), minutes)


def _commit(root: Path) -> str:
    """The commit that is checked out, with a word where files differ; "unknown" without git."""
    with suppress(OSError, subprocess.CalledProcessError):
        asked = ["git", "-C", str(root), "describe", "--always", "--dirty=, changed", "--abbrev=12"]
        return subprocess.check_output(asked, text=True, stderr=subprocess.DEVNULL).strip()
    return "unknown"


def write(report: Report, folder: Path) -> None:
    data = json.dumps(dataclasses.asdict(report), indent=1, ensure_ascii=False)
    write_atomically(folder / "report.json", f"{data}\n".encode())
    write_atomically(folder / "report.md", page(report).encode())


def read(file: Path) -> Report:
    """Raises CourseError for what is no report."""
    try:
        data = json.loads(file.read_text(encoding="utf-8"))
        data["steps"] = [Tried(**one) for one in data["steps"]]
        return Report(**data)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise CourseError(f"{file} is no report of `python -m grading gpu` ({error}).") from None


# For people


def line(tried: Tried) -> str:
    """One step in one line: what the terminal shows when it ends."""
    points = f"{_points(tried)}  " if tried.kind == "lab" else ""
    cause = f"  {tried.cause}" if tried.cause else ""
    return f"{tried.name:<46}{points:<12}{tried.seconds:>7.1f} s  {tried.state}{cause}"


def page(report: Report) -> str:
    """The report as Markdown."""
    how = f"commit {report.commit}, budget {report.minutes:g} minutes, ended {report.ended}"
    return (
        "\n".join(["# What of the course runs here", "", how + ".", "", *_body(report, "##")])
        + "\n"
    )


def _body(report: Report, heading: str) -> Iterator[str]:
    yield from _machine(report)
    parts = (
        ("What failed", _failures(report)),
        ("Kernels", _kernels(report)),
        ("Ranks", _ranks(report)),
        ("Engines", _engines(report)),
        ("Networks, a forward and a backward", _networks(report)),
        ("Labs", _labs(report)),
    )
    for title, lines in parts:
        if found := list(lines):
            yield from ("", f"{heading} {title}", "", *found)


def _machine(report: Report) -> Iterator[str]:
    machine = report.machine
    if not machine:
        yield f"{report.date}; the machine was not looked at yet."
        return
    yield f"{machine['words']}; {report.date}."
    versions = [f"{name} {version}" for name, version in machine["packages"].items()]
    yield ""
    yield f"{', '.join(versions)}; CUDA {machine['cuda'] or 'none'}," + (
        f" driver {machine['driver'] or 'none'}, NCCL {_version(machine['nccl'])}."
    )
    for number, gpu in enumerate(report.gpus):
        reached = [str(n) for n, yes in enumerate(machine["peers"][number]) if yes and n != number]
        yield f"- GPU {number}: {gpu['name']}, {gpu['memory'] / 2**30:.0f} GiB, capability" + (
            f" {gpu['capability']}, {gpu['processors']} processors; reaches GPUs"
            f" {', '.join(reached) or 'none'} directly"
        )
    if not report.gpus:
        yield ""
        yield f"**No GPU was used**: {machine['no GPU because']}. What follows is the CPU's."


def _version(numbers: Sequence[int]) -> str:
    return ".".join(map(str, numbers)) or "none"


def _failures(report: Report) -> Iterator[str]:
    for one in report.failed:
        yield f"- {one.name}: {one.cause}"
        for more in one.figures.get("failures", []):
            if more != one.cause:
                yield f"  - {more}"
    waiting = [one.name for one in report.steps if one.state == "not begun"]
    if waiting:
        yield f"- Not begun: {', '.join(waiting)}."
    stopped = [one.name for one in report.steps if one.state == "interrupted"]
    if stopped:
        yield f"- Interrupted: {', '.join(stopped)}."


def _kernels(report: Report) -> Iterator[str]:
    for one in report.of("kernels"):
        if not one.figures:
            continue
        known = one.figures["sheet"]
        gaps = ", ".join(f"{name} {gap:.0e}" for name, gap in one.figures["gaps"].items())
        yield f"{one.figures['kernels']} Farthest from torch's values: {gaps}."
        yield ""
        yield "| work | reached | data sheet | share |"
        yield "|---|--:|--:|--:|"
        for name, row in one.figures["rows"].items():
            kind = "bfloat16" if "bfloat16" in name else "float32"
            moved = "bytes a second" in row
            reached = row["bytes a second" if moved else "FLOP a second"]
            said = known.get("bandwidth" if moved else kind)
            share = f"{reached / said:.0%}" if said else "–"
            yield f"| {name} | {_rate(reached, moved)} | {_rate(said, moved)} | {share} |"


def _rate(number: float | None, moved: bool) -> str:
    if number is None:
        return "–"
    if moved:
        return f"{number / 1e9:,.1f} GB/s"
    return f"{number / 1e12:,.2f} TFLOP/s" if number >= 1e11 else f"{number / 1e9:,.1f} GFLOP/s"


def _ranks(report: Report) -> Iterator[str]:
    yield "| way | ranks | rank 0 to rank 1 | all-reduce, over each link | seconds in all |"
    yield "|---|--:|--:|--:|--:|"
    found = {one.name.removeprefix("ranks, "): one for one in report.of("exchange")}
    for way in ways(len(report.gpus), tuple(report.machine.get("nccl", ()))):
        one = found.get(way.name)
        if way.impossible:
            yield f"| {way.name} | | not here: {way.impossible} | | |"
        elif one is None or not one.figures:
            yield f"| {way.name} | | {one.state if one else 'not asked for'} | | |"
        else:
            sent, reduced = one.figures["send"] / 1e9, one.figures["reduce"] / 1e9
            yield f"| {way.name} | {one.figures['ranks']} | {sent:.2f} GB/s |" + (
                f" {reduced:.2f} GB/s | {one.seconds:.0f} |"
            )


def _engines(report: Report) -> Iterator[str]:
    sleeping = [row for one in report.of("sleeping") for row in one.figures.get("rows", [])]
    if sleeping:
        yield "| stages that sleep | schedule | engine | bubble | theory |"
        yield "|---|---|---|--:|--:|"
        for row in sleeping:
            yield f"| {_where(row)} | {row['schedule']} | {row['engine']} |" + (
                f" {row['bubble']:.3f} | {row['theory']:.3f} |"
            )
    real = [row for one in report.of("layers") for row in one.figures.get("rows", [])]
    if real:
        depth, width, rows = real[0]["sizes"]
        yield ""
        yield f"Real layers: {depth} of {width:,} units on each rank, {rows:,} rows a micro-batch."
        yield ""
        yield "| real layers | schedule | speed-up over one rank | theory |"
        yield "|---|---|--:|--:|"
        for row in real:
            yield f"| {_where(row)} | {row['schedule']} |" + (
                f" {row['speed-up']:.2f} | {row['theory']:.2f} |"
            )
        yield ""
        yield "Theory is of ranks that have a device, or enough cores, of their own."


def _where(row: dict[str, Any]) -> str:
    return f"{row['where'].rstrip('.')} (m = {row['microbatches']})"


def _networks(report: Report) -> Iterator[str]:
    rows = [row for one in report.of("networks") for row in one.figures.get("rows", [])]
    if rows:
        yield "| network | CPU | GPU | times as fast | difference of a gradient |"
        yield "|---|--:|--:|--:|--:|"
    for row in rows:
        gpu = row.get("cuda", row.get("mps"))
        both = (f"{1e3 * gpu:.2f} ms", f"{row['cpu'] / gpu:.1f}") if gpu else ("–", "–")
        yield f"| {row['network']} | {1e3 * row['cpu']:.2f} ms | {both[0]} | {both[1]} |" + (
            f" {row['gap']:.0e} |" if gpu else " – |"
        )


def _labs(report: Report) -> Iterator[str]:
    labs = report.of("lab")
    if not labs:
        return
    yield f"Scale {report.scale}, {report.at_once} at a time."
    yield ""
    yield "| lab | state | points | cells | seconds |"
    yield "|---|---|--:|--:|--:|"
    for one in labs:
        cells = f"{one.figures['ran']} of {one.figures['cells']}" if one.figures else ""
        seconds = f"{one.seconds:.0f}" if one.seconds else ""
        yield f"| {one.name} | {one.state} | {_points(one)} | {cells} | {seconds} |"
    said = [(one.name, headline) for one in labs for headline in one.figures.get("headlines", [])]
    if said:
        yield ""
    yield from (f"- {name}: {headline}" for name, headline in said)


def _points(lab: Tried) -> str:
    return f"{lab.figures['points']:g} of {lab.figures['of']:g}" if lab.figures else ""


# The ledger


def keep(root: Path, file: Path) -> Path:
    """Put a report among those that the ledger is made from. Raises CourseError where there was no
    GPU."""
    report = read(file)
    if not report.gpus:
        raise CourseError(f"{file} is of a machine without a GPU: the ledger lists GPUs.")
    gpu = "-".join(report.gpus[0]["name"].split()).lower()
    name = f"{report.date[:10]}_{len(report.gpus)}x_{gpu}.json"
    kept = root / "docs" / "gpu" / name
    write_atomically(kept, file.read_bytes())
    return kept


def write_ledger(root: Path) -> Path:
    page = root / "docs" / "gpu.md"
    write_atomically(page, ledger(root).encode())
    return page


LEDGER = """# On real GPUs: the ledger

`python -m grading gpu --ledger` writes this page from the reports in `docs/gpu/`. A report is what
`make gpu` leaves in `build/gpu/` on a machine with a GPU: within a budget (`ARGS="--minutes 6"`) it
runs lab 11's kernels, every way for ranks to send tensors, lab 15's engines, networks on CPU and
GPU, and every lab's solution with its checks. It needs no network, and of Python packages only
torch, torchvision, triton, numpy, scikit-learn, matplotlib, networkx, pyyaml, cloudpickle and tqdm;
so without an installation: `python -m grading gpu --minutes 6`. `python -m grading gpu --keep` puts
the last report into `docs/gpu/` and writes this page.
"""


def ledger(root: Path) -> str:
    """docs/gpu.md: what ran on which GPUs, and what never did."""
    kept = [read(file) for file in sorted((root / "docs" / "gpu").glob("*.json"))]
    parts = [LEDGER]
    for report in kept:
        title = f"## {report.date[:10]}, {len(report.gpus)} × {report.gpus[0]['name']}"
        how = f"Commit {report.commit}; {report.minutes:g} minutes, ended {report.ended}."
        parts.append("\n".join([title, "", how, "", *_body(report, "###"), ""]))
    never = list(_never(kept, labs_in(root / "solutions", ".py")))
    parts.append("\n".join(["## Never run on a GPU", "", *never, ""]))
    return "\n".join(parts)


def _never(reports: Sequence[Report], labs: Iterable[str]) -> Iterator[str]:
    done = {one.name for report in reports for one in report.steps if one.state == "done"}
    if not reports:
        yield "Nothing of this course has been run on a GPU yet: there is no report."
        yield ""
    most = max((len(report.gpus) for report in reports), default=0)
    steps = {
        "kernels": "lab 11's kernels, compiled, and torch's beside the data sheet",
        "engines, stages that sleep": "lab 15's engines with stages that sleep",
        "engines, real layers": "lab 15's engines with real layers",
        "networks": "the labs' networks on CPU and GPU",
    }
    ranks = {f"ranks, {way.name}": f"ranks: {way.name}" for way in ways(2, (99,)) if way.gpus}
    for name, words in (steps | ranks).items():
        if name not in done:
            yield f"- {words}"
    if most < 2:
        yield "- anything on several GPUs"
    never = [lab for lab in labs if lab not in done]
    if never:
        yield f"- labs: {', '.join(never)}"
