"""What can be wrong with data.

Codes: E450 it is not there, E451 it is broken or of another kind, E452 it is empty, E453 a
record is bad, E454 sizes do not agree, E455 it cannot be written, E201 a setting is wrong.
"""

from __future__ import annotations

import os

from protonet.prototxt.diagnostics import Diagnostic, Error

__all__ = ["DataError", "existing_elsewhere", "refuse_locked"]


class DataError(Error):
    """A data set, a record or a setting for data is wrong.

    `field` is the path of the setting inside the LayerParameter that it is about, where there
    is one. `missing` says that something is not on this machine, which leaves the net itself
    in order.
    """

    def __init__(
        self,
        message: str,
        *,
        code: str = "E451",
        help: str = "",
        field: tuple[str | int, ...] = (),
        missing: bool = False,
    ) -> None:
        super().__init__(Diagnostic(code, message, help=help))
        self.message, self.code, self.help = message, code, help
        self.field, self.missing = field, missing

    def about(self, what: str) -> DataError:
        """Returns this error with what it is about (a file, a record) before its message."""
        return DataError(
            f"{what}: {self.message}",
            code=self.code,
            help=self.help,
            field=self.field,
            missing=self.missing,
        )


def existing_elsewhere(path: str) -> str:
    """Returns a help line for a relative path that exists from a folder further up, or ""."""
    folder = os.getcwd()
    while not os.path.isabs(path) and os.path.dirname(folder) != folder:
        folder = os.path.dirname(folder)
        if os.path.exists(os.path.join(folder, path)):
            return f"paths are relative to the working directory: run this in {folder}"
    return ""


def refuse_locked(path: str) -> None:
    """Raises DataError if `path` is a folder into which this user must not look."""
    if os.path.isdir(path) and not os.access(path, os.R_OK | os.X_OK):
        raise DataError(f"the folder {path}: permission denied")
