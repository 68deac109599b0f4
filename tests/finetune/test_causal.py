"""Losses of answers by a causal model, against the library's own."""

from __future__ import annotations

import numpy as np
import pytest

from finetune import FitError, answer_losses, causal_revision, open_causal
from finetune.causal import MAX_TOKENS


@pytest.fixture(scope="module")
def tiny_llama(tmp_path_factory):
    """A random Llama of 2 layers whose tokens are letters, in a folder of its own."""
    import torch
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    folder = tmp_path_factory.mktemp("tiny-llama")
    vocabulary = {c: i for i, c in enumerate(["<s>", "?", *"abcdefgh \n"])}
    tokens = Tokenizer(models.WordLevel(vocabulary, unk_token="?"))
    tokens.pre_tokenizer = pre_tokenizers.Split("", "isolated")
    PreTrainedTokenizerFast(
        tokenizer_object=tokens, bos_token="<s>", unk_token="?"
    ).save_pretrained(str(folder))
    config = LlamaConfig(
        vocab_size=len(vocabulary),
        hidden_size=16,
        intermediate_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        bos_token_id=0,
        eos_token_id=0,
    )
    with torch.random.fork_rng():
        torch.manual_seed(0)
        LlamaForCausalLM(config).save_pretrained(str(folder))
    return folder


def test_losses_are_those_of_the_library_over_the_answers_tokens_alone(tiny_llama, tmp_path):
    import torch

    opened = open_causal(tiny_llama, cache=tmp_path)
    found = answer_losses(["abc", "d"], ["efg", "hhhhh h"], opened)

    for i, (prompt, answer) in enumerate((("abc\n", "efg"), ("d\n", "hhhhh h"))):
        for start, said in ((list(prompt), found.given), (["<s>"], found.alone)):
            ids = opened.tokenizer.convert_tokens_to_ids([*start, *answer])
            labels = torch.tensor([[-100] * len(start) + ids[len(start) :]])
            with torch.inference_mode():
                wanted = opened.model(input_ids=torch.tensor([ids]), labels=labels).loss
            assert float(wanted) == pytest.approx(said[i], abs=1e-5)


def test_an_answer_without_tokens_has_no_loss_and_a_long_one_is_read_in_part(tiny_llama, tmp_path):
    opened = open_causal(tiny_llama, cache=tmp_path)
    found = answer_losses(["a", "a", "a"], ["", "b" * (MAX_TOKENS + 5), "b"], opened)

    assert [True, False, False] == np.isnan(found.given).tolist()
    assert 1 == found.cut


def test_a_loss_does_not_depend_on_the_other_answers(tiny_llama, tmp_path):
    opened = open_causal(tiny_llama, cache=tmp_path)
    alone = answer_losses(["abc"], ["de"], opened)
    among = answer_losses(["abc", "a" * 50], ["de", "b" * 90], opened)

    assert among.given[0] == pytest.approx(alone.given[0], abs=1e-5)


def test_a_folder_without_weights_says_what_was_expected(tmp_path):
    with pytest.raises(FitError, match=r"expected \*\.safetensors, pytorch_model\.bin or one"):
        causal_revision(tmp_path)
