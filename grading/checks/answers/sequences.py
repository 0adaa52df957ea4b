"""Lab 10: the right answers, and what people get wrong about paths, errors, time and memory."""

import itertools
import math
import sys

import numpy as np
import torch
import torch.nn.functional as F

from grading.checks.mistakes import Known, Mistake, Table, causes, variants


def collapse(path):
    return [label for label, _ in itertools.groupby(path) if label != 0]


def greedy_decode(log_probs, lengths):
    best = log_probs.argmax(dim=2).T.tolist()
    return [collapse(path[:n]) for path, n in zip(best, lengths.tolist(), strict=True)]


def edit_distance(said, heard):
    row = list(range(len(heard) + 1))
    for i, label in enumerate(said, 1):
        before, row = row, [i]
        for j, other in enumerate(heard, 1):
            row.append(min(before[j] + 1, row[j - 1] + 1, before[j - 1] + (label != other)))
    return row[-1]


def label_error_rate(said, heard):
    edits = sum(edit_distance(one, other) for one, other in zip(said, heard, strict=True))
    return edits / sum(map(len, said))


paths_of_aa = 5


def ctc_loss(log_probs, target):
    repeats = sum(a == b for a, b in itertools.pairwise(target))
    if len(log_probs) < len(target) + repeats:
        return log_probs.new_tensor(torch.inf)
    places = torch.zeros(2 * len(target) + 1, dtype=torch.int64)
    places[1::2] = torch.tensor(target, dtype=torch.int64)
    skips = torch.zeros(len(places), dtype=torch.bool)
    skips[2:] = (places[2:] != 0) & (places[2:] != places[:-2])
    rest = log_probs.new_full((max(0, len(places) - 2),), -1e30)
    alpha = torch.cat([log_probs[0, places[:2]], rest])
    for frame in log_probs[1:]:
        one = F.pad(alpha, (1, 0), value=-1e30)[:-1]
        two = F.pad(alpha, (2, 0), value=-1e30)[: len(alpha)].masked_fill(~skips, -1e30)
        alpha = torch.logsumexp(torch.stack([alpha, one, two]), dim=0) + frame[places]
    return -torch.logsumexp(alpha[-2:], dim=0)


def windows(prices, length, every=1):
    starts = np.arange(0, len(prices) - length + 1, every)
    return prices[starts[:, None] + np.arange(length)]


def normalise(rows):
    logs = np.log(rows)
    logs = logs - logs.mean(axis=1, keepdims=True)
    spread = logs.std(axis=1, keepdims=True)
    flat = np.ptp(rows, axis=1, keepdims=True) == 0
    return np.where(flat, 0.0, logs / np.where(flat, 1.0, spread))


def split_by_time(starts, length, cut):
    return starts + length <= cut, starts >= cut


def days_ahead(feature, prices):
    before, most = feature(prices.copy()), 0
    for day in range(len(prices)):
        for price in (prices.min() / 3, 3 * prices.max()):
            changed = prices.copy()
            changed[day] = price
            same = np.isclose(feature(changed), before, rtol=1e-9, atol=0, equal_nan=True)
            most = max(most, day - int(np.argmin(same))) if not same.all() else most
    return most


def fast_weights_step(x, h, A, slow, decay, rate, inner=1):
    W, C, b = slow
    A = decay * A + rate * h[:, :, None] * h[:, None, :]
    z = h @ W.T + x @ C.T + b
    new = torch.tanh(z)
    for _ in range(inner):
        new = torch.tanh(F.layer_norm(z + (A @ new[:, :, None])[:, :, 0], new.shape[1:]))
    return new, A


def attend_to_past(past, query, decay, rate):
    ages = torch.arange(past.shape[1] - 1, -1, -1, dtype=past.dtype)
    weights = rate * decay**ages * (past @ query[:, :, None])[:, :, 0]
    return (weights[:, None] @ past)[:, 0]


def softmax_attention(past, query):
    scores = (past @ query[:, :, None])[:, :, 0] / math.sqrt(past.shape[2])
    return (scores.softmax(dim=1)[:, None] @ past)[:, 0]


# ------------------------------------------------- what errors and values mean in these exercises

IN_PATHS = (
    ("list index out of range", "A path may be empty, and its first frame has none before it."),
    (
        "unhashable",
        "log_probs is (T, N, K): argmax along the labels, dim=2, then string by string.",
    ),
    (
        "zip() argument",
        "lengths has a number for each string: log_probs is (T, N, K), frames first.",
    ),
    ("only integer tensors", "lengths.tolist() has plain numbers."),
    ("Boolean value of Tensor", "A path is one string's list of labels: go through the strings."),
    ("return_types", "max along an axis gives values and places: the labels are its .indices."),
    (
        "0-d tensor",
        "argmax without an axis is one label of all: over the labels, a frame at a time.",
    ),
)
WRONG_PATH = (
    "Go from left to right: a label is said where it is no blank and differs from the one just before"
    " it, be that a blank or not."
)
WRONG_STRINGS = (
    "String by string: of its own frames alone the label with the largest number, then collapse. A"
    " string that says nothing is an empty list."
)
IN_EDITS = (
    ("list index out of range", "The table has one row and one column more than there are labels."),
    *causes(
        "The two strings may have different lengths: compare all beginnings, not places.",
        "shorter than",
        "longer than",
    ),
    ("division by zero", "One string may be empty: divide the sum of all edits once, at the end."),
    (
        "min() ",
        "Of an empty string nothing is left to compare: its distance is the other's length.",
    ),
    ("maximum recursion", "A recursion ends where one of the two strings is empty."),
)
WRONG_RATE = (
    "edit_distance for each string and what was heard for it; the sum of these, divided once by how many"
    " labels were said in all."
)
EDITS = (
    (([1], []), 1, "One label is taken out."),
    (([], [1]), 1, "One label is put in."),
    (([1], [2]), 1, "One label is exchanged."),
    (([1], [9]), 1, "One label is exchanged, however far apart their numbers are."),
    (([1, 2, 3], [1, 2]), 1, "One label is taken out."),
    (([1, 2], [1, 2]), 0, "Nothing has to be done."),
    (([1, 2], [2, 1]), 2, "To change places takes two edits."),
)
IN_CTC = (
    ("index -2", "An empty target has one place, a blank: take the last two places as alpha[-2:]."),
    ("index 1 is out of bounds", "An empty target has one place alone: a blank, and no label."),
    (
        "out of range",
        "Count the places: S labels with blanks around and between them are 2 S + 1, for S = 0 too.",
    ),
    (
        "inplace operation",
        "Backward needs what a step was computed from: make a new α for each frame, change none.",
    ),
    (
        "must match the size",
        "The three lists are all as long as the places: what is moved in at the front is −∞.",
    ),
    ("does not require grad", "The loss has no graph: keep to tensors, without .item() and NumPy."),
    ("call numpy() on", "NumPy keeps no graph: stay with tensors."),
    (
        "math domain error",
        "A probability that is 0 has no logarithm: work in logarithms throughout.",
    ),
)
WRONG_LOSS = (
    "Compare with all paths of a short case: for each, does collapse give the target? Sum the"
    " products of those, and take −log. A path begins at place 0 or 1, and ends at one of the last two."
)
EMPTY = "One path says an empty target: blank in every frame. Its loss is that path's."
NO_ERROR = "A target that does not fit is no error: its probability is 0, so its loss is ∞."
NO_PATH = (
    "A target needs a frame for each label, and two equal labels in a row need one more, for the blank"
    " between them. With fewer frames the loss is torch.inf, as a tensor: −1e30 is only in between."
)
NO_GRAPH = "It is a number without history (.item(), NumPy, torch.tensor): keep to tensors."
NAN_GRADIENT = (
    "logsumexp of nothing but −∞ has the gradient NaN, though its value is right. Put a very small"
    " number, such as −1e30, in place of −∞, or leave such places out."
)
WRONG_GRADIENT = (
    "A right loss has a right gradient, if all of it is made of tensors: is the loss right, and is"
    " nothing on the way detached, rounded or a plain number?"
)
IN_WINDOWS = {
    "windows": (
        *causes(
            "Only whole windows count: the last one begins on day N − length, or before.",
            "out of bounds",
            "inhomogeneous",
            "same shape",
        ),
        (
            "cannot reshape",
            "Windows may share days, and days may be left over: a slice for each start.",
        ),
    ),
    "normalise": (
        *causes(
            "keepdims=True keeps each row's mean as a column (M, 1).",
            "could not be broadcast",
            "not aligned",
        ),
        ("divide by zero", "Where all prices of a window are equal, its deviation is 0."),
        (
            "truth value of an array",
            "Each row has a deviation of its own: np.where chooses row by row, `if` cannot.",
        ),
    ),
    "split_by_time": (
        ("truth value of an array", "starts is an array: combine conditions with &, | and ~."),
    ),
}
WRONG_WINDOWS = (
    "Row m holds the prices of the days m · every to m · every + length − 1, in order, for each m for"
    " which there are so many days."
)
WRONG_SPLIT = (
    "Two masks, in the order of starts: True to train where the window's last day, start + length − 1,"
    " is before the cut; True to test where its first day is the cut or later."
)
WRONG_SCALE = (
    "For each row by itself: logarithms, minus their mean, over their standard deviation (np.std as"
    " it is)."
)
FLAT = "A window whose prices are all equal should be all 0, in spite of rounding in its mean."
IN_LEAKS = (
    (
        "cannot convert float NaN",
        "NaN has no place among whole numbers: compare with equal_nan=True.",
    ),
    *causes(
        "Nothing may move at all: then the answer is 0.",
        "max() ",
        "zero-size array",
        "index 0 is out of bounds",
    ),
    ("out of range", "The last day has no day after it."),
    (
        "out of bounds",
        "The last day has no day after it; and a feature is given all prices each time, (N,).",
    ),
    ("broadcast", "Give the feature all prices each time, (N,): some changed, none left out."),
    ("has no len()", "A feature takes all prices, (N,), at once: no single price."),
)
_ONE_WAY = (
    "This feature moves only if the price goes far enough in one direction: try a price below all"
    " others and one above all others."
)
_EACH = "Change each day's price, and look for the earliest day that moves."
TOO_FEW = {
    "shift": _EACH,
    "centred": _EACH,
    "series": "Change the last day's price, too: the first day's number moves with it.",
    "one day": "It looks ahead on one day alone: change each day's price.",
    "one day, little": "It looks ahead on one day alone, and moves little: compare closely.",
    "highest to come": _ONE_WAY,
    "lowest to come": _ONE_WAY,
    "rises": _ONE_WAY,
    "over the highest": _ONE_WAY,
    "over the lowest": _ONE_WAY,
}
CHANGED = "A price that was tried stays in `prices`: change a copy, prices.copy(), for each try."
TOO_MANY = (
    "It is the day whose price was changed minus the earliest day that moved: what is NaN before and"
    " after has not moved."
)
IN_STEP = (
    *causes(
        "A is (N, H, H), a matrix for each row: h[:, :, None] * h[:, None, :] makes one of h, and"
        " A @ h[:, :, None] is a column for each row, (N, H, 1).",
        "must match the size",
        "The size of tensor",
        "batch2",
        "Expected size",
    ),
    (
        "cannot be multiplied",
        "Rows are sequences: W h becomes h @ W.T, C x becomes x @ C.T, A h becomes A @ h[:, :, None];"
        " slow holds W, C and b in this order.",
    ),
    ("normalized_shape", "layer_norm takes the sizes that it averages over: the units, (H,)."),
    ("inplace operation", "What comes in is the caller's: make new tensors, decay * A + …"),
    ("1D tensors expected", "h has a row for each sequence: one outer product for each."),
)
WRONG_STEP = (
    "z = W h + C x + b, of the state that came in. The first state is tanh(z); each round of the inner"
    " loop makes tanh(LN(z + A h⁽ˢ⁾)) of the state before it, with the new A and the same z.",
    "The memory fades by decay, then the state that came in is written into it, times rate: for each"
    " row the product h hᵀ, (H, H).",
)
WRONG_STEPS = (
    "From step to step state and memory are handed on, three rounds each. If the states are right and the"
    " gradients are not, something on the way is detached or made without a graph."
)
IN_ATTENTION = (
    *causes(
        "Of a batch: (N, t, H) @ (N, H, 1) has one number for each past state.",
        "cannot be multiplied",
        "Expected size",
        "batch2",
    ),
    ("must match the size", "One weight for each past state, (N, t): weights[:, :, None] * past."),
    *causes("Make the powers of decay of the dtype of past.", "same dtype", "expected scalar type"),
)
WRONG_PAST = (
    "Each past state h comes back with a weight of one number, rate · decay^age · (h · q), and these are"
    " summed. The last one has the age 0, the one before it 1."
)
WRONG_SOFTMAX = (
    "One score for each past state, (N, t): the sum over the units of h times q, divided by √H. A softmax"
    " over the t states of each sequence makes weights of them, and with these the states are summed."
)

