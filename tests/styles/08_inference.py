"""Lab 08: right answers in other styles than the reference's."""

_STEP = """
def masked_step(network, masks, optimizer, x, y):
    {body}
"""
_SHARE = """
def share_weights(weights, bits):
    K = 2**bits - 1
    codes, codebook = np.zeros(weights.shape, dtype=np.int64), np.zeros(K + 1)
    places = np.nonzero(weights)
    values = weights[places]
    if len(values) == 0:
        return codes, codebook
    {body}
    codes[places] = of + 1
    codebook[1:] = centres
    return codes, codebook
"""
_TREE = """
def huffman(counts):
    groups = {{(symbol,): count for symbol, count in enumerate(counts) if count > 0}}
    words = dict.fromkeys(range(len(counts)), "")
    if len(groups) == 1:
        (symbol,), = groups
        words[symbol] = "1"
    while len(groups) > 1:
        one, two = sorted(groups, key=groups.get{tie})[:2]
        groups[one + two] = groups.pop(one) + groups.pop(two)
        for bit, group in zip("{bits}", (one, two)):
            for symbol in group:
                words[symbol] = bit + words[symbol]
    return [words[symbol] for symbol in range(len(counts))]
"""
_BITS = """
def compressed_bits(layers, gap_bits):
    {body}
"""
_FOLD = """
def fold_batch_norm(conv, norm):
    {refuse}
    with torch.no_grad():
        {body}
    return layer
"""
_RAISES = """if norm.training:
        raise ValueError("call eval first")"""
_CALIBRATE = """
def calibrate(x, per_row=False):
    {body}
"""

