"""Checks of lab 09: a vocabulary, recurrent steps, streams, truncated backpropagation, sampling."""

from typing import Any

import numpy as np
import torch
from torch import nn

from grading.answer.exercise import exercise, part
from grading.answer.fault import Fault
from grading.answer.student import Student, probe
from grading.checks import expect
from grading.checks.answers import char_rnn as answers

RECURRENT = [
    "torch.nn.RNN",
    "torch.nn.RNNCell",
    "torch.nn.LSTM",
    "torch.nn.LSTMCell",
    "torch.rnn_tanh_cell",
    "torch.lstm_cell",
    "torch.lstm",
]

_ALPHABET = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJ 0123456789.,;!?\n\téßñžω∑—“”猫吾輩人間𝄞😀"


def _text(rng, different, length=60):
    """A text with exactly so many different characters, the newline among them."""
    chosen = ["\n", *rng.choice([c for c in _ALPHABET if c != "\n"], different - 1, replace=False)]
    rest = rng.choice(chosen, length - different).tolist()
    return "".join(rng.permutation([*chosen, *rest]).tolist())


@probe
def refusal(learner, text, unknown):
    """What encode does with a character that is not in the text: (kind of error, its message)."""
    vocabulary = learner.Vocabulary(text)
    vocabulary.encode(text)  # what it knows it has to take
    try:
        got = vocabulary.encode(unknown)
    except Exception as error:
        return type(error).__name__, str(error)
    return "", repr(got)


@exercise("Vocabulary", points=1)
def judge_vocabulary(student, rng):
    texts = [_text(rng, 12), _text(rng, 25)]
    with part("characters: each once, in the order of code points", points=0.3):
        for text in texts:
            right, known = "".join(sorted(set(text))), _character_mistakes(text)
            got = _vocabulary(student, text)["characters"]
            _judge_characters(got, right, known, text)
    with part("encode: ids as an int64 tensor", points=0.3):
        for text in texts:
            ids = np.array([sorted(set(text)).index(c) for c in text])
            firsts = [list(dict.fromkeys(text)).index(c) for c in text]
            known = {
                "The first character has the id 0, not 1.": torch.from_numpy(ids + 1),
                "Those are code points: an id is the place in `characters`.": torch.tensor(
                    [ord(c) for c in text]
                ),
                "Ids go by first appearance: they are places in the sorted `characters`.": torch.tensor(
                    firsts
                ),
            }
            got = _vocabulary(student, text).encode(text)
            right = torch.from_numpy(ids)
            given = {"text": text}
            expect.equal(got, right, what="encode(text)", given=given, knows=known)
            kind = "" if str(got.dtype) == "torch.int64" else str(got.dtype)
            why = "Ids are whole numbers: torch.tensor(…, dtype=torch.int64)."
            expect.that(
                not kind, "The ids have another dtype than int64.", diagnosis=why, detail=kind
            )
    keys = "A member of a tensor is a tensor, and no key of a dictionary: ids.tolist() has numbers."
    with part("decode: the way back", points=0.2), expect.explained(("KeyError: tensor(", keys)):
        for text in texts:
            order = rng.permutation(len(set(text)))
            right = "".join(np.array(sorted(set(text)))[order].tolist())
            got = _vocabulary(student, text).decode(torch.from_numpy(order))
            what, why = (
                "decode(ids)",
                "decode joins characters to one string; nothing goes between.",
            )
            expect.that(type(got) is str, "decode does not return a string.", diagnosis=why)
            _same_text(got, right, what, {"characters": sorted(set(text)), "ids": order})
    with part("encode refuses an unknown character by name", points=0.2):
        for text in texts:
            _vocabulary(student, text)
            strange = str(rng.choice(["Ж", "Q", "犬", "🐈"]))
            kind, said = expect.items(refusal(student, text, text[:3] + strange), 2)
            given = {"text": text, "unknown": strange}
            silent = (
                "A character that is passed over or replaced in silence spoils everything after."
            )
            message = "encode takes a character that is not in the vocabulary."
            expect.that(kind, message, given=given, diagnosis=silent, detail=f"It gave {said}.")
            why = "Raise ValueError yourself, with the character in its message."
            message = "encode raises another error than ValueError for an unknown character."
            expect.that(
                kind == "ValueError", message, given=given, diagnosis=why, detail=f"{kind}: {said}"
            )
            why = "Put the character into the message, so that whoever reads it can find it."
            message = "The error does not show the unknown character."
            expect.that(
                strange in said, message, given=given, diagnosis=why, detail=f"It says: {said}"
            )


