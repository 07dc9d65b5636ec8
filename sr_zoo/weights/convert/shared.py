"""Rules for blocks that the authors of several networks name alike."""

from sr_zoo.weights.convert.rules import Rule

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
# index tables and masks, computed here
SWIN_IGNORE = (r".*\.relative_position_index", r".*\.attn_mask")
