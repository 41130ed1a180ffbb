"""What turns logits into probabilities that mean what they say: a temperature and a uniform share. K classes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, NamedTuple


class Calibration(NamedTuple):
    """Probabilities are ``(1 - uniform_share) * softmax(logits / temperature) + uniform_share / K``.

    With several labels an image it is the sigmoid, which the share pulls towards 1/2. Neither number moves the order of
    the classes.

    Attributes:
        temperature: What logits are divided by (Guo et al., 2017, arXiv 1706.04599).
        uniform_share: What all classes get alike, from 0 to 1, whatever the logits say: so often even the surest answer
            is wrong (Zhang, Kailkhura and Han, 2020, arXiv 2003.07329).
    """

    temperature: float = 1.0
    uniform_share: float = 0.0


AS_TRAINED = Calibration()


def calibration_in(said: Mapping[str, Any]) -> Calibration:
    """Read the two numbers in a checkpoint, an export or a card; what an older one does not say is as trained."""
    return Calibration(*(float(said.get(name, value)) for name, value in AS_TRAINED._asdict().items()))


def calibration_words(calibration: Calibration) -> str:
    """Say it in words: ``temperature 1.31``, and ``uniform share 0.012`` where there is one."""
    share = f", uniform share {calibration.uniform_share:.2g}" if calibration.uniform_share else ""
    return f"temperature {calibration.temperature:.2f}{share}"


class CalibratedOn(NamedTuple):
    """The images that a calibration was fitted to.

    Attributes:
        source: ``out-of-fold``: training images, each answered by a head that has not seen it; or ``validation``.
        images: How many.
    """

    source: Literal["out-of-fold", "validation"]
    images: int


def calibrated_words(calibration: Calibration, on: CalibratedOn) -> str:
    """Say what was found on which images: ``on 244 out-of-fold images: temperature 1.20``."""
    images = f"{on.images:,} {on.source} image" + ("" if on.images == 1 else "s")
    found = calibration_words(calibration) if calibration != AS_TRAINED else "no sure gain, left as it is"
    return f"on {images}: {found}"
