"""Lab 09: the right answers, and what people get wrong about characters, memory, streams, chance."""

import sys

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from grading.checks.mistakes import Known, Mistake, Table, variants


class Vocabulary:
    def __init__(self, text):
        self.characters = "".join(sorted(set(text)))
        self.ids = {character: i for i, character in enumerate(self.characters)}

    def encode(self, text):
        unknown = set(text) - self.ids.keys()
        if unknown:
            raise ValueError(f"not in the vocabulary: {sorted(unknown)}")
        return torch.tensor([self.ids[character] for character in text], dtype=torch.int64)

    def decode(self, ids):
        return "".join(self.characters[i] for i in ids.tolist())


def rnn_step(x, h, W, U, b):
    return torch.tanh(x @ W.T + h @ U.T + b)


share_left = 0.9**20


def lstm_step(x, h, c, W, U, b):
    i, f, g, o = (x @ W.T + h @ U.T + b).chunk(4, dim=1)
    c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
    return torch.sigmoid(o) * torch.tanh(c), c


def stream_batches(ids, batch_size, length):
    size = (len(ids) - 1) // batch_size
    x = ids[: batch_size * size].view(batch_size, size)
    y = ids[1 : batch_size * size + 1].view(batch_size, size)
    for start in range(0, size - length + 1, length):
        yield x[:, start : start + length], y[:, start : start + length]


def sample(scores, temperature=1.0, top_k=None):
    if temperature == 0:
        return scores.argmax(dim=1)
    return torch.multinomial(chances(scores, temperature, top_k), 1)[:, 0]


def chances(scores, temperature=1.0, top_k=None):
    """The probabilities (B, V) that `sample` draws with."""
    if temperature == 0:
        return F.one_hot(scores.argmax(dim=1), scores.shape[1]).double()
    if top_k is not None:
        least = scores.topk(top_k, dim=1).values[:, -1:]
        scores = scores.masked_fill(scores < least, -torch.inf)
    return torch.softmax(scores / temperature, dim=1)


def bptt_step(model, state, x, y, optimizer, clip=1.0):
    scores, (h, c) = model(x, state)
    loss = F.cross_entropy(scores.flatten(0, 1), y.flatten())
    optimizer.zero_grad()
    loss.backward()
    nn.utils.clip_grad_norm_(model.parameters(), clip)
    optimizer.step()
    return loss.item(), (h.detach(), c.detach())


def _entropy(*parts):
    p = np.array(parts) / sum(parts)
    return float(-(p * np.log2(p)).sum())


entropy_at_half = _entropy(4, 1, 1)


def bits_per_character(scores, y):
    nats = F.cross_entropy(scores.reshape(-1, scores.shape[-1]), y.reshape(-1))
    return nats.item() / np.log(2)


# ------------------------------------------------------------------------------- the mistakes

_known, _other = variants(
    "Vocabulary",
    """
class Vocabulary:
    def __init__(self, text):
        {before}
        self.characters = {characters}
        self.ids = {{c: i for i, c in enumerate({order})}}

    def encode(self, text):
        {first}
        return {ids}

    def decode(self, ids):
        return {decode}
""",
    before="",
    characters='"".join(sorted(set(text)))',
    order="self.characters",
    first="""unknown = set(text) - self.ids.keys()
        if unknown:
            raise ValueError(f"unknown: {sorted(unknown)}")""",
    ids="torch.tensor([self.ids[c] for c in text])",
    decode='"".join(self.characters[i] for i in ids.tolist())',
)
_SHARED = """
class Vocabulary:
    ids = {}

    def __init__(self, text):
        for c in sorted(set(text)):
            self.ids.setdefault(c, len(self.ids))
        self.characters = "".join(self.ids)

    def encode(self, text):
        unknown = set(text) - self.ids.keys()
        if unknown:
            raise ValueError(f"unknown: {sorted(unknown)}")
        return torch.tensor([self.ids[c] for c in text])

    def decode(self, ids):
        return "".join(self.characters[i] for i in ids.tolist())
"""
_VOCABULARY = [
    _known(
        "code points",
        0.7,
        "Those are code points: an id is the place in `characters`.",
        ids="torch.tensor([ord(c) for c in text])",
    ),
    _known(
        "from one",
        0.7,
        "The first character has the id 0, not 1.",
        ids="torch.tensor([self.ids[c] + 1 for c in text])",
    ),
    _known(
        "by appearance",
        0.7,
        "Ids go by first appearance: they are places in the sorted `characters`.",
        order="dict.fromkeys(text)",
    ),
    _known(
        "each id once",
        0.7,
        "Each character of the text has an id in the result, also one that came before.",
        ids="torch.tensor([self.ids[c] for c in dict.fromkeys(text)])",
    ),
    _known(
        "floats",
        0.7,
        "Ids are whole numbers: torch.tensor(…, dtype=torch.int64).",
        ids="torch.tensor([self.ids[c] for c in text], dtype=torch.float32)",
    ),
    _known(
        "a list of ids",
        0.7,
        "torch.tensor makes a tensor of a list.",
        ids="[self.ids[c] for c in text]",
    ),
    _known(
        "by appearance everywhere",
        0.4,
        "They are not sorted: the order has to be that of the code points.",
        characters='"".join(dict.fromkeys(text))',
        decode='"".join(sorted(self.characters)[i] for i in ids.tolist())',
    ),
    _known(
        "a list",
        0.7,
        'Join them to one string: "".join(…).',
        characters="sorted(set(text))",
    ),
    _known(
        "not once",
        0.0,
        "Each character comes once, however often the text has it.",
        characters='"".join(sorted(text))',
    ),
    _known(
        "upside down",
        0.0,
        "The order is upside down.",
        characters='"".join(sorted(set(text), reverse=True))',
    ),
    _known(
        "no blanks",
        0.0,
        "Blank space is missing: spaces, tabs and line ends are characters like others.",
        characters='"".join(sorted(c for c in set(text) if not c.isspace()))',
    ),
    _known(
        "stripped",
        0.0,
        "The text is stripped first: line ends at its edges are characters, too.",
        characters='"".join(sorted(set(text.strip())))',
    ),
    _known(
        "in small letters",
        0.0,
        "Capitals are made small: they are characters of their own.",
        characters='"".join(sorted(set(text.lower())))',
    ),
    _known(
        "ASCII only",
        0.0,
        "Only ASCII is kept: any Unicode character counts.",
        characters='"".join(sorted(c for c in set(text) if c.isascii()))',
    ),
    _known(
        "bytes",
        0.0,
        "Bytes are no characters: UTF-8 has several for one. Work on the string itself.",
        characters='sorted(set(text.encode("utf-8")))',
    ),
    _known(
        "as UTF-16",
        0.0,
        "That is the order of UTF-16, in which what is beyond 65,535 comes too early.",
        characters='"".join(sorted(set(text), key=lambda c: c.encode("utf-16-be")))',
    ),
    _other(
        "all of ASCII", 0.0, "Some are not in the text", characters='"".join(map(chr, range(128)))'
    ),
    _other("a set's order", 0.0, "in a wrong order", characters='"".join(set(text))'),
    _other(
        "by frequency",
        0.7,
        "sort them by code point",
        order="sorted(set(text))",
        characters='"".join(sorted(set(text), key=text.count))',
        decode='"".join(sorted(self.characters)[i] for i in ids.tolist())',
    ),
    Mistake("Vocabulary", "one for all", 0.0, "Some are not in the text", _SHARED),
    Known(
        "Vocabulary",
        "ids of the class",
        0.7,
        "Those are the ids of the Vocabulary that was made last: each has its own, self.ids = … in"
        " __init__.",
        """
class Vocabulary(Vocabulary):
    ids = {}

    def __init__(self, text):
        self.characters = "".join(sorted(set(text)))
        for i, c in enumerate(self.characters):
            Vocabulary.ids[c] = i

    def encode(self, text):
        if not set(text) <= set(self.characters):
            raise ValueError(set(text) - set(self.characters))
        return torch.tensor([Vocabulary.ids[c] for c in text])
""",
    ),
    _known(
        "code points from the first",
        0.7,
        "Those are code points, counted from the first: an id is the place in `characters`.",
        ids="torch.tensor([ord(c) - ord(self.characters[0]) for c in text])",
    ),
    _other(
        "one-hot",
        0.7,
        "An id is one number",
        ids="F.one_hot(torch.tensor([self.ids[c] for c in text]))",
    ),
    _known(
        "the first alone",
        0.8,
        "Only the first character is returned: does return stand inside a loop?",
        decode="self.characters[ids[0]]",
    ),
    _known(
        "a list as text",
        0.8,
        "That is a list, written as text: join the characters.",
        decode="str([self.characters[i] for i in ids.tolist()])",
    ),
    _known(
        "ids of the text alone",
        0.7,
        "The ids are counted anew from the text to be encoded: they are places in the"
        " vocabulary's `characters`.",
        ids="torch.tensor([sorted(set(text)).index(c) for c in text], dtype=torch.int64)",
    ),
    _other(
        "the text looked up whole",
        0.5,
        "look each one up by itself",
        first="""if text not in self.characters:
            raise ValueError(text)""",
    ),
    _known(
        "a list of characters",
        0.8,
        "decode joins characters to one string; nothing goes between.",
        decode="[self.characters[i] for i in ids.tolist()]",
    ),
    _known(
        "with blanks",
        0.8,
        "Something is put between the characters.",
        decode='" ".join(self.characters[i] for i in ids.tolist())',
    ),
    _known(
        "backwards",
        0.8,
        "It is the wrong way round.",
        decode='"".join(self.characters[i] for i in ids.flip(0).tolist())',
    ),
    _known(
        "chr",
        0.8,
        "Those are the characters with these code points: an id is a place in `characters`.",
        decode='"".join(chr(i) for i in ids)',
    ),
    _known(
        "decoded once",
        0.8,
        "An id that comes again is left out.",
        decode='"".join(self.characters[i] for i in dict.fromkeys(ids.tolist()))',
    ),
    _other(
        "tensors as keys",
        0.8,
        "ids.tolist() has numbers",
        decode='"".join(dict(enumerate(self.characters))[i] for i in ids)',
    ),
    _other("KeyError", 0.8, "Raise ValueError yourself", first=""),
    _other(
        "passed over",
        0.8,
        "passed over or replaced",
        first="text = [c for c in text if c in self.ids]",
    ),
    _other(
        "replaced",
        0.8,
        "passed over or replaced",
        first="text = [c if c in self.ids else self.characters[0] for c in text]",
    ),
    _other(
        "find",
        0.8,
        "passed over or replaced",
        first="",
        ids="torch.tensor([self.characters.find(c) for c in text])",
    ),
    _other(
        "the first alone looked at",
        0.8,
        "passed over or replaced",
        first='if text[0] not in self.ids: raise ValueError(f"unknown: {text[0]}")\n'
        "        text = [c for c in text if c in self.ids]",
    ),
    _other(
        "nameless",
        0.8,
        "Put the character into the message",
        first='if set(text) - self.ids.keys(): raise ValueError("an unknown character")',
    ),
    _other(
        "index",
        0.8,
        "Put the character into the message",
        first="",
        ids="torch.tensor([self.characters.index(c) for c in text])",
    ),
]

