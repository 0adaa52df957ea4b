"""Checks of lab 01: Rosenblatt's neuron, its learning rule, and what it can and cannot separate."""

import math

import numpy as np
from sklearn.datasets import load_digits

from grading.answer.exercise import exercise, part
from grading.answer.fault import Fault
from grading.checks import expect


@exercise("neuron", points=1)
def neuron(student, rng):
    inputs = [_neuron_input(rng, side) for side in (1, -1, -1, 1)]
    given = [_neuron_given(*one) for one in inputs]

    def of(function):
        return [float(function(w @ x + b, b)) for x, w, b in inputs]

    with part("relu: w·x + b where that is positive, else 0", points=0.4):
        got = [student.neuron(x, w, b, "relu") for x, w, b in inputs]
        known = {
            "That is relu of w·x: the bias b is missing.": of(lambda z, b: max(z - b, 0)),
            "That is relu of w·x − b: the bias is added.": of(lambda z, b: max(z - 2 * b, 0)),
            "That is w·x + b: relu turns what is negative into 0.": of(lambda z, b: z),
            "That is the step; relu gives a positive w·x + b itself.": of(lambda z, b: z >= 0),
            "It is the positive part that relu lets pass.": of(lambda z, b: min(z, 0)),
            "relu turns what is negative into 0, not into its opposite.": of(lambda z, b: abs(z)),
            "w·x is the sum of the products, not their mean.": [
                max(np.mean(w * x) + b, 0.0) for x, w, b in inputs
            ],
            "The bias is added once, after the sum, not to each product.": [
                max((w * x + b).sum(), 0.0) for x, w, b in inputs
            ],
            "The products are not added up: w·x is one number.": [
                np.maximum(w * x + b, 0) for x, w, b in inputs
            ],
        }
        _each(got, of(lambda z, b: max(z, 0)), given=given, knows=known)
        expect.unchanged(student)
    with part("step: 1 where w·x + b is positive, 0 where it is negative", points=0.4):
        got = [student.neuron(x, w, b, "step") for x, w, b in inputs]
        known = {
            "Below the threshold it gives 0; the class −1 is exercise 2's.": of(
                lambda z, b: 1 if z > 0 else -1
            ),
            "That is the step of w·x: the bias b is missing, or stands for the threshold, which is"
            " −b.": of(lambda z, b: z > b),
            "That is a sigmoid, which is smooth: the step is 0 or 1.": of(
                lambda z, b: 1 / (1 + math.exp(-z))
            ),
            "That is w·x + b, before the step.": of(lambda z, b: z),
            "That is relu: the step gives only 0 or 1.": of(lambda z, b: max(z, 0)),
            "It is the wrong way round.": of(lambda z, b: z < 0),
        }
        _each(got, of(lambda z, b: z > 0), given=given, knows=known)
    with part("step: it fires exactly at w·x + b = 0, too", points=0.2):
        w = rng.integers(1, 9, size=3).astype(float)
        x = rng.integers(1, 9, size=3).astype(float)
        b = float(-w @ x)  # whole numbers: nothing is rounded
        got = student.neuron(x, w, b, "step")
        known = {
            "At w·x + b = 0 the step is 1: `>=`, not `>`.": 0.0,
            "At w·x + b = 0 the step is 1, all of it.": 0.5,
        }
        expect.close(got, 1.0, given=_neuron_given(x, w, b), knows=known)


def _neuron_input(rng, side):
    """x, w, b with w·x + b on this side of 0, and w·x alone on the other."""
    size = int(rng.integers(2, 5))
    x, w = rng.normal(size=size), rng.normal(size=size)
    w += x * (-side * rng.uniform(0.5, 1.5) - w @ x) / (x @ x)
    return x, w, float(side * rng.uniform(2.0, 3.0))


def _neuron_given(x, w, b):
    return {"x": x, "w": w, "b": b, "so w·x + b": w @ x + b}


