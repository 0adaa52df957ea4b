"""Checks of lab 04: splitting, training, measuring, stopping, schedules and sweeps.

A probe is a plain function here: the judge runs it, too, on the right answers and the known wrong
ones, and so knows what a learner's own must report.
"""

from contextlib import contextmanager
from functools import cache
from itertools import chain, groupby

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


def compare(exercise, of, got, right=None, **options):
    """of: makes of a learner's names what `got` is; right: where that depends on their own choice."""
    right = of(MISTAKES.right) if right is None else right
    expect.close(got, right, knows=MISTAKES.values(exercise, of), **options)


def all_hold(*facts, given=""):
    """facts: whether it holds, what is wrong if not, and why; the first that fails is told."""
    for fine, message, why in facts:
        expect.that(fine, message, given=given, diagnosis=why)


def plain(values):
    """The fact that none is a tensor."""
    none = torch.Tensor not in map(type, values)
    return none, "A tensor is returned: plain numbers are asked for.", answers.ITEM


@probe
def split_thrice(learner, y, share, seed):
    """Splits with one seed, again with it, and with the next; has a global generator moved?"""
    import numpy as np
    import torch

    def states():
        return torch.get_rng_state().tolist(), str(np.random.get_state(legacy=False))

    before = states()
    splits = [learner.split(y, share, one) for one in (seed, seed, seed + 1)]
    moved = states() != before
    return [list(one) if isinstance(one, tuple) else one for one in splits], moved, y


@exercise("split", points=1.5, forbids={"split": ["sklearn"]})
def split(student, rng):
    def splits(y, share):
        asked = torch.tensor(y), share, int(rng.integers(2**20))
        three, moved, after = expect.items(split_thrice(student, *asked), 3, what="the report")
        all_hold((expect.alike(after, asked[0]), "It changes y.", answers.Y_CHANGED))
        return [indices(one, y) for one in expect.items(three, 3, what="the report")], moved

    def labels(classes, sizes):
        return rng.permutation(np.repeat(rng.permutation(classes), sizes))

    # Two classes of one size, and one, below 0, with a single example.
    classes = [-rng.integers(1, 10), *rng.choice(np.arange(10, 40), 3, replace=False)]
    case = labels(classes, [1, 40, 40, rng.integers(9, 30)]), float(rng.choice([0.3, 0.35, 0.4]))
    with part("each example is in exactly one of the two", points=0.5):
        partitioned(*splits(*case)[0][0], case[0])
    with part("every class gives its share", points=0.35):
        for y, share in (case, (labels([3, 5], [2, 12]), 0.2)):
            for train, held in splits(y, share)[0]:
                shared(train, held, y, share)
    with part("random by its seed, and by nothing else", points=0.35, alone=False):
        three, moved = splits(*case)
        seeded(*(held for _, held in three), case[0], moved)
    with part("leak", points=0.3):
        expect.choice(student, "leak", answers.leak, answers.NO_LEAK)


def indices(got, y):
    """(train, held_out) as arrays of indices into y."""
    two, arrays = expect.items(got, 2, what="the result (train, held_out)"), []
    for name, one in zip(("train", "held_out"), two, strict=True):
        array = one.numpy() if type(one) is torch.Tensor else one
        fine = type(array) is np.ndarray and array.ndim == 1 and array.dtype.kind == "i"
        message = f"{name} should be a tensor of shape (n,) that holds whole numbers."
        why, yours = answers.no_indices(array), f"yours {expect.show(one)}"
        expect.that(fine, message, detail=yours, diagnosis=why, kind="type")
        arrays.append(array)
    both, message = set(np.concatenate(arrays)), "The tensors hold labels: give the places in y."
    labels = len(arrays[0]) + len(arrays[1]) > len(np.unique(y)) and both <= set(y)
    within = both <= set(range(len(y)))
    all_hold(
        (not labels, message, answers.NO_LABELS), (within, "Some numbers are no index into y.", "")
    )
    return arrays


