"""Weights that hooks make anew before each call: of pruned layers, and of normalised ones."""

from copy import deepcopy
from typing import TypeVar, cast

from torch import Tensor, nn
from torch.nn.utils.parametrize import is_parametrized, remove_parametrizations
from torch.nn.utils.prune import BasePruningMethod, remove
from torch.nn.utils.spectral_norm import SpectralNorm, remove_spectral_norm
from torch.nn.utils.weight_norm import WeightNorm, remove_weight_norm

from sr_zoo.errors import ModelArgumentError

Module = TypeVar("Module", bound=nn.Module)
WEIGHT_HOOKS = (BasePruningMethod, WeightNorm, SpectralNorm)


def hooked_weight(layer: nn.Module) -> Tensor:
    """Return a layer's weight where the layer itself is not called.

    Pruning and the older kinds of weight and spectral normalisation make it anew before each call.
    """
    for hook in layer._forward_pre_hooks.values():
        if isinstance(hook, WEIGHT_HOOKS):
            hook(layer, ())
    return cast("Tensor", layer.weight)


def is_plain(*layers: nn.Module) -> bool:
    """Whether all layers do what their weights say and no more, so that none need be called.

    One that was wrapped, by an adapter such as LoRA, or that somebody's hooks watch, does more.
    """
    return all(
        (type(layer) in (nn.Conv2d, nn.Linear) or is_parametrized(layer))
        and not layer._forward_hooks
        and not layer._backward_hooks
        and not layer._backward_pre_hooks
        and all(isinstance(hook, WEIGHT_HOOKS) for hook in layer._forward_pre_hooks.values())
        for layer in layers
    )


def is_watched(module: nn.Module) -> bool:
    """Whether hooks of users look at what any layer of a module is given, or gives."""
    return any(
        layer._forward_hooks
        or not all(isinstance(hook, WEIGHT_HOOKS) for hook in layer._forward_pre_hooks.values())
        for layer in module.modules()
    )


def share_weights(layer: nn.Module, other: nn.Module) -> None:
    """Let another layer run with the weights of one, and with what makes them anew.

    Args:
        layer: It may be pruned or normalised.
        other: Of the same kind, without its children; its own weights are given up.

    Raises:
        ModelArgumentError: The first is of another kind.
    """
    if not isinstance(layer, type(other)):
        raise ModelArgumentError(
            f"A narrower network takes the weights of a {type(other).__name__}, and a "
            f"{type(layer).__name__} is in its place; take off what wraps the layer, or merge it"
        )
    other._parameters, other._buffers = layer._parameters, layer._buffers
    other._forward_pre_hooks = layer._forward_pre_hooks
    other._forward_pre_hooks_with_kwargs = layer._forward_pre_hooks_with_kwargs
    if is_parametrized(layer):  # a class and a child of its own compute the weights
        other.__class__, other._modules = layer.__class__, layer._modules


def copy_of(module: Module) -> Module:
    """Return a deep copy, of pruned and weight-normalised layers too.

    What their hooks made of weights is the result of a calculation, which torch does not copy.
    """
    made = {
        id(value): value.detach().clone()
        for layer in module.modules()
        for value in vars(layer).values()
        if isinstance(value, Tensor) and not value.is_leaf
    }
    return deepcopy(module, cast("dict[int, object]", made))


def with_plain_weights(module: Module) -> Module:
    """Return a copy in which what hooks and parametrisations make of weights is the weights.

    Its state dict has the names that the module's had before.
    """
    plain = copy_of(module)
    for layer in plain.modules():
        for hook in list(layer._forward_pre_hooks.values()):
            if isinstance(hook, BasePruningMethod):
                remove(layer, hook._tensor_name)
            elif isinstance(hook, WeightNorm):
                remove_weight_norm(layer, hook.name)
            elif isinstance(hook, SpectralNorm):
                remove_spectral_norm(layer, hook.name)
        if is_parametrized(layer):
            for name in list(cast("nn.ModuleDict", layer.parametrizations)):
                remove_parametrizations(layer, name)
    return plain
