"""``review --apply MOVE`` and ``--apply UNDO``: files into the folders of their classes, and back."""

from __future__ import annotations

from tlearn.base.errors import TlearnError
from tlearn.base.next_command import command_line
from tlearn.cli.arguments import Arguments
from tlearn.commands.pages.fixed_network import fixed_network
from tlearn.data.files.listing import number_of
from tlearn.data.labels.apply import UNDO, apply_moves, planned_moves, undo_moves
from tlearn.data.sources.labelled_files import ImageFilesDataModule

WAYS = ("MOVE", "UNDO")
_SHOWN = 20


def move_files(way: str, is_sure: bool, arguments: Arguments) -> None:
    """Print what would move, or move it.

    Args:
        way: ``MOVE`` or ``UNDO``.
        is_sure: Do it; else nothing is moved.
        arguments: The command line without the verb's own options.

    Raises:
        TlearnError: The labels are no folders, there is nothing to move, or a file is in the way.
    """
    data = fixed_network(arguments, "data").cli.data
    if not isinstance(data, ImageFilesDataModule):
        raise TlearnError(f"--apply moves picture files; {type(data).__name__} has none of its own")
    words = [word.removeprefix("--ckpt_path=") for word in arguments.again()]
    if way == "UNDO":
        if not is_sure:
            print(f"the files of the last --apply MOVE go back, as {data.root / UNDO} has them; nothing is moved yet")
            print(f"next: {command_line('review', *words, '--apply', 'UNDO', '--yes')}")
            return
        print(f"{number_of(undo_moves(data.root), 'file')} moved back in {data.root.absolute()}")
        return
    moves = planned_moves(data)
    for move in moves[:_SHOWN]:
        print(f"{move.source} -> {move.target}")
    if len(moves) > _SHOWN:
        print(f"and {len(moves) - _SHOWN:,} more")
    if not moves or is_sure:
        undo = apply_moves(data.root, moves)
        print(f"{number_of(len(moves), 'file')} moved in {data.root.absolute()}; {undo.name} can take it back")
        print(f"to move them back: {command_line('review', *words, '--apply', 'UNDO', '--yes')}")
        return
    print(f"{number_of(len(moves), 'file')} would move in {data.root.absolute()}; nothing is moved yet")
    print(f"next: {command_line('review', *words, '--apply', 'MOVE', '--yes')}")
