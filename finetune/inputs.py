"""What goes into the layers that are trained: token ids, or cached activations of those below.

The one idea: either is a ragged array per text under the text's key, computed once and kept, so the
loop asks both the same two things: how long a row is, and a padded batch of some rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from .embed import Encoder, Progress, Report, batch_rows, map_batches, pool
from .errors import FitError
from .keys import FloatArray, IntArray, hash_parts, text_key
from .methods import Adapted
from .shards import SHARD_TEXTS, Shards
from .spec import FitSpec
from .trunk import check_cut, only_layers

PART_TOKENS = 24
"""What sending a part through a model costs beside its arithmetic, in tokens; see docs/log.md."""


@dataclass(frozen=True, slots=True)
class Inputs:
    """The rows of a fit as the layers take them.

    shards: by text key, per token one id, or d numbers where `activations`.
    """

    shards: Shards
    encoder: Encoder
    activations: bool

    def lengths(self, keys: Sequence[bytes]) -> IntArray:
        """Give the tokens of each row, shape (n,)."""
        return self.shards.lengths(keys)

    def pooled(
        self, keys: Sequence[bytes], length: int, adapted: Adapted, spec: FitSpec, *, filled: bool
    ) -> Any:
        """Run rows through the trained layers and pool them.

        Args:
            keys: Of the rows, none longer than `length`.
            length: Tokens that the batch is padded to.
            adapted: The model.
            spec: Says the precision.
            filled: Whether blank rows make the batch as large as every batch of this length.

        Returns:
            Vectors of unit length, float32, shape (b, d); those of blank rows come last.
        """
        hidden, kept = self._states(keys, length, adapted, spec, filled=filled)
        return pool(hidden, kept, pooling=self.encoder.folder.pooling)

    def tokens(
        self, keys: Sequence[bytes], length: int, adapted: Adapted, spec: FitSpec, *, filled: bool
    ) -> Any:
        """Run rows through the trained layers: a vector of unit length a token, (b, length, d)."""
        import torch

        hidden, _ = self._states(keys, length, adapted, spec, filled=filled)
        return torch.nn.functional.normalize(hidden, dim=2)

    def _states(
        self, keys: Sequence[bytes], length: int, adapted: Adapted, spec: FitSpec, *, filled: bool
    ) -> tuple[Any, Any]:
        import torch

        encoder = self.encoder
        rows = batch_rows(length) if filled else len(keys)
        shape = (rows, length, self.shards.width) if self.activations else (rows, length)
        given = np.zeros(shape, dtype=np.float32 if self.activations else np.int64)
        mask = np.zeros((rows, length), dtype=np.int64)
        mask[:, 0] = 1  # a blank row still needs one token to pool
        for i, key in enumerate(keys):
            part = self.shards.rows(key)
            given[i, : len(part)] = part if self.activations else part[:, 0]
            mask[i, : len(part)] = 1
        name = "inputs_embeds" if self.activations else "input_ids"
        tensor, kept = (torch.from_numpy(a).to(encoder.device) for a in (given, mask))
        with _arithmetic(spec, encoder.device):
            hidden = adapted.forward(**{name: tensor, "attention_mask": kept}).last_hidden_state
        # Virtual tokens stand before the text and are left out.
        return hidden[:, -length:].float(), kept


def _arithmetic(spec: FitSpec, device: str) -> Any:
    import torch

    if spec.precision == "float32":
        return nullcontext()
    return torch.autocast(device, dtype=torch.bfloat16)


def thrifty_parts(lengths: Sequence[int], *, most: int) -> list[tuple[int, list[int]]]:
    """Deal rows to parts so that padding and the parts' own cost are least together.

    Args:
        lengths: Tokens of each row.
        most: Tokens in a part, padding included; a row alone may have more.

    Returns:
        (longest of the part, places of its rows), longest first.
    """
    order = sorted(range(len(lengths)), key=lambda i: (-lengths[i], i))
    cost, cut = [0.0], [0]  # of the rows up to here, and where their last part starts
    for end in range(1, len(order) + 1):
        best, where = float("inf"), end - 1
        for start in range(end - 1, -1, -1):
            tokens = lengths[order[start]] * (end - start)
            if tokens > most and start < end - 1:
                break
            if cost[start] + tokens + PART_TOKENS < best:
                best, where = cost[start] + tokens + PART_TOKENS, start
        cost.append(best)
        cut.append(where)
    parts, end = [], len(order)
    while end:
        rows = order[cut[end] : end]
        parts.append((lengths[rows[0]], rows))
        end = cut[end]
    return parts[::-1]


def inputs_of(
    texts: Sequence[str],
    encoder: Encoder,
    spec: FitSpec,
    *,
    cache: Path,
    progress: Report | None = None,
) -> Inputs:
    """Give the inputs of the layers that this spec trains, computing what the cache lacks.

    Raises:
        FitError: The model cannot be cut there, or a number is too large for float16.
    """
    if spec.tier == "top-layers":
        shards = activations(texts, encoder, layers=spec.layers, cache=cache, progress=progress)
        return Inputs(shards, encoder, activations=True)
    return Inputs(token_ids(texts, encoder, cache=cache), encoder, activations=False)


def token_ids(texts: Sequence[str], encoder: Encoder, *, cache: Path) -> Shards:
    """Give the token ids of each text; int32, under `tokens/` in the cache."""
    words = hash_parts("tokens", encoder.folder.words, str(encoder.max_tokens), encoder.prefix)
    shards = Shards(cache / "tokens" / words[:24], width=1, dtype=np.int32)
    missing = [(key, text) for key, text in _distinct(texts).items() if key not in shards]
    for start in range(0, len(missing), SHARD_TEXTS):
        part = missing[start : start + SHARD_TEXTS]
        ids = encoder.tokens([text for _, text in part])
        shards.append([key for key, _ in part], [np.array(row)[:, None] for row in ids])
    return shards


def activations(
    texts: Sequence[str],
    encoder: Encoder,
    *,
    layers: int,
    cache: Path,
    progress: Report | None = None,
) -> Shards:
    """Give the input of the top layers for each text, computing what the cache lacks.

    Args:
        texts: The texts.
        encoder: Its lower layers are run.
        layers: Number of top layers, left out here; 0 for the states that a head sees.
        cache: Folder of all caches; float16 rows go to `activations/` in it, one per token.
        progress: Called after each shard.

    Returns:
        The cache: for each text key an array of shape (tokens, d).

    Raises:
        FitError: The model has no such layers, cannot be cut, or a number is too large for float16.
    """
    below = encoder.folder.layers - layers
    if below < 0:
        raise FitError(f"layers is {layers}; {encoder.name} has only {encoder.folder.layers}")
    numerics = text_key(encoder.numerics).hex()[:8]
    folder = cache / "activations" / f"{encoder.revision[:24]}-{below}-{numerics}"
    shards = Shards(folder, width=encoder.dimensions, dtype=np.float16)
    distinct = _distinct(texts)
    missing = [(key, text) for key, text in distinct.items() if key not in shards]
    missing.sort(key=lambda pair: (-len(pair[1]), pair[0]))
    cached = len(distinct) - len(missing)
    if missing and layers:
        check_cut(encoder, below)
    for start in range(0, len(missing), SHARD_TEXTS):
        part = missing[start : start + SHARD_TEXTS]
        shards.append([key for key, _ in part], _lower([text for _, text in part], encoder, below))
        if progress:
            progress(Progress("activations", cached + start + len(part), len(distinct), cached))
    return shards


def _distinct(texts: Sequence[str]) -> dict[bytes, str]:
    return {text_key(text): text for text in texts}


def _lower(texts: Sequence[str], encoder: Encoder, below: int) -> list[FloatArray]:
    tokens = encoder.tokens(texts)
    found: list[FloatArray] = [np.empty(0)] * len(texts)

    def compute(ids: Any, mask: Any) -> FloatArray:
        hidden = encoder.model(input_ids=ids, attention_mask=mask).last_hidden_state
        return np.asarray(hidden.cpu().numpy())

    with only_layers(encoder, 0, below, given=False):
        for rows, hidden in map_batches(encoder, tokens, compute):
            for place, i in enumerate(rows):
                found[i] = hidden[place, : len(tokens[i])].astype(np.float16)
    if not all(np.isfinite(part).all() for part in found):
        raise FitError(
            f"{encoder.name}: an activation below layer {below} is too large for the cache; "
            "use the tiers probe or all-layers with this model"
        )
    return found
