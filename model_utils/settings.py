"""Settings of the network, its optimisation and the run; importable without Paddle."""

from dataclasses import dataclass
from typing import Literal

from data_utils.enhancement.settings import NoisyCorpusSettings, SpectrumSettings
from data_utils.separation.settings import SongSettings
from data_utils.settings import (
    BatchSettings,
    CorpusSettings,
    FeatureSettings,
    StoreSettings,
    option,
)
from model_utils.networks.settings import MaskNetworkSettings
from model_utils.options import TaskOptions


@dataclass(frozen=True)
class TaskSettings:
    """What kind of model it is about: training and scoring ask for it alike."""

    task: Literal["recognition", "enhancement", "separation"] = option(
        "recognition",
        "what the model is for; the other options follow from it: give --help with it",
        when="a front end for noisy recordings, see [enhancement](enhancement.md) and "
        "[separation](separation.md)",
    )


@dataclass(frozen=True)
class ModeSettings:
    """Where the examples that are trained on come from."""

    mode: Literal["train", "process_data", "fast_train"] = option(
        "train",
        "train: load and train; process_data: compute the examples once and store them; "
        "fast_train: train from the store",
        aliases=("m",),
        when="where the share of waiting is high, see [stored examples](#stored-examples)",
    )


@dataclass(frozen=True)
class NetworkSettings:
    """The sizes of a DeepSpeech2 network."""

    num_conv_layers: int = option(
        2,
        "convolutions in front",
        minimum=1,
        maximum=3,
        when="3 hands fewer values to the recurrent layers, see [the model](model.md)",
    )
    conv_channels: int = option(
        32,
        "channels of each convolution",
        minimum=1,
        when="8 on a CPU, where most of the time goes into the convolutions",
    )
    num_rnn_layers: int = option(
        3, "recurrent layers", minimum=1, when="2 for words, 5 or more for thousands of hours"
    )
    rnn_layer_size: int = option(
        1024,
        "units of each recurrent layer and direction",
        minimum=1,
        when="128 to 256 for a small corpus or a CPU, see [parameters](model.md#parameters)",
    )
    rnn_type: Literal["gru", "lstm", "rnn"] = option(
        "gru",
        "kind of recurrent cell",
        when="seldom: `lstm` has a third more weights than `gru`, `rnn` a third as many",
    )
    rnn_direction: Literal["bidirectional", "forward"] = option(
        "bidirectional",
        "forward reads the past alone, and a lookahead convolution a little of the future",
        when="`forward` where results are wanted while somebody still speaks, at some cost in "
        "accuracy",
    )
    lookahead: int = option(
        20,
        "output frames of future that a forward network sees, 0 for none",
        minimum=0,
        when="smaller for less delay: 20 output frames are 0.6 s",
    )
    rnn_norm: Literal["layer", "batch"] = option(
        "layer",
        "normalisation before each recurrent layer; batch: sequence-wise, valid frames",
        when="`batch` to follow the DeepSpeech2 paper; small batches make its statistics noisy",
    )
    dropout: float = option(
        0.0,
        "share of values dropped before each recurrent layer and the output",
        minimum=0,
        maximum=0.95,
        when="0.1 to 0.3 where the training loss falls and the dev score does not",
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
        when="0.02 to 0.1 where the network is sure of its errors, or the dev score falls behind",
    )
    focal_gamma: float = option(
        0.0,
        "how much utterances that are recognised already count for less; 0: plain CTC",
        minimum=0,
        maximum=10,
        when="0.5 to 2 where a few hard utterances stay wrong; it acts where a loss is below "
        "about 3",
    )


