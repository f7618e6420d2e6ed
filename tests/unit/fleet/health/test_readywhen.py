"""ready-when: what an expression may say, and that nothing it says can hurt."""

import subprocess
import sys

import msgspec
import pytest

from fleet.codec.jsontypes import JsonObject
from fleet.errors import BadInput
from fleet.health.readywhen import MAX_LENGTH, AppFacts, check_expression, evaluate
from fleet.health.readyworker import Answer, Question

APP = AppFacts(sync="Synced", health="Healthy", digest="sha256:a")
OBJECTS: list[JsonObject] = [
    {
        "kind": "Deployment",
        "metadata": {"name": "web"},
        "status": {"readyReplicas": 2, "ratio": 0.5},
    },
    {"kind": "Cluster", "metadata": {"name": "db"}, "status": {"phase": None, "ok": True}},
]


@pytest.mark.parametrize(
    ("text", "ready", "message"),
    [
        ("true", True, ""),
        ("app.sync == 'Synced' && app.health == 'Healthy'", True, ""),
        ("app.digest == 'sha256:b'", False, "ready-when is false"),
        ("objects.exists(o, o.kind == 'Deployment' && o.status.readyReplicas >= 2)", True, ""),
        ("objects.all(o, has(o.status.ok))", False, "ready-when is false"),
        (
            "objects.filter(o, o.kind == 'Cluster').all(c, c.status.phase == null && c.status.ok)",
            True,
            "",
        ),
        ("objects.exists(o, o.metadata.name.startsWith('we'))", True, ""),
        ("size(objects)", False, "must be true or false, not int"),
        ("objects[0].status.phase == 'x'", False, "no such key: 'phase'"),
        ("objects[9].kind == 'x'", False, "ready-when: "),
        ("nothing == 1", False, "Undefined variable"),
        ("'a' + 1 == 'a1'", False, "Unsupported operation"),
        ("app.sync ==", False, "not valid CEL"),
    ],
)
def test_evaluate(text: str, ready: bool, message: str) -> None:
    found = evaluate(text, OBJECTS, APP)
    assert found.ready is ready
    assert message in found.message
    assert "\n" not in found.message


@pytest.mark.parametrize(
    "text",
    [
        "true",
        "objects.all(o, o.x.exists(p, p == o.y)) && app.sync == 'x'",
        "[1].map(x, x * 2) == [2]",
    ],
)
def test_a_good_expression_passes_the_check(text: str) -> None:
    check_expression(text)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "not valid CEL"),
        ("app.sync ==", "not valid CEL: <input>:1:"),
        ("object.all(o, o.x)", "unknown names: object"),
        ("objects.all(o, p.x)", "unknown names: p"),
        ("x" * (MAX_LENGTH + 1), "longer than"),
    ],
)
def test_a_bad_expression_is_named(text: str, message: str) -> None:
    with pytest.raises(BadInput) as caught:
        check_expression(text)
    assert message in str(caught.value)


def worker(lines: bytes) -> list[bytes]:
    done = subprocess.run(
        [sys.executable, "-m", "fleet.health.readyworker"],
        input=lines,
        capture_output=True,
        timeout=60,
        check=True,
    )
    assert done.stderr == b""
    return done.stdout.splitlines()


def test_the_worker_answers_in_order_and_survives_nonsense_and_the_longest_expressions() -> None:
    long = [
        "(" * 2000 + ")" * 2000,
        "app" + ".b" * 2000,
        "!" * 4000 + "true",
        "app" + "?app:app" * 500,
        "1" + "+1" * 2000,
    ]
    texts = ["true", *long, "app.sync == 'Synced'"]
    questions = [
        msgspec.json.encode(Question(id=n, expression=text, objects=list(OBJECTS), app=APP))
        for n, text in enumerate(texts)
    ]
    answers = worker(b"\n".join([*questions, b"nonsense", b""]))
    found = [msgspec.json.decode(line, type=Answer) for line in answers]
    assert [answer.id for answer in found] == [*range(len(texts)), -1]
    assert (found[0].ready, found[len(texts) - 1].ready, found[-1].ready) == (True, True, False)
    assert all(found[n].message for n in range(1, len(texts) - 1) if not found[n].ready)


def test_the_agent_s_modules_do_not_load_the_library() -> None:
    code = (
        "import sys, fleet.health.assess, fleet.sync.plan, fleet.sync.status, fleet.health.readyworker;"
        "print(sorted(m for m in sys.modules if m.split('.')[0] in ('cel', 'rich', 'typer', 'asyncio', 'aiohttp')))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_library_s_command_line_stays_out() -> None:
    code = (
        "import sys; from fleet.health.readywhen import check_expression; check_expression('true');"
        "print('rich' in sys.modules, 'typer' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False False"
