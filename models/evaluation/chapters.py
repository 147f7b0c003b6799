"""The chapters of the report: each takes what data there is, and says so where there is none."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from models.anatomy import retrieval
from models.evaluation import (
    frozen,
    groups,
    label_rows,
    mean_box,
    outline_rows,
    outlined_rows,
    real_rows,
    region_rows,
    rule_rows,
    scope_rows,
    served,
    shown,
    sign_rows,
)
from models.evaluation.controls import GROUP as CONTROLS
from models.evaluation.controls import Laboratory
from models.evaluation.examiner import SEED, Examiner
from models.evaluation.exams import SHIFT, WHITE_MM, Exam, mirror
from models.evaluation.looking import ListeningEye, look
from models.evaluation.rows import Findings, Row, missing
from models.training import cache, real
from models.training.samples import Simulator

if TYPE_CHECKING:
    from models.evaluation.looking import Looked
    from models.evaluation.real_rows import RealFilms
    from models.simulate.film import Tones
    from models.training.measures import Numbers

FILMS = 600
SEEDS = {"odd": 42, "tuning": 43}
PARTS = ("train", "valid", "test")


@dataclass(frozen=True, slots=True, eq=False)
class Material:
    """The eye, its bundle's folder, and the data; None where a folder was not given.

    ``frozen`` is a folder of the frozen test films, which then stand for the simulated ones of
    rows 1 to 3; ``count`` simulated films are asked for otherwise, and for controls; ``limits``
    (4,) are the chances from which a finding may be PRESENT.
    """

    eye: ListeningEye
    folder: Path
    part: str
    bases: Path | None
    real: Path | None
    strangers: Path | None
    count: int
    limits: "Numbers"
    frozen: Path | None = None

    def has(self, part: str) -> bool:
        """Whether there are projections of a part."""
        return self.bases is not None and (self.bases / f"{part}.json").is_file()

    def why(self) -> str:
        """Say what is missing for simulated films."""
        return f"no projections of the part {self.part}: make them by models.training.cache"

    def small(self) -> Path:
        """Return the folder for small copies of real films."""
        return (self.bases or self.folder.parent) / "small"

    def tones(self) -> "Tones | None":
        """Return the tones of real training films, None without real films."""
        if self.real is None or not (self.real / "images.csv").is_file():
            return None
        return real.tones(real.load(self.real, "train", self.small()))

    def examiner(self, part: str) -> Examiner:
        """Return the maker of exams of a part; the test part has its own detector tone."""
        assert self.bases is not None
        return Examiner(cache.load(self.bases, part), self.tones(), held_out=part == "test")


def simulated(given: Material) -> Findings:
    """Rows 1 to 3."""
    if given.frozen is not None:
        exams = [exam for exam in frozen.load(given.frozen) if exam.complete]
        odd = [exam for exam in exams if exam.white or exam.shifted]
        odd = [mirror(exam) if number % 2 else exam for number, exam in enumerate(odd)]
    elif given.has(given.part):
        examiner = given.examiner(given.part)
        exams = examiner.exams(examiner.orders(given.count))
        odd = odd_films(examiner, given.count // 2)
    else:
        return missing(region_rows.GROUP, ("boxes, signs, masks, retrieval",), given.why())
    seen = look(given.eye, [exam.film for exam in exams])
    found = _boxes(given.eye, exams, seen)
    if "region_masks" in given.eye.heads:
        found.join(outline_rows.outlines(exams, seen))
    else:
        why = "the bundle has no head for masks of regions"
        found.join(missing(region_rows.GROUP, ("masks of regions",), why))
    found.rows += region_rows.sides(exams, seen, "all simulated")
    found.rows += region_rows.sides(
        odd, look(given.eye, [exam.film for exam in odd]), "white lung or shift, half mirrored"
    )
    if "signs" in given.eye.heads:
        found.join(_signs(given, exams, seen))
    else:
        found.join(missing(sign_rows.GROUP, ("signs",), "the bundle has no head for signs"))
    return found


def _boxes(eye: ListeningEye, exams: list[Exam], seen: "Looked") -> Findings:
    """Rows 1 and 2a: beside the mean box of training films, and mirrored."""
    baseline = mean_box.kept()
    boxes = region_rows.compare(exams, seen, baseline)
    found = region_rows.regions(boxes, baseline)
    turned = [mirror(exam) for exam in exams]
    flipped = look(eye, [exam.film for exam in turned])
    again = region_rows.compare(turned, flipped, baseline)
    found.rows.append(region_rows.mirrored(boxes, again))
    return found


def _signs(given: Material, exams: list[Exam], seen: "Looked") -> Findings:
    """Row 3, on the same films."""
    signs, found = sign_rows.gather(exams, seen), Findings()
    found.join(sign_rows.aurocs(signs))
    if "attributes" in given.eye.heads:
        found.join(sign_rows.places(exams, seen))
    if "masks" in given.eye.heads:
        may = shown.masks(seen, given.eye.thresholds, given.eye.sign_thresholds)
        found.join(sign_rows.masks(exams, seen, may))
    kept = given.folder / retrieval.FILE
    if kept.is_file():
        found.join(sign_rows.retrieved(exams, seen, retrieval.load(kept)))
    else:
        found.join(missing(sign_rows.GROUP, ("retrieval R@1",), "the bundle has no retrieval.npz"))
    tuning = None
    if given.part != "valid" and given.has("valid"):
        other = given.examiner("valid")
        films = other.exams(other.orders(given.count, seed=SEEDS["tuning"]), seed=SEEDS["tuning"])
        tuning = sign_rows.gather(films, look(given.eye, [exam.film for exam in films]))
    found.join(sign_rows.calibration(signs, tuning))
    return found


def odd_films(examiner: Examiner, count: int) -> list[Exam]:
    """Return films with a white lung or a shifted mediastinum, every other one mirrored."""
    orders = [o for o in examiner.orders(6 * count, seed=SEEDS["odd"]) if o.scene]
    found: list[Exam] = []
    for order in orders:
        if not _odd(examiner, (order.base, order.scene)):
            continue
        exam = examiner.exam(replace(order, mirrored=len(found) % 2 == 1), seed=SEED + 1)
        if exam.complete and (exam.white or exam.shifted):
            found.append(exam)
        if len(found) == count:
            break
    return found


def _odd(examiner: Examiner, at: tuple[int, int]) -> bool:
    """Whether a scene may be one, without making its film."""
    white = float(examiner.bases.sizes[at].max()) >= WHITE_MM
    return white or bool(examiner.bases.signs[at][SHIFT] > 0)


def controlled(given: Material) -> Findings:
    """Row 4."""
    if not given.has(given.part):
        return missing(CONTROLS, ("the four controls",), given.why())
    if "signs" not in given.eye.heads:
        return missing(CONTROLS, ("the four controls",), "the bundle has no head for signs")
    return Laboratory(given.eye, given.examiner(given.part), given.count // 2).run()


def real_films(given: Material) -> "tuple[Findings, RealFilms | None]":
    """Rows 5 to 8; also the films of the part."""
    if given.real is None or not (given.real / "images.csv").is_file():
        why = "the real films are not in this repository; name their folder by REAL"
        return missing("real films", ("lungs, hearts, sides, labels",), why), None
    films = {part: real.load(given.real, part, given.small()) for part in PARTS}
    everybody = [film for part in PARTS for film in films[part]]
    every = real_rows.see(given.eye, everybody, "all patients, trained on too")
    names = {film.name for film in films[given.part]}
    rows = [i for i, film in enumerate(everybody) if film.name in names]
    own = every.take(rows, f"{given.part} patients")
    found = Findings()
    states = served.states(given.eye, [film.pixels for film in own.films])
    label = label_rows.labels(own, states, films["train"])
    found.join(groups.table(own, states))
    for told in (real_rows.lungs(own), real_rows.by_eye(own), real_rows.sides(own),
                 real_rows.sides(every), rule_rows.agreeing(own), label):  # fmt: skip
        found.join(told)
    if "region_masks" in given.eye.heads:
        found.join(outlined_rows.outlined(given.eye, own.films))
    boxes, trained = real.pneumonia_boxes(given.real), {film.name for film in films["train"]}
    for some in (own, every):
        found.join(label_rows.pointing(some, boxes, trained))
    found.rows.append(scope_rows.false_refusals(every))
    return found, own


def strange(given: Material, films: "RealFilms | None") -> Findings:
    """Row 9."""
    if films is None:
        note = "needs real films"
        return Findings([Row(scope_rows.GROUP, "refusals", None, scope_rows.REFUSED, note=note)])
    frontal = aside = None
    if given.bases is not None and given.has(given.part):
        frontal = Simulator(cache.load(given.bases, given.part), given.tones())
    if given.bases is not None and given.has("sideways"):
        aside = Simulator(cache.load(given.bases, "sideways"), given.tones())
    folder = given.strangers if given.strangers and given.strangers.is_dir() else None
    return scope_rows.refusals(given.eye, films, scope_rows.Sources(frontal, aside, folder))