def _vocabulary(student, text):
    made = student.Vocabulary(text)
    message = "`Vocabulary(text)` should make an object with characters, encode and decode."
    expect.that(type(made) is Student, message, kind="type")
    return made


def _character_mistakes(text):
    return {
        "They are not sorted: the order has to be that of the code points.": "".join(
            dict.fromkeys(text)
        ),
        "Each character comes once, however often the text has it.": "".join(sorted(text)),
        "The order is upside down.": "".join(sorted(set(text), reverse=True)),
        "Blank space is missing: spaces, tabs and line ends are characters like others.": "".join(
            c for c in sorted(set(text)) if not c.isspace()
        ),
        "The text is stripped first: line ends at its edges are characters, too.": "".join(
            sorted(set(text.strip()))
        ),
        "Capitals are made small: they are characters of their own.": "".join(
            sorted(set(text.lower()))
        ),
        "Only ASCII is kept: any Unicode character counts.": "".join(
            c for c in sorted(set(text)) if c.isascii()
        ),
    }


def _judge_characters(got, right, known, text):
    """A string; a list or tuple of the same characters is told what to do."""
    given = {"text": text}
    if type(got) in (list, tuple) and list(got) == list(right):
        why = 'Join them to one string: "".join(…).'
        expect.that(False, "`characters` is no string.", given=given, diagnosis=why, kind="type")
    if type(got) in (bytes, list, tuple) and any(type(c) is int for c in got):
        why = "Bytes are no characters: UTF-8 has several for one. Work on the string itself."
        expect.that(False, "`characters` holds numbers.", given=given, diagnosis=why, kind="type")
    expect.that(
        type(got) is str,
        "`characters` is no string.",
        given=given,
        kind="type",
        diagnosis='It should be a string with each different character once, such as "ehlo".',
    )
    if got != right:
        near = [why for why, wrong in known.items() if wrong == got]
        same = "The right characters in a wrong order: sort them by code point, as sorted does."
        strange = "Some are not in the text: only the characters that it has are taken."
        why = same if sorted(got) == list(right) else strange if set(got) - set(right) else ""
        why = near[0] if near else why
        raise Fault(
            "value",
            "`characters` is not right.",
            why,
            given=f"For the text {text!r}.",
            expected=repr(right),
            got=repr(got),
        )


def _same_text(got, right, what, given):
    if got == right:
        return
    points = "Those are the characters with these code points: an id is a place in `characters`."
    near = {
        "It is the wrong way round.": right[::-1] == got,
        "Something is put between the characters.": got[::2] == right,
        points: got == "".join(map(chr, given["ids"])),
    }
    why = next((why for why, wrong in near.items() if wrong), "")
    why = why or "Each id is the place of its character in `characters`."
    shown = ", ".join(f"{name} = {expect.show(value)}" for name, value in given.items())
    raise Fault(
        "value",
        f"{what} is not right.",
        why,
        given=f"For {shown}.",
        expected=repr(right),
        got=repr(got),
    )


def _numbers(rng, *shape):
    """Normal numbers, double, none of them near 0."""
    sign = np.where(rng.random(shape) < 0.5, -1.0, 1.0)
    return torch.from_numpy(sign * rng.uniform(0.2, 1.2, size=shape))


@probe
def unrolled(learner, x, states, W, U, b):
    """The learner's step over a sequence: the states after each character."""
    step = learner.rnn_step if len(states) == 1 else learner.lstm_step
    out, count = [], len(states)
    for one in x:
        states = step(one, *states, W, U, b)
        states = states if isinstance(states, tuple | list) else (states,)
        out.append([s.detach().clone() if hasattr(s, "detach") else s for s in states])
        if len(states) != count:
            break
    return out


_ROWS = (
    ("cannot be multiplied", "Our rows are texts: W x becomes x @ W.T, and U h becomes h @ U.T."),
    ("size of tensor", "Our rows are texts: W x becomes x @ W.T, then b fits to each row."),
    ("values to unpack", "The gates stand side by side in (B, 4H): chunk(4, dim=1) cuts columns."),
)
_CLOSE: Any = {"rtol": 1e-5, "atol": 1e-6}  # float32 will do


