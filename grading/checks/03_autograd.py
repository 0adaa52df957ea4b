"""Checks of lab 03: a reverse-mode engine on arrays, two optimisers, and three ways to run a model.

The learner's tensors stay where they are: probes work on them there and return plain values, which
the check compares with what the same probe returns of the right answers. A string in place of a
report names what went wrong.
"""

from contextlib import contextmanager
from functools import partial

import numpy as np

from grading.answer.exercise import exercise, part
from grading.answer.fault import Fault
from grading.answer.student import Student, probe
from grading.checks import expect
from grading.checks.answers import autograd as answers
from grading.checks.answers.autograd import MISTAKES


def without(*names):
    return {name: ["torch", "utils.graphs", "networkx", "graphlib"] for name in names}


def numbers(rng, *shape):
    """Numbers to read easily, with one decimal, no two the same, from −3 to 3 without 0 and ±1."""
    some = np.array([n for n in range(-30, 31) if n not in (0, -10, 10)]) / 10
    return np.asarray(rng.choice(some, size=shape, replace=False))


def told(got, problems, given=""):
    """Raise a Fault if a report is a string: (message, diagnosis) by the string's first word."""
    if type(got) is str:
        word, _, more = got.partition(" ")
        nonsense = ("The report of the notebook's process makes no sense.", "")
        message, diagnosis = problems.get(word, nonsense)
        detail = more and f"It is: {more}."
        expect.that(False, message, diagnosis=diagnosis, detail=detail, given=given)


def operated(learner, op, arrays, dY, options):
    """An operation's value, the places of its parents, pull's answer, and what was changed."""
    inputs, came = [learner.Tensor(array + 0.0) for array in arrays], dY + 0.0
    result = getattr(learner, op)(*inputs, **options)
    if not isinstance(result, learner.Tensor):
        return f"type {type(result).__name__}"
    places = [
        [one is parent for one in inputs].index(True)
        if any(one is parent for one in inputs)
        else -1
        for parent in result.parents
    ]
    value = result.data + 0.0
    if not callable(result.pull):
        return "pull"
    shares = result.pull(came)
    same = all((tensor.data == array).all() for tensor, array in zip(inputs, arrays, strict=True))
    changed = "its inputs" if not same else "dY" if (came != dY).any() else ""
    return value, places, shares, changed


ask_operated = probe(operated)
OPERATION = {
    "type": (
        "The operation should return a Tensor.",
        "Wrap the array: Tensor(array, op, parents, pull), as exp does.",
    ),
    "pull": (
        "The result has no `pull`.",
        "The fourth argument of Tensor is a function of dY: pass it without calling it.",
    ),
}


RAISED_IN_OPERATION = (
    (
        "recursion",
        "`+`, `*` and `@` of two tensors call your function again: compute with their `data`.",
    ),
    ("'Tensor' and", "The operators are for arrays: a tensor's array is its `data`."),
    ("not 'Tensor'", "Compute with arrays: a tensor's array is its `data`."),
    ("but 1 was given", "pull takes one argument, dY: the gradient that arrives from above."),
    ("'Tensor' object is not iterable", "The parents are a tuple, of one also: `(a,)`."),
    (
        "'function' object is not iterable",
        "The order is Tensor(data, op, parents, pull): op is text.",
    ),
)


