"""The normal form of a module: equal for two source texts that compute the same in the same way.

It leaves out comments, layout, docstrings, annotations, log calls, error texts, names of local variables, imports that
only these need, and the order of imports. In case of doubt, code is kept.
"""

import ast
import functools
import re
from collections.abc import Iterable
from itertools import count
from typing import NamedTuple

from wsis_steps.plan import omissions, scopes
from wsis_steps.plan.omissions import Import
from wsis_steps.plan.scopes import Scope

# Code that reads local variables by name: in such a module no name is replaced.
READING_NAMES = {"locals", "vars", "eval", "exec", "dir"}
READING_ATTRIBUTES = {"f_locals", "_getframe", "query", "evaluate"}


class Form(NamedTuple):
    """The parts of a module that can change a result, and what it takes from other modules.

    dropped: imports that the module itself does not need, kept for modules that take the names from it.
    """

    text: str
    imports: tuple[Import, ...]
    dropped: tuple[Import, ...]
    attributes: frozenset[str]


@functools.cache
def normal_form(source: str) -> Form:
    """The normal form of a module's text."""
    tree = ast.parse(source)
    found = _Writer(tree, source, numbered=not re.search(r"\.eval\([^)\s]", source))  # pandas evaluates names in text
    if found.names & READING_NAMES or found.attributes & READING_ATTRIBUTES or found.has_parameters:
        found = _Writer(tree, source, numbered=False)
    return found.form()


@functools.cache
def _fields(kind: type[ast.AST]) -> tuple[str, ...]:
    return tuple(name for name in kind._fields if name not in ("ctx", "type_comment", "type_ignores"))


