"""The answers of lab 02: the right one, and those that known misconceptions lead to.

Each function returns (right, known): the value to expect, and wrong values by their diagnoses.
"""

from itertools import pairwise

import numpy as np

TWICE = "It is divided by N once too often: the loss has put the 1/N into its gradient already."
ALONE = "That is the local slope alone: it meets what arrives, dY."
WAYS_ROUND = "The lists are the wrong way round: dW[0] is the first layer's."
AT_OUTPUT = "The slope is taken at what came out of the activation, not at what went in."


def _sigmoid(z):
    return 1 / (1 + np.exp(-z))


# kind: (activation, its slope)
ACTIVATIONS = {
    "sigmoid": (_sigmoid, lambda z: _sigmoid(z) * _sigmoid(-z)),
    "tanh": (np.tanh, lambda z: 1 - np.tanh(z) ** 2),
    "relu": (lambda z: np.maximum(z, 0), lambda z: (z > 0).astype(float)),
}

# One misconception a line; the formatter would make three of it.


def softmax(S):
    E, P = np.exp(S), _softmax(S)
    known = {
        "The sum runs down the columns. Each image is a row: sum along axis 1.": E / E.sum(axis=0),
        "It is divided by the sum over the whole batch: each row has its own.": E / E.sum(),
        "That is e to the power S: each row has yet to be divided by its sum.": E,
        "The exponential is missing: scores can be negative.": _rows_to_one(S),
        "That is the logarithm of the probabilities.": np.log(P),
        "That is 1 for the best score and 0 for the others, a choice: softmax gives each a share.": np.eye(
            S.shape[1]
        )[S.argmax(axis=1)],
        "The largest score is subtracted, it does not divide.": _softmax(
            S / S.max(axis=1, keepdims=True)
        ),
        "Each score went through a sigmoid: in softmax a row shares a sum of 1.": _sigmoid(S),
        "It is upside down: the largest score gets the smallest probability.": _softmax(-S),
        "The largest scores are taken down the columns: each row has its own.": _softmax(
            S - S.max(axis=0)
        ),
    }
    if len(S) == S.shape[1]:
        shifted = np.exp(S - S.max(axis=1))
        sums = "Sums of shape (N,) divide the columns: keepdims=True keeps them (N, 1)."
        tops = "Maxima of shape (N,) shift the columns: keepdims=True keeps them (N, 1)."
        both = "Maxima and sums of shape (N,) act on the columns: keepdims=True keeps them (N, 1)."
        known |= {sums: E / E.sum(axis=1), tops: _rows_to_one(shifted)}
        known[both] = shifted / shifted.sum(axis=1)
    return P, {why: wrong for why, wrong in known.items() if not np.allclose(wrong, P)}


def softmax_of_thousands(S):
    overflow = (
        "The exponential overflows, or a whole row rounds to 0, and the quotient is no number:"
        " subtract each row's largest score first."
    )
    together = (
        "One shift for the whole batch is not enough, rows far below it round to 0: subtract from"
        " each row its own largest score."
    )
    lowest = "After that shift the largest score can still overflow: shift it to 0, subtract it."
    with np.errstate(over="ignore"):
        naive, shifted, too_little = (
            _rows_to_one(np.exp(S - by)) for by in (0, S.max(), S.min(axis=1, keepdims=True))
        )
    clipped = "Clipping makes all large scores equal: subtract each row's largest score instead."
    alike = _softmax(np.clip(S, -500, 500))
    known = {overflow: naive, together: shifted, lowest: too_little, clipped: alike}
    return _softmax(S), known


