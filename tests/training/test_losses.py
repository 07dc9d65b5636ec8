import math
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from sr_zoo.errors import DownloadError, OptionError, WeightsNotFoundError
from sr_zoo.evaluation import imresize, ssim_rgb
from sr_zoo.training.adversarial import GAN, RelativisticGAN, UNetDiscriminator
from sr_zoo.training.losses import LOSSES, Criterion, build_loss, check_patch, find_loss
from sr_zoo.training.perceptual import Content, Texture, gram
from sr_zoo.training.recipe import Loss
from sr_zoo.training.trainer import train


def image(rows):
    """A grey image (1, 3, H, W) of these values."""
    return torch.tensor(rows, dtype=torch.float32).expand(1, 3, -1, -1)


def value(name, output, target, **arguments):
    return float(build_loss(Loss(name, arguments=arguments))(output, target))


OUTPUT, TARGET = image([[0.0, 0.5], [1.0, 0.25]]), image([[0.0, 0.0], [0.5, 0.5]])  # by hand below


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("l1", (0.5 + 0.5 + 0.25) / 4),
        ("l2", (0.25 + 0.25 + 0.0625) / 4),
        ("charbonnier", sum(math.hypot(d, 1e-3) for d in (0, 0.5, 0.5, 0.25)) / 4),
        # down: 1.0, -0.25; right: 0.5, -0.75
        ("total_variation", (1.0 + 0.25) / 2 + (0.5 + 0.75) / 2),
        # of the difference [[0, 0.5], [0.5, -0.25]]: down 0.5, -0.75; right 0.5, -0.75
        ("edge", (0.5 + 0.75) / 2 + (0.5 + 0.75) / 2),
        # its spectrum, real in a 2x2 image: sum 0.75; columns 0.25; rows 0.25; both -1.25
        ("fft_l1", (0.75 + 0.25 + 0.25 + 1.25) / 8),
    ],
)
def test_losses_by_hand(name, expected):
    assert value(name, OUTPUT, TARGET) == pytest.approx(expected, rel=1e-6)


def test_fft_loss_is_that_of_numpys_spectra(noise):
    output, target = noise(2, 3, 8, 6), noise(2, 3, 8, 6, seed=1)
    difference = np.fft.fft2(output.numpy()) - np.fft.fft2(target.numpy())
    expected = (np.abs(difference.real).mean() + np.abs(difference.imag).mean()) / 2
    assert value("fft_l1", output, target) == pytest.approx(expected, rel=1e-5)


def test_ssim_loss_is_what_the_measure_says(noise):
    target = (noise(1, 3, 24, 20) * 255).round() / 255
    output = (target * 0.8 + 0.1).mul(255).round() / 255
    measured = ssim_rgb(output, target, shave=0)
    assert value("ssim", output, target) == pytest.approx(1 - measured, abs=1e-5)
    assert value("ssim", target, target) == pytest.approx(0, abs=1e-6)


def test_balanced_diversity_weighs_texture_more_than_flat_regions(noise):
    target = torch.full((1, 3, 32, 32), 0.5)
    target[..., 16:] = noise(1, 3, 32, 16)
    at_flat, at_texture = target.clone(), target.clone()
    at_flat[..., :8] += 0.1
    at_texture[..., 24:] += 0.1
    plain = value("l1", at_flat, target)
    assert value("balanced_diversity", at_flat, target) < plain
    assert value("balanced_diversity", at_texture, target) > plain
    # where all pixels are off by as much, weights do not matter; nor where nothing has texture
    assert value("balanced_diversity", target + 0.1, target) == pytest.approx(0.1, rel=1e-5)
    flat = torch.zeros(1, 3, 8, 8)
    assert value("balanced_diversity", flat + 0.1, flat) == pytest.approx(0.1, rel=1e-5)


