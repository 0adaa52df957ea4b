"""Checks of lab 01: Rosenblatt's neuron, its learning rule, and what it can and cannot separate."""

import copy
import itertools
import math
from functools import partial
from types import SimpleNamespace

import numpy as np
from sklearn.datasets import load_digits

from grading.answer.exercise import exercise, part
from grading.checks import expect
from grading.checks.answers import perceptron as answers

MISTAKES = answers.MISTAKES
EPOCHS = 200  # many more than training takes here


recognised = partial(expect.recognised, only=True)


@exercise("neuron", points=1)
def neuron(student, rng):
    def check(activation, cases, others=()):
        """`cases` are right. others: cases that a diagnosis has to explain as well."""
        both = [*others, *cases]
        of = lambda own: [own.neuron(*case, activation) for case in both]  # noqa: E731
        right = of(answers)
        with expect.explained(*RAISED_IN_NEURON):
            got = of(student)
        listed = [*zip(got, right, both, strict=True)][len(others) :]
        for one, expected, (x, w, b) in listed:
            with (
                expect.otherwise(why_no_number(one, activation)),
                recognised(got, MISTAKES.values("neuron", of)),
            ):
                given = {"x": x, "w": w, "b": b, "so w·x + b": w @ x + b}
                expect.close(one, expected, given=given)
        expect.unchanged(student, right[-1])

    def aside():
        """Inputs on both sides of 0, as many on either; for most w·x alone is on the other."""
        for side, times in rng.permutation([(s, t) for s in (1, -1) for t in (-1, -1, -1, 1, 8)]):
            x, w = rng.normal(size=(2, int(rng.integers(2, 5))))
            w = w + x * (side * times * rng.uniform(0.5, 1.5) - w @ x) / (x @ x)
            yield x, w, float(side * rng.uniform(2.0, 3.0))

    def on_the_line():
        """Whole numbers, so that w·x + b is exactly 0."""
        for size in (1, 3, 4):
            x, w = rng.integers(1, 9, size=(2, size)).astype(float)
            yield x, w, float(-w @ x)

    with part("relu: w·x + b where that is positive, else 0", points=0.4):
        check("relu", [*aside()])
    with part("step: 1 where w·x + b is positive, 0 where it is negative", points=0.4):
        check("step", [*aside()])
    with part("step: it fires exactly at w·x + b = 0, too", points=0.2, alone=False):
        check("step", [*on_the_line()], [case for _ in range(3) for case in aside()])


ONE_SUM = "w·x is one number, the sum of the products: `w @ x` adds them up."
RAISED_IN_NEURON = (
    ("truth value of an array", ONE_SUM),
    (
        "'str' object is not callable",
        '`activation` is a word, not a function: compare it with "step" and with "relu".',
    ),
    (
        "signature matching types",
        "A number and a word are added. Are the parameters still in the order x, w, b, activation?",
    ),
)


def why_no_number(got, activation):
    if got is None:
        return f'For activation = "{activation}" nothing is returned, on this side of 0 at least.'
    if type(got) is np.ndarray and got.ndim:
        return ONE_SUM
    if isinstance(got, bool | np.bool_):
        return "A comparison gives True or False: the step gives the number, 1.0 or 0.0."
    return ""


