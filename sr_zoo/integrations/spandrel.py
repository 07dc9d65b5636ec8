"""The library's networks in spandrel, and so in the programs that load models by it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from spandrel import (
    MAIN_REGISTRY,
    Architecture,
    ArchRegistry,
    ArchSupport,
    ImageModelDescriptor,
    ModelTiling,
)

from sr_zoo.errors import CheckpointError
from sr_zoo.weights.checkpoint import Checkpoint
from sr_zoo.weights.detect import detect
from sr_zoo.weights.loading import fit

if TYPE_CHECKING:
    from sr_zoo.network import SRNetwork

NAME = "sr_zoo"
CHANNELS = 3  # of what goes in and comes out


class ZooArchitecture(Architecture["SRNetwork"]):
    """Any network of the library, in the authors' layout or ours."""

    def __init__(self) -> None:
        super().__init__(id=NAME, detect=_is_ours)

    def load(self, state_dict: dict[str, Any]) -> ImageModelDescriptor[SRNetwork]:
        """Build the network that the tensors are of, and load them.

        Raises:
            CheckpointError: They are of none.
        """
        checkpoint = Checkpoint(dict(state_dict))
        detection = detect(checkpoint)
        network = detection.spec.network(**detection.arguments)
        state = fit(network, checkpoint, "The state dict")
        network.load_state_dict(state, strict=True)
        spec = detection.spec
        whole = spec.global_statistics or spec.global_attention or spec.wraps
        return ImageModelDescriptor(
            network.eval(),
            state,
            architecture=self,
            purpose="SR",
            tags=[detection.name, *detection.spec.tags],
            supports_half=False,  # some compute in 0..255, which float16 cannot hold squared
            supports_bfloat16=True,
            scale=network.scale,
            input_channels=CHANNELS,
            output_channels=CHANNELS,
            tiling=ModelTiling.DISCOURAGED if whole else ModelTiling.SUPPORTED,
        )


def _is_ours(state_dict: dict[str, Any]) -> bool:
    try:
        detect(Checkpoint(dict(state_dict)))
    except CheckpointError:
        return False
    return True


def install(registry: ArchRegistry = MAIN_REGISTRY) -> None:
    """Have spandrel recognise the library's networks; a second call changes nothing.

    They are asked first: the library compares all tensors, while spandrel's own architectures go by
    a few names and may take another network for theirs.

    Args:
        registry: Which of spandrel's registries.
    """
    known = {support.architecture.id for support in registry.architectures()}
    if NAME not in known:
        registry.add(ArchSupport.from_architecture(ZooArchitecture(), before=tuple(known)))
