"""Quick garbage collections, although thousands of tests are loaded."""

import contextlib
import gc
from collections.abc import Iterator


@contextlib.contextmanager
def only_new_objects_collected() -> Iterator[None]:
    """Leave all objects that exist now out of the garbage collections within the block.

    Not for the whole run of the tests: `gc.get_referrers` does not see the objects left out, and hypothesis asks it. Blocks
    cannot be nested: the end of the inner one would end both.
    """
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()
