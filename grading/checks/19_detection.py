"""Checks of lab 19: boxes, offsets, matching, heads, losses, suppression, precision, thresholds.

All inputs are drawn here. What a network or a loss gives beside the learner's code is compared with
what the right one gives here for the same numbers, gradients included.
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
from grading.checks.answers import detection as answers
from grading.checks.answers.detection import MISTAKES

there: Callable[[Callable[..., Any]], Callable[..., Any]] = cache(probe)
CLOSE = {"rtol": 1e-5, "atol": 1e-7}
LIBRARY = ["torchvision", "sklearn", "scipy"]


def judged(student, name, cases, exercise="", causes=(), otherwise="", shape="", **how):
    """The student's function does what the right one does in all cases, each the arguments by name.

    A mistake is recognised by what it gives for all of them: for one case some mistakes are alike.
    """
    asked = [tuple(given.values()) for given in cases]
    near = {key: how[key] for key in ("rtol", "atol") if key in how}
    with (
        expect.otherwise(otherwise, shape=shape),
        expect.explained(*causes),
        expect.recognised_by_all(student, MISTAKES, name, asked, exercise=exercise, **near),
    ):
        for given in cases:
            expect.answers(student, MISTAKES, name, given, exercise=exercise, **how)


def tensor(values):
    return torch.tensor(np.asarray(values), dtype=torch.float64)


def around(rng, count, middle=(20, 20), spread=4, least=10, most=24):
    """Boxes (count, 4) about a middle: with the usual sizes they all meet."""
    centre = np.asarray(middle) + rng.uniform(-spread, spread, (count, 2))
    half = rng.uniform(least, most, (count, 2)) / 2
    return tensor(np.concatenate([centre - half, centre + half], axis=1))


def moved(boxes, right=0.0, down=0.0):
    return boxes + tensor([right, down, right, down])


# ------------------------------------------------------------------------------- boxes


@exercise("box_iou", points=1.25, forbids={"box_iou": LIBRARY})
def box_iou(student, rng):
    def check(*pairs, otherwise=""):
        cases = [{"a": a, "b": b} for a, b in pairs]
        how = {"what": "the table", "causes": answers.IN_IOU, "shape": answers.PAIRS, **CLOSE}
        judged(student, "box_iou", cases, otherwise=otherwise, **how)

    some, fine = [around(rng, 3), around(rng, 4)], False
    with part("boxes that meet", points=0.45):
        singles = [around(rng, 4).float(), around(rng, 2).float()]
        check(some, [around(rng, 1), around(rng, 5)], singles)
        fine = True
    with part("boxes that do not meet", points=0.3):
        a, b = around(rng, 3, least=6, most=12), around(rng, 2, least=6, most=12)
        ways = ((50, 0), (0, -50), (50, 60), (-40, 50))
        far = [[a, torch.cat([moved(b, *way), b])] for way in ways]
        side = float(rng.integers(4, 12))
        box, gap = tensor([[8, 8, 8 + side, 8 + side]]), side + float(rng.uniform(0.5, 1.5))
        near = [moved(box, side), moved(box, side, side), moved(box, gap, gap), moved(box, 1)]
        check(*far, [box, torch.cat(near)], [moved(box, gap, -gap), torch.cat([box, near[0]])])
    with part("equal boxes, and one inside another", points=0.2):
        a = around(rng, 3, least=20, most=30)
        check([a, torch.cat([a, a + tensor([3, 2, -2, -5])])])
    with part("no boxes", points=0.1, alone=False):
        none = torch.zeros(0, 4, dtype=torch.float64)
        check([around(rng, int(rng.integers(2, 6))), none], [none, around(rng, 3)])
    with part("boxes without an area", points=0.2):
        a = around(rng, 1, spread=1, least=14)
        a = torch.cat([a, moved(a, 2, -3)])
        (x, y), tall = rng.uniform(19, 21, 2), float(rng.uniform(1, 3))
        flat = tensor([[x, y, x, y + tall], [x, y, x, y]])  # all of them meet
        check([torch.cat([a, flat]), torch.cat([flat, a])], otherwise=answers.NO_AREA * fine)


@exercise(
    "box_coding",
    points=1.25,
    forbids={"encode_boxes": LIBRARY, "decode_boxes": LIBRARY},
)
def box_coding(student, rng):
    def drawn(count):
        anchors = around(rng, count, rng.uniform(15, 60, 2), 12)
        boxes = around(rng, count, rng.uniform(15, 60, 2), 12, 6, 40)
        return boxes, anchors

    def offsets(count):
        return tensor(rng.normal(size=(count, 4)) * [0.6, 0.6, 0.5, 0.5])

    def check(name, *cases):
        how = {"exercise": "box_coding", "rtol": 1e-4, "atol": 1e-4}
        how |= {"what": "the offsets" if name == "encode_boxes" else "the boxes"}
        judged(student, name, cases, **how)

    def encode(count):
        return dict(zip(("boxes", "anchors"), drawn(count), strict=True))

    def decode(count):
        return {"offsets": offsets(count), "anchors": drawn(count)[1]}

    def single(case):
        return {name: one.float() for name, one in case.items()}

    with part("encode_boxes: from boxes to offsets", points=0.55):
        check("encode_boxes", encode(4), encode(1), single(encode(6)))
    with part("decode_boxes: from offsets to boxes", points=0.55):
        check("decode_boxes", decode(4), decode(1), single(decode(6)))
    with part("no boxes", points=0.15, alone=False):
        check("encode_boxes", encode(0))
        check("decode_boxes", decode(0))


@exercise("match_anchors", points=1.5, forbids={"match_anchors": LIBRARY})
def match_anchors(student, rng):
    def check(*tables):
        """Each a table, or a table with high and low."""
        names = ("iou", "high", "low")
        cases = [dict(zip(names, one, strict=False)) for one in tables]
        for case in cases:
            case["iou"] = tensor(case["iou"])
        how = {"what": "the match", "dtype": "int64", "rtol": 0, "atol": 0}
        judged(student, "match_anchors", cases, causes=answers.IN_MATCH, **how)

    def table(anchors, objects, most=0.3):
        """Below `most`; and for each object one anchor of its own, at 0.8 or more."""
        iou = rng.uniform(0.01, most, (anchors, objects))
        own = rng.permutation(anchors)[:objects]
        iou[own, np.arange(objects)] = rng.uniform(0.8, 0.95, objects)
        return iou, own

    def free(iou, own, count):
        """Anchors that are no object's own."""
        return rng.permutation([n for n in range(len(iou)) if n not in own])[:count]

    with part("by the anchor: belongs, ignored, background", points=0.5):
        first, own = table(11, 3)
        a, b, c = free(first, own, 3)
        first[a, 1], first[b, 0], first[c, 2] = 0.62, 0.45, 0.55
        iou, own = table(10, 2, 0.2)
        a, b, c, d = free(iou, own, 4)
        iou[a], iou[b], iou[c], iou[d] = [0.75, 0.7], [0.1, 0.74], [0.25, 0.1], [0.24, 0.2]
        check([first], [iou, 0.75, 0.25])
    with part("by the object: each has an anchor of its own", points=0.4):
        first, own = table(9, 4, 0.15)
        first[own[0], 0], first[own[1], 1] = 0.22, 0.46
        iou, own = table(9, 3, 0.2)
        iou[own[2]] = [0.6, 0.1, 0.58]  # the other object's anchor by the first half
        check([first], [rng.uniform(0.01, 0.35, (8, 1))], [iou])
    with part("two objects that want the same anchor", points=0.35):
        tables = []
        for weaker in (0, 1):
            iou, own = table(9, 3, 0.2)
            iou[own[0], 0] = iou[own[1], 1] = 0.1
            wanted, *second = free(iou, own, 4)
            iou[wanted, [weaker, 1 - weaker]] = 0.6, 0.7
            iou[second, weaker] = [0.31, 0.33, 0.32]
            tables.append([iou])
        one = rng.permutation(np.linspace(0.3, 0.38, 7))[:, None]
        check(*tables, [one + rng.permutation([0.0, 0.001, 0.002, 0.003])[None]])
    with part("no object, no meeting, equal values", points=0.25):
        iou = np.concatenate([[[0.05, 0.04, 0.03]], table(8, 3)[0]])
        iou[:, 1] = 0  # meets no anchor
        few = rng.uniform(0.1, 0.35, (2, 4))
        equal = rng.choice([0.25, 0.5, 0.75], (12, 3))
        equal[:3] = 0.75
        check([iou], [few], [equal, 0.75, 0.5], [np.zeros((int(rng.integers(4, 30)), 0))])


