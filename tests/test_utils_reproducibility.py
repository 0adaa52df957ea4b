"""Equal seeds give equal numbers, wherever they are drawn."""

import random
import subprocess
import sys

import numpy as np
import pytest
import torch

from utils.reproducibility import seed_everything


def draw(seed: int) -> list[float]:
    """One number from each source that a lab may draw from."""
    generator = seed_everything(seed)
    return [random.random(), np.random.random(), torch.rand(()).item(), generator.random()]


def test_equal_seeds_give_equal_numbers() -> None:
    assert draw(7) == draw(7)


def test_each_source_depends_on_the_seed() -> None:
    assert all(one != other for one, other in zip(draw(7), draw(8), strict=True))


def test_the_generator_is_not_disturbed_by_the_global_ones() -> None:
    expected = seed_everything(3).random()
    generator = seed_everything(3)
    random.random()
    np.random.random()
    torch.rand(1)
    assert generator.random() == expected


@pytest.mark.parametrize("seed", [-1, 2**32, 1.0, "1", None])
def test_a_seed_out_of_range_is_refused_and_nothing_is_seeded(seed: object) -> None:
    random.seed(5)
    expected = random.random()
    random.seed(5)
    with pytest.raises(ValueError, match="The seed must be a whole number from 0"):
        seed_everything(seed)  # pyright: ignore[reportArgumentType]
    assert random.random() == expected


def test_the_numbers_do_not_change_from_process_to_process() -> None:
    script = "from utils.reproducibility import seed_everything as s; print(s(11).random())"
    printed = {
        subprocess.run(
            [sys.executable, "-c", script], capture_output=True, text=True, check=True
        ).stdout
        for _ in range(2)
    }
    assert printed == {f"{seed_everything(11).random()}\n"}
