"""The answers of lab 19: the right ones, by the lab's own names, and what people get wrong.

Boxes are (N, 4), left, top, right, bottom in pixels.
"""

import sys

import torch
import torch.nn.functional as F
from torch import nn

from grading.checks.mistakes import Known, Mistake, Table, causes, variants


def box_iou(a, b):
    low = torch.maximum(a[:, None, :2], b[None, :, :2])
    high = torch.minimum(a[:, None, 2:], b[None, :, 2:])
    both = (high - low).clamp(min=0).prod(dim=2)
    area_a, area_b = ((one[:, 2:] - one[:, :2]).prod(dim=1) for one in (a, b))
    either = area_a[:, None] + area_b[None] - both
    return torch.where(either > 0, both / either, torch.zeros_like(both))


def encode_boxes(boxes, anchors):
    size, own = boxes[:, 2:] - boxes[:, :2], anchors[:, 2:] - anchors[:, :2]
    shift = ((boxes[:, 2:] + boxes[:, :2]) - (anchors[:, 2:] + anchors[:, :2])) / 2
    return torch.cat([shift / own, torch.log(size / own)], dim=1)


def decode_boxes(offsets, anchors):
    own = anchors[:, 2:] - anchors[:, :2]
    middle = (anchors[:, 2:] + anchors[:, :2]) / 2 + offsets[:, :2] * own
    half = own * torch.exp(offsets[:, 2:]) / 2
    return torch.cat([middle - half, middle + half], dim=1)


def match_anchors(iou, high=0.5, low=0.4):
    count, objects = iou.shape
    match = torch.full((count,), -1, dtype=torch.int64)
    if objects == 0:
        return match
    best, place = iou.max(dim=1)
    match[best >= low] = -2
    match[best >= high] = place[best >= high]
    left = iou.clone()
    for _ in range(min(count, objects)):
        anchor, one = divmod(int(left.argmax()), objects)
        if left[anchor, one] <= 0:
            break
        match[anchor] = one
        left[anchor], left[:, one] = -1, -1
    return match


class Heads(nn.Module):
    def __init__(self, channels, anchors, classes):
        super().__init__()
        self.classes = classes
        self.scores = nn.Conv2d(channels, anchors * (classes + 1), 3, padding=1)
        self.offsets = nn.Conv2d(channels, anchors * 4, 3, padding=1)

    def forward(self, features):
        scores = self.scores(features).permute(0, 2, 3, 1)
        offsets = self.offsets(features).permute(0, 2, 3, 1)
        rows = len(features), -1
        return scores.reshape(*rows, self.classes + 1), offsets.reshape(*rows, 4)


def detection_loss(scores, offsets, classes, targets, ratio=3):
    each = F.cross_entropy(scores, classes, ignore_index=-1, reduction="none")
    objects, background = classes > 0, classes == 0
    count = max(int(objects.sum()), 1)
    hard = min(ratio * count, int(background.sum()))
    of_classes = each[objects].sum() + each[background].topk(hard).values.sum()
    of_boxes = F.smooth_l1_loss(offsets[objects], targets[objects], reduction="sum")
    return of_classes / count, of_boxes / count


def nms(boxes, scores, labels, threshold):
    left, kept = scores.argsort(descending=True, stable=True), []
    while len(left):
        first, rest = left[0], left[1:]
        kept.append(int(first))
        over = box_iou(boxes[first][None], boxes[rest])[0] > threshold
        left = rest[~(over & (labels[rest] == labels[first]))]
    return torch.tensor(kept, dtype=torch.int64)


def true_detections(found, truth, least=0.5):
    scores = torch.cat([one for _, one in found])
    order = scores.argsort(descending=True, stable=True).tolist()
    places = [(picture, n) for picture, (_, one) in enumerate(found) for n in range(len(one))]
    taken, right = set(), []
    for picture, n in (places[at] for at in order):
        if len(truth[picture]) == 0:
            right.append(False)
            continue
        iou = box_iou(found[picture][0][n : n + 1], truth[picture])[0]
        best = int(iou.argmax())
        right.append(float(iou[best]) >= least and (picture, best) not in taken)
        if right[-1]:
            taken.add((picture, best))
    return torch.tensor(right, dtype=torch.bool)


def average_precision(right, objects):
    if len(right) == 0:
        return 0.0
    precision = right.double().cumsum(0) / torch.arange(1, len(right) + 1)
    best = precision.flip(0).cummax(0).values.flip(0)
    return float(best[right].sum()) / objects


for_counting = 0.6
right_count = "both"
rejected = 0.54


