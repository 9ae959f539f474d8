"""The proofs behind docs/guarantees.md: a little in the tests, much by `make torture`."""
