"""Checks of lab 04: splitting, training, measuring, stopping, schedules and sweeps.

A probe is a plain function here: the judge runs it, too, on the right answers and the known wrong
ones, and so knows what a learner's own must report.
"""

import json
from collections import Counter
from contextlib import contextmanager
from functools import cache
from itertools import product
from types import SimpleNamespace

import numpy as np
import torch

from grading.answer.exercise import exercise, part
from grading.answer.fault import Fault
from grading.answer.student import probe
from grading.checks import expect
from grading.checks.answers import training as answers

MISTAKES = answers.MISTAKES


@contextmanager
def computed(exercise, message, diagnosis="", but=""):
    """A block that compares values; a value that a named mistake leads to passes, too.

    What a process says of its own way counts beside values that were computed, right or wrong; a
    report that all went well is no evidence. but: the diagnosis of a mistake that computes nothing.
    """
    try:
        yield
    except Fault as fault:
        if fault.diagnosis == but or fault.diagnosis not in answers.named(exercise):
            raise Fault("value", message, diagnosis) from None


# split


@probe
def split_thrice(learner, y, share, seed):
    """Splits with one seed, again with it, and with the next; has a global generator moved?"""
    import numpy as np
    import torch

    def states():
        return torch.get_rng_state().tolist(), str(np.random.get_state(legacy=False))

    before, state, theirs = states(), torch.get_rng_state(), np.random.get_state()
    splits = [learner.split(y, share, one) for one in (seed, seed, seed + 1)]
    moved = states() != before
    torch.set_rng_state(state)
    np.random.set_state(theirs)
    return [list(one) if isinstance(one, tuple) else one for one in splits], moved, y


@exercise("split", points=1.5, forbids={"split": ["sklearn"]})
def split(student, rng):
    # Two classes of one size, and one, below 0, with a single example.
    counts = np.array([1, 40, 40, rng.integers(9, 30)])
    classes = [-rng.integers(1, 10), *rng.choice(np.arange(10, 40), 3, replace=False)]
    y = rng.permutation(np.repeat(rng.permutation(classes), counts))
    share, seed = float(rng.choice([0.3, 0.35, 0.4])), int(rng.integers(2**20))
    counts = np.unique(y, return_counts=True)[1]
    given = f"For {len(y)} labels, {', '.join(map(str, counts))} of the classes, share = {share}."

    def splits(y=y, share=share, given=given):
        reply = split_thrice(student, torch.tensor(y), share, seed)
        three, moved, after = expect.items(reply, 3, what="the report")
        expect.form(after, torch.tensor(y))
        why = "y is the caller's: copy it before you put it in order."
        expect.that(np.array_equal(after, y), "It changes y.", given=given, diagnosis=why)
        three = expect.items(three, 3, what="the report")
        return [indices(one, y, given) for one in three], moved

    with part("each example is in exactly one of the two", points=0.5):
        partitioned(*splits()[0][0], y, given)
    with part("every class gives its share", points=0.35):
        shared(splits()[0], y, share, given)
        few = (
            np.repeat([3, 5], [2, 12]),
            0.2,
            "For 14 labels, 2 and 12 of the classes, share = 0.2.",
        )
        shared(splits(*few)[0], *few)
    with part("random by its seed, and by nothing else", points=0.35, alone=False):
        three, moved = splits()
        why = (
            "torch.manual_seed, np.random.seed, and a torch.randperm without generator= change what"
            " all later code draws. Make a generator of your own:"
            " torch.Generator().manual_seed(seed)."
        )
        message = "torch's or NumPy's global generator is another one after the call."
        expect.that(moved is False, message, diagnosis=why)
        seeded(*(held for _, held in three), y, given)
    with part("leak", points=0.3):
        expect.choice(student, "leak", answers.leak, answers.NO_LEAK)


def shared(splits, y, share, given):
    for train, held in splits:
        for label, count in zip(*np.unique(y, return_counts=True), strict=True):
            got = int((y[held] == label).sum())
            expect.that(
                abs(got - share * count) < 1,
                "A class gives another share of its examples to held_out.",
                given=given,
                detail=f"Of the {count} examples of class {label}, {got} are held out.",
                diagnosis=answers.wrong_share(train, held, share, y),
            )


