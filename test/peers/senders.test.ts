import { mkdtemp, rm } from 'node:fs/promises';
import { hostname, tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { eventually, type Found, search } from '../support/search.ts';
import { freePort, type Server, startServer } from '../support/server.ts';
import { goSender, logger, python, startHaproxy, startNginx, startRsyslog } from './support/senders.ts';
import { startSyslogNg } from './support/syslog-ng.ts';

const certificates = resolve(import.meta.dirname, '../support/certificates');
const [ca, cert, key] = ['ca.pem', 'client.pem', 'client.key'].map((name) => join(certificates, name));

const sharedKey = 'what both know';

let server: Server;
let tlsPort: number;
let forwardPort: number;
let folder: string;
let socket: string;
beforeAll(async () => {
  tlsPort = await freePort();
  forwardPort = await freePort();
  folder = await mkdtemp(join(tmpdir(), 'shiplog-senders-'));
  socket = join(folder, 'socket');
  server = await startServer({
    SHIPLOG_INGEST_SYSLOG_TLS_LISTEN: `127.0.0.1:${tlsPort}`,
    SHIPLOG_INGEST_SYSLOG_TLS_CERT: join(certificates, 'server.pem'),
    SHIPLOG_INGEST_SYSLOG_TLS_KEY: join(certificates, 'server.key'),
    SHIPLOG_INGEST_SYSLOG_TLS_CLIENT_CA: join(certificates, 'ca.pem'),
    SHIPLOG_INGEST_SYSLOG_UNIX: socket,
    SHIPLOG_INGEST_FORWARD_TLS_LISTEN: `127.0.0.1:${forwardPort}`,
    SHIPLOG_INGEST_FORWARD_TLS_CERT: join(certificates, 'server.pem'),
    SHIPLOG_INGEST_FORWARD_TLS_KEY: join(certificates, 'server.key'),
    SHIPLOG_INGEST_FORWARD_SHARED_KEY: sharedKey,
    // Proxies connect from here.
    SHIPLOG_INGEST_SYSLOG_PROXY_PROTOCOL: '127.0.0.2/32',
  });
});
afterAll(async () => {
  await server[Symbol.asyncDispose]();
  await rm(folder, { recursive: true });
});

/** The records of some words, oldest first. */
async function find(query: string, count: number): Promise<Found[]> {
  const found = await eventually(
    () => search(server, query),
    (records) => records.length >= count,
  );
  return found.toReversed();
}

const lines = (word: string, count = 20): string[] => Array.from({ length: count }, (_, n) => `${word} line ${n}`);

describe('rsyslog', () => {
  const actions = (): [string, string][] => [
    ['tcp', `protocol="tcp" port="${server.syslogPort}"`],
    [
      'octets',
      `protocol="tcp" port="${server.syslogPort}" tcp_framing="octet-counted" template="RSYSLOG_SyslogProtocol23Format"`,
    ],
    ['udp', `protocol="udp" port="${server.syslogPort}" template="RSYSLOG_ForwardFormat"`],
    [
      'tls',
      `protocol="tcp" port="${tlsPort}" template="RSYSLOG_SyslogProtocol23Format" StreamDriver="ossl" StreamDriverMode="1" StreamDriverAuthMode="x509/certvalid"`,
    ],
  ];

  test('what omfwd sends over TCP, counted, over UDP and over TLS is found in order, with host and program', async () => {
    const rules = actions().map(
      ([name, action]) => `if $programname == "rs-${name}" then action(type="omfwd" target="127.0.0.1" ${action})`,
    );
    const files = `global(defaultNetstreamDriverCAFile="${ca}" defaultNetstreamDriverCertFile="${cert}" defaultNetstreamDriverKeyFile="${key}")`;
    await using rsyslog = await startRsyslog([files, ...rules].join('\n'));
    for (const [name] of actions()) {
      await logger(
        ['--socket', join(rsyslog.folder, 'log'), '--tag', `rs-${name}`, '--id=4711'],
        lines(`rs${name}`).join('\n'),
      );
    }
    for (const [name] of actions()) {
      const records = await find(`rs${name}`, 20);
      expect(
        // What stands behind a tag has a space first, which rsyslog's template of RFC 5424 takes for the message's.
        records.map(({ message }) => message.replace(/^ /, '')),
        name,
      ).toEqual(lines(`rs${name}`));
      expect(records[0], name).toMatchObject({
        host: { name: hostname() },
        log: { level: 'notice', syslog: { appname: `rs-${name}`, procid: '4711' } },
      });
    }
  });
});

describe('syslog-ng', () => {
  const destinations = (): [string, string][] => [
    ['network', `network("127.0.0.1" port(${server.syslogPort}) transport("tcp"))`],
    ['fractions', `network("127.0.0.1" port(${server.syslogPort}) transport("tcp") frac-digits(3))`],
    ['iso', `network("127.0.0.1" port(${server.syslogPort}) transport("tcp") ts-format(iso) frac-digits(6))`],
    ['udp', `network("127.0.0.1" port(${server.syslogPort}) transport("udp"))`],
    ['protocol', `network("127.0.0.1" port(${server.syslogPort}) transport("tcp") flags(syslog-protocol))`],
    ['syslog', `syslog("127.0.0.1" port(${server.syslogPort}) transport("tcp"))`],
    [
      'tls',
      `syslog("127.0.0.1" port(${tlsPort}) transport("tls") tls(ca-file("${ca}") cert-file("${cert}") key-file("${key}") peer-verify(required-trusted)))`,
    ],
  ];

  test('what its drivers send is found in order, with host and program', async () => {
    await using syslogNg = await startSyslogNg(
      new Map(
        destinations().map(([name, driver]) => [`ng-${name}`, driver.replace(/\)$/, ` persist-name("${name}"))`)]),
      ),
    );
    const log = ['--socket', join(syslogNg.folder, 'log'), '--id=4711'];
    for (const [name] of destinations()) await logger([...log, '--tag', `ng-${name}`], lines(`ng${name}`).join('\n'));
    for (const [name] of destinations()) {
      const records = await find(`ng${name}`, 20);
      expect(
        records.map(({ message }) => message),
        name,
      ).toEqual(lines(`ng${name}`));
      expect(records[0], name).toMatchObject({
        host: { name: hostname() },
        log: { level: 'notice', syslog: { appname: `ng-${name}`, procid: '4711' } },
      });
    }
  });
});