# ------------------------------------------------------------------------------- the mistakes

_known, _other = variants(
    "greedy_decode",
    """
def collapse(path):
    return {collapse}

def greedy_decode(log_probs, lengths):
    best = {best}
    return [{each} for path, n in {strings}]
""",
    collapse="[label for label, _ in itertools.groupby(path) if label != 0]",
    best="log_probs.argmax(dim=2).T.tolist()",
    each="collapse(path[:n])",
    strings="zip(best, lengths.tolist())",
)
_RIGHT_READ = "[label for label, _ in itertools.groupby(path[:n]) if label != 0]"


def _path_in_place(row, name, says, code):
    return row("greedy_decode", name, 0.5, says, f"def collapse(path):\n    {code}\n")


_GREEDY = [
    _known(
        "blanks first",
        0.5,
        "The blanks are left out first, so what a blank kept apart runs together: runs first.",
        collapse="[label for label, _ in itertools.groupby(c for c in path if c)]",
        each=_RIGHT_READ,
    ),
    _known(
        "blanks alone",
        0.5,
        "Only the blanks are left out: a run of one label counts once.",
        collapse="[label for label in path if label]",
        each=_RIGHT_READ,
    ),
    _known(
        "runs alone",
        0.5,
        "The blanks are still there: after the runs, leave them out.",
        collapse="[label for label, _ in itertools.groupby(path)]",
        each=_RIGHT_READ,
    ),
    _known(
        "each once",
        0.5,
        "A label that comes again later is left out: only neighbours make a run.",
        collapse="[label for label in dict.fromkeys(path) if label]",
        each=_RIGHT_READ,
    ),
    _known(
        "sorted",
        0.5,
        "The labels are in order of size, not of time.",
        collapse="sorted(set(path) - {0})",
        each=_RIGHT_READ,
    ),
    _known(
        "from the second frame",
        0.5,
        "The first frame is left out: nothing stands before it, so it counts.",
        collapse="[b for a, b in zip(path, path[1:]) if b and a != b]",
        each=_RIGHT_READ,
    ),
    _known(
        "before the first the last",
        0.5,
        "path[i - 1] of the first frame is path[-1], the last: the first frame has none before it.",
        collapse="[b for i, b in enumerate(path) if b and b != path[i - 1]]",
        each=_RIGHT_READ,
    ),
    _known(
        "up to the last but one",
        0.5,
        "The last frame is left out.",
        collapse="[a for a, b in zip(path, path[1:]) if a and a != b]",
        each=_RIGHT_READ,
    ),
    _known(
        "the padding too",
        0.5,
        "The padding is read, too: of each string only its own frames count.",
        each="collapse(path)",
    ),
    _known(
        "one frame short",
        0.5,
        "The last frame of each string is left out.",
        each="collapse(path[:n - 1])",
    ),
    _known(
        "one frame more",
        0.5,
        "One frame of padding is read, too.",
        each="collapse(path[:n + 1])",
    ),
    _known(
        "all by the longest",
        0.5,
        "All strings are read as far as the longest: each has a length of its own.",
        each="collapse(path[:int(lengths.max())])",
    ),
    _known("not read", 0.5, "That is the path itself: read it with collapse.", each="path[:n]"),
    _known(
        "the worst",
        0.5,
        "Those are the least probable labels: the best one has the largest logarithm.",
        best="log_probs.argmin(dim=2).T.tolist()",
    ),
    _known(
        "without the blank",
        0.5,
        "The blank takes part, too: where it is best, the frame says nothing.",
        best="(log_probs[:, :, 1:].argmax(dim=2) + 1).T.tolist()",
    ),
    _known(
        "from zero",
        0.5,
        "The labels are one too small: they stay as they are, from 1 up.",
        each="[label - 1 for label in collapse(path[:n])]",
    ),
    _known(
        "frames as strings",
        0.5,
        "Frames are taken for strings: log_probs is (T, N, K), so a string is a column.",
        best="log_probs.argmax(dim=2).tolist()",
    ),
    _known(
        "the best string",
        0.5,
        "The argmax goes over the strings: the labels are the last axis, dim=2.",
        best="log_probs.argmax(dim=1).T.tolist()",
    ),
    _known(
        "the best frame",
        0.5,
        "The argmax goes over the frames: the labels are the last axis, dim=2.",
        best="log_probs.argmax(dim=0).tolist()",
    ),
    _known(
        "before a blank alone",
        0.5,
        "Only labels before a blank, or at the end, are said: another label ends a run, too.",
        collapse="[a for a, b in zip(path, [*path[1:], 0]) if a and b == 0]",
        each=_RIGHT_READ,
    ),
    _known(
        "after a blank alone",
        0.5,
        "Only labels after a blank, or at the beginning, are said: another label may stand there, too.",
        collapse="[b for a, b in zip([0, *path], path) if b and a == 0]",
        each=_RIGHT_READ,
    ),
    _known(
        "values for labels",
        0.5,
        "Those are the largest numbers: the labels are the places where they stand, argmax.",
        best="log_probs.amax(dim=2).T.tolist()",
    ),
    _known(
        "reshaped",
        0.5,
        "A reshape does not exchange axes, it mixes the strings: (T, N) is turned by .T.",
        best="log_probs.argmax(dim=2).reshape(log_probs.shape[1], -1).tolist()",
    ),
    _known(
        "sure frames alone",
        0.5,
        "A frame whose best label has less than a half is taken for a blank: the best one counts.",
        best="(log_probs.argmax(dim=2) * (log_probs.amax(dim=2) > math.log(0.5))).T.tolist()",
    ),
    _known(
        "silent strings left out",
        0.5,
        "A string that says nothing is missing: it has its place, as an empty list.",
        each="said",
        strings="zip(best, lengths.tolist()) if (said := collapse(path[:n]))",
    ),
    _known(
        "all in one list",
        0.5,
        "All strings are in one list: each has a list of its own.",
        each="label",
        strings="zip(best, lengths.tolist()) for label in collapse(path[:n])",
    ),
    _path_in_place(
        Known,
        "taken out on the way",
        "Places are taken out while the loop counts on, so it misses the label after each: build a new"
        " list.",
        "path = [*path]\n"
        "    for i, label in enumerate(path):\n"
        "        if i and label == path[i - 1]:\n"
        "            del path[i]\n"
        "    return [label for label in path if label]",
    ),
    _path_in_place(
        Mistake,
        "the path taken apart",
        "is the caller's own",
        "for i in range(len(path) - 1, -1, -1):\n"
        "        if path[i] == 0 or i and path[i] == path[i - 1]:\n"
        "            path.pop(i)\n"
        "    return path",
    ),
    _other("no return", 0, "is a return missing", collapse="None", each="None"),
]

