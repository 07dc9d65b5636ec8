"""Reading, processing and writing many files, the three side by side on different files."""

from __future__ import annotations

import json
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, Literal, TypeAlias, TypeVar, get_args

from sr_zoo.atomic import make_folder, remove_leftovers, write_atomically
from sr_zoo.errors import ImageWriteError, SRZooError
from sr_zoo.imaging.folder import Job
from sr_zoo.imaging.journal import Journal

READ_AHEAD = 2
WRITERS = 2

Read = TypeVar("Read")
Processed = TypeVar("Processed")

Status: TypeAlias = Literal["done", "skipped", "failed"]
STATUSES: tuple[Status, ...] = get_args(Status)


@dataclass(frozen=True)
class Outcome:
    """What became of one job.

    Attributes:
        job: Which one.
        status: ``skipped`` if its output was there already.
        reason: One sentence on why it failed.
        seconds: From the start of its processing until its file was written.
    """

    job: Job
    status: Status
    reason: str | None = None
    seconds: float = 0.0

    @property
    def sentence(self) -> str:
        """Why it failed, naming the file."""
        reason = self.reason or ""
        named = str(self.job.source) in reason or str(self.job.target) in reason
        return reason if named else f"{self.job.source}: {reason}"


@dataclass(frozen=True)
class Pipeline(Generic[Read, Processed]):
    """Three steps that run side by side, each on another file.

    Attributes:
        read: Reads a job's source; in a thread of its own.
        process: Works on what was read; in the caller's thread, in the order of the jobs. It is
            given the job too.
        write: Writes the target, atomically; in threads of its own.
    """

    read: Callable[[Job], Read]
    process: Callable[[Read, Job], Processed]
    write: Callable[[Processed, Path], None]

    def run(
        self, jobs: Sequence[Job], *, journal: Journal | None = None, skip_existing: bool = False
    ) -> Iterator[Outcome]:
        """Yield the outcome of every job; one that fails never stops the others.

        Args:
            jobs: What to do.
            journal: Tells which jobs are finished already, and is told of those that will be.
            skip_existing: Leave out jobs whose target exists.
        """
        pending = []
        for job in jobs:
            if (skip_existing and job.target.exists()) or (journal and journal.has(job)):
                yield Outcome(job, "skipped")
            else:
                pending.append(job)
        remove_leftovers(job.target for job in pending)
        with ThreadPoolExecutor(1) as reader, ThreadPoolExecutor(WRITERS) as writer:
            reads: deque[tuple[Job, Future[Read]]] = deque()
            writes: deque[Future[Outcome]] = deque()
            waiting = deque(pending)
            try:
                while waiting or reads:
                    while waiting and len(reads) < READ_AHEAD:
                        job = waiting.popleft()
                        reads.append((job, reader.submit(self.read, job)))
                    writes.append(self._advance(*reads.popleft(), writer, journal))
                    while len(writes) > WRITERS or (writes and writes[0].done()):
                        yield writes.popleft().result()
                while writes:
                    yield writes.popleft().result()
            finally:
                reader.shutdown(wait=False, cancel_futures=True)

    def _advance(
        self, job: Job, read: Future[Read], writer: ThreadPoolExecutor, journal: Journal | None
    ) -> Future[Outcome]:
        """Process one file as soon as it is read, and have its result written."""
        started = time.monotonic()
        try:
            processed = self.process(read.result(), job)
        except Exception as error:  # a job of thousands: whatever stops it must not stop the rest
            failure: Future[Outcome] = Future()
            failure.set_result(_failed(job, error, started))
            return failure
        return writer.submit(self._finish, job, processed, started, journal)

    def _finish(
        self, job: Job, processed: Processed, started: float, journal: Journal | None
    ) -> Outcome:
        try:
            make_folder(job.target.parent, error=ImageWriteError)
            self.write(processed, job.target)
            if journal:
                journal.add(job)
        except Exception as error:  # as above
            return _failed(job, error, started)
        return Outcome(job, "done", seconds=time.monotonic() - started)


def _failed(job: Job, error: Exception, started: float) -> Outcome:
    reason = str(error) if isinstance(error, SRZooError) else f"{type(error).__name__}: {error}"
    return Outcome(job, "failed", " ".join(reason.split()), time.monotonic() - started)


def write_report(outcomes: Sequence[Outcome], path: Path, settings: Mapping[str, Any]) -> None:
    """Write what became of every file as JSON.

    Args:
        outcomes: Of all jobs.
        path: Where.
        settings: What the run was told, in types of JSON.

    Raises:
        ImageWriteError: The file cannot be written.
    """
    counts = {status: sum(outcome.status == status for outcome in outcomes) for status in STATUSES}
    files = [
        {
            "source": str(outcome.job.source),
            "target": str(outcome.job.target),
            "status": outcome.status,
            "reason": outcome.reason,
            "seconds": round(outcome.seconds, 3),
        }
        for outcome in outcomes
    ]
    report = {
        "summary": counts,
        "settings": dict(settings),
        "files": files,
    }
    write_atomically(path, json.dumps(report, indent=1).encode(), error=ImageWriteError)
