"""The base of every scenario model: frozen, no unknown keys, no conversions."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Strict(BaseModel):
    """Frozen, no unknown keys, no conversions."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True, strict=True)
