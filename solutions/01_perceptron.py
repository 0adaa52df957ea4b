# %% [markdown]
# # 01 · The perceptron
#
# From nothing but NumPy you build the first neuron that learned from its mistakes. By the end ten of
# them read handwriting, and you see what each has learned.
#
# In July 1958 an IBM 704, five tons of computer, was fed punched cards: some marked on the left,
# some on the right. After fifty of them it told one kind from the other [1]. Nobody had programmed
# the difference. The program in it was Frank Rosenblatt's **perceptron**. Yours will look like this:

# %% tags=["parameters"]
scale = ""  # smoke, cpu or gpu; left empty, LAB_SCALE or the machine decides

# %%
import math

import matplotlib.pyplot as plt
import numpy as np

from grading.check import checks, progress
from utils import plots, settings
from utils.data import digits
from utils.figures import perceptron as figures

Array = np.ndarray
check = checks("01_perceptron")
sizes = settings.choose(scale, smoke={"images": 10_000}, cpu={"images": 60_000})

data = digits.load()
X_train, y_train = data.train_x.reshape(len(data.train_x), -1), data.train_y
X_train, y_train = X_train[: sizes.images], y_train[: sizes.images]
X_test, y_test = data.test_x.reshape(len(data.test_x), -1), data.test_y

# %%
from sklearn.linear_model import SGDClassifier

rule = {"loss": "perceptron", "learning_rate": "constant", "eta0": 1.0, "penalty": None}
ten = SGDClassifier(**rule, average=True, max_iter=3, tol=None, random_state=0)
ten.fit(X_train[:10_000], y_train[:10_000])
W_ten, b_ten, whose = ten.coef_, ten.intercept_, "scikit-learn's"

guess = (X_test @ W_ten.T + b_ten).argmax(axis=1)
print(
    f"Ten neurons from scikit-learn: {np.mean(guess == y_test):.1%} of new images right. The first ten:"
)
fig = plots.image_grid(data.test_x[:10], titles=[f"reads {one}" for one in guess[:10]])
plots.show(fig, alt="Ten handwritten digits, each with the digit that the neurons read in it.")


# %% [markdown]
# Above, what they read; below, all there is to them. A square is one neuron: one weight for each pixel
# of the image. Light: ink here speaks for its digit. Dark: ink here speaks against it. Find the hole
# that makes a 0 a 0.


# %%
def draw_weights(W: Array, whose: str) -> None:
    """Ten neurons' weights (10, D) as images; the few largest weights share the end of the scale."""
    end = float(np.percentile(abs(W), 99))
    images = np.clip(W, -end, end).reshape(10, *data.image_shape)
    fig = plots.image_grid(images, titles=range(10), columns=5, unit="weight of a pixel")
    alt = f"The weights of {whose} ten neurons as images: patches of light and of dark pixels, such as"
    plots.show(fig, alt=alt + " a light ring with a dark centre for 0 and a light bar for 1.")


draw_weights(W_ten, whose)

# %% [markdown]
# **You will**
# - build a neuron, and the rule by which it learns from a mistake;
# - compute, before it starts, how many mistakes it can make at most;
# - see what no single neuron can do, and do it with two layers;
# - train ten neurons on handwritten digits, and look inside them.
#
# **This lab is not about** gradients (lab 02), PyTorch (lab 04), or how brains work.
#
# **You need** NumPy's `@` and `np.where`, no calculus, any laptop. The data is MNIST or, where that is
# not at hand, scikit-learn's 8×8 digits. The seven exercises take about 90 minutes; running all cells
# takes half a minute on two cores.

# %% [markdown]
# Where a cell says `# your code here`, put your code in place of that and of the line below it. Run
# the cell, then the check that follows, as often as you like.

# %% [markdown]
# ## 1 · A neuron
#
# In 1943 Warren McCulloch and Walter Pitts described a nerve cell as a small decision: it fires when
# what excites it reaches a threshold [2]. Their cells were wired by hand, for good. Rosenblatt gave
# each input a **weight** that can change. As we write it today:

# %% [markdown]
# $$y = F(w \cdot x + b), \qquad w \cdot x = w_1 x_1 + w_2 x_2 + \dots + w_D x_D$$
#
# | | shape | |
# |---|---|---|
# | $x$ | `(D,)` float | the inputs |
# | $w$ | `(D,)` float | the **weights**, one for each input |
# | $b$ | number | the **bias**: minus the threshold |
# | $F$ | | the **activation**: what becomes of the sum |

# %% [markdown]
# ### Exercise 1 · The neuron — 1 point, 8 minutes, ●○○
#
# Two activations are enough for now. The **step** is the perceptron's: it fires or it does not.
# **ReLU** (rectified linear unit) passes on what is positive; most networks from lab 02 on use it.
#
# $$\mathrm{step}(z) = \begin{cases} 1 & z \ge 0 \\ 0 & z < 0 \end{cases} \qquad\qquad
# \mathrm{relu}(z) = \begin{cases} z & z \ge 0 \\ 0 & z < 0 \end{cases}$$


# %% nbgrader={"grade_id": "neuron_code", "solution": true}
def neuron(x: Array, w: Array, b: float, activation: str) -> float:
    """The output of one artificial neuron, F(w·x + b).

    x: (D,) inputs; w: (D,) weights; b: bias; activation: "step" or "relu".
    >>> neuron(np.array([1.0, 2.0]), np.array([0.5, -1.0]), 2.5, "relu")
    1.0
    >>> neuron(np.array([1.0, 2.0]), np.array([0.5, -1.0]), 1.0, "step")
    0.0
    """
    ### BEGIN SOLUTION
    z = float(w @ x + b)
    if activation == "relu":
        return max(z, 0.0)
    return 1.0 if z >= 0 else 0.0
    ### END SOLUTION


