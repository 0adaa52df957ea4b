"""Reading what someone handed in: hostile, broken and odd notebooks."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from grading.marking import submission
from grading.marking.submission import Decide, Run, Submission, Unreadable

EXERCISES = ("double", "guess")


def code(source: object, name: str | None = None, **more: Any) -> dict[str, Any]:
    metadata = {"nbgrader": {"grade_id": name}} if name else {}
    return {"cell_type": "code", "source": source, "metadata": metadata, **more}


def released_code(cell_id: str, source: str, *tags: str, solution: bool = False) -> dict[str, Any]:
    metadata = {"tags": list(tags), "nbgrader": {"grade_id": cell_id, "solution": solution}}
    return code(source, id=cell_id) | {"metadata": metadata}


RELEASED = json.dumps(
    {
        "cells": [
            released_code("parameters", 'scale = ""', "parameters"),
            released_code("double_code", "def double(x): ...", solution=True),
            released_code("double", 'check("double")'),
            released_code("demo", "show()"),
            released_code("guess_code", "guess = None", solution=True),
            released_code("guess", 'check("guess")'),
        ]
    }
).encode()
ANSWERED = [
    code("def double(x): return 2 * x", "double_code"),
    code("check('double')", "double"),
    code("guess = 1", "guess_code"),
    code("check('guess')", "guess"),
]
STEPS = (
    Run("def double(x): return 2 * x", 0, "double_code"),
    Decide("double"),
    Run("guess = 1", 2, "guess_code"),
    Decide("guess"),
)


def notebook(cells: object, **more: Any) -> bytes:
    return json.dumps({"cells": cells, "nbformat": 4, "nbformat_minor": 5, **more}).encode()


def read(content: bytes) -> Submission:
    return submission.read(content, RELEASED, EXERCISES)


def outcome(content: bytes) -> Submission | str:
    try:
        return read(content)
    except Unreadable as reason:
        return str(reason)


def test_the_cells_run_in_order_and_each_exercise_is_judged_at_its_check() -> None:
    found = read(notebook(ANSWERED))
    assert found.steps == STEPS
    assert found.notes == ()


def test_a_cell_as_it_was_released_in_another_language_runs_as_the_original() -> None:
    originals = {"show()  # 表示": "show()", "def double(x): ...  # 倍": "def double(x): ..."}
    cells = [code("show()  # 表示"), code("show()  # 私の"), *ANSWERED]
    found = submission.read(notebook(cells), RELEASED, EXERCISES, originals)
    assert [step.source for step in found.running()][:2] == ["show()", "show()  # 私の"]


@pytest.mark.parametrize(
    ("metadata", "language"),
    [
        ({"lab": {"language": "ja"}}, "ja"),
        ({"lab": {"name": "01_small"}}, ""),
        ({"lab": {"language": ["ja"]}}, ""),
        ({"lab": "ja"}, ""),
        ([], ""),
    ],
)
def test_the_language_of_a_notebook_is_what_release_wrote(metadata: Any, language: str) -> None:
    assert read(notebook(ANSWERED, metadata=metadata)).language == language


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "empty"),
        (b" \n\t ", "empty"),
        (b"\x00\xff\xfe", "not JSON"),
        (b"Dear teacher,", "not JSON"),
        (b"%PDF-1.4", "not JSON"),
        (notebook(ANSWERED)[:100], "cut off"),
        (b'{"cells": [' + b"9" * 5000 + b"]}", "damaged"),
        (b'{"cells": "\xff"}', "damaged"),
        (b"[" * 100_000, "nested too deep"),
        (b'{"cells":' * 100_000, "nested too deep"),
        (b"[]", "no cells"),
        (b"null", "no cells"),
        (b'"cells"', "no cells"),
        (b'{"cells": {}}', "no cells"),
        (notebook([], metadata={"language_info": {"name": "R"}}), "written in 'r'"),
        (notebook([], metadata={"language_info": {"name": "\x1b[2J"}}), r"written in '\x1b[2j'"),
        (notebook([code("1")] * 2001), "2001 cells"),
        (notebook([code("#" * 100_000)] * 30), "exceed 2 MB"),
    ],
)
def test_what_is_no_notebook_is_told_in_a_sentence(content: bytes, reason: str) -> None:
    with pytest.raises(Unreadable) as caught:
        read(content)
    message = str(caught.value)
    assert reason in message
    assert message.endswith(".")
    assert message.isprintable()


def test_what_would_fill_the_memory_is_not_parsed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(submission, "MAX_BYTES", 2_000_000)
    monkeypatch.setattr(submission, "MAX_MARKS", 300_000)
    for values in (b"[]," * 200_000, b'"ab",' * 200_000, b"[[[]]]," * 80_000, b" " * 2_000_000):
        with pytest.raises(Unreadable, match="clear the notebook's outputs"):
            read(b'{"cells": [], "x": [' + values + b"[]]}")
    text = b"[[1, 2], {}], " * 100_000  # as much in a string is no more than a string
    assert read(b'{"cells": [], "x": "' + text + b'"}').steps == (Decide("double"), Decide("guess"))


def test_a_string_that_never_ends_costs_one_pass() -> None:
    """A quadratic scan of this would take hours."""
    with pytest.raises(Unreadable, match="cut off"):
        read(b'{"cells": ["' + rb"\"" * 7_000_000)


def test_a_hundred_megabytes_of_output_do_not_hide_the_code() -> None:
    output = {"output_type": "stream", "name": "stdout", "text": "[1, 2]\n" * (15 * 2**20)}
    loud = [{**ANSWERED[0], "outputs": [output]}, *ANSWERED[1:]]
    content = notebook(loud)
    assert len(content) > 100 * 2**20
    assert read(content).steps == STEPS


def test_nan_is_read_and_said() -> None:
    content = notebook(ANSWERED, metadata={"mean": float("nan")})
    found = read(content)
    assert found.steps == STEPS
    assert found.notes == ("The file holds NaN, which is not JSON; it was read all the same.",)


def test_tags_kernel_outputs_and_the_sources_of_checks_count_for_nothing() -> None:
    tampered = [dict(cell) for cell in ANSWERED]
    for cell in tampered:
        cell["metadata"] = {**cell["metadata"], "tags": ["skip-execution", "parameters"]}
        cell["outputs"] = [{"output_type": "execute_result", "data": {"text/plain": "2.0"}}]
    tampered[1]["source"] = "import os; os._exit(0)"
    content = notebook(tampered, metadata={"kernelspec": {"name": "evil"}})
    assert read(content) == read(notebook(ANSWERED))


def test_the_parameters_are_the_courses() -> None:
    found = read(notebook([code('scale = "gpu"', id="parameters"), *ANSWERED]))
    assert found.steps[0] == Run('scale = ""', 0)


def test_a_notebook_without_any_names_is_said_to_be_one_in_a_sentence() -> None:
    found = read(notebook([code(cell["source"]) for cell in ANSWERED]))
    assert found.steps[-2:] == (Decide("double"), Decide("guess"))
    assert found.notes == (
        "No cell has its name (nbgrader's metadata): each exercise was judged at the end.",
    )


def test_the_old_format_is_read_all_the_same() -> None:
    cells = [{**cell, "input": cell["source"]} for cell in ANSWERED]
    for cell in cells:
        del cell["source"]
    heading = {"cell_type": "heading", "level": 1, "source": "Lab", "metadata": {}}
    old = {
        "nbformat": 3,
        "nbformat_minor": 0,
        "metadata": {},
        "worksheets": [{"cells": [heading, *cells]}],
    }
    found = read(json.dumps(old).encode())
    assert [step.source for step in found.steps if isinstance(step, Run)] == [
        "def double(x): return 2 * x",
        "guess = 1",
    ]
    assert any("nbformat 3" in note for note in found.notes)
    assert outcome(json.dumps({"worksheets": [1, {"cells": 2}, {"cells": [3]}]}).encode())


def test_a_missing_check_is_judged_at_the_end_and_a_missing_answer_is_said() -> None:
    found = read(notebook([ANSWERED[2]]))
    assert found.steps == (Run("guess = 1", 0, "guess_code"), Decide("double"), Decide("guess"))
    missing = ("double_code", "double", "guess")
    assert found.notes == tuple(f"The cell {name} is missing." for name in missing)


def test_of_two_checks_the_last_counts_and_answers_run_in_order() -> None:
    other = code("def double(x): return x", "double_code")
    found = read(notebook([other, ANSWERED[1], *ANSWERED]))
    judged = [step for step in found.steps if isinstance(step, Decide)]
    assert judged == [Decide("double"), Decide("guess")]
    assert [step for step in found.steps if isinstance(step, Run)][:2] == [
        Run("def double(x): return x", 0, "double_code"),
        Run("def double(x): return 2 * x", 2, "double_code"),
    ]
    assert found.steps[2] == Decide("double")
    assert "The cell double is there 2 times." in found.notes


def test_wrong_types_are_left_out_with_a_word_and_the_rest_is_graded() -> None:
    odd = [
        None,
        1,
        [],
        {},
        {"cell_type": 3},
        code(3),
        code([1, 2]),
        code({}),
        code(None),
        {"cell_type": "code"},
        {"cell_type": "code", "source": "a = 1", "metadata": []},
        code("b = 2") | {"metadata": {"nbgrader": {"grade_id": {}}}, "id": [], "attachments": 1},
    ]
    found = read(notebook([*odd, *ANSWERED]))
    assert [step.source for step in found.steps if isinstance(step, Run)][:2] == ["a = 1", "b = 2"]
    assert len([note for note in found.notes if "left out" in note]) == 9
    assert found.steps[-1] == Decide("guess")


def test_lines_are_joined_and_half_characters_replaced() -> None:
    found = read(notebook([code(["a = '\ud83d\ude00'\n", "b = '\ud800'"])]))
    first = found.steps[0]
    assert isinstance(first, Run)
    assert first.source == "a = '😀'\nb = '\N{REPLACEMENT CHARACTER}'"
    first.source.encode()


def test_the_digest_is_of_what_runs_and_of_nothing_else() -> None:
    spaced = [code(""), {"cell_type": "markdown", "source": "Hello"}, *ANSWERED]
    assert read(notebook(spaced)).digest == read(notebook(ANSWERED)).digest
    other = [code("def double(x): return x + x", "double_code"), *ANSWERED[1:]]
    assert read(notebook(other)).digest != read(notebook(ANSWERED)).digest
    assert read(notebook(ANSWERED[2:] + ANSWERED[:2])).digest != read(notebook(ANSWERED)).digest


JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=12,
)
CELLS = st.lists(
    JSON
    | st.fixed_dictionaries(
        {},
        optional={
            "cell_type": st.sampled_from(["code", "markdown", "raw"]) | JSON,
            "source": st.text(max_size=20) | st.lists(st.text(max_size=8) | JSON) | JSON,
            "metadata": st.fixed_dictionaries(
                {"nbgrader": st.fixed_dictionaries({"grade_id": st.sampled_from(EXERCISES) | JSON})}
            )
            | JSON,
            "id": JSON,
            "attachments": JSON,
        },
    ),
    max_size=6,
)


@given(CELLS, JSON)
def test_any_json_is_read_or_refused_and_every_exercise_judged_once(
    cells: list[Any], metadata: Any
) -> None:
    found = outcome(notebook(cells, metadata=metadata))
    if isinstance(found, str):
        assert found.endswith(".")
        return
    judged = [step.exercise for step in found.steps if isinstance(step, Decide)]
    assert sorted(judged) == sorted(EXERCISES)
    for step in found.steps:
        assert isinstance(step, Decide) or step.source.encode()


@given(st.binary(max_size=200) | st.text(max_size=200).map(lambda text: text.encode()))
def test_any_bytes_are_read_or_refused(content: bytes) -> None:
    found = outcome(content)
    assert isinstance(found, Submission) or found.endswith(".")


def test_a_notebook_in_utf_16_is_not_measured_wrongly() -> None:
    for encoding in ("utf-16", "utf-16-be", "utf-32"):
        with pytest.raises(Unreadable, match="not UTF-8"):
            read('{"cells": []}'.encode(encoding))


def in_language(name: str, *sources: str) -> bytes:
    return notebook(list(map(code, sources)), metadata={"language_info": {"name": name}})


def test_other_names_for_python_are_python() -> None:
    for name in ("python3", "ipython", "Python", ""):
        assert not any("written" in note for note in read(in_language(name, "x = 1")).notes)
    odd = read(in_language("xpython", "x = 1", "def f(): return 1"))
    assert any("says that it is written in 'xpython'" in note for note in odd.notes)
    with pytest.raises(Unreadable, match="written in 'r'"):
        read(in_language("R", "x <- function(y) y + 1", "library(dplyr) %>% f"))


def test_parameters_without_their_id_are_the_courses() -> None:
    found = read(notebook([code('scale = "cpu"  # mine')]))
    assert found.steps[0] == Run('scale = ""', 0)
    assert read(notebook([code("scale = f()\nshow()")])).steps[0] == Run("scale = f()\nshow()", 0)