class _Writer:
    """Writes a tree as words: the class of a node, then its fields; lists in brackets, which occur nowhere else."""

    def __init__(self, tree: ast.Module, source: str, numbered: bool) -> None:
        self.numbers, self.numbered = count(1), numbered
        self.words: list[str | list[Import]] = []
        self.names: set[str] = set()  # all names that are kept, unlike local variables
        self.attributes: set[str] = set()
        self.left_out: list[ast.AST] = []
        self.scope = Scope(None, "module")
        self.has_parameters = False  # type parameters, which have scopes of their own
        self.telling_annotations = any(word in source for word in omissions.TELLING_ANNOTATIONS)
        self.has_log, self.has_type_checking = omissions.has_log(tree), omissions.has_type_checking(tree)
        self._module(tree)

    def form(self) -> Form:
        """The result, without imports that nothing in it needs."""
        left_out = omissions.names_in(self.left_out)
        texts: list[str] = []
        kept: list[Import] = []
        dropped: list[Import] = []
        for word in self.words:
            if isinstance(word, str):
                texts.append(word)
                continue
            for one in word:
                if one.stays(self.names, left_out):
                    kept.append(one)
                    texts.append(one.text)
                else:
                    dropped.append(one)
        return Form("\n".join(texts), tuple(kept), tuple(dropped), frozenset(self.attributes))

    def _module(self, tree: ast.Module) -> None:
        """Writes consecutive imports in alphabetical order, if their order does not matter."""
        run: list[Import] = []
        for statement in tree.body:
            if isinstance(statement, ast.Import | ast.ImportFrom):
                run += omissions.imports_of(statement)
                continue
            before, parts = len(self.words), [statement]
            if self.has_type_checking and omissions.is_type_checking(statement):
                self.left_out += (statement.test, *statement.body)
                parts = statement.orelse
            for part in parts:
                self._node(part)
            if run and len(self.words) > before:
                self.words.insert(before, omissions.in_order(run))
                run = []
        self.words.append(omissions.in_order(run))

    def _node(self, node: ast.AST | None) -> None:
        if node is None:
            self.words.append("~")
            return
        kind = type(node)
        if special := _SPECIAL.get(kind):
            special(self, node)
            return
        self.words.append(kind.__name__)
        for field in _fields(kind):
            self._value(getattr(node, field))

    def _value(self, value: object) -> None:
        if isinstance(value, ast.AST):
            self._node(value)
        elif type(value) is list:
            self._list(value)
        else:
            self.words.append("~" if value is None else str(value))

    def _list(self, nodes: Iterable) -> None:
        self.words.append("[")
        for node in nodes:
            self._value(node)
        self.words.append("]")

    def _write(self, word: str, *values: object) -> None:
        self.words.append(word)
        for value in values:
            self._value(value)

    def _variable(self, name: str | None) -> None:
        """Writes a name that is read or bound: its number, or the name itself."""
        number = self.scope.find(name, self.numbers) if name and self.numbered else None
        if number is None and name:
            self.names.add(name)
        self.words.append(number or name or "~")

    def _inside(self, scope: Scope, body: ast.AST | list[ast.stmt]) -> None:
        self.scope, outer = scope, self.scope
        self._value(body)
        self.scope = outer

    # One method for each node class that needs special treatment.

    def _name(self, node: ast.Name) -> None:
        self.words.append("Name")
        self._variable(node.id)

    def _constant(self, node: ast.Constant) -> None:
        self.words += ("Constant", repr(node.value))

    def _attribute(self, node: ast.Attribute) -> None:
        self.attributes.add(node.attr)
        self._write("Attribute", node.value, node.attr)

    def _import(self, node: ast.Import | ast.ImportFrom) -> None:
        self.words.append(omissions.imports_of(node))

    def _pass(self, node: ast.Pass) -> None:
        pass

    def _expression(self, node: ast.Expr) -> None:
        """Drops docstrings; of a log call, keeps only arguments that may do something."""
        call = node.value
        if isinstance(call, ast.Constant):
            return
        if self.has_log and omissions.is_log_call(call):
            values = [*call.args, *call.keywords]
            acting = [value for value in values if not omissions.is_harmless(value)]
            self.left_out += (call.func, *(value for value in values if value not in acting))
            if acting:
                self._write("Log", acting)
            return
        self._write("Expr", call)

    def _assign(self, node: ast.Assign) -> None:
        if self.has_log and self.scope.outer is None and omissions.makes_log(node):
            self.left_out.append(node.value)
        else:
            self._write("Assign", node.targets, node.value)

    def _annotated(self, node: ast.AnnAssign) -> None:
        in_class = self.scope.kind == "class"
        if in_class and self.telling_annotations:
            self._write("AnnAssign", node.target, node.value, node.simple, node.annotation)
            return
        self.left_out.append(node.annotation)
        if in_class:
            self._write("AnnAssign", node.target, node.value, node.simple)
        elif node.value is not None:
            self._write("Assign", [node.target], node.value)
        elif not isinstance(node.target, ast.Name):
            self._write("AnnAssign", node.target)

    def _raise(self, node: ast.Raise) -> None:
        error, cause = node.exc, node.cause
        if cause is not None and not omissions.acts(cause):
            self.left_out.append(cause)
            cause = None
        if isinstance(error, ast.Call) and omissions.is_error(error.func) and not omissions.acts(error):
            self.left_out += (*error.args, *error.keywords)
            error = error.func
        self._write("Raise", error, cause)

    def _if(self, node: ast.If) -> None:
        """The condition comes last: it goes where it decides about nothing and does nothing."""
        start = len(self.words)
        self._write("If", node.body, node.orelse)
        if len(self.words) - start == 5 and omissions.is_harmless(node.test):  # two pairs of brackets
            del self.words[start:]
            self.left_out.append(node.test)
        else:
            self._node(node.test)

    def _handler(self, node: ast.ExceptHandler) -> None:
        self._write("ExceptHandler", node.type)
        self._variable(node.name)
        self._list(node.body)

    def _match_name(self, node: ast.MatchAs | ast.MatchStar) -> None:
        self._write(type(node).__name__, getattr(node, "pattern", None))
        self._variable(node.name)

    def _match_mapping(self, node: ast.MatchMapping) -> None:
        self._write("MatchMapping", node.keys, node.patterns)
        self._variable(node.rest)

    def _declaration(self, node: ast.Global | ast.Nonlocal) -> None:
        self._write(type(node).__name__, "[")
        for name in node.names:
            self._variable(name)
        self.words.append("]")

    def _parameters(self, node: ast.arguments) -> None:
        """Names and defaults; annotations go."""
        self.words.append("arguments")
        for name in ("posonlyargs", "args", "kwonlyargs"):
            self._list(argument.arg for argument in getattr(node, name))
            self.left_out += (argument.annotation for argument in getattr(node, name))
        for argument in (node.vararg, node.kwarg):
            self._value(argument and argument.arg)
            self.left_out.append(argument and argument.annotation)
        self._list(node.defaults)
        self._list(node.kw_defaults)

    def _function(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        self._write(type(node).__name__, node.name, node.decorator_list, self._type_parameters(node), node.args)
        self.left_out.append(node.returns)
        self._inside(scopes.of_function(node, self.scope), node.body)

    def _type_parameters(self, node: ast.AST) -> list[ast.AST]:
        found = getattr(node, "type_params", [])  # from Python 3.12 on
        self.has_parameters |= bool(found)
        return found

    def _lambda(self, node: ast.Lambda) -> None:
        self._write("Lambda", node.args)
        self._inside(scopes.of_function(node, self.scope), node.body)

    def _class(self, node: ast.ClassDef) -> None:
        self._write("ClassDef", node.name, node.decorator_list, self._type_parameters(node), node.bases, node.keywords)
        self._inside(Scope(self.scope, "class").read(node.body), node.body)

    def _comprehension(self, node: ast.AST) -> None:
        """The first thing to go through belongs to the scope outside."""
        first, *others = node.generators
        self._write(type(node).__name__, first.iter)
        inside = scopes.of_comprehension(node, self.scope)
        self._inside(inside, [first.target, *first.ifs, str(first.is_async)])
        self._inside(inside, others)
        self._inside(inside, [node.key, node.value] if isinstance(node, ast.DictComp) else [node.elt])


_SPECIAL = {
    ast.Name: _Writer._name,
    ast.Constant: _Writer._constant,
    ast.Attribute: _Writer._attribute,
    ast.Import: _Writer._import,
    ast.ImportFrom: _Writer._import,
    ast.Pass: _Writer._pass,
    ast.Expr: _Writer._expression,
    ast.Assign: _Writer._assign,
    ast.AnnAssign: _Writer._annotated,
    ast.Raise: _Writer._raise,
    ast.If: _Writer._if,
    ast.ExceptHandler: _Writer._handler,
    ast.MatchAs: _Writer._match_name,
    ast.MatchStar: _Writer._match_name,
    ast.MatchMapping: _Writer._match_mapping,
    ast.Global: _Writer._declaration,
    ast.Nonlocal: _Writer._declaration,
    ast.arguments: _Writer._parameters,
    ast.FunctionDef: _Writer._function,
    ast.AsyncFunctionDef: _Writer._function,
    ast.Lambda: _Writer._lambda,
    ast.ClassDef: _Writer._class,
    **dict.fromkeys(scopes.COMPREHENSIONS, _Writer._comprehension),
}
