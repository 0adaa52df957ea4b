"""Checks of lab 04: splitting, training, measuring, stopping, schedules and sweeps."""

import json
from collections import Counter
from itertools import pairwise

import numpy as np

from grading.answer.exercise import exercise, part
from grading.answer.fault import Fault
from grading.answer.student import probe
from grading.checks import expect
from grading.checks.answers import training as answers

# split


@probe
def split_twice(learner, y, share, seed):
    """Splits with one seed, again with it, and with the next; and the global generators' states."""
    import numpy as np
    import torch

    def state():
        return torch.get_rng_state().clone(), int(
            np.random.get_state(legacy=False)["state"]["key"].sum()
        )

    before = state()
    splits = [learner.split(y.clone(), share, one) for one in (seed, seed, seed + 1)]
    after = state()
    torch.set_rng_state(before[0])
    return [list(one) if type(one) is tuple else one for one in splits], before, after


@exercise("split", points=1.5, forbids={"split": ["sklearn"]})
def judge_split(student, rng):
    import torch

    counts, share = rng.integers(9, 40, size=4), float(rng.choice([0.2, 0.25, 0.3]))
    classes = [rng.integers(10), *rng.choice(np.arange(10, 40), 3, replace=False)]
    labels = np.repeat(classes, counts)
    y = torch.tensor(rng.permutation(labels))
    n, seed = len(y), int(rng.integers(2**20))
    given = f"For {n} labels, {', '.join(map(str, counts))} of the classes, share = {share}."

    def splits():
        reply, before, after = expect.items(split_twice(student, y, share, seed), 3)
        return [_indices(one, labels, given) for one in reply], before, after

    with part("each example is in exactly one of the two", points=0.5):
        train, held = splits()[0][0]
        both = np.intersect1d(train, held)
        twice = answers.shared_indices(train, held, y.numpy())
        expect.that(
            not len(both),
            "Some examples are in both sets.",
            given=given,
            detail=f"{len(both)} indices are in both.",
            diagnosis=twice,
        )
        counted = Counter([*train.tolist(), *held.tolist()])
        expect.that(
            max(counted.values(), default=0) <= 1,
            "Some indices come twice in one set.",
            given=given,
        )
        expect.that(
            set(counted) == set(range(n)),
            "Not every example is in one of the two sets.",
            given=given,
            detail=f"{n - len(set(counted) & set(range(n)))} of {n} are missing.",
            diagnosis=answers.missing_indices(train, held, y.numpy()),
        )
    with part("every class gives its share", points=0.35):
        train, held = splits()[0][0]
        for label, count in zip(*np.unique(labels, return_counts=True), strict=True):
            got = int((y.numpy()[held] == label).sum())
            expect.that(
                abs(got - share * count) < 1,
                "A class gives another share of its examples to held_out.",
                given=given,
                detail=f"Of the {count} examples of class {label}, {got} are held out.",
                diagnosis=answers.wrong_share(train, held, share, n),
            )
    with part("random by its seed, and by nothing else", points=0.35):
        (one, again, other), before, after = splits()
        _judge_seeds([set(held.tolist()) for _, held in (one, again, other)], y.numpy(), given)
        moved = "torch's or NumPy's global generator is another one after the call."
        same = np.array_equal(_array(before[0]), _array(after[0])) and before[1] == after[1]
        why = (
            "torch.manual_seed, and a torch.randperm without generator=, change what all later code"
            " draws. Make a generator of your own: torch.Generator().manual_seed(seed)."
        )
        expect.that(same, moved, diagnosis=why)
    with part("leak", points=0.3):
        expect.choice(student, "leak", "a", answers.NO_LEAK)


def _indices(got, labels, given):
    two = expect.items(got, 2, what="the result (train, held_out)", given=given)
    arrays = []
    for name, one in zip(("train", "held_out"), two, strict=True):
        array = _array(one)
        if type(array) is not np.ndarray or array.ndim != 1 or array.dtype.kind != "i":
            is_array = type(array) is np.ndarray
            shape = f"shape {array.shape} and dtype {array.dtype}" if is_array else ""
            raise Fault(
                "type",
                f"{name} should be a tensor of shape (n,) that holds whole numbers.",
                answers.no_indices(array),
                given=given,
                got=shape or expect.show(one),
            )
        arrays.append(array)
    if sum(map(len, arrays)) > len(set(labels)) and set(np.concatenate(arrays)) <= set(labels):
        message = "The tensors hold labels: the places in y are asked for."
        raise Fault("value", message, "Return members, which are indices, and not y[members].")
    return arrays


