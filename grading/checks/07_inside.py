"""Checks of lab 07: hooks, maps, pictures for a unit, neighbours, several tasks.

The networks are the judge's: their weights are drawn here and sent as numbers. What a function finds
in one, and what it leaves behind, is compared with what the right one does here.
"""

import copy
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import torch

from grading.answer.exercise import exercise, part
from grading.answer.student import probe
from grading.checks import expect
from grading.checks.answers import inside as answers
from grading.checks.answers.inside import LEFT, MISTAKES

there: Callable[[Callable[..., Any]], Callable[..., Any]] = cache(probe)
CLOSE = {"rtol": 1e-5, "atol": 1e-8}


@exercise("top_k", points=0.75)
def top_k(student, rng):
    def check(scores, k):
        names = [
            f"{word}{n}" for n, word in enumerate(rng.choice(["cat", "dog", "ship"], len(scores)))
        ]
        given = {"scores": torch.as_tensor(scores), "k": k, "names": names}
        expect.answers(student, MISTAKES, "top_k", given, **CLOSE)

    def scores(count):
        return rng.permutation(np.linspace(-2, 2, count)) + rng.uniform(-0.05, 0.05, count)

    raised = ("out of range", answers.TOO_FEW), ("must be at most", answers.TOO_FEW)
    with part("the likeliest first, with their probabilities", points=0.3):
        for count, k in ((9, 4), (12, 6), (7, 1)):
            check(scores(count), k)
    with part("k beyond the classes: all of them", points=0.15), expect.explained(*raised):
        check(scores(4), 4)
        check(scores(6), 9)
    with part("scores of 10,000", points=0.15), expect.otherwise(answers.OVERFLOW):
        check(1e4 + scores(8), 5)
        check(-1e4 + scores(8), 5)
    equals = "Of equals the earlier one comes first: sort with stable=True."
    with part("of equals the earlier one first", points=0.15), expect.otherwise(equals):
        check(rng.choice([0.5, -1.0, 2.0], 60), 45)
        check(np.repeat(scores(5), 6), 20)


# ------------------------------------------------------------- what is found in a network


def looked(learner, name, design, state, before, args, failing, after):
    """What a function of the learner's finds in a network of the judge's, and what it leaves behind.

    design: in place (ReLU), frozen, training; state: of the network, in order; before: in every
    parameter's .grad; failing: arguments with which calls before that one are to fail.
    """
    from collections import OrderedDict

    import torch
    from torch import nn

    one, two = len(state[1]), len(state[-4])
    size, colours = state[-2].shape[1] // two, state[0].shape[1]
    body = OrderedDict(conv=nn.Conv2d(colours, one, 3, padding=1), norm=nn.BatchNorm2d(one))
    body |= OrderedDict(relu=nn.ReLU(design["in place"]), pool=nn.AvgPool2d(2))
    layers = OrderedDict(body=nn.Sequential(body), conv2=nn.Conv2d(one, two, 3, padding=1))
    layers |= OrderedDict(relu2=nn.ReLU(), flatten=nn.Flatten())
    layers |= OrderedDict(scores=nn.Linear(two * size, len(state[-1])))
    model = nn.Sequential(layers).double()
    model.load_state_dict(dict(zip(model.state_dict(), state, strict=True)))
    model.train(design["training"])
    model.body.norm.train(design["norm in training"])
    for p in model.parameters():
        p.grad = torch.full_like(p, before)
        p.requires_grad_(not design["frozen"])
    needing = [p.requires_grad for p in model.parameters()]
    function, raised = getattr(learner, name), []
    for wrong in failing:
        try:
            function(model, *wrong)
            raised.append(False)
        except NotImplementedError:
            raise
        except Exception:  # whichever: that it is passed on is what is asked
            raised.append(True)
    given = [arg for arg in args if isinstance(arg, torch.Tensor)]
    found = function(model, *args)
    inside = found.values() if isinstance(found, dict) else [found]
    tensors = [one for one in inside if isinstance(one, torch.Tensor)]
    modules = list(model.modules())
    kinds = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")
    needs = [p.requires_grad for p in model.parameters()] + [one.requires_grad for one in given]
    report = {
        "found": found,
        "graph": any(one.requires_grad for one in tensors),
        "hooks": sum(len(getattr(module, kind)) for module in modules for kind in kinds),
        "modes": [module.training for module in modules],
        "needs": needs != needing + [False] * len(given),
        "gradients": [torch.zeros(0) if p.grad is None else p.grad for p in model.parameters()],
        "state": [one.detach().clone() for one in model.state_dict().values()],
        "given": [one.detach().clone() for one in given],
        "raised": raised[::2],
        "unknown": raised[1::2],
    }
    if isinstance(found, tuple):
        report["found"] = tuple(found)  # also what max(dim=…) returns, a kind of tuple
    elif isinstance(found, torch.Tensor):
        report["found"] = found.detach()
    elif isinstance(found, dict):
        plain = {key: one.detach() for key, one in found.items() if isinstance(one, torch.Tensor)}
        report["found"] = {**found, **plain}
    with torch.no_grad():
        report["after"] = model(after)
    return report


