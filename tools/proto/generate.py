"""Writes protonet/ir/protonet_pb2.py and .pyi from proto/protonet.proto.

    python tools/proto/generate.py            write the generated files
    python tools/proto/generate.py --check    exit 1 if they are not what would be written

Needs grpcio-tools, which carries the protobuf compiler.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PROTO = Path("proto/protonet.proto")
GENERATED = (Path("protonet/ir/protonet_pb2.py"), Path("protonet/ir/protonet_pb2.pyi"))

VERSION_CHECK = re.compile(
    r"^_runtime_version\.ValidateProtobufRuntimeVersion\(.*?^\)\n", re.DOTALL | re.MULTILINE
)
VERSION_LINES = re.compile(
    r"^(# NO CHECKED-IN PROTOBUF GENCODE"
    r"|# Protobuf Python Version: .*"
    r"|from google\.protobuf import runtime_version as _runtime_version)\n",
    re.MULTILINE,
)


def main() -> int:
    """Write the generated files, or compare them; the exit code says whether all is well."""
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--check", action="store_true", help="compare, write nothing")
    check = arguments.parse_args().check
    stale = [
        path for path, text in generated().items() if not is_current(path, text, write=not check)
    ]
    for path in stale:
        print(f"{path} differs from what {PROTO} gives; run `make proto`", file=sys.stderr)
    return 1 if stale else 0


def is_current(path: Path, text: str, *, write: bool) -> bool:
    """Whether the file holds `text`; with `write`, after making it so."""
    target = ROOT / path
    if target.exists() and target.read_text(encoding="utf-8") == text:
        return True
    if write:
        target.write_text(text, encoding="utf-8")
    return write


def generated() -> dict[Path, str]:
    """Return what the generated files should hold, by path below the repository."""
    with tempfile.TemporaryDirectory() as folder:
        compile_proto(Path(folder))
        return {
            path: normalised(path, (Path(folder) / path).read_text(encoding="utf-8"))
            for path in GENERATED
        }


def compile_proto(folder: Path) -> None:
    """Run the protobuf compiler; its output goes below `folder`."""
    # The virtual path makes protonet.ir.protonet_pb2 the module's name, which pickle relies on.
    virtual = GENERATED[0].parent
    command = [sys.executable, "-m", "grpc_tools.protoc", f"-I{virtual}={ROOT / PROTO.parent}"]
    command += [f"--python_out={folder}", f"--pyi_out={folder}", str(virtual / PROTO.name)]
    finished = subprocess.run(command, capture_output=True, text=True)
    if finished.returncode != 0:
        sys.exit(finished.stderr or finished.stdout)


def normalised(path: Path, text: str) -> str:
    """Take out what differs between compiler versions only.

    The compiler pins its output to runtimes no older than itself, although the code it writes
    for a proto2 file has not changed since protobuf 4.25. Without the pin protonet installs next
    to packages that hold protobuf back, and any recent compiler writes the same text.
    """
    if path.suffix == ".pyi":
        return text
    return VERSION_LINES.sub("", VERSION_CHECK.sub("", text))


if __name__ == "__main__":
    sys.exit(main())
