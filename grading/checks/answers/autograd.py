"""The answers of lab 03: the right one, and those that known misconceptions lead to.

Most functions return (right, known): the value to expect, and wrong values by their diagnoses.
Small graphs are lists: for each tensor, in an order that is topological, the places of its parents.
"""

from typing import Any

import numpy as np

IN_PLACE = (
    "`p.grad += share` changes an array that others hold, too: add hands one and the same dY to"
    " both its parents. `p.grad = p.grad + share` makes a new one."
)

# What an exception's text says about what was meant.
RAISED_IN_BACKWARD = {
    "'NoneType' object is not callable": "A leaf has no pull: pass it by.",
    "truth value of an array": "Whether there is a gradient yet is asked by `p.grad is None`.",
    "read-only": IN_PLACE,
    "sequence": "pull returns a tuple, one share for each parent: zip pairs them.",
}
RAISED_IN_DETACH = {"'Tensor'": "Tensor takes an array: that of a tensor is its `data`."}
RAISED_IN_STEP = {"'function' object": "loss_of is a function: loss_of() computes the loss."}

# One misconception a line; the formatter would make three of it.
_PROXY = "A proxy stands for a value that is not there yet."
# The right word, and the replies to the wrong ones.
THREE_WAYS = {
    "fx_on_if": (
        "error",
        {
            "both": f"{_PROXY} The tracer runs your function once and never sees the branch that Python"
            " does not enter.",
            "one": f"{_PROXY} To take a branch, Python has to ask it whether it is true.",
        },
    ),
    "yours_on_if": (
        "one",
        {
            "both": "An operation gets into the graph by running. How many branches ran?",
            "error": "Your tensors carry their numbers, so Python can compare them.",
        },
    ),
    "why_both": (
        "b",
        {
            "a": "Where each operation takes long, planning gains little, and an `if` on a value or a"
            " print is worth much.",
            "c": "Your engine has just found gradients without a declared graph.",
            "d": "The numbers are the same; what differs is when and in which order the work is done.",
        },
    ),
}


def inputs(rng, op):
    """Pairs (arrays, options) to try an operation with."""
    if op == "matmul":
        shapes = ((2, 2), (2, 2)), ((2, 3), (3, 4))
        return [((numbers(rng, *one), numbers(rng, *other)), {}) for one, other in shapes]
    if op == "total":
        square, wide = numbers(rng, 3, 3), numbers(rng, 2, 3)
        return [((square,), {}), ((square,), {"axis": 0}), ((square,), {"axis": 1}), ((wide,), {})]
    if op == "relu":
        return [((_both_signs_and_zero(rng, 2, 3),), {})]
    return [((numbers(rng, *shape), numbers(rng, *shape)), {}) for shape in ((3,), (2, 2))]


def value(op, arrays, axis=None):
    a, b = arrays[0], arrays[-1]
    if op == "add":
        return a + b, {"That is the product.": a * b}
    if op == "mul":
        return a * b, {"That is the matrix product: mul works number by number.": a @ b}
    if op == "matmul":
        known = (
            {"That is the product number by number: a @ b is the matrix product.": a * b}
            if (a.shape == b.shape)
            else {}
        )
        return a @ b, known
    if op == "relu":
        return np.maximum(a, 0), {
            "That is the absolute value.": abs(a),
            "That is the slope of relu, not its value.": (a > 0).astype(float),
        }
    if axis is None:
        return float(a.sum()), {
            "That is the mean.": a.mean(),
            "Without an axis the sum is one number, of shape (): no axis stays.": a.sum(
                keepdims=True
            ),
        }
    return a.sum(axis=axis, keepdims=True), {
        "The axis that was summed is gone: keepdims=True keeps it, of length 1.": a.sum(axis=axis),
        "Everything is summed: sum along the axis that is given.": a.sum(),
        "That is the sum along the other axis.": a.sum(axis=1 - axis, keepdims=True),
        "That is the mean along the axis.": a.mean(axis=axis, keepdims=True),
    }


