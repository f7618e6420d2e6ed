"""What an API server does with an object between the request and the store.

Create, update, patch and apply: shape by schema, built-in rules, identity and preconditions, generation, managedFields, and at last
the store. Deleting is in `lifecycle`. HTTP is not known here, so that other shells (the in-memory cluster of tests) can stand on it.
"""

from __future__ import annotations

import secrets
import uuid
from collections.abc import Callable
from datetime import UTC, datetime

from fleet.codec.jsontypes import JsonObject, JsonValue
from fleet.embedded import apply, builtin, conform, errors, managed, patches
from fleet.embedded.apply import Apply
from fleet.embedded.conform import Write
from fleet.embedded.errors import Cause, Refusal
from fleet.embedded.kinds import Kind, Kinds
from fleet.embedded.lifecycle import Lifecycle
from fleet.embedded.names import check_name, new_finalizers
from fleet.embedded.schema import Node
from fleet.embedded.store import Store

_NAMESPACES = ("", "namespaces")
_SUFFIX = "bcdfghjklmnpqrstvwxz2456789"
_SYSTEM = (
    "uid",
    "creationTimestamp",
    "generation",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
    "selfLink",
)


def now() -> str:
    """The time as the API writes it."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


class Api:
    """The rules over one store."""

    def __init__(
        self, store: Store, kinds: Kinds, metadata: Node, clock: Callable[[], str] = now
    ) -> None:
        self.store = store
        self.kinds = kinds
        self.lifecycle = Lifecycle(store, kinds, clock, self.settle)
        self._metadata = metadata
        self._clock = clock

    # -- reading ------------------------------------------------------------------------------

    def find(self, kind: Kind, namespace: str, name: str) -> JsonObject | None:
        """An object as it is stored."""
        return self.store.get(kind.store_key, (namespace if kind.namespaced else "", name))

    def get(self, kind: Kind, namespace: str, name: str) -> JsonObject:
        """An object as it is stored; refused where there is none."""
        found = self.find(kind, namespace, name)
        if found is None:
            raise errors.not_found(kind.group, kind.plural, name)
        return found

    # -- writing ------------------------------------------------------------------------------

    def create(self, kind: Kind, namespace: str, body: JsonObject, write: Write) -> JsonObject:
        """Make a new object."""
        body = self._identified(kind, namespace, body)
        metadata = body["metadata"]
        name = metadata["name"]
        if metadata.get("resourceVersion"):
            raise errors.bad_request("resourceVersion should not be set on objects to be created")
        if self.find(kind, namespace, name) is not None:
            raise errors.already_exists(kind.group, kind.plural, name)
        self._check_room(kind, namespace, name)
        obj = self._born(kind, body)
        obj = conform.shaped(kind, obj, write, self._metadata)
        obj = builtin.prepare(kind, obj, None)
        self._validate(kind, obj, None)
        manager = managed.updater(write.manager, kind.api_version, write.subresource)
        bare = {**obj, "metadata": {**obj["metadata"], "managedFields": []}}
        claims = apply.updated(builtin.blank(kind), bare, kind.schema, manager, self._clock())
        return self.settle(kind, None, apply.with_claims(obj, claims), dry_run=write.dry_run)

    def update(
        self, kind: Kind, namespace: str, name: str, body: JsonObject, write: Write
    ) -> JsonObject:
        """Replace an object."""
        live = self.get(kind, namespace, name)
        if kind.is_custom and not (body.get("metadata") or {}).get("resourceVersion"):
            cause = Cause(
                reason="FieldValueInvalid",
                field="metadata.resourceVersion",
                message="Invalid value: 0: must be specified for an update",
            )
            raise errors.invalid(kind.group, kind.kind, name, [cause])
        return self._changed(kind, live, self._identified(kind, namespace, body, name), write)

    def patch(
        self,
        kind: Kind,
        namespace: str,
        name: str,
        patch: JsonValue,
        content_type: str,
        write: Write,
    ) -> JsonObject:
        """Change an object by one of the three patch types."""
        live = self.get(kind, namespace, name)
        shown = {**live, "apiVersion": kind.api_version, "kind": kind.kind}
        match content_type:
            case patches.JSON_PATCH:
                after = patches.json_patch(shown, patch)
            case patches.MERGE_PATCH:
                after = patches.merge_patch(shown, patch)
            case patches.STRATEGIC_PATCH if not kind.is_custom:
                after = patches.strategic_patch(shown, patch, kind.schema)
            case _:
                accepted = [patches.JSON_PATCH, patches.MERGE_PATCH, patches.APPLY_PATCH]
                raise errors.unsupported_media_type(", ".join(accepted))
        if not isinstance(after, dict):
            raise errors.bad_request("the patched object is no object")
        return self._changed(kind, live, self._identified(kind, namespace, after, name), write)

    def apply(
        self, kind: Kind, namespace: str, name: str, body: JsonObject, write: Write
    ) -> JsonObject:
        """Server-side apply; makes the object where there is none."""
        if not write.manager:
            raise errors.bad_request("fieldManager is required for apply patch")
        sent, body = body, self._identified(kind, namespace, body, name)
        if body["metadata"].get("managedFields"):
            raise errors.bad_request("metadata.managedFields must be nil")
        live = self.find(kind, namespace, name)
        body = conform.declared(kind, body, write, self._metadata, sent=sent)
        base = live if live is not None else self._unborn(kind, namespace, name, body, write)
        if live is not None:
            self._check_preconditions(kind, live, body)
            base = self._claimed(kind, live)
        after, claims = apply.applied(
            base,
            body,
            kind.schema,
            Apply(
                manager=managed.applier(write.manager, write.subresource),
                api_version=kind.api_version,
                force=write.force,
                now=self._clock(),
                within=_within(kind, write),
            ),
        )
        after = self._settled_status(kind, live, after, write)
        if live is None:
            after = self._born(kind, after)
        after = conform.shaped(kind, after, Write(validation="Ignore"), self._metadata)
        after = builtin.prepare(kind, after, live)
        self._validate(kind, after, live)
        return self.settle(kind, live, apply.with_claims(after, claims), dry_run=write.dry_run)

    def settle(
        self, kind: Kind, live: JsonObject | None, after: JsonObject, *, dry_run: bool = False
    ) -> JsonObject:
        """Write what has been decided: count the generation, end what waited for its last finalizer."""
        after = builtin.allocate(kind, after, live)
        if live is not None and _is_same(live, after):
            return live
        if live is not None and kind.counts_generation and _spec(live) != _spec(after):
            generation = int(live["metadata"].get("generation") or 0) + 1
            after = {**after, "metadata": {**after["metadata"], "generation": generation}}
        if dry_run:
            return after
        if live is not None and self.lifecycle.is_over(kind, after):
            return self.lifecycle.finish(kind, after)
        written = self.store.put(kind.store_key, after)
        self.lifecycle.settle()
        return self.find(kind, *_slot(written)) or written

    # -- parts --------------------------------------------------------------------------------

    def _claimed(self, kind: Kind, live: JsonObject) -> JsonObject:
        """An object that nobody owns anything of belongs to a manager of the past, once somebody applies."""
        if live["metadata"].get("managedFields"):
            return live
        manager = managed.updater("before-first-apply", kind.api_version)
        claims = apply.updated(builtin.blank(kind), live, kind.schema, manager, self._clock())
        return apply.with_claims(live, claims)

    def _changed(self, kind: Kind, live: JsonObject, after: JsonObject, write: Write) -> JsonObject:
        self._check_preconditions(kind, live, after)
        metadata = {
            key: value for key, value in after["metadata"].items() if key not in _SYSTEM
        } | {key: live["metadata"][key] for key in _SYSTEM if key in live["metadata"]}
        metadata["resourceVersion"] = live["metadata"]["resourceVersion"]
        entries = after["metadata"].get("managedFields")
        if not entries and "managedFields" in live["metadata"]:
            metadata["managedFields"] = live["metadata"]["managedFields"]
        elif entries == [{}]:
            metadata["managedFields"] = []
        after = self._settled_status(kind, live, {**after, "metadata": metadata}, write)
        after = conform.shaped(kind, after, write, self._metadata)
        after = builtin.prepare(kind, after, live)
        self._validate(kind, after, live)
        if not after["metadata"].get("managedFields"):
            # an object that nobody owns anything of stays so until somebody applies
            return self.settle(kind, live, apply.with_claims(after, {}), dry_run=write.dry_run)
        manager = managed.updater(write.manager, kind.api_version, write.subresource)
        claims = apply.updated(live, after, kind.schema, manager, self._clock())
        return self.settle(kind, live, apply.with_claims(after, claims), dry_run=write.dry_run)

    def _identified(
        self, kind: Kind, namespace: str, body: JsonObject, name: str = ""
    ) -> JsonObject:
        """The body with the name and namespace of its address; refused where they contradict it."""
        if body.get("kind", kind.kind) != kind.kind or (
            body.get("apiVersion", kind.api_version) != kind.api_version
        ):
            if not kind.is_custom and body.get("kind") != kind.kind:
                raise _other_kind(body, kind)
            raise errors.bad_request(
                f"the API version in the data ({body.get('apiVersion')}, Kind={body.get('kind')}) does not "
                f"match the expected API version ({kind.api_version}, Kind={kind.kind})"
            )
        metadata = body.get("metadata")
        metadata = dict(metadata) if isinstance(metadata, dict) else {}
        if kind.namespaced:
            if metadata.get("namespace") not in (None, "", namespace):
                raise errors.bad_request(
                    "the namespace of the provided object does not match the namespace sent on the request"
                )
            metadata["namespace"] = namespace
        else:
            metadata.pop("namespace", None)
        if name and metadata.get("name") not in (None, "", name):
            raise errors.bad_request(
                f"the name of the object ({metadata['name']}) does not match the name on the URL ({name})"
            )
        if name:
            metadata["name"] = name
        elif not metadata.get("name"):
            metadata["name"] = self._generated(kind, metadata)
        return {**body, "apiVersion": kind.api_version, "kind": kind.kind, "metadata": metadata}

    def _generated(self, kind: Kind, metadata: JsonObject) -> str:
        prefix = str(metadata.get("generateName") or "")
        if not prefix:
            cause = Cause(
                reason="FieldValueRequired",
                field="metadata.name",
                message="Required value: name or generateName is required",
            )
            raise errors.invalid(kind.group, kind.kind, "", [cause])
        return prefix[:58] + "".join(secrets.choice(_SUFFIX) for _ in range(5))

    def _check_room(self, kind: Kind, namespace: str, name: str) -> None:
        """A new object needs a namespace that exists and stays."""
        if not kind.namespaced:
            return
        home = self.store.get(_NAMESPACES, ("", namespace))
        if home is None:
            raise errors.not_found("", "namespaces", namespace)
        if home["metadata"].get("deletionTimestamp"):
            raise errors.terminating(kind.group, kind.plural, name, namespace)

    def _check_preconditions(self, kind: Kind, live: JsonObject, body: JsonObject) -> None:
        wanted, metadata = body["metadata"], live["metadata"]
        if wanted.get("uid") not in (None, "", metadata["uid"]):
            why = f"Precondition failed: UID in precondition: {wanted['uid']}, UID in object meta: {metadata['uid']}"
            raise errors.conflict(kind.group, kind.plural, metadata["name"], why)
        if wanted.get("resourceVersion") not in (None, "", metadata["resourceVersion"]):
            raise errors.stale(kind.group, kind.plural, metadata["name"])

    def _unborn(
        self, kind: Kind, namespace: str, name: str, body: JsonObject, write: Write
    ) -> JsonObject:
        if write.subresource:
            raise errors.not_found(kind.group, kind.plural, name)
        for field_name in ("uid", "resourceVersion"):
            if body["metadata"].get(field_name):
                why = (
                    f"{field_name} mismatch: the provided object specified {field_name} "
                    f"{body['metadata'][field_name]}, and no existing object was found"
                )
                raise errors.conflict(kind.group, kind.plural, name, why)
        self._check_room(kind, namespace, name)
        metadata = {"name": name} | ({"namespace": namespace} if kind.namespaced else {})
        return {"apiVersion": kind.api_version, "kind": kind.kind, "metadata": metadata}

    def _born(self, kind: Kind, body: JsonObject) -> JsonObject:
        """What the server gives every new object."""
        metadata = {
            key: value
            for key, value in body["metadata"].items()
            if key not in (*_SYSTEM, "resourceVersion")
        }
        metadata |= {"uid": str(uuid.uuid4()), "creationTimestamp": self._clock()}
        if kind.counts_generation:
            metadata["generation"] = 1
        obj = {**body, "metadata": metadata}
        if kind.has_status:
            obj.pop("status", None)
        return obj

    def _settled_status(
        self, kind: Kind, live: JsonObject | None, after: JsonObject, write: Write
    ) -> JsonObject:
        """Status and all else are written by different requests."""
        if write.subresource == "status" and live is not None:
            metadata = {
                **live["metadata"],
                "managedFields": after["metadata"].get("managedFields") or [],
            }
            rest = {key: value for key, value in live.items() if key != "status"}
            status = {"status": after["status"]} if "status" in after else {}
            return {**rest, "metadata": metadata, **status}
        if not kind.has_status or live is None:
            return after
        rest = {key: value for key, value in after.items() if key != "status"}
        return rest | ({"status": live["status"]} if "status" in live else {})

    def _validate(self, kind: Kind, obj: JsonObject, live: JsonObject | None) -> None:
        causes = check_name(kind, obj["metadata"]["name"]) if live is None else []
        causes.extend(builtin.faults(kind, obj, live))
        if live is not None:
            causes.extend(new_finalizers(obj, live))
        if causes:
            raise errors.invalid(kind.group, kind.kind, obj["metadata"]["name"], causes)


def _other_kind(body: JsonObject, kind: Kind) -> Refusal:
    """The words of a failed conversion between Go's types."""
    version = str(body.get("apiVersion")).rpartition("/")[2]
    found, wanted = str(body.get("kind")), kind.kind
    return errors.bad_request(
        f'{found} in version "{version}" cannot be handled as a {wanted}: converting ({version}.{found}) to '
        f"({kind.group.partition('.')[0] or 'core'}.{wanted}): unknown conversion"
    )


def _within(kind: Kind, write: Write) -> str:
    if write.subresource == "status":
        return "status"
    return "!status" if kind.has_status else ""


def _spec(obj: JsonObject) -> JsonObject:
    """What counts for the generation."""
    return {
        key: value for key, value in obj.items() if key not in ("metadata", "status", "apiVersion")
    }


def _slot(obj: JsonObject) -> tuple[str, str]:
    return obj["metadata"].get("namespace") or "", obj["metadata"]["name"]


def _is_same(live: JsonObject, after: JsonObject) -> bool:
    """Whether nothing but times in managedFields differs."""
    if {**live, "metadata": 0, "apiVersion": 0} != {**after, "metadata": 0, "apiVersion": 0}:
        return False
    return _timeless(live["metadata"]) == _timeless(after["metadata"])


def _timeless(metadata: JsonObject) -> JsonObject:
    entries = metadata.get("managedFields") or ()
    return {
        **{key: value for key, value in metadata.items() if key != "resourceVersion"},
        "managedFields": [{**entry, "time": ""} for entry in entries],
    }
