//! Noise schedules, parametrisations, samplers and counter-based noise for diffusion models; the f64 mathematics compiles without libtorch