@exercise("rnn_step", points=1, forbids={"rnn_step": RECURRENT})
def judge_rnn_step(student, rng):
    with part("h' = tanh(W x + U h + b)", points=0.6), expect.explained(*_ROWS):
        for B, D, H in ((2, 3, 3), (3, 2, 4)):
            given = _rnn_inputs(rng, B, D, H)
            right, known = answers.rnn_step(**given)
            got = student.rnn_step(**given)
            expect.close(got, right, what="h'", given=given, knows=known, **_CLOSE)
            expect.unchanged(student)
    with part("one text alone is a batch of one", points=0.15):
        given = _rnn_inputs(rng, 1, 3, 2)
        right, known = answers.rnn_step(**given)
        got = student.rnn_step(**given)
        expect.close(got, right, what="h'", given=given, knows=known, **_CLOSE)
    with part("over a sequence it equals nn.RNN", points=0.25):
        layer = nn.RNN(3, 5, dtype=torch.float64)
        x, h = _numbers(rng, 7, 2, 3), _numbers(rng, 2, 5)
        right = layer(x, h[None])[0].detach()
        reply = unrolled(student, x, (h,), *_weights(layer))
        _judge_sequence(reply, [right], ("h",))


def _weights(layer):
    """W, U and b of a recurrent layer of torch's, whose two biases are added."""
    weights = {name: weight.detach() for name, weight in layer.named_parameters()}
    bias = weights["bias_ih_l0"] + weights["bias_hh_l0"]
    return weights["weight_ih_l0"], weights["weight_hh_l0"], bias


def _rnn_inputs(rng, B, D, H):
    names = {"x": (B, D), "h": (B, H), "W": (H, D), "U": (H, H), "b": (H,)}
    return {name: _numbers(rng, *shape) for name, shape in names.items()}


def _judge_sequence(reply, right, names):
    # A step whose result cannot go into the next one ends the sequence.
    whole = type(reply) is list and len(reply) == len(right[0])
    message = "A step does not return the state that the next step takes."
    expect.that(whole, message, diagnosis=f"Return {' and '.join(names)}, no more and no less.")
    steps = expect.items(reply, len(right[0]), what="the list of states")
    for t, states in enumerate(steps):
        for name, state, wanted in zip(names, expect.items(states, len(names)), right, strict=True):
            with_given = f"After character {t + 1} of {len(right[0])}."
            expect.close(state, wanted[t], what=name, given=with_given, rtol=1e-4, atol=1e-5)


@exercise("lstm_step", points=2, forbids={"lstm_step": RECURRENT})
def judge_lstm_step(student, rng):
    shapes = ((2, 3, 3), (3, 2, 4), (1, 3, 2))
    with part("the new cell c'", points=0.7), expect.explained(*_ROWS):
        for B, D, H in shapes:
            _judge_lstm(student, _lstm_inputs(rng, B, D, H), 1)
    with part("the new state h'", points=0.5), expect.explained(*_ROWS):
        for B, D, H in shapes:
            _judge_lstm(student, _lstm_inputs(rng, B, D, H), 0)
    with part("over a sequence it equals nn.LSTM", points=0.5):
        layer = nn.LSTM(3, 4, dtype=torch.float64)
        x, h, c = _numbers(rng, 6, 2, 3), _numbers(rng, 2, 4), _numbers(rng, 2, 4)
        hs, cs, state = [], [], (h[None], c[None])
        for one in x:
            out, state = layer(one[None], state)
            hs.append(out[0].detach())
            cs.append(state[1][0].detach())
        reply = unrolled(student, x, (h, c), *_weights(layer))
        _judge_sequence(reply, [torch.stack(hs), torch.stack(cs)], ("h", "c"))
    with part("share_left", points=0.3):
        how = "With the input gate at 0 each step only multiplies c by the forget gate."
        expect.answer(student, "share_left", *answers.share_left(), how, rtol=0.02)


def _lstm_inputs(rng, B, D, H):
    names = {"x": (B, D), "h": (B, H), "c": (B, H), "W": (4 * H, D), "U": (4 * H, H), "b": (4 * H,)}
    return {name: _numbers(rng, *shape) for name, shape in names.items()}


def _judge_lstm(student, given, which):
    """One of (h', c'); a wrong pair is diagnosed as a pair."""
    (right, known), name = answers.lstm_step(**given), ("h'", "c'")[which]
    shown = {key: value for key, value in given.items() if key in ("x", "h", "c")}
    pair = expect.items(student.lstm_step(**given), 2, what="the result (h, c)", given=shown)
    expect.unchanged(student)
    try:
        expect.close(pair[which], right[which], what=name, given=shown, **_CLOSE)
    except Fault as fault:
        fault.diagnosis = _which(pair, known) or fault.diagnosis
        raise


