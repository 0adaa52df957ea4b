"""YAML that knows its lines: values as PyYAML has them, errors that say where."""

from pathlib import Path

import pytest

from utils import spec
from utils.spec import SpecError

TEXT = """\
# a network
name: small
rate: 5e-4
layers:
  - {name: a, type: conv}
  - name: b
    type: relu
    deep:
      inner: [1, 2.5, true]
"""


def test_values_are_read_as_yaml_has_them() -> None:
    read = spec.parse(TEXT)
    assert read == {
        "name": "small",
        "rate": 0.0005,
        "layers": [
            {"name": "a", "type": "conv"},
            {"name": "b", "type": "relu", "deep": {"inner": [1, 2.5, True]}},
        ],
    }
    assert type(read["rate"]) is float


def test_every_mapping_knows_its_file_and_the_lines_of_its_keys(tmp_path: Path) -> None:
    path = tmp_path / "network.yaml"
    path.write_text(TEXT, encoding="utf-8")
    read = spec.read(path)
    assert read.file == "network.yaml"
    assert read.lines == {"name": 2, "rate": 3, "layers": 4}
    first, second = read["layers"]
    assert (first.line, first.lines) == (5, {"name": 5, "type": 5})
    assert (second.line, second.lines["deep"], second["deep"].line) == (6, 8, 9)


def test_an_error_names_file_line_and_key() -> None:
    second = spec.parse(TEXT, "network.yaml")["layers"][1]
    assert str(second.error("type", "no such type")) == "network.yaml, line 7, type: no such type"
    assert str(second.error("units", "it is missing")).startswith("network.yaml, line 6, units")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("a: 1\nb: 2\na: 3", "line 3, a: it is given twice, first on line 1"),
        ("a: [1\nb: 2", "line 2: expected"),
        ("- 1\n- 2", "line 1: the file should hold keys and values"),
        ("", "line 1: the file should hold keys and values"),
        ("7: seven", "line 1: a key should be a word, not 7"),
        ("a: *b", "line 1: found undefined alias"),
        ("a: &b\n  c: *b", "recursive"),
        ("a: !!python/object:os.system x", "could not determine a constructor"),
        ("a: \x00", "unacceptable character"),
    ],
)
def test_what_is_not_a_mapping_of_words_is_an_error(text: str, says: str) -> None:
    with pytest.raises(SpecError) as error:
        spec.parse(text, "solver.yaml")
    assert str(error.value).startswith("solver.yaml")
    assert says in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("text", "value"),
    [("1e-3", 0.001), ("2E5", 2e5), ("-1.5e+2", -150.0), ("1.e3", 1000.0), ("e3", "e3"), ("7", 7)],
)
def test_numbers_with_an_exponent_are_numbers(text: str, value: object) -> None:
    assert spec.parse(f"x: {text}")["x"] == value