def _judge_seeds(held, y, given):
    one, again, other = held
    expect.that(
        one == again,
        "The same seed gives two different splits.",
        given=given,
        diagnosis="Is the order drawn from a generator that begins with this seed?",
    )
    first = {
        int(i)
        for label in np.unique(y)
        for i in np.flatnonzero(y == label)[: _count(one, y, label)]
    }
    expect.that(
        one != first,
        "The first examples of each class are held out.",
        given=given,
        diagnosis="Data are often stored in order, by writer or by day: put each class in a random"
        " order before you cut.",
    )
    expect.that(
        one != other,
        "Two different seeds give the same split.",
        given=given,
        diagnosis="The seed is not used.",
    )


def _count(held, y, label):
    return sum(int(y[i] == label) for i in held if 0 <= i < len(y))


def _array(value):
    return value.detach().numpy() if type(value).__name__ == "Tensor" else value


# train_one_epoch


@probe
def train_epochs(learner, X, y, W, b, lr, batch_size, seed):
    """Two epochs of a linear model that notes what it was called with, twice over."""
    import torch

    class Noting(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.linear = torch.nn.Linear(*W.T.shape, dtype=torch.float64)
            self.linear.load_state_dict({"weight": W.clone(), "bias": b.clone()})
            self.notes = []

        def forward(self, X):
            rows, weight, bias = (
                one.detach().clone() for one in (X[:, 0], self.linear.weight, self.linear.bias)
            )
            training = self.training and self.linear.training
            note = {"rows": rows, "training": training, "W": weight, "b": bias}
            self.notes.append(note)
            return self.linear(X)

    def number(loss):
        held = isinstance(loss, torch.Tensor)
        return {"value": loss.item() if held and loss.numel() == 1 else loss, "tensor": held}

    def train(epochs):
        with torch.random.fork_rng(devices=[]):  # initial weights draw from the global generator
            model = Noting().eval()
        optimizer = torch.optim.SGD(model.parameters(), lr=lr)
        generator = torch.Generator().manual_seed(seed)
        losses, ends = [], []
        for _ in range(epochs):
            loss = learner.train_one_epoch(
                model, optimizer, X.clone(), y.clone(), batch_size, generator
            )
            losses.append(number(loss))
            ends.append(len(model.notes))
        state = model.linear.state_dict()
        return {"losses": losses, "notes": model.notes, "ends": ends, **state}

    before = torch.get_rng_state()
    first = train(2)
    after = torch.get_rng_state()
    torch.manual_seed(seed + 1)
    second = train(1)
    torch.set_rng_state(before)
    return first, second, torch.equal(before, after)


@exercise("train_one_epoch", points=2, time_limit=60)  # torch.optim takes its time to load
def judge_train_one_epoch(student, rng):
    import torch

    n, batch_size, lr, seed = 22, 4, 0.3, int(rng.integers(2**20))
    X = np.column_stack([rng.permutation(n) / 10, rng.normal(size=(n, 3))])
    y, W, b = rng.integers(3, size=n), rng.normal(size=(3, 4)), rng.normal(size=3)
    arguments = *(torch.tensor(a) for a in (X, y, W, b)), lr, batch_size, seed
    reply = expect.items(train_epochs(student, *arguments), 3)
    first, second, untouched = reply
    given = f"For {n} examples and batch_size = {batch_size}."
    where = {round(float(x) * 10): i for i, x in enumerate(X[:, 0])}

    def epochs(run):
        """The batches of each epoch that a step followed, as lists of indices."""
        ends = [0, *run["ends"]]
        for start, end in pairwise(ends):
            notes = run["notes"][start:end]
            expect.that(notes, "The model was not called: nothing was trained.", given=given)
            batches = [[where.get(round(float(x) * 10), -1) for x in one["rows"]] for one in notes]
            # A second call with the same batch, or with all examples once more, is no batch.
            batches = [one for i, one in enumerate(batches) if i == 0 or one != batches[i - 1]]
            yield batches[:-1] if len(batches) > 1 and len(batches[-1]) == n else batches

    with part("each epoch goes through every example once, in batches", points=0.4):
        for batches in epochs(first):
            sizes = [len(one) for one in batches]
            flat = [i for one in batches for i in one]
            expect.that(
                sorted(sizes) == [2, 4, 4, 4, 4, 4],
                "The batches have other sizes.",
                given=given,
                detail=f"expected six batches, of 4, 4, 4, 4, 4 and 2   yours {sizes}",
                diagnosis=answers.wrong_batches(sizes, n, batch_size),
            )
            expect.that(
                sorted(flat) == list(range(n)),
                "Some examples come twice in an epoch, others never.",
                given=given,
                diagnosis="Cut one random order of all indices into batches.",
            )
    with part("in a new random order, drawn from generator", points=0.4):
        cut = [{frozenset(batch) for batch in e} for e in epochs(first)]
        one, two = ([i for batch in e for i in batch] for e in epochs(first))
        again = [i for batch in next(epochs(second)) for i in batch]
        stored = "Shuffle: neighbours in a file are often alike, and would share a batch each time."
        global_one = (
            "Draw the order from the argument: torch.randperm(len(X), generator=generator)."
            " The global generator moves with everything else that draws from it."
        )
        reseeded = "The second epoch must go on with generator, not begin it anew."
        expect.that(
            one != sorted(one), "The examples come in the order they are stored.", diagnosis=stored
        )
        expect.that(one != two, "Two epochs have the same order.", diagnosis=reseeded)
        expect.that(
            cut[0] != cut[1],
            "Two epochs have the same batches, in another order.",
            diagnosis="Shuffle the examples, then cut: neighbours in the file stay together.",
        )
        expect.that(
            one == again,
            "A generator with the same seed gives another order.",
            diagnosis=global_one,
        )
        expect.that(untouched is True, "The global generator was used.", diagnosis=global_one)
    with part("the weights move as gradient descent moves them", points=0.7):
        batches = [list(e) for e in epochs(first)]
        right, known = answers.descent(X, y, W, b, batches, lr)
        got = _array(first["weight"]), _array(first["bias"])
        expect.close(got, right, what=("weight", "bias"), given=given, knows=known, rtol=1e-5)
    with part("in training mode", points=0.2):
        modes = [note["training"] for note in first["notes"]]
        why = "Without model.train() dropout and batch normalisation do not work as in training."
        expect.that(modes, "The model was not called.")
        expect.that(all(modes), "The model was in evaluation mode.", diagnosis=why)
    with part("the mean loss of the examples is returned", points=0.3):
        batches = [list(e) for e in epochs(first)]
        losses = _losses(X, y, batches[0], first)
        right, known = answers.epoch_loss(losses, [len(one) for one in batches[0]])
        known |= answers.other_losses(X, y, batches[0], _weights(first))
        reply = first["losses"][0]
        expect.close(reply["value"], right, what="the loss", given=given, knows=known, rtol=1e-5)
        expect.that(
            not reply["tensor"],
            "The loss is a tensor: a plain number is asked for.",
            kind="type",
            diagnosis="A sum of loss tensors keeps the graph of every batch in memory: add up"
            " loss.item().",
        )


def _losses(X, y, batches, run):
    """The first epoch's losses, at the weights that the learner's own steps led to.

    A wrong step has been marked down already; the loss is judged for itself.
    """
    return [
        answers.loss_and_gradients(X[batch], y[batch], *weight)[0]
        for batch, weight in zip(batches, _weights(run), strict=False)
    ]


def _weights(run):
    """The weights that the first epoch's batches met, and those after its last step."""
    weights, seen = [], None
    for note in run["notes"][: run["ends"][0]]:
        rows = _array(note["rows"]).tolist()
        if rows != seen:
            weights.append((_array(note["W"]), _array(note["b"])))
        seen = rows
    later = run["notes"][run["ends"][0] :] or [{"W": run["weight"], "b": run["bias"]}]
    return [*weights, (_array(later[0]["W"]), _array(later[0]["b"]))]


# evaluate


@probe
def evaluate(learner, X, y, W, b, mean, var, batch_size, plain):
    import torch

    class Noting(torch.nn.Module):
        def __init__(self, notes):
            super().__init__()
            linear = torch.nn.Linear(*W.T.shape)
            linear.load_state_dict({"weight": W.clone(), "bias": b.clone()})
            self.norm = torch.nn.BatchNorm1d(W.shape[1], affine=False)
            seen = {"num_batches_tracked": torch.tensor(0)}
            self.norm.load_state_dict({"running_mean": mean, "running_var": var, **seen})
            self.net = linear if plain else torch.nn.Sequential(torch.nn.Dropout(0.5), linear)
            self.note = notes.append  # of a copied model, too

        def forward(self, X):
            graph = torch.is_grad_enabled()
            self.note({"n": len(X), "training": True in modes(self), "graph": graph})
            return self.net(X if plain else self.norm(X))

    def modes(model):
        return {one.training for one in model.modules()}

    def of(value):
        held = isinstance(value, torch.Tensor)
        return value.detach().clone() if held else value

    runs = []
    for training in (True, False):
        notes = []
        model = Noting(notes).train(training)
        result = learner.evaluate(model, X.clone(), y.clone(), batch_size)
        left_off = not torch.is_grad_enabled()
        torch.set_grad_enabled(True)
        result = tuple(of(one) for one in result) if type(result) is tuple else result
        runs.append(
            {
                "result": result,
                "notes": notes,
                "left_off": left_off,
                "before": training,
                "same": modes(model) == {training},
                "seen": model.norm.state_dict()["num_batches_tracked"].item(),
            }
        )
    return runs


COURSES_OWN = ["utils.training.evaluate", "utils.training.loop"]


@exercise("evaluate", points=1.5, forbids={"evaluate": COURSES_OWN})
def judge_evaluate(student, rng):
    import torch

    n, batch_size = 23, 5
    X, y = rng.normal(size=(n, 4)), rng.integers(3, size=n)
    W, b = rng.normal(size=(3, 4)), rng.normal(size=3)
    # The batch left over is unlike the others, so that a mean of means shows.
    y[20:] = (X[20:] @ W.T + b).argmin(axis=1)
    y[:10] = (X[:10] @ W.T + b).argmax(axis=1)
    mean, var = rng.normal(size=4), rng.uniform(0.5, 2, size=4)
    tensors = [torch.tensor(a, dtype=torch.float32) for a in (W, b, mean, var)]
    data = torch.tensor(X, dtype=torch.float32), torch.tensor(y)
    given = f"For {n} examples and batch_size = {batch_size}."

    def runs(plain):
        return evaluate(student, *data, *tensors, batch_size, plain)

    def judge(run, scores, diagnosis=""):
        right, known = answers.evaluation(scores, y, batch_size)
        result = run["result"]
        two = expect.items(result, 2, what="the result (loss, accuracy)", given=given)
        values = tuple(_plain(one) for one in two)
        try:
            expect.close(
                values, right, what=("loss", "accuracy"), given=given, knows=known, rtol=1e-4
            )
        except Fault as fault:
            fault.diagnosis = diagnosis or fault.diagnosis
            raise

    with part("the mean loss and the share right, over the examples", points=0.6):
        for run in runs(plain=True):
            judge(run, X @ W.T + b)
    with part("in evaluation mode", points=0.3):
        normal = (X - mean) / np.sqrt(var + 1e-5)
        for run in runs(plain=False):
            _called(run)
            trains = any(note["training"] for note in run["notes"])
            why = answers.TRAINING_MODE if trains else ""
            expect.that(run["seen"] == 0, "Batch normalisation has learnt from it.", diagnosis=why)
            judge(run, normal @ W.T + b, why)
    with part("the mode is as it was afterwards", points=0.2):
        for run in runs(plain=False):
            _called(run)
            was = "in training mode" if run["before"] else "in evaluation mode"
            why = (
                "What trains on afterwards would do so without dropout: note model.training first,"
                " and give it back to model.train(…), which tells the layers inside, too."
                if run["before"]
                else "model.train() at the end is too much: the model may have been in evaluation"
                " mode before. model.train(mode) takes the mode that you noted."
            )
            expect.that(
                run["same"],
                f"The model was {was} before, and is not, or not wholly, afterwards.",
                diagnosis=why,
            )
    with part("without gradients", points=0.2):
        for run in runs(plain=True):
            _called(run)
            expect.that(
                not any(note["graph"] for note in run["notes"]),
                "The model ran with gradients on.",
                diagnosis="Each batch then keeps its graph: memory and time for nothing. Measure"
                " inside `with torch.no_grad():`. model.eval() does not do that.",
            )
            expect.that(
                not run["left_off"],
                "Gradients are still off afterwards.",
                diagnosis="Nothing could train any more. `with torch.no_grad():` ends with its"
                " block; torch.set_grad_enabled(False) holds until someone sets it back.",
            )
    with part("in batches of at most batch_size", points=0.2):
        for run in runs(plain=True):
            _called(run)
            sizes = [note["n"] for note in run["notes"]]
            expect.that(
                max(sizes) <= batch_size,
                "The model was called with more examples than batch_size.",
                given=given,
                detail=f"It was called with {sizes}.",
                diagnosis="A large set in one piece does not fit into a GPU's memory.",
            )
            expect.that(sum(sizes) >= n, "The model did not see all examples.", given=given)


def _called(run):
    expect.that(run["notes"], "The model was not called: nothing was measured.")


def _plain(value):
    return value.item() if type(value).__name__ == "Tensor" and value.numel() == 1 else value


# read_loss_curves


@exercise("read_loss_curves", points=1.5)
def judge_read_loss_curves(student, rng):
    for name, known in answers.CURVES.items():
        with part(name, points=0.2):
            expect.choice(student, name, *known)
    with part("keep_epoch", points=0.3):
        got = expect.number(student["keep_epoch"], what="`keep_epoch`")
        expect.that(
            got in (4, 5, 6, 7),
            "`keep_epoch` is not right yet.",
            detail=f"yours {got:g}",
            diagnosis=answers.wrong_epoch(got),
        )


# early_stopping


@probe
def stop_early(learner, losses, patience, restore):
    """Decisions of each epoch until it says stop; then, if asked, what `restore` brings back.

    In epoch i (from 1) weights and buffers are i, and after the last they are −1.
    """
    import torch

    def fill(value):
        with torch.no_grad():
            for tensor in model.state_dict().values():
                tensor.fill_(value)

    def is_true(one):
        return type(one).__name__ in ("bool", "bool_") and bool(one)

    model = torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.BatchNorm1d(3))
    stopping, decisions = learner.EarlyStopping(patience), []
    for epoch, loss in enumerate(losses, start=1):
        fill(epoch)
        decisions.append(stopping.step(loss, model))
        if is_true(decisions[-1]):
            break
    kept = model.state_dict()["0.weight"][0, 0].item()
    fill(-1)
    if restore:
        stopping.restore(model)
    return decisions, {key: float(t.max()) for key, t in model.state_dict().items()}, kept


