# The worker and the command line. Two stages: pip and its cache stay behind in the first.

FROM python:3.12.13-slim-bookworm AS packages
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
RUN python -m venv /opt/venv
COPY requirements.lock /tmp/requirements.lock
# The lock names each package that the program needs, with its hash. pip refuses every other one, such as those of the
# tests, which stand in requirements-dev.lock.
RUN /opt/venv/bin/pip install --require-hashes --requirement /tmp/requirements.lock

FROM python:3.12.13-slim-bookworm
# Uid and gid are fixed, so that folders mounted from outside can be given to them.
RUN groupadd --gid 10001 perdure \
    && useradd --uid 10001 --gid perdure --create-home --shell /usr/sbin/nologin perdure \
    && install --directory --owner=perdure --group=perdure /data
COPY --from=packages /opt/venv /opt/venv
WORKDIR /app
COPY perdure perdure
COPY activities activities
COPY workflows workflows
COPY orchestration orchestration
COPY commands commands
COPY migrations migrations
COPY ops/worker_health.py ops/worker_health.py
COPY worker.py starter.py resume_workflow.py ./
ENV PATH=/opt/venv/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    PERDURE_DATA_DIR=/data
USER 10001:10001
# The worker stops gracefully on SIGTERM. Run it under an init (`init: true`, `docker run --init`): the worker's parsers
# are processes of their own, and the init reaps those that were killed.
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=15s --timeout=5s --start-period=30s --retries=3 CMD ["python", "ops/worker_health.py"]
CMD ["python", "worker.py", "--supervise"]
