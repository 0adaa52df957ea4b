"""Checks of lab 02: softmax, cross-entropy, and a multilayer perceptron's backward pass.

`slopes`, `network` and `training` are plain functions here: the learner's process runs them as
probes, and the judge on the right answers and the known wrong ones.
"""

from itertools import pairwise

import numpy as np
from sklearn.datasets import load_digits

from grading.answer.exercise import exercise, part
from grading.answer.fault import Fault
from grading.answer.student import call_again, probe, twice
from grading.checks import expect
from grading.checks.answers import backprop as answers

MISTAKES = answers.MISTAKES
LIBRARIES = ["torch", "scipy", "sklearn"]  # a call of which would do an exercise's work


def numbers(rng, *shape):
    """Numbers to read easily, with one decimal, no two the same, from −3 to 3 without 0."""
    return rng.choice(np.r_[-30:0, 1:31] / 10, size=shape, replace=False)


def slopes(learner, x, A, eps):
    """The gradient of a cubic at x, by the learner's numerical_gradient; and x after the call."""
    import numpy as np

    def f(x):
        return float(np.sum(A * x**3) + np.sum(x) ** 2)

    return learner.numerical_gradient(f, x, eps), x


@exercise("numerical_gradient", points=1, forbids={"numerical_gradient": LIBRARIES})
def numerical_gradient(student, rng):
    eps = 0.1  # so long that a one-sided difference is quite another number

    def check():
        """Yields x, and what it holds after the call."""
        for shape in ((3,), (2, 3), (1,), (2, 1, 2)):
            x, A = numbers(rng, *shape), abs(numbers(rng, *shape))
            of = lambda own, x=x, A=A: slopes(own, x.copy(), A, eps)[0]  # noqa: E731
            knows = MISTAKES.values("numerical_gradient", of)
            got, after = expect.items(probe(slopes)(student, x, A, eps), 2)
            inputs = f"A = {expect.show(A)}, x = {expect.show(x)}, eps = {eps}"
            given = f"For f(x) = sum(A·x³) + sum(x)², {inputs}."
            with expect.otherwise(
                shape="Go over np.ndindex(x.shape), each slope at its own index."
            ):
                expect.close(got, of(answers), what="the gradient", given=given, knows=knows)
            yield x, after

    with part("a central difference for each number, in arrays of any shape", points=0.7):
        list(check())
    with part("x is left as it was", points=0.3):
        for x, after in check():
            expect.that(
                type(after) is np.ndarray
                and after.shape == x.shape
                and np.allclose(after, x, rtol=0, atol=1e-9),
                "After the call, x holds other numbers than before.",
                detail=f"x was {expect.show(x)} and is {expect.show(after)}.",
                diagnosis="What is moved in place has to be put back, the last number too."
                " Or move things in a copy.",
            )


@exercise("softmax", points=1, forbids={"softmax": LIBRARIES})
def softmax(student, rng):
    def check(S, **exact):
        sums = "Its rows do not sum to 1: divide by the sum of just what stands above the line."
        P = answers.softmax(S)
        with expect.otherwise(sums if _sums_differ(student.softmax(S), P) else ""):
            expect.answers(student, MISTAKES, "softmax", {"S": S}, what="P", **exact)

    with part("each row becomes probabilities of its own", points=0.5):
        check(numbers(rng, 3, 3))
        check(numbers(rng, 2, 4))
    with part("scores of a thousand are no trouble", points=0.35):
        near = rng.integers(-6, 7, size=(4, 4)) / 2  # exact, with the thousands
        thousands = [[1000.0] * 4, [-1000.0] * 4, [0.0, 1000.0, 0.0, -1000.0], [0.0] * 4]
        overflow = "Only a difference of scores is safe in the exponential: subtract, then exp."
        with expect.explained(("OverflowError", overflow)):
            check(near + np.array(thousands), rtol=1e-10, atol=1e-15)
    with part("one image alone is a batch of one", points=0.15):
        check(numbers(rng, 1, 5))


def _sums_differ(got, right):
    if type(got) is not np.ndarray or got.shape != right.shape or got.dtype.kind != "f":
        return False
    sums = got.sum(axis=1)
    return np.isfinite(sums).all() and not np.allclose(sums, 1, rtol=1e-6)


