"""Two processes that train together do what one does: sums, batch statistics, gradients."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import paddle
import pytest
from workspace import HOME

from model_utils import distributed
from model_utils.networks.batch_norm import ValidBatchNorm

CODE = """
import json, sys
import numpy as np
import paddle
from model_utils import distributed
from model_utils.networks.batch_norm import ValidBatchNorm

distributed.join()
rank = distributed.rank()
given = np.load(sys.argv[1])
rows = slice(0, 3) if rank == 0 else slice(3, None)  # 3 and 2 utterances
norm = ValidBatchNorm(given["x"].shape[1], ceiling=1.5, fast=sys.argv[3] == "fast")
norm.scale.set_value(given["scale"])
norm.shift.set_value(given["shift"])
x = paddle.to_tensor(given["x"][rows], stop_gradient=False)
y = norm(x, paddle.to_tensor(given["mask"][rows]))
(y * paddle.to_tensor(given["weight"][rows])).sum().backward()
np.savez(
    f"{sys.argv[2]}.{rank}.npz", y=y.numpy(), x=x.grad.numpy(), scale=norm.scale.grad.numpy(),
    shift=norm.shift.grad.numpy(), mean=norm.mean.numpy(), variance=norm.variance.numpy(),
)
if rank == 0:
    print(json.dumps({
        "totals": distributed.totals([1.5, rank]), "gathered": distributed.gathered("first"),
    }))
else:
    distributed.totals([2.25, rank])
    distributed.gathered({"second": [2]})
"""


def run_ranks(folder: Path, code: str, *arguments: str) -> str:
    """Run `code` as two processes that Paddle's launcher starts; what the first one printed."""
    script = folder / "ranks.py"
    script.write_text(code, encoding="utf-8")
    subprocess.run(
        [
            *(sys.executable, "-m", "paddle.distributed.launch", "--nproc_per_node=2"),
            *(f"--log_dir={folder / 'ranks'}", str(script), *arguments),
        ],
        env={**os.environ, "PYTHONPATH": str(HOME), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        timeout=300,
        check=True,
    )
    return (folder / "ranks" / "workerlog.0").read_text(encoding="utf-8")


@pytest.mark.skipif(os.name == "nt", reason="Paddle's CPU builds for Windows have no gloo")
@pytest.mark.parametrize("engine", ["plain", "fast"])
def test_batch_norm_sees_the_frames_of_both_processes(engine: str, tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    shape = (5, 4, 3, 7)
    lengths = np.array([7, 2, 5, 7, 4])
    given: dict[str, Any] = {
        "x": rng.normal(2, 3, shape),
        "weight": rng.normal(0, 1, shape),
        "scale": rng.uniform(0.5, 2, 4),
        "shift": rng.normal(0, 1, 4),
        "mask": (np.arange(7) < lengths[:, None])[:, None, None, :],
    }
    given = {name: np.asarray(value, dtype="float32") for name, value in given.items()}
    np.savez(tmp_path / "given.npz", **given)

    # In one process, and by its definition in operations whose gradients Paddle makes.
    x = paddle.to_tensor(given["x"], stop_gradient=False)
    scale = paddle.to_tensor(given["scale"], stop_gradient=False)
    shift = paddle.to_tensor(given["shift"], stop_gradient=False)
    mask = paddle.to_tensor(given["mask"])
    count = mask.sum() * shape[2]
    mean = (x * mask).sum(axis=[0, 2, 3], keepdim=True) / count
    variance = ((x - mean).square() * mask).sum(axis=[0, 2, 3], keepdim=True) / count
    y = (x - mean) / (variance + 1e-5).sqrt() * scale.reshape([1, -1, 1, 1])
    y = (y + shift.reshape([1, -1, 1, 1])).clip(0.0, 1.5) * mask
    (y * paddle.to_tensor(given["weight"])).sum().backward()

    said = run_ranks(tmp_path, CODE, str(tmp_path / "given.npz"), str(tmp_path / "out"), engine)
    first, second = (np.load(tmp_path / f"out.{rank}.npz") for rank in (0, 1))
    for name, expected in (("y", y.numpy()), ("x", x.grad.numpy())):
        assert np.allclose(np.concatenate([first[name], second[name]]), expected, atol=2e-6), name
    # Each has its own part of the weights' gradients, which the trainer sums.
    assert np.allclose(first["scale"] + second["scale"], scale.grad.numpy(), atol=1e-5)
    assert np.allclose(first["shift"] + second["shift"], shift.grad.numpy(), atol=1e-5)
    for rank in (first, second):
        assert np.allclose(rank["mean"], 0.1 * mean.numpy().ravel(), atol=1e-6)
        assert np.allclose(rank["variance"], 0.9 + 0.1 * variance.numpy().ravel(), atol=1e-5)
    assert "FLAGS" not in said
    numbers = json.loads(said.strip().splitlines()[-1])
    assert numbers == {"totals": [3.75, 1.0], "gathered": ["first", {"second": [2]}]}


def test_alone_nothing_of_paddle_is_started() -> None:
    assert (distributed.rank(), distributed.world_size(), distributed.local_size()) == (0, 1, 1)
    assert distributed.is_main() and distributed.stop_request() is None
    assert distributed.totals([1.5, 2.0]) == [1.5, 2.0] and distributed.gathered("a") == ["a"]
    values = paddle.to_tensor([1.0, 2.0])
    assert distributed.sum_over_ranks(values) is values
    assert values.numpy().tolist() == [1.0, 2.0]
    norm = ValidBatchNorm(2, ceiling=None)
    norm(paddle.zeros([1, 2, 1, 3]), paddle.zeros([1, 1, 1, 3]))  # no valid frame at all
    assert np.isfinite(norm.mean.numpy()).all() and np.isfinite(norm.variance.numpy()).all()
