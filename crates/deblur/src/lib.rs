//! Restore blurry photographs with a structure guided diffusion model: checkpoint, tiles, sampling, uncertainty
