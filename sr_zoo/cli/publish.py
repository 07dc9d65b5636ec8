"""`sr-zoo publish`: weights of the manifest to an organisation on the Hub."""

from __future__ import annotations

import typer

from sr_zoo.cli.weights import IDS, entries_of
from sr_zoo.errors import SRZooError


def command(
    organisation: str = typer.Argument(help="User or organisation on the Hub."),
    ids: list[str] = IDS,
    upload: bool = typer.Option(
        False, "--upload", help="Upload; without it, only say what would happen."
    ),
    non_commercial: bool = typer.Option(
        False, "--non-commercial", help="Also weights whose licence forbids commercial use."
    ),
) -> None:
    """Upload weight files to the Hub, each as a repository with a model card."""
    from sr_zoo.weights.publish import plan, publish

    failed = 0
    publications = plan(entries_of(ids), organisation, non_commercial=non_commercial)
    for publication in publications:
        entry = publication.entry
        if publication.obstacle:
            typer.echo(f"{entry.id}: not published, {publication.obstacle}")
        elif not upload:
            size = f"{entry.num_params * 4 / 1e6:.2f} MB"
            typer.echo(f"{entry.id}: would become {publication.repo} ({size}, {entry.license})")
        else:
            try:
                typer.echo(f"{entry.id}: {publication.repo}@{publish(publication)}")
            except SRZooError as error:
                failed += 1
                typer.echo(f"{entry.id}: {error}", err=True)
    if not upload:
        typer.echo("Nothing was uploaded; --upload does it.")
    if failed:
        raise typer.Exit(1)