# --------------------------------------------------------------------- heads and losses


def shapes_of(learner, sizes):
    """The shapes of the two heads' parameters."""
    model = learner.Heads(*sizes)
    heads = getattr(model, "scores", None), getattr(model, "offsets", None)
    return [
        [list(p.shape) for p in head.parameters()] if hasattr(head, "parameters") else []
        for head in heads
    ]


def said(learner, sizes, parameters, features):
    """What the two heads say with these parameters, and what each sends back into the features."""
    import torch

    model = learner.Heads(*sizes).double()
    own = [*model.scores.parameters(), *model.offsets.parameters()]
    with torch.no_grad():
        for parameter, value in zip(own, parameters, strict=True):
            parameter.copy_(value)
    leaf = features.clone().requires_grad_()
    outputs = model(leaf)
    if not isinstance(outputs, tuple | list) or len(outputs) != 2:
        return {"returned": outputs}
    report = [one.detach() if isinstance(one, torch.Tensor) else one for one in outputs]
    for one in outputs:
        graph = isinstance(one, torch.Tensor) and one.requires_grad
        weights = torch.linspace(1, 2, one.numel(), dtype=one.dtype) if graph else None
        flow = None
        if graph:
            loss = (one.flatten() * weights).sum()
            (flow,) = torch.autograd.grad(loss, leaf, retain_graph=True, allow_unused=True)
        report.append(torch.zeros_like(features) if flow is None else flow)
    return {"report": report}


