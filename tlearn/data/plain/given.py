"""A data module that was given as an object from Python, as a config names it."""

from __future__ import annotations

from lightning.pytorch import LightningDataModule

from tlearn.base.errors import TlearnError


class GivenDataModule(LightningDataModule):
    """Stands in a config for an object that no config can hold.

    Args:
        name: The object's class, with its module.
    """

    def __init__(self, name: str) -> None:
        super().__init__()
        self.name = name

    def setup(self, stage: str) -> None:
        """Raise: the object is gone.

        Raises:
            TlearnError: Always, with the ways to give it again.
        """
        raise TlearnError(
            f"the data of this run were an object from Python ({self.name}); give it again there (data=...), or name "
            f"its class: --data {self.name}"
        )


GIVEN = f"{GivenDataModule.__module__}.{GivenDataModule.__qualname__}"
