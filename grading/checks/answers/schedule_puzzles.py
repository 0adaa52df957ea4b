"""The answers of lab 18, by the lab's own names, and the mistakes that are known."""

import inspect
import sys

from grading.checks.mistakes import Known, Mistake, Table

level_1 = "F0 F1 F2 F3 B0 B1 B2 B3\n" * 3
level_2 = """
F0 F1 B0 F2 B1 F3 B2 B3
F0 F1 B0 B1 F2 F3 B2 B3
F0 B0 F1 B1 F2 B2 F3 B3
"""
level_4 = """
F0 F1 F2 B0 F3 B1 B2 B3
F0 F1 F2 B0 B1 F3 B2 B3
F0 B0 F1 B1 F2 B2 F3 B3
"""
level_5 = """
0F0 0F1 2F0 2F1 0F2 2B0 0F3 2B1 2F2 0B0 2F3 0B1 2B2 2B3 0B2 0B3
1F0 1F1 3F0 3B0 3F1 3B1 1F2 1B0 1F3 1B1 3F2 3B2 3F3 3B3 1B2 1B3
"""
level_6 = """
F0 F1 I0 W0 F2 I1 W1 I2 W2
F0 I0 F1 I1 W0 F2 I2 W1 W2
"""
level_8 = """
F0 F1 F2 F3 F4 I0 W0 I1 W1 I2 W2 I3 W3 I4 W4
F0 F1 F2 I0 F3 I1 F4 I2 W0 I3 W1 I4 W2 W3 W4
F0 I0 F1 I1 F2 I2 F3 I3 F4 I4 W0 W1 W2 W3 W4
"""
level_9 = """
F0 F1 F2 B2 F3 B3 B0 B1
F0 F2 F1 F3 B2 B0 B3 B1
F2 F0 F3 F1 B0 B2 B1 B3
F2 F3 F0 B0 F1 B1 B2 B3
"""
hundred = 603
held_by_8 = 15
too_large = "both ways"


def level_3(ranks, microbatches):
    return [_row(ranks - rank, microbatches) for rank in range(ranks)]


def level_7(ranks, microbatches):
    return [_row(ranks - rank, microbatches, put_off=rank) for rank in range(ranks)]


def _row(ahead, microbatches, put_off=None):
    """`ahead` forwards, then a backward and a forward in turn. put_off: by so many micro-batches W
    comes after its I; None for whole backwards."""
    row = [("F", m) for m in range(min(ahead, microbatches))]
    for m in range(microbatches):
        row.append(("B" if put_off is None else "I", m))
        if put_off is not None and m >= put_off:
            row.append(("W", m - put_off))
        if m + ahead < microbatches:
            row.append(("F", m + ahead))
    left = range(max(0, microbatches - (put_off or 0)), microbatches)
    return row + [("W", m) for m in left]


_ROW = inspect.getsource(_row)  # for the mistakes, whose code stands alone

# What is wrong with what was written, by a piece of what the reader of schedules says.
UNREADABLE = (
    ("rank", "Write the actions alone, a line for each rank: the first line is rank 0's."),
    (",", "Between actions stands a space, and nothing else."),
    (":", "Write the actions alone, a line for each rank: the first line is rank 0's."),
    ("'-", "A wait is not written down: a rank waits by itself."),
    ("'.", "A wait is not written down: a rank waits by itself."),
    ("'|", "Between actions stands a space, and nothing else."),
    (";", "Each rank has a line of its own."),
)
TOGETHER = "Between actions stands a space."
LOWER = "The letters are capitals: F, B, I, W."
NUMBERLESS = "An action is a letter and the number of its micro-batch, such as F0."

