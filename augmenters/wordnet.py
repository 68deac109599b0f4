"""WordNet read from Debian's folder: the part of speech of a word, and its synonyms.

The one idea: a synonym is only as good as the sense it belongs to. WordNet lists the senses of a
word by their frequency in SemCor, a corpus read by people, so the careful answer is a single word
of the first sense that was itself seen there. "card" then has no synonym, where any sense would
give "bill of fare".
"""

from __future__ import annotations

import io
import os
from collections.abc import Sequence
from functools import cache, lru_cache
from pathlib import Path
from typing import Any, Literal

from .errors import AugmentError

Senses = Literal["first", "any"]
DEBIAN_FOLDER = "/usr/share/wordnet"
_VARIABLE = "WNSEARCHDIR"
PARTS_OF_SPEECH = ("n", "v", "a", "r")
LEAVE_ALONE = "DT"  # the one tag nlpaug's SynonymAug never touches


def _words(text: str) -> dict[str, None]:
    """Give the words of a text, in order, for look-up."""
    return dict.fromkeys(text.split())


_TAGS = {"n": "NN", "v": "VB", "a": "JJ", "r": "RB"}

# The lexicographer files of WordNet 3.0 (lexnames(5WN)); Debian ships all but this list.
_LEXNAMES = _words(
    """
    adj.all adj.pert adv.all noun.Tops noun.act noun.animal noun.artifact noun.attribute
    noun.body noun.cognition noun.communication noun.event noun.feeling noun.food noun.group
    noun.location noun.motive noun.object noun.person noun.phenomenon noun.plant
    noun.possession noun.process noun.quantity noun.relation noun.shape noun.state
    noun.substance noun.time verb.body verb.change verb.cognition verb.communication
    verb.competition verb.consumption verb.contact verb.creation verb.emotion verb.motion
    verb.perception verb.possession verb.social verb.stative verb.weather adj.ppl
    """
)

# Words that hold a sentence together or turn it round: WordNet reads "I" as iodine, "in" as inch,
# "not" as "non". Never replaced.
_FUNCTION_WORDS = _words(
    """
    a an the this that these those some any no not none nothing nobody nowhere never neither nor
    i you he she it we they me him her us them my your his its our their mine yours hers ours theirs
    myself yourself himself herself itself ourselves themselves who whom whose which what when where
    why how be am is are was were been being have has had having do does did doing done can could
    will would shall should may might must ought need get gets got getting gotten let lets go going
    and or but if then else so as at by for from in into of off on onto out over per than till to
    under until up upon via with within without about above across after against along among around
    because before behind below beneath beside besides between beyond despite down during except
    inside like near outside past since through throughout toward towards while whether though
    although however there here now just only very too also even still yet already again once ever
    always more most less least much many few both each either every other another such own same
    all else non lot lots yes ok okay please hi hello thanks one two three four five six seven eight
    nine ten first second third
    """
)
_BEFORE_VERB = _words(
    "to i you we they he she can could will would shall should may might must not don't didn't "
    "doesn't can't cannot won't couldn't wouldn't please"
)
_BEFORE_NOUN = _words(
    "a an the this that these those my your his her its our their some any no which every each "
    "another"
)


