"""The answers of lab 02: the right ones, by the lab's own names, and what people get wrong."""

import sys
from itertools import pairwise

import numpy as np

from grading.checks.mistakes import Known, Mistake, Table, variants

loss_of_a_guess = np.log(10)
dL_dw = -0.2115
shrink_per_layer = 0.312  # √2 from He's weights, times the root mean square of the sigmoid's slope
why_relu = "a"


def softmax(S):
    E = np.exp(S - S.max(axis=1, keepdims=True))
    return E / E.sum(axis=1, keepdims=True)


def cross_entropy(S, y):
    rows, shifted = np.arange(len(S)), S - S.max(axis=1, keepdims=True)
    losses = np.log(np.exp(shifted).sum(axis=1)) - shifted[rows, y]
    return float(losses.mean()), (softmax(S) - np.eye(S.shape[1])[y]) / len(S)


def numerical_gradient(f, x, eps):
    gradient = np.zeros_like(x)
    for i in np.ndindex(x.shape):
        above, below = x.copy(), x.copy()
        above[i] += eps
        below[i] -= eps
        gradient[i] = (f(above) - f(below)) / (2 * eps)
    return gradient


def activation(Z, kind):
    if kind == "sigmoid":
        return 0.5 * (1 + np.tanh(0.5 * Z))
    return np.tanh(Z) if kind == "tanh" else np.maximum(Z, 0)


def activation_backward(dA, Z, kind):
    if kind == "relu":
        return np.where(Z > 0, dA, 0.0)
    A = activation(Z, kind)
    return dA * (A * (1 - A) if kind == "sigmoid" else 1 - A**2)


def linear_forward(X, W, b):
    return X @ W + b


def linear_backward(dY, X, W):
    return dY @ W.T, X.T @ dY, dY.sum(axis=0)


class MLP:
    def __init__(self, sizes, kind, seed):
        rng, shapes = np.random.default_rng(seed), list(pairwise(sizes))
        self.kind = kind
        self.W = [rng.normal(0, np.sqrt(2 / m), (m, n)) for m, n in shapes]
        self.b = [np.zeros(n) for _, n in shapes]

    def forward(self, X):
        self.cache = []
        for W, b in zip(self.W, self.b, strict=True):
            Z = linear_forward(X, W, b)
            self.cache.append((X, Z))
            X = activation(Z, self.kind)
        return Z

    def backward(self, dS):
        self.dW, self.db = list(self.W), list(self.b)
        for i in reversed(range(len(self.W))):
            dS, self.dW[i], self.db[i] = linear_backward(dS, self.cache[i][0], self.W[i])
            if i > 0:
                dS = activation_backward(dS, self.cache[i - 1][1], self.kind)

    def step(self, lr):
        self.W = [W - lr * dW for W, dW in zip(self.W, self.dW, strict=True)]
        self.b = [b - lr * db for b, db in zip(self.b, self.db, strict=True)]


def train_mlp(model, loss, X, y, rates, batch_size, rng):
    losses = []
    for rate in rates:
        order = rng.permutation(len(X))
        for start in range(0, len(X), batch_size):
            batch = order[start : start + batch_size]
            value, dS = loss(model.forward(X[batch]), y[batch])
            model.backward(dS)
            model.step(rate)
            losses.append(value)
    return losses


# What people get wrong. One sentence a misconception.