# What breaks a rule, by a piece of what the validator says.
UNRUNNABLE = (
    ("one for each", "Each rank has a line of its own, the first one rank 0's."),
    (
        "whole",
        "In this level a backward is whole: B. It has its two parts, I and W, from level 6 on.",
    ),
    ("in parts", "In this level a backward has two parts: I, and W some time after it."),
    ("its stage", "Here an action begins with its stage, as in 2F0: a rank holds two."),
    ("no stage", "On this board an action has no stage before its letter: F0, not 0F0."),
    ("elsewhere", "With p ranks, rank r holds the stages r and r + p, and no others."),
    ("before its forward", "A backward needs what its forward left behind: first F, then B or I."),
    (
        "before that of its input",
        "W comes after the I of the same micro-batch: it uses the gradient that I got.",
    ),
    ("backward is done already", "A backward is either whole, B, or in two parts, I and W."),
    (
        "deadlock both ways",
        "Each of these ranks waits for another one to go on first. What enters at rank 3 goes forward"
        " there first and on rank 0 last, what enters at rank 0 the other way round; and no backward"
        " comes before its forwards further on.",
    ),
    (
        "deadlock chunks",
        "Each of these ranks waits for another one to go on first: all ranks take micro-batches in one"
        " order, and a micro-batch comes back through its later chunk first.",
    ),
    (
        "deadlock",
        "Each of these ranks waits for another one to go on first: take micro-batches in the same"
        " order on all ranks that they pass, and no backward before its forwards further on.",
    ),
    ("for a second time", "Every micro-batch goes forward once and back once on each rank."),
    (
        "there is no micro-batch",
        "Micro-batches count from 0 to m − 1: does a row go forward once more than there are, or"
        " begin with more forwards than there are?",
    ),
    ("a tuple with its stage", 'In a list an action is a tuple with its stage, such as ("0F", 0).'),
    ("is no action;", 'In a list an action is a tuple of a kind and a number, such as ("F", 0).'),
    ("should be a list", "A schedule has a list of actions for each rank."),
    ("the forward of", "Every rank does all micro-batches: a forward is left out here."),
    (
        "a part is missing",
        "What went forward has to come back on every rank, in both parts: is an I or a W forgotten?",
    ),
    (
        "the backward of",
        "What went forward has to come back on every rank: once there are no forwards left, the"
        " backwards that are left close the row.",
    ),
)

# Why a schedule takes longer than par.
ONE_AT_A_TIME = (
    "Only one rank works at any time: the next micro-batch waits until the one before is back. Send"
    " others in meanwhile."
)
FORWARD_LATE = (
    "A rank waits although it could go forward meanwhile, and may hold one more: that forward comes"
    " too late in its row."
)
BACK_LATE = (
    "A rank waits although a micro-batch could go back on it meanwhile: that backward comes too late"
    " in its row."
)
W_LATE = "A rank waits although a W of its own could fill the gap: it comes later in its row."
W_FIRST = (
    "A W goes first although something is ready that another rank waits for. Nobody waits for a W:"
    " put it off to where its rank would idle."
)
FORWARD_FIRST = (
    "A rank goes forward although a backward is ready, and the ranks on its way back wait for it:"
    " here the backward comes first."
)
BACK_FIRST = (
    "A rank goes back although a forward is ready that a later rank waits for: here the forward comes"
    " first."
)
ANOTHER_FIRST = (
    "Two micro-batches stand in the wrong order on a rank: the one goes first that another rank waits"
    " for, and then the one that only this rank still has."
)
FROM_ONE_END = (
    "The last rank begins with a wait, though half of the micro-batches enter on it: it is their"
    " first rank."
)
OTHER_ORDERS = (
    "Micro-batches go through the ranks in different orders, so that each rank waits for another one"
    " first: take them in the same order everywhere."
)
LAST_ORDER = (
    "On the last rank two micro-batches stand in the wrong order: it takes first what comes first, and"
    " the ranks before it get the gradients in that order."
)
UNEXPLAINED = (
    "No single move makes it shorter. In the picture, look for the first rank that waits: for whose"
    " action, and what does that rank do before it?"
)
WAITS = (FORWARD_LATE, BACK_LATE, W_LATE)
SWAPPED = "A program gets the number of ranks first, and then that of micro-batches."

# Why a rank holds more than it may.
ALL_FORWARDS = (
    "On this rank all forwards come before the first backward, as in GPipe: so all its micro-batches"
    " are held at once."
)
W_PUT_OFF = (
    "A micro-batch is held up to the end of its W, and W's are put off too far here: one of them has"
    " to come before the next forward."
)
TOO_FAR_AHEAD = (
    "A rank is too far ahead: one more of its backwards has to come before that forward."
)

