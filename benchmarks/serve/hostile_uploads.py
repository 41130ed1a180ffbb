"""Pictures that were damaged on purpose, under names that mean harm, sent to a server as its clients do."""

from __future__ import annotations

import http.client
import io
import json
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import urlsplit

import numpy as np
from PIL import Image

from tests.helpers.hostile_files import bombs, encoded, harmless_bombs, mutated

_PATIENCE_S = 60.0
_BOUNDARY = b"a-boundary-of-this-test"
_MOST_CHARACTERS = 400  # of a reason
NAMES = [
    b"good.jpg",
    b"../../../../etc/passwd",
    b"..\\..\\windows\\system.ini",
    b"/etc/shadow",
    b"<script>alert(1)</script>.jpg",
    b"' onerror=alert(1) '.png",
    b"%2e%2e%2f%00.png",
    b"\x00\x01\x02.png",
    b"x" * 5000,
    b"\xff\xfe\xfd",
    "\u202egnp.exe".encode(),
    "\U0001f600 \u0646\u0627\u0645.png".encode(),
    b"con",
    b"{{ 7 * 7 }}",
    b"=cmd()",
    b"",
]


def originals() -> list[bytes]:
    """Return good pictures of many formats, of 8 and of 16 bits."""
    kinds = ("JPEG", "PNG", "GIF", "WEBP", "TIFF", "BMP", "PPM", "JPEG2000", "TGA", "ICO")
    made = [encoded(kind, size_px) for kind in kinds for size_px in (12, 64)]
    made += [encoded("JPEG", 64, progressive=True), encoded("TIFF", 64, compression="tiff_lzw")]
    deep = np.random.default_rng(0).integers(0, 2**16, (40, 40), dtype=np.uint16)
    for kind in ("PNG", "TIFF"):
        buffer = io.BytesIO()
        Image.fromarray(deep).save(buffer, kind)
        made.append(buffer.getvalue())
    return made


def form_of(name: bytes, data: bytes) -> bytes:
    """Return a form with one file, its name as it is."""
    quoted = name.replace(b'"', b"%22").replace(b"\r", b"%0D").replace(b"\n", b"%0A")
    head = b'--%s\r\nContent-Disposition: form-data; name="pictures"; filename="%s"\r\n\r\n' % (_BOUNDARY, quoted)
    return head + data + b"\r\n--%s--\r\n" % _BOUNDARY


def uploads(count: int, seed: int) -> Iterator[tuple[bool, bytes]]:
    """Give bodies, each with whether it is a form: mutated pictures, bombs, and forms that are mutated themselves."""
    draws, good = np.random.default_rng(seed), originals()
    tricks = [*bombs().values(), *harmless_bombs().values(), b"", b"\x00", b"GIF89a"]
    for number in range(count):
        name = NAMES[int(draws.integers(len(NAMES)))]
        data = mutated(good[int(draws.integers(len(good)))], good, draws)
        if number % 100 == 99:
            data = tricks[number // 100 % len(tricks)]
        if number % 10 == 3:
            yield True, mutated(form_of(name, data), good, draws)
        else:
            yield (True, form_of(name, data)) if number % 2 else (False, data)


@dataclass(frozen=True)
class Answered:
    """What came back.

    Attributes:
        status: The HTTP status; 0 where the connection ended without one.
        faults: What was wrong with the answer itself; none should be.
        answers: Those of the server; empty where the whole request was refused.
    """

    status: int
    faults: list[str]
    answers: list[dict[str, object]]


def ask(address: str, is_form: bool, body: bytes, path: str = "/predict") -> Answered:
    """Send one body, and look at what comes back: JSON, reasons of one line, nothing of the server's insides."""
    parts = urlsplit(address)
    connection = http.client.HTTPConnection(str(parts.hostname), parts.port, timeout=_PATIENCE_S)
    kind = f"multipart/form-data; boundary={_BOUNDARY.decode()}" if is_form else "application/octet-stream"
    try:
        connection.request("POST", path, body, {"content-type": kind})
        answer = connection.getresponse()
        text = answer.read().decode()
    except (OSError, http.client.HTTPException, UnicodeDecodeError) as error:
        return Answered(0, [f"no answer: {type(error).__name__}: {error}"], [])
    finally:
        connection.close()
    try:
        found = json.loads(text)
    except ValueError:
        return Answered(answer.status, [f"no JSON: {text[:200]!r}"], [])
    answers = found.get("answers", [])
    reasons = [str(each["error"]) for each in [found, *answers] if "error" in each]
    faults = [f"{answer.status}: {each[:200]!r}" for each in reasons if not _is_plain(each)]
    if answer.status >= 500 or (answer.status != 200 and not reasons):
        faults.append(f"{answer.status}: {text[:200]}")
    return Answered(answer.status, faults, answers)


def _is_plain(reason: str) -> bool:
    is_line = 0 < len(reason) <= _MOST_CHARACTERS and reason.isprintable()
    return is_line and not any(part in reason for part in ("Traceback", "site-packages", 'File "'))
