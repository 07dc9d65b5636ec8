"""Weights of the manifest to repositories of an organisation on the Hub."""

from __future__ import annotations

from dataclasses import dataclass

from sr_zoo.weights.card import Facts, forbids_commerce
from sr_zoo.weights.hub import push_to_hub
from sr_zoo.weights.manifest import Entry, Manual


@dataclass(frozen=True)
class Publication:
    """What would happen to one manifest entry.

    Attributes:
        entry: Whose weights.
        repo: Where they go.
        obstacle: Why they are not uploaded; empty if they are.
    """

    entry: Entry
    repo: str
    obstacle: str = ""


def plan(
    entries: list[Entry], organisation: str, *, non_commercial: bool = False
) -> list[Publication]:
    """Return what publishing entries would do; nothing is fetched or uploaded.

    Weights whose repository states no licence stay where they are: nobody has allowed to pass them
    on.

    Args:
        entries: What to publish.
        organisation: Where to.
        non_commercial: Whether also what the licence forbids to use commercially.
    """
    return [Publication(e, f"{organisation}/{e.id}", _obstacle(e, non_commercial)) for e in entries]


def _obstacle(entry: Entry, non_commercial: bool) -> str:
    if entry.license is None:
        return "no licence allows it"
    if forbids_commerce(entry.license) and not non_commercial:
        return (
            f"{entry.license} forbids commercial use (--non-commercial publishes it all the same)"
        )
    if isinstance(entry.source, Manual):
        from sr_zoo.weights.cache import is_here

        return "" if is_here(entry) else f"{entry.source.file} has to be imported first"
    return ""


def publish(publication: Publication) -> str:
    """Upload the weights of one entry, in our layout and with a model card; return the commit.

    Raises:
        DownloadError: They could not be fetched.
        UploadError: The Hub is out of reach, or refuses.
    """
    from sr_zoo.api import create_model

    entry = publication.entry
    network = create_model(entry.model, entry.scale, pretrained=entry.tag)
    return push_to_hub(network, publication.repo, Facts.of(entry))
