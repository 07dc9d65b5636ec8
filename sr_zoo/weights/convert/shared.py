"""What the authors of several networks name alike, and what they left behind alike."""

from collections.abc import Mapping

from torch import Tensor

from sr_zoo.errors import CheckpointError
from sr_zoo.weights.convert.rules import Converter, Rule, nest


class FlatBiasConverter(Converter):
    """Leaves out a dynamic position bias whose layer norms see a single value, and no other.

    A layer norm over one value gives its own bias whatever that value is, so that all pairs of
    tokens get the same logit, which changes no softmax.
    """

    POSITION_BIAS = ".pos.pos_proj.weight"

    def load(self, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        for name, tensor in state.items():
            if name.endswith(self.POSITION_BIAS) and tensor.shape[0] > 1:
                raise CheckpointError(
                    f"{name!r} is of a position bias that tells places apart. This network leaves "
                    "the bias out, which changes nothing in one of fewer than 64 channels only."
                )
        return super().load(state)


# Restormer's feed-forward block, as everyone took it over
GATED_DEPTHWISE_FFN: tuple[Rule, ...] = (
    ("project_in", "expand"),
    ("dwconv", "depthwise"),
    ("project_out", "project"),
)
# the transformer of ESRT, which FIWHN took over
EFFICIENT_TRANSFORMER: tuple[Rule, ...] = (
    ("norm1", "norm_attention"),
    ("atten.reduce", "attention.reduce"),
    ("atten.qkv", "attention.qkv"),
    ("atten.proj", "attention.project"),
    ("norm2", "norm_mlp"),
    ("mlp.fc1", "mlp.0"),
    ("mlp.fc2", "mlp.2"),
)
# the upsampler of EDSR's authors, one flat list of convolutions and pixel shuffles
EDSR_UPSAMPLER: tuple[Rule, ...] = (("0", "0.0"), ("2", "1.0"))
# ESA as RFDN's authors wrote it, and everyone after them
ESA_RULES: tuple[Rule, ...] = (
    ("conv1", "squeeze"),
    ("conv2", "stride"),
    ("conv_f", "skip"),
    ("conv4", "expand"),
)
# the pooled convolutions: RLFN keeps the one, RFDN has three
ESA_ONE_CONV: tuple[Rule, ...] = (*ESA_RULES, ("conv3", "context.0"))
ESA_THREE_CONVS: tuple[Rule, ...] = (
    *ESA_RULES,
    ("conv_max", "context.0"),
    ("conv3", "context.2"),
    ("conv3_", "context.4"),
)
# distillation by 1x1 convolutions, as RFDN's authors wrote it and BSRN's after them
FEATURE_DISTILLATION: tuple[Rule, ...] = (
    ("c{j+1}_d", "distil.{j}"),
    ("c{j+1}_r", "refine.{j}"),
    ("c4", "narrow"),
    ("c5", "project"),
)
# distillation by splitting, as IMDN's authors wrote it
MULTI_DISTILLATION: tuple[Rule, ...] = (
    ("c1", "refine.0"),
    ("c2", "refine.1"),
    ("c3", "refine.2"),
    ("c4", "narrow"),
    ("c5", "project"),
)
# contrast-aware channel attention in IMDN, and in BSRN after it
CCA_RULES: tuple[Rule, ...] = (("conv_du.0", "squeeze"), ("conv_du.2", "expand"))

# a chain of edge-oriented convolutions as ECBSR's authors wrote it; the filters' masks are fixed
EDGE_CONV: tuple[Rule, ...] = nest(
    "backbone.{i}",
    "body.{i}",
    (
        ("conv3x3", "0.plain"),
        ("conv1x1_3x3.k0", "0.expanded.0.weight"),
        ("conv1x1_3x3.b0", "0.expanded.0.bias"),
        ("conv1x1_3x3.k1", "0.expanded.1.weight"),
        ("conv1x1_3x3.b1", "0.expanded.1.bias"),
        *(
            rule
            for theirs, ours in (("sbx", "sobel_x"), ("sby", "sobel_y"), ("lpl", "laplacian"))
            for rule in (
                (f"conv1x1_{theirs}.k0", f"0.{ours}.0.weight"),
                (f"conv1x1_{theirs}.b0", f"0.{ours}.0.bias"),
                (f"conv1x1_{theirs}", f"0.{ours}.1"),
            )
        ),
        ("act", "1"),
    ),
)
EDGE_CONV_MASKS = r"backbone\.\d+\.conv1x1_(sbx|sby|lpl)\.mask"
# blueprint separable convolution, and the blocks above where BSRN's authors put it into them
BSCONV: tuple[Rule, ...] = (("pw", "0"), ("dw", "1"))
BLUEPRINT_DISTILLATION: tuple[Rule, ...] = (
    *nest("c{j+1}_r", "refine.{j}", BSCONV),
    *nest("c4", "narrow", BSCONV),
    *FEATURE_DISTILLATION,
)
BLUEPRINT_ESA: tuple[Rule, ...] = (
    *nest("conv_max", "context.0", BSCONV),
    *nest("conv3", "context.2", BSCONV),
    *nest("conv3_", "context.4", BSCONV),
    *ESA_THREE_CONVS,
)

# a Swin block as SwinIR's authors keep it, and the trunk of the networks that followed
SWIN_BLOCK: tuple[Rule, ...] = (
    ("norm1", "norm_attention"),
    ("norm2", "norm_ffn"),
    ("mlp.fc1", "ffn.0"),
    ("mlp.fc2", "ffn.2"),
    ("attn.qkv", "attention.qkv"),
    ("attn.proj", "attention.project"),
    ("attn.relative_position_bias_table", "attention.bias.table"),
)
SWIN_TRUNK: tuple[Rule, ...] = (
    ("conv_first", "head"),
    ("patch_embed.norm", "norm_in"),
    ("norm", "norm_out"),
    ("conv_after_body", "body_out"),
    ("layers.{i}.conv", "body.{i}.conv"),
)
# features to pixels in the classical forms of SwinIR and of what followed
NARROWING_UPSAMPLER: tuple[Rule, ...] = (
    ("conv_before_upsample.0", "upsampler.0"),
    ("upsample.0", "upsampler.2.0.0"),
    ("upsample.2", "upsampler.2.1.0"),
    ("upsample.4", "upsampler.2.2.0"),
    ("conv_last", "upsampler.3"),
)
# the same by repetition, in BasicSR's names: ESRGAN, SwinIR's forms for photographs
NEAREST_UPSAMPLER: tuple[Rule, ...] = (
    ("conv_up1", "0.0.1"),
    ("conv_up2", "0.1.1"),
    ("conv_hr", "1"),
    ("conv_last", "3"),
)
# index tables and masks, computed here
SWIN_IGNORE = (r".*\.relative_position_index", r".*\.attn_mask")

# the end of EDSR as in sanghyun-son/EDSR-PyTorch, and of what was built upon that code
EDSR_TAIL: tuple[Rule, ...] = (
    ("tail.0.0", "upsampler.0.0"),
    ("tail.0.2", "upsampler.1.0"),
    ("tail.0.4", "upsampler.2.0"),
    ("tail.1", "tail"),
)
EDSR_MEAN_SHIFT = r"(sub|add)_mean\.(weight|bias)"

# FSRCNN with one slope per activation, and CARN-M for one scale, as ARM's and PCSR's authors wrote
# them; in the cascades of the former, what mixes is a sequence of one
SHARED_SLOPE_FSRCNN: tuple[Rule, ...] = (("head_conv", "head"), ("body_conv", "body"))
CARN_M: tuple[Rule, ...] = (
    ("entry", "head"),
    ("b{i+1}.b1.body", "body.steps.{i}.steps.0.convs"),
    ("b{i+1}.c{j+1}", "body.steps.{i}.mix.{j}"),
    ("c{i+1}", "body.mix.{i}"),
)
CARN_M_UPSAMPLER: tuple[Rule, ...] = (
    ("upsample.up.body.0", "upsampler.0.0"),
    ("upsample.up.body.3", "upsampler.1.0"),
    ("exit", "tail"),
)
