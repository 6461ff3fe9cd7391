"""Makes the fixtures of tests/import.rs: a tiny ViT in OpenAI's released format, and a tiny ResNet
as a state dictionary.

Random weights in the reference implementation's own classes (clip-anytorch, the packaged
openai/CLIP), traced and saved as TorchScript with fp16 weights as the released files are, and
what that implementation gives for one picture and some texts. Needs, in a virtual environment:

    pip install torch torchvision pillow ftfy regex tqdm 'setuptools<80'
    pip install --no-deps clip-anytorch

    python tests/data/clip/generate.py            # the fixtures, beside this file
    python tests/data/clip/generate.py FOLDER NAME  # one full-size model; used by `make parity`
"""

import json
import random
import sys
import zipfile
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from clip.clip import _transform
from clip.model import CLIP, convert_weights
from clip.simple_tokenizer import SimpleTokenizer

HERE = Path(__file__).parent
TEXTS = ["a diagram", "a dog", "a cat", "smoke in the hall", "A Package on the doorstep!", ""]

# embed_dim, resolution, vision layers, vision width, patch, context, vocabulary, text width, heads, layers
ARCHITECTURES = {
    "tiny-vit": (32, 32, 2, 64, 8, 20, 540, 64, 1, 1),
    "tiny-resnet": (32, 64, (1, 2, 1, 1), 4, None, 20, 540, 64, 1, 1),
    "RN50": (1024, 224, (3, 4, 6, 3), 64, None, 77, 49408, 512, 8, 12),
    "RN101": (512, 224, (3, 4, 23, 3), 64, None, 77, 49408, 512, 8, 12),
    "RN50x4": (640, 288, (4, 6, 10, 6), 80, None, 77, 49408, 640, 10, 12),
    "RN50x16": (768, 384, (6, 8, 18, 8), 96, None, 77, 49408, 768, 12, 12),
    "RN50x64": (1024, 448, (3, 15, 36, 10), 128, None, 77, 49408, 1024, 16, 12),
    "ViT-B-32": (512, 224, 12, 768, 32, 77, 49408, 512, 8, 12),
    "ViT-B-16": (512, 224, 12, 768, 16, 77, 49408, 512, 8, 12),
    "ViT-L-14": (768, 224, 24, 1024, 14, 77, 49408, 768, 12, 12),
    "ViT-L-14-336px": (768, 336, 24, 1024, 14, 77, 49408, 768, 12, 12),
}


class Tokenizer(SimpleTokenizer):
    """The reference's, for a vocabulary that is cut to its first `size` tokens."""

    def __init__(self, size):
        super().__init__()
        if size < len(self.encoder):
            special = ["<|startoftext|>", "<|endoftext|>"]
            kept = [token for token, id in self.encoder.items() if id < size - 2] + special
            ranks = list(self.bpe_ranks.items())[: size - 514]
            self.encoder = {token: id for id, token in enumerate(kept)}
            self.bpe_ranks = dict(ranks)
            self.cache = {token: token for token in special}

    def ids(self, text, context=77):
        start, end = self.encoder["<|startoftext|>"], self.encoder["<|endoftext|>"]
        ids = [start, *self.encode(text), end]
        if len(ids) > context:
            ids = ids[:context]
            ids[-1] = end
        return ids


def build(name):
    """The model, with weights as a trained one's: no layer's output dies or explodes."""
    seed = sum(name.encode())
    torch.manual_seed(seed)
    model = CLIP(*ARCHITECTURES[name]).eval()
    with torch.no_grad():
        for key, value in model.named_buffers():
            if key.endswith("running_mean"):
                value.normal_(0, 0.1)
            elif key.endswith("running_var"):
                value.uniform_(0.5, 1.5)
        for key, value in model.named_parameters():
            if ".bn" in key or "downsample.1" in key:
                value.uniform_(0.5, 1.0) if key.endswith("weight") else value.normal_(0, 0.1)
            elif key.endswith("bias"):
                value.normal_(0, 0.02)
        model.logit_scale.fill_(float(np.log(100)))
    convert_weights(model)
    return model


def save(model, name, path):
    """As OpenAI's files are: a traced module with sizes as tensors, fp16 weights."""
    resolution, context, vocabulary = (ARCHITECTURES[name][i] for i in (1, 5, 6))
    model = model.float()  # half precision cannot be traced on every CPU; narrowed again below
    image = torch.zeros(1, 3, resolution, resolution)
    text = torch.zeros(1, context, dtype=torch.long)
    text[0, :2] = torch.tensor([vocabulary - 2, vocabulary - 1])
    model.register_buffer("input_resolution", torch.tensor(resolution))
    methods = {"forward": (image, text), "encode_image": image, "encode_text": text}
    with torch.no_grad():
        traced = torch.jit.trace_module(model, methods, check_trace=False)
    convert_weights(model)  # shares its parameters with the traced module
    torch.jit.save(traced, str(path))
    if name.startswith("tiny"):
        without_debug_files(path)


