"""Texts that say nothing, are broken beyond repair, come with their wrapping, or repeat themselves.

The one idea: each rule has a name, a number and a source, and says which number it found. Rules
made for web documents (Gopher, C4) are asked only of texts of `min_words` or more: most of what
is curated here are short utterances, to which they do not apply. In Chinese and other scripts
without spaces a word is a character.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from string import ascii_lowercase

import numpy as np
import polars as pl
import pyarrow as pa

from curator.checks.repetition import repetition_shares
from curator.checks.text import fix_texts
from curator.errors import RecipeError
from curator.reading import (
    UNSPACED,
    BoolArray,
    FloatArray,
    doubts,
    shown,
    texts_of,
    together,
    words_of,
)

CHECK = "quality"
ISSUES = (
    "broken_encoding", "markup", "boilerplate", "repetition", "unlike_prose", "near_empty",
    "keyboard_noise",
)  # fmt: skip
GOPHER_STOP_WORDS = ("the", "be", "to", "of", "and", "that", "have", "with")

_MARKUP = {
    "Markdown": r"\[[^\]\n]{1,200}\]\([^)\s]{1,500}\)|(?m:^#{1,6} \S)|```"
    r"|(?m:^\|?\s*:?-{3,}:?\s*\|)",
    "BBCode": r"(?i)\[/(?:b|i|u|url|img|quote|code|color|size)\]",
    "wiki markup": r"\[\[[^\]\n]{1,200}\]\]",
    "LaTeX": r"\\(?:begin|frac|textbf|section|mathbf|cite)\{",
    "HTML": r"(?i)</(?:div|p|span|table|tr|td|a|li|ul|body|html)>|<br\s*/?>",
}
_WRAPPING = {  # C4 takes lines with the first three out; the rest are their like in Chinese
    "asks for JavaScript": r"(?i)(?:enable|turn on|requires?|without|activate) java ?script"
    r"|java ?script (?:is|must be|to be) (?:disabled|enabled|required)"
    r"|请(?:启用|开启|打开)\s*java ?script",
    "policy notice": r"(?i)\bterms of use\b|\bprivacy policy\b|\bcookie policy\b"
    r"|\buses? (?:of )?cookies\b|隐私政策|使用条款|服务条款|cookie\s*政策",
    "filler text": r"(?i)\blorem ipsum\b",
    "copyright line": r"(?i)all rights reserved|©\s*\d{4}|版权所有|转载请注明|[京沪粤浙]ICP[备证]",
}
_LETTER = r"\p{L}"
_KEY_ROWS = ("qwertyuiop", "asdfghjkl", "zxcvbnm")
_KEY_RUN = 5
_CONSONANTS = 6
_STRETCHED = 7
_MOST = 0.5
_SHARED_ROWS = 5
_SHARED_CHARS = 20


@dataclass(frozen=True, slots=True)
class Prose:
    """What the text of a document looks like, by Gopher.

    min_words: asked of texts of so many words (Gopher: 50).
    mean_word_chars: fewest and most characters of a mean word (3 and 10).
    max_symbols_per_word: most `#` and ellipses per word (.1).
    max_bullet_lines: largest share of lines that begin with a bullet (.9).
    max_ellipsis_lines: largest share of lines that end with an ellipsis (.3).
    min_alphabetic_words: smallest share of words with a letter (.8).
    stop_words: two of these must occur; for English `GOPHER_STOP_WORDS`, by default none.
    """

    min_words: int = 50
    mean_word_chars: tuple[float, ...] = (3.0, 10.0)
    max_symbols_per_word: float = 0.1
    max_bullet_lines: float = 0.9
    max_ellipsis_lines: float = 0.3
    min_alphabetic_words: float = 0.8
    stop_words: tuple[str, ...] = ()


def quality(
    rows: pa.Table,
    *,
    prose: Prose = Prose(),
    repetition: float = 1.0,
    max_curly_texts: float = 0.05,
    min_shared_rows: float = 0.01,
) -> pa.Table:
    """Find texts that are broken, wrapped in boilerplate, repetitive, empty of words or noise.

    Args:
        rows: Rows with id and text.
        prose: What a document's text looks like (Gopher); asked from min_words words on.
        repetition: Factor on Gopher's thresholds for repeated lines and n-grams; 2 is lenient.
        max_curly_texts: Documents with curly brackets are code (C4), unless more than this share
            of the texts has some, 0..1: then they are placeholders.
        min_shared_rows: A line that stands in this share of the rows, and in 5, is boilerplate.

    Returns:
        Findings by issue type: broken_encoding, markup, boilerplate, repetition, unlike_prose,
        near_empty, keyboard_noise; the score is how far over its limit a text is.

    Raises:
        RecipeError: prose.mean_word_chars is not two numbers.

    Source: Rae et al. 2021 (Gopher), section A.1.1; Raffel et al. 2020 (T5), section 2.2 (C4).
    """
    if len(prose.mean_word_chars) != 2:  # noqa: PLR2004 - fewest and most
        raise RecipeError(
            f"quality: prose.mean_word_chars is {list(prose.mean_word_chars)}; expected two "
            "numbers, the fewest and the most characters of a mean word"
        )
    texts = texts_of(rows)
    long = _word_counts(texts) >= prose.min_words
    found = [
        _told(rows, "broken_encoding", *_broken(texts)),
        _told(rows, "markup", *_matching(texts, _MARKUP)),
        _told(rows, "boilerplate", *_boilerplate(texts, long, max_curly_texts, min_shared_rows)),
        _told(rows, "repetition", *_repetitive(texts, long, repetition)),
        _told(rows, "unlike_prose", *_unlike_prose(texts, long, prose)),
        _told(rows, "near_empty", *_near_empty(texts)),
        _told(rows, "keyboard_noise", *_noise(texts)),
    ]
    return together(found)


def _told(rows: pa.Table, issue: str, score: FloatArray, evidence: dict[int, str]) -> pa.Table:
    at = sorted(evidence)
    return doubts(
        rows, at, issue_type=issue, check=CHECK, score=score[at], evidence=[evidence[i] for i in at]
    )


Told = tuple[FloatArray, dict[int, str]]


def _word_counts(texts: pl.Series) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    return texts.str.count_matches(rf"[{UNSPACED}]|[^\s{UNSPACED}]+").to_numpy().astype(np.int64)


def _broken(texts: pl.Series) -> Told:
    """Look for replacement characters, and for mojibake that no fix undoes."""
    from ftfy.badness import badness

    score, told = np.zeros(len(texts)), {}
    lost = texts.str.count_matches("\ufffd")
    for at in (lost > 0).arg_true().to_list():
        score[at] = 1.0
        told[at] = f"{lost[at]} characters were lost (replacement characters)"
    odd = texts.str.contains(r"[\x80-\u024f\u2010-\u203a\u20ac\u2122]").arg_true()
    fixed = fix_texts(texts.gather(odd).to_arrow(), fix=("unicode",)).to_pylist()
    for at, text in zip(odd.to_list(), fixed, strict=True):
        if at not in told and (bad := badness(text)):
            score[at] = bad / (bad + 1)
            told[at] = f"{bad} places look like text read in a wrong encoding, and no fix is known"
    return score, told


def _matching(texts: pl.Series, patterns: dict[str, str]) -> Told:
    score, told = np.zeros(len(texts)), dict[int, str]()
    for name, pattern in patterns.items():
        counts = texts.str.count_matches(pattern)
        for at in (counts > 0).arg_true().to_list():
            score[at] = max(score[at], counts[at] / (counts[at] + 1))
            told[at] = f"{told[at]}; {name}" if at in told else f"{counts[at]} times {name}"
    return score, told


def _boilerplate(texts: pl.Series, long: BoolArray, max_curly: float, min_shared: float) -> Told:
    score, told = _matching(texts, _WRAPPING)
    curly = texts.str.contains(r"[{}]").to_numpy()
    if 0 < curly.mean() <= max_curly if len(curly) else False:
        for at in np.flatnonzero(curly & long).tolist():
            score[at] = max(score[at], 0.5)
            told[at] = f"{told[at]}; curly brackets" if at in told else "curly brackets, as in code"
    for at, times, line in _shared_lines(texts, min_shared):
        score[at] = 1.0
        said = f"a line of it stands in {times:,} rows: {shown(line)}"
        told[at] = f"{told[at]}; {said}" if at in told else said
    return score, told


def _shared_lines(texts: pl.Series, min_shared: float) -> Iterator[tuple[int, int, str]]:
    """Give rows of several lines or sentences, one of which stands in many rows."""
    several = texts.str.contains(r"\S\s*(?:\n|[.!?。！？]\s*)\S").arg_true()
    frame = pl.DataFrame(
        {"at": several, "line": texts.gather(several).str.extract_all(r"[^\n.!?。！？]+")}
    ).explode("line")
    frame = frame.with_columns(pl.col("line").str.strip_chars()).filter(
        pl.col("line").str.len_chars() >= _SHARED_CHARS
    )
    frame = frame.unique(["at", "line"]).with_columns(times=pl.len().over("line"))
    least = max(_SHARED_ROWS, min_shared * len(texts))
    shared = frame.filter((pl.col("times") >= least) & (pl.col("times") < len(texts)))
    first = shared.sort("at", "times", "line", descending=[False, True, False]).unique(
        "at", keep="first", maintain_order=True
    )
    yield from first.select("at", "times", "line").iter_rows()


def _repetitive(texts: pl.Series, long: BoolArray, factor: float) -> Told:
    score, told = np.zeros(len(texts)), dict[int, str]()
    at = np.flatnonzero(long)
    for name, limit, shares in repetition_shares(texts.gather(at)):
        for place, share in zip(at[shares > factor * limit].tolist(),
                                shares[shares > factor * limit].tolist(), strict=True):  # fmt: skip
            score[place] = max(score[place], share)
            said = f"{name} {share:.2f}, at most {factor * limit:.2f}"
            told[place] = f"{told[place]}; {said}" if place in told else said
    return score, told


def _unlike_prose(texts: pl.Series, long: BoolArray, limits: Prose) -> Told:
    at = np.flatnonzero(long)
    score, told = np.zeros(len(texts)), dict[int, str]()
    for name, value, bad, limit in _prose_measures(texts.gather(at), limits):
        for k in np.flatnonzero(bad).tolist():
            place = int(at[k])
            said = f"{name} {value[k]:.2f}, {limit}"
            score[place] += 1.0
            told[place] = f"{told[place]}; {said}" if place in told else said
    return score, told


def _prose_measures(
    texts: pl.Series, limits: Prose
) -> Iterator[tuple[str, FloatArray, BoolArray, str]]:
    """Give each of Gopher's rules: name, value per text, whether it is broken, the limit."""
    words = words_of(texts)
    count = np.maximum(words.list.len().to_numpy().astype(np.float64), 1.0)
    spaced = texts.str.count_matches(rf"[{UNSPACED}]").to_numpy() < count / 2
    low, high = limits.mean_word_chars
    mean = texts.str.count_matches(r"\S").to_numpy() / count
    yield "mean word length", mean, spaced & ((mean < low) | (mean > high)), f"{low:g} to {high:g}"
    for name, pattern in (("# per word", "#"), ("ellipses per word", r"\.\.\.|…")):
        value = texts.str.count_matches(pattern).to_numpy() / count
        most = limits.max_symbols_per_word
        yield name, value, value > most, f"at most {most:g}"
    lines = np.maximum(texts.str.count_matches(r"[^\n]*\S[^\n]*").to_numpy(), 1)
    for name, most, pattern in (
        ("share of bullet lines", limits.max_bullet_lines, r"(?m)^\s*[•‣▪●○◦*\-–·]"),
        (
            "share of lines ending in an ellipsis",
            limits.max_ellipsis_lines,
            r"(?m)(?:\.\.\.|…)\s*$",
        ),
    ):
        value = texts.str.count_matches(pattern).to_numpy() / lines
        yield name, value, value > most, f"at most {most:g}"
    letters = words.list.eval(pl.element().str.contains(_LETTER)).list.sum().to_numpy() / count
    least = limits.min_alphabetic_words
    yield "share of words with a letter", letters, letters < least, f"at least {least:g}"
    if limits.stop_words:
        known = words.list.eval(pl.element().is_in(list(limits.stop_words))).list.sum()
        value = known.to_numpy().astype(np.float64)
        yield "stop words", value, value < 2, "at least 2"  # noqa: PLR2004 - Gopher's number


