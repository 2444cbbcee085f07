"""HeyGen Video Translate, v3, with the status words and fields of v2 as aliases.

Sources: developers.heygen.com (reference/create-video-translation, docs/error-codes, docs/usage-limits,
docs/quick-start) and the schemas in heygen-com/heygen-cli (gen/video-translate.go), which are generated from HeyGen's
OpenAPI; for v2 docs.heygen.com/reference/video-translate-status.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from .json_path import ComputedField, get_path
from .service import BulkSpec, LanguagesSpec, Service
from .submission import SubmitSpec, UploadSpec

MAX_ASSET_BYTES = 32 * 1024 * 1024
"""The maximum size of an upload. From HeyGen's skills repository, as the API reference has no limit."""


def _link(payload: Mapping[str, Any]) -> Any:
    """Return `video_url` (v3) or `url` (v2), or the URL of the audio if only audio was requested.

    Unverified: that a response has `translate_audio_only` whenever only audio was requested, as the schema leaves the
    field optional. Without that field, a job whose video URL is late would get the URL of its audio.
    """
    if get_path(payload, "data.translate_audio_only") is True:
        return get_path(payload, "data.audio_url")
    return get_path(payload, ("data.video_url", "data.url"))


HEYGEN = Service(
    name="heygen",
    base_url="https://api.heygen.com",
    key_header="X-Api-Key",
    key_prefix="",
    key_variable="HEYGEN_API_KEY",
    needs_key=True,
    status_path="/v3/video-translations/{job_id}",
    status_field="data.status",
    statuses={
        "pending": "pending",
        "running": "pending",
        "queued": "pending",  # this and the next: from the bulk route, and an older page on v2
        "processing": "pending",
        "completed": "completed",
        "success": "completed",  # v2
        "succeeded": "completed",  # v3 by HeyGen's skills repository, not by its reference
        "failed": "error",
    },
    id_field=("data.id", "data.video_translate_id"),  # the second: v2
    progress_field=None,
    result_field=ComputedField("data.video_url", _link),
    has_late_result=True,
    error_field=("data.failure_message", "data.message"),
    language_field="data.output_language",
    created_field="data.created_at",
    finished_field=None,
    expected_field=None,
    delete_path="/v3/video-translations/{job_id}",
    languages=LanguagesSpec("/v3/video-translations/languages", list_field="data.languages"),
    bulk=BulkSpec(
        "/v3/video-translations/statuses?video_translation_ids={job_ids}",
        max_ids=100,
        list_field="data",
        id_field=("video_id", "id"),
        status_field="status",
        statuses={},  # those of the service
    ),
    submit=SubmitSpec(
        path="/v3/video-translations",
        id_field=("data.video_translation_ids.0", "data.video_translations.0.video_translation_id"),
        body={"video": {"type": "url"}},
        video_field="video.url",
        language_field="output_languages.0",
        source_language_field="input_language",
        upload=UploadSpec(
            path="/v3/assets",
            file_field="file",
            name_field=("data.asset_id", "data.id"),  # unverified: HeyGen's own pages have both names
            body={"video": {"type": "asset_id"}},
            video_field="video.asset_id",
            max_file_bytes=MAX_ASSET_BYTES,
        ),
        key_header="Idempotency-Key",  # without the quotes of the IETF draft, which do not match the pattern
        key_form=re.compile(r"[A-Za-z0-9_\-:.]{1,255}"),
        in_progress="request_in_progress",
        too_many_jobs=frozenset({"rate_limit_exceeded"}),  # docs/usage-limits: the code for too many concurrent videos
    ),
)