describe("Go's log/syslog", () => {
  test.each(['tcp', 'udp'])('over %s', async (network) => {
    const text = `go${network} said: hello`;
    await goSender(['syslog', network, `127.0.0.1:${server.syslogPort}`, `golang-${network}`, text]);
    const [record] = await find(`go${network}`, 1);
    expect(record).toMatchObject({
      message: text,
      host: { name: hostname() },
      log: { level: 'warning', syslog: { appname: `golang-${network}`, procid: expect.stringMatching(/^\d+$/) } },
    });
  });
});

test('the forward protocol over TLS, with a shared key and answers: what was answered outlives kills', async () => {
  const count = 600;
  const to = [`127.0.0.1:${forwardPort}`, sharedKey, join(certificates, 'ca.pem')];
  const sent = goSender(['forward', ...to, String(count), 'gofwd']);
  for (const least of [50, 250]) {
    await find('gofwd', least);
    await server.kill();
    await server.start();
  }
  const said = await sent;
  expect(said).toMatch(/^again: |^no /m);
  const found = new Set(
    (
      await eventually(
        () => search(server, 'gofwd'),
        (records) => new Set(records.map(({ message }) => message)).size === count,
      )
    ).map(({ message }) => message),
  );
  expect(found).toEqual(new Set(lines('gofwd', count)));
});

describe('logger(1)', () => {
  test.each([
    ['tcp', ['--tcp']],
    ['tcp3164', ['--tcp', '--rfc3164']],
    ['octets', ['--tcp', '--octet-count']],
    ['udp', ['--udp']],
    ['udp3164', ['--udp', '--rfc3164']],
  ])('%s', async (name, options) => {
    const network = [
      '--server',
      '127.0.0.1',
      '--port',
      String(server.syslogPort),
      '--tag',
      'lg',
      '--priority',
      'user.err',
    ];
    await logger([...network, ...options], lines(`lg${name}`).join('\n'));
    const records = await find(`lg${name}`, 20);
    expect(records.map(({ message }) => message)).toEqual(lines(`lg${name}`));
    expect(records[0]).toMatchObject({
      host: { name: hostname() },
      log: { level: 'error', syslog: { appname: 'lg' } },
      source: { ip: '127.0.0.1' },
    });
  });

  test('a unix stream socket: the lines are of this machine', async () => {
    await logger(['--socket', socket, '--socket-errors=on', '--tag', 'lg', 'lgunix line 0']);
    const [record] = await find('lgunix', 1);
    expect(record).toMatchObject({ message: 'lgunix line 0', host: { name: hostname() } });
  });
});