def indices(got, y, given):
    """(train, held_out) as arrays of indices into y."""
    two, arrays = expect.items(got, 2, what="the result (train, held_out)", given=given), []
    for name, one in zip(("train", "held_out"), two, strict=True):
        array = one.numpy() if type(one) is torch.Tensor else one
        if type(array) is not np.ndarray or array.ndim != 1 or array.dtype.kind != "i":
            is_array = type(array) is np.ndarray
            shape = f"shape {array.shape} and dtype {array.dtype}" if is_array else ""
            message = f"{name} should be a tensor of shape (n,) that holds whole numbers."
            why, shown = answers.no_indices(array), shape or expect.show(one)
            raise Fault("type", message, why, given=given, got=shown)
        arrays.append(array)
    both = np.concatenate(arrays)
    if len(both) > len(np.unique(y)) and set(both) <= set(y):
        message = "The tensors hold labels: the places in y are asked for."
        raise Fault("value", message, "Return members, which are indices, and not y[members].")
    if len(both) and not 0 <= both.min() <= both.max() < len(y):
        raise Fault("value", "Some numbers are no index into y.", given=given)
    return arrays


def partitioned(train, held, y, given):
    both, count = np.intersect1d(train, held), Counter([*train.tolist(), *held.tolist()])
    expect.that(
        not len(both),
        "Some examples are in both sets.",
        given=given,
        detail=f"{len(both)} indices are in both.",
        diagnosis=answers.shared_indices(train, held, y),
    )
    once = max(count.values(), default=0) <= 1
    expect.that(once, "Some indices come twice in one set.", given=given)
    expect.that(
        len(count) == len(y),
        "Not every example is in one of the two sets.",
        given=given,
        detail=f"{len(y) - len(count)} of {len(y)} are missing.",
        diagnosis=answers.missing_indices(train, held, y),
    )


def seeded(one, again, other, y, given):
    """one, again: what is held out with one seed; other: with the next."""
    why = (
        "It changes y, which is the caller's, or draws from a generator that does not begin with"
        " this seed."
    )
    same = set(one) == set(again)
    expect.that(same, "The same seed gives two different splits.", given=given, diagnosis=why)
    places = {}  # for each class, the places among its examples that are held out
    for label in np.unique(y):
        members = np.flatnonzero(y == label)
        places[label] = tuple(np.flatnonzero(np.isin(members, one)))
        count, n = len(members), len(places[label])
        ends = tuple(range(n)), tuple(range(count - n, count))
        expect.that(
            not (count == 40 and 0 < n < count and places[label] in ends),
            "The first or the last examples of a class are held out.",
            given=given,
            diagnosis="Data are often stored in order, by writer or by day: put each class in a"
            " random order before you cut.",
        )
    two = [places[label] for label in places if (y == label).sum() == 40]
    expect.that(two[0] or two[1], "Nothing is held out of the large classes.", given=given)
    expect.that(
        two[0] != two[1],
        "Two classes of one size hold out the same places.",
        given=given,
        diagnosis="Each class gets the same order. Make the generator before the loop, so that it"
        " goes on from class to class.",
    )
    message = "Two different seeds give the same split."
    expect.that(set(one) != set(other), message, given=given, diagnosis="The seed is not used.")


# train_one_epoch


