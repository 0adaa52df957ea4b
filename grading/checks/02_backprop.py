"""Checks of lab 02: softmax, cross-entropy, and a multilayer perceptron's backward pass."""

from contextlib import contextmanager

import numpy as np
from sklearn.datasets import load_digits

from grading.answer.exercise import exercise, part
from grading.answer.fault import Fault
from grading.answer.student import probe
from grading.checks import expect
from grading.checks.answers import backprop as answers

OWN_OUTPUT = (
    "If shapes do not meet: layer i's dX goes back through the activation of layer i − 1, so at"
    " what layer i − 1 gave before it."
)
LIBRARIES = ["torch", "scipy", "sklearn"]  # a call of which would do an exercise's work


@exercise("softmax", points=1, forbids={"softmax": LIBRARIES})
def judge_softmax(student, rng):
    def judge(S, right, known):
        got = student.softmax(S)
        with expect.otherwise(_why_not_shares(got, right)):
            expect.close(got, right, what="P", given={"S": S}, knows=known)
        expect.unchanged(student)

    with part("each row becomes probabilities of its own", points=0.5):
        for shape in ((3, 3), (2, 4)):
            S = answers.numbers(rng, *shape)
            judge(S, *answers.softmax(S))
    with part("scores of a thousand are no trouble", points=0.35):
        near = rng.integers(-6, 7, size=(3, 4)) / 2  # exact in float32 too, with the thousands
        S = near + np.array([[1000.0] * 4, [-1000.0] * 4, [0.0, 1000.0, 0.0, -1000.0]])
        overflow = "Only a difference of scores is safe in the exponential: subtract, then exp."
        with _raising("OverflowError", overflow):
            judge(S, *answers.softmax_of_thousands(S))
    with part("one image alone is a batch of one", points=0.15):
        S = answers.numbers(rng, 1, 5)
        judge(S, *answers.softmax(S))


@contextmanager
def _raising(error, diagnosis):
    """Gives a diagnosis to a fault that is this exception in the learner's code."""
    try:
        yield
    except Fault as fault:
        if fault.kind == "exception" and error in f"{fault.message} {fault.detail}":
            fault.diagnosis = fault.diagnosis or diagnosis
        raise


def _why_not_shares(got, right):
    if type(got) is not np.ndarray or got.shape != right.shape or got.dtype.kind != "f":
        return ""
    sums = got.sum(axis=1)
    if np.isfinite(sums).all() and not np.allclose(sums, 1, rtol=1e-6):
        return "Its rows do not sum to 1: divide by the sum of just what stands above the line."
    return ""


@exercise("cross_entropy", points=1.5, forbids={"cross_entropy": LIBRARIES})
def judge_cross_entropy(student, rng):
    # Positive, so that they have logarithms; in no row does the right class have the best score.
    S, y = rng.uniform(0.2, 2.5, size=(3, 4)), np.array([2, 0, 0])
    S[np.arange(3), (y + 1) % 4] = rng.uniform(2.6, 3.0, size=3)

    def answer(S, y, which):
        got = student.cross_entropy(S, y)
        return expect.items(got, 2, what="the result (loss, dS)", given={"S": S, "y": y})[which]

    given = {"S": S, "y": y}
    with part("the loss: the mean of −log of the right class's probability", points=0.4):
        right, known = answers.loss(S, y)
        expect.close(answer(S, y, 0), right, what="the loss", given=given, knows=known)
    with part("the gradient: the probability given minus the one due, as a mean", points=0.5):
        right, known = answers.score_gradient(S, y)
        expect.close(answer(S, y, 1), right, what="dS", given=given, knows=known)
        expect.unchanged(student)
    with part("it stays finite and exact when the right class is hopeless", points=0.35):
        S = rng.normal(size=(2, 3)) + np.array([[1000.0, 0.0, 0.0], [0.0, 0.0, -900.0]])
        y = np.array([1, 2])
        _judge_hopeless(answer(S, y, 0), S, y)
        right, known = answers.score_gradient(S, y)
        expect.close(answer(S, y, 1), right, what="dS", given={"S": S, "y": y}, knows=known)
    with part("loss_of_a_guess", points=0.25):
        how = (
            "Put the probability that the right class gets into the formula of the loss, or give"
            " your cross_entropy ten equal scores."
        )
        expect.answer(student, "loss_of_a_guess", *answers.loss_of_a_guess(), how, rtol=0.003)


