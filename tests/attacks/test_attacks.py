"""Dishonest notebooks gain nothing here: no mark, no secret, no harm; and the class goes on.

`python -m tests.attacks --table` runs all of them against stock nbgrader, too.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.attacks import Attack, corpus
from tests.attacks.ours import REFUSED, Graded, Recorded, attack_ours, record
from tests.attacks.pages import live_scripts
from tests.attacks.stock import attack_stock, template
from tests.attacks.victim import HONEST, World
from tests.needs import needs

ATTACKS = corpus()
SECONDS = 900.0  # by when a class of attackers is done, or never will be
RESULT_BYTES = 20_000_000
# Harmless ones that show on stock nbgrader, one by one, what this course keeps from happening.
ON_STOCK = ("skip_execution_tag", "always_equal", "course_folder")
UNBOUND = ("course_folder", "environment", "network", "write_outside")

pytestmark = pytest.mark.xdist_group("attacks")  # one class, graded once


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    found = World(tmp_path / "world")
    yield found
    found.close()


@pytest.fixture(scope="module")
def graded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Graded]:
    """All attacks, graded as one class with a few honest people in it."""
    world = World(tmp_path_factory.mktemp("attacks") / "world")
    try:
        yield attack_ours(world, ATTACKS.values(), SECONDS)
    finally:
        world.close()


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Recorded]:
    """Attacks on the file and on the browser, through nbgrader's gradebook to the pages."""
    world = World(tmp_path_factory.mktemp("recorded") / "world")
    try:
        attack_ours(world, [one for one in ATTACKS.values() if _reaches_pages(one)], SECONDS)
        yield record(world, SECONDS)
    finally:
        world.close()


def _reaches_pages(attack: Attack) -> bool:
    return attack.gain == "browser" or (attack.gain == "marks" and attack.tamper is not None)


@needs("bwrap")
@pytest.mark.parametrize("name", ATTACKS)
def test_an_attack_gains_nothing(graded: Graded, name: str) -> None:
    outcome = graded.outcomes[name]
    if name in REFUSED:
        assert outcome.score is None
        assert f"'{name}': " in graded.said
    else:
        assert outcome.score == 0, f"{outcome}\n{graded.said[-2000:]}"
    assert outcome.read == ()


@needs("bwrap")
def test_nothing_outside_is_touched(graded: Graded) -> None:
    assert graded.harm == []


@needs("bwrap")
def test_honest_submissions_among_them_get_their_marks(graded: Graded) -> None:
    assert [one and one["score"] for one in graded.honest] == [7.0, 7.0, 7.0]


@needs("bwrap")
def test_every_submission_has_a_verdict_made_in_the_sandbox(graded: Graded) -> None:
    assert graded.status == 1, graded.said[-2000:]  # not all was graded
    assert {*HONEST, *ATTACKS} - {*graded.results} == {*REFUSED}
    isolations = {str(one["isolation"]) for one in graded.results.values()}
    assert all("bubblewrap" in isolation for isolation in isolations), isolations


@needs("bwrap")
def test_no_result_grows_without_bound(graded: Graded) -> None:
    assert {name: size for name, size in graded.sizes.items() if size > RESULT_BYTES} == {}


@needs("bwrap")
def test_the_gradebook_has_marks_for_the_honest_only(recorded: Recorded) -> None:
    assert recorded.said == ""
    assert len(recorded.scores) > len(HONEST)
    assert {name for name, score in recorded.scores.items() if score} == set(HONEST)


@needs("bwrap")
def test_nothing_of_a_student_would_run_on_the_pages(recorded: Recorded) -> None:
    assert recorded.live == {}


def test_what_would_run_on_a_page_is_seen() -> None:
    page = "<p>owned</p><script>owned()</script><img src=x onerror='owned()'><a href='owned'>"
    assert live_scripts(page) == ["<script>", "<img onerror>", "<a href>"]
    assert live_scripts("<p>&lt;script&gt;owned()&lt;/script&gt;</p><script>ours()</script>") == []


def test_without_the_sandbox_they_reach_out(world: World) -> None:
    """What the tests above look for can be seen where nothing keeps it from happening."""
    unbound = attack_ours(
        world, [ATTACKS[name] for name in UNBOUND], SECONDS, "--trust-submissions"
    )
    assert {name: outcome.score for name, outcome in unbound.outcomes.items()} == {
        "course_folder": 1.0,
        "environment": 0.0,
        "network": 0.0,
        "write_outside": 0.0,
    }
    assert {"checks", "solution", "gradebook"} <= set(unbound.outcomes["course_folder"].read)
    assert unbound.outcomes["environment"].read == ("environment",)
    assert unbound.outcomes["network"].read == ("service",)
    assert {"wrote owned-write_outside", "changed canary.txt"} <= set(unbound.harm)


def test_on_stock_nbgrader_they_work(tmp_path: Path) -> None:
    source = template(tmp_path / "template")
    try:
        got = {name: attack_stock(source, ATTACKS[name], tmp_path / name) for name in ON_STOCK}
    finally:
        source.close()
    assert [outcome.score for outcome in got.values()] == [7.0, 7.0, 1.0]
    assert {"checks", "classmate", "gradebook"} <= set(got["course_folder"].read)


def test_an_attack_is_told_in_one_sentence() -> None:
    assert [name for name, one in ATTACKS.items() if not one.what.endswith(".")] == []
