"""What may be believed: every figure of docs/believe.md is measured here."""
