"""`sr-zoo rate`: what people think of results."""

from __future__ import annotations

from pathlib import Path

import typer


def command(
    inputs: list[Path] = typer.Argument(
        help="Folders of results, one per method, to make a page; or CSV files of ratings to read."
    ),
    output: Path = typer.Option("rating.html", "-o", "--output", help="The page to write."),
    reference: Path | None = typer.Option(None, help="Folder of the true images, to be shown too."),
    seed: int | None = typer.Option(None, help="Fixes the random order."),
) -> None:
    """Make a blind-rating page from folders of results, or average the ratings that it saved."""
    from sr_zoo.atomic import write_atomically
    from sr_zoo.evaluation.rating import opinions, rating_page

    if all(path.suffix.lower() == ".csv" for path in inputs):
        for opinion in opinions(inputs):
            typer.echo(
                f"{opinion.method}  {opinion.mean:.2f} +- {opinion.interval:.2f}  "
                f"({opinion.ratings} ratings)"
            )
        return
    write_atomically(output, rating_page(inputs, reference=reference, seed=seed).encode())
    typer.echo(str(output))