describe("Python's SysLogHandler", () => {
  test.each([
    ['udp', 'SOCK_DGRAM'],
    ['tcp', 'SOCK_STREAM'],
  ])('over %s a message with line breaks is one record, and one follows the other', async (name, type) => {
    await python(`
import logging, logging.handlers, socket
handler = logging.handlers.SysLogHandler(('127.0.0.1', ${server.syslogPort}), socktype=socket.${type})
log = logging.getLogger()
log.addHandler(handler)
log.setLevel(logging.INFO)
log.info('py${name} first')
try:
    1 / 0
except ZeroDivisionError:
    log.exception('py${name} failed')
log.warning('py${name} last')
handler.close()
`);
    const records = await find(`py${name}`, 3);
    expect(records.map(({ message }) => message)).toEqual([
      `py${name} first`,
      expect.stringMatching(new RegExp(`^py${name} failed\nTraceback [^]*\nZeroDivisionError: division by zero$`)),
      `py${name} last`,
    ]);
    expect(records.map(({ log }) => log)).toMatchObject([{ level: 'info' }, { level: 'error' }, { level: 'warning' }]);
  });
});

test("nginx's access_log and error_log", async () => {
  const port = await freePort();
  const target = `syslog:server=127.0.0.1:${server.syslogPort}`;
  await using _nginx = await startNginx(port, `access_log ${target},tag=ngaccess; error_log ${target},tag=ngerror;`);
  await fetch(`http://127.0.0.1:${port}/found?ngword`);
  await fetch(`http://127.0.0.1:${port}/gone/ngmissing`);
  const [access] = await find('ngword', 1);
  expect(access).toMatchObject({
    message: expect.stringMatching(/^127\.0\.0\.1 - - \[.+\] "GET \/found\?ngword HTTP\/1\.1" 200 0/),
    host: { name: hostname() },
    log: { level: 'info', syslog: { appname: 'ngaccess' } },
  });
  const errors = await find('ngmissing open', 1);
  expect(errors[0]).toMatchObject({
    message: expect.stringMatching(/open\(\) ".+ngmissing" failed \(\d+: /),
    log: { level: 'error', syslog: { appname: 'ngerror' } },
  });
});

test("HAProxy's log", async () => {
  const port = await freePort();
  const front = `frontend web\n  mode http\n  option httplog\n  bind 127.0.0.1:${port}\n  http-request return status 200\n`;
  const log = `global\n  log 127.0.0.1:${server.syslogPort} local0\n`;
  await using _haproxy = await startHaproxy(port, `${log}${front.replace('mode http', 'mode http\n  log global')}`);
  await fetch(`http://127.0.0.1:${port}/haword`);
  const [record] = await find('haword', 1);
  expect(record).toMatchObject({
    message: expect.stringContaining('"GET /haword HTTP/1.1"'),
    log: { level: 'info', syslog: { appname: 'haproxy' } },
  });
});

test.each([
  ['version 1, to TCP', 'send-proxy', 'tcp'],
  ['version 2, to TCP', 'send-proxy-v2', 'tcp'],
  ['version 2, to TLS', 'send-proxy-v2', 'tls'],
])('behind HAProxy the peer is the client: PROXY protocol %s', async (_, option, target) => {
  const port = await freePort();
  const word = `px${option.replaceAll('-', '')}${target}`;
  const tls = target === 'tls' ? ` ssl verify none crt ${join(certificates, 'client.both.pem')}` : '';
  const to = target === 'tls' ? tlsPort : server.syslogPort;
  const config = `listen syslog\n  mode tcp\n  bind 127.0.0.1:${port}\n  server s 127.0.0.1:${to} source 127.0.0.2 ${option}${tls}\n`;
  await using _haproxy = await startHaproxy(port, config);
  await python(`
import socket
s = socket.socket()
s.bind(('127.0.0.3', 0))
s.connect(('127.0.0.1', ${port}))
s.sendall(b'<13>Aug  3 10:00:00 far app: ${word} hello\\n')
s.close()
`);
  const [record] = await find(word, 1);
  expect(record).toMatchObject({ message: `${word} hello`, host: { name: 'far' }, source: { ip: '127.0.0.3' } });
});
