"""The list of target languages of a service, fetched once."""

from __future__ import annotations

from .._auth.redactor import Redactor
from .._clock import Stopwatch
from .._transports.base import CancelEvent
from . import error_messages
from .context import ClientContext
from .requestor import Requestor


class LanguageList:
    """The list of target languages of a client's service. Threads may share it."""

    def __init__(self, context: ClientContext) -> None:
        """Create the list. Nothing is sent yet."""
        self._context = context
        self._fetched: tuple[tuple[str, ...] | None, Redactor] = None, context.redactor  # at once, as threads share it

    async def fetch(
        self,
        timeout: float,
        cancel: CancelEvent | None = None,
        *,
        parent: Stopwatch | None = None,
        resumed_key: str | None = None,
        refresh: bool = False,
    ) -> tuple[str, ...] | None:
        """Return the target languages, fetched once, or None if the service publishes no list.

        Args:
            timeout: Seconds for the request and its retries.
            cancel: Ends the call when it is set; None for no event.
            parent: The stopwatch of the call that needs the list; None if there is none.
            resumed_key: The idempotency key of a submission that is resumed; None if there is none. With a key, errors
                warn that the earlier submission may have made a job.
            refresh: True to fetch the list again.

        Raises:
            TranslationClientError: The list cannot be fetched.
        """
        spec = self._context.service.languages
        if spec is None:
            return None
        languages = self._fetched[0]
        if languages is None or refresh:
            error_text = error_messages.languages_text()
            requestor = Requestor(
                self._context, error_text, timeout=timeout, cancel=cancel, stopwatch=Stopwatch(parent)
            )
            requestor.state.idempotency_key = resumed_key
            requestor.state.may_have_been_accepted = resumed_key is not None
            languages = await requestor.send_with_retries("languages", spec.request(), spec.read)
            self._fetched = languages, requestor.state.redactor
        return languages

    async def fetch_for(
        self, language: str, timeout: float, cancel: CancelEvent | None, parent: Stopwatch, resumed_key: str | None
    ) -> tuple[str, ...] | None:
        """Return what `fetch` does for a submission. If a stored list lacks the language, it is fetched again.

        Args:
            language: The language code.
            timeout: Seconds left for the submission.
            cancel: Ends the call when it is set; None for no event.
            parent: The stopwatch of the submission.
            resumed_key: As for `fetch`.
        """
        timeout = min(timeout, self._context.policy.timeout)
        was_fetched = self._fetched[0] is not None
        known = await self.fetch(timeout, cancel, parent=parent, resumed_key=resumed_key)
        if known is not None and language not in known and was_fetched:
            known = await self.fetch(timeout, cancel, parent=parent, resumed_key=resumed_key, refresh=True)
        return known

    @property
    def redactor(self) -> Redactor:
        """Redacts the secrets that were known when the list was fetched."""
        return self._fetched[1]