def _which(pair, known):
    for diagnosis, wrong in known.items():
        try:
            expect.close(tuple(pair), wrong, **_CLOSE)
        except Fault:
            continue
        return diagnosis
    return ""


@probe
def batches(learner, ids, batch_size, length):
    got = learner.stream_batches(ids, batch_size, length)
    at_once = isinstance(got, tuple)  # one pair, returned
    return at_once, [tuple(one) if isinstance(one, tuple | list) else one for one in got]


@exercise("stream_batches", points=1.5)
def judge_stream_batches(student, rng):
    # In the first the parts fill whole batches; in the others something is left over.
    cases = [(2 * 12 + 1, 2, 4), (3 * 11 + 2, 3, 4), (4 * 9 + 4, 4, 5)]
    cases = [(rng.permutation(90)[:n], B, T) for n, B, T in cases]
    leftover = "Only B · S ids fill B parts of S = (N − 1) // B: cut the others off before view."
    parts = expect.explained(("is invalid for input", leftover), ("cannot reshape", leftover))
    with part("as many batches as fit, each (B, T) int64", points=0.3), parts:
        for ids, B, T in cases:
            _pairs(student, ids, B, T)
    with part("x: row b of each batch goes on with row b of the one before", points=0.6):
        for ids, B, T in cases:
            _judge_stream(student, ids, B, T, 0)
    with part("y: the character after each, across the edges too", points=0.6):
        for ids, B, T in cases:
            _judge_stream(student, ids, B, T, 1)


def _pairs(student, ids, B, T):
    """The learner's batches, as many and of the shapes that they should be."""
    right, known = answers.stream_batches(ids, B, T)
    given = f"For {len(ids)} ids, batch_size = {B}, length = {T}."
    at_once, got = expect.items(batches(student, torch.from_numpy(ids), B, T), 2)
    pairs = type(got) is list and all(type(one) is tuple and len(one) == 2 for one in got)
    why = "return ends the function with the first batch: yield hands out one after another."
    lists = "Hand out one pair (x, y) after another, not all x and then all y."
    why = why if at_once else ""
    why = lists if at_once and all(type(one) is tuple for one in got) else why
    message = "The batches are not pairs (x, y)."
    expect.that(pairs, message, given=given, diagnosis=why, kind="type")
    kinds = {str(getattr(one, "dtype", type(one).__name__)) for pair in got for one in pair}
    tensors = all(type(one) is torch.Tensor for pair in got for one in pair)
    message = "x and y are not tensors of int64, as ids are."
    expect.that(
        tensors and kinds <= {"torch.int64"},
        message,
        given=given,
        kind="type",
        diagnosis="Slices of `ids` are such tensors: hand them out as they are.",
        detail=f"They are {', '.join(sorted(kinds))}.",
    )
    shapes = [tuple(tuple(getattr(one, "shape", ())) for one in pair) for pair in got]
    wanted = [(x.shape, y.shape) for x, y in right]
    if shapes != wanted:
        near = [why for why, wrong in known.items() if _equal_batches(got, wrong)]
        turned = shapes == [(x.T.shape, y.T.shape) for x, y in right] and B != T
        why = near[0] if near else ""
        why = why or ("The shape is (T, B): the rows are texts, (B, T)." if turned else "")
        if not why and len(shapes) != len(wanted):
            why = "Each part has (N − 1) // B characters, and a batch takes T of them."
        raise Fault(
            "shape",
            "The number of batches or their shapes are not right.",
            why,
            given=given,
            detail=f"expected {len(wanted)} batches of {wanted[0][0]},"
            f" yours {len(shapes)}: {shapes[:3]}",
        )
    return got, right, known, given


def _judge_stream(student, ids, B, T, which):
    got, right, known, given = _pairs(student, ids, B, T)
    name = "xy"[which]
    for k, (mine, theirs) in enumerate(zip(right, got, strict=True)):
        if np.array_equal(mine[which], theirs[which].numpy()):
            continue
        near = [why for why, wrong in known.items() if _equal_batches(got, wrong)]
        if not near:
            near = [w for w, wrong in known.items() if _equal_batches(got, wrong, only=which)]
        why = near[0] if near else ""
        if all(any(np.array_equal(one[0], other[0]) for other in right) for one in got):
            why = why or "The batches come in another order than the text: the state needs it kept."
        raise Fault(
            "value",
            f"{name} has other characters than it should.",
            why,
            given=f"{given} ids = {expect.show(ids)}, batch {k}.",
            expected=f"{name} = {expect.show(mine[which])}",
            got=f"{name} = {expect.show(theirs[which])}",
        )


