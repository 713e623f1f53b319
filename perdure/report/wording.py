"""Numbers, times and the summary in words."""

import unicodedata
from datetime import UTC, datetime

from perdure.documents.formats import label_of
from perdure.report.data import RunReportData

_VERDICTS = {
    "completed": "Completed",
    "completed_with_failures": "Completed with failures",
    "cancelled": "Cancelled",
    "failed": "Failed",
    "paused": "Paused",
    "in_progress": "Still in progress",
}
_MINUTE = 60
_HOUR = 3600
_DAY = 86400
_BYTES_STEP = 1024
_GAP = "\N{NO-BREAK SPACE}"


_UNSHOWN = frozenset({"Cs", "Cn", "Zl", "Zp"})
_JOINERS = "\N{ZERO WIDTH NON-JOINER}\N{ZERO WIDTH JOINER}"


def plain(text: str) -> str:
    """Return the text without characters that XML forbids and without invisible direction marks."""
    return "".join(_shown(character) for character in text)


def _shown(character: str) -> str:
    category = unicodedata.category(character)
    if category == "Cc":
        return " "
    if category == "Cf":
        return character if character in _JOINERS else ""
    return "\N{REPLACEMENT CHARACTER}" if category in _UNSHOWN else character


def shortened(text: str, characters: int) -> str:
    """Return the text in at most `characters` characters, with an ellipsis in place of its end."""
    return text if len(text) <= characters else f"{text[: characters - 1].rstrip()}…"


def number(value: float) -> str:
    """Return a count with narrow spaces between thousands."""
    return f"{value:,.0f}".replace(",", "\N{NARROW NO-BREAK SPACE}")


def counted(value: int, singular: str, plural: str | None = None) -> str:
    """Return a count and its noun in the right number."""
    return f"{number(value)} {singular if value == 1 else plural or singular + 's'}"


def size(octets: float) -> str:
    """Return bytes in the largest unit of which there is at least one."""
    for unit in ("B", "KB", "MB", "GB"):
        if octets < _BYTES_STEP:
            return f"{octets:.0f} {unit}" if unit == "B" or octets >= 10 else f"{octets:.1f} {unit}"  # noqa: PLR2004
        octets /= _BYTES_STEP
    return f"{octets:.1f} TB"


def duration(seconds: float) -> str:
    """Return seconds in the two largest units."""
    if seconds < 10:  # noqa: PLR2004 - only short times show tenths
        return f"{seconds:.1f}{_GAP}s"
    whole = round(seconds)
    for unit, name, lesser, lesser_name in (
        (_DAY, "d", _HOUR, "h"),
        (_HOUR, "h", _MINUTE, "min"),
        (_MINUTE, "min", 1, "s"),
    ):
        if whole >= unit:
            rest = whole % unit // lesser
            return f"{whole // unit}{_GAP}{name}" + (f"{_GAP}{rest}{_GAP}{lesser_name}" if rest else "")
    return f"{whole}{_GAP}s"


def moment(time: datetime) -> str:
    """Return a time in UTC, to the second."""
    return f"{time.astimezone(UTC):%Y-%m-%d %H:%M:%S}"


def media_name(media_type: str) -> str:
    """Return the name in reports of a media type; the media type itself if no format has it."""
    return label_of(media_type) if media_type else "not recognised"


def status_words(status: str) -> str:
    """Return a workflow status as a heading."""
    return _VERDICTS.get(status, status.replace("_", " ").capitalize())


def verdict(data: RunReportData) -> str:
    """Return the summary of the report in one sentence."""
    counts = data.counts
    parts = [f"{number(counts.processed)} of {counted(counts.total, 'document')} processed"]
    if counts.quarantined:
        parts.append(f"{number(counts.quarantined)} quarantined with a reason")
    if counts.cancelled:
        parts.append(f"{number(counts.cancelled)} cancelled")
    if counts.pending:
        parts.append(f"{number(counts.pending)} to go" if not data.ended else f"{number(counts.pending)} not reached")
    took = duration((data.as_of - data.began).total_seconds())
    when = f"{'in' if data.ended else 'so far in'} {took}"
    return f"{status_words(data.status)}: {', '.join(parts)}, {when}{_list_interruptions(data)}."


def _list_interruptions(data: RunReportData) -> str:
    crashes = sum(event.kind == "crash" for event in data.interruptions)
    resumed = sum(event.kind == "resumption" for event in data.interruptions)
    recovered = sum(event.kind == "recovery" for event in data.interruptions)
    parts = [
        text
        for count, text in (
            (crashes, counted(crashes, "crash", "crashes")),
            (recovered, f"{counted(recovered, 'loss', 'losses')} of stored data"),
        )
        if count
    ]
    words = f"; the run survived {' and '.join(parts)}" if parts else ""
    if resumed:
        times = "once" if resumed == 1 else f"{number(resumed)} times"
        words += f"{' and' if parts else '; the run'} was resumed {times}"
    return words
