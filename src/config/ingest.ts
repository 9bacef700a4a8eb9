import { z } from 'zod';
import type { Contradiction } from './contradiction.ts';
import { logRules, rateLimit } from './log-rules.ts';
import { count, network, networks, optionalAddress, path, secret, size, text } from './values.ts';

/** `ingest`: who may send logs and how, what becomes of them, and what waits for the log store. */
export function ingest(base: string) {
  return z
    .strictObject({
      rules: logRules.describe(
        'What is dropped, sampled, redacted or set, in order: [rules.md](rules.md). In the environment as YAML: ' +
          "`[{ name: health, contains: 'GET /healthz', drop: true }]`.",
      ),
      rate_limit: rateLimit
        .prefault('off')
        .describe(
          'What one container may log, such as `5000/s`, `100000/m` or `1000000/h`; what is over it is dropped, and ' +
            'counted: [rules.md](rules.md).',
        ),
      syslog: syslog(base),
      http: z
        .strictObject({
          tokens_file: path(base)
            .optional()
            .describe('Tokens by which logs are sent over HTTP: [senders.md](senders.md).'),
        })
        .prefault({}),
      forward: z
        .strictObject({
          listen: optionalAddress
            .prefault('off')
            .describe("The forward protocol of fluentd and fluent-bit, and of Docker's `fluentd` driver."),
          unix: path(base)
            .optional()
            .describe(
              'The path of a unix stream socket for it: `fluentd-address=unix://PATH`. Its file is for the user and ' +
                'the group of the server (0660).',
            ),
          shared_key: secret()
            .optional()
            .describe(
              'What fluentd and fluent-bit must have to send over TCP or TLS (their `shared_key`). ' +
                "Docker's driver has no key: it cannot send there then, only to the unix socket.",
            ),
          tls: tls(base, 'The same over TLS.'),
        })
        .prefault({}),
      gelf: z
        .strictObject({
          tcp: optionalAddress.prefault('off').describe("GELF over TCP, as Docker's `gelf` driver sends it."),
          udp: optionalAddress
            .prefault('off')
            .describe('GELF over UDP, whole or in chunks, also compressed with gzip or zlib.'),
        })
        .prefault({}),
      spool: spool(),
      tags: tags(),
    })
    .prefault({});
}

function syslog(base: string) {
  return z
    .strictObject({
      tcp: optionalAddress.prefault('127.0.0.1:5514').describe('Syslog over TCP; `off` for none.'),
      udp: optionalAddress.prefault('127.0.0.1:5514').describe('Syslog over UDP; `off` for none.'),
      unix: path(base)
        .optional()
        .describe(
          'The path of a unix stream socket for syslog: `syslog-address=unix://PATH`. Its file is for the user and the ' +
            'group of the server (0660). There is none for datagrams (`unixgram://`, `/dev/log`): Node has no such ' +
            'sockets.',
        ),
      proxy_protocol: networks.describe(
        'Networks of proxies. Each of their connections, over TCP and TLS, must begin with a PROXY header (version 1 ' +
          'or 2); that of anyone else is refused. Over UDP there is none: let senders reach that port directly.',
      ),
      allow: networks
        .meta({ fallback: 'everyone' })
        .describe(
          'Networks that may send at all, by syslog, forward and GELF; behind a proxy it is the address in the header ' +
            'that counts.',
        ),
      max_connections: count.prefault(10_000).describe('Connections at once; more are reset.'),
      max_connections_per_source: count
        .prefault(1000)
        .describe(
          'Connections at once from one address. A Docker host has one for each container that logs over TCP or TLS.',
        ),
      max_frame: size.prefault('1MiB').describe('Longer messages are cut into pieces.'),
      tls: tls(base, 'Syslog over TLS (RFC 5425): `syslog-address=tcp+tls://HOST:6514`.'),
    })
    .prefault({});
}

/** Where is listened for what comes over TLS. */
function tls(base: string, about: string) {
  return z
    .strictObject({
      listen: optionalAddress.prefault('off').describe(about),
      cert: path(base)
        .optional()
        .describe(
          'A PEM file with the certificate of the server, and those between it and its root. It is read again within ' +
            '30 s of a change and at SIGHUP; connections go on.',
        ),
      key: path(base).optional().describe('A PEM file with its key.'),
      client_ca: path(base)
        .optional()
        .describe(
          'A PEM file with the certificates that sign those of clients; with it nobody can send over TLS without one.',
        ),
    })
    .prefault({});
}

function spool() {
  return z
    .strictObject({
      max_size: size
        .prefault('8GiB')
        .describe(
          'What may wait for the log store. Above half of it the TCP, TLS and unix connections that bring the most are ' +
            'paused first (with `when_full: block`).',
        ),
      when_full: z
        .enum(['block', 'drop-oldest'], { error: 'expected block or drop-oldest' })
        .default('block')
        .describe(
          'What becomes of it when it is full. `block`: nothing is taken: TCP is not read (so a container that logs ' +
            'with `mode=blocking` stands still), HTTP gets 503, UDP is dropped. `drop-oldest`: what has waited ' +
            'longest is dropped, and counted; but not what is being delivered (some 32 MiB), so give it `max_size` of ' +
            '256MiB or more.',
        ),
    })
    .prefault({});
}

function tags() {
  return z
    .strictObject({
      cluster: text.default('default').describe('The cluster of what says nothing else.'),
      sources: z
        .array(z.strictObject({ cidr: network, cluster: text }), {
          error: 'expected a list such as [{ cidr: 10.1.0.0/16, cluster: prod }]',
        })
        .meta({ kind: 'networks with clusters' })
        .default([])
        .describe(
          '`cidr` and `cluster`: who sends from there belongs to that cluster, whatever the line says, and nobody else ' +
            'can name it. The first that matches counts. In the environment: `10.1.0.0/16=prod,10.2.0.0/16=test`.',
        ),
    })
    .prefault({});
}

/** What of it is wrong together. */
export function contradictionsOfIngest({ syslog, forward }: z.output<ReturnType<typeof ingest>>): Contradiction[] {
  return [
    ...contradictionsOfTls('ingest.syslog.tls', syslog.tls),
    ...contradictionsOfTls('ingest.forward.tls', forward.tls),
  ];
}

function contradictionsOfTls(
  section: string,
  tls: z.output<ReturnType<typeof ingest>>['syslog']['tls'],
): Contradiction[] {
  if (tls.listen === 'off') return [];
  const missing = (['cert', 'key'] as const).filter((part) => tls[part] === undefined);
  const message = 'tls.listen is set, so this is needed too';
  return missing.map((part) => ({ key: `${section}.${part}`, message }));
}