def _equal_batches(got, wrong, only=None):
    which = (0, 1) if only is None else (only,)
    return len(got) == len(wrong) and all(
        np.array_equal(np.asarray(theirs[i]), mine[i])
        for theirs, mine in zip(got, wrong, strict=True)
        for i in which
    )


@probe
def draws(learner, scores, temperature, top_k, seed):
    import torch

    torch.manual_seed(seed)
    before = scores.clone()
    ids = learner.sample(scores, temperature, top_k)
    return ids, bool(torch.equal(before, scores))


_DRAWS = 20_000


@exercise("sample", points=1.5)
def judge_sample(student, rng):
    def judge(temperature, top_k, count=6):
        # Well apart, the best in a random place, and all positive.
        row = rng.permutation(np.linspace(0.3, 2.8, count) + rng.uniform(-0.1, 0.1, count))
        ids = _draws(student, rng, torch.from_numpy(row).expand(_DRAWS, count), temperature, top_k)
        _judge_shares(ids, row, temperature, top_k)

    odd = "multinomial takes probabilities: softmax, not its logarithm, and no score as it is."
    with (
        part("at temperature 1: the probabilities of softmax", points=0.4),
        expect.explained(("probability tensor", odd)),
    ):
        judge(1.0, None)
    with part("the temperature divides the scores", points=0.4):
        for temperature in (0.4, 2.5):
            judge(temperature, None)
    nobody = "In some rows nobody may take part: compare each row with its own k-th best score."
    best = part("top_k: only the k best take part", points=0.4)
    with best, expect.explained(("probability tensor", nobody)):
        judge(1.0, 3)
        judge(2.5, 2)
        judge(1.0, 6)
        _judge_rows(student, rng)
    why = "Dividing by 0 makes NaN or ∞: treat 0 by itself, and take the argmax of each row."
    zero = expect.explained(("probability tensor", why), ("division by zero", why), ("nan", why))
    with part("temperature 0: the best, for certain", points=0.15), zero:
        scores = torch.from_numpy(rng.normal(size=(50, 7)))
        ids = _draws(student, rng, scores, 0, None)
        right = scores.argmax(dim=1)
        message = "At temperature 0 it is not the best score that is taken."
        expect.that(torch.equal(ids.long(), right), message, diagnosis=why)
    with part("each row by its own scores", points=0.15):
        scores = torch.full((60, 5), -20.0)
        best = torch.from_numpy(rng.integers(5, size=60))
        scores[torch.arange(60), best] = 20.0
        ids = _draws(student, rng, scores, 1.0, None)
        why = (
            "Each row is a prediction of its own: softmax and topk go along dim=1. And softmax is"
            " applied once."
        )
        message = "Rows in which one score is far ahead do not take it."
        expect.that(torch.equal(ids.long(), best), message, diagnosis=why)


def _judge_rows(student, rng):
    """Rows of different heights: the k best of one are not those of another."""
    scores = torch.from_numpy(rng.permuted(np.tile(np.arange(5.0), (300, 1)), axis=1))
    scores += torch.from_numpy(rng.uniform(-9, 9, size=(300, 1)))
    ids = _draws(student, rng, scores, 2.0, 2)
    own = scores.topk(2, dim=1).indices == ids[:, None]
    why = "The k best are those of each row: topk(k, dim=1), and compare each row with its own."
    expect.that(own.any(dim=1).all(), "Not only the k best of each row are drawn.", diagnosis=why)


