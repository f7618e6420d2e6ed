"""The part of the compatibility page that is measured: how many recorded ApplicationSets give the same answer here.

``FLEET_SHARED=... python -m tests.conformance.page`` writes it into ``docs/guides/compatibility.md``; a test keeps the
two equal. What differs is said in ``differences.yaml``, with the reason, and `test_applicationset` holds that file to
the truth: a case that is listed has to differ, and one that is not has to pass.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "guides" / "compatibility.md"
DIFFERENCES = Path(__file__).parent / "differences.yaml"
BEGIN = (
    "<!-- made by python -m tests.conformance.page, from tests/conformance/differences.yaml -->\n"
)
END = "<!-- end of what was made -->\n"

TOPICS = {
    "clusters": "`clusters`: selectors, values, secret types",
    "fast": "plain templates (`goTemplate: false`)",
    "finalizers": "finalizers and `preserveResourcesOnDeletion`",
    "gen-template": "a generator's own `template`",
    "generators": "several generators, and none",
    "git-dirs": "`git` by directories",
    "git-files": "`git` by files",
    "gofunc": "functions of Go templates",
    "list": "`list`",
    "matrix": "`matrix`",
    "merge": "`merge`",
    "policy": "`applicationsSync`, errors that keep what is there",
    "preserved": "preserved fields, `ignoreApplicationDifferences`",
    "rejected": "documents that the API server refuses",
    "selector": "`selector` of a generator",
    "sources": "sources, sync policies",
    "template-patch": "`templatePatch`",
    "validation": "names, projects, destinations, duplicates",
    "yaml11": "words that are booleans in YAML 1.1",
}


def cases(shared: Path) -> list[str]:
    """Return the recorded cases, as ``topic/slug``."""
    folder = shared / "conformance" / "applicationset"
    return sorted(f"{path.parent.name}/{path.stem}" for path in folder.glob("*/*.yaml"))


def differences() -> Mapping[str, str]:
    """Return the cases that differ, with the reason."""
    found: Mapping[str, str] | None = yaml.safe_load(DIFFERENCES.read_text())
    return found or {}


def section(names: Iterable[str], different: Mapping[str, str]) -> str:
    """Say how many cases of each topic pass and differ, and why."""
    known = list(names)
    total = Counter(name.partition("/")[0] for name in known)
    wrong = Counter(name.partition("/")[0] for name in known if name in different)
    rows = [
        f"| {TOPICS[topic]} | {total[topic]} | {total[topic] - wrong[topic]} | {wrong[topic]} |"
        for topic in sorted(total)
    ]
    summary = f"| **all** | {total.total()} | {total.total() - wrong.total()} | {wrong.total()} |"
    reasons = [f"- `{name}`: {different[name]}" for name in sorted(different)]
    return "\n".join(
        [
            "| recorded ApplicationSets | cases | the same | different |",
            "|---|---|---|---|",
            *rows,
            summary,
            "",
            *(["What is different, and why:", "", *reasons] if reasons else ["None is different."]),
            "",
        ]
    )


def page(text: str, made: str) -> str:
    """Return the page with the measured part in its place."""
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end):
        raise ValueError(f"{PAGE.name} has no place for it: {BEGIN.strip()} ... {END.strip()}")
    return f"{before}{begin}{made}{end}{after}"


def main() -> None:
    """Write the page."""
    shared = Path(os.environ.get("FLEET_SHARED", "") or ROOT.parent / "shared")
    PAGE.write_text(page(PAGE.read_text(), section(cases(shared), differences())))


if __name__ == "__main__":
    main()
