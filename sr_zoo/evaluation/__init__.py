"""The field's measuring protocol: MATLAB bicubic, PSNR and SSIM on luminance, reports."""
