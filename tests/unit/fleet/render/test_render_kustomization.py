"""What a kustomization refers to, field by field, and what it may not ask for."""

from __future__ import annotations

import pytest

from fleet.errors import BadInput, Denied, Unsupported
from fleet.model.application import KustomizeOptions, KustomizeReplicas
from fleet.render import kustomization
from fleet.render.kustomize_edit import edit, parse_image


def references(text: str) -> list[tuple[str, int]]:
    found = kustomization.read(text.encode(), "k/kustomization.yaml").references
    return [(each.path, each.where.line) for each in found]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("resources:\n- a.yaml\n- ../base\n", [("a.yaml", 2), ("../base", 3)]),
        ("bases: [../base]\n", [("../base", 1)]),
        ("components:\n- c\n", [("c", 2)]),
        ("crds:\n- crd.json\n", [("crd.json", 2)]),
        ("configurations:\n- names.yaml\n", [("names.yaml", 2)]),
        ("openapi:\n  path: schema.json\n", [("schema.json", 2)]),
        ("patches:\n- path: p.yaml\n- patch: |-\n    a: b\n", [("p.yaml", 2)]),
        ("patchesJson6902:\n- target: {kind: A}\n  path: j.yaml\n", [("j.yaml", 3)]),
        ("patchesStrategicMerge:\n- s.yaml\n- |-\n  a: b\n  c: d\n", [("s.yaml", 2)]),
        ("replacements:\n- path: r.yaml\n- source: {}\n", [("r.yaml", 2)]),
        ("configMapGenerator:\n- files:\n  - a.txt\n  - key=b.txt\n", [("a.txt", 2), ("b.txt", 2)]),
        ("secretGenerator:\n- envs: [a.env]\n- env: b.env\n", [("a.env", 2), ("b.env", 3)]),
        ("generators:\n- g.yaml\n", [("g.yaml", 2)]),
        ("transformers:\n- t\n", [("t", 2)]),
        ("validators:\n- v.yaml\n", [("v.yaml", 2)]),
        (
            "generators:\n- |-\n  apiVersion: builtin\n  kind: ConfigMapGenerator\n  metadata: {name: x}\n  files: [inline.txt]\n",
            [("inline.txt", 2)],
        ),
        ("images: [{name: a}]\nnamespace: x\n", []),
        ("", []),
    ],
)
def test_every_field_that_names_files(text: str, found: list[tuple[str, int]]) -> None:
    assert references(text) == found


@pytest.mark.parametrize(
    "text",
    [
        "apiVersion: v1\nkind: PatchTransformer\npath: p.yaml\n",
        "apiVersion: builtin\nkind: PatchStrategicMergeTransformer\npaths: [p.yaml]\n",
        "apiVersion: builtin\nkind: ReplacementTransformer\nreplacements: [{path: p.yaml}]\n",
    ],
)
def test_configuration_of_a_builtin_names_files(text: str) -> None:
    text = text.replace("apiVersion: v1", "apiVersion: builtin")
    found = list(kustomization.plugin_references(text, "t.yaml"))
    assert [each.path for each in found] == ["p.yaml"]


@pytest.mark.parametrize(
    ("config", "error"),
    [
        ("apiVersion: someteam.example.com/v1\nkind: ChartInflator\nmetadata: {name: x, annotations: {config.kubernetes.io/function: 'exec: {path: ./x}'}}\n", Denied),
        ("apiVersion: example.com/v1\nkind: EvilGenerator\n", Denied),
        ("apiVersion: example.com/v1\nkind: EvilTransformer\n", Denied),
        ("apiVersion: builtin\nkind: HelmChartInflationGenerator\n", Unsupported),
    ],
    ids=["exec function", "generator", "transformer", "chart"],
)  # fmt: skip
def test_configuration_that_starts_a_program_is_refused(
    config: str, error: type[Exception]
) -> None:
    with pytest.raises(error):
        list(kustomization.plugin_references(config, "t.yaml"))


def test_charts_inside_a_kustomization_are_unsupported() -> None:
    with pytest.raises(Unsupported, match="charts inside") as caught:
        references("resources: []\nhelmCharts:\n- name: x\n")
    assert (caught.value.where.file, caught.value.where.line) == ("k/kustomization.yaml", 2)


@pytest.mark.parametrize(
    ("text", "line", "field"),
    [
        ("resources: a.yaml\n", 1, "resources"),
        ("resources:\n- {path: x}\n", 2, "resources[0]"),
        ("- a\n", 1, ""),
    ],
)
def test_malformed_kustomization_names_line_and_field(text: str, line: int, field: str) -> None:
    with pytest.raises(BadInput) as caught:
        references(text)
    assert (caught.value.where.line, caught.value.where.field) == (line, field)


