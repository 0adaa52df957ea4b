"""The answers of lab 09: the right one, and those that known misconceptions lead to.

Each function returns (right, known): the value to expect, and wrong values by their diagnoses.
"""

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

# One misconception a line; the formatter would make three of it.


def rnn_step(x, h, W, U, b):
    z = x @ W.T + h @ U.T + b
    known = {
        "tanh is missing: a state that is not bounded grows without end.": z,
        "The bias b is missing.": torch.tanh(z - b),
        "The state before is missing: U h.": torch.tanh(x @ W.T + b),
        "The input is missing: W x.": torch.tanh(h @ U.T + b),
        "U acts from the wrong side: in rows, U h is h @ U.T.": torch.tanh(x @ W.T + h @ U + b),
        "tanh goes around everything, W x too: it is applied to W x alone here.": torch.tanh(
            x @ W.T
        )
        + h @ U.T
        + b,
        "That is a sigmoid: a recurrent step has tanh.": torch.sigmoid(z),
        "That is relu: a recurrent step has tanh.": torch.relu(z),
        "The old state is added to the new one: it enters through U only.": torch.tanh(z) + h,
        "h goes in as it is: multiply it by U first.": torch.tanh(x @ W.T + h + b),
        "The bias b stands outside tanh: it is added before.": torch.tanh(z - b) + b,
        "The bias b is added twice.": torch.tanh(z + b),
        "There are two tanh, of W x and of U h: add first, one tanh goes around all.": torch.tanh(
            x @ W.T
        )
        + torch.tanh(h @ U.T)
        + b,
    }
    if x.shape[1] == h.shape[1]:
        known |= {
            "W and U act from the wrong side: in rows, W x is x @ W.T.": torch.tanh(
                x @ W + h @ U + b
            ),
            "W acts from the wrong side: in rows, W x is x @ W.T.": torch.tanh(x @ W + h @ U.T + b),
            "W and U have changed places: W is for x, U for h.": torch.tanh(h @ W.T + x @ U.T + b),
        }
    return torch.tanh(z), known


def _lstm(a, h, c, order="ifgo", interleaved=False):
    n = h.shape[1]
    parts = a.view(len(a), n, 4).unbind(2) if interleaved else a.split(n, dim=1)
    return (parts[order.index(name)] for name in "ifgo")


