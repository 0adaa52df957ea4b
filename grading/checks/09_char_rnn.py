"""Checks of lab 09: a vocabulary, recurrent steps, streams, truncated backpropagation, sampling."""

import copy
from itertools import pairwise

import numpy as np
import torch

from grading.answer.exercise import exercise, part
from grading.answer.fault import Fault
from grading.answer.student import Student, probe
from grading.checks import expect
from grading.checks.answers import char_rnn as answers
from grading.checks.answers.char_rnn import MISTAKES

RECURRENT = [
    "torch.nn.*RNN*",
    "torch.nn.*LSTM*",
    "torch.nn.modules.rnn",
    "torch.rnn_*",
    "torch.lstm*",
    "torch._VF",
    "torch._C",
    "torch.ops",
    "utils.training.text",  # its network is made of nn.LSTM
]


def _report(student, function, exercise, *args, what, given="", name="", **how):
    """What a function of this file finds beside the student's code is what it finds here, beside
    the right answers, or is known from a mistake of the exercise; returns it."""
    found = lambda own: function(own, *copy.deepcopy(args))  # noqa: E731
    got, right = probe(function)(student, *args), found(answers)
    knows = MISTAKES.values(exercise, found, name or exercise)
    expect.close(got, right, what=what, given=given, knows=knows, **how)
    return got


# ---------------------------------------------------------------------------------- Vocabulary


def _text(rng, more):
    """A text with blanks at its edges, capitals, what UTF-8 and UTF-16 have other ways for."""
    chosen = [*"\taAé猫！𝄞👍🏽", *rng.choice(list("bcdefghBCDEFGH0123.,;ßω"), more, replace=False)]
    return "\n" + "".join(rng.permutation([*chosen, *rng.choice(chosen, 40)])) + " "


_ALL_KNOWN = (
    "Every character of this text is in the vocabulary: look each one up by itself, as a key."
)
_TAKES = ("ValueError", _ALL_KNOWN), ("KeyError", _ALL_KNOWN)


@probe
def refusal(learner, text, unknown):
    """Whether encode raises a ValueError for a character that is not in the text, and with what."""
    vocabulary = learner.Vocabulary(text)
    vocabulary.encode(text)  # what it knows it has to take
    try:
        got = vocabulary.encode(unknown)
    except Exception as error:
        return isinstance(error, ValueError), type(error).__name__, str(error)
    return False, "", repr(got)


@exercise("Vocabulary", points=1)
def vocabulary(student, rng):
    texts = [_text(rng, 6), _text(rng, 9)]  # what they share has other ids in the other one
    others = [text[-9:] + text[:3] + "猫" for text in texts]
    ids = [torch.from_numpy(rng.integers(len(set(text)), size=12)) for text in texts]
    for one in ids:
        one[-1] = one[0]  # an id that comes again

    def check(use, at, what, given, dtype=None):
        """use: takes a vocabulary, the learner's, the right one's or that of a mistake."""
        made = [student.Vocabulary(text) for text in texts][at]
        message = "`Vocabulary(text)` should make an object with characters, encode and decode."
        expect.that(type(made) is Student, message, kind="type")
        got, right = use(made), use(answers.Vocabulary(texts[at]))
        both = lambda own: [own.Vocabulary(text) for text in texts]  # noqa: E731
        known = MISTAKES.values("Vocabulary", lambda own: use(both(own)[at]))
        knows = ((why, one) for why, one in known if not expect.alike(one, right, dtype=dtype))
        with expect.otherwise(_order(got, right) if what == "characters" else ""):
            how = {"what": what, "given": given, "knows": knows, "dtype": dtype}
            expect.close(got, right, rtol=0, atol=0, **how)

    with part("characters: each once, in the order of code points", points=0.3):
        for at in (0, 1):
            check(_characters, at, "characters", {"text": texts[at]})
    encode = part("encode: ids as an int64 tensor", points=0.3)
    one = "An id is one number, and each character has one: (N,)."
    with encode, expect.explained(*_TAKES), expect.otherwise(shape=one):
        for at in (0, 1):
            given = {"the vocabulary of": texts[at], "text": others[at]}
            check(lambda made, at=at: made.encode(others[at]), at, "encode(text)", given, "int64")
    keys = "A member of a tensor is a tensor, and no key of a dictionary: ids.tolist() has numbers."
    with part("decode: the way back", points=0.2), expect.explained(("KeyError: tensor(", keys)):
        for at in (0, 1):
            given = {"the vocabulary of": texts[at], "ids": ids[at]}
            check(lambda made, at=at: made.decode(ids[at]), at, "decode(ids)", given)
    with part("encode refuses an unknown character by name", points=0.2, alone=False):
        for text, strange in zip(texts, rng.permutation(["Ж", "Q", "犬", "🐈"]), strict=False):
            for unknown in (text[:3] + str(strange), str(strange) + text[:3]):
                _check_refusal(student, text, unknown, str(strange))


