"""Lab 19: right answers in other styles."""

_IOU = """
def box_iou(a, b):
    {}
"""
_HEADS = """
class Heads(nn.Module):
    def __init__(self, channels, anchors, classes):
        super().__init__()
        self.k = classes + 1
        {}
"""
_LOSS = """
def detection_loss(scores, offsets, classes, targets, ratio=3):
    {}
"""
_NMS = """
def nms(boxes, scores, labels, threshold):
    {}
"""
_AREA = """
def average_precision(right, objects):
    {}
"""
_CUT = """
def rejection_threshold(scores, objects, recall):
    {}
"""

STYLES = {
    "box_iou": {
        "edge by edge": _IOU.format("""left = torch.max(a[:, None, 0], b[None, :, 0])
    top = torch.max(a[:, None, 1], b[None, :, 1])
    right = torch.min(a[:, None, 2], b[None, :, 2])
    bottom = torch.min(a[:, None, 3], b[None, :, 3])
    both = F.relu(right - left) * F.relu(bottom - top)
    size = lambda one: (one[:, 2] - one[:, 0]) * (one[:, 3] - one[:, 1])
    union = size(a).unsqueeze(1) + size(b).unsqueeze(0) - both
    return torch.where(union > 0, both / union, 0.0)"""),
        "two loops": _IOU.format("""table = torch.zeros(len(a), len(b), dtype=a.dtype)
    for i, (l, t, r, d) in enumerate(a.tolist()):
        for j, (L, T, R, D) in enumerate(b.tolist()):
            w, h = min(r, R) - max(l, L), min(d, D) - max(t, T)
            both = w * h if w > 0 and h > 0 else 0.0
            union = (r - l) * (d - t) + (R - L) * (D - T) - both
            table[i, j] = both / union if union else 0
    return table"""),
        "nan_to_num": _IOU.format("""low = torch.maximum(a[:, None], b)
    high = torch.minimum(a[:, None], b)
    w, h = (high[..., 2] - low[..., 0]).clamp_min(0), (high[..., 3] - low[..., 1]).clamp_min(0)
    area = lambda one: (one[:, 2:] - one[:, :2]).prod(1)
    return (w * h / (area(a)[:, None] + area(b) - w * h)).nan_to_num(0)"""),
        "a small number in the union": _IOU.format("""inner = torch.clip(
        torch.minimum(a[:, None, 2:], b[:, 2:]) - torch.maximum(a[:, None, :2], b[:, :2]), 0)
    inner = inner[..., 0] * inner[..., 1]
    wa, ha = (a[:, 2] - a[:, 0]), (a[:, 3] - a[:, 1])
    wb, hb = (b[:, 2] - b[:, 0]), (b[:, 3] - b[:, 1])
    return inner / ((wa * ha)[:, None] + wb * hb - inner + 1e-9)"""),
        "NumPy": _IOU.format("""import numpy as np
    x, y = a.numpy()[:, None], b.numpy()[None]
    both = np.clip(np.minimum(x[..., 2:], y[..., 2:]) - np.maximum(x[..., :2], y[..., :2]), 0, None)
    both = both.prod(-1)
    union = (x[..., 2:] - x[..., :2]).prod(-1) + (y[..., 2:] - y[..., :2]).prod(-1) - both
    return torch.from_numpy(np.divide(both, union, out=np.zeros_like(both), where=union > 0))"""),
    },
    "box_coding": {
        "four columns": """
def _parts(b):
    l, t, r, d = b.unbind(1)
    return (l + r) / 2, (t + d) / 2, r - l, d - t

def encode_boxes(boxes, anchors):
    (x, y, w, h), (xa, ya, wa, ha) = _parts(boxes), _parts(anchors)
    return torch.stack([(x - xa) / wa, (y - ya) / ha, torch.log(w / wa), torch.log(h / ha)], dim=1)

def decode_boxes(offsets, anchors):
    xa, ya, wa, ha = _parts(anchors)
    tx, ty, tw, th = offsets.T
    x, y, w, h = xa + tx * wa, ya + ty * ha, wa * tw.exp(), ha * th.exp()
    return torch.stack((x - w / 2, y - h / 2, x + w / 2, y + h / 2), 1)
""",
        "difference of logarithms": """
def encode_boxes(boxes, anchors):
    s, sa = boxes[:, 2:] - boxes[:, :2], anchors[:, 2:] - anchors[:, :2]
    c, ca = boxes[:, :2] + 0.5 * s, anchors[:, :2] + 0.5 * sa
    return torch.hstack([(c - ca) / sa, s.log() - sa.log()])

def decode_boxes(offsets, anchors):
    sa = anchors[:, 2:] - anchors[:, :2]
    s = torch.exp(offsets[:, 2:] + sa.log())
    corner = anchors[:, :2] + sa / 2 + offsets[:, :2] * sa - s / 2
    return torch.hstack([corner, corner + s])
""",
        "row by row": """
def encode_boxes(boxes, anchors):
    out = torch.empty_like(boxes)
    for n, (b, a) in enumerate(zip(boxes.tolist(), anchors.tolist())):
        wa, ha = a[2] - a[0], a[3] - a[1]
        out[n, 0] = ((b[0] + b[2]) / 2 - (a[0] + a[2]) / 2) / wa
        out[n, 1] = ((b[1] + b[3]) / 2 - (a[1] + a[3]) / 2) / ha
        out[n, 2], out[n, 3] = math.log((b[2] - b[0]) / wa), math.log((b[3] - b[1]) / ha)
    return out

def decode_boxes(offsets, anchors):
    out = torch.zeros(len(offsets), 4, dtype=offsets.dtype)
    for n in range(len(offsets)):
        a, t = anchors[n], offsets[n]
        w, h = a[2] - a[0], a[3] - a[1]
        x, y = a[0] + w / 2 + t[0] * w, a[1] + h / 2 + t[1] * h
        w, h = w * t[2].exp(), h * t[3].exp()
        out[n] = torch.stack([x - w / 2, y - h / 2, x + w / 2, y + h / 2])
    return out
""",
        "a matrix": """
TO = torch.tensor([[0.5, 0, 0.5, 0], [0, 0.5, 0, 0.5], [-1, 0, 1, 0], [0, -1, 0, 1]]).double()

def encode_boxes(boxes, anchors):
    b, a = boxes.double() @ TO.T, anchors.double() @ TO.T
    b[:, :2] = (b[:, :2] - a[:, :2]) / a[:, 2:]
    b[:, 2:] = (b[:, 2:] / a[:, 2:]).log()
    return b.to(boxes.dtype)

def decode_boxes(offsets, anchors):
    a = anchors.double() @ TO.T
    made = torch.cat([a[:, :2] + a[:, 2:] * offsets[:, :2], a[:, 2:] * offsets[:, 2:].exp()], 1)
    return (made @ torch.linalg.inv(TO).T).to(offsets.dtype)
""",
        "log1p": """
def encode_boxes(boxes, anchors):
    sa = anchors[:, 2:] - anchors[:, :2]
    grow = (boxes[:, 2:] - boxes[:, :2] - sa) / sa
    centre = ((boxes - anchors)[:, :2] + (boxes - anchors)[:, 2:]) / 2
    return torch.cat((centre / sa, torch.log1p(grow)), -1)

def decode_boxes(offsets, anchors):
    sa = anchors[:, 2:] - anchors[:, :2]
    shift, grow = offsets[:, :2] * sa, torch.expm1(offsets[:, 2:]) * sa / 2
    return anchors + torch.cat([shift - grow, shift + grow], dim=-1)
""",
    },
    "match_anchors": {
        "sorted pairs": """
def match_anchors(iou, high=0.5, low=0.4):
    rows, columns = iou.shape
    match = [-1] * rows
    for a in range(rows):
        row = iou[a].tolist()
        if row:
            best = max(row)
            match[a] = row.index(best) if best >= high else -2 if best >= low else -1
    pairs = [(-float(iou[a, m]), a, m) for a in range(rows) for m in range(columns)]
    anchors, objects = set(), set()
    for value, a, m in sorted(pairs):
        if value < 0 and a not in anchors and m not in objects:
            match[a] = m
            anchors.add(a)
            objects.add(m)
    return torch.tensor(match, dtype=torch.int64)
""",
        "where": """
def match_anchors(iou, high=0.5, low=0.4):
    A, M = iou.shape
    padded = torch.cat([iou, torch.full((A, 1), -1.0, dtype=iou.dtype)], dim=1)
    best, place = padded.max(1)
    match = torch.where(best >= high, place, torch.where(best >= low, -2, -1))
    free = iou.clone()
    while free.numel() and free.max() > 0:
        at = int(free.argmax())
        match[at // M] = at % M
        free[at // M, :] = -1
        free[:, at % M] = -1
    return match
""",
        "infinity": """
def match_anchors(iou, high=0.5, low=0.4):
    match = torch.full((iou.size(0),), -1)
    if not iou.size(1):
        return match
    values, owners = torch.max(iou, 1)
    match.masked_fill_((values >= low) & (values < high), -2)
    match = torch.where(values >= high, owners, match)
    work = torch.where(iou > 0, iou, -math.inf)
    for _ in range(iou.size(1)):
        a, m = torch.unravel_index(work.argmax(), work.shape)
        if torch.isinf(work[a, m]):
            break
        match[a] = m
        work[a] = work[:, m] = -math.inf
    return match
""",
        "NumPy": """
def match_anchors(iou, high=0.5, low=0.4):
    import numpy as np
    table = iou.numpy().copy()
    match = np.full(len(table), -1, dtype=np.int64)
    if table.shape[1] == 0:
        return torch.from_numpy(match)
    best = table.max(axis=1)
    match[best >= low] = -2
    match[best >= high] = table.argmax(axis=1)[best >= high]
    while (table > 0).any():
        a, m = np.unravel_index(table.argmax(), table.shape)
        match[a] = m
        table[a], table[:, m] = 0, 0
    return torch.from_numpy(match)
""",
        "objects that wait": """
def match_anchors(iou, high=0.5, low=0.4):
    table = iou.tolist()
    match = []
    for row in table:
        top = max(row, default=0.0)
        match.append(row.index(top) if row and top >= high else (-2 if row and top >= low else -1))
    waiting, free = set(range(iou.shape[1])), set(range(len(table)))
    while waiting and free:
        a, m = min(((a, m) for a in free for m in waiting), key=lambda p: (-table[p[0]][p[1]], p))
        if table[a][m] <= 0:
            break
        match[a] = m
        waiting.discard(m)
        free.discard(a)
    return torch.tensor(match, dtype=torch.long)
""",
    },
    "Heads": {
        "movedim and flatten": _HEADS.format("""wide = anchors * self.k
        self.scores = nn.Conv2d(channels, wide, kernel_size=3, padding=1)
        self.offsets = nn.Conv2d(channels, 4 * anchors, kernel_size=3, padding="same")

    def forward(self, x):
        rows = lambda y, k: y.movedim(1, -1).flatten(1).unflatten(1, (-1, k))
        return rows(self.scores(x), self.k), rows(self.offsets(x), 4)"""),
        "axes named": _HEADS.format("""self.a = anchors
        self.scores = nn.Conv2d(channels, anchors * self.k, 3, padding=1)
        self.offsets = nn.Conv2d(channels, anchors * 4, 3, padding=1)

    def forward(self, x):
        out = []
        for head, k in ((self.scores, self.k), (self.offsets, 4)):
            y = head(x)
            N, _, H, W = y.shape
            y = y.view(N, self.a, k, H, W).permute(0, 3, 4, 1, 2)
            out.append(y.reshape(N, H * W * self.a, k))
        return tuple(out)"""),
        "flatten, then transpose": _HEADS.format("""wide = anchors * self.k
        self.scores = nn.Conv2d(channels, wide, (3, 3), 1, 1)
        self.offsets = nn.Conv2d(channels, anchors * 4, (3, 3), 1, 1)

    def forward(self, x):
        s = self.scores(x).flatten(2).transpose(1, 2)
        o = self.offsets(x).flatten(2).mT
        return s.reshape(len(x), -1, self.k), o.reshape(len(x), -1, 4)"""),
        "einsum": _HEADS.format("""self.scores = nn.Conv2d(channels, self.k * anchors, 3, padding=1)
        self.offsets = nn.Conv2d(channels, 4 * anchors, 3, padding=1)

    def forward(self, x):
        s, o = (torch.einsum("nchw->nhwc", head(x)) for head in (self.scores, self.offsets))
        return [s.reshape(x.shape[0], -1, self.k), o.reshape(x.shape[0], -1, 4)]"""),
        "a dict of heads": """
class Heads(nn.Module):
    def __init__(self, channels, anchors, classes):
        super().__init__()
        self.per_anchor = {"scores": classes + 1, "offsets": 4}
        for name, k in self.per_anchor.items():
            self.add_module(name, nn.Conv2d(channels, anchors * k, 3, padding=1))

    def forward(self, features):
        return tuple(
            torch.stack([
                one.permute(1, 2, 0).reshape(-1, k) for one in getattr(self, name)(features)
            ])
            for name, k in self.per_anchor.items()
        )
""",
    },
    "detection_loss": {
        "logarithms by hand": _LOSS.format("""log_p = scores.log_softmax(1)
    objects = (classes > 0).nonzero()[:, 0]
    empty = (classes == 0).nonzero()[:, 0]
    P = max(len(objects), 1)
    own = -log_p[objects, classes[objects]].sum()
    hardest = (-log_p[empty, 0]).sort(descending=True)[0][: ratio * P].sum()
    d = (offsets[objects] - targets[objects]).abs()
    box = torch.where(d < 1, d * d / 2, d - 0.5).sum()
    return (own + hardest) / P, box / P"""),
        "a mask": _LOSS.format("""objects = classes.gt(0)
    P = objects.sum().clamp(min=1)
    each = F.cross_entropy(scores, classes.clamp(min=0), reduction="none")
    background = torch.where(classes == 0, each.detach(), -1.0)
    rank = background.argsort(descending=True).argsort()
    chosen = objects | ((classes == 0) & (rank < ratio * P))
    smooth = F.huber_loss(offsets, targets, reduction="none").sum(1)
    return (each * chosen).sum() / P, smooth[objects].sum() / P"""),
        "sorted": _LOSS.format("""P = max(int((classes > 0).sum()), 1)
    negative = F.cross_entropy(
        scores[classes == 0], classes[classes == 0], reduction="none").sort().values.flip(0)
    positive = F.cross_entropy(scores[classes > 0], classes[classes > 0], reduction="sum")
    boxes = F.smooth_l1_loss(offsets[classes > 0], targets[classes > 0], reduction="none")
    return (positive + negative[: P * ratio].sum()) / P, boxes.sum() / P"""),
        "nn": _LOSS.format("""keep = classes >= 0
    scores, offsets, classes, targets = scores[keep], offsets[keep], classes[keep], targets[keep]
    losses = nn.CrossEntropyLoss(reduction="none")(scores, classes)
    p = classes != 0
    number = float(max(p.sum().item(), 1))
    k = min(int(ratio * number), int((~p).sum()))
    total = torch.cat([losses[p], torch.topk(losses[~p], k)[0]]).sum()
    return total / number, nn.SmoothL1Loss(reduction="sum")(offsets[p], targets[p]) / number"""),
        "a list": _LOSS.format("""own = [(n, c) for n, c in enumerate(classes.tolist()) if c > 0]
    losses = [-scores[n].log_softmax(0)[c] for n, c in own]
    P = max(len(losses), 1)
    ground = [-scores[n].log_softmax(0)[0] for n, c in enumerate(classes.tolist()) if c == 0]
    losses += sorted(ground, key=lambda one: -float(one))[: ratio * P]
    boxes = [
        F.smooth_l1_loss(offsets[n], targets[n], reduction="sum")
        for n, c in enumerate(classes.tolist()) if c > 0
    ]
    zero = 0 * scores.sum(), 0 * offsets.sum()
    return sum(losses, zero[0]) / P, sum(boxes, zero[1]) / P"""),
    },
    "nms": {
        "a list of those kept": _NMS.format("""kept = []
    for n in sorted(range(len(scores)), key=lambda n: (-float(scores[n]), n)):
        mine = [k for k in kept if labels[k] == labels[n]]
        if not mine or float(box_iou(boxes[n : n + 1], boxes[mine]).max()) <= threshold:
            kept.append(n)
    return torch.tensor(kept, dtype=torch.long)"""),
        "one table": _NMS.format("""order = torch.sort(scores, descending=True, stable=True).indices
    table = box_iou(boxes[order], boxes[order])
    over = (table > threshold) & (labels[order][:, None] == labels[order])
    alive = torch.ones(len(order), dtype=torch.bool)
    for n in range(len(order)):
        if alive[n]:
            alive[n + 1 :] &= ~over[n, n + 1 :]
    return order[alive]"""),
        "boxes of classes apart": _NMS.format("""far = 0
    if len(boxes):
        far = boxes.max() - boxes.min() + 1
    apart = boxes + (labels.to(boxes) * far)[:, None]
    places = list(scores.argsort(descending=True, stable=True).tolist())
    kept = []
    while places:
        best = places.pop(0)
        kept.append(best)
        if places:
            iou = box_iou(apart[[best]], apart[places])[0]
            places = [place for place, one in zip(places, iou) if one <= threshold]
    return torch.as_tensor(kept, dtype=torch.int64)"""),
        "class by class": _NMS.format("""kept = torch.zeros(len(scores), dtype=torch.bool)
    for label in labels.unique():
        left = (labels == label).nonzero()[:, 0]
        left = left[scores[left].argsort(descending=True, stable=True)]
        while left.numel() > 0:
            kept[left[0]] = True
            left = left[1:][box_iou(boxes[left[:1]], boxes[left[1:]])[0] <= threshold]
    places = kept.nonzero()[:, 0]
    return places[scores[places].argsort(descending=True, stable=True)]"""),
        "argmax again and again": _NMS.format("""left, kept = scores.clone(), []
    while (left > -math.inf).any():
        best = int(left.argmax())
        kept.append(best)
        gone = (box_iou(boxes[best : best + 1], boxes)[0] > threshold) & (labels == labels[best])
        left[gone] = -math.inf
        left[best] = -math.inf
    return torch.LongTensor(kept)"""),
    },
    "average_precision": {
        "tuples": """
def true_detections(found, truth, least=0.5):
    flat = [
        (-float(s), p, n, b) for p, (boxes, scores) in enumerate(found)
        for n, (b, s) in enumerate(zip(boxes, scores))
    ]
    flat.sort(key=lambda one: one[:3])
    free = [[True] * len(one) for one in truth]
    marks = []
    for _, p, _, box in flat:
        ok = False
        if len(truth[p]):
            iou, best = box_iou(box[None], truth[p])[0].max(dim=0)
            ok = bool(iou >= least) and free[p][int(best)]
            if ok:
                free[p][int(best)] = False
        marks.append(ok)
    return torch.tensor(marks, dtype=torch.bool)
""",
        "tables first": """
def true_detections(found, truth, least=0.5):
    near = [
        box_iou(b, t).max(dim=1) if len(t) and len(b) else None for (b, _), t in zip(found, truth)
    ]
    where = [(p, n) for p, (b, _) in enumerate(found) for n in range(len(b))]
    order = torch.cat([s for _, s in found]).sort(descending=True, stable=True).indices
    marks, used = torch.zeros(len(where), dtype=torch.bool), set()
    for place, at in enumerate(order.tolist()):
        p, n = where[at]
        if near[p] is not None and near[p].values[n] >= least:
            key = p, int(near[p].indices[n])
            marks[place] = key not in used
            used.add(key)
    return marks
""",
        "a running maximum": _AREA.format("""marks, best, area = right.tolist(), 0.0, 0.0
    true = sum(marks)
    for n in range(len(marks), 0, -1):
        best = max(best, true / n)
        if marks[n - 1]:
            area += best / objects
            true -= 1
    return area"""),
        "steps of recall": _AREA.format("""true = torch.cumsum(right.float().double(), 0)
    recall = torch.cat([torch.zeros(1), true / objects, torch.ones(1)])
    precision = torch.cat([torch.zeros(1), true / (torch.arange(len(right)) + 1), torch.zeros(1)])
    for n in range(len(precision) - 1, 0, -1):
        precision[n - 1] = torch.maximum(precision[n - 1], precision[n])
    return ((recall[1:] - recall[:-1]) * precision[1:]).sum().item()"""),
        "NumPy": _AREA.format("""import numpy as np
    r = right.numpy().astype(float)
    precision = r.cumsum() / np.arange(1, len(r) + 1)
    best = np.maximum.accumulate(precision[::-1])[::-1]
    return (best * r).sum() / objects"""),
    },
    "where_to_cut": {
        "kthvalue": _CUT.format("""own = scores[objects]
    need = max(math.ceil(recall * len(own) - 1e-9), 1)
    return own.kthvalue(len(own) - need + 1).values.item()"""),
        "try each": _CUT.format("""own = scores[objects]
    for t in sorted(own.tolist(), reverse=True):
        if (own >= t).double().mean() >= recall - 1e-12:
            return t"""),
        "the best of those that do": _CUT.format("""own = scores[objects].tolist()
    share = lambda t: sum(one >= t for one in own) / len(own)
    return max(t for t in own if share(t) >= recall)"""),
        "as a fraction": "for_counting, right_count, rejected = 3 / 5, 'Both', 1 - (0.5 - 1 / 25)",
        "a tensor": _CUT.format("""own = scores[objects].sort().values
    lost = int(len(own) * (1 - recall) + 1e-9)
    return own[min(lost, len(own) - 1)]"""),
    },
}
