"""Checks of lab 10: reading paths, errors, CTC, windows, leaks, fast weights, attention."""

import itertools
from contextlib import contextmanager, suppress

import numpy as np
import torch

from grading.answer.exercise import exercise, part
from grading.answer.fault import Fault
from grading.answer.student import probe
from grading.checks import expect
from grading.checks.answers import sequences as answers
from grading.checks.answers.sequences import MISTAKES
from grading.checks.limits import limits


def _told(student, exercise, name, cases, **how):
    """By the mistake that explains all cases: by one case some are alike."""
    return expect.recognised_by_all(student, MISTAKES, name, cases, exercise=exercise, **how)


_EXACT = {"rtol": 0, "atol": 0}

# ------------------------------------------------------------------------------- greedy_decode


@exercise("greedy_decode", points=1)
def greedy_decode(student, rng):
    paths = _paths(rng)
    with (
        part("collapse: runs first, then blanks", points=0.5),
        expect.explained(*answers.IN_PATHS),
        expect.otherwise(answers.WRONG_PATH),
        _told(student, "greedy_decode", "collapse", paths, **_EXACT),
    ):
        for (path,) in paths:
            expect.equal(student.collapse(path), answers.collapse(path), given={"path": path})
            expect.unchanged(student, answers.collapse(path), given={"path": path})

    sizes = ([6, 4], 3), ([5], 4), ([2, 7, 1], 5), ([3, 3, 3, 3], 4)
    cases = [(_frames(rng, lengths, K), torch.tensor(lengths)) for lengths, K in sizes]
    cases += [(_frames(rng, [4, 3, 5], 4, silent=1), torch.tensor([4, 3, 5]))]
    with (
        part("greedy_decode: the frames of each string that count", points=0.5),
        expect.explained(*answers.IN_PATHS),
        expect.otherwise(answers.WRONG_STRINGS),
        _told(student, "greedy_decode", "greedy_decode", cases, **_EXACT),
    ):
        for log_probs, lengths in cases:
            given = {"log_probs": log_probs, "lengths": lengths}
            right = answers.greedy_decode(log_probs, lengths)
            expect.equal(student.greedy_decode(log_probs, lengths), right, given=given)
            expect.unchanged(student, right, given=given)


def _paths(rng):
    """Runs, blanks at both ends, a blank between equal labels, and none at all."""
    a, b, c = rng.permutation(8)[:3].tolist()
    a, b, c = a + 1, b + 1, c + 1
    fixed = [[a, 0, a], [a, a], [0, a, a, 0, 0, b, 0], [b, b, a, a, a, b], [0, 0, 0], [], [c]]
    fixed += [[a, b, a, b], [0, 0, c, c, 0, c, c], [a, 0, b, b], [b, c, 0, 0, 0, c]]
    return [(path,) for path in [*fixed, rng.integers(3, size=15).tolist()]]


def _frames(rng, lengths, K, silent=None):
    """Log-probabilities in which the padding says something, and the last real frame too.

    silent: the string, if any, that says nothing at all.
    """
    T, N = max(lengths) + 3, len(lengths)
    scores = torch.tensor(rng.normal(size=(T, N, K)))
    for n, length in enumerate(lengths):
        scores[length - 1, n, int(rng.integers(1, K))] += 9
        scores[length:, n, 1:] += torch.tensor(rng.uniform(11, 20, size=K - 1))
        scores[length + 1, n, 0] += 40
        scores[:length, n, 0] += 40 * (n == silent)
    return scores.log_softmax(dim=2)


# ---------------------------------------------------------------------------- label_error_rate