@exercise("predict", points=1, stands_on=["neuron"])
def predict(student, rng):
    def check(cases, others=()):
        """`cases` are right. others: cases that a diagnosis has to explain as well."""
        asked = [*others, *cases]
        of = lambda own: [own.predict(*copy.deepcopy(case)) for case in asked]  # noqa: E731
        many = ("truth value of an array", "`X @ w + b` is N scores: `if` takes only one.")
        with expect.explained(many):
            got, right = of(student), of(answers)
        shape = "One class for each row of X: `X @ w` has shape (N,)."
        listed = "A list of the classes becomes an array by np.array(…)."
        for i in range(len(others), len(asked)):
            X, w, b = asked[i]
            given = {"w": w, "b": b, "rows of X with the scores w·x + b": X @ w + b}
            known = MISTAKES.values("predict", of)
            kind = listed if isinstance(got[i], list | tuple) else ""
            with expect.otherwise(kind, shape=shape), recognised(got, known):
                expect.close(got[i], right[i], given=given)
        expect.unchanged(student, right[-1])

    def points(count, size):
        """X (count, size), w and b; two points differ in class by the bias alone, two are near, and
        one by each input."""
        while True:
            X, _, w, b = clouds(rng, count, size, gap=0.2)
            for i, score in ((0, b / 2), (1, -b / 2), (2, 0.2), (3, -0.2)):
                X[i] += w * (score - (X[i] @ w + b)) / (w @ w)
            scores = X @ w + b
            if all(((scores - X[:, i] * w[i] >= 0) != (scores >= 0)).any() for i in range(size)):
                return rng.permutation(X), w, b

    batches = [points(12, size) for size in (2, 4)]
    for (X, w, b), first in zip(batches, (1, -1), strict=True):
        at = int((answers.predict(X, w, b) == first).argmax())  # one class for all is not its own
        X[[0, at]] = X[[at, 0]]
    with part("each row of X gets the class of its side of the line", points=0.7):
        check(batches)
    with part("a point exactly on the line counts as +1", points=0.2):
        w, b = rng.choice([-2.0, -1.0, 1.0, 2.0], size=2), float(rng.integers(1, 4))
        X = rng.integers(-5, 6, size=(12, 2)).astype(float)
        X[:5, 1] = -(X[:5, 0] * w[0] + b) / w[1]
        X[5], X[6] = X[0] - w / 16, X[1] + w / 16  # one just on the − side, one on the + side
        check([(rng.permutation(X), w, b)], batches)
    with part("a batch of one row gives an array of one class", points=0.1):
        X, w, b = points(8, 3)
        check([(row[None], w, b) for row in X], batches)


@exercise("perceptron_update", points=2, stands_on=["neuron"])
def perceptron_update(student, rng):
    lr = float(rng.uniform(0.1, 0.9))

    def check(cases, others=(), unchanged=False):
        """`cases` are right. others: cases that a diagnosis has to explain as well."""
        asked = [(*case, lr) for case in (*others, *cases)]
        of = lambda own: [own.perceptron_update(*copy.deepcopy(one)) for one in asked]  # noqa: E731
        got, right = of(student), of(answers)
        for i in range(len(others), len(asked)):
            given = dict(zip(("w", "b", "x", "y", "lr"), asked[i], strict=True))
            with recognised(got, MISTAKES.values("perceptron_update", of)):
                expect.close(got[i], right[i], what=("w", "b"), given=given)
        if unchanged:
            expect.unchanged(student, right[-1])

    sizes = itertools.cycle((2, 4, 3))

    def aside(y, *, by_bias=False, far=False):
        """w, b, x with w·x + b clearly on the side of −y, and w·x alone on the other, or not and
        the score below 1.

        far: so far that one step does not bring it over.
        """
        w, x = rng.normal(size=(2, next(sizes)))
        b = float(-y * rng.uniform(2.5, 3.5) if by_bias else y * rng.uniform(0.5, 1.0))
        near = rng.uniform(1.2, 2.0) if by_bias else rng.uniform(0.4, 0.8)
        score = y * (rng.uniform(1.0, 2.0) * (x @ x + 1) if far else near)
        return w - x * (w @ x + b + score) / (x @ x), b, x

    both = [(y, by_bias) for by_bias in (False, True) for y in (1, -1)]
    missed = [(*aside(y, by_bias=by_bias), y) for y, by_bias in both]
    missed += [(*aside(y, far=True), y) for y in (1, -1)]
    with part("a mistake moves the line", points=1.25):
        check(missed, unchanged=True)
    with part("a point on the line counts as +1, as in predict", points=0.5):
        w, x = rng.integers(1, 9, size=(2, 3)).astype(float)
        lines = [(line, float(-line @ x), x) for line in (np.zeros(3), w, -w)]
        check([(*line, y) for y in (-1, 1) for line in lines], missed)
    with part("a point that is right changes nothing", points=0.25, alone=False):
        check([(*aside(-y, by_bias=by_bias), y) for y, by_bias in both], missed)


