"""Does an answer to an order hold what was promised, and was the order taken?"""

from __future__ import annotations

from ..arguments import path_segment
from ..faults import Fault, FieldMissing, json_of, require_usable
from ..messages import Answer
from .places import Place, found, named, word

TOO_EARLY, TOO_MANY_REQUESTS = 425, 429


def promised(answer: Answer, place: Place) -> str:
    """Read a text that a success promises.

    Raises:
        Fault: It is no success, or no JSON.
        Refusal: It says no.
        FieldMissing: The text is not there.
    """
    require_usable(answer)
    payload = json_of(answer)
    value = word(found(payload, place))
    if value is None:
        raise FieldMissing(named(place), answer)
    return value


def usable_id(answer: Answer, place: Place) -> str:
    """Read the id that an answer promises; raises as `promised` does."""
    job_id = promised(answer, place)
    try:
        path_segment(job_id)
    except ValueError as error:
        raise FieldMissing(named(place), answer) from error
    if not job_id.isprintable():  # it is shown, and printed to terminals
        raise FieldMissing(named(place), answer)
    return job_id


def was_refused(fault: Fault) -> bool:
    """Whether a fault proves that what was asked for was not done (RFC 6585, section 4; RFC 8470, section 5.2)."""
    return fault.status_code in (TOO_EARLY, TOO_MANY_REQUESTS)
