"""The arguments of an operation."""

from __future__ import annotations

import pytest

from fleet.errors import BadInput
from fleet.model.assignment import Operation
from fleet.model.identity import ObjectRef
from fleet.sync.request import EVERYTHING, SyncRequest, Value, request_of

WEB = ObjectRef("apps", "Deployment", "shop", "web")


def asked(**arguments: Value) -> SyncRequest:
    return request_of(Operation(id="1", target="shop", kind="sync", arguments=arguments))


def test_nothing_said_is_everything_with_hooks() -> None:
    assert asked() == EVERYTHING == request_of(None)
    assert EVERYTHING.covers(WEB)
    assert not EVERYTHING.is_partial


def test_everything_said() -> None:
    assert asked(
        prune=True,
        dryRun=True,
        automated=True,
        strategy="apply",
        resources=["apps/Deployment:shop/web"],
        options=["Replace=true"],
        retryLimit=-1,
    ) == SyncRequest(
        prune=True,
        dry_run=True,
        automated=True,
        hooks=False,
        resources=(WEB,),
        options=("Replace=true",),
        retry_limit=-1,
    )


def test_a_partial_sync_runs_no_hooks() -> None:
    assert not asked(resources=["apps/Deployment:shop/web"]).hooks
    assert asked(strategy="hook").hooks


@pytest.mark.parametrize(
    ("text", "covered"),
    [
        ("apps/Deployment:shop/web", True),
        ("apps/Deployment:web", True),
        ("apps/Deployment:/web", True),
        ("apps/Deployment:other/web", False),
        ("apps/Deployment:shop/api", False),
        ("apps/StatefulSet:shop/web", False),
        ("/Deployment:shop/web", False),
    ],
)
def test_what_a_partial_sync_covers(text: str, covered: bool) -> None:
    request = asked(resources=["/ConfigMap:shop/x", text])
    assert request.is_partial
    assert request.covers(WEB) is covered


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"prune": "yes"}, "prune: must be true or false"),
        ({"dryRun": 1}, "dryRun: must be true or false"),
        ({"strategy": "canary"}, "strategy: must be one of hook, apply, not 'canary'"),
        ({"resources": "apps/Deployment:shop/web"}, "resources: must be a list of texts"),
        ({"resources": ["web"]}, "resources: 'web' names no object"),
        ({"resources": ["Deployment:shop/web"]}, "names no object"),
        ({"options": ["Replace"]}, "'Replace' is no sync option: write Name=value"),
        ({"options": ["Replase=true"]}, 'did you mean "Replace"?'),
        ({"retryLimit": True}, "retryLimit: must be a whole number"),
        ({"retryLimit": "5"}, "retryLimit: must be a whole number"),
    ],
)
def test_what_cannot_be_understood_is_named(arguments: dict[str, Value], message: str) -> None:
    with pytest.raises(BadInput) as caught:
        asked(**arguments)
    assert message in str(caught.value)
