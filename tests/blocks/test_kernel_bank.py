"""Kernels that are mixed for each image keep their shapes in files."""

import torch

from sr_zoo.blocks.kernel_bank import KernelBank


def test_files_hold_each_kernel_by_itself():
    bank = KernelBank(4, 3)
    state = bank.state_dict()
    assert {name: tuple(tensor.shape) for name, tensor in state.items()} == {
        "weight": (3, 4, 4, 3, 3),
        "bias": (3, 4),
    }
    for layout in (torch.contiguous_format, torch.channels_last):
        twin = KernelBank(4, 3).to(memory_format=layout)
        twin.load_state_dict(state)
        assert torch.equal(twin.kernels(), bank.kernels())
        assert torch.equal(twin.state_dict()["weight"], state["weight"])


def test_a_state_dict_holds_the_weights_themselves():
    bank = KernelBank(4, 3)
    bank.state_dict()["weight"].zero_()
    assert not bank.weight.any()
    with torch.device("meta"):
        empty = KernelBank(4, 3)
    state = KernelBank(4, 3).state_dict()
    empty.load_state_dict(state, assign=True)
    assert torch.equal(empty.state_dict()["weight"], state["weight"])
