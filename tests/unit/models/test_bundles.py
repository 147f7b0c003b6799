import re
from collections.abc import Callable
from pathlib import Path

import pytest

from models import bundles
from models.errors import BundleInvalid, BundleMissing, WeightsMismatch
from models.vocabulary import BundleUse, Observation

MANIFEST = """
name = "toy"
version = "1"
role = "anatomy"
use = "demo"
architecture = "none"
licence = "none"
intended_use = "tests"
card = "none"
[input]
side = 8
intensity = "0..1"
[output]
heads = ["boxes", "findings", "masks", "scope"]
regions = ["right lung"]
observations = ["mass or nodule"]
masks = ["heart"]
[thresholds]
"mass or nodule" = [0.2, 0.8]
[operating]
scope_margin = 1
[cardiothoracic]
bias = 0.01
sd = 0.02
[limits]
sentences = ["Weak."]
[files]
"network.onnx" = "@HASH@"
"""
Maker = Callable[..., Path]


@pytest.fixture
def make(tmp_path: Path) -> Maker:
    def build(name: str = "toy", change: tuple[str, str] = ("", "")) -> Path:
        folder = tmp_path / name
        folder.mkdir(parents=True)
        (folder / "network.onnx").write_bytes(b"weights")
        text = MANIFEST.replace("@HASH@", bundles.digest(folder / "network.onnx"))
        assert change[0] in text
        (folder / "bundle.toml").write_text(text.replace(*change, 1) if change[0] else text)
        return folder

    return build


def test_a_good_bundle_loads_with_all_it_says(make: Maker) -> None:
    bundle = bundles.load(make())
    assert bundle.use is BundleUse.DEMO
    assert bundle.thresholds == {Observation.MASS: (0.2, 0.8)}
    assert bundle.cardiothoracic == (0.01, 0.02)
    assert bundle.limits == ("Weak.",)
    assert bundle.identity.weights_sha256 == bundles.combined(bundle.files)


def test_a_missing_folder_and_a_folder_without_manifest_are_missing_bundles(tmp_path: Path) -> None:
    for folder in (tmp_path / "nowhere", tmp_path):
        with pytest.raises(BundleMissing):
            bundles.load(folder)


def test_one_changed_byte_in_the_weights_is_noticed(make: Maker) -> None:
    folder = make()
    (folder / "network.onnx").write_bytes(b"weightz")
    with pytest.raises(WeightsMismatch, match=r"network\.onnx is not the declared bytes"):
        bundles.load(folder)


