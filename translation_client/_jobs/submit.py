"""Submissions of jobs. A request is retried only if that cannot create a second job."""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from .. import _config
from .._auth.redactor import Redactor
from .._auth.urls import is_http_url
from .._clock import Stopwatch
from .._exceptions import TranslationClientError
from .._models import ConcurrencyLimitReached, Job, Response, redacted, shown_text
from .._transports.base import CancelEvent
from ..services.service import Service
from ..services.submission import Step, SubmitFlow, SubmitRequest
from . import error_messages
from .context import ClientContext
from .languages import LanguageList
from .requestor import Requestor, RequestSafety

_URL = re.compile(r"\s*[A-Za-z][A-Za-z0-9+.-]+:/+")
"""A scheme has two letters at least here: with one it is a drive, as in `C:/video.mp4`."""


def build_submit_request(
    service: Service,
    base_url: str,
    *,
    video: str | os.PathLike[str],
    target_language: str,
    source_language: str | None,
    options: Mapping[str, Any] | None,
    idempotency_key: str | None,
) -> tuple[SubmitFlow, SubmitRequest]:
    """Check the arguments of a submission, and create an idempotency key if `idempotency_key` is None.

    Raises:
        ValueError: The service has no submissions, or does not accept the value of an argument.
        TypeError: An argument is of the wrong type.
    """
    flow = service.submit
    if flow is None:
        raise ValueError(f"the service {service.name!r} has no way to submit a job")
    request = SubmitRequest(
        video=_check_video(service, flow, video),
        target_language=_config.check_language("target_language", target_language),
        source_language=None if source_language is None else _config.check_language("source_language", source_language),
        options=_check_options(options),
        key=_check_key(service, flow, idempotency_key),
        base_url=base_url,
    )
    flow.check(request)
    return flow, request


def _check_video(service: Service, flow: SubmitFlow, video: str | os.PathLike[str]) -> str | Path:
    if isinstance(video, str) and _URL.match(video):
        if not is_http_url(video):
            raise ValueError(f"video must be an http(s) URL with a host, or a file; got {_redacted_video(video)!r}")
        return video
    if not isinstance(video, (str, os.PathLike)) or not os.fspath(video):
        raise TypeError(f"video must be a URL or the path of a file, got {video!r}")
    path = Path(video)
    if not path.is_file():
        raise ValueError(f"video must be a URL or the path of a file; there is no file {_redacted_video(str(path))!r}")
    _check_size(service, flow, path)
    return path


def _redacted_video(video: str) -> str:
    """Return `video` without query, fragment and user info, as a mistyped link may be a signed one."""
    beginning = re.split(r"[?#]", video)[0]
    if "@" in video[len(beginning) :]:  # a password may have the `?` or `#`
        return "…"
    return re.sub(r"(//|:/*)[^/]*@", r"\1…@", beginning)


def _check_size(service: Service, flow: SubmitFlow, path: Path) -> None:
    size, max_size = path.stat().st_size, flow.max_file_bytes
    if max_size is None:
        raise ValueError(
            f"video must be a URL for the service {service.name!r}, which takes no files: put {str(path)!r} on a "
            "host that it can reach, and pass its URL"
        )
    if not 0 < size <= max_size:
        raise ValueError(
            f"video must have from 1 to {max_size} bytes for the service {service.name!r}, and {str(path)!r} has {size}; "
            "pass a larger one by its URL"
        )


def _check_options(options: Mapping[str, Any] | None) -> Mapping[str, Any]:
    if options is None:
        return {}
    if not isinstance(options, Mapping) or not all(isinstance(name, str) for name in options):
        raise TypeError("options must be a mapping with the names of fields as its keys")
    try:
        json.dumps(dict(options), allow_nan=False)
    except (TypeError, ValueError) as error:
        raise ValueError(f"options must be JSON-serializable: {error}") from error
    return dict(options)


def _check_key(service: Service, flow: SubmitFlow, key: str | None) -> str:
    """Return the caller's idempotency key, or a new one for None. It is empty if the service has none."""
    if key is None:
        return flow.new_key()
    if flow.key_pattern is None:
        raise ValueError(f"idempotency_key cannot be used: the service {service.name!r} has no idempotency keys")
    if not isinstance(key, str) or not flow.key_pattern.fullmatch(key):
        raise ValueError(f"idempotency_key must match {flow.key_pattern.pattern}, got {key!r}")
    return key


def check_listed_language(service: Service, language: str, known: tuple[str, ...], redactor: Redactor) -> None:
    """Check that a language is in the list that the service publishes.

    Args:
        service: The service.
        language: The language code.
        known: The list of the service.
        redactor: Knows the secrets that the message must not contain.

    Raises:
        ValueError: `language` is not in the list. The message suggests similar ones, if no secret is part of them.
    """
    if language in known:
        return
    from difflib import get_close_matches  # imported only for this error

    printable = [name for name in known if not redactor.contains_secret(name)]  # a redacted name would be of no use
    close = get_close_matches(language, printable, n=5, cutoff=0.4)
    suggestion = f"did you mean {' or '.join(map(repr, close))}? " if close else ""
    example = f"for instance {printable[0]!r}. " if printable and not close else ""
    raise ValueError(
        f"target_language must be one of the {len(known)} that the service {service.name!r} lists, got {language!r}; "
        f"{suggestion}{example}client.languages() lists all"
    )