_share, _share_otherwise = variants(
    "softmax",
    """
def softmax(S):
    {first}
    E = np.exp(S - {shift})
    return {result}
""",
    first="",
    shift="S.max(axis=1, keepdims=True)",
    result="E / E.sum(axis=1, keepdims=True)",
)
_SIGMOIDS = "Each score went through a sigmoid: in softmax a row shares a sum of 1."
_SOFTMAX = [
    Mistake(
        "softmax",
        "SciPy's",
        0,
        "uses scipy.special.softmax",
        "from scipy import special\ndef softmax(S): return special.softmax(S, axis=1)",
    ),
    _share(
        "a small number added",
        0.65,
        "Something is added to the sum, so a row sums to less than 1. Once the largest score is"
        " subtracted, the sum is at least 1: it needs no help.",
        result="E / (E.sum(axis=1, keepdims=True) + 1e-9)",
    ),
    _share(
        "no shift",
        0.65,
        "The exponential overflows, or a whole row rounds to 0, and the quotient is no number:"
        " subtract each row's largest score first.",
        shift="0",
    ),
    _share(
        "lowest",
        0.65,
        "After that shift the largest score can still overflow: shift it to 0, subtract it.",
        shift="S.min(axis=1, keepdims=True)",
    ),
    _share(
        "one shift for the batch",
        0.65,
        "One shift for the whole batch is not enough, rows far below it round to 0: subtract from"
        " each row its own largest score.",
        shift="S.max()",
    ),
    _share(
        "the largest size",
        0.65,
        "Is the largest abs(S) subtracted? Where all scores are far below 0 that takes them still"
        " further down, and the row rounds to 0: subtract the row's largest score itself.",
        shift="abs(S).max(axis=1, keepdims=True)",
    ),
    _share(
        "clipped",
        0.65,
        "Clipping makes all large scores equal: subtract each row's largest score instead.",
        first="S = np.clip(S, -500, 500)",
    ),
    _share(
        "divided by the top",
        0,
        "The largest score is subtracted, it does not divide.",
        shift="(S - S / S.max(axis=1, keepdims=True))",
    ),
    _share(
        "larger than 0",
        0,
        "np.maximum compares number by number: each row's largest is S.max(axis=1, keepdims=True).",
        shift="np.maximum(S, 0)",
    ),
    _share(
        "divided by the mean",
        0,
        "It is divided by the row's mean: divide by its sum.",
        result="E / E.mean(axis=1, keepdims=True)",
    ),
    _share("base 2", 0, "That is 2 to the power S: the base is e.", first="S = S * np.log(2)"),
    _share(
        "the best takes all",
        0,
        "That is 1 for the best score and 0 for the others, a choice: softmax gives each a share.",
        result="np.eye(len(S.T))[S.argmax(1)]",
    ),
    _share(
        "wrong axis",
        0,
        "The sum runs down the columns. Each image is a row: sum along axis 1.",
        shift="S.max()",
        result="E / E.sum(axis=0)",
    ),
    _share(
        "top of the columns",
        0,
        "The largest scores are taken down the columns: each row has its own.",
        shift="S.max(axis=0)",
        result="E / np.exp(S - S.max(axis=1, keepdims=True)).sum(axis=1, keepdims=True)",
    ),
    _share(
        "batch's sum",
        0.15,
        "It is divided by the sum over the whole batch: each row has its own.",
        shift="S.max()",
        result="E / E.sum()",
    ),
    _share(
        "no keepdims",
        0.15,
        "Sums of shape (N,) divide the columns: keepdims=True keeps them (N, 1).",
        shift="0",
        result="E / E.sum(axis=1)",
    ),
    _share(
        "no keepdims in the maxima",
        0.15,
        "Maxima of shape (N,) shift the columns: keepdims=True keeps them (N, 1).",
        shift="S.max(axis=1)",
    ),
    _share(
        "no keepdims at all",
        0.15,
        "Maxima and sums of shape (N,) act on the columns: keepdims=True keeps them (N, 1).",
        shift="S.max(axis=1)",
        result="E / E.sum(axis=1)",
    ),
    _share(
        "not divided",
        0,
        "That is e to the power S: each row has yet to be divided by its sum.",
        shift="0",
        result="E",
    ),
    _share(
        "no exponential",
        0,
        "The exponential is missing: scores can be negative.",
        result="S / S.sum(axis=1, keepdims=True)",
    ),
    _share(
        "logarithms",
        0,
        "That is the logarithm of the probabilities.",
        result="np.log(E / E.sum(axis=1, keepdims=True))",
    ),
    _share("sigmoid", 0, _SIGMOIDS, shift="0", result="E / (1 + E)"),
    _share(
        "upside down",
        0,
        "It is upside down: the largest score gets the smallest probability.",
        first="S = -S",
    ),
    _share_otherwise(
        "two sums", 0, "rows do not sum to 1", result="E / np.exp(S).sum(axis=1, keepdims=True)"
    ),
    _share_otherwise(
        "in place", 0, "changed its argument `S`", first="S -= S.max(axis=1, keepdims=True)"
    ),
]

