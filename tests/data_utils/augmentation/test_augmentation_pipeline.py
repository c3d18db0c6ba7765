import multiprocessing
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from data_utils.augmentation import pipeline as module
from data_utils.augmentation.noise import Noise
from data_utils.augmentation.pipeline import AugmentationPipeline, read_effects, utterance_rng
from data_utils.augmentation.shift import Shift
from data_utils.augmentation.specaug import SpecAugment
from data_utils.augmentation.speed import Speed
from data_utils.augmentation.volume import Volume
from data_utils.errors import InputError

ROOT = Path(__file__).parents[3]


@pytest.fixture(autouse=True)
def _nothing_told(monkeypatch):
    monkeypatch.setattr(module, "_told", set())


@pytest.fixture
def write(tmp_path):
    def write(content: str) -> Path:
        path = tmp_path / "augmentation.json"
        path.write_text(content, encoding="utf-8")
        return path

    return write


def test_shipped_file_holds_what_users_know():
    assert read_effects(ROOT / "conf/augmentation.json") == [
        Noise(
            min_snr_dB=10,
            max_snr_dB=50,
            noise_manifest_path="dataset/manifest.noise",
            prob=0.5,
        ),
        Speed(min_speed_rate=0.9, max_speed_rate=1.1, num_rates=3, prob=0.5),
        Shift(min_shift_ms=-5, max_shift_ms=5, prob=0.5),
        Volume(min_gain_dBFS=-15, max_gain_dBFS=15, prob=0.5),
        SpecAugment(
            F=10,
            T=50,
            n_freq_masks=2,
            n_time_masks=2,
            p=1.0,
            W=80,
            adaptive_number_ratio=0,
            adaptive_size_ratio=0,
            max_n_time_masks=20,
            prob=1.0,
        ),
    ]


def test_json5_and_the_old_name_of_type(write):
    path = write("[{aug_type: 'volume', params: {min_gain_dBFS: -3,}, prob: .25}, // why\n]")
    assert read_effects(path) == [Volume(min_gain_dBFS=-3, prob=0.25)]


def test_every_effect_has_its_name(write):
    names = ["noise", "speed", "shift", "volume", "trim", "resample", "impulse", "specaug"]
    path = write(str([{"type": name} for name in names]))
    assert [effect.name for effect in read_effects(path)] == names


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("[{type: 'noize'}]", ["entry 1", "'noize'", "'noise'"]),
        ("[{type: 'speed'}, {type: 'xyz'}]", ["entry 2", "'xyz'", "specaug"]),
        (
            "[{type: 'volume', params: {min_gain_dbfs: 1}}]",
            ["entry 1 (volume)", "'min_gain_dbfs'", "'min_gain_dBFS'"],
        ),
        ("[{type: 'volume', prop: 1}]", ["entry 1", "'prop'", "'prob'"]),
        ("[{type: 'volume', params: {prob: 1}}]", ["entry 1 (volume)", "parameter 'prob'"]),
        ("[{type: 'volume', prob: 2}]", ["entry 1 (volume)", "prob", "between 0.0 and 1.0", "2"]),
        ("[{type: 'volume', params: [1]}]", ["entry 1 (volume)", "params"]),
        ("[{type: 'volume', params: {min_gain_dBFS: 20}}]", ["entry 1 (volume)", "20", "15"]),
        ("[{params: {}}]", ["entry 1", "type"]),
        ("[{type: 'volume', aug_type: 'volume'}]", ["entry 1", "type"]),
        ("[{type: 3}]", ["entry 1", "3"]),
        ("['volume']", ["entry 1", "'volume'"]),
        ("{type: 'volume'}", ["list", "dict"]),
        ("[{type: 'volume', prob: 1, prob: 0}]", ["JSON5"]),
        ("[", ["JSON5"]),
        ("", ["JSON5"]),
    ],
)
def test_mistakes_are_named(write, content, expected):
    path = write(content)
    with pytest.raises(InputError) as caught:
        AugmentationPipeline.load(path)
    message = str(caught.value)
    assert message.startswith(str(path)) and "\n" not in message
    for part in expected:
        assert part in message


def test_missing_file_is_named(tmp_path):
    with pytest.raises(InputError, match=r"absent\.json.*augment_conf_path=None"):
        AugmentationPipeline.load(tmp_path / "absent.json")


def test_none_changes_nothing(speech):
    pipeline = AugmentationPipeline.load(None)
    rng = utterance_rng(0, 0, "a")
    assert pipeline.wave(speech, rng) is speech
    features = np.ones((5, 3), np.float32)
    assert pipeline.features(features, rng) is features


def test_missing_noise_is_said_once_and_left_out(write, monkeypatch, tmp_path, capsys):
    monkeypatch.chdir(tmp_path)
    path = write("[{type: 'noise'}, {type: 'impulse'}, {type: 'volume'}]")
    for _ in range(2):
        pipeline = AugmentationPipeline.load(path)
        assert [effect.name for _, effect in pipeline.steps] == ["volume"]
    assert capsys.readouterr().out.splitlines() == [
        "dataset/manifest.noise不存在，已经忽略噪声增强操作！",
        "dataset/manifest.impulse不存在，已经忽略混响增强操作！",
    ]


def test_effects_that_never_apply_need_no_manifest(write, capsys):
    pipeline = AugmentationPipeline.load(write("[{type: 'noise', prob: 0}]"))
    assert pipeline.steps == ()
    assert capsys.readouterr().out == ""


