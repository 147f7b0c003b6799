"""A checkpoint in the exact layout of AnatomiX's, with random numbers, at full size."""

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("safetensors")

from models import bundles  # noqa: E402
from models.anatomy import released  # noqa: E402
from models.errors import WeightsMismatch  # noqa: E402
from models.vocabulary import BundleUse  # noqa: E402

D, FEEDFORWARD, REGIONS, EMBEDDING, CLASSES = 256, 1024, 36, 16, 14
Layout = Iterator[tuple[str, tuple[int, ...]]]


def batch_norm(name: str, channels: int) -> Layout:
    for part in ("weight", "bias", "running_mean", "running_var"):
        yield f"{name}.{part}", (channels,)


def resnet50() -> Layout:
    yield "conv1.weight", (64, 1, 7, 7)
    yield from batch_norm("bn1", 64)
    inputs = 64
    for number, (depth, width) in enumerate(((3, 64), (4, 128), (6, 256), (3, 512)), start=1):
        for index in range(depth):
            name, outputs = f"layer{number}.{index}", width * 4
            yield f"{name}.conv1.weight", (width, inputs, 1, 1)
            yield from batch_norm(f"{name}.bn1", width)
            yield f"{name}.conv2.weight", (width, width, 3, 3)
            yield from batch_norm(f"{name}.bn2", width)
            yield f"{name}.conv3.weight", (outputs, width, 1, 1)
            yield from batch_norm(f"{name}.bn3", outputs)
            if index == 0:
                yield f"{name}.downsample.0.weight", (outputs, inputs, 1, 1)
                yield from batch_norm(f"{name}.downsample.1", outputs)
            inputs = outputs


def linear(name: str, inputs: int, outputs: int) -> Layout:
    yield f"{name}.weight", (outputs, inputs)
    yield f"{name}.bias", (outputs,)


def attention(name: str) -> Layout:
    yield f"{name}.in_proj_weight", (3 * D, D)
    yield f"{name}.in_proj_bias", (3 * D,)
    yield from linear(f"{name}.out_proj", D, D)


def norm(name: str) -> Layout:
    yield f"{name}.weight", (D,)
    yield f"{name}.bias", (D,)


def transformer() -> Layout:
    yield "cls_token", (1, 1, D)
    yield "cls_pos", (1, 1, D)
    kinds = {"encoder": ("self_attn",), "decoder": ("self_attn", "multihead_attn")}
    for kind, attentions in kinds.items():
        for number in range(4):
            layer = f"{kind}.layers.{number}"
            for name in attentions:
                yield from attention(f"{layer}.{name}")
            yield from linear(f"{layer}.linear1", D, FEEDFORWARD)
            yield from linear(f"{layer}.linear2", FEEDFORWARD, D)
            for place in range(len(attentions) + 1):
                yield from norm(f"{layer}.norm{place + 1}")
    yield from norm("decoder.norm")


def vision() -> Layout:
    for name, shape in resnet50():
        yield f"backbone.0.body.{name}", shape
    for name, shape in transformer():
        yield f"transformer.{name}", shape
    yield "input_proj.weight", (D, 2048, 1, 1)
    yield "input_proj.bias", (D,)
    yield "query_embed.weight", (REGIONS, D)
    for layer, outputs in enumerate((D, D, 4)):
        yield from linear(f"bbox_embed.layers.{layer}", D, outputs)
    yield from attention("anat_obj_embs.mha")
    yield from linear("anat_obj_embs.linear", D, EMBEDDING)
    yield from linear("image_class_embed", D, CLASSES)


def random_weights() -> dict[str, Any]:
    generator = torch.Generator().manual_seed(0)
    weights = {}
    for name, shape in vision():
        spread = 0.02 if len(shape) > 1 else 0.1
        value = torch.randn(shape, generator=generator) * spread
        weights[name] = value.abs() + 0.5 if name.endswith("running_var") else value
    return weights


@pytest.fixture(scope="module")
def weights() -> dict[str, Any]:
    return random_weights()