_known, _other = variants(
    "label_error_rate",
    """
def edit_distance(said, heard):
    row = {first}
    for i, label in enumerate(said, 1):
        before, row = row, [{begin}]
        for j, other in enumerate(heard, 1):
            row.append({best})
    return {result}

def label_error_rate(said, heard):
    {rate}
""",
    first="list(range(len(heard) + 1))",
    begin="i",
    best="min(before[j] + 1, row[j - 1] + 1, before[j - 1] + (label != other))",
    result="row[-1]",
    rate="return sum(map(edit_distance, said, heard)) / sum(map(len, said))",
)


_RATE = """
def label_error_rate(said, heard):
    return sum(map(edit_distance, said, heard)) / sum(map(len, said))
"""


def _distance(name, says, code, points=0):
    whole = f"def edit_distance(said, heard):\n    {code}\n\n" + _RATE
    return Known("label_error_rate", name, points, says, whole)


_EDITS = [
    _known(
        "exchanging costs two",
        0,
        "To exchange a label is one edit, not two.",
        best="min(before[j] + 1, row[j - 1] + 1, before[j - 1] + 2 * (label != other))",
    ),
    _known(
        "never kept",
        0,
        "Two equal labels cost nothing: they are kept.",
        best="min(before[j], row[j - 1], before[j - 1]) + 1",
    ),
    _known(
        "always free",
        0,
        "To exchange a label costs one edit, unless the two are equal.",
        best="min(before[j] + 1, row[j - 1] + 1, before[j - 1])",
    ),
    _known(
        "nothing put in",
        0,
        "A label that was heard and not said costs an edit, too: it was put in.",
        best="min(before[j] + 1, before[j - 1] + (label != other))",
    ),
    _known(
        "nothing taken out",
        0,
        "A label that was said and not heard costs an edit, too: it was taken out.",
        best="min(row[j - 1] + 1, before[j - 1] + (label != other))",
    ),
    _known(
        "from zeros",
        0,
        "To make j labels out of nothing takes j edits: the first row is 0, 1, 2, …",
        first="[0] * (len(heard) + 1)",
    ),
    _known(
        "from zero each",
        0,
        "To take all of i labels out takes i edits: each row begins with i.",
        begin="0",
    ),
    _known(
        "the best of the last row",
        0,
        "The distance of the whole strings is the last number, not the least of its row.",
        result="min(row)",
    ),
    _distance(
        "place by place",
        "That compares place by place: one label put in at the front moves all others.",
        "return sum(a != b for a, b in itertools.zip_longest(said, heard))",
    ),
    _distance(
        "pairs alone",
        "That compares place by place, as far as the shorter string goes.",
        "return sum(a != b for a, b in zip(said, heard))",
    ),
    _distance(
        "as sets",
        "Which labels there are is not enough: order and number count.",
        "return len(set(said) ^ set(heard))",
    ),
    _distance(
        "neighbours change places",
        "Two neighbours that change places are two edits: that is no single one here.",
        "t = [[i + j for j in range(len(heard) + 1)] for i in range(len(said) + 1)]\n"
        "    for i in range(1, len(said) + 1):\n"
        "        for j in range(1, len(heard) + 1):\n"
        "            c = said[i - 1] != heard[j - 1]\n"
        "            t[i][j] = min(t[i-1][j] + 1, t[i][j-1] + 1, t[i-1][j-1] + c)\n"
        "            if i > 1 and j > 1 and said[i-1] == heard[j-2] and said[i-2] == heard[j-1]:\n"
        "                t[i][j] = min(t[i][j], t[i-2][j-2] + 1)\n"
        "    return t[-1][-1]",
        points=0.4,
    ),
    _distance(
        "matching blocks",
        "That takes the longest equal pieces first, which is not always the least number of edits.",
        "import difflib\n"
        "    codes = difflib.SequenceMatcher(None, said, heard, autojunk=False).get_opcodes()\n"
        "    return sum(max(b - a, d - c) for tag, a, b, c, d in codes if tag != 'equal')",
    ),
    _distance(
        "the longest common part",
        "That is the longer length less what both have in common: a label moves there for one edit.",
        "t = [[0] * (len(heard) + 1) for _ in range(len(said) + 1)]\n"
        "    for i, a in enumerate(said):\n"
        "        for j, b in enumerate(heard):\n"
        "            t[i + 1][j + 1] = t[i][j] + 1 if a == b else max(t[i][j + 1], t[i + 1][j])\n"
        "    return max(len(said), len(heard)) - t[-1][-1]",
    ),
    _distance(
        "rows that are one",
        "All rows of the table are one and the same list: [[0] * m] * n repeats it, it makes no new ones.",
        "t = [[0] * (len(heard) + 1)] * (len(said) + 1)\n"
        "    for i in range(len(said) + 1):\n"
        "        t[i][0] = i\n"
        "    t[0][:] = range(len(heard) + 1)\n"
        "    for i, a in enumerate(said, 1):\n"
        "        for j, b in enumerate(heard, 1):\n"
        "            t[i][j] = min(t[i-1][j] + 1, t[i][j-1] + 1, t[i-1][j-1] + (a != b))\n"
        "    return t[-1][-1]",
    ),
    *(
        _known(name, 0.6, says, rate=code)
        for name, says, code in (
            (
                "one long string",
                "All strings are joined into one: each is compared with what was heard for it alone.",
                "joined = [[*itertools.chain(*one)] for one in (said, heard)]\n"
                "    return edit_distance(*joined) / len(joined[0])",
            ),
            (
                "silent strings left out",
                "Strings in which nothing was said are left out: what was heard there are edits, too.",
                "return sum(edit_distance(a, b) for a, b in zip(said, heard) if a)"
                " / sum(map(len, said))",
            ),
            (
                "over both",
                "It is divided by the labels said and heard together: those that were said count.",
                "return sum(map(edit_distance, said, heard)) / sum(map(len, [*said, *heard]))",
            ),
            (
                "over the longer total",
                "It is divided by the larger of the two numbers of labels: those that were said count.",
                "return sum(map(edit_distance, said, heard))"
                " / max(sum(map(len, said)), sum(map(len, heard)))",
            ),
            (
                "whole numbers",
                "`//` leaves the fraction out: `/`.",
                "return sum(map(edit_distance, said, heard)) // sum(map(len, said))",
            ),
            (
                "rounded",
                "It is rounded: give it as it is.",
                "return round(sum(map(edit_distance, said, heard)) / sum(map(len, said)), 2)",
            ),
            (
                "the mean of rates",
                "That is the mean of each string's own rate: sum the edits, then divide once.",
                "return sum(edit_distance(a, b) / max(1, len(a)) for a, b in zip(said, heard))"
                " / len(said)",
            ),
            (
                "over what was heard",
                "It is divided by the labels that were heard: those that were said count.",
                "return sum(map(edit_distance, said, heard)) / sum(map(len, heard))",
            ),
            (
                "over the strings",
                "It is divided by the number of strings, not of labels.",
                "return sum(map(edit_distance, said, heard)) / len(said)",
            ),
            (
                "in per cent",
                "It is a share, 0.5, not per cent, 50.",
                "return 100 * sum(map(edit_distance, said, heard)) / sum(map(len, said))",
            ),
            (
                "wrong strings",
                "That is the share of strings with any error: count the edits.",
                "return sum(a != b for a, b in zip(said, heard)) / len(said)",
            ),
            (
                "at most one",
                "A rate may be above 1: nothing has to be cut off.",
                "return min(1.0, sum(map(edit_distance, said, heard)) / sum(map(len, said)))",
            ),
            (
                "over the longer",
                "It is divided by the longer of the two: those that were said count.",
                "return sum(map(edit_distance, said, heard))"
                " / sum(max(len(a), len(b)) for a, b in zip(said, heard))",
            ),
            (
                "the edits",
                "That is the sum of the edits: divide by the number of labels said.",
                "return sum(map(edit_distance, said, heard))",
            ),
            (
                "the share that is right",
                "That is the share that is right: the error rate is 1 minus it.",
                "return 1 - sum(map(edit_distance, said, heard)) / sum(map(len, said))",
            ),
        )
    ),
    _known(
        "as a share",
        0,
        "edit_distance is a count: only label_error_rate divides.",
        result="row[-1] / max(len(said), 1)",
        rate="return sum(map(edit_distance, said, heard)) / len(said)",
    ),
]

