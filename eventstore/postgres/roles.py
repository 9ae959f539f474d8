"""Roles of a queue with the fewest rights: for readers, for clients that enqueue, and for workers.

They cannot log in; users are members of them. See docs/decisions/0022.
"""

from typing import TYPE_CHECKING, NamedTuple

from ..errors import InvalidAddress
from .address import LONGEST_BYTES, Address, literal, quoted

if TYPE_CHECKING:
    from .reader import PostgresReader

APPENDED_ONLY = ("events",)
"""Tables whose rows are added, and never changed."""

NEVER_WRITTEN = ("meta",)
"""Tables that only the owner writes, when the queue is created or upgraded."""

WRITTEN_BY_WORKERS = ("leases", "outputs", "output_chunks")
"""Tables that clients only read."""


class Roles(NamedTuple):
    """The names of the roles of a queue."""

    reader: str
    """Reads everything: `status`, `list`, the dashboard."""
    client: str
    """Reads, enqueues jobs and changes their states, but runs none."""
    worker: str
    """Also runs jobs: it stores their outputs, and holds leases."""


def roles_of(address: Address) -> Roles:
    """Return the roles of a queue. Raises InvalidAddress if their names would be too long."""
    roles = Roles(*(f"{address.schema}_{kind}" for kind in Roles._fields))
    longest = max(roles, key=lambda role: len(role.encode()))
    if len(longest.encode()) > LONGEST_BYTES:
        what = f"the role {longest} would have a name of more than {LONGEST_BYTES} bytes"
        raise InvalidAddress(address.label, what)
    return roles


def role_if_missing(role: str, then: str = "") -> str:
    """Return the statement that creates a role without login, unless it exists.

    then: further statements, if it is created.
    """
    body = (
        f"BEGIN IF NOT EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = {literal(role)})"
        f" THEN CREATE ROLE {quoted(role)} NOLOGIN;{then} END IF; END"
    )
    return f"DO {literal(body)}"


def creation_of(roles: Roles) -> list[str]:
    """Return the statements that create the roles that do not exist yet."""
    return [role_if_missing(role) for role in roles]


def grants_to(roles: Roles, quoted_schema: str) -> list[str]:
    """Return the statements that give the roles their rights. The owner of the tables runs them.

    The tables that a rebuild creates get theirs by default, if the same owner creates them.
    """
    everyone = ", ".join(map(quoted, roles))
    writers = ", ".join(map(quoted, (roles.client, roles.worker)))
    change = "INSERT, UPDATE, DELETE"
    defaults = f"ALTER DEFAULT PRIVILEGES IN SCHEMA {quoted_schema}"
    return [
        f"GRANT USAGE ON SCHEMA {quoted_schema} TO {everyone}",
        f"GRANT SELECT ON ALL TABLES IN SCHEMA {quoted_schema} TO {everyone}",
        f"GRANT {change} ON ALL TABLES IN SCHEMA {quoted_schema} TO {writers}",
        f"REVOKE UPDATE, DELETE ON {', '.join(APPENDED_ONLY)} FROM {writers}",
        f"REVOKE {change} ON {', '.join(NEVER_WRITTEN)} FROM {writers}",
        f"REVOKE {change} ON {', '.join(WRITTEN_BY_WORKERS)} FROM {quoted(roles.client)}",
        f"{defaults} GRANT SELECT ON TABLES TO {everyone}",
        f"{defaults} GRANT {change} ON TABLES TO {writers}",
    ]


# What a grant allows, the members of the role that may write all tables, a group of this queue
# that belongs to its owner, and another owner of the schema, who may drop the tables in it. The
# owner of the database may drop all of it in any case.
EXCESS = """
    SELECT role, string_agg(DISTINCT what, ', ' ORDER BY what) FROM (
        SELECT CASE grantee WHEN 0 THEN 'everyone (PUBLIC)' ELSE pg_get_userbyid(grantee) END
               AS role, grantee, privilege_type AS what, relowner AS owner
          FROM pg_class CROSS JOIN LATERAL aclexplode(relacl)
         WHERE pg_class.oid = CAST('events' AS regclass)
           AND privilege_type IN ('UPDATE', 'DELETE', 'TRUNCATE', 'TRIGGER')
        UNION ALL
        SELECT CASE grantee WHEN 0 THEN 'everyone (PUBLIC)' ELSE pg_get_userbyid(grantee) END,
               grantee, privilege_type, relowner
          FROM pg_class JOIN pg_attribute ON attrelid = pg_class.oid
         CROSS JOIN LATERAL aclexplode(attacl)
         WHERE pg_class.oid = CAST('events' AS regclass) AND privilege_type = 'UPDATE'
        UNION ALL
        SELECT pg_get_userbyid(member), member, 'write all tables', relowner
          FROM pg_auth_members CROSS JOIN pg_class
         WHERE roleid = CAST('pg_write_all_data' AS regrole)
           AND pg_class.oid = CAST('events' AS regclass)
        UNION ALL
        SELECT rolname, pg_roles.oid, 'act as the owner', relowner
          FROM pg_roles CROSS JOIN pg_class
         WHERE pg_class.oid = CAST('events' AS regclass)
           AND rolname = ANY (ARRAY(SELECT concat(current_schema(), '_', kind)
                                      FROM unnest(ARRAY['reader', 'client', 'worker']) AS kind))
           AND pg_has_role(pg_roles.oid, relowner, 'MEMBER')
        UNION ALL
        SELECT pg_get_userbyid(nspowner), nspowner, 'DROP (it owns the schema)', relowner
          FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace
          JOIN pg_database ON datname = current_database()
         WHERE pg_class.oid = CAST('events' AS regclass)
           AND nspowner NOT IN (datdba, CAST('pg_database_owner' AS regrole))
        ) AS excess
     WHERE grantee <> owner
       AND NOT EXISTS (SELECT 1 FROM pg_roles WHERE pg_roles.oid = grantee AND rolsuper)
     GROUP BY role ORDER BY role"""


def excess_rights(tx: "PostgresReader") -> tuple[str, ...]:
    """Return who may do more to the log than append, beyond its owner and superusers.

    In words: `bob may DELETE, UPDATE`.
    """
    return tuple(f"{role} may {rights}" for role, rights in tx.query(EXCESS))
