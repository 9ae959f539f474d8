"""`python -m queuectl` is `queuectl`."""

import sys

from .cli.main import main

sys.exit(main())