def partitioned(train, held, y):
    both, times = np.intersect1d(train, held), np.bincount([*train, *held], minlength=len(y))
    given = f"Of {len(y)} indices {len(both)} are in both, {(times == 0).sum()} in none."
    leak, lost = (why(train, held, y) for why in (answers.shared_indices, answers.missing_indices))
    all_hold(
        (len(both) == 0, "Some examples are in both sets.", leak),
        (times.max() <= 1, "Some indices come twice in one set.", ""),
        (times.min() == 1, "Not every example is in one of the two sets.", lost),
        given=given,
    )


def shared(train, held, y, share):
    labels, sizes = np.unique(y, return_counts=True)
    counts = np.array([(y[held] == label).sum() for label in labels])
    fine, why = abs(counts - share * sizes) < 1, answers.wrong_share(train, held, share, y)
    message = "A class gives another share of its examples to held_out."
    detail = f"share = {share}; of the classes' {sizes} examples, {counts} are held out."
    expect.that(fine.all(), message, detail=detail, diagnosis=why)


def seeded(one, again, other, y, moved):
    """one, again: what is held out with one seed; other: with the next."""
    message = "torch's or NumPy's global generator is another one after the call."
    labels, sizes = np.unique(y, return_counts=True)
    # For the two classes of one size, which of their examples, as stored, are held out.
    first, second = (np.isin(np.flatnonzero(y == label), one) for label in labels[sizes == 40])
    at_an_end = 1 in (np.diff(first).sum(), np.diff(second).sum())
    all_hold(
        (moved is False, message, answers.GLOBAL_GENERATOR),
        (set(one) == set(again), "The same seed gives two different splits.", answers.NOT_THE_SEED),
        (not at_an_end, "A class's first or last examples are held out.", answers.STORED_CLASSES),
        ((first | second).any(), "Nothing is held out of the large classes.", ""),
        ((first != second).any(), "Two classes hold out the same places.", answers.SAME_ORDER),
        (set(one) != set(other), "Two seeds give the same split.", "The seed is not used."),
    )