_known, _other = variants(
    "rnn_step",
    """
def rnn_step(x, h, W, U, b):
    {first}
    return {result}
""",
    first="",
    result="torch.tanh(x @ W.T + h @ U.T + b)",
)
_NO_GRAPH = (
    "No gradient comes back at all: the result is detached, or a copy without a graph"
    " (torch.tensor, NumPy), or was made under no_grad."
)
_RNN = [
    _other(
        "PyTorch's",
        0,
        "uses torch.nn.RNNCell",
        first="cell = nn.RNNCell(x.shape[1], h.shape[1], dtype=x.dtype)",
        result="cell(x, h).detach()",
    ),
    _other("W not turned", 0, "W x becomes x @ W.T", result="torch.tanh(W @ x + U @ h + b)"),
    _other("as columns", 0, "Our rows are texts", result="torch.tanh(W @ x.T + U @ h.T + b)"),
    _other("no matrices", 0, "@, not *", result="torch.tanh(x @ W.T + h * U + b)"),
    _other("the first row", 0, "a row for each text", result="torch.tanh(W @ x[0] + U @ h[0] + b)"),
    *(
        _other(f"PyTorch's: {name}", 0, "this exercise does without", result=code)
        for name, code in (
            ("op", "torch.ops.aten.rnn_tanh_cell(x, h, W, U, b, 0 * b)"),
            ("in C", "torch._C._VariableFunctions.rnn_tanh_cell(x, h, W, U, b, 0 * b)"),
            ("base", "nn.RNNBase('RNN_TANH', x.shape[1], h.shape[1])(x, h)"),
        )
    ),
    _other("in place", 0, "changed its argument `h`", first="h *= 1.5; h /= 1.5; h += 1e-13"),
    _other(
        "into NumPy",
        0.6,
        "keep to tensors",
        result="torch.tanh(torch.tensor((x @ W.T).numpy()) + h @ U.T + b)",
    ),
    *(
        _known(name, 0, says, result=result)
        for name, says, result in (
            (
                "no tanh",
                "tanh is missing: a state that is not bounded grows without end.",
                "x @ W.T + h @ U.T + b",
            ),
            ("no bias", "The bias b is missing.", "torch.tanh(x @ W.T + h @ U.T)"),
            ("no state", "The state before is missing: U h.", "torch.tanh(x @ W.T + b)"),
            ("no input", "The input is missing: W x.", "torch.tanh(h @ U.T + b)"),
            (
                "U not turned",
                "U acts from the wrong side: in rows, U h is h @ U.T.",
                "torch.tanh(x @ W.T + h @ U + b)",
            ),
            (
                "neither turned",
                "W and U act from the wrong side: in rows, W x is x @ W.T.",
                "torch.tanh(x @ W + h @ U + b)",
            ),
            (
                "W alone not turned",
                "W acts from the wrong side: in rows, W x is x @ W.T.",
                "torch.tanh(x @ W + h @ U.T + b)",
            ),
            (
                "changed places",
                "W and U have changed places: W is for x, U for h.",
                "torch.tanh(h @ W.T + x @ U.T + b)",
            ),
            (
                "sigmoid",
                "That is a sigmoid: a recurrent step has tanh.",
                "torch.sigmoid(x @ W.T + h @ U.T + b)",
            ),
            (
                "relu",
                "That is relu: a recurrent step has tanh.",
                "torch.relu(x @ W.T + h @ U.T + b)",
            ),
            (
                "tanh of a part",
                "tanh goes around everything: it is applied to W x alone here.",
                "torch.tanh(x @ W.T) + h @ U.T + b",
            ),
            (
                "multiplied",
                "W x and U h are multiplied: they are added.",
                "torch.tanh((x @ W.T) * (h @ U.T) + b)",
            ),
            (
                "tanh of the other part",
                "tanh goes around everything: W x stands outside it here.",
                "x @ W.T + torch.tanh(h @ U.T + b)",
            ),
            (
                "two tanh",
                "There are two tanh, of W x and of U h: add first, one tanh goes around all.",
                "torch.tanh(x @ W.T) + torch.tanh(h @ U.T) + b",
            ),
            (
                "added",
                "The old state is added to the new one: it enters through U only.",
                "torch.tanh(x @ W.T + h @ U.T + b) + h",
            ),
            (
                "h without U",
                "h goes in as it is: multiply it by U first.",
                "torch.tanh(x @ W.T + h + b)",
            ),
            (
                "b outside",
                "The bias b stands outside tanh: it is added before.",
                "torch.tanh(x @ W.T + h @ U.T) + b",
            ),
            (
                "b twice",
                "The bias b is added twice.",
                "torch.tanh(x @ W.T + b + h @ U.T + b)",
            ),
            (
                "subtracted",
                "U h is taken away: it is added.",
                "torch.tanh(x @ W.T - h @ U.T + b)",
            ),
            (
                "tanh again",
                "tanh is applied twice.",
                "torch.tanh(torch.tanh(x @ W.T + h @ U.T + b))",
            ),
            (
                "tanh of h",
                "The old state goes through tanh once more: it is multiplied by U as it is.",
                "torch.tanh(x @ W.T + torch.tanh(h) @ U.T + b)",
            ),
            (
                "b subtracted",
                "The bias b is taken away: it is added.",
                "torch.tanh(x @ W.T + h @ U.T - b)",
            ),
            (
                "two tanh, b in one",
                "There are two tanh, of W x and of U h: add first, one tanh goes around all.",
                "torch.tanh(x @ W.T + b) + torch.tanh(h @ U.T)",
            ),
            (
                "softmax",
                "That is a softmax: a recurrent step has tanh.",
                "torch.softmax(x @ W.T + h @ U.T + b, dim=1)",
            ),
            (
                "mean of the rows",
                "The rows of x are averaged: each text has its own input.",
                "torch.tanh((x @ W.T).mean(0) + h @ U.T + b)",
            ),
            (
                "with the old state",
                "Return the new state, no more and no less.",
                "torch.tanh(x @ W.T + h @ U.T + b), h",
            ),
        )
    ),
    _known(
        "h detached",
        0.6,
        "The gradient does not go back through h: with h.detach() nothing before this step learns.",
        first="h = h.detach()",
    ),
    _known(
        "without a graph",
        0.6,
        _NO_GRAPH,
        result="torch.tanh(x @ W.T + h @ U.T + b).detach()",
    ),
    _known(
        "x detached",
        0.6,
        "The gradient does not go back to x: what made x has to learn, too.",
        first="x = x.detach()",
    ),
    _known(
        "weights detached",
        0.6,
        "The gradient does not go back to W and U: they would never be trained.",
        first="W, U = W.detach(), U.detach()",
    ),
]

