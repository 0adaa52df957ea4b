"""What a kernel makes up earns nothing, in any exercise of any lab."""

from pathlib import Path

import pytest

from tests.attacks.every_exercise import ATTACKS, course, graded
from tests.labs import LABS
from tests.needs import needs

pytestmark = needs("bwrap")


@pytest.mark.parametrize("lab", LABS)
def test_a_kernel_that_lies_earns_nothing(lab: str, tmp_path: Path) -> None:
    results = graded(course(tmp_path / "course"), lab)
    for attack in ATTACKS:
        earned = {one["name"]: one["score"] for one in results[attack]["exercises"]}
        assert not any(earned.values()), (attack, earned)
        assert "bubblewrap" in results[attack]["isolation"]
        assert not [one for one in results[attack]["exercises"] if one["status"] == "not judged"]
