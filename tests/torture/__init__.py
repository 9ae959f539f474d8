"""The proofs of docs/guarantees.md: in small amounts in the tests, in large by `make torture`."""
