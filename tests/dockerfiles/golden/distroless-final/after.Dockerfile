FROM golang:1.22 AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
RUN apt-get update && apt-get install -y upx && CGO_ENABLED=0 go build -o /bin/server ./cmd/server && upx /bin/server

FROM gcr.io/distroless/static-debian12:nonroot
COPY --from=build /bin/server /server
USER nonroot:nonroot
ENTRYPOINT ["/server"]
