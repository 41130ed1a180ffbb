"""The run card: `card.json`, `card.md` and `report.html`."""