@exercise("cross_entropy", points=1.5, forbids={"cross_entropy": LIBRARIES}, stands_on=["softmax"])
def cross_entropy(student, rng):
    def check(at, *batches, hopeless=False):
        name, whole = ("the loss", "dS")[at], "the result (loss, dS)"
        for S, y in batches:
            given, right = {"S": S, "y": y}, answers.cross_entropy(S, y)[at]
            knows = ((why, two[at]) for why, two in MISTAKES.call("cross_entropy", S, y))
            got = expect.items(twice(student).cross_entropy(S, y), 2, what=whole, given=given)[at]
            with expect.otherwise(_why_hopeless(got, right) if hopeless else ""):
                knows = () if hopeless else knows  # many ways lead to an infinite loss
                expect.close(got, right, what=name, given=given, knows=knows)
            expect.unchanged(student, given=given)
            again = expect.items(call_again(student), 2, what=whole)[at]
            expect.close(again, right, what=f"{name} of a second call", given=given)

    # Positive, so that they have logarithms; in no row does the right class have the best score.
    S, y = rng.uniform(0.2, 2.5, size=(3, 4)), np.array([2, 0, 0])
    S[np.arange(3), (y + 1) % 4] = rng.uniform(2.6, 3.0, size=3)
    alone = numbers(rng, 1, 3), rng.integers(3, size=1)
    with part("the loss: the mean of −log of the right class's probability", points=0.4):
        check(0, (S, y), alone)
    with part("the gradient: how the mean loss moves with each score", points=0.5):
        check(1, (S, y), alone)
    with part("it stays finite and exact when the right class is hopeless", points=0.35):
        S = rng.normal(size=(2, 3)) + np.array([[1000.0, 0.0, 0.0], [0.0, 0.0, -900.0]])
        check(0, (S, np.array([1, 2])), hopeless=True)
        check(1, (S, np.array([1, 2])))
    with part("loss_of_a_guess", points=0.25):
        how = (
            "Put the probability that the right class gets into the formula of the loss, or give"
            " your cross_entropy ten equal scores."
        )
        known = dict(MISTAKES.written("cross_entropy", "loss_of_a_guess"))
        expect.answer(student, "loss_of_a_guess", answers.loss_of_a_guess, known, how, rtol=0.003)


def _why_hopeless(got, right):
    if not isinstance(got, float | np.floating):
        return ""
    if not np.isfinite(got):
        return (
            "A probability that rounds to 0 has the logarithm −∞, an exponential that overflows"
            " makes NaN. Write the logarithm out: the score, minus the row's largest, minus the"
            " logarithm of the sum."
        )
    hidden = (
        "Is a small number added inside the logarithm, or a probability clipped? That hides how"
        " wrong the network is. A difference of scores needs neither."
    )
    return hidden if 0 < got < 0.9 * right else ""


@exercise("activation_backward", points=1)
def activation_backward(student, rng):
    for kind in ("sigmoid", "tanh", "relu"):
        with part(f"back through {kind}", points=0.25):
            dA, Z = abs(numbers(rng, 2, 3)), abs(numbers(rng, 2, 3))
            usual = dA * [[1, 1, -1], [-1, 1, 1]], Z * [[1, -1, 1], [-1, 1, -1]]
            edges = numbers(rng, 8), np.array([0.0, 800.0, -800.0, -0.0, 30.0, -30.0, 0.5, -0.5])
            for dA, Z in (usual, edges):
                given = {"dA": dA, "Z": Z, "kind": kind}
                expect.answers(
                    student, MISTAKES, "activation_backward", given, what=f"dZ for {kind}"
                )
    with part("dL_dw, by hand", points=0.25):
        how = "Follow the arrows from w to L and multiply the local slopes."
        known = dict(MISTAKES.written("activation_backward", "dL_dw"))
        expect.answer(student, "dL_dw", answers.dL_dw, known, how, rtol=0.005)


