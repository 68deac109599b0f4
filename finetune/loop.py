"""The one loop: rows, a model and a spec to trained numbers, the same bits also after a kill.

The one idea: all that is random belongs to content and to the step. A row's batch in an epoch is
floor(u(seed, epoch, row) x batches), dropout is drawn from (seed, step), so no generator has a
state to save. Inside a batch, rows of like length go through together and their gradients add up:
nothing is padded far, and no row's batch depends on its length.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from math import cos, pi
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .answers import MULTILABEL, TOKENS, costs, decided
from .checkpoints import Checkpoint, Course
from .device import MICRO_TOKENS
from .embed import fixed_batches
from .errors import FitError
from .inputs import Inputs, thrifty_parts
from .keys import FloatArray, IntArray, KeyArray, mix, slot_keys, uniform
from .losses import row_losses
from .methods import Adapted, adapted
from .pieces import IGNORED
from .spec import FitSpec
from .trunk import only_layers

BoolArray = NDArray[np.bool_]

State = dict[str, FloatArray]
"""A trained model: its trained tensors by name, and `head`, shape (d + 1, k), bias last."""


@dataclass(frozen=True, slots=True)
class Rows:
    """What is learnt from, in canonical order: n text keys, their answers, weights from 0.

    targets: by task; classes 0..k-1, shape (n,); 1 per label that holds, shape (n, k); or classes
        of tokens, -100 where none counts, shape (n, tokens).
    held: which rows are for validation and not learnt from, shape (n,).
    """

    keys: Sequence[bytes]
    targets: NDArray[Any]
    weights: FloatArray
    held: BoolArray


@dataclass(frozen=True, slots=True)
class Trained:
    """What a fit came to.

    epochs: per epoch its numbers, for people.
    row_losses: loss of each row in each epoch, just before its step, shape (epochs, n), float16;
        not a number for rows that were not learnt from.
    held_logits: of the validation rows under `state`, shape (rows, k); of tokens, one each.
    resumed: first step that was done now.
    """

    state: State
    epochs: tuple[dict[str, float], ...]
    row_losses: FloatArray
    held_logits: FloatArray
    resumed: int


@dataclass(frozen=True, slots=True)
class Net:
    """A model with its head, ready to be trained."""

    adapted: Adapted
    linear: Any

    def parameters(self) -> dict[str, Any]:
        """Give all that is trained by name, the head last."""
        head = {"head.weight": self.linear.weight, "head.bias": self.linear.bias}
        return self.adapted.parameters | head

    def state(self) -> State:
        """Copy all that is trained."""
        # Copies: an array of a tensor on the processor is the tensor's own memory.
        found = {name: _numpy(value).copy() for name, value in self.adapted.parameters.items()}
        head = [_numpy(self.linear.weight).T, _numpy(self.linear.bias)[None]]
        return found | {"head": np.concatenate(head)}

    def load(self, state: State) -> None:
        """Take trained numbers over."""
        import torch

        with torch.no_grad():
            for name, value in self.adapted.parameters.items():
                value.copy_(torch.from_numpy(state[name]))
            self.linear.weight.copy_(torch.from_numpy(state["head"][:-1].T.copy()))
            self.linear.bias.copy_(torch.from_numpy(state["head"][-1].copy()))


def train(
    rows: Rows,
    inputs: Inputs,
    *,
    head: FloatArray,
    spec: FitSpec,
    seed: int,
    checkpoint: Checkpoint,
    report: Callable[[int, int], None] | None = None,
) -> Trained:
    """Train with AdamW on the weighted loss.

    Args:
        rows: What to learn from.
        inputs: Token ids or activations of their texts.
        head: First values of the head, shape (d + 1, k).
        spec: Of a tier above the probe.
        seed: Of the adapters' start, the batches and dropout.
        checkpoint: Where it goes on after a kill, and what is written for that.
        report: Told (steps done, steps in all) after each step.

    Raises:
        FitError: The loss is not finite, or there is no validation row where there should be.
    """
    import torch

    slots, lengths = slot_keys(rows.keys), inputs.lengths(rows.keys)
    course = Course.start(spec.epochs, len(rows.keys))
    with _net(inputs, spec, seed, head) as net:
        goal, share = _tensors(rows, spec, inputs.encoder.device)
        named = net.parameters()
        optimiser = torch.optim.AdamW(
            named.values(), lr=spec.learning_rate, weight_decay=spec.weight_decay
        )
        resumed = checkpoint.restore(course, named, optimiser)
        while course.step < spec.epochs * spec.batches and not course.stopped:
            epoch, batch = divmod(course.step, spec.batches)
            chosen = rows_of_step(slots, rows.held, spec, seed, epoch, batch)
            for group in optimiser.param_groups:
                group["lr"] = rate(course.step, spec)
            optimiser.zero_grad(set_to_none=False)
            with _step_noise(spec, seed, course.step):
                for length, part in _parts(lengths[chosen], inputs):
                    picked = chosen[part]
                    losses = row_losses(
                        _answered(inputs, [rows.keys[i] for i in picked], length, net, spec),
                        _cut(goal[picked], length, spec),
                        loss=spec.loss,
                        strength=spec.loss_strength,
                    )
                    (losses * share[picked]).sum().backward()
                    course.row_losses[epoch, picked] = _numpy(losses)
            _check(course.row_losses[epoch, chosen], spec, epoch, batch)
            if spec.clip:
                torch.nn.utils.clip_grad_norm_(list(named.values()), spec.clip)
            optimiser.step()
            course.step += 1
            if batch + 1 == spec.batches:
                _end_epoch(course, rows, inputs, net, spec, epoch)
            checkpoint.keep(course, named, optimiser)
            if report:
                report(course.step, spec.epochs * spec.batches)
        state = course.best or net.state()
        _check(
            np.concatenate([value.ravel() for value in state.values()]), spec, epoch=-1, batch=-1
        )
        net.load(state)
        return Trained(
            state, tuple(course.epochs), course.row_losses.astype(np.float16),
            _held_logits(rows, inputs, net, spec)[0], resumed,
        )  # fmt: skip


def predict(
    inputs: Inputs,
    keys: Sequence[bytes],
    state: State,
    *,
    spec: FitSpec,
    places: Sequence[Sequence[int]] | None = None,
) -> FloatArray:
    """Give probabilities, shape (m, k), float32; fixed batch shapes.

    Args:
        inputs: Token ids or activations.
        keys: Of the texts.
        state: What was trained.
        spec: Says the task; of one label a row sum to 1.
        places: Of the tokens of each text that are asked for; then m is the number of these.
    """
    import torch

    with _net(inputs, spec, 0, state["head"]) as net:
        net.load(state)
        several = spec.task == MULTILABEL
        chances = torch.sigmoid if several else (lambda logits: logits.softmax(dim=-1))
        return _logits(inputs, keys, net, spec, places=places, chances=chances)


def rows_of_step(
    slots: KeyArray, held: BoolArray, spec: FitSpec, seed: int, epoch: int, batch: int
) -> IntArray:
    """Give the rows of a batch; one without rows stays a step, so updates stay equal."""
    slot = (uniform(slots, seed, epoch) * spec.batches).astype(np.int64)
    return np.flatnonzero((slot == batch) & ~held)


def rate(step: int, spec: FitSpec) -> float:
    """Give the learning rate of a step, counted from 0."""
    total = spec.epochs * spec.batches
    rising = round(spec.warmup * total)
    if step < rising:
        return spec.learning_rate * (step + 1) / rising
    gone = (step - rising) / (total - rising)
    if spec.schedule == "cosine":
        return spec.learning_rate * 0.5 * (1.0 + cos(pi * gone))
    return spec.learning_rate * (1.0 - gone if spec.schedule == "linear" else 1.0)


def _parts(lengths: IntArray, inputs: Inputs) -> list[tuple[int, list[int]]]:
    """Deal the rows of a batch to parts that go through together: (padded length, places)."""
    tokens = MICRO_TOKENS[inputs.encoder.device]
    if inputs.activations:  # as the first release did, so that its fits keep their bits
        return fixed_batches(lengths.tolist(), inputs.encoder.lengths, tokens=tokens)
    return thrifty_parts(lengths.tolist(), most=tokens)


def _tensors(rows: Rows, spec: FitSpec, device: str) -> tuple[Any, Any]:
    """Give classes, and weights whose sum over the rows learnt from is the number of batches."""
    import torch

    weights = np.where(rows.held, 0, rows.weights).astype(rows.weights.dtype)
    share = (weights * (spec.batches / weights.sum())).astype(np.float32)
    return torch.from_numpy(rows.targets).to(device), torch.from_numpy(share).to(device)


def _end_epoch(
    course: Course, rows: Rows, inputs: Inputs, net: Net, spec: FitSpec, epoch: int
) -> None:
    """Write the epoch's numbers down; keep the best model, and stop where patience is out."""
    seen, weights = course.row_losses[epoch], np.where(rows.held, 0, rows.weights)
    told = {
        "epoch": epoch + 1,
        "train_loss": float(np.average(np.nan_to_num(seen), weights=weights)),
        "learning_rate": rate(course.step - 1, spec),
        "cpu_s": time.process_time(),
    }
    course.epochs.append(told)
    if not rows.held.any():
        return
    logits, targets, places = _held_logits(rows, inputs, net, spec)
    lost, right = costs(logits, targets)
    told["validation_loss"] = float(np.average(lost, weights=rows.weights[places]))
    told["validation_accuracy"] = float(right.mean())
    losses = [one["validation_loss"] for one in course.epochs]
    if told["validation_loss"] <= min(losses):
        course.best = net.state()
    since_best = len(losses) - 1 - int(np.argmin(losses))
    course.stopped = bool(spec.patience) and since_best >= spec.patience


