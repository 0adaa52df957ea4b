"""Checks of lab 15: the program of a pipeline's rank, and what is measured of it.

A rank's program runs step by step, see `utils.pipeline.conversation`: the judge plays its
neighbours, and sees every message with its numbers. A module multiplies with one factor after
another, forward and backward alike: the numbers depend on the order of all that the rank did. Nothing depends on how long anything takes.
"""

import numpy as np
import torch

from grading.answer.exercise import exercise, part
from grading.answer.fault import Fault
from grading.answer.student import Student, probe
from grading.checks import expect
from grading.checks.answers import pipeline as answers
from grading.checks.answers.pipeline import MISTAKES
from grading.checks.limits import limits
from utils.pipeline import schedules
from utils.pipeline.conversation import Other, data_of, exchange_program, stage_program
from utils.pipeline.saved import parameter_of, saved_by


@exercise("stage_layers", points=0.5)
def stage_layers(student, rng):
    def check(*cases):
        for count, stages in cases:
            layers = [int(n) for n in 20 + rng.choice(1000, size=count, replace=False)]
            given = {"layers": layers, "stages": stages}
            of = lambda own: [own.stage_layers(list(layers), r, stages) for r in range(stages)]  # noqa: B023, E731
            right, known = of(answers), MISTAKES.values("stage_layers", of)
            with expect.explained(*answers.LAYER_ERRORS):
                got = of(student)
            expect.equal(got, right, what="the layers by rank", given=given, knows=known)
            expect.unchanged(student, right[-1], given=given)

    with part("every layer in one stage, in order", points=0.3):
        check((8, 4), (6, 2), (5, 1))
    with part("numbers that cannot be shared evenly", points=0.2):
        check((8, 3), (10, 4), (int(rng.integers(11, 15)), 5), (3, 3))


# Ranks whose other side is the judge


@probe
def rank_of_two(learner, setting):
    from utils.pipeline.conversation import Conversation, exchange_program

    return Conversation(exchange_program(learner.there_and_back, setting))


@probe
def rank_of_many(learner, setting):
    from utils.pipeline.conversation import Conversation, stage_program

    return Conversation(stage_program(learner.run_stage, setting))


@probe
def step(learner, talk, reply):
    return talk.step(reply)


@probe
def end(learner, talk):
    talk.end()
    return True


