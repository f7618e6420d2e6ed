"""From tokens to the syntax tree of a template.

Follows the grammar of Go's text/template, its errors and their order included: an unknown function or variable, a
``break`` outside a ``range``, a second definition of a template are errors here and not at execution.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import NoReturn

from fleet.templating import literals, nodes
from fleet.templating.errors import LimitError, TemplateError, excerpt
from fleet.templating.lexer import Kind, Token
from fleet.templating.printing import quote
from fleet.templating.tokenstream import TokenStream

MAX_NESTING = 100
"""Parentheses and blocks inside each other; real templates have fewer than ten."""

_OPERANDS = frozenset(
    {
        Kind.BOOL,
        Kind.CHARACTER,
        Kind.COMPLEX,
        Kind.DOT,
        Kind.FIELD,
        Kind.IDENTIFIER,
        Kind.NUMBER,
        Kind.NIL,
        Kind.RAW_STRING,
        Kind.STRING,
        Kind.VARIABLE,
        Kind.OPEN,
    }
)
_NUMBERS: dict[Kind, Callable[[int, str], nodes.Number]] = {
    Kind.NUMBER: literals.number,
    Kind.COMPLEX: literals.complex_number,
    Kind.CHARACTER: literals.character,
}
_NOT_EXECUTABLE = (nodes.Bool, nodes.Dot, nodes.Nil, nodes.Number, nodes.String)


@dataclass(frozen=True, slots=True)
class _Stop:
    """The ``{{end}}`` or ``{{else}}`` that ends a list; ``follow`` is the ``if`` or ``with`` right after else."""

    text: str
    follow: str = ""


@dataclass(slots=True)
class _Scope:
    """What one template definition knows while it is parsed."""

    variables: list[str] = field(default_factory=lambda: ["$"])
    range_depth: int = 0


@dataclass(frozen=True, slots=True)
class Parsed:
    """The bodies of a template and of its definitions by name, and the functions that any of them calls."""

    bodies: Mapping[str, nodes.Body]
    functions: frozenset[str]


def parse(text: str, name: str, functions: Collection[str]) -> Parsed:
    """Parse a template that is known by a name; raises TemplateError, LimitError."""
    return _Parser(text, name, functions).run()


class _Parser:
    def __init__(self, text: str, name: str, functions: Collection[str]) -> None:
        self._text = text
        self._name = name
        self._functions = functions
        self._tokens = TokenStream(text)
        self._action_line = 0
        self._depth = 0
        self._scope = _Scope()
        self._trees: dict[str, nodes.Body] = {}
        self._used: set[str] = set()

    def run(self) -> Parsed:
        body: list[nodes.Statement] = []
        while (token := self._tokens.peek()).kind is not Kind.END:
            if token.kind is Kind.LEFT and self._definition():
                continue
            found = self._text_or_action()
            if isinstance(found, _Stop):
                self._fail(f"unexpected {found.text}")
            body.append(found)
        self._add(self._name, tuple(body))
        return Parsed(self._trees, frozenset(self._used))

    # -- tokens

    def _expect(self, kind: Kind, context: str) -> Token:
        token = self._tokens.next_word()
        if token.kind is not kind:
            self._unexpected(token, context)
        return token

    def _fail(self, message: str, line: int = 0) -> NoReturn:
        line = line or self._tokens.line
        raise TemplateError(
            f"failed to parse template {excerpt(self._text)}: "
            f"template: {self._name}:{line}: {message}",
            template=self._name,
            line=line,
            detail=message,
        )

    def _unexpected(self, token: Token, context: str) -> NoReturn:
        if token.kind is not Kind.ERROR:
            self._fail(f"unexpected {token} in {context}", token.line)
        extra = ""
        if self._action_line and self._action_line != token.line:
            extra = f" in action started at {self._name}:{self._action_line}"
            if token.text.endswith(" action"):
                extra = extra.removeprefix(" in action")
        self._fail(f"{token}{extra}", token.line)

    def _literal(self, read: Callable[[], nodes.Number] | Callable[[], str]) -> nodes.Number | str:
        try:
            return read()
        except literals.LiteralError as error:
            self._fail(str(error))

    def _deeper(self) -> None:
        self._depth += 1
        if self._depth > MAX_NESTING:
            raise LimitError(f"nested deeper than {MAX_NESTING} levels")

    # -- templates

    def _add(self, name: str, body: nodes.Body) -> None:
        known = self._trees.get(name)
        if known is None or nodes.is_empty(known):
            self._trees[name] = body
        elif not nodes.is_empty(body):
            self._fail(f'template: multiple definition of template "{name}"')

    def _definition(self) -> bool:
        left = self._tokens.next()
        word = self._tokens.next_word()
        if word.kind is not Kind.KEYWORD or word.text != "define":
            self._tokens.back(left, word)
            return False
        name = self._template_name("define clause")
        self._expect(Kind.RIGHT, "define clause")
        self._add(name[0], self._separate_body("define clause"))
        return True

    def _separate_body(self, context: str) -> nodes.Body:
        """Parse the body of a definition: it sees no variables of the template around it."""
        outer, self._scope = self._scope, _Scope()
        self._deeper()
        body, stop = self._list()
        self._depth -= 1
        if stop.text != "{{end}}":
            self._fail(f"unexpected {stop.text} in {context}")
        self._scope = outer
        return body

    def _template_name(self, context: str) -> tuple[str, Token]:
        token = self._tokens.next_word()
        if token.kind not in (Kind.STRING, Kind.RAW_STRING):
            self._unexpected(token, context)
        return str(self._literal(lambda: literals.unquote(token.text))), token

    # -- lists and actions

    def _list(self) -> tuple[nodes.Body, _Stop]:
        body: list[nodes.Statement] = []
        while True:
            if self._tokens.peek_word().kind is Kind.END:
                self._fail("unexpected EOF")
            found = self._text_or_action()
            if isinstance(found, _Stop):
                return tuple(body), found
            body.append(found)

    def _text_or_action(self) -> nodes.Statement | _Stop:
        token = self._tokens.next_word()
        if token.kind is Kind.TEXT:
            return nodes.Text(token.pos, token.text)
        if token.kind is not Kind.LEFT:
            self._unexpected(token, "input")
        self._action_line = token.line
        result = self._action()
        self._action_line = 0
        return result

    def _action(self) -> nodes.Statement | _Stop:
        token = self._tokens.next_word()
        if token.kind is not Kind.KEYWORD or token.text == "define":
            self._tokens.back(token)
            return nodes.Action(token.pos, self._pipeline("command", Kind.RIGHT))
        match token.text:
            case "block":
                return self._block()
            case "break" | "continue":
                return self._loop_control(token)
            case "else":
                return self._else()
            case "end":
                self._expect(Kind.RIGHT, "end")
                return _Stop("{{end}}")
            case "template":
                return self._template_call()
            case _:
                return self._control(token.text)

    def _loop_control(self, token: Token) -> nodes.Statement:
        shown = f"{{{{{token.text}}}}}"
        if (following := self._tokens.next_word()).kind is not Kind.RIGHT:
            self._unexpected(following, shown)
        if not self._scope.range_depth:
            self._fail(f"{shown} outside {{{{range}}}}")
        return nodes.Break(token.pos) if token.text == "break" else nodes.Continue(token.pos)

    def _else(self) -> _Stop:
        following = self._tokens.peek_word()
        if following.kind is Kind.KEYWORD and following.text in ("if", "with"):
            return _Stop("{{else}}", following.text)
        self._expect(Kind.RIGHT, "else")
        return _Stop("{{else}}")

    def _control(self, context: str) -> nodes.Statement:
        self._deeper()
        known = len(self._scope.variables)
        pipe = self._pipeline(context, Kind.RIGHT)
        self._scope.range_depth += context == "range"
        body, stop = self._list()
        self._scope.range_depth -= context == "range"
        otherwise = self._otherwise(context, stop)
        del self._scope.variables[known:]
        self._depth -= 1
        if context == "range":
            return nodes.Range(pipe.pos, pipe, body, otherwise)
        make = nodes.If if context == "if" else nodes.With
        return make(pipe.pos, pipe, body, otherwise)

    def _otherwise(self, context: str, stop: _Stop) -> nodes.Body | None:
        if stop.text == "{{end}}":
            return None
        if stop.follow == context and context != "range":
            self._tokens.next_word()
            return (self._control(context),)
        otherwise, end = self._list()
        if end.text != "{{end}}":
            self._fail(f"expected end; found {end.text}")
        return otherwise

    def _block(self) -> nodes.Statement:
        name, token = self._template_name("block clause")
        pipe = self._pipeline("block clause", Kind.RIGHT)
        self._add(name, self._separate_body("block clause"))
        return nodes.Call(token.pos, name, token.text, pipe)

    def _template_call(self) -> nodes.Statement:
        name, token = self._template_name("template clause")
        following = self._tokens.next_word()
        pipe = None
        if following.kind is not Kind.RIGHT:
            self._tokens.back(following)
            pipe = self._pipeline("template clause", Kind.RIGHT)
        return nodes.Call(token.pos, name, token.text, pipe)

    # -- pipelines

    def _pipeline(self, context: str, end: Kind) -> nodes.Pipe:
        start = self._tokens.peek_word().pos
        variables, is_assignment = self._declarations(context)
        commands: list[nodes.Command] = []
        while (token := self._tokens.next_word()).kind is not end:
            if token.kind not in _OPERANDS:
                self._unexpected(token, context)
            self._tokens.back(token)
            commands.append(self._command())
        self._check(commands, context)
        return nodes.Pipe(start, tuple(commands), tuple(variables), is_assignment)

    def _check(self, commands: list[nodes.Command], context: str) -> None:
        if not commands:
            self._fail(f"missing value for {context}")
        for stage, command in enumerate(commands[1:], 2):
            if isinstance(command.args[0], _NOT_EXECUTABLE):
                self._fail(f"non executable command in pipeline stage {stage}")

    def _declarations(self, context: str) -> tuple[list[nodes.Variable], bool]:
        declared: list[nodes.Variable] = []
        while self._tokens.peek_word().kind is Kind.VARIABLE:
            variable = self._tokens.next_word()
            blank = self._tokens.next()
            sign = blank if blank.kind is not Kind.SPACE else self._tokens.next_word()
            if sign.kind not in (Kind.ASSIGN, Kind.DECLARE, Kind.COMMA):
                self._tokens.back(variable, *((blank, sign) if blank is not sign else (sign,)))
                return declared, False
            declared.append(nodes.Variable(variable.pos, (variable.text,)))
            self._scope.variables.append(variable.text)
            if sign.kind is not Kind.COMMA:
                return declared, sign.kind is Kind.ASSIGN
            self._check_comma(context, len(declared))
        return declared, False

    def _check_comma(self, context: str, declared: int) -> None:
        if context != "range" or declared >= 2:
            self._fail(f"too many declarations in {context}")
        if self._tokens.peek_word().kind not in (Kind.VARIABLE, Kind.RIGHT, Kind.CLOSE):
            self._fail("range can only initialize variables")

    def _command(self) -> nodes.Command:
        start = self._tokens.peek_word().pos
        args: list[nodes.Operand] = []
        while True:
            self._tokens.peek_word()
            operand = self._operand()
            if operand is not None:
                args.append(operand)
            token = self._tokens.next()
            if token.kind is Kind.SPACE:
                continue
            if token.kind in (Kind.RIGHT, Kind.CLOSE):
                self._tokens.back(token)
            elif token.kind is not Kind.PIPE:
                self._unexpected(token, "operand")
            break
        if not args:
            self._fail("empty command")
        return nodes.Command(start, tuple(args))

    def _operand(self) -> nodes.Operand | None:
        term = self._term()
        if term is None or self._tokens.peek().kind is not Kind.FIELD:
            return term
        pos = self._tokens.peek().pos
        names: list[str] = []
        while self._tokens.peek().kind is Kind.FIELD:
            names.append(self._tokens.next().text[1:])
        if isinstance(term, nodes.Field):
            return nodes.Field(pos, (*term.names, *names))
        if isinstance(term, nodes.Variable):
            return nodes.Variable(pos, (*term.names, *names))
        if isinstance(term, _NOT_EXECUTABLE):
            self._fail(f"unexpected . after term {quote(str(term))}")
        return nodes.Chain(pos, term, tuple(names))

    def _term(self) -> nodes.Operand | None:
        token = self._tokens.next_word()
        match token.kind:
            case Kind.IDENTIFIER:
                if token.text not in self._functions:
                    self._fail(f'function "{token.text}" not defined')
                self._used.add(token.text)
                return nodes.Identifier(token.pos, token.text)
            case Kind.DOT:
                return nodes.Dot(token.pos)
            case Kind.NIL:
                return nodes.Nil(token.pos)
            case Kind.BOOL:
                return nodes.Bool(token.pos, token.text == "true")
            case Kind.FIELD:
                return nodes.Field(token.pos, (token.text[1:],))
            case Kind.VARIABLE:
                return self._variable(token)
            case Kind.OPEN:
                return self._parenthesized()
            case Kind.STRING | Kind.RAW_STRING:
                text = str(self._literal(lambda: literals.unquote(token.text)))
                return nodes.String(token.pos, token.text, text)
            case Kind.NUMBER | Kind.COMPLEX | Kind.CHARACTER:
                return self._number(token)
        self._tokens.back(token)
        return None

    def _number(self, token: Token) -> nodes.Number:
        number = self._literal(lambda: _NUMBERS[token.kind](token.pos, token.text))
        assert isinstance(number, nodes.Number)
        return number

    def _variable(self, token: Token) -> nodes.Variable:
        if token.text not in self._scope.variables:
            self._fail(f'undefined variable "{token.text}"')
        return nodes.Variable(token.pos, (token.text,))

    def _parenthesized(self) -> nodes.Pipe:
        self._deeper()
        pipe = self._pipeline("parenthesized pipeline", Kind.CLOSE)
        self._depth -= 1
        return pipe
