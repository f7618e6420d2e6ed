"""Push and pull request events of GitHub, GitLab, Gitea (Forgejo, Gogs), Bitbucket (Cloud, Server) and Azure DevOps.

They are read as hints: which repository may have news, never what the news are. The hub asks the repository itself,
and a commit in a payload is not even read (security.md row 77). The signature is checked on the raw bytes before
anything is parsed. Pure; every input gives a `PushHint`, Denied or BadInput (rows 74-76).
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from urllib.parse import parse_qs

from fleet.codec import canonical
from fleet.codec.jsontypes import JsonValue
from fleet.errors import BadInput, Denied

_MAX_URL = 2048
_MAX_REF = 512


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookSettings:
    """The shared secrets, any of which may sign (two while one is being replaced)."""

    secrets: tuple[str, ...] = ()
    allow_unsigned: bool = False
    """Take events without a signature, only where no secret is set."""


@dataclass(frozen=True, slots=True)
class PushHint:
    """Something was pushed or asked for: all URLs that the event names its repository by, and the ref if it is one."""

    repo_urls: tuple[str, ...]
    """Empty for other events, such as a ping."""
    ref: str = ""


def read_push(headers: Mapping[str, str], body: bytes, settings: WebhookSettings) -> PushHint:
    """Check and read an event; raises Denied (unsigned, wrong signature) or BadInput (not an event)."""
    names = {name.lower(): value for name, value in headers.items()}
    provider = next((each for each in _PROVIDERS if each.event in names), None)
    _check_signature(provider, names, body, settings)
    if provider is None:
        raise BadInput(
            "not a push event of a known forge",
            hint="GitHub, GitLab, Gitea, Bitbucket and Azure DevOps webhooks with JSON are understood",
        )
    news = provider.pushes | provider.pulls
    if not provider.is_named_inside and names[provider.event].lower() not in news:
        return PushHint(())
    payload = _payload(names, body)
    if provider.is_named_inside and _named_inside(payload) not in news:
        return PushHint(())
    urls = tuple(sorted({url for url in provider.urls(payload) if _is_plausible(url)}))
    if not urls:
        raise BadInput("the push event names no repository")
    return PushHint(urls, _ref(provider.ref(payload)))


class _Proof(StrEnum):
    """How an event shows that its sender knows the secret."""

    HMAC = "hmac"
    TOKEN = "token"  # noqa: S105 - the word, no secret
    """The signature is the secret itself."""
    BASIC = "basic"
    """It is the password of basic authentication; the user name does not matter."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Provider:
    event: str
    """Header that names the event, or is there for all of them."""
    is_named_inside: bool = False
    """The payload names the event, not the header."""
    pushes: frozenset[str]
    """Its values that mean a push, in lower case."""
    pulls: frozenset[str]
    """Its values that speak of a pull request."""
    signature: tuple[str, ...]
    """Headers that may hold the signature."""
    urls: Callable[[JsonValue], Iterator[str]]
    ref: Callable[[JsonValue], JsonValue]
    proof: _Proof = _Proof.HMAC


def _check_signature(
    provider: _Provider | None, names: Mapping[str, str], body: bytes, settings: WebhookSettings
) -> None:
    if not settings.secrets:
        if settings.allow_unsigned:
            return
        raise Denied(
            "no webhook secret is set",
            hint="set webhook.secretFile, and the same secret at the forge",
        )
    given = (
        next((names[name] for name in provider.signature if name in names), "") if provider else ""
    )
    if provider is None or not given:
        raise Denied("the event is not signed", hint="set the webhook's secret at the forge")
    matches = [
        hmac.compare_digest(_expected(provider, secret, body), _given(provider, given))
        for secret in settings.secrets
    ]
    if not any(matches):
        raise Denied("the event's signature is wrong", hint="compare the secret with the forge's")


def _expected(provider: _Provider, secret: str, body: bytes) -> bytes:
    if provider.proof is _Proof.HMAC:
        return hmac.new(secret.encode(), body, hashlib.sha256).hexdigest().encode()
    return secret.encode()


def _given(provider: _Provider, text: str) -> bytes:
    if provider.proof is _Proof.BASIC:
        scheme, _, encoded = text.strip().partition(" ")
        try:
            user_and_password = base64.b64decode(encoded, validate=True)
        except ValueError:
            return b""
        return user_and_password.partition(b":")[2] if scheme.lower() == "basic" else b""
    return text.strip().removeprefix("sha256=").encode("utf-8", "surrogateescape")


def _payload(names: Mapping[str, str], body: bytes) -> JsonValue:
    if (
        names.get("content-type", "").partition(";")[0].strip()
        == "application/x-www-form-urlencoded"
    ):
        try:
            fields = parse_qs(body.decode("ascii"), max_num_fields=10)
        except ValueError as error:
            raise BadInput("the event's form cannot be read") from error
        return canonical.decode((fields.get("payload") or [""])[0])
    return canonical.decode(body)


def _at(value: JsonValue, *path: str | int) -> JsonValue:
    """Walk into a JSON value; None as soon as something is not there or of another kind."""
    for step in path:
        if isinstance(step, str):
            value = value.get(step) if isinstance(value, dict) else None
        else:
            value = value[step] if isinstance(value, list) and len(value) > step else None
    return value