def test_contrastive_loss_by_its_formula(noise):
    loss = build_loss(Loss("contrastive", arguments={"channels": 4}))
    lr, target, output = noise(1, 3, 8, 8), noise(1, 3, 16, 16), noise(1, 3, 16, 16, seed=1)
    first, _, second = loss.features

    def features(x):
        return second(torch.tanh(first(x)))

    negative = features(imresize(lr, 2))
    near = (features(output) - features(target)).abs().mean()
    far = (features(output) - negative).abs().mean()
    assert float(loss(output, target, lr)) == pytest.approx(float(near / far), rel=1e-5)
    assert float(loss(target, target, lr)) == 0


def test_uncertainty_by_its_formula(noise):
    loss = build_loss(Loss("uncertainty", arguments={"channels": 4}))
    output, target = noise(2, 3, 6, 6).requires_grad_(), noise(2, 3, 6, 6, seed=1)
    s = loss.estimate(output).detach().numpy()
    d = np.abs(output.detach().numpy() - target.numpy())
    weight = s - s.reshape(2, -1).min(1).reshape(2, 1, 1, 1)
    expected = (weight * d).mean() + (np.exp(-s) * d + 2 * s).mean()
    result = loss(output, target)
    assert float(result.detach()) == pytest.approx(expected, rel=1e-5)
    result.backward()
    sign = np.sign(output.detach().numpy() - target.numpy())  # of |d|; weights are constants
    np.testing.assert_allclose(output.grad.numpy(), weight * sign / d.size, rtol=1e-4, atol=1e-8)


@pytest.fixture(scope="module")
def vgg(tmp_path_factory):
    """Random weights of timm's smallest VGG in a file, and timm's own network with them."""
    import timm

    torch.manual_seed(0)
    own = timm.create_model("vgg11", features_only=True, out_indices=(0, 1))
    state = {name.replace("features_", "features."): t for name, t in own.state_dict().items()}
    deeper = timm.create_model("vgg11", pretrained=False, num_classes=0).features.state_dict()
    file = tmp_path_factory.mktemp("vgg") / "vgg11.safetensors"
    save_file({**{f"features.{name}": t for name, t in deeper.items()}, **state}, file)
    return SimpleNamespace(file=str(file), network=own.eval())


def test_perceptual_features_are_timms(vgg, noise, tmp_path):
    output, target = noise(1, 3, 32, 32), noise(1, 3, 32, 32, seed=1)
    mean = torch.tensor([0.485, 0.456, 0.406]).view(3, 1, 1)
    deviation = torch.tensor([0.229, 0.224, 0.225]).view(3, 1, 1)
    with torch.no_grad():
        found, wanted = (vgg.network((x - mean) / deviation)[1] for x in (output, target))
    options = {"network": "vgg11", "weights": vgg.file, "layers": {"relu2_1": 0.5}}
    content = Content(**options)
    expected = 0.5 * float((found - wanted).abs().mean())
    assert float(content(output, target)) == pytest.approx(expected, rel=1e-5)
    places, channels = found.shape[2] * found.shape[3], found.shape[1]
    grams = [np.einsum("nchw,ndhw->ncd", f.numpy(), f.numpy()) for f in (found, wanted)]
    expected = 0.5 * float(np.square((grams[0] - grams[1]) / (channels * places)).mean())
    assert float(Texture(**options)(output, target)) == pytest.approx(expected, rel=1e-4)
    assert content.state_dict() == {}
    torch.save(load_file(vgg.file), file := tmp_path / "vgg11.pth")  # as torchvision's are
    same = Content(**{**options, "weights": str(file)})
    assert torch.equal(same(output, target), content(output, target))


def test_gram_matrix_by_hand():
    features = torch.tensor([[[[1.0, 2.0]], [[3.0, 0.0]]]])
    assert (gram(features) * 4).tolist() == [[[5.0, 3.0], [3.0, 9.0]]]


def test_features_before_activation_keep_their_sign(vgg, noise):
    options = {"network": "vgg11", "weights": vgg.file, "layers": {"conv1_1": 1.0, "relu1_1": 1.0}}
    features = Content(**options).features(noise(1, 3, 16, 16))
    assert features["conv1_1"].min() < 0
    assert torch.equal(features["conv1_1"].relu(), features["relu1_1"])