def _characters(made):
    return made["characters"] if type(made) is Student else made.characters


def _order(got, right):
    """What is wrong with characters that no known mistake gives."""
    if type(got) is bytes:
        return "Bytes are no characters: UTF-8 has several for one. Work on the string itself."
    if type(got) is not str:
        return 'It should be a string with each different character once, such as "ehlo".'
    if sorted(got) == list(right):
        return "The right characters in a wrong order: sort them by code point, as sorted does."
    if set(got) - set(right):
        return "Some are not in the text: only its own count."
    return "Some of the text's characters are missing." if set(right) - set(got) else ""


def _check_refusal(student, text, unknown, strange):
    given = {"the vocabulary of": text, "text": unknown}
    like = (True, "", "")
    right, kind, said = expect.form(refusal(student, text, unknown), like, what="the report")
    message = "encode takes a character that is not in the vocabulary."
    why = "A character that is passed over or replaced in silence spoils everything after."
    expect.that(kind, message, given=given, diagnosis=why, detail=f"It gave {said}.")
    message = "encode raises another error than ValueError for an unknown character."
    why = "Raise ValueError yourself, with the character in its message."
    expect.that(right, message, given=given, diagnosis=why, detail=f"{kind}: {said}")
    message = "The error does not show the unknown character."
    why = "Put the character into the message, so that whoever reads it can find it."
    expect.that(strange in said, message, given=given, diagnosis=why, detail=f"It says: “{said}”")


# ---------------------------------------------------------------------- rnn_step and lstm_step

_PRODUCT = "Gates multiply number by number: *, not @."
# Sizes that only one mistake brings together; the first sizes are B, D, H = 2, 3, 3, then 2, 3, 4.
_STEP = (
    ("(2x3 and 2x3)", _PRODUCT),
    ("(2x4 and 2x4)", _PRODUCT),
    ("(1x8 and", "A state is (B, H), a row for each text."),
    ("cannot be multiplied", "Our rows are texts: W x becomes x @ W.T, and U h becomes h @ U.T."),
    ("dimension 0", "W x and U h are products of matrices: @, not *."),
    ("1D tensors expected", "torch.dot is for two rows of numbers: W x of a batch is x @ W.T."),
    ("size of tensor b (6)", "A gate has H columns, as many as h, not D."),
    (
        "a (3) must match the size of tensor b (2)",
        "Something has B columns where H are due: in rows U h is h @ U.T, and gates multiply number"
        " by number, *, not @.",
    ),
    ("in-place operation", "What comes in is the caller's: make new tensors, f * c, not c *= f."),
    ("size of tensor a (2)", "Our rows are texts: W x becomes x @ W.T, then b fits to each row."),
    (
        "values to unpack",
        "The gates stand side by side in (B, 4H): chunk(4, dim=1) cuts columns. In W, U and b they"
        " stand one below the other: chunk(4) cuts rows. split takes the length of a piece, H.",
    ),
    ("call numpy() on", "NumPy keeps no graph, so no gradient comes back: keep to tensors."),
)
_ROWS = "A state is (B, H), a row for each text."
_CLOSE = {"rtol": 1e-5, "atol": 1e-6}  # float32 will do
_SIZES = ((2, 3, 3), (3, 2, 6), (1, 3, 2))  # B, D, H; a text alone is a batch of one


