"""Checks of lab 16: steps without backpropagation's gradient, and who waits for whom.

Stages, guessers and heads are made of numbers that the check drew; all gradients that the learner's
functions leave come back and are compared with those that the right ones leave here.
"""

import torch

from grading.answer.exercise import exercise, part
from grading.answer.student import call_again, probe
from grading.checks import expect
from grading.checks.answers import beyond_backprop as answers
from grading.checks.answers.beyond_backprop import MISTAKES
from grading.checks.limits import limits


def _draw(rng):
    return lambda *shape: torch.tensor(rng.normal(size=shape))


@exercise("feedback_alignment_backward", points=2.25)
def feedback_alignment_backward(student, rng):
    name, draw = "feedback_alignment_backward", _draw(rng)

    def check(units, examples, which, zero=False):
        """which: the pairs that count; units: of the inputs, of each hidden layer, of the scores."""
        inputs = [draw(examples, units[0])]
        inputs += [(0.0 if zero else 0.9) * draw(examples, n).tanh() for n in units[1:-1]]
        feedback = [draw(units[-1], n) for n in units[1:-1]]
        asked = (inputs, draw(examples, units[-1]), feedback)
        given = f"For {examples} examples and {units[0]} inputs, layers of {units[1:]} units."
        given += " All hidden outputs are 0." if zero else ""
        of = lambda own: _pairs(getattr(own, name)(*asked), len(inputs), which, given)  # noqa: E731
        right = of(answers)
        with expect.explained(*answers.IN_FEEDBACK):
            got = of(student)
        names = tuple(f"layer {i}'s (dW, db)" for i in range(len(inputs))[which])
        with expect.otherwise(
            "For a hidden layer: δ is error @ feedback[i], times 1 − h² number by number, h being the"
            " layer's own output. dW sums δ times input over the examples, db sums δ.",
            shape="dW is (outputs, inputs) as in nn.Linear, and db (outputs,).",
        ):
            knows = MISTAKES.values(name, of)
            expect.close(got, right, what=names, given=given, knows=knows)
        expect.unchanged(student, given=given)
        again = _pairs(call_again(student), len(inputs), which, given)
        expect.close(again, right, what="a second call's result", given=given)

    with part("the last layer has the error itself", points=0.5):
        check([2, 2, 2, 2], 3, slice(-1, None))
        check([3, 5, 2], 4, slice(-1, None))
        check([3, 2], 4, slice(-1, None))
    with part("hidden layers: the error through their own matrix, and tanh", points=1.25):
        check([2, 2, 2, 2, 2], 3, slice(0, -1))
        check([3, 5, 2], 1, slice(0, -1))
        check([5, 3, 6, 4, 2], 7, slice(0, -1))
    with part("where all weights are zero", points=0.5):
        check([2, 2, 2, 2], 3, slice(0, None), zero=True)
        check([3, 6, 4, 2], 5, slice(0, None), zero=True)


def _pairs(got, count, which, given):
    """Some of the pairs that the student's function returned."""
    with expect.otherwise("One pair (dW, db) for each layer, the first layer's first."):
        got = expect.items(got, count, what="the result", given=given, kind="list")
        return [
            tuple(expect.items(pair, 2, what="a layer's pair", given=given))
            for pair in list(got)[which]
        ]


@exercise("alignment_angle", points=1)
def alignment_angle(student, rng):
    name, draw = "alignment_angle", _draw(rng)
    close = {"what": "the angle", "rtol": 1e-4, "atol": 0.06}  # of acos near 0 in float32

    def check(ours, theirs):
        given = {"ours": ours, "theirs": theirs}
        with limits(student, name, *answers.ANGLES), expect.explained(*answers.IN_ANGLE):
            expect.answers(student, MISTAKES, name, given, **close)

    def like(one, towards):
        """Three tensors, at less than a right angle to `one`, or at more."""
        return [
            towards * t + draw(*t.shape) * scale for t, scale in zip(one, (1, 3, 2), strict=True)
        ]

    with part("all tensors are one long vector", points=0.4):
        for towards in (-0.8, 1.0, 0.3):
            one = [draw(3, 4), 5 * draw(4), draw(2, 3)]
            check(one, like(one, towards))
        check([draw(6)], [0.01 * draw(6)])
        one = draw(6)
        check([one], [one * torch.tensor([0, 1, 1, 0, 1, 1])])
    with part("the same direction, and the opposite one", points=0.2):
        for sign in (1, -1):
            vector = _rounds_up(draw)
            check([vector], [sign * vector])
            check([vector], [sign * 2.0 * vector])
    with part("zeros have no direction", points=0.1, alone=False):
        check([torch.zeros(3)], [draw(3).float()])
        check([draw(2, 2), draw(2)], [torch.zeros(2, 2).double(), torch.zeros(2).double()])
    with part("share_at_60", points=0.3):
        how = "Put 60° into the product of the three, and compare it with 0°."
        known = dict(MISTAKES.written(name, "share_at_60"))
        expect.answer(student, "share_at_60", answers.share_at_60, known, how, rtol=0.01)


