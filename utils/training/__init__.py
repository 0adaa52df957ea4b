"""Training that is watched: a loop for classifiers, one for texts (`text`), curves, sweeps.

A name comes from its module when it is first used: who only trains loads nothing that draws.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from utils.training.live import Live
    from utils.training.loop import History, Row, Score, evaluate, fit, minibatches
    from utils.training.modes import evaluation_mode
    from utils.training.rates import Schedule
    from utils.training.sweeps import append_row, bar, heat_map, read_table, sweep

__all__ = [
    "History",
    "Live",
    "Row",
    "Schedule",
    "Score",
    "append_row",
    "bar",
    "evaluate",
    "evaluation_mode",
    "fit",
    "heat_map",
    "minibatches",
    "read_table",
    "sweep",
]

_MODULES = ("modes", "rates", "loop", "live", "sweeps")  # those that draw last


def __getattr__(name: str) -> Any:
    if name in __all__:
        for module in _MODULES:
            found = vars(importlib.import_module(f"{__name__}.{module}"))
            if name in found:
                return found[name]
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
