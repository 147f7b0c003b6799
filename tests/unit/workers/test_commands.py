import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import typer
from films import EyeWithSigns
from PIL import Image

from dicom import film
from dicom.film import FilmDescription
from models import bundles
from models.errors import GpuOutOfMemory
from models.fakes import FakeEye, Planted
from models.opinions import SignOpinion
from models.vocabulary import AnatomicStructure, Observation, Presence, ScopeReason, Sign
from service.settings import Settings
from workers import commands, nets

RNG = np.random.default_rng(3)
PARTS = ("  Findings:", "  Impression:", "  Withheld:", "  Limits:")
PIXELS = RNG.integers(0, 255, (320, 288), np.uint8)


@pytest.fixture(autouse=True)
def installation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CARINA_HOME", str(tmp_path / "home"))


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    Image.fromarray(PIXELS).save(tmp_path / "film.png")
    return tmp_path / "film.png"


def use(monkeypatch: pytest.MonkeyPatch, eye: FakeEye) -> None:
    def load(settings: Settings) -> FakeEye:
        return eye

    monkeypatch.setattr(nets, "load", load)


def test_look_says_first_that_it_is_a_draft(
    picture: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    use(monkeypatch, FakeEye())
    commands.look([picture])
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].endswith("AI DRAFT, not verified")
    assert any("Not looked for" in line for line in lines)