@exercise("label_error_rate", points=1)
def label_error_rate(student, rng):
    a, b, c, d = rng.permutation(9)[:4].tolist()
    with (
        part("edit_distance: put in, taken out, exchanged", points=0.6),
        expect.explained(*answers.IN_EDITS),
        limits(student, "edit_distance", *answers.EDITS),
    ):
        fixed = [([a, b], [b, a]), ([a, b, c], [b, c]), ([b, c], [a, b, c]), ([a, a, b], [a, b])]
        fixed += [([], [a, b]), ([a, b, c], []), ([], []), ([a, b, c, d], [a, b, c, d]), ([a], [b])]
        fixed += [([a, b, c, d], [b, c, d, a]), ([a, b, c], [a, d, c, b, b])]
        drawn = [rng.integers(3, size=n).tolist() for n in (6, 8, 7, 5, 12, 9)]
        cases = [*fixed, *itertools.combinations(drawn, 2)]
        with _told(student, "label_error_rate", "edit_distance", cases, **_EXACT):
            for said, heard in cases:
                given, right = {"said": said, "heard": heard}, answers.edit_distance(said, heard)
                expect.equal(student.edit_distance(said, heard), right, given=given)
                expect.unchanged(student, right, given=given)
    rates = part("label_error_rate: all edits over all labels said", points=0.4)
    with rates, expect.explained(*answers.IN_EDITS), expect.otherwise(answers.WRONG_RATE):
        cases = [([[a, b, c, d], [], [b]], [[a, c, d], [c, c], []]), ([[a]], [[b, c, d]])]
        cases += [([[a, b, c], [d]], [[b, c, c], [d]]), ([[a, b]], [[a, b, c, d]])]
        cases += [([[a, b, c, d], [a]], [[b], [c]]), ([[a, b], [c, d]], [[a], [b, c, d]])]
        for many in (3, 4, 6, 7):
            drawn = rng.integers(1, 9, size=(2, many))
            cases += [tuple([rng.integers(4, size=n).tolist() for n in one] for one in drawn)]
        with _told(student, "label_error_rate", "label_error_rate", cases):
            for said, heard in cases:
                given = {"said": said, "heard": heard}
                right = answers.label_error_rate(said, heard)
                expect.close(student.label_error_rate(said, heard), right, given=given)
                expect.unchanged(student, right, given=given)


# ------------------------------------------------------------------------------------ ctc_loss


def _slopes(learner, log_probs, target):
    """The loss and its gradient by the log-probabilities."""
    import torch

    leaf = log_probs.clone().requires_grad_()
    with torch.enable_grad():
        loss = learner.ctc_loss(leaf, target)
        if not isinstance(loss, torch.Tensor) or not loss.requires_grad:
            return "no graph"
        return torch.autograd.grad(loss, leaf, allow_unused=True, materialize_grads=True)[0]


slopes = probe(_slopes)


@exercise(
    "ctc_loss",
    points=2.5,
    time_limit=20,
    forbids={"ctc_loss": ["torch.*ctc*", "torch.*CTC*", "torch._C", "torch.ops", "library_loss"]},
)
def ctc_loss(student, rng):
    def drawn(T, target, K=4, last=0):
        scores = torch.tensor(rng.normal(scale=1.5, size=(T, K)))
        scores[:, -1] += last
        return scores.log_softmax(dim=1), target

    def check(*cases, why=answers.WRONG_LOSS):
        close = {"rtol": 1e-5, "atol": 1e-7}
        told = _told(student, "ctc_loss", "ctc_loss", cases, **close)
        with expect.explained(*answers.IN_CTC), expect.otherwise(why), told:
            for log_probs, target in cases:
                given = {"log_probs": log_probs, "target": target}
                expect.answers(student, MISTAKES, "ctc_loss", given, what="the loss", **close)

    with part("paths_of_aa", points=0.3):
        known = dict(MISTAKES.written("ctc_loss", "paths_of_aa"))
        how = "Between the two a's at least one blank has to stand. Write them down: aa-a, …"
        expect.answer(student, "paths_of_aa", answers.paths_of_aa, known, how, rtol=1e-6)
    with part("the loss, where all neighbours in the target differ", points=0.7):
        few = (2, [3]), (1, [2]), (2, [1, 3]), (3, [2, 1]), (7, [1, 2, 1]), (9, [3, 1])
        tiny = drawn(14, [1, 3, 2], 6, last=90)  # a probability too small for a float
        check(*itertools.starmap(drawn, few), drawn(12, [4, 1, 5, 2], 6), tiny)
    with part("equal labels next to each other", points=0.5):
        few = (5, [2, 2]), (9, [1, 1, 1]), (3, [3, 3]), (8, [1, 3, 3, 2]), (6, [2, 2, 3])
        check(*itertools.starmap(drawn, few))
    with part("an empty target: blanks all the way", points=0.2):
        check(drawn(1, []), drawn(4, []), why=answers.EMPTY)
    none = part("no path says it: ∞", points=0.2, alone=False)
    with none, expect.explained(("", answers.NO_ERROR)):
        few = (1, [1, 2]), (2, [3, 3]), (3, [1, 2, 3, 1]), (4, [2, 2, 2])
        check(*itertools.starmap(drawn, few), why=answers.NO_PATH)
    with part("the gradient comes back, and is no NaN", points=0.6):
        few = (2, [1]), (3, [2, 2]), (8, [1, 2, 2]), (12, [3, 1, 2, 1])
        _check_gradients(student, [drawn(*one) for one in few])