@exercise("tensor_ops", points=2, forbids=without("add", "mul", "matmul", "relu", "total"))
def tensor_ops(student, rng):
    def check(op, arrays, signs=None, **options):
        names = "ab"[: len(arrays)]
        given = dict(zip(names, arrays, strict=True)) | options
        dY = numbers(
            rng, *np.shape(getattr(answers, op)(*map(answers.Tensor, arrays), **options).data)
        )
        dY = dY if signs is None else abs(dY) * signs
        of = lambda own: operated(own, op, arrays, dY, options)  # noqa: E731
        known = lambda get: MISTAKES.values("tensor_ops", lambda own: get(of(own)), op)  # noqa: E731
        right = of(answers)
        with expect.explained(*RAISED_IN_OPERATION):
            got = ask_operated(student, op, arrays, dY, options)
        told(got, OPERATION, given)
        value, parents, shares, changed = expect.items(got, 4, what="the report")
        expect.close(
            value, right[0], what=f"the data of {op}", given=given, knows=known(lambda r: r[0])
        )
        message = f"The parents of `{op}` are not the tensors that went in."
        why = (
            "The third argument of Tensor is a tuple of the input tensors, in their order: the"
            " tensors themselves, not their data."
        )
        expect.that(parents == right[1], message, diagnosis=why, given=given)
        message = f"`{op}` changes {'dY' if changed == 'dY' else 'its inputs'} in place."
        why = "Others hold that array, too: make a new one."
        expect.that(changed == "", message, diagnosis=why, given=given)
        given["dY"] = dY
        comma = "A tuple of one needs its comma: `(dX,)`." if len(arrays) == 1 else ""
        nothing = "pull returns nothing: it gives the gradients back, and sets no grad itself."
        comma = nothing if shares is None else comma
        message = "pull should return a tuple with one gradient for each parent."
        fits = type(shares) in (tuple, list) and len(shares) == len(arrays)
        expect.that(fits, message, kind="type", diagnosis=comma, given=given)
        for i, name in enumerate(names):
            what, knows = f"the gradient in {name}", known(lambda r, i=i: r[2][i])
            share, got = right[2][i] if arrays[i].shape else float(right[2][i]), list(shares)[i]
            tensor = type(got) is Student
            why = "pull gives arrays: take the `data` of the tensors." if tensor else ""
            shape = f"It is the gradient in {name}, and has the shape of {name}'s data."
            with expect.otherwise(why, shape=shape):
                expect.close(got, share, what=what, given=given, knows=knows)

    draw = lambda *shapes: [numbers(rng, *shape) for shape in shapes]  # noqa: E731
    for op, points in {"add": 0.3, "mul": 0.4}.items():
        with part(f"{op}: its value and what it pulls", points=points):
            for shape in ((3,), (2, 2), ()):
                check(op, draw(shape, shape))
            with_0 = numbers(rng, 3) * (rng.permutation(3) > 0)
            check(op, [with_0, numbers(rng, 3)])
            check(op, [numbers(rng, 3), with_0])
    with part("matmul: its value and what it pulls", points=0.5):
        check("matmul", draw((2, 2), (2, 2)))
        check("matmul", draw((2, 3), (3, 4)))
    with part("relu: its value and what it pulls", points=0.35):
        a = abs(numbers(rng, 2, 3)) * [[1, -1, 1], [-1, 1, 0]]
        check("relu", [a], signs=[[1, -1, -1], [1, -1, 1]])
        check("relu", draw(()))
    with part("total: its value and what it pulls", points=0.45):
        for axis in ({}, {"axis": 0}, {"axis": 1}):
            check("total", draw((3, 3)), **axis)
            check("total", draw((2, 3)), **axis)
        check("total", draw(()))


RAISED_IN_UNBROADCAST = (
    (
        "cannot reshape",
        "reshape adds nothing up: the axes that were repeated are summed first, all of them and no"
        " others. Axes of `shape` are counted from the right.",
    ),
    ("axis remapping", "np.broadcast_to repeats: this is the way back, where shares are summed."),
    (
        "array of dimension 0",
        "Everything is summed already: sum(axis=None) sums all axes, sum(axis=()) none.",
    ),
)


@exercise("unbroadcast", points=1, forbids=without("unbroadcast"))
def unbroadcast(student, rng):
    def check(*shapes):
        for wide, shape in shapes:
            given = {"dY": numbers(rng, *wide), "shape": shape}
            with expect.explained(*RAISED_IN_UNBROADCAST):
                expect.answers(student, MISTAKES, "unbroadcast", given, what="the gradient")

    with part("an axis that was missing on the left", points=0.3):
        check(((4, 3), (3,)), ((3, 3), (3,)), ((1, 3), (3,)), ((2, 4, 3), (3,)))
    with part("an axis of length 1 that was repeated", points=0.3):
        check(((3, 3), (1, 3)), ((4, 3), (4, 1)))
    with part("a single number, which went everywhere", points=0.15):
        check(((2, 3), ()), ((4,), ()), ((4, 3), (1, 1)))
    with part("both at once, and nothing at all", points=0.25):
        check(((4, 2, 3), (2, 1)), ((4, 2, 3), (1, 3)), ((2, 3), (1,)))
        check(((2, 1, 3), (2, 1, 3)), ((3,), (3,)))


def ordered(learner, graphs):
    """For each graph the labels in the learner's order, of two calls; what is no tensor, by type.

    graphs: a list of (labels of the parents of each label, label of the root).
    """
    import sys

    class Counted(learner.Tensor):
        """Counts how often its parents were asked for."""

        def __init__(self, label):
            self.label, self.asked = label, 0
            super().__init__(1.0)

        @property
        def parents(self):
            self.asked += 1
            if self.asked > 60 + 4 * len(tensors):
                raise OverflowError
            return self._parents

        @parents.setter
        def parents(self, before):
            self._parents = before

    def order(root):
        found = learner.topological_order(root)
        if not isinstance(found, list | tuple):
            return f"type {type(found).__name__}"
        return [getattr(one, "label", type(one).__name__) for one in found]

    reports, limit = [], sys.getrecursionlimit()
    sys.setrecursionlimit(1000)
    try:
        for parents, root in graphs:
            tensors = {label: Counted(label) for label in parents}
            for label, before in parents.items():
                tensors[label].op = "op" if before else ""
                tensors[label].parents = tuple(tensors[one] for one in before)
            reports.append([order(tensors[root]), order(tensors[root])])
        return "limit" if len(tensors) > 1000 and sys.getrecursionlimit() != 1000 else reports
    except RecursionError:
        return "recursion"
    except OverflowError:
        return "again"
    finally:
        sys.setrecursionlimit(limit)


