"""The fields of an Application, as Argo CD 3.6 knows them, and which of them are built here.

One table per part; `fleet.argo.shapes` explains the words. A field that is not built says whether ignoring it
is SAFE (a warning) or UNSAFE (the target is held, design decision 14).
"""

from __future__ import annotations

from collections.abc import Mapping

from fleet.argo.shapes import (
    Anything,
    Field,
    Flag,
    Items,
    Record,
    Shape,
    Support,
    Table,
    Text,
    Whole,
    WholeOrText,
)

_TEXTS = Items(Text())
_LABELS = Table(Text())


def built(**shapes: Shape) -> dict[str, Field]:
    """Fields that mean here what they mean in Argo CD."""
    return {name: Field(shape=shape) for name, shape in shapes.items()}


def required(**shapes: Shape) -> dict[str, Field]:
    """Fields that must be there, and are printed even when they are empty."""
    return {name: Field(shape=shape, required=True, keep=True) for name, shape in shapes.items()}


def kept(**shapes: Shape) -> dict[str, Field]:
    """Fields that are printed even when they are empty."""
    return {name: Field(shape=shape, keep=True) for name, shape in shapes.items()}


def silent(**shapes: Shape) -> dict[str, Field]:
    """Fields that mean nothing here, without a word about it."""
    return {name: Field(shape=shape, support=Support.SILENT) for name, shape in shapes.items()}


def safe(**shapes: Shape) -> dict[str, Field]:
    """Fields that are not built and do no harm."""
    return {name: Field(shape=shape, support=Support.SAFE) for name, shape in shapes.items()}


def unsafe(**shapes: Shape) -> dict[str, Field]:
    """Fields that are not built and must not be ignored."""
    return {name: Field(shape=shape, support=Support.UNSAFE) for name, shape in shapes.items()}


def _optional(fields: Mapping[str, Field]) -> dict[str, Field]:
    return {
        name: Field(shape=known.shape, keep=known.keep, support=known.support)
        for name, known in fields.items()
    }


HELM = Record(
    built(
        valueFiles=_TEXTS,
        ignoreMissingValueFiles=Flag(),
        values=Text(),
        valuesObject=Anything(),
        parameters=Items(Record(built(name=Text(), value=Text(), forceString=Flag()))),
        fileParameters=Items(Record(built(name=Text(), path=Text()))),
        releaseName=Text(),
        namespace=Text(),
        skipCrds=Flag(),
        skipTests=Flag(),
        skipSchemaValidation=Flag(),
        passCredentials=Flag(),
        kubeVersion=Text(),
        apiVersions=_TEXTS,
    )
    | safe(version=Text())
)

_PATCH_TARGET = Record(
    built(
        group=Text(),
        version=Text(),
        kind=Text(),
        name=Text(),
        namespace=Text(),
        annotationSelector=Text(),
        labelSelector=Text(),
    )
)

KUSTOMIZE = Record(
    built(
        namePrefix=Text(),
        nameSuffix=Text(),
        images=_TEXTS,
        replicas=Items(Record(required(name=Text(), count=WholeOrText()))),
        commonLabels=_LABELS,
        forceCommonLabels=Flag(),
        labelWithoutSelector=Flag(),
        labelIncludeTemplates=Flag(),
        commonAnnotations=_LABELS,
        forceCommonAnnotations=Flag(),
        namespace=Text(),
        patches=Items(
            Record(built(path=Text(), patch=Text(), target=_PATCH_TARGET, options=Table(Flag())))
        ),
        components=_TEXTS,
        ignoreMissingComponents=Flag(),
        kubeVersion=Text(),
        apiVersions=_TEXTS,
    )
    | safe(version=Text())
    | unsafe(commonAnnotationsEnvsubst=Flag())
)

_JSONNET_VARIABLES = Items(Record(required(name=Text(), value=Text()) | built(code=Flag())))

