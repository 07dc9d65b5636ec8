"""What an evaluation has finished, on disk, so that a killed one goes on where it stopped."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from sr_zoo.atomic import make_folder
from sr_zoo.errors import FileWriteError, OptionError


class Journal:
    """A file of JSON lines that only grows.

    A line that a kill cut short, or a disk has damaged, is ignored, and written anew.

    Args:
        path: Made with the first record.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._records: dict[str, dict[str, Any]] = {}
        self._torn = False
        if path.exists():
            try:
                text = path.read_text(encoding="utf-8", errors="replace")
            except OSError as error:
                raise OptionError(
                    f"{path}: cannot be read ({error.strerror}); name another folder"
                ) from error
            self._torn = not text.endswith("\n") and bool(text)
            for line in text.splitlines():
                self._read(line)

    def _read(self, line: str) -> None:
        try:
            entry = json.loads(line)
            self._records[entry["key"]] = entry["record"]
        except (json.JSONDecodeError, KeyError, TypeError):
            return

    def find(self, key: str) -> dict[str, Any] | None:
        """Return the record that was stored under a key, if any."""
        return self._records.get(key)

    def append(self, key: str, record: dict[str, Any]) -> None:
        """Store a record; it is on the disk when this returns.

        Raises:
            FileWriteError: The folder cannot be written to, or the disk is full.
        """
        make_folder(self._path.parent)
        line = json.dumps({"key": key, "record": record}) + "\n"
        try:
            with self._path.open("a", encoding="utf-8") as file:
                file.write(f"\n{line}" if self._torn else line)
                self._torn = True  # until all of it is on the disk
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise FileWriteError(
                f"{self._path}: cannot be written ({error.strerror}); the same command goes on "
                "with what is stored"
            ) from error
        self._torn = False
        self._records[key] = record
