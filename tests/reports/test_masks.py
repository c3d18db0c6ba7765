"""The picture of a mask shows what the page says of it."""

from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure

from data_utils.enhancement.settings import SpectrumSettings
from reports import masks
from reports.masks import SECONDS, draw_masks, speech_like


def test_the_four_panels_are_speech_mixture_mask_and_what_it_leaves(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: list[Figure] = []
    monkeypatch.setattr(masks, "write_picture", lambda figure, path: drawn.append(figure))
    draw_masks(tmp_path / "masks.png")
    panels = [np.asarray(axis.images[0].get_array()) for axis in drawn[0].axes if axis.images][:4]
    speech, mixture, mask, left = panels
    assert {panel.shape for panel in panels} == {mask.shape}
    assert mask.shape[0] == SpectrumSettings().bins, "frequencies from below to above"
    assert 0 <= mask.min() < 0.1 and 0.9 < mask.max() <= 1
    # In dB: the mask takes nothing away where speech is strong, and the noise elsewhere.
    loud, quiet = speech > np.quantile(speech, 0.99), speech <= np.quantile(speech, 0.2)
    assert np.abs(left - speech)[loud].mean() < 1 < 10 < (mixture - left)[quiet].mean()
    seen = left > -100
    assert np.allclose(left[seen], (mixture + 20 * np.log10(mask + 1e-20))[seen], atol=0.01)


def test_the_speech_is_the_same_each_time() -> None:
    wave = speech_like(SECONDS, 8000)
    assert wave.dtype == np.float32 and wave.shape == (16_000,) and np.isfinite(wave).all()
    assert 0.05 < np.abs(wave).max() < 1
    assert np.array_equal(wave, speech_like(SECONDS, 8000))
