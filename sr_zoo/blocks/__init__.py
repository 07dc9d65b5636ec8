"""Blocks that two or more networks share, or that users build networks of their own from."""

from sr_zoo.blocks.attention import ESA, CALayer, ContrastAwareCALayer
from sr_zoo.blocks.color import DIV2K_MEAN, MeanShift
from sr_zoo.blocks.conv import BSConv, ConvChain, StripedConv2d, conv3x3
from sr_zoo.blocks.distillation import FeatureDistillation, InformationMultiDistillation
from sr_zoo.blocks.edge_conv import EdgeOrientedConv, IdentityEdgeOrientedConv
from sr_zoo.blocks.efficient_transformer import ChunkedAttention, EfficientTransformer
from sr_zoo.blocks.ffn import MLP, GatedFFN
from sr_zoo.blocks.moe import LowRankExpert, MoRE, Router
from sr_zoo.blocks.norm import LayerNorm2d
from sr_zoo.blocks.padding import crop, next_multiple, pad_to_minimum, pad_to_multiple
from sr_zoo.blocks.reparam import ParallelConvs
from sr_zoo.blocks.tile_view import TileView, global_cosine, global_mean, resize_pooled
from sr_zoo.blocks.upsample import PixelShuffleUpsampler, StagedUpsampler
from sr_zoo.blocks.window import (
    RelativePositionBias,
    WindowAttention,
    attend,
    join_heads,
    merge,
    partition,
    relative_position_index,
    shift_mask,
    split_heads,
)

__all__ = [
    "DIV2K_MEAN",
    "ESA",
    "MLP",
    "BSConv",
    "CALayer",
    "ChunkedAttention",
    "ContrastAwareCALayer",
    "ConvChain",
    "EdgeOrientedConv",
    "EfficientTransformer",
    "FeatureDistillation",
    "GatedFFN",
    "IdentityEdgeOrientedConv",
    "InformationMultiDistillation",
    "LayerNorm2d",
    "LowRankExpert",
    "MeanShift",
    "MoRE",
    "ParallelConvs",
    "PixelShuffleUpsampler",
    "RelativePositionBias",
    "Router",
    "StagedUpsampler",
    "StripedConv2d",
    "TileView",
    "WindowAttention",
    "attend",
    "conv3x3",
    "crop",
    "global_cosine",
    "global_mean",
    "join_heads",
    "merge",
    "next_multiple",
    "pad_to_minimum",
    "pad_to_multiple",
    "partition",
    "relative_position_index",
    "resize_pooled",
    "shift_mask",
    "split_heads",
]
