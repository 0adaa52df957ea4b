"""The answers of lab 04: the right ones, by the lab's own names, and what people get wrong."""

import copy
import itertools
import json
import math
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn  # noqa: F401  rows use it

from grading.checks.mistakes import Known, Mistake, Table, variants

leak = "a"
curve_a, curve_b, curve_c = "rate too low", "overfitting", "dropout"
curve_d, curve_e, curve_f = "rate too high", "healthy", "underfitting"
keep_epoch = 5
stops_after = 5
first_rate, rate_55 = 0.04, 0.2


class training:  # what the lab's answers use of it, without its pictures
    @staticmethod
    def read_table(path):
        path = Path(path)
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    @staticmethod
    def append_row(path, row):
        with Path(path).open("a") as file:
            file.write(json.dumps(row) + "\n")


def split(y, share, seed):
    generator = torch.Generator().manual_seed(seed)
    train, held_out = [], []
    for label in y.unique():
        members = torch.nonzero(y == label).flatten()
        members = members[torch.randperm(len(members), generator=generator)]
        cut = round(share * len(members))
        held_out.append(members[:cut])
        train.append(members[cut:])
    return torch.cat(train), torch.cat(held_out)


def train_one_epoch(model, optimizer, X, y, batch_size, generator):
    model.train()
    total = 0.0
    for batch in torch.randperm(len(X), generator=generator).split(batch_size):
        loss = F.cross_entropy(model(X[batch]), y[batch])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        total += loss.item() * len(batch)
    return total / len(X)


def evaluate(model, X, y, batch_size):
    mode = model.training
    model.eval()
    loss, right = 0.0, 0
    with torch.no_grad():
        for batch, labels in zip(X.split(batch_size), y.split(batch_size), strict=True):
            scores = model(batch)
            loss += F.cross_entropy(scores, labels, reduction="sum").item()
            right += (scores.argmax(dim=1) == labels).sum().item()
    model.train(mode)
    return loss / len(X), right / len(X)


class EarlyStopping:
    def __init__(self, patience):
        self.patience, self.waited, self.lowest, self.best = patience, 0, math.inf, {}

    def step(self, loss, model):
        self.waited += 1
        if loss < self.lowest:
            self.lowest, self.waited = loss, 0
            self.best = copy.deepcopy(model.state_dict())
        return self.waited >= self.patience

    def restore(self, model):
        model.load_state_dict(self.best)


def learning_rate_schedule(step, steps, warmup):
    if step < warmup:
        return (step + 1) / warmup
    return 0.5 * (1 + math.cos(math.pi * (step - warmup) / (steps - warmup)))


def sweep(run, grid, table):
    old, rows = training.read_table(table), []
    for values in itertools.product(*grid.values()):
        settings = dict(zip(grid, values, strict=True))
        row = next((row for row in old if settings.items() <= row.items()), None)
        if row is None:
            row = {**settings, **run(**settings)}
            training.append_row(table, row)
        rows.append(row)
    return rows


# Exercise 1: no two learners draw alike, so a split is told by what it holds, not by its value.

NO_LEAK = {
    "b": "Shuffling moves images about; no pixel of one gets into another's training.",
    "c": "Looking does not change the weights. (Choosing by what you saw uses the validation set"
    " up, which is why there is a test set besides.)",
    "d": "Equal seeds make a run repeatable. No image gets across.",
}

Y_CHANGED = "It changes y, which is the caller's: copy it before you put it in order."
GLOBAL_GENERATOR = (
    "torch.manual_seed, np.random.seed, and a torch.randperm without generator= change what all"
    " later code draws. Make a generator of your own: torch.Generator().manual_seed(seed)."
)
NO_LABELS = "Return members, which are indices, and not y[members]."
NOT_THE_SEED = "It draws from a generator that does not begin with this seed."
STORED_CLASSES = (
    "Data are often stored in order, by writer or by day: put each class in a random order before"
    " you cut."
)
SAME_ORDER = (
    "Each class gets the same order. Make the generator before the loop, so that it goes on from"
    " class to class."
)


def shared_indices(train, held, y):
    if max(train.max(initial=0), held.max(initial=0)) < np.unique(y, return_counts=True)[1].max():
        return "These are places within a class, not indices into y: members[order], not order."
    if len(train) + len(held) > 2 * len(y):
        return (
            "Classes are gone through again and again: set(y) takes every tensor for another one."
            " y.unique() are the classes."
        )
    return "An index in both sets is a leak: training has seen what validation asks for."


def missing_indices(train, held, y):
    missing = np.setdiff1d(np.arange(len(y)), np.concatenate([train, held]))
    if not len(missing):
        return ""
    if sorted(np.delete(y, missing)) == np.unique(y).tolist():
        return (
            "Only one example of each class is there: torch.nonzero gives one row for each hit, and"
            " [0] takes the first. flatten() makes one row of them all."
        )
    gone = np.setdiff1d(y, np.delete(y, missing))  # the classes of which nothing is left
    if np.isin(y[missing], gone).all():
        return (
            "All examples of some class are missing. Which classes there are, y.unique() tells;"
            " a class may have a single example."
        )
    if sorted(y[missing]) == np.unique(y).tolist():
        return "One example of each class is left out: cut once, train begins where held_out ends."
    if len(missing) <= 2 * len(np.unique(y)):
        return (
            "Rounding share and 1 − share apart loses an example here and there: cut once, and take"
            " what is left."
        )
    return "Cut each class once: what is not held out trains."


def no_indices(got):
    """What to do with an array, or no array, that is not a row of indices."""
    if type(got) is list:
        if all(type(one) is torch.Tensor for one in got):
            return "A list of tensors: torch.cat(…) joins them to one."
        return "A list: torch.tensor(…) makes a tensor of it."
    if type(got) is not np.ndarray:
        return ""
    if got.dtype.kind == "b":
        return "That is a mask: torch.nonzero(mask).flatten() makes indices of it."
    if got.ndim == 2 and got.shape[1] == 1:
        return "torch.nonzero gives one row for each hit: flatten() makes one row of them all."
    return ""


def wrong_share(train, held, share, y):
    n, counts = len(y), np.array([(y[held] == label).sum() for label in np.unique(y)])
    if not len(train) + len(held) == len({*train.tolist(), *held.tolist()}) == n:
        return ""
    sizes = np.unique(y, return_counts=True)[1]
    if ((counts == sizes) & (share * sizes < 1) & (sizes > 1)).any():
        return "members[-0:] is all of them: where nothing is held out, a cut from the end fails."
    if not counts.any():
        return "Nothing is held out: share is a part of 1, times the number of a class's examples."
    if (abs(counts - (1 - share) * sizes) < 1).all():
        return "The two are swapped: train comes first, and `share` is what is held out."
    if len(set(counts[counts > 1])) == 1:
        return (
            "Each class gives as many as the others: it should give the share of its own examples."
        )
    if abs(len(held) - share * n) <= 1:
        return (
            "The share is right over all examples, not in each class: that is no stratified split."
            " Each class gives the share of its own examples."
        )
    if (abs(counts - share * sizes) < 2).all():
        return "The share of a class is rounded, up or down: it is no whole example more or less."
    return ""


