"""Pictures that a client sends: as a form, or the bytes of one; decoded with the reader of all picture files.

Letters: C channels, S side in pixels.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import PurePosixPath
from tempfile import SpooledTemporaryFile
from typing import IO, Any

from starlette.datastructures import FormData, UploadFile
from starlette.exceptions import HTTPException
from starlette.requests import Request
from torch import Tensor

from tlearn.data.files.reading import Framing, check_bytes, read_and_remark

FIELD, ONE = "pictures", "picture"
_FORM = "multipart/form-data"
_MOST_FIELDS, _FIELD_BYTES = 16, 2**16
_IN_MEMORY = 2**20  # bytes of a picture that waits; of a larger one they lie on the disk
_NAME_CHARACTERS = 200


@dataclass(frozen=True)
class Upload:
    """A picture that a client sent.

    Attributes:
        name: As the client calls it, without folders; only ever shown, never opened.
        file: Holds its bytes until the request is answered.
    """

    name: str
    file: IO[bytes]

    def data(self) -> bytes:
        """Return its bytes."""
        self.file.seek(0)
        return self.file.read()


@dataclass(frozen=True)
class Uploads:
    """What a client sent: pictures, and the texts beside them by field."""

    pictures: list[Upload]
    fields: dict[str, str]


@asynccontextmanager
async def uploads_of(request: Request, most: int) -> AsyncIterator[Uploads]:
    """Give what a request brings, as long as the context lasts.

    Args:
        request: A form whose fields ``pictures`` or ``picture`` hold files; or the bytes of one picture.
        most: How many pictures it may bring.

    Raises:
        HTTPException: There is no picture, or too many of them or of fields; statuses 400 and 413.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind == _FORM:  # anything else is bytes: curl and others call them what they like
        form = await _form_of(request, most)
        try:
            yield _checked(form.multi_items())
        finally:
            await form.close()
        return
    with SpooledTemporaryFile(_IN_MEMORY) as file:
        async for part in request.stream():
            file.write(part)
        if not file.tell():
            raise HTTPException(400, f"expected the bytes of a picture, or {_FORM} with the field {FIELD}; got nothing")
        yield Uploads([Upload(safe_name(request.query_params.get("name", "")), file)], {})


async def _form_of(request: Request, most: int) -> FormData:
    try:
        return await request.form(max_files=most, max_fields=_MOST_FIELDS, max_part_size=_FIELD_BYTES)
    except HTTPException as error:
        if not error.detail.startswith("Too many files"):  # Starlette's own words
            raise
        pictures = "1 picture" if most == 1 else f"{most:,} pictures"
        raise HTTPException(413, f"expected at most {pictures} at once, got more") from None


def _checked(items: Sequence[tuple[str, Any]]) -> Uploads:
    pictures, fields = list[Upload](), dict[str, str]()
    for name, value in items:
        if not isinstance(value, UploadFile):
            if name in fields:
                raise HTTPException(400, f"the field {name[:40]!r} is given twice")
            fields[name] = str(value)
        elif name in (FIELD, ONE):
            pictures.append(Upload(safe_name(value.filename or ""), value.file))
        else:
            raise HTTPException(400, f"expected files in the field {FIELD}, got the field {name[:40]!r}")
    if not pictures:
        raise HTTPException(400, f"expected one or more files in the field {FIELD}, got none")
    return Uploads(pictures, fields)


def safe_name(name: str) -> str:
    """Return what a client calls a picture as one that can be shown: its last part, without control characters."""
    last = PurePosixPath(name.replace("\\", "/")).name
    shown = "".join(each if each.isprintable() else "?" for each in last)
    return shown[:_NAME_CHARACTERS] or "picture"


def decoded(upload: Upload, framing: Framing) -> tuple[Tensor, str]:
    """Decode a picture, and say what sets it apart from the training pictures.

    Returns:
        uint8 (C, S, S), and the remark, mostly empty.

    Raises:
        UnreadableImageError: It gives no picture.
    """
    data = upload.data()
    check_bytes(data, upload.name)
    return read_and_remark(data, framing)
