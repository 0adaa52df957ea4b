"""The answers of lab 08: the right ones, by the lab's own names, and what people get wrong."""

import copy
import heapq
import sys

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from grading.checks.mistakes import Known, Mistake, Table, causes, variants
from utils import compressed


def prune(weights, share):
    mask = np.ones(weights.size, bool)
    mask[np.argsort(abs(weights), axis=None, kind="stable")[: round(share * weights.size)]] = False
    return mask.reshape(weights.shape)


def masked_step(network, masks, optimizer, x, y):
    optimizer.zero_grad()
    loss = F.cross_entropy(network(x), y)
    loss.backward()
    optimizer.step()
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            if name in masks:
                parameter *= masks[name]
    return loss.item()


def share_weights(weights, bits):
    codes, codebook = np.zeros(weights.shape, np.int64), np.zeros(2**bits, weights.dtype)
    values = weights[weights != 0]
    if values.size:
        centres = np.linspace(values.min(), values.max(), 2**bits - 1)
        codebook[1:], nearest = moved(values, centres)
        codes[weights != 0] = nearest + 1
    return codes, codebook


def moved(values, centres, rounds=10_000):
    """k-means from these centres: where they end, and the nearest one of each value."""
    centres, nearest = centres.astype(float), abs(values[:, None] - centres).argmin(axis=1)
    for _ in range(rounds):
        for k in range(len(centres)):
            if (nearest == k).any():
                centres[k] = values[nearest == k].mean()
        before, nearest = nearest, abs(values[:, None] - centres).argmin(axis=1)
        if np.array_equal(before, nearest):
            break
    return centres, nearest


def codebook_gradient(gradient, codes, size):
    sums = np.bincount(codes.ravel(), gradient.ravel(), minlength=size)
    sums[0] = 0
    return sums


def huffman(counts):
    words = [""] * len(counts)
    heap = [(count, symbol, [symbol]) for symbol, count in enumerate(counts) if count]
    if len(heap) == 1:
        words[heap[0][1]] = "0"
    heapq.heapify(heap)
    while len(heap) > 1:
        (count, first, members), (more, _, others) = heapq.heappop(heap), heapq.heappop(heap)
        for bit, some in (("0", members), ("1", others)):
            for symbol in some:
                words[symbol] = bit + words[symbol]
        heapq.heappush(heap, (count + more, first, members + others))
    return words


def encode(symbols, words):
    if any(not words[symbol] for symbol in symbols):
        raise ValueError("a symbol has no word")
    return "".join(words[symbol] for symbol in symbols)


def decode(bits, words):
    symbols, word = [], ""
    for bit in bits:
        word += bit
        if word in words:
            symbols.append(words.index(word))
            word = ""
    if word:
        raise ValueError("cut short")
    return symbols


def entries(codes, gap_bits):
    gaps, stored, zeros = [], [], 0
    for code in codes.ravel().tolist():
        if code == 0:
            zeros += 1
            continue
        while zeros >= 2**gap_bits:
            gaps.append(2**gap_bits - 1)
            stored.append(0)
            zeros -= 2**gap_bits
        gaps.append(zeros)
        stored.append(code)
        zeros = 0
    return gaps, stored


def compressed_bits(layers, gap_bits):
    """That of the file that the lab's writer writes."""
    own = {"entries": entries, "huffman": huffman, "encode": encode}
    return 8 * len(compressed.pack(layers, gap_bits, **own))


def bits(layers, gap_bits):
    """The size before the last byte is filled up, counted piece by piece."""
    total = 8
    for codes, codebook, bias in layers:
        total += 104 + 32 * (len(codebook) - 1) + 32 * len(bias)
        kinds = 2**gap_bits, len(codebook)
        for symbols, size in zip(entries(codes, gap_bits), kinds, strict=True):
            words = huffman([symbols.count(symbol) for symbol in range(size)])
            total += 5 * size + sum(len(words[symbol]) for symbol in symbols)
    return total


def fold_batch_norm(conv, norm):
    if norm.training:
        raise ValueError("norm is in training mode")
    folded = copy.deepcopy(conv)
    with torch.no_grad():
        factor = norm.weight / torch.sqrt(norm.running_var + norm.eps)
        bias = 0 if conv.bias is None else conv.bias
        folded.weight = nn.Parameter(conv.weight * factor[:, None, None, None])
        folded.bias = nn.Parameter((bias - norm.running_mean) * factor + norm.bias)
    return folded


zero_by_hand = -78


def calibrate(x, per_row=False):
    axis = 1 if per_row else None
    low = np.minimum(x.min(axis=axis, keepdims=True), 0)
    high = np.maximum(x.max(axis=axis, keepdims=True), 0)
    s = np.where(low == high, 1, (high - low) / 255)
    return s, np.where(low == high, 0, np.round(-128 - low / s)).astype(np.int64)


def quantize(x, s, z):
    return np.clip(np.round(x / s) + z, -128, 127).astype(np.int8)


def accumulate(q_x, z_x, q_w, z_w):
    x, w = q_x.astype(np.int64) - z_x, q_w.astype(np.int64) - z_w
    return (x @ w.T).astype(np.int32)


def quantized_linear(x, s_x, z_x, q_w, s_w, z_w, b):
    return s_x * s_w.T * accumulate(quantize(x, s_x, z_x), z_x, q_w, z_w) + b


caffe_fixed = 15 - 52 / 15
what_went = "a"


def latency_line(n, t):
    away = n - n.mean()
    each = (away * t).sum() / (away * away).sum()
    return float(t.mean() - each * n.mean()), float(each)


