"""Argo CD's kustomize options as edits of the kustomization file itself. Pure.

Argo runs ``kustomize edit`` in the source's directory, so an option replaces what the file says (a prefix) or is
merged into it (images by name); an overlay on top would stack instead. The same is done here on the parsed file.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from fleet.codec.jsontypes import JsonObject
from fleet.errors import BadInput, Where
from fleet.model.application import KustomizeOptions

_TAG = re.compile(r"^(.*):([a-zA-Z0-9._-]*|\*)$", re.DOTALL)
_KEEP = "*"


def edit(
    kustomization: JsonObject,
    options: KustomizeOptions,
    *,
    components: tuple[str, ...],
    substitute: Callable[[str], str],
) -> JsonObject:
    """Return the kustomization with the options in it; ``components`` are those that exist."""
    named = {
        "namePrefix": options.name_prefix,
        "nameSuffix": options.name_suffix,
        "namespace": options.namespace,
    }
    value = {**kustomization, **{field: text for field, text in named.items() if text}}
    if options.images:
        value["images"] = _images(value.get("images") or [], map(substitute, options.images))
    if options.replicas:
        counts = {each.name: each.count for each in options.replicas}
        kept = [each for each in value.get("replicas") or [] if each.get("name") not in counts]
        value["replicas"] = [*kept, *({"name": n, "count": c} for n, c in counts.items())]
    if options.common_labels:
        labels = {name: substitute(text) for name, text in options.common_labels.items()}
        _add_labels(value, labels, options)
    if options.common_annotations:
        value["commonAnnotations"] = _merged(
            value.get("commonAnnotations"),
            options.common_annotations,
            force=options.force_common_annotations,
            field="commonAnnotations",
        )
    if options.patches:
        value["patches"] = [*(value.get("patches") or []), *options.patches]
    if components:
        present = value.get("components") or []
        value["components"] = [*present, *(c for c in components if c not in present)]
    return value


def _add_labels(value: JsonObject, labels: Mapping[str, str], options: KustomizeOptions) -> None:
    force = options.force_common_labels
    if not options.label_without_selector:
        value["commonLabels"] = _merged(
            value.get("commonLabels"), labels, force=force, field="commonLabels"
        )
        return
    groups = [dict(group) for group in value.get("labels") or []]
    templates = options.label_include_templates
    for group in groups:
        if (
            not group.get("includeSelectors", False)
            and bool(group.get("includeTemplates", False)) is templates
        ):
            group["pairs"] = _merged(group.get("pairs"), labels, force=force, field="commonLabels")
            break
    else:
        added: JsonObject = {"pairs": dict(labels), "includeSelectors": False}
        groups.append({**added, "includeTemplates": True} if templates else added)
    value["labels"] = groups


def _merged(
    present: Mapping[str, str] | None, added: Mapping[str, str], *, force: bool, field: str
) -> dict[str, str]:
    clashes = sorted(set(present or ()) & set(added))
    if clashes and not force:
        raise BadInput(
            f"{clashes[0]!r} is already in the kustomization",
            where=Where(field=f"source.kustomize.{field}"),
            hint="set forceCommonLabels or forceCommonAnnotations to replace it",
        )
    return {**(present or {}), **added}


def _images(present: list[JsonObject], written: map[str]) -> list[JsonObject]:
    images = {str(image.get("name", "")): image for image in present}
    for text in written:
        name, update = parse_image(text)
        old = images.get(name, {})
        kept = {k: old.get(k, "") if v == _KEEP else v for k, v in update.items()}
        images[name] = {"name": name, **{k: v for k, v in kept.items() if v}}
    return [images[name] for name in sorted(images)]


def parse_image(text: str) -> tuple[str, dict[str, str]]:
    """Read ``NAME=NEW:TAG``, ``NAME=NEW@DIGEST``, ``NAME:TAG`` or ``NAME@DIGEST``; raises BadInput."""
    name, equals, new = text.partition("=")
    head, tag, digest = _split(new if equals else text)
    if not head or (not equals and not tag and not digest):
        raise BadInput(
            f"not an image override: {text!r}",
            where=Where(field="source.kustomize.images"),
            hint="write NAME=NEWNAME:TAG, NAME=NEWNAME@DIGEST, NAME:TAG or NAME@DIGEST",
        )
    update = {"newName": head if equals else "", "newTag": tag, "digest": digest}
    return (name if equals else head), update


def _split(text: str) -> tuple[str, str, str]:
    if "@" in text:
        head, _, digest = text.partition("@")
        return head, "", digest
    match = _TAG.match(text)
    return (match[1], match[2], "") if match else (text, "", "")
