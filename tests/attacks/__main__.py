"""Tables of attacks, in Markdown: what they get from stock nbgrader, and from this course.

python -m tests.attacks --table [NAME ...]     # default: all; about a quarter of an hour
python -m tests.attacks --exercises            # every exercise of every lab; about two minutes
"""

import argparse
import datetime
import importlib.metadata
import os
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from tqdm import tqdm

from tests.attacks import Attack, corpus, every_exercise
from tests.attacks.ours import LIMITS, REFUSED, Graded, Recorded, attack_ours, record
from tests.attacks.outcome import Outcome
from tests.attacks.stock import attack_stock, template
from tests.attacks.victim import HONEST, World

GAINS = {
    "marks": "marks",
    "reading": "secrets",
    "escape": "a way out",
    "denial": "denial of service",
    "browser": "the instructor's browser",
}
SECONDS = 1800.0
HEAD = """\
# Dishonest notebooks

Each row is an otherwise unsolved notebook of a tiny lab with four exercises and 7 points, handed in
to stock `nbgrader autograde` (hidden tests with asserts, a fresh course for each attack) and, all
of them as one class, to `python -m grading autograde`. The honest mark is 0. The attacker is an
insider who knows where everything is. "No mark" means that stock nbgrader gave none, because the
submission made it fail. The attacks are in `tests/attacks/corpus/`; `test_attacks.py` beside it
asserts the last column. Made by `python -m tests.attacks --table > docs/attacks.md`.
"""
FOOT = """\
## Sources

- nbgrader pull request 1324: errors hidden by a replaced `showtraceback` (mended there since).
- PrairieLearn issue 11137, pull requests 5184 and 1999, `graders/python/python_autograder`: student
  code in the process that holds the answers, the tests and the name of the results file.
- otter-grader, `otter/execute/preprocessor.py` and `__init__.py`: the student's kernel pickles the
  results that the grader loads; cells tagged `otter_ignore` are left out.
- relate issue 295: numbers that compare as they like.
- Saligrama 2022, <https://saligrama.io/blog/gradescope-autograder-security/>: results and harness
  overwritten, by a process that outlives the tests too.
- Kratzke 2019, *Smart Like a Fox*, CSEDU: overfitting, evasion, redirection, injection.
- gradema, *Security of Autograder*: leaving early with exit code 0."""


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.attacks", description=__doc__)
    kind = parser.add_mutually_exclusive_group(required=True)
    kind.add_argument("--table", action="store_true", help="the table of attacks")
    kind.add_argument("--exercises", action="store_true", help="the table of every exercise")
    parser.add_argument("names", nargs="*", metavar="NAME", help="attacks; default: all")
    options = parser.parse_args(arguments)
    if options.exercises:
        print(every_exercise.table(machine()))
        return 0
    known = corpus()
    if unknown := set(options.names) - set(known):
        parser.error(f"there is no attack {', '.join(sorted(unknown))}")
    attacks = [attack for name, attack in known.items() if name in (options.names or known)]
    with tempfile.TemporaryDirectory() as folder:
        stock = against_stock(attacks, Path(folder, "stock"))
        world = World(Path(folder, "ours"))
        try:
            ours = attack_ours(world, attacks, SECONDS)
            recorded = record(world, SECONDS)
        finally:
            world.close()
    print(table(attacks, stock, ours, recorded))
    return 0 if held(ours, recorded) else 1


def against_stock(attacks: Sequence[Attack], folder: Path) -> dict[str, Outcome]:
    """What stock nbgrader makes of the attacks that can be run on it."""
    source = template(folder / "template")
    try:
        run = [attack for attack in attacks if not attack.stock]
        return {
            attack.name: attack_stock(source, attack, folder / attack.name)
            for attack in tqdm(run, unit="attack", desc="stock")
        }
    finally:
        source.close()


def held(ours: Graded, recorded: Recorded) -> bool:
    """No marks, nothing read, touched or run, and honest people got theirs."""
    refused = {name for name, one in ours.outcomes.items() if one.score is None}
    attacked = any(one.score or one.succeeded for one in ours.outcomes.values())
    attacked = attacked or not refused <= {*REFUSED}
    marks = {name for name, score in recorded.scores.items() if score}
    return not attacked and not ours.harm and not recorded.live and marks == set(HONEST)


def table(
    attacks: Sequence[Attack], stock: Mapping[str, Outcome], ours: Graded, recorded: Recorded
) -> str:
    """The table and its summary, in Markdown."""
    lines = [
        "| attack | after | what it does | stock nbgrader | this course |",
        "|---|---|---|---|---|",
    ]
    for one in attacks:
        what = one.what.replace("|", "\\|") + (f" ({one.source})" if one.source else "")
        there = str(stock[one.name]) if one.name in stock else one.stock
        here = str(ours.outcomes[one.name])
        lines.append(f"| `{one.name}` | {GAINS[one.gain]} | {what} | {there} | {here} |")
    worked = sum(outcome.succeeded for outcome in stock.values())
    marks = sum(bool(outcome.score) for outcome in stock.values())
    failed = [name for name, outcome in ours.outcomes.items() if outcome.succeeded]
    ungraded = {name: one for name, one in ours.outcomes.items() if one.score is None}
    refused = [name for name, one in ungraded.items() if one.note == "refused by name"]
    lost = [name for name in ungraded if name not in refused]
    honest = ", ".join("none" if one is None else f"{one['score']:g}" for one in ours.honest)
    cell, exercise, total = LIMITS
    recorded_marks = sorted(name for name, score in recorded.scores.items() if score)
    isolations = sorted({str(one["isolation"]) for one in ours.results.values()})
    summary = [
        f"{machine()}; {datetime.date.today().isoformat()};"
        f" nbgrader {importlib.metadata.version('nbgrader')}.",
        "",
        f"- Stock nbgrader: of {len(stock)} attacks that were run, {worked} worked; {marks} of them"
        " gained marks.",
        f"- This course: of {len(ours.outcomes)} attacks, {len(failed)} worked{_listed(failed)};"
        f" {len(refused)} refused by name, and not graded{_listed(refused)};"
        f" {len(lost)} were left without a verdict{_listed(lost)}.",
        f"- Touched outside: {'; '.join(ours.harm) or 'nothing'}.",
        f"- Honest submissions among them: {honest} of 7 points.",
        f"- {ours.seconds:.0f} seconds for {len(ours.results)} submissions, two at a time, at most"
        f" {cell} seconds a cell, {exercise} an exercise, {total} a notebook.",
        f"- Isolation: {'; '.join(isolations)}.",
        f"- In nbgrader's gradebook, marks for {', '.join(recorded_marks) or 'nobody'}.",
        "- What would run in a browser on the pages of report and feedback:"
        f" {', '.join(sorted(recorded.live)) or 'nothing'}.",
        "",
    ]
    return "\n".join([HEAD, *summary, *lines, "", FOOT])


def _listed(names: Sequence[str]) -> str:
    return f" ({', '.join(names)})" if names else ""


def machine() -> str:
    """This machine in a few words."""
    described = Path("/proc/cpuinfo").read_text().splitlines()
    model = next((line.split(":")[1].strip() for line in described if "model name" in line), "CPU")
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**30
    return f"{len(os.sched_getaffinity(0))} cores ({model}), {memory:.0f} GB"


if __name__ == "__main__":
    sys.exit(main())
