#!/usr/bin/env bash
# The recipe smollm2-135m with thirty times the training, for about ten minutes of one GPU with 16 cores:
#   benchmarks/accelerator.sh HuggingFaceTB/SmolLM2-135M-Instruct runs/smollm2-long
# A third argument `small` runs every step on a few tokens, to try the script on a CPU.
set -euo pipefail

base=${1:?the base: a folder or a name on the Hub} out=${2:?the run folder} size=${3:-long}
case $size in
    long) sizes=(synth.dags=60_000 synth.paths=200_000 cpt.tokens=1_000_000 cpt.batch_tokens=32_768
        sft.tokens=25_000_000 sft.batch_tokens=32_768 rl.steps=30 eval.problems_per_family=60) ;;
    small) sizes=(synth.dags=60 synth.paths=120 cpt.tokens=2_000 sft.tokens=4_000 rl.steps=1
        rl.problems_per_step=2 rl.rollouts_per_problem=2 rl.max_tokens=200 eval.problems_per_family=1
        'eval.budgets=[2]' eval.max_tokens=200) ;;
    *) echo "error: the size is long or small, not $size" >&2; exit 2 ;;
esac
settings=()
for setting in "${sizes[@]}"; do settings+=(--set "$setting"); done
run=(--recipe smollm2-135m --base "$base" --out "$out" "${settings[@]}")

steiner synth "${run[@]}"
steiner train cpt "${run[@]}"
steiner train sft "${run[@]}"
python -m benchmarks.typed_questions development --model "$out/sft" --max-steps "$([[ $size = small ]] && echo 1 || echo 32)"
steiner train rl "${run[@]}"
steiner eval "${run[@]}"
steiner report "${run[@]}"
