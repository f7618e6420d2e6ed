"""Generator plugins: one POST, and rows of parameters come back."""

from __future__ import annotations

from collections.abc import Sequence

from fleet.codec.canonical import canonical_bytes, decode
from fleet.codec.jsontypes import JsonObject, JsonValue
from fleet.errors import BadInput
from fleet.fetch.http import Http
from fleet.fetch.scm.client import Api, Pages, as_list, as_object, parsed, strange
from fleet.fetch.scm.files import first_line
from fleet.fetch.scm.settings import Plugin
from fleet.fetch.settings import ChartAccess
from fleet.fetch.urls import admit
from fleet.model.answers import NOT_CONFIGURED, PluginRequest
from fleet.runtime.clock import Clock

PATH = "api/v1/getparams.execute"
MAX_DEPTH = 200
"""Of parameters, as of YAML in a repository."""


class NotConfigured(BadInput):
    """The hub's settings lack something that a set names."""

    reason = NOT_CONFIGURED


class Plugins:
    """The plugins that settings name."""

    def __init__(self, http: Http, clock: Clock, plugins: Sequence[Plugin]) -> None:
        self._http = http
        self._clock = clock
        self._plugins = {plugin.name: plugin for plugin in plugins}

    def find(self, name: str) -> Plugin:
        """Return a plugin's settings; raises NotConfigured."""
        if name not in self._plugins:
            raise NotConfigured(
                f'ConfigMap "{name}" not found',
                hint=f"the hub reads no ConfigMaps: write {name!r} under plugins in its settings",
            )
        return self._plugins[name]

    async def answer(
        self, request: PluginRequest, access: ChartAccess | None
    ) -> tuple[JsonObject, ...]:
        """Ask a plugin; raises Transient, Denied or BadInput."""
        plugin = self.find(request.config)
        token = await first_line(plugin.token_file)
        api = Api(
            http=self._http,
            clock=self._clock,
            pages=Pages(),
            base=admit(plugin.base_url.rstrip("/"), self._http.rules),
            access=access,
        )
        body = canonical_bytes(
            {
                "applicationSetName": request.appset,
                "input": {"parameters": decode(request.parameters)},
            }
        )
        headers = {"Content-Type": "application/json", "Authorization": f"Bearer {token}"}
        answer = await api.post(api.url(PATH), body, headers)
        if answer.status != 200:
            raise BadInput(f"plugin {plugin.name!r} answers {answer.status}")
        output = as_object(parsed(answer), answer.url).get("output")
        if not isinstance(output, dict) or "parameters" not in output:
            raise strange(answer.url, "it has no output.parameters")
        rows = as_list(output["parameters"], answer.url)
        if _is_deeper(rows, MAX_DEPTH):
            raise strange(
                answer.url, f"its parameters are nested more than {MAX_DEPTH} levels deep"
            )
        return tuple(rows)


def _is_deeper(value: JsonValue, levels: int) -> bool:
    if not isinstance(value, (dict, list)):
        return False
    inner = value.values() if isinstance(value, dict) else value
    return levels == 0 or any(_is_deeper(item, levels - 1) for item in inner)
