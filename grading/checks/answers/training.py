"""The answers of lab 04: the right ones, and those that known misconceptions lead to."""

from itertools import product

import numpy as np

# split

NO_LEAK = {
    "b": "Shuffling moves images about; no pixel of one gets into another's training.",
    "c": "Looking does not change the weights. (Choosing by what you saw uses the validation set"
    " up, which is why there is a test set besides.)",
    "d": "Equal seeds make a run repeatable. No image gets across.",
}


def shared_indices(train, held, y):
    if max(train.max(initial=0), held.max(initial=0)) < np.unique(y, return_counts=True)[1].max():
        return "These are places within a class, not indices into y: members[order], not order."
    return "An index in both sets is a leak: training has seen what validation asks for."


def missing_indices(train, held, y):
    counts, found = np.unique(y, return_counts=True)[1], {*train.tolist(), *held.tolist()}
    if {y[i] for i in found if 0 <= i < len(y)} < set(y):
        return "Whole classes are missing: which there are, y tells, with y.unique()."
    if len(y) - 2 * len(counts) <= len(found):
        return (
            "Rounding share and 1 − share apart loses an example here and there: cut once, and take"
            " what is left."
        )
    return "Cut each class once: what is not held out trains."


def no_indices(got):
    """What to do with an array, or no array, that is not a row of indices."""
    if type(got) is list:
        return "A list: torch.tensor(…) makes a tensor of it."
    if type(got) is not np.ndarray:
        return ""
    if got.dtype.kind == "b":
        return "That is a mask: torch.nonzero(mask).flatten() makes indices of it."
    if got.ndim == 2 and got.shape[1] == 1:
        return "torch.nonzero gives one row for each hit: flatten() makes one row of them all."
    return ""


def wrong_share(train, held, share, whole):
    n_train, n_held = len(train), len(held)
    if not n_train + n_held == len({*train.tolist(), *held.tolist()}) == whole:
        return ""
    if abs(n_train - share * whole) < abs(n_held - share * whole):
        return "The two are swapped: train comes first, and `share` is what is held out."
    if abs(n_held - share * whole) <= 1:
        return (
            "The share is right over all examples, not in each class: that is no stratified split."
            " Each class gives the share of its own examples."
        )
    return ""


# train_one_epoch


def wrong_batches(sizes, n, batch_size):
    if sum(sizes) == n - n % batch_size and set(sizes) == {batch_size}:
        return "The last, shorter batch is missing: its examples are never learnt from."
    if len(sizes) == 1:
        return "All examples went through in one batch, which makes one step an epoch."
    if len(sizes) == n:
        return "Every example is a batch of its own."
    if len(sizes) == batch_size:
        return (
            "batch_size is taken for the number of batches: chunk(n) cuts into n pieces, split(n)"
            " into pieces of n."
        )
    if sum(sizes) == n and sizes[-1] > batch_size:
        return "What is left over is a batch of its own, and not a part of the last one."
    if sum(sizes) > n and set(sizes) == {batch_size}:
        return "The last batch is filled up: it has the examples that are left over, and no more."
    return ""


TWICE = "There is a softmax before F.cross_entropy, which has one inside: give it the scores."


def _softmax(S):
    E = np.exp(S - S.max(axis=1, keepdims=True))
    return E / E.sum(axis=1, keepdims=True)


def loss_and_gradients(X, y, W, b, twice=False):
    """The mean cross-entropy and its gradients in W and b; `twice`: with one softmax too many."""
    P, rows = _softmax(X @ W.T + b), np.arange(len(y))
    Q = _softmax(P) if twice else P
    dS = Q - np.eye(len(b))[y]
    if twice:
        dS = P * (dS - (dS * P).sum(axis=1, keepdims=True))
    return float(-np.log(Q[rows, y]).mean()), dS.T @ X / len(y), dS.mean(axis=0)