def shares(op, arrays, dY, axis=None):
    """For each input: (right, known), of the gradient in it."""
    a, b = arrays[0], arrays[-1]
    if op == "add":
        return [_add_share(a, dY), _add_share(b, dY)]
    if op == "mul":
        return [_mul_share(a, b, dY), _mul_share(b, a, dY)]
    if op == "matmul":
        return [_matmul_share(a, b, dY, first=True), _matmul_share(a, b, dY, first=False)]
    if op == "relu":
        return [
            (
                dY * (a > 0),
                {
                    "That is the slope alone: multiply it by what arrives, dY.": (a > 0).astype(
                        float
                    ),
                    "dY went through unchanged: where a is negative, relu's slope is 0.": dY,
                    "The sign of a decides what passes, not that of dY.": np.maximum(dY, 0),
                    "That is dY times relu's value: it should be dY times its slope, 1 or 0.": dY
                    * np.maximum(a, 0),
                    "It is the wrong way round: dY passes where a is positive.": dY * (a < 0),
                    "The slope at 0 is 0: dY passes where a > 0, not where a ≥ 0.": dY * (a >= 0),
                },
            )
        ]
    whole = np.ones_like(a) * dY
    return [
        (
            whole,
            {
                "It is divided by how many numbers were summed: that is the mean's gradient.": whole
                / (a.size if axis is None else a.shape[axis]),
                "The shape is still that of the sum: each number that was summed gets the sum's gradient,"
                " so repeat dY to the shape of a.": dY,
                "Each number's slope in the sum is 1, not the number itself.": whole * a,
                "dY is missing: the slope of the sum is 1, times what arrives.": np.ones_like(a),
            },
        )
    ]


def _add_share(a, dY):
    return dY, {
        "The slope of a sum is 1, times what arrives: dY is missing.": np.ones_like(dY),
        "In a sum the values do not matter: the slope is 1, whatever a is.": dY * a,
        "In a sum, each input gets all of dY, not half.": dY / 2,
        "The second is added, not subtracted: its slope is 1.": -dY,
    }


def _mul_share(own, other, dY):
    return dY * other, {
        "Its own value is taken: the slope of a·b in a is b.": dY * own,
        "That is the slope alone: multiply it by what arrives, dY.": other,
        "dY went through unchanged: the slope of a·b in a is b.": dY,
        "That is dY times the product: the slope of a·b in a is b alone.": dY * own * other,
        "That is a sum: the chain rule multiplies dY and the slope.": dY + other,
    }


def _matmul_share(a, b, dY, *, first):
    right = dY @ b.T if first else a.T @ dY
    if a.shape != b.shape:
        return right, {"It is the gradient's transpose.": right.T}
    own = (
        {
            "b is not transposed: on the way back dY goes through b's transpose.": dY @ b,
            "The order is wrong: dY comes first, then b's transpose.": b.T @ dY,
        }
        if first
        else {
            "a is not transposed: on the way back dY goes through a's transpose.": a @ dY,
            "The order is wrong: a's transpose comes first, then dY.": dY @ a.T,
        }
    )
    return right, own | {
        "That is the rule of mul, number by number: this is a matrix product.": dY
        * (b if first else a),
        "That is the gradient in the other input: pull returns them in the order (a, b).": a.T @ dY
        if first
        else dY @ b.T,
    }


