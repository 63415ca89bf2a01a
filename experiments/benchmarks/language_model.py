"""The whole road for a language model, GPT-2 small, 20 iterates: ``python experiments/benchmarks/language_model.py``.

Records a short training of 124 M parameters on the source of Python's standard library, then runs each verb in a
process of its own and prints its seconds and its peak memory, which includes the interpreter and the model.
"""

import argparse
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

OBJECTIVE = """
import pathlib, torch, trajmap, transformers

def tokens(n, length, skip=0):
    text = pathlib.Path(pathlib.__file__).read_text(encoding="utf-8") + pathlib.Path(trajmap.__file__).read_text()
    ids = torch.tensor(list(text.encode()))[skip:]
    return ids[: n * length].view(n, length)

def model():
    torch.manual_seed(0)
    size = dict(SIZE)
    config = transformers.GPT2Config(vocab_size=50257, resid_pdrop=0, embd_pdrop=0, attn_pdrop=0, **size)
    return transformers.GPT2LMHeadModel(config)

def make_objective():
    ids = tokens(2, 32)
    return trajmap.Objective(model(), lambda m, b: m(input_ids=b, labels=b).loss, [ids])
"""
TRAIN = """
import sys, torch, trajmap
sys.path.insert(0, {folder!r})
from objective import model, tokens
torch.set_num_threads(1)
net = model()
optimizer = torch.optim.SGD(net.parameters(), lr=0.05, momentum=0.9)
with trajmap.Recorder(net, {run!r}).attach(optimizer) as recorder:
    for step in range({steps}):
        ids = tokens(2, 32, skip=64 * step)
        optimizer.zero_grad()
        loss = net(input_ids=ids, labels=ids).loss
        loss.backward()
        optimizer.step()
        recorder.record({{"loss": loss.item()}})
"""
VERBS = {
    "info": [],
    "embed": ["--charts", "pca", "diffusion"],
    "score": ["--charts", "pca"],
    "surface": ["--charts", "pca", "--n", "7", "--held-out"],
    "report": [],
}


def measured(command: list[str]) -> tuple[float, float]:
    """Run a command in a process of its own: seconds, and its peak memory in GiB."""
    code = (
        "import resource, subprocess, sys\n"
        "done = subprocess.run(sys.argv[1:], capture_output=True, text=True)\n"
        "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss, file=sys.stderr)\n"
        "done.returncode and print(done.stderr[-2000:], file=sys.stderr)\n"
        "sys.exit(done.returncode)"
    )
    start = time.perf_counter()
    done = subprocess.run([sys.executable, "-c", code, *command], capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(done.stderr)
    unit = 1 if sys.platform == "darwin" else 1024
    return time.perf_counter() - start, int(done.stderr.split()[0]) * unit / 2**30


def main(out: Path, *, seed: int = 0, quick: bool = False) -> dict[str, float]:
    """Record a run and walk the road; gives the peak of each verb in GiB."""
    del seed  # the sizes are what matters
    folder, run = Path(out), Path(out) / "run"
    size = {"n_embd": 32, "n_layer": 1, "n_head": 2, "n_positions": 64} if quick else {}
    (folder / "objective.py").write_text(OBJECTIVE.replace("SIZE", repr(size)), encoding="utf-8")
    train = TRAIN.format(folder=str(folder), run=str(run), steps=6 if quick else 19)
    found = {}
    chosen = {name: VERBS[name] for name in ("info", "surface")} if quick else VERBS
    verbs = [(name, [sys.executable, "-m", "trajmap", name, str(run), *options]) for name, options in chosen.items()]
    objective = ["--objective", f"{folder / 'objective.py'}:make_objective"]
    print("| step | s | peak memory, GiB |\n|---|---|---|")
    for name, command in [("record", [sys.executable, "-c", train]), *verbs]:
        seconds, peak = measured(command + (objective if name == "surface" else []))
        found[f"{name}, GiB"] = peak
        print(f"| {name} | {seconds:.0f} | {peak:.2f} |", flush=True)
    return found


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--quick", action="store_true")
    args = parser.parse_args()
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    main(args.out or Path(tempfile.mkdtemp()), quick=args.quick)
