"""Where settings come from: a TOML file, the environment, flags. The later ones win; each origin is kept."""

from __future__ import annotations

import difflib
import os
import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from pydantic import ValidationError
from pydantic_settings import EnvSettingsSource
from pydantic_settings.exceptions import SettingsError

from headgate.config.sections import DELIMITER, PREFIX, Config
from headgate.errors import ConfigError

DEFAULT = "default"
ENVIRONMENT = "environment"
FLAG = "option"
PROGRAM = "program"


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """One setting as it stands, for `headgate config show`."""

    key: str
    """As in the file: section.name."""
    value: Any
    origin: str
    """"default", the file's path, "environment" or "option"; "program" where none of them was read."""
    unit: str
    description: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """A configuration, and where each part of it comes from."""

    config: Config
    origins: Mapping[str, str]

    def origin(self, key: str) -> str:
        """Where a setting comes from. Raises KeyError for one that there is not."""
        section, _, name = key.partition(".")
        if name not in type(getattr(self.config, section)).model_fields:
            raise KeyError(key)
        return self.origins.get(key, DEFAULT)

    def __iter__(self) -> Iterator[Setting]:
        """All settings, in the order of the sections."""
        for section, values in self.config:
            for name, field in type(values).model_fields.items():
                extra = field.json_schema_extra
                yield Setting(
                    key=f"{section}.{name}",
                    value=getattr(values, name),
                    origin=self.origins.get(f"{section}.{name}", DEFAULT),
                    unit=str(extra["unit"]) if isinstance(extra, dict) else "",
                    description=field.description or "",
                )


def settings_of(config: Config) -> Settings:
    """A configuration that a program made: what it says itself comes from there."""
    origins = {
        f"{section}.{name}": PROGRAM
        for section, values in config
        for name, field in type(values).model_fields.items()
        if getattr(values, name) != field.default
    }
    return Settings(config=config, origins=MappingProxyType(origins))


def read(file: Path | None = None, flags: Mapping[str, Mapping[str, Any]] | None = None) -> Settings:
    """The configuration of this process; `flags` are by section, and None in them is a flag not given.

    Raises ConfigError naming every setting that is unknown or impossible, and where it was set.
    """
    given = {
        section: {name: value for name, value in values.items() if value is not None}
        for section, values in (flags or {}).items()
    }
    layers: list[tuple[str, Mapping[str, Any]]] = [(ENVIRONMENT, _environment()), (FLAG, given)]
    if file is not None:
        layers.insert(0, (str(file), _file(file)))
    values: dict[str, Any] = {}
    origins: dict[str, str] = {}
    for origin, layer in layers:
        for section, entries in layer.items():
            if not isinstance(entries, Mapping):
                if section in Config.model_fields:
                    raise ConfigError(f"{section} ({origin}) is a section, whose settings follow [{section}]")
                raise ConfigError(_unknown(section, origin, tuple(Config.model_fields)))
            values.setdefault(section, {}).update(entries)
            origins |= {section: origin} | {f"{section}.{name}": origin for name in entries}
    try:
        config = Config(**values)
    except ValidationError as error:
        raise ConfigError("; ".join(_explained(each, origins) for each in error.errors())) from error
    return Settings(config=config, origins=MappingProxyType(origins))


def _file(path: Path) -> dict[str, Any]:
    try:
        with path.open("rb") as file:
            return tomllib.load(file)
    except OSError as error:
        raise ConfigError(f"cannot read {path}: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} is not TOML: {error}") from error


def _environment() -> dict[str, Any]:
    sections = tuple(Config.model_fields)
    for variable in os.environ:
        section, delimiter, _ = variable.upper().removeprefix(PREFIX).partition(DELIMITER)
        if variable.upper().startswith(PREFIX) and delimiter and section.lower() not in sections:
            raise ConfigError(_unknown(section.lower(), f"{ENVIRONMENT}: {variable}", sections))
    try:
        return EnvSettingsSource(Config)()
    except SettingsError as error:
        named = re.search(r'field "(\w+)"', str(error))
        start = f"{PREFIX}{named[1]}" if named else PREFIX
        variables = ", ".join(sorted(name for name in os.environ if name.upper().startswith(start.upper())))
        raise ConfigError(
            f"a list in the {ENVIRONMENT} is JSON, such as [-112, -122, -132]; "
            f"one of these is not: {variables} ({error.__cause__})"
        ) from error


def _explained(error: Any, origins: Mapping[str, str]) -> str:
    """One line for one mistake."""
    key = ".".join(str(part) for part in error["loc"][:2])
    origin = origins.get(key, DEFAULT)
    if error["type"] != "extra_forbidden":
        where = ".".join(str(part) for part in error["loc"])  # of a list or a table, which entry
        return f"{where} ({origin}): {error['msg'][:1].lower()}{error['msg'][1:]}, not {error['input']!r}"
    if len(error["loc"]) == 1:
        return _unknown(key, origin, tuple(Config.model_fields))
    section = str(error["loc"][0])
    names = type(getattr(Config(), section)).model_fields
    return _unknown(key, origin, tuple(f"{section}.{name}" for name in names))


def _unknown(key: str, origin: str, known: tuple[str, ...]) -> str:
    near = difflib.get_close_matches(key, known, n=1)
    return f"there is no setting {key} ({origin})" + (f"; did you mean {near[0]}?" if near else "")