class Network:
    """A network of the judge's: its numbers, images for it, and what is asked of it."""

    def __init__(self, student, rng, exercise, **design):
        self.student, self.rng, self.exercise = student, rng, exercise
        usual = {"in place": False, "frozen": False, "training": True, "norm in training": True}
        self.design = {**usual, **design}
        self.height, self.width = (int(n) for n in rng.choice([6, 8, 10], 2, replace=False))
        one, self.channels, self.classes = 3, int(rng.integers(4, 6)), int(rng.integers(5, 7))
        numbers = self.channels * self.height * self.width // 4
        normal = self.normal
        self.state = [normal(one, 3, 3, 3), normal(one), 1 + 0.3 * normal(one), normal(one)]
        self.state += [normal(one), 0.5 + torch.from_numpy(rng.random(one)), torch.tensor(5)]
        self.state += [0.5 * normal(self.channels, one, 3, 3), normal(self.channels)]
        self.state += [normal(self.classes, numbers), normal(self.classes)]

    def normal(self, *shape):
        return torch.tensor(self.rng.normal(size=shape))

    def images(self, count):
        return self.normal(count, 3, self.height, self.width)

    def labels(self, count):
        """Not all alike, and none of them what the network would say."""
        return torch.tensor(self.rng.permutation(self.classes)[:count])

    def check(self, *args, given="", keys=(), failing=(), what="the result", causes=()):
        """keys: what of the report counts, besides what is found."""
        asked = [self.exercise, self.design, self.state, float(self.rng.integers(1, 9)), list(args)]
        asked += [list(failing), self.images(4)]
        right = looked(answers, *copy.deepcopy(asked))
        with expect.explained(*causes):
            got = there(looked)(self.student, *asked)
        whole = type(got) is dict and set(right) <= set(got)
        expect.that(whole, "There is no report of what was found.", kind="type")
        single = type(got["found"]) is not tuple
        message = f"{what[0].upper()}{what[1:]} is a tuple and should be one tensor."
        expect.that(single, message, kind="type", diagnosis=TUPLE, given=given)
        of = lambda own: looked(own, *copy.deepcopy(asked))["found"]  # noqa: E731
        knows = MISTAKES.values(self.exercise, of, self.exercise)
        how = {"what": what, "given": given, "knows": knows, **CLOSE}
        expect.close(got["found"], right["found"], **how)
        for key in keys:
            message, why = LEFT[key]
            fine = expect.alike(got[key], right[key], **CLOSE)
            expect.that(fine, message, diagnosis=why, given=given)
        if "modes" in keys:
            what, why = "what the network says afterwards", LEFT["modes"][1]
            with expect.otherwise(why):
                expect.close(got["after"], right["after"], what=what, given=given, **CLOSE)


TUPLE = (
    "max(dim=…) returns values and places, grad() a gradient for each input: pick the one that is"
    " meant, by .values or [0]."
)
BEHIND = ("graph", "hooks", "modes", "state", "gradients", "needs", "given")