@exercise(
    "perceptron_train",
    points=2,
    time_limit=3,
    forbids={"perceptron_train": ["sklearn"]},
    stands_on=["perceptron_update"],
)
def perceptron_train(student, rng):
    lr = float(rng.uniform(0.1, 0.9))

    def train(X, y, lr, epochs):
        """What came out, what is right, the inputs in words, the mistakes that may explain it."""
        size = X.shape[1]
        given = f"For {len(X)} points in {size} dimensions, lr = {lr:.2g}, max_epochs = {epochs}."
        ask = lambda: trained(student.perceptron_train(X, y, lr, epochs), size, given)  # noqa: E731
        got, right = ask(), answers.perceptron_train(X, y, lr, epochs)
        known = MISTAKES.call("perceptron_train", X, y, lr, epochs)
        return got, right, given, itertools.chain(known, drawn(ask, got))

    def line(got, right, given, wrong):
        with recognised([*got], ((why, [*one]) for why, one in wrong)):
            expect.close(got[:2], right[:2], what=("w", "b"), given=given)

    def counts(got, right, given, wrong, epochs=EPOCHS):
        known = ((why, [*one]) for why, one in wrong)
        with expect.otherwise(why_not_counts(got[2], right[2], epochs)), recognised([*got], known):
            expect.equal(got[2], right[2], what="mistakes", given=given)

    with part("clouds with a gap are separated", points=0.75):
        for size in (2, 3, 6):
            X, y = slow_clouds(rng, 41, size, lr)
            got, right, given, mistakes = train(X, y, lr, EPOCHS)
            known = ((why, [*one]) for why, one in mistakes)
            wrong = int((answers.predict(X, *got[:2]) != y).sum())
            message = "Some points are still on the wrong side when it returns."
            detail, why = f"{wrong} of {len(y)} points are.", why_not_separated(*got, y)
            with expect.recognised([*got], known):
                expect.that(wrong == 0, message, given=given, detail=detail, diagnosis=why)
            expect.unchanged(student, right if expect.alike([*got], [*right]) else got, given=given)
    with part("mistakes per epoch, point after point, to the first clean epoch", points=0.5):
        X, y = slow_clouds(rng, 31, 2, lr)
        counts(*train(X, y, lr, EPOCHS))
        line(*train(X, y, lr, EPOCHS))
        counts(*train(*with_the_origin(rng), lr, EPOCHS))
        X, y = near_points(rng)
        given = "For 2 points in 2 dimensions, without lr and max_epochs."
        right = [*answers.perceptron_train(X, y)]
        asked = trained(student.perceptron_train(X, y, 1.0, 1000), 2, given)
        if expect.alike([*asked], right):
            unasked = trained(student.perceptron_train(X, y), 2, given)
            with expect.otherwise(
                "The first line stays as it was given: lr = 1, max_epochs = 1000."
            ):
                expect.close([*unasked], right, given=given)
    with part("a point on the line counts as +1 here, too", points=0.25):
        X, y = crossed(rng)
        got, right, given, wrong = train(X, y, 0.5, EPOCHS)
        line(got, right, given, wrong)
        # Of the counts only what a point on the line does to them: the others have their own part.
        for why, one in MISTAKES.call("perceptron_train", X, y, 0.5, EPOCHS, says=COUNTED):
            message = "mistakes has the wrong value."
            expect.that(not expect.alike(got[2], one[2]), message, given=given, diagnosis=why)
    with part("clouds that overlap: it stops after max_epochs", points=0.5):
        X, y, epochs = overlapping(rng, lr)
        counts(*train(X, y, lr, epochs), epochs)
        line(*train(X, y, lr, epochs))


def overlapping(rng, lr):
    """Clouds X, y that no line separates, and epochs, the best of which is not the first or last."""
    while True:
        X, y, _, _ = clouds(rng, 41, 2, gap=0.3)
        y[1:9] = -y[1:9]
        epochs = int(rng.integers(4, 9))
        mistakes = answers.perceptron_train(X, y, lr, epochs)[2]
        if 0 < mistakes.index(min(mistakes)) < epochs - 1:
            return X, y, epochs