def _numbers(rng, *shape):
    """Double, none of them near 0."""
    sign = np.where(rng.random(shape) < 0.5, -1.0, 1.0)
    return torch.from_numpy(sign * rng.uniform(0.2, 1.2, size=shape))


def _inputs(rng, B, D, H, states, gates):
    shapes = {"x": (B, D), **dict.fromkeys(states, (B, H))}
    shapes |= {"W": (gates * H, D), "U": (gates * H, H), "b": (gates * H,)}
    return {name: _numbers(rng, *shape) for name, shape in shapes.items()}


def unrolled(learner, name, x, states, weights, pull):
    """The states after each character of x, and how strongly what went in moves the last ones.

    pull: for each state the numbers that the last one is multiplied with; the sum's gradients.
    """
    import torch

    leaves = [one.clone().requires_grad_() for one in (x, *states, *weights)]
    seen, state = [], leaves[1 : 1 + len(states)]
    for one in leaves[0]:
        state = getattr(learner, name)(one, *state, *leaves[1 + len(states) :])
        state = list(state) if isinstance(state, tuple | list) else [state]
        seen.append(torch.stack([*state]))
        if len(state) != len(states):  # they could not go into the next step
            break
    total = sum((last * weight).sum() for last, weight in zip(state, pull, strict=False))
    if total.requires_grad:
        how = {"allow_unused": True, "materialize_grads": True}
        gradients = torch.autograd.grad(total, leaves, **how)
    else:
        gradients = [torch.zeros_like(leaf) for leaf in leaves]
    return {"states": torch.stack(seen).detach(), "gradients": list(gradients)}


def _check_sequence(student, rng, name, states, gates):
    T, B, D, H = 5, 2, 3, 4
    given = _inputs(rng, B, D, H, states, gates)
    before, weights = [given[one] for one in states], [given[one] for one in "WUb"]
    args = name, _numbers(rng, T, B, D), before, weights, [_numbers(rng, B, H) for _ in states]
    last = " and ".join(states)
    about = (
        f"For {T} characters, one after another; the gradients are those of a sum of the last {last},"
        f" for x, {', '.join(states)}, W, U and b."
    )
    only = f"A step returns what the next step takes: {last}, no more and no less."
    with expect.otherwise(shape=only), expect.explained(*_STEP):
        what = "the sequence"
        how = {"what": what, "given": about, "name": name, "rtol": 1e-4, "atol": 1e-5}
        try:
            _report(student, unrolled, name, *args, **how)
        except Fault as fault:  # of hundreds of numbers the first wrong one tells most
            fault.expected = fault.got = ""
            raise


@exercise("rnn_step", points=1, forbids={"rnn_step": RECURRENT})
def rnn_step(student, rng):
    with (
        part("h' = tanh(W x + U h + b)", points=0.6),
        expect.explained(*_STEP),
        expect.otherwise(shape=_ROWS),
    ):
        for sizes in _SIZES:
            given = _inputs(rng, *sizes, "h", 1)
            expect.answers(student, MISTAKES, "rnn_step", given, what="h'", **_CLOSE)
    with part("step after step, and the gradient back through them", points=0.4):
        _check_sequence(student, rng, "rnn_step", "h", 1)


@exercise("lstm_step", points=2, forbids={"lstm_step": RECURRENT})
def lstm_step(student, rng):
    for at, title, points in ((1, "the new cell c'", 0.7), (0, "the new state h'", 0.5)):
        with part(title, points=points), expect.explained(*_STEP):
            for sizes in _SIZES:
                _check_one_of_pair(student, _inputs(rng, *sizes, "hc", 4), at)
    with part("step after step, and the gradient back through them", points=0.5):
        _check_sequence(student, rng, "lstm_step", "hc", 4)
    with part("share_left", points=0.3):
        how = "With the input gate at 0 each step only multiplies c by the forget gate."
        known = dict(MISTAKES.written("lstm_step", "share_left"))
        expect.answer(student, "share_left", answers.share_left, known, how, rtol=0.02)