@exercise("linear", points=1.5)
def linear(student, rng):
    batches = [
        [numbers(rng, *shape) for shape in ((n, d), (d, h), (h,), (n, h))]
        for n, d, h in ((2, 2, 2), (4, 3, 2), (1, 2, 3))
    ]
    with part("forward: Y = X W + b", points=0.3):
        for X, W, b, _ in batches:
            given = {"X": X, "W": W, "b": b}
            expect.answers(student, MISTAKES, "linear_forward", given, what="Y", exercise="linear")
    whole = "the result (dX, dW, db)"
    for at, name in enumerate(("dX", "dW", "db")):
        with part(f"backward: {name}", points=0.4):
            for X, W, _, dY in batches:
                given, right = {"dY": dY, "X": X, "W": W}, answers.linear_backward(dY, X, W)[at]
                of = lambda own, at=at, given=given: own.linear_backward(  # noqa: E731
                    *(one.copy() for one in given.values())
                )[at]
                knows = MISTAKES.values("linear", of, "linear_backward")
                got = twice(student).linear_backward(dY, X, W)
                three = expect.items(got, 3, what=whole, given=given)
                expect.close(three[at], right, what=name, given=given, knows=knows)
                expect.unchanged(student, given=given)
                again = expect.items(call_again(student), 3, what=whole)
                expect.close(again[at], right, what=f"{name} of a second call", given=given)


def network(learner, plan, batches, rate):
    """The scores of an MLP with these W and b; or, with dS, its dW, db, W and b after all."""
    sizes, kind, W, b = plan
    model = learner.MLP(sizes, kind, 0)
    model.W, model.b = [one.copy() for one in W], [one.copy() for one in b]
    for X, dS in batches:
        scores = model.forward(X)
        if dS is not None:
            model.backward(dS)
    if batches[-1][1] is None:
        return scores
    dW, db = model.dW, model.db
    if rate:
        model.step(rate)
    return dW, db, model.W, model.b


# What Python's and NumPy's words mean in an MLP.
IN_NETWORK = (
    (
        "ValueError",
        "If shapes do not meet: linear_backward takes (dY, X, W). Backward begins with the last"
        " layer; layer i's dX goes back through the activation of layer i − 1, if there is one, so at"
        " what layer i − 1 gave before it.",
    ),
    ("attribute 'd", "backward sets self.dW and self.db; what it returns is not used."),
    ("IndexError", "forward keeps an entry for each layer, the last one too: is one missing?"),
)
MOVED = "backward moved the weights itself: that is for step to do."
ANEW = "What forward keeps for backward, and the lists dW and db, are of this batch only: start them anew."


@exercise(
    "MLP", points=1.5, forbids={"MLP": LIBRARIES}, stands_on=["activation_backward", "linear"]
)
def MLP(student, rng):
    def check(case, *batches, rate=None, means=IN_NETWORK):
        sizes, kind = case
        W = [rng.normal(size=shape) for shape in pairwise(sizes)]
        plan = [list(sizes), kind, W, [rng.normal(size=size) for size in sizes[1:]]]
        given = f"For MLP({list(sizes)}, {kind!r}, …) with random W and b."
        of = lambda own: network(own, plan, batches, rate)  # noqa: E731
        right, known = of(answers), lambda: MISTAKES.values("MLP", of)
        with expect.explained(*means):
            got = probe(network)(student, plan, [list(one) for one in batches], rate)
        if type(right) is not tuple:
            expect.close(got, right, what="S", given=given, knows=known(), rtol=1e-4, atol=1e-6)
            return
        four = expect.items(got, 4, what="the report")
        knows = ((why, wrong[:2]) for why, wrong in known())
        _lists(tuple(four[:2]), right[:2], ("dW", "db"), given, knows)
        if rate is not None:
            knows = ((why, wrong[2:]) for why, wrong in known()) if rate else None
            with expect.otherwise("" if rate else MOVED):
                _lists(tuple(four[2:]), right[2:], ("W", "b"), given, knows)

    def batch(case, n=5):
        return rng.normal(size=(n, case[0][0])), rng.normal(size=(n, case[0][-1]))

    cases = (((3, 4, 2), "tanh"), ((4, 5, 3, 2), "sigmoid"), ((3, 6, 4, 2), "relu"))
    with part("forward: the scores", points=0.4):
        for case in (*cases, ((3, 2), "relu")):
            check(case, (batch(case)[0], None))
    with part("backward: dW and db of every layer", points=0.6):
        for case in cases:
            check(case, batch(case))
    with part("a second batch starts afresh", points=0.15):
        check(cases[0], batch(cases[0]), rate=0.0)
        with expect.otherwise(ANEW, exception=ANEW):
            check(cases[0], batch(cases[0]), batch(cases[0], n=7), means=IN_NETWORK[1:])
    with part("step moves W and b against their gradients, and only step does", points=0.35):
        for case in cases[:2]:
            check(case, batch(case), rate=0.0)
            check(case, batch(case), rate=float(rng.uniform(0.1, 0.5)))