def _github_urls(payload: JsonValue) -> Iterator[JsonValue]:
    for name in ("clone_url", "ssh_url", "html_url"):
        yield _at(payload, "repository", name)


def _gitlab_urls(payload: JsonValue) -> Iterator[JsonValue]:
    for holder in ("project", "repository"):
        for name in ("git_http_url", "git_ssh_url", "web_url"):
            yield _at(payload, holder, name)


def _bitbucket_urls(payload: JsonValue) -> Iterator[JsonValue]:
    target = _at(payload, "pullRequest", "toRef", "repository")
    for repository in (_at(payload, "repository"), target):
        yield _at(repository, "links", "html", "href")
        clone = _at(repository, "links", "clone")
        for index in range(min(len(clone), 10) if isinstance(clone, list) else 0):
            yield _at(clone, index, "href")


def _bitbucket_ref(payload: JsonValue) -> JsonValue:
    server = _at(payload, "changes", 0, "ref", "id") or _at(payload, "changes", 0, "refId")
    return server or _at(payload, "push", "changes", 0, "new", "name")


def _named_inside(payload: JsonValue) -> str:
    name = _at(payload, "eventType")
    if not isinstance(name, str):
        raise BadInput("the event says in no eventType what it is")
    return name.lower()


_AZURE = re.compile(
    r"https://(?:[^/@]*@)?(?:dev\.azure\.com/(?P<org>[^/]+)|(?P<old>[^./]+)\.visualstudio\.com(?:/DefaultCollection)?)"
    r"(?:/(?P<project>[^/]+))?/_git/(?P<name>[^/]+)"
)


def _azure_urls(payload: JsonValue) -> Iterator[JsonValue]:
    """Name a repository by each of the three URLs that one of Azure's has; documents may use any."""
    for field in ("remoteUrl", "webUrl", "sshUrl"):
        url = _at(payload, "resource", "repository", field)
        yield url
        found = _AZURE.fullmatch(url) if isinstance(url, str) else None
        if found is None:
            continue
        owner, name = found["org"] or found["old"], found["name"]
        project = found["project"] or name
        yield f"https://dev.azure.com/{owner}/{project}/_git/{name}"
        yield f"https://{owner}.visualstudio.com/{project}/_git/{name}"
        yield f"git@ssh.dev.azure.com:v3/{owner}/{project}/{name}"


def _azure_ref(payload: JsonValue) -> JsonValue:
    return _at(payload, "resource", "refUpdates", 0, "name")


def _plain_ref(payload: JsonValue) -> JsonValue:
    return _at(payload, "ref")


def _is_plausible(url: JsonValue) -> bool:
    return isinstance(url, str) and 0 < len(url) <= _MAX_URL and url.isprintable()


def _ref(value: JsonValue) -> str:
    return (
        value if isinstance(value, str) and len(value) <= _MAX_REF and value.isprintable() else ""
    )


_BITBUCKET_PULLS = {
    "pullrequest": ("created", "updated", "fulfilled", "rejected"),
    "pr": ("opened", "from_ref_updated", "modified", "merged", "declined", "deleted"),
}

# Gitea comes first: it sends GitHub's headers too.
_PROVIDERS = (
    *(
        _Provider(
            event=f"x-{name}-event",
            pushes=frozenset({"push", "create", "delete"}),
            pulls=frozenset({"pull_request", "pull_request_label", "pull_request_sync"}),
            signature=(f"x-{name}-signature", "x-hub-signature-256"),
            urls=_github_urls,
            ref=_plain_ref,
        )
        for name in ("forgejo", "gitea", "gogs")
    ),
    _Provider(
        event="x-github-event",
        pushes=frozenset({"push", "create", "delete"}),
        pulls=frozenset({"pull_request"}),
        signature=("x-hub-signature-256",),
        urls=_github_urls,
        ref=_plain_ref,
    ),
    _Provider(
        event="x-gitlab-event",
        pushes=frozenset({"push hook", "tag push hook", "system hook"}),
        pulls=frozenset({"merge request hook"}),
        signature=("x-gitlab-token",),
        urls=_gitlab_urls,
        ref=_plain_ref,
        proof=_Proof.TOKEN,
    ),
    _Provider(
        event="x-event-key",
        pushes=frozenset({"repo:push", "repo:refs_changed"}),
        pulls=frozenset(
            f"{word}:{what}" for word, all_ in _BITBUCKET_PULLS.items() for what in all_
        ),
        signature=("x-hub-signature",),
        urls=_bitbucket_urls,
        ref=_bitbucket_ref,
    ),
    _Provider(
        event="x-vss-activityid",
        is_named_inside=True,
        pushes=frozenset({"git.push"}),
        pulls=frozenset(
            {"git.pullrequest.created", "git.pullrequest.updated", "git.pullrequest.merged"}
        ),
        signature=("authorization",),
        urls=_azure_urls,
        ref=_azure_ref,
        proof=_Proof.BASIC,
    ),
)
