"""The plugin generator: rows that a server of the user's gives for parameters written in the set."""

from __future__ import annotations

from fleet.codec.canonical import canonical_bytes
from fleet.codec.jsontypes import JsonObject
from fleet.generators.context import Context
from fleet.generators.forges import interval
from fleet.generators.params import GeneratorError, ParamSet, flatten
from fleet.model.answers import NOT_CONFIGURED, PluginRequest
from fleet.model.world import Unavailable


def generate(config: JsonObject, context: Context) -> list[ParamSet]:
    """Return the rows in the plugin's order, each with the parameters that were asked with."""
    parameters = (config.get("input") or {}).get("parameters") or {}
    name = config["configMapRef"]["name"]
    request = PluginRequest(
        config=name,
        appset=context.appset.name,
        parameters=canonical_bytes(parameters),
        every=interval(config),
    )
    answer = context.answer(request)
    if isinstance(answer, Unavailable):
        # A plugin's settings stand where Argo CD has a ConfigMap.
        what = (
            "error fetching ConfigMap"
            if answer.reason == NOT_CONFIGURED
            else "error listing params"
        )
        raise GeneratorError(f"error getting plugin from generator: {what}: {answer.message}")
    go, engine, values = context.engine.go, context.engine, config.get("values") or {}
    rows = []
    for position, item in enumerate(answer):
        params: JsonObject = dict(item) if go else dict(flatten(item))
        params = engine.with_values(params, values)
        if go:
            params = {**params, "generator": {"input": {"parameters": parameters}}}
        else:
            params |= flatten({"generator": {"input": {"parameters": parameters}}})
        rows.append(ParamSet(params, f"plugin[{name}#{position}]"))
    return rows
