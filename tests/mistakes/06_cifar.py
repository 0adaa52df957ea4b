"""Lab 06: what people get wrong about declarations, batch norm, augmentation and blocks."""

from tests.mistakes import Mistake, variants

_options = variants(
    "options",
    """
def options(section, known):
    for key in section:
        {unknown}
    chosen = {{}}
    for key, usual in known.items():
        kind = usual if isinstance(usual, type) else type(usual)
        {missing}
        value = {value}
        {typed}
        chosen[key] = value
    return {result}
""",
    unknown="""if key not in known:
            raise section.error(key, "unknown")""",
    missing="""if key not in section and isinstance(usual, type):
            raise section.error(key, "missing")""",
    value="section.get(key, usual)",
    typed="""if not isinstance(value, (int, float) if kind is float else kind):
            raise section.error(key, "of a wrong type")""",
    result="chosen",
)
_WRONG_TYPE = """if not isinstance(value, (int, float) if kind is float else kind):
            raise {error}"""
_OPTIONS = [
    _options("unknown ignored", 0.75, "ignored in silence", unknown="pass"),
    _options(
        "missing not seen",
        0.8,
        "there is no default to fill in",
        missing="""
        if key not in section and isinstance(usual, type):
            continue""",
    ),
    _options("types not looked at", 0.75, "Compare the value's type", typed=""),
    _options(
        "a line too early",
        0.75,
        "Lines count from 1",
        typed=_WRONG_TYPE.format(
            error="ValueError(f'{section.file}, line {section.lines[key] - 1}, {key}')"
        ),
    ),
    _options(
        "the section's line",
        0.75,
        "another section",
        typed=_WRONG_TYPE.format(
            error="ValueError(f'{section.file}, line 3, {key}: wrong')"
        ).replace("line 3", "line {section.line - 1}"),
    ),
    _options(
        "no line",
        0.75,
        "look first or catch it",
        typed=_WRONG_TYPE.format(error="ValueError(f'{key} is wrong')"),
    ),
    _options(
        "a default of 0 is none",
        0.7,
        "whatever its default",
        unknown="""if not known.get(key):
            raise section.error(key, "unknown")""",
    ),
    _options("into the table", 0.7, "fill a new dict", result="known.update(chosen) or known"),
    _options(
        "into the section", 0.7, "fill a new dict", result="section.update(chosen) or section"
    ),
    _options(
        "any number",
        0.75,
        "Compare the value's type",
        typed="""if not isinstance(value, (int, float) if kind in (int, float) else kind):
            raise section.error(key, "of a wrong type")""",
    ),
    _options(
        "defaults not filled in",
        0.7,
        "what is not given are missing",
        result="{key: chosen[key] for key in section}",
    ),
    _options(
        "falsy replaced",
        0.7,
        "whether its value is true",
        value="section.get(key) or usual",
        typed=_WRONG_TYPE.format(error="section.error(key, 'x')"),
    ),
    _options(
        "returned, not raised",
        0.75,
        "raise what it returns",
        unknown="""if key not in known:
            return section.error(key, "unknown")""",
    ),
    _options(
        "int for float refused",
        0.75,
        "an int will do",
        typed="""if type(value) is not kind:
            raise section.error(key, "of a wrong type")""",
    ),
    _options(
        "defaults' types not looked at",
        0.75,
        "or a default's type",
        typed="""if isinstance(usual, type) and not isinstance(value, usual):
            raise section.error(key, "of a wrong type")""",
    ),
    _options(
        "default wins",
        0.45,
        "The default wins",
        value="section.get(key, usual) if isinstance(usual, type) else usual",
    ),
]

_network = variants(
    "build_network",
    """
def build_network(network):
    from collections import OrderedDict

    shape, layers = tuple(network["input"]), OrderedDict()
    for section in network["layers"]:
        kind = section.get("type")
        {unknown}
        o = {options}
        {taken}
        layer = make_layer(o, shape)
        {through}
        {keep}
    {last}
    return {result}
""",
    unknown="""if kind not in LAYERS:
            raise section.error("type", "unknown")""",
    options="""options(section, {"name": str, "type": str, **LAYERS[kind]})""",
    taken="""if o["name"] in layers:
            raise section.error("name", "taken")""",
    through="""try:
            shape = tuple(layer.eval()(torch.zeros(1, *shape)).shape[1:])
        except (RuntimeError, ValueError):
            raise section.error("type", "does not fit")
        layer.train()""",
    keep="layers[o['name']] = layer",
    last="",
    result="nn.Sequential(layers)",
)
_THROUGH = """try:
            shape = tuple({})
        except (RuntimeError, ValueError):
            raise section.error("type", "does not fit")
        layer.train()"""