def _draws(student, rng, scores, temperature, top_k):
    n, V = scores.shape
    given = f"For scores of shape ({n}, {V}), temperature = {temperature}, top_k = {top_k}."
    reply = draws(student, scores.contiguous(), temperature, top_k, int(rng.integers(2**31)))
    ids, untouched = expect.items(reply, 2)
    if getattr(ids, "shape", None) == (n, 1):
        why = "multinomial returns (B, 1): take the column, [:, 0]."
        message = "The ids have shape (B, 1) and should have (B,)."
        raise Fault("shape", message, why, given=given)
    right = type(ids) is torch.Tensor and tuple(ids.shape) == (n,) and ids.dtype == torch.int64
    if not right:
        what = expect.show(ids) if ids is not None else "None"
        raise Fault(
            "type",
            "The result should be one id for each row: a tensor (B,) of int64.",
            _of_the_wrong_form(ids, V),
            given=given,
            got=what,
        )
    inside = bool(((ids >= 0) & (ids < V)).all())
    expect.that(
        inside,
        "Some ids are no places in a row of scores.",
        given=given,
        diagnosis="topk's second result has the places in the row: an index drawn among the"
        " k best has to be looked up there.",
    )
    message = "The call changed its argument `scores` in place."
    why = "masked_fill and scores / temperature make new tensors; scores[…] = … and /= do not."
    expect.that(untouched, message, given=given, diagnosis=why)
    return ids


def _of_the_wrong_form(ids, V):
    shape = getattr(ids, "shape", None)
    if type(ids) in (tuple, Student):
        return "max and topk give values and their places: the places are the ids."
    if shape == ():
        return "One character in all is too few: each row draws its own."
    return "It has one id for each column: argmax goes along dim=1." if shape == (V,) else ""


def _judge_shares(ids, row, temperature, top_k):
    right = answers.chances(row, temperature, top_k)
    share = np.bincount(ids.numpy(), minlength=len(row)) / len(ids)
    # Five standard deviations, and no draw at all where the chance is 0.
    slack = 5 * np.sqrt(right * (1 - right) / len(ids)) + 1e-12
    if (abs(share - right) <= slack).all():
        return
    known = answers.wrong_chances(row, temperature, top_k)
    near = {why: abs(share - wrong).sum() for why, wrong in known.items()}
    why = min(near, key=lambda one: near[one]) if near else ""
    if not near or near[why] > 0.06:
        places = "topk's second result has the places in the row: look the drawn index up there."
        why = places if top_k is not None and share[top_k:].sum() == 0 else ""
    raise Fault(
        "value",
        "The characters are not drawn with the right frequencies.",
        why,
        given=f"For scores {expect.show(row)}, temperature = {temperature}, top_k = {top_k},"
        f" {len(ids):,} draws.",
        expected=f"shares {expect.show(right)}",
        got=f"shares {expect.show(share)}",
    )


@probe
def trained(learner, sizes, weights, chunks, lr, clip):
    """Some steps of bptt_step on a small model: what each returned, and the final weights."""
    import torch
    from torch import nn

    class Tiny(nn.Module):
        def __init__(self, V, H):
            super().__init__()
            self.embedding, self.lstm = nn.Embedding(V, H), nn.LSTM(H, H, batch_first=True)
            self.output = nn.Linear(H, V)

        def forward(self, x, state=None):
            h, state = self.lstm(self.embedding(x), state)
            return self.output(h), state

    model = Tiny(*sizes)
    model.load_state_dict(weights)
    optimizer = torch.optim.SGD(model.parameters(), lr=lr)
    notes, state = [], None
    for x, y in chunks:
        try:
            result = learner.bptt_step(model, state, x, y, optimizer, clip)
        except RuntimeError as error:
            if "backward through the graph a second time" not in str(error):
                raise
            return {"twice": True, "steps": notes, "weights": {}}
        if not isinstance(result, tuple | list) or len(result) != 2:
            return {"alone": type(result).__name__}
        loss, state = result
        tensor = isinstance(loss, torch.Tensor)
        is_pair = isinstance(state, tuple | list) and len(state) == 2
        parts = state if is_pair else ()
        hangs = any(isinstance(p, torch.Tensor) and p.requires_grad for p in parts)
        kept = loss.detach() if tensor else loss
        note = {"loss": kept, "graph": tensor and loss.requires_grad, "hangs": hangs}
        note["state"] = tuple(p.detach().clone() for p in parts) if is_pair else state
        notes.append(note)
        if hangs or not is_pair:
            break
    weights = {name: p.detach().clone() for name, p in model.state_dict().items()}
    return {"twice": False, "steps": notes, "weights": weights}


_TRAINING = (
    ("Expected target size", "F.cross_entropy takes (N, V) and (N,): flatten both."),
    ("does not require grad", "Something cuts the gradient off too soon: detach after backward."),
    ("'tuple' object has no attribute", "The state is a pair: detach h and c, one by one."),
)


