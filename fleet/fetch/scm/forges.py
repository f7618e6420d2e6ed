"""Who answers what generators ask of forges and plugins: admission, credentials, and the provider for each request."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Callable, Sequence

from fleet.codec.canonical import digest_bytes
from fleet.errors import Denied, Transient, Unsupported
from fleet.fetch.http import Http
from fleet.fetch.scm import (
    azuredevops,
    bitbucket,
    bitbucketserver,
    codecommit,
    gitea,
    github,
    gitlab,
)
from fleet.fetch.scm.client import Api, Pages
from fleet.fetch.scm.files import first_line
from fleet.fetch.scm.plugins import NotConfigured, Plugins
from fleet.fetch.scm.provider import Provider
from fleet.fetch.scm.settings import Plugin, Scm
from fleet.fetch.scm.sigv4 import Credentials
from fleet.fetch.settings import ChartAccess
from fleet.fetch.urls import FetchUrl, admit, is_below
from fleet.model.answers import (
    AnswerRequest,
    BranchesRequest,
    Forge,
    PathRequest,
    PluginRequest,
    RepositoriesRequest,
    Rows,
    describe,
)
from fleet.runtime.clock import Clock

_PROVIDERS: dict[str, tuple[Callable[[Api], Provider], Callable[[str], str]]] = {
    "github": (github.GitHub, github.base),
    "gitlab": (gitlab.GitLab, gitlab.base),
    "gitea": (gitea.Gitea, gitea.base),
    "bitbucket": (bitbucket.Bitbucket, bitbucket.base),
    "bitbucketserver": (bitbucketserver.BitbucketServer, bitbucketserver.base),
    "azuredevops": (azuredevops.AzureDevOps, azuredevops.base),
}
_CODECOMMIT = "awscodecommit"


class Forges:
    """Answers requests; every failure is an error, never a part of an answer."""

    def __init__(
        self,
        http: Http,
        clock: Clock,
        *,
        scm: Scm,
        plugins: Sequence[Plugin] = (),
        access: Sequence[ChartAccess] = (),
    ) -> None:
        self._http = http
        self._clock = clock
        self._settings = scm
        self._plugins = Plugins(http, clock, plugins)
        self._access = access
        self._pages = Pages()

    async def answer(self, request: AnswerRequest) -> Rows:
        """Return all rows of an answer; raises Transient, Denied or BadInput."""
        if isinstance(request, PluginRequest):
            plugin = self._plugins.find(request.config)
            url = admit(plugin.base_url, self._http.rules)
            limit = plugin.timeout.total_seconds()
            work = self._plugins.answer(request, self._access_of(url))
        else:
            limit = self._settings.timeout.total_seconds()
            work = self._ask(request)
        try:
            async with asyncio.timeout(limit):
                return await work
        except TimeoutError as error:
            raise Transient(f"{describe(request)} took longer than {limit:g} s") from error

    async def _ask(self, request: AnswerRequest) -> Rows:
        assert not isinstance(request, PluginRequest)
        if not self._settings.enabled:
            raise Denied("scm providers are disabled", hint="scm.enabled in the hub's settings")
        provider = await self._provider(request.forge)
        if isinstance(request, RepositoriesRequest):
            return tuple(await provider.repositories(request))
        if isinstance(request, BranchesRequest):
            return tuple(await provider.branches(request))
        if isinstance(request, PathRequest):
            return ({"exists": await provider.has_path(request)},)
        return tuple(await provider.pull_requests(request))

    async def _provider(self, forge: Forge) -> Provider:
        kind = forge.provider.lower()
        if kind == _CODECOMMIT:
            return await self._codecommit(forge)
        if kind not in _PROVIDERS:
            raise Unsupported(f"provider {forge.provider!r} is not known")
        make, base_of = _PROVIDERS[kind]
        base = base_of(forge.api)
        if not base:
            raise NotConfigured(f"{forge.provider} needs api, the URL of the server")
        url = self._admitted(base)
        return make(self._api(url, await self._headers(forge, url)))

    def _api(self, url: FetchUrl, headers: dict[str, str]) -> Api:
        shown = "\n".join(f"{name}:{value}" for name, value in sorted(headers.items()))
        return Api(
            http=self._http,
            clock=self._clock,
            pages=self._pages,
            base=url,
            headers=headers,
            account=digest_bytes(shown.encode()),
            access=self._access_of(url),
        )

    def _admitted(self, base: str) -> FetchUrl:
        url = admit(base, self._http.rules)
        allowed = self._settings.allowed
        if allowed and not any(is_below(url, prefix) for prefix in allowed):
            raise Denied(
                f'scm provider "{url.shown}" not allowed, must use one of the following: '
                f"{', '.join(allowed)}"
            )
        return url

    async def _headers(self, forge: Forge, url: FetchUrl) -> dict[str, str]:
        kind = forge.provider.lower()
        headers = {"Accept": "application/json"}
        if kind == "github":
            headers = {
                "Accept": "application/vnd.github+json",
                "X-GitHub-Api-Version": "2022-11-28",
            }
        if forge.secret is None:
            return headers
        secret = await self._token(forge, url)
        match kind:
            case "gitlab":
                return {**headers, "PRIVATE-TOKEN": secret}
            case "gitea":
                return {**headers, "Authorization": f"token {secret}"}
            case "azuredevops":
                return {**headers, "Authorization": _basic("", secret)}
            case _ if forge.user:
                return {**headers, "Authorization": _basic(forge.user, secret)}
            case _:
                return {**headers, "Authorization": f"Bearer {secret}"}

    async def _token(self, forge: Forge, url: FetchUrl) -> str:
        wanted = forge.secret
        assert wanted is not None
        named = [
            item
            for item in self._settings.tokens
            if (item.secret_name, item.key) == (wanted.name, wanted.key)
        ]
        if not named:
            raise NotConfigured(
                f"secret {str(wanted)!r} has no file",
                hint="the hub reads no Secrets: write secretName, key, file and urlPrefix under "
                "scm.tokens in its settings",
            )
        for item in named:
            if is_below(url, item.url_prefix):
                return await first_line(item.file)
        raise Denied(
            f"secret {str(wanted)!r} is not for {url.shown!r}",
            hint="scm.tokens in the hub's settings says which urlPrefix may see it",
        )

    async def _codecommit(self, forge: Forge) -> Provider:
        aws = self._settings.aws
        if aws.access_key_id_file is None or aws.secret_access_key_file is None:
            raise NotConfigured(
                "awsCodeCommit needs credentials", hint="write scm.aws into the hub's settings"
            )
        credentials = Credentials(
            key_id=await first_line(aws.access_key_id_file),
            secret=await first_line(aws.secret_access_key_file),
            token=await first_line(aws.session_token_file) if aws.session_token_file else "",
        )
        region = forge.owner or aws.region
        api, tagging = (
            self._api(self._admitted(codecommit.base(name, region, aws.endpoint)), {})
            for name in ("codecommit", "tagging")
        )
        return codecommit.CodeCommit(api, tagging, region, credentials)

    def _access_of(self, url: FetchUrl) -> ChartAccess | None:
        rows = [row for row in self._access if is_below(url, row.url_prefix)]
        return max(rows, key=lambda row: len(row.url_prefix), default=None)


def _basic(user: str, secret: str) -> str:
    return f"Basic {base64.b64encode(f'{user}:{secret}'.encode()).decode()}"
