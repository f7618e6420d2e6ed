"""Service hooks of Azure DevOps: they name their event inside, and prove themselves by basic authentication."""

from __future__ import annotations

import base64
import json

import pytest

from fleet.codec.jsontypes import JsonObject
from fleet.errors import BadInput, Denied
from hub.webhooks import PushHint, WebhookSettings, read_push

SECRET = "a secret"
SIGNED = WebhookSettings(secrets=("an older one", SECRET))
REPOSITORY = {
    "id": "278d5cd2-584d-4b63-824a-2ba458937249",
    "name": "web",
    "url": "https://dev.azure.com/acme/_apis/git/repositories/278d5cd2-584d-4b63-824a-2ba458937249",
    "project": {"id": "6ce954b1-ce1f-45d1-b94d-e6bf2464ba2c", "name": "shop"},
    "defaultBranch": "refs/heads/main",
    "remoteUrl": "https://acme@dev.azure.com/acme/shop/_git/web",
}
PUSH: JsonObject = {
    "eventType": "git.push",
    "publisherId": "tfs",
    "message": {"text": "somebody pushed updates to web:main"},
    "resource": {
        "commits": [{"commitId": "33b55f7cb7e7e245323987634f960cf4a6e6bc74"}],
        "refUpdates": [
            {
                "name": "refs/heads/main",
                "oldObjectId": "aad331d8d3b131fa9ae03cf5e53965b51942618a",
                "newObjectId": "33b55f7cb7e7e245323987634f960cf4a6e6bc74",
            }
        ],
        "repository": REPOSITORY,
        "pushId": 14,
    },
    "resourceVersion": "1.0",
}
PULL: JsonObject = {
    "eventType": "git.pullrequest.created",
    "resource": {
        "repository": REPOSITORY,
        "pullRequestId": 1,
        "status": "active",
        "sourceRefName": "refs/heads/feature",
        "targetRefName": "refs/heads/main",
    },
}
URLS = (
    "git@ssh.dev.azure.com:v3/acme/shop/web",
    "https://acme.visualstudio.com/shop/_git/web",
    "https://acme@dev.azure.com/acme/shop/_git/web",
    "https://dev.azure.com/acme/shop/_git/web",
)


def basic(text: str) -> str:
    return f"Basic {base64.b64encode(text.encode()).decode()}"


def read(
    payload: object, *, proof: str | None = None, settings: WebhookSettings = SIGNED
) -> PushHint:
    headers = {
        "X-Vss-Activityid": "b4ab5b2e-8d3a-4a8c-9c0c-0f6c2f6f2a65",
        "Content-Type": "application/json; charset=utf-8",
        "Authorization": basic(f"hub:{SECRET}") if proof is None else proof,
    }
    return read_push(headers, json.dumps(payload).encode(), settings)


def test_a_push_names_its_repository_by_every_url() -> None:
    assert read(PUSH) == PushHint(URLS, "refs/heads/main")


@pytest.mark.parametrize("what", ["created", "updated", "merged"])
def test_a_pull_request_names_its_repository(what: str) -> None:
    assert read({**PULL, "eventType": f"git.pullrequest.{what}"}) == PushHint(URLS)


@pytest.mark.parametrize("event", ["build.complete", "git.repo.created", "workitem.updated"])
def test_other_events_are_no_hint(event: str) -> None:
    assert read({**PUSH, "eventType": event}) == PushHint(())


@pytest.mark.parametrize(
    ("url", "names"),
    [
        pytest.param(
            "https://acme.visualstudio.com/DefaultCollection/_git/web",
            {"https://dev.azure.com/acme/web/_git/web", "git@ssh.dev.azure.com:v3/acme/web/web"},
            id="old-host-and-the-project-of-the-same-name",
        ),
        pytest.param(
            "https://tfs.example.com/tfs/Main/shop/_git/web",
            {"https://tfs.example.com/tfs/Main/shop/_git/web"},
            id="own-server",
        ),
    ],
)
def test_other_forms_of_urls(url: str, names: set[str]) -> None:
    hint = read({**PUSH, "resource": {"repository": {"remoteUrl": url}}})
    assert {url, *names} <= set(hint.repo_urls)


@pytest.mark.parametrize(
    "proof",
    [
        pytest.param(basic("hub:another"), id="password"),
        pytest.param(basic(SECRET), id="user-only"),
        pytest.param(basic(f"{SECRET}:"), id="as-user"),
        pytest.param("Basic !", id="no-base64"),
        pytest.param(basic(f"hub:{SECRET}").replace("Basic", "Bearer"), id="scheme"),
        pytest.param(SECRET, id="plain"),
    ],
)
def test_a_wrong_password_is_denied(proof: str) -> None:
    with pytest.raises(Denied, match="signature is wrong"):
        read(PUSH, proof=proof)


def test_without_any_proof_it_is_not_signed() -> None:
    with pytest.raises(Denied, match="not signed"):
        read(PUSH, proof="")


@pytest.mark.parametrize(
    "payload",
    [{}, [], 5, {"eventType": 5}, {**PUSH, "resource": None}, {**PUSH, "resource": {"repository": []}}],
    ids=repr,
)  # fmt: skip
def test_a_payload_of_another_shape_is_bad_input(payload: object) -> None:
    with pytest.raises(BadInput):
        read(payload)