def _check_gradients(student, cases):
    with expect.explained(*answers.IN_CTC):
        got = [slopes(student, *case) for case in cases]
    right = [_slopes(answers, *case) for case in cases]
    of = expect.gives(got, cases, lambda own, case: _slopes(own, *case), rtol=1e-4)
    knows = MISTAKES.values("ctc_loss", of, "ctc_loss")
    told = expect.recognised(got, knows, rtol=1e-4, only=True)
    with expect.otherwise(answers.WRONG_GRADIENT), told:
        for (log_probs, target), one, due in zip(cases, got, right, strict=True):
            given = {"log_probs": log_probs, "target": target}
            expect.that(
                type(one) is not str,
                "The loss has no graph, so no gradient comes back.",
                given=given,
                diagnosis=answers.NO_GRAPH,
                kind="type",
            )
            broken = type(one) is torch.Tensor and bool(one.isnan().any())
            message = "The gradient holds NaN, though the loss may be right."
            expect.that(not broken, message, given=given, diagnosis=answers.NAN_GRADIENT)
            expect.close(one, due, what="the gradient", given=given, rtol=1e-4)


# ------------------------------------------------------------------------------------- windows


@exercise("windows", points=1.5)
def windows(student, rng):
    def check(name, given, **how):
        with expect.explained(*answers.IN_WINDOWS[name]):
            expect.answers(student, MISTAKES, name, given, exercise="windows", **how)

    whole = part("windows: whole ones, the last that fits included", points=0.4)
    with whole, expect.otherwise(answers.WRONG_WINDOWS):
        for N, length, every in (
            (9, 4, 1),
            (11, 3, 2),
            (12, 3, 2),
            (10, 4, 3),
            (6, 6, 2),
            (13, 2, 5),
        ):
            prices = rng.permutation(_prices(rng, N))
            check("windows", {"prices": prices, "length": length, "every": every})
        check("windows", {"prices": _prices(rng, 7), "length": 5})
    with (
        part("normalise: each window by itself, whatever its scale", points=0.5),
        expect.otherwise(answers.WRONG_SCALE),
    ):
        for M, length in ((3, 3), (2, 5), (1, 4), (4, 8)):
            rows = _prices(rng, M * length).reshape(M, length)
            check("normalise", {"rows": rows * 10.0 ** rng.integers(-1, 4, (M, 1))}, rtol=1e-5)
        rows = _prices(rng, 21).reshape(3, 7)
        rows[1] = _rounded(rng, 7)
        for flat in (rows, rows[:, :1]):
            got = student.normalise(flat)
            broken = type(got) is np.ndarray and got.dtype.kind == "f" and bool(np.isnan(got).any())
            message = "A window of equal prices gives NaN."
            expect.that(not broken, message, given={"rows": flat}, diagnosis=answers.FLAT)
            with expect.otherwise(answers.FLAT):
                check("normalise", {"rows": flat}, rtol=1e-5, atol=1e-6)
    split = part("split_by_time: before the cut, from the cut on, or neither", points=0.6)
    with split, expect.otherwise(answers.WRONG_SPLIT):
        for length, every in ((4, 1), (5, 2), (1, 1)):
            starts = rng.permutation(every * np.arange(18 // every)) + int(rng.integers(5))
            cut = int(starts.min()) + int(rng.integers(7, 11))
            starts[:2] = cut, cut - length  # the first of the test, the last to train on
            check("split_by_time", {"starts": starts, "length": length, "cut": cut})


def _rounded(rng, length):
    """A price whose logarithm is not the mean of so many of it, in floats."""
    drawn = rng.uniform(0.1, 0.9, 1000)
    return next(p for p in drawn if np.full((1, length), np.log(p)).mean(axis=1) != np.log(p))


def _prices(rng, count):
    """Prices, no two equal, none near another's multiple."""
    return rng.permutation(count) * 0.7 + rng.uniform(3, 3.6, count)


# ---------------------------------------------------------------------------------- days_ahead


def _ahead(learner, prices, features):
    """What days_ahead says of some features, each a kind and a number of days."""
    import numpy as np

    def made(kind, k, at):
        def feature(p):
            n = len(p)
            ends = [np.minimum(np.arange(n) + j, n - 1) for j in range(k + 1)]
            if kind == "shift":
                return np.append(p[k:], np.full(k, np.nan))
            if kind == "yesterday's":
                return np.append(np.full(k, np.nan), p[:-k])
            if kind == "the same always":
                return np.full(n, float(k))
            if kind == "centred":
                around = np.ones(2 * k + 1)
                return np.convolve(p, around, "same") / np.convolve(np.ones(n), around, "same")
            if kind == "trailing":
                return np.append(np.full(k, np.nan), np.convolve(p, np.ones(k + 1), "valid"))
            if kind == "highest to come":
                return np.max([p[one] for one in ends], axis=0)
            if kind == "lowest to come":
                return np.min([p[one] for one in ends], axis=0)
            if kind == "rises":
                return (p[ends[-1]] > p).astype(float)
            if kind == "series":
                return (p - p.mean()) / p.std()
            if kind == "over the highest":
                return p / p.max()
            if kind == "over the lowest":
                return p / p.min()
            if kind == "highest so far":
                return np.maximum.accumulate(p)
            own = 2 * p  # only that of day `at` looks ahead
            own[at] += (1e-4 if kind == "one day, little" else 1) * p[at + k]
            return own

        return feature

    given = [prices.copy() for _ in features]
    days = [learner.days_ahead(made(*f), own) for f, own in zip(features, given, strict=True)]
    return days if all((own == prices).all() for own in given) else "changed"


ahead = probe(_ahead)


@exercise("days_ahead", points=1.25)
def days_ahead(student, rng):
    n = int(rng.integers(13, 18))
    days = iter(rng.permutation([2, 3, 4, 5, 6]).tolist() * 5)
    prices = rng.permutation(n) * 1.7 + rng.uniform(40, 41, n)

    def case(prices, *kinds):
        return prices, [(kind, next(days), int(rng.integers(3, n - 7))) for kind in kinds]

    ahead_or_not = [case(prices, "centred", "highest so far", "series", "centred")]
    steep = 40 * rng.uniform(1.45, 1.5) ** np.arange(n)  # half a price is not below all others
    one_way = [
        case(prices, "highest to come", "lowest to come", "highest so far"),
        case(steep, "rises", "over the lowest", "centred"),
        case(steep[::-1].copy(), "rises", "over the highest", "centred"),
    ]
    one_day = [case(prices, "one day", "one day, little", "highest so far", "one day")]
    no_number = [case(prices, "trailing", "shift", "yesterday's", "shift")]
    never = [case(prices, "the same always", "highest so far", "yesterday's", "centred")]
    cases = ahead_or_not + one_way + one_day + no_number + never

    def check(prices, features):
        right = _ahead(answers, prices, features)
        listed = ", ".join(
            f"“{kind}” ({k} days{f', on day {at}' if 'one day' in kind else ''})"
            for kind, k, at in features
        )
        given = f"For the prices {expect.show(prices)} and the features {listed}."
        with expect.explained(*answers.IN_LEAKS):
            got = ahead(student, prices, features)
        message = "The call changed its argument `prices` in place."
        expect.that(type(got) is list, message, given=given, diagnosis=answers.CHANGED)
        with expect.otherwise(_how(got, right, features)), all_known():
            expect.close(got, right, what="the days", given=given, **_EXACT)

    def known():
        """The diagnosis of the mistake that explains what is said of all features."""
        with suppress(Fault):
            got = [ahead(student, *one) for one in cases]
            of = expect.gives(got, cases, lambda own, one: _ahead(own, *one), **_EXACT)
            return next((why for why, _ in MISTAKES.values("days_ahead", of)), "")
        return ""

    told = []

    @contextmanager
    def all_known():
        try:
            yield
        except Fault as fault:
            told[:] = told or [known()]  # once: it takes as long as all the rest
            fault.diagnosis = told[0]
            raise

    for title, points, some in (
        ("the features that look ahead, and one that does not", 0.4, ahead_or_not),
        ("the features that move in one direction alone", 0.35, one_way),
        ("the features that look ahead on one day alone", 0.25, one_day),
        ("the features with NaN on some days", 0.15, no_number),
        ("the features of the past, and of nothing", 0.1, never),
    ):
        with part(title, points=points):
            for one in some:
                check(*one)


def _how(got, right, features):
    """Of the first feature whose number is wrong: in which way."""
    if type(got) is not list or len(got) != len(right):
        return ""
    pairs = zip(got, right, features, strict=True)
    wrong = [one for one in pairs if not expect.alike(one[0], one[1], rtol=0, atol=0)]
    if not wrong:
        return ""
    mine, due, (kind, *_) = wrong[0]
    if type(mine) not in (int, float):
        return "It is a number of days: a whole number, 0 where nothing looks ahead."
    if due == 0:
        return f"Of “{kind}” no number moves before the day whose price was changed: 0."
    return answers.TOO_FEW[kind] if mine < due else answers.TOO_MANY


# --------------------------------------------------------------------------- fast_weights_step


def _remembered(learner, xs, h, A, slow, pull, inner):
    """The states after some inputs, and how strongly what went in moves the last one."""
    import torch

    leaves = [one.clone().requires_grad_() for one in (xs, h, A, *slow)]
    with torch.enable_grad():
        states, h, A = [], *leaves[1:3]
        for x in leaves[0]:
            h, A = learner.fast_weights_step(x, h, A, tuple(leaves[3:]), 0.9, 0.4, inner)
            states.append(h)
        total = (h * pull).sum()
        how = {"allow_unused": True, "materialize_grads": True}
        graph = total.requires_grad
        slopes = torch.autograd.grad(total, leaves, **how) if graph else leaves
    slopes = [one.detach() if graph else 0 * one.detach() for one in slopes]
    slopes[2] = slopes[2] + slopes[2].mT  # A is symmetric: whether A h or h A makes no difference
    return {"states": torch.stack(states).detach(), "gradients": slopes}


remembered = probe(_remembered)
_STEP = "x", "h", "A", "slow", "decay", "rate", "inner"
_NEAR = {"rtol": 3e-4, "atol": 3e-5}  # layer normalisation is written with 1e-5 in several places


@exercise("fast_weights_step", points=1.75)
def fast_weights_step(student, rng):
    draw = lambda *shape: torch.tensor(rng.normal(size=shape))  # noqa: E731

    def state(N, H):
        """A state, and a memory that states have made: it is symmetric."""
        past = draw(N, 3, H).tanh()
        return draw(N, H).tanh(), past.mT @ past

    def slow(D, H):
        return draw(H, H), draw(H, D), draw(H)

    def drawn(N, D, H, *inner):
        decay, rate = float(rng.uniform(0.5, 0.95)), float(rng.uniform(0.2, 0.8))
        return (draw(N, D), *state(N, H), slow(D, H), decay, rate, *inner)

    def check(at, *cases, known_by=()):
        """The state, or the memory, that the cases give."""
        what, whole = ("the state", "the memory")[at], (*known_by, *cases)
        told = _told(student, "fast_weights_step", "fast_weights_step", whole, **_NEAR)
        with expect.explained(*answers.IN_STEP), expect.otherwise(answers.WRONG_STEP[at]), told:
            for args in cases:
                given = dict(zip(_STEP, args, strict=False))  # `inner` may be left out
                got = student.fast_weights_step(*args)
                got = tuple(expect.items(got, 2, what="the result (h, A)", given=given))
                right = answers.fast_weights_step(*args)
                expect.close(got[at], right[at], what=what, given=given, **_NEAR)
                expect.unchanged(student, got, given=given, **_NEAR)

    first = [drawn(*sizes, 0) for sizes in ((3, 3, 3), (2, 4, 5), (1, 2, 3))]
    loop = [drawn(*sizes) for sizes in ((2, 3, 4), (4, 4, 4, 2), (3, 2, 6, 3), (1, 3, 5, 1))]
    with part("the memory that the step leaves", points=0.5):
        check(1, drawn(2, 3, 3, 0), drawn(3, 2, 5, 2), drawn(1, 4, 4, 0))
    with part("the first state, without the inner loop", points=0.35):
        check(0, *first, known_by=loop)
    with part("the inner loop", points=0.5):
        check(0, *loop, known_by=first)
    with part("step after step, and the gradient back through them", points=0.4):
        _check_steps(student, (draw(4, 2, 3), *state(2, 5), slow(3, 5), draw(2, 5), 3))


def _check_steps(student, args):
    about = "For 4 inputs, 2 sequences, 5 units, three rounds of the inner loop."
    with expect.explained(*answers.IN_STEP):
        got = remembered(student, *args)
    of = lambda own: _remembered(own, *args)  # noqa: E731
    how = {"what": "the sequence", "given": about, "rtol": 1e-3, "atol": 1e-4}
    try:
        knows = MISTAKES.values("fast_weights_step", of)
        with expect.otherwise(answers.WRONG_STEPS):
            expect.close(got, of(answers), knows=knows, **how)
    except Fault as fault:  # of hundreds of numbers the first wrong one tells most
        fault.expected = fault.got = ""
        raise


# ------------------------------------------------------------------------------ attend_to_past


@exercise(
    "attend_to_past",
    points=1,
    forbids={
        "attend_to_past": ["torch.*attention*", "torch.*Attention*"],
        "softmax_attention": ["torch.*attention*", "torch.*Attention*", "torch._C", "torch.ops"],
    },
)
def attend_to_past(student, rng):
    sizes = ((2, 4, 3), (3, 3, 3), (1, 6, 4), (4, 1, 2), (2, 5, 7))

    def check(name, N, t, H, **more):
        given = {"past": torch.tensor(rng.normal(size=(N, t, H)))}
        given |= {"query": torch.tensor(rng.normal(size=(N, H))), **more}
        expect.answers(student, MISTAKES, name, given, exercise="attend_to_past", **_CLOSE)

    memory = part("attend_to_past: the memory times the query", points=0.55)
    with memory, expect.explained(*answers.IN_ATTENTION), expect.otherwise(answers.WRONG_PAST):
        for N, t, H in sizes:
            decay, rate = float(rng.uniform(0.4, 0.9)), float(rng.uniform(0.2, 0.9))
            check("attend_to_past", N, t, H, decay=decay, rate=rate)
    weights = part("softmax_attention: weights that sum to 1", points=0.45)
    with weights, expect.explained(*answers.IN_ATTENTION), expect.otherwise(answers.WRONG_SOFTMAX):
        for N, t, H in sizes:
            check("softmax_attention", N, t, H)


_CLOSE = {"rtol": 1e-5, "atol": 1e-6}
