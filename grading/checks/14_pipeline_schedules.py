"""Checks of lab 14: partitions, micro-batches, the schedules GPipe and 1F1B, and what they cost."""

import numpy as np
import torch

from grading.answer.exercise import exercise, part
from grading.answer.fault import Fault
from grading.answer.student import probe
from grading.checks import expect
from grading.checks.answers import pipeline_schedules as answers
from utils.pipeline import schedules

# They count what is asked.
SIMULATOR = ["utils.pipeline.schedules.simulate", "utils.pipeline.schedules.Timeline"]


@exercise("partition", points=1.5)
def judge_partition(student, rng):
    def sizes_for(costs, stages):
        given = {"costs": costs, "stages": stages}
        got = student.partition(list(costs), stages)
        try:
            expect.items(got, stages, what="the partition", given=given, kind="list")
        except Fault as fault:
            if type(got) in (list, tuple) and len(got) == stages - 1:
                fault.diagnosis = (
                    "Are those the places of the cuts? They are one fewer than the stages: give the"
                    " number of layers of each stage."
                )
            raise
        expect.that(
            all(type(size) in (int, np.int64) for size in got),
            "The members of the partition should be whole numbers.",
            given=given,
            kind="type",
            detail=f"yours {expect.show(got)}",
            diagnosis="A partition is the number of layers of each stage.",
        )
        _judge_sizes(list(got), len(costs), given)
        return list(got), given

    with part("each layer is in one stage and no stage is empty", points=0.4):
        for layers, stages in ((5, 1), (6, 3), (4, 4)):
            sizes_for([round(float(cost), 1) for cost in rng.uniform(1, 9, layers)], stages)
        sizes_for([9.0, *(round(float(cost), 1) for cost in rng.uniform(1, 2, 4))], 3)
    with part("the most expensive stage is as cheap as it can be", points=0.8):
        for layers, stages in ((8, 3), (10, 4), (16, 4)):
            costs = answers.costs(rng, layers, stages)
            got, given = sizes_for(costs, stages)
            best, known = answers.partition(costs, stages)
            worst = answers.most_expensive(costs, got)
            why = next((why for why, wrong in known.items() if wrong == got), "")
            expect.that(
                worst <= answers.most_expensive(costs, best) * (1 + 1e-9),
                "Another partition has a cheaper most expensive stage.",
                given=given,
                detail=f"yours {got}: {worst:.2f}. There is one with"
                f" {answers.most_expensive(costs, best):.2f}.",
                diagnosis=why or "Compare all choices of cuts by their most expensive stage.",
            )
    with part("pace", points=0.3):
        how = "Which of the four stages is never without work? How often does it finish one?"
        expect.answer(student, "pace", *answers.pace(), how, rtol=0.001)


def _judge_sizes(sizes, layers, given):
    def that(condition, message, diagnosis):
        expect.that(condition, message, given=given, diagnosis=diagnosis, detail=f"yours {sizes}")

    that(
        sizes[-1] != layers or sum(sizes) == layers,
        "The members of the partition do not add up to the number of layers.",
        "Those look like the places of the cuts. Give the layers of each stage: the differences.",
    )
    that(
        sum(sizes) == layers,
        "The members of the partition do not add up to the number of layers.",
        "Count each layer once: a stage begins where the one before it ends.",
    )
    that(
        min(sizes) >= 1,
        "A stage is empty.",
        "Every rank needs at least one layer: cuts lie between layers, and no two at one place.",
    )