ask_ordered = probe(ordered)
ORDER = {
    "recursion": (
        "Python ran out of nested calls.",
        "Each level of recursion is a nested call, and Python allows about 1,000. Keep what waits"
        " in a list of your own (hint 2).",
    ),
    "limit": (
        "Python's limit of nested calls was changed.",
        "It stays raised for everything that runs afterwards, and a longer graph meets it again:"
        " keep what waits in a list of your own (hint 2).",
    ),
    "again": (
        "The same tensor's parents are visited again and again.",
        "With n doublings, each tensor using the one before it twice, there are 2ⁿ paths. Ask"
        " whether a tensor was visited before going to its parents, not only before appending it.",
    ),
    "type": (
        "The order should be a list of tensors.",
        "list(…) makes a list of what can be gone through. For NoneType: is a return missing?",
    ),
}
KEPT = (
    "Something is left from the first call: in a list or set that is a default argument or is made"
    " outside the function (it is made only once), or in the tensors themselves."
)


class Graph:
    """A graph whose tensors have random labels; `parents` has them by place, in a right order.

    Others were computed from the same tensors, and do not belong to the root.
    """

    def __init__(self, rng, parents):
        count = len(parents)
        self.parents, self.root = parents, count - 1
        beside = [[int(rng.integers(count))], [count]]
        label = rng.choice(10**6, size=count + 2, replace=False).tolist()
        self.place = {one: place for place, one in enumerate(label[:count])}
        nodes = [(label[i], [label[p] for p in ps]) for i, ps in enumerate([*parents, *beside])]
        self.sent = dict(nodes[i] for i in rng.permutation(count + 2)), label[self.root]
        made = [f"{letters([i])} from {letters(ps)}" for i, ps in enumerate(parents) if ps]
        self.given = f"For the graph: {'; '.join(made)}." if made else "For a root that is a leaf."
        self.given = self.given if count < 20 else f"For a graph of {count:,} tensors."

    def read(self, order, again=False):
        """A reported order as places: each tensor once, none of another graph."""
        told(order, ORDER, self.given)
        expect.that(type(order) is list, ORDER["type"][0], kind="type", given=self.given)
        seen = [self.place.get(one, -1) if type(one) is int else -2 for one in order]
        detail = f"Your order: {letters(seen) or '(empty)'}." if len(seen) < 20 else ""
        mine = [place for place in seen if place >= 0]
        absent = sorted(set(range(len(self.parents))) - set(mine))
        message = "A second call for the same graph gives another order."
        if again:
            whole = not absent and len(seen) == len(self.parents)
            expect.that(whole, message, diagnosis=KEPT, given=self.given, detail=detail)
        message = "The list holds something that is not a tensor of the graph."
        why = "It should hold the tensors themselves: not their data, and not their id."
        expect.that(-2 not in seen, message, diagnosis=why, given=self.given)
        expect.that(-1 not in seen, message, diagnosis=KEPT, given=self.given)
        message = "A tensor comes more than once."
        why = (
            "Several paths lead to it, or it is appended once for each parent. Remember which tensors"
            " were visited, and pass a visited one by."
        )
        once = len(set(mine)) == len(mine)
        expect.that(once, message, diagnosis=why, given=self.given, detail=detail)
        lacks = letters(absent[:4])
        detail = f"{detail} Missing: {lacks}." if detail else f"Missing: {lacks}."
        why = self.missing(set(absent))
        expect.that(
            not absent, "Tensors are missing.", diagnosis=why, given=self.given, detail=detail
        )
        return seen

    def missing(self, absent):
        if len(self.parents) > 1000:
            return "Does the walk end early, or is Python's RecursionError caught?"
        if len(absent) == len(self.parents):
            return (
                "Nothing is appended: does the walk begin at the root, and is every tensor appended, a"
                " leaf and one that was put back with a mark, too?"
            )
        if absent == {self.root}:
            return "The root belongs to the order, as its last."
        if absent <= {i for i, before in enumerate(self.parents) if not before}:
            return "Leaves belong to the order, too: they are where gradients are wanted."
        return (
            "Follow all parents of each tensor, and theirs, down to the leaves. And tell tensors"
            " apart by id(tensor): names and numbers may be equal."
        )

    def early(self, order):
        """The places in an order that come before one of their parents."""
        done = set()
        return [i for i in order if not set(self.parents[i]) <= done or done.add(i)]