def _near_empty(texts: pl.Series) -> Told:
    """Look for texts without one letter: digits, signs, emoji."""
    no_letter = ~texts.str.contains(_LETTER) & texts.str.contains(r"\S")
    emoji = texts.str.contains(r"[\x{1F000}-\x{1FAFF}\x{2600}-\x{27BF}]")
    digits = texts.str.contains(r"\p{N}")
    told = {
        at: "only emoji and signs" if emoji[at] else "only digits and signs" if digits[at]
        else "only signs"
        for at in no_letter.arg_true().to_list()
    }  # fmt: skip
    return no_letter.to_numpy().astype(np.float64), told


def _noise(texts: pl.Series) -> Told:
    """Look for texts of which most letters were typed without saying anything."""
    along = [*_KEY_ROWS, *(row[::-1] for row in _KEY_ROWS)]
    runs = "|".join(row[i : i + _KEY_RUN] for row in along for i in range(len(row) - _KEY_RUN + 1))
    consonants = rf"[bcdfghjklmnpqrstvwxz]{{{_CONSONANTS},}}"
    patterns = {
        rf"(?i)\b[a-z]*(?:{runs})[a-z]*\b|\b{consonants}\b": "typed along the keyboard",
        "|".join(f"{c}{{{_STRETCHED},}}" for c in ascii_lowercase): "one letter again and again",
    }
    score, told = np.zeros(len(texts)), dict[int, str]()
    for pattern, what in patterns.items():
        at = texts.str.contains(pattern).arg_true()
        some = texts.gather(at)
        noisy = some.str.extract_all(pattern).list.join("").str.len_chars().to_numpy()
        shares = noisy / np.maximum(some.str.count_matches(_LETTER).to_numpy(), 1)
        for place, share in zip(at.to_list(), shares.tolist(), strict=True):
            if share >= _MOST and share > score[place]:
                score[place] = share
                told[place] = f"{share:.0%} of its letters are {what}"
    return score, told
