"""The private parts of Lightning and jsonargparse that tlearn/cli uses: a new version that changes one is red here."""

from __future__ import annotations

import sys
from copy import deepcopy
from pathlib import Path
from typing import Any

import jsonargparse._common
import jsonargparse._loaders_dumpers
import jsonargparse._paths
import pytest
import yaml
from lightning.pytorch import Callback, LightningDataModule, LightningModule, Trainer
from lightning.pytorch.cli import LightningCLI
from lightning.pytorch.strategies import DDPStrategy

from tlearn.cli.isolation import isolated
from tlearn.cli.quiet import quieten
from tlearn.cli.trusted_names import confine_names


class Module(LightningModule):
    """Keeps hyper-parameters, for which Lightning dumps the config."""

    def __init__(self, width: int = 3) -> None:
        super().__init__()
        self.save_hyperparameters()


class CLI(LightningCLI):
    """Overrides what TransferCLI overrides, and notes the order of the calls."""

    def __init__(self, *words: str) -> None:
        self.calls = list[str]()
        super().__init__(
            Module,
            LightningDataModule,
            save_config_callback=None,
            seed_everything_default=0,
            auto_configure_optimizers=False,
            args=["fit", *words],
        )

    def subcommands(self) -> dict[str, set[str]]:  # type: ignore[override]  # as in TransferCLI
        return {"fit": super().subcommands()["fit"]}

    def parse_arguments(self, parser: Any, args: Any) -> None:
        self.calls.append("parse_arguments")
        self.config = parser.parse_args(args)

    def _parse_ckpt_path(self) -> None:
        self.calls.append("_parse_ckpt_path")

    def before_instantiate_classes(self) -> None:
        self.calls.append("before_instantiate_classes")
        plain = yaml.safe_load(self._parser("fit").dump(self.config["fit"], skip_none=False))
        self.config_dump = self.dumped = deepcopy(plain)

    def instantiate_trainer(self, **kwargs: Any) -> Trainer:
        self.calls.append("instantiate_trainer")
        self.added = Callback()
        bare = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False}
        return self._instantiate_trainer({**self._get(self.config_init, "trainer"), **bare}, [self.added])

    def _run_subcommand(self, subcommand: str) -> None:
        self.calls.append(f"_run_subcommand {subcommand}")


@pytest.fixture(scope="module")
def cli() -> CLI:
    with pytest.MonkeyPatch.context() as patch, isolated():
        patch.setattr(sys, "argv", ["tlearn"])
        quieten()  # of names that go away in jsonargparse 5
        return CLI("--trainer.max_epochs=7", "--trainer.accelerator=cpu", "--trainer.devices=1", "--model.width=4")


def test_hooks_are_called_in_this_order(cli: CLI) -> None:
    first = ["parse_arguments", "_parse_ckpt_path", "before_instantiate_classes", "instantiate_trainer"]
    assert cli.calls == [*first, "_run_subcommand fit"]


def test_subcommands_is_called_on_self(cli: CLI) -> None:
    assert list(cli._subcommand_parsers) == ["fit"]
    assert cli._parser("fit") is cli._subcommand_parsers["fit"]


def test_get_finds_options_of_the_subcommand(cli: CLI) -> None:
    assert cli._get(cli.config_init, "trainer")["max_epochs"] == 7
    assert cli._get(cli.config_init, "no_such_option") is None


def test_the_given_dump_of_the_config_is_used(cli: CLI) -> None:
    cli._dump_config()  # Lightning calls it for hyper-parameters
    assert cli.config_dump is cli.dumped
    assert cli.model.hparams["width"] == 4


def test_instantiate_trainer_adds_callbacks(cli: CLI) -> None:
    assert cli.trainer.max_epochs == 7
    assert cli.added in cli.trainer.callbacks  # type: ignore[attr-defined]  # typed as an optional list


def test_run_subcommand_prepares_the_call() -> None:
    # TransferCLI.fit gets what Lightning prepares, and before_fit runs first
    names = LightningCLI._run_subcommand.__code__.co_names
    assert "_prepare_subcommand_kwargs" in names
    assert 'f"before_{subcommand}"' in Path(sys.modules[LightningCLI.__module__].__file__ or "").read_text()


def test_ddp_says_how_it_starts_processes() -> None:
    strategy: Any = DDPStrategy()
    assert strategy._start_method == "popen"
    strategy = DDPStrategy(start_method="fork")
    assert strategy._start_method == "fork"


def test_jsonargparse_opens_configs_by_a_name_of_its_module() -> None:
    names = jsonargparse._paths.Path.get_content.__code__.co_names
    assert "open" in names
    assert "open" not in vars(jsonargparse._paths)  # else ours would not be put back


def test_jsonargparse_keeps_its_settings_in_these_tables() -> None:
    settings, loaders = jsonargparse._common.parsing_settings, jsonargparse._loaders_dumpers.loaders
    before = deepcopy(settings), dict(loaders)
    with isolated():
        confine_names(["--trainer.callbacks+=my_module.Mine"])
        assert settings["import_path_verdicts"]["*"] is False
        assert settings["import_path_verdicts"]["my_module.Mine"] is True
        assert settings["instantiate_subclass_spec_in_any"] is False
        assert loaders["yaml"] is not before[1]["yaml"]
    assert (settings, loaders) == before


def test_json_is_taken_in_place_of_the_path_of_a_config() -> None:
    parser = jsonargparse.ArgumentParser(exit_on_error=False)
    parser.add_argument("--config", action="config")
    parser.add_argument("--size", type=int, default=1)
    assert parser.parse_args(['--config={"size": 2}', '--config={"size": 3}']).size == 3
    assert parser.parse_args(['--config={"size": 2}', "--size=4"]).size == 4