def descent(X, y, W, b, epochs, lr):
    """The weights after the epochs' batches, and after what people do instead."""

    def run(step):
        w, c, kept = W.copy(), b.copy(), {}
        for batches in epochs:
            kept["epoch"] = True
            start = 0
            for batch in batches:
                w, c = step(w, c, batch, start, kept)
                kept["epoch"] = False
                start += len(batch)
        return w, c

    def gradient(w, c, batch, labels=None):
        return loss_and_gradients(X[batch], y[batch] if labels is None else labels, w, c)[1:]

    def plain(scale=lambda batch: 1.0):
        def step(w, c, batch, start, kept):
            dw, dc = gradient(w, c, batch)
            return w - lr * scale(batch) * dw, c - lr * scale(batch) * dc

        return step

    def unshuffled(w, c, batch, start, kept):
        dw, dc = gradient(w, c, batch, y[np.arange(start, start + len(batch)) % len(y)])
        return w - lr * dw, c - lr * dc

    def never(w, c, batch, start, kept):
        dw, dc = gradient(w, c, batch)
        kept["sum"] = tuple(a + d for a, d in zip(kept.get("sum", (0, 0)), (dw, dc), strict=True))
        return w - lr * kept["sum"][0], c - lr * kept["sum"][1]

    def once_an_epoch(w, c, batch, start, kept):
        if kept["epoch"]:
            kept.pop("sum", None)
        return never(w, c, batch, start, kept)

    def lagging(w, c, batch, start, kept):
        before = kept.get("last")
        kept["last"] = gradient(w, c, batch)
        return (w, c) if before is None else (w - lr * before[0], c - lr * before[1])

    def softmax_twice(w, c, batch, start, kept):
        _, dw, dc = loss_and_gradients(X[batch], y[batch], w, c, twice=True)
        return w - lr * dw, c - lr * dc

    known = {
        TWICE: run(softmax_twice),
        "The gradients of all batches pile up: call optimizer.zero_grad() for each batch, before"
        " backward.": run(never),
        "The gradients pile up within an epoch: clear them for each batch.": run(once_an_epoch),
        "No weight has moved. Is there optimizer.step(), and does zero_grad come before backward,"
        " not between backward and step?": (W, b),
        "Each step uses the gradient of the batch before: backward comes before step.": run(
            lagging
        ),
        "Images meet the labels of other images: index y with the batch's indices, as X.": run(
            unshuffled
        ),
        "That is the gradient of the sum: F.cross_entropy takes the batch's mean by itself.": run(
            plain(len)
        ),
        "The loss is divided by the batch's size once too often.": run(
            plain(lambda batch: 1 / len(batch))
        ),
    }
    return run(plain()), known


def epoch_loss(losses, sizes):
    losses, sizes = np.array(losses), np.array(sizes)
    right = float((losses * sizes).sum() / sizes.sum())
    return right, {
        "That is the mean of the batches' means. The last batch has fewer examples and must weigh"
        " less: add up loss.item() times the batch's size.": float(losses.mean()),
        "That is the sum over the examples: divide by their number.": float((losses * sizes).sum()),
        "That is the sum of the batches' means.": float(losses.sum()),
        "That is the last batch's loss alone.": float(losses[-1]),
        "The means are added up and divided by the number of examples: multiply each by its batch's"
        " size first.": float(losses.sum() / sizes.sum()),
        "A batch's mean is taken times batch_size, but the last batch is shorter.": float(
            (losses * sizes.max()).sum() / sizes.sum()
        ),
    }


def other_losses(X, y, batches, weights):
    """The epoch's loss, measured otherwise; weights: those of each batch, and those at the end."""
    sizes = [len(batch) for batch in batches]
    starts = np.cumsum([0, *sizes[:-1]])
    wrong = [
        y[np.arange(start, start + n) % len(y)] for start, n in zip(starts, sizes, strict=True)
    ]

    def mean(labels, twice):
        losses = [
            loss_and_gradients(X[batch], some, *weight, twice=twice)[0]
            for batch, some, weight in zip(batches, labels, weights, strict=False)
        ]
        return float(np.average(losses, weights=sizes))

    return {
        "That is the loss of all examples after the last step. Asked for is the mean of the losses"
        " that the steps were made with: add them up on the way.": loss_and_gradients(
            X, y, *weights[-1]
        )[0],
        "Images meet the labels of other images: index y with the batch's indices, as X.": mean(
            wrong, False
        ),
        TWICE: mean([y[batch] for batch in batches], True),
    }


# evaluate

TRAINING_MODE = (
    "The model was in training mode: dropout switches units off, and batch normalisation uses the"
    " batch's own mean, and learns from it. Call model.eval() first."
)