# %% [markdown]
# <details><summary>Hint 1</summary>
#
# Both activations need the same number first: `z = w @ x + b`. For two arrays of shape `(D,)`, `@`
# multiplies entry by entry and adds up.
# </details>

# %% nbgrader={"grade_id": "neuron", "grade": true, "points": 1}
check("neuron")

# %% [markdown]
# A neuron with three inputs, all of weight 1, counts votes. What does it decide for `b = -2`? And for
# `b = -3`, for `b = -1`? Change the number and see.

# %%
b = -2

with check.needs("neuron"):
    for votes in ([0, 0, 0], [1, 0, 0], [1, 1, 0], [1, 1, 1]):
        decision = neuron(np.array(votes, dtype=float), np.ones(3), b, "step")
        print(f"votes {votes}  →  {decision:g}")
    fig = figures.activations(neuron)
    plots.show(fig, alt="Your neuron's output: a step from 0 to 1 at 0, and a ramp from 0 on.")

# %% [markdown]
# ## 2 · A neuron draws a line
#
# Here is a deck of cards like those of 1958, made by code. A card has 20 × 20 cells, as many as the
# eye of the Mark I had photocells, the machine that was built for the perceptron by 1960 [3]. There
# is dust on every card, and there are marks on its left half (class +1) or its right half (class −1).
#
# We count the dark cells in the two halves, in tens. So a card is a point:
# `X_cards` has shape `(40, 2)`, float, and `y_cards` has shape `(40,)`, with −1 and +1.


# %%
def card(rng: np.random.Generator, side: int) -> Array:
    """A card (20, 20) of truth values: dust all over, marks on the left (+1) or right (−1)."""
    cells = rng.random((20, 20)) < rng.uniform(0.05, 0.4)
    half = slice(0, 10) if side == 1 else slice(10, 20)
    cells[:, half] |= rng.random((20, 10)) < rng.uniform(0.2, 0.6)
    return cells


rng = np.random.default_rng(1957)
y_cards = np.where(np.arange(40) % 2 == 1, 1, -1)
deck = np.array([card(rng, side) for side in y_cards])
X_cards = np.stack([deck[:, :, :10].sum((1, 2)), deck[:, :, 10:].sum((1, 2))], axis=1) / 10

# %%
fig = figures.deck(deck, X_cards, y_cards, shown=(13, 12))
plots.show(
    fig,
    alt="Two cards, one with more dark cells on the left and one on the right; and all 40 cards as"
    " points in the plane, those two ringed. The two classes are two clouds on both sides of the diagonal.",
)

# %% [markdown]
# The points with $w \cdot x + b = 0$ form a straight line. On one side the neuron fires, on the other
# it does not. The geometry of this is all in $w$:
#
# - $w$ stands at right angles to the line (it is the line's **normal**) and points to the + side;
# - the **score** $z = w \cdot x + b$ says on which side $x$ is, and how far: its distance from the
#   line is $|z| / \lVert w \rVert$;
# - $b$ shifts the line without turning it.

# %% [markdown]
# ### Exercise 2 · The class — 1 point, 6 minutes, ●○○
#
# Turn scores into classes, for a whole batch of points at once: +1 on the side that $w$ points to,
# −1 on the other. A point exactly on the line counts as +1.


# %% nbgrader={"grade_id": "predict_code", "solution": true}
def predict(X: Array, w: Array, b: float) -> Array:
    """The class of each point: +1 where w·x + b ≥ 0, else −1.

    X: (N, D), one point a row; w: (D,); b: bias. Returns (N,) of −1 and +1.
    >>> predict(np.array([[3.0, 1.0], [1.0, 3.0], [2.0, 2.0]]), np.array([1.0, -1.0]), 0.0)
    array([ 1, -1,  1])
    """
    ### BEGIN SOLUTION
    return np.where(X @ w + b >= 0, 1, -1)
    ### END SOLUTION


# %% [markdown]
# <details><summary>Hint 1</summary>
#
# `X @ w` gives all N scores in one go, as an array of shape `(N,)`.
# </details>
# <details><summary>Hint 2</summary>
#
# `np.where(condition, 1, -1)` chooses between two values for each entry.
# </details>

# %% nbgrader={"grade_id": "predict", "grade": true, "points": 1}
check("predict")

# %% [markdown]
# Now be the machine yourself. Move the sliders until no card is ringed: a ring marks a card on the
# wrong side, and the line points with $w$ to the shaded side. Which of the three numbers turn the
# line, which shifts it?

# %%
figures.by_hand(
    X_cards,
    y_cards,
    w=np.array([1.0, 0.0]),
    b=-5.0,
    alt="The cards and a line at 5 dark cells on the left: 8 cards are on its wrong side.",
)

# %% [markdown]
# Write the three numbers into `w_hand` and `b_hand`. Here your own `predict` colours the plane.

# %%
w_hand, b_hand = np.array([1.0, 0.0]), -5.0

with check.needs("predict"):
    wrong = int((predict(X_cards, w_hand, b_hand) != y_cards).sum())
    fig = figures.cards_and_line(X_cards, y_cards, w_hand, b_hand, predict)
    plots.show(fig, alt=f"Your line among the cards; {wrong} cards are on the wrong side.")

