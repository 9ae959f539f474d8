"""`python -m queuectl` is `queuectl`."""

from .entry import program

program()
