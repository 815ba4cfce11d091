"""Reference values of FID and KID from features, by SciPy and torch-fidelity.

Run: python gen.py            (needs numpy, scipy, torch, torch-fidelity, safetensors)
Writes reference.safetensors next to this file: features [N, D] in float32, subsets as indices and, in the metadata, the values.
"""
import json
from importlib.metadata import version
from pathlib import Path

import numpy as np
import scipy.linalg
import torch
from safetensors.numpy import save_file
from torch_fidelity.metric_fid import fid_statistics_to_metric
from torch_fidelity.metric_kid import kernel_mmd, kid_features_to_metric

SEED = 271828
SUBSETS, SIZE = 7, 12
PACKAGES = ["numpy", "scipy", "torch", "torch-fidelity", "safetensors"]


def statistics(features):
    features = features.astype(np.float64)
    return features.mean(axis=0), np.cov(features, rowvar=False)


def frechet(a, b):
    """With SciPy's root of a matrix; torch-fidelity takes eigenvalues and must agree."""
    (mean_a, covariance_a), (mean_b, covariance_b) = statistics(a), statistics(b)
    root = scipy.linalg.sqrtm(covariance_a @ covariance_b)
    value = np.sum((mean_a - mean_b) ** 2) + np.trace(covariance_a + covariance_b - 2 * np.real(root))
    as_dict = [{"mu": mean, "sigma": covariance} for mean, covariance in (statistics(a), statistics(b))]
    other = fid_statistics_to_metric(*as_dict, verbose=False)["frechet_inception_distance"]
    assert abs(value - other) < 1e-9 * value, (value, other)
    return float(value)


def subsets(count_a, count_b, seed):
    """The indices that torch-fidelity draws."""
    random = np.random.RandomState(seed)
    draws = [[random.choice(count, SIZE, replace=False) for count in (count_a, count_b)] for _ in range(SUBSETS)]
    return np.array(draws, dtype=np.int64)


def main():
    random = np.random.default_rng(SEED)
    mix = random.normal(size=(6, 6))
    sets = {
        "a": np.abs(random.normal(size=(40, 6)) @ mix),
        "b": np.abs(random.normal(size=(33, 6)) @ mix * 1.3 + 0.2),
        # Fewer images than features: covariances without inverse.
        "few_a": random.normal(size=(9, 24)),
        "few_b": random.normal(size=(7, 24)) * 1.5 + 0.3,
    }
    tensors = {name: features.astype(np.float32) for name, features in sets.items()}
    a, b = tensors["a"], tensors["b"]
    options = {"kid_kernel": "poly", "kid_kernel_poly_degree": 3, "kid_kernel_poly_gamma": None, "kid_kernel_poly_coef0": 1}
    wide = [tensor.astype(np.float64) for tensor in (a, b)]
    whole = [features[:33] for features in wide]
    drawn = subsets(len(a), len(b), SEED)
    kid = kid_features_to_metric(*map(torch.from_numpy, wide), kid_subsets=SUBSETS, kid_subset_size=SIZE, rng_seed=SEED,
                                 verbose=False, **options)
    values = {
        "frechet": frechet(a, b),
        "squared_mmd_33": float(kernel_mmd(*whole, **options)),
        "kid_mean": kid["kernel_inception_distance_mean"],
        "kid_standard_deviation": kid["kernel_inception_distance_std"],
        "frechet_few": frechet_of_few(tensors["few_a"], tensors["few_b"]),
    }
    metadata = {
        "values": json.dumps(values),
        "seed": str(SEED),
        "versions": json.dumps({name: version(name) for name in PACKAGES}),
    }
    tensors["subsets"] = drawn
    save_file(tensors, Path(__file__).with_name("reference.safetensors"), metadata)
    print(json.dumps(values, indent=1))


def frechet_of_few(a, b):
    """With the eigenvalues of the small matrix that has the same ones as the product of the covariances."""
    (mean_a, covariance_a), (mean_b, covariance_b) = statistics(a), statistics(b)
    centred = [(x.astype(np.float64) - mean) / np.sqrt(len(x) - 1) for x, mean in ((a, mean_a), (b, mean_b))]
    product = centred[0] @ centred[1].T
    roots = np.sqrt(np.clip(np.linalg.eigvalsh(product.T @ product), 0, None)).sum()
    return float(np.sum((mean_a - mean_b) ** 2) + np.trace(covariance_a + covariance_b) - 2 * roots)


if __name__ == "__main__":
    main()
