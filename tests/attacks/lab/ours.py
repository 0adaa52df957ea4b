# %% [markdown]
# # Lab 1 · Attacked
# Four small exercises, for dishonest notebooks to fail at.

# %% tags=["parameters"]
scale = ""

# %%
# ruff: noqa: E402
import numpy as np

from grading.check import checks

check = checks("01_attacked")


# %% nbgrader={"grade_id": "center_code", "solution": true}
def center(x):
    """x less the mean of each of its columns."""
    ### BEGIN SOLUTION
    return x - x.mean(axis=0)  # @SOLUTION@
    ### END SOLUTION


# %% nbgrader={"grade_id": "center", "grade": true, "points": 2}
check("center")


# %% nbgrader={"grade_id": "slope_code", "solution": true}
def slope(x, y):
    """The slope of the line through the origin that is nearest to the points."""
    ### BEGIN SOLUTION
    return float(x @ y / (x @ x))
    ### END SOLUTION


# %% nbgrader={"grade_id": "slope", "grade": true, "points": 2}
check("slope")


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
check("averager")

# %% nbgrader={"grade_id": "codeword_code", "solution": true}
codeword = None
### BEGIN SOLUTION
codeword = "@CODEWORD@"
### END SOLUTION

# %% nbgrader={"grade_id": "codeword", "grade": true, "points": 1}
check("codeword")
