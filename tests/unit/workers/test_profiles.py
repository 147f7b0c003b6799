from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from dicom import profile
from dicom.associate import Offer, Requestor
from dicom.errors import AssociationFailed
from dicom.profile import DestinationProfile, SrFlavour
from dicom.values import PacsNode
from workers.profiles import FRESH_FOR, ProfileBook, offers

PACS = PacsNode("PACS", "192.0.2.1", 104)
NOW = datetime(2026, 3, 1, tzinfo=UTC)
CARINA = Requestor("CARINA")


@dataclass
class Archive:
    """Answers instead of an association."""

    refuses: frozenset[str] = frozenset()
    is_down: bool = False
    asked: list[str] = field(default_factory=list)

    def accepted(
        self, to: PacsNode, offered: list[Offer], requestor: Requestor
    ) -> frozenset[Offer]:
        assert requestor is CARINA
        self.asked.append(str(to))
        if self.is_down:
            raise AssociationFailed("down")
        return frozenset(one for one in offered if one[0] not in self.refuses)


@pytest.fixture
def archive(monkeypatch: pytest.MonkeyPatch) -> Archive:
    made = Archive(refuses=frozenset({profile.SEGMENTATION}))
    monkeypatch.setattr("dicom.send.accepted_offers", made.accepted)
    return made


def ask(book: ProfileBook, now: datetime = NOW, flavour: str = "auto") -> DestinationProfile:
    return book.of(PACS, flavour, CARINA, now)


def test_every_kind_of_result_is_offered() -> None:
    assert {uid for uid, _ in offers()} == set(profile.RESULT_SOP_CLASSES)


def test_what_the_archive_refuses_is_left_out(archive: Archive, tmp_path: Path) -> None:
    assert not ask(ProfileBook(tmp_path)).seg
    assert archive.asked == [str(PACS)]


def test_it_is_asked_again_only_when_the_answer_is_old(archive: Archive, tmp_path: Path) -> None:
    book = ProfileBook(tmp_path)
    ask(book)
    ask(book, NOW + FRESH_FOR - timedelta(seconds=1))
    assert len(archive.asked) == 1
    archive.refuses = frozenset()
    assert ask(book, NOW + FRESH_FOR).seg
    assert len(archive.asked) == 2


def test_an_archive_that_is_down_keeps_its_last_profile(archive: Archive, tmp_path: Path) -> None:
    book = ProfileBook(tmp_path)
    ask(book)
    archive.is_down = True
    assert not ask(book, NOW + FRESH_FOR).seg


def test_the_last_profile_outlives_the_process(archive: Archive, tmp_path: Path) -> None:
    ask(ProfileBook(tmp_path))
    archive.is_down = True
    assert not ask(ProfileBook(tmp_path)).seg


def test_an_archive_never_heard_of_is_taken_to_accept_everything(
    archive: Archive, tmp_path: Path
) -> None:
    archive.is_down = True
    assert ask(ProfileBook(tmp_path)) == DestinationProfile()


def test_while_it_is_down_it_is_not_asked_for_every_study(archive: Archive, tmp_path: Path) -> None:
    archive.is_down = True
    book = ProfileBook(tmp_path)
    for _ in range(5):
        ask(book)
    assert len(archive.asked) == 1


def test_without_an_archive_nobody_is_asked(archive: Archive, tmp_path: Path) -> None:
    assert ProfileBook(tmp_path).of(None, "auto", CARINA, NOW) == DestinationProfile()
    assert archive.asked == []


def test_the_site_may_fix_the_flavour(archive: Archive, tmp_path: Path) -> None:
    found = ask(ProfileBook(tmp_path), flavour="comprehensive")
    assert found.boxes is SrFlavour.COMPREHENSIVE
    assert not found.seg


def test_a_damaged_file_of_profiles_is_no_obstacle(archive: Archive, tmp_path: Path) -> None:
    (tmp_path / "destinations.json").write_text("[garbage", encoding="utf-8")
    archive.is_down = True
    assert ask(ProfileBook(tmp_path)) == DestinationProfile()
