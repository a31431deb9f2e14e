"""`headgate package` and `headgate token`, against a server that runs."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import pytest


@pytest.fixture
def firmware(tmp_path: Path) -> Path:
    """A package that no other test adds."""
    file = tmp_path / "fw.bin"
    file.write_bytes(str(tmp_path).encode() * 20)
    return file


def test_a_package_comes_and_goes(operator, firmware):
    """On a pipe its identity alone is the answer, for `$(...)`."""
    more = ("--name", "two", "--source-version", "V1", "--source-version", "V0", "--product", "meter")
    (pid,) = operator.get("package", "add", firmware, "--version", "V2", *more).lines
    shown = operator.get("package", "show", pid, "--json").json
    assert (shown["pid"], shown["version"], shown["kind"]) == (pid, "V2", "firmware")
    assert (shown["name"], shown["source_versions"], shown["product"]) == ("two", ["V0", "V1"], "meter")
    assert shown["size_bytes"] == firmware.stat().st_size
    assert shown in operator.get("package", "list", "--json").jsons
    assert pid in [fields[0] for fields in operator.get("package", "list").fields]
    assert dict(operator.get("package", "show", pid).fields)["bytes"] == str(firmware.stat().st_size)
    assert operator.get("package", "remove", pid).out == ""
    assert "there is no package" in operator.refused("package", "remove", pid, code=1)


def test_software_has_segments_and_a_check_code(operator, firmware):
    """The code as the descriptor writes it: four hexadecimal digits."""
    how = ("--kind", "software", "--check-code", "4EA0", "--segment-size", 256)
    added = operator.get("package", "add", firmware, "--version", "V2", *how, "--json").json
    assert (added["kind"], added["check_code"], added["segment_size_bytes"]) == ("software", 0x4EA0, 256)
    assert dict(operator.get("package", "show", added["pid"]).fields)["check code"] == "4EA0"


def test_an_archive_says_itself_what_it_is(operator, firmware, tmp_path):
    """So nothing that it says may be said beside it."""
    archive = tmp_path / "fw.zip"
    with zipfile.ZipFile(archive, "w") as packed:
        said = {"fileName": "fw.bin", "version": "V7", "packageType": "firmwarePackage", "model": "meter"}
        packed.writestr("UpgradeDesc.json", json.dumps(said))
        packed.write(firmware, "fw.bin")
    added = operator.get("package", "add", archive, "--archive", "--name", "seven", "--json").json
    assert (added["version"], added["product"], added["name"]) == ("V7", "meter", "seven")
    assert added["size_bytes"] == firmware.stat().st_size
    assert "says version" in operator.refused(
        "package", "add", archive, "--archive", "--version", "V8", code=2
    )
    assert "zip archive" in operator.refused("package", "add", firmware, "--archive", code=2)


def test_what_is_wrong_is_said_in_one_line(operator, firmware, tmp_path):
    """With exit code 2 where it never can be done."""
    assert "--version" in operator.refused("package", "add", firmware, code=2)
    wrong = ("--version", "V2", "--check-code", "nonsense")
    assert "hexadecimal" in operator.refused("package", "add", firmware, *wrong, code=2)
    assert "path.pid" in operator.refused("package", "show", "nonsense", code=2)
    assert operator.say("package", "add", tmp_path / "nothing", "--version", "V2").code == 2


def test_tokens_are_shown_once_and_taken_away(operator):
    """A token of scope read is good for reading, and for nothing once it is revoked."""
    made = operator.get("token", "add", "screen", "--json").json
    (secret,) = operator.get("token", "add", "people", "--scope", "operate").lines
    assert secret.startswith("headgate_")
    listed = {each["name"]: each for each in operator.get("token", "list", "--json").jsons}
    assert listed["people"]["scope"] == "operate"
    assert all(secret not in str(each) for each in listed.values())
    assert operator.get("device", "list", "--token", made["token"]).code == 0
    said = operator.refused("token", "list", "--token", made["token"], code=1)
    assert "good for read, and this takes one for admin" in said
    operator.get("token", "remove", made["id"])
    said = operator.refused("device", "list", "--token", made["token"], code=1)
    assert "no such token" in said
    assert "HEADGATE_TOKEN" in said
    assert "it is empty" in operator.refused("token", "add", " ", code=2)
    assert "last admin token" in operator.refused("token", "remove", listed["first"]["id"], code=1)
