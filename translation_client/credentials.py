"""What proves to a service who we are, and where does it come from? And what must therefore never be shown?"""

from __future__ import annotations

import os
from base64 import b64encode
from collections.abc import Callable, Mapping
from typing import Any

from .addresses import Address
from .headers import KeyHeaders, header_fields, header_value, usable_key
from .redaction import Secrets
from .services.service import BEARER, Service

ApiKey = str | Callable[[], str]
"""A key, or what gives the one of the moment: a token that expires."""


class Credentials:
    """The headers that only the origin of `base_url` gets.

    Attributes:
        fixed: Those that stay the same, the caller's own among them.
        secrets: What must not be shown.
    """

    def __init__(
        self,
        service: Service,
        address: Address,
        api_key: ApiKey | None,
        headers: Mapping[str, str] | None,
        session: Any,
    ) -> None:
        """Look for the key: the argument, else the environment variable of the service.

        Raises:
            ValueError: It cannot be sent, or there is none and the service needs one.
            TypeError: Something of it is of the wrong type.
        """
        own = header_fields(headers)
        basic = _basic(address)
        key = usable_key(api_key)
        proven = basic or _has_proof(service, own) or _session_has_proof(service, session)
        if key is None and not proven:
            key = _key_of_the_environment(service)
        if key is None and not proven and service.needs_key:
            raise ValueError(
                f"api_key must be given, or the environment variable {service.key_variable} set: the service "
                f"{service.name!r} answers nobody without a key"
            )
        self._service = service
        self._ask = key if callable(key) and not _shares_name(service.key_header, own) else None
        key_headers = service.key_headers(key) if isinstance(key, str) else {}
        if basic and key is not None and service.key_header.lower() == "authorization":
            raise ValueError("api_key and the user information in base_url would share a header: give one of them")
        self.fixed: Mapping[str, str] = {**key_headers, **basic, **own}
        keys = [key, key.removeprefix(BEARER)] if isinstance(key, str) else []
        self.secrets = Secrets([*keys, *_secret_parts(address)], own.values())

    def changing(self) -> KeyHeaders:
        """Ask for the key of the moment, where it is one that changes.

        Raises:
            ValueError: It cannot be sent.
            TypeError: It is no string.
        """
        if self._ask is None:
            return KeyHeaders()
        key = header_value("what api_key() returns", self._ask())
        if not key:
            raise ValueError("what api_key() returns must not be empty")
        forms = dict.fromkeys((key, key.removeprefix(BEARER)))
        for form in forms:
            self.secrets.learn(form)
        return KeyHeaders(self._service.key_headers(key), forms)


def _has_proof(service: Service, headers: Mapping[str, str]) -> bool:
    return _shares_name(service.key_header, headers) or _shares_name("Authorization", headers)


def _session_has_proof(service: Service, session: Any) -> bool:
    auth, headers = getattr(session, "auth", None), getattr(session, "headers", None)
    return auth is not None or (isinstance(headers, Mapping) and _has_proof(service, headers))


def _shares_name(name: str, headers: Mapping[str, str]) -> bool:
    return name.lower() in {other.lower() for other in headers}


def _key_of_the_environment(service: Service) -> str | None:
    variable = service.key_variable
    key = os.environ.get(variable) if variable is not None else None
    return header_value(f"the environment variable {variable}", key) if key else None


def _basic(address: Address) -> dict[str, str]:
    if not address.username and not address.password:
        return {}
    pair = f"{address.username}:{address.password}".encode()
    return {"Authorization": "Basic " + b64encode(pair).decode("ascii")}


def _secret_parts(address: Address) -> list[str]:
    pair = f"{address.username}:{address.password}" if address.username or address.password else ""
    return [address.username, address.password, pair]
