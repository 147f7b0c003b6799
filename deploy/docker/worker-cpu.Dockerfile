# The network on CPUs, by ONNX Runtime.
FROM python:3.12-slim-bookworm AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
RUN python -m venv /opt/carina
COPY requirements/worker-cpu.txt /src/requirements.txt
RUN /opt/carina/bin/pip install --require-hashes -r /src/requirements.txt
COPY requirements/build.txt /src/build.txt
RUN python -m venv /opt/build && /opt/build/bin/pip install --require-hashes -r /src/build.txt
COPY pyproject.toml README.md LICENSE NOTICE /src/
COPY models /src/models
COPY dicom /src/dicom
COPY service /src/service
COPY workers /src/workers
COPY migrations /src/migrations
RUN /opt/build/bin/pip wheel --no-deps --no-build-isolation --wheel-dir /src/dist /src \
    && /opt/carina/bin/pip install --no-deps /src/dist/carina-*.whl

FROM python:3.12-slim-bookworm
LABEL org.opencontainers.image.title="carina worker-cpu" \
      org.opencontainers.image.licenses="Apache-2.0"
ENV PATH=/opt/carina/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
RUN useradd --uid 10001 --user-group --no-create-home --home-dir /var/lib/carina carina \
    && install --directory --owner=carina --group=carina --mode=0750 /var/lib/carina
COPY --from=build /opt/carina /opt/carina
USER 10001:10001
WORKDIR /var/lib/carina
VOLUME /var/lib/carina
STOPSIGNAL SIGTERM
CMD ["carina", "work"]