def loss(S, y):
    (n, c), rows = S.shape, np.arange(len(S))
    top = S.max(axis=1, keepdims=True)
    logs = S - top - np.log(np.exp(S - top).sum(axis=1, keepdims=True))
    own, P = logs[rows, y], np.exp(logs)
    right = float(-own.mean())
    with np.errstate(all="ignore"):
        return right, {
            "That is the sum over the batch: divide by the number of images.": n * right,
            "It is divided by all N·C numbers: the mean is over the N images.": right / c,
            "A logarithm of a probability is negative: the minus is missing.": -right,
            "That is a logarithm to the base 10: np.log is the natural one.": right / np.log(10),
            "That is a logarithm to the base 2: np.log is the natural one.": right / np.log(2),
            "Softmax is missing: scores are no probabilities.": -np.log(abs(S[rows, y])).mean(),
            "Softmax is applied twice.": -np.log(_softmax(P)[rows, y]).mean(),
            "The labels are off by one: label 0 is column 0.": -logs[rows, y - 1].mean(),
            "That is 1 − p of the right class: it should be −log p.": (1 - P[rows, y]).mean(),
            "That is each row's best class: the label's is what counts.": -logs.max(axis=1).mean(),
            "All classes are counted: only the right one is.": -logs.sum(axis=1).mean(),
            "The others' log(1 − p) is counted, too: only the right class's log p is.": -np.where(
                np.eye(c)[y], logs, np.log(1 - P)
            )
            .sum(axis=1)
            .mean(),
            "The row's largest score is subtracted in the sum, but not from the right class's"
            " score.": right - top.mean(),
            "That is dS: the order is (loss, dS).": score_gradient(S, y)[0],
            "P[:, y] takes whole columns: one entry of each row has two indices.": -logs[
                :, y
            ].mean(),
            "Those are the losses of the single images: return their mean.": -own,
            "That is a squared error.": ((P - np.eye(c)[y]) ** 2).mean(),
        }


def score_gradient(S, y):
    P, due, (n, c) = _softmax(S), np.eye(S.shape[1])[y], S.shape
    columns = np.isin(np.arange(c), y)
    with np.errstate(all="ignore"):
        in_P = -due / P / n
    return (P - due) / n, {
        "The loss is a mean over the images, so its gradient has the 1/N, too.": P - due,
        "It is divided by N twice.": (P - due) / n**2,
        "It is divided by all N·C numbers: the mean is over the N images.": (P - due) / (n * c),
        "The 1 of the right class is not subtracted.": P / n,
        "The 1 of the right class is not subtracted, and 1/N is missing.": P,
        "It points the wrong way: it is what was given minus what was due.": (due - P) / n,
        "It points the wrong way, and 1/N is missing.": due - P,
        "1/N belongs to both terms: (P − one-hot) / N.": P - due / n,
        "That is the slope in P. Go one step further back, to S.": in_P,
        "Only the right class's entry is there: the other scores have slopes, too, their P / N.": due
        * (P - due)
        / n,
        "The labels are off by one: label 0 is column 0.": (P - np.eye(c)[y - 1]) / n,
        "1 is subtracted from whole columns: one entry of each row has two indices.": (P - columns)
        / n,
    }


def loss_of_a_guess():
    return np.log(10), {
        "That is the probability itself; the loss is minus its logarithm.": 0.1,
        "That is a logarithm to the base 10; the loss has the natural one.": 1.0,
        "That is a logarithm to the base 2; the loss has the natural one.": np.log2(10),
        "The sign: the logarithm is negative, and the loss has a minus.": -np.log(10),
        "The loss is a mean over the images; it does not sum over classes.": 10 * np.log(10),
        "Only the right class's probability counts, not that of the others.": -np.log(0.9),
    }


def cubic(x, A):
    """The function of which the gradient is asked: each number's slope depends on the others."""
    return float(np.sum(A * x**3) + np.sum(x) ** 2)


