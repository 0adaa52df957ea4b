"""Lab 21's world: tracks, sensors, steps, and drives that are the same for the same seed."""

from typing import Any

import numpy as np
import pytest
import torch

from utils import driving, driving_runs
from utils.driving import World
from utils.figures import driving as figures

TRACKS = driving.draw_tracks(4)


def placed(along: float, aside: float = 0.0, turn: float = 0.0) -> World:
    """A world of one car, so many metres after the start of the first track, to the left of its
    centre line, turned by so many radians from it."""
    world, track = World(TRACKS[:1], 1), TRACKS[0]
    point = round(along / track.lap * len(track.centre))
    ahead = track.ahead[point]
    left = np.array([-ahead[1], ahead[0]])
    world.place[0] = track.centre[point] + aside * left
    world.heading[0] = np.arctan2(ahead[1], ahead[0]) + turn
    world.along[0] = track.at[point]
    return world


def test_tracks_are_drawn_by_their_seed_and_differ() -> None:
    again = driving.draw_tracks(4)
    for one, other in zip(TRACKS, again, strict=True):
        assert (one.centre == other.centre).all()
    assert len({round(one.lap, 3) for one in TRACKS}) == len(TRACKS)


def test_a_road_is_closed_evenly_cut_and_as_wide_as_it_says() -> None:
    for track in driving.draw_tracks(30):
        steps = np.linalg.norm(np.roll(track.centre, -1, axis=0) - track.centre, axis=1)
        assert steps.max() < 1.02 * steps.min()
        assert track.lap == pytest.approx(steps.sum(), rel=1e-5)
        for edge in track.walls:
            aside = np.linalg.norm(edge - track.centre, axis=1)
            assert aside == pytest.approx(driving.HALF_WIDTH, rel=1e-3)


def test_sensors_see_both_edges_at_half_the_width() -> None:
    distances = placed(20.0).distances()[0]
    assert distances[[0, -1]] == pytest.approx(driving.HALF_WIDTH, abs=0.25)
    nearer = placed(20.0, aside=1.0).distances()[0]
    assert nearer[0] == pytest.approx(distances[0] - 1, abs=0.1)
    assert nearer[-1] == pytest.approx(distances[-1] + 1, abs=0.1)


def test_what_is_seen_lies_between_0_and_1() -> None:
    seen = World(TRACKS, 16).observe()
    assert seen.shape == (16, driving.SENSES)
    assert seen.dtype == np.float32
    assert (seen >= 0).all()
    assert (seen <= 1).all()


def test_a_step_straight_on_is_paid_its_metres() -> None:
    rewards, ends = placed(30.0).step([1])
    speed = driving.SLOWEST + driving.GAIN * driving.STEP
    assert rewards[0] == pytest.approx(speed * driving.STEP, rel=0.1)
    assert not ends[0]


def test_the_wrong_way_costs_and_the_starting_line_is_no_jump() -> None:
    assert placed(30.0, turn=np.pi).step([1])[0][0] < 0
    world = placed(0.0)
    for action in (1, 1):
        assert 0 < world.step([action])[0][0] < 2
    back = placed(0.0, turn=np.pi)
    assert -2 < back.step([1])[0][0] < 0


def test_left_turns_left_and_loses_speed() -> None:
    left, right = placed(30.0), placed(30.0)
    left.speed[:] = right.speed[:] = 6.0
    before = left.heading.copy()
    left.step([0])
    right.step([2])
    assert left.heading[0] - before[0] == pytest.approx(driving.TURN * driving.STEP, abs=1e-5)
    assert before[0] - right.heading[0] == pytest.approx(driving.TURN * driving.STEP, abs=1e-5)
    assert left.speed[0] == pytest.approx(6 - driving.LOSS * driving.STEP)


def test_off_the_road_a_drive_ends_and_the_next_begins_on_it() -> None:
    world = placed(30.0, aside=2.4, turn=np.pi / 2)
    _, ends = world.step([1])
    assert ends[0]
    assert world.speed[0] == driving.SLOWEST
    assert world.distances()[0, 0] == pytest.approx(driving.HALF_WIDTH, abs=0.4)


@pytest.mark.parametrize("actions", [[1], [0, 3], [[1, 1]], [-1, 0]])
def test_actions_that_are_none_are_refused(actions: Any) -> None:
    with pytest.raises(ValueError, match="actions"):
        World(TRACKS, 2).step(actions)


def test_equal_seeds_drive_alike() -> None:
    logs = [
        driving.drive(driving.at_random(torch.Generator().manual_seed(1)), World(TRACKS, 8, 5), 40)
        for _ in range(2)
    ]
    for one, other in zip(*logs, strict=True):
        assert torch.equal(one, other)


def test_first_drives_stop_at_the_first_end() -> None:
    ends = torch.tensor([[False, True], [True, False], [False, False]])
    rewards = torch.tensor([[1.0, 2.0], [4.0, 8.0], [16.0, 32.0]])
    log = driving.Log(torch.zeros(3, 2, 8), torch.zeros(3, 2).long(), rewards, ends)
    assert driving.first_drives(log).tolist() == [5.0, 2.0]


def test_the_rule_drives_and_the_die_does_not() -> None:
    rule = driving.metres(driving.by_hand(driving_runs.GAP), TRACKS, cars=16)
    die = driving.metres(driving.at_random(torch.Generator().manual_seed(0)), TRACKS, cars=16)
    assert rule.mean() > 180
    assert die.mean() < 20


def test_the_recorded_runs_are_as_many_of_each() -> None:
    assert len(driving_runs.WITH) == len(driving_runs.WITHOUT) >= 30
    assert np.mean(driving_runs.WITH) > np.mean(driving_runs.WITHOUT)
    first = [np.mean(runs[:3]) for runs in (driving_runs.WITH, driving_runs.WITHOUT)]
    assert first[0] < first[1]  # which lab 21 is about


def test_a_film_is_a_small_picture_that_names_its_cars() -> None:
    places = driving.path(driving.by_hand(driving_runs.GAP), TRACKS[0])
    text = figures._moving(TRACKS[0], {"rule": places, "<b>": places[:4]})
    assert text.count("animateMotion") == 2
    assert "<b>" not in text
    assert len(text) < 20_000
