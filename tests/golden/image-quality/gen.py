"""Reference values for the crate image-quality from scikit-image.

Run: python gen.py            (needs numpy, scikit-image, safetensors)
Writes reference.safetensors next to this file: pairs of images [3, H, W] in [0, 1] and, in the metadata, the values.
"""
import json
from pathlib import Path

import numpy as np
import skimage
from safetensors.numpy import save_file
from skimage.color import rgb2ycbcr
from skimage.filters import gaussian
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

SEED = 20240229


def measure(a, b, data_range):
    channel_axis = -1 if a.ndim == 3 else None
    return {
        "psnr": peak_signal_noise_ratio(a, b, data_range=data_range),
        "ssim": structural_similarity(a, b, gaussian_weights=True, sigma=1.5, use_sample_covariance=False,
                                      data_range=data_range, channel_axis=channel_axis),
    }


def rounded(image):
    return np.round(np.clip(image.astype(np.float64) * 255, 0, 255))


def main():
    random = np.random.default_rng(SEED)
    photo = skimage.data.astronaut()[60:160, 180:270] / 255.0
    blurred = gaussian(photo, sigma=1.7, channel_axis=-1) + random.normal(0, 0.01, photo.shape)
    noise = random.random((37, 45, 3))
    other = np.clip(noise + random.normal(0, 0.2, noise.shape), -0.1, 1.2)
    tiny = random.random((11, 11, 3))
    flat = np.full((24, 19, 3), 0.4) + random.normal(0, 0.004, (24, 19, 3))
    pairs = {
        "photo": (photo, blurred),
        "noise": (noise, other),
        "tiny": (tiny, tiny[::-1]),
        "flat": (flat, np.full_like(flat, 0.402)),
    }
    tensors, values = {}, {}
    for name, (a, b) in pairs.items():
        a, b = a.astype(np.float32), b.astype(np.float32)
        for which, image in (("a", a), ("b", b)):
            tensors[f"{name}.{which}"] = np.ascontiguousarray(image.transpose(2, 0, 1))
        eight = [rounded(a), rounded(b)]
        luma = [rgb2ycbcr(image / 255)[..., 0] for image in eight]
        values[name] = {
            "rgb": measure(*eight, 255),
            "luma": measure(*luma, 255),
            "not_rounded": measure(a.astype(np.float64), b.astype(np.float64), 1.0),
        }
        if min(a.shape[:2]) >= 19:
            values[name]["border_4"] = measure(*[image[4:-4, 4:-4] for image in eight], 255)
    metadata = {
        "values": json.dumps(values),
        "seed": str(SEED),
        "versions": json.dumps({"numpy": np.__version__, "skimage": skimage.__version__}),
    }
    save_file(tensors, Path(__file__).with_name("reference.safetensors"), metadata)
    print(json.dumps(values, indent=1))


if __name__ == "__main__":
    main()
