"""The verbs on resources: what a request about a kind that is served does, and what it answers."""

from __future__ import annotations

from aiohttp import web

from fleet.codec.jsontypes import JsonObject
from fleet.embedded import errors, forms, patches, scale
from fleet.embedded.answers import json_answer, success
from fleet.embedded.api import Api
from fleet.embedded.conform import Write
from fleet.embedded.errors import Cause, Refusal
from fleet.embedded.kinds import Kind
from fleet.embedded.lists import Lists
from fleet.embedded.requests import Call, as_object
from fleet.embedded.reviews import review
from fleet.embedded.watches import Watches

_PROPAGATIONS = ("Background", "Foreground", "Orphan")
_LASTING = ("default", "kube-system", "kube-public")
_OWN_SUBRESOURCES = ("", "status")
_ANSWERED_WITH_OBJECT = {
    "Namespace",
    "Pod",
    "PersistentVolumeClaim",
    "PersistentVolume",
    "ServiceAccount",
    "Node",
}


class Resources:
    """Carries requests out on one API."""

    def __init__(self, api: Api, lists: Lists, watches: Watches, messages: JsonObject) -> None:
        self._api = api
        self._lists = lists
        self._watches = watches
        self._messages = messages

    async def serve(self, call: Call, *, stalled: bool = False) -> web.StreamResponse:
        """Answer one request."""
        match call.verb:
            case "watch":
                return await self._watches.serve(call, stalled=stalled)
            case "list":
                return self._list(call)
            case "get":
                return self._get(call)
            case "create":
                return await self._create(call)
            case "update":
                return await self._update(call)
            case "patch":
                return await self._patch(call)
            case "delete":
                return await self._delete(call)
            case "deletecollection":
                return await self._delete_collection(call)
            case _:
                raise errors.method_not_allowed()

    # -- reading ------------------------------------------------------------------------------

    def _list(self, call: Call) -> web.Response:
        page = self._lists.page(
            call.kind, call.query(), limit=call.number("limit"), token=call.option("continue")
        )
        metadata: JsonObject = {"resourceVersion": str(page.version)}
        if page.token:
            metadata |= {"continue": page.token, "remainingItemCount": page.remaining}
        return json_answer(forms.many(page.items, call.kind, call.form, metadata))

    def _get(self, call: Call) -> web.Response:
        target = call.target
        obj = self._api.get(call.kind, target.namespace, target.name)
        if target.subresource == "scale":
            return json_answer(scale.of(call.kind, obj))
        if target.subresource == "log":
            # nothing runs here: every Pod is one that no node has been found for
            return web.Response(status=204)
        if target.subresource not in _OWN_SUBRESOURCES:
            raise errors.no_such_path()
        return json_answer(forms.one(obj, call.kind, call.form))

    # -- writing ------------------------------------------------------------------------------

    async def _create(self, call: Call) -> web.Response:
        body = as_object(await call.body(self._messages))
        if call.target.name:
            return self._create_below(call, body)
        if call.kind.verbs == ("create",):
            return json_answer(review(call.kind, body, call.user), status=201)
        write = call.write()
        made = self._api.create(call.kind, call.target.namespace, body, write)
        return self._written(call, made, write, status=201)

    def _create_below(self, call: Call, body: JsonObject) -> web.Response:
        target = call.target
        if not target.subresource:
            raise errors.method_not_allowed()
        if target.subresource == "eviction":
            obj = self._api.get(call.kind, target.namespace, target.name)
            self._api.lifecycle.delete(call.kind, obj, "Background", dry_run=call.write().dry_run)
            return json_answer(success("", "", "", ""), status=201)
        if target.subresource == "token":
            self._api.get(call.kind, target.namespace, target.name)
            return json_answer(review_token(body), status=201)
        raise errors.no_such_path()

    async def _update(self, call: Call) -> web.Response:
        body = as_object(await call.body(self._messages))
        target, write = call.target, call.write()
        if target.subresource == "finalize":
            return json_answer(self._finalize(call, body, write))
        if target.subresource == "scale":
            return self._scaled(call, body, write)
        made = self._api.update(call.kind, target.namespace, target.name, body, write)
        return self._written(call, made, write)

    async def _patch(self, call: Call) -> web.Response:
        body = await call.body(self._messages)
        target, write = call.target, call.write()
        if target.subresource == "scale":
            obj = self._api.get(call.kind, target.namespace, target.name)
            wanted = patches.merge_patch(scale.of(call.kind, obj), body)
            return self._scaled(call, as_object(wanted), write)
        if call.content_type == patches.APPLY_PATCH:
            if not call.option("fieldManager"):
                cause = Cause(
                    reason="FieldValueRequired",
                    field="fieldManager",
                    message="Required value: is required for apply patch",
                )
                raise errors.invalid("meta.k8s.io", "PatchOptions", "", [cause])
            known = self._api.find(call.kind, target.namespace, target.name)
            after = self._api.apply(
                call.kind, target.namespace, target.name, as_object(body), write
            )
            return self._written(call, after, write, status=200 if known else 201)
        after = self._api.patch(
            call.kind, target.namespace, target.name, body, call.content_type, write
        )
        return self._written(call, after, write)

    def _written(
        self, call: Call, obj: JsonObject, write: Write, *, status: int = 200
    ) -> web.Response:
        answer = forms.one(obj, call.kind, call.form)
        return json_answer(answer, status=status, warnings=write.warnings)

    def _scaled(self, call: Call, wanted: JsonObject, write: Write) -> web.Response:
        target = call.target
        obj = self._api.get(call.kind, target.namespace, target.name)
        patch = scale.as_patch(call.kind, wanted)
        version = (wanted.get("metadata") or {}).get("resourceVersion")
        if version:
            patch = {**patch, "metadata": {"resourceVersion": version}}
        obj = self._api.patch(
            call.kind, target.namespace, target.name, patch, patches.MERGE_PATCH, write
        )
        return json_answer(scale.of(call.kind, obj))

    def _finalize(self, call: Call, body: JsonObject, write: Write) -> JsonObject:
        live = self._api.get(call.kind, "", call.target.name)
        after = {**live, "spec": body.get("spec") or {}}
        return self._api.settle(call.kind, live, after, dry_run=write.dry_run)

    # -- deleting -----------------------------------------------------------------------------

    async def _delete(self, call: Call) -> web.Response:
        target = call.target
        options = await self._delete_options(call)
        obj = self._api.get(call.kind, target.namespace, target.name)
        if call.kind.store_key == ("", "namespaces") and target.name in _LASTING:
            message = f'namespaces "{target.name}" is forbidden: this namespace may not be deleted'
            raise Refusal(403, "Forbidden", message)
        _check_preconditions(call.kind, obj, options)
        left = self._api.lifecycle.delete(
            call.kind, obj, _propagation(call.kind, options), dry_run=_is_dry(call, options)
        )
        if left is not None:
            return json_answer(forms.one(left, call.kind, call.form))
        if call.kind.kind in _ANSWERED_WITH_OBJECT and not call.kind.is_custom:
            return json_answer(forms.one(obj, call.kind, call.form))
        kind, uid = call.kind, obj["metadata"]["uid"]
        return json_answer(success(kind.group, kind.plural, target.name, uid))

    async def _delete_collection(self, call: Call) -> web.Response:
        options = await self._delete_options(call)
        found = self._lists.select(call.kind, call.query())
        for obj in found:
            if self._api.find(
                call.kind, obj["metadata"].get("namespace") or "", obj["metadata"]["name"]
            ):
                self._api.lifecycle.delete(
                    call.kind, obj, _propagation(call.kind, options), dry_run=_is_dry(call, options)
                )
        metadata: JsonObject = {"resourceVersion": str(self._api.store.version)}
        return json_answer(forms.many(found, call.kind, call.form, metadata))

    async def _delete_options(self, call: Call) -> JsonObject:
        body = await call.body(self._messages)
        options: JsonObject = dict(body) if isinstance(body, dict) else {}
        if call.option("propagationPolicy"):
            options["propagationPolicy"] = call.option("propagationPolicy")
        return options


