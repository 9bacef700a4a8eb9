import { expect, test } from 'vitest';
import { loadConfig } from '../../src/config.ts';
import { StartError } from '../../src/start-error.ts';
import { type GivenSocket, givenSockets, stdioOf, withSockets } from '../../src/supervisor/sockets.ts';

const config = loadConfig({ env: { SHIPLOG_INGEST_SYSLOG_TCP: 'off' } });

/** What systemd tells of its sockets. */
function given(names: string, pid = process.pid): NodeJS.ProcessEnv {
  return { LISTEN_PID: String(pid), LISTEN_FDS: String(names.split(':').length), LISTEN_FDNAMES: names };
}

test('sockets that another process was given are none of ours', () => {
  expect(givenSockets({})).toEqual([]);
  expect(givenSockets(given('http', process.pid + 1))).toEqual([]);
});

test.each([
  ['web', 'a socket that is called web'],
  ['', 'a socket that is called '],
  ['syslog-udp:syslog-udp', 'two sockets that are called syslog-udp'],
])('sockets that are called %j are refused', (names, message) => {
  expect(() => givenSockets(given(names))).toThrow(StartError);
  expect(() => givenSockets(given(names))).toThrow(message);
});

test('each socket takes the place of its key, also of one that is off', () => {
  const sockets: GivenSocket[] = [
    { name: 'syslog', host: '10.0.0.1', port: 514 },
    { name: 'http', host: '::', port: 80 },
  ];
  // A worker has its channel to the supervisor at 3.
  expect(stdioOf(sockets)).toEqual(['inherit', 'inherit', 'inherit', 'ipc', 3, 4]);
  const { http, ingest } = withSockets(config, sockets);
  expect(ingest.syslog).toMatchObject({ tcp: { host: '10.0.0.1', port: 514, fd: 4 }, udp: config.ingest.syslog.udp });
  expect(http.listen).toEqual({ host: '::', port: 80, fd: 5 });
});

test('a socket for TLS without a certificate is refused', () => {
  const socket: GivenSocket = { name: 'syslog-tls', host: '::', port: 6514 };
  expect(() => withSockets(config, [socket])).toThrow('ingest.syslog.tls.cert and ingest.syslog.tls.key are needed');
});
