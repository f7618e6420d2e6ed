"""Texts to objects to artifacts: what is kept, what is taken off, and what is refused where."""

from __future__ import annotations

import pytest

from fleet.codec.canonical import digest_bytes
from fleet.errors import BadInput, Corrupt
from fleet.render import artifact, worker
from fleet.render.manifests import Text

BOUNDS = artifact.Bounds(objects=50, object_size=10_000)
CONFIG = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n"


def built(*texts: str, file: str = "a.yaml", lenient: bool = False) -> artifact.Built:
    return artifact.build(
        [Text(file=file, content=text.encode(), lenient=lenient) for text in texts], BOUNDS
    )


def test_artifact_is_canonical_and_names_kinds() -> None:
    result = built(
        "kind: Deployment\napiVersion: apps/v1\nmetadata: {name: b}\nspec: {replicas: 2.0}\n---\n"
        + CONFIG
    )
    assert result.data == (
        b'{"objects":[{"apiVersion":"apps/v1","kind":"Deployment","metadata":{"name":"b"},'
        b'"spec":{"replicas":2}},{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"a"}}]}'
    )
    assert (result.objects, result.kinds) == (2, {"/ConfigMap": 1, "apps/Deployment": 1})


def test_order_of_keys_and_comments_do_not_change_the_artifact() -> None:
    one = built(CONFIG)
    other = built("# a comment\nmetadata:\n  name: a\nkind: ConfigMap\napiVersion: v1\n---\n---\n")
    assert digest_bytes(one.data) == digest_bytes(other.data)


def test_lists_are_expanded() -> None:
    result = built(
        "apiVersion: v1\nkind: List\nitems:\n- {apiVersion: v1, kind: Secret, metadata: {name: s}}\n"
        "---\napiVersion: v1\nkind: ConfigMapList\nitems:\n- metadata: {name: c}\n"
    )
    assert [each["kind"] for each in artifact.decode(result.data)] == ["Secret", "ConfigMap"]
    assert artifact.decode(result.data)[1]["apiVersion"] == "v1"


def test_last_of_equal_objects_wins_and_is_reported() -> None:
    result = built(CONFIG + "data: {x: '1'}\n", CONFIG + "data: {x: '2'}\n")
    assert [each["data"] for each in artifact.decode(result.data)] == [{"x": "2"}]
    assert result.kinds == {"/ConfigMap": 1}
    (warning,) = result.warnings
    assert warning.reason == "RepeatedResourceWarning"
    assert "/ConfigMap:/a appears 2 times" in warning.message


def test_same_name_in_another_namespace_or_generated_is_another_object() -> None:
    job = "---\napiVersion: batch/v1\nkind: Job\nmetadata: {generateName: j-}\n"
    result = built(CONFIG, CONFIG.replace("{name: a}", "{name: a, namespace: x}"), job + job)
    assert (result.objects, result.warnings) == (4, ())


def test_what_a_cluster_added_is_taken_off() -> None:
    result = built(
        "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: a\n  uid: u\n  resourceVersion: '1'\n"
        "  creationTimestamp: null\n  generation: 3\n  managedFields: [{}]\n  selfLink: /x\n"
        "  labels: {}\n  annotations: {kubectl.kubernetes.io/last-applied-configuration: '{}'}\n"
        "status: {}\n"
    )
    assert artifact.decode(result.data) == (
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}},
    )


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        (CONFIG + "---\nkind: A\nmetadata: {name: x}\n", 5, "no apiVersion"),
        (CONFIG + "---\napiVersion: v1\nmetadata: {name: x}\n", 5, "no kind"),
        ("\napiVersion: v1\nkind: A\nmetadata: {}\n", 2, "A has no metadata.name"),
        ("apiVersion: v1\nkind: A\nspec: {}\n", 1, "A has no metadata"),
        ("apiVersion: v1\nkind: A\nmetadata: {name: 1}\n", 1, "no metadata.name"),
        ("- 1\n", 1, "is a list, not a Kubernetes object"),
        ("\na: b: c\n", 2, "not valid YAML"),
        ("apiVersion: v1\nkind: A\nmetadata: {name: x, annotations: {k: true}}\n", 1, "annotations.k is not a string"),
        ("apiVersion: v1\nkind: A\nmetadata: {name: x, namespace: 5}\n", 1, "namespace is not a string"),
        ("apiVersion: v1\nkind: A\nmetadata: {name: x}\nd: &a [1]\ne: .inf\n", 5, "no form in JSON"),
    ],
)  # fmt: skip
def test_document_that_is_no_object_is_refused_with_file_and_line(
    text: str, line: int, message: str
) -> None:
    with pytest.raises(BadInput, match=message) as caught:
        built(text)
    assert (caught.value.where.file, caught.value.where.line) == ("a.yaml", line)


