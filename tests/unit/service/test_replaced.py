"""What a site may ask of its archives about old objects, as it writes it down."""

import pytest

from dicom.values import PacsNode, WebNode
from service.addresses import parse_destination
from service.errors import SettingsInvalid
from service.replaced import Replaced
from service.settings import Settings, load


def test_nothing_is_taken_away_unless_a_site_asks_for_it() -> None:
    assert parse_destination("a=AET@host:104").replaced is Replaced.LEAVE
    assert Settings(pacs=PacsNode("A", "h", 1)).archives[0].replaced is Replaced.LEAVE


def test_each_destination_has_its_own_word() -> None:
    found = Settings.model_validate(
        {
            "pacs": "A@h:1;tls",
            "replaced": "delete;orthanc=http://h:8042/",
            "destinations": "b=B@h:2;replaced=reject,c=https://h/dicom-web;replaced=delete",
        }
    ).archives
    assert [one.replaced for one in found] == [Replaced.DELETE, Replaced.REJECT, Replaced.DELETE]
    assert found[0].to == PacsNode("A", "h", 1, tls=True)
    assert [one.orthanc for one in found] == [WebNode("http://h:8042"), None, None]


@pytest.mark.parametrize(
    "text",
    [
        "a=A@h:1;replaced=delete",
        "a=A@h:1;replaced=reject;orthanc=http://h:8042",
        "a=A@h:1;replaced=delete;orthanc=h:8042",
        "a=A@h:1;replaced=shred",
    ],
)
def test_what_cannot_be_done_stops_the_start(text: str) -> None:
    with pytest.raises(ValueError, match=r"a: |shred"):
        parse_destination(text)


def test_a_wrong_word_for_the_first_archive_is_named() -> None:
    with pytest.raises(SettingsInvalid, match="needs orthanc="):
        load(pacs="A@h:1", replaced="delete")


@pytest.mark.parametrize(
    "text",
    [
        "a=A@h:1;proof=query;replaced=reject",
        "a=A@h:1;replaced=delete;orthanc=http://h:8042;orthanc_token_file=/run/t",
    ],
)
def test_what_is_shown_can_be_written_again(text: str) -> None:
    assert str(parse_destination(text)) == text
