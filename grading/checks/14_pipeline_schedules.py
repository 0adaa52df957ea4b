"""Checks of lab 14: partitions, micro-batches, the schedules GPipe and 1F1B, and what they cost."""

from contextlib import contextmanager

import numpy as np
import torch

from grading.answer.exercise import exercise, part
from grading.answer.fault import Fault
from grading.answer.student import probe
from grading.checks import expect
from grading.checks.answers import pipeline_schedules as answers
from grading.checks.answers.pipeline_schedules import MISTAKES
from grading.checks.limits import limits
from utils.pipeline import schedules

# They count what is asked.
WRITTEN = ["utils.pipeline.unlocked", "utils.pipeline.published"]  # 1F1B is written there
SIMULATOR = [f"utils.pipeline.schedules.{name}" for name in ("simulate", "run", "Timeline")]
AT_ONCE = "A formula has its answer at once, for any numbers: no walk through a schedule."


@exercise("partition", points=1.5)
def partition(student, rng):
    def check(costs, stages):
        given = {"costs": costs, "stages": stages}
        got = list(_sizes(student.partition(list(costs), stages), len(costs), stages, given))
        expect.unchanged(student, got, given=given)
        least, worst = _least(costs, stages), answers.most_expensive(costs, got)
        expect.that(
            worst <= least,
            "Another partition has a cheaper most expensive stage.",
            given=given,
            detail=f"yours {got}: {worst:.2f}. There is one with {least:.2f}.",
            diagnosis=""
            if worst <= least
            else _rule(student, rng, costs, stages, got)
            or "Compare all choices of cuts, up to the last, by the cost of their most expensive stage, and"
            " keep the least so far with its partition.",
        )

    with part("two stages", points=0.4):
        for costs in _for_two(rng):
            check(costs, 2)
    with part("any number of stages", points=0.8):
        for alike, (layers, stages) in enumerate(((8, 4), (9, 4), (9, 3))):
            check(_costs(rng, layers, stages, alike=alike), stages)
        check([round(float(cost), 2) for cost in rng.uniform(0.1, 0.9, 16)], 4)
        ordinary = [round(float(cost), 1) for cost in rng.uniform(1, 2, 5)]
        for costs, stages in (([9.0, *ordinary], 3), ([*ordinary, 9.0], 3), (ordinary, 1)):
            check(costs, stages)
        check(ordinary, 5)
    with part("ten_microbatches", points=0.3):
        how = "When does the first one leave the last stage? How often does one leave after that?"
        known = dict(MISTAKES.written("partition", "ten_microbatches"))
        right = answers.ten_microbatches
        expect.answer(student, "ten_microbatches", right, known, how, rtol=0.001)


def _least(costs, stages):
    return answers.most_expensive(costs, answers.partition(costs, stages)) * (1 + 1e-9)


def _rule(student, rng, costs, stages, got):
    """The rule that the student's answer follows, on these costs and on five more draws."""
    cases = [(costs, stages)]
    cases += [([round(float(c), 2) for c in rng.uniform(0.1, 0.9, 9)], 3) for _ in range(5)]
    try:
        more = [student.partition(list(c), s) for c, s in cases[1:]]
    except Fault:
        return ""
    every = [got, *(list(one) for one in more if type(one) in (list, tuple))]
    of = lambda own: [own.partition(list(c), s) for c, s in cases]  # noqa: E731
    if every == [[1] * (s - 1) + [len(c) - s + 1] for c, s in cases]:
        return (
            "Those are the first cuts of all: none after them was found better. Is a choice judged by"
            " what its stages cost, all their layers added up, and does return stand after the loop?"
        )
    if every == [answers.partition(sorted(c), s) for c, s in cases]:
        return "Those are the stages of sorted costs: layers stay in their order."
    known = MISTAKES.values("partition", of, "partition")
    return next((why for why, found in known if found == every), "")


def _rules(costs, stages):
    """What the known mistakes make of these costs."""
    return MISTAKES.values("partition", lambda own: own.partition(list(costs), stages), "partition")


