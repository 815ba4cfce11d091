//! One file for each blur family: parameters in, kernel out.

pub(crate) mod camera_shake;
pub(crate) mod defocus;
pub(crate) mod gaussian;
pub(crate) mod linear_motion;