def _lists(got, expected, names, given, knows):
    """Two lists of arrays, one array a layer: on a fault, which are right and which are not."""
    near = {"rtol": 1e-4, "atol": 1e-6}
    try:
        expect.close(got, expected, what=names, given=given, knows=knows, **near)
    except Fault as fault:
        right, wrong = [], []
        for name, ours, theirs in zip(names, expected, got, strict=True):
            for i, array in enumerate(ours):
                one = theirs[i] if type(theirs) is list and i < len(theirs) else None
                same = type(one) is np.ndarray and one.shape == array.shape
                same = same and one.dtype.kind == "f" and np.allclose(one, array, **near)
                (right if same else wrong).append(f"{name}[{i}]")
        listed = f"Right: {', '.join(right)}. Wrong: {', '.join(wrong)}."
        listed = "None is right." if not right else listed if wrong else ""
        fault.detail = f"{fault.detail} {listed}".strip()
        fault.expected = fault.got = ""  # pages of numbers
        raise


def training(learner, W, X, y, rates, batch_size, seed):
    """Train a small model; what it was called with, in order, and what came out."""
    import numpy as np

    names, values = [], []

    def note(name, value):
        names.append(name)
        values.append(np.array(value, dtype=float))

    class Model:
        def __init__(self):
            self.W, self.dW = W.copy(), 0.0

        def forward(self, X):
            note("forward", X)
            self.X = np.array(X)
            return self.X @ self.W

        def backward(self, dS):
            note("backward", dS)
            self.dW = self.X.T @ dS if np.ndim(dS) == 2 else 0.0

        def step(self, lr):
            note("step", lr)
            self.W = self.W - float(lr) * self.dW

    def loss(S, y):
        note("scores", S)
        note("loss", y)
        angle = S + y[:, None]
        return float(np.mean(np.sin(angle))), np.cos(angle) / S.size

    model, X, y = Model(), X.copy(), y.copy()
    losses = learner.train_mlp(model, loss, X, y, rates, batch_size, np.random.default_rng(seed))
    return losses, names, values, model.W, X, y


ARGUMENTS = (
    "The check brings a model and a loss of its own: call the arguments, not MLP or cross_entropy,"
    " with the rows of one batch, (n, D); loss takes their scores and then their labels, (n,)."
)


def replayed(report, W, X, y):
    """The steps of a reported training, (rows, labels, rate) each; a Fault where the numbers in the
    report do not follow from them. With them the loss of each."""
    _, names, values, end, *_ = expect.items(report, 6, what="the report")
    for one in (names, values):
        expect.that(type(one) is list and len(one) == len(names), "The report is no report.")
    expect.that("step" in names, "No step was made.")
    steps, made, now = [], [], {}
    order = (
        "For each batch: forward, loss, backward, step, in this order. A step before backward"
        " moves by the gradients of an earlier batch."
    )
    second = "loss returns two things: backward takes the second, as it is."
    for name, value in zip(names, values, strict=True):
        now[name] = value
        if name != "step":
            continue
        expect.that("backward" in now, "A step is made before backward.", diagnosis=order)
        expect.that(
            {"forward", "scores", "loss"} <= set(now), "A step without a loss.", diagnosis=ARGUMENTS
        )
        batch = expect.array(now["forward"], (None, X.shape[1]), what="what `forward` was given")
        labels = expect.array(now["loss"], (len(batch),), what="the labels that `loss` was given")
        rate = float(expect.array(value, (), what="the rate that `step` was given"))
        same = (batch[:, None] == X).all(axis=2)
        expect.that(same.any(axis=1).all(), "`forward` was given rows that are not X's.")
        angle = batch @ W + labels[:, None]
        dS = np.cos(angle) / angle.size
        scores = "loss takes the scores as they are: a softmax, or another change, belongs to it."
        as_given = now["scores"].shape == angle.shape and np.allclose(now["scores"], batch @ W)
        expect.that(as_given, "loss was given other scores than forward's.", diagnosis=scores)
        message = "backward was given something else than the gradient."
        near = now["backward"].shape == dS.shape and np.allclose(now["backward"], dS)
        expect.that(near, message, diagnosis=second)
        W = W - rate * batch.T @ dS
        steps.append((same.argmax(axis=1), labels, rate))
        made.append(float(np.mean(np.sin(angle))))
        now = {}
    expect.close(end, W, what="what the model has learnt")
    return steps, made


