"""Mix the weights from before and after fine-tuning (WiSE-FT; Wortsman et al., 2022, arXiv 2109.01903)."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar, NamedTuple

from lightning.pytorch import LightningModule, Trainer

from tlearn.base.errors import TlearnError
from tlearn.base.progress import tracked
from tlearn.models.calibration import Calibration
from tlearn.models.losses import compute_loss
from tlearn.models.reliability.calibrate import fit_calibration
from tlearn.models.soups.weights import interpolate
from tlearn.training.callbacks.checkpoints import best_checkpoint
from tlearn.training.module import TransferModule, model_of
from tlearn.training.strategies.feature_cache import FeatureCacheCallback
from tlearn.training.strategies.features import run_over_split
from tlearn.training.typed import OptionCallback, is_trial

_SHARES = tuple(step / 10 for step in range(11))


class Mixture(NamedTuple):
    """One point on the line between start and fine-tuned.

    Attributes:
        share: Share of the fine-tuned weights.
        accuracy: Validation accuracy; minus the validation loss for tasks other than classification.
        loss: Validation loss.
        calibration: That of the mixture, fitted on validation.
    """

    share: float
    accuracy: float
    loss: float
    calibration: Calibration


class WiseFTCallback(OptionCallback):
    """Write ``checkpoints/wise_ft.ckpt``, the mixture of start and best epoch that is best on validation."""

    after: ClassVar = (FeatureCacheCallback,)  # which lets the network take images again

    serves = frozenset({"wise_ft"})

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Check that the run validates and saves.

        Raises:
            TlearnError: It does not.
        """
        if not is_trial(trainer) and not (trainer.enable_validation and best_checkpoint(trainer)):
            raise TlearnError("model.wise_ft chooses on validation and writes a checkpoint; leave both switched on")

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Try eleven mixtures and save the best one. The network stays as training left it."""
        module = model_of(trainer)
        callback = best_checkpoint(trainer)
        if callback is None or not callback.best_model_path:
            return  # nothing was saved: fast_dev_run
        best = Path(callback.best_model_path)
        checkpoint = trainer.strategy.checkpoint_io.load_checkpoint(best)
        left = {name: value.clone() for name, value in module.network_state().items()}
        tuned = {name: value.to(module.device) for name, value in checkpoint["state_dict"].items() if name in left}
        tried = []
        for share in tracked(_SHARES, "wise_ft: mixture", len(_SHARES)):
            module.load_state_dict(interpolate(module.start, tuned, share), strict=False)
            tried.append(_judge(trainer, module, share))
        module.load_state_dict(left, strict=False)
        chosen = max(tried, key=lambda mixture: (mixture.accuracy, -mixture.loss))
        checkpoint["state_dict"] |= interpolate(module.start, tuned, chosen.share)
        checkpoint["tlearn"] |= chosen.calibration._asdict()
        target = best.with_name("wise_ft.ckpt")
        if trainer.is_global_zero:
            trainer.strategy.checkpoint_io.save_checkpoint(checkpoint, target)
            name, sign = ("val/acc", 1) if module.task == "classification" else ("val/loss", -1)
            reached, start, end = (sign * mixture.accuracy for mixture in (chosen, tried[0], tried[-1]))
            print(
                f"wise_ft: share {chosen.share:.1f} of the fine-tuned weights, {name} {reached:.4f} "
                f"(start {start:.4f}, fine-tuned {end:.4f}): {target}"
            )


def _judge(trainer: Trainer, module: TransferModule, share: float) -> Mixture:
    outputs, targets = run_over_split(trainer, module, "val", module)
    loss = float(compute_loss(module.task, outputs, module.learned(targets)))
    right = float((outputs.argmax(dim=1) == targets).float().mean()) if module.task == "classification" else -loss
    return Mixture(share, right, loss, fit_calibration(module.task, outputs, targets))
