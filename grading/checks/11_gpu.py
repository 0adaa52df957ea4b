"""Checks of lab 11: counted work, the roofline, a right timer, two kernels, coalescing, float16.

Of a kernel the learner's process gives its text and nothing else, and the cells that were handed in
must say the same. The judge runs the text itself, on a machine that executes nothing of it
(`utils.kernels.machine`), on arrays of its own: values and bytes are what it saw. A timer runs on a device that the judge plays, and reads the judge's clock.
"""

import ast
import copy
import statistics
from functools import partial

import numpy as np
import torch

from grading.answer.exercise import exercise, part
from grading.answer.fault import Fault
from grading.answer.student import Student, probe
from grading.checks import expect
from grading.checks.answers import gpu as answers
from grading.checks.answers.gpu import MISTAKES
from grading.checks.limits import limits
from grading.checks.mistakes import Known
from utils.kernels.device import Simulated
from utils.kernels.machine import KernelError, Source, run
from utils.kernels.source import of_plain


def _answers(student, exercise, name, cases, *, what="the result", how="", **close):
    """The student's function is right in each case. how: said of what no known mistake explains."""
    arguments = [list(case.values()) for case in cases]
    of = lambda own: [getattr(own, name)(*copy.deepcopy(one)) for one in arguments]  # noqa: E731
    right, got = of(answers), []
    for case, one in zip(cases, arguments, strict=True):
        got.append(getattr(student, name)(*one))
        expect.unchanged(student, given=case)
    known = MISTAKES.values(exercise, of, name)
    with expect.otherwise(how):
        _all_close(got, right, cases, known, what=what, **close)
    expect.unchanged(student, right[-1], given=cases[-1])


def _all_close(got, right, given, known, *, what, **close):
    """Each result is right. Of known mistakes the one that is meant agrees with all results, or at
    least with all that are wrong."""
    wrong = {}
    for at, one in enumerate(right):
        try:
            expect.close(got[at], one, what=what, given=given[at], **close)
        except Fault as fault:
            wrong[at] = fault
    if wrong:
        fault, known = next(iter(wrong.values())), list(known)
        words = type(right[0]) is str  # one of two words says little
        for places in (range(len(right)), range(len(right)) if words else wrong):
            for why, values in known:
                if all(_alike(got[at], values[at], **close) for at in places):
                    fault.diagnosis = why
                    raise fault
        raise fault


def _alike(one, other, **close):
    try:
        expect.close(one, other, **close)
    except (Fault, ValueError):
        return False
    return True


@exercise("count", points=1.25, forbids={"count": ["torch.utils.flop_counter"]})
def count(student, rng):
    what = ("the FLOPs", "the bytes")

    def check(operation, *shapes):
        dtypes = rng.permutation(list(answers.BYTES)).tolist() * 2
        cases = [
            {"operation": operation, "shape": shape, "dtype": dtype}
            for dtype, shape in zip(dtypes, shapes, strict=False)
        ]
        got, right = student.count(*cases[0].values()), answers.count(*cases[0].values())
        expect.that(
            type(got) is not tuple or got != right[::-1],
            "The two numbers are exchanged.",
            given=cases[0],
            diagnosis="FLOPs first, then bytes.",
        )
        how = "How many numbers has the output, and what takes each? Then add up what is read and what is written, in numbers, and multiply by the bytes of one."
        _answers(student, "count", "count", cases, what=what, how=how, rtol=1e-9, atol=0)

    draw = lambda n: [int(k) for k in rng.permutation(np.arange(2, 40))[:n]]  # noqa: E731
    with part("a product of matrices", points=0.35):
        check("product", *(tuple(draw(3)) for _ in range(3)), (1, *draw(2)), (*draw(2), 1))
    with part("a convolution", points=0.4):
        cases = []
        for size in (0, 1, 2):
            N, C, K, R, S, H, W = draw(7)
            cases.append((N, C, H + R - 1, W + S - 1 + size, K, R, S))
        check("convolution", *cases, (2, 3, 5, 4, 7, 5, 4), (1, 4, 6, 9, 1, 1, 2))
    with part("a softmax", points=0.25):
        check("softmax", *(tuple(draw(2)) for _ in range(3)), (1, 9), (8, 1))
    with part("a chain of operations", points=0.25):
        check("chain", *(tuple(draw(2)) for _ in range(3)), (7, 1), (1, 5))


