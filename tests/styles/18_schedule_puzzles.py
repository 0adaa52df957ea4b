"""Lab 18: right answers in other styles."""

_IN_TURN = """
def _rows(ranks, microbatches, ahead, put_off=None):
    back = "B" if put_off is None else "I"
    rows = []
    for rank in range(ranks):
        todo = [("F", m) for m in range(microbatches)]
        row, todo = todo[:ahead(rank)], todo[ahead(rank):]
        late = []
        for m in range(microbatches):
            row.append((back, m))
            if put_off is not None:
                late.append(("W", m))
                if len(late) > put_off(rank):
                    row.append(late.pop(0))
            row += todo[:1]
            todo = todo[1:]
        rows.append(row + late)
    return rows
"""

STYLES = {
    "fill_and_cut": {
        "rows of words": """
level_1 = [["F0", "F1", "F2", "F3", "B0", "B1", "B2", "B3"]] * 3
""",
        "lists of two": """
level_1 = [[["F", m] for m in range(4)] + [["B", m] for m in range(4)] for rank in range(3)]
""",
        "1F1B at level 1": """
level_1 = '''F0 F1 F2 B0 F3 B1 B2 B3
F0 F1 B0 F2 B1 F3 B2 B3
F0 B0 F1 B1 F2 B2 F3 B3'''
""",
        "a program": """
def level_1(ranks, microbatches):
    return [[(kind, m) for kind in "FB" for m in range(microbatches)] for _ in range(ranks)]
""",
        "a lambda that makes text": """
level_1 = lambda p, m: "\\n".join([" ".join(f"{k}{i}" for k in "FB" for i in range(m))] * p)
""",
        "lists, backwards in another order": """
level_1 = [[("F", m) for m in range(4)] + [("B", m) for m in (3, 2, 1, 0)]] * 3
""",
        "tuples and indented text": """
level_1 = tuple(tuple((k, m) for k in "FB" for m in range(4)) for _ in range(3))
level_2 = '''
    F0 F1 B0 F2 B1 F3 B2 B3

    F0 F1 B0 B1 F2 F3 B2 B3

    F0 B0 F1 B1 F2 B2 F3 B3
'''
""",
        "lines of text": """
level_2 = ["F0 F1 B0 F2 B1 F3 B2 B3", "F0 F1 B0 B1 F2 F3 B2 B3", "F0 B0 F1 B1 F2 B2 F3 B3"]
""",
        "two held, other micro-batches first": """
level_2 = '''F1 F0 B1 F2 B0 F3 B2 B3
F1 F0 B1 B0 F2 F3 B2 B3
F1 B1 F0 B0 F2 B2 F3 B3'''
""",
        "a program of one size": """
def level_2(ranks, microbatches):
    assert (ranks, microbatches) == (3, 4)
    pairs = "F0 F1 B0 B1 F2 F3 B2 B3"
    return "F0 F1 B0 F2 B1 F3 B2 B3\\n" + pairs + "\\nF0 B0 F1 B1 F2 B2 F3 B3"
""",
    },
    "turn_round": {
        "text": """
level_3 = '''
F0 F1 F2 F3 B0 F4 B1 B2 B3 B4
F0 F1 F2 B0 F3 B1 F4 B2 B3 B4
F0 F1 B0 F2 B1 F3 B2 F4 B3 B4
F0 B0 F1 B1 F2 B2 F3 B3 F4 B4
'''
""",
        "three phases": """
def level_3(p, m):
    rows = []
    for r in range(p):
        w = min(p - r - 1, m)
        row = [("F", i) for i in range(w)]
        for i in range(m - w):
            row += [("F", w + i), ("B", i)]
        rows.append(row + [("B", i) for i in range(m - w, m)])
    return rows
""",
        "two queues": _IN_TURN
        + """
level_3 = lambda ranks, microbatches: _rows(ranks, microbatches, lambda rank: ranks - rank)
""",
        "a class with a call": """
class OneForwardOneBackward:
    def __call__(self, ranks, microbatches):
        return [list(self.row(ranks - rank, microbatches)) for rank in range(ranks)]
    def row(self, ahead, microbatches):
        yield from (("F", m) for m in range(min(ahead, microbatches)))
        for m in range(microbatches):
            yield "B", m
            if m + ahead < microbatches:
                yield "F", m + ahead
level_3 = OneForwardOneBackward()
""",
        "by counting": """
def level_3(ranks, microbatches):
    lines = []
    for rank in range(ranks):
        words, f, b = [], 0, 0
        while b < microbatches:
            if f < microbatches and f - b < ranks - rank:
                words.append(f"F{f}")
                f += 1
            else:
                words.append(f"B{b}")
                b += 1
        lines.append(" ".join(words))
    return "\\n".join(lines)
""",
    },
    "uneven_stages": {
        "lists": """
level_4 = [
    [("F", 0), ("F", 1), ("F", 2), ("B", 0), ("F", 3), ("B", 1), ("B", 2), ("B", 3)],
    [("F", 0), ("F", 1), ("F", 2), ("B", 0), ("B", 1), ("F", 3), ("B", 2), ("B", 3)],
    [(kind, m) for m in range(4) for kind in "FB"],
]
""",
        "a program": """
def level_4(ranks, microbatches):
    return '''F0 F1 F2 B0 F3 B1 B2 B3
              F0 F1 F2 B0 B1 F3 B2 B3
              F0 B0 F1 B1 F2 B2 F3 B3'''
""",
        "micro-batches exchanged": """
level_4 = '''F0 F1 F2 B0 F3 B1 B2 B3
F0 F1 F2 B0 B1 F3 B2 B3
F0 B0 F1 B1 F2 B2 F3 B3'''.translate(str.maketrans("0123", "1032"))
""",
        "a float": "hundred = 603.0",
        "worked out": "hundred = 1 + 100 * (2 + 4) + 2",
    },
    "two_chunks": {
        "a program": """
def level_5(ranks, microbatches):
    order = [(chunk, first + m) for first in range(0, microbatches, ranks) for chunk in (0, 1)
             for m in range(ranks)]
    rows = []
    for rank in range(ranks):
        stages = rank, rank + ranks
        forwards = [(f"{stages[chunk]}F", m) for chunk, m in order]
        backwards = [(f"{stages[1 - chunk]}B", m) for chunk, m in order]
        ahead = 2 * (ranks - 1 - rank) + ranks + 1
        row, forwards = forwards[:ahead], forwards[ahead:]
        for backward in backwards:
            row += [backward, *forwards[:1]]
            forwards = forwards[1:]
        rows.append(row)
    return rows
""",
        "lists of a text": """
level_5 = [
    [(word[:2], int(word[2:])) for word in line.split()]
    for line in (
        "0F0 0F1 2F0 2F1 0F2 2B0 0F3 2B1 2F2 0B0 2F3 0B1 2B2 2B3 0B2 0B3",
        "1F0 1F1 3F0 3B0 3F1 3B1 1F2 1B0 1F3 1B1 3F2 3B2 3F3 3B3 1B2 1B3",
    )
]
""",
        "lines": """
level_5 = (
    "0F0 0F1 2F0 2F1 0F2 2B0 0F3 2B1 2F2 0B0 2F3 0B1 2B2 2B3 0B2 0B3",
    "1F0 1F1 3F0 3B0 3F1 3B1 1F2 1B0 1F3 1B1 3F2 3B2 3F3 3B3 1B2 1B3",
)
""",
        "a pair exchanged": """
level_5 = '''0F1 0F0 2F1 2F0 0F2 2B1 0F3 2B0 2F2 0B1 2F3 0B0 2B2 2B3 0B2 0B3
1F1 1F0 3F1 3B1 3F0 3B0 1F2 1B1 1F3 1B0 3F2 3B2 3F3 3B3 1B2 1B3'''
""",
        "concatenated": """
level_5 = "0F0 0F1 2F0 2F1 0F2 2B0 0F3 2B1 2F2 0B0 2F3 0B1 2B2 2B3 0B2 0B3" + "\\n"
level_5 += "1F0 1F1 3F0 3B0 3F1 3B1 1F2 1B0 1F3 1B1 3F2 3B2 3F3 3B3 1B2 1B3"
""",
    },
    "split_backward": {
        "a program": _IN_TURN
        + """
def level_6(ranks, microbatches):
    return _rows(ranks, microbatches, lambda rank: ranks - rank, lambda rank: rank)
""",
        "all forwards first on rank 0": """
level_6 = '''F0 F1 F2 I0 W0 I1 W1 I2 W2
F0 I0 F1 I1 F2 I2 W0 W1 W2'''
""",
        "lists": """
level_6 = [
    [("F", 0), ("F", 1), ("F", 2), ("I", 0), ("W", 0), ("I", 1), ("W", 1), ("I", 2), ("W", 2)],
    [(kind, m) for m in range(3) for kind in "FI"] + [("W", m) for m in range(3)],
]
""",
        "lines": """
level_6 = ["F0 F1 F2 I0 W0 I1 W1 I2 W2", "F0 I0 F1 I1 F2 I2 W2 W1 W0"]
""",
        "a program that makes text": """
def level_6(ranks, microbatches):
    rows = []
    for rank in range(ranks):
        row = [f"F{m}" for m in range(ranks - rank)]
        for m in range(microbatches):
            row += [f"I{m}"] + [f"W{m - rank}"] * (m >= rank)
            row += [f"F{m + ranks - rank}"] * (m + ranks - rank < microbatches)
        rows.append(" ".join(row + [f"W{m}" for m in range(microbatches - rank, microbatches)]))
    return "\\n".join(rows)
""",
    },
    "within_memory": {
        "text": """
level_7 = '''
F0 F1 F2 I0 W0 F3 I1 W1 F4 I2 W2 I3 W3 I4 W4
F0 F1 I0 F2 I1 W0 F3 I2 W1 F4 I3 W2 I4 W3 W4
F0 I0 F1 I1 F2 I2 W0 F3 I3 W1 F4 I4 W2 W3 W4
'''
""",
        "two queues": _IN_TURN
        + """
def level_7(ranks, microbatches):
    return _rows(ranks, microbatches, lambda rank: ranks - rank, lambda rank: rank)
""",
        "lists of a text": """
level_7 = [[(word[0], int(word[1:])) for word in line.split()] for line in '''
F0 F1 F2 I0 W0 F3 I1 W1 F4 I2 W2 I3 W3 I4 W4
F0 F1 I0 F2 I1 W0 F3 I2 W1 F4 I3 W2 I4 W3 W4
F0 I0 F1 I1 F2 I2 W0 F3 I3 W1 F4 I4 W2 W3 W4'''.strip().splitlines()]
""",
        "a middle rank that goes forward in its gap": """
level_7 = '''
F0 F1 F2 I0 W0 F3 I1 W1 F4 I2 W2 I3 W3 I4 W4
F0 F1 F2 I0 I1 W0 F3 I2 W1 F4 I3 W2 I4 W3 W4
F0 I0 F1 I1 F2 I2 W0 F3 I3 W1 F4 I4 W2 W3 W4
'''
""",
        "by counting": """
def level_7(ranks, microbatches):
    rows = []
    for rank in range(ranks):
        f = i = w = 0
        row = []
        while w < microbatches:
            if f < microbatches and f - i < ranks - rank and f - w < ranks:
                row.append(("F", f)); f += 1
            elif i - w > rank or i == microbatches:
                row.append(("W", w)); w += 1
            else:
                row.append(("I", i)); i += 1
        rows.append(row)
    return rows
""",
    },
    "no_gap": {
        "a program": _IN_TURN
        + """
def level_8(ranks, microbatches):
    ahead = lambda rank: 2 * (ranks - rank) - 1
    return _rows(ranks, microbatches, ahead, lambda rank: 2 * rank)
""",
        "lines": """
level_8 = [
    "F0 F1 F2 F3 F4 I0 W0 I1 W1 I2 W2 I3 W3 I4 W4",
    "F0 F1 F2 I0 F3 I1 F4 I2 W0 I3 W1 I4 W2 W3 W4",
    "F0 I0 F1 I1 F2 I2 F3 I3 F4 I4 W0 W1 W2 W3 W4",
]
""",
        "other weights first": """
level_8 = '''F0 F1 F2 F3 F4 I0 W0 I1 W1 I2 W2 I3 W3 I4 W4
F0 F1 F2 I0 F3 I1 F4 I2 W1 I3 W0 I4 W4 W3 W2
F0 I0 F1 I1 F2 I2 F3 I3 F4 I4 W4 W3 W2 W1 W0'''
""",
        "text of a program": _IN_TURN
        + """
def level_8(p, m):
    rows = _rows(p, m, lambda r: 2 * (p - r) - 1, lambda r: 2 * r)
    return "\\n".join(" ".join(kind + str(number) for kind, number in row) for row in rows)
""",
        "a float": "held_by_8 = 15.0",
        "worked out": "held_by_8 = 2 * 8 - 1",
    },
    "both_ways": {
        "mirrored": """
_half = ["F0 F1 F2 B2 F3 B3 B0 B1", "F0 F2 F1 F3 B2 B0 B3 B1"]
_turned = str.maketrans("0123", "2301")
level_9 = "\\n".join(_half + [line.translate(_turned) for line in reversed(_half)])
""",
        "lines": """
level_9 = [
    "F0 F1 F2 B2 F3 B3 B0 B1",
    "F0 F2 F1 F3 B2 B0 B3 B1",
    "F2 F0 F3 F1 B0 B2 B1 B3",
    "F2 F3 F0 B0 F1 B1 B2 B3",
]
""",
        "pairs exchanged": """
level_9 = '''
F1 F0 F3 B3 F2 B2 B1 B0
F1 F3 F0 F2 B3 B1 B2 B0
F3 F1 F2 F0 B1 B3 B0 B2
F3 F2 F1 B1 F0 B0 B3 B2
'''
""",
        "a program": """
def level_9(ranks, microbatches):
    rows = ["F0 F1 F2 B2 F3 B3 B0 B1", "F0 F2 F1 F3 B2 B0 B3 B1"]
    rows += ["F2 F0 F3 F1 B0 B2 B1 B3", "F2 F3 F0 B0 F1 B1 B2 B3"]
    return [[(word[0], int(word[1])) for word in row.split()] for row in rows]
""",
        "a capital letter": 'too_large = "Both ways"',
        "spaces": 'too_large = " both ways "',
    },
}
