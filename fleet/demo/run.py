"""The demo as a whole: tools, clusters, fleet, story, summary."""

from __future__ import annotations

import contextlib
import shutil
import signal
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from fleet.codec import yamldoc
from fleet.demo.facts import Facts
from fleet.demo.observer import Observer
from fleet.demo.story import Story
from fleet.demo.table import Screen
from fleet.embedded.server import Options as EmbeddedOptions
from fleet.errors import BadInput, FleetError, NotReady
from fleet.testing import tools
from fleet.testing.controlplane import ControlPlanes, Missing
from fleet.testing.controlplane import Options as PlaneOptions
from fleet.testing.controlplane.given import GivenClusters, access_from
from fleet.testing.controlplane.plane import ControlPlane
from fleet.testing.embedded import EmbeddedThread
from fleet.testing.estate import Estate
from fleet.testing.repos import RepoBuilder

READY_DELAY = 1.0
"""Seconds after which Deployments of clusters in process are available."""
CLUSTERS = ("management", "staging", "production")
SAMPLE = Path(__file__).resolve().parents[2] / "config" / "demo"
URL_MARK = "FLEET_DEMO_URL"


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What the command line says."""

    contexts: tuple[str, ...] = ()
    real: bool = False
    """Use control planes that are built, instead of clusters in process."""
    keep: bool = False
    quiet: bool = False


def run_demo(options: Options) -> int:
    """Run it; returns the exit status: 0, or 1 if any fact is wrong or something failed."""
    facts = Facts()
    folder = Path(tempfile.mkdtemp(prefix="fleet-demo-"))
    with ExitStack() as stack:
        try:
            _say("getting helm and kubectl")
            found = tools.find_tools(build=True)
            planes = stack.enter_context(_planes(options))
            estate = _run(options, facts, folder, planes, found.environment(), stack)
        except FleetError as error:
            sys.stdout.flush()
            sys.stderr.write(f"the demo failed: {error}\nlogs are in {folder}\n")
            return 1
        if options.keep:
            _stay_up(estate, planes)
    if facts.are_true:
        shutil.rmtree(folder, ignore_errors=True)
        return 0
    sys.stderr.write(f"logs are in {folder}\n")
    return 1


def _run(  # everything that the story needs, once
    options: Options,
    facts: Facts,
    folder: Path,
    planes: Mapping[str, ControlPlane],
    environment: Mapping[str, str],
    stack: ExitStack,
) -> Estate:
    repo = RepoBuilder(folder / "fleet.git")
    repo.commit(sample_files(repo.url), message="Start the fleet")
    estate = Estate(
        folder=folder,
        repositories=[{"repoURL": repo.url, "revision": "main", "path": "fleet"}],
        environment=environment,
    )
    stack.enter_context(estate)
    observer = stack.enter_context(
        Observer({name: plane.kubeconfig for name, plane in planes.items()})
    )
    screen = Screen(observer, list(planes), quiet=options.quiet)
    with screen.showing():
        Story(estate, repo, planes, observer, screen, facts).tell()
    screen.summary(facts)
    return estate


def sample_files(url: str) -> dict[str, str]:
    """Read the sample fleet, with its repository's URL filled in."""
    if not SAMPLE.is_dir():
        raise NotReady(f"{SAMPLE} is missing", hint="run the demo from a checkout")
    return {
        path.relative_to(SAMPLE).as_posix(): path.read_text().replace(URL_MARK, url)
        for path in sorted(SAMPLE.rglob("*"))
        if path.is_file()
    }


@contextmanager
def _planes(options: Options) -> Iterator[dict[str, ControlPlane]]:
    if options.contexts:
        chosen = _contexts(options.contexts)
        with GivenClusters([chosen[name] for name in CLUSTERS]) as given:
            yield {name: given.start(name) for name in CLUSTERS}
        return
    if not options.real:
        with ExitStack() as stack:
            _say("starting three clusters in this process")
            yield {name: _embedded(name, stack) for name in CLUSTERS}
        return
    source = ControlPlanes.locate(build=True)
    if isinstance(source, Missing):
        raise NotReady(source.reason)
    with source:
        _say("starting three control planes")
        started = source.start_all(CLUSTERS, PlaneOptions(pods=True))
        yield dict(zip(CLUSTERS, started, strict=True))


def _embedded(name: str, stack: ExitStack) -> ControlPlane:
    """Start an API server in process, whose workloads turn Ready after a moment."""
    options = EmbeddedOptions(name=name, ready_delay=READY_DELAY)
    kubeconfig = stack.enter_context(EmbeddedThread(options)).kubeconfig
    access = access_from(
        yamldoc.load_one(kubeconfig.read_bytes()), name=name, folder=kubeconfig.parent
    )
    return ControlPlane(access, kubeconfig)


def _contexts(pairs: tuple[str, ...]) -> dict[str, str]:
    chosen = dict(pair.partition("=")[::2] for pair in pairs)
    if set(chosen) != set(CLUSTERS) or not all(chosen.values()):
        raise BadInput(
            "three contexts are needed",
            hint=" ".join(f"--context {name}=CONTEXT" for name in CLUSTERS),
        )
    return chosen


def _stay_up(estate: Estate, planes: Mapping[str, ControlPlane]) -> None:
    """Print where everything is and wait: for Enter at a terminal, else for an interrupt."""
    for name, plane in planes.items():
        _say(f"{name}: kubectl --kubeconfig {plane.kubeconfig} get all -A")
    _say(f"hub: fleet --hub {estate.url} --token-file {estate.token_file} app list")
    if sys.stdin.isatty():
        _say("everything stays up until you press Enter")
        sys.stdin.readline()
        return
    _say("everything stays up until an interrupt")
    with contextlib.suppress(KeyboardInterrupt):
        signal.pause()


def _say(text: str) -> None:
    sys.stdout.write(f"==> {text}\n")
    sys.stdout.flush()
