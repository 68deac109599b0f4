"""The top-layers tier: adapters in an encoder's top layers, on cached activations of the rest.

The one idea: what is frozen is computed once. The lower layers' output is kept per text, so an
epoch, a seed or a version with other labels pays for the top layers only. A row's batch in an epoch
is floor(u(seed, epoch, row) x batches); inside a batch, rows of like length go through together and
their gradients add up, so nothing is padded far and no row's batch depends on its length.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from .embed import Encoder, Progress, Report, batch_rows, fixed_batches, map_batches, pool
from .errors import FitError
from .keys import FloatArray, IntArray, KeyArray, mix, slot_keys, text_key, uniform
from .methods import lora
from .shards import SHARD_TEXTS, Shards
from .spec import FitSpec

State = dict[str, FloatArray]
"""A trained model: adapter tensors by their names in the whole model, `head` (d + 1, k)."""


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
        layers: Number of top layers, left out here.
        cache: Folder of all caches; float16 rows go to `activations/` in it, one per token.
        progress: Called after each shard.

    Returns:
        The cache: for each text key an array of shape (tokens, d).

    Raises:
        FitError: The model has no such layers, or a number is too large for float16.
    """
    below = encoder.folder.layers - layers
    if below < 0:
        raise FitError(f"layers is {layers}; {encoder.name} has only {encoder.folder.layers}")
    numerics = text_key(encoder.numerics).hex()[:8]
    folder = cache / "activations" / f"{encoder.revision[:24]}-{below}-{numerics}"
    shards = Shards(folder, width=encoder.dimensions, dtype=np.float16)
    distinct = {text_key(text): text for text in texts}
    missing = [(key, text) for key, text in distinct.items() if key not in shards]
    missing.sort(key=lambda pair: (-len(pair[1]), pair[0]))
    cached = len(distinct) - len(missing)
    for start in range(0, len(missing), SHARD_TEXTS):
        part = missing[start : start + SHARD_TEXTS]
        shards.append([key for key, _ in part], _lower([text for _, text in part], encoder, below))
        if progress:
            progress(Progress("activations", cached + start + len(part), len(distinct), cached))
    return shards


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
            "use the probe tier with this model"
        )
    return found


@contextmanager
def only_layers(encoder: Encoder, start: int, stop: int, *, given: bool) -> Iterator[None]:
    """Reduce the model to the layers start..stop-1 while the block runs.

    Args:
        encoder: Its model is changed in place, and put back.
        start: First layer that stays.
        stop: First layer that goes again.
        given: Whether `inputs_embeds` are activations, to be passed on as they are.

    Raises:
        FitError: The model is not built like BERT.
    """
    import torch

    model = encoder.model
    if not hasattr(getattr(model, "encoder", None), "layer") or not hasattr(model, "embeddings"):
        raise FitError(
            f"{encoder.name}: a {type(model).__name__} has no encoder.layer; the top-layers tier "
            "needs a model built like BERT, the probe tier does not"
        )
    layers, embeddings = model.encoder.layer, model.embeddings

    class Given(torch.nn.Module):
        def forward(self, inputs_embeds: Any, **_: Any) -> Any:
            return inputs_embeds

    model.encoder.layer = torch.nn.ModuleList(layers[start:stop])
    if given:
        model.embeddings = Given()
    try:
        yield
    finally:
        model.encoder.layer, model.embeddings = layers, embeddings


def fit_top_layers(
    inputs: Shards,
    keys: Sequence[bytes],
    targets: IntArray,
    weights: FloatArray,
    *,
    head: FloatArray,
    encoder: Encoder,
    spec: FitSpec,
    seed: int,
) -> State:
    """Train adapters and head with AdamW on the weighted softmax loss.

    Args:
        inputs: Cached activations.
        keys: Text key per row, in canonical order; n of them.
        targets: Class per row, shape (n,), 0..k-1.
        weights: Weight per row, shape (n,), 0 or more.
        head: First values of the head, shape (d + 1, k), bias last.
        encoder: The model.
        spec: Of tier `top-layers`.
        seed: Of the adapters' start and of all batches.

    Returns:
        Adapter tensors by name and `head`.

    Raises:
        FitError: The loss is not finite.
    """
    import torch

    lengths = inputs.lengths(keys)
    slots = slot_keys(keys)
    goal = torch.from_numpy(targets).to(encoder.device)
    share = torch.from_numpy((weights * (spec.batches / weights.sum())).astype(np.float32))
    share = share.to(encoder.device)
    with _adapted(encoder, spec, seed, head) as (parameters, linear):
        trained = [*parameters.values(), *linear.parameters()]
        optimiser = torch.optim.AdamW(
            trained, lr=spec.learning_rate, weight_decay=spec.weight_decay
        )
        for step, rows in enumerate(_steps(slots, spec, seed)):
            for group in optimiser.param_groups:
                group["lr"] = spec.learning_rate * (1.0 - step / (spec.epochs * spec.batches))
            optimiser.zero_grad(set_to_none=False)
            with _step_noise(spec, seed, step):
                for length, part in fixed_batches(lengths[rows].tolist(), encoder.lengths):
                    chosen = rows[part]
                    pooled = _forward(inputs, [keys[i] for i in chosen], length, encoder)
                    losses = torch.nn.functional.cross_entropy(
                        linear(pooled), goal[chosen], reduction="none"
                    )
                    (losses * share[chosen]).sum().backward()
            optimiser.step()
        state = {name: _numpy(value) for name, value in parameters.items()}
        state["head"] = np.concatenate([_numpy(linear.weight).T, _numpy(linear.bias)[None]])
    if not all(np.isfinite(value).all() for value in state.values()):
        raise FitError(f"the loss is not finite at learning rate {spec.learning_rate}; lower it")
    return state


