"""What the agent's command line does, once the process is prepared."""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace

from agents import app, failpoints
from agents.settings import AgentSettings, check_hub_url
from fleet.codec.redaction import redact
from fleet.runtime import log
from fleet.runtime.settings import load_settings
from fleet.runtime.supervisor import Supervisor


async def execute(arguments: argparse.Namespace) -> int:
    """Run or join."""
    failpoints.PROCESS.arm_from_environment()
    settings = _settings(arguments)
    log.configure(settings.log.level, settings.log.form, redact=redact)
    if arguments.verb == "join":
        identity = await app.enrol(settings)
        sys.stdout.write(f"joined as cluster {identity.cluster}\n")
        return 0
    agent = await app.build(settings)
    return await agent.run(Supervisor(grace=settings.grace))


def _settings(arguments: argparse.Namespace) -> AgentSettings:
    given = {}
    if arguments.verb == "join":
        if arguments.hub:
            given["hub"] = check_hub_url(arguments.hub)
        if arguments.token_file:
            given["tokenFile"] = str(arguments.token_file.absolute())
    settings = load_settings(arguments.config, AgentSettings, given)
    if "hub" in given:
        settings = replace(settings, hub=given["hub"])
    if "tokenFile" in given:
        settings = replace(settings, token_file=arguments.token_file.absolute())
    return settings
