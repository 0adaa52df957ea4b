"""What holds while a block of code runs: a model's evaluation mode, and that a sweep runs."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from torch import nn

# While a sweep runs: Ctrl-C in one of its runs ends the whole queue.
in_sweep: ContextVar[bool] = ContextVar("in_sweep", default=False)


@contextmanager
def evaluation_mode(model: nn.Module) -> Iterator[None]:
    """The model in evaluation mode within the block; afterwards each module in the mode it had."""
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        yield
    finally:
        for module, mode in modes:
            module.training = mode