# %% [markdown]
# ## 3 · Learning from a mistake
#
# Show the neuron one point $x$ with its label $y$. If it is right, leave it alone. If it is wrong, its
# score has the wrong sign, and has to change. Add $c$ times the point to the weights, and $c$ to the
# bias. What becomes of the score of that point?
#
# $$(w + c\,x) \cdot x + (b + c) \;=\; \underbrace{w \cdot x + b}_{\text{the old score}} \;+\;
# c\,\underbrace{(x \cdot x + 1)}_{\text{always positive}}$$

# %% [markdown]
# The sign of $c$ decides whether the score rises or falls, and its size by how much. Rosenblatt's
# rule takes the same size at each mistake, the **learning rate** `lr` > 0. The sign you can work out.
#
# (The paper of 1958 strengthened whatever was active. This error-correcting form is the one of his
# book of 1962 [4]; it is what "the perceptron rule" has meant since.)

# %% [markdown]
# ### Exercise 3 · The update — 2 points, 12 minutes, ●●○
#
# A correct point teaches the neuron nothing. A mistake moves the line: towards a positive point that
# was missed, away from a negative one.
#
# **Predict first.** The two marked points below are equally far from the origin, and both are
# missed. One lies far from the line, one close to it. Which of them moves $w$ more? Write your guess
# between the quotes below the picture. It has no marks, and is answered further down.

# %%
missed = np.array([[5.0, 0.0], [3.0, 4.0]])
w_line, b_line = np.array([-4.0, 3.0]), -3.0

fig = figures.far_and_close(missed, w_line, b_line)
plots.show(
    fig,
    alt="A line, and two points of class +1 on its minus side, both at distance 5 from the origin:"
    " one far from the line, one close to it.",
)

# %%
check.predict("the point that moves w more is", "", "far", "close", "same")


# %% nbgrader={"grade_id": "perceptron_update_code", "solution": true}
def perceptron_update(w: Array, b: float, x: Array, y: int, lr: float) -> tuple[Array, float]:
    """One step of Rosenblatt's rule for one labelled point.

    w: (D,) weights; b: bias; x: (D,) input; y: −1 or +1; lr: learning rate > 0.
    Returns new (w, b); the arguments are left as they were. Unchanged if x is already classified
    as y (on the line it is classified as +1, as in `predict`).
    >>> perceptron_update(np.array([0.5, 0.5]), 0.0, np.array([1.0, 2.0]), -1, lr=0.1)
    (array([0.4, 0.3]), -0.1)
    """
    ### BEGIN SOLUTION
    predicted = 1 if w @ x + b >= 0 else -1
    if predicted == y:
        return w, b
    return w + lr * y * x, b + lr * y
    ### END SOLUTION


# %% [markdown]
# <details><summary>Hint 1</summary>
#
# For a positive point that was missed the score must rise, so $c$ is positive. For a negative one it
# must fall. Which number that you are given has just this sign?
# </details>
# <details><summary>Hint 2</summary>
#
# Three steps: the class of `x` as the neuron sees it now; if it is `y`, return `w` and `b`; otherwise
# return the new ones. `w += …` would change the caller's array: write `w + …`.
# </details>

# %% nbgrader={"grade_id": "perceptron_update", "grade": true, "points": 2}
check("perceptron_update")

# %% [markdown]
# Here is your rule at work on the deck, card after card, starting from $w = 0$ and going over the deck
# until no card is missed. Each picture is one mistake. The ringed card was missed; the dashed line is
# where the line was, the solid one where your rule put it, and the arrow is the new $w$.


# %%
def run_of_your_rule(X: Array, y: Array, epochs: int) -> list[tuple]:
    """The mistakes of `perceptron_update` in order, each as (w, b, x, new w, new b)."""
    w, b, moves = np.zeros(X.shape[1]), 0.0, []
    for point, label in [*zip(X, y, strict=True)] * epochs:
        w_new, b_new = perceptron_update(w, b, point, label, lr=1.0)
        if b_new != b:  # a mistake always moves the bias
            moves.append((w, b, point, w_new, b_new))
        w, b = w_new, b_new
    return moves


# %%
with check.needs("perceptron_update"):
    moves = run_of_your_rule(X_cards, y_cards, epochs=6)
    fig = figures.mistakes_of_the_rule(moves, X_cards, y_cards)
    plots.show(fig, alt=f"The line before and after each of {len(moves)} mistakes, as it turns.")

# %% [markdown]
# At first the line jumps: a step is as long as $w$ itself. Later steps are no shorter, but $w$ has
# grown, and they turn it less and less.
#
# And your guess? Here is what your rule does on the two missed points. The weights are drawn as
# an arrow from the origin; the step is added at its tip, and points the way of $x$.

# %%
with check.needs("perceptron_update"):
    steps = [perceptron_update(w_line, b_line, point, 1, lr=0.5)[0] for point in missed]
    fig = figures.two_steps(missed, w_line, steps)
    plots.show(fig, alt="For both points: the old w, the step added at its tip, and the new w.")
    check.measured("the point that moves w more is", "same")

# %% [markdown]
# ## 4 · Again and again
#
# A step that mends one card can spoil another. So go over all points again, and again, until a whole
# **epoch** (one pass over all points) goes by without a mistake.
#
# ### Exercise 4 · The training — 2 points, 16 minutes, ●●○
#
# Start from zero weights and zero bias. Show the points in the order in which they come. Count the
# mistakes of each epoch. Stop after the first epoch without one, or after `max_epochs`: not every
# problem has a line. (Here and in exercise 7, an answer that calls scikit-learn earns nothing.)