@exercise("early_stopping", points=1.25)
def judge_early_stopping(student, rng):
    cases = answers.stopping_cases(rng)
    with part("it stops after `patience` epochs without a new lowest loss", points=0.5):
        for losses, patience in cases:
            given = {"patience": patience, "the losses": losses}
            decisions = expect.items(stop_early(student, losses, patience, False), 3)[0]
            right, known = answers.decisions(losses, patience)
            for one in decisions:
                if not isinstance(one, bool | np.bool_):
                    raise Fault(
                        "type",
                        "`step` should return True or False after every epoch.",
                        "Is a return missing on one of its ways?" if one is None else "",
                        detail=f"yours {expect.show(one)}",
                        given=expect._given(given),
                    )
            got = len(decisions) if any(decisions) else 0
            if got != right:
                raise Fault(
                    "value",
                    "It stops after another epoch." if got else "It never says stop.",
                    known.get(got, ""),
                    expected=f"stop after epoch {right}" if right else "no stop",
                    got=f"after epoch {got}" if got else "no stop",
                    given=expect._given(given),
                )
    with part("restore brings back the weights of the best epoch", points=0.3):
        names = "0.weight", "0.bias", "1.weight", "1.bias"
        _judge_restored(student, cases, names, answers.RESTORED)
    with part("and the running means of batch normalisation", points=0.2):
        names = "1.running_mean", "1.running_var"
        _judge_restored(student, cases, names, answers.BUFFERS)
    with part("stops_after", points=0.25):
        how = "Write below each loss how many epochs have gone by since the lowest one before it."
        expect.answer(student, "stops_after", *answers.stops_after(), how, rtol=0.001)