@exercise("roofline", points=1.25)
def roofline(student, rng):
    def check(name, *cases):
        never = "Where the intensity never gets to the ridge, it is 0: nothing to divide by."
        with SIMPLE[name](student), expect.explained(("division by zero", never)):
            _answers(student, "roofline", name, cases, rtol=1e-9, atol=0)

    def card(times):
        """times: the intensity, in ridges."""
        ridge, bandwidth = float(rng.integers(4, 300)), float(rng.integers(1, 900)) * 2.0**30
        return {"intensity": times * ridge, "peak": ridge * bandwidth, "bandwidth": bandwidth}

    factors = (0.001, 0.4, 0.999, 1.0, 1.001, 3.0, 700.0)
    with part("the speed that is possible", points=0.4):
        check("roofline", *(card(float(t)) for t in rng.permutation(factors)))
    with part("what the limit is, on both sides and at the ridge", points=0.3):
        words = student.bound_by(0.25, 100.0, 8.0), student.bound_by(100.0, 100.0, 8.0)
        expect.that(
            all(type(word) is str and word in ("memory", "compute") for word in words),
            "What it returns is none of the two words.",
            diagnosis='It is "memory" or "compute", in small letters. Or is a return missing?',
        )
        check(
            "bound_by",
            *(card(float(t)) for t in rng.permutation(factors)),
            {"intensity": 0.5, "peak": 1.0, "bandwidth": 8.0},
        )
    with part("the smallest batch that reaches the ridge", points=0.35):
        cases, wanted = [], [True] * 6 + [False] * 2
        while wanted:
            inputs, outputs = (int(n) for n in rng.integers(200, 4000, size=2))
            size, ridge = int(rng.choice([2, 4, 8])), float(rng.uniform(5, 400))
            given = {
                "inputs": inputs,
                "outputs": outputs,
                "size": size,
                "peak": ridge * 1e12,
                "bandwidth": 1e12,
            }
            needed = size * ridge
            room = 2 * inputs * outputs - needed * (inputs + outputs)
            exact = needed * inputs * outputs / room
            clear = room > 0 and exact < 5000 and 0.05 < exact % 1 < 0.95
            if (clear or room < 0) and (room > 0) in wanted:
                wanted.remove(room > 0)
                cases.append(given)
        never = {"inputs": 4, "outputs": 4, "size": 4, "peak": 1.0, "bandwidth": 1.0}  # but nearly
        n = int(2 ** rng.integers(8, 12))
        even = {"inputs": n, "outputs": n, "size": 2, "peak": n / 4 * 2.0**40, "bandwidth": 2.0**40}
        late = {"inputs": 1024, "outputs": 1024, "size": 2, "peak": 500.0, "bandwidth": 1.0}
        # Each row gains half a FLOP on the ridge. The batch is 529.3 rows, so rounding is no matter.
        barely = {"inputs": 8, "outputs": 8, "size": 2, "peak": 3.97, "bandwidth": 1.0}
        check("smallest_batch", *cases, never, even, late, barely)
    with part("ridge_h100", points=0.2):
        known = dict(MISTAKES.written("roofline", "ridge_h100"))
        how = "At the ridge the memory brings just what the peak needs: peak = ridge · bandwidth."
        expect.answer(student, "ridge_h100", answers.ridge_h100, known, how, rtol=0.01)