@dataclass(frozen=True)
class HeadSettings:
    """A second output of the recogniser: the class of the utterance as a whole."""

    head_field: str | None = option(
        None,
        "field of the manifests that says the class of an utterance, language say; None: no head",
        when="where the language or the kind of noise is wanted beside the text, see [classes of "
        "utterances](#classes-of-utterances)",
    )
    head_loss: Literal["cross_entropy", "multi_margin", "focal"] = option(
        "cross_entropy",
        "what the head is trained to make small",
        when="`focal` where one class is rare or few utterances stay wrong; `multi_margin` seldom",
    )
    head_weight: float = option(
        1.0,
        "times the head's loss is added to the utterance's CTC loss",
        minimum=1e-6,
        maximum=1000,
        when="3 to 10 where the classes are learned too slowly, 0.1 where the text suffers",
    )
    head_gamma: float = option(
        2.0,
        "focal: how much utterances whose class is clear already count for less",
        minimum=0,
        maximum=10,
        when="0.5 for less of it; 0 is cross_entropy",
    )
    head_margin: float = option(
        1.0,
        "multi_margin: by how much the right class has to lead before its loss is 0",
        minimum=0.01,
        maximum=100,
        when="seldom",
    )


@dataclass(frozen=True)
class FrontEndTrainingSettings:
    """What a recogniser is trained behind."""

    frontend: str | None = option(
        None,
        "checkpoint of an enhancer or separator in front of the recogniser, or of a recogniser "
        "that carries one; of a folder the newest. None: that of pretrained_model, if it carries "
        "one; off: none in any case",
        when="noisy recordings, see [training behind a front "
        "end](enhancement.md#training-behind-a-front-end)",
    )
    observation: tuple[float, ...] = option(
        (0.0, 1.0),
        "with a front end: bounds between which every utterance draws the share of the unprocessed "
        "signal that is kept, separated by commas; one value for all",
        when="narrower, `0,0.3` say, where the share that will be used is known",
    )
    frontend_training: Literal["frozen", "joint"] = option(
        "frozen",
        "with a front end: it stays as it is, or is trained together with the recogniser",
        when="`joint` once the recogniser has been trained behind the frozen one",
    )


MaskError = Literal["mse", "l1"]


@dataclass(frozen=True)
class MaskLossSettings:
    """What an enhancer is trained to make small."""

    loss: MaskError = option(
        "mse",
        "square of the difference, or its absolute value (l1)",
        when="`l1` where few large errors should count less",
    )
    loss_on: Literal["mask", "magnitude", "masked"] = option(
        "mask",
        "what is compared: the mask with the ideal one; the magnitudes behind it with those of the "
        "speech (magnitude), or with those behind the ideal mask (masked)",
        when="`masked`, with `psm`, where the wave should come near: loud units then count most",
    )


@dataclass(frozen=True)
class StemLossSettings:
    """What a separator is trained to make small."""

    loss: MaskError = option(
        "l1",
        "difference of the masked mixture and the stem: its absolute value, or its square (mse)",
        when="`mse` where loud parts should count more",
    )


@dataclass(frozen=True)
class SeparatorSettings:
    """What a separator's checkpoints tell beside what it hears."""

    trainer: str = option(
        "",
        "name of who trains it, kept in the checkpoints and shown",
        when="to find out later whose model it is",
    )


