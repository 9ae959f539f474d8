"""The list of all proofs, in the order of docs/guarantees.md."""

from .power import POWER
from .proof import Proof

PROOFS: tuple[Proof, ...] = (POWER,)