_, _split = variants(
    "split",
    """
def split(y, share, seed):
    {generator}
    train, held_out = [], []
    for label in {classes}:
        members = torch.nonzero({which}).flatten()
        members = members[{order}]
        cut = {cut}
        held_out.append({held})
        train.append({train})
    return {result}
""",
    generator="generator = torch.Generator().manual_seed(seed)",
    classes="y.unique()",
    which="y == label",
    order="torch.randperm(len(members), generator=generator)",
    cut="round(share * len(members))",
    held="members[:cut]",
    train="members[cut:]",
    result="torch.cat(train), torch.cat(held_out)",
)
_MASK = "torch.zeros(len(y), dtype=torch.bool).index_fill(0, torch.cat({}), True)"
_PLACES = "torch.randperm(len(members), generator=generator)"
_SPLIT = [
    _split(
        "places, not indices",
        0.3,
        "places within a class",
        held=f"{_PLACES}[:cut]",
        train=f"{_PLACES}[cut:]",
    ),
    _split("validation in training", 1.0, "a leak", train="members"),
    _split("some in both", 1.0, "a leak", train="members[max(cut - 1, 0) :]"),
    _split(
        "rounded twice",
        1.0,
        "cut once",
        train="members[len(members) - int(len(members) * (1 - share) - 0.6) :]",
    ),
    _split("not stratified", 1.15, "no stratified split", classes="[0]", which="y == y"),
    _split("ten classes", 0.3, "All examples of some class", classes="range(10)"),
    _split(
        "single examples forgotten",
        1.0,
        "All examples of some class",
        classes="[label for label in y.unique() if (y == label).sum() > 1]",
    ),
    _split(
        "as many of each class",
        1.15,
        "the share of its own examples",
        held="members[: (k := round(share * len(y) / 4))]",
        train="members[k:]",
    ),
    _split("one more", 1.15, "no whole example more", cut="int(share * len(members)) + 1"),
    _split("one lost at the cut", 1.0, "where held_out ends", train="members[cut + 1 :]"),
    _split("no labels below 0", 0.3, "All examples of some class", classes="range(y.max() + 1)"),
    _split("a list of tensors", 0.3, "torch.cat", result="train, held_out"),
    _split("every so manieth", 1.15, "gives another share", cut="len(members) // int(1 / share)"),
    _split("share of all", 1.15, "gives another share", cut="int(share * len(y))"),
    _split("half of each class", 1.15, "gives another share", cut="round(len(members) / 2)"),
    _split("the share as a count", 0.8, "a part of 1", cut="int(share)"),
    _split("a set of tensors", 0.3, "again and again", classes="set(y)"),
    _split(
        "the first row of nonzero",
        0.3,
        "Only one example of each class",
        which="y == label",
        order="torch.zeros(1, dtype=torch.int64)",
    ),
    _split(
        "cut from the end",
        1.15,
        "members[-0:] is all of them",
        held="members[-cut:]",
        train="members[:-cut]",
    ),
    _split(
        "generator made and not used",
        1.15,
        "Make a generator of your own",
        order="torch.randperm(len(members))",
    ),
    _split("swapped", 1.15, "The two are swapped", result="torch.cat(held_out), torch.cat(train)"),
    _split("not shuffled", 1.15, "stored in order", order="torch.arange(len(members))"),
    _split(
        "not shuffled, from the end",
        1.15,
        "stored in order",
        order="torch.arange(len(members)).flip(0)",
    ),
    _split(
        "seeded anew in each class",
        1.15,
        "Make the generator before the loop",
        order="torch.randperm(len(members), generator=generator.manual_seed(seed))",
    ),
    _split(
        "another generator in each class",
        1.15,
        "Make the generator before the loop",
        order="torch.randperm(len(members), generator=torch.Generator().manual_seed(seed))",
    ),
    _split(
        "global seed",
        1.15,
        "Make a generator of your own",
        generator="torch.manual_seed(seed); generator = None",
    ),
    _split(
        "NumPy's global seed",
        1.15,
        "Make a generator of your own",
        generator="np.random.seed(seed)",
        order="torch.tensor(np.random.permutation(len(members)))",
    ),
    _split("no seed", 1.15, "The seed is not used", generator="generator = torch.Generator()"),
    _split(
        "another each time",
        1.15,
        "The same seed gives two different splits",
        generator="generator = torch.Generator(); generator.seed()",
    ),
    _split(
        "labels changed",
        0.3,
        "It changes y",
        generator="generator = torch.Generator().manual_seed(seed); y.copy_(y.sort().values)",
    ),
    _split(
        "masks",
        0.3,
        "That is a mask",
        result=f"{_MASK.format('train')}, {_MASK.format('held_out')}",
    ),
    _split(
        "lists", 0.3, "A list", result="torch.cat(train).tolist(), torch.cat(held_out).tolist()"
    ),
    _split("labels", 0.3, "not y[members]", held="y[members[:cut]]", train="y[members[cut:]]"),
    _split(
        "not flattened",
        0.3,
        "flatten() makes one row",
        result="torch.cat(train)[:, None], torch.cat(held_out)[:, None]",
    ),
    _split(
        "scikit-learn's",
        0.0,
        "this exercise does without",
        generator="from sklearn.model_selection import train_test_split",
        result="map(torch.tensor, train_test_split(np.arange(len(y)), stratify=y))",
        order="torch.arange(len(members))",
    ),
    Mistake("split", "shuffling leaks", 1.2, "no pixel of one", 'leak = "b"'),
    Mistake("split", "looking leaks", 1.2, "does not change the weights", 'leak = "c"'),
    Mistake("split", "seeds leak", 1.2, "make a run repeatable", 'leak = "d"'),
]

# Exercise 2


def along(epochs):
    """A learner whose steps are right and whose epochs go through these batches."""
    queue = iter(epochs)

    def steps(model, optimizer, X, y, *_):
        total, batches = 0.0, next(queue)
        for one in batches:
            loss = train_one_epoch(model, optimizer, X[one], y[one], len(one), None)
            total += loss * len(one)
        return total / sum(map(len, batches))

    return SimpleNamespace(train_one_epoch=steps)


def wrong_batches(batches, n, batch_size):
    sizes, different = [len(one) for one in batches], len({i for one in batches for i in one})
    if different < sum(sizes) <= n:
        return "Cut one random order of all indices into batches, each where the last one ended."
    if sum(sizes) == n - n % batch_size and set(sizes) == {batch_size}:
        return "The last, shorter batch is missing: its examples are never learnt from."
    if sizes == [batch_size]:
        return "Training ends after the first batch: does return stand inside the loop?"
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
_LABELS = "Images meet the labels of other images: index y with the batch's indices, as X."
NO_STEP = (
    "No weight has moved. Is there optimizer.step(), after backward, and does zero_grad come before"
    " backward, not between backward and step? Each is called, with brackets."
)
NOT_X = "Give it X[batch], as X is: X is neither scaled nor shifted, and not changed in place."

_SCORES = (
    "Whole numbers stand where scores are needed: F.cross_entropy takes the scores, of all classes,"
    " and then y."
)
ITEM = ".item() makes a plain number of a tensor that holds one."
GRAPHS = (
    "A loss that is not yet a plain number keeps the graph of every batch in memory: add up"
    " loss.item()."
)
NOT_IN_TRAINING = (
    "Without model.train() dropout and batch normalisation do not work as in training."
)
LEFT_IN_ORDER = "X and y are the caller's: take X[batch] from them, and leave them in their order."
STORED = "Shuffle: neighbours in a file are often alike, and would share a batch each time."
GOES_ON = "The second epoch must go on with generator, not begin it anew."
CUT_FIRST = "Shuffle the examples, then cut: neighbours in the file stay together."
DRAWN = (
    "Draw the order from the argument: torch.randperm(len(X), generator=generator). The global"
    " generator moves with everything else that draws from it."
)

NO_SCORES = tuple((piece, _SCORES) for piece in ("not implemented for 'Long'", "got Long"))