_entropy, _entropy_otherwise = variants(
    "cross_entropy",
    """
def cross_entropy(S, y):
    {first}
    n, c = S.shape
    rows = np.arange(n)
    top = S.max(axis=1, keepdims=True)
    logs = S - top - np.log(np.exp(S - top).sum(axis=1, keepdims=True))
    P, due = np.exp(logs), np.eye(c)[y]
    loss = {loss}
    dS = {dS}
    return {result}
""",
    first="",
    loss="float(-logs[rows, y].mean())",
    dS="(P - due) / n",
    result="loss, dS",
)
_SCALES = [
    (
        "sum",
        "That is the sum over the batch: divide by the number of images.",
        "-logs[rows, y].sum()",
    ),
    (
        "N·C",
        "It is divided by all N·C numbers: the mean is over the N images.",
        "-logs[rows, y].mean() / c",
    ),
    (
        "no minus",
        "A logarithm of a probability is negative: the minus is missing.",
        "logs[rows, y].mean()",
    ),
    (
        "base 10",
        "That is a logarithm to the base 10: np.log is the natural one.",
        "-np.log10(P[rows, y]).mean()",
    ),
    (
        "base 2",
        "That is a logarithm to the base 2: np.log is the natural one.",
        "-np.log2(P[rows, y]).mean()",
    ),
    (
        "base 2 of the sum",
        "The sum's logarithm is to the base 2: np.log is the natural one.",
        "(np.log2(np.exp(S - top).sum(axis=1)) - (S - top)[rows, y]).mean()",
    ),
    (
        "base 10 of the sum",
        "The sum's logarithm is to the base 10: np.log is the natural one.",
        "(np.log10(np.exp(S - top).sum(axis=1)) - (S - top)[rows, y]).mean()",
    ),
    (
        "no softmax",
        "Softmax is missing: scores are no probabilities.",
        "-np.log(abs(S[rows, y])).mean()",
    ),
    ("1 − p", "That is 1 − p of the right class: it should be −log p.", "(1 - P[rows, y]).mean()"),
    (
        "best class",
        "That is each row's best class: the label's is what counts.",
        "-logs.max(axis=1).mean()",
    ),
    ("all classes", "All classes are counted: only the right one is.", "-logs.sum(axis=1).mean()"),
    (
        "whole columns",
        "P[:, y] takes whole columns: one entry of each row has two indices.",
        "-logs[:, y].mean()",
    ),
    (
        "single losses",
        "Those are the losses of the single images: return their mean.",
        "-logs[rows, y]",
    ),
    ("squared", "That is a squared error.", "((P - due) ** 2).mean()"),
    (
        "largest not taken off",
        "The row's largest score is subtracted in the sum, but not from the right class's score.",
        "(np.log(np.exp(S - top).sum(axis=1)) - S[rows, y]).mean()",
    ),
    (
        "largest taken off once",
        "The row's largest score is subtracted from the right class's, but not in the sum.",
        "(np.log(np.exp(S).sum(axis=1)) - (S - top)[rows, y]).mean()",
    ),
    (
        "yes-or-no questions",
        "The others' log(1 − p) is counted, too: only the right class's log p is.",
        "-(due * logs + (1 - due) * np.log(1 - P)).sum(axis=1).mean()",
    ),
]
_SLOPES = [
    (
        "gradient of the sum",
        "The loss is a mean over the images, so its gradient has the 1/N, too.",
        "P - due",
    ),
    ("N twice", "It is divided by N twice.", "(P - due) / n**2"),
    (
        "N·C in dS",
        "It is divided by all N·C numbers: the mean is over the N images.",
        "(P - due) / P.size",
    ),
    ("one-hot forgotten", "The 1 of the right class is not subtracted.", "P / n"),
    ("P alone", "The 1 of the right class is not subtracted, and 1/N is missing.", "P"),
    (
        "upside down",
        "It points the wrong way: a right class's score should have a negative slope.",
        "(due - P) / n",
    ),
    ("upside down, a sum", "It points the wrong way, and 1/N is missing.", "due - P"),
    ("1/N once", "1/N belongs to both terms, to P and to the 1 of the right class.", "P - due / n"),
    ("1 added", "1 is added for the right class: it is subtracted.", "(P + due) / n"),
    (
        "1 put in",
        "The right class's entry is 1: 1 is subtracted from it.",
        "np.maximum(P, due) / n",
    ),
    ("scores", "Those are the scores: the slope has P, softmax of S.", "(S - due) / n"),
    (
        "label's number",
        "The label's number is subtracted in the whole row: it is 1, in the right class's column.",
        "(P - y[:, None]) / n",
    ),
    (
        "slope in P",
        "That is the slope in P. Go one step further back, to S.",
        "np.where(due, -1 / P, 0) / n",
    ),
    (
        "one entry",
        "Only the right class's entry is there: the other scores have slopes, too.",
        "due * (P - due) / n",
    ),
    (
        "columns",
        "1 is subtracted from whole columns: one entry of each row has two indices.",
        "(P - due.max(axis=0)) / n",
    ),
]
_HIDDEN = "That hides how wrong"
_CROSS_ENTROPY = [
    Mistake(
        "cross_entropy",
        "PyTorch's",
        0,
        "uses torch.nn.functional.cross_entropy",
        """
import torch.nn.functional as F

def cross_entropy(S, y):
    scores = torch.tensor(S, requires_grad=True)
    loss = F.cross_entropy(scores, torch.tensor(y))
    loss.backward()
    return loss.item(), scores.grad.numpy()
""",
    ),
    *(_entropy(name, 0.75, says, loss=loss) for name, says, loss in _SCALES),
    *(_entropy(name, 0.65, says, dS=dS) for name, says, dS in _SLOPES),
    _entropy("softmax twice", 0.25, "Softmax is applied twice.", first="S = softmax(S)"),
    _entropy(
        "labels off by one",
        0.25,
        "The labels are off by one: label 0 is column 0.",
        first="y = y - 1",
    ),
    _entropy("other order", 0.25, "The order is (loss, dS).", result="dS, loss"),
    _entropy_otherwise(
        "log of zero", 1.15, "has the logarithm −∞", loss="-np.log(P[rows, y]).mean()"
    ),
    _entropy_otherwise(
        "small number in the log", 1.15, _HIDDEN, loss="-np.log(P[rows, y] + 1e-12).mean()"
    ),
    _entropy_otherwise(
        "clipped", 1.15, _HIDDEN, loss="-np.log(np.clip(P[rows, y], 1e-15, 1)).mean()"
    ),
    _entropy_otherwise(
        "in place", 0.25, "changed its argument `S`", first="S -= S.max(axis=1, keepdims=True)"
    ),
    *(
        Known("cross_entropy", f"guess {value}", 1.25, says, f"loss_of_a_guess = {value}")
        for value, says in (
            ("0.1", "That is the probability itself; the loss is minus its logarithm."),
            ("1.0", "That is a logarithm to the base 10; the loss has the natural one."),
            ("3.322", "That is a logarithm to the base 2; the loss has the natural one."),
            ("-2.303", "The sign: the logarithm is negative, and the loss has a minus."),
            ("23.03", "The loss is a mean over the images; it does not sum over classes."),
            ("0.1054", "Only the right class's probability counts, not that of the others."),
        )
    ),
]

