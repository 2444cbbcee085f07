"""How is a job ordered? The requests of an order one after the other, without a socket: who sends them sends the answers back."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Generator, Mapping
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from ..messages import Answer, Request
from ..models import Job

SUBMITTED = "submitted"
"""The word for a job of which the service has said nothing but its id."""


def _is_never_pending(_: object) -> bool:
    return False


class Commission(NamedTuple):
    """What the caller wants.

    Attributes:
        video: A URL, or a local file.
        target_language: As the service spells it.
        source_language: The same; None where the service is to find out.
        options: Fields of the service's own.
        key: Made once for each logical order: whoever goes on with it makes no second job. Empty where the service has none.
        base_url: Where the service is.
    """

    video: str | Path
    target_language: str
    source_language: str | None
    options: Mapping[str, Any]
    key: str
    base_url: str


class Step(NamedTuple):
    """One request of an order.

    Attributes:
        call: What the log calls it: `submit`, `upload`, `operation`.
        request: What to send.
        read: Makes of the answer what the order goes on with; raises `Fault`, `Refusal` or `FieldMissing`.
        makes_job: Whether the service may have made a job (or a part of one) when the answer is lost.
        is_repeatable: Whether sending it twice does no more than sending it once.
        is_pending: Whether what `read` made means "ask again".
    """

    call: str
    request: Request
    read: Callable[[Answer], Any]
    makes_job: bool
    is_repeatable: bool
    is_pending: Callable[[Any], bool] = _is_never_pending


Steps = Generator[Step, Any, Job]
"""Yields steps, is sent what their `read` made, and returns the job."""


class Order(Protocol):
    """The way in which a service takes orders."""

    @property
    def key_pattern(self) -> re.Pattern[str] | None:
        """What keys look like; None where the service has no way to tell that an order is repeated."""

    @property
    def max_file_bytes(self) -> int | None:
        """How long a local file may be; None where the service takes none."""

    def check(self, commission: Commission) -> None:
        """Refuse what cannot be ordered like this; nothing was sent.

        Raises:
            ValueError: It cannot.
        """

    def steps(self, commission: Commission) -> Steps:
        """Order a job."""

    def new_key(self) -> str:
        """Make the key of a new order; empty where there are none."""


def refuse_taken(options: Mapping[str, Any], taken: Collection[str]) -> None:
    """Refuse options that would say once more what the other arguments say.

    Raises:
        ValueError: There is one.
    """
    for name in options:
        if name in taken:
            raise ValueError(f"options must not hold {name!r}, which the other arguments of submit decide")
