"""What the processes of one run tell each other, by torch.distributed; with a single one nothing is sent."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor

T = TypeVar("T")


class Share(NamedTuple):
    """Which of the work is this process's.

    Attributes:
        rank: The process, counted from 0.
        processes: How many there are.
    """

    rank: int = 0
    processes: int = 1


ALONE = Share()


def own_share() -> Share:
    """Return that of this process; `ALONE` outside of any group."""
    if not dist.is_available() or not dist.is_initialized():
        return ALONE
    return Share(dist.get_rank(), dist.get_world_size())


def gathered(rows: Tensor) -> list[Tensor]:
    """Return the rows of each process (N_r, ...), in the order of ranks and on the CPU; N_r may differ."""
    if own_share() == ALONE:
        return [rows.cpu()]
    here = _sendable(rows)
    counts = [torch.empty(1, dtype=torch.int64, device=here.device) for _ in range(dist.get_world_size())]
    dist.all_gather(counts, torch.tensor([len(here)], device=here.device))
    padded = here.new_zeros(max(int(count) for count in counts), *here.shape[1:])
    padded[: len(here)] = here
    parts = [torch.empty_like(padded) for _ in counts]
    dist.all_gather(parts, padded)
    return [part[: int(count)].cpu() for part, count in zip(parts, counts, strict=True)]


def passed_on(parts: list[Tensor], shape: tuple[int, ...], dtype: torch.dtype) -> Iterator[Tensor]:
    """Yield the parts of all processes to each of them, in the order of ranks, one at a time and on the CPU.

    Args:
        parts: Those of this process, (n, ...) each.
        shape: Of a row.
        dtype: Of all of them.
    """
    share = own_share()
    for rank in range(share.processes):
        for number in range(_told(len(parts), rank)):
            mine = parts[number] if rank == share.rank else None
            rows = _told(0 if mine is None else len(mine), rank)
            part = torch.empty(rows, *shape, dtype=dtype) if mine is None else mine.contiguous()
            sent = _sendable(part.flatten().view(torch.uint8))  # not every backend knows every type
            dist.broadcast(sent, rank)
            yield sent.cpu().view(dtype).view(part.shape)


def _told(number: int, rank: int) -> int:
    told = _sendable(torch.tensor([number]))
    dist.broadcast(told, rank)
    return int(told)


def collected(rows: list[T]) -> list[T]:
    """Return the items of all processes to the first, in the order of ranks, and nothing to the others."""
    share = own_share()
    if share == ALONE:
        return rows
    parts: list[list[T]] | None = [[]] * share.processes if share.rank == 0 else None
    dist.gather_object(rows, parts)
    return [item for part in parts or [] for item in part]


def summed(value: Tensor) -> Tensor:
    """Return the sum of a tensor over all processes, to all of them."""
    if own_share() == ALONE:
        return value
    total = _sendable(value).clone()
    dist.all_reduce(total)
    return total.to(value.device)


def _sendable(value: Tensor) -> Tensor:
    """Move it to where the group can send from: NCCL knows GPUs alone."""
    on_gpu = dist.get_backend() == "nccl" and not value.is_cuda
    return value.detach().to("cuda" if on_gpu else value.device).contiguous()