@exercise("predict", points=1)
def predict(student, rng):
    with part("each row of X gets the class of its side of the line", points=0.7):
        for size in (2, 4):
            X, w, b = _points(rng, 7, size)
            z = X @ w + b
            known = {
                "The classes are −1 and +1 here, not 0 and 1.": np.where(z > 0, 1, 0),
                "Those are the scores w·x + b: a class is −1 or +1.": z,
                "Those are the distances from the line: a class is −1 or +1.": z
                / np.linalg.norm(w),
                "Those are the classes by w·x alone: the bias b is missing, or stands for the"
                " threshold, which is −b.": np.where(z > b, 1, -1),
                "The bias is added; the threshold of w·x is −b, not b.": np.where(z > 2 * b, 1, -1),
            }
            given = {"w": w, "b": b, "rows of X with the scores w·x + b": z}
            with expect.otherwise(shape="One class for each row of X: `X @ w` has shape (N,)."):
                got = student.predict(X, w, b)
                expect.close(got, np.where(z > 0, 1, -1), given=given, knows=known)
            expect.unchanged(student)
    with part("a point exactly on the line counts as +1", points=0.2):
        X, w, b = np.array([[2.0, 1.0], [3.0, 1.0], [1.0, 1.0]]), np.array([1.0, -1.0]), -1.0
        expect.close(
            student.predict(X, w, b),
            np.array([1, 1, -1]),
            given={"w": w, "b": b, "rows of X with the scores w·x + b": X @ w + b},
            knows={
                "np.sign(0) is 0, and 0 is no class: decide with `>= 0`.": np.array([0, 1, -1]),
                "At w·x + b = 0 the class is +1: `>=`, not `>`.": np.array([-1, 1, -1]),
            },
        )
    with part("a batch of one row gives an array of one class", points=0.1):
        X, w, b = _points(rng, 2, 3)
        for row in (X[:1], X[1:]):
            expected, given = np.where(row @ w + b > 0, 1, -1), {"X": row, "w": w, "b": b}
            expect.close(student.predict(row, w, b), expected, given=given)


def _points(rng, count, size):
    """Points X (count, size), w and b; the first two differ in class, and need the bias for it."""
    X, _, w, b = _clouds(rng, count, size, gap=0.2)
    for i, score in ((0, b / 2), (1, -b / 2)):
        X[i] += w * (score - (X[i] @ w + b)) / (w @ w)
    return X, w, b


@exercise("perceptron_update", points=2)
def perceptron_update(student, rng):
    lr = float(rng.uniform(0.1, 0.9))
    with part("a mistake moves the line", points=1):
        for y in (1, -1):
            w, b, x = _mistake(rng, y)
            step, error = lr * y, lr * (y - (w @ x + b))
            expect.close(
                student.perceptron_update(w, b, x, y, lr),
                (w + step * x, b + step),
                what=("w", "b"),
                given={"w": w, "b": b, "x": x, "y": y, "lr": lr},
                knows={
                    "That is w + lr·x: the label y is missing from the step.": (w + lr * x, b + lr),
                    "That is w + y·x: the learning rate lr is missing.": (w + y * x, b + y),
                    "The bias is learned too: it moves by lr·y.": (w + step * x, b),
                    "The step has the wrong sign.": (w - step * x, b - step),
                    "The step is twice too long: y minus the prediction is ±2 on a mistake.": (
                        w + 2 * step * x,
                        b + 2 * step,
                    ),
                    "Nothing moved, though the neuron is wrong on this point. Is its class that"
                    " of w·x + b, with the bias?": (w, b),
                    "The bias moves by lr·y, with the learning rate.": (w + step * x, b + y),
                    "The step goes along x, not along w.": (w + step * w, b + step),
                    "The step is lr·y·x with x as long as it is.": (
                        w + step * x / np.linalg.norm(x),
                        b + step,
                    ),
                    "The order is (w, b).": (b + step, w + step * x),
                    "That step grows with the error of the score (Widrow and Hoff's rule)."
                    " Rosenblatt's is lr·y·x, whatever the score.": (w + error * x, b + error),
                },
            )
            expect.unchanged(student)
    with part("a correctly classified point changes nothing", points=0.25):
        moves = (
            "It moves though the point is right: only a mistake may move it. Compare y with a"
            " class, −1 or +1, of w·x + b; a step's 0 is no −1."
        )
        for y in (1, -1):
            w, b, x = _mistake(rng, -y)
            expect.close(
                student.perceptron_update(w, b, x, y, lr),
                (w, b),
                what=("w", "b"),
                given={"w": w, "b": b, "x": x, "y": y, "lr": lr},
                knows={moves: (w + lr * y * x, b + lr * y)},
            )
    with part("a point on the line counts as +1, as in predict", points=0.25):
        x, w, b = np.array([2.0, 3.0, 1.0]), np.zeros(3), 0.0
        moved = {-1: (w - lr * x, b - lr), 1: (w + lr * x, b + lr)}
        says = {
            -1: "With y = −1, a point on the line is a mistake. From w = 0 every point is on the"
            " line, so without this nothing would ever be learned.",
            1: "With y = +1, a point on the line is no mistake: `predict` calls it +1.",
        }
        for y, expected, other in ((-1, moved[-1], (w, b)), (1, (w, b), moved[1])):
            expect.close(
                student.perceptron_update(w, b, x, y, lr),
                expected,
                what=("w", "b"),
                given={"w": w, "b": b, "x": x, "y": y, "lr": lr},
                knows={says[y]: other},
            )
    with part("prediction_3: far, close, or the same", points=0.5):
        wrong = {
            "far": "Look at the step again: which factor knows how far x is from the line?",
            "close": "Look at the step again: does a factor grow as x comes closer to the line?",
        }
        expect.choice(student, "prediction_3", "same", wrong)


