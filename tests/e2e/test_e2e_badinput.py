"""Bad input: each mistake is named with object, place and exit status, and hinders nothing else.

All mistakes are in one fleet at the same time, beside an application that is fine.
"""

from __future__ import annotations

import asyncio
import getpass
import os
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from fleet.codec.jsontypes import JsonObject, JsonValue
from fleet.errors import NotReady
from fleet.testing.audit import AGENT
from fleet.testing.controlplane import ClusterSource
from fleet.testing.estate import wait_until
from fleet.testing.fleets import Fleet, application, appset, at, configmap, documents
from fleet.testing.repos import Content, GitHttpServer, RepoBuilder, Symlink
from fleet.testing.tools import Tools
from fleet.wire import api

CLUSTER = "solo"
SECRET = "not-the-right-one-7af3"
RESTRICTED: JsonObject = {
    "apiVersion": "argoproj.io/v1alpha1",
    "kind": "AppProject",
    "metadata": {"name": "narrow", "namespace": "argocd"},
    "spec": {
        "sourceRepos": ["*"],
        "destinations": [{"name": CLUSTER, "namespace": "only-here"}],
    },
}


@dataclass(kw_only=True)
class World:
    """What the files of a mistake refer to."""

    repo: str
    private: str
    """A repository behind a password; the hub has another one."""
    ssh: str
    """A repository behind a host key; the hub knows that of another host."""
    dead: str
    """A repository where nobody listens."""


@dataclass(frozen=True, kw_only=True)
class Mistake:
    """What is committed, and what ``fleet problems`` must say about it."""

    files: Callable[[World], dict[str, Content]]
    object: str
    file: str
    line: int = 1
    field: str = ""
    reason: str
    says: tuple[str, ...]
    """Parts of the message."""
    app: str = ""
    """The application that is shown with the message; empty: there is none."""
    fatal: bool = True


def app(world: World, name: str, **more: JsonValue) -> JsonObject:
    """An application on the only cluster, of the folder with its name."""
    settings: JsonObject = {
        "repo": world.repo,
        "path": f"bad/{name}",
        "cluster": CLUSTER,
        "namespace": f"bad-{name}",
        **more,
    }
    return application(name, **settings)


def files(
    name: str, *values: JsonObject, sources: Mapping[str, Content] | None = None
) -> dict[str, Content]:
    """A file of fleet documents, and sources in the folder of that name."""
    own = {"a.yaml": configmap("a", text=name)} if sources is None else sources
    found: dict[str, Content] = {f"bad/{name}/{path}": text for path, text in own.items()}
    return {f"fleet/{name}.yaml": documents(*values), **found}


TORN = "apiVersion: argoproj.io/v1alpha1\nkind: Application\nmetadata:\n  name: [torn\n"
CHART = {"Chart.yaml": "apiVersion: v2\nname: sad\nversion: 1.0.0\n"}
KUSTOMIZATION = "kind: Kustomization\nresources:\n- {}\n"
GADGET: JsonObject = {
    "apiVersion": "bad.example.com/v1",
    "kind": "Gadget",
    "metadata": {"name": "first"},
}