_numerical, _numerical_otherwise = variants(
    "numerical_gradient",
    """
def numerical_gradient(f, x, eps=1e-5):
    {first}
    gradient = np.zeros_like(x)
    for i in {indices}:
        above, below = {copies}
        above[{at}] {up} eps
        below[{at}] {down} eps
        gradient[i] = {slope}
        {last}
    return gradient
""",
    first="",
    indices="np.ndindex(x.shape)",
    at="i",
    copies="x.copy(), x.copy()",
    up="+=",
    down="-=",
    slope="(f(above) - f(below)) / (2 * eps)",
    last="",
)
_SUM = (
    "Every entry holds the sum of all slopes: move one number at a time, and keep its slope at its own"
    " index."
)
_ZERO = (
    "Every slope is 0. Is f asked at two places, x + ε and x − ε? (`above = x` makes no copy, only a"
    " second name: x.copy() makes one.)"
)
_NUMERICAL = [
    Mistake(
        "numerical_gradient",
        "SciPy's",
        0,
        "uses scipy.optimize.approx_fprime",
        """
import scipy.optimize

def numerical_gradient(f, x, eps):
    flat = lambda v: f(v.reshape(x.shape))
    return scipy.optimize.approx_fprime(x.ravel(), flat, eps).reshape(x.shape)
""",
    ),
    *(
        _numerical(name, 0, says, **pieces)
        for name, says, pieces in (
            (
                "one-sided",
                "That is a one-sided difference, from x to x + ε. Go to both sides.",
                {"slope": "(f(above) - f(x)) / eps"},
            ),
            (
                "backward",
                "That is a one-sided difference, from x − ε to x. Go to both sides.",
                {"slope": "(f(x) - f(below)) / eps"},
            ),
            (
                "not divided",
                "The difference is not divided by 2ε.",
                {"slope": "f(above) - f(below)"},
            ),
            (
                "by ε",
                "From x − ε to x + ε it is 2ε, not ε.",
                {"slope": "(f(above) - f(below)) / eps"},
            ),
            (
                "by 2",
                "The difference is divided by 2, but not by ε.",
                {"slope": "(f(above) - f(below)) / 2"},
            ),
            (
                "brackets",
                "`/ 2 * eps` divides by 2 and then multiplies: write `/ (2 * eps)`.",
                {"slope": "(f(above) - f(below)) / 2 * eps"},
            ),
            (
                "brackets above",
                "Only f below is divided: the difference needs brackets, (… - …) / (2 * eps).",
                {"slope": "f(above) - f(below) / (2 * eps)"},
            ),
            (
                "not put back",
                "Each number stays moved by −ε while the next is measured: put it back.",
                {"last": "x[i] -= eps"},
            ),
            (
                "put back too far",
                "Each number ends up moved by +ε: the way back from −ε is +ε, not +2ε.",
                {"last": "x[i] += eps"},
            ),
            (
                "all at once",
                _SUM,
                {"at": "..."},
            ),
            ("slopes added", _SUM, {"last": "gradient = np.full_like(x, gradient.sum())"}),
            (
                "set, not moved",
                "The number is set to ε: it is moved by ε from where it is, `+=`.",
                {"up": "="},
            ),
            (
                "a share of itself",
                "Each number is moved by the share ε of itself: move it by ε.",
                {"up": "*= 1 +", "down": "*= 1 -"},
            ),
            (
                "whole numbers",
                "The slopes are cut to whole numbers: the array for them should hold floats.",
                {"slope": "int((f(above) - f(below)) / (2 * eps))"},
            ),
            ("up twice", _ZERO, {"down": "+="}),
            (
                "one number",
                "That is one number: the gradient has one slope for each number of x.",
                {"first": "return (f(x + eps) - f(x - eps)) / (2 * eps)"},
            ),
            (
                "eps not used",
                "That is the slope for a far shorter ε: use the argument eps.",
                {"first": "eps = 1e-5"},
            ),
            (
                "half a step",
                "That goes ε/2 to each side: the formula goes a whole ε.",
                {"first": "eps = eps / 2"},
            ),
            (
                "half one-sided",
                "A one-sided difference goes over ε, not 2ε. And go to both sides.",
                {"slope": "(f(above) - f(x)) / (2 * eps)"},
            ),
            (
                "returns at once",
                "Only the first slope is there: does `return` stand inside the loop?",
                {"last": "return gradient"},
            ),
            (
                "sign",
                "The sign: it is f above minus f below.",
                {"slope": "(f(below) - f(above)) / (2 * eps)"},
            ),
            (
                "no copy",
                _ZERO,
                {"copies": "x, x"},
            ),
        )
    ),
    _numerical(
        "whole rows",
        0,
        "A whole row moves at once: np.ndindex(x.shape) goes over the single numbers.",
        indices="range(len(x))",
    ),
    _numerical_otherwise(
        "left changed", 0.7, "the last number too", last="last = i\n    x[last] += eps"
    ),
]

