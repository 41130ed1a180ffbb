"""What options that a checkpoint's config does not know yet meant when it was written."""

from __future__ import annotations

from typing import Any

_MEANT: dict[str, dict[str, Any]] = {"ImageTableDataModule": {"empty_labels": "no", "uncertain_labels": "error"}}


def with_older_options(config: dict[str, Any]) -> dict[str, Any]:
    """Fill in options that came later and whose default is not what happened before there was an option.

    Args:
        config: The config in a checkpoint, as plain values.
    """
    data: Any = config.get("data")
    given = data.get("init_args") if isinstance(data, dict) else None
    if not isinstance(given, dict):
        return config
    meant = _MEANT.get(str(data.get("class_path")).rpartition(".")[2], {})
    return {**config, "data": {**data, "init_args": {**meant, **given}}}
