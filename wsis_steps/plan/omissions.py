"""Parts of a module that cannot change a result: log calls, error texts, and imports that only these need."""

import ast
import re
from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

LOG_METHODS = {"debug", "info", "warning", "error", "exception", "critical", "log"}
FOR_ANNOTATIONS = {"typing", "collections.abc"}
# If one of these occurs in a module, its class annotations may have an effect.
TELLING_ANNOTATIONS = ("ClassVar", "InitVar", "KW_ONLY")
# Expressions of these can only yield a value. `in` is missing, since it may consume an iterator.
HARMLESS = (
    *(ast.Constant, ast.Name, ast.Attribute, ast.Subscript, ast.Slice, ast.Tuple, ast.List, ast.keyword),
    *(ast.BinOp, ast.UnaryOp, ast.BoolOp, ast.Compare, ast.IfExp, ast.JoinedStr, ast.FormattedValue),
    *(ast.expr_context, ast.operator, ast.unaryop, ast.boolop),
    *(ast.Eq, ast.NotEq, ast.Lt, ast.LtE, ast.Gt, ast.GtE, ast.Is, ast.IsNot),
)
HARMLESS_CALLS = {"len", "str", "repr", "round", "int", "float", "abs"}
# The first argument, a number, selects the subclass of the error.
ERRORS_BY_NUMBER = {"OSError", "IOError", "EnvironmentError"}


class Import(NamedTuple):
    """A name bound by an import: a module, or `name` in it. `text` is the same for equivalent import statements."""

    bound: str
    module: str
    name: str | None
    text: str

    def stays(self, names: set[str], left_out: set[str]) -> bool:
        """False if only omitted code needs the import. An import that nothing uses stays: it may have side effects."""
        if self.module == "__future__":  # affects annotations only, or is standard in all supported Pythons
            return False
        unnamed = self.bound not in left_out and self.module not in FOR_ANNOTATIONS
        return self.bound in names or self.bound == "*" or unnamed


LOGGING = Import("logging", "logging", None, "import logging")
TYPE_CHECKING = Import("TYPE_CHECKING", "typing", "TYPE_CHECKING", "from typing import TYPE_CHECKING as TYPE_CHECKING")


def imports_of(node: ast.Import | ast.ImportFrom) -> list[Import]:
    """One Import for each name that the statement binds."""
    found = []
    for alias in node.names:
        if isinstance(node, ast.Import):
            bound = alias.asname or alias.name.partition(".")[0]
            text = f"import {alias.name}" + (f" as {bound}" if alias.asname else "")
            found.append(Import(bound, alias.name, None, text))
        else:
            bound, module = alias.asname or alias.name, "." * node.level + (node.module or "")
            found.append(Import(bound, module, alias.name, f"from {module} import {alias.name} as {bound}"))
    return found


def in_order(run: list[Import]) -> list[Import]:
    """Consecutive imports, sorted, unless one of them rebinds a name that another binds."""
    bound: dict[str, tuple[str, str | None]] = {}
    for one in run:
        package = one.name is None and " as " not in one.text
        meaning = (one.bound, None) if package else (one.module, one.name)
        if one.bound == "*" or bound.setdefault(one.bound, meaning) != meaning:
            return run
    return sorted(run, key=lambda one: one.text)


def is_harmless(node: ast.AST) -> bool:
    """Whether an expression can only yield a value."""
    for part in ast.walk(node):
        if isinstance(part, ast.Call):
            if not (isinstance(part.func, ast.Name) and part.func.id in HARMLESS_CALLS):
                return False
        elif not isinstance(part, HARMLESS):
            return False
    return True


def acts(node: ast.AST) -> bool:
    """Whether an expression binds a name, awaits or yields, which affects the function around it."""
    return any(isinstance(part, ast.NamedExpr | ast.Await | ast.Yield | ast.YieldFrom) for part in ast.walk(node))


def is_error(node: ast.expr) -> bool:
    """Whether an exception class takes only its message as arguments."""
    name = node.id if isinstance(node, ast.Name) else node.attr if isinstance(node, ast.Attribute) else ""
    return name.endswith("Error") and name not in ERRORS_BY_NUMBER


def has_log(tree: ast.Module) -> bool:
    """Whether `log` means the module's logger everywhere in the module."""
    made = any(makes_log(node) for node in tree.body)
    return made and LOGGING in _imports_of_module(tree) and _bound_once(tree, "log", "logging")


def makes_log(node: ast.stmt) -> bool:
    """Whether a statement is `log = logging.getLogger("wsis")`, or the same with another logger name."""
    if not (isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name) and node.targets[0].id == "log"):
        return False
    return bool(re.fullmatch(r"log = logging\.getLogger\(('[\w.]+'|__name__|)\)", ast.unparse(node)))


def is_log_call(node: ast.expr) -> bool:
    """Whether an expression is a call of a logging method of `log`."""
    called = node.func if isinstance(node, ast.Call) else None
    named = isinstance(called, ast.Attribute) and isinstance(called.value, ast.Name) and called.value.id == "log"
    return named and called.attr in LOG_METHODS


def has_type_checking(tree: ast.Module) -> bool:
    """Whether `TYPE_CHECKING` is the one from `typing`, which is false at run time."""
    return TYPE_CHECKING in _imports_of_module(tree) and _bound_once(tree, "TYPE_CHECKING")


def is_type_checking(node: ast.stmt) -> bool:
    """Whether a statement is `if TYPE_CHECKING:`."""
    return isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"


def names_in(nodes: Sequence[ast.AST | None]) -> set[str]:
    """All names that some expressions and statements read or bind."""
    simple = {node.id for node in nodes if isinstance(node, ast.Name)}
    rest = (node for node in nodes if node and not isinstance(node, ast.Name))
    return simple | {part.id for node in rest for part in ast.walk(node) if isinstance(part, ast.Name)}


def _imports_of_module(tree: ast.Module) -> list[Import]:
    return [one for node in tree.body if isinstance(node, ast.Import | ast.ImportFrom) for one in imports_of(node)]


def _bound_once(tree: ast.Module, *names: str) -> bool:
    """Whether each of the names is bound exactly once in a module, in any scope."""
    counts: Counter[str | None] = Counter()
    for node in ast.walk(tree):
        if isinstance(node, ast.Name):
            counts[node.id] += not isinstance(node.ctx, ast.Load)
        elif isinstance(node, ast.alias):
            counts[node.asname or node.name.partition(".")[0]] += 1
        elif isinstance(node, ast.arg):
            counts[node.arg] += 1
        elif isinstance(node, ast.MatchMapping):
            counts[node.rest] += 1
        else:
            counts[getattr(node, "name", None)] += 1  # functions, classes, `except ... as`, patterns
    return all(counts[name] == 1 for name in names)
