#!/usr/bin/env python3
"""Makes tests/data/images/*.png and tests/data/golden.json.

An independent reference for tests/golden.rs: Pillow resizes and crops with the
rounding of mini's own golden.json, onnxruntime runs the models of models/mini, Hugging Face's tokenizers reads its
tokenizer.json. Run from the repository root with

    pip install numpy pillow onnxruntime tokenizers
    python3 tests/data/make_golden.py

The pictures are drawn here, so they have no other owner. They are written only where they are
missing: another Pillow may draw them differently.
"""

import json
import math
from pathlib import Path

import numpy
import onnxruntime
from PIL import Image, ImageDraw
from tokenizers import Tokenizer

ROOT = Path(__file__).resolve().parents[2]
BUNDLE = ROOT / "models" / "mini"
IMAGES = ROOT / "tests" / "data" / "images"
PROMPTS = ["a photo of a house", "a photo of a cat", "an empty road", "a traffic light at night"]


def house():
    """A wide picture: a house on a meadow under a graded sky."""
    picture = Image.new("RGB", (400, 250))
    draw = ImageDraw.Draw(picture)
    for y in range(160):
        draw.line((0, y, 399, y), fill=(90 + y // 2, 150 + y // 3, 235))
    draw.rectangle((0, 160, 399, 249), fill=(70, 140, 60))
    draw.rectangle((130, 100, 270, 210), fill=(205, 190, 160))
    draw.polygon([(115, 102), (200, 40), (285, 102)], fill=(150, 50, 40))
    draw.rectangle((185, 150, 215, 210), fill=(90, 60, 40))
    for x in (145, 225):
        draw.rectangle((x, 120, x + 28, 142), fill=(180, 215, 235), outline=(60, 60, 60))
    draw.ellipse((330, 20, 370, 60), fill=(250, 230, 120))
    return picture


def lights():
    """A small, tall, odd-sized picture with hard edges: enlarged, and sensitive to the filter."""
    picture = Image.new("RGB", (97, 161), (20, 22, 30))
    draw = ImageDraw.Draw(picture)
    draw.rectangle((30, 20, 66, 125), fill=(50, 50, 50), outline=(200, 200, 200))
    for y, colour in ((26, (255, 40, 30)), (60, (90, 80, 20)), (94, (20, 70, 30))):
        draw.ellipse((34, y, 62, y + 28), fill=colour)
    for x in range(0, 97, 4):
        draw.line((x, 140, x + 2, 160), fill=(255, 255, 255))
    return picture


def preprocess(picture, spec):
    size = spec["size"][0]
    width, height = picture.size
    short = min(width, height)
    scaled = [round(side * size / short) for side in (width, height)]
    picture = picture.convert("RGB").resize(scaled, Image.BICUBIC)
    left, top = ((side - size) // 2 for side in scaled)
    picture = picture.crop((left, top, left + size, top + size))
    values = numpy.asarray(picture, dtype=numpy.float32) / 255
    values = (values - numpy.float32(spec["mean"])) / numpy.float32(spec["std"])
    return values.transpose(2, 0, 1)[None].astype(numpy.float32)


def main():
    IMAGES.mkdir(parents=True, exist_ok=True)
    for name, draw in (("house", house), ("lights", lights)):
        path = IMAGES / f"{name}.png"
        if not path.exists():
            draw().save(path, optimize=True)
    config = json.loads((BUNDLE / "config.json").read_text())
    spec = json.loads((BUNDLE / "visual" / "preprocess_cfg.json").read_text())
    tokenizer = Tokenizer.from_file(str(BUNDLE / "textual" / "tokenizer.json"))
    session = lambda part: onnxruntime.InferenceSession(
        str(BUNDLE / part / "model.onnx"), providers=["CPUExecutionProvider"]
    )
    textual, visual = session("textual"), session("visual")
    encodings = [tokenizer.encode(prompt) for prompt in PROMPTS]
    ids = numpy.array([encoding.ids for encoding in encodings], dtype=numpy.int32)
    texts = textual.run(None, {"text": ids})[0]
    golden = {"prompts": [], "images": []}
    for prompt, encoding, embedding in zip(PROMPTS, encodings, texts):
        length = sum(encoding.attention_mask)
        golden["prompts"].append(
            {"text": prompt, "ids": encoding.ids[:length], "embedding": rounded(embedding)}
        )
    for path in sorted(IMAGES.glob("*.png")):
        image = visual.run(None, {"image": preprocess(Image.open(path), spec)})[0][0]
        logits = [config["logit_scale"] * float(numpy.dot(image, text)) for text in texts]
        powers = [math.exp(logit - max(logits)) for logit in logits]
        golden["images"].append(
            {
                "path": f"images/{path.name}",
                "embedding": rounded(image),
                "probabilities": [round(power / sum(powers), 6) for power in powers],
            }
        )
        print(path.name, golden["images"][-1]["probabilities"])
    (ROOT / "tests" / "data" / "golden.json").write_text(json.dumps(golden, indent=1) + "\n")


def rounded(values):
    return [round(float(value), 6) for value in values]


if __name__ == "__main__":
    main()
