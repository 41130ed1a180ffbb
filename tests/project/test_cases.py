"""Things that really happened to people who do this job, and the tests that show what happens here.

The cases have numbers: C01 to C41, N01 to N43 (those that were handed over), and B01 to B19 for small reproducers and
remarks beside them. A case is covered by tests that stand where their subject stands; this file says where, and fails
when one of them goes.
"""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]
# Case, what happened, and tests as FILE::FUNCTION.
CASES = {
    "C01 options given on resume lose to the checkpoint": [
        "training/exact_resume/test_resume.py::test_resume_is_exact_or_refused"
    ],
    "C02 running again: saved config, round trip, other directory": [
        "cli/test_cli.py::test_same_command_twice_makes_two_runs",
        "cli/test_cli.py::test_a_run_is_never_mixed_into_another",
        "cli/test_cli.py::test_printed_and_saved_configs_are_accepted_back",
        "cli/test_cli.py::test_relative_root_is_named_in_full",
    ],
    "C03 misspelt keys, order of arguments, number formats": [
        "cli/test_cli.py::test_wrong_config_is_one_line",
        "cli/test_cli.py::test_config_before_the_verb",
        "cli/test_cli.py::test_numbers_in_every_spelling_are_numbers",
    ],
    "C04 a callback from the command line drops the configured ones": [
        "cli/test_cli.py::test_callbacks_of_the_user_do_not_replace_ours"
    ],
    "C05 a scheduler without an optimizer does nothing": [
        "cli/test_cli.py::test_wrong_word_is_one_line",
        "training/test_training.py::test_scheduler_from_the_command_line_acts",
    ],
    "C06 a frozen backbone still changes through BatchNorm": [
        "models/test_freezing.py::test_frozen_backbone_is_bit_identical",
        "training/test_unfreezing.py::test_what_is_closed_stands_still_bit_for_bit",
    ],
    "C07 freeze flag without effect, pattern that matches nothing": [
        "models/test_freezing.py::test_wrong_rules_are_one_line",
        "models/test_freezing.py::test_partial_freeze_holds_its_part_and_no_more",
    ],
    "C08 resume after the unfreeze epoch": ["training/test_unfreezing.py::test_resumed_equals_uninterrupted"],
    "C09 two-stage training: head first, then everything": [
        "training/exact_resume/test_resume.py::test_two_stages_start_from_weights"
    ],
    "C10 num_workers 0 with persistent workers or prefetch": ["cli/test_cli.py::test_wrong_config_is_one_line"],
    "C11 very small data: a last batch of one, and zero batches": [
        "training/test_training.py::test_sixteen_in_a_row_of_one_joins_the_batch_before"
    ],
    "C12 CIFAR-10 missing, half-downloaded or damaged": [
        "data/sources/test_cifar10.py::test_a_broken_root_is_named_in_one_line_and_left_as_it_was",
        "data/sources/test_cifar10.py::test_download_repairs_every_broken_root",
        "data/sources/test_cifar10.py::test_a_download_that_breaks_off_is_not_kept",
    ],
    "C13 pretrained weights cannot be fetched": [
        "models/test_weights.py::test_unreachable_weights",
        "models/test_weights.py::test_damaged_cached_weights",
        "models/test_weights.py::test_evaluation_needs_no_network",
    ],
    "C14 different preprocessing between training, test and predict": [
        "training/test_training.py::test_predictions_agree_with_validation",
        "commands/test_predict.py::test_answers_are_those_of_test",
        "training/exact_resume/test_resume.py::test_the_checkpoints_network_wins_over_a_config_and_says_so",
    ],
    "C15 workers and threads on a small CPU machine": [
        "training/strategies/test_feature_cache.py::test_workers_beyond_the_cores_are_warned_of_once"
    ],
    "C16 same seed, different result": ["training/test_training.py::test_same_command_same_bits_whatever_the_workers"],
    "C17 hidden files and folders become classes or crash": [
        "data/sources/test_image_folder.py::test_hidden_files_and_litter_are_no_classes",
        "project/test_realdata.py::test_cases_as_generated",
    ],
    "C18 a class without validation images shifts the labels": [
        "data/sources/test_image_folder.py::test_a_class_without_validation_images_shifts_no_label",
        "project/test_realdata.py::test_cases_as_generated",
    ],
    "C19 only one class found (wrong directory level)": [
        "data/sources/test_image_folder.py::test_a_wrong_level_is_explained",
        "project/test_realdata.py::test_cases_as_generated",
    ],
    "C20 odd names: spaces, quotes, unicode, upper-case and unsupported extensions, links": [
        "data/sources/test_image_folder.py::test_odd_names_and_links",
        "project/test_realdata.py::test_cases_as_generated",
    ],
    "C21 image modes: 16-bit, grey, palette, CMYK, alpha": [
        "deploy/test_predictor.py::test_an_image_of_any_mode_and_size",
        "project/test_realdata.py::test_cases_as_generated",
    ],
    "C22 unreadable image in the middle of training": [
        "data/sources/test_image_folder.py::test_broken_files_stop_the_run_before_it_starts",
        "data/sources/test_image_folder.py::test_broken_files_are_skipped_with_a_count",
        "data/sources/test_image_folder.py::test_a_file_that_breaks_while_training_is_named",
        "project/test_realdata.py::test_cases_as_generated",
    ],
    "C23 validation split leaks into training": [
        "data/sources/test_image_folder.py::test_split_off_validation_is_the_same_in_every_run_and_survives_new_pictures",
        "data/sources/test_image_folder.py::test_pictures_in_both_training_and_validation_are_told",
        "project/test_realdata.py::test_cases_as_generated",
    ],
    "C24 predict on a plain folder; rows complete and in order": [
        "commands/test_predict.py::test_a_row_for_every_file_in_order",
        "commands/test_predict.py::test_unreadable_files_have_a_row_with_the_reason",
    ],
    "C25 two processes: duplicated test images, partial predictions": [
        "training/test_distributed.py::test_every_image_is_tested_and_predicted_once"
    ],
    "C26 'accuracy' that is really the class average": [
        "training/test_training.py::test_plain_accuracy_is_micro_and_macro_leaves_absent_classes_out"
    ],
    "C27 epoch value computed from batch means": [
        "training/test_training.py::test_validation_does_not_depend_on_the_batch"
    ],
    "C28 small data: no training curve at all": [
        "training/test_training.py::test_small_data_have_a_curve_and_an_hparams_row",
        "reporting/test_dashboard.py::test_scalars",
    ],
    "C29 TensorBoard: empty or meaningless hparams, wrong port or host": [
        "training/test_training.py::test_small_data_have_a_curve_and_an_hparams_row",
        "reporting/test_dashboard.py::test_hparams",
        "reporting/test_dashboard.py::test_says_its_true_address",
    ],
    "C30 checkpoints the loader refuses (weights_only)": [
        "training/test_training.py::test_checkpoints_are_flat_and_whole",
        "training/exact_resume/test_resume.py::test_checkpoint_alone_answers_for_all_options",
    ],
    "C31 class names in the checkpoint versus the command line": [
        "training/exact_resume/test_resume.py::test_checkpoint_alone_answers_for_all_options",
        "data/sources/test_image_folder.py::test_checkpoint_names_the_classes_where_nothing_trains",
    ],
    "C32 test or predict without a checkpoint uses random weights": ["cli/test_cli.py::test_front_door"],
    "C33 checkpoint with another number of classes": [
        "training/exact_resume/test_resume.py::test_other_classes_start_with_a_new_head"
    ],
    "C34 damaged, empty or foreign checkpoint file": [
        "training/exact_resume/test_resume.py::test_damaged_and_foreign_checkpoints"
    ],
    "C35 monitored metric missing, or no validation data": [
        "training/test_training.py::test_wrong_monitor_is_said_before_training",
        "training/test_training.py::test_without_validation_the_last_epoch_is_kept",
    ],
    "C36 metric name with '/' in the checkpoint file name": [
        "training/test_training.py::test_checkpoints_are_flat_and_whole"
    ],
    "C37 a compiled model's checkpoint cannot be loaded": ["models/test_weights.py::test_state_dicts_of_many_shapes"],
    "C38 Ctrl-C and SIGTERM": [
        "reporting/test_run_card.py::test_ctrl_c_leaves_a_card",
        "training/exact_resume/test_signals.py::test_a_signal_costs_no_step",
        "training/exact_resume/test_killed.py::test_killed_and_started_again",
    ],
    "C39 export made in training mode or with drifting BatchNorm": [
        "deploy/test_export.py::test_answer_does_not_depend_on_the_batch",
        "deploy/test_export.py::test_what_answers_differently_is_refused",
    ],
    "C40 export packages not installed": ["deploy/test_export.py::test_missing_packages_are_said_first"],
    "C41 feature cache that outlives what it was made from": [
        "training/strategies/test_feature_cache.py::test_every_change_is_another_entry",
        "data/sources/test_image_folder.py::test_feature_cache_notices_a_changed_picture",
    ],
    "N07 a folder of iPhone photos is mostly HEIC": [
        "data/test_foreign_formats.py::test_skipped_files_are_findings",
        "data/test_foreign_formats.py::test_fit_names_what_it_skips",
        "data/test_foreign_formats.py::test_a_file_is_named_for_what_it_is",
        "data/test_foreign_formats.py::test_a_table_and_a_predictor_name_them_too",
        "commands/test_predict.py::test_files_that_are_not_read_have_a_row_with_the_reason",
    ],
    "N09 a console that cannot encode a name ends the run": [
        "cli/test_console_encoding.py::test_doctor_ends_well",
        "cli/test_console_encoding.py::test_fit_and_what_follows_end_well",
        "cli/test_console_encoding.py::test_every_verb_ends_well",
        "cli/test_console_encoding.py::test_configs_are_utf8_whatever_the_machines_text_is",
    ],
    "N11 weights whose names begin otherwise": [
        "models/test_foreign_weights.py::test_any_wrapping_is_opened",
        "models/test_foreign_weights.py::test_two_that_fit_alike_are_a_question",
        "models/test_foreign_weights.py::test_a_part_is_named_on_the_command_line",
    ],
    "N13 weights whose file ends otherwise": [
        "models/test_foreign_weights.py::test_a_file_is_a_file_whatever_its_ending",
        "models/test_foreign_weights.py::test_a_mistyped_path_is_told_from_a_mistyped_name",
    ],
    "N15 a TorchScript file given as weights": [
        "models/test_foreign_weights.py::test_files_that_are_no_weights_are_named"
    ],
    "N16 regression blows up in the user's unit": [
        "models/test_target_unit.py::test_every_unit_trains_alike",
        "models/test_target_unit.py::test_answers_are_in_the_unit_by_every_door",
        "models/test_target_unit.py::test_several_columns",
        "models/test_target_unit.py::test_values_that_cannot_be_learned_are_refused",
    ],
    "N17 an empty cell means not looked at": [
        "training/test_unknown_labels.py::test_a_run_is_measured_on_what_is_known",
        "training/test_unknown_labels.py::test_what_only_one_laboratory_looked_at_is_learned",
        "training/test_unknown_labels.py::test_uncertain_cells",
        "training/test_unknown_labels.py::test_an_empty_cell_can_mean_no",
    ],
    "N19 labels that differ in form only": [
        "data/test_name_forms.py::test_fit_and_doctor_name_them",
        "data/test_name_forms.py::test_a_table_has_one_class_as_it_was_written_first",
        "data/test_name_forms.py::test_folders_of_two_forms_are_one_class",
        "data/test_name_forms.py::test_a_checkpoint_knows_its_classes_in_another_form",
        "data/sources/test_huggingface.py::test_names_in_two_forms_and_rows_without_a_label",
    ],
    "N20 a table made on Windows": [
        "data/test_name_forms.py::test_paths_of_another_machine_are_found",
        "data/test_name_forms.py::test_what_could_be_two_files_is_not_guessed",
        "data/test_name_forms.py::test_what_lies_elsewhere_is_no_picture_to_leave_out",
    ],
    "N21 what Excel adds to a table": [
        "data/sources/test_image_table.py::test_what_excel_and_pandas_add_to_a_table",
        "data/sources/test_image_table.py::test_empty_rows_of_parquet_are_left_out",
    ],
    "N22 rows without a label": [
        "data/sources/test_image_table.py::test_rows_without_a_label_are_named_at_once_and_can_be_left_out"
    ],
    "N24 a class with one picture stops the split": [
        "data/test_rare_classes.py::test_all_are_named_and_the_doctor_calls_it_an_error",
        "data/test_rare_classes.py::test_rare_classes_are_left_out_of_the_run",
        "data/test_rare_classes.py::test_without_validation_all_train",
    ],
    "N25 a ViT takes one size alone": [
        "models/test_timm_weights.py::test_position_embeddings_are_resampled_as_timm_does",
        "models/test_timm_weights.py::test_torchvisions_vit_takes_another_size",
        "models/test_timm_weights.py::test_sizes_and_arguments_hold_in_every_verb",
    ],
    "N27 warm-up, then cosine": [
        "training/test_warm_up.py::test_rates_rise_to_those_of_the_scheduler",
        "training/test_warm_up.py::test_nested_schedulers_in_yaml_name_the_option",
        "training/test_warm_up.py::test_resumed_within_the_warm_up_equals_uninterrupted",
    ],
    "N28 no learning-rate curve with a schedule by steps": [
        "training/test_learning_rates.py::test_a_schedule_by_steps_has_a_value_an_epoch",
        "training/test_learning_rates.py::test_one_value_for_a_step",
    ],
    "N29 training ends early, nobody says why": [
        "reporting/test_endings.py::test_the_rule_that_ended_a_run_is_said",
        "reporting/test_endings.py::test_a_run_whose_time_was_up_goes_on",
        "reporting/test_endings.py::test_an_epoch_without_validation_shows_none",
        "reporting/test_endings.py::test_a_run_killed_before_its_card_ends_when_it_is_gone_on_with",
        "base/test_disk_full.py::test_only_what_lies_on_the_disk_is_named",
    ],
    "N30 a cluster's tasks and devices do not match": [
        "cli/test_launched.py::test_several_tasks_are_one_run_or_none",
        "cli/test_launched.py::test_tasks_without_their_number_on_a_machine",
        "cli/test_launched.py::test_one_task_trains",
    ],
    "N34 the shell opens the wildcard": [
        "commands/test_predict.py::test_several_paths_patterns_and_folders",
        "commands/test_predict.py::test_what_names_no_pictures_is_said",
        "commands/test_predict.py::test_no_answer_at_all_is_a_fault",
    ],
    "N35 a module cannot be pickled": [
        "base/test_plain_values.py::test_a_module_is_pickled",
        "base/test_plain_values.py::test_copies_share_no_hook",
        "base/test_plain_values.py::test_data_modules_are_pickled",
        "base/test_plain_values.py::test_a_predictor_answers_in_a_worker",
    ],
    "N37 fewer answers than files": [
        "data/test_foreign_formats.py::test_every_ending_that_pillow_reads_is_a_pictures_name",
        "data/test_foreign_formats.py::test_skipped_files_are_findings",
    ],
    "N38 other column names, no ClassLabel": [
        "data/sources/test_huggingface.py::test_labels_without_a_list_of_classes",
        "data/sources/test_huggingface.py::test_labels_that_are_no_class_are_refused_in_one_line",
        "data/sources/test_huggingface.py::test_what_cannot_be_is_refused_in_one_line",
    ],
    "N39 data moved, other number of devices": [
        "data/sources/test_image_folder.py::test_a_resume_wants_the_same_pictures",
        "training/test_distributed.py::test_what_two_began_one_goes_on_with_elsewhere",
    ],
    "N40 after a resume inside an epoch validation sees one batch": [
        "training/exact_resume/test_mid_epoch.py::test_resumed_equals_uninterrupted"
    ],
    "N41 accuracy hides a rare class": [
        "training/test_training.py::test_plain_accuracy_is_micro_and_macro_leaves_absent_classes_out",
        "commands/test_doctor.py::test_classes_and_sizes",
    ],
    "N42 the answer depends on how the picture is handed over": [
        "deploy/test_predictor.py::test_a_large_photograph_has_one_answer_however_it_is_handed_over"
    ],
    "N43 animated AVIF, WebP, GIF and PNG": ["data/test_reading.py::test_first_frame_of_an_animation"],
    "B02 numpy's values in options": [
        "base/test_plain_values.py::test_what_numpy_gave_is_tested_and_opened_again",
        "base/test_plain_values.py::test_what_cannot_be_meant_is_refused_at_once",
        "base/test_plain_values.py::test_a_checkpoint_that_nobody_could_read_is_not_written",
    ],
    "B03 the doctor looks before EXIF rotation": [
        "commands/test_doctor.py::test_pictures_are_looked_at_as_the_network_sees_them",
        "commands/test_doctor.py::test_turned_and_mirrored_copies_are_found",
        "commands/test_doctor.py::test_files_that_tell_their_class_are_told",
    ],
    "B05 a head solved on rounding noise": [
        "training/strategies/test_head_solver.py::test_a_head_on_nothing_is_chance",
        "training/strategies/test_head_solver.py::test_blank_pictures_are_chance_in_every_verb",
        "training/strategies/test_head_solver.py::test_blank_pictures_tell_probe_and_advise_nothing",
    ],
    "B08 weights without BatchNorm's counters": [
        "models/test_foreign_weights.py::test_any_wrapping_is_opened",
        "project/test_realdata.py::test_real_weights_in_any_wrapping",
    ],
    "B10 a timm network with the file of another tag": [
        "models/test_timm_weights.py::test_a_file_without_its_tag_is_a_doubt",
        "models/test_timm_weights.py::test_the_arguments_give_tensorflows_answers",
        "models/test_timm_weights.py::test_folded_batch_norms_are_named_before_they_follow",
    ],
    "B11 Hugging Face's rules for folders": [
        "data/sources/test_huggingface.py::test_what_the_folder_rules_leave_out_is_told_with_the_way_out"
    ],
    "B12 the last window of accumulated gradients": [
        "training/test_accumulation.py::test_the_last_window_is_the_mean_of_its_batches"
    ],
    "B13 monitors that look the wrong way": ["training/test_monitor_modes.py::test_the_wrong_way_is_refused"],
    "B14 a schedule that does not fit the run": ["training/test_schedule_length.py::test_a_cycle_too_short_is_refused"],
    "B15 a found rate at the range's edge": [
        "training/strategies/test_find_lr.py::test_a_range_that_ends_before_the_loss_turns_is_refused"
    ],
    "B16 what is typed is what is meant": [
        "cli/test_cli.py::test_no_option_is_swallowed",
        "cli/test_cli.py::test_a_key_twice_or_for_nothing",
        "cli/test_cli.py::test_wrong_value_is_one_line",
        "commands/test_compare.py::test_a_flag_takes_no_config_for_its_value",
        "analysis/test_advise.py::test_options_that_the_advice_does_not_decide_are_kept",
    ],
    "B17 one value for a tag and step": [
        "reporting/test_history.py::test_one_value_for_a_tag_and_step",
        "reporting/test_history.py::test_rates_are_logged_once_a_step",
    ],
    "B18 sums in full precision, no judgement of NaN, no training in eval mode": [
        "training/test_full_precision.py::test_the_logged_loss_is_that_of_the_logits_in_float32",
        "training/test_full_precision.py::test_a_checkpoint_that_is_no_number_is_not_judged",
        "training/test_full_precision.py::test_a_module_in_eval_mode_trains_in_train_mode",
    ],
    "B19 two that pack into one folder, passes without a Trainer": [
        "commands/test_optimize.py::test_of_two_that_pack_into_one_folder_one_is_refused",
        "data/test_datamodule.py::test_passes_without_a_trainer_are_the_epochs_of_a_run",
    ],
    "N01 16-bit TIFF of a microscope comes out nearly black": [
        "data/test_learned_ranges.py::test_twelve_bits_in_sixteen_are_learned_said_and_kept",
        "commands/test_doctor_numbers.py::test_twelve_bits_in_sixteen",
        "data/test_learned_ranges.py::test_validate_and_predict_read_as_the_run_did",
    ],
    "N03 CT as int16 TIFF": [
        "commands/test_doctor_numbers.py::test_ct_in_hounsfield_units",
        "data/decoding/test_tiff_matrix.py::test_numbers_are_those_that_were_written",
    ],
    "N04 stacks of frames in one TIFF": [
        "data/test_learned_ranges.py::test_stacks_are_named_in_one_line",
        "data/decoding/test_same_picture.py::test_every_value_of_a_plane_arrives",
    ],
    "N06 satellite TIFF of eight bands": [
        "data/test_learned_ranges.py::test_a_reason_that_all_share_is_said_once",
        "data/decoding/test_same_picture.py::test_every_value_of_a_chosen_band_arrives",
    ],
    "N08 199-megapixel pictures": [
        "data/decoding/test_pillow_file.py::test_a_jpeg_is_limited_by_what_is_decoded",
        "data/decoding/test_pillow_file.py::test_the_limit_is_an_option",
    ],
    "B01 what an export says of reading 16 bits": [
        "deploy/test_reading_rule.py::test_a_file_read_by_the_rule_has_the_librarys_pixels",
        "deploy/test_reading_rule.py::test_answers_without_torch_are_the_librarys",
        "deploy/test_reading_rule.py::test_the_rule_in_words",
    ],
    "B04 10 and 12 bits in 16-bit files": [
        "data/decoding/test_same_picture.py::test_the_same_pictures_give_the_same_pixels"
    ],
    "B06 planar, signed and thumbnail-first TIFF": [
        "data/decoding/test_tiff_matrix.py::test_numbers_are_those_that_were_written",
        "data/decoding/test_same_picture.py::test_a_thumbnail_is_no_plane",
        "data/decoding/test_same_picture.py::test_channels_of_a_microscope_are_no_planes",
    ],
    "B07 a dark picture of a 16-bit PGM folder": [
        "data/decoding/test_same_picture.py::test_a_dark_pgm_is_read_as_a_bright_one"
    ],
    "N32 pictures of one patient in training and validation": [
        "data/test_groups.py::test_patients_of_both_sides_no_longer_flatter"
    ],
}
HANDED_OVER = (
    1,
    3,
    4,
    6,
    7,
    8,
    9,
    11,
    13,
    15,
    16,
    17,
    19,
    20,
    21,
    22,
    24,
    25,
    27,
    28,
    29,
    30,
    32,
    34,
    35,
    *range(37, 44),
)


def test_every_case_is_there() -> None:
    expected = [f"C{number:02d}" for number in range(1, 42)] + [f"N{number:02d}" for number in HANDED_OVER]
    found = sorted(case.partition(" ")[0] for case in CASES if not case.startswith("B"))
    assert found == expected


@pytest.mark.parametrize("case", CASES)
def test_the_tests_of_a_case_exist(case: str) -> None:
    for place in CASES[case]:
        file, _, name = place.partition("::")
        functions = ast.parse((TESTS / file).read_text(encoding="utf-8")).body
        assert name in {each.name for each in functions if isinstance(each, ast.FunctionDef)}, place
