"""Lab 04: what people get wrong when they split, train, measure, stop and sweep."""

from tests.mistakes import Mistake, variants

_split = variants(
    "split",
    """
def split(y, share, seed):
    {generator}
    train, held_out = [], []
    for label in {classes}:
        members = torch.nonzero({which}).flatten()
        members = members[{order}]
        cut = round(share * len(members))
        held_out.append({held})
        train.append({train})
    return {result}
""",
    generator="generator = torch.Generator().manual_seed(seed)",
    classes="y.unique()",
    which="y == label",
    order="torch.randperm(len(members), generator=generator)",
    held="members[:cut]",
    train="members[cut:]",
    result="torch.cat(train), torch.cat(held_out)",
)
_MASK = "torch.zeros(len(y), dtype=torch.bool).index_fill(0, torch.cat({}), True)"
_PLACES = "torch.randperm(len(members), generator=generator)"
_SPLIT = [
    _split(
        "places, not indices",
        0.65,
        "places within a class",
        held=f"{_PLACES}[:cut]",
        train=f"{_PLACES}[cut:]",
    ),
    _split("validation in training", 1.0, "a leak", train="members"),
    _split("some in both", 1.0, "a leak", train="members[cut - 1 :]"),
    _split(
        "rounded twice",
        1.0,
        "cut once",
        train="members[len(members) - int(len(members) * (1 - share) - 0.6) :]",
    ),
    _split("not stratified", 1.15, "no stratified split", classes="[0]", which="y == y"),
    _split("ten classes", 0.65, "Whole classes are missing", classes="range(10)"),
    _split(
        "as many of each class",
        1.15,
        "the share of its own examples",
        held="members[: (k := round(share * len(y) / 4))]",
        train="members[k:]",
    ),
    _split("swapped", 1.15, "The two are swapped", result="torch.cat(held_out), torch.cat(train)"),
    _split("not shuffled", 1.15, "stored in order", order="torch.arange(len(members))"),
    _split(
        "global seed",
        1.15,
        "Make a generator of your own",
        generator="torch.manual_seed(seed); generator = None",
    ),
    _split("no seed", 1.15, "The seed is not used", generator="generator = torch.Generator()"),
    _split(
        "another each time",
        1.15,
        "The same seed gives two different splits",
        generator="generator = torch.Generator(); generator.seed()",
    ),
    _split(
        "masks",
        0.3,
        "That is a mask",
        result=f"{_MASK.format('train')}, {_MASK.format('held_out')}",
    ),
    _split(
        "lists", 0.3, "A list", result="torch.cat(train).tolist(), torch.cat(held_out).tolist()"
    ),
    _split("labels", 0.3, "not y[members]", held="y[members[:cut]]", train="y[members[cut:]]"),
    _split(
        "not flattened",
        0.3,
        "flatten() makes one row",
        result="torch.cat(train)[:, None], torch.cat(held_out)[:, None]",
    ),
    _split(
        "scikit-learn's",
        0.0,
        "this exercise does without",
        generator="from sklearn.model_selection import train_test_split",
        result="map(torch.tensor, train_test_split(np.arange(len(y)), stratify=y))",
        order="torch.arange(len(members))",
    ),
    Mistake("split", "shuffling leaks", 1.2, "no pixel of one", 'leak = "b"'),
    Mistake("split", "looking leaks", 1.2, "does not change the weights", 'leak = "c"'),
]

