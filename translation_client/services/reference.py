"""The reference service: the server of the original request, which `fake_server` implements.

`GET /status` (its single job) and `GET /status/<job_id>` return `{"result": "pending" | "completed" | "error"}`.
`POST /jobs` creates a job and returns `201 {"id": …, "result": "pending"}`.
`GET /jobs/<job_id>/result` returns its file.
`GET /status?ids=a,b` returns `{"results": [{"id": "a", "result": …}, …]}`, if a server has it.
"""

from __future__ import annotations

from .service import BulkSpec, Service, ServiceDefaults
from .submission import SubmitSpec

REFERENCE = Service(
    name="reference",
    base_url=None,
    defaults=ServiceDefaults(timeout=30, max_retries=10, request_timeout=10, max_faults=5),
    key_header="Authorization",
    key_prefix="Bearer ",
    key_variable="TRANSLATION_CLIENT_API_KEY",
    single_job_path="/status",
    status_path="/status/{job_id}",
    status_field="result",
    statuses={
        "pending": "pending",
        "completed": "completed",
        "error": "error",
        "cancelled": "error",
        "canceled": "error",
        "rejected": "error",
    },
    result_path="/jobs/{job_id}/result",
    not_yet=frozenset({(425, None)}),
    delete_path="/jobs/{job_id}",
    bulk=BulkSpec(
        "/status?ids={job_ids}",
        max_ids=100,
        list_field="results",
        id_field="id",
        status_field="result",
        statuses={},  # those of the service
        is_optional=True,  # a server written for the original request ignores `ids` and returns its single job
    ),
    submit=SubmitSpec(
        path="/jobs",
        id_field="id",
        video_field="video",
        language_field="target_language",
        source_language_field="source_language",
        # No idempotency key: a server written for the original request has none.
        too_many_jobs=frozenset({"too_many_jobs"}),
    ),
)
