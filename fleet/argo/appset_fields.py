"""The fields of an ApplicationSet and of its generators, as Argo CD 3.6 knows them."""

from __future__ import annotations

from fleet.argo.fields import TEMPLATE, built, object_record, required, safe, silent
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

_SECRET = Record(built(secretName=Text(), key=Text()))
_BASIC = Record(built(username=Text(), passwordRef=_SECRET))
_BEARER = Record(built(tokenRef=_SECRET))
# Trust is a matter of the hub's settings: whoever writes a set cannot lower it, and need not raise it.
_TRUST = safe(insecure=Flag(), caRef=Record(built(configMapName=Text(), key=Text())))
_API = built(api=Text())
_TOKEN = built(tokenRef=_SECRET)
_ALL = built(allBranches=Flag())
_APP = built(appSecretName=Text())

_FORGES: dict[str, Shape] = {
    "github": Record(
        required(organization=Text())
        | built(excludeArchivedRepos=Flag())
        | _API
        | _TOKEN
        | _ALL
        | _APP
    ),
    "gitlab": Record(
        required(group=Text())
        | built(includeSubgroups=Flag(), includeSharedProjects=Flag(), topic=Text())
        | built(includeArchivedRepos=Flag())
        | _API
        | _TOKEN
        | _ALL
        | _TRUST
    ),
    "bitbucket": Record(
        required(owner=Text()) | built(user=Text(), appPasswordRef=_SECRET) | _TOKEN | _ALL
    ),
    "bitbucketServer": Record(
        required(project=Text(), api=Text())
        | built(basicAuth=_BASIC, bearerToken=_BEARER)
        | _ALL
        | _TRUST
    ),
    "gitea": Record(
        required(owner=Text(), api=Text())
        | built(excludeArchivedRepos=Flag())
        | _TOKEN
        | _ALL
        | _TRUST
    ),
    "azureDevOps": Record(
        required(organization=Text(), teamProject=Text())
        | built(accessTokenRef=_SECRET)
        | _API
        | _ALL
    ),
    "awsCodeCommit": Record(
        built(tagFilters=Items(Record(required(key=Text()) | built(value=Text()))), region=Text())
        | built(role=Text())
        | _ALL
    ),
}
_PATHS_OF = built(pathsExist=_TEXTS, pathsDoNotExist=_TEXTS)
SCM = Record(
    built(
        **_FORGES,
        filters=Items(
            Record(built(repositoryMatch=Text(), labelMatch=Text(), branchMatch=Text()) | _PATHS_OF)
        ),
        cloneProtocol=Text(),
        values=_VALUES,
        requeueAfterSeconds=Whole(),
    )
    | _OWN_TEMPLATE
)

_REPOSITORY = required(owner=Text(), repo=Text())
_LABELS = built(labels=_TEXTS)
PULL_REQUEST = Record(
    built(
        github=Record(_REPOSITORY | _API | _TOKEN | _LABELS | _APP),
        gitlab=Record(
            required(project=Text())
            | built(pullRequestState=Text())
            | _API
            | _TOKEN
            | _LABELS
            | _TRUST
        ),
        gitea=Record(_REPOSITORY | required(api=Text()) | _TOKEN | _LABELS | _TRUST),
        bitbucketServer=Record(
            required(project=Text(), repo=Text(), api=Text())
            | built(basicAuth=_BASIC, bearerToken=_BEARER)
            | _TRUST
        ),
        bitbucket=Record(_REPOSITORY | _API | built(basicAuth=_BASIC, bearerToken=_BEARER)),
        azuredevops=Record(
            required(organization=Text(), project=Text(), repo=Text()) | _API | _TOKEN | _LABELS
        ),
        filters=Items(
            Record(built(branchMatch=Text(), targetBranchMatch=Text(), titleMatch=Text()))
        ),
        continueOnRepoNotFoundError=Flag(),
        values=_VALUES,
        requeueAfterSeconds=Whole(),
    )
    | _OWN_TEMPLATE
)

_CONFIG = Record(required(name=Text()))
PLUGIN = Record(
    required(configMapRef=_CONFIG)
    | built(
        input=Record(built(parameters=Table(Anything()))),
        values=_VALUES,
        requeueAfterSeconds=Whole(),
    )
    | _OWN_TEMPLATE
)

DECISION = Record(
    required(configMapRef=Text())
    | built(name=Text(), labelSelector=SELECTOR, values=_VALUES)
    | _WAIT
    | _OWN_TEMPLATE
)

TERMINAL: dict[str, Shape] = {
    "list": LIST,
    "clusters": CLUSTERS,
    "git": GIT,
    "scmProvider": SCM,
    "clusterDecisionResource": DECISION,
    "pullRequest": PULL_REQUEST,
    "plugin": PLUGIN,
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

# What an extension of this project allows: any depth. Sets without it are not judged by this.
_ANY_DEPTH: dict[str, Field] = {}
DEEP_GENERATOR = Record(_ANY_DEPTH)
_ANY_DEPTH |= _entry(matrix=_matrix(DEEP_GENERATOR), merge=_merge(DEEP_GENERATOR)).fields

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
            Record(built(name=Text(), jsonPointers=_TEXTS, jqPathExpressions=_TEXTS))
        ),
        strategy=Record(
            built(
                type=Text(),
                rollingSync=Record(built(steps=Items(_STEP))),
                deletionOrder=Text(),
            )
        ),
    )
    | silent(applyNestedSelectors=Flag())
)

APPLICATION_SET = object_record(SPEC)