_NETWORK = [
    _network(
        "numbered", 1.1, "an OrderedDict of them by name", result="nn.Sequential(*layers.values())"
    ),
    _network(
        "in training mode",
        1.3,
        "and it learnt from it",
        through="""try:
            shape = tuple(layer(torch.randn(2, *shape)).shape[1:])
        except (RuntimeError, ValueError):
            raise section.error("type", "does not fit")""",
    ),
    _network(
        "left in evaluation mode",
        1.3,
        "takes a layer back",
        last="",
        result="nn.Sequential(layers).eval()",
    ),
    _network("shape not carried", 0.8, "Carry the shape along", through=""),
    _network(
        "options not read",
        0.8,
        "does every option arrive",
        options="{**LAYERS[kind], **section, 'stride': 1}",
        through=_THROUGH.format("layer.eval()(torch.zeros(1, *shape)).shape[1:]"),
    ),
    _network(
        "unknown type left out",
        1.3,
        "Nothing was said about the last layer",
        unknown="if kind not in LAYERS: continue",
    ),
    _network("name taken twice", 1.3, "Nothing was said about the last layer", taken=""),
    _network("KeyError", 1.3, "That is Python's own error", unknown=""),
    _network(
        "error on the whole",
        1.3,
        "another section",
        unknown="""if kind not in LAYERS:
            raise network.error("layers", "unknown type")""",
    ),
    _network(
        "does not fit",
        1.3,
        "That is Python's own error",
        through="shape = tuple(layer.eval()(torch.zeros(1, *shape)).shape[1:]); layer.train()",
    ),
    _network(
        "only RuntimeError",
        1.3,
        "look first or catch it",
        through="""try:
            shape = tuple(layer.eval()(torch.zeros(1, *shape)).shape[1:])
        except RuntimeError:
            raise section.error("type", "does not fit")
        layer.train()""",
    ),
    _network(
        "only the type's keys",
        0,
        "the table that options gets",
        options="options(section, LAYERS[kind])",
    ),
    _network(
        "past options",
        1.3,
        "Let options read every layer",
        options="{**LAYERS[kind], **section}",
    ),
    _network(
        "no network",
        1.0,
        "An image does not get through",
        result="nn.ModuleDict(layers)",
    ),
    _network("a dict", 0.4, "return nn.Sequential(layers)", result="layers"),
    _network(
        "norms left out",
        0.4,
        "A layer is missing",
        keep="if kind != 'batch_norm': layers[o['name']] = layer",
    ),
]

