"""The site's settings as the rules of reading and intake."""

from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING

from dicom import choose, resend
from service import lane_rules
from service.intake import IntakeRules

if TYPE_CHECKING:
    from dicom.values import FilmHeader
    from service.settings import Settings

WHEN_UNKNOWN = {"read": choose.WhenUnknown.READ, "skip": choose.WhenUnknown.TURN_AWAY}


def policy(settings: "Settings") -> choose.ReadingPolicy:
    """Return what this site reads."""
    return choose.ReadingPolicy(
        unknown_age=WHEN_UNKNOWN[settings.unknown_age],
        unknown_view=WHEN_UNKNOWN[settings.unknown_view],
        adult_age_years=settings.adult_age_years,
    )


def intake_rules(settings: "Settings") -> IntakeRules:
    """Return what :func:`service.intake.accept` needs to know at this site."""
    return IntakeRules(
        spool_root=settings.spool.absolute(),
        quiet_period=settings.quiet_period,
        is_eligible=partial(_is_eligible, policy(settings)),
        classify=resend.classify,
        lanes=lanes(settings),
        corrections=settings.corrections.absolute(),
    )


def lanes(settings: "Settings") -> lane_rules.LaneRules:
    """Return the rules that give a study its lane; raises as :func:`service.lane_rules.load`."""
    days = settings.backfill_after_days
    return lane_rules.LaneRules(
        rules=lane_rules.load(settings.lane_rules),
        caps=settings.caps,
        backfill_after=timedelta(days=days) if days else None,
        stat_quiet_period=settings.stat_quiet_period,
    )


def _is_eligible(reading: choose.ReadingPolicy, header: "FilmHeader") -> bool:
    return choose.verdict(header, reading) is None