def central_difference(x, A, eps):
    def drifting(by):
        """Differences at a point of which each number stays moved once it was measured."""
        at, gradient = x.copy(), np.zeros_like(x)
        for i in np.ndindex(x.shape):
            e = np.zeros_like(x)
            e[i] = eps
            gradient[i] = (cubic(at + e, A) - cubic(at - e, A)) / (2 * eps)
            at[i] += by
        return gradient

    rows = np.zeros_like(x)
    for i in range(len(x)):
        e = np.zeros_like(x)
        e[i] = eps
        rows[i] = (cubic(x + e, A) - cubic(x - e, A)) / (2 * eps)
    right = drifting(0)
    bend = eps * (3 * A * x + 1)  # ε/2 times f'', by which a one-sided difference of a cubic is off
    together = (cubic(x + eps, A) - cubic(x - eps, A)) / (2 * eps)
    exact = 3 * A * x**2 + 2 * np.sum(x)
    known = (
        {
            "A whole row moves at once: np.ndindex(x.shape) goes over the single numbers.": rows,
        }
        if x.ndim > 1
        else {}
    )
    return right, known | {
        "That is a one-sided difference, from x to x + ε. Go to both sides.": right + bend,
        "That is a one-sided difference, from x − ε to x. Go to both sides.": right - bend,
        "From x − ε to x + ε it is 2ε, not ε.": 2 * right,
        "The difference is not divided by 2ε.": 2 * eps * right,
        "The difference is divided by 2, but not by ε.": eps * right,
        "`/ 2 * eps` divides by 2 and then multiplies: write `/ (2 * eps)`.": eps**2 * right,
        "That is the slope for a far shorter ε: use the argument eps.": exact,
        "Every number moves at once: move one, leave the others.": np.full_like(x, together),
        "That is one number: the gradient has one slope for each number of x.": together,
        "Every slope is 0. Is f asked at two different places? `above = x` makes no copy, only a"
        " second name: x.copy() makes one.": np.zeros_like(x),
        "Only the first slope is there: does `return` stand inside the loop?": right
        * (np.arange(x.size) == 0).reshape(x.shape),
        "That goes ε/2 to each side: the formula goes a whole ε.": right - 0.75 * A * eps**2,
        "A one-sided difference goes over ε, not 2ε. And go to both sides.": (right + bend) / 2,
        "Each number moves by ε times itself: it is ε for every number.": x
        * (exact + A * (eps * x) ** 2),
        "Each number stays moved by −ε while the next is measured: put it back.": drifting(-eps),
        "Each number ends up moved by +ε: the way back from −ε is +ε, not +2ε.": drifting(eps),
        "The sign: it is f above minus f below.": -right,
    }


def best_eps():
    return 1e-5, {
        "That is so long that the curve bends under it.": 1e-2,
        "That is best for a one-sided difference. Is it for the central one?": 1e-8,
        "So near, f(x + ε) and f(x − ε) agree in all but their last, noisy digits.": 1e-12,
    }


def through_activation(dA, Z, kind):
    act, slope = ACTIVATIONS[kind]
    A = act(Z)
    known = {
        "That is the slope alone: multiply it by what arrives, dA.": slope(Z),
        "That is dA times the activation: it should be dA times the activation's slope.": dA * A,
        "That is the activation itself: asked for is dA times its slope.": A,
        "dA went through unchanged: the slope is missing.": dA,
        "dA and Z have changed places: the slope is taken at Z.": Z * slope(dA),
        "Slopes along a path are multiplied, not added.": dA + slope(Z),
    }
    if kind != "relu":
        known["That is the activation of dA: the way back multiplies by the slope."] = act(dA)
    own = {
        "sigmoid": {
            AT_OUTPUT: dA * slope(A),
            "Z (1 − Z) takes Z for the sigmoid's output. Z is its input.": dA * Z * (1 - Z),
        },
        "tanh": {
            AT_OUTPUT: dA * slope(A),
            "1 − Z² takes Z for tanh's output. Z is its input.": dA * (1 - Z**2),
            "The square of tanh is missing.": dA * (1 - A),
        },
        "relu": {
            "The sign of Z decides what passes, not that of dA.": np.maximum(dA, 0),
            "It is the wrong way round: dA passes where Z is positive.": dA * (Z < 0),
        },
    }
    return dA * slope(Z) + 0.0, known | own[kind]  # + 0.0: no −0 is shown


def slope_by_hand():
    a = _sigmoid(1.0)
    last, slope, first = 2 * (a - 1), a * (1 - a), 2.0
    return last * slope * first, {
        "Three arrows lead from w to L: the first, into z, is missing.": last * slope,
        "Three arrows lead from w to L: the sigmoid's is missing.": last * first,
        "Three arrows lead from w to L: the last, into L, is missing.": slope * first,
        "The sign: one of the three slopes is negative.": -last * slope * first,
        "Slopes along one path are multiplied, not added.": last + slope + first,
        "That is the last arrow's slope alone.": last,
        "The first arrow's slope is x, what w is multiplied by, not w itself.": -last * slope,
        "To three digits, please: that is rounded to two.": -0.21,
    }