def evaluation(S, y, batch_size):
    n = len(y)
    each, twice = (-np.log(_softmax(one)[np.arange(n), y]) for one in (S, _softmax(S)))
    right = (S.argmax(axis=1) == y).astype(float)
    starts = range(0, n, batch_size)
    means = [(each[i : i + batch_size].mean(), right[i : i + batch_size].mean()) for i in starts]
    loss, accuracy = float(each.mean()), float(right.mean())
    mean_of_means = tuple(float(np.mean(column)) for column in zip(*means, strict=True))
    whole = n - n % batch_size
    both = (
        "That is the mean of the batches' means: the last batch has fewer examples and must weigh"
        " less."
    )
    return (loss, accuracy), {
        both: mean_of_means,
        both.replace("That is", "The loss is"): (mean_of_means[0], accuracy),
        both.replace("That is", "The accuracy is"): (loss, mean_of_means[1]),
        "The loss is the sum over the examples: divide by their number.": (loss * n, accuracy),
        "The accuracy is the number right: divide by the number of examples.": (
            loss,
            float(right.sum()),
        ),
        "Both are sums over the examples: divide them by their number.": (
            loss * n,
            float(right.sum()),
        ),
        "The loss is in bits. F.cross_entropy gives nats: leave it as it is.": (
            loss / np.log(2),
            accuracy,
        ),
        TWICE: (float(twice.mean()), accuracy),
        "The accuracy is in per cent: a share from 0 to 1 is asked for.": (loss, 100 * accuracy),
        "That is the share wrong: the accuracy is the share right.": (loss, 1 - accuracy),
        "The order is (loss, accuracy).": (accuracy, loss),
        "The means of the batches are added up, not averaged.": tuple(
            float(sum(column)) for column in zip(*means, strict=True)
        ),
        "The loss adds up the batches' means and divides by the number of examples: multiply each"
        ' by its batch\'s size, or use reduction="sum".': (
            float(sum(one for one, _ in means)) / n,
            accuracy,
        ),
        "The last, shorter batch is missing.": (
            float(each[:whole].mean()),
            float(right[:whole].mean()),
        ),
        "The last, shorter batch is missing, but counted in the number of examples.": (
            float(each[:whole].sum() / n),
            float(right[:whole].sum() / n),
        ),
        "That is the last batch alone.": tuple(map(float, means[-1])),
    }


# read_loss_curves

_STILL_FALLING = "It is still falling at the last epoch, as fast as ever. What makes it so slow?"
_DOWN_SMOOTHLY = "Both curves come down smoothly and level off close together: nothing is amiss."
_JUMPS = "It neither falls for long nor levels off, it jumps. What throws the weights about?"
_BELOW = "Look which curve is below. What is switched on while training and off while measuring?"
_TURNS_UP = "One curve goes to 0, the other turns up again. What is the network learning by heart?"
_LEVEL_HIGH = (
    "Both curves have stopped falling, smoothly, far above 0, and together: what is the network"
    " lacking?"
)
_WORDS = ("healthy", "overfitting", "underfitting", "rate too high", "rate too low", "dropout")


def _curve(right, hint, **special):
    special = {word.replace("_", " "): why for word, why in special.items()}
    return right, {word: special.get(word, hint) for word in _WORDS if word != right}


CURVES = {
    "curve_a": _curve(
        "rate too low",
        _STILL_FALLING,
        underfitting="A network that is too small stops falling. This one still falls, as fast as"
        " ever, when the run ends: it has not had its time.",
        rate_too_high="A rate that is too high makes the loss jump. This one creeps.",
    ),
    "curve_b": _curve(
        "overfitting",
        _TURNS_UP,
        healthy="The training loss alone looks healthy. Look where the validation loss goes.",
        rate_too_high="The training loss falls to 0 without a jump: the steps are not too large.",
    ),
    "curve_c": _curve(
        "dropout",
        _BELOW,
        healthy="Nearly, but training images should never be harder than images that were not"
        " trained on. " + _BELOW,
        underfitting="Its validation loss is among the lowest of all six. " + _BELOW,
    ),
    "curve_d": _curve(
        "rate too high",
        _JUMPS,
        overfitting="Overfitting needs a training loss that falls. Here it jumps, too.",
        underfitting="A network that is too small levels off smoothly. " + _JUMPS,
    ),
    "curve_e": _curve(
        "healthy",
        _DOWN_SMOOTHLY,
        overfitting="A small gap is usual: nobody is as good at new questions as at old ones. While"
        " the validation loss does not rise, nothing is lost.",
        dropout="With dropout the training curve is above. Here it ends below.",
    ),
    "curve_f": _curve(
        "underfitting",
        _LEVEL_HIGH,
        rate_too_low="With a low rate it would still be falling at the end. This one has levelled"
        " off: more epochs will not help.",
        overfitting="The two curves are together: there is no gap between old images and new.",
    ),
}


def wrong_epoch(got):
    if got >= 18:
        return (
            "At the end the training loss is lowest, and the validation loss far from it. Which of"
            " the two tells how the network does on new images?"
        )
    if got > 7:
        return "The validation loss has risen by then. Where is it lowest?"
    return "The validation loss still falls after that epoch. Where is it lowest?"


# early_stopping