def predict_top_layers(
    inputs: Shards, keys: Sequence[bytes], state: State, *, encoder: Encoder, spec: FitSpec
) -> FloatArray:
    """Give class probabilities, shape (m, k), float32, rows summing to 1; fixed batch shapes."""
    import torch

    counts = inputs.lengths(keys).tolist()
    found = np.empty((len(keys), state["head"].shape[1]), dtype=np.float32)
    with _adapted(encoder, spec, 0, state["head"]) as (parameters, linear), torch.no_grad():
        for name, value in parameters.items():
            value.copy_(torch.from_numpy(state[name]))
        for length, rows in fixed_batches(counts, encoder.lengths):
            pooled = _forward(inputs, [keys[i] for i in rows], length, encoder, filled=True)
            found[rows] = _numpy(linear(pooled).softmax(dim=1))[: len(rows)]
    return found


def _steps(slots: KeyArray, spec: FitSpec, seed: int) -> Iterator[IntArray]:
    """Give the rows of each step; a step without rows stays a step, so updates stay equal."""
    for epoch in range(spec.epochs):
        slot = (uniform(slots, seed, epoch) * spec.batches).astype(np.int64)
        for number in range(spec.batches):
            yield np.flatnonzero(slot == number)


def _forward(
    inputs: Shards, keys: Sequence[bytes], length: int, encoder: Encoder, *, filled: bool = False
) -> Any:
    import torch

    rows = batch_rows(length) if filled else len(keys)
    hidden = np.zeros((rows, length, inputs.width), dtype=np.float32)
    mask = np.zeros((rows, length), dtype=np.int64)
    mask[:, 0] = 1
    for i, key in enumerate(keys):
        part = inputs.rows(key)
        hidden[i, : len(part)] = part
        mask[i, : len(part)] = 1
    given, kept = (torch.from_numpy(a).to(encoder.device) for a in (hidden, mask))
    found = encoder.model(inputs_embeds=given, attention_mask=kept).last_hidden_state
    return pool(found, kept, pooling=encoder.folder.pooling)


@contextmanager
def _adapted(
    encoder: Encoder, spec: FitSpec, seed: int, head: FloatArray
) -> Iterator[tuple[dict[str, Any], Any]]:
    """Give adapter parameters and a head, with the model reduced to its top layers."""
    import torch

    total = encoder.folder.layers
    top = list(range(total - spec.layers, total))
    start = int(mix(np.zeros(1, dtype=np.uint64), seed)[0] >> np.uint64(1))
    linear = torch.nn.utils.skip_init(torch.nn.Linear, *np.subtract(head.shape, (1, 0)).tolist())
    with torch.no_grad():
        linear.weight.copy_(torch.from_numpy(head[:-1].T.copy()))
        linear.bias.copy_(torch.from_numpy(head[-1].copy()))
    linear.to(encoder.device)
    with (
        _threads(spec.threads),
        lora(encoder.model, spec, layers=top, seed=start) as parameters,
        only_layers(encoder, top[0], total, given=True),
    ):
        yield parameters, linear


@contextmanager
def _step_noise(spec: FitSpec, seed: int, step: int) -> Iterator[None]:
    """Key dropout by seed and step, so that no generator has a state to save."""
    import torch

    if not spec.dropout:
        yield
        return
    with torch.random.fork_rng():
        torch.manual_seed(int(mix(np.full(1, step, dtype=np.uint64), seed)[0] >> np.uint64(1)))
        yield


@contextmanager
def _threads(count: int) -> Iterator[None]:
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _numpy(tensor: Any) -> FloatArray:
    return np.asarray(tensor.detach().cpu().numpy())