def _check_one_of_pair(student, given, at):
    """h' or c'; a mistake is known by both."""
    args, shown = list(given.values()), {name: given[name] for name in "xhc"}
    right, got = answers.lstm_step(*args), student.lstm_step(*args)
    got = tuple(expect.items(got, 2, what="the result (h, c)", given=shown))
    pairs = MISTAKES.values("lstm_step", lambda own: own.lstm_step(*args), "lstm_step")
    knows = ((why, wrong[at]) for why, wrong in pairs if expect.alike(got, wrong, **_CLOSE))
    what = ("h'", "c'")[at]
    expect.close(got[at], right[at], what=what, given=shown, knows=knows, **_CLOSE)
    expect.unchanged(student, got, given=shown)


# ------------------------------------------------------------------------------ stream_batches


def batches(learner, ids, batch_size, length):
    """The batches of two passes; a word for what is none."""
    passes = []
    for _ in range(2):
        got = learner.stream_batches(ids, batch_size, length)
        if isinstance(got, tuple):  # at once
            return "two lists" if isinstance(got[0], list | tuple) else "one pair"
        passes.append([tuple(one) if isinstance(one, tuple | list) else one for one in got])
    return passes


_NO_BATCHES = {
    "one pair": "return ends the function with the first batch: yield hands out one after another.",
    "two lists": "Hand out one pair (x, y) after another, not all x and then all y.",
}


_SHUFFLED = "The batches come in another order than the text: the state needs it kept."
_SLICES = "Slices of `ids` are tensors of int64: hand them out as they are."


@exercise("stream_batches", points=1.5)
def stream_batches(student, rng):
    # (N, B, T): filled to the last place; a chunk left over; characters left over; one more
    # character in each part would fit; one row; one chunk; one character a chunk; no chunk fits.
    sizes = [(25, 2, 4), (35, 3, 4), (41, 4, 3), (40, 4, 5), (10, 1, 3), (16, 3, 5), (7, 2, 1)]
    cases = [(torch.from_numpy(rng.permutation(90)[:N]), B, T) for N, B, T in [*sizes, (8, 2, 4)]]
    leftover = "Only B · S ids fill B parts of S = (N − 1) // B: cut the others off before view."

    def check(at):
        for case in cases:
            full = (len(case[0]) - 1) // case[1] * case[1]
            raised = (
                (
                    f"for input of size {full - 1}",
                    "The ids of y are one short: they begin one later"
                    " than x's, and end one later, at B · S + 1.",
                ),
                ("is invalid for input", leftover),
                ("cannot reshape", leftover),
            )
            none = not batches(answers, *case)[0]
            why = [("", "A text too short for one chunk has no batches: that is no error.")]
            with expect.explained(*(why if none else raised)):
                _check_batches(student, at, *case)

    with part("as many batches as fit, (B, T) int64, each row a piece of the text", points=0.3):
        check(None)
    with part("x: row b of each batch goes on with row b of the one before", points=0.6):
        check(0)
    with part("y: the character after each, across the edges too", points=0.6):
        check(1)


def _reordered(got, right):
    """Whether the batches are the right ones, in another order."""
    alike = [[sorted(str(pair) for pair in one) for one in both] for both in (got, right)]
    return alike[0] == alike[1]


def _check_batches(student, at, ids, B, T):
    """at: 0 for x, 1 for y, None for the form, and that rows are pieces of the text."""
    args = ids, B, T
    right, got = batches(answers, *args), probe(batches)(student, *args)
    known = MISTAKES.values("stream_batches", lambda own: batches(own, *args), "stream_batches")
    given = f"For ids = {expect.show(ids)}, batch_size = {B}, length = {T}."
    why = _NO_BATCHES.get(got, "") if type(got) is str else ""
    expect.that(not why, "The batches are not pairs (x, y).", given=given, diagnosis=why)
    try:
        expect.form(got, right, what="the passes", given=given)
        kinds = {str(one.dtype) for batches in got for pair in batches for one in pair}
        message = "x and y are not of int64, as ids are."
        expect.that(kinds <= {"torch.int64"}, message, given=given, kind="dtype")
        place = {one: n for n, one in enumerate(ids.tolist())}
        rows = [row for one in got for x, _ in one for row in x.tolist()]
        steps = {place.get(b, -9) - place.get(a, -9) for r in rows for a, b in pairwise(r)}
        known_ones = all(one in place for row in rows for one in row)
        message = "A row of x is not T characters of the text, one after another."
        expect.that(known_ones and steps <= {1}, message, given=given)
        for n in range(2 if at is not None else 0):
            mine, theirs = ([pair[at] for pair in one[n]] for one in (right, got))
            message = f"The {'xy'[at]} of the batches have other characters than they should."
            if n:
                message = (
                    f"In the second pass the {'xy'[at]} have other characters than they should."
                )
            expect.that(expect.alike(theirs, mine, rtol=0, atol=0), message, given=given)
    except Fault as fault:
        known = [(why, one) for why, one in known if not expect.alike(one, right, dtype="int64")]
        near = [why for why, one in known if expect.alike(got, one)]
        near = [_SLICES] if fault.kind == "dtype" else near
        near = near or [_SHUFFLED] * (fault.kind == "value" and _reordered(got, right))
        fault.diagnosis = near[0] if near else fault.diagnosis
        raise