_known, _other = variants(
    "ctc_loss",
    """
def ctc_loss(log_probs, target):
    {given}
    repeats = sum(a == b for a, b in itertools.pairwise(target))
    if {none}:
        {infinite}
    places = torch.zeros(2 * len(target) + 1, dtype=torch.int64)
    places[1::2] = torch.tensor(target, dtype=torch.int64)
    {places}
    skips = torch.zeros(len(places), dtype=torch.bool)
    skips[2:] = {skips}
    low = {low}
    rest = log_probs.new_full((max(0, len(places) - {start}),), low)
    alpha = torch.cat([log_probs[0, places[:{start}]], rest])
    for frame in {frames}:
        one = F.pad(alpha, (1, 0), value=low)[:-1]
        two = F.pad(alpha, (2, 0), value=low)[: len(alpha)].masked_fill(~skips, low)
        alpha = {total}
    return {result}
""",
    given="",
    none="len(log_probs) < len(target) + repeats",
    infinite="return log_probs.new_tensor(torch.inf)",
    places="",
    skips="(places[2:] != 0) & (places[2:] != places[:-2])",
    low="-1e30",
    start="2",
    frames="log_probs[1:]",
    total="torch.logsumexp(torch.stack([alpha, one, two]), dim=0) + frame[places]",
    result="-torch.logsumexp(alpha[-2:], dim=0)",
)


def _place_by_place(name, says, places, ends=2, start=2, new="[*alpha]"):
    """A loss that goes from place to place with loops, as most learners write it."""
    code = f"""
def ctc_loss(log_probs, target):
    if len(log_probs) < len(target) + sum(a == b for a, b in itertools.pairwise(target)):
        return log_probs.new_tensor(torch.inf)
    places, low = {places}, log_probs.new_tensor(-1e30)
    alpha = [log_probs[0, p] if s < {start} else low for s, p in enumerate(places)]
    for frame in log_probs[1:]:
        new = {new}
        for s, place in enumerate(places):
            ways = [alpha[s], *alpha[max(0, s - 1) : s]]
            if s > 1 and place != 0 and place != places[s - 2]:
                ways.append(alpha[s - 2])
            new[s] = torch.logsumexp(torch.stack(ways), 0) + frame[place]
        alpha = new
    return -torch.logsumexp(torch.stack(alpha[-{ends}:]), 0)
"""
    return Known("ctc_loss", name, 0.7, says, code)


_CTC = [
    _known(
        "over equal labels too",
        1.4,
        "The blank between two equal labels may not be jumped over: without it they are one.",
        skips="places[2:] != 0",
    ),
    _known(
        "no jumps",
        0.7,
        "No path jumps over a blank: between two different labels it may.",
        skips="places[2:] == -1",
    ),
    _known(
        "jumps from everywhere",
        0.7,
        "Blanks are jumped to, too: over a label no path may go, or it would not be said.",
        skips="places[2:] >= 0",
    ),
    _known(
        "jumps over labels",
        0.7,
        "The jump goes over labels, to a blank: it is blanks that may be left out.",
        skips="places[2:] == 0",
    ),
    _known(
        "the last blank alone",
        0.7,
        "A path may also end at the last label, without a blank after it.",
        result="-alpha[-1]",
    ),
    _known(
        "the last label alone",
        0.7,
        "A path may also end at the blank after the last label.",
        result="-alpha[-2 if len(alpha) > 1 else -1]",
    ),
    _known(
        "the first blank alone",
        0.7,
        "A path may also begin at the first label, without a blank before it.",
        start="1",
    ),
    _known(
        "ends anywhere",
        0.7,
        "A path may not end anywhere: the last two places alone say the whole target.",
        result="-torch.logsumexp(alpha, dim=0)",
    ),
    _known(
        "the sign",
        0.5,
        "That is the logarithm itself: the loss is minus it.",
        result="torch.logsumexp(alpha[-2:], dim=0)",
    ),
    _known(
        "the probability",
        0.5,
        "That is the probability: the loss is minus its logarithm.",
        result="torch.logsumexp(alpha[-2:], dim=0).exp()",
    ),
    _known(
        "the best path",
        0.7,
        "That is the best path alone: the paths' probabilities are summed.",
        total="torch.stack([alpha, one, two]).amax(dim=0) + frame[places]",
        result="-alpha[-2:].amax(dim=0)",
    ),
    _known(
        "by length",
        0.7,
        "It is divided by the target's length, as nn.CTCLoss does with reduction='mean'.",
        result="-torch.logsumexp(alpha[-2:], dim=0) / max(1, len(target))",
    ),
    _known(
        "by frames",
        0.5,
        "It is divided by the number of frames: the loss is of the whole path.",
        result="-torch.logsumexp(alpha[-2:], dim=0) / len(log_probs)",
    ),
    _known(
        "the first frame twice",
        0.5,
        "The first frame counts twice: α of frame 0 is there before the loop.",
        frames="log_probs",
    ),
    _known(
        "the last frame missing",
        0.5,
        "The last frame is left out.",
        frames="log_probs[1:-1]",
    ),
    _known(
        "logarithms summed",
        0.5,
        "Logarithms are added, which multiplies: a sum of probabilities is their logsumexp.",
        total="torch.stack([alpha, one, two]).clamp_min(-99).sum(dim=0) + frame[places]",
    ),
    _known(
        "blank last",
        0.5,
        "The last label is taken for the blank: here it is label 0.",
        places="places[::2] = log_probs.shape[1] - 1",
        skips="(torch.arange(2, len(places)) % 2 == 1) & (places[2:] != places[:-2])",
    ),
    _known(
        "labels from zero",
        0.5,
        "The target's labels are moved by one: label k is column k.",
        places="places[1::2] -= 1",
        skips="(torch.arange(2, len(places)) % 2 == 1) & (places[2:] != places[:-2])",
    ),
    _known(
        "backwards in time",
        0.7,
        "The frames are gone through from the last to the first.",
        given="log_probs = log_probs.flip(0)",
    ),
    _known(
        "softmax twice",
        0.5,
        "The input holds logarithms of probabilities already: exp, softmax or log again are too much.",
        given="log_probs = log_probs.exp().log_softmax(dim=1)",
    ),
    _known(
        "with an axis",
        1.1,
        "The loss is one number: its axis of one member is too many.",
        result="-torch.logsumexp(alpha[-2:], dim=0)[None]",
    ),
    _known(
        "probabilities, not logarithms",
        1.8,
        "The product got too small for a float and became 0: keep α as a logarithm all the way.",
        given="log_probs = log_probs.exp()",
        low="0.0",
        total="(alpha + one + two) * frame[places]",
        result="-alpha[-2:].sum().log()",
    ),
    _known(
        "ends added",
        0.7,
        "The logarithms of the two ends are added, which multiplies them: logsumexp of the two.",
        result="-alpha[-2:].sum()",
    ),
    _known(
        "the likelier end",
        0.7,
        "That is the likelier of the two ends alone: paths may end at either, so both are summed.",
        result="-alpha[-2:].amax()",
    ),
    _known(
        "in bits",
        0.5,
        "It is in bits, with a logarithm to base 2: nats are asked for.",
        result="-torch.logsumexp(alpha[-2:], dim=0) / math.log(2)",
    ),
    _known(
        "begins anywhere",
        0.7,
        "A path may not begin anywhere: in the first frame it is at the first blank or label.",
        start="99",
    ),
    _known(
        "a step before the first frame",
        0.5,
        "A step is made before the first frame: in frame 0 α holds the first two places alone.",
        given="log_probs = torch.cat([0 * log_probs[:1], log_probs])",
    ),
    _known(
        "jumps to new labels alone",
        1.2,
        "The jump compares with the label just before, over one blank: one further back may be the same.",
        skips="(places[2:] != 0) & torch.tensor([p not in places[: i + 2].tolist()"
        " for i, p in enumerate(places[2:].tolist())], dtype=torch.bool)",
    ),
    _known(
        "a little before the logarithm",
        1.6,
        "A small number is added before the logarithm, which hides small probabilities: keep α as a"
        " logarithm.",
        result="-torch.log(alpha[-2:].exp().sum() + 1e-12)",
        infinite="return log_probs.new_tensor(-math.log(1e-12))",
    ),
    _place_by_place(
        "over what was just written",
        "α of the new frame is made of α of the new frame: go through the places from the last to the"
        " first, or make a new list.",
        "[0, *(q for label in target for q in (label, 0))]",
        new="alpha",
    ),
    _place_by_place(
        "no blanks around",
        "There are blanks between the labels alone: before the first and after the last, too.",
        "[q for label in target for q in (label, 0)][:-1] or [0]",
        ends=1,
        start=1,
    ),
    _place_by_place(
        "no blanks",
        "No path says a blank: the places are the labels with blanks around and between them.",
        "[*target] or [0]",
        ends=1,
        start=1,
    ),
    _other("minus infinity", 1.9, "has the gradient NaN", low="-torch.inf"),
    _other(
        "nothing for an empty target",
        2.3,
        "One path says an empty target",
        none="not target or len(log_probs) < len(target) + repeats",
        infinite="return log_probs.new_tensor(torch.inf if target else 0.0)",
    ),
    _other(
        "detached",
        1.9,
        "keep to tensors",
        result="torch.tensor(-torch.logsumexp(alpha[-2:], dim=0).item(), dtype=torch.double)",
    ),
    _other(
        "a float",
        0.3,
        "should be a torch tensor",
        result="-torch.logsumexp(alpha[-2:], dim=0).item()",
        infinite="return math.inf",
    ),
    _known(
        "zero where no path is",
        2.3,
        "Where no path says the target its probability is 0, and −log 0 is ∞, not 0.",
        infinite="return log_probs.new_tensor(0.0)",
    ),
    _other(
        "equal labels need no frame more",
        2.3,
        "two equal labels in a row need one more",
        none="len(log_probs) < len(target)",
    ),
    _other("very large", 2.3, "two equal labels in a row need one more", none="False"),
    _other(
        "an error where no path is",
        2.3,
        "is no error: its",
        infinite='raise ValueError("too long")',
    ),
    Mistake(
        "ctc_loss",
        "the library's",
        0,
        "uses torch.nn.functional.ctc_loss",
        """
def ctc_loss(log_probs, target):
    t = torch.tensor(target, dtype=torch.int64)
    return F.ctc_loss(log_probs, t, (len(log_probs),), (len(target),), reduction="sum")
""",
    ),
    *(
        Known("ctc_loss", f"by hand: {number}", 2.2, says, f"paths_of_aa = {number}")
        for number, says in (
            (3, "Those begin and end with an a: a blank may stand there, too."),
            (10, "So many say a single a: a blank has to part the two."),
            (1, "aa without a blank says a single a; and a blank may stand in other places."),
            (6, "That is two a's on any two of four frames: some have no blank between them."),
            (16, "That is all paths of a and blank: which of them say aa?"),
            (81, "That is all paths there are: which of them say aa?"),
        )
    ),
]

