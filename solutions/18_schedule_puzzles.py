# %% [markdown]
# # 18 · Schedule puzzles
# Nine boards, one of which no rank waits on once it has begun. You place every forward and backward by hand,
# against **par**: the least time and memory that a board allows. Then your best schedule runs on real ranks.
#
# The picture is the way that you will go: how idle the ranks still are where a level is solved.

# %% tags=["parameters"]
scale = ""  # smoke, cpu, gpu or multi; empty: LAB_SCALE, else chosen by the machine

# %%
from dataclasses import replace

import torch
import torch.distributed as dist
from torch import Tensor, nn

from grading.check import checks, progress
from utils import plots, ranks, settings
from utils.figures import schedule_puzzles as figures
from utils.pipeline import pictures, puzzles, schedules, shortest, trace
from utils.pipeline.delay import delays
from utils.pipeline.engine import Engine
from utils.pipeline.schedules import Action, Span

check = checks("18_schedule_puzzles")
sizes = settings.choose(
    scale, smoke={"delay": 0.04, "repeats": 1}, cpu={"delay": 0.06, "repeats": 3}
)

# %%
board = {level: make() for level, make in puzzles.LEVELS.items()}
plots.show(figures.pars(board), alt="Idle time at par: above 30 % at first, none at level 8.")

# %% [markdown]
# *A bar is the share of all ranks' time that is idle at par; at level 8, of each row from its first action to its
# last.* Each level has another board, another limit, and a trick of its own.
#
# **You will** place schedules on nine boards: full pipelines, pipelines short of memory, with a slow rank,
# with several stages a rank, with a backward in two parts, and with two directions; prove that some are
# as good as any can be; and run yours.
#
# **Not in this lab:** how schedules are made for real machines, whose actions take unequal times (a solver
# does it; see Further), and the engine that runs them (lab 15).

# %% [markdown]
# **You need** lab 14 (actions, stash, GPipe, 1F1B), and 160 minutes. All cells take less than a minute on
# a CPU.
#
# **Guesses.** Some cells ask for a guess before you know. Write one of the words between the quotes and
# run the cell; later the lab measures, and shows your guess beside the answer. Guesses have no marks.

# %% [markdown]
# ## 1 · The board
# A row is a rank. A forward `F` takes 1, a backward `B` takes 2, messages are free, and an action starts as
# soon as its rank is free and what it needs is there, as in lab 14. A rank **holds** a micro-batch from its
# forward to the end of its backward: its memory.
#
# A schedule is text: a line for each rank, actions in order, a space between them. Waits are not written.
# One micro-batch at a time, on three ranks:

# %%
one_by_one = """
F0 B0 F1 B1 F2 B2 F3 B3
F0 B0 F1 B1 F2 B2 F3 B3
F0 B0 F1 B1 F2 B2 F3 B3
"""
figures.show(board[1], one_by_one)

# %% [markdown]
# The dashed line is par, the time to reach; beside each row stands the most that its rank held. Here
# only one rank works at any time, and the line is passed twice over.
#
# The first two things that break a rule are named, each with its rank and its place in the row (steps count
# from 0). What can run of such a schedule is drawn all the same:

# %%
figures.show(board[1], "F0 F1 F2 F3 B0 B1 B2 B3\nF0 F1 B0 F2 B2 B1 F3\nB0 F0")

# %% [markdown]
# You may also **click**. In JupyterLab `figures.play(board[1])` shows a tile for each action that is still
# to be placed, a row of tiles for each rank. A click puts it at the end of the rank's row; a move against
# the rules is refused, with the reason; *take back* undoes. What is placed so far stands below as text: copy
# it into the answer's cell. Where nobody can click, the call prints the text.
#
# `figures.play(board[1], level_1)` goes on from what you have.

# %%
figures.play(board[1])