def report_of(got, what):
    """The four members of a probe's report, where the learner's code returned a pair."""
    if type(got) is dict and "returned" in got:
        expect.items(got["returned"], 2, what=what)
    whole = type(got) is dict and "report" in got
    expect.that(whole, "There is no report of what was returned.", kind="type")
    return expect.items(got["report"], 4, what="the report", kind="list")


@exercise("Heads", points=1)
def Heads(student, rng):
    def drawn(count, height, width):
        """What is asked for, and in words."""
        channels, anchors = (int(n) for n in rng.permutation([2, 3]))
        classes = int(rng.choice([2, 4]))
        sizes = channels, anchors, classes
        shapes = [shape for head in shapes_of(answers, sizes) for shape in head]
        numbers = [tensor(rng.normal(size=shape)) for shape in shapes]
        features = tensor(rng.normal(size=(count, channels, height, width)))
        given = (
            f"For {count} pictures of {height}×{width} cells, {anchors} anchors a cell and {classes}"
            " classes."
        )
        return [sizes, numbers, features], given

    def reply(asked, given):
        had = there(shapes_of)(student, asked[0])
        two = type(had) is list and len(had) == 2 and [] not in had
        expect.that(two, "There are not two heads, `scores` and `offsets`.", given=given)
        right = shapes_of(answers, asked[0])
        knows = MISTAKES.values("Heads", lambda own: shapes_of(own, asked[0]))
        exact = {"rtol": 0, "atol": 0}
        with expect.otherwise(answers.SHAPES), expect.recognised(had, knows, **exact):
            detail = f"expected the shapes {expect.show(right)}, yours {expect.show(had)}"
            same = expect.alike(had, right, **exact)
            message = "The heads do not have the right weights and biases."
            expect.that(same, message, given=given, detail=detail)
        return report_of(there(said)(student, *asked), "what `forward` returns")

    def of_right(case, at):
        return said(answers, *copy.deepcopy(case))["report"][at]

    def check(at, *forms):
        cases = [drawn(*form) for form in forms]
        with expect.explained(*answers.IN_HEADS):
            got = [reply(*case)[at] for case in cases]
        asked = [one for one, _ in cases]
        call = lambda own, one: said(own, *copy.deepcopy(one))["report"][at]  # noqa: E731
        knows = MISTAKES.values("Heads", expect.gives(got, asked, call, **CLOSE))
        right = [of_right(case, at) for case in asked]
        nothing = [0 * one for one in right]
        with (
            expect.otherwise(answers.CUT * (at > 1 and expect.alike(got, nothing))),
            expect.otherwise(shape=answers.ROWS if at < 2 else ""),
            expect.recognised(got, knows, only=True, **CLOSE),
        ):
            for one, wanted, (_, given) in zip(got, right, cases, strict=True):
                expect.close(one, wanted, what=NAMES[at], given=given, **CLOSE)

    with part("scores: a row for each anchor", points=0.4):
        check(0, (1, 2, 3), (3, 4, 2))
    with part("offsets: a row for each anchor", points=0.3):
        check(1, (1, 3, 2), (2, 2, 4))
    with part("both heads reach the trunk", points=0.3):
        check(2, (2, 2, 3))
        check(3, (2, 3, 2))


