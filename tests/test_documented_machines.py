"""What the documents have operators type on their machines makes what the units, the image and compose.yaml need.

It is typed into a shell, with a folder in the place of the root. Our own program, Python and what handles files are
themselves; others need a machine of their own, and one that writes down how it was called stands in for each.
"""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import yaml

from aggregator.cli.parser import parse
from aggregator.config import Settings
from tests.checkout import Checkout, checked_out, write_program
from tests.documents import block_with, blocks
from tests.program import ROOT
from tests.test_deployment import DOCKERFILE, SETTINGS

STOOD_IN_FOR = {
    "datasette": "it comes with two dozen packages, and would come from the network",
    "docker": "it needs an engine, and images from the network",
    "pip": "it would fetch Datasette",
    "systemctl": "it needs systemd as the first process of the machine",
    "useradd": "it needs root, and changes the machine",
}
"""The programs that are not run, and why."""

STAND_IN = f"""#!{sys.executable}
import json, os, sys
call = [os.path.basename(sys.argv[0]), *sys.argv[1:]], dict(os.environ)
with open(os.environ["CALLS"], "a") as calls:
    print(json.dumps(call), file=calls)
"""
TRIED = {
    words: block_with(words, "console")
    for words in ("useradd", "worker@", "docker build", "docker compose", "datasette")
}
COMPOSED: dict[str, Any] = yaml.safe_load((ROOT / "compose.yaml").read_text())["services"]
IMAGE = COMPOSED["aggregator"]["image"]


@dataclass(frozen=True)
class Call:
    """How one of these programs was called."""

    words: list[str]
    variables: dict[str, str]

    def values(self, option: str) -> list[str]:
        """What follows the option, each time that it stands there."""
        return [value for name, value in pairwise(self.words) if name == option]


@dataclass(frozen=True)
class Machine:
    """A machine whose root is a folder, with a checkout of the project."""

    checkout: Checkout
    root: Path

    def type(self, commands: str) -> list[Call]:
        """Runs the commands; the calls of programs that are stood in for."""
        told = Path(self.checkout.variables["CALLS"])
        told.write_text("")
        self.checkout.run(self.here(commands))
        return [Call(*json.loads(line)) for line in told.read_text().splitlines()]

    def here(self, text: str) -> str:
        """The text with paths below this root, and with the user of the tests as the owner of files."""
        rooted = re.sub(r"(?<![\w.])/(?=(?:etc|opt|var)/)", f"{self.root}/", text)
        return rooted.replace("-o aggregator -g aggregator", f"-o {os.getuid()} -g {os.getgid()}")


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    (tmp_path / "root/etc/systemd/system").mkdir(parents=True)
    with checked_out(tmp_path, "sqlite:///aggregator.db") as checkout:
        for name in STOOD_IN_FOR:
            write_program(tmp_path / "bin" / name, STAND_IN)
        checkout.variables["CALLS"] = str(tmp_path / "calls")
        yield Machine(checkout, tmp_path / "root")


def test_a_block_of_the_kind_is_tried_here_or_brings_a_backup_back() -> None:
    restoring = block_with("pg_restore", "console")
    assert [block.body for block in blocks("console") if block.body not in TRIED.values()] == [restoring]


def test_units_find_what_they_name_where_the_commands_put_it(machine: Machine) -> None:
    added, *started = machine.type(TRIED["useradd"])
    started += machine.type(TRIED["worker@"])
    enabled = [name for call in started if call.words[1:3] == ["enable", "--now"] for name in call.words[3:]]
    assert enabled[0] == "aggregator"
    assert len(enabled) > 1
    assert all(call.words[0] == "systemctl" for call in started)
    for name in enabled:
        unit = machine.root / "etc/systemd/system" / f"{re.sub(r'(?<=@).*', '', name)}.service"
        said = dict(re.findall(r"^(\w+)=(.*)$", machine.here(unit.read_text()), re.MULTILINE))
        assert added.words[-1] == said["User"]
        assert added.values("--home-dir") == [said["WorkingDirectory"]]
        assert os.access(said["ExecStart"].split()[0], os.X_OK)
        listed = said["Environment"].removeprefix("AGGREGATOR_OPML=")
        assert Path(listed).read_bytes() == (machine.checkout.folder / "feeds.opml").read_bytes()
        assert Path(listed).stat().st_mode & 0o777 == 0o640
    (beside,) = re.findall(r"`sudo -u aggregator (env [^`]*)`", (ROOT / "docs/running.md").read_text())
    machine.type(beside.replace(" status", " db upgrade"))  # as the service has done by then
    machine.type(beside)


def test_the_container_is_one_of_the_image_with_its_port_and_volume(machine: Machine) -> None:
    build, run, status = machine.type(TRIED["docker build"])
    assert build.words == ["docker", "build", "-t", IMAGE, "."]
    assert run.words[:3] == ["docker", "run", "-d"]
    assert run.words[-1] == IMAGE
    (port,) = re.findall(r"^EXPOSE (\d+)$", DOCKERFILE, re.MULTILINE)
    (volume,) = re.findall(r"^VOLUME (\S+)$", DOCKERFILE, re.MULTILINE)
    assert int(port) == Settings.model_fields["port"].default
    assert [published.split(":")[-1] for published in run.values("-p")] == [port]
    assert [mounted.split(":")[1] for mounted in run.values("-v")] == [volume]
    given = {variable.partition("=")[0] for variable in run.values("-e")}
    assert {"AGGREGATOR_HOST", "AGGREGATOR_TOKEN"} <= given <= SETTINGS
    assert status.words[1:4] == ["exec", *run.values("--name"), "aggregator"]
    parse(status.words[4:])


def test_services_that_are_brought_up_are_of_the_profile_and_have_their_variables(machine: Machine) -> None:
    for call in machine.type(TRIED["docker compose"]):
        up = call.words.index("up")
        scaled = [scale.partition("=")[0] for scale in call.values("--scale")]
        named = [word for word in call.words[up + 1 :] if word in COMPOSED]
        assert call.words[1] == "compose"
        assert named
        assert set(scaled) <= set(named)
        assert call.words[up + 1 :] == [
            "-d",
            *named,
            *(w for s in call.values("--scale") for w in ("--scale", s)),
        ]
        for name in named:
            service = COMPOSED[name]
            assert service.get("profiles", []) == call.values("--profile")
            needed = [service, *(COMPOSED[other] for other in service.get("depends_on", ()))]
            assert set(re.findall(r"\$\{(\w+)", yaml.safe_dump(needed))) <= set(call.variables)


@pytest.mark.sqlite("what Datasette shows is SQLite")
def test_datasette_is_given_the_database_and_its_description(machine: Machine) -> None:
    fetched, served = machine.type(TRIED["datasette"])
    assert fetched.words == ["pip", "install", "datasette"]
    file = served.words[1]
    assert Settings.model_fields["database"].default == f"sqlite:///{file}"
    (description,) = served.values("--metadata")
    assert list(json.loads((ROOT / description).read_text())["databases"]) == [Path(file).stem]
    assert served.values("--port") != [str(Settings.model_fields["port"].default)]
