"""Reference values for the protocol realblur from OpenCV and scikit-image.

Run: python gen.py            (needs numpy<2, opencv-python-headless, scikit-image, safetensors)
The steps are those of evaluation_RealBlur_ecc.py, the program of the authors of RealBlur, written from its description. They ask for OpenCV
4.2, which newer Pythons cannot install; 4.6 can be, and 4.11 differs from it in the seventh digit of the PSNR.

Writes reference.safetensors next to this file: pairs of images [3, H, W] in 8 bits and, in the metadata, homography, PSNR and SSIM.
"""
import json
from pathlib import Path

import cv2
import numpy as np
import skimage
from safetensors.numpy import save_file
from skimage.metrics import structural_similarity

SEED = 20261126


def align(restored, sharp):
    scaled = np.sum(sharp * restored) / np.sum(restored * restored) * restored
    criteria = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, 100, 0)
    grey = [cv2.cvtColor(image, cv2.COLOR_RGB2GRAY) for image in (sharp, scaled)]
    _, homography = cv2.findTransformECC(*grey, np.eye(3, dtype=np.float32), cv2.MOTION_HOMOGRAPHY, criteria,
                                         inputMask=None, gaussFiltSize=5)
    size = sharp.shape[1::-1]
    moved = cv2.warpPerspective(scaled, homography, size, flags=cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP,
                                borderMode=cv2.BORDER_REFLECT)
    mask = cv2.warpPerspective(np.ones_like(scaled), homography, size, flags=cv2.INTER_NEAREST | cv2.WARP_INVERSE_MAP,
                               borderMode=cv2.BORDER_CONSTANT, borderValue=0)
    return moved * mask, sharp * mask, mask, homography


def measure(restored, sharp):
    restored, sharp = [image.astype(np.float32) / 255 for image in (restored, sharp)]
    moved, masked, mask, homography = align(restored, sharp)
    error = np.sum((masked - moved) ** 2, dtype=np.float64) / np.sum(mask)
    # The program's scikit-image 0.17 computes in float64.
    _, similarity = structural_similarity(masked.astype(np.float64), moved.astype(np.float64), channel_axis=-1,
                                          gaussian_weights=True, use_sample_covariance=False, data_range=1.0, full=True)
    inside = (slice(5, -5), slice(5, -5))
    weights = mask[inside].astype(np.float64)
    similarity = (similarity[inside] * weights).sum(axis=(0, 1)) / weights.sum(axis=(0, 1))
    return {
        "psnr": float(10 * np.log10(1 / error)),
        "ssim": float(similarity.mean()),
        "homography": homography.astype(float).ravel().tolist(),
        "inside": float(mask.mean()),
    }


def main():
    random = np.random.default_rng(SEED)
    photo = skimage.data.astronaut()

    def seen_through(homography, blur, noise, brightness, corner, size):
        height, width = size
        top, left = corner
        large = photo.astype(np.float32) / 255
        shift = np.array([[1, 0, left], [0, 1, top], [0, 0, 1]], dtype=np.float64)
        image = cv2.warpPerspective(large, shift @ np.array(homography, dtype=np.float64), (width, height),
                                    flags=cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP)
        image = cv2.GaussianBlur(image, (0, 0), blur) * brightness + random.normal(0, noise, image.shape)
        return np.round(np.clip(image, 0, 1) * 255).astype(np.uint8)

    def crop(corner, size):
        return photo[corner[0]:corner[0] + size[0], corner[1]:corner[1] + size[1]]

    same = [[1, 0, 0], [0, 1, 0], [0, 0, 1]]
    shifted = [[1, 0, 2.3], [0, 1, -1.6], [0, 0, 1]]
    turned = [[1.004, -0.012, 1.5], [0.011, 0.997, 0.7], [3e-5, -2e-5, 1]]
    cases = {
        "same_place": (same, 1.2, 0.01, 1.0, (30, 160), (150, 140)),
        "shifted": (shifted, 0.8, 0.005, 0.95, (30, 160), (150, 140)),
        "turned": (turned, 1.0, 0.008, 1.04, (20, 150), (130, 170)),
    }
    tensors, values = {}, {}
    for name, (*how, corner, size) in cases.items():
        sharp = crop(corner, size)
        restored = seen_through(*how, corner, size)
        values[name] = measure(restored, sharp)
        for which, image in (("restored", restored), ("sharp", sharp)):
            tensors[f"{name}.{which}"] = np.ascontiguousarray(image.transpose(2, 0, 1))
    versions = {"numpy": np.__version__, "scikit-image": skimage.__version__, "opencv-python-headless": cv2.__version__}
    metadata = {"values": json.dumps(values), "seed": str(SEED), "versions": json.dumps(versions)}
    save_file(tensors, Path(__file__).with_name("reference.safetensors"), metadata)
    print(json.dumps(values, indent=1))


if __name__ == "__main__":
    main()
