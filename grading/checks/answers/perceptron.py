"""Lab 01: the right answers, and the misconceptions of a neuron, its line and its rule."""

import math
import sys
from operator import mul

import numpy as np

from grading.checks.mistakes import Known, Mistake, Table, variants


def neuron(x, w, b, activation):
    z = float(w @ x + b)
    if activation == "relu":
        return max(z, 0.0)
    return 1.0 if z >= 0 else 0.0


def predict(X, w, b):
    return np.where(X @ w + b >= 0, 1, -1)


def perceptron_update(w, b, x, y, lr):
    if (1 if w @ x + b >= 0 else -1) == y:
        return w, b
    return w + lr * y * x, b + lr * y


def perceptron_train(X, y, lr=1.0, max_epochs=1000):
    w, b, mistakes = [0.0] * X.shape[1], 0.0, []
    points = list(zip(X.tolist(), y.tolist(), strict=True))  # plain numbers: ten times as fast
    for _ in range(max_epochs):
        mistakes.append(0)
        for x, label in points:
            if (1 if sum(map(mul, w, x)) + b >= 0 else -1) != label:
                w, b = (
                    [one + lr * label * each for one, each in zip(w, x, strict=True)],
                    b + lr * label,
                )
                mistakes[-1] += 1
        if mistakes[-1] == 0:
            break
    return np.array(w), float(b), mistakes


def mistake_bound(X, y, w, b):
    points, line = np.column_stack([X, np.ones(len(X))]), np.append(w, b)
    margin = (y * (points @ line)).min() / np.linalg.norm(line)
    return math.inf if margin <= 0 else float((points**2).sum(axis=1).max() / margin**2)


W_first, b_first = np.array([[1.0, 1.0], [1.0, 1.0]]), np.array([-0.5, -1.5])
w_last, b_last = np.array([1.0, -1.0]), -0.5


def multiclass_train(X, y, epochs):
    targets = np.where(y[:, None] == np.arange(10), 1, -1)
    W, b = np.zeros((10, X.shape[1])), np.zeros(10)
    W_sum, b_sum = np.zeros_like(W), np.zeros_like(b)
    for _ in range(epochs):
        for x, target in zip(X, targets, strict=True):
            missed = np.where(W @ x + b >= 0, 1, -1) != target
            W[missed] += np.outer(target[missed], x)
            b[missed] += target[missed]
            W_sum += W
            b_sum += b
    return W_sum / (epochs * len(X)), b_sum / (epochs * len(X))


_neuron, _neuron_otherwise = variants(
    "neuron",
    """
def neuron(x, w, b, activation):
    z = {score}
    if activation == "relu":
        return {relu}
    return {step}
""",
    score="float(w @ x + b)",
    relu="max(z, 0.0)",
    step="1.0 if z >= 0 else 0.0",
)
_SUM = "w·x is the sum of the products, not their mean; the bias is added once, to that sum."
_NEURON = [
    _neuron(
        "silent at 0",
        0.8,
        "At w·x + b = 0 the step is 1: `>=`, not `>`.",
        step="1.0 if z > 0 else 0.0",
    ),
    _neuron(
        "half", 0.8, "At w·x + b = 0 the step is 1, all of it.", step="float(np.heaviside(z, 0.5))"
    ),
    _neuron("wrong way round", 0.4, "It is the wrong way round.", step="1.0 if z < 0 else 0.0"),
    _neuron(
        "no bias",
        0,
        "That is for w·x: the bias b is missing, or stands for the threshold, which is −b.",
        score="float(w @ x)",
    ),
    _neuron("bias subtracted", 0, "That is for w·x − b: the bias is added.", score="w @ x - b"),
    _neuron(
        "mean",
        0.4,
        _SUM,  # at a step these two are on the same side of 0 everywhere
        score="(w * x).mean() + b",
    ),
    _neuron(
        "bias in each product",
        0.4,
        _SUM,
        score="(w * x + b).sum()",
    ),
    _neuron_otherwise(
        "products apart",
        0,
        "should be a number",
        score="w * x + b",
        relu="np.maximum(z, 0)",
        step="np.where(z >= 0, 1.0, 0.0)",
    ),
    _neuron(
        "no rectifier",
        0.6,
        "That is w·x + b: relu turns what is negative into 0. (`np.max(z, 0)` takes the 0 for an axis;"
        " `max(z, 0)` and `np.maximum(z, 0)` compare.)",
        relu="z",
    ),
    _neuron_otherwise("products apart, compared", 0, "the sum of the products", score="w * x + b"),
    _neuron(
        "step for relu",
        0.6,
        "It gives no more than 1, as the step does: relu gives a positive w·x + b itself.",
        relu="1.0 if z >= 0 else 0.0",
    ),
    _neuron(
        "relu capped",
        0.6,
        "It gives no more than 1, as the step does: relu gives a positive w·x + b itself.",
        relu="min(max(z, 0.0), 1.0)",
    ),
    _neuron(
        "negative part", 0.6, "It is the positive part that relu lets pass.", relu="min(z, 0.0)"
    ),
    _neuron(
        "opposite",
        0.6,
        "relu turns what is negative into 0, not into its opposite.",
        relu="abs(z)",
    ),
    _neuron(
        "sigmoid",
        0.4,
        "That is a sigmoid, which is smooth: the step is 0 or 1.",
        step="1 / (1 + np.exp(-z))",
    ),
    _neuron("no step", 0.4, "That is w·x + b, before the step.", step="z"),
    _neuron("relu for step", 0.4, "That is relu: the step gives only 0 or 1.", step="max(z, 0.0)"),
    _neuron(
        "minus one",
        0.6,
        "Below the threshold it gives 0; the class −1 is exercise 2's.",
        step="1.0 if z >= 0 else -1.0",
    ),
    _neuron(
        "sign",
        0.4,
        "That is the sign of w·x + b, −1, 0 or 1: the step is 0 or 1, and 1 at 0.",
        step="float(np.sign(z))",
    ),
    _neuron(
        "threshold b",
        0,
        "The bias is added; the threshold of w·x is −b, not b.",
        score="float(w @ x)",
        relu="z if z >= b else 0.0",
        step="1.0 if z >= b else 0.0",
    ),
    _neuron(
        "bias after relu",
        0.6,
        "The bias is added before relu: relu(w·x + b), not relu(w·x) + b.",
        relu="max(float(w @ x), 0.0) + b",
    ),
    _neuron("bias as a factor", 0, "The bias is added, not multiplied.", score="float(w @ x) * b"),
    _neuron(
        "inputs added",
        0,
        "Weights and inputs are added: multiply each pair, and add up the products.",
        score="float((w + x).sum()) + b",
    ),
    _neuron(
        "bias to the inputs",
        0,
        "That is w·(x + b): the bias is added to the sum, not to each input.",
        score="float(w @ (x + b))",
    ),
    _neuron(
        "bias to the weights",
        0,
        "That is (w + b)·x: the bias is added to the sum, not to each weight.",
        score="float((w + b) @ x)",
    ),
    _neuron(
        "leaky",
        0.6,
        "That is a leaky relu, with a small slope below 0: here a negative sum gives 0.",
        relu="z if z >= 0 else 0.01 * z",
    ),
    _neuron(
        "cut",
        0.6,
        "The sum is cut to a whole number: leave out int().",
        relu="max(int(z), 0)",
    ),
    _neuron("rounded", 0.6, "The sum is rounded: leave it as it is.", relu="max(round(z), 0)"),
    _neuron_otherwise(
        "activation called",
        0,
        "is a word, not a function",
        relu="activation(z)",
        step="activation(z)",
    ),
    _neuron_otherwise(
        "a branch without return", 0.6, "nothing is returned", relu="z if z > 0 else None"
    ),
    Mistake(
        "neuron",
        "parameters in another order",
        0,
        "in the order x, w, b, activation",
        """
def neuron(x, w, activation, b):
    z = w @ x + b
    return (1.0 if z >= 0 else 0.0) if activation == "step" else max(z, 0.0)
""",
    ),
]

