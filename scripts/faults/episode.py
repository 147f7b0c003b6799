"""One episode: films are offered, something breaks, it heals, and everything is looked at."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from scripts.faults import invariants
from scripts.faults.breaker import Breaker
from scripts.faults.breaking import BREAKERS
from scripts.faults.hospital import VALKEY, Hospital, wait_for
from scripts.faults.invariants import AuditEyes
from scripts.faults.outside import Eyes, JobSeen
from scripts.faults.plan import Episode
from scripts.faults.sender import Modality, Sent, films

SENDING_S = 180.0
ENDING_S = 300.0
SETTLE_S = 1.0


@dataclass
class Outcome:
    """What an episode was and what was found; without ``violations`` it held."""

    episode: Episode
    hit: bool | None = None
    recovery_s: float | None = None
    wall_s: float = 0.0
    states: dict[str, str] = field(default_factory=dict)
    violations: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    broker: str = VALKEY

    def as_json(self) -> dict[str, object]:
        """Return the line of the ledger."""
        return {
            "seed": self.episode.seed,
            "number": self.episode.number,
            "fault": self.episode.card.name,
            "broker": self.broker,
            "studies": len(self.episode.films),
            "films": sum(self.episode.films),
            "hit": self.hit,
            "recovery_s": self.recovery_s,
            "wall_s": round(self.wall_s, 2),
            "states": sorted(self.states.values()),
            "violations": self.violations,
            "notes": self.notes,
        }


class Run:
    """Runs episodes on one system, one after the other."""

    def __init__(self, hospital: Hospital, ending_s: float = ENDING_S) -> None:
        self._hospital = hospital
        self._ending_s = ending_s
        self._eyes = Eyes(lambda: hospital.database_url)
        self._audit = AuditEyes()

    def episode(self, episode: Episode) -> Outcome:
        """Run one; whatever it finds is in the outcome."""
        started = time.monotonic()
        outcome = Outcome(episode, broker=self._hospital.broker)
        folder = self._hospital.home / "films" / str(episode.number)
        studies = films(episode, folder)
        breaker = BREAKERS[episode.card.kind](self._hospital, episode, studies, self._eyes)
        try:
            self._break_and_heal(breaker, studies)
            if self._have_ended(breaker, outcome):
                outcome.recovery_s = round(max(0.0, time.monotonic() - breaker.since), 2)
            breaker.finish()
            self._redeliver(breaker, outcome)
            self._settle()
            self._look(breaker, outcome)
        except TimeoutError as error:
            outcome.violations.append(f"not in time: {error}")
            self._hospital.heal()
        finally:
            breaker.close()
        outcome.hit = breaker.hit
        outcome.notes += breaker.notes
        outcome.violations += breaker.violations
        outcome.wall_s = time.monotonic() - started
        if not outcome.violations:
            _remove(folder)
        return outcome

    def _break_and_heal(self, breaker: Breaker, studies: Sequence[Sequence[Sent]]) -> None:
        episode = breaker.episode
        breaker.before()
        modality = Modality(breaker.road(), studies, time.monotonic() + SENDING_S)
        modality.start()
        time.sleep(episode.delay_s)
        breaker.strike()
        breaker.since = time.monotonic()
        if breaker.lasts:
            time.sleep(episode.hold_s)
            breaker.heal()
            breaker.since = time.monotonic()
        modality.finish()

    def _have_ended(self, breaker: Breaker, outcome: Outcome) -> bool:
        """Wait until every study has ended; one that does not is a violation, seen further on."""
        uids = breaker.study_uids
        try:
            wait_for(lambda: self._eyes.have_ended(uids), self._ending_s, "every study to end")
        except TimeoutError as error:
            outcome.violations.append(f"not in time: {error}")
            return False
        finally:
            jobs = self._eyes.jobs(uids)
            outcome.states = {job.study_instance_uid: job.state for job in jobs}
        return True

    def _redeliver(self, breaker: Breaker, outcome: Outcome) -> None:
        """Do what an operator does after a refusal."""
        if not breaker.episode.card.allowed.redelivered:
            return
        failed = [job for job in self._eyes.jobs(breaker.study_uids) if job.state == "FAILED"]
        outcome.notes += [f"refused: {job.reason_code}" for job in failed]
        for job in failed:
            self._hospital.carina.carina("redeliver", job.study_instance_uid)
        ended = Outcome(breaker.episode)
        if failed and not (
            self._have_ended(breaker, ended) and set(ended.states.values()) == {"DELIVERED"}
        ):
            outcome.violations.append(f"redelivered: {sorted(ended.states.values())}")

    def _settle(self) -> None:
        self._hospital.heal()
        self._hospital.wait_until_healthy()
        time.sleep(SETTLE_S)
        invariants.wait_until_sealed(self._eyes)

    def _look(self, breaker: Breaker, outcome: Outcome) -> None:
        jobs = self._eyes.jobs(breaker.study_uids)
        outcome.violations += end_states(breaker.episode, breaker.studies, jobs, outcome.states)
        rotten = []
        if breaker.variant == "rotten":
            rotten = [breaker.studies[breaker.episode.planted][0].sop_instance_uid]
        everything = [one for study in breaker.studies for one in study]
        hospital, eyes = self._hospital, self._eyes
        outcome.violations += invariants.received(hospital, eyes, everything, rotten)
        outcome.violations += invariants.delivered(hospital, eyes, jobs)
        outcome.violations += invariants.leases(eyes)
        outcome.violations += self._audit.walk(hospital, eyes)


def end_states(
    episode: Episode,
    studies: Sequence[Sequence[Sent]],
    jobs: Sequence[JobSeen],
    states: dict[str, str],
) -> list[str]:
    """Hold the states that studies ended in against the table; one job each, at revision 1."""
    allowed = episode.card.allowed
    found = []
    for number, study in enumerate(studies):
        uid = study[0].study_instance_uid
        ours = [job for job in jobs if job.study_instance_uid == uid]
        is_planted = number == episode.planted
        wanted = allowed.planted if is_planted else allowed.innocent
        if states.get(uid) not in wanted:
            codes = ", ".join(str(job.reason_code) for job in ours)
            found.append(f"end: study {number} ended {states.get(uid)} ({codes})")
    return found


def _remove(folder: Path) -> None:
    for path in folder.iterdir():
        path.unlink()
    folder.rmdir()
