"""Checks of the attacked lab. @CHECKS@"""

import numpy as np

from grading.answer.exercise import exercise, part
from grading.answer.student import probe
from grading.checks import expect


@exercise("center", points=2, time_limit=2)
def center(student, rng):
    x = rng.normal(size=(5, 3))
    expected = x - x.mean(axis=0)
    with part("each column's mean is taken away, and the argument stays", points=2):
        expect.close(student.center(x), expected, given={"x": x})
        expect.unchanged(student)


@exercise("slope", points=2, time_limit=2)
def slope(student, rng):
    for points in (1.5, 0.5):
        x, y = rng.normal(size=6), rng.normal(size=6)
        with part("the slope of the nearest line", points=points):
            expect.close(student.slope(x, y), float(x @ y / (x @ x)), given={"x": x, "y": y})


@probe
def means(learner, values):
    averager, found = learner.Averager(), []
    for value in values:
        averager.add(value)
        found.append(averager.mean())
    return found


@exercise("averager", points=2, time_limit=2)
def averager(student, rng):
    values = [float(value) for value in rng.normal(size=4)]
    with part("the mean of two values", points=1):
        one = student.Averager()
        one.add(values[0])
        one.add(values[1])
        expect.close(one.mean(), float(np.mean(values[:2])))
    with part("the mean after each value", points=1):
        expected = [float(np.mean(values[: i + 1])) for i in range(len(values))]
        expect.close(means(student, values), expected)


@exercise("codeword", points=1, time_limit=2)
def codeword(student, rng):
    with part("the word", points=1):
        expect.equal(student["codeword"], "@CODEWORD@")