def without_debug_files(path):
    """The same archive without the source positions, which are most of a tiny one."""
    with zipfile.ZipFile(path) as archive:
        members = [(name, archive.read(name)) for name in archive.namelist()]
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in members:
            if not name.endswith(".debug_pkl"):
                archive.writestr(zipfile.ZipInfo(name), data)


def picture(size):
    """A picture that needs no resizing, with gradients, edges and noise."""
    y, x = np.mgrid[0:size, 0:size]
    noise = np.random.default_rng(7).integers(0, 40, (size, size, 3))
    red, green = x * 255 // size, y * 255 // size
    blue = np.where((x // 8 + y // 8) % 2, 200, 30)
    return Image.fromarray(np.clip(np.stack([red, green, blue], -1) + noise, 0, 255).astype(np.uint8))


def reference(name, pixels, texts):
    """Ids, and embeddings in fp32, from the same fp16 weights."""
    model = build(name).float()
    tokenizer = Tokenizer(ARCHITECTURES[name][6])
    context = ARCHITECTURES[name][5]
    ids = [tokenizer.ids(text, context) for text in texts]
    padded = torch.tensor([row + [0] * (context - len(row)) for row in ids])
    with torch.no_grad():
        image = model.encode_image(_transform(ARCHITECTURES[name][1])(pixels)[None])
        text = model.encode_text(padded)
    image = image / image.norm(dim=-1, keepdim=True)
    text = text / text.norm(dim=-1, keepdim=True)
    scale = model.logit_scale.exp()
    probabilities = (scale * image @ text.t()).softmax(-1)
    return {
        "name": name,
        "texts": [{"text": t, "ids": i, "embedding": e.tolist()} for t, i, e in zip(texts, ids, text)],
        "image": image[0].tolist(),
        "probabilities": probabilities[0].tolist(),
    }


def fixtures():
    found = []
    for name in ("tiny-vit", "tiny-resnet"):
        size = ARCHITECTURES[name][1]
        picture(size).save(HERE / f"{name}.png")
        found.append(reference(name, picture(size), TEXTS))
    save(build("tiny-vit"), "tiny-vit", HERE / "tiny-vit.pt")
    torch.save(build("tiny-resnet").state_dict(), HERE / "tiny-resnet.pt")
    (HERE / "golden.json").write_text(json.dumps(found) + "\n")
    tokens()


def tokens():
    """Ids of texts that are awkward in every way the cleaning knows."""
    pieces = [
        "a", "photo", "of", "DOG", "don't", "we've", "O'Neill’s", "“quoted”", "x-ray", "1,000.50", "3pm", "½", "ﬁre",
        "naïve", "Zürich", "ß", "東京", "日本語", "한국어", "สวัสดี", "приве́т", "مرحبا", "🔥", "🏃‍♀️", "&amp;", "&amp;lt;",
        "&eacute;", "&#39;", "<b>", "ＡＢＣ", "ｶﾞ", "\u00a0", "\u200b", "\t", "\x00", "\x1b[31m", "cafÃ©", "â€œno", "!!!", "...",
        "@user", "#tag", "http://a.b/c?d=e", "<|endoftext|>", "<|startoftext|>", "\ufeff", "e\u0301", "word" * 30, "\n",
    ]
    draw = random.Random(1)
    texts = ["", " ", *pieces, "word " * 90]
    texts += [" ".join(draw.choices(pieces, k=draw.randint(2, 14))) for _ in range(150)]
    tokenizer = Tokenizer(49408)
    lines = [json.dumps({"text": t, "ids": tokenizer.ids(t)}, ensure_ascii=False) for t in texts]
    (HERE / "tokens.jsonl").write_text("\n".join(lines) + "\n")


def full_size(folder, name):
    folder = Path(folder)
    save(build(name), name, folder / f"{name}.pt")
    picture(ARCHITECTURES[name][1]).save(folder / f"{name}.png")
    found = reference(name, picture(ARCHITECTURES[name][1]), TEXTS)
    (folder / f"{name}.json").write_text(json.dumps(found))


if __name__ == "__main__":
    full_size(*sys.argv[1:]) if len(sys.argv) == 3 else fixtures()
