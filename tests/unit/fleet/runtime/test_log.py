"""Logs: one form for our lines and those of libraries, and nothing passes the redaction."""

import io
import json
import logging
from collections.abc import Iterator

import pytest
import structlog

from fleet.errors import BadInput
from fleet.runtime import log


@pytest.fixture(autouse=True)
def _restore() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()


def configured(level: str = "info", form: log.LogForm = "json") -> io.StringIO:
    stream = io.StringIO()
    log.configure(level, form, redact=lambda text: text.replace("hunter2", "***"), stream=stream)
    return stream


def lines(stream: io.StringIO) -> list[dict[str, object]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_an_event_with_its_fields_and_bound_context() -> None:
    stream = configured()
    with structlog.contextvars.bound_contextvars(cluster="eu-1"):
        structlog.get_logger("x").info("applied", count=3)
    (line,) = lines(stream)
    assert line.pop("timestamp")
    assert line == {"cluster": "eu-1", "count": 3, "event": "applied", "level": "info"}


def test_library_lines_have_the_same_form() -> None:
    stream = configured()
    logging.getLogger("asyncio").warning("slow %s", "callback")
    (line,) = lines(stream)
    assert (line["event"], line["level"], line["logger"]) == ("slow callback", "warning", "asyncio")


@pytest.mark.parametrize("form", ["json", "console"])
def test_nothing_passes_the_redaction(form: log.LogForm) -> None:
    stream = configured(form=form)
    logger = structlog.get_logger("x")
    logger.info("hunter2", a="hunter2", b=["hunter2", {"c": "hunter2"}], d=ValueError("hunter2"))
    logging.getLogger("lib").error("password %s", "hunter2")
    try:
        raise RuntimeError("hunter2")
    except RuntimeError:
        logger.exception("failed")
    assert "hunter2" not in stream.getvalue()
    assert stream.getvalue().count("***") >= 6
    assert "RuntimeError" in stream.getvalue()


def test_lines_below_the_level_are_not_written() -> None:
    stream = configured("warning")
    structlog.get_logger("x").info("quiet")
    logging.getLogger("lib").info("quiet")
    assert stream.getvalue() == ""


def test_an_unknown_level_is_refused() -> None:
    with pytest.raises(BadInput, match="unknown log level 'loud'"):
        log.configure("loud")