_through, _through_otherwise = variants(
    "activation_backward",
    """
def activation_backward(dA, Z, kind):
    {first}
    A = activation(Z, kind)
    if kind == "relu":
        {relu}
    return {what} * ({sigmoid} if kind == "sigmoid" else {tanh})
""",
    first="",
    relu="return dA * (Z > 0)",
    what="dA",
    sigmoid="A * (1 - A)",
    tanh="1 - A**2",
)
_AT_OUTPUT = "The slope is taken at what came out of the activation, not at what went in."
_SLOPE = "That is the slope alone: multiply it by what arrives, dA."
_AT_dA = "The slope is taken at dA: it is taken at Z, and then multiplied by dA."
_THROUGH = [
    _through(
        "sigmoid of Z",
        0.75,
        "Z (1 − Z) takes Z for the sigmoid's output. Z is its input.",
        sigmoid="Z * (1 - Z)",
    ),
    _through(
        "exponentials",
        0.75,
        "For z far below 0, e to the power −z is larger than any float, and the quotient is no"
        " number. The slope made of σ(z), which `activation` gives you, is finite everywhere.",
        sigmoid="np.exp(-Z) / (1 + np.exp(-Z)) ** 2",
    ),
    _through(
        "tanh of Z", 0.75, "1 − Z² takes Z for tanh's output. Z is its input.", tanh="1 - Z**2"
    ),
    _through("no square", 0.75, "The square of tanh is missing.", tanh="1 - A"),
    _through(
        "relu at 0", 0.75, "At exactly 0 the table has the slope 0.", relu="return dA * (Z >= 0)"
    ),
    _through(
        "half at 0",
        0.75,
        "At exactly 0 the table has the slope 0, not 1/2.",
        relu="return dA * np.heaviside(Z, 0.5)",
    ),
    _through(
        "relu by dA",
        0.75,
        "The sign of Z decides what passes, not that of dA.",
        relu="return dA * (dA > 0)",
    ),
    _through(
        "relu itself",
        0.75,
        "That is dA times the activation: it should be dA times the activation's slope.",
        relu="return dA * np.maximum(Z, 0)",
    ),
    _through(
        "relu the wrong way round",
        0.75,
        "It is the wrong way round: dA passes where Z is positive.",
        relu="return dA * (Z < 0)",
    ),
    _through(
        "relu of dA",
        0.75,
        "That is the activation itself: asked for is dA times its slope.",
        relu="return np.maximum(Z, 0)",
    ),
    _through(
        "added",
        0.75,
        "Slopes along a path are multiplied, not added.",
        tanh="(1 + (1 - A**2) / dA)",
    ),
    _through(
        "tanh of the square",
        0.75,
        "The square is taken of z: it belongs to tanh(z), as in `np.tanh(Z) ** 2`.",
        tanh="1 - np.tanh(Z**2)",
    ),
    _through(
        "1 − z",
        0.75,
        "The second factor is 1 − σ(z), not 1 − z.",
        sigmoid="A * (1 - Z)",
    ),
    _through(
        "1 less twice",
        0.75,
        "The first factor is σ(z), not z.",
        sigmoid="Z * (1 - A)",
    ),
    _through("slope at dA", 0.25, _AT_dA, first="Z = dA"),
    _through(
        "slope at dA alone",
        0.5,
        _AT_dA,
        what="1",
        sigmoid="activation(dA, kind) * (1 - activation(dA, kind))",
        tanh="1 - np.tanh(dA) ** 2",
    ),
    _through("relu's slope alone", 0.75, _SLOPE, relu="return np.where(Z > 0, 1.0, 0.0)"),
    _through(
        "sigmoid's slope added",
        0.75,
        "Slopes along a path are multiplied, not added.",
        sigmoid="(1 + A * (1 - A) / dA)",
    ),
    _through("plus", 0.75, "It is 1 minus the square of tanh, not plus.", tanh="1 + A**2"),
    _through(
        "sigmoid's for tanh",
        0.75,
        "A (1 − A) is the sigmoid's slope: tanh's is 1 − tanh² z.",
        tanh="A * (1 - A)",
    ),
    _through(
        "tanh's for sigmoid",
        0.75,
        "1 − A² is tanh's slope: the sigmoid's is σ(z) (1 − σ(z)).",
        sigmoid="1 - A**2",
    ),
    _through("one factor", 0.75, "The factor σ(z) is missing: σ(z) (1 − σ(z)).", sigmoid="1 - A"),
    _through(
        "one slope for the array",
        0.75,
        "One decision is made for the whole array: each number of Z has a slope of its own.",
        relu="return dA if (Z > 0).all() else 0 * dA",
    ),
    _through("at the output", 0.5, _AT_OUTPUT, first="Z = activation(Z, kind)"),
    _through(
        "changed places",
        0.25,
        "dA and Z have changed places: the slope is taken at Z.",
        first="dA, Z = Z, dA",
    ),
    _through("slope alone", 0.5, _SLOPE, what="1"),
    _through(
        "unchanged", 0.25, "dA went through unchanged: the slope is missing.", first="return dA"
    ),
    _through(
        "forward again",
        0.5,
        "That is the activation of dA: the way back multiplies by the slope.",
        first="if kind != 'relu': return activation(dA, kind)",
    ),
    _through_otherwise(
        "in place", 0.75, "changed its argument `dA`", relu="dA[Z <= 0] = 0; return dA"
    ),
    *(
        Known("activation_backward", f"by hand {value}", 0.75, says, f"dL_dw = {value}")
        for value, says in (
            ("-0.21", "To three digits, please: that is rounded to two."),
            ("-0.1058", "Three arrows lead from w to L: the first, into z, is missing."),
            ("-1.0758", "Three arrows lead from w to L: the sigmoid's is missing."),
            ("0.3932", "Three arrows lead from w to L: the last, into L, is missing."),
            ("0.2115", "The sign: one of the three slopes is negative."),
            ("1.659", "Slopes along one path are multiplied, not added."),
            ("-0.5379", "That is the last arrow's slope alone."),
            ("0.1058", "The first arrow's slope is x, what w is multiplied by, not w itself."),
        )
    ),
]