# -------------------------------------------------------------------------------------- sample


def drawn(learner, rows, times, settings):
    """What is drawn for the rows, so many times each, with one setting after another: [(N,), …]."""
    scores = rows.repeat(times, 1)
    return [learner.sample(scores, *setting) for setting in settings]


_DRAWS = 10_000  # of each row
_BY_ZERO = "Dividing by 0 makes NaN or ∞: treat 0 by itself, and take the argmax of each row."
_NO_P = "multinomial takes probabilities: softmax, not its logarithm, and no score as it is."
_NO_KTH = "With k = V nothing stands at place k: the k-th best has the place k − 1."
_ONE_DRAW = "All rows get one and the same draw: each row draws anew."
_TOO_LARGE = "exp of a large number is infinite: torch.softmax takes care of that."


@exercise("sample", points=1.5)
def sample(student, rng):
    with part("at temperature 1: the probabilities of softmax", points=0.45):
        one = "multinomial's second argument is how many to draw for each row: one."
        with expect.explained(("probability tensor", _NO_P), ("n_sample", one)):
            first, second = _check_draws(student, rng, [(), (1.0,)])
            _ids(student, torch.from_numpy(rng.normal(size=(1, 4))), 1, [(), (0.5, 2)])
        message = "Two calls with the same scores draw the very same characters."
        why = "What is drawn comes out the same each time: a seed belongs before the first draw."
        expect.that(not torch.equal(first, second), message, diagnosis=why)
    with part("the temperature divides the scores", points=0.45):
        with expect.explained(("probability tensor", _NO_P)):
            _check_draws(student, rng, [(2.0,), (0.4,)])
        with expect.explained(("probability tensor", _TOO_LARGE)):
            _check_draws(student, rng, [(0.01,)])
    nobody = (
        "In some rows nobody may take part: compare each row with its own k-th best score, which takes"
        " part itself: only what is below it, <, is left out."
    )
    best = part("top_k: only the k best take part, and nothing is changed in place", points=0.45)
    with best:
        with expect.explained(("probability tensor", _NO_P)):
            _check_draws(student, rng, [()])
        with expect.explained(("probability tensor", nobody), ("tensor b (0)", _NO_KTH)):
            _check_draws(student, rng, [(1.0, 3), (1.0, None), (2.5, 2), (1.0, 1), (1.0, 6)])
    zero = [(piece, _BY_ZERO) for piece in ("probability tensor", "division by zero", "nan")]
    with part("temperature 0: the best, for certain", points=0.15), expect.explained(*zero):
        _check_best(student, rng)