def lstm_step(x, h, c, W, U, b):
    """The right pair (h', c'), and wrong pairs by their diagnoses."""
    s, t = torch.sigmoid, torch.tanh
    a = x @ W.T + h @ U.T + b
    i, f, g, o = _lstm(a, h, c)
    new = s(f) * c + s(i) * t(g)

    def ordered(order):
        i, f, g, o = _lstm(a, h, c, order)
        new = s(f) * c + s(i) * t(g)
        return s(o) * t(new), new

    def from_gates(a):
        i, f, g, o = _lstm(a, h, c)
        new = s(f) * c + s(i) * t(g)
        return s(o) * t(new), new

    apart = [*_lstm(a, h, c, interleaved=True)]
    mixed = s(apart[1]) * c + s(apart[0]) * t(apart[2])
    gates = "The gates are read in the order {}. PyTorch's is i, f, g, o."
    plain = s(f) * c + s(i) * g
    sigmoid_g = s(f) * c + s(i) * s(g)
    tied = s(f) * c + (1 - s(f)) * t(g)
    raw = f * c + i * t(g)
    twice = s(f) * c + s(i) * t(s(g))
    bounded = t(new)
    added = s(f) * c + s(i) + t(g)
    of_h = s(f) * h + s(i) * t(g)
    turned = (1 - s(f)) * c + s(i) * t(g)
    return (s(o) * t(new), new), {
        gates.format("i, f, o, g"): ordered("ifog"),
        gates.format("f, i, g, o") + " (Or the two have changed places in c'.)": ordered("figo"),
        gates.format("i, g, f, o"): ordered("igfo"),
        gates.format("f, i, o, g"): ordered("fiog"),
        gates.format("i, o, f, g"): ordered("iofg"),
        gates.format("g, i, f, o"): ordered("gifo"),
        gates.format("o, f, g, i"): ordered("ofgi"),
        "The rows of one gate are taken one here, one there: each gate has H rows in one piece.": (
            s(apart[3]) * t(mixed),
            mixed,
        ),
        "The result is the wrong way round: the order is (h, c).": (new, s(o) * t(new)),
        "h' is the output gate times tanh of the cell: tanh is missing.": (s(o) * new, new),
        "h' looks at the old cell: it is made from the new one.": (s(o) * t(c), new),
        "h' has a sigmoid of the cell: it is a tanh.": (s(o) * s(new), new),
        "tanh goes around the output gate, too: in h' it goes around the cell only.": (
            t(s(o) * new),
            new,
        ),
        "The cell goes through tanh: c' stays as it is, only h' takes its tanh.": (
            s(o) * bounded,
            bounded,
        ),
        "f multiplies the old h: it multiplies the old cell c.": (s(o) * t(of_h), of_h),
        "The cell is multiplied by 1 − f: f is the share that is kept.": (s(o) * t(turned), turned),
        "The input gate is added to the candidate: it multiplies it.": (s(o) * t(added), added),
        "The candidate g goes through a sigmoid and then tanh: it is tanh alone.": (
            s(o) * t(twice),
            twice,
        ),
        "The bias b is added twice.": from_gates(a + b),
        "The output gate is missing in h'.": (t(new), new),
        "The output gate has no sigmoid.": (o * t(new), new),
        "The candidate g has no tanh.": (s(o) * t(plain), plain),
        "The candidate g has a sigmoid: it is a tanh, so that the cell can go down too.": (
            s(o) * t(sigmoid_g),
            sigmoid_g,
        ),
        "1 − f takes the input gate's place: that is another cell (a coupled one).": (
            s(o) * t(tied),
            tied,
        ),
        "The gates have no sigmoid: without it they are not between 0 and 1.": (o * t(raw), raw),
        "The gates have no sigmoid: without it they are not between 0 and 1. ": (
            s(o) * t(raw),
            raw,
        ),
        "The forget gate is missing: the old cell is kept whole.": (
            s(o) * t(c + s(i) * t(g)),
            c + s(i) * t(g),
        ),
        "The input gate is missing: the candidate is added whole.": (
            s(o) * t(s(f) * c + t(g)),
            s(f) * c + t(g),
        ),
        "The old cell is missing: f ⊙ c.": (s(o) * t(s(i) * t(g)), s(i) * t(g)),
        "The old state is missing: U h.": from_gates(x @ W.T + b),
        "The bias b is missing.": from_gates(a - b),
        "The input is missing: W x.": from_gates(h @ U.T + b),
        "U is multiplied by the cell: it is multiplied by h.": from_gates(x @ W.T + c @ U.T + b),
        "The new h is the same as the cell.": (new, new),
    }


def share_left():
    return 0.9**20, {
        "Each step takes a tenth of what is left, not of what there was at first.": 0.1,
        "That is in percent: a share is a number between 0 and 1.": 100 * 0.9**20,
        "Those are 19 steps.": 0.9**19,
        "Those are 21 steps.": 0.9**21,
        "That is the share that is gone: asked is what is left.": 1 - 0.9**20,
        "Gates multiply, they do not add up.": 0.9 * 20,
        "0.9 for one step; there are twenty, and each multiplies.": 0.9,
        "The forget gate says what is kept, not what is thrown away: 0.9 is kept.": 0.1**20,
    }


