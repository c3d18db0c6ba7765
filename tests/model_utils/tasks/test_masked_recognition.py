"""A recogniser trained behind a front end: what stays, what moves, what its checkpoints carry."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import paddle
import pytest
import small
import tones
from tones import Corpus

from data_utils.enhancement.settings import SpectrumSettings
from data_utils.errors import InputError
from data_utils.settings import FeatureSettings
from model_utils import runtime, training
from model_utils.enhancer import Enhancer
from model_utils.networks.settings import MaskNetworkSettings, complete
from model_utils.options import parse
from model_utils.runtime import Device
from model_utils.settings import TRAINING
from model_utils.storing import process_data
from model_utils.trainer import checkpoint
from model_utils.trainer.checkpoint import read_arrays
from model_utils.trainer.checkpoint_means import average_checkpoints

TEXTS = ["一", "二三", "四", "一二", "三", "二", "四一", "一一"]
NETWORK = (
    *("--num_conv_layers=1", "--conv_channels=2", "--num_rnn_layers=1", "--rnn_layer_size=4"),
    *("--feature_type=fbank", "--num_mel_bins=8", "--dropout=0.1"),
)
EFFECTS = [
    {"type": "volume", "params": {"min_gain_dBFS": -6, "max_gain_dBFS": 6}},
    {"type": "specaug", "params": {"F": 2, "T": 3, "W": 4}, "prob": 1.0},
]
Train = Callable[..., tuple[Path, list[str]]]

pytestmark = pytest.mark.usefixtures("prepared")


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    features = FeatureSettings("fbank", num_mel_bins=8)
    made = tones.make_corpus(tmp_path_factory.mktemp("corpus"), TEXTS, features)
    (made.folder / "effects.json").write_text(json.dumps(EFFECTS), encoding="utf-8")
    return made


def write_front_end(folder: Path, name: str = "1", seed: int = 0, **spectrum: int) -> Path:
    """A front end as training would leave it."""
    sizes = SpectrumSettings(
        **{"sample_rate": 16000, "n_fft": 320, "hop_length": 160, "win_length": 320, **spectrum}
    )
    network = MaskNetworkSettings(network="lstm", d_model=6, n_level=1, dropout=0.2)
    enhancer = Enhancer(sizes, complete(network, sizes))
    paddle.seed(seed)
    weights = checkpoint.weights_of(enhancer.build())
    return checkpoint.save(folder, name, weights, None, {"epoch": 1, **enhancer.describe()})


@pytest.fixture(scope="module")
def front(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_front_end(tmp_path_factory.mktemp("front"))


@pytest.fixture
def train(corpus: Corpus, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Train:
    """Trains in a folder of the test's; returns the folder of checkpoints and what was said."""

    def run(folder: str, *more: str) -> tuple[Path, list[str]]:
        capsys.readouterr()
        flags = small.training(
            corpus, tmp_path / folder, *NETWORK, "--batch_size=2", "--log_interval=1"
        )
        effects = f"--augment_conf_path={corpus.folder / 'effects.json'}"
        options = parse("train.py", TRAINING, [*flags, effects, "--save_interval=2", *more])
        (process_data if "--mode=process_data" in more else training.train)(options)
        said = capsys.readouterr()
        return tmp_path / folder / "param", said.out.splitlines() + said.err.splitlines()

    return run


def weights(path: Path) -> dict[str, np.ndarray]:
    return read_arrays(path.with_suffix(".pdparams"))


