"""What the network of lab 09 reaches on each style, and a page that it writes: docs/char_rnn.md.

    python -m benchmarks.char_rnn shakespeare soseki     # trains, measures, writes the document
    python -m benchmarks.char_rnn --all --characters 3

What was measured stays in build/char_rnn/, one file a style, and the document is made of all of
them, so that styles can be measured one after another.
"""

import argparse
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from utils.data import text
from utils.device import best_device, describe
from utils.training import text as text_training

ROOT = Path(__file__).parents[1]
RESULTS, DOCUMENT = ROOT / "build" / "char_rnn", ROOT / "docs" / "char_rnn.md"
PAGE, TEMPERATURE = 1200, 0.7
SIZES = {
    "cpu": {"units": 128, "streams": 32, "length": 32, "rate": 0.008},
    "gpu": {"units": 512, "streams": 128, "length": 64, "rate": 0.004},
}


def measure(style: str, scale: str, millions: float, folder: Path) -> dict[str, Any]:
    """Train on a style and let the network write a page; returns what is to be reported."""
    corpus, sizes, device = text.corpus(style), SIZES[scale], best_device()
    codes, everything = np.unique(code_points(corpus.text), return_inverse=True)
    cut = len(corpus.train)
    ids, unseen = (torch.from_numpy(part).to(device) for part in np.split(everything, [cut]))
    torch.manual_seed(0)
    model = text_training.CharLSTM(len(codes), sizes["units"]).to(device)
    length, streams = sizes["length"], sizes["streams"]
    start = time.process_time()
    history = text_training.train(
        model,
        torch.optim.Adam(model.parameters(), lr=sizes["rate"]),
        bptt_step,
        lambda: batches(ids, streams, length),
        unseen[:30_000],
        steps=round(millions * 1e6 / (streams * length)),
        style=corpus.name,
        characters="".join(map(chr, codes)),
        checkpoint=folder / f"{corpus.name}.pt",
        schedule=lambda step, steps: (
            min(1, (step + 1) / 30) * 0.5 * (1 + np.cos(np.pi * step / steps))
        ),
        looks=20,
    )
    torch.manual_seed(1)
    written = text_training.generate(model, unseen[:100], PAGE, sample)
    return {
        "style": corpus.name,
        "scale": scale,
        "units": sizes["units"],
        "weights": sum(p.numel() for p in model.parameters()),
        "symbols": len(codes),
        "characters": len(corpus.text),
        "bytes_per_character": len(corpus.text.encode()) / len(corpus.text),
        "unigram": unigram(everything[:cut], everything[cut:], len(codes)),
        "bits": text_training.held_out_bits(model, unseen),
        "seen": history.seen[-1],
        "seconds": history.seconds,
        "cpu_seconds": time.process_time() - start,
        "threads": torch.get_num_threads(),
        "machine": describe(),
        "date": time.strftime("%Y-%m-%d"),
        "page": "".join(chr(codes[i]) for i in written),
    }


def code_points(string: str) -> np.ndarray:
    return np.frombuffer(string.encode("utf-32-le"), dtype=np.uint32)


def unigram(train: np.ndarray, held_out: np.ndarray, symbols: int) -> float:
    """Bits per character of the frequencies of characters."""
    counts = np.bincount(train, minlength=symbols) + 0.1
    return float(-np.log2(counts / counts.sum())[held_out].mean())


def batches(ids: Tensor, streams: int, length: int) -> Iterator[tuple[Tensor, Tensor]]:
    size = (len(ids) - 1) // streams
    x, y = (ids[i : i + streams * size].view(streams, size) for i in (0, 1))
    for k in range(0, size - length + 1, length):
        yield x[:, k : k + length], y[:, k : k + length]


def bptt_step(
    model: nn.Module,
    state: text_training.State | None,
    x: Tensor,
    y: Tensor,
    optimizer: torch.optim.Optimizer,
) -> tuple[float, text_training.State]:
    scores, (h, c) = model(x, state)
    loss = F.cross_entropy(scores.flatten(0, 1), y.flatten())
    optimizer.zero_grad()
    loss.backward()
    nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
    return loss.item(), (h.detach(), c.detach())


def sample(scores: Tensor) -> Tensor:
    return torch.multinomial(torch.softmax(scores / TEMPERATURE, dim=1), 1)[:, 0]


def document(results: list[dict[str, Any]]) -> str:
    """The page of all results, as Markdown."""
    lines = [
        "# What a small network writes",
        "",
        "A page in each style of lab 09, written by its network (two LSTM layers) after the",
        f"training that the table tells of, at temperature {TEMPERATURE:g}. Held out is the last",
        "tenth of each text. Made by `python -m benchmarks.char_rnn`, which anyone can run again.",
        "",
        "| style | characters, different | weights | seen | time | unigram | bits per character"
        " | bits per byte |",
        "|---|---|---|---|---|---|---|---|",
        *map(_row, results),
        "",
        *dict.fromkeys(
            f"Measured on {one['date']}: {one['machine']}, {one['threads']} thread(s); the time is"
            " the processor's, which other work on the machine does not lengthen."
            for one in results
        ),
        "",
        "A Japanese character takes three bytes in UTF-8 and says more than a Latin one: bits per",
        "byte compare the styles.",
    ]
    for one in results:
        title = text.STYLES[one["style"]].title if one["style"] in text.STYLES else ""
        title = title or text.EMBEDDED.get(one["style"], "a text of one's own")
        lines += [
            "",
            f"## {one['style']}: {title}",
            "",
            f"{one['bits']:.2f} bits per character on held-out text.",
            "",
            "~~~text",
            one["page"].strip("\n"),
            "~~~",
        ]
    return "\n".join(lines) + "\n"


def _row(one: dict[str, Any]) -> str:
    return (
        f"| {one['style']} | {one['characters']:,}, {one['symbols']:,} | {one['weights']:,}"
        f" | {one['seen'] / 1e6:.1f} million | {one['cpu_seconds']:.0f} s | {one['unigram']:.2f}"
        f" | **{one['bits']:.2f}** | {one['bits'] / one['bytes_per_character']:.2f} |"
    )


def main() -> None:
    styles = [*text.STYLES, *text.EMBEDDED]
    parser = argparse.ArgumentParser(prog="python -m benchmarks.char_rnn", description=__doc__)
    parser.add_argument("style", nargs="*", help=f"of {', '.join(styles)}, or a file")
    parser.add_argument("--all", action="store_true", help="every style")
    parser.add_argument("--scale", choices=SIZES, default="cpu")
    parser.add_argument("--characters", type=float, default=5.0, help="to train on, in millions")
    asked = parser.parse_args()
    RESULTS.mkdir(parents=True, exist_ok=True)
    for style in styles if asked.all else asked.style:
        result = measure(style, asked.scale, asked.characters, RESULTS)
        path = RESULTS / f"{result['style']}.json"
        path.write_text(json.dumps(result, ensure_ascii=False), encoding="utf-8")
    found = [json.loads(path.read_text(encoding="utf-8")) for path in RESULTS.glob("*.json")]
    order = {name: i for i, name in enumerate(styles)}
    found.sort(key=lambda one: order.get(one["style"], len(order)))
    DOCUMENT.write_text(document(found), encoding="utf-8")
    print(f"{DOCUMENT} has {len(found)} styles.")


if __name__ == "__main__":
    main()
