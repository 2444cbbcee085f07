"""The entry point of `python -m translation_client`."""

from __future__ import annotations

import sys

from ._cli.main import main

sys.exit(main())
