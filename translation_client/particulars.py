"""What does the caller say of a job, for a schedule that learns?"""

from __future__ import annotations

from typing import NamedTuple

from . import arguments


class Particulars(NamedTuple):
    """What the caller says of a job, for a schedule that learns.

    Attributes:
        key: What kind of job it is.
        video_seconds: The length of its video.
        submitted_at: When it was ordered, in seconds of the Unix epoch.
    """

    key: str | None = None
    video_seconds: float | None = None
    submitted_at: float | None = None


NOTHING_SAID = Particulars()


def particulars(key: str | None, video_seconds: float | None, submitted_at: float | None) -> Particulars:
    """Check what the caller says.

    Raises:
        ValueError: Something of it cannot be used.
        TypeError: Something of it is of the wrong type.
    """
    length = None if video_seconds is None else arguments.positive("video_seconds", video_seconds)
    return Particulars(arguments.key(key), length, arguments.moment("submitted_at", submitted_at))
