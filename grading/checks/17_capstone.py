"""Checks of lab 17: a program for several machines, step by step and as a whole.

The judge is the network between the ranks and the disk under them (`programs`): results must follow
from what it delivered, checkpoints from the bytes that it kept, and it ends a run where it likes.
"""

import itertools
from functools import cached_property

import numpy as np
import torch

from grading.answer.exercise import exercise, part
from grading.answer.fault import Fault
from grading.answer.student import probe
from grading.checks import expect, programs
from grading.checks.answers import capstone as right
from grading.checks.answers.capstone import LAST_STAGE_RIGHT, MISTAKES, ONE_NAME, STEPS
from grading.checks.programs import Mesh, Stopped, one_process
from utils.pipeline import schedules
from utils.program import Job

_FIRST = "This counts once the parts above are right."


# The mesh


@exercise("groups", points=1)
def groups(student, rng):
    def check(sizes):
        for one in (sizes[int(at)] for at in rng.permutation(len(sizes))):
            of = lambda own: placed(own, list(one))  # noqa: B023, E731
            ranks = int(np.prod(one))
            given = f"For {' x '.join(map(str, one))} (data, pipeline, tensor) = {ranks} ranks."
            known = MISTAKES.values("groups", of)
            got, wanted = of(student), of(right)
            try:
                expect.equal(got, wanted, what="the groups by rank", given=given)
            except Fault as fault:
                known = [why for why, found in known if expect.alike(got, found)]
                fault.diagnosis = known[0] if known else _which(got, wanted)
                raise

    def draw(count):
        return (2 + rng.choice(4, size=count, replace=False)).tolist()

    with part("two dimensions: the ranks of each replica, and of each stage", points=0.3):
        check([draw(2), draw(2), [1, *draw(1)], [*draw(1), 1], [2, 2]])
    with part("three dimensions, the last one fastest", points=0.5):
        check([[2, 3, 2], [3, 2, 2], [2, 2, 3], draw(3), [1, *draw(2)]])
    with part("sizes that do not make the number of ranks are refused", points=0.2, alone=False):
        for ranks, *sizes in (
            (7, 2, 3),
            (12, 2, 3),
            (4, 2, 3),
            (6, 3, 1),
            (9, 2, 2, 2),
            (4, 2, 2, 2),
        ):
            said = refused(student, "groups", [0, ranks, *sizes])
            given = f"For {' x '.join(map(str, sizes))} and {ranks} ranks."
            expect.that(
                said is not None,
                "`groups` does not refuse sizes whose product is not the number of ranks.",
                given=given,
                diagnosis="Fewer places than ranks leave ranks without a group, more name ranks that"
                " there are not: data · pipeline · tensor is the number of ranks, exactly.",
            )
            numbers = str(ranks) in said
            expect.that(
                numbers,
                "The error does not say how many ranks there are.",
                given=given,
                diagnosis="Whoever reads it has started the wrong number of processes: the sentence"
                " needs the sizes and the number of ranks.",
            )


def _which(got, wanted):
    """What is wrong with groups of which no known mistake explains all."""
    hints = {
        "data": "The data group has the ranks with this rank's stage and tensor index, of every replica.",
        "pipeline": "The pipeline has the ranks of this replica and tensor index, stage after stage.",
        "tensor": "The tensor group has the ranks of this replica and stage.",
    }
    try:
        wrong = [
            k
            for k in hints
            if any(repr(a[k]) != repr(b[k]) for a, b in zip(got, wanted, strict=True))
        ]
    except (TypeError, KeyError, ValueError, IndexError):
        return ""
    return " ".join(hints[key] for key in wrong)


@probe
def placed(learner, sizes):
    """The groups of every rank, in order."""
    ranks = 1
    for size in sizes:
        ranks *= size
    return [learner.groups(rank, ranks, *sizes) for rank in range(ranks)]


@probe
def calling(learner, name, args):
    """What the function raises, as its type's name and its text; None for nothing."""
    try:
        getattr(learner, name)(*args)
    except NotImplementedError:
        raise
    except Exception as error:
        return [type(error).__name__, str(error)]
    return None


def refused(student, name, args):
    """The words of the ValueError that a call raises; None if it raises nothing."""
    found = calling(student, name, args)
    if found is None:
        return None
    kind, said = expect.form(found, ["", ""], what="the error")
    expect.that(
        kind == "ValueError",
        f"`{name}` raised {kind}.",
        diagnosis="A ValueError is asked for: raise ValueError(…) with a sentence.",
        kind="exception",
    )
    return said


# One step


NO_GRADIENT = (
    "A .grad is None. What was received must want a gradient, x.requires_grad_(), before it enters"
    " the module; and its .grad is there only after the backward. The first stage sends none back,"
    " and no zero_grad() stands between backward and the sum."
)
STEP_ERRORS = (
    ("process group", "Ask the `dist` that is given: here it stands for torch.distributed."),
    ("takes a tensor, not NoneType", NO_GRADIENT),
    ("'NoneType' object has no attribute 'contiguous'", NO_GRADIENT),
    ("'NoneType' object has no attribute 'clone'", NO_GRADIENT),
    (
        "does not require grad",
        "Nothing in that graph wants a gradient: x.requires_grad_() comes after x has arrived and"
        " before the module uses it.",
    ),
    (
        "grad can be implicitly created only for scalar",
        "The stages before the last have no loss: y.backward(dy), with the gradient that came back.",
    ),
    ("receives into", "What is received has the shape of what is sent: of dy that is y's."),
    ("NoneType' object is not callable", "Only the last stage has `loss`; elsewhere it is None."),
    ("is not in list", "pipeline.index(dist.get_rank()) is this rank's stage."),
    ("list index out of range", "The last stage has no next one."),
    (
        "there is no rank",
        "The next stage is the next entry of `pipeline`, which need not be rank + 1; the first stage"
        " has none before it, the last none after it.",
    ),
    (
        "need no message",
        "A rank's stage is its place in `pipeline`, pipeline.index(rank), and not its number.",
    ),
    (
        "modified by an inplace operation",
        "A tensor was changed after the module had used it. irecv returns at once: its .wait() comes"
        " before the module.",
    ),
    ("leaf Variable", "What is received into is a tensor that does not want a gradient yet."),
    (
        "second time",
        "Each micro-batch's graph is gone back through once.",
    ),
)


def _setting(rng, replicas, stages, microbatches):
    """One batch on a mesh whose ranks are shuffled: what the probe takes."""
    count = int(rng.integers(2, 4))
    widths = [5, *rng.choice([2, 3, 4, 6], size=stages - 1, replace=False).tolist(), 3]
    if stages > 2:
        widths[2] = widths[1]  # what a stage receives and what it passes on may look alike
    draw = lambda *shape: torch.tensor(rng.normal(size=shape))  # noqa: E731
    order = iter(_shuffled(rng, replicas * stages))
    weights = []
    for i in range(stages):
        weights.append([draw(widths[i + 1], widths[i])])
        if i % 2 == 0:
            weights[-1].append(draw(widths[i + 1], widths[i + 1]))

    def some(width):
        return [[draw(count, width) for _ in range(microbatches)] for _ in range(replicas)]

    return {
        "rows": [[next(order) for _ in range(stages)] for _ in range(replicas)],
        "weights": weights,
        "inputs": some(5),
        "targets": some(3),
        "room": [
            [torch.full((count, width), 7.0, dtype=torch.float64) for _ in range(microbatches)]
            for width in widths[:-1]
        ],
    }