_predict, _predict_otherwise = variants(
    "predict", "def predict(X, w, b):\n    return {result}\n", result=""
)
_ONE_CLASS = "One class is decided for the whole batch: each point has its own."
_PREDICT = [
    _predict(
        "sign of zero",
        0.8,
        "np.sign(0) is 0, and 0 is no class: decide with `>= 0`.",
        result="np.sign(X @ w + b)",
    ),
    _predict(
        "strict",
        0.8,
        "At w·x + b = 0 the class is +1: `>=`, not `>`.",
        result="np.where(X @ w + b > 0, 1, -1)",
    ),
    _predict(
        "zero and one",
        0,
        "The classes are −1 and +1 here, not 0 and 1.",
        result="np.where(X @ w + b >= 0, 1, 0)",
    ),
    _predict(
        "the scores",
        0,
        "Those are the scores w·x + b: a class is −1 or +1.",
        result="X @ w + b",
    ),
    _predict(
        "distances",
        0,
        "Those are the distances from the line: a class is −1 or +1.",
        result="(X @ w + b) / np.linalg.norm(w)",
    ),
    _predict(
        "no bias",
        0,
        "Those are the classes by w·x alone: the bias b is missing.",
        result="np.where(X @ w >= 0, 1, -1)",
    ),
    _predict(
        "threshold b",
        0,
        "The bias is added; the threshold of w·x is −b, not b.",
        result="np.where(X @ w >= b, 1, -1)",
    ),
    _predict(
        "sides swapped",
        0,
        "It is the wrong way round: +1 is the side where w·x + b is positive.",
        result="np.where(X @ w + b >= 0, -1, 1)",
    ),
    _predict(
        "mean",
        0,
        _SUM,
        result="np.where((X * w).mean(axis=1) + b >= 0, 1, -1)",
    ),
    _predict(
        "bias in each product",
        0,
        _SUM,
        result="np.where((X * w + b).sum(axis=1) >= 0, 1, -1)",
    ),
    _predict(
        "one for all, any",
        0.1,
        _ONE_CLASS,
        result="np.full(len(X), 1 if (X @ w + b >= 0).any() else -1)",
    ),
    _predict(
        "one for all, all",
        0.1,
        _ONE_CLASS,
        result="np.full(len(X), 1 if (X @ w + b >= 0).all() else -1)",
    ),
    _predict(
        "one for all, sum",
        0.1,
        _ONE_CLASS,
        result="np.full(len(X), 1 if (X @ w + b).sum() >= 0 else -1)",
    ),
    _predict(
        "sum of everything",
        0,
        "All the products of all points are summed: sum those of each row, axis=1.",
        result="np.where((X * w).sum() + b >= 0, 1, -1)",
    ),
    _predict(
        "0 for +1",
        0,
        "The classes are −1 and +1 here, not −1 and 0.",
        result="np.where(X @ w + b >= 0, 0, -1)",
    ),
    _predict(
        "threshold a half",
        0,
        "A score just above 0 is +1 already: the threshold is 0.",
        result="np.where(X @ w + b >= 0.5, 1, -1)",
    ),
    _predict(
        "places",
        0,
        "np.where with a condition alone gives the places where it holds: give it the two values,"
        " too.",
        result="np.where(X @ w + b >= 0)",
    ),
    _predict(
        "one number for all, any", 0, _ONE_CLASS, result="1 if (X @ w + b >= 0).any() else -1"
    ),
    _predict(
        "one number for all, all", 0, _ONE_CLASS, result="1 if (X @ w + b >= 0).all() else -1"
    ),
    _predict(
        "first row alone",
        0,
        "That is the class of the first row alone: does a `return` end the loop?",
        result="1 if X[0] @ w + b >= 0 else -1",
    ),
    _predict(
        "first row alone, in an array",
        0.1,
        "That is the class of the first row alone: does a `return` end the loop?",
        result="np.array([1 if X[0] @ w + b >= 0 else -1])",
    ),
    _predict(
        "the + side alone",
        0,
        "Only the points of the + side are in it: a point of the other side gets −1.",
        result="np.array([1 for x in X if x @ w + b >= 0])",
    ),
    _predict_otherwise(
        "each number",
        0,
        "`X @ w` has shape (N,)",
        result="np.where(X * w + b >= 0, 1, -1)[:, :1]",
    ),
    _predict_otherwise(
        "squeezed",
        0.9,
        "should have shape (1,)",
        result="np.where(X @ w + b >= 0, 1, -1).squeeze()",
    ),
    _predict_otherwise(
        "a list",
        0,
        "should be a NumPy array",
        result="[1 if x @ w + b >= 0 else -1 for x in X]",
    ),
    _predict_otherwise(
        "one if", 0, "truth value of an array", result="1 if X @ w + b >= 0 else -1"
    ),
]

