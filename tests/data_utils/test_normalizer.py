import contextlib
import json
from functools import reduce
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from data_utils.errors import InputError
from data_utils.normalizer import MIN_STD, Normalizer, Statistics
from data_utils.settings import FeatureSettings

LINEAR = FeatureSettings()


def normalizer(bins: int = 161, settings: FeatureSettings | None = LINEAR) -> Normalizer:
    rng = np.random.default_rng(0)
    return Normalizer(rng.normal(-15, 3, bins), rng.uniform(1, 3, bins), settings)


parts = st.lists(
    st.integers(1, 20).flatmap(
        lambda n: arrays(np.float32, (n, 3), elements=st.floats(-1e4, 1e4, width=32))
    ),
    min_size=1,
    max_size=6,
)


@given(parts)
def test_merged_parts_equal_the_whole(features: list[np.ndarray]) -> None:
    whole = np.concatenate(features).astype(np.float64)
    merged = reduce(Statistics.merge, map(Statistics.of, features))
    updated = reduce(Statistics.update, features[1:], Statistics.of(features[0]))
    for result in (merged, updated):
        assert result.count == len(whole)
        assert np.allclose(result.mean, whole.mean(axis=0), rtol=1e-12, atol=1e-9)
        assert np.allclose(result.std, whole.std(axis=0), rtol=1e-9, atol=1e-8)


def test_no_precision_is_lost_far_from_zero() -> None:
    # Sums of squares would leave nothing of a deviation of 1 beside a mean of 1e9.
    frames = 1e9 + np.random.default_rng(0).normal(0, 1, (10000, 2))
    merged = reduce(Statistics.merge, map(Statistics.of, np.split(frames, 100)))
    assert np.allclose(merged.std, np.std(frames, axis=0), rtol=1e-9)


@pytest.mark.parametrize(
    ("mean", "std", "said"),
    [
        ([1.0, 2.0], [3.0, 4.0], ""),
        ([1.00001, 2.0], [3.0, 4.00001], ""),  # older packages keep float32
        ([1.0, 2.5], [3.0, 4.0], "mean of bin 1 is 2.5 in place of 2"),
        ([1.0, 2.0], [3.5, 4.0], "std of bin 0 is 3.5 in place of 3"),
        ([1.0], [3.0], "1 bins in place of 2"),
    ],
)
def test_what_two_statistics_differ_in_is_named(
    mean: list[float], std: list[float], said: str
) -> None:
    assert Normalizer([1.0, 2.0], [3.0, 4.0]).difference(Normalizer(mean, std)) == said


def test_applying_brings_mean_0_and_deviation_1() -> None:
    frames = np.random.default_rng(0).normal([-15, 3], [2, 5], (500, 2)).astype("f4")
    statistics = Statistics.of(frames)
    result = Normalizer(statistics.mean, statistics.std)(frames)
    assert result.dtype == np.float32 and result.shape == frames.shape
    assert np.allclose(result.mean(axis=0), 0, atol=1e-5)
    assert np.allclose(result.std(axis=0), 1, atol=1e-5)
    assert Normalizer([0.0], [1.0])(np.zeros((3, 1))).dtype == np.float32


def test_a_constant_bin_stays_finite() -> None:
    constant = np.full((5, 1), 7.0, "f4")
    statistics = Statistics.of(constant)
    result = Normalizer(statistics.mean, statistics.std)
    assert result.std[0] == MIN_STD
    assert np.array_equal(result(constant), np.zeros((5, 1)))


def test_saved_and_loaded_bit_for_bit(tmp_path: Path) -> None:
    path = tmp_path / "new" / "mean_std.npz"
    before = normalizer()
    before.save(path)
    after = Normalizer.load(path, LINEAR)
    assert np.array_equal(after.mean, before.mean) and np.array_equal(after.std, before.std)
    assert after.settings == LINEAR
    assert [item.name for item in path.parent.iterdir()] == ["mean_std.npz"]


def test_the_file_looks_as_in_older_packages(tmp_path: Path) -> None:
    normalizer().save(tmp_path / "a.npz")
    with np.load(tmp_path / "a.npz", allow_pickle=False) as file:
        assert file["mean"].shape == file["std"].shape == (161, 1)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_file_of_an_older_package_is_read_as_it_is(tmp_path: Path, dtype: type) -> None:
    path = tmp_path / "mean_std.npz"
    mean, std = np.arange(39.0)[:, None].astype(dtype), np.full((39, 1), 2.0, dtype)
    np.savez(path, mean=mean, std=std)
    old = Normalizer.load(path, FeatureSettings(feature_type="mfcc"))
    assert old.settings is None and old.num_bins == 39
    assert np.array_equal(old.mean, mean[:, 0]) and np.array_equal(old.std, std[:, 0])
    with pytest.raises(InputError, match=r"of 39 bins where feature_type linear has 161; make it"):
        Normalizer.load(path, LINEAR)
    assert Normalizer.load(path).num_bins == 39