# %% [markdown]
# Where there is a rule behind a schedule, an answer may be a **program**: a function of the numbers of
# ranks and micro-batches that returns text, or a list for each rank. In a list an action is a tuple, such as
# `("F", 0)`. The check asks a program for other numbers, too: more micro-batches than ranks, or fewer, unless
# the exercise says otherwise. (Levels 2, 4 and 9 have one size alone.)
#
# **Guess:** at level 2 a rank may hold two micro-batches of four. How long does the shortest schedule take,
# measured by that of level 1?

# %%
check.predict("Half of the memory takes", "", "as long", "a sixth longer", "twice as long")

# %% [markdown]
# ### Exercise 1 · Fill, then cut — 1.25 points, 25 minutes, ●○○
# **Level 1**, `level_1`: fill the pipeline. 3 ranks, 4 micro-batches, any memory.
#
# **Level 2**, `level_2`: the same board, and no rank may hold more than 2.
#
# <details><summary>Hint 1</summary>Level 1: lab 14 had two schedules that take par.</details>
#
# <details><summary>Hint 2</summary>Level 2: the first rank has to wait until micro-batch 0 is back. What may
# the second rank do first when F2 arrives: that forward, or a backward that is there?</details>

# %% nbgrader={"grade_id": "fill_and_cut_level_1", "solution": true}
level_1 = None  # text, or a function of the numbers of ranks and micro-batches
### BEGIN SOLUTION
level_1 = """
F0 F1 F2 F3 B0 B1 B2 B3
F0 F1 F2 F3 B0 B1 B2 B3
F0 F1 F2 F3 B0 B1 B2 B3
"""
### END SOLUTION

# %% nbgrader={"grade_id": "fill_and_cut_level_2", "solution": true}
level_2 = None  # text
### BEGIN SOLUTION
level_2 = """
F0 F1 B0 F2 B1 F3 B2 B3
F0 F1 B0 B1 F2 F3 B2 B3
F0 B0 F1 B1 F2 B2 F3 B3
"""
### END SOLUTION

# %%
with check.needs("fill_and_cut"):
    figures.show(board[1], level_1)
    figures.show(board[2], level_2)

# %% nbgrader={"grade_id": "fill_and_cut", "grade": true, "points": 1.25}
check("fill_and_cut")

# %% [markdown]
# Is there nothing shorter? `shortest.possible` tries everything: a position is how many forwards and
# backwards each rank has done, what it is doing, and the time. Micro-batches are alike, so few positions
# are left, and "no" is a proof.

# %%
for par in (20, 21):
    found = shortest.possible(replace(board[2], par=par))
    answer = "yes" if found.possible else "no"
    print(f"two held, ends by {par}: {answer}, after {found.positions} positions")
words = {1: "as long", 7 / 6: "a sixth longer", 2: "twice as long"}
check.measured("Half of the memory takes", words[board[2].par / board[1].par])

# %% [markdown]
# ## 2 · Turn round at once
# With two held, time is lost; with all held, memory. Between them lies 1F1B, whose rank r holds
# $\min(p - r, m)$ (p ranks, m micro-batches) in the time of level 1. A rank that may hold one fewer than that
# costs time: on three ranks, par is 18 within 3, 2, 1 and 21 within 2, 2, 1.

# %%
for limits in ((3, 2, 1), (2, 2, 1), (3, 1, 1)):
    par = next(
        par
        for par in range(18, 40)
        if shortest.possible(replace(board[2], limits=limits, par=par)).possible
    )
    print(f"held at most {limits}: shortest {par}")

# %% [markdown]
# ### Exercise 2 · One forward, one backward — 1.25 points, 15 minutes, ●●○
# **Level 3**, `level_3`: 4 ranks, 5 micro-batches, in level 1's time, within 1F1B's limits: 4, 3, 2 and 1.
# Here a program is shorter than the text.
#
# <details><summary>Hint 1</summary>The last rank may hold one: its row is F0 B0 F1 B1 and so on. How many
# forwards does the rank before it begin with?</details>
#
# <details><summary>Hint 2</summary>As a program: rank r begins with p − r forwards, or all there are if they are
# fewer; then a backward and a forward take turns, as long as there are forwards.</details>