def test_missing_and_surplus_files_are_both_named(make: Maker) -> None:
    folder = make()
    (folder / "network.onnx").rename(folder / "other.onnx")
    with pytest.raises(WeightsMismatch, match=r"other.onnx is not declared; network.onnx is miss"):
        bundles.load(folder)


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        (('name = "toy"', ""), "name is missing"),
        (('use = "demo"', 'use = "fun"'), "use 'fun' is none of"),
        (("[limits]", "[other]"), "[limits] is missing"),
        (("side = 8", "side = -8"), "input.side"),
        (('intensity = "0..1"', ""), "input.intensity"),
        (('regions = ["right lung"]', "regions = 3"), "output.regions"),
        (("[0.2, 0.8]", "[0.9, 0.8]"), "thresholds"),
        (('"mass or nodule" = [0.2', '"cough" = [0.2'), "thresholds: 'cough'"),
        (('"mass or nodule" = [0.2, 0.8]', ""), "thresholds: 'mass or nodule' is missing"),
        (('"boxes", "findings"', '"findings"'), "output.heads"),
        (('"boxes", "findings"', '"boxes", "boxes"'), "output.heads"),
        (('"boxes", "findings"', '"boxes", "ears", "findings"'), "output.heads: 'ears'"),
        (('"boxes", "findings"', '"boxes"'), "output.observations is given, but its head is not"),
        (('"findings", "masks"', '"findings"'), "output.masks is given, but its head is not"),
        (('"scope"]', '"scope", "signs"]'), "output.signs is not a list"),
        (('"scope"]', '"scope", "attributes"]'), "attributes needs the head signs"),
        (('"scope"]', '"scope", "mirrored"]'), "operating.sides_sure is missing"),
        (('"scope"]', '"scope", "spread"]'), "operating.spread_limit is missing"),
        (("scope_margin = 1", ""), "operating.scope_margin is missing"),
        (('masks = ["heart"]', 'masks = ["heart", "heart"]'), "output.masks: a name comes twice"),
        (('masks = ["heart"]', 'masks = ["hat"]'), "output.masks: 'hat' is not known"),
        (("scope_margin = 1", 'scope_margin = "x"'), "operating.scope_margin"),
        (("bias = 0.01", ""), "cardiothoracic.bias is missing"),
        (("sd = 0.02", ""), "cardiothoracic.sd is missing"),
        (("sd = 0.02", "sd = 0"), "cardiothoracic.sd is not above 0"),
        (("sd = 0.02", "sd = -1"), "cardiothoracic.sd is not above 0"),
        (("sd = 0.02", "sd = true"), "cardiothoracic.sd is missing or no number"),
        (("side = 8", "side = true"), "input.side"),
        (('use = "demo"', ""), "use is missing"),
        (('["right lung"]', '["gizzard"]'), "output.regions: 'gizzard' is not known"),
        (('["right lung"]', '["right lung", "right lung"]'), "output.regions: a name comes twice"),
        (("[operating]", "[operating]\nmirror_share = 0.5"), "operating.mirror_share is not known"),
        (('masks = ["heart"]', 'masks = ["heart"]\nsigns = []'), "output.signs is given, but"),
        (
            ('masks = ["heart"]', 'masks = ["heart"]\noutlined = ["spine"]'),
            "output.outlined is given",
        ),
        (
            ('"scope"]', '"scope", "region_masks"]\noutlined = ["gizzard"]'),
            "output.outlined: 'gizz",
        ),
        (('"scope"]', '"scope", "region_masks"]\noutlined = []'), "output.outlined is not a list"),
        (('sentences = ["Weak."]', ""), "limits.sentences"),
        (('"network.onnx" =', '"../network.onnx" ='), "is not a plain name"),
        (('name = "toy"', "name = "), "bundle.toml"),
    ],
)
def test_each_fault_of_the_manifest_is_named(
    make: Maker, change: tuple[str, str], fault: str
) -> None:
    with pytest.raises(BundleInvalid) as caught:
        bundles.load(make(change=change))
    assert fault in str(caught.value)


@pytest.mark.parametrize(
    ("place", "fault"),
    [
        ('card = "none"', "surplus is not known"),
        ("[input]", "input.surplus is not known"),
        ("[output]", "output.surplus is not known"),
        ("[thresholds]", "thresholds: 'surplus'"),
        ("[operating]", "operating.surplus is not known"),
        ("[cardiothoracic]", "cardiothoracic.surplus is not known"),
        ("[limits]", "limits.surplus is not known"),
        ("[files]", "the hash of 'surplus' is not a SHA-256"),
    ],
)
def test_a_key_that_nobody_reads_is_a_fault(make: Maker, place: str, fault: str) -> None:
    with pytest.raises(BundleInvalid) as caught:
        bundles.load(make(change=(place, f"{place}\nsurplus = 0.5")))
    assert fault in str(caught.value)


def test_a_table_that_nobody_reads_is_a_fault(make: Maker) -> None:
    with pytest.raises(BundleInvalid, match="more is not known"):
        bundles.load(make(change=("[limits]", "[more]\n[limits]")))


