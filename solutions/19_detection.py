# %% [markdown]
# # 19 · Detection
# A classifier says *what* is in a picture. A detector says what, where, and how many times. Here you build
# one: a network with two heads, the code that tells each part of it what it is responsible for, and
# the measure by which detectors are compared. At the end it counts: blood cells where you have their
# pictures, drawn shapes otherwise.
#
# This is the kind of answer that your detector will give.

# %% tags=["parameters"]
scale = ""  # smoke, cpu, gpu or multi; empty: LAB_SCALE, else chosen by the machine

# %%
import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
import torchvision
from torch import Tensor, nn

from grading.check import checks, progress
from utils import plots, settings
from utils.data import detection
from utils.data.detection import Pictures
from utils.device import best_device
from utils.figures import detection as figures

# %%
check = checks("19_detection")
sizes = settings.choose(
    scale,
    smoke={"scenes": 1200, "epochs": 7, "held": 160, "slid": 40, "cell_epochs": 0},
    cpu={"scenes": 3000, "epochs": 12, "held": 400, "slid": 120, "cell_epochs": 50},
    gpu={"scenes": 10_000, "epochs": 40, "held": 1000, "slid": 200, "cell_epochs": 150},
)
device = best_device()
train = detection.drawn(sizes.scenes, seed=1)
held = detection.drawn(sizes.held, seed=2)
tune = detection.drawn(80, seed=3)
names = train.class_names
print(train)

# %%
fig = figures.boxed(held, range(8))
plots.show(fig, alt="Eight drawn scenes; each ring, disc and cross has a box with its class.")

# %% [markdown]
# *Boxes as they should be: solid for a ring, dashed for a disc, dotted for a cross.*
#
# **You will** write how boxes are compared, coded and given to the cells of a grid; two heads on one
# trunk, and their losses; the step that leaves one box for each object; and average precision. Then you
# choose thresholds: for counting, and for a cascade that looks at most places only once.

# %% [markdown]
# **Not in this lab:** detectors of two stages, transformers, masks.
#
# **You need** lab 06, and 165 minutes. All cells compute for about half a minute at scale `smoke`, some
# minutes at `cpu`. Data: scenes that the lab draws. At scale `cpu` and above also blood cells, where
# `LAB_DATA` has `detection/BCCD.tar.gz` (`python -m utils.data.detection` says how).

# %% [markdown]
# ## 1 · How far do two boxes agree?
# A **box** is four numbers, left, top, right and bottom, in pixels, with y downwards. They are edges: the
# box is right − left wide. Boxes come as `(N, 4)` float32.
#
# Two boxes are compared by their **intersection over union** (IoU): the area that both cover, divided by
# the area that at least one covers. It is 1 for equal boxes, 0 for boxes that do not meet, and the same
# at any zoom.
#
# **Predict:** a box of 20×20 pixels is moved to the right by 5. What is its IoU with the box where it
# was?

# %%
check.predict("the IoU after a move by a quarter", "", "0.75", "0.6", "0.5")

# %% [markdown]
# ### Exercise 1 · Intersection over union — 1.25 points, 15 minutes, ●○○
# All pairs at once: each box of `a` with each of `b`.
#
# <details><summary>Hint 1</summary>The intersection of two boxes is a box. Its left edge is the larger
# of the two left edges. And its right one?</details>
#
# <details><summary>Hint 2</summary><code>a[:, None]</code> has shape (N, 1, 4), <code>b[None]</code> (1, M,
# 4): together they broadcast to all pairs.</details>
#
# <details><summary>Hint 3</summary>Two boxes that do not meet have an "intersection" of negative width. If
# its height is negative as well, what sign has the product?</details>


# %% nbgrader={"grade_id": "box_iou_code", "solution": true}
def box_iou(a: Tensor, b: Tensor) -> Tensor:
    """Intersection over union of each box of a with each box of b: (N, M).

    a: (N, 4), b: (M, 4), float: left, top, right, bottom in pixels, right ≥ left and bottom ≥ top.
    0 for two boxes that do not meet, also where neither has an area. N or M may be 0.
    >>> box_iou(torch.tensor([[0.0, 0.0, 2.0, 2.0]]), torch.tensor([[1.0, 0.0, 3.0, 2.0]]))
    tensor([[0.3333]])
    """
    ### BEGIN SOLUTION
    low = torch.maximum(a[:, None, :2], b[None, :, :2])
    high = torch.minimum(a[:, None, 2:], b[None, :, 2:])
    both = (high - low).clamp(min=0).prod(dim=2)
    area_a, area_b = ((one[:, 2:] - one[:, :2]).prod(dim=1) for one in (a, b))
    either = area_a[:, None] + area_b - both
    return torch.where(either > 0, both / either, torch.zeros_like(both))
    ### END SOLUTION


# %% nbgrader={"grade_id": "box_iou", "grade": true, "points": 1.25}
check("box_iou")

# %%
with check.needs("box_iou"):
    box = torch.tensor([[10.0, 10.0, 30.0, 30.0]])
    moves = {d: box + torch.tensor([d, 0.0, d, 0.0]) for d in (2.0, 5.0, 10.0, 15.0)}
    agreed = {d: float(box_iou(box, moved)) for d, moved in moves.items()}
    for d, value in agreed.items():
        print(f"20×20, moved by {d:4.0f} pixels: IoU {value:.3f}")
    nearest = min(("0.75", "0.6", "0.5"), key=lambda one: abs(float(one) - agreed[5.0]))
    check.measured("the IoU after a move by a quarter", nearest)

# %% [markdown]
# A move by a quarter of the width costs four tenths of the IoU. The usual bar for "found", 0.5, is stricter
# than it sounds.

# %% [markdown]
# ## 2 · A grid of anchors
# A network puts out a fixed number of numbers; a picture holds any number of objects. The way out is
# older than this lab: in DIGITS 4 (2016) NVIDIA's DetectNet laid a **grid** over the picture, and each cell
# said whether an object is there, and where its box is.
#
# Here each cell has three **anchors**, fixed squares around its middle (Ren et al. 2015). For each anchor
# the network says a class, or **background**, and how the object's box differs from the anchor.

# %%
STRIDE = 8  # pixels from one cell to the next
SIDES = (10.0, 15.0, 22.0)  # of the anchors in a cell, in pixels


