"""Findings about colour spaces: what was converted to sRGB, and how."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from tlearn.data.decoding.colour import UNREADABLE_PROFILE
from tlearn.data.files.colour_spaces import converted_files, is_converted
from tlearn.data.files.findings import Finding, Picture
from tlearn.data.files.listing import number_of

_INKS = "CMYK"


def colour_findings(pictures: Sequence[Picture]) -> Iterator[Finding]:
    """Count the pictures of other colour spaces than sRGB, with unreadable profiles, and of inks."""
    converted = [p for p in pictures if is_converted(p.facts)]
    if converted:
        what = f"{converted_files([p.facts for p in pictures])}, as the network knows colours; nothing to do"
        yield Finding("colour_space", "note", what, [[p.name] for p in converted])
    unreadable = [p for p in pictures if p.facts.profile == UNREADABLE_PROFILE]
    if unreadable:
        what = f"{number_of(len(unreadable), 'picture')} with a colour profile that cannot be read: taken for sRGB"
        yield Finding("colour_profile", "note", what, [[p.name] for p in unreadable])
    inks = [p for p in pictures if p.facts.mode == _INKS]
    if inks:
        plain = sum(not is_converted(p.facts) for p in inks)
        how = ", ".join(
            f"{count} {way}"
            for count, way in ((len(inks) - plain, "by the profile in the file"), (plain, "without a profile, roughly"))
            if count
        )
        what = f"{number_of(len(inks), 'picture')} in inks (CMYK), converted to RGB: {how}"
        yield Finding("cmyk", "note", what, [[p.name] for p in inks])
