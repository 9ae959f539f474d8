"""The list of all proofs, in the order of docs/guarantees.md."""

from .proof import Proof

PROOFS: tuple[Proof, ...] = ()
