"""The anatomy network in service: films in, sights out, through ONNX Runtime."""

import time
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from PIL import Image

from models.anatomy import sides
from models.anatomy.preparation import to_square
from models.errors import EmptyBox, GpuOutOfMemory, UnreadableImage, WeightsMismatch
from models.geometry import Letterbox, Turn, clip, from_cxcywh, turn_for
from models.values import AnatomyRegion, ScopeOpinion, Sight
from models.vocabulary import AnatomicStructure, MaskName, Observation, ScopeReason, ViewPosition

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from models.bundles import Bundle
    from models.values import ChestImage, ModelIdentity

NETWORK_FILE = "network.onnx"
OUTPUTS = ("boxes", "presence", "spread", "findings", "masks", "scope", "views", "mirrored")
SMALLEST_SIDE = 32  # px; below this nothing anatomical can be seen
VIEWS = (ViewPosition.PA, ViewPosition.AP, ViewPosition.LL)
REASONS = tuple(ScopeReason)
MEMORY_WORDS = ("out of memory", "failed to allocate memory", "bfcarena")


class SoftMasks(Mapping[MaskName, "NDArray[np.float32]"]):
    """Masks kept small and drawn on the film's stored grid when asked for; each only once."""

    def __init__(
        self,
        small: "NDArray[np.float32]",
        names: tuple[MaskName, ...],
        frame: Letterbox,
        turn: Turn,
    ) -> None:
        self._small: dict[MaskName, NDArray[np.float32]] = dict(zip(names, small, strict=True))
        self._frame, self._turn = frame, turn
        self._drawn: dict[MaskName, NDArray[np.float32]] = {}

    def __getitem__(self, name: MaskName) -> "NDArray[np.float32]":
        drawn = self._drawn.get(name)
        if drawn is None:
            drawn = self._drawn[name] = self._draw(self._small[name])
        return drawn

    def __iter__(self) -> Iterator[MaskName]:
        return iter(self._small)

    def __len__(self) -> int:
        return len(self._small)

    def coarse(self, name: MaskName) -> "NDArray[np.float32]":
        """Return the mask as the network gave it: canonical, letterboxed square, 0..1."""
        return self._small[name]

    def _draw(self, mask: "NDArray[np.float32]") -> "NDArray[np.float32]":
        """Cut the padding off, enlarge to the canonical film, turn back to the stored grid."""
        frame = self._frame
        scale = mask.shape[0] / frame.side
        (x, y), s = frame.offset, frame.scale
        box = (x * scale, y * scale, (x + frame.columns * s) * scale, (y + frame.rows * s) * scale)
        size = (frame.columns, frame.rows)
        image = Image.fromarray(mask).resize(size, Image.Resampling.BILINEAR, box=box)
        drawn: NDArray[np.float32] = np.asarray(image, np.float32)
        return np.asarray(self._turn.undo(drawn), np.float32)