def linear_forward(X, W, b):
    known = {"The bias b is missing.": X @ W, "The bias is subtracted.": X @ W - b}
    if len(X) == X.shape[1] == len(b):
        known["It multiplies by the transpose of W."] = X @ W.T + b
        known["It is W X: each image is a row, so X comes first."] = W @ X + b
        known["`*` multiplies number by number: a matrix product is `@`."] = X * W + b
        known["b goes down the columns: it is (H,), one number for each column."] = (
            X @ W + b[:, None]
        )
    return X @ W + b, known


def linear_backward(name, dY, X, W):
    """name: dX, dW or db, the one that is asked for."""
    right = {"dX": dY @ W.T, "dW": X.T @ dY, "db": dY.sum(axis=0)}
    others = right.keys() - {name}
    known = {f"That is {one}: the order is (dX, dW, db).": right[one] for one in others}
    known[TWICE] = right[name] / len(X)
    if name == "db":
        known |= {
            "It is not summed: b touches every row, and slopes of several paths add up.": dY,
            "It is summed along the wrong axis: b has one entry for each column.": dY.sum(axis=1),
            "It has one dimension too many: b has the shape (H,).": dY.sum(axis=0, keepdims=True),
            "That is the sum of everything: b has one entry for each column of Y.": dY.sum(),
            "That is one row of dY, but b touches every row.": dY[0],
            ALONE: np.ones_like(dY[0]),
        }
    elif len(X) == len(W):  # all square: otherwise the shapes, or NumPy, say what is wrong
        known |= (
            {
                "It multiplies by W: the way back goes through W's transpose.": dY @ W,
                "The order of the product: dY first, so that rows stay images.": W.T @ dY,
                "It is summed over the images: dX has a row for each.": dY.sum(axis=0) @ W.T,
                "`*` multiplies number by number: a matrix product is `@`.": dY * W,
                ALONE: W.T,
            }
            if name == "dX"
            else {
                "It is transposed: dW has the shape of W.": dY.T @ X,
                "X is not transposed: dW sums over the images, the inner dimension.": X @ dY,
                "`*` multiplies number by number: a matrix product is `@`.": X * dY,
                ALONE: X,
            }
        )
    return right[name], known


def scores(kind, W, b, X):
    act, no_b = ACTIVATIONS[kind][0], [0 * one for one in b]
    S = _layers(act, W, b, X)[-1][1]
    S_two = _layers(act, W[:2], b[:2], X)[-1][1]
    one_act = _layers(lambda z: z, W[1:], b[1:], act(X @ W[0] + b[0]))[-1][1]
    others = {
        f"Between the layers it is {other}, whatever `kind` says.": _layers(
            ACTIVATIONS[other][0], W, b, X
        )[-1][1]
        for other in ACTIVATIONS
        if other != kind
    }
    return S, others | {
        "The last layer's scores went through the activation: they go out as they are.": act(S),
        "They are probabilities already: softmax belongs to the loss.": _softmax(S),
        "The activations between the layers are missing.": _layers(lambda z: z, W, b, X)[-1][1],
        "The biases are missing.": _layers(act, W, no_b, X)[-1][1],
        "That is what the second layer gives: go through all layers, len(W) of them.": S_two,
        "An activation stands between each two layers, not only after the first.": one_act,
    }


def gradients(kind, W, b, X, dS):
    """(dW, db), two lists."""
    act, slope = ACTIVATIONS[kind]
    dW, db = right = _gradients(act, slope, W, b, X, dS)
    through_last = dS * slope(_layers(act, W, b, X)[-1][1])
    known = {
        "The way back through the activations is missing.": _gradients(
            act, np.ones_like, W, b, X, dS
        ),
        "No activation follows the last layer: dS goes straight into its linear_backward.": _gradients(
            act, slope, W, b, X, through_last
        ),
        WAYS_ROUND: (dW[::-1], db[::-1]),
        TWICE: tuple([one / len(X) for one in ones] for ones in right),
    }
    if kind != "relu":
        known[AT_OUTPUT] = _gradients(act, lambda z: slope(act(z)), W, b, X, dS)
    return right, known


def second_gradients(kind, W, b, batches):
    """Of the second of two batches, one after the other."""
    act, slope = ACTIVATIONS[kind]
    first, right = (_gradients(act, slope, W, b, *batch) for batch in batches)
    return right, {
        "These are the first batch's gradients still: backward sets dW and db anew.": first,
        "Both batches' gradients are added: backward sets dW and db anew.": plus(right, first),
    }


