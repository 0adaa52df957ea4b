"""Dishonest notebooks, and what they get: from stock nbgrader, and from this course's grading.

Each attack is handed in as an otherwise unsolved notebook of a tiny lab (`tests/attacks/lab`), so
the honest mark is 0. `python -m tests.attacks --table` runs all of them against stock nbgrader and
against `python -m grading autograde` and prints the table of docs/attacks.md;
`test_attacks.py` asserts that here none gains a mark, reads a secret or touches anything.

The attacker is an insider: an attack's text may name @COURSE@ (the instructor's folder), @HOME@
(the instructor's home), @PID@ (a process of the instructor's), @HOST@ and @PORT@ (a service on the
instructor's machine) and @SOCKET@ (a Unix socket), and each is replaced by the true value.
What an attack reads it prints, but only strings that look like a planted secret (`FIND`).

`source` says where an attack is from, if it is not our own; the table has the references.
"""

import importlib
import pkgutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

LAB = "01_attacked"
MAX_SCORE = 7.0

Notebook = dict[str, Any]
Gain = Literal["marks", "reading", "escape", "denial", "browser"]

# What an attack's cells begin with if they look for secrets: never anything but planted ones.
FIND = '''\
import re

found = ""


def find(data):
    """Keep and print what looks like a planted secret, and nothing else."""
    global found
    text = data if isinstance(data, str) else bytes(data).decode("latin-1")
    for secret in sorted(set(re.findall("canary-[a-z]+-[0-9a-f]{16}", text))):
        print("read", secret)
        if secret.startswith("canary-codeword"):
            found = secret


def find_file(path):
    try:
        with open(path, "rb") as file:
            find(file.read(20_000_000))
    except OSError as error:
        print(type(error).__name__, path)
'''


def returning(expression: str) -> dict[str, str]:
    """Answers that all give the same Python expression, whatever they are asked."""
    return {
        "center": f"def center(x):\n    return {expression}\n",
        "slope": f"def slope(x, y):\n    return {expression}\n",
        "averager": (
            "class Averager:\n    def add(self, value):\n        pass\n\n"
            f"    def mean(self):\n        return {expression}\n"
        ),
        "codeword": f"codeword = {expression}\n",
    }


NOTHING = returning("None")
FOUND = returning("None") | {"codeword": "codeword = found\n"}


@dataclass(frozen=True)
class Victim:
    """Where a link in a notebook's place may lead: a classmate's notebook, the instructor's."""

    classmate: Path
    solution: Path


@dataclass(frozen=True)
class Attack:
    """One dishonest submission.

    what: one sentence; gain: what it is after. before, after: a cell ahead of the answers, and one
    at the end; answers: the source of each exercise's answer cell. tamper: changes the notebook
    itself; files: what lies beside it; replace: puts something else in the notebook's place.
    stock: empty if it can be run on stock nbgrader, else why it is not. source: where it is from.
    """

    name: str
    gain: Gain
    what: str
    before: str = ""
    answers: Mapping[str, str] = field(default_factory=lambda: NOTHING)
    after: str = ""
    tamper: Callable[[Notebook], None] | None = None
    files: Mapping[str, str] = field(default_factory=dict)
    replace: Callable[[Path, Victim], None] | None = None
    stock: str = ""
    source: str = ""


def corpus() -> dict[str, Attack]:
    """Every attack by name, theme by theme."""
    found: dict[str, Attack] = {}
    folder = Path(__file__).parent / "corpus"
    for module in sorted(pkgutil.iter_modules([str(folder)]), key=lambda one: one.name):
        for attack in importlib.import_module(f"tests.attacks.corpus.{module.name}").ATTACKS:
            if attack.name in found:
                raise ValueError(f"two attacks are called {attack.name}")
            found[attack.name] = attack
    return found
