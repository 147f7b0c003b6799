"""A film to draw on: frames, outlines, labels that keep out of each other's way, a footer.

Coordinates given in are source pixels; the canvas scales them. Pillow's own font is used, so a
picture looks the same on every machine.
"""

import functools
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageDraw, ImageFont

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from models.values import ChestImage, PixelBox

    Colour = tuple[int, int, int]
    Point = tuple[float, float]

DARK: "Colour" = (12, 14, 18)
LIGHT: "Colour" = (235, 238, 242)
_LEAST_FONT = 10  # px; smaller cannot be read
_NEAR_PX = 8
_DASH = (9, 6)  # px drawn, px left out
_HATCH_PX = 12  # from one slanting line to the next, along a row


@dataclass(slots=True)
class Canvas:
    """One film, scaled to fit, with everything drawn on it so far."""

    image: "ChestImage"
    scale: float
    font_px: int = 14
    keep_clear: "tuple[PixelBox, ...]" = ()  # where labels hide what a reader looks at
    picture: Image.Image = field(init=False)
    _labels: list[tuple[float, float, float, float]] = field(default_factory=list, init=False)

    def __post_init__(self) -> None:
        self.picture = _scaled(self.image, self.scale)

    @property
    def line_px(self) -> int:
        """Width of a main line, px of the picture."""
        return max(1, round(max(self.picture.size) / 500))

    def outline(self, mask: "NDArray[np.bool_]", colour: "Colour", width: int = 1) -> None:
        """Draw the rim of a mask of the film, ``width`` px of the picture."""
        size = self.picture.size
        small = np.asarray(Image.fromarray(mask).resize(size, Image.Resampling.NEAREST))
        rim = small & ~_eroded(small, width)
        self.picture.paste(colour, (0, 0), Image.fromarray(rim))

    def hatch(self, mask: "NDArray[np.bool_]", colour: "Colour") -> None:
        """Draw the rim of a mask of the film, and slanting lines across it."""
        size = self.picture.size
        small = np.asarray(Image.fromarray(mask).resize(size, Image.Resampling.NEAREST))
        row, column = np.arange(small.shape[0])[:, None], np.arange(small.shape[1])
        slanting = (row + column) % _HATCH_PX == 0
        drawn = small & (slanting | ~_eroded(small, 1))
        self.picture.paste(colour, (0, 0), Image.fromarray(drawn))

    def frame(self, box: "PixelBox", colour: "Colour", *, dashed: bool = False) -> None:
        """Draw a box, thin; dashed for what is only possible."""
        x0, y0 = self._at((box.x_min, box.y_min))
        x1, y1 = self._at((box.x_max, box.y_max))
        corners = [(x0, y0), (x1, y0), (x1, y1), (x0, y1), (x0, y0)]
        for start, end in pairwise(corners):
            self._stroke(start, end, colour, dashed=dashed)

    def measure(self, line: "tuple[Point, Point]", colour: "Colour") -> None:
        """Draw a measured line, source pixels, with a tick across each end."""
        start, end = (self._at(point) for point in line)
        draw = ImageDraw.Draw(self.picture)
        draw.line((*start, *end), fill=colour, width=1)
        length = float(np.hypot(end[0] - start[0], end[1] - start[1])) or 1.0
        tick = self.font_px / 2 / length
        across = (-(end[1] - start[1]) * tick, (end[0] - start[0]) * tick)
        for x, y in (start, end):
            ends = (x - across[0], y - across[1], x + across[0], y + across[1])
            draw.line(ends, fill=colour, width=1)

    def label(self, text: str, box: "PixelBox", colour: "Colour", *, share: float = 1.0) -> None:
        """Write near a box, where it is free and hides least of what is to be kept clear.

        ``share`` scales the letters. They have a dark rim instead of a ground, to hide nothing.
        Above, below and inside the box are tried before the edges of the film, to which a thin
        line leads.
        """
        draw = ImageDraw.Draw(self.picture)
        font = letters(max(_LEAST_FONT, round(self.font_px * share)))
        width, height = draw.textbbox((0, 0), text, font=font, stroke_width=2)[2:]
        (x0, y0), (_, y1) = self._at((box.x_min, box.y_min)), self._at((box.x_max, box.y_max))
        near = [(x0, y0 - height - 1), (x0, y1 + 1), (x0, y0 + 2), (x0, y1 - height - 2)]
        right = self._at(box.centre)[0] > self.picture.size[0] / 2
        edge = float(self.picture.size[0]) if right else 2.0  # the nearer one
        edges = [(edge, y0), (edge, (y0 + y1) / 2), (edge, y1)]
        fitted = [self._inside(place, width, height) for place in (*near, *edges)]
        free = [place for place in fitted if not self._taken(place)] or fitted
        best = min(free, key=self._hidden)  # the first of those that hide equally little
        x, y, x_end, y_end = best
        if best in fitted[len(near) :]:
            self._lead(best, box, colour)
        self._labels.append((x, y, x_end, y_end))
        draw.text((x, y), text, font=font, fill=colour, stroke_width=2, stroke_fill=DARK)

    def corner(self, text: str, at: "Point", colour: "Colour" = LIGHT) -> None:
        """Write large letters at a place given as a share of the picture, 0..1."""
        width, height = self.picture.size
        font = letters(round(self.font_px * 1.5))
        anchor = "lm" if at[0] < 0.5 else "rm"  # noqa: PLR2004 (left or right half)
        position = (at[0] * width, at[1] * height)
        ImageDraw.Draw(self.picture).text(
            position, text, font=font, fill=colour, anchor=anchor, stroke_width=2, stroke_fill=DARK
        )

    def with_footer(self, lines: "Sequence[tuple[str, Colour]]", width: int) -> Image.Image:
        """Return the picture, in the middle of ``width`` px, with lines of text below it."""
        wrapped = wrap(lines, width, self.font_px)
        step = line_height(self.font_px)
        height = self.picture.size[1]
        whole = Image.new("RGB", (width, height + footer_height(wrapped, self.font_px)), DARK)
        whole.paste(self.picture, ((width - self.picture.size[0]) // 2, 0))
        draw = ImageDraw.Draw(whole)
        font = letters(self.font_px)
        for number, (text, colour) in enumerate(wrapped):
            position = (self.font_px / 2, height + step // 4 + number * step)
            draw.text(position, text, font=font, fill=colour)
        return whole

    def _at(self, point: "Point") -> "Point":
        return point[0] * self.scale, point[1] * self.scale

    def _stroke(self, start: "Point", end: "Point", colour: "Colour", *, dashed: bool) -> None:
        draw = ImageDraw.Draw(self.picture)
        if not dashed:
            draw.line((*start, *end), fill=colour, width=1)
            return
        length = float(np.hypot(end[0] - start[0], end[1] - start[1])) or 1.0
        for offset in np.arange(0.0, length, sum(_DASH)):
            a, b = offset / length, min(offset + _DASH[0], length) / length
            piece = [
                (start[0] + (end[0] - start[0]) * t, start[1] + (end[1] - start[1]) * t)
                for t in (float(a), float(b))
            ]
            draw.line(piece, fill=colour, width=1)

    def _inside(
        self, place: "Point", width: float, height: float
    ) -> tuple[float, float, float, float]:
        """Shift a rectangle into the picture: ``(x0, y0, x1, y1)``."""
        x = min(max(place[0], 0.0), max(self.picture.size[0] - width - 1, 0.0))
        y = min(max(place[1], 0.0), max(self.picture.size[1] - height - 1, 0.0))
        return x, y, x + width, y + height

    def _lead(
        self, place: tuple[float, float, float, float], box: "PixelBox", colour: "Colour"
    ) -> None:
        """Draw a thin line from a label at the edge to the nearer side of its box."""
        left = place[0] < self._at(box.centre)[0]
        start = (place[2] if left else place[0], (place[1] + place[3]) / 2)
        end = self._at((box.x_min if left else box.x_max, box.centre[1]))
        ImageDraw.Draw(self.picture).line((*start, *end), fill=colour, width=1)

    def _hidden(self, place: tuple[float, float, float, float]) -> int:
        """How much of what is to be kept clear a label hides, in tenths of the label."""
        x0, y0, x1, y1 = place
        area = (x1 - x0) * (y1 - y0)
        shared = 0.0
        for box in self.keep_clear:
            a0, b0 = self._at((box.x_min, box.y_min))
            a1, b1 = self._at((box.x_max, box.y_max))
            shared += max(min(x1, a1) - max(x0, a0), 0) * max(min(y1, b1) - max(y0, b0), 0)
        return round(10 * shared / max(area, 1.0))

    def scale_bar(self, length_px: float, text: str, colour: "Colour" = LIGHT) -> None:
        """Draw a length of ``length_px`` film pixels in the lower right corner, with its text."""
        width, height = self.picture.size
        end, y = width - self.font_px, height - self.font_px
        start = end - length_px * self.scale
        draw = ImageDraw.Draw(self.picture)
        tick = self.font_px // 3
        for line in ((start, y, end, y), (start, y - tick, start, y), (end, y - tick, end, y)):
            draw.line(line, fill=colour, width=self.line_px)
        font = letters(max(_LEAST_FONT, self.font_px))
        draw.text(((start + end) / 2, y - tick), text, font=font, fill=colour, anchor="mb",
                  stroke_width=2, stroke_fill=DARK)  # fmt: skip

    def _taken(self, place: tuple[float, float, float, float]) -> bool:
        return any(
            place[0] < x1 and x0 < place[2] and place[1] < y1 and y0 < place[3]
            for x0, y0, x1, y1 in self._labels
        )


def line_height(font_px: int) -> int:
    """Distance between lines of text, px."""
    return round(font_px * 1.35)


def footer_height(wrapped: "Sequence[tuple[str, Colour]]", font_px: int) -> int:
    """Height of a footer with these lines, px."""
    step = line_height(font_px)
    return step * len(wrapped) + step // 2


@functools.lru_cache(maxsize=32)
def letters(size_px: int) -> "ImageFont.FreeTypeFont | ImageFont.ImageFont":
    """Return Pillow's own font, unpacked once for each size."""
    return ImageFont.load_default(size_px)


@functools.lru_cache(maxsize=4096)
def _word_px(word: str, font_px: int) -> float:
    """Width of a word and the space after it, px; longer than within a line, if not the same."""
    return letters(font_px).getlength(f"{word} ") + 0.1


def _eroded(mask: "NDArray[np.bool_]", times: int) -> "NDArray[np.bool_]":
    """Take off the outermost pixels, ``times`` times; beyond the edges all counts as mask."""
    for _ in range(times):
        inner = mask.copy()
        inner[1:] &= mask[:-1]
        inner[:-1] &= mask[1:]
        inner[:, 1:] &= mask[:, :-1]
        inner[:, :-1] &= mask[:, 1:]
        mask = inner
    return mask


def wrap(
    lines: "Sequence[tuple[str, Colour]]", width: int, font_px: int
) -> "list[tuple[str, Colour]]":
    """Break lines at spaces so that each fits ``width`` px."""
    font = letters(font_px)
    room = width - font_px
    result: list[tuple[str, Colour]] = []
    for text, colour in lines:
        current, about = "", 0.0
        for word in text.split():
            longer = f"{current} {word}".strip()
            about += _word_px(word, font_px)
            # Measuring text is slow; only near the end of a line must it be exact.
            if current and about > room - _NEAR_PX and font.getlength(longer) > room:
                result.append((current, colour))
                longer, about = word, _word_px(word, font_px)
            current = longer
        result.append((current, colour))
    return result


def _scaled(image: "ChestImage", scale: float) -> Image.Image:
    """Scale the film, as RGB; reduced by averaging, so that nothing flickers in or out."""
    size = (max(1, round(image.columns * scale)), max(1, round(image.rows * scale)))
    resampling = Image.Resampling.BOX if scale < 1 else Image.Resampling.BICUBIC
    small = np.asarray(Image.fromarray(image.pixels).resize(size, resampling))
    grey = np.rint(np.clip(small, 0.0, 1.0) * 255).astype(np.uint8)
    return Image.fromarray(grey).convert("RGB")