def _mistake(rng, y):
    """w, b, x with w·x + b clearly on the side of −y, and w·x alone on the other."""
    w, x, b = rng.normal(size=3), rng.normal(size=3), float(-y * rng.uniform(2.5, 3.5))
    w = w - x * (w @ x + b + y * rng.uniform(0.5, 2.0)) / (x @ x)
    return w, b, x


@exercise("perceptron_train", points=2, time_limit=3, forbids={"perceptron_train": ["sklearn"]})
def perceptron_train(student, rng):
    lr = float(rng.uniform(0.1, 0.9))
    with part(
        "clouds with a gap are separated, with as few mistakes as Novikoff says", points=0.75
    ):
        for size in (2, 3, 6):
            X, y, true_line, _ = _slow_clouds(rng, 40, size, lr)
            given = f"For 40 points in {size} dimensions, lr = {lr:.2g}, max_epochs = 1000."
            w, b, mistakes = _trained(student.perceptron_train(X, y, lr, 1000), size, given)
            wrong = int((np.where(X @ w + b >= 0, 1, -1) != y).sum())
            expect.that(
                wrong == 0,
                "Some points are still on the wrong side when it returns.",
                given=given,
                detail=f"{wrong} of 40 points, after {len(mistakes)} epochs.",
                diagnosis=_why_not_separated(w, b, mistakes),
            )
            expect.that(
                0 < sum(mistakes) <= _bound(X, y, *true_line),
                "It counts more mistakes than Novikoff's theorem allows, or none.",
                given=given,
                detail=f"{sum(mistakes)} mistakes in {len(mistakes)} epochs.",
            )
            expect.unchanged(student)
    with part("mistakes per epoch, point after point, to the first clean epoch", points=0.75):
        X, y, _, (w, b, mistakes) = _slow_clouds(rng, 30, 2, lr)
        given = f"For 30 points in 2 dimensions, lr = {lr:.2g}, max_epochs = 1000."
        *line, counted = _trained(student.perceptron_train(X, y, lr, 1000), 2, given)
        known = {
            "The last entry is missing: the clean epoch counts too, with 0.": mistakes[:-1],
            "It goes on after the clean epoch.": mistakes + [0] * (1000 - len(mistakes)),
            "Those are running totals: each epoch begins at 0.": np.cumsum(mistakes).tolist(),
            "Those are the points that were right, not the mistakes.": [30 - m for m in mistakes],
            "The weights stand still during an epoch: a mistake must move them at once, for the"
            " very next point.": _train_by_epoch(X, y, lr),
            "It goes over the points only once.": mistakes[:1],
            "Is the order of the points kept? Are w and b zero at first? Is a mistake counted when"
            " it is made, before the step?": counted,
        }
        expect.equal(counted, mistakes, what="mistakes", given=given, knows=known)
        known = {"Those are the weights for lr = 1: lr is not used.": (w / lr, b / lr)}
        expect.close(line, [w, b], what=("w", "b"), given=given, knows=known)
    with part("clouds that overlap: it stops after max_epochs", points=0.5):
        X, y, _, _ = _clouds(rng, 40, 2, gap=0.3)
        y[1:9] = -y[1:9]
        epochs = int(rng.integers(4, 9))
        given = f"For 40 points that no line separates, lr = {lr:.2g}, max_epochs = {epochs}."
        _, _, mistakes = _trained(student.perceptron_train(X, y, lr, epochs), 2, given)
        expect.that(
            len(mistakes) == epochs and min(mistakes) > 0,
            "It should make exactly max_epochs epochs, each with a mistake.",
            given=given,
            detail=f"mistakes = {expect.show(mistakes)}",
        )


