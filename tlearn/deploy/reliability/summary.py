"""Say below a table of predictions what was promised of its answers, by what, and how many of them were given."""

from __future__ import annotations

from collections import Counter

from tlearn.data.files.listing import number_of
from tlearn.deploy.reliability.assessor import Assessment, Assessor
from tlearn.models.reliability.strangers import STRANGER_SHARE

_SURE = 95  # percent, of the promise behind min_accuracy
_MOST_NAMED = 3


def marks_of(assessment: Assessment) -> tuple[str, ...]:
    """Return what is counted of a picture."""
    named = assessment.answer_set
    return (
        "pictures",
        *(("single",) if named is not None and len(named) == 1 else ()),
        *(("unknown",) if assessment.why_unknown else ()),
        *assessment.why_unknown,
        *(("unlike",) if assessment.is_stranger else ()),
        *(("partly",) if assessment.unknown_labels and not assessment.why_unknown else ()),
    )


def summary_of(assessor: Assessor, counts: Counter[str]) -> list[str]:
    """Return the lines, of `marks_of` all pictures that could be read."""
    if not counts["pictures"]:
        return []
    lines = [*_about_sets(assessor, counts), *_about_answers(assessor, counts)]
    if assessor.tells_strangers:
        share = f"{100 * STRANGER_SHARE:g} %"
        given = f"{counts['unlike']} of {number_of(counts['pictures'], 'picture')}"
        usual = f"of pictures like the training pictures {100 - 100 * STRANGER_SHARE:.0f} in 100 do"
        lines.append(f"strangers: {given} look stranger than {share} of {assessor.held_out}; {usual}")
    promises = assessor.options.coverage is not None or assessor.options.min_accuracy is not None
    if promises and assessor.groups > 1 and assessor.options.coverage_by != "group":
        lines.append(
            f"the run's pictures come from {assessor.groups} groups; coverage_by group makes the promise for a group "
            "that was never seen"
        )
    return lines


def promise_of(assessor: Assessor) -> dict[str, str]:
    """Return what is promised, in words, by what it is promised of: ``sets`` or ``intervals``, and ``answers``."""
    options, rules, promises = assessor.options, assessor.rules, dict[str, str]()
    whom, basis = _whom(assessor), _basis(assessor)
    if rules.sets is not None:
        share = f"{100 * rules.sets.coverage:g} %"
        if rules.sets.method == "labels" and options.coverage_by == "class":
            held = f"for each class by itself, hold it in {share} of {whom} that have it"
        elif rules.sets.method == "labels":
            held = f"for each class by itself, are right in {share} of {whom}"
        elif options.coverage_by == "class":
            held = f"hold the true class in {share} of {whom}, whichever class that is"
        else:
            held = f"hold the true class in {share} of {whom}"
        promises["sets"] = f"{held} ({basis}){_always(assessor)}"
    if rules.intervals is not None:
        share = f"{100 * rules.intervals.coverage:g} %"
        promises["intervals"] = f"hold the true value in {share} of {whom} ({basis})"
    if options.min_accuracy is not None:
        each = "for each class by itself, " if assessor.task == "multilabel" else ""
        promises["answers"] = (
            f"{each}{100 * options.min_accuracy:g} % or more of those given are right for {whom}, with {_SURE} % "
            f"confidence ({basis})"
        )
    return promises


def _whom(assessor: Assessor) -> str:
    is_of_group = assessor.options.coverage_by == "group"
    return "pictures of a group that was never seen" if is_of_group else "pictures like the training pictures"


def _basis(assessor: Assessor) -> str:
    is_of_group = assessor.options.coverage_by == "group"
    return (
        f"by {number_of(assessor.groups, 'group')}, {assessor.held_out}" if is_of_group else f"by {assessor.held_out}"
    )


def _always(assessor: Assessor) -> str:
    assert assessor.rules.sets is not None
    names = [assessor.class_names[number] for number in assessor.rules.sets.always]
    more = f" and {len(names) - _MOST_NAMED} more" if len(names) > _MOST_NAMED else ""
    return f"; in every set, for too few were held out: {', '.join(names[:_MOST_NAMED])}{more}" if names else ""


def _about_sets(assessor: Assessor, counts: Counter[str]) -> list[str]:
    promises, pictures = promise_of(assessor), counts["pictures"]
    lines = []
    if "sets" in promises:
        single = f"; {counts['single']} of {pictures:,} are a single class" if assessor.task != "multilabel" else ""
        lines.append(f"sets: {promises['sets']}{single}")
    if "intervals" in promises:
        rule = assessor.rules.intervals
        assert rule is not None
        widths = ", ".join(f"{width:.3g}" for width in rule.half_widths.tolist())
        lines.append(f"intervals: {promises['intervals']}; they reach {widths} to either side")
    return lines


def _about_answers(assessor: Assessor, counts: Counter[str]) -> list[str]:
    if not assessor.options.abstains:
        return []
    pictures, unknown = counts["pictures"], counts["unknown"]
    why = [f"{counts['confidence']} for too little confidence"] if counts["confidence"] else []
    why += [number_of(counts["stranger"], "stranger")] if counts["stranger"] else []
    both = counts["confidence"] + counts["stranger"] - unknown
    why += [f"{both} of them for both"] if both else []
    told = f": {', '.join(why)}" if why else ""
    partly = f"; {counts['partly']} are answered in part" if counts["partly"] else ""
    given = f"{pictures - unknown} of {number_of(pictures, 'picture')} are answered, {unknown} {assessor.unknown}"
    promise = promise_of(assessor).get("answers")
    return [f"answers: {given}{told}{partly}", *([f"answers: {promise}"] if promise else [])]
