import re
from enum import StrEnum
from pathlib import Path
from typing import Literal, get_args, get_origin

from pydantic import SecretStr

from service import settings_page
from service.settings import Settings

PAGE = Path(__file__).parents[3] / "docs" / "settings.md"


def test_the_page_of_settings_is_what_the_code_says() -> None:
    assert PAGE.read_text(encoding="utf-8") == settings_page.page()


def test_every_setting_says_what_it_means() -> None:
    silent = [name for name, field in Settings.model_fields.items() if not field.description]
    assert silent == []


def test_every_word_that_may_be_chosen_is_named() -> None:
    silent = [
        f"{name}: {word}"
        for name, field in Settings.model_fields.items()
        for word in words_of(field.annotation)
        if not re.search(rf"\b{word}\b", field.description or "")
    ]
    assert silent == []
    assert words_of(Settings.model_fields["unknown_view"].annotation) == ("read", "skip")


def words_of(kind: object) -> tuple[str, ...]:
    if get_origin(kind) is Literal:
        return get_args(kind)
    return tuple(kind) if isinstance(kind, type) and issubclass(kind, StrEnum) else ()


def test_passwords_are_masked_wherever_they_stand() -> None:
    settings = Settings(
        database_url=SecretStr("postgresql+psycopg://carina:s3cret@db:5432/carina"),
        broker_url=SecretStr("redis://:s3cret@broker:6379/0"),
    )
    shown = {row.variable: row.value for row in settings_page.rows_of(settings)}
    assert shown["CARINA_DATABASE_URL"] == "postgresql+psycopg://carina:****@db:5432/carina"
    assert shown["CARINA_BROKER_URL"] == "redis://:****@broker:6379/0"
    assert "s3cret" not in str(shown)


def test_lists_are_shown_as_they_are_written() -> None:
    shown = {row.variable: row.value for row in settings_page.rows_of(Settings())}
    assert shown["CARINA_CALLERS"] == "*@127.0.0.1,*@::1"
    assert shown["CARINA_RESULTS"].split(",")[-1] == "text"