@exercise("bptt_step", points=2, time_limit=20)
def judge_bptt_step(student, rng):
    sizes, chunks, weights = _small_problem(rng, 3)
    loose = 1e6
    args = sizes, weights, chunks, 0.5
    losses, lengths, after, _ = answers.bptt(*args, loose)
    given = "For a small LSTM, chunks x, y of shape (3, 5), plain SGD with rate 0.5"

    loss = part("the loss: mean cross-entropy in nats, as a number", points=0.4)
    with loss, expect.explained(*_TRAINING):
        reply = _trained(student, given, sizes, weights, chunks[:1], 0.5, loose)
        _judge_loss(reply["steps"], losses[0], args, given)
    with part("the state is carried on, its history is cut off", points=0.6):
        still = sizes, weights, chunks, 0.0, loose  # a rate of 0: what else is wrong is no matter
        reply = _trained(student, given, *still)
        _judge_cut(reply, given)
        got, state = reply["steps"][-1]["state"], tuple(answers.bptt(*still)[3])
        fresh = answers.bptt(*still, carry=False)[3]
        known = {"The state is not handed to the model: each chunk starts at zeros.": fresh}
        swapped = answers.bptt(*still, swap=True)[3]
        known |= {"The order is (h, c), as the model gives it.": tuple(swapped)}
        why = "Only optimizer.step() moves weights, with the optimizer that was handed in."
        message = "The weights move although the optimizer's learning rate is 0."
        same = all(torch.equal(reply["weights"][name], weights[name]) for name in weights)
        expect.that(same, message, given=f"{given[:-3]}0, three chunks.", diagnosis=why)
        expect.close(
            tuple(got),
            state,
            what=("h", "c"),
            given=f"{given}, three chunks.",
            knows=known,
            rtol=1e-3,
            atol=1e-5,
        )
    with part("each step goes down the gradient of its own chunk", points=0.5):
        wide = 30 * max(lengths)
        reply = _trained(student, given, *args, wide)
        _judge_cut(reply, given)
        known = answers.bptt_known(*args, wide)
        _judge_weights(reply["weights"], after, known, f"{given}, three chunks, no clipping.")
    with part("gradients are clipped by their common length, before the step", points=0.5):
        tight = 0.3 * min(lengths)
        after, known = answers.bptt(*args, tight)[2], answers.bptt_known(*args, tight)
        reply = _trained(student, given, *args, tight)
        _judge_cut(reply, given)
        _judge_weights(
            reply["weights"], after, known, f"{given}, three chunks, clip = {tight:.3g}."
        )


def _small_problem(rng, count):
    V, H = 6, 4
    generator = torch.Generator().manual_seed(int(rng.integers(2**31)))
    weights = {
        name: torch.randn(p.shape, generator=generator) * 0.7
        for name, p in answers.Tiny(V, H).state_dict().items()
    }
    ids = torch.from_numpy(rng.integers(V, size=(3, 5 * count + 1)))
    cuts = range(0, 5 * count, 5)
    chunks = [(ids[:, k : k + 5].clone(), ids[:, k + 1 : k + 6].clone()) for k in cuts]
    return (V, H), chunks, weights


def _trained(student, given, *args):
    reply = trained(student, *args)
    message = "The step should return two things: the loss, and the state to go on with."
    why = "h and c go together, as one tuple: (loss, (h, c))."
    expect.that("alone" not in reply, message, given=f"{given}.", kind="type", diagnosis=why)
    return reply


def _judge_loss(notes, right, args, given):
    note = expect.items(notes, 1, what="the list of steps")[0]
    graph = (
        "It still hangs on the graph, and a list of such losses keeps every graph in memory: return"
        " loss.item()."
    )
    expect.that(
        not note["graph"],
        "The loss is a tensor with a graph.",
        given=f"{given}.",
        diagnosis=graph,
        kind="type",
    )
    chunk = args[2][0]
    first = *args[:2], [chunk], *args[3:], 1e6
    at_x, mixed = (answers.bptt(*first, loss=one)[0][0] for one in ("x", "reshaped"))
    later = answers.bptt(first[0], answers.bptt(*first)[2], *first[2:])[0][0]
    known = {
        "The loss is a sum: take the mean over all B·T characters.": right * chunk[0].numel(),
        "Softmax is applied twice: F.cross_entropy takes scores.": answers.bptt(
            *first, loss="twice"
        )[0][0],
        "Only the last character of each row counts: all B·T do.": answers.bptt(
            *first, loss="last"
        )[0][0],
        "Scores and targets are put in a row in different orders, so characters meet the scores of"
        " others: flatten both the same way.": answers.bptt(*first, turned=True)[0][0],
        "That is in bits: the loss is in nats.": right / np.log(2),
        "The mean goes over the rows only: over all B·T characters.": right * chunk[0].shape[1],
        "The loss is measured at x: what should be said is y, the characters after.": at_x,
        "reshape keeps the numbers in a row and mixes the axes: flatten(0, 1), or transpose(1, 2).": mixed,
        "That is the loss after the step: return the one whose gradient made the step.": later,
    }
    expect.number(note["loss"], what="the loss", given=f"{given}.")
    expect.close(note["loss"], right, what="the loss", given=f"{given}.", knows=known, rtol=1e-4)