_linear, _linear_otherwise = variants(
    "linear",
    """
def linear_forward(X, W, b):
    return {Y}

def linear_backward(dY, X, W):
    dX, dW, db = {dX}, {dW}, {db}
    return {result}
""",
    Y="X @ W + b",
    dX="dY @ W.T",
    dW="X.T @ dY",
    db="dY.sum(axis=0)",
    result="dX, dW, db",
)
_TWICE = "It is divided by N once too often: the loss has put the 1/N into its gradient already."
_ALONE = "That is the local slope alone: it meets what arrives, dY."
_STARS = "`*` multiplies number by number: a matrix product is `@`."
_PLACES = "That is another one of the three: the order is (dX, dW, db)."
_LINEAR = [
    *(
        _linear(f"Y = {piece}", 1.2, says, Y=piece)
        for piece, says in (
            ("X @ W", "The bias b is missing."),
            ("X @ W - b", "The bias is subtracted."),
            ("X @ W.T + b", "It multiplies by the transpose of W."),
            ("W @ X + b", "It is W X: each image is a row, so X comes first."),
            ("X * W + b", _STARS),
            (
                "X @ W + b[:, None]",
                "b goes down the columns: it is (H,), one number for each column.",
            ),
        )
    ),
    *(
        _linear(f"dX = {piece}", points, says, dX=piece)
        for points, piece, says in (
            (1.1, "dY @ W.T / len(X)", _TWICE),
            (0.3, "dY @ W", "It multiplies by W: the way back goes through W's transpose."),
            (0.3, "W.T @ dY", "The order of the product: dY first, so that rows stay images."),
            (1.1, "dY.sum(axis=0) @ W.T", "It is summed over the images: dX has a row for each."),
            (0.3, "dY * W", _STARS),
            (1.1, "W.T", _ALONE),
        )
    ),
    *(
        _linear(f"dW = {piece}", points, says, dW=piece)
        for points, piece, says in (
            (1.1, "X.T @ dY / len(X)", _TWICE),
            (1.1, "dY.T @ X", "It is transposed: dW has the shape of W."),
            (0.3, "X @ dY", "X is not transposed: dW sums over the images, the inner dimension."),
            (0.3, "X * dY", _STARS),
            (1.1, "X", _ALONE),
        )
    ),
    *(
        _linear(f"db = {piece}", 1.1, says, db=piece)
        for piece, says in (
            ("dY.mean(axis=0)", _TWICE),
            ("dY", "It is not summed: b touches every row, and slopes of several paths add up."),
            (
                "dY.sum(axis=1)",
                "It is summed along the wrong axis: b has one entry for each column.",
            ),
            (
                "dY.sum(axis=0, keepdims=True)",
                "It has one dimension too many: b has the shape (H,).",
            ),
            ("dY.sum()", "That is the sum of everything: b has one entry for each column of Y."),
            ("dY[0]", "That is one row of dY, but b touches every row."),
            ("np.ones(W.shape[1])", _ALONE),
        )
    ),
    _linear("other order", 0.7, _PLACES, result="dW, dX, db"),
    _linear("dW twice", 1.1, _PLACES, result="dW, dW, db"),
    _linear_otherwise(
        "in place", 0.3, "changed its argument `dY`", db="dY.cumsum(axis=0, out=dY)[-1]"
    ),
]

_mlp, _mlp_otherwise = variants(
    "MLP",
    """
class MLP:
    def __init__(self, sizes, kind, seed):
        self.kind, self.cache, self.sums = kind, [], None

    def forward(self, X):
        {cache}
        for i, (W, b) in enumerate(zip(self.W, self.b)):
            Z = linear_forward(X, W, b)
            self.cache.append((X, Z))
            X = {between}
        return {scores}

    def backward(self, dS):
        self.dW, self.db = list(self.W), list(self.b)
        {first}
        for i in reversed(range(len(self.W))):
            dS, self.dW[i], self.db[i] = linear_backward(dS, self.cache[i][0], self.W[i])
            {update}
            if i > 0:
                dS = {back}
        {last}

    def step(self, lr):
        for i in range(len(self.W)):
            {step_W}
            {step_b}
""",
    cache="self.cache = []",
    between="activation(Z, self.kind)",
    scores="Z",
    first="",
    update="",
    back="activation_backward(dS, self.cache[i - 1][1], self.kind)",
    last="",
    step_W="self.W[i] = self.W[i] - lr * self.dW[i]",
    step_b="self.b[i] = self.b[i] - lr * self.db[i]",
)
_ADD_UP = """old, self.sums = self.sums, (self.dW, self.db)
        if old:
            self.dW = [one + other for one, other in zip(self.dW, old[0])]
            self.db = [one + other for one, other in zip(self.db, old[1])]"""
_FIRST_ONLY = """if self.sums: self.dW, self.db = self.sums
        self.sums = self.dW, self.db"""
