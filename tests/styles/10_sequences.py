"""Lab 10: right answers in other styles than the reference's."""

_READ = """
def collapse(path):
    {body}


def greedy_decode(log_probs, lengths):
    {decode}
"""
_DECODE = "return [collapse(log_probs[:n, i].argmax(1).tolist()) for i, n in enumerate(lengths)]"

_EDITS = """
def edit_distance(said, heard):
    {body}


def label_error_rate(said, heard):
    {rate}
"""
_RATE = "return sum(map(edit_distance, said, heard)) / sum(len(one) for one in said)"

_WINDOWS = """
def windows(prices, length, every=1):
    {windows}


def normalise(rows):
    {normalise}


def split_by_time(starts, length, cut):
    {split}
"""
_SCALED = """x = np.log(rows)
    x = x - x.mean(1, keepdims=True)
    return x / np.where(rows.max(1) == rows.min(1), np.inf, x.std(1))[:, None]"""

_ATTEND = """
def attend_to_past(past, query, decay, rate):
    {linear}


def softmax_attention(past, query):
    {soft}
"""

STYLES = {
    "greedy_decode": {
        "reduce": _READ.format(
            body="""import functools
    def step(state, label):
        said, before = state
        return (said + [label] * (label not in (0, before)), label)
    return functools.reduce(step, path, ([], 0))[0]""",
            decode="""T, N, K = log_probs.shape
    best = log_probs.detach().numpy().argmax(axis=-1)
    return [collapse(best[:n, i].tolist()) for i, n in zip(range(N), lengths.numpy())]""",
        ),
        "while": _READ.format(
            body="""said, i = [], 0
    while i < len(path):
        if path[i]:
            said.append(path[i])
        j = i
        while j < len(path) and path[j] == path[i]:
            j += 1
        i = j
    return said""",
            decode="""padding = torch.arange(len(log_probs))[:, None] >= lengths
    best = log_probs.argmax(-1).masked_fill(padding, 0)
    return [collapse(column) for column in best.T.tolist()]""",
        ),
        "a loop and the label before": _READ.format(
            body="""said, before = [], None
    for label in path:
        if label != before and label != 0:
            said.append(label)
        before = label
    return said""",
            decode=_DECODE,
        ),
        "pairs": _READ.format(
            body="return [b for a, b in zip([0, *path], path) if b and a != b]",
            decode="""labels = torch.max(log_probs, dim=-1).indices
    return [collapse(labels[:n, i].tolist()) for i, n in enumerate(lengths.tolist())]""",
        ),
        "NumPy": _READ.format(
            body="""p = np.asarray(path, dtype=int)
    keep = np.diff(p, prepend=-1) != 0
    return p[keep & (p != 0)].tolist()""",
            decode="return [*map(collapse, [p[:n].tolist() for p, n in "
            "zip(log_probs.argmax(2).T, lengths)])]",
        ),
        "unique_consecutive": _READ.format(
            body="""runs = torch.unique_consecutive(torch.tensor(path, dtype=torch.int64))
    return runs[runs != 0].tolist()""",
            decode="""out = []
    for n, own in zip(lengths, log_probs.permute(1, 0, 2)):
        out.append(collapse(own[: int(n)].topk(1, dim=-1).indices.flatten().tolist()))
    return out""",
        ),
        "recursion and a generator": _READ.format(
            body="""def labels(before, rest):
        if rest:
            if rest[0] not in (0, before):
                yield rest[0]
            yield from labels(rest[0], rest[1:])
    return list(labels(0, path))""",
            decode="return tuple(tuple(collapse(p[:n])) for p, n in "
            "zip(log_probs.exp().argmax(2).t().tolist(), lengths.tolist()))",
        ),
    },
    "label_error_rate": {
        "a dict of places": _EDITS.format(
            body="""d = {}
    for i in range(-1, len(said)):
        for j in range(-1, len(heard)):
            if i < 0 or j < 0:
                d[i, j] = i + j + 2
            else:
                ways = d[i - 1, j] + 1, d[i, j - 1] + 1, d[i - 1, j - 1] + (said[i] != heard[j])
                d[i, j] = min(ways)
    return d[len(said) - 1, len(heard) - 1]""",
            rate="""total = sum(len(one) for one in said)
    return sum(edit_distance(a, b) / total for a, b in zip(said, heard))""",
        ),
        "by breadth": _EDITS.format(
            body="""reached, edits = {(0, 0)}, 0
    while True:
        waiting = list(reached)
        while waiting:
            i, j = waiting.pop()
            if i < len(said) and j < len(heard) and said[i] == heard[j]:
                if (i + 1, j + 1) not in reached:
                    reached.add((i + 1, j + 1))
                    waiting.append((i + 1, j + 1))
        if (len(said), len(heard)) in reached:
            return edits
        reached |= {
            (i + a, j + b) for i, j in reached for a, b in ((0, 1), (1, 0), (1, 1))
            if i + a <= len(said) and j + b <= len(heard)
        }
        edits += 1""",
            rate="return float(torch.tensor([edit_distance(a, b) for a, b in zip(said, heard)],"
            " dtype=torch.double).sum() / sum(map(len, said)))",
        ),
        "a whole table": _EDITS.format(
            body="""t = [[max(i, j) if not i * j else 0 for j in range(len(heard) + 1)]
         for i in range(len(said) + 1)]
    for i in range(1, len(said) + 1):
        for j in range(1, len(heard) + 1):
            if said[i - 1] == heard[j - 1]:
                t[i][j] = t[i - 1][j - 1]
            else:
                t[i][j] = 1 + min(t[i - 1][j], t[i][j - 1], t[i - 1][j - 1])
    return t[-1][-1]""",
            rate=_RATE,
        ),
        "recursion with a memory": _EDITS.format(
            body="""from functools import cache

    @cache
    def of(i, j):
        if 0 in (i, j):
            return i + j
        other = said[i - 1] != heard[j - 1]
        return min(of(i - 1, j) + 1, of(i, j - 1) + 1, of(i - 1, j - 1) + other)

    return of(len(said), len(heard))""",
            rate="""edits = labels = 0
    for one, other in zip(said, heard):
        edits += edit_distance(one, other)
        labels += len(one)
    return edits / labels""",
        ),
        "NumPy": _EDITS.format(
            body="""t = np.zeros((len(said) + 1, len(heard) + 1), dtype=int)
    t[:, 0], t[0] = np.arange(len(said) + 1), np.arange(len(heard) + 1)
    for i, a in enumerate(said):
        for j, b in enumerate(heard):
            t[i + 1, j + 1] = min(t[i, j + 1] + 1, t[i + 1, j] + 1, t[i, j] + (a != b))
    return int(t[-1, -1])""",
            rate="return float(np.sum([edit_distance(a, b) for a, b in zip(said, heard)])"
            " / np.sum([len(a) for a in said]))",
        ),
        "from the end": _EDITS.format(
            body="""a, b = list(said)[::-1], list(heard)[::-1]
    row = [*range(len(a) + 1)]
    for j, y in enumerate(b):
        diagonal, row[0] = row[0], j + 1
        for i, x in enumerate(a):
            diagonal, row[i + 1] = row[i + 1], min(
                row[i + 1] + 1, row[i] + 1, diagonal + int(x != y)
            )
    return row[-1]""",
            rate=_RATE,
        ),
        "equal ends cut off": _EDITS.format(
            body="""if not said or not heard:
        return len(said) + len(heard)
    if said[-1] == heard[-1]:
        return edit_distance(said[:-1], heard[:-1])
    return 1 + min(
        edit_distance(said[:-1], heard), edit_distance(said, heard[:-1]),
        edit_distance(said[:-1], heard[:-1]),
    )""",
            rate=_RATE,
        ),
    },
    "ctc_loss": {
        "from a start before the first frame": """
def ctc_loss(log_probs, target):
    places = [0, *[q for label in target for q in (label, 0)]]
    low = log_probs.new_tensor(-1e30)
    alpha = [low * 0] + [low] * (len(places) - 1)
    for frame in log_probs:
        new = []
        for s, place in enumerate(places):
            ways = [alpha[s], *alpha[max(0, s - 1) : s]]
            if s > 1 and place not in (0, places[s - 2]):
                ways.append(alpha[s - 2])
            new.append(torch.stack(ways).logsumexp(0) + frame[place])
        alpha = new
    loss = -torch.stack(alpha[-2:]).logsumexp(0)
    return loss if loss < 1e20 else loss * float("inf")
""",
        "backwards": """
def ctc_loss(log_probs, target):
    from functools import cache

    places = [0, *[q for label in target for q in (label, 0)]]
    T, S = len(log_probs), len(places)

    @cache
    def rest(t, s):
        if s >= S:
            return None
        if t == T - 1:
            return log_probs[t, places[s]] if s >= S - 2 else None
        jump = s + 2 < S and places[s + 2] not in (0, places[s])
        ways = [rest(t + 1, s), rest(t + 1, s + 1), rest(t + 1, s + 2) if jump else None]
        ways = [way for way in ways if way is not None]
        return torch.logsumexp(torch.stack(ways), 0) + log_probs[t, places[s]] if ways else None

    begins = [one for one in (rest(0, 0), rest(0, 1)) if one is not None]
    return -torch.logsumexp(torch.stack(begins), 0) if begins else log_probs.sum() * 0 + torch.inf
""",
        "one place after another": """
def ctc_loss(log_probs, target):
    places = [0]
    for label in target:
        places += [label, 0]
    low = log_probs.new_tensor(-1e30)
    alpha = [log_probs[0, p] if s < 2 else low for s, p in enumerate(places)]
    for frame in log_probs[1:]:
        new = []
        for s, place in enumerate(places):
            ways = alpha[max(0, s - 1) : s + 1]
            if s > 1 and place != 0 and place != places[s - 2]:
                ways = alpha[s - 2 : s + 1]
            new.append(torch.logsumexp(torch.stack(ways), 0) + frame[place])
        alpha = new
    loss = -torch.logsumexp(torch.stack(alpha[-2:]), 0)
    return loss if loss < 1e20 else torch.tensor(float("inf"), dtype=loss.dtype)
""",
        "only what can be reached": """
def ctc_loss(log_probs, target):
    places = [0, *[q for label in target for q in (label, 0)]]
    alpha = {0: log_probs[0, 0]}
    if target:
        alpha[1] = log_probs[0, target[0]]
    for frame in log_probs[1:]:
        come = {}
        for s, value in alpha.items():
            for step in (0, 1, 2):
                to = s + step
                if to >= len(places) or step == 2 and (
                    places[to] == 0 or places[to] == places[s]
                ):
                    continue
                come.setdefault(to, []).append(value)
        alpha = {to: torch.stack(all_).logsumexp(0) + frame[places[to]]
                 for to, all_ in come.items()}
    ends = [alpha[s] for s in (len(places) - 1, len(places) - 2) if s in alpha]
    if not ends:
        return torch.full((), torch.inf, dtype=log_probs.dtype)
    return -torch.stack(ends).logsumexp(0)
""",
        "changed in place": """
def ctc_loss(log_probs, target):
    places = [0]
    for label in target:
        places += [label, 0]
    alpha = log_probs.new_full((len(places),), -1e30)
    alpha[:2] = log_probs[0, places[:2]]
    for frame in log_probs[1:]:
        for s in reversed(range(len(places))):
            ways = [alpha[s]] + [alpha[s - 1]] * (s > 0)
            if s > 1 and places[s] and places[s] != places[s - 2]:
                ways.append(alpha[s - 2])
            alpha[s] = torch.logsumexp(torch.stack(ways), 0) + frame[places[s]]
    loss = -torch.logsumexp(alpha[-2:], 0)
    return loss if loss < 1e20 else loss.new_tensor(torch.inf)
""",
        "probabilities, scaled": """
def ctc_loss(log_probs, target):
    p = log_probs.exp()
    places = torch.tensor([0, *[q for label in target for q in (label, 0)]])
    n = len(places)
    moves = torch.eye(n, dtype=p.dtype) + torch.diag(torch.ones(n - 1, dtype=p.dtype), -1)
    for s in range(2, n):
        if places[s] != 0 and places[s] != places[s - 2]:
            moves[s, s - 2] = 1
    alpha = p[0, places] * (torch.arange(n) < 2)
    total = 0.0
    for frame in p[1:]:
        scale = alpha.sum().detach()
        total = total + scale.log()
        alpha = (moves @ alpha) / scale * frame[places]
    return -(alpha[-2:].sum().log() + total)
""",
        "logaddexp": """
def ctc_loss(log_probs, target):
    T, S = len(log_probs), len(target)
    if T < S + sum(target[i] == target[i + 1] for i in range(S - 1)):
        return log_probs.sum() * 0 + float("inf")
    places = [0] * (2 * S + 1)
    places[1::2] = target
    bars = torch.tensor(
        [s < 2 or places[s] == 0 or places[s] == places[s - 2] for s in range(2 * S + 1)]
    )
    low = torch.full((2 * S + 1,), -1e20, dtype=log_probs.dtype)
    alpha = torch.where(torch.arange(2 * S + 1) < 2, log_probs[0, places], low)
    for t in range(1, T):
        one = torch.cat([low[:1], alpha[:-1]])
        two = torch.where(bars, low, torch.cat([low[:2], alpha[:-2]])[: 2 * S + 1])
        alpha = torch.logaddexp(torch.logaddexp(alpha, one), two) + log_probs[t, places]
    return -(alpha[0] if S == 0 else torch.logaddexp(alpha[-1], alpha[-2]))

paths_of_aa = 5.0
""",
    },
    "windows": {
        "as_strided": _WINDOWS.format(
            windows="""(step,) = prices.strides
    count = 1 + (len(prices) - length) // every
    view = np.lib.stride_tricks.as_strided(prices, (count, length), (every * step, step))
    return view.copy()""",
            normalise="""x = torch.log(torch.tensor(rows))
    x = x - x.mean(1, keepdim=True)
    spread = x.pow(2).mean(1, keepdim=True).sqrt()
    return torch.where(spread < 1e-10, 0.0, x / spread).numpy()""",
            split="return np.less_equal(starts, cut - length), np.logical_not(cut > starts)",
        ),
        "a view": _WINDOWS.format(
            windows="return np.lib.stride_tricks.sliding_window_view(prices, length)[::every]",
            normalise=_SCALED,
            split="return starts < cut - length + 1, ~(starts < cut)",
        ),
        "slices, stacked": _WINDOWS.format(
            windows="""last = len(prices) - length
    return np.stack([prices[s : s + length] for s in range(0, last + 1, every)])""",
            normalise="""out = []
    for row in np.log(rows):
        spread = row.std() if np.ptp(row) > 0 else 1.0
        out.append((row - (row.mean() if np.ptp(row) > 0 else row[0])) / spread)
    return np.array(out)""",
            split="""ends = starts + length - 1
    return ends < cut, np.greater_equal(starts, cut)""",
        ),
        "a little in the divisor": _WINDOWS.format(
            windows="""count = (len(prices) - length) // every + 1
    rows = np.empty((count, length))
    for m in range(count):
        rows[m] = prices[m * every : m * every + length]
    return rows""",
            normalise="""x = np.log(rows / rows[:, :1])
    x -= np.average(x, axis=1)[:, np.newaxis]
    return x / (np.sqrt((x**2).mean(axis=1, keepdims=True)) + 1e-9)""",
            split="return np.array([s + length <= cut for s in starts]), "
            "np.array([s >= cut for s in starts])",
        ),
        "PyTorch's unfold": _WINDOWS.format(
            windows="return torch.from_numpy(prices).unfold(0, length, every).numpy()",
            normalise="""x = np.log(rows).T
    x = np.where(np.all(rows == rows[:, :1], axis=1), 0, x - x.mean(axis=0))
    return (x / np.maximum(x.std(axis=0), 1e-12)).T""",
            split="return [starts + length <= cut, starts >= cut]",
        ),
        "base two, and whole numbers": _WINDOWS.format(
            windows="return prices[[range(s, s + length) "
            "for s in range(0, len(prices) + 1 - length, every)]]",
            normalise="""x = np.log2(rows)
    flat = (rows == rows[:, [0]]).all(axis=1)
    z = np.zeros_like(x)
    z[~flat] = ((x - x.mean(1)[:, None]) / x.std(1)[:, None])[~flat]
    return z""",
            split="return (starts + length <= cut).astype(int), (starts >= cut).astype(int)",
        ),
    },
    "days_ahead": {
        "a set of what moved": """
def days_ahead(feature, prices):
    base = feature(prices.copy())
    same = lambda a, b: (a == b) | (np.isnan(a) & np.isnan(b))
    far = {0}
    for day in reversed(range(prices.shape[0])):
        for price in (prices.max() + 1e4, prices.min() * 1e-3):
            tried = np.concatenate([prices[:day], [price], prices[day + 1 :]])
            far |= {day - t for t, equal in enumerate(same(base, feature(tried))) if not equal}
    return max(far)
""",
        "all from a day on": """
def days_ahead(feature, prices):
    before, most = feature(prices.copy()), 0
    for day in range(len(prices)):
        for price in (1e-3 * prices.min(), 1e3 * prices.max()):
            changed = np.where(np.arange(len(prices)) < day, prices, price)
            after = feature(changed)
            moved = ~((after == before) | (np.isnan(after) & np.isnan(before)))
            if moved.any():
                most = max(most, day - int(moved.argmax()))
    return most
""",
        "a table of what moves": """
def days_ahead(feature, prices):
    n = len(prices)
    moved = np.zeros((n, n), bool)
    before = feature(prices)
    for day in range(n):
        for factor in (1e-4, 1e4):
            p = prices.copy()
            p[day] *= factor
            moved[:, day] |= ~np.isclose(feature(p), before, rtol=1e-10, atol=0, equal_nan=True)
    rows, columns = np.nonzero(moved)
    return int(max(0, (columns - rows).max(initial=0)))
""",
        "NaN made a number": """
def days_ahead(feature, prices):
    clean = lambda p: np.nan_to_num(feature(p), nan=-123.0)
    before = clean(prices.copy())
    found = [0]
    for day, price in enumerate(prices):
        for new in (price / 1000, price * 1000):
            p = prices.copy()
            p[day] = new
            where = np.flatnonzero(abs(clean(p) - before) > 1e-9 * abs(before))
            found += [day - one for one in where.tolist()]
    return max(found)
""",
        "from the farthest down": """
def days_ahead(feature, prices):
    n, before = len(prices), feature(prices.copy())

    def moves(day):
        for new in (min(prices) * 0.01, max(prices) * 100):
            p = prices.copy()
            p[day] = new
            yield ~np.isclose(feature(p), before, rtol=0, atol=1e-9, equal_nan=True)

    table = [np.any(list(moves(day)), axis=0) for day in range(n)]
    for far in range(n - 1, 0, -1):
        if any(table[day][day - far] for day in range(far, n)):
            return far
    return 0
""",
        "each price put back": """
def days_ahead(feature, prices):
    before, ahead = feature(prices), 0
    for day in range(prices.size):
        kept = prices[day]
        for price in (prices.min() / 10, prices.max() * 10):
            prices[day] = price
            same = np.isclose(before, feature(prices), rtol=1e-9, equal_nan=True)
            prices[day] = kept
            moved = np.nonzero(~same)[0]
            if len(moved):
                ahead = max(ahead, day - moved[0])
    return int(ahead)
""",
        "array_equal, one number at a time": """
def days_ahead(feature, prices):
    before, most = feature(prices.copy()).tolist(), 0
    for day in range(len(prices)):
        for price in (float(prices.max()) * 50, float(prices.min()) / 50):
            p = prices.tolist()
            p[day] = price
            for t, (a, b) in enumerate(zip(feature(np.array(p)).tolist(), before)):
                if repr(a) != repr(b) and abs(a - b) > 1e-12:
                    most = max(most, day - t)
    return most
""",
    },
    "fast_weights_step": {
        "matmul, and a function of its own": """
def fast_weights_step(x, h, A, slow, decay, rate, inner=1):
    W, C, b = slow

    def norm(s):
        spread, mean = torch.var_mean(s, dim=1, keepdim=True, correction=0)
        return (s - mean) * torch.rsqrt(spread + 1e-5)

    A = torch.add(decay * A, torch.matmul(h.unsqueeze(-1), h.unsqueeze(-2)), alpha=rate)
    z = torch.cat([h, x], dim=1) @ torch.cat([W, C], dim=1).T + b
    states = [z.tanh()]
    for _ in range(inner):
        states.append(norm(z + torch.matmul(A, states[-1].unsqueeze(-1)).squeeze(-1)).tanh())
    return states[-1], A
""",
        "einsum": """
def fast_weights_step(x, h, A, slow, decay, rate, inner=1):
    W, C, b = slow
    A = decay * A + rate * torch.einsum("ni,nj->nij", h, h)
    z = F.linear(h, W) + F.linear(x, C, b)
    state = z.tanh()
    for _ in range(inner):
        state = torch.tanh(F.layer_norm(z + torch.einsum("nij,nj->ni", A, state), [z.shape[-1]]))
    return state, A
""",
        "bmm": """
def fast_weights_step(x, h, A, slow, decay, rate, inner=1):
    A = torch.baddbmm(A, h.unsqueeze(2), h.unsqueeze(1), beta=decay, alpha=rate)
    z = torch.addmm(slow[2], h, slow[0].t()) + x.mm(slow[1].t())
    s = torch.tanh(z)
    norm = nn.LayerNorm(z.shape[1], elementwise_affine=False)
    for _ in range(inner):
        s = torch.tanh(norm(z + torch.bmm(A, s.unsqueeze(2)).squeeze(2)))
    return [s, A]
""",
        "normalised by hand": """
def fast_weights_step(x, h, A, slow, decay, rate, inner=1):
    W, C, b = slow
    A = A * decay + rate * (h[..., None] * h[..., None, :])
    z, state = x @ C.mT + h @ W.mT + b, None
    state = 2 * torch.sigmoid(2 * z) - 1
    for _ in range(inner):
        s = z + (A * state[:, None, :]).sum(dim=2)
        s = s - s.mean(dim=1, keepdim=True)
        state = torch.tanh(s / (s.pow(2).mean(dim=1, keepdim=True).sqrt() + 1e-5))
    return state, A
""",
        "from the other side": """
def fast_weights_step(x, h, A, slow, decay, rate, inner=1):
    W, C, b = slow
    A = decay * A + (rate * h).unsqueeze(-1) @ h.unsqueeze(-2)
    z = (W @ h.T + C @ x.T).T + b
    state = z.tanh()
    while inner > 0:  # A is symmetric
        s = F.layer_norm((state[:, None] @ A)[:, 0] + z, z.shape[-1:])
        state, inner = s.tanh(), inner - 1
    return state, A
""",
        "row by row": """
def fast_weights_step(x, h, A, slow, decay, rate, inner=1):
    W, C, b = slow
    states, memories = [], []
    for xi, hi, Ai in zip(x, h, A):
        Ai = decay * Ai + rate * torch.outer(hi, hi)
        z = W @ hi + C @ xi + b
        s = torch.tanh(z)
        for _ in range(inner):
            a = z + Ai @ s
            s = torch.tanh((a - a.mean()) / torch.sqrt(a.var(correction=0) + 1e-5))
        states.append(s)
        memories.append(Ai)
    return torch.stack(states), torch.stack(memories)
""",
    },
    "attend_to_past": {
        "the memory itself": _ATTEND.format(
            linear="""A = past.new_zeros(len(past), past.shape[2], past.shape[2])
    for state in past.unbind(1):
        A = decay * A + rate * torch.einsum("ni,nj->nij", state, state)
    return torch.einsum("nij,nj->ni", A, query)""",
            soft="""scale = past.shape[-1] ** 0.5
    return torch.cat([
        torch.softmax(q @ p.T / scale, dim=-1) @ p for p, q in zip(past, query[:, None])
    ])""",
        ),
        "einsum": _ATTEND.format(
            linear="""w = rate * decay ** torch.arange(past.shape[1]).flip(0)
    return torch.einsum("nt,nth->nh", w * torch.einsum("nth,nh->nt", past, query), past)""",
            soft="""w = torch.einsum("nth,nh->nt", past, query) / past.shape[-1] ** 0.5
    return torch.einsum("nt,nth->nh", F.softmax(w, dim=-1), past)""",
        ),
        "products and sums": _ATTEND.format(
            linear="""alike = (past * query[:, None]).sum(dim=-1)
    fade = torch.tensor([rate * decay**k for k in range(past.shape[1])][::-1], dtype=past.dtype)
    return ((alike * fade)[..., None] * past).sum(dim=1)""",
            soft="""alike = (past * query.unsqueeze(1)).sum(2, keepdim=True)
    alike = alike / np.sqrt(past.shape[2])
    return (torch.softmax(alike, 1) * past).sum(1)""",
        ),
        "from step to step": _ATTEND.format(
            linear="""total = torch.zeros_like(query)
    for state in past.unbind(dim=1):
        total = decay * total + rate * state * (state * query).sum(dim=1, keepdim=True)
    return total""",
            soft="""scores = [(s * query).sum(1) * past.shape[2] ** -0.5 for s in past.unbind(1)]
    w = torch.stack(scores).softmax(dim=0)
    return sum(w[i, :, None] * s for i, s in enumerate(past.unbind(1)))""",
        ),
        "bmm": _ATTEND.format(
            linear="""n, t, _ = past.shape
    w = torch.bmm(past, query.unsqueeze(2)).squeeze(2)
    w = w * decay ** torch.arange(t - 1, -1, -1) * rate
    return torch.bmm(past.transpose(1, 2), w.unsqueeze(2)).squeeze(2)""",
            soft="""w = torch.bmm(past, query.unsqueeze(2)).squeeze(2).div(past.size(2) ** 0.5)
    w = torch.exp(w - w.max(dim=1, keepdim=True).values)
    w = w / w.sum(dim=1, keepdim=True)
    return torch.bmm(w.unsqueeze(1), past).squeeze(1)""",
        ),
        "logarithms": _ATTEND.format(
            linear="""ages = past.shape[1] - 1 - torch.arange(past.shape[1])
    fade = torch.exp(ages * math.log(decay))
    alike = past.matmul(query[..., None])[..., 0]
    return rate * torch.matmul((alike * fade)[:, None], past)[:, 0]""",
            soft="""s = torch.matmul(past, query[:, :, None])[:, :, 0] / math.sqrt(query.shape[1])
    return torch.stack([p.T @ torch.exp(r - r.logsumexp(0)) for p, r in zip(past, s)])""",
        ),
    },
}
