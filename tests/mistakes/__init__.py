"""The named wrong answers of each lab, as the tests answer with them; see `checks.mistakes`."""

import importlib
import importlib.util
from pathlib import Path

from grading.checks.mistakes import Mistake

FOLDER = Path(__file__).parent


def load(lab: str) -> list[Mistake]:
    """The mistakes of a lab, such as "01_perceptron"."""
    path = FOLDER / f"{lab}.py"
    if path.exists():  # a lab whose misconceptions still stand twice
        spec = importlib.util.spec_from_file_location(f"mistakes_{lab}", path)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module.MISTAKES
    answers = importlib.import_module(f"grading.checks.answers.{lab[3:]}")
    return list(answers.MISTAKES)


def variants(exercise: str, template: str, **usual: str):
    def mistake(name: str, points: float, says: str, **changes: str) -> Mistake:
        return Mistake(exercise, name, points, says, template.format(**{**usual, **changes}))

    return mistake


__all__ = ["Mistake", "load", "variants"]
