"""How many labels a choice of pictures saves: every figure of `label` in docs/pages.md is measured here."""
