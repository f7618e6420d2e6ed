"""Sync policy: the table of design decision 2, row by row."""

import pytest

from fleet.errors import BadInput
from fleet.model.assignment import Operation, ProjectRules, Section
from fleet.model.identity import ObjectRef
from fleet.sync.policy import permission

NONE = None
SYNC = Operation(id="1", target="app", kind="sync")
PRUNE = Operation(id="1", target="app", kind="sync", arguments={"prune": True})
NO_PRUNE = Operation(id="1", target="app", kind="sync", arguments={"prune": False})
REFRESH = Operation(id="1", target="app", kind="refresh")


@pytest.mark.parametrize(
    ("automated", "heal", "prune", "operation", "expected"),
    [
        (False, True, True, NONE, ""),
        (False, True, True, REFRESH, ""),
        (True, False, False, NONE, "new"),
        (True, True, False, NONE, "new heal"),
        (True, False, True, NONE, "new prune"),
        (True, True, True, NONE, "new heal prune"),
        (False, False, False, SYNC, "new heal"),
        (False, False, True, SYNC, "new heal"),
        (False, False, False, PRUNE, "new heal prune empty"),
        (False, False, False, NO_PRUNE, "new heal"),
        (True, False, True, SYNC, "new heal prune"),
        (True, True, True, REFRESH, "new heal prune"),
    ],
)
def test_permission(
    automated: bool, heal: bool, prune: bool, operation: Operation | None, expected: str
) -> None:
    section = Section(
        target="app",
        project=ProjectRules(name="p"),
        automated=automated,
        self_heal=heal,
        prune=prune,
    )
    found = permission(section, operation)
    words = {
        "new": found.apply_new,
        "heal": found.heal,
        "prune": found.prune,
        "empty": found.allow_empty,
    }
    assert " ".join(word for word, allowed in words.items() if allowed) == expected
    frozen = permission(section, operation, detached=True)
    assert (frozen.apply_new, frozen.prune, frozen.allow_empty) == (False, False, False)
    assert frozen.heal == (automated and heal)


def test_allow_empty_is_the_section_s() -> None:
    section = Section(
        target="app", project=ProjectRules(name="p"), automated=True, allow_empty=True
    )
    assert permission(section).allow_empty


def test_a_partial_sync_gives_its_permission_to_what_it_names() -> None:
    section = Section(target="app", project=ProjectRules(name="p"))
    named = Operation(
        id="1",
        target="app",
        kind="sync",
        arguments={"prune": True, "resources": ["/ConfigMap:shop/a"]},
    )
    found = permission(section, named)
    a, b = ObjectRef("", "ConfigMap", "shop", "a"), ObjectRef("", "ConfigMap", "shop", "b")
    assert (found.of(a).apply_new, found.of(a).heal, found.of(a).prune) == (True, True, True)
    assert found.of(b) == permission(section)
    assert permission(section, SYNC).of(b).apply_new


def test_arguments_that_cannot_be_understood_permit_nothing() -> None:
    section = Section(target="app", project=ProjectRules(name="p"), automated=True)
    wrong = Operation(id="1", target="app", kind="sync", arguments={"resources": ["what"]})
    with pytest.raises(BadInput, match="names no object"):
        permission(section, wrong)
