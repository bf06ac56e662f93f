"""Tokens to a syntax tree: operators by their precedence, macros expanded where they stand.

A text that is no expression gives every error that was found, in the words of cel-go's parser; after the first error
the tree is not used. Nesting is limited before Python's own stack is. Source: the grammar of the language definition,
https://github.com/google/cel-spec/blob/master/doc/langdef.md#syntax
"""

from __future__ import annotations

from typing import Any, NoReturn

from podkeeper.api.cel import lexer, macros
from podkeeper.api.cel.ast import (
    Call,
    Constant,
    Entry,
    FieldInit,
    Ident,
    ListOf,
    Literal,
    MapOf,
    Node,
    Select,
    Struct,
    deeper_than,
)
from podkeeper.api.cel.lexer import Token
from podkeeper.api.cel.source import DEPTH_LIMIT, NESTING_LIMIT, SIZE_LIMIT, SYNTAX_ERROR_LIMIT, CelError, Issue
from podkeeper.api.cel.values import MAX_INT, MAX_UINT, UInt

#: Binary operators: how strongly each binds, and the function that it is.
BINARY = {
    "||": (1, "_||_"),
    "&&": (2, "_&&_"),
    "==": (3, "_==_"),
    "!=": (3, "_!=_"),
    "<": (3, "_<_"),
    "<=": (3, "_<=_"),
    ">": (3, "_>_"),
    ">=": (3, "_>=_"),
    "in": (3, "@in"),
    "+": (4, "_+_"),
    "-": (4, "_-_"),
    "*": (5, "_*_"),
    "/": (5, "_/_"),
    "%": (5, "_%_"),
}
_LOGICAL = frozenset({"_||_", "_&&_"})
_LITERALS = "'true', 'false', 'null', NUM_FLOAT, NUM_INT, NUM_UINT, STRING, BYTES, IDENTIFIER"
_EXPRESSION = f"{{'[', '{{', '(', '.', '-', '!', {_LITERALS}}}"
_ENTRY = f"{{'[', '{{', '}}', '(', '.', ',', '-', '!', '?', {_LITERALS}}}"
_OPERATORS = "'==', '!=', 'in', '<', '<=', '>=', '>', '&&', '||', '[', '.', '-', '?', '+', '*', '/', '%'}"
_END = f"{{<EOF>, {_OPERATORS}"


def parse(text: str, expand: bool = True) -> Node:
    """The tree of an expression; with ``expand`` false macros stay the calls that they look like. Raises CelError."""
    if len(text) > SIZE_LIMIT:
        message = f"expression code point size exceeds limit: size: {len(text)}, limit {SIZE_LIMIT}"
        raise CelError("", [Issue(0, message)])
    found, issues = lexer.tokens(text)
    parser = _Parser(found, issues[:SYNTAX_ERROR_LIMIT], expand)
    node = parser.whole()
    if not parser.issues and deeper_than(node, DEPTH_LIMIT):
        parser.issues.append(Issue(0, _too_deep(DEPTH_LIMIT)))
    if parser.issues:
        raise CelError(text, parser.issues)
    return node


def _too_deep(limit: int) -> str:
    return f"expression recursion limit exceeded: {limit}"


class _Stop(Exception):
    """Nothing more can be understood."""