def with_the_origin(rng):
    """Clouds X, y, first of all the origin, where a mistake moves b alone."""
    while True:
        X, y, _, b = clouds(rng, 9, 2, gap=0.3)
        X, y = np.vstack([np.zeros(2), X]), np.append(-1, y if b < 0 else -y)
        by_origin, *others = (
            one[2]
            for says in ("at the origin", "Those are the points that are wrong")
            for _, one in MISTAKES.call("perceptron_train", X, y, says=(says,))
        )
        if by_origin not in others:
            return X, y


def near_points(rng):
    """Two points of two classes, so close that the rule takes hundreds of epochs."""
    while True:
        at = rng.uniform(5, 8)
        X, y = np.array([[at, 1.0], [at + 0.2, 1.0]]), np.array([-1, 1])
        if 150 < len(answers.perceptron_train(X, y)[2]) < 900:
            return X, y


def trained(got, size, given):
    """(w, b, mistakes) as plain values, or a Fault that says what they should be."""
    w, b, mistakes = expect.items(got, 3, what="the result (w, b, mistakes)", given=given)
    with expect.otherwise("The order is (w, b, mistakes)." * (type(w) is list)):
        w = expect.array(w, (size,), what="w", given=given)
    b = expect.number(b, what="b", given=given)
    wanted = "`mistakes` should be a list with one whole number for each epoch."
    other = isinstance(mistakes, tuple | np.ndarray)
    how = "A tuple or an array becomes a list by list(…)." if other else ""
    expect.that(type(mistakes) is list, wanted, given=given, kind="type", diagnosis=how)
    counted = [expect.number(m, what="a number in mistakes", given=given) for m in mistakes]
    expect.that(all(m == int(m) for m in counted), wanted, given=given)
    return w, b, [int(m) for m in counted]


ONCE = (
    "It ends after one epoch, and that had mistakes: does a `return` or a `break` stand inside the loop"
    " over the epochs?"
)


def drawn(ask, got):
    """For `recognised`: a result that the same arguments do not give twice."""
    pieces = got if isinstance(got, tuple | list) else [got]
    if not any(one is None for one in pieces) and not expect.alike(ask(), got):
        yield "The same arguments give another result each time: the order is the data's.", got


def why_not_counts(mistakes, right, epochs):
    if len(mistakes) == len(right) + 1 and mistakes[1:] == right:
        return "There is an entry too many at the front: begin with an empty list."
    if set(mistakes) == {0, 1} and len(mistakes) == len(right) + sum(right) == len(right) + sum(
        mistakes
    ):
        return "An entry is appended for each mistake: add 1 to the epoch's own, mistakes[-1] += 1."
    if len(mistakes) > epochs:
        return "There are more entries than max_epochs: one for each epoch of this call."
    if 0 in mistakes[:-1] and not any(mistakes[mistakes.index(0) :]):
        return "It goes on after the clean epoch."
    if len(mistakes) > 30 and set(mistakes) == {0, 1}:
        return (
            "Every entry is 0 or 1: is there one for each point? It should be one for each epoch."
        )
    if len(mistakes) < epochs and mistakes and mistakes[-1] > 0:
        return (
            ONCE
            if len(mistakes) == 1
            else "The list ends before max_epochs with an epoch that had mistakes: it goes on until an"
            " epoch has none, and that one's 0 is the last entry."
        )
    return ""


COUNTED = ("and is not counted",)


