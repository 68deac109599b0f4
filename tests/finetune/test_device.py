import pytest

from finetune import FitError
from finetune.device import (
    MICRO_TOKENS,
    Machine,
    check_method,
    choose_device,
    choose_precision,
    this_machine,
)

PLAIN = Machine()
OLD_GPU = Machine(cuda=True)
GPU = Machine(cuda=True, cuda_bfloat16=True)


@pytest.mark.parametrize(
    ("machine", "device", "auto"),
    [
        (PLAIN, "cpu", "float32"),
        (OLD_GPU, "cuda", "float32"),
        (GPU, "cuda", "bfloat16"),
    ],
    ids=["processor", "old GPU", "GPU"],
)
def test_a_gpu_is_used_where_there_is_one_and_bfloat16_where_it_is_fast(machine, device, auto):
    assert device == choose_device(machine)
    assert auto == choose_precision("auto", machine)
    assert device in MICRO_TOKENS


def test_what_was_asked_for_is_kept_or_refused_and_never_changed():
    assert choose_precision("float32", GPU) == "float32"
    assert choose_precision("bfloat16", PLAIN) == "bfloat16"
    with pytest.raises(FitError, match="which this GPU does not have; write precision: float32"):
        choose_precision("bfloat16", OLD_GPU)


def test_qlora_says_what_it_lacks_and_what_to_write_instead():
    with pytest.raises(FitError, match=r"needs a GPU .* none is there; write method: lora"):
        check_method("qlora", PLAIN)
    with pytest.raises(FitError, match="needs bitsandbytes, which is not installed"):
        check_method("qlora", GPU)
    with pytest.raises(FitError, match="is not there yet"):
        check_method("qlora", Machine(cuda=True, four_bit=True))
    check_method("lora", PLAIN)


def test_this_machine_is_looked_at_without_loading_torch_where_no_driver_is():
    assert choose_device(this_machine()) in ("cpu", "cuda")
