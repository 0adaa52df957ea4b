"""For every test: nobody's own files are touched, and the run says at its end what it left out."""

import os
import re
import sys
from collections import Counter
from collections.abc import Iterator

import hypothesis
import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadFileScheduling

# Fresh examples in every run, printed in a form to repeat them; no limit on time, which machines
# that do other work beside would exceed by chance.
hypothesis.settings.register_profile("course", deadline=None, derandomize=False, print_blob=True)
hypothesis.settings.load_profile("course")


class ByFileAndLab(LoadFileScheduling):
    """A file's tests share a worker, as what they set up is dear; but each lab is a unit,
    or the file that goes through all labs would keep one worker busy long after the others."""

    def _split_scope(self, nodeid: str) -> str:
        lab = re.search(r"\[.*?(\d\d_[a-z]+(?:_[a-z]+)*)", nodeid)
        return super()._split_scope(nodeid) + (f"::{lab[1]}" if lab else "")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> ByFileAndLab:
    return ByFileAndLab(config, log)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """One worker more than there are cores, at most four: some tests wait, for a limit of time, a
    browser or a rank that sleeps. A worker needs about 1.5 GB."""
    return min(4, (os.cpu_count() or 1) + 1)


@pytest.fixture(autouse=True, scope="session")
def _nobodys_own_files(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Progress, JupyterLab's settings and IPython's history go to a temporary folder."""
    folder = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LAB_PROGRESS", str(folder / "progress.json"))
        patch.setenv("JUPYTER_CONFIG_DIR", str(folder / "jupyter_config"))
        patch.setenv("JUPYTER_DATA_DIR", str(folder / "jupyter_data"))
        patch.setenv("IPYTHONDIR", str(folder / "ipython"))
        yield


@pytest.fixture(autouse=True)
def _no_figures_of_other_tests() -> None:
    """A test that counts open figures sees its own."""
    if "matplotlib.pyplot" in sys.modules:
        sys.modules["matplotlib.pyplot"].close("all")


def pytest_sessionfinish(session: pytest.Session) -> None:
    """A run in which nothing was checked is a failure, even if everything was skipped."""
    reporter = _reporter(session.config)
    if reporter is None or session.config.option.collectonly:
        return
    checked = any(reporter.stats.get(kind) for kind in ("passed", "failed", "error"))
    if not checked and session.exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.NO_TESTS_COLLECTED


def pytest_unconfigure(config: pytest.Config) -> None:
    """The last lines: how many tests did not run, and why."""
    reporter = _reporter(config)
    if reporter is None:
        return
    reasons = Counter(report.longrepr[2] for report in reporter.stats.get("skipped", ()))
    for reason, count in sorted(reasons.items()):
        tests = "1 test" if count == 1 else f"{count} tests"
        reporter.write_line(f"Not run here: {tests}: {reason.removeprefix('Skipped: ')}")


def _reporter(config: pytest.Config) -> pytest.TerminalReporter | None:
    """What has every test's report; None in a worker of pytest-xdist, which has only its own."""
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    return None if hasattr(config, "workerinput") else reporter
