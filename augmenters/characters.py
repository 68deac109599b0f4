"""Typing errors, for models that must read text typed in a hurry.

The one idea: typos buy robustness, not accuracy. On banking77 at 10 rows a class, copies with typos
at weight 0.3 brought +2.7 points on test rows with typos and -0.2 on clean ones; at weight 1 the
clean rows lost 0.9. So the weight is 0.3, and a gain on clean rows is not promised.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

import pyarrow as pa

from .errors import RowRefusedError
from .lineage import Augmented, Maker, augment_each, check_share
from .protect import change_words

NAME = "keyboard"
VERSION = 1
MIN_LETTERS = 4
LETTER_SHARE = 0.3

# What nlpaug raises from inside on texts it does not like; anything else is a fault of ours.
NLPAUG_ERRORS = (ValueError, IndexError, KeyError, TypeError, AttributeError)


def keyboard(
    rows: pa.Table, *, seed: int, share: float = 0.1, copies: int = 1, weight: float = 0.3
) -> Augmented:
    """Make copies of rows with letters replaced by their neighbours on an English keyboard.

    Only Latin words of four letters and more are touched, at least one in each row, and about 30 %
    of the letters of such a word; capitals stay capitals. Amounts, addresses, dates, references and
    placeholders stay verbatim. A row without such a word (a Chinese one, say) gets no copy and is
    reported as "no Latin words" or "no Latin word of 4 letters or more".

    Args:
        rows: Training rows (the row contract), in any order.
        seed: Seed of the step.
        share: Share of the Latin words with typos, in (0, 1]; there is no upper limit on their
            number in a long text.
        copies: Copies per row, 1 to 100.
        weight: Factor on the parent's weight.

    Returns:
        Rows and lineage, and the rows that got no copy with the reason.

    Raises:
        AugmentError: A row is not a training row, or an option is out of its range.

    Source: nlpaug KeyboardAug; Belinkov and Bisk 2018, Synthetic and natural noise.
    """
    check_share(share, NAME)
    augmenter = _typist(share)

    def type_badly(words: Sequence[str]) -> Sequence[str]:
        if all(len(word) < MIN_LETTERS for word in words):
            raise RowRefusedError(f"no Latin word of {MIN_LETTERS} letters or more")
        return run_nlpaug(augmenter, words)

    maker = Maker(NAME, VERSION, {"share": share}, seed)
    return augment_each(
        rows, lambda text: change_words(text, type_badly), maker, copies=copies, weight=weight
    )


def run_nlpaug(augmenter: Any, words: Sequence[str]) -> list[str]:
    """Hand a list of words to an nlpaug augmenter and take a list of words back.

    nlpaug's own tokeniser and its joining of tokens are stepped over: they lose white space and
    break what is not a word.

    Raises:
        RowRefusedError: nlpaug failed on these words, or gave something else back.
    """
    augmenter.tokenizer = lambda _: list(words)
    augmenter.reverse_tokenizer = list
    try:
        result = augmenter.augment(" ".join(words))
    except NLPAUG_ERRORS as error:
        raise RowRefusedError(f"nlpaug failed: {type(error).__name__}: {error}") from error
    # It gives the text back as it came where it found no word to change.
    if not result or isinstance(result[0], str):
        raise RowRefusedError("no word it could change")
    return [str(word) for word in result[0]]


@cache
def _typist(share: float) -> Any:
    from nlpaug.augmenter.char.keyboard import KeyboardAug

    augmenter = KeyboardAug(
        aug_word_p=share,
        aug_word_max=None,
        aug_char_p=LETTER_SHARE,
        aug_char_max=None,
        include_special_char=False,
        include_numeric=False,
        include_upper_case=False,
        min_char=MIN_LETTERS,
    )
    # With include_upper_case it types capitals into small words; without, it skips capitals.
    neighbours = augmenter.model.model
    neighbours.update(
        {key.upper(): [value.upper() for value in values] for key, values in neighbours.items()}
    )
    return augmenter
