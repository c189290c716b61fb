"""What is wrong with a solver's text, found before anything is built.

Codes: E401 unknown solver type, E402 unknown lr_policy, E403 a setting that the policy or the
rule cannot work with, E404 none or several training nets, E405 numbers of test nets, test_iter
and test_state that do not agree, E406 tests without test_interval, E407 a file that is not
there, E408 a number out of its range, E409 unknown regularization_type.
W401 a setting that is missing or not used, W402 nothing would be learned, W403 a number out of
its usual range.
(E410: ir/upgrade_solver.py; E411 to E449: what happens while a solver runs.)
"""

from __future__ import annotations

import os
from collections.abc import Iterator

from protonet.ir.document import Document
from protonet.ir.protonet_pb2 import SolverParameter
from protonet.prototxt.diagnostics import Diagnostic, Span, nearest
from protonet.prototxt.source import Path, SourceMap

from .nets import test_sources, train_sources
from .policies import POLICIES
from .rules import RULES

__all__ = ["check_solver"]

REGULARIZATIONS = ("L2", "L1")

# What each policy reads besides base_lr; without the first it cannot work at all.
_POLICY_NEEDS = {"step": "stepsize", "poly": "max_iter", "cosine": "max_iter"}
_POLICY_USES = {
    "step": ("gamma",),
    "exp": ("gamma",),
    "inv": ("gamma", "power"),
    "multistep": ("gamma", "stepvalue"),
    "poly": ("power",),
    "sigmoid": ("gamma", "stepsize"),
    "plateau": ("gamma", "plateau_winsize"),
}
_BETWEEN_ZERO_AND_ONE = ("momentum", "momentum2")
_NOT_NEGATIVE = ("base_lr", "delta", "warmup_start_lr", "min_lr")
_POLICY_OF = {
    "stepvalue": "multistep", "plateau_winsize": "plateau", "stagelr": "multifixed",
    "stageiter": "multifixed",
}  # fmt: skip


def check_solver(
    document: Document[SolverParameter], *, looks_for_nets: bool = True
) -> list[Diagnostic]:
    """Returns what is wrong with a solver, or likely wrong; the nets themselves are not read.

    `looks_for_nets`: also report net files that are not there.
    """
    return list(_Checks(document.message, document.source).all(looks_for_nets))