MISTAKES: dict[str, Mistake] = {
    "unparsable-yaml": Mistake(
        files=lambda _: {"fleet/torn.yaml": TORN},
        object="",
        file="fleet/torn.yaml",
        line=5,
        reason="InvalidYAML",
        says=("not valid YAML",),
    ),
    "unknown-project": Mistake(
        files=lambda w: files("unknown-project", app(w, "unknown-project", project="nobodys")),
        object="Application/unknown-project",
        file="fleet/unknown-project.yaml",
        field="spec.project",
        reason="InvalidSpecError",
        says=("project nobodys", "does not exist"),
        app="unknown-project",
    ),
    "destination-not-allowed": Mistake(
        files=lambda w: files("not-allowed", RESTRICTED, app(w, "not-allowed", project="narrow")),
        object="Application/not-allowed",
        file="fleet/not-allowed.yaml",
        line=documents(RESTRICTED).count("\n") + 2,
        field="spec.destination",
        reason="InvalidSpecError",
        says=("project 'narrow'", "namespace 'bad-not-allowed'"),
        app="not-allowed",
    ),
    "duplicate-names": Mistake(
        files=lambda w: {
            **files("twice", app(w, "twice")),
            "fleet/zz-twice.yaml": documents(app(w, "twice", namespace="bad-other")),
        },
        object="Application/twice",
        file="fleet/zz-twice.yaml",
        field="metadata.name",
        reason="Duplicate",
        says=("twice", "fleet/twice.yaml:1", "that one counts"),
    ),
    "template-key-missing": Mistake(
        files=lambda w: files(
            "keyless",
            appset(
                "keyless",
                [{"list": {"elements": [{"name": "one"}]}}],
                app(w, "keyless-{{.name}}-{{.colour}}"),
            ),
        ),
        object="ApplicationSet/keyless",
        file="fleet/keyless.yaml",
        field="spec.template",
        reason="RenderTemplateParamsError",
        says=('map has no entry for key "colour"',),
    ),
    "repository-unreachable": Mistake(
        files=lambda w: files("dead", app(w, "dead", repo=w.dead)),
        object="Application/dead",
        file="fleet/dead.yaml",
        field="spec.source",
        reason="Unavailable",
        says=("127.0.0.1", "cannot be reached"),
        app="dead",
    ),
    "wrong-credentials": Mistake(
        files=lambda w: files("stranger", app(w, "stranger", repo=w.private)),
        object="Application/stranger",
        file="fleet/stranger.yaml",
        field="spec.source",
        reason="Denied",
        says=("private.git", "credentials"),
        app="stranger",
    ),
    "unknown-host-key": Mistake(
        files=lambda w: files("unknown-host", app(w, "unknown-host", repo=w.ssh)),
        object="Application/unknown-host",
        file="fleet/unknown-host.yaml",
        field="spec.source",
        reason="Denied",
        says=("has an unknown host key", "SHA256:", "knownHostsFile"),
        app="unknown-host",
    ),
    "revision-unknown": Mistake(
        files=lambda w: files("no-revision", app(w, "no-revision", revision="no-such-branch")),
        object="Application/no-revision",
        file="fleet/no-revision.yaml",
        field="spec.source",
        reason="InvalidSpec",
        says=("'no-such-branch'", "revision unknown"),
        app="no-revision",
    ),
    "chart-fails": Mistake(
        files=lambda w: files(
            "sad-chart",
            app(w, "sad-chart"),
            sources={**CHART, "templates/sad.yaml": '{{ fail "replicas must be odd" }}\n'},
        ),
        object="Application/sad-chart",
        file="bad/sad-chart/templates/sad.yaml",
        reason="InvalidSpec",
        says=("replicas must be odd",),
        app="sad-chart",
    ),
    "kustomization-escapes": Mistake(
        files=lambda w: files(
            "escape",
            app(w, "escape"),
            sources={"kustomization.yaml": KUSTOMIZATION.format("../../../../etc")},
        ),
        object="Application/escape",
        file="bad/escape/kustomization.yaml",
        line=3,
        field="resources[0]",
        reason="Denied",
        says=("'../../../../etc'", "outside the repository"),
        app="escape",
    ),
    "symlink-out-of-the-repository": Mistake(
        files=lambda w: files(
            "symlink", app(w, "symlink"), sources={"a.yaml": Symlink("../../../../../etc/hostname")}
        ),
        object="Application/symlink",
        file="bad/symlink/a.yaml",
        line=0,
        reason="Denied",
        says=("outside the repository",),
        app="symlink",
    ),
    "object-too-large": Mistake(
        files=lambda w: files(
            "large", app(w, "large"), sources={"a.yaml": configmap("a", text="x" * 2_000_000)}
        ),
        object="Application/large",
        file="bad/large/a.yaml",
        reason="InvalidSpec",
        says=("object too large", "ConfigMap"),
        app="large",
    ),
    "namespace-missing": Mistake(
        files=lambda w: files("homeless", app(w, "homeless", options=())),
        object="Application/homeless",
        file="fleet/homeless.yaml",
        reason="NamespaceMissing",
        says=(f"on {CLUSTER}", '"bad-homeless" does not exist', "CreateNamespace=true"),
        app="homeless",
        fatal=False,
    ),
    "crd-not-there-yet": Mistake(
        files=lambda w: files("early", app(w, "early"), sources={"a.yaml": documents(GADGET)}),
        object="Application/early",
        file="fleet/early.yaml",
        reason="NotReady",
        says=(f"on {CLUSTER}", "kind Gadget", "CustomResourceDefinition"),
        app="early",
        fatal=False,
    ),
}


