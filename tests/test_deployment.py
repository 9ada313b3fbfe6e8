"""The files for systemd and containers name what there is: commands, settings, files; the image would run."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import site
import subprocess
import sys
from configparser import RawConfigParser
from pathlib import Path
from typing import Any

import pytest
import yaml

from aggregator.cli import USAGE
from aggregator.cli.parser import as_commands, build_parser
from aggregator.config import Settings
from tests.checkout import write_program
from tests.program import ROOT, environment

UNITS = ("aggregator.service", "aggregator-worker@.service")
OWN = {"Description", "After", "ExecStart", "Environment", "EnvironmentFile"}
"""What the two units may differ in."""
DOCKERFILE = (ROOT / "Dockerfile").read_text()
SETTINGS = {f"AGGREGATOR_{name.upper()}" for name in Settings.model_fields}


def _unit(name: str) -> list[tuple[str, str]]:
    """All lines of a unit; a key may come more than once."""
    lines = (ROOT / "deploy" / name).read_text().splitlines()
    return [(line.split("=", 1)[0], line.split("=", 1)[1]) for line in lines if re.match(r"\w+=", line)]


def _is_understood(arguments: list[str]) -> bool:
    return bool(build_parser().parse_args(as_commands(arguments)))


@pytest.mark.parametrize("name", UNITS)
def test_a_unit_starts_a_command_that_there_is_with_settings_that_there_are(name: str) -> None:
    RawConfigParser(strict=False, allow_no_value=False).read_string((ROOT / "deploy" / name).read_text())
    unit = _unit(name)
    program, *arguments = shlex.split(dict(unit)["ExecStart"])
    assert program.endswith("/bin/aggregator")
    assert _is_understood(arguments)
    named = {value.split("=")[0] for key, value in unit if key == "Environment"}
    assert named <= SETTINGS


def test_both_units_are_watched_and_confined_alike() -> None:
    one, other = ([line for line in _unit(name) if line[0] not in OWN] for name in UNITS)
    assert one == other
    assert {("Type", "notify"), ("Restart", "on-failure"), ("ProtectSystem", "strict")} <= set(one)
    assert "WatchdogSec" in dict(one)


def test_a_unit_starts_again_for_as_long_as_it_takes_but_not_what_only_a_person_can_mend() -> None:
    unit = dict(_unit(UNITS[0]))
    assert unit["StartLimitIntervalSec"] == "0"
    assert unit["RestartPreventExitStatus"] == str(USAGE)


@pytest.mark.parametrize("name", UNITS)
def test_all_that_a_unit_names_to_be_written_lies_where_it_may_write(name: str) -> None:
    unit = _unit(name)
    writable = Path("/var/lib", dict(unit)["StateDirectory"])
    assert Path(dict(unit)["WorkingDirectory"]) == writable
    paths = [value.split("=")[1].removeprefix("sqlite:///") for key, value in unit if key == "Environment"]
    assert paths
    assert all(Path(path).parent == writable for path in paths)


def _copied() -> list[str]:
    """What the image takes from the project."""
    lines = [line.split()[1:] for line in DOCKERFILE.splitlines() if line.startswith("COPY ")]
    return [name for line in lines if not line[0].startswith("--from") for name in line[:-1]]


def test_all_that_the_image_takes_exists_and_is_sent_to_the_builder() -> None:
    sent = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    for name in _copied():
        assert (ROOT / name).exists(), name
        assert name in sent, f"{name} is in .dockerignore"


def test_the_images_variables_are_settings() -> None:
    assert set(re.findall(r"AGGREGATOR_[A-Z_]+(?==)", DOCKERFILE)) <= SETTINGS


def test_the_image_names_its_user_by_the_numbers_that_it_made() -> None:
    (number,) = re.findall(r"useradd .*--uid (\d+)", DOCKERFILE)
    assert re.findall(r"^USER (\S+)$", DOCKERFILE, re.MULTILINE) == [f"{number}:{number}"]


def test_the_image_runs_by_what_it_takes_alone(tmp_path: Path) -> None:
    """Its files, its pip command (offline, no dependencies), its entry point, from a tree that stays as it is."""
    source, image, data = tmp_path / "source", tmp_path / "image", tmp_path / "data"
    for name in _copied():
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        copy(ROOT / name, source / name)
    wanted = re.search(r"pip install --no-cache-dir '(\.\[\w+\])'", DOCKERFILE)
    assert wanted
    pip = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--no-build-isolation", "--no-index"]
    subprocess.run(
        [*pip, "--target", image, wanted[1]], cwd=source, check=True, capture_output=True, text=True
    )
    data.mkdir()
    (data / "feeds.opml").write_text('<opml version="2.0"><head/><body/></opml>')
    before = sorted(image.rglob("*"))
    (entry,) = re.findall(r"^ENTRYPOINT (\[.*\])$", DOCKERFILE, re.MULTILINE)
    done = subprocess.run(
        [*json.loads(entry), "poll", "--json"],
        cwd=data,
        env=environment(data)
        | {
            "PATH": f"{image / 'bin'}:{os.environ['PATH']}",
            "PYTHONPATH": ":".join([str(image), *site.getsitepackages()]),
            "PYTHONDONTWRITEBYTECODE": "1",
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["feeds_failed"] == 0
    assert sorted(image.rglob("*")) == before


COPY = """#!/bin/sh
# A second container, its processes numbered alike, begins and dies within its copy once the first has made its own.
if [ "$SECOND" ]; then head -c 5 "$1" > "$2"; exit 1; fi
cat "$1" > "$2"; SECOND=1 sh -c "$ENTRY"
"""


def test_containers_that_begin_on_one_empty_volume_leave_it_a_whole_list(tmp_path: Path) -> None:
    programs, volume, given = tmp_path / "bin", tmp_path / "volume", tmp_path / "given.opml"
    volume.mkdir()
    given.write_text("a whole list")
    write_program(programs / "cp", COPY)
    write_program(programs / "aggregator", "#!/bin/sh\n")
    (entry,) = re.findall(r"^ENTRYPOINT (\[.*\])$", DOCKERFILE, re.MULTILINE)
    _, _, script, _ = json.loads(entry)
    script = script.replace("$$", "1").replace("/usr/share/aggregator/feeds.opml", str(given))
    variables = {
        "PATH": f"{programs}:{os.environ['PATH']}",
        "AGGREGATOR_OPML": str(volume / "feeds.opml"),
        "ENTRY": script,
    }
    subprocess.run(["sh", "-c", script], env=variables, check=True, capture_output=True)
    assert {file.name: file.read_text() for file in volume.iterdir()} == {"feeds.opml": "a whole list"}


def _services() -> dict[str, Any]:
    composed: dict[str, Any] = yaml.safe_load((ROOT / "compose.yaml").read_text())
    services: dict[str, Any] = composed["services"]
    return services


def test_composed_services_run_commands_that_there_are_with_settings_that_there_are() -> None:
    ours = {
        name: service for name, service in _services().items() if service["image"] == "news-event-aggregator"
    }
    assert set(ours) == {"aggregator", "page", "worker"}
    for service in ours.values():
        assert _is_understood(service.get("command", ["serve"]))
        assert set(service["environment"]) <= SETTINGS
        assert service["read_only"]
        if "healthcheck" in service:
            kind, program, *arguments = service["healthcheck"]["test"]
            assert (kind, program) == ("CMD", "aggregator")
            assert _is_understood(arguments)


def test_only_the_postgresql_services_wait_for_a_profile() -> None:
    profiles = {name: service.get("profiles", []) for name, service in _services().items()}
    assert profiles == {
        "aggregator": [],
        "page": ["postgresql"],
        "worker": ["postgresql"],
        "database": ["postgresql"],
    }