def _shuffled(rng, count):
    """Ranks in an order in which the next one is not always one more."""
    if count < 3:
        return list(range(count))[:: int(rng.choice([-1, 1]))]
    while True:
        order = rng.permutation(count).tolist()
        if any(b - a != 1 for a, b in itertools.pairwise(order)):
            return order


class _Step:
    """One batch of `hybrid_step`, as the judge carried it."""

    def __init__(self, rng, replicas, stages, microbatches, factors):
        self.setting = _setting(rng, replicas, stages, microbatches)
        self.seed, self.factors = int(rng.integers(2**31)), factors
        self.given = (
            f"For {replicas} replica{'s' * (replicas > 1)} of {stages} stage{'s' * (stages > 1)},"
            f" {microbatches} micro-batches; pipelines {self.setting['rows']}."
        )
        self.net = self._net()

    def _net(self):
        rng = np.random.default_rng(self.seed)
        rows = self.setting["rows"]
        return Mesh(rows, rng, "hybrid_step", self.given, factors=self.factors)

    @cached_property
    def right(self):
        stages = []
        for weights in self.setting["weights"]:
            layers = [torch.nn.Linear(*w.shape[::-1], bias=False) for w in weights]
            for layer, weight in zip(layers, weights, strict=True):
                layer.weight = torch.nn.Parameter(weight.clone())
            stages.append(torch.nn.Sequential(*layers, torch.nn.Tanh()))
        pairs = zip(self.setting["inputs"], self.setting["targets"], strict=True)
        batches = [list(zip(*one, strict=True)) for one in pairs]
        return one_process(self.net, stages, batches, lambda y, t: ((y - t) ** 2).mean())

    def of(self, own):
        """The losses of the last stage's ranks, and every rank's gradients, of a known answer."""
        net = self._net()
        net.run(programs.stepping(own, self.setting))
        return self._found(net)

    def _found(self, net):
        last = net.columns[-1]
        losses = [net.ended[rank][0] for rank in last]
        return losses, [net.ended[rank][1] for rank in range(net.p)]

    def run(self, student):
        with expect.explained(*STEP_ERRORS):
            self.net.run(programs.stepping(student, self.setting))
        stage = {rank: at for row in self.net.rows for at, rank in enumerate(row)}
        for rank, ended in sorted(self.net.ended.items()):
            _, gradients, _ = expect.items(ended, 3, given=self.given)
            like = self.setting["weights"][stage[rank]]
            none = [type(one) is torch.Tensor and one.numel() == 0 for one in gradients]
            expect.that(
                not any(none),
                "A parameter has no gradient afterwards.",
                given=self.given,
                diagnosis="y.backward(dy) leaves the gradients in the parameters: is it called for every"
                " micro-batch, on every stage?",
            )
            expect.form(gradients, like, what="the gradients of some rank", given=self.given)
        return self

    def gradients(self):
        _, wanted = self.right
        held = [sum(one.numel() for one in stage) for stage in wanted]
        stage = {rank: at for row in self.net.rows for at, rank in enumerate(row)}
        known = lambda rank: (  # noqa: E731
            (why, found[1][rank]) for why, found in MISTAKES.values("hybrid_step", self.of)
        )
        try:
            for rank in range(self.net.p):
                got, right = list(self.net.ended[rank][1]), wanted[stage[rank]]
                what, knows = f"the gradients of rank {rank}", known(rank)
                expect.close(got, right, what=what, given=self.given, knows=knows, rtol=1e-9)
        except Fault as fault:
            if not fault.diagnosis:
                self.net.judge(held, 1)
            ends = [list(self.net.ended[rank][1]) for rank in self.net.columns[-1]]
            if len(wanted) > 1 and all(expect.alike(one, wanted[-1], rtol=1e-9) for one in ends):
                fault.diagnosis = fault.diagnosis or LAST_STAGE_RIGHT
            fault.diagnosis = fault.diagnosis or (
                "Each gradient is the mean over the micro-batches and over the replicas: is every"
                " micro-batch gone back through, with the gradient that came for it?"
            )
            raise
        self.net.judge(held, 1)
        expect.that(
            self.net.unwaited == 0,
            "A send was begun, and its end never waited for.",
            given=self.given,
            diagnosis="isend returns at once. Until request.wait() returns the numbers may still be on"
            " their way: they must not change, and the function must not end.",
        )
        expect.that(
            all(self.net.ended[rank][2] is True for rank in range(self.net.p)),
            "The first stage's inputs are not as they were: their numbers changed, or they want a"
            " gradient now.",
            given=self.given,
            diagnosis="Only what was received gets requires_grad_().",
        )

    def loss(self):
        wanted, _ = self.right
        last = self.net.columns[-1]
        for rank, ended in sorted(self.net.ended.items()):
            if rank not in last:
                expect.that(
                    ended[0] is None,
                    "A rank that is not of the last stage returns a loss.",
                    given=self.given,
                    diagnosis="Only the last stage knows the loss: the others return None.",
                )
        got = [self.net.ended[rank][0] for rank in last]
        expect.that(
            all(type(one) is not torch.Tensor for one in got),
            "The loss is returned as a tensor, and a float is asked for.",
            given=self.given,
            diagnosis="`.item()` makes a number of it.",
        )
        known = ((why, found[0]) for why, found in MISTAKES.values("hybrid_step", self.of))
        right, what = [wanted] * len(last), "the loss"
        with expect.otherwise(
            "It is the mean over all micro-batches of all replicas: each counts once, and as much as the"
            " others."
        ):
            expect.close(got, right, what=what, given=self.given, knows=known, rtol=1e-9)


FORBIDDEN = ["utils.pipeline.engine", "torch.distributed.pipelining", "DistributedDataParallel"]


@exercise("hybrid_step", points=2.5, time_limit=60, forbids={"hybrid_step": FORBIDDEN})
def hybrid_step(student, rng):
    ran = []

    def check(*sizes, factors=True):
        step = _Step(rng, *sizes, factors)
        step.run(student).gradients()
        ran.append(step)

    with part("one replica on one rank, in micro-batches", points=0.35):
        for m in (1, 3):
            check(1, 1, m)
    with part("a pipeline: activations go on, gradients come back", points=0.7):
        for stages, m in ((2, 3), (3, 2), (4, 1)):
            check(1, stages, m)
    with part("replicas: gradients are averaged over them", points=0.4):
        for replicas, m in ((2, 3), (3, 2), (4, 1)):
            check(replicas, 1, m)
    with part("data x pipeline, over links and groups that alter what they carry", points=0.55):
        for replicas, stages, m in ((2, 2, 3), (2, 3, 1), (3, 2, 2)):
            check(replicas, stages, m)
    with part("the loss of the whole batch, on the last stage and on no other", points=0.5):
        expect.that(len(ran) >= 4, _FIRST)
        for step in ran:
            step.loss()


