"""Which model lives in which module; nothing else.

A literal table, so that looking a name up imports nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from sr_zoo.errors import UnknownModelError, did_you_mean

if TYPE_CHECKING:
    from sr_zoo.spec import ArchSpec

MODELS: dict[str, str] = {
    "abpn_m4c28": "abpn",
    "abpn_m4c28_et": "abpn_et",
    "abpn_m6c40": "abpn",
    "abpn_m6c40_et": "abpn_et",
    "asconvsr": "asconvsr",
    "asconvsr_thirdparty": "asconvsr",
    "awsrn": "awsrn",
    "awsrn_m": "awsrn",
    "awsrn_s": "awsrn",
    "awsrn_sd": "awsrn",
    "bicubic": "interpolation",
    "bsrn": "bsrn",
    "bsrn_s": "bsrn_s",
    "carn": "carn",
    "carn_m": "carn",
    "carn_m_single": "carn",
    "carn_single": "carn",
    "cfsr": "cfsr",
    "craft": "craft",
    "dat_light": "dat",
    "ditn": "ditn",
    "ditn_real": "ditn",
    "ditn_tiny": "ditn",
    "dlgsanet_light": "dlgsanet",
    "dlgsanet_tiny": "dlgsanet",
    "drsan_32l": "drsan",
    "drsan_32m": "drsan",
    "drsan_32s": "drsan",
    "drsan_48m": "drsan",
    "drsan_48s": "drsan",
    "ecbsr_m10c32": "ecbsr",
    "ecbsr_m10c32_plain": "ecbsr_plain",
    "ecbsr_m4c16": "ecbsr",
    "ecbsr_m4c16_idt": "ecbsr_idt",
    "ecbsr_m4c16_plain": "ecbsr_plain",
    "ecbsr_m4c32": "ecbsr",
    "ecbsr_m4c32_plain": "ecbsr_plain",
    "ecbsr_rgb_m4c16": "ecbsr_rgb",
    "ecbsr_rgb_m4c16_et": "ecbsr_rgb_et",
    "ecbsr_rgb_m4c16_plain": "ecbsr_rgb_plain",
    "ecbsr_rgb_m4c32": "ecbsr_rgb",
    "ecbsr_rgb_m4c32_et": "ecbsr_rgb_et",
    "ecbsr_rgb_m4c32_plain": "ecbsr_rgb_plain",
    "ecbsr_rgb_m6c40": "ecbsr_rgb",
    "ecbsr_rgb_m6c40_et": "ecbsr_rgb_et",
    "ecbsr_rgb_m6c40_plain": "ecbsr_rgb_plain",
    "edsr_baseline": "edsr",
    "elan": "elan",
    "elan_light": "elan",
    "espcn": "espcn",
    "esrt": "esrt",
    "etds_m4c32": "etds",
    "etds_m4c32_deploy": "etds_deploy",
    "etds_m5c16": "etds",
    "etds_m5c16_deploy": "etds_deploy",
    "etds_m6c32": "etds",
    "etds_m6c32_deploy": "etds_deploy",
    "etds_m7c48": "etds",
    "etds_m7c48_deploy": "etds_deploy",
    "fiwhn": "fiwhn",
    "fsrcnn": "fsrcnn",
    "imdn": "imdn",
    "imdn_rtc": "imdn_rtc",
    "ipt": "ipt",
    "ipt_small": "ipt",
    "lamnet": "lamnet",
    "lanczos": "interpolation",
    "light_safmnpp": "light_safmnpp",
    "mobilesr": "mobilesr",
    "nearest": "interpolation",
    "omnisr": "omnisr",
    "pan": "pan",
    "quicksrnet_large": "quicksrnet_large",
    "quicksrnet_medium": "quicksrnet",
    "quicksrnet_small": "quicksrnet",
    "ramit": "ramit",
    "ramit_1": "ramit",
    "ramit_slim": "ramit",
    "rcan": "rcan",
    "rdan": "rdan",
    "rdan_s": "rdan",
    "rfdn": "rfdn",
    "rlfn": "rlfn",
    "rlfn_ntire": "rlfn",
    "rlfn_s": "rlfn",
    "safmn": "safmn",
    "safmn_ntire": "safmn_ntire",
    "safmnpp": "safmnpp",
    "scnet_t": "scnet",
    "scnet_t_ps": "scnet_ps",
    "seemore_b": "seemore",
    "seemore_l": "seemore",
    "seemore_t": "seemore",
    "shufflemixer": "shufflemixer",
    "shufflemixer_tiny": "shufflemixer",
    "smfanet": "smfanet",
    "smfanet_plus": "smfanet",
    "span_ch28": "span",
    "span_ch28_train": "span_train",
    "span_tiny_ch26": "span",
    "span_tiny_ch26_train": "span_train",
    "srcnn": "srcnn",
    "srformer_light": "srformer",
    "swin2sr_light": "swin2sr",
    "swinir": "swinir",
    "swinir_light": "swinir",
    "tcfdn": "tcfdn",
    "vdsr": "vdsr",
}


def family_of(name: str) -> str:
    """Return the module (in `sr_zoo.models` and `sr_zoo.weights.convert`) that a model lives in.

    Raises:
        UnknownModelError: No model has this name.
    """
    try:
        return MODELS[name]
    except KeyError:
        raise UnknownModelError(
            f"Unknown model {name!r}.{did_you_mean(name, MODELS)} "
            "sr_zoo.list_models() names all of them."
        ) from None


def spec_of(name: str) -> ArchSpec:
    """Return the `ArchSpec` of the family that a model belongs to; imports torch.

    Raises:
        UnknownModelError: No model has this name.
    """
    module = import_module(f"sr_zoo.models.{family_of(name)}")
    spec: ArchSpec = module.SPEC
    return spec
