"""What several pages of help share: the target, the run, and the options of pictures, network and place."""

from __future__ import annotations

PARTS = {
    "target": """\
TARGET  a folder of pictures, with a folder for each class (see folder.yaml),
        a table of pictures and labels, .csv or .parquet (see table.yaml),
        or a config: a .yaml of your own, or one that ships with tlearn""",
    "run": """\
RUN     a run such as runs/my_pictures/version_0, runs/my_pictures for the
        newest of that name, or a checkpoint file""",
    "pictures": """\
pictures                           what it does [default]
  --data.batch_size N              images in a batch [64]
  --data.val_fraction SHARE        of train, to validate (without val) [0.1]
  --data.test_fraction SHARE       of train, to test (without test) [0.0]
  --data.group WHAT                never divided: site, patient; else a picture
  --data.train_per_class N         train on so many of each class; else on all
  --data.augment '{flip: true}'    random changes of training images; else none
  --data.on_error skip             leave out what cannot be read [error]
  --data.num_workers N             processes that read; else by the machine

network
  --model.backbone NAME            of torchvision, or timm/NAME [resnet18]
  --model.weights WHICH            ImageNet's, a file, or null [DEFAULT]
  --model.image_size PX            side that it sees; else the pictures' own
  --model.tap STAGE                that feeds the head; else the last""",
    "defaults": """\
Defaults hold where no config says otherwise. folder.yaml does: the network
stays fixed, its head is solved, at 224 px. table.yaml trains all of it.""",
    "place": """\
  --config CONFIG                  a config; TARGET then gives pictures alone
  --trainer.accelerator KIND       cpu, gpu, mps [auto]
  --trainer.default_root_dir DIR   where runs lie; else runs/""",
    "of_fit": """\
All other options of fit count too: '$program fit --help'.""",
    "server": """\
  --host ADDRESS                   to listen on [127.0.0.1]: this machine alone
  --port N                         else the first free one from 8760 on
  --token TEXT                     every request needs it; 16 or more characters
  --open                           open the page in the browser""",
    "evaluation": """\
options                            what it does [default]
  --ckpt_path WHICH                best, last or wise_ft of the run; else best
  --data.init_args.root FOLDER     other pictures than those of the run
  --data.batch_size N              images in a batch; else as in the run
  --trainer.accelerator KIND       cpu, gpu, mps [auto]
  --trainer.precision KIND         32-true, bf16-mixed; else as in the run
  --config CONFIG                  with --ckpt_path best: its newest run""",
}