@dataclass(kw_only=True)
class Site:
    """The fleet with all mistakes in it."""

    fleet: Fleet
    world: World
    secret: str


@pytest.fixture(scope="module")
def site(
    control_planes: ClusterSource, tools: Tools, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("badinput")
    private = RepoBuilder(folder / "served" / "private.git")
    private.commit({"a.yaml": configmap("a", text="private")})
    (folder / "password").write_text(SECRET)
    plane = control_planes.start("solo", audit=True)
    with serving(folder / "served") as http, sshd(folder / "sshd") as port:
        access: list[JsonObject] = [
            {"urlPrefix": http, "passwordFile": str(folder / "password")},
            {
                "urlPrefix": f"ssh://{getpass.getuser()}@127.0.0.1:{port}/",
                "sshKeyFile": str(folder / "sshd" / "user"),
                "knownHostsFile": str(folder / "sshd" / "known_hosts"),
            },
        ]
        fleet = Fleet.start(
            folder / "estate",
            {CLUSTER: plane},
            environment=tools.environment(),
            hub={"access": access},
        )
        with fleet:
            world = World(
                repo=fleet.repo.url,
                private=f"{http}/private.git",
                ssh=f"ssh://{getpass.getuser()}@127.0.0.1:{port}{private.path}",
                dead=f"http://127.0.0.1:{unused_port()}/dead.git",
            )
            wrong = {
                path: text
                for mistake in MISTAKES.values()
                for path, text in mistake.files(world).items()
            }
            fleet.commit({**wrong, **files("fine", app(world, "fine"))})
            yield Site(fleet=fleet, world=world, secret=SECRET)
    plane.stop()


@pytest.mark.parametrize("mistake", MISTAKES.values(), ids=MISTAKES.keys())
def test_a_mistake_is_named_with_its_place(site: Site, mistake: Mistake) -> None:
    fleet = site.fleet

    def matching() -> list[api.ProblemRow]:
        rows = fleet.estate.call("GET", "problems", api.ProblemList).items
        return [
            row
            for row in rows
            if row.object == mistake.object
            and row.file.endswith(mistake.file)
            and all(part in row.message for part in mistake.says)
        ]

    try:
        found = wait_until(matching, what="the problem", timeout=40, poll=0.1)
    except NotReady as error:
        error.add_note(fleet.cli("problems").text)
        raise
    (row,) = found
    assert (row.line, row.field, row.reason) == (mistake.line, mistake.field, mistake.reason)
    assert row.fatal == mistake.fatal

    if mistake.app:
        target = f"{CLUSTER}/{mistake.app}"
        for part in mistake.says[1 if mistake.says[0] == f"on {CLUSTER}" else 0 :]:
            fleet.wait_row(target, message=part)
        app_row = fleet.estate.apps()[target]
        assert app_row.sync != "Synced"
        waited = fleet.cli("app", "wait", mistake.app, "--timeout", "0.1")
        assert waited.status == 1
        assert f"{target}: {app_row.sync}" in waited.err


def test_the_command_lists_all_mistakes_with_their_places(site: Site) -> None:
    def are_all_there() -> bool:
        rows = site.fleet.estate.call("GET", "problems", api.ProblemList).items
        there = {row.object for row in rows}
        return there >= {mistake.object for mistake in MISTAKES.values()}

    wait_until(are_all_there, what="all problems", timeout=40, poll=0.1)
    shown = site.fleet.cli("problems")
    assert shown.status == 1
    assert not shown.err
    for mistake in MISTAKES.values():
        place = f"{mistake.file}:{mistake.line}" if mistake.line else mistake.file
        (line,) = [text for text in shown.out.splitlines() if text.split("  ")[0].endswith(place)]
        assert all(part in line for part in (mistake.object, mistake.field, mistake.reason))
        assert all(part in line for part in mistake.says)

    listed = site.fleet.cli("app", "list")
    assert listed.status == 0
    for mistake in MISTAKES.values():
        if mistake.app:
            (line,) = [t for t in listed.out.splitlines() if t.startswith(f"{mistake.app} ")]
            assert mistake.says[-1] in line


def test_an_application_set_that_fails_is_listed_with_its_error(site: Site) -> None:
    def row() -> JsonObject | None:
        rows = site.fleet.cli("appset", "list", "-o", "json").json["items"]
        return next((row for row in rows if row["name"] == "keyless"), None)

    found = wait_until(row, what="the set")
    assert found is not None
    assert found["reason"] == "RenderTemplateParamsError"
    assert 'map has no entry for key "colour"' in found["errors"][0]
    assert found["applications"] == []


def test_repositories_are_listed_with_what_is_wrong_with_them(site: Site) -> None:
    def errors() -> dict[str, str]:
        rows = site.fleet.estate.call("GET", "repositories", api.RepositoryList).items
        return {row.url: row.error for row in rows if row.error}

    wrong = {site.world.dead, site.world.private, site.world.ssh}
    wait_until(lambda: errors().keys() >= wrong, what="three repositories with errors")
    assert site.world.repo not in errors()
    listed = site.fleet.cli("repositories")
    assert listed.status == 0
    assert "cannot be reached" in listed.text


def test_what_is_right_is_deployed_beside_all_mistakes(site: Site) -> None:
    fleet = site.fleet
    fleet.wait_for(CLUSTER, at("configmaps", "bad-fine", "a"))
    fleet.wait_for(CLUSTER, at("configmaps", "bad-twice", "a"))
    fleet.wait_good(f"{CLUSTER}/fine", f"{CLUSTER}/twice")

    pushed = fleet.commit({"bad/fine/a.yaml": configmap("a", text="changed")})
    fleet.planes[CLUSTER].wait_for(
        at("configmaps", "bad-fine", "a"),
        lambda found: bool(found and found["data"]["text"] == "changed"),
    )
    seconds = time.monotonic() - pushed
    print(f"push hint to applied, beside all mistakes: {seconds:.2f} s")
    assert seconds < 5

    written = fleet.planes[CLUSTER].get(
        "/api/v1/configmaps?labelSelector=gitopsfleet.io/owned=true"
    )
    assert written is not None
    names = {item["metadata"]["namespace"] for item in written["items"]}
    assert names <= {"bad-fine", "bad-twice", *(f"bad-{name}" for name in MENDED)}


def test_no_secret_and_no_traceback_is_said(site: Site) -> None:
    wait_until(
        lambda: "stranger" in {row.name for row in site.fleet.estate.apps().values()},
        what="the application with the wrong password",
    )
    said = [
        site.fleet.cli(*words).text
        for words in (("problems",), ("repositories",), ("app", "list"), ("app", "get", "stranger"))
    ]
    said.append(site.fleet.estate.hub.log.read_text())
    assert not any(site.secret in text for text in said)
    assert not any("Traceback" in text for text in said)


MENDED = ("moves-in", "waits", "kept")


def test_an_application_moves_in_when_its_namespace_comes(site: Site) -> None:
    fleet = site.fleet
    fleet.commit(files("moves-in", app(site.world, "moves-in", options=())))
    fleet.wait_row(f"{CLUSTER}/moves-in", message="CreateNamespace=true")

    namespace: JsonObject = {"metadata": {"name": "bad-moves-in"}}
    assert fleet.planes[CLUSTER].request("POST", "/api/v1/namespaces", namespace).is_success()
    came = time.monotonic()
    fleet.wait_for(CLUSTER, at("configmaps", "bad-moves-in", "a"))
    print(f"applied {time.monotonic() - came:.2f} s after its namespace came")
    fleet.wait_good(f"{CLUSTER}/moves-in")


def test_an_application_is_completed_when_its_crd_comes(site: Site) -> None:
    fleet = site.fleet
    late: JsonObject = {
        "apiVersion": "late.example.com/v1",
        "kind": "Comet",
        "metadata": {"name": "first"},
    }
    fleet.commit(
        files(
            "waits",
            app(site.world, "waits"),
            sources={"a.yaml": configmap("a", text="one"), "comet.yaml": documents(late)},
        )
    )
    fleet.wait_row(f"{CLUSTER}/waits", sync="Unknown", message="kind Comet")
    assert fleet.get(CLUSTER, at("configmaps", "bad-waits", "a")), "the rest is there already"

    definition: JsonObject = {
        "metadata": {"name": "comets.late.example.com"},
        "spec": {
            "group": "late.example.com",
            "scope": "Namespaced",
            "names": {"plural": "comets", "singular": "comet", "kind": "Comet"},
            "versions": [
                {
                    "name": "v1",
                    "served": True,
                    "storage": True,
                    "schema": {"openAPIV3Schema": {"type": "object"}},
                }
            ],
        },
    }
    path = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
    assert fleet.planes[CLUSTER].request("POST", path, definition).is_success()
    came = time.monotonic()
    comet = "/apis/late.example.com/v1/namespaces/bad-waits/comets/first"
    fleet.wait_for(CLUSTER, comet)
    print(f"applied {time.monotonic() - came:.2f} s after its CRD came")
    fleet.wait_good(f"{CLUSTER}/waits")


def test_a_file_that_is_torn_keeps_its_last_good_version_in_force(site: Site) -> None:
    fleet = site.fleet
    fleet.commit(files("kept", app(site.world, "kept")))
    fleet.wait_for(CLUSTER, at("configmaps", "bad-kept", "a"))
    fleet.wait_good(f"{CLUSTER}/kept")
    cursor = fleet.cursor(CLUSTER)

    fleet.commit({"fleet/kept.yaml": TORN, "bad/kept/a.yaml": configmap("a", text="newer")})
    fleet.planes[CLUSTER].wait_for(  # its sources are followed all the same
        at("configmaps", "bad-kept", "a"),
        lambda found: bool(found and found["data"]["text"] == "newer"),
    )
    assert "fleet/kept.yaml:5" in fleet.cli("problems").out
    assert not [w for w in cursor.writes(user=AGENT) if w.verb == "delete"]

    fleet.commit({"fleet/kept.yaml": documents(app(site.world, "kept"))})
    fleet.settled()
    assert "fleet/kept.yaml" not in fleet.cli("problems").out
    fleet.wait_good(f"{CLUSTER}/kept")
    assert not [w for w in cursor.writes(user=AGENT) if w.verb == "delete"]


# servers


@contextmanager
def serving(root: Path) -> Iterator[str]:
    """Serve the repositories below a folder behind a password that nobody knows, in a thread."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    server = GitHttpServer(root, username="git", password="the right one")
    try:
        asyncio.run_coroutine_threadsafe(server.__aenter__(), loop).result(10)
        yield server.address
    finally:
        asyncio.run_coroutine_threadsafe(server.__aexit__(None, None, None), loop).result(10)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()


@contextmanager
def sshd(folder: Path) -> Iterator[int]:
    """An ssh server, and a known_hosts file with the key of another one."""
    program = shutil.which("sshd") or shutil.which("sshd", path="/usr/sbin:/usr/local/sbin")
    if program is None:
        pytest.skip("needs sshd (package openssh-server)")
    folder.mkdir()
    for name in ("host", "user", "stranger"):
        command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder / name)]
        subprocess.run(command, check=True)
    port = unused_port()
    key = (folder / "stranger.pub").read_text().rsplit(" ", 1)[0]
    (folder / "known_hosts").write_text(f"[127.0.0.2]:{port} {key}\n")
    options = {"HostKey": folder / "host", "PidFile": "none", "UsePAM": "no", "StrictModes": "no",
               "ListenAddress": "127.0.0.1", "AuthorizedKeysFile": folder / "user.pub"}  # fmt: skip
    if os.getuid() == 0:
        Path("/run/sshd").mkdir(exist_ok=True)
    words = [program, "-D", "-e", "-f", "/dev/null", "-p", str(port)]
    words += [f"-o{name}={value}" for name, value in options.items()]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(words, stderr=log)
        try:
            wait_until(lambda: listens(port), timeout=10, what="sshd")
            yield port
        finally:
            process.terminate()
            process.wait(5)


def listens(port: int) -> bool:
    """Whether somebody listens on a port."""
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
    except OSError:
        return False
    return True


def unused_port() -> int:
    """A port where nobody listens right now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