def unbroadcast(dY, shape):
    extra = dY.ndim - len(shape)
    ones = tuple(extra + axis for axis, n in enumerate(shape) if n < dY.shape[extra + axis])
    axes = (*range(extra), *ones)
    right = dY.sum(axis=axes).reshape(shape)
    count = dY.size / right.size
    first = tuple(0 if axis in axes else slice(None) for axis in range(dY.ndim))
    known = {
        "That is the mean: each place where the number was used has a share, and shares add up.": right
        / count,
        "That is the largest share: shares add up.": dY.max(axis=axes).reshape(shape)
        if axes
        else right,
        "That is the share of the first place alone: all of them add up.": dY[first].reshape(shape),
        "Nothing is summed: each number was used in several places, whose shares add up.": dY,
        "Everything is summed into one number: sum only the axes that were repeated.": dY.sum(),
        "The axis of length 1 is gone: keepdims=True keeps it.": dY.sum(axis=axes),
        "Only axes missing on the left are summed: those of length 1 were repeated, too.": dY.sum(
            axis=tuple(range(extra))
        ),
        "Only axes of length 1 are summed: those missing on the left were repeated, too.": dY.sum(
            axis=ones, keepdims=True
        ),
        "Axes missing on the left should be gone afterwards: only those of length 1 stay.": dY.sum(
            axis=axes, keepdims=True
        ),
        "Axis 0 is summed, whatever the shape: look which axes were repeated.": dY.sum(axis=0),
        "The last axis is summed, whatever the shape: look which axes were repeated.": dY.sum(
            axis=-1
        ),
    }
    if right.ndim == 2 == dY.ndim and dY.shape[0] == dY.shape[1] and len(axes) == 1:
        known["It is summed along the axis that stays: the one of length 1 was repeated."] = dY.sum(
            axis=1 - axes[0]
        ).reshape(shape)
    known = {why: wrong for why, wrong in known.items() if not _equal(wrong, right)}
    return (float(right) if right.shape == () else right), known


def small_graphs(rng):
    """Graphs with short cuts, on which an order by distance or by first visit goes wrong."""
    short = [[], [0], [1], [0, 2]]
    other = [[], [0], [1], [2, 0]]
    square = [[], [0, 0], [0, 1], [2, 1]]
    wide = [[] for _ in range(2)]
    for n in range(2, 8):
        wide.append([n - 1, *rng.permutation(n - 1)[:2].tolist()])
    mixed = [rng.permutation(before).tolist() if len(before) > 1 else before for before in wide]
    return [short, other, square, mixed, [[]]]


def wrong_order(orders, graphs):
    """The misconception behind orders, one for each graph, in which a tensor comes too early."""
    pairs = list(zip(orders, graphs, strict=True))

    def made_by(rule):
        """All orders, or all turned round, are those that a rule gives."""
        return any(all(order[::turn] == rule(graph) for order, graph in pairs) for turn in (1, -1))

    if all(_is_topological(order[::-1], parents) for order, parents in pairs):
        return "It is the wrong way round: parents first, the root last."
    if made_by(lambda parents: _first_visits(parents, 1)) or made_by(
        lambda parents: _first_visits(parents, -1)
    ):
        return "A tensor goes onto the list before its parents are done: append it after they were."
    if made_by(_breadth_first):
        return (
            "That is the order by distance from the root. A tensor with a short way and a long one"
            " to the root has to wait for the long one."
        )
    return "Append a tensor only when all its parents have been appended."


def missing(absent, parents):
    if absent == {len(parents) - 1}:
        return "The root belongs to the order, as its last."
    leaves = {i for i, before in enumerate(parents) if not before}
    if absent <= leaves:
        return "Leaves belong to the order, too: they are where gradients are wanted."
    return (
        "Follow all parents of each tensor, and theirs, down to the leaves. And tell tensors apart"
        " by id(tensor): names and numbers may be equal."
    )


def described(parents):
    """A small graph in words; tensors are called a, b, c …"""
    made = [f"{letters([i])} from {letters(before)}" for i, before in enumerate(parents) if before]
    return f"For the graph: {'; '.join(made)}." if made else "For a root that is a leaf."


def letters(places):
    return ", ".join(chr(97 + i) if 0 <= i < 26 else f"number {i}" for i in places)


def chain(rng):
    """Tensors of shape (2,), (2,), () one after another: (parents, weights, starts)."""
    weights = [[], *([float(w)] for w in numbers(rng, 2))]
    return [[], [0], [1]], weights, [numbers(rng, 2), numbers(rng, 2), np.array(1.5)]