def _judge_restored(student, cases, names, known):
    for losses, patience in cases:
        reply = expect.items(stop_early(student, losses, patience, True), 3)
        best = int(np.argmin(losses[: len(reply[0])])) + 1
        wrong = [reply[1][name] for name in names if reply[1][name] != best]
        if wrong:
            got = wrong[0]
            which = "spoilt" if got == -1 else "last" if got == reply[2] else "other"
            raise Fault(
                "value",
                "After restore, the model is not as it was at the lowest loss.",
                known[which],
                expected=f"as after epoch {best}",
                got="as just before restore" if got == -1 else f"as after epoch {got:g}",
                given=expect._given({"the losses": losses}),
            )


# learning_rate_schedule


@exercise("learning_rate_schedule", points=0.75)
def judge_learning_rate_schedule(student, rng):
    steps, warmup = int(rng.integers(14, 24)), int(rng.integers(3, 7))
    given = f"For steps = {steps}, warmup = {warmup}."

    def factors(steps, warmup, which):
        got = [student.learning_rate_schedule(s, steps, warmup) for s in which]
        return np.array([expect.number(one, what="the factor", given=given) for one in got])

    with part("the rise", points=0.2):
        right, known = answers.rise(steps, warmup)
        got = factors(steps, warmup, range(warmup))
        expect.close(got, right, what="the rise", given=given, knows=known)
    with part("the half cosine", points=0.25):
        right, known = answers.fall(steps, warmup)
        got = factors(steps, warmup, range(warmup, steps))
        expect.close(got, right, what="the fall", given=given, knows=known)
    with part("without warm-up", points=0.1):
        right, known = answers.fall(steps, 0)
        got = factors(steps, 0, range(steps))
        given = f"For steps = {steps}, warmup = 0."
        expect.close(got, right, what="the fall", given=given, knows=known)
    for name, points in (("first_rate", 0.1), ("rate_55", 0.1)):
        with part(name, points=points):
            how = "Put the step into the formula, and multiply the factor by the peak rate."
            expect.answer(student, name, *answers.rate_by_hand(name), how, rtol=0.005)


