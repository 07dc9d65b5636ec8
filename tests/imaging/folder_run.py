"""A run over a folder, to be killed: doubles every image; notes each one that it starts on."""

import sys
from pathlib import Path

from sr_zoo.imaging import Picture, read_image, write_image
from sr_zoo.imaging.folder import Job, plan
from sr_zoo.imaging.journal import Journal
from sr_zoo.imaging.pipeline import Pipeline


def main(source: Path, output: Path, notes: Path) -> None:
    def double(picture: Picture, job: Job) -> Picture:
        with notes.open("a") as file:
            file.write(f"{job.source.name}\n")
        return picture.with_rgb(picture.to_rgb().repeat(2, 0).repeat(2, 1), picture.to_alpha())

    with Journal(output, {"scale": 2}) as journal:
        pipeline = Pipeline(lambda job: read_image(job.source), double, write_image)
        outcomes = list(pipeline.run(plan([source], output), journal=journal))
        if all(outcome.status != "failed" for outcome in outcomes):
            journal.complete()


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
