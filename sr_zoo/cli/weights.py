"""`sr-zoo weights`: the known weight files, and those on this machine."""

from __future__ import annotations

from fnmatch import fnmatchcase
from pathlib import Path

import typer

from sr_zoo.cli.options import weight_ids
from sr_zoo.errors import CheckpointError, SRZooError
from sr_zoo.weights.cache import is_file, is_here, locate, path_of
from sr_zoo.weights.manifest import Bundled, Entry, load_manifest

app = typer.Typer(no_args_is_help=True, pretty_exceptions_enable=False)

IDS = typer.Argument(
    help="Ids such as rlfn_x4.official, or patterns such as 'rlfn*'.", autocompletion=weight_ids
)


def entries_of(patterns: list[str]) -> list[Entry]:
    """Return the manifest entries that ids or patterns name."""
    chosen: dict[str, Entry] = {}
    for pattern in patterns:
        matching = [e for e in load_manifest().entries if fnmatchcase(e.id, pattern)]
        for entry in matching or [load_manifest().by_id(pattern)]:
            chosen[entry.id] = entry
    return list(chosen.values())


@app.command("list")
def list_entries(
    pattern: str = typer.Argument(
        "*", help="Of ids, for instance 'rlfn*'.", autocompletion=weight_ids
    ),
    bundled: bool = typer.Option(False, "--bundled", help="Only files inside the package."),
) -> None:
    """List known weight files."""
    for entry in entries_of([pattern]):
        if bundled and not isinstance(entry.source, Bundled):
            continue
        score = entry.metrics.get("Set5")
        measured = f"Set5 {score['psnr_y']:.2f} dB" if score else "not measured"
        licence = entry.license or "no licence stated"
        here = "here" if is_file(path_of(entry)) else type(entry.source).__name__.lower()
        typer.echo(f"{entry.id:<32}{entry.bytes / 1e6:8.2f} MB  {measured:<16}{licence}, {here}")


@app.command("path")
def path(
    entry_id: str = typer.Argument(
        help="For instance rlfn_x4.official.", autocompletion=weight_ids
    ),
) -> None:
    """Print where a weight file is, or will be once it is fetched."""
    typer.echo(str(path_of(load_manifest().by_id(entry_id))))


@app.command("fetch")
def fetch(ids: list[str] = IDS) -> None:
    """Download weight files into the cache."""
    failed = 0
    for entry in entries_of(ids):
        try:
            typer.echo(f"{entry.id}: {locate(entry)}")
        except SRZooError as error:
            failed += 1
            typer.echo(f"sr-zoo: {error}", err=True)
    if failed:
        raise typer.Exit(1)


@app.command("verify")
def verify(
    ids: list[str] | None = typer.Argument(
        None, help="Ids or patterns; none for all.", autocompletion=weight_ids
    ),
) -> None:
    """Compare the files on this machine with the manifest; without ids, all that are here."""
    bad = 0
    for entry in entries_of(ids or ["*"]):
        if not is_file(path_of(entry)):
            if ids:
                bad += 1
                typer.echo(f"{entry.id}: not here", err=True)
        elif is_here(entry):
            typer.echo(f"{entry.id}: good")
        else:
            bad += 1
            typer.echo(f"{entry.id}: damaged, {path_of(entry)}", err=True)
    if bad:
        raise typer.Exit(1)


@app.command("import")
def import_by_hand(file: Path = typer.Argument(help="A file that was downloaded by hand.")) -> None:
    """Put a file, or what a zip archive holds, into the cache; its SHA-256 tells whose it is."""
    from sr_zoo.weights.by_hand import import_file

    for entry, place in import_file(file):
        typer.echo(f"{entry.id}: {place}")


@app.command("export")
def export(
    entry_id: str = typer.Argument(
        help="For instance rlfn_s_x4.sr_zoo.", autocompletion=weight_ids
    ),
    output: Path = typer.Option(..., "-o", "--output", help="A .safetensors or .pth file."),
    layout: str = typer.Option("official", help="Whose tensor names: official or ours."),
) -> None:
    """Write weights under the authors' tensor names, or ours, for other tools."""
    from sr_zoo.weights.export import export_entry

    if layout not in ("official", "ours"):
        raise CheckpointError(f"Unknown layout {layout!r}; use official or ours")
    export_entry(load_manifest().by_id(entry_id), output, layout)
    typer.echo(str(output))