@pytest.mark.parametrize("name", LOSSES)
def test_losses_compute_patches_as_small_as_they_say(name, noise, vgg):
    weights = {"network": "vgg11", "weights": vgg.file} if name in ("content", "texture") else {}
    if weights:
        weights["layers"] = {"relu5_2": 1.0}
    side = max(find_loss(name).smallest_patch, find_loss(name).patch_multiple)
    check_patch(name, side)
    if find_loss(name).patch_multiple == 1 and side > 1:
        with pytest.raises(OptionError, match=f"a data.patch_size of at least {side}, got"):
            check_patch(name, side - 1)
    loss = build_loss(Loss(name, arguments=weights))
    output, target = noise(2, 3, side, side).requires_grad_(), noise(2, 3, side, side, seed=1)
    lr = [noise(2, 3, side, side, seed=2)] if find_loss(name).uses_lr else []
    assert torch.isfinite(loss(output, target, *lr))


def test_perceptual_losses_say_what_they_need(vgg, tmp_path, monkeypatch):
    with pytest.raises(OptionError, match=r"vgg11 has no layer 'conv9_9'; its layers: conv1_1,"):
        Content(network="vgg11", weights=vgg.file, layers={"conv9_9": 1})
    with pytest.raises(OptionError, match="holds no weights of vgg16"):
        Content(network="vgg16", weights=vgg.file, layers={"conv5_3": 1})
    with pytest.raises(WeightsNotFoundError, match="is no file with the weights"):
        Content(weights=str(tmp_path / "none.safetensors"))

    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:1")  # where nobody answers
    monkeypatch.setenv("SR_ZOO_CACHE", str(tmp_path))
    with pytest.raises(DownloadError, match=r"huggingface\.co/timm/vgg19\.tv_in1k"):
        Content()


def test_adversarial_losses_by_hand():
    fake, real = torch.tensor([0.0, 1.0]), torch.tensor([2.0, 4.0])

    def nll(*logits):
        return -sum(math.log(1 / (1 + math.exp(-x))) for x in logits) / len(logits)

    plain, relative = GAN(channels=1), RelativisticGAN(channels=1)
    assert float(plain.deceiving(fake, real)) == pytest.approx(nll(0, 1))
    assert float(plain.judging(fake, real)) == pytest.approx((nll(0, -1) + nll(2, 4)) / 2)
    # means: fake 0.5, real 3
    expected = (nll(0.5 - 2, 0.5 - 4) + nll(0 - 3, 1 - 3)) / 2
    assert float(relative.deceiving(fake, real)) == pytest.approx(expected)
    expected = (nll(2 - 0.5, 4 - 0.5) + nll(3 - 0, 3 - 1)) / 2
    assert float(relative.judging(fake, real)) == pytest.approx(expected)


def test_the_discriminator_learns_to_judge_each_pixel(noise):
    torch.manual_seed(0)
    gan = GAN(channels=4, lr=1e-3)
    rough, smooth = noise(2, 3, 16, 24), torch.full((2, 3, 16, 24), 0.5)
    assert UNetDiscriminator(channels=4)(rough).shape == (2, 1, 16, 24)
    losses = [gan.learn(smooth, rough) for _ in range(60)]
    assert losses[-1] < 0.8 * losses[0]
    output = smooth.clone().requires_grad_()
    gan(output, rough).backward()
    assert output.grad.abs().sum() > 0
    assert all(p.grad is None or not p.requires_grad for p in gan.discriminator.parameters())


