"""The speed of QueueCTL, compared with its peers in the same run: `make bench`."""
