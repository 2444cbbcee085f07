"""Garbage collections that are quick beside thousands of collected tests."""

import contextlib
import gc
from collections.abc import Iterator


@contextlib.contextmanager
def only_new_objects_collected() -> Iterator[None]:
    """Leave all objects that exist now out of the garbage collections within the block.

    Not for the whole run of the tests: `gc.get_referrers` does not see the objects left out, and hypothesis asks it.
    """
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()