def _judge_hopeless(loss, S, y):
    given, (right, known) = {"S": S, "y": y}, answers.loss(S, y)
    what = "the loss for such scores"
    try:
        loss = expect.number(loss, what=what, given=given)
    except Fault as fault:
        if fault.kind == "value":
            fault.diagnosis = (
                "A probability that rounds to 0 has the logarithm −∞, an exponential that overflows"
                " makes NaN. Write the logarithm out: the score, minus the row's largest, minus the"
                " logarithm of the sum."
            )
        raise
    hidden = (
        "Is a small number added inside the logarithm, or a probability clipped? That hides how"
        " wrong the network is. A difference of scores needs neither."
    )
    with expect.otherwise(hidden if 0 < loss < 0.9 * right else ""):
        expect.close(loss, right, what=what, given=given, knows=known)


@probe
def numerical_gradient(learner, x, A, eps):
    import numpy as np

    def f(x):
        return float(np.sum(A * x**3) + np.sum(x) ** 2)

    return learner.numerical_gradient(f, x, eps), x


@exercise("numerical_gradient", points=1, forbids={"numerical_gradient": LIBRARIES})
def judge_numerical_gradient(student, rng):
    eps = 0.1  # so long that a one-sided difference is quite another number
    shapes = ((3,), (2, 3))
    inputs = [(answers.numbers(rng, *size), abs(answers.numbers(rng, *size))) for size in shapes]

    def judge(x, A):
        """Returns what x holds after the call."""
        right, known = answers.central_difference(x, A, eps)
        got, after = expect.items(numerical_gradient(student, x, A, eps), 2)
        inputs = f"A = {expect.show(A)}, x = {expect.show(x)}, eps = {eps}"
        given = f"For f(x) = sum(A·x³) + sum(x)², {inputs}."
        shape = "Go over np.ndindex(x.shape), and put each slope at its own index."
        with expect.otherwise(shape=shape):
            expect.close(got, right, what="the gradient", given=given, knows=known)
        return after

    with part("a central difference for each number, in arrays of any shape", points=0.5):
        for x, A in inputs:
            judge(x, A)
    with part("x is left as it was", points=0.25):
        for x, A in inputs:
            after = judge(x, A)
            expect.that(
                type(after) is np.ndarray and np.allclose(after, x, rtol=0, atol=1e-9),
                "After the call, x holds other numbers than before.",
                detail=f"x was {expect.show(x)} and is {expect.show(after)}.",
                diagnosis="What is moved in place has to be put back, the last number too."
                " Or move things in a copy.",
            )
    with part("best_eps", points=0.25):
        how = "Run the picture below this check: where is the central curve lowest?"
        expect.answer(student, "best_eps", *answers.best_eps(), how, rtol=0.01)


@exercise("activation_backward", points=1)
def judge_activation_backward(student, rng):
    for kind in answers.ACTIVATIONS:
        with part(f"back through {kind}", points=0.25):
            dA, Z = abs(answers.numbers(rng, 2, 3)), abs(answers.numbers(rng, 2, 3))
            dA, Z = dA * [[1, 1, -1], [-1, 1, 1]], Z * [[1, -1, 1], [-1, 1, -1]]
            right, known = answers.through_activation(dA, Z, kind)
            given = {"dA": dA, "Z": Z, "kind": kind}
            got = student.activation_backward(dA, Z, kind)
            expect.close(got, right, what=f"dZ for {kind}", given=given, knows=known)
            expect.unchanged(student)
    with part("dL_dw, by hand", points=0.25):
        how = "Follow the arrows from w to L and multiply the local slopes."
        expect.answer(student, "dL_dw", *answers.slope_by_hand(), how, rtol=0.005)


@exercise("linear", points=1.5)
def judge_linear(student, rng):
    batches = [
        [answers.numbers(rng, *shape) for shape in ((n, d), (d, h), (h,), (n, h))]
        for n, d, h in ((2, 2, 2), (4, 3, 2))
    ]
    with part("forward: Y = X W + b", points=0.3):
        for X, W, b, _ in batches:
            right, known = answers.linear_forward(X, W, b)
            got, given = student.linear_forward(X, W, b), {"X": X, "W": W, "b": b}
            expect.close(got, right, what="Y", given=given, knows=known)
            expect.unchanged(student)
    for which, name in enumerate(("dX", "dW", "db")):
        with part(f"backward: {name}", points=0.4):
            for X, W, _, dY in batches:
                right, known = answers.linear_backward(name, dY, X, W)
                got, given = student.linear_backward(dY, X, W), {"dY": dY, "X": X, "W": W}
                three = expect.items(got, 3, what="the result (dX, dW, db)", given=given)
                expect.close(three[which], right, what=name, given=given, knows=known)
                expect.unchanged(student)


