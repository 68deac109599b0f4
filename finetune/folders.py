"""A model's folder: what must lie in it, what it is worth (its hash), and how it is loaded.

The one idea: a model is its bytes. The revision is a hash of weights, config and tokenizer, so a
renamed folder is the same model and an edited one is another. Nothing is loaded from anywhere else.
"""

from __future__ import annotations

import hashlib
import json
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .errors import FitError
from .keys import hash_parts

WEIGHTS = ("model.safetensors", "model.safetensors.index.json", "pytorch_model.bin")
TOKENIZERS = ("tokenizer.json", "vocab.txt", "sentencepiece.bpe.model", "spiece.model")
POOLING = "1_Pooling/config.json"
POOLINGS = ("mean", "cls", "last")

NUMBERS = {
    "hidden_size": ("n_embd", "dim", "d_model"),
    "num_hidden_layers": ("n_layer", "n_layers", "num_layers"),
    "max_position_embeddings": ("n_positions", "n_ctx", "max_seq_len"),
}
"""What older architectures call them."""

TARGETS = {
    "distilbert": ("q_lin", "v_lin"),
    "gpt2": ("c_attn",),
    "gpt_neox": ("query_key_value",),
    "bloom": ("query_key_value",),
    "modernbert": ("Wqkv",),
    "deberta-v2": ("query_proj", "value_proj"),
    "mpnet": ("q", "v"),
    "t5": ("q", "v"),
    "bert": ("query", "value"),
    "roberta": ("query", "value"),
    "xlm-roberta": ("query", "value"),
    "electra": ("query", "value"),
    "camembert": ("query", "value"),
    "ernie": ("query", "value"),
}
"""Layers that get an adapter, by model type; see `ModelFolder.targets` for the others."""

BROKEN = "copy its folder again, a large file may be cut short or a Git LFS pointer"

DECODER_TARGETS = ("q_proj", "v_proj")
"""What Llama named them, and most causal models since."""


@dataclass(frozen=True, slots=True)
class ModelFolder:
    """A checked transformers folder.

    content: hash of all files that its vectors depend on, 32 hexadecimal digits.
    pooling: mean, cls or last: as asked, else as the folder's own pooling config says, else mean.
    max_positions: the most tokens the model takes.
    kind: its model_type.
    words: hash of the tokenizer's files.
    remote_code: hash of the folder's own code, which is run; None where it is not.
    """

    path: Path
    name: str
    content: str
    dimensions: int
    layers: int
    max_positions: int
    pooling: str
    kind: str = ""
    words: str = ""
    remote_code: str | None = None

    def revision(self, max_tokens: int, prefix: str = "") -> str:
        """Hash what a vector depends on; 32 hexadecimal digits."""
        more = [part for part in (prefix, self.remote_code) if part]
        return hash_parts("encoder", self.content, self.pooling, str(max_tokens), *more)

    @property
    def targets(self) -> tuple[str, ...]:
        """Names of the layers that get an adapter where the recipe names none."""
        return TARGETS.get(self.kind, DECODER_TARGETS)

    def load_model(self) -> Any:
        """Load the model in float32 for inference.

        Raises:
            FitError: The weights cannot be read, or do not fill the model.
        """
        from transformers import AutoModel
        from transformers.utils import logging

        logging.disable_progress_bar()
        told = logging.get_verbosity()
        # Its report of tensors that are not needed, such as a language model's head, is no news.
        logging.set_verbosity_error()
        try:
            # Eager attention: the fused kernel takes another way when no row of a batch is padded.
            model, info = AutoModel.from_pretrained(
                str(self.path),
                local_files_only=True,
                attn_implementation="eager",
                output_loading_info=True,
                trust_remote_code=self.remote_code is not None,
            )
        except MemoryError as error:
            raise FitError(f"{self.path}: not enough memory to load this model") from error
        except Exception as error:
            raise FitError(
                f"{self.path}: this model cannot be loaded ({_first_line(error)}); "
                + (self._own_code() or BROKEN)
            ) from error
        finally:
            logging.set_verbosity(told)
        missing = [name for name in info["missing_keys"] if "pooler" not in name]
        if missing:
            raise FitError(
                f"{self.path}: the weights lack {len(missing)} tensors, first {min(missing)}; "
                "this is not a complete encoder"
            )
        model.config.use_cache = (
            False  # of keys and values, for writing text, which is not done here
        )
        return model.float().eval().requires_grad_(requires_grad=False)

    def _own_code(self) -> str:
        """Say that the model may need code of its own, and how to allow it; empty if it has none.

        This is told where it failed to load without.
        """
        code = code_hash(self.path)
        if code is None or self.remote_code is not None:
            return ""
        return (
            f"the folder brings code of its own, which is not run unless it is named by its hash: "
            f"read it, then write remote_code: {code}"
        )

    def load_tokenizer(self) -> Any:
        """Load the tokenizer.

        Raises:
            FitError: Its files cannot be read.
        """
        from transformers import AutoTokenizer

        try:
            return AutoTokenizer.from_pretrained(
                str(self.path),
                local_files_only=True,
                trust_remote_code=self.remote_code is not None,
            )
        except Exception as error:
            raise FitError(
                f"{self.path}: the tokenizer cannot be loaded ({_first_line(error)}); "
                + (self._own_code() or f"one of {', '.join(TOKENIZERS)} must be whole")
            ) from error