STYLES = {
    "prune": {
        "partition": """
def prune(weights, share):
    mask = np.full(weights.shape, True)
    n = int(round(share * weights.size))
    if n:
        smallest = np.argpartition(np.abs(weights).flatten(), n - 1)[:n]
        mask[np.unravel_index(smallest, weights.shape)] = False
    return mask
""",
        "ranks": """
def prune(weights, share):
    rank = np.abs(weights).ravel().argsort().argsort()
    return (rank >= round(weights.size * share)).reshape(weights.shape)
""",
        "sorted places": """
def prune(weights, share):
    flat = weights.ravel()
    order = sorted(range(flat.size), key=lambda i: abs(flat[i]))
    gone = set(order[: round(share * len(order))])
    return np.array([i not in gone for i in range(flat.size)]).reshape(weights.shape)
""",
        "torch's topk": """
def prune(weights, share):
    size = torch.from_numpy(np.ascontiguousarray(weights)).abs().flatten()
    kept = size.numel() - round(share * size.numel())
    mask = torch.zeros_like(size, dtype=torch.bool)
    mask[size.topk(kept).indices] = True
    return mask.view(weights.shape).numpy()
""",
        "data": _STEP.format(
            body="""optimizer.zero_grad()
    loss = nn.functional.cross_entropy(network(x), y)
    loss.backward()
    optimizer.step()
    for name, mask in masks.items():
        network.get_parameter(name).data.mul_(mask)
    return float(loss)"""
        ),
        "where": _STEP.format(
            body="""loss = nn.CrossEntropyLoss()(network(x), y)
    network.zero_grad()
    loss.backward()
    optimizer.step()
    named = dict(network.named_parameters())
    for name in masks:
        named[name].data = torch.where(masks[name], named[name].data, 0)
    return loss.detach().item()"""
        ),
        "gradients, too": _STEP.format(
            body="""optimizer.zero_grad()
    loss = F.cross_entropy(network(x), y)
    loss.backward()
    for name, p in network.named_parameters():
        if name in masks:
            p.grad[~masks[name]] = 0
    optimizer.step()
    with torch.no_grad():
        for name, p in network.named_parameters():
            if name in masks:
                p[~masks[name]] = 0
    return loss.item()"""
        ),
    },
    "share_weights": {
        "middles": _SHARE.format(
            body="""centres, of = np.linspace(values.min(), values.max(), K), None
    while True:
        new = np.searchsorted((centres[1:] + centres[:-1]) / 2, values)
        if of is not None and (new == of).all():
            break
        of = new
        sums, n = np.bincount(of, values, K), np.bincount(of, minlength=K)
        centres = np.where(n > 0, sums / np.maximum(n, 1), centres)"""
        ),
        "until nothing moves": _SHARE.format(
            body="""centres = np.linspace(min(values), max(values), K)
    moving = True
    while moving:
        of = np.array([np.argmin((v - centres) ** 2) for v in values])
        new = np.array([values[of == k].mean() if k in of else centres[k] for k in range(K)])
        moving, centres = not np.allclose(new, centres, rtol=1e-12, atol=0), new"""
        ),
        "many rounds": _SHARE.format(
            body="""step = (values.max() - values.min()) / (K - 1)
    centres = values.min() + step * np.arange(K)
    for _ in range(300):
        of = np.abs(centres - values.reshape(-1, 1)).argmin(1)
        for k in np.unique(of):
            centres[k] = np.mean(values[of == k])"""
        ),
        "torch": _SHARE.format(
            body="""v = torch.from_numpy(values).double()
    c = torch.linspace(0, 1, K, dtype=torch.float64) * (v.max() - v.min()) + v.min()
    of = None
    while True:
        new = torch.cdist(v[:, None], c[:, None]).argmin(1)
        if of is not None and torch.equal(of, new):
            break
        of = new
        for k in range(K):
            if (of == k).any():
                c[k] = v[of == k].mean()
    of, centres = of.numpy(), c.numpy()"""
        ),
        "add.at": """
def codebook_gradient(gradient, codes, size):
    total = np.zeros(size)
    np.add.at(total, codes, gradient)
    total[0] = 0.0
    return total
""",
        "a mask for each": """
def codebook_gradient(gradient, codes, size):
    return np.array([0.0] + [gradient[codes == k].sum() for k in range(1, size)])
""",
        "one-hot": """
def codebook_gradient(gradient, codes, size):
    hot = np.eye(size)[codes.ravel()]
    hot[:, 0] = 0
    return gradient.ravel() @ hot
""",
    },
    "huffman": {
        "groups in a dict": _TREE.format(tie="", bits="01"),
        "ones first, ties by size": _TREE.format(
            tie=" and (lambda g: (groups[g], len(g)))", bits="10"
        ),
        "ties the other way": _TREE.format(tie=" and (lambda g: (groups[g], -len(g)))", bits="01"),
        "a tree": """
def huffman(counts):
    words = [""] * len(counts)
    trees = [(c, i, i) for i, c in enumerate(counts) if c]
    heapq.heapify(trees)
    number = len(counts)
    while len(trees) > 1:
        a = heapq.heappop(trees)
        b = heapq.heapreplace(trees, (a[0] + trees[0][0], number, (a[2], trees[0][2])))
        number += 1

    def walk(tree, word):
        if isinstance(tree, tuple):
            walk(tree[0], word + "0")
            walk(tree[1], word + "1")
        else:
            words[tree] = word or "0"

    if trees:
        walk(trees[0][2], "")
    return words
""",
        "canonical": """
def huffman(counts):
    return compressed.canonical([len(w) for w in _own(counts)])

def _own(counts):
    lengths = [0] * len(counts)
    groups = sorted([c, [i]] for i, c in enumerate(counts) if c)
    if len(groups) == 1:
        lengths[groups[0][1][0]] = 1
    while len(groups) > 1:
        (c, one), (d, two), *rest = groups
        for i in one + two:
            lengths[i] += 1
        groups = sorted([[c + d, one + two], *rest])
    return ["x" * n for n in lengths]
""",
        "encode with a loop": """
def encode(symbols, words):
    bits = ""
    for symbol in symbols:
        word = words[symbol]
        if word == "":
            raise ValueError(f"{symbol} has no word")
        bits += word
    return bits
""",
        "encode with a dict": """
def encode(symbols, words):
    table = {i: w for i, w in enumerate(words) if w}
    try:
        return "".join(table[s] for s in symbols)
    except KeyError as error:
        raise ValueError("no word") from error
""",
        "decode by beginnings": """
def decode(bits, words):
    found = []
    while bits:
        for symbol, word in enumerate(words):
            if word and bits.startswith(word):
                found.append(symbol)
                bits = bits[len(word):]
                break
        else:
            raise ValueError("cut short")
    return found
""",
        "decode by places": """
def decode(bits, words):
    out, start = [], 0
    known = dict(zip(words, range(len(words))))
    for end in range(1, len(bits) + 1):
        piece = bits[start:end]
        if piece in known:
            out += [known[piece]]
            start = end
    if start != len(bits):
        raise ValueError
    return out
""",
    },
    "compressed_bits": {
        "divmod": """
def entries(codes, gap_bits):
    gaps, kept = [], []
    places = [-1, *np.flatnonzero(codes.reshape(-1)).tolist()]
    for before, place in zip(places, places[1:]):
        fillers, gap = divmod(place - before - 1, 2**gap_bits)
        gaps += [2**gap_bits - 1] * fillers + [gap]
        kept += [0] * fillers + [int(codes.reshape(-1)[place])]
    return gaps, kept
""",
        "diff": """
def entries(codes, gap_bits):
    flat = codes.reshape(-1)
    places = np.flatnonzero(flat)
    gaps, kept = [], []
    for gap, code in zip(np.diff(places, prepend=-1) - 1, flat[places]):
        while gap > (1 << gap_bits) - 1:
            gaps.append((1 << gap_bits) - 1)
            kept.append(0)
            gap -= 1 << gap_bits
        gaps.append(int(gap))
        kept.append(int(code))
    return gaps, kept
""",
        "a counter": _BITS.format(
            body="""from collections import Counter
    total = 8
    for codes, codebook, bias in layers:
        gaps, stored = entries(codes, gap_bits)
        total += 104 + 32 * (codebook.size - 1 + bias.size)
        total += 5 * (codebook.size + 2**gap_bits)
        for row, size in ((gaps, 2**gap_bits), (stored, codebook.size)):
            often = Counter(row)
            words = huffman([often[i] for i in range(size)])
            total += sum(len(words[i]) for i in row)
    return total + -total % 8"""
        ),
        "encoded": _BITS.format(
            body="""bits = 8
    for codes, codebook, bias in layers:
        bits += 16 * 2 + 4 * 2 + 32 * 2 + 32 * (len(codebook) - 1) + 32 * codes.shape[0]
        for row, n in zip(entries(codes, gap_bits), (1 << gap_bits, len(codebook))):
            counts = np.zeros(n, int)
            for symbol in row:
                counts[symbol] += 1
            bits += 5 * n + len(encode(row, huffman(counts.tolist())))
    return (bits + 7) // 8 * 8"""
        ),
        "ceil": _BITS.format(
            body="""def layer(codes, codebook, bias):
        gaps, stored = entries(codes, gap_bits)
        n, m = 2**gap_bits, len(codebook)
        words = [huffman(list(map(r.count, range(k)))) for r, k in ((gaps, n), (stored, m))]
        own = sum(len(words[0][g]) for g in gaps) + sum(len(words[1][c]) for c in stored)
        return 104 + 32 * (m - 1) + 5 * (n + m) + own + 32 * len(bias)

    return 8 * int(np.ceil((8 + sum(layer(*one) for one in layers)) / 8))"""
        ),
    },
    "fold_batch_norm": {
        "conv's mode asked, too": _FOLD.format(
            refuse="if norm.training or conv.training: raise ValueError('training')",
            body="""layer = copy.deepcopy(conv)
        k = norm.weight * (norm.running_var + norm.eps).rsqrt()
        layer.weight.mul_(k[:, None, None, None])
        b = 0 if conv.bias is None else conv.bias
        layer.bias = nn.Parameter(norm.bias + k * (b - norm.running_mean))""",
        ),
        "a new layer": _FOLD.format(
            refuse=_RAISES,
            body="""layer = nn.Conv2d(
            conv.in_channels, conv.out_channels, conv.kernel_size, conv.stride, conv.padding,
            conv.dilation, conv.groups, bias=True, padding_mode=conv.padding_mode,
            dtype=conv.weight.dtype,
        )
        k = norm.weight * (norm.running_var + norm.eps).rsqrt()
        layer.weight.copy_(k.view(-1, 1, 1, 1) * conv.weight)
        b = conv.bias if conv.bias is not None else torch.zeros_like(k)
        layer.bias.copy_(norm.bias + k * (b - norm.running_mean))""",
        ),
        "einsum": _FOLD.format(
            refuse=_RAISES,
            body="""layer = copy.deepcopy(conv)
        std = (norm.running_var + norm.eps).sqrt()
        layer.weight = nn.Parameter(torch.einsum("k,kcrs->kcrs", norm.weight / std, conv.weight))
        old = 0.0 if conv.bias is None else conv.bias
        layer.bias = nn.Parameter((old - norm.running_mean) / std * norm.weight + norm.bias)""",
        ),
        "by probing": _FOLD.format(
            refuse=_RAISES,
            body="""layer = copy.deepcopy(conv)
        K = conv.out_channels
        probe = torch.zeros(2, K, 1, 1, dtype=conv.weight.dtype)
        probe[1] = 1
        at = norm(probe)[:, :, 0, 0]
        factor = at[1] - at[0]
        layer.weight.data = layer.weight.data * factor[:, None, None, None]
        old = conv.bias if conv.bias is not None else torch.zeros(K, dtype=factor.dtype)
        layer.bias = nn.Parameter(at[0] + factor * old)""",
        ),
        "transposed": _FOLD.format(
            refuse=_RAISES,
            body="""layer = copy.deepcopy(conv)
        factor = norm.weight / (norm.running_var + norm.eps) ** 0.5
        layer.weight = nn.Parameter((conv.weight.transpose(0, 3) * factor).transpose(0, 3))
        shift = norm.bias - factor * norm.running_mean
        layer.bias = nn.Parameter(shift if conv.bias is None else shift + factor * conv.bias)""",
        ),
        "channel by channel": _FOLD.format(
            refuse=_RAISES,
            body="""layer = copy.deepcopy(conv)
        layer.bias = nn.Parameter(torch.zeros_like(norm.bias))
        for k in range(conv.out_channels):
            f = norm.weight[k] / torch.sqrt(norm.running_var[k] + norm.eps)
            layer.weight[k] *= f
            b = 0 if conv.bias is None else conv.bias[k]
            layer.bias[k] = f * (b - norm.running_mean[k]) + norm.bias[k]""",
        ),
    },
    "quantize": {
        "rows of a list": _CALIBRATE.format(
            body="""rows = x if per_row else x.reshape(1, -1)
    s, z = [], []
    for row in rows:
        low, high = min(row.min(), 0.0), max(row.max(), 0.0)
        s.append((high - low) / 255 if high > low else 1.0)
        z.append(round(-128 - low / s[-1]) if high > low else 0)
    return np.array(s)[:, None], np.array(z, dtype=np.int64)[:, None]"""
        ),
        "with a zero beside": _CALIBRATE.format(
            body="""rows = x if per_row else x.reshape(1, -1)
    rows = np.pad(rows, ((0, 0), (1, 0)))
    low, high = rows.min(axis=1), rows.max(axis=1)
    s = (high - low) / 255
    none = s == 0
    s[none] = 1
    z = np.rint(-128 - low / s)
    z[none] = 0
    return s.reshape(-1, 1), z.astype("int64").reshape(-1, 1)"""
        ),
        "from the top": _CALIBRATE.format(
            body="""how = {"axis": 1, "keepdims": True} if per_row else {"keepdims": True}
    low, high = x.min(**how, initial=0), x.max(**how, initial=0)
    s = (high - low) / 255
    s[s == 0] = 1
    z = np.where(high > low, np.round(127 - high / s), 0)
    return s, z.astype(np.int64)"""
        ),
        "int before the limit": """
def quantize(x, s, z):
    q = np.rint(x / s).astype(np.int64) + z
    return np.minimum(np.maximum(q, -128), 127).astype(np.int8)
""",
        "limits of the type": """
def quantize(x, s, z):
    kind = np.iinfo(np.int8)
    return (x / s + z).round().clip(kind.min, kind.max).astype(np.int8)
""",
        "half up": """
def quantize(x, s, z):
    return np.int8(np.clip(np.floor(x / s + 0.5) + z, -128, 127))
""",
    },
    "quantized_linear": {
        "int32 at once": """
def accumulate(q_x, z_x, q_w, z_w):
    return (np.int32(q_x) - np.int32(z_x)) @ (np.int32(q_w) - np.int32(z_w)).T
""",
        "einsum": """
def accumulate(q_x, z_x, q_w, z_w):
    x, w = q_x.astype(int) - z_x, q_w.astype(int) - z_w
    return np.einsum("ni,oi->no", x, w).astype(np.int32)
""",
        "multiplied out": """
def accumulate(q_x, z_x, q_w, z_w):
    x, w = q_x.astype(np.int64), q_w.astype(np.int64)
    sums = x @ w.T - z_x * w.sum(1) - x.sum(1)[:, None] * z_w.T + x.shape[1] * z_x * z_w.T
    return sums.astype(np.int32)
""",
        "float64 is exact here": """
def accumulate(q_x, z_x, q_w, z_w):
    return ((q_x.astype(np.float64) - z_x) @ (q_w.astype(np.float64) - z_w).T).astype(np.int32)
""",
        "torch": """
def accumulate(q_x, z_x, q_w, z_w):
    x = torch.from_numpy(q_x).int() - torch.from_numpy(z_x).int()
    w = torch.from_numpy(q_w).int() - torch.from_numpy(z_w).int()
    return (x @ w.T).numpy()
""",
        "steps": """
def quantized_linear(x, s_x, z_x, q_w, s_w, z_w, b):
    q_x = quantize(x, s_x, z_x)
    scale = s_x.item() * s_w.reshape(1, -1)
    return accumulate(q_x, z_x, q_w, z_w) * scale + b[None]
""",
        "without accumulate": """
def quantized_linear(x, s_x, z_x, q_w, s_w, z_w, b):
    q_x = quantize(x, s_x, z_x).astype(np.int64) - z_x
    return q_x @ (q_w.astype(np.int64) - z_w).T * (s_x * s_w).T + b
""",
    },
    "choose_batch": {
        "sums": """
def latency_line(n, t):
    M = len(n)
    each = (M * (n * t).sum() - n.sum() * t.sum()) / (M * (n * n).sum() - n.sum() ** 2)
    return (t.sum() - each * n.sum()) / M, each
""",
        "covariance": """
def latency_line(n, t):
    c = np.cov(n, t)
    each = c[0, 1] / c[0, 0]
    return np.mean(t) - each * np.mean(n), each
""",
        "normal equations": """
def latency_line(n, t):
    a, b, d = float(len(n)), float(n.sum()), float(n @ n)
    p, q = float(t.sum()), float(n @ t)
    det = a * d - b * b
    return (d * p - b * q) / det, (a * q - b * p) / det
""",
        "two equations, solved": """
def latency_line(n, t):
    a = np.stack([np.ones_like(n), n], axis=1)
    fixed, each = np.linalg.solve(a.T @ a, a.T @ t)
    return float(fixed), float(each)
""",
        "counting up": """
def choose_batch(fixed, each, limit):
    n = 0
    while fixed + each * (n + 1) <= limit:
        n += 1
    return n
""",
        "floor": """
import math
def choose_batch(fixed, each, limit):
    if limit < fixed + each:
        return 0
    return math.floor((limit - fixed) / each)
""",
        "two digits": "caffe_fixed = 11.53",
        "a capital": 'what_went = "A"',
    },
}