# %% nbgrader={"grade_id": "turn_round_level_3", "solution": true}
level_3 = None  # text, or a function of the numbers of ranks and micro-batches
### BEGIN SOLUTION


def one_forward_one_backward(ranks: int, microbatches: int) -> list[list[Action]]:
    schedule = []
    for rank in range(ranks):
        ahead = ranks - rank
        row = [("F", m) for m in range(min(ahead, microbatches))]
        for m in range(microbatches):
            row.append(("B", m))
            if m + ahead < microbatches:
                row.append(("F", m + ahead))
        schedule.append(row)
    return schedule


level_3 = one_forward_one_backward
### END SOLUTION

# %%
with check.needs("turn_round"):
    figures.show(board[3], level_3)

# %% nbgrader={"grade_id": "turn_round", "grade": true, "points": 1.25}
check("turn_round")

# %% [markdown]
# ## 3 · A slow rank
# On the next board the middle stage takes twice as long: 2 forward, 4 backward. Whatever the others do, the
# row is no quicker than its slowest rank: a perfect schedule keeps *that* rank at work from its first action
# to its last, and all else fits round it.
#
# 1F1B does not. Its middle rank waits once, at the start, after two forwards: a third would have filled the
# wait.

# %%
one_f_one_b = """
F0 F1 F2 B0 F3 B1 B2 B3
F0 F1 B0 F2 B1 F3 B2 B3
F0 B0 F1 B1 F2 B2 F3 B3
"""
figures.show(board[4], one_f_one_b)

# %% [markdown]
# ### Exercise 3 · A slow rank — 1.5 points, 20 minutes, ●●○
# **Level 4**, `level_4`: 3 ranks, 4 micro-batches, the middle one slow. It may hold one more than under
# 1F1B: the limits are 3, 3, 1.
#
# **And by hand:** with a hundred micro-batches on this board, and enough memory, when does the shortest
# schedule end? Put the number into `hundred`, in forwards of the first rank.
#
# <details><summary>Hint 1</summary>What can the middle rank do from 5 on, while it waits for its first
# gradient?</details>
#
# <details><summary>Hint 2</summary>By hand: at which time does the slow rank begin, how long does it work,
# and what comes after its last action?</details>

# %% nbgrader={"grade_id": "uneven_stages_level_4", "solution": true}
level_4 = None  # text
### BEGIN SOLUTION
level_4 = """
F0 F1 F2 B0 F3 B1 B2 B3
F0 F1 F2 B0 B1 F3 B2 B3
F0 B0 F1 B1 F2 B2 F3 B3
"""
### END SOLUTION

# %% nbgrader={"grade_id": "uneven_stages_hundred", "solution": true}
hundred = None  # in forwards of the first rank
### BEGIN SOLUTION
hundred = 603  # 1 until it can begin, 100 · 6 of work, and 2 for the last backward of rank 0
### END SOLUTION

# %%
with check.needs("uneven_stages"):
    figures.show(board[4], level_4)

# %% nbgrader={"grade_id": "uneven_stages", "grade": true, "points": 1.5}
check("uneven_stages")

# %% [markdown]
# ## 4 · Two chunks a rank
# Part of the **bubble**, the time in which ranks idle, is the time until the last rank can begin. Cut the network into 2p stages instead of p
# and give rank r the **chunks** r and r + p: the first forward is at the last rank after p − 1 *short*
# actions. This is the interleaved schedule of Megatron-LM (Narayanan and others 2021).

# %% [markdown]
# On this board an action begins with the number of its stage. Two ranks: rank 0 has the stages 0 and 2, so
# `0F0`, `2F0`, `2B0`, `0B0`; rank 1 has 1 and 3. A micro-batch goes 0, 1, 2, 3 and back, twice past each
# rank. A chunk's forward takes 1 and its backward 2, and each chunk counts where it is held. In the
# picture `0a` is micro-batch 0 in a rank's first chunk, `0b` in its second.