@pytest.mark.parametrize(
    "path",
    [
        "https://evil.example.com/x", "http://x/y.yaml", "github.com/o/r", "github.com/o/r?ref=v1",
        "git::https://x/y", "git@github.com:o/r.git", "ssh://git@x/y", "user@host:path", "x.example.com/o/r//sub?ref=a",
        "git::ssh://x", "GITHUB.COM/o/r", "file:///etc", "gh:o/r",
    ],
)  # fmt: skip
def test_remote_bases_are_recognised(path: str) -> None:
    assert kustomization.is_remote(path)


@pytest.mark.parametrize("path", ["../base", "a.yaml", "deep/er/x", "my-app"])
def test_local_paths_are_not_remote(path: str) -> None:
    assert not kustomization.is_remote(path)


def edited(text: str, **options: object) -> object:
    value = kustomization.read(text.encode(), "k.yaml").value
    components = options.pop("components", ())
    return edit(
        value,
        KustomizeOptions(**options),  # type: ignore[arg-type]  # a table of fields
        components=components,  # type: ignore[arg-type]
        substitute=lambda written: written.replace("$NAME", "web"),
    )


@pytest.mark.parametrize(
    ("text", "options", "expected"),
    [
        ("namePrefix: old-\n", {"name_prefix": "new-"}, {"namePrefix": "new-"}),
        ("", {"name_suffix": "-x", "namespace": "n"}, {"nameSuffix": "-x", "namespace": "n"}),
        (
            "images: [{name: nginx, newName: mine/nginx}]\n",
            {"images": ("nginx:1.2", "app=reg/app@sha256:1")},
            {"images": [{"name": "app", "newName": "reg/app", "digest": "sha256:1"}, {"name": "nginx", "newTag": "1.2"}]},
        ),
        (
            "images: [{name: nginx, newName: mine/nginx, newTag: '1'}]\n",
            {"images": ("nginx=*:2",)},
            {"images": [{"name": "nginx", "newName": "mine/nginx", "newTag": "2"}]},
        ),
        ("", {"images": ("app:$NAME",)}, {"images": [{"name": "app", "newTag": "web"}]}),
        (
            "replicas: [{name: a, count: 1}]\n",
            {"replicas": (KustomizeReplicas(name="a", count=3),)},
            {"replicas": [{"name": "a", "count": 3}]},
        ),
        ("commonLabels: {a: '1'}\n", {"common_labels": {"b": "$NAME"}}, {"commonLabels": {"a": "1", "b": "web"}}),
        ("commonLabels: {a: '1'}\n", {"common_labels": {"a": "2"}, "force_common_labels": True}, {"commonLabels": {"a": "2"}}),
        ("", {"common_labels": {"a": "1"}, "label_without_selector": True}, {"labels": [{"pairs": {"a": "1"}, "includeSelectors": False}]}),
        (
            "labels: [{pairs: {x: z}}]\n",
            {"common_labels": {"a": "1"}, "label_without_selector": True, "label_include_templates": True},
            {"labels": [{"pairs": {"x": "z"}}, {"pairs": {"a": "1"}, "includeSelectors": False, "includeTemplates": True}]},
        ),
        ("labels: [{pairs: {x: z}}]\n", {"common_labels": {"a": "1"}, "label_without_selector": True}, {"labels": [{"pairs": {"x": "z", "a": "1"}}]}),
        ("", {"common_annotations": {"a": "1"}}, {"commonAnnotations": {"a": "1"}}),
        ("patches: [{path: a}]\n", {"patches": ({"patch": "x"},)}, {"patches": [{"path": "a"}, {"patch": "x"}]}),
        ("components: [c]\n", {"components": ("c", "d")}, {"components": ["c", "d"]}),
        ("resources: [a]\n", {}, {"resources": ["a"]}),
    ],
)  # fmt: skip
def test_options_edit_the_kustomization_as_argo_does(
    text: str, options: dict[str, object], expected: object
) -> None:
    assert edited(text, **options) == expected


@pytest.mark.parametrize("field", ["common_labels", "common_annotations"])
def test_label_that_is_there_already_needs_force(field: str) -> None:
    with pytest.raises(BadInput, match="'a' is already in the kustomization"):
        edited("commonLabels: {a: '1'}\ncommonAnnotations: {a: '1'}\n", **{field: {"a": "2"}})


@pytest.mark.parametrize("text", ["nginx", "", "=x", ":1"])
def test_malformed_image_is_refused(text: str) -> None:
    with pytest.raises(BadInput, match="not an image override"):
        parse_image(text) if text != "=x" else parse_image("=")
