"""Lab 06: right answers in other styles than the reference's."""

_SOLVER = """
import functools

def build_solver(solver, model):
    o = options(solver, SOLVERS)
    kinds = {"sgd": torch.optim.SGD, "adamw": torch.optim.AdamW}
    for key, words in (("optimizer", kinds), ("lr_policy", ("fixed", "one_cycle"))):
        if o[key] not in words:
            raise solver.error(key, f"it should be one of {', '.join(words)}")
    settings = {"lr": o["base_lr"], "weight_decay": o["weight_decay"]}
    if o["optimizer"] == "sgd":
        settings["momentum"] = o["momentum"]
    optimizer = kinds[o["optimizer"]](list(model.parameters()), **settings)
    return {"optimizer": optimizer, "schedule": SCHEDULE,
            "epochs": o["epochs"], "batch_size": o["batch_size"], "seed": o["seed"]}
"""

STYLES = {
    "options": {
        "one expression": """
def options(section, known):
    def fault(key, problem):
        raise section.error(key, problem)

    def fits(value, usual):
        kind = usual if isinstance(usual, type) else type(usual)
        if kind is float:
            return isinstance(value, (int, float)) and not isinstance(value, bool)
        return type(value) is kind

    [fault(key, "unknown") for key in section if key not in known]
    return {
        key: (section[key] if fits(section[key], usual) else fault(key, "another type"))
        if key in section
        else (fault(key, "missing") if isinstance(usual, type) else usual)
        for key, usual in known.items()
    }
""",
        "defaults first, then update": """
def options(section, known):
    made = {key: usual for key, usual in known.items() if not isinstance(usual, type)}
    made.update(section)
    for key, value in made.items():
        if key not in known:
            raise section.error(key, "unknown")
    for key, usual in known.items():
        if key not in made:
            raise section.error(key, "missing")
        kind = usual if isinstance(usual, type) else type(usual)
        if type(made[key]) is not kind and (kind is not float or type(made[key]) is not int):
            raise section.error(key, "wrong type")
    return made
""",
        "an instance": """
class Options:
    def __call__(self, section, known):
        self.section, found = section, {}
        extra = set(section) - set(known)
        if extra:
            raise section.error(extra.pop(), "unknown")
        for key in known:
            found[key] = self.one(key, known[key])
        return found

    def one(self, key, usual):
        must = isinstance(usual, type)
        if key not in self.section:
            if must:
                raise self.section.error(key, "missing")
            return usual
        value, kind = self.section[key], usual if must else usual.__class__
        allowed = {float: {int, float}}.get(kind, {kind})
        if value.__class__ not in allowed:
            raise self.section.error(key, "wrong type")
        return value

options = Options()
""",
        "KeyError caught": """
def options(section, known):
    chosen = dict(section)
    for key, value in section.items():
        try:
            usual = known[key]
        except KeyError:
            raise section.error(key, "unknown") from None
        kind = usual if isinstance(usual, type) else type(usual)
        if not isinstance(value, kind) and not (kind is float and isinstance(value, int)):
            raise section.error(key, "type")
        if isinstance(value, bool) and kind is not bool:
            raise section.error(key, "type")
    for key, usual in known.items():
        if key not in chosen and isinstance(usual, type):
            raise section.error(key, "missing")
        chosen.setdefault(key, usual)
    return chosen
""",
        "a generator, an OrderedDict": """
from collections import OrderedDict

def options(section: "Section", known: dict) -> dict:
    def pairs():
        for key, usual in known.items():
            kind = usual if isinstance(usual, type) else type(usual)
            value = section[key] if key in section else usual
            if value is kind:
                raise section.error(key, "missing")
            if type(value) is not kind and (kind, type(value)) != (float, int):
                raise section.error(key, "type")
            yield key, value

    for key in section.keys() - known.keys():
        raise section.error(key, "unknown")
    return OrderedDict(pairs())
""",
    },
    "build_network": {
        "names added one by one": """
def build_network(network):
    model, shape = nn.Sequential(), tuple(network["input"])
    for section in network["layers"]:
        kind = section.get("type")
        if kind not in LAYERS:
            raise section.error("type", "unknown")
        o = options(section, LAYERS[kind] | {"name": str, "type": str})
        if o["name"] in dict(model.named_children()):
            raise section.error("name", "taken")
        layer = make_layer(o, shape).eval()
        try:
            with torch.no_grad():
                shape = layer(torch.zeros(2, *shape)).shape[1:]
        except Exception as error:
            raise section.error("type", str(error)) from error
        model.add_module(o["name"], layer)
    return model.train()
""",
        "sections copied": """
from collections import OrderedDict

def build_network(network):
    shape, layers = tuple(network["input"]), OrderedDict()
    for section in network["layers"]:
        rest = Section(section.file, section.line)
        rest.lines = section.lines
        rest.update({k: v for k, v in section.items() if k not in ("name", "type")})
        name, kind = section["name"], section["type"]
        if kind not in LAYERS:
            raise section.error("type", "unknown")
        if name in layers:
            raise section.error("name", "taken")
        o = {"type": kind, **options(rest, LAYERS[kind])}
        layers[name] = make_layer(o, tuple(shape))
        try:
            layers[name].eval()
            shape = layers[name](torch.zeros((1, *shape)))[0].shape
        except (RuntimeError, ValueError):
            raise section.error("type", "does not fit") from None
        finally:
            layers[name].train()
    return nn.Sequential(layers)
""",
        "a generator": """
from collections import OrderedDict

def layers_of(network):
    shape, taken = tuple(network["input"]), set()
    for section in network["layers"]:
        if section.get("type") not in LAYERS:
            raise section.error("type", "unknown")
        o = options(section, {"name": str, "type": str, **LAYERS[section["type"]]})
        if o["name"] in taken:
            raise section.error("name", "taken")
        taken.add(o["name"])
        layer = make_layer(o, shape)
        try:
            shape = tuple(layer.eval()(torch.zeros(1, *shape)).shape[1:])
        except (RuntimeError, ValueError) as error:
            raise section.error("type", str(error)) from None
        yield o["name"], layer.train()

build_network = lambda network: nn.Sequential(OrderedDict(layers_of(network)))
""",
        "recursion": """
from collections import OrderedDict

def build_network(network, at=0, shape=None, made=None):
    shape = shape or tuple(network["input"])
    made = OrderedDict() if made is None else made
    if at == len(network["layers"]):
        return nn.Sequential(made)
    section = network["layers"][at]
    try:
        known = {"name": str, "type": str, **LAYERS[section["type"]]}
    except KeyError:
        raise section.error("type", "unknown") from None
    o = options(section, known)
    if o["name"] in made:
        raise section.error("name", "taken")
    made[o["name"]] = layer = make_layer(o, shape)
    try:
        shape = tuple(layer.eval()(torch.zeros(1, *shape)).shape[1:])
    except (RuntimeError, ValueError) as error:
        raise section.error("type", str(error)) from None
    layer.train()
    return build_network(network, at + 1, shape, made)
""",
        "a batch through a copy": """
import copy
from collections import OrderedDict

class Builder:
    def __call__(self, network):
        x, layers = torch.randn(4, *network["input"]), OrderedDict()
        for section in network["layers"]:
            if not (kind := section.get("type")) in LAYERS:
                raise section.error("type", "unknown")
            o = options(section, {"name": str, "type": str, **LAYERS[kind]})
            if o["name"] in layers:
                raise section.error("name", "taken")
            layer = layers[o["name"]] = make_layer(o, tuple(x.shape[1:]))
            try:
                x = copy.deepcopy(layer)(x).detach()
            except (RuntimeError, ValueError):
                raise section.error("type", "does not fit") from None
        return nn.Sequential(layers)

build_network = Builder()
""",
    },
    "build_solver": {
        "a table of optimizers, a lambda": _SOLVER.replace(
            "SCHEDULE",
            "(lambda step, steps: 1.0) if o['lr_policy'] == 'fixed' else (lambda step, steps:"
            " min((step + 1) / (steps + 1) / o['warm_up'],"
            " (1 - (step + 1) / (steps + 1)) / (1 - o['warm_up'])))",
        ),
        "a partial": "\ndef rate(policy, w, step, steps):\n"
        "    t = (step + 1) / (steps + 1)\n"
        "    return 1 if policy == 'fixed' else t / w if t <= w else (1 - t) / (1 - w)\n"
        + _SOLVER.replace("SCHEDULE", "functools.partial(rate, o['lr_policy'], o['warm_up'])"),
        "an instance": """
class Cycle:
    def __init__(self, o):
        self.o = o

    def __call__(self, step, steps):
        if self.o["lr_policy"] != "one_cycle":
            return 1
        t = (step + 1) / (steps + 1)
        return float(np.interp(t, [0, self.o["warm_up"], 1], [0, 1, 0]))
"""
        + _SOLVER.replace("SCHEDULE", "Cycle(o)"),
        "tensors for factors": """
def cycle(o):
    def schedule(step, steps):
        t, w = torch.tensor((step + 1) / (steps + 1), dtype=torch.float64), o["warm_up"]
        one = torch.where(t < w, t / w, (1 - t) / (1 - w))
        return torch.ones(()) if o["lr_policy"] == "fixed" else one
    return schedule
"""
        + _SOLVER.replace("SCHEDULE", "cycle(o)"),
        "groups of parameters, keyword calls": """
def build_solver(solver: Section, model: nn.Module) -> dict:
    o = options(section=solver, known=SOLVERS)
    groups = [{"params": [one]} for one in model.parameters()]
    match o["optimizer"]:
        case "sgd":
            optimizer = torch.optim.SGD(params=groups, lr=o["base_lr"], momentum=o["momentum"],
                                        weight_decay=o["weight_decay"])
        case "adamw":
            optimizer = torch.optim.AdamW(groups, o["base_lr"], weight_decay=o["weight_decay"])
        case other:
            raise solver.error("optimizer", other)
    match o["lr_policy"]:
        case "fixed":
            def schedule(step, steps):
                return 1.0
        case "one_cycle":
            def schedule(step, steps, w=o["warm_up"]):
                t = (step + 1) / (steps + 1)
                if t < w:
                    return t / w
                return (t - 1) / (w - 1)
        case other:
            raise solver.error("lr_policy", other)
    del o["optimizer"], o["lr_policy"], o["base_lr"], o["momentum"]
    del o["weight_decay"], o["warm_up"]
    return dict(o, optimizer=optimizer, schedule=schedule)
""",
    },
    "batch_norm": {
        "sums, in einsum": """
def batch_norm(x, weight, bias, running_mean, running_var, training, momentum=0.1, eps=1e-5):
    if not training:
        mean, var = running_mean, running_var
    else:
        n = x.numel() // x.shape[1]
        mean = torch.einsum("nchw->c", x) / n
        centred = x - mean[:, None, None]
        var = (centred ** 2).sum((0, 2, 3)) / n
        running_mean = running_mean + momentum * (mean.detach() - running_mean)
        running_var = running_var + momentum * (var.detach() * n / (n - 1) - running_var)
    y = (x - mean[:, None, None]) * torch.rsqrt(var[:, None, None] + eps)
    return y * weight[:, None, None] + bias[:, None, None], running_mean, running_var
""",
        "torch.lerp, a list": """
def batch_norm(x, weight, bias, running_mean, running_var, training, momentum=0.1, eps=1e-5):
    flat = x.transpose(0, 1).reshape(x.shape[1], -1)
    if training:
        var, mean = torch.var_mean(flat, dim=1, correction=0)
        with torch.no_grad():
            running_mean = torch.lerp(running_mean, flat.mean(1), momentum)
            running_var = torch.lerp(running_var, flat.var(1), momentum)
    else:
        mean, var = running_mean, running_var
    y = ((flat.T - mean) / (var + eps).sqrt() * weight + bias).T
    y = y.reshape(x.shape[1], x.shape[0], *x.shape[2:]).transpose(0, 1)
    return [y, running_mean, running_var]
""",
        "channel by channel": """
def batch_norm(x, weight, bias, running_mean, running_var, training, momentum=0.1, eps=1e-5):
    ys, means, variances = [], [], []
    for c in range(x.shape[1]):
        one, mean, var = x[:, c], running_mean[c], running_var[c]
        if training:
            means.append((1 - momentum) * mean + momentum * one.detach().mean())
            variances.append((1 - momentum) * var + momentum * one.detach().var())
            mean, var = one.mean(), one.var(correction=0)
        ys.append(weight[c] * (one - mean) / (var + eps) ** 0.5 + bias[c])
    if training:
        running_mean, running_var = torch.stack(means), torch.stack(variances)
    return torch.stack(ys, dim=1), running_mean, running_var
""",
        "in place on clones": """
def batch_norm(x, weight, bias, running_mean, running_var, training, momentum=0.1, eps=1e-5):
    running_mean, running_var = running_mean.clone(), running_var.clone()
    view = lambda one: one.view(1, -1, 1, 1)
    mean, var = view(running_mean), view(running_var)
    if training:
        mean = x.mean((0, 2, 3), keepdim=True)
        var = (x - mean).square().mean((0, 2, 3), keepdim=True)
        n = x.numel() / x.size(1)
        running_mean.mul_(1 - momentum).add_(mean.flatten().detach(), alpha=momentum)
        running_var.mul_(1 - momentum).add_(var.flatten().detach() * n / (n - 1), alpha=momentum)
    y = view(weight) * ((x - mean) / torch.sqrt(var + eps)) + view(bias)
    return y, running_mean, running_var
""",
        "a namedtuple from an instance": """
import collections

Normed = collections.namedtuple("Normed", "y running_mean running_var")

class BatchNorm:
    def __call__(self, x, weight, bias, running_mean, running_var, training, momentum=0.1,
                 eps=1e-5):
        axes = [0, 2, 3]
        if training:
            mean = x.mean(axes, keepdim=True)
            var = x.var(axes, unbiased=False, keepdim=True)
            keep = lambda old, new: (old * (1 - momentum) + new.data * momentum)
            running_mean = keep(running_mean, x.mean(axes))
            running_var = keep(running_var, x.var(axes))
        else:
            mean, var = (one[None, :, None, None] for one in (running_mean, running_var))
        w, b = (one[None, :, None, None] for one in (weight, bias))
        return tuple(Normed(w * (x - mean) * (var + eps).pow(-0.5) + b, running_mean, running_var))

batch_norm = BatchNorm()
""",
    },
    "augment": {
        "image by image": """
def augment(x, generator, padding=4):
    out = torch.empty_like(x)
    height, width = x.shape[-2:]
    for i, image in enumerate(F.pad(x, (padding, padding, padding, padding))):
        top, left = torch.randint(0, 2 * padding + 1, (2,), generator=generator)
        window = image[:, top : top + height, left : left + width]
        coin = torch.randint(2, (1,), generator=generator).item()
        out[i] = window.flip(-1) if coin else window
    return out
""",
        "index arithmetic": """
def augment(x, generator, padding=4):
    n, c, h, w = x.shape
    places = torch.randint(2 * padding + 1, (2, n, 1), generator=generator)
    rows = places[0] + torch.arange(h)
    columns = places[1] + torch.arange(w)
    flip = torch.rand((n, 1), generator=generator) < 0.5
    columns = torch.where(flip, columns.flip(1), columns)
    padded = F.pad(x, [padding] * 4)
    return padded[torch.arange(n)[:, None, None], :, rows[:, :, None], columns[:, None, :]].permute(
        0, 3, 1, 2)
""",
        "unfold": """
def augment(x, generator, padding=4):
    windows = F.pad(x, (padding,) * 4).unfold(2, x.shape[2], 1).unfold(3, x.shape[3], 1)
    n = len(x)
    at = torch.randint(0, (2 * padding + 1) ** 2, (n,), generator=generator)
    out = windows[torch.arange(n), :, at // (2 * padding + 1), at % (2 * padding + 1)]
    mask = torch.bernoulli(torch.full((n,), 0.5), generator=generator).bool()
    out = out.clone()
    out[mask] = out[mask].flip(3)
    return out
""",
        "flipped before it is padded": """
def augment(x: Tensor, generator: torch.Generator, padding: int = 4) -> Tensor:
    def one(image):
        if torch.rand((), generator=generator) < 0.5:
            image = torch.fliplr(image.movedim(0, 2)).movedim(2, 0)
        h, w = image.shape[1:]
        canvas = image.new_zeros(image.shape[0], h + 2 * padding, w + 2 * padding)
        canvas[:, padding : padding + h, padding : padding + w] = image
        top = torch.randint(2 * padding + 1, (), generator=generator)
        left = torch.randint(2 * padding + 1, (), generator=generator)
        return canvas[:, top : top + h, left : left + w]

    return torch.stack([one(image) for image in x])
""",
        "NumPy, seeded from the generator": """
class Augment:
    def __call__(self, x, generator, padding=4):
        seed = int(torch.randint(2**31, (), generator=generator))
        rng = np.random.default_rng(seed)
        n, _, h, w = x.shape
        padded = np.pad(x.numpy(), ((0, 0), (0, 0), (padding, padding), (padding, padding)))
        out = np.empty_like(x.numpy())
        for i in range(n):
            top, left = rng.integers(2 * padding, size=2, endpoint=True)
            out[i] = padded[i, :, top : top + h, left : left + w][..., :: rng.choice([1, -1])]
        return torch.from_numpy(out)

augment = Augment()
""",
        "a generator expression, a coin first": """
def augment(x, generator, padding=4):
    coins = torch.randn(len(x), generator=generator) > 0
    scores = torch.rand(2, len(x), generator=generator)
    places = (scores * (2 * padding + 1)).floor().long()
    p = F.pad(x, (padding,) * 4)
    crops = (p[i, :, t : t + x.shape[2], l : l + x.shape[3]]
             for i, (t, l) in enumerate(zip(*places.tolist())))
    return torch.stack([torch.flip(c, [2]) if coin else c for c, coin in zip(crops, coins)])
""",
    },
    "parameters": {
        "floats": """
conv_parameters, fire_parameters = 110720.0, 11920.0
fc6_parameters, without_linear = 37752832.0, 24.7
""",
        "counted by PyTorch": """
def count(module):
    return sum(p.numel() for p in module.parameters())

conv_parameters = count(nn.Conv2d(96, 128, 3))
fire_parameters = count(nn.Conv2d(96, 16, 1)) + count(nn.Conv2d(16, 64, 1)) + count(
    nn.Conv2d(16, 64, 3))
with torch.device("meta"):
    fc6_parameters = count(nn.Linear(256 * 6 * 6, 4096))
without_linear = 61_100_840 / (61_100_840 - 58_631_144)
""",
        "NumPy numbers": """
conv_parameters = np.prod((128, 96, 3, 3)) + np.int64(128)
fire_parameters = np.sum([96 * 16, 16, 16 * 64, 64, 16 * 64 * 9, 64])
fc6_parameters = np.float64(9217 * 4096)
without_linear = np.divide(61_100_840, 2_469_696)
""",
        "tensors": """
conv_parameters = torch.tensor(110_720)
fire_parameters = torch.tensor(11_920)
fc6_parameters = torch.tensor(37_752_832)
without_linear = torch.tensor(24.74, dtype=torch.float64)
""",
        "rounded": """
conv_parameters = int("110720")
fire_parameters = round(1.192e4)
fc6_parameters = 4096 * (1 + 256 * 6**2)
without_linear = round(61_100_840 / 2_469_696, 1)
""",
    },
    "Fire": {
        "modules for ReLU": """
class Fire(nn.Module):
    def __init__(self, inputs, squeezed, ones, threes):
        super().__init__()
        self.squeeze = nn.Conv2d(inputs, squeezed, kernel_size=1)
        self.expand1x1 = nn.Conv2d(squeezed, ones, kernel_size=1)
        self.expand3x3 = nn.Conv2d(squeezed, threes, kernel_size=3, padding="same")
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x):
        x = self.relu(self.squeeze(x))
        return torch.cat([self.relu(self.expand1x1(x)), self.relu(self.expand3x3(x))], 1)
""",
        "clamped after stacking": """
class Fire(nn.Module):
    def __init__(self, inputs, squeezed, ones, threes):
        nn.Module.__init__(self)
        self.expand3x3 = nn.Conv2d(squeezed, threes, (3, 3), padding=(1, 1))
        self.expand1x1 = nn.Conv2d(squeezed, ones, (1, 1))
        self.squeeze = nn.Conv2d(inputs, squeezed, (1, 1))

    def forward(self, x):
        s = self.squeeze(x).clamp(min=0)
        return torch.concat((self.expand1x1(s), self.expand3x3(s)), dim=1).clamp_min(0)
""",
        "a dict of layers": """
class Fire(nn.Module):
    def __init__(self, inputs, squeezed, ones, threes):
        super().__init__()
        for name, shape in {"squeeze": (inputs, squeezed, 1), "expand1x1": (squeezed, ones, 1),
                            "expand3x3": (squeezed, threes, 3)}.items():
            setattr(self, name, nn.Conv2d(*shape, padding=shape[2] // 2))

    def forward(self, x):
        x = torch.relu(self.squeeze(x))
        return torch.relu(torch.hstack([self.expand1x1(x), self.expand3x3(x)]))
""",
        "a base class, a property": """
class Squeezing(nn.Module):
    def __init__(self, inputs, squeezed):
        super().__init__()
        self.squeeze = nn.Conv2d(in_channels=inputs, out_channels=squeezed, kernel_size=1)

    def squeezed(self, x):
        return torch.maximum(self.squeeze(x), torch.zeros((), dtype=x.dtype))


class Fire(Squeezing):
    def __init__(self, inputs, squeezed, ones, threes):
        super().__init__(inputs, squeezed)
        self.expand1x1 = nn.Conv2d(squeezed, ones, 1)
        self.expand3x3 = nn.Conv2d(squeezed, threes, 3, padding=1)

    @property
    def expansions(self):
        return self.expand1x1, self.expand3x3

    def forward(self, x):
        s = self.squeezed(x)
        return torch.cat(tuple(one(s) for one in self.expansions), 1).relu()
""",
        "written into a whole": """
class Fire(nn.Module):
    def __init__(self, inputs: int, squeezed: int, ones: int, threes: int) -> None:
        super().__init__()
        self.squeeze = nn.Conv2d(inputs, squeezed, 1)
        self.expand1x1, self.expand3x3 = (
            nn.Conv2d(squeezed, n, k, 1, k // 2) for n, k in ((ones, 1), (threes, 3)))
        self.ones = ones

    def forward(self, x: Tensor) -> Tensor:
        x = x.clone()
        x = F.relu_(self.squeeze(x))
        parts = [F.threshold(layer(x), 0, 0) for layer in (self.expand1x1, self.expand3x3)]
        return torch.cat(parts, dim=-3)
""",
    },
    "residual_block": {
        "modules in other places": """
class ResidualBlock(nn.Module):
    def __init__(self, inputs, outputs, stride=1):
        super().__init__()
        same = inputs == outputs and stride == 1
        self.shortcut = nn.Identity() if same else nn.Sequential(
            nn.Conv2d(inputs, outputs, kernel_size=1, stride=stride, bias=False),
            nn.BatchNorm2d(outputs))
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride=stride, padding=1, bias=False)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, stride=1, padding=1, bias=False)
        self.norm1, self.norm2 = nn.BatchNorm2d(outputs), nn.BatchNorm2d(outputs)
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x):
        kept = self.shortcut(x)
        x = self.relu(self.norm1(self.conv1(x)))
        return self.relu(self.norm2(self.conv2(x)) + kept)
""",
        "added in place to norm2's": """
class ResidualBlock(nn.Module):
    def __init__(self, inputs, outputs, stride=1):
        super().__init__()
        conv = lambda i, o, k, s: nn.Conv2d(i, o, k, s, padding=k // 2, bias=False)
        self.conv1, self.norm1 = conv(inputs, outputs, 3, stride), nn.BatchNorm2d(outputs)
        self.conv2, self.norm2 = conv(outputs, outputs, 3, 1), nn.BatchNorm2d(outputs)
        self.shortcut = nn.Identity()
        if (inputs, 1) != (outputs, stride):
            self.shortcut = nn.Sequential(conv(inputs, outputs, 1, stride), nn.BatchNorm2d(outputs))

    def forward(self, x):
        out = self.norm2(self.conv2(F.relu(self.norm1(self.conv1(x)))))
        out += self.shortcut(x)
        return F.relu(out)
""",
        "an empty Sequential": """
class ResidualBlock(nn.Module):
    def __init__(self, inputs, outputs, stride=1):
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, (stride, stride), "same" if stride == 1 else 1,
                               bias=False)
        self.norm1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding="same", bias=False)
        self.norm2 = nn.BatchNorm2d(outputs)
        layers = []
        if stride > 1 or inputs != outputs:
            layers += [nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs)]
        self.shortcut = nn.Sequential(*layers)

    def forward(self, x):
        f = nn.Sequential(self.conv1, self.norm1, nn.ReLU(), self.conv2, self.norm2)
        return torch.relu(torch.add(f(x), self.shortcut(x)))
""",
        "lazy batch norms": """
class ResidualBlock(nn.Module):
    def __init__(self, inputs, outputs, stride=1):
        super().__init__()
        wide = {"padding": 1, "bias": False}
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, **wide)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, **wide)
        for name in ("norm1", "norm2"):
            self.add_module(name, nn.BatchNorm2d(outputs))
        if stride == 1 and inputs == outputs:
            self.shortcut = nn.Identity()
        else:
            self.shortcut = nn.Sequential()
            self.shortcut.append(nn.Conv2d(inputs, outputs, 1, stride, bias=False))
            self.shortcut.append(nn.BatchNorm2d(outputs))

    def forward(self, x):
        y = x
        for layer in (self.conv1, self.norm1, F.relu, self.conv2, self.norm2):
            y = layer(y)
        return F.relu(sum([y, self.shortcut(x)]))
""",
        "F in a method": """
class ResidualBlock(nn.Module):
    def __init__(self, inputs: int, outputs: int, stride: int = 1) -> None:
        super().__init__()
        self.shortcut: nn.Module = nn.Identity()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.norm1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.norm2 = nn.BatchNorm2d(outputs)
        if not (stride == 1 and inputs == outputs):
            self.shortcut = self.projection(inputs, outputs, stride)

    @staticmethod
    def projection(inputs, outputs, stride):
        return nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False),
                             nn.BatchNorm2d(outputs))

    def added(self, x):
        return self.norm2(self.conv2(self.norm1(self.conv1(x)).relu()))

    def forward(self, x):
        return (self.shortcut(x) + self.added(x)).relu_()
""",
    },
}
