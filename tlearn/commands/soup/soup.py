"""The verb ``soup``, and `tlearn.soup`: average runs of one network, and keep the simplest of what is best."""

from __future__ import annotations

import json
from argparse import Namespace
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

from tlearn.analysis.soups.candidates import Kind
from tlearn.base.errors import TlearnError
from tlearn.base.files import check_folder_of, write_whole
from tlearn.base.machine import limit_threads
from tlearn.base.notebook.html_table import html_table
from tlearn.base.terminal.wrapping import wrapped
from tlearn.cli.arguments import Arguments, VerbParser, one_of, with_own
from tlearn.cli.isolation import called_from_python
from tlearn.cli.quiet import quieten
from tlearn.cli.targets.calls import arguments_of
from tlearn.commands.fit import Run
from tlearn.commands.soup.answers import answering
from tlearn.commands.soup.comparison import SoupComparison, compare_soups
from tlearn.commands.soup.kept_run import fit_kept
from tlearn.commands.soup.members import Member, check_alike, members_of, start_remark
from tlearn.commands.soup.record import record_of
from tlearn.commands.soup.table import print_soups

_OF_RUN = ("--ckpt_path", "--resume", "--config", "--seeds", "--folds")