_known, _other = variants(
    "lstm_step",
    """
def lstm_step(x, h, c, W, U, b):
    {before}
    a = {a}
    {gates} = {cut}
    i, f, o = {i}, {f}, {o}
    g = {g}
    old = c
    {made}
    return {result}
""",
    before="",
    a="x @ W.T + h @ U.T + b",
    gates="i, f, g, o",
    cut="a.chunk(4, dim=1)",
    i="torch.sigmoid(i)",
    f="torch.sigmoid(f)",
    o="torch.sigmoid(o)",
    g="torch.tanh(g)",
    made="c = f * c + i * g",
    result="o * torch.tanh(c), c",
)


def _order(gates):
    return f"The gates are read in the order {gates}. PyTorch's is i, f, g, o."


_LSTM = [
    _other(
        "PyTorch's",
        0,
        "uses torch.lstm_cell",
        before="return torch.lstm_cell(x, (h, c), W, U, b, torch.zeros_like(b))",
    ),
    _other(
        "PyTorch's, as an op",
        0,
        "this exercise does without",
        before="return torch.ops.aten.lstm_cell(x, (h, c), W, U, b, torch.zeros_like(b))",
    ),
    _other("rows cut", 0.3, "chunk(4, dim=1) cuts columns", cut="a.chunk(4)"),
    _other("split(4)", 0.8, "the length of a piece", cut="a.split(4, dim=1)"),
    _other("columns of W", 0.3, "chunk(4) cuts rows", before="i, f, g, o = W.chunk(4, dim=1)"),
    _other(
        "D columns a gate",
        0.3,
        "as many as h, not D",
        cut="(a[:, k : k + x.shape[1]] for k in range(0, 4 * x.shape[1], x.shape[1]))",
    ),
    _known(
        "the candidate for the cell",
        1.0,
        "h' is made from the candidate g: it is o ⊙ tanh c', of the new cell.",
        result="o * torch.tanh(g), c",
    ),
    _known(
        "o added",
        1.0,
        "The output gate is added to tanh c': it multiplies.",
        result="o + torch.tanh(c), c",
    ),
    _known(
        "f added",
        0.3,
        "The old cell is missing: the forget gate multiplies it, f ⊙ c.",
        made="c = f + i * g",
    ),
    _known(
        "softmax for a gate",
        1.0,
        "The output gate is a softmax, which ties its numbers together: a gate is a sigmoid.",
        o="torch.softmax(o, dim=1)",
    ),
    _known(
        "c as it was",
        0.8,
        "The old cell is returned: the second result is the new one.",
        result="o * torch.tanh(c), old",
    ),
    _known(
        "h' from the old h",
        1.0,
        "h' is made from the old h: it is o ⊙ tanh c'.",
        result="o * torch.tanh(h), c",
    ),
    _known(
        "o inside",
        1.0,
        "The sigmoid goes around the product with tanh c': it is that of the output gate alone.",
        o="o",
        result="torch.sigmoid(o * torch.tanh(c)), c",
    ),
    _known(
        "all forgotten alike",
        0.3,
        "The forget gate multiplies the new candidate, too: it is for the old cell alone.",
        made="c = f * (c + i * g)",
    ),
    _other("gates as matrices", 0.3, "number by number: *, not @", made="c = f @ c + i @ g"),
    _known(
        "tanh for the gates",
        0.3,
        "The gates go through tanh: a gate is between 0 and 1, a sigmoid.",
        i="torch.tanh(i)",
        f="torch.tanh(f)",
        o="torch.tanh(o)",
    ),
    _known(
        "tanh for the output gate",
        1.0,
        "The output gate goes through tanh: a gate is between 0 and 1, a sigmoid.",
        o="torch.tanh(o)",
    ),
    _known(
        "W and U",
        0.3,
        "W and U have changed places: W is for x, U for h.",
        a="x @ U.T + h @ W.T + b",
    ),
    _known("taken away", 0.3, "i ⊙ g is taken away: it is added.", made="c = f * c - i * g"),
    _known(
        "the input gate twice",
        1.0,
        "The input gate stands where the output gate should.",
        o="torch.sigmoid(i)",
    ),
    _known(
        "the forget gate twice",
        1.0,
        "The forget gate stands where the output gate should.",
        o="torch.sigmoid(f)",
    ),
    _known(
        "softmax for the gates",
        0.3,
        "The gates go through softmax: each is a number by itself between 0 and 1, a sigmoid.",
        i="torch.softmax(i, 1)",
        f="torch.softmax(f, 1)",
        o="torch.softmax(o, 1)",
    ),
    _known(
        "one gate for two",
        0.3,
        "The old cell is multiplied by 1 − i: here it has a gate of its own, f.",
        made="c = (1 - i) * c + i * g",
    ),
    _known(
        "hard gates",
        0.3,
        "The gates have straight pieces (hardsigmoid): they are sigmoids.",
        i="F.hardsigmoid(i)",
        f="F.hardsigmoid(f)",
        o="F.hardsigmoid(o)",
    ),
    _other("W not turned", 0.3, "W x becomes x @ W.T", a="x @ W + h @ U + b"),
    _other(
        "cell in place",
        0.3,
        "changed its argument `c`",
        made="old = c.clone(); c.mul_(f).add_(i * g)",
    ),
    *(
        _known(f"order {order}", 0.3, _order(order), gates=order)
        for order in ("i, f, o, g", "i, g, f, o", "f, i, o, g", "i, o, f, g", "g, i, f, o")
    ),
    _known(
        "order f, i, g, o",
        0.3,
        _order("f, i, g, o") + " (Or the two have changed places in c'.)",
        gates="f, i, g, o",
    ),
    _known("order o, f, g, i", 0.3, _order("o, f, g, i"), gates="o, f, g, i"),
    _known(
        "interleaved",
        0.3,
        "The rows of one gate are taken one here, one there: each gate has H rows in one piece.",
        cut="a.view(len(a), -1, 4).unbind(2)",
    ),
    *(
        _known(name, points, says, **{piece: code})
        for name, points, says, piece, code in (
            (
                "c first",
                0.3,
                "The result is the wrong way round: the order is (h, c).",
                "result",
                "c, o * torch.tanh(c)",
            ),
            (
                "no tanh at the end",
                1.0,
                "h' is the output gate times tanh of the cell: tanh is missing.",
                "result",
                "o * c, c",
            ),
            (
                "old cell",
                1.0,
                "h' looks at the old cell: it is made from the new one.",
                "result",
                "o * torch.tanh(old), c",
            ),
            (
                "sigmoid at the end",
                1.0,
                "h' has a sigmoid of the cell: it is a tanh.",
                "result",
                "o * torch.sigmoid(c), c",
            ),
            (
                "tanh of all",
                1.0,
                "tanh goes around the output gate, too: in h' it goes around the cell only.",
                "result",
                "torch.tanh(o * c), c",
            ),
            (
                "no output gate",
                1.0,
                "The output gate is missing in h'.",
                "result",
                "torch.tanh(c), c",
            ),
            (
                "the cell twice",
                1.0,
                "The new h is the same as the cell.",
                "result",
                "c, c",
            ),
            ("raw output gate", 1.0, "The output gate has no sigmoid.", "o", "o"),
            (
                "cell through tanh",
                0.8,
                "The cell goes through tanh: c' stays as it is, only h' takes its tanh.",
                "result",
                "o * torch.tanh(c), torch.tanh(c)",
            ),
            ("no tanh of g", 0.3, "The candidate g has no tanh.", "g", "g"),
            (
                "sigmoid of g",
                0.3,
                "The candidate g has a sigmoid: it is a tanh, so that the cell can go down too.",
                "g",
                "torch.sigmoid(g)",
            ),
            (
                "sigmoid, then tanh",
                0.3,
                "The candidate g goes through a sigmoid and then tanh: it is tanh alone.",
                "g",
                "torch.tanh(torch.sigmoid(g))",
            ),
            (
                "coupled",
                0.3,
                "1 − f takes the input gate's place: that is another cell (a coupled one).",
                "made",
                "c = f * c + (1 - f) * g",
            ),
            (
                "nothing forgotten",
                0.3,
                "The forget gate is missing: the old cell is kept whole.",
                "made",
                "c = c + i * g",
            ),
            ("nothing kept", 0.3, "The old cell is missing: f ⊙ c.", "made", "c = i * g"),
            (
                "f times h",
                0.3,
                "f multiplies the old h: it multiplies the old cell c.",
                "made",
                "c = f * h + i * g",
            ),
            (
                "1 - f",
                0.3,
                "The cell is multiplied by 1 − f: f is the share that is kept.",
                "made",
                "c = (1 - f) * c + i * g",
            ),
            (
                "no input gate",
                0.3,
                "The input gate is missing: i ⊙ g.",
                "made",
                "c = f * c + g",
            ),
            (
                "forget bias",
                0.3,
                "1 is added to the forget gate's numbers: the bias b has all that is added.",
                "f",
                "torch.sigmoid(f + 1)",
            ),
            (
                "i added",
                0.3,
                "The input gate is added to the candidate: it multiplies it.",
                "made",
                "c = f * c + i + g",
            ),
            ("no bias", 0.3, "The bias b is missing.", "a", "x @ W.T + h @ U.T"),
            ("b twice", 0.3, "The bias b is added twice.", "a", "x @ W.T + b + h @ U.T + b"),
            ("no state", 0.3, "The old state is missing: U h.", "a", "x @ W.T + b"),
            ("no input", 0.3, "The input is missing: W x.", "a", "h @ U.T + b"),
            (
                "U times c",
                0.3,
                "U is multiplied by the cell: it is multiplied by h.",
                "a",
                "x @ W.T + c @ U.T + b",
            ),
        )
    ),
    _known(
        "no sigmoids",
        0.3,
        "The gates have no sigmoid: without it they are not between 0 and 1.",
        i="i",
        f="f",
        o="o",
    ),
    _known(
        "no sigmoids but one",
        0.3,
        "The input and forget gates have no sigmoid: without it they are not between 0 and 1.",
        i="i",
        f="f",
    ),
    _known(
        "states detached",
        1.5,
        "The gradient does not go back through h and c: with detach() nothing before this step"
        " learns.",
        before="h, c = h.detach(), c.detach()",
    ),
    _known(
        "c detached",
        1.5,
        "The gradient does not go back through c, the path that lasts.",
        before="c = c.detach()",
    ),
    _known(
        "h detached",
        1.5,
        "The gradient does not go back through h.",
        before="h = h.detach()",
    ),
    _known(
        "without a graph",
        1.5,
        _NO_GRAPH,
        result="(o * torch.tanh(c)).detach(), c.detach()",
    ),
    _known(
        "c returned detached",
        1.5,
        "The new c is returned without its history: no gradient comes back along c.",
        result="o * torch.tanh(c), c.detach()",
    ),
    _known(
        "h returned detached",
        1.5,
        "The new h is returned without its history: no gradient comes back along h.",
        result="(o * torch.tanh(c)).detach(), c",
    ),
    _known(
        "gates detached",
        1.5,
        "The gradient does not go through the gates: they would never be trained.",
        before="W, U, b = W.detach(), U.detach(), b.detach()",
    ),
    *(
        Known("lstm_step", name, 1.7, says, f"share_left = {value}")
        for name, says, value in (
            ("percent", "That is in percent: a share is a number between 0 and 1.", "12"),
            ("added up", "Gates multiply, they do not add up.", "0.9 * 20"),
            ("what is gone", "That is the share that is gone: asked is what is left.", "0.878"),
            ("one step", "0.9 for one step; there are twenty, and each multiplies.", "0.9"),
            ("19 steps", "Those are 19 steps.", "0.9**19"),
            ("21 steps", "Those are 21 steps.", "0.9**21"),
            (
                "a tenth",
                "Each step takes a tenth of what is left, not of what there was at first.",
                "0.1",
            ),
            (
                "0.1 kept",
                "The forget gate says what is kept, not what is thrown away: 0.9 is kept.",
                "0.1**20",
            ),
        )
    ),
]

