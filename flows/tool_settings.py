"""What people set about the conversion of a tool's payloads: a TOML file for all commands that convert."""

import tomllib
from pathlib import Path
from typing import Annotated, Any

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError

from schemas.adapters.common import AdapterSettings, Question
from schemas.errors import ConfigurationError
from schemas.events import Identifier


class _Question(BaseModel):
    model_config = ConfigDict(extra="forbid")

    kind: str | None = None
    classes: tuple[str, ...] = ()
    low: float | None = None
    high: float | None = None
    scale: Annotated[str, Field(pattern="^(ordinal|interval)$")] = "ordinal"


class _ToolSettings(BaseModel):
    model_config = ConfigDict(extra="forbid")

    project_id: Identifier | None = None
    source: Identifier | None = None
    step: Identifier = "annotate"
    occurred_at: AwareDatetime | None = None
    item_id: Identifier | None = None
    annotator_id: Identifier | None = None
    gold_key: str = "gold"
    attribute_keys: Annotated[tuple[str, ...], Field(max_length=8)] = ()
    questions: dict[Identifier, _Question] = {}
    label_config: str = ""


def tool_settings(file: Path | None = None, **flags: Any) -> AdapterSettings:
    """Return the settings of a conversion: flags win over the file.

    Parameters
    ----------
    file
        TOML with the names of `AdapterSettings`; each question is a table ``[questions.ID]`` with ``kind``,
        ``classes``, ``low``, ``high`` and ``scale``. None reads none.
    flags
        Settings by name; None where one is not given.

    Raises
    ------
    ConfigurationError
        If the file cannot be read, or a setting is wrong.

    Examples
    --------
    >>> tool_settings(project_id="reviews", item_id=None).project_id
    'reviews'
    """
    given = {**_read(file), **{name: value for name, value in flags.items() if value is not None}}
    try:
        checked = _ToolSettings.model_validate(given)
    except ValidationError as error:
        mistakes = [f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors()]
        raise ConfigurationError("\n".join(mistakes), remedy="see docs/adapters.md for the settings") from None
    questions = {name: Question(**dict(question)) for name, question in checked.questions.items()}
    at = None if checked.occurred_at is None else checked.occurred_at.isoformat()
    return AdapterSettings(**{**dict(checked), "questions": questions, "occurred_at": at})


def _read(file: Path | None) -> dict[str, Any]:
    if file is None:
        return {}
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigurationError(f"cannot read {file}: {error.strerror}", remedy="check the path") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{file} is no TOML file: {error}", remedy="correct it") from error