@dataclass(frozen=True)
class OptimisationSettings:
    """How gradients become new weights."""

    optimizer: Literal["adam", "adamw", "sgd", "rmsprop", "adagrad"] = option(
        "adam",
        "update rule",
        when="`adamw` with a weight decay that matters; `sgd` where there is time to find its rate",
    )
    weight_decay: float = option(
        1e-5,
        "L2 added to the gradient; adamw: decoupled decay of the matrices",
        minimum=0,
        aliases=("wd",),
        when="1e-2 with `adamw`; larger where the dev score falls behind the training loss",
    )
    grad_clip: float | None = option(
        400.0,
        "largest norm of the gradient, None for no limit",
        minimum=1e-6,
        when="about 5 with large learning rates; the log has the norms (`Gradient norm`)",
    )
    momentum: float = option(
        0.9,
        "sgd, rmsprop: weight of the past steps",
        minimum=0,
        maximum=0.9999,
        when="0 for plain steps; 0.99 remembers about 100 steps",
    )
    dampening: float = option(
        0.0,
        "sgd: share of each new gradient kept out of the momentum",
        minimum=0,
        maximum=0.9999,
        when="seldom: with `sgd` it is the same as a learning rate (1 - dampening) times as large",
    )
    nesterov: bool = option(
        False,
        "sgd: look ahead along the momentum",
        when="`True` is worth a try with `sgd`; needs momentum, and no dampening",
    )
    beta1: float = option(
        0.9,
        "adam, adamw: weight of the past in the mean gradient",
        minimum=0,
        maximum=0.9999,
        when="seldom",
    )
    beta2: float = option(
        0.999,
        "adam, adamw: weight of the past in the mean square",
        minimum=0,
        maximum=0.999999,
        when="0.98 where the size of gradients changes fast",
    )
    rho: float = option(
        0.95,
        "rmsprop: weight of the past in the mean square",
        minimum=0,
        maximum=0.999999,
        when="seldom",
    )
    centered: bool = option(
        False, "rmsprop: divide by the deviation, not the root of the mean square", when="seldom"
    )
    epsilon: float = option(
        1e-8,
        "added to the divisor of adam, adamw, rmsprop and adagrad",
        minimum=1e-12,
        when="1e-6 where single weights jump",
    )
    accumulate: int = option(
        1,
        "parts of batch_size that each device computes before a step",
        minimum=1,
        when="where the batch that you want does not fit into memory, see "
        "[accumulation](#accumulation)",
    )
    ema_decay: float = option(
        0.0,
        "weight of the past in a running average of the weights, which is what is scored and "
        "saved; 0: none",
        minimum=0,
        maximum=0.99999,
        when="0.99 for runs of hundreds of steps, 0.999 for thousands, see "
        "[averages](#averages-of-weights)",
    )
    amp: Literal["off", "bf16", "fp16"] = option(
        "off",
        "mixed precision on a GPU; losses and features stay float32",
        when="`bf16` on GPUs that have it, else `fp16`; [not verified](#not-verified) so far",
    )


@dataclass(frozen=True)
class ScheduleSettings:
    """The learning rate over the run."""

    learning_rate: float = option(
        1e-4,
        "largest learning rate of the schedule",
        minimum=0,
        aliases=("lr",),
        when="the first setting to try: three times more, three times less; see [the "
        "guide](training_guide.md#learning-rate)",
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
        "inverse",
        "onecycle",
    ] = option(
        "exponential",
        "shape of the learning rate over the run, see docs/training",
        when="`onecycle` for a run of known length; see [learning rate](#learning-rate)",
    )
    lr_interval: Literal["epoch", "batch"] = option(
        "epoch",
        "exponential, cosine and linear: a new rate each epoch, or at every batch between",
        when="`batch` where an epoch has many batches and the rate should not jump",
    )
    lr_decay: float = option(
        0.83,
        "factor: per epoch (exponential), each lr_step_epochs (step), at each of lr_milestones "
        "(multistep), where the score stands still (plateau); added to the divisor each batch "
        "(inverse)",
        minimum=0,
        maximum=1,
        when="nearer to 1 for a longer run: at 0.83 a tenth is left after 12 epochs, at 0.95 "
        "after 45",
    )
    lr_step_epochs: int = option(
        10,
        "step: epochs from one reduction to the next",
        minimum=1,
        when="a third of the run is usual",
    )
    lr_milestones: tuple[int, ...] = option(
        (),
        "multistep: epochs after which the rate falls, separated by commas",
        when="where the curve of an earlier run went flat",
    )
    lr_cycle_epochs: float | None = option(
        None,
        "cosine: epochs from the top to the bottom; None: the whole run",
        minimum=1,
        when="for several models from one run: each bottom is a good one",
    )
    lr_cycle_growth: float = option(
        1.0,
        "cosine: how many times as long each cycle is as the one before",
        minimum=1,
        when="2: each cycle twice as long as the one before",
    )
    lr_start_share: float = option(
        1.0,
        "linear: first rate as a share of learning_rate",
        minimum=0,
        maximum=1,
        when="0.01 to let the rate rise over the whole run",
    )
    lr_end_share: float = option(
        0.0,
        "cosine, linear: last rate as a share of learning_rate",
        minimum=0,
        maximum=1,
        when="0.01 to 0.1 where the last epochs should still change something",
    )
    plateau_patience: int = option(
        2,
        "plateau: epochs without a better score before the rate falls",
        minimum=0,
        when="more where the dev score jumps up and down",
    )
    warmup_steps: int = option(
        0,
        "batches in which the rate rises from 0; noam turns at the last of them",
        minimum=0,
        when="a few hundred where the loss is nan or jumps in the first epoch",
    )
    warmup_share: float = option(
        0.3,
        "onecycle: share of the run in which the rate rises",
        minimum=0,
        maximum=1,
        when="less for short runs, which have no time for a long rise",
    )
    lr_scaling: Literal["linear", "sqrt", "none"] = option(
        "linear",
        "what several devices multiply the rate with: their number, its root, or nothing",
        when="`sqrt` where several devices make the loss jump, `none` to set the rate yourself; "
        "see [several devices](#several-devices)",
    )