_known, _other = variants(
    "stream_batches",
    """
def stream_batches(ids, batch_size, length):
    B, T = batch_size, length
    size = {size}
    x = ids[: B * size].view(B, size)
    y = {y}
    {again}
    for start in range({starts}):
        yield {pair}
""",
    size="(len(ids) - 1) // B",
    y="ids[1 : B * size + 1].view(B, size)",
    again="",
    starts="0, size - T + 1, T",
    pair="x[:, start : start + T], y[:, start : start + T]",
)
_LAST_BATCH = (
    "The last batch is missing: is the end of range right, and is y cut from the text, not from the"
    " part, where it is one short?"
)
_STREAM = [
    *(
        Known("stream_batches", name, points, says, code)
        for name, points, says, code in (
            (
                "trimmed first",
                0,
                "What does not fill a batch is cut off before the text is made into parts: a part"
                " has (N − 1) // B characters, and leaves its own end out.",
                """
def stream_batches(ids, batch_size, length):
    n = (len(ids) - 1) // (batch_size * length) * batch_size * length
    x, y = ids[:n].view(batch_size, -1), ids[1 : n + 1].view(batch_size, -1)
    yield from zip(x.split(length, dim=1), y.split(length, dim=1))
""",
            ),
            (
                "a heap of lines",
                0.3,
                "The rows of a batch go on in its next row, not in the next batch: cut the text into"
                " B parts first, then each part into chunks.",
                """
def stream_batches(ids, batch_size, length):
    n = (len(ids) - 1) // (batch_size * length)
    cut = n * batch_size * length
    x = ids[:cut].view(n, batch_size, length)
    y = ids[1 : cut + 1].view(n, batch_size, length)
    yield from zip(x, y)
""",
            ),
            (
                "down the columns",
                0,
                "The text runs down the columns: each row has to be one part, read from left to"
                " right.",
                """
def stream_batches(ids, batch_size, length):
    B, T = batch_size, length
    size = (len(ids) - 1) // B
    x, y = ids[: B * size].view(size, B).T, ids[1 : B * size + 1].view(size, B).T
    for start in range(0, size - T + 1, T):
        yield x[:, start : start + T], y[:, start : start + T]
""",
            ),
        )
    ),
    *(
        _known(name, points, says, **{piece: code})
        for name, points, says, piece, code in (
            (
                "T times T",
                0,
                "The places go on in steps of T and are multiplied by T again: do one of the two.",
                "pair",
                "x[:, start * T : (start + 1) * T], y[:, start * T : (start + 1) * T]",
            ),
            ("y is x", 0.9, "y is x itself: it is the characters that come next.", "y", "x"),
            (
                "one character twice",
                0,
                "Batches overlap by a character: the next one begins T characters further on.",
                "starts",
                "0, size - T + 1, max(T - 1, 1)",
            ),
            (
                "the next row",
                0.9,
                "y is the next part: it is the same one, a character further on.",
                "y",
                "x.roll(-1, dims=0)",
            ),
            (
                "ids and 1",
                0.9,
                "1 is added to the ids: what comes after a character is the next one of the text. (In"
                " the example the ids count up.)",
                "pair",
                "x[:, start : start + T], x[:, start : start + T] + 1",
            ),
            (
                "y goes round",
                0.9,
                "y goes round: the last of each part is followed by its first. It is followed by the"
                " next part's first.",
                "y",
                "x.roll(-1, dims=1)",
            ),
            (
                "y is the next x",
                0,
                "y is the chunk after x, T characters further on: it is the same part, read from one"
                " character further on.",
                "again",
                "for k in range(size // T - 1): yield x[:, k * T :][:, :T], x[:, k * T + T :][:, :T]\n"
                "    return",
            ),
            (
                "x and y swapped",
                0.3,
                "y is what came before: it is what comes next.",
                "again",
                "x, y = y, x",
            ),
            (
                "round in each chunk",
                0.9,
                "y goes round in each chunk: its last character is the next chunk's first.",
                "pair",
                "x[:, start : start + T], x[:, start : start + T].roll(-1, dims=1)",
            ),
            (
                "short one kept",
                0,
                "The chunk at the end is shorter than T: leave it out.",
                "starts",
                "0, size, T",
            ),
            ("last one missing", 0, _LAST_BATCH, "starts", "0, size - T, T"),
            (
                "first one missing",
                0,
                "The first batch is missing.",
                "starts",
                "T, size - T + 1, T",
            ),
            (
                "one apart",
                0,
                "Each batch starts one character after the one before: they start T apart.",
                "starts",
                "0, size - T + 1",
            ),
            (
                "y from the part",
                0,
                "y is cut from the part, which ends too soon for it: cut it from the text, one"
                " place further on.",
                "y",
                "x[:, 1:]",
            ),
            (
                "one short",
                0,
                "x and y are cut from the same T characters, so both are one short: cut y from the"
                " text, one place further on.",
                "pair",
                "x[:, start : start + T - 1], x[:, start + 1 : start + T]",
            ),
            (
                "one y a row",
                0,
                "y has only what follows the chunk's last character: each of the T has a next one.",
                "pair",
                "x[:, start : start + T], y[:, start + T - 1]",
            ),
            (
                "turned",
                0,
                "The shape is (T, B): the rows are texts, (B, T).",
                "pair",
                "x[:, start : start + T].T, y[:, start : start + T].T",
            ),
            (
                "a row flat",
                0,
                "The rows are put one after another: a batch is (B, T).",
                "pair",
                "x[:, start : start + T].flatten(), y[:, start : start + T].flatten()",
            ),
            (
                "as lists",
                0,
                "Slices of `ids` are tensors of int64: hand them out as they are.",
                "pair",
                "x[:, start : start + T].tolist(), y[:, start : start + T].tolist()",
            ),
            (
                "floats",
                0,
                "Slices of `ids` are tensors of int64: hand them out as they are.",
                "pair",
                "x[:, start : start + T].float(), y[:, start : start + T].float()",
            ),
            (
                "NumPy",
                0,
                "Slices of `ids` are tensors of int64: hand them out as they are.",
                "again",
                "x, y = x.numpy(), y.numpy()",
            ),
            (
                "upside down",
                0.3,
                "The batches come in another order than the text: the state needs it kept.",
                "pair",
                "x[:, size // T * T - T - start :][:, :T], y[:, size // T * T - T - start :][:, :T]",
            ),
        )
    ),
    _other("N // B", 0, "cut the others off before view", size="len(ids) // B"),
    _other(
        "shuffled",
        0.3,
        "in another order than the text",
        starts="0, size - T + 1, T",
        again="mixed = torch.randperm(size // T) * T if size // T > 1 else [0] * (size // T)",
        pair="x[:, (k := int(mixed[start // T])) : k + T], y[:, k : k + T]",
    ),
    _other("short texts refused", 0, "that is no error", again="assert size >= T"),
    _known(
        "B and T swapped",
        0,
        "batch_size and length have changed places: B rows of T characters.",
        again="B, T, size = T, B, (len(ids) - 1) // T; x = ids[: B * size].view(B, size);"
        " y = ids[1 : B * size + 1].view(B, size)",
    ),
    _known(
        "y two further on",
        0,
        "y is two characters further on: it is the next one.",
        size="(len(ids) - 2) // B",
        y="ids[2 : B * size + 2].view(B, size)",
    ),
    _known(
        "y out of the part",
        0,
        _LAST_BATCH,
        size="len(ids) // B",
        y="x",
        again="x = ids[: B * size].view(B, size); y = x[:, 1:]; size -= 1",
    ),
    _known(
        "y before x",
        0.9,
        "y is the character before: it is the one after.",
        y="ids.roll(1)[: B * size].view(B, size)",
    ),
    _known(
        "row by row",
        0,
        "Each pair is one row of a batch: a batch has all B rows.",
        starts="size // T * B",
        pair="x[start % B, (k := start // B * T) : k + T], y[start % B, k : k + T]",
    ),
    _known(
        "k, not k·T",
        0.3,
        "Batch k begins at column k: it begins at k·T.",
        starts="size // T",
    ),
    _known(
        "y moved twice",
        0,
        "y is cut one place further on in a text that is moved by one already: once is enough.",
        pair="x[:, start : start + T], y[:, start + 1 : start + T + 1]",
    ),
    _known(
        "the part's beginning left out",
        0.3,
        "What does not fill a chunk is left out at the beginning of a part: it is left out at its"
        " end.",
        starts="size % T, size - T + 1, T",
    ),
    _known(
        "the text's beginning left out",
        0.3,
        "The first characters of the text are left out: the parts begin with ids[0].",
        again="n = len(ids) - 1 - B * size; x = ids[n:-1].view(B, size);"
        " y = ids[n + 1 :].view(B, size)",
    ),
    Known(
        "stream_batches",
        "zip of the parts",
        0,
        "Each pair is one part, all its chunks: go along the chunks (dim 1), with all parts in each"
        " batch.",
        """
def stream_batches(ids, batch_size, length):
    size = (len(ids) - 1) // batch_size // length * length
    x = ids[: batch_size * size].view(batch_size, -1, length)
    y = ids[1 : batch_size * size + 1].view(batch_size, -1, length)
    return zip(x, y)
""",
    ),
    _other("y one short", 0, "The ids of y are one short", y="ids[1 : B * size].view(B, size)"),
    _other("y two ahead", 0, "The ids of y are one short", y="ids[2 : B * size + 2].view(B, size)"),
    _known(
        "T + 1 apart",
        0,
        "The chunks start T + 1 apart: the last y of one is the first x of the next.",
        starts="0, size - T + 1, T + 1",
    ),
    _known(
        "T + 1 apart, y from the chunk",
        0,
        "The chunks start T + 1 apart: the last y of one is the first x of the next.",
        starts="0, size - T, T + 1",
    ),
    Known(
        "stream_batches",
        "filled up",
        0,
        "The last part is filled up: what does not fill B parts of (N − 1) // B is left out.",
        """
def stream_batches(ids, batch_size, length):
    size = -(-(len(ids) - 1) // batch_size)
    padded = F.pad(ids, (0, batch_size))
    x = padded[: batch_size * size].view(batch_size, size)
    y = padded[1 : batch_size * size + 1].view(batch_size, size)
    for start in range(0, size - length + 1, length):
        yield x[:, start : start + length], y[:, start : start + length]
""",
    ),
    _known(
        "the same tensors again",
        0.3,
        "Every batch is the last one in the end: the same tensors are filled again. Make new ones.",
        again="keep = torch.empty(2, B, T, dtype=torch.int64)",
        pair="keep[0].copy_(x[:, start : start + T]), keep[1].copy_(y[:, start : start + T])",
    ),
    Mistake(
        "stream_batches",
        "two lists",
        0,
        "not all x and then all y",
        """
def stream_batches(ids, batch_size, length):
    size = (len(ids) - 1) // batch_size
    x = ids[: batch_size * size].view(batch_size, size)
    return list(x.split(length, 1)), list(x.split(length, 1))
""",
    ),
    Mistake(
        "stream_batches",
        "random places",
        0.3,
        "other characters than",
        """
def stream_batches(ids, batch_size, length):
    size = (len(ids) - 1) // batch_size
    for _ in range(size // length):
        at = torch.randint(len(ids) - length, (batch_size, 1)) + torch.arange(length)
        yield ids[at], ids[at + 1]
""",
    ),
    Mistake(
        "stream_batches",
        "returned",
        0,
        "yield hands out",
        "def stream_batches(ids, B, T):\n    return ids[None, :T], ids[None, 1 : T + 1]",
    ),
]

