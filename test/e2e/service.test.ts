import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { stat } from 'node:fs/promises';
import { connect } from 'node:net';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { eventually, search } from '../support/search.ts';
import { startServer } from '../support/server.ts';

test('folders with lines are for their owner alone, whoever may come into the data folder', async () => {
  await using server = await startServer();
  for (const folder of ['state', 'spool', 'logs', 'dead-letters']) {
    expect([folder, (await stat(join(server.data, folder))).mode & 0o777]).toEqual([folder, 0o700]);
  }
});

test('with nothing configured, lines over TCP and UDP and a record over HTTP are found, and counted', async () => {
  await using server = await startServer();
  const tcp = connect(server.syslogPort, '127.0.0.1');
  tcp.end('<30>Aug  3 10:00:00 node1 app[1]: by stream\nby no syslog at all\n');
  const udp = createSocket('udp4');
  udp.send('<27>Aug  3 10:00:00 node1 app[1]: by datagram', server.syslogPort, '127.0.0.1');
  const headers = { 'content-type': 'application/json' };
  const posted = await fetch(`${server.url}/logs`, { method: 'POST', headers, body: '{"message":"by request"}' });
  expect(await posted.json()).toEqual({ accepted: 1 });

  const found = await eventually(
    () => search(server, 'by'),
    ({ length }) => length === 4,
  );
  for (const wanted of ['by stream', 'by no syslog at all', 'by datagram', 'by request']) {
    expect(found.map(({ message }) => message)).toContainEqual(expect.stringContaining(wanted));
  }
  // What is found was stored; that it was, the server may hear a moment later.
  const counted = 'shiplog_log_records_total{outcome="indexed"} 4\n';
  const metrics = await eventually(
    async () => (await fetch(`${server.url}/metrics`)).text(),
    (text) => text.includes(counted),
  );
  expect(metrics).toContain(counted);
  expect(metrics).toContain('shiplog_render_failures_total{part="parse"} 1\n');
  udp.close();
  if (!tcp.closed) await once(tcp, 'close');
  expect(await server.stop()).toBe(0);
});