_ONE_BY_ONE_3 = "F0 B0 F1 B1 F2 B2 F3 B3\n" * 3


def _text(name, rows):
    """The code of an answer that gives this text."""
    return f'{name} = """{rows}"""'


def _without(rows, *words):
    """The rows without these words, wherever they stand."""
    lines = [[word for word in line.split() if word not in words] for line in rows.splitlines()]
    return "\n".join(" ".join(line) for line in lines if line)


_GPIPE_5 = "F0 F1 F2 F3 F4 B0 B1 B2 B3 B4\n" * 4

_FILL = [
    Mistake(
        "fill_and_cut", "one at a time", 0.9, "Only one rank works", _text("level_1", _ONE_BY_ONE_3)
    ),
    Mistake(
        "fill_and_cut",
        "one at a time within two",
        0.75,
        "Only one rank works",
        _text("level_2", _ONE_BY_ONE_3),
    ),
    Mistake(
        "fill_and_cut",
        "an array of lines",
        0.65,
        "should be text",
        'import numpy\nlevel_1 = numpy.array(["F0 F1 F2 F3 B0 B1 B2 B3"] * 3)',
    ),
    Mistake(
        "fill_and_cut",
        "stages before the letters",
        0.65,
        "has no stage before its letter",
        _text(
            "level_1",
            "\n".join(f"{r}F0 {r}F1 {r}F2 {r}F3 {r}B0 {r}B1 {r}B2 {r}B3" for r in range(3)),
        ),
    ),
    Mistake("fill_and_cut", "GPipe within two", 0.75, "as in GPipe", _text("level_2", level_1)),
    Mistake(
        "fill_and_cut",
        "three held",
        0.75,
        "too far ahead",
        _text(
            "level_2",
            "F0 F1 F2 B0 F3 B1 B2 B3\nF0 F1 B0 F2 B1 F3 B2 B3\nF0 B0 F1 B1 F2 B2 F3 B3",
        ),
    ),
    Mistake(
        "fill_and_cut",
        "1F1B's middle rank",
        0.75,
        "that backward comes too late",
        _text(
            "level_2",
            "F0 F1 B0 F2 B1 F3 B2 B3\nF0 F1 B0 F2 B1 F3 B2 B3\nF0 B0 F1 B1 F2 B2 F3 B3",
        ),
    ),
    Mistake(
        "fill_and_cut", "backward first", 0.65, "first F, then B", _text("level_1", "B0 F0\n" * 3)
    ),
    Mistake(
        "fill_and_cut",
        "two ranks",
        0.65,
        "a line of its own",
        _text("level_1", "F0 F1 F2 F3 B0 B1 B2 B3\n" * 2),
    ),
    Mistake(
        "fill_and_cut",
        "commas",
        0.65,
        "stands a space",
        _text("level_1", level_1.replace(" ", ", ")),
    ),
    Mistake(
        "fill_and_cut", "small letters", 0.65, "are capitals", _text("level_1", level_1.lower())
    ),
    Mistake(
        "fill_and_cut",
        "ranks named",
        0.65,
        "the first line is rank 0's",
        _text("level_1", "rank 0: F0 F1 F2 F3 B0 B1 B2 B3\nrank 1: F0\nrank 2: F0"),
    ),
    Mistake(
        "fill_and_cut",
        "no numbers",
        0.65,
        "the number of its micro-batch",
        _text("level_1", "F F F F B B B B\n" * 3),
    ),
    Mistake(
        "fill_and_cut",
        "three micro-batches",
        0.65,
        "a forward is left out",
        _text("level_1", _without(level_1, "F3", "B3")),
    ),
    Mistake(
        "fill_and_cut",
        "never back",
        0.65,
        "has to come back",
        _text("level_1", "F0 F1 F2 F3\n" * 3),
    ),
    Mistake(
        "fill_and_cut",
        "counted from 1",
        0.65,
        "count from 0",
        _text("level_1", "F1 F2 F3 F4 B1 B2 B3 B4\n" * 3),
    ),
    Mistake(
        "fill_and_cut",
        "crossed",
        0.65,
        "waits for another one to go on first",
        _text("level_1", "F0 B0 F1 B1 F2 B2 F3 B3\n" + "F0 F1 F2 F3 B0 B1 B2 B3\n" * 2),
    ),
    Mistake(
        "fill_and_cut",
        "no spaces",
        0.65,
        "stands a space",
        _text("level_1", level_1.replace(" ", "")),
    ),
    Mistake(
        "fill_and_cut",
        "another order on one rank",
        0.9,
        "in the same order everywhere",
        _text("level_1", "F0 F1 F2 F3 B3 B2 B1 B0\n" + "F0 F1 F2 F3 B0 B1 B2 B3\n" * 2),
    ),
    Mistake(
        "fill_and_cut",
        "waits written down",
        0.65,
        "a rank waits by itself",
        _text("level_1", level_1.replace("B0", "- B0")),
    ),
]