# Checkpoints


class _Disk:
    """A disk that the judge keeps, and what it has of which step and rank."""

    def __init__(self, student, rng, mesh):
        self.student, self.rng, self.mesh = student, rng, mesh
        self.ranks, self.files, self.states = mesh[0] * mesh[1], {}, {}
        self.moments, self.shared = [], False  # shared: ranks wrote over each other's files

    def save(self, step, only=None, watch=False):
        """Save the parts of some ranks, of all of them if none are named."""
        calls = []
        for rank in range(self.ranks) if only is None else only:
            state = self.states[step, rank] = _state(self.rng, step)
            calls.append((step, rank, self.mesh, state))
        seen = programs.saved(self.student, self.files, calls, watch)
        fine = type(seen) is list and seen and all(map(_is_disk, seen))
        expect.that(fine, "The folder's files are not such as files are.", kind="type")
        self.moments = seen
        before, self.files = self.files, seen[-1]
        expect.that(
            self.files != before,
            "`save` writes nothing into the folder.",
            given=self.given,
            diagnosis="The program will be another process when it goes on: only files are left then.",
        )
        changed = [name for name in self.files if self.files[name] != before.get(name)]
        self.shared = self.shared or len(changed) < len(calls)
        return changed

    @property
    def given(self):
        return f"For a mesh of {self.mesh[0]} x {self.mesh[1]} ranks."

    def unfinished(self):
        """The names that were there during the last save, and not after it or before."""
        return {name for one in self.moments for name in one} - {*self.files, *self.moments[0]}

    def resume(self, ranks, files=None, mesh=None):
        """What `resume` says of a disk, for each rank: ("found", step, state), ("nothing",) or
        ("refused", why)."""
        files, mesh = self.files if files is None else files, mesh or self.mesh
        with expect.explained(*CHECKPOINT_ERRORS):
            said = programs.resumed(self.student, files, list(ranks), mesh)
        for one in expect.items(said, len(ranks)):
            fine = type(one) is tuple and one and one[0] in ("found", "nothing", "refused")
            expect.that(
                fine, "`resume` should return a tuple of the step and the state.", kind="type"
            )
        return said

    def expect(self, steps, why, *, files=None, given="", ranks=None):
        """Every rank finds one of these steps, its own state in it."""
        given = " ".join(filter(None, (self.given, given)))
        ranks = range(self.ranks) if ranks is None else ranks
        with expect.otherwise(exception=why):
            found = self.resume(ranks, files)
        for rank, said in zip(ranks, found, strict=True):
            if said[0] != "found":
                message = (
                    "`resume` finds no checkpoint where there is a complete one."
                    if said[0] == "nothing"
                    else "`resume` refuses with a ValueError where there is a complete checkpoint."
                )
                why = ONE_NAME if self.shared and said[0] == "nothing" else why
                detail = str(said[1]) if said[1:] else ""
                raise Fault("value", message, why, detail=detail[:200], given=given)
            if len(said) != 3 or type(said[1]) is not int:
                message = "`resume` should return a tuple of the step, an int, and the state."
                raise Fault("type", message, given=given)
            _, step, state = said
            if step not in steps:
                known = sorted({s for s, _ in self.states})
                message = (
                    "`resume` returns another checkpoint."
                    if step in known
                    else "`resume` returns a number that is not the step of a checkpoint."
                )
                more = why if step in known else "The step that `save` was given is asked for."
                detail = (
                    f"On rank {rank}: expected step {' or '.join(map(str, steps))}, yours {step}."
                )
                raise Fault("value", message, more, detail=detail, given=given)
            own = self.states[step, rank]
            others = (self.states.get((step, r)) for r in range(self.ranks) if r != rank)
            known = [("That is the state of another rank.", one) for one in others if one]
            known += [
                ("That is the state of another step.", one)
                for (s, r), one in self.states.items()
                if r == rank and s != step
            ]
            lost = (
                "The state has lost something on the way: everything in it is to come back, and from"
                " this folder's files."
            )
            with expect.otherwise(lost):
                expect.close(state, own, what="the state", given=given, knows=known, rtol=0, atol=0)


def _is_disk(files):
    return type(files) is dict and all(
        type(name) is str and type(content) is bytes for name, content in files.items()
    )


def _state(rng, step):
    generator = torch.Generator().manual_seed(int(rng.integers(2**31)))
    return {
        "module": {"0.weight": torch.tensor(rng.normal(size=(2, 3)))},
        "optimizer": {"state": {0: {"momentum": torch.tensor(rng.normal(size=4))}}, "rate": [0.1]},
        "generator": generator.get_state()[:64].clone(),
        "losses": [float(rng.normal()), 0.5],
        "done": int(step),
    }


CHECKPOINT_ERRORS = (
    ("unpack", "`resume` returns a tuple of the step and the state, or None."),
    ("weights_only", "torch.load reads tensors, numbers, texts, lists and dicts of them."),
    (
        "FileNotFoundError",
        "Only the folder itself is there beforehand, and it may be"
        " empty. And an unfinished file is no finished one: a pattern fits all of a name"
        " (re.fullmatch), or it fits step5.pt.tmp, too.",
    ),
)


@exercise("checkpoint", points=2, time_limit=30)
def checkpoint(student, rng):
    first = int(rng.integers(20, 40))
    steps = [first, first + 7, first + 15]

    def disk(mesh, *saves):
        one = _Disk(student, rng, mesh)
        for step in saves:
            with expect.explained(*CHECKPOINT_ERRORS):
                one.save(step)
        return one

    with part("what was saved is found again, by another process", points=0.4):
        for mesh in ((1, 1), (2, 2), (1, 3)):
            for one in [disk(mesh, steps[0]) for _ in range(2)]:  # of the same names
                one.expect(
                    [steps[0]],
                    "The judge copies the files into a new folder: what another process finds there is"
                    " all that is left. Complete is a step with the parts of data · pipeline ranks.",
                )
    with part("of several the one with the highest step", points=0.3):
        for order in ([9, 10], [100, 99], [10, 9, 8], steps):
            newest = disk((2, 1), *order)
            newest.expect(
                [max(order)],
                "It is not the newest one. Compare steps as numbers: as text a name with 9 in it comes"
                " after one with 10; which file was written last says nothing; and only one checkpoint is"
                " left if a save removes the others or writes over them.",
                given=f"Saved: steps {order}, in this order.",
            )
    whole = disk((2, 2), *steps[:2])
    with part("one whose parts are not all there is left alone", points=0.35):
        missing = _missing(whole, steps[2], rng)
        missing.expect(
            [steps[1]],
            "In the newest checkpoint parts of other ranks are missing: they were killed before they"
            " wrote them. All ranks must go on from the same step, so each looks at all parts. If"
            " nothing is found at all: only one checkpoint is kept, and it may be the incomplete one.",
            given=f"Steps {steps[:2]} are complete, of step {steps[2]} some ranks' parts are missing.",
        )
    with part("one that is torn is refused, and the one before it used", points=0.35):
        for name, files in _torn(disk((2, 2), *steps[:1]), steps[1], rng):
            torn, torn_files = files
            torn.expect(
                [steps[0]],
                "A part, perhaps a part of another rank, is not as it was written. It is refused without"
                " an error, and the checkpoint before it used. A checksum beside the data tells:"
                " torch.load alone does not notice changed numbers.",
                files=torn_files,
                given=name,
                ranks=(0, 3),
            )
    with part("killed at any moment of a save, one of the two is whole", points=0.3):
        for mesh, at in (((1, 1), 0), ((1, 2), 1), ((1, 2), 0)):
            _killed(disk(mesh, *steps[:1]), steps[1], at, rng)
    with part("a checkpoint of another mesh is refused in words", points=0.2, alone=False):
        for mesh, other in (((2, 2), (4, 1)), ((2, 2), (1, 2)), ((1, 2), (2, 2)), ((2, 1), (1, 2))):
            _refuses(disk(mesh, steps[0]), other)
    with part("an empty folder has none", points=0.1, alone=False):
        for mesh in ((1, 1), (2, 2)):
            (said,) = _Disk(student, rng, mesh).resume([0])
            message = "In an empty folder `resume` should return None."
            expect.that(said == ("nothing",), message)