def letters(places):
    return ", ".join(chr(97 + i) if 0 <= i < 26 else f"number {i}" for i in places)


@exercise("topological_order", points=1.25, forbids=without("topological_order"))
def topological_order(student, rng):
    short, other, square = (
        [[], [0], [1], [0, 2]],
        [[], [0], [1], [2, 0]],
        [[], [0, 0], [0, 1], [2, 1]],
    )
    mixed = [
        [],
        [],
        *(rng.permutation([n - 1, *rng.permutation(n - 1)[:2]]).tolist() for n in range(2, 8)),
    ]
    small = [Graph(rng, parents) for parents in (short, other, square, mixed, [[]])]
    sent = [graph.sent for graph in small]

    def orders(graphs):
        """The learner's orders as places, of first and second calls."""
        compared = "Tensors are compared, and have no order of their own: compare numbers alone."
        with expect.explained(("not supported between", compared)):
            got = ask_ordered(student, [graph.sent for graph in graphs])
        told(got, ORDER)
        pairs = [expect.items(pair, 2) for pair in expect.items(got, len(graphs), kind="list")]
        read = [
            (graph.read(pair[0]), graph.read(pair[1], again=True))
            for graph, pair in zip(graphs, pairs, strict=True)
        ]
        return [[*those] for those in zip(*read, strict=True)]

    def why(first):
        """The misconception behind orders in which a tensor comes too early."""
        if not any(graph.early(order[::-1]) for graph, order in zip(small, first, strict=True)):
            return "It is the wrong way round: parents first, the root last."
        read = lambda own: [g.read(p[0]) for g, p in zip(small, ordered(own, sent), strict=True)]  # noqa: E731
        known = MISTAKES.values("topological_order", read)
        rule = "Append a tensor only when all its parents have been. (A set forgets the order.)"
        return next((says for says, order in known if order == first), rule)

    def check(graphs, says):
        for found in orders(graphs):
            for graph, order in zip(graphs, found, strict=True):
                early = graph.early(order)
                detail = f"Your order: {letters(order[:20])}. Too early: {letters(early[:1])}."
                message = "A tensor comes before one that it was computed from."
                diagnosis = says(found) if early else ""
                expect.that(
                    not early, message, diagnosis=diagnosis, given=graph.given, detail=detail
                )

    with part("every tensor comes once, those it was computed from included", points=0.35):
        orders(small)
    with part("every tensor comes after its parents", points=0.65):
        check(small, why)
    with part("graphs of thousands of tensors, and of many paths", points=0.25):
        chain, ladder = [[], *([i] for i in range(3000))], [[], *([i, i] for i in range(40))]
        for parents in (chain, ladder):
            check([Graph(rng, parents)], lambda _: "Parents first, the root last.")


def sent_back(learner, parents, weights, starts, shared):
    """grad of each tensor after backward; the same, each halved in place; are pull's arrays intact?

    Tensors have these parents; a pull multiplies by the weights. starts: the data of each tensor.
    shared: how many tensors at the front a second graph, over which backward runs too, has in
    common with the first; 0: there is no second.
    """
    import numpy as np

    def pull_of(number):
        def pull(dY):
            if dY is None:
                last = len(parents) - 1
                left_out = number == last - 1 and last not in calls
                kept = number in parents[last] and last in calls
                why = "seed" if number == last else "loss" if left_out else "kept" * kept or "early"
                raise LookupError(why)
            calls.append(number)
            if len(calls) > 1000:
                raise LookupError("paths")
            seen.append((dY, np.array(dY)))
            shares = []
            for before, weight in zip(parents[number], weights[number], strict=True):
                share = dY if weight == 1 else weight * dY
                if starts[before].shape != starts[number].shape:
                    share = np.broadcast_to(share, starts[before].shape)
                seen.append((share, np.array(share)))
                shares.append(share)
            return tuple(shares)

        return pull

    seen, calls, tensors = [], [], []
    try:
        for common in (0, shared)[: 2 if shared else 1]:
            tensors = tensors[:common]
            for number in range(common, len(parents)):
                before = [tensors[i] for i in parents[number]]
                pull, op = (pull_of(number), ("add", "mul")[number % 2]) if before else (None, "")
                tensors.append(learner.Tensor(starts[number], op, before, pull))
            learner.backward(list(tensors))
    except LookupError as error:
        return str(error.args[0])
    if not calls and len(parents) > 1:
        return "none"
    intact = all(np.array_equal(now, before) for now, before in seen)
    grads = [
        "none"
        if tensor.grad is None
        else np.asarray(tensor.grad)
        if isinstance(tensor.grad, np.ndarray | np.generic)
        else tensor.grad
        for tensor in tensors
    ]
    arrays = [one for one in grads if isinstance(one, np.ndarray)]
    found = [np.array(one) if isinstance(one, np.ndarray) else one for one in grads]
    for one in arrays:
        if one.flags.writeable and one.dtype.kind == "f":
            one *= 0.5
    return found, grads, intact