@exercise(
    "record_activations",
    points=1.5,
    forbids={"record_activations": ["torchvision.models.feature_extraction", "captum"]},
)
def record_activations(student, rng):
    layers = ["body.conv", "body.norm", "body.relu", "body", "conv2", "relu2", "scores"]
    fault = (("KeyError", "One name has nothing under it: was its hook called?"),)

    def check(count=3, names=None, wrong=False, keys=(), **design):
        network = Network(student, rng, "record_activations", **design)
        names = rng.permutation(layers)[:4].tolist() if names is None else names
        x, failing = network.images(count), []
        if wrong:  # too few rows, which the last layer finds; a name that there is not
            failing = [[x[:, :, 2:], names], [x, [*names, "nowhere"]], [x[:, :2], names]]
        given = f"For {count} images, names = {names}."
        network.check(x, names, given=given, keys=keys, failing=failing, causes=fault)

    with part("what each layer puts out, in evaluation mode", points=0.7):
        check(names=["conv2", "body.relu", "scores"])
        check(1)
        check(names=["body.conv"])
    with part("as it was put out, where a later layer works in place", points=0.3):
        check(names=["body.norm", "body.relu", "relu2"], **{"in place": True})
    with part("nothing is left behind", points=0.3, alone=False):
        check(keys=BEHIND, **{"norm in training": False})
        check(keys=BEHIND, training=False)
    with part("nor after an error", points=0.2, alone=False):
        check(wrong=True, keys=("raised", "unknown", "hooks"))


NO_GRAPH = (
    "If nothing in the network needs a gradient, there is no graph: then x must need one."
    " x.detach().requires_grad_() does."
)
CUT = (
    "The scores do not depend on it: a detached tensor is cut off. Keep the output without detach."
)
DOUBLE = (
    "backward() and grad() free the graph after one use: one call for all images, of their sum."
)
PAIRS = "Each image's score is one number: scores[range(N), labels], or gather."
MAPS = (
    ("does not require grad", NO_GRAPH),
    ("been used in the graph", CUT),
    ("backward through the graph a second time", DOUBLE),
    ("grad can be implicitly created only for scalar", PAIRS),
    ("leaf Variable", "x is the caller's, and changed in place: work on x.detach()."),
)


@exercise("saliency", points=1, forbids={"saliency": ["torch.func", "captum"]})
def saliency(student, rng):
    def check(count, keys=(), **design):
        network = Network(student, rng, "saliency", **design)
        x, labels = network.images(count), network.labels(count)
        given = {"x of shape": tuple(x.shape), "labels": labels}
        network.check(x, labels, given=given, keys=keys, what="the map", causes=MAPS)

    shape = "A map has a number for each pixel of each image, (N, H, W): the colours are gone."
    with part("the largest of the colours, by size", points=0.7), expect.otherwise(shape=shape):
        check(4)
        check(1)
        check(5, training=False)
    with part("nothing is left behind", points=0.2, alone=False):
        check(3, keys=BEHIND, **{"norm in training": False})
        check(2, keys=BEHIND, training=False)
    with part("a frozen network", points=0.1, alone=False):
        check(2, keys=BEHIND, frozen=True, training=False)


@exercise("grad_cam", points=2, forbids={"grad_cam": ["captum", "pytorch_grad_cam"]})
def grad_cam(student, rng):
    def check(layer, count, keys=(), **design):
        network = Network(student, rng, "grad_cam", **design)
        x, labels = network.images(count), network.labels(count)
        given = {"layer": layer, "x of shape": tuple(x.shape), "labels": labels}
        with expect.otherwise(shape=shape):
            network.check(layer, x, labels, given=given, keys=keys, what="the map", causes=MAPS)

    shape = (
        "A map has the layer's height and width, (N, h, w): one for each image, channels added up."
    )
    with part("the last layers", points=0.8):
        check("conv2", 4)
        check("relu2", 3)
    with part("any layer, by its name", points=0.7):
        check("body.norm", 4)
        check("body.pool", 1, training=False)
    with part("nothing is left behind", points=0.3, alone=False):
        check("conv2", 3, keys=BEHIND, **{"norm in training": False})
        check("body", 2, keys=BEHIND, training=False)
    with part("a frozen network", points=0.2, alone=False):
        check("conv2", 2, keys=BEHIND, frozen=True, training=False)


