# Both programs in an image with nothing else: no shell, no libraries, no files. docker build -t viakv .
FROM golang:1.26 AS build
WORKDIR /src
ENV CGO_ENABLED=0
# First the modules, and the packages of them that take longest to compile, because they change less often than the
# code.
COPY go.mod go.sum ./
RUN go mod download \
 && go build -trimpath github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3 github.com/go-analyze/charts github.com/jackc/pgx/v5/pgxpool \
      github.com/klauspost/compress/zstd github.com/prometheus/client_golang/prometheus/promhttp github.com/spf13/cobra github.com/valyala/fasthttp/fasthttpadaptor \
      go.etcd.io/raft/v3 go.mongodb.org/mongo-driver/v2/mongo go.uber.org/zap
COPY . .
ARG COMMIT=unknown
RUN mkdir -p /image/tmp /image/reports \
 && go build -trimpath -buildvcs=false -ldflags "-s -w -X main.commit=${COMMIT}" -o /image/ ./cmd/viakv ./cmd/bench \
 && chown -R 65532:65532 /image/reports && chmod 1777 /image/tmp

FROM scratch
ARG COMMIT=unknown
LABEL org.opencontainers.image.title="viakv" \
      org.opencontainers.image.description="A key-value service without a special node" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.revision="${COMMIT}"
COPY --from=build /image/ /
USER 65532:65532
# The first port is for the API and the console, the second for the other nodes.
EXPOSE 8080 9080
ENV VIAKV_HTTP=0.0.0.0:8080 VIAKV_PEER=0.0.0.0:9080
HEALTHCHECK --interval=5s --timeout=3s --start-period=30s --retries=3 CMD ["/viakv", "health", "--http", "127.0.0.1:8080"]
ENTRYPOINT ["/viakv"]
CMD ["serve"]
