"""Lab 05: right answers in other styles."""

_NAIVE = """
    N, C, H, W = x.shape
    K, _, R, S = w.shape
    P, Q = (H + 2 * padding - R) // stride + 1, (W + 2 * padding - S) // stride + 1
"""

STYLES = {
    "output_size": {
        "lambda": "output_size = lambda n, k, stride, padding: (n + 2 * padding - k) // stride + 1",
        "counted": """
def output_size(n, k, stride, padding):
    return len(range(0, n + 2 * padding - k + 1, stride))
""",
        "generator": """
def output_size(n, k, stride, padding):
    return sum(1 for start in range(-padding, n + padding - k + 1, stride))
""",
        "recursion": """
def output_size(n: int, k: int, stride: int, padding: int) -> int:
    if padding:
        return output_size(n + 2 * padding, k, stride, 0)
    return 0 if n < k else 1 + output_size(n - stride, k, stride, 0)
""",
        "NumPy's integer": """
def output_size(n, k, stride, padding):
    return np.int64(np.floor((n + 2 * padding - k) / stride)) + np.int64(1)
""",
        "instance": """
class Size:
    def __call__(self, n, k, stride, padding):
        return divmod(n + 2 * padding - k, stride)[0] + 1
output_size = Size()
""",
        "math.floor, numbers as float": """
import math
alexnet_size, same_padding = 55.0, np.float64(3)
def output_size(n, k, stride, padding):
    return math.floor((n - k + 2 * padding) / stride + 1)
""",
    },
    "conv2d_loops": {
        "seven loops": f"""
def conv2d_loops(x, w, b, stride=1, padding=0):{_NAIVE}
    y = np.zeros((N, K, P, Q))
    for n in range(N):
        for k in range(K):
            for p in range(P):
                for q in range(Q):
                    total = b[k]
                    for c in range(C):
                        for r in range(R):
                            for s in range(S):
                                i, j = p * stride + r - padding, q * stride + s - padding
                                if 0 <= i < H and 0 <= j < W:
                                    total += w[k, c, r, s] * x[n, c, i, j]
                    y[n, k, p, q] = total
    return y
""",
        "comprehension": f"""
def conv2d_loops(x, w, b, stride=1, padding=0):{_NAIVE}
    x = np.pad(x, [(0, 0)] * 2 + [(padding, padding)] * 2)
    return np.array([[[[
        (x[n, :, p : p + R, q : q + S] * w[k]).sum() + b[k]
        for q in range(0, Q * stride, stride)] for p in range(0, P * stride, stride)]
        for k in range(K)] for n in range(N)])
""",
        "over places, einsum": f"""
def conv2d_loops(x, w, b, stride=1, padding=0):{_NAIVE}
    image = np.zeros((N, C, H + 2 * padding, W + 2 * padding))
    image[:, :, padding : padding + H, padding : padding + W] = x
    y = np.empty((N, K, P, Q))
    for p, q in np.ndindex(P, Q):
        window = image[:, :, p * stride : p * stride + R, q * stride : q * stride + S]
        y[:, :, p, q] = np.einsum("ncrs,kcrs->nk", window, w) + b
    return y
""",
        "over weights": f"""
def conv2d_loops(x, w, b, stride=1, padding=0):{_NAIVE}
    x = np.pad(x, ((0, 0), (0, 0), (padding, padding), (padding, padding)))
    y = np.zeros((N, K, P, Q)) + b[:, None, None]
    for k, c, r, s in np.ndindex(w.shape):
        y[:, k] += w[k, c, r, s] * x[:, c, r :: stride, s :: stride][:, :P, :Q]
    return y
""",
        "copies in place, columns first": f"""
def conv2d_loops(x, w, b, stride=1, padding=0):{_NAIVE}
    x, y = np.pad(x.copy(), ((0,), (0,), (padding,), (padding,))), np.empty((Q, P, K, N))
    for q in range(Q):
        for p in range(P):
            for k in range(K):
                for n in range(N):
                    block = x[n, :, p * stride :, q * stride :][:, :R, :S].copy()
                    block *= w[k]
                    y[q, p, k, n] = block.sum() + b[k]
    return y.transpose(3, 2, 1, 0)
""",
        "partial": f"""
import functools
def with_places(places, x, w, b, stride=1, padding=0):{_NAIVE}
    x = np.pad(x, ((0, 0), (0, 0), (padding, padding), (padding, padding)))
    y = np.empty((N, K, P, Q))
    for p, q in places(P, Q):
        top, left = p * stride, q * stride
        window = x[:, :, top : top + R, left : left + S]
        y[:, :, p, q] = np.tensordot(window, w, [(1, 2, 3)] * 2) + b
    return y
conv2d_loops = functools.partial(with_places, np.ndindex)
""",
    },
    "im2col": {
        "window by window": """
def im2col(x, kernel, stride=1, padding=0):
    x = np.pad(x, ((0, 0), (0, 0), (padding, padding), (padding, padding)))
    (N, C, H, W), (R, S) = x.shape, kernel
    columns = [
        x[:, :, i : i + R, j : j + S].reshape(N, -1)
        for i in range(0, H - R + 1, stride)
        for j in range(0, W - S + 1, stride)
    ]
    return np.stack(columns, axis=2)
""",
        "index arrays": """
def im2col(x, kernel, stride=1, padding=0):
    x = np.pad(x, ((0, 0), (0, 0), (padding, padding), (padding, padding)))
    (N, C, H, W), (R, S) = x.shape, kernel
    P, Q = (H - R) // stride + 1, (W - S) // stride + 1
    c, r, s = (a.reshape(-1, 1) for a in np.indices((C, R, S)))
    p, q = (stride * a.reshape(1, -1) for a in np.indices((P, Q)))
    return x[:, c, r + p, s + q]
""",
        "generator": """
def rows(x, kernel, stride, P, Q):
    for c in range(x.shape[1]):
        for r in range(kernel[0]):
            for s in range(kernel[1]):
                yield x[:, c, r::stride, s::stride][:, :P, :Q].reshape(len(x), -1)

def im2col(x, kernel, stride=1, padding=0):
    x = np.pad(x, ((0, 0), (0, 0), (padding, padding), (padding, padding)))
    P, Q = ((n - k) // stride + 1 for n, k in zip(x.shape[2:], kernel))
    return np.stack(list(rows(x, kernel, stride, P, Q)), axis=1)
""",
        "number by number": """
def im2col(x, kernel, stride=1, padding=0):
    (N, C, H, W), (R, S) = x.shape, kernel
    P, Q = (H + 2 * padding - R) // stride + 1, (W + 2 * padding - S) // stride + 1
    columns = np.zeros((N, C * R * S, P * Q))
    for n, c, r, s, p, q in np.ndindex(N, C, R, S, P, Q):
        i, j = p * stride + r - padding, q * stride + s - padding
        if 0 <= i < H and 0 <= j < W:
            columns[n, (c * R + r) * S + s, p * Q + q] = x[n, c, i, j]
    return columns
""",
        "annotated, the number as a float": """
from typing import Any
im2col_growth: float = 25.0
def im2col(x: Any, kernel: tuple, stride: int = 1, padding: int = 0) -> Any:
    image = np.zeros(x.shape[:2] + tuple(n + 2 * padding for n in x.shape[2:]), dtype=x.dtype)
    image[:, :, padding : padding + x.shape[2], padding : padding + x.shape[3]] = x
    R, S = kernel
    P, Q = ((n - k) // stride + 1 for n, k in zip(image.shape[2:], kernel))
    out = np.zeros((*x.shape[:2], R, S, P, Q))
    for p in range(P):
        for q in range(Q):
            out[..., p, q] = image[:, :, p * stride : p * stride + R, q * stride : q * stride + S]
    return out.reshape(len(x), -1, P * Q)
""",
    },
    "conv2d": {
        "lambda": """
conv2d = lambda x, w, b, stride=1, padding=0: (
    w.reshape(len(w), -1) @ im2col(x, w.shape[2:], stride, padding) + b.reshape(-1, 1)
).reshape(len(x), len(w), (x.shape[2] + 2 * padding - w.shape[2]) // stride + 1, -1)
""",
        "the library's columns": """
def unfold(x, kernel, stride=1, padding=0):
    return F.unfold(torch.from_numpy(x), kernel, stride=stride, padding=padding).numpy()

def conv2d(x, w, b, stride=1, padding=0):
    columns = unfold(x, kernel=w.shape[2:], stride=stride, padding=padding)
    P = (x.shape[2] + 2 * padding - w.shape[2]) // stride + 1
    return (w.reshape(len(w), -1) @ columns + b[:, None]).reshape(len(x), len(w), P, -1)
""",
        "image by image": """
def conv2d(x, w, b, stride=1, padding=0):
    P = output_size(x.shape[2], w.shape[2], stride, padding)
    Q = output_size(x.shape[3], w.shape[3], stride, padding)
    rows = w.reshape(w.shape[0], -1)
    y = [rows.dot(one) + b[:, np.newaxis] for one in im2col(x, w.shape[2:], stride, padding)]
    return np.stack(y).reshape(-1, len(w), P, Q)
""",
        "all images in one product": """
def conv2d(x, w, b, stride=1, padding=0):
    (N, _, H, W), (K, _, R, S) = x.shape, w.shape
    P, Q = output_size(H, R, stride, padding), output_size(W, S, stride, padding)
    columns = np.concatenate(list(im2col(x, (R, S), stride, padding)), axis=1)
    y = np.matmul(w.reshape(K, -1), columns)
    y += b[:, None]
    return y.reshape(K, N, P, Q).transpose(1, 0, 2, 3)
""",
        "einsum": """
def conv2d(x, w, b, stride=1, padding=0):
    (N, _, H, W), (K, _, R, S) = x.shape, w.shape
    P, Q = output_size(H, R, stride, padding), output_size(W, S, stride, padding)
    y = np.einsum("kj,njp->nkp", w.reshape(K, -1), im2col(x, (R, S), stride, padding))
    return y.reshape(N, K, P, Q) + b[None, :, None, None]
""",
        "bias as one more weight": """
def conv2d(x, w, b, stride=1, padding=0):
    columns = im2col(x, w.shape[2:], stride, padding)
    ones = np.ones((len(x), 1, columns.shape[2]))
    rows = np.hstack([w.reshape(len(w), -1), b[:, None]])
    P = (x.shape[2] + 2 * padding - w.shape[2]) // stride + 1
    return (rows @ np.concatenate([columns, ones], axis=1)).reshape(len(x), len(w), P, -1)
""",
    },
    "conv2d_backward": {
        "place by place": """
def conv2d_backward(dy, x, w, stride=1, padding=0):
    H, W, (R, S) = *x.shape[2:], w.shape[2:]
    x = np.pad(x, ((0, 0), (0, 0), (padding, padding), (padding, padding)))
    dx, dw = np.zeros(x.shape), np.zeros(w.shape)
    for n, k, p, q in np.ndindex(dy.shape):
        here = np.s_[n, :, p * stride : p * stride + R, q * stride : q * stride + S]
        dx[here] += dy[n, k, p, q] * w[k]
        dw[k] += dy[n, k, p, q] * x[here]
    return dx[:, :, padding : padding + H, padding : padding + W], dw, dy.sum((0, 2, 3))
""",
        "a list, einsum": """
def conv2d_backward(dy, x, w, stride=1, padding=0):
    H, W, (R, S), (P, Q) = *x.shape[2:], w.shape[2:], dy.shape[2:]
    x = np.pad(x, ((0, 0), (0, 0), (padding, padding), (padding, padding)))
    dx, dw = np.zeros(x.shape), np.empty(w.shape)
    for r, s in np.ndindex(R, S):
        here = np.s_[:, :, r : r + stride * P : stride, s : s + stride * Q : stride]
        dw[:, :, r, s] = np.einsum("nkpq,ncpq->kc", dy, x[here])
        dx[here] += np.einsum("nkpq,kc->ncpq", dy, w[:, :, r, s])
    return [dx[:, :, padding:, padding:][:, :, :H, :W], dw, np.einsum("nkpq->k", dy)]
""",
        "the library's columns": """
def unfold(x, kernel, stride=1, padding=0):
    return F.unfold(torch.from_numpy(x), kernel, stride=stride, padding=padding).numpy()

def conv2d_backward(dy, x, w, stride=1, padding=0):
    (N, C, H, W), (K, _, R, S), (P, Q) = x.shape, w.shape, dy.shape[2:]
    flat = dy.reshape(N, K, -1)
    dw = sum(one @ columns.T for one, columns in zip(flat, unfold(x, (R, S), stride, padding)))
    back = np.matmul(w.reshape(K, -1).T, flat).reshape(N, C, R, S, P, Q)
    dx = np.zeros((N, C, H + 2 * padding, W + 2 * padding))
    for p in range(P):
        for q in range(Q):
            dx[:, :, p * stride : p * stride + R, q * stride : q * stride + S] += back[..., p, q]
    dx = dx[:, :, padding:-padding, padding:-padding] if padding else dx
    return dx, dw.reshape(w.shape), flat.sum(axis=2).sum(axis=0)
""",
        "np.add.at": """
def conv2d_backward(dy, x, w, stride=1, padding=0):
    (N, C, H, W), (K, _, R, S), (P, Q) = x.shape, w.shape, dy.shape[2:]
    c, r, s = (a.reshape(-1, 1) for a in np.indices((C, R, S)))
    p, q = (stride * a.reshape(1, -1) for a in np.indices((P, Q)))
    padded = np.pad(x, ((0, 0), (0, 0), (padding, padding), (padding, padding)))
    flat, dx = dy.reshape(N, K, P * Q), np.zeros_like(padded)
    np.add.at(dx, (slice(None), c, r + p, s + q), w.reshape(K, -1).T @ flat)
    dw = np.tensordot(flat, padded[:, c, r + p, s + q], axes=[(0, 2), (0, 2)])
    dx = dx[:, :, padding : padding + H, padding : padding + W]
    return dx, dw.reshape(w.shape), dy.sum((0, 2, 3))
""",
        "three functions, and a named tuple made plain": """
from typing import NamedTuple

class Grads(NamedTuple):
    dx: object
    dw: object
    db: object

def by_x(dy, x, w, stride, padding):
    dx = np.zeros(x.shape)
    for n, k, p, q in np.ndindex(dy.shape):
        for r, s in np.ndindex(w.shape[2:]):
            i, j = p * stride + r - padding, q * stride + s - padding
            if 0 <= i < x.shape[2] and 0 <= j < x.shape[3]:
                dx[n, :, i, j] += dy[n, k, p, q] * w[k, :, r, s]
    return dx

def by_w(dy, x, w, stride, padding):
    columns = im2col(x, w.shape[2:], stride, padding)
    return np.einsum("nkp,njp->kj", dy.reshape(*dy.shape[:2], -1), columns).reshape(w.shape)

def conv2d_backward(dy, x, w, stride=1, padding=0):
    given = dy, x, w, stride, padding
    return tuple(Grads(db=dy.sum((0, 2, 3)), dw=by_w(*given), dx=by_x(*given)))
""",
    },
    "max_pool2d": {
        "loops": """
def max_pool2d(x, size):
    N, C, H, W = x.shape
    y = np.full((N, C, H // size, W // size), -np.inf)
    for n, c, p, q in np.ndindex(y.shape):
        for i in range(size):
            for j in range(size):
                y[n, c, p, q] = max(y[n, c, p, q], x[n, c, p * size + i, q * size + j])
    return y
""",
        "slices with a step": """
from functools import reduce
def max_pool2d(x, size):
    P, Q = x.shape[2] // size, x.shape[3] // size
    parts = (x[:, :, r::size, s::size][:, :, :P, :Q] for r in range(size) for s in range(size))
    return reduce(np.maximum, parts)
""",
        "a lambda": """
max_pool2d = lambda x, size: np.array([[[[
    plane[p : p + size, q : q + size].max()
    for q in range(0, plane.shape[1] - size + 1, size)]
    for p in range(0, plane.shape[0] - size + 1, size)]
    for plane in image] for image in x])
""",
        "backward with two masks": """
def max_pool2d_backward(dy, x, size):
    dx = np.zeros(x.shape)
    done = np.zeros(dy.shape, dtype=bool)
    P, Q = dy.shape[2:]
    top = max_pool2d(x, size)
    for r in range(size):
        for s in range(size):
            here = np.s_[:, :, r : size * P : size, s : size * Q : size]
            wins = (x[here] == top) & ~done
            dx[here] = np.where(wins, dy, 0)
            done |= wins
    return dx
""",
        "backward by divmod": """
def max_pool2d_backward(dy, x, size):
    dx = 0.0 * x
    for (n, c, p, q), gradient in np.ndenumerate(dy):
        block = x[n, c, p * size : (p + 1) * size, q * size : (q + 1) * size]
        r, s = divmod(int(np.argmax(block)), size)
        dx[n, c, p * size + r, q * size + s] += gradient
    return dx
""",
        "backward by one reshape": """
def max_pool2d_backward(dy, x, size):
    N, C, P, Q = dy.shape
    blocks = x[:, :, : P * size, : Q * size].reshape(N, C, P, size, Q, size).swapaxes(3, 4)
    winner = blocks.reshape(N, C, P, Q, -1).argmax(-1)
    hot = (np.arange(size * size) == winner[..., None]) * dy[..., None]
    dx = np.zeros_like(x)
    back = hot.reshape(N, C, P, Q, size, size).swapaxes(3, 4).reshape(N, C, P * size, Q * size)
    dx[:, :, : P * size, : Q * size] = back
    return dx
""",
    },
    "receptive_field": {
        "computed": """
def seen(layers, size=1, apart=1):
    for kernel, stride in layers:
        size, apart = size + (kernel - 1) * apart, apart * stride
    return size
seen_by_conv2 = seen([(5, 1), (2, 2), (5, 1)])
seen_by_pool2 = seen([(5, 1), (2, 2), (5, 1), (2, 2)])
layers_of_3x3 = next(n for n in range(9) if seen([(3, 1)] * n) == 7)
""",
        "floats": "seen_by_conv2, seen_by_pool2, layers_of_3x3 = 14.0, 16.0, 3.0",
        "NumPy's integers": "seen_by_conv2, seen_by_pool2, layers_of_3x3 = np.array([14, 16, 3])",
        "annotated": """
seen_by_conv2: int = 14
seen_by_pool2: int = 16
layers_of_3x3: int = (7 - 1) // 2
""",
        "tensors": "seen_by_conv2, seen_by_pool2, layers_of_3x3 = torch.tensor([14, 16, 3])",
    },
    "LeNet": {
        "one Sequential": """
class LeNet(nn.Sequential):
    def __init__(self):
        super().__init__(
            nn.Conv2d(1, 6, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2),
            nn.Conv2d(6, 16, 5), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(),
            nn.Linear(400, 120), nn.ReLU(), nn.Linear(120, 84), nn.ReLU(), nn.Linear(84, 10),
        )
""",
        "lazy layers": """
class LeNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(
            nn.LazyConv2d(6, 5, padding="same"), nn.ReLU(), nn.MaxPool2d(2),
            nn.LazyConv2d(16, 5), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten())
        self.head = nn.Sequential(
            nn.LazyLinear(120), nn.ReLU(), nn.LazyLinear(84), nn.ReLU(), nn.LazyLinear(10))

    def forward(self, x):
        return self.head(self.features(x))
""",
        "a function that builds it": """
def LeNet():
    layers = []
    for channels, filters, padding in ((1, 6, 2), (6, 16, 0)):
        layers += [nn.Conv2d(channels, filters, 5, 1, padding), nn.ReLU(inplace=True)]
        layers += [nn.MaxPool2d(2)]
    layers.append(nn.Flatten())
    for inputs, units in ((400, 120), (120, 84)):
        layers += [nn.Linear(inputs, units), nn.ReLU()]
    return nn.Sequential(*layers, nn.Linear(84, 10))
""",
        "parameters of its own": """
class LeNet(nn.Module):
    def __init__(self):
        super().__init__()
        shapes = (6, 1, 5, 5), (6,), (16, 6, 5, 5), (16,), (120, 400), (120,), (84, 120), (84,)
        shapes = *shapes, (10, 84), (10,)
        self.all = nn.ParameterList(nn.Parameter(0.1 * torch.randn(shape)) for shape in shapes)

    def forward(self, x):
        w1, b1, w2, b2, *linear = self.all
        x = F.max_pool2d(F.conv2d(F.pad(x, (2, 2, 2, 2)), w1, b1).relu(), 2)
        x = F.max_pool2d(F.conv2d(x, w2, b2).relu(), 2)
        x = torch.relu(torch.einsum("nj,uj->nu", x.reshape(len(x), 400), linear[0]) + linear[1])
        return torch.relu(x @ linear[2].T + linear[3]) @ linear[4].T + linear[5]
""",
        "pooled before ReLU, a ModuleDict": """
class LeNet(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleDict({
            "conv1": nn.Conv2d(1, 6, (5, 5), padding=(2, 2)), "conv2": nn.Conv2d(6, 16, (5, 5)),
            "linear1": nn.Linear(16 * 5 * 5, 120), "linear2": nn.Linear(120, 84),
            "linear3": nn.Linear(84, 10, bias=True)})

    def forward(self, x):
        for name, layer in self.layers.items():
            if name == "linear1":
                x = torch.flatten(x, start_dim=1)
            x = layer(x)
            if name.startswith("conv"):
                x = F.max_pool2d(x, 2)
            if name != "linear3":
                x = x.clamp(min=0)
        return x
""",
    },
}