# %%
not_interleaved = """
0F0 2F0 2B0 0B0 0F1 2F1 2B1 0B1 0F2 2F2 2B2 0B2 0F3 2F3 2B3 0B3
1F0 3F0 3B0 1B0 1F1 3F1 3B1 1B1 1F2 3F2 3B2 1B2 1F3 3F3 3B3 1B3
"""
figures.show(board[5], not_interleaved)

# %% [markdown]
# ### Exercise 4 · Two chunks a rank — 1.25 points, 25 minutes, ●●●
# **Level 5**, `level_5`: 2 ranks, 4 micro-batches, at most 5 chunks held on a rank. (A program:
# micro-batches a multiple of the ranks, at most 3p − 1 chunks held.)
#
# <details><summary>Hint 1</summary>Rank 1 never idles from its first action to its last. Micro-batches go round in
# pairs: 0F0 0F1, and then the same two on stage 2.</details>
#
# <details><summary>Hint 2</summary>Rank 1 is the one to turn round: at which time is 3F0 done, and what should
# follow it at once?</details>
#
# <details><summary>Hint 3</summary>After a start of forwards a backward and a forward take turns on both
# ranks. Rank 0 starts with five.</details>

# %% nbgrader={"grade_id": "two_chunks_level_5", "solution": true}
level_5 = None  # text, or a function of the numbers of ranks and micro-batches
### BEGIN SOLUTION
level_5 = """
0F0 0F1 2F0 2F1 0F2 2B0 0F3 2B1 2F2 0B0 2F3 0B1 2B2 2B3 0B2 0B3
1F0 1F1 3F0 3B0 3F1 3B1 1F2 1B0 1F3 1B1 3F2 3B2 3F3 3B3 1B2 1B3
"""
### END SOLUTION

# %%
with check.needs("two_chunks"):
    figures.show(board[5], level_5)

# %% nbgrader={"grade_id": "two_chunks", "grade": true, "points": 1.25}
check("two_chunks")

# %% [markdown]
# Two whole stages on two ranks would take 2 + 4 for each of four micro-batches, and 6 more: 30 on this
# clock. What is won is paid in messages: a micro-batch changes ranks three times on its way down instead of
# once.

# %% [markdown]
# ## 5 · A backward in two parts
# A backward computes two gradients. The rank before waits for that of the *input*, `I`; nobody waits for
# that of the *weights*, `W`, before the update (Qi and others 2024). So `I` is passed on at once, and `W` is
# work to be put wherever a rank would idle. `F`, `I` and `W` take 1 each, `W` comes after the `I` of its
# micro-batch, and the micro-batch is held to the end of its `W`.
#
# **Guess:** does the split make a rank's work, the sum of all its actions, shorter or longer?

# %%
check.predict("The split makes a rank's work", "", "shorter", "as long", "longer")

# %% [markdown]
# ### Exercise 5 · A backward in two parts — 0.75 points, 10 minutes, ●●○
# **Level 6**, `level_6`: 2 ranks, 3 micro-batches, any memory. With whole backwards the shortest takes 12.
# (A program is asked for at least as many micro-batches as ranks.)
#
# <details><summary>Hint 1</summary>The last rank begins at 1 and has 9 to do: it may not wait once. And nothing
# that it does late may be waited for.</details>
#
# <details><summary>Hint 2</summary>Which of the last rank's actions does rank 0 wait for? Do those first.
# </details>

# %% nbgrader={"grade_id": "split_backward_level_6", "solution": true}
level_6 = None  # text, or a function of the numbers of ranks and micro-batches
### BEGIN SOLUTION
level_6 = """
F0 F1 I0 W0 F2 I1 W1 I2 W2
F0 I0 F1 I1 W0 F2 I2 W1 W2
"""
### END SOLUTION

# %%
with check.needs("split_backward"):
    figures.show(board[6], level_6)
    if board[6].solved(level_6):
        timeline = board[6].timeline(board[6].schedule(level_6))
        work = sum(span.end - span.start for span in timeline.work if span.rank == 0)
        print(f"rank 0 works for {work:g}; with whole backwards for {3 * (1 + 2)}")
        words = {-1: "shorter", 0: "as long", 1: "longer"}
        check.measured("The split makes a rank's work", words[(work > 9) - (work < 9)])

