import numpy as np

from reports.augmentation import plot_effects, voice_like


def test_one_small_picture_per_effect(tmp_path):
    from PIL import Image

    paths = plot_effects(str(tmp_path / "new"))
    names = ["noise", "speed", "shift", "volume", "trim", "resample", "impulse", "specaug"]
    assert [path.name for path in paths] == [f"augmentation_{name}.png" for name in names]
    for path in paths:
        assert path.stat().st_size < 150_000
        with Image.open(path) as picture:
            assert picture.size == (900, 360)


def test_the_voice_is_the_same_each_time():
    voice = voice_like()
    assert voice.dtype == np.float32 and np.isfinite(voice).all()
    np.testing.assert_array_equal(voice, voice_like())
