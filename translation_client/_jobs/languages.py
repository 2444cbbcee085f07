"""The target languages of a service: its list, fetched once, and whether a language is in it."""

from __future__ import annotations

from .._clock import Stopwatch
from .._transports.base import CancelEvent
from . import error_messages
from .context import ClientContext
from .requestor import Requestor


class LanguageList:
    """The list of target languages of a client's service. May be shared by threads."""

    def __init__(self, context: ClientContext) -> None:
        """Fetch nothing yet."""
        self._context = context
        self._languages: tuple[str, ...] | None = None
        self._secrets = context.secrets

    async def fetch(
        self,
        timeout: float,
        cancel: CancelEvent | None = None,
        *,
        parent: Stopwatch | None = None,
        refresh: bool = False,
    ) -> tuple[str, ...] | None:
        """Fetch the list of target languages, once; None where the service publishes none.

        Args:
            timeout: Seconds for it.
            cancel: Set to end it.
            parent: The stopwatch of the call that needs the list; None if there is none.
            new_connection: Whether to fetch it again.
        """
        published = self._context.service.languages
        if published is None:
            return None
        if self._languages is None or refresh:
            error_text = error_messages.languages_text()
            requestor = Requestor(
                self._context, error_text, timeout=timeout, cancel=cancel, stopwatch=Stopwatch(parent)
            )
            listed = await requestor.send_with_retries("languages", published.request(), published.read)
            self._languages, self._secrets = listed, requestor.state.secrets
        return self._languages

    async def require(self, language: str, timeout: float, cancel: CancelEvent | None, parent: Stopwatch) -> None:
        """Refuse a language that the service does not list, as a part of a submission that has `timeout` seconds.

        Raises:
            ValueError: It is not in the list, nor in a fresh one where the list had been kept.
        """
        timeout = min(timeout, self._context.policy.timeout)
        was_kept = self._languages is not None
        known = await self.fetch(timeout, cancel, parent=parent)
        if known is not None and language not in known and was_kept:
            known = await self.fetch(timeout, cancel, parent=parent, refresh=True)
        if known is not None:
            from .submit import require_listed_language  # a program that only waits does not need it

            require_listed_language(self._context.service, language, known, self._secrets)
