# The image of `rowhouse`: one static binary, no shell, no user that is root. It serves; PostgreSQL is elsewhere.
#
#   docker build --build-arg VERSION="$(git describe --tags --always --dirty)" -t rowhouse .
#   docker run --rm --env-file database.env rowhouse migrate up
#   docker run --rm --env-file database.env -e ROWHOUSE_SERVER_BASE_DOMAIN=example.com -p 8080:8080 rowhouse
#
# with ROWHOUSE_DATABASE_URL and ROWHOUSE_DATABASE_LOGIN_SECRET in database.env. `rowhouse up` is not for containers: the image holds no
# PostgreSQL for it to start.

FROM golang:1.26.8-bookworm AS build
WORKDIR /src
# The modules change less often than the code: a layer of their own.
COPY go.mod go.sum ./
RUN --mount=type=cache,target=/go/pkg/mod \
    go mod download
COPY . .
ARG VERSION=dev
# timetzdata puts the time zones into the binary: the final image has no files of them.
RUN --mount=type=cache,target=/go/pkg/mod --mount=type=cache,target=/root/.cache/go-build \
    make build VERSION="$VERSION" GOTAGS=timetzdata BIN=/out/rowhouse

FROM scratch
ARG VERSION=dev
LABEL org.opencontainers.image.title="rowhouse" \
      org.opencontainers.image.description="A multi-tenant platform with one PostgreSQL schema per customer" \
      org.opencontainers.image.source="https://github.com/rowhousehq/rowhouse" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="$VERSION"
# For TLS to PostgreSQL with sslmode=verify-full and sslrootcert=system.
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/
COPY --from=build /src/LICENSE /LICENSE
COPY --from=build /out/rowhouse /rowhouse
# By number, so that Kubernetes can see that it is not root. No name: there is no /etc/passwd.
USER 65532:65532
# A container is alone in its network: only what is published, or reached by its own address, is seen from outside. The admin port has
# health checks and metrics for the orchestrator and must not be published to the internet.
ENV ROWHOUSE_SERVER_ADDR=:8080 \
    ROWHOUSE_SERVER_ADMIN_ADDR=:9090
EXPOSE 8080 9090
# Asks /readyz of the admin address: is the database there, and are the migrations those of this binary? Meant for `serve`; start other
# commands with --no-healthcheck.
HEALTHCHECK --interval=10s --timeout=3s --start-period=20s --retries=3 CMD ["/rowhouse", "health"]
ENTRYPOINT ["/rowhouse"]
CMD ["serve"]
