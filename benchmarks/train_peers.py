"""What `train` and `accuracy` measure of PyTorch, in an environment without this package."""

import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from benchmarks.answering import answer, rate
from benchmarks.memory import peak_mb, present_mb
from benchmarks.parts import Noted, noting
from benchmarks.torch_network import DeepSpeech2, load

Batch = tuple[Tensor, Tensor, Tensor, Tensor]
"""Features [batch, frames, bins], frames [batch], labels [batch, labels], their lengths [batch]."""


def read_batch(path: Path) -> Batch:
    """What `train_ours.write_batch` wrote."""
    with np.load(path) as saved:
        features, frames, labels, lengths = (
            torch.from_numpy(saved[name])
            for name in ("features", "frames", "labels", "label_lengths")
        )
    return features, frames, labels, lengths


class Training:
    """A network and its AdamW, with weights from `folder`.

    Args:
        folder: with `weights.npz`.
        told: by `train_ours.Training.hand_over`.
        packed: whether recurrent layers get packed sequences.
    """

    def __init__(self, folder: Path, told: dict[str, Any], packed: bool) -> None:
        torch.set_num_threads(told["threads"])
        torch.manual_seed(0)  # of dropout
        self.network = DeepSpeech2(told["num_bins"], told["num_classes"], told["network"], packed)
        with np.load(folder / "weights.npz") as weights:
            load(self.network, weights)
        settings = told["optimisation"]
        assert settings["optimizer"] == "adamw", settings["optimizer"]
        self.clip = settings["grad_clip"]
        parameters = list(self.network.parameters())
        self.optimizer = torch.optim.AdamW(
            [
                {"params": [p for p in parameters if p.ndim > 1]},
                {"params": [p for p in parameters if p.ndim == 1], "weight_decay": 0.0},
            ],
            betas=(settings["beta1"], settings["beta2"]),
            eps=settings["epsilon"],
            weight_decay=settings["weight_decay"],
            fused=True,
        )

    def step(self, batch: Batch, learning_rate: float) -> float:
        """The mean loss of a step's items, before it."""
        features, frames, labels, label_lengths = batch
        self.network.train()
        logits, lengths = self.network(features, frames)
        log_probs = logits.log_softmax(-1).transpose(0, 1)
        losses = functional.ctc_loss(log_probs, labels, lengths, label_lengths, reduction="sum")
        loss = losses / len(frames)
        loss.backward()
        if self.clip is not None:
            torch.nn.utils.clip_grad_norm_(self.network.parameters(), self.clip)
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate
        self.optimizer.step()
        self.optimizer.zero_grad()
        return float(loss)


class Steps:
    """Steps on one batch, again and again."""

    def start(self, folder: str, told: dict[str, Any], packed: bool) -> None:
        """Set the training up on the batch in `folder`."""
        self.training = Training(Path(folder), told, packed)
        self.batch = read_batch(Path(folder) / "batch.npz")
        self.rate = told["rate"]

    def run(self, count: int) -> dict[str, Any]:
        """Make steps: seconds of each on average, and the loss before each."""
        started = time.perf_counter()
        losses = [self.training.step(self.batch, self.rate) for _ in range(count)]
        return {"seconds": (time.perf_counter() - started) / count, "losses": losses}

    def parts_of_step(self) -> Noted:
        """Make a step, and note where its time goes."""
        layers = self.training.network.named_modules()
        with noting(layers, lambda tensor: tensor.requires_grad) as noted:
            self.training.step(self.batch, self.rate)
        return noted


def product(size: int, seconds: float) -> float:
    """GFLOP/s of the product of two square matrices: of MKL, or of oneDNN where that is faster."""
    a, b = torch.rand(size, size), torch.rand(size, size)
    gflop = 2 * size**3 / 1e9
    image, kernel = a.reshape(1, size, size // 16, 16), b.reshape(size, size, 1, 1)
    with torch.no_grad():
        return max(
            rate(lambda: a @ b, gflop, seconds),
            rate(lambda: functional.conv2d(image, kernel), gflop, seconds),
        )


if __name__ == "__main__":
    steps = Steps()
    answer(
        start=steps.start,
        run=steps.run,
        parts=steps.parts_of_step,
        product=product,
        present=present_mb,
        peak=peak_mb,
    )
