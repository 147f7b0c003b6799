"""One film's result as plain JSON, for ``carina look --json`` and ``carina show --json``.

A border: dictionaries begin here and nowhere before. No header value of the patient is in it.
"""

from typing import TYPE_CHECKING, Any

from models.grounding import VISIBLE_FROM
from models.masks.regions import adapted, run_lengths
from models.report import signs
from models.report.technique import MIRRORED_FROM
from models.values import Analysis, OutOfScope, VisualStep
from models.vocabulary import Capability

if TYPE_CHECKING:
    from collections.abc import Sequence

    from models.opinions import QualityOpinion, RegionSign
    from models.report.signs import ToldSign
    from models.values import (
        AnatomyRegion,
        Finding,
        Measurement,
        ModelIdentity,
        PixelBox,
        Rationale,
        ReportSentence,
        Sight,
        TextStep,
    )

    Json = dict[str, Any]


def to_json(result: Analysis | OutOfScope, *, masks: bool = False) -> "Json":
    """Return what ``json.dumps`` takes; boxes are ``[x_min, y_min, x_max, y_max]``, source px.

    With ``masks`` each region has its own as run lengths; None for one that is not believed to be
    visible, and for all of them without a head.
    """
    told = _out_of_scope(result) if isinstance(result, OutOfScope) else _analysis(result)
    if masks and result.sight is not None:
        drawn, real = result.sight.region_masks, adapted(result.sight)
        for region, seen in zip(told["regions"], result.sight.regions, strict=True):
            name, known = seen.structure, seen.score >= VISIBLE_FROM and seen.structure in drawn
            source = "real and simulated films" if name in real else "simulated films alone"
            region["mask"] = {**run_lengths(drawn[name]), "learnt_from": source} if known else None
    return told


def _out_of_scope(result: OutOfScope) -> "Json":
    return {
        "image": result.image_id,
        "in_scope": False,
        "in_scope_score": round(result.in_scope, 4),
        "reason": _why(result),
        "words": result.words,
        **_seen(result.sight),
        "findings": [],
        "sentences": [],
        "impression": [],
        "rationale": [],
        **_models(result.models),
    }


def _why(result: OutOfScope) -> str:
    """Return the reason; a network that cannot judge scope has none."""
    if result.sight is not None and result.sight.scope.reason is None:
        return "not known"
    return result.reason.value


def _analysis(result: Analysis) -> "Json":
    header_view = result.image.view_position
    seen = _seen(result.sight)
    return {
        "image": result.image.image_id,
        "in_scope": True,
        "in_scope_score": round(result.sight.scope.in_scope, 4),
        "reason": None,
        **seen,
        "view": header_view.value if header_view else seen["view"],
        "view_stated": header_view is not None,
        "findings": [_finding(finding, result) for finding in result.findings],
        "sentences": [_sentence(sentence) for sentence in result.report.findings],
        "impression": [_sentence(sentence) for sentence in result.report.impression],
        "not_assessed": result.report.not_assessed,
        "limits": list(result.report.limits),
        "rationale": [_rationale(part) for part in result.rationales],
        "withheld": [
            {"gate": held.gate, "line": held.line, "finding_id": held.finding_id}
            for held in result.withheld
        ],
        "partial_reason": result.partial_reason,
        "stage_seconds": {name: round(s, 4) for name, s in result.stage_seconds.items()},
        **_models(result.models),
    }


def _seen(sight: "Sight | None") -> "Json":
    if sight is None:
        return {"view": None, "mirrored": None, "regions": []}
    view, doubt = sight.scope.view_position, sight.scope.mirrored >= MIRRORED_FROM
    sure = sight.sides.sure if sight.sides else not doubt
    told = signs.told(sight, sides_known=sure)
    without_signs = Capability.SIGNS in sight.unavailable
    without_quality = Capability.QUALITY in sight.unavailable
    return {
        "view": view.value if view else None,
        "mirrored": sight.sides.mirrored if sight.sides else doubt,
        "mirrored_score": round(sight.scope.mirrored, 4),
        "sides_sure": sure,
        "regions": [_region(region, sure=sure) for region in sight.regions],
        "exchanged": list(sight.exchanged),
        "out_of_order": list(sight.out_of_order),
        "signs": None if without_signs else [_sign(one) for one in told],
        "quality": None if without_quality else [_quality(one) for one in sight.qualities],
        "not_available": list(sight.unavailable),
    }


