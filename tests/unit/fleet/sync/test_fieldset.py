"""FieldsV1: whose field is what, in the forms that API servers write."""

import pytest

from fleet.codec import yamldoc
from fleet.codec.jsontypes import JsonObject
from fleet.sync import fieldset

RECORDED = yamldoc.load_one("""
apiVersion: apps/v1
kind: Deployment
metadata:
  name: web
  finalizers: [example.com/a, example.com/b]
  labels: {app: web, tier: front}
  annotations: {deployment.kubernetes.io/revision: "2", note: x}
  managedFields:
  - manager: gitops-fleet
    operation: Apply
    apiVersion: apps/v1
    fieldsType: FieldsV1
    fieldsV1:
      f:metadata:
        f:annotations: {f:note: {}}
        f:labels: {f:app: {}, f:tier: {}}
        f:finalizers: {'v:"example.com/a"': {}}
      f:spec:
        f:selector: {}
        f:template:
          f:spec:
            f:containers:
              k:{"name":"app"}:
                .: {}
                f:image: {}
                f:name: {}
                f:ports:
                  k:{"containerPort":80,"protocol":"TCP"}: {.: {}, f:containerPort: {}}
  - manager: kube-controller-manager
    operation: Update
    subresource: scale
    apiVersion: apps/v1
    fieldsV1: {f:spec: {f:replicas: {}}}
  - manager: kube-controller-manager
    operation: Update
    subresource: status
    apiVersion: apps/v1
    fieldsV1:
      f:metadata: {f:annotations: {.: {}, f:deployment.kubernetes.io/revision: {}}}
      f:status: {f:conditions: {.: {}, 'k:{"type":"Available"}': {.: {}, f:status: {}, f:type: {}}}}
  - manager: injector
    operation: Update
    apiVersion: apps/v1
    fieldsV1:
      f:metadata: {f:finalizers: {.: {}, 'v:"example.com/b"': {}}}
      f:spec:
        f:template:
          f:spec:
            f:containers:
              k:{"name":"sidecar"}: {.: {}, f:name: {}, f:image: {}}
              k:{"name":"app"}: {f:env: {.: {}, 'k:{"name":"A"}': {.: {}, f:name: {}, f:value: {}}}}
            f:tolerations: {}
            f:args: {i:1: {}}
spec:
  replicas: 5
  selector: {matchLabels: {app: web}}
  template:
    spec:
      args: [one, two, three]
      containers:
      - {name: app, image: "app:1", env: [{name: A, value: b}], ports: [{containerPort: 80}]}
      - {name: sidecar, image: "proxy:1"}
      tolerations: [{key: a, operator: Exists}]
status: {conditions: [{type: Available, status: "True"}]}
""")


def of(*managers: str, applied: bool = False) -> JsonObject:
    return fieldset.owned_by(RECORDED, managers, applied=applied)


@pytest.mark.parametrize(
    ("managers", "applied", "expected"),
    [
        (("nobody",), False, {}),
        (("kube-controller-manager",), True, {}),
        (
            ("kube-controller-manager",),
            False,
            {
                "f:spec": {"f:replicas": {}},
                "f:metadata": {
                    "f:annotations": {".": {}, "f:deployment.kubernetes.io/revision": {}}
                },
                "f:status": {
                    "f:conditions": {
                        ".": {},
                        'k:{"type":"Available"}': {".": {}, "f:status": {}, "f:type": {}},
                    }
                },
            },
        ),
    ],
    ids=["unknown manager", "no apply of it", "its subresources together"],
)
def test_owned_by(managers: tuple[str, ...], applied: bool, expected: JsonObject) -> None:
    assert of(*managers, applied=applied) == expected


def test_objects_without_a_record_are_nobodys() -> None:
    assert fieldset.owned_by({}, ("a",)) == {}
    assert fieldset.owned_by({"metadata": {"managedFields": None}}, ("a",)) == {}
    broken = {"managedFields": [1, {"manager": "a"}, {"manager": "a", "fieldsV1": None}]}
    assert fieldset.owned_by({"metadata": broken}, ("a",)) == {}


def test_union_keeps_whole_values_whole() -> None:
    whole: JsonObject = {"f:spec": {"f:selector": {}}}
    part: JsonObject = {"f:spec": {"f:selector": {"f:matchLabels": {}}, "f:replicas": {}}}
    both: JsonObject = {"f:spec": {"f:selector": {}, "f:replicas": {}}}
    assert fieldset.union(whole, part) == fieldset.union(part, whole) == both


def test_without_takes_out_what_a_manager_owns() -> None:
    rest = fieldset.without(RECORDED, of("injector", "kube-controller-manager"))
    assert rest["metadata"]["finalizers"] == ["example.com/a"]
    assert rest["metadata"]["annotations"] == {"note": "x"}
    assert "replicas" not in rest["spec"]
    assert rest["spec"]["selector"] == {"matchLabels": {"app": "web"}}
    assert rest["spec"]["template"]["spec"] == {
        "args": ["one", "three"],
        "containers": [
            {
                "name": "app",
                "image": "app:1",
                "env": [{"name": "A"}],
                "ports": [{"containerPort": 80}],
            },
            {"name": "sidecar"},
        ],
    }


def test_only_keeps_what_a_manager_owns() -> None:
    assert fieldset.only(RECORDED, of("gitops-fleet", applied=True)) == {
        "metadata": {
            "annotations": {"note": "x"},
            "labels": {"app": "web", "tier": "front"},
            "finalizers": ["example.com/a"],
        },
        "spec": {
            "selector": {"matchLabels": {"app": "web"}},
            "template": {
                "spec": {
                    "containers": [
                        {"name": "app", "image": "app:1", "ports": [{"containerPort": 80}]}
                    ]
                }
            },
        },
    }


@pytest.mark.parametrize(
    "tree",
    [
        {"f:spec": {"f:replicas": {"f:deeper": {}}}},
        {"f:spec": {"k:{broken": {}, "v:": {}, "x": {}, "i:a": {}}},
        {"f:gone": {}, "f:spec": {"f:template": {"f:spec": {"f:args": {"f:a": {}, "k:{}": {}}}}}},
    ],
    ids=["below a scalar", "no steps", "of another version"],
)
def test_trees_that_do_not_fit_take_nothing(tree: JsonObject) -> None:
    assert fieldset.without(RECORDED, tree) == RECORDED
