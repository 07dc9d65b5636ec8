"""Losses on what a network that recognises things sees: VGG's features, from timm."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import count
from pathlib import Path
from typing import ClassVar

import torch
from torch import Tensor, nn

from sr_zoo.errors import DownloadError, OptionError, WeightsNotFoundError
from sr_zoo.training.losses import ImageLoss
from sr_zoo.weights.checkpoint import read_checkpoint
from sr_zoo.weights.hub import FILE, from_hub

MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # ImageNet, as VGG was trained
PREFIX = "features."


class VGGFeatures(nn.Module):
    """Features of an ImageNet classifier at some layers.

    Args:
        layers: ``conv5_4`` is the fourth convolution after the fourth pool, ``relu5_4`` its
            activation.
        network: Name of a VGG without batch normalisation in timm.
        weights: Its weights, a file of timm or torchvision; None to fetch ``timm/NETWORK.tv_in1k``.
    """

    mean: Tensor
    deviation: Tensor

    def __init__(self, layers: tuple[str, ...], *, network: str, weights: str | None) -> None:
        super().__init__()
        from timm import create_model

        with torch.device("meta"):  # the classifier's head, which nobody needs, is a hundred MB
            whole: nn.Module = create_model(network, pretrained=False)
        features = whole.get_submodule("features")
        names = _layer_names(features)
        for layer in layers:
            if layer not in names:
                raise OptionError(
                    f"{network} has no layer {layer!r}; its layers: {', '.join(names)}"
                )
        self.taken = {names.index(layer): layer for layer in layers}
        self.layers = nn.Sequential(*list(features.children())[: max(self.taken) + 1])
        file = _locate(network, weights)
        tensors = read_checkpoint(file).tensors
        own = self.layers.state_dict().keys()
        state = {name: tensors[PREFIX + name] for name in own if PREFIX + name in tensors}
        if state.keys() != own:
            raise OptionError(f"{file} holds no weights of {network}")
        self.layers.load_state_dict(state, assign=True)
        for module in self.layers:
            if isinstance(module, nn.ReLU):
                module.inplace = False  # the features before it are asked for too
            for name, tensor in list(module.named_parameters()):  # fixed, so in no state of a run
                delattr(module, name)
                module.register_buffer(name, tensor.detach(), persistent=False)
        self.register_buffer("mean", torch.tensor(MEAN).view(3, 1, 1), persistent=False)
        self.register_buffer("deviation", torch.tensor(DEVIATION).view(3, 1, 1), persistent=False)

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        """Return the features of (N, 3, H, W), RGB in [0, 1], by layer."""
        x = (images - self.mean) / self.deviation
        found = {}
        for index, layer in enumerate(self.layers):
            x = layer(x)
            if index in self.taken:
                found[self.taken[index]] = x
        return found


def _layer_names(features: nn.Module) -> list[str]:
    names: list[str] = []
    block, number, place = 1, count(1), 0
    for layer in features.children():
        if isinstance(layer, nn.Conv2d):
            place = next(number)
            names.append(f"conv{block}_{place}")
        elif isinstance(layer, nn.ReLU):
            names.append(f"relu{block}_{place}")
        else:
            names.append(f"pool{block}")
            block, number = block + 1, count(1)
    return names


def _locate(network: str, weights: str | None) -> Path:
    """Return the file with a classifier's weights.

    Raises:
        WeightsNotFoundError: `weights` is no file.
        DownloadError: They are not here and cannot be fetched.
    """
    if weights is not None:
        if not Path(weights).is_file():
            raise WeightsNotFoundError(f"{weights} is no file with the weights of {network}")
        return Path(weights)
    repository = f"timm/{network}.tv_in1k"
    try:
        return from_hub(repository)
    except DownloadError as error:
        raise DownloadError(
            f"A perceptual loss needs the weights of {network} ({FILE} of "
            f"https://huggingface.co/{repository}): {error} Or name the file as the loss's "
            "argument `weights`"
        ) from error


class _FeatureLoss(ImageLoss):
    """A weighted sum over layers of a classifier; `LAYERS` where none are given."""

    smallest_patch = 16  # of VGG's deepest layers, behind four pools
    LAYERS: ClassVar[Mapping[str, float]]

    def __init__(
        self,
        *,
        layers: Mapping[str, float] | None = None,
        network: str = "vgg19",
        weights: str | None = None,
    ) -> None:
        super().__init__()
        self.layer_weights = dict(self.LAYERS if layers is None else layers)
        self.features = VGGFeatures(tuple(self.layer_weights), network=network, weights=weights)

    def forward(self, output: Tensor, target: Tensor) -> Tensor:
        wanted = self.features(target)
        found = self.features(output)
        terms = [
            weight * self.distance(found[layer], wanted[layer])
            for layer, weight in self.layer_weights.items()
        ]
        return torch.stack(terms).sum()

    def distance(self, found: Tensor, wanted: Tensor) -> Tensor:
        return (found - wanted).abs().mean()


class Content(_FeatureLoss):
    """Perceptual loss: mean absolute difference of features before their activation.

    Sources: Johnson et al., ECCV 2016; the layer and the norm are those of Wang et al., ESRGAN,
    ECCVW 2018.

    Args:
        layers: Layer to weight, as in `VGGFeatures`; None for `LAYERS`.
        network: As in `VGGFeatures`.
        weights: As in `VGGFeatures`.
    """

    LAYERS: ClassVar = {"conv5_4": 1.0}


class Texture(_FeatureLoss):
    """Mean squared difference of Gram matrices: which features come together, wherever.

    Sources: Gatys et al., NeurIPS 2015; Sajjadi et al., EnhanceNet, ICCV 2017. A Gram matrix is
    divided by the number of places and channels it sums over.

    Args:
        layers: Layer to weight, as in `VGGFeatures`; None for `LAYERS`.
        network: As in `VGGFeatures`.
        weights: As in `VGGFeatures`.
    """

    LAYERS: ClassVar = {"relu2_2": 1.0, "relu3_4": 1.0, "relu4_4": 1.0}

    def distance(self, found: Tensor, wanted: Tensor) -> Tensor:
        return (gram(found) - gram(wanted)).square().mean()


def gram(features: Tensor) -> Tensor:
    """Return the Gram matrices (N, C, C) of features (N, C, H, W), divided by C*H*W."""
    flat = features.flatten(2)
    return flat @ flat.mT / (flat.shape[1] * flat.shape[2])
