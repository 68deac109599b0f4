"""What of a model is trained: adapters by peft, its own weights, or nothing. The one home of peft.

The one idea: whatever is put on a model is put on for the length of a `with` block and taken off
whatever happens, so one loaded model serves every fit. Its start is drawn from the fit's seed, not
from a global generator.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from .embed import Encoder
from .errors import FitError
from .spec import VIRTUAL, FitSpec
from .trunk import layout_of, top_parameters

Forward = Callable[..., Any]


@dataclass(frozen=True, slots=True)
class Adapted:
    """A model made ready for a method.

    parameters: what is trained, by name.
    forward: from token ids or activations and their mask to hidden states; virtual tokens may come
        first.
    drops: dropout of the adapters, on; the model's own stays off.
    """

    parameters: dict[str, Any]
    forward: Forward
    drops: tuple[Any, ...] = ()

    @contextmanager
    def steady(self) -> Iterator[None]:
        """Switch dropout off while the block runs."""
        try:
            for module in self.drops:
                module.eval()
            yield
        finally:
            for module in self.drops:
                module.train()


@contextmanager
def adapted(encoder: Encoder, spec: FitSpec, *, seed: int) -> Iterator[Adapted]:
    """Make the model trainable as the spec says, and as it was again after the block.

    Args:
        encoder: Its model's weights are frozen.
        spec: Gives tier, method, layers and the method's numbers.
        seed: Of the adapters' start, 0..2**63-1.

    Raises:
        FitError: The model has no layer of the named targets, or this method does not fit it.

    Source: through peft: Hu et al. 2021 (LoRA), Kalajdzievski 2023 (rsLoRA), Liu et al. 2024
        (DoRA), Liu et al. 2022 (IA3), Li and Liang 2021 (prefix), Lester et al. 2021 (prompt), Liu
        et al. 2021 (p-tuning), Dettmers et al. 2023 (QLoRA).
    """
    with _halved(encoder.model, spec):
        yield from _adapted(encoder, spec, seed)


def _adapted(encoder: Encoder, spec: FitSpec, seed: int) -> Iterator[Adapted]:
    if spec.method == "head":
        yield Adapted({}, encoder.model)
    elif spec.method == "full":
        with _thawed(encoder, spec) as parameters:
            yield Adapted(parameters, encoder.model)
    else:
        with _with_peft(encoder, spec, seed) as found:
            yield found


@contextmanager
def _halved(model: Any, spec: FitSpec) -> Iterator[None]:
    """Hold frozen matrices in bfloat16 where that is the precision, or each pass would cast them.

    The numbers are the ones that casting gives; those that are trained stay float32.
    """
    import torch

    whole: list[tuple[Any, Any]] = []
    if spec.precision == "bfloat16" and spec.method != "full":
        frozen = [m for m in model.modules() if _linear(m)]
        whole = [(value, value.data) for m in frozen for value in m.parameters(recurse=False)]
    try:
        for value, data in whole:
            value.data = data.to(torch.bfloat16)
        yield
    finally:
        for value, data in whole:
            value.data = data


def first_layer(encoder: Encoder, spec: FitSpec) -> int:
    """Give the number of the lowest layer that is trained."""
    return encoder.folder.layers - spec.layers if spec.tier == "top-layers" else 0


@contextmanager
def _thawed(encoder: Encoder, spec: FitSpec) -> Iterator[dict[str, Any]]:
    import torch

    parameters = top_parameters(encoder, first_layer(encoder, spec))
    before = {name: value.detach().clone() for name, value in parameters.items()}
    try:
        for value in parameters.values():
            value.requires_grad_(requires_grad=True)
        yield parameters
    finally:
        with torch.no_grad():
            for name, value in parameters.items():
                value.copy_(before[name])
                value.requires_grad_(requires_grad=False)
                value.grad = None


@contextmanager
def _with_peft(encoder: Encoder, spec: FitSpec, seed: int) -> Iterator[Adapted]:
    import torch
    from peft import get_peft_model

    model = encoder.model
    try:
        with torch.random.fork_rng(), warnings.catch_warnings():
            # peft 0.21 asks transformers 5.24 by a name that is going away.
            warnings.filterwarnings("ignore", message="`is_gradient_checkpointing`")
            warnings.filterwarnings("ignore", message="fan_in_fan_out is set to False")  # GPT-2
            torch.manual_seed(seed)
            put = get_peft_model(model, _config(encoder, spec))
    except ValueError as error:
        names = list(linear_names(model))
        raise FitError(
            f"targets {list(spec.targets)} name no layer of this model; it has {names}"
        ) from error
    try:
        put.eval()
        drops = tuple(m for name, m in put.named_modules() if "lora_dropout" in name)
        for module in drops:
            module.train()
        parameters = {n: p for n, p in put.named_parameters() if p.requires_grad}
        yield Adapted(parameters, _quiet(put) if spec.method in VIRTUAL else model, drops)
    finally:
        if spec.method not in VIRTUAL:  # those wrap the model and leave it as it is
            put.unload()


def _config(encoder: Encoder, spec: FitSpec) -> Any:
    import peft

    if spec.method in VIRTUAL:
        kinds: dict[str, Any] = {
            "prefix": peft.PrefixTuningConfig,
            "prompt": peft.PromptTuningConfig,
            "p-tuning": peft.PromptEncoderConfig,
        }
        width = {"encoder_hidden_size": encoder.dimensions} if spec.method == "p-tuning" else {}
        return kinds[spec.method](
            task_type="FEATURE_EXTRACTION", num_virtual_tokens=spec.virtual_tokens, **width
        )
    top = spec.tier == "top-layers"
    layers = list(range(first_layer(encoder, spec), encoder.folder.layers))
    if spec.method == "ia3":
        return peft.IA3Config(target_modules=_within(encoder, spec, layers), feedforward_modules=[])
    return peft.LoraConfig(
        r=spec.rank,
        lora_alpha=spec.alpha,
        lora_dropout=spec.dropout,
        target_modules=list(spec.targets),
        layers_to_transform=layers if top else None,
        layers_pattern=layout_of(encoder.model, encoder.name).layers.split(".")[-1]
        if top
        else None,
        use_rslora=spec.method == "rslora",
        use_dora=spec.method == "dora",
    )


def _within(encoder: Encoder, spec: FitSpec, layers: list[int]) -> list[str]:
    """Name the target modules of some layers in full; peft's IA3 knows no layers."""
    names = [
        name
        for name, module in encoder.model.named_modules()
        if name.split(".")[-1] in spec.targets and _linear(module)
    ]
    if spec.tier == "top-layers":
        place = layout_of(encoder.model, encoder.name).layers
        names = [n for n in names if n.startswith(tuple(f"{place}.{i}." for i in layers))]
    if not names:
        raise ValueError("no such layer")
    return names


def _quiet(model: Any) -> Forward:
    """Call a model that peft gives prefixes by an argument that transformers is giving up."""

    def forward(**inputs: Any) -> Any:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="`past_key_values` is deprecated")
            return model(**inputs)

    return forward


def linear_names(model: Any) -> tuple[str, ...]:
    """Name the kinds of layers that an adapter can sit on, sorted, as `targets` takes them."""
    return tuple(sorted({n.split(".")[-1] for n, m in model.named_modules() if _linear(m)}))


def _linear(module: Any) -> bool:
    """Tell whether a module is a matrix: GPT-2 has a class of its own for them."""
    import torch

    return isinstance(module, torch.nn.Linear) or type(module).__name__ == "Conv1D"
