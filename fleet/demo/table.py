"""The live table: applications by cluster, as the clusters' API servers show them."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from fleet.demo.facts import Facts
from fleet.demo.observer import Observer
from fleet.model.report import Health

_MARKS = {
    Health.HEALTHY: ("● healthy", "green"),
    Health.PROGRESSING: ("◐ progressing", "yellow"),
    Health.DEGRADED: ("✗ degraded", "red"),
}


class Screen:
    """What a person sees: the table on a terminal, plain lines in a pipe."""

    def __init__(self, observer: Observer, clusters: Sequence[str], *, quiet: bool) -> None:
        self._observer = observer
        self._clusters = clusters
        self._console = Console()
        self._title = ""
        self._live = (
            Live(get_renderable=self._render, console=self._console, refresh_per_second=8)
            if self._console.is_terminal and not quiet
            else None
        )

    def showing(self) -> AbstractContextManager[object]:
        """Keep the table on the screen."""
        return self._live if self._live is not None else nullcontext()

    def say(self, text: str) -> None:
        """Begin a chapter."""
        self._title = text
        self._console.print(f"[bold]==>[/bold] {text}", highlight=False)

    def note(self, text: str) -> None:
        """Tell a detail."""
        self._console.print(f"    {text}", highlight=False, markup=False)

    def summary(self, facts: Facts) -> None:
        """Print every fact, then the verdict."""
        table = Table(box=None, pad_edge=False, show_header=False)
        table.add_column(no_wrap=True)
        table.add_column()
        table.add_column(style="dim")
        for fact in facts.items:
            mark = Text("ok", "green") if fact.is_true else Text("WRONG", "bold red")
            table.add_row(mark, fact.claim, fact.found)
        self._console.print()
        self._console.print(table)
        wrong = sum(not fact.is_true for fact in facts.items)
        verdict = (
            f"{wrong} of {len(facts.items)} facts are wrong" if wrong else "all facts are true"
        )
        self._console.print(f"\n{len(facts.items)} facts read from the clusters: {verdict}")

    def _render(self) -> Group:
        health = self._observer.apps()
        table = Table(title=self._title, title_justify="left")
        table.add_column("APPLICATION")
        for cluster in self._clusters:
            table.add_column(cluster, min_width=14)
        for app in sorted({base_name(app, cluster) for app, cluster in health}):
            cells = []
            for cluster in self._clusters:
                found = health.get((app, cluster)) or health.get((f"{app}-{cluster}", cluster))
                text, style = _MARKS.get(found, (str(found), "")) if found else ("·", "dim")
                cells.append(Text(text, style))
            table.add_row(app, *cells)
        return Group(table)


def base_name(app: str, cluster: str) -> str:
    """Drop the cluster from an application's name, so that one row shows it on all clusters."""
    return app.removesuffix(f"-{cluster}")