_TURN = [
    Mistake("turn_round", "GPipe", 0.65, "as in GPipe", _text("level_3", _GPIPE_5)),
    Mistake(
        "turn_round",
        "one at a time",
        0.25,
        "Only one rank works",
        """
def level_3(ranks, microbatches):
    return [[(kind, m) for m in range(microbatches) for kind in "FB"] for _ in range(ranks)]
""",
    ),
    Mistake(
        "turn_round",
        "one forward too many",
        0.25,
        "too far ahead",
        _ROW
        + """
def level_3(ranks, microbatches):
    return [_row(ranks - rank + (rank > 0), microbatches) for rank in range(ranks)]
""",
    ),
    Mistake(
        "turn_round",
        "one forward too few",
        0.25,
        "comes too late in its row",
        _ROW
        + """
def level_3(ranks, microbatches):
    return [_row(max(1, ranks - rank - 1), microbatches) for rank in range(ranks)]
""",
    ),
    Mistake(
        "turn_round",
        "reversed ranks",
        0,
        "waits for another one to go on first",
        _ROW
        + """
def level_3(ranks, microbatches):
    return [_row(rank + 1, microbatches) for rank in range(ranks)]
""",
    ),
    Mistake(
        "turn_round",
        "for four ranks only",
        0,
        "a line of its own",
        _ROW
        + """
def level_3(ranks, microbatches):
    return [_row(4 - rank, microbatches) for rank in range(4)]
""",
    ),
    Mistake(
        "turn_round",
        "no drain",
        0,
        "close the row",
        """
def level_3(ranks, microbatches):
    rows = []
    for ahead in range(ranks, 0, -1):
        row = [("F", m) for m in range(ahead)]
        for m in range(ahead, microbatches):
            row += [("B", m - ahead), ("F", m)]
        rows.append(row)
    return rows
""",
    ),
    Mistake(
        "turn_round",
        "forwards without end",
        0,
        "go forward once more than there are",
        """
def level_3(ranks, microbatches):
    rows = []
    for ahead in range(ranks, 0, -1):
        row = [("F", m) for m in range(ahead)]
        for m in range(microbatches):
            row += [("B", m), ("F", m + ahead)]
        rows.append(row)
    return rows
""",
    ),
    Mistake(
        "turn_round",
        "no return",
        0,
        "is a return missing",
        _ROW
        + "def level_3(ranks, microbatches): [_row(ranks - r, microbatches) for r in range(ranks)]",
    ),
    Mistake(
        "turn_round",
        "arguments exchanged",
        0,
        "number of ranks first",
        _ROW
        + """
def level_3(microbatches, ranks):
    return [_row(ranks - rank, microbatches) for rank in range(ranks)]
""",
    ),
]

