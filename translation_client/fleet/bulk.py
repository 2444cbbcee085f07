"""How are many jobs asked about by one request, where the service can be?"""

from __future__ import annotations

import math
from collections.abc import Sequence

from ..call_log import CallLog
from ..clock import Deadline
from ..faults import Fault, FieldMissing, Refusal
from ..hints import read_retry_after
from ..messages import Answer
from ..models import Job
from ..progress import Progress
from ..purposes import statuses
from ..services.extras import Bulk
from ..services.words import normal
from ..tools import Tools
from ..transport import CallCancelled, CallCut, NotSent
from .members import Member

NOT_THERE = frozenset({500, 501, 505})
"""By these a server fails at this very question, most likely, and may be right about one job."""


class Refused(Exception):
    """This server does not answer about many jobs; nothing is known of any of them."""


async def asked(tools: Tools, bulk: Bulk, members: Sequence[Member]) -> tuple[Answer, dict[str, Job]]:
    """Ask once about several jobs; the answer, and those jobs that it knows.

    Raises:
        Fault: No usable answer came.
        Refused: The server does not know this question.
        CallCancelled: The client was closed.
    """
    ids = [str(member.wait.job_id) for member in members]
    ends_at = max(member.ends_at for member in members)
    progress = Progress(None, statuses(len(ids)), math.inf, tools.secrets)
    progress.attempts = 1
    try:
        answer = await tools.line.send(bulk.request(ids), Deadline(ends_at), lambda: tools.line.is_closed)
        found = bulk.found(answer, ids)
    except CallCancelled:
        raise
    except NotSent as unsent:
        raise unsent.cause from None
    except CallCut:
        raise Fault("timeout", "no answer in time") from None
    except (Refusal, FieldMissing) as refusal:
        raise Refused from refusal
    except Fault as fault:
        if fault.kind == "unreadable" or fault.status_code in NOT_THERE:
            raise Refused from fault
        fault.hint = _hint_of(fault)
        raise
    CallLog(tools.logger, None, progress).answered("statuses", answer)
    missing = normal(bulk.missing_word)
    return answer, {job_id: job for job_id, job in found.items() if normal(job.raw_status) != missing}


def _hint_of(fault: Fault) -> float | None:
    try:
        return None if fault.answer is None else read_retry_after(fault.answer.headers)
    except ValueError:
        return None