def _sign(told: "ToldSign") -> "Json":
    return {
        "name": told.sign.value,
        "state": told.presence.value,
        "probability": round(told.probability, 4),
        "side": told.side.value if told.side else None,
        "region": told.region.value if told.region else None,
        "unusual_place": told.unusual_place,
    }


def _quality(opinion: "QualityOpinion") -> "Json":
    return {
        "name": opinion.quality.value,
        "state": opinion.presence.value,
        "probability": round(opinion.probability, 4),
    }


def _region(region: "AnatomyRegion", *, sure: bool) -> "Json":
    """Return a region; ``uncertainty`` in source px, ``attributes`` the signs believed there."""
    here = signs.signs_of(region, sides_known=sure)
    return {
        "name": region.structure.value,
        "box": _box(region.box),
        "score": round(region.score, 4),
        "uncertainty": None if region.spread is None else round(region.spread, 2),
        "attributes": None if here is None else [_attribute(one) for one in here],
    }


def _attribute(sign: "RegionSign") -> "Json":
    return {
        "name": sign.sign.value,
        "state": sign.presence.value,
        "probability": round(sign.probability, 4),
    }


def _finding(finding: "Finding", result: Analysis) -> "Json":
    regions = [structure.value for structure in finding.structures]
    boxes = [_box(box) for box in finding.boxes]
    words = [s.text for s in result.report.findings if finding.finding_id in s.finding_ids]
    p = finding.probability
    return {
        "id": finding.finding_id,
        "name": finding.observation.value,
        "observation": finding.observation.value,
        "state": finding.presence.value,
        "probability": None if p is None else round(p, 4),
        "side": finding.side.value if finding.side else None,
        "region": regions[0] if regions else None,
        "regions": regions,
        "box": boxes[0] if boxes else None,
        "boxes": boxes,
        "measurement": _measurement(finding.measurement) if finding.measurement else None,
        "reason": finding.reason,
        "words": " ".join(words),
    }


def _measurement(size: "Measurement") -> "Json":
    return {
        "name": size.name,
        "value": round(size.value, 4),
        "low": round(size.low, 4),
        "high": round(size.high, 4),
        "unit": size.unit,
        "lines": [[[round(v, 2) for v in point] for point in line] for line in size.lines],
    }


def _sentence(sentence: "ReportSentence") -> "Json":
    return {"text": sentence.text, "finding_ids": list(sentence.finding_ids)}


def _rationale(part: "Rationale") -> "Json":
    steps = [_step(step) for step in part.steps]
    return {"group": part.group, "mode": part.mode, "steps": steps}


def _step(step: "TextStep | VisualStep") -> "Json":
    if not isinstance(step, VisualStep):
        return {"text": step.text}
    regions = [structure.value for structure in step.structures]
    return {"box": _box(step.box), "caption": step.caption, "regions": regions}


def _box(box: "PixelBox") -> list[float]:
    return [round(edge, 2) for edge in (box.x_min, box.y_min, box.x_max, box.y_max)]


def _models(models: "Sequence[ModelIdentity]") -> "Json":
    """Return the networks; the one that looked first."""
    told = [_model(model) for model in models]
    return {"model": told[0] if told else None, "models": told}


def _model(model: "ModelIdentity") -> "Json":
    return {
        "name": model.name,
        "version": model.version,
        "weights_sha256": model.weights_sha256,
        "use": model.use.value,
    }