_epoch, _epoch_otherwise = variants(
    "train_one_epoch",
    """
def train_one_epoch(model, optimizer, X, y, batch_size, generator):
    {mode}
    total, count = 0.0, 0
    {before}
    order = {order}
    for start in range({starts}):
        batch = {batch}
        scores = model(X[batch]){activation}
        loss = F.cross_entropy(scores, {labels}{more})
        {steps}
        total = total + {loss}
        count += 1
    {after}
    return {result}
""",
    mode="model.train()",
    before="",
    order="torch.randperm(len(X), generator=generator)",
    starts="0, len(X), batch_size",
    batch="order[start : start + batch_size]",
    activation="",
    labels="y[batch]",
    more="",
    steps="optimizer.zero_grad(); loss.backward(); optimizer.step()",
    loss="loss.item() * len(batch)",
    after="",
    result="total / len(X)",
)
_PILED = "loss.backward(); optimizer.step()"
_EPOCH = [
    _epoch(
        "no zero_grad",
        1.0,
        "The gradients of all batches pile up: call optimizer.zero_grad() for each batch, before"
        " backward.",
        steps=_PILED,
    ),
    _epoch(
        "zero_grad once an epoch",
        1.0,
        "The gradients pile up within an epoch: clear them for each batch.",
        before="optimizer.zero_grad()",
        steps=_PILED,
    ),
    _epoch(
        "zero_grad before step",
        0.0,
        NO_STEP,
        steps="loss.backward(); optimizer.zero_grad(); optimizer.step()",
    ),
    _epoch("no step", 0.0, NO_STEP, steps="optimizer.zero_grad(); loss.backward()"),
    _epoch(
        "step before backward",
        1.0,
        "Each step uses the gradient of the batch before: backward comes before step.",
        steps="optimizer.step(); optimizer.zero_grad(); loss.backward()",
    ),
    _epoch(
        "one step an epoch",
        1.0,
        "There is one step an epoch, with the last batch's gradient: optimizer.step() belongs into"
        " the loop, once for each batch.",
        steps="optimizer.zero_grad(); loss.backward()",
        after="optimizer.step()",
    ),
    _epoch(
        "one step for all batches",
        1.0,
        "There is one step an epoch, with all batches' gradients together: zero_grad and step belong"
        " into the loop, once for each batch.",
        before="optimizer.zero_grad()",
        steps="loss.backward()",
        after="optimizer.step()",
    ),
    _epoch(
        "labels not shuffled",
        1.0,
        _LABELS,
        labels="y[start : start + batch_size]",
        loss="F.cross_entropy(scores, y[batch]).item() * len(batch)",
    ),
    _epoch_otherwise(
        "backward after step",
        0.0,
        NO_STEP,
        steps="optimizer.zero_grad(); optimizer.step(); loss.backward()",
    ),
    _epoch_otherwise(
        "starts one apart",
        1.3,
        "where the last one ended",
        starts="len(X) // batch_size",
    ),
    _epoch(
        "the last sum",
        1.7,
        "That is the last batch's sum, divided by all examples: add up all batches' sums.",
        loss="loss.item() * len(batch) - total",
    ),
    _epoch(
        "two steps a batch",
        1.0,
        "There are two steps a batch: optimizer.step() comes once for each backward.",
        steps="optimizer.zero_grad(); loss.backward(); optimizer.step(); optimizer.step()",
    ),
    _epoch(
        "all of X each time",
        0.6,
        "Each step is trained on all of X: take the batch's examples, X[batch] and y[batch].",
        activation="; scores = model(X)",
        labels="y",
    ),
    _epoch(
        "squared error",
        1.0,
        "That is a squared error: the loss is cross-entropy.",
        labels="y[batch]) * 0 + F.mse_loss(scores, F.one_hot(y[batch], 3).double()",
    ),
    _epoch(
        "nll_loss",
        1.0,
        "F.nll_loss takes logarithms of probabilities; F.cross_entropy takes the scores.",
        labels="y[batch]) * 0 + F.nll_loss(scores, y[batch]",
    ),
    _epoch_otherwise(
        "scores and labels exchanged",
        0.0,
        "takes the scores",
        labels="y[batch]) if False else F.cross_entropy(y[batch], scores",
    ),
    _epoch_otherwise("argmax for scores", 0.0, "takes the scores", activation=".argmax(1)"),
    _epoch_otherwise(
        "backward not called",
        0.0,
        "with brackets",
        steps="optimizer.zero_grad(); loss.backward; optimizer.step()",
    ),
    _epoch(
        "over batch_size",
        1.7,
        "The sum is divided by batch_size: divide it by the number of examples.",
        result="total / batch_size",
    ),
    _epoch("the first labels again", 1.0, _LABELS, labels="y[: len(batch)]"),
    _epoch(
        "labels in an order of their own",
        1.0,
        _LABELS,
        starts="0, len(X), batch_size) if (own := torch.randperm(len(X), generator=generator))"
        ".numel() else range(0",
        labels="y[own[start : start + batch_size]]",
    ),
    _epoch_otherwise(
        "the first batch alone",
        1.6,
        "inside the loop",
        after="",
        loss="loss.item() * len(batch); return loss.item()",
    ),
    _epoch_otherwise("X shifted", 0.0, "neither scaled nor shifted", before="X -= X.mean()"),
    _epoch(
        "over whole batches",
        1.7,
        "The sum is divided by the number of whole batches times batch_size: the last, shorter batch"
        " counts, too.",
        result="total / (max(len(X) // batch_size, 1) * batch_size)",
    ),
    _epoch("X shuffled alone", 1.0, _LABELS, labels="y[start : start + batch_size]"),
    _epoch(
        "sum",
        1.0,
        "That is the gradient of the sum: F.cross_entropy takes the batch's mean by itself.",
        more=', reduction="sum"',
        loss="loss.item()",
    ),
    _epoch(
        "divided again",
        1.0,
        "The loss is divided by the batch's size once too often.",
        steps="optimizer.zero_grad(); (loss / len(batch)).backward(); optimizer.step()",
    ),
    _epoch("softmax before", 1.0, TWICE, activation=".softmax(1)"),
    _epoch_otherwise(
        "softmax before, in another way",
        1.0,
        "which has one inside",
        before="softmax = nn.Softmax(dim=1)",
        labels="y[batch]",
        activation="; scores = softmax(scores)",
    ),
    _epoch(
        "mean of means",
        1.7,
        "That is the mean of the batches' means. The last batch has fewer examples and must weigh"
        " less: add up loss.item() times the batch's size.",
        loss="loss.item()",
        result="total / count",
    ),
    _epoch(
        "not divided",
        1.7,
        "That is the sum over the examples: divide by their number.",
        result="total",
    ),
    _epoch(
        "means added up",
        1.7,
        "That is the sum of the batches' means.",
        loss="loss.item()",
        result="total",
    ),
    _epoch("last loss", 1.7, "That is the last batch's loss alone.", result="loss.item()"),
    _epoch(
        "means over N",
        1.7,
        "The means are added up and divided by the number of examples: multiply each by its batch's"
        " size first.",
        loss="loss.item()",
    ),
    _epoch(
        "times batch_size",
        1.7,
        "A batch's mean is taken times batch_size, but the last batch is shorter.",
        loss="loss.item() * batch_size",
    ),
    _epoch(
        "measured afterwards",
        1.7,
        "That is the loss of all examples after the last step. Asked for is the mean of the losses"
        " that the steps were made with: add them up on the way.",
        result="F.cross_entropy(model(X), y).item()",
    ),
    _epoch(
        "measured after each step",
        1.7,
        "Each batch's loss is measured again after its step, when it is lower: add up the loss that"
        " the step was made with.",
        loss="F.cross_entropy(model(X[batch]), y[batch]).item() * len(batch)",
    ),
    _epoch_otherwise(
        "batches shuffled",
        1.6,
        "Shuffle the examples, then cut",
        before="parts = torch.arange(len(X)).split(batch_size)",
        order="[parts[i] for i in torch.randperm(len(parts), generator=generator)]",
        starts="len(order)",
        batch="order[start]",
    ),
    _epoch_otherwise(
        "training on top only", 1.8, "Without model.train()", mode="model.training = True"
    ),
    _epoch_otherwise("evaluation mode", 1.8, "Without model.train()", mode=""),
    _epoch_otherwise(
        "last batch dropped",
        1.3,
        "never learnt from",
        starts="0, len(X) - batch_size + 1, batch_size",
    ),
    _epoch_otherwise("not shuffled", 1.6, "Shuffle", order="torch.arange(len(X))"),
    _epoch_otherwise(
        "global generator", 1.6, "Draw the order from the argument", order="torch.randperm(len(X))"
    ),
    _epoch_otherwise(
        "global seed",
        1.6,
        "The second epoch must go on",
        order="(torch.manual_seed(0), torch.randperm(len(X)))[1]",
    ),
    _epoch_otherwise(
        "with replacement",
        1.6,
        "others never",
        order="torch.randint(len(X), (len(X),), generator=generator)",
    ),
    _epoch_otherwise(
        "number of batches",
        1.6,
        "taken for the number of batches",
        before="batch_size = -(-len(X) // batch_size)",
    ),
    _epoch_otherwise(
        "one batch", 1.2, "All examples went through in one batch", before="batch_size = len(X)"
    ),
    _epoch_otherwise("graph kept", 1.7, "keeps the graph of every batch", loss="loss * len(batch)"),
    _epoch_otherwise(
        "graph kept, a number returned",
        1.7,
        "keeps the graph of every batch",
        loss="loss * len(batch)",
        result="(total / len(X)).item()",
    ),
    _epoch_otherwise(
        "a tensor without a graph", 1.7, ".item() makes", loss="loss.detach() * len(batch)"
    ),
    _epoch_otherwise(
        "data put in order",
        1.6,
        "X and y are the caller's",
        before="places = torch.randperm(len(X), generator=generator);"
        " X.copy_(X[places]); y.copy_(y[places])",
        order="torch.arange(len(X))",
    ),
    _epoch_otherwise("nothing returned", 1.7, "is a return missing", result="None"),
]