ask_sent_back = probe(sent_back)
RAISED_IN_BACKWARD = (
    ("'NoneType' object is not callable", "A leaf has no pull: pass it by."),
    ("truth value of an array", "Whether there is a gradient yet is asked by `p.grad is None`."),
    ("read-only", "The array that pull gave belongs to others: copy it, and do not change it."),
    ("sequence", "pull returns a tuple, one share for each parent: zip pairs them."),
)
NONE = "A pull was given None: the gradient of its tensor has not arrived yet."
BACKWARD = {
    "seed": (
        NONE,
        "The loss is the last of the order: give it its gradient, 1, first, and keep it.",
    ),
    "loss": (NONE, "The loss has a pull, too: start with it, the last of the order."),
    "kept": (
        NONE,
        "The loss's pull has been called: keep each share in the `grad` of the parent that it is"
        " for.",
    ),
    "early": (NONE, "Gradients come from the loss: go through the order from its end."),
    "none": (
        "backward called no `pull`.",
        "Take the tensors from the end of the order; each that has a pull gets its grad passed to"
        " it.",
    ),
    "paths": (
        "For a chain of 40 tensors, each using the one before it twice, pull was called 1,000 times.",
        "That goes path by path, and paths can be many: go through `order` once, from its end. Then"
        " a tensor's gradient is complete when its turn comes.",
    ),
}


@exercise("backward", points=1.5, forbids=without("backward"))
def backward(student, rng):
    def graph(parents, number=None, last=(2,)):
        """Tensors of shape (2,), the last as said: (parents, weights, starts)."""
        weights = [number or numbers(rng, len(before)).tolist() for before in parents]
        weights = [(ws * len(ps))[: len(ps)] for ws, ps in zip(weights, parents, strict=True)]
        shapes = [*[(2,)] * (len(parents) - 1), last]
        return parents, weights, [numbers(rng, *shape) for shape in shapes]

    def check(parents, weights, starts, shared=0, own=False):
        of = lambda own: sent_back(own, parents, weights, starts, shared)  # noqa: E731
        given, count = described(parents, weights, shared), len(parents)
        with expect.explained(*RAISED_IN_BACKWARD):
            got = ask_sent_back(student, parents, weights, starts, shared)
        told(got, BACKWARD, given)
        grads, halved, intact = expect.items(got, 3, what="the report")
        names = tuple(f"the gradient in {letters([i])}" for i in range(count))

        def knows(which):
            """What mistakes give that do as the learner's does on a graph with many paths, too."""
            also = lambda own: (of(own), sent_back(own, *telling, 0))  # noqa: E731
            try:
                other = ask_sent_back(student, *telling, 0)
            except Fault:
                return
            for says, (values, there) in MISTAKES.values("backward", also):
                if alike(other, there):
                    yield says, values[which]

        present(grads, knows(0), count, given)
        shape = "A gradient is an array in the shape of its tensor's data."
        with expect.otherwise(shape=shape), no_factor():
            expect.close(
                grads, of(answers)[0], what=names, given=given, knows=knows(0), dtype="float64"
            )
        if own:
            message, why = (
                "An array that a pull took or gave was changed in place.",
                "Make a new one.",
            )
            expect.that(intact is True, message, diagnosis=why, given=given)
            names = tuple(f"the halved gradient in {letters([i])}" for i in range(count))
            expect.close(halved, of(answers)[1], what=names, given=given, knows=knows(1))

    telling = graph([[], [], [0, 1], [2, 0], [3, 2, 0, 3], [4, 3, 1]])
    with part("along a chain: the loss starts with 1, each pull passes it on", points=0.35):
        check(*graph([[], [0], [1], [2]], last=()))
        check(*graph([[], [0], [1], [2]]))
    with part("several paths, and leaves anywhere in the order", points=0.5):
        check(*graph([[], [], [0, 1], [0], [2, 3]]))
        check(*graph([[], [0, 0], [1, 1]]))
        check(*graph([[], [0], [1, 0], [2, 0, 1]]))
        check(*graph([[], [0], [], [1, 2]]))
        one = float(rng.choice([0.3, 0.4, 0.6, 0.7]))
        check(*graph([[], *([i, i] for i in range(40))], [one, round(1.1 - one, 1)]))
    with part("each gradient is an array of its own", points=0.3):
        parents, weights, starts = graph([[], [0], [0, 1], [2, 1]], [1])
        weights[3] = [1, float(numbers(rng, 1)[0] + 4)]
        check(parents, weights, starts, own=True)
        check(*graph([[], [0], [1]], last=()), own=True)
    with part("a leaf's gradient adds up from one backward to the next", points=0.35):
        check(*graph([[], [], [0, 1], [0], [2, 3]]), shared=2)
        check(*graph([[], [0], [1]]), shared=1)


