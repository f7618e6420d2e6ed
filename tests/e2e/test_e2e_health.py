"""The fleet's own health rules: from argocd-cm in git to what an agent shows and what waits for it."""

from __future__ import annotations

from fleet.codec.jsontypes import JsonObject
from fleet.testing.estate import wait_until
from fleet.testing.fleets import Fleet, application, at, configmap, documents

LUA = """
hs = {}
if obj.status ~= nil and obj.status.lights == "green" then
  hs.status = "Healthy"
else
  hs.status = "Degraded"
  hs.message = "lights are not green"
end
return hs
"""
CEL = (
    "has(obj.status) && obj.status.lights == 'green' ? 'Healthy' "
    ": {'status': 'Suspended', 'message': 'parked'}"
)


def settings(data: JsonObject) -> JsonObject:
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "argocd-cm", "namespace": "argocd"},
        "data": data,
    }


def crd(kind: str) -> JsonObject:
    plural = f"{kind.lower()}s"
    schema: JsonObject = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.rules.example.test"},
        "spec": {
            "group": "rules.example.test",
            "scope": "Namespaced",
            "names": {"plural": plural, "kind": kind},
            "versions": [
                {
                    "name": "v1",
                    "served": True,
                    "storage": True,
                    "schema": {"openAPIV3Schema": schema},
                }
            ],
        },
    }


def custom(kind: str) -> JsonObject:
    return {"apiVersion": "rules.example.test/v1", "kind": kind, "metadata": {"name": "it"}}


def test_rules_in_git_rate_objects_and_let_waves_wait(fleet: Fleet) -> None:
    app = application(
        "ruled", repo=fleet.repo.url, path="ruled", cluster="staging", namespace="ruled"
    )
    later = configmap("later", text="hi").replace(
        "  name: later", "  name: later\n  annotations: {argocd.argoproj.io/sync-wave: '1'}"
    )
    assert "sync-wave" in later
    car, boat = (
        f"/apis/rules.example.test/v1/namespaces/ruled/{plural}/it" for plural in ("cars", "boats")
    )
    fleet.commit(
        {
            "fleet/argocd-cm.yaml": documents(
                settings(
                    {
                        "resource.customizations.health.rules.example.test_Car": LUA,
                        "gitopsfleet.health.rules.example.test_Boat": CEL,
                    }
                )
            ),
            "fleet/ruled.yaml": documents(app),
            "ruled/crds.yaml": documents(crd("Car"), crd("Boat")),
            "ruled/all.yaml": documents(custom("Car"), custom("Boat")),
            "ruled/later.yaml": later,
        }
    )
    fleet.wait_for("staging", car)
    fleet.wait_row("staging/ruled", health="Degraded", timeout=60)
    assert "lights are not green" in fleet.cli("app", "get", "ruled").text
    assert fleet.get("staging", at("configmaps", "ruled", "later")) is None

    fleet.change("staging", car, {"status": {"lights": "green"}})
    fleet.wait_row("staging/ruled", health="Suspended")
    fleet.change("staging", boat, {"status": {"lights": "green"}})
    fleet.wait_for("staging", at("configmaps", "ruled", "later"))
    fleet.wait_good("staging/ruled")

    # another rule for the same kind rates what is there, and none leaves it to the general conventions
    fleet.commit(
        {
            "fleet/argocd-cm.yaml": documents(
                settings({"gitopsfleet.health.rules.example.test_Car": "'Degraded'"})
            )
        }
    )
    fleet.wait_row("staging/ruled", health="Degraded")
    fleet.commit({"fleet/argocd-cm.yaml": None})
    fleet.wait_good("staging/ruled")


def test_a_rule_that_cannot_be_used_says_so(fleet: Fleet) -> None:
    app = application(
        "misruled", repo=fleet.repo.url, path="misruled", cluster="staging", namespace="misruled"
    )
    data = {"resource.customizations.health.rules.example.test_Truck": "while true do end"}
    fleet.commit(
        {
            "fleet/argocd-cm.yaml": documents(settings(data)),
            "fleet/misruled.yaml": documents(app),
            "misruled/all.yaml": documents(crd("Truck"), custom("Truck")),
        }
    )
    fleet.wait_row("staging/misruled", health="Unknown", timeout=60)
    wait_until(
        lambda: "takes longer than" in fleet.cli("app", "get", "misruled").text,
        timeout=60,
        what="the word of the rule",
    )
    fleet.commit({"fleet/argocd-cm.yaml": None})
    fleet.wait_good("staging/misruled")