# %% nbgrader={"grade_id": "split_backward", "grade": true, "points": 0.75}
check("split_backward")

# %% [markdown]
# The work is what it was; only its order is freer. The work that is put off is held meanwhile, though. How
# much of the gain is left in the memory that 1F1B has?

# %% [markdown]
# ### Exercise 6 · In 1F1B's memory — 1.25 points, 20 minutes, ●●●
# **Level 7**, `level_7`: 3 ranks, 5 micro-batches, and no rank may hold more than 3, which is what 1F1B
# holds on its first rank. Qi and others call the schedule ZB-H1. (A program is asked for other sizes: each of p
# ranks may hold p then, and there are at least p micro-batches.)
#
# <details><summary>Hint 1</summary>Every rank may hold three, also the last one, which under 1F1B held one. It
# can put off two W's, the middle rank one.</details>
#
# <details><summary>Hint 2</summary>Rank r begins with p − r forwards. Then in turn: I, a W that is due, a
# forward.</details>

# %% nbgrader={"grade_id": "within_memory_level_7", "solution": true}
level_7 = None  # text, or a function of the numbers of ranks and micro-batches
### BEGIN SOLUTION


def zero_bubble(ranks: int, microbatches: int) -> list[list[Action]]:
    schedule = []
    for rank in range(ranks):
        ahead = ranks - rank
        row = [("F", m) for m in range(ahead)]
        for m in range(microbatches):
            row.append(("I", m))
            if m >= rank:
                row.append(("W", m - rank))
            if m + ahead < microbatches:
                row.append(("F", m + ahead))
        schedule.append(row + [("W", m) for m in range(microbatches - rank, microbatches)])
    return schedule


level_7 = zero_bubble
### END SOLUTION

# %%
with check.needs("within_memory"):
    figures.show(board[7], level_7)

# %% nbgrader={"grade_id": "within_memory", "grade": true, "points": 1.25}
check("within_memory")

# %% [markdown]
# ## 6 · Rows without a gap
# Nothing can end sooner than level 7 does: the last rank begins at p − 1 and then has its own work. But look at
# the corners. Rank 0 begins first and, if it never waits, is done first; its next batch could begin right then.
# Batch after batch, what counts is how long a *row* is: from a rank's own first action to its own last. (So the
# board has no dashed line.)
#
# For that no rank may wait for the others before its update. Qi and others update first, and take back an
# update that turns out to be wrong (a gradient that had to be clipped, or is not finite).

# %% [markdown]
# ### Exercise 7 · Rows without a gap — 1.5 points, 20 minutes, ●●●
# **Level 8**, `level_8`: 3 ranks, 5 micro-batches, and par is for the longest row: 15, the work alone. Up to
# 2p − 1 = 5 may be held: ZB-H2. (A program is asked for at least 2p − 1 micro-batches.)
#
# **And by hand:** how many micro-batches does rank 0 of *eight* ranks hold at least if its row has no gap? Put
# the number into `held_by_8`.
#
# <details><summary>Hint 1</summary>At which time is rank 0's first gradient there? What can it do until then?
# </details>
#
# <details><summary>Hint 2</summary>The middle rank is two actions nearer to its first gradient. So it begins
# with two forwards fewer; what fills its end?</details>

# %% nbgrader={"grade_id": "no_gap_level_8", "solution": true}
level_8 = None  # text, or a function of the numbers of ranks and micro-batches
### BEGIN SOLUTION
level_8 = """
F0 F1 F2 F3 F4 I0 W0 I1 W1 I2 W2 I3 W3 I4 W4
F0 F1 F2 I0 F3 I1 F4 I2 W0 I3 W1 I4 W2 W3 W4
F0 I0 F1 I1 F2 I2 F3 I3 F4 I4 W0 W1 W2 W3 W4
"""
### END SOLUTION