_UNEVEN = [
    Mistake(
        "uneven_stages",
        "1F1B",
        0.6,
        "comes too late in its row",
        _text(
            "level_4",
            "F0 F1 F2 B0 F3 B1 B2 B3\nF0 F1 B0 F2 B1 F3 B2 B3\nF0 B0 F1 B1 F2 B2 F3 B3",
        ),
    ),
    Mistake("uneven_stages", "GPipe", 0.6, "as in GPipe", _text("level_4", level_1)),
    Mistake(
        "uneven_stages",
        "one at a time",
        0.6,
        "Only one rank works",
        _text("level_4", _ONE_BY_ONE_3),
    ),
    Mistake(
        "uneven_stages",
        "last rank ahead",
        0.6,
        "too far ahead",
        _text(
            "level_4",
            "F0 F1 F2 B0 F3 B1 B2 B3\nF0 F1 F2 B0 B1 F3 B2 B3\nF0 F1 B0 B1 F2 B2 F3 B3",
        ),
    ),
    Known(
        "uneven_stages",
        "as if even",
        1.15,
        "That is for stages that all take 3: the middle one takes 6 for a micro-batch.",
        "hundred = 306",
    ),
    Known(
        "uneven_stages",
        "work alone",
        1.15,
        "That is the slow rank's work alone. Before it begins one forward has to reach it, and after"
        " it ends its last gradient goes up.",
        "hundred = 600",
    ),
    Known(
        "uneven_stages",
        "without the end",
        1.15,
        "That is when the slow rank is done. Its last gradient still has to go through rank 0.",
        "hundred = 601",
    ),
    Known(
        "uneven_stages",
        "both neighbours",
        1.15,
        "That adds the last rank's turn. The slow rank does something else meanwhile: only what comes"
        " before its first action and after its last one adds to its work.",
        "hundred = 606",
    ),
    Known(
        "uneven_stages",
        "all slow",
        1.15,
        "That fills and drains a row of slow stages. The ramps go through the quick ones.",
        "hundred = 612",
    ),
    Known(
        "uneven_stages",
        "one at a time by hand",
        1.15,
        "That has each micro-batch wait for the one before. The ranks overlap.",
        "hundred = 1200",
    ),
]

_CHUNKS = [
    Mistake(
        "two_chunks",
        "all forwards first",
        0.75,
        "as in GPipe",
        _text(
            "level_5",
            """
0F0 0F1 0F2 0F3 2F0 2F1 2F2 2F3 2B0 2B1 2B2 2B3 0B0 0B1 0B2 0B3
1F0 1F1 1F2 1F3 3F0 3F1 3F2 3F3 3B0 3B1 3B2 3B3 1B0 1B1 1B2 1B3
""",
        ),
    ),
    Mistake("two_chunks", "no stages", 0, "begins with its stage", _text("level_5", level_1[:48])),
    Mistake(
        "two_chunks",
        "neighbours on one rank",
        0,
        "the stages r and r + p",
        _text("level_5", level_5.replace("2", "x").replace("1", "2").replace("x", "1")),
    ),
    Mistake(
        "two_chunks",
        "one micro-batch at a time",
        0.3,
        "Only one rank works",
        """
def level_5(ranks, microbatches):
    rows = []
    for rank in range(ranks):
        one = [f"{rank}F", f"{rank + ranks}F", f"{rank + ranks}B", f"{rank}B"]
        rows.append([(kind, m) for m in range(microbatches) for kind in one])
    return rows
""",
    ),
    Mistake(
        "two_chunks",
        "a pair at a time",
        0.3,
        "that forward comes too late",
        _text(
            "level_5",
            """
0F0 0F1 2F0 2F1 2B0 2B1 0B0 0B1 0F2 0F3 2F2 2F3 2B2 2B3 0B2 0B3
1F0 1F1 3F0 3B0 3F1 3B1 1B0 1B1 1F2 1F3 3F2 3B2 3F3 3B3 1B2 1B3
""",
        ),
    ),
    Mistake(
        "two_chunks",
        "second chunk backwards last",
        0,
        "waits for another one",
        _text(
            "level_5",
            """
0F0 0F1 2F0 2F1 0F2 0B0 0F3 0B1 2F2 2B0 2F3 2B1 0B2 0B3 2B2 2B3
1F0 1F1 3F0 1B0 3F1 1B1 1F2 3B0 1F3 3B1 3F2 1B2 3F3 1B3 3B2 3B3
""",
        ),
    ),
]

