"""The list of all proofs, in the order of docs/guarantees.md."""

from .fuzz import FUZZ
from .proof import Proof

PROOFS: tuple[Proof, ...] = (FUZZ,)
