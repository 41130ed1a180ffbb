"""Targets: the word behind a verb, such as a folder of pictures or a run, in place of options."""
