"""What one `find-errors` call asks for: frozen, validated once, saved with the result."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from auditor.core.errors import ConfigError, UnknownNameError
from auditor.data.reference import nearest

#: Two refits bring most of what there is to gain (docs/detectors.md).
MAX_REFITS = 3
#: Fields that older run folders hold, and what took their place.
RETIRED = {"second_round": "refits"}


class AuditConfig(BaseModel):
    """Everything that can change the findings or what is kept beside them.

    Workers, progress display and output folder are not here: they must not change them.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    audit: str = Field("auto", description="items that get out-of-sample probabilities: auto, all, or a split")
    model: str = Field("auto", description="trainer by name, or auto")
    second_model: str = Field(
        "auto", description="model of another kind, pooled with the first: auto, none, or a trainer by name"
    )
    budget: Literal["smoke", "quick", "standard"] = "standard"
    folds: int = Field(5, ge=2, le=50)
    seeds: int | None = Field(
        None, ge=1, le=20, description="models averaged when a test split is audited; None: as the trainer says"
    )
    train_on_test_folds: bool = Field(
        False, description="audit a test split by cross-validation, the train split added to every fold"
    )
    rule: str = Field(
        "default", description="default, a confident-learning rule by cleanlab's name, paper, or a detector"
    )
    near_duplicates: bool = True
    refits: int | Literal["auto"] = Field(
        "auto",
        description="fits of the same folds with labels weighed by how far the fit before trusts them: auto, 0 to 3",
    )
    embeddings: str | None = Field(
        None, description="auto, none, log-probabilities or an encoder; None: those the model computes anyway"
    )
    quality: bool = Field(True, description="run the data-quality checks")
    device: Literal["auto", "cpu", "cuda"] = "auto"
    seed: int = Field(0, ge=0)

    @field_validator("refits", mode="before")
    @classmethod
    def _known_refits(cls, refits: Any) -> Any:
        if str(refits) not in ("auto", *map(str, range(MAX_REFITS + 1))):
            raise ValueError(f"{refits!r} is neither auto nor a whole number from 0 to {MAX_REFITS}")
        return refits if refits == "auto" else int(refits)

    @field_validator("rule")
    @classmethod
    def _known_rule(cls, rule: str) -> str:
        from auditor.detect.findings import check_rule

        try:
            check_rule(rule)
        except UnknownNameError as error:
            raise ValueError(str(error)) from error
        return rule


def stored_values(config: Mapping[str, Any]) -> dict[str, Any]:
    """The values of a run folder's ``config``, without the options that no longer exist."""
    return {name: value for name, value in config.items() if name not in RETIRED}


def make_config(**values: Any) -> AuditConfig:
    """Validate the values of one call; ``None`` means the default.

    Raises
    ------
    ConfigError
        Naming every wrong value.
    """
    try:
        return AuditConfig(**{k: v for k, v in values.items() if v is not None})
    except ValidationError as error:
        lines = []
        for e in error.errors():
            name = ".".join(map(str, e["loc"])) or "configuration"
            if name in RETIRED:
                lines.append(f"option {name!r} no longer exists: {RETIRED[name]!r} took its place")
            elif e["type"] == "extra_forbidden":
                lines.append(f"unknown option {name!r}. {nearest(name, AuditConfig.model_fields)}".strip(" .?"))
            else:
                lines.append(f"{name}: {e['msg'].removeprefix('Value error, ')}")
        raise ConfigError(
            "; ".join(lines) + ".", "See help(auditor.find_errors), or auditor find-errors --help."
        ) from error