def _missing(disk, step, rng):
    """The disk with a further step, which lacks one rank's part: the last one's, or any."""
    ranks = list(range(disk.ranks))
    ranks.remove(int(rng.choice([0, disk.ranks - 1])))
    with expect.explained(*CHECKPOINT_ERRORS):
        disk.save(step, only=ranks)
    return disk


def _torn(disk, step, rng):
    """How a file was torn, and the disk with it: every way in which disks do."""
    with expect.explained(*CHECKPOINT_ERRORS):
        names = disk.save(step, only=[*range(disk.ranks)])
    ways = {
        "short": f"Of step {step} one file ends too early.",
        "changed": f"Of step {step} one file has one byte changed.",
        "empty": f"Of step {step} one file is empty.",
        "long": f"Of step {step} one file has more at its end.",
    }
    for way, said in ways.items():
        for _ in range(2 if way == "changed" else 1):
            large = [name for name in names if name in disk.files and len(disk.files[name]) > 200]
            expect.that(large, "The files of a checkpoint are shorter than what they should hold.")
            name = str(rng.choice(large))
            content = bytearray(disk.files[name])
            if way == "short":
                content = content[: int(rng.integers(1, len(content)))]
            elif way == "changed":
                at = _number_in(content, disk.states, rng)
                content[at] ^= int(rng.integers(1, 256))
            elif way == "empty":
                content = bytearray()
            else:
                content += bytes(40)
            yield said, (disk, {**disk.files, name: bytes(content)})


def _number_in(content, states, rng):
    """The place of a byte of some saved number, if one is to be found; else of any byte."""
    for state in states.values():
        at = bytes(content).find(state["module"]["0.weight"].numpy().tobytes())
        if at >= 0:
            return at + int(rng.integers(48))
    return int(rng.integers(len(content)))


def _killed(disk, step, last, rng):
    """Every moment of the last part's save leaves one of two complete checkpoints."""
    before = next(s for s, _ in disk.states)
    others = [rank for rank in range(disk.ranks) if rank != last]
    with expect.explained(*CHECKPOINT_ERRORS):
        if others:
            disk.save(step, only=others, watch=True)
        unfinished = disk.unfinished() if others else set()
        disk.save(step, only=[last], watch=True)
    expect.that(
        not unfinished & disk.unfinished(),
        "Two ranks write unfinished files of the same name.",
        detail=", ".join(sorted(unfinished & disk.unfinished())),
        given=disk.given,
        diagnosis="All ranks save at the same time, into one folder. The name of an unfinished file"
        " has the rank in it, too, or one rank writes over another's.",
    )
    moments = disk.moments
    inner = moments[1:-1]
    if len(inner) > 5:
        inner = [inner[int(at)] for at in sorted(rng.choice(len(inner), 5, replace=False))]
    why = (
        "The kill came in the middle of a save. What was there before must stay until all of the new"
        " is there: write under another name, which resume does not take for a finished one, and"
        " rename at the end; and only one checkpoint is kept if the old one is removed or written over."
    )
    for moment in [moments[0], *inner]:
        disk.expect([before, step], why, files=moment, given="Killed during a save.")
        steps = {said[1] for said in disk.resume(range(disk.ranks), moment)}
        expect.that(
            len(steps) == 1, "After a kill the ranks go on from different steps.", diagnosis=why
        )
    disk.expect([before], why, files=moments[0], given="Killed just before the last part.")
    disk.expect(
        [step], "The last part is there now, and with it the checkpoint.", files=moments[-1]
    )


def _refuses(disk, other):
    with expect.otherwise(
        exception="A ValueError is asked for: raise ValueError(…) with a sentence."
    ):
        (said,) = disk.resume([0], mesh=other)
    given = f"Saved by a mesh of {disk.mesh}, resumed by one of {other}."
    expect.that(
        said[0] != "found",
        "`resume` goes on with a checkpoint of another mesh.",
        given=given,
        diagnosis="Rank 1 may hold another stage there. The mesh belongs into each part, and as many"
        " ranks are not the same mesh.",
    )
    expect.that(
        said[0] == "refused",
        "There is a checkpoint of another mesh, and `resume` says nothing of it.",
        given=given,
        diagnosis="Whoever started it with other sizes would train from the start again without"
        " knowing: raise ValueError with a sentence.",
    )
    expect.that(
        len(said) == 2 and type(said[1]) is str and len(said[1]) > 20,
        "The error says too little: which mesh was it, and which is asked for?",
        given=given,
    )


# The program


TRAIN_ERRORS = (
    ("process group", "Ask the `dist` that is given: here it stands for torch.distributed."),
    ("size mismatch", "The state of another stage was loaded: each rank resumes its own."),
    ("is not in list", "groups(...) tells this rank's place: its index in those lists."),
    (
        "cannot unpack",
        "`train` returns two: a list of losses and a list of weights. And `resume` returns None where"
        " there is no checkpoint.",
    ),
    ("mat1 and mat2", "This rank runs another stage than its place in the pipeline says."),
    ("receives into", "job.room(count) has the form of what comes: as many rows as a micro-batch."),
    *STEP_ERRORS,
)
FORM = "`train` returns two lists: a list of losses and a list of weights."


def _fields(rng, data, pipeline, microbatches, steps=4, every=2):
    draw = lambda *shape: torch.tensor(rng.normal(size=shape))  # noqa: E731
    return {
        "images": draw(11, 4),
        "labels": torch.tensor(rng.integers(3, size=11)),
        "data": data,
        "pipeline": pipeline,
        "microbatches": microbatches,
        "steps": steps,
        "every": every,
        "batch": 2 * data * microbatches,
        "width": 3,
        "depth": 5,
        "classes": 3,
        "rate": 0.2,
        "seed": int(rng.integers(1, 2**31)),
    }


