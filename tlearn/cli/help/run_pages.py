"""The help of verbs that take several runs, as `tlearn.cli.help.pages` has that of the others."""

from __future__ import annotations

RUN_PAGES = {
    "soup": """\
usage: $program soup RUN RUN [RUN ...] [--option VALUE ...]

Compares runs of one network on their validation images with the mean of their
weights (soup: one pass, as a single run) and of their probabilities (ensemble:
a pass for each run), and makes a run of the simplest whose loss is within one
standard error of the least: runs/soup/NAME/version_N.

RUN     a run, such as runs/my_pictures/version_0, or a checkpoint; of the same
        network, classes and validation images

options                            what it does [default]
  --keep KIND                      single, soup, greedy or ensemble
  --against test                   compare on the test images too
  --name NAME                      the run lies in runs/soup/NAME
  --out FILE                       write all of it, each image's loss too
  --data.init_args.root FOLDER     where the pictures are by now
  --trainer.default_root_dir DIR   where runs lie; else runs/""",
}
