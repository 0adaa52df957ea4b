"""Lab 11: right answers in other styles."""

_KERNEL = """
@jit
def relu_add_kernel(x_ptr, y_ptr, out_ptr, n, BLOCK: tl.constexpr):
    {body}
"""
_WHOLE = "offsets = tl.program_id(axis=0) * BLOCK + tl.arange(0, BLOCK)\n    "
_SOFT = """
@jit
def softmax_kernel(x_ptr, out_ptr, row_stride, columns, BLOCK: tl.constexpr):
    {body}
"""
_ROW = """cols = tl.arange(0, BLOCK)
    begin = tl.program_id(0) * row_stride
    inside = cols < columns
    """

STYLES = {
    "count": {
        "match": """
def count(operation, shape, dtype):
    bits = torch.finfo(getattr(torch, dtype)).bits
    match operation, shape:
        case "product", (m, k, n):
            flops, numbers = 2 * m * n * k, m * k + k * n + m * n
        case "convolution", (n, c, h, w, k, r, s):
            y = n * k * (h + 1 - r) * (w + 1 - s)
            flops, numbers = y * c * r * s * 2, y + n * c * h * w + k * c * r * s
        case "softmax", (a, b):
            flops, numbers = a * b * 5, a * b * 2
        case _, (a, b):
            flops, numbers = a * b, a * b * 2
    return flops, numbers * bits // 8
""",
        "by shapes": """
def _numbers(*shapes): return sum(math.prod(one) for one in shapes)
def count(operation, shape, dtype):
    size = {"float64": 8, "float32": 4}.get(dtype, 2)
    if operation == "product":
        M, K, N = shape
        return 2 * K * _numbers((M, N)), size * _numbers((M, K), (K, N), (M, N))
    if operation == "convolution":
        N, C, H, W, K, R, S = shape
        y = (N, K, H - R + 1, W - S + 1)
        return 2 * C * R * S * _numbers(y), size * _numbers((N, C, H, W), (K, C, R, S), y)
    flops = 5 if operation == "softmax" else 1
    return flops * _numbers(shape), 2 * size * _numbers(shape)
""",
        "a table of functions": """
def count(operation, shape, dtype):
    size = np.dtype("float16" if dtype == "bfloat16" else dtype).itemsize
    table = {
        "product": lambda m, k, n: (2 * m * k * n, m * k + k * n + m * n),
        "convolution": lambda n, c, h, w, k, r, s: (
            2 * n * k * (h - r + 1) * (w - s + 1) * c * r * s,
            n * c * h * w + k * c * r * s + n * k * (h - r + 1) * (w - s + 1),
        ),
        "softmax": lambda rows, columns: (5 * rows * columns, 2 * rows * columns),
        "chain": lambda n, links: (n * links, 2 * n * links),
    }
    flops, numbers = table[operation](*shape)
    return flops, size * numbers
""",
        "NumPy's numbers": """
def count(operation, shape, dtype):
    s, size = np.array(shape), {"float64": 8, "float32": 4, "float16": 2, "bfloat16": 2}[dtype]
    if operation == "product":
        return 2 * np.prod(s), size * (s[0] * s[1] + s[1] * s[2] + s[0] * s[2])
    if operation == "convolution":
        N, C, H, W, K, R, S = s
        y = N * K * (H - R + 1) * (W - S + 1)
        return 2 * y * C * R * S, size * (N * C * H * W + K * C * R * S + y)
    return (5 if operation == "softmax" else 1) * np.prod(s), 2 * size * np.prod(s)
""",
        "floats": """
def count(operation, shape, dtype):
    size = float(BYTES[dtype])
    if operation == "product":
        M, K, N = shape
        return 2.0 * M * K * N, size * (M * K + K * N + M * N)
    if operation == "convolution":
        N, C, H, W, K, R, S = shape
        P, Q = 1 + H - R, 1 + W - S
        return 2.0 * K * C * R * S * P * Q * N, size * (N * (C * H * W + K * P * Q) + K * C * R * S)
    if operation == "softmax":
        return 5.0 * shape[0] * shape[1], size * 2 * shape[0] * shape[1]
    n, links = shape
    return sum(float(n) for _ in range(links)), sum(2 * size * n for _ in range(links))
""",
    },
    "roofline": {
        "a search": """
def smallest_batch(inputs, outputs, size, peak, bandwidth):
    def reached(B):
        flops = 2 * B * inputs * outputs
        return flops / (size * (B * inputs + inputs * outputs + B * outputs)) >= peak / bandwidth
    if not reached(10**9):
        return 0
    low, high = 0, 10**9
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if reached(middle) else (middle, high)
    return high
""",
        "one by one": """
def smallest_batch(inputs, outputs, size, peak, bandwidth):
    if 2 * inputs * outputs * bandwidth <= size * (inputs + outputs) * peak:
        return 0
    B = 1
    while True:
        flops = 2 * B * inputs * outputs
        moved = size * (B * inputs + inputs * outputs + B * outputs)
        if flops * bandwidth >= moved * peak:
            return B
        B += 1
""",
        "an if": """
def roofline(intensity, peak, bandwidth):
    if bound_by(intensity, peak, bandwidth) == "memory":
        return intensity * bandwidth
    return peak
""",
        "by the ridge": """
def roofline(i, peak, bandwidth):
    return peak * min(1, i * bandwidth / peak)
def bound_by(i, peak, bandwidth):
    return ("memory", "compute")[i * bandwidth >= peak]
""",
        "NumPy": """
def roofline(intensity, peak, bandwidth):
    return np.minimum(peak, np.float64(intensity) * bandwidth)
def smallest_batch(inputs, outputs, size, peak, bandwidth):
    ridge = peak / bandwidth * size
    below = 2 / ridge - 1 / inputs - 1 / outputs
    return int(np.ceil(1 / below)) if below > 0 else 0
""",
        "teras": "ridge_h100 = 989.4 * 10**12 / (3.35 * 10**12)",
        "rounded": "ridge_h100 = 295",
    },
    "measure": {
        "three to warm up": """
def measure(f, device, repeats):
    for _ in range(3):
        f()
    device.synchronize()
    def once():
        start = device.now()
        f()
        device.synchronize()
        return device.now() - start
    return float(np.median([once() for _ in range(repeats)]))
""",
        "the first dropped": """
def measure(f, device, repeats):
    device.synchronize()
    times = []
    while len(times) < repeats + 1:
        start = device.now(); f(); device.synchronize(); end = device.now()
        times.append(end - start)
    return statistics.median(times[1:])
""",
        "one reading for two": """
def measure(f, device, repeats):
    f(); device.synchronize()
    marks = [device.now()]
    for _ in range(repeats):
        f(); device.synchronize()
        marks.append(device.now())
    return np.median(np.diff(marks))
""",
        "waits twice": """
def measure(f, device, repeats):
    times = []
    for n in range(repeats + 2):
        device.synchronize()
        start = device.now()
        f()
        device.synchronize()
        if n > 1:
            times.append(device.now() - start)
    times.sort()
    middle = len(times) // 2
    return times[middle] if len(times) % 2 else (times[middle - 1] + times[middle]) / 2
""",
        "a tensor": """
def measure(f, device, repeats):
    f(); device.synchronize()
    times = torch.zeros(repeats, dtype=torch.float64)
    for i in range(repeats):
        times[i] = -device.now()
        f(); device.synchronize()
        times[i] += device.now()
    return torch.quantile(times, 0.5)
""",
    },
    "relu_add": {
        "where": _KERNEL.format(
            body=_WHOLE
            + """total = tl.load(x_ptr + offsets, mask=offsets < n)
    total += tl.load(y_ptr + offsets, mask=offsets < n)
    tl.store(out_ptr + offsets, tl.where(total > 0, total, 0.0), mask=offsets < n)"""
        ),
        "pointers moved": _KERNEL.format(
            body="""start = tl.program_id(0) * BLOCK
    lanes = tl.arange(0, BLOCK)
    x_ptr += start
    y_ptr += start
    out_ptr += start
    left = lanes < n - start
    x, y = tl.load(x_ptr + lanes, left, 0.0), tl.load(y_ptr + lanes, left, 0.0)
    z = x + y
    tl.store(out_ptr + lanes, z * (z > 0), left)"""
        ),
        "a helper": """
ZERO = 0.0
@jit
def positive(z):
    return tl.maximum(z, ZERO)
"""
        + _KERNEL.format(
            body=_WHOLE
            + """mask = offsets < n
    z = tl.load(x_ptr + offsets, mask=mask, other=0) + tl.load(y_ptr + offsets, mask=mask, other=0)
    tl.store(out_ptr + offsets, positive(z), mask=mask)"""
        ),
        "not decorated": _KERNEL.replace("@jit", "").format(
            body=_WHOLE
            + """ok = offsets < n
    x = tl.load(x_ptr + offsets, mask=ok).to(tl.float32)
    y: tl.tensor = tl.load(y_ptr + offsets, mask=ok)
    x += y
    tl.store(out_ptr + offsets, (x + tl.abs(x)) / 2, mask=ok)"""
        ),
        "two halves": _KERNEL.format(
            body="""for half in tl.static_range(2):
        offsets = tl.program_id(0) * BLOCK + half * (BLOCK // 2) + tl.arange(0, BLOCK // 2)
        mask = offsets < n
        x = tl.load(x_ptr + offsets, mask=mask)
        y = tl.load(y_ptr + offsets, mask=mask)
        tl.store(out_ptr + offsets, tl.maximum(x + y, 0), mask=mask)"""
        ),
        "ceil": "def programs(n, block): return math.ceil(n / block)",
        "divmod": """
def programs(n, block):
    whole, rest = divmod(n, block)
    return whole + (rest > 0)
""",
        "plus block less one": "programs = lambda n, block: (n + block - 1) // block",
    },
    "softmax_kernel": {
        "pointers": _SOFT.format(
            body=_ROW
            + """x = tl.load(x_ptr + begin + cols, mask=inside, other=float("-inf"))
    x = x - tl.max(x)
    up = tl.exp(x)
    tl.store(out_ptr + begin + cols, up / tl.sum(up), mask=inside)"""
        ),
        "a small number": _SOFT.format(
            body=_ROW
            + """x = tl.load(x_ptr + begin + cols, mask=inside, other=-1e30)
    up = tl.exp(x - tl.max(x, 0))
    up /= tl.sum(up, 0)
    tl.store(out_ptr + begin + cols, up, inside)"""
        ),
        "where": _SOFT.format(
            body=_ROW
            + """x = tl.load(x_ptr + begin + cols, mask=inside)
    top = tl.max(tl.where(inside, x, -math.inf), axis=0)
    up = tl.where(inside, tl.exp(x - top), 0.0)
    total = tl.sum(up, axis=0)
    tl.store(out_ptr + begin + cols, up * (1 / total), mask=inside)"""
        ),
        "exp2": _SOFT.format(
            body=_ROW
            + """x = tl.load(x_ptr + (begin + cols), mask=inside, other=-float("inf"))
    up = tl.math.exp2((x - x.max(axis=0)) * 1.4426950408889634)
    tl.store(out_ptr + (begin + cols), up / up.sum(axis=0), mask=inside)"""
        ),
        "two axes": _SOFT.format(
            body=_ROW
            + """places = begin + cols[None, :]
    x = tl.load(x_ptr + places, mask=inside[None, :], other=-float("inf"))
    up = tl.exp(x - tl.max(x, axis=1)[:, None])
    tl.store(out_ptr + places, up / tl.sum(up, axis=1, keep_dims=True), mask=inside[None, :])"""
        ),
        "by its logarithm": _SOFT.format(
            body=_ROW
            + """x = tl.load(x_ptr + begin + cols, mask=inside, other=-float("inf"))
    x = x - tl.max(x, axis=0)
    tl.store(out_ptr + begin + cols, tl.exp(x - tl.log(tl.sum(tl.exp(x), axis=0))), mask=inside)"""
        ),
    },
    "transactions": {
        "unique": """
def transactions(addresses, size, line):
    places = addresses[:, None] + np.arange(size)
    return len(np.unique(places // line))
""",
        "by loop": """
def transactions(addresses, size, line):
    seen = set()
    for a in addresses:
        n = int(a) // line
        while n * line < a + size:
            seen.add(n)
            n += 1
    return len(seen)
""",
        "marks": """
def transactions(addresses, size, line):
    low = int(addresses.min()) // line
    marks = np.zeros((int(addresses.max()) + size) // line - low + 1, dtype=bool)
    for a in addresses.tolist():
        marks[a // line - low : (a + size - 1) // line - low + 1] = True
    return int(marks.sum())
""",
        "NumPy's number": """
def transactions(addresses, size, line):
    return np.unique((addresses.reshape(-1, 1) + np.arange(size).reshape(1, -1)) // line).size
""",
        "sorted": """
def transactions(addresses, size, line):
    count, end = 0, -1
    for a in sorted(addresses.tolist()):
        first, last = a // line, (a + size - 1) // line
        first = max(first, end + 1)
        count += max(0, last - first + 1)
        end = max(end, last)
    return count
""",
        "floats by hand": "structures_take, arrays_take = 32 * 32 / 32, 32 * 4 / 32",
    },
    "loss_scale": {
        "count": """
def lost_share(gradients, scale):
    there = np.count_nonzero(gradients)
    kept = np.count_nonzero(np.float16(gradients * scale))
    return (there - kept) / there if there else 0.0
""",
        "torch": """
def lost_share(gradients, scale):
    g = torch.from_numpy(gradients)
    g = g[g != 0]
    return ((g * scale).half() == 0).float().mean().item() if len(g) else 0
""",
        "a loop": """
def lost_share(gradients, scale):
    lost = [np.float16(float(g) * scale) == 0 for g in gradients if g]
    return sum(lost) / max(1, len(lost))
""",
        "float64 inside": """
def scaled_step(w, gradients, scale, good, lr, every):
    if np.isnan(gradients).any() or np.isinf(gradients).any():
        return w, scale * 0.5, 0
    new = (w.astype(float) - lr * gradients.astype(float) / scale).astype(np.float32)
    good = (good + 1) % every
    return new, scale if good else scale * 2, good
""",
        "a sum": """
def scaled_step(w, gradients, scale, good, lr, every):
    g = gradients.astype(np.float32) / scale
    if not math.isfinite(float(np.abs(g).sum())):
        scale, good = scale / 2, 0
    else:
        w, good = w - lr * g, good + 1
        if good >= every:
            scale, good = scale * 2, 0
    return w, scale, good
""",
    },
    "read_a_profile": {
        "rounded": "device_idle = 0.53",
        "NumPy's": "device_idle = np.float64(0.5322)",
        "capitals": 'dominant, waits_for, remedy = "Product", "Batch", "Prefetch"',
        "spaces": 'remedy = " prefetch "',
        "one by one": 'dominant = "product"\nwaits_for = "batch"\nremedy = "prefetch"',
    },
}
