"""What the evaluation of an ApplicationSet says: rows, what is still missing, or a failure that changes nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from fleet.model.answers import AnswerRequest
from fleet.model.application import Application
from fleet.model.world import BlobRequest, SourceRequest, TreeRequest

# Argo CD's reasons of the condition ErrorOccurred.
PARAMS_ERROR = "ApplicationGenerationFromParamsError"
RENDER_ERROR = "RenderTemplateParamsError"
VALIDATION_ERROR = "ApplicationValidationError"
REFUSED_ERROR = "UpdateApplicationError"
"""The API server refuses the object (Argo CD says so for creates too)."""
UP_TO_DATE = "ApplicationSetUpToDate"


@dataclass(frozen=True, slots=True, kw_only=True)
class SetError:
    """Something went wrong with a set, or with one Application of it."""

    reason: str
    message: str
    application: str = ""
    """Name of the one that is withheld; an existing one of that name stays as it is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Inputs:
    """What a result depends on: it stays right while these stay the same."""

    clusters: bool = False
    projects: bool = False
    resources: bool = False
    trees: frozenset[TreeRequest] = field(default_factory=frozenset)
    blobs: frozenset[BlobRequest] = field(default_factory=frozenset)
    answers: frozenset[AnswerRequest] = field(default_factory=frozenset)


@dataclass(frozen=True, slots=True, kw_only=True)
class Generated:
    """The Applications of a set, sorted by name, without those that an error withholds."""

    applications: tuple[Application, ...] = ()
    errors: tuple[SetError, ...] = ()
    inputs: Inputs = field(default_factory=Inputs)


@dataclass(frozen=True, slots=True, kw_only=True)
class Missing:
    """Data that must be fetched before the set can be evaluated: all of it that can be known now."""

    requests: frozenset[SourceRequest]


@dataclass(frozen=True, slots=True, kw_only=True)
class Failed:
    """A generator or the template failed: nothing of the set may change."""

    errors: tuple[SetError, ...]
    inputs: Inputs = field(default_factory=Inputs)


def condition(errors: Sequence[SetError]) -> tuple[str, str]:
    """Return reason and message of the condition that Argo CD would show for these errors."""
    if not errors:
        return UP_TO_DATE, ""
    refused = [error for error in errors if error.reason == REFUSED_ERROR]
    invalid = [error for error in errors if error.reason == VALIDATION_ERROR]
    if refused:
        return REFUSED_ERROR, min(refused, key=lambda error: error.application).message
    if invalid:
        last = max(invalid, key=lambda error: error.application)
        more = f" (and {len(invalid) - 1} more)" if len(invalid) > 1 else ""
        return VALIDATION_ERROR, last.message + more
    return errors[0].reason, errors[0].message