def shared_graphs(rng):
    """Tensors with several children, or used twice by one."""
    shapes = [
        [[], [], [0, 1], [0], [2, 3]],
        [[], [0, 0], [1, 1]],
        [[], [0], [1, 0], [2, 0, 1]],
    ]
    return [
        (
            parents,
            [numbers(rng, len(before)).tolist() for before in parents],
            [numbers(rng, 2) for _ in parents],
        )
        for parents in shapes
    ]


def handed_on(rng):
    """A tensor that hands one and the same dY to both parents, as add does: the weights are 1."""
    parents = [[], [0], [0, 1], [2, 1]]
    weights = [[], [1], [1, 1], [1, float(numbers(rng, 1)[0] + 4)]]
    return parents, weights, [numbers(rng, 2) for _ in parents]


def weighted(parents, weights, shared):
    """A small graph as formulas; shared: as in `gradients` of the checks."""
    sums = []
    for i, (before, ws) in enumerate(zip(parents, weights, strict=True)):
        terms = [f"{w:g}·{letters([p])}" for p, w in zip(before, ws, strict=True)]
        sums += [f"{letters([i])} = {' + '.join(terms)}"] * bool(terms)
    text = f"For {'; '.join(sums)}; the loss is {letters([len(parents) - 1])}".replace("+ -", "− ")
    again = f", and once more for a new graph from the same {letters(range(shared))}" * bool(shared)
    return f"{text}{again}."


def gradients(parents, weights, starts, shared):
    """grad of every tensor after backward over the graph, and, with shared, over a second one."""

    def run(join, *, seed=1.0, keep=shared):
        """The gradients if shares are joined so, and the second call finds `keep` old ones."""
        grads = [None] * len(parents)
        for _ in range(2 if shared else 1):
            grads = [*grads[:keep], *[None] * (len(parents) - keep)]
            grads[-1] = np.ones(starts[-1].shape) * seed
            for i in reversed(range(len(parents))):
                for p, w in zip(parents[i], weights[i], strict=True):
                    fits = starts[p].shape == starts[i].shape
                    share = w * grads[i] if fits else np.full(starts[p].shape, w * grads[i])
                    grads[p] = share if grads[p] is None else join(grads[p], share)
        return grads

    def add(old, new):
        return old + new

    right = run(add)
    known = {
        "The second call replaces what the first left in the leaves. Gradients add up from call to"
        " call; clearing them is for zero_grad.": run(add, keep=0),
        "The last share replaces those before it: gradients of several paths add up.": run(
            lambda old, new: new
        ),
        "Only the first share is kept: gradients of several paths add up.": run(
            lambda old, new: old
        ),
        "Shares are multiplied: slopes multiply along a path, and add up over paths.": run(
            lambda old, new: old * new
        ),
        "Shares are averaged: they add up.": run(lambda old, new: (old + new) / 2),
        "Backward starts with the loss's own value: its gradient in itself is 1.": run(
            add, seed=starts[-1]
        ),
    }
    if not shared and all(one.shape == starts[0].shape for one in starts):
        known[IN_PLACE] = _aliased(parents, weights, starts)
    return right, {why: wrong for why, wrong in known.items() if not all(map(_equal, wrong, right))}


def _aliased(parents, weights, starts):
    """The gradients if shares of weight 1 are the very array that came, and sums made in place."""
    grads: list[Any] = [None] * len(parents)
    grads[-1] = np.ones(starts[-1].shape)
    for i in reversed(range(len(parents))):
        handed = [grads[i] if w == 1 else w * grads[i] for w in weights[i]]
        for p, share in zip(parents[i], handed, strict=True):
            if grads[p] is None:
                grads[p] = share
            else:
                grads[p] += share
    return grads


def slope_past_detach():
    return 3.0, {
        "That is the slope of x·x: detach lets no gradient pass, which leaves one path.": 6.0,
        "The gradient still passes through the first x.": 0.0,
        "That is the value of y, not its slope in x.": 9.0,
        "Only the path through detach is cut: the slope along the other one is detach(x).": 1.0,
    }