NAMES = (
    "the scores",
    "the offsets",
    "the gradient of the scores in the features",
    "the gradient of the offsets in the features",
)


def lost(learner, scores, offsets, classes, targets, more):
    """The two losses, and the gradient of each in scores and offsets; more: the ratio, or nothing."""
    import torch

    leaves = [scores.clone().requires_grad_(), offsets.clone().requires_grad_()]
    with torch.enable_grad():
        losses = learner.detection_loss(*leaves, classes, targets, *more)
    if not isinstance(losses, tuple | list) or len(losses) != 2:
        return {"returned": losses}
    report = [one.detach() if isinstance(one, torch.Tensor) else one for one in losses]
    for one, leaf in zip(losses, leaves, strict=True):
        graph = isinstance(one, torch.Tensor) and one.requires_grad and one.numel() == 1
        flow = (
            torch.autograd.grad(one.sum(), leaf, retain_graph=True, allow_unused=True)[0]
            if graph
            else None
        )
        report.append(torch.zeros_like(leaf) if flow is None else flow)
    return {"report": report}


@exercise("detection_loss", points=1.5, forbids={"detection_loss": LIBRARY})
def detection_loss(student, rng):
    def drawn(objects, background, ignored, classes=3):
        """Anchors in any order. Rows of targets that say nothing are far off."""
        numbers = [*rng.integers(1, classes + 1, objects), *[0] * background, *[-1] * ignored]
        given = torch.tensor(rng.permutation(numbers).astype(np.int64))
        scores = tensor(2.5 * rng.normal(size=(len(given), classes + 1)))
        offsets, targets = (tensor(rng.normal(size=(len(given), 4))) for _ in range(2))
        targets[:, 3] += tensor(rng.choice([-3.0, 3.0], len(given)))
        targets[given <= 0] = tensor(rng.uniform(20, 90, (int((given <= 0).sum()), 4)))
        return scores, offsets, given, targets

    def check(at, *cases):
        """cases: the arguments, with the ratio or without."""
        asked = [[*case[:4], list(case[4:])] for case in cases]
        with expect.explained(*answers.IN_LOSS):
            replies = [there(lost)(student, *one) for one in asked]
        got = [report_of(one, "the result (of classes, of boxes)") for one in replies]
        got = [[one[n] for n in at] for one in got]

        def call(own, one):
            report = lost(own, *copy.deepcopy(one))["report"]
            return [report[n] for n in at]

        knows = MISTAKES.values("detection_loss", expect.gives(got, asked, call, **CLOSE))
        with expect.recognised(got, knows, only=True, **CLOSE):
            for one, case in zip(got, asked, strict=True):
                right = call(answers, case)
                given = f"For {len(case[0])} anchors with classes {expect.show(case[2])}."
                for place, value, wanted in zip(at, one, right, strict=True):
                    shape = answers.ONE_NUMBER if place < 2 else ""
                    how = {"what": LOST[place], "given": given, **CLOSE}
                    number = type(value) in (int, float)
                    with expect.otherwise(answers.NO_GRADIENT * number, shape=shape):
                        expect.close(value, wanted, **how)

    classes, boxes, all_four = (0, 2), (1, 3), (0, 1, 2, 3)
    with part("boxes: smooth L1 of the objects' anchors", points=0.4):
        check(boxes, drawn(4, 9, 2), drawn(1, 5, 0))
    with part("classes: the objects and the hardest of the background", points=0.5):
        check(classes, drawn(2, 15, 0), [*drawn(3, 14, 0), 2], drawn(1, 9, 0))
    with part("ignored anchors count nowhere", points=0.2):
        cases = drawn(2, 12, 6), drawn(3, 24, 4)
        for scores, _, numbers, _ in cases:
            scores[numbers == -1, 0] -= 9  # they would be the hardest
        check(all_four, *cases)
    with part("fewer of the background than may count", points=0.15):
        check(all_four, drawn(4, 5, 1), drawn(3, 0, 2))
    with part("no object at all", points=0.25):
        check(all_four, drawn(0, 11, 2), [*drawn(0, 9, 1), 4], drawn(2, 9, 1))