def _trained(got, size, given):
    """(w, b, mistakes) as plain values, or a Fault that says what they should be."""
    w, b, mistakes = expect.items(got, 3, what="the result (w, b, mistakes)", given=given)
    w = expect.array(w, (size,), what="w", given=given)
    b = expect.number(b, what="b", given=given)
    wanted = "`mistakes` should be a list with one whole number for each epoch."
    expect.that(type(mistakes) is list, wanted, given=given, kind="type")
    counted = [expect.number(m, what="a number in mistakes", given=given) for m in mistakes]
    expect.that(all(m == int(m) for m in counted), wanted, given=given)
    return w, b, [int(m) for m in counted]


def _why_not_separated(w, b, mistakes):
    if not w.any() and b == 0 and sum(mistakes) > 0:
        return "w and b are still zero: is what `perceptron_update` returns kept?"
    if not w.any() and b == 0:
        return (
            "w and b are still zero. From w = 0 every point is on the line, which `predict` calls"
            " +1, so that a point with y = −1 is a mistake there."
        )
    if len(mistakes) > 2 and len(set(mistakes)) == 1:
        return "All epochs have equally many mistakes: do w and b begin at zero again in each?"
    if b == 0:
        return "b is still zero: the bias is learned, too, and decides with w·x."
    if len(mistakes) >= 1000:
        return "It used up max_epochs. Does each mistake move w and b, both, for the next point?"
    if not mistakes or mistakes[-1] > 0:
        return "Its last epoch had mistakes: go on until an epoch has none, or to max_epochs."
    return (
        "Its last epoch counts no mistake. Is a mistake counted before the step, and are these the"
        " w and b that it ended with?"
    )


@exercise("mistake_bound", points=1)
def mistake_bound(student, rng):
    X, y, w, b, known = _telling_clouds(rng)
    bound, given = _bound(X, y, w, b), {"X": X, "y": y, "w": w, "b": b}
    with part("(R/γ)² of a line that separates, within 1 %", points=0.6):
        got = student.mistake_bound(X, y, w, b)
        all_right = (
            "All points are on their own sides here: a point's score is multiplied by its y."
        )
        known = {**known, all_right: math.inf}
        expect.close(got, bound, what="the bound", given=given, knows=known, rtol=0.01)
        expect.unchanged(student)
    with part("a line that does not separate has no bound: infinity", points=0.15):
        flipped = np.append(-y[0], y[1:])
        squared = _bound(X, flipped, w, b, signed=False)
        known = {
            "A point on the wrong side makes γ negative, and the square hides it.": squared,
            "A point is on the wrong side, and the absolute value hides it.": bound,
            "No bound means plus infinity: any number of mistakes.": -math.inf,
        }
        got, given = student.mistake_bound(X, flipped, w, b), {**given, "y": flipped}
        expect.close(got, math.inf, what="the bound", given=given, knows=known, rtol=0.01)
    with part("prediction_5: the bound when the margin doubles", points=0.25):
        known = {
            "Where does γ stand in (R/γ)²? Put 2γ there.": 0.5,
            "Asked is the new bound divided by the old one.": 4.0,
            "A wider gap makes the bound smaller, not larger.": 2.0,
            "Only R stays as it was.": 1.0,
        }
        how = "Write down (R/γ)² for both margins and divide."
        expect.answer(student, "prediction_5", 0.25, known, how, rtol=0.01)


