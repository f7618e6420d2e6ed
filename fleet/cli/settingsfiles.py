"""``config/hub.yaml`` and ``config/agent.yaml``: every setting with its meaning and default, made from the types.

``python -m fleet.cli.settingsfiles DIR`` writes them; what they say is written in ``hub/settings.py`` and
``agents/settings.py``, and a test keeps the files equal to it.
"""

from __future__ import annotations

import sys
from pathlib import Path

from agents.settings import AgentSettings
from fleet.runtime.settingsdoc import describe_settings
from hub.settings import HubSettings

FILES: dict[str, type] = {"hub.yaml": HubSettings, "agent.yaml": AgentSettings}
"""File name to the settings that it describes."""


def write(folder: Path) -> None:
    """Write both files."""
    for name, settings in FILES.items():
        (folder / name).write_text(describe_settings(settings))


if __name__ == "__main__":
    write(Path(sys.argv[1]))
