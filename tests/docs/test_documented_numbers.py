"""Numbers that the pages give for the network and the schedule are those of the code."""

import re

import pytest
from pages import HOME

from data_utils import features
from data_utils.settings import FeatureSettings
from model_utils.networks import conv
from model_utils.networks.deepspeech2 import DeepSpeech2
from model_utils.networks.rnn import count_parameters
from model_utils.settings import NetworkSettings, ScheduleSettings
from model_utils.trainer.schedules import Place, learning_rate

LANGUAGES = pytest.mark.parametrize("language", ["", ".zh"], ids=["English", "Chinese"])


def page(title: str, language: str) -> str:
    return (HOME / "docs" / f"{title}{language}.md").read_text(encoding="utf-8")


@LANGUAGES
def test_parameter_counts(language: str) -> None:
    row = re.search(r"^\| 256 \| (.*) \|$", page("model", language), re.M)
    assert row is not None
    found = [int(cell.replace(",", "")) for cell in row[1].split(" | ")]
    network = DeepSpeech2(161, 4301, NetworkSettings(rnn_layer_size=256))
    parts = (network.conv, network.rnn, network.output, network)
    assert found == [count_parameters(part) for part in parts]


@LANGUAGES
def test_parameters_grow_as_the_table_says(language: str) -> None:
    """The larger sizes in closed form: three gates, two directions, two biases each."""
    rows = re.findall(
        r"^\| (\d+) \| 251,104 \| (.*) \| .* \| .* \|$", page("model", language), re.M
    )
    assert [int(size) for size, _ in rows] == [256, 512, 1024, 2048]
    for size, shown in rows:
        units = int(size)
        widths = [32 * 41, 2 * units, 2 * units]
        layers = sum(2 * 3 * units * (width + units + 2) for width in widths)
        norms = 2 * (sum(widths) + 2 * units)
        assert int(shown.replace(",", "")) == layers + norms


@LANGUAGES
def test_bins_behind_the_convolutions(language: str) -> None:
    for kind in ("linear", "fbank", "mfcc"):
        bins = features.num_bins(FeatureSettings(feature_type=kind))
        cells = [bins, *(conv.output_bins(bins, layers) for layers in (1, 2, 3))]
        assert f"| `{kind}` | {' | '.join(map(str, cells))} |" in page("model", language)


@LANGUAGES
@pytest.mark.parametrize("seconds, frames, outputs", [(1, 99, 33), (4, 399, 133)])
def test_lengths(language: str, seconds: int, frames: int, outputs: int) -> None:
    assert features.num_frames(16000 * seconds, FeatureSettings()) == frames
    assert {conv.output_frames(frames, layers) for layers in (1, 2, 3)} == {outputs}
    for number in (frames, outputs):
        assert str(number) in page("model", language)


@LANGUAGES
def test_default_schedule(language: str) -> None:
    rates = {1: "1e-4", 10: "1.9e-5", 20: "2.9e-6", 30: "4.5e-7", 50: "1.1e-8", 51: "9e-9"}
    for epoch, shown in rates.items():
        assert learning_rate(ScheduleSettings(), Place(epoch, 0, 100, 60)) == pytest.approx(
            float(shown), rel=0.03
        )
        assert shown in page("training", language)
