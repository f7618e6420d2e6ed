"""The status of every target, as reported and as dependents see it. Only real changes are told on."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from fleet.model.report import TargetStatus

Listener = Callable[[str], None]


class Board:
    """Statuses by target."""

    def __init__(self) -> None:
        self._statuses: dict[str, TargetStatus] = {}
        self._listeners: list[Listener] = []

    def listen(self, listener: Listener) -> None:
        """Be told the name of every target whose status changes or goes."""
        self._listeners.append(listener)

    @property
    def statuses(self) -> Mapping[str, TargetStatus]:
        """All of them."""
        return self._statuses

    def put(self, status: TargetStatus) -> None:
        """Show a target's status."""
        if self._statuses.get(status.target) != status:
            self._statuses[status.target] = status
            self._tell(status.target)

    def remove(self, target: str) -> None:
        """The target is gone from this cluster."""
        if self._statuses.pop(target, None) is not None:
            self._tell(target)

    def _tell(self, target: str) -> None:
        for listener in self._listeners:
            listener(target)