def why_not_separated(w, b, mistakes, y):
    if not w.any() and b == 0 and mistakes[:1] == [int((y == 1).sum())]:
        return next(row.says for row in MISTAKES if row.name == "another class at 0")
    if not w.any() and b == 0 and sum(mistakes) > 0:
        return "w and b are still zero: is what `perceptron_update` returns kept?"
    if not w.any() and b == 0:
        return (
            "w and b are still zero. From w = 0 every point is on the line, which `predict` calls"
            " +1, so that a point with y = −1 is a mistake there."
        )
    if len(mistakes) > 2 and len(set(mistakes)) == 1:
        return "All epochs have equally many mistakes: do w and b begin at zero again in each?"
    if mistakes and mistakes[-1] > 0 and len(mistakes) < EPOCHS:
        on = "Its last epoch had mistakes: go on until an epoch has none, or to max_epochs."
        return ONCE if len(mistakes) == 1 else on
    if b == 0:
        return "b is still zero: the bias is learned, too, and decides with w·x."
    if len(mistakes) >= EPOCHS and 0 in mistakes:
        return (
            "An epoch counts no mistake, and yet some points are wrong: are all of them looked at, or"
            " is the loop over the points left before its end?"
        )
    if len(mistakes) >= EPOCHS:
        return "It used up max_epochs. Does each mistake move w and b, both, for the next point?"
    if not mistakes:
        return "No epoch is counted: go over the points until an epoch has no mistake."
    return (
        "Its last epoch counts no mistake. Is every point looked at in each epoch, a mistake counted"
        " before the step, and are these the w and b that it ended with?"
    )


@exercise("mistake_bound", points=1)
def mistake_bound(student, rng):
    def check(case, others=()):
        """`case` is right. others: cases that a diagnosis has to explain as well."""
        asked = [*others, case]
        of = lambda own: [own.mistake_bound(*copy.deepcopy(one)) for one in asked]  # noqa: E731
        with expect.explained(*RAISED_IN_BOUND):
            got, right = of(student), of(answers)
        given = dict(zip(("X", "y", "w", "b"), case, strict=True))
        why = (
            "All points are on their own sides here, so that γ, the smallest y·(w·x + b), is positive:"
            " there is a bound."
        )
        unbounded = right[-1] == math.inf and isinstance(got[-1], float) and math.isnan(got[-1])
        no_bound = "Where there is no bound, it is math.inf."
        expect.that(not unbounded, "The bound is NaN.", given=given, diagnosis=no_bound)
        known = [*MISTAKES.values("mistake_bound", of)]
        known += (
            [(why, got)] if isinstance(got[-1], float) and got[-1] == math.inf != right[-1] else []
        )
        with recognised(got, known):
            expect.close(got[-1], right[-1], what="the bound", given=given, rtol=0.01)
        expect.unchanged(student, right[-1], given=given, rtol=0.01)

    with part("(R/γ)² of a line that separates, within 1 %", points=0.75):
        X, y, w, b = telling = telling_clouds(rng)
        check(telling)
        sides = np.array([[2.0, 0.0], [-2.0, 1.0]]) + rng.uniform(0.0, 0.2, size=(2, 2))
        check((sides, np.array([1, -1]), np.array([3.0, 0.0]), 0.0))  # a bound below 2
    with part("a line that does not separate has no bound: infinity", points=0.25, alone=False):
        farthest = np.arange(len(y)) == (y * (X @ w + b)).argmax()
        check((X, np.where(farthest, -y, y), w, b), [telling])
        for label in (1, -1):  # one point is on the line, the others on their sides
            X = rng.integers(1, 6, size=(5, 2)).astype(float)
            X[2] = 0
            check((X, np.array([1, 1, label, 1, 1]), np.array([2.0, 1.0]), 0.0), [telling])


RAISED_IN_BOUND = (
    (
        "division by zero",
        "γ is 0 for a point exactly on the line: no bound there either, and R/0 fails.",
    ),
    (
        "same number of dimensions",
        "The ones are N numbers in a row: np.column_stack makes a column of them, np.hstack does"
        " not.",
    ),
)


def telling_clouds(rng):
    """X, y, w, b, of whose bound no two misconceptions make the same, and none the right one."""
    while True:
        X, y, w, b = clouds(rng, 5, 3, gap=rng.uniform(0.8, 1.2))
        case = X, y, w / 2, b / 2
        right = answers.mistake_bound(*case)
        wrong = []
        for why, one in MISTAKES.call("mistake_bound", *case):
            if why.startswith(("A point", "No bound")):  # for lines that do not separate
                continue
            if not np.isfinite(one) or abs(one / right - 1) <= 0.015:
                break
            wrong.append(one)
        else:
            apart, size = np.diff(np.unique(wrong)), abs(np.unique(wrong)[1:])
            if ((apart > 1e-4 * size) | (apart < 1e-9 * size)).all():
                return case