class _Talk:
    """What a rank asks and says, step after step, and what a right program would.

    begin: the probe that begins the student's; program: makes one of a function and the setting;
    reply: what the judge replies to a message.
    """

    compared = ("send", "loss")  # steps whose numbers count; those of others lead to these

    def __init__(self, name, begin, program, setting, reply):
        self.name, self.begin, self.program = name, begin, program
        self.setting, self.reply = setting, reply
        self.right = self.events(answers)
        self.returned, self.counts = [], []  # by the student's function, and by event

    def events(self, own):
        """Those of a program that runs here, up to an error."""
        here = _Here(self.reply)
        try:
            here.events.append(self.program(getattr(own, self.name), self.setting)(here))
        except Exception:
            if own is answers:
                raise
        return here.events

    def hold(self, student, given):
        """Play the student's rank's other side, to the end; the counts that it reports, by event."""
        talk, counts, reply = self.begin(student, self.setting), self.counts, ()
        expect.that(type(talk) is Student, "The rank's program does not begin.")
        try:
            while len(counts) < len(self.right):
                for event in _events(step(student, talk, reply)):
                    wanted = self.right[len(counts)][0]
                    if wanted[0] == "loss" and event[0] != wanted:
                        self.right = _late(self.right)
                    self._compare(event, self.right[len(counts)], len(counts), given)
                    counts.append(event[2])
                    if len(counts) == len(self.right):
                        return counts
                reply = self.reply(self.right[len(counts) - 1][0])
        finally:
            end(student, talk)
        return counts

    def knows(self, at, event=None):
        """(diagnosis, values) of the misconceptions that were right so far, and whose step this is,
        or is `event`."""
        for why, events in MISTAKES.values(self.name, self.events, self.name):
            was_right = all(map(self._same, events[:at], self.right[:at]))
            if was_right and len(events) > at and event in (None, events[at][0]):
                yield why, list(events[at][1])

    def _same(self, one, other):
        same = one[0] == other[0]
        if one[0][0] in self.compared:
            same = same and len(one[1]) == len(other[1]) and all(map(_near, one[1], other[1]))
        return same

    def _compare(self, event, right, at, given):
        (what, values, _), (wanted, numbers, _) = event, right
        if what != wanted:
            why = [says for says, _ in self.knows(at, what)]
            raise Fault(
                "value",
                "The rank does something else than what its turn is.",
                why[0] if why else _out_of_turn(what, wanted),
                detail=f"Expected at step {at}: {_words(wanted)} Yours: {_words(what)}",
                given=given,
            )
        if wanted[0] in self.compared:
            name = "what is sent" if wanted[0] == "send" else "what enters the loss"
            with expect.otherwise(self._where(wanted, at)):
                known = self.knows(at, wanted)
                expect.close(list(values), list(numbers), what=name, given=given, knows=known)
        if wanted == ("end",):
            expect.that(len(values[-1]), "The parameters have no gradient.", given=given)
            known = ((why, found[-1]) for why, found in self.knows(at))
            expect.close(values[-1], numbers[-1], what="the gradient", given=given, knows=known)
            self.returned = list(values[:-1])

    def _where(self, wanted, at):
        """What is known of a step whose numbers are wrong, and that no known mistake explains."""
        if (("again",), (), 0) in self.right[:at]:
            return AGAIN
        return f"It belongs to this step: {_words(wanted)}"

    def judge_returned(self, given):
        """What the student's function returned is the loss, or None."""
        right = list(self.right[-1][1][:-1])
        expect.that(len(self.returned) == len(right), "This counts once the parts above are right.")
        last = len(self.right) - 1
        known = ((why, found[:-1]) for why, found in self.knows(last))
        for mine, one in zip(self.returned, right, strict=True):
            if torch.isnan(one):
                expect.that(
                    mine.isnan().all() and mine.ndim == 0,
                    "A rank other than the last returns a loss.",
                    given=given,
                    diagnosis="Only the last rank knows the loss: the others return None.",
                )
                continue
            expect.that(
                mine.shape != (2,),
                "The loss is returned as a tensor with its graph.",
                given=given,
                diagnosis="Return a number, without its graph: `.item()`. A graph keeps in memory"
                " all that it came from.",
            )
            expect.that(
                mine.shape != (3,),
                "The loss is returned as a tensor, and a float is asked for.",
                given=given,
                diagnosis="`.item()` makes a number of it.",
            )
            expect.that(
                mine.ndim == 0 and not mine.isnan(),
                "The last rank returns the loss, a number, and this is none.",
                given=given,
                diagnosis="Is a return missing?" * bool(mine.isnan().any()),
            )
        if not torch.isnan(right[0]):
            expect.close(self.returned, right, what="the loss", given=given, knows=known)


AGAIN = (
    "The first call was right, and this is the second, with the same numbers: were the weights changed,"
    " which are the optimizer's to move, or is something kept from one call to the next?"
)


class _Here(Other):
    """The other side of a program that runs in the judge's process."""

    def __init__(self, reply):
        self.reply, self.events = reply, []

    def ask(self, what, values=()):
        self.note(what, values)
        return self.reply(what)

    def note(self, what, values=(), count=0):
        self.events.append((what, data_of(values), count))


def _events(step):
    """The events of a step, if it has the form of one."""
    expect.that(type(step) is list and 0 < len(step) < 100, "The rank's program tells no step.")
    for event in step:
        right = type(event) is tuple and len(event) == 3 and type(event[2]) is int
        right = right and type(event[0]) is tuple and type(event[1]) is tuple and len(event[0]) > 0
        right = right and all(type(word) in (str, int) for word in event[0])
        right = right and all(type(one) is torch.Tensor for one in event[1])
        expect.that(right, "The rank's program tells no step.")
    return step


def _late(events):
    """The same, where each loss is computed as it goes back."""
    late, losses = [], {}
    for event in events:
        verb, *m = event[0]
        if verb == "loss":
            losses[m[0]] = event
        else:
            late += [losses.pop(m[0]), event] if verb == "loss backward" else [event]
    return late


def _near(one, other):
    return one.shape == other.shape and torch.allclose(one, other, rtol=1e-9, equal_nan=True)


