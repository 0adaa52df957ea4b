"""Checks of lab 08: pruning, shared weights, Huffman's code, a file's size, folding, int8, batches."""

import copy
from contextlib import contextmanager, suppress
from functools import cache
from itertools import pairwise

import numpy as np
import torch
import torch.nn.functional as F

from grading.answer.exercise import exercise, part
from grading.answer.fault import Fault
from grading.answer.student import probe
from grading.checks import expect
from grading.checks.answers import inference as answers
from grading.checks.answers.inference import MISTAKES
from grading.checks.limits import limits

EXACT = {"rtol": 0, "atol": 0}
there = cache(probe)


@contextmanager
def _told(student, exercise, name, of, **how):
    """A fault in the block gets the diagnosis of the mistake that explains all of `of(student)`: by
    one case some mistakes are alike."""
    try:
        yield
    except Fault:
        got = None
        with suppress(Fault, TypeError):
            got = of(student)
        with expect.recognised(got, MISTAKES.values(exercise, of, name), **how):
            raise


def _weights(rng, *shape):
    """None near 0, no two magnitudes alike, more of them negative."""
    n = int(np.prod(shape))
    sign = np.where(rng.permutation(n) < 0.6 * n, -1.0, 1.0)
    return (3 * sign * (rng.permutation(n) + rng.uniform(0.6, 1.4, n)) / n).reshape(shape)


# ------------------------------------------------------------------------------------- pruning


@exercise(
    "prune",
    points=1.25,
    time_limit=20,
    forbids={"prune": ["torch.nn.utils"], "masked_step": ["torch.nn.utils"]},
)
def prune(student, rng):
    def masks(*sizes):
        """sizes: the shape, how many go, and what is added to that and rounded away."""
        cases = [(_weights(rng, *n), (gone + more) / np.prod(n)) for n, gone, more in sizes]
        of = lambda own: [own.prune(*copy.deepcopy(one)) for one in cases]  # noqa: E731
        with _told(student, "prune", "prune", of, **EXACT), expect.explained(*answers.IN_MASK):
            for weights, share in cases:
                _check_mask(student, weights, float(share))

    with part("the mask: the smallest magnitudes go", points=0.35):
        masks(((3, 4), 5, 0), ((3, 2), 4, 0), ((5, 3), 3, 0))
    with part("how many: rounded, none and all", points=0.2):
        near = [((4, 5), int(rng.integers(3, 17)), more) for more in (0.3, -0.3, 0.2, -0.2)]
        masks(*near, ((3, 4), 0, 0), ((4, 3), 12, 0))
    with part("among equal magnitudes, no more and no fewer", points=0.2):
        for gone in (4, 6, 11):
            _check_ties(
                student, rng.permutation(np.repeat([-0.5, 0.5, 1.5, -1.5], 4)).reshape(2, 8), gone
            )
        _check_ties(student, np.full((3, 3), 0.25), 4)
    with part("masked_step: the loss, and what is kept", points=0.2):
        _check_steps(student, rng, ["SGD"], 1)
    with part("masked_step: what is pruned stays 0, whatever the optimizer", points=0.3):
        _check_steps(student, rng, ["momentum", "decay", "Adam"], 3)


def _check_mask(student, weights, share):
    given, right = {"weights": weights, "share": share}, answers.prune(weights, share)
    got = student.prune(*copy.deepcopy(list(given.values())))
    is_mask = type(got) is np.ndarray and got.dtype == bool and got.shape == right.shape
    same = is_mask and got.sum() == right.sum()
    why = (answers.OTHERS if same else answers.COUNT) if is_mask else ""
    with expect.otherwise(why):
        expect.close(got, right, what="the mask", given=given, dtype="bool", **EXACT)
    expect.unchanged(student, right, given=given)


def _check_ties(student, weights, gone):
    given = {"weights": weights, "share": gone / weights.size}
    got = student.prune(*given.values())
    expect.close(got, expect.form(got, weights != 0, what="the mask", given=given), dtype="bool")
    wrong = int((~got).sum()) != gone
    message = "The mask removes another number of weights than `round(share * n)`."
    why = (
        "Where several are equally large, a threshold takes all of them or none: count places in their"
        " order instead."
    )
    right = answers.prune(weights, given["share"])
    knows = MISTAKES.call("prune", **given)
    why = "" if expect.alike(got, ~right) else why
    if wrong and why:  # without equal ones, too?
        apart = np.arange(1.0, 1 + weights.size).reshape(weights.shape)
        with suppress(Fault, TypeError, AttributeError):
            kept = student.prune(apart, given["share"]).sum()
            why = why if kept == right.sum() else answers.COUNT
    with expect.recognised(got, [] if why else knows), expect.otherwise(answers.OTHERS):
        expect.that(not wrong, message, given=given, diagnosis=why)
        least, most = abs(weights)[got].min(initial=9), abs(weights)[~got].max(initial=0)
        expect.that(least >= most, "A larger weight goes, and a smaller one stays.", given=given)


