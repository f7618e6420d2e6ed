"""What stays when it leaves, and what a person has to confirm."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import product

import pytest

from fleet.codec.jsontypes import JsonObject
from fleet.model.identity import ObjectRef
from fleet.sync.inventory import Entry, Inventory
from fleet.sync.inventorycodec import decode, encode
from fleet.sync.protection import (
    Protection,
    deletion_in,
    is_confirmed,
    of_deletion,
    of_pruning,
    pruning_in,
    resolved,
)

NONE, FREE, CONFIRM, KEEP = Protection


def obj(options: str = "", **annotations: str) -> JsonObject:
    marks = {"argocd.argoproj.io/sync-options": options} if options else {}
    return {"kind": "ConfigMap", "metadata": {"name": "a", "annotations": {**marks, **annotations}}}


HELM_KEEP = obj(**{"helm.sh/resource-policy": "keep"})

TABLE = {
    "nothing said": (obj(), (), NONE, NONE),
    "its own": (obj("Prune=false"), (), KEEP, NONE),
    "its own deletion": (obj("Delete=false"), (), NONE, KEEP),
    "its own, to confirm": (obj("Prune=confirm, Delete=confirm"), (), CONFIRM, CONFIRM),
    "the application's": (obj(), ("Prune=false", "Delete=confirm"), KEEP, CONFIRM),
    "its own counts more": (obj("Prune=true,Delete=false"), ("Prune=false",), FREE, KEEP),
    "stricter than the application": (obj("Prune=false"), ("Prune=confirm",), KEEP, NONE),
    "helm's": (HELM_KEEP, ("Prune=true",), KEEP, KEEP),
    "another option": (obj("PruneLast=true"), ("PrunePropagationPolicy=orphan",), NONE, NONE),
    "no value of its own": (obj("Prune"), (), NONE, NONE),
}


@pytest.mark.parametrize(
    ("body", "options", "pruning", "deletion"), TABLE.values(), ids=TABLE.keys()
)
def test_what_protects(
    body: JsonObject, options: tuple[str, ...], pruning: Protection, deletion: Protection
) -> None:
    assert resolved(of_pruning(body), pruning_in(options)) is pruning
    assert resolved(of_deletion(body), deletion_in(options)) is deletion


def test_what_holds() -> None:
    assert [p.holds(confirmed=False) for p in Protection] == [False, False, True, True]
    assert [p.holds(confirmed=True) for p in Protection] == [False, False, False, True]


@pytest.mark.parametrize(
    ("approved", "expected"),
    [
        ("", False),
        ("yes", False),
        ("2026-03-04T10:00:00Z", True),
        ("2026-03-04T09:59:59Z", False),
        ("2026-03-04T11:00:00+01:00", True),
        ("2026-03-04T10:30:00+01:00", False),
        ("2026-03-04T10:00:00", True),
        ("2030-01-01T00:00:00Z", True),
    ],
)
def test_an_approval_is_of_this_operation_or_a_later_one(approved: str, expected: bool) -> None:
    began = datetime(2026, 3, 4, 10, 0, 0, 500_000, tzinfo=UTC)
    assert is_confirmed(approved, began) is expected


def test_it_survives_in_the_inventory() -> None:
    entries = {}
    for number, (pruning, deletion, keep) in enumerate(
        product(Protection, Protection, (False, True))
    ):
        ref = ObjectRef("", "ConfigMap", "shop", str(number))
        entries[ref] = Entry(
            ref=ref, pruning=pruning, deletion=deletion, keep=keep, prune_last=keep
        )
    inventory = Inventory(
        target="app",
        cluster_uid="u",
        entries=dict(sorted(entries.items())),
        general=Protection.CONFIRM,
        approved="2026-01-01T00:00:00Z",
    )
    assert decode(encode(inventory, "i").values()) == inventory


def test_what_an_older_agent_kept_stays_kept() -> None:
    inventory = Inventory(
        target="app",
        cluster_uid="u",
        entries={(ref := ObjectRef("", "ConfigMap", "shop", "a")): Entry(ref=ref, keep=True)},
    )
    (text,) = encode(inventory, "i").values()
    assert decode([text.replace(",1]", ",true]")]) == inventory
