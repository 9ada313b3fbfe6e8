"""One frozen Settings: defaults, then the environment (AGGREGATOR_*), then flags."""

from __future__ import annotations

import os
from base64 import b64decode
from collections.abc import Iterator
from difflib import get_close_matches
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

PREFIX = "AGGREGATOR_"
DAY = 86_400
YEAR = 366 * DAY

LogFormat = Literal["auto", "text", "json"]

WORDS = {
    "int_parsing": "give a whole number",
    "int_from_float": "give a whole number",
    "int_parsing_size": "give a smaller number",
    "float_parsing": "give a number",
    "greater_than": "give more than {gt:g}",
    "greater_than_equal": "give at least {ge:g}",
    "less_than_equal": "give at most {le:g}",
    "bool_parsing": "give true or false",
    "literal_error": "give {expected}",
    "string_too_long": "give at most {max_length} characters",
}
"""Our words for what the library says about its own insides; it names what they are filled in with."""

LONGEST_SHOWN = 80
"""Characters of a wrong value that a message repeats."""


SECRET = {"token", "webhook_url", "webhook_secret"}
"""Settings whose values no message repeats; a URL can hold a password."""


class SettingsError(ValueError):
    """A setting that can't be used; its text says which, where it came from and what to do."""


class Settings(BaseSettings):
    """Every setting of the program. The field descriptions are the help texts and the README's table."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, frozen=True, extra="ignore")

    database: str = Field(
        "sqlite:///aggregator.db", description="where everything is kept, as an SQLAlchemy URL"
    )
    opml: Path = Field(Path("feeds.opml"), description="the list of feeds")
    interval: int = Field(
        1800, ge=1, le=YEAR, description="seconds between two polls of a feed of unknown rhythm"
    )
    min_interval: int = Field(
        600, ge=0, le=YEAR, description="a feed is never asked more often than this (seconds)"
    )
    max_interval: int = Field(
        DAY,
        ge=1,
        le=YEAR,
        description="a feed is asked at least this often (seconds), unless its server asks for more",
    )
    host_connections: int = Field(
        2, ge=1, le=1000, description="connections at once to one registrable domain"
    )
    host_delay: float = Field(
        1.0, ge=0, le=3600, description="seconds between two starts at one registrable domain"
    )
    fetch_timeout: float = Field(30.0, gt=0, le=3600, description="seconds that a fetch may take in all")
    window_days: float = Field(
        3.0, gt=0, le=366, description="entries further apart than this are never grouped"
    )
    keep_days: int = Field(
        0,
        ge=0,
        le=36_600,
        description="days after which events that have not grown are removed; 0 keeps all",
    )
    weights: Path | None = Field(
        None, description="a file that calibrate made; the weights that come with the program without one"
    )
    semantic: bool = Field(
        False,
        description="compare what texts mean, too, also across languages (needs the extra [semantic])",
    )
    allow_addresses: Annotated[tuple[IPv4Network | IPv6Network, ...], NoDecode] = Field(
        (), description="addresses or networks, comma-separated, that may be fetched although not global"
    )
    host: str = Field("127.0.0.1", description="address of the web page; others than loopback need TOKEN")
    port: int = Field(8000, ge=0, le=65535, description="port of the web page")
    token: str = Field("", max_length=200, description="secret that readers of the web page must show")
    public: bool = Field(
        False, description="serve the web page to everybody who reaches HOST, without a token"
    )
    web_hosts: Annotated[tuple[str, ...], NoDecode] = Field(
        (), description="names, comma-separated, by which the web page is reached beside HOST"
    )
    webhook_url: str = Field(
        "",
        max_length=2000,
        description="where events that are created, grow or merge are posted; needs WEBHOOK_SECRET",
    )
    webhook_secret: str = Field(
        "", max_length=200, description="whsec_ and a key in Base64, by which the webhook's bodies are signed"
    )
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field(
        "INFO", description="least severe log line"
    )
    log_format: LogFormat = Field(
        "auto", description="text, json (one object a line), or auto: text on a terminal and json elsewhere"
    )
    user_agent_contact: str = Field(
        "", max_length=200, description="address or page where publishers reach you, sent in User-Agent"
    )

    @field_validator("allow_addresses", mode="before")
    @classmethod
    def _split_networks(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        parts = [part.strip() for part in value.split(",") if part.strip()]
        try:
            return tuple(ip_network(part, strict=False) for part in parts)
        except ValueError:
            raise ValueError(
                "give addresses or networks such as 192.168.0.7, 10.0.0.0/8 or fd00::/8"
            ) from None

    @field_validator("web_hosts", mode="before")
    @classmethod
    def _split_names(cls, value: object) -> object:
        if isinstance(value, str):
            return tuple(part.strip() for part in value.split(",") if part.strip())
        return value

    @field_validator("token")
    @classmethod
    def _fits_a_header(cls, value: str) -> str:
        if not value.isprintable() or not value.isascii() or " " in value:
            raise ValueError("give printable ASCII characters without spaces: it is sent in a header")
        return value

    @field_validator("log_level", mode="before")
    @classmethod
    def _upper_case(cls, value: object) -> object:
        return value.upper() if isinstance(value, str) else value

    @field_validator("webhook_url")
    @classmethod
    def _names_a_host(cls, value: str) -> str:
        if value and not value.lower().startswith(("http://", "https://")):
            raise ValueError("give a URL that begins with https:// or http://")
        return value

    @field_validator("webhook_secret")
    @classmethod
    def _holds_a_key(cls, value: str) -> str:
        if value and not _is_key(value):
            raise ValueError(
                "write whsec_ and 24 to 64 random bytes in Base64, such as `openssl rand -base64 32` makes"
            )
        return value

    @field_validator("log_format", mode="before")
    @classmethod
    def _lower_case(cls, value: object) -> object:
        return value.lower() if isinstance(value, str) else value

    @field_validator("database")
    @classmethod
    def _known_database(cls, value: str) -> str:
        usable = value.startswith(("sqlite:///", "postgresql://", "postgresql+psycopg://"))
        if not usable or value in ("sqlite:///", "sqlite:///:memory:"):
            raise ValueError("give a URL such as sqlite:///aggregator.db or postgresql://user@host/name")
        return value

    @field_validator("user_agent_contact")
    @classmethod
    def _one_header_line(cls, value: str) -> str:
        if not value.isprintable() or not value.isascii():
            raise ValueError("give printable ASCII characters only: it is sent in a header")
        return value

    @model_validator(mode="after")
    def _intervals_in_order(self) -> Settings:
        if not self.min_interval <= self.max_interval:
            raise ValueError(
                f"MIN_INTERVAL ({self.min_interval}) is above MAX_INTERVAL ({self.max_interval}): "
                "lower the first or raise the second"
            )
        return self

    @model_validator(mode="after")
    def _keeps_what_it_groups(self) -> Settings:
        if 0 < self.keep_days < self.window_days:
            raise ValueError(
                f"KEEP_DAYS ({self.keep_days}) is below WINDOW_DAYS ({self.window_days:g}): what is to be grouped "
                "must be there; raise the first or lower the second"
            )
        return self

    @model_validator(mode="after")
    def _webhook_is_signed(self) -> Settings:
        if self.webhook_url and not self.webhook_secret:
            raise ValueError(
                "WEBHOOK_URL needs WEBHOOK_SECRET, by which the receiver knows the sender: whsec_ and 24 to 64 "
                "random bytes in Base64, such as `openssl rand -base64 32` makes"
            )
        return self


def load_settings(flags: dict[str, Any]) -> Settings:
    """The settings in force: `flags` (None = not given) over the environment over the defaults.

    Raises SettingsError with one line per wrong setting.
    """
    given = {name: value for name, value in flags.items() if value is not None}
    try:
        return Settings(**given)
    except ValidationError as error:
        raise SettingsError("\n".join(_explain(problem, given) for problem in error.errors())) from None


def strange_variables() -> Iterator[str]:
    """A warning for each environment variable that looks like a setting of ours and is none: a slip of the pen."""
    known = [f"{PREFIX}{name.upper()}" for name in Settings.model_fields]
    for name in sorted(os.environ):
        if name.startswith(PREFIX) and name not in known:
            near = get_close_matches(name, known, 1)
            yield f"{name} is no setting and changes nothing" + (f": did you mean {near[0]}?" if near else "")


def _is_key(secret: str) -> bool:
    """Whether it is "whsec_" and a key of 24 to 64 bytes in Base64, as Standard Webhooks has it."""
    if not secret.startswith("whsec_"):
        return False
    try:
        key = b64decode(secret.removeprefix("whsec_"), validate=True)
    except ValueError:
        return False
    return 24 <= len(key) <= 64


def _explain(problem: Any, given: dict[str, Any]) -> str:
    said = str(problem["msg"]).removeprefix("Value error, ")
    words = WORDS.get(str(problem["type"]))
    reason = words.format(**problem.get("ctx", {})) if words else said
    if not problem["loc"]:
        return f"settings: {reason}"
    name = str(problem["loc"][0])
    place = f"--{name.replace('_', '-')}" if name in given else f"{PREFIX}{name.upper()}"
    value = given.get(name, os.environ.get(f"{PREFIX}{name.upper()}", problem.get("input")))
    value = "..." if name in SECRET else str(value)
    shown = value if len(value) <= LONGEST_SHOWN else f"{value[:LONGEST_SHOWN]}…"
    return f"{place}={shown}: {reason}"
