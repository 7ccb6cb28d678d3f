#!/usr/bin/env bash
# GSM8K and unseen tasks of BIG-Bench-Hard (benchmarks/gsm8k.py), for about ten minutes of one GPU with 16 cores:
#   benchmarks/gsm8k.sh HuggingFaceTB/SmolLM2-135M-Instruct
# Without a network, name folders of the data as the second and third argument: one with GSM8K's train.jsonl and
# test.jsonl, and one with NAME.json of BIG-Bench-Hard. A fourth argument `small` runs every step on a few tokens, to
# try the script on a CPU; its figures are not results and stay in runs/bench.
set -euo pipefail

base=${1:?the base: a folder or a name on the Hub} gsm8k=${2:-openai/gsm8k} bbh=${3:-lukaemon/bbh} size=${4:-long}
case $size in
    long) sizes=(--tokens 2_000_000 --problems 500 --rl-steps 20) ;;
    small) sizes=(--tokens 8_000 --problems 2 --rl-steps 1 --results runs/bench/gsm8k-small.json
        --page runs/bench/gsm8k-small.md) ;;
    *) echo "error: the size is long or small, not $size" >&2; exit 2 ;;
esac

python -m benchmarks.run gsm8k gsm8k-rl gsm8k-votes gsm8k-unseen gsm8k-unseen-rl --base "$base" --gsm8k "$gsm8k" --bbh "$bbh" "${sizes[@]}"
