# docker build -t news-event-aggregator . ; docs/running.md has the rest.
FROM python:3.12-slim-bookworm AS build
WORKDIR /source
COPY pyproject.toml README.md LICENSE ./
COPY aggregator ./aggregator
RUN python -m venv /opt/aggregator && /opt/aggregator/bin/pip install --no-cache-dir '.[postgresql]'

FROM python:3.12-slim-bookworm
RUN useradd --uid 10001 --home-dir /data --no-create-home --shell /usr/sbin/nologin aggregator \
    && install -d -o aggregator -g aggregator /data
COPY --from=build /opt/aggregator /opt/aggregator
COPY feeds.opml /usr/share/aggregator/feeds.opml
ENV PATH=/opt/aggregator/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    AGGREGATOR_DATABASE=sqlite:////data/news.db \
    AGGREGATOR_OPML=/data/feeds.opml \
    AGGREGATOR_LOG_FORMAT=json
# By numbers, or Kubernetes (runAsNonRoot) can't tell that it is not root.
USER 10001:10001
WORKDIR /data
VOLUME /data
EXPOSE 8000
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=30s --timeout=10s --start-period=60s --retries=3 \
    CMD ["python", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:8000/healthz', timeout=8)"]
# A list of one's own is mounted at /data/feeds.opml or saved there; else it begins with the one of the project.
ENTRYPOINT ["sh", "-c", "[ -e \"$AGGREGATOR_OPML\" ] || { new=$(mktemp \"$AGGREGATOR_OPML.XXXXXX\") && cp /usr/share/aggregator/feeds.opml \"$new\" && mv -n \"$new\" \"$AGGREGATOR_OPML\"; rm -f \"$new\"; }; exec aggregator \"$@\"", "aggregator"]
CMD ["serve"]