LOST = (
    "the loss of the classes",
    "the loss of the boxes",
    "the gradient of the classes' loss in the scores",
    "the gradient of the boxes' loss in the offsets",
)


# --------------------------------------------------------------- suppression, precision


def group(rng, at, close):
    """Boxes (len(close), 4) of 16 × 16 pixels near a place, each so many pixels to the right."""
    left = 40.0 * at + float(rng.integers(0, 4))
    return tensor([[left + d, 10, left + d + 16, 26] for d in close])


def mixed(rng, boxes, *columns):
    """The rows of all of them in one random order."""
    order = torch.tensor(rng.permutation(len(boxes)))
    return [one[order] for one in (boxes, *columns)]


@exercise("nms", points=1, forbids={"nms": LIBRARY}, stands_on=["box_iou"])
def nms(student, rng):
    def check(*cases, otherwise=""):
        named = []
        for boxes, scores, labels, threshold in cases:
            case = {"boxes": boxes, "scores": tensor(scores), "labels": torch.as_tensor(labels)}
            named.append({**case, "threshold": threshold})
        how = {"what": "the list of places", "dtype": "int64", "rtol": 0, "atol": 0}
        how |= {"causes": answers.IN_NMS, "shape": answers.COUNT}
        judged(student, "nms", named, otherwise=otherwise, **how)

    def groups(count, close):
        return torch.cat([group(rng, at, close) for at in range(count)])

    def fresh(count):
        """Scores in a random order, none twice."""
        return tensor(rng.permutation(np.linspace(0.1, 0.95, count)) + rng.uniform(0, 0.01, count))

    fine = False
    with part("of boxes that overlap the best one stays", points=0.35):
        boxes = mixed(rng, groups(6, (0, 2, 3)))[0]
        crowd = around(rng, 14, least=8, most=30, spread=15), fresh(14), [2] * 14, 0.3
        check((boxes, fresh(18), [1] * 18, 0.5), crowd)
        fine = True
    with part("each class for itself", points=0.2):
        boxes = groups(7, (0, 1))
        classes = np.where(np.arange(14) < 6, 3, np.arange(14) % 2 + 1)  # three pairs are alike
        drawn = rng.permutation([1, 2] * 7)
        check((boxes, fresh(14), classes, 0.5), (mixed(rng, boxes)[0], fresh(14), drawn, 0.5))
    with part("a box that was dropped drops no others", points=0.2):
        count = 6  # a row of three: the first drops the second, which would have dropped the third
        scores = tensor(np.concatenate([np.sort(rng.uniform(0, 1, 3))[::-1] for _ in range(count)]))
        boxes, scores = mixed(rng, groups(count, (0, 6, 12)), scores)
        falling = tensor(np.linspace(0.95, 0.2, 12) + rng.uniform(0, 0.01, 12))
        pairs = mixed(rng, groups(6, (0, 6)), falling, torch.tensor([1, 1, 2, 2] * 3))
        check((boxes, scores, [1] * 3 * count, 0.35), (*pairs, 0.35))
    with part("exactly at the threshold, and equal scores", points=0.15):
        half = tensor([[0, 0, 8, 8], [0, 0, 8, 4]])  # an IoU of 1/2, exactly
        boxes = torch.cat([moved(half, 16 * at) for at in range(6)])
        boxes, scores = mixed(rng, boxes, fresh(12))
        check((boxes, scores, [1] * 12, 0.5), (boxes, scores, [1] * 12, 0.25))
        boxes = mixed(rng, groups(8, (0, 2, 4)))[0]
        equal = rng.choice([0.25, 0.5, 0.75], 24), rng.integers(1, 3, 24)
        check((boxes, *equal, 0.5), otherwise=answers.EQUALS * fine)
    with part("no boxes", points=0.1, alone=False):
        none = torch.zeros(0, dtype=torch.float64)
        check((none.reshape(0, 4), none, torch.zeros(0, dtype=torch.int64), 0.5))