def _told_in_worker(path: str) -> int:
    told: list[str] = []
    AugmentationPipeline.load(path, warn=told.append)
    return len(told)


def test_workers_say_nothing(write, monkeypatch):
    path = str(write("[{type: 'noise', params: {noise_manifest_path: 'absent'}}]"))
    assert _told_in_worker(path) == 1
    monkeypatch.setattr(module.multiprocessing, "parent_process", lambda: object())
    monkeypatch.setattr(module, "_told", set())
    assert _told_in_worker(path) == 0


def test_only_effects_of_the_domain_apply_and_in_order(make_manifest):
    click = np.zeros(16000, np.float32)
    click[8000] = 0.1
    shift = Shift(min_shift_ms=100, max_shift_ms=100)
    speed = Speed(min_speed_rate=2, max_speed_rate=2)
    mask = SpecAugment(T=0, W=0, F=161, n_freq_masks=50)
    rng = utterance_rng(0, 0, "a")
    for effects, peak in [([shift, mask, speed], 4800), ([speed, mask, shift], 5600)]:
        wave = AugmentationPipeline.of(effects).wave(click, rng)
        assert abs(int(wave.argmax()) - peak) <= 1
    features = np.ones((200, 161), np.float32)
    masked = AugmentationPipeline.of([shift, mask, speed]).features(features, rng)
    assert masked.shape == features.shape and (masked == 0).any()


def gains(
    pipeline: AugmentationPipeline, epoch: int, count: int = 40, seed: int = 0
) -> list[float]:
    one = np.ones(1, np.float32)
    rngs = (utterance_rng(seed, epoch, f"{n}.wav") for n in range(count))
    return [float(pipeline.wave(one, rng)[0]) for rng in rngs]


def test_a_draw_is_a_function_of_seed_epoch_and_utterance():
    pipeline = AugmentationPipeline.of([Volume()])
    drawn = gains(pipeline, 5, seed=3)
    assert drawn == gains(AugmentationPipeline.of([Volume()]), 5, seed=3)
    assert len(set(drawn)) == 40
    assert not set(drawn) & set(gains(pipeline, 6, seed=3))
    assert not set(drawn) & set(gains(pipeline, 5, seed=4))


def test_numbers_of_seed_and_epoch_do_not_run_together():
    assert utterance_rng(1, 23, "a").random() != utterance_rng(12, 3, "a").random()
    assert utterance_rng(1, 2, "3a").random() != utterance_rng(1, 23, "a").random()


def test_effects_do_not_move_the_draws_of_each_other():
    expected = gains(AugmentationPipeline.of([Volume()]), 1)
    sure = Speed(min_speed_rate=1, max_speed_rate=1)
    for before in ([sure], [Speed(min_speed_rate=1, max_speed_rate=1, prob=0.5)], [sure, sure]):
        assert gains(AugmentationPipeline.of([*before, Volume()]), 1) == expected


def test_two_of_a_kind_draw_apart():
    pipeline = AugmentationPipeline.of([Volume(), Volume()])
    single = gains(AugmentationPipeline.of([Volume()]), 1)
    squares = np.square(single)
    assert not np.isclose(gains(pipeline, 1), squares).any()


@pytest.mark.parametrize("prob", [0.2, 0.7])
def test_share_of_changed_utterances(prob):
    pipeline = AugmentationPipeline.of([Volume(prob=prob)])
    changed = np.not_equal(gains(pipeline, 0, 2000), 1.0)
    assert abs(changed.sum() - 2000 * prob) < 4 * (2000 * prob * (1 - prob)) ** 0.5
    # Neighbouring epochs decide independently.
    later = np.not_equal(gains(pipeline, 1, 2000), 1.0)
    assert abs(np.corrcoef(changed, later)[0, 1]) < 0.1


def test_nothing_stays_nothing():
    pipeline = AugmentationPipeline.of([Speed(), Volume(), Shift(), SpecAugment()])
    rng = utterance_rng(0, 0, "a")
    assert pipeline.wave(np.zeros(0, np.float32), rng).shape == (0,)
    assert pipeline.features(np.zeros((0, 161), np.float32), rng).shape == (0, 161)


def test_pickled_pipeline_gives_the_same(speech, make_manifest):
    manifest = make_manifest([speech[:3000] * 2])
    pipeline = AugmentationPipeline.of([Noise(noise_manifest_path=manifest), Volume()])
    copy = pickle.loads(pickle.dumps(pipeline))
    results = [p.wave(speech, utterance_rng(9, 1, "a")) for p in (pipeline, copy)]
    np.testing.assert_array_equal(*results)
    assert not np.array_equal(results[0], speech)


def test_another_process_draws_the_same(tmp_path):
    program = (
        "from data_utils.augmentation import utterance_rng;"
        "print(utterance_rng(1, 2, '数据/a.wav').integers(2**60))"
    )
    outputs = {
        subprocess.run(
            [sys.executable, "-c", program],
            env={"PYTHONHASHSEED": seed, "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert outputs == {f"{utterance_rng(1, 2, '数据/a.wav').integers(2**60)}\n"}


def test_worker_is_told_apart_from_the_main_process():
    context = multiprocessing.get_context("spawn")
    with context.Pool(1) as pool:
        assert pool.apply(_has_parent)
    assert not _has_parent()


def _has_parent() -> bool:
    return multiprocessing.parent_process() is not None