def test_look_names_the_parts_of_a_draft(
    picture: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    use(monkeypatch, FakeEye())
    commands.look([picture])
    lines = capsys.readouterr().out.splitlines()
    heads = [place for place, line in enumerate(lines) if line in PARTS]
    assert [lines[place] for place in heads] == ["  Findings:", "  Impression:", "  Limits:"]
    assert all(lines[place + 1].startswith("    ") for place in heads)


def test_look_tells_the_signs_after_the_draft(
    picture: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    tube = SignOpinion(Sign.CHEST_TUBE, 0.6, Presence.PRESENT, AnatomicStructure.LEFT_LUNG)
    use(monkeypatch, EyeWithSigns(signs=(tube,)))
    commands.look([picture])
    lines = capsys.readouterr().out.splitlines()
    heading = next(n for n, line in enumerate(lines) if line.startswith("  Signs (in no draft"))
    assert lines[heading + 1] == "    called present: chest tube 0.60 (left lung)"
    assert not any("chest tube" in line for line in lines[:heading])


def test_look_draws_the_signs(
    picture: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tube = SignOpinion(Sign.CHEST_TUBE, 0.6, Presence.PRESENT, AnatomicStructure.LEFT_LUNG)
    drawn = []
    for eye in (EyeWithSigns(signs=(tube,)), FakeEye()):
        use(monkeypatch, eye)
        commands.look([picture], out=tmp_path / "drawn.png", as_json=True)
        drawn.append((tmp_path / "drawn.png").read_bytes())
    assert drawn[0] != drawn[1]


@pytest.mark.parametrize("in_scope", [0.99, 0.1])
def test_look_draws_the_regions_of_a_film_that_is_not_read_too(
    in_scope: float, picture: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    use(monkeypatch, FakeEye(in_scope=in_scope, reason=ScopeReason.NOT_FRONTAL))
    commands.look([picture], regions=tmp_path / "regions.png", as_json=True)
    with Image.open(tmp_path / "regions.png") as drawn:
        pixels = np.asarray(drawn).astype(int)
    assert (np.ptp(pixels, axis=2) > 40).sum() > 1000
    assert max(pixels.shape) <= commands.OVERLAY_PX


def test_a_second_look_that_fails_fails_that_film_alone(
    picture: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    use(monkeypatch, FakeEye())
    whole, asked = commands._as_json, []

    def no_room(path: Path, *given: Any, **more: Any) -> dict[str, Any]:
        asked.append(path)
        if len(asked) == 1:
            raise GpuOutOfMemory("no room for a batch of 1")
        return whole(path, *given, **more)

    monkeypatch.setattr(commands, "_as_json", no_room)
    with pytest.raises(SystemExit):
        commands.look([picture, picture], as_json=True, masks=True)
    first, second = map(json.loads, capsys.readouterr().out.splitlines())
    assert first["error"] == "GpuOutOfMemory: no room for a batch of 1"
    assert second["regions"]


def test_look_tells_masks_of_regions_in_json_only(
    picture: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    use(monkeypatch, FakeEye())
    commands.look([picture], as_json=True, masks=True)
    told = json.loads(capsys.readouterr().out)
    assert [region["mask"] for region in told["regions"]] == [None] * 36  # of a fake eye
    with pytest.raises(typer.BadParameter, match="--json"):
        commands.look([picture], masks=True)


def test_look_reads_dicom_and_pictures_alike(
    picture: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    use(monkeypatch, FakeEye(planted=(Planted(Observation.MASS),)))
    dicom = tmp_path / "film.dcm"
    dicom.write_bytes(film.encode(film.from_pixels(PIXELS, FilmDescription(seed="x"))))
    commands.look([picture, dicom], as_json=True, out=tmp_path / "drawn.png")
    told = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [one["image"] for one in told] == [str(picture), str(dicom)]
    assert told[0]["image_id"] == "film.png"
    for one in told:
        states = {(item["observation"], item["state"]) for item in one["findings"]}
        assert ("mass or nodule", "PRESENT") in states


def test_look_draws_one_picture_for_each_film(
    picture: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    use(monkeypatch, FakeEye())
    other = tmp_path / "other.png"
    other.write_bytes(picture.read_bytes())
    commands.look([picture, other], out=tmp_path / "drawn.png")
    for name in ("drawn-film.png", "drawn-other.png"):
        with Image.open(tmp_path / name) as drawn:
            assert drawn.mode == "RGB"


def test_look_names_what_it_does_not_read(
    picture: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    use(monkeypatch, FakeEye(in_scope=0.1, reason=ScopeReason.NOT_A_CHEST))
    commands.look([picture])
    assert "not read:" in capsys.readouterr().out


def test_look_goes_on_after_an_unreadable_file_and_fails_in_the_end(
    picture: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    use(monkeypatch, FakeEye())
    with pytest.raises(SystemExit) as ended:
        commands.look([tmp_path / "missing.png", picture])
    said = capsys.readouterr()
    assert ended.value.code == 1
    assert "No such file" in said.err
    assert "AI DRAFT" in said.out


def test_a_bad_file_has_an_object_with_its_error_and_the_others_go_on(
    picture: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    use(monkeypatch, FakeEye(in_scope=0.1, reason=ScopeReason.NOT_A_CHEST))
    broken = tmp_path / "broken.jpg"
    broken.write_bytes(b"\xff\xd8\xff garbage")
    with pytest.raises(SystemExit) as ended:
        commands.look([broken, picture], as_json=True)
    first, second = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert ended.value.code == 1
    assert first["image"] == str(broken)
    assert first["error"].startswith("UnreadableImage: ")
    assert second["in_scope"] is False
    assert second["reason"] == "not a chest radiograph"
    assert len(second["regions"]) == 36
    name, box, score = (second["regions"][0][key] for key in ("name", "box", "score"))
    assert (name, len(box)) == ("abdomen", 4)
    assert 0 <= score <= 1


def test_a_film_that_is_not_read_is_drawn_with_the_reason_and_no_findings(
    picture: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    use(monkeypatch, FakeEye(in_scope=0.1, reason=ScopeReason.NOT_FRONTAL))
    commands.look([picture], out=tmp_path / "drawn.png", as_json=True)
    with Image.open(tmp_path / "drawn.png") as drawn:
        assert drawn.mode == "RGB"
        assert max(drawn.size) <= commands.OVERLAY_PX


def test_the_shipped_bundle_is_listed_as_the_one_in_use(
    capsys: pytest.CaptureFixture[str],
) -> None:
    commands.models_list()
    (line,) = [one for one in capsys.readouterr().out.splitlines() if "in use" in one]
    assert line.startswith("anatomy-mini")


def test_a_damaged_bundle_is_named_and_fails_the_verification(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    use(monkeypatch, FakeEye())
    damaged = tmp_path / "bundles" / "copy"
    damaged.mkdir(parents=True)
    for path in (bundles.shipped() / "anatomy-mini").iterdir():
        (damaged / path.name).write_bytes(path.read_bytes())
    (damaged / "network.onnx").write_bytes(b"other weights")
    monkeypatch.setenv("CARINA_BUNDLES", str(tmp_path / "bundles"))
    with pytest.raises(SystemExit):
        commands.models_verify()
    assert "WeightsMismatch" in capsys.readouterr().err
