# %% [markdown]
# # Lab 1 · Attacked
# The same exercises as an nbgrader assignment in the usual style: hidden tests with asserts.

# %%
import math

import numpy as np


# %% nbgrader={"grade_id": "center_code", "solution": true}
def center(x):
    """x less the mean of each of its columns."""
    ### BEGIN SOLUTION
    return x - x.mean(axis=0)  # @SOLUTION@
    ### END SOLUTION


# %% nbgrader={"grade_id": "center", "grade": true, "points": 2}
### BEGIN HIDDEN TESTS
x = np.random.default_rng(7).normal(size=(5, 3))  # @CHECKS@
assert np.allclose(center(x), x - x.mean(axis=0))
### END HIDDEN TESTS


# %% nbgrader={"grade_id": "slope_code", "solution": true}
def slope(x, y):
    """The slope of the line through the origin that is nearest to the points."""
    ### BEGIN SOLUTION
    return float(x @ y / (x @ x))
    ### END SOLUTION


# %% nbgrader={"grade_id": "slope", "grade": true, "points": 2}
### BEGIN HIDDEN TESTS
x, y = np.random.default_rng(8).normal(size=(2, 6))
expected = float(x @ y / (x @ x))
# Partial credit, nbgrader's way: the last expression's value, less the further off.
round(2 * math.exp(-10 * abs(slope(x, y) - expected)), 2)  # pyright: ignore
### END HIDDEN TESTS


# %% nbgrader={"grade_id": "averager_code", "solution": true}
### BEGIN SOLUTION
class Averager:
    """The mean of the values added so far."""

    def __init__(self):
        self.values = []

    def add(self, value):
        self.values.append(value)

    def mean(self):
        return float(np.mean(self.values))


### END SOLUTION

# %% nbgrader={"grade_id": "averager", "grade": true, "points": 2}
### BEGIN HIDDEN TESTS
averager = Averager()
averager.add(2.0)
averager.add(5.0)
assert averager.mean() == 3.5
### END HIDDEN TESTS

# %% nbgrader={"grade_id": "codeword_code", "solution": true}
codeword = None
### BEGIN SOLUTION
codeword = "@CODEWORD@"
### END SOLUTION

# %% nbgrader={"grade_id": "codeword", "grade": true, "points": 1}
### BEGIN HIDDEN TESTS
assert codeword == "@CODEWORD@"
### END HIDDEN TESTS