def alike(got, known):
    """Whether a report of `sent_back` is that of a mistake."""
    if type(got) is str or type(known) is str:
        return type(got) is type(known) and got == known
    try:
        expect.close(expect.items(got, 3)[0], known[0])
    except Fault:
        return False
    return True


@contextmanager
def no_factor():
    """No fault in the block speaks of a factor: the shares of one tensor are all the same."""
    try:
        yield
    except Fault as fault:
        fault.diagnosis *= not fault.diagnosis.startswith("Every value")
        raise


def present(grads, known, count, given):
    """Every tensor has a gradient."""
    expect.items(grads, count, what="the report", kind="list")
    places = lambda those: [i for i, one in enumerate(those) if type(one) is str]  # noqa: E731
    absent = places(grads)
    if absent:
        why = "`backward` sets the `grad` of each tensor: it returns nothing. " * (
            len(absent) == count
        )
        why = why or "Every tensor gets one, leaves and results alike. "
        why += (
            "Does the loop reach the first of the order?" * (len(absent) < count)
            if absent[0] == 0
            else "Is one cleared when it has been passed on? It stays, as the pictures show."
        )
        why = why.strip()
        why = next((says for says, those in known if places(those) == absent), why)
        message, lack = "Some tensors have no gradient.", f"Without one: {letters(absent)}."
        raise Fault("value", message, why, detail=lack, given=given)


def described(parents, weights, shared):
    """A small graph as formulas."""
    if len(parents) > 20:
        return f"For {len(parents)} tensors, each using the one before it twice."
    sums = []
    for i, (before, ws) in enumerate(zip(parents, weights, strict=True)):
        terms = [f"{w:g}·{letters([p])}" for p, w in zip(before, ws, strict=True)]
        sums += [f"{letters([i])} = {' + '.join(terms)}"] * bool(terms)
    graph, loss = "; ".join(sums).replace("+ -", "− "), letters([len(parents) - 1])
    text = f"For {graph}; the loss is {loss}."
    again = f"Once more for a new graph from the same {letters(range(shared))}."
    return f"{text} {again}" if shared else text


def cut_off(learner, array, weight, shares):
    """What detach makes of a, weight times a leaf, and the gradients that arrive in the end.

    One share is sent back from a and one from what detach made. Returned: the data of that, and the
    gradients in it, in a, and in the leaf that a was made from.
    """
    leaf = learner.Tensor(array)
    a = learner.Tensor(array * weight, "scale", (leaf,), lambda dY: (weight * dY,))
    a.grad = array + 0.0
    cut = learner.detach(a)
    if not isinstance(cut, learner.Tensor):
        return f"type {type(cut).__name__}"
    arrived = {}

    def send(tensor, dY):
        before = 0.0 if tensor.grad is None else tensor.grad
        arrived[id(tensor)] = arrived.get(id(tensor), before) + dY
        for parent, share in zip(
            tensor.parents, tensor.pull(dY) if tensor.parents and tensor.pull else (), strict=False
        ):
            send(parent, share)

    send(a, shares[0])
    send(cut, shares[1])
    past = "parents" if cut.parents else "pull" if cut.pull is not None else "op" if cut.op else ""
    return cut.data, *(arrived.get(id(one), 0 * array) for one in (cut, a, leaf)), past


def trained(learner, values, losses, slopes, rates, afresh):
    """Three calls of train_step: what each returned, the parameters after it, the first's calls.

    The n-th loss has the n-th gradients, the n-th update the n-th rate. afresh: whether gradients
    are cleared here before each step.
    """
    parameters, notes, updates = [learner.Tensor(value) for value in values], [], []

    class Loss(learner.Tensor):
        def backward(self):
            notes.append("backward")
            for parameter, slope in zip(parameters, slopes[self.number], strict=True):
                old = parameter.grad
                parameter.grad = slope + 0.0 if old is None else old + slope

    def loss_of():
        notes.append("loss")
        number = notes.count("loss") - 1
        loss = Loss(losses[number % len(losses)])
        loss.number = number % len(losses)
        return loss

    def update(given):
        notes.append("update")
        if not all(isinstance(one, learner.Tensor) for one in given):
            raise TypeError("these are not the parameters")
        rate = rates[(notes.count("update") - 1) % len(rates)]
        for one in given:
            one.data = one.data - (0.0 if one.grad is None else rate * one.grad)

    results, after = [], []
    for _ in range(3):
        for parameter in parameters if afresh else ():
            parameter.grad = None
        results.append(learner.train_step(loss_of, parameters, update))
        after.append([parameter.data + 0.0 for parameter in parameters])
        updates.append(", ".join(notes))
    return results, after, updates[0]