_solver = variants(
    "build_solver",
    """
def build_solver(solver, model):
    o = {read}
    common = {common}
    if o["optimizer"] == "sgd":
        optimizer = {sgd}
    elif {adamw_if}:
        optimizer = {adamw}
    else:
        raise solver.error("optimizer", "sgd or adamw")
    {policy}

    def schedule(step, steps):
        if o["lr_policy"] == "fixed":
            return {fixed}
        t, w = {t}, {w}
        return {rate} * ({rise} if t < w else {fall})

    return {{"optimizer": optimizer, "schedule": schedule, {rest}}}
""",
    read="options(solver, SOLVERS)",
    common="""{"lr": o["base_lr"], "weight_decay": o["weight_decay"]}""",
    sgd="torch.optim.SGD(model.parameters(), momentum=o['momentum'], **common)",
    adamw_if="o['optimizer'] == 'adamw'",
    adamw="torch.optim.AdamW(model.parameters(), **common)",
    policy="""if o["lr_policy"] not in ("fixed", "one_cycle"):
        raise solver.error("lr_policy", "fixed or one_cycle")""",
    fixed="1.0",
    t="(step + 1) / (steps + 1)",
    w="o['warm_up']",
    rate="1.0",
    rise="t / w",
    fall="(1 - t) / (1 - w)",
    rest="**{key: o[key] for key in ('epochs', 'batch_size', 'seed')}",
)
_SOLVER = [
    _solver(
        "weight decay dropped",
        0.55,
        "The weight decay is dropped",
        common="{'lr': o['base_lr']}",
        adamw="torch.optim.AdamW(model.parameters(), lr=o['base_lr'], weight_decay=0.0)",
    ),
    _solver(
        "momentum dropped",
        0.7,
        "The momentum is dropped",
        sgd="torch.optim.SGD(model.parameters(), **common)",
    ),
    _solver(
        "momentum by default",
        0.7,
        "the table's default",
        sgd="torch.optim.SGD(model.parameters(), momentum=0.9, **common)",
    ),
    _solver("adam", 0.85, "That is Adam", adamw="torch.optim.Adam(model.parameters(), **common)"),
    _solver(
        "always sgd",
        0.85,
        "SGD whatever is declared",
        adamw="torch.optim.SGD(model.parameters(), momentum=0.9, **common)",
    ),
    _solver(
        "rate instead of factor", 0.7, "gives a factor", fixed="o['base_lr']", rate="o['base_lr']"
    ),
    _solver("from zero", 0.7, "the first step is lost", t="step / steps"),
    _solver("last step lost", 0.7, "The last step is lost", t="(step + 1) / steps"),
    _solver("no fall", 0.7, "It rises and then stays", fall="1.0"),
    _solver("falls from less", 0.7, "divide by 1 − w", fall="1 - t"),
    _solver("warm-up not used", 0.7, "warm_up of the text is not used", w="0.25"),
    _solver("policy not looked at", 0.85, "taken for one of them", policy=""),
    _solver("adamw or anything", 0.85, "taken for one of them", adamw_if="True"),
    _solver("steps first", 0.7, "takes step first", t="(steps + 1) / (step + 1)"),
    _solver("both ends lost", 0.7, "is lost, and the first", t="step / (steps - 1)"),
    _solver("cosine", 0.7, "the line from 1 down", fall="0.5 + 0.5 * np.cos(np.pi * (t - w))"),
    _solver(
        "nesterov",
        0.7,
        "and nothing else",
        sgd="torch.optim.SGD(model.parameters(), momentum=o['momentum'], nesterov=True, **common)",
    ),
    _solver(
        "one parameter",
        0.7,
        "all of the model's parameters",
        sgd="torch.optim.SGD([next(model.parameters())], momentum=o['momentum'], **common)",
    ),
    _solver(
        "no schedule for fixed",
        0.7,
        "for `fixed` as well",
        rest="**{key: o[key] for key in ('epochs', 'batch_size', 'seed')},"
        " **({'schedule': None} if o['lr_policy'] == 'fixed' else {})",
    ),
    _solver(
        "past options",
        0.85,
        "Let options read the text",
        common="""{"lr": solver["base_lr"], "weight_decay": solver.get("weight_decay", 0.0)}
    o = {**SOLVERS, **solver}""",
        read="solver",
    ),
    _solver(
        "everything",
        0.9,
        "the keys that the docstring lists",
        rest="'epochs': o['epochs'],"
        " 'batch_size': o['batch_size'], 'seed': o['seed'], 'warm_up': o['warm_up']",
    ),
    _solver(
        "no seed",
        0.9,
        "exactly the keys",
        rest="'epochs': o['epochs'], 'batch_size': o['batch_size']",
    ),
]

