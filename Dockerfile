# The web app in a container: docker compose up, then http://127.0.0.1:8000/ (docs/serve.md).

FROM python:3.12-slim AS build
# Any compiler will do.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends g++ \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /source
COPY . .
RUN python -m venv /opt/unbraid \
    && /opt/unbraid/bin/pip install --no-cache-dir --constraint constraints.txt '.[web]'

FROM python:3.12-slim
COPY --from=build /opt/unbraid /opt/unbraid
RUN useradd --create-home --uid 1000 unbraid \
    && mkdir /data \
    && chown unbraid /data
ENV PATH=/opt/unbraid/bin:$PATH
USER 1000
VOLUME /data
EXPOSE 8000
HEALTHCHECK --start-period=30s CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8000/healthz', timeout=5)"]
ENTRYPOINT ["unbraid"]
CMD ["serve", "--host", "0.0.0.0", "--data", "/data"]
