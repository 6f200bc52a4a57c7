"""What the app was asked to show, and to whom. One per process."""

from __future__ import annotations

import os
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from auditor.core.errors import ConfigError

_TRUE: Final = {"1", "true", "yes", "on"}
_START_TOKEN: Final = secrets.token_urlsafe(24)


@dataclass(frozen=True)
class ReviewConfig:
    """Frozen configuration of the review app.

    Attributes
    ----------
    run : str or None
        Run folder, or its name in the runs folder; None = the Overview page offers the runs there are.
    store : str or None
        Verdict store; None = ``review.sqlite`` in the run folder.
    reviewer : str or None
        Name offered to people who have not said who they are. Never used where a login is configured.
    insecure : bool
        Serve people on other machines without a login.
    allowed : tuple of str
        Who may log in: e-mail addresses, or ``@domain``. Empty = everybody the identity provider lets in.
    adaptive : bool
        Whether the order of the list follows the verdicts.
    plan : tuple of (str, number)
        Fields of `QueuePlan` that were asked for, sorted by name; the others keep their defaults.
    controls : str or None
        CSV file of planted controls.
    owners : tuple of str
        Who may edit the guidelines of the classes; empty = every reviewer.
    token : str
        What the address opens the app with where there is no login; made at the start.
    """

    run: str | None = None
    store: str | None = None
    reviewer: str | None = None
    insecure: bool = False
    allowed: tuple[str, ...] = ()
    adaptive: bool = True
    plan: tuple[tuple[str, float], ...] = ()
    controls: str | None = None
    owners: tuple[str, ...] = ()
    token: str = field(default=_START_TOKEN, repr=False)


_current: ReviewConfig | None = None


def configure(config: ReviewConfig) -> None:
    """Set the configuration of this process; ``auditor review`` does, `app.py` leaves it to the environment."""
    global _current
    _current = config


def current_config() -> ReviewConfig:
    """What `configure` was given, else what the environment says."""
    return _current or config_from_environ(os.environ)


_PLAN: Final = {"overlap": float, "reviewers_per_item": int, "audit_size": int}


def config_from_environ(environ: Mapping[str, str]) -> ReviewConfig:
    """``AUDITOR_RUN``, ``AUDITOR_STORE``, ``AUDITOR_REVIEWER``, ``AUDITOR_INSECURE``, ``AUDITOR_ALLOWED``,
    ``AUDITOR_FIXED_ORDER``, ``AUDITOR_REVIEWERS_PER_ITEM``, ``AUDITOR_OVERLAP``, ``AUDITOR_AUDIT_SIZE``,
    ``AUDITOR_CONTROLS``, ``AUDITOR_OWNERS``, ``AUDITOR_TOKEN``.

    Raises
    ------
    ConfigError
        For a number that is none.
    """
    texts: dict[str, Any] = {
        name: environ.get(f"AUDITOR_{name.upper()}") or None for name in ("run", "store", "reviewer", "controls")
    }
    insecure, fixed = (environ.get(f"AUDITOR_{name}", "").lower() in _TRUE for name in ("INSECURE", "FIXED_ORDER"))
    allowed = (part.strip().lower() for part in environ.get("AUDITOR_ALLOWED", "").split(","))
    plan: list[tuple[str, float]] = []
    for name, kind in sorted(_PLAN.items()):
        if text := environ.get(f"AUDITOR_{name.upper()}"):
            try:
                plan.append((name, kind(text)))
            except ValueError as error:
                raise ConfigError(f"AUDITOR_{name.upper()}={text!r} is not a number.") from error
    return ReviewConfig(
        **texts,
        insecure=insecure,
        adaptive=not fixed,
        allowed=tuple(filter(None, allowed)),
        owners=tuple(filter(None, (part.strip() for part in environ.get("AUDITOR_OWNERS", "").split(",")))),
        plan=tuple(plan),
        token=environ.get("AUDITOR_TOKEN") or _START_TOKEN,
    )