@probe
def MLP(learner, sizes, kind, W, b):
    model = learner.MLP(sizes, kind, 0)
    model.W, model.b = W, b
    return model


@exercise("MLP", points=1.5, forbids={"MLP": LIBRARIES})
def judge_mlp(student, rng):
    plans = (((3, 4, 2), "tanh"), ((4, 5, 3, 2), "sigmoid"), ((3, 6, 4, 2), "relu"))
    plans = [(list(sizes), kind, *answers.parameters(rng, sizes)) for sizes, kind in plans]
    batches = [(rng.normal(size=(5, plan[0][0])), rng.normal(size=(5, 2))) for plan in plans]
    givens = [f"For MLP({sizes}, {kind!r}, …) with random W and b." for sizes, kind, *_ in plans]
    cases = list(zip(plans, batches, givens, strict=True))

    with part("forward: the scores", points=0.4):
        for plan, (X, _), given in cases:
            right, known = answers.scores(*plan[1:], X)
            got = MLP(student, *plan).forward(X)
            expect.close(got, right, what="S", given=given, knows=known, rtol=1e-4, atol=1e-6)
    with part("backward: dW and db of every layer", points=0.6):
        for plan, batch, given in cases:
            right, known = answers.gradients(*plan[1:], *batch)
            model = MLP(student, *plan)
            with _raising("ValueError", OWN_OUTPUT):
                _lists(_gradients(model, batch), right, ("dW", "db"), given, known)
    with part("a second batch starts afresh", points=0.15):
        plan, (X, dS), given = cases[0]
        two = [(X, dS), (rng.normal(size=(7, 3)), rng.normal(size=(7, 2)))]
        right, known = answers.second_gradients(*plan[1:], two)
        model = MLP(student, *plan)
        first, known_first = answers.gradients(*plan[1:], *two[0])
        with _raising("ValueError", OWN_OUTPUT):
            _lists(_gradients(model, two[0]), first, ("dW", "db"), given, known_first)
        _judge_unmoved(model, plan[2:], given)
        why = (
            "What forward keeps for backward, and the lists dW and db, are of this batch only:"
            " start them anew."
        )
        with expect.otherwise(why):
            _lists(_gradients(model, two[1]), right, ("dW", "db"), given, known)
    with part("step moves W and b against their gradients, and only step does", points=0.35):
        for plan, batch, given in cases[:2]:
            _judge_step(MLP(student, *plan), plan, batch, float(rng.uniform(0.1, 0.5)), given)


def _judge_step(model, plan, batch, lr, given):
    before, gradients = plan[2:], answers.gradients(*plan[1:], *batch)[0]
    _lists(_gradients(model, batch), gradients, ("dW", "db"), given)
    _judge_unmoved(model, before, given)
    model.step(lr)
    right, known = answers.stepped(before, gradients, lr)
    given = f"{given[:-1]} and lr = {lr:.3g}."
    _lists((model["W"], model["b"]), right, ("W", "b"), given, known)


def _judge_unmoved(model, before, given):
    with expect.otherwise("backward moved the weights itself: that is for step to do."):
        _lists((model["W"], model["b"]), before, ("W", "b"), given)


def _gradients(model, batch):
    X, dS = batch
    model.forward(X)
    model.backward(dS)
    with expect.otherwise("backward sets self.dW and self.db; what it returns is not used."):
        return model["dW"], model["db"]


def _lists(got, expected, names, given, knows=None):
    """Two lists of arrays, one array a layer: on a fault, which are right and which are not."""
    try:
        expect.close(got, expected, what=names, given=given, knows=knows, rtol=1e-4, atol=1e-6)
    except Fault as fault:
        right, wrong = [], []
        for name, ours, theirs in zip(names, expected, got, strict=True):
            for i, array in enumerate(ours):
                same = type(theirs) is list and i < len(theirs) and _same(theirs[i], array)
                (right if same else wrong).append(f"{name}[{i}]")
        listed = f"Right: {', '.join(right)}. Wrong: {', '.join(wrong)}."
        listed = "None is right." if not right else listed if wrong else ""
        fault.detail = f"{fault.detail} {listed}".strip()
        fault.expected = fault.got = ""  # pages of numbers
        raise


