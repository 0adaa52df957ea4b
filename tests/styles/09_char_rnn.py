"""Lab 09: right answers in other styles than the reference's."""

_VOCABULARY = """
import bisect


class Vocabulary:
    def __init__(self, text: str):
        self.characters = "".join({body})

    def encode(self, text):
        {encode}

    def decode(self, ids):
        {decode}
"""
_RAISES = """if not set(text) <= set(self.characters):
            raise ValueError("unknown " + repr(set(text) - set(self.characters)))
        """

STYLES = {
    "Vocabulary": {
        "NumPy's unique": """
class Vocabulary:
    def __init__(self, text):
        self.codes = np.unique(np.frombuffer(text.encode("utf-32-le"), dtype=np.uint32))
        self.characters = "".join(map(chr, self.codes))

    def encode(self, text):
        asked = np.frombuffer(text.encode("utf-32-le"), dtype=np.uint32)
        for code in asked[~np.isin(asked, self.codes)]:
            raise ValueError(f"there is no {chr(code)!r}")
        return torch.from_numpy(np.searchsorted(self.codes, asked).astype(np.int64))

    def decode(self, ids):
        return "".join(chr(code) for code in self.codes[ids.numpy()])
""",
        "index and its error": _VOCABULARY.format(
            body="sorted(set(text), key=ord)",
            encode="return torch.LongTensor([self._place(c) for c in text])\n\n"
            "    def _place(self, c):\n"
            "        try:\n"
            "            return self.characters.index(c)\n"
            "        except ValueError as error:\n"
            '            raise ValueError(f"{c} is unknown") from error',
            decode='return "".join(map(self.characters.__getitem__, ids))',
        ),
        "bisect": _VOCABULARY.format(
            body="c for c in sorted(dict.fromkeys(text))",
            encode=_RAISES
            + "return torch.as_tensor([bisect.bisect_left(self.characters, c) for c in text])",
            decode='return "".join([self.characters[int(i)] for i in ids])',
        ),
        "a dataclass": """
from dataclasses import dataclass, field


@dataclass
class Vocabulary:
    text: str
    characters: str = ""
    table: dict = field(default_factory=dict)

    def __post_init__(self):
        self.characters = "".join(sorted(set(self.text)))
        self.table.update(zip(self.characters, range(len(self.characters))))

    def encode(self, text):
        ids = torch.empty(len(text), dtype=torch.long)
        for n, c in enumerate(text):
            if c not in self.table:
                raise ValueError(c)
            ids[n] = self.table[c]
        return ids

    def decode(self, ids):
        out = ""
        for i in ids:
            out += self.characters[i.item()]
        return out
""",
        "an error of its own": """
class Unknown(ValueError):
    pass


class Vocabulary:
    def __init__(self, text):
        self._sorted = sorted({*text})

    @property
    def characters(self):
        return "".join(self._sorted)

    def encode(self, text):
        table = {c: n for n, c in enumerate(self._sorted)}
        try:
            return torch.tensor([table[c] for c in text], dtype=torch.int64)
        except KeyError as error:
            raise Unknown(f"no {error.args[0]} here") from None

    def decode(self, ids):
        return str().join(self._sorted[i] for i in ids.tolist())
""",
    },
    "rnn_step": {
        "a lambda": "rnn_step = lambda x, h, W, U, b: (x @ W.T + h @ U.T + b).tanh()",
        "linear": """
def rnn_step(x, h, W, U, b):
    return torch.tanh(F.linear(x, W, b) + F.linear(h, U))
""",
        "einsum": """
def rnn_step(x, h, W, U, b):
    z = torch.einsum("bd,hd->bh", x, W) + torch.einsum("bk,hk->bh", h, U)
    return (z + b).tanh()
""",
        "columns": """
def rnn_step(x, h, W, U, b):
    return torch.tanh(W @ x.T + U @ h.T + b[:, None]).T
""",
        "one product": """
def rnn_step(x, h, W, U, b):
    return torch.tanh(torch.cat([x, h], dim=1) @ torch.cat([W, U], dim=1).t() + b)
""",
        "row by row": """
def rnn_step(x, h, W, U, b):
    return torch.stack([torch.tanh(W.mv(one) + U.mv(state) + b) for one, state in zip(x, h)])
""",
        "by the sigmoid": """
class Step:
    def __call__(self, x, h, W, U, b):
        return 2 * torch.sigmoid(2 * (torch.addmm(b, x, W.T) + h.matmul(U.mT))) - 1

rnn_step = Step()
""",
        "single precision": """
def rnn_step(x, h, W, U, b):
    x, h, W, U, b = (one.float() for one in (x, h, W, U, b))
    return torch.tanh(x @ W.T + h @ U.T + b)
""",
    },
    "lstm_step": {
        "slices": """
def lstm_step(x, h, c, W, U, b):
    a, H = F.linear(x, W, b) + F.linear(h, U), h.shape[1]
    i, f, o = a[:, :H].sigmoid(), a[:, H : 2 * H].sigmoid(), a[:, 3 * H :].sigmoid()
    new = f * c + i * a[:, 2 * H : 3 * H].tanh()
    return o * new.tanh(), new
""",
        "four products": """
def lstm_step(x, h, c, W, U, b):
    i, f, g, o = (x @ w.T + h @ u.T + v for w, u, v in zip(W.chunk(4), U.chunk(4), b.chunk(4)))
    c = c * torch.sigmoid(f) + torch.sigmoid(i) * torch.tanh(g)
    return torch.sigmoid(o) * torch.tanh(c), c
""",
        "a list": """
def lstm_step(x, h, c, W, U, b):
    i, f, g, o = torch.split(x.mm(W.t()) + h.mm(U.t()) + b, h.size(1), dim=1)
    c = torch.addcmul(f.sigmoid() * c, i.sigmoid(), g.tanh())
    return [o.sigmoid() * c.tanh(), c]
""",
        "a namedtuple's members": """
from typing import NamedTuple

class Gates(NamedTuple):
    i: Tensor
    f: Tensor
    g: Tensor
    o: Tensor

def lstm_step(x, h, c, W, U, b):
    a = Gates(*(W @ x.T + U @ h.T + b.unsqueeze(1)).T.unflatten(1, (4, -1)).unbind(1))
    c = a.f.sigmoid() * c + a.i.sigmoid() * a.g.tanh()
    return a.o.sigmoid() * c.tanh(), c
""",
        "partial": """
from functools import partial

def _step(order, x, h, c, W, U, b):
    a = dict(zip(order, (x @ W.T + h @ U.T + b).view(len(x), 4, -1).unbind(1)))
    s = {name: torch.sigmoid(a[name]) for name in "ifo"}
    c = s["f"] * c + s["i"] * torch.tanh(a["g"])
    return s["o"] * torch.tanh(c), c

lstm_step = partial(_step, "ifgo")
share_left = float(np.prod([0.9] * 20))
""",
        "in place on a copy": """
def lstm_step(x, h, c, W, U, b) -> tuple[Tensor, Tensor]:
    i, f, g, o = (x @ W.T + h @ U.T + b).chunk(4, dim=-1)
    new = c.clone()
    new *= torch.sigmoid(f)
    new += torch.sigmoid(i) * torch.tanh(g)
    return torch.sigmoid(o) * torch.tanh(new), new

share_left = 0.1216
""",
    },
    "stream_batches": {
        "a list of pairs": """
def stream_batches(ids, batch_size, length):
    S = (len(ids) - 1) // batch_size
    parts = [ids[b * S : (b + 1) * S + 1] for b in range(batch_size)]
    cuts = range(0, S // length * length, length)
    return [
        (torch.stack([p[k : k + length] for p in parts]),
         torch.stack([p[k + 1 : k + length + 1] for p in parts]))
        for k in cuts
    ]
""",
        "lists as pairs": """
def stream_batches(ids, batch_size, length):
    S = (ids.numel() - 1) // batch_size
    for k in range(S // length):
        at = torch.arange(batch_size)[:, None] * S + k * length + torch.arange(length)
        yield [ids[at], ids[at + 1]]
""",
        "reshape and zip": """
def stream_batches(ids, batch_size, length):
    S = (len(ids) - 1) // batch_size
    n = S // length * length
    cut = lambda start: ids[start : start + batch_size * S].reshape(batch_size, S)[:, :n]
    chunks = lambda one: one.reshape(batch_size, -1, length).transpose(0, 1)
    return zip(chunks(cut(0)), chunks(cut(1)))
""",
        "an iterator class": """
class stream_batches:
    def __init__(self, ids, batch_size, length):
        self.size, self.length, self.k = (len(ids) - 1) // batch_size, length, 0
        self.x = ids[: batch_size * self.size].view(batch_size, -1) if self.size else None
        self.y = ids[1 : batch_size * self.size + 1].view(batch_size, -1) if self.size else None

    def __iter__(self):
        return self

    def __next__(self):
        if self.k + self.length > self.size:
            raise StopIteration
        now = slice(self.k, self.k + self.length)
        self.k += self.length
        return self.x[:, now], self.y[:, now]
""",
        "as_strided": """
def stream_batches(ids, batch_size, length):
    S = (len(ids) - 1) // batch_size
    for k in range(0, S - length + 1, length):
        x = ids[k:].as_strided((batch_size, length), (S, 1))
        yield x.clone(), torch.as_strided(ids, (batch_size, length), (S, 1), k + 1).clone()
""",
        "recursion": """
def stream_batches(ids, batch_size, length):
    S = (len(ids) - 1) // batch_size
    def rest(x, y):
        if x.shape[1] >= length:
            yield x[:, :length], y[:, :length]
            yield from rest(x[:, length:], y[:, length:])
    yield from rest(ids[: batch_size * S].view(batch_size, S),
                    ids[1 : batch_size * S + 1].view(batch_size, S))
""",
    },
    "sample": {
        "Categorical": """
def sample(scores, temperature=1.0, top_k=None):
    if not temperature:
        return scores.max(dim=-1).indices
    if top_k is not None:
        values, _ = torch.topk(scores, top_k, dim=-1)
        scores = scores.masked_fill(scores < values[:, [-1]], float("-inf"))
    return torch.distributions.Categorical(logits=scores / temperature).sample()
""",
        "Gumbel": """
def sample(scores, temperature=1.0, top_k=None):
    s = scores.double()
    if top_k:
        s = torch.where(s.argsort(1, descending=True).argsort(1) < top_k, s, -torch.inf)
    noise = -torch.log(-torch.log(torch.rand_like(s)))
    return (s + temperature * noise).argmax(1)
""",
        "places of the best": """
def sample(scores, temperature=1.0, top_k=None):
    k = scores.shape[1] if top_k is None else top_k
    if temperature == 0:
        k, temperature = 1, 1
    best, places = scores.topk(k, dim=1)
    drawn = torch.multinomial((best / temperature).softmax(1), 1)
    return places.gather(1, drawn).squeeze(1)
""",
        "NumPy row by row": """
def sample(scores, temperature=1.0, top_k=None):
    s = scores.numpy().astype(float)
    s = s - s.max(axis=1, keepdims=True)
    if temperature == 0:
        return torch.from_numpy(s.argmax(axis=1))
    if top_k is not None:
        s = np.where(s < np.sort(s, axis=1)[:, [-top_k]], -np.inf, s)
    p = np.exp(s / temperature)
    edges = (p / p.sum(1, keepdims=True)).cumsum(1)
    edges[:, -1] = 1
    return torch.from_numpy((np.random.rand(len(s), 1) >= edges).sum(1))
""",
        "in place on a copy": """
def sample(scores: Tensor, temperature: float = 1.0, top_k: int | None = None) -> Tensor:
    scores = scores.clone()
    if temperature == 0:
        return torch.argmax(scores, dim=1)
    if top_k is not None:
        scores[scores < scores.sort(dim=1).values[:, -top_k, None]] = -float("inf")
    scores /= temperature
    return torch.multinomial(F.softmax(scores, dim=1), num_samples=1).flatten()
""",
    },
    "bptt_step": {
        "transposed": """
def bptt_step(model, state, x, y, optimizer, clip=1.0):
    model.train()
    optimizer.zero_grad(set_to_none=False)
    scores, state = model(x, state)
    loss = nn.CrossEntropyLoss()(scores.transpose(1, 2), y)
    loss.backward()
    torch.nn.utils.clip_grad_norm_([*model.parameters()], max_norm=clip)
    optimizer.step()
    return float(loss), tuple(one.detach() for one in state)
""",
        "gather": """
def bptt_step(model, state, x, y, optimizer, clip=1.0):
    scores, state = model(x, state)
    loss = -scores.log_softmax(-1).gather(2, y.unsqueeze(2)).mean()
    model.zero_grad()
    loss.backward()
    length = torch.sqrt(sum((p.grad**2).sum() for p in model.parameters()))
    if length > clip:
        for p in model.parameters():
            p.grad *= clip / length
    optimizer.step()
    return loss.detach().item(), [one.detach().clone() for one in state]
""",
        "detached on the way in": """
def bptt_step(model, state, x, y, optimizer, clip=1.0):
    if state is not None:
        state = state[0].detach(), state[1].detach()
    optimizer.zero_grad()
    scores, after = model(x, state)
    loss = F.cross_entropy(scores.reshape(-1, scores.size(-1)), y.reshape(-1), reduction="mean")
    loss.backward()
    nn.utils.clip_grad_norm_(model.parameters(), clip)
    optimizer.step()
    return loss.item(), (after[0].data, after[1].data)
""",
        "cleared at the end": """
def bptt_step(model, state, x, y, optimizer, clip=1.0):
    scores, (h, c) = model(x, state)
    loss = F.nll_loss(F.log_softmax(scores, dim=2).flatten(0, 1), y.flatten())
    loss.backward()
    nn.utils.clip_grad_norm_(model.parameters(), clip)
    optimizer.step()
    optimizer.zero_grad()
    return loss.item(), (h.detach_(), c.detach_())
""",
        "from the optimizer": """
def bptt_step(model, state, x, y, optimizer, clip=1.0):
    weights = [p for group in optimizer.param_groups for p in group["params"]]
    scores, (h, c) = model(x, state)
    loss = F.cross_entropy(input=scores.view(-1, scores.shape[-1]), target=y.contiguous().view(-1))
    for p, g in zip(weights, torch.autograd.grad(loss, weights)):
        p.grad = g
    factor = min(1.0, clip / float(nn.utils.get_total_norm([p.grad for p in weights])))
    for p in weights:
        p.grad.mul_(factor)
    optimizer.step()
    return loss.item(), (h.detach(), c.detach())
""",
    },
    "bits_per_character": {
        "log_softmax": """
def bits_per_character(scores, y):
    log_p = scores.log_softmax(dim=-1)
    return -(log_p.gather(-1, y[..., None]).mean() / np.log(2)).item()
""",
        "logsumexp": """
import math

def bits_per_character(scores: Tensor, y: Tensor) -> float:
    own = torch.take_along_dim(scores, y.unsqueeze(-1), dim=-1).squeeze(-1)
    return float((torch.logsumexp(scores, -1) - own).mean()) / math.log(2)
""",
        "NumPy": """
def bits_per_character(scores, y):
    s, y = scores.numpy().reshape(-1, scores.shape[-1]), y.numpy().ravel()
    s = (s - s.max(axis=1, keepdims=True)) / np.log(2)
    return np.mean(np.log2(np.exp2(s).sum(axis=1)) - s[np.arange(len(y)), y])
""",
        "a sum, divided": """
bits_per_character = lambda scores, y: F.cross_entropy(
    scores.view(-1, scores.shape[-1]), y.view(-1), reduction="sum"
).item() / y.numel() / np.log(2)
why_one = "B"
""",
        "one at a time": """
def bits_per_character(scores, y):
    rows = zip(scores.reshape(-1, scores.shape[-1]), y.reshape(-1).tolist())
    return float(np.mean([(row.logsumexp(0) - row[i]).item() / np.log(2) for row, i in rows]))

entropy_at_half = 1.2516
""",
    },
}
