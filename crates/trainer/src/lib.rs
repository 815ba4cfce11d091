//! Training of structure guided diffusion models: data pipelines, losses, AdamW and EMA with saved state, validation, resume
