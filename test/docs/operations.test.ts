import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { startServer } from '../support/server.ts';
import { httpsSettings } from '../support/tls.ts';
import { logMessages } from './log-messages.ts';

const page = readFileSync(resolve(import.meta.dirname, '../../docs/operations.md'), 'utf8');

/** What stands between the marks of a section. */
function section(name: string): string {
  return page.slice(page.indexOf(`<!-- ${name} -->`), page.indexOf(`<!-- ${name}: end -->`));
}

test('operations.md explains each warning and error of the log, and no other', () => {
  const said = [...section('messages').matchAll(/`([^`]+)`\s+\((warn|error|fatal)\)/g)];
  const explained = said.map(([, message, level]) => `${level}: ${message}`);
  const written = new Set(logMessages().map(({ level, message }) => `${level}: ${message}`));
  expect(explained.toSorted()).toEqual([...written].toSorted());
});

test('operations.md explains each metric of shiplog, and no other', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'shiplog-test-'));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  const { SHIPLOG_HTTP_TLS_CERT: cert, SHIPLOG_HTTP_TLS_KEY: key } = httpsSettings;
  await using server = await startServer({
    SHIPLOG_INGEST_SYSLOG_UNIX: join(folder, 'syslog'),
    SHIPLOG_INGEST_SYSLOG_TLS_LISTEN: '127.0.0.1:0',
    SHIPLOG_INGEST_SYSLOG_TLS_CERT: cert,
    SHIPLOG_INGEST_SYSLOG_TLS_KEY: key,
    SHIPLOG_INGEST_FORWARD_LISTEN: '127.0.0.1:0',
    SHIPLOG_INGEST_FORWARD_UNIX: join(folder, 'forward'),
    SHIPLOG_INGEST_FORWARD_TLS_LISTEN: '127.0.0.1:0',
    SHIPLOG_INGEST_FORWARD_TLS_CERT: cert,
    SHIPLOG_INGEST_FORWARD_TLS_KEY: key,
    SHIPLOG_INGEST_GELF_TCP: '127.0.0.1:0',
    SHIPLOG_INGEST_GELF_UDP: '127.0.0.1:0',
  });
  const metrics = await (await fetch(`${server.url}/metrics`)).text();
  const measured = [...metrics.matchAll(/^# TYPE (shiplog_\w+)/gm)].map(([, name = '']) => name);
  const explained = new Set([...section('metrics').matchAll(/\bshiplog_\w+/g)].map(([name]) => name));
  expect([...explained].toSorted()).toEqual(measured.toSorted());
  // The names of what is counted, too.
  const labels = new Set([...metrics.matchAll(/^shiplog_(?!http)\w+\{\w+="([^"]+)"/gm)].map(([, label]) => label));
  expect([...labels].filter((label) => !section('metrics').includes(`\`${label}\``))).toEqual([]);
});