@dataclass(frozen=True)
class RunSettings:
    """One training run: how long, on what, and what it leaves behind."""

    num_epoch: int = option(
        50,
        "last epoch to train",
        minimum=1,
        aliases=("epochs",),
        when="more for a small corpus, fewer for a large one: what counts is the number of steps",
    )
    output_model_dir: str = option(
        "./models/param",
        "where checkpoints go",
        aliases=("model_dir",),
        when="for each run one of its own",
    )
    log_dir: str = option("./log", "where VisualDL curves go, a folder for each run")
    log_interval: int = option(
        100,
        "batches between two lines of the log",
        minimum=1,
        when="10 for a small corpus, whose epochs have few batches",
    )
    save_interval: int = option(
        2000,
        "batches between two checkpoints inside an epoch",
        minimum=1,
        when="smaller where 2,000 batches take hours: a crash loses what came after the last save",
    )
    resume_model: str | None = option(
        None,
        "checkpoint to go on from, at its exact place; latest: the newest of this folder",
        when="`latest` in scripts that may be restarted; see [resuming](#resuming)",
    )
    load_optimizer: bool = option(
        True,
        "resume with the optimizer's state too",
        when="`False` to go on from the weights alone, after a change of the optimizer say",
    )
    start_epoch: int = option(
        0,
        "epoch to go on with, whatever the checkpoint says; 0: the checkpoint's",
        minimum=0,
        aliases=("start",),
        when="seldom: to train some epochs of a schedule again",
    )
    pretrained_model: str | None = option(
        None,
        "weights to start a new training from",
        when="a new vocabulary or other sizes; see [starting from other "
        "weights](#starting-from-other-weights)",
    )
    seed: int = option(
        1,
        "seed of weights, order, augmentation and dropout",
        minimum=0,
        when="to see how much of a difference between two runs is chance: run each with three",
    )
    test_off: bool = option(
        False,
        "leave out the scoring after each epoch",
        when="where scoring takes long; best.pdparams is then not written",
    )
    max_steps: int | None = option(
        None,
        "stop after so many batches, counted from the first epoch; None: never",
        minimum=1,
        when="trials and measurements; the schedule still follows num_epoch",
    )
    early_stopping: int | None = option(
        None,
        "stop after more than so many epochs without a better score; None: never",
        minimum=0,
        when="4 or more where nobody watches; not with schedules that are best at their end, "
        "such as `onecycle`",
    )
    keep_ckpt: int | None = option(
        None,
        "newest checkpoints that are kept, beside best; None: all",
        minimum=1,
        when="2 to 5 where the disk is small",
    )
    keep_epochs: tuple[int, ...] = option(
        (),
        "epochs whose checkpoints are kept in any case, separated by commas",
        when="with keep_ckpt, for epochs that you want to compare later",
    )
    clean_logs: bool = option(
        True,
        "take an epoch's progress bar off the terminal when the epoch is done",
        when="`False` to see how long each epoch took",
    )
    dry_run: bool = option(
        False,
        "only compute the heaviest batch: reports memory, suggests a batch size",
        when="before a long run, to choose batch_size",
    )
    watchdog_seconds: float | None = option(
        600.0,
        "end a process that finishes no step for so long; None: never",
        unit="s",
        minimum=1,
        when="longer where one step takes minutes, `None` in a debugger",
    )


