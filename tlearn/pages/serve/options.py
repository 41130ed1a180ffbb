"""What a served network takes from its clients. Imports nothing heavy."""

from __future__ import annotations

from dataclasses import dataclass

from tlearn.base.errors import TlearnError

MOST_CORRECTIONS = 10_000  # pictures that one run keeps
MOST_CORRECTION_MB = 2_000


@dataclass(frozen=True)
class ServeOptions:
    """Limits of what clients may send.

    How many pixels a picture may have is an option of the run: ``data.init_args.max_megapixels``.

    Attributes:
        max_pictures: Of one request.
        max_mb: Of one request, in MiB.
        max_waiting: Pictures that may wait for the network, of all clients together; further ones are refused.
        corrects: Clients may leave corrections in the run's folder.
    """

    max_pictures: int = 64
    max_mb: int = 64
    max_waiting: int = 512
    corrects: bool = True

    def __post_init__(self) -> None:
        """Check the numbers.

        Raises:
            TlearnError: One is below 1, or a request of the largest count would never find room.
        """
        for name in ("max_pictures", "max_mb", "max_waiting"):
            if getattr(self, name) < 1:
                raise TlearnError(f"{name}: expected a whole number from 1 on, got {getattr(self, name)}")
        if self.max_waiting < self.max_pictures:
            raise TlearnError(
                f"max_waiting {self.max_waiting} is below max_pictures {self.max_pictures}; no such request would fit"
            )

    @property
    def max_bytes(self) -> int:
        """Return the bytes of one request."""
        return self.max_mb * 2**20