_MOVED = "backward moved the weights itself: that is for step to do."
_MLP = [
    Mistake(
        "MLP",
        "PyTorch's",
        0,
        "uses torch.nn.Linear",
        """
class MLP:
    def __init__(self, sizes, activation, seed):
        self.layers = [torch.nn.Linear(a, b) for a, b in zip(sizes, sizes[1:])]
""",
    ),
    *(
        _mlp(name, points, says, **pieces)
        for name, points, says, pieces in (
            (
                "no activation",
                0,
                "The activations between the layers are missing.",
                {"between": "Z"},
            ),
            (
                "one activation",
                0.15,
                "An activation stands between each two layers, not only after the first.",
                {"between": "Z if i else activation(Z, self.kind)"},
            ),
            (
                "activation at the end",
                1.1,
                "The last layer's scores went through the activation: they go out as they are.",
                {"scores": "X"},
            ),
            (
                "no last layer",
                1.1,
                "The last layer is missing: the loop ends one layer early.",
                {"scores": "self.cache[-1][0]"},
            ),
            (
                "two layers",
                1.1,
                "It ends after two layers: there is one for each entry of W.",
                {"scores": "self.cache[min(1, len(self.W) - 1)][1]"},
            ),
            (
                "softmax inside",
                1.1,
                "They are probabilities already: softmax belongs to the loss.",
                {"scores": "softmax(Z)"},
            ),
            (
                "always tanh",
                0.15,
                "Between the layers it is tanh, whatever `kind` says.",
                {"between": "activation(Z, 'tanh')"},
            ),
            (
                "always relu",
                0,
                "Between the layers it is relu, whatever `kind` says.",
                {"between": "activation(Z, 'relu')"},
            ),
            (
                "no biases in forward",
                0,
                "The biases are missing.",
                {"cache": "self.cache = []; self.b = [0 * b for b in self.b]"},
            ),
            (
                "not back through it",
                0.4,
                "The way back through the activations is missing.",
                {"back": "dS"},
            ),
            (
                "slope at the output",
                0.4,
                _AT_OUTPUT,
                {"back": "activation_backward(dS, self.cache[i][0], self.kind)"},
            ),
            (
                "through a last one",
                0.4,
                "No activation follows the last layer: dS goes straight into its linear_backward.",
                {"first": "dS = activation_backward(dS, self.cache[-1][1], self.kind)"},
            ),
            (
                "back to front",
                0.4,
                "The lists are the wrong way round: dW[0] is the first layer's.",
                {"last": "self.dW.reverse(); self.db.reverse()"},
            ),
            (
                "outputs kept",
                0.4,
                "Each layer's output is kept in the place of its input: keep X before the layer.",
                {
                    "first": "outs = [x for x, _ in self.cache[1:]] + [self.cache[-1][1]]\n"
                    "        self.cache = [(x, Z) for x, (_, Z) in zip(outs, self.cache)]"
                },
            ),
            (
                "mean in step",
                1.15,
                "The step is divided by N: the gradient holds the mean already.",
                {
                    "step_W": "lr = lr / (len(self.cache[0][0]) if i == 0 else 1)",
                    "step_b": "self.W[i] = self.W[i] - lr * self.dW[i];"
                    " self.b[i] = self.b[i] - lr * self.db[i]",
                },
            ),
            ("mean once more", 0.4, _TWICE, {"first": "dS = dS / len(dS)"}),
            (
                "gradients added up",
                1.35,
                "Both batches' gradients are added: backward sets dW and db anew.",
                {"last": _ADD_UP},
            ),
            (
                "the first batch's",
                1.35,
                "These are the first batch's gradients still: backward sets dW and db anew.",
                {"last": _FIRST_ONLY},
            ),
            (
                "up the slope",
                1.15,
                "It goes up the slope: the loss falls against the gradient.",
                {
                    "step_W": "self.W[i] = self.W[i] + lr * self.dW[i]",
                    "step_b": "self.b[i] = self.b[i] + lr * self.db[i]",
                },
            ),
            (
                "no learning rate",
                1.15,
                "The learning rate lr is missing.",
                {
                    "step_W": "self.W[i] = self.W[i] - self.dW[i]",
                    "step_b": "self.b[i] = self.b[i] - self.db[i]",
                },
            ),
            (
                "twice",
                1.15,
                "It moves twice: each parameter once.",
                {
                    "step_W": "self.W[i] = self.W[i] - 2 * lr * self.dW[i]",
                    "step_b": "self.b[i] = self.b[i] - 2 * lr * self.db[i]",
                },
            ),
            ("no biases", 1.15, "The biases stand still: they are learned, too.", {"step_b": ""}),
            ("no weights", 1.15, "The weights stand still: only the biases move.", {"step_W": ""}),
            (
                "the loop's names",
                1.15,
                "Nothing moved: `W = W − …` in a loop changes the loop's name, not the list.",
                {
                    "step_W": "W, b = self.W[i], self.b[i]",
                    "step_b": "W = W - lr * self.dW[i]; b = b - lr * self.db[i]",
                },
            ),
        )
    ),
    _mlp_otherwise(
        "own output",
        0.4,
        "If shapes do not meet",
        back="activation_backward(dS, self.cache[i][1], self.kind)",
    ),
    _mlp_otherwise(
        "nothing kept of the last layer",
        0,
        "forward keeps an entry for each layer",
        scores="Z, self.cache.pop()",
    ),
    _mlp_otherwise("cache not renewed", 1.35, "start them anew", cache=""),
    _mlp_otherwise("backward steps", 1.0, _MOVED, last="self.step(0.01)"),
    _mlp_otherwise(
        "moved before it is used", 1.0, _MOVED, update="self.W[i] = self.W[i] - 0.01 * self.dW[i]"
    ),
    _mlp_otherwise(
        "returned only",
        0.4,
        "backward sets self.dW and self.db",
        last="dW, db = self.dW, self.db; del self.dW, self.db; return dW, db",
    ),
]

_train, _train_otherwise = variants(
    "train_mlp",
    """
def train_mlp(model, loss, X, y, rates, batch_size, rng):
    losses, epoch = [], []
    {before}
    for rate in {rates}:
        {order}
        for start in range({starts}):
            batch = {batch}
            value, dS = loss(model.forward(X[batch]), {labels})
            {update}
            {keep}
    return losses
""",
    before="",
    rates="rates",
    order="order = rng.permutation(len(X))",
    starts="0, len(X), batch_size",
    batch="order[start : start + batch_size]",
    labels="y[batch]",
    update="model.backward(dS); model.step(rate)",
    keep="losses.append(value)",
)
_EPOCH_LOSSES = """epoch = [*epoch, value] if start else [value]
            if start + batch_size >= len(X): losses.append(sum(epoch) / len(epoch))"""
