"""How fast shared blocks are against the same computation written the usual way.

Both sides run in turns in one process; what counts is the CPU time of one thread, so that other
work on the machine disturbs little. Prints a markdown table:
``python benchmarks/blocks.py > docs/measured/blocks.md``
"""

import time
from collections.abc import Callable
from statistics import median

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sr_zoo import blocks

SIZE = (180, 320)  # what is enlarged to 1280x720 at x4
CHANNELS = 36  # SeemoRe-T's
REPEATS = 15
Side = Callable[[Tensor], Tensor]


def experts_all_run() -> Side:
    """Return MoRE in its usual form: one expert after the other, one of them kept."""
    block = blocks.MoRE(CHANNELS, [2, 4, 8]).eval()

    def run(x: Tensor) -> Tensor:
        gate, chosen = block.router(x).max(dim=-1)
        picked = F.one_hot(chosen, len(block.experts)).to(x.dtype)[..., None, None, None]
        outputs = torch.stack([expert(x, x) for expert in block.experts], dim=1)
        return x + gate[:, None, None, None] * (picked * outputs).sum(1)

    return run


def plain_norm() -> Side:
    """Return layer normalisation over channels as most super-resolution code writes it."""
    norm = blocks.LayerNorm2d(CHANNELS, 1e-6)

    def run(x: Tensor) -> Tensor:
        centred = x - x.mean(1, keepdim=True)
        scaled = centred / (centred.square().mean(1, keepdim=True) + norm.eps).sqrt()
        return norm.weight[:, None, None] * scaled + norm.bias[:, None, None]

    return run


def shuffled_chunks(conv: nn.Conv2d) -> Side:
    """Return a 1x1 convolution whose output is shuffled and halved, then convolved."""
    shuffle = nn.ChannelShuffle(2)
    depthwise = nn.Conv2d(CHANNELS, CHANNELS, 3, padding=1, groups=CHANNELS)

    def run(x: Tensor) -> Tensor:
        first, second = shuffle(conv(x)).chunk(2, dim=1)
        return first * depthwise(second)

    return run


def compact_halves(conv: nn.Conv2d) -> Side:
    """Return the same with the convolution's weights halved in place of its output."""
    depthwise = nn.Conv2d(CHANNELS, CHANNELS, 3, padding=1, groups=CHANNELS)

    def run(x: Tensor) -> Tensor:
        first, second = blocks.half_convs(conv, shuffle=True)
        return first(x) * depthwise(second(x))

    return run


def pairs() -> dict[str, tuple[Side, Side]]:
    """Return for each block its usual form, run on NCHW memory, and the library's."""
    more = blocks.MoRE(CHANNELS, [2, 4, 8]).eval()
    expand = nn.Conv2d(CHANNELS, 2 * CHANNELS, 1)
    striped = blocks.StripedConv2d(CHANNELS, 11)
    gated = blocks.GatedFFN(CHANNELS, 2 * CHANNELS)
    esa = blocks.ESA(CHANNELS, 16, num_convs=1)
    conv = nn.Conv2d(CHANNELS, CHANNELS, 3, padding=1)
    return {
        "`MoRE`: the experts as one": (experts_all_run(), lambda x: more(x, x)),
        "`LayerNorm2d`: one operation": (plain_norm(), blocks.LayerNorm2d(CHANNELS, 1e-6)),
        "`half_convs`: shuffled weights": (shuffled_chunks(expand), compact_halves(expand)),
        "`StripedConv2d`, k = 11": (striped, striped),
        "`GatedFFN`": (gated, gated),
        "`ESA`": (esa, esa),
        "3x3 convolution": (conv, conv),
    }


@torch.inference_mode()
def main() -> None:
    """Print the table."""
    torch.set_num_threads(1)
    nchw = torch.rand(1, CHANNELS, *SIZE)
    nhwc = nchw.contiguous(memory_format=torch.channels_last)
    size = f"{SIZE[1]}x{SIZE[0]} pixels"
    print(f"Maps of {CHANNELS} channels and {size}, one thread, median of {REPEATS}:\n")
    print("| block | usual form, NCHW | here, channels last | faster by |")
    print("|---|---|---|---|")
    for name, (usual, ours) in pairs().items():
        times: tuple[list[float], list[float]] = ([], [])
        for _ in range(REPEATS):
            for kept, run, x in zip(times, (usual, ours), (nchw, nhwc), strict=True):
                start = time.thread_time()
                run(x)
                kept.append(time.thread_time() - start)
        before, after = (median(kept) * 1e3 for kept in times)
        print(f"| {name} | {before:.1f} ms | {after:.1f} ms | {before / after:.1f} |")


if __name__ == "__main__":
    main()
