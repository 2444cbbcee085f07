"""When do well-known SDKs ask? Their rules, and simple ones, as check times in seconds from the start of the job.

A rule is endless here, and the calls take no time: no peer limits its attempts or its time, although google-api-core
gives up after 900 s, runwayml after 600 s, the HeyGen CLI after 20 minutes, and botocore and Smithy after a number of
attempts or a time that is the caller's. Nor does a server send hints: azure-core would follow a `Retry-After`, openai
its own header. The facts are of azure-core 1.41.0, google-api-core 2.44.0, botocore 1.44.5, openai 3.54.0, replicate
1.0.7, runwayml 5.24.0, assemblyai 1.8.2, heygen-cli 7699a8e, gax's published defaults and the Smithy specification.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterator, Mapping
from itertools import accumulate, count, repeat

__all__ = ["PEERS", "SIMPLE", "Rule"]

Rule = Callable[[random.Random], Iterator[float]]
"""The check times of one wait, endless and increasing; the generator is where jitter comes from."""

_SMITHY_MIN_SECONDS = 2.0
_SMITHY_MAX_SECONDS = 120.0
_SMITHY_CEILING = math.log2(_SMITHY_MAX_SECONDS / _SMITHY_MIN_SECONDS) + 1


def _asking_at_once(gaps: Rule) -> Rule:
    """The first check is made at t = 0, where no job is done; the first gap follows it."""
    return lambda chance: accumulate(gaps(chance), initial=0.0)


def _sleeping_first(gaps: Rule) -> Rule:
    """The first check is made after the first gap."""
    return lambda chance: accumulate(gaps(chance))


def _fixed(seconds: float) -> Rule:
    return lambda _: repeat(seconds)


def _growing(first: float, factor: float, longest: float = math.inf) -> Rule:
    return lambda _: _grown(first, factor, longest)


def _grown(first: float, factor: float, longest: float) -> Iterator[float]:
    """Geometric gaps up to a cap."""
    gap = first
    while True:
        yield min(gap, longest)
        gap = min(gap * factor, longest)


def _moved(gaps: Rule, least: float, most: float) -> Rule:
    """Each gap times a number drawn evenly between two; from 0 to 1 is what is called full jitter."""
    return lambda chance: (gap * chance.uniform(least, most) for gap in gaps(chance))


def _runway_gaps(chance: random.Random) -> Iterator[float]:
    """Six seconds, one and a half more or less."""
    return (6 + chance.uniform(-1.5, 1.5) for _ in count())


def _smithy_gaps(chance: random.Random) -> Iterator[float]:
    """Drawn between the least delay and an exponential one. A wait without an end never clamps them to what is left."""
    for attempt in count(1):
        is_past_ceiling = attempt > _SMITHY_CEILING
        most = _SMITHY_MAX_SECONDS if is_past_ceiling else _SMITHY_MIN_SECONDS * 2 ** (attempt - 1)
        yield chance.uniform(_SMITHY_MIN_SECONDS, most)


PEERS: Mapping[str, Rule] = {
    "azure-core": _asking_at_once(_fixed(30)),
    "google-api-core": _asking_at_once(_moved(_growing(1, 1.5, 20), 0, 1)),
    "google-api-core async": _asking_at_once(_moved(_growing(1, 2, 60), 0, 1)),
    "google gax": _sleeping_first(_growing(5, 1.5, 45)),
    "botocore 30 s": _asking_at_once(_fixed(30)),
    "botocore 15 s": _asking_at_once(_fixed(15)),
    "botocore Transcribe 10 s": _asking_at_once(_fixed(10)),
    "openai videos": _asking_at_once(_fixed(1)),
    "replicate": _sleeping_first(_fixed(0.5)),  # without the request that creates the job and is held for up to 60 s
    "runwayml": _sleeping_first(_runway_gaps),
    "assemblyai": _asking_at_once(_fixed(3)),
    "HeyGen CLI": _asking_at_once(_moved(_growing(2, 2, 30), 0.75, 1.25)),  # its jitter comes after its cap
    "Smithy spec": _asking_at_once(_smithy_gaps),
}
"""The SDKs by name."""

SIMPLE: Mapping[str, Rule] = {
    **{f"fixed {seconds} s": _sleeping_first(_fixed(seconds)) for seconds in (1, 3, 5, 10, 30)},
    "2, 4, 8 ... uncapped": _sleeping_first(_growing(2, 2)),
    **{f"1 s x1.5 cap {longest}": _sleeping_first(_growing(1, 1.5, longest)) for longest in (10, 20, 30)},
    "2, 4, 8 ... cap 60": _asking_at_once(_growing(2, 2, 60)),  # this library's default
}
"""Fixed intervals and exponential backoffs by name."""