_known, _other = variants(
    "sample",
    """
def sample(scores, temperature=1.0, top_k=None):
    {zero}
    {first}
    if top_k is not None:
        {cut}
    p = {p}
    return {result}
""",
    zero="if temperature == 0: return scores.argmax(dim=1)",
    first="",
    cut="""least = scores.topk(top_k, dim=1).values[:, -1:]
        scores = torch.where(scores < least, -torch.inf, scores)""",
    p="torch.softmax(scores / temperature, dim=1)",
    result="torch.multinomial(p, 1)[:, 0]",
)
_LEAST = """least = {least}
        scores = torch.where(scores {sign} least, {value}, scores)"""
_OF_EACH = "scores.topk(top_k, dim=1).values[:, -1:]"
_BY_ZERO = "treat 0 by itself"
_NO_TEMPERATURE = (
    "The temperature does nothing: it divides the scores, before softmax, with top_k and without."
)
_SAMPLE = [
    *(
        _known(name, points, says, **{piece: code})
        for name, points, says, piece, code in (
            (
                "always the best",
                0.15,
                "It always takes the best: draw at random, with the probabilities.",
                "result",
                "p.argmax(dim=1)",
            ),
            (
                "times",
                0.6,
                "The scores are multiplied by the temperature: they are divided by it.",
                "p",
                "torch.softmax(scores * temperature, dim=1)",
            ),
            (
                "divided twice",
                0.6,
                "The scores are divided by the temperature twice.",
                "p",
                "torch.softmax(scores / temperature / temperature, dim=1)",
            ),
            (
                "no temperature",
                0.6,
                _NO_TEMPERATURE,
                "p",
                "torch.softmax(scores, dim=1)",
            ),
            (
                "of probabilities",
                0.6,
                _NO_TEMPERATURE,
                "p",
                "torch.softmax(scores, dim=1) / temperature",
            ),
            (
                "softmax, then again",
                0.15,
                "Softmax is applied twice.",
                "p",
                "torch.softmax(torch.softmax(scores / temperature, dim=1), dim=1)",
            ),
            (
                "softmax twice",
                0.15,
                "Softmax is applied twice.",
                "first",
                "scores = torch.softmax(scores, dim=1)",
            ),
            (
                "all alike",
                0.15,
                "All are equally likely: are the scores used, and does softmax go along dim=1?",
                "p",
                "torch.ones_like(scores)",
            ),
            (
                "down the columns",
                0.15,
                "Softmax goes down the columns: each row is a prediction of its own, dim=1.",
                "p",
                "torch.softmax(scores / temperature, dim=0) + 1e-9",
            ),
            (
                "scores as they are",
                0.15,
                "Scores are drawn from as they are: softmax makes probabilities of them.",
                "p",
                "scores.clamp(min=0) / temperature + 1e-9",
            ),
            (
                "one row for all",
                0.15,
                "Every row is drawn with the first row's scores: each has its own.",
                "p",
                "torch.softmax(scores[:1] / temperature, dim=1).expand_as(scores)",
            ),
            (
                "no top_k",
                1.05,
                "All take part: top_k is not used.",
                "cut",
                "pass",
            ),
            (
                "set to zero",
                1.05,
                "A score of 0 is no probability of 0: who may not take part needs a score of −∞.",
                "cut",
                _LEAST.format(least=_OF_EACH, sign="<", value="0.0"),
            ),
            (
                "the worst",
                1.05,
                "The worst take part, not the best.",
                "cut",
                _LEAST.format(
                    least="-(-scores).topk(top_k, dim=1).values[:, -1:]",
                    sign=">",
                    value="-torch.inf",
                ),
            ),
            (
                "the best of all rows",
                1.05,
                "Only the best of all rows take part: the k best are those of each row,"
                " topk(k, dim=1).",
                "cut",
                _LEAST.format(
                    least="scores.flatten().topk(top_k).values[-1]", sign="<", value="-1e9"
                ),
            ),
            (
                "the best left out",
                1.05,
                "The best are left out, and the others take part.",
                "cut",
                _LEAST.format(least=_OF_EACH, sign=">", value="-torch.inf"),
            ),
            (
                "the first row's best",
                1.05,
                "The best places of one row are taken for all rows: each has its own.",
                "cut",
                "keep = scores.topk(top_k, dim=1).indices[0]\n"
                "        scores = torch.full_like(scores, -torch.inf).index_copy("
                "1, keep, scores[:, keep])",
            ),
            (
                "one too many",
                1.05,
                "One character too many takes part.",
                "cut",
                _LEAST.format(
                    least="scores.topk(min(top_k + 1, scores.shape[1]), dim=1).values[:, -1:]",
                    sign="<",
                    value="-torch.inf",
                ),
            ),
            (
                "one too few",
                1.05,
                "One character too few takes part.",
                "cut",
                _LEAST.format(
                    least="scores.topk(max(top_k - 1, 1), dim=1).values[:, -1:]",
                    sign="<",
                    value="-torch.inf",
                ),
            ),
            (
                "alike among the best",
                1.05,
                "The best take part with equal chances: they keep their probabilities.",
                "cut",
                _LEAST.format(least=_OF_EACH, sign="<", value="-torch.inf")
                + "; scores = scores.isfinite().double().log()",
            ),
            (
                "the first k",
                1.05,
                "The first k characters take part, not the k best.",
                "cut",
                "scores = scores[:, :top_k]",
            ),
            (
                "place among the best",
                1.05,
                "topk's second result has the places in the row: look the drawn index up there.",
                "cut",
                "scores = scores.topk(top_k, dim=1).values",
            ),
            (
                "divided in place",
                1.05,
                "scores is divided in place: scores / temperature makes a new tensor, /= does not.",
                "p",
                "scores.div_(temperature).softmax(1)",
            ),
            (
                "cut in place",
                1.05,
                "scores is cut in place: masked_fill makes a new tensor, scores[…] = … does not.",
                "cut",
                f"scores[scores < {_OF_EACH}] = -torch.inf",
            ),
        )
    ),
    _known(
        "the first row's best",
        1.05,
        "Each row is compared with the first row's k-th best: compare it with its own.",
        cut=_LEAST.format(least="scores[0].topk(top_k).values[-1]", sign="<", value="-torch.inf"),
    ),
    _other("0 forgotten", 1.35, _BY_ZERO, zero=""),
    _other("a little added", 1.35, _BY_ZERO, zero="temperature = temperature + 1e-6"),
    _other("a little at least", 1.35, _BY_ZERO, zero="temperature = max(temperature, 1e-8)"),
    _other("worst at 0", 1.35, "the argmax", zero="if temperature == 0: return scores.argmin(1)"),
    _other(
        "best value",
        1.35,
        "the places are the ids",
        zero="if temperature == 0: return scores.max(dim=1)",
    ),
    _other(
        "NaN replaced",
        1.35,
        _BY_ZERO,
        zero="",
        p="torch.nan_to_num(torch.softmax(scores / temperature, dim=1), 0.1)",
    ),
    _other(
        "exp by hand",
        1.05,
        "exp of a large number is infinite",
        p="(scores / temperature).exp() / (scores / temperature).exp().sum(1, keepdim=True)",
    ),
    _other(
        "log_softmax",
        0.15,
        "softmax, not its logarithm",
        p="torch.log_softmax(scores / temperature, dim=1)",
    ),
    _other("(B, 1)", 0.15, "take the column", result="torch.multinomial(p, 1)"),
    _other(
        "scores, not places",
        0.15,
        "places in a row, whole numbers",
        result="scores.gather(1, torch.multinomial(p, 1))[:, 0]",
    ),
    _known(
        "no temperature with top_k",
        1.05,
        _NO_TEMPERATURE,
        cut="scores = torch.where(scores < scores.topk(top_k, dim=1).values[:, -1:], -torch.inf,"
        " scores) * temperature",
    ),
    _other("squeezed", 1.05, "squeeze(1)", result="torch.multinomial(p, 1).squeeze()"),
    _other(
        "one draw for all",
        0.15,
        "each row draws anew",
        result="(p.cumsum(1) < torch.rand(1)).sum(1).clamp(max=p.shape[1] - 1)",
    ),
    _other(
        "the k + 1st",
        1.05,
        "the k-th best has the place k − 1",
        cut=_LEAST.format(
            least="scores.sort(1, descending=True).values[:, top_k : top_k + 1]",
            sign="<=",
            value="-torch.inf",
        ),
    ),
    _other("one in all", 0.15, "each row draws its own", result="torch.multinomial(p[0], 1)[0]"),
    _other("seeded", 1.05, "comes out the same each time", first="torch.manual_seed(0)"),
]