# %% nbgrader={"grade_id": "no_gap_held", "solution": true}
held_by_8 = None  # a whole number
### BEGIN SOLUTION
held_by_8 = 15  # 8 forwards and 7 backwards until its own first one: 15 forwards meanwhile
### END SOLUTION

# %%
with check.needs("no_gap"):
    figures.show(board[8], level_8)

# %% nbgrader={"grade_id": "no_gap", "grade": true, "points": 1.5}
check("no_gap")

# %% [markdown]
# ## 7 · Both ways
# Another trick, with whole backwards: while the first micro-batches travel down, the ranks below idle. So let
# half of the micro-batches enter at the *other* end. Each rank then holds two stages: rank r has stage r for
# those that go down, and stage p − 1 − r for those that go up. This is Chimera (Li and Hoefler 2021).

# %% [markdown]
# On the board, micro-batches 0 and 1 go down from rank 0, 2 and 3 go up from rank 3. `F2` on rank 3 needs
# nothing; on rank 2 it needs rank 3's `F2`. Backwards come the other way.
#
# **Guess:** one way, four ranks and four micro-batches take 21, of which 9 are idle. How much of that remains?

# %%
check.predict("Both ways, of one way's idle time remains", "", "all", "less than half", "nothing")

# %% [markdown]
# ### Exercise 8 · Both ways — 1.25 points, 25 minutes, ●●●
# **Level 9**, `level_9`: 4 ranks, 4 micro-batches, two each way, at most 3, 4, 4, 3 held.
#
# **And decide:** the weights of *one* stage fill two thirds of a rank's memory. Which of these cannot run
# there: `"1f1b"`, `"two chunks"` (each half a stage), `"rows without a gap"`, `"both ways"`? Put the word into
# `too_large`.
#
# <details><summary>Hint 1</summary>Find the rows of ranks 0 and 1. Those of 3 and 2 are the same, with 0 and 2
# exchanged, and 1 and 3.</details>
#
# <details><summary>Hint 2</summary>Rank 0 starts with its own two forwards. F2 reaches it at 3; turn it round at
# once. Rank 1 does four forwards first.</details>

# %% nbgrader={"grade_id": "both_ways_level_9", "solution": true}
level_9 = None  # text
### BEGIN SOLUTION
level_9 = """
F0 F1 F2 B2 F3 B3 B0 B1
F0 F2 F1 F3 B2 B0 B3 B1
F2 F0 F3 F1 B0 B2 B1 B3
F2 F3 F0 B0 F1 B1 B2 B3
"""
### END SOLUTION

# %% nbgrader={"grade_id": "both_ways_too_large", "solution": true}
too_large = None  # a word
### BEGIN SOLUTION
too_large = "both ways"
### END SOLUTION

# %%
with check.needs("both_ways"):
    figures.show(board[9], level_9)
    if board[9].solved(level_9):
        idle = board[9].timeline(board[9].schedule(level_9)).end - 4 * (1 + 2)
        print(f"a rank idles for {idle:g}; one way for 9")
        words = "nothing" if idle == 0 else "less than half" if idle < 4.5 else "all"
        check.measured("Both ways, of one way's idle time remains", words)

# %% nbgrader={"grade_id": "both_ways", "grade": true, "points": 1.25}
check("both_ways")

# %% [markdown]
# ## 8 · Where par comes from
# For each board everything was tried: is there a schedule that takes one less, and is there one in par's time
# that holds one fewer on any one rank?


# %%
def fewer(puzzle: puzzles.Puzzle) -> list[puzzles.Puzzle]:
    """The same board with one fewer held on rank 0, on rank 1 and so on."""
    ranks = range(puzzle.ranks)
    limits = [[most - (r == rank) for r, most in enumerate(puzzle.limits)] for rank in ranks]
    return [replace(puzzle, limits=tuple(one)) for one in limits]


