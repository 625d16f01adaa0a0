"""Who may see what: tokens, each with the projects that it opens."""

import hashlib
import hmac
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from schemas.errors import ConfigurationError

ALL_PROJECTS = "*"
TOKEN_CHARACTERS_MIN = 16
COOKIE = "labelpulse_token"
_LINE = "NAME TOKEN PROJECT,PROJECT (or *) [act]"


@dataclass(frozen=True, slots=True)
class Grant:
    """What somebody may see and do.

    Parameters
    ----------
    name
        Who it is, for the record of their actions.
    projects
        Projects that may be seen; empty for all.
    may_act
        Whether alerts may be acknowledged and silenced, and dead letters replayed.
    """

    name: str
    projects: frozenset[str] = frozenset()
    may_act: bool = False

    def allows(self, project_id: str) -> bool:
        """Return whether a project may be seen."""
        return not self.projects or project_id in self.projects


OPEN = Grant("local", may_act=True)
"""What everybody may do where no tokens are set: only on this machine."""


@dataclass(frozen=True, slots=True)
class TokenBook:
    """All tokens, as digests.

    Parameters
    ----------
    grants
        Grant by SHA-256 digest of its token; empty if no tokens are set.
    """

    grants: dict[bytes, Grant] = field(default_factory=dict)

    @property
    def is_open(self) -> bool:
        """Whether no token is asked for."""
        return not self.grants

    def find(self, token: str) -> Grant | None:
        """Return the grant of a token, None if it is unknown; takes as long for any token."""
        digest = _digest(token)
        found = None
        for known, grant in self.grants.items():
            if hmac.compare_digest(known, digest):
                found = grant
        return found


def read_tokens(path: Path | None, *, token: str | None = None) -> TokenBook:
    """Read tokens.

    Parameters
    ----------
    path
        File with a line for each token: a name, the token, its projects (``*`` for all), and ``act`` if it may act.
        Empty lines and those that begin with ``#`` are left out. None: no file.
    token
        One more token, which may see all projects and act.

    Raises
    ------
    ConfigurationError
        If the file cannot be read or a line is wrong.
    """
    grants: dict[bytes, Grant] = {}
    if token:
        grants[_digest(_checked(token, where="the token"))] = Grant("token", may_act=True)
    for number, line in enumerate(_lines(path) if path is not None else (), start=1):
        if line and not line.startswith("#"):
            digest, grant = _parsed(line, where=f"{path}, line {number}")
            if digest in grants:
                raise ConfigurationError(f"{path}, line {number}: this token is there twice", remedy="make it another")
            grants[digest] = grant
    if path is not None and not grants:
        raise ConfigurationError(f"there is no token in {path}", remedy=f"write a line for each: {_LINE}")
    return TokenBook(grants)


def _lines(path: Path) -> Iterable[str]:
    try:
        return [line.strip() for line in path.read_text(encoding="utf-8").splitlines()]
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(
            f"the file of tokens {path} cannot be read: {error}", remedy="check the path and who may read it"
        ) from error


def _parsed(line: str, *, where: str) -> tuple[bytes, Grant]:
    words = line.split()
    if not 3 <= len(words) <= 4 or (len(words) == 4 and words[3] != "act"):
        raise ConfigurationError(f"{where}: this is no token", remedy=f"write {_LINE}")
    name, token, projects = words[:3]
    allowed = frozenset() if projects == ALL_PROJECTS else frozenset(filter(None, projects.split(",")))
    if projects != ALL_PROJECTS and not allowed:
        raise ConfigurationError(f"{where}: no project is named", remedy=f"write {_LINE}")
    return _digest(_checked(token, where=where)), Grant(name, allowed, may_act=len(words) == 4)


def _checked(token: str, *, where: str) -> str:
    if len(token) < TOKEN_CHARACTERS_MIN:
        raise ConfigurationError(
            f"{where}: a token needs at least {TOKEN_CHARACTERS_MIN} characters",
            remedy="python -c 'import secrets; print(secrets.token_urlsafe(32))' makes one",
        )
    return token


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()
