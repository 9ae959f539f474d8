"""Runs `queuectl` as `python -m queuectl`."""

from .entry import program

program()
