"""Settings of the network, its optimisation and the run; importable without Paddle."""

from dataclasses import dataclass
from typing import Literal

from data_utils.settings import BatchSettings, CorpusSettings, FeatureSettings, option


@dataclass(frozen=True)
class NetworkSettings:
    """The sizes of a DeepSpeech2 network."""

    num_conv_layers: int = option(2, "convolutions in front", minimum=1, maximum=3)
    conv_channels: int = option(32, "channels of each convolution", minimum=1)
    num_rnn_layers: int = option(3, "recurrent layers", minimum=1)
    rnn_layer_size: int = option(1024, "units of each recurrent layer and direction", minimum=1)
    rnn_type: Literal["gru", "lstm", "rnn"] = option("gru", "kind of recurrent cell")
    rnn_direction: Literal["bidirectional", "forward"] = option(
        "bidirectional",
        "forward reads the past alone, and a lookahead convolution a little of the future",
    )
    lookahead: int = option(
        20, "output frames of future that a forward network sees, 0 for none", minimum=0
    )
    rnn_norm: Literal["layer", "batch"] = option(
        "layer", "normalisation before each recurrent layer; batch: sequence-wise, valid frames"
    )
    dropout: float = option(
        0.0,
        "share of values dropped before each recurrent layer and the output",
        minimum=0,
        maximum=0.95,
    )

    @property
    def time_reduction(self) -> int:
        """Feature frames to one output frame, rounded up: the stride of the first convolution."""
        return 3


@dataclass(frozen=True)
class OptimisationSettings:
    """How gradients become new weights."""

    optimizer: Literal["adam", "adamw"] = option("adam", "update rule")
    learning_rate: float = option(
        1e-4, "largest learning rate of the schedule", minimum=0, aliases=("lr",)
    )
    lr_schedule: Literal["exponential", "constant", "onecycle"] = option(
        "exponential",
        "exponential: times lr_decay an epoch; onecycle: up for warmup_share of the run, then down",
    )
    lr_decay: float = option(
        0.83, "factor per epoch of the exponential schedule", minimum=0, maximum=1
    )
    warmup_share: float = option(
        0.3, "share of the run in which the onecycle schedule rises", minimum=0, maximum=1
    )
    weight_decay: float = option(
        1e-5, "L2 added to the gradient (adam), or decoupled decay (adamw)", minimum=0
    )
    grad_clip: float | None = option(
        400.0, "largest norm of the gradient, None for no limit", minimum=1e-6
    )


@dataclass(frozen=True)
class RunSettings:
    """One training run: how long, on what, and what it leaves behind."""

    num_epoch: int = option(50, "last epoch to train", minimum=1, aliases=("epochs",))
    output_model_dir: str = option("./models/param", "where checkpoints go")
    log_dir: str = option("./log", "where VisualDL curves go, a folder for each run")
    log_interval: int = option(100, "batches between two lines of the log", minimum=1)
    save_interval: int = option(2000, "batches between two checkpoints inside an epoch", minimum=1)
    resume_model: str | None = option(None, "checkpoint to go on from, at its exact place")
    pretrained_model: str | None = option(None, "weights to start a new training from")
    seed: int = option(1, "seed of weights, order, augmentation and dropout", minimum=0)
    test_off: bool = option(False, "leave out the scoring after each epoch")


@dataclass(frozen=True)
class DeviceSettings:
    """What the network runs on."""

    use_gpu: bool = option(True, "train on the GPU where this Paddle build has one")
    engine: Literal["auto", "plain"] = option(
        "auto",
        "convolutions on CPU: auto compiles them for oneDNN if proved right here; plain never",
    )
    num_threads: int | None = option(
        None, "threads of the CPU engine; None: one per core, from three on one less", minimum=1
    )


TRAINING: tuple[type, ...] = (
    CorpusSettings,
    BatchSettings,
    FeatureSettings,
    NetworkSettings,
    OptimisationSettings,
    RunSettings,
    DeviceSettings,
)
"""The settings of train.py."""