def _words(what):
    """What a rank does in a step, as a sentence."""
    verb, *rest = what
    if verb in ("send", "recv"):
        message = f'("{rest[1]}", {rest[2]})' if len(rest) == 3 else "the message"
        if verb == "send":
            to_next = f"It sends {message} to the next rank."
            to_previous = f"It sends {message} to the previous rank."
            to = {"next": to_next, "previous": to_previous}
            return to.get(rest[0], f"It sends {message} to rank {rest[0]}.")
        of_next = f"It waits for {message} of the next rank."
        of_previous = f"It waits for {message} of the previous rank."
        of = {"next": of_next, "previous": of_previous}
        return of.get(rest[0], f"It waits for {message} of rank {rest[0]}.")
    return {
        "module": "It runs its module.",
        "backward": "It goes backward through its module.",
        "loss": f"It computes the loss of micro-batch {rest}.",
        "loss backward": f"It begins the backward of the loss of micro-batch {rest}.",
        "end": "It returns.",
        "again": "It returns.",
    }.get(verb, "It does something else.")


def _out_of_turn(what, wanted):
    """What is wrong if a step comes where another should."""
    if what[0] == "module":
        return 'The module runs once for each ("F", m), when that is the next action.'
    if what[0] == "backward" and wanted[:3] == ("send", "previous", "B"):
        return (
            "One action goes back through the module more than once: torch.autograd.backward"
            " takes all outputs and all gradients at once."
        )
    if what[0] in ("backward", "loss backward"):
        return 'A backward runs when ("B", m) is the next action.'
    if what[0] == "loss" != wanted[0]:
        return "The loss of a micro-batch is computed once, by its forward or by its backward."
    if wanted[0] in ("backward", "loss backward"):
        return 'The action is ("B", m), and nothing goes back: is a backward put off, or left out?'
    if what in (("end",), ("again",)) and wanted[0] == "send":
        return "Another rank waits for a gradient or an activation that is never sent."
    if what in (("end",), ("again",)):
        return "It returns before all is done: is a return inside of the loop?"
    if what == ("recv", 1) and wanted[0] == "send":
        return "Rank 1 sends nothing before it has received: this rank's turn is to send."
    if what[0] == wanted[0] in ("send", "recv") and what[1] != wanted[1]:
        return "Activations go from previous to next, and gradients from next to previous."
    if what[0] == wanted[0] in ("send", "recv") and what[2:3] != wanted[2:3]:
        return (
            "A message is found by its label: an activation carries the ('F', m) that made it, a"
            " gradient the ('B', m) that made it. Sender and receiver must name the same one."
        )
    if what[0] == wanted[0] in ("send", "recv"):
        return "The label has another number than the action, or actions are out of their order."
    return "The actions run one after another, in the order of the list."


@exercise("there_and_back", points=1.25)
def there_and_back(student, rng):
    def check(rank):
        draw = lambda *shape: torch.tensor(rng.normal(size=shape))  # noqa: E731
        weight, before, x, y, dy = draw(2, 3), draw(2, 3), draw(4, 3), draw(4, 2), draw(4, 2)
        empty = torch.zeros(4, 3, dtype=torch.float64)
        setting = {"rank": rank, "weight": weight, "before": before, "target": y}
        setting["x"] = x if rank == 0 else empty
        coming = {0: dy, 1: x}[rank]
        reply = lambda what: (coming,) if what[0] == "recv" else ()  # noqa: E731
        talk = _Talk("there_and_back", rank_of_two, exchange_program, setting, reply)
        given = f"On rank {rank}, for 4 examples of 3 numbers."
        with expect.explained(*answers.EXCHANGE_ERRORS):
            pending, changed = divmod(talk.hold(student, given)[-1], 2)
        talk.judge_returned(given)
        expect.that(
            not pending,
            "A message that was begun has not ended.",
            given=given,
            diagnosis="isend and irecv return a request: wait() on it, or the rank may end before.",
        )
        expect.that(
            not changed,
            "Rank 0's x is not as it was: its numbers changed, or it wants a gradient now.",
            given=given,
            diagnosis="x is the caller's, and nobody waits for its gradient.",
        )

    with part("rank 0: the activation goes out, its gradient comes in", points=0.65):
        check(0)
    with part("rank 1: the activation comes in, its gradient goes out", points=0.6):
        check(1)