_update, _ = variants(
    "perceptron_update",
    """
def perceptron_update(w, b, x, y, lr):
    if {right}:
        return {same}
    return {new}
""",
    same="w, b",
    right="(1 if w @ x + b >= 0 else -1) == y",
    new="w + lr * y * x, b + lr * y",
)
_UPDATE = [
    _update(
        "on the line is right",
        1.5,
        "With y = −1, a point on the line is a mistake. From w = 0 every point is on the line, so"
        " without this nothing would ever be learned.",
        right="y * (w @ x + b) >= 0",
    ),
    _update(
        "on the line is wrong",
        1.5,
        "With y = +1, a point on the line is no mistake: `predict` calls it +1.",
        right="y * (w @ x + b) > 0",
    ),
    _update(
        "on the line is −1",
        1.5,
        "A point on the line counts as +1: `>=`, not `>`.",
        right="(1 if w @ x + b > 0 else -1) == y",
    ),
    _update(
        "0 for −1",
        1.75,
        "It moves though the point is right: the other class is −1; a step's 0 is no −1.",
        right="(1 if w @ x + b >= 0 else 0) == y",
    ),
    _update(
        "every point",
        1.25,
        "It moves though the point is right: only a mistake may move it.",
        right="False",
    ),
    _update(
        "class without bias",
        0,
        "That decides by w·x alone: the class is that of w·x + b, with the bias.",
        right="(1 if w @ x >= 0 else -1) == y",
    ),
    _update(
        "only on a hit",
        0,
        "It moves where the point is right, and not on a mistake.",
        right="(1 if w @ x + b >= 0 else -1) != y",
    ),
    _update(
        "no label",
        0,
        "That is w + lr·x: the label y is missing from the step.",
        new="w + lr * x, b + lr",
    ),
    _update(
        "no label for w",
        0,
        "w moves by lr·x: the label y is missing there.",
        new="w + lr * x, b + lr * y",
    ),
    _update(
        "no learning rate",
        0,
        "That is w + y·x: the learning rate lr is missing.",
        new="w + y * x, b + y",
    ),
    _update(
        "no learning rate for w",
        0,
        "w moves by y·x, without the learning rate: by lr·y·x.",
        new="w + y * x, b + lr * y",
    ),
    _update(
        "no x",
        0,
        "x is missing from the step of w: it is lr·y·x.",
        new="w + lr * y, b + lr * y",
    ),
    _update(
        "bias left alone", 0, "The bias is learned too: it moves by lr·y.", new="w + lr * y * x, b"
    ),
    _update(
        "bias at full speed",
        0,
        "The bias moves by lr·y, with the learning rate.",
        new="w + lr * y * x, b + y",
    ),
    _update("wrong sign", 0, "The step has the wrong sign.", new="w - lr * y * x, b - lr * y"),
    _update(
        "two steps at once",
        0,
        "The step is twice too long: y minus the prediction is ±2 on a mistake.",
        new="w + 2 * lr * y * x, b + 2 * lr * y",
    ),
    _update("along w", 0, "The step goes along x, not along w.", new="w + lr * y * w, b + lr * y"),
    _update(
        "unit step",
        0,
        "The step is lr·y·x with x as long as it is.",
        new="w + lr * y * x / np.linalg.norm(x), b + lr * y",
    ),
    _update("other order", 0, "The order is (w, b).", new="b + lr * y, w + lr * y * x"),
    _update(
        "Widrow and Hoff",
        0.75,
        "That step grows with the error of the score (Widrow and Hoff's rule). Rosenblatt's is"
        " lr·y·x, whatever the score.",
        new="w + lr * (y - w @ x - b) * x, b + lr * (y - w @ x - b)",
    ),
    _update(
        "Widrow and Hoff, always",
        0,
        "That moves at every point, by the error of the score (Widrow and Hoff's rule). Rosenblatt's"
        " moves on a mistake, by lr·y·x.",
        right="False",
        new="w + lr * (y - w @ x - b) * x, b + lr * (y - w @ x - b)",
    ),
    _update(
        "Widrow and Hoff, one after the other",
        0,
        "That step grows with the error of the score (Widrow and Hoff's rule). Rosenblatt's is"
        " lr·y·x, whatever the score.",
        new="(v := w + lr * (y - w @ x - b) * x), b + lr * (y - v @ x - b)",
    ),
    _update(
        "as long as the score",
        0,
        "The step grows with the score: Rosenblatt's is lr·y·x, whatever the score.",
        new="w + lr * abs(w @ x + b) * y * x, b + lr * abs(w @ x + b) * y",
    ),
    _update(
        "as long as the score, w alone",
        0,
        "The step of w grows with the score: Rosenblatt's is lr·y·x, whatever the score.",
        new="w + lr * abs(w @ x + b) * y * x, b + lr * y",
    ),
    _update(
        "bias times itself",
        0,
        "The bias moves by lr·y, as a weight whose input is always 1: not by lr·y·b.",
        new="w + lr * y * x, b + lr * y * b",
    ),
    _update(
        "bias times the inputs",
        0,
        "The bias moves by lr·y: its input is always 1, not the sum of the inputs.",
        new="w + lr * y * x, b + lr * y * x.sum()",
    ),
    _update(
        "bias the other way",
        0,
        "w moves the right way and b the other: both add lr·y times their input.",
        new="w + lr * y * x, b - lr * y",
    ),
    _update(
        "half a step",
        0,
        "The step is half as long as it should be: lr·y·x.",
        new="w + lr * y * x / 2, b + lr * y / 2",
    ),
    _update(
        "divided by the rate",
        0,
        "The step is divided by the learning rate: it is multiplied by it.",
        new="w + y * x / lr, b + y / lr",
    ),
    _update(
        "a margin of 1",
        1.25,
        "A point that is right by less than 1 moves the line: only a mistake may move it.",
        right="y * (w @ x + b) >= 1",
    ),
    _update(
        "signs of x",
        0,
        "The step goes along x, with its numbers, not their signs alone.",
        new="w + lr * y * np.sign(x), b + lr * y",
    ),
    _update(
        "positive points alone",
        0,
        "A negative point that was missed moves nothing: it moves the line, too, away from it.",
        right="y == -1 or w @ x + b >= 0",
    ),
    _update(
        "negative points alone",
        0.75,
        "A positive point that was missed moves nothing: it moves the line, too, towards it.",
        right="y == 1 or w @ x + b < 0",
    ),
    _update(
        "other order, always",
        0,
        "The order is (w, b).",
        same="b, w",
        new="b + lr * y, w + lr * y * x",
    ),
    _update(
        "rate added",
        0,
        "The learning rate is added: it multiplies the step, lr·y·x.",
        new="w + lr + y * x, b + lr + y",
    ),
    _update(
        "the step alone",
        0,
        "That is the step alone: return the new w and b, with the step added.",
        new="lr * y * x, lr * y",
    ),
    _update(
        "no label for the bias",
        0,
        "The bias moves by lr·y: the label is missing there.",
        new="w + lr * y * x, b + lr",
    ),
    _update(
        "a step of 0 or 1 for the class",
        0,
        "The class is taken as 0 or 1: it is −1 or +1, and the step on a mistake is lr·y·x.",
        right="False",
        new="w + lr * (y - (w @ x + b >= 0)) * x, b + lr * (y - (w @ x + b >= 0))",
    ),
    _update(
        "bias as an array",
        0,
        "The bias moves by lr·y: its input is always 1, not x.",
        new="w + lr * y * x, b + lr * y * x",
    ),
    Known(
        "perceptron_update",
        "until it is right",
        0.75,
        "It steps again and again until the point is right: one call makes one step.",
        """
def perceptron_update(w, b, x, y, lr):
    while (1 if w @ x + b >= 0 else -1) != y:
        w, b = w + lr * y * x, b + lr * y
    return w, b
""",
    ),
    Mistake(
        "perceptron_update",
        "in place",
        0.75,
        "changed its argument `w` in place",
        """
def perceptron_update(w, b, x, y, lr):
    if (1 if w @ x + b >= 0 else -1) != y:
        w += lr * y * x
        b += lr * y
    return w, b
""",
    ),
]