_SPLIT = [
    Mistake(
        "split_backward", "whole", 0, "has two parts", _text("level_6", "F0 F1 F2 B0 B1 B2\n" * 2)
    ),
    Mistake(
        "split_backward",
        "W at once",
        0.25,
        "A W goes first",
        _ROW
        + """
def level_6(ranks, microbatches):
    return [_row(ranks - rank, microbatches, put_off=0) for rank in range(ranks)]
""",
    ),
    Mistake(
        "split_backward",
        "W before I",
        0,
        "W comes after the I",
        _text("level_6", "F0 F1 F2 W0 I0 W1 I1 W2 I2\n" * 2),
    ),
    Mistake(
        "split_backward",
        "no W",
        0,
        "is an I or a W forgotten",
        _text("level_6", _without(level_6, "W0", "W1", "W2")),
    ),
    Mistake(
        "split_backward",
        "every W at the end",
        0.25,
        "could fill the gap",
        _text("level_6", "F0 F1 F2 I0 I1 I2 W0 W1 W2\nF0 I0 F1 I1 F2 I2 W0 W1 W2"),
    ),
    Mistake(
        "split_backward",
        "all forwards first",
        0.25,
        "here the backward comes first",
        _text("level_6", "F0 F1 F2 I0 W0 I1 W1 I2 W2\nF0 F1 F2 I0 I1 I2 W0 W1 W2"),
    ),
]

_WITHIN = [
    Mistake(
        "within_memory",
        "every W at the end",
        0.25,
        "W's are put off too far",
        _ROW
        + """
def level_7(ranks, microbatches):
    return [_row(ranks - rank, microbatches, put_off=microbatches) for rank in range(ranks)]
""",
    ),
    Mistake(
        "within_memory",
        "W at once",
        0.25,
        "A W goes first",
        _ROW
        + """
def level_7(ranks, microbatches):
    return [_row(ranks - rank, microbatches, put_off=0) for rank in range(ranks)]
""",
    ),
    Mistake(
        "within_memory",
        "whole",
        0,
        "has two parts",
        _ROW
        + """
def level_7(ranks, microbatches):
    return [_row(ranks - rank, microbatches) for rank in range(ranks)]
""",
    ),
    Mistake(
        "within_memory",
        "too many forwards",
        0.65,
        "too far ahead",
        _ROW
        + """
def level_7(ranks, microbatches):
    return [_row(ranks - rank + 1, microbatches, put_off=rank) for rank in range(ranks)]
""",
    ),
    Mistake(
        "within_memory",
        "all forwards first",
        0.25,
        "as in GPipe",
        _ROW
        + """
def level_7(ranks, microbatches):
    return [_row(microbatches, microbatches, put_off=rank) for rank in range(ranks)]
""",
    ),
    Mistake(
        "within_memory",
        "one W too soon",
        0.25,
        "A W goes first",
        _ROW
        + """
def level_7(ranks, microbatches):
    return [_row(ranks - rank, microbatches, put_off=max(0, rank - 1)) for rank in range(ranks)]
""",
    ),
    Mistake(
        "within_memory",
        "W of a later one",
        0,
        "W comes after the I",
        _text("level_7", "F0 F1 F2 I0 W1 W0 F3 I1 F4 I2 W2 I3 W3 I4 W4\n" * 3),
    ),
]

