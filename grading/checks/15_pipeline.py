"""Checks of lab 15: the program of a pipeline's rank, and what is measured of it.

Most of it runs on simulated ranks: threads that take turns, always in the same order, among which a
deadlock is found at once. One part runs on processes. Nothing depends on how long anything takes.
"""

import inspect

import numpy as np
import torch

from grading.answer.exercise import exercise, part
from grading.answer.fault import Fault
from grading.answer.student import probe
from grading.checks import expect
from grading.checks.answers import pipeline as answers

BLOCKS = inspect.getsource(answers.build_stages)


def _flat(stages):
    return [layer for stage in stages for layer in stage]


@exercise("stage_layers", points=1)
def judge_stage_layers(student, rng):
    def stages_of(count, stages):
        layers = [int(n) for n in rng.choice(1000, size=count, replace=False)]
        given = {"layers": layers, "stages": stages}
        got = []
        for rank in range(stages):
            with expect.otherwise(
                "The check sends numbers in place of layers: return a plain list of some of them."
            ):
                mine = student.stage_layers(list(layers), rank, stages)
            expect.that(
                type(mine) is list,
                "The rank's layers should be a list.",
                given=given,
                kind="type",
                detail=f"yours {expect.show(mine)}",
            )
            got.append(mine)
        return layers, got, given

    with part("every layer in one stage, in order", points=0.6):
        for count, stages in ((8, 4), (6, 2), (5, 1)):
            layers, got, given = stages_of(count, stages)
            detail = f"By rank: {got}."
            expect.that(
                stages == 1 or any(mine != got[0] for mine in got),
                "Every rank has the same layers.",
                given=given,
                detail=detail,
                diagnosis="The rank does not enter: all of them would train the same stage.",
            )
            expect.that(
                sorted(_flat(got)) == sorted(layers),
                "The stages together are not the layers, each once.",
                given=given,
                detail=detail,
                diagnosis="Those are the places of the layers: return the layers themselves."
                if _flat(got) == list(range(count))
                else "A stage begins where the one before it ends.",
            )
            expect.that(
                _flat(got) == layers,
                "The layers are not in order, from rank 0 on.",
                given=given,
                detail=detail,
                diagnosis="Stages are consecutive layers: what a rank computes goes to the next.",
            )
    with part("numbers that cannot be shared evenly", points=0.4):
        for count, stages in ((7, 3), (10, 4), (int(rng.integers(11, 15)), 5)):
            layers, got, given = stages_of(count, stages)
            lengths = [len(mine) for mine in got]
            right = [count // stages + (rank < count % stages) for rank in range(stages)]
            expect.that(
                _flat(got) == layers,
                "The stages together are not the layers, each once and in order.",
                given=given,
                detail=f"By rank: {got}.",
                diagnosis="L // p layers a rank leave L % p over: who has them?",
            )
            expect.that(
                lengths == right,
                "The stages are not as even as they can be, the longer ones first.",
                given=given,
                detail=f"Layers by rank: expected {right}, yours {lengths}.",
                diagnosis="Each rank has L // p layers, and each of the first L % p one more.",
            )


@probe
def alone(learner, blocks, weights, X, y, microbatches):
    """run_stage where there is one rank, in this thread, so that an error is shown in place: the
    loss and the gradient, and the gradient after the same once more."""
    import torch

    names = {}
    exec(blocks, names)
    stage, parts, targets = (
        names["build_stages"](weights, "plain")[0],
        X.chunk(microbatches),
        y.chunk(microbatches),
    )

    def nobody(*_):
        raise ValueError(
            "There is one rank, the first and the last: nobody to send to or hear from."
        )

    order = [action for m in range(microbatches) for action in (("F", m), ("B", m))]
    cross_entropy = torch.nn.functional.cross_entropy
    losses, gradients = [], []
    for _ in range(2):
        losses.append(
            learner.run_stage(
                order,
                stage,
                nobody,
                nobody,
                inputs=parts,
                loss=lambda m, s: cross_entropy(s, targets[m]),
            )
        )
        grad = stage.weight.grad
        gradients.append(grad.clone() if grad is not None else torch.zeros(0))
    return losses[0], *gradients


@probe
def simulated(learner, blocks, kind, schedule, weights, X, y):
    """run_stage on simulated ranks: for each rank its loss, gradients, buffers, and the outputs
    that were alive when each forward began; or what went wrong."""
    import weakref

    import torch

    from utils.pipeline.link import Link
    from utils.ranks import RankError
    from utils.ranks.simulated import simulate

    names, links, ranks, microbatches = {}, {}, len(schedule), len(schedule[0]) // 2
    exec(blocks, names)
    parts, targets = X.chunk(microbatches), y.chunk(microbatches)
    cross_entropy = torch.nn.functional.cross_entropy

    class Watched(torch.nn.Module):
        def __init__(self, stage):
            super().__init__()
            self.stage, self.outputs, self.alive = stage, [], []

        def forward(self, *values):
            self.alive.append(sum(output() is not None for output in self.outputs))
            output = self.stage(*values)
            one = output[0] if isinstance(output, tuple) else output
            self.outputs.append(weakref.ref(one))
            return output

    def rank(dist):
        link = Link(dist)
        me = link.rank
        links[me] = link
        module = Watched(names["build_stages"](weights, kind)[me])
        actions = [tuple(action) for action in schedule[me]]
        first, last = me == 0, me == ranks - 1
        loss = learner.run_stage(
            actions,
            module,
            link.send,
            link.recv,
            inputs=parts if first else None,
            loss=(lambda m, *s: cross_entropy(torch.stack(s).sum(0), targets[m])) if last else None,
        )
        link.finish()
        gradients = [p.grad if p.grad is not None else torch.zeros(0) for p in module.parameters()]
        return {
            "loss": loss if loss is not None else "None",
            "gradients": gradients,
            "buffers": list(module.buffers()),
            "alive": module.alive,
        }

    try:
        return {"ranks": simulate(rank, ranks).results}
    except RankError as error:
        unread = [
            f"Rank {me} was sent {link.waiting()} and did not ask for it."
            for me, link in sorted(links.items())
            if link.waiting()
        ]
        return {"error": str(error), "reason": error.reason, "unread": unread}


@probe
def on_processes(learner, blocks, schedule, weights, X, y):
    """run_stage on two processes: each rank's loss and gradients, or what went wrong."""
    import torch

    from utils import ranks
    from utils.pipeline.link import Link
    from utils.ranks import RankError

    run_stage, microbatches = learner.run_stage, len(schedule[0]) // 2

    def rank(blocks, schedule, weights, X, y):
        names = {}
        exec(blocks, names)
        link = Link()
        stage = names["build_stages"](weights, "plain")[link.rank]
        parts, targets = X.chunk(microbatches), y.chunk(microbatches)
        cross_entropy = torch.nn.functional.cross_entropy
        loss = run_stage(
            [tuple(action) for action in schedule[link.rank]],
            stage,
            link.send,
            link.recv,
            inputs=parts if link.rank == 0 else None,
            loss=None if link.rank == 0 else lambda m, s: cross_entropy(s, targets[m]),
        )
        link.finish()
        gradient = stage.weight.grad
        return [loss, gradient if gradient is not None else torch.zeros(0)]

    try:
        found = ranks.run(rank, 2, blocks, schedule, weights, X, y, timeout=100, device="cpu")
    except RankError as error:
        return {"error": str(error), "reason": error.reason, "unread": []}
    return {"loss": found[1][0], "gradients": [gradient for _, gradient in found]}


def _raise_error(reply, given):
    """A Fault for what went wrong on a rank."""
    lines = [line for line in str(reply["error"]).splitlines() if not line.endswith("running.")]
    error, reason = "\n".join(lines), str(reply["reason"])
    if reason == "deadlock":
        raise Fault(
            "value",
            "The ranks wait for messages that nobody sends.",
            "A message is found by its label: an activation carries the ('F', m) that made it, a"
            " gradient the ('B', m) that made it. Sender and receiver must name the same one, and"
            " every message that is waited for must be sent.",
            detail=" ".join([*error.splitlines()[1:], *map(str, reply["unread"])]),
            given=given,
        )
    said = error.partition("\n")[0]  # after it come lines of the learner's code
    why = next((why for sign, why in answers.ERRORS.items() if sign in said), "")
    raise Fault("exception", "A rank fails.", why, detail=error, given=given)


class _Batch:
    """Random weights, a batch, and what one process makes of them."""

    def __init__(self, rng, kind, stages, microbatches):
        width = 4
        self.kind, self.microbatches = kind, microbatches
        shapes = [(width, width)] * stages
        self.weights = [torch.tensor(rng.normal(size=shape)) for shape in shapes]
        count = 3 * microbatches
        self.X = torch.tensor(rng.normal(size=(count, width)))
        self.y = torch.tensor(rng.integers(width, size=count))
        found = answers.one_process(self.weights, kind, self.X, self.y, microbatches)
        self.loss, self.known_loss, self.gradients, self.known, self.buffers = found

    def run(self, student, schedule):
        """What each rank found, as one thing each: loss, gradients, buffers, alive."""
        given = _given(schedule, self.kind)
        reply = simulated(student, BLOCKS, self.kind, schedule, self.weights, self.X, self.y)
        if "error" in reply:
            _raise_error(reply, given)
        return reply["ranks"], given

    def judge(self, ranks, given):
        gradients = [rank["gradients"] for rank in ranks]
        missing = [r for r, mine in enumerate(gradients) if not all(len(one) for one in mine)]
        expect.that(
            not missing,
            "A rank's parameters have no gradient.",
            given=given,
            detail=f"Ranks {missing}.",
            diagnosis="Each rank calls backward on its own graph, once for each micro-batch.",
        )
        try:
            expect.close(
                gradients, self.gradients, what="the gradients", given=given, knows=self.known
            )
        except Fault as fault:
            right, wrong = [], []
            for rank, (mine, theirs) in enumerate(zip(self.gradients, gradients, strict=True)):
                (right if _same(theirs, mine) else wrong).append(str(rank))
            fault.message = "The gradients are not those of one process."
            fault.detail = (
                f"Right on ranks: {', '.join(right) or 'none'}; wrong: {', '.join(wrong)}."
            )
            fault.expected = fault.got = ""  # pages of numbers
            raise

    def judge_loss(self, ranks, given):
        expect.close(
            ranks[-1]["loss"],
            self.loss,
            what="the loss that the last rank returns",
            given=given,
            knows=self.known_loss,
        )
        expect.that(
            all(rank["loss"] == "None" for rank in ranks[:-1]),
            "A rank other than the last returns a loss.",
            given=given,
            diagnosis="Only the last rank knows the loss: the others return None.",
        )


_KINDS = {
    "plain": "stages of one layer",
    "tuple": "stages that return two tensors",
    "norm": "stages with batch normalisation",
}


def _same(got, expected):
    try:
        expect.close(got, expected)
    except Fault:
        return False
    return True


def _given(schedule, kind):
    stages, microbatches = len(schedule), len(schedule[0]) // 2
    return f"For {stages} ranks, {microbatches} micro-batches, {_KINDS[kind]}."


@exercise("run_stage", points=3.5, time_limit=240)
def judge_run_stage(student, rng):
    with part("one rank, which is the first and the last", points=0.4):
        batch = _Batch(rng, "plain", 1, 4)
        with expect.explained(*answers.ERRORS.items()):
            got = expect.items(alone(student, BLOCKS, batch.weights, batch.X, batch.y, 4), 3)
        given = "For 1 rank and 4 micro-batches."
        known = {why: wrong[0][0] for why, wrong in batch.known.items()}
        expect.that(
            len(got[1]),
            "The parameters have no gradient.",
            given=given,
            diagnosis='Is backward called for each ("B", m)?',
        )
        gradient = torch.as_tensor(batch.gradients[0][0])
        expect.close(got[1], gradient, what="the gradient", given=given, knows=known)
        known = {
            "The gradients that were there before are gone: they are to be added to.": gradient,
            "What was there before is divided, too: scale each loss, not the gradients.": gradient
            * 1.25,
        }
        again, twice = f"{given} Called twice.", "the gradient after the second call"
        expect.close(got[2], 2 * gradient, what=twice, given=again, knows=known)
        loss, known = batch.loss, batch.known_loss
        expect.close(got[0], loss, what="the loss that is returned", given=given, knows=known)
    plain = {stages: _Batch(rng, "plain", stages, m) for stages, m in ((2, 4), (4, 8))}
    found = {}

    def run(name, stages):
        if (name, stages) not in found:
            build = answers.gpipe if name == "gpipe" else answers.one_f_one_b
            schedule = build(stages, plain[stages].microbatches)
            found[name, stages] = schedule, *plain[stages].run(student, schedule)
        return found[name, stages]

    with part("GPipe: the gradients of one process", points=0.7):
        for stages in plain:
            plain[stages].judge(*run("gpipe", stages)[1:])

    def right(stages):
        """What 1F1B found, if its gradients are right."""
        plain[stages].judge(*run("1f1b", stages)[1:])
        return run("1f1b", stages)

    with part("1F1B and any other order: the gradients of one process", points=0.6):
        batch = _Batch(rng, "plain", 2, 3)
        try:
            for stages in plain:
                right(stages)
            batch.judge(*batch.run(student, answers.schedules.parse(answers.OTHER_ORDER)))
        except Fault as fault:
            if fault.kind != "exception":
                fault.diagnosis = fault.diagnosis or (
                    "Does a backward take that of its own micro-batch out of the stash, whatever"
                    " the order?"
                )
            raise
    with part("the loss, on the last rank", points=0.3):
        for name in ("gpipe", "1f1b"):
            plain[4].judge_loss(*run(name, 4)[1:])
    with part("stages that return several tensors", points=0.4):
        batch = _Batch(rng, "tuple", 3, 4)
        batch.judge(*batch.run(student, answers.one_f_one_b(3, 4)))
    with part("batch normalisation: each forward once, in order", points=0.3):
        batch = _Batch(rng, "norm", 2, 4)
        ranks, given = batch.run(student, answers.one_f_one_b(2, 4))
        batch.judge(ranks, given)
        buffers, what = [rank["buffers"] for rank in ranks], "the running means and variances"
        with expect.otherwise('Each forward changes them: run the module once for each ("F", m).'):
            expect.close(buffers, batch.buffers, what=what, given=given)
    with part("what a backward has used is let go", points=0.4):
        for stages in plain:
            schedule, ranks, given = right(stages)
            for rank, held in enumerate(answers.running(schedule)):
                _judge_alive(rank, ranks[rank]["alive"], held, given)
    with part("on two processes", points=0.4):
        batch = plain[2]
        right(2)  # what goes wrong on simulated ranks is not tried on processes
        reply = on_processes(
            student, BLOCKS, answers.one_f_one_b(2, 4), batch.weights, batch.X, batch.y
        )
        given = "For 2 processes and 4 micro-batches."
        if "error" in reply:
            _raise_error(reply, given)
        expected = [mine[0] for mine in batch.gradients]
        expect.close(reply["gradients"], expected, what="the gradients", given=given)
        expect.close(reply["loss"], batch.loss, what="the loss", given=given)


def _judge_alive(rank, alive, held, given):
    """The names of the step before may still refer to one output."""
    expect.that(
        len(alive) == len(held),
        "The module does not run once for each forward.",
        given=given,
        detail=f"On rank {rank} it ran {len(alive)} times for {len(held)} micro-batches.",
    )
    expect.that(
        all(a <= h + 1 for a, h in zip(alive, held, strict=True)),
        "The stash holds micro-batches whose backward is done.",
        given=given,
        detail=f"Outputs of rank {rank} in memory as each forward begins: {alive}; needed: {held}.",
        diagnosis="Take what the backward needs out of the stash (pop), or memory grows with every"
        " micro-batch, and 1F1B gains nothing.",
    )


@probe
def bubble(learner, rows, stages):
    from utils.pipeline.schedules import Span

    return learner.measured_bubble([Span(*row) for row in rows], stages)


@exercise(
    "measured_bubble",
    points=1.5,
    forbids={"measured_bubble": ["utils.pipeline.schedules.Timeline", "utils.pipeline.trace"]},
)
def judge_measured_bubble(student, rng):
    def judge(rows, stages):
        rows = [tuple(row) for row in rng.permutation(np.array(rows, dtype=object)).tolist()]
        right, known = answers.bubble(rows, stages)
        listed = "; ".join(f"rank {r} {k} {a:.2f} to {b:.2f}" for r, k, _, a, b in rows[:6])
        given = f"For {stages} ranks and {len(rows)} spans ({listed}{' …' * (len(rows) > 6)})."
        got = bubble(student, rows, stages)
        expect.close(got, right, what="the bubble", given=given, knows=known)

    def rows(schedule, start, message=False):
        """A simulated run, disturbed a little, from any time on; with waits between its work."""
        timeline = answers.schedules.simulate(schedule, 0.04, 0.08)
        made = []
        for span in timeline.spans:
            begin = start + span.start
            end = begin + (span.end - span.start) * float(rng.uniform(0.8, 1.0))
            made.append((span.rank, span.kind, span.microbatch, begin, end))
        if message:
            made.append((1, "receive", 0, start - 0.02, start + 0.03))
            made.append((0, "wait", 3, start + timeline.end, start + timeline.end + 0.01))
        return made

    start = float(rng.uniform(5, 900))
    with part("one micro-batch through two ranks", points=0.4):
        a = float(rng.uniform(0.5, 2))
        timed = [(0, "F", 0, 0, a), (1, "F", 0, a, 3 * a), (1, "B", 0, 3 * a, 6 * a)]
        judge([*timed, (0, "B", 0, 6.75 * a, 8 * a)], 2)
        judge(timed[:2], 3)  # no rank works from start to end, and one never
    with part("traces of real schedules, from any time on", points=0.6):
        judge(rows(answers.gpipe(2, 4), start), 2)
        judge(rows(answers.one_f_one_b(4, 8), start), 4)
    with part("waiting is no work, and a backward in two parts is", points=0.5):
        with expect.otherwise("Spans of kind F, B, I and W are work, and no others."):
            judge(rows(answers.one_f_one_b(3, 4), start, message=True), 3)
        split = answers.schedules.parse("F0 F1 I0 I1 W0 W1\nF0 I0 F1 I1 W0 W1")
        judge(rows(split, start), 2)


@probe
def stash(learner, case, n, d):
    """What measured_stash says of a run that saves tensors of n × d float32."""
    import torch

    x = torch.rand(n, d, requires_grad=True)
    linear = torch.nn.Linear(d, d, bias=False)

    def run():
        if case == "one":
            return x.tanh()
        if case == "together":
            outputs = [(x + k).tanh() for k in range(3)]
            return [output.sum().backward() for output in outputs]
        if case == "one after another":
            return [(x + k).tanh().sum().backward() for k in range(3)]
        if case == "two, then one":
            for output in [(x + 1).tanh(), (x + 2).tanh()]:
                output.sum().backward()
            return (x + 3).tanh().sum().backward()
        if case == "weights":
            return linear(x).tanh()
        if case == "shared":
            y = x.tanh()
            return y * y
        if case == "views":
            y = x.tanh()
            return y[1:-1] * y[2:]
        y = x + 1
        return y[1:-1] * y[2:]

    measured = [learner.measured_stash(run, linear.parameters()) for _ in range(2)]
    return measured[0] if measured[0] == measured[1] else [str(one) for one in measured]


@exercise("measured_stash", points=2)
def judge_measured_stash(student, rng):
    def judge(case, tensors, says, known=None):
        n, d = int(rng.integers(5, 30)), int(rng.integers(5, 30))
        n = d if case == "one" else n  # no weight, but as large as the weights
        one = 4 * n * d
        got = stash(student, case, n, d)
        given = f"For a run that saves {says}, of {n} × {d} float32."
        expect.that(
            type(got) is not list,
            "Measured twice, the same run gives two results.",
            given=given,
            detail=f"{expect.show(got)}",
            diagnosis="Begin each measurement at 0: nothing of an earlier one may be left.",
        )
        wrong = {why: one * count for why, count in (known or {}).items()}
        wrong["That is the number of values; asked for are bytes."] = one * tensors // 4
        if case == "weights":
            counted = "The weights are counted; they are there all the time and are no stash. Is"
            counted += " `parameters` gone through twice? A generator is empty after once."
            wrong[counted] = one * tensors + 4 * d * d
            wrong["The weights are counted, and one of the activations is not."] = one + 4 * d * d
        expect.close(got, one * tensors, what="the number of bytes", given=given, knows=wrong)

    never = "What was freed is still counted: the hooks' objects go with the graph, and then it is"
    never += " no stash any more."
    added = "That is what was saved in all; asked for is the most that is held at one time."
    last = "That is the last one's; asked for is the most that is held at any time."
    end = "That is what is held at the end; asked for is the most that is held at any time."
    with part("what one operation saves", points=0.4):
        judge("one", 1, "one tensor")
    with part("the most at any time, not all that ever was", points=0.8):
        judge("together", 3, "three tensors before the first backward", {end: 0, last: 1})
        judge("one after another", 1, "three tensors, each freed before the next", {added: 3})
        judge(
            "two, then one", 2, "two tensors, frees them, and saves one more", {never: 3, last: 1}
        )
    with part("weights left out", points=0.4):
        judge("weights", 2, "a linear layer's input and a tanh's output")
    with part("a tensor that is saved twice is held once", points=0.4):
        twice = "One tensor is saved more than once, and memory holds it once: compare storages."
        judge("shared", 1, "one tensor, by two operations", {twice: 3})
        with expect.otherwise(twice):
            judge("views", 1, "one tensor, and two slices of it")
        with expect.otherwise("A slice keeps its whole storage in memory, once: count storages."):
            judge("slices", 1, "two slices of one tensor")


@exercise("speed_up", points=1)
def judge_speed_up(student, rng):
    with part("the time of one rank by that of p", points=0.4):
        for _ in range(4):
            p, m = int(rng.integers(2, 9)), int(rng.integers(2, 40))
            right, known = answers.speed_up(p, m)
            given = {"stages": p, "microbatches": m}
            expect.close(student.speed_up(p, m), right, given=given, knows=known)
        given = {"stages": 1, "microbatches": 6}
        expect.close(student.speed_up(1, 6), 1.0, given=given)
    with part("share_reached", points=0.35):
        how = "Compute your formula for 8 stages and 32 micro-batches, and divide."
        expect.answer(student, "share_reached", *answers.share_reached(), how, rtol=0.01)
    with part("rest", points=0.25):
        wrong = {
            "bubble": "The formula has the bubble in it, and allows more than was measured.",
            "memory": "Memory decides whether it runs, not how fast.",
        }
        expect.choice(student, "rest", "balance", wrong)


@exercise("staleness", points=1)
def judge_staleness(student, rng):
    with part("updates between a forward and its backward", points=0.7):
        p = int(rng.integers(5, 10))
        for rank, stages in ((3, 9), (p - 1, p), (0, p), (2, p + 1), (0, 1)):
            right, known = answers.staleness(rank, stages)
            given = {"rank": rank, "stages": stages}
            expect.equal(student.staleness(rank, stages), right, given=given, knows=known)
    with part("stalest", points=0.3):
        why = (
            "How far is the way to the end of the row and back? On the last rank, backward follows"
        )
        why += " its forward at once."
        expect.choice(student, "stalest", "first", {"last": why, "all": why})
