"""The settings of lanes: who goes first, who has waited too long, when a draft is late."""

from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path

from pydantic import Field
from pydantic_settings import BaseSettings

from service.values import Lane


class LaneSettings(BaseSettings):
    """Lanes of one installation; :class:`service.settings.Settings` has the rest."""

    lane_rules: Path | None = Field(
        None, description="TOML file of [[rule]] tables that give a study its lane; unset: shipped"
    )
    backfill_after_days: int = Field(
        30, ge=0, description="A study older than this is backfill unless a rule says else; 0: none"
    )
    stat_quiet_period_s: float | None = Field(
        None, ge=0, description="Silence that closes a STAT study; unset: as any other"
    )
    stat_cap_s: float = Field(60.0, gt=0, description="A STAT study waiting longer is overdue")
    urgent_cap_s: float = Field(
        300.0, gt=0, description="An urgent study waiting longer is overdue"
    )
    routine_cap_s: float = Field(
        1800.0, gt=0, description="A routine study waiting longer is overdue"
    )
    backfill_cap_s: float = Field(
        21600.0, gt=0, description="A backfill study waiting longer is overdue"
    )
    late_after_s: float = Field(
        900.0, gt=0, description="A routine draft later than this raises the alarm"
    )
    stat_late_after_s: float = Field(
        300.0, gt=0, description="The same for STAT; never later than routine"
    )
    urgent_late_after_s: float = Field(
        600.0, gt=0, description="The same for urgent; never later than routine"
    )
    backfill_late_after_s: float = Field(86400.0, gt=0, description="The same for backfill")

    @property
    def caps(self) -> Mapping[Lane, timedelta]:
        """How long a study of each lane waits before it is overdue."""
        return {
            Lane.STAT: timedelta(seconds=self.stat_cap_s),
            Lane.URGENT: timedelta(seconds=self.urgent_cap_s),
            Lane.ROUTINE: timedelta(seconds=self.routine_cap_s),
            Lane.BACKFILL: timedelta(seconds=self.backfill_cap_s),
        }

    @property
    def late_after(self) -> Mapping[Lane, timedelta]:
        """When the draft of a study of each lane is late, from its queuing on."""
        routine = timedelta(seconds=self.late_after_s)
        return {
            Lane.STAT: min(routine, timedelta(seconds=self.stat_late_after_s)),
            Lane.URGENT: min(routine, timedelta(seconds=self.urgent_late_after_s)),
            Lane.ROUTINE: routine,
            Lane.BACKFILL: max(routine, timedelta(seconds=self.backfill_late_after_s)),
        }

    @property
    def stat_quiet_period(self) -> timedelta | None:
        """The silence that closes a STAT study; None: the usual one."""
        seconds = self.stat_quiet_period_s
        return None if seconds is None else timedelta(seconds=seconds)