def test_object_too_large_is_named() -> None:
    with pytest.raises(
        BadInput, match=r"object too large: /ConfigMap:/a has 10\d\d\d bytes"
    ) as caught:
        built(CONFIG + f"data: {{x: {'y' * 10_000}}}\n")
    assert caught.value.where.file == "a.yaml"


def test_objects_are_counted() -> None:
    many = "".join(f"---\n{CONFIG.replace('name: a', f'name: a{n}')}" for n in range(51))
    with pytest.raises(BadInput, match="more than 50 objects"):
        built(many)


def test_place_in_helm_output_is_the_template() -> None:
    output = f"---\n# Source: web/templates/a.yaml\n{CONFIG}---\n# Source: web/templates/b.yaml\nkind: X\n"
    with pytest.raises(BadInput, match="no apiVersion") as caught:
        built(output, file="")
    assert caught.value.where.file == "web/templates/b.yaml"


@pytest.mark.parametrize(
    ("text", "file"),
    [
        ("replicas: 2\nimage: x\n", "values.yaml"),
        ("{{- if .x }}\na: [\n", "x.yaml"),
        ("[1]", "x.json"),
    ],
    ids=["values", "a template", "json"],
)
def test_file_of_a_directory_that_is_no_manifest_is_left_alone_and_said(
    text: str, file: str
) -> None:
    result = built(text, file=file, lenient=True)
    assert result.objects == 0
    assert [(w.reason, w.where.file) for w in result.warnings] == [("FileIgnored", file)]


def test_file_of_a_directory_that_looks_like_a_manifest_must_be_one() -> None:
    with pytest.raises(BadInput, match="not valid YAML"):
        built("apiVersion: v1\nkind: A\nmetadata: {name: [\n", lenient=True)


def test_file_may_ask_to_be_skipped() -> None:
    assert built("# +argocd:skip-file-rendering\n" + CONFIG, lenient=True).objects == 0


def test_combined_artifacts_keep_order_and_the_last_wins() -> None:
    one = built(CONFIG, CONFIG.replace("name: a", "name: b"))
    two = built(CONFIG + "data: {x: '2'}\n")
    result = artifact.combine([one.data, two.data], BOUNDS)
    assert [e["metadata"]["name"] for e in artifact.decode(result.data)] == ["b", "a"]
    assert [w.reason for w in result.warnings] == ["RepeatedResourceWarning"]


@pytest.mark.parametrize("data", [b"", b"[]", b"{}", b'{"objects": 1}'])
def test_bytes_that_are_no_artifact_are_corrupt(data: bytes) -> None:
    with pytest.raises(Corrupt):
        artifact.decode(data)


def test_child_answers_as_the_function_does() -> None:
    texts = (Text(file="a.yaml", content=CONFIG.encode()),)
    answer = worker.decode_answer(worker.answer(worker.encode_request(texts, BOUNDS)))
    assert answer == artifact.build(texts, BOUNDS)


def test_child_sends_an_error_with_its_place() -> None:
    texts = (Text(file="a.yaml", content=b"kind: A\n"),)
    with pytest.raises(BadInput, match="no apiVersion") as caught:
        worker.decode_answer(worker.answer(worker.encode_request(texts, BOUNDS)))
    assert (caught.value.where.file, caught.value.where.line) == ("a.yaml", 1)


def test_child_that_answers_nothing_is_an_error() -> None:
    with pytest.raises(BadInput, match="the parser gave no answer"):
        worker.decode_answer(b"")
