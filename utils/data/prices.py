"""Daily prices: the S&P 500 where a data root has it, else a random walk; and chart patterns.

    market = prices.load()                       # days and closing prices
    prices.plant(windows, seed=0)                # some windows with a pattern drawn into them

Nothing here downloads: `python -m utils.data.prices` says what is there, and what to put where.
"""

import csv
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from utils.data.download import tell
from utils.data.root import DataError, data_root

Array = NDArray[np.float64]

FILE = Path("prices") / "sp500.csv"
FEWEST = 1000  # days: with fewer there are no years to hold out
PATTERNS = ("none", "head and shoulders", "double top")

_WALK_DAYS = 12_000
# Where a pattern has its corners, in shares of its width and of its height.
_CORNERS = {
    "head and shoulders": (
        (0, 0.16, 0.32, 0.5, 0.68, 0.84, 1),
        (0, 0.6, 0.25, 1, 0.25, 0.6, 0),
    ),
    "double top": ((0, 0.28, 0.5, 0.72, 1), (0, 1, 0.35, 1, 0)),
}


@dataclass(frozen=True, eq=False, repr=False)
class Market:
    """One price a day. days: (N,) datetime64[D], rising; close: (N,) float64, above 0."""

    name: str
    days: NDArray[np.datetime64]
    close: Array

    def __repr__(self) -> str:
        return f"{self.name}: {len(self.close):,} days, {self.days[0]} to {self.days[-1]}"


def load(root: str | Path | None = None) -> Market:
    """The S&P 500 from the data root, or a random walk; one printed line says which and why.

    root: a folder that holds prices/sp500.csv with the columns Date and Close. Without it LAB_DATA
    names the folder, and without that it is `data` in the repository.
    Raises DataError for a file that is there and cannot be used.
    """
    folder, source = data_root(root)
    path = folder / FILE
    if path.exists():
        loaded, why = _read(path), f"from {path}"
    else:
        missing = f", since {source} is {folder} and has no {FILE}" if source else ""
        why = f"made by code{missing}; `python -m utils.data.prices` says what else there is"
        loaded = random_walk()
    print(f"{loaded} ({why}).")
    return loaded


def random_walk() -> Market:
    """Prices whose next step nobody can know: calm and wild times, and no memory of direction.

    The size of a step goes up and down slowly, as it does on real markets (GARCH, Bollerslev 1986);
    its sign is a coin's. Always the same walk.
    """
    rng = np.random.default_rng(1986)
    steps, variance, before = np.zeros(_WALK_DAYS), 1e-4, 0.0
    for day in range(_WALK_DAYS):
        variance = 1e-6 + 0.08 * before**2 + 0.91 * variance
        before = steps[day] = np.sqrt(variance) * rng.normal()
    days = np.busday_offset("1970-01-01", np.arange(_WALK_DAYS), roll="forward")
    close = 100 * np.exp(np.cumsum(steps - 0.5 * steps.var() + 1e-4))
    return Market("random walk", days, close)


def plant(windows: Array, *, seed: int = 0, height: float = 4.0) -> tuple[Array, NDArray[np.int64]]:
    """Copies of windows of prices (M, L), two thirds of them with a pattern; which has which.

    The second result is (M,) int64, a place in PATTERNS. A pattern lies anywhere in the window, at
    least half as wide as it, and rises above the prices as they were by height times the standard
    deviation of the window's logarithms (at least two steps' worth), up to a quarter more or less.
    """
    rng = np.random.default_rng(seed)
    kinds = rng.integers(len(PATTERNS), size=len(windows))
    planted, length = np.log(windows), windows.shape[1]
    for row, kind in zip(planted, kinds.tolist(), strict=True):
        width = rng.uniform(0.5, 0.95) * (length - 1)
        start = rng.uniform(0, length - 1 - width)
        rise = height * max(row.std(), 2 * np.diff(row).std()) * rng.uniform(0.75, 1.25)
        bend = rng.uniform(0.85, 1.15, 7)
        if kind:
            places, levels = _CORNERS[PATTERNS[kind]]
            at = (np.arange(length) - start) / width
            row += rise * np.interp(at, places, np.array(levels) * bend[: len(levels)])
    return np.exp(planted), kinds


def _read(path: Path) -> Market:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = list(csv.DictReader(file))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path} cannot be read ({error}).") from error
    names = {name.strip().lower(): name for name in (rows[0] if rows else {}) if name}
    if not {"date", "close"} <= names.keys():
        raise DataError(f"{path} needs a first line with the columns Date and Close.")
    days, close = [], []
    for number, row in enumerate(rows, 2):
        try:
            days.append(np.datetime64(str(row[names["date"]]).strip()[:10], "D"))
            close.append(float(row[names["close"]]))
        except (TypeError, ValueError) as error:
            raise DataError(f"{path}, line {number}, has no date or no price ({error}).") from error
    if len(days) < FEWEST:
        raise DataError(f"{path} has {len(days):,} days: the lab takes at least {FEWEST:,}.")
    every_day, prices = np.array(days), np.array(close)
    late = np.flatnonzero(np.diff(every_day) <= np.timedelta64(0, "D"))
    if len(late):
        raise DataError(f"{path}, line {late[0] + 3}: its day is not after that of the line above.")
    bad = np.flatnonzero(~(np.isfinite(prices) & (prices > 0)))
    if len(bad):
        raise DataError(f"{path}, line {bad[0] + 2}: a price should be a number above 0.")
    return Market("S&P 500", every_day, prices)


def main(arguments: list[str] | None = None) -> int:
    """The command line: what is there, and what to put where. Returns the exit status."""
    remedy = (
        "For a real market, put daily prices, oldest first, into {place}: a CSV file with the "
        "columns Date (2018-12-31) and Close."
    )
    return tell("utils.data.prices", "Daily prices", load, [FILE], remedy, arguments)


if __name__ == "__main__":
    sys.exit(main())
