import argparse
import json
from pathlib import Path

from models.training import ablations, real


def _given(tmp_path: Path) -> argparse.Namespace:
    paths = {name: tmp_path / name for name in ("bank", "bases", "real", "out", "start", "body")}
    return argparse.Namespace(**paths, pseudo=None, steps=7, rate=1e-3, films=30)


def test_variants_differ_in_one_thing_and_share_all_else(tmp_path: Path) -> None:
    given = _given(tmp_path)
    lines = {v.name: ablations.commands(given, v, tmp_path / "x")[0] for v in ablations.VARIANTS}
    usual = lines["as trained"]
    assert usual[-2:] == ["--start", str(given.start)]
    assert [w for w in lines["alignment as printed"] if w not in usual] == ["--literal"]
    cold = lines["published convolutions"]
    assert "--start" not in cold
    assert cold[-2:] == ["--body", str(given.body)]
    random = lines["convolutions at random"]
    assert "--body" not in random
    assert "--start" not in random


def test_each_kind_of_label_is_left_out_alone(tmp_path: Path) -> None:
    given = _given(tmp_path)
    given.pseudo = tmp_path / "teacher.npz"
    lines = {v.name: ablations.commands(given, v, tmp_path / "x")[0] for v in ablations.VARIANTS}
    usual = lines["as trained"]
    for kind in real.KINDS:
        assert [w for w in lines[f"without {kind}"] if w not in usual] == ["--untold", kind]
    taught = lines["without a teacher's boxes and masks"]
    assert [w for w in usual if w not in taught] == ["--pseudo", str(given.pseudo)]


def test_a_finished_run_is_read_and_not_made_again(tmp_path: Path) -> None:
    given, variant = _given(tmp_path), ablations.VARIANTS[0]
    kept = given.out / "as-trained" / "report" / "figures.json"
    kept.parent.mkdir(parents=True)
    rows = [
        {"measure": "AUROC, mean over signs", "measured": 0.7512},
        {"measure": "retrieval R@1, regions with a sign", "measured": 0.1,
         "baseline": "0 by always saying healthy; nearest alone, whatever is frequent: 0.280"},
    ]  # fmt: skip
    kept.write_text(json.dumps({"figures": rows}))
    told = ablations.run(given, variant)
    assert told["AUROC, mean over signs"] == "0.751"
    assert told["retrieval, nearest alone, region with a sign"] == "0.280"
    assert told["mask IoU"] == "not measured"
