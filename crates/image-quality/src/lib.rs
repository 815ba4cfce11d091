//! Image quality metrics with named protocols: PSNR and SSIM