def _answered(
    inputs: Inputs,
    keys: Sequence[bytes],
    length: int,
    net: Net,
    spec: FitSpec,
    *,
    filled: bool = False,
) -> Any:
    seen = inputs.tokens if spec.task == TOKENS else inputs.pooled
    return net.linear(seen(keys, length, net.adapted, spec, filled=filled))


def _cut(goal: Any, length: int, spec: FitSpec) -> Any:
    """Fit the targets of tokens to the length of a part."""
    import torch

    if spec.task != TOKENS:
        return goal
    missing = length - goal.shape[1]
    return (
        torch.nn.functional.pad(goal, (0, missing), value=IGNORED)
        if missing > 0
        else goal[:, :length]
    )


def _held_logits(
    rows: Rows, inputs: Inputs, net: Net, spec: FitSpec
) -> tuple[FloatArray, NDArray[Any], IntArray]:
    """Give logits and targets of the validation rows, and the row of each; of tokens, one each."""
    held = np.flatnonzero(rows.held)
    keys, targets = [rows.keys[i] for i in held], rows.targets[held]
    if spec.task != TOKENS:
        return _logits(inputs, keys, net, spec), targets, held
    asked = decided(targets)
    places = [np.flatnonzero(own).tolist() for own in asked]
    return (
        _logits(inputs, keys, net, spec, places=places), targets[asked],
        np.repeat(held, asked.sum(axis=1)),
    )  # fmt: skip