# %% nbgrader={"grade_id": "perceptron_train_code", "solution": true}
def perceptron_train(X: Array, y: Array, lr: float = 1.0, max_epochs: int = 1000) -> tuple:
    """Train one neuron by Rosenblatt's rule.

    X: (N, D), one point a row; y: (N,) of −1 and +1; lr: learning rate; max_epochs: when to give up.
    Returns (w, b, mistakes): w (D,), b a number, mistakes a list, one whole number for each epoch.
    >>> perceptron_train(np.array([[2.0, 1.0], [1.0, 3.0]]), np.array([-1, 1]))
    (array([-4.,  3.]), -1.0, [2, 2, 1, 0])
    """
    ### BEGIN SOLUTION
    w, b, mistakes = np.zeros(X.shape[1]), 0.0, []
    for _ in range(max_epochs):
        mistakes.append(0)
        for x, label in zip(X, y, strict=True):
            if (1 if w @ x + b >= 0 else -1) != label:
                w, b = perceptron_update(w, b, x, label, lr)
                mistakes[-1] += 1
        if mistakes[-1] == 0:
            break
    return w, float(b), mistakes
    ### END SOLUTION


# %% [markdown]
# <details><summary>Hint 1</summary>
#
# Two loops: epochs outside, points inside. `perceptron_update` does the step.
# </details>
# <details><summary>Hint 2</summary>
#
# How to notice a mistake: ask for the class of `x` before the update and compare it with its label.
# </details>
# <details><summary>Hint 3</summary>
#
# Outline: w and b zero; an empty list; for each epoch: append 0; for each point: if it is missed, update
# and add 1 to the last entry; after the points: if the last entry is 0, leave. Return all three.
# </details>

# %% nbgrader={"grade_id": "perceptron_train", "grade": true, "points": 2}
check("perceptron_train")

# %% [markdown]
# Nothing in your function says "two inputs". A handwritten digit is a point too, with as many
# coordinates as its image has pixels. Here the same function sorts 0 (class +1) from 1 (class −1).

# %%
binary, binary_test = np.flatnonzero(y_train < 2), np.flatnonzero(y_test < 2)
X_01, y_01 = X_train[binary], np.where(y_train[binary] == 0, 1, -1)

with check.needs("perceptron_train", "predict"):
    _, _, mistakes = perceptron_train(X_cards, y_cards)
    w_01, b_01, mistakes_01 = perceptron_train(X_01, y_01)
    right = predict(X_test[binary_test], w_01, b_01) == np.where(y_test[binary_test] == 0, 1, -1)
    runs = {
        f"{len(y_cards)} cards, {X_cards.shape[1]} inputs": mistakes,
        f"{len(y_01):,} digits, {X_01.shape[1]} inputs": mistakes_01,
    }
    fig = figures.mistakes_per_epoch(runs, w_01.reshape(data.image_shape))
    plots.show(fig, alt="Mistakes per epoch, falling to 0; and w as an image: a light 0, a dark 1.")
    print(f"{right.mean():.1%} of {len(right):,} new images of 0 and 1 are right.")

# %% [markdown]
# ## 5 · How many mistakes at most?
#
# Suppose some line separates the points. Count the bias in: every point is $\tilde x = (x, 1)$, the
# weights are $\tilde w = (w, b)$, and the line that separates is $u$, of length 1. Two numbers describe
# the problem:
#
# - $R$ is the length of the longest $\tilde x$;
# - the **margin** $\gamma$ is the smallest $y\,(u \cdot \tilde x)$. It is positive, since $u$ has every
#   point on its own side.
#
# Training starts at $\tilde w = 0$. With `lr = 1`, a mistake adds $y \tilde x$ to $\tilde w$. What does
# that do to two numbers, $u \cdot \tilde w$ and the length of $\tilde w$?

# %% [markdown]
# **Towards $u$.** $u \cdot \tilde w$ starts at 0. Each mistake adds
# $u \cdot (y \tilde x) = y\,(u \cdot \tilde x)$ to it, and that is $\gamma$ or more. So after $k$ mistakes
# $u \cdot \tilde w \ge k\gamma$.

# %% [markdown]
# **The length.** The square of the length starts at 0, too. A mistake changes it to
#
# $$\lVert \tilde w + y \tilde x \rVert^2 = \lVert \tilde w \rVert^2 + 2y\,(\tilde w \cdot \tilde x) +
# \lVert \tilde x \rVert^2.$$
#
# The point was missed, so its score $\tilde w \cdot \tilde x$ has the other sign than $y$, or is 0: the
# middle term is not positive. The last one is at most $R^2$. So after $k$ mistakes
# $\lVert \tilde w \rVert^2 \le k R^2$.

# %% [markdown]
# **Together.** $u \cdot \tilde w$ is the length of $u$, times that of $\tilde w$, times the cosine of the
# angle between them. The length of $u$ is 1, and no cosine is larger than 1. So $u \cdot \tilde w$ is at
# most $\lVert \tilde w \rVert$, and
#
# $$k\gamma \;\le\; u \cdot \tilde w \;\le\; \lVert \tilde w \rVert \;\le\; \sqrt{k}\,R.$$
#
# Divide the two ends by $\sqrt{k}\,\gamma$ and square: $k \le (R/\gamma)^2$. That is Novikoff's theorem
# [5]: whatever the order, however many points, however many inputs.