SIMPLE = {
    "roofline": lambda student: limits(
        student,
        "roofline",
        (
            (1.0, 10.0, 2.0),
            2.0,
            "With 1 FLOP a byte and 2 bytes a second no more than 2 FLOPs a second are possible.",
        ),
        ((100.0, 10.0, 2.0), 10.0, "However many FLOPs a byte has, the peak is never passed."),
    ),
    "bound_by": lambda student: limits(
        student,
        "bound_by",
        ((1.0, 10.0, 2.0), "memory", "With few FLOPs a byte the arithmetic waits for the memory."),
        (
            (100.0, 10.0, 2.0),
            "compute",
            "With many FLOPs a byte the memory waits for the arithmetic.",
        ),
    ),
    "smallest_batch": lambda student: limits(
        student,
        "smallest_batch",
        ((4, 4, 4, 100.0, 1.0), 0, "Where the intensity never gets to the ridge, it is 0."),
        (
            (1000, 1000, 2, 10.0, 1.0),
            11,
            "With 1,000 inputs and outputs, 2 bytes a number and a ridge of 10 it is 11: B·i·o products and sums, by all three matrices' bytes.",
        ),
    ),
}


# A timer on a device that the judge plays


@probe
def timer(learner, repeats):
    from utils.kernels.device import timing_program
    from utils.pipeline.conversation import Conversation

    return Conversation(timing_program(learner.measure, repeats))


@probe
def step(learner, talk, reply):
    return talk.step(reply)


@probe
def end(learner, talk):
    talk.end()
    return True


def _timed(student, device, repeats, given):
    """What `measure` returned; the device has what it did."""
    talk, reply = timer(student, repeats), ()
    expect.that(type(talk) is Student, "The timer does not begin.", kind="type")
    try:
        while len(device.log) < 2000:
            events = step(student, talk, reply)
            expect.that(type(events) is list and 0 < len(events) < 1000, "The timer tells nothing.")
            for event in events:
                form = type(event) is tuple and len(event) == 3 and type(event[0]) is tuple
                expect.that(form and type(event[1]) is tuple, "The timer tells nothing.")
                if event[0] == ("call",):
                    device.call()
                elif event[0] == ("synchronize",):
                    device.synchronize()
                elif event[0] == ("now",):
                    reply = (torch.tensor(device.now(), dtype=torch.float64),)
                else:
                    ended = event[0] == ("end",) and len(event[1]) == 1
                    expect.that(
                        ended and type(event[1][0]) is torch.Tensor, "The timer tells nothing."
                    )
                    return expect.number(event[1][0], what="what `measure` returns", given=given)
        raise Fault("exception", "`measure` does not end.", given=given)
    finally:
        end(student, talk)


def _samples(log):
    """The times between two readings of the clock that have one call and its end between them, and
    before which the device had nothing to do; the first call does not count."""
    found, calls, idle, reading, between = [], 0, False, None, []
    for what, at in log:
        if what == "now":
            whole = between[:1] == ["call"] and set(between[1:]) == {"synchronize"}
            if reading is not None and whole and calls > 1 and reading[1]:
                found.append(at - reading[0])
            reading, between = (at, idle), []
        else:
            calls += what == "call"
            idle = what == "synchronize"
            between.append(what)
    return found


def _why(device, repeats):
    """What is wrong with a timer that no known mistake explains, from what it did."""
    kinds = [what for what, _ in device.log]
    if "call" not in kinds:
        return "`f` is never called: f() calls it."
    if "now" not in kinds:
        return "The device's own clock is never read: device.now()."
    if "synchronize" not in kinds:
        return answers._NO_WAIT
    if kinds.count("call") < repeats:
        return "`f` is not called for each time: f() calls it."
    found = len(_samples(device.log))
    if found < repeats:
        return (
            "There are fewer than `repeats` times in which all is right: the device has nothing to do,"
            " the clock is read, f is called once, its work is waited for, the clock is read again."
        )
    return "The single times are there; the median of the last `repeats` of them is asked for."