# Exercise 3

IN_EVALUATE = (
    (
        "size of tensor a (3) must match the size of tensor b (5)",
        "Three numbers, as many as classes, meet the labels of a batch of five: the best class of"
        " each example is argmax(dim=1), along its row.",
    ),
    (
        "'bool' object has no attribute",
        "`==` gave one truth value, not one for each example: is one side no tensor? max(dim=1)"
        " gives a pair, the values and their places; argmax(dim=1) gives the places.",
    ),
    ("Got: Bool", "A mean needs numbers, and these are True and False: .float() comes first."),
    *NO_SCORES,
)
TRAINING_MODE = (
    "The model was in training mode: dropout switches units off, and batch normalisation uses the"
    " batch's own mean, and learns from it. Call model.eval() first, brackets included."
)
GRADIENTS = (
    "Each batch then keeps its graph: memory and time for nothing. Measure inside `with"
    " torch.no_grad():`. model.eval() does not do that."
)
STILL_OFF = (
    "Nothing could train any more. `with torch.no_grad():` ends with its block;"
    " torch.set_grad_enabled(False) holds until someone sets it back."
)
ALL_AT_ONCE = "A large set in one piece does not fit into a GPU's memory."
MEASURE_ONLY = "Measure only: nothing else about it may change."
MODE_BEFORE = {  # by the mode that it was in before
    True: "What trains on afterwards would do so without dropout: note model.training first, and"
    " before return give it back to model.train(…), which tells the layers inside, too.",
    False: "model.train() at the end is too much: the model may have been in evaluation mode before."
    " model.train(mode) takes the mode that you noted.",
}

_evaluate, _evaluate_otherwise = variants(
    "evaluate",
    """
def evaluate(model, X, y, batch_size):
    mode = model.training
    {mode}
    loss, right, count = 0.0, 0.0, 0
    with {context}:
        for batch, labels in zip(X.split({size}), y.split({size})):
            {skip}
            scores = model(batch){activation}
            loss {add} {loss}
            right {add} {right}
            count += 1
    {after}
    return {result}
""",
    mode="model.eval()",
    context="torch.no_grad()",
    size="batch_size",
    skip="",
    activation="",
    add="+=",
    loss='F.cross_entropy(scores, labels, reduction="sum").item()',
    right="(scores.argmax(dim=1) == labels).sum().item()",
    after="model.train(mode)",
    result="loss / len(X), right / len(X)",
)
_MEANS = {
    "loss": "F.cross_entropy(scores, labels).item()",
    "right": "(scores.argmax(dim=1) == labels).float().mean().item()",
}
_MEAN_OF_MEANS = (
    "That is the mean of the batches' means: the last batch has fewer examples and must weigh less."
)
_SHORT = "if len(batch) < batch_size and count: continue"
_EVALUATE = [
    _evaluate("mean of means", 0.9, _MEAN_OF_MEANS, **_MEANS, result="loss / count, right / count"),
    _evaluate(
        "loss a mean of means",
        0.9,
        "The loss is the mean of the batches' means: the last batch has fewer examples and must"
        " weigh less.",
        loss=_MEANS["loss"],
        result="loss / count, right / len(X)",
    ),
    _evaluate(
        "accuracy a mean of means",
        0.9,
        "The accuracy is the mean of the batches' means: the last batch has fewer examples and must"
        " weigh less.",
        right=_MEANS["right"],
        result="loss / len(X), right / count",
    ),
    _evaluate(
        "means over N",
        0.9,
        "The loss adds up the batches' means and divides by the number of examples: multiply each"
        ' by its batch\'s size, or use reduction="sum".',
        loss=_MEANS["loss"],
    ),
    _evaluate(
        "softmax before",
        0.9,
        TWICE,
        activation=".softmax(1)",
    ),
    _evaluate(
        "sums",
        0.9,
        "Both are sums over the examples: divide them by their number.",
        result="loss, right",
    ),
    _evaluate(
        "sum",
        0.9,
        "The loss is the sum over the examples: divide by their number.",
        result="loss, right / len(X)",
    ),
    _evaluate(
        "count",
        0.9,
        "The accuracy is the number right: divide by the number of examples.",
        result="loss / len(X), right",
    ),
    _evaluate(
        "bits",
        0.9,
        "The loss is in bits. F.cross_entropy gives nats: leave it as it is.",
        result="loss / len(X) / math.log(2), right / len(X)",
    ),
    _evaluate(
        "per cent",
        0.9,
        "The accuracy is in per cent: a share from 0 to 1 is asked for.",
        result="loss / len(X), 100 * right / len(X)",
    ),
    _evaluate(
        "share wrong",
        0.9,
        "That is the share wrong: the accuracy is the share right.",
        result="loss / len(X), 1 - right / len(X)",
    ),
    _evaluate(
        "swapped",
        0.9,
        "The order is (loss, accuracy).",
        result="right / len(X), loss / len(X)",
    ),
    _evaluate(
        "means added up",
        0.9,
        "The means of the batches are added up, not averaged.",
        **_MEANS,
        result="loss, right",
    ),
    _evaluate(
        "last dropped",
        0.9,
        "The last, shorter batch is missing, but counted in the number of examples.",
        skip=_SHORT,
    ),
    _evaluate(
        "last batch alone",
        0.9,
        "That is the last batch alone.",
        add="=",
        **_MEANS,
        result="loss, right",
    ),
    _evaluate(
        "the least likely class",
        0.9,
        "The accuracy takes the lowest score: argmax finds the highest.",
        right="(scores.argmin(dim=1) == labels).sum().item()",
    ),
    _evaluate(
        "perplexity",
        0.9,
        "That is e to the power of the loss: the loss itself is asked for.",
        result="math.exp(loss / len(X)), right / len(X)",
    ),
    _evaluate(
        "more than half",
        0.9,
        "An image counts as right if its class has more than half of the probability: it is right if"
        " its class has the highest score.",
        right="(scores.softmax(1)[range(len(labels)), labels] > 0.5).sum().item()",
    ),
    _evaluate(
        "half of the data",
        0.9,
        "Only a part of the examples is measured.",
        skip="if count * batch_size >= len(X) // 2: break",
    ),
    _evaluate(
        "rounded",
        0.9,
        "The numbers are rounded: return them as they are.",
        result="round(loss / len(X), 3), round(right / len(X), 3)",
    ),
    _evaluate(
        "as if the last were whole",
        0.9,
        "The sums are divided by the number of batches times batch_size: the last, shorter batch has"
        " fewer examples.",
        result="loss / (count * batch_size), right / (count * batch_size)",
    ),
    _evaluate(
        "the first batch over N",
        0.9,
        "The first batch alone is counted: does return stand inside the loop, or a slice end at"
        " batch_size?",
        skip="if count: break",
    ),
    _evaluate(
        "the first batch alone",
        0.9,
        "The first batch alone is counted: does return stand inside the loop, or a slice end at"
        " batch_size?",
        skip="if count: break",
        result="loss / min(len(X), batch_size), right / min(len(X), batch_size)",
    ),
    _evaluate(
        "argmax over all scores",
        0.9,
        "argmax() without dim is one place among all scores of the batch: argmax(dim=1) is one for"
        " each example.",
        right="(scores.argmax() == labels).sum().item()",
    ),
    _evaluate(
        "right by batches",
        0.9,
        "The number right is divided by the number of batches: divide it by the number of examples.",
        result="loss / len(X), right / count",
    ),
    _evaluate(
        "over batch_size",
        0.9,
        "The sums are divided by batch_size: divide them by the number of examples.",
        result="loss / batch_size, right / batch_size",
    ),
    *(
        _evaluate(
            f"the last batch's {one}",
            0.9,
            "Of one of the two only the last batch is counted: add up with +=, not =.",
            **{one: f"{value} - {one}"},
        )
        for one, value in (
            ("loss", 'F.cross_entropy(scores, labels, reduction="sum").item()'),
            ("right", "(scores.argmax(dim=1) == labels).sum().item()"),
        )
    ),
    _evaluate(
        "last batch over N",
        0.9,
        "Only the last batch is counted: add up with +=, not =.",
        add="=",
    ),
    _evaluate_otherwise("eval not called", 1.2, "brackets included", mode="model.eval"),
    _evaluate_otherwise(
        "back too late",
        1.3,
        "before return",
        after="return loss / len(X), right / len(X); model.train(mode)",
    ),
    _evaluate_otherwise(
        "max for argmax",
        0.0,
        "gives a pair",
        right="(scores.max(1) == labels).sum().item()",
    ),
    _evaluate_otherwise(
        "mean of truth values",
        0.0,
        "True and False",
        right="(scores.argmax(1) == labels).mean().item()",
    ),
    _evaluate_otherwise(
        "argmax over the examples",
        0.0,
        "argmax(dim=1)",
        right="(scores.argmax(0) == labels).sum().item()",
    ),
    _evaluate_otherwise(
        "tensors",
        0.9,
        ".item() makes a plain number",
        loss='F.cross_entropy(scores, labels, reduction="sum")',
        right="(scores.argmax(dim=1) == labels).sum()",
    ),
    _evaluate_otherwise("eval forgotten", 1.2, "The model was in training mode", mode="pass"),
    _evaluate_otherwise(
        "mode set on top only", 1.3, "the layers inside", after="model.training = mode"
    ),
    _evaluate_otherwise(
        "eval on top only", 1.2, "The model was in training mode", mode="model.training = False"
    ),
    _evaluate_otherwise(
        "gradient kept", 1.3, "Each batch then keeps its graph", context="torch.enable_grad()"
    ),
    _evaluate_otherwise("left in evaluation", 1.3, "would do so without dropout", after="pass"),
    _evaluate_otherwise(
        "always to training", 1.3, "may have been in evaluation", after="model.train()"
    ),
    _evaluate_otherwise("all at once", 1.3, "does not fit into a GPU", size="len(X)"),
    _evaluate_otherwise(
        "off for good",
        1.3,
        "holds until someone sets it back",
        mode="model.eval(); torch.set_grad_enabled(False)",
        context="torch.autograd.profiler.record_function('')",
    ),
    _evaluate_otherwise(
        "weights changed",
        1.3,
        "nothing else about it",
        after="model.train(mode); [p.data.mul_(1.01) for p in model.parameters()]",
    ),
    Mistake(
        "evaluate",
        "the course's",
        0.0,
        "this exercise does without",
        "def evaluate(*arguments): return tuple(training.evaluate(*arguments))",
    ),
]

