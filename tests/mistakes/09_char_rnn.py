"""Lab 09: what people get wrong about characters, memory, streams and chance."""

from tests.mistakes import Mistake, variants

_vocabulary = variants(
    "Vocabulary",
    """
class Vocabulary:
    def __init__(self, text):
        self.characters = {characters}
        self.ids = {{c: i for i, c in enumerate({order})}}

    def encode(self, text):
        {first}
        return torch.tensor([{id} for c in text]{dtype})

    def decode(self, ids):
        return {decode}
""",
    characters='"".join(sorted(set(text)))',
    order="self.characters",
    first="""unknown = set(text) - self.ids.keys()
        if unknown:
            raise ValueError(f"unknown: {sorted(unknown)}")""",
    id="self.ids[c]",
    dtype="",
    decode='"".join(self.characters[i] for i in ids.tolist())',
)
_REPLACED = "text = [c if c in self.ids else self.characters[0] for c in text]"
_SKIPPED = "text = [c for c in text if c in self.ids]"
_VOCABULARY = [
    _vocabulary(
        "not sorted",
        0.4,
        "They are not sorted",
        characters='"".join(dict.fromkeys(text))',
        decode='"".join(sorted(self.characters)[i] for i in ids.tolist())',
    ),
    _vocabulary("a list", 0.7, "Join them to one string", characters="sorted(set(text))"),
    _vocabulary("not once", 0.2, "comes once", characters='"".join(sorted(text))'),
    _vocabulary(
        "no blanks",
        0,
        "Blank space is missing",
        characters='"".join(sorted(c for c in set(text) if not c.isspace()))',
    ),
    _vocabulary(
        "bytes", 0, "UTF-8 has several for one", characters='sorted(set(text.encode("utf-8")))'
    ),
    _vocabulary("code points", 0.7, "Those are code points", id="ord(c)"),
    _vocabulary("from one", 0.7, "has the id 0, not 1", id="self.ids[c] + 1"),
    _vocabulary("by appearance", 0.7, "go by first appearance", order="dict.fromkeys(text)"),
    _vocabulary("floats", 0.7, "another dtype than int64", dtype=", dtype=torch.float32"),
    _vocabulary(
        "a list of characters",
        0.8,
        "joins characters to one string",
        decode="[self.characters[i] for i in ids.tolist()]",
    ),
    _vocabulary(
        "tensors as keys",
        0.8,
        "ids.tolist() has numbers",
        decode='"".join(dict(enumerate(self.characters))[i] for i in ids)',
    ),
    _vocabulary(
        "chr", 0.8, "the characters with these code points", decode='"".join(chr(i) for i in ids)'
    ),
    _vocabulary(
        "all of ASCII", 0, "Some are not in the text", characters='"".join(map(chr, range(128)))'
    ),
    _vocabulary(
        "by frequency",
        0.7,
        "sort them by code point",
        order="sorted(set(text))",
        characters='"".join(sorted(set(text), key=text.count))',
        decode='"".join(sorted(self.characters)[i] for i in ids.tolist())',
    ),
    _vocabulary(
        "with blanks",
        0.8,
        "put between the characters",
        decode='" ".join(self.characters[i] for i in ids.tolist())',
    ),
    _vocabulary("KeyError", 0.8, "Raise ValueError yourself", first=""),
    _vocabulary("passed over", 0.8, "passed over or replaced", first=_SKIPPED),
    _vocabulary("replaced", 0.8, "passed over or replaced", first=_REPLACED),
    _vocabulary(
        "nameless",
        0.8,
        "Put the character into the message",
        first='if set(text) - self.ids.keys(): raise ValueError("an unknown character")',
    ),
]

