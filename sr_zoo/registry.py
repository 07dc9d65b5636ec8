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
    "abpn_m4c28_et": "abpn",
    "abpn_m6c40": "abpn",
    "abpn_m6c40_et": "abpn",
    "adsrnet": "adsrnet",
    "arm_carn": "arm",
    "arm_fsrcnn": "arm",
    "asconvsr": "asconvsr",
    "asconvsr_thirdparty": "asconvsr",
    "awsrn": "awsrn",
    "awsrn_m": "awsrn",
    "awsrn_s": "awsrn",
    "awsrn_sd": "awsrn",
    "bicubic": "interpolation",
    "bsrn": "bsrn",
    "bsrn_s": "bsrn",
    "carn": "carn",
    "carn_m": "carn",
    "carn_m_pcsr": "carn",
    "carn_m_single": "carn",
    "carn_single": "carn",
    "cfsr": "cfsr",
    "craft": "craft",
    "dat": "dat",
    "dat_2": "dat",
    "dat_light": "dat",
    "ddistill_sr": "ddistill_sr",
    "ddistill_sr_train": "ddistill_sr",
    "dgsr": "dgsr",
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
    "ecbsr_m10c32_plain": "ecbsr",
    "ecbsr_m4c16": "ecbsr",
    "ecbsr_m4c16_idt": "ecbsr",
    "ecbsr_m4c16_plain": "ecbsr",
    "ecbsr_m4c32": "ecbsr",
    "ecbsr_m4c32_plain": "ecbsr",
    "ecbsr_rgb_m4c16": "ecbsr",
    "ecbsr_rgb_m4c16_et": "ecbsr",
    "ecbsr_rgb_m4c16_plain": "ecbsr",
    "ecbsr_rgb_m4c32": "ecbsr",
    "ecbsr_rgb_m4c32_et": "ecbsr",
    "ecbsr_rgb_m4c32_plain": "ecbsr",
    "ecbsr_rgb_m6c40": "ecbsr",
    "ecbsr_rgb_m6c40_et": "ecbsr",
    "ecbsr_rgb_m6c40_plain": "ecbsr",
    "edsr_baseline": "edsr",
    "elan": "elan",
    "elan_light": "elan",
    "espcn": "espcn",
    "esrt": "esrt",
    "etds_m4c32": "etds",
    "etds_m4c32_deploy": "etds",
    "etds_m5c16": "etds",
    "etds_m5c16_deploy": "etds",
    "etds_m6c32": "etds",
    "etds_m6c32_deploy": "etds",
    "etds_m7c48": "etds",
    "etds_m7c48_deploy": "etds",
    "fiwhn": "fiwhn",
    "fsrcnn": "fsrcnn",
    "fsrcnn_pcsr": "fsrcnn",
    "hffn": "hffn",
    "imdn": "imdn",
    "imdn_rtc": "imdn",
    "ipt": "ipt",
    "ipt_small": "ipt",
    "lamnet": "lamnet",
    "lanczos": "interpolation",
    "lden": "lden",
    "light_safmnpp": "safmnpp",
    "mobilesr": "mobilesr",
    "nearest": "interpolation",
    "omnisr": "omnisr",
    "pan": "pan",
    "pcsr_carn": "pcsr",
    "pcsr_fsrcnn": "pcsr",
    "quicksrnet_large": "quicksrnet",
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
    "rrdbnet": "rrdbnet",
    "rrdbnet_6b": "rrdbnet",
    "rrdbnet_unshuffled": "rrdbnet",
    "safmn": "safmn",
    "safmn_ntire": "safmn",
    "safmnpp": "safmnpp",
    "scnet_t": "scnet",
    "scnet_t_ps": "scnet",
    "seemore_b": "seemore",
    "seemore_l": "seemore",
    "seemore_t": "seemore",
    "shufflemixer": "shufflemixer",
    "shufflemixer_tiny": "shufflemixer",
    "smfanet": "smfanet",
    "smfanet_plus": "smfanet",
    "smsr": "smsr",
    "span_ch28": "span",
    "span_ch28_train": "span",
    "span_ch48": "span",
    "span_ch48_train": "span",
    "span_tiny_ch26": "span",
    "span_tiny_ch26_train": "span",
    "srcnn": "srcnn",
    "srformer": "srformer",
    "srformer_light": "srformer",
    "srvgg_s": "srvgg",
    "srvgg_xs": "srvgg",
    "swin2sr_light": "swin2sr",
    "swinir": "swinir",
    "swinir_light": "swinir",
    "swinir_real": "swinir",
    "swinir_real_large": "swinir",
    "tcfdn": "tcfdn",
    "tcsr_b": "tcsr",
    "tcsr_l": "tcsr",
    "vdsr": "vdsr",
}


REGISTERED: dict[str, ArchSpec] = {}  # of other packages; their names are in MODELS too


def families() -> list[str]:
    """Return the modules in `sr_zoo.models`, in alphabetical order."""
    return sorted({family for name, family in MODELS.items() if name not in REGISTERED})


def family_of(name: str) -> str:
    """Return the module that a model lives in: in `sr_zoo.models`, or that of another package.

    Raises:
        UnknownModelError: No model has this name.
    """
    try:
        return MODELS[name]
    except KeyError:
        raise UnknownModelError(
            f"Unknown model {name!r}.{did_you_mean(name, MODELS)} "
            "`sr-zoo list` or sr_zoo.list_models() names all of them."
        ) from None


def specs_of(family: str) -> tuple[ArchSpec, ...]:
    """Return the `ArchSpec` of a family, and those of its other forms; imports torch.

    Args:
        family: A module in `sr_zoo.models`.
    """
    module = import_module(f"sr_zoo.models.{family}")
    return (module.SPEC, *getattr(module, "OTHER_FORMS", ()))


def spec_of(name: str) -> ArchSpec:
    """Return the `ArchSpec` that has a model among its variants; imports torch.

    Raises:
        UnknownModelError: No model has this name.
    """
    if name in REGISTERED:
        return REGISTERED[name]
    return next(spec for spec in specs_of(family_of(name)) if name in spec.variants)
