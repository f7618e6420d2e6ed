"""Tokens with as much look-ahead as the parser needs."""

from __future__ import annotations

from collections.abc import Iterator

from fleet.templating.lexer import Kind, Lexer, Token


class TokenStream:
    """Hands out the tokens of a template and takes them back."""

    def __init__(self, text: str) -> None:
        self._source: Iterator[Token] = Lexer(text).tokens()
        self._ahead: list[Token] = []
        self._current = Token(Kind.END, 0, "", 1)

    @property
    def line(self) -> int:
        """The line where the parser is: that of a token put back, else of the last one taken."""
        return self._ahead[-1].line if self._ahead else self._current.line

    def next(self) -> Token:
        """Take the next token; the last one again and again."""
        self._current = self._ahead.pop() if self._ahead else next(self._source, self._current)
        return self._current

    def back(self, *tokens: Token) -> None:
        """Put tokens back, the first one first."""
        self._ahead.extend(reversed(tokens))

    def peek(self) -> Token:
        """Return the next token without taking it."""
        if not self._ahead:
            self._ahead.append(next(self._source, self._current))
        return self._ahead[-1]

    def next_word(self) -> Token:
        """Take the next token that is no blank."""
        token = self.next()
        while token.kind is Kind.SPACE:
            token = self.next()
        return token

    def peek_word(self) -> Token:
        """Return the next token that is no blank; blanks before it are dropped."""
        token = self.next_word()
        self.back(token)
        return token