_known, _other = variants(
    "windows",
    """
def windows(prices, length, every=1):
    starts = {starts}
    return {rows}

def normalise(rows):
    logs = {logs}
    logs = logs - {middle}
    spread = {spread}
    flat = {flat}
    return {scaled}

def split_by_time(starts, length, cut):
    return {split}
""",
    starts="np.arange(0, len(prices) - length + 1, every)",
    rows="prices[starts[:, None] + np.arange(length)]",
    logs="np.log(rows)",
    middle="logs.mean(axis=1, keepdims=True)",
    spread="logs.std(axis=1, keepdims=True)",
    flat="np.ptp(rows, axis=1, keepdims=True) == 0",
    scaled="np.where(flat, 0.0, logs / np.where(flat, 1.0, spread))",
    split="starts + length <= cut, starts >= cut",
)
_WINDOWS = [
    _known(
        "the last missing",
        1.1,
        "The last whole window is missing: it begins on day N − length.",
        starts="np.arange(0, len(prices) - length, every)",
    ),
    _known(
        "each day",
        1.1,
        "One begins on every day: every says how many days lie between two beginnings.",
        starts="np.arange(0, len(prices) - length + 1)",
    ),
    _known(
        "side by side",
        1.1,
        "They stand side by side, without sharing days: every says where the next one begins.",
        starts="np.arange(0, len(prices) - length + 1, length)",
    ),
    _known(
        "from the end",
        1.1,
        "They are counted from the last day back: the first begins on day 0.",
        starts="np.arange(len(prices) - length, -1, -every)[::-1]",
    ),
    _known(
        "the first missing",
        1.1,
        "The window that begins on day 0 is missing.",
        starts="np.arange(every, len(prices) - length + 1, every)",
    ),
    _known(
        "every within",
        1.1,
        "The days of a window follow each other: every is for the beginnings alone.",
        starts="np.arange(0, len(prices) - every * (length - 1))",
        rows="prices[starts[:, None] + every * np.arange(length)]",
    ),
    _known(
        "one day long",
        1.1,
        "The windows are one day too long.",
        starts="np.arange(0, len(prices) - length, every)",
        rows="prices[starts[:, None] + np.arange(length + 1)]",
    ),
    _known(
        "upside down",
        1.1,
        "The days of each window are in reverse.",
        rows="prices[starts[:, None] + np.arange(length)][:, ::-1]",
    ),
    _known(
        "so many as fit side by side",
        1.1,
        "The last whole window is missing: it begins on day N − length.",
        starts="every * np.arange((len(prices) - length) // every)",
    ),
    _known(
        "days for prices",
        1.1,
        "Those are the numbers of the days: their prices are asked for.",
        rows="starts[:, None] + np.arange(length)",
    ),
    _known(
        "fewer prices first",
        1.1,
        "Days are left out before the windows are cut: the days of a window follow each other.",
        starts="np.arange(0, len(prices[::every]) - length + 1)",
        rows="prices[::every][starts[:, None] + np.arange(length)]",
    ),
    _known(
        "every across",
        1.1,
        "every leaves out days of each window: it leaves out windows, [::every].",
        starts="np.arange(0, len(prices) - length + 1)",
        rows="prices[starts[:, None] + np.arange(length)][:, ::every]",
    ),
    _other("as columns", 1.1, "transpose", rows="prices[starts[:, None] + np.arange(length)].T"),
    _other("a list", 1.1, "a NumPy array", rows="[list(prices[s : s + length]) for s in starts]"),
    _other(
        "parts too",
        1.1,
        "Only whole windows",
        starts="np.arange(0, len(prices), every)",
        rows="np.array([prices[s : s + length] for s in starts])",
    ),
    *(
        _known(name, 1.0, says, **changes)
        for name, says, changes in (
            ("prices as they are", "The logarithm is missing.", {"logs": "rows"}),
            (
                "by the first day",
                "Each window begins at 0: take off its mean, not its first price.",
                {"middle": "logs[:, :1]"},
            ),
            (
                "by the last day",
                "Each window ends at 0: take off its mean, not its last price.",
                {"middle": "logs[:, -1:]"},
            ),
            (
                "not scaled",
                "The mean is off; divide by each window's standard deviation, too.",
                {"spread": "np.ones((len(rows), 1))"},
            ),
            (
                "by the variance",
                "It is divided by the variance: the standard deviation is its root.",
                {"spread": "logs.var(axis=1, keepdims=True)"},
            ),
            (
                "not centred",
                "Each window's mean is still in it.",
                {"middle": "0 * rows"},
            ),
            (
                "by all windows",
                "Mean and deviation are of all windows together, which tells each about the others:"
                " each window by its own, axis=1.",
                {"middle": "logs.mean()", "spread": "logs.std()"},
            ),
            (
                "by day",
                "Mean and deviation go over the windows, day by day (axis=0): each window by its own,"
                " axis=1.",
                {
                    "middle": "logs.mean(axis=0)",
                    "spread": "logs.std(axis=0)",
                    "scaled": "logs / np.where(spread == 0, 1.0, spread)",
                },
            ),
            (
                "one day fewer",
                "It is divided by the deviation with L − 1 (ddof=1): np.std as it is.",
                {
                    "spread": "np.sqrt((logs**2).sum(axis=1, keepdims=True) / max(1, rows.shape[1] - 1))"
                },
            ),
            (
                "between 0 and 1",
                "That brings each window between 0 and 1: mean 0 and deviation 1 are asked for.",
                {
                    "middle": "logs.min(axis=1, keepdims=True)",
                    "spread": "logs.max(axis=1, keepdims=True)",
                },
            ),
            (
                "of one more",
                "That is the logarithm of 1 + price (log1p), which depends on the price's unit: np.log.",
                {"logs": "np.log1p(rows)"},
            ),
            (
                "the prices' deviation",
                "It is divided by the deviation of the prices: by that of their logarithms.",
                {"spread": "rows.std(axis=1, keepdims=True)"},
            ),
            (
                "the logarithm of the mean",
                "The logarithm of the mean is taken off: it is the mean of the logarithms.",
                {"middle": "np.log(rows.mean(axis=1, keepdims=True))"},
            ),
            (
                "one deviation for all",
                "The deviation is of all windows together, which tells each about the others: axis=1.",
                {"spread": "logs.std()"},
            ),
            (
                "one mean for all",
                "The mean is of all windows together, which tells each about the others: axis=1.",
                {"middle": "logs.mean()"},
            ),
            (
                "no columns",
                "Each row's mean goes to a column, not to its row: keepdims=True.",
                {
                    "middle": "logs.mean(axis=1)",
                    "spread": "logs.std(axis=1)",
                    "scaled": "logs / np.where(spread == 0, 1.0, spread)",
                },
            ),
            (
                "over the range",
                "It is divided by the range, highest less lowest: by the standard deviation.",
                {"spread": "np.ptp(logs, axis=1, keepdims=True)"},
            ),
            (
                "base ten and not scaled",
                "The logarithm is to base 10, and the deviation is not divided by.",
                {"logs": "np.log10(rows)", "spread": "np.ones((len(rows), 1))"},
            ),
        )
    ),
    _other(
        "NaN where flat",
        1.0,
        "should be all 0",
        scaled="logs / np.where(rows == rows[:, :1], spread, spread)",
    ),
    _other(
        "rounding where flat",
        1.0,
        "should be all 0",
        scaled="logs / np.where(spread == 0, 1e-300, spread)",
        middle="logs.mean(axis=1, keepdims=True) - 1e-17 * np.abs(logs)",
    ),
    *(
        _known(name, 0.9, says, split=code)
        for name, says, code in (
            (
                "trained across the cut",
                "Windows that begin before the cut and end after it are trained on: their last days"
                " belong to the test.",
                "starts < cut, starts >= cut",
            ),
            (
                "tested across the cut",
                "Windows that lie across the cut are tested on: their first days were trained on.",
                "starts + length <= cut, starts + length > cut",
            ),
            (
                "both across the cut",
                "Windows that lie across the cut are in both: they belong to neither.",
                "starts < cut, starts + length > cut",
            ),
            (
                "one window short",
                "A window of the days d to d + L − 1 that ends on the day before the cut may be"
                " trained on.",
                "starts + length < cut, starts >= cut",
            ),
            (
                "one day over",
                "A window is trained on whose last day is the cut: that is the first day of the test.",
                "starts + length - 1 <= cut, starts >= cut",
            ),
            (
                "from the day after",
                "The window that begins on the day of the cut is missing in the test.",
                "starts + length <= cut, starts > cut",
            ),
            (
                "the other way round",
                "The two are exchanged: first those to train on.",
                "starts >= cut, starts + length <= cut",
            ),
            (
                "by place",
                "It is told by a window's place in the list: by the day on which it begins, starts.",
                "np.arange(len(starts)) + length <= cut, np.arange(len(starts)) >= cut",
            ),
            (
                "sorted",
                "The windows are sorted first: the masks are in the order of starts.",
                "np.sort(starts) + length <= cut, np.sort(starts) >= cut",
            ),
            (
                "a gap before",
                "The training ends too early: a window may end on the day before the cut.",
                "starts + 2 * length <= cut, starts >= cut",
            ),
            (
                "tested by the end",
                "Tested is what ends after the cut: it has to begin on the cut or later.",
                "starts + length <= cut, starts + length >= cut",
            ),
            (
                "a gap after",
                "The test begins too late: a window may begin on the day of the cut.",
                "starts + length <= cut, starts >= cut + length",
            ),
        )
    ),
    _other(
        "places",
        0.9,
        "should have shape",
        split="np.flatnonzero(starts + length <= cut), np.flatnonzero(starts >= cut)",
    ),
    _other("one alone", 0.9, "a tuple of 2", split="starts + length <= cut"),
]

