"""The lab that `benchmarks/autograde.py` grades: what labs import, four small exercises."""

LAB = "01_fit"
POINTS = {"standardize": 2.0, "predict": 1.0, "step": 2.0, "fit": 2.0}

SOURCE = '''\
# %% [markdown]
# # Lab 1 · Fit
#
# You fit a line by gradient descent.

# %% tags=["parameters"]
scale = ""

# %%
import os
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import torch

from grading.answer import exercise
from grading.check import checks

# For stock nbgrader, which runs the checks in here; the sandbox has no such folder.
exercise.CHECKS = Path(os.environ.get("BENCHMARK_CHECKS", exercise.CHECKS))
check = checks("01_fit")

# %%
x = torch.tensor(np.linspace(-1, 1, 50))
y = 3 * x + 1
plt.figure(figsize=(3, 2))
plt.scatter(x, y)
plt.show()

# %% nbgrader={"grade_id": "standardize_code", "solution": true}
def standardize(x: torch.Tensor) -> torch.Tensor:
    """x, shifted and scaled to mean 0 and standard deviation 1."""
    ### BEGIN SOLUTION
    return (x - x.mean()) / x.std(correction=0)
    ### END SOLUTION

# %% nbgrader={"grade_id": "standardize", "grade": true, "points": 2}
check("standardize")

# %% nbgrader={"grade_id": "predict_code", "solution": true}
def predict(x: torch.Tensor, w: torch.Tensor) -> torch.Tensor:
    """The line with intercept w[0] and slope w[1], at each x."""
    ### BEGIN SOLUTION
    return w[0] + w[1] * x
    ### END SOLUTION

# %% nbgrader={"grade_id": "predict", "grade": true, "points": 1}
check("predict")

# %% nbgrader={"grade_id": "step_code", "solution": true}
def step(w: torch.Tensor, x: torch.Tensor, y: torch.Tensor, rate: float) -> torch.Tensor:
    """w after one step of gradient descent on the mean squared error."""
    ### BEGIN SOLUTION
    w = w.clone().requires_grad_()
    torch.mean((predict(x, w) - y) ** 2).backward()
    return (w - rate * w.grad).detach()
    ### END SOLUTION

# %% nbgrader={"grade_id": "step", "grade": true, "points": 2}
check("step")

# %% nbgrader={"grade_id": "fit_code", "solution": true}
def fit(x: torch.Tensor, y: torch.Tensor, steps: int) -> torch.Tensor:
    """w after so many steps of torch.optim.SGD at rate 0.1, from zeros."""
    ### BEGIN SOLUTION
    w = torch.zeros(2, dtype=x.dtype, requires_grad=True)
    optimizer = torch.optim.SGD([w], lr=0.1)
    for _ in range(steps):
        optimizer.zero_grad()
        torch.mean((predict(x, w) - y) ** 2).backward()
        optimizer.step()
    return w.detach()
    ### END SOLUTION

# %% nbgrader={"grade_id": "fit", "grade": true, "points": 2}
check("fit")
'''

CHECKS = '''\
"""Checks of the benchmark's lab."""

import torch

from grading.checks import expect
from grading.answer.exercise import exercise, part


def _points(rng, count=20):
    x = torch.tensor(rng.normal(size=count))
    return x, float(rng.uniform(1, 3)) * x + float(rng.uniform(-1, 1))


def _step(w, x, y, rate):
    error = w[0] + w[1] * x - y
    return w - rate * 2 * torch.stack([error.mean(), (error * x).mean()])


@exercise("standardize", points=2)
def standardize(student, rng):
    x = torch.tensor(rng.uniform(2, 9, size=30))
    got = student.standardize(x)
    with part("the mean is 0", points=1):
        expect.close(float(got.mean()), 0.0)
    with part("the standard deviation is 1", points=1):
        expect.close(float(got.std(correction=0)), 1.0)


@exercise("predict", points=1)
def predict(student, rng):
    x, y = _points(rng)
    w = torch.tensor(rng.normal(size=2))
    with part("the line at each x", points=1):
        expect.close(student.predict(x, w), w[0] + w[1] * x)


@exercise("step", points=2)
def step(student, rng):
    x, y = _points(rng)
    w = torch.tensor(rng.normal(size=2))
    with part("one step", points=2):
        expect.close(student.step(w, x, y, 0.1), _step(w, x, y, 0.1))


@exercise("fit", points=2, time_limit=60)  # it imports torch._dynamo
def fit(student, rng):
    x, y = _points(rng)
    expected = torch.zeros(2, dtype=x.dtype)
    with part("after no step", points=0.5):
        expect.close(student.fit(x, y, 0), expected)
    for _ in range(20):
        expected = _step(expected, x, y, 0.1)
    with part("after 20 steps", points=1.5):
        expect.close(student.fit(x, y, 20), expected)
'''

# What honest students do, in turn: changes to the solution, and the marks that these cost.
HONEST: tuple[tuple[dict[str, str], dict[str, float]], ...] = (
    ({}, {}),
    ({"x.std(correction=0)": "((x - x.mean()) ** 2).mean().sqrt()"}, {}),
    ({" / x.std(correction=0)": ""}, {"standardize": 1.0}),
    (
        {"w - rate * w.grad": "w + rate * w.grad", "range(steps)": "range(steps // 2)"},
        {"step": 0.0, "fit": 0.5},
    ),
)