# %% [markdown]
# ### Exercise 5 · The bound — 1 point, 16 minutes, ●●○
#
# **Predict first.** The clouds move apart until the margin $\gamma$ is twice what it was; $R$ stays.
# What is the new bound, beside the old one? Write your guess between the quotes. It has no marks.
#
# Then compute the bound of a given line. Mind two things. A line's $w$ and $b$ come in any length: first
# divide by the length of $(w, b)$. And a line that has a point on the wrong side proves nothing: there
# is no bound, and the answer is `math.inf`.

# %%
check.predict("with twice the margin, the bound is", "", "a quarter", "half", "twice", "as before")


# %% nbgrader={"grade_id": "mistake_bound_code", "solution": true}
def mistake_bound(X: Array, y: Array, w: Array, b: float) -> float:
    """Novikoff's bound (R/γ)² on the number of mistakes, from a line that separates the points.

    X: (N, D); y: (N,) of −1 and +1; w: (D,) and b: any line, of any length. R is the length of the
    longest (x, 1), γ the smallest y·(w·x + b) / length of (w, b). Returns math.inf if γ ≤ 0.
    >>> mistake_bound(np.array([[2.0, 0.0], [-2.0, 1.0]]), np.array([1, -1]), np.array([3.0, 0.0]), 0.0)
    1.5
    """
    ### BEGIN SOLUTION
    points = np.column_stack([X, np.ones(len(X))])
    line = np.append(w, b)
    margin = (y * (points @ line)).min() / np.linalg.norm(line)
    if margin <= 0:
        return math.inf
    return float((points**2).sum(axis=1).max() / margin**2)
    ### END SOLUTION


# %% [markdown]
# <details><summary>Hint 1</summary>
#
# In the example the points are (2, 0, 1) and (−2, 1, 1), so $R^2 = 6$. The line is (3, 0, 0), of length
# 3, so both points have margin 6 / 3 = 2. The bound is 6 / 4.
# </details>
# <details><summary>Hint 2</summary>
#
# `np.linalg.norm(A, axis=1)` gives the length of each row of `A`; `np.column_stack` and `np.append` put
# the 1 and the `b` where they belong.
# </details>

# %% nbgrader={"grade_id": "mistake_bound", "grade": true, "points": 1}
check("mistake_bound")

# %% [markdown]
# The proof, drawn for your own run on the deck: the length of $(w, b)$ has to stay between the two
# lines, and where they meet, it has nowhere left to go. The $\gamma$ here belongs to the widest
# street between the clouds, which a library found; your own line, being just good enough, has a
# smaller one and gives a larger bound.

# %%
from sklearn.svm import LinearSVC

tilde = np.column_stack([X_cards, np.ones(len(X_cards))])  # the points (x, 1)
widest = LinearSVC(C=1e4, loss="hinge", fit_intercept=False, max_iter=1_000_000, random_state=0)
*w_best, b_best = widest.fit(tilde, y_cards).coef_[0]

# %%
with check.needs("perceptron_update", "perceptron_train", "mistake_bound"):
    w, b, mistakes = perceptron_train(X_cards, y_cards)
    own = mistake_bound(X_cards, y_cards, w, b)
    best = mistake_bound(X_cards, y_cards, np.array(w_best), b_best)
    print(
        f"Mistakes: {sum(mistakes)}. Bound from your line: {own:,.0f}; from the widest: {best:,.0f}."
    )
    R = np.linalg.norm(tilde, axis=1).max()
    moves = run_of_your_rule(X_cards, y_cards, epochs=len(mistakes))
    lengths = [np.linalg.norm([*w_new, b_new]) for *_, w_new, b_new in moves]
    fig = figures.between_two_lines(lengths, R, best)
    plots.show(
        fig, alt="The length of your weights after each mistake, between two lines that meet."
    )

# %% [markdown]
# A bound is a promise, not a forecast: the deck took far fewer mistakes. Is it ever close? Take 300
# points in 50 dimensions, of length 1, every one of them at the edge of a street of width $2\gamma$,
# and look at your prediction.

# %%
rng = np.random.default_rng(1962)
gaps = [0.025, 0.05, 0.1, 0.2, 0.4]

with check.needs("perceptron_train", "mistake_bound"):
    made, bounds = [], []
    for gap in gaps:
        y = np.where(np.arange(300) % 2 == 1, 1, -1)
        X = rng.normal(size=(300, 50))
        X[:, 0] = 0
        X *= math.sqrt(1 - gap**2) / np.linalg.norm(X, axis=1, keepdims=True)
        X[:, 0] = gap * y
        made.append(sum(perceptron_train(X, y)[2]))
        bounds.append(mistake_bound(X, y, np.eye(50)[0], 0.0))
    fig = figures.mistakes_by_margin(gaps, {"bound": bounds, "your rule": made})
    plots.show(fig, alt="Mistakes against margin: your rule stays below the bound, in parallel.")
    print("mistakes", made, " bounds", np.round(bounds).astype(int).tolist())
    check.measured("with twice the margin, the bound is", "a quarter")

# %% [markdown]
# ## 6 · What no line does
#
# **XOR**, exclusive or: 1 if exactly one of two inputs is 1. Four points, two classes. In the picture
# on the left the diagonals cross: the centre is halfway between the two points of class 1, so a line
# that has both on its + side has the centre there too. It is also halfway between the two points of
# class 0. No line can have it on both sides.

