"""Checks of lab 01: Rosenblatt's neuron."""

from grading import expect
from grading.exercise import exercise, part


@exercise("perceptron_update", points=2)
def perceptron_update(student, rng):
    x, y, lr = rng.normal(size=3), int(rng.choice([-1, 1])), float(rng.uniform(0.1, 0.9))
    b = float(rng.normal())
    w = rng.normal(size=3)
    w -= x * (w @ x + b + y) / (x @ x)  # now w·x + b = −y: a mistake
    given = {"w": w, "b": b, "x": x, "y": y, "lr": lr}
    with part("a mistake moves the line", points=1.5):
        got = student.perceptron_update(w, b, x, y, lr)
        expect.close(
            got,
            (w + lr * y * x, b + lr * y),
            what=("w", "b"),
            given=given,
            knows={
                "That is w + lr·x: the label y is missing from the step.": (w + lr * x, b + lr),
                "That is w + y·x: the learning rate is missing.": (w + y * x, b + y),
            },
        )
        expect.unchanged(student)
    with part("a correctly classified point changes nothing", points=0.5):
        got = student.perceptron_update(w, b, x, -y, lr)
        expect.close(got, (w, b), what=("w", "b"), given={**given, "y": -y})