@given(arrays(np.float64, (2, 5), elements=st.floats(1e-3, 1e30)))
def test_the_checkpoint_keeps_every_bit(values: np.ndarray) -> None:
    before = Normalizer(-values[0], values[1], LINEAR)
    after = Normalizer.from_dict(json.loads(json.dumps(before.to_dict())))
    assert np.array_equal(after.mean, before.mean) and np.array_equal(after.std, before.std)
    assert after.settings == LINEAR
    assert Normalizer.from_dict(Normalizer([0.0], [1.0]).to_dict()).settings is None


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        (FeatureSettings(window_ms=25.0), "made with window_ms 20.0 where 25.0 is wanted"),
        (FeatureSettings(hop_ms=5.0), "made with hop_ms 10.0 where 5.0 is wanted"),
        (FeatureSettings(target_db=-25.0), "made with target_db -20.0 where -25.0 is wanted"),
        (
            FeatureSettings(feature_type="mfcc"),
            "made with feature_type linear where mfcc is wanted",
        ),
        (
            FeatureSettings(use_db_normalization=False),
            "made with use_db_normalization True where False is wanted",
        ),
    ],
)
def test_other_settings_are_refused_by_name(
    tmp_path: Path, wanted: FeatureSettings, message: str
) -> None:
    path = tmp_path / "mean_std.npz"
    normalizer().save(path)
    with pytest.raises(InputError) as caught:
        Normalizer.load(path, wanted)
    text = str(caught.value)
    name, was, value = message.split()[2], message.split()[3], message.split()[-3]
    given = f"give the --config it was made with or --{name}={was}"
    assert text.startswith(f"{path}: {message}; {given}, or make it again with: ")
    assert "\n" not in text
    command = f"python tools/compute_mean_std.py --output_path={path} --{name}={value}"
    assert text.endswith(command)


def test_the_options_that_fit_the_file_are_named_in_full(tmp_path: Path) -> None:
    path = tmp_path / "mean_std.npz"
    made = FeatureSettings(feature_type="fbank", num_mel_bins=16, noise_floor_db=-70.0)
    normalizer(16, made).save(path)
    with pytest.raises(InputError) as caught:
        Normalizer.load(path, LINEAR)
    flags = "--feature_type=fbank --num_mel_bins=16 --noise_floor_db=-70.0"
    assert f"give the --config it was made with or {flags}, or make it again" in str(caught.value)


def test_settings_that_change_nothing_do_not_matter(tmp_path: Path) -> None:
    path = tmp_path / "mean_std.npz"
    normalizer().save(path)
    Normalizer.load(path, FeatureSettings(num_mel_bins=40))
    fbank = FeatureSettings(feature_type="fbank", use_db_normalization=False)
    normalizer(80, fbank).save(path)
    same = FeatureSettings(feature_type="fbank", use_db_normalization=False, target_db=-30.0)
    Normalizer.load(path, same)
    with pytest.raises(InputError, match="num_mel_bins 80 where 40 is wanted"):
        Normalizer.load(
            path,
            FeatureSettings(feature_type="fbank", use_db_normalization=False, num_mel_bins=40),
        )


def test_a_missing_file_names_the_command_that_makes_it(tmp_path: Path) -> None:
    fbank = FeatureSettings(feature_type="fbank")
    with pytest.raises(InputError, match=r"file not found; .*compute_mean_std.py .*=fbank$"):
        Normalizer.load(tmp_path / "mean_std.npz", fbank)


def test_no_command_is_advised_that_would_replace_something_else(tmp_path: Path) -> None:
    path = tmp_path / "README.md"
    path.write_text("# About\n", encoding="utf-8")
    with pytest.raises(
        InputError, match=r"README\.md: .* make one with: .*path=\./dataset/mean_std"
    ):
        Normalizer.load(path, LINEAR)
    normalizer().save(path)
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(InputError, match=r"make it with: .*--output_path=.*README\.md$"):
        Normalizer.load(path, LINEAR)


def refused(path: Path) -> None:
    with pytest.raises(
        InputError, match=r"holds no usable mean and std; make (it|one) with: python"
    ):
        Normalizer.load(path, LINEAR)


def test_files_cut_anywhere_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "mean_std.npz"
    normalizer().save(path)
    content = path.read_bytes()
    for length in range(0, len(content), 97):
        path.write_bytes(content[:length])
        refused(path)


def test_altered_files_are_refused_or_read_but_never_crash(tmp_path: Path) -> None:
    path = tmp_path / "mean_std.npz"
    normalizer().save(path)
    content = path.read_bytes()
    for place in range(0, len(content), 7):
        path.write_bytes(content[:place] + bytes([content[place] ^ 0xFF]) + content[place + 1 :])
        with contextlib.suppress(InputError):
            Normalizer.load(path, LINEAR)


@pytest.mark.parametrize(
    "content",
    [
        {"mean": np.zeros((161, 1))},
        {"mean": np.zeros((161, 1)), "std": np.ones((39, 1))},
        {"mean": np.full((161, 1), np.nan), "std": np.ones((161, 1))},
        {"mean": np.zeros((161, 1)), "std": -np.ones((161, 1))},
        {"mean": np.zeros(0), "std": np.zeros(0)},
        {"mean": np.array(["a"]), "std": np.array(["b"])},
        {"mean": np.zeros(161), "std": np.ones(161), "settings": np.array("{")},
        {"mean": np.zeros(161), "std": np.ones(161), "settings": np.array('{"no_such": 1}')},
    ],
)
def test_files_of_something_else_are_refused(tmp_path: Path, content: dict) -> None:
    path = tmp_path / "mean_std.npz"
    np.savez(path, **content)
    refused(path)


def test_pickles_are_never_opened(tmp_path: Path) -> None:
    path = tmp_path / "mean_std.npz"
    np.savez(path, mean=np.array([{}, {}], dtype=object), std=np.ones(2))
    refused(path)
    path.write_text("no archive at all", encoding="utf-8")
    refused(path)
    with path.open("wb") as stream:
        np.save(stream, np.zeros(3))
    refused(path)