@pytest.mark.parametrize("value", ["nan", "inf", "-inf", "1e999", "1" + 400 * "0"])
@pytest.mark.parametrize(
    ("said", "fault"),
    [
        ("scope_margin = {}", "operating.scope_margin is no number"),
        ("bias = {}", "cardiothoracic.bias is missing or no number"),
        ("sd = {}", "cardiothoracic.sd is missing or no number"),
        ("side = {}", "input.side is not"),
        ('"mass or nodule" = [0.2, {}]', "thresholds: 'mass or nodule'"),
        ('"mass or nodule" = [{}, 0.8]', "thresholds: 'mass or nodule'"),
    ],
)
def test_a_number_that_is_not_finite_is_a_fault(
    make: Maker, said: str, value: str, fault: str
) -> None:
    start = said.partition("{}")[0]
    (line,) = [one for one in MANIFEST.splitlines() if one.startswith(start.partition(" [")[0])]
    with pytest.raises(BundleInvalid) as caught:
        bundles.load(make(change=(line, said.format(value))))
    assert fault in str(caught.value)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("spread_limit", -0.1), ("spread_slope", -1), ("sides_sure", -1), ("sides_declared", -1),
        ("mirror_share", -0.1), ("mirror_share", 1.1),
    ],
)  # fmt: skip
def test_an_operating_number_out_of_its_range_is_a_fault(
    make: Maker, key: str, value: float
) -> None:
    numbers = {"spread_limit": 1, "spread_slope": 1, "sides_sure": 1, "sides_declared": 1,
               "mirror_share": 0.5, "scope_margin": -2}  # fmt: skip
    heads = ('"scope"]', '"scope", "spread", "mirrored"]')

    def load(name: str, **changed: float) -> bundles.Bundle:
        folder = make(name, change=heads)
        lines = "\n".join(f"{one} = {told}" for one, told in {**numbers, **changed}.items())
        text = (folder / "bundle.toml").read_text().replace("scope_margin = 1", lines)
        (folder / "bundle.toml").write_text(text)
        return bundles.load(folder)

    assert load("good").operating == numbers
    with pytest.raises(BundleInvalid, match=rf"operating\.{key} = .* is out of its range"):
        load("bad", **{key: value})


def test_several_faults_are_named_together(make: Maker) -> None:
    folder = make(change=('name = "toy"', ""))
    text = (folder / "bundle.toml").read_text().replace('licence = "none"', "licence = 3")
    (folder / "bundle.toml").write_text(text)
    with pytest.raises(BundleInvalid, match=r"name is missing.*licence is missing"):
        bundles.load(folder)


def test_a_folder_of_bundles_and_a_bundle_itself_are_both_found(
    make: Maker, tmp_path: Path
) -> None:
    first, second = make("many/a"), make("many/b")
    found = bundles.available([tmp_path / "many", first])
    assert found[:2] == (first, second)
    assert bundles.find([tmp_path / "many"]).folder == first


def test_a_broken_bundle_on_the_way_is_an_error_not_skipped(make: Maker, tmp_path: Path) -> None:
    (make("many/a") / "network.onnx").write_bytes(b"")
    make("many/b")
    with pytest.raises(WeightsMismatch):
        bundles.find([tmp_path / "many"])


def test_a_role_nobody_has_is_a_missing_bundle() -> None:
    with pytest.raises(BundleMissing):
        bundles.find(role="cook")


def test_the_shipped_bundle_verifies_and_is_for_demonstration_only() -> None:
    bundle = bundles.find()
    assert bundle.folder == bundles.shipped() / "anatomy-mini"
    assert bundle.use is BundleUse.DEMO
    assert set(bundle.thresholds) == set(Observation)


def test_the_shipped_network_does_not_say_where_it_was_made() -> None:
    content = (bundles.shipped() / "anatomy-mini" / "network.onnx").read_bytes()
    # A bare ".py" occurs by chance among millions of weights.
    assert re.search(rb"[\w/-]{4,}\.py\b|site-packages|/home/", content) is None
