"""The help of the verbs that serve a page, as `tlearn.cli.help.pages` has that of the others."""

from __future__ import annotations

WEB_PAGES = {
    "review": """\
usage: $program review TARGET [--option VALUE ...]

Serves a page on this machine: every labelled picture, the most doubtful label
first, beside it what the network says instead and what looks alike; a key for
each decision. No file is moved: decisions go into tlearn-labels.csv beside the
pictures, which fit and all others honour. Ctrl-C ends it.

$target
RUN     or a run: its pictures, and its network if its backbone was frozen

  --out FILE                       write a table of all, and serve no page
  --apply MOVE                     files into folders as decided; or UNDO
  --yes                            with --apply: do it, not only say it
$server

$pictures

run
$place

$of_fit""",
    "label": """\
usage: $program label FOLDER [TARGET] [--option VALUE ...]

Chooses the pictures of FOLDER whose labels would teach the most, shows them on
a page that takes the answers, and keeps those in FOLDER/tlearn-labels.csv. It
ends on Ctrl-C; then: '$program fit FOLDER'.

FOLDER  pictures without labels, at any depth
TARGET  pictures with labels, if there are any: a folder, a table or a config

options                            what it does [default]
  --next N                         pictures to ask for at a time [50]
  --out FILE                       write the next ones as .csv, without a page
  --classes A,B                    classes, beside those that pictures have
$server

network, and pictures
  --model.backbone NAME            of torchvision, or timm/NAME [resnet18]
  --model.weights WHICH            ImageNet's, a file, or null [DEFAULT]
  --model.image_size PX            side that it sees; else 224
  --model.tap STAGE                whose features count; else the last
  --data.crop_mode letterbox       show the whole picture, with bars [center]
  --data.init_args.root FOLDER     the same as TARGET
  --config CONFIG                  the same as TARGET; or one without data
  --trainer.accelerator KIND       cpu, gpu, mps [auto]

$of_fit""",
    "serve": """\
usage: $program serve RUN [RUN ...] [--option VALUE ...]

A page where you drop pictures, and the same as JSON: POST /predict. It answers
as predict does, bit for bit; it ends on Ctrl-C. Several runs answer side by
side.

$run

options                            what it does [default]
$server
  --max_pictures N                 that a request may bring [64]
  --max_mb MIB                     that a request may bring [64]
  --max_waiting N                  pictures that may wait; more get 503 [512]
  --no_corrections                 keep none in RUN/corrections""",
}
