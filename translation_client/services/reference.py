"""The reference service: the server of the original request, which `fake_server` plays.

`GET /status` (its single job) and `GET /status/<job_id>` answer `{"result": "pending" | "completed" | "error"}`.
"""

from __future__ import annotations

from ..models import TranslationStatus
from .service import Limits, Service

REFERENCE = Service(
    name="reference",
    base_url=None,
    limits=Limits(timeout=30, max_retries=10, request_timeout=10, max_faults=5),
    status_path="/status/{job_id}",
    single_job_path="/status",
    key_header="Authorization",
    key_prefix="Bearer ",
    status_field="result",
    statuses={
        "pending": TranslationStatus.PENDING,
        "completed": TranslationStatus.COMPLETED,
        "error": TranslationStatus.ERROR,
        "cancelled": TranslationStatus.ERROR,
        "canceled": TranslationStatus.ERROR,
        "rejected": TranslationStatus.ERROR,
    },
)
