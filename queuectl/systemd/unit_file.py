"""The file of a unit: where it is, writing it in one step, and removing it."""

import os
from typing import Literal

from eventstore.renaming import rename_new

from ..errors import UnitDiffers, UnitIsForeign, UnitNotWritten
from .unit import FIRST_LINE, Scope

SYSTEM_FOLDER = "/etc/systemd/system"


class UnitFile:
    """The unit file of one service. name: None for the usual one."""

    def __init__(self, scope: Scope, name: str | None) -> None:
        self.unit = "queuectl.service" if name is None else f"queuectl-{name}.service"
        self._folder = SYSTEM_FOLDER if scope == "system" else _user_folder()
        self.path = os.path.join(self._folder, self.unit)
        target = "multi-user" if scope == "system" else "default"
        self._enabled = os.path.join(self._folder, f"{target}.target.wants", self.unit)
        self._scope = scope

    def text(self) -> str | None:
        """Return its content; None if it does not exist."""
        try:
            with open(self.path, encoding="utf-8", errors="surrogateescape") as file:
                return file.read()
        except FileNotFoundError:
            return None

    def write(self, text: str, *, replace: bool) -> Literal["written", "unchanged"]:
        """Write the file, completely or not at all.

        Raises UnitDiffers if there is another text and `replace` is false, and UnitNotWritten.
        """
        try:
            if self.text() == text:
                return "unchanged"
            os.makedirs(self._folder, exist_ok=True)
            return self._write(text, replace)
        except OSError as error:
            raise UnitNotWritten(self.path, str(error.strerror), self._scope) from None

    def _write(self, text: str, replace: bool) -> Literal["written"]:
        building = os.path.join(self._folder, f".{self.unit}.{os.urandom(6).hex()}.new")
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        descriptor = os.open(building, flags, 0o644)
        try:
            with open(descriptor, "w", encoding="utf-8") as file:
                file.write(text)
                file.flush()
                os.fsync(descriptor)
            if replace:
                os.rename(building, self.path)
            elif not rename_new(building, self.path):
                raise UnitDiffers(self.path)
        finally:
            if os.path.lexists(building):
                os.unlink(building)
        return "written"

    def remove(self) -> bool:
        """Remove the file, and the link by which it is enabled. Return False if there is none.

        Raises UnitIsForeign for a file that `write` has not written, and UnitNotWritten.
        """
        try:
            if (text := self.text()) is None:
                return False
            if not text.startswith(FIRST_LINE):
                raise UnitIsForeign(self.path)
            os.unlink(self.path)
            if os.path.islink(self._enabled):
                os.unlink(self._enabled)
        except OSError as error:
            raise UnitNotWritten(self.path, str(error.strerror), self._scope) from None
        return True


def _user_folder() -> str:
    """Return the folder of the user's units. A relative XDG_CONFIG_HOME must be ignored."""
    config = os.environ.get("XDG_CONFIG_HOME", "")
    if not os.path.isabs(config):
        config = os.path.expanduser("~/.config")
    return os.path.join(config, "systemd", "user")
