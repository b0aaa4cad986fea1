#!/usr/bin/env bash
# Quality and timings of two installations of one method, in turn, so that a slow hour of the machine hits both alike.
# usage: measure.sh BASE_OUT HEAD_OUT
# BASE_BIN and HEAD_BIN: folders that hold each side's thbench; METHOD and SUITE; ROUNDS: how often each is timed. Twenty
# rounds find a method that is 10 % slower in more than 95 of 100 cases where equal code varies by 5 % (one standard
# deviation) from process to process; thbench gate --calibrate says how much it is on your machine.
set -euo pipefail
base_out=$1 head_out=$2
declare -A bin=([base]=${BASE_BIN:?} [head]=${HEAD_BIN:?}) out=([base]=$base_out [head]=$head_out)
for side in base head; do
  # Exit code 1 says that some clips failed; the gate sees which, and compares with the other side.
  "${bin[$side]}/thbench" run "${SUITE:?}" --out "${out[$side]}" --quiet || [ $? -eq 1 ]
  mkdir -p "${out[$side]}/costs"
done
for round in $(seq -w 1 "${ROUNDS:-20}"); do
  for side in $(shuf -e base head); do
    "${bin[$side]}/thbench" time "${METHOD:?}" --processes 1 --cold-starts 0 --no-memory --rounds 4 --quiet \
      --json "${out[$side]}/costs/$round.json"
  done
done
for side in base head; do
  # Memory in a pass of its own: it is counted, so once is enough.
  "${bin[$side]}/thbench" time "${METHOD:?}" --processes 1 --cold-starts 0 --rounds 1 --max-rounds 1 --quiet \
    --json "${out[$side]}/costs/memory.json"
done