_epoch = variants(
    "train_one_epoch",
    """
def train_one_epoch(model, optimizer, X, y, batch_size, generator):
    {mode}
    total, count = 0.0, 0
    {before}
    order = {order}
    for start in range({starts}):
        batch = {batch}
        scores = model(X[batch]){activation}
        loss = F.cross_entropy(scores, {labels}{more})
        {steps}
        total = total + {loss}
        count += 1
    return {result}
""",
    mode="model.train()",
    before="",
    order="torch.randperm(len(X), generator=generator)",
    starts="0, len(X), batch_size",
    batch="order[start : start + batch_size]",
    activation="",
    labels="y[batch]",
    more="",
    steps="optimizer.zero_grad(); loss.backward(); optimizer.step()",
    loss="loss.item() * len(batch)",
    result="total / len(X)",
)
_EPOCH = [
    _epoch(
        "batches shuffled",
        1.6,
        "Shuffle the examples, then cut",
        before="parts = torch.arange(len(X)).split(batch_size)",
        order="[parts[i] for i in torch.randperm(len(parts), generator=generator)]",
        starts="len(order)",
        batch="order[start]",
    ),
    _epoch("training on top only", 1.8, "in evaluation mode", mode="model.training = True"),
    _epoch(
        "no zero_grad",
        1.3,
        "The gradients of all batches pile up",
        steps="loss.backward(); optimizer.step()",
    ),
    _epoch(
        "zero_grad once an epoch",
        1.3,
        "clear them for each batch",
        before="optimizer.zero_grad()",
        steps="loss.backward(); optimizer.step()",
    ),
    _epoch(
        "zero_grad before step",
        1.3,
        "not between backward and step",
        steps="loss.backward(); optimizer.zero_grad(); optimizer.step()",
    ),
    _epoch(
        "no step", 1.3, "Is there optimizer.step()", steps="optimizer.zero_grad(); loss.backward()"
    ),
    _epoch(
        "step before backward",
        1.3,
        "the gradient of the batch before",
        steps="optimizer.step(); optimizer.zero_grad(); loss.backward()",
    ),
    _epoch(
        "labels not shuffled",
        1.3,
        "index y with the batch",
        labels="y[start : start + batch_size]",
        loss="F.cross_entropy(scores, y[batch]).item() * len(batch)",
    ),
    _epoch("sum", 1.3, "the gradient of the sum", more=', reduction="sum"', loss="loss.item()"),
    _epoch("softmax before", 1.0, "which has one inside", activation=".softmax(1)"),
    _epoch(
        "X shuffled alone", 1.0, "index y with the batch", labels="y[start : start + batch_size]"
    ),
    _epoch("evaluation mode", 1.8, "Without model.train()", mode=""),
    _epoch(
        "last batch dropped",
        1.3,
        "never learnt from",
        starts="0, len(X) - batch_size + 1, batch_size",
    ),
    _epoch("not shuffled", 1.6, "Shuffle", order="torch.arange(len(X))"),
    _epoch(
        "global generator", 1.6, "Draw the order from the argument", order="torch.randperm(len(X))"
    ),
    _epoch(
        "global seed",
        1.6,
        "The second epoch must go on",
        order="(torch.manual_seed(0), torch.randperm(len(X)))[1]",
    ),
    _epoch(
        "with replacement",
        1.6,
        "others never",
        order="torch.randint(len(X), (len(X),), generator=generator)",
    ),
    _epoch(
        "mean of means",
        1.7,
        "the mean of the batches' means",
        loss="loss.item()",
        result="total / count",
    ),
    _epoch(
        "times batch_size", 1.7, "but the last batch is shorter", loss="loss.item() * batch_size"
    ),
    _epoch(
        "number of batches",
        1.6,
        "taken for the number of batches",
        before="batch_size = -(-len(X) // batch_size)",
    ),
    _epoch(
        "measured afterwards",
        1.7,
        "after the last step",
        result="F.cross_entropy(model(X), y).item()",
    ),
    _epoch("last loss", 1.7, "the last batch's loss alone", result="loss.item()"),
    _epoch("graph kept", 1.7, "keeps the graph of every batch", loss="loss * len(batch)"),
    _epoch("nothing returned", 1.7, "is a return missing", result="None"),
]

