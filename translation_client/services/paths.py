"""Is a path of a service's data one that can be asked?"""

from __future__ import annotations

from collections.abc import Sequence
from string import Formatter
from typing import Any


def check_path(name: str, path: Any, *, needs: Sequence[str] = (), knows: Sequence[str] = ()) -> None:
    """Refuse what is no path, or has other gaps than those that will be filled.

    Args:
        name: Of the argument.
        path: It.
        needs: The gaps that it must have, such as `job_id` for `{job_id}`.
        knows: The gaps that it may have.

    Raises:
        ValueError: It is none.
    """
    try:
        gaps = {gap for _, gap, _, _ in Formatter().parse(path) if gap is not None}
    except (TypeError, ValueError):
        gaps = {"?"}
    if not isinstance(path, str) or not path.startswith("/") or not set(needs) <= gaps <= {*needs, *knows}:
        wanted = "".join(f" and hold {{{gap}}}" for gap in needs)
        raise ValueError(f"{name} must begin with a slash{wanted} and no other gap, got {path!r}")
