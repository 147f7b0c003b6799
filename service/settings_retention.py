"""The settings that say how long things are kept. Nothing is let go unless a site says so."""

from pydantic import Field, model_validator
from pydantic_settings import BaseSettings


class RetentionSettings(BaseSettings):
    """How long films, results and rows stay; unset: for ever."""

    keep_studies_days: float | None = Field(
        None,
        gt=0,
        description="A study goes, files and rows, so long after its last image, once every "
        "destination has proven its drafts; unset: never",
    )
    keep_failed_days: float | None = Field(
        None,
        gt=0,
        description="The same for a study with a failed or withdrawn draft, or flagged as "
        "corrected; unset: never",
    )

    @model_validator(mode="after")
    def _failed_ones_stay_longer(self) -> "RetentionSettings":
        studies, failed = self.keep_studies_days, self.keep_failed_days
        if failed is not None and (studies is None or failed < studies):
            raise ValueError("keep_failed_days must be at least keep_studies_days")
        return self
