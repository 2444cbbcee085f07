"""A translation service to develop and test against. Needs the extra: `pip install 'translation-client[server]'`.

`Server(scenario)` stands on a real socket, `InProcessAdapter(create_app(scenario))` on a requests session without one,
`create_app(scenario)` is the WSGI app alone; each takes the `service` whose dialect is spoken. Importing the package needs no Flask.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .faults import Fault
from .jobs import Submission
from .lab import Arrival, Lab
from .notation import parse_fault
from .scenario import Life, Scenario

__all__ = [
    "Arrival",
    "Fault",
    "InProcessAdapter",
    "Lab",
    "Life",
    "Scenario",
    "Server",
    "Submission",
    "create_app",
    "parse_fault",
]

if TYPE_CHECKING:  # a module with a `__getattr__` would have every name that somebody misspells
    from .adapter import InProcessAdapter
    from .app import create_app
    from .server import Server
else:
    _NEED_FLASK = {"InProcessAdapter": "adapter", "Server": "server", "create_app": "app"}

    def __getattr__(name: str) -> object:
        """Import what needs Flask when it is asked for: the command line explains the extra to whoever lacks it."""
        if name in _NEED_FLASK:
            from importlib import import_module

            return getattr(import_module(f".{_NEED_FLASK[name]}", __name__), name)
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
