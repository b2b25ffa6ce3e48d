"""An encoder, a generator and a judge in which it is known what each class carries."""

import itertools

import numpy as np
from PIL import Image, ImageDraw

from modalens.studies.text_to_image_control.generator import Generator
from modalens.towers.base import VLM

F = 60


class PlantedVLM(VLM):
    """A picture's embedding: what it shows on the first 20 features, its colour on the next, nothing on the rest."""

    name, dim = "planted", F

    def embed_images(self, images):
        rows = [np.repeat([*quadrants(each), *background(each), *np.full(4, 0.5)], 5) for each in images]
        return np.array(rows, dtype=np.float32)

    def embed_texts(self, texts):
        return np.stack([np.full(F, 0.3 + 0.01 * (len(text) % 20), dtype=np.float32) for text in texts])

    def card(self):
        return {"model": self.name}


class PlantedGenerator(Generator):
    """Draws four black squares whose sides follow the first features, on a colour that follows the next."""

    name, dim = "planted", F

    def __init__(self):
        self.drawn = 0

    def generate(self, embedding, seed=0):
        self.drawn += len(embedding)
        return [
            draw_planted(row[:20].reshape(4, 5).mean(1), row[20:40].reshape(4, 5).mean(1)[:3], seed)
            for row in embedding
        ]

    def card(self):
        return {"generator": self.name}


class ShapeJudge:
    """Sees how much of each quadrant is black, and nothing of its colour."""

    name, modality, dim = "shapes", "image", 8

    def embed(self, samples):
        angles = np.array([quadrants(each) for each in samples]) * np.pi / 2
        return np.concatenate([np.cos(angles), np.sin(angles)], axis=1)

    def card(self):
        return {"model": self.name}


def draw_planted(sides, colour, seed=0):
    picture = Image.new("RGB", (64, 64), tuple(int(100 + 155 * min(max(each, 0), 1)) for each in colour))
    pen = ImageDraw.Draw(picture)
    for (left, top), side in zip(itertools.product((0, 32), (0, 32)), sides, strict=True):
        if (size := round(30 * float(side))) > 0:
            pen.rectangle((left, top, left + size, top + size + seed % 2), fill="black")
    return picture


def quadrants(image):
    black = np.asarray(image.convert("RGB").resize((64, 64))).max(-1) < 60
    found = [black[t : t + 32, s : s + 32].mean() for s, t in itertools.product((0, 32), (0, 32))]
    return np.sqrt(found)


def background(image):
    pixels = np.asarray(image.convert("RGB")).reshape(-1, 3)
    light = pixels[pixels.max(-1) >= 60]
    return np.append((light.mean(0) - 100) / 155, 0.5)
