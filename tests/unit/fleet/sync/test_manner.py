"""How objects are written: an Application's options, an operation's on top, and each object's own last word."""

from __future__ import annotations

import pytest

from fleet.codec.jsontypes import JsonObject
from fleet.model.assignment import Operation, ProjectRules, Section
from fleet.sync.manner import Dependents, Manner, manner_of


def section(*options: str) -> Section:
    return Section(target="web", project=ProjectRules(name="p"), sync_options=options)


def obj(options: str = "", *, kind: str = "ConfigMap", version: str = "v1") -> JsonObject:
    annotations = {"argocd.argoproj.io/sync-options": options} if options else {}
    return {
        "apiVersion": version,
        "kind": kind,
        "metadata": {"name": "a", "annotations": annotations},
    }


OPTIONS = {
    "none": ((), Manner()),
    "replace": (("Replace=true",), Manner(replace=True)),
    "force": (("Force=true", "Replace=true"), Manner(replace=True, force=True)),
    "validate": (("Validate=false",), Manner(validate=False)),
    "migration": (("ClientSideApplyMigration=false",), Manner(migrate=False)),
    "ignored": (("RespectIgnoreDifferences=true",), Manner(keep_ignored=True)),
    "shared": (("FailOnSharedResource=true",), Manner(fail_on_shared=True)),
    "propagation": (("PrunePropagationPolicy=orphan",), Manner(dependents=Dependents.ORPHAN)),
    "unknown propagation": (("PrunePropagationPolicy=sideways",), Manner()),
    "the last one counts": (("Replace=true", "Replace=false"), Manner()),
    "what is done anyway": (
        ("ServerSideApply=false", "ApplyOutOfSyncOnly=true", "SkipDryRunOnMissingResource=true"),
        Manner(),
    ),
}


@pytest.mark.parametrize(("options", "expected"), OPTIONS.values(), ids=OPTIONS.keys())
def test_what_an_application_asks_for(options: tuple[str, ...], expected: Manner) -> None:
    assert manner_of(section(*options)) == expected


OBJECTS = {
    "nothing of its own": (("Replace=true",), obj(), Manner(replace=True)),
    "opts in": ((), obj("Replace=true, Force=true"), Manner(replace=True, force=True)),
    "opts out": (("Replace=true",), obj("Replace=false"), Manner()),
    "validates": (("Validate=false",), obj("Validate=true"), Manner()),
    "a namespace is not made anew": (
        ("Replace=true", "Force=true"),
        obj(kind="Namespace"),
        Manner(replace=True),
    ),
    "nor is a definition": (
        (),
        obj("Force=true", kind="CustomResourceDefinition", version="apiextensions.k8s.io/v1"),
        Manner(),
    ),
    "nor is a claim, which is somebody's data": (
        ("Force=true",),
        obj(kind="PersistentVolumeClaim"),
        Manner(),
    ),
    "another kind of that name is": (
        ("Force=true",),
        obj(kind="Namespace", version="example.com/v1"),
        Manner(force=True),
    ),
}


@pytest.mark.parametrize(("options", "body", "expected"), OBJECTS.values(), ids=OBJECTS.keys())
def test_what_an_object_asks_for(
    options: tuple[str, ...], body: JsonObject, expected: Manner
) -> None:
    assert manner_of(section(*options)).of(body) == expected


def test_what_an_operation_asks_for_comes_on_top() -> None:
    operation = Operation(
        id="1",
        target="web",
        kind="sync",
        arguments={"force": True, "replace": True, "options": ["Validate=false"]},
    )
    assert manner_of(section("RespectIgnoreDifferences=true"), operation) == Manner(
        replace=True, force=True, validate=False, keep_ignored=True
    )