def _same(got, expected):
    try:
        expect.close(got, expected, rtol=1e-4, atol=1e-6)
    except Fault:
        return False
    return True


@probe
def train_mlp(learner, X, y, rates, batch_size, seed):
    """Train a model that only notes what each step was made with."""
    import numpy as np

    steps, now = [], {}

    class Model:
        def forward(self, X):
            return np.array(X)[:, :3]

        def backward(self, dS):
            now["dS"] = np.array(dS)

        def step(self, lr):
            steps.append({**now, "rate": float(lr)})
            now.clear()

    def loss(S, y):
        now.clear()
        now["S"], now["y"], now["loss"] = np.array(S), np.array(y), 1.0 / (2 + len(steps))
        return now["loss"], np.full(np.shape(S), now["loss"])

    rng, fresh = np.random.default_rng(seed), np.random.default_rng(seed)
    before = X.copy(), y.copy()
    losses = learner.train_mlp(Model(), loss, X, y, rates, batch_size, rng)
    kept = np.array_equal(X, before[0]) and np.array_equal(y, before[1])
    return losses, steps, rng.bit_generator.state != fresh.bit_generator.state, kept


@probe
def trained(learner, X, y, rates, seed):
    import numpy as np

    model = learner.MLP([64, 40, 10], "relu", seed)
    learner.train_mlp(model, learner.cross_entropy, X, y, rates, 32, np.random.default_rng(seed))
    return model


@exercise("train_mlp", points=1.5)
def judge_train_mlp(student, rng):
    n, batch_size, rates, seed = 23, 5, [0.4, 0.2, 0.1], int(rng.integers(2**31))
    X, y = np.column_stack([np.arange(n), rng.normal(size=(n, 3))]), rng.permutation(n) % 7
    given = f"For {n} examples, batch_size = {batch_size}, rates = {rates}."
    own = (
        "The check brings a model and a loss of its own: call the arguments, not MLP or"
        " cross_entropy, with the rows of one batch, (n, D), and its labels, (n,)."
    )
    with expect.otherwise(exception=own):
        reply = train_mlp(student, X, y, rates, batch_size, seed)
    losses, noted, drew, kept = expect.items(reply, 4)

    full = "Each batch has batch_size examples; only the last of an epoch may have fewer."

    def that(condition, message, diagnosis="", detail=""):
        expect.that(condition, message, given=given, diagnosis=diagnosis, detail=detail)

    def epochs():
        """For each epoch: the rows in their order, their labels, and the steps."""
        steps = _noted_steps(noted, that)
        (right, _), known = answers.steps(n, batch_size, len(rates))
        got = len(steps), sum(len(step["rows"]) for step in steps)
        why = next((why for why, wrong in known.items() if wrong == got), full)
        message = "The number of steps is not the number of batches in all epochs."
        that(got[0] == right, message, why, f"expected {right} steps   yours {got[0]}")
        for epoch in np.split(np.array(steps), len(rates)):
            rows, labels = (np.concatenate([step[key] for step in epoch]) for key in ("rows", "y"))
            yield rows, labels, epoch

    with part("each epoch uses every example once, in batches", points=0.4):
        for rows, _, steps in epochs():
            sizes, wanted = [len(step["rows"]) for step in steps], [5, 5, 5, 5, 3]
            detail = f"Sizes in one epoch: expected {wanted}, yours {sizes}."
            that(sorted(sizes)[::-1] == wanted, "The batches have other sizes.", full, detail)
            why = "An epoch goes through one permutation of all indices from end to end."
            message = "Some examples come twice in an epoch, others never."
            that(sorted(rows.tolist()) == list(range(n)), message, why)
    with part("every example goes with its own label", points=0.25):
        why = "Pick the rows of X and the entries of y with the same indices."
        for rows, labels, _ in epochs():
            that(np.array_equal(labels, y[rows]), "Images meet the labels of other images.", why)
        why = "They are the caller's own: pick a batch from them, X[batch], and leave them."
        that(kept, "It changes X or y in place.", why)
    with part("each epoch has a new random order", points=0.25):
        orders = [rows.tolist() for rows, _, _ in epochs()]
        in_order = any(rows == sorted(rows) for rows in orders)
        why = "Draw a new permutation in every epoch."
        that(not in_order, "The examples come in the order in which they are stored.", why)
        that(all(orders.count(rows) == 1 for rows in orders), "Two epochs have one order.", why)
        why = "rng.permutation draws from the argument rng: with it, a training can be repeated."
        that(drew, "The order does not come from rng.", why)
    with part("each epoch has its learning rate, each batch its loss", points=0.2):
        got = [sorted({step["rate"] for step in steps}) for _, _, steps in epochs()]
        message = "Some steps are made with another learning rate than their epoch's."
        why = "rates has one learning rate for each epoch: go through rates, not through a count."
        ratios = [used[0] / rate for used, rate in zip(got, rates, strict=True) if len(used) == 1]
        if len(ratios) == len(rates) and np.ptp(ratios) < 1e-9:
            why = "step takes the epoch's rate as it is: the gradient holds the mean already."
        that(got == [[rate] for rate in rates], message, why, f"Rates used, by epoch: {got}.")
        made = [step["loss"] for step in noted]
        right, known = answers.losses(made, len(rates), batch_size)
        expect.close(losses, right, what="the list of losses", given=given, knows=known)
    with part("your network reads digits that it has not seen", points=0.4):
        _judge_digits(student, rng)