def _rank(rng, actions, rank, ranks, several=False, times=1, held=()):
    """A rank of a pipeline, with all that it meets drawn."""
    m, tensors = 1 + max(m for _, m in actions), 2 if several else 1
    draw = lambda *shape: torch.tensor(rng.normal(size=shape))  # noqa: E731
    some = lambda: tuple(draw(2, 3) for _ in range(tensors))  # noqa: E731
    messages = {kind: [some() for _ in range(m)] for kind in ("F", "B")}
    setting = {
        "rank": rank,
        "ranks": ranks,
        "actions": actions,
        "weight": draw(3, 3),
        "before": draw(3, 3),
        "several": several,
        "factors": draw(2 * m + 1, 2, 3),
        "losses": draw(m).abs() + 0.5,
        "slopes": [some() for _ in range(m)],
        "inputs": [draw(2, 3) for _ in range(m)] if rank == 0 else [],
        "times": times,
        "held": [count + 2 for count in held],
    }

    def reply(what):
        return messages[what[2]][what[3] % m] if what[0] == "recv" else ()

    return _Talk("run_stage", rank_of_many, stage_program, setting, reply)


@exercise(
    "run_stage",
    points=3,
    forbids={"run_stage": ["utils.pipeline.engine", "torch.distributed.pipelining"]},
)
def run_stage(student, rng):
    talks = []

    def check(actions, rank, ranks, **more):
        talk = _rank(rng, actions, rank, ranks, **more)
        given = f"On rank {rank} of {ranks}, for {' '.join(f'{k}{m}' for k, m in actions)}."
        talks.append((talk, given))
        with expect.explained(*answers.ERRORS):
            return talk.hold(student, given)

    with part("one rank, which is the first and the last", points=0.4):
        check(answers.one_f_one_b(0, 1, 3), 0, 1, times=2)
    with part("GPipe, on the first, a middle and the last rank", points=0.8):
        for rank in range(3):
            check(answers.gpipe(3), rank, 3)
    with part("1F1B, and any other order, action by action", points=0.8):
        for rank in range(3):
            check(answers.one_f_one_b(rank, 3, 4), rank, 3)
        for rank in (0, 1):
            check(schedules.parse(answers.OTHER_ORDER)[0], rank, 2)
    with part("the loss, on the last rank and on no other", points=0.3):
        for talk, given in talks[:4]:
            talk.judge_returned(given)
    with part("stages that pass on several tensors", points=0.4):
        for rank in (1, 2):
            check(answers.one_f_one_b(rank, 3, 3), rank, 3, several=True)
    with part("what a backward has used is let go, what was given is kept", points=0.3):
        for rank in range(3):
            actions = answers.one_f_one_b(rank, 3, 5)
            held = answers.held(actions)
            try:
                check(actions, rank, 3, held=held)
            finally:
                _judge_memory(*talks[-1], held)


def _judge_memory(talk, given, held):
    """What the student's process says of its memory; where it keeps more, its numbers are others."""
    steps = [what for what, _, _ in talk.right]
    alive = [n for what, n in zip(steps, talk.counts, strict=False) if what == ("module",)]
    expect.that(
        all(a <= h + 1 for a, h in zip(alive, held, strict=False)),
        "The rank keeps micro-batches whose backward is done.",
        given=given,
        detail=f"Kept as each forward begins: {alive}; needed: {held}, and the last one's names.",
        diagnosis="Take what the backward needs out of the stash (pop), and keep nothing else of a"
        " micro-batch, or memory grows with every one of them, and 1F1B gains nothing.",
    )
    expect.that(
        len(talk.counts) < len(steps) or not talk.counts[-1],
        "The caller's inputs were changed: they want gradients now.",
        given=given,
        diagnosis="The first rank's inputs are the caller's, and nobody waits for their gradients.",
    )


@probe
def bubble(learner, rows, stages):
    from utils.pipeline.schedules import Span

    return learner.measured_bubble([Span(*row) for row in rows], stages)


