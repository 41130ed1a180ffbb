"""How long the page of `review` takes to open, and from a key to the next picture on the screen, in Chromium.

    python -m benchmarks.pages.review_keys --root DATA --count 10000

DATA holds ``believe/cifar10.pt`` (from `benchmarks.believe.features`) and ``cifar/``. 5 % of the labels are wrong. The
clock of a key runs in the page, from the keydown event to the frame in which the next large picture is drawn.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from PIL import Image
from torch import Tensor

from benchmarks.believe.features import feature_set, pictures_of
from benchmarks.machine import machine
from tests.browser import pages
from tests.pages.served import served
from tlearn.analysis.pool.labelled_pool import LabelledPool
from tlearn.data.files.reading import Framing
from tlearn.pages.review.routes import review_app
from tlearn.pages.review.session import ReviewSession
from tlearn.pages.server.options import ServerOptions

if TYPE_CHECKING:
    from playwright.sync_api import Page

WRONG = 0.05
_FILES = 500  # that differ; the others are links to them
_CLOCK = """
window.painted = (key) => new Promise((resolve) => {
  const frame = document.getElementById("picture"), before = frame.firstElementChild;
  let start = 0;
  addEventListener("keydown", (event) => { start = event.timeStamp; }, { once: true, capture: true });
  const look = () => {
    const now = frame.firstElementChild;
    if (!start || now === before || !(now.complete && now.naturalWidth)) return requestAnimationFrame(look);
    requestAnimationFrame(() => {
      const channel = new MessageChannel();
      channel.port1.onmessage = () => resolve(performance.now() - start);
      channel.port2.postMessage(0);
    });
  };
  look();
});
"""


def made_pool(root: Path, folder: Path, count: int, size_px: int) -> LabelledPool:
    """Write pictures of CIFAR-10 and take their features; some labels become those of other classes."""
    stored = feature_set("cifar10", root)
    images = pictures_of("cifar10", root).images[:_FILES]
    draws = torch.Generator().manual_seed(0)
    labels = stored.labels[:count].clone()
    wrong = torch.rand(len(labels), generator=draws) < WRONG
    labels[wrong] = (labels[wrong] + torch.randint(1, 10, (int(wrong.sum()),), generator=draws)) % 10
    names = [f"{number:05d}.{'png' if size_px <= 128 else 'jpg'}" for number in range(len(labels))]
    for number, name in enumerate(names):
        if number < _FILES:
            _write(images[number], folder / name, size_px)
        else:
            (folder / name).symlink_to(names[number % _FILES])
    return LabelledPool(
        root=folder,
        names=names,
        labels=labels,
        class_names=stored.class_names,
        groups=None,
        group_names=[],
        features=stored.features[:count],
        framing=Framing(size_px=128),
        is_validation=torch.arange(len(labels)) % 10 == 9,
    )


def _write(pixels: Tensor, path: Path, size_px: int) -> None:
    Image.fromarray(pixels.permute(1, 2, 0).numpy()).resize((size_px, size_px), Image.Resampling.BICUBIC).save(path)


def opening_s(page: Page, address: str) -> float:
    """Return the time from the address to the first large picture."""
    start = time.perf_counter()
    page.goto(address)
    page.locator("body[data-ready]").wait_for()
    page.evaluate("document.querySelector('#picture img').decode()")
    return time.perf_counter() - start


def key_times_ms(page: Page, keys: str, pause_ms: int) -> list[float]:
    """Press each key when the picture of the one before is there and a pause has passed."""
    times = []
    for key in keys:
        page.evaluate("() => { window.last = window.painted(); }")
        page.keyboard.press("ArrowRight" if key == ">" else key)
        times.append(float(page.evaluate("() => window.last")))
        page.wait_for_timeout(pause_ms)
    return times


def told(name: str, times: list[float]) -> str:
    """Put median, 95th percentile and the longest into a line."""
    ordered = sorted(times)
    late = ordered[min(len(ordered) - 1, round(0.95 * len(ordered)))]
    middle = statistics.median(times)
    return f"{name}: median {middle:.0f} ms, 95 % {late:.0f} ms, longest {ordered[-1]:.0f} ms, n {len(times)}"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--root", type=Path, required=True)
    parser.add_argument("--count", type=int, default=10_000)
    parser.add_argument("--size_px", type=int, default=32)
    given = parser.parse_args()
    executable = pages.chromium_path()
    assert executable is not None, "no Chromium"
    print(machine())
    with tempfile.TemporaryDirectory() as scratch:
        pool = made_pool(given.root, Path(scratch), given.count, given.size_px)
        start = time.perf_counter()
        session = ReviewSession(pool, title="CIFAR-10")
        print(f"session on {len(pool):,} pictures: {time.perf_counter() - start:.2f} s")
        with served(review_app(session, ServerOptions())) as address, pages.open_browser(executable) as browser:
            page = browser.new_page(viewport={"width": 1280, "height": 800})
            page.add_init_script(_CLOCK)
            opened = [opening_s(page, address) for _ in range(5)]
            print(f"first picture: median {statistics.median(opened):.2f} s of {[f'{each:.2f}' for each in opened]}")
            print(told("K, 3 a second", key_times_ms(page, "k" * 50, 330)))
            session.wait()
            print(told("P, no pause", key_times_ms(page, "p" * 50, 0)))
            session.wait()
            print(told("arrow, no pause", key_times_ms(page, ">" * 50, 0)))


if __name__ == "__main__":
    main()