ask_cut_off, ask_trained = probe(cut_off), probe(trained)
NO_TENSOR = ("`detach` should return a Tensor.", "A Tensor made from the data alone is a leaf.")
LEFT = {"": "nothing", "parents": "parents", "pull": "a pull", "op": "an op"}
RAISED_IN_DETACH = (
    ("has no attribute 'detach'", "detach is what you write here: make a new Tensor of a's data."),
    ("'Tensor'", "Tensor takes an array: that of a tensor is its `data`."),
)
NO_LIST = "update takes the list of parameters, as train_step was given it."
RAISED_IN_STEP = (
    ("'function' object", "loss_of is a function: loss_of() computes the loss."),
    ("not the parameters", NO_LIST),
    ("'Tensor' object is not iterable", NO_LIST),
    ("'item'", "A Tensor has no item(): its number is float(loss.data)."),
    ("float() argument", "The number of a tensor is in its data: float(loss.data)."),
    ("'zero_grad'", "A Tensor has no zero_grad: to clear a gradient, set `grad` to None."),
    ("'Loss' object", "`backward` takes an order: of a loss it is the method, loss.backward()."),
    ("'list' object has no attribute", "`parameters` is a list: each tensor in it has a grad."),
    ("item assignment", "A grad is None until backward ran: to clear it, set it to None."),
    ("missing 1 required positional argument: 'given'", NO_LIST),
    ("update() takes 1 positional", NO_LIST),
    ("loss_of() takes 0 positional", "loss_of() takes nothing: it knows its data and parameters."),
)


@exercise("detach", points=1.25, forbids=without("detach", "train_step"))
def detach(student, rng):
    draw = lambda: [numbers(rng, 2), numbers(rng, 3)]  # noqa: E731

    def steps(afresh):
        """What three steps are to give, what the learner's give, and what known mistakes give."""
        many = [draw() for _ in range(9)], rng.uniform(0.1, 0.9, size=9).tolist()
        asked = draw(), rng.uniform(1, 3, size=9).tolist(), *many, afresh
        with expect.explained(*RAISED_IN_STEP):
            got = expect.items(ask_trained(student, *asked), 3, what="the report")

        def knows(which):
            """What mistakes with the same calls give."""
            known = MISTAKES.values("detach", lambda own: trained(own, *asked), "train_step")
            return ((says, those[which]) for says, those in known if those[2] == got[2])

        return trained(answers, *asked), got, knows

    with part("detach: the same numbers, no past", points=0.5):
        asked = numbers(rng, 2, 2), float(numbers(rng, 1)[0]), [numbers(rng, 2, 2) for _ in "ab"]
        with expect.explained(*RAISED_IN_DETACH):
            got = ask_cut_off(student, *asked)
        told(got, {"type": NO_TENSOR})
        *values, past = expect.items(got, 5, what="the report")
        *right, _ = cut_off(answers, *asked)
        what = "the data", *(f"the gradient in {it}" for it in ("detach(a)", "a", "a's parent"))
        knows = MISTAKES.values("detach", lambda own: cut_off(own, *asked)[:4], "detach")
        expect.close(values, right, what=what, knows=knows)
        why = "A leaf has no parents and no pull, and its op is an empty string."
        left = LEFT.get(past, "more") if type(past) is str else "more"
        message = f"The new tensor is no leaf: it has {left}."
        expect.that(left == "nothing", message, diagnosis=why)
    with part("train_step: loss, backward, update, each once", points=0.3):
        right, got, knows = steps(afresh=True)
        order = f"Yours: {got[2] if type(got[2]) is str else ''}."
        why = next((says for says, _ in knows(2)), order)
        expect.that(
            got[2] == right[2], "A step is: loss, backward, update, each once.", diagnosis=why
        )
        expect.close(got[1], right[1], what="the parameters after each step", knows=knows(1))
    with part("train_step: the update sees this step's gradients alone", points=0.25):
        right, got, knows = steps(afresh=False)
        expect.close(got[1], right[1], what="the parameters after each step", knows=knows(1))
    with part("train_step: the loss comes back as a number", points=0.2):
        right, got, knows = steps(afresh=True)
        graph = (
            "Whoever keeps a tensor keeps the whole graph behind it alive, one more with each step."
            " For a report, return float(loss.data)."
        )
        for i, one in enumerate(expect.items(got[0], 3, what="the report", kind="list")):
            with expect.otherwise("" if one is None else graph):
                expect.number(one, what="the loss")
            known = ((says, losses[i]) for says, losses in knows(0))
            expect.close(one, right[0][i], what="the loss", knows=known)
            why = "An array of shape () is still an array: float(…) makes a number of it."
            plain = isinstance(one, float)
            expect.that(plain, "The loss should be a plain float.", kind="type", diagnosis=why)