_known, _other = variants(
    "days_ahead",
    """
def days_ahead(feature, prices):
    before, most = feature(prices.copy()), {least}
    for day in {days}:
        for price in {tries}:
            changed = prices.copy()
            changed{at} = price
            same = {same}
            if not same.all():
                most = {most}
    return {result}
""",
    least="0",
    days="range(len(prices))",
    tries="(prices.min() / 3, 3 * prices.max())",
    at="[day]",
    same="np.isclose(feature(changed), before, rtol=1e-9, atol=0, equal_nan=True)",
    most="max(most, day - int(np.argmin(same)))",
    result="most",
)
_ONLY = "A price is only raised, so what moves with a falling price alone is not seen: try both."
_LEAKS = [
    _known("only raised", 0.9, _ONLY, tries="(3 * prices.max(),)"),
    _known(
        "only lowered",
        0.9,
        "A price is only lowered, so what moves with a rising price alone is not seen: try both.",
        tries="(prices.min() / 3,)",
    ),
    _known(
        "a little",
        0.9,
        "The price moves too little to become the highest or the lowest of all.",
        tries="(prices[day] * 1.001, prices[day] * 0.999)",
    ),
    _known(
        "the last day alone",
        1.0,
        "Only the last day's price is changed: some days look ahead, but not as far as that.",
        days="[len(prices) - 1]",
    ),
    _known(
        "the first day alone",
        0,
        "Only the first day's price is changed: nothing comes before it.",
        days="[0]",
    ),
    _known(
        "without the last day",
        0.5,
        "The last day's price is never changed: an earlier day's number may move with it alone.",
        days="range(len(prices) - 1)",
    ),
    _known(
        "a day in the middle",
        0.25,
        "Only a day in the middle is changed: each day has to have its turn.",
        days="[len(prices) // 2]",
    ),
    _known(
        "NaN moves",
        1.0,
        "NaN is not equal to NaN, so days without a number seem to move: equal_nan=True.",
        same="np.isclose(feature(changed), before, rtol=1e-9, atol=0)",
    ),
    _known(
        "NaN is no number",
        1.0,
        "NaN is not equal to NaN, so days without a number seem to move: equal_nan=True.",
        same="feature(changed) == before",
    ),
    _known(
        "too coarse",
        1.0,
        "The comparison is too coarse for what moves little: compare with rtol=1e-9 or less.",
        same="np.isclose(feature(changed), before, rtol=1e-2, equal_nan=True)",
    ),
    _known(
        "the latest day",
        0.15,
        "That is the latest day that moved: the earliest one tells how far ahead it looks.",
        most="max(most, day - int(np.flatnonzero(~same)[-1]))",
    ),
    _known(
        "how far back",
        0,
        "That is how far back it looks: the day that moved minus the day whose price was changed.",
        most="max(most, int(np.flatnonzero(~same)[-1]) - day)",
    ),
    _known(
        "how many",
        0,
        "That is how many days moved: it is asked how far before the changed price the first lies.",
        most="max(most, int((~same).sum()))",
    ),
    _known(
        "how many before",
        0.85,
        "That counts the days that moved before the changed one: the earliest tells how far.",
        most="max(most, int((~same[:day]).sum()))",
    ),
    _known(
        "yes or no",
        0,
        "It is told whether it looks ahead: the number of days is asked for.",
        result="int(most > 0)",
    ),
    _known(
        "one more",
        0,
        "That is one too many: a feature of the day itself looks 0 days ahead.",
        result="most + 1",
    ),
    _known(
        "the sign",
        0,
        "The sign is wrong: it is the changed day minus the day that moved.",
        result="-most",
    ),
    _known(
        "the last found",
        0.4,
        "That is of the last day that was changed, not the most of all.",
        most="day - int(np.argmin(same))",
    ),
    _known(
        "the least",
        0,
        "That is the least of all: the most is asked for.",
        least="len(prices)",
        most="min(most, day - int(np.argmin(same)))",
    ),
    _known(
        "twice and half",
        0.9,
        "Twice or half a price need be neither the highest nor the lowest of all.",
        tries="(prices[day] / 2, prices[day] * 2)",
    ),
    _known(
        "some price among them",
        0.9,
        "The new price lies among the others: one below all and one above all have to be tried.",
        tries="(prices.mean(),)",
    ),
    _known(
        "NaN for a price",
        0.9,
        "NaN for a price: no comparison with it is ever true. Try one below all and one above all.",
        tries="(np.nan,)",
    ),
    Known(
        "days_ahead",
        "where nothing moved",
        0,
        "argmin and argmax give 0 where nothing moved at all: ask first whether anything did.",
        """
def days_ahead(feature, prices):
    before, most = feature(prices.copy()), 0
    for day in range(len(prices)):
        for price in (prices.min() / 3, 3 * prices.max()):
            changed = prices.copy()
            changed[day] = price
            same = np.isclose(feature(changed), before, rtol=1e-9, atol=0, equal_nan=True)
            most = max(most, day - int(np.argmin(same)))
    return most
""",
    ),
    _known(
        "the first that is found",
        0.4,
        "That is of the first day that was found to look ahead: the most of all days is asked for.",
        most="most or max(0, day - int(np.argmin(same)))",
    ),
    _known(
        "added up",
        0,
        "The days are added up: the most of all is asked for.",
        most="most + max(0, day - int(np.argmin(same)))",
    ),
    _known(
        "from the day before on",
        0,
        "All prices after a day are changed, so what moves first tells that, not how far it looks: one"
        " day at a time.",
        at="[day + 1 :]",
    ),
    _known(
        "up to the day",
        0,
        "All prices up to a day are changed: what moves then may move with an earlier one.",
        at="[: day + 1]",
    ),
    _known(
        "which day",
        0,
        "That is the day that was changed: how many days before it the first one moved is asked for.",
        most="max(most, day)",
    ),
    _known(
        "NaN left out",
        1.1,
        "Where NaNs are left out, the others get other places: compare with equal_nan=True.",
        same="(lambda a: np.isclose(a[~np.isnan(a)], before[~np.isnan(before)], rtol=1e-9, atol=0))"
        "(feature(changed))",
    ),
    _known(
        "less than nothing",
        1.0,
        "It may be below 0, or tell of a feature that never moves: what never looks ahead is 0.",
        least="-len(prices)",
    ),
    _other("True", 0, "should be a number", result="most > 0"),
    _other("in place", 0, "change a copy", at="[day] = prices[day]"),
]

