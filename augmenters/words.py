"""Words exchanged for their synonyms.

The one idea: the careful synonym, or none. With any sense of a word, banking77 lost 1.35 points at
10 rows a class; with single words of the first sense, seen in SemCor, 0.33, and at weight 0.3
nothing measurable. A gain in accuracy was never measured, so this is for variety, not a default.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import pyarrow as pa

from .characters import run_nlpaug
from .errors import AugmentError
from .lineage import Augmented, Maker, augment_each, check_share
from .protect import change_words
from .wordnet import Senses, open_dictionary, wordnet_folder

NAME = "synonym"
VERSION = 1


def synonym(
    rows: pa.Table,
    *,
    seed: int,
    share: float = 0.1,
    copies: int = 1,
    weight: float = 0.3,
    senses: Senses = "first",
) -> Augmented:
    """Make copies of rows with some English words exchanged for WordNet synonyms.

    Function words, negations, names and abbreviations are left alone; a plain -s, -ed or -ing is
    kept. Amounts, addresses, dates, references and placeholders stay verbatim. A row without a word
    that has a synonym gets no copy and is reported; so is a row without Latin words.

    WordNet is read from Debian's folder, or from the one that the environment variable WNSEARCHDIR
    names. Where it lies is no option, since a path must not enter an id.

    Args:
        rows: Training rows (the row contract), in any order.
        seed: Seed of the step.
        share: Share of the Latin words to exchange, in (0, 1]; at least one, at most those that
            have a synonym.
        copies: Copies per row, 1 to 100.
        weight: Factor on the parent's weight.
        senses: `first` takes single words of the first sense that SemCor has; `any` takes every
            word of every sense, which was measured to cost four times as much accuracy.

    Returns:
        Rows and lineage, and the rows that got no copy with the reason.

    Raises:
        AugmentError: WordNet is not there, a row is not a training row, or an option is out of its
            range.

    Source: nlpaug SynonymAug; Zhang, Zhao and LeCun 2015, Character-level convolutional networks.
    """
    check_share(share, NAME)
    if senses not in ("first", "any"):
        raise AugmentError(f"augmenter {NAME!r}: senses is {senses!r}; expected 'first' or 'any'")
    augmenter = _thesaurus(share, senses, wordnet_folder())
    maker = Maker(NAME, VERSION, {"share": share, "senses": senses}, seed)
    return augment_each(
        rows,
        lambda text: change_words(text, lambda words: run_nlpaug(augmenter, words)),
        maker,
        copies=copies,
        weight=weight,
    )


@cache
def _thesaurus(share: float, senses: Senses, folder: str) -> Any:
    dictionary = open_dictionary(folder, senses)
    from nlpaug.augmenter.word.synonym import SynonymAug

    class OfflineSynonymAug(SynonymAug):  # type: ignore[misc]  # no types
        """SynonymAug that asks our dictionary; its own would ask nltk's downloader."""

        @classmethod
        def get_model(cls, *_: object, **__: object) -> Any:
            return dictionary

    return OfflineSynonymAug(aug_p=share, aug_max=None)
