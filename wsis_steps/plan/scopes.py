"""Which variable a name means: Python's rules of scope, so that local variables can be numbered instead of named."""

import ast
import functools
from collections.abc import Iterable
from itertools import count

FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)


class Scope:
    """A module, a class body, a function (also a lambda) or a comprehension, in the scope around it.

    `variables` are bound by what may be renamed freely: assignments, loops, `with`, `except`, `match`, `:=`. The
    `fixed` keep their names, which may be told elsewhere: parameters, nested functions, classes and imports, and what
    is declared global.
    """

    def __init__(self, outer: "Scope | None", kind: str) -> None:
        self.outer, self.kind = outer, kind
        self.variables: set[str] = set()
        self.fixed: set[str] = set()
        self.elsewhere: set[str] = set()  # declared nonlocal
        self.numbers: dict[str, str] = {}

    def read(self, statements: Iterable[ast.AST]) -> "Scope":
        """Takes up what the statements bind here, not what functions, classes and comprehensions bind within."""
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
            elif kind in COMPREHENSIONS:  # its `:=` bind here, its targets do not
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
        """The number, as '<3>', of the local variable that `name` means here; None where it is to keep its name."""
        if "__" in name:  # Python changes such names inside a class
            return None
        scope = self
        while scope.outer is not None:
            if scope.kind == "class":
                # its attributes are seen in the class body itself only, and they keep their names
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
    """Where expressions and statements lie in a node of a class, none in a text or a number."""
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