# Exercise 4

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
        curve_a,
        _STILL_FALLING,
        underfitting="A network that is too small stops falling. This one still falls, as fast as"
        " ever, when the run ends: it has not had its time.",
        rate_too_high="A rate that is too high makes the loss jump. This one creeps.",
    ),
    "curve_b": _curve(
        curve_b,
        _TURNS_UP,
        healthy="The training loss alone looks healthy. Look where the validation loss goes.",
        rate_too_high="The training loss falls to 0 without a jump: the steps are not too large.",
    ),
    "curve_c": _curve(
        curve_c,
        _BELOW,
        healthy=" ".join(
            (
                "Nearly, but training images should never be harder than images that were not"
                " trained on.",
                _BELOW,
            )
        ),
        underfitting=" ".join(("Its validation loss is among the lowest of all six.", _BELOW)),
    ),
    "curve_d": _curve(
        curve_d,
        _JUMPS,
        overfitting="Overfitting needs a training loss that falls. Here it jumps, too.",
        underfitting=" ".join(("A network that is too small levels off smoothly.", _JUMPS)),
    ),
    "curve_e": _curve(
        curve_e,
        _DOWN_SMOOTHLY,
        overfitting="A small gap is usual: nobody is as good at new questions as at old ones. While"
        " the validation loss does not rise, nothing is lost.",
        dropout="With dropout the training curve is above. Here it ends below.",
    ),
    "curve_f": _curve(
        curve_f,
        _LEVEL_HIGH,
        rate_too_low="With a low rate it would still be falling at the end. This one has levelled"
        " off: more epochs will not help.",
        overfitting="The two curves are together: there is no gap between old images and new.",
    ),
}


def wrong_epoch(got):
    if got not in range(1, 21):
        return "The number of an epoch is a whole number from 1 to 20."
    if got >= 18:
        return (
            "At the end the training loss is lowest, and the validation loss far from it. Which of"
            " the two tells how the network does on new images?"
        )
    if got > 7:
        return "The validation loss has risen by then. Where is it lowest?"
    if got > 5:
        return "Close. The picture is too coarse for this: read the row `B valid` of the notes."
    return "The validation loss still falls after that epoch. Where is it lowest?"


_CURVES = [
    Mistake("read_loss_curves", name, score, says, code)
    for name, score, says, code in (
        ("a too small", 1.3, "has not had its time", 'curve_a = "underfitting"'),
        ("a too high", 1.3, "This one creeps", 'curve_a = "rate too high"'),
        ("b healthy", 1.3, "Look where the validation loss goes", 'curve_b = "healthy"'),
        ("c healthy", 1.3, "never be harder", 'curve_c = "healthy"'),
        ("d overfitting", 1.3, "Here it jumps, too", 'curve_d = "overfitting"'),
        ("e overfitting", 1.3, "A small gap is usual", 'curve_e = "overfitting"'),
        ("f too low", 1.3, "more epochs will not help", 'curve_f = "rate too low"'),
        (
            "two not filled in",
            0.9,
            "Here it jumps",
            'curve_a = curve_c = None; curve_d = "overfitting"',
        ),
        ("last epoch", 1.2, "Which of the two tells", "keep_epoch = 20"),
        ("late", 1.2, "has risen by then", "keep_epoch = 10"),
        ("two late", 1.2, "read the row", "keep_epoch = 7"),
        ("early", 1.2, "still falls after that epoch", "keep_epoch = 2"),
        ("no whole epoch", 1.2, "a whole number", "keep_epoch = 4.5"),
    )
]

# Exercise 5

# Losses and patience; each wrong rule stops elsewhere in one of them.
LOSSES = [
    ([290.0, 230.0, 160.0, 165.0, 164.0, 166.0, 163.0, 170.0, 180.0, 190.0], 3),
    ([0.9, 0.95, 0.8, 0.85, 0.7, 0.75, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85], 3),
    ([0.9, 0.8, 0.85, 0.7, 0.75, 0.6, 0.5], 2),
    ([0.9, 0.5, 0.5, 0.6, 0.7, 0.8, 0.9], 4),
    ([0.9, 0.8, 0.7999, 0.8, 0.7998, 0.8], 2),
    ([0.6, 0.5, 0.4, 0.41, 0.3], 1),
]

