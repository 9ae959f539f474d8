"""Measure the speed of QueueCTL and of similar programs in the same run: `make bench`."""
