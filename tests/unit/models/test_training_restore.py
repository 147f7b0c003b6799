"""A bundle's weights back in PyTorch, and one head trained beside them."""

from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from evaluation_builders import CORNERS, filled, projections  # noqa: E402
from tiny_networks import boxes, write  # noqa: E402

from models import bundles  # noqa: E402
from models.anatomy.network import AnatomyPerception, ApmConfig  # noqa: E402
from models.errors import WeightsMismatch  # noqa: E402
from models.evaluation import agreement  # noqa: E402
from models.evaluation.examiner import Examiner  # noqa: E402
from models.evaluation.exams import Order, mirror  # noqa: E402
from models.training import moving, onnx_file, restore, train  # noqa: E402
from models.training.batches import RealStream, collate  # noqa: E402
from models.training.chunks import Bank  # noqa: E402
from models.training.chunks import write as write_chunk  # noqa: E402
from models.training.samples import Simulator  # noqa: E402

BUNDLE = bundles.shipped() / "anatomy-mini"


def test_a_restored_network_sees_what_the_served_one_sees(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(onnx_file, "FILMS", 6)  # of more, the outputs take a gigabyte
    network = restore.network_of(bundles.load(BUNDLE))
    told = agreement.measure(network, BUNDLE)  # raises where the two are too far apart
    assert told["decisions"] == told["rounding"]["decisions"] == 0


def test_another_export_would_write_the_same_weights() -> None:
    network = restore.network_of(bundles.load(BUNDLE))
    kept = restore._kept(BUNDLE / "network.onnx")
    onnx_file.simplify(network)
    state = network.state_dict()
    assert set(kept) == set(state)
    assert not {name for name, value in kept.items() if not torch.equal(value, state[name])}


def test_a_network_of_another_kind_is_not_taken(tmp_path: Path) -> None:
    with pytest.raises(WeightsMismatch, match="queries"):
        restore.network_of(write(tmp_path / "b", {"boxes": boxes()}, {}))


def test_a_file_that_lacks_a_weight_is_not_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = restore._kept(BUNDLE / "network.onnx")
    for name in ("backbone.0.body.stem.bias", "edges.queries.weight"):
        less = {n: value for n, value in whole.items() if n != name}
        monkeypatch.setattr(restore, "_kept", lambda _, kept=less: dict(kept))
        with pytest.raises(WeightsMismatch, match=rf"missing \['{name}'\]"):
            restore.network_of(bundles.load(BUNDLE))


def test_weights_make_a_network_with_the_heads_they_are_of() -> None:
    made = AnatomyPerception(ApmConfig(extra_heads=("presence", "spread", "masks")))
    again = moving.network_of(made.state_dict())
    assert again.config.extra_heads == ("presence", "spread", "masks")
    with pytest.raises(RuntimeError):
        moving.network_of({**made.state_dict(), "strange": torch.zeros(1)})


def test_a_start_without_words_keeps_none_and_teaches_no_alignment(tmp_path: Path) -> None:
    start = tmp_path / "start.pt"
    torch.save({"mean": restore.network_of(bundles.load(BUNDLE)).state_dict()}, start)
    plan = train.Plan(steps=2, only="region_masks", without=("alignment",), mix=(2, 0, 0))
    run = train.Run(tmp_path / "run", plan, start)
    samples = [Simulator(projections()).scene(np.random.default_rng(1), 0, 0) for _ in range(3)]
    write_chunk(tmp_path / "bank" / "chunk1_000.npz", samples)
    train.fit(run, Bank(tmp_path / "bank"), RealStream([]))
    kept = torch.load(tmp_path / "run" / "last.pt", weights_only=True)
    assert "words" not in kept
    assert train.Run(tmp_path / "run", plan, start).step == 2
    with pytest.raises(ValueError, match="leave the alignment out"):
        train.Run(tmp_path / "other", train.Plan(steps=2), start)


@pytest.mark.parametrize("head", ["region_masks", "view"])
def test_one_head_learns_and_nothing_else_moves(tmp_path: Path, head: str) -> None:
    run = train.Run(tmp_path, train.Plan(steps=4, warmup=1, only=head, rate=1e-2))
    before = {name: value.clone() for name, value in run.network.state_dict().items()}
    rng = np.random.default_rng(1)
    simulator = Simulator(projections())
    batch = collate([simulator.scene(rng, 0, 0) for _ in range(2)])
    batch = {n: v.float() if v.is_floating_point() else v for n, v in batch.items()}
    for _ in range(4):  # the running mean follows every fourth step
        run.learn(batch)
    after, mean = run.network.state_dict(), run.mean.state_dict()
    moved = {name for name, value in before.items() if not torch.equal(after[name], value)}
    assert moved
    assert all(name.removeprefix("heads.by_name.").removeprefix("heads.").startswith(head)
               for name in moved)  # fmt: skip
    assert {n for n, v in before.items() if not torch.equal(mean[n], v)} == moved


def test_a_simulated_film_brings_the_masks_of_its_regions() -> None:
    exam = Examiner(projections()).exam(Order(3, 0, 0))
    boxed = filled(exam.boxes / 320, 80)
    seen = exam.visible & boxed.any(axis=(1, 2))
    shared = (exam.region_masks & boxed)[seen].sum() / (exam.region_masks | boxed)[seen].sum()
    assert shared > 0.85  # the test body fills its boxes; a cell at an edge is half in
    turned = mirror(exam)
    assert np.array_equal(turned.region_masks, exam.region_masks[..., ::-1])
    other = Examiner(projections()).exam(Order(3, 0, 0, mirrored=True))
    assert np.array_equal(other.region_masks, turned.region_masks)
    assert len(CORNERS) == len(exam.region_masks)