def seen(slopes, number):
    """The gradients that the update of a step should see."""
    so_far = [sum(column) for column in zip(*slopes[: number + 1], strict=True)]
    stale = (
        "The gradients of earlier steps are still in it: without zero_grad they add up from step to"
        " step."
    )
    return list(slopes[number]), {stale: so_far} if number else {}


def sgd_momentum(w, g, v, lr, momentum):
    new = momentum * v + g
    right = w - lr * new, new
    inside = momentum * v + lr * g
    damped = momentum * v + (1 - momentum) * g
    known = {
        "The learning rate is inside v: that is the other form, where a falling rate acts later.": (
            w - inside,
            inside,
        ),
        "The learning rate is inside v, and v has a minus.": (
            w + momentum * v - lr * g,
            momentum * v - lr * g,
        ),
        "The gradient counts 1 − momentum: that is a mean, as in Adam; torch's v is a sum.": (
            w - lr * damped,
            damped,
        ),
        "w moves by the old v: make the new v first.": (w - lr * v, new),
        "w moves by the gradient alone: it should move by v.": (w - lr * g, new),
        "That is Nesterov's form, which looks a step ahead.": (w - lr * (g + momentum * new), new),
        "It goes up the slope: the loss falls against v.": (w + lr * new, new),
        "The momentum is missing: old v counts in full.": (w - lr * (v + g), v + g),
        "The momentum weakens the old v alone, not the gradient.": (
            w - lr * momentum * (v + g),
            momentum * (v + g),
        ),
        "The learning rate is missing in the step.": (w - new, new),
        "v is returned as it came: the next step needs the new one.": (right[0], v),
        "The order is (w, v).": (new, right[0]),
    }
    return right, {why: wrong for why, wrong in known.items() if not all(map(_equal, wrong, right))}


def adam(w, m, u, g, t, lr, betas, eps):
    """(right, known), where known has for each of w, m, u its own wrong values."""
    one, two = betas

    def means(one, two, square=None):
        return one * m + (1 - one) * g, two * u + (1 - two) * (g**2 if square is None else square)

    def moved(new, other, *, t=t, eps=eps, root=np.sqrt, sign=-1.0, first=one, second=two):
        with np.errstate(all="ignore"):
            top, below = new / (1 - first**t), other / (1 - second**t)
            return w + sign * lr * top / (root(below) + eps)

    new_m, new_u = means(one, two)
    top, below = new_m / (1 - one**t), new_u / (1 - two**t)
    swapped = means(two, one)
    usual = means(0.9, 0.999)
    norm = means(one, two, (g**2).sum())[1]
    with np.errstate(all="ignore"):
        wrong_w = {
            "The correction for the start at 0 is missing: divide by 1 − βᵗ.": w
            - lr * new_m / (np.sqrt(new_u) + eps),
            "Only m is corrected: u starts at 0, too.": w - lr * top / (np.sqrt(new_u) + eps),
            "Only u is corrected: m starts at 0, too.": w - lr * new_m / (np.sqrt(below) + eps),
            "ε is under the root: it is added to the root.": w - lr * top / np.sqrt(below + eps),
            "The root is missing: m̂ is divided by the root of û.": moved(
                new_m, new_u, root=lambda u: u
            ),
            "It goes up the slope: w moves against m̂.": moved(new_m, new_u, sign=1.0),
            "The correction divides by 1 − β: the power t is missing.": moved(new_m, new_u, t=1),
            "The correction is that of the step before: the power of β is t.": moved(
                new_m, new_u, t=t - 1
            ),
            "The correction is that of the next step: the power of β is t.": moved(
                new_m, new_u, t=t + 1
            ),
            "The correction multiplies β by t: βᵗ is a power.": w
            - lr * new_m / (1 - one * t) / (np.sqrt(new_u / (1 - two * t)) + eps),
            "β₁ and β₂ are fixed here: take them from `betas`.": moved(
                *usual, first=0.9, second=0.999
            ),
            "g² goes number by number: each weight has its own u.": moved(new_m, norm),
            "The two β have changed places: the first is for m.": moved(
                *swapped, first=two, second=one
            ),
            "w moves by the gradient, not by its mean m̂.": moved(g * (1 - one**t), new_u),
            "ε is missing.": moved(new_m, new_u, eps=0.0),
            "u is a mean of g, not of its square.": moved(new_m, means(one, two, g)[1]),
            "w moves by the old m and u: make the new ones first.": moved(m, u),
        }
    wrong_m = {
        "The corrected mean is returned: what is kept for the next step is m itself.": top,
        "The weights of old and new have changed places: the old m counts β₁.": (1 - one) * m
        + one * g,
        "g is added in full: it counts 1 − β₁.": one * m + g,
        "That is β₂'s mean: m goes with β₁.": swapped[0],
        "β₁ and β₂ are fixed here: take them from `betas`.": usual[0],
        "m is returned as it came: the next step needs the new one.": m,
        "That is u: the order is (w, m, u).": new_u,
    }
    wrong_u = {
        "The corrected mean is returned: what is kept for the next step is u itself.": below,
        "u is a mean of g, not of its square.": means(one, two, g)[1],
        "The weights of old and new have changed places: the old u counts β₂.": (1 - two) * u
        + two * g**2,
        "g² is added in full: it counts 1 − β₂.": two * u + g**2,
        "That is β₁'s mean: u goes with β₂.": swapped[1],
        "β₁ and β₂ are fixed here: take them from `betas`.": usual[1],
        "g² goes number by number: each weight has its own u.": norm,
        "That is a mean of m²: u is one of g².": means(one, two, new_m**2)[1],
        "u is returned as it came: the next step needs the new one.": u,
        "The square covers the weight, too: it is 1 − β₂ times g².": two * u + ((1 - two) * g) ** 2,
        "That is m: the order is (w, m, u).": new_m,
    }
    right = moved(new_m, new_u), new_m, new_u
    return right, [
        {why: one for why, one in known.items() if np.isfinite(one).all() and not _equal(one, good)}
        for known, good in zip((wrong_w, wrong_m, wrong_u), right, strict=True)
    ]


