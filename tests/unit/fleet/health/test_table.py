"""The table of kinds itself: every row can be read, none stands there twice, and it stays small."""

import subprocess
import sys
from collections import Counter

import pytest

from fleet.health.assess import has_rule
from fleet.health.kinds.table import entries, known
from fleet.health.rows import row


def test_every_row_can_be_read() -> None:
    rows = [entry for _, _, entry in entries() if isinstance(entry, str)]
    assert len(rows) > 250
    for text in rows:
        assert row(text).lines


def test_nothing_stands_there_twice() -> None:
    found = Counter((group, kind) for group, kind, _ in entries())
    assert [key for key, count in found.items() if count > 1] == []


@pytest.mark.parametrize(
    ("group", "kind", "is_own"),
    [
        pytest.param("cert-manager.io", "Certificate", True, id="its-own"),
        pytest.param("rds.aws.crossplane.io", "DBInstance", True, id="over-a-glob-of-groups"),
        pytest.param("rds.aws.crossplane.io", "Proxy", False, id="glob-of-groups"),
        pytest.param("iam.services.k8s.aws", "Role", False, id="another-glob-of-groups"),
        pytest.param("rabbitmq.com", "Federation", False, id="all-of-a-group"),
        pytest.param("rabbitmq.com", "RabbitmqCluster", True, id="over-all-of-a-group"),
    ],
)
def test_the_most_specific_entry_wins(group: str, kind: str, is_own: bool) -> None:
    found = known(group, kind)
    assert found is not None
    assert found.is_own is is_own


def test_a_kind_that_nobody_listed_is_not_known() -> None:
    assert known("example.com", "Widget") is None
    assert has_rule("example.com", "Widget")


@pytest.mark.parametrize(
    ("group", "kind"),
    [
        ("", "ConfigMap"),
        ("argoproj.io", "Application"),
        ("networking.istio.io", "VirtualService"),
        ("rbac.authorization.k8s.io", "ClusterRole"),
    ],
)
def test_kinds_without_health_need_metadata_only(group: str, kind: str) -> None:
    assert not has_rule(group, kind)


@pytest.mark.parametrize("text", ["Fine Ready", "Healthy =True", "Healthy .", "Ready"])
def test_a_bad_row_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"not a (test|valid)|is not a valid Health"):
        row(text)


def test_the_table_costs_little() -> None:
    """The agent has 60 MiB in all."""
    code = (
        "import msgspec, re, fnmatch, fleet.model.report, fleet.health.generic, fleet.codec.canonical, tracemalloc;"
        "tracemalloc.start();"
        "import fleet.health.assess;"
        "print(tracemalloc.get_traced_memory()[0] // 1024)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert int(done.stdout) < 1024