_evaluate = variants(
    "evaluate",
    """
def evaluate(model, X, y, batch_size):
    mode = model.training
    {mode}
    loss, right, count = 0.0, 0.0, 0
    with {context}:
        for batch, labels in zip(X.split({size}), y.split({size})):
            {skip}
            scores = model(batch){activation}
            loss += {loss}
            right += {right}
            count += 1
    {after}
    return {result}
""",
    mode="model.eval()",
    context="torch.no_grad()",
    size="batch_size",
    skip="",
    activation="",
    loss='F.cross_entropy(scores, labels, reduction="sum").item()',
    right="(scores.argmax(dim=1) == labels).sum().item()",
    after="model.train(mode)",
    result="loss / len(X), right / len(X)",
)
_MEANS = {
    "loss": "F.cross_entropy(scores, labels).item()",
    "right": "(scores.argmax(dim=1) == labels).float().mean().item()",
}
_EVALUATE = [
    _evaluate("eval forgotten", 1.2, "The model was in training mode", mode="pass"),
    _evaluate("mode set on top only", 1.3, "the layers inside", after="model.training = mode"),
    _evaluate(
        "eval on top only", 1.2, "The model was in training mode", mode="model.training = False"
    ),
    _evaluate(
        "mean of means",
        0.6,
        "the mean of the batches' means",
        **_MEANS,
        result="loss / count, right / count",
    ),
    _evaluate(
        "loss a mean of means",
        0.6,
        "The loss is the mean of the batches'",
        loss=_MEANS["loss"],
        result="loss / count, right / len(X)",
    ),
    _evaluate("means over N", 0.6, "multiply each by its batch's size", loss=_MEANS["loss"]),
    _evaluate(
        "gradient kept", 1.3, "Each batch then keeps its graph", context="torch.enable_grad()"
    ),
    _evaluate("left in evaluation", 1.3, "would do so without dropout", after="pass"),
    _evaluate("always to training", 1.3, "may have been in evaluation", after="model.train()"),
    _evaluate("all at once", 1.3, "does not fit into a GPU", size="len(X)"),
    _evaluate(
        "off for good",
        1.3,
        "holds until someone sets it back",
        mode="model.eval(); torch.set_grad_enabled(False)",
        context="torch.autograd.profiler.record_function('')",
    ),
    _evaluate("softmax before", 0.6, "which has one inside", activation=".softmax(1)"),
    _evaluate("sums", 0.6, "Both are sums", result="loss, right"),
    _evaluate("bits", 0.6, "in bits", result="loss / len(X) / math.log(2), right / len(X)"),
    Mistake(
        "evaluate",
        "the course's",
        0.0,
        "this exercise does without",
        "def evaluate(*arguments): return tuple(training.evaluate(*arguments))",
    ),
    _evaluate("count", 0.6, "The accuracy is the number right", result="loss / len(X), right"),
    _evaluate("per cent", 0.6, "a share from 0 to 1", result="loss / len(X), 100 * right / len(X)"),
    _evaluate("sum", 0.6, "The loss is the sum", result="loss, right / len(X)"),
    _evaluate(
        "swapped", 0.6, "The order is (loss, accuracy)", result="right / len(X), loss / len(X)"
    ),
    _evaluate(
        "last dropped",
        0.4,
        "The last, shorter batch is missing, but counted",
        skip="if len(batch) < batch_size: continue",
    ),
]

_CURVES = [
    Mistake("read_loss_curves", name, score, says, code)
    for name, score, says, code in (
        ("a too small", 1.3, "has not had its time", 'curve_a = "underfitting"'),
        ("a too high", 1.3, "This one creeps", 'curve_a = "rate too high"'),
        ("b healthy", 1.3, "Look where the validation loss goes", 'curve_b = "healthy"'),
        ("c healthy", 1.3, "never be harder", 'curve_c = "healthy"'),
        ("d overfitting", 1.3, "Here it jumps, too", 'curve_d = "overfitting"'),
        ("e overfitting", 1.3, "A small gap is usual", 'curve_e = "overfitting"'),
        ("f too low", 1.3, "more epochs will not help", 'curve_f = "rate too low"'),
        (
            "two not filled in",
            0.9,
            "Here it jumps",
            'curve_a = curve_c = None; curve_d = "overfitting"',
        ),
        ("last epoch", 1.2, "Which of the two tells", "keep_epoch = 20"),
        ("late", 1.2, "has risen by then", "keep_epoch = 10"),
        ("early", 1.2, "still falls after that epoch", "keep_epoch = 2"),
    )
]

