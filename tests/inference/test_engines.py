"""What an engine is, whichever library computes it."""

import subprocess
import sys
from pathlib import Path

import inference

WITHOUT_PADDLE = """
import sys
sys.modules["paddle"] = None  # importing it is an error now
import numpy as np
from inference.engines import Engine
from model_utils.outputs import Outputs

def blanks(features: np.ndarray, frames: np.ndarray) -> Outputs:
    return Outputs(np.zeros((len(features), 1, 4), np.float32), np.ones(len(frames), np.int64))

engine: Engine = blanks
print(*engine(np.zeros((2, 3, 8), np.float32), np.array([3, 2])).frames)
"""


def test_one_without_paddle_can_be_written() -> None:
    root = Path(inference.__file__).parent.parent
    ran = subprocess.run(
        [sys.executable, "-c", WITHOUT_PADDLE], cwd=root, capture_output=True, text=True
    )
    assert ran.returncode == 0 and ran.stdout == "1 1\n", ran.stderr
