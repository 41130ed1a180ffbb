"""The table of out-of-fold answers."""

from __future__ import annotations

from pathlib import Path

import torch

from tlearn.training.out_of_fold_table import write_out_of_fold


def test_classes(tmp_path: Path) -> None:
    answers = torch.tensor([[0.75, 0.25], [0.125, 0.875]])
    about = (["ant", "=bee"], answers, torch.tensor([1, 1]), ["a.png", "-b.png"])
    write_out_of_fold(tmp_path / "oof.csv", "classification", *about, folds=[2, 1], groups=["north", "south"])
    assert (tmp_path / "oof.csv").read_text().splitlines() == [
        "path,fold,group,label,answer,probability,p_ant,p_=bee",
        "a.png,2,north,'=bee,ant,0.750000,0.750000,0.250000",
        "'-b.png,1,south,'=bee,'=bee,0.875000,0.125000,0.875000",
    ]


def test_labels_and_values(tmp_path: Path) -> None:
    answers = torch.tensor([[0.75, 0.5], [0.125, 0.25]])
    targets = torch.tensor([[1.0, torch.nan], [0.0, 1.0]])
    write_out_of_fold(tmp_path / "oof.csv", "multilabel", ["a", "b"], answers, targets, [3, 4])
    assert (tmp_path / "oof.csv").read_text().splitlines() == [
        "index,labels,answers,p_a,p_b",
        "3,a,a;b,0.750000,0.500000",
        "4,b,,0.125000,0.250000",
    ]
    write_out_of_fold(tmp_path / "oof.csv", "regression", [], answers[:, :1], targets[:, :1], [3, 4])
    assert (tmp_path / "oof.csv").read_text() == "index,value,answer\n3,1.000000,0.750000\n4,0.000000,0.125000\n"
