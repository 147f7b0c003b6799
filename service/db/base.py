"""What every table shares: the root with its names of constraints, and words as conditions."""

from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import DateTime, MetaData, Text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import DeclarativeBase


def one_of(column: str, words: type[StrEnum] | tuple[StrEnum, ...]) -> str:
    """Return the SQL condition that a text column holds one of the words."""
    return f"{column} IN ({', '.join(repr(word.value) for word in words)})"


class Base(DeclarativeBase):
    """Root of all tables; constraint names are fixed so that migrations can name them."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map = {  # noqa: RUF012  (SQLAlchemy's way)
        datetime: DateTime(timezone=True),
        str: Text,
        dict[str, Any]: JSONB,
    }