@exercise("sgd_momentum", points=0.75, forbids=without("sgd_momentum"))
def sgd_momentum(student, rng):
    def check(w, g, v, lr, momentum):
        given = {"w": w, "g": g, "v": v, "lr": lr, "momentum": momentum}
        expect.answers(student, MISTAKES, "sgd_momentum", given, what=("w", "v"))
        return answers.sgd_momentum(**given)

    with part("the first step, from rest", points=0.15):
        check(numbers(rng, 3), numbers(rng, 3), np.zeros(3), 0.2, 0.9)
    with part("a step in motion", points=0.35):
        for shape in ((3,), (2, 2)):
            w, g, v = (numbers(rng, *shape) for _ in range(3))
            check(w, g, v, float(rng.uniform(0.05, 0.2)), float(rng.uniform(0.5, 0.9)))
    with part("six steps while the learning rate falls, as torch.optim.SGD goes", points=0.25):
        w, v = numbers(rng, 3), np.zeros(3)
        for step in range(6):
            w, v = check(w, numbers(rng, 3), v, 0.3 / (step + 1), 0.8)


RAISED_IN_ADAM = (
    ("converted to Python scalars", "A function of `math` takes one number: NumPy's takes arrays."),
)


# ε is small: only the last digits tell where it stands.
exactly = partial(expect.recognised, rtol=1e-11, atol=0.0)


@exercise("adam", points=1.25, forbids=without("adam"))
def adam(student, rng):
    what = ("w", "m", "u")

    def check(w, g, m, u, t, which, lr=0.1, betas=(0.2, 0.3), eps=0.1):
        """The parts `which` of one step's result are right."""
        given = {"w": w, "g": g, "m": m, "u": u, "t": t, "lr": lr, "betas": betas, "eps": eps}
        with expect.explained(*RAISED_IN_ADAM):
            right, got = answers.adam(**given), student.adam(*given.values())
        expect.items(got, 3, what="the result (w, m, u)", given=given)
        for i in which:
            knows = ((says, [one[i]]) for says, one in MISTAKES.call("adam", **given))
            with exactly([got[i]], knows):
                expect.close(got[i], right[i], what=what[i], given=given)

    def state():
        w, g, m = (numbers(rng, 3) for _ in range(3))
        return w, g, m, abs(numbers(rng, 3))

    with part("the running means m and u", points=0.4):
        for t in (1, 4):
            check(*state(), t, which=(1, 2))
    with part("the step, corrected for the start at 0", points=0.6):
        check(*state(), 3, which=(0,))
        expect.unchanged(student)
        w, g, zeros = numbers(rng, 3), numbers(rng, 3), np.zeros(3)
        check(w, g, zeros, zeros, 1, which=(0,), betas=(0.8, 0.95))
    with part("six steps, as torch.optim.Adam goes, with its β and ε", points=0.25):
        w, m, u = numbers(rng, 3), np.zeros(3), np.zeros(3)
        for t in range(1, 7):
            g = numbers(rng, 3) * (1e-6 if t == 1 else 1.0)
            given = {"w": w, "g": g, "m": m, "u": u, "t": t, "lr": 0.02}
            with expect.explained(*RAISED_IN_ADAM):
                got = student.adam(*given.values())
            right = answers.adam(**given)
            with exactly(got, MISTAKES.call("adam", **given)):
                expect.close(got, right, what=what, given=given)
            expect.unchanged(student, right, given=given)
            w, m, u = right


WHY = {
    "fx_on_where": {
        "one": "To take a branch, somebody has to know a truth value. Is one asked for here?",
        "error": "Nobody asks the proxy whether it is true: `torch.where` is an operation.",
    },
    "fx_on_flag": {
        "both": "The tracer runs the function once, and Python enters one branch.",
        "error": "`flag` is an ordinary Python value, no proxy: an `if` can ask it.",
    },
    "why_both": {
        "a": "Where each operation takes long, planning gains little; branching still matters.",
        "c": "Your engine has just found gradients without a declared graph.",
        "d": "The numbers are the same; what differs is when and in which order the work is done.",
    },
}


@exercise("three_ways", points=1)
def three_ways(student, rng):
    with part("calls_in_trace", points=0.25):
        known = dict(MISTAKES.written("three_ways", "calls_in_trace"))
        how = "The loop runs while the graph is written down. What does each round apply?"
        expect.answer(student, "calls_in_trace", answers.calls_in_trace, known, how, rtol=0.001)
    for name, wrong in WHY.items():
        with part(name, points=0.25):
            expect.choice(student, name, getattr(answers, name), wrong)
