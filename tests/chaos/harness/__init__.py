"""Chaos: seeded schedules of faults against everything a run depends on, and the laws that hold after each.

    make chaos ARGS="--seed 7 --faults 60"

`schedule` says what happens when; `world` has the servers, proxies and workers; `faults` does it to them; `trial` is
one run that goes through it and is judged; `report` prints and stores what was found.
"""
