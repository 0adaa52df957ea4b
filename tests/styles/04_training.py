"""Lab 04: right answers in other styles than the reference's."""

STYLES = {
    "split": {
        "one permutation of all, a dictionary of lists": """
def split(y, share, seed):
    order = torch.randperm(len(y), generator=torch.Generator().manual_seed(seed)).tolist()
    by_class = {}
    for i in order:
        by_class.setdefault(int(y[i]), []).append(i)
    train, held_out = [], []
    for members in by_class.values():
        cut = int(share * len(members))
        held_out += members[:cut]
        train += members[cut:]
    return torch.tensor(train), torch.tensor(held_out)
""",
        "NumPy's generator, a list returned": """
def split(y, share, seed):
    rng, held = np.random.default_rng(seed), np.zeros(len(y), dtype=bool)
    for label in np.unique(y.numpy()):
        members = np.flatnonzero(y.numpy() == label)
        held[rng.choice(members, math.ceil(share * len(members)), replace=False)] = True
    return [torch.from_numpy(np.flatnonzero(~held)), torch.from_numpy(np.flatnonzero(held))]
""",
        "a mask filled in, where": """
def split(y: Tensor, share: float, seed: int) -> tuple[Tensor, Tensor]:
    g = torch.Generator()
    g.manual_seed(seed)
    noise, mask = torch.rand(len(y), generator=g), torch.zeros(len(y), dtype=torch.bool)
    for label in y.unique().tolist():
        members = torch.where(y == label)[0]
        mask[members[noise[members].argsort()][: round(share * len(members))]] = True
    return torch.where(~mask)[0], torch.where(mask)[0]
""",
        "a named tuple, a comprehension": """
from collections import namedtuple
Split = namedtuple("Split", "train held_out")

def split(y, share, seed):
    generator = torch.Generator().manual_seed(seed)
    def shuffled(members):
        return members[torch.randperm(members.numel(), generator=generator)]
    groups = [shuffled((y == label).nonzero().squeeze(1)) for label in y.unique()]
    cuts = [round(share * len(group)) for group in groups]
    return Split(
        torch.cat([group[cut:] for group, cut in zip(groups, cuts)]),
        torch.cat([group[:cut] for group, cut in zip(groups, cuts)]),
    )
""",
        "a generator function, sorted, int32": """
def _halves(y, share, seed):
    generator = torch.Generator().manual_seed(seed)
    for label in sorted(set(y.tolist())):
        members = torch.tensor([i for i, one in enumerate(y.tolist()) if one == label])
        order = torch.randperm(len(members), generator=generator)
        yield members[order].tensor_split([round(share * len(members))])

def split(y, share, seed):
    held, train = zip(*_halves(y, share, seed))
    return torch.cat(train).sort().values.int(), torch.cat(held).sort().values.int()
""",
        "a class instance": """
class Splitter:
    def __call__(self, y, share, seed):
        self.generator = torch.Generator().manual_seed(int(seed))
        parts = [self.cut(torch.nonzero(y == c)[:, 0], share) for c in torch.unique(y)]
        return tuple(torch.cat([part[i] for part in parts]) for i in (1, 0))

    def cut(self, members, share):
        n = round(share * len(members))
        order = torch.randperm(len(members), generator=self.generator)
        return members[order[:n]], members[order[n:]]

split = Splitter()
""",
    },
    "train_one_epoch": {
        "a DataLoader": """
from torch.utils.data import DataLoader, TensorDataset

def train_one_epoch(model, optimizer, X, y, batch_size, generator):
    model.train()
    loader = DataLoader(TensorDataset(X, y), batch_size, shuffle=True, generator=generator)
    total = 0.0
    for batch, labels in loader:
        optimizer.zero_grad()
        loss = F.cross_entropy(model(batch), labels)
        loss.backward()
        optimizer.step()
        total += loss.item() * len(labels)
    return total / len(X)
""",
        "range and slices, zero_grad last, nn.CrossEntropyLoss": """
def train_one_epoch(model, optimizer, X, y, batch_size, generator):
    model.train(True)
    criterion, losses = nn.CrossEntropyLoss(), []
    order = torch.randperm(len(y), generator=generator)
    optimizer.zero_grad(set_to_none=True)
    for start in range(0, len(y), batch_size):
        at = order[start : start + batch_size]
        loss = criterion(model(X[at]), y[at])
        loss.backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        losses += [loss.item()] * len(at)
    return sum(losses) / len(losses)
""",
        "shuffled copies, a closure": """
def train_one_epoch(model, optimizer, X, y, batch_size, generator):
    order = torch.randperm(X.shape[0], generator=generator)
    X, y = X[order], y[order]
    model.train()
    def step(batch, labels):
        def closure():
            optimizer.zero_grad()
            loss = F.cross_entropy(model(batch), labels)
            loss.backward()
            return loss
        return float(optimizer.step(closure)) * len(labels)
    return sum(map(step, X.split(batch_size), y.split(batch_size))) / len(y)
""",
        "gradients from autograd, detached sums": """
def train_one_epoch(model, optimizer, X, y, batch_size, generator):
    model.train()
    sums = torch.zeros((), dtype=torch.float64)
    for at in torch.split(torch.randperm(len(X), generator=generator), batch_size):
        loss = nn.functional.cross_entropy(model(X[at]), y[at], reduction="sum")
        parameters = list(model.parameters())
        for p, g in zip(parameters, torch.autograd.grad(loss / len(at), parameters)):
            p.grad = g
        optimizer.step()
        sums += loss.detach()
    return (sums / len(X)).item()
""",
        "NumPy's average, log-softmax by hand": """
def train_one_epoch(model, optimizer, X, y, batch_size, generator):
    model.train()
    order = torch.randperm(len(X), generator=generator)
    losses, sizes = [], []
    while len(order):
        at, order = order[:batch_size], order[batch_size:]
        model.zero_grad()
        loss = -model(X[at]).log_softmax(dim=1)[torch.arange(len(at)), y[at]].mean()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
        sizes.append(len(at))
    return np.average(losses, weights=sizes)
""",
        "a random order by sorting": """
def train_one_epoch(model, optimizer, X, y, batch_size, generator):
    model.train()
    total, order = 0, torch.rand(len(X), generator=generator).argsort()
    for i in range(math.ceil(len(X) / batch_size)):
        batch = order[i * batch_size :][:batch_size]
        optimizer.zero_grad()
        loss = F.cross_entropy(input=model(X[batch]), target=y[batch])
        loss.backward()
        optimizer.step()
        total += len(batch) * float(loss)
        del loss
    return total / len(X)
""",
    },
    "evaluate": {
        "a decorator, ranges": """
@torch.no_grad()
def evaluate(model, X, y, batch_size):
    was = model.training
    model.eval()
    loss = right = 0
    for start in range(0, len(X), batch_size):
        scores, labels = model(X[start : start + batch_size]), y[start : start + batch_size]
        loss += F.cross_entropy(scores, labels).item() * len(labels)
        right += int((scores.max(1).indices == labels).sum())
    model.train(was)
    return loss / len(X), right / len(X)
""",
        "all scores first, inference mode": """
def evaluate(model, X, y, batch_size):
    mode = model.training
    with torch.inference_mode():
        scores = torch.cat([model.eval()(batch) for batch in X.split(batch_size)])
        loss, accuracy = F.cross_entropy(scores, y), (scores.argmax(1) == y).float().mean()
    if mode:
        model.train()
    return float(loss), float(accuracy)
""",
        "try and finally, gradients set and reset": """
def evaluate(model: nn.Module, X: Tensor, y: Tensor, batch_size: int) -> tuple[float, float]:
    before, was = torch.is_grad_enabled(), model.training
    torch.set_grad_enabled(False)
    try:
        model.train(False)
        each = [one for b, l in zip(X.split(batch_size), y.split(batch_size))
                for one in F.cross_entropy(model(b), l, reduction="none").tolist()]
        hits = [one for b, l in zip(X.split(batch_size), y.split(batch_size))
                for one in model(b).argmax(-1).eq(l).tolist()]
    finally:
        torch.set_grad_enabled(before)
        model.train(was)
    return sum(each) / len(each), sum(hits) / len(hits)
""",
        "a copy of the model": """
def evaluate(model, X, y, batch_size):
    twin, loss, right = copy.deepcopy(model).eval(), 0.0, 0.0
    with torch.no_grad():
        for at in torch.arange(len(X)).split(batch_size):
            scores = twin(X[at])
            loss += nn.CrossEntropyLoss(reduction="sum")(scores, y[at]).item()
            right += (scores.topk(1).indices[:, 0] == y[at]).sum().item()
    return loss / len(y), right / len(y)
""",
        "modes of all modules, NumPy numbers": """
def evaluate(model, X, y, batch_size):
    modes = {module: module.training for module in model.modules()}
    model.eval()
    results = []
    with torch.no_grad():
        for b, l in zip(torch.split(X, batch_size), torch.split(y, batch_size)):
            s = model(b).log_softmax(1)
            results.append((-s.gather(1, l[:, None]).sum().item(), (s.argmax(1) == l).sum().item()))
    for module, mode in modes.items():
        module.training = mode
    loss, accuracy = np.sum(results, axis=0) / len(X)
    return loss, accuracy
""",
        "a named tuple": """
from typing import NamedTuple

class Measured(NamedTuple):
    loss: float
    accuracy: float

def evaluate(model, X, y, batch_size):
    mode, sums = model.training, torch.zeros(2)
    model.eval()
    with torch.no_grad():
        for b, l in zip(X.split(batch_size), y.split(batch_size)):
            s = model(b)
            sums += torch.stack([F.cross_entropy(s, l) * len(l), (s.argmax(1) == l).sum()])
    model.train(mode)
    return Measured(*(sums / len(X)).tolist())
""",
    },
    "read_loss_curves": {
        "capitals and blanks": 'curve_a, curve_b = " Rate too low ", "OVERFITTING"',
        "the other lowest epoch": "keep_epoch = 4",
        "a float": "keep_epoch = 5.0",
        "NumPy's argmin": "keep_epoch = np.argmin([110, 77, 79, 74, 74, 75]) + 1",
        "a loop": """
for letter, word in zip("abcdef", ["rate too low", "overfitting", "dropout", "rate too high",
                                   "healthy", "underfitting"]):
    globals()[f"curve_{letter}"] = word
""",
    },
    "early_stopping": {
        "clones, one history": """
class EarlyStopping:
    def __init__(self, patience):
        self.patience, self.losses = patience, []

    def step(self, loss, model):
        if not self.losses or loss < min(self.losses):
            self.kept = {name: value.clone() for name, value in model.state_dict().items()}
        self.losses.append(loss)
        return len(self.losses) - 1 - self.losses.index(min(self.losses)) >= self.patience

    def restore(self, model):
        model.load_state_dict(self.kept)
""",
        "a deep copy of the model": """
class EarlyStopping:
    def __init__(self, patience):
        self.patience, self.left, self.lowest, self.model = patience, patience, None, None

    def step(self, loss, model):
        if self.lowest is None or loss < self.lowest:
            self.lowest, self.left, self.model = loss, self.patience, copy.deepcopy(model)
        else:
            self.left -= 1
        return np.bool_(self.left == 0)

    def restore(self, model):
        model.load_state_dict(self.model.state_dict())
""",
        "a dataclass": """
from dataclasses import dataclass, field

@dataclass
class EarlyStopping:
    patience: int
    lowest: float = math.inf
    waited: int = 0
    best: dict = field(default_factory=dict)

    def step(self, loss: float, model: nn.Module) -> bool:
        if loss >= self.lowest:
            self.waited += 1
            return self.waited >= self.patience
        self.lowest, self.waited, self.best = loss, 0, copy.deepcopy(model.state_dict())
        return False

    def restore(self, model: nn.Module) -> None:
        model.load_state_dict(self.best)
""",
        "bytes": """
import io

class EarlyStopping:
    def __init__(self, patience):
        self.patience, self.waited, self.lowest, self.file = patience, 0, float("inf"), None

    def step(self, loss, model):
        if loss < self.lowest:
            self.file = io.BytesIO()
            torch.save(model.state_dict(), self.file)
            self.lowest, self.waited = loss, -1
        self.waited += 1
        return bool(self.waited >= self.patience)

    def restore(self, model):
        self.file.seek(0)
        model.load_state_dict(torch.load(self.file))
""",
        "a generator that waits": """
class EarlyStopping:
    def __init__(self, patience):
        self.run = self.waiting(patience)
        next(self.run)

    def waiting(self, patience):
        lowest, since, stop = math.inf, 0, None
        while True:
            loss, model = yield stop
            since += 1
            if loss < lowest:
                lowest, since = loss, 0
                self.tensors = [value.detach().clone() for value in model.state_dict().values()]
            stop = since >= patience

    def step(self, loss, model):
        return self.run.send((loss, model))

    def restore(self, model):
        with torch.no_grad():
            for value, kept in zip(model.state_dict().values(), self.tensors):
                value.copy_(kept)
""",
    },
    "learning_rate_schedule": {
        "a lambda": "learning_rate_schedule = lambda step, steps, warmup: (step + 1) / warmup"
        " if step < warmup else (1 + math.cos(math.pi * (step - warmup) / (steps - warmup))) / 2",
        "NumPy": """
def learning_rate_schedule(step, steps, warmup):
    up = (step + 1) / max(warmup, 1)
    part = (step - warmup) / (steps - warmup)
    return np.where(step < warmup, up, (1 + np.cos(np.pi * part)) / 2)[()]
""",
        "a squared cosine": """
def learning_rate_schedule(step: int, steps: int, warmup: int) -> float:
    if step + 1 <= warmup:
        return (step + 1) * warmup**-1
    return math.cos(math.pi / 2 * (step - warmup) / (steps - warmup)) ** 2
""",
        "torch, a tensor of one number": """
def learning_rate_schedule(step, steps, warmup):
    if step < warmup:
        return (step + 1) / warmup
    part = torch.tensor((step - warmup) / (steps - warmup), dtype=torch.float64)
    return 0.5 * (1 + torch.cos(torch.pi * part))
""",
        "partial, keywords": """
def _factor(step, warmup, steps, half):
    return (1 + step) / warmup if step < warmup else half * (1 + math.cos(
        math.pi * (step - warmup) / (steps - warmup)))

def learning_rate_schedule(step, steps, warmup):
    return partial(_factor, half=0.5)(step, steps=steps, warmup=warmup)
""",
        "by hand, as fractions": "first_rate, rate_55 = 0.4 / 10, 0.4 * 1 / 2",
    },
    "sweep": {
        "itertools.product, a dictionary of the table": """
def sweep(run, grid, table):
    def key(row):
        return tuple(row.get(name) for name in grid)
    done = {key(row): row for row in reversed(training.read_table(table))}
    for values in itertools.product(*grid.values()):
        if values not in done:
            settings = dict(zip(grid, values))
            done[values] = {**settings, **run(**settings)}
            training.append_row(table, done[values])
    return [done[values] for values in itertools.product(*grid.values())]
""",
        "the table read before each run": """
def sweep(run, grid, table):
    rows = []
    for values in itertools.product(*grid.values()):
        settings = dict(zip(grid, values))
        fits = [row for row in training.read_table(table)
                if all(row.get(name) == value for name, value in settings.items())]
        if not fits:
            training.append_row(table, settings | dict(run(**settings)))
            fits = training.read_table(table)[-1:]
        rows.append(fits[0])
    return rows
""",
        "recursion": """
def sweep(run, grid, table):
    def combinations(names):
        if not names:
            yield {}
            return
        for value in grid[names[0]]:
            for rest in combinations(names[1:]):
                yield {names[0]: value, **rest}
    old, rows = training.read_table(table), []
    for settings in combinations(list(grid)):
        found = next((r for r in old if {n: r.get(n) for n in grid} == settings), None)
        if found is None:
            found = dict(settings)
            found.update(run(**settings))
            training.append_row(path=table, row=found)
        rows += [found]
    return rows
""",
        "json and open": """
import json

def sweep(run, grid, table):
    lines = Path(table).read_text().splitlines() if Path(table).exists() else []
    old, result = [json.loads(line) for line in lines], []
    for values in itertools.product(*grid.values()):
        settings = dict(zip(grid.keys(), values, strict=True))
        for row in old:
            if settings.items() <= row.items():
                break
        else:
            row = {**settings, **run(**settings)}
            with open(table, "a") as file:
                print(json.dumps(row), file=file)
        result.append(row)
    return result
""",
        "missing first, then the rows": """
def sweep(run, grid, table):
    queue = [dict(zip(grid, values)) for values in itertools.product(*grid.values())]
    def find(settings):
        return [row for row in training.read_table(table) if settings.items() <= row.items()]
    for settings in [one for one in queue if not find(one)]:
        training.append_row(table, {**settings, **run(**settings)})
    return [find(settings)[0] for settings in queue]
""",
    },
}
