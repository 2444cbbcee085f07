"""Which services can the server be? Each is one module beside this one."""

from __future__ import annotations

from collections.abc import Mapping

from . import azure, elevenlabs, heygen, reference
from .dialect import Dialect

DIALECTS: Mapping[str, Dialect] = {
    "reference": reference.DIALECT,
    "heygen": heygen.DIALECT,
    "elevenlabs": elevenlabs.DIALECT,
    "azure": azure.DIALECT,
}
