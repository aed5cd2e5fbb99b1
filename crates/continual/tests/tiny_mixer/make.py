"""Writes the files beside it: a tiny ConvMixer, a tiny CIFAR-100 archive, and what PyTorch makes of both.

Made with Python 3.11, torch 2.9.0, numpy 2.3.4 (crates/sdm/benches/requirements.txt): python make.py
"""

import gzip
import io
import pathlib
import pickle
import tarfile

import numpy as np
import torch
from torch import nn

HERE = pathlib.Path(__file__).parent
WIDTH, DEPTH, PATCH, KERNEL = 4, 2, 4, 5


class Residual(nn.Module):
    def __init__(self, fn):
        super().__init__()
        self.fn = fn

    def forward(self, x):
        return x + self.fn(x)


class ConvMixer(nn.Module):
    def __init__(self):
        super().__init__()
        layers = [nn.Conv2d(3, WIDTH, PATCH, stride=PATCH), nn.GELU(), nn.BatchNorm2d(WIDTH)]
        for _ in range(DEPTH):
            across = nn.Conv2d(WIDTH, WIDTH, KERNEL, groups=WIDTH, padding="same")
            across = nn.Sequential(across, nn.GELU(), nn.BatchNorm2d(WIDTH))
            mix = nn.Conv2d(WIDTH, WIDTH, 1)
            layers.append(nn.Sequential(Residual(across), mix, nn.GELU(), nn.BatchNorm2d(WIDTH)))
        self.features = nn.Sequential(*layers)
        self.classifier = nn.Linear(WIDTH, 2)


def images(first, n):
    """Stripes, brighter from image to image: `[image, color, row, column]`."""
    image, color, row, column = np.ogrid[first : first + n, 0:3, 0:32, 0:32]
    return ((image + 1) * (11 * row + 5 * column) + 60 * color) % (64 * (image + 1))


def batch(pixels, labels):
    pixels = pixels.astype(np.uint8).reshape(len(labels), 3072)
    return pickle.dumps({"fine_labels": labels, "data": pixels}, protocol=3)


def archive(members):
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return gzip.compress(packed.getvalue(), mtime=0)


torch.manual_seed(0)
model = ConvMixer()
for module in model.modules():
    if isinstance(module, nn.BatchNorm2d):
        nn.init.normal_(module.weight, 1.0)
        nn.init.normal_(module.bias)
        nn.init.normal_(module.running_mean)
        nn.init.uniform_(module.running_var, 0.1, 2.0)
model.eval()
torch.save(model.state_dict(), HERE / "mixer.pt")

train, test = images(0, 3), images(3, 1)
members = {"cifar-100-python/test": batch(test, [0]), "cifar-100-python/train": batch(train, [99, 7, 7])}
(HERE / "cifar-100-python.tar.gz").write_bytes(archive(members))

mean = torch.tensor([0.4914, 0.4822, 0.4465]).reshape(3, 1, 1)
deviation = torch.tensor([0.2471, 0.2435, 0.2616]).reshape(3, 1, 1)
x = (torch.tensor(np.concatenate([train, test]), dtype=torch.float32) / 255 - mean) / deviation
with torch.no_grad():
    np.save(HERE / "embeddings.npy", model.features(x).mean(dim=(2, 3)).numpy())
