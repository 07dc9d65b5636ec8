"""Starting weights from another network, as far as they fit."""

from __future__ import annotations

from sr_zoo.api import load_model
from sr_zoo.errors import CheckpointError
from sr_zoo.network import SRNetwork
from sr_zoo.weights.loading import differences, shapes

LEAST_PART = 0.5  # of the network's tensors


def warm_start(network: SRNetwork, source: str) -> list[str]:
    """Copy the tensors of other weights into a network, those of the same name and shape.

    Between the scales of a model that is all but the upsampler.

    Args:
        network: Changed.
        source: What `sr_zoo.load_model` takes.

    Returns:
        The network's tensors that the source has nothing for.

    Raises:
        CheckpointError: Less than half of the network's tensors would come from there.
    """
    own = network.state_dict()
    given = {
        name: tensor
        for name, tensor in load_model(source).state_dict().items()
        if name in own and tensor.shape == own[name].shape
    }
    if len(given) < LEAST_PART * len(own):
        problems = differences(shapes(given), shapes(own))
        raise CheckpointError(
            f"{source} is no start for {type(network).__name__}: {problems}. "
            "Name weights of the same model, at this scale or another."
        )
    network.load_state_dict({**own, **given})
    return sorted(own.keys() - given.keys())