_norm = variants(
    "batch_norm",
    """
def batch_norm(x, weight, bias, running_mean, running_var, training, momentum=0.1, eps=1e-5):
    axes = {axes}
    {first}
    if {training}:
        with {grad}:
            mean, var = x.mean({axes_}, keepdim=True), {var}
        flat = x.mean((0, 2, 3)).detach(), x.var((0, 2, 3), correction={correction}).detach()
        {keep}
    else:
        mean, var = running_mean.reshape(1, -1, 1, 1), running_var.reshape(1, -1, 1, 1)
        {after}
    weight, bias = weight.reshape(1, -1, 1, 1), bias.reshape(1, -1, 1, 1)
    return {y}, {kept}
""",
    kept="running_mean, running_var",
    axes="(0, 2, 3)",
    axes_="axes",
    first="",
    training="training",
    grad="torch.enable_grad()",
    var="x.var(axes, correction=0, keepdim=True)",
    correction="1",
    keep="""running_mean = (1 - momentum) * running_mean + momentum * flat[0]
        running_var = (1 - momentum) * running_var + momentum * flat[1]""",
    after="",
    y="weight * (x - mean) / torch.sqrt(var + eps) + bias",
)
_NORM = [
    Mistake(
        "batch_norm",
        "PyTorch's",
        0,
        "uses torch.nn.functional.batch_norm",
        """
def batch_norm(x, weight, bias, running_mean, running_var, training, momentum=0.1, eps=1e-5):
    mean, var = running_mean.clone(), running_var.clone()
    y = F.batch_norm(x, mean, var, weight, bias, training, momentum, eps)
    return y, mean, var
""",
    ),
    _norm(
        "batch statistics in evaluation",
        1.7,
        "which others came along",
        after="mean, var = x.mean(axes, keepdim=True), x.var(axes, correction=0, keepdim=True)",
    ),
    _norm(
        "updated in evaluation",
        1.8,
        "goes on learning as it is",
        after="""
        running_mean = (1 - momentum) * running_mean + momentum * x.mean((0, 2, 3))
        running_var = (1 - momentum) * running_var + momentum * x.var((0, 2, 3))""",
    ),
    _norm("training ignored", 1.5, "which others came along", training="True"),
    _norm(
        "running used in training",
        1.2,
        "it is the batch's own",
        var="0",
        y="weight * (x - mean) / torch.sqrt(var + eps) + bias",
        first="old = running_mean.reshape(1, -1, 1, 1), running_var.reshape(1, -1, 1, 1)",
        keep="""running_mean = (1 - momentum) * running_mean + momentum * flat[0]
        running_var = (1 - momentum) * running_var + momentum * flat[1]
        mean, var = old""",
    ),
    _norm("unbiased to normalise", 1.2, "it is divided by n.", var="x.var(axes, keepdim=True)"),
    _norm("biased kept", 1.5, "keep the unbiased one", correction="0"),
    _norm(
        "momentum round",
        1.5,
        "the share of the new batch",
        keep="""running_mean = momentum * running_mean + (1 - momentum) * flat[0]
        running_var = momentum * running_var + (1 - momentum) * flat[1]""",
    ),
    _norm("not kept", 1.5, "are not updated", keep=""),
    _norm("replaced", 1.5, "momentum mixes the two", keep="running_mean, running_var = flat"),
    _norm(
        "images counted",
        1.5,
        "n counts all numbers",
        keep="""running_mean = (1 - momentum) * running_mean + momentum * flat[0]
        biased = x.var((0, 2, 3), correction=0).detach()
        running_var = (1 - momentum) * running_var + momentum * biased * len(x) / (len(x) - 1)""",
    ),
    _norm("variance first", 1.3, "first running_mean", kept="running_var, running_mean"),
    _norm("each image", 1.2, "Each image is normalised by itself", axes="(2, 3)"),
    _norm("each place", 1.2, "Each place in the image", axes="(0,)"),
    _norm("all channels", 1.2, "All channels share one", axes="(0, 1, 2, 3)"),
    _norm("layer norm", 1.2, "that is layer normalisation", axes="(1, 2, 3)"),
    _norm(
        "no root", 0.9, "its square root is missing", y="weight * (x - mean) / (var + eps) + bias"
    ),
    _norm(
        "eps not used",
        0.9,
        "The argument eps is not used",
        y="weight * (x - mean) / torch.sqrt(var + 1e-5) + bias",
    ),
    _norm("no eps", 0.9, "ε is missing", y="weight * (x - mean) / torch.sqrt(var) + bias"),
    _norm(
        "eps outside",
        0.9,
        "it belongs under it",
        y="weight * (x - mean) / (torch.sqrt(var) + eps) + bias",
    ),
    _norm(
        "no weight", 0.9, "The weight γ is missing", y="(x - mean) / torch.sqrt(var + eps) + bias"
    ),
    _norm("no gradient", 1.7, "goes through them, too", grad="torch.no_grad()"),
    _norm(
        "weight fixed",
        1.7,
        "γ and β are learnt",
        y="weight.detach() * (x - mean) / torch.sqrt(var + eps) + bias",
    ),
    _norm(
        "graph kept",
        1.7,
        ".detach() what is kept",
        keep="""running_mean = (1 - momentum) * running_mean + momentum * x.mean((0, 2, 3))
        running_var = (1 - momentum) * running_var + momentum * x.var((0, 2, 3))""",
    ),
    _norm(
        "in place",
        1.0,
        "changed its argument `running_mean`",
        keep="""running_mean.mul_(1 - momentum).add_(momentum * flat[0])
        running_var.mul_(1 - momentum).add_(momentum * flat[1])""",
    ),
    Mistake(
        "batch_norm", "more frogs", 1.8, "the mean is subtracted", "frogs_in_training_mode = 'more'"
    ),
    Mistake(
        "batch_norm",
        "as many frogs",
        1.8,
        "Only if the mode made no difference",
        "frogs_in_training_mode = 'same'",
    ),
]

