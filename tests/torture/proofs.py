"""The list of all proofs, in the order of docs/guarantees.md."""

from .crowd import CROWD
from .flips import FLIPS
from .fuzz import FUZZ
from .kills import KILLS, RECLAIMS
from .machines import MACHINES
from .on_server import CRASH, FAILOVER, SETTLE
from .partitions import PARTITIONS
from .power import POWER
from .proof import Proof
from .simulation import SIMULATION
from .syscalls import SYSCALLS

PROOFS: tuple[Proof, ...] = (
    POWER,
    SYSCALLS,
    SIMULATION,
    MACHINES,
    KILLS,
    RECLAIMS,
    FLIPS,
    FUZZ,
    CRASH,
    SETTLE,
    FAILOVER,
    PARTITIONS,
    CROWD,
)