@exercise("measure", points=1.75, forbids={"measure": ["torch.utils.benchmark", "triton.testing"]})
def measure(student, rng):
    us = 1e-6

    def check(*cases):
        """cases: (repeats, seconds of each call's work, seconds of work before)"""
        got, right, given, made = [], [], [], []
        for repeats, seconds, queue in cases:
            launch, start = float(rng.uniform(5, 20)) * us, float(rng.uniform(1, 9))
            made.append(partial(Simulated, seconds, launch=launch, queue=queue, start=start))
            given.append(f"For repeats = {repeats}, on the check's device.")
            device = made[-1]()
            with expect.otherwise("It returns a number, the median: a float."):
                got.append(_timed(student, device, repeats, given[-1]))
            times = _samples(device.log)[-repeats:]
            whole = len(times) == repeats
            right.append(
                statistics.median(times) if whole else timed_by(answers, made[-1], repeats)
            )
        of = lambda own: [timed_by(own, d, c[0]) for d, c in zip(made, cases, strict=True)]  # noqa: E731
        known = MISTAKES.values("measure", of, "measure")
        with expect.otherwise(_why(device, repeats)):
            _all_close(got, right, given, known, what="the time", rtol=1e-6, atol=0)

    def timed_by(own, made, repeats):
        device = made()
        return own.measure(device.call, device, repeats)

    def alike():
        return float(rng.uniform(800, 3000)) * us

    def late():
        """Seconds of calls that differ, a few of them far off."""
        usual = alike()
        seconds = usual * (1 + 0.3 * rng.permutation(np.linspace(-1, 1, 23)))
        seconds[rng.permutation(23)[:6]] *= rng.uniform(4, 9, size=6)
        return [usual, *seconds.tolist()]

    with part("the work is waited for", points=0.45):
        check((3, [alike()], 0.0), (1, [alike()], 0.0))
    with part("the first call is slower, and does not count", points=0.3):
        usual = [alike() for _ in range(3)]
        firsts = [float(rng.uniform(20, 40)) * one for one in usual]
        check(*((k + 1, [firsts[k], *[usual[k]] * 60], 0.0) for k in range(3)))
    with part("earlier work does not count", points=0.3):
        check(*((n, [alike()], float(rng.uniform(15, 30)) * 2e-3) for n in (1, 2)))
    with part("the median, as single times may be off", points=0.3):
        check(*((n, late(), 0.0) for n in (5, 6, 7, 4)))
    for name in ("timer_a", "timer_b", "timer_c", "timer_d"):
        with part(name, points=0.1):
            right = getattr(answers, name)
            wrong = {word: says for word, says in answers._TIMERS.items() if word != right}
            expect.choice(student, name, right, wrong)


# Kernels, which the judge runs from their text


@probe
def relu_text(learner):
    from utils.kernels.source import plain

    return plain(learner.relu_add_kernel)


@probe
def softmax_text(learner):
    from utils.kernels.source import plain

    return plain(learner.softmax_kernel)


HOW = {
    "relu_add": "Number by number it is max(x + y, 0): are x, y and out taken at the same places?",
    "softmax_kernel": "Maximum, subtraction, exp, sum, division, all over one row, loaded and stored from row · row_stride on: which of them differs?",
}