# sweep


@probe
def run_sweep(learner, grid, rows, stop_at):
    """A sweep over a table that holds `rows`, interrupted in its run number `stop_at` (0: not).

    Returns the calls, what was returned, the table's text, and how it ended.
    """
    import json
    import os
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        table, calls, before = os.path.join(folder, "runs.jsonl"), [], []
        if rows:
            with open(table, "w") as file:
                file.write("".join(json.dumps(row) + "\n" for row in rows))

        def text():
            if not os.path.exists(table):
                return ""
            with open(table) as file:
                return file.read()

        def run(**settings):
            calls.append(dict(settings))
            before.append(text().count("\n"))
            if len(calls) == stop_at:
                raise KeyboardInterrupt
            return {"score": settings["rate"] * 1000 + settings["size"]}

        try:
            result, ended = learner.sweep(run, grid, table), "returned"
        except KeyboardInterrupt:
            result, ended = "", "interrupted"
        return {
            "calls": calls,
            "before": before,
            "result": result,
            "table": text(),
            "ended": ended,
        }


@exercise("sweep", points=1.5, forbids={"sweep": ["utils.training.sweep", "utils.training.sweeps"]})
def judge_sweep(student, rng):
    rates = [float(x) / 100 for x in rng.choice(np.arange(1, 50), 3, replace=False)]
    sizes = [int(x) for x in rng.choice(np.arange(1, 90), 2, replace=False)]
    grid = {"rate": rates, "size": sizes}
    runs = [{"rate": rate, "size": size} for rate in rates for size in sizes]
    rows = [_with_score(one) for one in runs]
    given = {"grid": grid}

    with part("every combination once, in the grid's order", points=0.4):
        deeper = [{**one, "depth": depth} for one in runs for depth in (1, 2)]
        for whole, wanted in ((grid, runs), ({**grid, "depth": [1, 2]}, deeper)):
            with expect.explained(("to unpack", answers.ANY_SETTINGS)):
                calls = run_sweep(student, whole, [], 0)["calls"]
            expect.that(
                calls == wanted,
                "The runs are not those of the grid, in its order.",
                given={"grid": whole},
                detail=f"Called: {expect.show(calls)}.",
                diagnosis=answers.wrong_queue(wanted, whole, calls),
            )
    with part("each result is in the table before the next run begins", points=0.3):
        reply = run_sweep(student, grid, [], 4)
        late = "An interrupt now would lose them: append each row as soon as its run has ended."
        expect.that(
            len(reply["calls"]) >= 4, "Fewer runs were made than the grid has.", given=given
        )
        expect.that(
            reply["before"][:4] == [0, 1, 2, 3],
            "When a run begins, the rows of the runs before it are not all in the table.",
            detail=f"Rows in the table at the beginning of each run: {reply['before'][:4]}.",
            diagnosis=late if sum(reply["before"]) < 6 else "A run is one row, once it has ended.",
        )
        expect.that(
            reply["ended"] == "interrupted",
            "The interrupt did not end the sweep.",
            diagnosis="Let KeyboardInterrupt through: whoever pressed stop means it.",
        )
        three = [_with_score(one) for one in reply["calls"][:3]]
        expect.close(_rows(reply["table"]), three, what="the table", given=given)
    with part("started again, it makes the missing runs only", points=0.3):
        missing, reply = runs[3:], run_sweep(student, grid, rows[:3], 0)
        _judge_missing(reply["calls"], missing, runs, given)
        table = _sorted(_rows(reply["table"])[3:])
        expect.close(table, _sorted(rows[3:]), what="what the table gained", given=given)
    with part("whatever else the table holds", points=0.15):
        longer = {"seconds": 2.0, **dict(reversed(rows[4].items()))}
        others = [{"rate": rates[0], "size": 91, "score": 1.0}, {"layers": 3}, longer]
        with expect.explained(("KeyError", answers.OTHER_ROWS)):
            reply = run_sweep(student, grid, others, 0)
        _judge_missing(reply["calls"], [one for one in runs if one != runs[4]], runs, given)
        kept = _rows(reply["table"])[:3] == others
        expect.that(kept, "Rows that the table held are gone.", diagnosis="Add to the file's end.")
    with part("it returns the rows of all runs, in the grid's order", points=0.15):
        for old in ([], [rows[4], rows[1]]):
            reply = run_sweep(student, grid, old, 0)
            known = answers.wrong_rows(rows, old)
            expect.that(reply["ended"] == "returned", "The sweep did not end.")
            expect.close(reply["result"], rows, what="the list of rows", given=given, knows=known)
    with part("rate_for_large_batches", points=0.2):
        expect.choice(student, "rate_for_large_batches", "larger", answers.NOT_LARGER)


def _judge_missing(calls, missing, runs, given):
    """The runs that were made are the missing ones, in any order."""
    why = (
        "Rows are not told by their place in the table or by their number: a row belongs to a run"
        " if it agrees with it in every setting."
    )
    if len(calls) == len(runs):
        why = (
            "Skip a run whose settings a row of the table has: compare the settings only, since a"
            " row has results, too."
        )
    expect.that(
        _sorted(calls) == _sorted(missing),
        "With some runs in the table already, it makes other runs than the missing ones.",
        given=given,
        detail=f"Called: {expect.show(calls)}.",
        diagnosis=why,
    )


def _sorted(rows):
    return sorted(rows, key=lambda row: str(sorted(row.items())))


def _with_score(settings):
    return {**settings, "score": settings["rate"] * 1000 + settings["size"]}


def _rows(text):
    try:
        return [json.loads(line) for line in str(text).splitlines()]
    except json.JSONDecodeError:
        raise Fault("value", "The table is no longer one JSON object a line.") from None
