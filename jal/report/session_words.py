"""What a labelling session's report says in sentences."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from jal.report.session_account import Account, plain

_NAMED = 12  # classes or people that a sentence names
_LEARNERS = {
    "frozen": "a linear probe on frozen features",
    "lora": "LoRA adapters in the backbone and a linear head",
}


def facts_line(account: Account) -> str:
    """What was labelled, in one line."""
    labelled = int((account.answers["kind"] == "label").sum())
    of = "" if account.size is None else f" of {account.size}"
    parts = [f"{labelled}{of} images labelled", counted(len(account.classes), "class", "classes"),
             counted(len(account.batches), "batch", "batches")]  # fmt: skip
    if days := _days(account):
        parts.append(days)
    people = [name for name, _ in _people(account)]
    if people:
        parts.append(f"by {listed(people)}")
    return ", ".join(parts)


def what_was_labelled(account: Account) -> pd.DataFrame:
    """What a reader must know of how labels came about: one row a fact; columns what, value."""
    how, answers = account.how, account.answers
    kinds, uses = answers["kind"].value_counts(), answers["use"].value_counts()
    facts = {
        "images": f"{plain(account.pool)}{'' if account.size is None else f', {account.size} images'}",
        "features": f"{plain(how.backbone)}" if how.backbone else "",
        "classes": f"{len(account.classes)}: {listed(account.classes)}" if account.classes else "",
        "learner": _LEARNERS.get(how.learner, how.learner),
        "strategy": f"{how.strategy}; the first batch by {how.init}",
        "seed": str(how.seed),
        "batches": _batches(account.batches),
        "labels": f"{kinds.get('label', 0)}, of which {uses.get('training', 0)} train and "
        f"{uses.get('audit', 0)} only measure",
        "given": f"{account.given} labels were there before the first batch"
        if account.given
        else "",
        "audit": _audit(account),
        "set aside": f"{kinds.get('skip', 0)} skipped, {kinds.get('unsure', 0)} unsure",
        "corrected": f"{counted(int(answers['corrected'].sum()), 'image has', 'images have')} another class "
        "than at first",
        "begun": f"{minutes(pd.Series([account.created])).iloc[0]} UTC",
        "labelled": _days(account),
        "labelled by": "; ".join(f"{name} {count}" for name, count in _people(account)),
        "time": "" if account.seconds is None else f"{account.seconds:.1f} s a label (median)",
        "software": f"jal {how.version}",
    }
    rows = [(name, value) for name, value in facts.items() if value]
    return pd.DataFrame(rows, columns=["what", "value"])


def for_methods(account: Account) -> str:
    """What was done, as a paragraph that a methods section can begin with."""
    how, answers = account.how, account.answers
    labelled = int((answers["kind"] == "label").sum())
    people = [name for name, _ in _people(account)]
    images = "" if account.size is None else f" of {account.size}"
    sentences = [
        f"{labelled}{images} images were labelled in {counted(len(account.classes), 'class', 'classes')}"
        + (f" by {listed(people)}" if people else "")
        + (f" {_days(account)}" if _days(account) else "")
        + f", with jal {how.version}."
    ]
    if not account.batches.empty:
        features = f" on features of {plain(how.backbone)}" if how.backbone else ""
        sentences.append(
            f"They were asked in {counted(len(account.batches), 'batch', 'batches')} of "
            f"{_span(account.batches['images'])} images: the first by {how.init}, later ones by "
            f"{how.strategy}{features}, seed {how.seed}."
        )
    if how.audit and account.reserve:
        together = ", whole groups together," if how.has_groups else ""
        sentences.append(
            f"Before the first batch {account.reserve} images were set aside at random{together} which were "
            f"never picked by the strategy nor trained on; {100 * how.audit:g} % of the labels went to "
            "images of these, in random order and unmarked, and only measure accuracy."
        )
    aside = int((answers["kind"] != "label").sum())
    if aside:
        sentences.append(f"{counted(aside, 'image was', 'images were')} skipped or left as unsure.")
    if account.accuracy is not None:
        sentences.append(accuracy(account))
    return " ".join(sentences)


def accuracy(account: Account) -> str:
    """What the estimate means, in plain sentences; why there is none."""
    found = account.accuracy
    if found is None:
        if not account.how.audit:
            return "How good the classifier is is not known: with audit=0 no label measures it."
        return "How good the classifier is is not known yet: no audited image has a label, or none trains it."
    text = (
        f"The classifier trained on {counted(found.trained_on, 'label', 'labels')} is right on about "
        f"{100 * found.share:.0f} % of images like these ({100 * found.level:g} % interval "
        f"{100 * found.low:.0f} to {100 * found.high:.0f} %), measured on "
        f"{counted(found.audited, 'audited image', 'audited images')}, of which it gets {found.right} right."
    )
    if found.skipped:
        total = found.audited + found.skipped
        text += (
            f" {counted(found.skipped, 'further audit was', 'further audits were')} skipped or left as "
            f"unsure and counted as neither; were it wrong on all of these, it would have {found.right} of "
            f"{total} right ({100 * found.right / total:.0f} %)."
        )
    return text


def how_measured(account: Account) -> str:
    """How to read the accuracy."""
    found = account.accuracy
    if not account.how.audit:
        return (
            "Labels that a strategy asked for are the difficult ones, so accuracy measured on them would "
            "mislead; a session with audit above 0 sets images aside that measure it."
        )
    text = (
        "Audited images were drawn at random from a reserve that no strategy picks from and no probe is "
        "trained on. Every round is measured by all audits there are now, so its points move together. The "
        "interval is for the share right over the reserve; for other images of the same kind it is "
        "somewhat wider, and near-duplicates on both sides flatter."
    )
    if account.how.has_groups:
        text += " Groups (data.group) are whole on one side."
    if found is not None:
        method = (
            "the difference estimator: the share right among the audited, corrected by the confidences "
            "over the reserve"
            if found.is_corrected
            else "Wilson's, corrected for the share of the reserve that was audited"
        )
        text += (
            f" The interval is that of {method}."
            if found.is_corrected
            else f" The interval is {method}."
        )
    return text


def agreement(batches: pd.DataFrame) -> str:
    """How often labels were what was predicted when they were asked for."""
    known = batches[batches["predicted"] > 0]
    if known.empty:
        return ""
    total, same = int(known["predicted"].sum()), int(known["as_predicted"].sum())
    text = (
        f"Of {counted(total, 'label', 'labels')} with a prediction when asked for, {same} were what was "
        f"predicted ({100 * same / total:.0f} %) and {total - same} otherwise."
    )
    ratio = known.dropna(subset="unknown_ratio")
    if len(ratio):
        last = ratio.iloc[-1]
        text += (
            f"\nOf the strategy's own picks in batch {int(last['batch'])}, the model had "
            f"{100 * last['unknown_ratio']:.0f} % wrong before their labels came (unknown ratio)."
        )
    return text


def speed(account: Account) -> str:
    """How fast it went."""
    if account.seconds is None:
        return ""
    return f"A label took {account.seconds:.1f} s (median), which makes {3600 / account.seconds:.0f} an hour."


def when(times: pd.Series) -> pd.Series:
    """Times of the journal; not a time where one cannot be read."""
    return pd.to_datetime(times, utc=True, errors="coerce", format="ISO8601")


def minutes(times: pd.Series) -> pd.Series:
    """Times of the journal to the minute, in UTC; as they are where they cannot be read."""
    return when(times).dt.strftime("%Y-%m-%d %H:%M").fillna(times)


def counted(number: int, one: str, several: str) -> str:
    """ "1 class", "2 classes"; words may follow the noun."""
    return f"{number} {one if number == 1 else several}"


def listed(names: Sequence[str]) -> str:
    """Names with commas and an and; of many, the first ones."""
    shown = list(names[:_NAMED])
    if len(names) > _NAMED:
        shown.append(f"{len(names) - _NAMED} more")
    return shown[0] if len(shown) == 1 else f"{', '.join(shown[:-1])} and {shown[-1]}"


def _people(account: Account) -> list[tuple[str, int]]:
    labelled = account.answers[account.answers["kind"] == "label"]
    counts = labelled["who"].replace("", "a person not named").value_counts()
    return [(str(name), int(count)) for name, count in counts.items()]


def _batches(batches: pd.DataFrame) -> str:
    if batches.empty:
        return "none yet"
    ahead = int(batches["ahead"].sum())
    return f"{len(batches)}, of {_span(batches['images'])} images" + (
        f"; {ahead} asked ahead" if ahead else ""
    )


def _audit(account: Account) -> str:
    if not account.how.audit:
        return "none: no accuracy is measured"
    share = f"{100 * account.how.audit:g} % of the labels"
    if account.reserve is None:
        return share
    groups = ", whole groups together" if account.how.has_groups else ""
    return f"{share}, from {account.reserve} images set aside at random{groups}"


def _days(account: Account) -> str:
    times = when(account.answers["time"]).dropna()
    if times.empty:
        return ""
    first, last = times.min(), times.max()
    if first.date() == last.date():
        return f"on {first.day} {first:%B %Y}"
    month = "" if (first.month, first.year) == (last.month, last.year) else f" {first:%B %Y}"
    return f"from {first.day}{month} to {last.day} {last:%B %Y}"


def _span(numbers: pd.Series) -> str:
    least, most = int(np.min(numbers)), int(np.max(numbers))
    return str(least) if least == most else f"{least} to {most}"
