"""What an engine is, whichever library computes it."""

import subprocess
import sys
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
from numpy.typing import NDArray

import inference
from inference.engines import session_engine

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


@pytest.mark.parametrize("kind", [np.int32, np.int64])
def test_a_session_gets_frames_as_the_graph_declares_them(kind: type[np.signedinteger]) -> None:
    """NumPy 1 makes int32 of Python's numbers on Windows."""

    class Session:
        def run(self, _: None, given: dict[str, NDArray[Any]]) -> list[NDArray[Any]]:
            assert given["frames"].dtype == np.int64
            return [given["features"], given["frames"]]

    engine = session_engine(cast(Any, Session()))
    found = engine(np.zeros((2, 3, 4), np.float32), cast(Any, np.array([3, 2], kind)))
    assert found.frames.tolist() == [3, 2]