_NO_GAP = [
    Mistake(
        "no_gap",
        "level 7's",
        0.6,
        "that forward comes too late",
        """
def level_8(ranks, microbatches):
    return level_7(ranks, microbatches)
""",
    ),
    Mistake(
        "no_gap",
        "W's put off as in level 7",
        0.6,
        "could fill the gap",
        _ROW
        + """
def level_8(ranks, microbatches):
    ahead = [2 * (ranks - rank) - 1 for rank in range(ranks)]
    return [_row(ahead[rank], microbatches, put_off=rank) for rank in range(ranks)]
""",
    ),
    Mistake(
        "no_gap",
        "all forwards first",
        0.6,
        "as in GPipe",
        _ROW
        + """
def level_8(ranks, microbatches):
    return [_row(microbatches, microbatches, put_off=2 * rank) for rank in range(ranks)]
""",
    ),
    Mistake(
        "no_gap",
        "W's all at the end",
        0.6,
        "W's are put off too far",
        _ROW
        + """
def level_8(ranks, microbatches):
    ahead = [2 * (ranks - rank) - 1 for rank in range(ranks)]
    return [_row(ahead[rank], microbatches, put_off=microbatches) for rank in range(ranks)]
""",
    ),
    Mistake(
        "no_gap",
        "whole",
        0.35,
        "has two parts",
        _ROW
        + """
def level_8(ranks, microbatches):
    return [_row(2 * (ranks - rank) - 1, microbatches) for rank in range(ranks)]
""",
    ),
    Known(
        "no_gap",
        "1F1B's",
        1.15,
        "That is 1F1B's, and level 7's: it is done before the first gradient is back. There is time"
        " for more.",
        "held_by_8 = 8",
    ),
    Known(
        "no_gap",
        "one too many",
        1.15,
        "Count again: the last rank turns the first micro-batch round at once, so the way down and up"
        " is one action shorter than twice the ranks.",
        "held_by_8 = 16",
    ),
    Known(
        "no_gap",
        "of the way alone",
        1.15,
        "That is the way to the last rank and back, without what rank 0 does first: its own forward"
        " counts, too.",
        "held_by_8 = 14",
    ),
    Known(
        "no_gap",
        "one way",
        1.15,
        "That counts the way down. The gradient has to come up again.",
        "held_by_8 = 7",
    ),
    Known(
        "no_gap",
        "of three ranks",
        1.15,
        "That is for the three ranks of the level: asked for are eight.",
        "held_by_8 = 5",
    ),
]

_BOTH = [
    Mistake(
        "both_ways",
        "all go down",
        0.5,
        "half of the micro-batches enter on it",
        _text("level_9", "F0 F1 F2 F3 B0 B1 B2 B3\n" * 4),
    ),
    Mistake(
        "both_ways",
        "one way after the other",
        0.5,
        "half of the micro-batches enter on it",
        _text(
            "level_9",
            """
F0 F1 B0 B1 F2 B2 F3 B3
F0 F1 B0 B1 F2 F3 B2 B3
F0 F1 B0 B1 F2 F3 B2 B3
F0 B0 F1 B1 F2 F3 B2 B3
""",
        ),
    ),
    Mistake(
        "both_ways",
        "all forwards first",
        0.5,
        "as in GPipe",
        _text(
            "level_9",
            """
F0 F1 F2 F3 B2 B3 B0 B1
F0 F1 F2 F3 B2 B3 B0 B1
F2 F3 F0 F1 B0 B1 B2 B3
F2 F3 F0 F1 B0 B1 B2 B3
""",
        ),
    ),
    Mistake(
        "both_ways",
        "the near ones first",
        0.5,
        "that forward comes too late",
        _text(
            "level_9",
            """
F0 F1 F2 B2 F3 B3 B0 B1
F0 F1 F2 B2 F3 B3 B0 B1
F2 F3 F0 B0 F1 B1 B2 B3
F2 F3 F0 B0 F1 B1 B2 B3
""",
        ),
    ),
    Mistake("both_ways", "1F1B", 1.0, "as all but one of these do", 'too_large = "1f1b"'),
    Mistake("both_ways", "chunks", 1.0, "two of them are one stage", 'too_large = "two chunks"'),
    Mistake(
        "both_ways",
        "ZB-H2",
        1.0,
        "no more weights than one stage",
        'too_large = "rows without a gap"',
    ),
    Mistake("both_ways", "another word", 1.0, "should be one of", 'too_large = "gpipe"'),
]

MISTAKES = Table(
    sys.modules[__name__],
    [
        *_FILL,
        *_TURN,
        *_UNEVEN,
        *_CHUNKS,
        *_SPLIT,
        *_WITHIN,
        *_NO_GAP,
        *_BOTH,
    ],
)
