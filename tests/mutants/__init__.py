"""Faults planted in a copy of the program, each of which the tests must catch."""