_known, _other = variants(
    "fast_weights_step",
    """
def fast_weights_step(x, h, A, slow, decay, rate, inner=1):
    W, C, b = slow
    {before}
    new_A = {memory}
    z = {z}
    new = {first}
    for _ in range({rounds}):
        new = {better}
    return {result}
""",
    before="",
    memory="decay * A + rate * h[:, :, None] * h[:, None, :]",
    z="h @ W.T + x @ C.T + b",
    first="torch.tanh(z)",
    rounds="inner",
    better="torch.tanh(F.layer_norm(z + (new_A @ new[:, :, None])[:, :, 0], new.shape[1:]))",
    result="new, new_A",
)
_AH = "(new_A @ new[:, :, None])[:, :, 0]"
_ASKED = (
    "No gradient comes back through the memory that the inner loop asks: it is detached there, or was"
    " made without a graph."
)
_FAST = [
    _known(
        "no decay",
        0.35,
        "The memory does not fade.",
        memory="A + rate * h[:, :, None] * h[:, None, :]",
    ),
    _known(
        "no rate", 0.35, "The rate is missing.", memory="decay * A + h[:, :, None] * h[:, None, :]"
    ),
    _known(
        "all fades",
        0.35,
        "What is written new fades at once: only the old memory is multiplied by the decay.",
        memory="decay * (A + rate * h[:, :, None] * h[:, None, :])",
    ),
    _known(
        "rate for decay",
        0.35,
        "Decay and rate are exchanged.",
        memory="rate * A + decay * h[:, :, None] * h[:, None, :]",
    ),
    _known(
        "as a mean",
        0.35,
        "That is a running mean, 1 − decay: the rate is a number of its own.",
        memory="decay * A + (1 - decay) * h[:, :, None] * h[:, None, :]",
    ),
    _known(
        "one memory for all",
        0.35,
        "One memory is written by all sequences: each has its own, h[:, :, None] * h[:, None, :].",
        memory="decay * A + rate * (h.T @ h)",
    ),
    _known(
        "number by number",
        0.35,
        "h is multiplied with itself number by number: h hᵀ is all pairs, (H, H).",
        memory="decay * A + rate * torch.diag_embed(h * h)",
    ),
    _known(
        "the new state written",
        0.35,
        "The new state is written into the memory: it is the one that came in, h.",
        memory="decay * A",
        result="new, decay * A + rate * new[:, :, None] * new[:, None, :]",
    ),
    _known(
        "the old memory asked",
        0.85,
        "The inner loop asks the old memory: first the state that came in is written into it.",
        better="torch.tanh(F.layer_norm(z + (A @ new[:, :, None])[:, :, 0], new.shape[1:]))",
    ),
    _known(
        "the old memory returned", 0.85, "The memory is returned as it came in.", result="new, A"
    ),
    _known("no bias", 0.5, "The bias b is missing.", z="h @ W.T + x @ C.T"),
    _known(
        "W not turned",
        0.5,
        "W is multiplied from the wrong side: rows, so h @ W.T.",
        z="h @ W + x @ C.T + b",
    ),
    _known("no input", 0.5, "The input x is missing.", z="h @ W.T + b"),
    _known(
        "ReLU",
        0.5,
        "f is tanh here, not ReLU.",
        first="torch.relu(z)",
        better=f"torch.relu(F.layer_norm(z + {_AH}, new.shape[1:]))",
    ),
    _known(
        "ReLU in the loop",
        0.85,
        "In the inner loop, too, f is tanh, not ReLU.",
        better=f"torch.relu(F.layer_norm(z + {_AH}, new.shape[1:]))",
    ),
    _known("first without tanh", 0.5, "The first state is f(z), with the tanh.", first="z"),
    _known(
        "first normalised",
        0.5,
        "The first state is f(z), without the layer normalisation.",
        first="torch.tanh(F.layer_norm(z, z.shape[1:]))",
    ),
    _known(
        "from the old state",
        0.5,
        "The inner loop begins with the state that came in: it begins with f(z).",
        first="h",
    ),
    *(
        _known(name, 0.85, says, **changes)
        for name, says, changes in (
            (
                "no normalisation",
                "The layer normalisation is missing.",
                {"better": f"torch.tanh(z + {_AH})"},
            ),
            (
                "no tanh in the loop",
                "The tanh of the inner loop is missing.",
                {"better": f"F.layer_norm(z + {_AH}, new.shape[1:])"},
            ),
            (
                "tanh inside",
                "The tanh comes before the layer normalisation: it comes after it.",
                {"better": f"F.layer_norm(torch.tanh(z + {_AH}), new.shape[1:])"},
            ),
            (
                "without z",
                "z is missing in the inner loop: the memory adds to it.",
                {"better": f"torch.tanh(F.layer_norm({_AH}, new.shape[1:]))"},
            ),
            (
                "memory alone normalised",
                "Only A h is normalised: the sum z + A h is.",
                {"better": f"torch.tanh(z + F.layer_norm({_AH}, new.shape[1:]))"},
            ),
            (
                "over sequences",
                "The mean and the deviation go over the sequences: over the units of each row.",
                {
                    "better": f"torch.tanh((lambda s: (s - s.mean(0)) / (s.var(0, correction=0)"
                    f" + 1e-5).sqrt())(z + {_AH}))"
                },
            ),
            (
                "all in one",
                "The mean and the deviation are of all sequences together: over the units of each row.",
                {"better": f"torch.tanh(F.layer_norm(z + {_AH}, z.shape))"},
            ),
            (
                "once",
                "There is always one round: inner says how many.",
                {"rounds": "min(inner, 1)"},
            ),
            (
                "the state asked again",
                "The memory is asked with the state that came in: each round asks with the last one.",
                {
                    "better": "torch.tanh(F.layer_norm(z + (new_A @ h[:, :, None])[:, :, 0],"
                    " new.shape[1:]))"
                },
            ),
            (
                "added up",
                "Each round adds to the last: z stays as it is, and A h is added to it anew.",
                {"better": f"torch.tanh(F.layer_norm(new + {_AH}, new.shape[1:]))"},
            ),
            (
                "W again",
                "W is applied again in the inner loop, to the new state: z is computed once.",
                {
                    "better": f"torch.tanh(F.layer_norm(new @ W.T + x @ C.T + b + {_AH},"
                    " new.shape[1:]))"
                },
            ),
            (
                "one sum for all rounds",
                "z grows from round to round: A h is added to the z of the beginning.",
                {"better": f"torch.tanh(F.layer_norm(z := z + {_AH}, [len(W)]))"},
            ),
            (
                "each round on top",
                "Each round's state is added to the one before: it takes its place.",
                {"better": f"new + torch.tanh(F.layer_norm(z + {_AH}, new.shape[1:]))"},
            ),
            (
                "the mean left in",
                "The mean is left in: layer normalisation takes it off before it divides.",
                {
                    "better": "torch.tanh((lambda s: s / (s.pow(2).mean(1, keepdim=True) + 1e-5)"
                    f".sqrt())(z + {_AH}))"
                },
            ),
            (
                "the deviation left in",
                "The mean is taken off, and that is all: layer normalisation divides by the deviation, too.",
                {
                    "better": f"torch.tanh((lambda s: s - s.mean(1, keepdim=True))(z + {_AH}))",
                },
            ),
            (
                "by the variance",
                "It is divided by the variance: layer normalisation divides by its root.",
                {
                    "better": "torch.tanh((lambda s: (s - s.mean(1, keepdim=True)) / (s.var(1,"
                    f" keepdim=True, correction=0) + 1e-5))(z + {_AH}))"
                },
            ),
            (
                "L minus one",
                "The deviation is taken with H − 1: layer normalisation divides by H.",
                {
                    "better": f"torch.tanh((lambda s: (s - s.mean(1, keepdim=True)) / (s.var(1,"
                    f" keepdim=True) + 1e-5).sqrt())(z + {_AH}))"
                },
            ),
        )
    ),
    _known("one round more", 0.5, "There is one round too many.", rounds="inner + 1"),
    _known(
        "the memory asked without a graph",
        1.35,
        _ASKED,
        better="torch.tanh(F.layer_norm(z + (new_A.detach() @ new[:, :, None])[:, :, 0],"
        " new.shape[1:]))",
    ),
    _known("one round fewer", 0.85, "There is one round too few.", rounds="inner - 1"),
    _known(
        "the old state returned",
        0.5,
        "The state that came in is returned: it is the new one.",
        result="h, new_A",
    ),
    _known(
        "sigmoid",
        0.5,
        "f is tanh here, not the sigmoid.",
        first="torch.sigmoid(z)",
        better=f"torch.sigmoid(F.layer_norm(z + {_AH}, new.shape[1:]))",
    ),
    _known(
        "written each round",
        0.35,
        "The memory is written in each round of the inner loop: once, with the state that came in.",
        better="[new := torch.tanh(F.layer_norm(z + (new_A @ new[:, :, None])[:, :, 0], new.shape[1:])),"
        " new_A := decay * new_A + rate * new[:, :, None] * new[:, None, :]][0]",
    ),
    _known("no state", 0.5, "W h, of the state that came in, is missing.", z="x @ C.T + b"),
    _known(
        "tanh twice",
        0.85,
        "z is W h + C x + b, without the tanh: that makes the first state of it.",
        z="torch.tanh(h @ W.T + x @ C.T + b)",
        first="z",
    ),
    _known(
        "the memory in the first state",
        0.5,
        "The first state is f(z): the memory comes in with the inner loop.",
        first="torch.tanh(z + (new_A @ h[:, :, None])[:, :, 0])",
    ),
    *(
        _known(name, points, says, memory=code)
        for name, points, says, code in (
            (
                "the rate twice",
                0.35,
                "The rate is there twice, with each of the two h: once.",
                "decay * A + (rate * h)[:, :, None] * (rate * h)[:, None, :]",
            ),
            (
                "the old memory lost",
                0.35,
                "The old memory is lost: it fades, and the new is added.",
                "rate * h[:, :, None] * h[:, None, :]",
            ),
            (
                "what is left for what fades",
                0.35,
                "The old memory is multiplied by 1 − decay: by decay, so that at 1 nothing fades.",
                "(1 - decay) * A + rate * h[:, :, None] * h[:, None, :]",
            ),
            (
                "one number for each row",
                0.35,
                "h is multiplied with itself to one number, hᵀ h: h hᵀ is all pairs, (H, H).",
                "decay * A + rate * (h * h).sum(dim=1)[:, None, None]",
            ),
            (
                "the memory without a graph",
                1.35,
                _ASKED,
                "(decay * A + rate * h[:, :, None] * h[:, None, :]).detach()",
            ),
        )
    ),
    _other(
        "changed in place",
        0,
        "in place",
        before="A *= decay; A += rate * h[:, :, None] * h[:, None]",
        memory="A",
    ),
    _known(
        "cut off",
        1.35,
        "No gradient comes back: the result is detached, or was made without a graph.",
        result="new.detach(), new_A.detach()",
    ),
    _known(
        "the memory cut off",
        1.35,
        "No gradient comes back through the memory: it is detached.",
        result="new, new_A.detach()",
    ),
    _other("the state alone", 0, "a tuple of 2", result="new"),
    _known(
        "exchanged",
        0,
        "The two are exchanged: first the state, then the memory.",
        result="new_A, new",
    ),
]