def _check_draws(student, rng, settings):
    """Frequencies, row by row; of scores well apart, the best in a random place, all positive."""
    row = np.linspace(0.3, 2.8, 6)
    rows = np.stack([rng.permutation(row + rng.uniform(-0.1, 0.1, 6)) + up for up in (0, 2, 4)])
    rows = torch.from_numpy(rows).float()
    draws = _ids(student, rows, _DRAWS, settings)
    for k, (setting, ids) in enumerate(zip(settings, draws, strict=True)):
        right, share = answers.chances(rows.double(), *setting).numpy(), _shares(ids, rows)
        # Six standard deviations, and no draw at all where the chance is 0.
        if (abs(share - right) <= 6 * np.sqrt(right * (1 - right) / _DRAWS) + 1e-12).all():
            continue
        of = lambda own, k=k: _shares(drawn(own, rows, _DRAWS, settings)[k], rows)  # noqa: E731
        known = MISTAKES.values("sample", of, "sample")
        near = [
            (abs(share - one).sum(), why) for why, one in known if abs(one - right).sum() > 0.12
        ]
        distance, why = min(near, default=(1.0, ""))
        raise Fault(
            "value",
            "The characters are not drawn with the right frequencies.",
            _ONE_DRAW if _one_draw(share, right) else why if distance < 0.15 else "",
            given=f"For scores {expect.show(rows)}, {_DRAWS:,} draws of each row, {_of(setting)}.",
            expected=f"shares {expect.show(right)}",
            got=f"shares {expect.show(share)}",
        )
    return draws


def _one_draw(share, right):
    """Whether each row gives the same character every time, in some row not the best."""
    same = (share.max(axis=1) == 1).all()
    return same and (share.argmax(axis=1) != right.argmax(axis=1)).any()


def _of(setting):
    return f"temperature, top_k = {(*setting, 1.0, None)[:1] + (*setting, None, None)[1:2]}"


def _shares(ids, rows):
    """How often each place was drawn, row by row."""
    own = ids.view(-1, len(rows)).T.numpy()
    return np.stack([np.bincount(one, minlength=rows.shape[1]) / len(one) for one in own])


def _check_best(student, rng):
    scores = torch.from_numpy(rng.uniform(0.5, 1.5, size=(50, 7)))
    best = torch.from_numpy(rng.integers(7, size=50))
    scores[torch.arange(50), best] = scores.amax(dim=1) + 1e-13  # ahead by a hair
    for ids in _ids(student, scores, 1, [(0,), (0.0, 3)]):
        message = "At temperature 0 it is not the best score that is taken."
        why = "However little it is ahead: treat 0 by itself, with the argmax of each whole row."
        expect.that(torch.equal(ids, best), message, diagnosis=why)


def _ids(student, rows, times, settings):
    """What was drawn, which are places in a row of scores."""
    count, V = len(rows) * times, rows.shape[1]
    given = f"For scores of shape ({count}, {V})."
    reply = probe(drawn)(student, rows, times, settings)
    like = [torch.zeros(count, dtype=torch.int64)] * len(settings)
    first = reply[0] if type(reply) is list and reply else None
    with expect.otherwise(_of_the_wrong_form(first, count, V)):
        expect.form(reply, like, what="the results", given=given)
        expect.close(reply, [one.long() for one in reply], what="the ids", dtype="int64")
    inside = all(bool(((ids >= 0) & (ids < V)).all()) for ids in reply)
    message = "Some ids are no places in a row of scores."
    expect.that(inside, message, given=given)
    return reply


def _of_the_wrong_form(ids, count, V):
    """What a result that is not one id for each row has, where that can be seen."""
    if type(ids) in (tuple, Student):
        return "max and topk give values and their places: the places are the ids."
    if type(ids) is torch.Tensor and ids.is_floating_point():
        return "Ids are places in a row, whole numbers, not the scores that stand there."
    shape = tuple(getattr(ids, "shape", (-1,)))
    if (count, shape) == (1, ()):
        return "squeeze() takes the axis of the rows, too, where there is one row: squeeze(1)."
    return {
        (count, 1): "multinomial, or topk, returns (B, 1): take the column, [:, 0].",
        (): "One character in all is too few: each row draws its own.",
        (1,): "One character in all is too few: each row draws its own.",
        (V,): "It has one id for each column: argmax goes along dim=1.",
    }.get(shape, "")


# ----------------------------------------------------------------------------------- bptt_step


