# docker build -t shiplog .        docs/deploy.md says how it is run
# Any base will do that has Node 24, npm and a shell.
ARG BASE=node:24-slim

FROM ${BASE} AS packages
WORKDIR /opt/shiplog
COPY package.json package-lock.json .npmrc ./
# What is optional is the Node that a machine without one runs on.
RUN npm ci --omit=dev --omit=optional

FROM ${BASE}
ARG REVISION
LABEL org.opencontainers.image.title="shiplog" \
      org.opencontainers.image.description="A private container registry and a log pipeline in one server." \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.revision="${REVISION}"

RUN echo 'shiplog:x:1001:1001:shiplog:/data:/bin/false' >> /etc/passwd \
 && echo 'shiplog:x:1001:' >> /etc/group \
 && mkdir -m 700 /data /data/registry \
 && chown 1001:1001 /data /data/registry \
 && ln -s /opt/shiplog/src/main.ts /usr/local/bin/shiplog
COPY --from=packages /opt/shiplog /opt/shiplog
COPY . /opt/shiplog
COPY deploy/shiplog.yml /etc/shiplog/shiplog.yml
ENV SHIPLOG_CONFIG=/etc/shiplog/shiplog.yml

# Numbers, by which Kubernetes sees that it is not root.
USER 1001:1001
WORKDIR /data
VOLUME /data
EXPOSE 5000 5514 5514/udp
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=15s --timeout=10s --start-period=60s CMD ["shiplog", "health"]
ENTRYPOINT ["shiplog"]
