"""Training that is watched: a loop for classifiers, one for texts (`text`), curves, sweeps."""

from utils.training.live import Live
from utils.training.loop import (
    History,
    Row,
    Score,
    evaluate,
    evaluation_mode,
    fit,
    minibatches,
)
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