print("level                        par  one sooner?  one fewer held?  positions")
for level, puzzle in board.items():
    found = [shortest.possible(one) for one in fewer(puzzle)]
    held = "yes" if any(one.possible for one in found) else "no"
    sooner = "no"  # where it is of rows, which are at least as long as their work
    if not puzzle.rows:
        found.append(shortest.possible(replace(puzzle, par=puzzle.par - 1)))
        sooner = "yes" if found[-1].possible else "no"
    tried, name = sum(one.positions for one in found), f"{level} {puzzle.title}"
    print(f"{name:27} {puzzle.par:4} {sooner:>12} {held:>16} {tried:10}")

# %% [markdown]
# Par for time is proven on every board; at level 8 no search is needed, as a row is at least as long as its
# work. Where the last question has a "no", the memory is proven, too: 1F1B's at level 3 is the least there is,
# on every rank. Where it has a "yes", a level asks for less than could be done: at levels 1 and 6 memory does
# not count, at level 5 the limit is what Megatron-LM's schedule holds, and at levels 2 and 8 one rank alone
# could do with one fewer.

# %% [markdown]
# For other numbers of ranks and micro-batches par is that of the papers, and of a bound: with equal stages the
# last rank begins after p − 1 forwards, has its own work, and whole backwards then go up p − 1 ranks.

# %% [markdown]
# ## 9 · On real ranks
# Three processes, and stages that sleep instead of computing, as in lab 15: `torch.distributed.pipelining`
# runs *your* actions. First 1F1B with whole backwards, then your level 7. (Torch's engine has one direction:
# level 9 stays on paper.)


# %%
def on_ranks(schedule: list[list[Action]], seconds: float) -> list[Span]:
    """What this rank did when. seconds: of a forward; a backward sleeps twice as long."""
    recorder, microbatches = trace.Recorder(dist.get_rank()), 1 + max(m for _, m in schedule[0])
    stages = delays(schedule, seconds, 2 * seconds, recorder)
    engine = Engine(schedule, stages, torch.zeros(1, 4), lambda output, target: output.mean())
    engine.step(torch.zeros(microbatches, 4), torch.zeros(microbatches, 4))
    return recorder.spans


def measured(schedule: list[list[Action]]) -> schedules.Timeline:
    """The quickest of `sizes.repeats` runs on three processes, in milliseconds."""
    tries = [
        trace.merge(ranks.run(on_ranks, 3, schedule, sizes.delay, device="cpu"))
        for _ in range(sizes.repeats)
    ]
    return min(tries, key=lambda timeline: timeline.end)


# %%
whole = schedules.parse(
    """F0 F1 F2 B0 F3 B1 F4 B2 B3 B4
       F0 F1 B0 F2 B1 F3 B2 F4 B3 B4
       F0 B0 F1 B1 F2 B2 F3 B3 F4 B4"""
)
ran = {"1F1B": measured(whole)}
with check.needs("within_memory"):
    ran["your level 7"] = measured(board[7].schedule(level_7))
    alt = "As they ran: your level 7 ends sooner than 1F1B, with weights' gradients in the gaps."
    plots.show(pictures.compare(ran), alt=alt)

# %% tags=["headline"]
with check.needs("within_memory"):
    yours, name = board[7].schedule(level_7), "your level 7"
    law = {"1F1B": schedules.simulate(whole), name: board[7].timeline(yours)}
    for one, timeline in ran.items():
        print(f"{one}: bubble {timeline.bubble():.3f}, on paper {law[one].bubble():.3f}")
    share, paper = (timelines[name].end / timelines["1F1B"].end for timelines in (ran, law))
    print(f"{name} takes {share:.2f} of 1F1B's time (on paper {paper:.2f}, target below 0.9)")

# %% [markdown]
# *As they ran on three processes.* (On the first rank nobody waits for an I: torch runs both parts where W stands,
# and the picture shows them there, W first.) Measured, a bubble also holds what starting and sending take. And does a schedule of yours train? A network of three stages on torch's
# engine, with your actions, beside one process:


