"""The fields of an ApplicationSet and of its generators, as Argo CD 3.6 knows them."""

from __future__ import annotations

from fleet.argo.fields import TEMPLATE, built, object_record, required, safe, silent, unsafe
from fleet.argo.shapes import (
    Anything,
    Field,
    Flag,
    Items,
    Record,
    Shape,
    Table,
    Text,
    Whole,
    WholeOrText,
)

_TEXTS = Items(Text())
_VALUES = Table(Text())
_WAIT = silent(requeueAfterSeconds=Whole())
_OWN_TEMPLATE = built(template=TEMPLATE)

SELECTOR = Record(
    built(
        matchLabels=Table(Text()),
        matchExpressions=Items(
            Record(required(key=Text(), operator=Text()) | built(values=_TEXTS))
        ),
    )
)

LIST = Record(built(elements=Items(Anything()), elementsYaml=Text()) | _OWN_TEMPLATE)
CLUSTERS = Record(built(selector=SELECTOR, values=_VALUES, flatList=Flag()) | _OWN_TEMPLATE)

_PATHS = Items(Record(required(path=Text()) | built(exclude=Flag())))
GIT = Record(
    required(repoURL=Text(), revision=Text())
    | built(directories=_PATHS, files=_PATHS, pathParamPrefix=Text(), values=_VALUES)
    | _WAIT
    | _OWN_TEMPLATE
)

# Generators of another issue: known by name, so that the refusal can say so; their fields are not looked into.
UNBUILT = ("scmProvider", "clusterDecisionResource", "pullRequest", "plugin")

TERMINAL: dict[str, Shape] = {
    "list": LIST,
    "clusters": CLUSTERS,
    "git": GIT,
    **dict.fromkeys(UNBUILT, Anything()),
}


def _entry(**combinations: Shape) -> Record:
    return Record(built(**TERMINAL, **combinations, selector=SELECTOR))


def _matrix(children: Record) -> Record:
    return Record(required(generators=Items(children)) | _OWN_TEMPLATE)


def _merge(children: Record) -> Record:
    return Record(required(generators=Items(children), mergeKeys=_TEXTS) | _OWN_TEMPLATE)


# A combination may hold one more; what lies deeper is not looked into, and yields nothing.
_DEEPEST = _entry(matrix=Anything(), merge=Anything())
_NESTED = _entry(matrix=_matrix(_DEEPEST), merge=_merge(_DEEPEST))
GENERATOR = _entry(matrix=_matrix(_NESTED), merge=_merge(_NESTED))

_STEP = Record(
    built(
        matchExpressions=Items(Record(built(key=Text(), operator=Text(), values=_TEXTS))),
        maxUpdate=WholeOrText(),
    )
)

SPEC = Record(
    {
        "generators": Field(shape=Items(GENERATOR), required=True, keep=True),
        "template": Field(shape=TEMPLATE, required=True, keep=True),
    }
    | built(
        goTemplate=Flag(),
        goTemplateOptions=_TEXTS,
        templatePatch=Text(),
        syncPolicy=Record(
            built(
                preserveResourcesOnDeletion=Flag(),
                applicationsSync=Text(("create-only", "create-update", "create-delete", "sync")),
            )
        ),
        preservedFields=Record(built(annotations=_TEXTS, labels=_TEXTS)),
        ignoreApplicationDifferences=Items(
            Record(built(name=Text(), jsonPointers=_TEXTS) | safe(jqPathExpressions=_TEXTS))
        ),
        strategy=Record(
            built(type=Text())
            | unsafe(rollingSync=Record(built(steps=Items(_STEP))))
            | safe(deletionOrder=Text())
        ),
    )
    | silent(applyNestedSelectors=Flag())
)

APPLICATION_SET = object_record(SPEC)