def adam_step_ratio():
    return 1.0, {
        "That is plain descent's: Adam divides by a root that grows with the gradient.": 1e6,
        "In the first step m̂ is g itself, and the root of û is the size of g.": 1e3,
        "The larger gradient does not make the smaller step.": 1e-6,
    }


def calls_in_trace():
    return 6.0, {
        "That is the loop's body once. The loop itself is not recorded: it runs while the graph is"
        " written down.": 2.0,
        "Each round applies two operations.": 3.0,
        "Count the operations only: the input and the output are nodes, but no operations.": 8.0,
        "That is the body once, with the input and the output. The loop runs while the graph is"
        " written down.": 4.0,
        "The loop is not an operation: it runs while the graph is written down.": 7.0,
        "The layer is one object, but each of its calls is an operation.": 5.0,
    }


def numbers(rng, *shape):
    """Numbers to read easily, with one decimal, no two the same, from −3 to 3 without 0 and ±1."""
    some = np.array([n for n in range(-30, 31) if n not in (0, -10, 10)]) / 10
    return rng.choice(some, size=shape, replace=False)


def _both_signs_and_zero(rng, *shape):
    array = abs(numbers(rng, *shape))
    array.flat[-1] = 0
    return array * np.where(np.arange(array.size).reshape(shape) % 2, -1, 1)


def _equal(one, other):
    return np.shape(one) == np.shape(other) and np.allclose(one, other, rtol=1e-6, atol=1e-8)


def _breadth_first(parents):
    order = [len(parents) - 1]
    for i in order:
        order += [p for p in dict.fromkeys(parents[i]) if p not in order]
    return order


def _first_visits(parents, turn):
    """Depth first, each tensor when it is first met; turn −1: the last parent first."""
    order = []

    def visit(i):
        if i not in order:
            order.append(i)
            for parent in parents[i][::turn]:
                visit(parent)

    visit(len(parents) - 1)
    return order


def _is_topological(order, parents):
    return all(set(parents[i]) <= set(order[:n]) for n, i in enumerate(order))
