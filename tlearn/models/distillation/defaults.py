"""How much a teacher counts where nobody says. Without torch: the report, which loads none, names both."""

SHARE, TEMPERATURE = 0.9, 4.0  # as in Tian et al., 2020 (arXiv 1910.10699); measured in docs/options.md