def choose_batch(fixed, each, limit):
    return max(0, int((limit - fixed) // each))


# ------------------------------------------------------------------------------------- pruning

_mask, _mask_otherwise = variants(
    "prune",
    """
def prune(weights, share):
    order = np.argsort({key}, axis=None, kind="stable"){turned}
    mask = np.{begin}(weights.size, {dtype})
    mask[order[: {count}]] = {value}
    return {result}
""",
    key="abs(weights)",
    turned="",
    begin="ones",
    dtype="bool",
    count="round(share * weights.size)",
    value="False",
    result="mask.reshape(weights.shape)",
)
_step, _step_otherwise = variants(
    "prune",
    """
def masked_step(network, masks, optimizer, x, y):
    {first}
    {zero}
    loss = {loss}
    loss.backward()
    {before}
    optimizer.step()
    {after}
    return {result}

def _masked(network, masks):
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            if name in masks:
                parameter *= masks[name]

def _gradients(network, masks):
    for name, parameter in network.named_parameters():
        if name in masks:
            parameter.grad *= masks[name]
""",
    first="",
    zero="optimizer.zero_grad()",
    loss="F.cross_entropy(network(x), y)",
    before="",
    after="_masked(network, masks)",
    result="loss.item()",
)
_BACK = (
    "Pruned weights came back: what the optimizer remembers, momentum, moves them even where the"
    " gradient is 0. Set them to 0 after optimizer.step()."
)
_AROUND = "That is the mask the wrong way round: the smallest go, and True is for what is kept."
_PRUNE = [
    Known(
        "prune",
        "a percentile",
        0.5,
        "np.percentile takes 0 to 100, and `share` is from 0 to 1.",
        "def prune(weights, share): return abs(weights) > np.percentile(abs(weights), share)",
    ),
    Known(
        "prune",
        "compared with the share",
        0.5,
        "Magnitudes are compared with the share itself: it is a share of the number of weights.",
        "def prune(weights, share): return abs(weights) > share",
    ),
    _mask(
        "a share of the rows",
        0.5,
        "The count is one of the rows: n is the number of all weights, weights.size.",
        count="round(share * len(weights))",
    ),
    _step(
        "nll_loss",
        0.75,
        "F.nll_loss takes logarithms of probabilities; F.cross_entropy takes the scores.",
        loss="F.nll_loss(network(x), y)",
    ),
    _mask(
        "signed",
        0.5,
        "That goes by value, so the most negative go: magnitude has no sign.",
        key="weights",
    ),
    _mask("largest", 0.5, _AROUND, turned="[::-1]"),
    _mask("inverted", 0.5, _AROUND, begin="zeros", value="True"),
    _mask(
        "share kept",
        0.5,
        "`share` is what goes, not what stays.",
        count="round((1 - share) * weights.size)",
    ),
    _mask_otherwise("a mask of floats", 0.5, "should have dtype bool", dtype="float", value="0"),
    _mask_otherwise("a flat mask", 0.5, "should have shape", result="mask"),
    _mask_otherwise(
        "the weights, masked",
        0.5,
        "should have dtype bool",
        result="weights * mask.reshape(weights.shape)",
    ),
    _mask(
        "rounded down",
        1.05,
        "The count is rounded down: `round(share * n)` go.",
        count="int(share * weights.size)",
    ),
    _mask(
        "rounded up",
        1.05,
        "The count is rounded up: `round(share * n)` go.",
        count="-int((-share * weights.size + 1e-9) // 1)",
    ),
    Known(
        "prune",
        "a share of the range",
        0.5,
        "The share is one of the number of weights, not of the largest magnitude.",
        "def prune(weights, share): return abs(weights) >= share * abs(weights).max()",
    ),
    Known(
        "prune",
        "each row",
        0.5,
        "Each row is pruned by itself: the smallest of all go, wherever they are.",
        """
def prune(weights, share):
    mask = np.ones(weights.shape, bool)
    for row, one in zip(mask, abs(weights)):
        row[np.argsort(one)[: round(share * len(one))]] = False
    return mask
""",
    ),
    Mistake(
        "prune",
        "a quantile",
        0.85,
        "Where several are equally large",
        "def prune(weights, share): return abs(weights) > np.quantile(abs(weights), share) if share else weights == weights",
    ),
    Mistake(
        "prune",
        "a threshold",
        1.05,
        "Where several are equally large",
        """
def prune(weights, share):
    n = round(share * weights.size)
    return abs(weights) > (np.sort(abs(weights), axis=None)[n - 1] if n else -1)
""",
    ),
    _step("gradient masked", 0.95, _BACK, before="_gradients(network, masks)", after=""),
    _step("masked before", 0.95, _BACK, first="_masked(network, masks)", after=""),
    _step("masked between", 0.95, _BACK, before="_masked(network, masks)", after=""),
    _step(
        "nothing masked",
        0.95,
        "Nothing holds the pruned weights at 0: they are trained like the others.",
        after="",
    ),
    _step(
        "an inverted mask",
        0.75,
        "The mask is applied the wrong way round: what is kept became 0.",
        after="_masked(network, {name: ~mask for name, mask in masks.items()})",
    ),
    _step(
        "gradients kept",
        0.75,
        "Gradients of earlier batches are still in it: optimizer.zero_grad() comes first.",
        zero="",
    ),
    _step(
        "a sum over the batch",
        0.75,
        "The loss is a sum over the batch: asked for is the mean.",
        loss='F.cross_entropy(network(x), y, reduction="sum")',
    ),
    _step(
        "softmax twice",
        0.75,
        "That is softmax before cross_entropy, which has it inside.",
        loss="F.cross_entropy(network(x).softmax(1), y)",
    ),
    _step_otherwise(
        "a loss with its graph", 0.75, "The loss is a tensor, not a plain number.", result="loss"
    ),
    _step_otherwise(
        "every parameter",
        0.75,
        "ask whether it has one",
        after="[p.data.mul_(masks[n]) for n, p in network.named_parameters()]",
    ),
]
# Words of NumPy's and PyTorch's that mean one thing here: (a piece of them, the sentence).
_PLACES = (
    "argsort sorts each row by itself, and its places are places in a row: axis=None takes the whole"
    " array as one row, and so must what is indexed."
)
IN_MASK = (
    *causes(
        "All weights may go, or none: does a threshold look beyond the ends then?",
        "with size 12",
        "with size 20",
    ),
    *causes(_PLACES, "out of bounds", "boolean index did not match"),
    ("ambiguous", "Compare arrays number by number, not in an `if`."),
)
COUNT = "Another number of weights goes than `round(share * n)`, n being the number of all weights."
OTHERS = "As many go as should, but not the ones with the smallest magnitudes of all."
IN_STEP = (
    ("leaf Variable", "A parameter is changed under torch.no_grad(), or through its .data."),
    (
        "KeyError",
        "A parameter without a mask, such as a bias, is trained as usual: ask whether it has one.",
    ),
    ("modified by an inplace", "Change the weights after backward, not between it and forward."),
)

# ------------------------------------------------------------------------------------- sharing

_share, _share_otherwise = variants(
    "share_weights",
    """
def share_weights(weights, bits):
    codes, codebook = np.zeros(weights.shape, np.int64), np.zeros(2**bits, weights.dtype)
    kept = {kept}
    values = weights[kept]
    {none}
    count = {count}
    centres, before = {begin}.astype(float), None
    for _ in range({rounds}):
        nearest = {far}.argmin(axis=1)
        if before is not None and np.array_equal(before, nearest):
            break
        before = nearest
        for k in range(count):
            mine = values[nearest == k]
            centres[k] = {new}
    nearest = {far}.argmin(axis=1)
    codes[kept], codebook[1:] = nearest + {plus}, centres
    return {result}
""",
    kept="weights != 0",
    none="if values.size == 0: return codes, codebook",
    count="2**bits - 1",
    begin="np.linspace(values.min(), values.max(), count)",
    rounds="1000",
    far="abs(values[:, None] - centres)",
    new="mine.mean() if len(mine) else centres[k]",
    plus="1",
    result="codes, codebook",
)
_EMPTY = "A value without weights stays where it is: the mean of none is NaN, and 0 is no better."
_OTHERS = "The values begin elsewhere: at equal distances, the first on the lowest weight, the last on the highest."
ROUNDS = "That is after some rounds: go on until no weight changes its group."
PLACES = "Codes are places in the codebook, whole numbers of the weights' shape."
_gradient, _gradient_otherwise = variants(
    "share_weights",
    """
def codebook_gradient(gradient, codes, size):
    sums = np.bincount(codes.ravel(), {of}, minlength=size)
    {after}
    return {result}
""",
    of="gradient.ravel()",
    after="sums[0] = 0",
    result="sums",
)
_SHARE = [
    _share("from 0 up", 0.5, _OTHERS, begin="np.linspace(0, abs(values).max(), count)"),
    _share(
        "without abs",
        0.5,
        "The nearest value is the one at the smallest distance: without abs it is the largest value of all.",
        far="(values[:, None] - centres)",
    ),
    Known(
        "share_weights",
        "all values found",
        0.5,
        "All 2^b values come from k-means: the first is kept for pruned weights, and is 0.",
        """
def share_weights(weights, bits):
    values = weights.ravel()
    centres = np.linspace(values.min(), values.max(), 2**bits)
    for _ in range(300):
        nearest = abs(values[:, None] - centres).argmin(axis=1)
        for k in set(nearest.tolist()):
            centres[k] = values[nearest == k].mean()
    return nearest.reshape(weights.shape), centres
""",
    ),
    _gradient(
        "a place back",
        1,
        "Each sum stands a place too far to the front: code k belongs to place k of the codebook.",
        after="sums = np.roll(sums, -1)",
    ),
    _share(
        "one round",
        0.65,
        "That is one round: go on until no weight changes its group.",
        rounds="1",
    ),
    _share(
        "ten rounds",
        0.9,
        ROUNDS,
        rounds="10",
    ),
    _share(
        "never moved",
        0.5,
        "The values are where they began: move each to the mean of its weights.",
        rounds="0",
    ),
    _share("quantiles", 0.5, _OTHERS, begin="np.quantile(values, np.linspace(0, 1, count))"),
    _share(
        "without the ends",
        0.5,
        _OTHERS,
        begin="np.linspace(values.min(), values.max(), count + 2)[1:-1]",
    ),
    _share(
        "without the last end",
        0.5,
        _OTHERS,
        begin="np.linspace(values.min(), values.max(), count, endpoint=False)",
    ),
    _share(
        "some weights",
        0.5,
        _OTHERS,
        begin="np.sort(values)[np.linspace(0, len(values) - 1, count).astype(int)].astype(float)",
    ),
    _share(
        "symmetric", 0.5, _OTHERS, begin="np.linspace(-abs(values).max(), abs(values).max(), count)"
    ),
    _share(
        "zeros take part",
        1.2,
        "Pruned weights took part: leave them out before the k-means.",
        kept="np.ones(weights.shape, bool)",
    ),
    _share(
        "medians",
        0.5,
        "Each value is the median of its weights: asked for is the mean.",
        new="np.median(mine) if len(mine) else centres[k]",
    ),
    _share(
        "empty ones at 0",
        1.4,
        _EMPTY,
        new="mine.mean() if len(mine) else 0.0",
    ),
    _share("empty ones NaN", 1.4, _EMPTY, new="mine.mean()"),
    _share(
        "codes from 0",
        0.5,
        "Codes of kept weights begin at 0, which is the pruned weights' code.",
        plus="0",
    ),
    _share_otherwise("one value too many", 0.5, "could not", count="2**bits"),
    _share_otherwise("codes last", 0.5, "The codes come first", result="codebook, codes"),
    _share_otherwise("the weights themselves", 0.5, PLACES, result="codebook[codes], codebook"),
    _share_otherwise("flat codes", 0.5, "should have shape", result="codes.ravel(), codebook"),
    _share_otherwise("nothing to share", 1.45, "A layer may be pruned whole", none=""),
    _gradient(
        "mean",
        1,
        "That is the mean over a value's weights: each passes its whole gradient on, so they add up.",
        after="sums[0] = 0; sums = sums / np.maximum(np.bincount(codes.ravel(), minlength=size), 1)",
    ),
    _gradient(
        "zero moves",
        1.4,
        "The first number has a gradient, and the next step would move it: pruned weights stay 0.",
        after="",
    ),
    _gradient(
        "counts",
        1,
        "That counts the weights of each value: the sum of their gradients is asked for.",
        of="np.ones(codes.size)",
    ),
    _gradient(
        "one of each",
        1,
        "Of each value only one weight's gradient is left: `sums[codes] += gradient` adds to each place once.",
        after="sums = np.zeros(size); sums[codes] += gradient; sums[0] = 0",
    ),
    _gradient(
        "magnitudes",
        1,
        "Signs are lost: gradients of opposite signs cancel.",
        of="abs(gradient).ravel()",
    ),
    _gradient_otherwise("without the zero", 1, "should have shape", result="sums[1:]"),
]
STEPS = (
    "Take the four steps by hand for a few weights: the distance without its sign, the nearest value for"
    " each weight, then the mean of each value's own weights."
)
SUMS = "For each code: the gradients of all weights that have it, added up; 0 for code 0."
SIZE = "There is a number for each place of the codebook, also for values without weights: (size,)."
NONE = "A value without weights has the gradient 0: the mean of none is NaN."
IN_SHARING = (
    *causes(
        "A layer may be pruned whole: its codes and its codebook are zeros.",
        "zero-size array",
        "empty sequence",
        "argmin of an empty",
        "attempt to get argmin",
    ),
    (
        "could not broadcast",
        "The codebook has 2^b numbers, the first of them the 0: k-means has 2^b − 1 values.",
    ),
)

# ------------------------------------------------------------------------------------- Huffman

_huffman, _huffman_otherwise = variants(
    "huffman",
    """
def huffman(counts):
    words = [""] * len(counts)
    heap = [(count, symbol, [symbol]) for symbol, count in enumerate({of}) {used}]
    if {single}:
        words[heap[0][1]] = "0"
    while len(heap) > 1:
        {sort}
        (count, first, members), (more, _, others) = heap.pop(0), heap.pop(0)
        for bit, some in (("0", members), ("1", others)):
            for symbol in some:
                words[symbol] = {word}
        heap.append(({count}, first, members + others))
    return {result}
""",
    of="counts",
    used="if count",
    single="len(heap) == 1",
    sort="heap.sort()",
    word="bit + words[symbol]",
    count="count + more",
    result="words",
)
_decode, _decode_otherwise = variants(
    "huffman",
    """
def decode(bits, words):
    symbol_of = {{word: symbol for symbol, word in enumerate(words) {used}}}
    symbols, word = [], ""
    for bit in {bits}:
        word += bit
        if word in symbol_of:
            symbols.append({symbol})
            {again}
    {rest}
    return {result}
""",
    used="if word",
    bits="bits",
    symbol="symbol_of[word]",
    again='word = ""',
    rest="if word: raise ValueError(word)",
    result="symbols",
)


def _wrong_words(name, points, says, body):
    return Known("huffman", name, points, says, f"import math\ndef huffman(counts):\n    {body}")


_CHAIN = (
    "Each next word is longer by one bit: what was put together is as frequent as both its parts, and"
    " the rarest two are looked for anew each time."
)
_HUFFMAN = [
    Known(
        "huffman",
        "sorted symbols",
        1.35,
        "The symbols are put in order first: their own order is what has to be read back.",
        'def encode(symbols, words): return "".join(words[s] for s in sorted(symbols))',
    ),
    Known(
        "huffman",
        "each word once",
        1.35,
        "That is the table's words, one after another: the symbols say which come, and how often.",
        'def encode(symbols, words): return "".join(words)',
    ),
    Known(
        "huffman",
        "once through the table",
        1.35,
        "The table is gone through once: after each symbol the search begins anew, from its first word.",
        """
def decode(bits, words):
    symbols = []
    for symbol, word in enumerate(words):
        if word and bits.startswith(word):
            symbols.append(symbol)
            bits = bits[len(word) :]
    return symbols
""",
    ),
    Known(
        "huffman",
        "the last one lost",
        1.45,
        "The last symbol is missing: after the last bit a word may be whole, too.",
        """
def decode(bits, words):
    symbols, word = [], ""
    for bit in bits:
        if word in words and word:
            symbols.append(words.index(word))
            word = ""
        word += bit
    if word not in words:
        raise ValueError(word)
    return symbols
""",
    ),
    _huffman(
        "the most frequent",
        0.8,
        "That puts the two most frequent together: the rarest two.",
        sort="heap.sort(reverse=True)",
    ),
    _huffman("the larger count", 0.8, _CHAIN, count="max(count, more)"),
    _huffman(
        "sorted once",
        0.8,
        "What was put together takes its place by its own count among the others: look for the rarest two each time.",
        sort="heap.sort() if len(heap) == sum(map(bool, counts)) else None",
    ),
    _huffman("always first", 0.8, _CHAIN, count="0"),
    _huffman_otherwise("bit at the end", 0.8, "goes in front of", word="words[symbol] + bit"),
    _wrong_words(
        "plain numbers",
        0.8,
        "All words are equally long: frequent symbols should have short ones.",
        """used = [i for i, c in enumerate(counts) if c]
    n = max(1, math.ceil(math.log2(max(1, len(used)))))
    return [format(used.index(i), f"0{n}b") if i in used else "" for i in range(len(counts))]""",
    ),
    _wrong_words(
        "one bit longer each",
        0.8,
        _CHAIN,
        """used = sorted((i for i, c in enumerate(counts) if c), key=lambda i: -counts[i])
    words = [""] * len(counts)
    for at, i in enumerate(used):
        words[i] = "1" * at + "0" if at < len(used) - 1 or at == 0 else "1" * at
    return words""",
    ),
    _wrong_words(
        "Shannon's lengths",
        0.8,
        "Words of −log₂ p bits, rounded up, are a prefix code but not the shortest one.",
        """one = sum(c > 0 for c in counts) == 1
    return compressed.canonical([one or math.ceil(math.log2(sum(counts) / c)) if c else 0 for c in counts])""",
    ),
    _huffman(
        "sorted counts",
        0.8,
        "The counts belong to other symbols: sorted, they have forgotten whose they are.",
        of="sorted(counts)",
    ),
    _huffman_otherwise("unused ones too", 1.5, "A symbol that never comes has no word", used=""),
    _huffman_otherwise("no word for one", 1.5, "The one symbol alone has no word", single="False"),
    _huffman_otherwise("a dict", 0.8, "should be a list", result="dict(enumerate(words))"),
    _huffman_otherwise(
        "words of the used", 1.5, "a word for each symbol", result="[w for w in words if w]"
    ),
    Mistake(
        "huffman",
        "not a prefix code",
        0.8,
        "One word begins another",
        """
def huffman(counts):
    used = sorted((i for i, c in enumerate(counts) if c), key=lambda i: -counts[i])
    return [format(used.index(i), "b") if i in used else "" for i in range(len(counts))]
""",
    ),
    Mistake(
        "huffman",
        "a list of words",
        1.35,
        "should be a string",
        "def encode(symbols, words): return [words[s] for s in symbols]",
    ),
    Known(
        "huffman",
        "blanks between",
        1.35,
        "A prefix code needs nothing between its words.",
        'def encode(symbols, words): return " ".join(words[s] for s in symbols)',
    ),
    Known(
        "huffman",
        "encoded backwards",
        1.35,
        "The words come in reverse order.",
        'def encode(symbols, words): return "".join(words[s] for s in symbols[::-1])',
    ),
    Known(
        "huffman",
        "bits turned",
        1.35,
        "The bits come in reverse order.",
        'def encode(symbols, words): return "".join(words[s][::-1] for s in symbols)',
    ),
    Known(
        "huffman",
        "numbers for words",
        1.35,
        "These are the symbols' numbers: each symbol's word is asked for.",
        'def encode(symbols, words): return "".join(map(str, symbols))',
    ),
    Mistake(
        "huffman",
        "no word, no matter",
        1.65,
        "The symbol goes lost",
        'def encode(symbols, words): return "".join(words[s] for s in symbols)',
    ),
    _decode(
        "word kept",
        1.35,
        "After a symbol the next word begins anew: empty what was read.",
        again="",
        rest="",
    ),
    _decode(
        "words, not symbols",
        1.45,
        "These are the words: the symbols they stand for are asked for.",
        symbol="word",
    ),
    _decode(
        "read backwards",
        1.35,
        "Read from the first bit: a prefix code can be read one way only.",
        bits="bits[::-1]",
        rest="",
    ),
    Known(
        "huffman",
        "a symbol each bit",
        1.35,
        "Every bit became a symbol: a word may have several.",
        "def decode(bits, words): return [int(bit) for bit in bits]",
    ),
    _decode_otherwise("silent at the end", 1.65, "in the middle of a word", rest=""),
    _decode_otherwise(
        "joined symbols", 1.35, "should be a list", result='"".join(map(str, symbols))'
    ),
]
FROM_BELOW = (
    "Huffman's code is built from below: put the two rarest together, again and again. Cutting from"
    " above, or another order, can miss the shortest."
)
IN_FRONT = (
    "That cannot be read: at the end of the shorter one nobody knows whether it was meant. When two"
    " groups are put together, the new bit goes in front of the words that they have."
)
SAME_BIT = "Two words are the same: of two groups put together, one gets the bit 0, the other 1."
IN_WORDS = (
    *causes(
        "No word has these bits, or not yet: read on, bit by bit, until they are one.",
        "KeyError",
        "substring not found",
        "is not in list",
    ),
    ("cannot be interpreted", "A symbol is a whole number, its word a string: words[symbol]."),
    ("expected str instance", "join takes strings: the words, not the symbols' numbers."),
)

# ------------------------------------------------------------------------------------- the file

_entries, _entries_otherwise = variants(
    "compressed_bits",
    """
def entries(codes, gap_bits):
    gaps, stored, zeros = [], [], 0
    for place, code in enumerate({order}.tolist()):
        {row}
        if code == 0:
            zeros += 1
            continue
        while zeros {over}:
            gaps.append({long})
            stored.append({filler})
            zeros -= {passed}
        gaps.append({gap})
        stored.append(code)
        {anew}
    {end}
    return {result}
""",
    order="codes.ravel()",
    row="",
    over=">= 2**gap_bits",
    long="2**gap_bits - 1",
    filler="0",
    passed="2**gap_bits",
    gap="zeros",
    anew="zeros = 0",
    end="",
    result="gaps, stored",
)
_size, _size_otherwise = variants(
    "compressed_bits",
    """
def compressed_bits(layers, gap_bits):
    bits = {once}
    for codes, codebook, bias in layers:
        bits += {head}
        bits += {book} + {bias}
        gaps, stored = {stored}
        for symbols, kinds in ((gaps, 2**gap_bits), (stored, len(codebook))):
            counts = [symbols.count(k) for k in range(kinds)]
            words = huffman(counts)
            bits += {table}
            bits += {words}
        {layer}
    return {whole}
""",
    once="8",
    head="104",
    book="32 * (len(codebook) - 1)",
    bias="32 * len(bias)",
    stored="entries(codes, gap_bits)",
    table="5 * kinds",
    words="sum(c * len(word) for c, word in zip(counts, words))",
    layer="",
    whole="-(-bits // 8) * 8",
)
_FILE = [
    Known(
        "compressed_bits",
        "fillers at once",
        1.15,
        "Zeros after the last entry became fillers: nothing is stored for them.",
        """
def entries(codes, gap_bits):
    gaps, stored, zeros = [], [], 0
    for code in codes.ravel().tolist():
        if code or zeros == 2**gap_bits - 1:
            gaps.append(zeros)
            stored.append(code)
            zeros = 0
        else:
            zeros += 1
    return gaps, stored
""",
    ),
    _entries(
        "a gap cut off",
        1.15,
        "A gap that is too large is cut off: the zeros beyond are lost. Fillers take them.",
        over="< 0",
        gap="min(zeros, 2**gap_bits - 1)",
    ),
    _entries("a filler's gap", 1.15, "The largest gap of g bits is 2^g − 1.", long="2**gap_bits"),
    _entries(
        "powers forgotten",
        0.85,
        "Gaps of g bits go up to 2^g − 1, not to g − 1.",
        over=">= gap_bits",
        long="gap_bits - 1",
        passed="gap_bits",
    ),
    Known(
        "compressed_bits",
        "differences of places",
        0.85,
        "A difference of places is one more than the zeros between them; and the first entry has a gap, too.",
        """
def entries(codes, gap_bits):
    places = np.flatnonzero(codes)
    return np.diff(places).tolist(), codes.ravel()[places].tolist()
""",
    ),
    _entries(
        "zeros go on", 0.85, "After an entry the zeros are counted from 0 again.", anew="pass"
    ),
    *(
        _size(
            f"the table of {which} alone",
            0.65,
            "One table is missing: gaps and codes have a length each for every symbol.",
            table=f"5 * kinds if symbols is {which} else 0",
        )
        for which in ("gaps", "stored")
    ),
    _size(
        "the first layer",
        1.1,
        "Only the first layer is counted: is the return inside the loop?",
        layer="return -(-bits // 8) * 8",
    ),
    _size(
        "a byte too many",
        0.65,
        "A size that ends with a whole byte needs no more: that adds 8 bits to it.",
        whole="bits + 8 - bits % 8",
    ),
    Known(
        "compressed_bits",
        "the dense size",
        0.65,
        "That is the size of the dense network, 32 bits a number.",
        "def compressed_bits(layers, gap_bits): return sum(32 * (codes.size + bias.size) for codes, _, bias in layers)",
    ),
    _entries(
        "places",
        0.85,
        "These are places: a gap counts the zeros since the entry before.",
        gap="place",
    ),
    _entries(
        "distances",
        0.85,
        "A gap counts the zeros in between: two entries side by side have the gap 0.",
        gap="zeros + 1",
    ),
    _entries(
        "by columns",
        0.85,
        "The matrix is read by columns: read it row by row.",
        order="codes.T.ravel()",
    ),
    _entries(
        "each row anew",
        0.85,
        "The zeros at the end of a row count, too: the rows are one long row.",
        row="zeros = 0 if place % codes.shape[1] == 0 else zeros",
    ),
    _entries(
        "no fillers", 1.15, "A gap is too large for its bits: a filler comes before it.", over="< 0"
    ),
    _entries(
        "filler too soon",
        0.85,
        "The largest gap, 2^g − 1, needs no filler.",
        over=">= 2**gap_bits - 1",
    ),
    _entries(
        "filler on no zero",
        1.15,
        "A filler stands on a zero itself: it takes away one more than its gap.",
        passed="(2**gap_bits - 1)",
    ),
    _entries(
        "one filler",
        1.15,
        "One filler may not be enough: go on while the gap is too large.",
        over=">= 2**gap_bits and (not gaps or stored[-1])",
    ),
    _entries("fillers with the code", 1.15, "A filler's code is 0.", filler="code"),
    _entries(
        "the rest, too",
        0.85,
        "After the last entry nothing is stored: the shape tells how many zeros follow.",
        end="gaps.append(zeros); stored.append(0)",
    ),
    _entries(
        "the gap after",
        0.85,
        "That is the gap after an entry: its own is the one before it.",
        end="gaps = gaps[1:] + [zeros]",
    ),
    _entries_otherwise(
        "pairs",
        0.85,
        "Two lists: all gaps, and all codes",
        result="list(zip(gaps, stored)) + [(0, 0)] * 3",
    ),
    _entries_otherwise(
        "arrays", 0.85, "two lists of int", result="np.array(gaps), np.array(stored)"
    ),
    _size(
        "the zero in the codebook",
        0.65,
        "The codebook's first number is counted: it is always 0, and is not in the file.",
        book="32 * len(codebook)",
    ),
    _size("no codebook", 0.65, "The codebook is missing.", book="0"),
    _size(
        "no tables",
        0.65,
        "The lengths of the words are missing: without them nobody can read the rest.",
        table="0",
    ),
    _size(
        "tables of the used",
        0.65,
        "The length of every symbol's word is in the file, 0 for one that never comes.",
        table="5 * sum(c > 0 for c in counts)",
    ),
    _size(
        "tables of the words",
        0.65,
        "The words themselves are counted into the table: only their lengths are in it, 5 bits each.",
        table="5 * kinds + sum(map(len, words))",
    ),
    _size("no biases", 0.65, "The biases are missing.", bias="0"),
    _size(
        "a bias for each input",
        0.65,
        "There is a bias for each output, not for each input.",
        bias="32 * codes.shape[1]",
    ),
    _size(
        "no head", 0.65, "What stands first in a layer is missing: shape, bits, lengths.", head="0"
    ),
    _size(
        "the number of layers each time",
        1.1,
        "How many layers there are stands in the file once.",
        head="112",
        once="0",
    ),
    _size(
        "no number of layers", 0.65, "How many layers there are is missing: 8 bits, once.", once="0"
    ),
    _size(
        "plain bits",
        0.65,
        "Gaps and codes are counted with b and g bits each: their Huffman words are in the file.",
        words="sum(counts) * (kinds - 1).bit_length()",
    ),
    _size(
        "words once",
        0.65,
        "Each word is counted once: it is written each time its symbol comes.",
        words="sum(map(len, words))",
    ),
    _size(
        "without fillers",
        0.65,
        "Fillers are not counted: they are entries like the others.",
        stored="([min(g, 2**gap_bits - 1) for g, c in zip(*entries(codes, 16))], [c for c in entries(codes, 16)[1]])",
    ),
    _size(
        "filler codes forgotten",
        0.65,
        "The fillers' code, 0, is not counted: a filler has a gap and a code, and both have a word.",
        stored="(entries(codes, gap_bits)[0], [c for c in entries(codes, gap_bits)[1] if c])",
    ),
    _size("bytes", 0.65, "That is the size in bytes: asked for are bits.", whole="-(-bits // 8)"),
    _size(
        "not to a byte",
        0.65,
        "The last byte is filled up: the size is a multiple of 8.",
        whole="bits",
    ),
    _size(
        "each layer to a byte",
        1.1,
        "Each layer is filled up to a byte: only the end of the file is.",
        layer="bits = -(-bits // 8) * 8",
    ),
    _size(
        "rounded down to a byte",
        0.65,
        "The last byte is filled up, not cut off.",
        whole="bits // 8 * 8",
    ),
    Known(
        "compressed_bits",
        "one code for both",
        0.65,
        "Gaps and codes share one Huffman code: each has its own.",
        """
def compressed_bits(layers, gap_bits):
    bits = 8
    for codes, codebook, bias in layers:
        gaps, stored = entries(codes, gap_bits)
        bits += 104 + 32 * (len(codebook) - 1) + 32 * len(bias) + 5 * (2**gap_bits + len(codebook))
        words = huffman(np.bincount(np.array(gaps + stored, int)).tolist())
        bits += sum(len(words[i]) for i in gaps + stored)
    return -(-bits // 8) * 8
""",
    ),
]
ENTRIES_FIRST = (
    "Your `entries` is not right for these codes: where the size is counted with it, mend it first."
)
BOTH = "A filler is in both lists: the largest gap in one, the code 0 in the other."
IN_ENTRIES = (
    *causes(
        "A code is one number: read the matrix row by row with .ravel().",
        "only size-1 arrays",
        "ambiguous",
    ),
)
IN_SIZE = (
    ("KeyError", "A symbol may never come: its count is 0."),
    ("IndexError", "A symbol may never come: its count is 0, and np.bincount takes minlength."),
    ("safely cast", "Of an empty list NumPy makes floats: give it the dtype, np.int64."),
    *causes(
        "Counts and words are as many as there are symbols: np.bincount takes minlength.",
        "shorter than argument",
        "longer than argument",
    ),
)

# ------------------------------------------------------------------------------------- folding

_fold, _fold_otherwise = variants(
    "fold_batch_norm",
    """
def fold_batch_norm(conv, norm):
    {refuse}
    folded = {new}
    with torch.no_grad():
        factor = {factor}
        bias = {old}
        folded.weight = nn.Parameter({weight})
        folded.bias = nn.Parameter({bias})
    return {result}
""",
    refuse="if norm.training: raise ValueError('training')",
    new="copy.deepcopy(conv)",
    factor="norm.weight / torch.sqrt(norm.running_var + norm.eps)",
    old="0 if conv.bias is None else conv.bias",
    weight="conv.weight * factor[:, None, None, None]",
    bias="(bias - norm.running_mean) * factor + norm.bias",
    result="folded",
)
_NEW = "nn.Conv2d(conv.in_channels, conv.out_channels, conv.kernel_size{more})"
_FOLD = [
    _fold("gamma alone", 0, "The root of the variance is missing.", factor="norm.weight"),
    _fold(
        "no eps",
        0,
        "ε is missing under the root.",
        factor="norm.weight / torch.sqrt(norm.running_var)",
    ),
    _fold(
        "eps outside",
        0,
        "ε belongs under the root.",
        factor="norm.weight / (torch.sqrt(norm.running_var) + norm.eps)",
    ),
    _fold(
        "by the variance",
        0,
        "It divides by the variance: by its root.",
        factor="norm.weight / (norm.running_var + norm.eps)",
    ),
    _fold(
        "times the root",
        0,
        "It multiplies by the root of the variance: it divides.",
        factor="norm.weight * torch.sqrt(norm.running_var + norm.eps)",
    ),
    _fold(
        "no gamma",
        0,
        "γ, norm.weight, is missing.",
        factor="1 / torch.sqrt(norm.running_var + norm.eps)",
    ),
    _fold(
        "input channels",
        0.45,
        "The factor goes with the input channels, axis 1: it belongs to the output channels, axis 0.",
        weight="conv.weight * (factor[None, :, None, None] if factor.numel() == conv.weight.shape[1] else factor[:, None, None, None])",
    ),
    _fold(
        "weight as it was",
        0.45,
        "The weight is as it was: the factor belongs to it, too.",
        weight="conv.weight * 1",
    ),
    _fold("no mean", 0.45, "The mean is not subtracted.", bias="bias * factor + norm.bias"),
    _fold(
        "mean added",
        0.45,
        "The mean is added: it is subtracted.",
        bias="(bias + norm.running_mean) * factor + norm.bias",
    ),
    _fold(
        "bias not scaled",
        0.45,
        "conv's own bias is not multiplied by the factor.",
        bias="bias - norm.running_mean * factor + norm.bias",
    ),
    _fold(
        "mean not scaled",
        0.45,
        "The mean is not multiplied by the factor.",
        bias="bias * factor - norm.running_mean + norm.bias",
    ),
    _fold(
        "old bias forgotten",
        0.45,
        "conv's own bias is left out.",
        bias="norm.bias - norm.running_mean * factor + 0 * bias",
    ),
    _fold("no beta", 0.45, "β, norm.bias, is missing.", bias="(bias - norm.running_mean) * factor"),
    _fold(
        "beta scaled",
        0.45,
        "β is multiplied by the factor: it stands alone.",
        bias="(bias - norm.running_mean + norm.bias) * factor",
    ),
    _fold(
        "bias of norm alone",
        0.45,
        "The bias is β alone: what becomes of μ and of conv's bias?",
        bias="norm.bias + 0 * bias",
    ),
    _fold_otherwise(
        "groups forgotten",
        0.8,
        "Does the new layer have all of conv's options",
        new=_NEW.format(more=", stride=conv.stride, padding=conv.padding, dilation=conv.dilation"),
    ),
    _fold_otherwise(
        "stride forgotten",
        0.8,
        "Does the new layer have all of conv's options",
        new=_NEW.format(more=", padding=conv.padding, dilation=conv.dilation, groups=conv.groups"),
    ),
    _fold_otherwise("in place", 0, "conv or norm is changed", new="conv"),
    _fold_otherwise(
        "a row of two", 0, "The result is no convolution", result="nn.Sequential(conv, norm)"
    ),
    _fold_otherwise("training folded", 0.9, "A norm in training mode is folded", refuse=""),
    _fold_otherwise(
        "conv's mode",
        0.9,
        "It is norm's mode",
        refuse="if conv.training: raise ValueError('training')",
    ),
    _fold_otherwise(
        "evaluation refused",
        0,
        "A norm in evaluation mode is refused",
        refuse="if not norm.training: raise ValueError('evaluation')",
    ),
    _fold_otherwise("a bias that is None", 0, "conv.bias is None", old="conv.bias"),
]
TRAINING = "There it uses the mean and variance of each batch, which no fixed layer knows: raise ValueError."
MODE = "It is norm's mode that counts, norm.training: conv does the same in both modes."
NO_FOLD = {
    "no convolution": "One layer for two: an nn.Conv2d with a weight and a bias of its own.",
    "no bias": "What is subtracted and added has to go somewhere: the new layer has a bias, also where conv had none.",
    "ValueError": "Only a norm in training mode is refused: norm.training is True there.",
}
OPTIONS = "Does the new layer have all of conv's options: stride, padding, dilation, groups?"
IN_FOLD = (
    ("NoneType", "A convolution without bias has conv.bias is None: take zeros."),
    (
        "must match the size",
        "The factor has one number an output channel: shape it (K, 1, 1, 1) for the weight.",
    ),
    ("expected input", OPTIONS),
    ("cannot assign", "A parameter is replaced by an nn.Parameter, or changed through .data."),
    ("leaf Variable", "Compute under torch.no_grad(), and make new nn.Parameters."),
)

# ---------------------------------------------------------------------------------------- int8

_scale, _scale_otherwise = variants(
    "quantize",
    """
def calibrate(x, per_row=False):
    axis = {axis} if per_row else None
    low = {low}
    high = {high}
    s = np.where(low == high, 1, {s})
    z = np.where(low == high, 0, {z})
    return {result}
""",
    axis="1",
    low="np.minimum(x.min(axis=axis, keepdims=True), 0)",
    high="np.maximum(x.max(axis=axis, keepdims=True), 0)",
    s="(high - low) / 255",
    z="np.round(-128 - low / s)",
    result="s, z.astype(np.int64)",
)
_numbers, _numbers_otherwise = variants(
    "quantize",
    "def quantize(x, s, z): return {q}",
    q="np.clip(np.round(x / s) + z, -128, 127).astype(np.int8)",
)
_NO_ZERO = "The range is not widened to 0: where all values are on one side of it, 0 is not in it."
ZEROS = "Where all values are 0, s is 1 and z is 0: a scale of 0 would be divided by."
KEEP = "s and z have the shape (1, 1), or (N, 1) for each row: keepdims=True leaves the axes."
_QUANTIZE = [
    _scale(
        "turned over",
        0.5,
        "The scale is turned over: it is the distance of two numbers, in units of x.",
        s="255 / (high - low)",
        z="np.round(-128 - low * 255 / (high - low))",
    ),
    _scale(
        "254 steps",
        0.5,
        "The lowest number, −128, is left out: its ends lie at −128 and 127, 255 steps apart.",
        s="(high - low) / 254",
        z="np.round(-127 - low / s)",
    ),
    _numbers(
        "cut off at the end",
        0.65,
        "Fractions are cut off: round to the nearest.",
        q="np.clip(x / s + z, -128, 127).astype(np.int8)",
    ),
    _numbers(
        "cut off and wrapped",
        0.65,
        "Fractions are cut off, and what lies outside wraps round.",
        q="(x / s + z).astype(np.int64).astype(np.int8)",
    ),
    _numbers(
        "rounded up",
        0.65,
        "It is rounded up: round to the nearest.",
        q="np.clip(np.ceil(x / s) + z, -128, 127).astype(np.int8)",
    ),
    _numbers(
        "z taken from x",
        0.65,
        "The zero point is subtracted from x: it counts steps, and is added after the division.",
        q="np.clip(np.round((x - z) / s), -128, 127).astype(np.int8)",
    ),
    _scale("256 steps", 0.5, "256 numbers have 255 steps between them.", s="(high - low) / 256"),
    _scale(
        "half the range",
        0.5,
        "The scale is twice or half what it should be: all 256 numbers cover the range once.",
        s="(high - low) / 127",
    ),
    _scale(
        "symmetric",
        0.5,
        "That is the symmetric grid, around 0: here the ends of the range lie at −128 and 127.",
        s="np.maximum(abs(low), abs(high)) / 127",
        z="0 * low",
    ),
    _scale(
        "no zero in the range",
        0.5,
        _NO_ZERO,
        low="x.min(axis=axis, keepdims=True)",
        high="x.max(axis=axis, keepdims=True)",
    ),
    _scale(
        "unsigned",
        0.5,
        "That is the zero point of numbers from 0 to 255: int8 begins at −128.",
        z="np.round(-low / s)",
    ),
    _scale(
        "sign of z",
        0.5,
        "The sign of the zero point is wrong: lowest = s (−128 − z).",
        z="np.round(128 + low / s)",
    ),
    _scale(
        "low added",
        0.5,
        "The lowest value is added: solve lowest = s (−128 − z) for z once more.",
        z="np.round(-128 + low / s)",
    ),
    _scale(
        "z cut off", 0.5, "The zero point is cut off, not rounded.", z="np.trunc(-128 - low / s)"
    ),
    _scale(
        "from the middle",
        0.5,
        "That is the middle of the range: z is the number that stands for 0.",
        z="np.round(-(high + low) / 2 / s)",
    ),
    _scale("by columns", 0.8, "That is one scale for each column: a row is asked for.", axis="0"),
    _scale(
        "per row forgotten",
        0.8,
        "That is one scale for all, where each row has its own.",
        axis="None",
    ),
    _scale_otherwise(
        "no axes",
        0.5,
        KEEP,
        low="np.minimum(x.min(axis=axis), 0)",
        high="np.maximum(x.max(axis=axis), 0)",
    ),
    _scale_otherwise(
        "z with a fraction", 0.5, "should have dtype int64", result="s, -128 - low / s"
    ),
    _scale_otherwise(
        "rows of zeros",
        0.8,
        "Where all values are 0, s is 1 and z is 0",
        result="(high - low) / 255, np.nan_to_num(np.round(-128 - 255 * low / (high - low))).astype(np.int64)",
    ),
    _numbers(
        "cut off",
        0.65,
        "Fractions are cut off: round to the nearest.",
        q="np.clip(np.trunc(x / s) + z, -128, 127).astype(np.int8)",
    ),
    _numbers(
        "rounded down",
        0.65,
        "It is rounded down: round to the nearest.",
        q="np.clip(np.floor(x / s) + z, -128, 127).astype(np.int8)",
    ),
    _numbers(
        "z subtracted",
        0.65,
        "The zero point is subtracted: x / s = q − z.",
        q="np.clip(np.round(x / s) - z, -128, 127).astype(np.int8)",
    ),
    _numbers(
        "z forgotten",
        0.65,
        "The zero point is missing: x / s = q − z.",
        q="np.clip(np.round(x / s) + 0 * z, -128, 127).astype(np.int8)",
    ),
    _numbers(
        "z before",
        0.65,
        "The zero point is added before the division: it counts steps, not units of x.",
        q="np.clip(np.round((x + z) / s), -128, 127).astype(np.int8)",
    ),
    _numbers(
        "times the scale",
        0.65,
        "It multiplies by the scale: x / s counts steps.",
        q="np.clip(np.round(x * s) + z, -128, 127).astype(np.int8)",
    ),
    _numbers(
        "wrapped",
        0.85,
        "What lies outside wrapped round: limit it to −128 … 127 before it becomes int8.",
        q="(np.round(x / s) + z).astype(np.int64).astype(np.int8)",
    ),
    _numbers(
        "limited too soon",
        0.65,
        "It is limited before the zero point is added: q is what has to fit.",
        q="(np.clip(np.round(x / s), -128, 127) + z).astype(np.int64).astype(np.int8)",
    ),
    _numbers(
        "limited to -127",
        0.65,
        "The lowest number is −128: it is left out.",
        q="np.clip(np.round(x / s) + z, -127, 127).astype(np.int8)",
    ),
    _numbers_otherwise(
        "floats", 0.65, "should have dtype int8", q="np.clip(np.round(x / s) + z, -128, 127)"
    ),
    *(
        Known("quantize", name, 0.85, says, f"zero_by_hand = {value}")
        for name, value, says in (
            ("from 0 up", 50, "That many steps lie below 0, but numbers begin at −128."),
            ("by hand: sign", 78, "The sign: 0 lies above the lowest number, −128, by 50 steps."),
            ("by hand: down", -178, "That is below −128: 0 lies above the lowest value."),
            ("by hand: the lowest", -128, "There lies the lowest value, −1."),
            ("by hand: nothing", 0, "That holds for a range that lies evenly around 0."),
        )
    ),
]
INT8 = "q is int8, of −128 to 127: round and limit first, then .astype(np.int8)."
IN_QUANTIZE = (("broadcast", "x is (N, I), s and z are (N, 1) or (1, 1): they fit as they are."),)

_sums, _sums_otherwise = variants(
    "quantized_linear",
    """
def accumulate(q_x, z_x, q_w, z_w):
    x = q_x.astype({first}) {minus} z_x{as_x}
    w = q_w.astype({first}) - z_w{as_w}
    return {sums}
""",
    first="np.int64",
    minus="-",
    as_x="",
    as_w="",
    sums="(x @ w.T).astype(np.int32)",
)
_layer, _layer_otherwise = variants(
    "quantized_linear",
    """
def quantized_linear(x, s_x, z_x, q_w, s_w, z_w, b):
    q_x = {q}
    sums = accumulate(q_x, {z}, q_w, z_w)
    return {y}
""",
    q="quantize(x, s_x, z_x)",
    z="z_x",
    y="s_x * s_w.T * sums + b",
)
_NARROW = "An int8 does not hold the difference of two: widen the numbers before anything is subtracted or multiplied."
_LINEAR = [
    _sums(
        "int8 as they come",
        0.5,
        "int8 times int8 stays int8 in NumPy, where it wraps round; and the zero points are not subtracted.",
        sums="(q_x @ q_w.T).astype(np.int32)",
    ),
    _sums(
        "two terms of four",
        0.5,
        "Multiplied out, (q_x − z_x)(q_w − z_w) has four terms: two are missing.",
        sums="(q_x.astype(int) @ q_w.astype(int).T - z_x * z_w.T).astype(np.int32)",
    ),
    _layer("no scales", 0.5, "Both scales are missing: the sums are in steps.", y="sums + b"),
    _layer(
        "bias quantized",
        0.5,
        "The bias is quantized: it is real, and is added to real numbers.",
        y="s_x * s_w.T * sums + quantize(b[None], s_x, z_x)",
    ),
    _layer(
        "the first row's scale",
        0.75,
        "All rows have the first row's scale: each output has its own.",
        y="s_x * s_w[0, 0] * sums + b",
    ),
    _sums(
        "eight bits",
        0.5,
        _NARROW,
        sums="(x.astype(np.int8).astype(np.int64) @ w.astype(np.int8).astype(np.int64).T).astype(np.int32)",
    ),
    _sums(
        "sums of eight bits",
        0.5,
        "The sums are taken in int8, where they wrap round: accumulate in int32.",
        sums="(x.astype(np.int8) @ w.astype(np.int8).T).astype(np.int32)",
    ),
    _sums(
        "sixteen bits",
        0.5,
        "The sums are taken in int16, where they wrap round: accumulate in int32.",
        sums="(x.astype(np.int16) @ w.astype(np.int16).T).astype(np.int32)",
    ),
    _sums(
        "float32",
        0.85,
        "float32 holds whole numbers to 24 bits only: sum integers.",
        sums="np.rint(np.cumsum((x[:, None] * w).astype(np.float32), axis=2, dtype=np.float32)[..., -1]).astype(np.int32)",
    ),
    _sums("no zero points", 0.5, "The zero points are not subtracted.", as_x=" * 0", as_w=" * 0"),
    _sums("the input's zero point", 0.5, "The inputs' zero point is not subtracted.", as_x=" * 0"),
    _sums(
        "the weights' zero point", 0.5, "The weights' zero point is not subtracted.", as_w=" * 0"
    ),
    _sums("zero point added", 0.5, "The inputs' zero point is added: it is subtracted.", minus="+"),
    _sums_otherwise("int64", 0.5, "should have dtype int32", sums="x @ w.T"),
    _sums_otherwise(
        "a product of numbers", 0.5, "a product of matrices is @", sums="(x * w).astype(np.int32)"
    ),
    _sums_otherwise(
        "not transposed", 0.5, "w has a row for each output", sums="(x @ w).astype(np.int32)"
    ),
    _layer("no bias", 0.5, "The bias is missing.", y="s_x * s_w.T * sums"),
    _layer(
        "bias scaled",
        0.5,
        "The bias is multiplied by the scales: it is real already.",
        y="s_x * s_w.T * (sums + b)",
    ),
    _layer(
        "the inputs' scale forgotten", 0.5, "The inputs' scale is missing.", y="s_w.T * sums + b"
    ),
    _layer(
        "the weights' scale forgotten", 0.5, "The weights' scale is missing.", y="s_x * sums + b"
    ),
    _layer(
        "divided", 0.5, "It divides by the scales: they multiply.", y="sums / (s_x * s_w.T) + b"
    ),
    _layer(
        "scales of rows",
        0.75,
        "The weights' scales lie along the images: they belong to the outputs, (1, O).",
        y="s_x * (s_w if s_w.shape[0] == len(sums) else s_w.T) * sums + b",
    ),
    _layer(
        "zero point of the weights for x",
        0.5,
        "The inputs are quantized with the weights' zero point.",
        q="quantize(x, s_x, z_w[:1])",
        z="z_w[:1]",
    ),
    _layer(
        "in floats",
        0.5,
        "The inputs are not quantized: the sums are those of real numbers.",
        q="x / s_x + z_x",
        y="s_x * s_w.T * ((q_x - z_x) @ (q_w.astype(float) - z_w).T) + b",
    ),
    _layer(
        "x not quantized",
        0.5,
        "The inputs are made int8 without their scale: quantize(x, s_x, z_x).",
        q="x.astype(np.int8)",
    ),
]
INT32 = "Sums are int32. The zero points are int64, and what they meet becomes int64, too: convert."
EXACT = (
    "Small sums are right, large ones are not: floats hold whole numbers to 24 bits, int16 to 15."
)
IN_SUMS = (
    ("matmul", "w has a row for each output: the product is x @ w.T."),
    (
        "operands could not be broadcast",
        "z_w, (O, 1), fits to q_w, (O, I), as it is; and a product of matrices is @, not *.",
    ),
    ("same_kind", "Widen the numbers first: q.astype(np.int32)."),
)
SUMS_FIRST = (
    "Your `accumulate` is not right for these numbers: where y is computed with it, mend it first."
)
IN_LINEAR = (
    (
        "broadcast",
        "y is (N, O): the weights' scales, (O, 1), have to lie along its columns, (1, O).",
    ),
    ("same_kind", "Widen the numbers first: q.astype(np.int32)."),
)

# ------------------------------------------------------------------------------------- batches

_line, _line_otherwise = variants(
    "choose_batch",
    """
def latency_line(n, t):
    away = n - n.mean()
    each = {each}
    return {result}
""",
    each="(away * t).sum() / (away * away).sum()",
    result="float(t.mean() - each * n.mean()), float(each)",
)
_batch, _batch_otherwise = variants(
    "choose_batch",
    "import math\ndef choose_batch(fixed, each, limit): return {batch}",
    batch="max(0, int((limit - fixed) // each))",
)
_AT_0 = "(n * t).sum() / (n * n).sum()"
_ENDS = "(t[-1] - t[0]) / (n[-1] - n[0])"
_EXTREMES = "(t[n.argmax()] - t[n.argmin()]) / (n.max() - n.min())"
_LATENCY = [
    _line(
        "mean of slopes",
        0.8,
        "That is the mean of the slopes between neighbours, which only the ends decide: take the least squared error.",
        each="(np.diff(t) / np.diff(n)).mean()",
        result="float(t[0] - each * n[0]), float(each)",
    ),
    _line(
        "through 0",
        0.65,
        "That line goes through 0: it has no fixed part.",
        each=_AT_0,
        result="0.0, float(each)",
    ),
    _line(
        "slope of a line through 0",
        0.65,
        "That is the slope of a line through 0: take the means off first.",
        each=_AT_0,
    ),
    _line(
        "first and last",
        0.8,
        "That is the line through the first and the last measurement: all count.",
        each=_ENDS,
        result="float(t[0] - each * n[0]), float(each)",
    ),
    _line(
        "slope of first and last",
        0.8,
        "The slope is that between the first and the last measurement: all count.",
        each=_ENDS,
    ),
    _line(
        "slope of smallest and largest",
        0.8,
        "The slope is that between two measurements: all count.",
        each=_EXTREMES,
    ),
    _line(
        "smallest and largest",
        0.8,
        "That is the line through two measurements: all count.",
        each=_EXTREMES,
        result="float(t[n.argmin()] - each * n.min()), float(each)",
    ),
    _line(
        "mean of ratios",
        0.65,
        "That is the mean latency of an image, with its share of the fixed part.",
        each="(t / n).mean()",
    ),
    _line(
        "exchanged",
        0.65,
        "The two are exchanged: (fixed, each).",
        result="float(each), float(t.mean() - each * n.mean())",
    ),
    _line(
        "latency of one",
        0.65,
        "That is the latency of batch 1: the fixed part is the line at 0.",
        result="float(t.mean() - each * (n.mean() - 1)), float(each)",
    ),
    _line(
        "mean latency",
        0.65,
        "That is the mean latency: the fixed part is the line at 0.",
        result="float(t.mean()), float(each)",
    ),
    _line(
        "turned",
        0.65,
        "That is the slope of batches over time: latency over batch is asked for.",
        each="(away * away).sum() / (away * t).sum()",
    ),
    _line(
        "a mean of squares",
        0.65,
        "The slope is divided by the number of measurements once too often.",
        each="(away * t).mean() / (away * away).sum()",
    ),
    _batch(
        "rounded",
        0.7,
        "Rounded to the nearest, the batch may break the limit: round down.",
        batch="max(0, round((limit - fixed) / each))",
    ),
    _batch(
        "rounded up",
        0.7,
        "Rounded up, the batch breaks the limit: round down.",
        batch="max(0, math.ceil((limit - fixed) / each))",
    ),
    _batch(
        "one too few",
        0.7,
        "A latency of just the limit is within it.",
        batch="max(0, math.ceil((limit - fixed) / each) - 1)",
    ),
    _batch(
        "fixed forgotten",
        0.7,
        "The fixed part is not taken off the limit.",
        batch="max(0, int(limit // each))",
    ),
    _batch(
        "fixed for each",
        0.7,
        "The fixed part is paid once a batch, not for each image.",
        batch="max(0, int(limit // (fixed + each)))",
    ),
    _batch(
        "below 0",
        0.7,
        "Where not even one image fits, the batch is 0.",
        batch="int((limit - fixed) // each)",
    ),
    _batch(
        "at least one",
        0.7,
        "Where not even one image fits, the batch is 0.",
        batch="max(1, int((limit - fixed) // each))",
    ),
    _batch(
        "a power of two",
        0.7,
        "That is the next power of two below: any whole number may be a batch.",
        batch="2 ** int(math.log2(max(1, (limit - fixed) // each))) if limit >= fixed + each else 0",
    ),
    _batch_otherwise(
        "a float",
        0.7,
        "A batch is a whole number of images",
        batch="max(0.0, (limit - fixed) // each)",
    ),
    *(
        Known("choose_batch", name, 0.8, says, f"caffe_fixed = {value}")
        for name, value, says in (
            ("by hand: each", 52 / 15, "That is what each image costs."),
            ("by hand: batch 1", 15, "That is the latency of batch 1, with its one image."),
            ("by hand: of 16", 15 - 52 / 16, "From batch 1 to batch 16 there are 15 more images."),
            ("by hand: GIE's", 3.7 - 35.3 / 15, "That is GIE's."),
            ("by hand: the difference", 52, "That is what 15 more images cost."),
            ("by hand: a sixteenth", 67 / 16, "That is the latency of batch 16 for each image."),
            (
                "by hand: one added",
                15 + 52 / 15,
                "That is batch 2: the fixed part is what batch 0 would take.",
            ),
        )
    ),
    *(
        Mistake("choose_batch", f"reading {letter}", 0.85, says, f'what_went = "{letter}"')
        for letter, says in (("b", "GIE: 35.3 ms"), ("c", "Compare both"), ("d", "15 ms became"))
    ),
]
REPLIES = {
    "b": "15 more images took Caffe 52 ms and GIE: 35.3 ms. What did batch 1 save?",
    "c": "Compare both: each image's part before and after, the fixed part likewise.",
    "d": "At batch 1 15 ms became 3.7 ms: something went. What of it is for one image?",
}
LINES = (
    (
        (np.array([1.0, 2.0, 4.0]), np.array([3.0, 5.0, 9.0])),
        (1.0, 2.0),
        "The points lie on that line.",
    ),
    (
        (np.array([1.0, 3.0]), np.array([2.0, 2.0])),
        (2.0, 0.0),
        "Both take the same time: all of it is fixed.",
    ),
)
BATCHES = (
    ((0.0, 1.0, 8.0), 8, "Without a fixed part, 8 ms are enough for 8 images of 1 ms."),
    ((4.0, 1.0, 8.0), 4, "4 ms are left for images."),
    ((4.0, 3.0, 8.0), 1, "Two would take 10 ms."),
    ((4.0, 5.0, 8.0), 0, "One would take 9 ms."),
)
IN_LINE = (("truth value", "n and t are arrays: compute with all of them at once."),)

MISTAKES = Table(
    sys.modules[__name__],
    [*_PRUNE, *_SHARE, *_HUFFMAN, *_FILE, *_FOLD, *_QUANTIZE, *_LINEAR, *_LATENCY],
)
