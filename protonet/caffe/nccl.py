"""NCCL: pycaffe's name for gradients exchanged between GPUs; one CPU has nothing to do."""

from __future__ import annotations

import secrets

from .processors import warn_of_gpu

__all__ = ["NCCL"]

_UID_BYTES = 128  # as many as NCCL's own


class NCCL:
    """Stands where scripts for several GPUs put it: a callback of a solver, a hook of a net."""

    def __init__(self, solver: object, uid: bytes) -> None:
        warn_of_gpu("NCCL")
        self.uid = uid

    @staticmethod
    def new_uid() -> bytes:
        """Returns bytes that no other group of solvers has."""
        return secrets.token_bytes(_UID_BYTES)

    def bcast(self) -> None:
        """Gives all solvers the first one's parameters: there is only one."""