_augment = variants(
    "augment",
    """
def augment(x, generator, padding=4):
    {first}
    n, _, h, w = x.shape
    padded = {padded}
    tops = {tops}
    lefts = {lefts}
    out = torch.stack([
        one[:, top : top + h, left : left + w] for one, top, left in zip(padded, tops, lefts)
    ])
    flipped = {flips}
    {last}
    return torch.where(flipped.reshape(-1, 1, 1, 1), out.flip({axis}), out)
""",
    first="",
    padded="F.pad(x, (padding,) * 4)",
    tops="torch.randint(2 * padding + 1, (n,), generator=generator).tolist()",
    lefts="torch.randint(2 * padding + 1, (n,), generator=generator).tolist()",
    flips="torch.rand(n, generator=generator) < 0.5",
    last="",
    axis="3",
)
_AUGMENT = [
    _augment("upside down", 0, "turned upside down", axis="2"),
    _augment(
        "batch flipped alike",
        1.1,
        "The whole batch is flipped or not",
        flips="(torch.rand(1, generator=generator) < 0.5).expand(n)",
    ),
    _augment(
        "flipped by its place",
        1.1,
        "Draw the flip by itself",
        flips="torch.tensor([(top + left) % 2 == 0 for top, left in zip(tops, lefts)])",
    ),
    _augment("always flipped", 1.1, "Every image is flipped", flips="torch.ones(n) > 0"),
    _augment("never flipped", 1.1, "No image is flipped", flips="torch.ones(n) < 0"),
    _augment(
        "one in five", 1.1, "as likely as none", flips="torch.rand(n, generator=generator) < 0.2"
    ),
    _augment(
        "every second one flipped", 1.1, "flipped in every batch", flips="torch.arange(n) % 2 == 1"
    ),
    _augment("padding of 4", 0, "The argument padding is not used", first="padding = 4"),
    _augment(
        "height for width",
        0,
        "raised RuntimeError",
        last="""
    out = torch.stack([one[:, top : top + w, left : left + h]
                       for one, top, left in zip(padded, tops, lefts)])""",
    ),
    _augment(
        "one window for all",
        1.05,
        "The whole batch has one window",
        tops="torch.randint(2 * padding + 1, (1,), generator=generator).tolist() * n",
        lefts="torch.randint(2 * padding + 1, (1,), generator=generator).tolist() * n",
    ),
    _augment(
        "upper end left out",
        1.05,
        "never reaches the far end",
        tops="torch.randint(2 * padding, (n,), generator=generator).tolist()",
        lefts="torch.randint(2 * padding, (n,), generator=generator).tolist()",
    ),
    _augment("on a diagonal", 1.05, "top and left go together", lefts="tops"),
    _augment("one direction", 1.05, "one top", tops="[padding] * n"),
    _augment(
        "padding after the crop",
        0,
        "pad first",
        last="""
    inner = []
    for one, top, left in zip(x, tops, lefts):
        inner.append(one[:, top : top + h - 2 * padding, left : left + w - 2 * padding])
    out = F.pad(torch.stack(inner), (padding,) * 4)""",
    ),
    _augment(
        "no padding",
        0,
        "pad first, then crop",
        last="""
    out = torch.stack([one[:, top : top + h - 2 * padding, left : left + w - 2 * padding]
                       for one, top, left in zip(x, tops, lefts)])""",
    ),
    _augment(
        "rolled",
        0,
        "instead of rolling",
        last="""
    out = torch.stack([torch.roll(one, (top - padding, left - padding), (1, 2))
                       for one, top, left in zip(x, tops, lefts)])""",
    ),
    _augment(
        "mirrored rim", 0, "pad with zeros", padded="F.pad(x, (padding,) * 4, mode='reflect')"
    ),
    _augment(
        "generator not used",
        1.25,
        "generator=generator",
        tops="torch.randint(2 * padding + 1, (n,)).tolist()",
        lefts="torch.randint(2 * padding + 1, (n,)).tolist()",
        flips="torch.rand(n) < 0.5",
    ),
    _augment("seeded anew", 0.85, "seeded anew", first="generator.manual_seed(0)"),
    _augment("in place", 1.1, "changed in place", first="x.mul_(1)", last="x.copy_(out)"),
]

