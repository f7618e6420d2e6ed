"""Application documents to the model: those written by hand, and those that a set generated.

`read_application` judges a document that somebody wrote; `build_application` only gives types to one whose
shape is known to be right, and is what generating thousands of them goes through.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, Generic, TypeVar

from fleet.argo.fields import APPLICATION
from fleet.argo.names import metadata_problems, namespace_problem
from fleet.argo.normalize import normalize_application
from fleet.argo.reading import Reader, Remarks
from fleet.argo.support import judge_annotations, judge_options, judge_policy
from fleet.argo.sync_policy import ignore_differences, judge_differences, problems, sync_policy
from fleet.codec.jsontypes import JsonObject
from fleet.errors import Where
from fleet.model.application import (
    Application,
    Destination,
    DirectoryOptions,
    HelmFileParameter,
    HelmOptions,
    HelmParameter,
    KustomizeOptions,
    KustomizeReplicas,
    Source,
)
from fleet.model.application import (
    Warning as SpecWarning,
)
from fleet.model.identity import AppName

_Raw = TypeVar("_Raw")
_Typed = TypeVar("_Typed")

API_VERSION = "argoproj.io/v1alpha1"
DEFAULT_NAMESPACE = "argocd"
DEFAULT_HISTORY = 10

_NOTHING: JsonObject = {}
_NO_ITEMS: list[JsonObject] = []


def read_application(document: JsonObject, *, where: Where) -> Application:
    """Read one Application; raises BadInput with the field that is wrong.

    ``where`` tells file and line of the document; fields are reported below it.
    """
    reader = Reader.of_value(document, where=where)
    application = application_from(reader)
    reader.raise_first()
    assert application is not None
    return application


def application_from(reader: Reader) -> Application | None:
    """Read an Application; what is wrong with it is in the reader, and None is returned then."""
    document = reader.check(APPLICATION)
    if document is None:
        return None
    document = normalize_application(document)
    metadata = document["metadata"]
    metadata.setdefault("namespace", DEFAULT_NAMESPACE)
    document.pop("status", None)
    document.pop("operation", None)
    for field, problem in metadata_problems(
        metadata["name"],
        metadata.get("labels", {}),
        metadata.get("annotations", {}),
        metadata.get("finalizers", ()),
    ):
        reader.error(tuple(field.split(".")), problem)
    _judge_spec(document["spec"], reader)
    if reader.is_refused:
        return None
    return build_application(document, where=reader.where, remarks=reader.remarks)


def _judge_spec(spec: JsonObject, reader: Reader) -> None:
    if not spec.get("source") and not spec.get("sources") and not spec.get("sourceHydrator"):
        reader.error(("spec",), "needs source or sources")
    namespace = spec["destination"].get("namespace", "")
    if namespace and (problem := namespace_problem(namespace)):
        reader.error(("spec", "destination", "namespace"), problem)
    for path, problem in problems(spec.get("syncPolicy") or _NOTHING):
        reader.error(("spec", "syncPolicy", *path), problem)
    if spec.get("revisionHistoryLimit", 0) < 0:
        reader.error(("spec", "revisionHistoryLimit"), "must not be negative")


def build_application(document: JsonObject, *, where: Where, remarks: Remarks) -> Application:
    """Give types to a normalised document; nothing is judged but what its values say."""
    return ApplicationBuilder(where=where).build(document, remarks)


class ApplicationBuilder:
    """Gives types to normalised documents, many of which share parts: those are read once.

    A part that is the same object as in the document before gives the same typed value.
    """

    def __init__(self, *, where: Where, appset: str = "") -> None:
        self._where = where
        self._appset = appset
        self._policy = _Last(sync_policy)
        self._source = _Last(_source)
        self._differences = _Last(ignore_differences)

    def build(self, document: JsonObject, remarks: Remarks, *, row: str = "") -> Application:
        """Return the Application of a document."""
        metadata, spec = document["metadata"], document["spec"]
        policy = self._policy.read(spec.get("syncPolicy") or _NOTHING)
        annotations = metadata.get("annotations") or _NOTHING
        remarked = (*judge_options(policy.options), *judge_policy(policy))
        ignored = self._differences.read(spec.get("ignoreDifferences") or _NO_ITEMS)
        texts = (
            *self._warnings("SyncOption", remarked),
            *self._warnings("IgnoreDifferences", judge_differences(ignored)),
        )
        return Application(
            name=AppName(metadata["name"]),
            namespace=metadata.get("namespace", DEFAULT_NAMESPACE),
            project=spec["project"],
            sources=self._sources(spec),
            destination=Destination(**spec["destination"]),
            sync_policy=policy,
            ignore_differences=ignored,
            labels=metadata.get("labels") or _NOTHING,
            annotations=annotations,
            finalizers=tuple(metadata.get("finalizers") or ()),
            appset=self._appset,
            row=row,
            history_limit=int(spec.get("revisionHistoryLimit", DEFAULT_HISTORY)),
            document=document,
            where=self._where,
            warnings=remarks.warnings + texts,
            unsupported=remarks.unsupported + judge_annotations(annotations),
        )

    def _warnings(self, reason: str, texts: Iterable[str]) -> Iterator[SpecWarning]:
        return (SpecWarning(reason=reason, message=text, where=self._where) for text in texts)

    def _sources(self, spec: JsonObject) -> tuple[Source, ...]:
        """``spec.sources``, or the one of ``spec.source``."""
        many = spec.get("sources")
        if many:
            return tuple(_source(item) for item in many)
        one = spec.get("source")
        return (self._source.read(one),) if one else ()


class _Last(Generic[_Raw, _Typed]):
    """Remembers the last part that was read."""

    __slots__ = ("_raw", "_read", "_typed")

    def __init__(self, read: Callable[[_Raw], _Typed]) -> None:
        self._read = read
        self._raw: _Raw | None = None
        self._typed: _Typed | None = None

    def read(self, raw: _Raw) -> _Typed:
        if raw is not self._raw or self._typed is None:
            self._raw, self._typed = raw, self._read(raw)
        return self._typed


def _source(source: JsonObject) -> Source:
    helm, kustomize = source.get("helm"), source.get("kustomize")
    directory = source.get("directory")
    return Source(
        repo_url=source["repoURL"],
        path=source.get("path", ""),
        target_revision=source.get("targetRevision", ""),
        chart=source.get("chart", ""),
        ref=source.get("ref", ""),
        name=source.get("name", ""),
        helm=_helm(helm) if helm is not None else None,
        kustomize=_kustomize(kustomize) if kustomize is not None else None,
        directory=_directory(directory) if directory is not None else None,
    )


def _directory(block: JsonObject) -> DirectoryOptions:
    return DirectoryOptions(
        recurse=block.get("recurse", False),
        include=block.get("include", ""),
        exclude=block.get("exclude", ""),
    )


_HELM_NAMES = {
    "ignoreMissingValueFiles": "ignore_missing_value_files",
    "values": "values",
    "valuesObject": "values_object",
    "releaseName": "release_name",
    "namespace": "namespace",
    "skipCrds": "skip_crds",
    "skipTests": "skip_tests",
    "skipSchemaValidation": "skip_schema_validation",
    "passCredentials": "pass_credentials",
    "kubeVersion": "kube_version",
}


def _helm(block: JsonObject) -> HelmOptions:
    return HelmOptions(
        **_renamed(block, _HELM_NAMES),
        value_files=tuple(block.get("valueFiles", ())),
        parameters=tuple(
            HelmParameter(
                name=item.get("name", ""),
                value=item.get("value", ""),
                force_string=item.get("forceString", False),
            )
            for item in block.get("parameters", ())
        ),
        file_parameters=tuple(
            HelmFileParameter(name=item.get("name", ""), path=item.get("path", ""))
            for item in block.get("fileParameters", ())
        ),
        api_versions=tuple(block.get("apiVersions", ())),
    )


_KUSTOMIZE_NAMES = {
    "namePrefix": "name_prefix",
    "nameSuffix": "name_suffix",
    "commonLabels": "common_labels",
    "forceCommonLabels": "force_common_labels",
    "labelWithoutSelector": "label_without_selector",
    "labelIncludeTemplates": "label_include_templates",
    "commonAnnotations": "common_annotations",
    "forceCommonAnnotations": "force_common_annotations",
    "namespace": "namespace",
    "ignoreMissingComponents": "ignore_missing_components",
    "kubeVersion": "kube_version",
}


def _kustomize(block: JsonObject) -> KustomizeOptions:
    return KustomizeOptions(
        **_renamed(block, _KUSTOMIZE_NAMES),
        images=tuple(block.get("images", ())),
        replicas=tuple(
            KustomizeReplicas(name=item["name"], count=_count(item["count"]))
            for item in block.get("replicas", ())
        ),
        patches=tuple(block.get("patches", ())),
        components=tuple(block.get("components", ())),
        api_versions=tuple(block.get("apiVersions", ())),
    )


def _renamed(block: JsonObject, names: dict[str, str]) -> dict[str, Any]:
    return {names[name]: item for name, item in block.items() if name in names}


def _count(value: int | float | str) -> int:
    try:
        return int(value)
    except ValueError:
        return 0  # as Argo CD reads an IntOrString that is no number