# %% [markdown]
# Rosenblatt's machine had a first layer before this neuron, but a fixed one, wired at random. In 1969
# Marvin Minsky and Seymour Papert worked out how much stays beyond such machines; parity is one of
# their examples, and XOR is its smallest case [6]. On the right, as a cross-check: 100,000 lines drawn
# at random.

# %%
corners = np.array([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
xor = np.array([0, 1, 1, 0])
rng = np.random.default_rng(1969)
scores = corners @ rng.normal(size=(2, 100_000)) + rng.uniform(-2, 2, size=100_000)
right = ((scores >= 0) == xor[:, None]).sum(axis=0)

fig = figures.no_line(corners, xor, right)
plots.show(
    fig,
    alt="Left: the four corners of XOR, whose two diagonals cross in the centre. Right: of 100,000"
    " random lines some get one, two or three corners right, and none gets four.",
)

# %% [markdown]
# What does your rule do where there is no line? It never stops; and it goes in circles.

# %%
with check.needs("perceptron_train"):
    y = np.where(xor == 1, 1, -1)
    _, _, mistakes = perceptron_train(corners, y, max_epochs=1000)
    print("mistakes in epochs 1 to 12:    ", mistakes[:12])
    print("mistakes in epochs 989 to 1000:", mistakes[-12:])
    lines = [perceptron_train(corners, y, max_epochs=n)[:2] for n in range(1, 41)]
    print(f"different lines after 40 epochs: {len({(*w, b) for w, b in lines})}")

# %% [markdown]
# ### Exercise 6 · Two layers — 1 point, 12 minutes, ●●○
#
# Feed two neurons into a third: that is a **network** of two **layers**. Each neuron of the first layer
# draws a line; the last one sees only their answers, and it can be content with a line again.

# %% [markdown]
# Choose the weights by hand. In the first layer row $k$ of `W_first` and entry $k$ of `b_first` are the
# weights and the bias of neuron $k$; `w_last` and `b_last` are those of the last neuron. All three have
# the step. The inputs are not exact: they lie within 0.2 of a corner in $x_1$ and in $x_2$, and the answer
# must be that of the corner, anywhere in this box.
#
# (McCulloch and Pitts drew such nets in 1943. What was long missing is a rule that *learns* the first
# layer: lab 02.)


# %% nbgrader={"grade_id": "xor_network_code", "solution": true}
W_first, b_first = None, None  # (2, 2), one neuron a row, and (2,)
w_last, b_last = None, None  # (2,) and a number
### BEGIN SOLUTION
W_first, b_first = np.array([[1.0, 1.0], [1.0, 1.0]]), np.array([-0.5, -1.5])
w_last, b_last = np.array([1.0, -1.0]), -0.5
### END SOLUTION


# %%
def xor_network(x: Array) -> float:
    """What the three neurons say to an input x (2,)."""
    if any(one is None for one in (W_first, b_first, w_last, b_last)):
        raise NotImplementedError("your weights")
    first = [neuron(x, w, b, "step") for w, b in zip(W_first, b_first, strict=True)]
    return neuron(np.array(first), w_last, b_last, "step")


# %% [markdown]
# <details><summary>Hint 1</summary>
#
# The corners of class 1 lie on a diagonal, with the other two on both sides of it. Draw two lines that
# leave just this diagonal between them.
# </details>
# <details><summary>Hint 2</summary>
#
# In words: at least one of the inputs, and not both of them. Which of these can one neuron decide?
# </details>
# <details><summary>Hint 3</summary>
#
# With both weights 1 the score is $x_1 + x_2 + b$. At the corners $x_1 + x_2$ is 0, 1, 1, 2: put the
# two thresholds halfway, so that there is room for noise on both sides.
# </details>

# %% nbgrader={"grade_id": "xor_network", "grade": true, "points": 1}
check("xor_network")

# %%
with check.needs("xor_network"):
    print("corners:", [float(xor_network(corner)) for corner in corners])
    fig = figures.network(xor_network, corners, xor)
    plots.show(
        fig, alt="The plane, cut by the two lines of your first layer into bands of 0, 1 and 0."
    )

# %% [markdown]
# ## 7 · Ten neurons read digits
#
# Ten classes, ten neurons: neuron $k$ learns to say +1 to digit $k$ and −1 to the nine others. To read
# an image, ask all ten for their score, and take the highest.
#
# But a straight line through real handwriting always misses some of it, so training never comes to an
# end: when do you stop? Below, scikit-learn's perceptrons are stopped every few images and tested on
# all the new ones. Which of these moments would you hand in?

# %%
from sklearn.linear_model import Perceptron

learner, stops, accuracy = Perceptron(shuffle=False), [], []
some = min(len(X_train), 6_000)
for part in np.array_split(np.arange(some), 120):
    learner.partial_fit(X_train[part], y_train[part], classes=np.arange(10))
    stops.append(int(part[-1]) + 1)
    accuracy.append(learner.score(X_test, y_test))

fig = figures.zigzag(stops, accuracy)
plots.show(fig, alt="The accuracy on new images: it rises, but jumps up and down all the way.")
print(f"At the last 60 stops: from {min(accuracy[60:]):.1%} to {max(accuracy[60:]):.1%}.")

# %% [markdown]
# The last image that was missed has the last word, and it may be an odd one. Picking the best moment
# by looking at the test images would be cheating: they would no longer be new. But you can ask *all*
# the moments: return the **average** of the weights over all steps [7]. Odd steps cancel, common ones
# stay.

# %% [markdown]
# ### Exercise 7 · Ten neurons — 2 points, 20 minutes, ●●●
#
# Show every image to all ten neurons, in the order given, for a fixed number of epochs, with `lr` 1 and
# from zero weights. Return the averages of `W` and `b` over all N · epochs steps, mistake or not.
# In the check the last few labels are wrong, as labels sometimes are: the average should not mind.

# %% [markdown]
# Three tools of NumPy do all ten neurons at once (or write a loop over the ten):
#
# - `y[:, None]` has shape (N, 1); compared with a row of ten numbers it gives (N, 10) truth values;
# - `W[rows] += …`, with ten truth values as `rows`, changes only the rows where they are true;
# - `np.outer(a, x)` has the row `a[k] * x` for each entry of `a`.


# %% nbgrader={"grade_id": "multiclass_train_code", "solution": true}
def multiclass_train(X: Array, y: Array, epochs: int) -> tuple[Array, Array]:
    """Train ten perceptrons, neuron k to tell digit k from the rest, and average their weights.

    X: (N, D), one image a row; y: (N,) of 0 to 9; epochs: how often to go over all images.
    Returns (W, b): W (10, D), the weights of neuron k in row k, and b (10,). An image x is read as
    `(W @ x + b).argmax()`.
    """
    ### BEGIN SOLUTION
    targets = np.where(y[:, None] == np.arange(10), 1, -1)  # (N, 10)
    W, b = np.zeros((10, X.shape[1])), np.zeros(10)
    W_sum, b_sum = np.zeros_like(W), np.zeros_like(b)
    for _ in range(epochs):
        for x, target in zip(X, targets, strict=True):
            missed = np.where(W @ x + b >= 0, 1, -1) != target
            W[missed] += np.outer(target[missed], x)
            b[missed] += target[missed]
            W_sum += W
            b_sum += b
    return W_sum / (epochs * len(X)), b_sum / (epochs * len(X))
    ### END SOLUTION


# %% [markdown]
# <details><summary>Hint 1</summary>
#
# `targets = np.where(y[:, None] == np.arange(10), 1, -1)` has shape (N, 10): what each neuron should
# say to each image.
# </details>
# <details><summary>Hint 2</summary>
#
# `perceptron_update` for one neuron after the other works. All ten at once is faster: `W @ x + b` has
# shape (10,), so compare it with a row of targets and change only the rows of `W` that were wrong.
# </details>
# <details><summary>Hint 3</summary>
#
# For the average keep two sums beside `W` and `b`, add to them after every image, and divide in the end.
# </details>

# %% nbgrader={"grade_id": "multiclass_train", "grade": true, "points": 2}
check("multiclass_train")

# %% [markdown]
# The same images again, once through, and your average beside the zigzag of the last word:

# %%
with check.needs("multiclass_train"):
    prefixes, averaged = [some // 4, some // 2, 3 * some // 4, some], []
    for n in prefixes:
        W, b = multiclass_train(X_train[:n], y_train[:n], epochs=1)
        averaged.append(((X_test @ W.T + b).argmax(axis=1) == y_test).mean())
    fig = figures.zigzag(stops, accuracy, (prefixes, averaged))
    plots.show(
        fig,
        alt="Your averaged weights, four squares at the top of the zigzag of the last weights, or above.",
    )

# %% [markdown]
# Now on all the training images. (Until your function is written, the pictures below show
# scikit-learn's neurons of the opening.)

# %% tags=["headline"]
target = 0.85 if data.name == "MNIST" else 0.90

with check.needs("multiclass_train"):
    W_ten, b_ten = multiclass_train(X_train, y_train, epochs=3)
    whose = "your"

scores = X_test @ W_ten.T + b_ten
guess = scores.argmax(axis=1)
print(
    f"{data.name}: {whose} ten neurons read {np.mean(guess == y_test):.2%} of {len(y_test):,} new"
    f" images (target {target:.0%})"
)

# %% [markdown]
# And what have they learned? A neuron has no other knowledge than these weights.

# %%
draw_weights(W_ten, whose)

# %% [markdown]
# Which digits do they take for which? Each row is a digit as it was written, each column as it was
# read; the right answers, on the diagonal, are left out.

# %%
counts = np.zeros((10, 10), dtype=int)
np.add.at(counts, (y_test, guess), 1)
np.fill_diagonal(counts, 0)
fig = figures.confusion(counts)
written, read = np.unravel_index(counts.argmax(), counts.shape)
plots.show(fig, alt=f"How often each digit is read as another; most often {written} as {read}.")
print(f"Most often: {written} read as {read}, {counts.max()} times.")

# %% [markdown]
# And the worst mistakes: the images on which the wrong neuron was ahead of the right one by most. Which
# of them would you have read?

# %%
ahead = scores.max(axis=1) - scores[np.arange(len(y_test)), y_test]
worst = np.argsort(ahead)[::-1][:10]
fig = plots.image_grid(
    data.test_x[worst], titles=[f"{y_test[i]}, read {guess[i]}" for i in worst], columns=5
)
plots.show(fig, alt="The ten images that were misread by the widest margin, with both digits.")

# %% [markdown]
# ## 8 · Experiments
#
# Nothing here is graded. Change a knob, say what you expect, run.
#
# 1. `lr`: try 0.001 and 1000. Why does nothing happen? (Where do the weights start?)
# 2. `order`: `"by class"` shows all cards of one side first. Better or worse?
# 3. `spoiled`: give 3 cards the wrong label. What does the rule do now, and the bound?

# %%
lr, order, spoiled = 1.0, "as dealt", 0

with check.needs("perceptron_train", "mistake_bound"):
    y = y_cards.copy()
    y[:spoiled] *= -1
    turn = np.argsort(y, kind="stable") if order == "by class" else np.arange(len(y))
    w, b, mistakes = perceptron_train(X_cards[turn], y[turn], lr, max_epochs=60)
    fig, ax = plt.subplots(figsize=(6.4, 3))
    ax.bar(range(1, len(mistakes) + 1), mistakes, color=plots.BLUE)
    ax.set(xlabel="epoch", ylabel="mistakes", title=f"lr = {lr:g}, {order}, {spoiled} labels wrong")
    plots.show(fig, alt=f"Mistakes per epoch: {mistakes}.")
    print(f"bound {mistake_bound(X_cards, y, w, b):,.0f}, w = {w.round(3)}, b = {b:g}")

# %% [markdown]
# 4. How much of reading have the ten neurons learned? Slide the test images sideways by a pixel or
#    two. You would read them all the same. Do they? (Lab 05 builds neurons that mind less.)

# %%
shifts = range(-4, 5)
wide, width = np.pad(data.test_x, ((0, 0), (0, 0), (4, 4))), data.image_shape[1]
slid = [wide[:, :, 4 - s : 4 - s + width].reshape(len(y_test), -1) for s in shifts]
shares = [((X @ W_ten.T + b_ten).argmax(axis=1) == y_test).mean() for X in slid]

fig, ax = plt.subplots(figsize=(6.4, 3))
ax.plot(shifts, shares, "o-")
ax.set(xlabel="shift to the right (pixels)", ylabel="accuracy", ylim=(0, 1))
plots.show(
    fig, alt="The share of images right, highest without shift, falling steeply on both sides."
)

# %% [markdown]
# ## 9 · What you built is called
#
# | yours | in a library |
# |---|---|
# | `neuron`, `predict` | `torch.nn.Linear(D, 1)`, then a step |
# | `perceptron_train` | `sklearn.linear_model.Perceptron` |
# | `multiclass_train` | `sklearn.linear_model.SGDClassifier(loss="perceptron", average=True)` |
#
# On the same cards in the same order they give the same numbers. (One difference: to scikit-learn, a
# point exactly on the line is always a mistake. Here it matters only for the very first card, and that
# one is of class −1, a mistake for you too.)

# %%
import torch

with check.needs("perceptron_train", "predict"):
    w, b, mistakes = perceptron_train(X_cards, y_cards)
    theirs = Perceptron(shuffle=False, tol=None, max_iter=len(mistakes)).fit(X_cards, y_cards)
    print(f"yours         w = {w}, b = {b:g}")
    print(f"scikit-learn  w = {theirs.coef_[0]}, b = {theirs.intercept_[0]:g}")

    linear = torch.nn.Linear(2, 1, dtype=torch.float64)
    with torch.no_grad():
        linear.weight.copy_(torch.from_numpy(w)[None])
        linear.bias.fill_(b)
        fires = linear(torch.from_numpy(X_cards))[:, 0] >= 0
    agree = (np.where(fires, 1, -1) == predict(X_cards, w, b)).sum()
    print(f"torch.nn.Linear and a step agree with `predict` on {agree} of {len(y_cards)} cards.")

# %% [markdown]
# ## Further
#
# 1. Melanie Lefkowitz, *Professor's perceptron paved the way for AI – 60 years too soon*, Cornell
#    Chronicle, 25 September 2019: the 704, the cards, the fifty trials. The theory behind them: Frank
#    Rosenblatt, *The perceptron: a probabilistic model for information storage and organization in the
#    brain*, Psychological Review 65(6), 386–408, 1958, doi:10.1037/h0042519.

# %% [markdown]
# 2. Warren S. McCulloch, Walter Pitts, *A logical calculus of the ideas immanent in nervous activity*,
#    Bulletin of Mathematical Biophysics 5, 115–133, 1943, doi:10.1007/BF02478259.
# 3. John C. Hay, Ben E. Lynch, David R. Smith, *Mark I Perceptron Operators' Manual*, report
#    VG-1196-G-5, Cornell Aeronautical Laboratory, 1960.
# 4. Frank Rosenblatt, *Principles of Neurodynamics*, Spartan Books, 1962.
# 5. Albert B. J. Novikoff, *On convergence proofs on perceptrons*, Proceedings of the Symposium on the
#    Mathematical Theory of Automata, 615–622, Polytechnic Institute of Brooklyn, 1962 (no DOI).

# %% [markdown]
# 6. Marvin Minsky, Seymour Papert, *Perceptrons: An Introduction to Computational Geometry*, MIT Press,
#    1969, doi:10.7551/mitpress/11301.001.0001.
# 7. Yoav Freund, Robert E. Schapire, *Large margin classification using the perceptron algorithm*,
#    Machine Learning 37(3), 277–296, 1999, doi:10.1023/A:1007662407062: voted and averaged perceptrons,
#    on handwritten digits.
# 8. Yann LeCun, Léon Bottou, Yoshua Bengio, Patrick Haffner, *Gradient-based learning applied to
#    document recognition*, Proceedings of the IEEE 86(11), 2278–2324, 1998, doi:10.1109/5.726791: a linear
#    classifier of ten neurons misreads 12.0 % of MNIST's test images. Compare with yours.
#
# The 8×8 digits: E. Alpaydin, C. Kaynak, 1998, doi:10.24432/C50P49.
#
# **Next: lab 02, backprop.** Two layers solved XOR, but you chose their weights. There you will build
# the rule that learns them.

# %%
progress()
