"""A translation service for development and tests. Needs the extra: `pip install 'translation-client[server]'`.

`Server(scenario)` listens on a real socket, `InProcessAdapter(create_app(scenario))` is for a requests session without
a socket, and `create_app(scenario)` is the WSGI app alone. Each takes the name of a `service`. Importing the package
does not need Flask.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .fault_syntax import parse_fault
from .faults import Fault
from .jobs import Submission
from .lab import Arrival, Lab
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

if TYPE_CHECKING:  # for a type checker, a module with a `__getattr__` has every misspelled name
    from .adapter import InProcessAdapter
    from .app import create_app
    from .server import Server
else:
    _NEED_FLASK = {"InProcessAdapter": "adapter", "Server": "server", "create_app": "app"}

    def __getattr__(name: str) -> object:
        """Import names that need Flask on first use, so that the command line can name the missing extra."""
        if name in _NEED_FLASK:
            from importlib import import_module

            return getattr(import_module(f".{_NEED_FLASK[name]}", __name__), name)
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