_known, _other = variants(
    "attend_to_past",
    """
def attend_to_past(past, query, decay, rate):
    ages = {ages}
    weights = {weights}
    return {sum}

def softmax_attention(past, query):
    scores = {scores}
    return {soft}
""",
    ages="torch.arange(past.shape[1] - 1, -1, -1, dtype=past.dtype)",
    weights="rate * decay**ages * (past @ query[:, :, None])[:, :, 0]",
    sum="(weights[:, None] @ past)[:, 0]",
    scores="(past @ query[:, :, None])[:, :, 0] / math.sqrt(past.shape[2])",
    soft="(scores.softmax(dim=1)[:, None] @ past)[:, 0]",
)
_ATTEND = [
    *(
        _known(name, 0.45, says, **changes)
        for name, says, changes in (
            (
                "the newest fades most",
                "The newest state has faded most: it is the oldest one, in place 0, that has.",
                {"ages": "torch.arange(past.shape[1], dtype=past.dtype)"},
            ),
            (
                "one age more",
                "All have faded once too often: the newest state has not faded at all.",
                {"ages": "torch.arange(past.shape[1], 0, -1, dtype=past.dtype)"},
            ),
            ("no fading", "The decay is missing.", {"ages": "0 * past[0, :, 0]"}),
            (
                "no rate",
                "The rate is missing.",
                {"weights": "decay**ages * (past @ query[:, :, None])[:, :, 0]"},
            ),
            (
                "rate as often as decay",
                "The rate is raised to a power, too: it stands once before each state.",
                {"weights": "(rate * decay) ** ages * (past @ query[:, :, None])[:, :, 0]"},
            ),
            (
                "decay times age",
                "The decay is multiplied by the age: it is raised to that power.",
                {"weights": "rate * decay * ages * (past @ query[:, :, None])[:, :, 0]"},
            ),
            (
                "as a softmax",
                "Here the weights are the products themselves, no softmax of them.",
                {
                    "weights": "rate * decay**ages * (past @ query[:, :, None])[:, :, 0]"
                    ".softmax(dim=1)"
                },
            ),
            (
                "scaled",
                "Nothing is divided by √H here: that belongs to the softmax.",
                {
                    "weights": "rate * decay**ages * (past @ query[:, :, None])[:, :, 0]"
                    " / math.sqrt(past.shape[2])"
                },
            ),
            (
                "a mean",
                "That is a mean over the states: a sum is asked for.",
                {"sum": "(weights[:, None] @ past)[:, 0] / past.shape[1]"},
            ),
            (
                "resemblance forgotten",
                "The states come back whatever the query: each is weighted by its product with it.",
                {"weights": "rate * decay**ages * torch.ones_like(past[:, :, 0])"},
            ),
            (
                "the query weighted",
                "What comes back are the past states, not the query.",
                {"sum": "weights.sum(dim=1, keepdim=True) * query"},
            ),
        )
    ),
    *(
        _known(name, 0.45, says, **changes)
        for name, says, changes in (
            (
                "summing to one",
                "The weights are divided by their sum: here they are as they are.",
                {"sum": "(weights[:, None] @ past)[:, 0] / weights.sum(dim=1, keepdim=True)"},
            ),
            (
                "cosine",
                "The lengths of states and query are divided out: h · q is the product itself.",
                {
                    "weights": "rate * decay**ages * F.cosine_similarity(past, query[:, None], dim=2)"
                },
            ),
            (
                "faded twice",
                "The states fade twice, as keys and as values: λ stands once before each h (h · q).",
                {"weights": "rate * decay**(2 * ages) * (past @ query[:, :, None])[:, :, 0]"},
            ),
            (
                "the rate twice",
                "The rate is there twice: once.",
                {"weights": "rate**2 * decay**ages * (past @ query[:, :, None])[:, :, 0]"},
            ),
            (
                "without the newest",
                "The newest state is left out: it is in the memory, too, and has not faded.",
                {"sum": "(weights[:, None, :-1] @ past[:, :-1])[:, 0]"},
            ),
            (
                "the newest alone",
                "That is the newest state alone: all of them are summed.",
                {"sum": "weights[:, -1:] * past[:, -1]"},
            ),
            (
                "by what is left",
                "The power is of 1 − decay: of decay itself, so that at 1 nothing fades.",
                {"weights": "rate * (1 - decay) ** ages * (past @ query[:, :, None])[:, :, 0]"},
            ),
            (
                "e to the minus",
                "It fades by e to the −decay: each step multiplies by decay.",
                {
                    "weights": "rate * torch.exp(-decay * ages)"
                    " * (past @ query[:, :, None])[:, :, 0]"
                },
            ),
            (
                "all as old",
                "All have faded alike, by the number of states: each by its own age.",
                {"ages": "past.shape[1] - 1 + 0 * past[0, :, 0]"},
            ),
            (
                "unit by unit",
                "Each unit is multiplied with its own of the query: their sum, h · q, weights the state.",
                {"sum": "((rate * decay**ages)[:, None] * past * query[:, None]).sum(dim=1)"},
            ),
        )
    ),
    _other("the weights", 0.45, "should have shape", sum="weights"),
    *(
        _known(name, 0.55, says, **changes)
        for name, says, changes in (
            (
                "not divided",
                "√H is missing: the products are divided by it before the softmax.",
                {"scores": "(past @ query[:, :, None])[:, :, 0]"},
            ),
            (
                "by H",
                "It is divided by H: its root is meant.",
                {"scores": "(past @ query[:, :, None])[:, :, 0] / past.shape[2]"},
            ),
            (
                "by the root of t",
                "It is divided by the root of how many states there are: H is the states' size.",
                {"scores": "(past @ query[:, :, None])[:, :, 0] / math.sqrt(past.shape[1])"},
            ),
            (
                "times the root",
                "It is multiplied by √H, not divided.",
                {"scores": "(past @ query[:, :, None])[:, :, 0] * math.sqrt(past.shape[2])"},
            ),
            (
                "over the batch",
                "The softmax goes over the sequences: over the past states of each, dim=1.",
                {"soft": "(scores.softmax(dim=0)[:, None] @ past)[:, 0]"},
            ),
            (
                "no softmax",
                "The softmax is missing.",
                {"soft": "(scores[:, None] @ past)[:, 0]"},
            ),
            (
                "exp alone",
                "The weights do not sum to 1: exp alone is no softmax.",
                {"soft": "(scores.exp()[:, None] @ past)[:, 0]"},
            ),
            (
                "divided after",
                "√H divides the weights after the softmax: it belongs before it.",
                {
                    "scores": "(past @ query[:, :, None])[:, :, 0]",
                    "soft": "(scores.softmax(dim=1)[:, None] @ past)[:, 0] / math.sqrt(past.shape[2])",
                },
            ),
            (
                "over one score",
                "The softmax goes over an axis of one number, so that all weights are 1: over the states.",
                {"soft": "past.sum(dim=1)"},
            ),
            (
                "all alike",
                "All states weigh the same, whatever the query: by the softmax of h · q / √H.",
                {"soft": "past.mean(dim=1)"},
            ),
            (
                "over the units",
                "The softmax goes over the units: first h · q, one score for each past state.",
                {
                    "soft": "((past * query[:, None] / math.sqrt(past.shape[2])).softmax(2)"
                    " * past).sum(1)"
                },
            ),
            (
                "unit by unit",
                "Each unit has a softmax of its own: first h · q, one score for each past state.",
                {
                    "soft": "((past * query[:, None] / math.sqrt(past.shape[2])).softmax(1)"
                    " * past).sum(1)"
                },
            ),
            (
                "its logarithm",
                "Those are the softmax's logarithms: the weights are the softmax itself.",
                {"soft": "(scores.log_softmax(dim=1)[:, None] @ past)[:, 0]"},
            ),
            (
                "cosine",
                "The lengths of states and query are divided out: h · q is the product itself.",
                {
                    "scores": "F.cosine_similarity(past, query[:, None], dim=2) / past.shape[2] ** 0.5"
                },
            ),
            (
                "the unlike",
                "States that are unlike the query weigh most: the sign of the scores is turned.",
                {"scores": "(past @ query[:, :, None])[:, :, 0] / -math.sqrt(past.shape[2])"},
            ),
            (
                "sigmoid",
                "The weights do not sum to 1: that is the sigmoid of each score, no softmax.",
                {"soft": "(scores.sigmoid()[:, None] @ past)[:, 0]"},
            ),
            (
                "over their sum",
                "The scores are divided by their sum, without exp: some weights are below 0.",
                {"soft": "((scores / scores.sum(dim=1, keepdim=True))[:, None] @ past)[:, 0]"},
            ),
            (
                "softmax twice",
                "The softmax is taken twice.",
                {"soft": "(scores.softmax(dim=1).softmax(dim=1)[:, None] @ past)[:, 0]"},
            ),
            (
                "by the root of N",
                "It is divided by the root of how many sequences there are: H is the states' size.",
                {"scores": "(past @ query[:, :, None])[:, :, 0] / math.sqrt(len(past))"},
            ),
            (
                "over the whole batch",
                "One softmax goes over all sequences together: over the states of each, dim=1.",
                {"soft": "(scores.flatten().softmax(0).view_as(scores)[:, None] @ past)[:, 0]"},
            ),
            (
                "the best alone",
                "That is the most alike state alone: all of them, by their softmax.",
                {"soft": "past[torch.arange(len(past)), scores.argmax(dim=1)]"},
            ),
        )
    ),
    _other("the softmax's weights", 0.55, "should have shape", soft="scores.softmax(dim=1)"),
    _other(
        "PyTorch's",
        0,
        "uses torch.nn.functional.scaled_dot_product_attention",
        soft="F.scaled_dot_product_attention(query[:, None], past, past)[:, 0]",
    ),
]

MISTAKES = Table(
    sys.modules[__name__],
    [*_GREEDY, *_EDITS, *_CTC, *_WINDOWS, *_LEAKS, *_FAST, *_ATTEND],
)
