"""A commit: applied where it matters, rendered and written nowhere else."""

from __future__ import annotations

import time

from fleet.testing.audit import AGENT
from fleet.testing.fleets import Fleet, application, at, configmap, documents

SETTINGS = at("configmaps", "commit-a", "settings")


def test_a_commit_is_applied(fleet: Fleet) -> None:
    app = application(
        "commit-a", repo=fleet.repo.url, path="commit/a", cluster="staging", namespace="commit-a"
    )
    fleet.commit(
        {
            "fleet/commit-a.yaml": documents(app),
            "commit/a/settings.yaml": configmap("settings", text="one"),
        }
    )
    fleet.wait_for("staging", SETTINGS)
    fleet.wait_good("staging/commit-a")

    cursor = fleet.cursor("staging")
    pushed = fleet.commit({"commit/a/settings.yaml": configmap("settings", text="two")})
    fleet.planes["staging"].wait_for(
        SETTINGS, lambda found: bool(found and found["data"]["text"] == "two")
    )
    seconds = time.monotonic() - pushed
    print(f"push hint to applied: {seconds:.2f} s")
    assert seconds < 5

    (write,) = cursor.writes(user=AGENT, resource="configmaps", name="settings")
    assert write.verb == "patch"
    assert write.request["data"] == {"text": "two"}
    fleet.wait_good("staging/commit-a")


def test_a_commit_elsewhere_in_the_repository_renders_and_writes_nothing(fleet: Fleet) -> None:
    here, there = (
        application(
            f"commit-{name}",
            repo=fleet.repo.url,
            path=f"commit/{name}",
            cluster="staging",
            namespace=f"commit-{name}",
        )
        for name in ("here", "there")
    )
    fleet.commit(
        {
            "fleet/commit-elsewhere.yaml": documents(here, there),
            "commit/here/settings.yaml": configmap("settings", text="one"),
            "commit/there/settings.yaml": configmap("settings", text="one"),
        }
    )
    for name in ("here", "there"):
        fleet.wait_for("staging", at("configmaps", f"commit-{name}", "settings"))
    fleet.wait_good("staging/commit-here", "staging/commit-there")
    before = fleet.get("staging", at("configmaps", "commit-here", "settings"))
    renders = fleet.metric("fleet_render_renders_total")
    cursors = [fleet.cursor(name) for name in fleet.planes]

    fleet.commit({"commit/there/settings.yaml": configmap("settings", text="two")})
    fleet.planes["staging"].wait_for(
        at("configmaps", "commit-there", "settings"),
        lambda found: bool(found and found["data"]["text"] == "two"),
    )
    fleet.wait_good("staging/commit-there", "staging/commit-here")

    assert fleet.metric("fleet_render_renders_total") == renders + 1  # that of the change
    written = {str(w) for cursor in cursors for w in cursor.writes(user=AGENT)}
    own_state = {text for text in written if "/gitops-fleet/" in text}
    assert written - own_state == {"fleet-agent patch configmaps/commit-there/settings: 200"}
    assert fleet.get("staging", at("configmaps", "commit-here", "settings")) == before

    renders = fleet.metric("fleet_render_renders_total")
    fleet.commit({"elsewhere/readme.txt": "nobody's file"})
    fleet.settled()
    fleet.wait_good("staging/commit-there", "staging/commit-here")
    assert fleet.metric("fleet_render_renders_total") == renders
