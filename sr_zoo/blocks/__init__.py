"""Blocks that two or more networks share, or that users build networks of their own from."""

from sr_zoo.blocks.attention import ESA, CALayer, ContrastAwareCALayer, PixelAttention
from sr_zoo.blocks.cascade import CARNTrunk, Cascade, CascadeResidualBlock
from sr_zoo.blocks.cells import max_pool_to_cells, spread_cells
from sr_zoo.blocks.chain import CollectingChain
from sr_zoo.blocks.channels import channels_first, channels_last
from sr_zoo.blocks.color import DIV2K_MEAN, MeanShift, YCbCr
from sr_zoo.blocks.conv import (
    ClippedConvs,
    ConvChain,
    StripedConv2d,
    add_identity,
    bottleneck_conv,
    conv1x1,
    conv2d_each,
    conv3x3,
    half_convs,
)
from sr_zoo.blocks.distillation import FeatureDistillation, InformationMultiDistillation
from sr_zoo.blocks.edge_conv import EdgeOrientedConv, IdentityEdgeOrientedConv
from sr_zoo.blocks.edge_table import EdgeTable
from sr_zoo.blocks.efficient_transformer import ChunkedAttention, EfficientTransformer
from sr_zoo.blocks.ffn import (
    MLP,
    ConvFFN,
    GatedDepthwiseFFN,
    GatedFFN,
    ResidualDepthwiseFFN,
    TransformerLayer,
)
from sr_zoo.blocks.frequency import grey_gradients, low_frequencies
from sr_zoo.blocks.fsrcnn import FSRCNNTrunk
from sr_zoo.blocks.global_statistics import (
    attend_channels,
    global_cosine,
    global_mean,
    global_size,
    global_variance,
)
from sr_zoo.blocks.group_attention import GMSA, SharedGMSA
from sr_zoo.blocks.hooked import hooked_weight, is_plain
from sr_zoo.blocks.interpolate import Interpolation
from sr_zoo.blocks.modulation import SAFM, SimpleSAFM, learned_factor
from sr_zoo.blocks.moe import LowRankExpert, MoRE, Router
from sr_zoo.blocks.norm import LayerNorm2d, unit_length
from sr_zoo.blocks.omni_attention import OSA, GridOSA
from sr_zoo.blocks.padding import crop, next_multiple, pad_to_minimum, pad_to_multiple
from sr_zoo.blocks.patch_table import GradientTable, PatchTable
from sr_zoo.blocks.position_bias import DynamicPositionBias
from sr_zoo.blocks.reparam import ParallelConvs
from sr_zoo.blocks.reparameterisable import Reparameterisable
from sr_zoo.blocks.resized import ResizedMap, resize_pooled
from sr_zoo.blocks.separable import BSConv, separable_parts
from sr_zoo.blocks.shift import ShiftConv, shift_channels
from sr_zoo.blocks.slim import SlimConv2d
from sr_zoo.blocks.span import SPAB, SPANTrunk
from sr_zoo.blocks.strips import ComputedMap, PassingMap, in_strips
from sr_zoo.blocks.swin import (
    ResidualSwinGroup,
    SwinBlock,
    init_linear,
)
from sr_zoo.blocks.tile_view import TileView
from sr_zoo.blocks.upsample import (
    NarrowingUpsampler,
    NearestUpsampler,
    PixelShuffleUpsampler,
    StagedUpsampler,
    TransposedUpsampler,
    repeat_channels,
    run_stages,
)
from sr_zoo.blocks.window import (
    RelativePositionBias,
    merge,
    partition,
    relative_position_index,
    shift_mask,
)
from sr_zoo.blocks.window_attention import (
    WindowAttention,
    attend,
    attend_by_cosine,
    attend_heads,
    check_halves,
    cosine_scale,
    join_heads,
    split_heads,
)

__all__ = [
    "DIV2K_MEAN",
    "ESA",
    "GMSA",
    "MLP",
    "OSA",
    "SAFM",
    "SPAB",
    "BSConv",
    "CALayer",
    "CARNTrunk",
    "Cascade",
    "CascadeResidualBlock",
    "ChunkedAttention",
    "ClippedConvs",
    "CollectingChain",
    "ComputedMap",
    "ContrastAwareCALayer",
    "ConvChain",
    "ConvFFN",
    "DynamicPositionBias",
    "EdgeOrientedConv",
    "EdgeTable",
    "EfficientTransformer",
    "FSRCNNTrunk",
    "FeatureDistillation",
    "GatedDepthwiseFFN",
    "GatedFFN",
    "GradientTable",
    "GridOSA",
    "IdentityEdgeOrientedConv",
    "InformationMultiDistillation",
    "Interpolation",
    "LayerNorm2d",
    "LowRankExpert",
    "MeanShift",
    "MoRE",
    "NarrowingUpsampler",
    "NearestUpsampler",
    "ParallelConvs",
    "PassingMap",
    "PatchTable",
    "PixelAttention",
    "PixelShuffleUpsampler",
    "RelativePositionBias",
    "Reparameterisable",
    "ResidualDepthwiseFFN",
    "ResidualSwinGroup",
    "ResizedMap",
    "Router",
    "SPANTrunk",
    "SharedGMSA",
    "ShiftConv",
    "SimpleSAFM",
    "SlimConv2d",
    "StagedUpsampler",
    "StripedConv2d",
    "SwinBlock",
    "TileView",
    "TransformerLayer",
    "TransposedUpsampler",
    "WindowAttention",
    "YCbCr",
    "add_identity",
    "attend",
    "attend_by_cosine",
    "attend_channels",
    "attend_heads",
    "bottleneck_conv",
    "channels_first",
    "channels_last",
    "check_halves",
    "conv1x1",
    "conv2d_each",
    "conv3x3",
    "cosine_scale",
    "crop",
    "global_cosine",
    "global_mean",
    "global_size",
    "global_variance",
    "grey_gradients",
    "half_convs",
    "hooked_weight",
    "in_strips",
    "init_linear",
    "is_plain",
    "join_heads",
    "learned_factor",
    "low_frequencies",
    "max_pool_to_cells",
    "merge",
    "next_multiple",
    "pad_to_minimum",
    "pad_to_multiple",
    "partition",
    "relative_position_index",
    "repeat_channels",
    "resize_pooled",
    "run_stages",
    "separable_parts",
    "shift_channels",
    "shift_mask",
    "split_heads",
    "spread_cells",
    "unit_length",
]