def a_checkpoint(path: Path, weights: dict[str, Any], **others: Any) -> Path:
    model = {f"vis_model.{name}": value for name, value in weights.items()}
    model["text_model.model.embeddings.word_embeddings.weight"] = torch.zeros(4, 768)
    model["text_model.project_head.proj.0.weight"] = torch.zeros(512, 768)
    whole = {"model": model, "vis_optimizer": {"state": {}}, "text_optimizer": {},
             "lr_scheduler": {}, "epoch": 44, "args": argparse.Namespace(lr=1e-4, d_model=D),
             "best_loss": 1.25, **others}  # fmt: skip
    torch.save(whole, path)
    return path


def test_the_released_layout_is_converted_and_loaded_at_full_size(
    tmp_path: Path, weights: dict[str, Any]
) -> None:
    bundle = released.convert(a_checkpoint(tmp_path / "apm.pth", weights), tmp_path / "bundle")
    assert bundle.use is BundleUse.RESEARCH
    assert bundle.input_side == 1024
    assert bundle.heads == {"boxes", "embedding", "classes"}
    network = released.load(tmp_path / "bundle")
    own = network.state_dict()
    assert own.keys() == weights.keys()
    assert all(torch.equal(own[name], value) for name, value in weights.items())
    with torch.no_grad():
        seen = network(torch.rand(1, 1, 256, 256))
    assert {name: tuple(value.shape) for name, value in seen.items()} == {
        "boxes": (1, REGIONS, 4), "embedding": (1, REGIONS, EMBEDDING), "classes": (1, CLASSES),
    }  # fmt: skip
    assert 0 < float(seen["boxes"].min()) <= float(seen["boxes"].max()) < 1


def test_missing_surplus_misshapen_and_broken_weights_are_all_named(
    weights: dict[str, Any],
) -> None:
    other = dict(weights)
    del other["query_embed.weight"]
    other["class_embed.weight"] = torch.zeros(2, 2)
    other["input_proj.bias"] = torch.zeros(7)
    other["transformer.cls_pos"] = torch.full((1, 1, D), float("nan"))
    with pytest.raises(WeightsMismatch) as caught:
        released.network(other)
    for words in ("missing: query_embed.weight", "surplus: class_embed.weight",
                  "shape: input_proj.bias", "not finite: transformer.cls_pos"):  # fmt: skip
        assert words in str(caught.value)


def test_one_changed_byte_of_the_converted_weights_is_noticed(
    tmp_path: Path, weights: dict[str, Any]
) -> None:
    released.convert(a_checkpoint(tmp_path / "apm.pth", weights), tmp_path / "bundle")
    file = tmp_path / "bundle" / released.WEIGHTS_FILE
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)
    with pytest.raises(WeightsMismatch, match="not the declared bytes"):
        released.load(tmp_path / "bundle")


def test_a_part_that_is_neither_vision_nor_text_is_named(tmp_path: Path) -> None:
    torch.save({"model": {"LM.head": torch.zeros(1)}}, tmp_path / "lm.pth")
    with pytest.raises(WeightsMismatch, match=r"LM\.head"):
        released.read(tmp_path / "lm.pth")
    torch.save({"weights": 3}, tmp_path / "other.pth")
    with pytest.raises(WeightsMismatch, match="no entry 'model'"):
        released.read(tmp_path / "other.pth")


class Runs:
    """Would run on an unguarded unpickling."""

    def __reduce__(self) -> tuple[Any, ...]:
        return (exec, ("raise SystemExit('it ran')",))


def test_nothing_in_a_checkpoint_is_ever_run(tmp_path: Path) -> None:
    torch.save({"model": {}, "args": Runs()}, tmp_path / "bad.pth")
    with pytest.raises(WeightsMismatch, match="unpickling"):
        released.read(tmp_path / "bad.pth")


def test_a_bundle_of_another_architecture_is_refused() -> None:
    with pytest.raises(WeightsMismatch, match="not 'anatomix-apm/released'"):
        released.load(bundles.shipped() / "anatomy-mini")