def rejection_threshold(scores, objects, recall):
    best = scores[objects].sort(descending=True).values
    passing = -int(-(recall * len(best) - 1e-9) // 1)
    return float(best[max(passing, 1) - 1])


# -------------------------------------------------------------------------- box_iou

NO_AREA = "A box without an area covers nothing: its IoU is 0, with itself, too."
PAIRS = "Each box of a meets each of b: the table is (N, M). a[:, None] and b[None] make all pairs."
IN_IOU = (
    *causes(
        "With no boxes there is nothing to stack: the table has N rows and M columns, also where one"
        " of them is 0.",
        "non-empty TensorList",
    ),
    ("must match the size", PAIRS),
    ("not broadcastable", PAIRS),
)

_iou, _iou_otherwise = variants(
    "box_iou",
    """
def box_iou(a, b):
    low = torch.{inner}(a[:, None, :2], b[None, :, :2])
    high = torch.{outer}(a[:, None, 2:], b[None, :, 2:])
    both = {both}
    area_a = {size_a}.prod(dim=1)[:, None]
    area_b = {size_b}.prod(dim=1)[None]
    either = {either}
    return {result}
""",
    inner="maximum",
    outer="minimum",
    both="(high - low).clamp(min=0).prod(dim=2)",
    size_a="(a[:, 2:] - a[:, :2])",
    size_b="(b[:, 2:] - b[:, :2])",
    either="area_a + area_b - both",
    result="torch.where(either > 0, both / either, 0 * both)",
)
_IOU = [
    _iou(
        "no clamp",
        0.95,
        "Boxes that do not meet have an intersection of 0: cut negative widths and heights off at 0.",
        both="(high - low).prod(dim=2)",
    ),
    _iou(
        "without signs",
        0.95,
        "Negative widths and heights are made positive: boxes that do not meet have an intersection of"
        " 0.",
        both="(high - low).abs().prod(dim=2)",
    ),
    _iou(
        "widths alone",
        0,
        "Only widths count here: an area is width times height.",
        both="(high - low).clamp(min=0)[..., 0]",
        size_a="(a[:, 2:3] - a[:, :1])",
        size_b="(b[:, 2:3] - b[:, :1])",
    ),
    _iou(
        "widths plus heights",
        0,
        "Width and height are added: an area is their product.",
        both="(high - low).clamp(min=0).sum(dim=2)",
        size_a="(a[:, 2:] - a[:, :2]).sum(dim=1, keepdim=True)",
        size_b="(b[:, 2:] - b[:, :2]).sum(dim=1, keepdim=True)",
    ),
    _iou(
        "percent",
        0,
        "That is in percent: equal boxes have an IoU of 1.",
        result="100 * torch.where(either > 0, both / either, 0 * both)",
    ),
    _iou(
        "clamped after the product",
        0.95,
        "Two negative sides have a positive product: cut width and height off at 0 before they are"
        " multiplied.",
        both="(high - low).prod(dim=2).clamp(min=0)",
    ),
    _iou(
        "pixels counted",
        0,
        "That adds 1 to widths and heights. Edges are no pixels: a box is right − left wide.",
        both="(high - low + 1).clamp(min=0).prod(dim=2)",
        size_a="(a[:, 2:] - a[:, :2] + 1)",
        size_b="(b[:, 2:] - b[:, :2] + 1)",
    ),
    _iou(
        "sum of areas",
        0,
        "The sum of both areas counts the intersection twice: take it off once.",
        either="area_a + area_b",
    ),
    _iou(
        "Dice",
        0,
        "That is 2·I / (A + B), Dice's coefficient: asked for is I / (A + B − I).",
        either="(area_a + area_b) / 2",
    ),
    _iou(
        "over the smaller",
        0,
        "That divides by the smaller of the two areas: the union is what at least one covers.",
        either="torch.minimum(area_a, area_b)",
    ),
    _iou(
        "over the larger",
        0,
        "That divides by the larger of the two areas: the union is what at least one covers.",
        either="torch.maximum(area_a, area_b)",
    ),
    _iou(
        "over a",
        0,
        "That divides by the area of a's box alone: the union is what at least one of the two covers.",
        either="area_a + 0 * area_b",
    ),
    _iou(
        "over b",
        0,
        "That divides by the area of b's box alone: the union is what at least one of the two covers.",
        either="area_b + 0 * area_a",
    ),
    _iou(
        "over the box around both",
        0,
        "That divides by the area of the box around both: corners of it that neither covers do not"
        " belong to the union.",
        either="(torch.maximum(a[:, None, 2:], b[None, :, 2:])"
        " - torch.minimum(a[:, None, :2], b[None, :, :2])).prod(dim=2)",
    ),
    _iou(
        "the area",
        0,
        "That is the area of the intersection: divide it by that of the union.",
        result="both",
    ),
    _iou(
        "one minus",
        0,
        "That is 1 − IoU, a distance: equal boxes have an IoU of 1.",
        result="1 - torch.where(either > 0, both / either, 0 * both)",
    ),
    _iou(
        "width and height",
        0,
        "The last two numbers are taken for width and height: they are the right and bottom edge.",
        size_a="a[:, 2:]",
        size_b="b[:, 2:]",
        both="(torch.minimum(a[:, None, 2:] + a[:, None, :2], b[None, :, 2:] + b[None, :, :2])"
        " - low).clamp(min=0).prod(dim=2)",
    ),
    _iou(
        "the outer edges",
        0,
        "That is the box around both: the intersection begins at the larger of the two left edges.",
        inner="minimum",
        outer="maximum",
    ),
    _iou_otherwise("0 / 0", 1.05, "NaN comes from 0/0", result="both / either"),
    _iou_otherwise("the other way round", 0, "transpose", result="(both / either).nan_to_num().T"),
    Mistake(
        "box_iou",
        "row by row",
        0,
        "Each box of a meets each of b",
        """
def box_iou(a, b):
    low, high = torch.maximum(a[:, :2], b[:, :2]), torch.minimum(a[:, 2:], b[:, 2:])
    both = (high - low).clamp(min=0).prod(dim=1)
    area_a, area_b = ((one[:, 2:] - one[:, :2]).prod(dim=1) for one in (a, b))
    return both / (area_a + area_b - both)
""",
    ),
    Mistake(
        "box_iou",
        "the library's",
        0,
        "torchvision.ops",
        """
import torchvision
box_iou = lambda a, b: torchvision.ops.box_iou(a, b)
""",
    ),
]

# ----------------------------------------------------------------------- box_coding

_encode, _encode_otherwise = variants(
    "box_coding",
    """
def encode_boxes(boxes, anchors):
    size, own = boxes[:, 2:] - boxes[:, :2], anchors[:, 2:] - anchors[:, :2]
    middle, centre = {middle}, {centre}
    shift, stretch = {shift}, {stretch}
    return {result}
""",
    middle="(boxes[:, 2:] + boxes[:, :2]) / 2",
    centre="(anchors[:, 2:] + anchors[:, :2]) / 2",
    shift="(middle - centre) / own",
    stretch="torch.log(size / own)",
    result="torch.cat([shift, stretch], dim=1)",
)
_decode, _decode_otherwise = variants(
    "box_coding",
    """
def decode_boxes(offsets, anchors):
    own = anchors[:, 2:] - anchors[:, :2]
    centre = {centre}
    middle, size = {middle}, {size}
    return {result}
""",
    centre="(anchors[:, 2:] + anchors[:, :2]) / 2",
    middle="centre + offsets[:, :2] * own",
    size="own * torch.exp(offsets[:, 2:])",
    result="torch.cat([middle - size / 2, middle + size / 2], dim=1)",
)
_CODING = [
    _encode(
        "corners",
        0.7,
        "That is the shift of the upper left corners: tx and ty compare the middles.",
        middle="boxes[:, :2]",
        centre="anchors[:, :2]",
    ),
    _encode(
        "in pixels",
        0.7,
        "The shift is in pixels: divide it by the anchor's width and height.",
        shift="middle - centre",
    ),
    _encode(
        "by the box",
        0.7,
        "The shift is divided by the box's own size: the anchor's is meant, which is known when"
        " offsets are decoded.",
        shift="(middle - centre) / size",
    ),
    _encode(
        "no logarithm",
        0.7,
        "tw and th are ratios here: the logarithm is missing.",
        stretch="size / own",
    ),
    _encode(
        "less one",
        0.7,
        "That is w / w_a − 1: asked for is the logarithm of the ratio.",
        stretch="size / own - 1",
    ),
    _encode(
        "base 2",
        0.7,
        "That is the logarithm to base 2: asked for is the natural one.",
        stretch="torch.log2(size / own)",
    ),
    _encode(
        "base 10",
        0.7,
        "That is the logarithm to base 10: asked for is the natural one.",
        stretch="torch.log10(size / own)",
    ),
    _encode(
        "upside down",
        0.7,
        "The ratio is upside down: the box's size stands above, the anchor's below.",
        stretch="torch.log(own / size)",
    ),
    _encode(
        "the other direction",
        0.7,
        "The shift goes from the box to the anchor: take the anchor's middle off the box's.",
        shift="(centre - middle) / own",
    ),
    _encode(
        "exchanged",
        0.7,
        "Boxes and anchors are exchanged: the anchor is what is measured from.",
        shift="(centre - middle) / size",
        stretch="torch.log(own / size)",
    ),
    _encode(
        "height first",
        0.7,
        "tx and ty, tw and th are exchanged: x and the width come first.",
        result="torch.cat([shift, stretch], dim=1)[:, [1, 0, 3, 2]]",
    ),
    _encode(
        "middle not halved",
        0.7,
        "The middle is half of left + right: the half is missing.",
        middle="boxes[:, 2:] + boxes[:, :2]",
        centre="anchors[:, 2:] + anchors[:, :2]",
    ),
    _encode(
        "the width for both",
        0.7,
        "ty is divided by the anchor's width: its height is meant.",
        shift="(middle - centre) / own[:, :1]",
    ),
    _encode(
        "SSD's variances",
        0.7,
        "That is divided by 0.1 and 0.2, as SSD's code does: the formula here has no such factors.",
        shift="(middle - centre) / own / 0.1",
        stretch="torch.log(size / own) / 0.2",
    ),
    _encode_otherwise(
        "side by side", 0.55, "should have shape", result="torch.stack([shift, stretch], dim=1)"
    ),
    _decode(
        "whole size",
        0.7,
        "From the middle to an edge is half of the size, not all of it.",
        result="torch.cat([middle - size, middle + size], dim=1)",
    ),
    _decode(
        "no exp",
        0.7,
        "tw and th are taken for ratios: undo the logarithm with exp.",
        size="own * offsets[:, 2:]",
    ),
    _decode(
        "exp alone",
        0.7,
        "exp(tw) is a ratio: times the anchor's width it is a width.",
        size="torch.exp(offsets[:, 2:])",
    ),
    _decode(
        "shift in pixels",
        0.7,
        "tx and ty are taken for pixels: they count in widths and heights of the anchor.",
        middle="centre + offsets[:, :2]",
    ),
    _decode(
        "YOLO's sigmoid",
        0.7,
        "tx and ty went through a sigmoid, as in YOLO: here they are taken as they are.",
        middle="centre + (offsets[:, :2].sigmoid() - 0.5) * own",
    ),
    _decode(
        "both edges of x first",
        0.7,
        "The columns are left, right, top, bottom here: asked for are left, top, right, bottom.",
        result="torch.cat([middle - size / 2, middle + size / 2], dim=1)[:, [0, 2, 1, 3]]",
    ),
    _decode(
        "middle and size",
        0.7,
        "Those are middle and size: asked for are left, top, right, bottom.",
        result="torch.cat([middle, size], dim=1)",
    ),
    _decode(
        "corner and size",
        0.7,
        "Those are the upper left corner and the size: asked for are left, top, right, bottom.",
        result="torch.cat([middle - size / 2, size], dim=1)",
    ),
    _decode(
        "from the corner",
        0.7,
        "The shift is added to the anchor's corner: it is one of the middles.",
        centre="anchors[:, :2]",
    ),
    _decode(
        "middle for the corner",
        0.7,
        "The middle is taken for the upper left corner: go half the size to either side.",
        result="torch.cat([middle, middle + size], dim=1)",
    ),
    _decode(
        "anchor's size",
        0.7,
        "The box has the anchor's size: exp(tw) and exp(th) stretch it.",
        size="own",
    ),
    _decode(
        "shift by the new size",
        0.7,
        "The shift counts in widths of the anchor, not of the box that comes out.",
        middle="centre + offsets[:, :2] * own * torch.exp(offsets[:, 2:])",
    ),
]

# -------------------------------------------------------------------- match_anchors

IN_MATCH = (
    *causes(
        "With no object there is no largest IoU: where M is 0, every anchor is background.",
        "Expected reduction dim",
        "non-zero size",
        "is empty",
        "numel() == 0",
    ),
)

_match, _match_otherwise = variants(
    "match_anchors",
    """
def match_anchors(iou, high=0.5, low=0.4):
    count, objects = iou.shape
    match = torch.full((count,), -1, dtype=torch.int64)
    if objects == 0:
        return match
    best, place = iou.max(dim=1)
    match[best {least_low} low] = {between}
    match[best {least} high] = {belongs}[best {least} high]
    left = {table}
    for _ in range({times}):
        anchor, one = {pair}
        if left[anchor, one] <= {nothing}:
            {stop}
        match[anchor] = one
        {done}
    return {result}
""",
    least_low=">=",
    least=">=",
    between="-2",
    belongs="place",
    table="iou.clone()",
    times="min(count, objects)",
    pair="divmod(int(left.argmax()), objects)",
    nothing="0",
    stop="break",
    done="left[anchor], left[:, one] = -1, -1",
    result="match",
)
_EACH = """
def match_anchors(iou, high=0.5, low=0.4):
    match = torch.full((len(iou),), -1, dtype=torch.int64)
    if iou.shape[1] == 0:
        return match
    best, place = iou.max(dim=1)
    match[best >= low] = -2
    match[best >= high] = place[best >= high]
    {own}
    return match
"""
_MATCH = [
    _match(
        "by the anchor only",
        0.5,
        "That is the first half of the rule alone: an object that no anchor reaches stays without one.",
        times="0",
    ),
    Known(
        "match_anchors",
        "the best anchor of each, all at once",
        0.9,
        "Each object takes its best anchor, whoever has it already: where two want the same, one goes"
        " empty.",
        _EACH.format(
            own="""own = iou.max(dim=0)
    for one in range(iou.shape[1]):
        if own.values[one] > 0:
            match[own.indices[one]] = one"""
        ),
    ),
    Known(
        "match_anchors",
        "the best anchor even where none meets",
        0.9,
        "Each object takes its best anchor, also where the largest IoU is 0, or where another object"
        " has it already.",
        _EACH.format(own="match[iou.argmax(dim=0)] = torch.arange(iou.shape[1])"),
    ),
    Known(
        "match_anchors",
        "object by object",
        0.9,
        "The objects choose in their own order here: the pair with the largest IoU goes first.",
        _EACH.format(
            own="""left = iou.clone()
    for one in range(iou.shape[1]):
        anchor = int(left[:, one].argmax())
        if left[anchor, one] > 0:
            match[anchor] = one
            left[anchor] = -1"""
        ),
    ),
    Known(
        "match_anchors",
        "best anchor only",
        0.4,
        "Each object has one anchor and no more: the others that reach `high` belong to it, too.",
        """
def match_anchors(iou, high=0.5, low=0.4):
    match = torch.full((len(iou),), -1, dtype=torch.int64)
    if iou.shape[1]:
        match[iou.max(dim=1).values >= low] = -2
        for one, anchor in enumerate(iou.argmax(dim=0).tolist()):
            match[anchor] = one
    return match
""",
    ),
    _match(
        "above",
        0.75,
        "At least `high` belongs, and at least `low` is ignored: >=, not >.",
        least=">",
        least_low=">",
    ),
    _match("above high", 0.75, "At least `high` belongs: >=, not >.", least=">"),
    _match(
        "above low",
        0.75,
        "An anchor at exactly `low` is ignored: only below `low` it is background.",
        least_low=">",
    ),
    _match(
        "none ignored",
        0.75,
        "Between `low` and `high` an anchor is ignored, −2: it is told nothing.",
        between="-1",
    ),
    _match(
        "signs exchanged",
        0,
        "−1 and −2 are exchanged: background is −1, ignored −2.",
        result="torch.where(match < 0, -3 - match, match)",
    ),
    _match(
        "everything else ignored",
        0,
        "Below `low` an anchor is background, −1: only between the two it is ignored.",
        result="torch.where(match < 0, -2, match)",
    ),
    _match(
        "numbers from 1",
        0,
        "Objects are counted from 0: 0 is the first one.",
        result="torch.where(match >= 0, match + 1, match)",
    ),
    _match(
        "the band belongs",
        0.75,
        "Anchors between `low` and `high` belong to an object here: they are ignored, −2.",
        between="place[best >= low]",
    ),
    _match(
        "thresholds of its own",
        0.75,
        "The thresholds are 0.5 and 0.4 here whatever is given: use the arguments.",
        least=">= 0.5 + 0 *",
        least_low=">= 0.4 + 0 *",
    ),
    Known(
        "match_anchors",
        "the second half first",
        0.85,
        "The first half comes last here and overwrites anchors that objects were given: it is the other"
        " way round.",
        """
def match_anchors(iou, high=0.5, low=0.4):
    match = torch.full((len(iou),), -1, dtype=torch.int64)
    left, objects = iou.clone(), iou.shape[1]
    for _ in range(min(iou.shape)):
        anchor, one = divmod(int(left.argmax()), objects)
        if left[anchor, one] <= 0:
            break
        match[anchor] = one
        left[anchor], left[:, one] = -1, -1
    if objects:
        best, place = iou.max(dim=1)
        match[(best >= low) & (best < high)] = -2
        match[best >= high] = place[best >= high]
    return match
""",
    ),
    _match(
        "the worst",
        0.75,
        "That gives each anchor the object with the smallest IoU.",
        belongs="iou.argmin(dim=1)",
    ),
    _match(
        "an anchor given twice",
        0.9,
        "An anchor that one object was given is given to another one again: it is no longer free.",
        done="left[:, one] = -1",
    ),
    _match(
        "an object served again",
        0.5,
        "An object that has its anchor takes another one: it has its turn once.",
        done="left[anchor] = -1",
    ),
    _match(
        "anchors without meeting",
        1.25,
        "An object that meets no anchor is given one: an IoU of 0 gives nothing.",
        nothing="-1",
    ),
    _match(
        "only what reaches low",
        0.5,
        "An object's own anchor is given whatever their IoU: no threshold counts in the second half.",
        nothing="low",
    ),
    _match(
        "only what is free",
        0.85,
        "The second half overrides the first: also an anchor that belongs to another object may be"
        " given.",
        table="torch.where((match >= 0)[:, None] & (match[:, None] != torch.arange(objects)), -1.0, iou)",
    ),
    _match_otherwise("in place", 0, "changed its argument `iou`", table="iou"),
    Mistake(
        "match_anchors",
        "no object",
        1.25,
        "With no object there is no largest IoU",
        """
def match_anchors(iou, high=0.5, low=0.4):
    best, place = iou.max(dim=1)
    match = torch.where(best >= high, place, torch.where(best >= low, -2, -1))
    left = iou.clone()
    for _ in range(min(iou.shape)):
        anchor, one = divmod(int(left.argmax()), iou.shape[1])
        if left[anchor, one] > 0:
            match[anchor] = one
            left[anchor], left[:, one] = -1, -1
    return match
""",
    ),
    _match_otherwise("as floats", 0, "should have dtype int64", result="match.double()"),
]


# --------------------------------------------------------------------------- Heads

SHAPES = "scores has anchors · (classes + 1) filters, offsets anchors · 4, all of them 3×3."
ROWS = "All anchors of all cells are rows of one picture: (N, H·W·anchors, …)."
CUT = "What either head says must send its gradient back into the features."
IN_HEADS = (
    ("no attribute 'scores'", "The first head is to be called `scores`, in `__init__`."),
    ("no attribute 'offsets'", "The second head is to be called `offsets`, in `__init__`."),
    *causes(
        "Where the axes were exchanged, `view` does not work: take `reshape`.",
        "view size is not compatible",
    ),
    *causes(
        "Print the shape before the last reshape: (N, H, W, channels) has H·W·anchors rows in it.",
        "is invalid for input of size",
        "shape '[",
    ),
)

_heads, _heads_otherwise = variants(
    "Heads",
    """
class Heads(nn.Module):
    def __init__(self, channels, anchors, classes):
        super().__init__()
        self.anchors, self.classes = anchors, classes
        self.scores = {scores}
        self.offsets = {offsets}
        {more}

    def forward(self, features):
        n = len(features)
        s, o = self.scores({into}), self.offsets({into_second})
        s = {rows_s}
        o = {rows_o}
        return {result}
""",
    scores="nn.Conv2d(channels, anchors * (classes + 1), 3, padding=1)",
    offsets="nn.Conv2d(channels, anchors * 4, 3, padding=1)",
    more="",
    into="features",
    into_second="features",
    rows_s="s.permute(0, 2, 3, 1).reshape(n, -1, self.classes + 1)",
    rows_o="o.permute(0, 2, 3, 1).reshape(n, -1, 4)",
    result="s, o",
)
_HEADS = [
    _heads(
        "reshaped only",
        0,
        "The axes were never exchanged: reshape leaves all numbers in the order of (N, C, H, W), and a"
        " row mixes places.",
        rows_s="s.reshape(n, -1, self.classes + 1)",
        rows_o="o.reshape(n, -1, 4)",
    ),
    _heads(
        "columns first",
        0,
        "The rows go down the columns of cells: order them row by row, (N, H, W, …).",
        rows_s="s.permute(0, 3, 2, 1).reshape(n, -1, self.classes + 1)",
        rows_o="o.permute(0, 3, 2, 1).reshape(n, -1, 4)",
    ),
    _heads(
        "anchor by anchor",
        0,
        "The anchors come first here, then the cells: in each cell its anchors follow one another.",
        rows_s="s.reshape(n, self.anchors, self.classes + 1, -1).transpose(2, 3).flatten(1, 2)",
        rows_o="o.reshape(n, self.anchors, 4, -1).transpose(2, 3).flatten(1, 2)",
    ),
    _heads(
        "classes first in the channels",
        0,
        "The channels are read class by class: channels a·(K + 1) to a·(K + 1) + K are anchor a's.",
        rows_s="s.reshape(n, self.classes + 1, self.anchors, *s.shape[2:]).permute(0, 3, 4, 2, 1)"
        ".flatten(1, 3)",
        rows_o="o.reshape(n, 4, self.anchors, *o.shape[2:]).permute(0, 3, 4, 2, 1).flatten(1, 3)",
    ),
    _heads(
        "no background",
        0,
        "A score for background is missing: there are classes + 1.",
        scores="nn.Conv2d(channels, anchors * classes, 3, padding=1)",
        rows_s="s.permute(0, 2, 3, 1).reshape(n, -1, self.classes)",
    ),
    _heads(
        "one anchor",
        0,
        "Each cell has several anchors: the filters are times `anchors`.",
        scores="nn.Conv2d(channels, classes + 1, 3, padding=1)",
        offsets="nn.Conv2d(channels, 4, 3, padding=1)",
    ),
    _heads(
        "1×1",
        0,
        "The filters are 1×1: asked for are 3×3, with padding 1.",
        scores="nn.Conv2d(channels, anchors * (classes + 1), 1)",
        offsets="nn.Conv2d(channels, anchors * 4, 1)",
    ),
    _heads(
        "no bias",
        0,
        "The biases are missing: nn.Conv2d has them by default.",
        scores="nn.Conv2d(channels, anchors * (classes + 1), 3, padding=1, bias=False)",
        offsets="nn.Conv2d(channels, anchors * 4, 3, padding=1, bias=False)",
    ),
    _heads(
        "softmax",
        0.3,
        "The scores went through a softmax: they go out as they are.",
        result="s.softmax(dim=2), o",
    ),
    _heads(
        "sigmoid",
        0.3,
        "The scores went through a sigmoid: they go out as they are.",
        result="s.sigmoid(), o",
    ),
    _heads(
        "relu",
        0,
        "What comes out went through ReLU: scores and offsets may be negative.",
        result="s.relu(), o.relu()",
    ),
    _heads(
        "offsets squeezed",
        0.4,
        "The offsets went through a tanh: they go out as they are.",
        result="s, o.tanh()",
    ),
    _heads_otherwise(
        "no padding",
        0,
        "should have shape",
        scores="nn.Conv2d(channels, anchors * (classes + 1), 3)",
        offsets="nn.Conv2d(channels, anchors * 4, 3)",
        into="F.pad(features, (0, 1, 0, 1))",
        into_second="F.pad(features, (0, 1, 0, 1))",
    ),
    _heads_otherwise("exchanged", 0, "should have shape", result="o, s"),
    _heads_otherwise(
        "all pictures in one row",
        0.3,
        "All anchors of all cells are rows of one picture",
        rows_s="s.permute(0, 2, 3, 1).reshape(-1, self.classes + 1)",
        rows_o="o.permute(0, 2, 3, 1).reshape(-1, 4)",
    ),
    _heads_otherwise(
        "axes kept apart",
        0.3,
        "All anchors of all cells are rows of one picture",
        rows_s="s.permute(0, 2, 3, 1).reshape(n, *s.shape[2:], -1, self.classes + 1)",
        rows_o="o.permute(0, 2, 3, 1).reshape(n, *o.shape[2:], -1, 4)",
    ),
    _heads_otherwise(
        "one head detached", 0.7, "send its gradient back", into_second="features.detach()"
    ),
    _heads_otherwise(
        "viewed",
        0,
        "take `reshape`",
        rows_s="s.permute(0, 2, 3, 1).view(n, -1, self.classes + 1)",
    ),
]

# ------------------------------------------------------------------- detection_loss

ONE_NUMBER = "A loss is one number for the whole batch: sum up what counts."
NO_GRADIENT = (
    "The loss is to be differentiated: keep it a tensor, computed from scores and offsets."
)
NO_OBJECT = "Without an object P is 0: divide by 1, and the boxes' loss is a sum over none."
IN_LOSS = (
    *causes(
        "Class −1 is none for cross_entropy: leave those anchors out, or name it as ignore_index.",
        "Target -1 is out of bounds",
    ),
    *causes("k is more than there are: take the smaller of the two.", "selected index k out of"),
    *causes(
        "cross_entropy with reduction='none' gives one loss for each anchor: have all been kept?",
        "shape of the mask",
    ),
    ("takes 4 positional", "The function takes a fifth argument, ratio=3."),
)

_loss, _loss_otherwise = variants(
    "detection_loss",
    """
def detection_loss(scores, offsets, classes, targets, ratio=3):
    each = {each}
    objects, background = {objects}, {background}
    count = {count}
    hard = {hard}
    chosen = {chosen}
    of_classes = each[objects].sum() + chosen.sum()
    of_boxes = {boxes}
    return {result}
""",
    each="F.cross_entropy(scores, classes, ignore_index=-1, reduction='none')",
    objects="classes > 0",
    background="classes == 0",
    count="max(int(objects.sum()), 1)",
    hard="min(ratio * count, int(background.sum()))",
    chosen="each[background].topk(hard).values",
    boxes="F.smooth_l1_loss(offsets[objects], targets[objects], reduction='sum')",
    result="of_classes / count, of_boxes / count",
)
_LOSS = [
    _loss(
        "all of the background",
        0.55,
        "All of the background counts: only the hardest ratio · P of it do.",
        chosen="each[background]",
    ),
    _loss(
        "the easiest",
        0.55,
        "Those are the easiest of the background: the hardest have the largest loss.",
        chosen="each[background].topk(hard, largest=False).values",
    ),
    _loss(
        "the first",
        0.55,
        "Those are the first of the background as they stand: take those with the largest loss.",
        chosen="each[background][:hard]",
    ),
    _loss(
        "no background",
        0.4,
        "Only objects count here: then 'object everywhere' has no loss. Add the hardest of the"
        " background.",
        chosen="each[:0]",
    ),
    _loss(
        "a fixed ratio",
        0.75,
        "The ratio is 3 here whatever is given: use the argument.",
        hard="min(3 * count, int(background.sum()))",
    ),
    _loss(
        "ratio of anchors in all",
        0.4,
        "That takes `ratio` anchors in all: it is `ratio` for each of the P.",
        hard="min(ratio, int(background.sum()))",
    ),
    _loss(
        "ignored is background",
        0.9,
        "Ignored anchors, class −1, are taken for background: they count nowhere.",
        each="F.cross_entropy(scores, classes.clamp(min=0), reduction='none')",
        background="classes <= 0",
    ),
    _loss(
        "a mean of what counts",
        0.4,
        "That is the mean over all anchors that count: divide the sum by P.",
        result="of_classes / (int(objects.sum()) + hard), of_boxes / count",
    ),
    _loss(
        "sums",
        0,
        "Both are sums: divide them by P.",
        result="of_classes, of_boxes",
    ),
    _loss(
        "over all anchors",
        0,
        "Both are divided by the number of all anchors: P is how many belong to an object.",
        result="of_classes / len(classes), of_boxes / len(classes)",
    ),
    _loss(
        "a mean over the offsets",
        0.5,
        "The loss of the boxes is a mean over the four offsets, too: it is their sum.",
        result="of_classes / count, of_boxes / count / 4",
    ),
    _loss(
        "L1",
        0.5,
        "That is |d| throughout: where |d| is below 1, smooth L1 is d²/2, and else |d| − ½.",
        boxes="F.l1_loss(offsets[objects], targets[objects], reduction='sum')",
    ),
    _loss(
        "squares",
        0.5,
        "That is d² throughout: beyond 1 smooth L1 is |d| − ½.",
        boxes="F.mse_loss(offsets[objects], targets[objects], reduction='sum')",
    ),
    _loss(
        "half squares",
        0.5,
        "That is d²/2 throughout: beyond 1 smooth L1 is |d| − ½.",
        boxes="F.mse_loss(offsets[objects], targets[objects], reduction='sum') / 2",
    ),
    _loss(
        "boxes of all anchors",
        0.5,
        "The loss of the boxes counts background, too: only anchors with an object have a box.",
        boxes="F.smooth_l1_loss(offsets, targets, reduction='sum')",
    ),
    _loss(
        "boxes exchanged",
        0,
        "The two losses are exchanged: first the classes, then the boxes.",
        result="of_boxes / count, of_classes / count",
    ),
    _loss(
        "probabilities",
        0.4,
        "The scores went through a softmax before cross_entropy, which has its own.",
        each="F.cross_entropy(scores.softmax(1), classes, ignore_index=-1, reduction='none')",
    ),
    _loss(
        "nothing without an object",
        1.25,
        "Without an object nothing counts here: `ratio` of the background still do.",
        hard="min(ratio * int(objects.sum()), int(background.sum()))",
    ),
    _loss(
        "means of both kinds",
        0,
        "That is a mean over the objects and a mean over the background: one sum of both is divided by"
        " P.",
        result="each[objects].mean() + chosen.mean(), of_boxes / count / 4",
    ),
    _loss(
        "the hardest by an object's score",
        0.55,
        "Those are the ones with the highest score of an object's class: the hardest have the largest"
        " cross-entropy.",
        chosen="each[background][scores[background][:, 1:].amax(dim=1).topk(hard).indices]",
    ),
    _loss("P of 0", 1.25, NO_OBJECT, count="int(objects.sum())"),
    _loss_otherwise("too many asked for", 0.95, "k is more than there are", hard="ratio * count"),
    _loss_otherwise(
        "class −1 sent in",
        0.5,
        "Class −1 is none for cross_entropy",
        each="F.cross_entropy(scores, classes, reduction='none')",
    ),
    _loss(
        "numbers without a graph",
        0,
        NO_GRADIENT,
        result="(of_classes / count).detach(), (of_boxes / count).detach()",
    ),
    _loss_otherwise("one sum", 0, "a tuple of 2", result="of_classes / count + of_boxes / count"),
]

# ------------------------------------------------------------------------------ nms

COUNT = "The places of the boxes that stay: as many as stay, by falling score."
EQUALS = "Of equal scores the earlier one counts as the higher: sort with stable=True."
IN_NMS = (
    *causes(
        "With no boxes none stays: return an empty tensor of int64.",
        "non-empty TensorList",
        "index 0 is out of bounds for dimension 0 with size 0",
        "max(): Expected reduction dim",
        "expected a non-empty list",
    ),
)

_nms, _nms_otherwise = variants(
    "nms",
    """
def nms(boxes, scores, labels, threshold):
    left, kept = {order}, []
    while len(left):
        first, rest = left[0], left[1:]
        kept.append(int(first))
        over = box_iou(boxes[first][None], boxes[rest])[0] {over} threshold
        left = rest[~(over {alike})]
    return {result}
""",
    order="scores.argsort(descending=True, stable=True)",
    over=">",
    alike="& (labels[rest] == labels[first])",
    result="torch.tensor(kept, dtype=torch.int64)",
)
_ALL_BEFORE = """
def nms(boxes, scores, labels, threshold):
    order = scores.argsort(descending=True, stable=True)
    kept = []
    for at, one in enumerate(order):
        before = order[:at]
        over = box_iou(boxes[one][None], boxes[before])[0] > threshold
        {test}
            kept.append(int(one))
    return torch.tensor(kept, dtype=torch.int64)
"""
_NMS = [
    _nms(
        "across classes",
        0.65,
        "A box drops those of other classes, too: each class is for itself.",
        alike="",
    ),
    _nms(
        "other classes only",
        0,
        "A box drops those of the other classes: it drops those of its own.",
        alike="& (labels[rest] != labels[first])",
    ),
    Known(
        "nms",
        "dropped boxes drop",
        0.45,
        "A box that was dropped drops others here: only those that stay do.",
        _ALL_BEFORE.format(test="if not (over & (labels[before] == labels[one])).any():"),
    ),
    Known(
        "nms",
        "the last kept only",
        0,
        "A box is compared only with the last one that stays: with all of its class that stay.",
        """
def nms(boxes, scores, labels, threshold):
    kept = []
    for n in scores.argsort(descending=True, stable=True).tolist():
        last = kept[-1:]
        alike = bool(last) and bool(labels[last[0]] == labels[n])
        if not alike or box_iou(boxes[last], boxes[n][None])[0, 0] <= threshold:
            kept.append(n)
    return torch.tensor(kept, dtype=torch.int64)
""",
    ),
    _nms(
        "places in the sorted list",
        0,
        "Those are places in the sorted list: asked for are those of the boxes as they were given.",
        result="torch.tensor([scores.argsort(descending=True, stable=True).tolist().index(k)"
        " for k in kept], dtype=torch.int64)",
    ),
    _nms(
        "class by class",
        0.45,
        "The places come class by class: asked for is the order of falling scores over all classes.",
        result="torch.tensor(sorted(kept, key=lambda k: int(labels[k])), dtype=torch.int64)",
    ),
    _nms(
        "at the threshold, too",
        0.85,
        "A box at exactly the threshold stays: only above it one goes.",
        over=">=",
    ),
    _nms(
        "the worst stay",
        0,
        "The box with the lowest score comes first here: sort by falling score.",
        order="scores.argsort(stable=True)",
    ),
    _nms(
        "by their places",
        0,
        "The places are in the order of the boxes: asked for is the order of falling scores.",
        result="torch.tensor(sorted(kept), dtype=torch.int64)",
    ),
    _nms(
        "as they stand",
        0,
        "The boxes were never sorted: the highest score goes first.",
        order="torch.arange(len(scores))",
    ),
    _nms(
        "what is apart goes",
        0,
        "The condition is the wrong way round: boxes that overlap by more than the threshold go.",
        over="<",
    ),
    _nms(
        "rising at the end",
        0,
        "The places come by rising score: asked for is falling.",
        result="torch.tensor(kept[::-1], dtype=torch.int64)",
    ),
    _nms(
        "nothing goes",
        0,
        "All boxes stay: those that overlap a better one of their class go.",
        over="> 9 +",
    ),
    _nms_otherwise(
        "a mask",
        0,
        "has torch.bool",
        result="torch.zeros(len(scores), dtype=torch.bool)"
        ".index_fill(0, torch.tensor(kept, dtype=torch.int64), True)",
    ),
    _nms_otherwise("the boxes", 0, "has torch.float64", result="boxes[kept]"),
    _nms_otherwise("a list", 0, "should be a torch tensor and is a list", result="kept"),
    _nms_otherwise("floats where none", 0.9, "dtype", result="torch.tensor(kept)"),
    _nms_otherwise(
        "equals the other way round",
        0.85,
        "Of equal scores the earlier one",
        order="(len(scores) - 1 - scores.flip(0).argsort(descending=True, stable=True))",
    ),
]

# ---------------------------------------------------------------- average_precision

ALL = "There is a mark for each detection of all pictures."
IN_MARKS = (
    *causes(
        "A picture without objects has no largest IoU: its detections are all wrong.",
        "Expected reduction dim",
        "numel() == 0",
        "is out of bounds for dimension 0 with size 0",
        "argmax(): Expected",
        "iterable argument is empty",
    ),
)
IN_AREA = (
    *causes(
        "With no detection nothing is found: the area is 0.",
        "Expected reduction dim",
        "index -1 is out of bounds",
        "list index out of range",
        "index 0 is out of bounds",
        "division by zero",
    ),
)

_marks, _marks_otherwise = variants(
    "average_precision",
    """
def true_detections(found, truth, least=0.5):
    scores = torch.cat([one for _, one in found])
    order = {order}.tolist()
    places = [(picture, n) for picture, (_, one) in enumerate(found) for n in range(len(one))]
    taken, right = set(), []
    for picture, n in (places[at] for at in order):
        if len(truth[picture]) == 0:
            {empty}
            continue
        iou = box_iou(found[picture][0][n : n + 1], truth[picture])[0]
        best = {best}
        right.append({test})
        {take}
            taken.add((picture, best))
    return {result}
""",
    order="scores.argsort(descending=True, stable=True)",
    empty="right.append(False)",
    best="int(iou.argmax())",
    test="float(iou[best]) >= least and (picture, best) not in taken",
    take="if right[-1]:",
    result="torch.tensor(right, dtype=torch.bool)",
)
_area, _area_otherwise = variants(
    "average_precision",
    """
def average_precision(right, objects):
    if len(right) == 0:
        return 0.0
    true = right.double().cumsum(0)
    precision = {precision}
    best = {best}
    return {result}
""",
    precision="true / torch.arange(1, len(right) + 1)",
    best="precision.flip(0).cummax(0).values.flip(0)",
    result="float(best[right].sum()) / objects",
)
_PRECISION = [
    _marks(
        "twice",
        0.45,
        "An object is found twice here: the second detection of it is an error.",
        test="float(iou[best]) >= least",
    ),
    _marks(
        "in their order",
        0.45,
        "The detections are gone through as they stand: sort them by falling score first.",
        order="torch.arange(len(scores))",
    ),
    _marks(
        "rising",
        0.45,
        "The detections are gone through by rising score: the highest comes first.",
        order="scores.argsort(stable=True)",
    ),
    _marks(
        "the next object",
        1,
        "Where the nearest object is taken, another one is tried: a detection looks at one object"
        " only. (COCO's rule tries others.)",
        best="int(torch.tensor([-1 if (picture, m) in taken else v for m, v in enumerate(iou.tolist())])"
        ".argmax())",
    ),
    _marks(
        "above",
        1,
        "A detection with an IoU of exactly `least` is right: >=, not >.",
        test="float(iou[best]) > least and (picture, best) not in taken",
    ),
    _marks(
        "a fixed limit",
        1,
        "The limit is 0.5 here whatever is given: use the argument.",
        test="float(iou[best]) >= 0.5 and (picture, best) not in taken",
    ),
    _marks(
        "as they came",
        0.45,
        "The marks are in the order in which the detections came: asked for is falling score.",
        result="torch.tensor([right[order.index(at)] for at in range(len(order))], dtype=torch.bool)",
    ),
    _marks(
        "wrong ones marked",
        0.45,
        "The marks are the wrong way round: True is right.",
        result="~torch.tensor(right, dtype=torch.bool)",
    ),
    _marks(
        "the first object that reaches it",
        1,
        "That takes the first object that is reached: the one with the largest IoU is meant.",
        best="int((iou >= least).double().argmax())",
    ),
    _marks(
        "taken by whoever comes",
        0.45,
        "An object counts as taken although no detection was right there yet.",
        take="if True:",
    ),
    _marks_otherwise(
        "left out where none",
        1,
        "There is a mark for each detection",
        empty="pass",
    ),
    Known(
        "average_precision",
        "picture by picture",
        0.45,
        "The pictures are gone through one after the other: the detections of all of them are sorted"
        " together.",
        """
def true_detections(found, truth, least=0.5):
    right = []
    for (boxes, scores), objects in zip(found, truth):
        taken, order = set(), scores.argsort(descending=True, stable=True)
        for box in boxes[order]:
            iou = box_iou(box[None], objects)[0].tolist()
            best = max(range(len(iou)), key=iou.__getitem__, default=None)
            right.append(best is not None and iou[best] >= least and best not in taken)
            taken |= {best} if right[-1] else set()
    return torch.tensor(right, dtype=torch.bool)
""",
    ),
    Mistake(
        "average_precision",
        "no objects",
        1,
        "A picture without objects has no largest IoU",
        """
def true_detections(found, truth, least=0.5):
    scores = torch.cat([one for _, one in found])
    order = scores.argsort(descending=True, stable=True).tolist()
    places = [(p, n) for p, (_, one) in enumerate(found) for n in range(len(one))]
    taken, right = set(), []
    for p, n in (places[at] for at in order):
        iou = box_iou(found[p][0][n : n + 1], truth[p])[0]
        best = int(iou.argmax())
        right.append(float(iou[best]) >= least and (p, best) not in taken)
        taken |= {(p, best)} if right[-1] else set()
    return torch.tensor(right, dtype=torch.bool)
""",
    ),
    Known(
        "average_precision",
        "objects choose",
        0.45,
        "Each object chooses the detection that fits it best: it is the one with the highest score.",
        """
def true_detections(found, truth, least=0.5):
    marks = [torch.zeros(len(boxes), dtype=torch.bool) for boxes, _ in found]
    for mark, (boxes, _), objects in zip(marks, found, truth):
        if len(boxes) and len(objects):
            iou, place = box_iou(boxes, objects).max(dim=0)
            mark[place[iou >= least]] = True
    order = torch.cat([one for _, one in found]).argsort(descending=True, stable=True)
    return torch.cat(marks)[order]
""",
    ),
    _marks_otherwise("a list", 0.45, "should be a torch tensor and is a list", result="right"),
    _area(
        "no envelope",
        0.8,
        "The precision is taken as it stands: at each recall it is the best one from there on.",
        best="precision",
    ),
    _area(
        "the best so far",
        0.8,
        "That is the best precision up to here: it is the best from here on.",
        best="precision.cummax(0).values",
    ),
    _area(
        "over what was found",
        0.8,
        "That divides by the number of right detections: objects that nobody found count, too.",
        result="float(best[right].sum()) / max(int(right.sum()), 1)",
    ),
    _area(
        "over the detections",
        0.8,
        "That divides by the number of detections: recall moves by 1 / objects.",
        result="float(best[right].sum()) / len(right)",
    ),
    _area(
        "of all detections",
        0.8,
        "Wrong detections add to the area, too: recall moves only where one is right.",
        result="float(best.sum()) / objects",
    ),
    _area(
        "precision at the end",
        0.8,
        "That is the precision of all detections together: asked for is the area under the curve.",
        result="float(precision[-1])",
    ),
    _area(
        "recall at the end",
        0.8,
        "That is the recall of all detections together: asked for is the area under the curve.",
        result="float(true[-1]) / objects",
    ),
    _area(
        "percent",
        0.8,
        "That is in percent: a perfect detector has an average precision of 1.",
        result="100 * float(best[right].sum()) / objects",
    ),
    _area(
        "F1",
        0.8,
        "That is the F1 of all detections together: asked for is the area under the curve.",
        result="2 * float(true[-1]) / (len(right) + objects)",
    ),
    _area(
        "eleven recalls",
        0.8,
        "That is the mean at eleven recalls, VOC's rule until 2009: asked for is the whole area.",
        result="sum(max([float(p) for p, t in zip(precision, true) if float(t) / objects >= r / 10],"
        " default=0.0) for r in range(11)) / 11",
    ),
    _area(
        "trapezoids",
        0.8,
        "That is the area under straight lines between the points, from (0, 1) on: the curve goes in"
        " steps.",
        result="float(torch.trapezoid(torch.cat([torch.ones(1).double(), precision]),"
        " torch.cat([torch.zeros(1).double(), true / objects])))",
    ),
    Mistake(
        "average_precision",
        "no detection",
        1.05,
        "With no detection nothing is found",
        """
def average_precision(right, objects):
    precision = right.double().cumsum(0) / torch.arange(1, len(right) + 1)
    best, area = float(precision[-1]), 0.0
    for p, one in zip(precision.flip(0).tolist(), right.flip(0).tolist()):
        best = max(best, p)
        area += best * one
    return area / objects
""",
    ),
]


# --------------------------------------------------------------------- where_to_cut

IN_CUT = (
    *causes(
        "The place in the list of the objects' scores lies outside it: the last of n is n − 1.",
        "is out of bounds",
        "out of range",
    ),
)

_cut, _cut_otherwise = variants(
    "where_to_cut",
    """
def rejection_threshold(scores, objects, recall):
    best = {own}.sort(descending=True).values
    n = len(best)
    place = {place}
    return {result}
""",
    own="scores[objects]",
    place="-int(-(recall * n - 1e-9) // 1) - 1",
    result="float(best[max(place, 0)])",
)
_CUT = [
    _cut(
        "of all windows",
        0.7,
        "That is the share of all windows: the recall counts objects only.",
        own="scores",
    ),
    _cut(
        "of the ground",
        0.7,
        "Those are the scores of the ground: the recall counts objects.",
        own="scores[~objects]",
    ),
    _cut(
        "one further",
        0.7,
        "That lets one object more pass than the recall asks for: places count from 0.",
        place="min(-int(-(recall * n - 1e-9) // 1), n - 1)",
    ),
    _cut(
        "rounded down",
        0.9,
        "That lets one object too few pass: at least this share means rounding up.",
        place="int(recall * n + 1e-9) - 1",
    ),
    _cut(
        "the rejected share",
        0.7,
        "That is where this share of the objects is rejected: it is the share that passes.",
        place="n - 1 - int(recall * n)",
    ),
    _cut(
        "an average of two",
        0.7,
        "That lies between the scores of two objects: the threshold is the score of one of them.",
        result="float(torch.quantile(scores[objects], 1 - recall))",
    ),
    _cut(
        "the quantile below",
        0.7,
        "A quantile counts the steps between n values, n − 1 of them: that may let one object more pass"
        " than is asked for.",
        result='float(torch.quantile(scores[objects], 1 - recall, interpolation="lower"))',
    ),
    _cut(
        "the lowest",
        0.7,
        "That lets every object pass: it may be higher, as long as the share passes that is asked for.",
        place="n - 1",
    ),
    _cut_otherwise("one too far", 0.7, "lies outside it", result="float(best[place + 1])"),
    *(
        Known("where_to_cut", name, 1.05, says, f"for_counting = {value}")
        for name, value, says in (
            (
                "the best F1",
                0.4,
                "There nearly all is found and much of it is right, and the number is still not that of"
                " the objects.",
            ),
            (
                "the highest recall",
                0.2,
                "There is one miss only, and twice as many detections as objects.",
            ),
            (
                "the highest precision",
                0.8,
                "Nearly all of those are right, and many objects are not among them.",
            ),
        )
    ),
    Mistake("where_to_cut", "none", 1.05, "A sum hides what cancels", "right_count = 'none'"),
    Mistake("where_to_cut", "misses", 1.05, "A missed object makes", "right_count = 'misses'"),
    Mistake(
        "where_to_cut", "false alarms", 1.05, "A false alarm makes", "right_count = 'false alarms'"
    ),
    *(
        Known("where_to_cut", name, 0.95, says, f"rejected = {value}")
        for name, value, says in (
            ("half", 0.5, "The first stage costs something, too, and every window pays it."),
            (
                "the share that passes",
                0.46,
                "That is the share that passes: asked for is the rest.",
            ),
            (
                "worth it at all",
                0.04,
                "From there on it is cheaper at all: asked for is half of the cost.",
            ),
            (
                "the rest of that",
                0.96,
                "That is the share that may pass if the cascade is to cost as much as the classifier alone.",
            ),
            ("in percent", 54, "That is in percent: a share lies between 0 and 1."),
            (
                "first stage for the rejected only",
                0.5 / 0.96,
                "Every window pays the first stage, not only those that it rejects.",
            ),
        )
    ),
]

MISTAKES = Table(
    sys.modules[__name__],
    [*_IOU, *_CODING, *_MATCH, *_HEADS, *_LOSS, *_NMS, *_PRECISION, *_CUT],
)