_stopping, _stopping_otherwise = variants(
    "early_stopping",
    """
class EarlyStopping:
    {shared}
    def __init__(self, patience):
        self.patience, self.waited, self.lowest, self.best = patience, 0, {lowest}, {{}}

    def step(self, loss, model):
        self.waited += 1
        if loss {better} self.lowest:
            {note}
            {keep}
        {always}
        return {stop}

    def restore(self, model):
        {restore}
""",
    shared="pass",
    lowest="float('inf')",
    better="<",
    note="self.lowest, self.waited = loss, 0",
    keep="self.best = copy.deepcopy(model.state_dict())",
    always="",
    stop="self.waited >= self.patience",
    restore="model.load_state_dict(self.best)",
)
_SPOILT = (
    "The copy has changed along with the model, or restore does nothing. state_dict() holds the"
    " model's own tensors, and so does a shallow copy. copy.deepcopy makes new ones."
)
_LAST = "These are the weights of the last epoch: make the copy only when the loss is the lowest so far."
IN_STEP = "step itself has changed the model: to put the copy back, that is for restore."
BUFFERS = (
    "The running means of batch normalisation were not put back, or they changed along with the"
    " model: they are buffers, not parameters. A deep copy of state_dict() has both."
)
ON_EACH_WAY = (
    "`step` returns True or False after every epoch: is a return missing on one of its ways?"
)
SHARED = (
    "The same losses were judged otherwise the second time: what one EarlyStopping notes must not"
    " show in another. Give each its own in __init__: self.lowest = …, not in the class."
)
_PARAMETERS = "self.best = [p.detach().clone() for p in model.parameters()]"
_PUT_BACK = "[p.data.copy_(best) for p, best in zip(model.parameters(), self.best)]"
_STOPPING = [
    _stopping("no copy", 0.75, _SPOILT, keep="self.best = model.state_dict()"),
    _stopping("shallow copy", 0.75, _SPOILT, keep="self.best = dict(model.state_dict())"),
    _stopping(
        "the model itself",
        0.75,
        _SPOILT,
        keep="self.model = model",
        restore="model.load_state_dict(self.model.state_dict())",
    ),
    _stopping("nothing put back", 0.75, _SPOILT, restore="return self.best"),
    _stopping_otherwise(
        "the copy given away",
        0.75,
        "changed along with the model",
        restore="[setattr(p, 'data', self.best[n]) for n, p in model.named_parameters()];"
        " [b.data.set_(self.best[n]) for n, b in model.named_buffers()]",
    ),
    _stopping_otherwise(
        "parameters only", 1.05, "buffers, not parameters", keep=_PARAMETERS, restore=_PUT_BACK
    ),
    _stopping(
        "the last weights",
        0.75,
        _LAST,
        always="self.best = copy.deepcopy(model.state_dict())",
    ),
    _stopping(
        "the first weights",
        0.75,
        "These are the weights of the first epoch: make the copy anew at each new lowest loss.",
        keep="self.best = self.best or copy.deepcopy(model.state_dict())",
    ),
    _stopping(
        "one epoch late",
        0.75,
        "It stops one epoch late: stop when `patience` epochs have brought nothing new, not when it"
        " is more.",
        stop="self.waited > self.patience",
    ),
    _stopping(
        "one epoch early",
        0.75,
        "It stops one epoch early: the epoch with the lowest loss itself is not one of those that"
        " brought nothing.",
        stop="self.waited >= max(self.patience - 1, 1)",
    ),
    _stopping(
        "the best one counted",
        0.75,
        "The epoch with the lowest loss is itself counted: it stops one epoch early.",
        note="self.lowest, self.waited = loss, 1",
    ),
    _stopping(
        "impatient",
        0.75,
        "It stops at the first epoch that is no better: patience is not used.",
        stop="self.waited >= 1",
    ),
    _stopping(
        "with a margin",
        0.25,
        "A loss that is lower by a little is a new lowest, too: compare without a margin, and"
        " without rounding.",
        better="< -0.001 +",
    ),
    _stopping(
        "count not begun again",
        0.75,
        "Every epoch is counted, as if none were a new lowest. Does the lowest loss begin with math.inf,"
        " is a loss compared before it is noted, and the count at 0 again after each new lowest?",
        note="self.lowest = loss",
    ),
    _stopping(
        "stop and go on exchanged",
        0.75,
        "It says stop at once: True is for stop, when the count has reached patience.",
        stop="self.waited < self.patience",
    ),
    Mistake(
        "early_stopping",
        "noted before it is compared",
        0.25,
        "compared before it is noted",
        """
class EarlyStopping:
    def __init__(self, patience):
        self.patience, self.waited, self.lowest, self.best = patience, 0, math.inf, None

    def step(self, loss, model):
        self.lowest = min(self.lowest, loss)
        if loss < self.lowest:
            self.best, self.waited = copy.deepcopy(model.state_dict()), 0
        else:
            self.waited += 1
        return self.waited >= self.patience

    def restore(self, model):
        model.load_state_dict(self.best)
""",
    ),
    _stopping(
        "lowest not noted",
        0.25,
        "Every epoch counts as a new lowest: is the lowest loss noted when there is a new one?",
        note="self.waited = 0",
    ),
    _stopping_otherwise(
        "put back in step",
        0.95,
        "that is for restore",
        stop="self.waited >= self.patience and (self.restore(model) or True)",
    ),
    _stopping(
        "counted in all",
        0.75,
        "The epochs without a new lowest loss are counted over the whole run. They have to come in"
        " a row: count from 0 after each new lowest.",
        note="self.lowest, self.waited = loss, self.waited - 1",
    ),
    _stopping(
        "lowest from 1",
        0.25,
        "A loss above 1 never counts as the lowest: does the lowest loss begin with math.inf?",
        lowest="1.0",
    ),
    _stopping(
        "lowest from 0",
        0.25,
        "Every epoch is counted, as if none were a new lowest. Does the lowest loss begin with math.inf,"
        " is a loss compared before it is noted, and the count at 0 again after each new lowest?",
        lowest="0.0",
    ),
    _stopping(
        "the loss before",
        0.25,
        "The loss is compared with that of the epoch before. Compare it with the lowest so far: a"
        " curve that went up and comes down a little is no better than before.",
        always="self.lowest = loss",
    ),
    _stopping(
        "ties",
        0.25,
        "A loss that only equals the lowest is no new lowest: its epoch counts as one without.",
        better="<=",
    ),
    _stopping(
        "the largest",
        0.25,
        "It waits for the largest loss: with a loss, lower is better.",
        lowest="-math.inf",
        better=">",
    ),
    _stopping_otherwise(
        "None instead of False",
        0.75,
        "one of its ways",
        stop="self.waited >= self.patience or None",
    ),
    Mistake(
        "early_stopping",
        "kept in the class",
        0.25,
        "must not show in another",
        """
class EarlyStopping:
    kept = {"lowest": math.inf, "waited": 0, "best": None}

    def __init__(self, patience):
        self.patience = patience

    def step(self, loss, model):
        self.kept["waited"] += 1
        if loss < self.kept["lowest"]:
            self.kept.update(lowest=loss, waited=0, best=copy.deepcopy(model.state_dict()))
        return self.kept["waited"] >= self.patience

    def restore(self, model):
        model.load_state_dict(self.kept["best"])
""",
    ),
    Known(
        "early_stopping",
        "waits for 6",
        1.0,
        "Epoch 6 would have been better, but three epochs without a new lowest come first.",
        "stops_after = 6",
    ),
    Known(
        "early_stopping",
        "one early",
        1.0,
        "After that epoch two epochs in a row have brought nothing: one more.",
        "stops_after = 4",
    ),
    Known(
        "early_stopping", "at 7", 1.0, "The three epochs are over well before.", "stops_after = 7"
    ),
    Known(
        "early_stopping",
        "from the start",
        1.0,
        "Three epochs have to go by after the lowest one.",
        "stops_after = 3",
    ),
]

# Exercise 6

_schedule, _ = variants(
    "learning_rate_schedule",
    """
def learning_rate_schedule(step, steps, warmup):
    {first}
    if step {early} warmup:
        return {rise}
    part = {part}
    return {fall}
""",
    first="",
    early="<",
    rise="(step + 1) / warmup",
    part="(step - warmup) / (steps - warmup)",
    fall="0.5 * (1 + math.cos(math.pi * part))",
)


def _by_hand(name, points, says, code):
    return Known("learning_rate_schedule", name, points, says, code)


