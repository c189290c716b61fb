"""`python -m protonet.caffe SCRIPT …`: runs a script whose `import caffe` gives protonet's.

`-m MODULE` and `-c CODE` in place of SCRIPT mean what they mean to Python.
"""

from __future__ import annotations

import os
import runpy
import sys
from collections.abc import Sequence

from .binding import bind

__all__ = ["main"]

USAGE = """usage: python -m protonet.caffe SCRIPT [ARGUMENT…]
       python -m protonet.caffe -m MODULE [ARGUMENT…]
       python -m protonet.caffe -c CODE [ARGUMENT…]

Runs a script written for pycaffe; `import caffe` in it, and in all that it imports, gives
protonet.caffe."""


def main(arguments: Sequence[str]) -> int:
    """Runs what the arguments say as Python's own command line would; returns the exit code."""
    if not arguments or arguments[0] in ("-h", "--help"):
        print(USAGE)
        return 0 if arguments else 2
    bind()
    first, rest = arguments[0], list(arguments[1:])
    if first in ("-m", "-c"):
        if not rest:
            print(f"python -m protonet.caffe: {first} needs an argument", file=sys.stderr)
            return 2
        sys.argv = rest if first == "-m" else [first, *rest[1:]]
        if first == "-m":
            runpy.run_module(rest[0], run_name="__main__", alter_sys=True)
        else:
            exec(compile(rest[0], "<string>", "exec"), {"__name__": "__main__"})
        return 0
    if not os.path.exists(first):
        print(f"python -m protonet.caffe: there is no {first}", file=sys.stderr)
        return 2
    sys.argv = [first, *rest]
    sys.path[0] = os.path.dirname(os.path.abspath(first))
    runpy.run_path(first, run_name="__main__")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