@probe
def accumulated(learner, W, V, X, y, microbatches, before):
    """The loss, the gradients, and the order of forwards and backwards with their batch sizes.

    before: what each gradient holds already; None: there are none.
    """
    import torch

    log = []

    class Model(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.W, self.V = torch.nn.Parameter(W.clone()), torch.nn.Parameter(V.clone())

        def forward(self, X):
            log.append(("forward", len(X)))
            scores = torch.tanh(X @ self.W) @ self.V
            if scores.requires_grad:
                scores.register_hook(lambda grad: log.append(("backward", len(grad))))
            return scores

    model = Model()
    if before is not None:
        for p in model.parameters():
            p.grad = torch.full_like(p, before)
    twice = lambda scores, y: 2 * torch.nn.functional.cross_entropy(scores, y)  # noqa: E731
    loss = learner.accumulate(model, twice, X, y, microbatches)
    gradients = [p.grad if p.grad is not None else torch.zeros(0) for p in (model.W, model.V)]
    return loss, gradients, log


@exercise("split_microbatches", points=1.5)
def judge_split_microbatches(student, rng):
    with part("equal parts, in order; no others", points=0.4):
        for shape, count in (((6, 2), 3), ((4,), 4), ((4, 1, 2), 1)):
            batch = torch.tensor(rng.normal(size=shape))
            got, given = student.split_microbatches(batch, count), f"For {shape} in {count} parts."
            right, known = answers.split(batch, count)
            got = list(got) if type(got) is tuple else got
            expect.close(got, right, what="the list", given=given, knows=known)
        _judge_refusal(student)

    n, count = 12, 4
    W, V = (torch.tensor(rng.normal(size=shape)) for shape in ((3, 5), (5, 4)))
    X, y = torch.tensor(rng.normal(size=(n, 3))), torch.tensor(rng.integers(4, size=n))
    given = f"For a batch of {n} in {count} micro-batches."

    def run(before=None, count=count):
        return expect.items(accumulated(student, W, V, X, y, count, before), 3)

    (loss, gradients), known_loss, known = answers.whole_batch(W, V, X, y, count)
    with part("the gradients of the whole batch", points=0.5):
        got = run()[1]
        expect.that(
            all(len(one) for one in got),
            "A parameter has no gradient.",
            given=given,
            diagnosis="Was backward called on each micro-batch's loss?",
        )
        expect.close(got, gradients, what="the gradients", given=given, knows=known)
        both, halved = ([3 / k + g for g in gradients] for k in (1, 3))
        lost = "The gradients that were there before are gone: they are to be added to."
        shrunk = "What was there before is divided, too: scale each loss, not the gradients."
        expect.close(
            run(3.0, 3)[1],
            both,
            what="the gradients",
            knows={lost: gradients, shrunk: halved},
            given=f"For a batch of {n} in 3 micro-batches. Each gradient was 3 before.",
        )
    with part("the loss of the whole batch", points=0.2):
        got = run()[0]
        expect.close(got, loss, what="the loss", given=given, knows=known_loss)
    with part("one micro-batch at a time", points=0.4):
        _judge_order(run()[2], n, count, given)


def _judge_refusal(student):
    batch, given = torch.zeros(6, 2), "For a batch of 6 in 4 parts."
    try:
        student.split_microbatches(batch, 4)
    except Fault as fault:
        expect.that(
            "ValueError" in fault.message,
            "What is raised for a batch that cannot be cut equally should be a ValueError.",
            given=given,
            detail=fault.message,
        )
        return
    raise Fault(
        "value",
        "A batch that cannot be cut equally is cut all the same.",
        "With unequal parts the mean of the means is not the mean: raise a ValueError.",
        given=given,
    )


def _judge_order(log, n, count, given):
    forwards = [size for kind, size in log if kind == "forward"]
    backwards = len(log) - len(forwards)
    expect.that(
        forwards == [n // count] * count,
        "The model is not given one equal micro-batch after another.",
        given=given,
        detail=f"It was called with batches of {forwards}.",
        diagnosis="All of the batch at once is what micro-batches are to avoid."
        if forwards and max(forwards) == n
        else "`microbatches` is how many there are, not how many examples each has."
        if forwards == [count] * (n // count)
        else "",
    )
    expect.that(backwards, "Nothing went backward.", given=given)
    expect.that(
        backwards <= count,
        "Micro-batches go backward more than once.",
        given=given,
        detail=f"In order: {', '.join(kind for kind, _ in log)}.",
        diagnosis="The running sum of the losses holds the earlier graphs, too: call backward on"
        " the share of the one micro-batch.",
    )
    right = [(kind, n // count) for _ in range(count) for kind in ("forward", "backward")]
    expect.that(
        log == right,
        "More than one micro-batch's graph is held at a time.",
        given=given,
        detail=f"In order: {', '.join(kind for kind, _ in log)}.",
        diagnosis="Adding up losses and calling backward once keeps all graphs until then, as the"
        " whole batch would: call backward on each micro-batch's share at once.",
    )


def _schedule(got, stages, microbatches, given):
    """`got` as a schedule that can run; a Fault with the validator's words where it cannot."""
    with expect.otherwise("A schedule has one member for each rank: the list of its actions."):
        got = expect.items(got, stages, what="the schedule", given=given, kind="list")
    found = schedules.problems(got, microbatches)
    if found:
        kind = "deadlock" if "deadlock" in found[0] else found[0].partition(":")[2]
        raise Fault(
            "value",
            "The schedule cannot run.",
            next((why for sign, why in answers.UNRUNNABLE.items() if sign in kind), ""),
            detail=" ".join(found[:2]),
            given=given,
        )
    return [list(actions) for actions in got]


def _judge_equal(got, right, known, given):
    if got == right:
        return
    rank = next(rank for rank, actions in enumerate(right) if got[rank] != actions)
    why = next((why for why, wrong in known.items() if wrong == got), "")
    step = next(i for i, action in enumerate(right[rank]) if got[rank][i] != action)
    raise Fault(
        "value",
        "The schedule can run, but it is another one.",
        why,
        detail=f"The first difference: rank {rank}, step {step}.",
        given=given,
        expected=schedules.text([right[rank]]),
        got=schedules.text([got[rank]]),
    )


def _given(stages, microbatches):
    return f"For {stages} stages and {microbatches} micro-batches."


@exercise("gpipe_actions", points=1)
def judge_gpipe(student, rng):
    cases = [(3, 4), (2, 3), (1, 2), (4, 2), (int(rng.integers(2, 6)), int(rng.integers(3, 9)))]
    got = {}

    def schedule(case):
        if case not in got:
            got[case] = _schedule(student.gpipe_actions(*case), case[0], case[1], _given(*case))
        return got[case]

    with part("it can run, and leaves nothing out", points=0.5):
        for case in cases:
            schedule(case)
    with part("all forwards, then all backwards, in order", points=0.5):
        for case in cases:
            right, known = answers.gpipe(*case)
            _judge_equal(schedule(case), right, known, _given(*case))


@exercise("bubble_fraction", points=1.5, forbids={"bubble_fraction": SIMULATOR})
def judge_bubble(student, rng):
    with part("idle time as a share of all time", points=0.75):
        drawn = [(int(rng.integers(3, 9)), int(rng.integers(2, 20))) for _ in range(3)]
        for p, m in [*drawn, (6, 3)]:
            m += m == p
            right, known = answers.bubble(p, m)
            got = student.bubble_fraction(p, m)
            expect.close(got, right, given={"stages": p, "microbatches": m}, knows=known)
        right, known = answers.bubble(1, 5)
        given = {"stages": 1, "microbatches": 5}
        expect.close(student.bubble_fraction(1, 5), right, given=given)
    with part("microbatches_needed", points=0.5):
        how = "Set your formula for 4 stages to 0.1 and solve it for m, or try numbers."
        expect.answer(student, "microbatches_needed", *answers.needed(), how, rtol=0.001)
    with part("slower_backward", points=0.25):
        why = "Does f or b remain in the formula? Both the work and the waiting are made of f + b."
        expect.choice(student, "slower_backward", "same", {"smaller": why, "larger": why})


@exercise("one_f_one_b_actions", points=2)
def judge_one_f_one_b(student, rng):
    cases = [(3, 4), (4, 8), (2, 2), (1, 3), (int(rng.integers(2, 6)), int(rng.integers(6, 10)))]
    few = [(4, 2), (3, 1), (5, 3)]
    got = {}

    def schedule(case):
        if case not in got:
            got[case] = _schedule(
                student.one_f_one_b_actions(*case), case[0], case[1], _given(*case)
            )
        return got[case]

    with part("it can run, and leaves nothing out", points=0.5):
        for case in cases:
            schedule(case)
    with part("no rank holds more than it must", points=0.5):
        for case in cases:
            held = schedules.simulate(schedule(case)).peak_stash()
            right, known = answers.held(*case)
            expect.that(
                all(mine <= most for mine, most in zip(held, right, strict=True)),
                "A rank holds more micro-batches than it has to.",
                given=_given(*case),
                detail=f"Held at most, by rank: expected {right}, yours {held}.",
                diagnosis=next((why for why, wrong in known.items() if wrong == held), ""),
            )
    with part("warm-up, then one forward, one backward, then the rest", points=0.7):
        for case in cases:
            right, known = answers.one_f_one_b(*case)
            _judge_equal(schedule(case), right, known, _given(*case))
    with part("fewer micro-batches than stages", points=0.3):
        for case in few:
            right, known = answers.one_f_one_b(*case)
            _judge_equal(schedule(case), right, known, _given(*case))


@exercise("peak_stash", points=1, forbids={"peak_stash": SIMULATOR})
def judge_peak_stash(student, rng):
    def judge(rank, p, m, name):
        given = {"rank": rank, "stages": p, "microbatches": m, "schedule": name}
        right, known = answers.peak(rank, p, m, name)
        expect.equal(student.peak_stash(rank, p, m, name), right, given=given, knows=known)

    with part("GPipe", points=0.25):
        for rank, p, m in ((1, 3, 7), (0, 4, 9), (3, 4, 2)):
            judge(rank, p, m, "gpipe")
    with part("1F1B", points=0.35):
        p = int(rng.integers(9, 13))
        for rank in (3, p - 1, 1, 0):
            judge(rank, p, p + int(rng.integers(1, 9)), "1f1b")
    with part("1F1B with few micro-batches", points=0.15):
        for rank, p, m in ((3, 9, 5), (4, 6, 3), (0, 4, 1)):
            judge(rank, p, m, "1f1b")
    with part("gain_of_1f1b", points=0.25):
        time = "Compare the ends of the two pictures, and the bubbles that were printed."
        wrong = {"time": time, "both": f"One of the two is right. {time}"}
        expect.choice(student, "gain_of_1f1b", "memory", wrong)


@probe
def rematerialised(learner, W, V, xs, dys, order):
    """Outputs, input gradients, parameter gradients, and what was seen on the way."""
    import torch

    calls = []

    class Layers(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.W, self.V = torch.nn.Parameter(W.clone()), torch.nn.Parameter(V.clone())

        def forward(self, x):
            calls.append(torch.is_grad_enabled())
            return torch.tanh(x @ self.W) @ self.V

    layers = Layers()
    stage, xs = learner.RematerialisedStage(layers), [x.clone() for x in xs]
    ys, dxs, kept, graphs = {}, {}, [], []
    for kind, m in order:
        if kind == "F":
            y = stage.forward(m, xs[m])
            graphs.append(calls[-1:] == [True])
            ys[m] = y.detach() if isinstance(y, torch.Tensor) else y
        else:
            dx = stage.backward(m, dys[m])
            dxs[m] = dx if dx is not None else "None"
        kept.append(sorted(stage.kept) if isinstance(stage.kept, dict) else "no dict")
    grads = [p.grad if p.grad is not None else torch.zeros(0) for p in (layers.W, layers.V)]
    marked = any(x.requires_grad or x.grad is not None for x in xs)
    count = len(xs)
    return {
        "ys": [ys.get(m) for m in range(count)],
        "dxs": [dxs.get(m, "None") for m in range(count)],
        "grads": grads,
        "kept": kept,
        "graphs": graphs,
        "calls": len(calls),
        "marked": marked,
    }


@exercise(
    "rematerialisation", points=1.5, forbids={"RematerialisedStage": ["torch.utils.checkpoint"]}
)
def judge_rematerialisation(student, rng):
    order = [("F", 0), ("F", 1), ("B", 1), ("F", 2), ("B", 0), ("B", 2)]
    W, V = (torch.tensor(rng.normal(size=shape)) for shape in ((3, 4), (4, 2)))
    xs = [torch.tensor(rng.normal(size=(5, 3))) for _ in range(3)]
    dys = [torch.tensor(rng.normal(size=(5, 2))) for _ in range(3)]
    given = f"For {schedules.text([order])}."
    ys, dxs, gradients, known = answers.rematerialised(W, V, xs, dys)

    def run():
        return rematerialised(student, W, V, xs, dys, order)

    def that(condition, message, diagnosis, detail=""):
        expect.that(condition, message, given=given, diagnosis=diagnosis, detail=detail)

    with part("forward keeps the input and no graph", points=0.35):
        seen = run()
        expect.close(seen["ys"], ys, what="the outputs", given=given)
        that(
            "no dict" not in seen["kept"],
            "`kept` is no dict.",
            "It takes a micro-batch's number to its input, since backwards come in any order.",
        )
        that(
            not any(seen["graphs"]),
            "A graph arises in forward.",
            "It holds every activation in the stage, and detach() only leaves it afterwards: run"
            " the module under torch.no_grad().",
        )
        that(
            seen["kept"][1] == [0, 1],
            "`kept` does not hold the micro-batches that are between forward and backward.",
            "forward puts the input in under the micro-batch's number.",
            detail=f"After F0 F1 its keys are {seen['kept'][1]}.",
        )
    with part("backward gives the gradient of the input", points=0.4):
        got = run()["dxs"]
        that(
            all(type(dx) is not tuple for dx in got),
            "backward returns a tuple.",
            "torch.autograd.grad gives a tuple, with one gradient for each input.",
        )
        that(
            all(type(dx) is torch.Tensor for dx in got),
            "backward returns no gradient of the input.",
            "The input that forward kept wants no gradient by itself: run the module on"
            " x.detach().requires_grad_(), and return that tensor's grad.",
        )
        with expect.otherwise("Is it that of the micro-batch's own input, in whatever order?"):
            for m, (dx, right) in enumerate(zip(got, dxs, strict=True)):
                knows = {why: wrong[m] for why, wrong in known["dxs"].items()}
                expect.close(dx, right, what="an input's gradient", given=given, knows=knows)
    with part("the parameters' gradients add up", points=0.3):
        got = run()["grads"]
        that(
            all(len(one) for one in got),
            "A parameter has no gradient.",
            "torch.autograd.grad gives the gradients it is asked for and fills no grad; backward"
            " does.",
        )
        expect.close(got, gradients, what="the gradients", given=given, knows=known["grads"])
    with part(
        "what is done with is let go, and the caller's tensors stay as they were", points=0.2
    ):
        seen = run()
        that(
            seen["kept"][2] == [0] and seen["kept"][-1] == [],
            "A micro-batch's input is kept after its backward.",
            "A stash that is never emptied grows with every micro-batch: take this one's input"
            " out (`pop`).",
            detail=f"After F0 F1 B1, `kept` has the keys {seen['kept'][2]}.",
        )
        that(
            not seen["marked"],
            "The caller's own tensor was made to want a gradient.",
            "requires_grad_() changes the tensor itself: detach() first, which gives another one.",
        )
        that(
            seen["calls"] == 6,
            "The module does not run twice for each micro-batch.",
            "Once in forward, once more in backward.",
            detail=f"It ran {seen['calls']} times for 3 micro-batches.",
        )
    with part("extra_time", points=0.25):
        how = "Count in forwards: what does a micro-batch take without, and what with?"
        expect.answer(student, "extra_time", *answers.extra_time(), how, rtol=0.02)
