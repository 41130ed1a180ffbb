"""Things that really happened to people who do this job, and the tests that show what happens here.

The cases have numbers, C01 to C41. A case is covered by tests that stand where their subject stands; this file says
where, and fails when one of them goes.
"""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

TESTS = Path(__file__).parent
# Case, what happened, and tests as FILE::FUNCTION.
CASES = {
    "C01 options given on resume lose to the checkpoint": ["test_resume.py::test_resume_is_exact_or_refused"],
    "C02 running again: saved config, round trip, other directory": [
        "test_cli.py::test_same_command_twice_makes_two_runs",
        "test_cli.py::test_a_run_is_never_mixed_into_another",
        "test_cli.py::test_printed_and_saved_configs_are_accepted_back",
        "test_cli.py::test_relative_root_is_named_in_full",
    ],
    "C03 misspelt keys, order of arguments, number formats": [
        "test_cli.py::test_wrong_config_is_one_line",
        "test_cli.py::test_config_before_the_verb",
        "test_cli.py::test_numbers_in_every_spelling_are_numbers",
    ],
    "C04 a callback from the command line drops the configured ones": [
        "test_cli.py::test_callbacks_of_the_user_do_not_replace_ours"
    ],
    "C05 a scheduler without an optimizer does nothing": [
        "test_cli.py::test_wrong_word_is_one_line",
        "test_training.py::test_scheduler_from_the_command_line_acts",
    ],
    "C06 a frozen backbone still changes through BatchNorm": [
        "test_freezing.py::test_frozen_backbone_is_bit_identical",
        "test_unfreezing.py::test_what_is_closed_stands_still_bit_for_bit",
    ],
    "C07 freeze flag without effect, pattern that matches nothing": [
        "test_freezing.py::test_wrong_rules_are_one_line",
        "test_freezing.py::test_partial_freeze_holds_its_part_and_no_more",
    ],
    "C08 resume after the unfreeze epoch": ["test_unfreezing.py::test_resumed_equals_uninterrupted"],
    "C09 two-stage training: head first, then everything": ["test_resume.py::test_two_stages_start_from_weights"],
    "C10 num_workers 0 with persistent workers or prefetch": ["test_cli.py::test_wrong_config_is_one_line"],
    "C11 very small data: a last batch of one, and zero batches": [
        "test_training.py::test_sixteen_in_a_row_of_one_joins_the_batch_before"
    ],
    "C12 CIFAR-10 missing, half-downloaded or damaged": [
        "data/test_cifar10.py::test_a_broken_root_is_named_in_one_line_and_left_as_it_was",
        "data/test_cifar10.py::test_download_repairs_every_broken_root",
        "data/test_cifar10.py::test_a_download_that_breaks_off_is_not_kept",
    ],
    "C13 pretrained weights cannot be fetched": [
        "test_weights.py::test_unreachable_weights",
        "test_weights.py::test_damaged_cached_weights",
        "test_weights.py::test_evaluation_needs_no_network",
    ],
    "C14 different preprocessing between training, test and predict": [
        "test_training.py::test_predictions_agree_with_validation",
        "test_predict.py::test_answers_are_those_of_test",
        "test_resume.py::test_the_checkpoints_network_wins_over_a_config_and_says_so",
    ],
    "C15 workers and threads on a small CPU machine": [
        "test_feature_cache.py::test_workers_beyond_the_cores_are_warned_of_once"
    ],
    "C16 same seed, different result": ["test_training.py::test_same_command_same_bits_whatever_the_workers"],
    "C17 hidden files and folders become classes or crash": [
        "data/test_image_folder.py::test_hidden_files_and_litter_are_no_classes",
        "test_realdata.py::test_cases_as_generated",
    ],
    "C18 a class without validation images shifts the labels": [
        "data/test_image_folder.py::test_a_class_without_validation_images_shifts_no_label",
        "test_realdata.py::test_cases_as_generated",
    ],
    "C19 only one class found (wrong directory level)": [
        "data/test_image_folder.py::test_a_wrong_level_is_explained",
        "test_realdata.py::test_cases_as_generated",
    ],
    "C20 odd names: spaces, quotes, unicode, upper-case and unsupported extensions, links": [
        "data/test_image_folder.py::test_odd_names_and_links",
        "test_realdata.py::test_cases_as_generated",
    ],
    "C21 image modes: 16-bit, grey, palette, CMYK, alpha": [
        "deploy/test_predictor.py::test_an_image_of_any_mode_and_size",
        "test_realdata.py::test_cases_as_generated",
    ],
    "C22 unreadable image in the middle of training": [
        "data/test_image_folder.py::test_broken_files_stop_the_run_before_it_starts",
        "data/test_image_folder.py::test_broken_files_are_skipped_with_a_count",
        "data/test_image_folder.py::test_a_file_that_breaks_while_training_is_named",
        "test_realdata.py::test_cases_as_generated",
    ],
    "C23 validation split leaks into training": [
        "data/test_image_folder.py::test_split_off_validation_is_the_same_in_every_run_and_survives_new_pictures",
        "data/test_image_folder.py::test_pictures_in_both_training_and_validation_are_told",
        "test_realdata.py::test_cases_as_generated",
    ],
    "C24 predict on a plain folder; rows complete and in order": [
        "test_predict.py::test_a_row_for_every_file_in_order",
        "test_predict.py::test_unreadable_files_have_a_row_with_the_reason",
    ],
    "C25 two processes: duplicated test images, partial predictions": [
        "test_distributed.py::test_every_image_is_tested_and_predicted_once"
    ],
    "C26 'accuracy' that is really the class average": [
        "test_training.py::test_plain_accuracy_is_micro_and_macro_leaves_absent_classes_out"
    ],
    "C27 epoch value computed from batch means": ["test_training.py::test_validation_does_not_depend_on_the_batch"],
    "C28 small data: no training curve at all": [
        "test_training.py::test_small_data_have_a_curve_and_an_hparams_row",
        "test_dashboard.py::test_scalars",
    ],
    "C29 TensorBoard: empty or meaningless hparams, wrong port or host": [
        "test_training.py::test_small_data_have_a_curve_and_an_hparams_row",
        "test_dashboard.py::test_hparams",
        "test_dashboard.py::test_says_its_true_address",
    ],
    "C30 checkpoints the loader refuses (weights_only)": [
        "test_training.py::test_checkpoints_are_flat_and_whole",
        "test_resume.py::test_checkpoint_alone_answers_for_all_options",
    ],
    "C31 class names in the checkpoint versus the command line": [
        "test_resume.py::test_checkpoint_alone_answers_for_all_options",
        "data/test_image_folder.py::test_checkpoint_names_the_classes_where_nothing_trains",
    ],
    "C32 test or predict without a checkpoint uses random weights": ["test_cli.py::test_front_door"],
    "C33 checkpoint with another number of classes": ["test_resume.py::test_other_classes_start_with_a_new_head"],
    "C34 damaged, empty or foreign checkpoint file": ["test_resume.py::test_damaged_and_foreign_checkpoints"],
    "C35 monitored metric missing, or no validation data": [
        "test_training.py::test_wrong_monitor_is_said_before_training",
        "test_training.py::test_without_validation_the_last_epoch_is_kept",
    ],
    "C36 metric name with '/' in the checkpoint file name": ["test_training.py::test_checkpoints_are_flat_and_whole"],
    "C37 a compiled model's checkpoint cannot be loaded": ["test_weights.py::test_state_dicts_of_many_shapes"],
    "C38 Ctrl-C and SIGTERM": [
        "test_run_card.py::test_ctrl_c_leaves_a_card",
        "test_signals.py::test_a_signal_costs_no_step",
        "test_killed.py::test_killed_and_started_again",
    ],
    "C39 export made in training mode or with drifting BatchNorm": [
        "deploy/test_export.py::test_answer_does_not_depend_on_the_batch",
        "deploy/test_export.py::test_what_answers_differently_is_refused",
    ],
    "C40 export packages not installed": ["deploy/test_export.py::test_missing_packages_are_said_first"],
    "C41 feature cache that outlives what it was made from": [
        "test_feature_cache.py::test_every_change_is_another_entry",
        "data/test_image_folder.py::test_feature_cache_notices_a_changed_picture",
    ],
}


def test_every_case_is_there() -> None:
    assert [case.partition(" ")[0] for case in CASES] == [f"C{number:02d}" for number in range(1, 42)]


@pytest.mark.parametrize("case", CASES)
def test_the_tests_of_a_case_exist(case: str) -> None:
    for place in CASES[case]:
        file, _, name = place.partition("::")
        functions = ast.parse((TESTS / file).read_text(encoding="utf-8")).body
        assert name in {each.name for each in functions if isinstance(each, ast.FunctionDef)}, place