# %%
def stages_and_data() -> tuple[list[nn.Module], Tensor, Tensor]:
    torch.manual_seed(0)
    stages: list[nn.Module] = [nn.Sequential(nn.Linear(8, 8), nn.Tanh()) for _ in range(3)]
    return stages, torch.randn(20, 8), torch.randn(20, 8)


def trained(schedule: list[list[Action]]) -> tuple[float | None, list[Tensor]]:
    stages, X, y = stages_and_data()
    engine = Engine(schedule, stages, X[:4], nn.functional.mse_loss)
    loss = engine.step(X, y)
    return loss, [p.grad for p in engine.module.parameters() if p.grad is not None]


# %%
with check.needs("within_memory", "no_gap"):
    stages, X, y = stages_and_data()
    loss = nn.functional.mse_loss(nn.Sequential(*stages)(X), y)
    loss.backward()
    alone = [p.grad for stage in stages for p in stage.parameters() if p.grad is not None]
    for level, answer in ((7, level_7), (8, level_8)):
        parts = ranks.run(trained, 3, board[level].schedule(answer), device="cpu")
        mine = [gradient for _, part in parts for gradient in part]
        gaps = [(a - b).abs().max().item() for a, b in zip(mine, alone, strict=True)]
        print(
            f"level {level}: loss {parts[-1][0]:.6f} ({loss.item():.6f}), gradients {max(gaps):.0e} apart"
        )

# %% [markdown]
# Equal up to rounding: a schedule decides when, not what.
#
# ## 10 · Experiments
# - Level 5 within 4 chunks on each rank: `replace(board[5], limits=(4, 4))` is its board. The search says that
#   there is a solution. Megatron-LM's holds 5.
# - Level 4 with the *last* rank slow: `replace(board[4], forward=(1, 1, 2), backward=(2, 2, 4))`. What is the
#   shortest time, and does 1F1B reach it? The search answers both.
# - Level 9 with 3 held on every rank: raise `par` until the search says yes. By how much?
# - Level 7 within 2 on each rank: what is left of the gain?
# - Run level 8 with `measured`. `board[8].time(…)` is its longest row: is that shorter than level 7's?

# %% [markdown]
# ## 11 · What you built is called
# | yours | elsewhere |
# |---|---|
# | `level_1` | `torch.distributed.pipelining.ScheduleGPipe` |
# | `level_3` | `Schedule1F1B` |
# | `level_5` | `ScheduleInterleaved1F1B`; virtual pipeline stages in Megatron-LM |
# | `level_7`, in spirit | `ScheduleInterleavedZeroBubble` |
# | a zero bubble in 1F1B's memory, with two chunks a rank | `ScheduleZBVZeroBubble` |
# | `level_9`, cut in half | `ScheduleDualPipeV`, after DeepSeek-V3's DualPipe |
# | `shortest.possible` | a job-shop problem; in Qi and others an integer program |

# %% [markdown]
# ## 12 · Further
# - Huang and others (2019), *GPipe*, [arXiv:1811.06965](https://arxiv.org/abs/1811.06965): level 1.
# - Narayanan and others (2021), *Memory-efficient pipeline-parallel DNN training*,
#   [arXiv:2006.09503](https://arxiv.org/abs/2006.09503): level 3, as PipeDream-flush.
# - Narayanan and others (2021), *Efficient large-scale language model training on GPU clusters using
#   Megatron-LM*, [arXiv:2104.04473](https://arxiv.org/abs/2104.04473): level 5.
# - Qi, Wan, Huang, Lin (2024), *Zero bubble pipeline parallelism*,
#   [arXiv:2401.10241](https://arxiv.org/abs/2401.10241): levels 6 to 8, up to 23 % over 1F1B in similar memory, and
#   31 % with more; schedules for measured times, found by a solver.
# - Li, Hoefler (2021), *Chimera*, [arXiv:2107.06925](https://arxiv.org/abs/2107.06925): level 9; up to half of the
#   bubbles of other synchronous schedules.
#
# **Next:** in lab 19 a network finds things in a picture, and counts them.

# %%
progress()
