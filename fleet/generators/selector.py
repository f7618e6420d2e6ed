"""Label selectors: over the labels of clusters, and over the flattened parameters of a row.

Operators and keys are Kubernetes'. Values of a row's selector are free (an URL is one), those of the clusters
generator must be label values.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from fleet.argo.names import key_problem, value_problem
from fleet.codec.jsontypes import JsonObject
from fleet.generators.params import GeneratorError


@dataclass(frozen=True, slots=True)
class Requirement:
    """One term; all terms of a selector must hold."""

    key: str
    operator: str
    values: frozenset[str]

    def matches(self, labels: Mapping[str, str]) -> bool:
        """Tell whether labels satisfy the term; one that is missing satisfies NotIn."""
        match self.operator:
            case "In":
                return self.key in labels and labels[self.key] in self.values
            case "NotIn":
                return self.key not in labels or labels[self.key] not in self.values
            case "Exists":
                return self.key in labels
            case _:
                return self.key not in labels


@dataclass(frozen=True, slots=True)
class Selector:
    """All requirements of a selector; without any it matches everything."""

    requirements: tuple[Requirement, ...] = ()

    def matches(self, labels: Mapping[str, str]) -> bool:
        """Tell whether labels satisfy every requirement."""
        return all(requirement.matches(labels) for requirement in self.requirements)


def parse_selector(raw: JsonObject, *, free_values: bool) -> Selector:
    """Read ``matchLabels`` and ``matchExpressions``; raises GeneratorError."""
    requirements = [
        _requirement(key, "In", (value,), free_values=free_values)
        for key, value in raw.get("matchLabels", {}).items()
    ]
    requirements += [
        _requirement(
            term["key"],
            term["operator"],
            tuple(term.get("values", ())),
            free_values=free_values,
        )
        for term in raw.get("matchExpressions", ())
    ]
    return Selector(tuple(requirements))


def _requirement(
    key: str, operator: str, values: tuple[str, ...], *, free_values: bool
) -> Requirement:
    if operator not in ("In", "NotIn", "Exists", "DoesNotExist"):
        what = "pod" if free_values else "label"  # Kubernetes' words for the two
        raise GeneratorError(
            f'"{operator}" is not a valid {what} selector operator',
            hint="use In, NotIn, Exists or DoesNotExist",
        )
    problem = key_problem(key)
    if operator in ("In", "NotIn"):
        if not values:
            problem = problem or f"{operator} needs values for key {key!r}"
        elif not free_values:
            problem = problem or next(filter(None, map(value_problem, values)), "")
    elif values:
        problem = problem or f"{operator} takes no values (key {key!r})"
    if problem:
        raise GeneratorError(problem)
    return Requirement(key, operator, frozenset(values))
