//! Multiscale structure guidance: grey pyramid, guidance networks and loss, the guided UNet as a denoiser, and its safetensors checkpoint