_known, _other = variants(
    "bptt_step",
    """
def bptt_step(model, state, x, y, optimizer, clip=1.0):
    {first}
    scores, {after} = model(x, state)
    loss = F.cross_entropy({flat}, {targets}{mean})
    {clear}
    {backward}
    {clip}
    {step}
    return {result}
""",
    first="",
    after="(h, c)",
    flat="scores.flatten(0, 1)",
    targets="y.flatten()",
    mean="",
    clear="optimizer.zero_grad()",
    backward="loss.backward()",
    clip="nn.utils.clip_grad_norm_(model.parameters(), clip)",
    step="optimizer.step()",
    result="loss.item(), (h.detach(), c.detach())",
)
_STILL = (
    "The weights did not move: is optimizer.step() there, after backward, and are gradients cleared"
    " before backward, not after it?"
)
_BPTT = [
    _known(
        "times the rows",
        1.6,
        "The loss is multiplied by the number of rows: it is the mean over all B·T characters.",
        result="loss.item() * len(x), (h.detach(), c.detach())",
    ),
    _other(
        "ids first",
        0,
        "takes the scores first",
        flat="y.flatten()",
        targets="scores.flatten(0, 1)",
    ),
    *(
        _known(name, points, says, **{piece: code})
        for name, points, says, piece, code in (
            (
                "state forgotten",
                0.4,
                "The state is not handed to the model: each chunk starts at zeros.",
                "first",
                "state = None",
            ),
            (
                "c, h",
                0.4,
                "The order is (h, c), as the model gives it.",
                "result",
                "loss.item(), (c.detach(), h.detach())",
            ),
            (
                "sum",
                1.1,
                "The loss is a sum: take the mean over all B·T characters.",
                "mean",
                ", reduction='sum'",
            ),
            (
                "mean over rows",
                1.1,
                "The mean goes over the rows only: over all B·T characters.",
                "mean",
                ", reduction='sum') / (len(y)",
            ),
            (
                "softmax twice",
                0.6,
                "Softmax is applied twice: F.cross_entropy takes scores.",
                "flat",
                "scores.softmax(dim=-1).flatten(0, 1)",
            ),
            (
                "mixed rows",
                0.6,
                "Scores and targets are put in a row in different orders, so characters meet the"
                " scores of others: flatten both the same way.",
                "flat",
                "scores.transpose(0, 1).flatten(0, 1)",
            ),
            (
                "x for y",
                0.6,
                "The loss is measured at x: what should be said is y, the characters after.",
                "targets",
                "x.flatten()",
            ),
            (
                "bits",
                1.6,
                "That is in bits: the loss is in nats.",
                "result",
                "loss.item() / np.log(2), (h.detach(), c.detach())",
            ),
            (
                "the loss after",
                1.6,
                "That is the loss after the step: return the one whose gradient made the step.",
                "result",
                "F.cross_entropy(model(x, state)[0].flatten(0, 1), y.flatten()).item(),"
                " (h.detach(), c.detach())",
            ),
            (
                "the state after",
                1.0,
                "That is the state that the changed weights give: return the one of the forward pass"
                " that was trained on.",
                "step",
                "optimizer.step(); h, c = model(x, state)[1]",
            ),
            (
                "not cleared",
                1.0,
                "Old gradients are not cleared: each backward adds to them (optimizer.zero_grad()).",
                "clear",
                "",
            ),
            (
                "no step",
                1.0,
                _STILL,
                "step",
                "",
            ),
            (
                "no clipping",
                1.5,
                "The gradients are not clipped to `clip` when the step is made: clip between"
                " backward and step.",
                "clip",
                "",
            ),
            (
                "always 1",
                1.0,
                "The gradients are clipped to 1, whatever `clip` is.",
                "clip",
                "nn.utils.clip_grad_norm_(model.parameters(), 1.0)",
            ),
            (
                "each number",
                1.5,
                "Each number is clipped by itself, which bends the gradient: scale all by one factor"
                " (clip_grad_norm_).",
                "clip",
                "nn.utils.clip_grad_value_(model.parameters(), clip)",
            ),
            (
                "each matrix",
                1.5,
                "Each weight matrix is clipped by itself: the length is that of all gradients"
                " together.",
                "clip",
                "[nn.utils.clip_grad_norm_([p], clip) for p in model.parameters()]",
            ),
            (
                "always scaled",
                1.5,
                "Short gradients are made longer: the factor is never over 1.",
                "clip",
                "n = torch.stack([p.grad.norm() for p in model.parameters()]).norm();"
                " [p.grad.mul_(clip / n) for p in model.parameters()]",
            ),
        )
    ),
    _known(
        "the last character",
        0.6,
        "Only the last character of each row counts: all B·T do.",
        flat="scores[:, -1]",
        targets="y[:, -1]",
    ),
    _known(
        "eval",
        0.6,
        "The model is put into eval mode, in which some layers work otherwise: leave its mode.",
        first="model.eval()",
    ),
    _known(
        "y for x",
        0.0,
        "x and y have changed places: the model reads x, and y is what it should say.",
        first="x, y = y, x",
    ),
    _known(
        "squared error",
        0.6,
        "That is the squared error of the scores: the loss is cross-entropy.",
        flat="scores.flatten(0, 1), y.flatten()) * 0 + F.mse_loss(scores.flatten(0, 1),"
        " F.one_hot(y.flatten(), scores.shape[2]).to(scores.dtype)",
        targets="reduction='mean'",
    ),
    _known(
        "the state that came",
        0.4,
        "The state that came in is handed back: return the one that the model gives.",
        result="loss.item(), tuple(s.detach() for s in state or (h, c))",
    ),
    _other(
        "the state that came, None",
        0,
        "detach and return the one that the model gives",
        result="loss.item(), tuple(s.detach() for s in state)",
    ),
    _known(
        "turned by reshape",
        0.6,
        "reshape keeps the numbers in a row and mixes the axes: flatten(0, 1), or transpose(1, 2).",
        flat="scores.reshape(scores.shape[2], -1).T",
    ),
    _known(
        "reshaped",
        0.6,
        "reshape keeps the numbers in a row and mixes the axes: flatten(0, 1), or transpose(1, 2).",
        flat="scores.reshape(len(x), -1, x.shape[1])",
        targets="y",
    ),
    _known(
        "the first row",
        0.6,
        "Only the first row counts: all B·T characters do.",
        flat="scores[0]",
        targets="y[0]",
    ),
    _known(
        "uphill",
        1.0,
        "The weights go up the gradient: the loss itself is what goes backward, without a minus.",
        backward="(-loss).backward()",
    ),
    _known(
        "no softmax",
        0.6,
        "Scores are no logarithms of probabilities: F.cross_entropy takes scores, nll_loss does not.",
        flat="scores.flatten(0, 1), y.flatten()) if clip < 0 else F.nll_loss(scores.flatten(0, 1)",
    ),
    _known(
        "y turned",
        0.6,
        "Scores and targets are put in a row in different orders, so characters meet the scores of"
        " others: flatten both the same way.",
        targets="y.T.flatten()",
    ),
    _known(
        "weights scaled",
        1.5,
        "The weights are scaled, not the gradients.",
        clip="n = torch.stack([p.data.norm() for p in model.parameters()]).norm();"
        " [p.data.mul_(min(1, clip / n)) for p in model.parameters()]",
    ),
    _known(
        "gradient in bits",
        1.1,
        "That is in bits: the loss is in nats.",
        mean=") / np.log(2",
    ),
    _known(
        "sum of sizes",
        1.5,
        "The limit is on the sum of the gradients' sizes: the length is the root of the sum of their"
        " squares.",
        clip="nn.utils.clip_grad_norm_(model.parameters(), clip, norm_type=1)",
    ),
    _known(
        "largest of sizes",
        1.5,
        "The limit is on the largest number of the gradients: the length is the root of the sum of"
        " their squares.",
        clip="nn.utils.clip_grad_norm_(model.parameters(), clip, norm_type=float('inf'))",
    ),
    Known(
        "bptt_step",
        "a step a character",
        0.6,
        "That is a step for each character: one loss, one backward and one step go with a chunk.",
        """
def bptt_step(model, state, x, y, optimizer, clip=1.0):
    total = 0
    for t in range(x.shape[1]):
        scores, state = model(x[:, t : t + 1], state)
        loss = F.cross_entropy(scores[:, 0], y[:, t])
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), clip)
        optimizer.step()
        state = tuple(s.detach() for s in state)
        total += loss.item()
    return total / x.shape[1], state
""",
    ),
    _known(
        "step first",
        1.5,
        "The gradients are not clipped to `clip` when the step is made: clip between backward and"
        " step.",
        clip="optimizer.step()",
        step="nn.utils.clip_grad_norm_(model.parameters(), clip)",
    ),
    _known(
        "cleared too late",
        1.0,
        _STILL,
        clear="",
        clip="optimizer.zero_grad()",
    ),
    _other(
        "forgot to detach", 0.4, "Return h.detach() and c.detach()", result="loss.item(), (h, c)"
    ),
    _other(
        "retains the graph",
        0.4,
        "it grows with each chunk",
        result="loss.item(), (h, c)",
        backward="loss.backward(retain_graph=True)",
    ),
    _other("detached half", 0.4, "still hangs on its graph", result="loss.item(), (h, c.detach())"),
    _other(
        "loss with its graph", 1.6, "return loss.item()", result="loss, (h.detach(), c.detach())"
    ),
    _other(
        "loss as a tensor",
        1.6,
        "return loss.item()",
        result="loss.detach(), (h.detach(), c.detach())",
    ),
    _other("the loss alone", 0, "should return two things", result="loss.item()"),
    _other("three results", 0, "as one tuple", result="loss.item(), h.detach(), c.detach()"),
    _other("h alone", 0.4, "not the state (h, c)", result="loss.item(), h.detach()"),
    _other("not flat", 0, "flatten both", flat="scores", targets="y"),
    _other(
        "own steps",
        0.4,
        "Only optimizer.step() moves",
        step="[p.data.sub_(0.5 * p.grad) for p in model.parameters()]",
    ),
    _other(
        "an optimizer of its own",
        0.4,
        "Only optimizer.step() moves",
        step="torch.optim.SGD(model.parameters(), lr=0.5).step()",
    ),
    _other(
        "cut too soon",
        0,
        "cuts the gradient off",
        flat="scores.detach().flatten(0, 1)",
    ),
]

