"""ApplicationSet documents to the model, with everything that the API server or a careful reader would refuse."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from fleet.argo.application import DEFAULT_NAMESPACE
from fleet.argo.appset_fields import APPLICATION_SET, GENERATOR
from fleet.argo.names import subdomain_problem
from fleet.argo.reading import Reader
from fleet.argo.rollingsync import read_plan, type_problem
from fleet.argo.shapes import Path, dotted, nearest
from fleet.codec.jsontypes import JsonObject, JsonValue
from fleet.errors import Where
from fleet.model.application import Warning as SpecWarning
from fleet.model.appset import ApplicationSet, ApplicationsSync, IgnoredField

GENERATORS = tuple(name for name in GENERATOR.fields if name != "selector")


def read_application_set(
    document: JsonObject, *, where: Where, follow_argo: bool = False
) -> ApplicationSet:
    """Read one ApplicationSet; raises BadInput with the field that is wrong.

    With ``follow_argo`` a generator that nobody knows and an entry without one yield nothing, as in Argo CD;
    else they are refusals, for a set that suddenly yields nothing would delete its Applications.
    """
    reader = Reader.of_value(document, where=where)
    appset = appset_from(reader, follow_argo=follow_argo)
    reader.raise_first()
    assert appset is not None
    return appset


def appset_from(reader: Reader, *, follow_argo: bool = False) -> ApplicationSet | None:
    """Read an ApplicationSet; what is wrong with it is in the reader, and None is returned then."""
    raw = reader.value
    document = reader.check(APPLICATION_SET)
    if document is None:
        return None
    metadata, spec = document["metadata"], document["spec"]
    problem = subdomain_problem(metadata["name"])
    if problem:
        reader.error(("metadata", "name"), problem)
        return None
    refusals: tuple[SpecWarning, ...] = ()
    if not follow_argo:
        refusals = tuple(_refuse(raw["spec"]["generators"], reader))
    policy, strategy = spec.get("syncPolicy", {}), spec.get("strategy", {})
    plan = read_plan(strategy, metadata.get("annotations", {}))
    strange = plan.invalid if plan else type_problem(strategy)
    if strange:
        reader.add("InvalidRolloutConfig", ("spec", "strategy"), strange, fatal=False)
    preserved = spec.get("preservedFields", {})
    return ApplicationSet(
        name=metadata["name"],
        namespace=metadata.get("namespace", DEFAULT_NAMESPACE),
        document={key: item for key, item in raw.items() if key != "status"},
        where=reader.where,
        go_template=spec.get("goTemplate", False),
        go_template_options=tuple(spec.get("goTemplateOptions", ())),
        generators=tuple(spec["generators"]),
        template=spec["template"],
        template_patch=spec.get("templatePatch"),
        preserve_resources=policy.get("preserveResourcesOnDeletion", False),
        applications_sync=ApplicationsSync(policy.get("applicationsSync") or "sync"),
        preserved_annotations=tuple(preserved.get("annotations", ())),
        preserved_labels=tuple(preserved.get("labels", ())),
        ignored_fields=tuple(
            IgnoredField(
                name=item.get("name", ""),
                json_pointers=tuple(item.get("jsonPointers", ())),
                jq_expressions=tuple(item.get("jqPathExpressions", ())),
            )
            for item in spec.get("ignoreApplicationDifferences", ())
        ),
        rollout=plan,
        warnings=reader.remarks.warnings,
        refusals=refusals,
    )


def _refuse(generators: JsonValue, reader: Reader) -> Iterator[SpecWarning]:
    for path, message in _strange_entries(generators, ("spec", "generators")):
        where = replace(reader.where, line=reader.line_of(path), field=dotted(path))
        # One word about a generator is enough: the refusal displaces the warning about an unknown field.
        reader.problems = [item for item in reader.problems if item.where.field != where.field]
        reader.add("UnknownGenerator", path, message, fatal=True)
        yield SpecWarning(reason="UnknownGenerator", message=message, where=where)


def _strange_entries(entries: JsonValue, path: Path) -> Iterator[tuple[Path, str]]:
    """Find what is no generator, at every level of matrix and merge; nobody has judged the shape of the deepest ones."""
    for position, value in enumerate(entries if isinstance(entries, list) else ()):
        here, entry = (*path, position), value or {}
        if not isinstance(entry, dict):
            yield here, "a generator must be an object"
            continue
        present = [name for name in entry if name in GENERATORS and entry[name] is not None]
        for name in entry:
            if name not in GENERATOR.fields:
                yield (*here, name), f'unknown generator "{name}"{nearest(name, GENERATORS)}'
        if not present and not set(entry) - {"selector"}:
            yield here, "the entry holds no generator"
        for name in present:
            if name in ("matrix", "merge") and isinstance(entry[name], dict):
                inner = entry[name].get("generators")
                yield from _strange_entries(inner, (*here, name, "generators"))
