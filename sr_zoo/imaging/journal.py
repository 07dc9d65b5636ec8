"""What a run over many files has finished, so that a killed one continues where it stopped."""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from sr_zoo.errors import ImageWriteError
from sr_zoo.imaging.folder import Job

NAME = ".sr_zoo-journal.jsonl"


class Journal:
    """A file of one line a finished job, beside the outputs while their run is unfinished.

    Use it as a context, and call `complete` in it once nothing is left to do. A line tells the
    sizes and times of both files: whatever changed since is done again.

    Args:
        folder: Of the outputs.
        settings: All that decides what the outputs look like, in the types that JSON is read as; a
            journal of other settings is started anew.

    Raises:
        ImageWriteError: The folder cannot be written to.
    """

    def __init__(self, folder: Path, settings: Mapping[str, Any]) -> None:
        self.path = folder / NAME
        header = {"settings": dict(settings)}
        lines = _lines(self.path)
        continued = lines[:1] == [header]
        self._finished = {line["target"]: line for line in lines[1:]} if continued else {}
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            # without a buffer nothing is left over that could not be written when it is closed
            self._file = self.path.open("ab" if continued else "wb", buffering=0)
            # a run killed while it wrote may have left half a line
            self._write("" if continued else json.dumps(header))
        except OSError as error:
            if hasattr(self, "_file"):
                self._file.close()
            raise ImageWriteError(f"{folder}: cannot be written to ({error.strerror})") from error

    def has(self, job: Job) -> bool:
        """Whether this job is finished and neither of its files was touched since."""
        line = self._finished.get(str(job.target))
        try:
            return line is not None and line == _line(job)
        except OSError:
            return False

    def add(self, job: Job) -> None:
        """Note that a job is finished.

        Raises:
            ImageWriteError: The disk is full.
        """
        try:
            self._write(json.dumps(_line(job)))
        except OSError as error:
            raise ImageWriteError(f"{self.path}: {error.strerror}") from error

    def complete(self) -> None:
        """End a run of which nothing is left to do: no journal stays behind."""
        self._file.close()
        with suppress(OSError):  # on Windows, while another run has it open
            self.path.unlink()

    def __enter__(self) -> Journal:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def _write(self, line: str) -> None:
        data = f"{line}\n".encode()
        if self._file.write(data) < len(data):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def _line(job: Job) -> dict[str, Any]:
    source, target = job.source.stat(), job.target.stat()
    return {
        "target": str(job.target),
        "source": str(job.source),
        "sizes": [source.st_size, target.st_size],
        "times": [source.st_mtime_ns, target.st_mtime_ns],
    }


def _lines(path: Path) -> list[dict[str, Any]]:
    """Return the whole lines of a journal."""
    try:
        texts = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        return []
    lines = []
    for text in texts:
        try:
            line = json.loads(text)
        except json.JSONDecodeError:
            continue
        if isinstance(line, dict) and ("target" in line or "settings" in line):
            lines.append(line)
    return lines