def _judge_cut(reply, given):
    forgotten = (
        "Return h.detach() and c.detach(). Else the next chunk's loss reaches back through this"
        " one, whose graph is gone after backward; kept with retain_graph=True, it grows with each"
        " chunk until memory ends."
    )
    message = "The second chunk's backward goes back into the first chunk."
    expect.that(not reply["twice"], message, given=f"{given}.", diagnosis=forgotten)
    for note in expect.items(reply["steps"], len(reply["steps"]), what="the list of steps"):
        pair = type(note["state"]) is tuple
        message = "The second result is not the state (h, c)."
        why = "Return the loss and the state that the model gave, both parts."
        expect.that(pair, message, given=f"{given}.", diagnosis=why, kind="type")
        message = "The state that is returned still hangs on its graph."
        expect.that(not note["hangs"], message, given=f"{given}.", diagnosis=forgotten)


def _judge_weights(got, right, known, given):
    def same(weights):
        return set(got) == set(weights) and all(
            torch.allclose(got[name], weights[name], rtol=1e-3, atol=1e-5) for name in weights
        )

    if not same(right):
        why = next((why for why, wrong in known.items() if same(wrong)), "")
        raise Fault("value", "The weights after these steps are not right.", why, given=given)


@exercise("bits_per_character", points=1)
def judge_bits_per_character(student, rng):
    with part("the mean surprise, in bits", points=0.4):
        for shape in ((4, 5), (2, 3, 6)):
            scores = _numbers(rng, *shape) * 1.5
            y = torch.from_numpy(rng.integers(shape[-1], size=shape[:-1]))
            _judge_bits(student, scores, y)
    with part("it stays finite and exact where the model was sure and wrong", points=0.15):
        scores = torch.from_numpy(rng.normal(size=(3, 4)))
        y = torch.from_numpy(rng.integers(4, size=3))
        scores[torch.arange(3), (y + 1) % 4] += torch.tensor([300.0, 900.0, 0.0])
        _judge_bits(student, scores, y)
    with part("entropy_at_half", points=0.25):
        how = "Square the three probabilities, scale them to sum 1, then H = −Σ p log₂ p."
        answer = answers.entropy_at_half()
        expect.answer(student, "entropy_at_half", *answer, how, rtol=0.006)
    with part("why_one", points=0.2):
        wrong = {
            "a": "Look at the picture: entropy goes on rising after 1.",
            "c": "Softmax sums to 1 at any temperature.",
            "d": "That is temperature 0. At 1 it draws at random.",
        }
        expect.choice(student, "why_one", "b", wrong)


def _judge_bits(student, scores, y):
    right, known = answers.bits(scores, y)
    given = {"scores": scores, "y": y}
    form = "Any shape (…, V) may come: reshape scores to (N, V) and y to (N,) first."
    pieces = ("target size", "1D target", "Dimension out of range", "size mismatch", "batch_size")
    with expect.explained(*((piece, form) for piece in pieces)):
        got = student.bits_per_character(scores, y)
    hidden = (
        "A probability that rounds to 0 has the logarithm −∞, and a clipped one hides how wrong the"
        " model was: take log_softmax, or F.cross_entropy."
    )
    try:
        expect.number(got, what="the result", given=given)
        expect.close(got, right, what="the result", given=given, knows=known, rtol=1e-5)
    except Fault as fault:
        large = fault.kind == "value" and scores.abs().max() > 100
        if large and not fault.diagnosis and _right_at_mild(student, scores, y):
            fault.diagnosis = hidden
        raise


def _right_at_mild(student, scores, y):
    """Whether the trouble is only with large scores."""
    mild = scores.clamp(-5, 5)
    got = student.bits_per_character(mild, y)
    return abs(float(got) - answers.bits(mild, y)[0]) < 1e-4
