"""Blocks that two or more networks share, or that users build networks of their own from."""

from sr_zoo.blocks.attention import ESA, CALayer, ContrastAwareCALayer
from sr_zoo.blocks.color import DIV2K_MEAN, MeanShift
from sr_zoo.blocks.conv import BSConv, StripedConv2d
from sr_zoo.blocks.distillation import FeatureDistillation, InformationMultiDistillation
from sr_zoo.blocks.ffn import GatedFFN
from sr_zoo.blocks.moe import LowRankExpert, MoRE, Router
from sr_zoo.blocks.norm import LayerNorm2d
from sr_zoo.blocks.padding import crop, pad_to_minimum
from sr_zoo.blocks.tile_view import TileView, global_mean, resize_pooled
from sr_zoo.blocks.upsample import PixelShuffleUpsampler, StagedUpsampler

__all__ = [
    "DIV2K_MEAN",
    "ESA",
    "BSConv",
    "CALayer",
    "ContrastAwareCALayer",
    "FeatureDistillation",
    "GatedFFN",
    "InformationMultiDistillation",
    "LayerNorm2d",
    "LowRankExpert",
    "MeanShift",
    "MoRE",
    "PixelShuffleUpsampler",
    "Router",
    "StagedUpsampler",
    "StripedConv2d",
    "TileView",
    "crop",
    "global_mean",
    "pad_to_minimum",
    "resize_pooled",
]