_rnn = variants(
    "rnn_step",
    """
def rnn_step(x, h, W, U, b):
    {first}
    return {result}
""",
    first="",
    result="torch.tanh(x @ W.T + h @ U.T + b)",
)
_RNN = [
    Mistake(
        "rnn_step",
        "PyTorch's",
        0,
        "uses torch.nn.RNNCell",
        """
def rnn_step(x, h, W, U, b):
    cell = nn.RNNCell(x.shape[1], h.shape[1], dtype=x.dtype)
    return cell(x, h).detach()
""",
    ),
    _rnn("no tanh", 0, "not bounded grows", result="x @ W.T + h @ U.T + b"),
    _rnn("no bias", 0, "The bias b is missing", result="torch.tanh(x @ W.T + h @ U.T)"),
    _rnn("U not turned", 0, "h @ U.T", result="torch.tanh(x @ W.T + h @ U + b)"),
    _rnn("no state", 0, "The state before is missing", result="torch.tanh(x @ W.T + b)"),
    _rnn("no input", 0, "The input is missing", result="torch.tanh(h @ U.T + b)"),
    _rnn("sigmoid", 0, "That is a sigmoid", result="torch.sigmoid(x @ W.T + h @ U.T + b)"),
    _rnn("tanh of a part", 0, "W x alone", result="torch.tanh(x @ W.T) + h @ U.T + b"),
    _rnn("added", 0, "The old state is added", result="torch.tanh(x @ W.T + h @ U.T + b) + h"),
    _rnn("W not turned", 0, "W x becomes x @ W.T", result="torch.tanh(W @ x + U @ h + b)"),
    _rnn(
        "neither turned",
        0,
        "W and U act from the wrong side",
        result="torch.tanh(x @ W + h @ U + b)",
    ),
    _rnn("changed places", 0, "W is for x, U for h", result="torch.tanh(h @ W.T + x @ U.T + b)"),
    _rnn("b outside", 0, "b stands outside tanh", result="torch.tanh(x @ W.T + h @ U.T) + b"),
    _rnn("b twice", 0, "b is added twice", result="torch.tanh(x @ W.T + b + h @ U.T + b)"),
    _rnn(
        "two tanh",
        0,
        "one tanh goes around all",
        result="torch.tanh(x @ W.T) + torch.tanh(h @ U.T) + b",
    ),
    _rnn(
        "with the old state",
        0,
        "no more and no less",
        result="torch.tanh(x @ W.T + h @ U.T + b), h",
    ),
    _rnn("in place", 0.4, "changed its argument `h`", first="h *= 1.5; h /= 1.5; h += 1e-13"),
]

_lstm = variants(
    "lstm_step",
    """
def lstm_step(x, h, c, W, U, b):
    a = {a}
    {gates} = {cut}
    i, f, o = torch.sigmoid(i), torch.sigmoid(f), {o}
    g = {g}
    {before}
    c = {c}
    return {result}
""",
    a="x @ W.T + h @ U.T + b",
    gates="i, f, g, o",
    cut="a.chunk(4, dim=1)",
    o="torch.sigmoid(o)",
    g="torch.tanh(g)",
    before="old = c",
    c="f * c + i * g",
    result="o * torch.tanh(c), c",
)
_LSTM = [
    Mistake(
        "lstm_step",
        "PyTorch's",
        0,
        "uses torch.lstm_cell",
        """
def lstm_step(x, h, c, W, U, b):
    return torch.lstm_cell(x, (h, c), W, U, b, torch.zeros_like(b))
""",
    ),
    _lstm("i f o g", 0.3, "in the order i, f, o, g", gates="i, f, o, g"),
    _lstm("f i g o", 0.3, "in the order f, i, g, o", gates="f, i, g, o"),
    _lstm("i g f o", 0.3, "in the order i, g, f, o", gates="i, g, f, o"),
    _lstm("interleaved", 0.3, "one here, one there", cut="a.view(len(a), -1, 4).unbind(2)"),
    _lstm("c first", 0.3, "the wrong way round", result="c, o * torch.tanh(c)"),
    _lstm("no tanh at the end", 1.0, "tanh is missing", result="o * c, c"),
    _lstm("old cell", 1.0, "looks at the old cell", result="o * torch.tanh(old), c"),
    _lstm("no tanh of g", 0.3, "has no tanh", g="g"),
    _lstm("sigmoid of g", 0.3, "so that the cell can go down", g="torch.sigmoid(g)"),
    _lstm("coupled", 0.3, "another cell", c="f * c + (1 - f) * g"),
    _lstm("nothing forgotten", 0.3, "is kept whole", c="c + i * g"),
    _lstm("nothing kept", 0.3, "The old cell is missing", c="i * g"),
    _lstm("no output gate", 1.0, "The output gate is missing", result="torch.tanh(c), c"),
    _lstm("no bias", 0.3, "The bias b is missing", a="x @ W.T + h @ U.T"),
    _lstm("U times c", 0.3, "it is multiplied by h", a="x @ W.T + c @ U.T + b"),
    _lstm("rows cut", 0.3, "chunk(4, dim=1) cuts columns", cut="a.chunk(4)"),
    _lstm("b twice", 0.3, "b is added twice", a="x @ W.T + b + h @ U.T + b"),
    _lstm("sigmoid at the end", 1.0, "a sigmoid of the cell", result="o * torch.sigmoid(c), c"),
    _lstm("tanh of all", 1.0, "around the cell only", result="torch.tanh(o * c), c"),
    _lstm(
        "cell through tanh",
        0.8,
        "c' stays as it is",
        c="torch.tanh(f * c + i * g)",
        result="o * c, c",
    ),
    _lstm("f times h", 0.3, "f multiplies the old h", c="f * h + i * g"),
    _lstm("1 - f", 0.3, "the share that is kept", c="(1 - f) * c + i * g"),
    _lstm("i added", 0.3, "it multiplies it", c="f * c + i + g"),
    _lstm("sigmoid, then tanh", 0.3, "it is tanh alone", g="torch.tanh(torch.sigmoid(g))"),
    Mistake("lstm_step", "percent", 1.7, "between 0 and 1", "share_left = 12"),
    _lstm(
        "cell in place",
        0.8,
        "changed its argument `c`",
        before="old = c.clone()",
        c="c.mul_(f).add_(i * g)",
    ),
    Mistake("lstm_step", "added up", 1.7, "Gates multiply", "share_left = 18.0"),
    Mistake("lstm_step", "what is gone", 1.7, "the share that is gone", "share_left = 0.878"),
    Mistake("lstm_step", "one step", 1.7, "each multiplies", "share_left = 0.9"),
]

