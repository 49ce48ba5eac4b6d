FROM python:3.11-slim
RUN cd /opt && python -m venv env && . env/bin/activate
RUN rm -rf /opt/env
RUN export VERSION=2.1 && curl -fsSLO https://example.org/tool-$VERSION.tgz
RUN tar xzf tool-$VERSION.tgz; rm tool-*.tgz
RUN --mount=type=secret,id=token curl -fsSL -o /data.zip https://example.org/data.zip
RUN unzip /data.zip && rm /data.zip
RUN wget https://example.org/big.iso
RUN rm /big.iso || true
