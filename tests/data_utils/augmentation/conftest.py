"""Sounds and manifests for the tests of the effects."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
import soundfile

RATE = 16000


@pytest.fixture
def speech() -> np.ndarray:
    """A second of noise at -20 dBFS: float32 [16000]."""
    return (np.random.default_rng(7).standard_normal(RATE) * 0.1).astype(np.float32)


@pytest.fixture
def make_manifest(tmp_path: Path) -> Callable[[Sequence[np.ndarray]], str]:
    """Writes waves as float files and returns the path of the manifest that lists them."""

    def make(waves: Sequence[np.ndarray]) -> str:
        lines = []
        for number, wave in enumerate(waves):
            audio = tmp_path / f"recording_{number}.wav"
            soundfile.write(audio, wave, RATE, subtype="FLOAT")
            lines.append({"audio_filepath": str(audio), "duration": len(wave) / RATE})
        manifest = tmp_path / "manifest.recordings"
        manifest.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
        return str(manifest)

    return make
