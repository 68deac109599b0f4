"""How hard a small causal model finds an answer, with its prompt and without.

The one idea: only the tokens of the answer are counted, so both numbers are about the same words,
and their ratio says what the prompt is worth. A folder of transformers is opened as it is; a GGUF
file is turned into one once, in the cache, as reading it takes a hundred times longer.
"""

from __future__ import annotations

import hashlib
import importlib.util
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from .errors import FitError
from .keys import FloatArray

MAX_TOKENS = 512
"""Most tokens of an answer that are read, and of the end of a prompt."""

BATCH_TOKENS = 2048
SCALED = ("logits_scaling", "logit_scale", "final_logit_softcapping")
"""Where a config has one of these, its head does more than one product."""


@dataclass(frozen=True, slots=True)
class CausalModel:
    """An opened causal model. revision: hash of its weights, 32 hexadecimal digits."""

    revision: str
    tokenizer: Any
    model: Any


@dataclass(frozen=True, slots=True)
class AnswerLosses:
    """Nats a token of each answer, shape (n,): with the prompt before it, and alone.

    NaN where an answer has no token that can be scored. cut: how many answers were longer than
    MAX_TOKENS, and were read up to there.
    """

    given: FloatArray
    alone: FloatArray
    cut: int


def causal_revision(folder: Path) -> str:
    """Hash the weights of a folder, or of its GGUF file; 32 hexadecimal digits.

    Raises:
        FitError: There are none.
    """
    digest = hashlib.blake2b(digest_size=16)
    for path in _weights(folder):
        digest.update(path.name.encode())
        with path.open("rb") as file:
            while block := file.read(1 << 22):
                digest.update(block)
    return digest.hexdigest()


def open_causal(folder: Path, *, cache: Path) -> CausalModel:
    """Open a causal model for scoring, in float32.

    Args:
        folder: A transformers folder, or one that holds a single GGUF file.
        cache: Gets the converted model where it is GGUF; may be deleted.

    Raises:
        FitError: It cannot be read, or the library `gguf` is missing.
    """
    from transformers.utils import logging

    logging.disable_progress_bar()
    revision = causal_revision(folder)
    if _weights(folder)[0].suffix == ".gguf":
        folder = _converted(_weights(folder)[0], cache / "models" / f"gguf-{revision}")
    from transformers import AutoModelForCausalLM, AutoTokenizer

    try:
        tokenizer = AutoTokenizer.from_pretrained(str(folder), local_files_only=True)
        model = AutoModelForCausalLM.from_pretrained(str(folder), local_files_only=True)
    except Exception as error:
        raise FitError(
            f"{folder}: no causal model can be opened here ({str(error).splitlines()[0]})"
        ) from error
    return CausalModel(revision, tokenizer, model.float().eval())


def answer_losses(
    prompts: Sequence[str], answers: Sequence[str], model: CausalModel, *, device: str = "cpu"
) -> AnswerLosses:
    """Score answers, with their prompts and without.

    Args:
        prompts: n prompts, without the marks of a chat template; the one of the model is used.
        answers: n answers.
        model: An opened model.
        device: Where it runs.

    Source: Li et al. 2024, From Quantity to Quality: IFD is the ratio of the two.
    """
    before, after, cut = [], [], 0
    for prompt, answer in zip(prompts, answers, strict=True):
        ids = model.tokenizer(answer, add_special_tokens=False)["input_ids"]
        cut += len(ids) > MAX_TOKENS
        after.append(ids[:MAX_TOKENS])
        before.append(_asked(prompt, model.tokenizer)[-MAX_TOKENS:])
    opening = [_opening(model)] * len(after)
    return AnswerLosses(
        _scored(before, after, model, device), _scored(opening, after, model, device), cut
    )


def _weights(folder: Path) -> list[Path]:
    if folder.is_file():
        return [folder]
    for pattern in ("*.safetensors", "pytorch_model*.bin", "*.gguf"):
        if found := sorted(folder.glob(pattern)):
            if pattern == "*.gguf" and len(found) > 1:
                raise FitError(f"{folder}: {len(found)} GGUF files; name one of them")
            return found
    raise FitError(
        f"{folder}: no weights of a causal model; expected *.safetensors, pytorch_model.bin or one "
        "*.gguf"
    )


