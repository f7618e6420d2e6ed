"""templatePatch: a strategic merge over an Application."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from fleet.argo.application import read_application
from fleet.argo.patch import apply_patch, parse_patch
from fleet.errors import BadInput, Where

DOCUMENT = yaml.safe_load(
    """
    apiVersion: argoproj.io/v1alpha1
    kind: Application
    metadata:
      name: a
      namespace: argocd
      labels: {x: "1"}
      finalizers: [one, two]
    spec:
      project: default
      source:
        repoURL: https://git.example.com/a.git
        path: p
        helm:
          valuesObject: {a: {b: 1}, l: [1], s: x}
      destination: {server: https://10.0.0.1, namespace: demo}
      syncPolicy: {automated: {prune: true}, syncOptions: [A=1]}
      info: [{name: n, value: v}]
    """
)


def patched(text: str) -> dict[str, Any]:
    before = yaml.safe_dump(DOCUMENT)
    result = apply_patch(DOCUMENT, parse_patch(text))
    assert yaml.safe_dump(DOCUMENT) == before
    return result


@pytest.mark.parametrize(
    ("patch", "path", "expected"),
    [
        ("metadata: {labels: {z: '2'}}", "metadata.labels", {"x": "1", "z": "2"}),
        ("metadata: {labels: {x: null}}", "metadata.labels", None),
        ("metadata: {labels: {z: null}}", "metadata.labels", {"x": "1"}),
        ("metadata: {labels: {}}", "metadata.labels", {"x": "1"}),
        ("metadata: {finalizers: [three]}", "metadata.finalizers", ["three", "one", "two"]),
        ("metadata: {finalizers: [two]}", "metadata.finalizers", ["one", "two"]),
        ("metadata: {finalizers: [two, one]}", "metadata.finalizers", ["two", "one"]),
        ("metadata: {finalizers: []}", "metadata.finalizers", ["one", "two"]),
        ("metadata: {finalizers: null}", "metadata.finalizers", None),
        ("metadata: {$deleteFromPrimitiveList/finalizers: [one]}", "metadata.finalizers", ["two"]),
        ("metadata: {namespace: other}", "metadata.namespace", "argocd"),
        ("spec: {project: other}", "spec.project", "default"),
        ("spec: {info: []}", "spec.info", None),
        ("spec: {info: [{name: m, value: w}]}", "spec.info", [{"name": "m", "value": "w"}]),
        ("spec: {syncPolicy: {}}", "spec.syncPolicy.syncOptions", ["A=1"]),
        ("spec: {syncPolicy: {automated: null}}", "spec.syncPolicy", {"syncOptions": ["A=1"]}),
        (
            "spec: {syncPolicy: {$patch: replace, syncOptions: [B=2]}}",
            "spec.syncPolicy",
            {"syncOptions": ["B=2"]},
        ),
        ("spec: {syncPolicy: {$patch: delete}}", "spec.syncPolicy", None),
        (
            "spec: {source: {directory: {recurse: true}}}",
            "spec.source.directory",
            {"recurse": True},
        ),
        ("spec: {source: {directory: {}}}", "spec.source.directory", None),
        (
            "spec: {source: {helm: {valuesObject: {s: z, m: 1, gone: null}}}}",
            "spec.source.helm.valuesObject",
            {"a": {"b": 1}, "l": [1], "s": "z", "m": 1},
        ),
        (
            "spec: {source: {helm: {valuesObject: {a: text}}}}",
            "spec.source.helm.valuesObject.a",
            "text",
        ),
        ("spec: {unknown: 1}", "spec.unknown", None),
        (
            "spec: {destination: {name: alpha, server: null}}",
            "spec.destination",
            {"name": "alpha", "namespace": "demo"},
        ),
        ("spec: null", "spec", {"project": "default", "destination": {}}),
        ('{"metadata": {"labels": {"j": "1"}}}', "metadata.labels.j", "1"),
    ],
)
def test_patches(patch: str, path: str, expected: object) -> None:
    value: Any = patched(patch)
    for part in path.split("."):
        value = value.get(part) if value else None
    assert value == expected


@pytest.mark.parametrize("text", ["", " \n", "# nothing", "null"])
def test_a_patch_that_says_nothing(text: str) -> None:
    assert parse_patch(text) == {}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("spec: [", "error while converting template to json: .*not valid YAML"),
        ("- 1", "invalid templatePatch: it must be an object"),
        ("{a: b}", "invalid templatePatch: not valid JSON"),
        (
            "spec: {source: text}",
            r'invalid templatePatch: spec.source must be an object, not the text "text"',
        ),
        ("metadata: {name: y}", "invalid templatePatch: metadata.name must be a string, not true"),
        ("metadata: {labels: {country: no}}", "invalid templatePatch: metadata.labels.country"),
        ("spec: {revisionHistoryLimit: many}", "must be an integer"),
    ],
)
def test_what_is_no_patch(text: str, message: str) -> None:
    with pytest.raises(BadInput, match=message):
        parse_patch(text)


@pytest.mark.parametrize(
    "text",
    [
        "spec: {source: {helm: {valuesObject: {a: {c: 2}}}}}",
        "spec: {source: {helm: {valuesObject: {l: [2]}}}}",
        "spec: {syncPolicy: {$patch: sideways}}",
    ],
)
def test_what_cannot_be_merged(text: str) -> None:
    with pytest.raises(BadInput, match="error while applying templatePatch"):
        patched(text)


@pytest.mark.parametrize(
    ("patch", "path", "expected"),
    [
        ("spec: {source: {repoURL: null}}", "spec.source.repoURL", ""),
        ("spec: {source: {$patch: replace, path: x}}", "spec.source.repoURL", ""),
        ("spec: {sources: [{path: x}]}", "spec.sources", [{"path": "x", "repoURL": ""}]),
        ("spec: {ignoreDifferences: [{name: b}]}", "spec.ignoreDifferences", [{"name": "b", "kind": ""}]),
        ("spec: {info: [{name: x}]}", "spec.info", [{"name": "x", "value": ""}]),
        ("spec: {source: {kustomize: {replicas: [{name: x}]}}}", "spec.source.kustomize.replicas", [{"name": "x", "count": 0}]),
        ("spec: {destination: null}", "spec.destination", {}),
    ],
)  # fmt: skip
def test_what_must_be_there_is_empty_where_a_patch_takes_it_away(
    patch: str, path: str, expected: object
) -> None:
    """As decoding into Go's types does; it ended the evaluation of the set with a KeyError."""
    found: Any = apply_patch(DOCUMENT, parse_patch(patch))
    read_application(found, where=Where())
    for name in path.split("."):
        found = found[name]
    assert found == expected