_LIMIT_REACHED = object()
"""What `_read` returns for the response that too many jobs are running, if the submission waits for a free slot."""


class SubmitOptions(NamedTuple):
    """The options of one submission.

    Attributes:
        timeout: Seconds for the whole submission.
        stopwatch: The running stopwatch of the submission.
        is_resumed: True if the caller chose the idempotency key. An earlier submission with it may have created a job.
        wait_for_slot: True to wait while the service runs as many jobs as it allows.
        cancel: Ends the submission when it is set; None for no event.
    """

    timeout: float
    stopwatch: Stopwatch
    is_resumed: bool
    wait_for_slot: bool
    cancel: CancelEvent | None


class Submission:
    """One submission. For one thread, and for one use."""

    def __init__(
        self,
        context: ClientContext,
        flow: SubmitFlow,
        request: SubmitRequest,
        submit_options: SubmitOptions,
        languages: LanguageList,
    ) -> None:
        """Create the submission. Nothing is sent yet."""
        self._context = context
        self._flow = flow
        self._request = request
        self._submit_options = submit_options
        self._languages = languages
        video = request.video
        self._redactor = context.redactor if isinstance(video, Path) else context.redactor.with_link(video)
        self._requestor = Requestor(
            context,
            error_messages.submit_text(),
            timeout=submit_options.timeout,
            cancel=submit_options.cancel,
            redactor=self._redactor,
            stopwatch=submit_options.stopwatch,
        )
        self._requestor.state.idempotency_key = request.key or None
        self._requestor.state.may_have_been_accepted = submit_options.is_resumed

    async def submit(self) -> Job:
        """Submit the job, and return it."""
        await self._check_language()
        key = self._redactor.redact_id(self._request.key)
        self._requestor.log.write("submit_started", idempotency_key=key or None)
        with self._explaining_errors():
            job = await self._run_steps()
        redactor = self._requestor.state.redactor
        job = redacted(
            replace(job, submitted_at=time.time()),
            redactor,
            is_known=self._context.service.is_known_status(job.raw_status),
        )
        self._requestor.log.name_job(shown_text(job, "id"))
        state = self._requestor.state
        self._requestor.log.write(
            "job_submitted",
            attempts=state.attempts,
            expected_seconds=job.expected_seconds,
            elapsed_seconds=state.stopwatch.elapsed,
        )
        return job

    async def _check_language(self) -> None:
        submit_options, language = self._submit_options, self._request.target_language
        resumed_key = self._request.key if submit_options.is_resumed else None
        with self._explaining_errors():
            known = await self._languages.fetch_for(
                language, submit_options.timeout, submit_options.cancel, submit_options.stopwatch, resumed_key
            )
        if known is not None:
            check_listed_language(self._context.service, language, known, self._languages.redactor)

    @contextmanager
    def _explaining_errors(self) -> Iterator[None]:
        """Add to an exception of the caller's code, or to Ctrl-C, that a job may be running, and its idempotency key."""
        requestor, state = self._requestor, self._requestor.state
        try:
            yield
        except KeyboardInterrupt as interrupt:
            if state.may_have_been_accepted:  # the message has the key, so that the user can resume
                interrupt.args = (error_messages.interrupt_message(requestor.error_text, state),)
            raise
        except TranslationClientError:
            raise
        except Exception as error:
            if not state.may_have_been_accepted:
                raise
            raise requestor.log.gave_up(
                "unexpected", error_messages.interrupted_by_caller(requestor.error_text, state, error)
            ) from error

    async def _run_steps(self) -> Job:
        steps = self._flow.steps(self._request)
        step = next(steps)
        while True:
            value = await self._run_step(step)
            try:
                step = steps.send(value)
            except StopIteration as finished:
                job: Job = finished.value
                return job

    async def _run_step(self, step: Step) -> Any:
        return await self._requestor.repeat_while_pending(
            lambda: self._send_step(step), is_pending=lambda value: value is _LIMIT_REACHED or step.is_pending(value)
        )

    async def _send_step(self, step: Step) -> Any:
        safety = RequestSafety(step.creates_job, step.is_idempotent)
        response, value = await self._requestor.send(
            step.request, lambda response: self._read(step, response), safety=safety
        )
        if value is _LIMIT_REACHED:
            state = self._requestor.state
            self._requestor.log.write(
                "waiting_for_slot", attempt=state.attempts, elapsed_seconds=state.stopwatch.elapsed
            )
        else:
            self._requestor.state.count(step.operation)
            self._requestor.state.may_have_been_accepted |= step.creates_job  # a later step may still fail
            self._requestor.log.response_received(step.operation, response)
        return value

    def _read(self, step: Step, response: Response) -> Any:
        try:
            value = step.read(response)
        except ConcurrencyLimitReached:
            if not self._submit_options.wait_for_slot:
                raise
            self._requestor.state.count("no free slot")
            return _LIMIT_REACHED
        return value
