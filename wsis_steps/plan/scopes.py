"""Python's scoping rules: which variable a name refers to, so that local variables can be numbered, not named."""

import ast
import functools
from collections.abc import Iterable
from itertools import count

FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)


class Scope:
    """A module, class body, function (or lambda) or comprehension, inside its enclosing scope.

    `variables` may be renamed freely: they are bound by assignments, loops, `with`, `except`, `match` or `:=`. Names in
    `fixed` are kept, since other code may refer to them: parameters, nested functions, classes, imports, and names
    declared global.
    """

    def __init__(self, outer: "Scope | None", kind: str) -> None:
        self.outer, self.kind = outer, kind
        self.variables: set[str] = set()
        self.fixed: set[str] = set()
        self.elsewhere: set[str] = set()  # declared nonlocal
        self.numbers: dict[str, str] = {}

    def read(self, statements: Iterable[ast.AST]) -> "Scope":
        """Adds the names that the statements bind here, but not those bound in nested functions and the like."""
        waiting = list(statements)
        while waiting:
            node = waiting.pop()
            kind = type(node)
            if kind is ast.Name:
                if type(node.ctx) is not ast.Load:
                    self.variables.add(node.id)
            elif kind in FUNCTIONS:
                self.fixed.add(node.name)
                waiting += (*node.decorator_list, *_defaults(node.args))
            elif kind is ast.ClassDef:
                self.fixed.add(node.name)
                waiting += (*node.decorator_list, *node.bases, *node.keywords)
            elif kind is ast.Lambda:
                waiting += _defaults(node.args)
            elif kind in COMPREHENSIONS:  # `:=` inside binds in this scope, its targets do not
                waiting += _parts_of_comprehension(node)
            elif kind is ast.Import or kind is ast.ImportFrom:
                self.fixed |= {alias.asname or alias.name.partition(".")[0] for alias in node.names}
            elif kind is ast.Global:
                self.fixed |= set(node.names)
            elif kind is ast.Nonlocal:
                self.elsewhere |= set(node.names)
            elif kind is ast.AnnAssign and node.value is None and not node.simple:  # `(x): int` binds nothing
                waiting += [] if isinstance(node.target, ast.Name) else [node.target]
            else:
                if kind in _NAMED and (name := getattr(node, _NAMED[kind])):
                    self.variables.add(name)
                for field in _fields(kind):
                    value = getattr(node, field)
                    if type(value) is list:
                        waiting += value
                    elif value is not None:
                        waiting.append(value)
        return self

    def find(self, name: str, numbers: count) -> str | None:
        """The number, such as '<3>', of the local variable that `name` refers to; None if the name must be kept."""
        if "__" in name:  # Python mangles such names inside a class
            return None
        scope = self
        while scope.outer is not None:
            if scope.kind == "class":
                # names bound in a class body are visible only there, and are kept
                if scope is self and name not in scope.elsewhere and (name in scope.variables or name in scope.fixed):
                    return None
            elif name in scope.fixed:
                return None
            elif name in scope.variables and name not in scope.elsewhere:
                if name not in scope.numbers:
                    scope.numbers[name] = f"<{next(numbers)}>"
                return scope.numbers[name]
            scope = scope.outer
        return None


_NAMED = {ast.ExceptHandler: "name", ast.MatchAs: "name", ast.MatchStar: "name", ast.MatchMapping: "rest"}


@functools.cache
def _fields(kind: type) -> tuple[str, ...]:
    """The fields of a node class that may contain expressions or statements."""
    if kind is ast.Constant:
        return ()
    return tuple(name for name in getattr(kind, "_fields", ()) if name not in ("ctx", "op", "ops", "attr"))


def of_function(node: ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda, outer: Scope) -> Scope:
    """The scope inside a function or a lambda."""
    scope = Scope(outer, "function").read(node.body if isinstance(node.body, list) else [node.body])
    arguments = node.args
    every = (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs, arguments.vararg, arguments.kwarg)
    scope.fixed |= {argument.arg for argument in every if argument}
    return scope


def of_comprehension(node: ast.AST, outer: Scope) -> Scope:
    """The scope inside a comprehension."""
    return Scope(outer, "comprehension").read(part.target for part in node.generators)


def _defaults(arguments: ast.arguments) -> list[ast.AST]:
    return [*arguments.defaults, *filter(None, arguments.kw_defaults)]


def _parts_of_comprehension(node: ast.AST) -> list[ast.AST]:
    parts = [node.key, node.value] if type(node) is ast.DictComp else [node.elt]
    for part in node.generators:
        parts += (part.iter, *part.ifs)
    return parts
