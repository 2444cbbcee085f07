"""ElevenLabs dubbing, v1.

Sources: elevenlabs.io/docs/api-reference (dubbing) and the official SDK, which is generated from their OpenAPI
(elevenlabs/elevenlabs-python); help.elevenlabs.io article 19571824571921 for the two meanings of 429.
"""

from __future__ import annotations

from .service import Service
from .submission import SubmitSpec

MAX_FILE_BYTES = 2 * 1024**3
"""The maximum size for automatic dubbing: elevenlabs.io/docs/overview/capabilities/dubbing, "up to 2 GB"."""

ELEVENLABS = Service(
    name="elevenlabs",
    base_url="https://api.elevenlabs.io",
    key_header="xi-api-key",
    key_prefix="",
    key_variable="ELEVENLABS_API_KEY",
    needs_key=True,
    status_path="/v1/dubbing/{job_id}",
    status_field="status",
    statuses={
        "queued": "pending",
        "preparing": "pending",
        "dubbing": "pending",
        "dubbed": "completed",
        "failed": "error",
    },
    id_field="dubbing_id",
    progress_field=None,
    result_field=None,
    result_path="/v1/dubbing/{job_id}/audio/{language}",
    not_yet=frozenset({(425, None), (404, "dubbing_not_dubbed")}),
    error_field="error",
    language_field="target_languages.0",
    finished_field=None,
    expected_field=None,
    delete_path="/v1/dubbing/{job_id}",
    submit=SubmitSpec(
        path="/v1/dubbing",
        id_field="dubbing_id",
        video_field="source_url",
        language_field="target_lang",
        source_language_field="source_lang",
        is_form=True,
        file_field="file",
        file_limit=MAX_FILE_BYTES,
        too_many_jobs=frozenset({"too_many_concurrent_requests"}),  # `system_busy` is the other meaning
        expected_field="expected_duration_sec",
    ),
)
