"""The entry point of `python -m fake_server`."""

import sys

from .cli import main

sys.exit(main())