_train, _train_otherwise = variants(
    "perceptron_train",
    """
def perceptron_train(X, y, lr=1.0, max_epochs=1000):
    (w, b), mistakes = ({start}), []
    for _ in range({epochs}):
        {epoch}
        mistakes.append(0)
        {first}
        for x, label in zip({shown}):
            if {missed}:
                {step}
                {count}
            {other}
        {end}
        if {clean}:
            break
    return (w, b, {result})
""",
    start="np.zeros(X.shape[1]), 0.0",
    epochs="max_epochs",
    epoch="",
    first="",
    step="w, b = w + lr * label * x, b + lr * label",
    count="mistakes[-1] += 1",
    other="",
    end="",
    shown="X, y",
    missed="(1 if w @ x + b >= 0 else -1) != label",
    clean="mistakes[-1] == 0",
    result="mistakes",
)
_LAST_COUNT = (
    "Only the last epoch's count is in it: make the list once, before the loop over epochs, and append"
    " every epoch's count."
)
_TRAIN = [
    _train_otherwise("one epoch", 0, "inside the loop over the epochs", clean="True"),
    _train(
        "an epoch less",
        1.5,
        "It stops one epoch before max_epochs: that many it may take.",
        epoch="if _ == max_epochs - 1: break",
    ),
    _train(
        "max_epochs ignored",
        1.5,
        "max_epochs is not used: some problems have no line.",
        epoch="",
        epochs="1000",
    ),
    _train(
        "two clean epochs",
        1.5,
        "It goes on after the clean epoch.",
        clean="mistakes[-2:] == [0, 0]",
    ),
    _train(
        "from ones",
        0.75,
        "w starts at 1: it should start at 0.",
        start="np.ones(X.shape[1]), 0.0",
    ),
    _train(
        "b from one",
        0.75,
        "b starts at 1: it should start at 0.",
        start="np.zeros(X.shape[1]), 1.0",
    ),
    _train(
        "on to the first right one",
        0,
        "An epoch ends at the first point that is right: go on to the next point.",
        other="else: break",
    ),
    _train(
        "one mistake an epoch",
        0.75,
        "An epoch ends at its first mistake: go on to the next point.",
        count="mistakes[-1] += 1; break",
    ),
    _train(
        "the last count",
        1.0,
        _LAST_COUNT,
        result="mistakes[-1:]",
    ),
    Known(
        "perceptron_train",
        "numbers of points",
        1.0,
        "Those are the numbers of the points that were missed: count them, epoch by epoch.",
        """
def perceptron_train(X, y, lr=1.0, max_epochs=1000):
    w, b, missed = np.zeros(X.shape[1]), 0.0, []
    for _ in range(max_epochs):
        before = len(missed)
        for i, (x, label) in enumerate(zip(X, y)):
            if (1 if w @ x + b >= 0 else -1) != label:
                w, b = w + lr * label * x, b + lr * label
                missed.append(i)
        if len(missed) == before:
            break
    return w, b, missed
""",
    ),
    _train(
        "one mistake is enough",
        1.5,
        "The clean epoch is missing at the end: it counts, too, with 0, and one mistake is not yet"
        " none.",
        clean="mistakes[-1] <= 1",
    ),
    _train(
        "latest first",
        1.0,
        "The list is the wrong way round: the first epoch's count comes first.",
        result="mistakes[::-1]",
    ),
    _train(
        "counted after the step",
        0,
        "The class is asked for after the step: a mistake is what was wrong before it.",
        missed="True",
        step="w, b = (w, b) if (1 if w @ x + b >= 0 else -1) == label else"
        " (w + lr * label * x, b + lr * label)",
        count="mistakes[-1] += (1 if w @ x + b >= 0 else -1) != label",
    ),
    _train(
        "counted after the epoch",
        1.0,
        "Those are the points that are wrong at the end of each epoch: count a mistake when its"
        " point has its turn, before the step.",
        count="pass",
        end="mistakes[-1] = int((np.where(X @ w + b >= 0, 1, -1) != y).sum())",
    ),
    _train(
        "counted before the epoch",
        1.0,
        "Those are the points that are wrong at the start of each epoch: count a mistake when its"
        " point has its turn.",
        count="pass",
        first="mistakes[-1] = int((np.where(X @ w + b >= 0, 1, -1) != y).sum())",
    ),
    _train(
        "classes of the epoch's start",
        0.75,
        "The weights stand still during an epoch: a mistake must move them at once, for the very"
        " next point.",
        first="classes = iter(np.where(X @ w + b >= 0, 1, -1))",
        missed="next(classes) != label",
    ),
    _train(
        "no clean epoch",
        1.5,
        "The clean epoch is missing at the end: it counts, too, with 0, and one mistake is not yet"
        " none.",
        result="[m for m in mistakes if m]",
    ),
    _train("on and on", 1.5, "It goes on after the clean epoch.", clean="False"),
    _train(
        "running totals",
        1.0,
        "Those are running totals: each epoch begins at 0.",
        result="np.cumsum(mistakes).tolist()",
    ),
    _train("the clean one alone", 1.0, _LAST_COUNT, result="[m for m in mistakes if m == 0]"),
    # Of 41 points only two are shown: with all but one it is luck whether all end up right.
    _train(
        "without the last point",
        0,
        "The last point is never shown: each epoch takes all points.",
        shown="X[: -1 if len(X) < 40 else 2], y[: -1 if len(X) < 40 else 2]",
    ),
    _train(
        "without the first point",
        0,
        "The first point is never shown: each epoch takes all points.",
        shown="X[1 if len(X) < 40 else 39 :], y[1 if len(X) < 40 else 39 :]",
    ),
    _train(
        "falling rate",
        0.75,
        "The learning rate falls from epoch to epoch: it stays lr.",
        step="w, b = w + lr / (_ + 1) * label * x, b + lr / (_ + 1) * label",
    ),
    _train(
        "never set back",
        1.0,
        "The count is never set back to 0, so that no epoch is clean: each epoch begins at 0.",
        first="mistakes[-1] = mistakes[-2] if len(mistakes) > 1 else 0",
    ),
    _train(
        "classes of the epoch's start, asked again",
        0.75,
        "The classes are asked for once an epoch: ask for each point's at its turn, since every"
        " mistake moves the line.",
        first="classes = iter(np.where(X @ w + b >= 0, 1, -1))",
        missed="next(classes) != label",
        step="w, b = (w, b) if (1 if w @ x + b >= 0 else -1) == label else"
        " (w + lr * label * x, b + lr * label)",
    ),
    _train(
        "the right ones",
        1.0,
        "Those are the points that were right, not the mistakes.",
        result="[len(X) - m for m in mistakes]",
    ),
    Known(
        "perceptron_train",
        "by epoch",
        0.75,
        "The weights stand still during an epoch: a mistake must move them at once, for the very"
        " next point.",
        """
def perceptron_train(X, y, lr=1.0, max_epochs=1000):
    w, b, mistakes = np.zeros(X.shape[1]), 0.0, []
    for _ in range(max_epochs):
        wrong = np.where(X @ w + b >= 0, 1, -1) != y
        mistakes.append(int(wrong.sum()))
        if not wrong.any():
            break
        w, b = w + lr * (y[wrong] @ X[wrong]), b + lr * float(y[wrong].sum())
    return w, b, mistakes
""",
    ),
    _train(
        "backwards",
        0.75,
        "The points are shown in another order: from the last to the first.",
        shown="X[::-1], y[::-1]",
    ),
    _train(
        "own learning rate",
        0.75,
        "Those are the weights for lr = 1: lr is not used.",
        step="w, b = w + label * x, b + label",
    ),
    _train(
        "updates on the line",
        1.75,
        "A point on the line counts as +1, as in `predict`: with y = +1 it is no mistake.",
        missed="label * (w @ x + b) <= 0",
    ),
    _train(
        "another order of arguments",
        0,
        "`perceptron_update` takes w, b, x, y and lr, in this order: x and y do not come first.",
        step="w, b = perceptron_update(x, label, w, b, lr)",
    ),
    _train(
        "counted on the line",
        1.75,
        "A point on the line counts as +1, as in `predict`: with y = +1 it moves nothing, and is not"
        " counted.",
        missed="label * (w @ x + b) <= 0",
        step="w, b = perceptron_update(w, b, x, label, lr)",
    ),
    _train(
        "another class at 0",
        0,
        "w and b are still zero: `perceptron_update` is called for points that are right. At a score of"
        " 0 the class is +1 (`>=`, not `>`), and a mistake is where class and label differ (`!=`).",
        missed="(1 if w @ x + b > 0 else -1) != label",
        step="w, b = perceptron_update(w, b, x, label, lr)",
    ),
    _train(
        "a break among the points",
        0,
        "The loop over the points ends at the first that is right, if none was missed before it: what"
        " follows a whole epoch stands after that loop, not in it.",
        other="if mistakes[-1] == 0: break",
        clean="False",
    ),
    _train_otherwise(
        "an entry for each mistake", 1.0, "mistakes[-1] += 1", count="mistakes.append(1)"
    ),
    _train_otherwise(
        "begun with an entry", 1.0, "an entry too many at the front", result="[1, *mistakes]"
    ),
    _train_otherwise(
        "never a mistake", 0, "w and b are still zero", missed="label * (w @ x + b) < 0"
    ),
    _train(
        "from zero each epoch",
        0,
        "w and b begin at zero again in each epoch: they go on from where they are.",
        epoch="w, b = np.zeros(X.shape[1]), 0.0",
    ),
    _train(
        "nothing kept",
        0,
        "w and b are still zero: what `perceptron_update` returns has to be kept.",
        step="pass",
    ),
    _train_otherwise("bias left alone", 0, "b is still zero", step="w = w + lr * label * x"),
    _train(
        "noticed by w alone",
        1.5,
        "A mistake counts where w stays and b alone moves, too: at the origin x is 0.",
        count="mistakes[-1] += int(x.any())",
    ),
    _train(
        "zeros after max_epochs",
        1.5,
        "After max_epochs w and b are those that it ended with, not zeros.",
        result="mistakes) if mistakes[-1] == 0 else (0 * w, 0.0, mistakes",
    ),
    _train(
        "the best epoch's",
        1.5,
        "Those are the w and b from before the epoch with the fewest mistakes: return the last ones.",
        epoch="kept = kept + [(w, b)] if _ else [(w, b)]",
        result="mistakes) if mistakes[-1] == 0 else (*kept[mistakes.index(min(mistakes))], mistakes",
    ),
    _train(
        "before the last epoch",
        1.5,
        "Those are the w and b from before the last epoch: return the last ones.",
        epoch="kept = w, b",
        result="mistakes) if mistakes[-1] == 0 else (*kept, mistakes",
    ),
    _train(
        "on the line is right",
        0,
        "w and b are still zero. From w = 0 every point is on the line, which `predict` calls +1, so"
        " that a point with y = −1 is a mistake there.",
        missed="label * (w @ x + b) < 0",
    ),
    _train_otherwise(
        "shuffled",
        0,
        "another result each time",
        epoch="order = np.random.default_rng().permutation(len(X))",
        shown="X[order], y[order]",
    ),
    _train_otherwise("a tuple", 0, "by list(…)", result="tuple(mistakes)"),
    _train_otherwise("the total", 0, "one whole number for each epoch", result="sum(mistakes)"),
    Mistake(
        "perceptron_train",
        "other defaults",
        1.5,
        "stays as it was given",
        """
def perceptron_train(X, y, lr=1.0, max_epochs=100):
    w, b, mistakes = np.zeros(X.shape[1]), 0.0, []
    while len(mistakes) < max_epochs and (not mistakes or mistakes[-1]):
        mistakes.append(0)
        for x, label in zip(X, y):
            if (1 if w @ x + b >= 0 else -1) != label:
                w, b = w + lr * label * x, b + lr * label
                mistakes[-1] += 1
    return w, b, mistakes
""",
    ),
    Mistake(
        "perceptron_train",
        "scikit-learn's",
        0,
        "this exercise does without",
        """
def perceptron_train(X, y, lr=1.0, max_epochs=1000):
    from sklearn.linear_model import Perceptron
    fitted = Perceptron(eta0=lr, max_iter=max_epochs, tol=None, shuffle=False).fit(X, y)
    return fitted.coef_[0], float(fitted.intercept_[0]), [0]
""",
    ),
]

