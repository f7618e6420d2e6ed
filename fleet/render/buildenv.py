"""Argo CD's build environment: the variables that parameters and options of a source may name.

A variable that a source uses ends up in its options and so in its closure; one that it does not use does not.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from fleet.model.application import Application
from fleet.render.request import Capabilities, ResolvedSource

_VARIABLE = re.compile(r"\$(?:\{([^}]*)\}|([A-Za-z_][A-Za-z0-9_]*)|([*#$@!?0-9-]))")


def build_environment(
    application: Application, resolved: ResolvedSource, capabilities: Capabilities
) -> dict[str, str]:
    """The variables of one source of an Application."""
    revision = resolved.revision
    return {
        "ARGOCD_APP_NAME": application.name,
        "ARGOCD_APP_NAMESPACE": application.destination.namespace,
        "ARGOCD_APP_PROJECT_NAME": application.project,
        "ARGOCD_APP_REVISION": revision,
        "ARGOCD_APP_REVISION_SHORT": revision[:7],
        "ARGOCD_APP_REVISION_SHORT_8": revision[:8],
        "ARGOCD_APP_SOURCE_PATH": resolved.source.path,
        "ARGOCD_APP_SOURCE_REPO_URL": resolved.source.repo_url,
        "ARGOCD_APP_SOURCE_TARGET_REVISION": resolved.source.target_revision,
        "KUBE_VERSION": capabilities.kube_version,
        "KUBE_API_VERSIONS": ",".join(capabilities.api_versions),
    }


def substitute(text: str, environment: Mapping[str, str]) -> str:
    """Replace ``$NAME`` and ``${NAME}``; unknown names become empty and ``$$`` is a dollar sign."""

    def value(match: re.Match[str]) -> str:
        name = match[1] if match[1] is not None else match[2] or match[3]
        return "$" if name == "$" else environment.get(name, "")

    return _VARIABLE.sub(value, text)
