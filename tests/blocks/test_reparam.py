"""Merged convolutions compute what the layers they stand for compute, borders included."""

from copy import deepcopy

import pytest
import torch
from torch import nn
from torch.nn.utils import prune

from sr_zoo.blocks.reparam import (
    ParallelConvs,
    as_conv,
    fold_batch_norm,
    identity_conv,
    merge_parallel,
    merge_sequence,
)

X = torch.rand(2, 4, 7, 6)


def assert_same(merged, layers, x=X):
    assert type(merged) is nn.Conv2d
    with torch.inference_mode():
        expected, got = layers(x), merged(x)
    assert got.shape == expected.shape
    assert torch.allclose(got, expected, atol=1e-5)


def trained_norm(channels):
    norm = nn.BatchNorm2d(channels)
    with torch.no_grad():
        for tensor in (norm.weight, norm.bias, norm.running_mean):
            tensor.normal_()
        norm.running_var.uniform_(0.5, 2)
    return norm.eval()


@pytest.mark.parametrize(
    "layers",
    [
        (nn.Conv2d(4, 8, 1, padding=1), nn.Conv2d(8, 5, 3)),
        (nn.Conv2d(4, 8, 3, padding=1), nn.Conv2d(8, 5, 1)),
        (nn.Conv2d(4, 8, 3), nn.Conv2d(8, 5, 2)),
        (nn.Conv2d(4, 8, 1, padding=2), nn.Conv2d(8, 8, 3, groups=4), nn.Conv2d(8, 3, 3)),
        (nn.Conv2d(4, 8, (1, 3), padding=(2, 1), bias=False), nn.Conv2d(8, 8, (5, 1))),
    ],
    ids=["1x1-3x3", "3x3-1x1", "unpadded", "1x1-grouped-3x3", "1x3-5x1"],
)
def test_a_chain_becomes_one_convolution(layers):
    assert_same(merge_sequence(layers), nn.Sequential(*layers))


def test_a_sum_becomes_one_convolution():
    branches = {
        "plain": nn.Conv2d(4, 4, 3, padding=1),
        "wide": nn.Conv2d(4, 4, (1, 5), padding=(0, 2), bias=False),
        "depthwise": nn.Conv2d(4, 4, 3, padding=1, groups=4),
        "chain": nn.Sequential(nn.Conv2d(4, 8, 1, padding=1), nn.Conv2d(8, 4, 3)),
        "nested": ParallelConvs(4, {"a": nn.Conv2d(4, 4, 1), "b": nn.Identity()}),
        "norm": trained_norm(4),
        "skip": nn.Identity(),
    }
    block = ParallelConvs(4, branches)
    assert_same(block.fuse(), block)
    assert block.fuse().kernel_size == (3, 5)


def test_batch_normalisation_folds_into_the_convolution_before_it():
    conv, norm = nn.Conv2d(4, 6, 3, padding=1, groups=2), trained_norm(6)
    assert_same(fold_batch_norm(conv, norm), nn.Sequential(conv, norm))


def test_identity_keeps_every_pixel():
    assert torch.equal(identity_conv(4, 3)(X), X)


def test_merging_leaves_the_originals_alone_and_keeps_the_type():
    conv = nn.Conv2d(4, 4, 3, padding=1).half()
    before = conv.weight.clone()
    merged = merge_parallel([conv, conv])
    assert merged.weight.dtype == torch.float16
    assert torch.equal(conv.weight, before)
    assert torch.equal(merged.weight, 2 * before)


def test_what_cannot_be_merged_says_why():
    with pytest.raises(ValueError, match="pad before the first"):
        merge_sequence([nn.Conv2d(4, 4, 1), nn.Conv2d(4, 4, 3, padding=1)])
    with pytest.raises(ValueError, match="stride"):
        merge_sequence([nn.Conv2d(4, 4, 3, padding=1), nn.Conv2d(4, 4, 1, stride=2)])
    with pytest.raises(ValueError, match="keep height and width"):
        merge_parallel([nn.Conv2d(4, 4, 3)])
    with pytest.raises(ValueError, match="running statistics"):
        fold_batch_norm(nn.Conv2d(4, 4, 1), nn.BatchNorm2d(4, track_running_stats=False))
    with pytest.raises(TypeError, match="ReLU"):
        as_conv(nn.ReLU(), 4)


def test_padding_that_is_not_by_zeros_is_refused():
    mirrored = nn.Conv2d(4, 4, 3, padding=1, padding_mode="reflect")
    block = ParallelConvs(4, {"mirrored": mirrored, "pointwise": nn.Conv2d(4, 4, 1)})
    with pytest.raises(ValueError, match="only padding by zeros can be merged, not by 'reflect'"):
        block.fuse()
    spread = nn.Conv2d(4, 4, 3, padding=1, dilation=2)
    with pytest.raises(ValueError, match="stride and dilation 1"):
        merge_parallel([spread, nn.Conv2d(4, 4, 3, padding=1)])


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
@pytest.mark.parametrize("first", [nn.Identity(), trained_norm(4)], ids=["skip", "norm"])
def test_a_sum_keeps_its_type_whichever_branch_comes_first(first, dtype):
    branches = {"first": first, "conv": nn.Conv2d(4, 4, 3, padding=1)}
    block = ParallelConvs(4, branches).to(dtype).eval()
    merged = block.fuse()
    assert merged.weight.dtype == merged.bias.dtype == dtype
    assert merged(X.to(dtype)).dtype == dtype


def test_kernels_are_rounded_once_at_the_end():
    wide = nn.Sequential(nn.Conv2d(4, 8, 1, padding=1), nn.Conv2d(8, 4, 3), trained_norm(4))
    nested = ParallelConvs(4, {"wide": wide, "pointwise": nn.Conv2d(4, 4, 1)})
    block = ParallelConvs(4, {"nested": nested, "norm": trained_norm(4), "skip": nn.Identity()})
    single, exact = block.eval().fuse(), deepcopy(block).double().fuse()
    torch.testing.assert_close(exact(X.double()), block.double()(X.double()), atol=1e-12, rtol=0)
    assert torch.equal(single.weight, exact.weight.float())
    assert torch.equal(single.bias, exact.bias.float())


def test_pruned_layers_are_merged_as_they_run():
    layers = [nn.Conv2d(4, 8, 3, padding=1), nn.Conv2d(8, 4, 1)]
    block = ParallelConvs(4, {"chain": nn.Sequential(*layers), "skip": nn.Identity()})
    for layer in layers:
        prune.l1_unstructured(layer, "weight", 0.3)
        prune.l1_unstructured(layer, "bias", 0.5)
    assert_same(block.fuse(), block)
    for layer in layers:  # as a checkpoint does; the next call makes the weights of these
        nn.init.normal_(layer.weight_orig)
        nn.init.normal_(layer.bias_orig)
    merged = block.fuse()
    assert_same(merged, block)
    assert_same(merge_sequence(layers), nn.Sequential(*layers))


def test_merging_takes_the_device_of_the_weights():
    branches = {"conv": nn.Conv2d(4, 4, 3, padding=1, bias=False), "skip": nn.Identity()}
    block = ParallelConvs(4, {**branches, "norm": trained_norm(4)}).eval()
    with torch.device("meta"):
        merged = block.fuse()
    assert_same(merged, block)
