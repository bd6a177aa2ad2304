"""The tables of a labelling session: facts, rounds, batches, classes, confusions, doubts, changes."""

from __future__ import annotations

import pandas as pd

from jal.report.session_account import Account
from jal.report.session_figures import MOST_CONFUSED, confusion
from jal.report.session_photos import wrong
from jal.report.session_words import minutes, what_was_labelled
from jal.report.tables import Table, percent

_SHOWN = 100  # rows of a long table on the page; its CSV has all


def facts_table(account: Account) -> Table:
    """What was labelled, by whom and when."""
    data = what_was_labelled(account)
    return _table("session", "What was labelled, how and by whom.", data, data, "facts")


def rounds_table(account: Account) -> Table | None:
    """The estimate of every round."""
    data = account.rounds
    if data.empty or data["accuracy"].isna().all():
        return None
    shown = pd.DataFrame(
        {
            "round": data["round"].astype(str),
            "trained on": data["trained_on"].astype(str),
            "accuracy (%)": data["accuracy"].map(percent),
            "95 % interval": _intervals(data),
            "predictions changed (%)": data["flips"].map(percent),
        }
    )
    caption = (
        "The classifier of each round, measured by all audits there are now; and the share of the pool's "
        "predictions that changed since the round before."
    )
    return _table("accuracy", caption, data, shown, "accuracy by round")


def batches_table(account: Account) -> Table | None:
    """What was asked, and how the labels agree with what was predicted then."""
    data = account.batches
    if data.empty:
        return None
    shown = pd.DataFrame(
        {
            "batch": data["batch"].astype(str),
            "asked (UTC)": minutes(data["time"]),
            "trained on": data["trained_on"].astype(str),
            "images": data["images"].astype(str),
            "labelled": data["labelled"].astype(str),
            "skipped, unsure": data["aside"].astype(str),
            "open": data["open"].astype(str),
            "as predicted": _of(data["as_predicted"], data["predicted"]),
            "otherwise": _of(data["predicted"] - data["as_predicted"], data["predicted"]),
            "unknown ratio (%)": data["unknown_ratio"].map(lambda value: percent(value, 0)),
            "s a label": data["seconds"].map(lambda value: "–" if value != value else f"{value:.1f}"),
        }
    )  # fmt: skip
    caption = (
        "Each batch, the labels that it was asked by, and how many of its labels are what was predicted "
        "when it was asked (a person may or may not have seen that). Unknown ratio: the share of the "
        "strategy's own picks that was predicted otherwise."
    )
    return _table("batches", caption, data, shown, "batches", last=True)


def classes_table(account: Account) -> Table | None:
    """Labels, predictions and audits by class."""
    data = account.by_class
    if data.empty:
        return None
    size, audited = account.size or 0, len(account.audited)
    shown: dict[str, object] = {
        "class": data["class"],
        "labelled": data["labelled"].astype(str),
        "trained on": data["training"].astype(str),
    }
    if (data["predicted"] >= 0).all():
        shown["predicted in the pool"] = [
            f"{count} ({percent(count / size)} %)" if size else str(count) for count in data["predicted"]
        ]  # fmt: skip
    if audited:
        shown["audited"] = [f"{count} ({percent(count / audited)} %)" for count in data["audited"]]
        shown["right"] = _some_of(data["right"], data["audited"])
        shown["95 % interval"] = _intervals(data)
        shown["right where predicted"] = _some_of(data["right_as"], data["audited_as"])
    caption = "Labels by class"
    if "predicted in the pool" in shown:
        caption += ", and as what the images of the pool are predicted"
    caption += "."
    if audited:
        caption += (
            " Of the audited images: how many are of the class (a uniform sample, so their shares estimate "
            "those of the pool), how many of these are predicted right, in per cent with Wilson's "
            "interval, and how many of those predicted as the class are of it."
        )
    return _table("classes", caption, data, pd.DataFrame(shown), "classes")


def confusion_table(account: Account) -> Table | None:
    """Counts of audited images by label and prediction; of many classes the confusions alone."""
    audited, classes = account.audited, list(account.classes)
    if audited.empty:
        return None
    if len(classes) <= MOST_CONFUSED:
        data = pd.DataFrame(confusion(audited, classes), columns=classes)
        data.insert(0, "labelled \\ predicted", classes)
        caption = (
            f"The {len(audited)} audited images by label (rows) and prediction (columns); none of them was "
            "trained on."
        )
        return _table("confusion", caption, data, data.astype(str), "confusion matrix")
    pairs = wrong(audited).groupby(["label", "predicted"], sort=False).size()
    data = pairs.sort_values(ascending=False, kind="stable").rename("images").reset_index()
    if data.empty:
        return None
    caption = (
        f"Which classes are taken for which among the {len(audited)} audited images; none of them was "
        "trained on."
    )
    return _table("confusions", caption, data, data.astype(str), "confusions")


def mistakes_table(account: Account) -> Table | None:
    """The audited images that are predicted as something else."""
    data = wrong(account.audited)
    if data.empty:
        return None
    shown = data.assign(probability=data["probability"].map(percent)).rename(
        columns={"probability": "probability (%)"}
    )
    caption = "Every audited image that is predicted as something else, the surest first."
    return _table("mistakes", caption, data, shown, "mistakes")


def doubted_table(account: Account) -> Table | None:
    """Labels that look wrong."""
    data = account.doubted
    if data.empty:
        return None
    columns = {"probability": "probability (%)", "doubt": "doubt (%)"}
    shown = data.assign(**{name: data[name].map(percent) for name in columns})
    caption = (
        "Labels that probes which have not seen them doubt most. Probability is that of what they predict, "
        "doubt 100 less that of the label."
    )
    return _table("doubted", caption, data, shown.rename(columns=columns), "doubtful labels")


def changes_table(account: Account) -> Table | None:
    """Remarks, and changes of the classes."""
    data = account.changes
    if data.empty:
        return None
    shown = data.assign(time=minutes(data["time"]))
    caption = "Classes that came or were renamed, and remarks; times are UTC."
    return _table("changes", caption, data, shown, "changes and remarks", last=True)


def _table(
    name: str, caption: str, data: pd.DataFrame, shown: pd.DataFrame, title: str, last: bool = False
) -> Table:
    """A table; a long one is shown in part."""
    if len(shown) > _SHOWN:
        shown = shown.tail(_SHOWN) if last else shown.head(_SHOWN)
        caption += (
            f" The {'last' if last else 'first'} {_SHOWN} of {len(data)} rows; its CSV has all."
        )
    return Table(name, caption, data, shown, title)


def _of(part: pd.Series, total: pd.Series) -> list[str]:
    return [
        f"{some} ({percent(some / all_, 0)} %)" if all_ else "–"
        for some, all_ in zip(part, total, strict=True)
    ]


def _some_of(part: pd.Series, total: pd.Series) -> list[str]:
    return [f"{some} of {all_}" if all_ else "–" for some, all_ in zip(part, total, strict=True)]


def _intervals(data: pd.DataFrame) -> list[str]:
    return [
        "–" if low != low else f"{percent(low, 0)} to {percent(high, 0)}"
        for low, high in zip(data["low"], data["high"], strict=True)
    ]
