#!/usr/bin/env bash
# Build a wheel and use it in an environment of its own: compiled modules, stubs and py.typed are inside, the
# library serves, and the command line says in one line what it needs.
set -euo pipefail
cd "$(dirname "$0")/.."
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
PYTHON=${PYTHON:-.venv/bin/python}
"$PYTHON" -m pip wheel -q --no-deps -w "$place" .
wheel=$(echo "$place"/headgate-*.whl)
"$PYTHON" - "$wheel" <<'PYTHON_END'
import sys, zipfile
from pathlib import Path

names = set(zipfile.ZipFile(sys.argv[1]).namelist())
for source in sorted(Path("ext/headgate").glob("*/*.pyx")):
    module = source.relative_to("ext").with_suffix("").as_posix()
    assert any(name.startswith(module + ".") and name.endswith(".so") for name in names), f"{module} is not compiled"
    assert module + ".pyi" in names, f"{module} has no stub"
for source in Path("src").rglob("*.py"):  # migrations lie in folders that are no packages
    assert source.relative_to("src").as_posix() in names, f"{source} is missing"
assert "headgate/py.typed" in names
for folder in ("templates", "static"):
    for file in Path("src/headgate/web", folder).iterdir():
        assert file.relative_to("src").as_posix() in names, f"{file} is missing"
assert any(name.endswith("licenses/LICENSE") for name in names)
print(f"{len(names)} files, all compiled modules and stubs among them")
PYTHON_END
"$PYTHON" -m venv "$place/venv"
"$place/venv/bin/pip" install -q "$wheel"
cd "$place"
venv/bin/python - <<'PYTHON_END'
import asyncio, sys, headgate

async def main():
    async with headgate.Edge(host="127.0.0.1", port=0) as edge:
        package = await edge.publish("fw/v2.bin", b"hello")
        print("served from the wheel:", edge.grant(package, "urn:imei:1").uri)

asyncio.run(main())
heavy = {"typer", "rich", "aiocoap", "numpy", "pydantic", "structlog", "sqlalchemy"}
assert not heavy & set(sys.modules)
try:
    headgate.Server
except ImportError as error:
    assert "pip install 'headgate[server]'" in str(error), error
else:
    raise AssertionError("the orchestrator came with the library")
PYTHON_END
if venv/bin/headgate --help 2>stderr; then echo "headgate ran without typer" >&2; exit 1; fi
grep -q "pip install 'headgate\[server\]'" stderr
[ "$(wc -l < stderr)" = 1 ]