def open_folder(
    source: Path | str,
    *,
    download: bool = False,
    pooling: str | None = None,
    remote_code: str | None = None,
) -> ModelFolder:
    """Check a model's folder and hash it.

    Args:
        source: The folder, or `hf:owner/name`.
        download: Whether a hub name that is not on this machine may be fetched.
        pooling: mean, cls or last; None for what the folder says.
        remote_code: Hash of the folder's own code, as `code_hash` gives it, to allow that it runs.

    Raises:
        FitError: The folder is missing or incomplete (which file), or the hub is out of reach, or
            its code is not the one that was named.
    """
    name = str(source)
    if isinstance(source, str) and source.startswith("hf:"):
        path = _from_hub(source.removeprefix("hf:"), download=download)
    else:
        path = Path(source)
        name = path.parent.name if path.name == "model" else path.name
    if not path.is_dir():
        raise FitError(
            f"{path}: no such model folder; name a transformers folder on this machine, "
            "or write hf:owner/name for one from the hub"
        )
    config = _config(path)
    if pooling is not None and pooling not in POOLINGS:
        raise FitError(f"{name}: pooling is {pooling!r}, expected one of {list(POOLINGS)}")
    if remote_code is not None:
        _check_code(path, config, remote_code)
    words = _tokenizer(path)
    files = [path / "config.json", *_weights(path), *words]
    return ModelFolder(
        path=path,
        name=name,
        content=_content(path, files),
        dimensions=config["hidden_size"],
        layers=config["num_hidden_layers"],
        max_positions=config.get("max_position_embeddings", 512),
        pooling=pooling or _pooling(path),
        kind=str(config.get("model_type", "")),
        words=_content(path, words),
        remote_code=remote_code,
    )


def code_hash(path: Path) -> str | None:
    """Hash a folder's Python files, 32 hexadecimal digits; None where it has none."""
    files = sorted(path.rglob("*.py"))
    return _content(path, files) if files else None


def _check_code(path: Path, config: dict[str, Any], named: str) -> None:
    if (found := code_hash(path)) != named:
        raise FitError(
            f"{path}: remote_code names {named}, the code in this folder has the hash {found}; "
            "read it again before you allow it"
        )
    elsewhere = [v for v in config.get("auto_map", {}).values() if "--" in str(v)]
    if elsewhere:
        raise FitError(
            f"{path}: config.json points to code of another repository ({elsewhere[0]}), which no "
            "hash of this folder covers; put that code into the folder"
        )


def _config(path: Path) -> dict[str, Any]:
    file = path / "config.json"
    if not file.is_file():
        raise FitError(f"{path}: config.json is missing; this is not a transformers folder")
    try:
        config = json.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise FitError(f"{file}: not JSON ({error}); copy the model again") from error
    if not isinstance(config, dict):
        raise FitError(f"{file}: not a JSON object; copy the model again")
    for key, others in NUMBERS.items():
        older = [config[name] for name in others if name in config]
        if key not in config and older:
            config[key] = older[0]
    for key in ("hidden_size", "num_hidden_layers"):
        if not isinstance(config.get(key), int):
            raise FitError(
                f"{file}: has no whole number {key!r} (model_type {config.get('model_type')!r}); "
                "a text model such as BERT, GPT-2 or Llama is needed"
            )
    return config


def _weights(path: Path) -> list[Path]:
    found = next((path / name for name in WEIGHTS if (path / name).is_file()), None)
    if found is None:
        raise FitError(f"{path}: no weights; expected one of {', '.join(WEIGHTS)}")
    if found.suffix != ".json":
        return [found]
    parts = json.loads(found.read_text(encoding="utf-8"))["weight_map"].values()
    files = sorted({path / part for part in parts})
    for file in files:
        if not file.is_file():
            raise FitError(f"{file}: this part of the weights is missing; copy the model again")
    return [found, *files]


def _tokenizer(path: Path) -> list[Path]:
    if not any((path / name).is_file() for name in TOKENIZERS):
        raise FitError(f"{path}: no tokenizer; expected one of {', '.join(TOKENIZERS)}")
    names = (*TOKENIZERS, "merges.txt", "vocab.json", "tokenizer_config.json", "added_tokens.json")
    return [path / name for name in names if (path / name).is_file()]


def _pooling(path: Path) -> str:
    file = path / POOLING
    if not file.is_file():
        return "mean"
    modes = json.loads(file.read_text(encoding="utf-8"))
    on = [k for k, v in modes.items() if k.startswith("pooling_mode_") and v is True]
    known = {
        "pooling_mode_mean_tokens": "mean",
        "pooling_mode_cls_token": "cls",
        "pooling_mode_lasttoken": "last",
    }
    if len(on) != 1 or on[0] not in known:
        raise FitError(f"{file}: pooling {on} is not known here; one of {sorted(known)} is")
    return known[on[0]]


def _content(path: Path, files: list[Path]) -> str:
    parts = []
    for file in files:
        with file.open("rb") as opened:
            parts += [file.relative_to(path).as_posix(), _digest(opened)]
    return hash_parts(*parts)


def _digest(opened: Any) -> str:
    return hashlib.file_digest(opened, "sha256").hexdigest()


def _from_hub(name: str, *, download: bool) -> Path:
    import huggingface_hub
    from huggingface_hub.errors import LocalEntryNotFoundError

    try:
        return Path(huggingface_hub.snapshot_download(name, local_files_only=True))
    except LocalEntryNotFoundError as error:
        if not download:
            raise FitError(
                f"hf:{name}: not on this machine, and nothing is fetched unless allowed; "
                "list the hub under egress: in the recipe, or name a local folder"
            ) from error
    except ValueError as error:
        raise FitError(f"hf:{name}: not a hub name ({error}); expected hf:owner/name") from error
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return Path(
                huggingface_hub.snapshot_download(
                    name, etag_timeout=10, ignore_patterns=["*.onnx", "*.h5", "*.msgpack", "*.ot"]
                )
            )
    except Exception as error:
        raise FitError(
            f"hf:{name}: the hub did not give this model ({_first_line(error)}); "
            "check the name and the network, or name a local folder"
        ) from error


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
