"""The named wrong answers of each lab, and the diagnosis that each must get.

`tests/mistakes/NN_name.py` has a list `MISTAKES`. A mistake's code replaces the reference's
definitions of the same names; everything else stays the reference.
"""

import importlib.util
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

FOLDER = Path(__file__).parent


@dataclass(frozen=True)
class Mistake:
    """One wrong answer to one exercise.

    score: the points it must get, fewer than the exercise has. says: text that its diagnosis must
    contain. code: what the learner wrote, in full.
    """

    exercise: str
    name: str
    score: float
    says: str
    code: str


def variants(exercise: str, template: str, **usual: str) -> Callable[..., Mistake]:
    """Makes mistakes of an exercise: its usual answer, with some pieces changed.

    template: the answer, with a {name} for each piece; usual: the pieces of the right answer. What
    is returned takes a mistake's name, score and diagnosis, and the pieces that are wrong in it.
    """

    def mistake(name: str, score: float, says: str, **changes: str) -> Mistake:
        return Mistake(exercise, name, score, says, template.format(**{**usual, **changes}))

    return mistake


def load(lab: str) -> list[Mistake]:
    """The mistakes of a lab, such as "01_perceptron"."""
    path = FOLDER / f"{lab}.py"
    spec = importlib.util.spec_from_file_location(f"mistakes_{lab}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.MISTAKES
