"""A limit of time on a block of code, on the main thread and on others."""

import threading
import time

import pytest

from grading.answer.time_limit import TimeLimit, time_limit


def forever() -> None:
    with time_limit(0.05):
        while True:
            pass


def test_a_loop_is_ended() -> None:
    with pytest.raises(TimeLimit):
        forever()


def test_a_sleep_is_ended() -> None:
    with pytest.raises(TimeLimit), time_limit(0.05):
        time.sleep(60)


def test_a_loop_in_another_thread_is_ended() -> None:
    ended = []

    def run() -> None:
        try:
            forever()
        except TimeLimit:
            ended.append("by the limit")

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(60)
    assert ended == ["by the limit"]


def test_what_ends_in_time_is_left_alone() -> None:
    with time_limit(60):
        pass
