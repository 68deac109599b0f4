"""A transformers model cut in two: frozen layers below, layers that are trained above.

The one idea: what is below the cut is a function of the text alone, so its output is computed once
and kept. The cut changes the model in place for the length of a `with` block; parameters stay the
same objects, so adapters and their names are those of the whole model. A model that does not give
its own output when it is run in two parts is refused, whatever its name.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from .embed import Encoder
from .errors import FitError

HIDDEN = 3  # dimensions of hidden states: rows, tokens, numbers
TOLERANCE = 1e-3
"""Largest difference between a model and its two halves, beside the size of its output."""


@dataclass(frozen=True, slots=True)
class Layout:
    """Where the parts of an architecture lie; names are paths below the model.

    layers: the list of layers. inputs: what adds to the embeddings of the text and must pass on
    given ones. after: what follows the last layer and must not follow a lower one.
    """

    layers: str
    inputs: tuple[str, ...] = ()
    after: tuple[str, ...] = ()


LAYOUTS = (
    Layout("encoder.layer", inputs=("embeddings",)),  # BERT and its kin
    Layout("transformer.layer", inputs=("embeddings",)),  # DistilBERT
    Layout("layers", after=("norm",)),  # Llama, Qwen, Mistral
    Layout("layers", inputs=("embeddings",), after=("final_norm",)),  # ModernBERT
    Layout("layers", after=("final_layer_norm",)),  # GPT-NeoX
    Layout("h", inputs=("wpe",), after=("ln_f",)),  # GPT-2
)


def layout_of(model: Any, name: str) -> Layout:
    """Find where a model keeps its layers.

    Raises:
        FitError: Nowhere known.
    """
    for layout in LAYOUTS:
        if all(_there(model, part) for part in (layout.layers, *layout.inputs, *layout.after)):
            return layout
    known = sorted({layout.layers for layout in LAYOUTS})
    raise FitError(
        f"{name}: a {type(model).__name__} has its layers in none of {known}; the top-layers tier "
        "cannot cut it in two, the tiers probe and all-layers can be used"
    )


def _there(model: Any, path: str) -> bool:
    for part in path.split("."):
        model = getattr(model, part, None)
        if model is None:
            return False
    return True


@contextmanager
def only_layers(encoder: Encoder, start: int, stop: int, *, given: bool) -> Iterator[None]:
    """Reduce the model to the layers start..stop-1 while the block runs.

    Args:
        encoder: Its model is changed in place, and put back.
        start: First layer that stays.
        stop: First layer that goes again; what follows the last layer stays with the last.
        given: Whether `inputs_embeds` are activations, to be passed on as they are.

    Raises:
        FitError: It is not known where the model keeps its layers.
    """
    import torch

    class Given(torch.nn.Module):
        def forward(self, *places: Any, **named: Any) -> Any:
            wide = [x for x in (*places, *named.values()) if getattr(x, "ndim", 0) == HIDDEN]
            return wide[0] if wide else torch.zeros(())  # where it is added to what is given

    model = encoder.model
    layout = layout_of(model, encoder.name)
    layers = model.get_submodule(layout.layers)
    swapped: dict[str, Any] = {layout.layers: torch.nn.ModuleList(layers[start:stop])}
    if given:
        swapped |= {name: Given() for name in layout.inputs}
    if stop < encoder.folder.layers:
        swapped |= {name: torch.nn.Identity() for name in layout.after}
    before = {name: model.get_submodule(name) for name in swapped}
    kinds = getattr(model.config, "layer_types", None)  # full or sliding attention, by layer
    try:
        if kinds:
            model.config.layer_types = kinds[start:stop]
        for name, module in swapped.items():
            _put(model, name, module)
        yield
    finally:
        for name, module in before.items():
            _put(model, name, module)
        if kinds:
            model.config.layer_types = kinds


def _put(model: Any, path: str, module: Any) -> None:
    parent, _, name = path.rpartition(".")
    setattr(model.get_submodule(parent), name, module)


def check_cut(encoder: Encoder, below: int) -> None:
    """Run a made-up text through the whole model and through its halves.

    Raises:
        FitError: They differ, so this model cannot be cut here.
    """
    import torch

    length = min(8, encoder.max_tokens)
    ids = torch.arange(2, 2 + length, device=encoder.device)[None] % encoder.model.config.vocab_size
    mask = torch.ones_like(ids)
    with torch.inference_mode():
        whole = encoder.model(input_ids=ids, attention_mask=mask).last_hidden_state
        with only_layers(encoder, 0, below, given=False):
            lower = encoder.model(input_ids=ids, attention_mask=mask).last_hidden_state
        with only_layers(encoder, below, encoder.folder.layers, given=True):
            both = encoder.model(inputs_embeds=lower, attention_mask=mask).last_hidden_state
    apart = float((both - whole).abs().max())
    if not apart <= TOLERANCE * max(1.0, float(whole.abs().max())):
        raise FitError(
            f"{encoder.name}: a {type(encoder.model).__name__} cut below layer {below} gives "
            f"numbers that differ by {apart:.2g} from its own; the top-layers tier cannot train "
            "it, the tiers probe and all-layers can"
        )


def top_parameters(encoder: Encoder, start: int) -> dict[str, Any]:
    """Give the parameters from layer `start` on, by their names in the whole model.

    A pooler is not among them: nothing here runs it.
    """
    if start == 0:
        named = encoder.model.named_parameters()
        return {n: p for n, p in named if not n.startswith("pooler")}
    layout = layout_of(encoder.model, encoder.name)
    wanted = [f"{layout.layers}.{i}." for i in range(start, encoder.folder.layers)]
    wanted += [f"{name}." for name in layout.after]
    return {n: p for n, p in encoder.model.named_parameters() if n.startswith(tuple(wanted))}