@exercise("train_mlp", points=1.5, stands_on=["MLP", "cross_entropy"])
def train_mlp(student, rng):
    rates = [0.4, 0.2, 0.1]

    def check(n, batch_size, seeds=1):
        """Yields, for each seed: the epochs, each a list of steps; the losses; and the report."""
        W, X, y = rng.normal(size=(4, 3)), rng.normal(size=(n, 4)), rng.permutation(n) % 7
        given = f"For {n} examples, batch_size = {batch_size}, rates = {rates}."
        seed = int(rng.integers(2**20))
        for one in [seed, seed, seed + 1][:seeds]:
            of = lambda own, one=one: training(own, W, X, y, rates, batch_size, one)  # noqa: E731
            with expect.otherwise(exception=ARGUMENTS):
                report = probe(training)(student, W, X, y, rates, batch_size, one)
            steps, made = replayed(report, W, X, y)
            full = (
                "Each batch has batch_size examples, only the last of an epoch may have fewer: it goes"
                " from start to start + batch_size, and the next begins there."
            )
            knows = MISTAKES.values("train_mlp", lambda own, of=of: count(of(own)))
            what, right = (
                ("the number of steps", "the number of examples in them"),
                -(-n // batch_size),
            )
            right = right * len(rates), n * len(rates)
            with expect.otherwise(full):
                expect.close(count(report), right, what=what, given=given, knows=knows)
            each = right[0] // len(rates)
            epochs = [steps[i : i + each] for i in range(0, right[0], each)]
            yield epochs, made, report, X, y, of, given

    cases = ((23, 5), (12, 4), (3, 5))
    with part("each epoch uses every example once, in batches", points=0.4):
        for n, size in cases:
            for epochs, *_, given in check(n, size):
                for steps in epochs:
                    rows = np.concatenate([rows for rows, *_ in steps])
                    sizes = sorted((len(rows) for rows, *_ in steps), reverse=True)
                    wanted = [size] * (n // size) + [n % size] * (n % size > 0)
                    full = "Only the last batch of an epoch may have fewer than batch_size."
                    expect.that(
                        sizes == wanted,
                        "The batches have other sizes.",
                        given=given,
                        diagnosis=full,
                    )
                    why = "An epoch goes through one permutation of all indices from end to end."
                    message = "Some examples come twice in an epoch, others never."
                    once = sorted(rows.tolist()) == list(range(n))
                    expect.that(once, message, given=given, diagnosis=why)
    with part("every example goes with its own label", points=0.25):
        for epochs, _, report, X, y, _, given in check(*cases[0]):
            why = "Pick the rows of X and the entries of y with the same indices."
            own = all(np.array_equal(labels, y[rows]) for one in epochs for rows, labels, _ in one)
            expect.that(own, "Images meet the labels of other images.", given=given, diagnosis=why)
            why = "They are the caller's own: pick a batch from them, X[batch], and leave them."
            kept = all(np.array_equal(a, b) for a, b in zip(report[4:], (X, y), strict=True))
            expect.that(kept, "It changes X or y in place.", given=given, diagnosis=why)
    with part("each epoch has a new random order", points=0.25):
        runs = []
        for epochs, *_, given in check(*cases[0], seeds=3):
            orders = [np.concatenate([rows for rows, *_ in one]).tolist() for one in epochs]
            runs.append(orders)
            why, stored = "Draw a new permutation in every epoch.", list(range(cases[0][0]))
            message = "The examples come in the order in which they are stored."
            expect.that(stored not in orders, message, given=given, diagnosis=why)
            new = all(orders.count(one) == 1 for one in orders)
            expect.that(new, "Two epochs have one order.", given=given, diagnosis=why)
        why = "rng.permutation draws from the argument rng: with it, a training can be repeated."
        message = "The order does not come from rng."
        expect.that(runs[0] == runs[1] != runs[2], message, given=given, diagnosis=why)
    with part("each epoch has its learning rate, each batch its loss", points=0.2):
        for epochs, made, report, X, _, of, given in check(*cases[0]):
            used = [rate for steps in epochs for *_, rate in steps]
            right = [rate for rate, steps in zip(rates, epochs, strict=True) for _ in steps]
            knows = MISTAKES.values("train_mlp", lambda own, of=of: rates_used(of(own)))
            expect.close(used, right, what="the list of rates", given=given, knows=knows)
            again = lambda own, made=made, X=X: losses_kept(own, made, X, rates, 5)  # noqa: E731
            knows = MISTAKES.values("train_mlp", again)
            expect.close(report[0], made, what="the list of losses", given=given, knows=knows)
    with part("your network reads digits that it has not seen", points=0.4):
        _check_digits(student, rng)


def count(report):
    """How many steps were made, and with how many examples together."""
    used, batch = [], 0
    for name, value in zip(report[1], report[2], strict=True):
        batch = len(value) if name == "forward" else batch
        used += [batch] if name == "step" else []
    return len(used), sum(used)


def rates_used(report):
    return [
        float(value) for name, value in zip(report[1], report[2], strict=True) if name == "step"
    ]


def losses_kept(own, made, X, rates, batch_size):
    """What a train_mlp returns where the losses of the batches are `made`, in any order of rows."""
    values = iter(made)

    class Model:
        def forward(self, X):
            return X

        def backward(self, dS):
            pass

        def step(self, lr):
            pass

    loss = lambda S, y: (next(values), S)  # noqa: E731
    y, rng = np.zeros(len(X), int), np.random.default_rng(0)
    return own.train_mlp(Model(), loss, X, y, rates, batch_size, rng)


def trained(learner, X, y, rates, seed, others):
    """The scores of other images, after a training."""
    import numpy as np

    model = learner.MLP([64, 40, 10], "relu", seed)
    learner.train_mlp(model, learner.cross_entropy, X, y, rates, 32, np.random.default_rng(seed))
    return model.forward(others)


def _check_digits(student, rng):
    X, y = load_digits(return_X_y=True)
    order, pixels = rng.permutation(len(X)), rng.permutation(64)
    X, y = (X[order][:, pixels] / 16).astype(np.float32), rng.permutation(10)[y[order]]
    rates, seed = np.linspace(0.2, 0.02, 20).tolist(), int(rng.integers(2**31))
    S = probe(trained)(student, X[:1200], y[:1200], rates, seed, X[1200:])
    expect.array(S, (len(X) - 1200, 10), what="S")
    accuracy = float(np.mean(np.argmax(S, axis=1) == y[1200:]))
    expect.that(
        accuracy >= 0.9,
        "After training on 1,200 small digits, too few of the others are read right.",
        detail=f"expected 90 % or more   yours {accuracy:.1%}",
        diagnosis="Your cross_entropy and MLP were used, too: if the parts above pass, do exercises"
        " 3 and 6?",
    )


@exercise("gradient_by_depth", points=1)
def gradient_by_depth(student, rng):
    with part("shrink_per_layer", points=0.5):
        how = (
            "Divide the last number in the sigmoid's column by the first. How often was the factor"
            " applied between the two?"
        )
        known = dict(MISTAKES.written("gradient_by_depth", "shrink_per_layer"))
        right = answers.shrink_per_layer
        expect.answer(student, "shrink_per_layer", right, known, how, rtol=0.1)
    with part("why_relu", points=0.5):
        wrong = {
            "b": "The outputs are not what the gradient is multiplied by on its way back. What is?",
            "c": "An activation has no parameters, neither the sigmoid nor ReLU.",
            "d": "Look at your picture of the slopes, after exercise 4.",
        }
        expect.choice(student, "why_relu", answers.why_relu, wrong)
