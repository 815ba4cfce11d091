//! Photographs as planar f32 arrays: 8/16-bit PNG, JPEG, TIFF and WebP with alpha, ICC profile, EXIF and orientation carried through