RESTORED = {
    "spoilt": "The copy has changed along with the model, or restore does nothing. state_dict()"
    " holds the model's own tensors, and so does a shallow copy. copy.deepcopy makes new ones.",
    "last": "These are the weights of the last epoch: make the copy only when the loss is the"
    " lowest so far.",
    "other": "The copy is of another epoch: make it in step, whenever the loss is the lowest so"
    " far.",
}
BUFFERS = {
    **RESTORED,
    "spoilt": "The running means of batch normalisation were not put back, or they changed along"
    " with the model: they are buffers, not parameters. A deep copy of state_dict() has both.",
}


def _stop(losses, patience, rule):
    """The epoch (from 1) after which a rule stops, 0 if never."""
    lowest, waited, last = 1.0 if rule == "below 1" else np.inf, 0, np.inf
    for epoch, loss in enumerate(losses, start=1):
        better = {
            "last": loss < last,
            "clearly": loss < lowest - 0.001,
            "ties": loss <= lowest,
            "largest": epoch == 1 or loss > -lowest,
        }.get(rule, loss < lowest)
        if rule == "largest":
            lowest = -loss if better else lowest
        elif better:
            lowest = min(lowest, loss)
        waited = (waited if rule == "total" else 0) if better else waited + 1
        last = loss
        needed = {"late": patience + 1, "early": max(patience - 1, 1), "impatient": 1}
        if waited >= needed.get(rule, patience):
            return epoch
    return 0


_RULES = {
    "clearly": "A loss that is lower by a little is a new lowest, too: compare without a margin,"
    " and without rounding.",
    "ties": "A loss that only equals the lowest counts as a new lowest here.",
    "late": "It stops one epoch late: stop when `patience` epochs have brought nothing new, not"
    " when it is more.",
    "early": "It stops one epoch early: the epoch with the lowest loss itself is not one of those"
    " that brought nothing.",
    "last": "The loss is compared with that of the epoch before. Compare it with the lowest so"
    " far: a curve that went up and comes down a little is no better than before.",
    "total": "The epochs without a new lowest loss are counted over the whole run. They have to"
    " come in a row: count from 0 after each new lowest.",
    "impatient": "It stops at the first epoch that is no better: patience is not used.",
    "below 1": "Every epoch is counted, as if none were a new lowest. Does the lowest loss begin"
    " with math.inf, and the count at 0 again after each new lowest?",
    "largest": "It waits for the largest loss: with a loss, lower is better.",
}


def decisions(losses, patience):
    right = _stop(losses, patience, "")
    known = {_stop(losses, patience, rule): why for rule, why in reversed(_RULES.items())}
    known.pop(right, None)
    return right, known


def stopping_cases(rng):
    """Losses and patience, made so that each wrong rule stops elsewhere in one of them."""

    def noise(losses):
        return [round(float(one + rng.uniform(0, 0.004)), 4) for one in losses]

    plain = noise([290, 230, 160, 165, 164, 166, 163, 170, 180, 190])
    often = noise([0.9, 0.95, 0.8, 0.85, 0.7, 0.75, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85])
    never = noise([0.9, 0.8, 0.85, 0.7, 0.75, 0.6, 0.5])
    ties = [0.9, 0.5, 0.5, 0.6, 0.7, 0.8, 0.9]
    close = [0.9, 0.8, 0.7999, 0.8, 0.7998, 0.8]
    return [(plain, int(rng.integers(2, 4))), (often, 3), (never, 2), (ties, 4), (close, 2)]


def stops_after():
    return 5, {
        "After that epoch two epochs in a row have brought nothing: one more.": 4,
        "Epoch 6 would have been better, but three epochs without a new lowest come first.": 6,
        "The three epochs are over well before.": 7,
        "Three epochs have to go by after the lowest one.": 3,
    }


# learning_rate_schedule


def rise(steps, warmup):
    s = np.arange(warmup)
    return (s + 1) / warmup, {
        "The first step has the rate 0 and moves nothing: it is (s + 1)/w, not s/w.": s / warmup,
        "The rise ends below 1: divide by w, not w + 1.": (s + 1) / (warmup + 1),
        "A whole-number division: `/`, not `//`.": (s + 1) // warmup * 1.0,
        "There is no warm-up: these are the cosine's values.": _half(s / steps),
        "That is the cosine already, begun before the warm-up is over.": _half(
            (s - warmup) / (steps - warmup)
        ),
        "Every step of the warm-up has the full rate.": np.ones(warmup),
    }