class _Parser:
    def __init__(self, found: list[Token], issues: list[Issue], expand: bool) -> None:
        self.tokens = found
        self.at = 0
        self.issues = issues
        self.depth = 0
        self.ids = 0
        self.expand = expand

    # --- the whole text

    def whole(self) -> Node:
        try:
            node = self.expression()
            if self.token.kind != "end":
                self.fail("extraneous input", "<EOF>" if self._starts_expression() else _END)
        except _Stop:
            node = Literal(None)
        return node

    @property
    def token(self) -> Token:
        return self.tokens[self.at]

    def is_sign(self, *signs: str) -> bool:
        return self.token.kind == "sign" and self.token.text in signs

    def advance(self) -> Token:
        token = self.token
        self.at += 1
        return token

    def take(self, sign: str) -> bool:
        """Whether that sign stood here; it is passed over."""
        if self.is_sign(sign):
            self.at += 1
            return True
        return False

    def expect(self, sign: str, expected: str) -> None:
        if not self.take(sign):
            self.fail("mismatched input", expected)

    def fail(self, what: str, expected: str) -> NoReturn:
        text = lexer.shown(self.token.text)
        self.issues.append(Issue(self.token.at, f"Syntax error: {what} '{text}' expecting {expected}"))
        raise _Stop

    def no_name(self, token: Token) -> NoReturn:
        """What stands behind a dot is no name."""
        if token.kind == "end":
            self.fail("mismatched input", "IDENTIFIER")
        self.report(token.at, f"Syntax error: no viable alternative at input '.{lexer.shown(token.text)}'")
        raise _Stop

    def report(self, at: int, message: str) -> None:
        self.issues.append(Issue(at, message))

    def stamp(self, at: int) -> dict[str, Any]:
        """The identity of the next node."""
        self.ids += 1
        return {"id": self.ids, "at": at}

    def _starts_expression(self) -> bool:
        token = self.token
        if token.kind == "sign":
            return self.is_sign("[", "{", "(", ".", "-", "!")
        return token.kind != "end" and token.text != "in"

    # --- expressions

    def expression(self) -> Node:
        """An expression with all of its operators, the ternary one too."""
        self.depth += 1
        if self.depth > NESTING_LIMIT:
            self.report(self.token.at, _too_deep(NESTING_LIMIT))
            raise _Stop
        node = self.binary(1)
        if self.is_sign("?"):
            at = self.advance().at
            stamp = self.stamp(at)
            chosen = self.binary(1)
            self.expect(":", f"{{':', {_OPERATORS}")
            node = Call("_?_:_", (node, chosen, self.expression()), **stamp)
        self.depth -= 1
        return node

    def binary(self, weakest: int) -> Node:
        """Operators that bind at least that strongly; those of equal strength from the left."""
        left = self.unary()
        while self.token.text in BINARY and self.token.kind in ("sign", "word"):
            strength, function = BINARY[self.token.text]
            if strength < weakest:
                break
            if function in _LOGICAL:
                left = self.logical(left, strength, function)
            else:
                stamp = self.stamp(self.advance().at)
                left = Call(function, (left, self.binary(strength + 1)), **stamp)
        return left

    def logical(self, first: Node, strength: int, function: str) -> Node:
        """A chain of one logical operator as a balanced tree: a long one is not a deep one."""
        terms, stamps = [first], []
        while BINARY.get(self.token.text) == (strength, function):
            stamps.append(self.stamp(self.advance().at))
            terms.append(self.binary(strength + 1))
        return self.balanced(function, terms, stamps)

    def balanced(self, function: str, terms: list[Node], stamps: list[dict[str, Any]]) -> Node:
        if len(terms) == 1:
            return terms[0]
        middle = (len(stamps)) // 2
        left = self.balanced(function, terms[: middle + 1], stamps[:middle])
        right = self.balanced(function, terms[middle + 1 :], stamps[middle + 1 :])
        return Call(function, (left, right), **stamps[middle])

    def unary(self) -> Node:
        """Signs in front: an even number of them is none."""
        if not self.is_sign("-", "!"):
            return self.member()
        sign, at, count = self.token.text, self.token.at, 0
        while self.take(sign):
            count += 1
        following = self.token
        if sign == "-" and following.kind in ("int", "float"):
            if count % 2:
                return self.member(negative=at)
            return self.member()
        if self.is_sign("-", "!"):
            self.fail("mismatched input", _EXPRESSION)
        stamp = self.stamp(at)
        operand = self.member()
        return Call("-_" if sign == "-" else "!_", (operand,), **stamp) if count % 2 else operand

    # --- members

    def member(self, negative: int | None = None) -> Node:
        """A primary and what is selected, indexed and called behind it."""
        node = self.primary(negative)
        while self.is_sign(".", "["):
            at = self.advance().at
            node = self.selection(node, at) if self.tokens[self.at - 1].text == "." else self.index(node, at)
        return node

    def selection(self, operand: Node, at: int) -> Node:
        optional = self.take("?")
        token = self.token
        if token.kind not in ("name", "quoted"):
            self.no_name(token)
        self.advance()
        name = str(token.value) if token.kind == "quoted" else token.text
        if optional:
            return Call("_?._", (operand, Literal(name, **self.stamp(token.at))), **self.stamp(at))
        if self.is_sign("("):
            opening = self.advance().at
            stamp = self.stamp(opening)
            return self.call(Call(name, self.arguments(), operand, **stamp))
        return Select(operand, name, **self.stamp(at))

    def index(self, operand: Node, at: int) -> Node:
        function = "_[?_]" if self.take("?") else "_[_]"
        stamp = self.stamp(at)
        key = self.expression()
        self.expect("]", f"{{']', {_OPERATORS}")
        return Call(function, (operand, key), **stamp)

    def arguments(self) -> tuple[Node, ...]:
        """What stands in the brackets of a call."""
        found: list[Node] = []
        if self.take(")"):
            return ()
        while True:
            found.append(self.expression())
            if self.take(")"):
                return tuple(found)
            self.expect(",", f"{{')', ',', {_OPERATORS}")

    def call(self, call: Call) -> Node:
        """A call, or what the macro of its name makes of it."""
        if not self.expand:
            return call
        try:
            return macros.expand(call, self.stamp) or call
        except macros.MacroError as error:
            self.report(error.at, str(error))
            return call

    # --- primaries

    def primary(self, negative: int | None) -> Node:
        token = self.token
        match token.kind:
            case "int" | "uint" | "float":
                return self.number(self.advance(), negative)
            case "string" | "bytes":
                self.advance()
                return Literal(token.value, **self.stamp(token.at))
            case "word" if token.text != "in":
                self.advance()
                value: Constant = None if token.text == "null" else token.text == "true"
                return Literal(value, **self.stamp(token.at))
            case "name":
                return self.name(self.advance(), "")
            case "sign":
                return self.bracketed(token)
        self.fail("mismatched input", _EXPRESSION)

    def bracketed(self, token: Token) -> Node:
        if self.take("("):
            node = self.expression()
            self.expect(")", f"{{')', {_OPERATORS}")
            return node
        if self.take("["):
            return self.list_of(token.at)
        if self.take("{"):
            return self.map_of(token.at)
        if self.take("."):
            if self.token.kind != "name":
                self.fail("mismatched input", "IDENTIFIER")
            return self.name(self.advance(), ".")
        self.fail("mismatched input" if self.token.text != "*" else "extraneous input", _EXPRESSION)

    def name(self, token: Token, prefix: str) -> Node:
        """A variable, a call of a function, or the construction of a message; ``prefix`` is a leading dot."""
        if self.is_sign("("):
            opening = self.advance().at
            stamp = self.stamp(opening)
            return self.call(Call(prefix + token.text, self.arguments(), **stamp))
        full = self._message_name(token.text)
        if full:
            return self.struct(prefix + full)
        if token.text in lexer.RESERVED:
            self.report(token.at, f"reserved identifier: {token.text}")
        return Ident(prefix + token.text, **self.stamp(token.at - len(prefix)))

    def _message_name(self, first: str) -> str:
        """``a.b.C`` when names and dots lead up to an opening brace; nothing is passed over otherwise."""
        parts, at = [first], self.at
        while self.tokens[at].text == "." and self.tokens[at + 1].kind == "name":
            parts.append(self.tokens[at + 1].text)
            at += 2
        if self.tokens[at].kind != "sign" or self.tokens[at].text != "{":
            return ""
        self.at = at
        return ".".join(parts)

    def number(self, token: Token, negative: int | None) -> Node:
        sign = "" if negative is None else "-"
        stamp = self.stamp(token.at if negative is None else negative)
        try:
            return Literal(_number(token, sign), **stamp)
        except ValueError:
            self.report(stamp["at"], f"invalid {'double' if token.kind == 'float' else token.kind} literal")
            return Literal(0, **stamp)

    # --- construction

    def list_of(self, at: int) -> Node:
        stamp = self.stamp(at)
        elements: list[Node] = []
        optional: set[int] = set()
        while not self.take("]"):
            if self.take("?"):
                optional.add(len(elements))
            elements.append(self.expression())
            if not self.is_sign("]"):
                self.expect(",", f"{{']', ',', {_OPERATORS}")
        return ListOf(tuple(elements), frozenset(optional), **stamp)

    def map_of(self, at: int) -> Node:
        stamp = self.stamp(at)
        entries: list[Entry] = []
        while not self.take("}"):
            if self.token.kind == "end":
                self.fail("mismatched input", _ENTRY)
            optional = self.take("?")
            key = self.expression()
            self.expect(":", f"{{':', {_OPERATORS}")
            entries.append(Entry(key, self.expression(), optional))
            if not self.is_sign("}"):
                self.expect(",", f"{{'}}', ',', {_OPERATORS}")
        return MapOf(tuple(entries), **stamp)

    def struct(self, name: str) -> Node:
        stamp = self.stamp(self.token.at)
        self.expect("{", "'{'")
        fields: list[FieldInit] = []
        while not self.take("}"):
            optional = self.take("?")
            token = self.token
            if token.kind not in ("name", "quoted"):
                self.fail("mismatched input", "{'}', ',', '?', IDENTIFIER}")
            self.advance()
            at = self.token.at
            self.expect(":", "':'")
            field_name = str(token.value) if token.kind == "quoted" else token.text
            fields.append(FieldInit(field_name, self.expression(), optional, at))
            if not self.is_sign("}"):
                self.expect(",", f"{{'}}', ',', {_OPERATORS}")
        return Struct(name, tuple(fields), **stamp)


def _number(token: Token, sign: str) -> int | float | UInt:
    """The value of a number with its sign. Raises ValueError for one that no int64, uint64 or double holds."""
    text = token.text
    if token.kind == "float":
        number = float(sign + text)
        if number in (float("inf"), float("-inf")):
            raise ValueError(text)
        return number
    digits = text.rstrip("uU")
    amount = int(digits, 16 if digits.startswith("0x") else 10) if len(digits) < 40 else MAX_UINT + 1
    if token.kind == "uint":
        if amount > MAX_UINT:
            raise ValueError(text)
        return UInt(amount)
    if amount > MAX_INT + (1 if sign else 0):
        raise ValueError(text)
    return -amount if sign else amount