@pytest.mark.parametrize("name", ["gan", "relativistic_gan", "uncertainty"])
def test_losses_that_learn_resume_exactly(name, tiny, tmp_path):
    losses = [{"name": "l1"}, {"name": name, "weight": 0.1, "arguments": {"channels": 4}}]
    recipe = tiny(losses=losses)
    whole = train(recipe, output=tmp_path / "whole", quiet=True)

    class StoppedError(Exception):
        pass

    with pytest.MonkeyPatch.context() as patch:
        from sr_zoo.training.run import Run

        step = Run.step

        def stopping(run, lr, hr):
            if run.iteration == 5:
                raise StoppedError
            step(run, lr, hr)

        patch.setattr(Run, "step", stopping)
        with pytest.raises(StoppedError):
            train(recipe, output=tmp_path / "stopped", quiet=True)
    train(recipe, output=tmp_path / "stopped", quiet=True)
    logs = [
        [line.rpartition(",")[0] for line in (folder / "log.csv").read_text().splitlines()]
        for folder in (whole, tmp_path / "stopped")
    ]
    assert logs[0] == logs[1]


def test_criterion_weighs_and_refuses():
    criterion = Criterion([Loss("l1", 2.0), Loss("l2", 0.5)])
    values = criterion(OUTPUT, TARGET, OUTPUT)
    assert float(values["l1"]) == pytest.approx(2 * 1.25 / 4)
    assert float(values["l2"]) == pytest.approx(0.5 * 0.5625 / 4)
    with pytest.raises(OptionError, match=r"Unknown loss 'charbonier'\. Did you mean 'charbonnier"):
        build_loss(Loss("charbonier"))
    with pytest.raises(OptionError, match=r"loss 'charbonnier': .*epsilon"):
        build_loss(Loss("charbonnier", arguments={"epsilon": 1}))
    with pytest.raises(OptionError, match="each can be named once"):
        Criterion([Loss("l1"), Loss("l1")])


@pytest.mark.parametrize("name", sorted(set(LOSSES) - {"content", "texture"}))
def test_every_loss_gives_finite_gradients_even_where_nothing_is_wrong(name, noise):
    loss = build_loss(Loss(name))
    target = noise(1, 3, 16, 16)
    output = target.clone().requires_grad_()
    images = (output, target, noise(1, 3, 8, 8)) if loss.uses_lr else (output, target)
    loss(*images).backward()
    assert output.grad.isfinite().all()


@pytest.mark.parametrize(
    ("name", "patch", "message"),
    [
        ("gan", 36, r"loss 'gan' needs a data\.patch_size that is a multiple of 8, got 36"),
        ("relativistic_gan", 36, "a multiple of 8, got 36"),
        ("ssim", 10, r"loss 'ssim' needs a data\.patch_size of at least 11, got 10"),
        ("contrastive", 4, "of at least 5, got 4"),
    ],
)
def test_a_patch_that_a_loss_cannot_use_is_told_before_anything_is_read(
    tiny, tmp_path, name, patch, message
):
    recipe = tiny(losses=[{"name": name}], data__patch_size=patch, data__train=["nowhere"])
    with pytest.raises(OptionError, match=message):
        train(recipe, output=tmp_path / "run", quiet=True)


@pytest.mark.parametrize("channels", [-1, 0])
@pytest.mark.parametrize("name", ["contrastive", "gan", "relativistic_gan", "uncertainty"])
def test_a_width_that_no_layer_has_is_refused(name, channels):
    with pytest.raises(OptionError, match=f"'{name}': channels must be at least 1, got {channels}"):
        build_loss(Loss(name, arguments={"channels": channels}))


@pytest.mark.parametrize(
    ("name", "arguments", "message"),
    [
        ("charbonnier", {"eps": "small"}, "eps must be of type float, got 'small'"),
        ("balanced_diversity", {"floor": "none"}, "floor must be of type float"),
        ("contrastive", {"channels": "64"}, "channels must be of type int, got '64'"),
        ("contrastive", {"channels": 2.5}, "channels must be of type int, got 2.5"),
        ("l1", {"eps": 1}, "eps"),
    ],
)
def test_arguments_of_another_type_are_refused(name, arguments, message):
    with pytest.raises(OptionError, match=f"loss '{name}': .*{message}"):
        build_loss(Loss(name, arguments=arguments))
