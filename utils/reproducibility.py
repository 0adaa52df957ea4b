"""Seeds: the same numbers on every run."""

import operator
import random
import sys

import numpy as np


def seed_everything(seed: int) -> np.random.Generator:
    """Seed Python's `random`, NumPy's global generator and, once imported, torch on every device.

    Call it after `import torch`: a torch that is imported later keeps its own seed. Prefer the
    returned generator to the global ones, since nothing else can draw from it.

    seed: a whole number, 0 ≤ seed < 2**32 (the range of NumPy's global generator).
    Returns a NumPy Generator started from the same seed.
    Raises ValueError for any other seed.
    """
    try:
        number = operator.index(seed)
    except TypeError:
        number = -1
    if not 0 <= number < 2**32:
        raise ValueError(f"The seed must be a whole number from 0 to 2**32 − 1, not {seed!r}.")
    random.seed(number)
    np.random.seed(number)
    if "torch" in sys.modules:
        sys.modules["torch"].manual_seed(number)  # seeds the CPU and every accelerator
    return np.random.default_rng(number)
