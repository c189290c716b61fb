"""What the benches share: a Python that has the other engines, and engines in processes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
REQUIREMENTS = Path(__file__).with_name("requirements.txt")


class Worker:
    """An engine in a process of its own that answers each line it is sent with a line.

    The source is a program's text, or the file it is in; `first` is the line it begins with.
    """

    def __init__(self, python: str, source: str | Path, *arguments: object) -> None:
        program = [str(source)] if isinstance(source, Path) else ["-c", source]
        self.process = subprocess.Popen(
            [python, *program, *map(str, arguments)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.first = self._read()

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
    """Returns a Python that has torch: the one given, or that of the benches' environment."""
    if given:
        return given
    python = peers_python()
    return python if python and has(python, "torch") else None


def peers_python() -> str | None:
    """Returns the Python of .venv-bench, which has what requirements.txt names, made if need be.

    A package that cannot be installed is told and left out. None if no environment can be made.
    """
    folder = ROOT / ".venv-bench"
    python, installed = folder / "bin" / "python", folder / "installed"
    wanted = REQUIREMENTS.read_text()
    if installed.exists() and installed.read_text() == wanted:
        return str(python)
    packages = [line for line in wanted.splitlines() if line and not line.startswith("#")]
    print(f"making {folder.name} with {', '.join(packages)} …", file=sys.stderr)
    try:
        subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
    except (OSError, subprocess.CalledProcessError) as error:
        print(f"nothing to compare with: {error}", file=sys.stderr)
        return None
    for package in packages:
        command = [str(python), "-m", "pip", "install", "-q", package]
        if subprocess.run(command, check=False).returncode:
            print(f"{package} cannot be installed", file=sys.stderr)
    installed.write_text(wanted)
    return str(python)


def has(python: str, module: str) -> bool:
    """Says whether a Python has a module."""
    command = [python, "-c", f"import {module}"]
    return not subprocess.run(command, capture_output=True, check=False).returncode