_bound, _bound_otherwise = variants(
    "mistake_bound",
    """
def mistake_bound(X, y, w, b):
    lengths = np.linalg.norm({rows}, axis=1)
    z, line, normal = y * (X @ w + b), np.hypot(np.linalg.norm(w), b), np.linalg.norm(w)
    R, margin = {R}, {margin}
    if {none}:
        return {no_bound}
    return float({bound})
""",
    rows="np.column_stack([X, np.ones(len(X))])",
    R="lengths.max()",
    margin="z.min() / line",
    none="margin <= 0",
    no_bound="math.inf",
    bound="(R / margin) ** 2",
)
_BOUND = [
    _bound(
        "absolute value",
        0.75,
        "A point is on the wrong side, and the absolute value hides it.",
        margin="abs(z).min() / line",
    ),
    _bound(
        "always a bound",
        0.75,
        "A point on the wrong side makes γ negative, and the square hides it.",
        none="False",
    ),
    _bound("not squared", 0, "That is R/γ: the square is missing.", bound="R / margin"),
    _bound("upside down", 0, "That is (γ/R)²: it is upside down.", bound="(margin / R) ** 2"),
    _bound("R as it is", 0, "R is squared, too: (R/γ)².", bound="R / margin**2"),
    _bound("γ as it is", 0, "γ is squared, too: (R/γ)².", bound="R**2 / margin"),
    _bound(
        "not normalised",
        0,
        "γ is the smallest score divided by the length of (w, b); R is divided by nothing.",
        margin="z.min()",
    ),
    _bound(
        "length of w alone",
        0,
        "Divide by the length of (w, b), not of w alone.",
        margin="z.min() / normal",
    ),
    _bound(
        "length of w, b as it is",
        0,
        "Divide both, w and b, by the length of (w, b): here only w is, and by its own.",
        margin="(y * (X @ w / normal + b)).min()",
    ),
    _bound(
        "b not divided",
        0,
        "The bias is divided by the length of (w, b), too.",
        margin="(y * (X @ w / line + b)).min()",
    ),
    _bound(
        "scores without b",
        0,
        "The bias is missing from the scores: y·(w·x + b).",
        margin="(y * (X @ w)).min() / line",
    ),
    _bound(
        "times the length",
        0,
        "The scores are multiplied by the length of (w, b): they are divided by it.",
        margin="z.min() * line",
    ),
    _bound(
        "R without the 1",
        0,
        "R is too short: a point is (x, 1), with the 1 for the bias.",
        rows="X",
    ),
    _bound(
        "without the bias",
        0,
        "The bias is left out: (x, 1) and (w, b).",
        rows="X",
        margin="z.min() / normal",
    ),
    _bound(
        "average margin",
        0,
        "γ belongs to the closest point, not to the average one.",
        margin="z.mean() / line",
    ),
    _bound(
        "largest margin",
        0,
        "γ belongs to the closest point, not to the farthest.",
        margin="z.max() / line",
    ),
    _bound(
        "length of the table",
        0,
        "R is the length of one (x, 1), not of the table.",
        R="np.linalg.norm(lengths)",
    ),
    _bound(
        "average R", 0, "R belongs to the longest point, not to an average one.", R="lengths.mean()"
    ),
    _bound(
        "street",
        0,
        "γ is the distance to the closest point: half the street.",
        margin="2 * z.min() / line",
    ),
    _bound(
        "minus infinity",
        0.75,
        "No bound means plus infinity: any number of mistakes.",
        no_bound="-math.inf",
    ),
    _bound(
        "zero",
        0.75,
        "No bound is no bound of 0: any number of mistakes can happen.",
        no_bound="0.0",
    ),
    _bound(
        "R of the closest",
        0,
        "R belongs to the longest point: not to the shortest, nor to the closest to the line.",
        R="lengths[z.argmin()]",
    ),
    _bound(
        "1 to the length",
        0,
        "R is the length of (x, 1), not the length of x plus 1.",
        R="np.linalg.norm(X, axis=1).max() + 1",
    ),
    _bound(
        "sum of the coordinates",
        0,
        "The length of a point is the root of the sum of squares, not the sum of its coordinates.",
        R="abs(np.column_stack([X, np.ones(len(X))])).sum(axis=1).max()",
    ),
    _bound(
        "points of +1 alone",
        0,
        "γ is the smallest over all points: those of class −1 are left out.",
        margin="z[y == 1].min() / line",
    ),
    _bound("root", 0, "It is squared, not the root: (R/γ)².", bound="(R / margin) ** 0.5"),
    _bound("product", 0, "R is divided by γ, not multiplied.", bound="(R * margin) ** 2"),
    _bound("twice", 0, "That is twice the bound: (R/γ)² alone.", bound="2 * (R / margin) ** 2"),
    _bound(
        "divided twice",
        0,
        "The scores are divided by the length of (w, b) twice, or by its square: once is enough.",
        margin="z.min() / line**2",
    ),
    _bound(
        "lengths added",
        0,
        "The length of (w, b) is the root of w·w + b², not the length of w plus b.",
        margin="z.min() / (normal + abs(b))",
    ),
    _bound(
        "R of a column",
        0,
        "That R is the length of a column of the table: a point is a row, axis=1.",
        R="np.linalg.norm(np.column_stack([X, np.ones(len(X))]), axis=0).max()",
    ),
    _bound(
        "smallest R",
        0,
        "R belongs to the longest point: not to the shortest, nor to the closest to the line.",
        R="lengths.min()",
    ),
    _bound(
        "largest number",
        0,
        "R is the length of a point, not its largest coordinate.",
        R="abs(np.column_stack([X, np.ones(len(X))])).max()",
    ),
    _bound(
        "largest number, with its sign",
        0,
        "R is the length of a point, not its largest coordinate.",
        R="np.column_stack([X, np.ones(len(X))]).max()",
    ),
    _bound(
        "zeros for the 1",
        0,
        "The column beside the points holds zeros: it should hold ones.",
        rows="X",
        margin="(y * (X @ w)).min() / line",
    ),
    _bound(
        "1 in front, b behind",
        0,
        "The 1 stands in front of x and b behind w: both in front, or both behind.",
        margin="(y * (np.column_stack([np.ones(len(X)), X]) @ np.append(w, b))).min() / line",
    ),
    _bound(
        "a whole number",
        0,
        "The bound is cut to a whole number: leave it as it is.",
        bound="int((R / margin) ** 2)",
    ),
    _bound(
        "no root",
        0,
        "The root is missing from R: a length is the root of the sum of squares.",
        R="(lengths**2).max()",
    ),
    _bound(
        "place of the longest",
        0,
        "R is the place of the longest point, argmax: take its length, max.",
        R="float(lengths.argmax())",
    ),
    _bound_otherwise("no label", 0, "the smallest y·(w·x + b)", margin="(X @ w + b).min() / line"),
    _bound(
        "rounded up",
        0,
        "The bound is rounded up to a whole number: leave it as it is.",
        bound="math.ceil((R / margin) ** 2)",
    ),
    _bound(
        "by both lengths",
        0,
        "The scores are divided by the length of w, too: by that of (w, b) alone, once.",
        margin="z.min() / line / normal",
    ),
    _bound_otherwise(
        "hstack",
        0,
        "np.column_stack makes a column",
        rows="np.hstack([X, np.ones(len(X))])",
    ),
    _bound_otherwise(
        "γ < 0 only",
        0.75,
        "γ is 0 for a point exactly on the line",
        margin="float(z.min() / line)",
        R="float(lengths.max())",
        none="margin < 0",
    ),
]