class _Program:
    """A job of `train`, on a mesh that the judge carries."""

    def __init__(self, rng, data, pipeline, microbatches, factors=True, **more):
        self.fields = _fields(rng, data, pipeline, microbatches, **more)
        self.job, self.factors = Job(**self.fields), factors
        self.rows = [[d * pipeline + s for s in range(pipeline)] for d in range(data)]
        self.seed = int(rng.integers(2**31))
        self.given = (
            f"For data = {data}, pipeline = {pipeline}, {microbatches} micro-batches,"
            f" {self.job.steps} steps, a checkpoint every {self.job.every}."
        )

    def net(self, most=10**9):
        rng = np.random.default_rng(self.seed)
        return Mesh(self.rows, rng, "train", self.given, factors=self.factors, most=most)

    @cached_property
    def right(self):
        """The losses and each stage's weights, from one process."""
        job, net = self.job, self.net()
        stages = [job.stage(number) for number in range(job.pipeline)]
        optimizers = [job.optimizer(stage.parameters()) for stage in stages]
        generator = torch.Generator().manual_seed(job.seed)
        losses = []
        for _ in range(job.steps):
            X, y = job.draw(generator)
            micro = lambda x: [one.chunk(job.microbatches) for one in x.chunk(job.data)]  # noqa: E731
            pairs = zip(micro(X), micro(y), strict=True)
            batches = [list(zip(*one, strict=True)) for one in pairs]
            loss, gradients = one_process(net, stages, batches, job.loss)
            losses.append(loss)
            for stage, found, optimizer in zip(stages, gradients, optimizers, strict=True):
                for parameter, gradient in zip(stage.parameters(), found, strict=True):
                    parameter.grad = gradient
                optimizer.step()
        return losses, [[p.detach() for p in stage.parameters()] for stage in stages]

    def messages(self):
        """How many messages and sums a step has, of a program that sums each gradient by itself."""
        own = [sum(1 for _ in self.job.stage(s).parameters()) for s in range(self.job.pipeline)]
        hops = 2 * (self.job.pipeline - 1) * self.job.microbatches * self.job.data
        return hops + sum(own) + 1

    def run(self, student, files, most=10**9):
        """Start it with these files. The net, and the files that it leaves."""
        net, folder = self.net(most), programs.folder_with(student, files)
        try:
            with expect.explained(*TRAIN_ERRORS):
                net.run(programs.training(student, self.fields, folder, net.p))
        except Stopped:
            pass
        except Fault as fault:
            fault.given = fault.given or self.given
            raise
        finally:
            left = programs.taken(student, folder)
        expect.that(_is_disk(left), "The folder's files are not such as files are.", kind="type")
        return net, left

    def weights(self, net):
        """Every rank's weights, of the form that they must have."""
        _, wanted = self.right
        found = []
        for rank in range(net.p):
            losses, weights = expect.items(net.ended[rank], 2, what="the result", given=self.given)
            expect.that(type(losses) is list, FORM, kind="type", given=self.given)
            like = wanted[rank % self.job.pipeline]
            found.append(expect.form(weights, like, what="the weights", given=self.given))
        return found

    def of(self, own):
        net, _ = self.run(own, {})
        return self.weights(net)

    def restarted(self, own, most):
        _, files = self.run(own, {}, most)
        net, _ = self.run(own, files)
        return self.weights(net)

    def judge(self, net, knows):
        """The weights are those of one process."""
        _, wanted = self.right
        expected = [wanted[rank % self.job.pipeline] for rank in range(net.p)]
        known = MISTAKES.values("train", knows)
        got = self.weights(net)
        rest = "Follow one step: which rows of the batch, which stage, which group, which update?"
        with expect.otherwise(rest):
            expect.close(
                got, expected, what="the weights", given=self.given, knows=known, rtol=1e-9
            )

    def losses(self, net):
        wanted, _ = self.right
        for rank in range(net.p):
            last = rank % self.job.pipeline == self.job.pipeline - 1
            got = net.ended[rank][0]
            expect.that(
                len(got) == len(wanted),
                "There is not one loss for each step: where are the losses before the restart?",
                given=self.given,
                diagnosis="The list of losses belongs to the checkpoint, too.",
            )
            if last:
                expect.close(got, wanted, what="the losses", given=self.given, rtol=1e-9)


@exercise(
    "train",
    points=1.5,
    time_limit=120,  # processes are started, on what may be a busy machine
    stands_on=("groups", "hybrid_step", "checkpoint"),
    forbids={"train": FORBIDDEN},
)
def train(student, rng):
    done, alike = [], False
    with part("data x pipeline: the weights of one process", points=0.5):
        for sizes in ((2, 2, 2), (1, 1, 1), (3, 1, 1), (1, 3, 2)):
            program = _Program(rng, *sizes, steps=3, every=5)
            net, _ = program.run(student, {})
            program.weights(net)
            held = [sum(w.numel() for w in stage) for stage in program.right[1]]
            made = len(net.ended[0][0])
            went = sum(n for group, n in net.sums if list(group) == list(net.columns[0]))
            expect.that(
                made == 3 or went != made * held[0],
                "`train` takes more or fewer steps than job.steps.",
                given=program.given,
                detail=f"expected 3 steps, yours {made}.",
                diagnosis=STEPS,
            )
            if any(net.sums):
                net.judge([3 * one for one in held], 3)
            program.judge(net, program.of)
            done.append((program, net))
    with part(
        "ended at any moment and started again, it goes on as if nothing had been", points=0.4
    ):
        expect.that(len(done) == 4, _FIRST)
        programs.warmed(student)
        for program, moments in _moments(rng):
            for most in moments:
                done.append((program, _resumed(program, student, most)))
    with part("every rank makes every group, in the same order", points=0.2):
        expect.that(done, _FIRST)
        for program, net in done:
            every = {tuple(map(tuple, made)) for made in net.groups}
            expect.that(
                len(every) == 1,
                "Not all ranks make the same groups in the same order.",
                given=program.given,
                diagnosis=programs.GROUPS,
            )
            alike = program is done[-1][0] and len(done) > 4
    with part("every step has its loss", points=0.15):
        expect.that(len(done) > 4, _FIRST)
        for program, net in done:
            program.losses(net)
    with part("four processes, one of them killed, end with the very same bits", points=0.25):
        expect.that(alike, _FIRST)
        _on_processes(student, rng)


