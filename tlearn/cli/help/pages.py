"""The help of each verb, one screen of 80 columns: the options that most people use, with their defaults in brackets.

A default in brackets is the parser's, where no config names another. `tests/cli/help/` compares names and defaults with
the real parsers, and shell completion reads the same pages. Nothing heavy is imported.
"""

from __future__ import annotations

from string import Template

from tlearn.base.program import program
from tlearn.cli.help.parts import PARTS
from tlearn.cli.help.run_pages import RUN_PAGES
from tlearn.cli.help.web_pages import WEB_PAGES

PAGES = (
    {
        "fit": """\
usage: $program fit TARGET [--option VALUE ...]

Trains on the training images, validates after every epoch, and keeps
best.ckpt, last.ckpt and a report in runs/NAME/version_N, NAME as in TARGET.

$target

$defaults

$pictures
  --model.head_hidden '[256]'      widths of hidden layers of the head

what trains, and how
  --model.freeze_backbone true     the head alone trains [false]
  --model.freeze_until STAGE       the stages up to this one stay as they are
  --model.lr_scales '{stem: 0.1}'  factors on the rate, by stage
  --model.unfreeze '{layer4: 2}'   epoch from which a stage trains
  --model.head_init probe          solve the head first, then train [random]
  --model.head_solver lbfgs        solve the head, and train nothing [sgd]
  --model.ensemble '[RUN, RUN]'    train nothing: average trained runs
  --model.distill_from RUN         learn a trained run's answers too
  --model.optimizer NAME           AdamW, or any of torch [SGD]
  --model.optimizer.lr RATE        learning rate [0.001]
  --model.lr_scheduler NAME        CosineAnnealingLR, or any of torch
  --model.class_weights balanced   for classes of uneven size
  --find_lr                        find the learning rate first
  --trainer.max_epochs N           passes over the training images [20]
  --trainer.max_time DD:HH:MM:SS   end in time; the run can go on later
  --trainer.precision KIND         32-true, bf16-mixed; else the fastest

run
$place
  --seed_everything N              the same seed gives the same bits [0]
  --ckpt_path RUN                  go on with a run: its folder, last, a file
  --resume auto                    go on with the newest that is unfinished
  --sweep OPTION=A,B               compare values; with it --seeds N
  --folds K                        fit K times, each on another fold
  --budget TIME                    race networks: 90s, 10m, 2h, auto
  --print_config                   print the config that would be used

'--help data' lists the options of each kind of data, '--help all' all options.""",
        "plan": """\
usage: $program plan TARGET [--option VALUE ...]

Says what fit would do with the same words, and what that would cost on this
machine: which part trains when, at which rate, seconds and memory.

$target

  --out FILE                       write all of it as JSON

$pictures

run
  --trainer.max_epochs N           passes over the training images [20]
$place

$of_fit""",
        "probe": """\
usage: $program probe TARGET [--option VALUE ...]

Says what each stage of the network is worth for these pictures: one pass for
each image size, then linear probes. Options of a strategy do not matter.

$target

  --image_sizes S,S                sides in px to try; else model.image_size
  --folds K                        leave training pictures out by K folds
  --out FILE                       write all of it as JSON

$pictures

run
$place

$of_fit""",
        "advise": """\
usage: $program advise TARGET [--option VALUE ...]

Measures which strategy, image size and rates pay for these pictures, says why,
and writes a config that follows it; then: '$program fit advised.yaml'.

$target

  --image_sizes S,S                sides in px to try; else model.image_size
  --backbones NAME,NAME=FILE       which of these networks, with weights of your
                                   own from FILE; auto: those on this machine
  --folds K                        leave training pictures out by K folds
  --out FILE                       the config to write; else advised.yaml

$pictures

run
  --trainer.max_epochs N           that a strategy may take [20]
$place

$of_fit""",
        "doctor": """\
usage: $program doctor TARGET [--option VALUE ...]
       $program doctor PHOTOS --against RUN [--level 0.05] [--out FILE]

Looks at every picture file of all splits: unreadable, doubled, mislabelled,
uneven. No file is changed or deleted.

  --against RUN                    are PHOTOS like the pictures of this run?
                                   Ends with 0 if so, 3 if not, 2 on faults
  --level SHARE                    of alike folders found not to be [0.05]

$target

  --fix                            put broken files, copies and contrary labels
                                   on a list beside the pictures, which fit
                                   leaves out: tlearn-exclude.json
  --out FILE                       write all of it; else doctor.json

$pictures

$of_fit""",
        "compare": """\
usage: $program compare A.yaml B.yaml ... [--option VALUE ...]

Fits configs on the same images with the same seeds, and ranks them: scores with
intervals, seconds, memory. Finished runs are kept: the same command goes on.

options                            what it does [default]
  --seeds N                        runs of each config [3]
  --folds K                        for each seed K runs, each on another fold
  --name NAME                      the runs lie in runs/compare/NAME
  --out FILE                       write all of it, each image's score too
  --no-wait                        leave runs to the other processes of the
                                   same command that have begun them
  --trainer.max_epochs N           as any other option of fit, for all configs

Values of an option: '$program fit A.yaml --sweep OPTION=A,B'.""",
        "validate": """\
usage: $program validate RUN [--option VALUE ...]

Loss and accuracy of a run's best checkpoint on its validation images.

$run

$evaluation

'--help all' lists every option, '--help data' those of each kind of data.""",
        "test": """\
usage: $program test RUN [--option VALUE ...]

Loss and accuracy of a run's best checkpoint on its test images. They go into
the report of the run.

$run

$evaluation

'--help all' lists every option, '--help data' those of each kind of data.""",
        "predict": """\
usage: $program predict RUN [PHOTOS ...] [--option VALUE ...]

Writes a row for each picture: its classes, the most probable first, and how
strange it is (stranger: 0 to 1, above 0.95 it looks like nothing learned).

$run
PHOTOS  a folder, a pattern such as 'photos/*.jpg', a picture file, or several
        of these; a .txt or .csv that lists pictures; - for names from standard
        input. Without any: the validation images of the run

options                            what it does [default]
  --out FILE                       .csv or .parquet; else in the run folder
  --top_k N                        classes in a row [5]
  --coverage SHARE                 column set: classes that hold the true one
                                   in 0.9 of pictures like the training pictures
  --coverage_by WHOM               promised by class, or a new group's [all]
  --min_accuracy SHARE             0.98 of the answers given are right; the rest
                                   is unknown
  --unknown true                   strangers to it are unknown [false]
  --nearest N                      training pictures named for each [0]
  --data PHOTOS                    the same as PHOTOS: folder, pattern, file
  --ckpt_path WHICH                best, last or wise_ft of the run; else best
  --data.batch_size N              pictures in a batch
  --trainer.accelerator KIND       cpu, gpu, mps [auto]
  --trainer.precision KIND         32-true, bf16-mixed; else as in the run
  --config CONFIG                  with --ckpt_path best: its newest run

'--help all' lists every option.""",
        "report": """\
usage: $program report RUN

Makes report.html and card.md of a run anew from what lies in its folder, and
prints where the report is.

$run

options
  --ckpt_path RUN                  the same as RUN""",
        "export": """\
usage: $program export RUN --out FILE [--option VALUE ...]

Writes the network of a run as one file, and compares its answers with those of
tlearn on validation images before the file gets its name.

$run

options
  --out FILE                       NAME.onnx for ONNX Runtime, without torch, or
                                   NAME.pt2 for torch.export.load: both with
                                   preprocessing and probabilities inside;
                                   NAME.safetensors: weights, beside NAME.json
  --coverage SHARE                 output answer_set (low, high of values), as
                                   predict's set; .onnx and .pt2
  --coverage_by WHOM               promised by class, or a new group's [all]
  --min_accuracy SHARE             output answered: false where unknown
  --unknown true                   outputs stranger and answered [false]
  --quantize int8                  8-bit weights and activations; .onnx alone
  --data FOLDER                    pictures to check with; else the run's own
  --ckpt_path WHICH                best, last or wise_ft of the run; else best
  --config CONFIG                  with --ckpt_path best: its newest run
  --trainer.default_root_dir DIR   where that config's runs lie; else runs/""",
        "optimize": """\
usage: $program optimize FOLDER OUT [--option VALUE ...]

Packs a folder of pictures into shards in OUT, bit by bit as they are. fit
streams them from there, or from object storage that OUT was copied to:
'$program fit OUT'. It needs: pip install 'tlearn[stream]'.

options                            what it does [default]
  --shard_mb MB                    how large a shard may become [64]
  --data.init_args.on_error skip   leave out what cannot be read [error]
  --data.init_args.unknown_classes ignore  what train has no class of [error]
  --data.init_args.channels LIST   bands that a fit will take, '[3,2,1]'
  --data.init_args.page PLANE      plane of stacks that a fit will take [first]
  --data.init_args.num_channels N  channels that files are tried with [3]
  --data.init_args.test_fraction S  share of train to hold back for test
  --data.init_args.group WHAT      never divided: folder level or expression""",
        "cache": """\
usage: $program cache ls | cache rm NAME ... | cache rm all

Lists what .cache/tlearn of this folder keeps, features of frozen networks and
large pictures once they are decoded, or removes those named.""",
        "completion": """\
usage: $program completion bash | completion zsh

Prints what a shell needs to complete verbs, options and files. One line in
~/.bashrc: eval "$$(tlearn completion bash)"; in ~/.zshrc likewise, with zsh.""",
        "quickstart": """\
usage: $program quickstart [--trainer.default_root_dir FOLDER]

Offline, in a few minutes: learns the digits 0-4, transfers to 5-9 with three
labels each, and compares that with training from scratch.

options
  --trainer.default_root_dir DIR   where runs lie; else runs/""",
    }
    | WEB_PAGES
    | RUN_PAGES
)


def page(verb: str) -> str:
    """Return the help of a verb."""
    parts = {name: Template(text).substitute(program=program()) for name, text in PARTS.items()}
    return Template(PAGES[verb]).substitute(parts, program=program())
