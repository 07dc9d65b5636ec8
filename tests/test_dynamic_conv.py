"""The dynamic depthwise convolution of DLGSANet."""

import torch
from torch.nn import functional as F

from sr_zoo.inference.memory import PeakMemory
from sr_zoo.models.dlgsanet import KERNEL_SIZE, DynamicDepthwiseConv

CHANNELS, GROUP_WIDTH = 12, 6


@torch.inference_mode()
def test_memory_grows_with_the_output_and_not_with_the_unfolded_kernels():
    conv = DynamicDepthwiseConv(CHANNELS, GROUP_WIDTH).eval()
    for side in (48, 96, 192):
        x = torch.rand(1, CHANNELS, side, side)
        with PeakMemory() as memory:
            conv(x)
        # input with its border, output, one row of taps; unfolded it would be 49 outputs
        assert memory.peak < 5 * x.numel() * x.element_size()


@torch.inference_mode()
def test_each_pixel_has_its_own_kernel():
    torch.manual_seed(0)
    conv = DynamicDepthwiseConv(CHANNELS, GROUP_WIDTH).eval()
    x = torch.rand(2, CHANNELS, 9, 11)
    kernels = conv.kernels(conv.describe(x))
    kernels = kernels.reshape(2, CHANNELS // GROUP_WIDTH, 1, KERNEL_SIZE**2, 9, 11)
    unfolded = F.unfold(x, KERNEL_SIZE, padding=KERNEL_SIZE // 2)
    unfolded = unfolded.reshape(2, CHANNELS // GROUP_WIDTH, GROUP_WIDTH, KERNEL_SIZE**2, 9, 11)
    expected = (unfolded * kernels).sum(3).flatten(1, 2)
    torch.testing.assert_close(conv(x), expected, atol=1e-5, rtol=1e-5)