def anchors_for(height: int, width: int, sides: Sequence[float]) -> Tensor:
    """(A, 4) boxes: row by row, in a row from the left, in a cell in the order of `sides`."""
    y = (torch.arange(height // STRIDE) + 0.5) * STRIDE
    x = (torch.arange(width // STRIDE) + 0.5) * STRIDE
    y, x, half = torch.meshgrid(y, x, torch.tensor(sides) / 2, indexing="ij")
    return torch.stack([x - half, y - half, x + half, y + half], dim=-1).reshape(-1, 4)


anchors = anchors_for(detection.SIDE, detection.SIDE, SIDES)
print(f"anchors: {tuple(anchors.shape)} {anchors.dtype}")
fig = figures.grid(held, 4, anchors, len(SIDES), STRIDE)
plots.show(fig, alt="A scene under a grid of 8×8 cells; one cell with its three square anchors.")

# %% [markdown]
# *The grid of cells, and the three anchors of one of them.* How a box differs from its anchor is coded as in
# R-CNN (Girshick et al. 2014). With middles x, y, widths w and heights h, and *a* for the anchor:
#
# $$t_x = \frac{x - x_a}{w_a},\quad t_y = \frac{y - y_a}{h_a},\quad t_w = \log\frac{w}{w_a},\quad
# t_h = \log\frac{h}{h_a}$$
#
# A shift counts in widths of the anchor, so a small and a large object cost alike. A size counts by its
# logarithm: twice as wide and half as wide are equally far from 0, and no output can make a width
# negative.

# %% [markdown]
# ### Exercise 2 · Offsets — 1.25 points, 15 minutes, ●○○
# Two functions: from boxes to offsets, and back.
#
# <details><summary>Hint 1</summary>Write one line that takes corners to middles and sizes. Both
# functions begin with it.</details>
#
# <details><summary>Hint 2</summary>From the middle to the left edge is half a width.</details>


# %% nbgrader={"grade_id": "box_coding_code", "solution": true}
def encode_boxes(boxes: Tensor, anchors: Tensor) -> Tensor:
    """The offsets (tx, ty, tw, th) of each box from the anchor in the same row: (N, 4).

    boxes, anchors: (N, 4), left, top, right, bottom, of positive width and height. N may be 0.
    >>> encode_boxes(torch.tensor([[8.0, 4.0, 16.0, 12.0]]), torch.tensor([[4.0, 4.0, 12.0, 12.0]]))
    tensor([[0.5000, 0.0000, 0.0000, 0.0000]])
    """
    ### BEGIN SOLUTION
    size, anchor_size = (one[:, 2:] - one[:, :2] for one in (boxes, anchors))
    middle, anchor_middle = ((one[:, 2:] + one[:, :2]) / 2 for one in (boxes, anchors))
    shift = (middle - anchor_middle) / anchor_size
    return torch.cat([shift, torch.log(size / anchor_size)], dim=1)
    ### END SOLUTION


def decode_boxes(offsets: Tensor, anchors: Tensor) -> Tensor:
    """The boxes (N, 4), left, top, right, bottom, that have these offsets (N, 4) from the anchors.

    >>> decode_boxes(torch.tensor([[0.5, 0.0, 0.0, 0.0]]), torch.tensor([[4.0, 4.0, 12.0, 12.0]]))
    tensor([[ 8.,  4., 16., 12.]])
    """
    ### BEGIN SOLUTION
    anchor_size = anchors[:, 2:] - anchors[:, :2]
    middle = (anchors[:, 2:] + anchors[:, :2]) / 2 + offsets[:, :2] * anchor_size
    half = anchor_size * torch.exp(offsets[:, 2:]) / 2
    return torch.cat([middle - half, middle + half], dim=1)
    ### END SOLUTION


# %% nbgrader={"grade_id": "box_coding", "grade": true, "points": 1.25}
check("box_coding")

# %%
with check.needs("box_coding"):
    some = torch.from_numpy(held.boxes[4])
    near = anchors[[int(((anchors - box) ** 2).sum(dim=1).argmin()) for box in some]]
    offsets = encode_boxes(some, near)
    for row in offsets:
        print("tx {:+.2f}  ty {:+.2f}  tw {:+.2f}  th {:+.2f}".format(*row.tolist()))
    print(f"there and back: {(decode_boxes(offsets, near) - some).abs().max():.0e} pixels apart")

# %% [markdown]
# ## 3 · Who is responsible?
# To learn, each anchor must know what it should have said. The rule has two halves, as in SSD (Liu et
# al. 2016), here with a gap between two thresholds, as Faster R-CNN has it:
#
# 1. **By the anchor.** An anchor belongs to the object that it agrees with most, if their IoU is at least
#    `high`. Below `low` it is background. Between the two it is **ignored**: it is told nothing.
# 2. **By the object.** A small object between two cells may reach `high` with no anchor at all. So each object
#    is given one anchor of its own, whatever their IoU, as long as they meet.

# %% [markdown]
# The second half comes last and overrides the first.
#
# Two objects may want the same anchor, where they are close. Then the pair with the larger IoU goes first,
# and the other object takes the best of what is left:
#
# > Of all pairs of an object without an anchor of its own and an anchor that is not yet given away by this
# > rule, take the one with the largest IoU. Give that anchor to that object. Repeat until each object has one,
# > or no pair is left that meets.
#
# **Predict:** how many of a scene's 192 anchors belong to an object, on average?

# %%
shares = ("about 6", "about 25", "about 80")
check.predict("anchors that belong to an object", "", *shares)

# %% [markdown]
# ### Exercise 3 · Matching — 1.5 points, 30 minutes, ●●●
# The input is the table of IoUs that your `box_iou` makes of anchors and objects.
#
# <details><summary>Hint 1</summary><code>iou.max(dim=1)</code> gives each anchor's best object and their
# IoU. It cannot take the largest of no numbers: a picture without objects is a case of its own.</details>
#
# <details><summary>Hint 2</summary>For the second half work on a copy of the table: once a pair is taken, set
# its row and its column to something that never wins. <code>divmod(int(table.argmax()), M)</code> is the
# row and the column of the largest entry.</details>


# %% nbgrader={"grade_id": "match_anchors_code", "solution": true}
def match_anchors(iou: Tensor, high: float = 0.5, low: float = 0.4) -> Tensor:
    """What each anchor is responsible for: (A,) int64, an object's number, −1 background, −2 ignored.

    iou: (A, M) float, of each anchor with each object; M may be 0. By the rule of section 3: at least
    high belongs, below low is background; then each object gets an anchor of its own if it meets one.
    Of equal values the earlier anchor counts, then the earlier object. iou is left as it was.
    >>> match_anchors(torch.tensor([[0.7, 0.1], [0.45, 0.1], [0.1, 0.2], [0.1, 0.0]]))
    tensor([ 0, -2,  1, -1])
    """
    ### BEGIN SOLUTION
    count, objects = iou.shape
    match = torch.full((count,), -1, dtype=torch.int64, device=iou.device)
    if objects == 0:
        return match
    best, place = iou.max(dim=1)
    match[best >= low] = -2
    match[best >= high] = place[best >= high]
    left = iou.clone()
    for _ in range(min(count, objects)):
        anchor, one = divmod(int(left.argmax()), objects)
        if left[anchor, one] <= 0:
            break
        match[anchor] = one
        left[anchor], left[:, one] = -1, -1
    return match
    ### END SOLUTION


# %% nbgrader={"grade_id": "match_anchors", "grade": true, "points": 1.5}
check("match_anchors")

# %%
with check.needs("box_iou", "match_anchors"):
    matches = [match_anchors(box_iou(anchors, torch.from_numpy(one))) for one in held.boxes]
    mean = sum(int((match >= 0).sum()) for match in matches) / len(matches)
    lost = sum(int((match == -2).sum()) for match in matches) / len(matches)
    print(f"of {len(anchors)} anchors: {mean:.1f} belong to an object, {lost:.1f} are ignored")
    print(f"objects in a scene: {held.counts().sum(axis=1).mean():.1f}")
    answer = min(shares, key=lambda share: abs(int(share.split()[1]) - mean))
    check.measured("anchors that belong to an object", answer)
    fig = figures.matched(held, 4, anchors, matches[4])
    plots.show(fig, alt="Objects of a scene in thick frames, the anchors that belong to them thin.")

# %% [markdown]
# *Thick: the objects. Thin, in the same style: the anchors that are responsible for them.* Far more anchors
# see background than see an object. Section 5 has to do something about that.

# %% [markdown]
# ## 4 · A trunk and two heads
# All anchors share one network. Its **trunk** is a convolutional network like lab 06's, three halvings deep:
# a picture of 64×64 becomes a map of 8×8 cells. On it stand two **heads**, single convolutions that see the
# same features: one says classes, the other offsets. Both losses send their gradients into the trunk.
#
# A head's output has its channels first, `(N, C, H, W)`. What we want is a row for each anchor, in the order
# of `anchors_for`: cell by cell in rows, and in a cell anchor by anchor.

# %% [markdown]
# ### Exercise 4 · Heads — 1 point, 15 minutes, ●●○
# Channels `a·(K+1)` to `a·(K+1) + K` of the first head belong to anchor a of the cell; the second head has
# four channels for each.
#
# <details><summary>Hint 1</summary><code>reshape</code> never changes the order in which numbers lie. The axes
# have to stand in the right order before: which one has to come last?</details>
#
# <details><summary>Hint 2</summary>Of (N, C, H, W) make (N, H, W, C), then (N, H·W·anchors, K + 1).</details>


# %% nbgrader={"grade_id": "Heads_code", "solution": true}
class Heads(nn.Module):
    """Two heads on features (N, channels, H, W), for `anchors` anchors in each cell.

    scores, offsets: 3×3 convolutions with padding 1, with classes + 1 and 4 channels an anchor.
    Puts out (N, A, classes + 1), before softmax, and (N, A, 4), where A = H·W·anchors, in the order
    row, column, anchor. Class 0 is background.
    """

    def __init__(self, channels: int, anchors: int, classes: int) -> None:
        super().__init__()
        ### BEGIN SOLUTION
        self.classes = classes
        self.scores = nn.Conv2d(channels, anchors * (classes + 1), 3, padding=1)
        self.offsets = nn.Conv2d(channels, anchors * 4, 3, padding=1)
        ### END SOLUTION

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        ### BEGIN SOLUTION
        scores, offsets = (
            head(features).permute(0, 2, 3, 1) for head in (self.scores, self.offsets)
        )
        count = len(features)
        return scores.reshape(count, -1, self.classes + 1), offsets.reshape(count, -1, 4)
        ### END SOLUTION


# %% nbgrader={"grade_id": "Heads", "grade": true, "points": 1}
check("Heads")


# %%
def block(inputs: int, outputs: int, stride: int) -> nn.Sequential:
    conv = nn.Conv2d(inputs, outputs, 3, stride, padding=1, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(outputs), nn.ReLU())


class Detector(nn.Module):
    """(N, 3, H, W) → scores (N, A, classes + 1), offsets (N, A, 4)."""

    def __init__(self, anchors: int, classes: int) -> None:
        super().__init__()
        down = block(3, 16, 2), block(16, 32, 2), block(32, 64, 2)
        self.trunk = nn.Sequential(*down, block(64, 64, 1))
        self.heads = Heads(64, anchors, classes)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return self.heads(self.trunk(x))


def as_input(pictures: Pictures) -> Tensor:
    """(N, 3, H, W) float32 on the device, from −1 to 1."""
    x = torch.from_numpy(pictures.x).to(device).permute(0, 3, 1, 2)
    return (x / 127.5 - 1).contiguous()


# %%
with check.needs("Heads"):
    torch.manual_seed(0)
    untrained = Detector(len(SIDES), len(names)).to(device)
    scores, offsets = untrained(as_input(held)[:2])
    print(f"scores {tuple(scores.shape)}, offsets {tuple(offsets.shape)}")
    for part in ("trunk", "heads"):
        count = sum(p.numel() for p in getattr(untrained, part).parameters())
        print(f"{part}: {count:,} parameters")

# %% [markdown]
# ## 5 · Two losses
# The classes have a cross-entropy, over K + 1 classes. The boxes have **smooth L1** (Girshick 2015), for
# each of the four offsets: d²/2 where the difference d is below 1, else |d| − ½. It is gentle near 0 and does
# not explode far away. It counts only for anchors that belong to an object: background has no box.
#
# The balance is the difficulty. Nearly every anchor is background, and most of those are easy. With all of
# them in the sum, "background everywhere" is a good answer at first, and objects are a small part of the
# gradient.

# %% [markdown]
# **Hard negative mining** (here as in SSD) keeps the background in its place: for each anchor with an object,
# only three anchors of background count, those with the largest loss at this moment. As easy ones are learnt,
# others take their turn.
#
# **Predict:** how large a share of the cross-entropy over *all* anchors comes from background, in a network
# that has not learnt anything?

# %%
parts = ("a third", "two thirds", "nearly all")
check.predict("background's share of the loss", "", *parts)

# %% [markdown]
# ### Exercise 5 · Losses — 1.5 points, 25 minutes, ●●●
# All anchors of a batch in a row: A of them.
#
# <details><summary>Hint 1</summary><code>F.cross_entropy(…, reduction="none")</code> gives each anchor's loss,
# and <code>F.smooth_l1_loss</code> has the same argument. What does cross_entropy say to a class of −1? Pick
# the anchors that count first, or give it <code>ignore_index</code>.</details>
#
# <details><summary>Hint 2</summary><code>losses.topk(k).values</code> are the k largest. k may not be more than
# there are.</details>
#
# <details><summary>Hint 3</summary>In a batch without objects, P is 0: what do you divide by, and what is the
# sum over no boxes?</details>


# %% nbgrader={"grade_id": "detection_loss_code", "solution": true}
def detection_loss(
    scores: Tensor, offsets: Tensor, classes: Tensor, targets: Tensor, ratio: int = 3
) -> tuple[Tensor, Tensor]:
    """The loss of the classes and that of the boxes: two numbers, to be differentiated.

    scores: (A, K + 1), before softmax; offsets: (A, 4); classes: (A,) int64, 1 to K where the anchor
    belongs to an object, 0 for background, −1 where it is ignored; targets: (A, 4), what the offsets
    should be; it says something only where there is an object.
    P anchors belong to an object. Of the background the ratio · max(P, 1) with the largest
    cross-entropy count, or all, if they are fewer. Classes: the sum of the cross-entropy over the P
    and over those. Boxes: the sum of smooth L1 over the 4 offsets of the P. Both over max(P, 1).
    >>> classes, targets = torch.tensor([1, 0, 0, 0, 0, -1]), torch.zeros(6, 4)
    >>> targets[0] = torch.tensor([0.5, 0.0, 0.0, 2.0])
    >>> detection_loss(torch.zeros(6, 3), torch.zeros(6, 4), classes, targets)
    (tensor(4.3944), tensor(1.6250))
    """
    ### BEGIN SOLUTION
    each = F.cross_entropy(scores, classes, ignore_index=-1, reduction="none")
    objects, background = classes > 0, classes == 0
    count = max(int(objects.sum()), 1)
    hard = min(ratio * count, int(background.sum()))
    of_classes = each[objects].sum() + each[background].topk(hard).values.sum()
    of_boxes = F.smooth_l1_loss(offsets[objects], targets[objects], reduction="sum")
    return of_classes / count, of_boxes / count
    ### END SOLUTION


# %% nbgrader={"grade_id": "detection_loss", "grade": true, "points": 1.5}
check("detection_loss")


# %% [markdown]
# What each anchor of each picture should say is the same in every epoch, so it is computed once. (−1 and −2
# of the matching become class 0 and class −1.)


# %%
def targets_of(pictures: Pictures, anchors: Tensor) -> tuple[Tensor, Tensor]:
    """Of all pictures what their anchors should say: classes (N, A) and offsets (N, A, 4)."""
    classes, offsets = [], []
    for corners, numbers in zip(pictures.boxes, pictures.labels, strict=True):
        boxes, labels = torch.from_numpy(corners), torch.from_numpy(numbers)
        match = match_anchors(box_iou(anchors, boxes))
        if len(boxes) == 0:
            boxes, labels = anchors[:1], torch.zeros(1, dtype=torch.int64)
        own = match.clamp(min=0)
        classes.append(torch.where(match >= 0, labels[own], match + 1))
        offsets.append(encode_boxes(boxes[own], anchors))
    return torch.stack(classes).to(device), torch.stack(offsets).to(device)


# %%
BUILT = ("box_iou", "box_coding", "match_anchors", "Heads", "detection_loss")
with check.needs(*BUILT):
    classes, offsets = targets_of(train, anchors)
    torch.manual_seed(0)
    scores, said = Detector(len(SIDES), len(names)).to(device)(as_input(train)[:64])
    each = F.cross_entropy(
        scores.flatten(0, 1), classes[:64].flatten(), ignore_index=-1, reduction="none"
    )
    part = float(each[classes[:64].flatten() == 0].detach().sum() / each.detach().sum())
    print(f"background: {part:.1%} of the cross-entropy over all anchors")
    answer = min(parts, key=lambda one: abs({"a": 1 / 3, "t": 2 / 3, "n": 1.0}[one[0]] - part))
    check.measured("background's share of the loss", answer)

# %% [markdown]
# Now it learns. The loss of the boxes is small beside that of the classes, so it has a weight. The optimizer is
# Adam; its rate falls to 0 along half a cosine.

# %%
BALANCE = 10.0  # of the boxes' loss, beside 1 for the classes


# %%
def fit(
    model: Detector, x: Tensor, classes: Tensor, offsets: Tensor, epochs: int, rate: float = 4e-3
) -> list[tuple[float, float]]:
    """Train in batches of 16; the mean loss of classes and of boxes in each epoch."""
    optimizer, history = torch.optim.Adam(model.parameters(), rate), []
    fall = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, epochs)
    model.train()
    for _ in range(epochs):
        total = torch.zeros(2)
        for batch in torch.randperm(len(x), device=device).split(16):
            scores, said = (one.flatten(0, 1) for one in model(x[batch]))
            wanted = classes[batch].flatten(), offsets[batch].flatten(0, 1)
            losses = torch.stack(detection_loss(scores, said, *wanted))
            optimizer.zero_grad()
            (losses[0] + BALANCE * losses[1]).backward()
            optimizer.step()
            total += losses.detach().cpu() * len(batch) / len(x)
        fall.step()
        history.append((float(total[0]), float(total[1])))
    return history


# %%
detector: Detector | None = None
with check.needs(*BUILT):
    torch.manual_seed(0)
    model = Detector(len(SIDES), len(names)).to(device)
    history = fit(model, as_input(train), classes, offsets, sizes.epochs)
    detector = model
    fig = figures.losses(history)
    plots.show(fig, alt="Both losses fall over the epochs, that of the classes from higher up.")

# %% [markdown]
# ## 6 · One box for each object
# Several anchors are responsible for one object, and all of them report it. Below, every anchor whose best
# class has a probability of 0.3 or more.


# %%
def candidates(model: Detector, pictures: Pictures, anchors: Tensor, least: float) -> list[tuple]:
    """For each picture (boxes (n, 4), scores (n,), labels (n,)) of the anchors that see an object.

    A score is the probability of the likeliest class but background; least: the smallest that counts.
    """
    model.eval()
    with torch.no_grad():
        outputs = zip(*(model(x) for x in as_input(pictures).split(64)), strict=True)
        every = [torch.cat(one).cpu() for one in outputs]
    found = []
    for scores, offsets in zip(*every, strict=True):
        chance, label = scores.softmax(dim=1)[:, 1:].max(dim=1)
        seen = chance >= least
        found.append((decode_boxes(offsets[seen], anchors[seen]), chance[seen], label[seen] + 1))
    return found


if detector is not None:
    raw = candidates(detector, held, anchors, 0.3)
    print(f"{sum(len(one[0]) for one in raw)} boxes for {held.counts().sum()} objects")
    fig = figures.boxed(held, range(8), raw)
    plots.show(fig, alt="Eight scenes; most objects have several boxes that nearly coincide.")

# %% [markdown]
# **Non-maximum suppression** (NMS) leaves one: take the box with the highest score, drop all boxes *of the same
# class* that overlap it by more than a threshold, and repeat with the best of what is left. A box that was
# dropped drops no others.
#
# ### Exercise 6 · Non-maximum suppression — 1 point, 20 minutes, ●●○
#
# <details><summary>Hint 1</summary>Keep a list of the places that are left, by falling score. Its first one is
# kept. Which of the others stay on the list?</details>
#
# <details><summary>Hint 2</summary><code>scores.argsort(descending=True, stable=True)</code> keeps equals in
# their order.</details>


# %% nbgrader={"grade_id": "nms_code", "solution": true}
def nms(boxes: Tensor, scores: Tensor, labels: Tensor, threshold: float) -> Tensor:
    """The places of the boxes that stay, by falling score: (n,) int64.

    boxes: (N, 4); scores: (N,) float; labels: (N,) int64. A box goes if one of its label that stays
    and has a higher score has an IoU with it of more than the threshold. Of equal scores the earlier
    box counts as the higher. N may be 0.
    >>> boxes = torch.tensor([[0.0, 0.0, 4.0, 4.0], [0.0, 0.0, 4.0, 3.0], [9.0, 9.0, 12.0, 12.0]])
    >>> nms(boxes, torch.tensor([0.6, 0.9, 0.7]), torch.tensor([1, 1, 1]), 0.5)
    tensor([1, 2])
    """
    ### BEGIN SOLUTION
    left, kept = scores.argsort(descending=True, stable=True), []
    while len(left):
        first, rest = left[0], left[1:]
        kept.append(int(first))
        over = box_iou(boxes[first][None], boxes[rest])[0] > threshold
        left = rest[~(over & (labels[rest] == labels[first]))]
    return torch.tensor(kept, dtype=torch.int64)
    ### END SOLUTION


# %% nbgrader={"grade_id": "nms", "grade": true, "points": 1}
check("nms")


# %%
def thinned(found: list[tuple], threshold: float = 0.4) -> list[tuple]:
    """What is found in each picture, after NMS."""
    places = [nms(*one, threshold) for one in found]
    return [tuple(part[at] for part in one) for one, at in zip(found, places, strict=True)]


if detector is not None:
    with check.needs("box_iou", "nms"):
        few = thinned(raw)
        print(f"{sum(len(one[0]) for one in few)} boxes for {held.counts().sum()} objects")
        fig = figures.boxed(held, range(8), few)
        plots.show(fig, alt="The same scenes: nearly every object has one box of its class.")

# %% [markdown]
# *What your detector found, with its probabilities.* Two objects of one class whose boxes overlap by more than
# the threshold would be taken for one; the scenes here have none.

# %% [markdown]
# ## 7 · How good is it?
# A detection is **right** if its IoU with an object of its class is at least 0.5, and no better detection has
# that object already: the second box on one object is an error. The rule is that of the VOC challenge
# (Everingham et al. 2010). For one class:
#
# > Go through the detections of all pictures by falling score. Each looks at the object of its picture with
# > which its IoU is largest. It is right if that IoU reaches 0.5 and nobody was right there before.

# %% [markdown]
# After the first k detections, with c of them right: **precision** is c / k, the share that is right, and
# **recall** is c over the number of objects, the share that is found. With k both move: recall only rises,
# precision goes up and down.
#
# **Average precision** (AP) is the area under precision over recall, after each precision is replaced by the
# best one at this recall or beyond: then the curve never rises. 1 is perfect: all objects found before the
# first error.

# %% [markdown]
# ### Exercise 7 · Average precision — 1.25 points, 25 minutes, ●●○
# Two functions: which detections are right, and the area.
#
# <details><summary>Hint 1</summary>Sort all detections first, with the picture that each is from. A set of
# (picture, object) tells who is taken.</details>
#
# <details><summary>Hint 2</summary>Recall moves only at a right detection, and each time by 1 / objects. So the
# area is a sum over the right detections, of the best precision from there on, divided by what?</details>
#
# <details><summary>Hint 3</summary>The best from here on:
# <code>precision.flip(0).cummax(0).values.flip(0)</code>.</details>


# %% nbgrader={"grade_id": "average_precision_code", "solution": true}
def true_detections(
    found: list[tuple[Tensor, Tensor]], truth: list[Tensor], least: float = 0.5
) -> Tensor:
    """Which detections of one class are right: (D,) bool, of all pictures by falling score.

    found: for each picture boxes (n, 4) and scores (n,); truth: for each picture the objects' boxes
    (m, 4). n and m may be 0. A detection looks at the object with the largest IoU, the earlier of
    equals, and is right if that is at least `least` and the object is not taken. Of equal scores the
    earlier picture comes first, then the earlier box.
    >>> box = torch.tensor([[0.0, 0.0, 4.0, 4.0]])
    >>> true_detections([(torch.cat([box, box]), torch.tensor([0.7, 0.9]))], [box])
    tensor([ True, False])
    """
    ### BEGIN SOLUTION
    scores = torch.cat([one for _, one in found])
    order = scores.argsort(descending=True, stable=True).tolist()
    places = [(picture, n) for picture, (_, one) in enumerate(found) for n in range(len(one))]
    taken, right = set(), []
    for picture, n in (places[at] for at in order):
        boxes = truth[picture]
        if len(boxes) == 0:
            right.append(False)
            continue
        iou = box_iou(found[picture][0][n : n + 1], boxes)[0]
        best = int(iou.argmax())
        right.append(float(iou[best]) >= least and (picture, best) not in taken)
        if right[-1]:
            taken.add((picture, best))
    return torch.tensor(right, dtype=torch.bool)
    ### END SOLUTION


def average_precision(right: Tensor, objects: int) -> float:
    """The area under precision over recall, each precision the best at its recall or beyond.

    right: (D,) bool, by falling score; D may be 0; objects: how many were to be found, at least 1.
    >>> average_precision(torch.tensor([True, False, True]), 4)
    0.41666...
    """
    ### BEGIN SOLUTION
    if len(right) == 0:
        return 0.0
    precision = right.double().cumsum(0) / torch.arange(1, len(right) + 1)
    best = precision.flip(0).cummax(0).values.flip(0)
    return float(best[right].sum()) / objects
    ### END SOLUTION


# %% nbgrader={"grade_id": "average_precision", "grade": true, "points": 1.25}
check("average_precision")


# %%
def of_class(
    found: list[tuple], pictures: Pictures, label: int, least: float = 0.5
) -> tuple[Tensor, int]:
    """Of one class: which detections are right, and how many objects there are."""
    own = [(boxes[labels == label], scores[labels == label]) for boxes, scores, labels in found]
    pairs = zip(pictures.boxes, pictures.labels, strict=True)
    truth = [torch.from_numpy(boxes[labels == label]) for boxes, labels in pairs]
    return true_detections(own, truth, least), sum(map(len, truth))


def mean_ap(found: list[tuple], pictures: Pictures, least: float = 0.5) -> float:
    """The mean over the classes of their average precision, mAP."""
    parts = [of_class(found, pictures, k + 1, least) for k in range(len(pictures.class_names))]
    return sum(average_precision(*one) for one in parts) / len(parts)


# %%
MEASURED = ("box_iou", "nms", "average_precision")
final: list[tuple] = []
areas: dict[str, float] = {}
if detector is not None:
    with check.needs(*MEASURED):
        final = thinned(candidates(detector, held, anchors, 0.02))
        curves = {name: of_class(final, held, k) for k, name in enumerate(names, 1)}
        areas = {name: average_precision(*one) for name, one in curves.items()}
        fig = figures.precision_recall(curves, areas)
        plots.show(fig, alt="Precision over recall for three classes, with its envelope.")

# %% tags=["headline"]
if areas:
    with check.needs(*MEASURED):
        listed = ", ".join(f"{name} {area:.2f}" for name, area in areas.items())
        print(f"{held.name}: AP {listed}")
        print(f"mAP {mean_ap(final, held):.3f} on {len(held.x)} scenes (floor 0.85)")

# %% [markdown]
# *Thin: precision as it goes up and down; thick: the best from there on. The area under the thick line is the
# AP.*

# %% [markdown]
# ## 8 · The control: a window that slides
# Before such networks, a detector was a classifier, slid over the picture at several sizes. How good is that
# here, and what does it cost? The picture is resized so that objects of 10, 15 and 22 pixels become 16 pixels
# wide; from each of the three a **window** of 16×16 is cut every 4 pixels, and each is classified.
#
# **Predict:** the windows are classified by a network much smaller than the detector. Which of the two needs
# more multiplications for a picture?

# %%
kinds = ("the detector", "the windows", "about alike")
check.predict("more multiplications for a picture", "", *kinds)
WINDOW, STEP = 16, 4  # pixels of the resized picture


def windows_of(x: Tensor) -> tuple[Tensor, Tensor]:
    """All windows of pictures (N, 3, H, W): (N, n, 3, 16, 16), and their boxes (n, 4) in pixels."""
    cut, boxes = [], []
    for side in SIDES:
        zoom = WINDOW / side
        size = [int(zoom * n) for n in x.shape[2:]]
        level = F.interpolate(x, size, mode="bilinear", antialias=True)
        tiles = level.unfold(2, WINDOW, STEP).unfold(3, WINDOW, STEP)
        rows, columns = tiles.shape[2:4]
        cut.append(tiles.permute(0, 2, 3, 1, 4, 5).reshape(len(x), -1, 3, WINDOW, WINDOW))
        y, left = torch.meshgrid(torch.arange(rows), torch.arange(columns), indexing="ij")
        corner = torch.stack([left, y], dim=-1).reshape(-1, 2) * (STEP / zoom)
        boxes.append(torch.cat([corner, corner + side], dim=1))
    return torch.cat(cut, dim=1), torch.cat(boxes)


# %% [markdown]
# A window is an example of a class if its IoU with an object is at least 0.6, and of background below 0.3; three
# of background for each other one. (The library's `box_iou` labels them, so that this section does not wait for
# yours.)


# %%
def examples(pictures: Pictures, count: int) -> tuple[Tensor, Tensor]:
    """Windows (n, 3, 16, 16) from so many pictures, and their classes (n,)."""
    cut, boxes = windows_of(as_input(pictures)[:count])
    kept, labels = [], []
    for n in range(count):
        iou = torchvision.ops.box_iou(boxes, torch.from_numpy(pictures.boxes[n]))
        best, place = iou.max(dim=1)
        label = torch.from_numpy(pictures.labels[n])[place]
        sure = best >= 0.6
        empty = (best < 0.3).nonzero()[:, 0]
        empty = empty[torch.randperm(len(empty))[: 3 * int(sure.sum()) + 3]]
        kept += [cut[n][sure.to(device)], cut[n][empty.to(device)]]
        labels += [label[sure], torch.zeros(len(empty), dtype=torch.int64)]
    return torch.cat(kept), torch.cat(labels).to(device)


# %%
def fit_windows(net: nn.Module, x: Tensor, y: Tensor, epochs: int) -> None:
    optimizer = torch.optim.Adam(net.parameters(), 3e-3)
    for _ in range(epochs):
        for batch in torch.randperm(len(x), device=device).split(128):
            loss = F.cross_entropy(net(x[batch]), y[batch])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()


# %%
def multiplications(net: nn.Module, x: Tensor) -> int:
    """Of one example x: in convolutions and linear layers, each weight once for each place."""
    count, handles = [], []

    def look(layer: nn.Module, inputs: tuple, output: Tensor) -> None:
        places = output[0, 0].numel() if isinstance(layer, nn.Conv2d) else 1
        count.append(layer.weight.numel() * places)

    layers = [one for one in net.modules() if isinstance(one, nn.Conv2d | nn.Linear)]
    handles = [one.register_forward_hook(look) for one in layers]
    with torch.no_grad():
        net.eval()(x[None])
    for handle in handles:
        handle.remove()
    return sum(count)


# %%
torch.manual_seed(0)
body = nn.Sequential(block(3, 16, 2), block(16, 32, 2), nn.Flatten())
classifier = nn.Sequential(body, nn.Linear(32 * (WINDOW // 4) ** 2, len(names) + 1)).to(device)
window_x, window_y = examples(train, min(300, len(train.x)))
fit_windows(classifier.train(), window_x, window_y, 6)
slid_x = as_input(held)[: sizes.slid]
tiles, tile_boxes = windows_of(slid_x)
cost = {"one window": multiplications(classifier, tiles[0, 0])}
cost["all windows"] = cost["one window"] * len(tile_boxes)
print(f"{len(window_x):,} examples; {len(tile_boxes)} windows for each picture")
if detector is not None:
    cost["detector"] = multiplications(detector, slid_x[0])
    ratio = cost["all windows"] / cost["detector"]
    print(f"multiplications for a picture: windows {cost['all windows']:,}", end=", ")
    print(f"detector {cost['detector']:,}: {ratio:.0f} times as many")
    answer = kinds[2] if 0.7 < ratio < 1.4 else kinds[int(ratio > 1)]
    check.measured("more multiplications for a picture", answer)

# %% [markdown]
# Neighbouring windows share most of their pixels, and each is computed anew. A convolution over the whole picture
# computes what they share once: that is the gain. Now the detections, on the first scenes that were held out.


# %%
def seen_in(scores: Tensor, least: float = 0.05) -> list[tuple]:
    """What the windows' scores (N, n, K + 1) say, as `candidates` does."""
    chance, label = scores.softmax(dim=2)[:, :, 1:].cpu().max(dim=2)
    found = []
    for one, kind in zip(chance, label + 1, strict=True):
        seen = one >= least
        found.append((tile_boxes[seen], one[seen], kind[seen]))
    return found


def part_of(pictures: Pictures, count: int) -> Pictures:
    """The first pictures alone."""
    kept = pictures.x[:count], pictures.boxes[:count], pictures.labels[:count]
    return Pictures(pictures.name, pictures.class_names, *kept)


# %%
with torch.no_grad():
    classifier.eval()
    slid = torch.stack([classifier(one) for one in tiles])
shown, ways = part_of(held, sizes.slid), {}
with check.needs(*MEASURED):
    ways["windows"] = thinned(seen_in(slid), 0.3)
    if final:
        ways["detector"] = final[: sizes.slid]
    for name, found in ways.items():
        half, strict = (mean_ap(found, shown, least) for least in (0.5, 0.75))
        print(f"{name:8} mAP {half:.2f}, with boxes to an IoU of 0.75 {strict:.2f}")

# %% [markdown]
# At 0.5 the windows are a strong control: each sees its object zoomed to one size. At 0.75 they lose most, as no head
# moves a window to the object's edges; and they pay many times the multiplications.

# %% [markdown]
# ## 9 · A cascade
# Most windows are easy: empty ground. So a tiny network looks first, at a quarter of the pixels, and says only
# "perhaps" or "no". What it rejects is never looked at again; the classifier sees the rest. Viola and Jones
# (2001) made face detection quick that way, Li et al. (2015) with convolutional networks.
#
# Such a stage must not lose objects, for nobody after it can bring them back. It may let much ground pass. So its
# threshold is set by **recall**: as high as it can be, as long as, say, 98 % of the objects pass.

# %%
torch.manual_seed(0)
small = nn.Sequential(nn.AvgPool2d(2), nn.Conv2d(3, 6, 3, 2, padding=1), nn.ReLU(), nn.Flatten())
first = nn.Sequential(small, nn.Linear(6 * (WINDOW // 4) ** 2, 2)).to(device)
fit_windows(first, window_x, (window_y > 0).long(), 8)
cost["first stage"] = multiplications(first, tiles[0, 0])
print(
    f"multiplications for a window: {cost['first stage']:,}, the classifier's {cost['one window']:,}"
)
tuned_x, tuned_y = examples(tune, len(tune.x))
with torch.no_grad():
    tuned = first(tuned_x).softmax(dim=1)[:, 1].cpu()
fig = figures.passing(tuned, tuned_y.cpu() > 0)
plots.show(fig, alt="Scores of the first stage: most ground is low, most objects are high.")

# %% [markdown]
# *How many windows of the tuning scenes have which score, of objects and of ground.* Whatever lies to the left of a
# threshold is rejected.
#
# Every threshold is such a decision: what may be lost, what must not be? Below are the detections of some detector
# on pictures with **100 objects** in all, for four thresholds on the score:
#
# | threshold | detections | right |
# |---|---|---|
# | 0.2 | 200 | 99 |
# | 0.4 | 120 | 97 |
# | 0.6 | 100 | 85 |
# | 0.8 | 70 | 69 |

# %% [markdown]
# ### Exercise 8 · Where to cut — 1.25 points, 20 minutes, ●●○
# - `for_counting`: the table's threshold at which the number of detections is the right count.
# - `right_count`: of a picture that number is right. Which errors may there be all the same? `"none"`, `"misses"`
#   (only), `"false alarms"` (only) or `"both"`.
# - `rejected`: for a window a first stage takes 10,000 multiplications, the classifier 250,000. Which share of all
#   windows must it reject, so that both together take *half* of the classifier alone?
#
# <details><summary>Hint 1</summary>Sort the objects' scores. If 98 % of 50 are to pass, how many may be
# lost?</details>
#
# <details><summary>Hint 2</summary>For `rejected`: all windows pay the first stage. Who pays the classifier?</details>

# %% nbgrader={"grade_id": "where_to_cut_code", "solution": true}
for_counting = None  # a threshold
right_count = None  # "none", "misses", "false alarms" or "both"
rejected = None  # a share, from 0 to 1
### BEGIN SOLUTION
for_counting = 0.6
right_count = "both"
rejected = 0.54
### END SOLUTION


def rejection_threshold(scores: Tensor, objects: Tensor, recall: float) -> float:
    """The highest threshold at which at least this share of the objects passes.

    scores: (N,) float; objects: (N,) bool, at least one True; recall: above 0, at most 1. A window
    passes if its score is at least the threshold, which is the score of one of the objects.
    >>> rejection_threshold(torch.tensor([0.9, 0.2, 0.6, 0.8]), torch.tensor([1, 1, 1, 0]) > 0, 0.6)
    0.6
    """
    ### BEGIN SOLUTION
    best = scores[objects].sort(descending=True).values
    passing = math.ceil(recall * len(best) - 1e-9)
    return float(best[max(passing, 1) - 1])
    ### END SOLUTION


# %% nbgrader={"grade_id": "where_to_cut", "grade": true, "points": 1.25}
check("where_to_cut")

# %% [markdown]
# Your threshold, on scenes that it was not chosen on:

# %%
passed: Tensor | None = None
with check.needs("where_to_cut"), torch.no_grad():
    threshold = rejection_threshold(tuned, tuned_y.cpu() > 0, 0.98)
    chance = torch.stack([first(one).softmax(dim=1)[:, 1] for one in tiles])
    passed = chance >= threshold
    asked = passed.float().mean().item()
    windows = len(tile_boxes)
    cost["cascade"] = round(windows * (cost["first stage"] + asked * cost["one window"]))
    print(
        f"threshold {threshold:.3f}: the classifier sees {asked * windows:.0f} of {windows} windows"
    )
    print(
        f"multiplications for a picture: {cost['cascade']:,}, without cascade {cost['all windows']:,}"
    )
    fig = figures.costs(cost)
    plots.show(fig, alt="Multiplications for a picture: all windows most, a cascade fewer.")

# %%
if passed is not None and ways:
    with check.needs(*MEASURED), torch.no_grad():
        only_ground = torch.tensor([20.0] + [0.0] * len(names), device=device)
        kept = torch.where(passed[..., None], slid, only_ground)
        cascade_ap, plain_ap = (
            mean_ap(found, shown) for found in (thinned(seen_in(kept), 0.3), ways["windows"])
        )
        print(f"mAP {cascade_ap:.2f} with the cascade, {plain_ap:.2f} without")
        other_x, other_y = examples(shown, len(shown.x))
        let_through = first(other_x).softmax(dim=1)[:, 1] >= threshold
        share = let_through[other_y > 0].float().mean()
        print(f"{share:.1%} of the objects' windows pass (98 % of the tuning scenes' did)")

# %% [markdown]
# ## 10 · Counting
# What is a detector good for? Often for a number: how many of each kind. Whoever counts does not need boxes to be
# exact; misses and false alarms should cancel. The threshold is chosen on the tuning scenes, and the error is
# measured on those held out: the mean of |counted − true| over pictures and classes. The control gives every
# picture the mean counts of the training pictures.


# %%
def counted(found: list[tuple], classes: int, threshold: float) -> Tensor:
    """(N, K): of each class how many detections reach the threshold."""
    reached = [labels[scores >= threshold] for _, scores, labels in found]
    return torch.stack([labels.bincount(minlength=classes + 1)[1:] for labels in reached])


def count_error(found: list[tuple], pictures: Pictures, threshold: float) -> float:
    truth = torch.from_numpy(pictures.counts())
    return float((counted(found, truth.shape[1], threshold) - truth).abs().float().mean())


def count_control(pictures: Pictures, learnt: Pictures) -> float:
    means = torch.from_numpy(learnt.counts()).float().mean(dim=0).round()
    return float((torch.from_numpy(pictures.counts()) - means).abs().mean())


# %%
marks = [round(0.05 * n, 2) for n in range(1, 20)]
if detector is not None and final:
    with check.needs("box_iou", "nms"):
        tuned_found = thinned(candidates(detector, tune, anchors, 0.02))
        errors = {
            "tuning scenes": [count_error(tuned_found, tune, mark) for mark in marks],
            "held-out scenes": [count_error(final, held, mark) for mark in marks],
        }
        best = marks[min(range(len(marks)), key=errors["tuning scenes"].__getitem__)]
        control = count_control(held, train)
        fig = figures.counting(marks, errors, best, control)
        plots.show(
            fig, alt="The error of counts over the threshold, far below the control; one is chosen."
        )
        error = count_error(final, held, best)
        print(f"threshold {best}: counts are off by {error:.2f} a class; control {control:.2f}")

# %% [markdown]
# *The valley's floor, found on the tuning scenes, is about the same elsewhere.* It is wide: for counting the exact
# threshold matters less than that there is one.

# %% [markdown]
# ## 11 · Blood cells
# The same code on photographs: 364 pictures of blood under a microscope (BCCD), with red cells, white cells and
# platelets. A doctor asks how many of each. White cells are few and large, platelets tiny, red cells many, and they
# overlap. The pictures are shrunk to 160×120, the anchors' sides are those of a typical platelet, red and white
# cell, and everything else is as it was.
#
# This takes minutes, so it runs at scale `cpu` and above.

# %%
cells: dict[str, Pictures] | None = None
if sizes.cell_epochs:
    cells = detection.blood_cells()
else:
    print("Blood cells are for scale cpu and above: nothing is loaded.")
if cells is not None:
    fig = figures.boxed(cells["test"], range(4))
    plots.show(fig, alt="Four pictures of blood cells with their boxes: red and white, platelets.")
    for name, one in cells.items():
        listed = zip(one.class_names, one.counts().sum(axis=0).tolist(), strict=True)
        print(f"{name:5} {len(one.x)} pictures:", ", ".join(f"{n} {kind}" for kind, n in listed))

# %%
CELL_SIDES = (11.0, 26.0, 50.0)
cell_found: dict[str, list[tuple]] | None = None
if cells is not None:
    with check.needs(*BUILT, *MEASURED):
        height, width = cells["train"].x.shape[1:3]
        cell_anchors = anchors_for(height, width, CELL_SIDES)
        torch.manual_seed(0)
        model = Detector(len(CELL_SIDES), len(detection.CELLS)).to(device)
        wanted = targets_of(cells["train"], cell_anchors)
        fit(model, as_input(cells["train"]), *wanted, sizes.cell_epochs)
        cell_found = {
            name: thinned(candidates(model, cells[name], cell_anchors, 0.02))
            for name in ("val", "test")
        }
        fig = figures.boxed(cells["test"], range(4), cell_found["test"], least=0.3)
        plots.show(fig, alt="The same four pictures with the boxes that the detector found.")

# %%
if cells is not None and cell_found is not None:
    with check.needs(*MEASURED):
        for k, name in enumerate(detection.CELLS, 1):
            area = average_precision(*of_class(cell_found["test"], cells["test"], k))
            print(f"{name:9} AP {area:.2f}")


# %%
def off_by(split: str, label: int, threshold: float) -> float:
    """How far the counts of one class are off in a picture, on average."""
    assert cells is not None
    assert cell_found is not None
    wrong = counted(cell_found[split], 3, threshold) - torch.from_numpy(cells[split].counts())
    return float(wrong[:, label - 1].abs().float().mean())


if cells is not None and cell_found is not None:
    control = torch.from_numpy(
        cells["test"].counts() - cells["train"].counts().mean(axis=0).round()
    )
    for k, name in enumerate(detection.CELLS, 1):
        errors = [off_by("val", k, mark) for mark in marks]
        best = marks[errors.index(min(errors))]
        guess = float(control[:, k - 1].abs().mean())
        print(
            f"{name:9} threshold {best}: counts off by {off_by('test', k, best):.2f} a picture",
            end=", ",
        )
        print(f"with the mean as a guess by {guess:.2f}")

# %% [markdown]
# Nearly every picture has exactly one white cell, so there the guess is hard to beat. And not every red cell has a box in
# this data set: some "false alarms" are cells that nobody marked, and a count can be no better than what it is compared
# with.

# %% [markdown]
# ## 12 · Experiments
# Nothing here is graded.
#
# - `BALANCE` 1 and 100: AP at an IoU of 0.5 and of 0.75.
# - `ratio=1000` in `fit`'s call of `detection_loss` lets all background count. What becomes of the AP, and of the
#   scores?
# - Two anchors a cell, or one: `SIDES = (15.0,)`. Which class loses most?
# - `high=0.7` in the matching. How many anchors are left for an object, and what does the AP say?
# - `thinned(…, threshold)` from 0.1 to 0.9. Which errors come at either end?
# - AP at an IoU of 0.75: `true_detections(…, least=0.75)`. How much do detector and windows lose?
# - A cascade at a recall of 0.999 and of 0.9: cost and mAP.

# %%
if detector is not None:
    with check.needs(*MEASURED):
        for threshold in (0.1, 0.4, 0.8):
            again = thinned(candidates(detector, shown, anchors, 0.02), threshold)
            print(f"NMS at {threshold}: mAP {mean_ap(again, shown):.3f} on {len(shown.x)} scenes")

# %% [markdown]
# ## 13 · What you built is called
# | yours | elsewhere |
# |---|---|
# | `box_iou` | `torchvision.ops.box_iou` |
# | `encode_boxes`, `decode_boxes` | `BoxCoder` in torchvision's detection models, with weights |
# | `match_anchors` | their `SSDMatcher` and `Matcher`; there each object overrides alone, and two may want one anchor |
# | `Heads` | `SSDHead`, `RetinaNetHead` |
# | `detection_loss` | `SSD.compute_loss`; RetinaNet's focal loss weighs instead of choosing |
# | `nms` | `torchvision.ops.batched_nms` |
# | `average_precision` | VOC's AP; COCO's is a mean over IoUs from 0.5 to 0.95, at 101 recalls |
#
# Same boxes, yours and the library's:

# %%
with check.needs("box_iou", "nms"):
    torch.manual_seed(0)
    corner = 40 * torch.rand(200, 2)
    many = torch.cat([corner, corner + 4 + 16 * torch.rand(200, 2)], dim=1)
    scores, labels = torch.rand(200), torch.randint(1, 4, (200,))
    apart = (box_iou(many, many) - torchvision.ops.box_iou(many, many)).abs().max()
    theirs = torchvision.ops.batched_nms(many, scores, labels, 0.4)
    same = torch.equal(nms(many, scores, labels, 0.4), theirs)
    print(f"IoU: {apart:.0e} apart; NMS: {len(theirs)} of 200 boxes stay, the same ones: {same}")

# %% [markdown]
# ## 14 · Further
# - Tao, Barker, Sarathy (2016), *DetectNet: Deep neural network for object detection in DIGITS*, NVIDIA's blog:
#   a grid of cells, coverage and boxes. This lab's root.
# - Girshick, Donahue, Darrell, Malik (2014), *Rich feature hierarchies*,
#   [arXiv:1311.2524](https://arxiv.org/abs/1311.2524): R-CNN, and the offsets.
# - Girshick (2015), *Fast R-CNN*, [arXiv:1504.08083](https://arxiv.org/abs/1504.08083): smooth L1.
# - Ren, He, Girshick, Sun (2015), *Faster R-CNN*, [arXiv:1506.01497](https://arxiv.org/abs/1506.01497): anchors.
# - Liu et al. (2016), *SSD: Single shot multibox detector*, [arXiv:1512.02325](https://arxiv.org/abs/1512.02325):
#   matching, and three hard negatives for each object.

# %% [markdown]
# - Lin, Goyal, Girshick, He, Dollár (2017), *Focal loss for dense object detection*,
#   [arXiv:1708.02002](https://arxiv.org/abs/1708.02002): another answer to too much background.
# - Everingham, Van Gool, Williams, Winn, Zisserman (2010), *The Pascal visual object classes (VOC) challenge*,
#   [10.1007/s11263-009-0275-4](https://doi.org/10.1007/s11263-009-0275-4).
# - Viola, Jones (2001), *Rapid object detection using a boosted cascade of simple features*, CVPR,
#   [10.1109/CVPR.2001.990517](https://doi.org/10.1109/CVPR.2001.990517): a first stage of two features loses under
#   1 % of the faces and lets 40 % of the rest pass.
# - Li, Lin, Shen, Brandt, Hua (2015), *A convolutional neural network cascade for face detection*, CVPR,
#   [10.1109/CVPR.2015.7299170](https://doi.org/10.1109/CVPR.2015.7299170).
#
# **Next:** in lab 20 networks make pictures themselves, and the data that others learn from.

# %%
progress()