def stepped(before, gradients, lr):
    """(W, b) after one step."""
    right = plus(before, gradients, -lr)
    return right, {
        "It goes up the slope: the loss falls against the gradient.": plus(before, gradients, lr),
        "The learning rate lr is missing.": plus(before, gradients, -1),
        "It moves twice: each parameter once.": plus(before, gradients, -2 * lr),
        "The biases stand still: they are learned, too.": (right[0], before[1]),
        "The weights stand still: only the biases move.": (before[0], right[1]),
        "Nothing moved: `W = W − …` in a loop changes the loop's name, not the list.": before,
    }


def losses(made, epochs, batch_size):
    """made: the loss of every batch, in order."""
    by_epoch = np.array(made).reshape(epochs, -1)
    return made, {
        "That is one loss for each epoch: asked for is one for each batch.": by_epoch.mean(
            axis=1
        ).tolist(),
        "Those are the losses of the last epoch: begin the list before the epochs.": by_epoch[
            -1
        ].tolist(),
        "Those are the last losses of the epochs: asked for are all.": by_epoch[:, -1].tolist(),
        "They are divided by the batch size: each is a mean already.": [
            one / batch_size for one in made
        ],
        "They are running totals: each entry is the loss of one batch.": np.cumsum(made).tolist(),
    }


def steps(n, batch_size, epochs):
    """How many steps there are, and how many examples in them together."""
    full, examples = n // batch_size, n * epochs
    batches = -(-n // batch_size)
    return (batches * epochs, examples), {
        "That is one epoch: there is one for each learning rate.": (batches, n),
        "The last, shorter batch of each epoch is missing.": (
            full * epochs,
            full * batch_size * epochs,
        ),
        "That is one step for each epoch, not for each batch.": (epochs, batch_size * epochs),
        "That is one step for each epoch, after its last batch: each batch has its own.": (
            epochs,
            (n - batch_size * (batches - 1)) * epochs,
        ),
        "Each step has all examples: it takes batch_size of them.": (epochs, examples),
        "That is one step for each example, not for each batch.": (examples, examples),
    }


def shrink_per_layer():
    right = 0.312  # √2 from He's weights, times the root mean square of the sigmoid's slope
    return right, {
        "Neighbours in the table are two layers apart: that is the factor for two.": right**2,
        "That is the sigmoid's slope alone; weights multiply, too. Read the table.": 0.25,
        "That is the factor of one layer less: asked for is that of one more.": 1 / right,
        "That is the factor of all eighteen layers together.": right**18,
        "From 2 layers to 20 the factor has acted 18 times, not 20.": right**0.9,
        "That is ReLU's factor.": 0.98,
    }


def numbers(rng, *shape):
    """Numbers to read easily, with one decimal, no two the same, from −3 to 3 without 0."""
    return rng.choice(np.r_[-30:0, 1:31] / 10, size=shape, replace=False)


def parameters(rng, sizes):
    """Random W and b of an MLP, two lists."""
    W = [rng.normal(size=shape) for shape in pairwise(sizes)]
    return W, [rng.normal(size=size) for size in sizes[1:]]


def plus(some, others, factor=1.0):
    """Two pairs of lists of arrays, added array by array, the second times a factor."""
    return tuple(
        [one + factor * other for one, other in zip(ones, more, strict=True)]
        for ones, more in zip(some, others, strict=True)
    )


def _rows_to_one(E):
    with np.errstate(all="ignore"):
        return E / E.sum(axis=1, keepdims=True)


def _softmax(S):
    return _rows_to_one(np.exp(S - S.max(axis=1, keepdims=True)))


def _layers(act, W, b, X):
    """Each layer's input, and what it gives before the activation."""
    layers = []
    for weights, bias in zip(W, b, strict=True):
        layers.append((X, X @ weights + bias))
        X = act(layers[-1][1])
    return layers


def _gradients(act, slope, W, b, X, dS):
    """(dW, db), two lists."""
    layers, dW, db = _layers(act, W, b, X), [], []
    for i in reversed(range(len(W))):
        dW.insert(0, layers[i][0].T @ dS)
        db.insert(0, dS.sum(axis=0))
        if i > 0:
            dS = dS @ W[i].T * slope(layers[i - 1][1])
    return dW, db
