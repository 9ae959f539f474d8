"""A Hypothesis strategy for any event that the log may contain."""

from typing import Any

from hypothesis import strategies as st
from msgspec import inspect

from eventstore.events.fact import Fact
from eventstore.events.recorded import EVENT_TYPES, Event

_64_BIT = (-(2**63), 2**63 - 1)


def _values(kind: inspect.Type) -> st.SearchStrategy[Any]:
    match kind:
        case inspect.IntType():
            low, high = kind.ge, kind.le
            return st.integers(_64_BIT[0] if low is None else low, high or _64_BIT[1])
        case inspect.FloatType():
            return st.floats(allow_nan=False, allow_infinity=False)
        case inspect.StrType():
            return st.text(st.characters(codec="utf-8"))
        case inspect.BoolType():
            return st.booleans()
        case inspect.NoneType():
            return st.none()
        case inspect.LiteralType():
            return st.sampled_from(kind.values)
        case inspect.UnionType():
            return st.one_of([_values(member) for member in kind.types])
        case inspect.VarTupleType():
            return st.lists(_values(kind.item_type)).map(tuple)
        case inspect.DictType():
            return st.dictionaries(_values(kind.key_type), _values(kind.value_type))
    raise AssertionError(f"no strategy for {kind}")


def _of(kind: type[Fact]) -> st.SearchStrategy[Any]:
    described = inspect.type_info(kind)
    assert isinstance(described, inspect.StructType)
    needed = {field.name: _values(field.type) for field in described.fields if field.required}
    others = {field.name: _values(field.type) for field in described.fields if not field.required}
    return st.fixed_dictionaries(needed, optional=others).map(lambda given: kind(**given))


events: st.SearchStrategy[Event] = st.one_of([_of(kind) for kind in EVENT_TYPES.values()])
"""All types of events, with all values that their fields may have."""