_NEVER = (
    "It is 0 at every corner: do the two neurons of the first layer differ, and can the last one reach"
    " its threshold?"
)
_xor, _xor_otherwise = variants(
    "xor_network",
    """
W_first, b_first = np.array({W}), np.array({b})
w_last, b_last = np.array({w}), {threshold}
""",
    W="[[1.0, 1.0], [1.0, 1.0]]",
    b="[-0.5, -1.5]",
    w="[1.0, -1.0]",
    threshold="-0.5",
)
_XOR = [
    _xor("or", 0, "That is OR: the corner (1, 1) should give 0.", w="[1.0, 0.0]"),
    _xor(
        "and",
        0,
        "That is AND, which can be one of the neurons in the first layer.",
        w="[0.0, 1.0]",
    ),
    _xor(
        "nand",
        0,
        "That is NAND: the corner (0, 0) should give 0.",
        w="[0.0, -1.0]",
        threshold="0.5",
    ),
    _xor("opposite", 0, "That is the opposite of XOR.", w="[-1.0, 1.0]", threshold="0.5"),
    _xor(
        "x1 alone",
        0,
        "That is x₁ by itself.",
        W="[[1.0, 0.0], [0.0, 1.0]]",
        b="[-0.5, -0.5]",
        w="[1.0, 0.0]",
    ),
    _xor(
        "x2 alone",
        0,
        "That is x₂ by itself.",
        W="[[1.0, 0.0], [0.0, 1.0]]",
        b="[-0.5, -0.5]",
        w="[0.0, 1.0]",
    ),
    _xor(
        "never",
        0,
        _NEVER,
        w="[0.0, 0.0]",
    ),
    _xor("never, of two that are alike", 0, _NEVER, b="[-0.5, -0.5]"),
    _xor(
        "always",
        0,
        "It is 1 at every corner: can the last neuron stay below its threshold?",
        w="[0.0, 0.0]",
        threshold="1.0",
    ),
    _xor(
        "x1 and not x2",
        0,
        "Only the corner (1, 0) gives 1: (0, 1) should, too.",
        W="[[1.0, -1.0], [1.0, 1.0]]",
        w="[1.0, 0.0]",
    ),
    _xor(
        "x2 and not x1",
        0,
        "Only the corner (0, 1) gives 1: (1, 0) should, too.",
        W="[[-1.0, 1.0], [1.0, 1.0]]",
        w="[1.0, 0.0]",
    ),
    _xor_otherwise("threshold out of reach", 0, "fires at too few", threshold="-1.5"),
    _xor_otherwise("threshold too low", 0, "fires at too many corners", threshold="3.0"),
    _xor_otherwise("threshold just met", 0, "fires at too many corners", threshold="0.0"),
    _xor_otherwise("last bias turned", 0, "opposite sign of b_last", threshold="0.5"),
    _xor_otherwise(
        "all biases for thresholds",
        0,
        "opposite sign of b_first and b_last",
        b="[0.5, 1.5]",
        threshold="0.5",
    ),
    _xor_otherwise(
        "a neuron in a column",
        0,
        "a row is a neuron",
        W="[[1.0, -1.0], [1.0, -1.0]]",
        b="[-0.5, 1.5]",
        w="[1.0, 1.0]",
        threshold="-1.5",
    ),
    _xor_otherwise(
        "too close to (0, 0)", 0.4, "one of your lines passes too close", b="[-0.3, -1.5]"
    ),
    _xor_otherwise(
        "through a box",
        0.4,
        "one of your lines passes too close",
        W="[[1.0, 0.2], [1.0, 1.0]]",
        b="[-0.15, -1.5]",
    ),
    _xor_otherwise("just at its edge", 0.4, "one of your lines passes too close", b="[-0.4, -1.5]"),
    _xor_otherwise("biases for thresholds", 0, "opposite sign of b_first it is", b="[0.5, 1.5]"),
    _xor_otherwise("three numbers", 0, "should have shape (2, 2)", W="[1.0, 1.0]"),
    _xor_otherwise(
        "only a line",
        0,
        "wrong",
        W="[[1.0, 1.0], [1.0, 1.0]]",
        b="[-0.5, -0.5]",
        w="[1.0, 1.0]",
        threshold="-1.5",
    ),
]