class _Kernel:
    """A kernel's text, run on the judge's machine.

    Whether the function has its `@jit` shows in no number that the judge could recompute: the text
    alone is run, and without `@jit` it is the same. The notebook's own launch fails then.
    """

    def __init__(self, exercise, name, text):
        self.exercise, self.name, self.text, self.source = exercise, name, text, None
        self.found = False

    def run(self, student, rng, programs, arguments, given):
        """What it did to the memory; arguments: by parameter, with arrays that are copied."""
        try:
            if self.source is None:
                self.source = of_plain(self.text(student))
            order = rng.permutation(programs)
            self.order = np.roll(order, int(order[-1] == 0))  # the first program is not the last
            memory = run(self.source, programs, _copies(arguments), self.order)
        except KernelError as error:
            if error.kind == "undone":
                raise Fault("not done", f"`{self.name}` is not written yet.") from None
            raise Fault("exception", error.message, error.why, error.detail, given) from None
        if not self.found:
            self._stands_in_the_notebook(student)
            self.found = True
        return memory

    def _stands_in_the_notebook(self, student):
        """What the text calls, the notebook's own cells call in the kernel of that name.

        The cells are what was handed in; the text is only what the learner's process says.
        """
        nodes = [node for text in self.source.texts.values() for node in ast.walk(ast.parse(text))]
        types = [getattr(node, "annotation", None) for node in nodes]  # which nothing calls
        types = {id(node) for one in types if one is not None for node in ast.walk(one)}
        used = (n for n in nodes if isinstance(n, ast.Attribute) and id(n) not in types)
        asked = sorted({f".{node.attr}" for node in used})
        found = student._connection.transport.uses(self.name, asked)
        expect.that(
            set(asked) <= set(found),
            f"The text of `{self.name}` does not stand in a cell of this notebook.",
            diagnosis="A kernel is written out in its cell: run that cell again.",
        )

    def judge(self, memory, right, programs, arguments, given):
        """`out_ptr` is `right` where that is a number, and all else is as it was."""
        for name in arguments:
            if name.endswith("_ptr") and name != "out_ptr":
                expect.that(
                    not memory.counts("store", name).any(),
                    f"The kernel stores to `{name}`.",
                    given=given,
                    diagnosis="It belongs to the caller: results go to out_ptr.",
                )
        got, used = memory.arrays["out_ptr"], ~np.isnan(right)
        stored = memory.counts("store", "out_ptr") > 0
        known = ((why, out[used]) for why, out in self._knows(programs, arguments))
        if (used & ~stored).any():
            near = [why for why, out in known if np.allclose(out, got[used], equal_nan=True)]
            raise Fault(
                "value",
                "Some numbers of out are never stored.",
                near[0]
                if near
                else "Which places does each program store to? Together they cover out, each once.",
                f"The first is at place {int(np.flatnonzero(used & ~stored)[0])} of {len(got)}.",
                given,
            )
        try:
            expect.close(
                got[used],
                right[used],
                what="out",
                given=given,
                knows=known,
                rtol=1e-4,
                atol=1e-6,
            )
        except Fault as fault:
            if np.isnan(got[used]).any() and fault.diagnosis.startswith("NaN comes"):
                fault.diagnosis += (
                    " What a mask leaves out of tl.load is NaN here, where no `other` is given."
                )
            fault.diagnosis = fault.diagnosis or HOW[self.exercise]
            raise
        expect.that(
            not (stored & ~used).any(),
            "The kernel stores between the rows.",
            given=given,
            diagnosis="A row has `columns` numbers and begins at row · row_stride; what lies between"
            " the rows is somebody else's.",
        )

    def _knows(self, programs, arguments):
        """(diagnosis, out) of the known mistakes, run as the learner's text is."""
        for row in MISTAKES:
            if (
                type(row) is Known
                and row.exercise == self.exercise
                and f"def {self.name}" in row.code
            ):
                if self.exercise == "relu_add" and "return -(-n // block)" not in row.code:
                    continue  # a mistake of `programs`
                try:
                    memory = run(
                        Source(self.name, {self.name: row.code}),
                        programs,
                        _copies(arguments),
                        self.order,
                    )
                except KernelError:
                    continue
                yield row.says, memory.arrays["out_ptr"]

    def once(self, memory, used, given):
        """Of each array the places in use are touched once, and no others."""
        for name, wanted in used.items():
            kind, other = ("store", "load") if name == "out_ptr" else ("load", "store")
            stored = kind == "store"
            counts = memory.counts(kind, name)
            most = int(counts.max(initial=0))
            expect.that(
                most <= 1 and not memory.counts(other, name).any(),
                "Some numbers pass through the memory more often than needed.",
                given=given,
                detail=f"In all {memory.bytes} bytes are moved; {sum(w.sum() * 4 for w in used.values())} are needed."
                f" A number of `{name}` is {'stored' if stored else 'loaded'} up to {most} times.",
                diagnosis=answers._ONCE_ONLY,
            )
            why = "Loading what is not needed costs bandwidth, too: the mask keeps it away."
            expect.that(
                (counts == wanted).all(),
                f"Not the right numbers of `{name}` are {'stored' if stored else 'loaded'}.",
                given=given,
                diagnosis=why,
            )


