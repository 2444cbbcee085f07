"""Is what the caller wants to order usable? Refused here, it has cost nothing."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from . import arguments
from .origins import is_http_url
from .redaction import Secrets
from .services.ordering import Commission, Order
from .services.service import Service

_URL = re.compile(r"\s*[A-Za-z][A-Za-z0-9+.-]*:/+")


def commission(
    service: Service,
    base_url: str,
    *,
    video: str | os.PathLike[str],
    target_language: str,
    source_language: str | None,
    options: Mapping[str, Any] | None,
    idempotency_key: str | None,
) -> tuple[Order, Commission]:
    """Check an order, and make its key where the caller gives none.

    Raises:
        ValueError: Something of it cannot be used.
        TypeError: Something of it is of the wrong type.
    """
    order = service.order
    if order is None:
        raise ValueError(f"the service {service.name!r} has no way to order a job")
    wanted = Commission(
        video=_video(service, order, video),
        target_language=arguments.language("target_language", target_language),
        source_language=None if source_language is None else arguments.language("source_language", source_language),
        options=_options(options),
        key=_key(service, order, idempotency_key),
        base_url=base_url,
    )
    order.check(wanted)
    return order, wanted


def _video(service: Service, order: Order, video: str | os.PathLike[str]) -> str | Path:
    if isinstance(video, str) and _URL.match(video):
        if not is_http_url(video):
            raise ValueError(f"video must be an http(s) URL with a host, or a file; got {_shown(video)!r}")
        return video
    if not isinstance(video, (str, os.PathLike)) or not os.fspath(video):
        raise TypeError(f"video must be a URL or the path of a file, got {video!r}")
    path = Path(video)
    if not path.is_file():
        raise ValueError(f"video must be a URL or the path of a file; there is no file {_shown(str(path))!r}")
    _check_size(service, order, path)
    return path


def _shown(video: str) -> str:
    """What of it may be shown: a link that was mistyped may be signed all the same."""
    return re.sub(r"(//|:/*)[^/]*@", r"\1…@", re.split(r"[?#]", video)[0])


def _check_size(service: Service, order: Order, path: Path) -> None:
    size, most = path.stat().st_size, order.max_file_bytes
    if most is None:
        raise ValueError(
            f"video must be a URL for the service {service.name!r}, which takes no files: put {str(path)!r} where it "
            "can fetch it, and give that address"
        )
    if not 0 < size <= most:
        raise ValueError(
            f"video must have from 1 to {most} bytes for the service {service.name!r}, and {str(path)!r} has {size}; "
            "a longer one may go by its URL"
        )


def _options(options: Mapping[str, Any] | None) -> Mapping[str, Any]:
    if options is None:
        return {}
    if not isinstance(options, Mapping) or not all(isinstance(name, str) for name in options):
        raise TypeError("options must be a mapping with the names of fields as its keys")
    try:
        json.dumps(dict(options), allow_nan=False)
    except (TypeError, ValueError) as error:
        raise ValueError(f"options must be what JSON can say: {error}") from error
    return dict(options)


def _key(service: Service, order: Order, key: str | None) -> str:
    if key is None:
        return order.new_key()
    if order.key_pattern is None:
        raise ValueError(
            f"idempotency_key cannot be used: the service {service.name!r} does not tell a repeated order from a new one"
        )
    if not isinstance(key, str) or not order.key_pattern.fullmatch(key):
        raise ValueError(f"idempotency_key must match {order.key_pattern.pattern}, got {key!r}")
    return key


def check_language(service: Service, language: str, known: tuple[str, ...], secrets: Secrets) -> None:
    """Refuse a language that the service does not list.

    Raises:
        ValueError: `language` is not in the list. The message suggests similar ones, if no secret is part of them.
    """
    if language in known:
        return
    from difflib import get_close_matches  # needed in this case alone

    printable = [name for name in known if not secrets.holds(name)]  # with a part cut out, a name is of no use
    close = get_close_matches(language, printable, n=5, cutoff=0.4)
    hint = f"did you mean {' or '.join(map(repr, close))}? " if close else ""
    example = f"for instance {printable[0]!r}. " if printable and not close else ""
    raise ValueError(
        f"target_language must be one of the {len(known)} that the service {service.name!r} lists, got {language!r}; "
        f"{hint}{example}client.languages() has them all"
    )