def _bound(X, y, w, b, *, signed=True):
    """(R/γ)², with the bias as one more weight whose input is always 1."""
    points, line = np.column_stack([X, np.ones(len(X))]), np.append(w, b)
    margin = float((y * (points @ line)).min() / np.linalg.norm(line))
    if signed and margin <= 0:
        return math.inf
    return float((np.linalg.norm(points, axis=1).max() / margin) ** 2)


def _telling_clouds(rng):
    """X, y, w, b, and the misconceptions of their bound, of which no two give the same."""
    while True:
        X, y, w, b = _clouds(rng, 5, 2, gap=rng.uniform(0.3, 0.6))
        z, lengths = y * (X @ w + b), np.linalg.norm(X, axis=1)
        line, normal = np.linalg.norm([*w, b]), np.linalg.norm(w)
        tilde = np.hypot(lengths, 1)  # the lengths of the points (x, 1)
        R, R_short = tilde.max(), lengths.max()
        margin, margin_wide = z.min() / line, z.min() / normal
        known = {
            "That is R/γ: the square is missing.": R / margin,
            "That is (γ/R)²: it is upside down.": (margin / R) ** 2,
            "The scores are not divided by the length of (w, b).": (R / z.min()) ** 2,
            "R is too short: a point is (x, 1), with the 1 for the bias.": (R_short / margin) ** 2,
            "Divide by the length of (w, b), not of w alone.": (R / margin_wide) ** 2,
            "The bias is left out: (x, 1) and (w, b).": (R_short / margin_wide) ** 2,
            "γ belongs to the closest point, not to the average one.": (R / z.mean() * line) ** 2,
            "γ belongs to the closest point, not to the farthest.": (R / z.max() * line) ** 2,
            "R is the length of one (x, 1), not of the table.": tilde @ tilde / margin**2,
            "R is squared, too: (R/γ)².": R / margin**2,
            "The bias is divided by the length of (w, b), too.": (
                (R / (y * (X @ w / line + b)).min()) ** 2
            ),
            "γ is the distance to the closest point: half the street.": (R / margin / 2) ** 2,
        }
        values = np.sort([_bound(X, y, w, b), *known.values()])
        if (values[1:] > 1.03 * values[:-1]).all():
            return X, y, w, b, known


@exercise("xor_network", points=1)
def xor_network(student, rng):
    corners, outputs = np.array([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]]), [0, 1, 1, 0]
    with part("the four corners", points=0.4):
        known = {
            "That is OR: the corner (1, 1) should give 0.": [0, 1, 1, 1],
            "That is AND, which can be one of the neurons in the first layer.": [0, 0, 0, 1],
            "That is NAND: the corner (0, 0) should give 0.": [1, 1, 1, 0],
            "That is the opposite of XOR.": [1, 0, 0, 1],
            "That is x₁ by itself.": [0, 0, 1, 1],
            "That is x₂ by itself.": [0, 1, 0, 1],
            "The outputs are 0 and 1 here, not −1 and +1.": [-1, 1, 1, -1],
            "It is 0 at every corner: can the last neuron reach its threshold?": [0, 0, 0, 0],
            "It is 1 at every corner: is the last neuron's bias too large?": [1, 1, 1, 1],
        }
        got = [student.xor_network(x) for x in corners]
        _each(got, outputs, given=[{"x": x} for x in corners], knows=known)
    with part("points near the corners, up to 0.2 away in x₁ and in x₂", points=0.6):
        for corner, expected in zip(corners, outputs, strict=True):
            near = np.vstack([corner, corner + rng.uniform(-0.2, 0.2, size=(12, 2))])
            got = [expect.number(student.xor_network(x), given={"x": x}) for x in near]
            for x, one in zip(near, got, strict=True):
                known = {_why_not_near(got, expected): one}
                given = {"x": x, "near the corner": corner}
                expect.close(one, float(expected), given=given, knows=known)


