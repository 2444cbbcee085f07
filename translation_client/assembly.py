"""How do a client's arguments become its parts?"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from . import arguments
from .addresses import Address, address
from .credentials import ApiKey, Credentials
from .lines import Line, Wiring
from .logs import usable_logger
from .policy import WaitPolicy
from .services import service_named
from .services.service import Service
from .strategies import StopStrategy, WaitStrategy
from .tools import Tools

if TYPE_CHECKING:  # needed where a schedule learns alone
    from .learning import Learning

L = TypeVar("L", bound=Line)

DISTRIBUTION = "translation-client"

_VARIABLE = re.compile(r"\{([A-Z_]+)\}")
_PART_OF_A_HOST = re.compile(r"[A-Za-z0-9-]+")


class Settings(NamedTuple):
    """The arguments of a client, as they were given: see `VideoTranslationClient.__init__`."""

    base_url: str | None
    max_retries: float | None
    backoff_factor: float
    timeout: float | None
    max_delay: float
    jitter: float
    request_timeout: float | None
    max_faults: float | None
    wait: WaitStrategy | None
    stop: StopStrategy | None
    sleep: Callable[[float], Any] | None
    service: str | Service
    api_key: ApiKey | None
    session: Any
    headers: Mapping[str, str] | None
    logger: object
    history: object
    check_cost: float | None
    target_lag: float | None
    max_lag: float | None
    spread_checks: bool

    def __repr__(self) -> str:
        return "Settings(…)"  # a key is among them


def tools_of(given: Settings, line_of: Callable[[Wiring], L]) -> tuple[Tools, L, Wiring]:
    """Check the arguments and put the parts of a client together; nothing is sent.

    Raises:
        ValueError: An argument cannot be used.
        TypeError: An argument is of the wrong type.
    """
    service = given.service if isinstance(given.service, Service) else service_named(given.service)
    policy = _policy(service, given)
    for name in ("wait", "stop", "sleep"):
        arguments.strategy(name, getattr(given, name))
    address = _address(service, given.base_url)
    credentials = Credentials(service, address, given.api_key, given.headers, given.session)
    wiring = Wiring(
        base_url=address.url,
        user_agent=user_agent(),
        headers=credentials.fixed,
        credentials=credentials.changing,
        request_timeout=policy.request_timeout,
        session=given.session,
        sleep=given.sleep,
    )
    line = line_of(wiring)
    tools = Tools(
        service=service,
        line=line,
        policy=policy,
        secrets=credentials.secrets,
        logger=usable_logger(given.logger),
        schedule=given.wait,
        stop=given.stop,
        learning=_learning(service, given),
    )
    return tools, line, wiring


def _learning(service: Service, given: Settings) -> Learning | None:
    is_spread = arguments.flag("spread_checks", given.spread_checks)
    if given.history is None or given.history is False:
        for name in ("check_cost", "target_lag", "max_lag"):
            if getattr(given, name) is not None:
                raise ValueError(f"{name} needs history=, such as True, got {getattr(given, name)!r} without it")
        return None
    from .history import history_from  # needed where a schedule learns alone: SQLite, and all the arithmetic
    from .learning import Learning
    from .planner import Planner, terms_from

    if given.wait is not None:
        raise ValueError("wait and history would both say when to ask: give one of them")
    terms = terms_from(given.check_cost, given.target_lag, given.max_lag)
    return Learning(Planner(history_from(given.history), service.name, terms), is_spread=is_spread)


def user_agent() -> str:
    """Who we say we are."""
    from importlib import metadata  # takes longer to import than all our modules

    return f"{DISTRIBUTION}/{metadata.version(DISTRIBUTION)}"


def _policy(service: Service, given: Settings) -> WaitPolicy:
    limits = service.limits
    return WaitPolicy(
        timeout=limits.timeout if given.timeout is None else given.timeout,
        max_retries=limits.max_retries if given.max_retries is None else given.max_retries,
        request_timeout=limits.request_timeout if given.request_timeout is None else given.request_timeout,
        max_faults=limits.max_faults if given.max_faults is None else given.max_faults,
        backoff_factor=given.backoff_factor,
        max_delay=given.max_delay,
        jitter=given.jitter,
    )


def _address(service: Service, base_url: str | None) -> Address:
    if base_url is not None:
        return address(base_url)
    if service.base_url is None:
        raise ValueError(f"base_url must be given: the service {service.name!r} has no address of its own, got None")
    return address(_VARIABLE.sub(lambda match: _variable(match[1], service), service.base_url))


def _variable(name: str, service: Service) -> str:
    value = os.environ.get(name, "")
    if not _PART_OF_A_HOST.fullmatch(value):
        said = f"which is {value!r}" if value else "which is not set"
        raise ValueError(
            f"base_url must be given, or be completed by the environment variable {name}, {said}: "
            f"the address of the service {service.name!r} is {service.base_url}"
        )
    return value
