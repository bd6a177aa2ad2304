"""Which words name splits, and what each split is called."""

from __future__ import annotations

import re
from collections.abc import Collection

_TRAIN = ("train", "training")
_TEST = ("test", "testing")
_VALIDATION = ("val", "valid", "validation")
# These are called by the names above; alone they may as well be classes.
_OTHER = ("dev", "eval", "evaluation")
# The words that are splits even where none of them is "train".
PLAIN = frozenset(("train", *_TEST[:1], *_VALIDATION))
_WORDS = "|".join(sorted((*_TRAIN, *_TEST, *_VALIDATION, *_OTHER), key=len, reverse=True))
_AFFIXED = re.compile(rf"(?:(?P<before>.+)[ ._-])?(?P<word>{_WORDS})(?:[ ._-](?P<after>.+))?")


def called(words: Collection[str]) -> dict[str, str]:
    """The split that each word in lower case means; a word that is no split means itself.

    "training" is train, "testing" is test, "dev" is val, and "eval" is the test split where there
    is no other, else val.
    """
    has_test = any(word in _TEST for word in words)
    meant = {"training": "train", "testing": "test", "dev": "val"}
    meant |= dict.fromkeys(("eval", "evaluation"), "val" if has_test else "test")
    return {word: meant.get(word, word) for word in words}


def among(folders: Collection[str]) -> dict[str, str]:
    """Which of some folders that lie together are splits, and of what name.

    They may share a part of their names: `seg_train` and `seg_test`, `train_images` and
    `test_images`.
    """
    by_affix: dict[tuple[str, str], dict[str, str]] = {}
    for folder in folders:
        if found := _AFFIXED.fullmatch(folder.lower()):
            affix = found["before"] or "", found["after"] or ""
            by_affix.setdefault(affix, {})[folder] = found["word"]
    plain = by_affix.pop(("", ""), {})
    if plain and (any(word in _TRAIN for word in plain.values()) or {*plain.values()} <= PLAIN):
        chosen = plain
    else:
        # Two splits of one affix: a class may well be called "train station".
        pairs = (words for words in by_affix.values() if len({*words.values()}) > 1)
        chosen = next((words for words in pairs if {*words.values()} & {*_TRAIN}), {})
    names = called({*chosen.values()})
    return {folder: names[word] for folder, word in chosen.items()}
