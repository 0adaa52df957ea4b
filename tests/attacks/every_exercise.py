"""Attacks on every exercise of every lab: the kernel itself lies.

In such a notebook no exercise is answered. Its first cell takes the place of what answers the
judge's requests: *by heart* gives what a right notebook said to other inputs, *nothing* gives an
empty list whatever is asked.
"""

import base64
import datetime
import json
import sys
import tempfile
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

from nbformat.v4 import new_code_cell, new_notebook, writes

from grading.answer import exercise
from grading.marking import kernels
from grading.marking.job import Job, grade, setting_of
from tests.checks.test_evidence import Recorder, judged
from tests.labs import LABS, ROOT, reference

_TAKE_OVER = """
import base64, json
import grading.answer.runner as runner
from grading.answer.codec import decode, encode

replies = json.loads({replies!r})
nothing = encode({{"value": [], "mutated": []}})

class Liar:
    def answer(self, request):
        asked = decode(request)
        name = asked.get("name") or ".".join(map(str, asked.get("path", [])))
        kept = replies.get(asked["do"] + " " + name)
        return base64.b64decode(kept.pop(0)) if kept else nothing

runner._kernels_runner = Liar
"""
ATTACKS = ("by heart", "nothing")

_HEAD = """\
# Every exercise, attacked

In each of these notebooks nothing is answered: the kernel itself lies. *By heart*: it says to every
request what a right notebook said to other inputs. *Nothing*: it says an empty list, whatever is
asked. Points earned, in the sandbox; the honest mark is 0.
`tests/attacks/test_every_exercise.py` asserts the zeros. Made by
`python -m tests.attacks --exercises > docs/attacks_exercises.md`.
"""
_FOOT = """
## What remains

An exercise that asks for one word or one number can be guessed, and a learner's own check says at
once whether the guess is right. These points can be had without understanding; docs/grading.md says
what an instructor of a graded class does about it. So it is with lab 18's boards, which are the
same for everybody: a schedule that was copied is as good as one that was found. A program that
makes schedules (levels 1, 3 and 5 to 8) is asked for numbers that are drawn.

Ranks that are simulated in one process share its memory, and what a process says of its own way
(how many activations it held, what it freed) cannot be checked from outside. Known to be left, in
points: lab 12, one exercise's answer handed in for the next, 0.5, and patterns of messages without
their numbers, 0.9 (tree) and 1.15 (ring); lab 14, a batch in one piece where it should be split,
0.9 of its exercise's points; lab 15, `measured_stash` computed from the schedule instead of
measured, 1.5, and `run_stage`'s count of what it holds, 0.3; lab 16, that nothing flows back into
another stage, 0.6, beside values that are right; lab 17, a checkpoint of tokens whose states stay
in the process's memory, 2, and the kill of a real process, 0.25; lab 21, that no gradient
reaches the target network, 0.15, beside targets that are right. In lab 13 the moments in `self.m`
and `self.v` are the state, since the judge puts other numbers there between two steps; that a rank
keeps no second copy beside them is not seen. A kernel of lab 11 is read by the judge as text, which
a process can hand in instead of the notebook's if it uses the same names, and which is the same
without `@jit`; the idle share of its profile is one number, the same for everybody. What a function
hides from a search of its source (a library under a name that is computed) is found by the value
only: PyTorch's cosine in lab 16's `similarity`, 0.6, has the same values as one written out."""


def course(folder: Path) -> Path:
    """This course, but for its secret and its gradebook."""
    folder.mkdir()
    for name in ("labs", "solutions", "grading"):
        (folder / name).symlink_to(ROOT / name)
    return folder


def graded(root: Path, lab: str) -> dict[str, dict[str, Any]]:
    """The results of the attacks on a lab, by attack, as the command's workers make them."""
    setting = setting_of(root, lab, kernels.SANDBOX)
    notebooks = {
        attack: _notebook(lab, _replies(lab) if attack == "by heart" else {}) for attack in ATTACKS
    }
    return {name: grade(Job(name, text.encode(), setting)) for name, text in notebooks.items()}


def _replies(lab: str) -> dict[str, list[str]]:
    """What a right notebook answers to other inputs, but for the values that it only shows."""
    found: dict[str, list[str]] = {}
    for name in exercise.load(lab):
        recorder = Recorder(dict(reference(lab)))
        judged(lab, name, recorder, seed=1)
        for asked, replies in recorder.replies.items():
            if not asked.startswith("get "):
                found.setdefault(asked, []).extend(base64.b64encode(r).decode() for r in replies)
    return found


def _notebook(lab: str, replies: dict[str, list[str]]) -> str:
    cells = [new_code_cell(_TAKE_OVER.format(replies=json.dumps(replies)))]
    for name in exercise.load(lab):
        about = {"grade_id": name, "grade": True, "solution": False, "locked": True}
        cells.append(new_code_cell(f'check("{name}")', metadata={"nbgrader": about}))
    return writes(new_notebook(cells=cells))


def table(machine: str) -> str:
    """The page on every exercise, in Markdown."""
    lines = ["| lab | exercises | points | by heart | nothing |", "|---|---|---|---|---|"]
    with tempfile.TemporaryDirectory() as folder, redirect_stdout(sys.stderr):
        root = course(Path(folder, "course"))
        for lab in LABS:
            found, known = graded(root, lab), exercise.load(lab)
            points = sum(one.points for one in known.values())
            earned = " | ".join(f"{found[attack]['score']:g}" for attack in ATTACKS)
            lines.append(f"| {lab} | {len(known)} | {points:g} | {earned} |")
    said = f"{machine}; {datetime.date.today().isoformat()}.\n"
    return "\n".join([_HEAD, said, *lines, _FOOT])
