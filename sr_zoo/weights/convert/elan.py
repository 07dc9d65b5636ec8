"""ELAN as in xindongzhang/ELAN."""

from sr_zoo.weights.convert.rules import Converter, Rule, nest

LOCAL = (("conv0.shift_conv.conv1x1", "0.conv"), ("conv1.shift_conv.conv1x1", "2.conv"))
ATTENTION: tuple[Rule, ...] = (("project_inp", "project_in"), ("project_out", "project_out"))

CONVERTER = Converter(
    rules=(
        ("head.0", "head"),
        ("tail", "upsampler"),
        *nest("body.{i}.modules_lfe.lfe_{k}", "body.{i}.local.{k}", LOCAL),
        *nest("body.{i}.modules_gmsa.gmsa_0", "body.{i}.attention", ATTENTION),
        *nest("body.{i}.modules_gmsa.gmsa_{k+1}", "body.{i}.shared.{k}", ATTENTION),
    ),
    # constants: the mean, and the shifts as depthwise kernels
    ignore=(r"(sub|add)_mean\.(weight|bias)", r".*\.shift_conv\.weight"),
)