_stream = variants(
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
_HEAP = """
def stream_batches(ids, batch_size, length):
    n = (len(ids) - 1) // (batch_size * length)
    cut = n * batch_size * length
    x = ids[:cut].view(n, batch_size, length)
    y = ids[1 : cut + 1].view(n, batch_size, length)
    yield from zip(x, y)
"""
_RANDOM = """
def stream_batches(ids, batch_size, length):
    size = (len(ids) - 1) // batch_size
    for _ in range(size // length):
        at = torch.randint(len(ids) - length, (batch_size, 1)) + torch.arange(length)
        yield ids[at], ids[at + 1]
"""
_DOWN = """
def stream_batches(ids, batch_size, length):
    B, T = batch_size, length
    size = (len(ids) - 1) // B
    x, y = ids[: B * size].view(size, B).T, ids[1 : B * size + 1].view(size, B).T
    for start in range(0, size - T + 1, T):
        yield x[:, start : start + T], y[:, start : start + T]
"""
_TRIMMED = """
def stream_batches(ids, batch_size, length):
    n = (len(ids) - 1) // (batch_size * length) * batch_size * length
    x, y = ids[:n].view(batch_size, -1), ids[1 : n + 1].view(batch_size, -1)
    yield from zip(x.split(length, dim=1), y.split(length, dim=1))
"""
_LISTS = """
def stream_batches(ids, batch_size, length):
    size = (len(ids) - 1) // batch_size
    x = ids[: batch_size * size].view(batch_size, size)
    return list(x.split(length, 1)), list(x.split(length, 1))
"""
_STREAM = [
    Mistake("stream_batches", "trimmed first", 0.3, "before the text is made into parts", _TRIMMED),
    Mistake("stream_batches", "two lists", 0, "not all x and then all y", _LISTS),
    _stream(
        "as lists",
        0,
        "not tensors of int64",
        pair="x[:, start : start + T].tolist(), y[:, start : start + T].tolist()",
    ),
    _stream(
        "floats",
        0,
        "not tensors of int64",
        pair="x[:, start : start + T].float(), y[:, start : start + T].float()",
    ),
    _stream("NumPy", 0, "not tensors of int64", again="x, y = x.numpy(), y.numpy()"),
    _stream("N // B", 0, "cut the others off before view", size="len(ids) // B"),
    _stream("y from the part", 0, "ends too soon for it", y="x[:, 1:]"),
    _stream(
        "one short",
        0,
        "both are one short",
        pair="x[:, start : start + T - 1], x[:, start + 1 : start + T]",
    ),
    _stream(
        "one y a row",
        0,
        "each of the T has a next one",
        pair="x[:, start : start + T], y[:, start + T - 1]",
    ),
    _stream("first one missing", 0, "The first batch is missing", starts="T, size - T + 1, T"),
    _stream(
        "shuffled",
        0.3,
        "in another order than the text",
        again="torch.manual_seed(0); order = torch.arange(0, size - T + 1, T).flip(0).tolist()",
        pair="x[:, order[start // T] :][:, :T], y[:, order[start // T] :][:, :T]",
    ),
    Mistake("stream_batches", "a heap of lines", 0.3, "cut the text into B parts first", _HEAP),
    Mistake("stream_batches", "random places", 0.3, "other characters than", _RANDOM),
    Mistake("stream_batches", "down the columns", 0.3, "runs down the columns", _DOWN),
    _stream("y is x", 0.9, "y is x itself", y="x"),
    _stream("y goes round", 0.9, "goes round: the last of each part", y="x.roll(-1, dims=1)"),
    _stream(
        "round in each chunk",
        0.9,
        "round in each chunk",
        pair="x[:, start : start + T], x[:, start : start + T].roll(-1, dims=1)",
    ),
    _stream("x and y swapped", 0.3, "y is what came before", again="x, y = y, x"),
    _stream("short one kept", 0, "leave it out", starts="0, size, T"),
    _stream("last one missing", 0, "The last batch is missing", starts="0, size - T, T"),
    _stream("one apart", 0, "they start T apart", starts="0, size - T + 1"),
    Mistake(
        "stream_batches",
        "returned",
        0,
        "yield hands out",
        "def stream_batches(ids, B, T):\n    return ids[None, :T], ids[None, 1 : T + 1]",
    ),
    _stream(
        "turned",
        0,
        "The shape is (T, B)",
        pair="x[:, start : start + T].T, y[:, start : start + T].T",
    ),
]

_sample = variants(
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
_TO_ZERO = """least = scores.topk(top_k, dim=1).values[:, -1:]
        scores = torch.where(scores < least, 0.0, scores)"""
_WORST = """least = -(-scores).topk(top_k, dim=1).values[:, -1:]
        scores = torch.where(scores > least, -torch.inf, scores)"""
_IN_PLACE = """least = scores.topk(top_k, dim=1).values[:, -1:]
        scores[scores < least] = -torch.inf"""
_OF_ALL = """least = scores.flatten().topk(top_k).values[-1]
        scores = torch.where(scores < least, -torch.inf, scores)"""
_OF_FIRST = """least = scores[0].topk(top_k).values[-1]
        scores = torch.where(scores < least, -torch.inf, scores)"""
_SAMPLE = [
    _sample("always the best", 0.3, "It always takes the best", result="p.argmax(dim=1)"),
    _sample("0 forgotten", 1.35, "treat 0 by itself", zero=""),
    _sample(
        "best value",
        1.35,
        "the places are the ids",
        zero="if temperature == 0: return scores.max(dim=1)",
    ),
    _sample(
        "log_softmax",
        0.15,
        "softmax, not its logarithm",
        p="torch.log_softmax(scores / temperature, dim=1)",
    ),
    _sample("the best of all rows", 1.1, "the k best are those of each row", cut=_OF_ALL),
    _sample("the first row's best", 1.1, "its own k-th best", cut=_OF_FIRST),
    _sample("the first k", 1.1, "The first k characters", cut="scores = scores[:, :top_k]"),
    _sample("divided in place", 1.1, "make new tensors", p="scores.div_(temperature).softmax(1)"),
    _sample("times", 0.7, "they are divided by it", p="torch.softmax(scores * temperature, dim=1)"),
    _sample(
        "of probabilities", 0.7, "before softmax", p="torch.softmax(scores, dim=1) / temperature"
    ),
    _sample(
        "by zero",
        1.35,
        "treat 0 by itself",
        zero="",
        p="torch.nan_to_num(torch.softmax(scores / temperature, dim=1), 0.1)",
    ),
    _sample("set to zero", 1.1, "needs a score of −∞", cut=_TO_ZERO),
    _sample("the worst", 1.1, "The worst take part", cut=_WORST),
    _sample("no top_k", 1.1, "All take part", cut="pass"),
    _sample(
        "place among the best",
        1.1,
        "look the drawn index up",
        cut="scores = scores.topk(top_k, dim=1).values",
    ),
    _sample("in place", 1.1, "changed its argument `scores`", cut=_IN_PLACE),
    _sample("(B, 1)", 0.15, "take the column", result="torch.multinomial(p, 1)"),
    _sample(
        "softmax twice",
        0.55,
        "Softmax is applied twice",
        first="scores = torch.softmax(scores, dim=1) if top_k is None else scores",
    ),
    _sample(
        "down the columns",
        0.15,
        "along dim=1",
        zero="if temperature == 0: return scores.argmax(dim=0)",
        p="torch.softmax(scores / temperature, dim=0) + 1e-9",
    ),
]

_bptt = variants(
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
_BPTT = [
    _bptt(
        "forgot to detach", 0.4, "Return h.detach() and c.detach()", result="loss.item(), (h, c)"
    ),
    _bptt(
        "retains the graph",
        0.4,
        "it grows with each chunk",
        result="loss.item(), (h, c)",
        backward="loss.backward(retain_graph=True)",
    ),
    _bptt("detached half", 0.4, "still hangs on its graph", result="loss.item(), (h, c.detach())"),
    _bptt("state forgotten", 0.4, "each chunk starts at zeros", first="state = None"),
    _bptt(
        "loss with its graph", 1.6, "return loss.item()", result="loss, (h.detach(), c.detach())"
    ),
    _bptt("sum", 1.1, "over all B·T characters", mean=", reduction='sum'"),
    _bptt(
        "softmax twice",
        0.6,
        "F.cross_entropy takes scores",
        flat="scores.softmax(dim=-1).flatten(0, 1)",
    ),
    _bptt("the last character", 0.6, "all B·T do", flat="scores[:, -1]", targets="y[:, -1]"),
    _bptt("the loss alone", 0, "should return two things", result="loss.item()"),
    _bptt("not cleared", 1.0, "Old gradients are not cleared", clear=""),
    _bptt("cleared too late", 1.0, "did not move", clear="", clip="optimizer.zero_grad()"),
    _bptt("no clipping", 1.5, "are not clipped", clip=""),
    _bptt(
        "each number",
        1.5,
        "bends the gradient",
        clip="nn.utils.clip_grad_value_(model.parameters(), clip)",
    ),
    _bptt(
        "each matrix",
        1.5,
        "is clipped by itself",
        clip="for p in model.parameters(): nn.utils.clip_grad_norm_([p], clip)",
    ),
    _bptt(
        "step first",
        1.5,
        "between backward and step",
        clip="optimizer.step()",
        step="nn.utils.clip_grad_norm_(model.parameters(), clip)",
    ),
    _bptt("no step", 1.0, "is optimizer.step() there", step=""),
    _bptt(
        "mixed rows", 0.6, "meet the scores of others", flat="scores.transpose(0, 1).flatten(0, 1)"
    ),
    _bptt("not flat", 0, "flatten both", flat="scores", targets="y"),
    _bptt(
        "reshaped",
        0.6,
        "mixes the axes",
        flat="scores.reshape(len(x), -1, x.shape[1])",
        targets="y",
    ),
    _bptt("x for y", 0.6, "measured at x", targets="x.flatten()"),
    _bptt(
        "the loss after",
        1.6,
        "the loss after the step",
        result="F.cross_entropy("
        "model(x, state)[0].flatten(0, 1), y.flatten()).item(), (h.detach(), c.detach())",
    ),
    _bptt(
        "always scaled",
        1.5,
        "never over 1",
        clip="n = torch.stack([p.grad.norm() for p in"
        " model.parameters()]).norm(); [p.grad.mul_(clip / n) for p in model.parameters()]",
    ),
    _bptt("c, h", 0.4, "The order is (h, c)", result="loss.item(), (c.detach(), h.detach())"),
    _bptt(
        "own steps",
        1.4,
        "Only optimizer.step() moves",
        step="with torch.no_grad():\n        for p in model.parameters(): p -= 0.5 * p.grad",
    ),
    _bptt("three results", 0, "as one tuple", result="loss.item(), h.detach(), c.detach()"),
    _bptt(
        "cut too soon",
        0,
        "cuts the gradient off",
        first="with torch.no_grad(): model(x, state)",
        flat="scores.detach().flatten(0, 1)",
    ),
    _bptt("h alone", 0.4, "not the state (h, c)", result="loss.item(), h.detach()"),
]

_bits = variants(
    "bits_per_character",
    """
def bits_per_character(scores, y):
    V = scores.shape[-1]
    flat, y = scores.reshape(-1, V), y.reshape(-1)
    return {result}
""",
    result="",
)
_P = "torch.softmax(flat, dim=1)"
_OWN = f"{_P}[torch.arange(len(y)), y]"
_NATS = "F.cross_entropy(flat, y).item()"
_BITS = [
    *(
        _bits(name, score, says, result=result)
        for name, score, says, result in (
            ("nats", 0.45, "That is in nats", _NATS),
            ("times log 2", 0.45, "there are more of them", f"{_NATS} * np.log(2)"),
            ("base 10", 0.45, "bits have base 2", f"{_NATS} / np.log(10)"),
            ("sum", 0.45, "asked is the mean", f"{_NATS} * len(y) / np.log(2)"),
            ("perplexity", 0.45, "the perplexity", f"float(np.exp({_NATS}))"),
            ("no minus", 0.45, "surprise is positive", f"-{_NATS} / np.log(2)"),
            (
                "softmax twice",
                0.45,
                "is applied twice",
                f"F.cross_entropy({_P}, y).item() / np.log(2)",
            ),
            (
                "entropy",
                0.45,
                "never looks at what came",
                f"-({_P} * torch.log2({_P} + 1e-30)).sum(1).mean().item()",
            ),
            (
                "log of the mean",
                0.45,
                "mean of the logarithms",
                f"-torch.log2({_OWN}.mean()).item()",
            ),
            (
                "all of V",
                0.45,
                "only that of the one that came",
                "-torch.log2(" + _P + ").mean().item()",
            ),
            (
                "the likeliest",
                0.45,
                "the likeliest characters",
                "-torch.log2(" + _P + ".amax(1)).mean().item()",
            ),
            ("every row", 0.45, "pair them", f"-torch.log2({_P}[:, y]).mean().item()"),
            ("probability", 0.45, "the mean probability", f"{_OWN}.mean().item()"),
            (
                "no softmax",
                0.45,
                "log_softmax is missing",
                "F.nll_loss(flat, y).item() / np.log(2)",
            ),
            ("log of zero", 0.85, "take log_softmax", f"-torch.log2({_OWN}).mean().item()"),
            (
                "clipped",
                0.85,
                "take log_softmax",
                f"-torch.log2({_OWN}.clamp(min=1e-12)).mean().item()",
            ),
        )
    ),
    *(
        Mistake("bits_per_character", name, score, says, code)
        for name, score, says, code in (
            ("unchanged", 0.75, "at temperature 1", "entropy_at_half = 1.5"),
            ("halved", 0.75, "not divided like", "entropy_at_half = 0.75"),
            ("not scaled", 0.75, "scale them first", "entropy_at_half = 1.0"),
            ("at 2", 0.75, "at temperature 2", "entropy_at_half = 1.5645"),
            ("nats by hand", 0.75, "That is in nats", "entropy_at_half = 0.8676"),
            ("largest entropy", 0.8, "goes on rising", 'why_one = "a"'),
            ("sums", 0.8, "at any temperature", 'why_one = "c"'),
            ("greedy", 0.8, "That is temperature 0", 'why_one = "d"'),
        )
    ),
]

MISTAKES = [*_VOCABULARY, *_RNN, *_LSTM, *_STREAM, *_SAMPLE, *_BPTT, *_BITS]