@exercise("maximise_unit", points=1.25, forbids={"maximise_unit": ["torch.optim"]})
def maximise_unit(student, rng):
    def check(layer, steps, keys=(), silent=False, **design):
        network = Network(student, rng, "maximise_unit", **design)
        unit, start = int(rng.integers(1, 3)), 2 * network.images(1)
        if silent:  # its map is zero everywhere, and so is the gradient
            network.state[-3][unit] = -1e3
        rate, decay = float(rng.uniform(0.4, 0.9)), float(rng.uniform(0.05, 0.3))
        given = {"layer": layer, "unit": unit, "start of shape": tuple(start.shape), "steps": steps}
        given |= {"rate": rate, "decay": decay}
        asked = (layer, unit, start, steps, rate, decay)
        network.check(*asked, given=given, keys=keys, what="the picture", causes=MAPS)

    with part("steps of one length, uphill, and shrinking", points=0.75):
        check("conv2", 1)
        check("body.norm", 3)
        check("relu2", 4, training=False)
    with part("a gradient of zero", points=0.2), expect.otherwise(answers.NO_DIRECTION):
        check("relu2", 3, silent=True)
    with part("nothing is left behind", points=0.2, alone=False):
        check("conv2", 2, keys=BEHIND, **{"norm in training": False})
        check("relu2", 1, keys=BEHIND, training=False)
    with part("no step at all", points=0.1, alone=False):
        check("conv2", 0)


@exercise(
    "nearest",
    points=1.25,
    forbids={"nearest": ["torch.*osine*imilarity", "sklearn", "scipy"]},
)
def nearest(student, rng):
    def check(queries, gallery, k, own=None, why=""):
        given = {"queries": queries, "gallery": gallery, "k": k}
        if own is not None:
            given["own"] = torch.as_tensor(own)
        shape = "Each query has its k places in a row: (Q, k)."
        with expect.otherwise(why, shape=shape):
            how = {"what": "the table of places", "rtol": 0, "atol": 0, "dtype": "int64"}
            expect.answers(student, MISTAKES, "nearest", given, **how)

    def vectors(count, size):
        """Of lengths from 1/4 to 4."""
        long = 2.0 ** rng.uniform(-2, 2, (count, 1))
        return torch.from_numpy(long * rng.normal(size=(count, size)))

    def even(count):
        """Rows of 8 with four numbers ±1, times a power of 2: all their cosines are exact."""
        rows = np.zeros((count, 8))
        for row in rows:
            row[rng.permutation(8)[:4]] = rng.choice([-1.0, 1.0], 4) * 2.0 ** rng.integers(-2, 3)
        return torch.from_numpy(rows)

    with part("by cosine, the most similar first", points=0.5):
        check(vectors(4, 6), vectors(9, 6), 5)
        check(vectors(3, 3), vectors(7, 3), 7)
        check(vectors(1, 5), vectors(6, 5), 1)
    with part("never the query itself", points=0.3):
        gallery, own = vectors(10, 5), rng.permutation(9)[:4] + 1
        check(gallery[own], gallery, 4, own)
        check(gallery[own[:2]] * 2, gallery, 3, own[:2])
        gallery[0] = gallery[own[0]]  # a twin, which is to be found
        check(gallery[own[:1]], gallery, 4, own[:1])
    equals = "Of equals the earlier place comes first: sort with stable=True."
    with part("of equals the earlier place first", points=0.2):
        gallery = even(40)
        gallery[20:] = 2 * gallery[:20]
        check(even(5), gallery, 30, why=equals)
    with part("to the last place, and vectors of zeros", points=0.25):
        gallery, own = even(7), np.array([5, 3])
        gallery[6], gallery[0] = -gallery[5], -2 * gallery[3]
        check(gallery[own], gallery, 6, own)
        gallery[2] = 0
        check(torch.cat((gallery[own], 0 * gallery[:1])), gallery, 6, [5, 3, 2])