def train(learner, X, y, W, b, lr, batch_size, seed, stir=1):
    """Two epochs of a linear model. The first column of X has the examples' numbers.

    A batch normalisation looks on: what it has gathered tells which batches came, in which mode.
    """
    import weakref

    import torch

    alive, notes, kept = [], [], []

    class Graph(torch.autograd.Function):
        @staticmethod
        def forward(ctx, scores):
            ctx.token = type("Token", (), {})()
            alive.append(weakref.ref(ctx.token))
            return scores.view_as(scores)

        @staticmethod
        def backward(ctx, grad):
            return grad

    class Model(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.linear = torch.nn.Linear(*W.T.shape, dtype=torch.float64)
            self.linear.load_state_dict({"weight": W.clone(), "bias": b.clone()})
            self.norm = torch.nn.BatchNorm1d(X.shape[1], affine=False, dtype=torch.float64)

        def forward(self, X):
            notes.append(X[:, 0].tolist())
            kept.append(sum(one() is not None for one in alive[:-1]))
            if len(X) > 1 or not self.norm.training:
                self.norm(X.detach())
            return Graph.apply(self.linear(X))

    X, y, losses, ends, weights = X.clone(), y.clone(), [], [], []
    with torch.random.fork_rng(devices=[]):
        model = Model().eval()
        torch.manual_seed(stir)
        before, generator = torch.get_rng_state(), torch.Generator().manual_seed(seed)
        optimizer = torch.optim.SGD(model.parameters(), lr=lr)
        for _ in range(2):
            loss = learner.train_one_epoch(model, optimizer, X, y, batch_size, generator)
            held = isinstance(loss, torch.Tensor)
            losses.append(loss.detach().clone() if held else loss)
            ends.append(len(notes))
            weights.append([one.detach().clone() for one in model.linear.parameters()])
        untouched = torch.equal(before, torch.get_rng_state())
    return {
        "calls": [notes[: ends[0]], notes[ends[0] :]],
        "losses": losses,
        "weights": weights,
        "mean": model.norm.running_mean,
        "untouched": untouched,
        "graphs": max(kept, default=0),
        "X": X,
        "y": y,
    }


ask_train = probe(train)
LOOP = ["utils.training.fit", "utils.training.loop", "utils.training.minibatches"]


# The time limit: torch.optim takes its time to load.
@exercise("train_one_epoch", points=2, time_limit=60, forbids={"train_one_epoch": LOOP})
def train_one_epoch(student, rng):
    cases = [batched_case(rng, n) for n in (22, 20, 3)]
    main, given = cases[0], {"the number of examples": 22, "batch_size": 4}

    @cache
    def run(at):
        return trained(student, cases[at])

    def weights(at):
        got, right, _ = run(at)
        of = lambda own: train(own, *cases[at])["weights"]  # noqa: E731
        knows = MISTAKES.values("train_one_epoch", of)
        what = "the list of weights and bias after each epoch"
        expect.close(
            got["weights"], right["weights"], what=what, given=given, knows=knows, rtol=1e-5
        )

    @cache
    def follow():
        why = "This counts once the weights follow from the batches."
        with computed("train_one_epoch", why, but=answers.NO_STEP):
            weights(0)

    title = "the weights move as gradient descent moves them"
    with part(title, points=0.7), expect.explained(*answers.NO_SCORES):
        weights(0)
        weights(1)
    with part("each epoch goes through every example once, in batches", points=0.4):
        follow()
        for at, args in enumerate(cases):
            for batches in run(at)[2]:
                whole(batches, len(args[1]), 4)
    with part("in a new random order, drawn from generator", points=0.4):
        follow()
        shuffled(run(0)[2], *trained(student, main, stir=2), main)
    with part("in training mode", points=0.2):
        follow()
        got, right, _ = run(0)
        means = [right["mean"]]
        if not near(got["mean"], means[0]):  # calls beside the steps are seen, too
            means.append(train(along(got["calls"]), *main)["mean"])
        why = "Without model.train() dropout and batch normalisation do not work as in training."
        expect.that(
            any(near(got["mean"], mean) for mean in means),
            "Batch normalisation has not gathered the batches' means, as it does in training.",
            diagnosis=why if not got["mean"].any() else "",
        )
    with part("the mean loss of the examples is returned", points=0.3):
        for at, args in enumerate(cases):
            weights(at)
            loss(*run(at)[:2], args)


def near(got, right, atol=1e-6):
    return torch.allclose(got.double(), right.double(), atol=atol)


def batched_case(rng, n):
    X = np.column_stack([rng.permutation(n) / 10, rng.normal(size=(n, 3))])
    y, W, b = rng.integers(3, size=n), rng.normal(size=(3, 4)), rng.normal(size=3)
    return *(torch.tensor(a) for a in (X, y, W, b)), 0.3, 4, int(rng.integers(2**20))


def trained(student, args, stir=1):
    """The learner's report, what right steps along its batches give, and these batches, by index."""
    got = ask_train(student, *args, stir)
    expect.that(type(got) is dict and {"calls", "losses"} <= got.keys(), "There is no report.")
    place = {round(float(x), 1): i for i, x in enumerate(args[0][:, 0])}
    calls, batches = [], []
    for notes in expect.items(got["calls"], 2, what="the epochs"):
        message = "The model was not called: nothing was trained."
        expect.that(notes, message)
        fine = type(notes) is list and len(notes) <= 4 * len(place)
        fine = fine and all(type(one) is list and len(one) <= len(place) for one in notes)
        fine = fine and all(type(x) is float and round(x, 1) in place for one in notes for x in one)
        message = "The model was called with other numbers than those of the examples."
        expect.that(fine, message, diagnosis=answers.NOT_X)
        epoch = [[place[round(x, 1)] for x in one] for one in notes]
        calls.append(epoch)
        # A second call with the same batch, or with all examples once more, is no batch.
        epoch = [one for i, one in enumerate(epoch) if one and (i == 0 or one != epoch[i - 1])]
        extra = len(epoch) > 1 and len(epoch[-1]) == len(place)
        batches.append(epoch[:-1] if extra else epoch)
        expect.that(batches[-1], "The model was called without examples.")
    right, free = train(along(batches), *args), {"calls": [], "losses": []}
    expect.form({**got, **free}, {**right, **free})
    expect.items(got["losses"], 2, what="the losses")
    return {**got, "calls": calls}, right, batches


def along(epochs):
    """A learner whose steps are right and whose epochs go through these batches."""
    queue = iter(epochs)

    def train_one_epoch(model, optimizer, X, y, batch_size, generator):
        total, batches = 0.0, next(queue)
        for batch in batches:
            step = model, optimizer, X[batch], y[batch], len(batch), generator
            total += MISTAKES.right.train_one_epoch(*step) * len(batch)
        return total / sum(map(len, batches))

    return SimpleNamespace(train_one_epoch=train_one_epoch)


def whole(batches, n, size):
    sizes, rest = [len(one) for one in batches], [n % size] * (n % size > 0)
    different = {i for one in batches for i in one}
    expect.that(
        len(different) == sum(sizes) or sum(sizes) > n,
        "Some examples come twice in an epoch, others never.",
        diagnosis="Cut one random order of all indices into batches, each where the last one ended.",
    )
    right = [size] * (n // size) + rest
    expect.that(
        sorted(sizes) == sorted(right),
        "The batches have other sizes.",
        given={"the number of examples": n, "batch_size": size},
        detail=f"expected batches of {right}   yours {sizes}",
        diagnosis=answers.wrong_batches(sizes, n, size),
    )
    expect.that(
        sorted(i for one in batches for i in one) == list(range(n)),
        "Some examples come twice in an epoch, others never.",
        diagnosis="Cut one random order of all indices into batches.",
    )


def shuffled(epochs, got, _, again, args):
    """again: the batches with a generator of the same seed, when the global one was another."""
    one, two = ([i for batch in epoch for i in batch] for epoch in epochs)
    cuts = [{frozenset(batch) for batch in epoch} for epoch in epochs]
    mine = (
        "Draw the order from the argument: torch.randperm(len(X), generator=generator)."
        " The global generator moves with everything else that draws from it."
    )
    stored = "Shuffle: neighbours in a file are often alike, and would share a batch each time."
    moved = not (near(got["X"], args[0]) and near(got["y"], args[1]))
    expect.that(
        not moved,
        "X or y is another one after the epochs.",
        diagnosis="X and y are the caller's: take X[batch] from them, and leave them in their order.",
    )
    expect.that(
        one != sorted(one), "The examples come in the order they are stored.", diagnosis=stored
    )
    new = "The second epoch must go on with generator, not begin it anew."
    expect.that(one != two, "Two epochs have the same order.", diagnosis=new)
    cut = "Shuffle the examples, then cut: neighbours in the file stay together."
    same = "Two epochs have the same batches, in another order."
    expect.that(cuts[0] != cuts[1], same, diagnosis=cut)
    other = "A generator with the same seed gives another order."
    expect.that(one == [i for batch in again[0] for i in batch], other, diagnosis=mine)
    expect.that(got["untouched"], "The global generator was used.", diagnosis=mine)


def loss(got, right, args):
    knows = MISTAKES.values("train_one_epoch", lambda own: train(own, *args)["losses"])
    what = "the list of the epochs' losses"
    expect.close(got["losses"], right["losses"], what=what, knows=knows, rtol=1e-5)
    graph = (
        "A loss that is not yet a plain number keeps the graph of every batch in memory: add up"
        " loss.item()."
    )
    expect.that(got["graphs"] == 0, "The batches' graphs are kept.", diagnosis=graph, kind="type")
    plain = all(type(one) is not torch.Tensor for one in got["losses"])
    item = ".item() makes a plain number of a tensor that holds one."
    expect.that(
        plain, "The loss is a tensor: a plain number is asked for.", diagnosis=item, kind="type"
    )


# evaluate


def measure(learner, X, y, W, b, mean, var, batch_size, training, watch):
    """What the learner makes of a model, what the model answers afterwards, and its state.

    watch: what makes the model answer otherwise while it is measured: "mode", batch normalisation;
    "gradients", the scores in another order where a graph is made; "size", the same in a batch that
    is too large; or nothing.
    """
    import torch

    notes = []

    class Model(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.linear, self.norm = torch.nn.Linear(*W.T.shape), torch.nn.BatchNorm1d(X.shape[1])
            self.linear.load_state_dict({"weight": W.clone(), "bias": b.clone()})
            self.norm.running_mean.copy_(mean)
            self.norm.running_var.copy_(var)

        def forward(self, X):
            notes.append({one.training for one in self.modules()} == {False})
            scores = self.linear(self.norm(X) if watch == "mode" else X)
            large = watch == "size" and len(X) > batch_size
            return scores.flip(1) if large or (watch == "gradients" and graph()) else scores

    graph = torch.is_grad_enabled
    with torch.random.fork_rng(devices=[]), torch.enable_grad():
        model = Model().train(training)
        result = learner.evaluate(model, X.clone(), y.clone(), batch_size)
        left_off = not graph()
        torch.set_grad_enabled(True)
        state = {name: one.clone() for name, one in model.state_dict().items()}
        after = model.linear(model.norm(X[:7])).detach()
    if isinstance(result, tuple):
        result = [one.detach() if isinstance(one, torch.Tensor) else one for one in result]
    calm = all(notes)
    return {"result": result, "calm": calm, "off": left_off, "state": state, "after": after}


ask_measure = probe(measure)
COURSES_OWN = ["utils.training.evaluate", "utils.training.loop", "utils.training.fit"]


@exercise("evaluate", points=1.5, forbids={"evaluate": COURSES_OWN})
def evaluate(student, rng):
    def runs(watch, sizes=((23, 5, True), (23, 5, False))):
        """In both modes: the learner's report, the reference's, and what both were given."""
        for n, size, mode in sizes:
            args = *measured_case(rng, n), size, mode, watch
            got, right = ask_measure(student, *args), measure(MISTAKES.right, *args)
            free = {"result": 0, "calm": True}
            expect.form({**got, **free} if type(got) is dict else got, {**right, **free})
            expect.that(got.keys() == right.keys(), "The report is not whole.")
            yield got, right, args

    def value(got, right, args):
        given = {"the number of examples": len(args[1]), "batch_size": args[6]}
        result = expect.items(got["result"], 2, what="the result (loss, accuracy)", given=given)
        knows = MISTAKES.values("evaluate", lambda own: measure(own, *args)["result"])
        what = {"what": ("loss", "accuracy"), "given": given, "knows": knows}
        expect.close(result, right["result"], **what, rtol=1e-4)
        return result

    def sound(watch="", message="This counts once the two numbers are right.", why=""):
        for got, right, args in runs(watch):
            if watch:  # the same numbers, and nothing to trip over
                with computed("evaluate", "This counts once the two numbers are right."):
                    plain = *args[:-1], ""
                    value(ask_measure(student, *plain), measure(MISTAKES.right, *plain), plain)
            with computed("evaluate", message, why and why(got)):
                value(got, right, args)
            yield got, right, args[7]

    @cache
    def measured():
        return list(sound())

    # So many first that another accuracy is hardly the same by chance.
    sizes = (203, 5, True), (20, 5, False), (3, 5, False), (6, 1, True)
    title = "the mean loss and the share right, over the examples"
    with part(title, points=0.6), expect.explained(*answers.IN_EVALUATE):
        for one in runs("", sizes):
            plain_numbers(value(*one))
    with part("in evaluation mode", points=0.3):
        measured()
        why = lambda got: "" if got["calm"] else answers.TRAINING_MODE  # noqa: E731
        list(sound("mode", "With batch normalisation, the result is another one.", why))
    with part("the model is as it was afterwards", points=0.2):
        for got, right, mode in measured():
            left_as_it_was(got, right, mode)
    with part("without gradients", points=0.2):
        measured()
        why = lambda got: answers.GRADIENTS  # noqa: E731
        message = "The model ran with gradients on."
        for got, _, _ in sound("gradients", message, why):
            message = "Gradients are still off afterwards."
            expect.that(got["off"] is False, message, diagnosis=answers.STILL_OFF)
    with part("in batches of at most batch_size", points=0.2):
        measured()
        why = lambda got: "A large set in one piece does not fit into a GPU's memory."  # noqa: E731
        list(sound("size", "The model was called with more examples than batch_size.", why))


def measured_case(rng, n):
    X, W, b = rng.normal(size=(n, 4)), rng.normal(size=(3, 4)), rng.normal(size=3)
    # The batch left over is unlike the others, so that a mean of means shows.
    y, scores = rng.integers(3, size=n), X @ W.T + b
    y[: n // 2], y[n - n % 5 :] = scores.argmax(1)[: n // 2], scores.argmin(1)[n - n % 5 :]
    mean, var = rng.normal(size=4), rng.uniform(0.5, 2, size=4)
    X, W, b, mean, var = (torch.tensor(a, dtype=torch.float32) for a in (X, W, b, mean, var))
    return X, torch.tensor(y), W, b, mean, var


def plain_numbers(result):
    expect.that(
        all(type(one) is not torch.Tensor for one in result),
        "A tensor is returned: plain numbers are asked for.",
        diagnosis=".item() makes a plain number of a tensor that holds one.",
        kind="type",
    )


def left_as_it_was(got, right, mode):
    """mode: the one that the model was in. What it answers now shows in which it is."""
    was = "in training mode" if mode else "in evaluation mode"
    why = (
        "What trains on afterwards would do so without dropout: note model.training first, and"
        " before return give it back to model.train(…), which tells the layers inside, too."
        if mode
        else "model.train() at the end is too much: the model may have been in evaluation"
        " mode before. model.train(mode) takes the mode that you noted."
    )
    for name, one in right["state"].items():
        message = "Its weights or buffers are others afterwards."
        why_not = "Measure only: nothing else about it may change."
        expect.that(near(got["state"][name], one), message, diagnosis=why_not)
    expect.that(
        near(got["after"], right["after"], atol=1e-4),
        f"The model was {was} before, and is not, or not wholly, afterwards.",
        diagnosis=why,
    )


# read_loss_curves


@exercise("read_loss_curves", points=1.5)
def read_loss_curves(student, rng):
    for name, known in answers.CURVES.items():
        with part(name, points=0.2):
            expect.choice(student, name, *known)
    with part("keep_epoch", points=0.3):
        got = expect.number(student["keep_epoch"], what="`keep_epoch`")
        expect.that(
            got in (4, 5),  # the lowest, to the hundredth
            "`keep_epoch` is not right yet.",
            detail=f"yours {got:g}",
            diagnosis=answers.wrong_epoch(got),
        )


# early_stopping


def stop(learner, losses, patience, states, steps):
    """What one EarlyStopping says of the losses, until it says stop, and what it brings back.

    states: (epochs + 1, 7), the values of the model's tensors in each epoch, the last where training
    goes on to. steps: after so many epochs the copy is put back; 0: only decisions are asked for.
    """
    import torch

    def fill(values):
        with torch.no_grad():
            for tensor, value in zip(model.state_dict().values(), values, strict=True):
                tensor.fill_(value)

    def read():
        return [float(tensor.sum() / tensor.numel()) for tensor in model.state_dict().values()]

    with torch.random.fork_rng(devices=[]):
        model = torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.BatchNorm1d(3))
    stopping, decisions = learner.EarlyStopping(patience), []
    for epoch, (loss, values) in enumerate(zip(losses, states, strict=False), start=1):
        fill(values)
        decision = stopping.step(loss, model)
        decisions.append(decision)
        ends = type(decision).__name__ in ("bool", "bool_") and bool(decision)
        if epoch == steps or (not steps and ends):
            break
    if not steps:
        return decisions
    kept = read()
    for _ in range(2):  # what was put back once must not change with the model, either
        fill(states[-1])
        stopping.restore(model)
    return read() + kept


ask_stop = probe(stop)


@exercise("early_stopping", points=1.25)
def early_stopping(student, rng):
    cases = [stopping_case(rng, *case) for case in answers.LOSSES]
    ends = lambda own: [stop(own, *case, 0) for case in cases]  # noqa: E731
    right = ends(MISTAKES.right)

    with part("it stops after `patience` epochs without a new lowest loss", points=0.5):
        got = [decided(ask_stop(student, *case, 0)) for case in cases]
        for case, mine, yours in zip(cases, right, got, strict=True):
            if mine != yours:
                pairs = MISTAKES.values("early_stopping", ends, "EarlyStopping")
                why = next((why for why, value in pairs if value == got), "")
                if not why and [ask_stop(student, *case, 0) for case in cases] != got:
                    why = answers.SHARED
                raise other_end(mine, yours, case, why)

    def restored(kept, why=""):
        for case, decisions in zip(cases, right, strict=True):
            back = lambda own: stop(own, *case, len(decisions))  # noqa: B023, E731
            got, wanted = ask_stop(student, *case, len(decisions)), back(MISTAKES.right)
            if expect.form(got, wanted)[kept] != wanted[kept]:
                pairs = MISTAKES.values("early_stopping", back, "EarlyStopping")
                known = next((known for known, value in pairs if value[kept] == got[kept]), "")
                message = "After restore, the model is not as it was at the lowest loss."
                losses = expect.show(case[0][: len(decisions)])
                known = why if why and got[:4] == wanted[:4] else known
                raise Fault("value", message, known, given=f"For the losses {losses}.")

    with part("restore brings back the weights of the best epoch", points=0.3):
        restored(slice(0, 4))
        restored(slice(7, 14), answers.IN_STEP)
    with part("and the running means of batch normalisation", points=0.2):
        restored(slice(4, 6), answers.BUFFERS)
    with part("stops_after", points=0.25):
        how = "Write below each loss how many epochs have gone by since the lowest one before it."
        known = dict(MISTAKES.written("early_stopping", "stops_after"))
        expect.answer(student, "stops_after", answers.stops_after, known, how, rtol=0.001)


def stopping_case(rng, losses, patience):
    """After some epochs that fall, so that nobody knows beforehand when it ends."""
    before = losses[0] * np.cumprod(rng.uniform(1.02, 1.1, size=int(rng.integers(1, 7))))
    losses = [*map(float, before[::-1].round(4)), *losses]
    return losses, patience, rng.permutation(900)[: 7 * (len(losses) + 1)].reshape(-1, 7).tolist()


def decided(decisions):
    for one in expect.items(decisions, len(decisions) if type(decisions) is list else 1):
        if type(one) not in (bool, np.bool_):
            why = "Is a return missing on one of its ways?" if one is None else ""
            message = "`step` should return True or False after every epoch."
            raise Fault("type", message, why, detail=f"yours {expect.show(one)}")
    return [bool(one) for one in decisions]


def other_end(mine, yours, case, why):
    def after(decisions):
        return f"stop after epoch {len(decisions)}" if True in decisions else "no stop"

    message = "It stops after another epoch." if True in yours else "It never says stop."
    given = f"For patience = {case[1]} and the losses {', '.join(f'{one:g}' for one in case[0])}."
    return Fault("value", message, why, expected=after(mine), got=after(yours), given=given)


# learning_rate_schedule


@exercise("learning_rate_schedule", points=0.75)
def learning_rate_schedule(student, rng):
    def check(steps, warmup, which, what):
        given = f"For steps = {steps}, warmup = {warmup}."
        factors = [student.learning_rate_schedule(s, steps, warmup) for s in which]
        got = [expect.number(one, what="the factor", given=given) for one in factors]
        of = lambda own: [own.learning_rate_schedule(s, steps, warmup) for s in which]  # noqa: E731
        knows = MISTAKES.values("learning_rate_schedule", of, "learning_rate_schedule")
        right = np.array(of(MISTAKES.right))
        knows = ((why, np.array(value)) for why, value in knows)
        expect.close(np.array(got), right, what=what, given=given, knows=knows)

    steps, warmup = int(rng.integers(14, 24)), int(rng.integers(3, 7))
    cases = (steps, warmup), (steps, steps - 1), (steps, 1)
    with part("the rise", points=0.2):
        for n, w in cases:
            check(n, w, range(w), "the rise")
    with part("the half cosine", points=0.25):
        for n, w in cases:
            check(n, w, range(w, n), "the fall")
    with part("without warm-up", points=0.1):
        for n in (steps, 1):
            check(n, 0, range(n), "the fall")
    how = "Put the step into the formula, and multiply the factor by the peak rate."
    for name in ("first_rate", "rate_55"):
        with part(name, points=0.1):
            known = dict(MISTAKES.written("learning_rate_schedule", name))
            expect.answer(student, name, getattr(answers, name), known, how, rtol=0.005)


# sweep


def queue(learner, grid, rows, drawn, weight, stop_at):
    """A sweep over a table that holds `rows`, interrupted in its run number `stop_at` (0: not).

    A run scores what was drawn for it, by its number, plus `weight` times all that the table holds
    when it begins.
    """
    import json
    import tempfile
    from pathlib import Path

    with tempfile.TemporaryDirectory() as folder:
        table, calls, before = Path(folder) / "runs.jsonl", [], []
        if rows:
            table.write_text("".join(json.dumps(row) + "\n" for row in rows))

        def text():
            return table.read_text() if table.exists() else ""

        def run(**settings):
            lines = text().splitlines()
            before.append(len(lines))
            calls.append(settings)
            if len(calls) == stop_at:
                raise KeyboardInterrupt
            scores = [json.loads(line).get("score", 0.0) for line in lines]
            return {"score": drawn[len(calls) - 1] + weight * sum(scores)}

        try:
            result, ended = learner.sweep(run, grid, str(table)), "returned"
        except KeyboardInterrupt:
            result, ended = "", "interrupted"
        return {
            "calls": [dict(one) for one in calls],
            "before": before,
            "result": result,
            "table": text(),
            "ended": ended,
        }


ask_queue = probe(queue)


@exercise(
    "sweep", points=1.5, forbids={"sweep": ["utils.training.sweep", "utils.training.sweeps.sweep"]}
)
def sweep(student, rng):
    rates = [float(x) / 100 for x in rng.choice(np.arange(1, 50), 3, replace=False)]
    sizes = [int(x) for x in rng.choice(np.arange(1, 90), 2, replace=False)]
    grid, drawn = {"rate": rates, "size": sizes}, rng.uniform(1, 9, size=60).round(3).tolist()
    runs = combinations(grid)
    rows = [
        {**one, "score": float(score)}
        for one, score in zip(runs, rng.uniform(size=6).round(4), strict=True)
    ]
    given = {"grid": grid}

    def reported(*args):
        """The report, and the rows of its table."""
        got = ask_queue(student, *args)
        like = {"calls": 0, "before": 0, "result": 0, "table": "", "ended": ""}
        free = {"calls": 0, "before": 0, "result": 0}
        expect.form({**got, **free} if type(got) is dict else got, like)
        fine = type(got["calls"]) is list and all(type(one) is dict for one in got["calls"])
        expect.that(fine and type(got["before"]) is list, "The report is not whole.")
        return got, table_rows(got["table"])

    def begun(calls, count):
        message = "With an empty table, some runs of the grid are not made."
        expect.that(len(calls) >= count, message, given=given)

    with part("every combination once, in the grid's order", points=0.4):
        for whole in (grid, {**grid, "depth": [1, 2]}, {"size": sizes}):
            wanted = combinations(whole)
            args = whole, [], drawn, 0.0, 0
            with expect.explained(*answers.UNPACKED, answers.BY_NAME, *answers.JOINED):
                got, _ = reported(*args)
            knows = MISTAKES.values("sweep", lambda own: queue(own, *args)["calls"])  # noqa: B023
            calls = tuple(got["calls"])
            with expect.otherwise(answers.wrong_calls(calls, wanted)):
                expect.close(
                    got["calls"],
                    wanted,
                    what="the list of runs made",
                    given={"grid": whole},
                    knows=knows,
                )
    with part("each result is in the table before the next run begins", points=0.4):
        got, table = reported(grid, [], drawn, 0.5, 4)
        three = scored(got["calls"][:3], drawn, 0.5)
        begun(got["calls"], 4)
        message = "The interrupt did not end the sweep."
        why = "Let KeyboardInterrupt through: whoever pressed stop means it."
        expect.that(got["ended"] == "interrupted", message, diagnosis=why)
        if got["before"][:4] != [0, 1, 2, 3] or len(table) != 3:
            message = "When a run begins, the rows of the runs before it are not all in the table."
            raise Fault(
                "value", message, answers.wrong_table(got["before"]), given=expect._given(given)
            )
        expect.close(table, three, what="the table", given=given)
    with part("started again, it makes the missing runs only", points=0.3):
        begun(reported(grid, [], drawn, 0.0, 0)[0]["calls"], len(runs))
        got, table = reported(grid, rows[:3], drawn, 0.0, 0)
        only(got["calls"], runs[3:], runs, given)
        gained = scored(got["calls"], drawn, 0.0)
        expect.close(table[3:], gained, what="what the table gained", given=given)
    with part("whatever else the table holds", points=0.2):
        longer = {"seconds": 2.0, **dict(reversed(rows[4].items()))}
        others = [{"rate": rates[0], "size": 91, "score": 1.0}, {"layers": 3}, longer]
        begun(reported(grid, [], drawn, 0.0, 0)[0]["calls"], len(runs))
        with expect.explained(("KeyError", answers.OTHER_ROWS)):
            got, table = reported(grid, others, drawn, 0.0, 0)
        only(got["calls"], [one for one in runs if one != runs[4]], runs, given)
        message = "Rows that the table held are gone."
        expect.that(table[:3] == others, message, diagnosis="Add to the file's end.")
    with part("it returns the rows of all runs, in the grid's order", points=0.2):
        for old in ([], [rows[4], rows[1]]):
            args = grid, old, drawn, 0.0, 0
            got, _ = reported(*args)
            every = {
                json.dumps({name: row[name] for name in grid}): row
                for row in [*scored(got["calls"], drawn, 0.0), *old]
                if row.keys() >= grid.keys()
            }
            covered = all(json.dumps(one) in every for one in runs)
            expect.that(covered, "Some runs of the grid were not made.", given=given)
            right = [every[json.dumps(one)] for one in runs]
            knows = MISTAKES.values("sweep", lambda own: queue(own, *args)["result"])  # noqa: B023
            expect.close(got["result"], right, what="the list of rows", given=given, knows=knows)


def combinations(grid):
    return [dict(zip(grid, values, strict=True)) for values in product(*grid.values())]


def scored(calls, drawn, weight):
    """The rows of runs that each found the rows of those before it in the table."""
    rows = []
    for settings, score in zip(calls, drawn, strict=False):
        rows.append({**settings, "score": score + weight * sum(row["score"] for row in rows)})
    return rows


def only(calls, missing, runs, given):
    """The runs that were made are the missing ones, in any order."""

    def in_order(rows):
        return sorted(rows, key=lambda row: str(sorted(row.items(), key=str)))

    expect.that(
        in_order(calls) == in_order(missing),
        "With some runs in the table already, it makes other runs than the missing ones.",
        given=given,
        detail=f"Called: {expect.show(calls)}.",
        diagnosis=answers.wrong_runs(calls, missing, runs),
    )


def table_rows(text):
    try:
        rows = [json.loads(line) for line in text.splitlines()]
    except ValueError:
        rows = [None]
    if all(type(row) is dict for row in rows):
        return rows
    raise Fault("value", "The table is no longer one JSON object a line.")
