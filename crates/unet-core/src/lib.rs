//! A fully convolutional UNet for image-conditioned diffusion, with guided residual blocks, on libtorch
