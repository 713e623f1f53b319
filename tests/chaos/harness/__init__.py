"""The chaos harness: seeded schedules of faults, and the promises that runs keep under them.

    make chaos ARGS="--seed 7 --faults 60"

`schedule` plans the faults. `world` starts the servers, proxies and workers. `faults` carries out each fault.
`trial` takes one run through a schedule and checks the promises. `report` prints and stores the results.
"""