def fall(steps, warmup):
    s = np.arange(warmup, steps)
    part = (s - warmup) / (steps - warmup)
    known = {
        "The cosine goes from 1 to −1: half of (1 + cosine) goes from 1 to 0.": np.cos(
            np.pi * part
        ),
        "The 1 + before the cosine is missing.": 0.5 * np.cos(np.pi * part),
        "That is a quarter of a cosine: half of one is ½(1 + cos), and goes as far as π.": np.cos(
            np.pi * part / 2
        ),
        "It is rounded. The example rounds for reading only.": np.round(_half(part), 3),
        "The ½ is missing: the factor begins at 2.": 2 * _half(part),
        "That is a whole cosine, down and up again: it takes half of one, so π and not 2π.": _half(
            2 * part
        ),
        "π is missing.": 0.5 * (1 + np.cos(part)),
        "math.cos takes radians, not degrees.": 0.5 * (1 + np.cos(180 * part)),
        "It rises from 0 to 1: the sign before the cosine is wrong.": 1 - _half(part),
        "That is a straight line, not a cosine.": 1 - part,
        "The factor is 0 in the last step already: with S − w in the denominator the fall would end"
        " one step after the last.": _half((s - warmup) / max(steps - warmup - 1, 1)),
        "It begins one step late: at s = w the fraction is 0.": _half(
            (s - warmup - 1) / (steps - warmup)
        ),
        "It is one step ahead: at s = w the fraction is 0.": _half(
            (s - warmup + 1) / (steps - warmup)
        ),
    }
    if warmup:
        known |= {
            "The fall is counted from step 0, not from the end of the warm-up: s − w.": _half(
                s / steps
            ),
            "The numerator is s − w, but the denominator is S: the fall ends above 0.": _half(
                (s - warmup) / steps
            ),
            "The numerator is s, the denominator S − w: the fall does not begin at 1.": _half(
                s / (steps - warmup)
            ),
            "The rise goes on after the warm-up.": (s + 1) / warmup,
            "The rate stays at its peak.": np.ones(len(s)),
            "The step s = w is part of the fall already: s < w, not s ≤ w.": np.array(
                [(warmup + 1) / warmup, *_half(part)[1:]]
            ),
        }
    else:
        late = _half(np.maximum(s - 1, 0) / (steps - 1))
        known["There is a first step of warm-up here: without it the cosine begins at s = 0."] = (
            late
        )
    return _half(part), known


def _half(part):
    return 0.5 * (1 + np.cos(np.pi * part))


def rate_by_hand(name):
    if name == "first_rate":
        return 0.04, {
            "That step would be wasted: the first factor is (0 + 1)/w.": 0.0,
            "That is the factor: times the peak rate.": 0.1,
            "That is the peak, which the tenth step reaches.": 0.4,
            "The rise takes 10 steps, not all 100.": 0.004,
        }
    return 0.2, {
        "That is the factor: times the peak rate.": 0.5,
        "That is the peak: the fall has begun.": 0.4,
        "That is a straight line from step 0. In the formula it is a cosine, from the end of the"
        " warm-up.": 0.18,
        "Half-way is counted from the end of the warm-up.": 0.4 * float(_half(0.55)),
    }


# sweep

NOT_LARGER = {
    "smaller": "Batches of 128 give 16 times fewer steps in an epoch, and less noisy ones. What do"
    " fewer and surer steps allow? Look at the heat map below.",
    "same": "Compare the rows of the heat map below: where is the best of each?",
}


ANY_SETTINGS = (
    "A grid has any number of settings, of any names: itertools.product(*grid.values()) takes them"
    " all."
)
OTHER_ROWS = "Rows of other sweeps may lack a setting: row.get(name) asks without failing."


def wrong_queue(runs, grid, calls):
    names, values = list(grid), list(grid.values())
    swapped = [dict(zip(names, one[::-1], strict=True)) for one in product(*values[::-1])]
    zipped = [dict(zip(names, pair, strict=True)) for pair in zip(*values, strict=False)]
    if calls == swapped:
        return "The first setting changes fastest here: it is the last one that should."
    if calls == zipped:
        return "zip pairs the values up: a grid has all combinations, as itertools.product gives."
    if any(one.keys() != grid.keys() for one in calls):
        return ANY_SETTINGS
    if len(calls) > len(runs):
        return "Some runs are made twice."
    if calls and all(one in runs for one in calls) and len(calls) < len(runs):
        return "Some combinations are missing."
    return ""


def wrong_rows(rows, old):
    new = [row for row in rows if row not in old]
    known = {
        "Only the results are returned: a row has the settings, too.": [
            {"score": row["score"]} for row in rows
        ]
    }
    if old:
        known |= {
            "Only the new rows are returned: those of the table belong to the sweep, too.": new,
            "The rows come in the table's order: the grid's order is asked for.": [*old, *new],
        }
    return known