_BRACKETS = "Brackets are missing: (s − w)/(S − w) is one fraction, and π multiplies all of it."
_SCHEDULE = [
    *(
        _schedule(f"no brackets: {fall}", points, _BRACKETS, fall=f"0.5 * (1 + math.cos({fall}))")
        for points, fall in (
            (0.4, "math.pi * step - warmup / steps - warmup"),
            (0.4, "math.pi * step - warmup / (steps - warmup)"),
            (0.5, "math.pi * (step - warmup) / steps - warmup"),
        )
    ),
    _schedule(
        "over all steps",
        0.55,
        "The rise is divided by all steps: it takes w of them, (s + 1)/w.",
        rise="(step + 1) / steps",
    ),
    _schedule(
        "from 0 to 1",
        0.55,
        "The rise begins at 0, and that step is wasted: it is (s + 1)/w, not s/(w − 1).",
        rise="step / (warmup - 1)",
    ),
    _schedule(
        "half of 1 only",
        0.4,
        "Brackets are missing: ½ multiplies the sum, 1 + cos, and not the 1 alone.",
        fall="0.5 * 1 + math.cos(math.pi * part)",
    ),
    _schedule(
        "brackets in the rise",
        0.55,
        "Brackets are missing: s + 1 is divided as a whole, (s + 1)/w.",
        rise="step + 1 / warmup",
    ),
    _schedule(
        "times cos π",
        0.4,
        "The fraction stands inside the cosine: cos(π · fraction), not cos(π) times the fraction.",
        fall="0.5 * (1 + math.cos(math.pi) * part)",
    ),
    _schedule(
        "whole division",
        0.4,
        "The rate stays at its peak: is the fraction cut to a whole number, by //?",
        part="(step - warmup) // (steps - warmup)",
    ),
    _schedule(
        "sine",
        0.4,
        "That is a sine: the fall is a cosine, which begins at 1.",
        fall="0.5 * (1 + math.sin(math.pi * part))",
    ),
    _schedule(
        "first step wasted",
        0.55,
        "The first step has the rate 0 and moves nothing: it is (s + 1)/w, not s/w.",
        rise="step / warmup",
    ),
    _schedule(
        "divided by w + 1",
        0.55,
        "The rise ends below 1: divide by w, not w + 1.",
        rise="(step + 1) / (warmup + 1)",
    ),
    _schedule(
        "whole-number division",
        0.55,
        "A whole-number division: `/`, not `//`.",
        rise="(step + 1) // warmup",
    ),
    _schedule(
        "full rate at once",
        0.55,
        "Every step of the warm-up has the full rate.",
        rise="1.0",
    ),
    _schedule(
        "up to w",
        0.5,
        "The step s = w is part of the fall already: s < w, not s ≤ w.",
        early="<=",
        first="if not warmup: return 0.5 * (1 + math.cos(math.pi * step / steps))",
    ),
    _schedule(
        "begun before the warm-up is over",
        0.55,
        "That is the cosine already: is a return missing in the rise, or does it end too soon?",
        early="< 0 *",
    ),
    _schedule(
        "off by one",
        0.4,
        "The factor is 0 in the last step already: with S − w in the denominator the fall would end"
        " one step after the last.",
        part="(step - warmup) / max(steps - warmup - 1, 1)",
    ),
    _schedule(
        "from step 0",
        0.5,
        "The fall is counted from step 0, not from the end of the warm-up: s − w.",
        part="step / steps",
    ),
    _schedule(
        "no warm-up",
        0.3,
        "There is no warm-up: these are the cosine's values.",
        early="< 0 *",
        part="step / steps",
    ),
    _schedule(
        "S below",
        0.5,
        "The numerator is s − w, but the denominator is S: the fall ends above 0.",
        part="(step - warmup) / steps",
    ),
    _schedule(
        "s above",
        0.5,
        "The numerator is s, the denominator S − w: the fall does not begin at 1.",
        part="step / (steps - warmup)",
    ),
    _schedule(
        "one step ahead",
        0.4,
        "It is one step ahead: at s = w the fraction is 0.",
        part="(step - warmup + 1) / (steps - warmup)",
    ),
    _schedule(
        "one step late",
        0.4,
        "It begins one step late: at s = w the fraction is 0.",
        part="(step - warmup - 1) / (steps - warmup)",
    ),
    _schedule(
        "to −1",
        0.4,
        "The cosine goes from 1 to −1: half of (1 + cosine) goes from 1 to 0.",
        fall="math.cos(math.pi * part)",
    ),
    _schedule(
        "without 1 +",
        0.4,
        "The 1 + before the cosine is missing.",
        fall="0.5 * math.cos(math.pi * part)",
    ),
    _schedule(
        "to 2",
        0.4,
        "The ½ is missing: the factor begins at 2.",
        fall="1 + math.cos(math.pi * part)",
    ),
    _schedule(
        "whole cosine",
        0.4,
        "That is a whole cosine, down and up again: it takes half of one, so π and not 2π.",
        fall="0.5 * (1 + math.cos(2 * math.pi * part))",
    ),
    _schedule("without π", 0.4, "π is missing.", fall="0.5 * (1 + math.cos(part))"),
    _schedule(
        "degrees",
        0.4,
        "math.cos takes radians, not degrees.",
        fall="0.5 * (1 + math.cos(180 * part))",
    ),
    _schedule(
        "upwards",
        0.4,
        "It rises from 0 to 1: the sign before the cosine is wrong, or the fraction runs from 1 to 0.",
        fall="0.5 * (1 - math.cos(math.pi * part))",
    ),
    _schedule(
        "rounded",
        0.4,
        "It is rounded. The example rounds for reading only.",
        fall="round(0.5 * (1 + math.cos(math.pi * part)), 3)",
    ),
    _schedule(
        "a quarter",
        0.4,
        "That is a quarter of a cosine: half of one is ½(1 + cos), and goes as far as π.",
        fall="math.cos(math.pi * part / 2)",
    ),
    _schedule("straight", 0.4, "That is a straight line, not a cosine.", fall="1 - part"),
    _schedule(
        "stays up",
        0.4,
        "The rate stays at its peak: is the fraction cut to a whole number, by //?",
        fall="1.0",
    ),
    _schedule(
        "goes on rising",
        0.5,
        "The rise goes on after the warm-up.",
        fall="(step + 1) / warmup if warmup else 0.5 * (1 + math.cos(math.pi * part))",
    ),
    _schedule(
        "one step of warm-up at least",
        0.65,
        "There is a first step of warm-up here: without it the cosine begins at s = 0.",
        first="warmup = max(warmup, 1) if steps > 1 else 0",
    ),
    _by_hand(
        "from 0",
        0.65,
        "That step would be wasted: the first factor is (0 + 1)/w.",
        "first_rate = 0",
    ),
    _by_hand("first factor", 0.65, "That is the factor: times the peak rate.", "first_rate = 0.1"),
    _by_hand(
        "first at the peak",
        0.65,
        "That is the peak, which the tenth step reaches.",
        "first_rate = 0.4",
    ),
    _by_hand(
        "over 100 steps",
        0.65,
        "The rise takes 10 steps, not all 100.",
        "first_rate = 0.004",
    ),
    _by_hand("half the way", 0.65, "That is the factor: times the peak rate.", "rate_55 = 0.5"),
    _by_hand("at the peak", 0.65, "That is the peak: the fall has begun.", "rate_55 = 0.4"),
    _by_hand(
        "linear",
        0.65,
        "That is a straight line from step 0. In the formula it is a cosine, from the end of the"
        " warm-up.",
        "rate_55 = 0.18",
    ),
    _by_hand(
        "from step 0 by hand",
        0.65,
        "Half-way is counted from the end of the warm-up.",
        "rate_55 = 0.4 * 0.5 * (1 + math.cos(math.pi * 0.55))",
    ),
]

# Exercise 7

