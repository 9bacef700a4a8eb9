import { hostname } from 'node:os';
import { expect, test } from 'vitest';
import { parseDockerTag } from '../../ingest/parse/docker-tag.ts';
import { shiplog } from '../support/command.ts';

const tag = 'v1|{{.FullID}}|{{.Name}}|{{.ImageName}}|{{.ImageFullID}}|{{.Hostname}}|default';

test('the options of docker run are those of a shell', async () => {
  expect(await shiplog(['docker-options'])).toMatchObject({
    code: 0,
    stdout: [
      '--log-driver=syslog \\',
      '--log-opt syslog-address=tcp://127.0.0.1:5514 \\',
      '--log-opt syslog-format=rfc5424micro \\',
      '--log-opt mode=non-blocking \\',
      '--log-opt max-buffer-size=4m \\',
      `--log-opt 'tag=${tag}'`,
      '',
    ].join('\n'),
  });
});

test('the content of daemon.json is JSON, all texts', async () => {
  const { code, stdout } = await shiplog(['docker-options', '--daemon', '--cluster', 'prod']);
  expect(code).toBe(0);
  expect(JSON.parse(stdout)).toEqual({
    'log-driver': 'syslog',
    'log-opts': {
      'syslog-address': 'tcp://127.0.0.1:5514',
      'syslog-format': 'rfc5424micro',
      mode: 'non-blocking',
      'max-buffer-size': '4m',
      tag: tag.replace('default', 'prod'),
    },
  });
});

test('the tag is one that is understood whole', async () => {
  const { stdout } = await shiplog(['docker-options', '--daemon', '--cluster', 'prod']);
  const values: Readonly<Record<string, string>> = {
    FullID: 'ab'.repeat(32),
    Name: '/web-1',
    ImageName: 'registry.corp:5000/team/web:1.4',
    ImageFullID: `sha256:${'cd'.repeat(32)}`,
    Hostname: 'node-1',
  };
  const template = String(JSON.parse(stdout)['log-opts'].tag);
  expect(
    parseDockerTag(
      template.replace(/\{\{\.(\w+)\}\}/g, (_, name: string) => values[name] ?? ''),
      true,
    ),
  ).toEqual({
    id: values['FullID'],
    name: 'web-1',
    image: values['ImageName'],
    imageId: values['ImageFullID'],
    host: 'node-1',
    cluster: 'prod',
  });
});

test('what shiplog itself needs must not log to it: that is said beside the options, not in them', async () => {
  for (const args of [[], ['--daemon']]) {
    const { stdout, stderr } = await shiplog(['docker-options', ...args]);
    expect(stdout).not.toContain('driver: local');
    expect(stderr).toMatch(/must not log to it[^]*logging: \{ driver: local \}[^]*--log-driver=local/);
    expect(stderr.includes('restart Docker')).toBe(args.length > 0);
  }
});

test.each<[what: string, env: Record<string, string>, args: string[], address: string]>([
  ['every address', { TCP: '0.0.0.0:5514' }, [], `tcp://${hostname()}:5514`],
  ['a name', { TCP: 'logs.corp:601' }, [], 'tcp://logs.corp:601'],
  ['TLS alone', { TCP: 'off', TLS_LISTEN: '[::1]:6514', TLS_CERT: 'c', TLS_KEY: 'k' }, [], 'tcp+tls://[::1]:6514'],
  ['a socket', { TCP: 'off', UNIX: '/run/shiplog.sock' }, [], 'unix:///run/shiplog.sock'],
  ['UDP alone', { TCP: 'off' }, [], 'udp://127.0.0.1:5514'],
  ['what was given', {}, ['--address', 'tcp+tls://logs.corp:6514'], 'tcp+tls://logs.corp:6514'],
  ['a socket that was given', {}, ['--address', 'unix:///run/a.sock'], 'unix:///run/a.sock'],
])('the address is that of %s', async (_what, env, args, address) => {
  const variables = Object.entries(env).map(([name, value]) => [`SHIPLOG_INGEST_SYSLOG_${name}`, value]);
  const { stdout } = await shiplog(['docker-options', '--daemon', ...args], Object.fromEntries(variables));
  const options = JSON.parse(stdout)['log-opts'];
  expect(options['syslog-address']).toBe(address);
  expect(options['syslog-tls-ca-cert'] !== undefined).toBe(address.startsWith('tcp+tls'));
  expect(options['syslog-tls-key']).toBeUndefined();
});

test('where clients need a certificate, the options name one', async () => {
  const { stdout } = await shiplog(['docker-options', '--address', 'tcp+tls://logs.corp:6514'], {
    SHIPLOG_INGEST_SYSLOG_TLS_CLIENT_CA: 'ca.pem',
  });
  expect(stdout).toMatch(/syslog-tls-cert=.*\n.*syslog-tls-key=/);
});

test('that an address is for this machine alone is said', async () => {
  expect((await shiplog(['docker-options'])).stderr).toMatch(/127\.0\.0\.1:5514 is this machine's own/);
  const far = await shiplog(['docker-options', '--address', 'tcp://logs.corp:5514']);
  expect(far.stderr).not.toContain("this machine's own");
});

const off = { SHIPLOG_INGEST_SYSLOG_TCP: 'off', SHIPLOG_INGEST_SYSLOG_UDP: 'off' };
test.each<[args: string[], env: Record<string, string>, code: number, stderr: RegExp]>([
  [['--address', 'logs.corp:5514'], {}, 2, /expected an address such as tcp:\/\/logs\.corp:5514/],
  [['--address', "tcp://a'; rm -rf /:1"], {}, 2, /expected an address/],
  [['--cluster', 'a|b'], {}, 2, /a cluster's name has no/],
  [['--cluster', "a'b"], {}, 2, /a cluster's name/],
  [['--cluster', '{{.ID}}'], {}, 2, /a cluster's name/],
  [[], off, 1, /listens nowhere: set ingest\.syslog\.tcp, or give --address/],
])('%j is refused', async (args, env, code, stderr) => {
  const outcome = await shiplog(['docker-options', ...args], env);
  expect([outcome.code, outcome.stdout]).toEqual([code, '']);
  expect(outcome.stderr).toMatch(stderr);
});