class _Checks:
    def __init__(self, param: SolverParameter, source: SourceMap) -> None:
        self.param, self.source = param, source

    def all(self, looks_for_nets: bool) -> Iterator[Diagnostic]:
        yield from self._rule()
        yield from self._policy()
        yield from self._ranges()
        yield from self._nets()
        yield from self._tests()
        yield from self._files(looks_for_nets)

    def _rule(self) -> Iterator[Diagnostic]:
        param = self.param
        rule = RULES.get(param.type)
        if rule is None:
            near = nearest(param.type, RULES)
            yield self._say(
                "E401", f'unknown solver type "{param.type}"', ("type",),
                help=f'did you mean "{near}"?' if near else f"it is one of {', '.join(RULES)}",
            )  # fmt: skip
        elif param.momentum and not rule.momentum:
            yield self._say(
                "E403", f"{param.type} has no momentum", ("momentum",),
                help="leave momentum out"
                + (", the decay of its mean is rms_decay" if param.type == "RMSProp" else ""),
            )  # fmt: skip
        elif rule.decoupled and param.regularization_type == "L1" and param.weight_decay:
            yield self._say(
                "E403", f"the decay of {param.type} is L2, not L1", ("regularization_type",),
                help="leave regularization_type out, or use Adam",
            )  # fmt: skip
        if param.regularization_type not in REGULARIZATIONS:
            near = nearest(param.regularization_type, REGULARIZATIONS)
            yield self._say(
                "E409", f'unknown regularization_type "{param.regularization_type}"',
                ("regularization_type",),
                help=f'did you mean "{near}"?' if near else "it is L2 or L1",
            )  # fmt: skip

    def _policy(self) -> Iterator[Diagnostic]:
        param = self.param
        policy = param.lr_policy
        if policy not in POLICIES:
            near = nearest(policy, POLICIES)
            yield self._say(
                "E402",
                f'unknown lr_policy "{policy}"' if policy else "the solver has no lr_policy",
                ("lr_policy",),
                help=f'did you mean "{near}"?' if near else f"it is one of {', '.join(POLICIES)}",
            )  # fmt: skip
            return
        if not param.base_lr and policy != "multifixed":
            yield self._say(
                "W402", "base_lr is 0: nothing will be learned", ("base_lr",),
                help="set base_lr, 0.01 say",
            )  # fmt: skip
        needed = _POLICY_NEEDS.get(policy)
        has = needed is not None and self._has(needed)
        only_tests = needed == "max_iter" and has and param.max_iter == 0  # needs no rate
        if needed and getattr(param, needed) <= 0 and not only_tests:
            yield self._say(
                "E403",
                f"{needed} must be above 0 for lr_policy {policy}, not {getattr(param, needed)}"
                if has else f"lr_policy {policy} needs {needed}",
                (needed,) if has else ("lr_policy",),
            )  # fmt: skip
        for name in _POLICY_USES.get(policy, ()):
            if not self._has(name):
                yield self._say(
                    "W401", f"lr_policy {policy} without {name}: {self._meaning(policy, name)}",
                    ("lr_policy",),
                )  # fmt: skip
        yield from self._stepvalues()
        yield from self._warmup()

    def _stepvalues(self) -> Iterator[Diagnostic]:
        param, values = self.param, self.param.stepvalue
        for name, policy in _POLICY_OF.items():
            if self._has(name) and param.lr_policy != policy:
                yield self._say(
                    "W401", f"lr_policy {param.lr_policy} does not use {name}",
                    (name, 0), help=f"{name} belongs to {policy}",
                )  # fmt: skip
        rates, ends = len(param.stagelr), len(param.stageiter)
        if param.lr_policy == "multifixed" and (rates != ends or not rates):
            yield self._say(
                "E403", f"lr_policy multifixed has {rates} stagelr and {ends} stageiter",
                ("lr_policy",), help="write both once for each stage",
            )  # fmt: skip
        for index in range(1, len(values)):
            if values[index] < values[index - 1]:
                yield self._say(
                    "W401",
                    f"stepvalue {values[index]} comes after {values[index - 1]}: it takes effect "
                    "only then",
                    ("stepvalue", index), help="write them in ascending order",
                )  # fmt: skip

    def _warmup(self) -> Iterator[Diagnostic]:
        param = self.param
        if param.warmup_start_lr and param.warmup_iter < 1:
            yield self._say(
                "W401", "warmup_start_lr without warmup_iter: there is no warm-up",
                ("warmup_start_lr",), help="say how many iterations it takes: warmup_iter: 1000",
            )  # fmt: skip
        if param.warmup_iter >= param.max_iter > 0:
            yield self._say(
                "W403",
                f"the warm-up takes all {param.max_iter} iterations: the policy never acts",
                ("warmup_iter",),
            )

    def _meaning(self, policy: str, name: str) -> str:
        if name == "gamma":
            if policy in ("step", "multistep", "plateau"):
                return "it is 0 then, and so is the rate after the first step"
            if policy == "exp":
                return "it is 0 then, and so is the rate after the first iteration"
            return "it is 0 then, and the rate never changes"
        if name == "power":
            return "it is 0 then, and the rate never changes"
        if name in ("stepvalue", "plateau_winsize"):
            return "the rate never changes"
        return "it is 0 then"

    def _ranges(self) -> Iterator[Diagnostic]:
        """Errors where Caffe stops or divides by zero, warnings where it goes on."""
        param = self.param
        for name in ("iter_size", "average_loss"):
            if getattr(param, name) < 1:
                yield self._out_of_range("E408", name, "at least 1")
        if param.warmup_iter < 0:
            yield self._out_of_range("E408", "warmup_iter", "at least 0")
        if "gamma" in _POLICY_USES.get(param.lr_policy, ()) and not param.gamma >= 0:
            yield self._out_of_range("E408", "gamma", "at least 0")
        if param.type == "RMSProp" and not 0 <= param.rms_decay < 1:
            yield self._out_of_range("E408", "rms_decay", "at least 0 and below 1")
        for name in _BETWEEN_ZERO_AND_ONE:
            if not 0 <= getattr(param, name) < 1:
                yield self._out_of_range("W403", name, "at least 0 and below 1")
        for name in _NOT_NEGATIVE:
            if not getattr(param, name) >= 0:
                yield self._out_of_range("W403", name, "at least 0")

    def _out_of_range(self, code: str, name: str, allowed: str) -> Diagnostic:
        word = "must" if code.startswith("E") else "should"
        value = getattr(self.param, name)
        return self._say(code, f"{name} {word} be {allowed}, not {value:g}", (name,))

    def _nets(self) -> Iterator[Diagnostic]:
        sources = train_sources(self.param)
        if not sources:
            yield self._say(
                "E404", "the solver names no net to train", (),
                help='name its file: net: "train_val.prototxt"',
            )  # fmt: skip
        elif len(sources) > 1:
            names = [str(source.path[0]) for source in sources]
            yield self._say(
                "E404", f"the solver names several nets to train: {', '.join(names)}",
                sources[1].path, also=(sources[0].path,), help="keep one of them",
            )  # fmt: skip
        if self._has("net") and self._has("net_param") and len(sources) < 2:
            yield self._say("E404", "both net and net_param are given", ("net",))

    def _tests(self) -> Iterator[Diagnostic]:
        param = self.param
        own = len(param.test_net) + len(param.test_net_param)
        generic = self._has("net") or self._has("net_param")
        count = len(test_sources(param))
        if len(param.test_iter) < own or (len(param.test_iter) > own and not generic):
            yield self._say(
                "E405",
                f"{len(param.test_iter)} test_iter for {own} test nets",
                ("test_iter", len(param.test_iter) - 1) if param.test_iter else ("test_net", 0),
                help="write test_iter once for each test net, in the order of the nets",
            )
        if param.test_state and len(param.test_state) != count:
            yield self._say(
                "E405", f"{len(param.test_state)} test_state for {count} test nets",
                ("test_state", 0), help="write it once for each test net, or not at all",
            )  # fmt: skip
        for index, batches in enumerate(param.test_iter):
            if batches < 0:
                yield self._say(
                    "E408", f"test_iter must be at least 0, not {batches}", ("test_iter", index)
                )
        if count and not self._has("test_interval"):
            yield self._say(
                "E406", "the solver has test nets but no test_interval",
                ("test_iter", 0) if param.test_iter else ("test_net", 0),
                help="say how many iterations lie between two tests: test_interval: 500",
            )  # fmt: skip
        elif count and param.test_interval <= 0:
            yield self._say(
                "E406",
                f"test_interval must be above 0 with test nets, not {param.test_interval}",
                ("test_interval",),
            )

    def _files(self, looks_for_nets: bool) -> Iterator[Diagnostic]:
        named: dict[str, Path] = {}
        for source in [*train_sources(self.param), *test_sources(self.param)]:
            if source.file is not None and looks_for_nets:
                named.setdefault(source.file, source.path)
        for index, text in enumerate(self.param.weights):
            for file in split_list(text):
                named.setdefault(file, ("weights", index))
        for file, path in named.items():
            if not os.path.isfile(file):
                yield self._say("E407", f"there is no file {file}", path, help=self._where(file))

    def _where(self, file: str) -> str:
        """Tells where a missing file might be: names are relative to the working directory."""
        rule = "files are found from the folder that protonet runs in"
        if os.path.isabs(file) or not self.source.text:
            return rule
        folder = os.path.dirname(self.source.file)
        while True:  # beside the solver, or below one of the folders around it
            if os.path.isfile(os.path.join(folder, file)):
                return f"{os.path.join(folder, file)} is there: run from {folder or '.'}; {rule}"
            if not folder or folder == os.path.dirname(folder):
                break
            folder = os.path.dirname(folder)
        beside = os.path.join(os.path.dirname(self.source.file), os.path.basename(file))
        return f"{beside} is there; {rule}" if os.path.isfile(beside) else rule

    def _has(self, name: str) -> bool:
        """Says whether a field is given; a repeated one, at least once."""
        return any(field.name == name for field, _ in self.param.ListFields())

    def _say(
        self, code: str, message: str, path: Path, *, help: str = "", also: tuple[Path, ...] = ()
    ) -> Diagnostic:
        return Diagnostic(code, message, places(self.source, path, *also), help=help)


def places(source: SourceMap, *paths: Path) -> tuple[Span, ...]:
    """Returns where these fields stand; nowhere, if the solver was not read from text."""
    return tuple(source.span(path) for path in paths) if source.text else ()


def split_list(text: str) -> list[str]:
    """Splits a comma-separated list of files."""
    return [part.strip() for part in text.split(",") if part.strip()]
