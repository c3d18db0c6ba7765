"""What every test stands on: Paddle's environment, real recordings if any, a corpus of tones."""

import functools
import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import tones
from tones import Corpus

from model_utils import runtime
from model_utils.runtime import Device, known_wrong

# Paddle reads these once, at its first import, so all tests of this process share one setting.
os.environ["OMP_NUM_THREADS"] = "1"
os.environ["FLAGS_use_mkldnn"] = "0" if known_wrong() else "1"  # as commands will choose
os.environ["GLOG_minloglevel"] = "2"
# Verdicts of engine proofs that tests make stay out of the user's own cache.
_cache = tempfile.TemporaryDirectory(prefix="paddle-deepspeech2-tests-")
os.environ["XDG_CACHE_HOME"] = _cache.name

_CHATTER = (
    ".*ccache.*",
    "Tensor do not have 'place'",
    ".*always track global mean.*",
    ".*state dict is empty.*",
)
"""What Paddle says and no test asks for."""

_CAMPAIGN = "campaign"


def pytest_configure(config: pytest.Config) -> None:
    for message in _CHATTER:
        config.addinivalue_line("filterwarnings", f"ignore:{message}")


def pytest_runtest_setup(item: pytest.Item) -> None:
    if item.get_closest_marker("real") and not os.environ.get("SPEECH_DATA"):
        pytest.skip("needs real recordings; SPEECH_DATA=FOLDER names them")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """What the campaigns counted, whichever process ran them and whatever is captured."""
    reports = [
        report for kind in ("passed", "failed") for report in terminalreporter.stats.get(kind, ())
    ]
    told = [
        text for report in reports for name, text in report.user_properties if name == _CAMPAIGN
    ]
    if told:
        terminalreporter.section("campaigns")
        for text in told:
            terminalreporter.write_line(text)


@pytest.fixture
def campaign(record_property: Callable[[str, object], None]) -> Callable[[str], None]:
    """Tells at the end of all tests what a campaign counted."""
    return functools.partial(record_property, _CAMPAIGN)


@pytest.fixture
def speech_data() -> Path:
    """The folder of real recordings; for tests marked `real`."""
    return Path(os.environ["SPEECH_DATA"]).resolve()


@pytest.fixture(scope="module")
def prepared() -> Iterator[None]:
    """Training in this process: Paddle is set up already, for all its tests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(runtime, "prepare", lambda *_: Device("cpu", "plain", 1))
        yield


@pytest.fixture
def make_corpus(tmp_path: Path) -> Callable[..., Corpus]:
    """`tones.make_corpus` in a folder of the test's own."""
    return functools.partial(tones.make_corpus, tmp_path)
