"""A transformer on overlapping 3x3 patches that attends within quarters of the image."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sr_zoo.blocks.ffn import MLP
from sr_zoo.blocks.window_attention import join_heads, split_heads

KERNEL_SIZE = 3
NUM_CHUNKS = 4
REST = NUM_CHUNKS


class ChunkedAttention(nn.Module):
    """Self-attention at half width among the tokens of one chunk (efficient multi-head attention).

    The sequence is cut into `NUM_CHUNKS` chunks of equal length; the tokens that this leaves over,
    three at most, form a chunk of their own. That costs a quarter of attention over all tokens.
    Source: Lu et al., ESRT, CVPRW 2022, section 3.3.

    Shape: (N, tokens, dim) to the same; any number of tokens from 1.

    Args:
        dim: Length of a token; even.
        num_heads: How many `dim` / 2 is split into.

    Raises:
        ValueError: `dim` / 2 is no multiple of `num_heads`.
    """

    def __init__(self, dim: int, num_heads: int) -> None:
        if dim % (2 * num_heads):
            raise ValueError(f"dim (={dim}) must be divisible by 2 * num_heads (={2 * num_heads})")
        super().__init__()
        half = dim // 2
        self.num_heads = num_heads
        self.scale = (dim // num_heads) ** -0.5  # the authors scale by the width before `reduce`
        self.reduce = nn.Linear(dim, half, bias=False)
        self.qkv = nn.Linear(half, 3 * half, bias=False)
        self.project = nn.Linear(half, dim)

    def forward(self, x: Tensor) -> Tensor:
        qkv = self.qkv(self.reduce(x))
        batch, length, width = qkv.shape
        chunk = length // NUM_CHUNKS
        cut = NUM_CHUNKS * chunk
        # one more row than can remain, masked, so that no size decides what is computed
        qkv = F.pad(qkv, (0, 0, 0, REST))
        chunks = self._attend(qkv[:, :cut].reshape(batch * NUM_CHUNKS, chunk, width))
        index = torch.arange(REST, device=x.device)
        valid = (index < length - cut) | (index == 0)  # a row without any key would be NaN
        rest = self._attend(qkv[:, cut : cut + REST], valid.expand(REST, REST))
        out = torch.cat([chunks.reshape(batch, cut, width // 3), rest], dim=1)
        return self.project(out[:, :length])

    def _attend(self, qkv: Tensor, mask: Tensor | None = None) -> Tensor:
        """Map queries, keys and values (N, tokens, dim * 3/2) to (N, tokens, dim / 2)."""
        query, key, value = (split_heads(part, self.num_heads) for part in qkv.chunk(3, dim=-1))
        out = F.scaled_dot_product_attention(query, key, value, attn_mask=mask, scale=self.scale)
        return join_heads(out)


class EfficientTransformer(nn.Module):
    """One transformer layer whose tokens are the 3x3 neighbourhoods of all pixels.

    The neighbourhoods overlap and are added up again without division, so that away from the
    border even the identity path comes out nine times as large. Source: Lu et al., ESRT, CVPRW 2022
    (efficient transformer); FIWHN uses it too.

    Attention runs across the image: a pixel sees the whole quarter of the raster that it lies in.

    Shape: (N, channels, H, W) to the same.

    Args:
        channels: Width of the input; a token has nine times as many values.
        num_heads: Of the attention.

    Raises:
        ValueError: Half a token cannot be split into `num_heads`.
    """

    MLP_REDUCTION = 4

    def __init__(self, channels: int, num_heads: int) -> None:
        super().__init__()
        dim = channels * KERNEL_SIZE**2
        self.norm_attention = nn.LayerNorm(dim)
        self.attention = ChunkedAttention(dim, num_heads)
        self.norm_mlp = nn.LayerNorm(dim)
        self.mlp = MLP(dim, dim // self.MLP_REDUCTION, act=nn.ReLU)

    def forward(self, x: Tensor) -> Tensor:
        size = (x.shape[-2], x.shape[-1])
        tokens = F.unfold(x, KERNEL_SIZE, padding=KERNEL_SIZE // 2).transpose(1, 2)
        tokens = tokens + self.attention(self.norm_attention(tokens))
        tokens = tokens + self.mlp(self.norm_mlp(tokens))
        return F.fold(tokens.transpose(1, 2), size, KERNEL_SIZE, padding=KERNEL_SIZE // 2)