def _noted_steps(noted, that):
    """What each step was made with; a Fault where that is not what training is made of."""
    that(noted, "No step was made.")
    order = (
        "For each batch: forward, loss, backward, step, in this order. A step before backward"
        " moves by the gradients of an earlier batch."
    )
    message = "backward was given something else than the gradient."
    second = "loss returns two things: backward takes the second, as it is."
    steps = []
    for step in noted:
        that("S" in step and "dS" in step, "A step is made before backward.", order)
        S = expect.array(step["S"], (None, 3), what="the array of scores that `loss` was given")
        y = expect.array(step["y"], (len(S),), what="the array of labels that `loss` was given")
        that(np.array_equal(step["dS"], np.full(S.shape, step["loss"])), message, second)
        steps.append({**step, "y": y, "rows": np.round(S[:, 0]).astype(int)})
    return steps


def _judge_digits(student, rng):
    X, y = load_digits(return_X_y=True)
    order, pixels = rng.permutation(len(X)), rng.permutation(64)
    X, y = (X[order][:, pixels] / 16).astype(np.float32), y[order]
    rates, seed = np.linspace(0.2, 0.02, 20).tolist(), int(rng.integers(2**31))
    model = trained(student, X[:1200], y[:1200], rates, seed)
    S = expect.array(model.forward(X[1200:]), (len(X) - 1200, 10), what="S")
    accuracy = float(np.mean(np.argmax(S, axis=1) == y[1200:]))
    expect.that(
        accuracy >= 0.9,
        "After training on 1,200 small digits, too few of the others are read right.",
        detail=f"expected 90 % or more   yours {accuracy:.1%}",
        diagnosis="Your cross_entropy and MLP were used, too: do exercises 2 and 6 pass?",
    )


@exercise("gradient_by_depth", points=1)
def judge_gradient_by_depth(student, rng):
    picture = " Look at the left picture below."
    with part("stuck_layers", points=0.3):
        near = "Next to the loss the gradient has gone back through no layer yet." + picture
        alike = "Each layer that the gradient goes back through multiplies it once more." + picture
        expect.choice(student, "stuck_layers", "first", {"last": near, "all": alike})
    with part("shrink_per_layer", points=0.4):
        how = (
            "Divide the last number in the sigmoid's column by the first. How often was the factor"
            " applied between the two?"
        )
        expect.answer(student, "shrink_per_layer", *answers.shrink_per_layer(), how, rtol=0.1)
    with part("why_relu", points=0.3):
        wrong = {
            "b": "The outputs are not what the gradient is multiplied by on its way back. What is?",
            "c": "An activation has no parameters, neither the sigmoid nor ReLU.",
            "d": "Look at your picture of the slopes, after exercise 4.",
        }
        expect.choice(student, "why_relu", "a", wrong)
