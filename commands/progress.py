"""Progress on stderr: a live bar in a terminal, a plain line every few seconds elsewhere."""

import time
from types import TracebackType
from typing import Self

from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeRemainingColumn

from commands.output import readable, say_when, words
from orchestration.client.run_status import RunReport

LINE_EVERY_SECONDS = 3.0


class RunDisplay:
    """Shows reports of one run, from the first `show` to `stop`; also a context manager."""

    def __init__(self) -> None:
        self._live = _make_run_bar() if _is_live() else None
        self._task = self._live.add_task("waiting to begin", total=None, facts="") if self._live else None
        self._last_line = ("", 0.0)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def stop(self) -> None:
        """Stop drawing, so that the command can print sentences; a later `show` draws again."""
        if self._live:
            self._live.stop()

    def show(self, report: RunReport, note: str = "") -> None:
        """Draw a report.

        Args:
            report: the newest report of the run.
            note: shown in place of the status, if not empty.
        """
        documents = report.documents
        status = "waiting for a service that is away" if report.waiting and report.running else None
        if report.running and not documents.total:
            status = status or "looking for documents"
        status = note or status or readable(report.workflow_status)
        if self._live and self._task is not None:
            self._live.start()
            self._live.update(
                self._task,
                description=status,
                total=documents.total or None,
                completed=documents.processed + documents.quarantined,
                facts=_facts(report),
            )
            return
        line = f"{status}: {documents.processed + documents.quarantined} of {documents.total} documents{_facts(report)}"
        shown, shown_at = self._last_line
        if line != shown and (time.monotonic() - shown_at >= LINE_EVERY_SECONDS or not report.running):
            self._last_line = line, time.monotonic()
            say_when(line)


class RowDisplay:
    """Shows the progress of writing tables; also a context manager."""

    def __init__(self) -> None:
        self._live = _make_row_bar() if _is_live() else None
        self._task = self._live.add_task("beginning", total=None) if self._live else None
        self._printed_at = time.monotonic()

    def __enter__(self) -> Self:
        if self._live:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live:
            self._live.stop()

    def show(self, table: str, done: int, total: int) -> None:
        """Show the number of written rows, `done`, out of all rows of the table, `total`."""
        if self._live and self._task is not None:
            self._live.update(self._task, description=table, total=total, completed=done)
        elif time.monotonic() - self._printed_at >= LINE_EVERY_SECONDS:
            self._printed_at = time.monotonic()
            say_when(f"{table}: {done} of {total} written")


def _is_live() -> bool:
    return words.is_terminal and not words.quiet


def _facts(report: RunReport) -> str:
    parts = [f"{report.documents.quarantined} quarantined"] if report.documents.quarantined else []
    if report.documents.processed:
        parts.append(f"quality {report.quality_score:.2f}")
    if report.latest_checkpoint:
        parts.append(f"checkpoint {report.latest_checkpoint.sequence}")
    return "".join(f" · {part}" for part in parts)


def _make_run_bar() -> Progress:
    return Progress(
        SpinnerColumn(),
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=30),
        MofNCompleteColumn(),
        TextColumn("documents{task.fields[facts]}", markup=False),
        TimeRemainingColumn(compact=True),
        console=words,
        transient=False,
    )


def _make_row_bar() -> Progress:
    return Progress(
        SpinnerColumn(),
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=30),
        MofNCompleteColumn(),
        TimeRemainingColumn(compact=True),
        console=words,
        transient=True,
    )
