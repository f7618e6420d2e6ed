"""Structured logs of the daemons: one line an event, JSON by default, to standard error.

An event is a short constant text; data are fields with the names below. Lines of libraries that use the
standard ``logging`` come out in the same form. The redaction function passed in sees every text before it is
written; what a secret looks like is not known here.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, MutableMapping
from typing import Any, Literal, TextIO

import structlog

from fleet.errors import BadInput

# The one list of field names: a dashboard or an alert is written against these.
CLUSTER = "cluster"
TARGET = "target"
KEY = "key"
RECONCILER = "reconciler"
RESULT = "result"
REASON = "reason"
SECONDS = "seconds"
NEXT = "next_seconds"
TASK = "task"
COUNT = "count"
DIGEST = "digest"
REPOSITORY = "repository"
REVISION = "revision"
ERROR = "error"

LogForm = Literal["json", "console"]
Redact = Callable[[str], str]


def configure(
    level: str = "info",
    form: LogForm = "json",
    *,
    redact: Redact | None = None,
    stream: TextIO | None = None,
) -> None:
    """Set up logging for this process; raises BadInput for an unknown level."""
    number = logging.getLevelNamesMapping().get(level.upper())
    if number is None:
        raise BadInput(f"unknown log level {level!r}", hint="debug, info, warning or error")
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    structlog.configure(
        processors=[
            *shared,
            structlog.processors.StackInfoRenderer(),
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.make_filtering_bound_logger(number),
        cache_logger_on_first_use=False,
    )
    _install_handler(number, _formatter(form, shared, redact), stream or sys.stderr)


def _formatter(
    form: LogForm, shared: list[structlog.typing.Processor], redact: Redact | None
) -> structlog.stdlib.ProcessorFormatter:
    renderer: structlog.typing.Processor
    if form == "console":
        renderer = structlog.dev.ConsoleRenderer(
            colors=False, exception_formatter=structlog.dev.plain_traceback
        )
    else:
        renderer = structlog.processors.JSONRenderer(sort_keys=True)
    return structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=[*shared, structlog.stdlib.add_logger_name],
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            structlog.processors.format_exc_info,
            *([_redacting(redact)] if redact else []),
            renderer,
        ],
    )


def _install_handler(level: int, formatter: logging.Formatter, stream: TextIO) -> None:
    handler = logging.StreamHandler(stream)
    handler.setFormatter(formatter)
    root = logging.getLogger()
    for old in list(root.handlers):
        root.removeHandler(old)
    root.addHandler(handler)
    root.setLevel(level)
    # One line a request is noise for a daemon that answers ten thousand polls.
    logging.getLogger("aiohttp.access").setLevel(max(level, logging.WARNING))


def _redacting(redact: Redact) -> structlog.typing.Processor:
    def clean(value: object) -> object:
        if isinstance(value, str):
            return redact(value)
        if isinstance(value, dict):
            return {key: clean(item) for key, item in value.items()}
        if isinstance(value, (list, tuple, set, frozenset)):
            return [clean(item) for item in value]
        if value is None or isinstance(value, (bool, int, float)):
            return value
        return redact(str(value))

    def processor(
        _logger: object, _method: str, event: MutableMapping[str, Any]
    ) -> MutableMapping[str, Any]:
        return {key: clean(value) for key, value in event.items()}

    return processor
