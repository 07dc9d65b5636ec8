"""What an evaluation has finished, on disk, so that a killed one goes on where it stopped."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any


class Journal:
    """A file of JSON lines that only grows.

    A line that a kill cut short is ignored, and written anew.

    Args:
        path: Made with the first record.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._records: dict[str, dict[str, Any]] = {}
        self._torn = False
        if path.exists():
            text = path.read_text(encoding="utf-8")
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
        """Store a record; it is on the disk when this returns."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with self._path.open("a", encoding="utf-8") as file:
            if self._torn:
                file.write("\n")
                self._torn = False
            file.write(json.dumps({"key": key, "record": record}) + "\n")
            file.flush()
            os.fsync(file.fileno())
        self._records[key] = record
