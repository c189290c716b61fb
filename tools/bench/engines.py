"""What the benches share: a Python that has PyTorch, and engines in processes of their own."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TORCH = "torch==2.13.0"
NEEDS = (TORCH, "numpy", "lmdb")


class Worker:
    """An engine in a process of its own that answers each line it is sent with a line."""

    def __init__(self, python: str, source: str, *arguments: object) -> None:
        self.process = subprocess.Popen(
            [python, "-c", source, *map(str, arguments)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._read()

    def _read(self) -> str:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            raise SystemExit(f"a worker ended with code {self.process.wait()}")
        return line

    def ask(self, line: str = "") -> str:
        """Sends a line and returns the answer; SystemExit if the engine has ended."""
        assert self.process.stdin is not None
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        return self._read()

    def close(self) -> None:
        self.process.kill()
        self.process.wait()


def torch_python(given: str | None) -> str | None:
    """Returns a Python that has torch, making .venv-bench for it if need be and can be."""
    if given:
        return given
    python = made_python(".venv-bench", NEEDS)
    return python if python and has(python, "torch") else None


def made_python(name: str, packages: Sequence[str]) -> str | None:
    """Returns the Python of an environment with these packages, made if it is not there; one that
    cannot be installed is told and left out. None if no environment can be made."""
    folder = ROOT / name
    python = folder / "bin" / "python"
    if not (folder / "installed").exists():
        print(f"making {name} with {', '.join(packages)} …", file=sys.stderr)
        try:
            subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
        except (OSError, subprocess.CalledProcessError) as error:
            print(f"nothing to compare with: {error}", file=sys.stderr)
            return None
        for package in packages:
            command = [str(python), "-m", "pip", "install", "-q", package]
            if subprocess.run(command, check=False).returncode:
                print(f"{package} cannot be installed", file=sys.stderr)
        (folder / "installed").touch()
    return str(python)


def has(python: str, module: str) -> bool:
    """Says whether a Python has a module."""
    command = [python, "-c", f"import {module}"]
    return not subprocess.run(command, capture_output=True, check=False).returncode
