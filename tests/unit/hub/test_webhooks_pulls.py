"""Pull request events as hints: which repository they are about, for every forge."""

from __future__ import annotations

import json

import pytest

from fleet.codec.jsontypes import JsonObject
from hub.webhooks import PushHint, WebhookSettings, read_push

OPEN = WebhookSettings(allow_unsigned=True)
GITHUB = {"repository": {"clone_url": "https://x/acme/web.git"}, "action": "opened"}
GITLAB = {"object_kind": "merge_request", "project": {"git_http_url": "https://x/acme/web.git"}}
CLOUD = {"repository": {"links": {"html": {"href": "https://x/acme/web.git"}}}, "pullrequest": {}}
SERVER = {
    "eventKey": "pr:opened",
    "pullRequest": {
        "toRef": {"repository": {"links": {"clone": [{"href": "https://x/acme/web.git"}]}}}
    },
}


@pytest.mark.parametrize(
    ("header", "event", "payload"),
    [
        ("X-GitHub-Event", "pull_request", GITHUB),
        ("X-Gitea-Event", "pull_request", GITHUB),
        ("X-Gitea-Event", "pull_request_sync", GITHUB),
        ("X-Gitlab-Event", "Merge Request Hook", GITLAB),
        ("X-Event-Key", "pullrequest:created", CLOUD),
        ("X-Event-Key", "pr:from_ref_updated", SERVER),
    ],
)
def test_a_pull_request_names_its_repository(header: str, event: str, payload: JsonObject) -> None:
    headers = {header: event, "Content-Type": "application/json"}
    hint = read_push(headers, json.dumps(payload).encode(), OPEN)
    assert hint == PushHint(("https://x/acme/web.git",))


def test_a_comment_is_no_news() -> None:
    headers = {"X-GitHub-Event": "issue_comment", "Content-Type": "application/json"}
    assert read_push(headers, json.dumps(GITHUB).encode(), OPEN) == PushHint(())
