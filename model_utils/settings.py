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
class LossSettings:
    """What the network is trained to make small: CTC, or a variant of it."""

    label_smoothing: float = option(
        0.0,
        "share of each frame's target that is spread evenly over all characters; 0: plain CTC",
        minimum=0,
        maximum=0.5,
    )
    focal_gamma: float = option(
        0.0,
        "how much utterances that are recognised already count for less; 0: plain CTC",
        minimum=0,
        maximum=10,
    )


@dataclass(frozen=True)
class OptimisationSettings:
    """How gradients become new weights."""

    optimizer: Literal["adam", "adamw", "sgd", "rmsprop", "adagrad"] = option("adam", "update rule")
    weight_decay: float = option(
        1e-5, "L2 added to the gradient; adamw: decoupled decay of the matrices", minimum=0
    )
    grad_clip: float | None = option(
        400.0, "largest norm of the gradient, None for no limit", minimum=1e-6
    )
    momentum: float = option(
        0.9, "sgd, rmsprop: weight of the past steps", minimum=0, maximum=0.9999
    )
    dampening: float = option(
        0.0, "sgd: share of each new gradient kept out of the momentum", minimum=0, maximum=0.9999
    )
    nesterov: bool = option(False, "sgd: look ahead along the momentum")
    beta1: float = option(
        0.9, "adam, adamw: weight of the past in the mean gradient", minimum=0, maximum=0.9999
    )
    beta2: float = option(
        0.999, "adam, adamw: weight of the past in the mean square", minimum=0, maximum=0.999999
    )
    rho: float = option(
        0.95, "rmsprop: weight of the past in the mean square", minimum=0, maximum=0.999999
    )
    centered: bool = option(
        False, "rmsprop: divide by the deviation, not the root of the mean square"
    )
    epsilon: float = option(
        1e-8, "added to the divisor of adam, adamw, rmsprop and adagrad", minimum=1e-12
    )
    accumulate: int = option(
        1, "parts of batch_size that each device computes before a step", minimum=1
    )
    ema_decay: float = option(
        0.0,
        "weight of the past in a running average of the weights, which is what is scored and "
        "saved; 0: none",
        minimum=0,
        maximum=0.99999,
    )
    amp: Literal["off", "bf16", "fp16"] = option(
        "off", "mixed precision on a GPU; losses and features stay float32"
    )


@dataclass(frozen=True)
class ScheduleSettings:
    """The learning rate over the run."""

    learning_rate: float = option(
        1e-4, "largest learning rate of the schedule", minimum=0, aliases=("lr",)
    )
    lr_schedule: Literal[
        "exponential",
        "constant",
        "step",
        "multistep",
        "cosine",
        "linear",
        "noam",
        "plateau",
        "onecycle",
    ] = option("exponential", "shape of the learning rate over the run, see docs/train")
    lr_interval: Literal["epoch", "batch"] = option(
        "epoch",
        "exponential, cosine and linear: a new rate each epoch, or at every batch between",
    )
    lr_decay: float = option(
        0.83,
        "factor: per epoch (exponential), each lr_step_epochs (step), at each of lr_milestones "
        "(multistep), where the score stands still (plateau)",
        minimum=0,
        maximum=1,
    )
    lr_step_epochs: int = option(10, "step: epochs from one reduction to the next", minimum=1)
    lr_milestones: tuple[int, ...] = option(
        (), "multistep: epochs after which the rate falls, separated by commas"
    )
    lr_cycle_epochs: float | None = option(
        None, "cosine: epochs from the top to the bottom; None: the whole run", minimum=1
    )
    lr_cycle_growth: float = option(
        1.0, "cosine: how many times as long each cycle is as the one before", minimum=1
    )
    lr_start_share: float = option(
        1.0, "linear: first rate as a share of learning_rate", minimum=0, maximum=1
    )
    lr_end_share: float = option(
        0.0, "cosine, linear: last rate as a share of learning_rate", minimum=0, maximum=1
    )
    plateau_patience: int = option(
        2, "plateau: epochs without a better score before the rate falls", minimum=0
    )
    warmup_steps: int = option(
        0, "batches in which the rate rises from 0; noam turns at the last of them", minimum=0
    )
    warmup_share: float = option(
        0.3, "onecycle: share of the run in which the rate rises", minimum=0, maximum=1
    )
    lr_scaling: Literal["linear", "sqrt", "none"] = option(
        "linear", "what several devices multiply the rate with: their number, its root, or nothing"
    )


@dataclass(frozen=True)
class RunSettings:
    """One training run: how long, on what, and what it leaves behind."""

    num_epoch: int = option(50, "last epoch to train", minimum=1, aliases=("epochs",))
    output_model_dir: str = option("./models/param", "where checkpoints go")
    log_dir: str = option("./log", "where VisualDL curves go, a folder for each run")
    log_interval: int = option(100, "batches between two lines of the log", minimum=1)
    save_interval: int = option(2000, "batches between two checkpoints inside an epoch", minimum=1)
    resume_model: str | None = option(
        None, "checkpoint to go on from, at its exact place; latest: the newest of this folder"
    )
    pretrained_model: str | None = option(None, "weights to start a new training from")
    seed: int = option(1, "seed of weights, order, augmentation and dropout", minimum=0)
    test_off: bool = option(False, "leave out the scoring after each epoch")
    max_steps: int | None = option(
        None, "stop after so many batches, counted from the first epoch; None: never", minimum=1
    )
    early_stopping: int | None = option(
        None, "stop after more than so many epochs without a better score; None: never", minimum=0
    )
    keep_ckpt: int | None = option(
        None, "newest checkpoints that are kept, beside best; None: all", minimum=1
    )
    keep_epochs: tuple[int, ...] = option(
        (), "epochs whose checkpoints are kept in any case, separated by commas"
    )
    dry_run: bool = option(
        False, "only compute the heaviest batch: reports memory, suggests a batch size"
    )
    watchdog_seconds: float | None = option(
        600.0, "end a process that finishes no step for so long; None: never", unit="s", minimum=1
    )


@dataclass(frozen=True)
class DeviceSettings:
    """What the network runs on."""

    use_gpu: bool = option(True, "train on the GPU where this Paddle build has one")
    nproc_per_node: int | None = option(
        None,
        "processes that train together on this machine; None: one per visible GPU",
        minimum=1,
        aliases=("npn",),
    )
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
    LossSettings,
    OptimisationSettings,
    ScheduleSettings,
    RunSettings,
    DeviceSettings,
)
"""The settings of train.py."""
