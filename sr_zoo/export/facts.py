"""What an exported file says of its network, so that it can be used without this library."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass

from sr_zoo.errors import ExportError
from sr_zoo.inference.alone import tiles_alone
from sr_zoo.inference.memory import bytes_per_pixel
from sr_zoo.inference.networks import locality
from sr_zoo.network import SRNetwork

PREFIX = "sr_zoo."


@dataclass(frozen=True)
class Facts:
    """What one must know of a network to run it over an image of any size.

    Attributes:
        model: Name in the registry.
        scale: Upscaling factor.
        halo: LR pixels to give a tile on every side.
        grid: Tiles start on multiples of this many LR pixels.
        local: Whether tiles with that halo come out as in one piece; otherwise only close.
        bytes_per_pixel: Memory that the features take in PyTorch, per LR pixel.
        least_side: Pixels that sides have to have at least; who runs the file repeats the last row
            and column until they do. 1 where that is inside the file.
        size: Width x height of the only input that the file takes; empty if it takes any.
    """

    model: str
    scale: int
    halo: int
    grid: int
    local: bool
    bytes_per_pixel: int
    least_side: int = 1
    size: str = ""

    def as_text(self) -> dict[str, str]:
        """Return the metadata of a file."""
        return {PREFIX + key: str(value) for key, value in asdict(self).items()}


def facts_of(network: SRNetwork) -> Facts:
    """Look up what is known of a network that `create_model` built.

    Raises:
        ExportError: The network was built by hand.
    """
    if network.identity is None:
        raise ExportError(
            f"A file says which network it holds, and this {type(network).__name__} was built by "
            "hand; build it with create_model (sr_zoo.register_model makes a class of your own "
            "known)"
        )
    around = locality(network)
    return Facts(
        network.identity.name,
        network.scale,
        around.halo,
        around.grid,
        tiles_alone(network),
        round(bytes_per_pixel(network)),
    )


def read_facts(metadata: Mapping[str, str], source: str) -> Facts:
    """Read the metadata of a file.

    Raises:
        ExportError: The file was not exported by this library.
    """
    try:
        return Facts(
            model=metadata[PREFIX + "model"],
            scale=int(metadata[PREFIX + "scale"]),
            halo=int(metadata[PREFIX + "halo"]),
            grid=int(metadata[PREFIX + "grid"]),
            local=metadata[PREFIX + "local"] == "True",
            bytes_per_pixel=int(metadata[PREFIX + "bytes_per_pixel"]),
            least_side=int(metadata.get(PREFIX + "least_side") or 1),
            size=metadata.get(PREFIX + "size", ""),
        )
    except (KeyError, ValueError):
        raise ExportError(
            f"{source} does not say which network it holds; use a file that `sr-zoo export` wrote"
        ) from None
