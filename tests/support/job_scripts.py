"""Scripts of jobs, and of a bulk route that fails in every way; a server that answers by them; and outcomes to compare."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any, NamedTuple

from support.virtual_time import Reply, broken, html_reply, json_reply, mute
from translation_client import Job, TranslationClientError
from translation_client.services.service import Service

FAULTS: dict[str, Callable[[], Reply]] = {
    "500": lambda: json_reply({}, 500),
    "502": lambda: json_reply({}, 502),
    "html": html_reply,
    "no JSON object": lambda: json_reply([]),
    "no status": lambda: json_reply({"other": 1}),
    "broken": broken,
    "mute": mute,
    "425": lambda: json_reply({}, 425),
}
PAUSING: dict[str, Callable[[], Reply]] = {
    "429": lambda: json_reply({}, 429),
    "429 with Retry-After": lambda: json_reply({}, 429, retry_after="1"),
    "503 with Retry-After": lambda: json_reply({}, 503, retry_after="2"),
}
WORDS = ["completed", "completed", "Completed", "done", "success", "error", "cancelled", "rejected"]
"""How jobs end, in words that every service knows."""

PARTIAL = ("half of them", "every third is missing", "every third twice")
"""Bulk responses that say nothing, or nothing that can be believed, of some jobs."""

REFUSALS = (400, 401, 403, 404, 410)

BULK_TROUBLE: dict[str, Callable[[], Reply]] = {
    **FAULTS,
    "504 after a while": lambda: json_reply({}, 504, seconds=1.5),
    "429 of a day": lambda: json_reply({}, 429, retry_after="86400"),
    "429 of three seconds": lambda: json_reply({}, 429, retry_after="3"),
    "503 of a minute": lambda: json_reply({}, 503, retry_after="60"),
    "nobody": lambda: json_reply({"results": [], "data": []}),
    "a stranger": lambda: json_reply(
        {"results": [{"id": "x", "result": "completed"}], "data": [{"video_id": "x", "status": "failed"}]}
    ),
    "another shape": lambda: json_reply({"result": "pending"}),
    **{str(code): lambda code=code: json_reply({}, code) for code in (400, 401, 404, 405, 501)},  # type: ignore[misc]  # one argument
}


class Step(NamedTuple):
    """What is answered about a job from a moment on: a status word, or a reply."""

    since: float
    word: str | None
    reply: Callable[[], Reply] | None = None
    retry_after: str | None = None


Script = list[Step]


def drawn_script(chance: random.Random, last_change: float, most_trouble: float) -> Script:
    """A job that is pending for a while, may be in trouble for a while, and then goes on or does not.

    Args:
        chance: Draws.
        last_change: When it has changed for the last time, in seconds.
        most_trouble: The seconds of a passing trouble at the most.
    """
    draw = chance.random()
    end = chance.uniform(0, last_change)
    word = chance.choice(WORDS)
    if draw < 0.30:
        return [Step(0, "pending"), Step(end, word)]
    if draw < 0.40:
        return [Step(0, word)]
    if draw < 0.65:
        trouble = chance.choice(list(FAULTS.values()))
        return _with_trouble(chance, trouble, [Step(0, "pending"), Step(end, word)], last_change, most_trouble)
    if draw < 0.66:
        trouble = chance.choice(list(PAUSING.values()))
        return _with_trouble(chance, trouble, [Step(0, "pending"), Step(end, word)], last_change, most_trouble)
    since = chance.choice([0.0, end])
    if draw < 0.72:
        return [Step(0, "pending"), Step(since, None, chance.choice(list(FAULTS.values())))]
    if draw < 0.82:
        code = chance.choice(REFUSALS)
        return [Step(0, "pending"), Step(since, None, lambda: json_reply({}, code))]
    if draw < 0.87:
        return [Step(0, "dreaming"), *([Step(end, word)] if chance.random() < 0.5 else [])]
    if draw < 0.90:
        return [Step(0, "pending", retry_after=chance.choice(["5", "86400"])), Step(end, word)]
    return [Step(0, "pending")]


def _with_trouble(
    chance: random.Random, trouble: Callable[[], Reply], steps: Script, last_change: float, most_trouble: float
) -> Script:
    since = chance.uniform(0, last_change)
    until = since + chance.uniform(0, most_trouble)
    after = [step for step in steps if step.since <= until][-1]
    return [
        *(step for step in steps if step.since < since),
        Step(since, None, trouble),
        after._replace(since=until),
        *(step for step in steps if step.since > until),
    ]


BulkScript = list[tuple[float, str]]
"""What becomes of bulk requests from some moments on: `fine`, one of `PARTIAL`, or one of `BULK_TROUBLE`."""


class ScriptedServer:
    """FunctionAdapter about each job by its script, and about many by the script of the bulk route. Counts requests."""

    def __init__(
        self,
        service: Service,
        scripts: dict[str, Script],
        bulk: BulkScript,
        clock: Callable[[], float],
        retry_after: str | None = None,
        bulk_seconds: float = 0.06,
    ) -> None:
        """Take the scripts, and a clock, which returns the seconds since they began.

        Args:
            service: The service.
            scripts: That of each job.
            bulk: That of the bulk route.
            clock: Returns seconds.
            retry_after: The header of each response with a status, about one job or many, unless a script has a longer
                one.
            bulk_seconds: How long a usable response to a bulk request takes.
        """
        self._bulk_seconds = bulk_seconds
        self._headers: dict[str, Any] = {} if retry_after is None else {"retry_after": retry_after}
        self.single = self.in_bulk = self.failed_in_bulk = 0
        self._clock = clock
        self._is_heygen = service.name == "heygen"
        self._scripts = scripts
        self._bulk = bulk

    def respond(self, path: str) -> Reply:
        """Answer a request for a path."""
        last = path.rsplit("/", 1)[1]
        if "ids=" not in last:
            self.single += 1
            return self._single(self._now(last))
        self.in_bulk += 1
        trouble = next(kind for since, kind in reversed(self._bulk) if since <= self._clock())
        if trouble in BULK_TROUBLE:
            self.failed_in_bulk += 1
            return BULK_TROUBLE[trouble]()
        ids = last.partition("ids=")[2].split(",")
        entries = [self._entry(job_id) for job_id in ids]
        if trouble == "half of them":
            entries = entries[::2]
        elif trouble == "every third is missing":
            entries[::3] = [self._entry(job_id, "not_found") for job_id in ids[::3]]
        elif trouble == "every third twice":
            entries += [self._entry(job_id, self._other_word(job_id)) for job_id in ids[::3]]
        return json_reply({"results": entries, "data": entries}, seconds=self._bulk_seconds, **self._headers)

    def _now(self, job_id: str) -> Step:
        return [step for step in self._scripts[job_id] if step.since <= self._clock()][-1]

    def _single(self, step: Step) -> Reply:
        if step.reply is not None:
            return step.reply()
        more = self._headers
        if step.retry_after is not None:
            more = {"retry_after": max(step.retry_after, more.get("retry_after", "0"), key=int)}
        if not self._is_heygen:
            return json_reply({"result": step.word}, **more)
        word = "failed" if step.word == "error" else step.word
        return json_reply({"data": {"status": word, "video_url": "http://v.test/1"}}, **more)

    def _other_word(self, job_id: str) -> str:
        return "completed" if self._now(job_id).word in ("pending", "dreaming", *WORDS[5:]) else "error"

    def _entry(self, job_id: str, word: str | None = None) -> Any:
        """What the bulk route says of a job; where a single answer has no status, an entry that cannot be read."""
        step = self._now(job_id)
        name, key = ("status", "video_id") if self._is_heygen else ("result", "id")
        word = word or step.word
        word = "failed" if word == "error" and self._is_heygen else word
        if step.reply is not None:
            is_missing = step.reply().outcome
            return (
                {key: job_id, name: "not_found"} if getattr(is_missing, "status_code", None) == 404 else {key: job_id}
            )
        return {key: job_id, name: word}


def drawn_bulk(chance: random.Random, seconds: float) -> BulkScript:
    """Good times and bad times of the bulk route, which are a tenth of so many seconds at the most."""
    kinds = ["fine"] * len(BULK_TROUBLE) + list(PARTIAL) * 3 + list(BULK_TROUBLE)
    at, script = 0.0, [(0.0, chance.choice(["fine", *BULK_TROUBLE]))]
    while at < seconds:
        at += seconds * chance.choice([0.001, 0.01, 0.03, 0.1])
        script.append((at, chance.choice(kinds)))
    return script


def outcome_of(result: Job | TranslationClientError) -> tuple[str, object]:
    """Its status; or its class, and what the server refused it by."""
    if isinstance(result, Job):
        return "job", str(result.status)
    return type(result).__name__, getattr(result, "status_code", None)