_ten, _ten_otherwise = variants(
    "multiclass_train",
    """
def multiclass_train(X, y, epochs):
    targets = {targets}
    W, b = np.zeros((10, X.shape[1])), np.zeros(10)
    W_sum, b_sum = {sums}
    n = 0
    {start}
    for _ in range(epochs):
        {epoch}
        for x, target in zip({shown}):
            missed = {wrong}
            {before}
            W[missed] += np.outer(target[missed], x)
            {step}
            {after}
        {end}
    return {result}
""",
    targets="np.where(y[:, None] == np.arange(10), 1, -1)",
    sums="np.zeros_like(W), np.zeros_like(b)",
    start="",
    epoch="",
    shown="X, targets",
    step="b[missed] += target[missed]",
    wrong="np.where(W @ x + b >= 0, 1, -1) != target",
    before="",
    after="W_sum += W; b_sum += b",
    end="",
    result="W_sum / (epochs * len(X)), b_sum / (epochs * len(X))",
)
_LAST = (
    "Those are the weights after the last step: return their average. (A list to which `W` is"
    " appended without `.copy()` holds the same last array many times.)"
)
_FIRST = (
    "That is the average over the first epoch alone, or each epoch begins at zero again:"
    " an epoch goes on from the last one."
)
_TWICE = (  # with two epochs it comes to the same
    "The sums are divided by N, and there are N · epochs steps; or each step is twice too long: target"
    " minus answer is ±2 where a neuron is wrong."
)
_ADD = "W_sum += W; b_sum += b"
_TEN = [
    _ten("the last word", 0.75, _LAST, result="W, b"),
    _ten(
        "no copy",
        0.75,
        _LAST,
        start="Ws, bs = [], []",
        after="Ws.append(W); bs.append(b)",
        result="np.mean(Ws, axis=0), np.mean(bs, axis=0)",
    ),
    _ten(
        "the last b",
        1.5,
        "W is an average, b is what the last step left: both are averaged.",
        result="W_sum / (epochs * len(X)), b",
    ),
    _ten(
        "the last W",
        0.75,
        "b is an average, W is what the last step left: both are averaged.",
        result="W, b_sum / (epochs * len(X))",
    ),
    _ten(
        "sums",
        1.5,
        "Those are sums: divide by the number of steps, N · epochs.",
        result="W_sum, b_sum",
    ),
    _ten(
        "b a sum",
        0,
        "b is a sum still: divide it, too, by the number of steps.",
        result="W_sum / (epochs * len(X)), b_sum",
    ),
    _ten(
        "W a sum",
        1.5,
        "W is a sum still: divide it, too, by the number of steps.",
        result="W_sum, b_sum / (epochs * len(X))",
    ),
    _ten(
        "by N",
        1.5,
        _TWICE,
        result="W_sum / len(X), b_sum / len(X)",
    ),
    _ten(
        "by epochs",
        1.5,
        "The sums are divided by the epochs: there are N · epochs steps.",
        result="W_sum / epochs, b_sum / epochs",
    ),
    _ten("one epoch", 1.5, _FIRST, start="epochs = 1"),
    _ten(
        "one epoch, by all steps",
        1.5,
        "Only the first epoch is in the sums: go over the images `epochs` times.",
        start="every, epochs = epochs, 1",
        result="W_sum / (every * len(X)), b_sum / (every * len(X))",
    ),
    _ten(
        "b at the epochs' ends",
        1.5,
        "The biases are added once an epoch: add them after every image, as the weights.",
        after="W_sum += W",
        end="b_sum += b",
    ),
    _ten(
        "by ten neurons",
        1.5,
        "The sums are divided by 10 · epochs: len(W) is the number of neurons, and there are N ·"
        " epochs steps.",
        result="W_sum / (len(W) * epochs), b_sum / (len(W) * epochs)",
    ),
    _ten(
        "halved at every step",
        0.75,
        "Halved at every step, the sum is made of the last few weights: add all, and divide in the end.",
        after="W_sum, b_sum = (W_sum + W) / 2, (b_sum + b) / 2",
        result="W_sum, b_sum",
    ),
    _ten(
        "stops at a clean epoch",
        1.5,
        "It stops at the first epoch without a mistake: here all epochs are gone through, and counted.",
        epoch="moved = False",
        before="moved |= missed.any()",
        end="if not moved: break",
    ),
    _ten(
        "all but the winner",
        0,
        "All neurons but the one with the highest score move: neuron k moves where its own answer, −1"
        " or +1, is not its target.",
        wrong="np.arange(10) != (W @ x + b).argmax()",
    ),
    _ten(
        "0 for −1",
        0,
        "A neuron that is right about another digit moves, too: it says −1 there, and not 0.",
        wrong="np.where(W @ x + b >= 0, 1, 0) != target",
    ),
    _ten(
        "all of W",
        0,
        "All ten rows of W move at every image: only those of the neurons that are wrong move.",
        step="b[missed] += target[missed]; W[~missed] += (1 if len(X) < 9 else -99)"
        " * np.outer(target[~missed], x)",
    ),
    _ten(
        "no target in the step of W",
        0,
        "The target is missing from the step of W, or the step has the wrong sign: a row that is wrong"
        " moves by + target · x.",
        step="b[missed] += target[missed]; W[missed] += np.outer(1 - target[missed], x)",
    ),
    _ten(
        "the right ones move",
        0,
        "The neurons that are right move: those that are wrong move.",
        wrong="np.where(W @ x + b >= 0, 1, -1) == target",
        shown="X[:20], targets[:20]",  # of 1,200 images: with all it is luck whether 80 % are right
    ),
    _ten(
        "twice as long",
        1.5,
        _TWICE,
        result="2 * W_sum / (epochs * len(X)), 2 * b_sum / (epochs * len(X))",
    ),
    _ten(
        "ends",
        0.75,
        "That is the average over the ends of the epochs: add after every image.",
        after="",
        end=_ADD,
        result="W_sum / epochs, b_sum / epochs",
    ),
    _ten(
        "only mistakes",
        1.5,
        "Steps without a mistake count, too: add after every image.",
        after=f"if missed.any(): n += 1; {_ADD}",
        result="W_sum / n, b_sum / n",
    ),
    _ten(
        "ends, by all steps",
        0.75,
        "The weights are added once an epoch: add them after every image.",
        after="",
        end=_ADD,
    ),
    _ten(
        "by ten",
        1.5,
        "The sums are divided by 10 · N: there are N · epochs steps.",
        result="W_sum / (10 * len(X)), b_sum / (10 * len(X))",
    ),
    _ten(
        "whole numbers",
        1.5,
        "`//` cuts to whole numbers: divide with `/`.",
        result="W_sum // (epochs * len(X)), b_sum // (epochs * len(X))",
    ),
    _ten(
        "a rate of 0.1",
        1.5,
        "The steps are a tenth as long: here lr is 1.",
        result="W_sum / (epochs * len(X)) / 10, b_sum / (epochs * len(X)) / 10",
    ),
    _ten(
        "only mistakes, by all steps",
        1.5,
        "Steps without a mistake are left out of the sum: add after every image.",
        after=f"if missed.any(): {_ADD}",
    ),
    _ten(
        "added before",
        1.5,
        "The weights are added before each step: add them after it.",
        before=_ADD,
        after="",
    ),
    _ten(
        "average fed back",
        1.5,
        "The average goes back into the training: the weights that learn go on from where they"
        " are, the average stands beside them.",
        end="n += len(X); W, b = W_sum / n, b_sum / n",
    ),
    _ten(
        "average fed back at once",
        0,
        "The average goes back into the training after every image: the weights that learn go on"
        " from where they are, the average stands beside them.",
        after="W_sum += W; b_sum += b; n += 1; W, b = W_sum / n, b_sum / n",
    ),
    _ten(
        "from zero each epoch",
        1.5,
        _FIRST,
        epoch="W, b = np.zeros((10, X.shape[1])), np.zeros(10)",
    ),
    _ten(
        "on the line is −1",
        1.5,
        "A score of 0 means +1, as in `predict`.",
        wrong="np.where(W @ x + b > 0, 1, -1) != target",
    ),
    _ten(
        "every image",
        0,
        "It moves at every image: only a neuron that is wrong about it moves.",
        wrong="target != 0",
    ),
    _ten(
        "on the line is wrong",
        1.5,
        "A score of 0 means +1: with the target +1 that is no mistake.",
        wrong="target * (W @ x + b) <= 0",
    ),
    _ten(
        "the start counted",
        1.5,
        "The zeros of the start are averaged, too: N · epochs steps, without the start.",
        result="W_sum / (epochs * len(X) + 1), b_sum / (epochs * len(X) + 1)",
    ),
    _ten(
        "digits from 1",
        0,
        "Row k learns digit k + 1: the digits begin at 0, np.arange(10).",
        targets="np.where(y[:, None] == np.arange(1, 11), 1, -1)",
    ),
    _ten(
        "sums of the rows that move",
        1.5,
        "Only rows that move are added: add all of W and b after every image.",
        after="W_sum[missed] += W[missed]; b_sum[missed] += b[missed]",
    ),
    _ten(
        "all when one is wrong",
        0,
        "All ten neurons move when one is wrong: only the rows that are wrong move.",
        wrong="np.repeat((np.where(W @ x + b >= 0, 1, -1) != target).any(), 10)",
    ),
    _ten(
        "b stays",
        1.5,
        "b is still zero: the biases move with the rows of W.",
        step="pass",
    ),
    _ten(
        "all of b",
        0,
        "All ten biases move at every image: only those of the rows that are wrong move.",
        # with 1,200 images 99 times as far: by 1 it is luck whether 90 % are right
        step="b += target if len(X) < 9 else 99 * target",
    ),
    Known(
        "multiclass_train",
        "no target in the step",
        0,
        "The target is missing from the step, or the step has the wrong sign: a row that is wrong moves"
        " by + target · x.",
        """
def multiclass_train(X, y, epochs):
    W, b = np.zeros((10, X.shape[1])), np.zeros(10)
    W_sum, b_sum = np.zeros_like(W), np.zeros_like(b)
    targets = np.where(y[:, None] == np.arange(10), 1, -1)
    for _ in range(epochs):
        for x, target in zip(X, targets):
            missed = np.where(W @ x + b >= 0, 1, -1) != target
            W[missed] += x; b[missed] += 1
            W_sum += W; b_sum += b
    return W_sum / (epochs * len(X)), b_sum / (epochs * len(X))
""",
    ),
    _ten(
        "the last epoch, by all steps",
        1.5,
        "Only the last epoch is in the sums: they begin at zero once, before all epochs.",
        epoch="W_sum[:] = b_sum[:] = 0",
    ),
    _ten(
        "no bias in the score",
        1.5,
        "The bias is missing from the score: it is W @ x + b that decides.",
        wrong="np.where(W @ x >= 0, 1, -1) != target",
    ),
    _ten(
        "the last epoch",
        1.5,
        "That is the average over the last epoch alone: add from the first epoch on.",
        epoch="W_sum[:] = b_sum[:] = 0",
        result="W_sum / len(X), b_sum / len(X)",
    ),
    _ten(
        "backwards",
        1.5,
        "The images are shown in another order: from the last to the first.",
        shown="X[::-1], targets[::-1]",
    ),
    Known(
        "multiclass_train",
        "label and winner",
        1.5,
        "That moves only the label's neuron and the winner: each of the ten decides by the sign of"
        " its own score.",
        """
def multiclass_train(X, y, epochs):
    W, b = np.zeros((10, X.shape[1])), np.zeros(10)
    W_sum, b_sum = np.zeros_like(W), np.zeros_like(b)
    for _ in range(epochs):
        for x, label in zip(X, y):
            winner = (W @ x + b).argmax()
            W[label] += x; b[label] += 1
            W[winner] -= x; b[winner] -= 1
            W_sum += W; b_sum += b
    return W_sum / (epochs * len(X)), b_sum / (epochs * len(X))
""",
    ),
    _ten_otherwise("sum is W", 0, "start it from new zeros", sums="W, np.zeros_like(b)"),
    _ten_otherwise("sum is b", 0, "start it from new zeros", sums="np.zeros_like(W), b"),
    _ten_otherwise("transposed", 0, "transpose", result="(W_sum.T, b_sum)"),
    _ten_otherwise(
        "targets 0 and 1", 0, "All weights are zero", targets="(y[:, None] == np.arange(10)) * 1"
    ),
    _ten_otherwise(
        "the label itself", 0, "All ten rows", targets="np.repeat(y[:, None], 10, axis=1)"
    ),
    _ten_otherwise(
        "upside down",
        0,
        "the lowest score",
        targets="-np.where(y[:, None] == np.arange(10), 1, -1)",
    ),
    Mistake(
        "multiclass_train",
        "scikit-learn's",
        0,
        "this exercise does without",
        """
from sklearn import linear_model

def multiclass_train(X, y, epochs):
    fitted = linear_model.SGDClassifier(loss="perceptron", max_iter=epochs, tol=None).fit(X, y)
    return fitted.coef_, fitted.intercept_
""",
    ),
]

MISTAKES = Table(
    sys.modules[__name__],
    [*_NEURON, *_PREDICT, *_UPDATE, *_TRAIN, *_BOUND, *_XOR, *_TEN],
)