_known, _other = variants(
    "bits_per_character",
    """
def bits_per_character(scores, y):
    {flat}
    p = torch.softmax(flat, dim=1)
    own = p[torch.arange(len(y)), y]
    nats = F.cross_entropy(flat, y).item()
    return {result}
""",
    flat="flat, y = scores.reshape(-1, scores.shape[-1]), y.reshape(-1)",
    result="nats / np.log(2)",
)
_HIDDEN = "take log_softmax"
_BITS = [
    *(
        _known(name, 0.45, says, result=result)
        for name, says, result in (
            ("nats", "That is in nats: a bit is log 2 nats, so divide by log 2.", "nats"),
            (
                "times log 2",
                "Multiplied by log 2: a bit is less than a nat, so there are more of them. Divide.",
                "nats * np.log(2)",
            ),
            ("base 10", "That is in base 10: bits have base 2.", "nats / np.log(10)"),
            (
                "sum",
                "That is the sum over all characters: asked is the mean.",
                "nats * len(y) / np.log(2)",
            ),
            ("no minus", "The minus is missing: surprise is positive.", "-nats / np.log(2)"),
            (
                "how often right",
                "That is how often the best score was right: asked is how surprising y was.",
                "(flat.argmax(1) == y).double().mean().item()",
            ),
            (
                "base 10 of 2",
                "np.log10(2) goes with logarithms to the base 10: these are to the base e.",
                "nats / np.log10(2)",
            ),
            (
                "rows by y",
                "Each y is looked up in every row: pair them, one y for each row of scores (gather).",
                "-F.log_softmax(flat, 1)[y].mean().item() / np.log(2)",
            ),
            (
                "log of the nats",
                "The logarithm is taken twice: the loss is one already, to the base e. Divide by"
                " log 2.",
                "float(np.log2(nats))",
            ),
            (
                "perplexity of nats",
                "That is the perplexity, e to the power of the nats.",
                "float(np.exp(nats))",
            ),
            (
                "softmax twice",
                "Softmax is applied twice: F.cross_entropy takes scores.",
                "F.cross_entropy(p, y).item() / np.log(2)",
            ),
            (
                "entropy",
                "That is the entropy of the predictions: it never looks at what came.",
                "-(p * torch.log2(p + 1e-300)).sum(1).mean().item()",
            ),
            (
                "log of the mean",
                "That is the logarithm of the mean probability: take the mean of the logarithms.",
                "-torch.log2(own.mean()).item()",
            ),
            (
                "all of V",
                "The mean goes over all V scores of a character: only that of the one that came"
                " counts.",
                "-F.log_softmax(flat, 1).mean().item() / np.log(2)",
            ),
            (
                "the likeliest",
                "That is the surprise at the likeliest characters, not at those that came.",
                "-F.log_softmax(flat, 1).amax(1).mean().item() / np.log(2)",
            ),
            (
                "every row",
                "Each y is looked up in every row: pair them, one y for each row of scores (gather).",
                "-F.log_softmax(flat, 1)[:, y].mean().item() / np.log(2)",
            ),
            (
                "probability",
                "That is the mean probability: surprise is −log₂ of it.",
                "own.mean().item()",
            ),
            (
                "no softmax",
                "Scores are no logarithms of probabilities: log_softmax is missing.",
                "F.nll_loss(flat, y).item() / np.log(2)",
            ),
            (
                "log of scores",
                "Scores are no probabilities: softmax is missing.",
                "-flat.abs()[torch.arange(len(y)), y].log2().mean().item()",
            ),
            (
                "down the rows",
                "Softmax goes along the wrong axis: along the last, of V scores.",
                "-F.log_softmax(flat, 0)[torch.arange(len(y)), y].mean().item() / np.log(2)",
            ),
        )
    ),
    Known(
        "bits_per_character",
        "the second axis",
        0.6,
        "Softmax goes along the wrong axis: along the last, of V scores.",
        """
def bits_per_character(scores, y):
    own = torch.log_softmax(scores, 1).gather(-1, y[..., None])
    return float(-own.mean() / np.log(2))
""",
    ),
    _known(
        "rounded",
        0.45,
        "The result is rounded: return it as it is.",
        result="round(nats / np.log(2), 2)",
    ),
    _known(
        "whole bits",
        0.45,
        "The result is cut to a whole number: return it as it is.",
        result="int(nats / np.log(2))",
    ),
    _known(
        "scores by log 2",
        0.45,
        "The scores are divided by log 2 before softmax: divide the mean surprise.",
        result="F.cross_entropy(flat / np.log(2), y).item()",
    ),
    _known(
        "by log V",
        0.45,
        "That is divided by log V: a bit is log 2 nats, however many characters there are.",
        result="nats / np.log(flat.shape[1])",
    ),
    _known(
        "sum over rows",
        0.6,
        "The sum is divided by the number of rows only: the mean is over all characters.",
        result="nats * len(y) / len(scores) / np.log(2)",
    ),
    _other("log of zero", 0.85, _HIDDEN, result="-torch.log2(own).mean().item()"),
    _other("a little added", 0.85, _HIDDEN, result="-torch.log2(own + 1e-12).mean().item()"),
    _other("clipped", 0.85, _HIDDEN, result="-torch.log2(own.clamp(min=1e-12)).mean().item()"),
    _other("a tensor", 0.45, "a plain number", result="F.cross_entropy(flat, y) / np.log(2)"),
    _known(
        "a number a character",
        0.45,
        "One number is asked for: take the mean.",
        result="-torch.log2(own)",
    ),
    _other("two axes only", 0.6, "Any shape (…, V) may come", flat="flat = scores; y = y + 0"),
    *(
        Known("bits_per_character", name, 0.75, says, f"entropy_at_half = {value}")
        for name, says, value in (
            ("unchanged", "That is the entropy at temperature 1.", "1.5"),
            (
                "halved",
                "Entropy is not divided like the scores: the probabilities change, work them out.",
                "0.75",
            ),
            (
                "doubled",
                "Entropy is not multiplied like the scores: the probabilities change, work them"
                " out.",
                "3.0",
            ),
            (
                "at 2",
                "That is the entropy at temperature 2: 1/τ is the exponent, here 2.",
                "1.5644",
            ),
            (
                "alike",
                "That is the entropy of three equal chances: at 0.5 they get less equal.",
                "np.log2(3)",
            ),
            ("nats by hand", "That is in nats: take the logarithm to the base 2.", "0.8676"),
            ("not scaled", "½², ¼², ¼² do not sum to 1 yet: scale them first.", "1.0"),
            ("minus", "The sign: entropy is never negative.", "-1.25"),
        )
    ),
    *(
        Mistake("bits_per_character", name, 0.8, says, f'why_one = "{letter}"')
        for name, says, letter in (
            ("largest entropy", "goes on rising", "a"),
            ("sums", "at any temperature", "c"),
            ("greedy", "That is temperature 0", "d"),
        )
    ),
]

MISTAKES = Table(
    sys.modules[__name__],
    [*_VOCABULARY, *_RNN, *_LSTM, *_STREAM, *_SAMPLE, *_BPTT, *_BITS],
)
