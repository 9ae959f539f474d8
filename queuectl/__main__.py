"""`python -m queuectl` is `queuectl`."""

from .cli.main import program

program()