_stopping = variants(
    "early_stopping",
    """
class EarlyStopping:
    def __init__(self, patience):
        self.patience, self.waited, self.lowest, self.best = patience, 0, {lowest}, {{}}

    def step(self, loss, model):
        self.waited += 1
        if loss {better} self.lowest:
            {note}
            {keep}
        {always}
        return {stop}

    def restore(self, model):
        {restore}
""",
    lowest="float('inf')",
    better="<",
    note="self.lowest, self.waited = loss, 0",
    keep="self.best = copy.deepcopy(model.state_dict())",
    always="",
    stop="self.waited >= self.patience",
    restore="model.load_state_dict(self.best)",
)
_PARAMETERS = "self.best = [p.detach().clone() for p in model.parameters()]"
_PUT_BACK = "[p.data.copy_(best) for p, best in zip(model.parameters(), self.best)]"
_STOPPING = [
    _stopping(
        "no copy", 0.75, "holds the model's own tensors", keep="self.best = model.state_dict()"
    ),
    _stopping(
        "shallow copy", 0.75, "so does a shallow copy", keep="self.best = dict(model.state_dict())"
    ),
    _stopping(
        "the model itself",
        0.75,
        "changed along with",
        keep="self.model = model",
        restore="model.load_state_dict(self.model.state_dict())",
    ),
    _stopping(
        "parameters only", 1.05, "buffers, not parameters", keep=_PARAMETERS, restore=_PUT_BACK
    ),
    _stopping(
        "the last weights",
        0.75,
        "make the copy only when",
        always="self.best = copy.deepcopy(model.state_dict())",
    ),
    _stopping("nothing put back", 0.75, "restore does nothing", restore="return self.best"),
    _stopping("one epoch late", 0.75, "one epoch late", stop="self.waited > self.patience"),
    _stopping("with a margin", 0.25, "without a margin", better="< -0.001 +"),
    _stopping("count not begun again", 0.75, "the count at 0 again", note="self.lowest = loss"),
    _stopping("lowest from 1", 0.25, "begin with math.inf", lowest="1.0"),
    _stopping(
        "None instead of False",
        0.75,
        "one of its ways",
        stop="self.waited >= self.patience or None",
    ),
    _stopping("the loss before", 0.25, "that of the epoch before", always="self.lowest = loss"),
    _stopping(
        "counted in all",
        0.75,
        "have to come in a row",
        note="self.lowest, self.waited = loss, self.waited - 1",
    ),
    _stopping("ties", 0.25, "only equals the lowest", better="<="),
    Mistake("early_stopping", "waits for 6", 1.0, "would have been better", "stops_after = 6"),
    Mistake("early_stopping", "one early", 1.0, "one more", "stops_after = 4"),
]

_schedule = variants(
    "learning_rate_schedule",
    """
def learning_rate_schedule(step, steps, warmup):
    {first}
    if step {early} warmup:
        return {rise}
    part = {part}
    return {fall}
""",
    first="",
    early="<",
    rise="(step + 1) / warmup",
    part="(step - warmup) / (steps - warmup)",
    fall="0.5 * (1 + math.cos(math.pi * part))",
)
_SCHEDULE = [
    _schedule("up to w", 0.4, "s < w, not s ≤ w", early="<="),
    _schedule("first step wasted", 0.55, "moves nothing", rise="step / warmup"),
    _schedule("divided by w + 1", 0.55, "The rise ends below 1", rise="(step + 1) / (warmup + 1)"),
    _schedule(
        "off by one",
        0.4,
        "The factor is 0 in the last step already",
        part="(step - warmup) / (steps - warmup - 1)",
    ),
    _schedule("from step 0", 0.5, "is counted from step 0", part="step / steps"),
    _schedule("S below", 0.5, "the fall ends above 0", part="(step - warmup) / steps"),
    _schedule(
        "one step ahead", 0.4, "one step ahead", part="(step - warmup + 1) / (steps - warmup)"
    ),
    _schedule("to −1", 0.4, "half of (1 + cosine)", fall="math.cos(math.pi * part)"),
    _schedule("to 2", 0.4, "The ½ is missing", fall="1 + math.cos(math.pi * part)"),
    _schedule("whole cosine", 0.4, "π and not 2π", fall="0.5 * (1 + math.cos(2 * math.pi * part))"),
    _schedule("degrees", 0.4, "radians", fall="0.5 * (1 + math.cos(180 * part))"),
    _schedule(
        "rounded", 0.4, "It is rounded", fall="round(0.5 * (1 + math.cos(math.pi * part)), 3)"
    ),
    _schedule("a quarter", 0.4, "a quarter of a cosine", fall="math.cos(math.pi * part / 2)"),
    Mistake("learning_rate_schedule", "from 0", 0.65, "would be wasted", "first_rate = 0"),
    Mistake(
        "learning_rate_schedule", "linear", 0.65, "straight line from step 0", "rate_55 = 0.18"
    ),
    _schedule(
        "one step of warm-up at least",
        0.65,
        "without it the cosine begins at s = 0",
        first="warmup = max(warmup, 1)",
    ),
    _schedule("straight", 0.4, "not a cosine", fall="1 - part"),
    Mistake("learning_rate_schedule", "factor", 0.65, "times the peak rate", "first_rate = 0.1"),
    Mistake("learning_rate_schedule", "half the way", 0.65, "times the peak rate", "rate_55 = 0.5"),
]