_PARAMETERS = [
    Mistake("parameters", name, 0.75, says, code)
    for name, says, code in (
        ("conv without biases", "The biases are missing", "conv_parameters = 110_592"),
        ("biases of channels in", "one bias for each channel", "conv_parameters = 110_688"),
        ("conv of 1×1", "a kernel of 1×1", "conv_parameters = 12_416"),
        ("conv of one channel", "a kernel for every channel in", "conv_parameters = 1_280"),
        ("fire without biases", "The biases are missing", "fire_parameters = 11_776"),
        ("not squeezed", "see the 16 squeezed channels", "fire_parameters = 63_120"),
        ("one expansion", "Both expansions count", "fire_parameters = 10_832"),
        ("fc6 without biases", "one for each unit", "fc6_parameters = 37_748_736"),
        ("fc6 of channels", "flattened", "fc6_parameters = 1_052_672"),
        ("all linear layers", "all three linear layers", "fc6_parameters = 58_631_144"),
        ("fc7", "classifier.4", "fc6_parameters = 16_781_312"),
        ("convolutions", "all five convolutions", "saves_more = 'convolutions'"),
    )
]

_fire = variants(
    "Fire",
    """
class Fire(nn.Module):
    def __init__(self, inputs, squeezed, ones, threes):
        super().__init__()
        self.squeeze = {wrap}nn.Conv2d({squeeze}, 1){end}
        self.expand1x1 = nn.Conv2d({sees}, {ones}, {k1})
        self.expand3x3 = nn.Conv2d({sees3}, {threes}, {k3})

    def forward(self, x):
        {forward}
        return {result}
""",
    wrap="",
    end="",
    squeeze="inputs, squeezed",
    sees="squeezed",
    sees3="squeezed",
    ones="ones",
    threes="threes",
    k1="1",
    k3="3, padding=1",
    forward="x = F.relu(self.squeeze(x)); a, b = self.expand1x1(x), self.expand3x3(x)",
    result="torch.cat((a, b), dim=1).relu()",
)
_FIRE = [
    _fire("along the width", 0.5, "stacked side by side", result="torch.cat((a, b), dim=3).relu()"),
    _fire("along the batch", 0.5, "along the batch", result="torch.cat((a, b)).relu()"),
    _fire("other order", 0.5, "in the other order", result="torch.cat((b, a), dim=1).relu()"),
    _fire("added", 0.5, "The two results are added", result="(a + b).relu()"),
    _fire("no padding", 0.5, "needs padding for that", k3="3"),
    _fire(
        "no relu at the end",
        0.5,
        "after the expansions is missing",
        result="torch.cat((a, b), dim=1)",
    ),
    _fire(
        "no relu in the middle",
        0.5,
        "after the squeeze is missing",
        forward="x = self.squeeze(x); a, b = self.expand1x1(x), self.expand3x3(x)",
    ),
    _fire("chained", 0, "side by side", sees3="ones"),
    _fire("channels exchanged", 0.2, "channels of the two", ones="threes", threes="ones"),
    _fire("wrapped", 0.2, "with nothing round it", wrap="nn.Sequential(", end=", nn.ReLU())"),
    _fire("sees the input", 0, "what the squeeze puts out", sees="inputs", sees3="inputs"),
    _fire("kernels exchanged", 0.2, "kernels are exchanged", k1="3, padding=1", k3="1"),
    _fire("squeeze round", 0, "come first in nn.Conv2d", squeeze="squeezed, inputs"),
]