DIRECTORY = Record(
    built(recurse=Flag(), include=Text(), exclude=Text())
    | unsafe(
        jsonnet=Record(built(extVars=_JSONNET_VARIABLES, tlas=_JSONNET_VARIABLES, libs=_TEXTS)),
        disableExtensionFilter=Flag(),
    )
)

PLUGIN = Record(
    built(
        name=Text(),
        env=Items(Record(required(name=Text(), value=Text()))),
        parameters=Items(
            Record(built(name=Text()) | kept(string=Text(), array=_TEXTS, map=_LABELS))
        ),
    )
)

_RENDERING = built(helm=HELM, kustomize=KUSTOMIZE, directory=DIRECTORY) | unsafe(plugin=PLUGIN)

SOURCE = Record(
    required(repoURL=Text())
    | built(path=Text(), targetRevision=Text(), chart=Text(), ref=Text(), name=Text())
    | unsafe(tagPrefix=Text())
    | _RENDERING
)

_HYDRATOR = Record(
    required(
        drySource=Record(required(repoURL=Text(), targetRevision=Text(), path=Text()) | _RENDERING),
        syncSource=Record(required(targetBranch=Text(), path=Text()) | built(repoURL=Text())),
    )
    | built(hydrateTo=Record(required(targetBranch=Text())))
)

DESTINATION = Record(built(name=Text(), server=Text(), namespace=Text()))

SYNC_POLICY = Record(
    built(
        automated=Record(kept(prune=Flag(), selfHeal=Flag(), allowEmpty=Flag(), enabled=Flag())),
        syncOptions=_TEXTS,
        retry=Record(
            built(
                limit=Whole(),
                backoff=Record(built(duration=Text(), maxDuration=Text()) | kept(factor=Whole())),
                refresh=Flag(),
            )
        ),
        managedNamespaceMetadata=Record(built(labels=_LABELS, annotations=_LABELS)),
    )
)

IGNORE_DIFFERENCE = Record(
    required(kind=Text())
    | built(
        group=Text(),
        name=Text(),
        namespace=Text(),
        jsonPointers=_TEXTS,
        jqPathExpressions=_TEXTS,
        managedFieldsManagers=_TEXTS,
    )
)

SPEC = Record(
    required(destination=DESTINATION, project=Text())
    | built(
        source=SOURCE,
        sources=Items(SOURCE),
        syncPolicy=SYNC_POLICY,
        ignoreDifferences=Items(IGNORE_DIFFERENCE),
    )
    | kept(revisionHistoryLimit=Whole())
    | silent(info=Items(Record(required(name=Text(), value=Text()))))
    | {
        "sourceHydrator": Field(shape=_HYDRATOR, support=Support.UNSAFE),
    }
)

_META = built(labels=_LABELS, annotations=_LABELS, finalizers=_TEXTS, namespace=Text())

METADATA = Record(
    required(name=Text())
    | _META
    | silent(
        generateName=Text(),
        uid=Text(),
        resourceVersion=Text(),
        generation=Whole(),
        selfLink=Text(),
        creationTimestamp=Text(),
        deletionTimestamp=Text(),
        deletionGracePeriodSeconds=Whole(),
        managedFields=Anything(),
        ownerReferences=Anything(),
    )
)

_TYPE = required(apiVersion=Text(), kind=Text())

APPLICATION = Record(
    _TYPE
    | required(metadata=METADATA, spec=SPEC)
    | silent(status=Anything())
    | safe(operation=Anything())
)

TEMPLATE = Record(required(metadata=Record(built(name=Text()) | _META), spec=SPEC))
"""``spec.template`` of an ApplicationSet."""

PATCH = Record(_optional(APPLICATION.fields))
"""What a templatePatch may say."""


def object_record(spec: Record) -> Record:
    """The shape of a whole object around its spec."""
    return Record(_TYPE | required(metadata=METADATA, spec=spec) | silent(status=Anything()))