class Dictionary:
    """What SynonymAug asks of its model: the tags of words and the synonyms of a word.

    Tags are Penn tags; a word that has no synonym, or should not be replaced, is tagged DT, so
    that nlpaug draws only among words it can replace.
    """

    def __init__(self, reader: Any, senses: Senses) -> None:
        self._reader = reader
        self._senses = senses
        # Bounded: a corpus may hold millions of misspelt words.
        self._synonyms = lru_cache(maxsize=100_000)(self._look_up)
        self._counts = lru_cache(maxsize=100_000)(self._count_senses)

    def predict(self, word: str, pos: str | None = None) -> list[str]:
        """Give the synonyms of a word as one part of speech (n, v, a or r), best first."""
        return list(self._synonyms(word.lower(), pos)) if pos in PARTS_OF_SPEECH else []

    def pos_tag(self, tokens: Sequence[str]) -> list[tuple[str, str]]:
        """Tag each word by its most frequent part of speech, minding the word before it."""
        before = ["", *(token.lower() for token in tokens[:-1])]
        return [(token, self._tag(token, word)) for token, word in zip(tokens, before, strict=True)]

    def _tag(self, token: str, before: str) -> str:
        word = token.lower()
        # A capital inside a sentence is a name; capitals throughout are an abbreviation.
        is_name = token != word and (before != "" or token.isupper())
        if is_name or word in _FUNCTION_WORDS or "'" in word or "’" in word:
            return LEAVE_ALONE
        pos = self._guess(word, before)
        synonyms = self._synonyms(word, pos) if pos else ()
        # "a wrong PIN" must not become "a incorrect PIN".
        fits = before not in ("a", "an") or all(_vowel(s) == _vowel(word) for s in synonyms)
        return _TAGS[pos] if pos and synonyms and fits else LEAVE_ALONE

    def _guess(self, word: str, before: str) -> str | None:
        counts = dict(self._counts(word))
        if before in _BEFORE_VERB and "v" in counts:
            return "v"
        if before in _BEFORE_NOUN and len(counts) > 1:
            counts.pop("v", None)
        return max(counts, key=lambda pos: counts[pos]) if counts else None

    def _count_senses(self, word: str) -> tuple[tuple[str, int], ...]:
        counts = []
        for pos in PARTS_OF_SPEECH:
            base = self._reader.morphy(word, pos)
            if base is not None:
                lemmas = self._reader.lemmas(base, pos)
                counts.append((pos, sum(lemma.count() for lemma in lemmas)))
        return tuple(counts)

    def _look_up(self, word: str, pos: str) -> tuple[str, ...]:
        base = self._reader.morphy(word, pos)
        if base is None:
            return ()
        synsets = self._reader.synsets(base, pos)
        if self._senses == "any":
            names = [lemma.name() for synset in synsets for lemma in synset.lemmas()]
            return tuple(dict.fromkeys(name for name in names if name.lower() not in (base, word)))
        seen = [lemma for lemma in synsets[0].lemmas() if lemma.count() > 0]
        names = [name for lemma in seen if (name := lemma.name()).isalpha() and name != base]
        careful = (name.lower() for name in names if name.lower() not in _FUNCTION_WORDS)
        inflected = (self._with_ending_of(word, base, name, pos) for name in careful)
        return tuple(form for form in inflected if form is not None)

    def _with_ending_of(self, word: str, base: str, other: str, pos: str) -> str | None:
        """Give `other` the regular ending that `word` has over its base; None where unsure."""
        if word == base:
            return other
        stem, stem_e = other, other.removesuffix("e")
        endings = {
            base + "s": stem + "s",
            base.removesuffix("e") + "ed": stem_e + "ed",
            base.removesuffix("e") + "ing": stem_e + "ing",
        }
        form = endings.get(word)
        # WordNet lists irregular and doubled forms (went, stopped); a verb with any is left alone.
        regular = pos == "n" or other not in self._irregular()
        if form is None or not regular or other[-1] in "yshxzo":
            return None
        return form if self._reader.morphy(form, pos) == other else None

    @cache  # noqa: B019 - two dictionaries live as long as the process
    def _irregular(self) -> frozenset[str]:
        exceptions = self._reader._exception_map["v"]  # noqa: SLF001 - nltk has no other way
        return frozenset(base for bases in exceptions.values() for base in bases)


def _vowel(word: str) -> bool:
    return word[0] in "aeiou"


def wordnet_folder() -> str:
    """Give the folder WordNet is read from; WordNet's own environment variable names another."""
    return os.environ.get(_VARIABLE) or DEBIAN_FOLDER


def open_dictionary(folder: str, senses: Senses) -> Dictionary:
    """Open WordNet in a folder, once per process.

    Raises:
        AugmentError: The folder holds no complete WordNet.
    """
    # The reader keeps files open at a position of its own, which a forked process would share.
    return Dictionary(open_reader(folder, os.getpid()), senses)


@cache
def open_reader(folder: str, process: int) -> Any:  # noqa: ARG001 - the key of the cache
    """Open nltk's WordNet reader on a folder, without nltk's own data and without its downloader.

    Raises:
        AugmentError: The folder holds no complete WordNet.
    """
    _check_folder(Path(folder))
    import nltk
    from nltk.corpus.reader.wordnet import WordNetCorpusReader

    class DebianWordNet(WordNetCorpusReader):  # type: ignore[misc]  # no types
        """WordNet 3.0 with the list of lexicographer files that Debian leaves out."""

        def open(self, file: str) -> Any:
            if file == "lexnames":
                return io.StringIO("".join(f"{i} {name} 0\n" for i, name in enumerate(_LEXNAMES)))
            return super().open(file)

        def map_wn(self, version: str = "wordnet") -> None:
            """Map nothing: other versions and languages are not read here."""

    if folder not in nltk.data.path:
        nltk.data.path.append(folder)  # nltk reads only below folders that are registered
    # Any reader but None for other languages, or it warns that they are missing.
    return DebianWordNet(folder, omw_reader=object())


def _check_folder(folder: Path) -> None:
    parts = ("noun", "verb", "adj", "adv")
    needed = ["cntlist.rev", *(f"{kind}.{part}" for kind in ("index", "data") for part in parts)]
    needed += [f"{part}.exc" for part in parts]
    missing = [name for name in needed if not (folder / name).is_file()]
    if missing:
        raise AugmentError(
            f"augmenter 'synonym': {folder} holds no complete WordNet (missing: "
            f"{', '.join(missing[:3])}{', ...' if len(missing) > 3 else ''}); "  # noqa: PLR2004
            "install the Debian package wordnet-base (apt-get install wordnet-base), or name the "
            f"folder of another copy of WordNet 3.0 in the environment variable {_VARIABLE}"
        )
