"""What a run writes down of itself: a CSV file that any tool reads."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from pathlib import Path

from sr_zoo.atomic import write_atomically
from sr_zoo.errors import TrainingError


class Log:
    """A CSV file, a line for every few iterations; columns that a line has no value for are empty.

    Attributes:
        rows: All lines, as read and written.
    """

    def __init__(self, path: Path, columns: tuple[str, ...], *, until: int = 0) -> None:
        """Open a log.

        Args:
            path: The file; made if it does not exist.
            columns: Their names; the first is ``iteration``.
            until: Lines of later iterations are dropped: a run continues from there.
        """
        self.path = path
        self.columns = columns
        self.rows = [row for row in _read(path) if int(row["iteration"]) <= until]
        self._write_all()

    def append(self, values: Mapping[str, float]) -> None:
        """Add a line."""
        row = {name: _text(values[name]) for name in self.columns if name in values}
        self.rows.append(row)
        try:
            with self.path.open("a", encoding="utf-8", newline="") as file:
                csv.DictWriter(file, self.columns).writerow(row)
        except OSError as error:
            raise TrainingError(f"{self.path}: cannot be written ({error.strerror})") from error

    def _write_all(self) -> None:
        text = io.StringIO(newline="")
        writer = csv.DictWriter(text, self.columns, extrasaction="ignore")
        writer.writeheader()
        writer.writerows(self.rows)
        write_atomically(self.path, text.getvalue().encode(), error=TrainingError)


def _read(path: Path) -> list[dict[str, str]]:
    if not path.is_file():
        return []
    with path.open(encoding="utf-8", newline="") as file:
        return [row for row in csv.DictReader(file) if (row["iteration"] or "").isdigit()]


def _text(value: float) -> str:
    return str(value) if isinstance(value, int) else f"{value:.8g}"
