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
