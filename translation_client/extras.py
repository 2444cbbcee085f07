"""Is what an extra brings not here? Then say which extra it is."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def needing_aiohttp(what: str) -> Iterator[None]:
    """Import in this block what needs aiohttp.

    Raises:
        ImportError: It is not here.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        if error.name != "aiohttp":
            raise
        text = (
            f"aiohttp is not installed, which this needs: {what}. Install it by pip install 'translation-client[async]'"
        )
        raise ImportError(text, name="aiohttp") from error