def _why_not_near(got, expected):
    if any(one not in (0.0, 1.0) for one in got):
        return "The output is not 0 or 1: the last neuron needs its step."
    if got[0] != expected:
        return "Begin with the corner itself: its output is not right yet."
    if expected not in got[1:]:
        return "Right at the corner itself, wrong all around it: the inputs are not exact."
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
    with part("ten neurons, one for each digit: 80 % of new images right", points=0.75):
        W, b = _ten(student.multiclass_train(X[train], y[train], 5), given)
        _reaches(0.80, W, b, X[test], y[test], given)
        expect.unchanged(student)
    with part("90 % of new images right, though its last few labels were wrong", points=0.75):
        spoiled = y[train].copy()
        spoiled[-40:] = (spoiled[-40:] + rng.integers(1, 10, size=40)) % 10
        given += " The last 40 labels are wrong."
        W, b = _ten(student.multiclass_train(X[train], spoiled, 5), given)
        _reaches(0.90, W, b, X[test], y[test], given)
    with part("the averages of W and b over all N · epochs steps, from zero", points=0.5):
        # Nearly at right angles: learned within the epochs, so that some steps move nothing.
        X = np.diag(rng.integers(4, 9, size=4)) + rng.integers(0, 2, size=(4, 4)).astype(float)
        y, epochs = rng.choice(10, size=4, replace=False), 6
        right, known = _averages(X, y, epochs), _other_averages(X, y, epochs)
        given = {"X": X, "y": y, "epochs": epochs}
        got = student.multiclass_train(X, y, epochs)
        expect.close(got, right, what=("W", "b"), given=given, knows=known)


def _averages(X, y, epochs, **other):
    """The averages of W and b over all steps, or what `_steps` makes of `other`."""
    W, b = zip(*_steps(X, y, epochs, **other), strict=True)
    return np.mean(W, axis=0), np.mean(b, axis=0)


def _steps(X, y, epochs, *, of_ten=True, always=False, on_the_line=1, before=False, missed=False):
    """(W, b) after each step.

    of_ten: all ten learn; otherwise the highest score and the label's own. always: mistake or not.
    on_the_line: the class of a score of 0. before: as they were before each step. missed: only
    after steps that move.
    """
    W, b, steps = np.zeros((10, X.shape[1])), np.zeros(10), []
    for x, label in [*zip(X, y, strict=True)] * epochs:
        target, z = np.where(np.arange(10) == label, 1, -1), W @ x + b
        move = target * (always or np.where(z == 0, on_the_line, np.sign(z)) != target)
        if not of_ten:
            ranks = np.arange(10)
            move = (ranks == label).astype(int) - (ranks == z.argmax())
        if before:
            steps.append((W, b))
        W, b = W + np.outer(move, x), b + move
        if not before and (move.any() or not missed):
            steps.append((W, b))
    return steps


def _other_averages(X, y, epochs):
    """What else training gives, by misconception."""
    (W, b), n, steps = _averages(X, y, epochs), len(X), _steps(X, y, epochs)
    ends, count = steps[n - 1 :: n], n * epochs
    return {
        "Those are the weights after the last step: return their average.": steps[-1],
        "W is an average, b is what the last step left: both are averaged.": (W, steps[-1][1]),
        "Those are sums: divide by the number of steps, N · epochs.": (count * W, count * b),
        "b is a sum still: divide it, too, by the number of steps.": (W, count * b),
        "W is a sum still: divide it, too, by the number of steps.": (count * W, b),
        "The sums are divided by N: there are N · epochs steps.": (epochs * W, epochs * b),
        "The sums are divided by the epochs: there are N · epochs steps.": (n * W, n * b),
        "That is the average over the first epoch alone.": _averages(X, y, 1),
        "That is the average over the ends of the epochs: add after every image.": tuple(
            np.mean(one, axis=0) for one in zip(*ends, strict=True)
        ),
        "Steps without a mistake count, too: add after every image.": _averages(
            X, y, epochs, missed=True
        ),
        "The weights are added before each step: add them after it.": _averages(
            X, y, epochs, before=True
        ),
        "It moves at every image: only a neuron that is wrong about it moves.": _averages(
            X, y, epochs, always=True
        ),
        "A score of 0 means +1, as in `predict`.": _averages(X, y, epochs, on_the_line=-1),
        "That moves only the label's neuron and the winner: each of the ten decides by the sign of"
        " its own score.": _averages(X, y, epochs, of_ten=False),
    }