def linear_case(rng, n):
    """(X, y, W, b) of a linear model; the first column of X tells the examples apart."""
    X = np.column_stack([rng.permutation(n) / n, rng.normal(size=(n, 3))])
    y, W, b = rng.integers(3, size=n), rng.normal(size=(3, 4)), rng.normal(size=3)
    # The batch left over is unlike the others, so that a mean of means shows.
    scores, last = X @ W.T + b, n - n % 5
    y[: n // 2], y[last:] = scores.argmax(1)[: n // 2], scores.argmin(1)[last:]
    return [torch.tensor(a) for a in (X, y, W, b)]


def train(learner, X, y, W, b, lr, batch_size, seed, by_mode=False, stir=1):
    """Two epochs of a linear model, in batches as the learner makes them.

    by_mode: in evaluation mode the scores come in another order. stir: seeds the global generator.
    """
    import weakref

    import torch

    calls, losses, weights, hooks, alive = [], [], [], [], [0]

    class Layer(torch.nn.Linear):
        def forward(self, X):
            calls[-1].append(X[:, 0].tolist())
            scores = super().forward(X)
            if scores.requires_grad:
                alive.append(sum(one() is not None for one in hooks[:-1]))
                hook = lambda gradient: None  # noqa: E731  it lives as long as this batch's graph
                scores.register_hook(hook)
                hooks.append(weakref.ref(hook))
            return scores.flip(1) if by_mode and not self.training else scores

    model = torch.nn.Sequential(Layer(*W.T.shape, dtype=torch.float64)).eval()
    model.load_state_dict({"0.weight": W, "0.bias": b})
    X, y = X.clone(), y.clone()
    torch.manual_seed(stir)
    before, generator = torch.get_rng_state(), torch.Generator().manual_seed(seed)
    optimizer = torch.optim.SGD(model.parameters(), lr=lr)
    for _ in range(2):
        calls.append([])
        losses.append(learner.train_one_epoch(model, optimizer, X, y, batch_size, generator))
        weights.append([one.detach().clone() for one in model.parameters()])
    untouched = torch.equal(before, torch.get_rng_state())
    beside = {"graphs": max(alive), "untouched": untouched, "data": [X, y]}
    return {"calls": calls, "losses": losses, "weights": weights, **beside}


ask_train = probe(train)
LOOP = ["utils.training.fit", "utils.training.loop", "utils.training.minibatches"]


# The time limit: torch.optim takes its time to load.
@exercise("train_one_epoch", points=2, time_limit=60, forbids={"train_one_epoch": LOOP})
def train_one_epoch(student, rng):
    cases = [(*linear_case(rng, n), 0.3, 4, int(rng.integers(2**20))) for n in (22, 20, 3)]

    @cache
    def run(at, *more):
        """The learner's report, what right steps along its batches give, and these, by index."""
        got = ask_train(student, *cases[at], *more)
        expect.that(type(got) is dict and {"calls", "losses"} <= got.keys(), "There is no report.")
        epochs = expect.items(got["calls"], 2, what="the epochs")
        batches = [batches_of(calls, cases[at][0]) for calls in epochs]
        right = train(answers.along(batches), *cases[at], *more)
        free = {"calls": [], "losses": []}
        expect.form({**got, **free}, {**right, **free})
        return got, right, batches

    def follows(at, which, *more):
        got, right, _ = run(at, *more)
        options = {"what": f"the list of {which} after each epoch", "rtol": 1e-5}
        given = f"For {len(cases[at][0])} examples in batches of {cases[at][5]}."
        of = lambda own: train(own, *cases[at], *more)[which]  # noqa: E731
        compare("train_one_epoch", of, got[which], right[which], given=given, **options)

    @cache
    def computes(*more, message="This counts once the weights follow from the batches.", why=""):
        with computed("train_one_epoch", message, why, but=answers.NO_STEP):
            follows(0, "weights", *more)

    title = "the weights move as gradient descent moves them"
    with part(title, points=0.7), expect.explained(*answers.NO_SCORES):
        follows(0, "weights")
        follows(1, "weights")
    with part("each epoch goes through every example once, in batches", points=0.4):
        computes()
        for at, case in enumerate(cases):
            for batches in run(at)[2]:
                whole(batches, len(case[0]), case[5])
    with part("in a new random order, drawn from generator", points=0.4):
        computes()
        shuffled(*run(0), run(0, False, 2)[2][0])
    with part("in training mode", points=0.2):
        computes()
        message = "Where the mode matters, as it does for dropout, the weights are others."
        computes(True, message=message, why=answers.NOT_IN_TRAINING)
    with part("the mean loss of the examples is returned", points=0.3):
        for at in range(len(cases)):
            follows(at, "weights")
            follows(at, "losses")
            got, kept = run(at)[0], "The batches' graphs are kept."
            all_hold((got["graphs"] == 0, kept, answers.GRAPHS), plain(got["losses"]))


def batches_of(calls, X):
    """The batches of an epoch, by index. calls: the first column, each time the model was called."""
    n, place = len(X), {x: i for i, x in enumerate(X[:, 0].tolist())}
    fine = type(calls) is list and len(calls) <= 4 * n
    fine = fine and all(type(one) is list and len(one) <= n for one in calls)
    fine = fine and all(type(x) is float and x in place for one in calls for x in one)
    message = "The model was called with other numbers than those of the examples."
    expect.that(fine, message, diagnosis=answers.NOT_X)
    # A second call with the same batch, or with all examples once more, is no batch.
    batches = [[place[x] for x in one] for one, _ in groupby(calls) if one]
    expect.that(batches, "The model was called without examples: nothing was trained.")
    return batches[:-1] if len(batches) > 1 and len(batches[-1]) == n else batches


def whole(batches, n, size):
    sizes, right = sorted(map(len, batches)), sorted(min(size, n - at) for at in range(0, n, size))
    given = f"For {n} examples and batch_size = {size}: batches of {right}; yours {sizes}."
    once, why = sorted(chain(*batches)) == [*range(n)], answers.wrong_batches(batches, n, size)
    other, twice = "The batches have other sizes.", "Some examples come twice, others never."
    all_hold((sizes == right, other, why), (once, twice, why), given=given)


def shuffled(got, right, epochs, again):
    """again: the first epoch with a generator of the same seed, when the global one was another."""
    one, two, again = (list(chain(*epoch)) for epoch in (*epochs, again))
    cuts = [{frozenset(batch) for batch in epoch} for epoch in epochs]
    kept, drawn = expect.alike(got["data"], right["data"]), answers.DRAWN
    all_hold(
        (kept, "X or y is another one after the epochs.", answers.LEFT_IN_ORDER),
        (one != sorted(one), "The examples come in the order they are stored.", answers.STORED),
        (one != two, "Two epochs have the same order.", answers.GOES_ON),
        (cuts[0] != cuts[1], "Two epochs have the same batches.", answers.CUT_FIRST),
        (one == again, "A generator with the same seed gives another order.", drawn),
        (got["untouched"], "The global generator was used.", drawn),
    )


def measure(learner, X, y, W, b, batch_size, training, watch=""):
    """What the learner makes of a model, what this one answers afterwards; are gradients off then?

    watch: where the model has its scores in another order: in training "mode", where a graph is
    made for "gradients", in a batch of too large a "size", or nowhere.
    """
    import torch

    class Layer(torch.nn.Linear):
        def forward(self, X):
            mode, gradients = self.training, torch.is_grad_enabled()
            seen = {"mode": mode, "gradients": gradients, "size": len(X) > batch_size}
            scores = super().forward(X)
            return scores.flip(1) if seen.get(watch) else scores

    model = torch.nn.Sequential(Layer(*W.T.shape, dtype=torch.float64)).train(training)
    model.load_state_dict({"0.weight": W, "0.bias": b})
    result = learner.evaluate(model, X, y, batch_size)
    off = not torch.is_grad_enabled()
    result = list(result) if isinstance(result, tuple) else result
    return result, model(X[:batch_size]).detach(), off


ask_measure = probe(measure)
COURSES_OWN = ["utils.training.evaluate", "utils.training.loop", "utils.training.fit"]


@exercise("evaluate", points=1.5, forbids={"evaluate": COURSES_OWN})
def evaluate(student, rng):
    # So many first that another accuracy is hardly the same by chance.
    sizes = (203, 5, True), (20, 5, False), (3, 5, False), (6, 1, True)
    cases = [(*linear_case(rng, n), *more) for n, *more in sizes]
    watched = [(*linear_case(rng, 23), 5, mode) for mode in (True, False)]

    @cache
    def run(case, watch=""):
        """What the learner's way reports beside what the right one does, by twos."""
        reply, right = ask_measure(student, *case, watch), measure(MISTAKES.right, *case, watch)
        got = expect.items(reply, 3, what="the report")
        expect.form(list(got[1:]), list(right[1:]))
        return list(zip(got, right, strict=True))

    def measures(case, watch=""):
        got, right = run(case, watch)[0]
        given = f"For {len(case[1])} examples and batch_size = {case[4]}."
        expect.items(got, 2, what="the result (loss, accuracy)", given=given)
        options = {"what": ("loss", "accuracy"), "given": given, "rtol": 1e-4}
        compare("evaluate", lambda own: measure(own, *case, watch)[0], got, right, **options)

    @cache
    def sound(watch="", message="This counts once the two numbers are right.", why=""):
        for case in watched:
            with computed("evaluate", message, why):
                measures(case, watch)

    title = "the mean loss and the share right, over the examples"
    with part(title, points=0.6), expect.explained(*answers.IN_EVALUATE):
        for case in cases:
            measures(case)
            all_hold(plain(run(case)[0][0]))
    with part("in evaluation mode", points=0.3):
        sound()
        message = "Where the mode matters, as for batch normalisation, the result is another one."
        sound("mode", message, answers.TRAINING_MODE)
    with part("the model is as it was afterwards", points=0.2):
        sound()
        for case in watched:
            same, in_mode = (expect.alike(*run(case, w)[1], atol=1e-5) for w in ("", "mode"))
            other = "It is in another mode afterwards, or a part of it is."
            all_hold(
                (same, "Its weights are others afterwards.", answers.MEASURE_ONLY),
                (in_mode, other, answers.MODE_BEFORE[case[5]]),
            )
    with part("without gradients", points=0.2):
        sound()
        sound("gradients", "The model ran with gradients on.", answers.GRADIENTS)
        on = not any(run(case)[2][0] for case in watched)
        expect.that(on, "Gradients are still off afterwards.", diagnosis=answers.STILL_OFF)
    with part("in batches of at most batch_size", points=0.2):
        sound()
        message = "The model was called with more examples than batch_size."
        sound("size", message, answers.ALL_AT_ONCE)


@exercise("read_loss_curves", points=1.5)
def read_loss_curves(student, rng):
    for name, known in answers.CURVES.items():
        with part(name, points=0.2):
            expect.choice(student, name, *known)
    with part("keep_epoch", points=0.3):
        got = expect.number(student["keep_epoch"], what="`keep_epoch`")
        lowest, why = got in (4, 5), answers.wrong_epoch(got)  # the same, to the hundredth
        message = "`keep_epoch` is not right yet."
        expect.that(lowest, message, detail=f"yours {got:g}", diagnosis=why)


def stop(learner, losses, patience, states, steps):
    """What one EarlyStopping says of the losses, until it says stop, or what it brings back.

    states: (epochs + 1, 5), the values of the model's tensors in each epoch, the last where training
    goes on to. steps: after so many epochs the copy is put back; 0: only decisions are asked for.
    """
    import torch

    model = torch.nn.BatchNorm1d(1)  # two parameters and three buffers, a number each

    def fill(values):
        for tensor, value in zip(model.state_dict().values(), values, strict=True):
            tensor.fill_(value)

    def read():
        return [float(tensor) for tensor in model.state_dict().values()]

    stopping, decisions = learner.EarlyStopping(patience), []
    for loss, values in zip(losses[: steps or None], states, strict=False):
        fill(values)
        decisions.append(stopping.step(loss, model))
        if not steps and str(decisions[-1]) == "True":
            break
    if not steps:
        return decisions
    stepped = read()
    for _ in range(2):  # what was put back once must not change with the model, either
        fill(states[-1])
        stopping.restore(model)
    back = read()
    return {"parameters": back[:2], "buffers": back[2:4], "before restore": stepped}


ask_stop = probe(stop)


@exercise("early_stopping", points=1.25)
def early_stopping(student, rng):
    cases = [stopping_case(rng, *case) for case in answers.LOSSES]
    said = lambda own: [stop(own, *case, 0) for case in cases]  # noqa: E731
    right = said(MISTAKES.right)

    def decisions():
        got = [ask_stop(student, *case, 0) for case in cases]
        like = [[True] * len(one) for one in got if type(one) is list]
        with expect.otherwise(answers.ON_EACH_WAY):
            return expect.form(got, like, what="the list of decisions")

    def mistakes(got):
        yield from MISTAKES.values("early_stopping", said)
        if decisions() != got:
            yield answers.SHARED, got

    def restored(which, why=""):
        """why: where the parameters are right."""
        for case, steps in zip(cases, map(len, right), strict=True):
            got, wanted = ask_stop(student, *case, steps), stop(MISTAKES.right, *case, steps)
            expect.form(got, wanted)
            of = lambda own: stop(own, *case, steps)[which]  # noqa: B023, E731
            knows = MISTAKES.values("early_stopping", of)
            if why and got["parameters"] == wanted["parameters"]:
                knows = [(why, got[which])]
            message = "After restore, the model is not as it was at the lowest loss."
            with expect.recognised(got[which], knows):
                expect.that(got[which] == wanted[which], message, given=told(case, steps))

    with part("it stops after `patience` epochs without a new lowest loss", points=0.5):
        got = decisions()
        with expect.recognised(got, mistakes(got)):
            for case, yours, mine in zip(cases, map(end, got), map(end, right), strict=True):
                expect.equal(yours, mine, what="the time of its stop", given=told(case))
    with part("restore brings back the weights of the best epoch", points=0.3):
        restored("parameters")
        restored("before restore", answers.IN_STEP)
    with part("and the running means of batch normalisation", points=0.2):
        restored("buffers", answers.BUFFERS)
    with part("stops_after", points=0.25):
        how = "Write below each loss how many epochs have gone by since the lowest one before it."
        known = dict(MISTAKES.written("early_stopping", "stops_after"))
        expect.answer(student, "stops_after", answers.stops_after, known, how, rtol=0.001)


def stopping_case(rng, losses, patience):
    """After some epochs that fall, so that nobody knows beforehand when it ends."""
    before = losses[0] * np.cumprod(rng.uniform(1.02, 1.1, size=int(rng.integers(1, 7))))
    losses = [*map(float, before[::-1].round(4)), *losses]
    return losses, patience, rng.permutation(900)[: 5 * (len(losses) + 1)].reshape(-1, 5).tolist()


def told(case, epochs=None):
    shown = ", ".join(f"{loss:g}" for loss in case[0][:epochs])
    return f"For patience = {case[1]} and the losses {shown}."


def end(decisions):
    return f"after epoch {len(decisions)}" if True in decisions else "never"


@exercise("learning_rate_schedule", points=0.75)
def learning_rate_schedule(student, rng):
    def check(steps, warmup, which, what):
        def of(own):
            return np.array([own.learning_rate_schedule(s, steps, warmup) for s in which])

        given = {"steps": steps, "warmup": warmup}
        got = [student.learning_rate_schedule(s, steps, warmup) for s in which]
        got = np.array([expect.number(one, what="the factor", given=given) for one in got])
        compare("learning_rate_schedule", of, got, what=what, given=given)

    (steps, more, most), warmup = rng.integers(14, 60, size=3).tolist(), rng.integers(3, 12, size=2)
    cases = (steps, int(warmup[0])), (more, more - 1), (most, int(warmup[1])), (steps, 1)
    with part("the rise", points=0.2):
        for n, w in cases:
            check(n, w, range(w), "the rise")
    with part("the half cosine", points=0.25):
        for n, w in cases:
            check(n, w, range(w, n), "the fall")
    with part("without warm-up", points=0.1):
        check(most, 0, range(most), "the fall")
        check(1, 0, range(1), "the fall")
    how = "Put the step into the formula, and multiply the factor by the peak rate."
    for name in ("first_rate", "rate_55"):
        with part(name, points=0.1):
            known = dict(MISTAKES.written("learning_rate_schedule", name))
            expect.answer(student, name, getattr(answers, name), known, how, rtol=0.005)


def queue(learner, grid, held, drawn, weight=0.0, stop_at=0):
    """A sweep whose table holds some rows, interrupted in its run number `stop_at` (0: not).

    A run scores what was drawn for it, by its number, plus `weight` times all the scores that the
    table holds when it begins.
    """
    import json
    import tempfile
    from pathlib import Path

    def rows():
        lines = table.read_text().splitlines() if table.exists() else []
        return [json.loads(line) for line in lines]

    def run(**settings):
        calls.append(settings)
        if len(calls) == stop_at:
            raise KeyboardInterrupt
        scores = [row.get("score", 0.0) for row in rows()]
        return {"score": drawn[len(calls) - 1] + weight * sum(scores)}

    with tempfile.TemporaryDirectory() as folder:
        table, calls = Path(folder) / "runs.jsonl", []
        if held:
            table.write_text("".join(json.dumps(row) + "\n" for row in held))
        try:
            result = learner.sweep(run, grid, str(table))
        except KeyboardInterrupt:
            result = "interrupted"
        return calls, rows(), result


ask_queue = probe(queue)
COURSES_SWEEP = ["utils.training.sweep", "utils.training.sweeps.sweep"]


@exercise("sweep", points=1.5, forbids={"sweep": COURSES_SWEEP})
def sweep(student, rng):
    rates = [float(x) / 100 for x in rng.choice(np.arange(1, 50), 3, replace=False)]
    sizes = [int(x) for x in rng.choice(np.arange(1, 90), 2, replace=False)]
    grid, drawn = {"rate": rates, "size": sizes}, rng.uniform(1, 9, size=60).round(3).tolist()
    given, runs = {"grid": grid}, queue(MISTAKES.right, grid, [], drawn)[0]
    rows = answers.scored(runs, rng.uniform(size=6).round(4).tolist())

    def of(grid, held, at):
        return lambda own: queue(own, grid, held, drawn)[at]

    def report(grid, held, *more, least=0):
        with expect.explained(("JSONDecodeError", answers.NO_LINES)):
            got = ask_queue(student, grid, held, drawn, *more)
        calls, table, result = expect.items(got, 3, what="the report")
        whole = type(calls) is type(table) is list
        whole = whole and all(type(one) is dict for one in [*calls, *table])
        few = "With an empty table, some runs of the grid are not made."
        expect.that(whole, "The report is not whole.")
        expect.that(len(calls) >= least, few, given=given)
        return calls, table, result

    def makes(missing, held):
        """The missing runs, in any order; them, and the table."""
        calls, table, _ = report(grid, held)
        same = len(calls) == len(missing) and all(one in calls for one in missing)
        message = "With some runs in the table already, it makes other runs than the missing ones."
        shown, why = f"Called: {expect.show(calls)}.", answers.wrong_runs(calls, missing, runs)
        expect.that(same, message, given=given, detail=shown, diagnosis=why)
        return calls, table

    with part("every combination once, in the grid's order", points=0.4):
        for whole in (grid, {**grid, "depth": [1, 2]}, {"size": sizes}):
            with expect.explained(*answers.IN_SWEEP):
                calls = report(whole, [])[0]
            runs_of, what = of(whole, [], 0), "the list of runs made"
            with expect.otherwise(answers.wrong_calls(calls, runs_of(MISTAKES.right))):
                compare("sweep", runs_of, calls, what=what, given={"grid": whole})
    with part("each result is in the table before the next run begins", points=0.4):
        calls, table, result = report(grid, [], 0.5, 4, least=4)
        message = "The interrupt did not end the sweep."
        expect.that(result == "interrupted", message, diagnosis=answers.INTERRUPT)
        three = answers.scored(calls[:3], drawn, 0.5)
        with expect.otherwise(answers.wrong_table(table)):
            expect.close(table, three, what="the table after three runs", given=given)
    with part("started again, it makes the missing runs only", points=0.3):
        report(grid, [], least=len(runs))
        calls, table = makes(runs[3:], rows[:3])
        gained = answers.scored(calls, drawn)
        expect.close(table[3:], gained, what="what the table gained", given=given)
    with part("whatever else the table holds", points=0.2):
        report(grid, [], least=len(runs))
        longer = {"seconds": 2.0, **dict(reversed(rows[4].items()))}
        others = [{"rate": rates[0], "size": 91, "score": 1.0}, {"layers": 3}, longer]
        with expect.explained(("KeyError", answers.OTHER_ROWS)):
            _, table = makes([*runs[:4], runs[5]], others)
        message = "Rows that the table held are gone."
        expect.that(table[:3] == others, message, diagnosis="Add to the file's end.")
    with part("it returns the rows of all runs, in the grid's order", points=0.2):
        for held in ([], [rows[4], rows[1]]):
            calls, _, result = report(grid, held)
            done = [*held, *answers.scored(calls, drawn)]
            right = [next((r for r in done if one.items() <= r.items()), {}) for one in runs]
            expect.that(all(right), "Some runs of the grid were not made.", given=given)
            options = {"what": "the list of rows", "given": given}
            compare("sweep", of(grid, held, 2), result, right, **options)
