//! Realistic blur for training and evaluation of image restoration: kernels, trajectories, camera response, noise; every degradation a serialisable recipe
