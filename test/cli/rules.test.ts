import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { shiplog } from '../support/command.ts';

const folder = await mkdtemp(join(tmpdir(), 'shiplog-test-'));
afterAll(() => rm(folder, { recursive: true }));

const config = join(folder, 'shiplog.yml');
await writeFile(
  config,
  `ingest:
  rate_limit: 1/h
  rules:
    - { name: secrets, redact: [bearer, { pattern: 'session=\\w+' }] }
    - { name: health, contains: 'GET /healthz', drop: true }
    - { name: pay, image: '*/pay', level: [error], set: { labels.team: money } }
`,
);

const tag = `v1|${'ab'.repeat(32)}|pay-1|registry.corp/team/pay:1||node1|prod`;
const lines = [
  'GET /healthz 200',
  '',
  'a session=abc and Bearer abcdefghijkl',
  `<30>1 2026-11-24T12:00:00Z node1 ${tag} 9 ${tag} - [error] no \x1b[31mmoney`,
  '{"level":"warn","msg":"slow"}',
].join('\n');

const printed = `drop [health] GET /healthz 200
change [secrets] a [redacted] and Bearer [redacted]
change [pay] [error] no \\x1b[31mmoney
keep slow

RULE     LINES
secrets  1
health   1
pay      1
`;

test('rules test says of each line what the rules would do, of a file and of the standard input', async () => {
  const file = join(folder, 'lines.txt');
  await writeFile(file, `${lines}\n`);
  for (const [name, stdin] of [
    [file, ''],
    ['-', lines],
  ] as const) {
    const { code, stdout, stderr } = await shiplog(['rules', 'test', name, '--config', config], {}, stdin);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(stdout).toBe(printed);
  }
});

test('rules test says where there are no rules', async () => {
  const outcome = await shiplog(['rules', 'test', '-'], {}, 'a line');
  expect(outcome).toEqual({
    code: 0,
    stdout: 'keep a line\n\nthere are no rules: ingest.rules is empty\n',
    stderr: '',
  });
});

test('rules test says what is wrong with its arguments, its file and its configuration', async () => {
  expect(await shiplog(['rules'])).toMatchObject({ code: 2, stderr: expect.stringContaining('give a file') });
  expect(await shiplog(['rules', 'test', join(folder, 'none')])).toMatchObject({
    code: 1,
    stderr: expect.stringMatching(/^shiplog: ENOENT[^\n]*\n$/),
  });
});

test.each<[key: string, rules: string]>([
  ['ingest.rules.0', '[{ name: x }]'],
  ['ingest.rules.0', '[{ name: x, drop: true, sample: 2 }]'],
  ['ingest.rules.0.drop', '[{ name: x, drop: false }]'],
  ['ingest.rules.0.name', '[{ name: rate_limit, drop: true }]'],
  ['ingest.rules.0.sample', '[{ name: x, sample: 1 }]'],
  ['ingest.rules.0.matches', "[{ name: x, matches: '(a)\\1', drop: true }]"],
  ['ingest.rules.0.matches', "[{ name: x, matches: '(', drop: true }]"],
  ['ingest.rules.0.level.0', '[{ name: x, level: [warn], drop: true }]'],
  ['ingest.rules.0.redact.0', '[{ name: x, redact: [bearrer] }]'],
  ['ingest.rules.0.set', '[{ name: x, set: { data_stream.dataset: y } }]'],
  ['ingest.rules.0.set', '[{ name: x, set: { log.level: loud } }]'],
  ['ingest.rules', '[{ name: x, drop: true }, { name: x, sample: 2 }]'],
  ['ingest.rules.0.imgae', '[{ name: x, imgae: y, drop: true }]'],
])('a wrong rule is refused, by its key: %s of %s', async (key, rules) => {
  const { code, stderr } = await shiplog(['check-config'], { SHIPLOG_INGEST_RULES: rules });
  expect(code).toBe(1);
  expect(stderr).toContain(`  ${key} (`);
});

test('what check-config prints of rules and the rate limit brings them about', async () => {
  const { stdout } = await shiplog(['check-config', '--config', config]);
  const again = join(folder, 'again.yml');
  await writeFile(again, stdout);
  expect((await shiplog(['check-config', '--config', again])).stdout).toBe(stdout);
  expect(stdout).toContain('rate_limit: 1/h');
  expect(stdout).toContain('name: health');
});