def stream_batches(ids, B, T):
    """Right: [(x, y), …] as arrays."""
    size = (len(ids) - 1) // B
    x, y = ids[: B * size].reshape(B, size), ids[1 : B * size + 1].reshape(B, size)

    def cut(x, y, last=False):
        ends = range(0, x.shape[1] - (0 if last else T - 1), T)
        return [(x[:, k : k + T], y[:, k : k + T]) for k in ends]

    heap = len(ids[:-1]) // (B * T)
    rows = B * T * heap
    lines = ids[:rows].reshape(heap, B, T), ids[1 : rows + 1].reshape(heap, B, T)
    across = ids[: B * size].reshape(size, B).T, ids[1 : B * size + 1].reshape(size, B).T
    other = len(ids) // B
    whole = ids[: B * other].reshape(B, other)
    within = np.stack([np.roll(row, -1) for row in whole])
    short = whole[:, :-1], whole[:, 1:]
    early = ids[: B * (len(ids[:-1]) // (B * T)) * T].reshape(B, -1)
    early_y = ids[1 : early.size + 1].reshape(B, -1)
    inner = [(a, np.concatenate([a[:, 1:], a[:, :1]], axis=1)) for a, _ in cut(x, y)]
    return cut(x, y), {
        "The rows of a batch go on in its next row, not in the next batch: cut the text into B"
        " parts first, then each part into chunks.": list(zip(*lines, strict=True)),
        "The text runs down the columns: each row has to be one part, read from left to right.": cut(
            *across
        ),
        "y is x itself: it is the characters that come next.": cut(x, x),
        "y is what came before: it is what comes next.": cut(y, x),
        "y goes round: the last of each part is followed by its first. It is followed by the next"
        " part's first.": cut(x, np.stack([np.roll(row, -1) for row in x])),
        "y goes round: the last of each part is followed by its first. It is followed by the next"
        " part's first. ": cut(whole, within),
        "y goes round in each chunk: its last character is the next chunk's first.": inner,
        "The chunk at the end is shorter than T: leave it out.": cut(x, y, last=True),
        "The last batch is missing.": cut(x, y)[:-1],
        "The first batch is missing.": cut(x, y)[1:],
        "What does not fill a batch is cut off before the text is made into parts: a part has"
        " (N − 1) // B characters, and leaves its own end out.": cut(early, early_y),
        "y is cut from the part, which ends too soon for it: cut it from the text, one place"
        " further on.": cut(x, x[:, 1:]),
        "x and y are cut from the same T characters, so both are one short: cut y from the text,"
        " one place further on.": [(a[:, :-1], a[:, 1:]) for a, _ in cut(x, x)],
        "y has only what follows the chunk's last character: each of the T has a next one.": [
            (a, b[:, -1]) for a, b in cut(x, y)
        ],
        "Each batch starts one character after the one before: they start T apart.": [
            (x[:, k : k + T], y[:, k : k + T]) for k in range(size - T + 1)
        ],
        "Each part loses its last character: y has it from the next part.": cut(*short),
    }


def chances(scores, temperature, top_k):
    """Probabilities (V,) of one row of scores."""
    scores = np.asarray(scores, dtype=float)
    if top_k is not None:
        scores = np.where(scores >= np.sort(scores)[-top_k], scores, -np.inf)
    return _softmax(scores / temperature)


def wrong_chances(scores, temperature, top_k):
    """By diagnosis, what the draws would follow: a dict of (V,) probabilities."""
    s = np.asarray(scores, dtype=float)
    right, V = chances(s, temperature, top_k), len(s)
    best = np.eye(V)[s.argmax()]
    kept = s if top_k is None else np.where(s >= np.sort(s)[-top_k], s, -np.inf)
    worst = s if top_k is None else np.where(s <= np.sort(s)[top_k - 1], s, -np.inf)
    zeroed = np.where(np.isfinite(kept), kept, 0)
    p = _softmax(kept)
    always = "It always takes the best: draw at random, with the probabilities."
    alone = "Only the best takes part: the k best are those of each row, topk(k, dim=1)."
    known = {
        always if top_k is None else alone: best,
        "The scores are multiplied by the temperature: they are divided by it.": _softmax(
            kept * temperature
        ),
        "The temperature does nothing: it divides the scores, before softmax, not probabilities.": p,
        "All are equally likely: are the scores used, and does softmax go along dim=1?": np.ones(V)
        / V,
        "All take part: top_k is not used.": _softmax(s / temperature),
        "All take part, and the temperature is not used.": _softmax(s),
        "The worst take part, not the best.": _softmax(worst / temperature),
        "A score of 0 is no probability of 0: who may not take part needs a score of −∞.": _softmax(
            zeroed / temperature
        ),
        "The best take part with equal chances: they keep their probabilities.": np.isfinite(kept)
        / np.isfinite(kept).sum(),
        "The first k characters take part, not the k best.": _first(s / temperature, top_k),
        "topk's second result has the places in the row: look the drawn index up there.": _first(
            np.sort(s)[::-1] / temperature, top_k
        ),
        "One character too many takes part.": right
        if top_k is None or top_k == V
        else chances(s, temperature, top_k + 1),
        "One character too few takes part.": right
        if top_k is None or top_k == 1
        else chances(s, temperature, top_k - 1),
        "Softmax is applied twice.": _softmax(_softmax(kept) / temperature),
        "Softmax is applied twice. ": _softmax(_softmax(kept / temperature)),
        "Scores are drawn from as they are: softmax makes probabilities of them.": np.clip(
            s, 0, None
        )
        / np.clip(s, 0, None).sum(),
    }
    if temperature == 1:
        known = {why: wrong for why, wrong in known.items() if "temperature" not in why}
    return {why: wrong for why, wrong in known.items() if abs(wrong - right).sum() > 0.08}


def _first(s, count):
    return _softmax(np.where(np.arange(len(s)) < (count or len(s)), s, -np.inf))


def bits(scores, y):
    flat, right_ones = scores.reshape(-1, scores.shape[-1]), y.reshape(-1)
    log_p = torch.log_softmax(flat.double(), dim=1)
    nats = float(F.nll_loss(log_p, right_ones))
    value, N = nats / np.log(2), len(flat)
    twice = F.cross_entropy(torch.softmax(flat.double(), dim=1), right_ones).item() / np.log(2)
    p = log_p.exp()
    own = p[torch.arange(N), right_ones]
    entropy = float(-(p * log_p).sum(dim=1).mean()) / np.log(2)
    return value, {
        "That is in nats: a bit is log 2 nats, so divide by log 2.": nats,
        "Multiplied by log 2: a bit is less than a nat, so there are more of them. Divide.": nats
        * np.log(2),
        "That is in base 10: bits have base 2.": nats / np.log(10),
        "That is the sum over all characters: asked is the mean.": value * N,
        "The minus is missing: surprise is positive.": -value,
        "That is the perplexity, 2 to the power of the bits.": 2**value,
        "That is the perplexity, e to the power of the nats.": float(np.exp(nats)),
        "Softmax is applied twice: F.cross_entropy takes scores.": twice,
        "The mean goes over all V scores of a character: only that of the one that came counts.": float(
            -log_p.mean()
        )
        / np.log(2),
        "That is the surprise at the likeliest characters, not at those that came.": float(
            -log_p.amax(dim=1).mean()
        )
        / np.log(2),
        "Each y is looked up in every row: pair them, one y for each row of scores (gather).": float(
            -log_p[:, right_ones].mean()
        )
        / np.log(2),
        "That is the mean probability: surprise is −log₂ of it.": float(own.mean()),
        "Softmax goes along the wrong axis: along the last, of V scores.": _surprise(
            torch.log_softmax(scores.double(), 0), y
        ),
        "The sum is divided by the number of rows only: the mean is over all characters.": value
        * N
        / len(y),
        "Scores are no logarithms of probabilities: log_softmax is missing.": _surprise(
            scores.double(), y
        ),
        "That is the entropy of the predictions: it never looks at what came.": entropy,
        "That is the logarithm of the mean probability: take the mean of the logarithms.": float(
            -torch.log2(own.mean())
        ),
        "Scores are no probabilities: softmax is missing.": float(
            -torch.log2(flat.double().abs()[torch.arange(N), right_ones]).mean()
        ),
    }


def _surprise(log_p, y):
    return float(-log_p.gather(-1, y[..., None]).mean()) / np.log(2)


def entropy_at_half():
    def entropy(*p):
        p = np.array(p) / sum(p)
        return float(-(p * np.log2(p)).sum())

    right = entropy(4, 1, 1)
    return right, {
        "That is the entropy at temperature 1.": 1.5,
        "Entropy is not divided like the scores: the probabilities change, work them out.": 0.75,
        "Entropy is not multiplied like the scores: the probabilities change, work them out.": 3.0,
        "That is the entropy at temperature 2: 1/τ is the exponent, here 2.": entropy(
            0.5**0.5, 0.5, 0.5
        ),
        "That is the entropy of three equal chances: at 0.5 they get less equal.": entropy(1, 1, 1),
        "That is in nats: take the logarithm to the base 2.": right * np.log(2),
        "½², ¼², ¼² do not sum to 1 yet: scale them first.": 1.0,
        "The sign: entropy is never negative.": -right,
    }


class Tiny(nn.Module):
    """The model that bptt_step is tried on: the judge's copy of the one in the probe."""

    def __init__(self, V, H):
        super().__init__()
        self.embedding, self.lstm = nn.Embedding(V, H), nn.LSTM(H, H, batch_first=True)
        self.output = nn.Linear(H, V)

    def forward(self, x, state):
        h, state = self.lstm(self.embedding(x), state)
        return self.output(h), state


def bptt(
    sizes,
    weights,
    batches,
    lr,
    clip,
    *,
    loss="mean",
    cut="norm",
    fresh=True,
    carry=True,
    turned=False,
    swap=False,
):
    """What some steps of training give: losses, lengths of gradients, the final weights and state.

    The options are the misconceptions.
    """
    model = Tiny(*sizes)
    model.load_state_dict(weights)
    optimizer = torch.optim.SGD(model.parameters(), lr=lr)
    optimizer.zero_grad()
    losses, lengths, state = [], [], ()
    for x, y in batches:
        scores, state = model(x, state if carry and state else None)
        state = state[::-1] if swap else state
        flat = scores.transpose(0, 1).flatten(0, 1) if turned else scores.flatten(0, 1)
        targets = x.flatten() if loss == "x" else y.flatten()
        if loss == "twice":
            flat = flat.softmax(dim=1)
        if loss == "reshaped":  # (B, V, T), but not by turning the axes
            flat, targets = scores.reshape(len(x), -1, x.shape[1]), y
        if loss == "last":
            flat, targets = scores[:, -1], y[:, -1]
        value = F.cross_entropy(flat, targets, reduction="sum" if loss == "sum" else "mean")
        if fresh:
            optimizer.zero_grad()
        value.backward()
        lengths.append(_length(model))
        if cut == "norm":
            nn.utils.clip_grad_norm_(model.parameters(), clip)
        elif cut == "always":
            for p in model.parameters():
                p.grad *= clip / lengths[-1]
        elif cut == "value":
            nn.utils.clip_grad_value_(model.parameters(), clip)
        elif cut == "each":
            for p in model.parameters():
                nn.utils.clip_grad_norm_([p], clip)
        optimizer.step()
        state = tuple(part.detach() for part in state)
        losses.append(value.item())
    after = {name: p.detach().clone() for name, p in model.state_dict().items()}
    return losses, lengths, after, state


def bptt_known(sizes, weights, batches, lr, clip):
    """By diagnosis, the weights after the same steps done wrong."""
    args = sizes, weights, batches, lr, clip
    return {
        "The gradients are not clipped to `clip` when the step is made: clip between backward and"
        " step.": bptt(*args, cut="none")[2],
        "Short gradients are made longer: the factor is never over 1.": bptt(*args, cut="always")[
            2
        ],
        "Each number is clipped by itself, which bends the gradient: scale all by one factor"
        " (clip_grad_norm_).": bptt(*args, cut="value")[2],
        "Each weight matrix is clipped by itself: the length is that of all gradients together.": bptt(
            *args, cut="each"
        )[2],
        "The loss is a sum: take the mean over all B·T characters.": bptt(*args, loss="sum")[2],
        "Softmax is applied twice: F.cross_entropy takes scores.": bptt(*args, loss="twice")[2],
        "Only the last character of each row counts: all B·T do.": bptt(*args, loss="last")[2],
        "The loss is measured at x: what should be said is y, the characters after.": bptt(
            *args, loss="x"
        )[2],
        "reshape keeps the numbers in a row and mixes the axes: flatten(0, 1), or transpose(1, 2).": bptt(
            *args, loss="reshaped"
        )[2],
        "Old gradients are not cleared: each backward adds to them (optimizer.zero_grad()).": bptt(
            *args, fresh=False
        )[2],
        "The state is not handed to the model: each chunk starts at zeros.": bptt(
            *args, carry=False
        )[2],
        "Scores and targets are put in a row in different orders, so characters meet the scores of"
        " others: flatten both the same way.": bptt(*args, turned=True)[2],
        "The weights did not move: is optimizer.step() there, and does backward reach them?": weights,
    }


def _length(model):
    parts = [p.grad.norm() for p in model.parameters() if p.grad is not None]
    return float(torch.stack(parts).norm())


def _softmax(s):
    e = np.exp(s - s.max())
    return e / e.sum()