ANY_SETTINGS = (
    "A grid has any number of settings, of any names: itertools.product(*grid.values()) takes them"
    " all."
)
OTHER_ROWS = "Rows of other sweeps may lack a setting: row.get(name) asks without failing."
INTERRUPT = "Let KeyboardInterrupt through: whoever pressed stop means it."
NO_LINES = "The table is no longer one JSON object a line: training.append_row adds one."
IN_SWEEP = (
    *((piece, ANY_SETTINGS) for piece in ("to unpack", "not enough values", "KeyError")),
    ("positional argument", "run takes each setting by its name: run(**settings)."),
    ("keywords must be strings", "The names come first: zip(grid, values)."),
    ("unhashable type: 'dict'", "{a, b} is a set: {**a, **b} joins two dictionaries."),
    (
        "unhashable type: 'list'",
        "The names alone are grid's keys: zip(grid, values), not .items().",
    ),
)
ONCE_EACH = (
    "Each value is used once, as zip pairs them up, or where a row counts that agrees with a run in"
    " one setting. A grid has all combinations (itertools.product), and a row belongs to a run if it"
    " agrees with it in every setting."
)
EVERY_SETTING = (
    "A missing run is taken for one that the table has: a row belongs to a run if it agrees with it"
    " in every setting."
)
BY_PLACE = (
    "Rows are not told by their place in the table or by their number: a row belongs to a run if it"
    " agrees with it in every setting."
)
SETTINGS_ONLY = (
    "Skip a run whose settings a row of the table has: compare the settings only, since a row has"
    " results, too."
)


def scored(calls, drawn, weight=0.0):
    """The rows of runs that each found the rows of those before it in the table."""
    rows = []
    for settings, score in zip(calls, drawn, strict=False):
        rows.append({**settings, "score": score + weight * sum(row["score"] for row in rows)})
    return rows


def wrong_runs(calls, missing, runs):
    if len(calls) == len(runs):
        return SETTINGS_ONLY
    if len(calls) < len(missing) and all(one in missing for one in calls):
        return EVERY_SETTING
    return BY_PLACE if calls and calls == runs[-len(calls) :] else ""


def wrong_calls(calls, wanted):
    if any(one.keys() != wanted[0].keys() for one in calls):
        return ANY_SETTINGS
    if list(calls) == wanted[:1]:
        return "Only the first run is made: does return stand inside the loop?"
    if any(one not in wanted for one in calls):
        return "Some runs have a value that the grid does not give to that setting."
    if len(calls) > len(wanted):
        return "Some runs are made twice."
    if calls and len(calls) < len(wanted) and all(one in wanted for one in calls):
        return "Some combinations are missing."
    return ""


def wrong_table(rows):
    """rows: those of the table after three runs, when the fourth was interrupted."""
    if len(rows) < 3:
        return "An interrupt now would lose them: append each row as soon as its run has ended."
    return "A run is one row, in the table once, when it has ended." if len(rows) > 3 else ""


_sweep, _sweep_otherwise = variants(
    "sweep",
    """
def sweep(run, grid, table):
    old, rows = training.read_table(table), []
    {first}
    for values in {queue}:
        settings = dict(zip(grid, values))
        row = {find}
        if row is None:
            {run}
        {each}
    {last}
    return {result}
""",
    first="",
    queue="itertools.product(*grid.values())",
    find="next((row for row in old if settings.items() <= row.items()), None)",
    run="row = settings | run(**settings); training.append_row(table, row)",
    each="rows.append(row)",
    last="",
    result="rows",
)
_SWEEP = [
    _sweep(
        "zip",
        0.0,
        ONCE_EACH,
        queue="zip(*grid.values())",
    ),
    _sweep(
        "other order",
        1.1,
        "The first setting changes fastest here: it is the last one that should.",
        queue="(one[::-1] for one in itertools.product(*list(grid.values())[::-1]))",
        result="[next(r for r in rows if r.items() >= dict(zip(grid, v)).items())"
        " for v in itertools.product(*grid.values())]",
    ),
    _sweep_otherwise(
        "table at the end",
        1.1,
        "An interrupt now would lose them",
        run="row = settings | run(**settings)",
        last="[training.append_row(table, row) for row in rows if row not in old]",
    ),
    _sweep_otherwise(
        "a set of dictionaries", 0.0, "joins two", run="row = {settings, run(**settings)}"
    ),
    _sweep_otherwise(
        "pairs for names",
        0.0,
        "keys",
        first="",
        queue="zip(*grid.values())",
        find="dict(zip(grid.items(), values))",
    ),
    _sweep(
        "the table's old rows",
        1.3,
        "These are the rows that the table had at first: those of all runs are asked for.",
        result="old",
    ),
    _sweep_otherwise("returned in the loop", 0.0, "inside the loop", each="return [row]"),
    _sweep_otherwise(
        "names of the notebook's grid",
        0.0,
        "any number of settings",
        queue='itertools.product(grid["rate"], grid["batch_size"])',
    ),
    _sweep_otherwise(
        "two settings",
        1.1,
        "any number of settings",
        first="first, second = grid.values()",
        queue="itertools.product(first, second)",
    ),
    _sweep_otherwise(
        "one setting compared",
        0.8,
        "agrees with it in every setting",
        find="next((row for row in old if settings.items() & row.items()), None)",
    ),
    _sweep_otherwise(
        "rows that lack a setting",
        1.3,
        "row.get(name) asks without failing",
        find="next((row for row in old if all(row[n] == v for n, v in settings.items())), None)",
    ),
    _sweep_otherwise(
        "table written anew",
        1.3,
        "Rows that the table held are gone",
        run="row = settings | run(**settings); Path(table).unlink(missing_ok=True)",
        each="rows.append(row); Path(table).unlink(missing_ok=True);"
        " [training.append_row(table, row) for row in rows]",
    ),
    _sweep_otherwise("nothing skipped", 0.8, "Skip a run whose settings", find="None"),
    _sweep_otherwise(
        "whole row compared",
        0.8,
        "since a row has results, too",
        find="settings if settings in old else None",
    ),
    _sweep_otherwise(
        "by number",
        1.1,
        "not told by their place",
        find="old[len(rows)] if len(rows) < len(old) else None",
    ),
    _sweep_otherwise(
        "noted before it ran",
        0.8,
        "when it has ended",
        run="training.append_row(table, settings); row = settings | run(**settings)",
        last="[training.append_row(table, row) for row in rows]",
    ),
    _sweep_otherwise(
        "interrupt swallowed",
        1.1,
        "Let KeyboardInterrupt through",
        run="""
            try: row = settings | run(**settings)
            except KeyboardInterrupt: break
            training.append_row(table, row)""",
    ),
    _sweep_otherwise(
        "written twice",
        0.8,
        "in the table once",
        each="rows.append(row); [training.append_row(table, row) for _ in range(2)]",
        run="row = settings | run(**settings)",
    ),
    _sweep(
        "new rows only",
        1.3,
        "Only the new rows are returned: those of the table belong to the sweep, too.",
        each="rows += [row] if row not in old else []",
    ),
    _sweep(
        "results only",
        1.3,
        "Only the results are returned: a row has the settings, too.",
        result='[{"score": row["score"]} for row in rows]',
    ),
    _sweep(
        "the table's order",
        1.3,
        "The rows come in the table's order: the grid's order is asked for.",
        result="training.read_table(table)",
    ),
    _sweep_otherwise(
        "values of all settings",
        0.4,
        "does not give to that setting",
        queue="itertools.combinations([v for one in grid.values() for v in one], len(grid))",
    ),
    _sweep(
        "any setting",
        0.0,
        ONCE_EACH,
        find="next((row for row in training.read_table(table)"
        " if any(row.get(n) == v for n, v in settings.items())), None)",
    ),
    _sweep_otherwise(
        "settings as one", 0.0, "run(**settings)", run="row = settings | run(settings)"
    ),
    _sweep_otherwise(
        "settings by place", 0.0, "run(**settings)", run="row = settings | run(*values)"
    ),
    _sweep_otherwise("nothing returned", 1.3, "is a return missing", result="None"),
    Mistake(
        "sweep",
        "the course's",
        0.0,
        "this exercise does without",
        "def sweep(run, grid, table): return training.sweep(run, grid, table)",
    ),
    Mistake(
        "sweep",
        "the course's, chosen by a condition",
        0.0,
        "this exercise does without",
        "def sweep(run, grid, table):\n    x = training if grid else None\n"
        "    return x.sweep(run, grid, table)",
    ),
]

MISTAKES = Table(
    sys.modules[__name__],
    [*_SPLIT, *_EPOCH, *_EVALUATE, *_CURVES, *_STOPPING, *_SCHEDULE, *_SWEEP],
)


def named(exercise):
    """The diagnoses of the exercise's mistakes that show in a value."""
    return {row.says for row in MISTAKES if type(row) is Known and row.exercise == exercise}
