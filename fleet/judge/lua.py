"""Health scripts in Lua, as Argo CD runs them: ``obj`` is the object, a table ``{status, message}`` is the answer.

Lua 5.2, because Argo CD's interpreter is 5.1 with ``goto``; what 5.1 had and 5.2 lost is put back. Each run has an
interpreter of its own with nothing of the outside: no files, no modules, no loading of code (bytecode could do
anything), of ``os`` only ``time`` and ``date``. Its memory is bounded; its time is the worker's business.
"""

from __future__ import annotations

from typing import Any

from lupa import lua52

from fleet.codec.jsontypes import JsonObject, JsonValue
from fleet.errors import BadInput

_MEMORY = 64 * 1024 * 1024
_BYTECODE = "\x1b"
_SANDBOX = """
local time, date = os.time, os.date
for _, name in ipairs({"collectgarbage", "debug", "dofile", "io", "load", "loadfile", "package", "python", "require"}) do
  _G[name] = nil
end
os = {time = time, date = date}
string.dump = nil
print = function() end
unpack = table.unpack
table.getn = function(list) return #list end
math.pow = function(base, exponent) return base ^ exponent end
"""


def check(script: str) -> None:
    """Check the form of a script without running it; raises BadInput."""
    if script.startswith(_BYTECODE):
        raise BadInput("is bytecode, not a script")
    try:
        _runtime().compile(script)
    except lua52.LuaError as error:
        raise BadInput(_reason(str(error))) from error


def evaluate(script: str, body: JsonObject) -> tuple[str, str] | None:
    """Return the status and message that a script gives; None for nothing. Raises BadInput with the script's error."""
    if script.startswith(_BYTECODE):
        raise BadInput("is bytecode, not a script")
    lua = _runtime()
    try:
        lua.execute(_SANDBOX)
        lua.globals().obj = _table(lua, body)
        answer = lua.execute(script)
        return _read(answer)
    except lua52.LuaMemoryError as error:
        raise BadInput(f"needs more than {_MEMORY >> 20} MiB of memory") from error
    except lua52.LuaError as error:
        raise BadInput(_reason(str(error))) from error
    except UnicodeDecodeError as error:
        raise BadInput("gives a text that is no UTF-8") from error


def _runtime() -> Any:
    return lua52.LuaRuntime(
        register_eval=False,
        register_builtins=False,
        unpack_returned_tuples=True,
        max_memory=_MEMORY,
    )


def _read(answer: Any) -> tuple[str, str] | None:
    first = answer[0] if isinstance(answer, tuple) and answer else answer
    if first is None:
        return None
    if lua52.lua_type(first) != "table":
        raise BadInput("must give a table with status and message")
    status, message = first["status"], first["message"]
    return status if isinstance(status, str) else "", message if isinstance(message, str) else ""


def _table(lua: Any, value: JsonValue) -> Any:
    """Lua's form of a value; null is nil, so such a key is not there."""
    if isinstance(value, dict):
        return lua.table_from(
            {key: _table(lua, item) for key, item in value.items() if item is not None}
        )
    if isinstance(value, list):
        return lua.table_from([_table(lua, item) for item in value if item is not None])
    # Lua knows one kind of number, and integers of 64 bits at most come through as they are.
    return float(value) if isinstance(value, int) and not isinstance(value, bool) else value


def _reason(text: str) -> str:
    """The error without the interpreter's name for the chunk and its stack."""
    first = text.partition("\nstack traceback")[0].removeprefix("error loading code: ")
    text = first.replace('[string "<python>"]', "line ").replace("line :", "line ")
    return " ".join(text.split())[:300] or "raises an error that is no text"
