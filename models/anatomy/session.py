"""A bundle's ``network.onnx`` in ONNX Runtime, held to what the bundle declares."""

import os
import time
from concurrent.futures import ThreadPoolExecutor, wait
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from models.anatomy.sides import MIRRORED
from models.errors import DeviceUnavailable, GpuOutOfMemory, OutputsNotFinite, WeightsMismatch
from models.vocabulary import ScopeReason, ViewPosition

if TYPE_CHECKING:
    from collections.abc import Collection

    from numpy.typing import NDArray

    from models.anatomy.sides import Outputs
    from models.bundles import Bundle

    Arrays = NDArray[np.float32]
    Given = dict[str, NDArray[np.bool_]]

NETWORK_FILE: Final = "network.onnx"
INPUT: Final = "film"
CPU: Final = "CPUExecutionProvider"
OUTPUT: Final = "out_"  # before each head's name, since exporters use words like "view" themselves
SWITCH: Final = "with_"  # before a head's name: an input that says whether it is wanted
ON_DEMAND: Final = frozenset({"region_masks"})  # heads that hardly any film is asked for
FORMER_NAMES: Final = {"views": "view"}  # as bundles before 0.4 call their outputs
VIEWS: Final = (ViewPosition.PA, ViewPosition.AP, ViewPosition.LL)
REASONS: Final = tuple(ScopeReason)
MEMORY_WORDS: Final = ("out of memory", "failed to allocate memory", "bfcarena")


class Session:
    """Runs squares through the network; ``seconds`` is the sum of the time spent inside.

    On a processor a film and its mirror image go through it side by side, each on its own core:
    measured 31 ms for both on two cores, where two cores for one after the other took 35. With 0
    ``threads`` that is all processors that the process may use, elsewhere what the library takes.

    Raises
    ------
    WeightsMismatch
        If the file is no network, or its input or outputs are not the declared ones, by name or
        by shape.
    DeviceUnavailable
        If the device that was asked for is not there; another one is never taken instead.
    """

    def __init__(self, bundle: "Bundle", provider: str, threads: int) -> None:
        import onnxruntime  # noqa: PLC0415 - only a worker has it, and only when it looks

        if provider not in onnxruntime.get_available_providers():
            raise DeviceUnavailable(f"ONNX Runtime here has no {provider}")
        options = onnxruntime.SessionOptions()
        pairs = MIRRORED in bundle.heads and provider == CPU
        threads = (threads or cores()) if pairs else threads
        self._beside = ThreadPoolExecutor(1) if pairs and threads > 1 else None
        options.intra_op_num_threads = threads - (self._beside is not None)
        options.log_severity_level = 3  # errors only
        errors = onnxruntime.capi.onnxruntime_pybind11_state
        file = bundle.folder / NETWORK_FILE
        try:
            self._session = onnxruntime.InferenceSession(str(file), options, providers=[provider])
        except (errors.Fail, errors.InvalidProtobuf, errors.InvalidGraph, errors.NoSuchFile,
                errors.InvalidArgument, errors.NotImplemented) as error:  # fmt: skip
            raise WeightsMismatch(f"{file} is not a network: {type(error).__name__}") from error
        if provider not in self._session.get_providers():
            raise DeviceUnavailable(f"ONNX Runtime could not use {provider}")
        self._outputs = _agreed(bundle, self._session)
        self._switches = {one.name for one in self._session.get_overridable_initializers()}
        self._refusals = errors.RuntimeException
        self.seconds = 0.0

    def run(self, squares: "Arrays", without: "Collection[str]" = ()) -> "list[Outputs]":
        """Return the outputs by head for each of the squares ``(n, side, side)``, 0..1.

        Heads in ``without`` are left out, and not computed where the file has a switch for them.

        Raises
        ------
        GpuOutOfMemory
            If there is no room for so many.
        OutputsNotFinite
            If the network computed something that is not a number.
        """
        started = time.perf_counter()
        heads = {name: head for name, head in self._outputs.items() if head not in without}
        off = {SWITCH + head: np.asarray(a=False) for head in without}
        given = {name: value for name, value in off.items() if name in self._switches}
        try:
            halves = self._through(squares[:, None], list(heads), given)
        except self._refusals as error:
            if any(word in str(error).lower() for word in MEMORY_WORDS):
                raise GpuOutOfMemory(f"no room for a batch of {len(squares)}") from error
            raise
        self.seconds += time.perf_counter() - started
        films: list[Outputs] = []
        for values in halves:
            found = dict(zip(heads.values(), values, strict=True))
            for head, value in found.items():
                if not np.isfinite(value).all():
                    raise OutputsNotFinite(f"the head {head} gave numbers that are not finite")
            rows = range(len(values[0]))
            films += [{head: value[row] for head, value in found.items()} for row in rows]
        return films

    def _through(
        self, squares: "Arrays", wanted: list[str], given: "Given"
    ) -> "list[list[Arrays]]":
        """Return the outputs, of all or by halves: the second one goes through beside the first."""
        if self._beside is None or len(squares) == 1:
            return [self._run(squares, wanted, given)]
        first, second = np.array_split(squares, 2)
        beside = self._beside.submit(self._run, second, wanted, given)
        try:
            own = self._run(first, wanted, given)
        finally:  # whoever tries again with fewer films must find the memory free
            wait([beside])
        return [own, beside.result()]

    def _run(self, squares: "Arrays", wanted: list[str], given: "Given") -> "list[Arrays]":
        found: list[Arrays] = self._session.run(wanted, {INPUT: squares, **given})
        return found


def cores() -> int:
    """Return how many processors this process may use."""
    if hasattr(os, "sched_getaffinity"):  # Linux
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def shapes(bundle: "Bundle") -> dict[str, tuple[int | None, ...]]:
    """Shape of each declared head's output for one film; None stands for any length."""
    regions, signs = len(bundle.regions), len(bundle.signs)
    known: dict[str, tuple[int | None, ...]] = {
        "boxes": (regions, 4),
        "embedding": (regions, None),
        "classes": (None,),
        "presence": (regions,),
        "spread": (regions,),
        "findings": (len(bundle.observations),),
        "signs": (signs,),
        "attributes": (regions, signs),
        "masks": (len(bundle.masks), None, None),
        "region_masks": (regions, None, None),
        "scope": (1 + len(REASONS),),
        "view": (len(VIEWS),),
        "mirrored": (1,),
        "quality": (len(bundle.qualities),),
    }
    return {head: known[head] for head in bundle.heads}


def _agreed(bundle: "Bundle", session: Any) -> dict[str, str]:  # noqa: ANN401 - no types there
    """Return the head of each output, by the output's name; both sides must say the same."""
    given = {_head(o.name): o for o in session.get_outputs()}
    if set(given) != bundle.heads:
        raise WeightsMismatch(f"outputs of the network: {sorted(set(given) ^ bundle.heads)} differ")
    for head, wanted in shapes(bundle).items():
        shape = given[head].shape[1:]
        if len(shape) != len(wanted) or any(
            isinstance(have, int) and want is not None and have != want
            for have, want in zip(shape, wanted, strict=True)
        ):
            raise WeightsMismatch(f"output {head} has the shape {shape}, declared is {wanted}")
    inputs = [(i.name, i.shape[1:]) for i in session.get_inputs()]
    side = bundle.input_side
    if inputs != [(INPUT, [1, side, side])]:
        raise WeightsMismatch(f"inputs of the network are {inputs}, declared side is {side}")
    return {output.name: head for head, output in given.items()}


def _head(output: str) -> str:
    return FORMER_NAMES.get(output, output.removeprefix(OUTPUT))