@exercise(
    "average_precision",
    points=1.25,
    forbids={"true_detections": LIBRARY, "average_precision": LIBRARY},
    stands_on=["box_iou"],
)
def average_precision(student, rng):
    def marked(*cases, otherwise=""):
        """Each is pictures, (boxes, scores, truth) of each, and the limit if there is one."""
        named = []
        for pictures, *least in cases:
            found = [
                (tensor(boxes).reshape(-1, 4), tensor(scores)) for boxes, scores, _ in pictures
            ]
            truth = [tensor(objects).reshape(-1, 4) for *_, objects in pictures]
            named.append({"found": found, "truth": truth})
            named[-1] |= dict(zip(("least",), least, strict=False))
        how = {"what": "the list of marks", "exercise": "average_precision", "rtol": 0, "atol": 0}
        how |= {"causes": answers.IN_MARKS, "shape": answers.ALL}
        judged(student, "true_detections", named, otherwise=otherwise, **how)

    def picture(objects):
        """Objects apart from one another; a detection of each, second ones of two, one of nothing,
        and before all of them one that is too far off its object."""
        truth = torch.cat([group(rng, at, [0]) for at in range(objects)])
        found = [truth + tensor(rng.uniform(-2, 2, truth.shape))]
        found += [truth[rng.permutation(objects)[:2]] + tensor(rng.uniform(-2, 2, 4))]
        found += [moved(truth[:1], 0, 30), moved(truth[-1:], 9)]
        boxes = torch.cat(found)
        scores = rng.uniform(0.05, 0.9, len(boxes))
        scores[-1] = rng.uniform(0.91, 0.99)
        return *mixed(rng, boxes, tensor(scores)), truth

    fine = False
    with part("true_detections: one for each object, of all pictures", points=0.3):
        marked([[picture(4), picture(3), picture(5)]], [[picture(6)]])
        fine = True
    with part("true_detections: the object with the largest IoU, or none", points=0.25):
        pictures, others = [], []
        for _ in range(4):
            first = group(rng, 0, [0])  # two objects overlap; three detections are nearest to it
            found = torch.cat([moved(first, d) for d in (1, 0.5, 0.25)] + [moved(first, 0, 40)])
            boxes, scores = mixed(rng, found, tensor(rng.uniform(0.1, 0.9, 4)))
            pictures.append((boxes, scores, torch.cat([first, moved(first, 3.5)])))
            truth = mixed(rng, torch.cat([first, moved(first, 4)]))[0]
            boxes = torch.cat([first, moved(first, 2.5), moved(first, 30)])
            others.append((boxes, rng.uniform(0.1, 0.9, 3), truth))
        marked([pictures], [others])
    with part("true_detections: pictures without objects, limits, equal scores", points=0.25):
        none = np.zeros((0, 4))
        empty = *picture(2)[:2], none
        marked([[picture(3), empty, (none, np.zeros(0), picture(2)[2]), picture(2)]])
        whole = tensor([[0, 0, 8, 8]])
        both = [
            tensor([[0, 0, 8, 4]]),
            tensor([[0, 0, 8, 3]]),
        ] * 6  # an IoU of 1/2 and 3/8, exactly
        limits = [(both[at], rng.uniform(0.1, 0.9, 1), whole) for at in rng.permutation(12)]
        marked([limits], [limits, 0.375])
        pictures = [picture(4) for _ in range(3)]
        equal = [(b, rng.choice([0.25, 0.75], len(b)), truth) for b, _, truth in pictures]
        marked([equal], otherwise=answers.EQUALS * fine)

    def area(*cases):
        named = [
            {"right": torch.tensor(np.asarray(right, dtype=bool)), "objects": objects}
            for right, objects in cases
        ]
        how = {"what": "the average precision", "exercise": "average_precision", **CLOSE}
        judged(student, "average_precision", named, causes=answers.IN_AREA, **how)

    def marks(right, wrong):
        return rng.permutation([True] * right + [False] * wrong)

    with part("average_precision: the area", points=0.25):
        first = [True, False, True, False, True, True, *marks(2, 3)], 8
        area(first, ([False, *marks(5, 6), True], 6))
    with part("average_precision: objects that nobody found, nothing right, nothing", points=0.2):
        missed = [True, False, True, True, *marks(2, 3)], int(rng.choice([7, 14, 19]))
        area(missed, ([False] * int(rng.integers(1, 5)), 3), ([], int(rng.integers(1, 9))))