def _stepped(learner, weights, masks, data, kind, steps):
    """Losses and parameters after some steps with an optimizer that has already seen dense ones."""
    import torch

    torch.set_grad_enabled(True)
    network = torch.nn.Sequential(
        torch.nn.Linear(5, 6), torch.nn.Tanh(), torch.nn.Linear(6, 4)
    ).double()
    for parameter, value in zip(network.parameters(), weights, strict=True):
        parameter.data = value.clone()
    own = list(network.parameters())
    optimizer = {
        "SGD": lambda: torch.optim.SGD(own, lr=0.2),
        "momentum": lambda: torch.optim.SGD(own, lr=0.2, momentum=0.9),
        "decay": lambda: torch.optim.SGD(
            own, lr=0.2, momentum=0.5, nesterov=True, weight_decay=0.1
        ),
        "Adam": lambda: torch.optim.Adam(own, lr=0.05, weight_decay=0.01),
    }[kind]()
    x, y = data
    torch.nn.functional.cross_entropy(network(x[::2]), y[::2]).backward()  # gradients are left over
    if kind != "SGD":
        optimizer.step()
    named = dict(network.named_parameters())
    for name, mask in masks.items():
        named[name].data *= mask
    losses = []
    for k in range(steps):
        losses.append(learner.masked_step(network, masks, optimizer, x[k:], y[k:]))
    return [losses, [parameter.detach().clone() for parameter in network.parameters()]]


def _check_steps(student, rng, kinds, steps):
    draw = lambda *shape: torch.from_numpy(rng.normal(size=shape))  # noqa: E731
    for kind in kinds:
        weights = [draw(6, 5), draw(6), draw(4, 6), draw(4)]
        masks = {"0.weight": torch.from_numpy(rng.permutation(30) < 12).view(6, 5)}
        masks["2.weight"] = torch.from_numpy(rng.permutation(24) < 14).view(4, 6)
        if kind == "momentum":
            del masks["2.weight"]  # a matrix without a mask
        args = weights, masks, (draw(9, 5), torch.from_numpy(rng.integers(4, size=9))), kind, steps
        given = f"For a network of 5, 6 and 4 units, {steps} step{'s' * (steps > 1)}, optimizer: {kind}."
        kept = [masks.get(f"{at}", torch.ones(())) for at in ("0.weight", "", "2.weight", "")]
        kept = kept if kind == "SGD" else [torch.ones(())] * 4

        def of(own, args=args, kept=kept):
            """Losses, and the weights that count."""
            report = there(_stepped) if own is student else _stepped
            made = report(own, *copy.deepcopy(args))
            if (
                type(made) is list
                and len(made) == 2
                and type(made[1]) is list
                and len(made[1]) == 4
            ):
                return [made[0], [_times(p, mask) for p, mask in zip(made[1], kept, strict=True)]]
            return made

        right = of(answers)  # first: what an optimizer's first use imports is no part of their time
        with expect.explained(*answers.IN_STEP):
            got = expect.items(of(student), 2, what="the report", given=given)
        with expect.recognised(got, MISTAKES.values("prune", of, "masked_step"), rtol=1e-5):
            plain = type(got[0]) is list and any(type(one) is torch.Tensor for one in got[0])
            message, why = (
                "The loss is a tensor, not a plain number.",
                "loss.item() makes a number of it.",
            )
            expect.that(not plain, message, given=given, diagnosis=why, kind="type")
            expect.close(got[0], right[0], what="the losses", given=given, rtol=1e-5)
            _check_zeros(got[1], right[1], masks if kind != "SGD" else {}, given)
            expect.close(got[1], right[1], what="the parameters", given=given, rtol=1e-5, atol=1e-7)


def _times(value, mask):
    return value * mask if type(value) is torch.Tensor and value.ndim else value


def _check_zeros(got, right, masks, given):
    expect.form(got, right, what="the parameters", given=given)
    named = dict(zip(("0.weight", "0.bias", "2.weight", "2.bias"), got, strict=True))
    back = any(bool(named[name][~mask].any()) for name, mask in masks.items())
    expect.that(not back, "Pruned weights are not 0 after a step.", given=given)


# ------------------------------------------------------------------------------------- sharing

CLUSTERING = ["sklearn", "scipy", "torch.autograd", ".backward"]


@exercise(
    "share_weights",
    points=1.5,
    forbids=dict.fromkeys(["share_weights", "codebook_gradient"], CLUSTERING),
)
def share_weights(student, rng):
    def check(weights, bits):
        given = {"weights": weights, "bits": bits}
        right = answers.share_weights(weights, bits)
        with expect.explained(*answers.IN_SHARING):
            got = student.share_weights(weights.copy(), bits)
        got = expect.items(got, 2, what="the result (codes, codebook)", given=given)
        turned = expect.alike(list(got), list(right)[::-1], rtol=1e-5)
        known = MISTAKES.call("share_weights", weights, bits)
        known = ((why, one) for why, one in known if not expect.alike(one, right, rtol=1e-5))
        places = "" if getattr(got[0], "dtype", None) == np.int64 else answers.PLACES
        with expect.recognised(tuple(got), known, rtol=1e-5):
            expect.that(not turned, "The codes come first, then the codebook.", given=given)
            rounds = expect.recognised(got[1], _rounds(weights, bits), rtol=1e-5)
            with rounds, expect.otherwise(answers.STEPS):
                expect.close(got[1], right[1], what="the codebook", given=given, rtol=1e-5)
            with expect.otherwise(places):
                expect.close(got[0], right[0], what="codes", given=given, dtype="int64", **EXACT)
        expect.unchanged(student, given=given)

    with part("k-means to its end", points=0.6):
        for shape, bits in (((4, 6), 2), ((9, 7), 3)):
            check(_slow(rng, shape, bits), bits)
        check(_long(rng), 3)
    with part("pruned weights have code 0, and take no part", points=0.25):
        for shape, bits in (((4, 6), 2), ((9, 8), 3)):
            dense = _slow(rng, shape, bits)
            weights = np.insert(dense, [0, 2, 2, shape[1]], 0, axis=1)
            check(weights, bits)
    with part("a value without weights stays where it is", points=0.1):
        for sign in (1, -1):
            two = np.concatenate([rng.uniform(0.1, 0.12, 6), rng.uniform(2, 2.01, 6)])
            check(sign * rng.permutation(two).reshape(3, 4), 3)
    with part("a layer of zeros", points=0.05, alone=False):
        check(np.zeros((3, 4)), 2)
    with part("the gradient of a codebook", points=0.4):
        for size, shape in ((4, (3, 4)), (8, (5, 7))):
            _check_gradient(student, rng, size, shape, 1)
    with part("its first number stays 0", points=0.1):
        _check_gradient(student, rng, 8, (4, 5), 0)