def trained(learner, weights, chunks, lr, clip):
    """Some steps of bptt_step on a small model: losses, the last state, and the final weights.

    clip: None for the function's own. A word for what cannot go on.
    """
    import torch
    import torch.nn.functional as F
    from torch import nn

    class Small(nn.LSTM):  # its states are the scores, made larger
        def forward(self, x, state=None):
            out, state = super().forward(F.one_hot(x, self.input_size).double(), state)
            return (20 if self.training else 5) * out.contiguous(), state

    model = Small(weights["weight_hh_l0"].shape[1], weights["weight_hh_l0"].shape[1])
    model.batch_first = True
    model.double().load_state_dict(weights)
    optimizer = torch.optim.SGD(model.parameters(), lr=lr, momentum=0.9)
    losses, state, limit = [], None, () if clip is None else (clip,)
    for k, (x, y) in enumerate(chunks):
        if k and not (isinstance(state, tuple | list) and len(state) == 2):
            return "no pair"
        if k and any(getattr(one, "requires_grad", False) for one in state):
            return "hangs"
        result = learner.bptt_step(model, state, x, y, optimizer, *limit)
        if not isinstance(result, tuple | list) or len(result) != 2:
            return "not two"
        losses.append(result[0])
        state = result[1]
    after = {name: one.detach().clone() for name, one in model.state_dict().items()}
    return {"losses": losses, "state": state, "weights": after}


_FORGOTTEN = (
    "Return h.detach() and c.detach(). Else the next chunk's loss reaches back through this one,"
    " whose graph is gone after backward; kept with retain_graph=True, it grows with each chunk"
    " until memory ends."
)
_ENDS = {
    "not two": (
        "The step should return two things: the loss, and the state to go on with.",
        "h and c go together, as one tuple: (loss, (h, c)).",
    ),
    "no pair": (
        "The second result is not the state (h, c).",
        "Return the loss and the state that the model gave, both parts.",
    ),
    "hangs": ("The state that is returned still hangs on its graph.", _FORGOTTEN),
}
_OWN_STEPS = "Only optimizer.step() moves weights, by the optimizer's own rate, here 0."
_NO_STATE = "state is None at a text's beginning: detach and return the one that the model gives."
_TRAINING = (
    ("second time", _FORGOTTEN),
    ("same dtype", "A state of None goes to the model as it is: it begins with zeros of its own."),
    ("1D target", "F.cross_entropy takes (N, V) and (N,): flatten(0, 1) keeps the V in a row."),
    ("inplace operation", "optimizer.step() changes weights that backward needs: backward first."),
    ("implemented for 'Long'", "F.cross_entropy takes the scores first, then the ids that came."),
    ("Expected target size", "F.cross_entropy takes (N, V) and (N,): flatten both."),
    ("does not require grad", "Something cuts the gradient off too soon: detach after backward."),
    ("non-iterable NoneType", _NO_STATE),
    ("'NoneType' object is not", _NO_STATE),
    ("'tuple' object has no attribute", "The state is a pair: detach h and c, one by one."),
)


@exercise("bptt_step", points=2, time_limit=20)
def bptt_step(student, rng):
    V, B, T = 5, 3, 6
    weights = {"weight_ih_l0": (4 * V, V), "weight_hh_l0": (4 * V, V)}
    weights |= {"bias_ih_l0": (4 * V,), "bias_hh_l0": (4 * V,)}
    weights = {name: _numbers(rng, *shape) for name, shape in weights.items()}
    ids = torch.from_numpy(rng.integers(V, size=(B, 3 * T + 1)))
    chunks = [(ids[:, k : k + T].clone(), ids[:, k + 1 : k + T + 1].clone()) for k in (0, T, 2 * T)]

    def check(names, count, lr, clip):
        about = f"For a small LSTM and {count} chunks of shape ({B}, {T}), SGD with rate {lr}."
        about += "" if clip is None else f" Gradients are clipped to {clip:g}."
        _check_training(student, names, about, (weights, chunks[:count], lr, clip))

    with part("the loss: mean cross-entropy in nats, as a number", points=0.4):
        check(["losses"], 1, 0.5, 1e4)
    with part("the state is carried on, its history is cut off", points=0.6):
        check(["weights", "state"], 3, 0.0, 1e4)  # a rate of 0: what else is wrong is no matter
    with part("each step goes down the gradient of its own chunk", points=0.5):
        check(["weights"], 3, 0.1, 1e4)
    with part("gradients are clipped by their common length, before the step", points=0.5):
        check(["weights"], 3, 0.1, 0.05)
        check(["weights"], 3, 0.1, None)


