from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy.ndimage import convolve
from shared_data import shared

from sr_zoo.errors import DownloadError, OptionError
from sr_zoo.evaluation import measures as module
from sr_zoo.evaluation.measures import MEASURES, fsim, fsimc, gmsd, measures, ms_ssim_y
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


def phase_congruency(plane):
    """Kovesi's, with his noise compensation: 4 scales from 6 pixels, 4 orientations, k = 2."""
    fy, fx = np.meshgrid(*map(np.fft.fftfreq, plane.shape), indexing="ij")
    radius, angle = np.hypot(fx, fy), np.arctan2(-fy, fx)
    low_pass = 1 / (1 + (radius / 0.45) ** 30)
    radius[0, 0] = 1  # its logarithm is taken; the filters are zero there
    bands = []
    for wavelength in (6, 12, 24, 48):
        band = np.exp(-(np.log(radius * wavelength) ** 2) / (2 * np.log(0.55) ** 2)) * low_pass
        band[0, 0] = 0
        bands.append(band)
    spectrum, energy, amplitude = np.fft.fft2(plane), 0, 0
    for direction in np.arange(4) * np.pi / 4:
        away = np.angle(np.exp(1j * (angle - direction)))
        filters = np.array(bands) * np.exp(-(away**2) / (2 * (np.pi / 4 / 1.2) ** 2))
        responses = np.fft.ifft2(spectrum * filters)  # even + i odd
        total = responses.sum(axis=0)
        aligned = responses * np.conj(total / (np.abs(total) + 1e-12))
        kernels = np.fft.ifft2(filters).real * np.sqrt(plane.size)
        noise = np.median(np.abs(responses[0]) ** 2) / np.log(2) / (filters[0] ** 2).sum()
        # The kernels' own sum squared holds each product of two scales twice.
        tau = np.sqrt(noise * (kernels.sum(axis=0) ** 2).sum())
        threshold = tau * (np.sqrt(np.pi / 2) + 2 * np.sqrt(2 - np.pi / 2)) / 1.7
        local = (aligned.real - np.abs(aligned.imag)).sum(axis=0)
        energy += np.maximum(local - threshold, 0)
        amplitude += np.abs(responses).sum(axis=0)
    return energy / (amplitude + 1e-12)


def reference_fsim(a, b):
    """FSIM and FSIMc of images too small to be halved first, which is below 384 pixels."""
    yiq = np.array([[0.299, 0.587, 0.114], [0.596, -0.274, -0.322], [0.211, -0.523, 0.312]])
    scharr = np.array([[3, 0, -3], [10, 0, -10], [3, 0, -3]]) / 16

    def alike(x, y, constant):
        return (2 * x * y + constant) / (x**2 + y**2 + constant)

    def gradient(y):
        return np.hypot(*(convolve(y, kernel, mode="constant") for kernel in (scharr, scharr.T)))

    (y1, i1, q1), (y2, i2, q2) = (np.moveaxis(image @ yiq.T, -1, 0) for image in (a, b))
    pc1, pc2 = phase_congruency(y1), phase_congruency(y2)
    weight = np.maximum(pc1, pc2)
    grey = alike(pc1, pc2, 0.85) * alike(gradient(y1), gradient(y2), 160) * weight
    colour = grey * np.abs(alike(i1, i2, 200) * alike(q1, q2, 200)) ** 0.03
    return grey.sum() / weight.sum(), colour.sum() / weight.sum()


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


def test_fsim_agrees_with_a_second_implementation():
    path = Path(__file__).parents[1] / "examples" / "chelsea.png"
    hr = np.array(Image.open(path).convert("RGB"))[8:136, 40:200]
    result = imresize(imresize(hr, 1 / 4), 4)
    grey, colour = reference_fsim(result, hr)
    assert colour < grey < 0.99
    # Implementations differ in YIQ's fourth decimal, in which middle value is the median, and at
    # the highest frequency of each axis.
    assert fsim(result, hr, shave=0) == pytest.approx(grey, abs=1e-5)
    assert fsimc(result, hr, shave=0) == pytest.approx(colour, abs=1e-5)


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


def test_a_flat_image_has_no_naturalness():
    image = np.zeros((64, 64, 3), np.uint8)
    with pytest.raises(OptionError, match="BRISQUE is not defined on this image: Expected image"):
        MEASURES["brisque"].function(image, image, shave=0)


@pytest.mark.parametrize("name", ["lpips", "dists"])
def test_an_image_too_small_for_a_network_is_one_sentence(name, monkeypatch):
    def refuse(*images):
        raise RuntimeError("Output size is too small\nin pooling")

    monkeypatch.setattr(module, "_network", lambda name: refuse)
    image = np.zeros((8, 8, 3), np.uint8)
    with pytest.raises(OptionError, match=r"not defined on this image: Output size is too small$"):
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