@exercise(
    "measured_bubble",
    points=1.25,
    forbids={"measured_bubble": ["utils.pipeline.schedules.Timeline", "utils.pipeline.trace"]},
)
def measured_bubble(student, rng):
    def check(rows, stages):
        """On spans in any order, but never from the first to the last."""
        middle = rng.permutation(np.arange(1, len(rows) - 1)).tolist()
        rows = [rows[place] for place in (len(rows) - 1, *middle, 0)]
        spans = [schedules.Span(*row) for row in rows]
        listed = "; ".join(f"rank {r} {k} {a:.2f} to {b:.2f}" for r, k, _, a, b in rows[:6])
        given = f"For {stages} ranks and {len(rows)} spans ({listed}{' …' * (len(rows) > 6)})."
        of = lambda own: own.measured_bubble(spans, stages)  # noqa: E731
        known = MISTAKES.values("measured_bubble", of)
        none = "No span was taken for work: kinds are capital letters."
        with expect.explained(("empty", none), ("index out of range", none)):
            got, right = bubble(student, rows, stages), of(answers)
        expect.close(got, right, what="the bubble", given=given, knows=known)

    def rows(schedule, message=False):
        """A simulated run, disturbed a little, from any time on; with waits between its work."""
        timeline, start = schedules.simulate(schedule, 0.04, 0.08), float(rng.uniform(5, 900))
        made = []
        for span in timeline.spans:
            begin = start + span.start
            end = begin + (span.end - span.start) * float(rng.uniform(0.8, 1.0))
            made.append((span.rank, span.kind, span.microbatch, begin, end))
        if message:
            made.append((1, "receive", 0, start - 0.02, start + 0.03))
            made.append((0, "Wait", 3, start + timeline.end, start + timeline.end + 0.01))
        return sorted(made, key=lambda row: row[3])

    with part("one micro-batch through the ranks", points=0.4):
        in_turn = [(r, "F", 0) for r in range(3)] + [(r, "B", 0) for r in (2, 1, 0)]
        ends = np.cumsum(rng.uniform(1, 2, size=6)).tolist()
        starts = [0.0, *(end + float(rng.uniform(0.1, 0.5)) for end in ends[:-1])]
        check([(*one, a, b) for one, a, b in zip(in_turn, starts, ends, strict=True)], 3)
        first, gap, second, third, late, fourth = rng.uniform(0.5, 2, size=6).tolist()
        at = np.cumsum([first + gap, second, third, late, fourth]).tolist()
        timed = [(0, "F", 0, 0.0, first), (1, "F", 0, at[0], at[1]), (1, "B", 0, at[1], at[2])]
        check([*timed, (0, "B", 0, at[3], at[4])], 2)
        check(timed[:2], 3)  # no rank works from start to end, and one never
    with part("traces of real schedules, from any time on", points=0.5):
        check(rows([answers.gpipe(4)] * 2), 2)
        check(rows([answers.one_f_one_b(rank, 4, 8) for rank in range(4)]), 4)
        start, short = float(rng.uniform(5, 900)), float(rng.uniform(0.2, 0.4))
        within = [(1, "F", m, start + m + 0.5, start + m + 0.5 + short) for m in range(3)]
        check([*within, (0, "F", 0, start, start + 5)], 2)  # the last to begin is not the last
    with part("waiting is no work, and a backward in two parts is", points=0.35):
        check(rows([answers.one_f_one_b(r, 3, 4) for r in range(3)], message=True), 3)
        check(rows(schedules.parse("F0 F1 I0 I1 W0 W1\nF0 I0 F1 I1 W0 W1")), 2)


@probe
def stash(learner, steps, weight):
    """What measured_stash says of a run of these steps, twice."""
    from utils.pipeline.saved import parameter_of, saved_by

    weight = parameter_of(weight)
    run = saved_by(steps, weight)
    return [learner.measured_stash(run, iter([weight])) for _ in range(2)]