def review_token(body: JsonObject) -> JsonObject:
    """A token for a service account; nothing here checks it."""
    seconds = (body.get("spec") or {}).get("expirationSeconds") or 3600
    status = {"token": "embedded", "expirationTimestamp": "2099-01-01T00:00:00Z"}
    return {
        **body,
        "spec": {**(body.get("spec") or {}), "expirationSeconds": seconds},
        "status": status,
    }


def _is_dry(call: Call, options: JsonObject) -> bool:
    return call.write().dry_run or bool(options.get("dryRun"))


def _propagation(kind: Kind, options: JsonObject) -> str:
    found = options.get("propagationPolicy")
    if found:
        if found not in _PROPAGATIONS:
            raise errors.bad_request(f"propagationPolicy: not one of {', '.join(_PROPAGATIONS)}")
        return str(found)
    if options.get("orphanDependents"):
        return "Orphan"
    return "Orphan" if (kind.group, kind.kind) == ("batch", "Job") else "Background"


def _check_preconditions(kind: Kind, obj: JsonObject, options: JsonObject) -> None:
    wanted, metadata = options.get("preconditions") or {}, obj["metadata"]
    for field, name in (("uid", "UID"), ("resourceVersion", "ResourceVersion")):
        if wanted.get(field) not in (None, "", metadata[field]):
            why = f"Precondition failed: {name} in precondition: {wanted[field]}, {name} in object meta: {metadata[field]}"
            raise errors.conflict(kind.group, kind.plural, metadata["name"], why)
