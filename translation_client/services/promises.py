"""Does an answer hold what was promised?"""

from __future__ import annotations

from ..arguments import path_segment
from ..faults import FieldMissing, json_of, require_usable
from ..messages import Answer
from .places import Place, found, named, word


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