def scored(learner, scores, labels, weights):
    """The loss of several tasks, and its gradient for the scores of each."""
    import torch

    leaves = {task: one.clone().requires_grad_() for task, one in scores.items()}
    with torch.enable_grad():
        loss = learner.multi_task_loss(leaves, dict(labels), dict(weights))
    if not isinstance(loss, torch.Tensor) or loss.ndim:
        return [loss.detach() if isinstance(loss, torch.Tensor) else loss, {}]
    if loss.requires_grad:
        loss.backward()
    grads = {
        t: torch.zeros_like(one) if one.grad is None else one.grad for t, one in leaves.items()
    }
    return [loss.detach(), grads]


@exercise("multi_task", points=1.5)
def multi_task(student, rng):
    def weigh(*lengths, last=(), usual=False):
        losses = {f"task{n}": list(rng.uniform(0.5, 3, one)) for n, one in enumerate(lengths)}
        losses = {task: [float(one) for one in past] for task, past in losses.items()}
        for past, times in zip(losses.values(), last, strict=False):
            past[-1] = times * past[-2]
        total, temperature = float(rng.uniform(1.2, 3)), float(rng.choice([0.5, 1.5, 3.0]))
        given = {"losses": losses}
        given |= {} if usual else {"total": total, "temperature": temperature}
        how = {"what": "the weights", "exercise": "multi_task", **CLOSE}
        how |= {"rtol": 5e-3} if last else {}  # float32 keeps seven digits, before e to the power
        expect.answers(student, MISTAKES, "subtask_weights", given, **how)

    def loss(known, tasks=(4, 3, 5), count=8):
        """known: of each task how many labels are known."""
        classes = {f"task{n}": c for n, c in enumerate(tasks)}
        scores = {
            task: torch.tensor(2 * rng.normal(size=(count, c))) for task, c in classes.items()
        }
        labels = {task: torch.tensor(rng.integers(0, c, count)) for task, c in classes.items()}
        for one, many in zip(labels.values(), known, strict=True):
            one[torch.from_numpy(rng.permutation(count)[many:])] = -1
        weights = {task: float(rng.uniform(0.3, 2)) for task in classes}
        asked = scores, labels, weights
        given = {"labels": labels, "weights": weights, "scores of shape": (count, tasks)}
        right, got = scored(answers, *asked), there(scored)(student, *asked)
        got = expect.items(got, 2, what="the report", kind="list")
        for at, what in enumerate(("the loss", "the gradient for the scores")):
            of = lambda own, at=at: scored(own, *asked)[at]  # noqa: E731
            knows = MISTAKES.values("multi_task", of, "multi_task_loss")
            expect.close(got[at], right[at], what=what, given=given, knows=knows, **CLOSE)

    with part("subtask_weights: by the fall of the last two errors", points=0.4):
        weigh(3, 4, 3)
        weigh(5, 3)
        weigh(2, 3, usual=True)
    ratio = ("out of range", answers.FIRST), ("ZeroDivision", answers.FIRST)
    with part("subtask_weights: the first epochs", points=0.2), expect.explained(*ratio):
        weigh(0, 0, 0)
        weigh(1, 1)
        weigh(3, 1, 4)
    grown = ("OverflowError", answers.GROWN), ("math range", answers.GROWN)
    grows = part("subtask_weights: an error that has grown", points=0.15)
    with grows, expect.explained(*grown), expect.otherwise(answers.GROWN):
        weigh(4, 3, 3, last=(6000.0, 6001.0))
    with part("multi_task_loss: weighted means", points=0.4):
        loss((8, 8, 8))
        loss((5,), (3,), 5)
    unknown = ("out of bounds", answers.UNKNOWN), ("Target -1", answers.UNKNOWN)
    with part("multi_task_loss: unknown labels", points=0.25), expect.explained(*unknown):
        loss((5, 8, 2))
        loss((1, 6), (3, 4), 7)
    none = part("multi_task_loss: a task without a known label", points=0.1)
    with none, expect.explained(*unknown):
        loss((6, 0, 8))
        loss((0, 0), (3, 4), 5)


@exercise("is_it_evidence", points=0.75)
def is_it_evidence(student, rng):
    for name, replies in answers.REPLIES.items():
        with part(name, points=0.25):
            expect.choice(student, name, getattr(answers, name), replies)