def _ten(got, given):
    """(W, b) of ten neurons for 64 pixels."""
    W, b = expect.items(got, 2, what="the result (W, b)", given=given)
    if type(W) is np.ndarray and W.dtype.kind == "f":
        hint = "A sum that starts as `W_sum = W` is the same array as W: start it from new zeros."
        message = "W holds values that are not finite (NaN or infinity)."
        expect.that(np.isfinite(W).all(), message, given=given, diagnosis=hint)
    return (
        expect.array(W, (10, 64), what="W", given=given),
        expect.array(b, (10,), what="b", given=given),
    )


def _reaches(floor, W, b, X, y, given):
    scores = X @ W.T + b
    right = float((scores.argmax(axis=1) == y).mean())
    expect.that(
        right >= floor,
        f"Fewer than {floor:.0%} of the images that it had not seen are right.",
        given=given,
        detail=f"{right:.1%} of {len(y)} images are right.",
        diagnosis=_why_not_digits(W, scores, y),
    )


def _why_not_digits(W, scores, y):
    if not W.any():
        return (
            "All weights are zero. A neuron that sees only its own digit makes no mistake: show it"
            " the other nine too, with the target −1."
        )
    if np.allclose(W, W[0]):
        return "All ten rows of W are equal: neuron k has the target +1 for digit k alone."
    if (scores.argmin(axis=1) == y).mean() > 0.5:
        return "The right digit gets the lowest score: are the targets the wrong way round?"
    if (scores >= 0).mean() > 0.5:
        return "The neurons say +1 to most images: for the nine other digits the target is −1."
    return (
        "If the last few examples have the last word: return the average of the weights over all"
        " steps, not the weights after the last step."
    )


def _each(got, expected, *, given, knows):
    """Several calls, compared one by one; `knows` has the wrong outputs of all of them."""
    told = [text for text, values in knows.items() if _same(got, values)][:1]
    for one, right, at in zip(got, expected, given, strict=True):
        expect.close(one, right, given=at, knows=dict.fromkeys(told, one))


def _same(got, values):
    try:
        expect.close(got, values)
    except Fault:
        return False
    return True


def _clouds(rng, count, size, *, gap):
    """Two clouds in `size` dimensions, no point nearer than `gap` to the line w·x + b = 0.

    Returns X (count, size), y (count,) of −1 and +1 (−1 first, so that how a rule treats points on
    the line makes no difference), w (size,) and b.
    """
    w = rng.normal(size=size)
    w /= np.linalg.norm(w)
    b = float(rng.choice([-1, 1]) * rng.uniform(0.4, 1.2))
    y = rng.choice([-1, 1], size=count)
    y[:2] = -1, 1
    X = rng.normal(size=(count, size))
    X += np.outer(y * (gap + np.abs(rng.normal(size=count))) - (X @ w + b), w)
    scale = rng.uniform(1.5, 3.0)  # the same line, by a w that is not of length 1
    return X, y, scale * w, scale * b


def _slow_clouds(rng, count, size, lr):
    """Clouds that one epoch does not separate: X, y, a line between them, what training gives."""
    while True:
        X, y, *line = _clouds(rng, count, size, gap=rng.uniform(0.2, 0.8))
        w, b, mistakes = np.zeros(size), 0.0, []
        while not mistakes or mistakes[-1]:
            mistakes.append(0)
            for one, label in zip(X, y, strict=True):
                if (1 if w @ one + b >= 0 else -1) != label:
                    w, b, mistakes[-1] = w + lr * label * one, b + lr * label, mistakes[-1] + 1
        if len(mistakes) >= 3 and _train_by_epoch(X, y, lr) != mistakes:
            return X, y, line, (w, b, mistakes)


def _train_by_epoch(X, y, lr):
    """Mistakes per epoch where the weights change only between epochs."""
    w, b, mistakes = np.zeros(X.shape[1]), 0.0, []
    for _ in range(1000):
        wrong = np.where(X @ w + b >= 0, 1, -1) != y
        mistakes.append(int(wrong.sum()))
        if not wrong.any():
            break
        w, b = w + lr * (y[wrong] @ X[wrong]), b + lr * y[wrong].sum()
    return mistakes