def _rounds(weights, bits):
    """The codebooks on the way."""
    values = weights[weights != 0]
    if values.size:
        begun = np.linspace(values.min(), values.max(), 2**bits - 1)
        for _ in range(100):
            begun = answers.moved(values, begun, 1)[0]
            yield answers.ROUNDS, np.append(0, begun)


def _long(rng):
    """Weights for which k-means with 7 values takes 63 rounds, and no weight is near two values."""
    gamma = np.random.default_rng(75).gamma(1.2, 0.5, (30, 20))
    weights = gamma * np.where(np.arange(20) < 7, -1.5, 1) * rng.uniform(0.5, 2)
    return rng.permutation(weights.ravel()).reshape(weights.shape)


def _slow(rng, shape, bits):
    """Weights for which k-means takes several rounds, leaves no value without weights on the way,
    and ends elsewhere from where people begin it."""
    n, count = int(np.prod(shape)), 2**bits - 1
    while True:
        weights = np.sort(
            np.concatenate([rng.gamma(1.2, 0.4, n - n // 3), -rng.gamma(1.2, 0.6, n // 3)])
        )
        low, high = weights[[0, -1]]
        begun = np.linspace(low, high, count)
        steps = [answers.moved(weights, begun, rounds) for rounds in (0, 1, 2, 1000)]
        full = all(len(set(nearest)) == count for _, nearest in steps)
        others = [
            np.quantile(weights, np.linspace(0, 1, count)),
            np.linspace(low, high, count + 2)[1:-1],
        ]
        ends = [steps[0][0], steps[1][0], *(answers.moved(weights, one)[0] for one in others)]
        if full and all(abs(end - steps[-1][0]).max() > 0.03 for end in ends):
            return rng.permutation(weights).reshape(shape)


def _check_gradient(student, rng, size, shape, first):
    """first: the place from which on the gradient counts."""
    codes = rng.integers(0, size - 1, shape)  # the last value has no weights
    codes.ravel()[:4] = [0, 1, 1, 0]
    given = {"gradient": rng.normal(size=shape).round(2), "codes": codes, "size": size}
    leaf = torch.zeros(size, dtype=torch.float64, requires_grad=True)
    (leaf[torch.from_numpy(codes)] * torch.from_numpy(given["gradient"])).sum().backward()
    right = leaf.grad.numpy()
    right[0] = 0
    got = student.codebook_gradient(*copy.deepcopy(list(given.values())))
    known = MISTAKES.values(
        "share_weights", lambda own: own.codebook_gradient(*given.values()), "codebook_gradient"
    )
    nan = type(got) is np.ndarray and got.dtype.kind == "f" and bool(np.isnan(got).any())
    why = answers.NONE if nan else answers.SUMS
    with expect.recognised(got, known, rtol=1e-5), expect.otherwise(why, shape=answers.SIZE):
        expect.form(got, right, what="the gradient", given=given)
        expect.close(got[first:], right[first:], what="the gradient", given=given, rtol=1e-5)
    expect.unchanged(student, given=given)


# ------------------------------------------------------------------------------------- Huffman

WORDS = ["0", "10", "1100", "1101", "111", ""]


@exercise("huffman", points=1.75)
def huffman(student, rng):
    cases = [*(_skewed(rng, n) for n in (2, 6, 8, 12)), [int(rng.integers(2, 9))] * 8]
    with (
        part("words: a prefix code, and none shorter", points=0.7),
        _told(student, "huffman", "huffman", _lengths(cases)),
    ):
        for counts in cases:
            _check_words(student, counts)
    counts = _skewed(rng, 7)
    cases = [[0, *counts[:3], 0, 0, *counts[3:], 0], [0, 0, int(rng.integers(2, 9)), 0], [0] * 4]
    with part("symbols that never come, one alone, none at all", points=0.25):
        with _told(student, "huffman", "huffman", _lengths(cases[:1])):
            _check_words(student, cases[0])
        for counts in cases[1:]:
            _check_words(student, counts)
    words = [WORDS[i] for i in rng.permutation(6)]
    some = [i for i, word in enumerate(words) if word]
    texts = [rng.permutation([*some, *rng.choice(some, n)]).tolist() for n in (3, 6, 9, 5, 8)]
    texts = [text if text != text[::-1] else text[1:] for text in texts]
    texts.append(some)  # in the table's order
    named = {"exercise": "huffman"}
    coded = [answers.encode(text, words) for text in texts]
    encoded = lambda own: [own.encode(text, words) for text in texts]  # noqa: E731
    decoded = lambda own: [own.decode(bits, words) for bits in coded]  # noqa: E731
    with (
        part("encode: one word after another", points=0.3),
        _told(student, "huffman", "encode", encoded),
        expect.explained(*answers.IN_WORDS),
    ):
        for text in texts:
            given = {"symbols": text, "words": words}
            expect.answers(student, MISTAKES, "encode", given, what="the bits", **named)
    with part("encode refuses a symbol without a word", points=0.1, alone=False):
        lost = "The symbol goes lost, and nobody who reads the bits can know."
        _refuses(student, "encode", [*texts[0], words.index("")], words, lost)
    with (
        part("decode: the way back", points=0.3),
        _told(student, "huffman", "decode", decoded),
        expect.explained(*answers.IN_WORDS),
    ):
        for bits in coded:
            given = {"bits": bits, "words": words}
            expect.answers(student, MISTAKES, "decode", given, what="the symbols", **named)
    with part("decode refuses bits that are cut short", points=0.1, alone=False):
        for cut in (1, 2):
            bits = answers.encode([*texts[0], words.index("1101")], words)[:-cut]
            _refuses(
                student,
                "decode",
                bits,
                words,
                "What is left over at the end is in the middle of a word.",
            )
        expect.equal(student.decode("", words), [], what="the symbols of no bits")


def _skewed(rng, n):
    """Counts of n symbols for which no wrong way is by chance as good."""
    while True:
        drawn = np.round(40 * rng.random(n) ** 3 + rng.integers(1, 5, n))
        counts = [int(count) for count in rng.permutation(drawn)]
        if n < 6 or _tell_apart(counts):
            return counts


def _tell_apart(counts):
    best = _total(counts, answers.huffman(counts))
    of = lambda own: _total(counts, own.huffman(list(counts)))  # noqa: E731
    return all(total > best for _, total in MISTAKES.values("huffman", of, "huffman"))


def _total(counts, words):
    return sum(count * len(word) for count, word in zip(counts, words, strict=True))


def _lengths(cases):
    return lambda own: [[len(word) for word in own.huffman(list(one))] for one in cases]


def _check_words(student, counts):
    given = {"counts": counts}
    got = student.huffman(list(counts))
    expect.that(
        type(got) is list, "The result should be a list of words.", given=given, kind="type"
    )
    each = 'There should be a word for each symbol, and "" for one that never comes.'
    expect.that(len(got) == len(counts), each, given=given, kind="shape")
    strings = all(type(word) is str and set(word) <= {"0", "1"} for word in got)
    message = 'Each word should be a string of "0" and "1".'
    expect.that(strings, message, given=given, detail=f"Yours: {got}.", kind="type")
    detail, pairs = f"Yours: {got}.", list(zip(counts, got, strict=True))
    unused = any(word for count, word in pairs if not count)
    expect.that(
        not unused, 'A symbol that never comes has no word: "".', given=given, detail=detail
    )
    missing = any(count and not word for count, word in pairs)
    alone = sum(count > 0 for count in counts) == 1
    why = "Its word has one bit: of no bits nobody could tell how often it came." if alone else ""
    message = "The one symbol alone has no word." if alone else "A symbol that comes has no word."
    expect.that(not missing, message, given=given, diagnosis=why, detail=detail)
    words = sorted(word for word in got if word)
    begins = any(two.startswith(one) for one, two in pairwise(words))
    why = answers.SAME_BIT if len(set(words)) < len(words) else answers.IN_FRONT
    message = "One word begins another, or is another."
    expect.that(not begins, message, given=given, diagnosis=why, detail=detail)
    best, own = _total(counts, answers.huffman(counts)), _total(counts, got)
    detail += f" They take {own} bits in all; {best} are enough."
    message = "There is a prefix code with a smaller total."
    with expect.otherwise(answers.FROM_BELOW):
        expect.that(own == best, message, given=given, detail=detail)


def _refuses(student, name, first, words, why):
    given = f"For {expect.show(first)} and words = {words}."
    try:
        got = getattr(student, name)(first, words)
    except Fault as fault:
        if fault.kind != "exception":
            raise
        right = fault.detail.startswith("ValueError")
        message = f"`{name}` raises another error than ValueError."
        expect.that(right, message, given=given, detail=fault.detail, diagnosis=why)
    else:
        message = f"`{name}` takes what it should refuse with a ValueError."
        expect.that(
            False, message, given=given, diagnosis=why, detail=f"It returned {expect.show(got)}."
        )


# ------------------------------------------------------------------------------------- the file


@exercise(
    "compressed_bits",
    points=1.5,
    stands_on=["huffman"],
    forbids={"compressed_bits": ["utils.compressed"]},
)
def compressed_bits(student, rng):
    def stored(codes, gap_bits):
        given = {"codes": codes, "gap_bits": gap_bits}
        what = ("the gaps", "the codes")
        args = copy.deepcopy(list(given.values()))
        right = answers.entries(*args)
        with expect.explained(*answers.IN_ENTRIES):
            got = student.entries(*args)
        with expect.otherwise("Two lists: all gaps, and all codes, as (gaps, codes)."):
            got = expect.items(got, 2, given=given)
        known = MISTAKES.values(
            "compressed_bits", lambda own: own.entries(codes, gap_bits), "entries"
        )
        same = [len(one) if type(one) is list else 0 for one in got]
        why = answers.BOTH if same[0] != same[1] else ""
        with expect.recognised(tuple(got), known), expect.otherwise(why):
            lists = all(type(one) is list and all(type(n) is int for n in one) for one in got)
            message = "The gaps and the codes should be two lists of int."
            expect.that(lists, message, given=given, kind="type")
            for one, two, name in zip(got, right, what, strict=True):
                detail = f"expected {two}, yours {one}"
                expect.that(
                    len(one) == len(two),
                    f"There are too {'many' if len(one) > len(two) else 'few'} of {name}.",
                    given=given,
                    detail=detail,
                )
                expect.equal(one, two, what=name, given=given)
        expect.unchanged(student, tuple(got), given=given)

    def size(*cases):
        of = lambda own: [own.compressed_bits(copy.deepcopy(one), g) for one, g in cases]  # noqa: E731
        told = _told(student, "compressed_bits", "", of, only=True, **EXACT)
        why = _entries_differ(student, cases)
        with expect.otherwise(why) if why else told, expect.explained(*answers.IN_SIZE):
            for layers, gap_bits in cases:
                shapes = [one[0].shape for one in layers]
                codebooks = [len(one[1]) for one in layers]
                given = (
                    f"For layers of the shapes {shapes}, codebooks of {codebooks} numbers, gaps of"
                    f" {gap_bits} bits."
                )
                got = student.compressed_bits(copy.deepcopy(layers), gap_bits)
                right = answers.compressed_bits(layers, gap_bits)
                expect.close(got, right, what="the size in bits", given=given, **EXACT)
                whole = type(got) is int or isinstance(got, np.integer)
                expect.that(
                    whole, "A number of bits is a whole number, an int.", given=given, kind="dtype"
                )

    with part("entries: gaps that fit", points=0.3):
        stored(_codes(rng, [0, 1, 2, 0, 3, 1, 0], (3, 5), 9), 2)
        stored(_codes(rng, [3, 0, 0, 2, 1], (2, 6), 5), 3)
    with part("entries: fillers, and what comes after the last", points=0.35):
        for gaps, shape in (
            ([0, 3, 4, 1], (4, 5)),
            ([7, 5, 0, 8], (5, 6)),
            ([2, 12, 11, 3], (4, 9)),
        ):
            stored(_codes(rng, gaps, shape, 6), 2)
        stored(_codes(rng, [2, 1, 5], (2, 6), 3), 1)
        stored(_codes(rng, [9, 8, 7, 17], (5, 10), 6), 3)
        stored(np.zeros((3, 4), np.int64), 2)
    with part("compressed_bits: all of one layer", points=0.45):
        one = []
        for bits, gap_bits, rest in ((2, 2, 0), (3, 3, 1), (2, 4, 1), (3, 2, 4)):
            while True:  # one ends with a byte, to one a single bit is left over
                layer = _layer(rng, *rng.integers((4, 8), (10, 16)).tolist(), bits)
                if answers.bits([layer], gap_bits) % 8 == rest:
                    break
            one.append(([layer], gap_bits))
        size(*one)
    with part("compressed_bits: several layers, of all kinds, to a whole byte", points=0.4):
        while True:  # all of them end with a byte; filled up each they are two bytes longer
            several = [_layer(rng, 4, 7, 3), _layer(rng, 6, 4, 2), _layer(rng, 3, 6, 4)]
            if sum(-answers.bits([layer], 2) % 8 for layer in several) == 16:
                break
        none = (np.zeros((2, 3), np.int64), np.zeros(4), np.zeros(2))
        one = (np.array([[0, 0, 2], [0, 0, 2]]), np.array([0.0, 1, 2, 3]), np.zeros(2))
        size((several, 2), (several[::2], 3), ([none, one], 3))


def _entries_differ(student, cases):
    with suppress(Fault, TypeError, ValueError):
        for layers, gap_bits in cases:
            for codes, *_ in layers:
                own = student.entries(codes.copy(), gap_bits)
                if [*map(list, own)] != [*answers.entries(codes, gap_bits)]:
                    return answers.ENTRIES_FIRST
    return ""


def _codes(rng, gaps, shape, most):
    """Codes with these gaps between them, and zeros after the last."""
    flat = np.zeros(int(np.prod(shape)), np.int64)
    flat[np.cumsum(np.array(gaps) + 1) - 1] = rng.integers(1, most + 1, len(gaps))
    return flat.reshape(shape)


def _layer(rng, outputs, inputs, bits):
    """Codes of unequal counts, one of which never comes, and fillers."""
    kinds = np.arange(1, 2**bits - 1)
    codes = rng.choice(kinds, (outputs, inputs), p=kinds[::-1] ** 2.0 / (kinds**2.0).sum())
    codes = np.where(rng.random(codes.shape) < 0.45, codes, 0)
    codes.ravel()[: inputs + 2], codes[-1, -2:] = 0, [1, 0]
    codebook = np.sort(rng.normal(size=2**bits))
    codebook[0] = 0
    return codes, codebook, rng.normal(size=outputs)


# ------------------------------------------------------------------------------------- folding

FUSING = [
    "torch.nn.utils.fus*",
    "torch.ao",
    "torch.quantization",
    "torch.fx",
    "torch.compile",
    "torch._C",
]


def _folded(learner, about, options, eps, training):
    """The folded weight, bias and options, and whether both layers are as before.

    about: conv's weight and bias or None, norm's weight, bias, mean and variance.
    """
    import torch

    weight, bias, *normed = about
    groups = options.get("groups", 1)
    conv = torch.nn.Conv2d(
        weight.shape[1] * groups,
        weight.shape[0],
        tuple(weight.shape[2:]),
        bias=bias is not None,
        **options,
    )
    norm = torch.nn.BatchNorm2d(weight.shape[0], eps=eps)
    conv, norm = conv.train(training == "both"), norm.train(bool(training))
    conv.weight.data = weight.clone()
    if bias is not None:
        conv.bias.data = bias.clone()
    norm.weight.data, norm.bias.data = normed[0].clone(), normed[1].clone()
    norm.running_mean, norm.running_var = normed[2].clone(), normed[3].clone()
    try:
        folded = learner.fold_batch_norm(conv, norm)
    except ValueError as error:
        return f"ValueError: {error}"
    if training:
        return "taken"
    if not isinstance(folded, torch.nn.Conv2d):
        return f"no convolution but {type(folded).__name__}"
    if folded.bias is None:
        return "no bias"
    with torch.no_grad():
        after = [
            conv.weight,
            *([] if bias is None else [conv.bias]),
            norm.weight,
            norm.bias,
            norm.running_mean,
            norm.running_var,
        ]
        before = [one for one in about if one is not None]
        same = all(torch.equal(one, two) for one, two in zip(after, before, strict=True))
        return [
            folded.weight.detach(),
            folded.bias.detach(),
            [*folded.stride, *folded.padding, *folded.dilation, folded.groups],
            bool(same and (conv.bias is None) == (bias is None)),
        ]


def _seen(report, which, x):
    """The weight, the bias, or what such a layer gives for x; a word where it fits no x."""
    if which < 2:
        return report[which]
    weight, bias, options = report[:3]
    try:
        stride, padding, dilation = (tuple(options[k : k + 2]) for k in (0, 2, 4))
        return F.conv2d(x, weight, bias, stride, padding, dilation, options[6])
    except (RuntimeError, TypeError, IndexError):
        return "it fits no such image"


@exercise("fold_batch_norm", points=1, forbids={"fold_batch_norm": FUSING})
def fold_batch_norm(student, rng):
    def draw(*shape):
        return torch.from_numpy(rng.normal(size=shape)).float()

    def args(K, C, with_bias, **options):
        about = [draw(K, C // options.get("groups", 1), 3, 2), draw(K) if with_bias else None]
        about += [
            draw(K) + 0.2,
            draw(K),
            draw(K),
            torch.from_numpy(rng.uniform(0.05, 2, K)).float(),
        ]
        about[-1][0] = 0.002  # where eps matters
        return about, options, float(rng.choice([1e-3, 5e-3])), False

    def check(which, given, *args):
        right = _folded(answers, *copy.deepcopy(args))
        with expect.explained(*answers.IN_FOLD):
            got = there(_folded)(student, *args)
        message = {
            "no convolution": "The result is no convolution.",
            "no bias": "The folded convolution has no bias.",
            "ValueError": "A norm in evaluation mode is refused.",
        }
        for begins, says in message.items():
            told = type(got) is not str or not got.startswith(begins)
            detail = "" if told else got
            expect.that(told, says, given=given, detail=detail, diagnosis=answers.NO_FOLD[begins])
        got = expect.items(got, 4, what="the report", given=given)
        x = draw(2, args[0][0].shape[1] * args[1].get("groups", 1), 6, 7)
        of = lambda own: _seen(_folded(own, *copy.deepcopy(args)), which, x)  # noqa: E731
        knows = MISTAKES.values("fold_batch_norm", of)
        same = all(expect.alike(got[k], right[k], rtol=1e-4, atol=1e-5) for k in (0, 1))
        why = answers.OPTIONS if which == 2 and same else ""
        close = {"rtol": 1e-4, "atol": 1e-5}  # float32
        what = ("the weight", "the bias", "its output")[which]
        seen, wanted = _seen(got, which, x), _seen(right, which, x)
        with expect.recognised(seen, knows, **close), expect.otherwise(why):
            fits = type(seen) is not str
            expect.that(
                fits, "The new layer does not take the images that conv takes.", given=given
            )
            expect.close(seen, wanted, what=what, given=given, **close)
        why = "Build a new layer: copy.deepcopy(conv), and new parameters for it."
        expect.that(got[3] is True, "conv or norm is changed.", given=given, diagnosis=why)

    with part("the weight", points=0.35):
        check(0, "For a convolution without bias.", *args(3, 3, False))
        check(0, "For a convolution with bias.", *args(4, 2, True))
    with part("the bias, without one before and with one", points=0.35):
        for K, C in ((3, 3), (4, 2)):
            check(1, "For a convolution without bias.", *args(K, C, False))
            check(1, "For a convolution with bias.", *args(K, C, True))
    with part("what it computes, with all of conv's options", points=0.2):
        check(2, "For stride 2 and padding 1.", *args(3, 3, True, stride=2, padding=1))
        check(2, "For groups = 2.", *args(4, 6, False, groups=2))
        check(2, "For groups = 4 and dilation 2.", *args(4, 4, True, groups=4, dilation=2))
    with part("a norm in training mode is refused", points=0.1, alone=False):
        given, (*asked, _) = (
            "For a norm in training mode and conv in evaluation mode.",
            args(3, 2, True),
        )
        message = "A norm in training mode is folded."

        def refused(mode):
            got = there(_folded)(student, *asked, mode)
            return type(got) is str and got.startswith("ValueError")

        norm_alone = refused("norm")
        why = "" if norm_alone else answers.MODE if refused("both") else answers.TRAINING
        expect.that(norm_alone, message, given=given, diagnosis=why)


# ---------------------------------------------------------------------------------------- int8

QUANTIZERS = ["torch.quantize_*", "torch.fake_quantize*", "torch.ao", "torch.quantization"]
PRODUCTS = [*QUANTIZERS, "torch._int_mm"]


def _grid(rng, shape, s, z):
    """Values within the grid of scale s and zero point z, both ends among them, and none near the
    middle between two of its points."""
    q = rng.integers(-127, 127, shape)
    q[:, 0], q[:, 1] = -128, 127
    off = np.where(rng.random(shape) < 0.5, -1, 1) * rng.uniform(0.05, 0.35, shape)
    q[:, -1], off[:, :2], off[:, -1] = z[:, 0] + 3, 0, -0.3  # neither cut off nor rounded down,
    q[:, -2], off[:, -2] = z[:, 0] + 7, 0.3  # nor up
    return s * (q - z + off)


@exercise("quantize", points=1, forbids={"calibrate": QUANTIZERS, "quantize": QUANTIZERS})
def quantize(student, rng):
    def scales(x, *per_row):
        given = {"x": x, **dict(zip(("per_row",), per_row, strict=False))}
        right = answers.calibrate(x, *per_row)
        got = student.calibrate(x.copy(), *per_row)
        got = expect.items(got, 2, what="the result (s, z)", given=given)
        arrays = all(type(one) is np.ndarray for one in got)
        message = "s and z should be NumPy arrays."
        expect.that(arrays, message, given=given, diagnosis=answers.KEEP, kind="type")
        _has_dtype(got[1], "int64", "z", given, "Round z, then .astype(np.int64).")
        known = MISTAKES.values("quantize", lambda own: own.calibrate(x, *per_row), "calibrate")
        with expect.recognised(tuple(got), known, rtol=1e-5):
            zeros = answers.ZEROS if not x.any(axis=1).all() else ""
            with expect.otherwise(zeros, shape=answers.KEEP):
                expect.close(got[0], right[0], what="s", given=given, rtol=1e-5)
                expect.close(got[1], right[1], what="z", given=given, dtype="int64", **EXACT)
        expect.unchanged(student, given=given)

    def drawn(rows, low, high):
        x = rng.uniform(low + 0.1 * (high - low), high - 0.1 * (high - low), (rows, 4))
        z = -128 - low * 255 / (high - low)
        high -= 0.15 * (high - low) / 255 * (abs(z % 1 - 0.5) < 0.1)  # z is not near the middle
        x[0, 1], x[-1, 2] = low, high
        return x

    with part("one scale and zero point", points=0.3):
        for low, high in ((-1, 3), (-2.3, 0.4), (-0.2, 0.9)):
            scales(drawn(3, low * rng.uniform(0.9, 1.1), high))
        scales(drawn(2, 0.5, 2.5))  # 0 is in the range, too
        scales(drawn(2, -2.5, -0.7))
    with part("one for each row, also of zeros", points=0.2):
        x = np.concatenate(
            [drawn(1, -1, 2.1), drawn(1, 0.3, 4), drawn(1, -7, -2), drawn(1, -2, 0.7)]
        )
        scales(x, True)
        scales(x * np.array([[1], [0], [1], [1]]), True)
        scales(np.zeros((2, 3)))
    s, z = (
        rng.uniform(0.01, 0.2, (3, 1)),
        np.array([[-128], [40], [3]]) + rng.integers(0, 9, (3, 1)),
    )
    with part("the nearest number, as int8", points=0.2):
        _check_numbers(student, _grid(rng, (3, 7), s, z), s, z)
        _check_numbers(student, _grid(rng, (3, 7), s[1:2], z[1:2]), s[1:2], z[1:2])
    with part("what lies outside saturates", points=0.15):
        x = _grid(rng, (3, 7), s, z)
        x[:, 2] += 300 * s[:, 0]
        x[:, 3] -= 300 * s[:, 0]
        x[:, 4] = [1e4, -1e4, 1e5]
        _check_numbers(student, x, s, z)
    with part("zero_by_hand", points=0.15):
        how = (
            "The range has 255 steps. How many of them lie below 0, and where does the lowest lie?"
        )
        known = dict(MISTAKES.written("quantize", "zero_by_hand"))
        expect.answer(student, "zero_by_hand", answers.zero_by_hand, known, how, rtol=1e-6)


def _has_dtype(got, dtype, what, given, why):
    right = type(got) is not np.ndarray or str(got.dtype) == dtype
    message, detail = f"{what} should have dtype {dtype}.", f"It has {getattr(got, 'dtype', '')}."
    expect.that(right, message, given=given, diagnosis=why, detail=detail, kind="dtype")


def _check_numbers(student, x, s, z):
    given = {"x": x, "s": s, "z": z}
    with expect.explained(*answers.IN_QUANTIZE):
        _has_dtype(student.quantize(*copy.deepcopy([x, s, z])), "int8", "q", given, answers.INT8)
        expect.answers(student, MISTAKES, "quantize", given, what="q", dtype="int8", **EXACT)


@exercise(
    "quantized_linear",
    points=1,
    stands_on=["quantize"],
    forbids={"accumulate": PRODUCTS, "quantized_linear": PRODUCTS},
)
def quantized_linear(student, rng):
    name, small = "quantized_linear", []

    def whole(*shape):
        q = rng.integers(-128, 128, shape).astype(np.int8)
        q[0, :2] = -128, 127
        return q

    def sums(N, inputs, outputs, per_row, extreme=False):
        q_x, q_w = whole(N, inputs), whole(outputs, inputs)
        if extreme:  # sums that float32 cannot hold, nor int16
            q_x, q_w = np.maximum(q_x, 100).astype(np.int8), np.maximum(q_w, 101).astype(np.int8)
        z_x = np.array([[-128 + int(rng.integers(0, 9))]])
        z_w = rng.integers(-128, -90, (outputs if per_row else 1, 1))
        given = {"q_x": q_x, "z_x": z_x, "q_w": q_w, "z_w": z_w}
        with expect.explained(*answers.IN_SUMS):
            got = student.accumulate(*copy.deepcopy(list(given.values())))
            _has_dtype(got, "int32", "The result", given, answers.INT32)
        why = answers.EXACT if extreme and small else ""
        with expect.explained(*answers.IN_SUMS), expect.otherwise(why):
            expect.answers(
                student,
                MISTAKES,
                "accumulate",
                given,
                what="the result",
                exercise=name,
                dtype="int32",
                **EXACT,
            )

    with part("accumulate: the zero points, and no wrapping round", points=0.35):
        sums(2, 3, 2, False)
        sums(2, 4, 3, True)
        small.append("right")
    with part("accumulate: exact sums of many products", points=0.15):
        sums(2, 3000, 3, True, extreme=True)
    with part("quantized_linear: one scale for the weights", points=0.25):
        for N, outputs in ((2, 3), (3, 3)):
            _check_linear(student, rng, N, outputs, False)
    with part("quantized_linear: a scale for each row, and inputs that saturate", points=0.25):
        _check_linear(student, rng, 2, 3, True)
        _check_linear(student, rng, 3, 3, True, saturate=True)


def _check_linear(student, rng, N, outputs, per_row, saturate=False):
    rows = outputs if per_row else 1
    s_x, z_x = rng.uniform(0.01, 0.05, (1, 1)), rng.integers(-120, -60, (1, 1))
    x = _grid(rng, (N, 5), s_x, z_x)
    if saturate:
        x[:, 2] = [9.0, -9.0, 12.0][:N]
    s_w, z_w = rng.uniform(0.01, 0.05, (rows, 1)), rng.integers(-60, 60, (rows, 1))
    q_w = rng.integers(-128, 128, (outputs, 5)).astype(np.int8)
    values = x, s_x, z_x, q_w, s_w, z_w, rng.normal(size=outputs)
    given = dict(zip(("x", "s_x", "z_x", "q_w", "s_w", "z_w", "b"), values, strict=True))
    sums = answers.quantize(x, s_x, z_x), z_x, q_w, z_w
    right = ""
    with suppress(Fault):
        right = student.accumulate(*copy.deepcopy(sums))
    why = "" if expect.alike(right, answers.accumulate(*sums)) else answers.SUMS_FIRST
    with expect.explained(*answers.IN_LINEAR), expect.otherwise(why):
        expect.answers(student, MISTAKES, "quantized_linear", given, what="y", rtol=1e-5, atol=1e-6)


# ------------------------------------------------------------------------------------- batches

FITTING = [
    "numpy.polyfit",
    "numpy.polynomial",
    "numpy.linalg.lstsq",
    "scipy",
    "sklearn",
    "statistics",
    "torch.linalg.lstsq",
]


@exercise("choose_batch", points=1, forbids={"latency_line": FITTING})
def choose_batch(student, rng):
    name = "choose_batch"

    def line(noise, *batches):
        cases = []
        for n in batches:
            fixed, each, n = rng.uniform(2, 9), rng.uniform(0.5, 3), np.array(n, float)
            off = rng.uniform(0.3, 1, len(n)) * np.where(np.arange(len(n)) % 2, 1, -1)
            cases.append({"n": n, "t": fixed + each * n + noise * off})
        of = lambda own: [own.latency_line(*one.values()) for one in cases]  # noqa: E731
        told = _told(student, name, "latency_line", of, only=True, rtol=1e-5)
        with (
            limits(student, "latency_line", *answers.LINES),
            told,
            expect.explained(*answers.IN_LINE),
        ):
            for given in cases:
                what = {"what": ("fixed", "each"), "exercise": name, "rtol": 1e-5}
                expect.answers(student, MISTAKES, "latency_line", given, **what)

    def chosen(*cases):
        of = lambda own: [own.choose_batch(*one) for one in cases]  # noqa: E731
        told = _told(student, name, name, of, only=True, **EXACT)
        with limits(student, name, *answers.BATCHES), told:
            for given in (dict(zip(("fixed", "each", "limit"), one, strict=True)) for one in cases):
                got = expect.answers(student, MISTAKES, name, given, what="the batch", **EXACT)
                whole = type(got) is int or isinstance(got, np.integer)
                message = "A batch is a whole number of images, an int."
                expect.that(whole, message, given=given, kind="dtype")

    with part("latency_line: measurements on a line", points=0.15):
        line(0, [1, 2, 4], [2, 16, 8, 5])
    with part("latency_line: the least squared error", points=0.2):
        line(0.8, [1, 2, 4, 8, 16], [3, 1, 9, 32], [8, 24, 2, 4, 6])
    with part("choose_batch: the largest within the limit", points=0.3):
        some = [
            (float(rng.integers(1, 9)), each, int(rng.integers(5, 40))) for each in (0.5, 2.0, 3.25)
        ]
        cases = [(a, b, a + b * (k + more)) for a, b, k in some for more in (0.625, 0, 0.25)]
        chosen(*cases, (5.0, 2.0, 6.0), (5.0, 1.0, 3.0), (5.0, 1.0, 6.0))
    with part("caffe_fixed", points=0.2):
        how = "What do 15 more images cost? Take one image's part from the latency of batch 1."
        known = dict(MISTAKES.written(name, "caffe_fixed"))
        expect.answer(student, "caffe_fixed", answers.caffe_fixed, known, how, rtol=0.006)
    with part("what_went", points=0.15):
        expect.choice(student, "what_went", answers.what_went, answers.REPLIES)
