"""Find what a run kept beside its checkpoint, and make of it what assesses the answers of its network."""

from __future__ import annotations

from pathlib import Path

from tlearn.base.errors import TlearnError
from tlearn.deploy.reliability.assessor import Assessor
from tlearn.deploy.reliability.options import ReliabilityOptions
from tlearn.models.network import Network
from tlearn.models.reliability.evidence import Found, evidence_of
from tlearn.models.reliability.strangers import LEAST_HELD_OUT


def assessor_for(network: Network, checkpoint: Path | None, options: ReliabilityOptions) -> Assessor | None:
    """Return what assesses the answers of a network, or ``None`` where its run kept nothing and nothing is asked.

    Args:
        network: As it was read from the checkpoint.
        checkpoint: Where it lies; ``None`` of a network that comes from none.
        options: What is asked.

    Raises:
        TlearnError: An option is wrong, or the run has kept too little for it.
    """
    options.check()
    if checkpoint is None:
        if options.asked:
            raise TlearnError(f"{options.asked} needs what a fit keeps beside its checkpoint; this network has none")
        return None
    return assessor_of(network, evidence_of(checkpoint), options)


def assessor_of(network: Network, found: Found, options: ReliabilityOptions) -> Assessor | None:
    """Return what `assessor_for` does, of evidence that has been looked for.

    Raises:
        TlearnError: As there.
    """
    options.check()
    evidence = found.needed(options.asked) if options.asked else found.evidence
    if evidence is None:
        return None
    assessor = Assessor(evidence, network.calibration, options)
    if options.unknown and not assessor.tells_strangers:
        count = len(evidence.stranger_scores)
        raise TlearnError(
            f"unknown true needs {LEAST_HELD_OUT} held-out pictures to tell strangers by, found {count}; hold out more"
        )
    if options.nearest and not len(evidence.known_features):
        raise TlearnError(f"nearest {options.nearest}: the run has kept no training pictures; fit again")
    return assessor
