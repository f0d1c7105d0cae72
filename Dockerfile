# Two images of one binary: `api`, which parses documents and answers the
# network (and is the auditor's door and the registrar), and `signer`, which holds the HSM. docs/containers.md says how they
# belong together and what has been tried.

ARG GO_IMAGE=golang:1.27-bookworm
ARG RUNTIME_IMAGE=debian:bookworm-slim

FROM ${GO_IMAGE} AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN --mount=type=cache,target=/go/pkg/mod go mod download
COPY . .
# PKCS#11 needs cgo: the runtime image has the same C library.
RUN --mount=type=cache,target=/go/pkg/mod --mount=type=cache,target=/root/.cache/go-build \
    go build -trimpath -o /rubrica ./cmd/rubrica

FROM ${RUNTIME_IMAGE} AS base
RUN apt-get update \
    && apt-get install -y --no-install-recommends ca-certificates curl tzdata \
    && rm -rf /var/lib/apt/lists/*
# The same numbers in both images: the signer knows api by its user and lets the
# group open the socket; what they must not share (the token) is the user's.
RUN groupadd --gid 7100 rubrica \
    && useradd --uid 7101 --gid rubrica --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin api \
    && useradd --uid 7102 --gid rubrica --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin signer \
    && useradd --uid 7103 --gid rubrica --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin auditor \
    && useradd --uid 7104 --gid rubrica --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin registrar \
    && install -d -o signer -g rubrica -m 2750 /run/rubrica
COPY --from=build /rubrica /usr/bin/rubrica
ENTRYPOINT ["/usr/bin/rubrica"]

# The document worker runs pdftoppm and pdftotext.
FROM base AS api
RUN apt-get update \
    && apt-get install -y --no-install-recommends poppler-utils fonts-dejavu-core \
    && rm -rf /var/lib/apt/lists/*
USER api
EXPOSE 8080
HEALTHCHECK --interval=5s --timeout=3s --start-period=20s --retries=3 \
    CMD ["curl", "--fail", "--silent", "--output", "/dev/null", "http://127.0.0.1:8080/readyz"]
CMD ["api"]

# SoftHSM stands where a deployment mounts its own PKCS#11 module.
FROM base AS signer
RUN apt-get update \
    && apt-get install -y --no-install-recommends softhsm2 \
    && rm -rf /var/lib/apt/lists/* \
    && install -d -o signer -g rubrica -m 0700 /var/lib/rubrica/token /var/lib/rubrica/log
COPY <<EOT /etc/rubrica/softhsm2.conf
directories.tokendir = /var/lib/rubrica/token
objectstore.backend = file
log.level = ERROR
EOT
ENV SOFTHSM2_CONF=/etc/rubrica/softhsm2.conf
USER signer
VOLUME /var/lib/rubrica/token /var/lib/rubrica/log
HEALTHCHECK --interval=5s --timeout=3s --start-period=20s --retries=3 \
    CMD ["test", "-S", "/run/rubrica/signer.sock"]
CMD ["signer"]
