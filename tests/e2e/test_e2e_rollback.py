"""History and rollback through the command line, on real API servers."""

from __future__ import annotations

from fleet.testing.estate import wait_until
from fleet.testing.fleets import Fleet, application, at, configmap, documents


def deploy(fleet: Fleet, name: str, text: str, *, automated: bool = True) -> None:
    """Commit the next version of a one-ConfigMap application on production."""
    policy = {"automated": {"prune": True, "selfHeal": True}} if automated else {"automated": None}
    app = application(
        name, repo=fleet.repo.url, path=name, cluster="production", namespace=name, **policy
    )
    fleet.commit(
        {f"fleet/{name}.yaml": documents(app), f"{name}/a.yaml": configmap("a", text=text)}
    )


def wait_text(fleet: Fleet, name: str, text: str) -> None:
    path = at("configmaps", name, "a")
    fleet.planes["production"].wait_for(
        path, lambda found: bool(found and found["data"]["text"] == text)
    )


def history(fleet: Fleet, name: str) -> list[dict[str, object]]:
    items: list[dict[str, object]] = fleet.cli("app", "history", name, "-o", "json").json["items"]
    return items


def test_a_pinned_rollback_holds_until_somebody_syncs(fleet: Fleet) -> None:
    deploy(fleet, "back", "one")
    wait_text(fleet, "back", "one")
    fleet.wait_good("production/back")
    deploy(fleet, "back", "two")
    wait_text(fleet, "back", "two")
    fleet.wait_good("production/back")
    wait_until(lambda: len(history(fleet, "back")) == 2, what="two entries in the history")
    newest, first = history(fleet, "back")
    assert (newest["id"], first["id"]) == (2, 1)
    assert newest["current"] is True
    assert str(first["revision"]) != str(newest["revision"])
    assert first["initiatedBy"] == "automated sync"

    refused = fleet.cli("app", "rollback", "back")
    assert refused.status == 1
    assert "synced automatically" in refused.err
    assert "--pin" in refused.err

    ran = fleet.cli("app", "rollback", "back", "--pin", "--reason", "two is bad", "--wait")
    assert ran.status == 0, ran.err
    wait_text(fleet, "back", "one")
    fleet.wait_row("production/back", sync="OutOfSync", message="two is bad")
    shown = fleet.cli("app", "get", "back").text
    assert "rolled back to deployment 1" in shown

    # healed to what it was brought back to, although git says something else
    fleet.change("production", at("configmaps", "back", "a"), {"data": {"text": "mine"}})
    wait_text(fleet, "back", "one")

    deploy(fleet, "back", "three")
    fleet.settled()
    fleet.wait_row("production/back", sync="OutOfSync", message="rolled back")
    assert fleet.get("production", at("configmaps", "back", "a"))["data"]["text"] == "one"  # type: ignore[index]  # it is there

    ran = fleet.cli("app", "sync", "back", "--wait", "--timeout", "30")
    assert ran.status == 0, ran.err
    wait_text(fleet, "back", "three")
    fleet.wait_good("production/back")
    wait_until(
        lambda: [item["id"] for item in history(fleet, "back")] == [4, 3, 2, 1],
        what="the rollback and what came after it in the history",
    )
    assert history(fleet, "back")[1]["initiatedBy"] == "rollback to 1"


def test_a_manual_application_is_rolled_back_as_in_argo_cd(fleet: Fleet) -> None:
    for text in ("one", "two"):
        deploy(fleet, "hand", text, automated=False)
        fleet.settled()
        fleet.wait_row("production/hand", sync="OutOfSync")
        ran = fleet.cli("app", "sync", "hand", "--wait", "--timeout", "30")
        assert ran.status == 0, ran.err
        wait_text(fleet, "hand", text)
    wait_until(lambda: len(history(fleet, "hand")) == 2, what="two entries in the history")
    assert str(history(fleet, "hand")[0]["initiatedBy"]).startswith("sync ")
    assert fleet.cli("app", "rollback", "hand", "9").status == 1
    ran = fleet.cli("app", "rollback", "hand", "1", "--wait")
    assert ran.status == 0, ran.err
    wait_text(fleet, "hand", "one")


def test_an_application_that_git_asks_for_is_not_deleted_here(fleet: Fleet) -> None:
    deploy(fleet, "asked-for", "one")
    fleet.wait_good("production/asked-for")
    ran = fleet.cli("app", "delete", "asked-for")
    assert ran.status == 1
    assert "fleet/asked-for.yaml:1" in ran.err
    assert "remove it there" in ran.err
    assert fleet.get("production", at("configmaps", "asked-for", "a"))