_sweep = variants(
    "sweep",
    """
def sweep(run, grid, table):
    old, rows = training.read_table(table), []
    {first}
    for values in {queue}:
        settings = dict(zip(grid, values))
        row = {find}
        if row is None:
            {run}
        {each}
    {last}
    return {result}
""",
    first="",
    queue="itertools.product(*grid.values())",
    find="next((row for row in old if settings.items() <= row.items()), None)",
    run="row = settings | run(**settings); training.append_row(table, row)",
    each="rows.append(row)",
    last="",
    result="rows",
)
_SWEEP = [
    _sweep("zip", 0.2, "zip pairs the values up", queue="zip(*grid.values())"),
    _sweep(
        "other order",
        0.95,
        "The first setting changes fastest",
        queue="((a, b) for b in list(grid.values())[1] for a in list(grid.values())[0])",
    ),
    _sweep(
        "table at the end",
        1.2,
        "An interrupt now would lose them",
        run="row = settings | run(**settings)",
        last="[training.append_row(table, row) for row in rows if row not in old]",
    ),
    _sweep(
        "two settings",
        1.1,
        "any number of settings",
        first="first, second = grid.values()",
        queue="itertools.product(first, second)",
    ),
    _sweep(
        "one setting compared",
        0.9,
        "agrees with it in every setting",
        find="next((row for row in old if settings.items() & row.items()), None)",
    ),
    _sweep(
        "rows that lack a setting",
        1.35,
        "row.get(name) asks without failing",
        find="next((row for row in old if all(row[n] == v for n, v in settings.items())), None)",
    ),
    _sweep(
        "table written anew",
        1.35,
        "Rows that the table held are gone",
        run="row = settings | run(**settings); Path(table).unlink(missing_ok=True)",
        each="rows.append(row); Path(table).unlink(missing_ok=True);"
        " [training.append_row(table, row) for row in rows]",
    ),
    _sweep("nothing skipped", 1.05, "Skip a run whose settings", find="None"),
    _sweep(
        "whole row compared",
        1.05,
        "since a row has results, too",
        find="settings if settings in old else None",
    ),
    _sweep(
        "by number",
        1.2,
        "not told by their place",
        find="old[len(rows)] if len(rows) < len(old) else None",
    ),
    _sweep(
        "noted before it ran",
        0.9,
        "once it has ended",
        run="training.append_row(table, settings); row = settings | run(**settings)",
        last="[training.append_row(table, row) for row in rows]",
    ),
    _sweep(
        "new rows only", 1.35, "Only the new rows", each="rows += [row] if row not in old else []"
    ),
    _sweep(
        "results only",
        1.35,
        "a row has the settings, too",
        result='[{"score": row["score"]} for row in rows]',
    ),
    _sweep("the table's order", 1.35, "in the table's order", result="training.read_table(table)"),
    _sweep("nothing returned", 1.35, "is a return missing", result="None"),
    Mistake(
        "sweep",
        "the course's",
        0.0,
        "this exercise does without",
        "def sweep(run, grid, table): return training.sweep(run, grid, table)",
    ),
    Mistake("sweep", "smaller", 1.3, "fewer and surer steps", 'rate_for_large_batches = "smaller"'),
    Mistake("sweep", "same", 1.3, "where is the best of each", 'rate_for_large_batches = "same"'),
]

MISTAKES = [
    *_SPLIT,
    *_EPOCH,
    *_EVALUATE,
    *_CURVES,
    *_STOPPING,
    *_SCHEDULE,
    *_SWEEP,
]