# ------------------------------------------------------------------------- thresholds


@exercise("where_to_cut", points=1.25, forbids={"rejection_threshold": LIBRARY})
def where_to_cut(student, rng):
    def drawn(objects, others, recall, ties=False):
        count = objects + others
        scores = rng.permutation(np.linspace(0.05, 0.95, count)) + rng.uniform(0, 0.001, count)
        if ties:
            scores = rng.choice(rng.uniform(0.1, 0.9, 4), count)
        mask = rng.permutation([True] * objects + [False] * others)
        return {"scores": tensor(scores), "objects": torch.tensor(mask), "recall": recall}

    def cut(*cases):
        how = {"what": "the threshold", "exercise": "where_to_cut", **CLOSE}
        judged(student, "rejection_threshold", cases, causes=answers.IN_CUT, **how)

    with part("rejection_threshold: the share of the objects that passes", points=0.35):
        cut(drawn(20, 30, 0.975), drawn(10, 25, 0.65), drawn(8, 40, 0.75))
    with part("rejection_threshold: all must pass, few objects, equal scores", points=0.2):
        few = drawn(int(rng.integers(3, 6)), 9, 0.05)
        cut(drawn(9, 20, 1.0), drawn(1, 12, 0.5), few, drawn(16, 30, 0.5, ties=True))
    with part("for_counting", points=0.2):
        how = "Only the number of detections matters here. When is it the number of objects?"
        known = dict(MISTAKES.written("where_to_cut", "for_counting"))
        expect.answer(student, "for_counting", answers.for_counting, known, how, rtol=1e-6)
    with part("right_count", points=0.2):
        wrong = {
            "none": "A sum hides what cancels in it: look at the row of 0.6, how many are right?",
            "misses": "A missed object makes the count too small: what made up for it here?",
            "false alarms": "A false alarm makes the count too large: what made up for it here?",
        }
        expect.choice(student, "right_count", answers.right_count, wrong)
    with part("rejected", points=0.3):
        how = "Write down what a window costs on average if the share r is rejected, and set it to half."
        known = dict(MISTAKES.written("where_to_cut", "rejected"))
        expect.answer(student, "rejected", answers.rejected, known, how, rtol=1e-3)