def front_part(arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    start = "front_end.network."
    return {n.removeprefix(start): v for n, v in arrays.items() if n.startswith(start)}


def same(first: dict[str, np.ndarray], second: dict[str, np.ndarray]) -> bool:
    return first.keys() == second.keys() and all(
        first[name].tobytes() == second[name].tobytes() for name in first
    )


@pytest.mark.parametrize("optimizer", ["--optimizer=adamw --weight_decay=0.1", "--ema_decay=0.9"])
def test_a_frozen_front_end_keeps_its_bytes(optimizer: str, train: Train, front: Path) -> None:
    options = (f"--frontend={front}", "--num_epoch=2", "--learning_rate=0.01", *optimizer.split())
    param, said = train("a", *options)
    assert (
        f"front end: {front}, frozen; 0 to 1 of the unprocessed signal is kept, 0.5 in scoring"
        in said
    )
    assert same(front_part(weights(param / "2")), weights(front))
    state = read_arrays(param / "2.pdopt")
    assert state and not any("front_end" in name for name in state)
    first, last = weights(param / "1"), weights(param / "2")
    assert not same(first, last)


def test_a_joint_one_is_trained(train: Train, front: Path) -> None:
    options = (f"--frontend={front}", "--frontend_training=joint", "--learning_rate=0.01")
    param, said = train("a", *options, "--num_epoch=1", "--observation=0.1")
    assert (
        f"front end: {front}, joint; 0.1 of the unprocessed signal is kept, 0.1 in scoring" in said
    )
    found, before = front_part(weights(param / "1")), weights(front)
    assert found.keys() == before.keys()
    moved = [name for name in found if not np.array_equal(found[name], before[name])]
    assert len(moved) > 0.8 * len(found)
    assert any(name.startswith("front_end.") for name in read_arrays(param / "1.pdopt"))


@pytest.mark.parametrize(("kind", "may_compile"), [("frozen", True), ("joint", False)])
def test_convolutions_behind_a_gradient_are_never_compiled(
    kind: str, may_compile: bool, train: Train, front: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[object] = []
    monkeypatch.setattr(
        runtime,
        "prepare",
        lambda settings, network=None, bins=0: asked.append(network) or Device("cpu", "plain", 1),
    )
    train("a", f"--frontend={front}", f"--frontend_training={kind}", "--max_steps=1")
    [network] = asked
    assert (network is not None) == may_compile


def test_of_a_folder_the_newest_is_taken(train: Train, tmp_path: Path) -> None:
    for number in (1, 2):
        newest = write_front_end(tmp_path / "fronts", str(number), seed=number)
    param, _ = train("a", f"--frontend={tmp_path / 'fronts'}", "--max_steps=1")
    assert same(front_part(weights(param / "1_batch_1")), weights(newest))


@pytest.mark.parametrize("kind", ["frozen", "joint"])
def test_a_resumed_run_is_the_run_without_a_stop(kind: str, train: Train, front: Path) -> None:
    options = (f"--frontend_training={kind}", "--observation=0.1,0.8", "--num_epoch=2")
    whole, _ = train("whole", f"--frontend={front}", *options)
    cut, _ = train("cut", f"--frontend={front}", *options, "--max_steps=6")
    hidden = front.rename(front.with_suffix(".away"))
    try:
        resumed, said = train("cut", f"--resume_model={cut / '2_batch_2'}", "--num_epoch=2")
    finally:
        hidden.rename(front)
    for suffix in (".pdparams", ".pdopt"):
        paths = [(folder / "2").with_suffix(suffix) for folder in (whole, resumed)]
        assert same(*map(read_arrays, paths))
    assert not [line for line in said if line.startswith("changed since then")]
    assert "observation: 0.1,0.8" in said and f"frontend: {front}" in said
    # The command that began the run goes on with it, too.
    _, said = train("cut", f"--frontend={front}", "--resume_model=latest", "--num_epoch=2")
    assert any(line.startswith("nothing to do") for line in said)


def test_stages_follow_each_other(train: Train, front: Path) -> None:
    """A recogniser; the same behind a frozen front end; both together; more, resumed."""
    plain, said = train("plain", "--num_epoch=1")
    assert not any("front end" in line for line in said)
    frozen, said = train(
        "frozen", f"--pretrained_model={plain / '1'}", f"--frontend={front}", "--max_steps=1"
    )
    assert f"pretrained: {plain / '1.pdparams'}, all weights but front_end" in said
    assert same(front_part(weights(frozen / "1_batch_1")), weights(front))
    joint, said = train(
        "joint",
        f"--pretrained_model={frozen / '1_batch_1'}",
        "--frontend_training=joint",
        "--num_epoch=1",
    )
    assert f"pretrained: {frozen / '1_batch_1.pdparams'}, all weights" in said
    assert any(
        line.startswith(f"front end: {frozen / '1_batch_1.pdparams'}, joint") for line in said
    )
    assert not same(front_part(weights(joint / "1")), weights(front))
    again, said = train(
        "joint", f"--resume_model={joint / '1'}", "--frontend_training=frozen", "--num_epoch=2"
    )
    assert "changed since then: frontend_training was joint, is frozen" in "\n".join(said)
    assert same(front_part(weights(again / "2")), front_part(weights(again / "1")))
    more, said = train(
        "joint", f"--resume_model={again / '2'}", "--frontend_training=joint", "--num_epoch=3"
    )
    assert not same(front_part(weights(more / "3")), front_part(weights(more / "2")))
    # Another front end in a new run, or none.
    other = write_front_end(front.parent / "other", seed=5)
    param, _ = train(
        "other", f"--pretrained_model={joint / '1'}", f"--frontend={other}", "--max_steps=1"
    )
    assert same(front_part(weights(param / "1_batch_1")), weights(other))
    # A recogniser's, for another one.
    param, _ = train("taken", f"--frontend={joint / '1'}", "--max_steps=1")
    assert same(front_part(weights(param / "1_batch_1")), front_part(weights(joint / "1")))


def test_off_leaves_out_what_the_weights_carry_and_none_does_not(
    train: Train, models: dict[str, Path], front: Path
) -> None:
    """A default that is written out asks for what it asks for anyway."""
    begin = f"--pretrained_model={models['behind']}"
    left_out = f"the front end that {models['behind']} carries is left out"
    param, said = train("kept", begin, "--frontend=None", "--max_steps=1")
    assert same(front_part(weights(param / "1_batch_1")), weights(front))
    assert not any(line.endswith("left out") for line in said)
    _, said = train("other", begin, f"--frontend={models['front']}", "--max_steps=1")
    assert f"note: --frontend={models['front']}: {left_out}" in said
    param, said = train("off", begin, "--frontend=off", "--max_steps=1")
    assert f"note: --frontend=off: {left_out}" in said and "frontend: None" in said
    assert any(line.endswith("without a place in this network: front_end") for line in said)
    assert not front_part(weights(param / "1_batch_1"))
    # Resumed, either word says what is so.
    for word in ("off", "None"):
        _, said = train("off", f"--resume_model={param / '1_batch_1'}", f"--frontend={word}")
        assert not any("frontend was" in line for line in said)
    param, said = train("plain", "--frontend=off", "--max_steps=1")
    assert not front_part(weights(param / "1_batch_1"))
    assert not any(line.startswith("note: --frontend") for line in said)


def test_the_mean_of_checkpoints_has_the_frozen_front_end(train: Train, front: Path) -> None:
    param, _ = train("a", f"--frontend={front}", "--num_epoch=3")
    mean = average_checkpoints([param / "1", param / "2", param / "3"])
    assert same(front_part(mean.weights), weights(front))
    plain, _ = train("b", "--num_epoch=1")
    with pytest.raises(InputError, match="only checkpoints of one"):
        average_checkpoints([param / "1", plain / "1"])


@pytest.mark.parametrize("kind", ["frozen", "joint"])
def test_the_first_epoch_from_the_store_is_that_from_the_recordings(
    kind: str, train: Train, front: Path, tmp_path: Path
) -> None:
    more = (
        f"--frontend={front}",
        f"--frontend_training={kind}",
        f"--store_dir={tmp_path / 'store'}",
    )
    more += ("--store_dtype=float32", "--num_epoch=1")
    train("a", "--mode=process_data", *more)
    losses = []
    for mode in ("train", "fast_train"):
        _, said = train(mode, f"--mode={mode}", *more)
        rows = [line for line in said if line.startswith("Train [")]
        losses.append([float(row.split("loss: ")[1].split(",")[0]) for row in rows])
    assert len(losses[0]) == 4 and np.allclose(*losses, rtol=1e-4)
    with pytest.raises(InputError, match=r"front_end\.bins 161 where none is wanted"):
        train("plain", "--mode=fast_train", *more[2:])


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ("--observation=0.2", "^--observation: belongs to a front end, and there is none; give"),
        ("--frontend_training=joint", "^--frontend_training: belongs to a front end, and there"),
        ("--frontend={front} --observation=0.5,0.2", "^--observation=0.5,0.2: two shares from 0"),
        ("--frontend={front} --observation=0,2", "^--observation=0,2: two shares from 0 to 1"),
        ("--frontend={front} --observation=0,0.5,1", "^--observation=0,0.5,1: two shares"),
        ("--frontend={front} --observation=-1", "^--observation=-1: two shares"),
        ("--frontend={front} --observation=much", "--observation: a number expected, found 'much'"),
        ("--frontend={front} --observation=", "--observation"),
        ("--frontend={front} --frontend_training=both", "'both' is not one of frozen, joint"),
        ("--frontend={folder}/nothing", r"nothing.pdparams: file not found"),
        ("--frontend={folder}", "no checkpoint in this folder; name one"),
        ("--frontend={model}", "a model for recognition, not for enhancement or separation$"),
        ("--frontend=off --observation=0.2", "^--observation: belongs to a front end, and there"),
        ("--resume_model={behind} --frontend=off", "was trained behind .*1.pdparams; leave"),
        ("--frontend={lone}", "weights alone, without lone.json beside it"),
        (
            "--frontend={coarse}",
            "hears 512 samples every 256 at 16000 Hz, the recogniser 320 every 160 at 16000 Hz; to "
            "train behind it, train one with --sample_rate=16000 --n_fft=320 --win_length=320 "
            r"--hop_length=160 \(eval.py and infer.py take any\)$",
        ),
        ("--resume_model={model} --frontend={front}", "was trained without a front end; leave the"),
        ("--resume_model={behind} --frontend={coarse}", "was trained behind .*1.pdparams; leave"),
        ("--resume_model={model} --observation=0.1", "^--observation: belongs to a front end"),
    ],
)
def test_what_cannot_be_meant_is_refused_in_one_line(
    flags: str,
    message: str,
    models: dict[str, Path],
    corpus: Corpus,
    tmp_path: Path,
) -> None:
    given = [flag.format_map(models) for flag in flags.split()]
    with pytest.raises(InputError, match=message) as error:
        training.train(
            parse("train.py", TRAINING, small.training(corpus, tmp_path, *NETWORK, *given))
        )
    assert "\n" not in str(error.value) and not (tmp_path / "param").exists()


@pytest.fixture(scope="module")
def models(
    corpus: Corpus, front: Path, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Path]:
    """Checkpoints of all kinds."""
    folder = tmp_path_factory.mktemp("models")
    for name, more in (("plain", ()), ("behind", (f"--frontend={front}",))):
        flags = small.training(corpus, folder / name, *NETWORK, *more, "--num_epoch=1")
        training.train(parse("train.py", TRAINING, flags))
    coarse = write_front_end(folder / "coarse", n_fft=512, win_length=512, hop_length=256)
    lone = folder / "lone.pdparams"
    lone.write_bytes(front.read_bytes())
    (folder / "empty").mkdir()
    return {
        "front": front,
        "coarse": coarse,
        "lone": lone,
        "folder": folder / "empty",
        "model": folder / "plain" / "param" / "1.pdparams",
        "behind": folder / "behind" / "param" / "1.pdparams",
    }
