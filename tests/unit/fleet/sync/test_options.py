"""What holds an application because it must not be ignored."""

import pytest

from fleet.codec.jsontypes import JsonObject
from fleet.sync.options import unsupported, unsupported_options


def body(**annotations: str) -> JsonObject:
    names = {
        "hook": "argocd.argoproj.io/hook",
        "helm": "helm.sh/hook",
        "options": "argocd.argoproj.io/sync-options",
    }
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": "j", "annotations": {names[k]: v for k, v in annotations.items()}},
    }


@pytest.mark.parametrize(
    ("annotations", "expected"),
    [
        ({}, ()),
        ({"hook": "PreSync"}, ()),
        ({"hook": "Skip", "options": "Prune=false"}, ()),
        ({"hook": "Skip", "helm": "pre-install"}, ()),
        ({"options": "Prune=false"}, ("Job j: argocd.argoproj.io/sync-options=Prune=false",)),
        (
            {"options": "Validate=false, Replace=true"},
            ("Job j: argocd.argoproj.io/sync-options=Replace=true",),
        ),
        ({"options": "Replace=false,ServerSideApply=true"}, ()),
        ({"options": "Delete=confirm"}, ("Job j: argocd.argoproj.io/sync-options=Delete=confirm",)),
    ],
    ids=str,
)
def test_unsupported(annotations: dict[str, str], expected: tuple[str, ...]) -> None:
    assert unsupported([body(**annotations)]) == expected


def test_unsupported_does_not_mind_missing_metadata() -> None:
    assert (
        unsupported([{"kind": "X"}, {"metadata": {"annotations": None}}, {"metadata": None}]) == ()
    )


def test_application_options() -> None:
    assert unsupported_options(["CreateNamespace=true", "Replace=true", "PruneLast=true"]) == (
        "syncPolicy.syncOptions Replace=true",
    )