@exercise("measured_stash", points=1.5)
def measured_stash(student, rng):
    def check(*steps, what, dtype=torch.float32):
        sizes = rng.choice(range(6, 40), size=2 * len(steps) + 1, replace=False).tolist()
        d = sizes[-1]
        steps = [
            (do, name, n, d) if do in ("tanh", "square", "slices", "linear", "part") else (do, name)
            for (do, name), n in zip(steps, sizes, strict=False)
        ]
        weight = torch.rand(d, d, dtype=dtype)
        right = answers.most_saved(steps, weight.element_size())
        listed = ", ".join(f"{step[2]} × {d}" for step in steps if len(step) > 2)
        given = f"For a run that saves {what} ({listed}, {str(dtype).removeprefix('torch.')})."
        own_weight = parameter_of(weight)
        run = saved_by(steps, own_weight)
        known = MISTAKES.values(
            "measured_stash", lambda own: own.measured_stash(run, iter([own_weight]))
        )
        with expect.explained(*answers.HOOK_ERRORS):
            got = expect.items(stash(student, steps, weight), 2)
        expect.close(got[0], right, what="the number of bytes", given=given, knows=known)
        expect.that(
            _near(torch.tensor(float(expect.number(got[1]))), torch.tensor(float(right))),
            "Measured twice, the same run gives two results.",
            given=given,
            diagnosis="Begin each measurement at 0: nothing of an earlier one may be left.",
        )

    with part("what one operation saves", points=0.3):
        check(("tanh", 0), what="one tensor")
        check(what="nothing at all")
        check(("tanh", 0), ("backward", 0), what="one tensor", dtype=torch.float64)
    with part("the most at any time, not all that ever was", points=0.5):
        two = (("tanh", 0), ("tanh", 1))
        check(*two, ("backward", 0), ("backward", 1), what="two tensors before a backward")
        check(
            ("tanh", 0),
            ("backward", 0),
            ("tanh", 1),
            ("backward", 1),
            what="two, one after another",
        )
        check(*two, ("backward", 1), ("tanh", 2), what="two, frees one, and saves one more")
        check(("tanh", 0), ("again", 0), ("tanh", 1), what="one, goes back and keeps it, one more")
        check(*two, ("drop", 0), ("drop", 1), ("tanh", 2), what="two, drops both, and saves one")
    with part("weights left out", points=0.3):
        check(("linear", 0), what="a linear layer's input and a tanh's output")
        check(("part", 0), what="the same, with a slice of the layer's weight")
    with part("a tensor that is saved twice is held once", points=0.4):
        check(("square", 0), ("tanh", 1), what="one tensor for two operations, and another")
        check(("tanh", 0), ("slices", 1), what="a tensor, and two slices of another")


@exercise("speed_up", points=1)
def speed_up(student, rng):
    with part("the time of one rank by that of p", points=0.4):
        cases = (int(rng.integers(2, 9)), int(rng.integers(2, 40))), (3, 2), (1, 6), (5, 1)
        told = expect.recognised_by_all(student, MISTAKES, "speed_up", cases)
        with limits(student, "speed_up", *answers.SPEEDS), told:
            for case in cases:
                given = dict(zip(("stages", "microbatches"), case, strict=True))
                expect.answers(student, MISTAKES, "speed_up", given)
    with part("share_reached", points=0.35):
        how = "Compute your formula for 8 stages and 32 micro-batches, and divide."
        known = dict(MISTAKES.written("speed_up", "share_reached"))
        expect.answer(student, "share_reached", answers.share_reached, known, how, rtol=0.01)
    with part("rest", points=0.25):
        wrong = {
            "bubble": "The formula has the bubble in it, and allows more than was measured.",
            "memory": "Memory decides whether it runs, not how fast.",
            "recompute": "A good guess, as 0.75 is 3/4; but the run that it is compared with"
            " recomputes, too.",
        }
        expect.choice(student, "rest", answers.rest, wrong)


@exercise(
    "interleaved",
    points=0.75,
    forbids={
        "interleaved_bubble": ["utils.pipeline.published", "utils.pipeline.schedules.simulate"]
    },
)
def interleaved(student, rng):
    with part("the stages of a rank", points=0.25):
        drawn = rng.integers((1, 12, 4), (12, 40, 9)).tolist()
        for rank, stages, chunks in ((3, 4, 3), drawn, (0, 2, 1)):
            given = {"rank": rank, "stages": stages, "chunks": chunks}
            with limits(student, "chunks_of", *answers.HELD_CHUNKS):
                expect.answers(student, MISTAKES, "chunks_of", given, exercise="interleaved")
    with part("the bubble of chunks", points=0.5):
        drawn = int(rng.integers(3, 9)), int(rng.integers(9, 60)), int(rng.integers(3, 9))
        for p, m, v in (drawn, (4, 8, 1), (1, 3, 2), (3, 2, 5)):
            given = {"stages": p, "microbatches": m, "chunks": v}
            with limits(student, "interleaved_bubble", *answers.BUBBLES):
                expect.answers(
                    student, MISTAKES, "interleaved_bubble", given, exercise="interleaved"
                )


@exercise("staleness", points=0.75)
def staleness(student, rng):
    with part("updates between a forward and its backward", points=0.75):
        p, n = (int(one) for one in rng.integers((5, 23), (99, 999)))
        for rank, stages in ((5, n), (p - 1, p), (0, p), (2, p + 1), (0, 1)):
            given = {"rank": rank, "stages": stages}
            with limits(student, "staleness", *answers.STALENESSES):
                expect.answers(student, MISTAKES, "staleness", given)
