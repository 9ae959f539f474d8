"""The outputs of attempts: written by a worker, read back, and copied."""