CpuEngine = Literal["auto", "plain"]


@dataclass(frozen=True)
class DeviceSettings:
    """What the network runs on."""

    use_gpu: bool = option(
        True,
        "train on the GPU where this Paddle build has one",
        when="`False` to leave the GPU to others",
    )
    nproc_per_node: int | None = option(
        None,
        "processes that train together on this machine; None: one per visible GPU",
        minimum=1,
        aliases=("npn",),
        when="fewer than the visible GPUs, or several processes on CPU; see [several "
        "devices](#several-devices)",
    )
    engine: CpuEngine = option(
        "auto",
        "on CPU: auto trains with the fast engine if proved right here, and uses recognisers with "
        "ONNX Runtime; plain is Paddle's own layers for both",
        when="`plain` where you suspect the other; see [the engine on CPU](#the-engine-on-cpu)",
    )
    num_threads: int | None = option(
        None,
        "threads of the CPU engine; None: one per core, from three on one less",
        minimum=1,
        when="fewer where others need the cores",
    )


TRAINER: tuple[type, ...] = (
    OptimisationSettings,
    ScheduleSettings,
    RunSettings,
    DeviceSettings,
)
"""The settings of the trainer itself, whatever the task."""

TRAINING: tuple[type, ...] = (
    TaskSettings,
    ModeSettings,
    StoreSettings,
    CorpusSettings,
    BatchSettings,
    FeatureSettings,
    NetworkSettings,
    LossSettings,
    HeadSettings,
    FrontEndTrainingSettings,
    *TRAINER,
)
"""The settings of train.py for a recogniser."""

ENHANCEMENT: tuple[type, ...] = (
    TaskSettings,
    ModeSettings,
    StoreSettings,
    NoisyCorpusSettings,
    BatchSettings,
    SpectrumSettings,
    MaskNetworkSettings,
    MaskLossSettings,
    *TRAINER,
)
"""The settings of train.py for a speech enhancer."""

SEPARATION: tuple[type, ...] = (
    TaskSettings,
    ModeSettings,
    StoreSettings,
    SongSettings,
    BatchSettings,
    SeparatorSettings,
    StemLossSettings,
    *TRAINER,
)
"""The settings of train.py for a source separator."""

TASKS = {
    "recognition": TaskOptions(TRAINING),
    "enhancement": TaskOptions(
        ENHANCEMENT,
        {
            "sortagrad": False,
            "learning_rate": 1e-3,
            "grad_clip": 5.0,
            "output_model_dir": "./models/enhancement",
        },
    ),
    "separation": TaskOptions(
        SEPARATION,
        {
            "num_epoch": 10,
            "batch_size": 20,
            "sortagrad": False,
            "learning_rate": 1e-5,
            "lr_schedule": "inverse",
            "lr_decay": 0.0,
            "grad_clip": None,
            "output_model_dir": "model",
            "seed": 37,
            "keep_ckpt": 1,
            "nproc_per_node": 1,
        },
    ),
}
"""What train.py may be told, by task."""