_TRAIN = [
    *(
        _train(name, points, says, **pieces)
        for name, points, says, pieces in (
            (
                "last batch dropped",
                0.4,
                "The last, shorter batch of each epoch is missing.",
                {"starts": "0, len(X) - batch_size + 1, batch_size"},
            ),
            (
                "one epoch",
                0,
                "That is one epoch: there is one for each learning rate.",
                {"rates": "rates[:1]"},
            ),
            (
                "one step an epoch",
                0,
                "That is one step for each epoch, not for each batch.",
                {"starts": "1"},
            ),
            (
                "all at once",
                0,
                "Each step has all examples: it takes batch_size of them.",
                {"starts": "1", "batch": "order"},
            ),
            (
                "one step, after the last batch",
                0,
                "That is one step for each epoch, after its last batch: each batch has its own.",
                {"update": "model.backward(dS); start + batch_size < len(X) or model.step(rate)"},
            ),
            (
                "mean again",
                0.9,
                "step takes the epoch's rate as it is: the gradient holds the mean already.",
                {"update": "model.backward(dS); model.step(rate / batch_size)"},
            ),
            (
                "first rate",
                1.3,
                "rates has one learning rate for each epoch: go through rates.",
                {"update": "model.backward(dS); model.step(rates[0])"},
            ),
            (
                "number of the epoch",
                0.9,
                "Those are the numbers of the epochs, 0, 1, 2: step takes rates[epoch].",
                {"rates": "range(len(rates))"},
            ),
            (
                "by epoch",
                1.3,
                "That is one loss for each epoch: asked for is one for each batch.",
                {"keep": _EPOCH_LOSSES},
            ),
            (
                "last epoch",
                1.3,
                "Those are the losses of the last epoch: begin the list before the epochs.",
                {"order": "order, losses = rng.permutation(len(X)), []"},
            ),
            (
                "last of each",
                1.3,
                "Those are the last losses of the epochs: asked for are all.",
                {"keep": "start + batch_size < len(X) or losses.append(value)"},
            ),
            (
                "divided",
                1.3,
                "They are divided by the batch size: each is a mean already.",
                {"keep": "losses.append(value / batch_size)"},
            ),
            (
                "divided by the examples",
                1.3,
                "They are divided by the number of examples: each is a mean already.",
                {"keep": "losses.append(value / len(batch))"},
            ),
            (
                "times the examples",
                1.3,
                "They are multiplied by the number of examples: asked for is each batch's mean.",
                {"keep": "losses.append(value * len(batch))"},
            ),
            (
                "running totals",
                1.3,
                "They are running totals: each entry is the loss of one batch.",
                {"keep": "losses.append(value + (losses or [0])[-1])"},
            ),
        )
    ),
    *(
        _train_otherwise(name, points, says, **pieces)
        for name, points, says, pieces in (
            ("y not shuffled", 0.85, "same indices", {"labels": "y[start : start + batch_size]"}),
            (
                "not shuffled",
                1.25,
                "in which they are stored",
                {"order": "order = np.arange(len(X))"},
            ),
            (
                "shuffled once",
                1.25,
                "Two epochs have one order",
                {"before": "order = rng.permutation(len(X))", "order": ""},
            ),
            (
                "with replacement",
                1.1,
                "others never",
                {"batch": "rng.integers(len(X), size=min(batch_size, len(X) - start))"},
            ),
            (
                "step first",
                0,
                "A step before backward",
                {"update": "model.step(rate); model.backward(dS)"},
            ),
            (
                "other source",
                1.25,
                "does not come from rng",
                {"order": "order = np.random.permutation(len(X))"},
            ),
            (
                "own generator",
                1.25,
                "does not come from rng",
                {"before": "rng = np.random.default_rng(0)"},
            ),
            (
                "in place",
                1.25,
                "changes X or y in place",
                {
                    "order": "order = rng.permutation(len(X)); X[:], y[:] = X[order], y[order]; order = np.arange(len(X))"
                },
            ),
            (
                "softmax before the loss",
                0,
                "loss takes the scores as they are",
                {"before": "given = loss; loss = lambda S, y: given(softmax(S), y)"},
            ),
            ("own loss", 0.4, "call the arguments", {"before": "loss = cross_entropy"}),
            ("no step", 0, "No step was made", {"update": "model.backward(dS)"}),
            ("loss for dS", 0, "the second", {"update": "model.backward(value); model.step(rate)"}),
        )
    ),
]

_BY_DEPTH = [
    *(
        Known("gradient_by_depth", f"factor {value}", 0.5, says, f"shrink_per_layer = {value}")
        for value, says in (
            ("0.0973", "Neighbours in the table are two layers apart: that is the factor for two."),
            ("0.25", "That is the sigmoid's slope alone; weights multiply, too. Read the table."),
            ("3.2", "That is the factor of one layer less: asked for is that of one more."),
            ("8e-10", "That is the factor of all eighteen layers together."),
            ("0.35", "From 2 layers to 20 the factor has acted 18 times, not 20."),
            ("0.98", "That is ReLU's factor."),
        )
    ),
    Mistake(
        "gradient_by_depth", "larger outputs", 0.5, "The outputs are not what", 'why_relu = "b"'
    ),
    Mistake("gradient_by_depth", "fewer parameters", 0.5, "has no parameters", 'why_relu = "c"'),
    Mistake(
        "gradient_by_depth", "slope above 1", 0.5, "your picture of the slopes", 'why_relu = "d"'
    ),
]

MISTAKES = Table(
    sys.modules[__name__],
    [
        *_SOFTMAX,
        *_CROSS_ENTROPY,
        *_NUMERICAL,
        *_THROUGH,
        *_LINEAR,
        *_MLP,
        *_TRAIN,
        *_BY_DEPTH,
    ],
)
