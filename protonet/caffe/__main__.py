"""`python -m protonet.caffe SCRIPT …`: runs a script whose `import caffe` gives protonet's.

`-m MODULE` and `-c CODE` in place of SCRIPT mean what they mean to Python.
"""

from __future__ import annotations

import os
import runpy
import sys
from collections.abc import Callable, Sequence
from types import ModuleType

from .binding import bind

__all__ = ["main"]

USAGE = """usage: python -m protonet.caffe SCRIPT [ARGUMENT…]
       python -m protonet.caffe -m MODULE [ARGUMENT…]
       python -m protonet.caffe -c CODE [ARGUMENT…]

Runs a script written for pycaffe; `import caffe` in it, in all that it imports and in the Python
processes that it starts gives protonet.caffe."""

ALIAS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "alias")


def main(arguments: Sequence[str]) -> int:
    """Runs what the arguments say as Python's own command line would; returns the exit code."""
    if not arguments or arguments[0] in ("-h", "--help"):
        print(USAGE)
        return 0 if arguments else 2
    bind()
    sys.path.append(ALIAS)
    os.environ["PYTHONPATH"] = os.pathsep.join(
        filter(None, [os.environ.get("PYTHONPATH", ""), ALIAS])
    )
    first, rest = arguments[0], list(arguments[1:])
    if first in ("-m", "-c"):
        if not rest:
            print(f"python -m protonet.caffe: {first} needs an argument", file=sys.stderr)
            return 2
        sys.argv = rest if first == "-m" else [first, *rest[1:]]
        run = _run_module if first == "-m" else _run_code
        return _told(lambda: run(rest[0]))
    if not os.path.exists(first):
        print(f"python -m protonet.caffe: there is no {first}", file=sys.stderr)
        return 2
    sys.argv = [first, *rest]
    sys.path[0] = os.path.dirname(os.path.realpath(first))
    return _told(lambda: runpy.run_path(first, run_name="__main__"))


def _run_module(name: str) -> None:
    runpy.run_module(name, run_name="__main__", alter_sys=True)


def _run_code(code: str) -> None:
    module = sys.modules["__main__"] = ModuleType("__main__")
    exec(compile(code, "<string>", "exec"), module.__dict__)


def _told(run: Callable[[], object]) -> int:
    """Runs a script; shows the traceback of what it raises from the script's own lines on."""
    try:
        run()
    except Exception as error:
        trace = error.__traceback__
        while trace is not None and _is_ours(trace.tb_frame.f_code.co_filename):
            trace = trace.tb_next
        sys.excepthook(type(error), error.with_traceback(trace), trace)
        return 1
    return 0


def _is_ours(file: str) -> bool:
    return file == __file__ or file in ("<frozen runpy>", runpy.__file__)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
