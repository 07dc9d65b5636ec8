"""The field's measuring protocol: MATLAB bicubic, PSNR and SSIM on luminance, reports."""

from sr_zoo.evaluation.metrics import psnr_rgb, psnr_y, ssim_rgb, ssim_y
from sr_zoo.evaluation.resize import imresize

__all__ = ["imresize", "psnr_rgb", "psnr_y", "ssim_rgb", "ssim_y"]