CORNERS = np.array([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
XOR = [0.0, 1.0, 1.0, 0.0]


def unlisted(value):
    """A list or a tuple of numbers as an array: here it may be any of them."""
    try:
        return np.array(value) if type(value) in (list, tuple) else value
    except ValueError:
        return value


def outputs(own, points):
    """What the network of these weights says to points (N, 2)."""
    hidden = (points @ np.transpose(own.W_first) + own.b_first >= 0).astype(float)
    return (hidden @ own.w_last + own.b_last >= 0).astype(float).tolist()


@exercise("xor_network", points=1, stands_on=["neuron", "predict"])
def xor_network(student, rng):
    def network():
        """The student's weights; what they give is computed here."""
        shapes = {"W_first": (2, 2), "b_first": (2,), "w_last": (2,)}
        arrays = {
            name: expect.array(unlisted(student[name]), s, what=name) for name, s in shapes.items()
        }
        return SimpleNamespace(**arrays, b_last=expect.number(student["b_last"], what="b_last"))

    with part("the four corners", points=0.4):
        own = network()
        got, why = outputs(own, CORNERS), why_not_xor(own)
        known = MISTAKES.values("xor_network", lambda own: outputs(own, CORNERS))
        for one, right, x in zip(got, XOR, CORNERS, strict=True):
            with recognised(got, [(why, got)] if why else known):
                expect.close(one, right, what="the last output", given={"x": x})
    with part("all points up to 0.2 away from a corner in x₁ and in x₂", points=0.6):
        aside = np.linspace(-0.2, 0.2, 21)  # with both ends: the corners of the boxes
        box = np.stack(np.meshgrid(aside, aside), axis=-1).reshape(-1, 2)
        for corner, right in zip(CORNERS, XOR, strict=True):
            points = np.vstack([corner, corner + box])
            got = outputs(network(), points)
            with expect.otherwise(why_not_near(got, right)):
                for x, one in zip(points, got, strict=True):
                    given = {"x": x, "near the corner": corner}
                    expect.that(one == right, "The output is wrong.", given=given)


def why_not_xor(own):
    """What alone would make these weights right, if something does."""
    hidden = CORNERS @ own.W_first.T + own.b_first >= 0
    for names in (("b_first",), ("b_last",), ("b_first", "b_last")):
        turned = {name: -getattr(own, name) for name in names}
        if outputs(SimpleNamespace(**{**vars(own), **turned}), CORNERS) == XOR:
            listed = " and ".join(names)
            return f"With the opposite sign of {listed} it is XOR: a bias is minus the threshold."
    if outputs(SimpleNamespace(**{**vars(own), "W_first": own.W_first.T}), CORNERS) == XOR:
        return "With rows and columns of W_first exchanged it is XOR: a row is a neuron."
    scores = hidden @ own.w_last
    if min(scores[[1, 2]]) > max(scores[[0, 3]]):
        often = "too many corners" if max(scores[[0, 3]]) + own.b_last >= 0 else "too few"
        return (
            f"With another b_last it is XOR: the last neuron fires at {often}. (At a score of"
            " exactly 0 it fires.)"
        )
    return ""


def why_not_near(got, right):
    if got[0] != right:
        return "Begin with the corner itself: its output is not right yet."
    return (
        "Around this corner some points are right and some are wrong: one of your lines passes"
        " too close. By its bias, shift it halfway between the corners that it separates."
    )


@exercise("multiclass_train", points=2, time_limit=8, forbids={"multiclass_train": ["sklearn"]})
def multiclass_train(student, rng):
    images, labels = load_digits(return_X_y=True)
    # Shuffled images, and pixels in an order of their own: knowing the public data does not help.
    order, pixels = rng.permutation(len(labels)), rng.permutation(images.shape[1])
    X, y = images[order][:, pixels] / 16, labels[order].astype(np.int64)
    train, test = slice(0, 1200), slice(1200, None)
    given = "For 1,200 images of 8×8 pixels (pixels and images shuffled), 5 epochs."

    def reaches(floor, labels, given):
        W, b = ten(student.multiclass_train(X[train], labels, 5), given)
        scores = X[test] @ W.T + b
        right = float((scores.argmax(axis=1) == y[test]).mean())
        message = f"Fewer than {floor:.0%} of the images that it had not seen are right."
        detail, why = (
            f"{right:.1%} of {len(scores)} images are.",
            why_not_digits(W, b, scores, y[test]),
        )
        expect.that(right >= floor, message, given=given, detail=detail, diagnosis=why)

    with part("ten neurons, one for each digit: 80 % of new images right", points=0.75):
        reaches(0.80, y[train], given)
        expect.unchanged(student)
    with part("90 % of new images right, though its last few labels were wrong", points=0.75):
        spoiled = y[train].copy()
        spoiled[-40:] = (spoiled[-40:] + rng.integers(1, 10, size=40)) % 10
        reaches(0.90, spoiled, f"{given} The last 40 labels are wrong.")
    with part("the averages of W and b over all N · epochs steps, from zero", points=0.5):
        asked = telling_images(rng)
        got = student.multiclass_train(*asked.values())
        known = MISTAKES.call("multiclass_train", **asked)
        right = answers.multiclass_train(**asked)
        ask = lambda: student.multiclass_train(*asked.values())  # noqa: E731
        known = itertools.chain(known, drawn(ask, got))
        with expect.otherwise(why_not_averages(got)), recognised(got, known):
            expect.close(got, right, what=("W", "b"), given=asked)
        expect.unchanged(student, right, given=asked)
        asked["epochs"] = 30  # long after the first clean epoch
        got, right = student.multiclass_train(*asked.values()), answers.multiclass_train(**asked)
        known = MISTAKES.call("multiclass_train", **asked, says=(STOPS,))
        expect.close(got, right, what=("W", "b"), given=asked, knows=known)


STOPS = "It stops at the first epoch without a mistake"


def telling_images(rng):
    """Arguments of `multiclass_train` for which no two misconceptions come to the same."""
    while True:
        # Nearly at right angles: learned within few epochs, so that some steps move nothing.
        few = np.diag(rng.integers(4, 9, size=4)) + rng.integers(0, 2, size=(4, 4)).astype(float)
        asked = {"X": few, "y": rng.choice(10, size=4, replace=False), "epochs": 2}
        known = [("", answers.multiclass_train(**asked))]
        made = MISTAKES.call("multiclass_train", **asked)
        known += ((why, one) for why, one in made if not why.startswith(STOPS))
        values = [(why, np.column_stack([*got])) for why, got in known if got[0].shape == (10, 4)]
        pairs = itertools.combinations(values, 2)
        if not any(a != b and np.allclose(one, two) for (a, one), (b, two) in pairs):
            return asked


def ten(got, given):
    """(W, b) of ten neurons for 64 pixels."""
    W, b = expect.items(got, 2, what="the result (W, b)", given=given)
    for name, one in (("W", W), ("b", b)):
        hint = "A sum that starts as `W_sum = W` is the same array as W: start it from new zeros."
        message = f"{name} holds values that are not finite (NaN or infinity)."
        finite = type(one) is not np.ndarray or one.dtype.kind != "f" or np.isfinite(one).all()
        expect.that(finite, message, given=given, diagnosis=hint)
    W = expect.array(W, (10, 64), what="W", given=given)
    return W, expect.array(b, (10,), what="b", given=given)


def why_not_averages(got):
    b = got[1] if isinstance(got, tuple | list) and len(got) == 2 else None
    if isinstance(b, np.ndarray) and not b.any():
        return "b is still zero: the biases move with the rows of W."
    return ""


def why_not_digits(W, b, scores, y):
    if not W.any():
        return (
            "All weights are zero. From zero weights every score is 0, which counts as +1: for the"
            " nine other digits, with the target −1, that is a mistake. (A target of 0 moves nothing.)"
        )
    if np.allclose(W, W[0]):
        return "All ten rows of W are equal: neuron k has the target +1 for digit k alone."
    if (scores.argmin(axis=1) == y).mean() > 0.5:
        return (
            "The right digit gets the lowest score: is the target missing from the step, or are the"
            " targets, or the step, the wrong way round?"
        )
    if (scores >= 0).mean() > 0.5:
        return (
            "The neurons say +1 to most images: for the nine other digits the target is −1, and a"
            " neuron that says +1 to one of them is wrong, and moves."
        )
    if not (b % 1).any():
        return (
            "b holds whole numbers, as after a step, or as a sum of steps; its average over all"
            " N · epochs steps does not."
        )
    return ""


def clouds(rng, count, size, *, gap):
    """Two clouds in `size` dimensions, no point nearer than `gap` to the line w·x + b = 0.

    Returns X (count, size), y (count,) of −1 and +1 (−1 first, so that how a rule treats points on
    the line makes no difference), w (size,) and b.
    """
    w = rng.normal(size=size)
    w /= np.linalg.norm(w)
    b = float(rng.choice([-1, 1]) * rng.uniform(0.4, 1.2))
    y = rng.permutation(np.resize([-1, 1], count))
    y[:2] = -1, 1
    X = rng.normal(size=(count, size))
    X += np.outer(y * (gap + np.abs(rng.normal(size=count))) - (X @ w + b), w)
    scale = rng.uniform(1.5, 3.0)  # the same line, by a w that is not of length 1
    return X, y, scale * w, scale * b


def slow_clouds(rng, count, size, lr):
    """Clouds X, y that one epoch does not separate, and for which the order of the points counts."""
    while True:
        X, y, _, _ = clouds(rng, count, size, gap=rng.uniform(0.2, 0.8))
        mistakes = answers.perceptron_train(X, y, lr)[2]
        near = [epoch for epoch, count in enumerate(mistakes) if count == 1]
        # One mistake in the last epoch but one, and in no other: one mistake is not yet none.
        if not 3 <= len(mistakes) <= 60 or near != [len(mistakes) - 2]:
            continue
        shown = [slice(None, None, -1), slice(1, None), slice(-1)]  # backwards, not all of them
        others = [answers.perceptron_train(X[some], y[some], lr)[2] for some in shown]
        if mistakes not in [*others, by_epoch(X, y, lr)]:
            return X, y


def by_epoch(X, y, lr):
    """Mistakes per epoch where the weights change only between the first epochs."""
    w, b, mistakes = np.zeros(X.shape[1]), 0.0, []
    for _ in range(30):
        wrong = answers.predict(X, w, b) != y
        mistakes.append(int(wrong.sum()))
        if not wrong.any():
            break
        w, b = w + lr * (y[wrong] @ X[wrong]), b + lr * y[wrong].sum()
    return mistakes


def crossed(rng):
    """X, y of whole numbers, +1 first, of which some fall exactly on the line while it learns, of
    both classes: with `lr` a half nothing is rounded. Other starts end elsewhere."""
    while True:
        X, w = rng.integers(-3, 4, size=(12, 2)).astype(float), rng.integers(-3, 4, size=2)
        y = np.where(X @ w + rng.integers(-2, 3) + 0.5 > 0, 1, -1)
        if y[0] != 1:
            continue
        w0, w1, b, met, counted = 0.0, 0.0, 0.0, set(), [1]
        while counted[-1] and len(counted) < EPOCHS:
            counted.append(0)
            for (x0, x1), label in zip(X.tolist(), y.tolist(), strict=True):
                z = w0 * x0 + w1 * x1 + b
                if z == 0 and (w0 or w1):
                    met.add(label)
                if (1 if z >= 0 else -1) != label:
                    w0, w1, b = w0 + label * x0 / 2, w1 + label * x1 / 2, b + label / 2
                    counted[-1] += 1
        if met != {-1, 1} or 1 in counted[1:-2]:
            continue
        elsewhere = (
            "should start at 0",
            "first mistake",
            "never shown",
            "rate falls",
            "asked",
        )
        known = MISTAKES.call("perceptron_train", X, y, 0.5, EPOCHS, says=elsewhere)
        if not any(np.allclose([*one[0], one[1]], [w0, w1, b]) for _, one in known):
            return X, y
