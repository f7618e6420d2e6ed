"""Push events: who signed them, which repository they name, and nothing else."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Mapping
from urllib.parse import quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet.errors import BadInput, Denied
from hub.webhooks import PushHint, WebhookSettings, read_push

SECRET = "a secret"
SIGNED = WebhookSettings(secrets=(SECRET,))
OPEN = WebhookSettings(allow_unsigned=True)


def signature(body: bytes, secret: str = SECRET) -> str:
    return hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()


GITHUB = {
    "ref": "refs/heads/main",
    "after": "f" * 40,
    "repository": {
        "clone_url": "https://github.com/org/repo.git",
        "ssh_url": "git@github.com:org/repo.git",
        "html_url": "https://github.com/org/repo",
    },
}
GITHUB_URLS = (
    "git@github.com:org/repo.git",
    "https://github.com/org/repo",
    "https://github.com/org/repo.git",
)
GITLAB = {
    "object_kind": "push",
    "ref": "refs/tags/v1",
    "project": {
        "git_http_url": "https://gitlab.com/org/repo.git",
        "git_ssh_url": "git@gitlab.com:org/repo.git",
        "web_url": "https://gitlab.com/org/repo",
    },
}
GITLAB_URLS = (
    "git@gitlab.com:org/repo.git",
    "https://gitlab.com/org/repo",
    "https://gitlab.com/org/repo.git",
)
CLOUD = {
    "repository": {"links": {"html": {"href": "https://bitbucket.org/org/repo"}}},
    "push": {"changes": [{"new": {"type": "branch", "name": "main"}}]},
}
SERVER = {
    "repository": {
        "links": {
            "clone": [
                {"href": "https://bb.example.com/scm/org/repo.git", "name": "http"},
                {"href": "ssh://git@bb.example.com:7999/org/repo.git", "name": "ssh"},
            ]
        }
    },
    "changes": [{"ref": {"id": "refs/heads/main"}}],
}
SERVER_URLS = (
    "https://bb.example.com/scm/org/repo.git",
    "ssh://git@bb.example.com:7999/org/repo.git",
)

EVENTS = {
    "github": (
        "X-GitHub-Event",
        "push",
        "X-Hub-Signature-256",
        "sha256=",
        GITHUB,
        GITHUB_URLS,
        "refs/heads/main",
    ),
    "gitlab": (
        "X-Gitlab-Event",
        "Tag Push Hook",
        "X-Gitlab-Token",
        None,
        GITLAB,
        GITLAB_URLS,
        "refs/tags/v1",
    ),
    "gitea": (
        "X-Gitea-Event",
        "push",
        "X-Gitea-Signature",
        "",
        GITHUB,
        GITHUB_URLS,
        "refs/heads/main",
    ),
    "forgejo": (
        "X-Forgejo-Event",
        "push",
        "X-Forgejo-Signature",
        "",
        GITHUB,
        GITHUB_URLS,
        "refs/heads/main",
    ),
    "bitbucket cloud": (
        "X-Event-Key",
        "repo:push",
        "X-Hub-Signature",
        "sha256=",
        CLOUD,
        ("https://bitbucket.org/org/repo",),
        "main",
    ),
    "bitbucket server": (
        "X-Event-Key",
        "repo:refs_changed",
        "X-Hub-Signature",
        "sha256=",
        SERVER,
        SERVER_URLS,
        "refs/heads/main",
    ),
}


def event(
    name: str, *, secret: str = SECRET, payload: object = None
) -> tuple[dict[str, str], bytes]:
    header, value, signed, prefix, example, _, _ = EVENTS[name]
    body = json.dumps(example if payload is None else payload).encode()
    text = secret if prefix is None else f"{prefix}{signature(body, secret)}"
    return {header: value, signed: text, "Content-Type": "application/json"}, body


@pytest.mark.parametrize("name", EVENTS)
def test_a_signed_push_names_its_repository(name: str) -> None:
    headers, body = event(name)
    assert read_push(headers, body, SIGNED) == PushHint(EVENTS[name][5], EVENTS[name][6])
    lowered = {key.lower(): value for key, value in headers.items()}
    assert read_push(lowered, body, WebhookSettings(secrets=("new one", SECRET))).repo_urls


@pytest.mark.parametrize("name", EVENTS)
def test_a_wrong_or_missing_signature_is_denied(name: str) -> None:
    headers, body = event(name, secret="another")
    with pytest.raises(Denied, match="signature is wrong"):
        read_push(headers, body, SIGNED)
    if EVENTS[name][3] is not None:
        right, _ = event(name)
        with pytest.raises(Denied, match="signature is wrong"):
            read_push(right, body + b" ", SIGNED)
    for value in ("", "sha256=", "ä"):
        headers[EVENTS[name][2]] = value
        with pytest.raises(Denied):
            read_push(headers, body, SIGNED)
    del headers[EVENTS[name][2]]
    with pytest.raises(Denied, match="not signed"):
        read_push(headers, body, SIGNED)


@pytest.mark.parametrize("name", EVENTS)
def test_without_a_secret_events_are_refused_unless_allowed(name: str) -> None:
    headers, body = event(name)
    with pytest.raises(Denied, match="no webhook secret"):
        read_push(headers, body, WebhookSettings())
    assert read_push(headers, body, OPEN).repo_urls == EVENTS[name][5]


def test_a_secret_counts_although_unsigned_events_are_allowed() -> None:
    headers, body = event("github", secret="another")
    with pytest.raises(Denied):
        read_push(headers, body, WebhookSettings(secrets=(SECRET,), allow_unsigned=True))


def test_the_signature_is_checked_before_the_body_is_read() -> None:
    with pytest.raises(Denied):
        read_push(
            {"X-GitHub-Event": "push", "X-Hub-Signature-256": "sha256=00"}, b"{not json", SIGNED
        )
    with pytest.raises(Denied, match="not signed"):
        read_push({}, b"{not json", SIGNED)


def test_gitea_is_not_taken_for_github_by_its_other_headers() -> None:
    headers, body = event("gitea")
    headers["X-GitHub-Event"] = "push"
    assert read_push(headers, body, SIGNED).ref == "refs/heads/main"


@pytest.mark.parametrize(
    ("header", "value"),
    [
        ("X-GitHub-Event", "ping"),
        ("X-GitHub-Event", "issues"),
        ("X-Gitlab-Event", "Note Hook"),
        ("X-Event-Key", "diagnostics:ping"),
    ],
)
def test_other_events_are_no_hint(header: str, value: str) -> None:
    assert read_push({header: value}, b"whatever", OPEN) == PushHint(())


def test_a_form_is_understood() -> None:
    body = f"payload={quote_plus(json.dumps(GITHUB))}".encode()
    headers = {
        "X-GitHub-Event": "push",
        "Content-Type": "application/x-www-form-urlencoded",
        "X-Hub-Signature-256": f"sha256={signature(body)}",
    }
    assert read_push(headers, body, SIGNED).repo_urls == GITHUB_URLS
    with pytest.raises(BadInput):
        read_push(headers | {"X-GitHub-Event": "push"}, b"payload=%7B", OPEN)
    with pytest.raises(BadInput):
        read_push(headers, b"\xff\xfe", OPEN)


SHAPES: list[object] = [
    {},
    [],
    1,
    "x",
    {"repository": None},
    {"repository": []},
    {"repository": {"clone_url": 1, "links": {"clone": {"href": "x"}}}},
    {"repository": {"links": {"clone": [None, {}, {"href": None}, 5]}}, "changes": []},
    {"repository": {"links": []}, "push": {"changes": None}},
    {"repository": {"clone_url": "https://x/\n"}},
    {"repository": {"clone_url": "x" * 3000}},
    {"project": {"web_url": {}}},
]


@pytest.mark.parametrize("name", EVENTS)
@pytest.mark.parametrize("shape", SHAPES, ids=[repr(shape)[:40] for shape in SHAPES])
def test_a_payload_of_another_shape_is_bad_input(name: str, shape: object) -> None:
    headers, body = event(name, payload=shape)
    with pytest.raises(BadInput):
        read_push(headers, body, SIGNED)


@pytest.mark.parametrize(
    "body", [b"[" * 100_000, b'{"repository":' * 100_000, b"1" * 5000, b"\xff", b""]
)
def test_a_body_that_breaks_parsers_is_bad_input(body: bytes) -> None:
    with pytest.raises(BadInput):
        read_push({"X-GitHub-Event": "push"}, body, OPEN)


def test_a_ref_that_is_none_is_left_out() -> None:
    for ref in (None, 5, "x" * 600, "a\x1b[31m"):
        headers, body = event("github", payload={**GITHUB, "ref": ref})
        assert read_push(headers, body, SIGNED).ref == ""


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    "repository",
                    "project",
                    "links",
                    "clone",
                    "href",
                    "html",
                    "clone_url",
                    "web_url",
                    "ref",
                    "changes",
                    "push",
                    "new",
                    "name",
                    "id",
                ]
            )
            | st.text(max_size=3),
            inner,
            max_size=5,
        )
    ),
    max_leaves=15,
)


@given(st.sampled_from(sorted(EVENTS)), _JSON, st.booleans())
def test_any_json_gives_a_hint_or_a_typed_error(name: str, value: object, signed: bool) -> None:
    headers, body = event(name, payload=value if value is not None else {})
    _read(headers, body, SIGNED if signed else OPEN)


@given(
    st.dictionaries(
        st.sampled_from(
            [
                "X-GitHub-Event",
                "X-Gitlab-Event",
                "X-Gitea-Event",
                "X-Event-Key",
                "X-Hub-Signature",
                "X-Hub-Signature-256",
                "X-Gitlab-Token",
                "Content-Type",
            ]
        ),
        st.text(max_size=10)
        | st.sampled_from(["push", "Push Hook", "repo:push", "application/x-www-form-urlencoded"]),
    ),
    st.binary(max_size=60),
    st.booleans(),
)
def test_any_bytes_give_a_hint_or_a_typed_error(
    headers: Mapping[str, str], body: bytes, signed: bool
) -> None:
    _read(headers, body, SIGNED if signed else OPEN)


def _read(headers: Mapping[str, str], body: bytes, settings: WebhookSettings) -> None:
    try:
        hint = read_push(headers, body, settings)
    except (BadInput, Denied):
        return
    assert all(isinstance(url, str) for url in hint.repo_urls)
    assert isinstance(hint.ref, str)