def _check_training(student, names, about, args):
    right = trained(answers, *copy.deepcopy(args))  # first: an optimizer's first use imports a lot
    with expect.explained(*_TRAINING):
        reply = probe(trained)(student, *args)
    message, why = _ENDS.get(reply, ("", "")) if type(reply) is str else ("", "")
    expect.that(not message, message, given=about, diagnosis=why, kind="type")
    whole = type(reply) is dict and reply.keys() == right.keys()
    expect.that(whole, "The training has no result.", given=about, kind="type")
    if type(reply["losses"]) is list and any(type(one) is torch.Tensor for one in reply["losses"]):
        why = "A tensor may keep its graph, and a list of losses every graph: return loss.item()."
        message = "The loss is a tensor, not a plain number."
        expect.that("losses" not in names, message, given=about, diagnosis=why, kind="type")
    for name in names:
        of = lambda own, name=name: trained(own, *copy.deepcopy(args))[name]  # noqa: E731
        knows = MISTAKES.values("bptt_step", of, "bptt_step")
        how = {"what": f"the {name}", "given": about, "knows": knows, "rtol": 1e-4, "atol": 1e-6}
        try:
            expect.close(reply[name], right[name], **how)
        except Fault as fault:
            if name == "weights":  # hundreds of numbers show nothing
                fault.message, fault.detail = "The weights after these steps are not right.", ""
                fault.expected = fault.got = ""
                fault.diagnosis = fault.diagnosis or (_OWN_STEPS if args[2] == 0 else "")
            raise


# -------------------------------------------------------------------------- bits_per_character


@exercise("bits_per_character", points=1)
def bits_per_character(student, rng):
    form = "Any shape (…, V) may come: reshape scores to (N, V) and y to (N,) first."
    rows = "Each y is looked up in every row: pair them, one y for each row of scores (gather)."
    pieces = (
        "target size",
        "1D target",
        "out of range",
        "size mismatch",
        "batch_size",
        "shape m",
        "shape '",
    )

    def check(scores, y):
        given, name = {"scores": scores, "y": y}, "bits_per_character"
        with expect.explained(("of bounds", rows), *((piece, form) for piece in pieces)):
            got = expect.answers(student, MISTAKES, name, given, rtol=1e-5)
        message = "The result is a tensor, not a plain number."
        why = "Others compute with it and print it: .item() makes a plain number of it."
        expect.that(type(got) is not torch.Tensor, message, given=given, diagnosis=why, kind="type")

    with part("the mean surprise, in bits", points=0.4):
        for shape in ((4, 5), (2, 3, 6), (7,)):
            y = torch.from_numpy(rng.integers(shape[-1], size=shape[:-1]))
            check(_numbers(rng, *shape) * 1.5, torch.as_tensor(y))
    with part("it stays finite and exact where the model was sure and wrong", points=0.15):
        scores, y = (
            torch.from_numpy(rng.normal(size=(3, 4))),
            torch.from_numpy(rng.integers(4, size=3)),
        )
        check(scores, y)
        scores[torch.arange(3), (y + 1) % 4] += torch.tensor([300.0, 900.0, 40.0])
        hidden = (
            "A probability that rounds to 0 has the logarithm −∞, and a clipped one hides how wrong"
            " the model was: take log_softmax, or cross_entropy."
        )
        with expect.otherwise(hidden):
            check(scores, y)
    with part("entropy_at_half", points=0.25):
        how = "Square the three probabilities, scale them to sum 1, then H = −Σ p log₂ p."
        known = dict(MISTAKES.written("bits_per_character", "entropy_at_half"))
        right = answers.entropy_at_half
        expect.answer(student, "entropy_at_half", right, known, how, rtol=0.006)
    with part("why_one", points=0.2):
        wrong = {
            "a": "Look at the picture: entropy goes on rising after 1.",
            "c": "Softmax sums to 1 at any temperature.",
            "d": "That is temperature 0. At 1 it draws at random.",
        }
        expect.choice(student, "why_one", "b", wrong)