def _costs(rng, layers, stages, slope=0, alike=None):
    """Costs for which the known mistakes are told apart, and, of three stages and more, are wrong.

    slope: 1 for rising ones, -1 for falling ones. alike: which one of the rules that make stages
    alike, and are often right by luck, is wrong here.
    """
    while True:
        drawn = rng.uniform(0.1, 0.9, layers)
        drawn = np.sort(drawn)[::slope] ** 2 + 0.05 if slope else drawn
        costs = [round(float(cost), 2) for cost in drawn]
        least, wrong, lucky = _least(costs, stages), {}, []
        for why, sizes in _rules(costs, stages):
            if answers.most_expensive(costs, sizes) > least:
                if wrong.setdefault(tuple(sizes), why) != why:
                    break
            elif why != answers.ALIKE and stages > 2:
                break
            lucky += [tuple(sizes) not in wrong] if why == answers.ALIKE else []
        else:
            if alike is None or not lucky[alike]:
                return costs


def _for_two(rng):
    """Costs for two stages. The first is in some cases below the average, in some above it."""
    while True:
        slopes = (1, -1) * 3
        cases = [_costs(rng, int(rng.integers(9, 12)), 2, slope=slope) for slope in slopes]
        firsts = [sum(costs[: answers.partition(costs, 2)[0]]) for costs in cases]
        if len({2 * first <= sum(costs) for first, costs in zip(firsts, cases, strict=True)}) == 2:
            return cases


def _sizes(got, layers, stages, given):
    """`got` as the layers of each stage; a Fault with its cause where it cannot be that."""
    if type(got) in (list, tuple) and len(got) == stages + 1:
        diagnosis = "Between the stages is one cut fewer than there are stages."
        if got[0] == 0:
            diagnosis = (
                "Those are the places where stages end. Give their lengths: the differences."
            )
    elif type(got) in (list, tuple) and len(got) == stages - 1:
        diagnosis = (
            "Are those the places of the cuts, one fewer than the stages, or is the last stage left"
            " out? Asked for is the number of layers of each stage; the last one ends at len(costs)."
        )
    else:
        diagnosis = "Or was no choice found better than what the search began with?" * (got is None)
    with expect.otherwise(diagnosis):
        sizes = expect.items(got, stages, what="the partition", given=given, kind="list")

    def that(condition, message, diagnosis, kind="value"):
        detail = f"yours {expect.show(got)}"
        expect.that(condition, message, given=given, diagnosis=diagnosis, detail=detail, kind=kind)

    that(
        all(type(size) in (int, np.int64) for size in sizes),
        "The members of the partition should be whole numbers.",
        "A partition is the number of layers of each stage.",
        kind="type",
    )
    that(
        sum(sizes) == layers,
        "The members of the partition do not add up to the number of layers.",
        "Those look like the places of the cuts. Give the layers of each stage: the differences."
        if sizes[-1] == layers
        else "Count each layer once: a stage begins where the one before it ends.",
    )
    that(
        min(sizes) >= 1,
        "A stage is empty.",
        "Every rank needs at least one layer: cuts lie between layers, and no two at one place.",
    )
    return sizes


