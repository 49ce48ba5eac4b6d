FROM golang:1.22 AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN --mount=type=cache,target=/go/pkg/mod \
    go mod download
COPY . .
RUN --mount=type=cache,target=/go/pkg/mod \
    --mount=type=cache,target=/root/.cache/go-build \
    apt-get update && apt-get install -y upx && CGO_ENABLED=0 go build -o /bin/server ./cmd/server && upx /bin/server

FROM gcr.io/distroless/static-debian12:nonroot
COPY --from=build /bin/server /server
USER nonroot:nonroot
ENTRYPOINT ["/server"]
