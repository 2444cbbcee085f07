"""The services that the server can imitate, one module each."""

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
