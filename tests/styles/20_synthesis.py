"""Lab 20: right answers in other styles."""

_GRID = """
def perspective_grid(H, side):
    {}
"""
_PHOTO = """
def photographed(ink, kernel, light, noise):
    {}
"""
_STEP = """
def gan_step(G, D, opt_G, opt_D, real, z):
    {}
"""
_FAR = """
def frechet_distance(a, b):
    {}
"""

STYLES = {
    "perspective_grid": {
        "affine_grid for the places": _GRID.format("""one = torch.eye(2, 3, dtype=H.dtype)[None]
    xy = F.affine_grid(one, [1, 1, side, side], align_corners=False)[0]
    points = torch.cat((xy, torch.ones(side, side, 1, dtype=H.dtype)), dim=2).reshape(-1, 3)
    uvw = points @ H.transpose(1, 2)
    return (uvw[..., :2] / uvw[..., 2:]).reshape(len(H), side, side, 2)"""),
        "loops": _GRID.format("""grid = torch.empty(len(H), side, side, 2, dtype=H.dtype)
    for n in range(len(H)):
        for i in range(side):
            for j in range(side):
                x, y = (2 * j + 1) / side - 1, (2 * i + 1) / side - 1
                u, v, w = H[n] @ torch.tensor([x, y, 1.0], dtype=H.dtype)
                grid[n, i, j, 0] = u / w
                grid[n, i, j, 1] = v / w
    return grid"""),
        "written out": _GRID.format("""c = torch.linspace(1 / side - 1, 1 - 1 / side, side).to(H)
    x, y = c[None, None, :], c[None, :, None]
    h = H[:, :, :, None, None]
    u = h[:, 0, 0] * x + h[:, 0, 1] * y + h[:, 0, 2]
    v = h[:, 1, 0] * x + h[:, 1, 1] * y + h[:, 1, 2]
    w = h[:, 2, 0] * x + h[:, 2, 1] * y + h[:, 2, 2]
    return torch.stack([u / w, v / w], -1)"""),
        "a matrix product": _GRID.format("""p = torch.arange(side).to(H.dtype)
    p = (p + 0.5) * 2 / side - 1
    x, y = torch.meshgrid(p, p, indexing="xy")
    points = torch.stack((x.flatten(), y.flatten(), torch.ones(side * side, dtype=H.dtype)))
    out = H @ points
    out = out[:, :2] / out[:, 2:3]
    return out.transpose(1, 2).reshape(-1, side, side, 2)"""),
        "NumPy": _GRID.format("""h = H.numpy()
    at = ((2 * np.arange(side) + 1) / side - 1).astype(h.dtype)
    x, y = np.meshgrid(at, at)
    u, v, w = np.einsum("nab,bij->anij", h, np.stack((x, y, np.ones_like(x))))
    return torch.from_numpy(np.stack((u / w, v / w), axis=-1))"""),
    },
    "photographed": {
        "one kernel of two axes": _PHOTO.format("""both = torch.outer(kernel, kernel)[None, None]
    seen = F.conv2d(ink, both, padding=len(kernel) // 2)
    return torch.clamp(1 - light * (1 - seen) + noise, 0.0, 1.0)"""),
        "columns first, same": _PHOTO.format("""w = kernel.view(1, 1, -1)
    blur = F.conv2d(ink, w[..., None], padding="same")
    blur = F.conv2d(blur, w[:, :, None], padding="same")
    seen = blur * light + (1 - light) + noise
    return seen.clamp(min=0).clamp(max=1)"""),
        "shifts added up": _PHOTO.format("""K, (H, W) = len(kernel), ink.shape[-2:]
    r = K // 2
    wide = F.pad(ink, (r, r, 0, 0))
    blur = sum(kernel[k] * wide[..., k : k + W] for k in range(K))
    tall = F.pad(blur, (0, 0, r, r))
    blur = sum(kernel[k] * tall[..., k : k + H, :] for k in range(K))
    bright = light * (1 - blur)
    return (1 - bright + noise).clip(0, 1)"""),
        "modules": _PHOTO.format("""K, how = len(kernel), {"padding": "same", "bias": False}
    across, down = nn.Conv2d(1, 1, (1, K), **how), nn.Conv2d(1, 1, (K, 1), **how)
    with torch.no_grad():
        across, down = across.to(ink.dtype), down.to(ink.dtype)
        across.weight.copy_(kernel.reshape(1, 1, 1, -1))
        down.weight.copy_(kernel.reshape(1, 1, -1, 1))
        x = 1 - down(across(ink))
        x = (1 - x * light).add_(noise)
        return x.clamp_(0, 1)"""),
        "NumPy, matrices": _PHOTO.format("""def band(n):
        m, r = np.zeros((n, n)), len(kernel) // 2
        for i in range(n):
            for k in range(-r, r + 1):
                if 0 <= i + k < n:
                    m[i, i + k] = kernel[r + k]
        return m

    x = band(ink.shape[2]) @ ink.numpy() @ band(ink.shape[3]).T
    x = 1 - light.numpy() * (1 - x) + noise.numpy()
    return torch.tensor(np.clip(x, 0, 1), dtype=ink.dtype)"""),
    },
    "two_halves": {
        "by hand, mode put back": """
def denoising_loss(first, decoder, clean, kept):
    made = decoder(first(clean * kept))
    return ((made - clean) ** 2).mean()

def second_half_step(first, second, optimizer, x, y):
    was = [m.training for m in first.modules()]
    first.eval()
    features = first(x).detach()
    for m, mode in zip(first.modules(), was):
        m.training = mode
    optimizer.zero_grad(set_to_none=True)
    loss = nn.CrossEntropyLoss()(second(features), y)
    loss.backward()
    optimizer.step()
    return float(loss)
""",
        "where, and frozen weights": """
def denoising_loss(first, decoder, clean, kept):
    damaged = torch.where(kept > 0.5, clean, torch.zeros_like(clean))
    return nn.MSELoss()(decoder(first(damaged)), clean)

def second_half_step(first, second, optimizer, x, y):
    for p in first.parameters():
        p.requires_grad_(False)
    with training.evaluation_mode(first):
        scores = second(first(x))
    for p in [*first.parameters(), *second.parameters()]:
        p.grad = None
    loss = F.cross_entropy(scores, y)
    loss.backward()
    optimizer.step()
    return loss.detach().item()
""",
        "one after the other": """
def denoising_loss(first, decoder, clean, kept):
    x = clean.clone()
    x[kept == 0] = 0
    x = first(x)
    x = decoder(x)
    return torch.mean(torch.square(clean - x))

def second_half_step(first, second, optimizer, x, y):
    first_was = first.training
    modes = {name: m.training for name, m in first.named_modules()}
    first.train(False)
    with torch.inference_mode():
        maps = first(x)
    for name, m in first.named_modules():
        m.training = modes[name]
    loss = F.nll_loss(second(maps.clone()).log_softmax(1), y)
    first.zero_grad()
    second.zero_grad()
    loss.backward()
    optimizer.step()
    return loss
""",
        "masked_fill": """
def denoising_loss(first, decoder, clean, kept):
    loss = F.mse_loss(clean, decoder(first(clean.masked_fill(kept == 0, 0))), reduction="sum")
    return loss / clean.numel()

def second_half_step(first, second, optimizer, x, y):
    optimizer.zero_grad()
    with training.evaluation_mode(first), torch.no_grad():
        maps = first(x)
    loss = F.cross_entropy(second.train()(maps), y)
    loss.backward()
    optimizer.step()
    return loss.detach()
""",
        "gradients by autograd.grad": """
def denoising_loss(first, decoder, clean, kept):
    return (decoder(first(kept * clean)) - clean).pow(2).flatten(1).mean(1).mean()

def second_half_step(first, second, optimizer, x, y):
    with training.evaluation_mode(first), torch.no_grad():
        maps = first(x)
    weights = list(second.parameters())
    loss = F.cross_entropy(second(maps), y)
    optimizer.zero_grad()
    for p, g in zip(weights, torch.autograd.grad(loss, weights)):
        p.grad = g
    optimizer.step()
    return loss.item()
""",
    },
    "read_the_gap": {
        name: f"choose_by, first_half_saw, shadow_did_little = {words}"
        for name, words in {
            "as written": '"kept apart", "images", "not in the test"',
            "capitals": '"Kept apart", "Images", "Not in the test"',
            "spaces": '" kept apart", "images ", "not in the test "',
            "single quotes": "'kept apart', 'images', 'not in the test'",
            "all in capitals": '"KEPT APART", "IMAGES", "NOT IN THE TEST"',
        }.items()
    },
    "gan_step": {
        "cross-entropy of the library": """
def discriminator_loss(real_scores, fake_scores):
    f, one, zero = F.binary_cross_entropy_with_logits, torch.ones_like, torch.zeros_like
    return f(real_scores, one(real_scores)) + f(fake_scores, zero(fake_scores))

def generator_loss(fake_scores):
    return nn.BCEWithLogitsLoss()(fake_scores, torch.ones_like(fake_scores))
""",
        "logsigmoid, two backwards of D": """
def discriminator_loss(real_scores, fake_scores):
    return -F.logsigmoid(real_scores).mean() - F.logsigmoid(-fake_scores).mean()

def generator_loss(fake_scores):
    return -F.logsigmoid(fake_scores).mean()

def gan_step(G, D, opt_G, opt_D, real, z):
    D.zero_grad()
    on_real = F.softplus(-D(real)).mean()
    on_real.backward()
    fake = G(z)
    on_fake = F.softplus(D(fake.detach())).mean()
    on_fake.backward()
    opt_D.step()
    G.zero_grad()
    loss = generator_loss(D(fake))
    loss.backward()
    opt_G.step()
    return (on_real + on_fake).item(), loss.item()
""",
        "G(z) twice": _STEP.format("""with torch.no_grad():
        fake = G(z)
    loss_D = discriminator_loss(D(real), D(fake))
    opt_D.zero_grad()
    loss_D.backward()
    opt_D.step()
    loss_G = generator_loss(D(G(z)))
    opt_G.zero_grad()
    loss_G.backward()
    opt_G.step()
    return float(loss_D), float(loss_G)"""),
        "not detached, emptied in time": _STEP.format("""fake = G(z)
    loss_D = discriminator_loss(D(real), D(fake))
    opt_D.zero_grad()
    loss_D.backward(retain_graph=True)
    opt_D.step()
    opt_G.zero_grad()
    loss_G = generator_loss(D(fake))
    loss_G.backward()
    opt_G.step()
    opt_D.zero_grad()
    return [loss_D.detach(), loss_G.detach()]"""),
        "D frozen for G's step": _STEP.format("""fake = G(z)
    opt_D.zero_grad()
    loss_D = discriminator_loss(D(real), D(fake.detach()))
    loss_D.backward()
    opt_D.step()
    for p in D.parameters():
        p.requires_grad_(False)
    opt_G.zero_grad()
    loss_G = generator_loss(D(fake))
    loss_G.backward()
    opt_G.step()
    for p in D.parameters():
        p.requires_grad_(True)
    return loss_D.item(), loss_G.item()"""),
        "logaddexp": """
def discriminator_loss(real_scores, fake_scores):
    zero = torch.zeros((), dtype=real_scores.dtype)
    return torch.logaddexp(zero, -real_scores).mean() + torch.logaddexp(zero, fake_scores).mean()

def generator_loss(fake_scores):
    zero = torch.zeros((), dtype=fake_scores.dtype)
    return torch.logaddexp(-fake_scores, zero).mean()
""",
    },
    "modes": {
        "loops": """
import math

def mode_counts(scores, least):
    counts = [0] * scores.shape[1]
    for row in scores.softmax(1).tolist():
        if max(row) >= least:
            counts[row.index(max(row))] += 1
    return torch.tensor(counts)

def effective_modes(counts):
    counts = [n for n in counts.tolist() if n]
    if not counts:
        return 0
    return math.exp(-sum(n / sum(counts) * math.log(n / sum(counts)) for n in counts))
""",
        "one-hot": """
def mode_counts(scores, least):
    p = torch.exp(scores.log_softmax(-1))
    hot = F.one_hot(p.argmax(1), scores.shape[1])
    return hot[p.amax(1) >= least].sum(0)

def effective_modes(counts):
    if counts.sum() == 0:
        return 0.0
    return torch.distributions.Categorical(probs=counts.double()).entropy().exp().item()
""",
        "compared with each class": """
def mode_counts(scores, least):
    p, at = scores.softmax(dim=1).topk(1)
    sure = at[p >= least]
    return (sure[:, None] == torch.arange(scores.shape[1])).sum(dim=0)

def effective_modes(counts):
    n = counts.sum().item()
    if not n:
        return 0.0
    p = counts / n
    return 2.0 ** float(-(p[p > 0] * torch.log2(p[p > 0])).sum())
""",
        "NumPy inside": """
def mode_counts(scores, least):
    s = scores.numpy()
    p = np.exp(s - s.max(1, keepdims=True))
    p /= p.sum(1, keepdims=True)
    labels = p.argmax(1)[p.max(1) >= least]
    return torch.from_numpy(np.bincount(labels, minlength=s.shape[1]))

def effective_modes(counts):
    c = counts.numpy()
    c = c[c > 0] / max(c.sum(), 1)
    return float(np.exp(-np.sum(c * np.log(c)))) if len(c) else 0.0
""",
        "scatter and xlogy": """
def mode_counts(scores, least):
    chance, label = F.softmax(scores, dim=1).max(dim=1)
    counts = torch.zeros(scores.shape[1], dtype=torch.int64)
    return counts.scatter_add_(0, label, (chance >= least).long())

def effective_modes(counts):
    if not counts.any():
        return 0.0
    p = counts.double() / counts.sum()
    return torch.special.entr(p).sum().exp()
""",
    },
    "frechet_distance": {
        "eigenvalues of A B": _FAR.format("""a, b = np.float64(a), np.float64(b)
    A, B = np.cov(a.T).reshape(a.shape[1], -1), np.cov(b.T).reshape(a.shape[1], -1)
    values = np.linalg.eigvals(A @ B).real
    apart = np.square(a.mean(0) - b.mean(0)).sum()
    return apart + np.trace(A + B) - 2 * np.sqrt(np.maximum(values, 0)).sum()"""),
        "singular values": _FAR.format("""a, b = a.astype(float), b.astype(float)
    x = (a - a.mean(0)) / np.sqrt(len(a) - 1)
    y = (b - b.mean(0)) / np.sqrt(len(b) - 1)
    both = np.linalg.svd(x @ y.T, compute_uv=False).sum()
    apart = a.mean(0) - b.mean(0)
    return apart @ apart + (x**2).sum() + (y**2).sum() - 2 * both"""),
        "PyTorch inside": _FAR.format("""a, b = torch.tensor(a).double(), torch.tensor(b).double()
    A, B = (torch.atleast_2d(torch.cov(one.T)) for one in (a, b))
    w, V = torch.linalg.eigh(B)
    R = V @ torch.diag(w.clamp(min=0).sqrt()) @ V.T
    both = torch.linalg.eigvalsh(R @ A @ R).clamp(min=0).sqrt().sum()
    d = (a.mean(0) - b.mean(0)).pow(2).sum() + A.trace() + B.trace() - 2 * both
    return d.item()"""),
        "covariances by hand": _FAR.format("""def summed_up(x):
        x = np.asarray(x, dtype=np.float64)
        m = x.mean(axis=0)
        return m, (x - m).T @ (x - m) / (len(x) - 1)

    (m, A), (n, B) = summed_up(a), summed_up(b)
    w, V = np.linalg.eigh(A)
    R = V @ np.diag(np.sqrt(np.abs(w))) @ V.T
    S = R @ B @ R
    roots = np.sqrt(np.abs(np.linalg.eigvalsh((S + S.T) / 2)))
    return float(np.linalg.norm(m - n) ** 2 + A.trace() + B.trace() - 2 * roots.sum())"""),
        "a small matrix for each": _FAR.format("""a, b = a.astype("float64"), b.astype("float64")
    D = a.shape[1]
    A = np.array([[np.cov(a[:, i], a[:, j])[0, 1] for j in range(D)] for i in range(D)])
    B = np.array([[np.cov(b[:, i], b[:, j])[0, 1] for j in range(D)] for i in range(D)])
    values = np.linalg.eigvals(A.dot(B))
    values = np.where(values.real > 0, values.real, 0)
    apart = ((a.mean(0) - b.mean(0)) ** 2).sum()
    return np.float64(apart + np.trace(A + B) - 2 * (values**0.5).sum())"""),
    },
    "laplacian": {
        "recursion": """
def laplacian_pyramid(x, levels):
    if levels == 0:
        return [x]
    low = down(x)
    return [x - up(low)] + laplacian_pyramid(low, levels - 1)

def from_pyramid(parts):
    first, *rest = parts
    return first + up(from_pyramid(rest)) if rest else first
""",
        "all sizes first": """
def laplacian_pyramid(x, levels):
    sizes = [x]
    for _ in range(levels):
        sizes.append(down(sizes[-1]))
    return [big - up(small) for big, small in zip(sizes, sizes[1:])] + [sizes[-1]]

def from_pyramid(parts):
    result = parts[-1].clone()
    for i in range(len(parts) - 2, -1, -1):
        result = parts[i] + up(result)
    return result
""",
        "a tuple, reduce": """
from functools import reduce

def laplacian_pyramid(x, levels):
    found = ()
    for _ in range(levels):
        small = down(x)
        found, x = (*found, x - up(small)), small
    return (*found, x)

from_pyramid = lambda parts: reduce(lambda low, high: up(low) + high, list(parts)[::-1])
""",
        "the library's calls": """
def laplacian_pyramid(x, levels):
    out = []
    while len(out) < levels:
        low = F.interpolate(x, scale_factor=0.5, mode="area")
        out += [x - F.interpolate(low, size=x.shape[2:], mode="bilinear", align_corners=False)]
        x = low
    out.append(x)
    return out

def from_pyramid(parts):
    parts = list(parts)
    x = parts.pop()
    while parts:
        high = parts.pop()
        x = high + F.interpolate(x, size=high.shape[2:], mode="bilinear")
    return x
""",
        "a generator": """
def laplacian_pyramid(x, levels):
    def each(x):
        for _ in range(levels):
            low = down(x)
            yield torch.sub(x, up(low))
            x = low
        yield x.clone()

    return list(each(x))

def from_pyramid(parts):
    backwards = iter(reversed(parts))
    x = next(backwards)
    for high in backwards:
        x = torch.add(up(x), high)
    return x
""",
    },
}
