"""Settings: defaults that work, and one clear message for each that does not."""

from __future__ import annotations

from ipaddress import ip_network
from pathlib import Path

import pytest

from aggregator.config import Settings, SettingsError, load_settings
from tests.program import ROOT, Program


def test_nothing_needs_to_be_configured() -> None:
    settings = load_settings({})
    assert settings.database == "sqlite:///aggregator.db"
    assert settings.opml == Path("feeds.opml")


def test_a_flag_wins_over_the_default() -> None:
    assert load_settings({"interval": "900", "opml": None}).interval == 900


def test_addresses_are_given_as_a_list() -> None:
    settings = load_settings({"allow_addresses": "127.0.0.1, 10.0.0.0/8,::1"})
    assert settings.allow_addresses == (ip_network("127.0.0.1"), ip_network("10.0.0.0/8"), ip_network("::1"))


@pytest.mark.parametrize(
    ("name", "value", "instead"),
    [
        ("interval", "soon", "give a whole number"),
        ("interval", "0", "give at least 1"),
        ("interval", "9" * 5000, "give a smaller number"),
        ("host_connections", "0", "give at least 1"),
        ("fetch_timeout", "-1", "give more than 0"),
        ("fetch_timeout", "inf", "give at most 3600"),
        ("host_delay", "nan", "give at most 3600"),
        ("database", "sqlite:///:memory:", "give a URL such as "),
        ("window_days", "0", "give more than 0"),
        ("allow_addresses", "localhost", "give addresses or networks such as "),
        ("port", "70000", "give at most 65535"),
        ("semantic", "maybe", "give true or false"),
        ("log_level", "LOUD", "give 'DEBUG', 'INFO', "),
        ("database", "mysql://x", "give a URL such as "),
        ("user_agent_contact", "a\nb", "give printable ASCII"),
        ("user_agent_contact", "x" * 201, "give at most 200 characters"),
    ],
)
def test_a_wrong_setting_is_named_with_its_value_and_what_to_give_instead(
    name: str, value: str, instead: str
) -> None:
    with pytest.raises(SettingsError) as error:
        load_settings({name: value})
    shown = value if len(value) <= 80 else f"{value[:80]}…"
    assert str(error.value).startswith(f"--{name.replace('_', '-')}={shown}: {instead}")


def test_intervals_that_contradict_each_other_are_refused() -> None:
    with pytest.raises(SettingsError, match=r"MIN_INTERVAL \(900\) is above MAX_INTERVAL \(600\)"):
        load_settings({"min_interval": "900", "max_interval": "600"})


@pytest.mark.sqlite("nothing is kept")
def test_a_wrong_variable_ends_the_program_with_status_2_and_one_line(program: Program) -> None:
    done = program.run("events", status=2, settings={"INTERVAL": "soon"})
    assert done.stderr.count("\n") == 1
    assert "AGGREGATOR_INTERVAL=soon" in done.stderr


@pytest.mark.sqlite("nothing is kept")
def test_a_variable_that_is_no_setting_is_named_with_the_nearest_that_is(program: Program) -> None:
    done = program.run("events", settings={"INTERVALL": "5"})
    assert done.stderr.count("\n") == 1
    assert "AGGREGATOR_INTERVALL is no setting" in done.stderr
    assert "did you mean AGGREGATOR_INTERVAL?" in done.stderr


def test_every_setting_is_documented() -> None:
    readme = (ROOT / "README.md").read_text()
    for name, field in Settings.model_fields.items():
        shown = ",".join(map(str, field.default)) if isinstance(field.default, tuple) else field.default
        default = f"`{shown}`" if shown not in ("", None) else "none"
        assert f"| `{name.upper()}` | {default} | {field.description} |" in readme
