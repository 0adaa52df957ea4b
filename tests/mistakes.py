"""The named wrong answers of each lab, as the tests answer with them; see `checks.mistakes`."""

import importlib

from grading.checks.mistakes import Mistake


def load(lab: str) -> list[Mistake]:
    """The mistakes of a lab, such as "01_perceptron"."""
    answers = importlib.import_module(f"grading.checks.answers.{lab[3:]}")
    return list(answers.MISTAKES)