_block = variants(
    "residual_block",
    """
class ResidualBlock(nn.Module):
    def __init__(self, inputs, outputs, stride=1):
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, {stride1}, padding=1, bias={bias})
        self.norm1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, {stride2}, padding=1, bias={bias})
        self.norm2 = {norm2}
        self.shortcut = nn.Identity()
        if {projects}:
            self.shortcut = nn.Sequential({projection})

    def forward(self, x):
        {forward}
        return {result}
""",
    stride1="stride",
    stride2="1",
    norm2="nn.BatchNorm2d(outputs)",
    bias="False",
    projects="stride != 1 or inputs != outputs",
    projection="nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs)",
    forward="out = self.norm2(self.conv2(F.relu(self.norm1(self.conv1(x)))))",
    result="F.relu(out + self.shortcut(x))",
)
_BLOCK = [
    _block("no projection", 0.6, "x needs a projection", projects="False"),
    _block("only for channels", 0.6, "x needs a projection", projects="inputs != outputs"),
    _block("one norm twice", 0.25, "norm2 has no weights of its own", norm2="self.norm1"),
    _block("always projected", 0.65, "the shortcut is nn.Identity()", projects="True"),
    _block(
        "projection without norm",
        0.6,
        "needs its batch norm",
        projection="nn.Conv2d(inputs, outputs, 1, stride, bias=False)",
    ),
    _block(
        "projection of 3×3",
        0.6,
        "is a 1×1 convolution",
        projection="nn.Conv2d(inputs, outputs,"
        " 3, stride, padding=1, bias=False), nn.BatchNorm2d(outputs)",
    ),
    _block(
        "relu before the addition",
        0.25,
        "never take anything away",
        result="F.relu(out) + self.shortcut(x)",
    ),
    _block(
        "relu twice",
        0.25,
        "and once more after it",
        result="F.relu(F.relu(out) + self.shortcut(x))",
    ),
    _block(
        "no last relu", 0.25, "ReLU after the addition is missing", result="out + self.shortcut(x)"
    ),
    _block("no shortcut", 0.25, "The shortcut is not added", result="F.relu(out)"),
    _block(
        "no relu between",
        0.25,
        "between norm1 and conv2",
        forward="out = self.norm2(self.conv2(self.norm1(self.conv1(x))))",
    ),
    _block(
        "no norm2",
        0.25,
        "norm2 is missing",
        forward="out = self.conv2(F.relu(self.norm1(self.conv1(x))))",
    ),
    _block(
        "shortcut behind conv1",
        0.25,
        "begins at x",
        forward="first = F.relu(self.norm1(self.conv1(x))); out = self.norm2(self.conv2(first))",
        result="F.relu(out + first)",
    ),
    _block(
        "stride on conv2",
        0.6,
        "The stride is conv1's",
        stride1="1",
        stride2="stride",
    ),
    _block(
        "norm before",
        0.25,
        "conv1, norm1, ReLU, conv2",
        forward="out = self.norm2(F.relu(self.conv2(F.relu(self.norm1(self.conv1(x))))))",
    ),
    _block("biases", 0.25, "A bias before a batch norm does nothing", bias="True"),
    Mistake("residual_block", "zero", 0.75, "shortcut is still there", "block_at_zero = '0'"),
    Mistake("residual_block", "x", 0.75, "what is done with the sum", "block_at_zero = 'x'"),
]

MISTAKES = [
    *_OPTIONS,
    *_NETWORK,
    *_SOLVER,
    *_NORM,
    *_AUGMENT,
    *_PARAMETERS,
    *_FIRE,
    *_BLOCK,
]