def _accumulated(learner, W, V, X, y, microbatches, gains, before, times):
    """What `accumulate` returns and leaves: the loss, the gradients, the way, "graph" or "".

    gains: scores of a micro-batch are multiplied by gains[k] once k have gone backward, and by more
    while another one's graph is held, so that the gradients follow from what is done when. before: what each gradient held;
    times: how often it is called.
    """
    import torch

    from utils.pipeline.saved import Graphs

    way, back, graphs = [], [], Graphs()

    class Model(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.W, self.V = torch.nn.Parameter(W.clone()), torch.nn.Parameter(V.clone())

        def forward(self, X):
            way.append(f"F{len(X)}")
            gain = gains[min(len(back), len(gains) - 1)] ** (len(X) * microbatches / len(y))
            hidden = torch.tanh(X @ self.W) if self.training else X @ self.W
            gain = gain * 1.5 if len(gains) > 1 and graphs.whole() else gain
            scores = graphs.mark(hidden @ self.V) * gain
            if scores.requires_grad:
                scores.register_hook(goes_back)
            return scores

    def goes_back(grad):
        way.append(f"B{len(grad)}")
        back.append(1)

    def stretched(scores, y):
        if not scores.is_floating_point():
            raise TypeError(
                "loss(scores, targets): these scores are whole numbers, as targets are."
            )
        return 2.5 * torch.nn.functional.cross_entropy(scores, y)

    with torch.enable_grad():
        model = Model()
        for p in model.parameters():
            p.grad = torch.full_like(p, before) if before else None
        for _ in range(times):
            loss = learner.accumulate(model, stretched, X.clone(), y.clone(), microbatches)
    graph = isinstance(loss, torch.Tensor) and loss.requires_grad
    loss = loss.detach() if isinstance(loss, torch.Tensor) else loss
    grads = [torch.zeros_like(p) if p.grad is None else p.grad for p in (model.W, model.V)]
    return [loss, grads, " ".join(way), "graph" if graph else ""]


accumulated = probe(_accumulated)


@exercise("split_microbatches", points=1.5)
def split_microbatches(student, rng):
    n, exercise = 12, "split_microbatches"
    W, V = (torch.tensor(rng.normal(size=shape)) for shape in ((3, 5), (5, 4)))
    X, y = torch.tensor(rng.normal(size=(n, 3))), torch.tensor(rng.integers(4, size=n))

    def check(item, what, count, gains=(1.0,), before=0.0, times=1):
        asked = (W, V, X, y, count, list(gains), before, times)
        given = f"For a batch of {n} in {count} micro-batches."
        given += " This is done twice." * (times - 1)
        given += f" Each gradient was {before:g} before." * bool(before)
        right = _accumulated(answers, *asked)
        got = expect.items(accumulated(student, *asked), 4, what="the report", given=given)
        for one in (item, 2, 3):
            expect.form(got[one], right[one], what=what if one == item else "the report")
        of = lambda own: _accumulated(own, *asked)[item]  # noqa: E731
        known = MISTAKES.values(exercise, of, "accumulate")
        with _shown(got[2]):
            expect.close(got[item], right[item], what=what, given=given, knows=known)
        expect.that(
            item or not got[3],
            "the loss still has its graph.",
            diagnosis="A sum of such losses holds every graph: add up numbers (`.item()`).",
        )

    with part("equal parts, in order; no others", points=0.4):
        for shape, count in (((6, 2), 3), ((8,), 2), ((4,), 4), ((4, 1, 2), 1)):
            given = {"batch": torch.tensor(rng.normal(size=shape)), "microbatches": count}
            divides = "This batch can be cut equally: N is a multiple of m where N % m is 0."
            with expect.explained(("ValueError", divides)):
                expect.answers(student, MISTAKES, exercise, given, what="the list")
        for size, count in ((6, 4), (7, 2), (3, 6)):
            _refuses(student, size, count)
    with part("the gradients of the whole batch", points=0.4):
        for count, before in ((4, 0.0), (1, 0.0), (n, 0.0), (3, 3.0)):
            check(1, "the gradients", count, before=before)
        with expect.otherwise(
            "One call was right, two are not: were the weights changed, which are the optimizer's to"
            " move, or is something kept from one call to the next?"
        ):
            check(1, "the gradients", 2, times=2)
    with part("the loss of the whole batch", points=0.1):
        for count in (4, 1, n):
            check(0, "the loss", count)
    with (
        part("one micro-batch at a time", points=0.6),
        _where(
            lambda kind: kind == "value",
            "The model of this part changes whenever something goes backward, so that the order"
            " shows: each micro-batch goes forward and at once backward, the first one first.",
        ),
    ):
        check(1, "the gradients", 4, rng.uniform(0.3, 3, 4).tolist())


@contextmanager
def _where(fits, diagnosis):
    """Gives a diagnosis to a fault whose kind fits, and that has none."""
    try:
        yield
    except Fault as fault:
        fault.diagnosis = fault.diagnosis or diagnosis * fits(fault.kind)
        raise


def _at_once():
    return _where(lambda kind: kind in ("time limit", "dead"), AT_ONCE)


@contextmanager
def _shown(way):
    """Adds the order of forwards and backwards to a fault."""
    try:
        yield
    except Fault as fault:
        order = f"In order, with sizes: {way[:120]}." if way else "In order, with sizes: nothing."
        fault.detail = " ".join(filter(None, (fault.detail, order)))
        raise


def _refuses(student, size, count):
    given = f"For a batch of {size} in {count} parts."
    try:
        student.split_microbatches(torch.zeros(size, 2), count)
    except Fault as fault:
        if fault.kind != "exception":
            raise
        expect.that(
            "raised ValueError" in fault.message,
            "What is raised for a batch that cannot be cut equally should be a ValueError.",
            given=given,
            detail=fault.message,
        )
        return
    raise Fault(
        "value",
        "No ValueError is raised for a batch that cannot be cut equally.",
        "With unequal parts the mean of the means is not the mean: raise a ValueError.",
        given=given,
    )


def _schedule(got, stages, microbatches, given):
    """`got` as a schedule that can run; a Fault with the validator's words where it cannot."""
    with expect.otherwise("A schedule has one member for each rank: the list of its actions."):
        got = expect.items(got, stages, what="the schedule", given=given, kind="list")
    found = schedules.problems(got, microbatches)
    if found:
        start, _, rest = found[0].partition(":")
        kind = start if "deadlock" in start else rest
        raise Fault(
            "value",
            "The schedule cannot run.",
            next((why for sign, why in answers.UNRUNNABLE.items() if sign in kind), ""),
            detail="\n".join(found[:2]),
            given=given,
        )
    return [list(actions) for actions in got]


def _same(got, right, known, given):
    if got == right:
        return
    rank = next(rank for rank, actions in enumerate(right) if got[rank] != actions)
    step = next(i for i, action in enumerate(right[rank]) if got[rank][i] != action)
    raise Fault(
        "value",
        "The schedule can run, but it is another one.",
        next((why for why, wrong in known if wrong == got), ""),
        detail=f"The first difference: rank {rank}, step {step}.",
        given=given,
        expected=schedules.text([right[rank]]),
        got=schedules.text([got[rank]]),
    )


class _Built:
    """The schedules that the student's function `name` builds, each once."""

    def __init__(self, student, exercise, name):
        self.student, self.exercise, self.name, self.found = student, exercise, name, {}

    def __call__(self, case):
        if case not in self.found:
            got = getattr(self.student, self.name)(*case)
            with expect.recognised(got, self.known(case)):
                self.found[case] = _schedule(got, *case, self.given(case))
            expect.unchanged(self.student, self.found[case], given=self.given(case))
        return self.found[case]

    def given(self, case):
        return f"For {case[0]} stages and {case[1]} micro-batches."

    def right(self, case):
        return getattr(answers, self.name)(*case)

    def known(self, case):
        return MISTAKES.values(self.exercise, lambda own: getattr(own, self.name)(*case))

    def same(self, case):
        _same(self(case), self.right(case), self.known(case), self.given(case))


def _plain(got):
    """Lists and tuples of nothing but words and numbers."""
    if type(got) in (list, tuple):
        return all(map(_plain, got))
    return type(got) in (str, int)


@exercise("gpipe_actions", points=1)
def gpipe_actions(student, rng):
    built = _Built(student, "gpipe_actions", "gpipe_actions")
    drawn = [(int(rng.integers(2, 7)), int(rng.integers(3, 13))) for _ in range(3)]
    cases = [(3, 4), (2, 3), (1, 2), (4, 2), (3, 1), *drawn]
    with part("it can run, and leaves nothing out", points=0.5):
        for case in cases:
            built(case)
    with part("all forwards, then all backwards, in order", points=0.5):
        for case in cases:
            built.same(case)


@exercise("bubble_fraction", points=1.25, time_limit=2.0, forbids={"bubble_fraction": SIMULATOR})
def bubble_fraction(student, rng):
    def check(*cases):
        name, how = "bubble_fraction", {"rtol": 1e-9, "atol": 0}
        told = expect.recognised_by_all(student, MISTAKES, name, cases, **how)
        with limits(student, name, *answers.BUBBLES), told:
            for p, m in cases:
                given = {"stages": p, "microbatches": m}
                expect.answers(student, MISTAKES, name, given, **how)

    with part("idle time as a share of all time", points=0.5):
        drawn = [(int(rng.integers(3, 9)), int(rng.integers(2, 20))) for _ in range(3)]
        check(*((p, m + (m == p)) for p, m in drawn), (6, 3), (1, 5), (2, 1), (4, 4))
    with part("microbatches_needed", points=0.5):
        how = "Set your formula for 4 stages to 0.1 and solve it for m, or try numbers."
        known = dict(MISTAKES.written("bubble_fraction", "microbatches_needed"))
        right = answers.microbatches_needed
        expect.answer(student, "microbatches_needed", right, known, how, rtol=0.001)
    with part("at once for large numbers, too", points=0.25), _at_once():
        check((int(rng.integers(1e6, 2e6)), int(rng.integers(2e6, 3e6))))


@exercise("one_f_one_b_actions", points=2, forbids={"one_f_one_b_actions": WRITTEN})
def one_f_one_b_actions(student, rng):
    built = _Built(student, "one_f_one_b_actions", "one_f_one_b_actions")
    drawn = [(int(rng.integers(2, 6)), int(rng.integers(6, 13))) for _ in range(3)]
    cases, last = [(3, 4), (4, 8), (2, 2), (1, 3), *drawn], []

    def rank(warmup, microbatches):
        given = f"For a warm-up of {warmup} and {microbatches} micro-batches."
        of = lambda own: [own.rank_actions(warmup, microbatches)]  # noqa: E731
        known = lambda: MISTAKES.values("one_f_one_b_actions", of, "rank_actions")  # noqa: E731
        got = of(student)
        expect.that(
            not (last and _plain(got) and type(got[0]) is list)
            or got[0][: len(last[-1])] != last[-1],
            "The list begins with the list of the call before.",
            given=given,
            diagnosis="A list that is a default (`actions=[]`) or lies outside of the function is"
            " the same one in all calls: begin with a new one.",
        )
        if _plain(got) and type(got[0]) is list and len(got[0]) > 2:
            last[:] = [got[0]]
        with expect.recognised(got, known()):
            got = _schedule(got, 1, microbatches, given)
        _same(got, of(answers), known(), given)

    with part("one rank's list", points=0.6):
        for warmup, microbatches in ((2, 6), (1, 3), (0, 2), (4, 4)):
            rank(warmup, microbatches)
        rank(int(rng.integers(2, 6)), int(rng.integers(6, 14)))
    with part("the schedule can run, and leaves nothing out", points=0.3):
        for case in cases:
            built(case)
    with part("no rank holds more than it must", points=0.3):
        for case in cases:
            _held(built(case), case)
    with part("each rank's warm-up, then in turn, then the rest", points=0.5):
        for case in cases:
            built.same(case)
    with part("fewer micro-batches than a warm-up", points=0.3):
        few = int(rng.integers(3, 7))
        rank(few + int(rng.integers(1, 5)), few)
        for case in ((5, 3), (few + 3, few), (4, 2), (3, 1)):
            built.same(case)


def _held(schedule, case):
    """No rank holds more micro-batches than under 1F1B."""
    count = lambda own: schedules.simulate(own.one_f_one_b_actions(*case)).peak_stash()  # noqa: E731
    held, right = schedules.simulate(schedule).peak_stash(), count(answers)
    known = MISTAKES.values("one_f_one_b_actions", count)
    expect.that(
        all(mine <= most for mine, most in zip(held, right, strict=True)),
        "A rank holds more micro-batches than it has to.",
        given=f"For {case[0]} stages and {case[1]} micro-batches.",
        detail=f"Held at most, by rank: expected {right}, yours {held}.",
        diagnosis=next((why for why, wrong in known if wrong == held), ""),
    )


@exercise("peak_stash", points=0.75, time_limit=2.0, forbids={"peak_stash": SIMULATOR})
def peak_stash(student, rng):
    def check(rank, p, m, name):
        given = {"rank": rank, "stages": p, "microbatches": m, "schedule": name}
        with limits(student, "peak_stash", *answers.PEAKS):
            expect.answers(student, MISTAKES, "peak_stash", given, rtol=0, atol=0)

    many = int(rng.integers(1e6, 2e6))
    with part("GPipe", points=0.25):
        for rank, p in ((2, 5), (0, 4), (3, 4)):
            check(rank, p, p + int(rng.integers(1, 30)), "gpipe")
        check(3, 9, 2, "gpipe")
    with part("1F1B", points=0.25):
        p = int(rng.integers(9, 30))
        for rank in (3, p - 1, 1, 0):
            check(rank, p, 2 * p + int(rng.integers(1, 9)), "1f1b")
        check(2, p, p, "1f1b")
    with part("1F1B with few micro-batches", points=0.15):
        few = int(rng.integers(8, 20))
        for rank, p, m in ((3, few + 4, few), (4, 9, 7), (0, 4, 1), (2, few + 2, few)):
            check(rank, p, m, "1f1b")
    with part("at once for large numbers, too", points=0.1), _at_once():
        check(3, many, 2 * many, "1f1b")


@exercise("hiding_warmup", points=1)
def hiding_warmup(student, rng):
    def drawn(ahead, share):
        p, pair = ahead + int(rng.integers(3, 6)), rng.integers(8, 20, 2) / 4
        forward, backward = sorted(pair.tolist())
        backward += 0.25 * (forward == backward)
        given = {"rank": p - ahead - 1, "stages": p, "forward": forward, "backward": backward}
        return {**given, "transfer": float(share) * (forward + backward) / 2}

    def check(*ways):
        """Cases that tell the known mistakes apart, which by one whole number they are not."""
        while True:
            cases, found = [drawn(*way) for way in ways], {}
            of = lambda own: [own.hiding_warmup(*case.values()) for case in cases]  # noqa: E731, B023
            known = [one for one in MISTAKES.values("hiding_warmup", of) if one[1] != of(answers)]
            if all(found.setdefault(str(value), why) == why for why, value in known):
                break
        name, asked = "hiding_warmup", [tuple(case.values()) for case in cases]
        told = expect.recognised_by_all(student, MISTAKES, name, asked)
        with limits(student, name, *answers.WARMUPS), told:
            return [
                expect.answers(student, MISTAKES, name, given, what="the warm-up")
                for given in cases
            ]

    whole, up = 2 * rng.integers(2, 30), 2 * rng.integers(2, 30) + 0.75
    down = rng.integers(3, 60) + 0.25
    with part("the last rank but one", points=0.4):
        found = check(*((1, share) for share in (whole, up, down, 1.0, 0.25, 0.0)), (0, 1.5))
        expect.that(
            all(type(one) in (int, np.int64) for one in found),
            "The warm-up is right, and no whole number by its type: an int is asked for.",
            diagnosis="range takes no 2.0. math.ceil gives an int; np.ceil and / give a float.",
            kind="type",
        )
    with part("longer ways to the last rank", points=0.6):
        check(*((int(rng.integers(2, 7)), share) for share in (whole, up, down, 0.25, 1.0, 0.0)))


def _rematerialised(learner, Ws, Vs, tensors, order):
    """What stages in a row return, action by action; their gradients; what was seen on the way.

    tensors: for each action of `order` the input or the output's gradient. Ws, Vs: for each stage
    its weights at each action: what is computed again sees others than what was kept.
    """
    import torch

    seen, ran = [], []

    class Layers(torch.nn.Module):
        def __init__(self, W, V):
            super().__init__()
            self.W, self.V = torch.nn.Parameter(W.clone()), torch.nn.Parameter(V.clone())
            self.W.grad, self.V.grad = torch.ones_like(W), torch.ones_like(V)

        def forward(self, x):
            ran.append(torch.is_grad_enabled())
            return (torch.tanh(x @ self.W) if self.training else x @ self.W) @ self.V

    def forward(stage, m, x):
        y = stage.forward(m, x)
        entry = stage.kept.get(m, "") if isinstance(stage.kept, dict) else None
        if not torch.is_grad_enabled():
            torch.set_grad_enabled(True)
            seen.append("switched off")
        if ran[-1:] == [True]:
            seen.append("graph")
        if entry is None or type(entry) is str:
            seen.append("no dict" if entry is None else "not there")
        elif not isinstance(entry, torch.Tensor):
            seen.append("more")
        elif entry.shape != x.shape or not torch.equal(entry, x):
            seen.append("another")
        return y

    def backward(stage, m, dy):
        dx = stage.backward(m, dy)
        if isinstance(stage.kept, dict) and m in stage.kept:
            seen.append("left")
        return dx

    with torch.enable_grad():
        rows = [Layers(W[0], V[0]) for W, V in zip(Ws, Vs, strict=True)]
        stages, outs, givens = [learner.RematerialisedStage(one) for one in rows], [], []
        for k, (kind, m) in enumerate(order):
            for one, W, V in zip(rows, Ws, Vs, strict=True):
                one.W.data = one.W.data + W[k] - W[k - (k > 0)]  # a stage's own change stays
                one.V.data = one.V.data + V[k] - V[k - (k > 0)]
            out = tensors[k].clone()
            givens.append(out)
            for stage in stages if kind == "F" else stages[::-1]:
                out = forward(stage, m, out) if kind == "F" else backward(stage, m, out)
            moved = any((one.W - W[k]).abs().max() > 1e-9 for one, W in zip(rows, Ws, strict=True))
            seen += ["moved"] * moved
            outs.append(out.detach() if isinstance(out, torch.Tensor) else out)
        for given, tensor in zip(givens, tensors, strict=True):
            seen += ["marked"] * (given.requires_grad or given.grad is not None)
            seen += ["changed"] * (not torch.equal(given, tensor))
    grads = [
        torch.zeros_like(p) if p.grad is None else p.grad for one in rows for p in (one.W, one.V)
    ]
    return [outs, grads, ", ".join(dict.fromkeys(seen))]


rematerialised = probe(_rematerialised)


@exercise(
    "rematerialisation", points=1, forbids={"RematerialisedStage": ["torch.utils.checkpoint"]}
)
def rematerialisation(student, rng):
    one, two, three = (int(m) for m in rng.permutation(9)[:3] + 1)

    def check(text, item, what, stages=1, seen=()):
        order = [(k[0], {"a": one, "b": two, "c": three}[k[1]]) for k in text.split()]
        draw = lambda *shape: torch.tensor(rng.normal(size=shape))  # noqa: E731
        Ws, Vs = ([draw(len(order), *s) for _ in range(stages)] for s in ((3, 4), (4, 3)))
        asked = (Ws, Vs, [draw(5, 3) for _ in order], order)
        given = f"For {schedules.text([order])}, with other weights at each action."
        right, of = _rematerialised(answers, *asked), lambda own: _rematerialised(own, *asked)[item]
        with expect.explained(*answers.RAISED):
            got = expect.items(rematerialised(student, *asked), 3, what="the report", given=given)
        if item == 0:
            _returned(got[0], order, given)
        expect.form(got[2], right[2])
        known = MISTAKES.values("rematerialisation", of)
        for sign, (message, why) in answers.SEEN.items():
            fault = sign in (*seen, "moved") and sign in got[2].split(", ")
            expect.that(not fault, message, given=given, diagnosis=why)
        expect.close(got[item], right[item], what=what, given=given, knows=known)

    with part("forward: the output, the input kept, no graph", points=0.25):
        signs = ("no dict", "not there", "more", "another", "switched off", "graph")
        check("Fa Fb Fc", 0, "the outputs", seen=signs)
    with part("backward: the input's gradient, computed again", points=0.35):
        check("Fa Ba Fb Bb", 0, "what they return")
        with expect.otherwise("Is it that of the micro-batch's own input, in whatever order?"):
            check("Fa Fb Fc Bb Bc Ba", 0, "what they return")
    with part("the parameters' gradients add up", points=0.2):
        check("Fa Fb Fc Bb Bc Ba", 1, "the gradients")
    with part("done is let go, and all else stays as it was", points=0.2):
        signs = ("left", "marked", "changed")
        check("Fa Fb Ba Fc Bc Fa Ba Bb", 0, "what they return", seen=signs)
        with expect.otherwise("Two stages in a row, each with its own module and its own stash."):
            check("Fa Fb Ba Bb", 0, "what they return", stages=2, seen=signs)


def _returned(outs, order, given):
    """Neither method returned something that is no tensor by a well-known slip."""
    for (kind, _), out in zip(order, outs if type(outs) is list else [], strict=False):
        method = "forward" if kind == "F" else "backward"
        message, why = answers.RETURNED.get((method, type(out).__name__), ("", ""))
        expect.that(not message, message, given=given, diagnosis=why)
