"""What networks, and means of their weights, answer to the images of a split. N images, K classes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Literal

from jsonargparse import Namespace
from torch import Tensor

from tlearn.base.errors import TlearnError
from tlearn.base.feature_store import key_of
from tlearn.cli.arguments import Arguments
from tlearn.cli.config_files import Config
from tlearn.cli.resume import defaults_from
from tlearn.commands.compare.identity import look
from tlearn.commands.soup.members import Member
from tlearn.commands.untrained import UntrainedCLI, untrained
from tlearn.data.datamodule import ImageDataModule
from tlearn.models.about import About
from tlearn.models.options import NetworkOptions, names_of
from tlearn.models.soups.batch_norm import NormStatistics, norms_apart
from tlearn.models.soups.weights import uniform_soup
from tlearn.models.state import check_network
from tlearn.training.module import TransferModule
from tlearn.training.strategies.features import run_over_split

EvaluatedSplit = Literal["val", "test"]
_TOLD = ("num_classes", "class_names", "task", "weights")  # by the data, and by the checkpoint


class Answers:
    """Puts weights into one network, and lets it answer.

    Args:
        cli: Data, network and trainer, inside `UntrainedCLI.looking`.
        members: Their states are what soups are made of.

    Attributes:
        data: The images.
        norms: The BatchNorms whose statistics differ among the members; a soup measures them anew.
    """

    def __init__(self, cli: UntrainedCLI, members: Sequence[Member]) -> None:
        self._cli, self._members = cli, {each.name: each for each in members}
        self.data: ImageDataModule = cli.datamodule
        self.norms = norms_apart(self._module, [each.state for each in members])

    @property
    def _module(self) -> TransferModule:
        module: TransferModule = self._cli.model
        return module

    def soup(self, names: Sequence[str]) -> dict[str, Tensor]:
        """Return the mean of the weights of these members; of one its own, as they are."""
        states = [self._members[name].state for name in names]
        if len(states) == 1:
            return states[0]
        mean = uniform_soup(states)
        if not self.norms:
            return mean
        self._put(mean)
        statistics = NormStatistics(self._module, self.norms)

        def follow(images: Tensor) -> Tensor:
            statistics.listen()
            self._module.features(images)
            return images.new_zeros(len(images), 0)

        run_over_split(self._cli.trainer, self._module, "train", follow)
        statistics.finish()
        return {name: value.detach().cpu().clone() for name, value in self._module.network_state().items()}

    def outputs(self, state: Mapping[str, Tensor], split: EvaluatedSplit) -> Tensor:
        """Return what a network with these weights gives, logits or values float32 (N, K)."""
        self._put(state)
        return run_over_split(self._cli.trainer, self._module, split, self._module)[0]

    def targets(self, split: EvaluatedSplit) -> Tensor:
        """Return what is right, as in `Batch`."""
        images = self.data.dataset(split)
        return images.targets[images.indices]

    def groups(self, split: EvaluatedSplit) -> Tensor | None:
        """Return the group of each image, int64 (N,); ``None`` where there are none."""
        images = self.data.dataset(split)
        return None if images.groups is None else images.groups[images.indices]

    def learned(self, targets: Tensor) -> Tensor:
        """Return values in the unit in which the network gives them, and anything else as it is."""
        learned: Tensor = self._module.learned(targets)
        return learned

    def restored(self, output: Tensor) -> Tensor:
        """Return values in the user's unit, and anything else as it is."""
        restored: Tensor = self._module.unit.restored(output)
        return restored

    def _put(self, state: Mapping[str, Tensor]) -> None:
        self._module.load_state_dict(dict(state), strict=False)


@contextmanager
def answering(members: Sequence[Member], rest: Arguments, tests: bool) -> Iterator[Answers]:
    """Open the images of the first member, which are those of all.

    Args:
        members: Of one network.
        rest: The command line without the words of the verb.
        tests: The test images are opened too.

    Raises:
        TlearnError: The data are not there, or have no images to compare on; the members validate on different ones.
    """
    for each in members:
        check_network(each.state, each.name)
    cli = untrained(_fit_of(members[0], rest), change=_only_look)
    with cli.looking():
        _check_images(members, rest, cli.datamodule)
        if tests:
            cli.datamodule.setup("test")
        cli.model.compute_plainly()  # weights come and go
        cli.model.load_state_dict(members[0].content["state_dict"], strict=False)  # the pixels' statistics too
        cli.model.restore(About.in_checkpoint(members[0].content))
        yield Answers(cli, members)


def _check_images(members: Sequence[Member], rest: Arguments, data: ImageDataModule) -> None:
    first, *others = members
    if not data.validates:
        raise TlearnError(f"{first.name} has no validation images, on which a soup is compared; fit with some")
    wanted, seen = look(data), {key_of({"data": first.checkpoint.config["data"]})}
    for each in others:
        key = key_of({"data": each.checkpoint.config["data"]})
        if key in seen:
            continue
        seen.add(key)
        other = untrained(_fit_of(each, rest), makes="data").data
        other.setup("fit")
        found = look(other) if other.validates else None
        if found is None or found.val != wanted.val:
            raise TlearnError(
                f"{first.name} and {each.name} validate on different images ({wanted.images} and "
                f"{found.images if found else 'none'}); a soup is compared on the same: fit both with the same data, "
                "val_fraction and split_seed"
            )


def _fit_of(member: Member, rest: Arguments) -> Arguments:
    """Return the command line of a fit on the data of a member, with its network."""
    return Arguments("fit", [Config(fit_config(member, str(member.checkpoint.path)))], rest.options, where=rest.where)


def fit_config(member: Member, weights: str) -> dict[str, Any]:
    """Return the config of a fit with the data and the network of a member, and other weights."""
    before, model = defaults_from(member.checkpoint, "validate")
    kept = [name for name in names_of(NetworkOptions) if name in model["model"] and name not in _TOLD]
    return {**before, "model": {name: model["model"][name] for name in kept} | {"weights": weights}}


def _only_look(cli: UntrainedCLI) -> None:
    """Keep nothing, and leave no run folder."""
    cli.chooses = False
    config: Namespace = cli.config[cli.verb]
    config.model.update("off", "feature_cache")
    config.trainer.update(False, "logger")
    config.trainer.update(False, "enable_checkpointing")
