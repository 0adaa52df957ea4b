"""Small cars on drawn tracks, each seen from its own distance sensors; many cars at once, in NumPy.

A track is a closed road around a point, drawn by a seed. A car knows seven distances to the edge of
the road and its own speed, and steers left, straight on or right. What it is paid for a step is how
far the step brought it along the road. Off the road its drive is over: it is put back on the road,
somewhere else. Equal seeds and equal actions give equal drives.

Lengths are in metres, times in seconds, angles in radians (the sensors' in degrees), turning left
positive.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Floats = NDArray[np.float32]

ACTIONS = ("left", "straight", "right")
ANGLES = (90, 45, 20, 0, -20, -45, -90)  # of the sensors, in degrees from straight ahead
SENSES = len(ANGLES) + 1  # numbers that a car knows: its distances, and its speed
STEP = 0.2  # seconds
REACH = 15.0  # metres that a sensor sees
HALF_WIDTH = 2.5  # metres from the centre line to an edge
SLOWEST, FASTEST = 3.0, 9.0  # metres a second
GAIN, LOSS = 3.0, 6.0  # metres a second, each second: straight on, and while it steers
TURN = 1.5  # radians a second
TIGHTEST = 5.0  # metres: no curve of a centre line has a smaller radius
DRIVE = 150  # steps of a drive that is measured: 30 seconds
POINTS = 60  # of a centre line


@dataclass(frozen=True, eq=False, repr=False)
class Track:
    """A closed road.

    centre: (P, 2) points of its centre line, at equal distances; ahead: (P, 2) the unit vector to
    the next point, along the road; at: (P,) metres along the road from its start to each point;
    lap: metres of the whole centre line; walls: (2, P, 2) the corners of its left and right edge.
    """

    centre: Floats
    ahead: Floats
    at: Floats
    lap: float
    walls: Floats

    def __repr__(self) -> str:
        return f"a track of {self.lap:.0f} metres, {2 * HALF_WIDTH:g} metres wide"


def draw_track(seed: int) -> Track:
    """The track of this seed: a ring that five waves bend, no curve of which is too tight."""
    rng = np.random.default_rng([21, seed])
    angle = np.linspace(0, 2 * np.pi, 1001)[:-1]
    while True:
        waves = np.arange(2, 6)
        sizes, shifts = rng.uniform(0, 0.5, 4) / waves, rng.uniform(0, 2 * np.pi, 4)
        bends = (sizes * np.sin(waves * angle[:, None] + shifts)).sum(axis=1)
        radius = rng.uniform(14, 19) * (1 + bends)
        line = radius[:, None] * np.stack([np.cos(angle), np.sin(angle)], axis=1)
        if radius.min() > 2 * HALF_WIDTH and _tightest(line) >= TIGHTEST:
            return _track(_evenly(line, POINTS))


def draw_tracks(count: int, first: int = 0) -> list[Track]:
    """The tracks of `count` seeds in a row."""
    return [draw_track(first + i) for i in range(count)]


class World:
    """Cars on tracks: car i drives on track i % len(tracks).

    Each begins on the centre line, somewhere on its track, at the slowest speed.
    """

    def __init__(self, tracks: Sequence[Track], cars: int, seed: int = 0) -> None:
        self.tracks, self.cars = list(tracks), cars
        self._rng = np.random.default_rng([22, seed])
        of = np.arange(cars) % len(tracks)
        self._centre = np.stack([one.centre for one in tracks])[of]  # (N, P, 2)
        self._ahead = np.stack([one.ahead for one in tracks])[of]
        self._lap = np.array([one.lap for one in tracks], np.float32)[of]
        walls = np.stack([one.walls for one in tracks])[of]
        self._corner = walls.reshape(cars, -1, 2)  # (N, 2P, 2): where a piece of wall begins
        self._side = (np.roll(walls, -1, axis=2) - walls).reshape(cars, -1, 2)
        self.place = np.zeros((cars, 2), np.float32)
        self.heading = np.zeros(cars, np.float32)
        self.speed = np.zeros(cars, np.float32)
        self.along = np.zeros(cars, np.float32)
        self._put(np.ones(cars, bool))

    def observe(self) -> Floats:
        """(N, SENSES): the distances, of which 1 is REACH, and the speed, of which 1 is FASTEST."""
        speed = (self.speed / FASTEST)[:, None]
        return np.concatenate([self.distances() / REACH, speed], axis=1).astype(np.float32)

    def distances(self) -> Floats:
        """(N, 7) metres to the edge of the road in the direction of each sensor, REACH at most."""
        angles = self.heading[:, None] + np.radians(ANGLES, dtype=np.float32)
        dx, dy = np.cos(angles)[..., None], np.sin(angles)[..., None]  # (N, 7, 1)
        to, side = self._corner - self.place[:, None], self._side
        sx, sy = side[:, None, :, 0], side[:, None, :, 1]
        tx, ty = to[:, None, :, 0], to[:, None, :, 1]
        with np.errstate(divide="ignore", invalid="ignore"):
            across = 1 / (dx * sy - dy * sx)
            # place + distance · direction = corner + share · side
            distance, share = (tx * sy - ty * sx) * across, (tx * dy - ty * dx) * across
            met = (share >= 0) & (share <= 1) & (distance >= 0)
        return np.where(met, distance, REACH).min(axis=2).clip(max=REACH)

    def step(self, actions: Any) -> tuple[Floats, NDArray[np.bool_]]:
        """Drive for one step. actions: (N,) indices into ACTIONS.

        Returns (N,) the metres that each car came along its road, and (N,) whether it is off the
        road: then it has been put back already, and what it sees next is a new drive's.
        """
        turn = 1 - np.asarray(actions, dtype=np.int64)  # left +1, right −1
        if turn.shape != (self.cars,) or (np.abs(turn) > 1).any():
            raise ValueError(f"step needs {self.cars} actions of 0, 1 or 2, one for each car.")
        gained = np.where(turn == 0, GAIN, -LOSS) * STEP
        self.speed = (self.speed + gained).clip(SLOWEST, FASTEST).astype(np.float32)
        self.heading = (self.heading + turn * TURN * STEP).astype(np.float32)
        way = np.stack([np.cos(self.heading), np.sin(self.heading)], axis=1)
        self.place = self.place + way * self.speed[:, None] * np.float32(STEP)
        before = self.along
        self.along, aside = self._locate()
        rewards = (self.along - before + self._lap / 2) % self._lap - self._lap / 2
        off = np.abs(aside) > HALF_WIDTH
        if off.any():
            self._put(off)
        return rewards.astype(np.float32), off

    def _locate(self) -> tuple[Floats, Floats]:
        """Metres along the road, and to the left of its centre line."""
        rows = np.arange(self.cars)
        to = self.place[:, None] - self._centre
        nearest = (to**2).sum(axis=2).argmin(axis=1)
        ahead, to = self._ahead[rows, nearest], to[rows, nearest]
        spacing = self._lap / self._centre.shape[1]
        along = nearest * spacing + (to * ahead).sum(axis=1)
        aside = ahead[:, 0] * to[:, 1] - ahead[:, 1] * to[:, 0]
        return along.astype(np.float32), aside.astype(np.float32)

    def _put(self, which: NDArray[np.bool_]) -> None:
        """Put cars somewhere on their centre lines, along the road."""
        rows = np.flatnonzero(which)
        point = self._rng.integers(self._centre.shape[1], size=len(rows))
        ahead = self._ahead[rows, point]
        self.place[rows] = self._centre[rows, point]
        self.heading[rows] = np.arctan2(ahead[:, 1], ahead[:, 0])
        self.speed[rows] = SLOWEST
        self.along[rows] = point * (self._lap[rows] / self._centre.shape[1])


class Drives(Protocol):
    """What `drive` needs of a world."""

    def observe(self) -> Floats: ...
    def step(self, actions: Any) -> tuple[Floats, NDArray[np.bool_]]: ...


class Log(NamedTuple):
    """What N cars saw and did in T steps.

    seen: (T, N, SENSES) float32; actions: (T, N) int64; rewards: (T, N) float32, metres along the
    road; ends: (T, N) bool, whether this step ended the car's drive. The next row is then the first
    one of its next drive.
    """

    seen: Tensor
    actions: Tensor
    rewards: Tensor
    ends: Tensor


Choose = Callable[[Tensor], Tensor]


def drive(choose: Choose, world: Drives, steps: int) -> Log:
    """Drive all cars of a world for some steps, without gradients.

    choose: from what the cars see, (N, SENSES) float32, to their actions, (N,) whole numbers.
    """
    rows: list[tuple[Tensor, ...]] = []
    with torch.no_grad():
        for _ in range(steps):
            seen = torch.as_tensor(world.observe())
            actions = torch.as_tensor(choose(seen)).long()
            rewards, ends = world.step(actions.numpy())
            rows.append((seen, actions, torch.as_tensor(rewards), torch.as_tensor(ends)))
    return Log(*(torch.stack(column) for column in zip(*rows, strict=True)))


def first_drives(log: Log) -> Tensor:
    """(N,) metres that each car came along its road until its first drive ended, or the log did."""
    before = log.ends.long().cumsum(dim=0) - log.ends.long()
    return torch.where(before == 0, log.rewards, torch.zeros(())).sum(dim=0)


def metres(choose: Choose, tracks: Sequence[Track], *, cars: int = 64, seed: int = 0) -> Tensor:
    """(cars,) how far each comes in its first drive, of DRIVE steps at most."""
    return first_drives(drive(choose, World(tracks, cars, seed), DRIVE))


def path(choose: Choose, track: Track, *, seed: int = 0) -> Floats:
    """(T, 2) where one car is in its first drive, of DRIVE steps at most, from its start to the
    last step on the road."""
    world = World([track], 1, seed)
    places = [world.place[0].copy()]
    with torch.no_grad():
        for _ in range(DRIVE):
            _, ends = world.step(torch.as_tensor(choose(torch.as_tensor(world.observe()))).numpy())
            if ends[0]:
                break
            places.append(world.place[0].copy())
    return np.array(places)


def at_random(generator: torch.Generator) -> Choose:
    """A driver that rolls a die."""
    return lambda seen: torch.randint(len(ACTIONS), (len(seen),), generator=generator)


def by_hand(gap: float) -> Choose:
    """A driver of one rule: steer to the side where the road is freer.

    It looks 45° to the left and to the right. Where the two distances differ by more than `gap`
    metres, it steers to the longer one, else it goes straight on.
    """
    left, right = ANGLES.index(45), ANGLES.index(-45)

    def choose(seen: Tensor) -> Tensor:
        freer = (seen[:, left] - seen[:, right]) * REACH
        return 1 - (freer > gap).long() + (freer < -gap).long()

    return choose


def _evenly(line: NDArray[np.float64], points: int) -> NDArray[np.float64]:
    """Points at equal distances on a closed line."""
    closed = np.concatenate([line, line[:1]])
    at = np.concatenate([[0], np.linalg.norm(np.diff(closed, axis=0), axis=1).cumsum()])
    wanted = np.linspace(0, at[-1], points + 1)[:-1]
    return np.stack([np.interp(wanted, at, closed[:, i]) for i in (0, 1)], axis=1)


def _tightest(line: NDArray[np.float64]) -> float:
    """The smallest radius of a closed line's curves, in metres."""
    even = _evenly(line, 200)
    ahead = np.roll(even, -1, axis=0) - even
    turned = np.diff(np.unwrap(np.arctan2(ahead[:, 1], ahead[:, 0])))
    return float(np.linalg.norm(ahead, axis=1).mean() / np.abs(turned).max())


def _track(centre: NDArray[np.float64]) -> Track:
    to_next = np.roll(centre, -1, axis=0) - centre
    length = np.linalg.norm(to_next, axis=1, keepdims=True)
    ahead = to_next / length
    # An edge's corner lies on the line that halves the angle of the two pieces that meet there.
    middle = ahead + np.roll(ahead, 1, axis=0)
    middle /= np.linalg.norm(middle, axis=1, keepdims=True)
    left = HALF_WIDTH * np.stack([-middle[:, 1], middle[:, 0]], axis=1)
    lap = float(length.sum())
    at = np.arange(len(centre)) * lap / len(centre)
    walls = np.stack([centre + left, centre - left])
    single = np.float32
    return Track(
        centre.astype(single), ahead.astype(single), at.astype(single), lap, walls.astype(single)
    )