class OnnxEye:
    """Implements :class:`models.protocols.Eye` with a bundle's ``network.onnx``.

    ``session_seconds`` is the sum of all time spent inside the network. One eye serves one thread.

    Raises
    ------
    WeightsMismatch
        If the network's outputs or the bundle's vocabulary are not those this class reads.
    """

    def __init__(
        self, bundle: "Bundle", *, provider: str = "CPUExecutionProvider",
        intra_op_num_threads: int = 2,
    ) -> None:  # fmt: skip
        import onnxruntime  # noqa: PLC0415 - only a worker has it, and only when it looks

        self._bundle = bundle
        _check_vocabulary(bundle)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = intra_op_num_threads
        options.log_severity_level = 3  # errors only
        network = str(bundle.folder / NETWORK_FILE)
        self._session = onnxruntime.InferenceSession(network, options, providers=[provider])
        given = {output.name for output in self._session.get_outputs()}
        if given != set(OUTPUTS):
            raise WeightsMismatch(f"outputs of the network: {sorted(given ^ set(OUTPUTS))} differ")
        self._refusals = onnxruntime.capi.onnxruntime_pybind11_state.RuntimeException
        self.session_seconds = 0.0

    @property
    def identity(self) -> "ModelIdentity":
        """Name, version, hash and allowed use of the weights."""
        return self._bundle.identity

    @property
    def thresholds(self) -> "Mapping[Observation, tuple[float, float]]":
        """Per observation ``(absent_below, present_from)``."""
        return self._bundle.thresholds

    @property
    def limits(self) -> tuple[str, ...]:
        """Sentences on the measured limits of this bundle."""
        return self._bundle.limits

    @property
    def cardiothoracic_error(self) -> tuple[float, float]:
        """Bias (measured minus true) and standard deviation of the cardiothoracic ratio."""
        return self._bundle.cardiothoracic

    def look(self, images: "Sequence[ChestImage]") -> tuple[Sight, ...]:
        """Look at a batch of films; one sight per film, in order, in source pixels.

        Raises
        ------
        UnreadableImage
            If an array is not a film (shape, dtype, NaN, constant).
        GpuOutOfMemory
            If the batch does not fit.
        """
        if not images:
            return ()
        for image in images:
            check(image)
        side = self._bundle.input_side
        turns = [turn_for(image.patient_orientation) for image in images]
        grids = [turn.apply(image.pixels) for turn, image in zip(turns, images, strict=True)]
        batch = np.stack([to_square(grid, side) for grid in grids])[:, None]
        outputs = self._run(batch)
        sights = []
        for index, (turn, grid) in enumerate(zip(turns, grids, strict=True)):
            frame = Letterbox(grid.shape[0], grid.shape[1], side)
            own = {name: values[index] for name, values in outputs.items()}
            own = sides.settle(own, self._bundle.regions, self._bundle.masks)
            sights.append(self._sight(own, frame, turn))
        return tuple(sights)

    def _run(self, batch: "NDArray[np.float32]") -> "dict[str, NDArray[np.float32]]":
        started = time.perf_counter()
        try:
            values = self._session.run(list(OUTPUTS), {"film": batch})
        except self._refusals as error:
            if any(word in str(error).lower() for word in MEMORY_WORDS):
                raise GpuOutOfMemory(f"no room for a batch of {len(batch)}") from error
            raise
        self.session_seconds += time.perf_counter() - started
        return dict(zip(OUTPUTS, cast("list[NDArray[np.float32]]", values), strict=True))

    def _sight(
        self, outputs: "dict[str, NDArray[np.float32]]", frame: Letterbox, turn: Turn
    ) -> Sight:
        names = tuple(MaskName(name) for name in self._bundle.masks)
        kinds = tuple(Observation(name) for name in self._bundle.observations)
        chances = _sigmoid(outputs["findings"])
        return Sight(
            scope=self._opinion(outputs),
            regions=self._regions(outputs, frame, turn),
            probabilities={k: float(p) for k, p in zip(kinds, chances, strict=True)},
            masks=SoftMasks(_sigmoid(outputs["masks"]), names, frame, turn),
        )

    def _regions(
        self, outputs: "dict[str, NDArray[np.float32]]", frame: Letterbox, turn: Turn
    ) -> tuple[AnatomyRegion, ...]:
        """Boxes from the network's square to stored pixels, cut to the film."""
        scores = _sigmoid(outputs["presence"])
        regions = []
        for name, values, score in zip(self._bundle.regions, outputs["boxes"], scores, strict=True):
            try:
                box = frame.to_source(from_cxcywh([float(v) for v in values], frame.side))
            except EmptyBox:
                continue  # the network saw nothing of this region
            box = turn.undo_box(clip(box, frame.rows, frame.columns), frame.rows, frame.columns)
            regions.append(AnatomyRegion(AnatomicStructure(name), box, float(score)))
        return tuple(regions)

    def _opinion(self, outputs: "dict[str, NDArray[np.float32]]") -> ScopeOpinion:
        """Return the scope head, moved so that the bundle's operating point lies at 0.5."""
        logits = outputs["scope"]
        others = logits[1:]
        margin = float(logits[0] - np.logaddexp.reduce(others))  # log odds of being in scope
        strange = float(outputs["spread"].mean()) - self._bundle.operating["spread_limit"]
        if strange > 0:  # heat maps that find no edge anywhere speak against a chest
            margin -= strange * self._bundle.operating["spread_slope"]
        in_scope = float(_sigmoid(np.float32(margin - self._bundle.operating["scope_margin"])))
        reason = None if in_scope >= 0.5 else REASONS[int(np.argmax(others))]  # noqa: PLR2004
        view = VIEWS[int(np.argmax(outputs["views"]))]
        return ScopeOpinion(in_scope, reason, view, float(_sigmoid(outputs["mirrored"][0])))


def check(image: "ChestImage") -> None:
    """Refuse what is not a film.

    Raises
    ------
    UnreadableImage
        Says what is wrong; never echoes pixels or identifiers.
    """
    pixels: Any = image.pixels
    if not isinstance(pixels, np.ndarray) or pixels.ndim != 2:  # noqa: PLR2004
        raise UnreadableImage("a film is an array of rows and columns")
    if pixels.dtype != np.float32:
        raise UnreadableImage(f"pixels are {pixels.dtype}, expected float32")
    if min(pixels.shape) < SMALLEST_SIDE:
        raise UnreadableImage(f"{pixels.shape[0]} x {pixels.shape[1]} pixels are too few")
    # Minimum and maximum carry NaN and infinity with them, and need no copy of a huge film.
    low, high = float(pixels.min()), float(pixels.max())
    if not (np.isfinite(low) and np.isfinite(high)):
        raise UnreadableImage("pixels are not all finite numbers")
    if low == high:
        raise UnreadableImage("all pixels are the same")


def _check_vocabulary(bundle: "Bundle") -> None:
    """Every declared name must be one this version knows, and the numbers it needs be there."""
    known: dict[str, tuple[tuple[str, ...], set[str]]] = {
        "regions": (bundle.regions, {*AnatomicStructure}),
        "observations": (bundle.observations, {*Observation}),
        "masks": (bundle.masks, {*MaskName}),
    }
    for what, (names, vocabulary) in known.items():
        strange = set(names) - vocabulary
        if strange or len(set(names)) != len(names):
            raise WeightsMismatch(f"{what}: unknown or repeated names {sorted(strange)}")
    missing = {"scope_margin", "spread_limit", "spread_slope"} - set(bundle.operating)
    if missing:
        raise WeightsMismatch(f"operating numbers missing: {sorted(missing)}")


def _sigmoid(x: "NDArray[np.float32] | np.float32") -> "NDArray[np.float32]":
    return np.asarray(0.5 * (1.0 + np.tanh(0.5 * x)), np.float32)  # the tanh form never overflows