def _copies(arguments):
    return [v.copy() if isinstance(v, np.ndarray) else v for v in arguments.values()]


@exercise("relu_add", points=1.25)
def relu_add(student, rng):
    kernel = _Kernel("relu_add", "relu_add_kernel", relu_text)

    def check(n, block, bytes_too=False):
        x, y = (rng.normal(size=n).astype(np.float32) for _ in range(2))
        out = np.full(n, float(rng.uniform(50, 90)), np.float32)
        arguments = {"x_ptr": x, "y_ptr": y, "out_ptr": out, "n": n, "BLOCK": block}
        count, given = -(-n // block), f"For n = {n} and BLOCK = {block}."
        memory = kernel.run(student, rng, count, arguments, given)
        kernel.judge(memory, np.maximum(x + y, 0), count, arguments, given)
        own = {a.program: set() for a in memory.accesses}
        for one in memory.accesses:
            own[one.program] |= set(one.places.tolist())
        expect.that(
            max(map(len, own.values())) <= block,
            "One program does the work of others.",
            given=given,
            diagnosis="Each program has one block of numbers: all programs run at the same time.",
        )
        if bytes_too:
            every = np.ones(n, dtype=int)
            kernel.once(memory, {"x_ptr": every, "y_ptr": every, "out_ptr": every}, given)

    with part("programs: as many as are needed", points=0.2):
        block = int(2 ** rng.integers(2, 8))
        k = [int(n) for n in rng.integers(2, 90, size=4)]
        some = (k[0] * block, k[1] * block + 1, k[2] * block - 1, 1, block, block - 1)
        some += (k[3] * block + block // 2,)
        cases = [{"n": n, "block": block} for n in some]
        how = "Whole programs: one for each full block, and one more if something is left over."
        _answers(student, "relu_add", "programs", cases, what="the number", how=how, rtol=0, atol=0)
        expect.that(
            type(got := student.programs(7, 4)) is int or isinstance(got, np.integer),
            "It is no whole number.",
            diagnosis="A number of programs is a whole number: // gives one.",
            kind="type",
        )
    with part("whole blocks", points=0.4):
        check(64, 16)
        check(32, 32)
    with part("n as it comes: the last block is not full", points=0.35):
        for n, block in (
            (int(rng.integers(65, 79)), 16),
            (9, 8),
            (31, 32),
            (1, 16),
            (int(rng.integers(100, 120)), 128),
        ):
            check(n, block)
    with part("each number is moved once: fused", points=0.3):
        check(64, 32, True)
        check(45, 16, True)


@exercise(
    "softmax_kernel",
    points=1.75,
    forbids={
        "softmax_kernel": [".softmax", "utils.kernels.launch.tl.softmax", "triton.language.softmax"]
    },
)
def softmax_kernel(student, rng):
    kernel = _Kernel("softmax_kernel", "softmax_kernel", softmax_text)

    def check(rows, columns, block, stride, shift=0.0, spread=1.0, bytes_too=False):
        x = np.full((rows, stride), 60.0, np.float32)
        x[:, :columns] = shift + spread * rng.normal(size=(rows, columns))
        size = (rows - 1) * stride + columns  # behind the last row there is nothing
        x, right, used = x.reshape(-1)[:size], np.full(size, np.nan), np.zeros(size, dtype=int)
        for row in range(rows):
            here = slice(row * stride, row * stride + columns)
            e = np.exp(x[here].astype(float) - x[here].max())
            right[here], used[here] = e / e.sum(), 1
        out = np.full(size, float(rng.uniform(50, 90)), np.float32)
        arguments = {"x_ptr": x, "out_ptr": out, "row_stride": stride, "columns": columns}
        arguments["BLOCK"] = block
        given = f"For {rows} rows of {columns} numbers, row_stride = {stride} and BLOCK = {block}."
        memory = kernel.run(student, rng, rows, arguments, given)
        kernel.judge(memory, right, rows, arguments, given)
        if bytes_too:
            kernel.once(memory, {"x_ptr": used, "out_ptr": used}, given)

    with part("rows as long as the block", points=0.5):
        check(3, 8, 8, 8)
        check(1, 16, 16, 16, shift=-3.0)
    with part("large numbers, and far apart", points=0.35):
        check(4, 8, 8, 8, shift=1000.0, spread=300.0)
        check(2, 8, 8, 8, shift=-9000.0)
        check(2, 4, 4, 4, shift=5000.0)
    with part("rows of any length, anywhere in the memory", points=0.5):
        for columns, block, more in (
            (5, 8, 4),
            (5, 8, 0),
            (3, 16, 1),
            (1, 2, 3),
            (1, 1, 0),
            (4, 4, 2),
            (17, 32, 20),
        ):
            check(int(rng.integers(2, 5)), columns, block, columns + more, shift=-6.0)
        check(2, 3, 8, 5, shift=-5000.0)
        check(2, 3, 8, 5, shift=-1e20)
    with part("each number is moved once: fused", points=0.4):
        check(4, 16, 16, 16, bytes_too=True)
        check(3, 11, 16, 13, bytes_too=True)


@exercise("transactions", points=1)
def transactions(student, rng):
    def check(*cases):
        names = ("addresses", "size", "line")
        cases = [
            dict(zip(names, (np.asarray(a, np.int64), *more), strict=True)) for a, *more in cases
        ]
        how = "Of each access: which lines lie between its first byte and its last? Count the different ones."
        given = {"what": "the number", "how": how, "rtol": 0, "atol": 0}
        _answers(student, "transactions", "transactions", cases, **given)

    lanes, base = np.arange(32), 1024 * int(rng.integers(3, 90))
    with part("neighbours, strides and chance", points=0.35):
        apart = 4 * int(rng.integers(3, 7))
        check(
            (base + 4 * lanes, 4, 128),
            (base + 4 * lanes, 4, 32),
            (base + 8 * lanes, 8, 32),
            (base + apart * lanes, 4, 32),
            (base + apart * lanes, 4, 128),
            (base + 4096 * lanes, 4, 32),
            (base + 0 * lanes, 4, 32),
            (base + 4 * rng.permutation(32), 4, 32),
            (base + 4 * lanes, 4, 64),
            *((4 * rng.integers(0, 400, size=n), 4, 32) for n in (32, 96, 97, 98)),
            (base + 512 * (lanes // 16) + 4 * lanes, 4, 32),
            (base + 2000 * (lanes % 2) + 4 * lanes, 4, 128),
        )
    with part("accesses that cross a border", points=0.25):
        off = 4 * int(rng.integers(1, 7))
        check(
            *((rng.integers(0, 1600, size=n), 4, 32) for n in (32, 64, 65, 66)),
            (base + off + 4 * lanes, 4, 32),
            (base + 2 + 4 * lanes, 4, 32),
            (base + off + 4 * lanes, 4, 128),
            (base + 28 + 64 * lanes, 8, 32),
            (base + 16 * lanes, 16, 32),
            (base + 30 + 128 * lanes, 4, 32),
            (base + 29 + 128 * lanes, 4, 32),  # by one byte
            (base + 24 + 64 * lanes, 8, 32),
            (base + 4 + 96 * lanes, 64, 32),
            (base + 48 * lanes, 16, 32),
        )
    how = {
        "structures_take": "Write down where the x of points 0, 1, 2 begin, and into which lines of 32 bytes they fall.",
        "arrays_take": "32 numbers of 4 bytes lie next to each other: how many bytes, how many lines of 32?",
    }
    for name, hint in how.items():
        with part(name, points=0.1):
            known = dict(MISTAKES.written("transactions", name))
            expect.answer(student, name, getattr(answers, name), known, hint, rtol=1e-6)
    with part("slower", points=0.2):
        wrong = {
            "columns": "There, at each step, neighbouring threads read neighbouring numbers of one row.",
            "alike": "One of them, at each step, fetches a line for each thread, the other for eight.",
        }
        expect.choice(student, "slower", answers.slower, wrong)


@exercise("loss_scale", points=1, forbids={"scaled_step": ["torch.amp", "torch.cuda.amp"]})
def loss_scale(student, rng):
    def gradients(low, high, zeros=0):
        g = rng.choice([-1, 1], size=60) * 2.0 ** rng.uniform(low, high, size=60)
        g[:zeros] = 0
        return rng.permutation(g).astype(np.float32)

    def take(*, good=0, every=1000, spoilt=()):
        w = (1e-4 * rng.normal(size=6)).astype(np.float32)
        g = (2.0 ** rng.uniform(-9, 3, size=6) * rng.choice([-1, 1], size=6)).astype(np.float16)
        for place, value in zip(rng.permutation(6), spoilt, strict=False):
            g[place] = value
        scale, lr = float(2.0 ** rng.integers(9, 16)), float(rng.uniform(0.3, 0.9))
        return {"w": w, "gradients": g, "scale": scale, "good": good, "lr": lr, "every": every}

    def check(*cases):
        how = "A good step is w − lr · gradient, once, with gradients in float32 and divided by scale; a skipped one leaves all of w as it is."
        near = {"rtol": 2e-6, "atol": 1e-12, "dtype": "float32", "how": how}
        near["what"] = ("w", "scale", "good")
        _answers(student, "loss_scale", "scaled_step", cases, **near)

    with part("the share that is lost", points=0.35):
        drawn = (gradients(-34, -12), 1.0), (gradients(-36, -30), 1024.0)
        drawn += ((gradients(-34, -12, 20), float(2.0 ** rng.integers(5, 9))),)
        drawn += (gradients(-26, -13), 1.0), (gradients(-30, -20, 60), 8.0)
        cases = [{"gradients": g, "scale": scale} for g, scale in drawn]
        how = "Of those that are not 0: times scale, rounded to float16, which share is 0 now?"
        _answers(student, "loss_scale", "lost_share", cases, what="the share", how=how)
    with part("a step from scaled gradients", points=0.45):
        check(take(good=3), take(good=0))
    with part("an overflow, and a scale that grows", points=0.2):
        every, inf, nan = int(rng.integers(4, 9)), np.inf, np.nan
        check(
            *(
                take(good=5, spoilt=s)
                for s in ((inf,), (-inf,), (nan,), (inf, nan), (nan, inf, -inf))
            ),
            take(spoilt=(inf,) * 6) | {"scale": 1.0},
            *(take(good=good, every=every) for good in (every - 2, every - 1, 0)),
            take(good=every - 1, every=every, spoilt=(inf,)),
        )


@exercise("read_a_profile", points=0.75)
def read_a_profile(student, rng):
    with part("device_idle", points=0.2):
        known = dict(MISTAKES.written("read_a_profile", "device_idle"))
        how = "Of one step, from one wait's end to the next: add up what the device does, and compare it with the whole."
        expect.answer(student, "device_idle", answers.device_idle, known, how, rtol=0.01)
    with part("dominant", points=0.2):
        wrong = {
            "copy": "There is one kernel in each step of that name, and it is not long.",
            "optimizer": "There are many kernels, and short ones: add up their bars.",
            "relu": "There are two kernels in each step of that name, and short ones.",
        }
        expect.choice(student, "dominant", answers.dominant, wrong)
    with part("waits_for", points=0.2):
        wrong = {
            "launch": "Those are the gaps between the small kernels: add them up, and compare.",
            "copy": "During the copy the device itself is busy: that is no gap.",
            "loss": "When the loss is read the host waits there, for the device.",
        }
        expect.choice(student, "waits_for", answers.waits_for, wrong)
    with part("remedy", points=0.15):
        wrong = {
            "fuse": "That makes fewer and shorter gaps, at the end: not the longest one.",
            "bfloat16": "Then the products are shorter, and the device would only idle more.",
            "faster device": "All kernels are shorter then, and the device would only idle more.",
        }
        expect.choice(student, "remedy", answers.remedy, wrong)