def _moments(rng):
    """Programs, and after how many messages each is ended: before, between and after saves."""
    for sizes, every, count in (((2, 2, 1), 2, 3), ((1, 2, 2), 3, 2)):
        program = _Program(rng, *sizes, steps=5, every=every)
        step = program.messages()
        at = [every * step + int(rng.integers(2, step)), 4 * step + step // 2, step // 2]
        yield program, at[:count]


def _resumed(program, student, most):
    """The second start of a program that was ended after `most` messages."""
    first, files = program.run(student, {}, most)
    expect.that(len(first.ended) < first.p, "It ends before all its messages are carried.")
    net, _ = program.run(student, files)
    program.judge(net, lambda own: program.restarted(own, most))
    each = program.messages()
    begun = most // each // program.job.every * program.job.every
    mine = program.job.steps - net.carried / each
    expect.that(
        mine >= begun - 0.5,
        "It begins from the start again, or from an older checkpoint than the newest.",
        given=" ".join((program.given, f"It ended during step {most // each}, counted from 0.")),
        detail=f"Steps that need not be made again: {begun}; not made again: {mine:.2g}.",
        diagnosis="It begins with resume(folder, rank, mesh), and saves after every `every` steps, each"
        " rank its own part.",
    )
    return net


def _on_processes(student, rng):
    fields = _fields(rng, 2, 2, 2, steps=6, every=2)
    job = _Program(rng, 2, 2, 2, factors=False)
    job.fields, job.job = fields, Job(**fields)
    _, wanted = job.right
    expected = [wanted[rank % 2] for rank in range(4)]

    def start(files, victim=0, moment=0):
        folder = programs.folder_with(student, files)
        with expect.explained(*TRAIN_ERRORS):
            said = programs.processes(student, fields, folder, 4, victim, moment)
        return said, programs.taken(student, folder)

    def ended(said):
        found = expect.items(said, 4, what="what the ranks returned")
        weights, counts = [], []
        for one in found:
            _, mine, count = expect.items(one, 3, what="what a rank returned")
            weights.append(mine)
            counts.append(count)
        expect.close(weights, expected, what="the weights", rtol=1e-9, given=job.given)
        return weights, counts

    whole, _ = start({})
    undisturbed, counts = ended(whole)
    victim = int(rng.integers(4))
    most = expect.number(counts[victim])
    expect.that(most >= 1, "The ranks write no files into the folder.")
    killed, files = start({}, victim, int(rng.integers(1, most + 1)))
    expect.that(killed is True, "A rank was killed, and no rank ended.", kind="type")
    again, _ = ended(start(files)[0])
    for one, other in zip(again, undisturbed, strict=True):
        same = all(torch.equal(a, b) for a, b in zip(one, other, strict=True))
        expect.that(
            same,
            "After a kill the weights differ in their last digits from those of an undisturbed run.",
            given=job.given,
            diagnosis="Everything that the next step depends on belongs into the checkpoint, in full"
            " precision.",
        )


# What it costs


def _clock(model, layout, machine):
    """The seconds of a step on stages that only wait and links that only take time."""
    d, p, m = layout["data"], layout["pipeline"], layout["microbatches"]
    each, more = divmod(model["layers"], p)
    samples = model["batch"] / (d * m)
    forward = [(each + (s < more)) * model["flops"] * samples / machine["flops"] for s in range(p)]
    order = [("F", i) for i in range(m)] + [("B", i) for i in range(m)]
    message = machine["latency"] + 4 * model["activation"] * samples / machine["bandwidth"]
    row = schedules.simulate([order] * p, forward, [2 * f for f in forward], transfer=message).end
    chunk = 4 * model["weights"] * (each + (more > 0)) / d
    return row + 2 * (d - 1) * (machine["latency"] + chunk / machine["bandwidth"])


def _case(rng, layers, d, p, m):
    """A model, a layout and a machine of which each part of a step takes its share."""
    draw = lambda low, high: float(rng.uniform(low, high))  # noqa: E731
    flops, samples = draw(2e6, 4e6), int(rng.integers(2, 5))
    speed = draw(1e9, 2e9)
    forward = -(-layers // p) * flops * samples / speed
    bandwidth = draw(1e8, 2e8)
    model = {
        "layers": layers,
        "flops": flops,
        "weights": int(draw(0.2, 0.6) * forward * bandwidth * d / -(-layers // p) / 4),
        "activation": int(draw(0.2, 0.5) * forward * bandwidth / samples / 4),
        "batch": samples * d * m,
    }
    machine = {
        "flops": speed,
        "latency": draw(0.1, 0.3) * forward,
        "bandwidth": bandwidth,
        "memory": 1e12,
    }
    return model, {"data": d, "pipeline": p, "microbatches": m}, machine


HINTS = {
    "compute": "m micro-batches, each of three forwards' time: of how many layers, for how many samples?",
    "bubble": "As long as p − 1 micro-batches take, forward and backward, on one stage.",
    "messages": "p − 1 links, there and back, one message each: latency + bytes / bandwidth, where the"
    " bytes are those of one micro-batch's activation.",
    "gradients": "A ring over the d ranks of a data group: 2 (d − 1) messages one after another, each of"
    " 1/d of this stage's gradients.",
    "memory": "16 bytes for each weight of the stage, and 4 for each number of each layer's activation,"
    " for every sample of the replica's batch.",
}


def _alike(one, other):
    return all(
        type(other[key]) in (int, float) and abs(one[key] - other[key]) <= 1e-6 * abs(one[key])
        for key in one
    )


TERMS = ("compute", "bubble", "messages", "gradients")
_EVEN = ((12, 2, 4, 5), (6, 4, 2, 1), (12, 3, 3, 7), (8, 1, 4, 2), (8, 4, 1, 2), (5, 1, 1, 3))
_UNEVEN = ((9, 2, 4, 12), (7, 3, 2, 10), (10, 1, 4, 16), (5, 2, 3, 12))


@exercise("predict_step", points=1.25)
def predict_step(student, rng):
    def check(sizes, keys, judge):
        for one in sizes:
            model, layout, machine = inputs = _case(rng, *one)
            given = {"model": model, "layout": layout, "machine": machine}
            wanted = right.predict_step(*inputs)
            got = student.predict_step(*inputs)
            expect.that(
                type(got) is dict and set(wanted) <= set(got),
                "The result should be a dict with the keys compute, bubble, messages, gradients,"
                " seconds, memory.",
                kind="type",
                given=given,
            )
            known = MISTAKES.values(
                "predict_step",
                lambda own: pick(own.predict_step(*inputs), keys),  # noqa: B023
            )
            judge(pick(got, keys), pick(wanted, keys), given, known, inputs)
            expect.unchanged(student)

    def pick(found, keys):
        return {key: found[key] for key in keys}

    def exactly(got, wanted, given, known, _):
        for key in wanted:
            with expect.otherwise(HINTS[key]):
                why = ((says, one[key]) for says, one in known if _alike(one, got))
                expect.close(got[key], wanted[key], what=key, given=given, knows=why, rtol=1e-6)

    def near(got, wanted, given, known, inputs):
        took = _clock(*inputs)
        mine = expect.number(got["seconds"], what="seconds", given=given)
        if abs(mine - took) > 0.15 * took:
            terms = {key: expect.number(got[key], what=key, given=given) for key in TERMS}
            why = [says for says, one in known if abs(one["seconds"] - mine) < 1e-9 * took]
            why += [HINTS[key] for key in TERMS if abs(terms[key] - wanted[key]) > 1e-6 * took]
            if abs(sum(terms.values()) - mine) > 1e-6 * took:
                why = ["seconds is not the sum of the four terms."]
            expect.that(
                False,
                "The prediction is more than 15 % away from what the judge's clock measured.",
                diagnosis=why[0] if why else "",
                detail=f"measured {took:.6g} s, predicted {mine:.6g} s",
                given=given,
            )

    with part("what the layout costs: compute, bubble, messages, gradients", points=0.5):
        check(_EVEN, TERMS, exactly)
    with part("the seconds of a step are within 15 % of a clock's", points=0.4):
        check(_EVEN[:3] + _UNEVEN, ("seconds", *TERMS), near)
    with part("the bytes of the rank that needs the most", points=0.35):
        check(_EVEN[:3] + _UNEVEN, ("memory",), exactly)


@probe
def choosing(learner, model, machine, gpus, costs):
    """The layout that the learner's function chooses where a table says what each costs."""
    asked = []

    def predict(model, layout, machine):
        if "layers" not in model or "bandwidth" not in machine:
            raise TypeError("predict takes the model, the layout and the machine, in this order.")
        key = [layout["data"], layout["pipeline"], layout["microbatches"]]
        asked.append(key)
        found = costs.get(tuple(key), (0.0, 0.0))
        return {"seconds": found[0], "memory": found[1]}

    try:
        found = learner.best_layout(model, machine, gpus, predict)
    except ValueError:
        if asked:
            raise
        found = None
    return [found, len(asked)]


def _layouts(model, gpus):
    for p in range(1, min(gpus, model["layers"]) + 1):
        d, rest = divmod(gpus, p)
        for m in range(1, model["batch"] + 1):
            if not rest and model["batch"] % (d * m) == 0:
                yield d, p, m


def _choice(rng, gpus, layers, batch):
    """A model, a machine and what each layout costs there: seconds and memory."""
    model = {"layers": layers, "flops": 1e6, "weights": 100, "activation": 10, "batch": batch}
    every = list(_layouts(model, gpus))
    draw = lambda: [float(one) for one in rng.permutation(len(every)) + rng.uniform(1, 1.5)]  # noqa: E731
    seconds, memory = draw(), draw()
    machine = {"flops": 1e9, "latency": 1e-5, "bandwidth": 1e9, "memory": 0.0}
    return model, machine, every, seconds, memory


@exercise("best_layout", points=1)
def best_layout(student, rng):
    def chosen(own, inputs):
        model, machine, gpus, costs = inputs

        def predict(_, layout, __):
            seconds, memory = costs.get(tuple(layout.values()), (0.0, 0.0))
            return {"seconds": seconds, "memory": memory}

        return own.best_layout(model, machine, gpus, predict)

    def drawn(gpus, layers, batch, arrange):
        model, machine, every, seconds, memory = _choice(rng, gpus, layers, batch)
        arrange(every, seconds, memory, machine)
        costs = dict(zip(every, zip(seconds, memory, strict=True), strict=True))
        return model, machine, gpus, costs

    def told_apart(inputs):
        """How many known mistakes choose what another one chooses, too."""
        best, of = chosen(right, inputs), lambda own: chosen(own, inputs)
        found = [str(one) for _, one in MISTAKES.values("best_layout", of) if one != best]
        return len(found) - len(set(found))

    def asked(gpus, layers, batch, arrange, tries=1):
        """The student's layout, the right one, what is given, and the inputs; a legal one."""
        inputs = min((drawn(gpus, layers, batch, arrange) for _ in range(tries)), key=told_apart)
        given = f"For {gpus} GPUs, {layers} layers, a batch of {batch}; the costs are made up."
        found, keys = choosing(student, *inputs), ("data", "pipeline", "microbatches")
        expect.that(type(found) is list and len(found) == 2, "There is no report.", kind="type")
        got, count = found
        expect.that(
            count != 0,
            "`predict`, which is given, was not called.",
            given=given,
            diagnosis="Ask the `predict` that is given what each layout costs; your own predict_step"
            " knows nothing of the costs here.",
        )
        fine = (
            type(got) is dict and set(got) == set(keys) and all(type(got[k]) is int for k in keys)
        )
        message = (
            "The result should be a dict of three whole numbers: data, pipeline, microbatches."
        )
        expect.that(fine, message, kind="type", given=given)
        d, p, m = (got[key] for key in keys)
        legal = (
            (d * p == gpus, "data · pipeline is not the number of GPUs: all of them take part."),
            (
                p <= layers,
                "There are more stages than layers, and a stage has at least one."
                " Or are data and pipeline exchanged?",
            ),
            (d > 0 < m and batch % (d * m) == 0, "The batch is not shared out evenly."),
        )
        for holds, why in legal:
            expect.that(holds, "That is no layout of this machine.", diagnosis=why, given=given)
        return got, chosen(right, inputs), given, inputs

    def judge(cases, wrong=""):
        """A diagnosis explains the answers to all cases, and not only the first one that is wrong."""
        of = lambda own: [chosen(own, inputs) for *_, inputs in cases]  # noqa: E731
        mine = [got for got, *_ in cases]
        for got, wanted, given, _ in cases:
            known = (
                (why, got)
                for why, found in MISTAKES.values("best_layout", of)
                if found == mine and wrong in ("", why)
            )
            with expect.otherwise(
                "Is every layout tried, and each with every m, and which one wins?"
            ):
                expect.equal(got, wanted, what="the layout", given=given, knows=known)

    def tempting(first):
        """The fastest does not fit; the best is the layout `first`, which is easily left out."""

        def arrange(every, seconds, memory, machine):
            best = next(at for at, one in enumerate(every) if first(*one, every))
            order = sorted(range(len(every)), key=lambda at: seconds[at])
            seconds[best], seconds[order[1]] = seconds[order[1]], seconds[best]
            fastest = min(range(len(every)), key=lambda at: seconds[at])
            largest = max(memory)
            machine["memory"] = largest + 1.0
            if fastest != best:
                memory[fastest] = largest + 2.0
            else:
                memory[(best + 1) % len(every)] = largest + 2.0
                seconds[(best + 1) % len(every)] = seconds[best] / 2

        return arrange

    def full(every, seconds, memory, machine):
        fastest = min(range(len(every)), key=lambda at: seconds[at])
        machine["memory"] = memory[fastest]

    def equal(every, seconds, memory, machine):
        machine["memory"] = max(memory)
        first, second = sorted(range(len(every)), key=lambda at: seconds[at])[:2]
        seconds[second] = seconds[first]
        few, many = sorted((memory[first], memory[second]))
        memory[min(first, second)], memory[max(first, second)] = many, few

    def last_m(d, p, m, every):
        return p > 1 and m == max(one[2] for one in every if one[1] == p)

    equally = "Of layouts that are equally fast the one that needs less memory is asked for."
    with part("the fastest of all that fit", points=0.45):
        cases = [
            (8, 6, 24, lambda d, p, m, _: p == 1 and m == 3),
            (8, 6, 24, lambda d, p, m, _: p == 2 and m == 6),
            (6, 7, 36, lambda d, p, m, _: p == 3 and m == 9),
            (8, 6, 24, last_m),
            (8, 4, 24, lambda d, p, m, _: p == 4 and m == 4),
            (8, 6, 24, lambda d, p, m, _: p == 2 and m == 1),
            (7, 8, 21, lambda d, p, m, _: p == 7 and m == 7),
        ]
        order = rng.permutation(len(cases)).tolist()  # of its own each time
        judge([asked(*cases[at][:3], tempting(cases[at][3]), 20) for at in order])
    with part("the bounds: memory that is just enough, layouts that are equally fast", points=0.2):
        for _ in range(2):
            judge([asked(8, 6, 24, full)], "A layout that fills the memory exactly still fits.")
            judge([asked(8, 6, 24, equal)], equally)
    with part("where none fits, an error says so", points=0.2, alone=False):
        model, machine, every, seconds, memory = _choice(rng, 8, 6, 24)
        costs = dict(zip(every, zip(seconds, memory, strict=True), strict=True))
        said = not_fitting(student, model, machine, 8, costs)
        says = "Where no layout fits, `best_layout` should raise ValueError with a sentence."
        expect.that(type(said) is list and len(said) == 2, says)
        expect.that(said[0] == "ValueError", f"`best_layout` raised {said[0]}.", diagnosis=says)
        own = "min() iterable argument is empty" not in said[1] and "arg is an empty" not in said[1]
        expect.that(
            own and len(said[1].split()) > 1,
            "`best_layout` raised ValueError, and not in words of its own.",
            diagnosis="Python's own error says nothing of GPUs and memory: write a sentence.",
        )
    with part("what grows where links are slow", points=0.15):
        expect.choice(
            student,
            "what_grows",
            "gradients",
            {
                "compute": "Every layout computes as much: compute is as long for every layout here.",
                "bubble": "Where all ranks hold the whole model there is no row: it has no bubble.",
                "messages": "With one stage a rank has no neighbour: it sends no activation.",
            },
        )


@probe
def not_fitting(learner, model, machine, gpus, costs):
    """What is raised where nothing fits, as its type's name and its text."""

    def predict(model, layout, machine):
        key = layout["data"], layout["pipeline"], layout["microbatches"]
        return {"seconds": costs.get(key, (1.0, 1.0))[0], "memory": 1.0}

    try:
        learner.best_layout(model, machine, gpus, predict)
    except NotImplementedError:
        raise
    except Exception as error:
        return [type(error).__name__, str(error)]
    return None


# The report


def _records(rng, layouts, machines=1):
    """Runs of each layout, several of some, some unfinished."""
    names = [f"machine {int(rng.integers(100, 999))}" for _ in range(machines)]
    found = []
    for at, (d, p) in enumerate(layouts):
        for again in range(3):
            steps = int(rng.integers(4, 9))
            found.append(
                {
                    "run": f"run-{int(rng.integers(10**6))}",
                    "machine": names[(at + again) % machines],
                    "date": f"2026-{int(rng.integers(1, 10)):02}-{int(rng.integers(10, 29))}",
                    "data": d,
                    "pipeline": p,
                    "steps": steps,
                    "seconds": float(rng.uniform(1, 9)),
                    "losses": [float(one) for one in rng.uniform(0.1, 3, size=steps)],
                }
            )
    # Of each layout's three runs the fastest is neither the first nor the last.
    for at in range(0, len(found), 3):
        found[at : at + 3] = sorted(
            found[at : at + 3], key=lambda one: one["seconds"] / one["steps"]
        )
        found[at], found[at + 1] = found[at + 1], found[at]
    turns = rng.permutation(np.repeat(range(len(layouts)), 3)).tolist()
    each = [iter(found[at : at + 3]) for at in range(0, len(found), 3)]
    return [next(each[at]) for at in turns]


@exercise("report", points=0.75)
def report(student, rng):
    every = [(1, 1), (2, 1), (1, 2), (2, 2), (4, 1)]

    def check(records, layouts, keys):
        given = f"For {len(records)} records and the layouts {layouts}."
        wanted = right.report(records, layouts)
        got = student.report(records, layouts)
        expect.that(
            type(got) is dict and set(got) == set(wanted),
            "The report should be a dict with the keys machine, date, rows, missing.",
            kind="type",
            given=given,
        )
        pick = lambda found: {key: found[key] for key in keys}  # noqa: E731
        known = MISTAKES.values("report", lambda own: pick(own.report(records, layouts)))
        what, hint = "the report", "Every number of a row comes from the run that the row names."
        with expect.otherwise(hint if "rows" in keys else ""):
            _rows(got, wanted, keys, given)
            expect.close(pick(got), pick(wanted), what=what, given=given, knows=known, rtol=1e-9)
        expect.unchanged(student)

    def _rows(got, wanted, keys, given):
        if "rows" not in keys:
            return
        fine = type(got["rows"]) is list and all(type(one) is dict for one in got["rows"])
        expect.that(fine, "The rows should be a list of dicts.", kind="type", given=given)
        names = set(wanted["rows"][0])
        complete = all(names == set(one) for one in got["rows"])
        message = "A row should have exactly the keys run, layout, seconds, loss, speed_up."
        expect.that(complete, message, kind="type", given=given)
        order = [one["layout"] for one in wanted["rows"]]
        mine = [one["layout"] for one in got["rows"]]
        expect.that(
            mine != order[::-1]
            and (sorted(map(str, mine)) != sorted(map(str, order)) or mine == order),
            "The rows are in another order than the layouts.",
            given=given,
        )

    with part("a row for each layout, every number from the run that it names", points=0.45):
        for _ in range(3):
            records = _records(rng, every)
            order = rng.permutation(5)[:4]
            order = order if order[0] else order[::-1]  # (1, 1) is not the first one
            check(records, [every[int(at)] for at in order], ("rows",))
            _cut(records, rng)
            check(records, every, ("rows",))
    with part("machine, date, and what is missing", points=0.15):
        records = _records(rng, every)
        first = min(one["date"] for one in records)
        listed = [one for one in records if one["date"] != first] + records[:1]
        again = lambda one, other: all(one[key] == other[key] for key in ("data", "pipeline"))  # noqa: E731
        early = [
            one
            for at, one in enumerate(listed[1:-1], 2)
            if any(again(one, other) for other in listed[at:])
        ]
        early[0]["date"] = "2026-09-29"  # the newest one is in no row, and not the last line
        check(listed, every, ("machine", "date"))
        records = [one for one in _records(rng, every) if one["pipeline"] != 2]
        check(records, every, ("machine", "date", "missing"))
        records = [one for one in _records(rng, every) if (one["data"], one["pipeline"]) != (1, 1)]
        alone = student.report(records, every)
        expect.that(
            all(type(one) is dict for one in alone["rows"]),
            "The rows should be a list of dicts.",
            diagnosis="A layout without a finished run has no row: it is named in missing.",
            kind="type",
        )
        got = [one.get("speed_up") for one in alone["rows"]]
        expect.that(
            got and all(one is None for one in got),
            "Without a run of one process there is nothing to compare with: speed_up is None.",
        )
    with part("runs of several machines are not compared", points=0.15, alone=False):
        said = refused(student, "report", [_records(rng, every, machines=2), every])
        expect.that(
            said is not None,
            "`report` does not refuse runs of several machines.",
            diagnosis="Seconds of one machine say nothing about another: raise ValueError.",
        )


def _cut(records, rng):
    """Let one run of each layout, the last but of those with several, be unfinished."""
    seen = {}
    for record in records:
        seen.setdefault((record["data"], record["pipeline"]), []).append(record)
    for mine in seen.values():
        if len(mine) > 1:
            mine[-1]["losses"] = mine[-1]["losses"][: int(rng.integers(1, mine[-1]["steps"]))]
