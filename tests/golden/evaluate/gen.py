"""Photos blurred and sharpened again by SciPy, in files of Pillow, and how near they are to the sharp ones.

Run: python gen.py            (needs numpy, scipy, scikit-image, pillow, safetensors)
Writes reference.safetensors next to this file: PNG files as bytes (`sharp/NAME`, `blurry/NAME`, `restored/NAME`) and, as
float64, `values/NAME`: PSNR and SSIM of the restored picture, PSNR and SSIM of the blurry one.
"""
import io
import json
from pathlib import Path

import numpy as np
import PIL
import scipy
import skimage
from PIL import Image
from safetensors.numpy import save_file
from scipy.ndimage import gaussian_filter
from skimage.metrics import peak_signal_noise_ratio, structural_similarity


def eight_bits(image):
    return np.floor(np.clip(image, 0, 1) * 255 + 0.5).astype(np.uint8)


def png(image):
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "PNG")
    return np.frombuffer(buffer.getvalue(), dtype=np.uint8).copy()


def measure(image, sharp):
    channel_axis = -1 if sharp.ndim == 3 else None
    # In float64: scikit-image would compute SSIM of 8-bit values in float64 as well, PSNR alike.
    a, b = sharp.astype(np.float64), image.astype(np.float64)
    return [
        peak_signal_noise_ratio(a, b, data_range=255),
        structural_similarity(a, b, gaussian_weights=True, sigma=1.5, use_sample_covariance=False, data_range=255,
                              channel_axis=channel_axis),
    ]


def main():
    cat = skimage.data.chelsea()
    photos = {
        "astronaut": skimage.data.astronaut()[60:160, 180:270],
        "cats/eye": cat[100:164, 180:260],
        "cats/grey": skimage.color.rgb2gray(cat[120:180, 240:300]),
    }
    tensors = {}
    for name, photo in photos.items():
        sharp = photo if photo.dtype == np.uint8 else eight_bits(photo)
        sigma = (1.4, 1.4, 0) if sharp.ndim == 3 else 1.4
        blurry = eight_bits(gaussian_filter(sharp / 255.0, sigma))
        # Unsharp masking.
        restored = eight_bits(2 * (blurry / 255.0) - gaussian_filter(blurry / 255.0, sigma))
        for what, image in (("sharp", sharp), ("blurry", blurry), ("restored", restored)):
            tensors[f"{what}/{name}"] = png(image)
        tensors[f"values/{name}"] = np.array(measure(restored, sharp) + measure(blurry, sharp))
        print(name, sharp.shape, tensors[f"values/{name}"])
    versions = {
        "numpy": np.__version__,
        "scipy": scipy.__version__,
        "skimage": skimage.__version__,
        "pillow": PIL.__version__,
    }
    save_file(tensors, Path(__file__).with_name("reference.safetensors"), {"versions": json.dumps(versions)})


if __name__ == "__main__":
    main()
