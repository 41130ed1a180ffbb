"""Everything that acts in a run: the LightningModule, its optimizer, checkpoints and callbacks."""
