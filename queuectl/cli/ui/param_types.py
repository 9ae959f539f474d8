"""Types of options: they convert the text to a value, or raise an error that names the option."""

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING

import click

from ...core.settings import setting
from ...errors import NO_WORDS, BadInput, UnknownWord
from ...escape import for_errors
from ...text.numbers import LARGEST_INTEGER, whole_number

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem


def option_name(param: click.Parameter | None) -> str:
    """Return how an error names an option: its longest spelling."""
    return max(param.opts, key=len) if param else "the value"


class Whole(click.ParamType):  # type: ignore[type-arg]
    """A whole number from `lowest` to `highest`, in ASCII digits."""

    name = "number"

    def __init__(self, lowest: int, highest: int = LARGEST_INTEGER) -> None:
        self._lowest, self._highest = lowest, highest

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> int:
        """Raises BadInput."""
        text = str(value)
        number = whole_number(text, self._lowest, self._highest)
        if number is not None:
            return number
        limits = f"from {self._lowest:,} to {self._highest:,}"
        if self._highest == LARGEST_INTEGER:
            limits = f"of at least {self._lowest:,}"
        raise BadInput(
            f"{option_name(param)} must be a whole number {limits}, not {for_errors(text)}"
        )


class Cursor(Whole):
    """The end of a page: the position of a job's first event, `114` or `@114`."""

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> int:
        """Raises BadInput."""
        return super().convert(str(value).removeprefix("@"), param, ctx)


class OfSetting(click.ParamType):  # type: ignore[type-arg]
    """A value of a setting."""

    name = "value"

    def __init__(self, key: str) -> None:
        self._key = key

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> int | float:
        """Return the value in the setting's stored unit. Raises BadInput."""
        return setting(self._key).named(option_name(param)).parse(str(value))


class Seconds(click.ParamType):  # type: ignore[type-arg]
    """A duration of at least a tenth of a second."""

    name = "seconds"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """Return seconds. Raises BadInput."""
        from ...text.durations import duration_us

        seconds = duration_us(str(value)) / 1_000_000
        if seconds < 0.1:
            raise BadInput(
                f"{option_name(param)} must be at least 0.1 s, not {for_errors(str(value))}"
            )
        return seconds


class Word(click.ParamType):  # type: ignore[type-arg]
    """One of the words in `known`.

    what: the kind of word, such as `state`. meant: words of other programs, each with the known
    word of the same meaning.
    """

    name = "word"

    def __init__(
        self, what: str, known: Collection[str], meant: Mapping[str, str] = NO_WORDS
    ) -> None:
        self._what, self._known, self._meant = what, known, meant

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> str:
        """Raises UnknownWord."""
        word = str(value)
        if word not in self._known:
            self._refuse_comma(word, param)
            known = f"the {self._what}s are {', '.join(self._known)}"
            raise UnknownWord(self._what, word, self._known, known, self._meant)
        return word

    def _refuse_comma(self, words: str, param: click.Parameter | None) -> None:
        """Raise BadInput if these are known words, separated by commas."""
        parts = [part.strip() for part in words.split(",")]
        if param and param.multiple and len(parts) > 1 and set(parts) <= set(self._known):
            repeated = " ".join(f"{option_name(param)} {part}" for part in parts)
            raise BadInput(f"{option_name(param)} takes one {self._what}; repeat it: {repeated}")

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> "list[CompletionItem]":
        """Return the known words that begin with `incomplete`."""
        from click.shell_completion import CompletionItem

        return [CompletionItem(word) for word in self._known if word.startswith(incomplete)]
