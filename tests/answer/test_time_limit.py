"""A limit of time on a block of code, on the main thread and on others."""

import signal
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


def asleep(swallowed: bool) -> None:
    """A library that makes another error of any, or none."""
    try:
        time.sleep(60)
    except BaseException:
        if not swallowed:
            raise TypeError("'<' not supported") from None


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="there is no timer signal here")
@pytest.mark.parametrize("swallowed", [True, False])
def test_an_interrupt_that_a_library_makes_something_else_of_stays_one(swallowed: bool) -> None:
    with pytest.raises(TimeLimit), time_limit(0.05):
        asleep(swallowed)


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
