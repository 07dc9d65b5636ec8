import numpy as np
import pytest
from PIL import Image
from scipy.ndimage import convolve
from shared_data import shared

from sr_zoo.errors import DownloadError, OptionError
from sr_zoo.evaluation import measures as module
from sr_zoo.evaluation.measures import MEASURES, gmsd, measures, ms_ssim_y
from sr_zoo.evaluation.resize import imresize

pytest.importorskip("piq", reason="piq is not installed (the extra sr_zoo[eval])")


@pytest.fixture(scope="module")
def pairs():
    """Real images, each with its bicubic reconstruction."""
    found = []
    for name in ("butterfly", "bird"):
        path = shared("data", "eval", "Set5", "HR", f"{name}.png")
        hr = np.array(Image.open(path).convert("RGB"))
        found.append((imresize(imresize(hr, 1 / 4), 4), hr))
    return found


def reference_gmsd(a, b):
    """As its authors' script: NTSC luminance, halved by 2x2 means, Prewitt gradients, T = 170."""

    def gradients(image):
        y = image.astype(np.float64) @ [0.299, 0.587, 0.114]
        y = (y[::2, ::2] + y[1::2, ::2] + y[::2, 1::2] + y[1::2, 1::2]) / 4
        prewitt = np.array([[1, 0, -1]] * 3) / 3
        x, y = (convolve(y, kernel, mode="constant") for kernel in (prewitt, prewitt.T))
        return np.hypot(x, y)

    first, second = gradients(a), gradients(b)
    similarity = (2 * first * second + 170) / (first**2 + second**2 + 170)
    return similarity.std()


def reference_ms_ssim(a, b):
    """Five scales, halved by 2x2 means, with the paper's exponents; BT.601 luminance."""
    offset = np.arange(11) - 5
    line = np.exp(-(offset**2) / (2 * 1.5**2))
    window = np.outer(line, line) / line.sum() ** 2

    def mean(plane):
        return convolve(plane, window)[5:-5, 5:-5]

    x, y = (image @ (np.array([65.481, 128.553, 24.966]) / 255) + 16 for image in (a, b))
    score = 1.0
    exponents = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
    for exponent in exponents:
        mx, my = mean(x), mean(y)
        vx, vy, cov = mean(x * x) - mx**2, mean(y * y) - my**2, mean(x * y) - mx * my
        part = (2 * cov + 58.5225) / (vx + vy + 58.5225)
        if exponent == exponents[-1]:
            part = part * (2 * mx * my + 6.5025) / (mx**2 + my**2 + 6.5025)
        score *= part.mean() ** exponent
        if exponent == exponents[-1]:
            break
        x, y = ((p[::2, ::2] + p[1::2, ::2] + p[::2, 1::2] + p[1::2, 1::2]) / 4 for p in (x, y))
    return score


def test_gmsd_is_that_of_its_authors(pairs):
    for result, hr in pairs:
        inner = (slice(4, -4), slice(4, -4))
        assert gmsd(result, hr, shave=4) == pytest.approx(
            reference_gmsd(result[inner], hr[inner]), abs=1e-9
        )


def test_ms_ssim_is_that_of_its_authors(pairs):
    for result, hr in pairs:
        inner = (slice(8, -8), slice(8, -8))  # sides that halve evenly
        assert ms_ssim_y(result, hr, shave=8) == pytest.approx(
            reference_ms_ssim(result[inner], hr[inner]), abs=1e-9
        )


@pytest.mark.parametrize("name", ["gmsd", "fsim", "fsimc", "ms_ssim_y"])
def test_measures_order_images_by_quality(name, pairs):
    measure = MEASURES[name]
    result, hr = pairs[0]
    better = (result.astype(np.float64) * 0.3 + hr * 0.7).round().astype(np.uint8)
    good, bad, perfect = (measure.function(x, hr, shave=4) for x in (better, result, hr))
    assert (perfect > good > bad) == measure.higher_is_better
    assert perfect == pytest.approx(1 if measure.higher_is_better else 0, abs=1e-6)


@pytest.mark.parametrize("name", ["lpips", "dists", "brisque"])
def test_missing_weights_are_one_sentence(name, monkeypatch):
    image = np.zeros((64, 64, 3), np.uint8)

    def refuse(*args, **options):
        raise OSError("no route to host")

    monkeypatch.setattr(module, "_network", refuse)
    monkeypatch.setattr("piq.brisque", refuse)
    with pytest.raises(DownloadError, match=r"fetches on first use.*no route to host"):
        MEASURES[name].function(image, image, shave=0)


def test_fetched_weights_are_never_unpickled_as_code(monkeypatch):
    seen = []
    monkeypatch.setattr(
        "piq.brisque", lambda *_, **__: seen.append(module.os.environ[module.SAFE_LOADING]) or 0.0
    )
    MEASURES["brisque"].function(*[np.zeros((64, 64, 3), np.uint8)] * 2, shave=0)
    assert seen == ["1"]
    assert module.SAFE_LOADING not in module.os.environ


def test_unknown_measures_are_named():
    with pytest.raises(OptionError, match=r"Unknown measure 'ssim'.*ssim_y"):
        measures(["ssim"])


def test_small_images_are_refused_by_name():
    image = np.zeros((160, 200, 3), np.uint8)
    with pytest.raises(OptionError, match="at least 161x161 must be left"):
        ms_ssim_y(image, image, shave=0)
