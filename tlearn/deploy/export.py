"""Write a network as a file for elsewhere; it gets its name only if it answers as the library does. S pixels."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tlearn.base.errors import TlearnError, one_line
from tlearn.base.files import on_disk, writing_fault
from tlearn.base.progress import Progress
from tlearn.deploy import onnx_file, pt2_file, state_file
from tlearn.deploy.check import TOLERANCE, Agreement, Examples, Outputs, check
from tlearn.deploy.exported_network import ExportedNetwork
from tlearn.deploy.int8 import quantise_and_report
from tlearn.deploy.metadata import metadata_of
from tlearn.deploy.reliability.assessor import Assessor
from tlearn.deploy.reliability.exported import WorthOutputs, about_outputs
from tlearn.deploy.reliability.opening import assessor_for
from tlearn.deploy.reliability.options import NOTHING, ReliabilityOptions, check_outputs_fit
from tlearn.deploy.reliability.output_check import OutputCheck
from tlearn.models.network import Network
from tlearn.models.state import not_finite


@dataclass(frozen=True)
class _Kind:
    write: Callable[[ExportedNetwork, Path, Mapping[str, Any]], list[Path]]
    open: Callable[[Path], Outputs]
    engine: Callable[[], str]


_KINDS = {
    ".onnx": _Kind(onnx_file.write_onnx, onnx_file.outputs_of_onnx, onnx_file.engine),
    ".pt2": _Kind(pt2_file.write_pt2, pt2_file.outputs_of_pt2, pt2_file.engine),
    ".safetensors": _Kind(state_file.write_state, state_file.outputs_of_state, state_file.engine),
}


def export_network(
    module: Network,
    out: Path,
    examples: Examples,
    *,
    checkpoint: Path | None = None,
    int8: bool = False,
    reliability: ReliabilityOptions = NOTHING,
    tell: Callable[[str], object] = print,
) -> Agreement:
    """Write a network as ``.onnx``, ``.pt2`` or ``.safetensors``, and tell how well it agrees with the library.

    Args:
        module: The network; it is left as it is, modes included.
        out: The file; one of that name is replaced whole.
        examples: Images to check with.
        checkpoint: Where the network came from, to be told in the file.
        int8: Write 8 bits (``.onnx`` alone); the float32 file is checked first.
        reliability: What further outputs tell; ``.onnx`` and ``.pt2`` in float32 alone have them.
        tell: Called with a line for each thing that was done.

    Raises:
        TlearnError: It cannot be exported or written, it answers differently, or its run has kept too little for what
            further outputs shall tell; nothing is left behind then.
    """
    check_outputs_fit(out, int8, reliability)
    if name := not_finite(module.state_dict()):
        raise TlearnError(f"{checkpoint or 'the network'}: {name} is not finite; export another checkpoint")
    kind, about = _KINDS[out.suffix], metadata_of(module, checkpoint)
    assessor = assessor_for(module, checkpoint, reliability) if reliability.asked else None
    if assessor is not None:
        about["reliability"] = about_outputs(assessor)
    with _scratch(out) as scratch, _disk_faults(out, Path(scratch, out.name)):
        network = ExportedNetwork(module, WorthOutputs(assessor) if assessor is not None else None)
        files = _written(kind, network, Path(scratch, out.name), about, module)
        agreement = _checked(kind, module, files[0], examples, assessor, tell)
        if int8:
            tell(quantise_and_report(module.task, files[0], examples))
        size_mb = files[0].stat().st_size / 1e6
        for file in files:
            on_disk(file)
            file.replace(out.absolute().parent / file.name)
    tell(f"wrote {' and '.join(str(out.with_name(file.name)) for file in files)} ({size_mb:.1f} MB)")
    return agreement


def _written(
    kind: _Kind, network: ExportedNetwork, path: Path, about: Mapping[str, Any], module: Network
) -> list[Path]:
    try:
        with Progress(f"writing {path.name}"):
            return kind.write(network, path, about)
    except Exception as error:  # an exporter fails in as many ways as networks are written
        needs_bytes = sum(value.nbytes for value in network.state_dict().values())
        if fault := writing_fault(path.parent.with_name(path.name), path, error, needs_bytes):
            raise fault from error
        if isinstance(error, OSError):
            raise TlearnError(f"cannot write {path.name}: {error.strerror or error}") from error
        name = module.options.backbone
        raise TlearnError(f"{name} cannot be exported to {path.suffix}: {one_line(error, 200)}") from error


def _checked(
    kind: _Kind,
    module: Network,
    file: Path,
    examples: Examples,
    assessor: Assessor | None,
    tell: Callable[[str], object],
) -> Agreement:
    further = None if assessor is None else OutputCheck(assessor, TOLERANCE)
    agreement = check(module, kind.open(file), examples, further)
    said = f"checked on {agreement.images} {examples.what} with {kind.engine()}: {agreement}"
    if not agreement.holds:
        raise TlearnError(
            f"the export answers differently, nothing was written; {said}; expected 100 % and at most {TOLERANCE:g}"
        )
    if further is not None and (fault := further.fault()):
        raise TlearnError(f"the export's further outputs differ from the library's, nothing was written: {fault}")
    tell(said if further is None else f"{said}; {further} agree")
    return agreement


@contextmanager
def _disk_faults(out: Path, scratch: Path) -> Iterator[None]:
    try:
        yield
    except Exception as error:
        if fault := writing_fault(out, scratch, error):
            raise fault from error
        raise


def _scratch(out: Path) -> tempfile.TemporaryDirectory[str]:
    """Make a hidden folder beside the file, on the same disk; it goes with whatever is in it."""
    folder = out.absolute().parent
    try:
        return tempfile.TemporaryDirectory(prefix=f".{out.stem}-", dir=folder)
    except OSError as error:
        place = Path(error.filename or out)
        raise writing_fault(out, place, error) or TlearnError(f"cannot write to {folder}: {error.strerror}") from error
