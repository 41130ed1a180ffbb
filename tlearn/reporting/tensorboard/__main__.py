"""TensorBoard with its own options, which opens on the validation curves: ``python -m tlearn.reporting.tensorboard``.

TensorBoard sorts what it shows by name, so that its first page would begin with whatever comes first in the alphabet.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable
from typing import Any
from urllib.parse import urlencode

# In this order at the top of the first page. Those that no run has are not shown.
_PINNED = ("val/acc", "val/f1", "val/mae", "val/loss")

_App = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


def main() -> None:
    """Start TensorBoard with the options that were typed, as the command ``tensorboard`` does."""
    from absl import app
    from tensorboard import default, main_lib, program
    from tensorboard.plugins.base_plugin import FlagsError

    def serve(tensorboard: _App, flags: Any) -> Any:
        return program.create_port_scanning_werkzeug_server(opened_on_validation(tensorboard), flags)

    main_lib.global_init()
    tensorboard = program.TensorBoard(plugins=default.get_plugins(), server_class=serve)
    try:
        app.run(tensorboard.main, flags_parser=tensorboard.configure)
    except FlagsError as error:
        sys.exit(f"Error: {error}")


def opened_on_validation(app: _App) -> _App:
    """Send who asks for TensorBoard's first page to the same page with validation curves on top, not smoothed."""
    pins = json.dumps([{"plugin": "scalars", "tag": tag} for tag in _PINNED], separators=(",", ":"))
    place = f"?{urlencode({'pinnedCards': pins, 'smoothing': 0})}"  # a browser keeps what it has after `#`

    def answer(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        if environ["PATH_INFO"] != "/" or environ["QUERY_STRING"]:
            return app(environ, start_response)
        start_response("302 Found", [("Location", place), ("Cache-Control", "no-store")])
        return [b""]

    return answer


if __name__ == "__main__":
    main()