def _rounds_up(draw):
    """A vector whose cosine with itself is computed as more than 1."""
    while True:
        vector = draw(40)
        if vector @ vector / (vector.norm() * vector.norm()) > 1:
            return vector


def _guessed(learner, W, b, G, x, y, before):
    """What guessed_backward returns, and the gradients that are left: of the stage, and of the
    guesser and behind x, with 1 where h still has a graph. before: what each gradient of the
    stage's held."""
    import torch

    class Stage(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.W, self.b = torch.nn.Parameter(W.clone()), torch.nn.Parameter(b.clone())
            self.W.grad, self.b.grad = (torch.full_like(p, before) for p in (W, b))

        def forward(self, x):
            return torch.tanh(x @ self.W.T + self.b)

    class Guesser(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.G = torch.nn.Parameter(G.clone())

        def forward(self, h, y):
            return torch.sin(2 * h) @ self.G + 0.5 * y[:, None]

    with torch.enable_grad():
        stage, guesser = Stage(), Guesser()
        leaf = x.clone().requires_grad_()
        result = learner.guessed_backward(stage, guesser, 1 * leaf, y.clone())
        if not isinstance(result, (tuple, list)) or len(result) != 2:
            return [result]
        h, dx = result
    graph = torch.tensor(float(isinstance(h, torch.Tensor) and h.requires_grad))
    plain = [one.detach() if isinstance(one, torch.Tensor) else one for one in (h, dx)]
    grads = [torch.zeros_like(p) if p.grad is None else p.grad for p in (guesser.G, leaf)]
    own = [torch.zeros_like(p) if p.grad is None else p.grad for p in (stage.W, stage.b)]
    return [*plain, own, [*grads, graph]]


guessed = probe(_guessed)


def _guess_learnt(learner, G, x, y, dh):
    """guesser_loss, and the gradients that its backward leaves in the guesser, behind h and behind
    dh."""
    import torch

    class Guesser(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.G = torch.nn.Parameter(G.clone())

        def forward(self, h, y):
            return torch.sin(2 * h) @ self.G + 0.5 * y[:, None]

    with torch.enable_grad():
        guesser = Guesser()
        leaf, target = x.clone().requires_grad_(), dh.clone().requires_grad_()
        loss = learner.guesser_loss(guesser, 1 * leaf, y.clone(), 1 * target)
        if not isinstance(loss, torch.Tensor):
            return [loss]
        loss.backward()
    leaves = (guesser.G, leaf, target)
    grads = [torch.zeros_like(p) if p.grad is None else p.grad for p in leaves]
    return [loss.detach(), grads[0], grads[1:]]


guess_learnt = probe(_guess_learnt)


@exercise("synthetic_gradient", points=2.25, time_limit=30)
def synthetic_gradient(student, rng):
    draw = _draw(rng)

    def check(items, before=0.0, examples=5, units=(3, 4)):
        """items: those of the report that count, by their names."""
        inputs, outputs = units
        asked = (draw(outputs, inputs), draw(outputs), draw(outputs, outputs))
        asked += (draw(examples, inputs), torch.tensor(rng.integers(1, 9, examples)))
        asked += (before,)
        given = f"For {examples} examples, a stage from {inputs} to {outputs} units."
        given += f" Its gradients were {before:g} before." if before else ""
        _report(student, guessed, _guessed, asked, items, given, "guessed_backward")

    def learnt(items, examples=5):
        asked = (draw(4, 4), draw(examples, 4), torch.tensor(rng.integers(1, 9, examples)))
        asked += (draw(examples, 4),)
        given = f"For {examples} examples of 4 numbers, where h and dh have graphs."
        _report(student, guess_learnt, _guess_learnt, asked, items, given, "guesser_loss")

    with part("h, and the gradient at x", points=0.6):
        check({0: "h"})
        check({1: "dx"})
        check({0: "h", 1: "dx"}, examples=1, units=(4, 2))
    with part("the stage's gradients, added to what was there", points=0.6):
        check({2: "the stage's gradients"})
        check({2: "the stage's gradients"}, before=3.0)
    with part("no other gradient", points=0.35, alone=False):
        check({3: "what is left elsewhere"})
    with part("guesser_loss: the mean squared error", points=0.35):
        learnt({0: "the loss"})
        learnt({0: "the loss"}, examples=1)
    with part("guesser_loss: its gradient, in the guesser alone", points=0.35):
        learnt({1: "the guesser's gradient"})
        learnt({2: "the gradients behind h and dh"})


def _report(student, asks, here, asked, items, given, function):
    """Some items of what a probe reports, beside those of the right answers."""
    right, exercise = here(answers, *asked), "synthetic_gradient"
    if function == "local_step":
        exercise = "local_loss"
    with expect.explained(*answers.IN_STAGES):
        got = asks(student, *asked)
    if len(right) > 1 and type(got) is list and len(got) == 1:
        like = right[:2] if function == "guessed_backward" else right[0]
        expect.form(got[0], like, what="the result", given=given)
    got = expect.items(got, len(right), what="the report", given=given)
    for at in items:
        of = lambda own, at=at: here(own, *asked)[at]  # noqa: E731
        knows = MISTAKES.values(exercise, of, function)
        with expect.otherwise(answers.LEAF if got[at] is None else ""):
            expect.close(got[at], right[at], what=items[at], given=given, knows=knows)


def _stepped(learner, W, b, V, x, y, share, before):
    """What local_step returns, and the gradients that are left: of the stage, of the head, and
    behind x, with 1 where h still has a graph."""
    import torch

    class Affine(torch.nn.Module):
        def __init__(self, W, b, bend):
            super().__init__()
            self.W, self.b = torch.nn.Parameter(W.clone()), torch.nn.Parameter(b.clone())
            self.W.grad, self.b.grad = (torch.full_like(p, before) for p in (W, b))
            self.bend = bend

        def forward(self, x):
            out = x @ self.W.T + self.b
            return torch.tanh(out) if self.bend else out

    with torch.enable_grad():
        stage, head = Affine(W, b, True), Affine(V, V[:, 0], False)
        leaf = x.clone().requires_grad_()
        h = learner.local_step(stage, head, 1 * leaf, y.clone(), share)
        if not isinstance(h, torch.Tensor):
            return [h]
    graph = torch.tensor(float(h.requires_grad))
    behind = torch.zeros_like(leaf) if leaf.grad is None else leaf.grad
    grads = [[part.W.grad, part.b.grad] for part in (stage, head)]
    return [h.detach(), *grads, [behind, graph]]


stepped = probe(_stepped)


@exercise(
    "local_loss",
    points=2,
    forbids={
        "similarity": ["torch.*osine*imilarity", "torch.corrcoef", "numpy.corrcoef", ".corrcoef"]
    },
)
def local_loss(student, rng):
    """A library's cosine that hides from `forbids`, under a name that is computed, gives the same
    numbers as one written out, the row of equal numbers included: no value tells the two apart."""
    draw = _draw(rng)

    def alike(h):
        why = "Each row: take its mean off, divide by the length that is left. Then all pairs of rows."
        with expect.otherwise(why), expect.explained(*answers.IN_SIMILARITY):
            given = {"h": h}
            expect.answers(student, MISTAKES, "similarity", given, exercise="local_loss")

    def labels(examples, classes):
        """Each class but the last one, which no example has."""
        some = rng.integers(0, classes - 1, examples)
        some[: classes - 1] = range(classes - 1)
        return torch.tensor(some)

    def loss(examples, classes, share):
        h, scores = draw(examples, 6), 3 * draw(examples, classes)
        given = {"h": h, "scores": scores, "y": labels(examples, classes), "share": share}
        why = (
            "Two terms: the mean of (S(h) − S(Y))² times share, the cross-entropy times 1 − share."
        )
        with expect.otherwise(why), expect.explained(*answers.IN_LOCAL):
            expect.answers(student, MISTAKES, "local_loss", given, what="the loss")

    def step(items, share, before=0.0):
        examples, classes = 7, 4
        asked = (draw(5, 3), draw(5), draw(classes, 5), draw(examples, 3))
        asked += (labels(examples, classes), share, before)
        given = f"For {examples} examples, a stage from 3 to 5 units, {classes} classes, share {share:g}."
        given += f" Its gradients were {before:g} before." if before else ""
        _report(student, stepped, _stepped, asked, items, given, "local_step")

    with part("similarity: cosines of centred rows", points=0.5):
        for examples, units in ((3, 4), (5, 5), (1, 3)):
            alike(draw(examples, units) + 2 * draw(examples, 1))
    with part("similarity of a row whose numbers are all equal", points=0.1):
        h = draw(4, 3)
        h[1], h[2], h[3] = 2.0, 0.1 * h[2] - h[0], 0.0
        alike(h)
    with part("local_loss: matching", points=0.35):
        loss(6, 4, 1.0)
    with part("local_loss: prediction, and both", points=0.35):
        for share in (0.0, 0.25, 0.7):
            loss(7, 5, share)
    with part("local_step: the output, and the gradients of stage and head", points=0.45):
        step({0: "h", 1: "the stage's gradients"}, 0.6)
        step({2: "the head's gradients"}, 0.6)
        step({1: "the stage's gradients", 2: "the head's gradients"}, 0.3, before=2.0)
    with part("local_step: nothing flows back, in or out", points=0.25, alone=False):
        step({3: "what is left elsewhere"}, 0.6)


@exercise(
    "utilization",
    points=1.5,
    forbids={"utilization": ["utils.pipeline.unlocked", "utils.pipeline.schedules"]},
)
def utilization(student, rng):
    def value(name, given, **close):
        of = lambda own: getattr(own, name)(*given.values())  # noqa: E731
        knows = MISTAKES.values("utilization", of, name)
        expect.close(of(student), of(answers), given=given, knows=knows, **close)

    def waits(method, ranks):
        for rank in sorted({0, 1, ranks - 2, ranks - 1} & set(range(ranks))):
            with expect.otherwise(answers.A_PAIR):
                value("waits_for", {"method": method, "rank": rank, "ranks": ranks}, rtol=0, atol=0)

    def check(*methods):
        names = ("method", "ranks", "microbatches", "batches", "forward", "backward")
        for method in methods:
            drawn = [int(n) for n in rng.permutation(range(3, 40))[:3]]
            drawn[1] += drawn[1] == drawn[0] * (drawn[0] - 1)  # there two mistakes are alike
            f, b = (round(float(t), 2) for t in rng.uniform(0.5, 3, 2))
            for sizes in ([*drawn, f, b], [*drawn, 1.0, 2.0], [1, 4, 3], [4, 1, 5], [5, 2, 1]):
                with limits(student, "utilization", *answers.UTILIZATIONS[method]):
                    given = dict(zip(names, [method, *sizes], strict=False))
                    value("utilization", given, rtol=1e-9, atol=0)

    with part("what a backward waits for", points=0.5):
        for method in answers.METHODS:
            for ranks in (4, int(rng.integers(5, 9)), 1):
                waits(method, ranks)
    with part("backward locked: with a flush and without", points=0.4):
        check("backprop", "no flush")
    with part("update locked: direct feedback", points=0.3):
        check("direct feedback")
    with part("neither: synthetic gradients and local losses", points=0.3):
        check("synthetic", "local")


@exercise("which_would_you_use", points=1)
def which_would_you_use(student, rng):
    for name, right in (("same_loss", answers.same_loss), ("least_held", answers.least_held)):
        with part(name, points=0.25):
            expect.choice(student, name, right, answers.REPLIES[name])
    with part("fewer_numbers", points=0.25):
        how = "What does a rank get back for one example: from the next rank, or as the error?"
        known = dict(MISTAKES.written("which_would_you_use", "fewer_numbers"))
        expect.answer(student, "fewer_numbers", answers.fewer_numbers, known, how, rtol=0.03)
    with part("learns_nothing", points=0.25):
        replies = answers.REPLIES["learns_nothing"]
        expect.choice(student, "learns_nothing", answers.learns_nothing, replies)