def _converted(gguf: Path, target: Path) -> Path:
    """Turn a GGUF file into a folder that loads fast; whole or not at all."""
    if target.exists():
        return target
    if importlib.util.find_spec("gguf") is None:
        raise FitError(f"{gguf.name}: reading GGUF needs the library gguf: pip install gguf")
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig

    target.parent.mkdir(parents=True, exist_ok=True)
    place = Path(tempfile.mkdtemp(dir=target.parent, prefix=".gguf-"))
    try:
        source, name = str(gguf.parent), gguf.name
        model: Any = AutoModelForCausalLM.from_pretrained(
            source,
            gguf_file=name,
            dtype=torch.float32,
            quantization_config=GgufConfig(dequantize=True),
        )
        # It still calls itself quantised, and would not be written.
        model.hf_quantizer, model.is_quantized = None, False
        if hasattr(model.config, "quantization_config"):
            del model.config.quantization_config
        model.save_pretrained(str(place))
        AutoTokenizer.from_pretrained(source, gguf_file=name).save_pretrained(str(place))
        place.rename(target)
    except Exception as error:
        raise FitError(f"{gguf}: cannot be read ({str(error).splitlines()[0]})") from error
    finally:
        shutil.rmtree(place, ignore_errors=True)
    return target


def _asked(prompt: str, tokenizer: Any) -> list[int]:
    if tokenizer.chat_template:
        told = tokenizer.apply_chat_template(
            [{"role": "user", "content": prompt}], add_generation_prompt=True, tokenize=False
        )
        return list(tokenizer(told, add_special_tokens=False)["input_ids"])
    return list(tokenizer(f"{prompt}\n", add_special_tokens=True)["input_ids"])


def _opening(model: CausalModel) -> list[int]:
    """Give the token before an answer without a prompt: the first needs something to go by."""
    start = model.tokenizer.bos_token_id
    start = model.tokenizer.eos_token_id if start is None else start
    return [0 if start is None else int(start)]


def _scored(
    before: Sequence[list[int]], after: Sequence[list[int]], model: CausalModel, device: str
) -> FloatArray:
    import torch

    found = np.full(len(after), np.nan)
    order = sorted(range(len(after)), key=lambda i: (len(before[i]) + len(after[i]), i))
    some = [i for i in order if after[i]]
    network = model.model.to(device)
    start = 0
    with torch.inference_mode():
        while start < len(some):
            stop = start + 1
            while (
                stop < len(some)
                and (stop - start + 1) * (len(before[some[stop]]) + len(after[some[stop]]))
                <= BATCH_TOKENS
            ):
                stop += 1
            batch = some[start:stop]
            found[batch] = _batch([before[i] for i in batch], [after[i] for i in batch], network)
            start = stop
    return found


def _batch(before: Sequence[list[int]], after: Sequence[list[int]], network: Any) -> FloatArray:
    """Score one batch; only positions before a token of an answer meet the wide head."""
    import torch

    length = max(len(b) + len(a) for b, a in zip(before, after, strict=True))
    ids = torch.zeros((len(after), length), dtype=torch.long)
    mask = torch.zeros_like(ids)
    counted = torch.zeros_like(ids, dtype=torch.bool)
    for i, (b, a) in enumerate(zip(before, after, strict=True)):
        ids[i, : len(b) + len(a)] = torch.tensor([*b, *a])
        mask[i, : len(b) + len(a)] = 1
        counted[i, len(b) - 1 : len(b) + len(a) - 1] = True
    place = next(network.parameters()).device
    ids, mask, counted = ids.to(place), mask.to(place), counted.to(place)
    if any(getattr(network.config, name, None) for name in SCALED):
        logits = network(input_ids=ids, attention_mask=mask).logits[counted].float()
    else:
        hidden = network.base_model(input_ids=ids, attention_mask=mask).last_hidden_state
        logits = network.get_output_embeddings()(hidden[counted]).float()
    goal = ids.roll(-1, dims=1)[counted]
    losses = torch.nn.functional.cross_entropy(logits, goal, reduction="none").cpu()
    owner = counted.nonzero()[:, 0].cpu()
    total = torch.zeros(len(after)).index_add(0, owner, losses)
    return np.asarray((total / torch.bincount(owner, minlength=len(after))).numpy())