def _logits(
    inputs: Inputs,
    keys: Sequence[bytes],
    net: Net,
    spec: FitSpec,
    *,
    places: Sequence[Sequence[int]] | None = None,
    chances: Callable[[Any], Any] | None = None,
) -> FloatArray:
    import torch

    found: list[FloatArray] = [np.empty(0)] * len(keys)
    with torch.no_grad(), net.adapted.steady():
        for length, part in fixed_batches(inputs.lengths(keys).tolist(), inputs.encoder.lengths):
            chosen = [keys[i] for i in part]
            logits = _answered(inputs, chosen, length, net, spec, filled=True)
            told = _numpy(chances(logits) if chances else logits)
            for at, i in enumerate(part):
                found[i] = told[at][list(places[i])] if places else told[at : at + 1]
    empty = np.empty((0, net.linear.out_features), dtype=np.float32)
    return np.concatenate([empty, *found])


def _check(numbers: FloatArray, spec: FitSpec, epoch: int, batch: int) -> None:
    if np.isfinite(numbers).all():
        return
    where = "in the last step" if epoch < 0 else (
        f"in epoch {epoch + 1} of {spec.epochs}, batch {batch + 1} of {spec.batches}"
    )  # fmt: skip
    clip = "" if spec.clip else ", or set clip: 1.0"
    wide = "" if spec.precision == "float32" else ", or write precision: float32"
    raise FitError(
        f"the loss is not finite at learning rate {spec.learning_rate:g} ({where}); lower "
        f"learning_rate, for example to {spec.learning_rate / 10:g}{clip}{wide}"
    )


@contextmanager
def _net(inputs: Inputs, spec: FitSpec, seed: int, head: FloatArray) -> Iterator[Net]:
    """Give the model that a method makes of the encoder, with a head that starts as given."""
    import torch

    encoder, total = inputs.encoder, inputs.encoder.folder.layers
    start = int(mix(np.zeros(1, dtype=np.uint64), seed)[0] >> np.uint64(1))
    linear = torch.nn.utils.skip_init(torch.nn.Linear, *np.subtract(head.shape, (1, 0)).tolist())
    with torch.no_grad():
        linear.weight.copy_(torch.from_numpy(head[:-1].T.copy()))
        linear.bias.copy_(torch.from_numpy(head[-1].copy()))
    linear.to(encoder.device)
    with _threads(spec.threads), adapted(encoder, spec, seed=start) as model:
        if not inputs.activations:
            yield Net(model, linear)
            return
        with only_layers(encoder, total - spec.layers, total, given=True):
            yield Net(model, linear)


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
