"""Daily prices: a real market where it is, a random walk otherwise, patterns, and what is wrong."""

import os
from pathlib import Path

import numpy as np
import pytest

from utils.data import prices
from utils.data.root import DataError

REAL_DATA = os.environ.get("LAB_DATA", "")


def table(count: int = prices.FEWEST, **changes: str) -> str:
    """A CSV with so many days; changes: of single lines, by their number."""
    days = np.busday_offset("2000-01-03", np.arange(count), roll="forward")
    lines = ['id,"Date",Open,Close']
    lines += [f'{n},"{day} 00:00:00",1.5,{100 + n}' for n, day in enumerate(days)]
    for number, line in changes.items():
        lines[int(number.removeprefix("line_")) - 1] = line
    return "\n".join(lines) + "\n"


def put(root: Path, text: str) -> Path:
    path = root / prices.FILE
    path.parent.mkdir(parents=True)
    path.write_text(text, encoding="utf-8")
    return path


def test_without_a_file_there_is_a_random_walk_and_the_line_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    loaded = prices.load(tmp_path)
    line = capsys.readouterr().out
    assert loaded.name == "random walk"
    assert line.count("\n") == 1
    assert f"since root is {tmp_path}" in line


def test_the_random_walk_has_calm_and_wild_times_and_no_memory_of_direction() -> None:
    walk = prices.random_walk()
    np.testing.assert_array_equal(walk.close, prices.random_walk().close)
    steps = np.diff(np.log(walk.close))
    steps = steps - steps.mean()
    together = lambda x: np.corrcoef(x[1:], x[:-1])[0, 1]  # noqa: E731
    assert abs(together(steps)) < 0.04
    assert together(abs(steps)) > 0.08
    assert (np.diff(walk.days) > np.timedelta64(0, "D")).all()
    assert (walk.close > 0).all()


def test_a_file_is_read_by_its_columns(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(tmp_path, table())
    monkeypatch.setenv("LAB_DATA", str(tmp_path))
    loaded = prices.load()
    assert loaded.name == "S&P 500"
    assert str(loaded.days[0]) == "2000-01-03"
    assert loaded.close[:3].tolist() == [100.0, 101.0, 102.0]
    assert "1,000 days, 2000-01-03 to" in repr(loaded)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "needs a first line with the columns Date and Close"),
        ("Day,Price\n1,2\n", "needs a first line with the columns Date and Close"),
        (table(40), "has 40 days"),
        (table(line_5='3,"2000-01-06",1.5,null'), "line 5, has no date or no price"),
        (table(line_5='3,"soon",1.5,7'), "line 5, has no date or no price"),
        (table(line_5='3,"2000-01-06",1.5,-7'), "line 5: a price should be a number above 0"),
        (table(line_5='3,"2000-01-06",1.5,nan'), "line 5: a price should be a number above 0"),
        (table(line_5='3,"1999-01-06",1.5,7'), "line 5: its day is not after"),
    ],
)
def test_what_is_wrong_with_a_file_is_told_in_one_sentence(
    tmp_path: Path, text: str, words: str
) -> None:
    path = put(tmp_path, text)
    with pytest.raises(DataError, match=words) as error:
        prices.load(tmp_path)
    assert str(path) in str(error.value)
    assert "\n" not in str(error.value)


def test_planted_patterns_have_their_tops_and_nothing_else_is_changed() -> None:
    flat = np.full((600, 60), 50.0) * np.exp(1e-3 * np.sin(np.arange(60)))
    drawn, kinds = prices.plant(flat, seed=4)
    assert np.bincount(kinds).min() > 150
    np.testing.assert_allclose(drawn[kinds == 0], flat[kinds == 0], rtol=1e-12)
    rise = np.log(drawn / flat)
    assert (rise > -1e-12).all()
    above = rise > 0.55 * rise.max(axis=1, keepdims=True)
    tops = ((np.diff(above.astype(int), axis=1) == 1).sum(axis=1) + above[:, 0])[kinds > 0]
    double = kinds[kinds > 0] == 2
    assert np.mean(tops[double] == 2) > 0.9
    middle = rise[kinds == 1]
    place = middle.argmax(axis=1)
    assert ((place > 8) & (place < 52)).all()  # the head stands between two shoulders
    again, same = prices.plant(flat, seed=4)
    np.testing.assert_array_equal(drawn, again)
    np.testing.assert_array_equal(kinds, same)


def test_a_window_of_equal_prices_can_be_drawn_into() -> None:
    drawn, _ = prices.plant(np.full((30, 20), 7.0))
    assert np.isfinite(drawn).all()


def test_the_command_line_says_what_to_put_where(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert prices.main(["--root", str(tmp_path)]) == 0
    assert str(tmp_path / prices.FILE) in capsys.readouterr().out
    put(tmp_path, "nothing")
    assert prices.main(["--root", str(tmp_path)]) == 1
    assert capsys.readouterr().err.count("\n") == 1


@pytest.mark.skipif(not REAL_DATA, reason="LAB_DATA is not set, so no real prices were read")
def test_the_real_market_begins_in_1950() -> None:
    loaded = prices.load()
    assert str(loaded.days[0]) == "1950-01-03"
    assert len(loaded.close) > 17_000
