"""What a data set must keep to pass: ``[check]`` in auditor.toml or ``[tool.auditor.check]`` in pyproject.toml."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Final

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from auditor.core.config import auditor_table, config_files
from auditor.core.errors import ConfigError, UnknownNameError
from auditor.quality.base import SEVERITIES, Severity
from auditor.quality.registry import CHECKS, check_names

_NO_LIMITS: Final = ("near_duplicates", "baseline", "run", "store", "patch", "embeddings")


class Policy(BaseModel):
    """Limits; one that is not given is not checked. Unknown keys are refused.

    Paths are absolute once loaded: they are written relative to the file they stand in.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    max_new_duplicate_leaks: int | None = Field(
        None, ge=0, description="sets of copies in more than one split that hold a judged row"
    )
    max_label_conflicts: int | None = Field(
        None, ge=0, description="sets of copies with different labels that hold a judged row"
    )
    max_estimated_error_rate_upper: float | None = Field(
        None, ge=0, le=1, description="upper limit of the estimated share of wrong labels among the judged rows"
    )
    min_reviewed: int | None = Field(None, ge=0, description="judged rows with a verdict; all of them where fewer")
    limits: dict[str, Annotated[int, Field(ge=0)]] = Field(
        default_factory=dict, description="judged items that a check may name, by its name or code"
    )
    max_errors: int | None = Field(None, ge=0, description="checks of severity error that may find something")
    max_warnings: int | None = Field(None, ge=0, description="checks of severity warning that may find something")
    fail_on: Severity | None = Field(None, description="least severity of which no check may find anything")
    near_duplicates: bool = Field(True, description="near copies of images and texts count as copies")
    baseline: str | None = Field(None, description="manifest of accepted rows; others are new or changed")
    run: str | None = Field(None, description="run whose review the estimate rests on")
    store: str | None = Field(None, description="verdict store of the run, if it is not in its folder")
    patch: str | None = Field(None, description="label patch whose corrections people confirmed")
    embeddings: str | None = Field(None, description=".npy file or encoder, for the checks that take embeddings")

    def severity_limits(self) -> dict[str, tuple[tuple[Severity, ...], int]]:
        """Key of each limit by severity, with the severities it speaks of and how many checks may find something."""
        limits: dict[str, tuple[tuple[Severity, ...], int]] = {}
        if self.max_errors is not None:
            limits["max_errors"] = (("error",), self.max_errors)
        if self.max_warnings is not None:
            limits["max_warnings"] = (("warning",), self.max_warnings)
        if self.fail_on is not None:
            limits["fail_on"] = (SEVERITIES[: SEVERITIES.index(self.fail_on) + 1], 0)
        return limits

    def severities(self) -> set[Severity]:
        """Severities that a limit speaks of."""
        return {severity for chosen, _ in self.severity_limits().values() for severity in chosen}

    def checks(self) -> list[str]:
        """Names of the data-quality checks whose outcomes are limited, in the order of the registry."""
        names = set(self.limits)
        if self.max_new_duplicate_leaks is not None or self.max_label_conflicts is not None:
            names |= {"exact_duplicates", "near_duplicates"} if self.near_duplicates else {"exact_duplicates"}
        if self.max_label_conflicts is not None and self.near_duplicates:
            names |= {"conflicting_duplicates"}
        severities = self.severities()
        names |= {name for name in CHECKS.names() if severities and CHECKS.load(name).severity in severities}
        return [name for name in CHECKS.names() if name in names | {"undecodable"}] if names else []


def make_policy(values: dict[str, Any], place: str, base: Path) -> Policy:
    """Validate the values of one table.

    Raises
    ------
    ConfigError
        For unknown keys, wrong types, or no limit at all.
    """
    try:
        policy = Policy(**values)
    except ValidationError as error:
        wrong = [f"{'.'.join(map(str, e['loc'])) or 'check'}: {_message(e)}" for e in error.errors()]
        known = f"Known: {', '.join(Policy.model_fields)}."
        raise ConfigError(f"{place}: {'; '.join(wrong)}.", known) from error
    keys = [name for name in Policy.model_fields if name not in _NO_LIMITS]
    if all(getattr(policy, key) in (None, {}) for key in keys):
        raise ConfigError(f"{place}: the policy of auditor check sets no limit.", f"Give one of {', '.join(keys)}.")
    try:
        limits = dict(zip(check_names(list(policy.limits)), policy.limits.values(), strict=True))
    except UnknownNameError as error:
        raise ConfigError(f"{place}: limits: {error.what}", error.way_out) from error
    if len(limits) < len(policy.limits):
        raise ConfigError(f"{place}: limits: a check is limited by its name and by its code.", "Keep one of them.")
    paths = {name: _resolved(getattr(policy, name), base) for name in ("baseline", "run", "store", "patch")}
    if (policy.embeddings or "").endswith(".npy"):
        paths["embeddings"] = _resolved(policy.embeddings, base)
    return policy.model_copy(update={**paths, "limits": limits})


def _message(error: Any) -> str:
    return "unknown key" if error["type"] == "extra_forbidden" else str(error["msg"]).lower()


def _resolved(path: str | None, base: Path) -> str | None:
    return path if path is None or "://" in path else str((base / Path(path).expanduser()).resolve())


def load_policy(file: Path | None = None, cwd: Path | None = None) -> tuple[Policy, Path]:
    """The policy in force and the file it stands in.

    Parameters
    ----------
    file : Path, optional
        auditor.toml or pyproject.toml; otherwise the nearest one upwards from `cwd` that has the table.

    Raises
    ------
    ConfigError
        If there is none, or it is wrong.
    """
    folder = (cwd or Path.cwd()).resolve()
    for path in config_files(folder) if file is None else [file.resolve()]:
        values = auditor_table(path).get("check")
        if values is None:
            continue
        if not isinstance(values, dict):
            raise ConfigError(f"{path}: check must be a table of limits.")
        return make_policy(values, str(path), path.parent), path
    searched = f"{str(file)!r} has none" if file is not None else f"none in or above {str(folder)!r}"
    raise ConfigError(
        f"there is no policy for auditor check: {searched}.",
        "Add [tool.auditor.check] to pyproject.toml, or [check] to auditor.toml.",
    )
